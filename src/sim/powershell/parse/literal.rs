//! Numbers, types and variables.

use std::sync::Arc;

use super::cursor::{Parsed, Parser, SyntaxError};
use crate::sim::powershell::ast::{TypeLiteral, Variable};
use crate::sim::powershell::chars::is_variable;
use crate::sim::powershell::value::Value;

/// Suffixes that multiply.
const MULTIPLIERS: [(&str, u64); 5] = [
    ("kb", 1 << 10),
    ("mb", 1 << 20),
    ("gb", 1 << 30),
    ("tb", 1 << 40),
    ("pb", 1 << 50),
];

impl Parser {
    /// Reads a number: decimal or hexadecimal, whole or not, with its suffixes. `None` when none
    /// stands here; an error when it is too large to be one.
    pub(super) fn number(&mut self) -> Option<Result<Value, SyntaxError>> {
        let start = self.place;
        let hex = self.sees("0x") && self.peek_at(2).is_some_and(|c| c.is_ascii_hexdigit());
        let mut real = false;
        let mut digits = String::new();
        if hex {
            self.place += 2;
            self.digits(&mut digits, |c| c.is_ascii_hexdigit());
        } else {
            self.digits(&mut digits, |c| c.is_ascii_digit());
            if self.peek() == Some('.')
                && self.peek_at(1) != Some('.')
                && (self.peek_at(1).is_some_and(|c| c.is_ascii_digit())
                    || !self
                        .peek_at(1)
                        .is_some_and(|c| c.is_alphabetic() || c == '_'))
                && (!digits.is_empty() || self.peek_at(1).is_some_and(|c| c.is_ascii_digit()))
            {
                real = true;
                self.place += 1;
                digits.push('.');
                self.digits(&mut digits, |c| c.is_ascii_digit());
            }
            if digits.is_empty() {
                return None;
            }
            real |= self.exponent(&mut digits);
        }
        let long = self
            .peek()
            .is_some_and(|c| c.eq_ignore_ascii_case(&'l'))
            .then(|| self.place += 1)
            .is_some();
        let multiplier = MULTIPLIERS
            .iter()
            .find(|(suffix, _)| self.sees(suffix))
            .map_or(1, |(_, factor)| *factor);
        if multiplier > 1 {
            self.place += 2;
        }
        let value = if real {
            digits
                .parse()
                .ok()
                .map(|number: f64| real_value(number, multiplier, long))
        } else {
            whole_value(&digits, hex, multiplier, long)
        };
        Some(value.ok_or_else(|| {
            let text = self.source.text(self.span(start));
            let message = format!("The numeric constant {text} is not valid.");
            self.error_at(start, message, "BadNumericConstant")
        }))
    }

    fn digits(&mut self, digits: &mut String, wanted: fn(char) -> bool) {
        while let Some(c) = self.peek().filter(|c| wanted(*c)) {
            digits.push(c);
            self.place += 1;
        }
    }

    fn exponent(&mut self, digits: &mut String) -> bool {
        let signed = matches!(self.peek_at(1), Some('+' | '-'));
        let first = self.peek_at(if signed { 2 } else { 1 });
        let is_one = self.peek().is_some_and(|c| c.eq_ignore_ascii_case(&'e'))
            && first.is_some_and(|c| c.is_ascii_digit());
        if is_one {
            self.place += 1;
            digits.push('e');
            if signed {
                digits.extend(self.next());
            }
            self.digits(digits, |c| c.is_ascii_digit());
        }
        is_one
    }

