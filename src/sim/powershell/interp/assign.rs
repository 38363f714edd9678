//! Assignments and increments.

use std::sync::Arc;

use super::Interpreter;
use super::expression::at;
use super::flow::{Run, failed};
use crate::sim::powershell::ast::{Assign, Binary, Expression, ExpressionKind};
use crate::sim::powershell::convert;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::operators;
use crate::sim::powershell::types;
use crate::sim::powershell::value::Value;

impl Interpreter<'_> {
    /// Runs an assignment and returns what was assigned.
    pub(super) fn assign(&mut self, assign: &Assign) -> Run<Value> {
        let value = self.value_of(&assign.value)?;
        let value = match assign.operator {
            None => value,
            Some(operator) => {
                let before = self.expression(&assign.target)?.plain();
                operators::binary(operator, &before, &value.plain(), self.locale)?
            }
        };
        self.set(&assign.target, value.clone())?;
        Ok(value)
    }

    /// Sets what an expression names.
    pub(super) fn set(&mut self, target: &Expression, value: Value) -> Run<()> {
        match &target.kind {
            ExpressionKind::Variable(variable) => self.set_variable(variable, value),
            ExpressionKind::Cast(literal, inner) => {
                let full = types::full_name(&literal.0);
                let value = self.cast_to(&value.plain(), &full)?;
                if let ExpressionKind::Variable(variable) = &inner.kind {
                    self.scopes.declare(&variable.name, Arc::from(full));
                }
                self.set(inner, value)
            }
            ExpressionKind::List(targets) => {
                let mut items = value.items().into_iter();
                let last = targets.len().saturating_sub(1);
                for (place, target) in targets.iter().enumerate() {
                    let item = if place == last {
                        Value::of_output(items.by_ref().collect()).plain()
                    } else {
                        items.next().unwrap_or_default()
                    };
                    self.set(target, item)?;
                }
                Ok(())
            }
            ExpressionKind::Member { on, name, of_type } => {
                let on = self.expression(on)?.plain();
                let name = self.name_of(name)?;
                if *of_type {
                    self.set_static(&on, &name, &value.plain())
                } else {
                    self.set_property(&on, &name, value.plain())
                }
            }
            ExpressionKind::Index(pair) => {
                let on = self.expression(&pair.0)?.plain();
                let index = self.expression(&pair.1)?.plain();
                self.set_index(&on, &index, value.plain())
            }
            _ => Ok(()),
        }
    }

    fn set_index(&mut self, on: &Value, index: &Value, value: Value) -> Run<()> {
        match on {
            Value::Hash(hash) => {
                hash.set(index.clone(), value);
                Ok(())
            }
            Value::Array(array) => {
                let place = convert::cast(index, "System.Int32", self.locale)?;
                let place = at(place.as_integer().unwrap_or(0), array.len());
                let value = if array.element() == "System.Object" {
                    value
                } else {
                    convert::cast(&value, array.element(), self.locale)?
                };
                if place.is_some_and(|place| array.set(place, value)) {
                    return Ok(());
                }
                let message = "Index was outside the bounds of the array.";
                failed(
                    ErrorRecord::new(
                        "System.IndexOutOfRangeException",
                        message,
                        "System.IndexOutOfRangeException",
                        Category::OperationStopped,
                    )
                    .terminating(),
                )
            }
            Value::Null | Value::Void => failed(ErrorRecord::runtime(
                "Cannot index into a null array.",
                "NullArray",
                Category::InvalidOperation,
            )),
            other => {
                let message = format!(
                    "Unable to index into an object of type {}.",
                    other.type_name().unwrap_or_default()
                );
                failed(ErrorRecord::runtime(
                    message,
                    "CannotIndex",
                    Category::InvalidOperation,
                ))
            }
        }
    }

    /// Applies `++` or `--`.
    pub(super) fn increment(&mut self, by: i32, prefix: bool, target: &Expression) -> Run<Value> {
        let before = self.expression(target)?.plain();
        let number = match &before {
            Value::Null => Value::Int(0),
            Value::Double(_) => before.clone(),
            other if other.as_integer().is_some() => other.clone(),
            other => {
                let message = format!(
                    "The '{}' operator works only on numbers. The operand is a '{}'.",
                    if by > 0 { "++" } else { "--" },
                    other.type_name().unwrap_or_default()
                );
                let id = "OperatorRequiresNumber";
                return failed(ErrorRecord::runtime(
                    message,
                    id,
                    Category::InvalidOperation,
                ));
            }
        };
        let after = operators::binary(Binary::Add, &number, &Value::Int(by), self.locale)?;
        self.set(target, after.clone())?;
        Ok(if prefix { after } else { number })
    }
}
