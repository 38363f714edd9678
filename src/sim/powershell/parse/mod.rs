//! The parser: text to syntax tree, or PowerShell's error about it. It reads characters directly,
//! because what a character means depends on whether a command's words or an expression stand there.
//! Nesting is bounded; every loop consumes.

mod command;
mod cursor;
mod expression;
mod literal;
mod loops;
mod operator;
mod params;
mod statement;
mod string;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::cursor::Parser;
use super::ast::ScriptBlock;
use super::error::{Category, ErrorRecord};
use super::machine::Edition;

pub(in crate::sim) use self::cursor::SyntaxError;
pub(super) use self::cursor::position;

/// Parses a script.
pub(in crate::sim) fn parse(text: &str, edition: Edition) -> Result<Arc<ScriptBlock>, SyntaxError> {
    let mut parser = Parser::new(text, edition);
    parser.script().map(Arc::new)
}

impl SyntaxError {
    /// Makes the error record that running such a script gives.
    pub(in crate::sim) fn record(&self) -> ErrorRecord {
        let mut record = ErrorRecord::new(
            "System.Management.Automation.ParentContainsErrorRecordException",
            self.message.clone(),
            self.id,
            Category::ParserError,
        )
        .terminating();
        record.position = Some(self.position.clone());
        record
    }
}
