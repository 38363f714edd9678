//! From a key to the bytes that a terminal sends for it (xterm, "PC-Style Function Keys"). Pure.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// The VM's terminal modes that change what keys send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modes {
    /// Cursor keys send `ESC O` instead of `ESC [` (DECCKM).
    pub application_cursor: bool,
    /// Pasted text is to be marked as such.
    pub bracketed_paste: bool,
}

/// Returns what a key sends; nothing for keys that send nothing.
pub fn key(event: &KeyEvent, modes: Modes) -> Vec<u8> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let held_keys = event.modifiers;
    match event.code {
        KeyCode::Char(c) => character(c, held_keys),
        KeyCode::Enter => with_alt(held_keys, b"\r"),
        KeyCode::Tab if held_keys.contains(KeyModifiers::SHIFT) => b"\x1b[Z".to_vec(),
        KeyCode::BackTab => b"\x1b[Z".to_vec(),
        KeyCode::Tab => with_alt(held_keys, b"\t"),
        KeyCode::Esc => with_alt(held_keys, b"\x1b"),
        KeyCode::Backspace if held_keys.contains(KeyModifiers::CONTROL) => {
            with_alt(held_keys, b"\x08")
        }
        KeyCode::Backspace => with_alt(held_keys, b"\x7f"),
        KeyCode::Up => cursor('A', held_keys, modes),
        KeyCode::Down => cursor('B', held_keys, modes),
        KeyCode::Right => cursor('C', held_keys, modes),
        KeyCode::Left => cursor('D', held_keys, modes),
        KeyCode::Home => cursor('H', held_keys, modes),
        KeyCode::End => cursor('F', held_keys, modes),
        KeyCode::Insert => numbered(2, held_keys),
        KeyCode::Delete => numbered(3, held_keys),
        KeyCode::PageUp => numbered(5, held_keys),
        KeyCode::PageDown => numbered(6, held_keys),
        KeyCode::F(n) => function(n, held_keys),
        _ => Vec::new(),
    }
}

/// Returns what pasted text sends: characters, blanks and line ends, and nothing that acts as a key.
pub fn paste(text: &str, modes: Modes) -> Vec<u8> {
    let mut plain = String::with_capacity(text.len());
    let mut after_return = false;
    for c in text.chars() {
        match c {
            '\n' if after_return => {}
            '\r' | '\n' => plain.push('\r'),
            '\t' => plain.push('\t'),
            c if crate::domain::text::is_hostile(c) => {}
            c => plain.push(c),
        }
        after_return = c == '\r';
    }
    if modes.bracketed_paste {
        format!("\x1b[200~{plain}\x1b[201~").into_bytes()
    } else {
        plain.into_bytes()
    }
}

fn character(c: char, held_keys: KeyModifiers) -> Vec<u8> {
    if held_keys.contains(KeyModifiers::CONTROL) {
        return match control(c) {
            Some(byte) => with_alt(held_keys, &[byte]),
            None => Vec::new(),
        };
    }
    let c = if held_keys.contains(KeyModifiers::SHIFT) {
        c.to_ascii_uppercase()
    } else {
        c
    };
    let mut bytes = [0; 4];
    with_alt(held_keys, c.encode_utf8(&mut bytes).as_bytes())
}

/// The control character of a key. Digits are how old terminals reach those beside the letters, and how
/// they are reported to us.
fn control(c: char) -> Option<u8> {
    Some(match c {
        'a'..='z' | 'A'..='Z' => u8::try_from(c).ok()? & 0x1f,
        ' ' | '@' | '2' => 0,
        '[' | '3' => 0x1b,
        '\\' | '4' => 0x1c,
        ']' | '5' => 0x1d,
        '^' | '6' => 0x1e,
        '_' | '7' | '/' => 0x1f,
        '?' | '8' => 0x7f,
        _ => return None,
    })
}

fn with_alt(held_keys: KeyModifiers, bytes: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(bytes.len() + 1);
    if held_keys.contains(KeyModifiers::ALT) {
        sent.push(0x1b);
    }
    sent.extend_from_slice(bytes);
    sent
}

