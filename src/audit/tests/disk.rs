//! Faults of the disk: whatever fails, what was acknowledged is there and the chain holds.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{clock, intent, operations, sound};
use crate::audit::log::{AuditLog, AuditOptions};
use crate::audit::medium::{Disk, Medium, SegmentFile};
use crate::audit::verify::{SEGMENT_LEFT, verify};
use crate::audit::{AuditError, chain, line, read};
use crate::domain::audit::AuditPhase;
use crate::domain::inventory::AuditState;
use crate::private_file::{self, PrivateFileError};

/// What shall go wrong, counted over every write (or sync) of the medium.
#[derive(Debug, Clone, Copy)]
enum Fault {
    WriteFails(i32),
    WriteIsShort,
    NothingIsTaken,
    SyncFails,
    TruncateFailsToo,
}

#[derive(Default)]
struct Plan {
    at: usize,
    fault: Option<Fault>,
    writes: AtomicUsize,
    syncs: AtomicUsize,
    truncates: AtomicUsize,
}

struct Faulty(Arc<Plan>);

struct FaultyFile(Arc<Plan>, Box<dyn SegmentFile>);

impl Medium for Faulty {
    fn open(&self, path: &Path, create: bool) -> Result<Box<dyn SegmentFile>, PrivateFileError> {
        Ok(Box::new(FaultyFile(
            Arc::clone(&self.0),
            Disk.open(path, create)?,
        )))
    }
}

impl FaultyFile {
    fn due(&self, counter: &AtomicUsize) -> Option<Fault> {
        let now = counter.fetch_add(1, Ordering::SeqCst);
        self.0.fault.filter(|_| now == self.0.at)
    }
}

