//! A line of text being typed.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::paint;
use crate::tui::filter::FilterLine;
use crate::tui::theme::{Role, Theme};

/// Draws a prompt and what is typed, scrolled so that the cursor is seen; returns where that is.
pub fn draw_input(
    buf: &mut Buffer,
    line: Rect,
    theme: &Theme,
    prompt: &str,
    input: &Input,
) -> Option<Position> {
    let start = paint::put(buf, line, prompt, theme.style(Role::Key));
    let room = line.right().saturating_sub(start);
    let scroll = input.visual_scroll(usize::from(room.saturating_sub(1)));
    let mut skipped = 0;
    let shown: String = input
        .value()
        .chars()
        .skip_while(|c| {
            let skip = skipped < scroll;
            skipped += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            skip
        })
        .collect();
    let area = Rect {
        x: start,
        width: room,
        ..line
    };
    paint::put(buf, area, &shown, theme.style(Role::Input));
    let column = input.visual_cursor().saturating_sub(scroll);
    let x = start.saturating_add(u16::try_from(column).unwrap_or(u16::MAX));
    (x < line.right() && line.height > 0).then_some(Position { x, y: line.y })
}

/// Draws the prompt of a filter; where what is typed is wrong, points at it and says why.
pub fn draw_filter<F>(
    buf: &mut Buffer,
    line: Rect,
    theme: &Theme,
    filter: &FilterLine<F>,
) -> Option<Position> {
    let at = draw_input(buf, line, theme, "/", &filter.input);
    let text = filter.input.value();
    if let Some(mistake) = &filter.mistake {
        let before = text.get(..mistake.at).unwrap_or(text);
        let column = line.x + 1 + paint::width(before);
        if let Some(cell) = buf.cell_mut((column, line.y)) {
            cell.set_style(theme.style(Role::Mistake));
        }
        let x = (line.x + 1 + paint::width(text) + 3).min(line.right());
        let rest = Rect {
            x,
            width: line.right().saturating_sub(x),
            ..line
        };
        paint::put_fitted(buf, rest, &mistake.message, theme.style(Role::Danger));
    }
    at
}
