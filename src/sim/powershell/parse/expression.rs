//! Expressions: operands, what stands behind them, and groups.

use std::sync::Arc;

use super::cursor::{Parsed, Parser};
use super::operator::{self, LOWEST};
use crate::sim::powershell::ast::{
    Expression, ExpressionKind, ScriptBlock, Statement, StatementKind, Unary,
};
use crate::sim::powershell::chars::{is_dash, is_double_quote, is_name_start, is_single_quote};
use crate::sim::powershell::value::Value;

impl Parser {
    /// Whether a statement that begins here is an expression and no command.
    pub(super) fn starts_expression(&mut self) -> bool {
        let Some(c) = self.peek() else { return false };
        let next = self.peek_at(1);
        match c {
            '$' => self.starts_value(),
            '(' | '[' | '{' | ',' | '!' => true,
            '@' => next.is_some_and(|c| {
                matches!(c, '(' | '{') || is_single_quote(c) || is_double_quote(c)
            }),
            '.' => next.is_some_and(|c| c.is_ascii_digit()),
            '+' => next.is_some_and(|c| c == '+' || c == '$' || c == '(' || c.is_ascii_digit()),
            '0'..='9' => self.begins_with_number(),
            _ if is_single_quote(c) || is_double_quote(c) => true,
            _ if is_dash(c) => {
                next.is_some_and(|c| is_dash(c) || "$(.'\" ".contains(c) || c.is_ascii_digit())
                    || operator::unary_word(&self.dashed_word()).is_some()
            }
            _ => false,
        }
    }

    fn begins_with_number(&mut self) -> bool {
        let before = self.place;
        let number = self.number();
        let sound = matches!(number, Some(Ok(_)))
            && self
                .peek()
                .is_none_or(|c| !is_name_start(c) && c != '\\' && c != '_');
        self.place = before;
        sound
    }

    /// Returns the word behind a dash that stands here, in lower case.
    pub(super) fn dashed_word(&self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek_at(1 + word.len()) {
            if !c.is_ascii_alphanumeric() {
                break;
            }
            word.push(c.to_ascii_lowercase());
        }
        word
    }

