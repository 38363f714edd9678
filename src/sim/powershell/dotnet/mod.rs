//! Members of .NET objects: properties here, methods and static members beside it. What a type does
//! not have is `$null` for a property and PowerShell's error for a method.

mod collections;
mod construct;
mod methods;
mod program;
mod records;
mod statics;
mod streams;
mod strings;

use std::sync::Arc;

use super::error::{Category, ErrorRecord};
use super::interp::{Interpreter, Run, failed};
use super::machine::{Edition, LanguageMode};
use super::native::{Native, lock};
use super::object::Object;
use super::text;
use super::time::{Kind, TICKS, TimeSpan};
use super::types;
use super::value::{Value, Version};

/// Makes a culture's object.
pub(super) fn culture(name: &str) -> Value {
    let german = name.to_ascii_lowercase().starts_with("de");
    Object::new("System.Globalization.CultureInfo")
        .with("Name", name)
        .with("LCID", if german { 1031 } else { 1033 })
        .with("TwoLetterISOLanguageName", if german { "de" } else { "en" })
        .with(
            "DisplayName",
            if german {
                "German (Germany)"
            } else {
                "English (United States)"
            },
        )
        .reads(name)
        .into()
}

impl Interpreter<'_> {
    /// Reads a property; of a list, those of its elements.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "reading may run a script or ask the machine, like calling"
    )]
    pub(super) fn property(&mut self, on: &Value, name: &str) -> Run<Value> {
        if let Some(value) = self.own_property(on, name) {
            return Ok(value);
        }
        // A property of the elements, where the list itself has none.
        let items = match on {
            Value::Array(_) => on.items(),
            Value::Native(native) => native.items().unwrap_or_default(),
            _ => Vec::new(),
        };
        let mut found = Vec::new();
        for item in items {
            if let Value::Array(_) = item {
                if let Ok(inner) = self.property(&item, name) {
                    found.extend(inner.items());
                }
                continue;
            }
            if let Some(value) = self.own_property(&item, name) {
                match value {
                    Value::Array(inner) => found.extend(inner.items()),
                    other => found.push(other),
                }
            }
        }
        Ok(Value::of_output(found).plain())
    }

    /// Whether a value itself has a property.
    pub(super) fn has_property(&self, on: &Value, name: &str) -> bool {
        match on {
            Value::Hash(hash) => hash.get_str(name).is_some(),
            Value::Object(object) => object.get(name).is_some(),
            other => self
                .properties(other)
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name)),
        }
    }

    fn own_property(&self, on: &Value, name: &str) -> Option<Value> {
        let lower = name.to_ascii_lowercase();
        match on {
            Value::Null | Value::Void => {
                return matches!(lower.as_str(), "count" | "length").then_some(Value::Int(0));
            }
            Value::Hash(hash) => {
                if let Some(value) = hash.get_str(name) {
                    return Some(value);
                }
            }
            Value::Object(object) => {
                if let Some(value) = object.get(name) {
                    return Some(value);
                }
            }
            _ => {}
        }
        if lower == "psobject" {
            return Some(self.ps_object(on));
        }
        let known = match on {
            Value::Str(text) if lower == "length" => Some(int(text.encode_utf16().count())),
            Value::Array(_) | Value::Bytes(_) => collections::list_property(on, &lower),
            Value::Hash(hash) => collections::hash_property(hash, &lower),
            Value::DateTime(at) => date_property(*at, &lower),
            Value::TimeSpan(span) => span_property(*span, &lower),
            Value::Version(version) => version_property(*version, &lower),
            Value::Enum(constant) if lower == "value__" => {
                i32::try_from(constant.number).ok().map(Value::Int)
            }
            Value::Type(name) => type_property(&name.0, &lower),
            Value::Error(record) => records::property(record, &lower),
            Value::ScriptBlock(block) if lower == "ast" => Some(Value::from(block.text())),
            Value::Native(native) => self.native_property(native, &lower),
            _ => None,
        };
        known.or_else(|| match lower.as_str() {
            "count" | "length" => self.scalar_count(on),
            _ => None,
        })
    }

    /// Everything that is no list counts as one, save that 5.1 leaves out custom and CIM objects.
    fn scalar_count(&self, on: &Value) -> Option<Value> {
        match on {
            Value::Object(object)
                if self.edition() == Edition::Desktop
                    && (object.is_custom()
                        || object.is("Microsoft.Management.Infrastructure.CimInstance")) =>
            {
                None
            }
            _ => Some(Value::Int(1)),
        }
    }

    fn ps_object(&self, on: &Value) -> Value {
        let properties = self.properties(on).into_iter().map(|(name, value)| {
            Object::new("System.Management.Automation.PSNoteProperty")
                .with("Name", name)
                .with("Value", value)
                .with("MemberType", "NoteProperty")
                .into()
        });
        let types: Vec<Value> = match on {
            Value::Object(object) => object.types().iter().map(Value::str).collect(),
            other => other.type_name().map(Value::from).into_iter().collect(),
        };
        Object::new("System.Management.Automation.PSObject")
            .with("Properties", Value::array(properties.collect::<Vec<_>>()))
            .with("TypeNames", Value::array(types))
            .with("BaseObject", on.clone())
            .into()
    }

    /// Returns the properties of a value that is no list, as `Select-Object *` and JSON see them.
    pub(super) fn properties(&self, on: &Value) -> Vec<(String, Value)> {
        let named = |names: &[&str], of: &dyn Fn(&str) -> Option<Value>| {
            names
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), of(&name.to_ascii_lowercase())?)))
                .collect()
        };
        match on {
            Value::Object(object) => object
                .properties()
                .into_iter()
                .map(|(name, value)| (name.as_ref().to_owned(), value))
                .collect(),
            Value::Hash(hash) => hash
                .pairs()
                .iter()
                .map(|(key, value)| (text::of(key, self.locale), value.clone()))
                .collect(),
            Value::Str(_) => vec![(
                "Length".to_owned(),
                self.own_property(on, "Length").unwrap_or_default(),
            )],
            Value::TimeSpan(span) => named(
                &[
                    "Ticks",
                    "Days",
                    "Hours",
                    "Milliseconds",
                    "Minutes",
                    "Seconds",
                    "TotalDays",
                    "TotalHours",
                    "TotalMilliseconds",
                    "TotalMinutes",
                    "TotalSeconds",
                ],
                &|name| span_property(*span, name),
            ),
            Value::Version(version) => named(
                &[
                    "Major",
                    "Minor",
                    "Build",
                    "Revision",
                    "MajorRevision",
                    "MinorRevision",
                ],
                &|name| version_property(*version, name),
            ),
            Value::Error(record) => named(
                &[
                    "Exception",
                    "TargetObject",
                    "CategoryInfo",
                    "FullyQualifiedErrorId",
                    "ErrorDetails",
                    "InvocationInfo",
                    "ScriptStackTrace",
                ],
                &|name| records::property(record, name),
            ),
            Value::DateTime(at) => named(
                &[
                    "Year",
                    "Month",
                    "Day",
                    "Hour",
                    "Minute",
                    "Second",
                    "Millisecond",
                    "Ticks",
                    "Kind",
                ],
                &|name| date_property(*at, name),
            ),
            Value::Native(native) => named(
                &[
                    "Length",
                    "Elapsed",
                    "ElapsedMilliseconds",
                    "IsRunning",
                    "CodePage",
                    "WebName",
                ],
                &|name| self.native_property(native, name),
            ),
            Value::Type(name) => named(&["Name", "FullName", "Namespace"], &|member| {
                type_property(&name.0, member)
            }),
            _ => Vec::new(),
        }
    }

    fn native_property(&self, native: &Arc<Native>, name: &str) -> Option<Value> {
        match native.as_ref() {
            Native::Encoding(encoding) => match name {
                "codepage" | "windowscodepage" => Some(Value::Int(encoding.code_page().into())),
                "webname" | "bodyname" | "headername" => {
                    Some(Value::str(streams::web_name(*encoding)))
                }
                "encodingname" => Some(Value::str(streams::encoding_name(*encoding))),
                _ => None,
            },
            Native::Memory(cursor) | Native::Inflated(cursor) => match name {
                "length" => i64::try_from(lock(cursor).bytes.len())
                    .ok()
                    .map(Value::Long),
                "position" => i64::try_from(lock(cursor).read).ok().map(Value::Long),
                _ => None,
            },
            Native::Reader(text) => match name {
                "endofstream" => Some(Value::Bool(lock(text).is_empty())),
                _ => None,
            },
            Native::StringBuilder(text) if name == "length" => {
                Some(int(lock(text).encode_utf16().count()))
            }
            Native::List(items, _) => match name {
                "count" => Some(int(lock(items).len())),
                _ => None,
            },
            Native::Stopwatch(watch) => {
                let watch = lock(watch);
                let ticks = watch.before.saturating_add(
                    watch
                        .since
                        .map_or(0, |since| methods::ticks_since(self, since)),
                );
                match name {
                    "elapsed" => Some(Value::TimeSpan(TimeSpan { ticks })),
                    "elapsedmilliseconds" => Some(Value::Long(ticks / 10_000)),
                    "elapsedticks" => Some(Value::Long(ticks)),
                    "isrunning" => Some(Value::Bool(watch.since.is_some())),
                    _ => None,
                }
            }
            Native::Secret(_)
            | Native::StandardInput
            | Native::InputReader
            | Native::Chars(_)
            | Native::Program(_)
            | Native::Output { .. }
            | Native::Nowhere
            | Native::Task(_) => self.program_property(native, name),
            Native::ExecutionContext => {
                (name == "sessionstate").then(|| Value::Native(Arc::new(Native::SessionState)))
            }
            Native::SessionState => (name == "languagemode").then(|| {
                let (name, number) = match self.windows.language_mode {
                    LanguageMode::Full => ("FullLanguage", 0),
                    LanguageMode::Constrained => ("ConstrainedLanguage", 3),
                };
                Value::enumeration("System.Management.Automation.PSLanguageMode", name, number)
            }),
            Native::Writer { .. } | Native::Regex(_) | Native::StringBuilder(_) => None,
        }
    }

    /// Sets a property.
    pub(super) fn set_property(&mut self, on: &Value, name: &str, value: Value) -> Run<()> {
        match on {
            Value::Hash(hash) => {
                hash.set(Value::str(name), value);
                Ok(())
            }
            Value::Object(object) if object.get(name).is_some() => {
                let constrained = self.windows.language_mode == LanguageMode::Constrained;
                if constrained && !object.is_custom() {
                    let message = "Cannot set property. Property setting is supported only on core \
                                   types in this language mode.";
                    let id = "PropertySetterNotSupportedInConstrainedLanguage";
                    return failed(ErrorRecord::runtime(
                        message,
                        id,
                        Category::InvalidOperation,
                    ));
                }
                object.set(name, value);
                Ok(())
            }
            Value::Array(array) => {
                for item in array.items() {
                    self.set_property(&item, name, value.clone())?;
                }
                Ok(())
            }
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
}

/// Makes an Int32 of a count.
fn int(count: usize) -> Value {
    Value::Int(i32::try_from(count).unwrap_or(i32::MAX))
}

fn date_property(at: super::time::DateTime, name: &str) -> Option<Value> {
    let civil = at.civil();
    Some(match name {
        "year" => Value::Int(civil.year().into()),
        "month" => Value::Int(civil.month().into()),
        "day" => Value::Int(civil.day().into()),
        "hour" => Value::Int(civil.hour().into()),
        "minute" => Value::Int(civil.minute().into()),
        "second" => Value::Int(civil.second().into()),
        "millisecond" => Value::Int(i32::try_from(at.fraction() / 10_000).unwrap_or(0)),
        "ticks" => Value::Long(at.ticks),
        "dayofyear" => Value::Int(civil.date().day_of_year().into()),
        "dayofweek" => {
            let weekday = civil.weekday().to_sunday_zero_offset();
            let names = [
                "Sunday",
                "Monday",
                "Tuesday",
                "Wednesday",
                "Thursday",
                "Friday",
                "Saturday",
            ];
            let place = usize::try_from(weekday).unwrap_or(0);
            let name = names.get(place).copied().unwrap_or_default();
            Value::enumeration("System.DayOfWeek", name, weekday.into())
        }
        "date" => {
            let start = at.ticks.saturating_sub(at.ticks.rem_euclid(86_400 * TICKS));
            Value::DateTime(super::time::DateTime {
                ticks: start,
                kind: at.kind,
            })
        }
        "timeofday" => Value::TimeSpan(TimeSpan {
            ticks: at.ticks.rem_euclid(86_400 * TICKS),
        }),
        "kind" => {
            let (name, number) = match at.kind {
                Kind::Unspecified => ("Unspecified", 0),
                Kind::Utc => ("Utc", 1),
                Kind::Local(_) => ("Local", 2),
            };
            Value::enumeration("System.DateTimeKind", name, number)
        }
        _ => return None,
    })
}

fn span_property(span: TimeSpan, name: &str) -> Option<Value> {
    let [days, hours, minutes, seconds, milliseconds] = span.parts();
    let part = |part: i64| Value::Int(i32::try_from(part).unwrap_or(0));
    Some(match name {
        "ticks" => Value::Long(span.ticks),
        "days" => part(days),
        "hours" => part(hours),
        "minutes" => part(minutes),
        "seconds" => part(seconds),
        "milliseconds" => part(milliseconds),
        "totaldays" => Value::Double(span.total(86_400 * TICKS)),
        "totalhours" => Value::Double(span.total(3600 * TICKS)),
        "totalminutes" => Value::Double(span.total(60 * TICKS)),
        "totalseconds" => Value::Double(span.total(TICKS)),
        "totalmilliseconds" => Value::Double(span.total(TICKS / 1000)),
        _ => return None,
    })
}

fn version_property(version: Version, name: &str) -> Option<Value> {
    let Version([major, minor, build, revision]) = version;
    Some(match name {
        "major" => Value::Int(major),
        "minor" => Value::Int(minor),
        "build" => Value::Int(build),
        "revision" => Value::Int(revision),
        "majorrevision" => Value::Int(if revision < 0 { -1 } else { revision >> 16 }),
        "minorrevision" => Value::Int(if revision < 0 { -1 } else { revision & 0xffff }),
        _ => return None,
    })
}

fn type_property(full: &str, name: &str) -> Option<Value> {
    let (namespace, short) = full.rsplit_once('.').unwrap_or(("", full));
    Some(match name {
        "name" => Value::str(short),
        "fullname" => Value::str(full),
        "namespace" => Value::str(namespace),
        "isarray" => Value::Bool(full.ends_with("[]")),
        "isenum" => Value::Bool(types::known(full).is_none() && !full.starts_with("System.")),
        _ => return None,
    })
}
