//! Operators between values: arithmetic, bits, lists and text. Comparisons of lists filter them.

use super::ast::{Binary, Comparison};
use super::compare;
use super::convert::{self, Number};
use super::error::{Category, ErrorRecord, Exception};
use super::format;
use super::object::Hash;
use super::pattern;
use super::text::{self, Locale};
use super::time::{DateTime, TimeSpan};
use super::value::Value;

type Computed = Result<Value, ErrorRecord>;

/// Items an operator may make at most; a real host would run out of memory first.
const MAX_ITEMS: i128 = 1_000_000;

/// Applies an operator to evaluated operands; `-and`, `-or` and `-is` are the interpreter's.
pub(super) fn binary(operator: Binary, left: &Value, right: &Value, locale: Locale) -> Computed {
    match operator {
        Binary::Add => add(left, right, locale),
        Binary::Subtract | Binary::Divide | Binary::Remainder => {
            arithmetic(operator, left, right, locale)
        }
        Binary::Multiply => multiply(left, right, locale),
        Binary::BitAnd
        | Binary::BitOr
        | Binary::BitXor
        | Binary::ShiftLeft
        | Binary::ShiftRight => bits(operator, left, right, locale),
        Binary::Range => range(left, right, locale),
        Binary::Format => format::apply(left, right, locale),
        Binary::Join => Ok(Value::from(text::joined(
            &left.items(),
            &text::of(right, locale),
            locale,
        ))),
        Binary::Compare(comparison, case) => compared(comparison, case, left, right, locale),
        Binary::And => Ok(Value::Bool(convert::truth(left) && convert::truth(right))),
        Binary::Or => Ok(Value::Bool(convert::truth(left) || convert::truth(right))),
        Binary::Xor => Ok(Value::Bool(convert::truth(left) != convert::truth(right))),
        Binary::Is | Binary::IsNot | Binary::As => Ok(Value::Null),
    }
}

fn add(left: &Value, right: &Value, locale: Locale) -> Computed {
    match (left, right) {
        (Value::Null, right) => Ok(right.clone()),
        (Value::Array(_) | Value::Bytes(_), right) => {
            let mut items = left.items();
            match right {
                Value::Array(_) | Value::Bytes(_) => items.extend(right.items()),
                other => items.push(other.clone()),
            }
            Ok(Value::array(items))
        }
        (Value::Str(left), right) => Ok(Value::from(format!("{left}{}", text::of(right, locale)))),
        (Value::Char(left), Value::Str(right)) => Ok(Value::from(format!("{left}{right}"))),
        (Value::Hash(left), Value::Hash(right)) => {
            let merged = Hash::new();
            for (key, value) in left.pairs() {
                merged.set(key, value);
            }
            for (key, value) in right.pairs() {
                if merged.get(&key).is_some() {
                    let shown = text::of(&key, locale);
                    let message = format!(
                        "Item has already been added. Key in dictionary: '{shown}'  Key being \
                         added: '{shown}'"
                    );
                    let inner = Exception::new("System.ArgumentException", message);
                    return Err(ErrorRecord::in_method("Add", 2, inner));
                }
                merged.set(key, value);
            }
            Ok(Value::Hash(merged))
        }
        (Value::DateTime(at), Value::TimeSpan(span)) => Ok(Value::DateTime(DateTime {
            ticks: at.ticks.saturating_add(span.ticks),
            kind: at.kind,
        })),
        (Value::TimeSpan(left), Value::TimeSpan(right)) => Ok(Value::TimeSpan(TimeSpan {
            ticks: left.ticks.saturating_add(right.ticks),
        })),
        (left, right) => arithmetic(Binary::Add, left, right, locale),
    }
}

