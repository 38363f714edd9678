//! Scopes: variables and functions, looked up through the callers; and the automatic variables.

use std::collections::HashMap;
use std::sync::Arc;

use super::Interpreter;
use super::flow::{Run, failed};
use crate::sim::powershell::ast::{ScriptBlock, Variable};
use crate::sim::powershell::convert;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::machine::Edition;
use crate::sim::powershell::native::Native;
use crate::sim::powershell::object::Hash;
use crate::sim::powershell::value::{Value, Version};

/// Variables a script may not set.
const READ_ONLY: &[&str] = &[
    "true",
    "false",
    "pid",
    "psversiontable",
    "executioncontext",
    "host",
    "home",
    "shellid",
    "?",
];

/// All scopes, the global one first.
#[derive(Debug)]
pub(in crate::sim::powershell) struct Scopes(Vec<Scope>);

#[derive(Debug, Default)]
struct Scope {
    variables: HashMap<String, Slot>,
    functions: HashMap<String, Arc<ScriptBlock>>,
}

#[derive(Debug, Default, Clone)]
struct Slot {
    value: Value,
    /// The type it was declared with.
    type_name: Option<Arc<str>>,
}

impl Scopes {
    pub(super) fn new() -> Self {
        Self(vec![Scope::default()])
    }

    pub(super) fn enter(&mut self) {
        self.0.push(Scope::default());
    }

    pub(super) fn leave(&mut self) {
        if self.0.len() > 1 {
            self.0.pop();
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let key = name.to_lowercase();
        self.0
            .iter()
            .rev()
            .find_map(|scope| scope.variables.get(&key))
            .map(|slot| &slot.value)
    }

    fn top(&mut self) -> Option<&mut Scope> {
        self.0.last_mut()
    }

    /// Sets a variable of the innermost scope, whatever type it was declared with.
    pub(in crate::sim::powershell) fn set_local(&mut self, name: &str, value: Value) {
        if let Some(scope) = self.top() {
            scope
                .variables
                .entry(name.to_lowercase())
                .or_default()
                .value = value;
        }
    }

    /// Sets a variable of the innermost scope and returns what it was there.
    pub(in crate::sim::powershell) fn swap_local(
        &mut self,
        name: &str,
        value: Option<Value>,
    ) -> Option<Value> {
        let scope = self.top()?;
        let before = scope.variables.remove(&name.to_lowercase());
        if let Some(value) = value {
            self.set_local(name, value);
        }
        before.map(|slot| slot.value)
    }

    pub(super) fn declare(&mut self, name: &str, type_name: Arc<str>) {
        if let Some(scope) = self.top() {
            scope
                .variables
                .entry(name.to_lowercase())
                .or_default()
                .type_name = Some(type_name);
        }
    }

    fn slot(&mut self, scope: Option<&str>, name: &str) -> Option<&mut Slot> {
        let scope = match scope {
            // No script files run, so that the script's scope is the global one.
            Some("global" | "script") => self.0.first_mut(),
            _ => self.0.last_mut(),
        }?;
        Some(scope.variables.entry(name.to_lowercase()).or_default())
    }

    fn scoped(&self, scope: &str, name: &str) -> Option<&Value> {
        let scope = match scope {
            "global" | "script" => self.0.first(),
            _ => self.0.last(),
        }?;
        scope
            .variables
            .get(&name.to_lowercase())
            .map(|slot| &slot.value)
    }

    pub(super) fn function(&self, name: &str) -> Option<Arc<ScriptBlock>> {
        let key = name.to_lowercase();
        self.0
            .iter()
            .rev()
            .find_map(|scope| scope.functions.get(&key))
            .cloned()
    }

    pub(super) fn define(&mut self, name: &str, body: &Arc<ScriptBlock>) {
        let lower = name.to_lowercase();
        let (scope, name) = match lower.split_once(':') {
            Some(("global" | "script", rest)) => (self.0.first_mut(), rest),
            Some((_, rest)) => (self.0.last_mut(), rest),
            None => (self.0.last_mut(), lower.as_str()),
        };
        if let Some(scope) = scope {
            scope.functions.insert(name.to_owned(), Arc::clone(body));
        }
    }

    pub(in crate::sim::powershell) fn has_function(&self, name: &str) -> bool {
        self.function(name).is_some()
    }
}

impl Interpreter<'_> {
    pub(super) fn set_automatic_variables(&mut self) {
        let version = self
            .windows
            .installed(self.edition())
            .map_or(Version([5, 1, 0, 0]), |installed| installed.version);
        let core = self.edition() == Edition::Core;
        let edition = if core { "Core" } else { "Desktop" };
        let table = Hash::new()
            .with("PSVersion", Value::Version(version))
            .with("PSEdition", edition)
            .with(
                "PSRemotingProtocolVersion",
                Value::Version(Version([2, 3, -1, -1])),
            )
            .with(
                "SerializationVersion",
                Value::Version(Version([1, 1, 0, 1])),
            );
        if core {
            table.set(Value::str("Platform"), Value::str("Win32NT"));
            table.set(
                Value::str("OS"),
                Value::from(format!("Microsoft Windows {}", {
                    let Version([major, minor, build, _]) = self.windows.os_version;
                    Version([major, minor, build, -1])
                })),
            );
        } else {
            let os = Value::Version(self.windows.os_version);
            table.set(Value::str("BuildVersion"), os);
            let clr = Value::Version(Version([4, 0, 30319, 42000]));
            table.set(Value::str("CLRVersion"), clr);
        }
        let process = i32::try_from(self.process.id).unwrap_or(0);
        for (name, value) in [
            ("PSVersionTable", Value::Hash(table)),
            ("PSEdition", Value::str(edition)),
            ("PID", Value::Int(process)),
            ("ErrorActionPreference", Value::str("Continue")),
            ("WarningPreference", Value::str("Continue")),
            ("VerbosePreference", Value::str("SilentlyContinue")),
            ("DebugPreference", Value::str("SilentlyContinue")),
            ("InformationPreference", Value::str("SilentlyContinue")),
            ("ProgressPreference", Value::str("Continue")),
            ("ConfirmPreference", Value::str("High")),
            ("WhatIfPreference", Value::Bool(false)),
            ("OFS", Value::str(" ")),
            ("PSCulture", Value::str(&self.windows.culture)),
            ("PSUICulture", Value::str(&self.windows.culture)),
            (
                "ExecutionContext",
                Value::Native(Arc::new(Native::ExecutionContext)),
            ),
            ("args", Value::array([])),
            ("NestedPromptLevel", Value::Int(0)),
            ("ShellId", Value::str("Microsoft.PowerShell")),
        ] {
            self.scopes.set_local(name, value);
        }
        if core {
            self.scopes.set_local("IsWindows", Value::Bool(true));
            self.scopes.set_local("IsLinux", Value::Bool(false));
            self.scopes.set_local("IsMacOS", Value::Bool(false));
        }
    }

