//! Cmdlets about time, processes, paths and the commands there are.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the table has one shape for all cmdlets"
)]

use std::sync::Arc;
use std::time::Duration;

use super::input;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::dates;
use crate::sim::powershell::dotnet::culture;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::interp::{Flow, Interpreter, Run, failed};
use crate::sim::powershell::life::Process;
use crate::sim::powershell::machine::{PathKind, Reply};
use crate::sim::powershell::object::Object;
use crate::sim::powershell::parse;
use crate::sim::powershell::pattern;
use crate::sim::powershell::programs;
use crate::sim::powershell::time::{DateTime, TICKS, TimeSpan};
use crate::sim::powershell::value::{Value, Version};

pub(super) fn get_date(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let at = match call.get("Date") {
        Some(Value::DateTime(at)) => *at,
        _ => DateTime::local(interpreter.process.machine.now(), interpreter.locale.offset),
    };
    if let Some(format) = call.text("Format") {
        return Ok(Reply::value(dates::format(
            at,
            format,
            interpreter.locale.german,
        )));
    }
    Ok(Reply::value(Value::DateTime(at)))
}

pub(super) fn new_time_span(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let now = DateTime::local(interpreter.process.machine.now(), interpreter.locale.offset);
    let given = |name: &str| match call.get(name) {
        Some(Value::DateTime(at)) => Some(at.ticks),
        _ => None,
    };
    let ticks = if call.has("Start") || call.has("End") {
        given("End").unwrap_or(now.ticks) - given("Start").unwrap_or(now.ticks)
    } else {
        let part = |name: &str, unit: i64| {
            let number = call.integer(name).and_then(|n| i64::try_from(n).ok());
            number.unwrap_or(0).saturating_mul(unit)
        };
        part("Days", 86_400 * TICKS)
            .saturating_add(part("Hours", 3600 * TICKS))
            .saturating_add(part("Minutes", 60 * TICKS))
            .saturating_add(part("Seconds", TICKS))
            .saturating_add(part("Milliseconds", TICKS / 1000))
    };
    Ok(Reply::value(Value::TimeSpan(TimeSpan { ticks })))
}

pub(super) fn start_sleep(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let seconds = match (call.get("Seconds"), call.integer("Milliseconds")) {
        (Some(Value::Double(seconds)), _) => *seconds,
        (_, Some(milliseconds)) => i32::try_from(milliseconds).map_or(0.0, f64::from) / 1000.0,
        _ => {
            let message = "Cannot process command because of one or more missing mandatory \
                           parameters: Seconds.";
            return failed(
                call.error(
                    "System.Management.Automation.ParameterBindingException",
                    message,
                    "MissingMandatoryParameter",
                    Category::InvalidArgument,
                )
                .terminating(),
            );
        }
    };
    let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    interpreter.sleep(time)?;
    Ok(Reply::nothing())
}

pub(super) fn get_culture(interpreter: &mut Interpreter<'_>, _call: &Call) -> Run<Reply> {
    Ok(Reply::value(culture(&interpreter.windows.culture)))
}

pub(super) fn set_strict_mode(_interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    if call.switch("Off") {
        return Ok(Reply::nothing());
    }
    let message = "The simulated PowerShell has no strict mode.";
    failed(
        call.error(
            "System.NotSupportedException",
            message,
            "NotSimulated",
            Category::NotImplemented,
        )
        .terminating(),
    )
}

pub(super) fn invoke_expression(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let text = call.text("Command").unwrap_or_default();
    let script = match parse::parse(text, interpreter.edition()) {
        Ok(script) => script,
        Err(error) => return failed(error.record()),
    };
    interpreter.run_in_place(&script, None)?;
    Ok(Reply::nothing())
}

fn process_object(process: &Process, offset: i32) -> Value {
    Object::new("System.Diagnostics.Process")
        .with("Id", i32::try_from(process.id).unwrap_or(0))
        .with("ProcessName", process.name.as_str())
        .with("Name", process.name.as_str())
        .with(
            "StartTime",
            Value::DateTime(DateTime::local(process.started, offset)),
        )
        .with("HasExited", process.life.ended())
        .with("SessionId", 0)
        .reads(format!("System.Diagnostics.Process ({})", process.name))
        .into()
}

const PROCESS_ERROR: &str = "Microsoft.PowerShell.Commands.ProcessCommandException";

/// Finds processes by what a call names, with an error for each that is not there.
fn found(interpreter: &Interpreter<'_>, call: &Call) -> (Vec<Process>, Vec<ErrorRecord>) {
    let all = interpreter.process.machine.processes().list();
    let mut named = Vec::new();
    let mut errors = Vec::new();
    let ids = call
        .get("Id")
        .map(Value::items)
        .unwrap_or_default()
        .into_iter()
        .chain(
            input(call)
                .into_iter()
                .filter_map(|item| item.as_object()?.get("Id")),
        );
    for id in ids.filter_map(|id| id.as_integer()) {
        if let Some(process) = all.iter().find(|process| i128::from(process.id) == id) {
            named.push(process.clone());
            continue;
        }
        let message = format!("Cannot find a process with the process identifier {id}.");
        errors.push(
            call.error(
                PROCESS_ERROR,
                message,
                "NoProcessFoundForGivenId",
                Category::ObjectNotFound,
            )
            .with_target(i32::try_from(id).unwrap_or(0)),
        );
    }
    for name in call.texts("Name") {
        let before = named.len();
        named.extend(
            all.iter()
                .filter(|process| pattern::like(&process.name, &name, false))
                .cloned(),
        );
        if named.len() == before && !name.contains(['*', '?', '[']) {
            let message = format!(
                "Cannot find a process with the name \"{name}\". Verify the process name and call \
                 the cmdlet again."
            );
            errors.push(
                call.error(
                    PROCESS_ERROR,
                    message,
                    "NoProcessFoundForGivenName",
                    Category::ObjectNotFound,
                )
                .with_target(name.as_str()),
            );
        }
    }
    (named, errors)
}

