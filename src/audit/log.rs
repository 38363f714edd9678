//! The handle and its writer thread. Records that wait are written together and made durable by one
//! sync; each is acknowledged only after that.
//!
//! ```text
//! Writable --write or sync fails--> Blocked(why) --a later write works--> Writable
//! ```
//!
//! While blocked the thread tries again by itself, with a note that says what had been wrong, because
//! nobody else will: actions are refused meanwhile.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::chain::{self, Chain, Held};
use super::error::AuditError;
use super::live::{self, OwnOperations, Presence};
use super::medium::{Disk, Medium};
use super::page::{self, PageWish};
use super::read;
use crate::clock::Clock;
use crate::domain::audit::{AuditEntry, AuditHead, AuditKey, AuditPage, AuditRecord};
use crate::domain::error_kind::Failure;
use crate::domain::inventory::AuditState;
use crate::task::send_or_gone;

/// Records that may wait for the writer; the next caller waits for a place.
const QUEUE: usize = 128;

/// Records that are written together at the most.
const BATCH: usize = 64;

/// Between two attempts while blocked.
const PROBE: Duration = Duration::from_secs(2);

/// How the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditOptions {
    /// A segment that has reached this size (bytes) is followed by a new one.
    pub rotate_bytes: u64,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            rotate_bytes: 16 * 1024 * 1024,
        }
    }
}

/// What opening a log had to mend. A note in the log says the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Bytes of a torn record that were cut off the end.
    pub torn_bytes: u64,
    /// Complete lines at the end that are no records: somebody has edited the log.
    pub foreign_lines: u64,
}

/// A handle on an open log. Cloning is cheap; the thread ends with the last one, after writing what waits.
#[derive(Clone)]
pub struct AuditLog {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    jobs: SyncSender<Job>,
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
    own: OwnOperations,
}

struct Shared {
    state: watch::Sender<AuditState>,
    head: Mutex<Option<AuditHead>>,
    key: Mutex<Option<AuditKey>>,
}

struct Job {
    entry: AuditEntry,
    reply: oneshot::Sender<Result<u64, AuditError>>,
    /// The place in the queue, given back when the record is answered.
    room: OwnedSemaphorePermit,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditLog({})", self.inner.dir.display())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AuditLog {
    /// Opens a log, creates it if need be, and mends a torn end.
    ///
    /// Wrong modes are an error. A disk that cannot be written is not: the log opens blocked, so that
    /// everything that only looks goes on.
    pub async fn open(dir: &Path, clock: Clock) -> Result<(Self, Recovered), AuditError> {
        Self::open_with(dir, clock, AuditOptions::default()).await
    }

    /// The same with options.
    pub async fn open_with(
        dir: &Path,
        clock: Clock,
        options: AuditOptions,
    ) -> Result<(Self, Recovered), AuditError> {
        Self::open_on(dir, clock, options, || Box::new(Disk)).await
    }

    pub(super) async fn open_on(
        dir: &Path,
        clock: Clock,
        options: AuditOptions,
        medium: impl Fn() -> Box<dyn Medium> + Send + 'static,
    ) -> Result<(Self, Recovered), AuditError> {
        let dir = dir.to_owned();
        blocking(move || {
            let (jobs, waiting) = sync_channel(QUEUE);
            let shared = Arc::new(Shared {
                state: watch::Sender::new(AuditState::Writable),
                head: Mutex::new(None),
                key: Mutex::new(None),
            });
            let own = OwnOperations::default();
            let mut writer = Writer {
                dir: dir.clone(),
                clock,
                options,
                medium: Box::new(medium),
                shared: Arc::clone(&shared),
                own: Arc::clone(&own),
                open: None,
                recovered: Recovered::default(),
            };
            match writer.ready().map(|_| ()) {
                Ok(()) => {}
                // What only a person can mend is said at once.
                Err(AuditError::File(error)) if error.io_kind().is_none() => {
                    return Err(error.into());
                }
                Err(error) => writer.block(&error),
            }
            let recovered = writer.recovered;
            std::thread::Builder::new()
                .name("audit".to_owned())
                .spawn(move || writer.serve(&waiting))
                .map_err(|source| AuditError::Io {
                    doing: "start the writer of",
                    path: dir.clone(),
                    source,
                })?;
            let inner = Inner {
                dir,
                jobs,
                room: Arc::new(Semaphore::new(QUEUE)),
                shared,
                own,
            };
            let log = Self {
                inner: Arc::new(inner),
            };
            Ok((log, recovered))
        })
        .await
    }

