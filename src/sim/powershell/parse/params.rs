//! Parameters of script blocks and functions, and the attributes on them.

use super::cursor::{Parsed, Parser};
use crate::sim::powershell::ast::{Expression, ExpressionKind, Parameter, TypeLiteral};
use crate::sim::powershell::value::Value;

impl Parser {
    /// Skips attributes such as `[CmdletBinding()]` before `param`.
    pub(super) fn skip_attributes(&mut self) -> Parsed<()> {
        while self.peek() == Some('[') {
            let before = self.place;
            if self.attribute()?.is_none() {
                self.place = before;
                return Ok(());
            }
            self.skip_lines()?;
        }
        Ok(())
    }

    /// Parses `[Name(arguments)]`; `None` when it is no attribute. Says what it sets.
    fn attribute(&mut self) -> Parsed<Option<Vec<(String, bool)>>> {
        let start = self.place;
        self.place += 1;
        let name = self.word_here();
        self.place += name.len();
        if name.is_empty() || !self.take('(') {
            return Ok(None);
        }
        let mut set = Vec::new();
        loop {
            self.skip_lines()?;
            if self.take(')') {
                break;
            }
            let word = self.word_here();
            let before = self.place;
            self.place += word.len();
            self.skip_lines()?;
            if !word.is_empty() && self.take('=') {
                self.skip_lines()?;
                let value = self.grouped(Self::without_commas)?;
                set.push((word, !is_false(&value)));
            } else if !word.is_empty() && matches!(self.peek(), Some(',' | ')')) {
                set.push((word, true));
            } else {
                self.place = before;
                self.grouped(Self::without_commas)?;
            }
            self.skip_lines()?;
            if !self.take(',') && self.peek() != Some(')') {
                return Err(self.missing(
                    start,
                    "Missing ')' in attribute.",
                    "MissingEndParenthesisInExpression",
                ));
            }
        }
        self.skip_lines()?;
        if !self.take(']') {
            let message = "Missing ] at end of attribute or type literal.";
            return Err(self.missing(start, message, "EndSquareBracketExpectedAtEndOfAttribute"));
        }
        if name != "parameter" {
            set.clear();
        }
        Ok(Some(set))
    }

    /// Parses `( parameters )`.
    pub(super) fn parameters(&mut self) -> Parsed<Vec<Parameter>> {
        let start = self.place;
        if !self.take('(') {
            return Err(self.unexpected());
        }
        let mut found = Vec::new();
        loop {
            self.skip_lines()?;
            if self.take(')') {
                return Ok(found);
            }
            if self.peek().is_none() {
                let message = "Missing ')' in function parameter list.";
                return Err(self.unfinished(
                    start,
                    message,
                    "MissingEndParenthesisInFunctionParameterList",
                ));
            }
            found.push(self.parameter()?);
            self.skip_lines()?;
            if !self.take(',') && self.peek() != Some(')') {
                let message = "Missing ')' in function parameter list.";
                return Err(self.missing(
                    self.place,
                    message,
                    "MissingEndParenthesisInFunctionParameterList",
                ));
            }
        }
    }

    fn parameter(&mut self) -> Parsed<Parameter> {
        let mut types: Vec<TypeLiteral> = Vec::new();
        let (mut mandatory, mut from_pipeline) = (false, false);
        while self.peek() == Some('[') {
            let before = self.place;
            if let Some(set) = self.attribute()? {
                for (name, on) in set {
                    match name.as_str() {
                        "mandatory" => mandatory = on,
                        "valuefrompipeline" => from_pipeline = on,
                        _ => {}
                    }
                }
            } else {
                self.place = before;
                types.push(self.type_literal()?);
            }
            self.skip_lines()?;
        }
        if self.peek() != Some('$') {
            return Err(self.unexpected());
        }
        let name = self.variable()?.name;
        self.skip_lines()?;
        let default = if self.take('=') {
            self.skip_lines()?;
            Some(self.grouped(Self::without_commas)?)
        } else {
            None
        };
        Ok(Parameter {
            name,
            types,
            default,
            mandatory,
            from_pipeline,
        })
    }
}

fn is_false(value: &Expression) -> bool {
    match &value.kind {
        ExpressionKind::Variable(variable) => variable.name.eq_ignore_ascii_case("false"),
        ExpressionKind::Constant(Value::Int(number)) => *number == 0,
        _ => false,
    }
}
