//! Which operations belong to processes that are still there.
//!
//! Each open log holds a lock on a small file of its own that names its unfinished operations. The
//! system gives the lock back however the process ends, so a file that can be locked is a dead
//! process's, and an intent that no locked file names will never get its outcome from anybody else.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::AuditError;
use crate::domain::audit::{AuditEntry, AuditPhase};
use crate::private_file;

/// Ceiling of such a file that is read; the names in it take about 40 bytes each.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The operations that this process has begun and not ended.
pub(super) type OwnOperations = Arc<Mutex<HashSet<String>>>;

/// This process's file.
pub(super) struct Presence {
    path: PathBuf,
    file: File,
    own: OwnOperations,
}

impl Presence {
    /// Creates and locks the file. The log's own lock must be held, or a sweep could come between.
    pub(super) fn announce(dir: &Path, own: OwnOperations) -> Result<Self, AuditError> {
        // A process that was killed cannot tidy up after itself, and one that ends need not wait for it.
        drop(operations(dir));
        let path = dir.join(format!("live-{:016x}.lock", rand::random::<u64>()));
        let file = private_file::create_new(&path)?;
        file.try_lock().map_err(|error| AuditError::Io {
            doing: "lock",
            path: path.clone(),
            source: error.into(),
        })?;
        Ok(Self { path, file, own })
    }

    /// Names the operations that entries begin. Before the entries are in the log: between the two,
    /// nobody may think that the operation is nobody's.
    pub(super) fn begin(&mut self, entries: &[AuditEntry]) -> Result<(), AuditError> {
        let mut names = String::new();
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            if let (AuditPhase::Intent, Some(operation)) = (entry.phase, &entry.operation)
                && own.insert(operation.clone())
            {
                names.push_str(&operation.replace('\n', " "));
                names.push('\n');
            }
        }
        drop(own);
        if names.is_empty() {
            return Ok(());
        }
        self.file
            .write_all(names.as_bytes())
            .map_err(|source| AuditError::Io {
                doing: "write",
                path: self.path.clone(),
                source,
            })
    }

    /// Forgets operations that have ended, or whose intent was not written.
    pub(super) fn end(&mut self, entries: &[AuditEntry], written: bool) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            let over = match entry.phase {
                AuditPhase::Intent => !written,
                AuditPhase::Outcome => written,
                AuditPhase::Note => false,
            };
            if let (true, Some(operation)) = (over, &entry.operation) {
                own.remove(operation);
            }
        }
        if own.is_empty() {
            // Names too many do no harm, so a failure here is none.
            drop(self.file.set_len(0));
            drop(self.file.seek(SeekFrom::Start(0)));
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// Returns the operations of all processes that are still there, and removes what dead ones left. The
/// log's own lock must be held.
pub(super) fn operations(dir: &Path) -> Result<HashSet<String>, AuditError> {
    let failed = |source| AuditError::Io {
        doing: "list",
        path: dir.to_owned(),
        source,
    };
    let mut names = HashSet::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("live-") {
            continue;
        }
        let path = entry.path();
        // It may go at any moment: its process has just ended.
        let Ok(file) = private_file::open_read(&path) else {
            continue;
        };
        if file.try_lock_shared().is_ok() {
            drop(std::fs::remove_file(&path));
            continue;
        }
        let mut text = String::new();
        if file.take(MAX_FILE).read_to_string(&mut text).is_ok() {
            names.extend(text.lines().map(ToOwned::to_owned));
        }
    }
    Ok(names)
}
