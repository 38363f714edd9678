//! The passphrase of the profile: masked, wiped after use, wrong ones answered in place.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::frame;
use crate::domain::error_kind::Failure;
use crate::domain::inventory::LockState;
use crate::domain::passphrase::Strength;
use crate::domain::secret::SecretText;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::masked::{Masked, NotTaken};
use crate::tui::widget::paint;

/// What can be seen of what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// A dot for each character.
    Dots,
    /// The characters.
    Text,
    /// Dots, whatever is pressed: the screen is recorded.
    DotsOnly,
}

/// The dialog.
pub struct Passphrase {
    profile: String,
    /// Whether a passphrase is being set, which takes it twice.
    first_time: bool,
    typed: Masked,
    first: Option<SecretText>,
    /// Why the last one was not taken.
    complaint: Option<String>,
    seen: Seen,
    /// Whether one is being tried.
    pub trying: bool,
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passphrase")
            .field("profile", &self.profile)
            .field("trying", &self.trying)
            .finish_non_exhaustive()
    }
}

impl Passphrase {
    /// Asks for the passphrase of a profile; sets it where there is none.
    pub fn new(profile: &str, lock: LockState) -> Self {
        Self {
            profile: profile.to_owned(),
            first_time: lock == LockState::Empty,
            typed: Masked::default(),
            first: None,
            complaint: None,
            seen: Seen::Dots,
            trying: false,
        }
    }

    /// Shows dots only, because the screen is recorded.
    #[must_use]
    pub const fn never_seen(mut self) -> Self {
        self.seen = Seen::DotsOnly;
        self
    }

    /// Takes a key.
    pub fn type_key(&mut self, key: &KeyEvent) {
        if self.trying {
            return;
        }
        if key.code == KeyCode::Char('r') && key.modifiers.contains(KeyModifiers::CONTROL) {
            self.seen = match self.seen {
                Seen::Dots => Seen::Text,
                Seen::Text => Seen::Dots,
                Seen::DotsOnly => {
                    self.complaint = Some("not shown: the screen is recorded".to_owned());
                    Seen::DotsOnly
                }
            };
            return;
        }
        let taken = self.typed.type_key(key);
        self.complain(taken);
    }

    /// Takes what was pasted, as it is or not at all.
    pub fn paste(&mut self, text: &str) {
        if self.trying {
            return;
        }
        let taken = self.typed.paste(text);
        self.complain(taken);
    }

    fn complain(&mut self, taken: Result<(), NotTaken>) {
        self.complaint = taken.err().map(|why| why.to_string());
    }

    /// Returns the passphrase once it is complete.
    pub fn accept(&mut self) -> Option<SecretText> {
        if self.trying {
            return None;
        }
        let typed = self.typed.take()?;
        self.complaint = None;
        if self.seen == Seen::Text {
            self.seen = Seen::Dots;
        }
        if !self.first_time {
            self.trying = true;
            return Some(typed);
        }
        if let Err(why) = typed.fits_as_new() {
            self.complaint = Some(why.to_string());
            self.first = None;
            return None;
        }
        match self.first.take() {
            None => {
                self.first = Some(typed);
                None
            }
            Some(first) if first.expose() == typed.expose() => {
                self.trying = true;
                Some(typed)
            }
            Some(_) => {
                self.complaint = Some("the two were not the same; start again".to_owned());
                None
            }
        }
    }

    /// Says why it was not taken.
    pub fn refuse(&mut self, cause: &Failure) {
        self.trying = false;
        self.typed.clear();
        self.first = None;
        self.complaint = Some(cause.message.clone());
    }

