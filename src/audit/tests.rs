//! Tests of the log as a whole: faults of the disk, two writers, repair, rotation, edits.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner};
use rand::rand_core::Rng as _;

use super::log::{AuditLog, AuditOptions};
use super::medium::{Disk, Medium, SegmentFile};
use super::verify::{Problem, Verification, verify};
use super::{AuditError, chain};
use crate::clock::Clock;
use crate::domain::audit::{AuditEntry, AuditKey, AuditPhase};
use crate::domain::inventory::AuditState;
use crate::private_file::PrivateFileError;

fn clock() -> Clock {
    Clock::manual("2026-01-01T00:00:00Z".parse().unwrap())
}

fn entry(phase: AuditPhase, operation: &str) -> AuditEntry {
    AuditEntry {
        timestamp: "2026-01-01T00:00:00Z".into(),
        phase,
        action: "start".into(),
        host: Some("kvm1".into()),
        vm: None,
        vm_id: None,
        actor: None,
        client_ip: None,
        plan: vec!["virsh start x".into()],
        rule: None,
        state_before: None,
        state_after: None,
        status: "pending".into(),
        details: String::new(),
        elapsed_ms: None,
        operation: Some(operation.into()),
    }
}

fn intent(operation: &str) -> AuditEntry {
    entry(AuditPhase::Intent, operation)
}

async fn open(dir: &Path) -> AuditLog {
    AuditLog::open(dir, clock()).await.unwrap().0
}

fn sound(dir: &Path) -> Verification {
    let result = verify(dir, None, None).unwrap();
    assert_eq!(result.findings, [], "{result:?}");
    result
}

fn operations(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for number in chain::segments(dir).unwrap() {
        super::read::each_line(&chain::segment_path(dir, number), |_, line| {
            found.extend(super::line::parse(line).unwrap().entry.operation);
        })
        .unwrap();
    }
    found
}

/// What shall go wrong, counted over every write (or sync) of the medium.
#[derive(Debug, Clone, Copy)]
enum Fault {
    WriteFails(i32),
    WriteIsShort,
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
async fn after_a_failed_sync_the_segment_is_left() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    run_with_fault(&dir, 7, Fault::SyncFails).await;
    assert_eq!(chain::segments(&dir).unwrap(), [1, 2]);
    let records = super::read::tail(&dir, 100).unwrap();
    let note = records
        .iter()
        .find(|r| r.entry.phase == AuditPhase::Note)
        .unwrap();
    assert_eq!(note.entry.action, super::verify::SEGMENT_LEFT);
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
    let head = super::read::last_head(&first).unwrap();
    let ghost = super::line::render(head.as_ref(), &intent("ghost"), None).unwrap();
    bytes.extend_from_slice(ghost.as_bytes());
    bytes.push(b'\n');
    crate::private_file::write_atomic(&first, &bytes).unwrap();
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
    assert!(last.entry.details.contains("could not write"), "{last:?}");
}

#[tokio::test]
async fn two_logs_on_one_directory_make_one_chain() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let options = AuditOptions { rotate_bytes: 4000 };
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (log, _) = AuditLog::open_with(&dir, clock(), options).await.unwrap();
        writers.spawn(async move {
            let mut seqs = Vec::new();
            for number in 0..40 {
                seqs.push(
                    log.append(intent(&format!("{writer}-{number}")))
                        .await
                        .unwrap(),
                );
            }
            seqs
        });
    }
    let mut all: Vec<u64> = writers.join_all().await.into_iter().flatten().collect();
    all.sort_unstable();
    assert_eq!(all, (1..=160).collect::<Vec<u64>>());
    let result = sound(&dir);
    assert_eq!(result.records, 160);
    assert!(result.segments > 5, "{result:?}");
}

