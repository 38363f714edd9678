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
    /// The id of its command.
    pub id: &'static str,
}

/// Draws hints from the left.
pub fn draw(buf: &mut Buffer, line: Rect, theme: &Theme, hints: &[Hint]) {
    for (place, hint) in places(line, hints) {
        let pieces = [
            Piece::new(hint.key.clone(), theme.style(Role::Key)),
            Piece::new(format!(" {}", hint.label), theme.style(Role::KeyLabel)),
        ];
        let rest = Rect {
            width: line.right().saturating_sub(place.x),
            ..place
        };
        paint::put_line(buf, rest, &pieces);
    }
}

/// Returns where the hints stand that there is room for; the last one is shown at all costs, because it is
/// how to learn the rest.
pub fn places(line: Rect, hints: &[Hint]) -> Vec<(Rect, &Hint)> {
    let width = |hint: &Hint| paint::width(&hint.key) + 1 + paint::width(&hint.label);
    let Some((last, rest)) = hints.split_last() else {
        return Vec::new();
    };
    let mut x = line.x.saturating_add(1);
    let end = line.right().saturating_sub(width(last) + 1);
    let at = |x: u16, hint: &Hint| Rect {
        x,
        width: width(hint),
        ..line
    };
    let mut places = Vec::new();
    for hint in rest {
        let next = x.saturating_add(width(hint)).saturating_add(2);
        if next > end {
            break;
        }
        places.push((at(x, hint), hint));
        x = next;
    }
    places.push((at(x, last), last));
    places
}
