//! Static members and constructors.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::culture;
use super::methods::not_in_constrained;
use crate::sim::powershell::convert;
use crate::sim::powershell::dates;
use crate::sim::powershell::error::{Category, ErrorRecord, Exception};
use crate::sim::powershell::format;
use crate::sim::powershell::interp::unknown_type;
use crate::sim::powershell::interp::{Interpreter, Run, failed};
use crate::sim::powershell::machine::LanguageMode;
use crate::sim::powershell::native::{Encoding, Native, Stopwatch};
use crate::sim::powershell::object::Object;
use crate::sim::powershell::operators::no_method;
use crate::sim::powershell::parse;
use crate::sim::powershell::pattern;
use crate::sim::powershell::text;
use crate::sim::powershell::time::{DateTime, Kind, TICKS, TimeSpan};
use crate::sim::powershell::types;
use crate::sim::powershell::value::{Value, parse_guid};

/// What a static member answers; `None` when the type has no such member here.
type Answer = Option<Result<Value, Exception>>;

const FORMAT: &str = "System.FormatException";

fn type_of(on: &Value) -> Option<String> {
    match on {
        Value::Type(name) => Some(name.0.as_ref().to_owned()),
        other => other.type_name(),
    }
}

impl Interpreter<'_> {
    /// Reads `[type]::Name`.
    pub(in crate::sim::powershell) fn static_property(
        &mut self,
        on: &Value,
        name: &str,
    ) -> Run<Value> {
        let Some(full) = type_of(on) else {
            return failed(ErrorRecord::runtime(
                "You cannot reference a member of a null-valued expression.",
                "InvokeMethodOnNull",
                Category::InvalidOperation,
            ));
        };
        if let Some(value) = self.known_static(&full, &name.to_ascii_lowercase()) {
            return Ok(value);
        }
        match self.process.machine.static_member(&full, name, None) {
            Some(answer) => Ok(answer?),
            None if types::known(&full).is_some() => Ok(Value::Null),
            None => failed(unknown_type(&full)),
        }
    }

    fn known_static(&mut self, full: &str, name: &str) -> Option<Value> {
        let now = self.process.machine.now();
        let offset = self.locale.offset;
        Some(match (full, name) {
            ("System.Console", "out") => Value::Native(Arc::new(Native::Writer { error: false })),
            ("System.Console", "error") => Value::Native(Arc::new(Native::Writer { error: true })),
            ("System.IO.Stream", "null") => Value::Native(Arc::new(Native::Nowhere)),
            ("System.Console", "outputencoding") => {
                convert::encoding(self.process.console.encoding())
            }
            ("System.Console", "inputencoding") => {
                convert::encoding(Encoding::Page(self.windows.code_page))
            }
            ("System.Text.Encoding", "utf8") => convert::encoding(Encoding::Utf8 { marked: true }),
            ("System.Text.Encoding", "unicode") => convert::encoding(Encoding::Utf16),
            ("System.Text.Encoding", "ascii") => convert::encoding(Encoding::Ascii),
            ("System.Text.Encoding", "default") => convert::encoding(Encoding::Page(1252)),
            ("System.Environment", "machinename") => Value::str(&self.windows.host_name),
            ("System.Environment", "username") => {
                let user = &self.windows.user;
                Value::str(user.rsplit('\\').next().unwrap_or(user))
            }
            ("System.Environment", "processorcount") => {
                Value::Int(i32::try_from(self.windows.processors).unwrap_or(1))
            }
            ("System.Environment", "newline") => Value::str("\r\n"),
            ("System.Environment", "is64bitoperatingsystem" | "is64bitprocess") => {
                Value::Bool(true)
            }
            ("System.Environment", "osversion") => {
                let version = self.windows.os_version;
                Object::new("System.OperatingSystem")
                    .with(
                        "Platform",
                        Value::enumeration("System.PlatformID", "Win32NT", 2),
                    )
                    .with("Version", Value::Version(version))
                    .with("VersionString", format!("Microsoft Windows NT {version}"))
                    .reads(format!("Microsoft Windows NT {version}"))
                    .into()
            }
            ("System.Globalization.CultureInfo", "currentculture" | "currentuiculture") => {
                culture(&self.windows.culture)
            }
            ("System.Globalization.CultureInfo", "invariantculture") => culture(""),
            ("System.DateTime", "now") => Value::DateTime(DateTime::local(now, offset)),
            ("System.DateTime", "utcnow") => Value::DateTime(DateTime::utc(now)),
            ("System.DateTime", "minvalue") => Value::DateTime(DateTime {
                ticks: 0,
                kind: Kind::Unspecified,
            }),
            ("System.DateTimeOffset", "utcnow" | "now") => date_time_offset(DateTime::utc(now)),
            ("System.TimeSpan", "zero") => Value::TimeSpan(TimeSpan { ticks: 0 }),
            ("System.Guid", "empty") => Value::Guid(0),
            ("System.String", "empty") => Value::str(""),
            ("System.Int32", "maxvalue") => Value::Int(i32::MAX),
            ("System.Int32", "minvalue") => Value::Int(i32::MIN),
            ("System.Int64", "maxvalue") => Value::Long(i64::MAX),
            ("System.Int64", "minvalue") => Value::Long(i64::MIN),
            ("System.UInt32", "maxvalue") => Value::UInt32(u32::MAX),
            ("System.UInt64", "maxvalue") => Value::UInt64(u64::MAX),
            ("System.Math", "pi") => Value::Double(std::f64::consts::PI),
            (
                "System.IO.Compression.CompressionMode"
                | "System.DateTimeKind"
                | "System.StringComparison",
                name,
            ) => constant(full, name)?,
            _ => return None,
        })
    }

    /// Sets `[type]::Name`.
    pub(in crate::sim::powershell) fn set_static(
        &mut self,
        on: &Value,
        name: &str,
        value: &Value,
    ) -> Run<()> {
        let full = type_of(on).unwrap_or_default();
        if self.windows.language_mode == LanguageMode::Constrained && !types::is_core(&full) {
            let message = "Cannot set property. Property setting is supported only on core types \
                           in this language mode.";
            let id = "PropertySetterNotSupportedInConstrainedLanguage";
            return failed(ErrorRecord::runtime(
                message,
                id,
                Category::InvalidOperation,
            ));
        }
        let encoding = match value {
            Value::Native(native) => match native.as_ref() {
                Native::Encoding(encoding) => Some(*encoding),
                _ => None,
            },
            _ => None,
        };
        match (full.as_str(), name.to_ascii_lowercase().as_str(), encoding) {
            ("System.Console", "outputencoding", Some(encoding)) => {
                self.process.console.set_encoding(encoding);
                Ok(())
            }
            ("System.Console", "inputencoding", Some(_)) => Ok(()),
            _ => {
                let message = format!(
                    "The property '{name}' cannot be found on this object. Verify that the \
                     property exists and can be set."
                );
                failed(ErrorRecord::runtime(
                    message,
                    "PropertyNotFound",
                    Category::InvalidOperation,
                ))
            }
        }
    }

    /// Calls `[type]::Name()`.
    pub(in crate::sim::powershell) fn static_call(
        &mut self,
        on: &Value,
        name: &str,
        arguments: &[Value],
    ) -> Run<Value> {
        let Some(full) = type_of(on) else {
            return failed(ErrorRecord::runtime(
                "You cannot call a method on a null-valued expression.",
                "InvokeMethodOnNull",
                Category::InvalidOperation,
            ));
        };
        if self.windows.language_mode == LanguageMode::Constrained && !types::is_core(&full) {
            return failed(not_in_constrained());
        }
        let lower = name.to_ascii_lowercase();
        if lower == "new" {
            return match self.construct(&full, arguments)? {
                Some(made) => Ok(made),
                None => failed(unknown_type(&full)),
            };
        }
        if full == "System.Management.Automation.ScriptBlock" && lower == "create" {
            return self.script_block(arguments);
        }
        let answer = match full.as_str() {
            "System.Diagnostics.Process" if lower == "start" => self.start_program(arguments)?,
            "System.Console" => self.console_call(&lower, arguments),
            "System.Convert" => self.convert_call(&lower, arguments)?,
            "System.String" => self.string_call(&lower, arguments),
            _ => self.known_call(&full, &lower, arguments),
        };
        if let Some(answer) = answer {
            return answer
                .or_else(|inner| failed(ErrorRecord::in_method(name, arguments.len(), inner)));
        }
        match self
            .process
            .machine
            .static_member(&full, name, Some(arguments))
        {
            Some(answer) => Ok(answer?),
            None if types::known(&full).is_some() => failed(no_method(&full, name)),
            None => failed(unknown_type(&full)),
        }
    }

    fn script_block(&mut self, arguments: &[Value]) -> Run<Value> {
        let text = arguments
            .first()
            .map(|text| self.text_of(text))
            .unwrap_or_default();
        match parse::parse(&text, self.edition()) {
            Ok(script) => Ok(Value::ScriptBlock(script)),
            Err(error) => {
                let position = &error.position;
                let message = format!(
                    "At line:{} char:{}\r\n+ {}\r\n{}",
                    position.line, position.column, position.text, error.message
                );
                let inner = Exception::new("System.Management.Automation.ParseException", message);
                failed(ErrorRecord::in_method("Create", 1, inner))
            }
        }
    }

    fn console_call(&mut self, name: &str, arguments: &[Value]) -> Answer {
        if name == "openstandardinput" {
            return Some(Ok(Value::Native(Arc::new(Native::StandardInput))));
        }
        if !matches!(name, "write" | "writeline") {
            return None;
        }
        let end = if name == "writeline" { "\r\n" } else { "" };
        let text = match arguments {
            [] => String::new(),
            [only] => text::to_string(only, self.locale),
            [pattern, rest @ ..] => {
                let pattern = self.text_of(pattern);
                format::composed(&pattern, rest, self.locale).unwrap_or(pattern)
            }
        };
        self.write_console(false, &format!("{text}{end}"));
        Some(Ok(Value::Void))
    }

    fn convert_call(&mut self, name: &str, arguments: &[Value]) -> Run<Answer> {
        Ok(match (name, arguments) {
            ("tobase64string", [bytes, ..]) => {
                match convert::cast(bytes, "System.Byte[]", self.locale) {
                    Ok(Value::Bytes(bytes)) => Some(Ok(Value::from(STANDARD.encode(bytes)))),
                    _ => Some(Err(Exception::new(
                        "System.ArgumentNullException",
                        "Value cannot be null.\r\nParameter name: inArray",
                    ))),
                }
            }
            ("frombase64string", [text]) => {
                let text: String = self
                    .text_of(text)
                    .chars()
                    .filter(|c| !c.is_ascii_whitespace())
                    .collect();
                Some(STANDARD.decode(text).map_or_else(
                    |_| {
                        Err(Exception::new(
                            FORMAT,
                            "The input is not a valid Base-64 string as it contains a non-base 64 \
                             character, more than two padding characters, or an illegal character \
                             among the padding characters.",
                        ))
                    },
                    |bytes| Ok(Value::Bytes(Arc::from(bytes))),
                ))
            }
            ("toint32", [value]) => Some(Ok(self.cast_to(value, "System.Int32")?)),
            ("toint64", [value]) => Some(Ok(self.cast_to(value, "System.Int64")?)),
            ("touint16", [value]) => Some(Ok(self.cast_to(value, "System.UInt16")?)),
            ("touint32", [value]) => Some(Ok(self.cast_to(value, "System.UInt32")?)),
            ("todouble", [value]) => Some(Ok(self.cast_to(value, "System.Double")?)),
            ("tostring", [value]) => Some(Ok(Value::from(self.text_of(value)))),
            ("toboolean", [value]) => Some(Ok(Value::Bool(convert::truth(value)))),
            ("toint32", [value, base]) => {
                let text = self.text_of(value);
                let base = base.as_integer().and_then(|base| u32::try_from(base).ok());
                let number = base
                    .filter(|base| matches!(base, 2 | 8 | 10 | 16))
                    .and_then(|base| u32::from_str_radix(text.trim_start_matches("0x"), base).ok());
                Some(number.map_or_else(
                    || {
                        Err(Exception::new(
                            FORMAT,
                            "Could not find any recognizable digits.",
                        ))
                    },
                    |number| Ok(Value::Int(number.cast_signed())),
                ))
            }
            _ => None,
        })
    }

    fn string_call(&self, name: &str, arguments: &[Value]) -> Answer {
        match (name, arguments) {
            ("isnullorempty", [value]) => Some(Ok(Value::Bool(self.text_of(value).is_empty()))),
            ("isnullorwhitespace", [value]) => {
                Some(Ok(Value::Bool(self.text_of(value).trim().is_empty())))
            }
            ("join", [between, rest @ ..]) => {
                let items = match rest {
                    [list] => list.items(),
                    all => all.to_vec(),
                };
                let between = self.text_of(between);
                Some(Ok(Value::from(text::joined(&items, &between, self.locale))))
            }
            ("format", [pattern, rest @ ..]) => {
                let pattern = self.text_of(pattern);
                Some(
                    format::composed(&pattern, rest, self.locale)
                        .map(Value::from)
                        .ok_or_else(|| {
                            Exception::new(FORMAT, "Input string was not in a correct format.")
                        }),
                )
            }
            ("concat", parts) => {
                let texts: Vec<String> = parts.iter().map(|part| self.text_of(part)).collect();
                Some(Ok(Value::from(texts.concat())))
            }
            ("compare", [left, right, rest @ ..]) => {
                let (mut left, mut right) = (self.text_of(left), self.text_of(right));
                if rest.first().is_some_and(convert::truth) {
                    (left, right) = (left.to_lowercase(), right.to_lowercase());
                }
                Some(Ok(Value::Int(match left.cmp(&right) {
                    std::cmp::Ordering::Less => -1,
                    std::cmp::Ordering::Equal => 0,
                    std::cmp::Ordering::Greater => 1,
                })))
            }
            _ => None,
        }
    }

    fn known_call(&mut self, full: &str, name: &str, arguments: &[Value]) -> Answer {
        let offset = self.locale.offset;
        match (full, name, arguments) {
            ("System.Guid", "newguid", []) => {
                // Any id does; it is made of the clock so that two are not the same.
                let nanos = self.process.machine.now().as_nanosecond().cast_unsigned();
                let id = nanos.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                Some(Ok(Value::Guid(id)))
            }
            ("System.Guid", "parse", [text]) => {
                let text = self.text_of(text);
                Some(parse_guid(&text).map(Value::Guid).ok_or_else(|| {
                    Exception::new(
                        FORMAT,
                        "Guid should contain 32 digits with 4 dashes \
                         (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx).",
                    )
                }))
            }
            ("System.DateTime", "parse", [text, ..]) => {
                let text = self.text_of(text);
                Some(
                    dates::parse(&text, offset)
                        .map(Value::DateTime)
                        .ok_or_else(|| {
                            Exception::new(FORMAT, "String was not recognized as a valid DateTime.")
                        }),
                )
            }
            ("System.DateTime", "specifykind", [Value::DateTime(at), kind]) => {
                let kind = match self.text_of(kind).to_ascii_lowercase().as_str() {
                    "utc" => Kind::Utc,
                    "local" => Kind::Local(offset),
                    _ => Kind::Unspecified,
                };
                Some(Ok(Value::DateTime(DateTime { kind, ..*at })))
            }
            ("System.TimeSpan", from, [number]) => {
                let number = convert::number(number)?.real();
                let unit = match from {
                    "frommilliseconds" => TICKS / 1000,
                    "fromseconds" => TICKS,
                    "fromminutes" => 60 * TICKS,
                    "fromhours" => 3600 * TICKS,
                    "fromdays" => 86_400 * TICKS,
                    _ => return None,
                };
                let unit = TimeSpan { ticks: unit }.total(TICKS);
                Some(Ok(Value::TimeSpan(TimeSpan::from_seconds(number * unit))))
            }
            ("System.Diagnostics.Stopwatch", "startnew", []) => {
                let since = Some(self.process.machine.now());
                let watch = Stopwatch { before: 0, since };
                Some(Ok(Value::Native(Arc::new(Native::Stopwatch(Mutex::new(
                    watch,
                ))))))
            }
            ("System.Text.Encoding", "getencoding", [page]) => {
                Some(Ok(convert::encoding(match page.as_integer() {
                    Some(65001) => Encoding::Utf8 { marked: true },
                    Some(1200) => Encoding::Utf16,
                    Some(20127) => Encoding::Ascii,
                    Some(page) => Encoding::Page(u16::try_from(page).ok()?),
                    None => match self.text_of(page).to_ascii_lowercase().as_str() {
                        "utf-8" => Encoding::Utf8 { marked: true },
                        "us-ascii" => Encoding::Ascii,
                        "utf-16" => Encoding::Utf16,
                        _ => return None,
                    },
                })))
            }
            ("System.Math", ..) => math(name, arguments),
            ("System.Array", "indexof", [list, value]) => {
                let place = list.items().iter().position(|item| {
                    crate::sim::powershell::compare::equal(item, value, true, self.locale)
                });
                Some(Ok(place.map_or(Value::Int(-1), super::int)))
            }
            ("System.Text.RegularExpressions.Regex", "escape", [text]) => {
                Some(Ok(Value::from(regex::escape(&self.text_of(text)))))
            }
            ("System.Management.Automation.WildcardPattern", "escape", [text]) => Some(Ok(
                Value::from(pattern::escape_wildcard(&self.text_of(text))),
            )),
            ("System.Environment", "getenvironmentvariable", [name, ..]) => {
                let name = self.text_of(name);
                Some(Ok(Value::from(self.process.machine.environment(&name))))
            }
            ("System.Object", "referenceequals", [left, right]) => Some(Ok(Value::Bool(
                crate::sim::powershell::compare::equal(left, right, true, self.locale),
            ))),
            ("System.Int32" | "System.Int64" | "System.Double", "parse", [text]) => {
                let cast = convert::cast(text, full, self.locale);
                Some(cast.map_err(|_not_a_number| {
                    Exception::new(FORMAT, "Input string was not in a correct format.")
                }))
            }
            _ => None,
        }
    }
}

