//! The chain: appends under a lock shared with other processes, repairs a torn end, rotates.
//!
//! Inside the lock the end of the newest segment is read again, because another process may have
//! appended; so the chain never forks. A write that fails is cut off again; after a sync that fails the
//! segment is left for a new one, since a second sync would prove nothing. Nothing here retries.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::AuditError;
use super::line::{self, LineHead};
use super::medium::{Medium, SegmentFile};
use crate::clock::Clock;
use crate::domain::audit::{AuditEntry, AuditHead, AuditKey};
use crate::private_file;

/// How long to wait for a process that holds the log.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// Read from the end of a segment to find its last line: four lines of the longest sort.
const TAIL_WINDOW: u64 = 4 * line::MAX_LINE as u64;

const LOCK_FILE: &str = "audit.lock";

/// The writing end of a log.
pub(super) struct Chain {
    dir: PathBuf,
    medium: Box<dyn Medium>,
    lock: Arc<File>,
    clock: Clock,
    rotate_bytes: u64,
    segment: Option<Segment>,
    head: Option<AuditHead>,
    /// Set when a sync has failed: the next append starts a new segment and says why.
    leave_segment: Option<String>,
}

struct Segment {
    number: u32,
    path: PathBuf,
    file: Box<dyn SegmentFile>,
    /// Bytes up to the end of the last line we know.
    end: u64,
}

/// What had to be mended before anything could be appended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Repair {
    /// Bytes of a torn record that were cut.
    pub(super) torn_bytes: u64,
    /// Complete lines at the end that are no records; they stay, and the chain goes on after them.
    pub(super) foreign_lines: u64,
    /// Whether the segment had become shorter under us.
    pub(super) shrunk: bool,
}

impl Repair {
    fn is_needed(self) -> bool {
        self != Self::default()
    }

    pub(super) fn describe(self) -> String {
        let mut parts = Vec::new();
        if self.torn_bytes > 0 {
            parts.push(format!("cut {} bytes of a torn record", self.torn_bytes));
        }
        if self.foreign_lines > 0 {
            parts.push(format!(
                "{} lines before this are no records",
                self.foreign_lines
            ));
        }
        if self.shrunk {
            parts.push("the log had become shorter".to_owned());
        }
        parts.join("; ")
    }
}

impl Chain {
    /// Opens a log for writing; touches nothing yet but the lock file.
    pub(super) fn open(
        dir: &Path,
        medium: Box<dyn Medium>,
        clock: Clock,
        rotate_bytes: u64,
    ) -> Result<Self, AuditError> {
        private_file::ensure_dir(dir)?;
        let lock = Arc::new(open_lock(dir)?);
        Ok(Self {
            dir: dir.to_owned(),
            medium,
            lock,
            clock,
            rotate_bytes,
            segment: None,
            head: None,
            leave_segment: None,
        })
    }

    /// Returns the end of the log as last seen.
    pub(super) fn head(&self) -> Option<&AuditHead> {
        self.head.as_ref()
    }

    /// Takes the lock, runs `first` under it, and mends the end of the log where that is needed.
    pub(super) fn settle(
        &mut self,
        key: Option<&AuditKey>,
        first: impl FnOnce() -> Result<(), AuditError>,
    ) -> Result<Repair, AuditError> {
        let lock = Arc::clone(&self.lock);
        let _held = Held::take(&lock)?;
        first()?;
        let repair = self.catch_up()?;
        if repair.is_needed() {
            let note = self.note("recovered", repair.describe());
            self.write(std::slice::from_ref(&note), key)?;
        }
        Ok(repair)
    }

    /// Appends entries as one write; returns the sequence number of the first, all of them durable.
    pub(super) fn append(
        &mut self,
        entries: &[AuditEntry],
        key: Option<&AuditKey>,
    ) -> Result<u64, AuditError> {
        let lock = Arc::clone(&self.lock);
        let _held = Held::take(&lock)?;
        let repair = self.catch_up()?;
        let mut all = Vec::with_capacity(entries.len() + 2);
        if repair.is_needed() {
            all.push(self.note("recovered", repair.describe()));
        }
        let leaving = self.leave_segment.clone();
        let ceiling = if leaving.is_some() {
            1
        } else {
            self.rotate_bytes.max(1)
        };
        if self.segment.as_ref().is_none_or(|now| now.end >= ceiling) {
            self.start_segment()?;
        }
        if let Some(reason) = &leaving {
            all.push(self.note(super::verify::SEGMENT_LEFT, reason.clone()));
        }
        let notes = all.len() as u64;
        all.extend_from_slice(entries);
        let first = self.write(&all, key)?;
        if leaving.is_some() {
            self.leave_segment = None;
        }
        Ok(first.saturating_add(notes))
    }

    fn note(&self, action: &str, details: String) -> AuditEntry {
        AuditEntry::note(action, "ok", details, self.clock.now())
    }

