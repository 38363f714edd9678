//! One line: a program to run in a VM. What is typed is shown as the list of words it is, while it is typed.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::{Overlay, frame, type_into};
use crate::domain::capability::GuestPrograms;
use crate::domain::guest_account::GuestAccount;
use crate::domain::guest_command::{GuestCommand, GuestCommandError};
use crate::domain::inventory::HostSnapshot;
use crate::domain::vm::{PowerState, VmRef};
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::effect::Effect;
use crate::tui::guest;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::masked::{Masked, NotTaken};
use crate::tui::widget::paint::{self, Piece};

/// Words that are seen; those after them are counted.
const SEEN: u16 = 6;

/// A program being typed.
#[derive(Debug)]
pub struct GuestForm {
    vm: VmRef,
    title: String,
    /// What is typed.
    input: Input,
    /// For whom it is run, where its host asks for that.
    pub account: Option<AccountFields>,
    /// The field that has the keys.
    at: usize,
}

/// An account of the VM, being typed.
#[derive(Debug)]
pub struct AccountFields {
    user: Input,
    with: Input,
    password: Masked,
    /// What is wrong with what was typed last.
    complaint: Option<String>,
}

/// The fields after the program, each with what is to be typed.
const FIELDS: [(&str, &str); 3] = [
    (
        "Run as",
        "an account of the VM, with its domain before it where it has one",
    ),
    (
        "Log in with",
        "the name of a credential of the profile that is a password; nothing = type it below",
    ),
    ("Password", "of that account in the VM; it is kept nowhere"),
];

/// Says whether a program could be run in the VM that keys are about.
pub fn can_open(app: &App) -> Result<(), String> {
    let vm = acting::subject(app).ok_or("no VM is selected")?;
    match app.snapshot.vm(&vm) {
        Some((_, found)) if found.state != PowerState::Running => Err(format!(
            "{} is {}: nothing runs in it",
            found.name, found.state
        )),
        _ => Ok(()),
    }
}

fn of_vm(vm: &VmRef) -> String {
    format!("direct vm {}", vm.vm)
}

fn of_host(host: &HostSnapshot) -> String {
    format!("direct host {}", host.spec.name)
}

/// Returns the fields for an account of the VM, with the one that was used before for it, or for another VM of
/// its host.
fn account_fields(app: &App, host: &HostSnapshot, vm: &VmRef) -> Option<AccountFields> {
    let programs = host.capabilities.as_ref().map(|found| found.programs);
    if programs != Some(GuestPrograms::Account) {
        return None;
    }
    let kept = [of_vm(vm), of_host(host)];
    let mut kept = kept.iter().filter_map(|whose| app.logins.get(whose));
    let (user, with) = kept
        .find_map(|words| GuestAccount::of_words(words))
        .unwrap_or_default();
    Some(AccountFields {
        user: Input::new(user),
        with: Input::new(with),
        password: Masked::default(),
        complaint: None,
    })
}

/// Asks what is to be run.
pub fn open(app: &mut App) -> Vec<Effect> {
    if let Some(vm) = acting::subject(app)
        && let Some((host, found)) = app.snapshot.vm(&vm)
    {
        let form = GuestForm {
            title: format!("Run a program in {} on {}", found.name, host.spec.name),
            input: Input::default(),
            account: account_fields(app, host, &vm),
            at: 0,
            vm,
        };
        app.overlays.push(Overlay::GuestForm(Box::new(form)));
    }
    Vec::new()
}

/// Has what was typed planned, and keeps the account without its password.
pub fn accept(app: &mut App) -> Vec<Effect> {
    let Some(Overlay::GuestForm(form)) = app.overlays.last_mut() else {
        return Vec::new();
    };
    let read = GuestCommand::split(form.input.value())
        .map_err(|why| why.to_string())
        .and_then(|words| {
            let account = form.account.as_mut().map(AccountFields::read);
            Ok((words, account.transpose()?))
        });
    match read {
        Ok((words, account)) => {
            let vm = form.vm.clone();
            app.overlays.pop();
            if let Some(account) = &account {
                let host = app.snapshot.host(vm.host).map(|host| of_host(host));
                for whose in [Some(of_vm(&vm)), host].into_iter().flatten() {
                    app.logins.insert(whose, account.words());
                }
            }
            guest::plan(app, vm, (words, account))
        }
        Err(why) => {
            app.say(Role::Warning, why);
            Vec::new()
        }
    }
}

impl AccountFields {
    fn read(&mut self) -> Result<GuestAccount, String> {
        let (user, with) = (self.user.value(), self.with.value());
        // It stays typed where something else is wrong.
        GuestAccount::read(user, with, self.password.peek())
    }

    /// Draws the fields below one another; returns where the text cursor is.
    fn complain(&mut self, take: impl FnOnce(&mut Masked) -> Result<(), NotTaken>) {
        self.complaint = take(&mut self.password).err().map(|why| why.to_string());
    }

