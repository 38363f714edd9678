//! What keys and events do to a console.

use crate::domain::action::Ask;
use crate::domain::console::{ConsoleEndKind, ConsoleNews};
use crate::domain::error_kind::Failure;
use crate::domain::guest_command::GuestVerb;
use crate::domain::guest_login::GuestLogin;
use crate::domain::vm::VmRef;
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::cursor::Motion;
use crate::tui::effect::Effect;
use crate::tui::overlay::agree::{Agree, Begun, Then};
use crate::tui::overlay::host_key::HostKey;
use crate::tui::overlay::{Overlay, shell_form};
use crate::tui::theme::Role;

use super::Console;
use super::stage::{Stage, Step};
use super::state::look;

/// Says whether a console could be opened.
pub fn can_open(app: &App) -> Result<(), String> {
    acting::subject(app)
        .map(drop)
        .ok_or_else(|| "no VM is selected".to_owned())
}

/// Says whether its serial console could be opened.
pub fn can_open_console(app: &App) -> Result<(), String> {
    can_reach(app, GuestVerb::Console)
}

/// Says whether somebody could log in to it.
pub fn can_open_shell(app: &App) -> Result<(), String> {
    can_reach(app, GuestVerb::Shell)
}

fn can_reach(app: &App, verb: GuestVerb) -> Result<(), String> {
    can_open(app)?;
    let Some(vm) = acting::subject(app) else {
        return Ok(());
    };
    let leave = acting::reach(app, &vm, verb);
    leave.map(drop).map_err(|cause| cause.message)
}

/// Opens the console of the VM that keys are about.
pub fn open(app: &mut App) -> Vec<Effect> {
    let Some(vm) = acting::subject(app) else {
        return Vec::new();
    };
    unless_asked(app, vm, None)
}

/// Opens a shell in a VM.
pub fn open_shell(app: &mut App, vm: VmRef, login: GuestLogin) -> Vec<Effect> {
    unless_asked(app, vm, Some(login))
}

/// Opens a console or a shell, or puts the question of a rule first.
fn unless_asked(app: &mut App, vm: VmRef, login: Option<GuestLogin>) -> Vec<Effect> {
    let (verb, what) = match &login {
        None => (GuestVerb::Console, "the console of"),
        Some(_) => (GuestVerb::Shell, "a shell in"),
    };
    let leave = match acting::reach(app, &vm, verb) {
        Ok(leave) => leave,
        Err(cause) => {
            app.fail(&cause);
            return Vec::new();
        }
    };
    if leave.ask == Ask::Nothing {
        return open_now(app, vm, login);
    }
    let Some((host, found)) = app.snapshot.vm(&vm) else {
        return Vec::new();
    };
    let facts = vec![
        ("VM", found.name.shown().to_owned(), Role::Strong),
        ("host", host.spec.name.to_string(), Role::Text),
        ("state", found.state.to_string(), Role::Text),
    ];
    let begun = Begun {
        about: (found.name.clone(), "VM"),
        word: "open",
        title: format!("open {what} {}?", found.name.shown()),
        then: match login {
            None => Then::Console(vm),
            Some(login) => Then::Shell(vm, Box::new(login)),
        },
    };
    let dialog = Agree::begun(begun, (leave.ask, leave.rule), facts);
    app.overlays.push(Overlay::Agree(Box::new(dialog)));
    Vec::new()
}

/// Opens what was agreed to, a console or a shell.
pub fn open_now(app: &mut App, vm: VmRef, login: Option<GuestLogin>) -> Vec<Effect> {
    let Some(mut console) = Console::new(app, vm) else {
        return Vec::new();
    };
    let waits = login.is_none() && console.progress.stage != Stage::Opening;
    if let Some(login) = login {
        console = console.with_login(login);
    }
    app.overlays.push(Overlay::Console(Box::new(console)));
    if waits { Vec::new() } else { ask(app, false) }
}

/// Says whether another login could be given.
pub fn is_shell(app: &App) -> Result<(), String> {
    match app.overlays.last() {
        Some(Overlay::Console(console)) if console.login.is_some() => Ok(()),
        _ => Err("a console needs no login".to_owned()),
    }
}

/// Asks for another login in place of the shell that is closed.
pub fn log_in_anew(app: &mut App) -> Vec<Effect> {
    let Some(Overlay::Console(console)) = app.overlays.pop() else {
        return Vec::new();
    };
    shell_form::ask(app, &console.vm, console.login.as_ref());
    vec![Effect::CloseConsole]
}

