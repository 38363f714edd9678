//! Cmdlets that write to a stream.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the table has one shape for all cmdlets"
)]

use super::input;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::interp::{Interpreter, Run, Stream};
use crate::sim::powershell::machine::Reply;
use crate::sim::powershell::render;
use crate::sim::powershell::value::Value;

pub(super) fn write_output(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let whole = call.switch("NoEnumerate");
    let values = match (&call.input, call.get("InputObject")) {
        (_, Some(value)) => vec![value.clone()],
        (Some(input), None) => input.clone(),
        (None, None) => Vec::new(),
    };
    for value in values {
        if whole {
            interpreter.emit(value)?;
        } else {
            interpreter.emit_each(value)?;
        }
    }
    Ok(Reply::nothing())
}

pub(super) fn write_error(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    const WRITTEN: &str = "Microsoft.PowerShell.Commands.WriteErrorException";
    if let Some(Value::Error(record)) = call.get("ErrorRecord") {
        return Ok(Reply::error(ErrorRecord::clone(record)));
    }
    let message = match (call.text("Message"), call.get("Exception")) {
        (Some(message), _) => message.to_owned(),
        (None, Some(exception)) => {
            let message = interpreter.property(exception, "Message")?;
            interpreter.text_of(&message)
        }
        (None, None) => input(call)
            .iter()
            .map(|item| interpreter.text_of(item))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    let id = call.text("ErrorId").unwrap_or(WRITTEN);
    let fqid = if id == WRITTEN {
        WRITTEN.to_owned()
    } else {
        format!("{id},{WRITTEN}")
    };
    let category = call
        .text("Category")
        .and_then(Category::named)
        .unwrap_or(Category::NotSpecified);
    let mut record = ErrorRecord::new(WRITTEN, message, fqid, category).in_command("Write-Error");
    if let Some(Value::Object(exception)) = call.get("Exception")
        && let Some(first) = record.exceptions.first_mut()
    {
        exception.type_name().clone_into(&mut first.type_name);
    }
    record.target = call.get("TargetObject").cloned().unwrap_or_default();
    Ok(Reply::error(record))
}

pub(super) fn write_warning(_interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let message = call.text("Message").unwrap_or_default();
    Ok(Reply::nothing().and_warning(message))
}

pub(super) fn write_verbose(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let wanted = interpreter.plain_variable("VerbosePreference");
    if interpreter
        .text_of(&wanted)
        .eq_ignore_ascii_case("Continue")
    {
        let message = call.text("Message").unwrap_or_default();
        interpreter.process.console.record(Stream::Verbose, message);
    }
    Ok(Reply::nothing())
}

pub(super) fn write_nothing(_interpreter: &mut Interpreter<'_>, _call: &Call) -> Run<Reply> {
    Ok(Reply::nothing())
}

pub(super) fn write_progress(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let wanted = interpreter.plain_variable("ProgressPreference");
    if interpreter
        .text_of(&wanted)
        .eq_ignore_ascii_case("Continue")
    {
        let activity = call.text("Activity").unwrap_or_default();
        interpreter.process.console.progress(activity);
    }
    Ok(Reply::nothing())
}

pub(super) fn write_host(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let values = match (call.get("Object"), &call.input) {
        (Some(value), _) => value.items(),
        (None, Some(input)) => input.clone(),
        (None, None) => Vec::new(),
    };
    let texts: Vec<String> = values
        .iter()
        .map(|item| interpreter.text_of(item))
        .collect();
    let end = if call.switch("NoNewline") { "" } else { "\r\n" };
    let text = format!("{}{end}", texts.join(" "));
    interpreter.process.console.out(&text);
    Ok(Reply::nothing())
}

pub(super) fn out_host(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    for value in input(call) {
        let text = render::output(&value, interpreter.locale);
        interpreter.process.console.out(&text);
    }
    Ok(Reply::nothing())
}

pub(super) fn out_string(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let text: String = input(call)
        .iter()
        .map(|value| render::output(value, interpreter.locale))
        .collect();
    if call.switch("Stream") {
        return Ok(Reply::values(text.lines().map(Value::from).collect()));
    }
    Ok(Reply::value(text))
}
