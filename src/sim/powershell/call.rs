//! A call of a command: the bound arguments and the pipeline's input, with helpers to read them.

use super::error::{Category, ErrorRecord};
use super::life::Life;
use super::machine::Edition;
use super::spec::Spec;
use super::value::Value;

/// What a caller's `-ErrorAction` or `$ErrorActionPreference` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sim) enum ErrorAction {
    #[default]
    Continue,
    SilentlyContinue,
    Ignore,
    Stop,
}

/// A call of a command.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Call {
    pub(in crate::sim) spec: &'static Spec,
    /// The name as it was written, with a module before it or not.
    pub(in crate::sim) written: String,
    /// Parameters that were given, by their declared names; switches are booleans.
    pub(in crate::sim) arguments: Vec<(&'static str, Value)>,
    /// What came through the pipeline; `None` when the command stands first.
    pub(in crate::sim) input: Option<Vec<Value>>,
    /// The action in force; the interpreter applies it to what is answered.
    pub(in crate::sim) error_action: ErrorAction,
    pub(in crate::sim) edition: Edition,
    /// What a command waits on; see [`super::machine::Machine::sleep`].
    pub(in crate::sim) life: Life,
}

impl Call {
    /// Returns an argument by the parameter's declared name; `None` when it was not given.
    pub(in crate::sim) fn get(&self, name: &str) -> Option<&Value> {
        self.arguments
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Whether a parameter was given.
    pub(in crate::sim) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether a switch is on.
    pub(in crate::sim) fn switch(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Bool(true)))
    }

    /// Whether a switch was switched off in words, as `-Confirm:$false` does.
    pub(in crate::sim) fn refused(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Bool(false)))
    }

    /// Returns a string argument.
    pub(in crate::sim) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Returns an integer argument.
    pub(in crate::sim) fn integer(&self, name: &str) -> Option<i128> {
        self.get(name).and_then(Value::as_integer)
    }

    /// Returns the strings of an argument that takes one or several.
    pub(in crate::sim) fn texts(&self, name: &str) -> Vec<String> {
        self.get(name)
            .map(Value::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    }

    /// Returns the elements of an argument, or what came through the pipeline when it was not given.
    pub(in crate::sim) fn given_or_input(&self, name: &str) -> Vec<Value> {
        match (self.get(name), &self.input) {
            (Some(value), _) => value.items(),
            (None, Some(input)) => input.clone(),
            (None, None) => Vec::new(),
        }
    }

    /// Makes an error of this command, its identifier ending in the command's class.
    pub(in crate::sim) fn error(
        &self,
        exception: &str,
        message: impl Into<String>,
        id: &str,
        category: Category,
    ) -> ErrorRecord {
        let fqid = format!("{id},{}", self.spec.class);
        ErrorRecord::new(exception, message, fqid, category).in_command(self.spec.name)
    }
}
