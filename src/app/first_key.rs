//! The file that the first administrator's key is put into (`--first-key-file`), so that it stands in no
//! journal. It must be nobody else's from its first moment, and be there before there is a key to lose.

use std::fs::File;
use std::io::{ErrorKind as ErrorKindIo, Write};
use std::path::{Path, PathBuf};

use crate::accounts::{Accounts, IssuedKey};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::private_file;
use crate::report::Complaint;

/// A file that waits for the key.
#[derive(Debug)]
pub(super) struct FirstKeyFile {
    path: PathBuf,
    file: File,
}

impl FirstKeyFile {
    /// Makes the file where the next start is the first; `None` where there is an administrator already. A
    /// file that is there is never written over.
    pub(super) async fn prepare(
        accounts: &Accounts,
        path: &Path,
    ) -> Result<Option<Self>, Complaint> {
        let users = accounts.users().await;
        let users = users.map_err(|error| Complaint::of(&error))?;
        if users.iter().any(|user| user.admin) {
            return Ok(None);
        }
        let file = private_file::create_new(path).map_err(|error| {
            let mut failure = Failure::of(&error);
            if error.io_kind() == Some(ErrorKindIo::AlreadyExists) {
                failure.kind = ErrorKind::Config;
                failure = failure.with_hint(
                    "it is never written over: move it away, or name another one in `--first-key-file`",
                );
            }
            Complaint::from(failure)
        })?;
        let path = path.to_owned();
        Ok(Some(Self { path, file }))
    }

    /// Writes the key; where none was made, the file goes again.
    pub(super) fn keep(mut self, key: Option<&IssuedKey>) -> Result<(), Complaint> {
        let Some(key) = key else {
            drop(std::fs::remove_file(&self.path));
            return Ok(());
        };
        let written = writeln!(self.file, "{}", key.token.expose());
        let written = written.and_then(|()| self.file.sync_all());
        written.map_err(|error| {
            let path = self.path.display();
            let why = format!("could not write the first administrator's key to {path}: {error}");
            Failure::new(ErrorKind::Internal, why)
                .with_hint("remove the file; `vmdeck user rotate admin` makes another key")
                .into()
        })
    }
}
