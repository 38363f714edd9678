//! What can go wrong with the audit log. Whatever it is, the action it was to record is refused.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::domain::error_kind::{Classify, ErrorKind, Failure, Hint};
use crate::private_file::PrivateFileError;

/// Why a record could not be written or the log not be read.
#[derive(Debug, Error)]
pub enum AuditError {
    /// A file or directory of it is missing, wrong or open to others.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The system said no.
    #[error("the audit log {} cannot be {}", path.display(), passive(.doing))]
    Io {
        /// What was tried: `write`, `sync`, `read`.
        doing: &'static str,
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has held the log for too long.
    #[error("another process is holding the audit log")]
    Held,
    /// A record could not be made durable; it is not in the log.
    #[error("{cause}")]
    NotWritten {
        /// Why.
        cause: Failure,
    },
    /// A record cannot be turned into a line: a bug of ours.
    #[error("the audit record cannot be written down: {0}")]
    Record(String),
    /// The writer thread has ended: the program is stopping.
    #[error("the audit log is closed")]
    Closed,
}

impl AuditError {
    /// Returns the refusal of what was to be recorded.
    pub fn refusal(&self, what: &str) -> Failure {
        Failure::of(self).refusing_unrecorded(what)
    }
}

/// Says what was tried so that it reads on after "could not ...: ".
fn passive(doing: &str) -> &str {
    match doing {
        "write" => "written",
        "sync" => "synced",
        "read" => "read",
        "lock" => "locked",
        "list" => "listed",
        "open" => "opened",
        "create" => "created",
        "cut" | "truncate" => "mended",
        _ => "used",
    }
}

impl Classify for AuditError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::File(error) => error.kind(),
            Self::Io { .. } | Self::NotWritten { .. } => ErrorKind::Store,
            Self::Held => ErrorKind::Busy,
            Self::Record(_) | Self::Closed => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::File(error) => error.hint(),
            Self::Io { source, path, .. } => {
                let dir = path.parent().unwrap_or(path).display();
                let text = match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        format!(
                            "free some space on the disk of {dir}; actions are refused until then"
                        )
                    }
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                        format!("make {dir} writable; actions are refused until then")
                    }
                    _ => format!("check the disk of {dir}; actions are refused until then"),
                };
                Some(Hint::new(text))
            }
            Self::NotWritten { cause } => cause.hint.clone(),
            Self::Held => Some(Hint::new("wait for the other vmdeck, then try again")),
            Self::Record(_) | Self::Closed => None,
        }
    }
}
