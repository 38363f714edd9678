//! Several writers, rotation, reading back, and what other processes leave behind.

use std::io;
use std::time::Duration;

use super::{clock, entry, intent, open, sound};
use crate::audit::chain::{self, Held};
use crate::audit::line;
use crate::audit::log::{AuditLog, AuditOptions};
use crate::audit::verify::{Problem, verify};
use crate::domain::audit::{AuditHead, AuditPhase, AuditRecord};
use crate::private_file;

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
        private_file::write_atomic(&path, &bytes).unwrap();
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
    let mut file = private_file::open_append(&chain::segment_path(&dir, 1), false).unwrap();
    io::Write::write_all(&mut file, b"{\"v\":1,\"se").unwrap();
    assert_eq!(log.append(intent("b")).await.unwrap(), 3);
    assert_eq!(sound(&dir).records, 3);
}

#[tokio::test]
async fn who_checks_waits_for_who_is_in_the_middle_of_a_line() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    open(&dir).await.append(intent("a")).await.unwrap();
    let path = chain::segment_path(&dir, 1);
    let written = std::fs::read(&path).unwrap();
    let head = AuditHead {
        seq: 1,
        hash: line::hash(written.trim_ascii_end()),
    };
    let next = line::render(Some(&head), &intent("b"), None).unwrap() + "\n";
    let (half, rest) = next.split_at(next.len() / 2);
    let lock = chain::open_lock(&dir).unwrap();
    let writing = Held::take(&lock).unwrap();
    let mut file = private_file::open_append(&path, false).unwrap();
    io::Write::write_all(&mut file, half.as_bytes()).unwrap();
    let checking = std::thread::spawn(move || verify(&dir, None, None));
    // Long enough for who does not wait, and far from what is waited for.
    std::thread::park_timeout(Duration::from_millis(100));
    io::Write::write_all(&mut file, rest.as_bytes()).unwrap();
    drop(writing);
    let found = checking.join().unwrap().unwrap();
    assert!(found.is_sound() && found.records == 2, "{found:?}");
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
    private_file::write_atomic(&path, edited.as_bytes()).unwrap();
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
    let names = |records: Vec<AuditRecord>| -> Vec<String> {
        records
            .into_iter()
            .filter_map(|r| r.entry.operation)
            .collect()
    };
    assert!(dead.unfinished().await.unwrap().is_empty());
    assert!(living.unfinished().await.unwrap().is_empty());
    drop(dead);
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
