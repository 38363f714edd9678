//! What each event does to the state, and what is to be done about it. Synchronous and total: no await,
//! no handle, no clock.

mod answer;
pub mod deeds;

pub(super) use self::answer::fill;

use std::collections::HashSet;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{App, Screen};
use super::command::run_by_id;
use super::console::keys as console;
use super::cursor::Motion;
use super::effect::Effect;
use super::event::{Event, Input, Pointer};
use super::habits::Habits;
use super::key::KeyPress;
use super::notify;
use super::overlay::{Overlay, details, log, menu, progress, screen, type_into};
use super::own;
use super::pointer::Hit;
use super::screen::{hosts, operations, stores, vms};
use super::theme::Role;
use crate::domain::event::{Fact, FleetEvent};
use crate::domain::health::HostHealth;
use crate::domain::inventory::{FleetSnapshot, LockState};
use crate::domain::operation::{Operation, OperationId, Outcome};
use crate::domain::text::RemoteText;
use crate::domain::vm::VmRef;
use crate::fleet::request::HostSelection;

/// Takes an event.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    app.now = event.at;
    if app
        .toast
        .as_ref()
        .is_some_and(|toast| toast.until <= app.now)
    {
        app.toast = None;
    }
    let before = watched(app);
    let habits = Habits::of(app);
    let mut effects = take(app, event.input);
    effects.extend(Habits::of(app).since(&habits));
    effects.extend(console::look_again(app));
    effects.extend(stores::read_missing(app));
    effects.extend(screen::look_again(app));
    effects.extend(details::next_metrics(app));
    effects.extend(log::look_again(app));
    effects.extend(notify::due(app));
    let now = watched(app);
    if now != before {
        effects.push(Effect::Focus(now));
    }
    effects
}

/// Returns the hosts that are looked at; the others are read less often. Who looks at one host only needs
/// the others less often, and who looks at another window all of them.
fn watched(app: &App) -> HostSelection {
    match app.vms.host {
        _ if app.unfocused => HostSelection::Only(Vec::new()),
        Some(host) => HostSelection::Only(vec![host]),
        None => HostSelection::All,
    }
}

fn take(app: &mut App, input: Input) -> Vec<Effect> {
    match input {
        Input::Key(key) => press(app, &key),
        Input::Paste(text) => console::paste(app, &text).unwrap_or_else(|| {
            paste(app, &text);
            Vec::new()
        }),
        Input::Resize(width, height) => {
            app.size = (width, height);
            screen::resized(app);
            console::resize(app)
        }
        Input::Console(ticket, news) => console::heard(app, ticket, news),
        Input::Pointer(pointer) => point(app, pointer),
        Input::Snapshot(snapshot) => {
            take_snapshot(app, snapshot);
            Vec::new()
        }
        Input::Fact(fact) => learn(app, &fact),
        Input::FactsLost(count) => {
            app.say(
                Role::Warning,
                format!("{count} events came too fast to show"),
            );
            Vec::new()
        }
        Input::Focus(focused) => {
            app.unfocused = !focused;
            Vec::new()
        }
        Input::Tick => Vec::new(),
        Input::Answer(answer) => answer::take(app, answer),
    }
}

/// A person has just come: asks for the passphrase where the profile is locked and a host needs it.
pub fn greet(app: &mut App) {
    if app.snapshot.lock == LockState::Locked {
        drop(super::screen::profile::unlock(app));
    }
}

fn press(app: &mut App, key: &KeyEvent) -> Vec<Effect> {
    let Some(pressed) = KeyPress::from_event(key) else {
        return Vec::new();
    };
    app.touched = true;
    if let (Some(Overlay::Menu(menu)), KeyCode::Char(c)) = (app.overlays.last(), pressed.code)
        && !pressed.ctrl
        && let Some(index) = menu.by_letter(c)
    {
        return menu::choose(app, index);
    }
    let contexts = app.contexts();
    let typing = app.is_typing();
    let command = Arc::clone(&app.settings.keymap).find(contexts, key);
    // A letter being typed is text even if somebody bound it to a command of a prompt.
    let is_text = typing
        && matches!(key.code, KeyCode::Char(_))
        && !key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    match command {
        Some(command) if !is_text => command.run(app),
        _ if typing => {
            type_key(app, key);
            Vec::new()
        }
        _ => match app.own.find(contexts, key) {
            Some(at) => own::begin(app, at),
            None => console::press(app, key),
        },
    }
}

