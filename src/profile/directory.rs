//! The profile as a directory: created as a whole, checked when it is opened, removed as a whole.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::ProfileError;
use super::name::ProfileName;
use super::store::{self, Store};
use crate::private_file::{self, PrivateFileError};

/// The database inside a profile's directory.
const DATABASE: &str = "profile.db";

/// Locked while profiles are created or removed.
const LOCK: &str = ".lock";

/// The audit log inside a profile's directory.
const AUDIT: &str = "audit";

/// An open profile. Cloning is cheap; clones share the database thread.
#[derive(Debug, Clone)]
pub struct Profile {
    inner: Arc<Inner>,
    pub(super) store: Store,
}

#[derive(Debug)]
struct Inner {
    name: ProfileName,
    dir: PathBuf,
    id: String,
}

impl Profile {
    /// Creates a profile and opens it. Killed half-way, there is no profile.
    pub async fn create(root: &Path, name: &ProfileName) -> Result<Self, ProfileError> {
        let (root, name) = (root.to_owned(), name.clone());
        blocking(move || {
            let dir = root.join(name.as_str());
            private_file::ensure_dir(&root)?;
            let _alone = alone(&root)?;
            if dir.symlink_metadata().is_ok() {
                return Err(ProfileError::Exists { name });
            }
            refuse_network_filesystem(&root)?;
            sweep(&root);
            let draft = root.join(format!(".new-{:032x}", rand::random::<u128>()));
            private_file::create_dir(&draft)?;
            let made = fill(&draft).and_then(|()| put_in_place(&draft, &dir, &name));
            if made.is_err() {
                drop(std::fs::remove_dir_all(&draft));
            }
            made?;
            private_file::sync_dir(&root)?;
            open_dir(dir, name)
        })
        .await?
        .finish()
        .await
    }

    /// Opens a profile that exists.
    pub async fn open(root: &Path, name: &ProfileName) -> Result<Self, ProfileError> {
        let (root, name) = (root.to_owned(), name.clone());
        blocking(move || {
            let dir = root.join(name.as_str());
            must_exist(&root, &dir, &name)?;
            private_file::check_dir(&root)?;
            refuse_network_filesystem(&dir)?;
            open_dir(dir, name)
        })
        .await?
        .finish()
        .await
    }

    /// Lists the profiles of a directory by name; none when there is no such directory.
    pub fn list(root: &Path) -> Result<Vec<ProfileName>, ProfileError> {
        let failed = |source| PrivateFileError::Io {
            doing: "list",
            path: root.to_owned(),
            source,
        };
        let entries = match std::fs::read_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().parse::<ProfileName>();
            if let Ok(name) = name
                && entry.path().join(DATABASE).exists()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a profile with everything in it. Asks nothing: the door does.
    pub async fn remove(root: &Path, name: &ProfileName) -> Result<(), ProfileError> {
        let (root, name) = (root.to_owned(), name.clone());
        blocking(move || {
            let dir = root.join(name.as_str());
            must_exist(&root, &dir, &name)?;
            private_file::check_dir(&dir)?;
            let _alone = alone(&root)?;
            // Out of sight first: killed half-way, there is no half profile under the name.
            let doomed = root.join(format!(".old-{:032x}", rand::random::<u128>()));
            let failed = |source| PrivateFileError::Io {
                doing: "remove",
                path: dir.clone(),
                source,
            };
            std::fs::rename(&dir, &doomed).map_err(failed)?;
            private_file::sync_dir(&root)?;
            std::fs::remove_dir_all(&doomed).map_err(failed)?;
            Ok(())
        })
        .await
    }

    /// Returns its name.
    pub fn name(&self) -> &ProfileName {
        &self.inner.name
    }

    /// Returns its directory.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Returns the directory of its audit log; created by the log.
    pub fn audit_dir(&self) -> PathBuf {
        self.inner.dir.join(AUDIT)
    }

    /// Returns its random identity, fixed at creation: sealed credentials are bound to it.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Checks that the database is sound.
    pub async fn check(&self) -> Result<(), ProfileError> {
        let file = self.inner.dir.join(DATABASE);
        self.store
            .run(move |connection| {
                store::quick_check(connection).map_err(|error| match error {
                    ProfileError::Unreadable { what } => ProfileError::broken(&file, what),
                    other => other,
                })
            })
            .await
    }
}

/// A profile whose identity has yet to be read.
struct Opened {
    dir: PathBuf,
    name: ProfileName,
    store: Store,
}

impl Opened {
    async fn finish(self) -> Result<Profile, ProfileError> {
        let id = self
            .store
            .run(|connection| {
                connection
                    .query_row("SELECT value FROM meta WHERE key = 'id'", [], |row| {
                        row.get::<_, String>(0)
                    })
                    .map_err(|error| match error {
                        rusqlite::Error::QueryReturnedNoRows => ProfileError::Unreadable {
                            what: "the profile has no identity".to_owned(),
                        },
                        error => ProfileError::of("reading the profile's identity", error),
                    })
            })
            .await?;
        Ok(Profile {
            inner: Arc::new(Inner {
                name: self.name,
                dir: self.dir,
                id,
            }),
            store: self.store,
        })
    }
}

fn must_exist(root: &Path, dir: &Path, name: &ProfileName) -> Result<(), ProfileError> {
    let file = dir.join(DATABASE);
    match file.symlink_metadata() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Profiles appear and go as a whole: a directory without a database has lost it, and
            // must not be covered by a new profile.
            Err(if dir.is_dir() {
                ProfileError::broken(&file, "it is missing".to_owned())
            } else {
                ProfileError::NotFound {
                    name: name.clone(),
                    root: root.to_owned(),
                }
            })
        }
        // A directory that cannot be looked into is not one that is empty.
        Err(source) => Err(PrivateFileError::Io {
            doing: "look at",
            path: file,
            source,
        }
        .into()),
    }
}

