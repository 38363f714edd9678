//! Where a passphrase comes from: a person at the terminal, an open file descriptor, a file that is
//! nobody else's. Never an argument and never the environment itself.

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::domain::error_kind::{Classify, ErrorKind, Hint};
use crate::domain::passphrase::Strength;
use crate::domain::secret::{SecretText, UnfitPassphrase};
use crate::private_file::{self, PrivateFileError};

/// Ceiling of a passphrase in bytes.
const MAX_PASSPHRASE: u64 = 4096;

/// Where to get the passphrase from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassphraseSource {
    /// Ask at the terminal.
    Prompt,
    /// Read it from an open file descriptor (`--passphrase-fd`).
    Fd(i32),
    /// Read it from a file (`VMDECK_PASSPHRASE_FILE`).
    File(PathBuf),
    /// Read it from a credential of the service (`$CREDENTIALS_DIRECTORY`); the service manager has
    /// seen to it that nobody else reads it, and may own it itself.
    Credential(PathBuf),
}

/// Why there is no passphrase.
#[derive(Debug, Error)]
pub enum PassphraseError {
    /// Nobody is there to be asked.
    #[error("there is no terminal to ask for the passphrase")]
    NoTerminal,
    /// The prompt failed.
    #[error("could not ask for the passphrase")]
    Prompt(#[source] io::Error),
    /// The descriptor is not open, or not for reading.
    #[error("could not read the passphrase from file descriptor {fd}")]
    Fd {
        /// Which.
        fd: i32,
        /// What the system said.
        source: io::Error,
    },
    /// The file is missing, or others can read it.
    #[error("there is no passphrase")]
    File(#[from] PrivateFileError),
    /// It is longer than any passphrase.
    #[error("the passphrase is longer than {MAX_PASSPHRASE} bytes")]
    TooLong,
    /// It is not text.
    #[error("the passphrase is not UTF-8 text")]
    NotText,
    /// There is nothing in it.
    #[error("nothing but an empty line was given")]
    Empty,
    /// It may open what it was set for, but not be set anew.
    #[error(transparent)]
    Unfit(#[from] UnfitPassphrase),
    /// It was typed differently the second time.
    #[error("the two passphrases differ")]
    Differ,
}

impl Classify for PassphraseError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoTerminal => ErrorKind::Locked,
            Self::File(error) => error.kind(),
            Self::Prompt(_)
            | Self::Fd { .. }
            | Self::TooLong
            | Self::NotText
            | Self::Empty
            | Self::Unfit(_)
            | Self::Differ => ErrorKind::Usage,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::NoTerminal => {
                "give it with `--passphrase-fd N`, or name a file in VMDECK_PASSPHRASE_FILE"
            }
            Self::Prompt(_) => "run it in a terminal, or use `--passphrase-fd N`",
            Self::Fd { .. } => {
                "open the descriptor for reading, as in `vmdeck --passphrase-fd 3 3<FILE`"
            }
            Self::File(error) => return error.hint(),
            Self::TooLong | Self::NotText => "choose a passphrase of text that fits on a line",
            Self::Empty => "give at least one character",
            Self::Unfit(why) => why.hint(),
            Self::Differ => "type it again",
        };
        Some(Hint::new(text))
    }
}

impl PassphraseSource {
    /// Gets the passphrase. `question` is what a person is shown.
    ///
    /// Blocks until it is there: call it before the screen opens, or on the blocking pool.
    pub fn read(&self, question: &str) -> Result<SecretText, PassphraseError> {
        let bytes = match self {
            Self::Prompt => return ask(question),
            Self::Fd(fd) => read_fd(*fd)?,
            Self::File(path) => private_file::read_secret(path, MAX_PASSPHRASE)?,
            Self::Credential(path) => {
                let opened = std::fs::File::open(path).map_err(|source| PrivateFileError::Io {
                    doing: "open",
                    path: path.clone(),
                    source,
                })?;
                private_file::read_bounded(&opened, path, MAX_PASSPHRASE)?
            }
        };
        to_text(&bytes)
    }

