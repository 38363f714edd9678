//! Constructors: what `New-Object` and `::new()` make.

use std::sync::{Arc, Mutex};

use super::statics::constant;
use super::{program, streams};
use crate::sim::powershell::convert;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::interp::{Flow, Interpreter, Run, failed};
use crate::sim::powershell::native::{Encoding, Native, Stopwatch};
use crate::sim::powershell::object::{Array, Hash, Object};
use crate::sim::powershell::time::{TICKS, TimeSpan};
use crate::sim::powershell::types;
use crate::sim::powershell::value::{Value, Version};

impl Interpreter<'_> {
    /// Makes an object; `None` when there is no such type.
    pub(in crate::sim::powershell) fn construct(
        &mut self,
        full: &str,
        arguments: &[Value],
    ) -> Run<Option<Value>> {
        if let Some(made) = program::construct(full, arguments) {
            return Ok(Some(made));
        }
        let made = match (full.split('[').next().unwrap_or(full), arguments) {
            ("System.Text.UTF8Encoding", _) => {
                let marked = arguments.first().is_some_and(convert::truth);
                Some(convert::encoding(Encoding::Utf8 { marked }))
            }
            ("System.Text.UnicodeEncoding", _) => Some(convert::encoding(Encoding::Utf16)),
            ("System.Text.ASCIIEncoding", _) => Some(convert::encoding(Encoding::Ascii)),
            ("System.Text.StringBuilder", _) => {
                let text = arguments.first().map(|text| self.text_of(text));
                let cell = Mutex::new(text.unwrap_or_default());
                Some(Value::Native(Arc::new(Native::StringBuilder(cell))))
            }
            ("System.IO.MemoryStream", _) => streams::memory(arguments),
            ("System.IO.StreamReader", _) => streams::reader(arguments),
            ("System.IO.Compression.GzipStream", _) => {
                match streams::inflated(&Self::with_mode(arguments)) {
                    Some(Ok(stream)) => Some(stream),
                    Some(Err(inner)) => {
                        return failed(ErrorRecord::in_method(".ctor", arguments.len(), inner));
                    }
                    None => None,
                }
            }
            ("System.Diagnostics.Stopwatch", []) => Some(Value::Native(Arc::new(
                Native::Stopwatch(Mutex::new(Stopwatch::default())),
            ))),
            ("System.Collections.ArrayList", _) => {
                Some(list(arguments, "System.Collections.ArrayList"))
            }
            ("System.Collections.Generic.List", _) => {
                Some(list(arguments, "System.Collections.Generic.List`1"))
            }
            ("System.Collections.Hashtable", []) => Some(Value::Hash(Hash::new())),
            ("System.Collections.Specialized.OrderedDictionary", []) => {
                Some(Value::Hash(Hash::ordered()))
            }
            ("System.Guid" | "System.Version" | "System.Uri", [text]) => {
                Some(self.cast_to(text, full)?)
            }
            ("System.Version", parts) if parts.len() >= 2 => {
                let texts: Vec<String> = parts.iter().map(|part| self.text_of(part)).collect();
                Version::parse(&texts.join(".")).map(Value::Version)
            }
            ("System.TimeSpan", parts) => span(parts),
            ("System.Object" | "System.Management.Automation.PSObject", []) => {
                Some(Object::custom().into())
            }
            ("System.Exception" | "System.Management.Automation.RuntimeException", _) => {
                let message = arguments.first().map(|text| self.text_of(text));
                let message = message.unwrap_or_default();
                Some(
                    Object::new(full)
                        .also("System.Exception")
                        .with("Message", message.as_str())
                        .with("InnerException", Value::Null)
                        .with("HResult", 0x8013_1500_u32.cast_signed())
                        .reads(format!("{full}: {message}"))
                        .into(),
                )
            }
            _ => None,
        };
        if made.is_some() {
            return Ok(made);
        }
        if let Some(answer) = self.process.machine.construct(full, arguments) {
            return Ok(Some(answer?));
        }
        if types::known(full).is_none() {
            return Ok(None);
        }
        let message = format!(
            "Cannot find an overload for \"{}\" and the argument count: \"{}\".",
            full.rsplit('.').next().unwrap_or(full),
            arguments.len()
        );
        Err(Flow::from(ErrorRecord::runtime(
            message,
            "MethodCountCouldNotFindBest",
            Category::InvalidOperation,
        )))
    }

    /// Turns the name of a compression mode into the constant.
    fn with_mode(arguments: &[Value]) -> Vec<Value> {
        arguments
            .iter()
            .map(|value| match value {
                Value::Str(name) => constant(
                    "System.IO.Compression.CompressionMode",
                    &name.to_ascii_lowercase(),
                )
                .unwrap_or_else(|| value.clone()),
                other => other.clone(),
            })
            .collect()
    }
}

fn list(arguments: &[Value], class: &'static str) -> Value {
    let items = match arguments {
        [Value::Array(items)] => Array::items(items),
        _ => Vec::new(),
    };
    Value::Native(Arc::new(Native::List(Mutex::new(items), class)))
}

fn span(parts: &[Value]) -> Option<Value> {
    let numbers: Vec<i64> = parts
        .iter()
        .map(|part| part.as_integer().and_then(|n| i64::try_from(n).ok()))
        .collect::<Option<_>>()?;
    let seconds = |days: i64, hours: i64, minutes: i64, seconds: i64| {
        days * 86_400 + hours * 3600 + minutes * 60 + seconds
    };
    let ticks = match numbers.as_slice() {
        [] => 0,
        [ticks] => *ticks,
        [h, m, s] => seconds(0, *h, *m, *s).saturating_mul(TICKS),
        [d, h, m, s] => seconds(*d, *h, *m, *s).saturating_mul(TICKS),
        [d, h, m, s, ms] => seconds(*d, *h, *m, *s)
            .saturating_mul(TICKS)
            .saturating_add(ms * (TICKS / 1000)),
        _ => return None,
    };
    Some(Value::TimeSpan(TimeSpan { ticks }))
}
