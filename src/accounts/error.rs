//! What can go wrong with the server's accounts, and what to do about each.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::database::{Closed, Unsound};
use crate::domain::error_kind::{Classify, ErrorKind, Hint};
use crate::private_file::PrivateFileError;

/// Why the accounts could not be read or written.
#[derive(Debug, Error)]
pub enum AccountsError {
    /// A file or directory is missing, wrong or open to others.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A newer program has written the database.
    #[error(
        "{} is of version {found}, this program knows versions up to {known}; nothing was changed",
        file.display()
    )]
    Newer {
        /// The database.
        file: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version known.
        known: i64,
    },
    /// It is damaged, or no such database at all.
    #[error("{} is no sound database of accounts: {found}", file.display())]
    Broken {
        /// The database.
        file: PathBuf,
        /// What was found.
        found: String,
    },
    /// Another process has held the database for longer than the busy timeout.
    #[error("another process is holding the database of accounts")]
    Busy,
    /// The database said no.
    #[error("the database of accounts failed while it was {doing}")]
    Database {
        /// What was being done: `reading users`.
        doing: &'static str,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
    /// A value in the database is not what it should be.
    #[error("the database of accounts holds something unreadable: {what}")]
    Unreadable {
        /// What and where.
        what: String,
    },
    /// A user's name or email breaks a rule.
    #[error("{0}")]
    Unfit(&'static str),
    /// Two users cannot have one email address.
    #[error("there is a user with that email address already")]
    EmailTaken,
    /// There is no such user.
    #[error("there is no user `{name}`")]
    UnknownUser {
        /// The name or id that was looked for.
        name: String,
    },
    /// Several users have that name.
    #[error("{} users are called `{name}`", ids.len())]
    AmbiguousUser {
        /// The name.
        name: String,
        /// Their ids.
        ids: Vec<i64>,
    },
    /// There is no such key, or it is revoked already.
    #[error("there is no live key `{id}`")]
    UnknownKey {
        /// Its id.
        id: String,
    },
    /// The profile was not granted.
    #[error("profile `{profile}` is not granted to the server")]
    NotGranted {
        /// Its name.
        profile: String,
    },
    /// The server has an identity already.
    #[error("the server has an identity already; replacing it would lose every granted profile")]
    IdentityExists,
    /// The key of the digests was replaced, and the one before it is still there.
    #[error("the key of the digests was replaced already, and the former one is still in use")]
    PepperReplaced,
    /// There is no former key of the digests.
    #[error("the key of the digests was not replaced: there is no former one to end")]
    PepperNotReplaced,
    /// The database thread has ended: a bug of ours, or the program is stopping.
    #[error("the accounts are closed")]
    Closed,
}

impl AccountsError {
    /// Says of a file why it is not taken as the database of accounts.
    pub(super) fn of_unsound(file: &Path, unsound: Unsound) -> Self {
        use rusqlite::ErrorCode;
        let broken = |found: String| Self::Broken {
            file: file.to_owned(),
            found,
        };
        match unsound {
            Unsound::Newer { found, known } => Self::Newer {
                file: file.to_owned(),
                found,
                known,
            },
            Unsound::Broken(found) => broken(found),
            Unsound::Sqlite { doing, source } => match source.sqlite_error_code() {
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                    broken(source.to_string())
                }
                _ => Self::of(doing, source),
            },
        }
    }

    /// Turns what SQLite says into one of ours.
    pub(super) fn of(doing: &'static str, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Database { doing, source },
        }
    }
}

impl From<Closed> for AccountsError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl Classify for AccountsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::File(error) => error.kind(),
            Self::Newer { .. } => ErrorKind::Config,
            Self::Broken { .. } | Self::Database { .. } | Self::Unreadable { .. } => {
                ErrorKind::Store
            }
            Self::Busy => ErrorKind::Busy,
            Self::Unfit(_) => ErrorKind::Usage,
            Self::EmailTaken
            | Self::IdentityExists
            | Self::PepperReplaced
            | Self::PepperNotReplaced => ErrorKind::Conflict,
            Self::UnknownUser { .. } | Self::UnknownKey { .. } => ErrorKind::NotFound,
            Self::AmbiguousUser { .. } => ErrorKind::Ambiguous,
            Self::NotGranted { .. } => ErrorKind::Refused,
            Self::Closed => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::File(error) => return error.hint(),
            Self::Newer { .. } => "use the newer program again".to_owned(),
            Self::Broken { file, .. } => format!(
                "restore {} from a backup, or move it away to begin anew",
                file.display()
            ),
            Self::Busy => "try again in a moment".to_owned(),
            Self::UnknownUser { .. } => "`vmdeck user list` names them all".to_owned(),
            Self::AmbiguousUser { ids, .. } => {
                let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
                format!("name one by its id instead: {}", ids.join(", "))
            }
            Self::PepperReplaced => {
                "end it with `vmdeck user rekey --finish`, once the API keys have passed over"
                    .to_owned()
            }
            Self::PepperNotReplaced => "`vmdeck user rekey` replaces it".to_owned(),
            Self::NotGranted { profile } => {
                format!("its owner grants it with `vmdeck profile grant {profile}`")
            }
            _ => return None,
        };
        Some(Hint::new(text))
    }
}
