//! What can be wrong with the configuration: what, where, what was probably meant, what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::domain::error_kind::{Classify, ErrorKind, Hint};

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// In the environment.
    Variable(String),
    /// On the command line.
    Argument(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Argument(name) => write!(f, "argument {name}"),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error("could not read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// The ceiling in bytes.
        limit: u64,
    },
    /// The file is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser said.
        message: String,
    },
    /// A key or section that does not exist.
    #[error("{place}: there is no {what} `{name}`")]
    Unknown {
        /// Where.
        place: Place,
        /// `section`, `key`, `action`, `door`.
        what: &'static str,
        /// What was written.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// A value of the wrong sort or out of range.
    #[error("{place}: `{key}` cannot be {found}")]
    Value {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// What was written, or its sort.
        found: String,
        /// What it takes.
        expected: String,
    },
    /// Nothing says where the home directory is.
    #[error("there is no home directory")]
    NoHome,
}

impl Classify for ConfigError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Config
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Read { path, .. } => format!(
                "check that {} exists and is readable, or leave out `--config`",
                path.display()
            ),
            Self::TooLarge { path, .. } => {
                format!("{} cannot be what was meant", path.display())
            }
            Self::Syntax { .. } => {
                "mend the line; `vmdeck config check` looks at the file again".to_owned()
            }
            Self::Unknown {
                nearest: Some(nearest),
                ..
            } => format!("did you mean `{nearest}`?"),
            Self::Unknown { .. } => {
                "docs/configuration.md and `vmdeck config show` list every key".to_owned()
            }
            Self::Value { expected, .. } => expected.clone(),
            Self::NoHome => "set HOME, or VMDECK_HOME to a directory for everything".to_owned(),
        };
        Some(Hint::new(text))
    }
}