#[tokio::test]
async fn waiting_records_are_written_together_and_each_gets_its_number() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let log = open(&dir).await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..300 {
        let log = log.clone();
        writers.spawn(async move {
            let name = format!("op-{number}");
            (log.append(intent(&name)).await.unwrap(), name)
        });
    }
    let answers = writers.join_all().await;
    let records = log.tail(1000).await.unwrap();
    assert_eq!(records.len(), 300);
    for (seq, name) in answers {
        let record = records.iter().find(|record| record.seq == seq).unwrap();
        assert_eq!(record.entry.operation.as_deref(), Some(name.as_str()));
    }
    sound(&dir);
}

#[tokio::test]
async fn a_torn_end_is_cut_and_recorded() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let log = open(&dir).await;
    log.append(intent("a")).await.unwrap();
    drop(log);
    let path = chain::segment_path(&dir, 1);
    for torn in [&b"{\"v\":1,\"seq\":2,\"pr"[..], b"\0\0\0\0\n\0\0", b"{"] {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(torn);
        crate::private_file::write_atomic(&path, &bytes).unwrap();
        let before = verify(&dir, None, None).unwrap();
        assert!(!before.is_sound());
        let (log, recovered) = AuditLog::open(&dir, clock()).await.unwrap();
        assert_eq!(recovered.torn_bytes, torn.len() as u64);
        let last = log.tail(1).await.unwrap().pop().unwrap();
        assert_eq!(last.entry.action, "recovered");
        assert!(last.entry.details.contains(&torn.len().to_string()));
        sound(&dir);
    }
}

#[tokio::test]
async fn another_process_s_torn_end_is_mended_by_the_next_append() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let log = open(&dir).await;
    log.append(intent("a")).await.unwrap();
    let mut file = crate::private_file::open_append(&chain::segment_path(&dir, 1), false).unwrap();
    io::Write::write_all(&mut file, b"{\"v\":1,\"se").unwrap();
    assert_eq!(log.append(intent("b")).await.unwrap(), 3);
    assert_eq!(sound(&dir).records, 3);
}

#[tokio::test]
async fn a_log_that_was_edited_still_takes_records_and_the_edit_is_found() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let log = open(&dir).await;
    log.append(intent("a")).await.unwrap();
    log.append(intent("b")).await.unwrap();
    drop(log);
    let path = chain::segment_path(&dir, 1);
    let text = std::fs::read_to_string(&path).unwrap();
    let edited = text.replacen("{\"v\":1,\"seq\":2", "{\"v\":1,,seq\":2", 1);
    crate::private_file::write_atomic(&path, edited.as_bytes()).unwrap();
    let (log, recovered) = AuditLog::open(&dir, clock()).await.unwrap();
    assert_eq!(recovered.foreign_lines, 1);
    assert_eq!(log.append(intent("c")).await.unwrap(), 4);
    let result = verify(&dir, None, None).unwrap();
    let found: Vec<_> = result
        .findings
        .iter()
        .map(|f| (f.line, &f.problem))
        .collect();
    assert_eq!(found, [(2, &Problem::NotARecord)]);
}

