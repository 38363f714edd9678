//! Values as text: what a string makes of a number, a date, a list or an object.

use super::machine::Edition;
use super::object::{Hash, Object};
use super::time::{DateTime, Kind};
use super::types;
use super::value::{Value, guid_text};

/// What texts depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Locale {
    pub(super) edition: Edition,
    /// Seconds east of UTC.
    pub(super) offset: i32,
    /// Whether numbers and dates are written as in Germany.
    pub(super) german: bool,
}

/// Returns what `"$value"` and `[string]` make of a value; independent of the culture.
pub(super) fn of(value: &Value, locale: Locale) -> String {
    match value {
        Value::Null | Value::Void => String::new(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Char(c) => c.to_string(),
        Value::Double(number) => double(*number, locale.edition),
        Value::Str(text) => text.as_ref().to_owned(),
        Value::Array(_) | Value::Bytes(_) => joined(&value.items(), " ", locale),
        Value::Hash(hash) => hash.type_name().to_owned(),
        Value::Object(object) => of_object(object, locale),
        Value::Enum(constant) => constant.name.as_ref().to_owned(),
        Value::DateTime(at) => {
            let at = at.civil();
            format!(
                "{:02}/{:02}/{:04} {:02}:{:02}:{:02}",
                at.month(),
                at.day(),
                at.year(),
                at.hour(),
                at.minute(),
                at.second()
            )
        }
        Value::TimeSpan(span) => span.to_string(),
        Value::Guid(id) => guid_text(*id),
        Value::Version(version) => version.to_string(),
        Value::ScriptBlock(block) => block.text(),
        Value::Type(name) => types::shown(&name.0),
        Value::Error(record) => record.message().to_owned(),
        Value::Native(native) => native.text(),
        number => number
            .as_integer()
            .map(|number| number.to_string())
            .unwrap_or_default(),
    }
}

/// Returns texts of values with something between them.
pub(super) fn joined(items: &[Value], between: &str, locale: Locale) -> String {
    let texts: Vec<String> = items
        .iter()
        .map(|item| match item {
            // An array in an array is not looked into.
            Value::Array(array) => format!("{}[]", array.element()),
            item => of(item, locale),
        })
        .collect();
    texts.join(between)
}

fn of_object(object: &Object, locale: Locale) -> String {
    if let Some(text) = object.text() {
        return text.as_ref().to_owned();
    }
    if object.is_custom() {
        let pairs: Vec<String> = object
            .properties()
            .iter()
            .map(|(name, value)| format!("{name}={}", inner(value, locale)))
            .collect();
        return format!("@{{{}}}", pairs.join("; "));
    }
    object.type_name().to_owned()
}

fn inner(value: &Value, locale: Locale) -> String {
    match value {
        // Objects may know each other.
        Value::Object(object) if object.text().is_none() => {
            if object.is_custom() {
                String::new()
            } else {
                object.type_name().to_owned()
            }
        }
        Value::Array(array) => format!("{}[]", array.element()),
        other => of(other, locale),
    }
}

/// Returns what `.ToString()` answers; numbers and dates follow the culture.
pub(super) fn to_string(value: &Value, locale: Locale) -> String {
    match value {
        Value::Double(number) => {
            let text = double(*number, locale.edition);
            if locale.german {
                text.replace('.', ",")
            } else {
                text
            }
        }
        Value::DateTime(at) => general_date(*at, locale.german),
        Value::Array(array) => format!("{}[]", array.element()),
        Value::Bytes(_) => "System.Byte[]".to_owned(),
        Value::Type(name) => name.0.as_ref().to_owned(),
        other => of(other, locale),
    }
}

/// Returns the general form of a date in a culture.
pub(super) fn general_date(at: DateTime, german: bool) -> String {
    let at = at.civil();
    if german {
        return format!(
            "{:02}.{:02}.{:04} {:02}:{:02}:{:02}",
            at.day(),
            at.month(),
            at.year(),
            at.hour(),
            at.minute(),
            at.second()
        );
    }
    let half = if at.hour() < 12 { "AM" } else { "PM" };
    let hour = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    format!(
        "{}/{}/{} {}:{:02}:{:02} {half}",
        at.month(),
        at.day(),
        at.year(),
        hour,
        at.minute(),
        at.second()
    )
}

/// Returns the round-trip form of a date (`ToString('o')`).
pub(super) fn round_trip(at: DateTime) -> String {
    let civil = at.civil();
    let zone = match at.kind {
        Kind::Unspecified => String::new(),
        Kind::Utc => "Z".to_owned(),
        Kind::Local(offset) => offset_text(offset),
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}{zone}",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second(),
        at.fraction()
    )
}

/// Returns a distance from UTC as `+02:00`.
pub(super) fn offset_text(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Returns a double as .NET writes it: 15 digits in 5.1, as many as it takes in 7.
pub(super) fn double(number: f64, edition: Edition) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() && edition == Edition::Core {
            "-0".to_owned()
        } else {
            "0".to_owned()
        };
    }
    let written = match edition {
        Edition::Desktop => format!("{number:.14e}"),
        Edition::Core => format!("{number:e}"),
    };
    let Some((mantissa, exponent)) = written.split_once('e') else {
        return written;
    };
    let negative = mantissa.starts_with('-');
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let placed = placed(digits, exponent);
    if negative {
        format!("-{placed}")
    } else {
        placed
    }
}

fn placed(digits: &str, exponent: i32) -> String {
    if !(-5..15).contains(&exponent) {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{first}{point}{rest}E{sign}{:02}", exponent.abs());
    }
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    if exponent < 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("0.{}{digits}", "0".repeat(zeros));
    }
    if count <= exponent + 1 {
        let zeros = usize::try_from(exponent + 1 - count).unwrap_or(0);
        return format!("{digits}{}", "0".repeat(zeros));
    }
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    let (whole, part) = digits.split_at_checked(whole).unwrap_or((digits, "0"));
    format!("{whole}.{part}")
}

/// Makes an object of a table, as `[pscustomobject]` does.
pub(super) fn object_of(hash: &Hash, locale: Locale) -> Object {
    let object = Object::custom();
    for (key, value) in hash.pairs() {
        object.set(&of(&key, locale), value);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_read_as_in_dotnet() {
        for (number, desktop, core) in [
            (0.1 + 0.2, "0.3", "0.30000000000000004"),
            (1.5, "1.5", "1.5"),
            (100.0, "100", "100"),
            (1e20, "1E+20", "1E+20"),
            (1e-7, "1E-07", "1E-07"),
            (123_456_789.125, "123456789.125", "123456789.125"),
            (-2.5, "-2.5", "-2.5"),
            (1.0 / 3.0, "0.333333333333333", "0.3333333333333333"),
        ] {
            assert_eq!(double(number, Edition::Desktop), desktop);
            assert_eq!(double(number, Edition::Core), core);
        }
    }
}
