//! `Sort-Object`, `Measure-Object` and `Group-Object`.

use std::cmp::Ordering;

use super::input;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::compare;
use crate::sim::powershell::convert;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::interp::{Interpreter, Run};
use crate::sim::powershell::machine::{Edition, Reply};
use crate::sim::powershell::object::{Hash, Object};
use crate::sim::powershell::text;
use crate::sim::powershell::value::Value;

/// Returns what a value is sorted or grouped by.
fn key_of(interpreter: &mut Interpreter<'_>, value: &Value, by: &Value) -> Run<Value> {
    match by {
        Value::ScriptBlock(block) => {
            let items =
                interpreter.collect(|this| this.run_in_place(block, Some(value.clone())))?;
            Ok(Value::of_output(items).plain())
        }
        Value::Hash(hash) => {
            let inner = hash
                .pairs()
                .into_iter()
                .find(|(key, _)| {
                    key.as_str()
                        .is_some_and(|key| "expression".starts_with(&key.to_lowercase()))
                })
                .map(|(_, expression)| expression)
                .unwrap_or_default();
            if inner.is_null() {
                return Ok(Value::Null);
            }
            key_of(interpreter, value, &inner)
        }
        other => {
            let name = interpreter.text_of(other);
            interpreter.property(value, &name)
        }
    }
}

fn keys_of(interpreter: &mut Interpreter<'_>, value: &Value, by: &[Value]) -> Run<Vec<Value>> {
    if by.is_empty() {
        return Ok(vec![value.clone()]);
    }
    by.iter().map(|by| key_of(interpreter, value, by)).collect()
}

pub(super) fn sort(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let by = call.get("Property").map(Value::items).unwrap_or_default();
    let mut keyed = Vec::new();
    for value in input(call) {
        keyed.push((keys_of(interpreter, &value, &by)?, value));
    }
    let case = call.switch("CaseSensitive");
    let descending: Vec<bool> = by
        .iter()
        .map(|by| match by {
            Value::Hash(hash) => hash
                .get_str("Descending")
                .map_or(call.switch("Descending"), |on| convert::truth(&on)),
            _ => call.switch("Descending"),
        })
        .chain(std::iter::once(call.switch("Descending")))
        .collect();
    let locale = interpreter.locale;
    let order = |left: &[Value], right: &[Value]| {
        left.iter()
            .zip(right)
            .zip(&descending)
            .map(|((left, right), descending)| {
                let order = compare::order(left, right, case, locale).unwrap_or_else(|_| {
                    // What has no order is sorted by its text.
                    text::of(left, locale).cmp(&text::of(right, locale))
                });
                if *descending { order.reverse() } else { order }
            })
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    };
    keyed.sort_by(|(left, _), (right, _)| order(left, right));
    if call.switch("Unique") {
        keyed.dedup_by(|(left, _), (right, _)| order(left, right) == Ordering::Equal);
    }
    Ok(Reply::values(
        keyed.into_iter().map(|(_, value)| value).collect(),
    ))
}

