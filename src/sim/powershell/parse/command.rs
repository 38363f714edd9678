//! Commands: their words, parameters and redirections.

use std::sync::Arc;

use super::cursor::{Parsed, Parser};
use crate::sim::powershell::ast::{
    Command, Element, Expression, ExpressionKind, Invocation, Part, RedirectTo, Redirection,
};
use crate::sim::powershell::chars::{
    ends_word, is_blank, is_dash, is_double_quote, is_name_start, is_newline, is_single_quote,
    is_variable,
};
use crate::sim::powershell::value::Value;

impl Parser {
    pub(super) fn command(&mut self) -> Parsed<Command> {
        let start = self.place;
        let invocation = if self.take('&') {
            Invocation::Call
        } else if self.peek() == Some('.')
            && self
                .peek_at(1)
                .is_some_and(|c| is_blank(c) || "$({'\"".contains(c))
        {
            self.place += 1;
            Invocation::Dot
        } else {
            Invocation::Plain
        };
        self.skip_blanks()?;
        if self.at_end_of_command() {
            return Err(self.unexpected());
        }
        let name = if invocation == Invocation::Plain {
            self.word()?
        } else {
            self.argument()?
        };
        let mut elements = Vec::new();
        let mut redirections = Vec::new();
        loop {
            self.skip_blanks()?;
            if self.at_end_of_command() {
                break;
            }
            match self.redirection()? {
                Some(redirection) => redirections.push(redirection),
                None => elements.push(self.element()?),
            }
        }
        Ok(Command {
            at: self.span(start),
            invocation,
            name,
            elements,
            redirections,
        })
    }

    fn at_end_of_command(&self) -> bool {
        self.peek()
            .is_none_or(|c| is_newline(c) || matches!(c, ';' | ')' | '}' | '|' | '&'))
    }

    fn element(&mut self) -> Parsed<Element> {
        match self.peek() {
            Some('@') if self.peek_at(1).is_some_and(is_name_start) => {
                Ok(Element::Splat(self.variable()?))
            }
            Some(c)
                if is_dash(c)
                    && self
                        .peek_at(1)
                        .is_some_and(|c| is_name_start(c) || c == '?') =>
            {
                self.place += 1;
                let mut name = String::new();
                while let Some(c) = self.peek() {
                    if ends_word(c) || matches!(c, ':' | '.' | '[') {
                        break;
                    }
                    name.push(c);
                    self.place += 1;
                }
                let value = if self.take(':') {
                    self.skip_blanks()?;
                    Some(self.argument_list()?)
                } else {
                    None
                };
                Ok(Element::Parameter {
                    name: Arc::from(name),
                    value,
                })
            }
            _ => Ok(Element::Argument(self.argument_list()?)),
        }
    }

