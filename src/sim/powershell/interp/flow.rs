//! Ways to leave a statement other than by its end.

use std::sync::Arc;

use crate::sim::powershell::error::ErrorRecord;

/// Why evaluation does not go on.
#[derive(Debug)]
pub(in crate::sim::powershell) enum Flow {
    /// An error, and whether it ends the whole script (`throw`, `Stop`) or the statement.
    Error(Box<ErrorRecord>, bool),
    Break(Option<Arc<str>>),
    Continue(Option<Arc<str>>),
    Return,
    Exit(i32),
    /// A command that wants no more input ends what feeds it, by the pipeline's number.
    StopPipeline(usize),
    /// The process is ended from outside.
    Ended,
}

/// The result of evaluating something.
pub(in crate::sim::powershell) type Run<T> = Result<T, Flow>;

impl From<ErrorRecord> for Flow {
    fn from(record: ErrorRecord) -> Self {
        Self::Error(Box::new(record), false)
    }
}

/// Makes a failure of an error record.
pub(in crate::sim::powershell) fn failed<T>(record: ErrorRecord) -> Run<T> {
    Err(record.into())
}
