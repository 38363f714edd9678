//! `ConvertTo-Json` in both editions: escapes, layout, dates, depth and what happens to lists.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the table has one shape for all cmdlets"
)]

use crate::sim::powershell::call::Call;
use crate::sim::powershell::interp::{Interpreter, Run};
use crate::sim::powershell::machine::{Edition, Reply};
use crate::sim::powershell::text::{self, Locale};
use crate::sim::powershell::time::{DateTime, Kind};
use crate::sim::powershell::value::{Value, guid_text};

/// Levels without `-Depth`.
const DEPTH: usize = 2;

/// A JSON value, its members in order.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim::powershell) enum Json {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

pub(super) fn convert_to_json(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let desktop = interpreter.edition() == Edition::Desktop;
    let value = match (&call.input, call.get("InputObject")) {
        // An empty pipeline prints nothing.
        (Some(input), _) if input.is_empty() => return Ok(Reply::nothing()),
        (Some(input), _) => match input.as_slice() {
            [only] if !call.switch("AsArray") => only.clone(),
            all => Value::array(all.iter().cloned()),
        },
        (None, Some(value)) => value.clone(),
        (None, None) => return Ok(Reply::nothing()),
    };
    let writer = Writer {
        locale: interpreter.locale,
        depth: call
            .integer("Depth")
            .and_then(|depth| usize::try_from(depth).ok())
            .unwrap_or(DEPTH),
        names: call.switch("EnumsAsStrings"),
        wrapped: desktop && !interpreter.array_data_removed,
    };
    let mut cut = false;
    let json = writer.json(interpreter, &value, 0, &mut cut);
    let text = if call.switch("Compress") {
        compact(&json, desktop)
    } else {
        let mut written = String::new();
        pretty(&json, desktop, 0, &mut written);
        written
    };
    let reply = Reply::value(text);
    Ok(if cut && !desktop {
        reply.and_warning(format!(
            "Resulting JSON is truncated as serialization has exceeded the set depth of {}.",
            writer.depth
        ))
    } else {
        reply
    })
}

struct Writer {
    locale: Locale,
    depth: usize,
    names: bool,
    /// Whether arrays inside objects of their own show it.
    wrapped: bool,
}

impl Writer {
    fn json(
        &self,
        interpreter: &Interpreter<'_>,
        value: &Value,
        level: usize,
        cut: &mut bool,
    ) -> Json {
        match value {
            Value::Null | Value::Void => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Char(c) => Json::Text(c.to_string()),
            Value::Str(text) => Json::Text(text.as_ref().to_owned()),
            Value::Double(number) => Json::Number(real(*number, self.locale.edition)),
            Value::Guid(id) => Json::Text(guid_text(*id)),
            Value::DateTime(at) => Json::Text(self.date(*at)),
            Value::Enum(constant) if self.names => Json::Text(constant.name.as_ref().to_owned()),
            other if other.as_integer().is_some() => {
                Json::Number(other.as_integer().unwrap_or_default().to_string())
            }
            other if level > self.depth => {
                *cut = true;
                match other {
                    Value::Array(_) => Json::Text(interpreter.text_of(other)),
                    other => Json::Text(text::of(other, self.locale)),
                }
            }
            Value::Array(array) => {
                let items: Vec<Json> = array
                    .items()
                    .iter()
                    .map(|item| self.json(interpreter, item, level + 1, cut))
                    .collect();
                let count = items.len();
                if self.wrapped && array.is_wrapped() {
                    return Json::Object(vec![
                        ("value".to_owned(), Json::List(items)),
                        ("Count".to_owned(), Json::Number(count.to_string())),
                    ]);
                }
                Json::List(items)
            }
            Value::Bytes(bytes) => {
                Json::List(bytes.iter().map(|b| Json::Number(b.to_string())).collect())
            }
            Value::Hash(hash) => Json::Object(
                hash.pairs()
                    .iter()
                    .map(|(key, item)| {
                        (
                            text::of(key, self.locale),
                            self.json(interpreter, item, level + 1, cut),
                        )
                    })
                    .collect(),
            ),
            other => {
                if let Value::Native(native) = other
                    && let Some(items) = native.items()
                {
                    return self.json(interpreter, &Value::array(items), level, cut);
                }
                Json::Object(
                    interpreter
                        .properties(other)
                        .iter()
                        .map(|(name, item)| {
                            (name.clone(), self.json(interpreter, item, level + 1, cut))
                        })
                        .collect(),
                )
            }
        }
    }

