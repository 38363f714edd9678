//! Reading the log: the last records, and intents that never got an outcome. Never writes.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::chain::{segment_path, segments};
use super::error::AuditError;
use super::line::{self, LineHead, MAX_LINE};
use crate::domain::audit::{AuditHead, AuditPhase, AuditRecord};
use crate::private_file;

/// Block that is read when walking a segment backwards.
const BLOCK: u64 = 256 * 1024;

/// Bytes of the newest segments that are searched for unfinished intents. Older ones have been
/// searched by every start of the program since.
const SEARCHED: u64 = 64 * 1024 * 1024;

/// Lines at the end of a segment that are looked at before all of it is.
const NEAR: usize = 256;

/// Returns the last `limit` records, oldest first. Lines that are no records are skipped: `verify` is
/// what reports them.
pub(super) fn tail(dir: &Path, limit: usize) -> Result<Vec<AuditRecord>, AuditError> {
    let mut newest_first: Vec<AuditRecord> = Vec::new();
    for number in existing(dir)?.into_iter().rev() {
        let wanted = limit.saturating_sub(newest_first.len());
        if wanted == 0 {
            break;
        }
        let path = segment_path(dir, number);
        let lines = last_lines(&path, wanted)?;
        for bytes in lines.iter().rev() {
            if let Some(record) = line::parse(bytes) {
                newest_first.push(record);
            } else {
                tracing::warn!(segment = number, "skipped a line that is no audit record");
            }
        }
    }
    newest_first.truncate(limit);
    newest_first.reverse();
    Ok(newest_first)
}

/// Returns the end of a segment, or `None` when it holds no record.
pub(super) fn last_head(path: &Path) -> Result<Option<AuditHead>, AuditError> {
    Ok(last_lines(path, 4)?.iter().rev().find_map(|bytes| {
        serde_json::from_slice::<LineHead>(bytes)
            .ok()
            .map(|head| AuditHead {
                seq: head.seq,
                hash: line::hash(bytes),
            })
    }))
}

/// Returns intents without an outcome, oldest first.
pub(super) fn unfinished(dir: &Path) -> Result<Vec<AuditRecord>, AuditError> {
    let mut open: BTreeMap<u64, AuditRecord> = BTreeMap::new();
    let mut done: HashSet<String> = HashSet::new();
    let mut searched = 0;
    let mut chosen = Vec::new();
    for number in existing(dir)?.into_iter().rev() {
        let path = segment_path(dir, number);
        searched += std::fs::metadata(&path).map_or(0, |meta| meta.len());
        chosen.push(path);
        if searched >= SEARCHED {
            break;
        }
    }
    for path in chosen.iter().rev() {
        each_line(path, |_, bytes| {
            let Some(record) = line::parse(bytes) else {
                return;
            };
            match (record.entry.phase, &record.entry.operation) {
                (AuditPhase::Intent, Some(_)) => {
                    open.insert(record.seq, record);
                }
                (AuditPhase::Outcome, Some(operation)) => {
                    done.insert(operation.clone());
                }
                _ => {}
            }
        })?;
    }
    let is_open = |record: &AuditRecord| {
        record
            .entry
            .operation
            .as_ref()
            .is_some_and(|operation| !done.contains(operation))
    };
    Ok(open.into_values().filter(is_open).collect())
}

/// Says whether a record with this number and hash is in the log.
pub(super) fn holds(dir: &Path, head: &AuditHead) -> Result<bool, AuditError> {
    for number in existing(dir)?.into_iter().rev() {
        let path = segment_path(dir, number);
        // The mirror is rarely more than a few records behind.
        let lines = last_lines(&path, NEAR)?;
        if lines.iter().any(|bytes| is_head(bytes, head)) {
            return Ok(true);
        }
        let mut first = None;
        let mut found = false;
        each_line(&path, |_, bytes| {
            first = first.or_else(|| seq_of(bytes));
            found |= is_head(bytes, head);
        })?;
        if found || first.is_some_and(|first| first <= head.seq) {
            return Ok(found);
        }
    }
    Ok(false)
}

fn seq_of(line: &[u8]) -> Option<u64> {
    let head = serde_json::from_slice::<LineHead>(line).ok()?;
    Some(head.seq)
}

fn is_head(line: &[u8], head: &AuditHead) -> bool {
    seq_of(line) == Some(head.seq) && line::hash(line) == head.hash
}

/// Calls `each` with number and bytes of every complete line; returns the bytes after the last one.
pub(super) fn each_line(
    path: &Path,
    mut each: impl FnMut(usize, &[u8]),
) -> Result<u64, AuditError> {
    let failed = |source| AuditError::Io {
        doing: "read",
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::with_capacity(64 * 1024, private_file::open_read(path)?);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        if !read_line(&mut reader, &mut bytes).map_err(failed)? {
            break;
        }
        each(number, &bytes);
    }
    Ok(bytes.len() as u64)
}

/// Reads one line without its line feed; false at the end of the file, with what was left in `bytes`.
/// Of a line longer than any record only the start is kept, which is enough to know that it is none.
fn read_line(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(false);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
        let room = (4 * MAX_LINE).saturating_sub(bytes.len());
        bytes.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        let taken = part.len() + usize::from(end.is_some());
        reader.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// Returns the last complete lines of a segment, oldest first.
fn last_lines(path: &Path, limit: usize) -> Result<Vec<Vec<u8>>, AuditError> {
    let failed = |source| AuditError::Io {
        doing: "read",
        path: path.to_owned(),
        source,
    };
    let file = private_file::open_read(path)?;
    let mut start = file.metadata().map_err(failed)?.len();
    let mut bytes: Vec<u8> = Vec::new();
    while start > 0 && count_lines(&bytes) <= limit {
        let from = start.saturating_sub(BLOCK);
        let mut block = read_block(&file, from, start).map_err(failed)?;
        block.append(&mut bytes);
        bytes = block;
        start = from;
    }
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        return Ok(Vec::new());
    };
    let whole = bytes.get(..end).unwrap_or_default();
    let mut lines: Vec<Vec<u8>> = whole
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    // The first may be the rest of a line that begins before what was read.
    let surplus = lines
        .len()
        .saturating_sub(limit)
        .max(usize::from(start > 0));
    lines.drain(..surplus.min(lines.len()));
    Ok(lines)
}

pub(super) fn read_block(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut block = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut block, from)?;
    Ok(block)
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count().saturating_sub(1)
}

pub(super) fn existing(dir: &Path) -> Result<Vec<u32>, AuditError> {
    if dir.exists() {
        segments(dir)
    } else {
        Ok(Vec::new())
    }
}
