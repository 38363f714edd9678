//! Shapes of answers, written as JSON with placeholders: what a table says about a body.

use serde_json::Value;

/// Fails unless a value has a shape. A text in angle brackets stands for a kind of value; every other
/// value stands for itself. An object has exactly the members named, unless `"<more>"` is among them; a
/// list `["<each>", X]` holds any number of `X`.
#[track_caller]
pub(crate) fn check(value: &Value, shape: &Value) {
    if let Err(why) = fits(value, shape, "") {
        panic!("{why}\nin {value:#}\nwhich is to be like {shape:#}");
    }
}

fn fits(value: &Value, shape: &Value, at: &str) -> Result<(), String> {
    match (shape, value) {
        (Value::String(kind), _) if kind.starts_with('<') => {
            if is(value, kind) {
                Ok(())
            } else {
                Err(format!("{at}: {value} is no {kind}"))
            }
        }
        (Value::Object(wanted), Value::Object(there)) => {
            let open = wanted.contains_key("<more>");
            for (name, shape) in wanted.iter().filter(|(name, _)| *name != "<more>") {
                let value = there.get(name);
                let value = value.ok_or_else(|| format!("{at}: {name} is missing"))?;
                fits(value, shape, &format!("{at}.{name}"))?;
            }
            match there.keys().find(|name| !wanted.contains_key(*name)) {
                Some(name) if !open => Err(format!("{at}: {name} is not on the page")),
                _ => Ok(()),
            }
        }
        (Value::Array(wanted), Value::Array(there)) => match wanted.as_slice() {
            [Value::String(each), shape] if each == "<each>" => there
                .iter()
                .enumerate()
                .try_for_each(|(n, value)| fits(value, shape, &format!("{at}[{n}]"))),
            _ if wanted.len() == there.len() => wanted
                .iter()
                .zip(there)
                .enumerate()
                .try_for_each(|(n, (shape, value))| fits(value, shape, &format!("{at}[{n}]"))),
            _ => Err(format!("{at}: {} items, not {}", there.len(), wanted.len())),
        },
        _ if shape == value => Ok(()),
        _ => Err(format!("{at}: {value} is not {shape}")),
    }
}

fn is(value: &Value, kind: &str) -> bool {
    let text = value.as_str();
    let with_unit = |unit: &str, digits: fn(&str) -> bool| {
        text.is_some_and(|text| {
            text == "Not available" || text.strip_suffix(unit).is_some_and(digits)
        })
    };
    let whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        "<text>" => value.is_string(),
        "<words>" => text.is_some_and(|text| !text.is_empty()),
        "<text or null>" => value.is_string() || value.is_null(),
        "<integer>" => value.is_i64(),
        "<number as text>" => text.is_some_and(whole),
        "<time>" => text.is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        "<bool>" => value.is_boolean(),
        "<uuid>" => text.is_some_and(|text| vmdeck::domain::vm::VmId::parse(text).is_some()),
        "<cores>" => with_unit(" cores", |n| n.parse::<u32>().is_ok()) || text == Some("1 core"),
        "<percent>" => with_unit("%", |n| n.parse::<u32>().is_ok()),
        "<gigabytes>" => with_unit(" GB", |n| {
            n.split_once('.')
                .is_some_and(|(a, b)| a.parse::<u32>().is_ok() && b.len() == 1)
        }),
        // [d.]hh:mm:ss
        "<span>" => text.is_some_and(|text| {
            text == "Not available"
                || text.rsplit('.').next().is_some_and(|clock| {
                    clock.len() == 8 && clock.split(':').all(|part| part.len() == 2)
                })
        }),
        "<address>" => text.is_some_and(|text| {
            text == "Not available" || text.parse::<std::net::IpAddr>().is_ok()
        }),
        other => panic!("{other} is no kind of value"),
    }
}
