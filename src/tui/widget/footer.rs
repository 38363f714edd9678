//! The keys that make sense now: what the VM's state and the policy allow, nothing else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{self, Piece};
use crate::tui::theme::{Role, Theme};

/// A key and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The key.
    pub key: String,
    /// What it does.
    pub label: String,
}

/// Draws hints from the left; the last one is drawn at all costs, because it is how to learn the rest.
pub fn draw(buf: &mut Buffer, line: Rect, theme: &Theme, hints: &[Hint]) {
    let pieces = |hint: &Hint| {
        [
            Piece::new(hint.key.clone(), theme.style(Role::Key)),
            Piece::new(format!(" {}", hint.label), theme.style(Role::KeyLabel)),
        ]
    };
    let width = |hint: &Hint| paint::width(&hint.key) + 1 + paint::width(&hint.label);
    let Some((last, rest)) = hints.split_last() else {
        return;
    };
    let mut x = line.x.saturating_add(1);
    let end = line.right().saturating_sub(width(last) + 1);
    let at = |x: u16| Rect {
        x,
        width: line.right().saturating_sub(x),
        ..line
    };
    for hint in rest {
        if x.saturating_add(width(hint)).saturating_add(2) > end {
            break;
        }
        x = paint::put_line(buf, at(x), &pieces(hint)).saturating_add(2);
    }
    paint::put_line(buf, at(x), &pieces(last));
}
