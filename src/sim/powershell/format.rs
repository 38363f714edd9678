//! The format operator and format strings of numbers.

use super::convert::{self, Number};
use super::dates;
use super::error::{Category, ErrorRecord};
use super::text::{self, Locale};
use super::value::{Value, guid_text};

/// Applies `-f`.
pub(super) fn apply(
    pattern: &Value,
    arguments: &Value,
    locale: Locale,
) -> Result<Value, ErrorRecord> {
    let arguments = match arguments {
        Value::Null => vec![Value::Null],
        other => other.items(),
    };
    composed(&text::of(pattern, locale), &arguments, locale)
        .map(Value::from)
        .ok_or_else(|| {
            let message = "Error formatting a string: Input string was not in a correct format..";
            ErrorRecord::runtime(message, "FormatError", Category::InvalidOperation)
        })
}

/// Fills in a composite format (`{0,-5:N2}`); `None` when it is none.
pub(super) fn composed(pattern: &str, arguments: &[Value], locale: Locale) -> Option<String> {
    let mut written = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.next_if_eq(&'{').is_some() => written.push('{'),
            '}' if chars.next_if_eq(&'}').is_some() => written.push('}'),
            '}' => return None,
            '{' => {
                let mut item = String::new();
                loop {
                    match chars.next()? {
                        '}' => break,
                        c => item.push(c),
                    }
                }
                let (place, shape) = item.split_once(':').unwrap_or((&item, ""));
                let (number, width) = match place.split_once(',') {
                    Some((number, width)) => (number, width.trim().parse::<i64>().ok()?),
                    None => (place, 0),
                };
                let value = arguments.get(number.trim().parse::<usize>().ok()?)?;
                let text = formatted(value, shape, locale)?;
                let room = usize::try_from(width.unsigned_abs()).ok()?.min(10_000);
                let missing = room.saturating_sub(text.chars().count());
                if width > 0 {
                    written.push_str(&" ".repeat(missing));
                }
                written.push_str(&text);
                if width < 0 {
                    written.push_str(&" ".repeat(missing));
                }
            }
            c => written.push(c),
        }
    }
    Some(written)
}

/// Writes a value by a format string (`ToString('x')`); `None` when it is none.
pub(super) fn formatted(value: &Value, shape: &str, locale: Locale) -> Option<String> {
    match value {
        Value::DateTime(at) => Some(dates::format(*at, shape, locale.german)),
        Value::Guid(id) => match shape {
            "" | "D" | "d" => Some(guid_text(*id)),
            "N" | "n" => Some(guid_text(*id).replace('-', "")),
            "B" | "b" => Some(format!("{{{}}}", guid_text(*id))),
            _ => None,
        },
        Value::TimeSpan(span) => match shape {
            "" | "c" | "g" | "G" => Some(span.to_string()),
            _ => custom_span(span.parts(), shape),
        },
        Value::Enum(constant) => match shape {
            "d" | "D" => Some(constant.number.to_string()),
            _ => Some(constant.name.as_ref().to_owned()),
        },
        Value::Str(_) | Value::Null | Value::Bool(_) => Some(text::of(value, locale)),
        _ if shape.is_empty() => Some(text::to_string(value, locale)),
        _ => match convert::number(value) {
            Some(number) if !matches!(value, Value::Char(_)) => number_by(number, shape, locale),
            _ => Some(text::to_string(value, locale)),
        },
    }
}

fn custom_span(parts: [i64; 5], shape: &str) -> Option<String> {
    let [days, hours, minutes, seconds, milliseconds] = parts.map(i64::abs);
    let mut written = String::new();
    let mut chars = shape.chars().peekable();
    while let Some(c) = chars.next() {
        let mut count = 1_usize;
        while matches!(c, 'd' | 'h' | 'm' | 's' | 'f') && chars.next_if_eq(&c).is_some() {
            count += 1;
        }
        let number = match c {
            '\\' => {
                written.push(chars.next()?);
                continue;
            }
            '\'' => {
                while let Some(inner) = chars.next_if(|inner| *inner != '\'') {
                    written.push(inner);
                }
                chars.next();
                continue;
            }
            'd' => days,
            'h' => hours,
            'm' => minutes,
            's' => seconds,
            'f' => {
                let digits = format!("{milliseconds:03}0000");
                written.extend(digits.chars().take(count));
                continue;
            }
            _ => return None,
        };
        written.extend([format!("{number:0count$}")]);
    }
    Some(written)
}

fn number_by(number: Number, shape: &str, locale: Locale) -> Option<String> {
    let mut chars = shape.chars();
    let kind = chars.next()?;
    let digits = chars.as_str();
    if kind.is_ascii_alphabetic() && digits.chars().all(|c| c.is_ascii_digit()) {
        let precision = if digits.is_empty() {
            None
        } else {
            Some(digits.parse::<usize>().ok()?.min(99))
        };
        return standard(number, kind, precision, locale);
    }
    custom(number, shape, locale)
}

