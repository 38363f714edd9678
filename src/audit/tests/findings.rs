//! What a check says of each thing that can be wrong, and where its bounds lie.

use std::path::Path;

use super::{entry, intent};
use crate::audit::line::{self, MAX_LINE, NO_PREVIOUS};
use crate::audit::verify::{Finding, MAX_FINDINGS, Problem, SEGMENT_LEFT, Walk, verify};
use crate::audit::{Verification, chain};
use crate::domain::audit::{AuditEntry, AuditHead, AuditPhase};
use crate::private_file;

/// Returns `count` chained lines, the first of them after `head`.
fn lines_after(head: Option<&AuditHead>, count: usize) -> Vec<Vec<u8>> {
    let mut head = head.cloned();
    let mut lines = Vec::new();
    for number in 0..count {
        let line = line::render(head.as_ref(), &intent(&format!("op-{number}")), None).unwrap();
        head = Some(head_of(line.as_bytes()));
        lines.push(line.into_bytes());
    }
    lines
}

fn head_of(line: &[u8]) -> AuditHead {
    AuditHead {
        seq: line::parse(line).unwrap().seq,
        hash: line::hash(line),
    }
}

fn walked(lines: &[Vec<u8>], mirror: Option<&AuditHead>) -> Verification {
    let mut walk = Walk::new(None, mirror);
    for (number, line) in (1..).zip(lines) {
        walk.line(number, line);
    }
    walk.finish()
}

fn problems(found: &Verification) -> Vec<(usize, Problem)> {
    let of = |finding: &Finding| (finding.line, finding.problem.clone());
    found.findings.iter().map(of).collect()
}

fn put(dir: &Path, segment: u32, lines: &[Vec<u8>]) {
    private_file::ensure_dir(dir).unwrap();
    let mut bytes = lines.join(&b'\n');
    bytes.push(b'\n');
    private_file::write_atomic(&chain::segment_path(dir, segment), &bytes).unwrap();
}

#[test]
fn each_problem_is_said_in_words() {
    let words = [
        (Problem::NotARecord, "is no audit record"),
        (
            Problem::TooLong,
            "is longer than the 16384 bytes of any record",
        ),
        (
            Problem::Edited,
            "this line or the one before it has been changed",
        ),
        (Problem::WrongMac, "has been changed: its MAC does not fit"),
        (
            Problem::Missing { from: 4, to: 4 },
            "record 4 is missing before it",
        ),
        (
            Problem::Missing { from: 4, to: 6 },
            "records 4 to 6 are missing before it",
        ),
        (
            Problem::OutOfOrder {
                expected: 4,
                found: 2,
            },
            "record 2 stands where 4 belongs",
        ),
        (
            Problem::CutAfter {
                last: 3,
                remembered: 5,
            },
            "the log ends after record 3, but the profile remembers record 5",
        ),
        (
            Problem::NotAsRemembered { seq: 5 },
            "record 5 is not the one that the profile remembers",
        ),
        (
            Problem::TornTail { bytes: 17 },
            "ends with 17 bytes of an incomplete record",
        ),
        (Problem::SegmentMissing, "the segment is missing"),
    ];
    for (problem, said) in words {
        let mut finding = Finding {
            file: "audit-000001.jsonl".to_owned(),
            line: 0,
            problem,
        };
        assert_eq!(finding.to_string(), format!("audit-000001.jsonl: {said}"));
        finding.line = 7;
        assert_eq!(finding.to_string(), format!("audit-000001.jsonl:7: {said}"));
    }
}

#[test]
fn a_line_is_too_long_from_the_first_byte_that_no_record_has() {
    let longest = walked(&[vec![b'x'; MAX_LINE]], None);
    assert_eq!(problems(&longest), [(1, Problem::NotARecord)]);
    let longer = walked(&[vec![b'x'; MAX_LINE + 1]], None);
    assert_eq!(
        problems(&longer),
        [(1, Problem::TooLong), (1, Problem::NotARecord)]
    );
}

#[test]
fn what_is_missing_and_what_stands_in_the_wrong_place_is_counted_to_the_record() {
    let lines = lines_after(None, 6);
    let one_missing = walked(&[&lines[..2], &lines[3..]].concat(), None);
    assert_eq!(
        problems(&one_missing),
        [(3, Problem::Missing { from: 3, to: 3 })]
    );
    assert_eq!((one_missing.records, one_missing.left_behind), (5, 0));
    let three_missing = walked(&[&lines[..1], &lines[4..]].concat(), None);
    assert_eq!(
        problems(&three_missing),
        [(2, Problem::Missing { from: 2, to: 4 })]
    );
    let start_missing = walked(&lines[1..], None);
    assert_eq!(
        problems(&start_missing),
        [(1, Problem::Missing { from: 1, to: 1 })]
    );
    let twice = walked(&[&lines[..], &lines[5..]].concat(), None);
    let expected = Problem::OutOfOrder {
        expected: 7,
        found: 6,
    };
    assert_eq!(problems(&twice), [(7, expected)]);
    let other = line::render(
        Some(&AuditHead {
            seq: 6,
            hash: NO_PREVIOUS.to_owned(),
        }),
        &intent("x"),
        None,
    );
    let edited = walked(&[&lines[..], &[other.unwrap().into_bytes()]].concat(), None);
    assert_eq!(problems(&edited), [(7, Problem::Edited)]);
    assert_eq!(edited.head.unwrap().seq, 7);
}

#[test]
fn the_first_thousand_findings_are_kept() {
    let rubbish = vec![b"no record".to_vec(); MAX_FINDINGS + 3];
    let found = walked(&rubbish, None);
    assert_eq!(found.findings.len(), MAX_FINDINGS);
    assert_eq!(found.findings[MAX_FINDINGS - 1].line, MAX_FINDINGS);
    // Each was taken for the next record.
    assert_eq!(found.head.unwrap().seq, MAX_FINDINGS as u64 + 3);
}

