//! Checking a log: every line against the one before it, its MAC where the key is at hand, its end
//! against the mirror in the profile. Reads only, and needs no open log.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;

use super::chain::{self, Held, segment_path, segments};
use super::error::AuditError;
use super::line::{self, MAX_LINE, NO_PREVIOUS};
use super::read;
use crate::domain::audit::{AuditHead, AuditKey, AuditPhase, AuditRecord};

/// Action of the note that opens a segment whose predecessor could not be made durable.
pub const SEGMENT_LEFT: &str = "segment-left";

/// Findings kept; a log that was rewritten has one per line.
pub(super) const MAX_FINDINGS: usize = 1000;

/// Lines at the end of a segment that may turn out to have been left: the largest batch.
const LEFT_BEHIND: usize = 256;

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Complete lines that are records.
    pub records: u64,
    /// Segments.
    pub segments: usize,
    /// The end of the log.
    pub head: Option<AuditHead>,
    /// Whether MACs were checked (the key was at hand).
    pub key_at_hand: bool,
    /// Records with a right MAC.
    pub authentic: u64,
    /// Up to this record, nobody without the key can have changed anything.
    pub authentic_up_to: Option<u64>,
    /// Whether the end was compared with the mirror in the profile.
    pub mirror_at_hand: bool,
    /// Records left behind in segments that could not be made durable; never acknowledged.
    pub left_behind: u64,
    /// What is wrong, in the order of the log; the first thousand.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// Returns true when nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the segment.
    pub file: String,
    /// Line in it, from 1; 0 = the segment or the log as a whole.
    pub line: usize,
    /// What.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.problem)
        } else {
            write!(f, "{}:{}: {}", self.file, self.line, self.problem)
        }
    }
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The line is no record of this version.
    NotARecord,
    /// The line is longer than any record.
    TooLong,
    /// This line, or the one before it, has been changed: they do not fit together.
    Edited,
    /// The line has been changed: its MAC does not fit.
    WrongMac,
    /// Records are missing.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// A record stands where another belongs.
    OutOfOrder {
        /// What belongs there.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The end has been cut off: the profile remembers a later record.
    CutAfter {
        /// The last record there is; 0 = none.
        last: u64,
        /// The record the profile remembers.
        remembered: u64,
    },
    /// The record that the profile remembers is another one.
    NotAsRemembered {
        /// Its number.
        seq: u64,
    },
    /// The log ends in the middle of a record: a crash, or a cut. The next start mends it.
    TornTail {
        /// Bytes of it.
        bytes: u64,
    },
    /// A segment is missing.
    SegmentMissing,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecord => f.write_str("is no audit record"),
            Self::TooLong => write!(f, "is longer than the {MAX_LINE} bytes of any record"),
            Self::Edited => f.write_str("this line or the one before it has been changed"),
            Self::WrongMac => f.write_str("has been changed: its MAC does not fit"),
            Self::Missing { from, to } if from == to => {
                write!(f, "record {from} is missing before it")
            }
            Self::Missing { from, to } => {
                write!(f, "records {from} to {to} are missing before it")
            }
            Self::OutOfOrder { expected, found } => {
                write!(f, "record {found} stands where {expected} belongs")
            }
            Self::CutAfter { last, remembered } => write!(
                f,
                "the log ends after record {last}, but the profile remembers record {remembered}"
            ),
            Self::NotAsRemembered { seq } => {
                write!(f, "record {seq} is not the one that the profile remembers")
            }
            Self::TornTail { bytes } => {
                write!(f, "ends with {bytes} bytes of an incomplete record")
            }
            Self::SegmentMissing => f.write_str("the segment is missing"),
        }
    }
}

/// Checks a log. `key` checks the MACs, `head` (the mirror in the profile) that the end is not cut off.
///
/// Blocks: call it on the blocking pool.
pub fn verify(
    dir: &Path,
    key: Option<&AuditKey>,
    head: Option<&AuditHead>,
) -> Result<Verification, AuditError> {
    let mut walk = Walk::new(key, head);
    if dir.exists() {
        // Nobody may be in the middle of a line while the end is looked at. A process that hangs
        // must not keep the log from being checked, so the lock is wanted, not needed.
        let lock = chain::open_lock_to_look(dir);
        let quiet = lock.as_ref().map(Held::take);
        walk.segments(dir)?;
        drop(quiet);
    }
    Ok(walk.finish())
}

pub(super) struct Walk<'a> {
    key: Option<&'a AuditKey>,
    mirror: Option<&'a AuditHead>,
    mirror_seen: bool,
    /// The last line, as the next one must know it.
    previous: Option<AuditHead>,
    /// The last lines of the segment, to find where a segment that was left was left.
    recent: VecDeque<AuditHead>,
    result: Verification,
    file: String,
}