#[tokio::test]
async fn intents_of_the_dead_are_found_and_those_of_the_living_are_not() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let living = open(&dir).await;
    living.append(intent("living")).await.unwrap();
    let dead = open(&dir).await;
    for operation in ["done", "lost"] {
        dead.append(intent(operation)).await.unwrap();
    }
    dead.append(entry(AuditPhase::Outcome, "done"))
        .await
        .unwrap();
    let names = |records: Vec<crate::domain::audit::AuditRecord>| -> Vec<String> {
        records
            .into_iter()
            .filter_map(|r| r.entry.operation)
            .collect()
    };
    assert!(dead.unfinished().await.unwrap().is_empty());
    assert!(living.unfinished().await.unwrap().is_empty());
    let inner = Arc::new(Mutex::new(Some(dead)));
    drop(inner.lock().unwrap().take());
    let third = open(&dir).await;
    // The dead log's thread gives its lock back on its own time.
    let mut found = Vec::new();
    for _ in 0..2000 {
        found = names(third.unfinished().await.unwrap());
        if !found.is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(found, ["lost"]);
    living
        .append(entry(AuditPhase::Outcome, "living"))
        .await
        .unwrap();
    third
        .append(entry(AuditPhase::Outcome, "lost"))
        .await
        .unwrap();
    assert!(third.unfinished().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_tail_reads_across_segments() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let options = AuditOptions { rotate_bytes: 2000 };
    let (log, _) = AuditLog::open_with(&dir, clock(), options).await.unwrap();
    for number in 0..50 {
        log.append(intent(&format!("op-{number}"))).await.unwrap();
    }
    for limit in [0, 1, 7, 49, 50, 500] {
        let seqs: Vec<u64> = log
            .tail(limit)
            .await
            .unwrap()
            .iter()
            .map(|r| r.seq)
            .collect();
        let first = 51 - limit.min(50) as u64;
        assert_eq!(seqs, (first..=50).collect::<Vec<_>>(), "{limit}");
    }
    drop(log);
    let (again, _) = AuditLog::open_with(&dir, clock(), options).await.unwrap();
    assert_eq!(again.head().unwrap().seq, 50);
    assert_eq!(again.append(intent("x")).await.unwrap(), 51);
    sound(&dir);
}

#[tokio::test]
async fn the_remembered_end_is_looked_for_in_all_segments() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let options = AuditOptions {
        rotate_bytes: 50_000,
    };
    let (log, _) = AuditLog::open_with(&dir, clock(), options).await.unwrap();
    let mut heads = Vec::new();
    for number in 0..20 {
        log.append(intent(&format!("early-{number}")))
            .await
            .unwrap();
        heads.push(log.head().unwrap());
    }
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..400 {
        let log = log.clone();
        writers.spawn(async move { log.append(intent(&format!("{number}"))).await.unwrap() });
    }
    writers.join_all().await;
    heads.push(log.head().unwrap());
    for head in &heads {
        assert!(log.holds(head.clone()).await.unwrap(), "{head:?}");
        let mut other = head.clone();
        other.hash = "0".repeat(64);
        assert!(!log.holds(other).await.unwrap());
    }
    let mut later = heads[0].clone();
    later.seq = 10_000;
    assert!(!log.holds(later).await.unwrap());
}

#[tokio::test]
async fn loose_modes_are_refused_with_the_command_that_mends_them() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    drop(open(&dir).await);
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = AuditLog::open(&dir, clock()).await.unwrap_err();
    let hint = crate::domain::error_kind::Classify::hint(&error).unwrap();
    assert!(hint.0.contains("chmod 700"), "{hint}");
}

/// Returns the complete lines of the first segment that are records.
fn records_of(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter(|line| line.ends_with(b"\n"))
        .map(|line| line[..line.len() - 1].to_vec())
        .filter(|line| super::line::parse(line).is_some())
        .collect()
}

/// Opens and closes a log and waits until its thread has let go of it.
async fn reopen(dir: &Path) {
    let log = open(dir).await;
    log.append(intent("after")).await.unwrap();
    drop(log);
}

