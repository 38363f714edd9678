//! Drawing the VM table. Only the rows that are seen are made.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::domain::vm::VmRef;
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::column::{self, Bit, Cell, Layout, Place, Slot};
use crate::tui::cursor::scroll_to;
use crate::tui::glyph;
use crate::tui::overlay::frame;
use crate::tui::rows::Row;
use crate::tui::screen::hosts;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_filter;
use crate::tui::widget::list;
use crate::tui::widget::paint::{self, Piece};

/// Draws titles and the rows that are seen; `top` keeps the first of them from frame to frame.
pub fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: &Theme, top: &mut usize) {
    let layout = column::layout(area.width, &app.vms.columns, app.vms.scroll);
    draw_titles(app, buf, paint::line_of(area, 0), theme, &layout);
    let rows = app.vms.rows.visible();
    let page = area.height.saturating_sub(1);
    let index = app.vms.cursor.index();
    *top = scroll_to(*top, index, usize::from(page), rows.len());
    let shown = rows.iter().enumerate().skip(*top);
    for (n, (at, row)) in (1..=page).zip(shown) {
        let line = paint::line_of(area, n);
        draw_row(app, buf, line, theme, (&layout, *row, at == index));
    }
    if rows.is_empty() {
        list::empty(buf, area, theme, &why_empty(app));
    }
}

fn why_empty(app: &App) -> String {
    if app.snapshot.hosts.is_empty() {
        return "No hosts yet. 2 shows the hosts, A adds the first one.".to_owned();
    }
    if app.vms.rows.total() > 0 {
        return format!(
            "None of {} VMs fits. Esc takes the filter away.",
            app.vms.rows.total()
        );
    }
    let silent = app
        .snapshot
        .hosts
        .iter()
        .filter(|host| host.inventory.is_none())
        .count();
    if silent > 0 {
        format!("Nothing is known yet: {silent} hosts have not answered.")
    } else {
        "The hosts have no VMs.".to_owned()
    }
}

fn draw_titles(app: &App, buf: &mut Buffer, line: Rect, theme: &Theme, layout: &Layout) {
    buf.set_style(line.intersection(buf.area), theme.style(Role::TitleLine));
    for slot in &layout.slots {
        let sorted = slot.column.id == app.vms.sort.column;
        let role = if sorted { Role::Sorted } else { Role::Title };
        let title = if sorted {
            let sign = if app.vms.sort.descending {
                glyph::DESCENDING
            } else {
                glyph::ASCENDING
            };
            // The sign stands inside the column, so that no title moves when the order changes.
            format!("{}{sign}", slot.column.title)
        } else {
            slot.column.title.to_owned()
        };
        let cell = cell_area(line, slot);
        if slot.column.right {
            paint::put_right(buf, cell, &title, theme.style(role));
        } else {
            paint::put(buf, cell, &title, theme.style(role));
        }
    }
    let accent = theme.style(Role::Accent);
    if layout.more_left {
        paint::put(buf, line, glyph::MORE_LEFT, accent);
    }
    if layout.more_right {
        let mut flowing = layout
            .slots
            .iter()
            .filter(|slot| slot.column.place != Place::Right);
        if let Some(last) = flowing.next_back() {
            let x = line.x + last.x + last.width + 1;
            let rest = Rect {
                x,
                width: line.right().saturating_sub(x),
                ..line
            };
            paint::put(buf, rest, glyph::MORE_RIGHT, accent);
        }
    }
}

fn cell_area(line: Rect, slot: &Slot) -> Rect {
    Rect {
        x: line.x + slot.x,
        width: slot.width,
        ..line
    }
}

