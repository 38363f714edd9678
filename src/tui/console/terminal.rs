//! The emulated terminal: bytes of a VM in, cells out. Pure, and bounded: so many lines of scroll-back and
//! not one more, whatever the VM writes.
//!
//! A VM may ask its terminal where the cursor is and what it is (a shell does so to learn how wide its
//! line is). Those questions are answered, to the VM and to nobody else. All other requests (titles,
//! bells, clipboard, resizes) are swallowed.

use std::fmt;
use std::num::NonZeroU16;

use vt100::{Callbacks, Parser, Screen};

use super::encode::Modes;
use crate::domain::console::TerminalSize;

/// Lines kept above the screen.
pub const SCROLL_BACK: usize = 2000;

/// Bytes of answers that may wait to be fetched; a VM that asks faster is not answered.
const MOST_ANSWERS: usize = 256;

/// The least that is emulated: a serial line has no size, and programs on it think of 80 x 24.
const LEAST: (u16, u16) = (80, 24);

/// What the VM is to be told.
#[derive(Debug, Default)]
struct Answers(Vec<u8>);

impl Answers {
    fn say(&mut self, answer: &str) {
        if self.0.len() + answer.len() <= MOST_ANSWERS {
            self.0.extend_from_slice(answer.as_bytes());
        }
    }
}

impl Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        first: Option<u8>,
        _second: Option<u8>,
        params: &[&[u16]],
        letter: char,
    ) {
        let asked = params.first().and_then(|values| values.first()).copied();
        match (first, letter, asked.unwrap_or(0)) {
            (None, 'n', 5) => self.say("\x1b[0n"),
            (None, 'n', 6) => {
                let (row, column) = screen.cursor_position();
                self.say(&format!(
                    "\x1b[{};{}R",
                    row.saturating_add(1),
                    column.saturating_add(1)
                ));
            }
            // A VT100 with advanced video option, as most terminals say.
            (None, 'c', 0) => self.say("\x1b[?1;2c"),
            _ => {}
        }
    }
}

/// An emulated terminal.
pub struct Terminal {
    parser: Parser<Answers>,
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, columns) = self.parser.screen().size();
        f.debug_struct("Terminal")
            .field("columns", &columns)
            .field("rows", &rows)
            .finish_non_exhaustive()
    }
}

impl Terminal {
    /// Makes an empty terminal for a screen with so much room.
    pub fn new(room: TerminalSize) -> Self {
        let size = Self::size_for(room);
        let (rows, columns) = cells(size);
        Self {
            parser: Parser::new_with_callbacks(rows, columns, SCROLL_BACK, Answers::default()),
        }
    }

    /// Returns how large a terminal is emulated where there is so much room.
    pub fn size_for(room: TerminalSize) -> TerminalSize {
        TerminalSize::new(room.columns().max(LEAST.0), room.lines().max(LEAST.1))
    }

    /// Takes another size.
    pub fn resize(&mut self, room: TerminalSize) {
        let (rows, columns) = cells(Self::size_for(room));
        self.parser.set_size(rows, columns);
    }

    /// Takes what the VM wrote; returns what the VM is to be answered.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.parser.process(bytes);
        std::mem::take(&mut self.parser.callbacks_mut().0)
    }

    /// Returns the screen, scrolled as it is.
    pub fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    /// Scrolls back by so many lines from the newest; returns how many there really are.
    pub fn scroll_to(&mut self, lines: usize) -> usize {
        let screen = self.parser.screen_mut();
        screen.set_scrollback(lines);
        screen.scrollback()
    }

    /// Returns by how many lines it is scrolled back.
    pub fn scrolled(&self) -> usize {
        self.parser.screen().scrollback()
    }

    /// Returns the modes that change what keys send.
    pub fn modes(&self) -> Modes {
        let screen = self.parser.screen();
        Modes {
            application_cursor: screen.application_cursor(),
            bracketed_paste: screen.bracketed_paste(),
        }
    }
}

fn cells(size: TerminalSize) -> (NonZeroU16, NonZeroU16) {
    let cells = |count| NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN);
    (cells(size.lines()), cells(size.columns()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terminal() -> Terminal {
        Terminal::new(TerminalSize::new(80, 24))
    }

    #[test]
    fn a_shell_that_asks_how_wide_it_is_gets_its_answer() {
        let mut terminal = terminal();
        assert_eq!(terminal.take(b"/ # \x1b[6n"), b"\x1b[1;5R");
        assert_eq!(terminal.take(b"\x1b[999;999H\x1b[6n"), b"\x1b[24;80R");
        assert_eq!(terminal.take(b"\x1b[c"), b"\x1b[?1;2c");
        assert_eq!(terminal.take(b"plain"), b"");
    }

    #[test]
    fn a_flood_of_questions_is_not_answered_at_length() {
        let mut terminal = terminal();
        let flood = b"\x1b[6n".repeat(100_000);
        assert!(terminal.take(&flood).len() <= MOST_ANSWERS);
    }

    #[test]
    fn what_would_act_on_a_terminal_leaves_no_trace() {
        let mut terminal = terminal();
        let answer = terminal.take(
            b"\x1b]0;title\x07\x1b]52;c;aGk=\x07\x07\x1bP+q544e\x1b\\\x1b[21t\x1b[8;5;5t\x1b]11;?\x07ok",
        );
        assert_eq!(answer, b"");
        assert_eq!(terminal.screen().contents(), "ok");
        assert_eq!(terminal.screen().size(), cells(TerminalSize::new(80, 24)));
    }

    #[test]
    fn the_scroll_back_has_an_end() {
        let mut terminal = terminal();
        for n in 0..(SCROLL_BACK + 500) {
            terminal.take(format!("line {n}\r\n").as_bytes());
        }
        assert_eq!(terminal.scroll_to(usize::MAX), SCROLL_BACK);
        assert_eq!(terminal.scroll_to(0), 0);
        assert!(terminal.screen().contents().contains("line 2499"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases((ProptestConfig::default().cases / 8).max(300)))]
        #[test]
        fn nothing_that_a_vm_writes_breaks_it(
            pieces in prop::collection::vec(
                (
                    prop_oneof![
                        prop::collection::vec(any::<u8>(), 0..200),
                        "(\u{1b}[\\[\\]PO]?[0-9;?]{0,12}[@-~]|[\u{0}-\u{ff}日本\u{301}]|\r\n){0,60}"
                            .prop_map(String::into_bytes),
                    ],
                    (1u16..400, 1u16..120),
                    0usize..3000,
                ),
                0..12,
            ),
        ) {
            let mut terminal = terminal();
            for (bytes, (columns, lines), scroll) in pieces {
                terminal.take(&bytes);
                terminal.resize(TerminalSize::new(columns, lines));
                terminal.take(&bytes);
                prop_assert!(terminal.scroll_to(scroll) <= SCROLL_BACK);
                let (rows, columns) = terminal.screen().size();
                for row in 0..rows.get() {
                    for column in 0..columns.get() {
                        let cell = terminal.screen().cell(row, column);
                        prop_assert!(cell.is_some());
                    }
                }
            }
        }
    }
}
