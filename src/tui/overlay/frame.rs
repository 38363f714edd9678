//! The frame of everything that lies over a view.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::layout;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint::{self, Piece};

/// Draws an empty frame of this size in the middle of `area`; returns the room inside it.
pub fn draw(buf: &mut Buffer, area: Rect, theme: &Theme, title: &str, size: (u16, u16)) -> Rect {
    let frame = layout::centred(area, size.0, size.1);
    fill(buf, frame, theme, title, "");
    layout::inner(frame, 2, 1)
}

/// Draws a frame around all of `area`, with a remark at the right of its lower edge.
pub fn fill(buf: &mut Buffer, area: Rect, theme: &Theme, title: &str, remark: &str) {
    let border = theme.style(Role::Overlay).patch(theme.style(Role::Border));
    paint::clear(buf, area, theme.style(Role::Overlay));
    if area.width < 4 || area.height < 2 {
        return;
    }
    let bar = "─".repeat(usize::from(area.width - 2));
    let last = area.height - 1;
    paint::put(buf, paint::line_of(area, 0), &format!("╭{bar}╮"), border);
    for n in 1..last {
        let line = paint::line_of(area, n);
        paint::put(buf, line, "│", border);
        paint::put_right(buf, line, "│", border);
    }
    paint::put(buf, paint::line_of(area, last), &format!("╰{bar}╯"), border);
    let edge = layout::inner(area, 2, 0);
    let fitted = crate::domain::text::fit_middle(title, usize::from(edge.width.saturating_sub(2)));
    paint::put_line(
        buf,
        paint::line_of(edge, 0),
        &[Piece::new(
            format!(" {fitted} "),
            theme.style(Role::OverlayTitle),
        )],
    );
    if !remark.is_empty() {
        let foot = paint::line_of(edge, last);
        paint::put_right(buf, foot, &format!(" {remark} "), theme.style(Role::Dim));
    }
}

/// Draws a line of keys and what they do: `y shut down   Enter cancel`.
pub fn keys(buf: &mut Buffer, line: Rect, theme: &Theme, keys: &[(&str, &str)]) {
    let mut pieces = Vec::new();
    for (at, (key, label)) in keys.iter().enumerate() {
        if at > 0 {
            pieces.push(Piece::new("   ", theme.style(Role::Text)));
        }
        pieces.push(Piece::new(*key, theme.style(Role::Key)));
        pieces.push(Piece::new(format!(" {label}"), theme.style(Role::KeyLabel)));
    }
    paint::put_line(buf, line, &pieces);
}
