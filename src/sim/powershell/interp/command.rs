//! Commands: what a name means, and calls of cmdlets and programs.

use std::sync::Arc;

use super::bind::Bound;
use super::flow::{Flow, Run, failed};
use super::pipeline::Arguments;
use super::{Interpreter, Ran};
use crate::sim::powershell::ast::{Command, Invocation, ScriptBlock};
use crate::sim::powershell::call::{Call, ErrorAction};
use crate::sim::powershell::cmdlets::{self, Streaming};
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::machine::{Edition, Language, Reply, Windows};
use crate::sim::powershell::programs;
use crate::sim::powershell::spec::Spec;
use crate::sim::powershell::value::Value;

/// What a command's name stands for.
#[derive(Debug)]
pub(super) enum Resolved {
    /// A cmdlet, and its name as written.
    Cmdlet(&'static Spec, String),
    /// A function or a script block, and whether it gets a scope of its own.
    Block(Arc<ScriptBlock>, bool),
    Program(String),
}

impl Interpreter<'_> {
    /// Finds a command and evaluates its words.
    pub(super) fn prepare(&mut self, command: &Command) -> Run<(Resolved, Arguments)> {
        let name = self.expression(&command.name)?.plain();
        let resolved = match &name {
            Value::ScriptBlock(block) => {
                Resolved::Block(Arc::clone(block), command.invocation != Invocation::Dot)
            }
            Value::Null | Value::Void => {
                let message = "The expression after '&' in a pipeline element produced an object \
                               that was not valid. It must result in a command name, a script \
                               block, or a CommandInfo object.";
                return failed(ErrorRecord::runtime(
                    message,
                    "BadExpression",
                    Category::InvalidOperation,
                ));
            }
            other => {
                let text = self.text_of(other);
                self.resolve(&text, command.invocation)?
            }
        };
        let arguments = self.arguments(&command.elements)?;
        self.blamed = command.at;
        Ok((resolved, arguments))
    }

    fn resolve(&mut self, written: &str, invocation: Invocation) -> Run<Resolved> {
        let alias = cmdlets::alias(written, self.edition());
        let name = alias.unwrap_or(written);
        if let Some(body) = self.scopes.function(name) {
            return Ok(Resolved::Block(body, invocation != Invocation::Dot));
        }
        if let Some(spec) = self.find_cmdlet(name) {
            return Ok(Resolved::Cmdlet(spec, written.to_owned()));
        }
        if programs::path(self.process.machine, &self.windows, name).is_some() {
            return Ok(Resolved::Program(name.to_owned()));
        }
        failed(self.not_found(written))
    }

