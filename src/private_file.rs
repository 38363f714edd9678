//! Files that are nobody else's business: created with their mode, checked before they are trusted,
//! replaced as a whole. A leaf utility; the only place that creates files.
//!
//! It must not know what is in the files, and never loosens or repairs a mode by itself: a file that
//! others could read may have been read, and only a person can judge that.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::domain::error_kind::{Classify, ErrorKind, Hint};

/// Mode of private files.
pub const FILE_MODE: u32 = 0o600;

/// Mode of private directories.
pub const DIR_MODE: u32 = 0o700;

/// Why a file or directory cannot be used.
#[derive(Debug, Error)]
pub enum PrivateFileError {
    /// The system said no.
    #[error("could not {doing} {}", path.display())]
    Io {
        /// What was tried: `open`, `create`, `read`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read or change it.
    #[error("{} has mode {mode:04o}, so others can get at it", path.display())]
    TooOpen {
        /// What.
        path: PathBuf,
        /// Its mode now.
        mode: u32,
        /// The mode it must have.
        wanted: u32,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}, not to user {us} who runs this", path.display())]
    NotOurs {
        /// What.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// A directory where a file should be, a link, a device.
    #[error("{} is not a {wanted}", path.display())]
    WrongSort {
        /// What.
        path: PathBuf,
        /// What it should be: `plain file`, `directory`.
        wanted: &'static str,
    },
    /// Larger than what may be in it.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// What.
        path: PathBuf,
        /// The ceiling in bytes.
        limit: u64,
    },
}

impl PrivateFileError {
    fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        // What the system calls "too many levels" is a link that was not followed.
        if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return Self::WrongSort {
                path: path.to_owned(),
                wanted: "plain file",
            };
        }
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// Returns what the system said, where it was the system.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
}

impl Classify for PrivateFileError {
    fn kind(&self) -> ErrorKind {
        match self {
            // A path that leads nowhere was written by a person.
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::Config
            }
            Self::Io { .. } => ErrorKind::Store,
            Self::TooOpen { .. }
            | Self::NotOurs { .. }
            | Self::WrongSort { .. }
            | Self::TooLarge { .. } => ErrorKind::Config,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Io { source, path, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Some(Hint::new(format!(
                    "check who owns {} and its parents",
                    path.display()
                ))),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some(Hint::new("free some space on that disk"))
                }
                io::ErrorKind::NotFound => Some(Hint::new("check the path")),
                _ => None,
            },
            Self::TooOpen { path, wanted, .. } => Some(Hint::new(format!(
                "run `chmod {wanted:o} {}`, and think of what others may have read",
                quoted(path)
            ))),
            Self::NotOurs { path, us, .. } => Some(Hint::new(format!(
                "run vmdeck as the owner, or `chown {us} {}`",
                quoted(path)
            ))),
            Self::WrongSort { path, wanted } => Some(Hint::new(format!(
                "move {} away, or name a {wanted}",
                path.display()
            ))),
            Self::TooLarge { path, limit } => Some(Hint::new(format!(
                "{} cannot be what was meant: at most {limit} bytes are read",
                path.display()
            ))),
        }
    }
}

/// Renders a path so that it can be pasted into a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Creates a directory that is ours alone; its parent must exist and it must not.
pub fn create_dir(path: &Path) -> Result<(), PrivateFileError> {
    DirBuilder::new()
        .mode(DIR_MODE)
        .create(path)
        .map_err(|source| PrivateFileError::io("create", path, source))
}

/// Makes sure that a directory is there and ours alone; what is missing on the way is created so too.
pub fn ensure_dir(path: &Path) -> Result<(), PrivateFileError> {
    DirBuilder::new()
        .mode(DIR_MODE)
        .recursive(true)
        .create(path)
        .map_err(|source| PrivateFileError::io("create", path, source))?;
    check_dir(path)
}

/// Checks that a directory is a directory, ours, and closed to others.
pub fn check_dir(path: &Path) -> Result<(), PrivateFileError> {
    let meta = std::fs::symlink_metadata(path)
        .map_err(|source| PrivateFileError::io("look at", path, source))?;
    if !meta.is_dir() {
        return Err(PrivateFileError::WrongSort {
            path: path.to_owned(),
            wanted: "directory",
        });
    }
    check_meta(path, &meta, DIR_MODE)
}

/// Checks an open file: a plain file, ours, and closed to others.
pub fn check_file(path: &Path, file: &File) -> Result<(), PrivateFileError> {
    let meta = file
        .metadata()
        .map_err(|source| PrivateFileError::io("look at", path, source))?;
    if !meta.is_file() {
        return Err(PrivateFileError::WrongSort {
            path: path.to_owned(),
            wanted: "plain file",
        });
    }
    check_meta(path, &meta, FILE_MODE)
}

fn check_meta(path: &Path, meta: &Metadata, wanted: u32) -> Result<(), PrivateFileError> {
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us {
        return Err(PrivateFileError::NotOurs {
            path: path.to_owned(),
            owner: meta.uid(),
            us,
        });
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::TooOpen {
            path: path.to_owned(),
            mode,
            wanted,
        });
    }
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    options
        .mode(FILE_MODE)
        .custom_flags(flags.bits().cast_signed());
    options
}