    /// Sets the key of the MAC, or takes it away when the profile is locked.
    pub fn set_key(&self, key: Option<AuditKey>) {
        *locked(&self.inner.shared.key) = key;
    }

    /// Appends a record and returns its sequence number once it is durable.
    ///
    /// Dropping the future does not take the record back.
    pub async fn append(&self, entry: AuditEntry) -> Result<u64, AuditError> {
        let Ok(room) = Arc::clone(&self.inner.room).acquire_owned().await else {
            return Err(AuditError::Closed);
        };
        let (reply, answer) = oneshot::channel();
        let job = Job { entry, reply, room };
        match self.inner.jobs.try_send(job) {
            // There are as many permits as places.
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return Err(AuditError::Closed),
        }
        crate::task::answer_of(answer)
            .await
            .unwrap_or(Err(AuditError::Closed))
    }

    /// Returns the last records, oldest first.
    pub async fn tail(&self, limit: usize) -> Result<Vec<AuditRecord>, AuditError> {
        let dir = self.inner.dir.clone();
        blocking(move || read::tail(&dir, limit)).await
    }

    /// Returns some records before a place, or before the end, and where older ones are.
    pub async fn page(&self, wish: PageWish) -> Result<AuditPage, AuditError> {
        let dir = self.inner.dir.clone();
        blocking(move || page::page(&dir, &wish)).await
    }

    /// Returns intents without an outcome whose process is gone, oldest first.
    pub async fn unfinished(&self) -> Result<Vec<AuditRecord>, AuditError> {
        let (dir, own) = (self.inner.dir.clone(), Arc::clone(&self.inner.own));
        blocking(move || {
            let mut open = read::unfinished(&dir)?;
            if open.is_empty() {
                return Ok(open);
            }
            // In this order: an intent is in the log only after its process has named it, and a
            // process that ends meanwhile has written its outcome before.
            let lock = chain::open_lock(&dir)?;
            let alive = {
                let _held = Held::take(&lock)?;
                live::operations(&dir)?
            };
            let mine = locked(&own).clone();
            let still_open: Vec<u64> = read::unfinished(&dir)?
                .iter()
                .map(|record| record.seq)
                .collect();
            open.retain(|record| {
                let named = |names: &std::collections::HashSet<String>| {
                    let operation = record.entry.operation.as_ref();
                    operation.is_some_and(|operation| names.contains(operation))
                };
                still_open.contains(&record.seq) && !named(&alive) && !named(&mine)
            });
            Ok(open)
        })
        .await
    }

    /// Says whether the record that the profile remembers as the end is still in the log. When it is
    /// not, the end was cut off: to be said, and recorded, before the mirror is moved on.
    pub async fn holds(&self, mirror: AuditHead) -> Result<bool, AuditError> {
        let dir = self.inner.dir.clone();
        blocking(move || read::holds(&dir, &mirror)).await
    }

    /// Says whether records can be made durable.
    pub fn state(&self) -> AuditState {
        self.inner.shared.state.borrow().clone()
    }

    /// Returns a receiver that is told when that changes.
    pub fn states(&self) -> watch::Receiver<AuditState> {
        self.inner.shared.state.subscribe()
    }

    /// Returns the end of the log, for its mirror in the profile; `None` while it is empty.
    pub fn head(&self) -> Option<AuditHead> {
        locked(&self.inner.shared.head).clone()
    }
}

/// The thread's side.
struct Writer {
    dir: PathBuf,
    clock: Clock,
    options: AuditOptions,
    medium: Box<dyn Fn() -> Box<dyn Medium> + Send>,
    shared: Arc<Shared>,
    own: OwnOperations,
    open: Option<(Chain, Presence)>,
    recovered: Recovered,
}