    /// Returns a variable's value; one that is not there is `$null`.
    pub(in crate::sim::powershell) fn variable(&self, variable: &Variable) -> Value {
        let name = variable.name.as_ref();
        match variable.scope.as_deref() {
            Some("env") => Value::from(self.process.machine.environment(name)),
            Some(scope @ ("global" | "script" | "local" | "private")) => {
                self.scopes.scoped(scope, name).cloned().unwrap_or_default()
            }
            Some("variable") | None => self.plain_variable(name),
            Some(_) => Value::Null,
        }
    }

    /// Returns a variable's value by its name.
    pub(in crate::sim::powershell) fn plain_variable(&self, name: &str) -> Value {
        match name.to_ascii_lowercase().as_str() {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "?" => Value::Bool(self.succeeded),
            "error" => Value::array(self.errors.clone()),
            "lastexitcode" => Value::from(self.exit_code),
            "psitem" => self.scopes.get("_").cloned().unwrap_or_default(),
            _ => self.scopes.get(name).cloned().unwrap_or_default(),
        }
    }

    /// Sets a variable, converting to the type it was declared with.
    pub(in crate::sim::powershell) fn set_variable(
        &mut self,
        variable: &Variable,
        value: Value,
    ) -> Run<()> {
        let name = variable.name.to_lowercase();
        let scope = variable.scope.as_deref();
        if name == "null" {
            return Ok(());
        }
        if READ_ONLY.contains(&name.as_str()) && scope.is_none_or(|scope| scope != "env") {
            let message = format!(
                "Cannot overwrite variable {} because it is read-only or constant.",
                variable.name
            );
            let id = "VariableNotWritable";
            return failed(
                ErrorRecord::new(
                    "System.Management.Automation.SessionStateUnauthorizedAccessException",
                    message,
                    id,
                    Category::WriteError,
                )
                .with_target(variable.name.as_ref())
                .terminating(),
            );
        }
        match scope {
            None | Some("global" | "script" | "local" | "private" | "variable") => {}
            Some(drive) => {
                let message =
                    format!("Cannot find drive. A drive with the name '{drive}' does not exist.");
                let record = ErrorRecord::new(
                    "System.Management.Automation.DriveNotFoundException",
                    message,
                    "DriveNotFound",
                    Category::ObjectNotFound,
                );
                return failed(record.with_target(drive).terminating());
            }
        }
        let locale = self.locale;
        let Some(slot) = self.scopes.slot(scope, &name) else {
            return Ok(());
        };
        slot.value = match &slot.type_name {
            Some(full) => convert::cast(&value.plain(), full, locale)?,
            None => value,
        };
        Ok(())
    }

    /// Returns a preference variable's value in lower case.
    pub(super) fn preference(&self, name: &str) -> String {
        let value = self.plain_variable(name);
        crate::sim::powershell::text::of(&value, self.locale).to_lowercase()
    }
}
