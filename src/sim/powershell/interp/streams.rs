//! Output and the other streams: where results, errors and warnings go.

use std::sync::Arc;

use super::flow::{Flow, Run};
use super::pipeline::Collector;
use super::{Interpreter, Stream};
use crate::sim::powershell::ast::{RedirectTo, Redirection, Statement};
use crate::sim::powershell::call::ErrorAction;
use crate::sim::powershell::error::ErrorRecord;
use crate::sim::powershell::parse::position;
use crate::sim::powershell::render;
use crate::sim::powershell::value::Value;

/// Where streams go while a redirected command runs; `None`: to the console.
#[derive(Debug, Clone, Default)]
pub(super) struct Muted {
    error: Option<RedirectTo>,
    warning: Option<RedirectTo>,
    output: Option<RedirectTo>,
}

/// How a preference reads.
pub(super) fn action_of(text: &str) -> Option<ErrorAction> {
    match text.to_ascii_lowercase().as_str() {
        "stop" | "1" => Some(ErrorAction::Stop),
        "continue" | "2" | "inquire" | "3" => Some(ErrorAction::Continue),
        "silentlycontinue" | "0" => Some(ErrorAction::SilentlyContinue),
        "ignore" | "4" => Some(ErrorAction::Ignore),
        _ => None,
    }
}