fn standard(
    number: Number,
    kind: char,
    precision: Option<usize>,
    locale: Locale,
) -> Option<String> {
    let decimals = precision.unwrap_or(2);
    Some(match kind.to_ascii_lowercase() {
        'd' => {
            let Number::Whole(whole) = number else {
                return None;
            };
            let width = precision.unwrap_or(0);
            let sign = if whole < 0 { "-" } else { "" };
            format!("{sign}{:0width$}", whole.unsigned_abs())
        }
        'x' => {
            let Number::Whole(whole) = number else {
                return None;
            };
            let bits = match i32::try_from(whole) {
                Ok(small) => u64::from(small.cast_unsigned()),
                Err(_) => u64::try_from(whole)
                    .or_else(|_| i64::try_from(whole).map(i64::cast_unsigned))
                    .ok()?,
            };
            let width = precision.unwrap_or(0);
            if kind == 'X' {
                format!("{bits:0width$X}")
            } else {
                format!("{bits:0width$x}")
            }
        }
        'f' => localised(&fixed(number, decimals), false, locale),
        'n' => localised(&fixed(number, decimals), true, locale),
        'p' => {
            let hundred = Number::Real(number.real() * 100.0);
            format!("{} %", localised(&fixed(hundred, decimals), true, locale))
        }
        'g' | 'r' => match number {
            Number::Whole(whole) => whole.to_string(),
            Number::Real(real) => localised(&text::double(real, locale.edition), false, locale),
        },
        'e' => {
            let digits = precision.unwrap_or(6);
            let written = format!("{:.digits$e}", number.real());
            let (mantissa, exponent) = written.split_once('e')?;
            let exponent: i32 = exponent.parse().ok()?;
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}{kind}{sign}{:03}", exponent.abs())
        }
        _ => return None,
    })
}

/// Rounds half away from zero, as .NET's fixed formats do.
fn fixed(number: Number, decimals: usize) -> String {
    match number {
        Number::Whole(whole) if decimals == 0 => whole.to_string(),
        Number::Whole(whole) => format!("{whole}.{}", "0".repeat(decimals)),
        Number::Real(real) => {
            let scale = 10_f64.powi(i32::try_from(decimals).unwrap_or(0));
            let scaled = real * scale;
            if scaled.abs() < 1e15 {
                format!("{:.decimals$}", scaled.round() / scale)
            } else {
                format!("{real:.decimals$}")
            }
        }
    }
}

fn localised(text: &str, grouped: bool, locale: Locale) -> String {
    let (group, point) = if locale.german {
        ('.', ',')
    } else {
        (',', '.')
    };
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (whole, part) = text
        .split_once('.')
        .map_or((text, None), |(w, p)| (w, Some(p)));
    let mut written = String::from(sign);
    for (place, c) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if grouped && place > 0 && left.is_multiple_of(3) {
            written.push(group);
        }
        written.push(c);
    }
    if let Some(part) = part {
        written.push(point);
        written.push_str(part);
    }
    written
}

/// Patterns of `0`, `#`, `.` and `,`.
fn custom(number: Number, shape: &str, locale: Locale) -> Option<String> {
    if !shape.chars().all(|c| matches!(c, '0' | '#' | '.' | ',')) {
        return None;
    }
    let (whole, part) = shape.split_once('.').unwrap_or((shape, ""));
    let grouped = whole.contains(',');
    let least = whole.chars().filter(|c| *c == '0').count();
    let kept = part.chars().filter(|c| *c == '0').count();
    let text = fixed(number, part.len());
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.as_str()),
    };
    let (digits, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = if least == 0 && digits == "0" {
        ""
    } else {
        digits
    };
    let mut decimals = decimals.to_owned();
    while decimals.len() > kept && decimals.ends_with('0') {
        decimals.pop();
    }
    let point = if decimals.is_empty() { "" } else { "." };
    let plain = format!("{sign}{digits:0>least$}{point}{decimals}");
    Some(localised(&plain, grouped, locale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_read_as_in_dotnet() {
        let us = Locale::default();
        let de = Locale { german: true, ..us };
        for (pattern, value, english, german) in [
            ("{0:N2}", Value::Double(1234.5), "1,234.50", "1.234,50"),
            ("{0:N0}", Value::Int(1_234_567), "1,234,567", "1.234.567"),
            (
                "{0:D4}|{0,5}|{0,-4}|",
                Value::Int(42),
                "0042|   42|42  |",
                "0042|   42|42  |",
            ),
            ("{0:X8}", Value::Int(-1), "FFFFFFFF", "FFFFFFFF"),
            (
                "{0:0.00} {{0}}",
                Value::Double(0.125),
                "0.13 {0}",
                "0,13 {0}",
            ),
            ("{0:P1}", Value::Double(0.5), "50.0 %", "50,0 %"),
            ("{0:#,##0}", Value::Int(1234), "1,234", "1.234"),
            ("{0}", Value::Double(1.5), "1.5", "1,5"),
        ] {
            let arguments = [value];
            assert_eq!(composed(pattern, &arguments, us).as_deref(), Some(english));
            assert_eq!(composed(pattern, &arguments, de).as_deref(), Some(german));
        }
        assert_eq!(composed("{1}", &[Value::Int(1)], us), None);
        assert_eq!(composed("{", &[], us), None);
    }
}
