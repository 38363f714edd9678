//! `ConvertFrom-Json` in both editions.

use std::sync::Arc;

use crate::sim::powershell::call::Call;
use crate::sim::powershell::dates;
use crate::sim::powershell::error::{Category, Exception};
use crate::sim::powershell::interp::{Interpreter, Run, failed};
use crate::sim::powershell::machine::{Edition, Reply};
use crate::sim::powershell::object::{Hash, Object};
use crate::sim::powershell::text::Locale;
use crate::sim::powershell::time::DateTime;
use crate::sim::powershell::value::Value;

pub(super) fn convert_from_json(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let lines: Vec<String> = match (&call.input, call.get("InputObject")) {
        (Some(input), _) => input.iter().map(|line| interpreter.text_of(line)).collect(),
        (None, Some(value)) => vec![interpreter.text_of(value)],
        (None, None) => Vec::new(),
    };
    // Each line that is JSON by itself is one; else all of them together are.
    let texts = match lines.as_slice() {
        [first, _, ..] if serde_json::from_str::<serde_json::Value>(first).is_ok() => lines,
        _ => vec![lines.join("\n")],
    };
    let reader = Reader {
        locale: interpreter.locale,
        tables: call.switch("AsHashtable"),
    };
    let mut output = Vec::new();
    for text in texts {
        if text.trim().is_empty() {
            if call.input.is_none() && interpreter.edition() == Edition::Desktop {
                let message = "Cannot bind argument to parameter 'InputObject' because it is an \
                               empty string.";
                let id = "ParameterArgumentValidationErrorEmptyStringNotAllowed";
                return failed(
                    call.error(
                        "System.Management.Automation.ParameterBindingValidationException",
                        message,
                        id,
                        Category::InvalidData,
                    )
                    .terminating(),
                );
            }
            continue;
        }
        let parsed: Ordered = match serde_json::from_str(&text) {
            Ok(parsed) => parsed,
            Err(error) => return failed(invalid(call, interpreter.edition(), &error)),
        };
        match reader.value(&parsed) {
            Value::Array(array)
                if interpreter.edition() == Edition::Core && !call.switch("NoEnumerate") =>
            {
                output.extend(array.items());
            }
            // 5.1 writes a list as one object.
            Value::Array(array) => output.push(Value::Array(array.wrapped())),
            other => output.push(other),
        }
    }
    Ok(Reply::values(output))
}

fn invalid(
    call: &Call,
    edition: Edition,
    error: &serde_json::Error,
) -> crate::sim::powershell::error::ErrorRecord {
    if edition == Edition::Desktop {
        let message = format!("Invalid JSON primitive: {error}.");
        let mut record = call
            .error(
                "System.ArgumentException",
                message,
                "System.ArgumentException",
                Category::NotSpecified,
            )
            .terminating();
        record.category = Category::NotSpecified;
        return record;
    }
    let message = format!(
        "Conversion from JSON failed with error: {error}. Path '', line {}, position {}.",
        error.line(),
        error.column()
    );
    call.error(
        "System.ArgumentException",
        message.clone(),
        "System.ArgumentException",
        Category::NotSpecified,
    )
    .caused_by(Exception::new(
        "Newtonsoft.Json.JsonReaderException",
        message,
    ))
    .terminating()
}

/// A JSON value whose members keep their order.
#[derive(Debug)]
enum Ordered {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl<'de> serde::Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> serde::de::Visitor<'de> for Visitor {
    type Value = Ordered;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Ordered, E> {
        Ok(Ordered::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Ordered, E> {
        Ok(Ordered::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Ordered, E> {
        Ok(Ordered::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Ordered, E> {
        Ok(serde_json::Number::from_f64(number).map_or(Ordered::Null, Ordered::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Ordered, E> {
        Ok(Ordered::Text(text.to_owned()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut from: A) -> Result<Ordered, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Ordered::List(items))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut from: A) -> Result<Ordered, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = from.next_entry()? {
            pairs.push(pair);
        }
        Ok(Ordered::Object(pairs))
    }
}

struct Reader {
    locale: Locale,
    tables: bool,
}

impl Reader {
    fn value(&self, json: &Ordered) -> Value {
        match json {
            Ordered::Null => Value::Null,
            Ordered::Bool(truth) => Value::Bool(*truth),
            Ordered::Number(number) => self.number(number),
            Ordered::Text(text) => self.text(text),
            Ordered::List(items) => Value::array(items.iter().map(|item| self.value(item))),
            Ordered::Object(pairs) if self.tables => {
                let hash = Hash::ordered();
                for (key, item) in pairs {
                    hash.set(Value::str(key), self.value(item));
                }
                Value::Hash(hash)
            }
            Ordered::Object(pairs) => {
                let object = Object::custom();
                for (key, item) in pairs {
                    object.set(key, self.value(item));
                }
                Value::Object(Arc::new(object))
            }
        }
    }

    fn number(&self, number: &serde_json::Number) -> Value {
        match number.as_i64() {
            // 7 reads every whole number as a long, 5.1 the smallest type that holds it.
            Some(whole) if self.locale.edition == Edition::Core => Value::Long(whole),
            Some(whole) => i32::try_from(whole).map_or(Value::Long(whole), Value::Int),
            None => Value::Double(number.as_f64().unwrap_or_default()),
        }
    }

    fn text(&self, text: &str) -> Value {
        let milliseconds = text
            .strip_prefix("/Date(")
            .and_then(|rest| rest.strip_suffix(")/"))
            .and_then(|number| number.parse().ok());
        if let Some(milliseconds) = milliseconds {
            return Value::DateTime(DateTime::from_unix_milliseconds(milliseconds));
        }
        let is_date = self.locale.edition == Edition::Core
            && text.len() >= 19
            && text.as_bytes().get(10) == Some(&b'T');
        if is_date && let Some(at) = dates::parse(text, self.locale.offset) {
            return Value::DateTime(at);
        }
        Value::str(text)
    }
}
