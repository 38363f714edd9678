//! The state of a list: what was read, what of it is shown, where the cursor is, and whether the end is
//! followed.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use jiff::Timestamp;

use super::draw::whole_lines;
use super::record::{Record, Topic};
use crate::domain::audit::{AuditPage, AuditPlace};
use crate::domain::error_kind::Failure;
use crate::domain::selector::LineFilter;
use crate::tui::cursor::{Cursor, Motion, scroll_to};
use crate::tui::filter::FilterLine;
use crate::tui::overlay::{document, type_into};

/// Records of the audit log that are fetched at once.
pub(super) const PAGE: usize = 500;

/// Records of the audit log that are kept; who wants more has `vmdeck audit export`.
pub(super) const MOST: usize = 50_000;

/// What was read, oldest first.
pub(super) type Records = Vec<Arc<Record>>;

/// A list of what happened.
#[derive(Debug)]
pub struct LogList {
    /// Of what.
    pub topic: Topic,
    /// What stands above it.
    pub title: String,
    /// What was read, oldest first; `None` while it is being read for the first time.
    pub(super) records: Option<Result<Arc<Records>, Failure>>,
    /// Why the last read failed, where there was one before it.
    pub(super) trouble: Option<Failure>,
    /// The places of those that fit the filter.
    pub(super) shown: Vec<usize>,
    /// The filter.
    pub filter: FilterLine<LineFilter>,
    pub(super) cursor: Cursor<u64>,
    /// First row that is seen.
    pub(super) top: usize,
    /// Whether the cursor stays at the end.
    pub(super) follows: bool,
    /// First line that is seen of the whole row, where that is open.
    pub(super) whole: Option<usize>,
    /// Where older records are; `None` = there are none.
    pub(super) older: Option<AuditPlace>,
    /// Whether older ones are on their way.
    pub(super) reading_older: bool,
    /// When it was last asked for.
    pub(super) asked: Option<Timestamp>,
    /// Whether an answer is on its way.
    pub(super) waiting: bool,
}

impl LogList {
    /// A list of which nothing is known yet.
    pub(super) fn new(topic: Topic, title: String) -> Self {
        Self {
            topic,
            title,
            records: None,
            trouble: None,
            shown: Vec::new(),
            filter: FilterLine::default(),
            cursor: Cursor::default(),
            top: 0,
            follows: true,
            whole: None,
            older: None,
            reading_older: false,
            asked: None,
            waiting: false,
        }
    }

    pub(super) fn all(&self) -> &[Arc<Record>] {
        match &self.records {
            Some(Ok(records)) => records,
            Some(Err(_)) | None => &[],
        }
    }

    /// Returns the record in a row.
    pub(super) fn row(&self, at: usize) -> Option<&Record> {
        self.all().get(*self.shown.get(at)?).map(Arc::as_ref)
    }

    /// Returns the record under the cursor.
    pub(super) fn selected(&self) -> Option<&Record> {
        self.row(self.cursor.index())
    }

    /// Returns those that are shown, without a copy of them.
    pub(super) fn handed_over(&self) -> Option<(Arc<Records>, Vec<usize>)> {
        match &self.records {
            Some(Ok(records)) => Some((Arc::clone(records), self.shown.clone())),
            Some(Err(_)) | None => None,
        }
    }

    /// Takes all that there is.
    pub(super) fn take(&mut self, records: Result<Records, Failure>) {
        self.waiting = false;
        match (records, &self.records) {
            (Ok(records), _) => {
                self.trouble = None;
                self.set(records);
            }
            // What was read before stays; it is old, and that is said.
            (Err(cause), Some(Ok(_))) => self.trouble = Some(cause),
            (Err(cause), _) => self.records = Some(Err(cause)),
        }
    }

