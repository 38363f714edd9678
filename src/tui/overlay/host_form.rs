//! A host to add or to change. Every field is checked as it is left; a complaint stands beside it.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{frame, type_into};
use crate::domain::error_kind::Failure;
use crate::domain::host::{HostSpec, Jump, LoginMethod, Tag};
use crate::tui::cursor::scroll_to;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

/// Identity of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Name,
    Address,
    User,
    Kind,
    Uri,
    Sudo,
    Login,
    LoginWith,
    Jumps,
    Tier,
    Tags,
    ReadOnly,
    AcceptKey,
    Enabled,
}

#[derive(Debug)]
enum Value {
    Text(Input),
    Choice(&'static [&'static str], usize),
}

#[derive(Debug)]
struct Field {
    id: Id,
    label: &'static str,
    value: Value,
    /// What belongs there, shown while it is empty.
    example: &'static str,
}

/// The form.
#[derive(Debug)]
pub struct HostForm {
    base: HostSpec,
    fields: Vec<Field>,
    /// The field with the keys; one past the last is Save.
    at: usize,
    complaint: Option<(usize, String)>,
    /// What the fleet said about the last attempt.
    refusal: Option<String>,
    /// Whether it is being saved.
    pub saving: bool,
}

const NO_YES: &[&str] = &["no", "yes"];
const KINDS: &[&str] = &["auto", "libvirt", "hyperv"];
const LOGINS: &[&str] = &["as ssh would", "agent", "credential", "key file"];

impl HostForm {
    /// A form for a new host.
    pub fn add() -> Option<Self> {
        let name = "new".parse().ok()?;
        let endpoint = "new".parse().ok()?;
        let mut form = Self::edit(&HostSpec::new(name, endpoint));
        for id in [Id::Name, Id::Address] {
            form.set_text(id, "");
        }
        Some(form)
    }

    /// A form for a host that there is.
    pub fn edit(spec: &HostSpec) -> Self {
        let text = |id, label, value: String, example| Field {
            id,
            label,
            value: Value::Text(Input::new(value)),
            example,
        };
        let choice = |id, label, options, at| Field {
            id,
            label,
            value: Value::Choice(options, at),
            example: "",
        };
        let shown = |word: Option<String>| word.unwrap_or_default();
        let (login, with) = match &spec.login {
            LoginMethod::Default => (0, String::new()),
            LoginMethod::Agent => (1, String::new()),
            LoginMethod::Credential(name) => (2, name.to_string()),
            LoginMethod::KeyFile(path) => (3, path.display().to_string()),
        };
        let kind = KINDS.iter().position(|kind| *kind == spec.kind.word());
        let jumps: Vec<String> = spec.jumps.iter().map(Jump::to_string).collect();
        let tags: Vec<String> = spec.tags.iter().map(Tag::to_string).collect();
        let fields = vec![
            text(Id::Name, "Name", spec.name.to_string(), "kvm1"),
            text(
                Id::Address,
                "Address",
                spec.endpoint.to_string(),
                "10.0.0.1 or kvm1.lan:2222",
            ),
            text(
                Id::User,
                "User",
                shown(spec.user.as_ref().map(ToString::to_string)),
                "as ssh would",
            ),
            choice(Id::Kind, "Hypervisor", KINDS, kind.unwrap_or(0)),
            text(
                Id::Uri,
                "libvirt URI",
                shown(spec.uri.as_ref().map(ToString::to_string)),
                "qemu:///system",
            ),
            choice(Id::Sudo, "Through sudo", NO_YES, usize::from(spec.sudo)),
            choice(Id::Login, "Log in with", LOGINS, login),
            text(
                Id::LoginWith,
                "  name or path",
                with,
                "for a credential or a key file",
            ),
            text(
                Id::Jumps,
                "Jump hosts",
                jumps.join(" "),
                "ops@gate:22, nearest first",
            ),
            text(
                Id::Tier,
                "Tier",
                shown(spec.tier.as_ref().map(ToString::to_string)),
                "prod, stage, dev",
            ),
            text(Id::Tags, "Tags", tags.join(" "), "db web"),
            choice(
                Id::ReadOnly,
                "Read-only",
                NO_YES,
                usize::from(spec.read_only),
            ),
            choice(
                Id::AcceptKey,
                "Trust its first key",
                NO_YES,
                usize::from(spec.accept_new_host_key),
            ),
            choice(Id::Enabled, "Connect", NO_YES, usize::from(spec.enabled)),
        ];
        Self {
            base: spec.clone(),
            fields,
            at: 0,
            complaint: None,
            refusal: None,
            saving: false,
        }
    }

