//! A login to a VM: as whom, with what, where. Asked once; found again for this VM, and offered for others of the
//! same host.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{Overlay, frame, type_into};
use crate::domain::guest_login::{GuestLogin, best_address};
use crate::domain::inventory::HostSnapshot;
use crate::domain::vm::{Vm, VmRef};
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::console::keys;
use crate::tui::console::state::is_on;
use crate::tui::effect::Effect;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

/// The fields, each with what is to be typed.
const FIELDS: [(&str, &str); 3] = [
    ("User", "the account in the VM"),
    (
        "Log in with",
        "a credential, `agent`, or a key file's path; nothing = the keys that its host is logged in with",
    ),
    (
        "Address",
        "as its host reaches it; `:PORT` where it is not 22",
    ),
];

/// The form.
#[derive(Debug)]
pub struct ShellForm {
    vm: VmRef,
    title: String,
    fields: [Input; 3],
    at: usize,
    complaint: Option<String>,
}

/// Opens a shell in the VM that keys are about; asks how to log in where that is not known.
pub fn open(app: &mut App) -> Vec<Effect> {
    let Some(vm) = acting::subject(app) else {
        return Vec::new();
    };
    let Some((host, found)) = app.snapshot.vm(&vm) else {
        return Vec::new();
    };
    if !is_on(&found.state) {
        let text = format!("{} is {}: nobody can log in to it", found.name, found.state);
        app.say(Role::Warning, text);
        return Vec::new();
    }
    match known(app, host, found, &vm) {
        (Some(login), true) => keys::open_shell(app, vm, login),
        (login, _) => {
            ask(app, &vm, login.as_ref());
            Vec::new()
        }
    }
}

fn of_vm(vm: &VmRef) -> String {
    format!("vm {}", vm.vm)
}

fn of_host(host: &HostSnapshot) -> String {
    format!("host {}", host.spec.name)
}

fn address(found: &Vm) -> Option<String> {
    let addresses = found.facts.addresses.iter().flatten();
    best_address(addresses.map(|address| address.ip)).map(|ip| ip.to_string())
}

/// Returns the login that was used before, and whether it was for this very VM.
fn known(app: &App, host: &HostSnapshot, found: &Vm, vm: &VmRef) -> (Option<GuestLogin>, bool) {
    let address = address(found);
    let kept = |whose: &str| app.logins.get(whose);
    let own = kept(&of_vm(vm)).and_then(|words| GuestLogin::of_words(words, address.as_deref()));
    if own.is_some() {
        return (own, true);
    }
    // Another VM's address is not this one's.
    let here = address.unwrap_or_default();
    let other = kept(&of_host(host)).and_then(|words| GuestLogin::of_words(words, Some(&here)));
    (other, false)
}

/// Asks how to log in to a VM, beginning with a login.
pub fn ask(app: &mut App, vm: &VmRef, login: Option<&GuestLogin>) {
    let Some((host, found)) = app.snapshot.vm(vm) else {
        return;
    };
    let text = |part: fn(&GuestLogin) -> String| Input::new(login.map(part).unwrap_or_default());
    let at = match login {
        Some(login) if !login.at.address.is_empty() => login.at.to_string(),
        _ => address(found).unwrap_or_default(),
    };
    let complaint = at.is_empty().then(|| {
        "its address is not known: the host tells none (a guest agent, or a DHCP lease, would)"
            .to_owned()
    });
    let form = ShellForm {
        vm: vm.clone(),
        title: format!("Shell in {} on {}", found.name, host.spec.name),
        fields: [
            text(|login| login.user.to_string()),
            text(GuestLogin::with),
            Input::new(at),
        ],
        at: 0,
        complaint,
    };
    app.overlays.push(Overlay::ShellForm(Box::new(form)));
}

/// Opens the shell, and keeps how.
pub fn accept(app: &mut App) -> Vec<Effect> {
    let Some(Overlay::ShellForm(form)) = app.overlays.last_mut() else {
        return Vec::new();
    };
    let [user, with, at] = form.fields.each_ref().map(Input::value);
    match GuestLogin::read(user, with, at) {
        Err(why) => {
            form.complaint = Some(why);
            Vec::new()
        }
        Ok(login) => {
            let vm = form.vm.clone();
            app.overlays.pop();
            let host = app.snapshot.host(vm.host).map(|host| of_host(host));
            for whose in [Some(of_vm(&vm)), host].into_iter().flatten() {
                app.logins.insert(whose, login.words());
            }
            keys::open_shell(app, vm, login)
        }
    }
}

impl ShellForm {
    /// Returns whether the last field has the keys.
    pub const fn is_last(&self) -> bool {
        self.at + 1 == FIELDS.len()
    }

    /// Takes a key.
    pub fn type_key(&mut self, key: &KeyEvent) {
        self.complaint = None;
        if let Some(input) = self.fields.get_mut(self.at) {
            type_into(input, key);
        }
    }

    /// Goes to the next field.
    pub const fn next(&mut self) {
        self.at = (self.at + 1) % FIELDS.len();
    }

    /// Goes to the previous field.
    pub const fn previous(&mut self) {
        self.at = (self.at + FIELDS.len() - 1) % FIELDS.len();
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let room = frame::draw(buf, area, theme, &self.title, (area.width.min(100), 9));
        let line = |n| paint::line_of(room, n);
        let mut cursor = None;
        for (n, ((label, _), input)) in (0u16..).zip(FIELDS.iter().zip(&self.fields)) {
            let here = usize::from(n) == self.at;
            let role = if here { Role::Strong } else { Role::Dim };
            paint::put(buf, line(n), &format!("{label:<12}"), theme.style(role));
            let value = Rect {
                x: room.x + 13,
                width: room.width.saturating_sub(13),
                ..line(n)
            };
            if here {
                cursor = draw_input(buf, value, theme, "", input);
            } else {
                paint::put_fitted(buf, value, input.value(), theme.style(Role::Text));
            }
        }
        let about = FIELDS.get(self.at).map_or("", |(_, about)| *about);
        let (text, role) = match &self.complaint {
            Some(complaint) => (complaint.as_str(), Role::Warning),
            None => (about, Role::Dim),
        };
        paint::put_fitted(buf, line(4), text, theme.style(role));
        let enter = if self.is_last() { "log in" } else { "next" };
        let keys = [("enter", enter), ("tab", "next"), ("esc", "never mind")];
        frame::keys(buf, line(6), theme, &keys);
        cursor
    }
}
