//! What the answers to effects do. One that comes late, for an overlay that has been closed, is dropped.

use crate::domain::vm::VmRef;
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::console::keys as console;
use crate::tui::define;
use crate::tui::effect::Effect;
use crate::tui::event::Answer;
use crate::tui::guest;
use crate::tui::overlay::details::Details;
use crate::tui::overlay::document::{Line, Topic};
use crate::tui::overlay::log::{self, Record};
use crate::tui::overlay::{Overlay, doctor, edit_form, graphics, progress, screen};
use crate::tui::own;
use crate::tui::theme::Role;

pub(super) fn take(app: &mut App, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Planned {
            ticket,
            action,
            proposals,
        } => {
            // Who has moved on in the meantime must not find a dialog under the next key.
            if matches!(app.overlays.last(), Some(Overlay::Waiting(wanted)) if *wanted == ticket) {
                app.overlays.pop();
                return acting::planned(app, (ticket, &action), proposals);
            }
        }
        Answer::Submitted { what, result } => {
            if let Err(mut cause) = result {
                cause.message = format!("could not {what}: {}", cause.message);
                app.fail(&cause);
            }
        }
        Answer::Handed(bulk, place, handed) => {
            let order = app.bulks.iter_mut().find(|order| order.ticket == bulk);
            let too_late = order.and_then(|order| order.handed(place, handed));
            progress::follow(app);
            return too_late
                .map(|operation| Effect::Withdraw {
                    bulk: None,
                    operations: vec![operation],
                })
                .into_iter()
                .collect();
        }
        Answer::Done { said, result } => match (result, said) {
            (Err(cause), _) => app.fail(&cause),
            (Ok(()), Some(said)) => app.say(Role::Success, said),
            (Ok(()), None) => {}
        },
        Answer::Detail(vm, detail) => {
            if let Some(details) = details_of(app, &vm) {
                details.detail = Some(detail);
            }
        }
        Answer::Metrics(vm, metrics) => {
            if let Some(details) = details_of(app, &vm) {
                details.metrics = Some(metrics);
            }
        }
        Answer::Settings(ticket, vm, read) => edit_form::opened(app, ticket, vm, *read),
        Answer::Definition(ticket, vm, read) => return define::read(app, ticket, vm, read),
        Answer::DefinitionAgain(ticket, draft, read) => {
            return define::read_again(app, ticket, *draft, read);
        }
        Answer::Edited(edited) => return define::edited(app, *edited),
        Answer::Defined(ticket, draft, result) => define::defined(app, ticket, *draft, result),
        Answer::Stores(host, told) => {
            app.stores.heard(host, told, app.now);
            app.stores.take(&app.snapshot);
        }
        Answer::StorePlanned { ticket, proposal } => {
            if matches!(app.overlays.last(), Some(Overlay::Waiting(wanted)) if *wanted == ticket) {
                app.overlays.pop();
                return acting::proposed(app, *proposal);
            }
        }
        Answer::StoreDone { plan, result } => return acting::store_done(app, &plan, result),
        Answer::Guest(answer) => return guest::heard(app, answer),
        Answer::Audit(None, records) => app.operations.audit = Some(records),
        Answer::Audit(Some(vm), records) => {
            if let Some(details) = details_of(app, &vm) {
                details.activity = Some(records);
            }
        }
        Answer::Screen(ticket, result) => screen::taken(app, ticket, result),
        Answer::Graphics(ticket, news) => return graphics::heard(app, ticket, news),
        Answer::ConsoleOpened(ticket, result) => console::opened(app, ticket, result),
        Answer::Commands(records) => {
            let records = records.map(|all| all.into_iter().map(Record::Command).collect());
            log::took(app, &log::Topic::Commands, records);
        }
        Answer::Errors(records) => {
            let records = records.map(|all| all.into_iter().map(Record::Error).collect());
            log::took(app, &log::Topic::Errors, records);
        }
        Answer::AuditPage(vm, before, page) => log::took_page(app, vm, before, page),
        Answer::Exported(written) => exported(app, written),
        Answer::Findings(name, found) => {
            doctor::heard(app, &name, found);
        }
        Answer::HostSaved(result) => host_saved(app, result.map(drop)),
        Answer::Unlocked(result) => return unlocked(app, result),
        Answer::ThemesFound(names) => return super::deeds::list_themes(app, names),
        Answer::ThemeWritten => {
            // Somebody who is looking through the themes sees the one under the cursor.
            let shown = match app.overlays.last() {
                Some(Overlay::Menu(menu)) => menu.theme().map(str::to_owned),
                _ => None,
            };
            return vec![Effect::Theme(shown.or_else(|| app.theme.clone()))];
        }
        Answer::Own(news) => own::heard(app, *news),
        Answer::Kept(kept) => return kept.take(app),
        Answer::Credentials(credentials) => app.profile.take(credentials),
    }
    Vec::new()
}

/// The details of a VM, where they are open.
fn details_of<'a>(app: &'a mut App, vm: &VmRef) -> Option<&'a mut Details> {
    app.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::Details(details) if details.vm == *vm => Some(&mut **details),
        _ => None,
    })
}

type Outcome<T> = Result<T, crate::domain::error_kind::Failure>;

pub(in crate::tui) fn fill(app: &mut App, topic: &Topic, lines: Vec<Line>) -> bool {
    for overlay in &mut app.overlays {
        if let Overlay::Document(page) = overlay
            && page.topic == *topic
        {
            page.fill(lines);
            return true;
        }
    }
    false
}

fn exported(app: &mut App, written: Outcome<String>) {
    match (app.overlays.last_mut(), written) {
        (Some(Overlay::Export(dialog)), Err(cause)) => dialog.refuse(&cause),
        (_, Err(cause)) => app.fail(&cause),
        (top, Ok(said)) => {
            if matches!(top, Some(Overlay::Export(_))) {
                app.overlays.pop();
            }
            app.say(Role::Success, said);
        }
    }
}

fn host_saved(app: &mut App, result: Outcome<()>) {
    match (app.overlays.last_mut(), result) {
        (Some(Overlay::HostForm(form)), Err(cause)) => form.refuse(&cause),
        (_, Err(cause)) => app.fail(&cause),
        (top, Ok(())) => {
            if matches!(top, Some(Overlay::HostForm(_))) {
                app.overlays.pop();
            }
            app.say(Role::Success, "saved");
        }
    }
}

fn unlocked(app: &mut App, result: Outcome<()>) -> Vec<Effect> {
    match (app.overlays.last_mut(), result) {
        (Some(Overlay::Passphrase(dialog)), Err(cause)) => dialog.refuse(&cause),
        (_, Err(cause)) => app.fail(&cause),
        (top, Ok(())) => {
            if matches!(top, Some(Overlay::Passphrase(_))) {
                app.overlays.pop();
            }
            app.say(Role::Success, "unlocked");
            return vec![Effect::Refresh(crate::fleet::request::HostSelection::All)];
        }
    }
    Vec::new()
}