pub(super) fn measure(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let property = call.text("Property").map(str::to_owned);
    let mut count = 0_i32;
    let mut numbers = Vec::new();
    let mut extremes: Option<(Value, Value)> = None;
    let mut reply = Reply::nothing();
    let numeric = call.switch("Sum") || call.switch("Average");
    for value in input(call) {
        let measured = match &property {
            None => value,
            Some(name) => {
                if !interpreter.has_property(&value, name) {
                    continue;
                }
                interpreter.property(&value, name)?
            }
        };
        if measured.is_null() {
            continue;
        }
        count = count.saturating_add(1);
        if numeric {
            if let Some(number) = convert::number(&measured) {
                numbers.push(number.real());
            } else {
                let shown = interpreter.text_of(&measured);
                let message = format!("Input object \"{shown}\" is not numeric.");
                reply.errors.push(call.error(
                    "System.Management.Automation.PSInvalidCastException",
                    message,
                    "NonNumericInputObject",
                    Category::InvalidType,
                ));
            }
        }
        let locale = interpreter.locale;
        extremes = Some(match extremes {
            None => (measured.clone(), measured),
            Some((least, most)) => {
                let below =
                    compare::order(&measured, &least, false, locale).is_ok_and(Ordering::is_lt);
                let above =
                    compare::order(&measured, &most, false, locale).is_ok_and(Ordering::is_gt);
                (
                    if below { measured.clone() } else { least },
                    if above { measured } else { most },
                )
            }
        });
    }
    if let Some(name) = &property
        && count == 0
        && call.input.as_ref().is_some_and(|input| !input.is_empty())
    {
        let message =
            format!("The property \"{name}\" cannot be found in the input for any objects.");
        let record: ErrorRecord = call.error(
            "System.Management.Automation.PSArgumentException",
            message,
            "GenericMeasurePropertyNotFound",
            Category::InvalidArgument,
        );
        return Ok(reply.and_error(record));
    }
    let total: f64 = numbers.iter().sum();
    let average = if numbers.is_empty() {
        None
    } else {
        Some(total / f64::from(count))
    };
    let (least, most) = extremes.unwrap_or_default();
    let shown = |switch: &str, value: Value| {
        if call.switch(switch) {
            value
        } else {
            Value::Null
        }
    };
    let object = Object::new("Microsoft.PowerShell.Commands.GenericMeasureInfo")
        .with("Count", count)
        .with("Average", shown("Average", Value::from(average)))
        .with("Sum", shown("Sum", Value::Double(total)))
        .with("Maximum", shown("Maximum", as_measured(most)))
        .with("Minimum", shown("Minimum", as_measured(least)))
        .with("Property", property);
    reply.output.push(object.into());
    Ok(reply)
}

/// Numbers are measured as doubles.
fn as_measured(value: Value) -> Value {
    match value.as_integer().and_then(|_| convert::number(&value)) {
        Some(number) => Value::Double(number.real()),
        None => value,
    }
}

pub(super) fn group(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let by = call.get("Property").map(Value::items).unwrap_or_default();
    let case = call.switch("CaseSensitive");
    let locale = interpreter.locale;
    let mut groups: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
    for value in input(call) {
        let keys = keys_of(interpreter, &value, &by)?;
        let known = groups.iter_mut().find(|(known, _)| {
            known
                .iter()
                .zip(&keys)
                .all(|(left, right)| compare::equal(left, right, case, locale))
        });
        match known {
            Some((_, members)) => members.push(value),
            None => groups.push((keys, vec![value])),
        }
    }
    if interpreter.edition() == Edition::Core {
        groups.sort_by(|(left, _), (right, _)| {
            text::joined(left, ", ", locale)
                .to_lowercase()
                .cmp(&text::joined(right, ", ", locale).to_lowercase())
        });
    }
    if call.switch("AsHashTable") {
        let table = Hash::new();
        for (keys, members) in groups {
            let key = match (keys.as_slice(), call.switch("AsString")) {
                ([only], false) => only.clone(),
                (all, _) => Value::from(text::joined(all, ", ", locale)),
            };
            table.set(key, Value::array(members));
        }
        return Ok(Reply::value(table));
    }
    let bare = call.switch("NoElement");
    let output = groups
        .into_iter()
        .map(|(keys, members)| {
            let count = i32::try_from(members.len()).unwrap_or(i32::MAX);
            Object::new("Microsoft.PowerShell.Commands.GroupInfo")
                .with("Count", count)
                .with("Name", text::joined(&keys, ", ", locale))
                .with(
                    "Group",
                    if bare {
                        Value::array([])
                    } else {
                        Value::array(members)
                    },
                )
                .with("Values", Value::array(keys))
                .into()
        })
        .collect();
    Ok(Reply::values(output))
}
