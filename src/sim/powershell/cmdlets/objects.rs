//! Cmdlets that make and change objects and variables.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the table has one shape for all cmdlets"
)]

use super::input;
use crate::sim::powershell::ast::Variable;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::Category;
use crate::sim::powershell::interp::{Interpreter, Run, failed};
use crate::sim::powershell::machine::{LanguageMode, Reply};
use crate::sim::powershell::object::{CUSTOM_OBJECT, Object};
use crate::sim::powershell::types;
use crate::sim::powershell::value::Value;

pub(super) fn new_object(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let written = call.text("TypeName").unwrap_or_default();
    let full = types::full_name(written);
    let mode = interpreter.windows.language_mode;
    if mode == LanguageMode::Constrained && !types::is_core(&full) {
        let message = "Cannot create type. Only core types are supported in this language mode.";
        return failed(
            call.error(
                "System.Management.Automation.PSNotSupportedException",
                message,
                "CannotCreateTypeConstrainedLanguage",
                Category::PermissionDenied,
            )
            .terminating(),
        );
    }
    let arguments = call
        .get("ArgumentList")
        .map(Value::items)
        .unwrap_or_default();
    let is_bag = matches!(
        full.as_str(),
        CUSTOM_OBJECT | "System.Management.Automation.PSObject" | "System.Object"
    );
    let object = if is_bag {
        Object::custom().into()
    } else {
        let Some(new) = interpreter.construct(&full, &arguments)? else {
            let message = format!(
                "Cannot find type [{written}]: verify that the assembly containing this type is \
                 loaded."
            );
            return failed(
                call.error(
                    "System.Management.Automation.PSArgumentException",
                    message,
                    "TypeNotFound",
                    Category::InvalidType,
                )
                .terminating(),
            );
        };
        new
    };
    if let Some(Value::Hash(properties)) = call.get("Property") {
        for (name, value) in properties.pairs() {
            let name = interpreter.text_of(&name);
            match &object {
                Value::Object(bag) => bag.set(&name, value),
                other => interpreter.set_property(other, &name, value)?,
            }
        }
    }
    Ok(Reply::value(object))
}

pub(super) fn add_member(_interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let name = call.text("NotePropertyName").or_else(|| call.text("Name"));
    let value = call
        .get("NotePropertyValue")
        .or_else(|| call.get("Value"))
        .cloned()
        .unwrap_or_default();
    let kind = call.text("MemberType").unwrap_or("NoteProperty");
    // `Add-Member NoteProperty Name Value` gives the kind first.
    let Some(name) = name.filter(|_| kind.eq_ignore_ascii_case("NoteProperty")) else {
        let message = "The simulated Add-Member adds note properties only.";
        return failed(
            call.error(
                "System.NotSupportedException",
                message,
                "NotSimulated",
                Category::NotImplemented,
            )
            .terminating(),
        );
    };
    let mut reply = Reply::nothing();
    for item in input(call) {
        if let Value::Object(object) = &item {
            if object.get(name).is_some() && !call.switch("Force") {
                let message = format!(
                    "Cannot add a member with the name \"{name}\" because a member with that name \
                     already exists. To overwrite the member anyway, add the Force parameter to \
                     your command."
                );
                reply.errors.push(call.error(
                    "System.InvalidOperationException",
                    message,
                    "MemberAlreadyExists",
                    Category::InvalidOperation,
                ));
                continue;
            }
            object.set(name, value.clone());
        }
        if call.switch("PassThru") {
            reply.output.push(item);
        }
    }
    Ok(reply)
}

pub(super) fn remove_type_data(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let name = call.text("TypeName").unwrap_or_default();
    if types::full_name(name) == "System.Array" && !interpreter.array_data_removed {
        interpreter.array_data_removed = true;
        return Ok(Reply::nothing());
    }
    let message =
        format!("Error in TypeData \"{name}\": The TypeData is not found in the current session.");
    Ok(Reply::error(call.error(
        "System.Management.Automation.RuntimeException",
        message,
        "TypesXmlRemoveException",
        Category::InvalidOperation,
    )))
}

pub(super) fn get_variable(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let mut reply = Reply::nothing();
    for name in call.texts("Name") {
        let value = interpreter.plain_variable(&name);
        if value.is_null() && !name.eq_ignore_ascii_case("null") {
            let message = format!("Cannot find a variable with the name '{name}'.");
            reply.errors.push(
                call.error(
                    "System.Management.Automation.ItemNotFoundException",
                    message,
                    "VariableNotFound",
                    Category::ObjectNotFound,
                )
                .with_target(name.as_str()),
            );
        } else if call.switch("ValueOnly") {
            reply.output.push(value);
        } else {
            reply.output.push(
                Object::new("System.Management.Automation.PSVariable")
                    .with("Name", name)
                    .with("Value", value)
                    .into(),
            );
        }
    }
    Ok(reply)
}

pub(super) fn set_variable(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let value = call.get("Value").cloned().unwrap_or_default();
    for name in call.texts("Name") {
        let variable = Variable {
            scope: None,
            name: name.into(),
        };
        interpreter.set_variable(&variable, value.clone())?;
    }
    Ok(Reply::nothing())
}
