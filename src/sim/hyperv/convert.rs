//! Values of the model as the evaluator knows them, and back: the one place where both meet.

use super::cell::{Cell, Key, Thing};
use super::cim::{Instance, Space};
use super::messages::{Failure, OPERATION_FAILED};
use crate::sim::powershell::error::{Category, ErrorRecord, Exception};
use crate::sim::powershell::object::Object;
use crate::sim::powershell::time::{DateTime, TimeSpan};
use crate::sim::powershell::value::{Value, guid_text};

/// How objects come out.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Style {
    /// The host's distance from UTC in seconds.
    pub(in crate::sim) utc_offset: i32,
    /// Whether cmdlet objects come through another `PowerShell`, as data without behaviour.
    pub(in crate::sim) deserialised: bool,
}

/// Makes the evaluator's value of a cell.
pub(in crate::sim) fn value(cell: Cell, style: Style) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(truth) => Value::Bool(truth),
        Cell::U16(number) => Value::UInt16(number),
        Cell::U32(number) => Value::UInt32(number),
        Cell::U64(number) => Value::UInt64(number),
        Cell::I32(number) => Value::Int(number),
        Cell::I64(number) => Value::Long(number),
        Cell::Text(text) => Value::from(text),
        Cell::Guid(text) => Value::guid(&text).unwrap_or(Value::Null),
        Cell::Time(at) => Value::DateTime(DateTime::local(at, style.utc_offset)),
        Cell::Span(milliseconds) => Value::TimeSpan(TimeSpan::from_milliseconds(milliseconds)),
        Cell::Named(named) if style.deserialised => Value::from(named.name),
        Cell::Named(named) => Value::enumeration(named.of, &named.name, named.number),
        Cell::Thing(thing) => object(*thing, style),
        Cell::List(cells) => list(cells, style),
        Cell::Bytes(bytes) => Value::Bytes(bytes),
    }
}

fn list(cells: Vec<Cell>, style: Style) -> Value {
    let element = match cells.first() {
        Some(Cell::U16(_)) => Some("System.UInt16"),
        Some(Cell::U32(_)) => Some("System.UInt32"),
        Some(Cell::Text(_)) => Some("System.String"),
        _ => None,
    };
    let items = cells.into_iter().map(|cell| value(cell, style));
    match element {
        Some(element) => Value::typed_array(element, items),
        None => Value::array(items),
    }
}

/// Makes the evaluator's object of a thing.
pub(in crate::sim) fn object(thing: Thing, style: Style) -> Value {
    let of_a_cmdlet = !thing.types.iter().any(|name| name.contains("CimInstance"));
    let deserialised = style.deserialised && of_a_cmdlet;
    let mut types = thing.types.into_iter();
    let named = |name: String| {
        if deserialised {
            format!("Deserialized.{name}")
        } else {
            name
        }
    };
    let first = types.next().unwrap_or_else(|| "System.Object".to_owned());
    let mut made = Object::new(&named(first));
    for name in types {
        made = made.also(&named(name));
    }
    for (name, cell) in thing.props {
        made = made.with(name, value(cell, style));
    }
    if let Some(text) = thing.shown {
        made = made.reads(text);
    }
    // A deserialised object is data: nothing can be done with it any more.
    if let Some(key) = thing.key.filter(|_| !deserialised) {
        made = made.known_as(handle(&key));
    }
    Value::from(made)
}

/// Makes the evaluator's object of a WMI instance.
pub(in crate::sim) fn instance(instance: Instance, style: Style) -> Value {
    let space = instance.class.space;
    let mut made = Object::cim(space.path(), instance.class.name);
    if instance.whole {
        made = made.known_as(handle(&Key::Instance {
            class: instance.class.name,
            id: instance.id,
        }));
    }
    for (name, cell) in instance.props {
        made = made.with(name, value(cell, style));
    }
    made = made.with("PSComputerName", Value::Null);
    Value::from(made.reads(instance.class.name))
}

fn handle(key: &Key) -> String {
    match key {
        Key::Instance { class, id } => format!("cim\t{class}\t{id}"),
        Key::Vm(id) => format!("vm\t{id}"),
        Key::Checkpoint(vm, id) => format!("checkpoint\t{vm}\t{id}"),
    }
}

/// What an object given back stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) enum Known {
    Instance { class: String, id: String },
    Vm(String),
    Checkpoint { vm: String, id: String },
}

/// Recognises an object that came from here.
pub(in crate::sim) fn known(value: &Value) -> Option<Known> {
    let object = value.as_object()?;
    let mut parts = object.handle()?.splitn(3, '\t').map(str::to_owned);
    Some(
        match (parts.next()?.as_str(), parts.next()?, parts.next()) {
            ("cim", class, Some(id)) => Known::Instance { class, id },
            ("vm", id, _) => Known::Vm(id),
            ("checkpoint", vm, Some(id)) => Known::Checkpoint { vm, id },
            _ => return None,
        },
    )
}

/// Reads a GUID, of a value that is one or of text; upper case, as WMI has it.
pub(in crate::sim) fn guid_of(value: &Value) -> Option<String> {
    match value {
        Value::Guid(id) => Some(guid_text(*id).to_uppercase()),
        Value::Str(text) => match Value::guid(text) {
            Some(Value::Guid(id)) => Some(guid_text(id).to_uppercase()),
            _ => None,
        },
        _ => None,
    }
}

/// The namespace of an instance's class, as it is written in its type.
pub(in crate::sim) fn space_of(class: &str) -> Space {
    if class.to_ascii_lowercase().starts_with("msvm_") {
        Space::Virtualization
    } else {
        Space::System
    }
}

/// Makes the evaluator's error of a failure.
pub(in crate::sim) fn error(failure: Failure) -> ErrorRecord {
    let category = Category::named(failure.category).unwrap_or(Category::NotSpecified);
    let mut messages = failure.messages.into_iter();
    let mut record = ErrorRecord::new(
        failure.exception,
        messages.next().unwrap_or_default(),
        failure.fqid,
        category,
    )
    .in_command(&failure.command);
    for below in messages {
        let mut inner = Exception::new(OPERATION_FAILED, below);
        if let Some(code) = failure.hresult {
            inner = inner.with_hresult(code.cast_signed());
        }
        record = record.caused_by(inner);
    }
    if let Some(code) = failure.hresult {
        record = record.with_hresult(code);
    }
    match failure.target {
        Some(target) => record.with_target(target),
        None => record,
    }
}
