//! A snapshot that is to be taken: its name, and what the VM's hypervisor lets one choose beside it.

use crossterm::event::{KeyCode, KeyEvent};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{frame, type_into};
use crate::domain::host::HypervisorKind;
use crate::domain::snapshot::{NewSnapshot, SnapshotName};
use crate::domain::text::RemoteText;
use crate::domain::vm::VmRef;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

#[derive(Debug)]
enum Value {
    Text(Input),
    Flag(bool),
}

#[derive(Debug)]
struct Field {
    label: &'static str,
    value: Value,
    /// What it means, shown beside it.
    note: &'static str,
}

/// The form. Its fields are the name and, where the hypervisor has them, the rest.
#[derive(Debug)]
pub struct SnapshotForm {
    /// The VM.
    pub vm: VmRef,
    name: RemoteText,
    fields: Vec<Field>,
    /// The field with the keys; one past the last is the button.
    at: usize,
    complaint: Option<String>,
}

impl SnapshotForm {
    /// A form with a name made of the time.
    pub fn new(vm: VmRef, name: RemoteText, kind: Option<HypervisorKind>, now: Timestamp) -> Self {
        let text = |label, value: String, note| Field {
            label,
            value: Value::Text(Input::new(value)),
            note,
        };
        let flag = |label, note| Field {
            label,
            value: Value::Flag(false),
            note,
        };
        let mut fields = vec![text("Name", SnapshotName::of_moment(now).to_string(), "")];
        // On Hyper-V what goes into a checkpoint is a setting of the VM, and it keeps no description.
        if kind != Some(HypervisorKind::HyperV) {
            fields.extend([
                text("Description", String::new(), ""),
                flag("Disk-only", "leave the memory of a running VM out"),
                flag(
                    "Quiesce",
                    "its agent brings file systems to rest; with disk-only",
                ),
            ]);
        }
        Self {
            vm,
            name,
            fields,
            at: 0,
            complaint: None,
        }
    }

    /// Returns whether the button has the keys.
    pub const fn on_button(&self) -> bool {
        self.at >= self.fields.len()
    }

    /// Takes a key.
    pub fn type_key(&mut self, key: &KeyEvent) {
        self.complaint = None;
        let Some(field) = self.fields.get_mut(self.at) else {
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
        self.at = (self.at + 1) % (self.fields.len() + 1);
    }

    /// Goes to the previous field.
    pub fn previous(&mut self) {
        self.at = (self.at + self.fields.len()) % (self.fields.len() + 1);
    }

    /// Returns what is to be taken, once everything is sound; else goes to what is not.
    pub fn accept(&mut self) -> Option<NewSnapshot> {
        match self.build() {
            Ok(new) => Some(new),
            Err((at, why)) => {
                self.at = at;
                self.complaint = Some(why);
                None
            }
        }
    }

    fn build(&self) -> Result<NewSnapshot, (usize, String)> {
        let text = |at: usize| match self.fields.get(at).map(|field| &field.value) {
            Some(Value::Text(input)) => input.value(),
            _ => "",
        };
        let flag = |at: usize| {
            let value = self.fields.get(at).map(|field| &field.value);
            matches!(value, Some(Value::Flag(true)))
        };
        let name = text(0).parse().map_err(|why| (0, why))?;
        let new = NewSnapshot {
            disk_only: flag(2),
            quiesce: flag(3),
            ..NewSnapshot::named(name)
        };
        if new.quiesce && !new.disk_only {
            return Err((2, "quiesce goes with disk-only".to_owned()));
        }
        new.described(text(1)).map_err(|why| (1, why))
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let title = format!("Take a snapshot of {}", self.name.fit(40));
        let lines = u16::try_from(self.fields.len()).unwrap_or(8);
        let room = frame::draw(buf, area, theme, &title, (76, lines + 5));
        let mut cursor = None;
        for (n, (at, field)) in (0u16..).zip(self.fields.iter().enumerate()) {
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
        let role = if self.on_button() {
            paint::put(buf, line, "▌", theme.style(Role::Cursor));
            Role::Selection
        } else {
            Role::Key
        };
        let button = Rect {
            x: line.x + 1,
            width: line.width.saturating_sub(1),
            ..line
        };
        let end = paint::put(buf, button, "[ Show the plan ]", theme.style(role));
        let rest = Rect {
            x: end + 3,
            width: line.right().saturating_sub(end + 3),
            ..line
        };
        let keys = [("tab", "next"), ("space", "change"), ("esc", "cancel")];
        frame::keys(buf, rest, theme, &keys);
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
    match &field.value {
        Value::Text(input) if here => draw_input(buf, value, theme, "", input),
        Value::Text(input) => {
            paint::put_fitted(buf, value, input.value(), theme.style(Role::Text));
            None
        }
        Value::Flag(on) => {
            let word = if *on { "yes" } else { "no" };
            let end = paint::put(buf, value, word, theme.style(Role::Text));
            let note = Rect {
                x: end + 2,
                width: value.right().saturating_sub(end + 2),
                ..value
            };
            paint::put(buf, note, field.note, theme.style(Role::Dim));
            None
        }
    }
}
