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

/// What a frame of production says, beside its look: no meaning hangs on a colour.
pub const PRODUCTION: &str = " ▲ PRODUCTION ";

/// Makes the frame that stands around `area` unmistakable: what is in it is about production. Its lines
/// are doubled, in a colour of their own, and it says so in a word.
pub fn production(buf: &mut Buffer, area: Rect, theme: &Theme) {
    if area.width < 4 || area.height < 2 {
        return;
    }
    let style = theme
        .style(Role::Overlay)
        .patch(theme.style(Role::ProdFrame));
    let (right, bottom) = (area.right() - 1, area.bottom() - 1);
    for y in area.y..=bottom {
        for x in area.x..=right {
            let on_edge = y == area.y || y == bottom || x == area.x || x == right;
            if let Some(cell) = buf.cell_mut((x, y)).filter(|_| on_edge)
                && let Some(doubled) = doubled(cell.symbol())
            {
                cell.set_symbol(doubled).set_style(style);
            }
        }
    }
    badge(buf, layout::inner(paint::line_of(area, 0), 2, 0), theme);
}

/// Writes the word at the right end of a line.
pub fn badge(buf: &mut Buffer, line: Rect, theme: &Theme) {
    if line.width > paint::width(PRODUCTION) {
        paint::put_right(buf, line, PRODUCTION, theme.style(Role::ProdBadge));
    }
}

fn doubled(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "─" => "═",
        "│" => "║",
        "╭" => "╔",
        "╮" => "╗",
        "╰" => "╚",
        "╯" => "╝",
        _ => return None,
    })
}

/// Draws the last line of a form: its button, marked where the cursor is on it, and the keys of the form.
pub fn button(
    buf: &mut Buffer,
    line: Rect,
    theme: &Theme,
    (word, here): (&str, bool),
    form_keys: &[(&str, &str)],
) {
    if here {
        paint::put(buf, line, "▌", theme.style(Role::Cursor));
    }
    let place = Rect {
        x: line.x + 1,
        width: line.width.saturating_sub(1),
        ..line
    };
    let role = if here { Role::Selection } else { Role::Key };
    let end = paint::put(buf, place, word, theme.style(role));
    let rest = Rect {
        x: end + 3,
        width: line.right().saturating_sub(end + 3),
        ..line
    };
    keys(buf, rest, theme, form_keys);
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