pub(super) fn get_process(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let (named, errors) = if call.has("Id") || call.has("Name") {
        found(interpreter, call)
    } else {
        (interpreter.process.machine.processes().list(), Vec::new())
    };
    let offset = interpreter.locale.offset;
    Ok(Reply {
        output: named
            .iter()
            .map(|one| process_object(one, offset))
            .collect(),
        errors,
        warnings: Vec::new(),
    })
}

pub(super) fn stop_process(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let (named, errors) = found(interpreter, call);
    for process in named {
        process.life.end();
    }
    if interpreter.process.life.ended() {
        return Err(Flow::Ended);
    }
    Ok(Reply {
        errors,
        ..Reply::nothing()
    })
}

pub(super) fn test_path(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let wanted = call.text("PathType").unwrap_or("Any").to_owned();
    let literal = call.has("LiteralPath");
    let paths = call.texts(if literal { "LiteralPath" } else { "Path" });
    let output = paths
        .iter()
        .map(|path| {
            let kind = match path.split_once(':') {
                Some((drive, name)) if drive.eq_ignore_ascii_case("env") => interpreter
                    .process
                    .machine
                    .environment(name.trim_start_matches('\\'))
                    .map(|_| PathKind::File),
                Some((drive, name)) if drive.eq_ignore_ascii_case("variable") => {
                    (!interpreter.plain_variable(name).is_null()).then_some(PathKind::File)
                }
                Some((drive, name)) if drive.eq_ignore_ascii_case("function") => interpreter
                    .scopes
                    .has_function(name)
                    .then_some(PathKind::File),
                _ => interpreter.process.machine.path(path),
            };
            Value::Bool(match (wanted.as_str(), kind) {
                (_, None) => false,
                ("Container", Some(kind)) => kind == PathKind::Folder,
                ("Leaf", Some(kind)) => kind == PathKind::File,
                _ => true,
            })
        })
        .collect();
    Ok(Reply::values(output))
}

pub(super) fn split_path(_interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let literal = call.has("LiteralPath");
    let paths = call.texts(if literal { "LiteralPath" } else { "Path" });
    let output = paths
        .iter()
        .map(|path| {
            let path = path.trim_end_matches(['\\', '/']);
            if call.switch("Qualifier") {
                let drive = path.split_once(':').map(|(drive, _)| format!("{drive}:"));
                return Value::from(drive.unwrap_or_default());
            }
            let (parent, leaf) = path.rsplit_once(['\\', '/']).unwrap_or(("", path));
            if call.switch("Leaf") {
                return Value::str(leaf);
            }
            if parent.ends_with(':') {
                return Value::from(format!("{parent}\\"));
            }
            Value::str(parent)
        })
        .collect();
    Ok(Reply::values(output))
}

pub(super) fn join_path(_interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let parent = call.text("Path").unwrap_or_default();
    let child = call.text("ChildPath").unwrap_or_default();
    let joined = format!(
        "{}\\{}",
        parent.trim_end_matches(['\\', '/']),
        child.trim_start_matches(['\\', '/'])
    );
    Ok(Reply::value(joined))
}

pub(super) fn get_command(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let mut reply = Reply::nothing();
    for name in call.texts("Name") {
        match command(interpreter, &name) {
            Some(info) => reply.output.push(info),
            None if name.contains(['*', '?', '[']) => {}
            None => {
                let message = format!(
                    "The term '{name}' is not recognized as the name of a cmdlet, function, script \
                     file, or operable program. Check the spelling of the name, or if a path was \
                     included, verify that the path is correct and try again."
                );
                reply.errors.push(
                    call.error(
                        "System.Management.Automation.CommandNotFoundException",
                        message,
                        "CommandNotFoundException",
                        Category::ObjectNotFound,
                    )
                    .with_target(name.as_str()),
                );
            }
        }
    }
    Ok(reply)
}

fn command(interpreter: &mut Interpreter<'_>, name: &str) -> Option<Value> {
    if interpreter.scopes.has_function(name) {
        let info = Object::new("System.Management.Automation.FunctionInfo")
            .with("CommandType", kind("Function", 2))
            .with("Name", name)
            .with("Source", "");
        return Some(info.reads(name).into());
    }
    if let Some(spec) = interpreter.find_cmdlet(name) {
        let info = Object::new("System.Management.Automation.CmdletInfo")
            .with("CommandType", kind("Cmdlet", 8))
            .with("Name", spec.name)
            .with("Source", spec.module)
            .with("ModuleName", spec.module);
        return Some(info.reads(spec.name).into());
    }
    let windows = Arc::clone(&interpreter.windows);
    let path = programs::path(interpreter.process.machine, &windows, name)?;
    let leaf = path.rsplit('\\').next().unwrap_or(&path).to_owned();
    let info = Object::new("System.Management.Automation.ApplicationInfo")
        .with("CommandType", kind("Application", 32))
        .with("Name", leaf.as_str())
        .with("Version", Value::Version(Version([10, 0, 0, 0])))
        .with("Source", path.as_str())
        .with("Path", path.as_str())
        .with("Definition", path.as_str());
    Some(info.reads(leaf).into())
}

fn kind(name: &str, number: i64) -> Value {
    Value::enumeration("System.Management.Automation.CommandTypes", name, number)
}
