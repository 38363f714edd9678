//! Why a program of the operator's own was not run, or not to its end.

use std::time::Duration;

use thiserror::Error;

use crate::domain::error_kind::{Classify, ErrorKind, Hint};

/// Why a program was not run, or not to its end.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// There is nothing to run.
    #[error("no program is named")]
    Empty,
    /// The program itself would depend on a value.
    #[error("`{0}`: the program is named as it is, placeholders are for its arguments")]
    NotFixed(String),
    /// A placeholder nobody knows.
    #[error("`{{{name}}}` is no placeholder here ({known})")]
    Unknown {
        /// As written.
        name: String,
        /// Those that there are, in words.
        known: String,
    },
    /// A brace without its partner.
    #[error("`{0}` has a brace without its partner; `{{{{` and `}}}}` stand for braces")]
    Brace(String),
    /// A value that is not there.
    #[error("`{{{0}}}` is not known now")]
    NoValue(String),
    /// A value that must not stand in an argument.
    #[error("the value of `{{{name}}}` {why}")]
    Unfit {
        /// Of which placeholder.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// It could not be started.
    #[error("could not start {program}: {source}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It did not end in time, and was ended.
    #[error("{program} did not end within {} and was ended", crate::domain::units::Age(*after))]
    Late {
        /// Which.
        program: String,
        /// Its time.
        after: Duration,
    },
    /// It ended with a failure.
    #[error("{program} ended with {status}: {said}")]
    Failed {
        /// Which.
        program: String,
        /// How.
        status: String,
        /// Its last line.
        said: String,
        /// What it wrote before.
        lines: Vec<crate::domain::text::RemoteText>,
    },
}

impl Classify for ProgramError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Empty | Self::NotFixed(_) | Self::Unknown { .. } | Self::Brace(_) => {
                ErrorKind::Config
            }
            Self::NoValue(_) | Self::Unfit { .. } => ErrorKind::Refused,
            Self::Start { .. } | Self::Failed { .. } => ErrorKind::Internal,
            Self::Late { .. } => ErrorKind::Timeout,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Start { .. } | Self::Late { .. } => Some(Hint::new(
                "try the program by hand, with the same arguments",
            )),
            Self::Unfit { .. } => Some(Hint::new("use the id instead of the name")),
            _ => None,
        }
    }
}