    /// Writes lines at the end that `catch_up` has found. The lock is held.
    fn write(&mut self, entries: &[AuditEntry], key: Option<&AuditKey>) -> Result<u64, AuditError> {
        let mut head = self.head.clone();
        let mut bytes = Vec::with_capacity(entries.len() * 512);
        let first = line::next_seq(head.as_ref());
        for entry in entries {
            let line = line::render(head.as_ref(), entry, key)?;
            head = Some(AuditHead {
                seq: line::next_seq(head.as_ref()),
                hash: line::hash(line.as_bytes()),
            });
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        if self.segment.is_none() {
            self.start_segment()?;
        }
        let Some(segment) = &mut self.segment else {
            return Err(AuditError::Closed);
        };
        if let Err(source) = write_all(segment.file.as_mut(), &bytes) {
            // Cut what got there; where even that fails, the next append finds and mends it.
            drop(segment.file.truncate(segment.end));
            return Err(AuditError::Io {
                doing: "write",
                path: segment.path.clone(),
                source,
            });
        }
        if let Err(source) = segment.file.sync() {
            self.leave_segment = Some(format!(
                "{} is left: it could not be made durable ({source})",
                file_name(&segment.path)
            ));
            drop(segment.file.truncate(segment.end));
            return Err(AuditError::Io {
                doing: "sync",
                path: segment.path.clone(),
                source,
            });
        }
        segment.end += bytes.len() as u64;
        self.head = head;
        Ok(first)
    }

    /// Reads what is new at the end of the newest segment. The lock is held.
    fn catch_up(&mut self) -> Result<Repair, AuditError> {
        let newest = newest_segment(&self.dir, self.segment.as_ref().map(|now| now.number))?;
        let Some(number) = newest else {
            let shrunk = self.segment.take().is_some();
            if shrunk {
                self.head = None;
            }
            return Ok(Repair {
                shrunk,
                ..Repair::default()
            });
        };
        let length_of = |segment: &Segment| {
            segment.file.len().map_err(|source| AuditError::Io {
                doing: "read",
                path: segment.path.clone(),
                source,
            })
        };
        if let Some(segment) = &self.segment
            && segment.number == number
            && !was_replaced(segment)
        {
            let length = length_of(segment)?;
            if length == segment.end {
                return Ok(Repair::default());
            }
            if length > segment.end {
                return self.read_new(length);
            }
        }
        let shrunk = self
            .segment
            .as_ref()
            .is_some_and(|now| now.number == number);
        self.reopen(number)?;
        let length = match &self.segment {
            Some(segment) => length_of(segment)?,
            None => 0,
        };
        let mut repair = self.read_tail(length)?;
        repair.shrunk = shrunk;
        Ok(repair)
    }

    fn reopen(&mut self, number: u32) -> Result<(), AuditError> {
        let path = segment_path(&self.dir, number);
        let file = self.medium.open(&path, false)?;
        self.segment = Some(Segment {
            number,
            path,
            file,
            end: 0,
        });
        self.head = None;
        Ok(())
    }

    /// Finds the last line of a segment we have not read before.
    fn read_tail(&mut self, length: u64) -> Result<Repair, AuditError> {
        let from = length.saturating_sub(TAIL_WINDOW);
        let bytes = self.read(from, length)?;
        // A window that does not begin at the start may begin inside a line: skip to the next.
        let skip = match (from, bytes.iter().position(|byte| *byte == b'\n')) {
            (0, _) => 0,
            (_, Some(at)) => at + 1,
            (_, None) => bytes.len(),
        };
        let window = bytes.get(skip..).unwrap_or_default();
        if from > 0 && !holds_a_record(window) {
            // Nothing but rubbish at the end: read all of it to find where the records stop.
            return self.read_whole(length);
        }
        let start = from + skip as u64;
        let window = window.to_vec();
        self.take_over(start, &window)
    }

    fn read_whole(&mut self, length: u64) -> Result<Repair, AuditError> {
        let all = self.read(0, length)?;
        self.take_over(0, &all)
    }

    fn take_over(&mut self, start: u64, bytes: &[u8]) -> Result<Repair, AuditError> {
        if !holds_a_record(bytes) {
            // A segment without a record goes on where the one before it ended.
            self.head = self.head_of_earlier_segments()?;
        }
        self.adopt(start, bytes)
    }

    fn read_new(&mut self, length: u64) -> Result<Repair, AuditError> {
        let from = self.segment.as_ref().map_or(0, |segment| segment.end);
        let bytes = self.read(from, length)?;
        self.adopt(from, &bytes)
    }

    /// Takes over lines that begin at `start` and run to the end of the segment.
    fn adopt(&mut self, start: u64, bytes: &[u8]) -> Result<Repair, AuditError> {
        let mut repair = Repair::default();
        let mut head = self.head.clone();
        let mut good_end = 0;
        let mut at = 0;
        while let Some(length) = bytes
            .get(at..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let line = bytes.get(at..at + length).unwrap_or_default();
            at += length + 1;
            let seq = match serde_json::from_slice::<LineHead>(line) {
                Ok(record) => {
                    repair.foreign_lines = 0;
                    record.seq
                }
                // What a power cut leaves in blocks that were never written. Cut only where no record
                // follows: a record is never thrown away, whatever has happened before it.
                Err(_)
                    if line.contains(&0)
                        && !holds_a_record(bytes.get(at..).unwrap_or_default()) =>
                {
                    break;
                }
                Err(_) => {
                    repair.foreign_lines += 1;
                    line::next_seq(head.as_ref())
                }
            };
            head = Some(AuditHead {
                seq,
                hash: line::hash(line),
            });
            good_end = at;
        }
        repair.torn_bytes = bytes.len().saturating_sub(good_end) as u64;
        let end = start + good_end as u64;
        if let Some(segment) = &mut self.segment {
            if repair.torn_bytes > 0 {
                segment
                    .file
                    .truncate(end)
                    .map_err(|source| AuditError::Io {
                        doing: "cut",
                        path: segment.path.clone(),
                        source,
                    })?;
            }
            segment.end = end;
        }
        // Only now: where the cut has failed, the same bytes are read again.
        self.head = head;
        Ok(repair)
    }

    fn head_of_earlier_segments(&self) -> Result<Option<AuditHead>, AuditError> {
        let current = self.segment.as_ref().map_or(0, |segment| segment.number);
        for number in segments(&self.dir)?
            .into_iter()
            .rev()
            .filter(|n| *n < current)
        {
            let path = segment_path(&self.dir, number);
            if let Some(head) = super::read::last_head(&path)? {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    fn read(&self, from: u64, to: u64) -> Result<Vec<u8>, AuditError> {
        let Some(segment) = &self.segment else {
            return Ok(Vec::new());
        };
        segment
            .file
            .read(from, to)
            .map_err(|source| AuditError::Io {
                doing: "read",
                path: segment.path.clone(),
                source,
            })
    }

    /// Starts the next segment; the chain goes on in it.
    fn start_segment(&mut self) -> Result<(), AuditError> {
        let number = self
            .segment
            .as_ref()
            .map_or(0, |segment| segment.number)
            .saturating_add(1);
        let path = segment_path(&self.dir, number);
        let file = self.medium.open(&path, true)?;
        private_file::sync_dir(&self.dir)?;
        self.segment = Some(Segment {
            number,
            path,
            file,
            end: 0,
        });
        Ok(())
    }
}

fn holds_a_record(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'\n')
        .any(|line| serde_json::from_slice::<LineHead>(line).is_ok())
}

/// Says whether the file under a segment's name is gone or another one.
fn was_replaced(segment: &Segment) -> bool {
    std::fs::metadata(&segment.path).map(|meta| meta.len()).ok() != segment.file.len().ok()
}

fn write_all(file: &mut dyn SegmentFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Opens the file that processes lock while they append.
pub(super) fn open_lock(dir: &Path) -> Result<File, AuditError> {
    Ok(private_file::open_append(&dir.join(LOCK_FILE), true)?)
}

/// Opens that file for somebody who only looks, and changes nothing where there is none.
pub(super) fn open_lock_to_look(dir: &Path) -> Option<File> {
    private_file::open_read(&dir.join(LOCK_FILE)).ok()
}

/// The lock of a log, held. Given back when dropped, and by the system when the process dies.
pub(super) struct Held<'a>(&'a File);

impl<'a> Held<'a> {
    /// Waits for the lock, but not for ever: a stopped process must not stop all others.
    pub(super) fn take(file: &'a File) -> Result<Self, AuditError> {
        let since = Instant::now();
        loop {
            if file.try_lock().is_ok() {
                return Ok(Self(file));
            }
            if since.elapsed() >= LOCK_PATIENCE {
                return Err(AuditError::Held);
            }
            std::thread::park_timeout(LOCK_PAUSE);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        drop(self.0.unlock());
    }
}

/// Returns the path of a segment.
pub(super) fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("audit-{number:06}.jsonl"))
}

/// Returns the numbers of the segments there are, oldest first.
pub(super) fn segments(dir: &Path) -> Result<Vec<u32>, AuditError> {
    let failed = |source| AuditError::Io {
        doing: "list",
        path: dir.to_owned(),
        source,
    };
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number: Option<u32> = name
            .to_str()
            .and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".jsonl"))
            .and_then(|digits| digits.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns the newest segment; where one is known, only its successors are looked for.
fn newest_segment(dir: &Path, known: Option<u32>) -> Result<Option<u32>, AuditError> {
    if let Some(known) = known
        && segment_path(dir, known).exists()
        && !segment_path(dir, known.saturating_add(1)).exists()
    {
        return Ok(Some(known));
    }
    Ok(segments(dir)?.pop())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
