//! Programs that a script starts through `Process`, their outputs, tasks that are waited for, and standard
//! input (Microsoft: `System.Diagnostics.Process`, `System.IO.StreamReader`, `System.Threading.Tasks.Task`).
//! As on Windows, a program whose outputs nobody takes does not come to its end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

use crate::sim::powershell::error::{Category, ErrorRecord, Exception};
use crate::sim::powershell::interp::{Interpreter, Line, Run, failed};
use crate::sim::powershell::native::{Encoding, Native, Program, Task, lock};
use crate::sim::powershell::object::Object;
use crate::sim::powershell::value::Value;

use super::collections::Answer;

/// Bytes that a pipe takes before whoever writes into it has to wait.
const PIPE: usize = 4096;

/// The page in which every byte is one character.
const BYTES: u16 = 28591;

/// How often a task that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Makes the objects of this file.
pub(super) fn construct(full: &str, arguments: &[Value]) -> Option<Value> {
    let native = |native| Some(Value::Native(Arc::new(native)));
    match (full, arguments) {
        ("System.Security.SecureString", []) => native(Native::Secret(Mutex::default())),
        ("System.Management.Automation.PSCredential", [Value::Str(user), password]) => Some(
            Object::new(full)
                .with("UserName", user.as_ref())
                .with("Password", password.clone())
                .into(),
        ),
        ("System.Diagnostics.ProcessStartInfo", []) => {
            let switches = [
                "CreateNoWindow",
                "RedirectStandardInput",
                "RedirectStandardOutput",
                "RedirectStandardError",
            ];
            let made = Object::new(full)
                .with("FileName", "")
                .with("Arguments", "")
                .with("UseShellExecute", true)
                .with("StandardOutputEncoding", Value::Null)
                .with("StandardErrorEncoding", Value::Null);
            let with = |made: Object, name: &&str| made.with(name, false);
            Some(switches.iter().fold(made, with).into())
        }
        ("System.Char[]", [count]) => {
            let count = usize::try_from(count.as_integer()?).ok()?;
            native(Native::Chars(Mutex::new(vec![0; count])))
        }
        _ => None,
    }
}

/// Bytes of an array of characters of the page that has a character for each byte.
pub(super) fn bytes_of(
    encoding: Encoding,
    native: &Native,
    range: (usize, usize),
) -> Option<Value> {
    let (start, count) = range;
    match native {
        Native::Chars(chars) if encoding == Encoding::Page(BYTES) => {
            let chars = lock(chars);
            let part = chars.get(start..start.checked_add(count)?)?;
            Some(Value::Bytes(Arc::from(part)))
        }
        _ => None,
    }
}

fn native_of(value: &Value) -> Option<&Arc<Native>> {
    match value {
        Value::Native(native) => Some(native),
        _ => None,
    }
}

impl Program {
    fn output(&self, error: bool) -> &[u8] {
        if error { &self.err } else { &self.out }
    }

    /// Takes so many bytes of an output from where the last one ended.
    fn take(&self, error: bool, count: usize) -> Vec<u8> {
        let mut taken = lock(&self.taken);
        let place = if error { &mut taken.1 } else { &mut taken.0 };
        let rest = self.output(error).get(*place..).unwrap_or_default();
        let part = rest.get(..count).unwrap_or(rest).to_vec();
        *place += part.len();
        part
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        let taken = *lock(&self.taken);
        let flows = |count: usize, all: &[u8]| count + PIPE >= all.len();
        self.ends.is_some_and(|ends| now >= ends)
            && flows(taken.0, &self.out)
            && flows(taken.1, &self.err)
    }

    fn property(&self, this: &Arc<Native>, name: &str, now: Timestamp) -> Option<Value> {
        let output = |error| {
            let program = Arc::clone(this);
            Some(Value::Native(Arc::new(Native::Output { program, error })))
        };
        match name {
            "id" => Some(Value::Int(self.id)),
            "hasexited" => Some(Value::Bool(self.has_ended(now))),
            "exitcode" if self.has_ended(now) => Some(Value::Int(self.code)),
            "standardinput" => Some(Value::Native(Arc::new(Native::Memory(Mutex::default())))),
            "standardoutput" => output(false),
            "standarderror" => output(true),
            _ => None,
        }
    }
}

