//! The column chooser: which columns the VM table shows, and in which order. What is changed is seen at
//! once in the table behind it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Overlay, frame};
use crate::tui::app::App;
use crate::tui::column::{Column, Columns};
use crate::tui::cursor::{Motion, scroll_to};
use crate::tui::effect::Effect;
use crate::tui::glyph;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint::{self, Piece};

/// The list of columns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chooser {
    /// The line under the cursor.
    index: usize,
}

impl Chooser {
    /// Moves the cursor.
    pub fn go(&mut self, columns: &Columns, motion: Motion, page: usize) {
        self.index = motion.apply(self.index, columns.all().len(), page);
    }

    fn column(self, columns: &Columns) -> Option<&'static Column> {
        columns.all().get(self.index).map(|(column, _)| *column)
    }

    /// Draws it.
    pub fn draw(self, columns: &Columns, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let all = columns.all();
        let lines = u16::try_from(all.len()).unwrap_or(u16::MAX);
        let height = lines.saturating_add(3).min(area.height);
        let room = frame::draw(buf, area, theme, "Columns", (44, height));
        let list = Rect {
            height: room.height.saturating_sub(1),
            ..room
        };
        let page = usize::from(list.height);
        let top = scroll_to(0, self.index, page, all.len());
        let shown = all.iter().enumerate().skip(top).take(page);
        for (n, (at, (column, chosen))) in (0u16..).zip(shown) {
            let line = paint::line_of(list, n);
            if at == self.index {
                buf.set_style(line, theme.style(Role::Selection));
                paint::put(buf, line, glyph::CURSOR, theme.style(Role::Cursor));
            }
            let (sign, role) = if *chosen {
                (glyph::MARK, Role::Text)
            } else {
                (" ", Role::Dim)
            };
            let rest = Rect {
                x: line.x + 2,
                width: line.width.saturating_sub(2),
                ..line
            };
            let pieces = [
                Piece::new(sign, theme.style(Role::Mark)),
                Piece::new(format!(" {:<11}", column.title), theme.style(role)),
                Piece::new(column.id.word(), theme.style(Role::Dim)),
            ];
            paint::put_line(buf, rest, &pieces);
        }
        let foot = paint::line_of(room, room.height.saturating_sub(1));
        let keys = [("space", "show"), ("J K", "move"), ("esc", "done")];
        frame::keys(buf, foot, theme, &keys);
    }
}

fn chooser(app: &App) -> Option<Chooser> {
    match app.overlays.last() {
        Some(Overlay::Chooser(chooser)) => Some(*chooser),
        _ => None,
    }
}

/// Shows or hides the column under the cursor; the cursor stays with it.
pub fn toggle(app: &mut App) -> Vec<Effect> {
    if let Some(column) = chooser(app).and_then(|chooser| chooser.column(&app.vms.columns)) {
        app.vms.columns.toggle(column.id);
        follow(app, column);
    }
    Vec::new()
}

/// Moves the column under the cursor one place towards the names.
pub fn earlier(app: &mut App) -> Vec<Effect> {
    shift(app, false)
}

/// Moves the column under the cursor one place away from the names.
pub fn later(app: &mut App) -> Vec<Effect> {
    shift(app, true)
}

fn shift(app: &mut App, right: bool) -> Vec<Effect> {
    if let Some(column) = chooser(app).and_then(|chooser| chooser.column(&app.vms.columns)) {
        app.vms.columns.shift(column.id, right);
        follow(app, column);
    }
    Vec::new()
}

/// Goes back to the columns of a new profile.
pub fn reset(app: &mut App) -> Vec<Effect> {
    app.vms.columns.reset();
    Vec::new()
}

fn follow(app: &mut App, column: &Column) {
    app.vms.scroll = 0;
    let all = app.vms.columns.all();
    if let Some(Overlay::Chooser(chooser)) = app.overlays.last_mut()
        && let Some(at) = all.iter().position(|(other, _)| other.id == column.id)
    {
        chooser.index = at;
    }
}
