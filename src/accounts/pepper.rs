//! The key of the digests, in a file of its own beside them: made once, replaced when somebody wants it.
//!
//! Only digests of API keys are kept, so a new key of the digests cannot be put under them at once. For a
//! while there are two: whoever comes with an API key whose digest was made with the former one is let in, and
//! the digest is made anew with the current one. What has not come by then ends when the former one is removed.

use std::fs;
use std::path::Path;

use super::error::AccountsError;
use super::token::Pepper;
use crate::private_file;

/// The current one.
const CURRENT: &str = "pepper";

/// The one before it, until it is removed.
const FORMER: &str = "pepper.former";

/// Ceiling of such a file in bytes; more is none of ours.
const MAX_BYTES: u64 = 64;

/// The keys of the digests in use.
#[derive(Debug)]
pub(super) struct Peppers {
    pub(super) current: Pepper,
    former: Option<Pepper>,
}

/// What may be kept of an API key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digests {
    pub(super) current: [u8; 32],
    pub(super) former: Option<[u8; 32]>,
}

impl Peppers {
    /// Reads them.
    pub(super) fn read(dir: &Path) -> Result<Self, AccountsError> {
        let current = read(&dir.join(CURRENT))?;
        let former = dir.join(FORMER);
        let former = former.exists().then(|| read(&former)).transpose()?;
        // Both are the same where replacing was cut off in the middle.
        let former = former.filter(|former| former.name() != current.name());
        Ok(Self { current, former })
    }

    /// Makes the first one, in a directory that has no accounts yet.
    pub(super) fn make(dir: &Path) -> Result<(), AccountsError> {
        write(dir, CURRENT, &rand::random::<[u8; Pepper::LENGTH]>())
    }

    /// Says whether one exists.
    pub(super) fn exist(dir: &Path) -> bool {
        dir.join(CURRENT).exists()
    }

    /// Puts a new one in the place of the current one, which becomes the former one. Killed at any moment, no
    /// API key is lost.
    pub(super) fn replace(dir: &Path) -> Result<Self, AccountsError> {
        let now = Self::read(dir)?;
        if now.former.is_some() {
            return Err(AccountsError::PepperReplaced);
        }
        write(dir, FORMER, now.current.bytes())?;
        Self::make(dir)?;
        Self::read(dir)
    }

    /// Removes the former one.
    pub(super) fn retire(dir: &Path) -> Result<(), AccountsError> {
        let path = dir.join(FORMER);
        fs::remove_file(&path).map_err(|source| private_file::PrivateFileError::Io {
            doing: "remove",
            path,
            source,
        })?;
        Ok(private_file::sync_dir(dir)?)
    }

    /// Says whether there is one that is to be removed.
    pub(super) const fn is_changing(&self) -> bool {
        self.former.is_some()
    }

    /// Returns what may be kept of an API key.
    pub(super) fn digests(&self, token: &str) -> Digests {
        Digests {
            current: self.current.digest(token),
            former: self.former.as_ref().map(|former| former.digest(token)),
        }
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), AccountsError> {
    private_file::write_atomic(&dir.join(name), bytes)?;
    Ok(private_file::sync_dir(dir)?)
}

fn read(path: &Path) -> Result<Pepper, AccountsError> {
    let bytes = private_file::read_secret(path, MAX_BYTES)?;
    Pepper::new(&bytes).ok_or_else(|| AccountsError::Broken {
        file: path.to_owned(),
        found: format!("it has {} bytes instead of {}", bytes.len(), Pepper::LENGTH),
    })
}
