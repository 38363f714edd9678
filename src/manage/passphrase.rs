//! Where passphrases come from: a file descriptor, a file only we can read, or a person. Never the
//! command line and never the environment.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::desk::refuse;
use crate::domain::credential::WrappedIdentity;
use crate::domain::error_kind::{Classify, ErrorKind};
use crate::domain::secret::SecretText;
use crate::private_file;
use crate::profile::Profile;
use crate::report::Complaint;
use crate::vault::Vault;

/// Bytes of a passphrase that are read.
const MAX_BYTES: u64 = 4096;

/// How often a person may try.
const ATTEMPTS: usize = 3;

/// Where a passphrase comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An open file descriptor.
    Descriptor(i32),
    /// A file of mode 0600.
    File(PathBuf),
    /// A person at the terminal.
    Person,
    /// Nowhere.
    Nowhere,
}

impl Source {
    /// Reads it; `None` when there is nowhere to read it from.
    pub fn read(&self, prompt: &str) -> Result<Option<SecretText>, Complaint> {
        match self {
            Self::Descriptor(number) => from_descriptor(*number).map(Some),
            Self::File(path) => {
                let bytes = private_file::read_secret(path, MAX_BYTES);
                let bytes = bytes.map_err(|error| Complaint::of(&error))?;
                text(&bytes).map(Some)
            }
            Self::Person => ask(prompt).map(Some),
            Self::Nowhere => Ok(None),
        }
    }

    /// Reads a new one; a person types it twice.
    pub fn read_new(&self, what: &str) -> Result<SecretText, Complaint> {
        if *self == Self::Person {
            let first = ask(&format!("New passphrase for {what}: "))?;
            let again = ask("The same again: ")?;
            if first.expose() != again.expose() {
                return Err(refuse(
                    ErrorKind::Usage,
                    "the two passphrases differ; nothing was changed",
                    "try again",
                ));
            }
            return Ok(first);
        }
        self.read("")?.ok_or_else(|| {
            refuse(
                ErrorKind::Locked,
                format!("{what} needs a passphrase, and there is nobody to ask"),
                "run it in a terminal, or give --passphrase-fd N or VMDECK_PASSPHRASE_FILE",
            )
        })
    }
}

/// Reads a passphrase from a descriptor that whoever started us has opened.
pub fn from_descriptor(number: i32) -> Result<SecretText, Complaint> {
    let path = PathBuf::from(format!("/dev/fd/{number}"));
    let read = read_bounded(&path).map_err(|error| {
        refuse(
            ErrorKind::Usage,
            format!("could not read a passphrase from descriptor {number}: {error}"),
            "open it for us, like `vmdeck --passphrase-fd 3 ... 3< file`",
        )
    })?;
    text(&read)
}

fn read_bounded(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Takes the first line; the line end is not part of a passphrase.
pub(super) fn text(bytes: &[u8]) -> Result<SecretText, Complaint> {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) => Ok(SecretText::new(text.to_owned())),
        Err(_) => Err(refuse(
            ErrorKind::Usage,
            "the passphrase is not UTF-8 text",
            "write it as UTF-8",
        )),
    }
}

/// Asks a person, unseen.
pub(super) fn ask(prompt: &str) -> Result<SecretText, Complaint> {
    rpassword::prompt_password(prompt)
        .map(SecretText::new)
        .map_err(|error| {
            refuse(
                ErrorKind::Locked,
                format!("could not ask for a passphrase: {error}"),
                "run it in a terminal, or give --passphrase-fd N or VMDECK_PASSPHRASE_FILE",
            )
        })
}

/// Unlocks a profile's vault; a person has three attempts. Returns false where there is nowhere to read
/// a passphrase from, or nothing to unlock.
pub async fn unlock(profile: &Profile, vault: &Vault, source: &Source) -> Result<bool, Complaint> {
    let stored = profile.identity().await;
    let Some(identity) = stored.map_err(|error| Complaint::of(&error))? else {
        return Ok(false);
    };
    let mut left = if *source == Source::Person {
        ATTEMPTS
    } else {
        1
    };
    loop {
        let Some(passphrase) =
            source.read(&format!("Passphrase of profile {}: ", profile.name()))?
        else {
            return Ok(false);
        };
        left -= 1;
        match vault.unlock(&identity, &passphrase).await {
            Ok(()) => return Ok(true),
            Err(error) if left == 0 || error.kind() != ErrorKind::Locked => {
                return Err(Complaint::of(&error));
            }
            Err(_) => {}
        }
    }
}

/// Returns the identity to seal to; the first time, its passphrase is set.
pub(super) async fn identity(
    profile: &Profile,
    vault: &Vault,
    source: &Source,
) -> Result<WrappedIdentity, Complaint> {
    let stored = profile.identity().await;
    if let Some(identity) = stored.map_err(|error| Complaint::of(&error))? {
        return Ok(identity);
    }
    let passphrase = source.read_new(&format!("profile {}", profile.name()))?;
    let made = vault.create_identity(&passphrase).await;
    let made = made.map_err(|error| Complaint::of(&error))?;
    let kept = profile.set_identity(made.clone()).await;
    kept.map_err(|error| Complaint::of(&error))?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_one_line() {
        assert_eq!(
            text(b"correct horse\nmore").unwrap().expose(),
            "correct horse"
        );
        assert_eq!(text(b" a \r\n").unwrap().expose(), " a ");
        assert_eq!(text(b"x").unwrap().expose(), "x");
        assert!(text(b"\xff").is_err());
    }

    #[test]
    fn nobody_to_ask_is_said() {
        let complaint = Source::Nowhere.read_new("profile x").unwrap_err();
        assert_eq!(complaint.failure.kind, ErrorKind::Locked);
        assert!(complaint.failure.hint.is_some());
    }
}
