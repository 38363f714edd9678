//! Error records and exceptions as a script sees them.

use std::sync::Arc;

use crate::sim::powershell::error::{ErrorRecord, Exception, short_type};
use crate::sim::powershell::object::Object;
use crate::sim::powershell::render;
use crate::sim::powershell::text::{self, Locale};
use crate::sim::powershell::value::Value;

pub(super) fn property(record: &Arc<ErrorRecord>, name: &str) -> Option<Value> {
    Some(match name {
        "exception" => exception(&record.exceptions),
        "fullyqualifiederrorid" => Value::str(&record.fqid),
        "targetobject" => record.target.clone(),
        "categoryinfo" => category(record),
        "errordetails" => Value::from(record.details.as_deref().map(|details| {
            Value::from(
                Object::new("System.Management.Automation.ErrorDetails")
                    .with("Message", details)
                    .reads(details),
            )
        })),
        "invocationinfo" => {
            let line = record.position.as_ref().map_or(0, |position| position.line);
            let column = record
                .position
                .as_ref()
                .map_or(0, |position| position.column);
            let number = |n: usize| i32::try_from(n).unwrap_or(0);
            Object::new("System.Management.Automation.InvocationInfo")
                .with("ScriptLineNumber", number(line))
                .with("OffsetInLine", number(column))
                .with("PositionMessage", render::position(record))
                .with("InvocationName", record.activity.as_str())
                .with(
                    "Line",
                    record
                        .position
                        .as_ref()
                        .map_or("", |position| position.text.as_str()),
                )
                .into()
        }
        "scriptstacktrace" => {
            let line = record.position.as_ref().map_or(0, |position| position.line);
            Value::from(format!("at <ScriptBlock>, <No file>: line {line}"))
        }
        _ => return None,
    })
}

/// Makes the object of an exception with those inside it.
pub(super) fn exception(chain: &[Exception]) -> Value {
    let Some((outer, inner)) = chain.split_first() else {
        return Value::Null;
    };
    let mut object = Object::new(&outer.type_name);
    if outer.type_name.starts_with("System.Management.Automation.") {
        object = object.also("System.Management.Automation.RuntimeException");
    }
    object
        .also("System.Exception")
        .with("Message", outer.message.as_str())
        .with("InnerException", exception(inner))
        .with("HResult", outer.hresult)
        .with("StackTrace", Value::Null)
        .with("Source", "")
        .with("HelpLink", Value::Null)
        .reads(format!("{}: {}", outer.type_name, outer.message))
        .into()
}

fn category(record: &ErrorRecord) -> Value {
    let target = text::of(&record.target, Locale::default());
    let target_type = record
        .target
        .type_name()
        .map(|name| short_type(&name).to_owned())
        .unwrap_or_default();
    Object::new("System.Management.Automation.ErrorCategoryInfo")
        .with("Category", record.category.value())
        .with("Activity", record.activity.as_str())
        .with("Reason", record.reason())
        .with("TargetName", target)
        .with("TargetType", target_type)
        .reads(render::category(record))
        .into()
}