    /// Gets a new passphrase, which has to fit as one: a person types it twice, and
    /// is told in between how strong it is.
    pub fn read_new(&self, question: &str) -> Result<SecretText, PassphraseError> {
        let first = self.read(question)?;
        first.fits_as_new()?;
        if *self == Self::Prompt {
            let again = format!("{}\nAgain: ", Strength::of(first.expose()));
            if ask(&again)?.expose() != first.expose() {
                return Err(PassphraseError::Differ);
            }
        }
        Ok(first)
    }
}

fn ask(question: &str) -> Result<SecretText, PassphraseError> {
    if !io::stdin().is_terminal() {
        return Err(PassphraseError::NoTerminal);
    }
    let typed = rpassword::prompt_password(question).map_err(PassphraseError::Prompt)?;
    if typed.is_empty() {
        return Err(PassphraseError::Empty);
    }
    Ok(SecretText::from(typed))
}

/// Reads an inherited descriptor by its name in the file system: opening it anew needs no unsafe code.
fn read_fd(fd: i32) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
    let failed = |source| PassphraseError::Fd { fd, source };
    if fd < 0 {
        return Err(failed(io::ErrorKind::InvalidInput.into()));
    }
    let by_name = if Path::new("/proc/self/fd").is_dir() {
        format!("/proc/self/fd/{fd}")
    } else {
        format!("/dev/fd/{fd}")
    };
    let file = std::fs::File::open(by_name).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(8192));
    file.take(MAX_PASSPHRASE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_PASSPHRASE {
        return Err(PassphraseError::TooLong);
    }
    Ok(bytes)
}

/// Takes one line feed off the end: editors and `echo` add it, and nobody means it.
fn to_text(bytes: &[u8]) -> Result<SecretText, PassphraseError> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Ok(text) = std::str::from_utf8(line) else {
        return Err(PassphraseError::NotText);
    };
    if text.is_empty() {
        return Err(PassphraseError::Empty);
    }
    Ok(SecretText::from(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file_with(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("passphrase");
        private_file::write_atomic(&path, bytes).unwrap();
        (root, path)
    }

    #[test]
    fn one_line_feed_is_taken_off_and_no_more() {
        for (bytes, text) in [
            (&b"correct horse"[..], "correct horse"),
            (b"correct horse\n", "correct horse"),
            (b"correct horse\r\n", "correct horse"),
            (b" a \n\n", " a \n"),
        ] {
            let (_root, path) = file_with(bytes);
            let read = PassphraseSource::File(path).read("").unwrap();
            assert_eq!(read.expose(), text);
        }
    }

    #[test]
    fn a_new_passphrase_that_does_not_fit_is_refused_and_an_old_one_is_read() {
        let long = "x".repeat(129);
        for (text, limit) in [
            ("elevenchars", "12 characters"),
            (&long, "128 characters"),
            ("Administrator", "known from leaks"),
        ] {
            let (_root, path) = file_with(text.as_bytes());
            let source = PassphraseSource::File(path);
            let error = source.read_new("").unwrap_err();
            assert!(error.to_string().contains(limit), "{error}");
            assert!(error.hint().is_some());
            assert_eq!(source.read("").unwrap().expose(), text, "whole");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_root, path) = file_with(b"x");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = PassphraseSource::File(path).read("").unwrap_err();
        assert!(error.hint().unwrap().0.contains("chmod 600"));
    }

    #[test]
    fn what_is_no_passphrase_is_refused() {
        for (bytes, kind) in [(&b"\n"[..], "empty"), (b"\xff", "UTF-8")] {
            let (_root, path) = file_with(bytes);
            let error = PassphraseSource::File(path).read("").unwrap_err();
            assert!(error.to_string().contains(kind), "{error}");
        }
        let (_root, path) = file_with(&[b'x'; 5000]);
        assert!(PassphraseSource::File(path).read("").is_err());
    }

    #[test]
    fn a_descriptor_is_read_by_its_number() {
        let (_root, path) = file_with(b"through a pipe\n");
        let file = std::fs::File::open(path).unwrap();
        let source = PassphraseSource::Fd(file.as_raw_fd());
        assert_eq!(source.read("").unwrap().expose(), "through a pipe");
        assert!(PassphraseSource::Fd(-1).read("").is_err());
        assert!(PassphraseSource::Fd(9999).read("").is_err());
    }
}