    fn set_text(&mut self, id: Id, text: &str) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.id == id) {
            field.value = Value::Text(Input::new(text.to_owned()));
        }
    }

    fn text(&self, id: Id) -> &str {
        self.fields
            .iter()
            .find(|field| field.id == id)
            .map_or("", |field| match &field.value {
                Value::Text(input) => input.value().trim(),
                Value::Choice(options, at) => options.get(*at).copied().unwrap_or(""),
            })
    }

    fn is_yes(&self, id: Id) -> bool {
        self.text(id) == "yes"
    }

    /// Returns whether Save has the keys.
    pub const fn on_save(&self) -> bool {
        self.at >= self.fields.len()
    }

    /// Takes a key.
    pub fn type_key(&mut self, key: &KeyEvent) {
        self.refusal = None;
        let at = self.at;
        let Some(field) = self.fields.get_mut(at) else {
            return;
        };
        match &mut field.value {
            Value::Text(input) => type_into(input, key),
            Value::Choice(options, chosen) => match key.code {
                KeyCode::Right | KeyCode::Char(' ') => *chosen = (*chosen + 1) % options.len(),
                KeyCode::Left => *chosen = (*chosen + options.len() - 1) % options.len(),
                _ => {}
            },
        }
        if self.complaint.as_ref().is_some_and(|(of, _)| *of == at) {
            self.complaint = None;
        }
    }

    /// Goes to the next field; checks the one that is left.
    pub fn next(&mut self) {
        self.check();
        self.at = (self.at + 1) % (self.fields.len() + 1);
    }

    /// Goes to the previous field.
    pub fn previous(&mut self) {
        self.at = (self.at + self.fields.len()) % (self.fields.len() + 1);
    }

    fn check(&mut self) {
        // A mistake stays in sight until it is mended; fields not reached yet are left alone.
        self.complaint = self.build().err().filter(|(of, _)| *of <= self.at);
    }

    /// Returns the host once everything is sound; goes to the first field that is not.
    pub fn accept(&mut self) -> Option<Box<HostSpec>> {
        match self.build() {
            Ok(spec) => {
                self.saving = true;
                Some(Box::new(spec))
            }
            Err((at, why)) => {
                self.at = at;
                self.complaint = Some((at, why));
                None
            }
        }
    }

    /// Says why it was not taken.
    pub fn refuse(&mut self, cause: &Failure) {
        self.saving = false;
        self.refusal = Some(cause.message.clone());
    }

    fn build(&self) -> Result<HostSpec, (usize, String)> {
        let mut spec = self.base.clone();
        let fail = |id: Id, why: String| {
            let at = self.fields.iter().position(|field| field.id == id);
            (at.unwrap_or(0), why)
        };
        macro_rules! read {
            ($id:expr) => {
                self.text($id).parse().map_err(|error| {
                    let error: &dyn std::fmt::Display = &error;
                    fail($id, error.to_string())
                })?
            };
        }
        macro_rules! read_or_none {
            ($id:expr) => {
                if self.text($id).is_empty() {
                    None
                } else {
                    Some(read!($id))
                }
            };
        }
        spec.name = read!(Id::Name);
        spec.endpoint = read!(Id::Address);
        spec.user = read_or_none!(Id::User);
        spec.kind = read!(Id::Kind);
        spec.uri = read_or_none!(Id::Uri);
        spec.tier = read_or_none!(Id::Tier);
        let words = |id: Id| {
            self.text(id)
                .split([' ', ','])
                .filter(|word| !word.is_empty())
        };
        spec.jumps = words(Id::Jumps)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|error: crate::domain::host::HostSpecError| {
                fail(Id::Jumps, error.to_string())
            })?;
        spec.tags = words(Id::Tags)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|error: crate::domain::host::HostSpecError| {
                fail(Id::Tags, error.to_string())
            })?;
        spec.login = self.login().map_err(|why| fail(Id::LoginWith, why))?;
        spec.sudo = self.is_yes(Id::Sudo);
        spec.read_only = self.is_yes(Id::ReadOnly);
        spec.accept_new_host_key = self.is_yes(Id::AcceptKey);
        spec.enabled = self.is_yes(Id::Enabled);
        Ok(spec)
    }

    fn login(&self) -> Result<LoginMethod, String> {
        let with = self.text(Id::LoginWith);
        match self.text(Id::Login) {
            "agent" => Ok(LoginMethod::Agent),
            "credential" => with
                .parse()
                .map(LoginMethod::Credential)
                .map_err(|error: crate::domain::credential::CredentialNameError| error.to_string()),
            "key file" if with.is_empty() => Err("which file?".to_owned()),
            "key file" => Ok(LoginMethod::KeyFile(with.into())),
            _ => Ok(LoginMethod::Default),
        }
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let title = if self.base.id.0 == 0 {
            "Add a host".to_owned()
        } else {
            format!("Change {}", self.base.name)
        };
        let lines = u16::try_from(self.fields.len()).unwrap_or(20);
        let room = frame::draw(buf, area, theme, &title, (84, lines + 5));
        let page = room.height.saturating_sub(2);
        let top = scroll_to(0, self.at, usize::from(page), self.fields.len() + 1);
        let mut cursor = None;
        for (n, (at, field)) in (0..page).zip(self.fields.iter().enumerate().skip(top)) {
            let line = paint::line_of(room, n);
            let here = at == self.at;
            cursor = cursor.or(self.draw_field(buf, line, theme, (field, at, here)));
        }
        let last = paint::line_of(room, room.height.saturating_sub(1));
        if let Some(refusal) = &self.refusal {
            let line = paint::line_of(room, room.height.saturating_sub(2));
            paint::put_fitted(buf, line, refusal, theme.style(Role::Danger));
        }
        let word = if self.saving { "saving…" } else { "[ Save ]" };
        let keys = [
            ("tab", "next"),
            ("space", "change"),
            ("enter", "on Save"),
            ("esc", "leave"),
        ];
        frame::button(buf, last, theme, (word, self.on_save()), &keys);
        cursor
    }

    fn draw_field(
        &self,
        buf: &mut Buffer,
        line: Rect,
        theme: &Theme,
        (field, at, here): (&Field, usize, bool),
    ) -> Option<Position> {
        const LABEL: u16 = 21;
        let role = if here { Role::Strong } else { Role::Dim };
        if here {
            paint::put(buf, line, "▌", theme.style(Role::Cursor));
        }
        let label = Rect {
            x: line.x + 1,
            width: LABEL.min(line.width.saturating_sub(1)),
            ..line
        };
        paint::put(buf, label, field.label, theme.style(role));
        let value = Rect {
            x: line.x.saturating_add(LABEL + 1).min(line.right()),
            width: line.width.saturating_sub(LABEL + 1),
            ..line
        };
        let complaint = self.complaint.as_ref().filter(|(of, _)| *of == at);
        let mut cursor = None;
        let end = match &field.value {
            Value::Text(input) => {
                if here {
                    cursor = draw_input(buf, value, theme, "", input);
                } else {
                    paint::put(buf, value, input.value(), theme.style(Role::Text));
                }
                if input.value().is_empty() && complaint.is_none() {
                    paint::put(buf, value, field.example, theme.style(Role::Stale));
                }
                value.x + paint::width(input.value())
            }
            Value::Choice(options, chosen) => {
                let word = options.get(*chosen).copied().unwrap_or("");
                let text = if here {
                    format!("‹ {word} ›")
                } else {
                    word.to_owned()
                };
                paint::put(buf, value, &text, theme.style(Role::Text))
            }
        };
        if let Some((_, why)) = complaint {
            let rest = Rect {
                x: (end + 2).min(line.right()),
                width: line.right().saturating_sub(end + 2),
                ..line
            };
            paint::put_fitted(buf, rest, why, theme.style(Role::Danger));
        }
        cursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet;

    #[test]
    fn a_host_reads_back_as_it_was() {
        let mut spec = fleet::host_spec(7, "kvm7", Some("prod"), &["db", "web"]);
        spec.jumps = vec!["ops@gate:2222".parse().unwrap()];
        spec.login = LoginMethod::KeyFile("/home/ann/.ssh/id".into());
        spec.uri = Some("qemu:///system".parse().unwrap());
        spec.sudo = true;
        assert_eq!(HostForm::edit(&spec).build().unwrap(), spec);
    }

    #[test]
    fn a_mistake_stays_in_sight_until_it_is_mended() {
        let mut form = HostForm::add().unwrap();
        form.set_text(Id::Name, "a/b");
        form.next();
        form.set_text(Id::Address, "10.0.0.9");
        form.next();
        form.next();
        assert_eq!(form.complaint.as_ref().unwrap().0, 0);
        form.set_text(Id::Name, "good");
        form.next();
        assert_eq!(form.complaint, None);
    }

    #[test]
    fn saving_goes_to_the_first_field_that_is_wrong() {
        let mut form = HostForm::add().unwrap();
        assert!(form.accept().is_none());
        assert_eq!(form.complaint.as_ref().unwrap().0, 0);
        form.set_text(Id::Name, "kvm9");
        form.set_text(Id::Address, "10.0.0.9:99999");
        assert!(form.accept().is_none());
        let (at, why) = form.complaint.clone().unwrap();
        assert_eq!(at, 1);
        assert!(why.contains("65535"), "{why}");
        form.set_text(Id::Address, "10.0.0.9");
        let spec = form.accept().unwrap();
        assert_eq!((spec.id.0, spec.name.as_str()), (0, "kvm9"));
        assert_eq!(spec.login, LoginMethod::Default);
    }
}
