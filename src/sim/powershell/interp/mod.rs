//! The interpreter: walks the syntax tree of a script. It knows scopes, streams, errors and how
//! commands are bound; commands themselves are in `cmdlets`, .NET members in `dotnet`, and what a
//! host has in the [`Machine`].

mod assign;
mod bind;
mod call;
mod command;
mod expression;
mod flow;
mod pipeline;
mod scope;
mod statement;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::ast::{ScriptBlock, Source, Span};
use super::error::{Category, ErrorRecord};
use super::life::Life;
use super::machine::{Edition, Machine, Windows};
use super::native::Encoding;
use super::text::Locale;
use super::value::Value;

pub(super) use self::expression::unknown_type;
pub(super) use self::flow::{Flow, Run, failed};
use self::pipeline::Collector;
use self::scope::Scopes;
use self::streams::Muted;

/// Calls inside one another. A real host goes some hundreds of calls deeper.
const MAX_CALLS: usize = 120;
/// Statements and expressions that one process may evaluate.
const MAX_STEPS: u64 = 200_000_000;
/// Steps between two looks whether the process is to end.
const STEPS_PER_LOOK: u64 = 512;

/// Which record goes to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Error,
    Warning,
    Verbose,
}

/// A process's console, as the interpreter writes to it.
pub(super) trait Console: Send {
    /// Writes to standard output as it is.
    fn out(&mut self, text: &str);
    /// Writes one record of another stream, without an end of line.
    fn record(&mut self, stream: Stream, text: &str);
    /// Writes to standard error as it is, as `[Console]::Error` does.
    fn error(&mut self, text: &str);
    /// Shows that modules are looked for, as the first auto-load of a process does.
    fn progress(&mut self, activity: &str);
    fn encoding(&self) -> Encoding;
    fn set_encoding(&mut self, encoding: Encoding);
    /// Runs another PowerShell with the same streams, or with its output kept where `captures`.
    /// `None`: this console starts none.
    fn run_shell(
        &mut self,
        machine: &mut dyn Machine,
        edition: Edition,
        words: &[String],
        captures: bool,
    ) -> Option<Ran>;
    /// Runs a line of `cmd.exe`, in the same way.
    fn run_cmd(&mut self, machine: &mut dyn Machine, line: &str, captures: bool) -> Option<Ran>;
    /// Reads a line of standard input; `None` at its end or when the process is ended.
    fn read_line(&mut self) -> Option<String>;
    /// Does the same, for so long at the most.
    fn read_line_within(&mut self, time: Duration) -> Line;
}

/// What came of waiting for a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Text(String),
    End,
    /// None came by then.
    Late,
}

/// What became of a program that a script ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) code: u32,
    /// Its output, where that was kept.
    pub(super) out: String,
}

/// What an interpreter runs in.
pub(super) struct Process<'p> {
    pub(super) machine: &'p mut dyn Machine,
    pub(super) console: &'p mut dyn Console,
    pub(super) edition: Edition,
    pub(super) life: Life,
    pub(super) id: u32,
}

/// A running interpreter.
pub(super) struct Interpreter<'p> {
    pub(super) process: Process<'p>,
    pub(super) windows: Arc<Windows>,
    pub(super) locale: Locale,
    pub(super) scopes: Scopes,
    /// `$Error`, newest first.
    pub(super) errors: Vec<Value>,
    /// `$?`
    pub(super) succeeded: bool,
    /// `$LASTEXITCODE`
    pub(super) exit_code: Option<i32>,
    /// Whether `Remove-TypeData System.Array` was called.
    pub(super) array_data_removed: bool,
    collectors: Vec<Collector>,
    muted: Muted,
    /// `try` blocks around what runs.
    trying: usize,
    calls: usize,
    steps: u64,
    pipelines: usize,
    modules_prepared: bool,
    source: Option<Source>,
    blamed: Span,
}

impl<'p> Interpreter<'p> {
    /// Makes an interpreter of a process.
    pub(super) fn new(process: Process<'p>) -> Self {
        let windows = process.machine.windows();
        let locale = Locale {
            edition: process.edition,
            offset: windows.utc_offset,
            german: windows.culture.to_ascii_lowercase().starts_with("de"),
        };
        let mut interpreter = Self {
            process,
            windows,
            locale,
            scopes: Scopes::new(),
            errors: Vec::new(),
            succeeded: true,
            exit_code: None,
            array_data_removed: false,
            collectors: Vec::new(),
            muted: Muted::default(),
            trying: 0,
            calls: 0,
            steps: 0,
            pipelines: 0,
            modules_prepared: false,
            source: None,
            blamed: Span::default(),
        };
        interpreter.set_automatic_variables();
        interpreter
    }

    /// Returns the edition.
    pub(super) const fn edition(&self) -> Edition {
        self.process.edition
    }

    /// Whether output goes to the console and is not collected.
    fn is_shown(&self) -> bool {
        self.collectors.is_empty()
    }

    /// Runs a script in the global scope; its output goes to the console.
    pub(super) fn run_script(&mut self, script: &Arc<ScriptBlock>) -> Run<()> {
        let before = self.source.replace(script.source.clone());
        if script.names_input {
            let mut lines = Vec::new();
            while let Some(line) = self.process.console.read_line() {
                lines.push(Value::from(line));
            }
            if self.process.life.ended() {
                return Err(Flow::Ended);
            }
            self.scopes.set_local("input", Value::array(lines));
        }
        let result = self.run_body(script);
        self.source = before;
        match result {
            Err(Flow::Return | Flow::Break(_) | Flow::Continue(_) | Flow::StopPipeline(_)) => {
                Ok(())
            }
            other => other,
        }
    }

    fn run_body(&mut self, script: &Arc<ScriptBlock>) -> Run<()> {
        self.block(&script.begin)?;
        if let Some(process) = &script.process {
            self.block(process)?;
        }
        self.block(&script.end)
    }

    /// Counts a step, and ends the script when the process is ended or does not come to an end.
    fn step(&mut self) -> Run<()> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_LOOK) && self.process.life.ended() {
            return Err(Flow::Ended);
        }
        if self.steps > MAX_STEPS {
            let message = "The simulated process has taken too many steps.";
            let id = "TooManySteps";
            return Err(Flow::Error(
                Box::new(ErrorRecord::runtime(message, id, Category::LimitsExceeded)),
                true,
            ));
        }
        Ok(())
    }

    /// Lets time pass for the script.
    pub(super) fn sleep(&mut self, time: Duration) -> Run<()> {
        let life = self.process.life.clone();
        if self.process.machine.sleep(&life, time) {
            Ok(())
        } else {
            Err(Flow::Ended)
        }
    }
}
