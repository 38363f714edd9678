//! The place in the text, and what is skipped between words.

use std::ops::Deref;
use std::sync::Arc;

use crate::sim::powershell::ast::{Source, Span};
use crate::sim::powershell::chars::{is_blank, is_newline};
use crate::sim::powershell::error::Position;
use crate::sim::powershell::machine::Edition;

/// Blocks, groups and operators inside one another; beyond it, PowerShell too gives up.
const MAX_DEPTH: usize = 60;

/// Why a text is no script. Small to hand on: what it says is in a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct SyntaxError(Box<Syntax>);

/// What a syntax error says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Syntax {
    pub(in crate::sim) message: String,
    /// PowerShell's identifier, such as `UnexpectedToken`.
    pub(in crate::sim) id: &'static str,
    pub(in crate::sim) position: Position,
    /// Whether more text could make it a script, as a shell that reads line by line asks.
    pub(in crate::sim) incomplete: bool,
}

impl Deref for SyntaxError {
    type Target = Syntax;

    fn deref(&self) -> &Syntax {
        &self.0
    }
}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// The parser's state.
pub(super) struct Parser {
    pub(super) source: Source,
    pub(super) place: usize,
    pub(super) edition: Edition,
    /// Whether the script block being parsed names `$input`.
    pub(super) names_input: bool,
    /// Whether a comma ends the expression, as between arguments of a method.
    no_list: bool,
    depth: usize,
}

impl Parser {
    pub(super) fn new(text: &str, edition: Edition) -> Self {
        let characters: Vec<char> = text.chars().filter(|c| *c != '\0').collect();
        Self {
            source: Source(Arc::from(characters)),
            place: 0,
            edition,
            names_input: false,
            no_list: false,
            depth: 0,
        }
    }

    pub(super) const fn no_list(&self) -> bool {
        self.no_list
    }

    /// Sets whether a comma ends an expression and returns what it was.
    pub(super) const fn set_no_list(&mut self, on: bool) -> bool {
        std::mem::replace(&mut self.no_list, on)
    }

    /// Returns the character so many places on.
    pub(super) fn peek_at(&self, ahead: usize) -> Option<char> {
        self.source.0.get(self.place + ahead).copied()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.place += 1;
        Some(c)
    }

    /// Takes a character if it is that one.
    pub(super) fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.place += 1;
        }
        found
    }

    /// Whether a text stands here, whatever its case.
    pub(super) fn sees(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(ahead, wanted)| {
            self.peek_at(ahead)
                .is_some_and(|c| c.eq_ignore_ascii_case(&wanted))
        })
    }

    /// Takes a text if it stands here.
    pub(super) fn take_text(&mut self, text: &str) -> bool {
        let found = self.sees(text);
        if found {
            self.place += text.chars().count();
        }
        found
    }

    pub(super) const fn span(&self, start: usize) -> Span {
        Span {
            start,
            end: self.place,
        }
    }

    /// Skips blanks, comments and continued lines.
    pub(super) fn skip_blanks(&mut self) -> Parsed<()> {
        loop {
            match self.peek() {
                Some(c) if is_blank(c) => self.place += 1,
                Some('`') if self.peek_at(1).is_some_and(is_newline) => {
                    self.place += 1;
                    self.take_newline();
                }
                Some('#') => self.skip_line(),
                Some('<') if self.peek_at(1) == Some('#') => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// Skips blanks, comments and ends of lines.
    pub(super) fn skip_lines(&mut self) -> Parsed<()> {
        loop {
            self.skip_blanks()?;
            if !self.peek().is_some_and(is_newline) {
                return Ok(());
            }
            self.place += 1;
        }
    }

    /// Skips blanks, comments, ends of lines and of statements.
    pub(super) fn skip_separators(&mut self) -> Parsed<()> {
        loop {
            self.skip_lines()?;
            if !self.take(';') {
                return Ok(());
            }
        }
    }

    /// Takes the end of a line.
    pub(super) fn take_newline(&mut self) {
        self.take('\r');
        self.take('\n');
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|c| !is_newline(c)) {
            self.place += 1;
        }
    }

    fn skip_comment(&mut self) -> Parsed<()> {
        let start = self.place;
        self.place += 2;
        loop {
            match self.next() {
                None => {
                    let message = "The terminator '#>' is missing from the multiline comment.";
                    return Err(self.unfinished(
                        start,
                        message,
                        "MissingTerminatorMultiLineComment",
                    ));
                }
                Some('#') if self.take('>') => return Ok(()),
                Some(_) => {}
            }
        }
    }

    /// Goes one level deeper for as long as `inner` runs.
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let message = "The script is nested too deeply to be parsed.";
            return Err(self.error_at(self.place, message, "ScriptTooComplicated"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Makes an error about a place.
    pub(super) fn error_at(
        &self,
        start: usize,
        message: impl Into<String>,
        id: &'static str,
    ) -> SyntaxError {
        SyntaxError(Box::new(Syntax {
            message: message.into(),
            id,
            position: position(
                &self.source,
                Span {
                    start,
                    end: start + 1,
                },
            ),
            incomplete: false,
        }))
    }

    /// Makes an error about something that begins at a place and does not end.
    pub(super) fn unfinished(
        &self,
        start: usize,
        message: impl Into<String>,
        id: &'static str,
    ) -> SyntaxError {
        let mut error = self.error_at(start, message, id);
        error.0.incomplete = true;
        error
    }

    /// Makes the error about what stands here though it may not.
    pub(super) fn unexpected(&self) -> SyntaxError {
        if self.peek().is_none() {
            let message = "An expression was expected.";
            return self.unfinished(self.place, message, "ExpectedExpression");
        }
        let message = format!(
            "Unexpected token '{}' in expression or statement.",
            self.token_here()
        );
        self.error_at(self.place, message, "UnexpectedToken")
    }

    /// Returns the word that stands here, for messages.
    fn token_here(&self) -> String {
        let mut ahead = 0;
        let mut word = String::new();
        while let Some(c) = self.peek_at(ahead) {
            let ends = is_blank(c) || is_newline(c) || "(){}[];,|&\"'".contains(c);
            if ends && ahead > 0 || ahead > 80 {
                break;
            }
            word.push(c);
            ahead += 1;
            if ends {
                break;
            }
        }
        word
    }
}

/// Says where a stretch of a script is.
pub(in crate::sim::powershell) fn position(source: &Source, span: Span) -> Position {
    let before = source
        .0
        .get(..span.start.min(source.0.len()))
        .unwrap_or_default();
    let line = before.iter().filter(|c| **c == '\n').count() + 1;
    let start = before
        .iter()
        .rposition(|c| *c == '\n')
        .map_or(0, |place| place + 1);
    let text: String = source
        .0
        .get(start..)
        .unwrap_or_default()
        .iter()
        .take_while(|c| !is_newline(**c))
        .collect();
    let column = span.start.min(source.0.len()).saturating_sub(start) + 1;
    let rest = text.chars().count().saturating_sub(column - 1).max(1);
    Position {
        line,
        column,
        text,
        span: span.end.saturating_sub(span.start).clamp(1, rest),
    }
}
