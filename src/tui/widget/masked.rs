//! A secret being typed: never shown, wiped behind, without copies left in memory.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use zeroize::Zeroizing;

use super::paint;
use crate::domain::secret::SecretText;
use crate::tui::theme::{Role, Theme};

/// Longest secret taken, in characters.
const MAX_CHARS: usize = 512;

/// What is typed so far.
pub struct Masked(Zeroizing<String>);

impl std::fmt::Debug for Masked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl Default for Masked {
    fn default() -> Self {
        // Room for the longest, so that growing never leaves a copy behind.
        Self(Zeroizing::new(String::with_capacity(MAX_CHARS * 4)))
    }
}

impl Masked {
    /// Takes a key.
    pub fn type_key(&mut self, key: &KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => self.clear(),
            KeyCode::Char(c) if !control && self.0.chars().count() < MAX_CHARS => self.0.push(c),
            KeyCode::Backspace => {
                self.0.pop();
            }
            _ => {}
        }
    }

    /// Returns true while nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what was typed.
    pub fn clear(&mut self) {
        use zeroize::Zeroize;
        // Wipes what is taken off as well; the room stays.
        self.0.zeroize();
    }

    /// Hands over what was typed; nothing is left here.
    pub fn take(&mut self) -> Option<SecretText> {
        let typed = std::mem::take(self).0;
        let mut typed = typed;
        (!typed.is_empty()).then(|| SecretText::new(std::mem::take(&mut *typed)))
    }

    /// Lends a copy of what was typed, which is wiped like it; it stays here as well.
    pub fn peek(&self) -> Option<SecretText> {
        (!self.is_empty()).then(|| SecretText::new(self.0.as_str().to_owned()))
    }

    /// Draws a prompt and a dot for each character; returns where the text cursor is.
    pub fn draw(
        &self,
        buf: &mut Buffer,
        line: Rect,
        theme: &Theme,
        prompt: &str,
    ) -> Option<Position> {
        let start = paint::put(buf, line, prompt, theme.style(Role::Key));
        let room_left = usize::from(line.right().saturating_sub(start + 1));
        let dots = "•".repeat(self.0.chars().count().min(room_left));
        let rest = Rect {
            x: start,
            width: line.right().saturating_sub(start),
            ..line
        };
        let end = paint::put(buf, rest, &dots, theme.style(Role::Input));
        (line.height > 0).then_some(Position { x: end, y: line.y })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::key::KeyPress;

    #[test]
    fn what_is_typed_is_handed_over_once_and_never_printed() {
        let mut typed = Masked::default();
        for c in "hunter2".chars() {
            typed.type_key(&KeyPress::plain(KeyCode::Char(c)).to_event());
        }
        typed.type_key(&KeyPress::plain(KeyCode::Backspace).to_event());
        assert_eq!(format!("{typed:?}"), "<secret>");
        assert_eq!(typed.take().unwrap().expose(), "hunter");
        assert!(typed.is_empty() && typed.take().is_none());
    }
}