impl Interpreter<'_> {
    /// Gives a value to whoever collects output, or shows it.
    pub(in crate::sim::powershell) fn emit(&mut self, value: Value) -> Run<()> {
        match value {
            Value::Void => Ok(()),
            value => match self.collectors.pop() {
                None => {
                    let text = render::output(&value, self.locale);
                    self.process.console.out(&text);
                    Ok(())
                }
                Some(Collector::List(mut items)) => {
                    items.push(value);
                    self.collectors.push(Collector::List(items));
                    Ok(())
                }
                Some(Collector::Nowhere) => {
                    self.collectors.push(Collector::Nowhere);
                    Ok(())
                }
                Some(Collector::Stage(mut stage)) => {
                    let result = self.feed(&mut stage, value);
                    self.collectors.push(Collector::Stage(stage));
                    result
                }
            },
        }
    }

    /// Gives an expression's value to whoever collects output: arrays one element at a time.
    pub(in crate::sim::powershell) fn emit_each(&mut self, value: Value) -> Run<()> {
        match &value {
            Value::Array(_) | Value::Bytes(_) => {
                for item in value.items() {
                    self.emit(item)?;
                }
                Ok(())
            }
            Value::Native(native) => match native.items() {
                Some(items) => {
                    for item in items {
                        self.emit(item)?;
                    }
                    Ok(())
                }
                None => self.emit(value),
            },
            _ => self.emit(value),
        }
    }

    /// Runs something and returns what it put out.
    pub(in crate::sim::powershell) fn collect(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Run<()>,
    ) -> Run<Vec<Value>> {
        self.collectors.push(Collector::List(Vec::new()));
        let result = inner(self);
        let collected = self.collectors.pop();
        result?;
        Ok(match collected {
            Some(Collector::List(items)) => items,
            _ => Vec::new(),
        })
    }

    /// Runs something with its streams redirected.
    pub(super) fn redirected(
        &mut self,
        redirections: &[Redirection],
        inner: impl FnOnce(&mut Self) -> Run<()>,
    ) -> Run<()> {
        if redirections.is_empty() {
            return inner(self);
        }
        let before = self.muted.clone();
        for redirection in redirections {
            let to = Some(redirection.to);
            match redirection.stream {
                0 => {
                    self.muted.error = to;
                    self.muted.warning = to;
                    if redirection.to == RedirectTo::Nowhere {
                        self.muted.output = to;
                    }
                }
                1 => self.muted.output = to,
                2 => self.muted.error = to,
                3 => self.muted.warning = to,
                _ => {}
            }
        }
        let discards = self.muted.output.take() == Some(RedirectTo::Nowhere);
        if discards {
            self.collectors.push(Collector::Nowhere);
        }
        let result = inner(self);
        if discards {
            self.collectors.pop();
        }
        self.muted = before;
        result
    }

    /// Puts a record into `$Error` and returns it as a value.
    pub(super) fn remember(&mut self, record: ErrorRecord) -> Value {
        let value = Value::Error(Arc::new(record));
        self.errors.insert(0, value.clone());
        self.errors.truncate(256);
        value
    }

    /// Gives an error a place in the script, if it has none.
    pub(super) fn placed(&self, mut record: ErrorRecord) -> ErrorRecord {
        if record.position.is_none()
            && let Some(source) = &self.source
        {
            record.position = Some(position(source, self.blamed));
        }
        record
    }

    /// Returns what `$ErrorActionPreference` says.
    pub(super) fn preferred_action(&self) -> ErrorAction {
        action_of(&self.preference("ErrorActionPreference")).unwrap_or_default()
    }

    /// Returns the action for errors of streaming cmdlets.
    pub(in crate::sim::powershell) fn action_in_force(&self) -> ErrorAction {
        self.preferred_action()
    }

    /// Deals with an error that does not end anything by itself, as the action says.
    pub(in crate::sim::powershell) fn report(
        &mut self,
        record: ErrorRecord,
        action: ErrorAction,
    ) -> Run<()> {
        let record = self.placed(record);
        self.succeeded = false;
        match action {
            ErrorAction::Ignore => Ok(()),
            ErrorAction::SilentlyContinue => {
                self.remember(record);
                Ok(())
            }
            ErrorAction::Continue => {
                let value = self.remember(record);
                self.show_error(value)
            }
            ErrorAction::Stop => Err(Flow::Error(Box::new(record), true)),
        }
    }

    fn show_error(&mut self, value: Value) -> Run<()> {
        match self.muted.error {
            Some(RedirectTo::Nowhere) => Ok(()),
            Some(RedirectTo::Output) => self.emit(value),
            None => {
                if let Value::Error(record) = &value {
                    let text = render::error(record, self.edition());
                    self.process.console.record(Stream::Error, &text);
                }
                Ok(())
            }
        }
    }

    /// Writes a warning, if warnings are wanted.
    pub(in crate::sim::powershell) fn warn(&mut self, text: &str) -> Run<()> {
        match self.preference("WarningPreference").as_str() {
            "silentlycontinue" | "ignore" | "0" | "4" => return Ok(()),
            "stop" | "1" => {
                let message = format!(
                    "The running command stopped because the preference variable \
                     \"WarningPreference\" or common parameter is set to Stop: {text}"
                );
                let record = ErrorRecord::new(
                    "System.Management.Automation.ActionPreferenceStopException",
                    message,
                    "ActionPreferenceStop",
                    crate::sim::powershell::error::Category::OperationStopped,
                );
                return Err(Flow::Error(Box::new(record.terminating()), true));
            }
            _ => {}
        }
        match self.muted.warning {
            Some(RedirectTo::Nowhere) => Ok(()),
            Some(RedirectTo::Output) => self.emit(Value::str(text)),
            None => {
                self.process.console.record(Stream::Warning, text);
                Ok(())
            }
        }
    }

    /// Shows an error that nothing caught, at the end of a script.
    pub(in crate::sim::powershell) fn show_uncaught(&mut self, record: ErrorRecord) {
        let record = self.placed(record);
        let text = render::error(&record, self.edition());
        self.remember(record);
        self.process.console.record(Stream::Error, &text);
    }

    /// Runs statements; an error that ends only its statement is reported and the next one runs.
    pub(super) fn block(&mut self, statements: &[Statement]) -> Run<()> {
        for statement in statements {
            match self.statement(statement) {
                Err(Flow::Error(record, false)) if self.trying == 0 => {
                    let action = self.preferred_action();
                    self.report(*record, action)?;
                }
                Err(Flow::Error(record, fatal)) => {
                    let record = self.placed(*record);
                    self.succeeded = false;
                    return Err(Flow::Error(Box::new(record), fatal));
                }
                other => other?,
            }
        }
        Ok(())
    }
}
