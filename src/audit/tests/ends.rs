//! How the end of a log is found and mended: segments longer than what is read of them, segments without a
//! record, files that were cut or taken away while the log is open.

use std::path::Path;

use super::{clock, intent, open, sound};
use crate::audit::chain::{self, Repair};
use crate::audit::line::{self, MAX_LINE};
use crate::audit::log::{AuditLog, AuditOptions};
use crate::audit::verify::{Problem, verify};
use crate::audit::{Recovered, read};
use crate::domain::audit::AuditHead;
use crate::private_file;

/// Returns chained lines with their line feeds, as many as fill `size` bytes or a little more.
fn records(size: usize) -> (Vec<u8>, AuditHead) {
    let mut bytes = Vec::new();
    let mut head: Option<AuditHead> = None;
    while bytes.len() < size {
        let line = line::render(head.as_ref(), &intent("long"), None).unwrap();
        head = Some(AuditHead {
            seq: line::next_seq(head.as_ref()),
            hash: line::hash(line.as_bytes()),
        });
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    (bytes, head.unwrap())
}

fn put(dir: &Path, segment: u32, bytes: &[u8]) {
    private_file::ensure_dir(dir).unwrap();
    private_file::write_atomic(&chain::segment_path(dir, segment), bytes).unwrap();
}

async fn recovered(dir: &Path) -> (AuditLog, Recovered) {
    AuditLog::open(dir, clock()).await.unwrap()
}

#[test]
fn a_repair_says_what_it_was() {
    let repair = |torn_bytes, foreign_lines, shrunk| {
        Repair {
            torn_bytes,
            foreign_lines,
            shrunk,
        }
        .describe()
    };
    assert_eq!(repair(0, 0, false), "");
    assert_eq!(repair(1, 0, false), "cut 1 bytes of a torn record");
    assert_eq!(repair(0, 1, false), "1 lines before this are no records");
    assert_eq!(repair(0, 0, true), "the log had become shorter");
    assert_eq!(
        repair(7, 2, true),
        "cut 7 bytes of a torn record; 2 lines before this are no records; the log had become shorter"
    );
}

#[tokio::test]
async fn the_end_of_a_long_segment_is_found() {
    let root = tempfile::tempdir().unwrap();
    for size in [0, 4 * MAX_LINE - 500, 4 * MAX_LINE, 10 * MAX_LINE] {
        let dir = root.path().join(size.to_string());
        let (bytes, head) = records(size.max(1));
        put(&dir, 1, &bytes);
        let (log, found) = recovered(&dir).await;
        assert_eq!(found, Recovered::default(), "{size}");
        assert_eq!(log.head().unwrap(), head, "{size}");
        let seq = log.append(intent("next")).await.unwrap();
        assert_eq!(seq, head.seq + 1);
        assert_eq!(sound(&dir).records, seq);
    }
}

#[tokio::test]
async fn rubbish_longer_than_what_is_read_of_the_end_is_cut_or_counted() {
    let root = tempfile::tempdir().unwrap();
    let (good, head) = records(20 * MAX_LINE);
    // One line without an end.
    let dir = root.path().join("torn");
    let torn = vec![b'x'; 5 * MAX_LINE];
    put(&dir, 1, &[good.as_slice(), &torn].concat());
    let (log, found) = recovered(&dir).await;
    let expected = Recovered {
        torn_bytes: torn.len() as u64,
        foreign_lines: 0,
    };
    assert_eq!(found, expected);
    // The note of it is the next record.
    assert_eq!(log.head().unwrap().seq, head.seq + 1);
    sound(&dir);
    // Whole lines: they stay, and each counts as the record that it stands for.
    let dir = root.path().join("foreign");
    let foreign = b"no record\n".repeat(9 * MAX_LINE / 10);
    let lines = foreign.len() as u64 / 10;
    put(&dir, 1, &[good.as_slice(), &foreign].concat());
    let (log, found) = recovered(&dir).await;
    assert_eq!((found.torn_bytes, found.foreign_lines), (0, lines));
    assert_eq!(log.head().unwrap().seq, head.seq + lines + 1);
    let result = verify(&dir, None, None).unwrap();
    let rubbish = |finding: &crate::audit::Finding| finding.problem == Problem::NotARecord;
    assert!(result.findings.iter().all(rubbish));
}

#[tokio::test]
async fn a_segment_without_a_record_goes_on_where_the_one_before_it_ended() {
    let root = tempfile::tempdir().unwrap();
    let (good, head) = records(1500);
    for (name, newest) in [("empty", &b""[..]), ("torn", b"{\"v\":1")] {
        let dir = root.path().join(name);
        put(&dir, 1, &good);
        put(&dir, 2, b"");
        put(&dir, 3, newest);
        let (log, found) = recovered(&dir).await;
        assert_eq!(found.torn_bytes, newest.len() as u64);
        let noted = u64::from(!newest.is_empty());
        assert_eq!(
            log.append(intent("next")).await.unwrap(),
            head.seq + 1 + noted
        );
        sound(&dir);
    }
}

#[tokio::test]
async fn a_segment_is_full_with_the_byte_that_fills_it() {
    let root = tempfile::tempdir().unwrap();
    let probe = root.path().join("probe");
    open(&probe).await.append(intent("a")).await.unwrap();
    let length = std::fs::metadata(chain::segment_path(&probe, 1))
        .unwrap()
        .len();
    for (rotate_bytes, segments) in [(length, 2), (length + 1, 1), (0, 2)] {
        let dir = root.path().join(rotate_bytes.to_string());
        let options = AuditOptions { rotate_bytes };
        let (log, _) = AuditLog::open_with(&dir, clock(), options).await.unwrap();
        for operation in ["a", "b"] {
            log.append(intent(operation)).await.unwrap();
        }
        assert_eq!(sound(&dir).segments, segments, "{rotate_bytes}");
    }
}

/// What happened to a log that is open, and what its next records are.
async fn after(
    dir: &Path,
    happened: impl FnOnce(&Path, &[u8]),
) -> (u64, String, crate::audit::Verification) {
    let log = open(dir).await;
    for operation in ["a", "b", "c"] {
        log.append(intent(operation)).await.unwrap();
    }
    let path = chain::segment_path(dir, 1);
    let bytes = std::fs::read(&path).unwrap();
    happened(&path, &bytes);
    let seq = log.append(intent("d")).await.unwrap();
    let note = read::tail(dir, 2).unwrap().remove(0);
    let said = format!("{}: {}", note.entry.action, note.entry.details);
    (seq, said, verify(dir, None, None).unwrap())
}

fn lines(bytes: &[u8], count: usize) -> Vec<u8> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.take(count).flatten().copied().collect()
}

