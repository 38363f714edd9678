//! Statements.

use std::sync::Arc;

use super::Interpreter;
use super::flow::{Flow, Run};
use crate::sim::powershell::ast::{
    Block, Loop, LoopKind, Matching, Pipeline, Stage, Statement, StatementKind, Switch, Try,
    TypeLiteral,
};
use crate::sim::powershell::compare;
use crate::sim::powershell::convert;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::pattern;
use crate::sim::powershell::text;
use crate::sim::powershell::types;
use crate::sim::powershell::value::Value;

/// What a loop does after its body ran.
enum Next {
    Again,
    Leave,
}

impl Interpreter<'_> {
    /// Runs one statement; what it puts out is emitted.
    pub(super) fn statement(&mut self, statement: &Statement) -> Run<()> {
        self.step()?;
        self.blamed = statement.at;
        match &statement.kind {
            StatementKind::Pipeline(pipeline) => self.pipeline(pipeline),
            StatementKind::Assign(assign) => {
                self.assign(assign)?;
                self.succeeded = true;
                Ok(())
            }
            StatementKind::If { arms, otherwise } => {
                for (condition, block) in arms {
                    if self.condition(condition)? {
                        return self.block(block);
                    }
                }
                match otherwise {
                    Some(block) => self.block(block),
                    None => Ok(()),
                }
            }
            StatementKind::Loop(looping) => self.looping(looping),
            StatementKind::Switch(switch) => self.switch(switch),
            StatementKind::Function { name, body } => {
                self.scopes.define(name, body);
                Ok(())
            }
            StatementKind::Try(trying) => self.trying(trying),
            StatementKind::Break(label) => Err(Flow::Break(label.clone())),
            StatementKind::Continue(label) => Err(Flow::Continue(label.clone())),
            StatementKind::Return(value) => {
                if let Some(value) = value {
                    self.statement(value)?;
                }
                Err(Flow::Return)
            }
            StatementKind::Exit(value) => {
                let code = match value {
                    None => self.exit_code.unwrap_or(0),
                    Some(value) => {
                        let code = self.value_of(value)?.plain();
                        let code = convert::cast(&code, "System.Int32", self.locale)?;
                        code.as_integer()
                            .and_then(|code| i32::try_from(code).ok())
                            .unwrap_or(0)
                    }
                };
                Err(Flow::Exit(code))
            }
            StatementKind::Throw(value) => self.throw(value.as_deref()),
        }
    }

    fn throw(&mut self, value: Option<&Statement>) -> Run<()> {
        let value = match value {
            None => match self.plain_variable("_") {
                rethrown @ Value::Error(_) => rethrown,
                _ => Value::str("ScriptHalted"),
            },
            Some(value) => self.value_of(value)?.plain(),
        };
        let record = match &value {
            Value::Error(record) => ErrorRecord::clone(record),
            Value::Object(object) if object.is("System.Exception") => {
                let mut record = ErrorRecord::thrown(
                    &text::of(&object.get("Message").unwrap_or_default(), self.locale),
                    value.clone(),
                );
                if let Some(exception) = record.exceptions.first_mut() {
                    object.type_name().clone_into(&mut exception.type_name);
                }
                record
            }
            other => ErrorRecord::thrown(&text::of(other, self.locale), other.clone()),
        };
        Err(Flow::Error(Box::new(record), true))
    }

    /// Evaluates a statement as a condition.
    fn condition(&mut self, statement: &Statement) -> Run<bool> {
        Ok(convert::truth(&self.value_of(statement)?))
    }

    /// Returns the value a statement has in an assignment or between parentheses.
    pub(super) fn value_of(&mut self, statement: &Statement) -> Run<Value> {
        if let StatementKind::Pipeline(Pipeline { stages }) = &statement.kind
            && let [Stage::Expression(expression, redirections)] = stages.as_slice()
            && redirections.is_empty()
        {
            self.step()?;
            let value = self.expression(expression)?;
            self.succeeded = true;
            return Ok(value);
        }
        if let StatementKind::Assign(assign) = &statement.kind {
            return self.assign(assign);
        }
        let items = self.collect(|this| this.statement(statement))?;
        Ok(Value::of_output(items))
    }

    fn looping(&mut self, looping: &Loop) -> Run<()> {
        match &looping.kind {
            LoopKind::ForEach { variable, list } => {
                let list = self.value_of(list)?;
                let items = match &list {
                    Value::Hash(_) => vec![list.clone()],
                    other => other.items(),
                };
                for item in items {
                    self.step()?;
                    self.set_variable(variable, item)?;
                    if let Next::Leave = self.body(looping)? {
                        break;
                    }
                }
            }
            LoopKind::For {
                first,
                condition,
                step,
            } => {
                if let Some(first) = first {
                    self.silently(first)?;
                }
                loop {
                    self.step()?;
                    if let Some(condition) = condition
                        && !self.condition(condition)?
                    {
                        break;
                    }
                    if let Next::Leave = self.body(looping)? {
                        break;
                    }
                    if let Some(step) = step {
                        self.silently(step)?;
                    }
                }
            }
            LoopKind::While(condition) => {
                while self.condition(condition)? {
                    self.step()?;
                    if let Next::Leave = self.body(looping)? {
                        break;
                    }
                }
            }
            LoopKind::DoWhile(condition) | LoopKind::DoUntil(condition) => {
                let goes_on = matches!(looping.kind, LoopKind::DoWhile(_));
                loop {
                    self.step()?;
                    if let Next::Leave = self.body(looping)? {
                        break;
                    }
                    if self.condition(condition)? != goes_on {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs a statement whose value goes nowhere.
    fn silently(&mut self, statement: &Statement) -> Run<()> {
        self.collect(|this| this.statement(statement)).map(drop)
    }

    fn body(&mut self, looping: &Loop) -> Run<Next> {
        let mine = |label: &Option<Arc<str>>| {
            label.is_none() || label.as_deref() == looping.label.as_deref()
        };
        match self.block(&looping.body) {
            Ok(()) => Ok(Next::Again),
            Err(Flow::Break(label)) if mine(&label) => Ok(Next::Leave),
            Err(Flow::Continue(label)) if mine(&label) => Ok(Next::Again),
            Err(other) => Err(other),
        }
    }

    fn switch(&mut self, switch: &Switch) -> Run<()> {
        let subject = self.value_of(&switch.subject)?;
        let items = match &subject {
            Value::Null | Value::Void => vec![Value::Null],
            other => other.items(),
        };
        let outer = self.scopes.swap_local("_", None);
        let result = self.switch_items(switch, items);
        self.scopes.swap_local("_", outer);
        match result {
            Err(Flow::Break(label))
                if label.is_none() || label.as_deref() == switch.label.as_deref() =>
            {
                Ok(())
            }
            other => other,
        }
    }

    fn switch_items(&mut self, switch: &Switch, items: Vec<Value>) -> Run<()> {
        for item in items {
            self.scopes.set_local("_", item.clone());
            let mut matched = false;
            let mut skipped = false;
            for (clause, block) in &switch.clauses {
                if !self.clause_matches(switch, clause, &item)? {
                    continue;
                }
                matched = true;
                match self.block(block) {
                    Err(Flow::Continue(label))
                        if label.is_none() || label.as_deref() == switch.label.as_deref() =>
                    {
                        skipped = true;
                        break;
                    }
                    other => other?,
                }
            }
            if !matched
                && !skipped
                && let Some(default) = &switch.default
            {
                match self.block(default) {
                    Err(Flow::Continue(None)) => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }

    fn clause_matches(
        &mut self,
        switch: &Switch,
        clause: &crate::sim::powershell::ast::Expression,
        item: &Value,
    ) -> Run<bool> {
        let wanted = self.expression(clause)?.plain();
        if let Value::ScriptBlock(block) = &wanted {
            let items = self.collect(|this| this.run_in_place(block, Some(item.clone())))?;
            return Ok(convert::truth(&Value::of_output(items)));
        }
        let case = switch.case_sensitive;
        Ok(match switch.matching {
            Matching::Exact => compare::equal(item, &wanted, case, self.locale),
            Matching::Wildcard => pattern::like(
                &text::of(item, self.locale),
                &text::of(&wanted, self.locale),
                case,
            ),
            Matching::Regex => pattern::regex(&text::of(&wanted, self.locale), case)?
                .is_match(&text::of(item, self.locale)),
        })
    }

    fn trying(&mut self, trying: &Try) -> Run<()> {
        let result = if trying.catches.is_empty() {
            self.block(&trying.body)
        } else {
            self.trying += 1;
            let result = self.block(&trying.body);
            self.trying -= 1;
            match result {
                Err(Flow::Error(record, fatal)) => self.catching(trying, *record, fatal),
                other => other,
            }
        };
        let Some(finally) = &trying.finally else {
            return result;
        };
        // A process that is ended runs nothing more.
        if let Err(Flow::Ended) = result {
            return result;
        }
        self.block(finally)?;
        result
    }

    fn catching(&mut self, trying: &Try, record: ErrorRecord, fatal: bool) -> Run<()> {
        let record = self.placed(record);
        let Some(block) = handler(&trying.catches, &record) else {
            return Err(Flow::Error(Box::new(record), fatal));
        };
        let value = self.remember(record);
        let outer = self.scopes.swap_local("_", Some(value));
        let result = self.block(block);
        self.scopes.swap_local("_", outer);
        result
    }
}

/// Finds the block that catches an error: the first whose type is one of the exception's.
fn handler<'t>(
    catches: &'t [(Vec<TypeLiteral>, Block)],
    record: &ErrorRecord,
) -> Option<&'t Block> {
    let catches_type = |literal: &TypeLiteral| {
        let wanted = types::full_name(&literal.0);
        record.exceptions.iter().any(|exception| {
            exception.type_name.eq_ignore_ascii_case(&wanted)
                || wanted.eq_ignore_ascii_case("System.Exception")
                || wanted.eq_ignore_ascii_case("System.SystemException")
                || wanted.eq_ignore_ascii_case("System.Management.Automation.RuntimeException")
                    && exception
                        .type_name
                        .starts_with("System.Management.Automation.")
        })
    };
    catches
        .iter()
        .find(|(types, _)| types.iter().any(catches_type))
        .or_else(|| catches.iter().find(|(types, _)| types.is_empty()))
        .map(|(_, block)| block)
}

/// Says that calls are nested too deeply.
pub(super) fn too_deep() -> ErrorRecord {
    ErrorRecord::new(
        "System.Management.Automation.ScriptCallDepthException",
        "The script failed due to call depth overflow.",
        "CallDepthOverflow",
        Category::InvalidOperation,
    )
    .terminating()
}