impl SegmentFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.1.len()
    }

    fn read(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        self.1.read(from, to)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.due(&self.0.writes) {
            Some(Fault::WriteFails(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(Fault::WriteIsShort) => self.1.write(&bytes[..bytes.len() / 2]),
            Some(Fault::NothingIsTaken) => Ok(0),
            Some(Fault::TruncateFailsToo) => {
                self.1.write(&bytes[..bytes.len() / 3])?;
                Err(io::Error::from_raw_os_error(28))
            }
            _ => self.1.write(bytes),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.due(&self.0.syncs) {
            Some(Fault::SyncFails) => Err(io::Error::from_raw_os_error(5)),
            _ => self.1.sync(),
        }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        match self.0.fault {
            Some(Fault::TruncateFailsToo)
                if self.0.truncates.fetch_add(1, Ordering::SeqCst) == 0 =>
            {
                Err(io::Error::from_raw_os_error(5))
            }
            _ => self.1.truncate(length),
        }
    }
}

/// Appends three records more than the fault's number over a disk with one fault; returns what was acknowledged and the state after
/// the fault.
async fn run_with_fault(dir: &Path, at: usize, fault: Fault) -> (BTreeSet<String>, usize) {
    let plan = Arc::new(Plan {
        at,
        fault: Some(fault),
        ..Plan::default()
    });
    let medium = Arc::clone(&plan);
    let (log, _) = AuditLog::open_on(dir, clock(), AuditOptions::default(), move || {
        Box::new(Faulty(Arc::clone(&medium)))
    })
    .await
    .unwrap();
    let mut acknowledged = BTreeSet::new();
    let mut refused = 0;
    for number in 0..at + 3 {
        let name = format!("op-{number}");
        match log.append(intent(&name)).await {
            Ok(_) => {
                assert_eq!(log.state(), AuditState::Writable);
                acknowledged.insert(name);
            }
            Err(AuditError::NotWritten { cause }) => {
                assert!(cause.hint.is_some(), "{cause:?}");
                assert!(matches!(log.state(), AuditState::Blocked(_)));
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    (acknowledged, refused)
}

#[tokio::test]
async fn no_fault_of_the_disk_loses_what_was_acknowledged() {
    let faults = [
        (Fault::WriteFails(28), 1),
        (Fault::WriteFails(5), 1),
        (Fault::WriteFails(4), 0), // EINTR is not a failure
        (Fault::WriteIsShort, 0),
        (Fault::SyncFails, 1),
        (Fault::TruncateFailsToo, 1),
    ];
    for (fault, expected_refusals) in faults {
        for at in 0..50 {
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("audit");
            let (acknowledged, refused) = run_with_fault(&dir, at, fault).await;
            assert_eq!(refused, expected_refusals, "{fault:?} at {at}");
            assert_eq!(acknowledged.len() + refused, at + 3);
            sound(&dir);
            let on_disk = operations(&dir);
            assert!(on_disk.is_superset(&acknowledged), "{fault:?} at {at}");
            assert_eq!(on_disk.len(), acknowledged.len(), "{fault:?} at {at}");
        }
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_is_blocked_until_it_can() {
    let root = tempfile::tempdir().unwrap();
    // A file where a folder should be.
    let parent = root.path().join("state");
    private_file::write_atomic(&parent, b"").unwrap();
    let dir = parent.join("audit");
    let (log, _) = AuditLog::open(&dir, clock()).await.unwrap();
    assert_eq!(format!("{log:?}"), format!("AuditLog({})", dir.display()));
    assert!(matches!(log.state(), AuditState::Blocked(_)));
    assert_eq!(log.head(), None);
    log.append(intent("a")).await.unwrap_err();
    std::fs::remove_file(&parent).unwrap();
    private_file::ensure_dir(&parent).unwrap();
    assert_eq!(log.append(intent("b")).await.unwrap(), 1);
    assert_eq!(log.state(), AuditState::Writable);
    // Who waits for a change is told of one.
    let mut states = log.states();
    states.borrow_and_update();
    log.append(intent("c")).await.unwrap();
    assert!(!states.has_changed().unwrap());
    assert_eq!(operations(&dir), ["b", "c"].map(str::to_owned).into());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_one_that_cannot_be_written() {
    for at in [0, 3] {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("audit");
        let (acknowledged, refused) = run_with_fault(&dir, at, Fault::NothingIsTaken).await;
        assert_eq!((acknowledged.len(), refused), (at + 2, 1));
        sound(&dir);
        assert_eq!(operations(&dir), acknowledged);
    }
}

#[tokio::test]
async fn after_a_failed_sync_the_segment_is_left() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    run_with_fault(&dir, 7, Fault::SyncFails).await;
    assert_eq!(chain::segments(&dir).unwrap(), [1, 2]);
    let records = read::tail(&dir, 100).unwrap();
    let note = records
        .iter()
        .find(|r| r.entry.phase == AuditPhase::Note)
        .unwrap();
    assert_eq!(note.entry.action, SEGMENT_LEFT);
    assert!(
        note.entry.details.starts_with("audit-000001.jsonl"),
        "{note:?}"
    );
}

#[tokio::test]
async fn lines_that_reappear_in_a_segment_that_was_left_are_no_fork() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    run_with_fault(&dir, 7, Fault::SyncFails).await;
    // The cut of the failed batch was not durable either: it is back after a power cut.
    let first = chain::segment_path(&dir, 1);
    let mut bytes = std::fs::read(&first).unwrap();
    let head = read::last_head(&first).unwrap();
    let ghost = line::render(head.as_ref(), &intent("ghost"), None).unwrap();
    bytes.extend_from_slice(ghost.as_bytes());
    bytes.push(b'\n');
    private_file::write_atomic(&first, &bytes).unwrap();
    let result = verify(&dir, None, None).unwrap();
    assert!(result.is_sound(), "{result:?}");
    assert_eq!(result.left_behind, 1);
}

#[tokio::test]
async fn a_blocked_log_finds_by_itself_that_it_can_be_written_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let plan = Arc::new(Plan {
        at: 0,
        fault: Some(Fault::WriteFails(28)),
        ..Plan::default()
    });
    let (log, _) = AuditLog::open_on(&dir, clock(), AuditOptions::default(), move || {
        Box::new(Faulty(Arc::clone(&plan)))
    })
    .await
    .unwrap();
    let mut states = log.states();
    log.append(intent("a")).await.unwrap_err();
    states
        .wait_for(|state| matches!(state, AuditState::Blocked(_)))
        .await
        .unwrap();
    let again = states.wait_for(|state| *state == AuditState::Writable);
    tokio::time::timeout(std::time::Duration::from_secs(30), again)
        .await
        .unwrap()
        .unwrap();
    let last = log.tail(1).await.unwrap().pop().unwrap();
    assert_eq!(last.entry.action, "writable-again");
    assert!(last.entry.details.contains("cannot be written"), "{last:?}");
}
