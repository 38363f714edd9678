//! Reading what is longer than a block, and how far back is looked for intents that have no outcome.

use std::path::Path;

use super::{entry, intent};
use crate::audit::line::{self, MAX_LINE};
use crate::audit::{chain, read};
use crate::domain::audit::{AuditEntry, AuditHead, AuditPhase, AuditRecord};
use crate::private_file;

/// Renders entries as lines chained to those before them.
fn rendered(heads: &mut Vec<AuditHead>, entries: impl IntoIterator<Item = AuditEntry>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let line = line::render(heads.last(), &entry, None).unwrap();
        heads.push(AuditHead {
            seq: line::next_seq(heads.last()),
            hash: line::hash(line.as_bytes()),
        });
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

fn put(dir: &Path, segment: u32, bytes: &[u8]) {
    private_file::ensure_dir(dir).unwrap();
    private_file::write_atomic(&chain::segment_path(dir, segment), bytes).unwrap();
}

fn seqs(records: &[AuditRecord]) -> Vec<u64> {
    records.iter().map(|record| record.seq).collect()
}

#[test]
fn a_segment_of_several_blocks_is_read_from_its_end() {
    let root = tempfile::tempdir().unwrap();
    let dir = &root.path().join("audit");
    let mut heads = Vec::new();
    let bytes = rendered(&mut heads, (0..2000).map(|n| intent(&format!("op-{n}"))));
    // Two whole blocks, and some.
    assert!(bytes.len() > 2 * 256 * 1024 + 1000);
    put(dir, 1, &bytes);
    for limit in [1, 500, 1000, 1500, 1999, 2000, 2001] {
        let first = 2001 - limit.min(2000);
        let found = seqs(&read::tail(dir, limit).unwrap());
        assert_eq!(found, (first as u64..=2000).collect::<Vec<_>>(), "{limit}");
    }
    // A torn end is no record, and costs none.
    let torn = [bytes.as_slice(), &b"x".repeat(300_000)].concat();
    put(dir, 1, &torn);
    assert_eq!(seqs(&read::tail(dir, 2).unwrap()), [1999, 2000]);
    assert_eq!(
        read::last_head(&chain::segment_path(dir, 1)).unwrap(),
        heads.last().cloned()
    );
    for head in [&heads[0], &heads[1], &heads[1999]] {
        assert!(read::holds(dir, head).unwrap(), "{head:?}");
    }
    let mixed = AuditHead {
        seq: 1,
        ..heads[1].clone()
    };
    assert!(!read::holds(dir, &mixed).unwrap());
}

#[test]
fn of_a_line_longer_than_any_record_only_the_start_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let dir = &root.path().join("audit");
    let whole = 4 * MAX_LINE;
    let mut bytes = Vec::new();
    for length in [0, 3, whole - 1, whole, whole + 1, 3 * whole] {
        bytes.extend(std::iter::repeat_n(b'x', length));
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"torn");
    put(dir, 1, &bytes);
    let mut found = Vec::new();
    let torn = read::each_line(&chain::segment_path(dir, 1), |number, line| {
        found.push((number, line.len()));
    });
    assert_eq!(torn.unwrap(), 4);
    let kept = [0, 3, whole - 1, whole, whole, whole];
    assert_eq!(found, (1..).zip(kept).collect::<Vec<_>>());
}

fn outcome(operation: &str) -> AuditEntry {
    entry(AuditPhase::Outcome, operation)
}

fn unfinished(dir: &Path) -> Vec<String> {
    let open = read::unfinished(dir).unwrap();
    open.into_iter()
        .filter_map(|record| record.entry.operation)
        .collect()
}

#[test]
fn intents_are_looked_for_in_the_newest_segments() {
    let root = tempfile::tempdir().unwrap();
    let dir = &root.path().join("audit");
    let mut of_nobody = intent("x");
    of_nobody.operation = None;
    let mut note = intent("noted");
    note.phase = AuditPhase::Note;
    let mut heads = Vec::new();
    let first = rendered(
        &mut heads,
        [intent("old"), intent("ended"), of_nobody, note],
    );
    put(dir, 1, &first);
    // Two megabytes of something else, and the outcome of one of them.
    let second = rendered(&mut heads, [outcome("ended"), intent("new")]);
    put(
        dir,
        2,
        &[second.as_slice(), &b"no record\n".repeat(210_000)].concat(),
    );
    assert_eq!(unfinished(dir), ["old", "new"]);
    // An outcome may be read before its intent.
    let third = rendered(&mut heads, [outcome("new")]);
    put(dir, 3, &third);
    assert_eq!(unfinished(dir), ["old"]);
    // What is behind as much as is searched was searched by every start since. The length is enough to say so.
    let path = chain::segment_path(dir, 3);
    let file = private_file::open_append(&path, false).unwrap();
    file.set_len(60 * 1024 * 1024).unwrap();
    assert_eq!(unfinished(dir), ["old"]);
    file.set_len(64 * 1024 * 1024).unwrap();
    assert_eq!(unfinished(dir), Vec::<String>::new());
}