impl Interpreter<'_> {
    /// Reads a property of the objects of this file.
    pub(super) fn program_property(&self, native: &Arc<Native>, name: &str) -> Option<Value> {
        let now = self.process.machine.now();
        match native.as_ref() {
            Native::Program(program) => program.property(native, name, now),
            // The stream below a reader goes on where the reader is.
            Native::Output { .. } if name == "basestream" => {
                Some(Value::Native(Arc::clone(native)))
            }
            Native::Task(task) => match name {
                "iscompleted" => Some(Value::Bool(self.is_complete(task))),
                "result" => Some(lock(&task.result).clone()),
                _ => None,
            },
            Native::Chars(chars) if name == "length" => Some(super::int(lock(chars).len())),
            _ => None,
        }
    }

    fn is_complete(&self, task: &Task) -> bool {
        match &task.of {
            None => task.done.load(std::sync::atomic::Ordering::Relaxed),
            Some((program, is_full)) => {
                let now = self.process.machine.now();
                *is_full
                    || matches!(program.as_ref(), Native::Program(program) if program.has_ended(now))
            }
        }
    }

    /// Calls a method of the objects of this file.
    pub(super) fn program_method(
        &mut self,
        native: &Arc<Native>,
        name: &str,
        arguments: &[Value],
    ) -> Run<Answer> {
        let task = |of, result| {
            let done = std::sync::atomic::AtomicBool::new(false);
            let result = Mutex::new(result);
            let task = Native::Task(Task { of, done, result });
            Some(Ok(Value::Native(Arc::new(task))))
        };
        Ok(match (native.as_ref(), name, arguments) {
            (Native::Secret(text), "appendchar", [Value::Char(sign)]) => {
                lock(text).push(*sign);
                Some(Ok(Value::Void))
            }
            (Native::InputReader, "readlineasync", []) => task(None, Value::Null),
            (Native::Output { program, error }, "readblockasync", [buffer, start, count]) => {
                let (Some(Native::Chars(chars)), Native::Program(from), Some(0), Some(count)) = (
                    native_of(buffer).map(Arc::as_ref),
                    program.as_ref(),
                    start.as_integer(),
                    count
                        .as_integer()
                        .and_then(|count| usize::try_from(count).ok()),
                ) else {
                    return Ok(None);
                };
                let part = from.take(*error, count);
                let mut chars = lock(chars);
                for (place, byte) in chars.iter_mut().zip(&part) {
                    *place = *byte;
                }
                drop(chars);
                let of = (Arc::clone(program), part.len() == count);
                task(Some(of), super::int(part.len()))
            }
            (Native::Output { program, error }, "copytoasync", [to]) => {
                let (Native::Program(from), Some(Native::Nowhere)) =
                    (program.as_ref(), native_of(to).map(Arc::as_ref))
                else {
                    return Ok(None);
                };
                from.take(*error, usize::MAX);
                task(Some((Arc::clone(program), false)), Value::Null)
            }
            (Native::Task(task), "wait", [time]) => {
                let time = time.as_integer().and_then(|time| u64::try_from(time).ok());
                let time = Duration::from_millis(time.unwrap_or_default());
                Some(Ok(Value::Bool(self.wait_for(task, time)?)))
            }
            (Native::Program(program), "waitforexit", [time]) => {
                let time = time.as_integer().and_then(|time| u64::try_from(time).ok());
                if !program.has_ended(self.process.machine.now()) {
                    self.sleep(Duration::from_millis(time.unwrap_or_default()))?;
                }
                Some(Ok(Value::Bool(
                    program.has_ended(self.process.machine.now()),
                )))
            }
            _ => None,
        })
    }

    fn wait_for(&mut self, task: &Task, time: Duration) -> Run<bool> {
        if task.of.is_none() {
            *lock(&task.result) = match self.process.console.read_line_within(time) {
                Line::Text(line) => Value::from(line),
                Line::End => Value::Null,
                Line::Late => return Ok(false),
            };
            task.done.store(true, std::sync::atomic::Ordering::Relaxed);
            return Ok(true);
        }
        let mut left = time;
        while !self.is_complete(task) {
            if left.is_zero() {
                return Ok(false);
            }
            let step = left.min(LOOK);
            self.sleep(step)?;
            left -= step;
        }
        Ok(true)
    }

    /// `[Diagnostics.Process]::Start(info)`.
    pub(super) fn start_program(&mut self, arguments: &[Value]) -> Run<Answer> {
        let [Value::Object(info)] = arguments else {
            return Ok(None);
        };
        let text = |name: &str| {
            info.get(name)
                .and_then(|value| value.as_str().map(str::to_owned))
        };
        let is = |name: &str| matches!(info.get(name), Some(Value::Bool(true)));
        let redirects = is("RedirectStandardOutput") && is("RedirectStandardError");
        if is("UseShellExecute") && redirects {
            let why = "The Process object must have the UseShellExecute property set to false in order to redirect IO streams.";
            return failed(ErrorRecord::runtime(
                why,
                "InvalidOperationException",
                Category::NotSpecified,
            ));
        }
        let (program, words) = (text("FileName"), text("Arguments"));
        let started = self
            .process
            .machine
            .start_program(&program.unwrap_or_default(), &words.unwrap_or_default());
        let now = self.process.machine.now();
        Ok(Some(match started {
            Ok(started) => Ok(Value::Native(Arc::new(Native::Program(Program {
                id: started.id,
                code: started.code,
                out: started.out,
                err: started.err,
                ends: started.lasts.and_then(|time| now.checked_add(time).ok()),
                taken: Mutex::default(),
            })))),
            Err(why) => Err(Exception::new("System.ComponentModel.Win32Exception", why)),
        }))
    }
}