#[tokio::test]
async fn after_a_power_cut_in_the_middle_of_a_batch_what_was_acknowledged_is_there() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let log = open(&dir).await;
    for number in 0..3 {
        log.append(intent(&format!("durable-{number}")))
            .await
            .unwrap();
    }
    let path = chain::segment_path(&dir, 1);
    let durable = std::fs::read(&path).unwrap();
    let batch: Vec<_> = (0..4).map(|n| intent(&format!("lost-{n}"))).collect();
    futures_util::future::join_all(batch.into_iter().map(|entry| log.append(entry))).await;
    drop(log);
    let all = std::fs::read(&path).unwrap();
    let unsynced = &all[durable.len()..];
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    // Any length of what was written, as bytes and as blocks that were never filled, and random
    // sectors missing in the middle.
    let prefixes = (0..=unsynced.len())
        .step_by(11)
        .map(|end| unsynced[..end].to_vec());
    let holes = (0..=unsynced.len()).step_by(61).map(|end| vec![0; end]);
    let sectors = (0..60).map(|_| {
        let mut bytes = unsynced.to_vec();
        for sector in bytes.chunks_mut(64) {
            if rng.next_u32().is_multiple_of(3) {
                sector.fill(0);
            }
        }
        bytes
    });
    for (case, rest) in prefixes.chain(holes).chain(sectors).enumerate() {
        std::fs::remove_dir_all(&dir).unwrap();
        crate::private_file::ensure_dir(&dir).unwrap();
        crate::private_file::write_atomic(&path, &[durable.as_slice(), &rest].concat()).unwrap();
        let before = records_of(&path);
        reopen(&dir).await;
        let after = records_of(&path);
        assert!(
            after.starts_with(&before),
            "case {case}: a record was thrown away"
        );
        assert!(before.len() >= 3, "case {case}");
        let result = verify(&dir, None, None).unwrap();
        // A hole with records after it stays, and is reported; everything else is mended.
        let hole = |problem: &Problem| {
            !matches!(
                problem,
                Problem::OutOfOrder { .. } | Problem::TornTail { .. }
            )
        };
        assert!(
            result.findings.iter().all(|finding| hole(&finding.problem)),
            "case {case}: {result:?}"
        );
        if !rest.contains(&0) {
            assert_eq!(result.findings, [], "case {case}");
        }
    }
}

#[test]
fn whatever_stands_at_the_end_the_log_goes_on_after_it() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(reopen(&dir));
    let path = chain::segment_path(&dir, 1);
    let good = std::fs::read(&path).unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    });
    let pieces = [
        "\n",
        "\0",
        "{",
        "}",
        "\"seq\":7",
        "{\"v\":1,\"seq\":3,\"prev\":0}",
        "{\"v\":1,\"seq\":18446744073709551615,\"prev\":0}",
        "x",
        ",",
        "\u{feff}",
        "[[[",
    ];
    let rubbish = proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..12);
    runner
        .run(&rubbish, |pieces| {
            let bytes = [good.as_slice(), pieces.concat().as_bytes()].concat();
            crate::private_file::write_atomic(&path, &bytes).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            std::thread::scope(|scope| {
                scope
                    .spawn(|| runtime.block_on(reopen(&dir)))
                    .join()
                    .unwrap();
            });
            let after = records_of(&path);
            proptest::prop_assert!(after.len() >= 2);
            let last = super::line::parse(after.last().unwrap()).unwrap();
            proptest::prop_assert_eq!(last.entry.operation.as_deref(), Some("after"));
            Ok(())
        })
        .unwrap();
}

/// Makes a log of `count` records with MACs over several segments; returns key and head.
async fn signed_log(dir: &Path, count: usize) -> (AuditKey, crate::domain::audit::AuditHead) {
    let key = AuditKey::new([42; 32]);
    let options = AuditOptions {
        rotate_bytes: 20_000,
    };
    let (log, _) = AuditLog::open_with(dir, clock(), options).await.unwrap();
    log.set_key(Some(key.clone()));
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..count {
        let log = log.clone();
        writers.spawn(async move { log.append(intent(&format!("op-{number}"))).await.unwrap() });
    }
    writers.join_all().await;
    (key, log.head().unwrap())
}

/// One random change of the files of a log; false when it changed nothing.
fn tamper(dir: &Path, rng: &mut TestRng) -> bool {
    let mut below = |limit: usize| usize::try_from(rng.next_u64()).unwrap() % limit.max(1);
    let numbers = chain::segments(dir).unwrap();
    let path = chain::segment_path(dir, numbers[below(numbers.len())]);
    let before = std::fs::read(&path).unwrap();
    let mut after = before.clone();
    let mut lines: Vec<Vec<u8>> = before
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    match below(6) {
        0 | 1 => {
            let at = below(after.len());
            after[at] = u8::try_from(below(256)).unwrap();
        }
        2 => {
            let (one, other) = (below(lines.len()), below(lines.len()));
            lines.swap(one, other);
            after = lines.concat();
        }
        3 => {
            lines.remove(below(lines.len()));
            after = lines.concat();
        }
        4 => {
            let (from, to) = (below(lines.len()), below(lines.len()));
            lines.insert(to, lines[from].clone());
            after = lines.concat();
        }
        _ => after.truncate(below(before.len())),
    }
    crate::private_file::write_atomic(&path, &after).unwrap();
    before != after
}

