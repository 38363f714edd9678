//! Strings: literal, expandable, and the same as here-strings. Five characters open and close a
//! literal string and four an expandable one, in any pairing; two in a row are one of them.

use std::sync::Arc;

use super::cursor::{Parsed, Parser};
use crate::sim::powershell::ast::{Expression, ExpressionKind, Part};
use crate::sim::powershell::chars::{is_blank, is_double_quote, is_newline, is_single_quote};
use crate::sim::powershell::machine::Edition;
use crate::sim::powershell::value::Value;

impl Parser {
    /// Parses a literal string.
    pub(super) fn single_quoted(&mut self) -> Parsed<String> {
        let start = self.place;
        self.place += 1;
        let mut text = String::new();
        loop {
            match self.next() {
                Some(c) if is_single_quote(c) => {
                    if !self.peek().is_some_and(is_single_quote) {
                        return Ok(text);
                    }
                    // The tokenizer keeps the second of the two.
                    text.extend(self.next());
                }
                Some(c) => text.push(c),
                None => {
                    let message = "The string is missing the terminator: '.";
                    return Err(self.unfinished(start, message, "TerminatorExpectedAtEndOfString"));
                }
            }
        }
    }

    /// Parses an expandable string.
    pub(super) fn double_quoted(&mut self) -> Parsed<Vec<Part>> {
        let start = self.place;
        self.place += 1;
        let mut pieces = Pieces::default();
        loop {
            match self.peek() {
                Some(c) if is_double_quote(c) => {
                    self.place += 1;
                    if !self.peek().is_some_and(is_double_quote) {
                        return Ok(pieces.done());
                    }
                    pieces.text.extend(self.next());
                }
                Some(_) => self.expandable_piece(&mut pieces)?,
                None => {
                    let message = "The string is missing the terminator: \".";
                    return Err(self.unfinished(start, message, "TerminatorExpectedAtEndOfString"));
                }
            }
        }
    }

    fn expandable_piece(&mut self, pieces: &mut Pieces) -> Parsed<()> {
        match self.peek() {
            Some('`') => {
                self.place += 1;
                match self.next() {
                    Some(c) => pieces.text.push(self.escaped(c)),
                    None => pieces.text.push('`'),
                }
            }
            Some('$') if self.starts_value() => {
                let before = self.place;
                if self.peek_at(1) == Some(':') {
                    self.place += 1;
                    pieces.text.push('$');
                    return Ok(());
                }
                let value = self.deeper(Self::dollar)?;
                if let ExpressionKind::Variable(variable) = &value.kind
                    && variable.scope.is_none()
                    && self.peek() == Some(':')
                    && self.peek_at(1) != Some(':')
                    && self.source.0.get(before + 1) != Some(&'{')
                {
                    let message = "Variable reference is not valid. ':' was not followed by a \
                                   valid variable name character. Consider using ${} to delimit \
                                   the name.";
                    return Err(self.error_at(
                        before,
                        message,
                        "InvalidVariableReferenceWithDrive",
                    ));
                }
                pieces.push(value);
            }
            _ => pieces.text.extend(self.next()),
        }
        Ok(())
    }

    /// Returns what a character behind a backtick means.
    pub(super) const fn escaped(&self, c: char) -> char {
        match c {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'e' if matches!(self.edition, Edition::Core) => '\u{1b}',
            c => c,
        }
    }

    /// Parses `@'` or `@"` and the lines up to the closing one.
    pub(super) fn here_string(&mut self) -> Parsed<Expression> {
        let start = self.place;
        self.place += 1;
        let literal = self.next().is_some_and(is_single_quote);
        while self.peek().is_some_and(is_blank) {
            self.place += 1;
        }
        if !self.peek().is_some_and(is_newline) {
            let message = "No characters are allowed after a here-string header but before the \
                           end of the line.";
            return Err(self.error_at(start, message, "UnexpectedCharactersAfterHereStringHeader"));
        }
        self.take_newline();
        let mut pieces = Pieces::default();
        if self.ends_here_string(literal) {
            self.place += 2;
        } else {
            loop {
                if self.peek().is_none() {
                    let message = format!(
                        "The string is missing the terminator: {}@.",
                        if literal { '\'' } else { '"' }
                    );
                    return Err(self.unfinished(start, message, "TerminatorExpectedAtEndOfString"));
                }
                if self.ends_line_before_terminator(literal) {
                    self.take_newline();
                    self.place += 2;
                    break;
                }
                if literal {
                    pieces.text.extend(self.next());
                } else {
                    self.expandable_piece(&mut pieces)?;
                }
            }
        }
        let kind = if literal {
            ExpressionKind::Constant(Value::from(pieces.text))
        } else {
            ExpressionKind::Expandable(pieces.done())
        };
        Ok(Expression {
            at: self.span(start),
            kind,
        })
    }

    fn ends_here_string(&self, literal: bool) -> bool {
        self.closes_at(0, literal)
    }

    fn closes_at(&self, ahead: usize, literal: bool) -> bool {
        let quote = self.peek_at(ahead);
        let closes = if literal {
            quote.is_some_and(is_single_quote)
        } else {
            quote.is_some_and(is_double_quote)
        };
        closes && self.peek_at(ahead + 1) == Some('@')
    }

    fn ends_line_before_terminator(&self, literal: bool) -> bool {
        match (self.peek(), self.peek_at(1)) {
            (Some('\r'), Some('\n')) => self.closes_at(2, literal),
            (Some('\n' | '\r'), _) => self.closes_at(1, literal),
            _ => false,
        }
    }
}

#[derive(Default)]
struct Pieces {
    parts: Vec<Part>,
    text: String,
}

impl Pieces {
    fn push(&mut self, value: Expression) {
        self.flush();
        self.parts.push(Part::Value(value));
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.parts
                .push(Part::Text(Arc::from(std::mem::take(&mut self.text))));
        }
    }

    fn done(mut self) -> Vec<Part> {
        self.flush();
        self.parts
    }
}
