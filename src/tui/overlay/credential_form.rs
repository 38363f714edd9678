//! A credential to add: a new key, a key file, a password, the agent. What is secret is typed masked, and wiped
//! as soon as it was handed over.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{frame, type_into};
use crate::domain::credential::CredentialName;
use crate::domain::error_kind::Failure;
use crate::fleet::credential::NewSecret;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::masked::Masked;
use crate::tui::widget::paint;

/// Where a credential comes from, in the words of the form.
const SOURCES: [Source; 4] = [
    Source::Generate,
    Source::KeyFile,
    Source::Password,
    Source::Agent,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Generate,
    KeyFile,
    Password,
    Agent,
}

impl Source {
    const fn word(self) -> &'static str {
        match self {
            Self::Generate => "a new ed25519 key",
            Self::KeyFile => "a key file",
            Self::Password => "a password",
            Self::Agent => "the SSH agent",
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::Generate => "Made here and sealed. Its public half is for the host: c copies it.",
            Self::KeyFile => "The file is read once and sealed; it stays where it is.",
            Self::Password => "Sealed. Jump hosts never get to see it.",
            Self::Agent => "Nothing is kept: whatever the agent holds is tried.",
        }
    }

    /// Returns the fields that belong to it.
    const fn fields(self) -> &'static [Id] {
        match self {
            Self::Generate | Self::Agent => &[Id::Name, Id::Source],
            Self::KeyFile => &[Id::Name, Id::Source, Id::Path, Id::Secret],
            Self::Password => &[Id::Name, Id::Source, Id::Secret],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Name,
    Source,
    Path,
    Secret,
}

/// The form.
#[derive(Debug, Default)]
pub struct CredentialForm {
    name: Input,
    source: usize,
    path: Input,
    secret: Masked,
    /// The field with the keys; one past the last is the button.
    at: usize,
    complaint: Option<String>,
    /// Whether it is being sealed.
    pub saving: bool,
}

impl CredentialForm {
    fn source(&self) -> Source {
        SOURCES
            .get(self.source)
            .copied()
            .unwrap_or(Source::Generate)
    }

    fn field(&self) -> Option<Id> {
        self.source().fields().get(self.at).copied()
    }

    /// Returns whether the button has the keys.
    pub fn on_button(&self) -> bool {
        self.field().is_none()
    }

    /// Takes a key.
    pub fn type_key(&mut self, key: &KeyEvent) {
        if self.saving {
            return;
        }
        self.complaint = None;
        match self.field() {
            Some(Id::Name) => type_into(&mut self.name, key),
            Some(Id::Path) => type_into(&mut self.path, key),
            Some(Id::Secret) => {
                self.complaint = self.secret.type_key(key).err().map(|why| why.to_string());
            }
            Some(Id::Source) => {
                let all = SOURCES.len();
                self.source = match key.code {
                    KeyCode::Right | KeyCode::Char(' ') => (self.source + 1) % all,
                    KeyCode::Left => (self.source + all - 1) % all,
                    _ => return,
                };
                // What was typed for something else is not carried over.
                self.secret.clear();
            }
            None => {}
        }
    }

    /// Takes what was pasted as a secret, where that has the keys; returns whether it has.
    pub fn paste_secret(&mut self, text: &str) -> bool {
        let is_secret = !self.saving && self.field() == Some(Id::Secret);
        if is_secret {
            self.complaint = self.secret.paste(text).err().map(|why| why.to_string());
        }
        is_secret
    }

    /// Goes to the next field.
    pub fn next(&mut self) {
        self.at = (self.at + 1) % (self.source().fields().len() + 1);
    }

    /// Goes to the previous field.
    pub fn previous(&mut self) {
        let all = self.source().fields().len() + 1;
        self.at = (self.at + all - 1) % all;
    }

    fn go_to(&mut self, id: Id, why: impl Into<String>) {
        let fields = self.source().fields();
        self.at = fields.iter().position(|field| *field == id).unwrap_or(0);
        self.complaint = Some(why.into());
    }

    /// Returns what is to be added once everything is sound; goes to the first field that is not.
    pub fn accept(&mut self) -> Option<(CredentialName, NewSecret)> {
        let name: CredentialName = match self.name.value().trim().parse() {
            Ok(name) => name,
            Err(error) => {
                let error: crate::domain::credential::CredentialNameError = error;
                self.go_to(Id::Name, error.to_string());
                return None;
            }
        };
        let secret = match self.source() {
            Source::Generate => NewSecret::Generate,
            Source::Agent => NewSecret::Agent,
            Source::KeyFile if self.path.value().trim().is_empty() => {
                self.go_to(Id::Path, "which file?");
                return None;
            }
            Source::KeyFile => NewSecret::KeyFile {
                path: self.path.value().trim().into(),
                passphrase: self.secret.take(),
            },
            Source::Password => {
                let Some(password) = self.secret.take() else {
                    self.go_to(Id::Secret, "which password?");
                    return None;
                };
                NewSecret::Password(password)
            }
        };
        self.saving = true;
        Some((name, secret))
    }

