//! Reading the log from its end backwards, a page at a time: a log of any length opens as quickly as a short
//! one. Never writes, and never holds more than one page and one block.

use std::path::Path;

use super::chain::segment_path;
use super::error::AuditError;
use super::line;
use super::read::{existing, read_block};
use crate::domain::audit::{AuditPage, AuditPlace, AuditRecord};
use crate::private_file;

/// Block that is read at once.
const BLOCK: u64 = 256 * 1024;

/// Bytes that are looked through for one page. Records of one VM may be far apart; who wants more asks again.
const SEARCHED: u64 = 16 * 1024 * 1024;

/// What is wanted of the log.
#[derive(Debug, Clone, Default)]
pub struct PageWish {
    /// Only what is older than this; `None` = the end.
    pub before: Option<AuditPlace>,
    /// Only about the VM of this id.
    pub vm_id: Option<String>,
    /// And this host.
    pub host: Option<String>,
    /// Records at the most.
    pub limit: usize,
}

impl PageWish {
    /// Most lines are about something else, and that is seen without reading them.
    fn may_be(&self, line: &[u8]) -> bool {
        let Some(id) = &self.vm_id else { return true };
        std::str::from_utf8(line).is_ok_and(|text| text.contains(id.as_str()))
    }

    fn is(&self, record: &AuditRecord) -> bool {
        let entry = &record.entry;
        self.vm_id.is_none()
            || (entry.vm_id == self.vm_id && (self.host.is_none() || entry.host == self.host))
    }
}

/// Returns a page, oldest record first. Lines that are no records are skipped: `verify` is what reports them.
pub(super) fn page(dir: &Path, wish: &PageWish) -> Result<AuditPage, AuditError> {
    let mut pages = Pages {
        wish,
        newest_first: Vec::new(),
        left: SEARCHED,
    };
    let from = wish.before;
    let segments = existing(dir)?.into_iter().rev();
    let mut before = None;
    for number in segments.filter(|number| from.is_none_or(|from| *number <= from.segment)) {
        let end = from.filter(|from| from.segment == number);
        before = pages.read(&segment_path(dir, number), number, end)?;
        if before.is_some() {
            break;
        }
    }
    pages.newest_first.reverse();
    Ok(AuditPage {
        records: pages.newest_first,
        before,
    })
}

struct Pages<'a> {
    wish: &'a PageWish,
    newest_first: Vec<AuditRecord>,
    /// Bytes that may still be looked through.
    left: u64,
}

impl Pages<'_> {
    /// Reads a segment backwards; returns where to go on when there is enough.
    fn read(
        &mut self,
        path: &Path,
        segment: u32,
        end: Option<AuditPlace>,
    ) -> Result<Option<AuditPlace>, AuditError> {
        let failed = |source| AuditError::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        };
        let file = private_file::open_read(path)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut start = end.map_or(length, |end| end.offset.min(length));
        // The rest of a line that begins before what was read.
        let mut rest: Vec<u8> = Vec::new();
        while start > 0 {
            let from = start.saturating_sub(BLOCK);
            let mut block = read_block(&file, from, start).map_err(failed)?;
            block.append(&mut rest);
            let head = if from == 0 {
                0
            } else {
                let end = block.iter().position(|byte| *byte == b'\n');
                end.map_or(block.len(), |end| end + 1)
            };
            let lines = block.split_off(head);
            if let Some(at) = self.take(&lines) {
                let offset = from + (head + at) as u64;
                return Ok(Some(AuditPlace { segment, offset }));
            }
            self.left = self.left.saturating_sub(start - from);
            if self.left == 0 && from > 0 {
                let offset = from + head as u64;
                return Ok(Some(AuditPlace { segment, offset }));
            }
            rest = block;
            start = from;
        }
        // Everything before this segment, where there is any.
        let enough = self.left == 0 && segment > 1;
        Ok(enough.then_some(AuditPlace { segment, offset: 0 }))
    }

    /// Takes whole lines, the last one first; returns where the last one that was taken begins, once there are
    /// as many as wanted.
    fn take(&mut self, lines: &[u8]) -> Option<usize> {
        let mut end = lines.len();
        for line in lines.split_inclusive(|byte| *byte == b'\n').rev() {
            end -= line.len();
            // Without a line end it is still being written, or was torn.
            let Some(line) = line.strip_suffix(b"\n") else {
                continue;
            };
            if !self.wish.may_be(line) {
                continue;
            }
            match line::parse(line) {
                Some(record) if self.wish.is(&record) => self.newest_first.push(record),
                Some(_) => {}
                None => tracing::warn!("skipped a line that is no audit record"),
            }
            if self.newest_first.len() >= self.wish.limit {
                return Some(end);
            }
        }
        None
    }
}
