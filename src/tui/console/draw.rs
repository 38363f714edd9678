//! Draws a console: cells of the emulated screen, one by one, and nothing else of what the VM wrote.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::Console;
use super::stage::Stage;
use super::state::OWN_LINES;
use crate::domain::text::is_hostile;
use crate::tui::app::App;
use crate::tui::overlay::frame;
use crate::tui::theme::{GuestColour, Role, Theme};
use crate::tui::widget::footer::{self, Hint};
use crate::tui::widget::paint::{self, Piece};

/// Draws it over everything; returns where the text cursor is.
pub fn draw(
    console: &Console,
    app: &App,
    hints: &[Hint],
    buf: &mut Buffer,
    theme: &Theme,
) -> Option<Position> {
    let area = buf.area;
    paint::clear(buf, area, theme.style(Role::Text));
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(OWN_LINES),
        ..area
    };
    draw_title(console, buf, paint::line_of(area, 0), theme);
    if crate::tui::acting::in_production(app, [&console.vm]) > 0 && console.terminal.scrolled() == 0
    {
        frame::badge(buf, paint::line_of(area, 0), theme);
    }
    let cursor = draw_screen(console, buf, body, theme);
    let last = area.height.saturating_sub(1);
    draw_state(
        console,
        app,
        buf,
        (paint::line_of(area, last.saturating_sub(1)), theme),
    );
    footer::draw(buf, paint::line_of(area, last), theme, hints);
    cursor
}

fn draw_title(console: &Console, buf: &mut Buffer, line: Rect, theme: &Theme) {
    let bar = theme.style(Role::TitleLine);
    paint::clear(buf, line, bar);
    let (word, role) = match &console.progress.stage {
        Stage::Opening => ("opening", Role::Changing),
        Stage::Live if console.may_type => ("live", Role::Running),
        Stage::Live => ("live, read-only", Role::Warning),
        Stage::Waiting { .. } => ("waiting", Role::Changing),
        Stage::Over(_) => ("closed", Role::Danger),
    };
    let title = format!(" {}  ", console.title());
    paint::put_line(
        buf,
        line,
        &[
            Piece::new(title, bar.patch(theme.style(Role::Strong))),
            Piece::new(word, bar.patch(theme.style(role))),
        ],
    );
    let scrolled = console.terminal.scrolled();
    if scrolled > 0 {
        let text = format!("{scrolled} lines back ");
        paint::put_right(buf, line, &text, bar.patch(theme.style(Role::Warning)));
    }
}

fn draw_state(console: &Console, app: &App, buf: &mut Buffer, (line, theme): (Rect, &Theme)) {
    let room = Rect {
        x: line.x + 1,
        width: line.width.saturating_sub(1),
        ..line
    };
    if let Some(toast) = &app.toast {
        paint::put_fitted(buf, room, &toast.text, theme.style(toast.role));
        return;
    }
    let (text, role) = match &console.progress.stage {
        Stage::Opening if console.login.is_some() => ("logging in…".to_owned(), Role::Dim),
        Stage::Opening => ("opening the console…".to_owned(), Role::Dim),
        Stage::Live if !console.heard => (
            "connected; the VM has written nothing yet (Enter often brings a prompt)".to_owned(),
            Role::Dim,
        ),
        Stage::Live => (String::new(), Role::Dim),
        Stage::Waiting { end, .. } => (
            format!("{}; it opens again by itself", end.cause.message),
            Role::Warning,
        ),
        Stage::Over(end) => (
            match &end.cause.hint {
                Some(hint) => format!("{} ({hint})", end.cause.message),
                None => end.cause.message.clone(),
            },
            Role::Danger,
        ),
    };
    paint::put_fitted(buf, room, &text, theme.style(role));
}

/// Draws the part of the emulated screen that fits: the part where its cursor is.
fn draw_screen(console: &Console, buf: &mut Buffer, body: Rect, theme: &Theme) -> Option<Position> {
    let screen = console.terminal.screen();
    let (row, column) = screen.cursor_position();
    let top = row.saturating_sub(body.height.saturating_sub(1));
    let left = column.saturating_sub(body.width.saturating_sub(1));
    for y in 0..body.height {
        for x in 0..body.width {
            if let Some(cell) = screen.cell(top.saturating_add(y), left.saturating_add(x))
                && let Some(target) = buf.cell_mut((body.x + x, body.y + y))
            {
                target.set_symbol(symbol(cell));
                target.set_style(style(cell, theme));
            }
        }
    }
    let shown = console.progress.stage == Stage::Live
        && console.terminal.scrolled() == 0
        && !screen.hide_cursor()
        && !body.is_empty();
    shown.then(|| Position::new(body.x + (column - left), body.y + (row - top)))
}

/// What stands in a cell, unless it would be more than that.
fn symbol(cell: &vt100::Cell) -> &str {
    let text = cell.contents();
    let width = if cell.is_wide() { 2 } else { 1 };
    if text.is_empty() {
        " "
    } else if text.chars().any(is_hostile) || text.width() != width {
        "\u{fffd}"
    } else {
        text
    }
}

fn style(cell: &vt100::Cell, theme: &Theme) -> Style {
    let mut style = theme.guest(colour(cell.fgcolor()), colour(cell.bgcolor()));
    for (on, modifier) in [
        (cell.bold(), Modifier::BOLD),
        (cell.dim(), Modifier::DIM),
        (cell.italic(), Modifier::ITALIC),
        (cell.underline(), Modifier::UNDERLINED),
        (cell.inverse(), Modifier::REVERSED),
    ] {
        if on {
            style = style.add_modifier(modifier);
        }
    }
    style
}

const fn colour(colour: vt100::Color) -> GuestColour {
    match colour {
        vt100::Color::Default => GuestColour::Default,
        vt100::Color::Idx(n) => GuestColour::Indexed(n),
        vt100::Color::Rgb(r, g, b) => GuestColour::Rgb([r, g, b]),
    }
}