    /// Takes a page of the audit log: the newest one, or one before those that are there.
    pub(super) fn take_page(
        &mut self,
        before: Option<AuditPlace>,
        page: Result<AuditPage, Failure>,
    ) {
        if before.is_some() {
            self.reading_older = false;
        }
        let page = match page {
            Ok(page) => page,
            Err(cause) => return self.take(Err(cause)),
        };
        let of_page = page.records.into_iter();
        let mut new: Records = of_page
            .map(|it| Arc::new(Record::Audit(Box::new(it))))
            .collect();
        let seq = |record: &Arc<Record>| match &**record {
            Record::Audit(record) => record.seq,
            Record::Error(_) | Record::Command(_) => 0,
        };
        let known = self.all();
        let first_known = known.first().map(seq);
        let last_known = known.last().map(seq);
        if before.is_some() {
            // One that was asked for twice.
            new.retain(|record| first_known.is_none_or(|first| seq(record) < first));
            new.extend(known.iter().cloned());
            self.older = page.before.filter(|_| new.len() < MOST);
        } else if let Some(last) = last_known
            && new
                .first()
                .is_none_or(|first| seq(first) <= last || new.len() < PAGE)
        {
            let is_news = |record: &Arc<Record>| seq(record) > last;
            if !new.iter().any(is_news) {
                return self.waiting = false;
            }
            let mut joined = known.to_vec();
            joined.extend(new.into_iter().filter(is_news));
            new = joined;
        } else {
            // The first page, or so much has come in that there is a gap before it.
            self.older = page.before;
        }
        self.take(Ok(new));
    }

    fn set(&mut self, records: Records) {
        self.records = Some(Ok(Arc::new(records)));
        self.refilter();
    }

    /// Finds those that fit the filter; the cursor stays on its record, or at the end.
    pub(super) fn refilter(&mut self) {
        let Some(Ok(records)) = &self.records else {
            return;
        };
        let records = Arc::clone(records);
        self.shown = match self.filter.applied() {
            None => (0..records.len()).collect(),
            Some(filter) => {
                let all = records.iter().enumerate();
                let fits = |record: &Record| record.with_line(|line| filter.matches(line));
                all.filter(|(_, record)| fits(record))
                    .map(|(at, _)| at)
                    .collect()
            }
        };
        let before = self.cursor.index();
        if self.follows {
            self.put(self.shown.len().saturating_sub(1));
        } else {
            let shown = &self.shown;
            self.cursor.follow(shown.len(), |at| {
                records.get(*shown.get(at)?).map(|record| record.key())
            });
            // What is seen stays where it was, whatever came in above it.
            let moved = self.cursor.index();
            self.top = (self.top + moved).saturating_sub(before);
        }
        if self.shown.is_empty() {
            self.whole = None;
        }
    }

    fn put(&mut self, index: usize) {
        let key = self.row(index).map(Record::key);
        self.cursor.go(index, key);
    }

    /// Moves the cursor, or what is seen of the whole row. Moving away from the end ends the following of it;
    /// going there begins it again.
    pub fn go(&mut self, motion: Motion, (page, columns): (usize, u16)) {
        if let Some(scroll) = self.whole {
            let lines = self.selected().map(|record| whole_lines(record, columns));
            let len = lines.map_or(0, |lines| lines.len());
            self.whole = Some(document::scroll(scroll, len, motion, page));
            return;
        }
        let len = self.shown.len();
        let index = motion.apply(self.cursor.index(), len, page);
        self.put(index);
        self.follows = index + 1 >= len;
        self.top = scroll_to(self.top, index, page, len);
    }

    /// Whether older records are wanted: the cursor is at the beginning, or there is room left.
    pub(super) fn wants_older(&self, page: usize) -> bool {
        self.older.is_some()
            && !self.reading_older
            && !self.filter.editing
            && (self.cursor.index() == 0 || self.shown.len() < page)
    }

    /// Takes a key that is text.
    pub fn type_key(&mut self, key: &KeyEvent) {
        if self.filter.editing {
            type_into(&mut self.filter.input, key);
            if self.filter.read() {
                self.refilter();
            }
        }
    }

    /// Goes back to the filter that was there before it was typed anew.
    pub fn cancel_filter(&mut self) {
        self.filter.cancel();
        self.refilter();
    }
}