/// Creates a file that must not exist yet, for reading and writing.
pub fn create_new(path: &Path) -> Result<File, PrivateFileError> {
    options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|source| PrivateFileError::io("create", path, source))
}

/// Opens a file for reading and appending; creates it when `create` says so. Links are not followed.
pub fn open_append(path: &Path, create: bool) -> Result<File, PrivateFileError> {
    let file = options()
        .read(true)
        .append(true)
        .create(create)
        .open(path)
        .map_err(|source| PrivateFileError::io("open", path, source))?;
    check_file(path, &file)?;
    Ok(file)
}

/// Opens a file for reading. Links are not followed.
pub fn open_read(path: &Path) -> Result<File, PrivateFileError> {
    let file = options()
        .read(true)
        .open(path)
        .map_err(|source| PrivateFileError::io("open", path, source))?;
    check_file(path, &file)?;
    Ok(file)
}

/// Reads a secret file: ours, closed to others, at most `limit` bytes, wiped from memory when dropped.
pub fn read_secret(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    read_bounded(&open_read(path)?, path, limit)
}

/// Reads a file that others may read too and that may be a link, at most `limit` bytes, whatever length it says
/// that it has.
pub fn read_public(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let file = File::open(path).map_err(|source| PrivateFileError::io("open", path, source))?;
    read_bounded(&file, path, limit)
}

/// Reads at most `limit` bytes into one buffer that never moves; more is an error.
pub fn read_bounded(
    file: &File,
    path: &Path,
    limit: u64,
) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let room = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| PrivateFileError::io("read", path, source))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(PrivateFileError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

/// Writes a file as a whole: readers see the old content or the new, also after a power cut.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", rand::random::<u64>()));
    let temporary = path.with_file_name(name);
    let written = create_new(&temporary).and_then(|mut file| {
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&temporary, path))
            .map_err(|source| PrivateFileError::io("write", path, source))
    });
    if written.is_err() {
        drop(std::fs::remove_file(&temporary));
    }
    written?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Writes a file that must not exist yet; one that could not be written in full is taken away again.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let mut file = create_new(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        drop(std::fs::remove_file(path));
    }
    written.map_err(|source| PrivateFileError::io("write", path, source))
}

/// Makes the names in a directory durable.
pub fn sync_dir(path: &Path) -> Result<(), PrivateFileError> {
    let shown = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(shown)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| PrivateFileError::io("sync", shown, source))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn modes_are_right_from_the_first_moment() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        ensure_dir(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&root.path().join("a")), 0o700);
        let file = dir.join("f");
        write_atomic(&file, b"one").unwrap();
        assert_eq!(mode(&file), 0o600);
        let error = write_new(&file, b"new").unwrap_err();
        assert_eq!(error.io_kind(), Some(io::ErrorKind::AlreadyExists));
        write_new(&dir.join("g"), b"new").unwrap();
        assert_eq!(mode(&dir.join("g")), 0o600);
        std::fs::remove_file(dir.join("g")).unwrap();
        write_atomic(&file, b"two").unwrap();
        assert_eq!(read_secret(&file, 3).unwrap().as_slice(), b"two");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    }

    #[test]
    fn an_open_file_is_refused_with_the_command_that_closes_it() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("it's");
        write_atomic(&file, b"x").unwrap();
        set_mode(&file, 0o640);
        let error = read_secret(&file, 10).unwrap_err();
        assert!(matches!(
            error,
            PrivateFileError::TooOpen { mode: 0o640, .. }
        ));
        let hint = error.hint().unwrap().0;
        assert!(hint.contains(r"chmod 600 '"), "{hint}");
        assert!(hint.contains(r"it'\''s'"), "{hint}");
        set_mode(root.path(), 0o755);
        assert!(check_dir(root.path()).is_err());
    }

    #[test]
    fn links_and_directories_are_not_files() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("f");
        write_atomic(&file, b"x").unwrap();
        let link = root.path().join("l");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let error = open_read(&link).unwrap_err();
        assert!(
            matches!(error, PrivateFileError::WrongSort { .. }),
            "{error}"
        );
        assert!(error.hint().is_some());
        assert!(create_new(&link).is_err());
        assert!(open_append(&link, true).is_err());
        assert!(matches!(
            open_read(root.path()),
            Err(PrivateFileError::WrongSort { .. })
        ));
        assert!(matches!(
            check_dir(&file),
            Err(PrivateFileError::WrongSort { .. })
        ));
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("f");
        write_atomic(&file, b"12345").unwrap();
        assert!(matches!(
            read_secret(&file, 4),
            Err(PrivateFileError::TooLarge { limit: 4, .. })
        ));
    }

    #[test]
    fn a_file_of_others_may_be_read_and_has_an_end() {
        let root = tempfile::tempdir().unwrap();
        let (file, link) = (root.path().join("chain"), root.path().join("link"));
        write_atomic(&file, b"12345").unwrap();
        set_mode(&file, 0o644);
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(*read_public(&link, 5).unwrap(), b"12345");
        for (path, limit) in [(link.as_path(), 4), (Path::new("/dev/zero"), 1 << 20)] {
            let error = read_public(path, limit).unwrap_err();
            assert!(
                matches!(error, PrivateFileError::TooLarge { .. }),
                "{error}"
            );
        }
    }
}
