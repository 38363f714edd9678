//! `Select-Object`.

use std::collections::VecDeque;

use super::Streaming;
use crate::sim::powershell::ast::Binary;
use crate::sim::powershell::ast::Comparison;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::convert;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::interp::{Interpreter, Run, failed};
use crate::sim::powershell::object::Object;
use crate::sim::powershell::operators;
use crate::sim::powershell::pattern;
use crate::sim::powershell::value::Value;

#[derive(Debug)]
pub(super) struct Select {
    properties: Vec<Value>,
    excluded: Vec<String>,
    expanded: Option<String>,
    first: Option<usize>,
    last: Option<usize>,
    skip: usize,
    index: Option<Vec<i128>>,
    unique: bool,
    waits: bool,
    seen: usize,
    given: Option<Value>,
    kept: VecDeque<Value>,
    uniques: Vec<Value>,
}

impl Select {
    pub(super) fn new(call: &Call) -> Self {
        let count = |name: &str| {
            call.integer(name)
                .map(|number| usize::try_from(number).unwrap_or(0))
        };
        Self {
            properties: call.get("Property").map(Value::items).unwrap_or_default(),
            excluded: call.texts("ExcludeProperty"),
            expanded: call.text("ExpandProperty").map(str::to_owned),
            first: count("First"),
            last: count("Last"),
            skip: count("Skip").unwrap_or(0),
            index: call
                .get("Index")
                .map(|index| index.items().iter().filter_map(Value::as_integer).collect()),
            unique: call.switch("Unique"),
            waits: call.switch("Wait"),
            seen: 0,
            given: call.get("InputObject").cloned(),
            kept: VecDeque::new(),
            uniques: Vec::new(),
        }
    }

    fn select(&mut self, interpreter: &mut Interpreter<'_>, value: Value) -> Run<()> {
        if let Some(name) = &self.expanded {
            if !interpreter.has_property(&value, name) {
                let message = format!("Property \"{name}\" cannot be found.");
                let record = ErrorRecord::new(
                    "System.Management.Automation.PSArgumentException",
                    message,
                    "ExpandPropertyNotFound,Microsoft.PowerShell.Commands.SelectObjectCommand",
                    Category::InvalidArgument,
                );
                let action = interpreter.action_in_force();
                return interpreter.report(record.in_command("Select-Object"), action);
            }
            let inner = interpreter.property(&value, name)?;
            return match inner {
                Value::Null => Ok(()),
                inner => interpreter.emit_each(inner),
            };
        }
        let value = if self.properties.is_empty() && self.excluded.is_empty() {
            value
        } else {
            self.projected(interpreter, &value)?
        };
        if self.unique {
            if self.is_known(interpreter, &value)? {
                return Ok(());
            }
            self.uniques.push(value.clone());
        }
        interpreter.emit(value)
    }

    fn is_known(&self, interpreter: &mut Interpreter<'_>, value: &Value) -> Run<bool> {
        let text = interpreter.text_of(value);
        for known in &self.uniques {
            let same = operators::binary(
                Binary::Compare(Comparison::Equal, true),
                known,
                value,
                interpreter.locale,
            )?;
            let alike = known.as_object().is_some() && interpreter.text_of(known) == text;
            if convert::truth(&same) || alike {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn projected(&self, interpreter: &mut Interpreter<'_>, value: &Value) -> Run<Value> {
        let object = Object::custom();
        let all = [Value::str("*")];
        let wanted: &[Value] = if self.properties.is_empty() {
            &all
        } else {
            &self.properties
        };
        for property in wanted {
            match property {
                Value::Hash(hash) => {
                    let (name, result) = calculated(interpreter, hash, value)?;
                    object.set(&name, result);
                }
                Value::ScriptBlock(block) => {
                    let items = interpreter
                        .collect(|this| this.run_in_place(block, Some(value.clone())))?;
                    object.set(block.text().trim(), Value::of_output(items).plain());
                }
                other => {
                    let name = interpreter.text_of(other);
                    if name.contains(['*', '?', '[']) {
                        for (known, found) in interpreter.properties(value) {
                            if pattern::like(&known, &name, false) {
                                object.set(&known, found);
                            }
                        }
                    } else {
                        let found = interpreter.property(value, &name)?;
                        object.set(&name, found);
                    }
                }
            }
        }
        for (name, _) in object.properties() {
            if self
                .excluded
                .iter()
                .any(|out| pattern::like(&name, out, false))
            {
                object.remove(&name);
            }
        }
        Ok(object.into())
    }
}

/// Evaluates a calculated property (`@{Name='x';Expression={..}}`).
fn calculated(
    interpreter: &mut Interpreter<'_>,
    hash: &crate::sim::powershell::object::Hash,
    value: &Value,
) -> Run<(String, Value)> {
    let part = |names: &[&str]| {
        hash.pairs().into_iter().find_map(|(key, part)| {
            let key = key.as_str()?.to_lowercase();
            names
                .iter()
                .any(|name| !key.is_empty() && name.starts_with(&key))
                .then_some(part)
        })
    };
    let Some(expression) = part(&["expression"]) else {
        let message = "The Expression key of a calculated property is missing.";
        return failed(ErrorRecord::runtime(
            message,
            "DictionaryKeyUnknown,Microsoft.PowerShell.Commands.SelectObjectCommand",
            Category::InvalidArgument,
        ));
    };
    let result = match &expression {
        Value::ScriptBlock(block) => {
            let items =
                interpreter.collect(|this| this.run_in_place(block, Some(value.clone())))?;
            Value::of_output(items).plain()
        }
        other => {
            let name = interpreter.text_of(other);
            interpreter.property(value, &name)?
        }
    };
    let name = match part(&["name", "label"]) {
        Some(name) => interpreter.text_of(&name),
        None => interpreter.text_of(&expression),
    };
    Ok((name, result))
}

impl Streaming for Select {
    fn begin(&mut self, interpreter: &mut Interpreter<'_>) -> Run<()> {
        match self.given.take() {
            Some(value) => self.process(interpreter, value).map(drop),
            None => Ok(()),
        }
    }

    fn process(&mut self, interpreter: &mut Interpreter<'_>, value: Value) -> Run<bool> {
        let place = self.seen;
        self.seen += 1;
        if let Some(index) = &self.index {
            if index.contains(&i128::try_from(place).unwrap_or(-1)) {
                self.select(interpreter, value)?;
            }
            return Ok(true);
        }
        if let Some(last) = self.last {
            self.kept.push_back(value);
            if self.kept.len() > last + self.skip {
                self.kept.pop_front();
            }
            return Ok(true);
        }
        if place < self.skip {
            return Ok(true);
        }
        let taken = place - self.skip;
        if self.first.is_none_or(|first| taken < first) {
            self.select(interpreter, value)?;
        }
        Ok(self.waits || self.first.is_none_or(|first| taken + 1 < first))
    }

    fn end(&mut self, interpreter: &mut Interpreter<'_>) -> Run<()> {
        let count = self.kept.len().saturating_sub(self.skip);
        let kept: Vec<Value> = self.kept.drain(..).take(count).collect();
        for value in kept {
            self.select(interpreter, value)?;
        }
        Ok(())
    }
}
