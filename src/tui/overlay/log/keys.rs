//! What the keys of a list do, and when it is read again.

use std::sync::Arc;

use jiff::SignedDuration;

use super::export::Export;
use super::record::{Record, Topic};
use super::state::{LogList, MOST, PAGE};
use crate::domain::audit::{AuditPage, AuditPlace};
use crate::domain::error_kind::Failure;
use crate::domain::units::Bytes;
use crate::domain::vm::VmRef;
use crate::tui::app::App;
use crate::tui::effect::Effect;
use crate::tui::logs::LogEffect;
use crate::tui::overlay::Overlay;
use crate::tui::terminal::MAX_COPY;
use crate::tui::theme::Role;

/// How often a list is read again while it is open.
const AGAIN: SignedDuration = SignedDuration::from_secs(2);

fn open(app: &mut App, topic: Topic, title: String) -> Vec<Effect> {
    let list = LogList::new(topic, title);
    app.overlays.push(Overlay::Log(Box::new(list)));
    // It is asked for like any list that is open: see `look_again`.
    Vec::new()
}

/// Opens the error log.
pub fn open_errors(app: &mut App) -> Vec<Effect> {
    app.seen_errors = app.snapshot.errors;
    app.toast = None;
    open(app, Topic::Errors, "Errors".to_owned())
}

/// Opens the command log.
pub fn open_commands(app: &mut App) -> Vec<Effect> {
    open(
        app,
        Topic::Commands,
        "Commands sent to the hosts".to_owned(),
    )
}

/// Opens what was done to a VM.
pub fn activity_of(app: &mut App, vm: VmRef) -> Vec<Effect> {
    let name = app.snapshot.vm(&vm).map_or_else(
        || "a VM that is gone".to_owned(),
        |(host, found)| format!("{} on {}", found.name.shown(), host.spec.name),
    );
    open(
        app,
        Topic::Activity(Some(vm)),
        format!("Activity of {name}"),
    )
}

/// Opens what was done at all.
pub fn all_activity(app: &mut App) -> Vec<Effect> {
    open(app, Topic::Activity(None), "Audit log".to_owned())
}

fn list(app: &App) -> Option<&LogList> {
    match app.overlays.last() {
        Some(Overlay::Log(list)) => Some(list),
        _ => None,
    }
}

fn list_mut(app: &mut App) -> Option<&mut LogList> {
    match app.overlays.last_mut() {
        Some(Overlay::Log(list)) => Some(list),
        _ => None,
    }
}

/// Asks for what a list that is open lacks: all of it, what came since, or what is older.
pub fn look_again(app: &mut App) -> Option<Effect> {
    let (now, page) = (app.now, app.page());
    let list = list_mut(app)?;
    if let (Topic::Activity(vm), true) = (&list.topic, list.wants_older(page)) {
        let (vm, before) = (vm.clone(), list.older);
        list.reading_older = true;
        return Some(Effect::Log(LogEffect::Page(vm, before, PAGE)));
    }
    let is_due = list
        .asked
        .is_none_or(|asked| now.duration_since(asked).abs() >= AGAIN);
    if list.waiting || !is_due {
        return None;
    }
    list.waiting = true;
    list.asked = Some(now);
    Some(Effect::Log(match &list.topic {
        Topic::Errors => LogEffect::Errors,
        Topic::Commands => LogEffect::Commands,
        Topic::Activity(vm) => LogEffect::Page(vm.clone(), None, PAGE),
    }))
}

fn of_topic<'a>(app: &'a mut App, topic: &Topic) -> Option<&'a mut LogList> {
    app.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::Log(list) if list.topic == *topic => Some(&mut **list),
        _ => None,
    })
}

/// Takes the whole of a log.
pub fn took(app: &mut App, topic: &Topic, records: Result<Vec<Record>, Failure>) {
    if *topic == Topic::Errors && of_topic(app, topic).is_some() {
        app.seen_errors = app.snapshot.errors;
    }
    if let Some(list) = of_topic(app, topic) {
        list.take(records.map(|records| records.into_iter().map(Arc::new).collect()));
    }
}

