//! Expressions.

use std::sync::Arc;

use super::Interpreter;
use super::flow::{Flow, Run, failed};
use crate::sim::powershell::ast::{
    Binary, Comparison, Expression, ExpressionKind, Part, Statement, TypeLiteral, Unary,
};
use crate::sim::powershell::convert;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::machine::LanguageMode;
use crate::sim::powershell::object::{CUSTOM_OBJECT, Hash};
use crate::sim::powershell::operators;
use crate::sim::powershell::pattern;
use crate::sim::powershell::text;
use crate::sim::powershell::types;
use crate::sim::powershell::value::{TypeName, Value};

impl Interpreter<'_> {
    /// Evaluates an expression.
    pub(super) fn expression(&mut self, expression: &Expression) -> Run<Value> {
        self.step()?;
        match &expression.kind {
            ExpressionKind::Constant(value) => Ok(value.clone()),
            ExpressionKind::Expandable(parts) => self.expanded(parts),
            ExpressionKind::Variable(variable) => Ok(self.variable(variable)),
            ExpressionKind::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    values.push(self.expression(item)?.plain());
                }
                Ok(Value::array(values))
            }
            ExpressionKind::Sub(block) => {
                let items = self.collect(|this| this.block(block))?;
                Ok(Value::of_output(items))
            }
            ExpressionKind::ArrayOf(block) => {
                let items = self.collect(|this| this.block(block))?;
                Ok(Value::array(items))
            }
            ExpressionKind::Paren(statement) => self.value_of(statement),
            ExpressionKind::Hash(pairs) => self.hash(pairs, false).map(Value::Hash),
            ExpressionKind::ScriptBlock(block) => Ok(Value::ScriptBlock(Arc::clone(block))),
            ExpressionKind::Type(literal) => Ok(Value::Type(TypeName(Arc::from(
                types::full_name(&literal.0),
            )))),
            ExpressionKind::Cast(literal, operand) => self.cast(literal, operand),
            ExpressionKind::Unary(unary, operand) => {
                let value = self.expression(operand)?.plain();
                self.unary(*unary, &value)
            }
            ExpressionKind::Binary(operator, sides) => self.binary(*operator, &sides.0, &sides.1),
            ExpressionKind::Step { by, prefix, target } => self.increment(*by, *prefix, target),
            ExpressionKind::Member { on, name, of_type } => self.member(on, name, *of_type),
            ExpressionKind::Method {
                on,
                name,
                arguments,
                of_type,
            } => {
                let name = self.name_of(name)?;
                let on = self.expression(on)?.plain();
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.expression(argument)?.plain());
                }
                if *of_type {
                    self.static_call(&on, &name, &values)
                } else {
                    self.method(&on, &name, &values)
                }
            }
            ExpressionKind::Index(pair) => {
                let on = self.expression(&pair.0)?.plain();
                let index = self.expression(&pair.1)?.plain();
                self.index(&on, &index)
            }
        }
    }

    fn expanded(&mut self, parts: &[Part]) -> Run<Value> {
        let mut written = String::new();
        for part in parts {
            match part {
                Part::Text(text) => written.push_str(text),
                Part::Value(value) => {
                    let value = self.expression(value)?;
                    written.push_str(&self.text_of(&value));
                }
            }
        }
        Ok(Value::from(written))
    }

    /// Returns a value as `"$value"` reads; lists with `$OFS` between.
    pub(in crate::sim::powershell) fn text_of(&self, value: &Value) -> String {
        if let Value::Array(array) = value {
            let between = self.plain_variable("OFS");
            let between = if between.is_null() {
                " ".to_owned()
            } else {
                text::of(&between, self.locale)
            };
            return text::joined(&array.items(), &between, self.locale);
        }
        text::of(value, self.locale)
    }

    fn hash(&mut self, pairs: &[(Expression, Statement)], ordered: bool) -> Run<Hash> {
        let hash = if ordered {
            Hash::ordered()
        } else {
            Hash::new()
        };
        for (key, value) in pairs {
            let key = self.expression(key)?.plain();
            if key.is_null() {
                let message = "A null key is not allowed in a hash literal.";
                let id = "InvalidNullKey";
                return failed(ErrorRecord::runtime(
                    message,
                    id,
                    Category::InvalidOperation,
                ));
            }
            if hash.get(&key).is_some() {
                let shown = self.text_of(&key);
                let message = format!("Duplicate keys '{shown}' are not allowed in hash literals.");
                let id = "DuplicateKeyInHashLiteral";
                return failed(ErrorRecord::runtime(
                    message,
                    id,
                    Category::InvalidOperation,
                ));
            }
            let value = self.value_of(value)?.plain();
            hash.set(key, value);
        }
        Ok(hash)
    }

    fn cast(&mut self, literal: &TypeLiteral, operand: &Expression) -> Run<Value> {
        let lower = literal.0.to_ascii_lowercase();
        if let ExpressionKind::Hash(pairs) = &operand.kind {
            match lower.as_str() {
                "ordered" => return self.hash(pairs, true).map(Value::Hash),
                "pscustomobject" => {
                    let hash = self.hash(pairs, true)?;
                    return Ok(text::object_of(&hash, self.locale).into());
                }
                _ => {}
            }
        }
        let value = self.expression(operand)?.plain();
        let full = if lower == "pscustomobject" {
            CUSTOM_OBJECT.to_owned()
        } else {
            types::full_name(&literal.0)
        };
        self.cast_to(&value, &full)
    }

    /// Converts a value to a type by its full name.
    pub(in crate::sim::powershell) fn cast_to(&mut self, value: &Value, full: &str) -> Run<Value> {
        if self.windows.language_mode == LanguageMode::Constrained && !types::is_core(full) {
            let message = format!(
                "Cannot convert the value to type \"{full}\". Only core types are supported in \
                 this language mode."
            );
            let id = "ConversionSupportedOnlyToCoreTypes";
            return failed(ErrorRecord::runtime(message, id, Category::InvalidArgument));
        }
        if full == "System.String" {
            return Ok(Value::from(self.text_of(value)));
        }
        if types::known(full).is_none() && !Self::is_type(value, full) {
            if let Some(made) = self.enumeration_of(value, full) {
                return Ok(made);
            }
            if value.is_null() || !self.machine_knows(full) {
                return failed(unknown_type(full));
            }
        }
        Ok(convert::cast(value, full, self.locale)?)
    }

    /// Whether the machine has a type; asked by a member that every type has.
    fn machine_knows(&mut self, full: &str) -> bool {
        self.process
            .machine
            .static_member(full, "FullName", None)
            .is_some()
    }

    /// Makes a constant of an enumeration that the machine has, of its name.
    fn enumeration_of(&mut self, value: &Value, full: &str) -> Option<Value> {
        let name = value.as_str()?;
        match self.process.machine.static_member(full, name, None) {
            Some(Ok(constant @ Value::Enum(_))) => Some(constant),
            _ => None,
        }
    }

    /// Whether `-is` says that a value is of a type.
    pub(in crate::sim::powershell) fn is_type(value: &Value, full: &str) -> bool {
        let Some(own) = value.type_name() else {
            return false;
        };
        if own.eq_ignore_ascii_case(full) || full == "System.Object" {
            return true;
        }
        match (value, full) {
            (Value::Array(_) | Value::Bytes(_), "System.Array")
            | (Value::Enum(_), "System.Enum")
            | (Value::Type(_), "System.Type") => true,
            (Value::Object(object), full) => {
                object.is(full)
                    || full == "System.Management.Automation.PSObject" && object.is_custom()
            }
            (Value::Native(_), "System.Text.Encoding") => own.starts_with("System.Text."),
            _ => false,
        }
    }

    fn unary(&mut self, unary: Unary, value: &Value) -> Run<Value> {
        Ok(match unary {
            Unary::Not => Value::Bool(!convert::truth(value)),
            Unary::Comma => Value::array([value.clone()]),
            Unary::Minus => operators::negate(value, self.locale)?,
            Unary::Plus => operators::binary(Binary::Add, &Value::Int(0), value, self.locale)?,
            Unary::BitNot => {
                operators::binary(Binary::BitXor, value, &Value::Int(-1), self.locale)?
            }
            Unary::Join => Value::from(text::joined(&value.items(), "", self.locale)),
            Unary::Split => operators::split_at_blanks(value, self.locale),
        })
    }

    fn binary(&mut self, operator: Binary, left: &Expression, right: &Expression) -> Run<Value> {
        let a = self.expression(left)?.plain();
        match operator {
            Binary::And if !convert::truth(&a) => return Ok(Value::Bool(false)),
            Binary::Or if convert::truth(&a) => return Ok(Value::Bool(true)),
            _ => {}
        }
        let b = self.expression(right)?.plain();
        match operator {
            Binary::Is | Binary::IsNot => {
                let full = self.type_of_operand(&b);
                Ok(Value::Bool(
                    Self::is_type(&a, &full) == (operator == Binary::Is),
                ))
            }
            Binary::As => {
                let full = self.type_of_operand(&b);
                match self.cast_to(&a, &full) {
                    Err(Flow::Error(_, false)) => Ok(Value::Null),
                    other => other,
                }
            }
            Binary::Compare(Comparison::Match | Comparison::NotMatch, case)
                if !matches!(a, Value::Array(_)) =>
            {
                let matched = self.matched(&a, &b, case)?;
                let wants = matches!(operator, Binary::Compare(Comparison::Match, _));
                Ok(Value::Bool(matched == wants))
            }
            _ => Ok(operators::binary(operator, &a, &b, self.locale)?),
        }
    }

    fn type_of_operand(&self, value: &Value) -> String {
        match value {
            Value::Type(name) => name.0.as_ref().to_owned(),
            other => types::full_name(&self.text_of(other)),
        }
    }

    /// Applies `-match` and sets `$Matches`.
    fn matched(&mut self, left: &Value, right: &Value, case: bool) -> Run<bool> {
        let regex = pattern::regex(&self.text_of(right), case)?;
        let text = self.text_of(left);
        let Some(found) = regex.captures(&text) else {
            return Ok(false);
        };
        let groups = Hash::new();
        for (number, name) in regex.capture_names().enumerate() {
            let Some(group) = found.get(number) else {
                continue;
            };
            let key = match name {
                Some(name) => Value::str(name),
                None => Value::Int(i32::try_from(number).unwrap_or(i32::MAX)),
            };
            groups.set(key, Value::str(group.as_str()));
        }
        self.scopes.set_local("Matches", Value::Hash(groups));
        Ok(true)
    }

    fn member(&mut self, on: &Expression, name: &Expression, of_type: bool) -> Run<Value> {
        let on = self.expression(on)?.plain();
        let name = self.name_of(name)?;
        if of_type {
            return self.static_property(&on, &name);
        }
        self.property(&on, &name)
    }

    /// Evaluates a member's name.
    pub(super) fn name_of(&mut self, name: &Expression) -> Run<String> {
        let value = self.expression(name)?;
        Ok(self.text_of(&value))
    }

    fn index(&mut self, on: &Value, index: &Value) -> Run<Value> {
        if on.is_null() {
            let message = "Cannot index into a null array.";
            return failed(ErrorRecord::runtime(
                message,
                "NullArray",
                Category::InvalidOperation,
            ));
        }
        if let Value::Hash(hash) = on {
            if let (true, Value::Int(place)) = (hash.is_ordered(), index) {
                let pairs = hash.pairs();
                let place = usize::try_from(*place).unwrap_or(usize::MAX);
                return Ok(pairs.get(place).map(|(_, v)| v.clone()).unwrap_or_default());
            }
            if let Value::Array(keys) = index {
                let keys = keys.items();
                let found = keys.iter().map(|key| hash.get(key).unwrap_or_default());
                return Ok(Value::array(found));
            }
            return Ok(hash.get(index).unwrap_or_default());
        }
        if let Value::Array(places) = index {
            let mut found = Vec::new();
            for place in places.items() {
                let item = self.index(on, &place)?;
                if !item.is_null() {
                    found.push(item);
                }
            }
            return Ok(Value::array(found));
        }
        let place = convert::cast(index, "System.Int32", self.locale)?
            .as_integer()
            .unwrap_or(0);
        Ok(match on {
            Value::Array(array) => at(place, array.len())
                .and_then(|place| array.get(place))
                .unwrap_or_default(),
            Value::Bytes(bytes) => at(place, bytes.len())
                .and_then(|place| bytes.get(place))
                .map_or(Value::Null, |byte| Value::Byte(*byte)),
            Value::Str(text) => {
                let chars: Vec<char> = text.chars().collect();
                at(place, chars.len())
                    .and_then(|place| chars.get(place))
                    .map_or(Value::Null, |c| Value::Char(*c))
            }
            other => match other {
                Value::Native(native) if native.items().is_some() => {
                    let items = native.items().unwrap_or_default();
                    at(place, items.len())
                        .and_then(|place| items.get(place).cloned())
                        .unwrap_or_default()
                }
                // A scalar is a list of one.
                _ if place == 0 || place == -1 => other.clone(),
                _ => Value::Null,
            },
        })
    }
}

/// Turns an index, which may count from the end, into a place.
pub(super) fn at(index: i128, length: usize) -> Option<usize> {
    let length = i128::try_from(length).ok()?;
    let place = if index < 0 { index + length } else { index };
    if place >= length {
        return None;
    }
    usize::try_from(place).ok()
}

/// Says that there is no such type.
pub(in crate::sim::powershell) fn unknown_type(full: &str) -> ErrorRecord {
    let name = full.strip_prefix("System.").unwrap_or(full);
    ErrorRecord::runtime(
        format!("Unable to find type [{name}]."),
        "TypeNotFound",
        Category::InvalidOperation,
    )
    .with_target(name)
}
