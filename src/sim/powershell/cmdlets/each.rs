//! `ForEach-Object`, `Where-Object` and `Out-Null`.

use std::sync::Arc;

use super::Streaming;
use crate::sim::powershell::ast::{Binary, Comparison, ScriptBlock};
use crate::sim::powershell::call::Call;
use crate::sim::powershell::convert;
use crate::sim::powershell::error::Category;
use crate::sim::powershell::interp::{Interpreter, Run, failed};
use crate::sim::powershell::operators;
use crate::sim::powershell::value::Value;

/// `ForEach-Object`.
#[derive(Debug)]
pub(super) struct ForEach {
    begin: Option<Arc<ScriptBlock>>,
    process: Vec<Arc<ScriptBlock>>,
    end: Option<Arc<ScriptBlock>>,
    member: Option<String>,
    arguments: Vec<Value>,
    given: Option<Value>,
}

fn block(value: Option<&Value>) -> Option<Arc<ScriptBlock>> {
    match value {
        Some(Value::ScriptBlock(block)) => Some(Arc::clone(block)),
        _ => None,
    }
}

impl ForEach {
    pub(super) fn new(call: &Call) -> Self {
        let mut begin = block(call.get("Begin"));
        let mut end = block(call.get("End"));
        let mut process = Vec::new();
        let mut member = call.text("MemberName").map(str::to_owned);
        let mut arguments = call
            .get("ArgumentList")
            .map(Value::items)
            .unwrap_or_default();
        match call.get("Process") {
            Some(Value::Array(array)) => {
                let mut blocks: Vec<_> = array
                    .items()
                    .iter()
                    .filter_map(|item| block(Some(item)))
                    .collect();
                if blocks.is_empty() {
                    let mut items = array.items().into_iter();
                    member = items
                        .next()
                        .and_then(|item| item.as_str().map(str::to_owned));
                    arguments.extend(items);
                } else {
                    if blocks.len() > 1 && begin.is_none() {
                        begin = Some(blocks.remove(0));
                    }
                    if blocks.len() > 1 && end.is_none() {
                        end = blocks.pop();
                    }
                    process = blocks;
                }
            }
            Some(Value::ScriptBlock(only)) => process.push(Arc::clone(only)),
            Some(Value::Str(name)) => member = Some(name.as_ref().to_owned()),
            _ => {}
        }
        Self {
            begin,
            process,
            end,
            member,
            arguments,
            given: call.get("InputObject").cloned(),
        }
    }
}

impl Streaming for ForEach {
    fn begin(&mut self, interpreter: &mut Interpreter<'_>) -> Run<()> {
        if let Some(begin) = &self.begin {
            interpreter.run_in_place(begin, None)?;
        }
        match self.given.take() {
            Some(value) => self.process(interpreter, value).map(drop),
            None => Ok(()),
        }
    }

    fn process(&mut self, interpreter: &mut Interpreter<'_>, value: Value) -> Run<bool> {
        if let Some(member) = &self.member {
            let has = interpreter.has_property(&value, member);
            let result =
                if self.arguments.is_empty() && (has || !interpreter.has_method(&value, member)) {
                    interpreter.property(&value, member)?
                } else {
                    interpreter.method(&value, member, &self.arguments)?
                };
            interpreter.emit_each(result)?;
        }
        for block in &self.process {
            interpreter.run_in_place(block, Some(value.clone()))?;
        }
        Ok(true)
    }

    fn end(&mut self, interpreter: &mut Interpreter<'_>) -> Run<()> {
        match &self.end {
            Some(end) => interpreter.run_in_place(end, None),
            None => Ok(()),
        }
    }
}

/// `Where-Object`.
#[derive(Debug)]
pub(super) struct Where(Condition);

#[derive(Debug)]
enum Condition {
    Block(Arc<ScriptBlock>),
    Compared {
        property: String,
        operator: Comparison,
        case: bool,
        value: Value,
    },
    True(String),
}

const OPERATORS: &[(&str, Comparison, bool)] = &[
    ("EQ", Comparison::Equal, false),
    ("NE", Comparison::NotEqual, false),
    ("GT", Comparison::Greater, false),
    ("GE", Comparison::GreaterOrEqual, false),
    ("LT", Comparison::Less, false),
    ("LE", Comparison::LessOrEqual, false),
    ("Like", Comparison::Like, false),
    ("NotLike", Comparison::NotLike, false),
    ("Match", Comparison::Match, false),
    ("NotMatch", Comparison::NotMatch, false),
    ("Contains", Comparison::Contains, false),
    ("NotContains", Comparison::NotContains, false),
    ("In", Comparison::In, false),
    ("NotIn", Comparison::NotIn, false),
    ("CEQ", Comparison::Equal, true),
    ("CNE", Comparison::NotEqual, true),
];

impl Where {
    pub(super) fn new(_interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Self> {
        let subject = call.get("Property").or_else(|| call.get("FilterScript"));
        let property = match subject {
            Some(Value::ScriptBlock(block)) => {
                return Ok(Self(Condition::Block(Arc::clone(block))));
            }
            Some(Value::Str(name)) => name.as_ref().to_owned(),
            _ => {
                return failed(
                    call.error(
                        "System.Management.Automation.ParameterBindingException",
                        "Cannot bind parameter 'FilterScript'.",
                        "CannotConvertArgumentNoMessage",
                        Category::InvalidArgument,
                    )
                    .terminating(),
                );
            }
        };
        let operator = OPERATORS.iter().find(|(name, ..)| call.switch(name));
        let value = match (call.get("Value"), call.has("Property")) {
            (Some(value), _) => Some(value.clone()),
            // With a named property, the first loose argument is the value.
            (None, true) => call.get("FilterScript").cloned(),
            (None, false) => None,
        };
        Ok(Self(match (operator, value) {
            (Some((_, operator, case)), value) => Condition::Compared {
                property,
                operator: *operator,
                case: *case,
                value: value.unwrap_or_default(),
            },
            (None, Some(value)) => Condition::Compared {
                property,
                operator: Comparison::Equal,
                case: false,
                value,
            },
            (None, None) => Condition::True(property),
        }))
    }
}

impl Streaming for Where {
    fn process(&mut self, interpreter: &mut Interpreter<'_>, value: Value) -> Run<bool> {
        let keeps = match &self.0 {
            Condition::Block(block) => {
                let items =
                    interpreter.collect(|this| this.run_in_place(block, Some(value.clone())))?;
                convert::truth(&Value::of_output(items))
            }
            Condition::True(property) => convert::truth(&interpreter.property(&value, property)?),
            Condition::Compared {
                property,
                operator,
                case,
                value: wanted,
            } => {
                let found = interpreter.property(&value, property)?;
                let operator = Binary::Compare(*operator, *case);
                let result = operators::binary(operator, &found, wanted, interpreter.locale)?;
                convert::truth(&result)
            }
        };
        if keeps {
            interpreter.emit(value)?;
        }
        Ok(true)
    }

    fn end(&mut self, _interpreter: &mut Interpreter<'_>) -> Run<()> {
        Ok(())
    }
}

/// `Out-Null`.
#[derive(Debug)]
pub(super) struct Nowhere;

impl Streaming for Nowhere {
    fn process(&mut self, _interpreter: &mut Interpreter<'_>, _value: Value) -> Run<bool> {
        Ok(true)
    }

    fn end(&mut self, _interpreter: &mut Interpreter<'_>) -> Run<()> {
        Ok(())
    }
}