fn draw_row(
    app: &App,
    buf: &mut Buffer,
    line: Rect,
    theme: &Theme,
    (layout, row, selected): (&Layout, Row, bool),
) {
    let Some((host, vm)) = row.find(&app.snapshot) else {
        return;
    };
    if selected {
        buf.set_style(line.intersection(buf.area), theme.style(Role::Selection));
        let bar = Rect {
            x: line.x + 1,
            width: line.width.saturating_sub(1),
            ..line
        };
        paint::put(buf, bar, glyph::CURSOR, theme.style(Role::Cursor));
    }
    let id = || VmRef {
        host: host.spec.id,
        vm: vm.id.clone(),
    };
    if !app.vms.marks.is_empty() && app.vms.marks.contains(&id()) {
        paint::put(buf, line, glyph::MARK, theme.style(Role::Mark));
    }
    if !app.vms.watched.is_empty() && app.vms.watched.contains(&id()) {
        let third = Rect {
            x: line.x + 2,
            width: line.width.saturating_sub(2),
            ..line
        };
        paint::put(buf, third, glyph::WATCHED, theme.style(Role::Accent));
    }
    let operation = app.vms.rows.operation(host.spec.id, &vm.id);
    let stale = host.is_stale(app.now);
    for slot in &layout.slots {
        let cell = Cell {
            host,
            vm,
            now: app.now,
            operation: operation.map(std::sync::Arc::as_ref),
            history: app.vms.history.of(host.spec.id, &vm.id),
            old_snapshot: app.settings.old_snapshot,
            width: slot.width,
        };
        let bits = (slot.column.text)(&cell);
        let keeps_colour = slot.column.place == Place::Right || operation.is_some();
        draw_cell(
            buf,
            cell_area(line, slot),
            theme,
            &bits,
            (slot.column.right, stale && !keeps_colour),
        );
    }
}

fn draw_cell(
    buf: &mut Buffer,
    area: Rect,
    theme: &Theme,
    bits: &[Bit],
    (right, stale): (bool, bool),
) {
    let mut pieces: Vec<Piece<'_>> = bits
        .iter()
        .map(|bit| {
            let role = if stale { Role::Stale } else { bit.role };
            Piece::new(bit.text.as_ref(), theme.style(role))
        })
        .collect();
    if right {
        let width: u16 = pieces.iter().map(Piece::width).sum();
        let pad = usize::from(area.width.saturating_sub(width));
        pieces.insert(0, Piece::new(" ".repeat(pad), theme.style(Role::Text)));
    }
    paint::put_line(buf, area, &pieces);
}

/// Draws the line under the table: the filter, news, how many rows there are. Returns where the text
/// cursor is.
pub fn status(app: &App, buf: &mut Buffer, line: Rect, theme: &Theme) -> Option<Position> {
    let vms = &app.vms;
    let mut count = if vms.is_filtered() {
        format!("{} of {} ", vms.rows.visible().len(), vms.rows.total())
    } else {
        format!("{} VMs ", vms.rows.total())
    };
    if !vms.marks.is_empty() || !vms.gone.is_empty() {
        let gone = match vms.gone.len() {
            0 => String::new(),
            n => format!(", {n} gone"),
        };
        count = format!("{} {} marked{gone}   {count}", glyph::MARK, vms.marks.len());
    }
    let mut width = paint::width(&count);
    paint::put_right(buf, line, &count, theme.style(Role::Dim));
    if acting::in_production(app, acting::target_refs(app)) > 0 {
        let room = line.width.saturating_sub(width);
        frame::badge(
            buf,
            Rect {
                width: room,
                ..line
            },
            theme,
        );
        width += paint::width(frame::PRODUCTION);
    }
    let left = Rect {
        x: line.x + 1,
        width: line.width.saturating_sub(width + 3),
        ..line
    };
    if vms.filter.editing {
        return draw_filter(buf, left, theme, &vms.filter);
    }
    if let Some(toast) = &app.toast {
        let text = crate::domain::text::fit_middle(&toast.text, usize::from(left.width));
        paint::put(buf, left, &text, theme.style(toast.role));
        return None;
    }
    let mut pieces = Vec::new();
    let host = vms.host.and_then(|host| app.snapshot.host(host));
    let parts = [
        host.map(|host| format!("host {}", host.spec.name)),
        vms.quick.map(|quick| format!("only {}", quick.title())),
        vms.filter
            .is_active()
            .then(|| format!("/{}", vms.filter.text())),
    ];
    for part in parts.into_iter().flatten() {
        pieces.push(Piece::new(part, theme.style(Role::Accent)));
        pieces.push(Piece::new("   ", theme.style(Role::Text)));
    }
    // A row that is old says why, as soon as the cursor is on it.
    let selected = vms.cursor.id().and_then(|vm| app.snapshot.host(vm.host));
    if let Some((text, role)) = selected.and_then(|host| hosts::trouble(app, host)) {
        pieces.push(Piece::new(text, theme.style(role)));
    }
    paint::put_line(buf, left, &pieces);
    None
}