    fn draw(&self, buf: &mut Buffer, room: Rect, theme: &Theme, at: usize) -> Option<Position> {
        let mut cursor = None;
        for (n, (label, about)) in (0u16..).zip(FIELDS) {
            let line = paint::line_of(room, n);
            let here = usize::from(n) + 1 == at;
            let role = if here { Role::Strong } else { Role::Dim };
            paint::put(buf, line, &format!("{label:<12}"), theme.style(role));
            let value = Rect {
                x: room.x + 13,
                width: room.width.saturating_sub(13),
                ..line
            };
            let input = match n {
                0 => Some(&self.user),
                1 => Some(&self.with),
                _ => None,
            };
            match input {
                Some(input) if here => cursor = draw_input(buf, value, theme, "", input),
                Some(input) => {
                    paint::put_fitted(buf, value, input.value(), theme.style(Role::Text));
                }
                None => {
                    let drawn = self.password.draw(buf, value, theme, "");
                    cursor = if here { drawn } else { cursor };
                }
            }
            if here {
                let (text, role) = match &self.complaint {
                    Some(complaint) => (complaint.as_str(), Role::Warning),
                    None => (about, Role::Dim),
                };
                paint::put_fitted(buf, paint::line_of(room, 3), text, theme.style(role));
            }
        }
        cursor
    }
}

impl GuestForm {
    const fn fields(&self) -> usize {
        if self.account.is_some() {
            1 + FIELDS.len()
        } else {
            1
        }
    }

    /// Returns whether the last field has the keys; a password is not asked for beside a credential.
    pub fn is_last(&self) -> bool {
        let named = |account: &AccountFields| !account.with.value().trim().is_empty();
        let left = usize::from(self.account.as_ref().is_some_and(named));
        self.at + 1 + left >= self.fields()
    }

    /// Goes so many fields on, round and round.
    pub const fn go(&mut self, by: isize) {
        let count = self.fields();
        self.at = (self.at + count).saturating_add_signed(by) % count;
    }

    /// Takes a key.
    pub fn type_key(&mut self, key: &KeyEvent) {
        if let Some(account) = &mut self.account {
            account.complaint = None;
        }
        match (self.at, &mut self.account) {
            (1, Some(account)) => type_into(&mut account.user, key),
            (2, Some(account)) => type_into(&mut account.with, key),
            (3, Some(account)) => account.complain(|password| password.type_key(key)),
            _ => type_into(&mut self.input, key),
        }
    }

    /// Takes what was pasted as a password, where that has the keys; returns whether it has.
    pub fn paste_secret(&mut self, text: &str) -> bool {
        match (self.at, &mut self.account) {
            (3, Some(account)) => {
                account.complain(|password| password.paste(text));
                true
            }
            _ => false,
        }
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let more = if self.account.is_some() { 5 } else { 0 };
        let size = (area.width.min(84), SEEN + 6 + more);
        let room = frame::draw(buf, area, theme, &self.title, size);
        let line = |n| paint::line_of(room, n);
        let mut cursor = draw_input(buf, line(0), theme, "> ", &self.input);
        let say = |buf: &mut Buffer, n, text: &str| {
            paint::put_fitted(buf, line(n), text, theme.style(Role::Dim));
        };
        match GuestCommand::split(self.input.value()) {
            Ok(words) => {
                let facts = guest::words(&words);
                for (n, (label, text, role)) in (0..SEEN).zip(&facts) {
                    let pieces = [
                        Piece::new(format!("{label:<9}"), theme.style(Role::Dim)),
                        Piece::new(text.as_str(), theme.style(*role)),
                    ];
                    paint::put_line(buf, line(2 + n), &pieces);
                }
                let more = facts.len().saturating_sub(usize::from(SEEN));
                if more > 0 {
                    say(buf, 2 + SEEN - 1, &format!("and {} words more", more + 1));
                }
            }
            Err(GuestCommandError::Empty) => {
                say(
                    buf,
                    2,
                    "A program and its arguments; quotes keep blanks together.",
                );
                say(
                    buf,
                    3,
                    "No shell reads it: for one, run it: /bin/sh -c '...'",
                );
            }
            Err(why) => {
                paint::put_fitted(buf, line(2), &why.to_string(), theme.style(Role::Warning));
            }
        }
        if let Some(account) = &self.account {
            let top = line(2 + SEEN);
            let below = Rect {
                height: room.bottom().saturating_sub(top.y),
                ..top
            };
            let typed = account.draw(buf, below, theme, self.at);
            cursor = if self.at == 0 { cursor } else { typed };
        }
        let enter = if self.is_last() {
            "see what is sent"
        } else {
            "next"
        };
        let keys = [("enter", enter), ("tab", "next"), ("esc", "never mind")];
        let shown = if more == 0 {
            keys.as_slice()
                .iter()
                .filter(|(key, _)| *key != "tab")
                .copied()
                .collect()
        } else {
            keys.to_vec()
        };
        frame::keys(buf, line(3 + SEEN + more), theme, &shown);
        cursor
    }
}