    /// Says how strong what is typed is, where it is to be a new one; with the first reason why it would not be
    /// taken.
    fn meter(&self) -> Option<String> {
        if !self.first_time || self.first.is_some() {
            return None;
        }
        let typed = self.typed.peek()?;
        Some(match typed.fits_as_new() {
            Ok(()) => Strength::of(typed.expose()).to_string(),
            Err(why) => why.to_string(),
        })
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let title = if self.first_time {
            format!("Set a passphrase for {}", self.profile)
        } else {
            format!("Unlock {}", self.profile)
        };
        let room = frame::draw(buf, area, theme, &title, (64, 8));
        let ask = match (self.first_time, self.first.is_some()) {
            (false, _) => "The profile's credentials are sealed with a passphrase.",
            (true, false) => "Credentials will be sealed with it. It cannot be recovered.",
            (true, true) => "Once more, the same.",
        };
        paint::put(buf, paint::line_of(room, 0), ask, theme.style(Role::Dim));
        let line = paint::line_of(room, 2);
        let prompt = "passphrase: ";
        let cursor = if self.seen == Seen::Text {
            self.typed.draw_shown(buf, line, theme, prompt)
        } else {
            self.typed.draw(buf, line, theme, prompt)
        };
        let below = paint::line_of(room, 3);
        if self.trying {
            paint::put(buf, below, "opening…", theme.style(Role::Changing));
        } else if let Some(complaint) = &self.complaint {
            paint::put_fitted(buf, below, complaint, theme.style(Role::Danger));
        } else if let Some(meter) = self.meter() {
            paint::put_fitted(buf, below, &meter, theme.style(Role::Dim));
        }
        let last = paint::line_of(room, room.height.saturating_sub(1));
        frame::keys(
            buf,
            last,
            theme,
            &[
                ("enter", "unlock"),
                (
                    "ctrl-r",
                    if self.seen == Seen::Text {
                        "hide"
                    } else {
                        "show"
                    },
                ),
                ("esc", "stay locked"),
            ],
        );
        cursor.filter(|_| !self.trying)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_kind::ErrorKind;
    use crate::tui::key::KeyPress;

    fn type_text(dialog: &mut Passphrase, text: &str) {
        for c in text.chars() {
            dialog.type_key(&KeyPress::plain(KeyCode::Char(c)).to_event());
        }
    }

    #[test]
    fn a_new_passphrase_is_taken_twice() {
        let mut dialog = Passphrase::new("lab", LockState::Empty);
        type_text(&mut dialog, "one, two, three");
        assert!(dialog.accept().is_none());
        type_text(&mut dialog, "one, two, four");
        assert!(dialog.accept().is_none());
        assert!(dialog.complaint.is_some());
        for expected in [false, true] {
            type_text(&mut dialog, "three, four, five");
            assert_eq!(dialog.accept().is_some(), expected);
        }
    }

    #[test]
    fn a_wrong_passphrase_is_answered_in_place_and_forgotten() {
        let mut dialog = Passphrase::new("lab", LockState::Locked);
        type_text(&mut dialog, "wrong");
        assert_eq!(dialog.accept().unwrap().expose(), "wrong");
        dialog.refuse(&Failure::new(ErrorKind::Locked, "wrong passphrase"));
        assert!(dialog.typed.is_empty());
        assert!(dialog.accept().is_none());
    }

    fn drawn(dialog: &Passphrase) -> String {
        let mut buf = Buffer::empty(Rect::new(0, 0, 80, 24));
        let theme = Theme::built_in("dark", crate::tui::theme::ColourDepth::Full).unwrap();
        dialog.draw(&mut buf, Rect::new(0, 0, 80, 24), &theme);
        let cells = buf.content.iter();
        cells.map(ratatui::buffer::Cell::symbol).collect()
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let mut dialog = Passphrase::new("lab", LockState::Locked);
        type_text(&mut dialog, "hunter2");
        assert!(!format!("{dialog:?}").contains("hunter2"));
        let text = drawn(&dialog);
        assert!(!text.contains("hunter2") && text.contains("•••••••"));
    }

    #[test]
    fn it_is_shown_on_request_and_hidden_again() {
        let mut dialog = Passphrase::new("lab", LockState::Locked);
        type_text(&mut dialog, "hunter2");
        let mut look = KeyPress::plain(KeyCode::Char('r')).to_event();
        look.modifiers = KeyModifiers::CONTROL;
        for seen in [true, false, true] {
            dialog.type_key(&look);
            assert_eq!(drawn(&dialog).contains("hunter2"), seen);
        }
        assert_eq!(dialog.accept().unwrap().expose(), "hunter2");
        dialog.refuse(&Failure::new(ErrorKind::Locked, "wrong passphrase"));
        type_text(&mut dialog, "hunter3");
        assert!(
            !drawn(&dialog).contains("hunter3"),
            "the next one is hidden"
        );
    }

    #[test]
    fn what_is_not_taken_is_said() {
        let mut dialog = Passphrase::new("lab", LockState::Locked);
        dialog.paste("zero\u{200b}width");
        assert!(drawn(&dialog).contains("cannot be seen"));
        dialog.paste(&"x".repeat(513));
        assert!(drawn(&dialog).contains("512 characters at the most"));
        assert!(dialog.typed.is_empty());
        dialog.paste("two  blanks; é日本\r\n");
        assert!(dialog.complaint.is_none());
        assert_eq!(dialog.accept().unwrap().expose(), "two  blanks; é日本");

        let mut dialog = Passphrase::new("lab", LockState::Locked);
        dialog.paste(&"x".repeat(512));
        assert!(dialog.complaint.is_none());
        type_text(&mut dialog, "y");
        assert!(drawn(&dialog).contains("512 characters at the most"));
        assert_eq!(dialog.accept().unwrap().expose().len(), 512);
    }

    #[test]
    fn a_new_one_is_measured_while_it_is_typed_and_an_old_one_is_not() {
        let mut dialog = Passphrase::new("lab", LockState::Empty);
        assert!(!drawn(&dialog).contains("strength"));
        type_text(&mut dialog, "gravel");
        assert!(drawn(&dialog).contains("12 characters or more"));
        type_text(&mut dialog, " onion");
        assert!(drawn(&dialog).contains("strength 2 of 5: weak, guessed in"));
        type_text(&mut dialog, " seventh balcony tram");
        assert!(drawn(&dialog).contains("strength 5 of 5: strong, guessed in"));
        assert!(dialog.accept().is_none());
        type_text(&mut dialog, "gravel onion");
        assert!(!drawn(&dialog).contains("strength"), "it is repeated");

        let mut dialog = Passphrase::new("lab", LockState::Locked);
        type_text(&mut dialog, "gravel onion seventh");
        assert!(!drawn(&dialog).contains("strength"));
    }

    #[test]
    fn one_that_is_known_from_leaks_is_refused() {
        let mut dialog = Passphrase::new("lab", LockState::Empty);
        for _ in 0..2 {
            type_text(&mut dialog, "Administrator");
            assert!(drawn(&dialog).contains("known from leaks"));
            assert!(dialog.accept().is_none());
            assert!(drawn(&dialog).contains("known from leaks"));
        }
    }

    #[test]
    fn a_new_one_that_does_not_fit_is_refused_and_an_old_one_is_tried() {
        let mut dialog = Passphrase::new("lab", LockState::Empty);
        type_text(&mut dialog, "elevenchars");
        assert!(dialog.accept().is_none());
        assert!(drawn(&dialog).contains("12 characters or more"));
        assert!(!drawn(&dialog).contains("Once more"));
        let mut dialog = Passphrase::new("lab", LockState::Locked);
        type_text(&mut dialog, "short");
        assert!(dialog.accept().is_some());

        let long = "x".repeat(129);
        let mut dialog = Passphrase::new("lab", LockState::Empty);
        dialog.paste(&long);
        assert!(dialog.accept().is_none());
        assert!(drawn(&dialog).contains("128 characters at the most"));
        let mut dialog = Passphrase::new("lab", LockState::Locked);
        dialog.paste(&long);
        assert_eq!(dialog.accept().unwrap().expose(), &long);
    }
}