fn copy_log(from: &Path, to: &Path) {
    crate::private_file::ensure_dir(to).unwrap();
    for number in chain::segments(from).unwrap() {
        let bytes = std::fs::read(chain::segment_path(from, number)).unwrap();
        crate::private_file::write_atomic(&chain::segment_path(to, number), &bytes).unwrap();
    }
}

#[tokio::test]
async fn every_change_of_the_files_is_found() {
    find_every_change(300, 400).await;
}

#[tokio::test]
#[ignore = "the long campaign: minutes"]
async fn every_one_of_ten_thousand_changes_is_found() {
    find_every_change(1000, 10_000).await;
}

async fn find_every_change(records: usize, changes: usize) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let (key, head) = signed_log(&dir, records).await;
    let clean = verify(&dir, Some(&key), Some(&head)).unwrap();
    assert!(clean.is_sound(), "{clean:?}");
    let count = records as u64;
    assert_eq!((clean.records, clean.authentic), (count, count));
    assert_eq!(clean.authentic_up_to, Some(count));
    assert!(clean.segments >= 3);
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let mut done = 0;
    while done < changes {
        let copy = root.path().join("copy");
        copy_log(&dir, &copy);
        if tamper(&copy, &mut rng) {
            done += 1;
            let with_both = verify(&copy, Some(&key), Some(&head)).unwrap();
            assert!(!with_both.is_sound(), "change {done} was not found");
            // The chain and the mirror alone find it too: the key is only needed against somebody
            // who writes the whole rest of the log anew.
            let without_key = verify(&copy, None, Some(&head)).unwrap();
            assert!(
                !without_key.is_sound(),
                "change {done} was not found without the key"
            );
        }
        std::fs::remove_dir_all(&copy).unwrap();
    }
}

#[tokio::test]
async fn a_log_that_was_forged_from_some_line_on_is_found_by_the_key() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let (key, _) = signed_log(&dir, 50).await;
    // Somebody without the key writes the last lines anew, chained as they should be.
    let path = chain::segment_path(&dir, 1);
    let bytes = std::fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let kept = lines[..lines.len() - 1].concat();
    crate::private_file::write_atomic(&path, &kept).unwrap();
    let head = super::read::last_head(&path).unwrap();
    let wrong = AuditKey::new([0; 32]);
    let forged = super::line::render(head.as_ref(), &intent("harmless"), Some(&wrong)).unwrap();
    let all = [kept.as_slice(), forged.as_bytes(), b"\n"].concat();
    crate::private_file::write_atomic(&path, &all).unwrap();
    assert!(
        verify(&dir, None, None).unwrap().is_sound(),
        "the chain alone is fooled"
    );
    let result = verify(&dir, Some(&key), None).unwrap();
    assert_eq!(result.findings[0].problem, Problem::WrongMac);
    assert_eq!(result.authentic_up_to, Some(49));
}

#[tokio::test]
async fn a_cut_end_is_named() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let log = open(&dir).await;
    for number in 0..5 {
        log.append(intent(&format!("{number}"))).await.unwrap();
    }
    let head = log.head().unwrap();
    drop(log);
    let path = chain::segment_path(&dir, 1);
    let bytes = std::fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    crate::private_file::write_atomic(&path, &lines[..3].concat()).unwrap();
    let result = verify(&dir, None, Some(&head)).unwrap();
    assert_eq!(
        result.findings[0].to_string(),
        "audit-000001.jsonl: the log ends after record 3, but the profile remembers record 5"
    );
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(!verify(&dir, None, Some(&head)).unwrap().is_sound());
    assert!(
        verify(&dir, None, None).unwrap().is_sound(),
        "no log is no broken log"
    );
}