    /// Finds a cmdlet by its name, with its module before it or not.
    pub(in crate::sim::powershell) fn find_cmdlet(&mut self, name: &str) -> Option<&'static Spec> {
        let (module, bare) = match name.split_once('\\') {
            Some((module, bare)) => (Some(module), bare),
            None => (None, name),
        };
        let spec = cmdlets::spec(bare, self.edition());
        if spec.is_none_or(|spec| spec.module != cmdlets::CORE) {
            self.prepare_modules();
        }
        let spec = spec.or_else(|| self.process.machine.spec(bare))?;
        module
            .is_none_or(|module| module.eq_ignore_ascii_case(spec.module))
            .then_some(spec)
    }

    /// The first command that is not of the engine itself makes a process look through its modules.
    fn prepare_modules(&mut self) {
        if std::mem::replace(&mut self.modules_prepared, true) {
            return;
        }
        let quiet = matches!(
            self.preference("ProgressPreference").as_str(),
            "silentlycontinue" | "ignore"
        );
        if !quiet {
            let activity = match self.windows.language {
                Language::English => "Preparing modules for first use.",
                Language::German => "Module werden für die erste Verwendung vorbereitet.",
            };
            self.process.console.progress(activity);
        }
    }

    fn not_found(&self, written: &str) -> ErrorRecord {
        const TYPE: &str = "System.Management.Automation.CommandNotFoundException";
        let english = self.windows.language == Language::English;
        let (message, id) = if let Some((module, _)) = written.split_once('\\')
            && !module.contains([':', '.'])
            && !module.is_empty()
        {
            let message = if english {
                format!(
                    "The module '{module}' could not be loaded. For more information, run \
                     'Import-Module {module}'."
                )
            } else {
                format!(
                    "Das Modul \"{module}\" konnte nicht geladen werden. Führen Sie \
                     \"Import-Module {module}\" aus, um weitere Informationen zu erhalten."
                )
            };
            (message, "CouldNotAutoLoadModule")
        } else {
            let message = match (english, self.edition()) {
                (true, Edition::Desktop) => format!(
                    "The term '{written}' is not recognized as the name of a cmdlet, function, \
                     script file, or operable program. Check the spelling of the name, or if a \
                     path was included, verify that the path is correct and try again."
                ),
                (true, Edition::Core) => format!(
                    "The term '{written}' is not recognized as a name of a cmdlet, function, \
                     script file, or executable program.\r\nCheck the spelling of the name, or \
                     if a path was included, verify that the path is correct and try again."
                ),
                (false, _) => format!(
                    "Die Benennung \"{written}\" wurde nicht als Name eines Cmdlet, einer \
                     Funktion, einer Skriptdatei oder eines ausführbaren Programms erkannt. \
                     Überprüfen Sie die Schreibweise des Namens, oder ob der Pfad korrekt ist \
                     (sofern enthalten), und wiederholen Sie den Vorgang."
                ),
            };
            (message, "CommandNotFoundException")
        };
        ErrorRecord::new(TYPE, message, id, Category::ObjectNotFound)
            .with_target(written)
            .terminating()
    }

    /// Returns a cmdlet that answers each value as it comes, if it is one.
    pub(super) fn streaming(
        &mut self,
        spec: &'static Spec,
        bound: &Bound,
    ) -> Run<Option<Box<dyn Streaming>>> {
        let call = self.call_of(spec, spec.name, bound, None);
        cmdlets::streaming(self, &call)
    }

    fn call_of(
        &self,
        spec: &'static Spec,
        written: &str,
        bound: &Bound,
        input: Option<Vec<Value>>,
    ) -> Call {
        Call {
            spec,
            written: written.to_owned(),
            arguments: bound.arguments.clone(),
            input,
            error_action: bound.action.unwrap_or_else(|| self.preferred_action()),
            edition: self.edition(),
            life: self.process.life.clone(),
        }
    }

    /// Calls a cmdlet and deals with what it answers.
    pub(super) fn call_cmdlet(
        &mut self,
        spec: &'static Spec,
        written: &str,
        bound: &Bound,
        input: Option<Vec<Value>>,
    ) -> Run<()> {
        let call = self.call_of(spec, written, bound, input);
        let action = call.error_action;
        let reply = match cmdlets::function(spec) {
            Some(function) => match function(self, &call) {
                Err(Flow::Error(record, false)) => Reply::error(record.terminating()),
                other => other?,
            },
            None => self.process.machine.command(&call),
        };
        if self.process.life.ended() {
            return Err(Flow::Ended);
        }
        self.succeeded = true;
        let mut caught = Vec::new();
        for warning in &reply.warnings {
            self.warn(warning)?;
        }
        let result = self.answered(reply, action, spec, &mut caught);
        if let Some(name) = &bound.error_variable {
            self.scopes.set_local(name, Value::array(caught));
        }
        result
    }

    fn answered(
        &mut self,
        reply: Reply,
        action: ErrorAction,
        spec: &'static Spec,
        caught: &mut Vec<Value>,
    ) -> Run<()> {
        for value in reply.output {
            self.emit(value)?;
        }
        let failed = !reply.errors.is_empty();
        for mut record in reply.errors {
            if record.activity.is_empty() {
                spec.name.clone_into(&mut record.activity);
            }
            caught.push(Value::Error(Arc::new(record.clone())));
            if record.terminating && action != ErrorAction::Stop {
                self.succeeded = false;
                // An error that ends the command obeys the caller's action only where it is named.
                return Err(Flow::Error(Box::new(self.placed(record)), false));
            }
            self.report(record, action)?;
        }
        self.succeeded = !failed;
        Ok(())
    }

    /// Runs another shell, if the program is one.
    fn call_shell(&mut self, windows: &Windows, name: &str, words: &[String]) -> Option<Ran> {
        let captures = !self.is_shown();
        let process = &mut self.process;
        let (machine, console) = (&mut *process.machine, &mut *process.console);
        if let Some(edition) = programs::shell(windows, name) {
            return console.run_shell(machine, edition, words, captures);
        }
        let (option, line) = words.split_first()?;
        let is_line = programs::bare_name(name) == "cmd" && option.eq_ignore_ascii_case("/c");
        is_line.then(|| console.run_cmd(machine, &line.join(" "), captures))?
    }

    /// Runs an external program; its lines are its output.
    pub(super) fn call_program(
        &mut self,
        name: &str,
        arguments: &[Value],
        _input: &[Value],
    ) -> Run<()> {
        let words: Vec<String> = arguments.iter().map(|word| self.text_of(word)).collect();
        let windows = Arc::clone(&self.windows);
        let ran = self.call_shell(&windows, name, &words);
        if self.process.life.ended() {
            return Err(Flow::Ended);
        }
        if let Some(Ran { code, out }) = ran {
            for line in out.lines() {
                self.emit(Value::str(line))?;
            }
            self.exit_code = Some(code.cast_signed());
            self.succeeded = code == 0;
            return Ok(());
        }
        let answer = programs::run(&windows, name, &words);
        for line in answer.out.lines() {
            self.emit(Value::str(line))?;
        }
        if !answer.err.is_empty() {
            self.process.console.error(&answer.err);
        }
        self.exit_code = Some(answer.code.cast_signed());
        self.succeeded = answer.code == 0;
        Ok(())
    }
}