/// The number that xterm gives a set of modifiers; `None` without any.
fn modifier(held_keys: KeyModifiers) -> Option<u8> {
    let mut number = 1;
    for (held, worth) in [
        (KeyModifiers::SHIFT, 1),
        (KeyModifiers::ALT, 2),
        (KeyModifiers::CONTROL, 4),
    ] {
        if held_keys.contains(held) {
            number += worth;
        }
    }
    (number > 1).then_some(number)
}

fn cursor(letter: char, held_keys: KeyModifiers, modes: Modes) -> Vec<u8> {
    match modifier(held_keys) {
        Some(number) => format!("\x1b[1;{number}{letter}"),
        None if modes.application_cursor => format!("\x1bO{letter}"),
        None => format!("\x1b[{letter}"),
    }
    .into_bytes()
}

fn numbered(key: u8, held_keys: KeyModifiers) -> Vec<u8> {
    match modifier(held_keys) {
        Some(number) => format!("\x1b[{key};{number}~"),
        None => format!("\x1b[{key}~"),
    }
    .into_bytes()
}

fn function(n: u8, held_keys: KeyModifiers) -> Vec<u8> {
    let letter = match n {
        1 => 'P',
        2 => 'Q',
        3 => 'R',
        4 => 'S',
        5 => return numbered(15, held_keys),
        6..=10 => return numbered(n + 11, held_keys),
        11 | 12 => return numbered(n + 12, held_keys),
        _ => return Vec::new(),
    };
    match modifier(held_keys) {
        Some(number) => format!("\x1b[1;{number}{letter}"),
        None => format!("\x1bO{letter}"),
    }
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::key::KeyPress;

    fn sent(word: &str) -> Vec<u8> {
        let press: KeyPress = word.parse().unwrap();
        key(&press.to_event(), Modes::default())
    }

    #[test]
    fn keys_send_what_xterm_sends() {
        let cases: &[(&str, &[u8])] = &[
            ("a", b"a"),
            ("A", b"A"),
            ("space", b" "),
            ("enter", b"\r"),
            ("tab", b"\t"),
            ("shift-tab", b"\x1b[Z"),
            ("esc", b"\x1b"),
            ("backspace", b"\x7f"),
            ("ctrl-c", b"\x03"),
            ("ctrl-z", b"\x1a"),
            ("ctrl-l", b"\x0c"),
            ("ctrl-space", b"\0"),
            ("ctrl-4", b"\x1c"),
            ("ctrl-7", b"\x1f"),
            ("alt-b", b"\x1bb"),
            ("up", b"\x1b[A"),
            ("ctrl-left", b"\x1b[1;5D"),
            ("home", b"\x1b[H"),
            ("end", b"\x1b[F"),
            ("delete", b"\x1b[3~"),
            ("pgup", b"\x1b[5~"),
            ("ctrl-pgdn", b"\x1b[6;5~"),
            ("f1", b"\x1bOP"),
            ("f4", b"\x1bOS"),
            ("f5", b"\x1b[15~"),
            ("f6", b"\x1b[17~"),
            ("f10", b"\x1b[21~"),
            ("f11", b"\x1b[23~"),
            ("f12", b"\x1b[24~"),
        ];
        for (word, bytes) in cases {
            assert_eq!(sent(word), *bytes, "{word}");
        }
        assert_eq!(sent("é"), "é".as_bytes());
    }

    #[test]
    fn the_vms_modes_count() {
        let modes = Modes {
            application_cursor: true,
            bracketed_paste: true,
        };
        let up: KeyPress = "up".parse().unwrap();
        assert_eq!(key(&up.to_event(), modes), b"\x1bOA");
        assert_eq!(paste("a", modes), b"\x1b[200~a\x1b[201~");
    }

    #[test]
    fn pasted_text_is_text() {
        let modes = Modes::default();
        assert_eq!(paste("a\r\nb\nc\td", modes), b"a\rb\rc\td");
        assert_eq!(paste("x\x1b[201~\x03\x1dy", modes), b"x[201~y");
    }

    #[test]
    fn a_release_sends_nothing() {
        let release = KeyEvent::new_with_kind(
            KeyCode::Char('a'),
            KeyModifiers::NONE,
            KeyEventKind::Release,
        );
        assert!(key(&release, Modes::default()).is_empty());
    }
}