#[tokio::test]
async fn a_log_that_becomes_shorter_while_it_is_open_goes_on_and_says_so() {
    let root = tempfile::tempdir().unwrap();
    let shorter = "recovered: the log had become shorter";
    let dir = root.path().join("cut");
    let (seq, said, found) = after(&dir, |path, bytes| {
        let file = private_file::open_append(path, false).unwrap();
        file.set_len(lines(bytes, 1).len() as u64).unwrap();
    })
    .await;
    assert_eq!((seq, said.as_str()), (3, shorter));
    assert!(found.is_sound(), "{found:?}");
    // In the middle of a record.
    let dir = root.path().join("torn");
    let (seq, said, found) = after(&dir, |path, bytes| {
        let file = private_file::open_append(path, false).unwrap();
        file.set_len(lines(bytes, 2).len() as u64 - 9).unwrap();
    })
    .await;
    assert_eq!(seq, 3);
    assert!(
        said.starts_with("recovered: cut ") && said.ends_with("had become shorter"),
        "{said}"
    );
    assert!(found.is_sound(), "{found:?}");
    // Another file under its name.
    let dir = root.path().join("replaced");
    let (seq, said, found) = after(&dir, |path, bytes| {
        private_file::write_atomic(path, &lines(bytes, 2)).unwrap();
    })
    .await;
    assert_eq!((seq, said.as_str()), (4, shorter));
    assert!(found.is_sound(), "{found:?}");
    // No file at all.
    let dir = root.path().join("gone");
    let (seq, said, found) = after(&dir, |path, _| std::fs::remove_file(path).unwrap()).await;
    assert_eq!((seq, said.as_str()), (2, shorter));
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.segments, 1);
}

#[tokio::test]
async fn lines_of_another_process_are_read_from_where_ours_end() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let (one, other) = (open(&dir).await, open(&dir).await);
    for number in 0..6 {
        let log = if number % 2 == 0 { &one } else { &other };
        let seq = log.append(intent(&number.to_string())).await.unwrap();
        assert_eq!(seq, number + 1);
        assert_eq!(log.head().unwrap().seq, seq);
    }
    assert_eq!(sound(&dir).records, 6);
}