fn open_dir(dir: PathBuf, name: ProfileName) -> Result<Opened, ProfileError> {
    private_file::check_dir(&dir)?;
    let file = dir.join(DATABASE);
    let found = private_file::open_read(&file)?;
    // SQLite takes an empty file for a new database; here it is one that was lost.
    if found.metadata().is_ok_and(|meta| meta.len() == 0) {
        return Err(ProfileError::broken(&file, "it is empty".to_owned()));
    }
    drop(found);
    let store = Store::open(&file)?;
    Ok(Opened { dir, name, store })
}

/// Makes the database of a new profile, with its identity, in a directory nobody knows yet.
fn fill(draft: &Path) -> Result<(), ProfileError> {
    let file = draft.join(DATABASE);
    drop(private_file::create_new(&file)?);
    store::initialise(&file, &format!("{:032x}", rand::random::<u128>()))?;
    private_file::sync_dir(draft)?;
    Ok(())
}

fn put_in_place(draft: &Path, dir: &Path, name: &ProfileName) -> Result<(), ProfileError> {
    std::fs::rename(draft, dir).map_err(|source| match source.kind() {
        // A directory that is not empty is never replaced: somebody was faster.
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
            ProfileError::Exists { name: name.clone() }
        }
        _ => PrivateFileError::Io {
            doing: "create",
            path: dir.to_owned(),
            source,
        }
        .into(),
    })
}

/// Takes the lock under which profiles are created and removed; given back when dropped.
fn alone(root: &Path) -> Result<File, ProfileError> {
    let path = root.join(LOCK);
    let lock = private_file::open_append(&path, true)?;
    lock.lock().map_err(|source| PrivateFileError::Io {
        doing: "lock",
        path,
        source,
    })?;
    Ok(lock)
}

/// Removes what a killed `create` or `remove` left behind. The lock is held, so nobody is at it.
fn sweep(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(".old-") || name.starts_with(".new-") {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(target_os = "linux")]
fn refuse_network_filesystem(dir: &Path) -> Result<(), ProfileError> {
    // linux/magic.h
    const NETWORK: [(u64, &str); 8] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB 2"),
        (0x5346_414f, "AFS"),
        (0x00c3_6400, "Ceph"),
        (0x0102_1997, "9P"),
        (0x7375_7245, "Coda"),
    ];
    let Ok(found) = rustix::fs::statfs(dir) else {
        return Ok(());
    };
    // The field's sign and width differ between platforms; the magic numbers have 32 bits.
    let magic = u64::try_from(i128::from(found.f_type) & 0xffff_ffff).unwrap_or_default();
    match NETWORK.into_iter().find(|(number, _)| *number == magic) {
        Some((_, filesystem)) => Err(ProfileError::NetworkFilesystem {
            dir: dir.to_owned(),
            filesystem,
        }),
        None => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_network_filesystem(_: &Path) -> Result<(), ProfileError> {
    Ok(())
}

async fn blocking<T, F>(job: F) -> Result<T, ProfileError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ProfileError> + Send + 'static,
{
    tokio::task::spawn_blocking(job)
        .await
        .unwrap_or(Err(ProfileError::Closed))
}