fn multiply(left: &Value, right: &Value, locale: Locale) -> Computed {
    let times = |count: &Value| -> Result<usize, ErrorRecord> {
        let count = convert::cast(count, "System.Int32", locale)?;
        let count = count.as_integer().unwrap_or(0);
        usize::try_from(count).map_err(|_out_of_range| {
            let inner = Exception::new(
                "System.ArgumentOutOfRangeException",
                "Specified argument was out of the range of valid values.",
            );
            ErrorRecord::in_method("op_Multiply", 2, inner)
        })
    };
    match left {
        Value::Str(text) => {
            let count = times(right)?;
            if i128::try_from(count.saturating_mul(text.len())).unwrap_or(i128::MAX) > MAX_ITEMS {
                return Err(out_of_memory());
            }
            Ok(Value::from(text.repeat(count)))
        }
        Value::Array(array) => {
            let count = times(right)?;
            let items = array.items();
            if i128::try_from(count.saturating_mul(items.len())).unwrap_or(i128::MAX) > MAX_ITEMS {
                return Err(out_of_memory());
            }
            let total = items.len().saturating_mul(count);
            Ok(Value::array(items.into_iter().cycle().take(total)))
        }
        left => arithmetic(Binary::Multiply, left, right, locale),
    }
}

fn out_of_memory() -> ErrorRecord {
    let message = "Insufficient memory to continue the execution of the program.";
    ErrorRecord::new(
        "System.OutOfMemoryException",
        message,
        "System.OutOfMemoryException",
        Category::NotSpecified,
    )
    .terminating()
}

fn arithmetic(operator: Binary, left: &Value, right: &Value, locale: Locale) -> Computed {
    match (operator, left, right) {
        (Binary::Subtract, Value::DateTime(left), Value::DateTime(right)) => {
            return Ok(Value::TimeSpan(TimeSpan {
                ticks: left.ticks.saturating_sub(right.ticks),
            }));
        }
        (Binary::Subtract, Value::DateTime(at), Value::TimeSpan(span)) => {
            return Ok(Value::DateTime(DateTime {
                ticks: at.ticks.saturating_sub(span.ticks),
                kind: at.kind,
            }));
        }
        (Binary::Subtract, Value::TimeSpan(left), Value::TimeSpan(right)) => {
            return Ok(Value::TimeSpan(TimeSpan {
                ticks: left.ticks.saturating_sub(right.ticks),
            }));
        }
        _ => {}
    }
    let a = operand(operator, left, left, locale)?;
    let b = operand(operator, right, left, locale)?;
    let long = [left, right].iter().any(|side| {
        matches!(side, Value::Long(_) | Value::UInt32(_))
            || matches!((side, convert::number(side)),
                (Value::Str(_), Some(Number::Whole(n))) if i32::try_from(n).is_err())
    });
    let unsigned = matches!(left, Value::UInt64(_)) || matches!(right, Value::UInt64(_));
    match (a, b) {
        (Number::Whole(a), Number::Whole(b)) => {
            let whole = match operator {
                Binary::Add => a.checked_add(b),
                Binary::Subtract => a.checked_sub(b),
                Binary::Multiply => a.checked_mul(b),
                Binary::Divide | Binary::Remainder if b == 0 => return Err(divided_by_zero()),
                Binary::Divide if a % b == 0 => Some(a / b),
                Binary::Divide => None,
                _ => Some(a % b),
            };
            let real = || match operator {
                Binary::Divide => Number::Whole(a).real() / Number::Whole(b).real(),
                _ => whole.map_or(f64::INFINITY, |whole| Number::Whole(whole).real()),
            };
            let fitting = whole.and_then(|whole| {
                if unsigned {
                    u64::try_from(whole).ok().map(Value::UInt64)
                } else if long {
                    i64::try_from(whole).ok().map(Value::Long)
                } else {
                    i32::try_from(whole).ok().map(Value::Int)
                }
            });
            Ok(fitting.unwrap_or_else(|| Value::Double(real())))
        }
        (a, b) => {
            let (a, b) = (a.real(), b.real());
            Ok(Value::Double(match operator {
                Binary::Add => a + b,
                Binary::Subtract => a - b,
                Binary::Multiply => a * b,
                Binary::Divide => a / b,
                _ => a % b,
            }))
        }
    }
}

fn divided_by_zero() -> ErrorRecord {
    let message = "Attempted to divide by zero.";
    ErrorRecord::runtime(message, "RuntimeException", Category::NotSpecified).caused_by(
        Exception::new("System.DivideByZeroException", message)
            .with_hresult(0x8002_0012_u32.cast_signed()),
    )
}