impl<'a> Walk<'a> {
    pub(super) fn new(key: Option<&'a AuditKey>, mirror: Option<&'a AuditHead>) -> Self {
        Self {
            key,
            mirror,
            mirror_seen: false,
            previous: None,
            recent: VecDeque::new(),
            result: Verification {
                key_at_hand: key.is_some(),
                mirror_at_hand: mirror.is_some(),
                ..Verification::default()
            },
            file: String::new(),
        }
    }

    fn segments(&mut self, dir: &Path) -> Result<(), AuditError> {
        let numbers = segments(dir)?;
        let mut expected = numbers.first().copied().unwrap_or(1);
        for (index, number) in numbers.iter().copied().enumerate() {
            let path = segment_path(dir, number);
            self.file = format!("audit-{number:06}.jsonl");
            if number != expected {
                self.find(0, Problem::SegmentMissing);
            }
            expected = number.saturating_add(1);
            let torn = read::each_line(&path, |line_number, bytes| self.line(line_number, bytes))?;
            if torn > 0 {
                self.find(0, Problem::TornTail { bytes: torn });
            }
            if index + 1 < numbers.len() && self.recent.len() > LEFT_BEHIND {
                self.recent.drain(..self.recent.len() - LEFT_BEHIND);
            }
        }
        self.result.segments = numbers.len();
        Ok(())
    }

    pub(super) fn line(&mut self, number: usize, bytes: &[u8]) {
        if bytes.len() > MAX_LINE {
            self.find(number, Problem::TooLong);
        }
        let Some(record) = line::parse(bytes) else {
            self.find(number, Problem::NotARecord);
            // The writer goes on after such a line as if it had been the next record.
            self.advance(self.expected(), bytes);
            return;
        };
        self.result.records += 1;
        if number == 1 {
            self.rewind_if_left(&record);
        }
        self.check_place(number, &record);
        self.check_mac(number, &record, bytes);
        self.advance(record.seq, bytes);
    }

    fn expected(&self) -> u64 {
        line::next_seq(self.previous.as_ref())
    }

    fn check_place(&mut self, number: usize, record: &AuditRecord) {
        let expected = self.expected();
        if record.seq > expected {
            self.find(
                number,
                Problem::Missing {
                    from: expected,
                    to: record.seq - 1,
                },
            );
        } else if record.seq < expected {
            self.find(
                number,
                Problem::OutOfOrder {
                    expected,
                    found: record.seq,
                },
            );
        } else if record.prev
            != self
                .previous
                .as_ref()
                .map_or(NO_PREVIOUS, |head| &head.hash)
        {
            self.find(number, Problem::Edited);
        }
    }

    fn check_mac(&mut self, number: usize, record: &AuditRecord, bytes: &[u8]) {
        let Some(key) = self.key else { return };
        match line::check_mac(record, bytes, key) {
            Some(true) => {
                self.result.authentic += 1;
                self.result.authentic_up_to = Some(record.seq);
            }
            Some(false) => self.find(number, Problem::WrongMac),
            None => {}
        }
    }

    /// Goes back to where a segment was left, when its successor says that it was.
    fn rewind_if_left(&mut self, record: &AuditRecord) {
        let is_note = record.entry.phase == AuditPhase::Note && record.entry.action == SEGMENT_LEFT;
        if !is_note || record.seq > self.expected() {
            return;
        }
        let left_at = self
            .recent
            .iter()
            .rposition(|line| line::next_seq(Some(line)) == record.seq && line.hash == record.prev);
        if let Some(at) = left_at {
            self.result.left_behind += (self.recent.len() - at - 1) as u64;
            self.recent.truncate(at + 1);
            self.previous = self.recent.back().cloned();
        }
    }

    fn advance(&mut self, seq: u64, bytes: &[u8]) {
        let here = AuditHead {
            seq,
            hash: line::hash(bytes),
        };
        if let Some(mirror) = self.mirror
            && mirror.seq == seq
        {
            self.mirror_seen |= mirror.hash == here.hash;
        }
        self.recent.push_back(here.clone());
        if self.recent.len() > 2 * LEFT_BEHIND {
            self.recent.drain(..LEFT_BEHIND);
        }
        self.previous = Some(here);
    }

    pub(super) fn finish(mut self) -> Verification {
        let last = self.previous.as_ref().map_or(0, |head| head.seq);
        if let Some(mirror) = self.mirror
            && !self.mirror_seen
        {
            let problem = if last < mirror.seq {
                Problem::CutAfter {
                    last,
                    remembered: mirror.seq,
                }
            } else {
                Problem::NotAsRemembered { seq: mirror.seq }
            };
            if self.file.is_empty() {
                "the log".clone_into(&mut self.file);
            }
            self.find(0, problem);
        }
        self.result.head = self.previous.take();
        self.result
    }

    fn find(&mut self, line: usize, problem: Problem) {
        if self.result.findings.len() < MAX_FINDINGS {
            self.result.findings.push(Finding {
                file: self.file.clone(),
                line,
                problem,
            });
        }
    }
}
