//! What a VM is set up with, to be changed: its fields hold the present values, read for it, and only what differs
//! from them is asked for.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::Overlay;
use super::fields::{Field, Fields};
use crate::domain::action::{Action, ActionKind};
use crate::domain::edit::{Changes, EditRequest, Setting, Value, VmSettings};
use crate::domain::error_kind::Failure;
use crate::domain::host::HypervisorKind;
use crate::domain::text::RemoteText;
use crate::domain::units::{Bytes, read_size, written_size};
use crate::domain::vm::{PowerState, VmRef};
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::command::commands;
use crate::tui::define;
use crate::tui::effect::Effect;
use crate::tui::theme::{Role, Theme};

/// The command that leads from the form to the definition.
pub const TO_DEFINITION: &str = "edit.define";

/// The form. It has a field for every setting that the host tells.
#[derive(Debug)]
pub struct EditForm {
    vm: VmRef,
    name: RemoteText,
    state: PowerState,
    was: VmSettings,
    /// What each field is about, and what it held at first.
    about: Vec<(Setting, String)>,
    /// Whether its host keeps a definition as text.
    has_text: bool,
    /// What is typed.
    pub fields: Fields,
}

/// Says whether the VM that keys are about may be changed.
pub fn can_open(app: &App) -> Result<(), String> {
    let vm = acting::subject(app).ok_or_else(|| "no VM is selected".to_owned())?;
    acting::may(app, &vm, ActionKind::Edit)
}

/// Has the settings of the VM that keys are about read; the form opens with them.
pub fn open(app: &mut App) -> Vec<Effect> {
    let Some(vm) = acting::subject(app) else {
        return Vec::new();
    };
    app.tickets += 1;
    let ticket = app.tickets;
    app.overlays.push(Overlay::Waiting(ticket));
    vec![Effect::Settings(ticket, vm)]
}

/// Opens the form, unless its person has moved on.
pub fn opened(app: &mut App, ticket: u64, vm: VmRef, read: Result<VmSettings, Failure>) {
    if !matches!(app.overlays.last(), Some(Overlay::Waiting(wanted)) if *wanted == ticket) {
        return;
    }
    app.overlays.pop();
    let was = match read {
        Ok(was) => was,
        Err(failure) => return app.fail(&failure),
    };
    let Some((host, found)) = app.snapshot.vm(&vm) else {
        return app.say(Role::Warning, "the VM is not there any more");
    };
    let mut form = EditForm::new(vm, (found.name.clone(), found.state.clone()), was);
    let kind = host.capabilities.as_ref().map(|able| able.kind);
    form.has_text = kind == Some(HypervisorKind::Libvirt);
    if form.has_text
        && let Some(key) = key_of(app, TO_DEFINITION)
    {
        form.fields.name_key(key, "XML");
    }
    app.overlays.push(Overlay::EditForm(Box::new(form)));
}

/// Returns the key of a command as the footer shows it.
fn key_of(app: &App, id: &str) -> Option<String> {
    let command = commands().iter().find(|command| command.id == id)?;
    app.settings.keymap.sign_of(command, app.settings.ascii)
}

/// Says whether one may go from the form to the definition: nothing that was typed is lost by it.
pub fn can_turn(app: &App) -> Result<(), String> {
    match app.overlays.last() {
        Some(Overlay::EditForm(form)) if !form.has_text => {
            Err("its host keeps no definition as text".to_owned())
        }
        Some(Overlay::EditForm(form)) if !form.is_untouched() => Err(
            "what is typed here would be lost: show its plan, or leave the form first".to_owned(),
        ),
        Some(Overlay::EditForm(_)) => Ok(()),
        _ => Err("no form is open".to_owned()),
    }
}

/// Leaves the form for the definition of its VM.
pub fn turn(app: &mut App) -> Vec<Effect> {
    match app.overlays.pop() {
        Some(Overlay::EditForm(form)) => define::open_of(app, form.vm),
        other => {
            app.overlays.extend(other);
            Vec::new()
        }
    }
}

/// Takes the form, once it is sound, and asks for the plan.
pub fn accept(app: &mut App) -> Vec<Effect> {
    let Some(Overlay::EditForm(form)) = app.overlays.last_mut() else {
        return Vec::new();
    };
    let vm = form.vm.clone();
    let Some(request) = form.accept() else {
        return Vec::new();
    };
    app.overlays.pop();
    let action = Action::from(request);
    acting::begin_with(app, &action, vec![(vm, action.clone())])
}

