//! The fields of a small form, one below the other, with a button that asks for the plan. What they mean is the
//! business of the form.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{frame, type_into};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

/// Columns of a text that has a note beside it.
const SHORT: u16 = 14;

#[derive(Debug)]
enum Value {
    Text(Input),
    Flag(bool),
}

/// One field.
#[derive(Debug)]
pub struct Field {
    label: &'static str,
    value: Value,
    /// What it means, shown beside it.
    note: &'static str,
}

impl Field {
    /// A line of text; one with a note is short.
    pub fn text(label: &'static str, value: impl Into<String>, note: &'static str) -> Self {
        Self {
            label,
            value: Value::Text(Input::new(value.into())),
            note,
        }
    }

    /// A yes or no.
    pub fn flag(label: &'static str, on: bool, note: &'static str) -> Self {
        Self {
            label,
            value: Value::Flag(on),
            note,
        }
    }
}

/// The fields, and the button after them.
#[derive(Debug)]
pub struct Fields {
    all: Vec<Field>,
    /// The field with the keys; one past the last is the button.
    at: usize,
    complaint: Option<String>,
    /// What can be done in this form beside what can be done in all of them: a key and its label.
    more: Option<(String, &'static str)>,
}

impl Fields {
    /// Takes fields; the first one has the keys.
    pub fn new(all: Vec<Field>) -> Self {
        Self {
            all,
            at: 0,
            complaint: None,
            more: None,
        }
    }

    /// Names one key more in its last line.
    pub fn name_key(&mut self, key: String, label: &'static str) {
        self.more = Some((key, label));
    }

    /// Returns whether the button has the keys.
    pub const fn on_button(&self) -> bool {
        self.at >= self.all.len()
    }

    /// Takes a key.
    pub fn type_key(&mut self, key: &KeyEvent) {
        self.complaint = None;
        let Some(field) = self.all.get_mut(self.at) else {
            return;
        };
        match &mut field.value {
            Value::Text(input) => type_into(input, key),
            Value::Flag(on) => {
                if matches!(
                    key.code,
                    KeyCode::Char(' ') | KeyCode::Left | KeyCode::Right
                ) {
                    *on = !*on;
                }
            }
        }
    }

    /// Goes to the next field.
    pub fn next(&mut self) {
        self.at = (self.at + 1) % (self.all.len() + 1);
    }

    /// Goes to the previous field.
    pub fn previous(&mut self) {
        self.at = (self.at + self.all.len()) % (self.all.len() + 1);
    }

    /// Says what is wrong, and goes to the field that it is about, where it is about one.
    pub fn refuse(&mut self, at: Option<usize>, why: String) {
        self.at = at.unwrap_or(self.at);
        self.complaint = Some(why);
    }

    /// Returns the text of a field; that of a field that is not there, or no text, is empty.
    pub fn text(&self, at: usize) -> &str {
        match self.all.get(at).map(|field| &field.value) {
            Some(Value::Text(input)) => input.value(),
            Some(Value::Flag(_)) | None => "",
        }
    }

    /// Returns whether a field says yes.
    pub fn flag(&self, at: usize) -> bool {
        let value = self.all.get(at).map(|field| &field.value);
        matches!(value, Some(Value::Flag(true)))
    }

    /// Draws them in a frame; returns where the text cursor is.
    pub fn draw(
        &self,
        buf: &mut Buffer,
        area: Rect,
        theme: &Theme,
        title: &str,
    ) -> Option<Position> {
        let lines = u16::try_from(self.all.len()).unwrap_or(8);
        let room = frame::draw(buf, area, theme, title, (76, lines + 5));
        let mut cursor = None;
        for (n, (at, field)) in (0u16..).zip(self.all.iter().enumerate()) {
            let line = paint::line_of(room, n);
            let found = draw_field(buf, line, theme, (field, at == self.at));
            cursor = cursor.or(found);
        }
        let last = room.height.saturating_sub(1);
        if let Some(complaint) = &self.complaint {
            let line = paint::line_of(room, last.saturating_sub(1));
            paint::put_fitted(buf, line, complaint, theme.style(Role::Danger));
        }
        let line = paint::line_of(room, last);
        let button = ("[ Show the plan ]", self.on_button());
        let mut keys = vec![("tab", "next"), ("space", "change"), ("esc", "cancel")];
        let more = self.more.as_ref();
        keys.extend(more.map(|(key, label)| (key.as_str(), *label)));
        frame::button(buf, line, theme, button, &keys);
        cursor
    }
}

fn draw_field(
    buf: &mut Buffer,
    line: Rect,
    theme: &Theme,
    (field, here): (&Field, bool),
) -> Option<Position> {
    let role = if here { Role::Strong } else { Role::Dim };
    if here {
        paint::put(buf, line, "▌", theme.style(Role::Cursor));
    }
    let label = Rect {
        x: line.x + 1,
        width: line.width.saturating_sub(1).min(13),
        ..line
    };
    paint::put(buf, label, field.label, theme.style(role));
    let value = Rect {
        x: line.x + 15,
        width: line.width.saturating_sub(15),
        ..line
    };
    let beside = |x: u16| Rect {
        x: x + 2,
        width: value.right().saturating_sub(x + 2),
        ..value
    };
    match &field.value {
        Value::Text(input) => {
            let room = if field.note.is_empty() {
                value
            } else {
                Rect {
                    width: value.width.min(SHORT),
                    ..value
                }
            };
            if !field.note.is_empty() {
                let note = beside(room.right());
                paint::put_fitted(buf, note, field.note, theme.style(Role::Dim));
            }
            if here {
                return draw_input(buf, room, theme, "", input);
            }
            paint::put_fitted(buf, room, input.value(), theme.style(Role::Text));
            None
        }
        Value::Flag(on) => {
            let word = if *on { "yes" } else { "no" };
            let end = paint::put(buf, value, word, theme.style(Role::Text));
            paint::put(buf, beside(end), field.note, theme.style(Role::Dim));
            None
        }
    }
}
