//! Methods of strings.

use crate::sim::powershell::error::Exception;
use crate::sim::powershell::text::{self, Locale};
use crate::sim::powershell::value::Value;

use super::collections::Answer;

/// Calls a method of a string; case matters unless a comparison says otherwise.
pub(super) fn method(this: &str, name: &str, arguments: &[Value], locale: Locale) -> Answer {
    let words: Vec<String> = arguments
        .iter()
        .map(|value| text::of(value, locale))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(Ok(match (name, words.as_slice()) {
        ("toupper" | "toupperinvariant", []) => Value::from(this.to_uppercase()),
        ("tolower" | "tolowerinvariant", []) => Value::from(this.to_lowercase()),
        ("tostring" | "clone" | "normalize", _) => Value::str(this),
        ("trim", []) => Value::str(this.trim()),
        ("trimstart", []) => Value::str(this.trim_start()),
        ("trimend", []) => Value::str(this.trim_end()),
        ("trim", sets) => {
            let set = sets.concat();
            Value::str(this.trim_matches(|c| set.contains(c)))
        }
        ("trimstart", sets) => {
            let set = sets.concat();
            Value::str(this.trim_start_matches(|c| set.contains(c)))
        }
        ("trimend", sets) => {
            let set = sets.concat();
            Value::str(this.trim_end_matches(|c| set.contains(c)))
        }
        ("contains", [part]) => Value::Bool(this.contains(part)),
        ("startswith", [part]) => Value::Bool(this.starts_with(part)),
        ("endswith", [part]) => Value::Bool(this.ends_with(part)),
        ("startswith", [part, how]) => {
            let (this, part) = folded(this, part, how);
            Value::Bool(this.starts_with(&part))
        }
        ("endswith", [part, how]) => {
            let (this, part) = folded(this, part, how);
            Value::Bool(this.ends_with(&part))
        }
        ("equals", [other]) => Value::Bool(this == *other),
        ("equals", [other, how]) => {
            let (this, other) = folded(this, other, how);
            Value::Bool(this == other)
        }
        ("compareto", [other]) => {
            Value::Int(match this.to_lowercase().cmp(&other.to_lowercase()) {
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => 1,
            })
        }
        ("replace", ["", _]) => {
            return Some(Err(Exception::new(
                "System.ArgumentException",
                "String cannot be of zero length.\r\nParameter name: oldValue",
            )));
        }
        ("replace", [from, to]) => Value::from(this.replace(from, to)),
        ("indexof", [part, ..]) => units(this, this.find(part)),
        ("lastindexof", [part]) => units(this, this.rfind(part)),
        ("split", _) => split(this, arguments, locale),
        ("padleft", [width, rest @ ..]) => padded(this, width, rest, true),
        ("padright", [width, rest @ ..]) => padded(this, width, rest, false),
        ("tochararray", []) => Value::typed_array("System.Char", this.chars().map(Value::Char)),
        ("chars" | "get_chars", [place]) => {
            let place = place.parse().ok();
            place
                .and_then(|place| this.chars().nth(place))
                .map_or(Value::Null, Value::Char)
        }
        ("substring", [start]) => return Some(substring(this, start, None)),
        ("substring", [start, length]) => return Some(substring(this, start, Some(length))),
        ("remove", [start]) => return Some(substring(this, "0", Some(start))),
        ("insert", [place, part]) => {
            let head = substring(this, "0", Some(place));
            let tail = substring(this, place, None);
            match (head, tail) {
                (Ok(Value::Str(head)), Ok(Value::Str(tail))) => {
                    Value::from(format!("{head}{part}{tail}"))
                }
                (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
                _ => Value::Null,
            }
        }
        _ => return None,
    }))
}

fn folded(this: &str, part: &str, how: &str) -> (String, String) {
    if how.to_ascii_lowercase().ends_with("ignorecase") || how.eq_ignore_ascii_case("true") {
        (this.to_lowercase(), part.to_lowercase())
    } else {
        (this.to_owned(), part.to_owned())
    }
}

/// Turns a byte's place into one in UTF-16 units; -1 for none.
fn units(this: &str, place: Option<usize>) -> Value {
    let units = place
        .and_then(|place| this.get(..place))
        .map(|head| head.encode_utf16().count());
    units.map_or(Value::Int(-1), super::int)
}

fn substring(this: &str, start: &str, length: Option<&str>) -> Result<Value, Exception> {
    let units: Vec<u16> = this.encode_utf16().collect();
    let out_of_range = |what: &str, message: &str| {
        Exception::new(
            "System.ArgumentOutOfRangeException",
            format!("{message}\r\nParameter name: {what}"),
        )
    };
    let Some(start) = start
        .parse::<usize>()
        .ok()
        .filter(|start| *start <= units.len())
    else {
        return Err(out_of_range(
            "startIndex",
            "startIndex cannot be larger than length of string.",
        ));
    };
    let end = match length {
        None => units.len(),
        Some(length) => match length.parse::<usize>() {
            Ok(length) => start.saturating_add(length),
            Err(_) => usize::MAX,
        },
    };
    units.get(start..end).map_or_else(
        || {
            Err(out_of_range(
                "length",
                "Index and length must refer to a location within the string.",
            ))
        },
        |part| Ok(Value::from(String::from_utf16_lossy(part))),
    )
}

/// Splits at characters, as a string of 5.1 does; a text in an array is one separator.
fn split(this: &str, arguments: &[Value], locale: Locale) -> Value {
    let removes = arguments
        .iter()
        .any(|value| text::of(value, locale).eq_ignore_ascii_case("RemoveEmptyEntries"));
    let limit = arguments
        .iter()
        .skip(1)
        .find_map(|value| match value {
            Value::Int(limit) => usize::try_from(*limit).ok(),
            _ => None,
        })
        .unwrap_or(usize::MAX);
    let separators: Vec<String> = match arguments.first() {
        None => vec![
            " ".to_owned(),
            "\t".to_owned(),
            "\n".to_owned(),
            "\r".to_owned(),
        ],
        Some(Value::Str(set))
            if locale.edition == crate::sim::powershell::machine::Edition::Core =>
        {
            // .NET has an overload for a string, which 5.1 lacks.
            vec![set.as_ref().to_owned()]
        }
        Some(Value::Str(set)) => set.chars().map(|c| c.to_string()).collect(),
        Some(other) => other
            .items()
            .iter()
            .map(|part| text::of(part, locale))
            .collect(),
    };
    let mut parts = Vec::new();
    let mut rest = this;
    while parts.len() + 1 < limit {
        let next = separators
            .iter()
            .filter(|separator| !separator.is_empty())
            .filter_map(|separator| {
                rest.find(separator.as_str())
                    .map(|place| (place, separator.len()))
            })
            .min();
        let Some((place, length)) = next else { break };
        parts.push(rest.get(..place).unwrap_or_default());
        rest = rest.get(place + length..).unwrap_or_default();
    }
    parts.push(rest);
    Value::typed_array(
        "System.String",
        parts
            .into_iter()
            .filter(|part| !removes || !part.is_empty())
            .map(Value::from),
    )
}

fn padded(this: &str, width: &str, fills: &[&str], left: bool) -> Value {
    let width = width.parse().unwrap_or(0).min(100_000_usize);
    let fill = fills
        .first()
        .and_then(|fill| fill.chars().next())
        .unwrap_or(' ');
    let missing = width.saturating_sub(this.encode_utf16().count());
    let padding: String = std::iter::repeat_n(fill, missing).collect();
    Value::from(if left {
        format!("{padding}{this}")
    } else {
        format!("{this}{padding}")
    })
}