    fn date(&self, at: DateTime) -> String {
        if self.locale.edition == Edition::Desktop {
            return format!("/Date({})/", at.unix_milliseconds(self.locale.offset));
        }
        // Newtonsoft: as many digits of the second as there are, and the zone.
        let civil = at.civil();
        let fraction = match at.fraction() {
            0 => String::new(),
            ticks => format!(".{ticks:07}").trim_end_matches('0').to_owned(),
        };
        let zone = match at.kind {
            Kind::Utc => "Z".to_owned(),
            Kind::Local(offset) => text::offset_text(offset),
            Kind::Unspecified => String::new(),
        };
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}{zone}",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second()
        )
    }
}

fn real(number: f64, edition: Edition) -> String {
    let text = text::double(number, edition);
    // Newtonsoft marks a double.
    if edition == Edition::Core && !text.contains(['.', 'E', 'N', 'I']) {
        format!("{text}.0")
    } else {
        text
    }
}

/// Quotes a text. 5.1 writes what could be markup as escapes, and `/` of a date behind a backslash.
fn quoted(text: &str, desktop: bool) -> String {
    let mut written = String::from("\"");
    if desktop && text.starts_with("/Date(") && text.ends_with(")/") {
        written.push_str(&text.replace('/', "\\/"));
        written.push('"');
        return written;
    }
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\u{8}' => written.push_str("\\b"),
            '\u{c}' => written.push_str("\\f"),
            '\'' | '<' | '>' | '&' if desktop => {
                written.extend([format!("\\u{:04x}", u32::from(c))]);
            }
            '\u{85}' | '\u{2028}' | '\u{2029}' => {
                written.extend([format!("\\u{:04x}", u32::from(c))]);
            }
            c if u32::from(c) < 0x20 => written.extend([format!("\\u{:04x}", u32::from(c))]),
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

fn compact(json: &Json, desktop: bool) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(truth) => truth.to_string(),
        Json::Number(number) => number.clone(),
        Json::Text(text) => quoted(text, desktop),
        Json::List(items) => {
            let items: Vec<String> = items.iter().map(|item| compact(item, desktop)).collect();
            format!("[{}]", items.join(","))
        }
        Json::Object(pairs) => {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(key, item)| format!("{}:{}", quoted(key, desktop), compact(item, desktop)))
                .collect();
            format!("{{{}}}", pairs.join(","))
        }
    }
}

/// Writes with indents: 5.1 puts what is inside below the end of its key, 7 two columns further in.
fn pretty(json: &Json, desktop: bool, column: usize, written: &mut String) {
    let (open, close, count) = match json {
        Json::List(items) => ('[', ']', items.len()),
        Json::Object(pairs) => ('{', '}', pairs.len()),
        other => {
            written.push_str(&compact(other, desktop));
            return;
        }
    };
    if count == 0 && !desktop {
        written.extend([open, close]);
        return;
    }
    let inner = column + if desktop { 4 } else { 2 };
    written.push(open);
    let mut first = true;
    let mut next = |written: &mut String| {
        if !std::mem::take(&mut first) {
            written.push(',');
        }
        written.push_str("\r\n");
        written.push_str(&" ".repeat(inner));
    };
    match json {
        Json::List(items) => {
            for item in items {
                next(written);
                pretty(item, desktop, inner, written);
            }
        }
        Json::Object(pairs) => {
            for (key, item) in pairs {
                next(written);
                let key = quoted(key, desktop);
                written.push_str(&key);
                written.push_str(if desktop { ":  " } else { ": " });
                let below = if desktop {
                    inner + key.chars().count() + 3
                } else {
                    inner
                };
                pretty(item, desktop, below, written);
            }
        }
        _ => {}
    }
    written.push_str("\r\n");
    if count == 0 {
        written.push_str("\r\n");
    }
    written.push_str(&" ".repeat(column));
    written.push(close);
}