pub(super) fn constant(full: &str, name: &str) -> Option<Value> {
    let names: &[&str] = match full {
        "System.IO.Compression.CompressionMode" => &["Decompress", "Compress"],
        "System.DateTimeKind" => &["Unspecified", "Utc", "Local"],
        "System.StringComparison" => &[
            "CurrentCulture",
            "CurrentCultureIgnoreCase",
            "InvariantCulture",
            "InvariantCultureIgnoreCase",
            "Ordinal",
            "OrdinalIgnoreCase",
        ],
        _ => return None,
    };
    let place = names
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name))?;
    let number = i64::try_from(place).ok()?;
    names
        .get(place)
        .map(|name| Value::enumeration(full, name, number))
}

fn date_time_offset(at: DateTime) -> Value {
    let unix = at.unix_milliseconds(0);
    Object::new("System.DateTimeOffset")
        .with("UtcDateTime", Value::DateTime(at))
        .with("DateTime", Value::DateTime(at))
        .with("Ticks", at.ticks)
        .with("UnixMilliseconds", unix)
        .reads(text::round_trip(at))
        .into()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the casts saturate, and digits to round to are few"
)]
fn math(name: &str, arguments: &[Value]) -> Answer {
    let numbers: Vec<convert::Number> = arguments
        .iter()
        .map(convert::number)
        .collect::<Option<_>>()?;
    let all_whole =
        !arguments.is_empty() && arguments.iter().all(|value| value.as_integer().is_some());
    let whole = |number: f64| match arguments.first() {
        Some(Value::Int(_)) if all_whole => Value::Int(number as i32),
        Some(_) if all_whole => Value::Long(number as i64),
        _ => Value::Double(number),
    };
    Some(Ok(match (name, numbers.as_slice()) {
        ("abs", [n]) => whole(n.real().abs()),
        ("max", [a, b]) => whole(a.real().max(b.real())),
        ("min", [a, b]) => whole(a.real().min(b.real())),
        ("floor", [n]) => Value::Double(n.real().floor()),
        ("ceiling", [n]) => Value::Double(n.real().ceil()),
        ("truncate", [n]) => Value::Double(n.real().trunc()),
        ("sqrt", [n]) => Value::Double(n.real().sqrt()),
        ("pow", [a, b]) => Value::Double(a.real().powf(b.real())),
        ("sign", [n]) => Value::Int(n.real().partial_cmp(&0.0).map_or(0, |o| o as i32)),
        ("round", [n]) => Value::Double(n.real().round_ties_even()),
        ("round", [n, digits]) => {
            let scale = 10_f64.powi(digits.real() as i32);
            Value::Double((n.real() * scale).round_ties_even() / scale)
        }
        _ => return None,
    }))
}