    /// Parses arguments with commas between them.
    fn argument_list(&mut self) -> Parsed<Expression> {
        let start = self.place;
        let first = self.argument()?;
        let mut items = vec![first];
        loop {
            let before = self.place;
            self.skip_blanks()?;
            if !self.take(',') {
                self.place = before;
                break;
            }
            self.skip_lines()?;
            if self.at_end_of_command() {
                let message = "Missing argument in parameter list.";
                return Err(self.error_at(self.place, message, "MissingArgument"));
            }
            items.push(self.argument()?);
        }
        Ok(match (items.len(), items.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                items.extend(last);
                Expression {
                    at: self.span(start),
                    kind: ExpressionKind::List(items),
                }
            }
        })
    }

    /// Parses one argument.
    pub(super) fn argument(&mut self) -> Parsed<Expression> {
        let start = self.place;
        let Some(c) = self.peek() else {
            return Err(self.unexpected());
        };
        if c == ',' {
            let message = "Missing argument in parameter list.";
            return Err(self.error_at(start, message, "MissingArgument"));
        }
        let opens = is_single_quote(c)
            || is_double_quote(c)
            || matches!(c, '(' | '{')
            || c == '@' && matches!(self.peek_at(1), Some('(' | '{' | '\'' | '"'));
        if opens {
            return self.postfixed();
        }
        if c == '$' && self.starts_value() {
            let value = self.postfixed()?;
            if self.peek().is_none_or(|c| ends_word(c) || c == '>') {
                return Ok(value);
            }
            self.place = start;
            return self.word();
        }
        if let Some(number) = self.whole_number() {
            return Ok(number);
        }
        self.word()
    }

    /// Takes a number that is a whole argument.
    fn whole_number(&mut self) -> Option<Expression> {
        let start = self.place;
        let negative = self.peek().is_some_and(is_dash);
        if negative {
            self.place += 1;
        }
        let number = self.number();
        let whole = self.peek().is_none_or(ends_word);
        match number {
            Some(Ok(number)) if whole => Some(Expression {
                at: self.span(start),
                kind: ExpressionKind::Constant(if negative { negated(number) } else { number }),
            }),
            _ => {
                self.place = start;
                None
            }
        }
    }

    /// Parses a bare word, in which variables and quotes still mean something.
    fn word(&mut self) -> Parsed<Expression> {
        let start = self.place;
        let mut parts: Vec<Part> = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            if ends_word(c) {
                break;
            }
            match c {
                '`' => {
                    self.place += 1;
                    match self.next() {
                        Some(c) => text.push(self.escaped(c)),
                        None => text.push('`'),
                    }
                }
                '$' if self.starts_value() => {
                    let value = self.dollar()?;
                    push_text(&mut parts, &mut text);
                    parts.push(Part::Value(value));
                }
                _ if is_single_quote(c) => text.push_str(&self.single_quoted()?),
                _ if is_double_quote(c) => {
                    let inner = self.double_quoted()?;
                    for part in inner {
                        match part {
                            Part::Text(inner) => text.push_str(&inner),
                            value @ Part::Value(_) => {
                                push_text(&mut parts, &mut text);
                                parts.push(value);
                            }
                        }
                    }
                }
                _ => {
                    text.push(c);
                    self.place += 1;
                }
            }
        }
        if self.place == start {
            return Err(self.unexpected());
        }
        let kind = if parts.is_empty() {
            ExpressionKind::Constant(Value::from(text))
        } else {
            push_text(&mut parts, &mut text);
            ExpressionKind::Expandable(parts)
        };
        Ok(Expression {
            at: self.span(start),
            kind,
        })
    }

    /// Whether a `$` here begins a value.
    pub(super) fn starts_value(&self) -> bool {
        self.peek() == Some('$')
            && self
                .peek_at(1)
                .is_some_and(|c| is_variable(c) || matches!(c, '(' | '{' | '$' | '^' | ':'))
    }

    pub(super) fn redirections(&mut self) -> Parsed<Vec<Redirection>> {
        let mut found = Vec::new();
        while let Some(redirection) = self.redirection()? {
            found.push(redirection);
            self.skip_blanks()?;
        }
        Ok(found)
    }

    fn redirection(&mut self) -> Parsed<Option<Redirection>> {
        let start = self.place;
        let stream = match (self.peek(), self.peek_at(1)) {
            (Some('>'), _) => {
                self.place += 1;
                1
            }
            (Some('*'), Some('>')) => {
                self.place += 2;
                0
            }
            (Some(c @ '1'..='6'), Some('>')) => {
                self.place += 2;
                u8::try_from(c.to_digit(10).unwrap_or(1)).unwrap_or(1)
            }
            (Some('<'), next) if next != Some('#') => {
                let message = "The '<' operator is reserved for future use.";
                return Err(self.error_at(start, message, "RedirectionNotSupported"));
            }
            _ => return Ok(None),
        };
        self.take('>');
        if self.take_text("&1") {
            let to = RedirectTo::Output;
            return Ok(Some(Redirection { stream, to }));
        }
        self.skip_blanks()?;
        let target = self.argument()?;
        match &target.kind {
            ExpressionKind::Variable(variable) if variable.name.eq_ignore_ascii_case("null") => {
                let to = RedirectTo::Nowhere;
                Ok(Some(Redirection { stream, to }))
            }
            _ => {
                let message = "The simulated PowerShell redirects to $null and to &1 only.";
                Err(self.error_at(start, message, "NotSimulated"))
            }
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text(Arc::from(std::mem::take(text))));
    }
}

fn negated(number: Value) -> Value {
    match number {
        Value::Int(number) => Value::Int(number.wrapping_neg()),
        Value::Long(number) => match number.checked_neg().map(i32::try_from) {
            Some(Ok(small)) if number > i64::from(i32::MAX) => Value::Int(small),
            _ => Value::Long(number.wrapping_neg()),
        },
        Value::Double(number) => Value::Double(-number),
        other => other,
    }
}