#[test]
fn the_remembered_end_is_one_that_is_there_or_it_is_said_why_not() {
    let lines = lines_after(None, 4);
    for line in &lines {
        assert!(walked(&lines, Some(&head_of(line))).is_sound());
    }
    let other = |seq| AuditHead {
        seq,
        hash: NO_PREVIOUS.to_owned(),
    };
    for seq in [2, 4] {
        let found = walked(&lines, Some(&other(seq)));
        assert_eq!(problems(&found), [(0, Problem::NotAsRemembered { seq })]);
    }
    let found = walked(&lines, Some(&other(5)));
    let cut = Problem::CutAfter {
        last: 4,
        remembered: 5,
    };
    assert_eq!(problems(&found), [(0, cut)]);
    // The hash of one record under the number of another is no record.
    let mixed = AuditHead {
        seq: 2,
        ..head_of(&lines[2])
    };
    assert!(!walked(&lines, Some(&mixed)).is_sound());
    assert_eq!(found.findings[0].file, "the log");
    assert!(found.mirror_at_hand && !found.key_at_hand);
}

#[test]
fn a_segment_that_is_missing_is_named_by_the_one_that_follows() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let lines = lines_after(None, 3);
    // The first that is there need not be the first there was.
    put(&dir, 2, &lines[..1]);
    put(&dir, 3, &lines[1..2]);
    assert!(verify(&dir, None, None).unwrap().is_sound());
    put(&dir, 5, &lines[2..]);
    let found = verify(&dir, None, None).unwrap();
    assert_eq!(problems(&found), [(0, Problem::SegmentMissing)]);
    assert_eq!(found.findings[0].file, "audit-000005.jsonl");
    assert_eq!((found.segments, found.records), (3, 3));
    // Half a line at the end belongs to the segment it stands in.
    let path = chain::segment_path(&dir, 3);
    let mut torn = std::fs::read(&path).unwrap();
    torn.extend_from_slice(b"{\"v\":1,");
    private_file::write_atomic(&path, &torn).unwrap();
    let found = verify(&dir, None, None).unwrap();
    assert_eq!(problems(&found)[0], (0, Problem::TornTail { bytes: 7 }));
    assert_eq!(found.findings[0].file, "audit-000003.jsonl");
}

fn note(phase: AuditPhase, action: &str) -> AuditEntry {
    AuditEntry {
        action: action.to_owned(),
        ..entry(phase, "op")
    }
}

/// A log of a segment of `count` records, of which all after the first `kept` were left behind, and a second
/// segment that begins with a line.
fn left(dir: &Path, count: usize, kept: usize, first: &AuditEntry) -> Verification {
    let lines = lines_after(None, count);
    let head = head_of(&lines[kept - 1]);
    let next = line::render(Some(&head), first, None).unwrap();
    put(dir, 1, &lines);
    put(dir, 2, &[next.into_bytes()]);
    verify(dir, None, None).unwrap()
}

#[test]
fn as_many_lines_may_be_left_behind_as_are_written_together() {
    let root = tempfile::tempdir().unwrap();
    let note_of_it = note(AuditPhase::Note, SEGMENT_LEFT);
    for (count, kept, sound) in [
        (1, 1, true),
        (9, 2, true),
        (300, 299, true),
        (300, 45, true),
        (300, 44, false),
        (600, 345, true),
        (600, 344, false),
    ] {
        let dir = root.path().join(format!("{count}-{kept}"));
        let found = left(&dir, count, kept, &note_of_it);
        assert_eq!(found.is_sound(), sound, "{count} {kept}: {found:?}");
        let behind = if sound { count - kept } else { 0 };
        assert_eq!(found.left_behind, behind as u64, "{count} {kept}");
        assert_eq!(found.records, count as u64 + 1);
        assert_eq!(found.head.unwrap().seq, kept as u64 + 1);
    }
}

#[test]
fn only_the_note_of_it_leaves_lines_behind() {
    let root = tempfile::tempdir().unwrap();
    let cases = [
        note(AuditPhase::Intent, SEGMENT_LEFT),
        note(AuditPhase::Note, "recovered"),
    ];
    for (index, first) in cases.iter().enumerate() {
        let found = left(&root.path().join(index.to_string()), 9, 7, first);
        let out_of_order = Problem::OutOfOrder {
            expected: 10,
            found: 8,
        };
        assert_eq!(problems(&found), [(1, out_of_order)]);
        assert_eq!(found.left_behind, 0);
    }
    // And only as the first line of a segment.
    let lines = lines_after(None, 9);
    let head = head_of(&lines[6]);
    let late = line::render(Some(&head), &note(AuditPhase::Note, SEGMENT_LEFT), None).unwrap();
    let found = walked(&[&lines[..], &[late.into_bytes()]].concat(), None);
    assert_eq!(found.findings.len(), 1, "{found:?}");
    assert_eq!(found.left_behind, 0);
}

#[test]
fn a_note_that_follows_no_line_that_is_there_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("audit");
    let lines = lines_after(None, 9);
    // The number of one line, and the hash of another.
    let nowhere = AuditHead {
        seq: head_of(&lines[6]).seq,
        hash: head_of(&lines[5]).hash,
    };
    let note_of_it = note(AuditPhase::Note, SEGMENT_LEFT);
    let next = line::render(Some(&nowhere), &note_of_it, None).unwrap();
    put(&dir, 1, &lines);
    put(&dir, 2, &[next.into_bytes()]);
    let found = verify(&dir, None, None).unwrap();
    assert!(!found.is_sound(), "{found:?}");
    assert_eq!(found.left_behind, 0);
}
