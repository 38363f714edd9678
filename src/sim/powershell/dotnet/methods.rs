//! Methods of objects.

use std::sync::Arc;

use jiff::Timestamp;

use super::collections::{self, Answer};
use super::{streams, strings};
use crate::sim::powershell::compare;
use crate::sim::powershell::convert;
use crate::sim::powershell::error::{Category, ErrorRecord, Exception};
use crate::sim::powershell::format;
use crate::sim::powershell::interp::{Flow, Interpreter, Run, failed};
use crate::sim::powershell::machine::LanguageMode;
use crate::sim::powershell::native::{Native, lock};
use crate::sim::powershell::operators::no_method;
use crate::sim::powershell::text;
use crate::sim::powershell::time::{DateTime, TimeSpan};
use crate::sim::powershell::types;
use crate::sim::powershell::value::{TypeName, Value};

/// Returns the ticks between an instant and the machine's time.
pub(super) fn ticks_since(interpreter: &Interpreter<'_>, since: Timestamp) -> i64 {
    let span = interpreter.process.machine.now().duration_since(since);
    i64::try_from(span.as_nanos() / 100).unwrap_or(0)
}

impl Interpreter<'_> {
    /// Calls a method.
    pub(in crate::sim::powershell) fn method(
        &mut self,
        on: &Value,
        name: &str,
        arguments: &[Value],
    ) -> Run<Value> {
        if on.is_null() {
            let message = "You cannot call a method on a null-valued expression.";
            return failed(ErrorRecord::runtime(
                message,
                "InvokeMethodOnNull",
                Category::InvalidOperation,
            ));
        }
        let type_name = on.type_name().unwrap_or_default();
        if self.windows.language_mode == LanguageMode::Constrained && !types::is_core(&type_name) {
            return failed(not_in_constrained());
        }
        let lower = name.to_ascii_lowercase();
        // A block kept in a table or an object is no method of it, as in PowerShell.
        if let Some(answer) = self.known_method(on, &lower, arguments)? {
            return answer
                .or_else(|inner| failed(ErrorRecord::in_method(name, arguments.len(), inner)));
        }
        if let Value::Object(object) = on {
            let object = Arc::clone(object);
            if let Some(answer) = self.process.machine.method(&object, name, arguments) {
                return Ok(answer?);
            }
        }
        if let Some(answer) = self.common_method(on, &lower, arguments) {
            return answer;
        }
        if let Value::Array(array) = on {
            // A method of the elements, where the list itself has none.
            let mut found = Vec::new();
            for item in array.items() {
                match self.method(&item, name, arguments)? {
                    Value::Void => {}
                    value => found.push(value),
                }
            }
            return Ok(Value::of_output(found));
        }
        failed(no_method(&type_name, name))
    }

    /// Whether `ForEach-Object Name` would call a method.
    pub(in crate::sim::powershell) fn has_method(&self, on: &Value, name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        match on {
            Value::Str(text) => strings::method(text, &lower, &[], self.locale).is_some(),
            _ => matches!(lower.as_str(), "tostring" | "gettype" | "gethashcode"),
        }
    }

    fn known_method(
        &mut self,
        on: &Value,
        name: &str,
        arguments: &[Value],
    ) -> Run<Option<Result<Value, Exception>>> {
        Ok(match on {
            Value::Str(text) => strings::method(text, name, arguments, self.locale),
            Value::Hash(hash) => collections::hash_method(hash, name, arguments),
            Value::Array(_) | Value::Bytes(_) => match (name, arguments) {
                ("foreach" | "where", [Value::ScriptBlock(block)]) => {
                    let mut found = Vec::new();
                    for item in on.items() {
                        let block = Arc::clone(block);
                        let kept = item.clone();
                        let items = self.collect(|this| this.run_in_place(&block, Some(kept)))?;
                        if name == "foreach" {
                            found.extend(items);
                        } else if convert::truth(&Value::of_output(items)) {
                            found.push(item);
                        }
                    }
                    Some(Ok(Value::array(found)))
                }
                _ => collections::list_method(on, name, arguments),
            },
            Value::DateTime(at) => self.date_method(*at, name, arguments),
            Value::TimeSpan(span) => span_method(*span, name, arguments),
            Value::ScriptBlock(block) => match name {
                "invoke" => {
                    let block = Arc::clone(block);
                    let items = self.invoke(&block, arguments)?;
                    Some(Ok(Value::array(items)))
                }
                "invokereturnasis" => {
                    let block = Arc::clone(block);
                    Some(Ok(Value::of_output(self.invoke(&block, arguments)?)))
                }
                "getnewclosure" => Some(Ok(on.clone())),
                _ => None,
            },
            Value::Native(native) => return self.native_method(native, name, arguments),
            Value::Error(_) | Value::Object(_) if name == "getbaseexception" => {
                Some(Ok(self.innermost(on)?))
            }
            _ => None,
        })
    }

    fn innermost(&mut self, exception: &Value) -> Run<Value> {
        let mut inner = exception.clone();
        for _ in 0..64 {
            match self.property(&inner, "InnerException")? {
                Value::Null => break,
                deeper => inner = deeper,
            }
        }
        Ok(inner)
    }

    fn date_method(&self, at: DateTime, name: &str, arguments: &[Value]) -> Answer {
        let moved = |ticks: i64| {
            Some(Ok(Value::DateTime(DateTime {
                ticks: at.ticks.saturating_add(ticks),
                kind: at.kind,
            })))
        };
        let [argument] = arguments else {
            return match (name, arguments) {
                ("touniversaltime", []) => Some(Ok(Value::DateTime(at.to_utc(self.locale.offset)))),
                ("tolocaltime", []) => Some(Ok(Value::DateTime(at.to_local(self.locale.offset)))),
                ("tofiletimeutc" | "tofiletime", []) => Some(Ok(Value::Long(
                    at.to_utc(self.locale.offset).ticks - 504_911_232_000_000_000,
                ))),
                _ => None,
            };
        };
        let number = || convert::number(argument).map_or(0.0, convert::Number::real);
        match name {
            "addmilliseconds" => moved(TimeSpan::from_seconds(number() / 1000.0).ticks),
            "addseconds" => moved(TimeSpan::from_seconds(number()).ticks),
            "addminutes" => moved(TimeSpan::from_seconds(number() * 60.0).ticks),
            "addhours" => moved(TimeSpan::from_seconds(number() * 3600.0).ticks),
            "adddays" => moved(TimeSpan::from_seconds(number() * 86_400.0).ticks),
            "addticks" => moved(
                argument
                    .as_integer()
                    .and_then(|n| i64::try_from(n).ok())
                    .unwrap_or(0),
            ),
            "add" | "subtract" => match argument {
                Value::TimeSpan(span) if name == "add" => moved(span.ticks),
                Value::TimeSpan(span) => moved(span.ticks.saturating_neg()),
                Value::DateTime(other) if name == "subtract" => {
                    Some(Ok(Value::TimeSpan(TimeSpan {
                        ticks: at.ticks.saturating_sub(other.ticks),
                    })))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn native_method(
        &mut self,
        native: &Arc<Native>,
        name: &str,
        arguments: &[Value],
    ) -> Run<Option<Result<Value, Exception>>> {
        Ok(match (native.as_ref(), name, arguments) {
            (Native::Encoding(encoding), ..) => {
                streams::encoding_method(*encoding, name, arguments)
            }
            (Native::Writer { error }, "write" | "writeline", _) => {
                let end = if name == "writeline" { "\r\n" } else { "" };
                let text = match arguments {
                    [] => String::new(),
                    [only] => text::to_string(only, self.locale),
                    [pattern, rest @ ..] => {
                        let pattern = self.text_of(pattern);
                        format::composed(&pattern, rest, self.locale).unwrap_or(pattern)
                    }
                };
                self.write_console(*error, &format!("{text}{end}"));
                Some(Ok(Value::Void))
            }
            (Native::Writer { .. }, "flush", []) => Some(Ok(Value::Void)),
            (Native::StringBuilder(builder), "append" | "appendline", _) => {
                let mut text = lock(builder);
                for argument in arguments {
                    text.push_str(&text::of(argument, self.locale));
                }
                if name == "appendline" {
                    text.push_str("\r\n");
                }
                drop(text);
                Some(Ok(Value::Native(Arc::clone(native))))
            }
            (Native::StringBuilder(builder), "tostring", []) => {
                Some(Ok(Value::from(lock(builder).clone())))
            }
            (Native::StringBuilder(builder), "clear", []) => {
                lock(builder).clear();
                Some(Ok(Value::Native(Arc::clone(native))))
            }
            (Native::Stopwatch(watch), "start" | "stop" | "reset" | "restart", []) => {
                let now = self.process.machine.now();
                let mut watch = lock(watch);
                let run = watch.since.map_or(0, |since| ticks_since(self, since));
                match name {
                    "start" => {
                        watch.since.get_or_insert(now);
                    }
                    "stop" => {
                        watch.before = watch.before.saturating_add(run);
                        watch.since = None;
                    }
                    _ => {
                        watch.before = 0;
                        watch.since = (name == "restart").then_some(now);
                    }
                }
                Some(Ok(Value::Void))
            }
            (Native::List(..), "foreach" | "where", _) => {
                let list = Value::array(native.items().unwrap_or_default());
                return self.known_method(&list, name, arguments);
            }
            (Native::List(..), ..) => collections::growing_method(native, name, arguments),
            (Native::Regex(regex), "ismatch", [value]) => {
                Some(Ok(Value::Bool(regex.is_match(&self.text_of(value)))))
            }
            (Native::Regex(regex), "replace", [value, with]) => {
                let (value, with) = (self.text_of(value), self.text_of(with));
                let replaced = crate::sim::powershell::pattern::replace(&value, regex, &with);
                Some(Ok(Value::from(replaced)))
            }
            (
                Native::Secret(_)
                | Native::InputReader
                | Native::Output { .. }
                | Native::Task(_)
                | Native::Program(_),
                ..,
            ) => return self.program_method(native, name, arguments),
            (stream, ..) => streams::stream_method(stream, name, arguments),
        })
    }

    /// Writes to the console as `[Console]` does.
    pub(super) fn write_console(&mut self, error: bool, text: &str) {
        if error {
            self.process.console.error(text);
        } else {
            self.process.console.out(text);
        }
    }

    /// Calls a method that every object has.
    fn common_method(&mut self, on: &Value, name: &str, arguments: &[Value]) -> Option<Run<Value>> {
        Some(Ok(match (name, arguments) {
            ("gettype", []) => Value::Type(TypeName(Arc::from(on.type_name()?))),
            ("tostring", []) => Value::from(text::to_string(on, self.locale)),
            ("tostring", [shape, ..]) => {
                let shape = match shape {
                    Value::Str(shape) => shape.as_ref().to_owned(),
                    // A culture by itself.
                    _ => String::new(),
                };
                return Some(
                    format::formatted(on, &shape, self.locale)
                        .map(Value::from)
                        .ok_or_else(|| {
                            let inner = Exception::new(
                                "System.FormatException",
                                "Format specifier was invalid.",
                            );
                            ErrorRecord::in_method("ToString", 1, inner).into()
                        }),
                );
            }
            ("equals", [other]) => Value::Bool(compare::equal(on, other, true, self.locale)),
            ("compareto", [other]) => match compare::order(on, other, true, self.locale) {
                Ok(order) => Value::Int(match order {
                    std::cmp::Ordering::Less => -1,
                    std::cmp::Ordering::Equal => 0,
                    std::cmp::Ordering::Greater => 1,
                }),
                Err(record) => return Some(Err(Flow::from(record))),
            },
            ("gethashcode", []) => Value::Int(0),
            ("hasflag", [flag]) => {
                let (own, flag) = (on.as_integer()?, flag.as_integer()?);
                Value::Bool(own & flag == flag)
            }
            ("tobytearray", []) => match on {
                Value::Guid(id) => Value::Bytes(Arc::from(id.to_be_bytes())),
                _ => return None,
            },
            _ => return None,
        }))
    }
}

fn span_method(span: TimeSpan, name: &str, arguments: &[Value]) -> Answer {
    let made = |ticks: i64| Some(Ok(Value::TimeSpan(TimeSpan { ticks })));
    match (name, arguments) {
        ("add", [Value::TimeSpan(other)]) => made(span.ticks.saturating_add(other.ticks)),
        ("subtract", [Value::TimeSpan(other)]) => made(span.ticks.saturating_sub(other.ticks)),
        ("negate", []) => made(span.ticks.saturating_neg()),
        ("duration", []) => made(span.ticks.saturating_abs()),
        _ => None,
    }
}

/// Says that constrained language calls no methods of such a type.
pub(super) fn not_in_constrained() -> ErrorRecord {
    ErrorRecord::runtime(
        "Cannot invoke method. Method invocation is supported only on core types in this language \
         mode.",
        "MethodInvocationNotSupportedInConstrainedLanguage",
        Category::InvalidOperation,
    )
}
