//! Conversions as PowerShell does them: casts, conditions and what operators need. Failures carry
//! the identifiers PowerShell gives them.

use std::sync::Arc;

use super::dates;
use super::error::{Category, ErrorRecord, Exception};
use super::native::{Encoding, Native};
use super::object::CUSTOM_OBJECT;
use super::text::{self, Locale};
use super::time::{DateTime, TimeSpan};
use super::types;
use super::value::{TypeName, Value, Version, parse_guid};

type Converted = Result<Value, ErrorRecord>;

/// Returns what a condition makes of a value.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null | Value::Void => false,
        Value::Str(text) => !text.is_empty(),
        Value::Double(number) => *number != 0.0,
        Value::Array(array) => match array.len() {
            0 => false,
            1 => array.get(0).is_some_and(|only| truth(&only)),
            _ => true,
        },
        Value::Bytes(bytes) => match bytes.as_ref() {
            [] => false,
            [only] => *only != 0,
            _ => true,
        },
        other => other.as_integer().is_none_or(|number| number != 0),
    }
}

/// A number as operators take it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    /// Returns it as a double.
    #[expect(clippy::cast_precision_loss, reason = "as .NET converts to double")]
    pub(super) fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

/// Reads a value as a number; `None` when it is none.
pub(super) fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Null | Value::Void => Some(Number::Whole(0)),
        Value::Double(number) => Some(Number::Real(*number)),
        Value::Str(text) => parse_number(text),
        other => other.as_integer().map(Number::Whole),
    }
}

/// Reads a text as a number: decimal, hexadecimal, with an exponent; an empty one is zero.
pub(super) fn parse_number(text: &str) -> Option<Number> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Number::Whole(0));
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(hex) = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        return i128::from_str_radix(hex, 16)
            .ok()
            .map(|number| Number::Whole(sign * number));
    }
    let plain = digits
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !plain {
        return None;
    }
    match digits.parse::<i128>() {
        Ok(number) => Some(Number::Whole(sign * number)),
        Err(_) => text.parse().ok().map(Number::Real),
    }
}

/// Converts a value to a type by the type's full name.
pub(super) fn cast(value: &Value, full: &str, locale: Locale) -> Converted {
    if let Some(element) = full.strip_suffix("[]") {
        return to_array(value, element, locale);
    }
    match full {
        "System.Object" | "System.Management.Automation.PSObject" | CUSTOM_OBJECT => {
            Ok(to_object(value, full, locale))
        }
        "System.String" => Ok(match value {
            Value::Str(_) => value.clone(),
            other => Value::from(text::of(other, locale)),
        }),
        "System.Boolean" | "System.Management.Automation.SwitchParameter" => {
            Ok(Value::Bool(truth(value)))
        }
        "System.Char" => to_char(value),
        "System.Byte" | "System.UInt16" | "System.Int32" | "System.UInt32" | "System.Int64"
        | "System.UInt64" => to_whole(value, full, locale),
        "System.Double" => to_double(value, locale),
        "System.Guid" => to_guid(value, locale),
        "System.DateTime" => to_date(value, locale),
        "System.TimeSpan" => to_span(value, locale),
        "System.Version" => to_version(value, locale),
        "System.Collections.Hashtable"
        | "System.Collections.Specialized.OrderedDictionary"
        | "System.Management.Automation.ScriptBlock"
        | "System.Management.Automation.ErrorRecord" => {
            if value.type_name().as_deref() == Some(full) || value.is_null() {
                Ok(value.clone())
            } else {
                Err(cannot(value, full, locale))
            }
        }
        "System.Type" => match value {
            Value::Type(_) => Ok(value.clone()),
            Value::Str(name) => Ok(Value::Type(TypeName(Arc::from(types::full_name(name))))),
            _ => Err(cannot(value, full, locale)),
        },
        "System.Array" => to_array(value, "System.Object", locale),
        "System.Void" => Ok(Value::Void),
        "System.Text.RegularExpressions.Regex" => regex::Regex::new(&text::of(value, locale))
            .map(|regex| Value::Native(Arc::new(Native::Regex(Box::new(regex)))))
            .map_err(|_not_a_pattern| cannot(value, full, locale)),
        "System.Text.Encoding" if matches!(value, Value::Native(native) if matches!(**native, Native::Encoding(_))) => {
            Ok(value.clone())
        }
        "System.Text.Encoding" => match value.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("utf8" | "utf-8") => Ok(encoding(Encoding::Utf8 { marked: true })),
            Some("ascii") => Ok(encoding(Encoding::Ascii)),
            Some("unicode") => Ok(encoding(Encoding::Utf16)),
            _ => Err(cannot(value, full, locale)),
        },
        _ => to_other(value, full, locale),
    }
}