/// Takes a page of the audit log.
pub fn took_page(
    app: &mut App,
    vm: Option<VmRef>,
    before: Option<AuditPlace>,
    page: Result<AuditPage, Failure>,
) {
    if let Some(list) = of_topic(app, &Topic::Activity(vm)) {
        list.take_page(before, page);
        if list.all().len() >= MOST && list.older.is_none() && before.is_some() {
            let text = format!("only the last {MOST} records are listed");
            app.say(Role::Warning, text);
        }
    }
}

/// Says whether there is a row.
pub fn has_row(app: &App) -> Result<(), String> {
    match list(app).and_then(LogList::selected) {
        Some(_) => Ok(()),
        None => Err("nothing is selected".to_owned()),
    }
}

/// Shows all of the row, or the list again.
pub fn whole(app: &mut App) -> Vec<Effect> {
    if let Some(list) = list_mut(app) {
        list.whole = match list.whole {
            Some(_) => None,
            None => Some(0),
        };
    }
    Vec::new()
}

/// Begins to type a filter.
pub fn filter(app: &mut App) -> Vec<Effect> {
    if let Some(list) = list_mut(app) {
        list.whole = None;
        list.filter.open();
    }
    Vec::new()
}

/// Copies the row.
pub fn copy(app: &mut App) -> Vec<Effect> {
    let text = list(app).and_then(LogList::selected).map(Record::text);
    match text {
        Some(text) => copied(app, text, 1),
        None => Vec::new(),
    }
}

/// Copies all rows that are shown.
pub fn copy_all(app: &mut App) -> Vec<Effect> {
    let Some((records, shown)) = list(app).and_then(LogList::handed_over) else {
        return Vec::new();
    };
    let mut text = String::new();
    for record in shown.iter().filter_map(|at| records.get(*at)) {
        text.push_str(&record.text());
        text.push('\n');
        // What is beyond it does not matter: it is too long already.
        if text.len() > MAX_COPY {
            break;
        }
    }
    copied(app, text, shown.len())
}

fn copied(app: &mut App, text: String, rows: usize) -> Vec<Effect> {
    if text.len() > MAX_COPY {
        let most = Bytes(MAX_COPY as u64);
        let text = format!(
            "{rows} rows are too long for the clipboard ({most}): X writes them into a file"
        );
        app.say(Role::Warning, text);
        return Vec::new();
    }
    let rows = match rows {
        1 => "the row".to_owned(),
        rows => format!("{rows} rows"),
    };
    app.say(Role::Dim, format!("copied {rows}"));
    vec![Effect::Copy(text)]
}

/// Asks for the name of a file for what is shown.
pub fn export(app: &mut App) -> Vec<Effect> {
    let time = app.now.strftime("%Y%m%d-%H%M%S");
    let Some(list) = list(app) else {
        return Vec::new();
    };
    let name = format!("vmdeck-{}-{time}.jsonl", list.topic.word());
    if let Some(shown) = list.handed_over() {
        let dialog = Export::new(name, shown);
        app.overlays.push(Overlay::Export(Box::new(dialog)));
    }
    Vec::new()
}

/// Reads it again now.
pub fn refresh(app: &mut App) -> Vec<Effect> {
    if let Some(list) = list_mut(app) {
        list.asked = None;
    }
    Vec::new()
}

/// Goes back from the whole row to the list, from a filter to all rows, and then away.
pub fn back(app: &mut App) -> Vec<Effect> {
    match list_mut(app) {
        Some(list) if list.whole.is_some() => list.whole = None,
        Some(list) if !list.filter.text().is_empty() => {
            list.filter.set("");
            list.refilter();
        }
        _ => drop(app.overlays.pop()),
    }
    Vec::new()
}

/// Goes away.
pub fn close(app: &mut App) -> Vec<Effect> {
    drop(app.overlays.pop());
    Vec::new()
}