impl Writer {
    fn serve(mut self, waiting: &Receiver<Job>) {
        loop {
            let first = if matches!(*self.shared.state.borrow(), AuditState::Writable) {
                waiting.recv().map_err(RecvTimeoutError::from)
            } else {
                waiting.recv_timeout(PROBE)
            };
            match first {
                Ok(job) => {
                    let mut jobs = vec![job];
                    jobs.extend(waiting.try_iter().take(BATCH - 1));
                    self.commit(jobs);
                }
                Err(RecvTimeoutError::Timeout) => self.probe(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes a batch and answers everybody in it.
    fn commit(&mut self, jobs: Vec<Job>) {
        let mut entries = Vec::with_capacity(jobs.len());
        let mut replies = Vec::with_capacity(jobs.len());
        for job in jobs {
            entries.push(job.entry);
            replies.push((job.reply, job.room));
        }
        match self.write(&entries) {
            Ok(first) => {
                for (index, (reply, _room)) in replies.into_iter().enumerate() {
                    send_or_gone(reply, Ok(first.saturating_add(index as u64)));
                }
            }
            Err(error) => {
                let cause = Failure::of(&error);
                for (reply, _room) in replies {
                    let cause = cause.clone();
                    send_or_gone(reply, Err(AuditError::NotWritten { cause }));
                }
            }
        }
    }

    fn write(&mut self, entries: &[AuditEntry]) -> Result<u64, AuditError> {
        let written = self.try_write(entries);
        match &written {
            Ok(_) => {
                self.shared.state.send_if_modified(|state| {
                    let was_blocked = *state != AuditState::Writable;
                    *state = AuditState::Writable;
                    was_blocked
                });
            }
            Err(error) => self.block(error),
        }
        written
    }

    fn try_write(&mut self, entries: &[AuditEntry]) -> Result<u64, AuditError> {
        let key = locked(&self.shared.key).clone();
        let (chain, presence) = self.ready()?;
        presence.begin(entries)?;
        let written = chain.append(entries, key.as_ref());
        presence.end(entries, written.is_ok());
        let head = chain.head().cloned();
        *locked(&self.shared.head) = head;
        written
    }

    /// Opens the log the first time, and mends its end.
    fn ready(&mut self) -> Result<&mut (Chain, Presence), AuditError> {
        let opened = match self.open.take() {
            Some(open) => open,
            None => self.open_log()?,
        };
        Ok(self.open.insert(opened))
    }

    fn open_log(&mut self) -> Result<(Chain, Presence), AuditError> {
        let medium = (self.medium)();
        let mut chain = Chain::open(
            &self.dir,
            medium,
            self.clock.clone(),
            self.options.rotate_bytes,
        )?;
        let key = locked(&self.shared.key).clone();
        let mut presence = None;
        let repair = chain.settle(key.as_ref(), || {
            presence = Some(Presence::announce(&self.dir, Arc::clone(&self.own))?);
            Ok(())
        })?;
        *locked(&self.shared.head) = chain.head().cloned();
        self.recovered = Recovered {
            torn_bytes: repair.torn_bytes,
            foreign_lines: repair.foreign_lines,
        };
        let presence = presence.ok_or(AuditError::Closed)?;
        Ok((chain, presence))
    }

    fn block(&self, error: &AuditError) {
        let failure = Failure::of(error);
        tracing::error!(%error, "the audit log cannot be written; actions are refused");
        self.shared.state.send_replace(AuditState::Blocked(failure));
    }

    /// Tries whether the log can be written again, and says in it what had been wrong.
    fn probe(&mut self) {
        let AuditState::Blocked(why) = self.shared.state.borrow().clone() else {
            return;
        };
        let note = AuditEntry::note("writable-again", "ok", why.message, self.clock.now());
        if let Err(error) = self.write(std::slice::from_ref(&note)) {
            tracing::debug!(%error, "the audit log still cannot be written");
        }
    }
}

async fn blocking<T, F>(job: F) -> Result<T, AuditError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, AuditError> + Send + 'static,
{
    tokio::task::spawn_blocking(job)
        .await
        .unwrap_or(Err(AuditError::Closed))
}