    /// Parses `[type]`.
    pub(super) fn type_literal(&mut self) -> Parsed<TypeLiteral> {
        let start = self.place;
        self.place += 1;
        let mut depth = 1_u8;
        let mut name = String::new();
        loop {
            match self.next() {
                Some('[') => depth = depth.saturating_add(1),
                Some(']') => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                Some(c) if c.is_alphanumeric() || "._+`, *".contains(c) => {}
                Some(_) => {
                    self.place -= 1;
                    let message = "Missing ] at end of attribute or type literal.";
                    return Err(self.error_at(
                        start,
                        message,
                        "EndSquareBracketExpectedAtEndOfAttribute",
                    ));
                }
                None => {
                    let message = "Missing ] at end of attribute or type literal.";
                    return Err(self.unfinished(
                        start,
                        message,
                        "EndSquareBracketExpectedAtEndOfAttribute",
                    ));
                }
            }
            if let Some(c) = self.source.0.get(self.place - 1) {
                name.push(*c);
            }
        }
        let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        if name.is_empty() {
            let message = "Missing type name after '['.";
            return Err(self.error_at(start, message, "MissingTypename"));
        }
        Ok(TypeLiteral(Arc::from(name)))
    }

    /// Parses a variable that begins with `$`, or with `@` where it is splatted.
    pub(super) fn variable(&mut self) -> Parsed<Variable> {
        let start = self.place;
        self.place += 1;
        if self.take('{') {
            return self.braced_variable(start);
        }
        if let Some(c @ ('$' | '^' | '?')) = self.peek() {
            self.place += 1;
            return Ok(self.named(None, &c.to_string()));
        }
        let mut name = self.variable_word();
        let mut scope = None;
        if self.peek() == Some(':') && self.peek_at(1) != Some(':') {
            if self.peek_at(1).is_some_and(is_variable) {
                self.place += 1;
                scope = Some(std::mem::take(&mut name));
                name = self.variable_word();
            } else if name.is_empty() {
                return Err(self.unexpected());
            }
        }
        if name.is_empty() {
            return Err(self.unexpected());
        }
        Ok(self.named(scope.as_deref(), &name))
    }

    fn variable_word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| is_variable(*c)) {
            word.push(c);
            self.place += 1;
        }
        word
    }

    fn braced_variable(&mut self, start: usize) -> Parsed<Variable> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('}') => break,
                Some('`') => text.extend(self.next()),
                Some(c) => text.push(c),
                None => {
                    let message = "The braced variable reference is missing its terminator '}'.";
                    return Err(self.unfinished(
                        start,
                        message,
                        "IncompleteDollarSubexpressionReference",
                    ));
                }
            }
        }
        match text.split_once(':') {
            Some((scope, name)) if !name.is_empty() => Ok(self.named(Some(scope), name)),
            _ => Ok(self.named(None, &text)),
        }
    }

    fn named(&mut self, scope: Option<&str>, name: &str) -> Variable {
        if name.eq_ignore_ascii_case("input") {
            self.names_input = true;
        }
        Variable {
            scope: scope.map(|scope| Arc::from(scope.to_ascii_lowercase())),
            name: Arc::from(name),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a literal's multiplier is a power of two, and a cast saturates"
)]
fn real_value(number: f64, multiplier: u64, long: bool) -> Value {
    let number = number * multiplier as f64;
    if long {
        Value::Long(number.round_ties_even() as i64)
    } else {
        Value::Double(number)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a whole literal beyond 64 bits is a double here (a decimal in .NET)"
)]
fn whole_value(digits: &str, hex: bool, multiplier: u64, long: bool) -> Option<Value> {
    if hex {
        let number = u64::from_str_radix(digits, 16).ok()?;
        // 0xFFFFFFFF is -1, as the tokenizer reads it.
        if multiplier == 1 && !long && digits.len() <= 8 {
            return u32::try_from(number)
                .ok()
                .map(|number| Value::Int(number.cast_signed()));
        }
        let signed = number.cast_signed();
        return Some(smallest(i128::from(signed) * i128::from(multiplier), long));
    }
    let number = digits
        .parse::<i128>()
        .ok()?
        .checked_mul(i128::from(multiplier))?;
    if i64::try_from(number).is_err() {
        return (!long).then_some(Value::Double(number as f64));
    }
    Some(smallest(number, long))
}

fn smallest(number: i128, long: bool) -> Value {
    match (i32::try_from(number), i64::try_from(number)) {
        (Ok(small), _) if !long => Value::Int(small),
        (_, Ok(number)) => Value::Long(number),
        _ => Value::Null,
    }
}
