//! Writing text into a frame: clipped to its area, measured in terminal columns, never beyond.
//!
//! The last line of defence against text that acts on a terminal: whatever reaches a cell here has no
//! character that `domain::text` calls hostile, even if a caller forgot `RemoteText`.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::domain::text::{fit_middle, is_hostile};

/// A piece of a line with one style.
#[derive(Debug, Clone)]
pub struct Piece<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// How it looks; laid over what is there.
    pub style: Style,
}

impl<'a> Piece<'a> {
    /// Makes a piece.
    pub fn new(text: impl Into<Cow<'a, str>>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }

    /// Returns its width in terminal columns.
    pub fn width(&self) -> u16 {
        width(&self.text)
    }
}

/// Returns the width of a text in terminal columns.
pub fn width(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// Fills up with blanks by what a terminal shows, not by characters: names may be wide.
pub fn padded(text: &str, columns: u16) -> String {
    let blanks = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(usize::from(blanks)))
}

/// Writes a text at the start of `area`'s first line, cut at its right edge; returns the column after it.
pub fn put(buf: &mut Buffer, area: Rect, text: &str, style: Style) -> u16 {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return area.x;
    }
    let safe = harmless(text);
    let (end, _) = buf.set_stringn(area.x, area.y, safe, usize::from(area.width), style);
    end
}

/// Writes pieces one after the other; what does not fit is cut. Returns the column after the last.
pub fn put_line(buf: &mut Buffer, area: Rect, pieces: &[Piece<'_>]) -> u16 {
    let mut rest = area;
    for piece in pieces {
        let end = put(buf, rest, &piece.text, piece.style);
        rest = Rect {
            x: end,
            width: area.right().saturating_sub(end),
            ..area
        };
    }
    rest.x
}

/// Writes a text cut in the middle to `area`'s width.
pub fn put_fitted(buf: &mut Buffer, area: Rect, text: &str, style: Style) -> u16 {
    put(buf, area, &fit_middle(text, usize::from(area.width)), style)
}

/// Writes a text so that it ends at `area`'s right edge.
pub fn put_right(buf: &mut Buffer, area: Rect, text: &str, style: Style) {
    let fitted = fit_middle(text, usize::from(area.width));
    let start = area.right().saturating_sub(width(&fitted));
    let line = Rect {
        x: start.max(area.x),
        width: area.right().saturating_sub(start.max(area.x)),
        ..area
    };
    put(buf, line, &fitted, style);
}

/// Returns the `n`th line of an area; empty when it has none.
pub fn line_of(area: Rect, n: u16) -> Rect {
    if n < area.height {
        Rect {
            y: area.y.saturating_add(n),
            height: 1,
            ..area
        }
    } else {
        Rect { height: 0, ..area }
    }
}

/// Fills an area with blanks in a style, hiding what was there.
pub fn clear(buf: &mut Buffer, area: Rect, style: Style) {
    let area = area.intersection(buf.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = buf.cell_mut((x, y)) {
                cell.reset();
                cell.set_style(style);
            }
        }
    }
}

/// Returns the text without characters that act on a terminal.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_hostile) {
        text.replace(is_hostile, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// Breaks a text into lines of at most `columns`, at blanks where there are any.
pub fn wrap(text: &str, columns: u16) -> Vec<String> {
    let room = usize::from(columns.max(1));
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word.to_owned();
        if !line.is_empty() && line.width() + 1 + word.width() > room {
            lines.push(std::mem::take(&mut line));
        }
        while word.width() > room {
            let cut = cut_columns(&word, room);
            if cut == word.len() {
                break;
            }
            let rest = word.split_off(cut);
            lines.push(std::mem::replace(&mut word, rest));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

/// Returns the byte position after at most `room` columns, at least one character.
fn cut_columns(text: &str, room: usize) -> usize {
    use unicode_width::UnicodeWidthChar;
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > room && at > 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside_the_area() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 6, 1));
        put(&mut buf, Rect::new(2, 0, 3, 1), "abcdef", Style::new());
        put(&mut buf, Rect::new(0, 9, 3, 1), "abcdef", Style::new());
        put(&mut buf, Rect::new(90, 0, 3, 1), "abcdef", Style::new());
        assert_eq!(buf, Buffer::with_lines(["  abc "]));
    }

    #[test]
    fn what_acts_on_a_terminal_never_reaches_a_cell() {
        let area = Rect::new(0, 0, 8, 1);
        let mut buf = Buffer::empty(area);
        put(&mut buf, area, "a\u{1b}[2J\u{202e}b", Style::new());
        let text: String = buf
            .content
            .iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        assert_eq!(text, "a\u{fffd}[2J\u{fffd}b ");
    }

    #[test]
    fn text_is_wrapped_at_blanks_and_long_words_are_cut() {
        assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("日本語", 1), ["日", "本", "語"]);
    }
}