/// Makes an encoding's object.
pub(super) fn encoding(encoding: Encoding) -> Value {
    Value::Native(Arc::new(Native::Encoding(encoding)))
}

/// Converts to an enumeration or a class of the machine's: what is of it already stays as it is.
fn to_other(value: &Value, full: &str, locale: Locale) -> Converted {
    let is_one = match value {
        Value::Object(object) => object.is(full),
        Value::Null => return Err(null_to(full)),
        other => other
            .type_name()
            .is_some_and(|name| name.eq_ignore_ascii_case(full)),
    };
    if is_one {
        Ok(value.clone())
    } else {
        Err(cannot(value, full, locale))
    }
}

fn to_object(value: &Value, full: &str, locale: Locale) -> Value {
    match value {
        Value::Hash(hash) if full == CUSTOM_OBJECT => text::object_of(hash, locale).into(),
        other => other.clone(),
    }
}

fn to_array(value: &Value, element: &str, locale: Locale) -> Converted {
    let Some(element) = types::known(element) else {
        return Err(cannot(value, element, locale));
    };
    if let (Value::Bytes(_), "System.Byte") = (value, element) {
        return Ok(value.clone());
    }
    if let Value::Array(array) = value
        && array.element() == element
    {
        return Ok(value.clone());
    }
    if value.is_null() {
        return Ok(Value::Null);
    }
    let items = value
        .items()
        .iter()
        .map(|item| cast(item, element, locale))
        .collect::<Result<Vec<Value>, ErrorRecord>>()?;
    if element == "System.Byte" {
        let bytes: Vec<u8> = items
            .iter()
            .filter_map(|item| item.as_integer().and_then(|n| u8::try_from(n).ok()))
            .collect();
        return Ok(Value::Bytes(Arc::from(bytes)));
    }
    Ok(Value::typed_array(element, items))
}

fn to_char(value: &Value) -> Converted {
    if let Value::Str(text) = value {
        let mut chars = text.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            return Ok(Value::Char(c));
        }
    } else if let Some(c) = value
        .as_integer()
        .and_then(|number| u32::try_from(number).ok())
        .and_then(char::from_u32)
    {
        return Ok(Value::Char(c));
    }
    Err(cannot(value, "System.Char", Locale::default()))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast of floats saturates, and what is out of range is refused below"
)]
fn to_whole(value: &Value, full: &str, locale: Locale) -> Converted {
    let number = match value {
        Value::Array(_) | Value::Bytes(_) => return Err(cannot(value, full, locale)),
        Value::Str(text) => parse_number(text)
            .ok_or_else(|| not_a_number(value, full, locale, "InvalidCastFromStringToInteger"))?,
        other => number(other).ok_or_else(|| cannot(value, full, locale))?,
    };
    let whole = match number {
        Number::Whole(number) => number,
        Number::Real(real) if real.is_finite() => real.round_ties_even() as i128,
        Number::Real(_) => return Err(too_large(value, full, locale)),
    };
    whole_as(whole, full).ok_or_else(|| too_large(value, full, locale))
}

/// Makes a whole number of a type; `None` when it does not fit.
pub(super) fn whole_as(number: i128, full: &str) -> Option<Value> {
    match full {
        "System.Byte" => u8::try_from(number).ok().map(Value::Byte),
        "System.UInt16" => u16::try_from(number).ok().map(Value::UInt16),
        "System.Int32" => i32::try_from(number).ok().map(Value::Int),
        "System.UInt32" => u32::try_from(number).ok().map(Value::UInt32),
        "System.Int64" => i64::try_from(number).ok().map(Value::Long),
        "System.UInt64" => u64::try_from(number).ok().map(Value::UInt64),
        _ => None,
    }
}

fn to_double(value: &Value, locale: Locale) -> Converted {
    match number(value) {
        Some(number) => Ok(Value::Double(number.real())),
        None if matches!(value, Value::Str(_)) => Err(not_a_number(
            value,
            "System.Double",
            locale,
            "InvalidCastFromStringToDoubleOrSingle",
        )),
        None => Err(cannot(value, "System.Double", locale)),
    }
}