/// Leaves the console; what runs in the VM stays.
pub fn leave(app: &mut App) -> Vec<Effect> {
    if let Some(Overlay::Console(_)) = app.overlays.last() {
        app.overlays.pop();
        return vec![Effect::CloseConsole];
    }
    Vec::new()
}

/// Opens it again.
pub fn again(app: &mut App) -> Vec<Effect> {
    ask(app, false)
}

/// Says whether somebody else has it.
pub fn is_taken(app: &App) -> Result<(), String> {
    match app.overlays.last() {
        Some(Overlay::Console(console)) if matches!(&console.progress.stage, Stage::Over(end) if end.why == ConsoleEndKind::InUse) => {
            Ok(())
        }
        _ => Err("nobody else has this console".to_owned()),
    }
}

/// Opens it, and ends the session of whoever has it.
pub fn take_over(app: &mut App) -> Vec<Effect> {
    ask(app, true)
}

/// Scrolls a page back.
pub fn back(app: &mut App) -> Vec<Effect> {
    scroll(app, Motion::PageUp)
}

/// Scrolls a page forth.
pub fn forth(app: &mut App) -> Vec<Effect> {
    scroll(app, Motion::PageDown)
}

fn scroll(app: &mut App, motion: Motion) -> Vec<Effect> {
    let page = usize::from(super::state::room(app.size).lines());
    if let Some(Overlay::Console(console)) = app.overlays.last_mut() {
        console.go(motion, page);
    }
    Vec::new()
}

fn ask(app: &mut App, take_over: bool) -> Vec<Effect> {
    app.tickets += 1;
    let (ticket, size) = (app.tickets, app.size);
    match app.overlays.last_mut() {
        Some(Overlay::Console(console)) => vec![console.ask(ticket, size, take_over)],
        _ => Vec::new(),
    }
}

fn console_of(app: &mut App, ticket: u64) -> Option<&mut Console> {
    app.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::Console(console) if console.ticket == ticket => Some(&mut **console),
        _ => None,
    })
}

/// It was opened, or not.
pub fn opened(app: &mut App, ticket: u64, result: Result<bool, Failure>) {
    let now = app.now;
    let Some(console) = console_of(app, ticket) else {
        return;
    };
    match result {
        Ok(may_type) => {
            console.may_type = may_type;
            console.progress.opened();
        }
        Err(cause) => console.progress.refused(cause, now),
    }
}

/// Something came out of it.
pub fn heard(app: &mut App, ticket: u64, news: ConsoleNews) -> Vec<Effect> {
    let now = app.now;
    if let ConsoleNews::AskKey(question) = news {
        let asks =
            console_of(app, ticket).map(|console| (console.vm.clone(), console.name.clone()));
        if let Some((vm, name)) = asks {
            let dialog = HostKey::of_vm(vm, name, *question);
            app.overlays.push(Overlay::HostKey(Box::new(dialog)));
        }
        return Vec::new();
    }
    console_of(app, ticket)
        .and_then(|console| console.take(news, now))
        .into_iter()
        .collect()
}

/// Opens a console again whose time has come, and closes one that has outlived its VM.
pub fn look_again(app: &mut App) -> Vec<Effect> {
    let Some(Overlay::Console(console)) = app.overlays.last() else {
        return Vec::new();
    };
    let (look, now) = (look(app, &console.vm), app.now);
    let step = match app.overlays.last_mut() {
        Some(Overlay::Console(console)) => console.progress.step(look, now),
        _ => None,
    };
    match step {
        Some(Step::Open) => ask(app, false),
        Some(Step::Close) => vec![Effect::CloseConsole],
        None => Vec::new(),
    }
}

/// Takes a key that is no command.
pub fn press(app: &mut App, key: &crossterm::event::KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Console(console)) = app.overlays.last_mut() else {
        return Vec::new();
    };
    let effect = console.press(key);
    if !console.may_type && console.progress.stage == Stage::Live {
        app.say(Role::Warning, "read-only: nothing is typed into the VM");
    }
    effect.into_iter().collect()
}

/// Takes pasted text; false when no console has the keys.
pub fn paste(app: &mut App, text: &str) -> Option<Vec<Effect>> {
    match app.overlays.last_mut() {
        Some(Overlay::Console(console)) => Some(console.paste(text).into_iter().collect()),
        _ => None,
    }
}

/// Our terminal has another size.
pub fn resize(app: &mut App) -> Vec<Effect> {
    let size = app.size;
    app.overlays
        .iter_mut()
        .filter_map(|overlay| match overlay {
            Overlay::Console(console) => console.resize(size),
            _ => None,
        })
        .collect()
}
