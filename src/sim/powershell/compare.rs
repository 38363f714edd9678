//! Comparisons: the right side becomes what the left one is; text compares without case unless asked.

use std::cmp::Ordering;
use std::sync::Arc;

use super::convert::{self, Number};
use super::error::{Category, ErrorRecord};
use super::text::{self, Locale};
use super::value::Value;

/// Whether two values are equal as `-eq` (`-ceq` with case) says.
pub(super) fn equal(left: &Value, right: &Value, case: bool, locale: Locale) -> bool {
    match (left, right) {
        (Value::Null, right) => right.is_null(),
        (_, Value::Null) => false,
        (Value::Str(left), right) => same_text(left, &text::of(right, locale), case),
        (Value::Char(left), Value::Str(right)) => same_text(&left.to_string(), right, case),
        (Value::Bool(left), right) => *left == convert::truth(right),
        (Value::Enum(left), Value::Str(right)) => {
            same_text(&left.name, right, false) || right.parse() == Ok(left.number)
        }
        (Value::Enum(left), Value::Enum(right)) => {
            left.type_name == right.type_name && left.number == right.number
        }
        (Value::Guid(_), right) => {
            let Ok(Value::Guid(right)) = convert::cast(right, "System.Guid", locale) else {
                return false;
            };
            matches!(left, Value::Guid(left) if *left == right)
        }
        (Value::DateTime(left), right) => match convert::cast(right, "System.DateTime", locale) {
            Ok(Value::DateTime(right)) => left.ticks == right.ticks,
            _ => false,
        },
        (Value::TimeSpan(left), right) => match convert::cast(right, "System.TimeSpan", locale) {
            Ok(Value::TimeSpan(right)) => *left == right,
            _ => false,
        },
        (Value::Version(left), right) => match convert::cast(right, "System.Version", locale) {
            Ok(Value::Version(right)) => *left == right,
            _ => false,
        },
        (Value::Type(left), Value::Type(right)) => left.0.eq_ignore_ascii_case(&right.0),
        (Value::Type(left), Value::Str(right)) => left.0.eq_ignore_ascii_case(right),
        (Value::Object(left), Value::Object(right)) => {
            Arc::ptr_eq(left, right) || left.handle().is_some() && left.handle() == right.handle()
        }
        (Value::Object(left), Value::Str(right)) => {
            left.text().is_some_and(|text| same_text(text, right, case))
        }
        (Value::Hash(left), Value::Hash(right)) => left.is_same(right),
        (Value::Array(left), Value::Array(right)) => left.is_same(right),
        (Value::ScriptBlock(left), Value::ScriptBlock(right)) => Arc::ptr_eq(left, right),
        (Value::Error(left), Value::Error(right)) => Arc::ptr_eq(left, right),
        (Value::Native(left), Value::Native(right)) => Arc::ptr_eq(left, right),
        (left, right) => {
            let scalar = |value: &Value| {
                matches!(value, Value::Double(_) | Value::Str(_)) || value.as_integer().is_some()
            };
            scalar(left)
                && scalar(right)
                && match (convert::number(left), convert::number(right)) {
                    (Some(left), Some(right)) => {
                        order_numbers(left, right) == Some(Ordering::Equal)
                    }
                    _ => false,
                }
        }
    }
}

fn same_text(left: &str, right: &str, case: bool) -> bool {
    if case {
        left == right
    } else {
        left == right || left.to_lowercase() == right.to_lowercase()
    }
}

/// Orders numbers; `None` when one is not a number.
pub(super) fn order_numbers(left: Number, right: Number) -> Option<Ordering> {
    match (left, right) {
        (Number::Whole(left), Number::Whole(right)) => Some(left.cmp(&right)),
        (left, right) => left.real().partial_cmp(&right.real()),
    }
}

/// Orders two values as `-lt` and its kin do, or says why they have no order.
pub(super) fn order(
    left: &Value,
    right: &Value,
    case: bool,
    locale: Locale,
) -> Result<Ordering, ErrorRecord> {
    let none = || not_comparable(left, right, locale);
    match (left, right) {
        (Value::Null, Value::Null) => Ok(Ordering::Equal),
        (Value::Null, right) => Ok(match convert::number(right) {
            Some(number) if number.real() < 0.0 => Ordering::Greater,
            _ => Ordering::Less,
        }),
        (left, Value::Null) => Ok(match convert::number(left) {
            Some(number) if number.real() < 0.0 => Ordering::Less,
            _ => Ordering::Greater,
        }),
        (Value::Str(left), right) => Ok(order_texts(left, &text::of(right, locale), case)),
        (Value::DateTime(left), right) => match convert::cast(right, "System.DateTime", locale)? {
            Value::DateTime(right) => Ok(left.ticks.cmp(&right.ticks)),
            _ => Err(none()),
        },
        (Value::TimeSpan(left), right) => match convert::cast(right, "System.TimeSpan", locale)? {
            Value::TimeSpan(right) => Ok(left.cmp(&right)),
            _ => Err(none()),
        },
        (Value::Version(left), right) => match convert::cast(right, "System.Version", locale)? {
            Value::Version(right) => Ok(left.cmp(&right)),
            _ => Err(none()),
        },
        (Value::Guid(left), Value::Guid(right)) => Ok(left.cmp(right)),
        (left, right) => {
            let number = |value: &Value| match value {
                Value::Double(_) | Value::Str(_) => convert::number(value),
                other => other.as_integer().map(Number::Whole),
            };
            match (number(left), number(right)) {
                (Some(left), Some(right)) => order_numbers(left, right).ok_or_else(none),
                _ => Err(none()),
            }
        }
    }
}

fn order_texts(left: &str, right: &str, case: bool) -> Ordering {
    if case {
        // Cultures put the small letter first.
        return left
            .to_lowercase()
            .cmp(&right.to_lowercase())
            .then_with(|| right.cmp(left));
    }
    left.to_lowercase().cmp(&right.to_lowercase())
}

fn not_comparable(left: &Value, right: &Value, locale: Locale) -> ErrorRecord {
    let (shown, other) = (text::of(left, locale), text::of(right, locale));
    if left.as_integer().is_none() && !matches!(left, Value::Double(_)) {
        let message = format!("Cannot compare \"{shown}\" because it is not IComparable.");
        return ErrorRecord::runtime(message, "NotIcomparable", Category::InvalidOperation);
    }
    let message = format!(
        "Could not compare \"{shown}\" to \"{other}\". Error: \"Cannot convert value \"{other}\" \
         to type \"{}\". Error: \"Input string was not in a correct format.\"\"",
        left.type_name().unwrap_or_default()
    );
    ErrorRecord::runtime(message, "ComparisonFailure", Category::InvalidOperation)
}
