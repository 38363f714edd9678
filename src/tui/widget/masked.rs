//! A secret being typed: never shown, wiped behind, without copies left in memory.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use thiserror::Error;
use zeroize::Zeroizing;

use super::paint;
use crate::domain::secret::SecretText;
use crate::domain::text::is_hostile;
use crate::tui::theme::{Role, Theme};

/// Longest secret taken, in characters.
const MAX_CHARS: usize = 512;

/// Why something that was typed or pasted was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotTaken {
    /// There is no room for it.
    #[error("not taken: a secret has {MAX_CHARS} characters at the most")]
    TooLong,
    /// It cannot be seen, so nobody would know that it is in there.
    #[error("nothing was taken: it holds characters that cannot be seen")]
    Invisible,
}

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
    /// Takes a key; says so where it is a character that is not taken.
    pub fn type_key(&mut self, key: &KeyEvent) -> Result<(), NotTaken> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => self.clear(),
            KeyCode::Char(c) if !control => return self.take_in(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => {
                self.0.pop();
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes text that was pasted, all of it or nothing. The end of its line is nobody's choice.
    pub fn paste(&mut self, text: &str) -> Result<(), NotTaken> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        self.take_in(line.strip_suffix('\r').unwrap_or(line))
    }

    fn take_in(&mut self, text: &str) -> Result<(), NotTaken> {
        if text.chars().any(is_hostile) {
            return Err(NotTaken::Invisible);
        }
        // Within the room there is, so that growing never leaves a copy behind.
        if self.0.chars().count() + text.chars().count() > MAX_CHARS {
            return Err(NotTaken::TooLong);
        }
        self.0.push_str(text);
        Ok(())
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
        let dots = "•".repeat(self.0.chars().count());
        put(buf, (line, theme), prompt, &dots)
    }

    /// Draws a prompt and the characters themselves, the last of them if there is no room for all.
    pub fn draw_shown(
        &self,
        buf: &mut Buffer,
        line: Rect,
        theme: &Theme,
        prompt: &str,
    ) -> Option<Position> {
        put(buf, (line, theme), prompt, &self.0)
    }
}

/// Writes a prompt and behind it the end of a text.
fn put(
    buf: &mut Buffer,
    (line, theme): (Rect, &Theme),
    prompt: &str,
    text: &str,
) -> Option<Position> {
    let start = paint::put(buf, line, prompt, theme.style(Role::Key));
    let rest = Rect {
        x: start,
        width: line.right().saturating_sub(start),
        ..line
    };
    let room = rest.width.saturating_sub(1);
    let mut seen = text;
    while paint::width(seen) > room {
        let mut chars = seen.chars();
        chars.next();
        seen = chars.as_str();
    }
    let end = paint::put(buf, rest, seen, theme.style(Role::Input));
    (line.height > 0).then_some(Position { x: end, y: line.y })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::key::KeyPress;

    #[test]
    fn what_is_typed_is_handed_over_once_and_never_printed() {
        let mut typed = Masked::default();
        for c in "hunter2".chars() {
            let key = KeyPress::plain(KeyCode::Char(c)).to_event();
            typed.type_key(&key).unwrap();
        }
        let back = KeyPress::plain(KeyCode::Backspace).to_event();
        typed.type_key(&back).unwrap();
        assert_eq!(format!("{typed:?}"), "<secret>");
        assert_eq!(typed.take().unwrap().expose(), "hunter");
        assert!(typed.is_empty() && typed.take().is_none());
    }
}