fn type_key(app: &mut App, key: &KeyEvent) {
    if let Some(overlay) = app.overlays.last_mut() {
        overlay.type_key(key);
        details::look(app);
    } else if app.screen == Screen::Operations && app.operations.filter.editing {
        type_into(&mut app.operations.filter.input, key);
        if app.operations.filter.read() {
            operations::refilter(app);
        }
    } else if app.vms.filter.editing {
        type_into(&mut app.vms.filter.input, key);
        if app.vms.filter.read() {
            vms::refilter(app);
        }
    }
}

fn paste(app: &mut App, text: &str) {
    if !app.is_typing() {
        // Pasted text is never read as keys.
        app.say(
            Role::Warning,
            "pasted text is only taken where text is typed",
        );
        return;
    }
    if let Some(overlay) = app.overlays.last_mut() {
        overlay.paste(text);
        details::look(app);
        return;
    }
    for c in text
        .chars()
        .filter(|c| !crate::domain::text::is_hostile(*c))
    {
        type_key(app, &KeyPress::plain(KeyCode::Char(c)).to_event());
    }
}

fn point(app: &mut App, pointer: Pointer) -> Vec<Effect> {
    app.touched = true;
    match pointer {
        Pointer::WheelUp => deeds::go(app, Motion::Up),
        Pointer::WheelDown => deeds::go(app, Motion::Down),
        Pointer::Press(Hit::Row(row)) => {
            deeds::go_to(app, row);
            Vec::new()
        }
        Pointer::Press(Hit::Network(row)) => {
            app.stores.go_to(true, row);
            Vec::new()
        }
        Pointer::Press(Hit::Item(item)) => deeds::press_item(app, item),
        Pointer::Press(Hit::Title(column)) if app.vms.sort.column == column => vms::sort_flip(app),
        Pointer::Press(Hit::Title(column)) => {
            vms::sort_by(app, column);
            Vec::new()
        }
        Pointer::Press(Hit::Key(id)) => run_by_id(app, id),
    }
}

fn take_snapshot(app: &mut App, snapshot: Arc<FleetSnapshot>) {
    let before = Arc::clone(&app.snapshot);
    let gone = app.take_snapshot(snapshot);
    tell_gone(app, &before, &gone);
    let was_running: HashSet<&OperationId> = before
        .operations
        .iter()
        .filter(|old| !old.is_finished())
        .map(|old| &old.id)
        .collect();
    if !was_running.is_empty() {
        for operation in &app.snapshot.operations.clone() {
            // Those of an order about several VMs are told together, when the last one is over.
            let is_news = operation.is_finished()
                && was_running.contains(&operation.id)
                && !app.bulks.iter().any(|bulk| bulk.holds(&operation.id));
            if is_news {
                tell(app, operation);
            }
        }
    }
    progress::follow(app);
    close_answered(app);
    ask_about_keys(app);
}

/// Says which marks went with their VMs.
fn tell_gone(app: &mut App, before: &FleetSnapshot, gone: &[VmRef]) {
    let names: Vec<RemoteText> = gone
        .iter()
        .map(|vm| {
            let known = before.vm(vm).map(|(_, vm)| vm.name.clone());
            known.unwrap_or_else(|| RemoteText::new(vm.vm.short()))
        })
        .collect();
    let Some(first) = names.first() else { return };
    let text = match names.len() - 1 {
        0 => format!("{} was marked and is gone", first.shown()),
        more => format!("{} and {more} more were marked and are gone", first.shown()),
    };
    app.say(Role::Warning, text);
    app.vms.gone.extend(names);
}

