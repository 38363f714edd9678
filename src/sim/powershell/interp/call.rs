//! Calls of functions and script blocks.

use std::sync::Arc;

use super::Interpreter;
use super::MAX_CALLS;
use super::flow::{Flow, Run, failed};
use super::pipeline::Arguments;
use super::scope::Scopes;
use super::statement::too_deep;
use crate::sim::powershell::ast::ScriptBlock;
use crate::sim::powershell::value::Value;

impl Interpreter<'_> {
    /// Calls a block with arguments; its results are emitted.
    pub(super) fn call_block(
        &mut self,
        block: &Arc<ScriptBlock>,
        arguments: Arguments,
        new_scope: bool,
        input: Option<Vec<Value>>,
    ) -> Run<()> {
        if self.calls >= MAX_CALLS {
            return failed(too_deep());
        }
        self.calls += 1;
        let source = self.source.replace(block.source.clone());
        if new_scope {
            self.scopes.enter();
        }
        let outer = if new_scope {
            None
        } else {
            self.scopes.swap_local("args", None)
        };
        let result = self.called(block, arguments, input);
        if new_scope {
            self.scopes.leave();
        } else {
            self.scopes.swap_local("args", outer);
        }
        self.source = source;
        self.calls -= 1;
        match result {
            Err(Flow::Return) => Ok(()),
            other => other,
        }
    }

    fn called(
        &mut self,
        block: &ScriptBlock,
        arguments: Arguments,
        input: Option<Vec<Value>>,
    ) -> Run<()> {
        self.bind_block(block, arguments, input.as_deref())?;
        let items = input.unwrap_or_default();
        if block.process.is_none() {
            self.scopes.set_local("input", Value::array(items));
            self.block(&block.begin)?;
            return self.block(&block.end);
        }
        self.block(&block.begin)?;
        if let Some(process) = &block.process {
            let fed = if items.is_empty() {
                vec![Value::Null]
            } else {
                items
            };
            for item in fed {
                if let Some(param) = block.params.iter().find(|param| param.from_pipeline) {
                    self.scopes.set_local(&param.name, item.clone());
                }
                let outer = self.scopes.swap_local("_", Some(item));
                let result = self.block(process);
                self.scopes.swap_local("_", outer);
                match result {
                    Err(Flow::Return) => {}
                    other => other?,
                }
            }
        }
        self.block(&block.end)
    }

    /// Runs a block in the scope there is, with `$_` set where a value is given; its results are
    /// emitted.
    pub(in crate::sim::powershell) fn run_in_place(
        &mut self,
        block: &Arc<ScriptBlock>,
        item: Option<Value>,
    ) -> Run<()> {
        if self.calls >= MAX_CALLS {
            return failed(too_deep());
        }
        self.calls += 1;
        let source = self.source.replace(block.source.clone());
        let outer = item.map(|item| self.scopes.swap_local("_", Some(item)));
        let result = self
            .block(&block.begin)
            .and_then(|()| match &block.process {
                Some(process) => self.block(process),
                None => Ok(()),
            })
            .and_then(|()| self.block(&block.end));
        if let Some(outer) = outer {
            self.scopes.swap_local("_", outer);
        }
        self.source = source;
        self.calls -= 1;
        match result {
            Err(Flow::Return) => Ok(()),
            other => other,
        }
    }

    /// Does the same in a session of its own, where nothing of this one is known.
    pub(in crate::sim::powershell) fn invoke_apart(
        &mut self,
        block: &Arc<ScriptBlock>,
        values: &[Value],
    ) -> Run<Vec<Value>> {
        let here = std::mem::replace(&mut self.scopes, Scopes::new());
        self.set_automatic_variables();
        let result = self.invoke(block, values);
        self.scopes = here;
        result
    }

    /// Calls a block with values for its parameters and returns what it put out.
    pub(in crate::sim::powershell) fn invoke(
        &mut self,
        block: &Arc<ScriptBlock>,
        values: &[Value],
    ) -> Run<Vec<Value>> {
        let arguments = Arguments(
            values
                .iter()
                .cloned()
                .map(super::pipeline::Argument::Positional)
                .collect(),
        );
        self.collect(|this| this.call_block(block, arguments, true, None))
    }
}
