//! Somebody edits the files: every change is found.

use std::path::{Path, PathBuf};

use proptest::test_runner::{RngAlgorithm, TestRng};
use rand::rand_core::Rng as _;

use super::{clock, intent, open};
use crate::audit::log::{AuditLog, AuditOptions};
use crate::audit::verify::{Problem, verify};
use crate::audit::{chain, line, read};
use crate::domain::audit::{AuditHead, AuditKey};
use crate::private_file;

/// Makes a log of `count` records with MACs over several segments; returns key and head.
async fn signed_log(dir: &Path, count: usize) -> (AuditKey, AuditHead) {
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

/// One random change of one file of a log; returns the file and what was in it, or `None` when nothing
/// was changed.
fn tamper(dir: &Path, rng: &mut TestRng) -> Option<(PathBuf, Vec<u8>)> {
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
    if before == after {
        return None;
    }
    overwrite(&path, &after);
    Some((path, before))
}

/// Writes a file as an editor does: nobody waits for the disk.
#[expect(clippy::disallowed_methods, reason = "what somebody else does to it")]
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

fn copy_log(from: &Path, to: &Path) {
    private_file::ensure_dir(to).unwrap();
    for number in chain::segments(from).unwrap() {
        let path = chain::segment_path(from, number);
        std::fs::copy(path, chain::segment_path(to, number)).unwrap();
    }
}

#[tokio::test]
async fn every_change_of_the_files_is_found() {
    find_every_change(300, 400).await;
}

#[tokio::test]
#[ignore = "ten thousand changes: tests/campaign durability"]
async fn every_one_of_ten_thousand_changes_is_found() {
    find_every_change(1000, 10_000).await;
}

/// Threads that change logs.
const WORKERS: u8 = 4;

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
    // Each on a copy of its own; always as many, so that the changes are always the same.
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let copy = root.path().join(format!("copy-{worker}"));
            copy_log(&dir, &copy);
            let (key, head) = (&key, &head);
            let share = changes.div_ceil(usize::from(WORKERS));
            let seed = [worker; 32];
            scope.spawn(move || find_changes(&copy, (key, head), seed, share));
        }
    });
}

/// Changes a log in one place at a time.
fn find_changes(dir: &Path, (key, head): (&AuditKey, &AuditHead), seed: [u8; 32], changes: usize) {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut done = 0;
    while done < changes {
        let Some((path, before)) = tamper(dir, &mut rng) else {
            continue;
        };
        done += 1;
        let with_both = verify(dir, Some(key), Some(head)).unwrap();
        assert!(!with_both.is_sound(), "change {done} was not found");
        // The chain and the mirror alone find it too: the key is only needed against somebody
        // who writes the whole rest of the log anew.
        let without_key = verify(dir, None, Some(head)).unwrap();
        assert!(
            !without_key.is_sound(),
            "change {done} was not found without the key"
        );
        overwrite(&path, &before);
    }
    assert!(verify(dir, Some(key), Some(head)).unwrap().is_sound());
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
    private_file::write_atomic(&path, &kept).unwrap();
    let head = read::last_head(&path).unwrap();
    let wrong = AuditKey::new([0; 32]);
    let forged = line::render(head.as_ref(), &intent("harmless"), Some(&wrong)).unwrap();
    let all = [kept.as_slice(), forged.as_bytes(), b"\n"].concat();
    private_file::write_atomic(&path, &all).unwrap();
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
    private_file::write_atomic(&path, &lines[..3].concat()).unwrap();
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
