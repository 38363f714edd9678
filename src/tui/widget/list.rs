//! A list with columns and a cursor. Only the rows that are seen are made.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint;
use crate::tui::cursor::scroll_to;
use crate::tui::theme::{Role, Theme};

/// A column of a list.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    title: &'static str,
    width: u16,
    right: bool,
    /// Terminal columns from which on it is shown.
    from: u16,
}

impl Field {
    /// A column whose text begins at its left edge.
    pub const fn left(title: &'static str, width: u16) -> Self {
        Self {
            title,
            width,
            right: false,
            from: 0,
        }
    }

    /// A column whose text ends at its right edge.
    pub const fn right(title: &'static str, width: u16) -> Self {
        Self {
            title,
            width,
            right: true,
            from: 0,
        }
    }

    /// The same column, shown only from this many terminal columns on.
    #[must_use]
    pub const fn from(self, from: u16) -> Self {
        Self { from, ..self }
    }

    /// The last column: whatever is left of the line.
    pub const fn rest(title: &'static str) -> Self {
        Self::left(title, u16::MAX)
    }
}

/// A row: its texts and what they mean.
#[derive(Debug, Default)]
pub struct Row {
    /// Whether all of it is shown as old.
    pub dimmed: bool,
    /// One per column.
    pub cells: Vec<(String, Role)>,
}

/// Columns at the left edge for the cursor.
const MARGIN: u16 = 3;

/// A list to draw.
#[derive(Debug)]
pub struct List<'a> {
    /// Its columns.
    pub fields: &'a [Field],
    /// How many rows it has.
    pub rows: usize,
    /// The one under the cursor.
    pub index: usize,
    /// The first one that is seen, kept from frame to frame.
    pub top: &'a mut usize,
}

impl List<'_> {
    /// Draws titles and the rows that are seen.
    pub fn draw(self, buf: &mut Buffer, area: Rect, theme: &Theme, row: impl Fn(usize) -> Row) {
        let titles = Row {
            dimmed: false,
            cells: self
                .fields
                .iter()
                .map(|field| (field.title.to_owned(), Role::Title))
                .collect(),
        };
        let heading = paint::line_of(area, 0);
        buf.set_style(heading.intersection(buf.area), theme.style(Role::TitleLine));
        draw_row(buf, heading, theme, self.fields, &titles);
        let page = area.height.saturating_sub(1);
        *self.top = scroll_to(*self.top, self.index, usize::from(page), self.rows);
        for (n, at) in (1..=page).zip(*self.top..self.rows) {
            let line = paint::line_of(area, n);
            if at == self.index {
                buf.set_style(line.intersection(buf.area), theme.style(Role::Selection));
            }
            draw_row(buf, line, theme, self.fields, &row(at));
            if at == self.index {
                let margin = Rect {
                    x: line.x + 1,
                    width: line.width.saturating_sub(1),
                    ..line
                };
                paint::put(buf, margin, "▌", theme.style(Role::Cursor));
            }
        }
    }
}

fn draw_row(buf: &mut Buffer, line: Rect, theme: &Theme, fields: &[Field], row: &Row) {
    let mut x = line.x.saturating_add(MARGIN);
    for (field, (text, role)) in fields.iter().zip(&row.cells) {
        if line.width < field.from {
            continue;
        }
        let room = line.right().saturating_sub(x);
        if room == 0 {
            return;
        }
        let width = field.width.min(room);
        let cell = Rect { x, width, ..line };
        let role = match role {
            Role::Text | Role::Strong | Role::Dim if row.dimmed => Role::Stale,
            other => *other,
        };
        if field.right {
            paint::put_right(buf, cell, text, theme.style(role));
        } else if field.width == u16::MAX {
            // Sentences are cut at their end, names in the middle.
            paint::put(buf, cell, text, theme.style(role));
        } else {
            paint::put_fitted(buf, cell, text, theme.style(role));
        }
        x = x.saturating_add(width).saturating_add(2);
    }
}

/// Says why a list is empty.
pub fn empty(buf: &mut Buffer, area: Rect, theme: &Theme, text: &str) {
    let line = paint::line_of(area, 2.min(area.height.saturating_sub(1)));
    let line = Rect {
        x: line.x.saturating_add(MARGIN),
        width: line.width.saturating_sub(MARGIN),
        ..line
    };
    paint::put(buf, line, text, theme.style(Role::Dim));
}