/// Reads an operand as a number, or says what PowerShell says about it.
fn operand(
    operator: Binary,
    value: &Value,
    left: &Value,
    locale: Locale,
) -> Result<Number, ErrorRecord> {
    match value {
        Value::Str(_) => match convert::number(value) {
            Some(number) => Ok(number),
            // The error of the cast that was tried.
            None => convert::cast(value, "System.Int32", locale).map(|_| Number::Whole(0)),
        },
        Value::Null | Value::Double(_) => convert::number(value).ok_or_else(divided_by_zero),
        other => match other.as_integer() {
            Some(number) if !matches!(other, Value::Char(_)) => Ok(Number::Whole(number)),
            _ => Err(no_operator(operator, left)),
        },
    }
}

fn no_operator(operator: Binary, left: &Value) -> ErrorRecord {
    let method = match operator {
        Binary::Add => "op_Addition",
        Binary::Subtract => "op_Subtraction",
        Binary::Multiply => "op_Multiply",
        Binary::Divide => "op_Division",
        _ => "op_Modulus",
    };
    no_method(&left.type_name().unwrap_or_default(), method)
}

/// Says that a type has no such method.
pub(super) fn no_method(type_name: &str, method: &str) -> ErrorRecord {
    let message = format!(
        "Method invocation failed because [{type_name}] does not contain a method named '{method}'."
    );
    ErrorRecord::runtime(message, "MethodNotFound", Category::InvalidOperation).with_target(method)
}

fn bits(operator: Binary, left: &Value, right: &Value, locale: Locale) -> Computed {
    let whole = |value: &Value| -> Result<i128, ErrorRecord> {
        let long = match value.as_integer() {
            Some(number) => return Ok(number),
            None => convert::cast(value, "System.Int64", locale)?,
        };
        Ok(long.as_integer().unwrap_or(0))
    };
    let (a, b) = (whole(left)?, whole(right)?);
    let result = match operator {
        Binary::BitAnd => a & b,
        Binary::BitOr => a | b,
        Binary::BitXor => a ^ b,
        Binary::ShiftLeft => a << (b & 31),
        _ => a >> (b & 31),
    };
    let wide = matches!(left, Value::Long(_) | Value::UInt64(_) | Value::UInt32(_));
    match i32::try_from(result) {
        Ok(number) if !wide => Ok(Value::Int(number)),
        _ => Ok(i64::try_from(result).map_or(Value::Null, Value::Long)),
    }
}

fn range(left: &Value, right: &Value, locale: Locale) -> Computed {
    let bound = |value: &Value| -> Result<i32, ErrorRecord> {
        let number = convert::cast(value, "System.Int32", locale)?;
        Ok(number
            .as_integer()
            .and_then(|number| i32::try_from(number).ok())
            .unwrap_or(0))
    };
    let (from, to) = (bound(left)?, bound(right)?);
    if (i128::from(to) - i128::from(from)).abs() > MAX_ITEMS {
        return Err(out_of_memory());
    }
    Ok(if from <= to {
        Value::array((from..=to).map(Value::Int))
    } else {
        Value::array((to..=from).rev().map(Value::Int))
    })
}

fn compared(
    comparison: Comparison,
    case: bool,
    left: &Value,
    right: &Value,
    locale: Locale,
) -> Computed {
    match comparison {
        Comparison::Contains | Comparison::NotContains => {
            let found = holds(left, right, case, locale);
            return Ok(Value::Bool(found == (comparison == Comparison::Contains)));
        }
        Comparison::In | Comparison::NotIn => {
            let found = holds(right, left, case, locale);
            return Ok(Value::Bool(found == (comparison == Comparison::In)));
        }
        Comparison::Replace => return replaced(left, right, case, locale),
        Comparison::Split => return split(left, right, case, locale),
        _ => {}
    }
    if let Value::Array(_) | Value::Bytes(_) = left {
        let mut kept = Vec::new();
        for item in left.items() {
            if holds_for(comparison, case, &item, right, locale)? {
                kept.push(item);
            }
        }
        return Ok(Value::array(kept));
    }
    holds_for(comparison, case, left, right, locale).map(Value::Bool)
}

fn holds(list: &Value, item: &Value, case: bool, locale: Locale) -> bool {
    match list {
        Value::Array(_) | Value::Bytes(_) | Value::Native(_) => list
            .items()
            .iter()
            .any(|known| compare::equal(known, item, case, locale)),
        other => compare::equal(other, item, case, locale),
    }
}

