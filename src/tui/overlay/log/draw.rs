//! Draws a list: its rows, below them the whole text of the one under the cursor, and the filter.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::record::Record;
use super::state::LogList;
use crate::tui::layout;
use crate::tui::overlay::document::{self, Line, draw_lines};
use crate::tui::overlay::frame;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_filter;
use crate::tui::widget::list::{self, List};
use crate::tui::widget::paint;

/// Lines of the text below the list.
const BELOW: u16 = 4;

/// Lines of room from which on there is a text below the list.
const ROOMY: u16 = 14;

/// Columns of the names of facts.
const LABELS: u16 = 14;

impl LogList {
    /// Draws it over the whole view; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        frame::fill(buf, area, theme, &self.title, &self.standing());
        let mut room = layout::inner(area, 2, 1);
        let mut cursor = None;
        if self.filter.editing || !self.filter.text().is_empty() {
            room.height = room.height.saturating_sub(1);
            let line = Rect {
                y: room.bottom(),
                height: 1.min(area.height.saturating_sub(2)),
                ..room
            };
            let at = draw_filter(buf, line, theme, &self.filter);
            cursor = at.filter(|_| self.filter.editing);
        }
        match (&self.records, self.whole, self.selected()) {
            (None, ..) => draw_lines(buf, room, theme, None, 0),
            (Some(Err(cause)), ..) => {
                let lines = document::failure(cause);
                draw_lines(buf, room, theme, Some(&wrapped(&lines, room.width)), 0);
            }
            (Some(Ok(_)), Some(scroll), Some(record)) => {
                let lines = wrapped(&record.whole(), room.width);
                draw_lines(buf, room, theme, Some(&lines), scroll);
            }
            (Some(Ok(_)), ..) => self.draw_list(buf, room, theme),
        }
        cursor
    }

    fn draw_list(&self, buf: &mut Buffer, room: Rect, theme: &Theme) {
        let below = if room.height >= ROOMY { BELOW + 1 } else { 0 };
        let upper = Rect {
            height: room.height.saturating_sub(below),
            ..room
        };
        let mut top = self.top;
        let rows = List {
            fields: self.topic.fields(),
            rows: self.shown.len(),
            index: self.cursor.index(),
            top: &mut top,
        };
        rows.draw(buf, upper, theme, |at| list::Row {
            dimmed: false,
            cells: self.row(at).map(Record::cells).unwrap_or_default(),
        });
        if self.shown.is_empty() {
            let text = match (self.all().is_empty(), self.reading_older) {
                (_, true) => "Looking further back…",
                (true, false) => "Nothing yet.",
                (false, false) => "Nothing fits; esc shows all again.",
            };
            list::empty(buf, upper, theme, text);
        }
        if below == 0 {
            return;
        }
        let line = Rect {
            y: upper.bottom(),
            height: 1,
            ..room
        };
        let rule = "─".repeat(usize::from(room.width));
        paint::put(buf, line, &rule, theme.style(Role::Border));
        let text = Rect {
            y: upper.bottom().saturating_add(1),
            height: BELOW,
            ..room
        };
        if let Some(record) = self.selected() {
            draw_lines(
                buf,
                text,
                theme,
                Some(&wrapped(&record.whole(), room.width)),
                0,
            );
        }
    }

    /// How many rows, whether the end is followed, and what went wrong.
    fn standing(&self) -> String {
        if let Some(cause) = &self.trouble {
            return format!("not read again: {}", cause.message);
        }
        let (shown, all) = (self.shown.len(), self.all().len());
        let more = if self.older.is_some() { "+" } else { "" };
        let count = if self.filter.is_active() {
            format!("{shown} of {all}{more}")
        } else {
            format!("{all}{more}")
        };
        match (self.whole.is_some(), self.follows) {
            (true, _) => "enter  the list again".to_owned(),
            (false, true) => format!("{count}  live"),
            (false, false) => format!("{count}  G follows the end"),
        }
    }
}

/// Returns all of a record in the lines of a terminal of so many columns.
pub(super) fn whole_lines(record: &Record, columns: u16) -> Vec<Line> {
    // Two columns at each side are frame.
    wrapped(&record.whole(), columns.saturating_sub(4))
}

/// Breaks lines that are too long; what follows stands below the beginning of the text.
fn wrapped(lines: &[Line], columns: u16) -> Vec<Line> {
    let mut all = Vec::new();
    for line in lines {
        let (label, text, role) = match line.as_slice() {
            [(label, dim), (text, role)] => (Some((label, *dim)), text, *role),
            [(text, role)] => (None, text, *role),
            _ => {
                all.push(line.clone());
                continue;
            }
        };
        let indent = if label.is_some() { LABELS } else { 0 };
        let pieces = paint::wrap(text, columns.saturating_sub(indent));
        for (n, piece) in pieces.into_iter().enumerate() {
            let head = match label {
                Some((label, dim)) if n == 0 => Some((label.clone(), dim)),
                Some((_, dim)) => Some((" ".repeat(usize::from(LABELS)), dim)),
                None => None,
            };
            all.push(head.into_iter().chain([(piece, role)]).collect());
        }
    }
    all
}