impl EditForm {
    fn new(vm: VmRef, (name, state): (RemoteText, PowerState), was: VmSettings) -> Self {
        let (mut about, mut fields) = (Vec::new(), Vec::new());
        for setting in Setting::ALL {
            let Some(value) = was.value(setting) else {
                continue;
            };
            let first = typed(&value);
            fields.push(field(setting, &value, &first, &was));
            about.push((setting, first));
        }
        Self {
            vm,
            name,
            state,
            was,
            about,
            has_text: false,
            fields: Fields::new(fields),
        }
    }

    /// Returns true while every field holds what it held at first.
    fn is_untouched(&self) -> bool {
        let mut all = self.about.iter().enumerate();
        all.all(|(at, (setting, first))| match self.was.value(*setting) {
            Some(Value::Flag(on)) => self.fields.flag(at) == on,
            _ => self.fields.text(at) == first,
        })
    }

    /// Returns what is to be changed, once everything is sound; else goes to what is not.
    fn accept(&mut self) -> Option<EditRequest> {
        let place = |setting: Setting| self.about.iter().position(|(of, _)| *of == setting);
        let refusal = match self.changes() {
            Ok(changes) => match EditRequest::new(self.was.clone(), changes, self.state.clone()) {
                Ok(request) => return Some(request),
                Err((setting, why)) => (setting.and_then(place), why),
            },
            Err((at, why)) => (Some(at), why),
        };
        self.fields.refuse(refusal.0, refusal.1);
        None
    }

    /// Reads what is typed; a field that holds what it held at first changes nothing.
    fn changes(&self) -> Result<Changes, (usize, String)> {
        let mut changes = Changes::default();
        for (at, (setting, first)) in self.about.iter().enumerate() {
            let text = self.fields.text(at);
            if *setting == Setting::Autostart {
                changes.autostart = Some(self.fields.flag(at));
                continue;
            }
            if text == first {
                continue;
            }
            match setting {
                Setting::Vcpus => {
                    let wrong = || (at, format!("`{text}` is no number of vCPUs"));
                    changes.vcpus = Some(text.trim().parse().ok().ok_or_else(wrong)?);
                }
                Setting::Memory => {
                    changes.memory = Some(read_size(text).map_err(|why| (at, why))?);
                }
                Setting::Title => changes.title = Some(text.to_owned()),
                Setting::Description => changes.description = Some(unfolded(text)),
                Setting::Autostart => {}
            }
        }
        Ok(changes)
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let title = format!("Change {} ({})", self.name.fit(40), self.state);
        self.fields.draw(buf, area, theme, &title)
    }
}

/// Writes a value as it is typed.
fn typed(value: &Value) -> String {
    match value {
        Value::Count(count) => count.to_string(),
        Value::Size(size) => written_size(*size),
        Value::Flag(_) => String::new(),
        Value::Text(text) => folded(text.raw()),
    }
}

/// Puts a text of several lines onto one: line ends are written `\n`. What else no terminal may see stays visible.
fn folded(text: &str) -> String {
    let one_line = text.replace('\\', "\\\\").replace('\n', "\\n");
    RemoteText::new(&one_line).shown().to_owned()
}

/// Reads it back.
fn unfolded(text: &str) -> String {
    let mut chars = text.chars();
    let mut found = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => found.push('\n'),
                Some('\\') | None => found.push('\\'),
                Some(other) => found.extend(['\\', other]),
            },
            c => found.push(c),
        }
    }
    found
}

fn field(setting: Setting, value: &Value, first: &str, was: &VmSettings) -> Field {
    match setting {
        Setting::Vcpus => Field::text("vCPUs", first, "virtual processors"),
        Setting::Memory => {
            let is_dynamic = was.memory_min.is_some_and(|least| least > Bytes(0));
            let note = if is_dynamic {
                "at the start (dynamic), like 4G"
            } else {
                "like 4G or 1536M"
            };
            Field::text("Memory", first, note)
        }
        Setting::Autostart => {
            let on = *value == Value::Flag(true);
            Field::flag("Autostart", on, "start together with its host")
        }
        Setting::Title => Field::text("Title", first, ""),
        Setting::Description => Field::text("Description", first, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_several_lines_are_typed_on_one() {
        for text in ["", "web server", "two\nlines", "C:\\new\\n", "end\\"] {
            let line = folded(text);
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(unfolded(&line), text);
        }
        assert_eq!(unfolded("a\\tb"), "a\\tb");
    }
}