fn to_guid(value: &Value, locale: Locale) -> Converted {
    match value {
        Value::Guid(_) => Ok(value.clone()),
        Value::Str(text) => parse_guid(text).map(Value::Guid).ok_or_else(|| {
            let why = "Guid should contain 32 digits with 4 dashes \
                       (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx).";
            failed(
                value,
                "System.Guid",
                locale,
                why,
                "InvalidCastParseTargetInvocation",
            )
        }),
        Value::Null => Err(null_to("System.Guid")),
        _ => Err(cannot(value, "System.Guid", locale)),
    }
}

fn to_date(value: &Value, locale: Locale) -> Converted {
    match value {
        Value::DateTime(_) => Ok(value.clone()),
        Value::Str(text) => dates::parse(text, locale.offset)
            .map(Value::DateTime)
            .ok_or_else(|| {
                let why = "String was not recognized as a valid DateTime.";
                let id = "InvalidCastParseTargetInvocationWithFormatProvider";
                failed(value, "System.DateTime", locale, why, id)
            }),
        Value::Null => Err(null_to("System.DateTime")),
        Value::Int(_) | Value::Long(_) => {
            let ticks = value.as_integer().and_then(|n| i64::try_from(n).ok());
            Ok(Value::DateTime(DateTime {
                ticks: ticks.unwrap_or_default(),
                kind: super::time::Kind::Unspecified,
            }))
        }
        _ => Err(cannot(value, "System.DateTime", locale)),
    }
}

fn to_span(value: &Value, locale: Locale) -> Converted {
    match value {
        Value::TimeSpan(_) => Ok(value.clone()),
        Value::Str(text) => dates::parse_span(text).map(Value::TimeSpan).ok_or_else(|| {
            let why = "String was not recognized as a valid TimeSpan.";
            let id = "InvalidCastParseTargetInvocationWithFormatProvider";
            failed(value, "System.TimeSpan", locale, why, id)
        }),
        Value::Null => Err(null_to("System.TimeSpan")),
        other => match other.as_integer().and_then(|n| i64::try_from(n).ok()) {
            Some(ticks) => Ok(Value::TimeSpan(TimeSpan { ticks })),
            None => Err(cannot(value, "System.TimeSpan", locale)),
        },
    }
}

fn to_version(value: &Value, locale: Locale) -> Converted {
    match value {
        Value::Version(_) | Value::Null => Ok(value.clone()),
        other => Version::parse(&text::of(other, locale))
            .map(Value::Version)
            .ok_or_else(|| cannot(value, "System.Version", locale)),
    }
}

/// Says that a value is no number of that type.
fn not_a_number(value: &Value, full: &str, locale: Locale, id: &str) -> ErrorRecord {
    let why = "Input string was not in a correct format.";
    failed(value, full, locale, why, id)
}

fn too_large(value: &Value, full: &str, locale: Locale) -> ErrorRecord {
    let short = full.rsplit('.').next().unwrap_or(full);
    let article = if short.starts_with('I') { "an" } else { "a" };
    let why = format!("Value was either too large or too small for {article} {short}.");
    failed(value, full, locale, &why, "InvalidCastIConvertible")
}

fn failed(value: &Value, full: &str, locale: Locale, why: &str, id: &str) -> ErrorRecord {
    let message = format!(
        "Cannot convert value \"{}\" to type \"{full}\". Error: \"{why}\"",
        text::of(value, locale)
    );
    cast_error(message, id).caused_by(Exception::new("System.FormatException", why))
}

fn cannot(value: &Value, full: &str, locale: Locale) -> ErrorRecord {
    let message = format!(
        "Cannot convert the \"{}\" value of type \"{}\" to type \"{full}\".",
        text::to_string(value, locale),
        value.type_name().unwrap_or_default()
    );
    cast_error(message, "ConvertToFinalInvalidCastException")
}

fn null_to(full: &str) -> ErrorRecord {
    let message = format!("Cannot convert null to type \"{full}\".");
    cast_error(message, "nullToObjectInvalidCast")
}

fn cast_error(message: String, id: &str) -> ErrorRecord {
    // The exception a script sees is a RuntimeException around the cast's own.
    ErrorRecord::runtime(message.clone(), id, Category::InvalidArgument).caused_by(Exception {
        type_name: "System.Management.Automation.PSInvalidCastException".to_owned(),
        message,
        hresult: 0x8000_4002_u32.cast_signed(),
    })
}