    /// Parses an expression.
    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.binary(LOWEST)
    }

    /// Parses an expression that ends at a comma, as arguments of methods do.
    pub(super) fn without_commas(&mut self) -> Parsed<Expression> {
        let outer = self.set_no_list(true);
        let result = self.binary(LOWEST);
        self.set_no_list(outer);
        result
    }

    /// Parses something in which a comma makes lists again.
    pub(super) fn grouped<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let outer = self.set_no_list(false);
        let result = self.deeper(inner);
        self.set_no_list(outer);
        result
    }

    /// Parses operands with commas between them.
    pub(super) fn list(&mut self) -> Parsed<Expression> {
        let first = self.unary()?;
        if self.no_list() {
            return Ok(first);
        }
        let start = first.at;
        let mut items = vec![first];
        loop {
            let before = self.place;
            self.skip_blanks()?;
            if !self.take(',') {
                self.place = before;
                break;
            }
            self.skip_lines()?;
            items.push(self.unary()?);
        }
        Ok(match (items.len(), items.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                items.extend(last);
                Expression {
                    at: start.to(self.span(start.start)),
                    kind: ExpressionKind::List(items),
                }
            }
        })
    }

    fn unary(&mut self) -> Parsed<Expression> {
        self.deeper(Self::unary_here)
    }

    fn unary_here(&mut self) -> Parsed<Expression> {
        self.skip_blanks()?;
        let start = self.place;
        let Some(c) = self.peek() else {
            return Err(self.unexpected());
        };
        let next = self.peek_at(1);
        if c == '+' && next == Some('+') || is_dash(c) && next.is_some_and(is_dash) {
            self.place += 2;
            let target = Box::new(self.unary()?);
            let by = if c == '+' { 1 } else { -1 };
            return Ok(self.made(
                start,
                ExpressionKind::Step {
                    by,
                    prefix: true,
                    target,
                },
            ));
        }
        let unary = match c {
            ',' if !self.no_list() => Some((Unary::Comma, 1)),
            '!' => Some((Unary::Not, 1)),
            '+' => Some((Unary::Plus, 1)),
            _ if is_dash(c) => {
                let word = self.dashed_word();
                match operator::unary_word(&word) {
                    Some(unary) => Some((unary, 1 + word.len())),
                    None if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) => {
                        Some((Unary::Minus, 1))
                    }
                    None => return Err(self.unexpected()),
                }
            }
            _ => None,
        };
        if let Some((unary, length)) = unary {
            self.place += length;
            self.skip_lines()?;
            let operand = Box::new(self.unary()?);
            return Ok(self.made(start, ExpressionKind::Unary(unary, operand)));
        }
        if c == '[' {
            let literal = self.type_literal()?;
            let before = self.place;
            self.skip_blanks()?;
            if self.casts(before) {
                let operand = Box::new(self.unary()?);
                return Ok(self.made(start, ExpressionKind::Cast(literal, operand)));
            }
            self.place = before;
            let of = self.made(start, ExpressionKind::Type(literal));
            return self.postfix(of);
        }
        self.postfixed()
    }

    /// Whether what stands here is what a type before it is a cast of.
    fn casts(&self, behind_type: usize) -> bool {
        let Some(c) = self.peek() else { return false };
        let next = self.peek_at(1);
        match c {
            '$' | '(' | '{' | '@' | '!' | '0'..='9' => true,
            // `[a][b]$x`; but `[a]::b[0]` is behind the colons and never here.
            '[' => next.is_some_and(is_name_start),
            '.' => self.place != behind_type || next.is_some_and(|c| c.is_ascii_digit()),
            '+' => next.is_some_and(|c| c.is_ascii_digit() || c == '$'),
            _ if is_dash(c) => {
                next.is_some_and(|c| c.is_ascii_digit() || c == '$' || c == '(')
                    || operator::unary_word(&self.dashed_word()).is_some()
            }
            _ => is_single_quote(c) || is_double_quote(c),
        }
    }

    const fn made(&self, start: usize, kind: ExpressionKind) -> Expression {
        Expression {
            at: self.span(start),
            kind,
        }
    }

    /// Parses an operand and what stands behind it.
    pub(super) fn postfixed(&mut self) -> Parsed<Expression> {
        let operand = self.primary()?;
        self.postfix(operand)
    }

    fn postfix(&mut self, mut on: Expression) -> Parsed<Expression> {
        loop {
            let start = on.at.start;
            let next = self.peek_at(1);
            match self.peek() {
                Some('.')
                    if next.is_some_and(|c| {
                        is_name_start(c)
                            || "$({".contains(c)
                            || is_single_quote(c)
                            || is_double_quote(c)
                    }) =>
                {
                    self.place += 1;
                    on = self.member(on, false)?;
                }
                Some(':') if next == Some(':') => {
                    self.place += 2;
                    on = self.member(on, true)?;
                }
                Some('[') => {
                    let opened = self.place;
                    self.place += 1;
                    let index = self.grouped(|parser| {
                        parser.skip_lines()?;
                        parser.expression()
                    })?;
                    self.skip_lines()?;
                    if !self.take(']') {
                        let message = "Missing ']' after array index expression.";
                        return Err(match self.peek() {
                            None => self.unfinished(opened, message, "MissingEndSquareBracket"),
                            Some(_) => {
                                self.error_at(self.place, message, "MissingEndSquareBracket")
                            }
                        });
                    }
                    on = self.made(start, ExpressionKind::Index(Box::new((on, index))));
                }
                Some('+') if next == Some('+') => {
                    self.place += 2;
                    on = self.step(on, 1);
                }
                Some(c) if is_dash(c) && next.is_some_and(is_dash) => {
                    self.place += 2;
                    on = self.step(on, -1);
                }
                _ => return Ok(on),
            }
        }
    }

    fn step(&self, on: Expression, by: i32) -> Expression {
        let start = on.at.start;
        let target = Box::new(on);
        self.made(
            start,
            ExpressionKind::Step {
                by,
                prefix: false,
                target,
            },
        )
    }

    fn member(&mut self, on: Expression, of_type: bool) -> Parsed<Expression> {
        let start = on.at.start;
        let at = self.place;
        let name = match self.peek() {
            Some('$') => {
                let variable = self.variable()?;
                self.made(at, ExpressionKind::Variable(variable))
            }
            Some(c) if is_single_quote(c) || is_double_quote(c) || c == '(' => self.primary()?,
            _ => {
                let word = self.member_name();
                if word.is_empty() {
                    let message = "Missing property name after reference operator.";
                    return Err(match self.peek() {
                        None => self.unfinished(at, message, "MissingPropertyName"),
                        Some(_) => self.error_at(at, message, "MissingPropertyName"),
                    });
                }
                self.made(at, ExpressionKind::Constant(Value::from(word)))
            }
        };
        let (on, name) = (Box::new(on), Box::new(name));
        let kind = if self.peek() == Some('(') {
            let arguments = self.method_arguments()?;
            ExpressionKind::Method {
                on,
                name,
                arguments,
                of_type,
            }
        } else {
            ExpressionKind::Member { on, name, of_type }
        };
        Ok(self.made(start, kind))
    }

    fn member_name(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            if !(c.is_alphanumeric() || c == '_') {
                break;
            }
            word.push(c);
            self.place += 1;
        }
        word
    }

    fn method_arguments(&mut self) -> Parsed<Vec<Expression>> {
        let opened = self.place;
        self.place += 1;
        let mut arguments = Vec::new();
        self.skip_lines()?;
        if self.take(')') {
            return Ok(arguments);
        }
        loop {
            self.skip_lines()?;
            arguments.push(self.deeper(Self::without_commas)?);
            self.skip_lines()?;
            if self.take(')') {
                return Ok(arguments);
            }
            if !self.take(',') {
                let message = "Missing ')' in method call.";
                let id = "MissingEndParenthesisInMethodCall";
                return Err(match self.peek() {
                    None => self.unfinished(opened, message, id),
                    Some(_) => self.error_at(self.place, message, id),
                });
            }
        }
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let start = self.place;
        let Some(c) = self.peek() else {
            return Err(self.unexpected());
        };
        match (c, self.peek_at(1)) {
            ('$', _) if self.starts_value() => self.dollar(),
            ('(', _) => {
                self.place += 1;
                let inner = self.grouped(|parser| {
                    parser.skip_lines()?;
                    parser.pipeline()
                })?;
                self.skip_lines()?;
                self.close_paren(start)?;
                Ok(self.made(start, ExpressionKind::Paren(Box::new(inner))))
            }
            ('@', Some('(')) => {
                self.place += 2;
                let inner = self.grouped(Self::statements)?;
                self.close_paren(start)?;
                Ok(self.made(start, ExpressionKind::ArrayOf(inner)))
            }
            ('@', Some('{')) => self.hash(),
            ('@', Some(q)) if is_single_quote(q) || is_double_quote(q) => self.here_string(),
            ('{', _) => {
                let block = self.braced()?;
                Ok(self.made(start, ExpressionKind::ScriptBlock(Arc::new(block))))
            }
            ('0'..='9', _) | ('.', Some('0'..='9')) => match self.number() {
                Some(Ok(number)) => Ok(self.made(start, ExpressionKind::Constant(number))),
                Some(Err(error)) => Err(error),
                None => Err(self.unexpected()),
            },
            _ if is_single_quote(c) => {
                let text = self.single_quoted()?;
                Ok(self.made(start, ExpressionKind::Constant(Value::from(text))))
            }
            _ if is_double_quote(c) => {
                let parts = self.double_quoted()?;
                Ok(self.made(start, ExpressionKind::Expandable(parts)))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Parses `{ script }`.
    fn braced(&mut self) -> Parsed<ScriptBlock> {
        let start = self.place;
        self.place += 1;
        let block = self.grouped(Self::body)?;
        self.close_brace(start)?;
        Ok(block)
    }

    /// Parses a variable or `$( )`.
    pub(super) fn dollar(&mut self) -> Parsed<Expression> {
        let start = self.place;
        if self.peek_at(1) == Some('(') {
            self.place += 2;
            let inner = self.grouped(Self::statements)?;
            if !self.take(')') {
                let message = "Missing closing ')' in subexpression.";
                let id = "MissingEndParenthesisInSubexpression";
                return Err(match self.peek() {
                    None => self.unfinished(start, message, id),
                    Some(_) => self.error_at(self.place, message, id),
                });
            }
            return Ok(self.made(start, ExpressionKind::Sub(inner)));
        }
        let variable = self.variable()?;
        Ok(self.made(start, ExpressionKind::Variable(variable)))
    }

    fn hash(&mut self) -> Parsed<Expression> {
        let start = self.place;
        self.place += 2;
        let pairs = self.grouped(|parser| parser.hash_pairs(start))?;
        Ok(self.made(start, ExpressionKind::Hash(pairs)))
    }

    fn hash_pairs(&mut self, start: usize) -> Parsed<Vec<(Expression, Statement)>> {
        let mut pairs: Vec<(Expression, Statement)> = Vec::new();
        loop {
            self.skip_separators()?;
            if self.take('}') {
                return Ok(pairs);
            }
            if self.peek().is_none() {
                let message = "Missing closing '}' in hash literal.";
                return Err(self.unfinished(start, message, "MissingEndCurlyBrace"));
            }
            let at = self.place;
            let key = if self.peek().is_some_and(is_name_start) {
                let word = self.member_name();
                self.made(at, ExpressionKind::Constant(Value::from(word)))
            } else {
                self.unary()?
            };
            if pairs.iter().any(|(known, _)| same_key(known, &key)) {
                let shown = self.source.text(key.at);
                let message = format!("Duplicate keys '{shown}' are not allowed in hash literals.");
                return Err(self.error_at(at, message, "DuplicateKeyInHashLiteral"));
            }
            self.skip_blanks()?;
            if !self.take('=') {
                let message = "Missing '=' operator after key in hash literal.";
                return Err(match self.peek() {
                    None => self.unfinished(start, message, "MissingEqualsInHashLiteral"),
                    Some(_) => self.error_at(self.place, message, "MissingEqualsInHashLiteral"),
                });
            }
            self.skip_lines()?;
            let value = self.statement()?;
            if matches!(value.kind, StatementKind::Function { .. }) {
                return Err(self.unexpected());
            }
            pairs.push((key, value));
        }
    }
}

fn same_key(one: &Expression, other: &Expression) -> bool {
    match (&one.kind, &other.kind) {
        (
            ExpressionKind::Constant(Value::Str(one)),
            ExpressionKind::Constant(Value::Str(other)),
        ) => one.to_lowercase() == other.to_lowercase(),
        _ => false,
    }
}
