//! One key press, and the words it is written with in the configuration, the help and the docs.
//!
//! Terminals differ in how they report capitals and control characters; [`KeyPress::from_event`] makes
//! one form of them. Repeats count as presses, releases never.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key with its modifiers, in one normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyPress {
    /// The key; a capital letter stands for itself.
    pub code: KeyCode,
    /// Control held.
    pub ctrl: bool,
    /// Alt held.
    pub alt: bool,
    /// Shift held; only kept for keys that print nothing.
    pub shift: bool,
}

/// Words of the keys that print nothing.
const NAMED: [(&str, KeyCode); 14] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
];

/// Control with these two is the same byte to a terminal, and only some terminals tell them apart: both
/// are the digit, which every keyboard has.
const fn one_of_twins(c: char) -> char {
    match c {
        ']' => '5',
        other => other,
    }
}

/// A key is written in a way nobody understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no key: write `x`, `X`, `space`, `enter`, `f5`, `ctrl-r`, `alt-x` or `shift-tab`"
)]
pub struct KeyError(pub String);

impl KeyPress {
    /// A key without modifiers.
    pub const fn plain(code: KeyCode) -> Self {
        Self {
            code,
            ctrl: false,
            alt: false,
            shift: false,
        }
    }

    /// Takes a terminal's report; `None` for releases and for modifiers alone.
    pub fn from_event(event: &KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let mut press = Self {
            code: event.code,
            ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
            alt: event.modifiers.contains(KeyModifiers::ALT),
            shift: event.modifiers.contains(KeyModifiers::SHIFT),
        };
        match event.code {
            KeyCode::BackTab => {
                press.code = KeyCode::Tab;
                press.shift = true;
            }
            KeyCode::Char(c) => {
                let c = if press.ctrl {
                    one_of_twins(c.to_ascii_lowercase())
                } else if press.shift {
                    c.to_ascii_uppercase()
                } else {
                    c
                };
                press.code = KeyCode::Char(c);
                press.shift = false;
            }
            KeyCode::Modifier(_) | KeyCode::Null => return None,
            _ => {}
        }
        Some(press)
    }

    /// Returns the report a terminal would give: for tests and for key macros.
    pub fn to_event(self) -> KeyEvent {
        let mut modifiers = KeyModifiers::NONE;
        modifiers.set(KeyModifiers::CONTROL, self.ctrl);
        modifiers.set(KeyModifiers::ALT, self.alt);
        modifiers.set(KeyModifiers::SHIFT, self.shift);
        KeyEvent::new(self.code, modifiers)
    }