/// Closes dialogs about keys that are no longer in question, and says why.
fn close_answered(app: &mut App) {
    let snapshot = Arc::clone(&app.snapshot);
    // A host whose question is over asks anew when a person tries it again.
    app.asked_keys.retain(|(host, _)| {
        let health = snapshot.host(*host).map(|host| &host.health);
        health.is_some_and(|health| !hosts::is_over(health))
    });
    let mut closed = None;
    let asked_keys = &mut app.asked_keys;
    app.overlays.retain(|overlay| {
        let Overlay::HostKey(dialog) = overlay else {
            return true;
        };
        if dialog.vm.is_some() {
            return true;
        }
        let host = snapshot.host(dialog.host);
        let asks = host.and_then(|host| hosts::question_of(host));
        let stays = asks.is_some_and(|asks| asks.question.key == dialog.question.key);
        if !stays {
            let over = host.is_some_and(|host| hosts::is_over(&host.health));
            closed = Some((dialog.name.clone(), over));
            // Nobody has decided: a host that is being tried anew comes back with the same question.
            let print = &dialog.question.key.fingerprint;
            asked_keys.retain(|(host, asked)| (*host, asked) != (dialog.host, print));
        }
        stays
    });
    match closed {
        Some((name, true)) => app.say(
            Role::Warning,
            format!("nobody answered about the key of {name} in time: it is not trusted (refresh the host to be asked again)"),
        ),
        Some((name, false)) => app.say(
            Role::Warning,
            format!("the key of {name} is no longer in question"),
        ),
        None => {}
    }
}

/// Says how an operation ended.
fn tell(app: &mut App, operation: &Operation) {
    let spec = operation.plan.action.kind.spec();
    let name = operation.plan.vm_name.shown();
    let about = operation.plan.action.about();
    let Some(outcome) = &operation.outcome else {
        return;
    };
    let reason = outcome.reason().unwrap_or_default();
    let (role, text) = match outcome {
        Outcome::Confirmed => {
            let remark = operation.plan.action.remark();
            let remark = remark.map_or_else(String::new, |remark| format!("; {remark}"));
            (
                Role::Success,
                format!("{name} {}{about}{remark}", spec.past),
            )
        }
        Outcome::Accepted { .. } => (
            Role::Warning,
            format!("{} {name}{about} was accepted: {reason}", spec.verb),
        ),
        Outcome::Refused { .. } => (
            Role::Warning,
            format!("{} {name}{about} was refused: {reason}", spec.verb),
        ),
        Outcome::Failed { .. } => (
            Role::Danger,
            format!("could not {} {name}{about}: {reason}", spec.verb),
        ),
        Outcome::Unknown { .. } => (
            Role::Danger,
            format!(
                "nobody knows whether {} {name}{about} was done: {reason}",
                spec.verb
            ),
        ),
    };
    if role == Role::Danger {
        app.last_error = Some(text.clone());
    }
    notify::operation_ended(app, operation, &text);
    app.say(role, text);
}

/// Brings a host's question up once, when nothing else has the keys.
fn ask_about_keys(app: &mut App) {
    if !app.overlays.is_empty() || app.is_typing() {
        return;
    }
    let asked = &app.asked_keys;
    let next = app.snapshot.hosts.iter().find_map(|host| {
        let dialog = hosts::question_of(host)?;
        let print = (host.spec.id, dialog.question.key.fingerprint.clone());
        (!asked.contains(&print)).then_some((dialog, print))
    });
    if let Some((dialog, print)) = next {
        app.asked_keys.push(print);
        app.overlays.push(Overlay::HostKey(Box::new(dialog)));
    }
}

fn learn(app: &mut App, event: &FleetEvent) -> Vec<Effect> {
    notify::learn(app, &event.fact);
    match &event.fact {
        Fact::HostCameOnline { name, .. } => app.greet_host(name),
        Fact::HostWentOffline { host, name, cause } => {
            let waits = app
                .snapshot
                .host(*host)
                .is_some_and(|host| matches!(host.health, HostHealth::NeedsOperator { .. }));
            app.fail_on(name, cause);
            if waits {
                ask_about_keys(app);
            }
        }
        Fact::ErrorOccurred {
            host: Some(name),
            cause,
        } => app.fail_on(name, cause),
        Fact::ErrorOccurred { host: None, cause } => app.fail(cause),
        // One that was marked is told of together with its mark.
        Fact::VmVanished { vm, name, .. }
            if app.vms.marks.contains(vm)
                || app.vms.gone.contains(name)
                || app.vms.watched.contains(vm) => {}
        Fact::VmVanished {
            name, host_name, ..
        } => app.say(
            Role::Warning,
            format!("{} is gone from {host_name}", name.shown()),
        ),
        Fact::OperationMoved(operation)
            if operation.is_finished() && app.screen == Screen::Operations =>
        {
            return vec![Effect::Audit(None)];
        }
        Fact::VmChangedState { .. } | Fact::VmAppeared { .. } | Fact::OperationMoved(_) => {}
    }
    Vec::new()
}
