//! What can go wrong with a profile, and what to do about each.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::name::ProfileName;
use crate::database::{Closed, Unsound};
use crate::domain::credential::CredentialName;
use crate::domain::error_kind::{Classify, ErrorKind, Hint};
use crate::domain::host::{HostId, HostName};
use crate::private_file::PrivateFileError;

/// Why a profile could not be read or written.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// There is no such profile.
    #[error("there is no profile `{name}` in {}", root.display())]
    NotFound {
        /// Its name.
        name: ProfileName,
        /// Where it was looked for.
        root: PathBuf,
    },
    /// There is one already.
    #[error("there is a profile `{name}` already")]
    Exists {
        /// Its name.
        name: ProfileName,
    },
    /// A file or directory of it is missing, wrong or open to others.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A newer program has written it.
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
    /// It is damaged, or no profile at all.
    #[error("{} is no sound profile database: {found}", file.display())]
    Broken {
        /// The database.
        file: PathBuf,
        /// What was found.
        found: String,
        /// The newest backup beside it.
        backup: Option<PathBuf>,
    },
    /// The directory is on a network filesystem, where SQLite's locks cannot be trusted.
    #[error("{} is on a network filesystem ({filesystem})", dir.display())]
    NetworkFilesystem {
        /// The directory.
        dir: PathBuf,
        /// Which.
        filesystem: &'static str,
    },
    /// Another process has held the database for longer than the busy timeout.
    #[error("another process is holding the profile's database")]
    Busy,
    /// The database said no.
    #[error("the profile's database failed while it was {doing}")]
    Database {
        /// What was being done: `reading hosts`.
        doing: &'static str,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
    /// A value in the database is not what it should be.
    #[error("the profile's database holds something unreadable: {what}")]
    Unreadable {
        /// What and where.
        what: String,
    },
    /// Two hosts cannot have one name.
    #[error("there is a host `{name}` already")]
    DuplicateHost {
        /// The name.
        name: HostName,
    },
    /// There is no such host.
    #[error("there is no host with id {id} in the profile")]
    UnknownHost {
        /// Its id.
        id: HostId,
    },
    /// Two credentials cannot have one name.
    #[error("there is a credential `{name}` already")]
    DuplicateCredential {
        /// The name.
        name: CredentialName,
    },
    /// There is no such credential.
    #[error("there is no credential `{name}` in the profile")]
    UnknownCredential {
        /// Its name, or its id in words.
        name: String,
    },
    /// A credential that hosts use is not removed.
    #[error("credential `{name}` is used by {}", hosts.join(", "))]
    CredentialInUse {
        /// Its name.
        name: CredentialName,
        /// The hosts.
        hosts: Vec<String>,
    },
    /// Another key is pinned under this label.
    #[error("another host key is pinned for {label}")]
    KeyPinned {
        /// `host` or `[host]:port`.
        label: String,
    },
    /// The profile has another identity already.
    #[error("the profile has an identity already; replacing it would lose every sealed credential")]
    IdentityExists,
    /// Something is larger than the profile keeps.
    #[error("{what} takes {size} bytes, more than the {limit} that are kept")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The ceiling in bytes.
        limit: usize,
    },
    /// The database thread has ended: a bug of ours, or the program is stopping.
    #[error("the profile is closed")]
    Closed,
}

impl ProfileError {
    /// Says of a file why it is not taken as a profile's database.
    pub(super) fn of_unsound(file: &Path, unsound: Unsound) -> Self {
        match unsound {
            Unsound::Newer { found, known } => Self::Newer {
                file: file.to_owned(),
                found,
                known,
            },
            Unsound::Broken(what) => Self::broken(file, what),
            Unsound::Sqlite { doing, source } => Self::of_file(file, doing, source),
        }
    }

    /// Turns what SQLite says into one of ours.
    pub(super) fn of(doing: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Busy
            }
            _ => Self::Database { doing, source },
        }
    }

    /// The same while the file is being opened, when damage is the likely cause.
    pub(super) fn of_file(file: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::broken(file, source.to_string())
            }
            _ => Self::of(doing, source),
        }
    }

    /// Names the damaged file and the newest backup beside it.
    pub(super) fn broken(file: &Path, found: String) -> Self {
        Self::Broken {
            file: file.to_owned(),
            found,
            backup: super::migration::newest_backup(file),
        }
    }
}

impl From<Closed> for ProfileError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl Classify for ProfileError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::UnknownHost { .. } | Self::UnknownCredential { .. } => {
                ErrorKind::NotFound
            }
            Self::Exists { .. }
            | Self::DuplicateHost { .. }
            | Self::DuplicateCredential { .. }
            | Self::CredentialInUse { .. }
            | Self::IdentityExists => ErrorKind::Conflict,
            Self::KeyPinned { .. } => ErrorKind::HostKey,
            Self::File(error) => error.kind(),
            Self::NetworkFilesystem { .. } => ErrorKind::Config,
            Self::Busy => ErrorKind::Busy,
            Self::Newer { .. }
            | Self::Broken { .. }
            | Self::Database { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. } => ErrorKind::Store,
            Self::Closed => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::NotFound { name, .. } => format!("run `vmdeck profile create {name}`"),
            Self::Exists { name } => {
                format!("choose another name, or use it with `--profile {name}`")
            }
            Self::File(error) => return error.hint(),
            Self::Newer { .. } => "use the newer vmdeck, or another profile".to_owned(),
            Self::Broken { file, backup, .. } => broken_hint(file, backup.as_deref()),
            Self::NetworkFilesystem { .. } => {
                "keep profiles on a local disk: set VMDECK_HOME to a directory there".to_owned()
            }
            Self::Busy => "wait for the other vmdeck to finish, then try again".to_owned(),
            Self::Database { source, .. } => return database_hint(source),
            Self::DuplicateHost { name } => {
                format!("choose another name, or change it with `vmdeck host edit {name}`")
            }
            Self::UnknownHost { .. } => "`vmdeck host list` shows the hosts".to_owned(),
            Self::DuplicateCredential { name } => {
                format!("choose another name, or remove it with `vmdeck credential rm {name}`")
            }
            Self::UnknownCredential { .. } => {
                "`vmdeck credential list` shows the credentials".to_owned()
            }
            Self::CredentialInUse { .. } => {
                "give these hosts another login with `vmdeck host edit` first".to_owned()
            }
            Self::IdentityExists => {
                "use its passphrase; `vmdeck profile passwd` changes it".to_owned()
            }
            Self::KeyPinned { .. } => {
                "compare the fingerprint with the host's, then run `vmdeck host trust`".to_owned()
            }
            Self::Unreadable { .. } | Self::TooLarge { .. } | Self::Closed => return None,
        };
        Some(Hint::new(text))
    }
}

fn broken_hint(file: &Path, backup: Option<&Path>) -> String {
    let file = file.display();
    match backup {
        Some(backup) => format!(
            "move {file} away and copy {} in its place",
            backup.display()
        ),
        None => {
            format!("restore {file} from your own backup, or move it away and create a profile")
        }
    }
}

fn database_hint(source: &rusqlite::Error) -> Option<Hint> {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Some(Hint::new("free some space on that disk")),
        Some(rusqlite::ErrorCode::ReadOnly) => {
            Some(Hint::new("make the profile's directory writable again"))
        }
        _ => None,
    }
}