    /// Returns the sign for the footer, shorter than the word where one is well known.
    pub fn sign(self) -> String {
        match (self.code, self.ctrl || self.alt || self.shift) {
            (KeyCode::Enter, false) => "⏎".to_owned(),
            // What people know this key by.
            (KeyCode::Char('5'), true) if self.ctrl => "ctrl-]".to_owned(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for KeyPress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (held, word) in [
            (self.ctrl, "ctrl-"),
            (self.alt, "alt-"),
            (self.shift, "shift-"),
        ] {
            if held {
                text.push_str(word);
            }
        }
        match self.code {
            KeyCode::Char(' ') => text.push_str("space"),
            KeyCode::Char(c) => text.push(c),
            KeyCode::F(n) => text.extend(['f'.to_string(), n.to_string()]),
            code => text.push_str(
                NAMED
                    .iter()
                    .find(|(_, named)| *named == code)
                    .map_or("?", |(word, _)| word),
            ),
        }
        f.pad(&text)
    }
}

impl FromStr for KeyPress {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut press = Self::plain(KeyCode::Null);
        let mut rest = text;
        loop {
            if let Some(after) = rest.strip_prefix("ctrl-") {
                press.ctrl = true;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("alt-") {
                press.alt = true;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("shift-") {
                press.shift = true;
                rest = after;
            } else {
                break;
            }
        }
        let wrong = || KeyError(crate::domain::text::RemoteText::new(text).fit(40));
        press.code = match code(rest).ok_or_else(wrong)? {
            KeyCode::Char(c) if press.ctrl => KeyCode::Char(one_of_twins(c)),
            other => other,
        };
        let sound = match press.code {
            KeyCode::Char(c) => !(press.shift || press.ctrl && c.is_ascii_uppercase()),
            _ => true,
        };
        if sound { Ok(press) } else { Err(wrong()) }
    }
}

fn code(word: &str) -> Option<KeyCode> {
    if word == "space" {
        return Some(KeyCode::Char(' '));
    }
    if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == word) {
        return Some(*code);
    }
    let mut chars = word.chars();
    let first = chars.next()?;
    let tail = chars.as_str();
    if tail.is_empty() {
        let sound = !first.is_whitespace() && !crate::domain::text::is_hostile(first);
        return sound.then_some(KeyCode::Char(first));
    }
    let number: u8 = word.strip_prefix('f')?.parse().ok()?;
    (1..=12).contains(&number).then_some(KeyCode::F(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_read_back_as_written() {
        for text in [
            "x",
            "X",
            "space",
            "enter",
            "esc",
            "ctrl-r",
            "alt-x",
            "shift-tab",
            "f5",
            "-",
            "ctrl--",
            "<",
            "?",
            "pgdn",
            "ctrl-alt-delete",
        ] {
            assert_eq!(text.parse::<KeyPress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_no_terminal_can_send_is_refused() {
        for text in ["", "ctrl-", "ctrl-R", "shift-a", "f13", "entr", "  "] {
            assert!(text.parse::<KeyPress>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn terminals_that_report_capitals_differently_mean_the_same() {
        let old = KeyEvent::new(KeyCode::Char('S'), KeyModifiers::SHIFT);
        let kitty = KeyEvent::new(KeyCode::Char('s'), KeyModifiers::SHIFT);
        let plain = KeyEvent::new(KeyCode::Char('S'), KeyModifiers::NONE);
        let wanted = "S".parse().ok();
        for event in [old, kitty, plain] {
            assert_eq!(KeyPress::from_event(&event), wanted);
        }
        let back = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(KeyPress::from_event(&back), "shift-tab".parse().ok());
    }

    #[test]
    fn a_bracket_with_control_is_the_digit_that_every_keyboard_has() {
        let bracket = KeyEvent::new(KeyCode::Char(']'), KeyModifiers::CONTROL);
        assert_eq!(KeyPress::from_event(&bracket), "ctrl-5".parse().ok());
        assert_eq!("ctrl-]".parse::<KeyPress>(), "ctrl-5".parse());
        assert_eq!("ctrl-5".parse::<KeyPress>().unwrap().sign(), "ctrl-]");
    }

    #[test]
    fn a_release_is_no_press() {
        let release = KeyEvent::new_with_kind(
            KeyCode::Char('S'),
            KeyModifiers::NONE,
            KeyEventKind::Release,
        );
        assert_eq!(KeyPress::from_event(&release), None);
    }

    fn any_key() -> impl Strategy<Value = KeyPress> {
        let code = prop_oneof![
            proptest::char::range('!', '~').prop_map(KeyCode::Char),
            Just(KeyCode::Char(' ')),
            (1u8..=12).prop_map(KeyCode::F),
            (0usize..NAMED.len()).prop_map(|at| NAMED[at].1),
        ];
        (code, any::<(bool, bool, bool)>()).prop_map(|(code, (ctrl, alt, shift))| {
            let code = match code {
                KeyCode::Char(c) if ctrl => KeyCode::Char(one_of_twins(c.to_ascii_lowercase())),
                other => other,
            };
            let shift = shift && !matches!(code, KeyCode::Char(_));
            KeyPress {
                code,
                ctrl,
                alt,
                shift,
            }
        })
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(press in any_key()) {
            prop_assert_eq!(press.to_string().parse::<KeyPress>(), Ok(press));
            prop_assert_eq!(KeyPress::from_event(&press.to_event()), Some(press));
        }
    }
}