    /// Says why it was not taken.
    pub fn refuse(&mut self, cause: &Failure) {
        self.saving = false;
        self.complaint = Some(match &cause.hint {
            Some(hint) => format!("{} ({hint})", cause.message),
            None => cause.message.clone(),
        });
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let room = frame::draw(buf, area, theme, "Add a credential", (78, 12));
        let source = self.source();
        let mut cursor = None;
        for (n, (at, id)) in (0u16..).zip(source.fields().iter().enumerate()) {
            let line = paint::line_of(room, n);
            cursor = cursor.or(self.draw_field(buf, line, theme, (*id, at == self.at)));
        }
        let line = |up: u16| paint::line_of(room, room.height.saturating_sub(up));
        match &self.complaint {
            Some(why) => {
                let lines = paint::wrap(why, room.width);
                for (n, part) in (0u16..2).zip(&lines) {
                    let at = line(4 - n);
                    paint::put(buf, at, part, theme.style(Role::Danger));
                }
            }
            None => {
                paint::put(buf, line(4), source.explanation(), theme.style(Role::Dim));
            }
        }
        let word = if self.saving { "sealing…" } else { "[ Add ]" };
        let keys = [
            ("tab", "next"),
            ("space", "change"),
            ("enter", "on Add"),
            ("esc", "leave"),
        ];
        frame::button(buf, line(1), theme, (word, self.on_button()), &keys);
        cursor
    }

    fn draw_field(
        &self,
        buf: &mut Buffer,
        line: Rect,
        theme: &Theme,
        (id, here): (Id, bool),
    ) -> Option<Position> {
        const LABEL: u16 = 19;
        if here {
            paint::put(buf, line, "▌", theme.style(Role::Cursor));
        }
        let (label, example) = match (id, self.source()) {
            (Id::Name, _) => ("Name", "ops"),
            (Id::Source, _) => ("Log in with", ""),
            (Id::Path, _) => ("  path", "~/.ssh/id_ed25519"),
            (Id::Secret, Source::KeyFile) => ("  its passphrase", "none"),
            (Id::Secret, _) => ("  password", ""),
        };
        let role = if here { Role::Strong } else { Role::Dim };
        let left = Rect {
            x: line.x + 1,
            width: LABEL.min(line.width.saturating_sub(1)),
            ..line
        };
        paint::put(buf, left, label, theme.style(role));
        let value = Rect {
            x: line.x.saturating_add(LABEL + 1).min(line.right()),
            width: line.width.saturating_sub(LABEL + 1),
            ..line
        };
        let text = |buf: &mut Buffer, input: &Input| {
            if input.value().is_empty() {
                paint::put(buf, value, example, theme.style(Role::Stale));
            }
            if here {
                return draw_input(buf, value, theme, "", input);
            }
            paint::put(buf, value, input.value(), theme.style(Role::Text));
            None
        };
        match id {
            Id::Name => text(buf, &self.name),
            Id::Path => text(buf, &self.path),
            Id::Secret => {
                if self.secret.is_empty() && !here {
                    paint::put(buf, value, example, theme.style(Role::Stale));
                }
                self.secret.draw(buf, value, theme, "").filter(|_| here)
            }
            Id::Source => {
                let word = self.source().word();
                let shown = if here {
                    format!("‹ {word} ›")
                } else {
                    word.to_owned()
                };
                paint::put(buf, value, &shown, theme.style(Role::Text));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::key::KeyPress;

    fn type_text(form: &mut CredentialForm, text: &str) {
        for c in text.chars() {
            form.type_key(&KeyPress::plain(KeyCode::Char(c)).to_event());
        }
    }

    #[test]
    fn a_password_is_handed_over_and_forgotten() {
        let mut form = CredentialForm::default();
        type_text(&mut form, "root");
        form.next();
        type_text(&mut form, "  ");
        form.next();
        type_text(&mut form, "hunter2");
        assert!(!format!("{form:?}").contains("hunter2"));
        let (name, secret) = form.accept().unwrap();
        assert_eq!(name.as_str(), "root");
        assert!(matches!(secret, NewSecret::Password(password) if password.expose() == "hunter2"));
        assert!(form.secret.is_empty());
    }

    #[test]
    fn what_was_typed_for_a_password_is_no_passphrase_of_a_key() {
        let mut form = CredentialForm::default();
        form.next();
        type_text(&mut form, "  ");
        form.next();
        type_text(&mut form, "hunter2");
        form.previous();
        type_text(&mut form, "   ");
        assert_eq!(form.source(), Source::KeyFile);
        assert!(form.secret.is_empty());
    }

    #[test]
    fn what_is_missing_gets_the_keys() {
        let mut form = CredentialForm::default();
        assert!(form.accept().is_none());
        assert_eq!(form.field(), Some(Id::Name));
        type_text(&mut form, "k");
        form.source = 1;
        assert!(form.accept().is_none());
        assert_eq!(form.field(), Some(Id::Path));
    }
}
