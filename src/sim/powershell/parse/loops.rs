//! Loops.

use std::sync::Arc;

use super::cursor::{Parsed, Parser};
use crate::sim::powershell::ast::{Block, Loop, LoopKind, Statement, StatementKind};

impl Parser {
    pub(super) fn looping(&mut self, word: &str, label: Option<Arc<str>>) -> Parsed<StatementKind> {
        let (kind, body) = match word {
            "foreach" => self.each()?,
            "for" => self.counting()?,
            "while" => {
                let condition = self.parenthesised()?;
                (LoopKind::While(condition), self.block()?)
            }
            _ => {
                self.skip_lines()?;
                let body = self.block()?;
                match self.clause(&["while", "until"])?.as_deref() {
                    Some("while") => (LoopKind::DoWhile(self.do_condition()?), body),
                    Some(_) => (LoopKind::DoUntil(self.do_condition()?), body),
                    None => {
                        let message = "Missing while or until keyword in do loop.";
                        let id = "MissingWhileOrUntilInDoWhile";
                        return Err(self.missing(self.place, message, id));
                    }
                }
            }
        };
        Ok(StatementKind::Loop(Box::new(Loop { label, kind, body })))
    }

    fn do_condition(&mut self) -> Parsed<Statement> {
        let start = self.place;
        if !self.take('(') {
            return Err(self.unexpected());
        }
        let condition = self.grouped(|parser| {
            parser.skip_lines()?;
            parser.pipeline()
        })?;
        self.skip_lines()?;
        self.close_paren(start)?;
        Ok(condition)
    }

    fn each(&mut self) -> Parsed<(LoopKind, Block)> {
        self.skip_lines()?;
        let start = self.place;
        if !self.take('(') {
            return Err(self.unexpected());
        }
        self.skip_lines()?;
        let variable = match self.peek() {
            Some('$') => self.variable()?,
            _ => return Err(self.unexpected()),
        };
        self.skip_lines()?;
        if self.word_here() != "in" {
            let message = "Missing 'in' after variable in foreach loop.";
            return Err(self.missing(self.place, message, "MissingInInForeach"));
        }
        self.place += 2;
        let list = self.grouped(|parser| {
            parser.skip_lines()?;
            parser.pipeline()
        })?;
        self.skip_lines()?;
        self.close_paren(start)?;
        self.skip_lines()?;
        Ok((LoopKind::ForEach { variable, list }, self.block()?))
    }

    fn counting(&mut self) -> Parsed<(LoopKind, Block)> {
        self.skip_lines()?;
        let start = self.place;
        if !self.take('(') {
            return Err(self.unexpected());
        }
        let mut parts = [None, None, None];
        for (number, part) in parts.iter_mut().enumerate() {
            self.skip_lines()?;
            if !matches!(self.peek(), Some(';' | ')') | None) {
                *part = Some(self.grouped(Self::pipeline)?);
            }
            self.skip_lines()?;
            if number < 2 && !self.take(';') && self.peek() != Some(')') {
                return Err(self.unexpected());
            }
        }
        self.close_paren(start)?;
        self.skip_lines()?;
        let [first, condition, step] = parts;
        let kind = LoopKind::For {
            first,
            condition,
            step,
        };
        Ok((kind, self.block()?))
    }
}