fn holds_for(
    comparison: Comparison,
    case: bool,
    left: &Value,
    right: &Value,
    locale: Locale,
) -> Result<bool, ErrorRecord> {
    Ok(match comparison {
        Comparison::Equal => compare::equal(left, right, case, locale),
        Comparison::NotEqual => !compare::equal(left, right, case, locale),
        Comparison::Less => compare::order(left, right, case, locale)?.is_lt(),
        Comparison::LessOrEqual => compare::order(left, right, case, locale)?.is_le(),
        Comparison::Greater => compare::order(left, right, case, locale)?.is_gt(),
        Comparison::GreaterOrEqual => compare::order(left, right, case, locale)?.is_ge(),
        Comparison::Like | Comparison::NotLike => {
            let matches = pattern::like(&text::of(left, locale), &text::of(right, locale), case);
            matches == (comparison == Comparison::Like)
        }
        Comparison::Match | Comparison::NotMatch => {
            let matches =
                pattern::regex(&text::of(right, locale), case)?.is_match(&text::of(left, locale));
            matches == (comparison == Comparison::Match)
        }
        _ => false,
    })
}

fn replaced(left: &Value, right: &Value, case: bool, locale: Locale) -> Computed {
    let mut arguments = right.items().into_iter();
    let wanted = arguments.next().unwrap_or_default();
    let replacement = text::of(&arguments.next().unwrap_or_default(), locale);
    if arguments.next().is_some() {
        let message = "The -ireplace operator allows only two elements to follow it, not 3.";
        return Err(ErrorRecord::runtime(
            message,
            "BadReplaceArgument",
            Category::InvalidOperation,
        ));
    }
    let regex = pattern::regex(&text::of(&wanted, locale), case)?;
    let one = |item: &Value| {
        Value::from(pattern::replace(
            &text::of(item, locale),
            &regex,
            &replacement,
        ))
    };
    Ok(match left {
        Value::Array(array) => Value::array(array.items().iter().map(one)),
        other => one(other),
    })
}

fn split(left: &Value, right: &Value, case: bool, locale: Locale) -> Computed {
    let mut arguments = right.items().into_iter();
    let delimiter = text::of(&arguments.next().unwrap_or_default(), locale);
    let limit = arguments
        .next()
        .map(|limit| convert::cast(&limit, "System.Int32", locale))
        .transpose()?
        .and_then(|limit| limit.as_integer())
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(0);
    let simple = arguments
        .next()
        .is_some_and(|options| text::of(&options, locale).eq_ignore_ascii_case("SimpleMatch"));
    let regex = if simple {
        pattern::regex(&regex::escape(&delimiter), case)?
    } else {
        pattern::regex(&delimiter, case)?
    };
    let mut parts = Vec::new();
    for item in left.items() {
        let text = text::of(&item, locale);
        split_one(&text, &regex, limit, &mut parts);
    }
    Ok(Value::array(parts))
}

fn split_one(text: &str, regex: &regex::Regex, limit: usize, parts: &mut Vec<Value>) {
    let first = parts.len();
    let mut from = 0;
    for found in regex.captures_iter(text) {
        let Some(all) = found.get(0) else { continue };
        if limit > 0 && parts.len() - first + 1 >= limit {
            break;
        }
        if all.is_empty() && (all.start() == 0 || all.start() == text.len()) {
            parts.push(Value::str(""));
            continue;
        }
        parts.push(Value::str(text.get(from..all.start()).unwrap_or_default()));
        for group in found.iter().skip(1).flatten() {
            parts.push(Value::str(group.as_str()));
        }
        from = all.end();
    }
    parts.push(Value::str(text.get(from..).unwrap_or_default()));
}

/// Splits at blanks, as `-split` before its operand does.
pub(super) fn split_at_blanks(value: &Value, locale: Locale) -> Value {
    let mut parts = Vec::new();
    for item in value.items() {
        let text = text::of(&item, locale);
        parts.extend(text.split_whitespace().map(Value::from));
    }
    Value::array(parts)
}

/// Negates a number.
pub(super) fn negate(value: &Value, locale: Locale) -> Computed {
    arithmetic(Binary::Subtract, &Value::Int(0), value, locale)
}
