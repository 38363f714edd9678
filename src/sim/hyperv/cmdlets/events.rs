//! Cmdlets of events: registering a watcher, waiting, and the queue of what it told.

use std::time::Duration;

use super::super::cim::{Space, hresult};
use super::super::convert;
use super::super::events::{Happened, Watcher};
use super::super::machine::WinMachine;
use super::missing;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::machine::Reply;
use crate::sim::powershell::object::Object;
use crate::sim::powershell::time::DateTime;
use crate::sim::powershell::value::Value;

/// Longest wait between two looks at the queue.
const LONGEST: f64 = 0.5;

/// An event in the queue of a process.
#[derive(Debug)]
pub(in crate::sim) struct Queued {
    pub(in crate::sim) number: i32,
    pub(in crate::sim) source: String,
    pub(in crate::sim) value: Value,
}

/// `Register-CimIndicationEvent`.
pub(super) fn register(machine: &mut WinMachine, call: &Call) -> Reply {
    let Some(space) = Space::parse(call.text("Namespace")) else {
        let code = hresult::INVALID_NAMESPACE;
        return Reply::error(machine.cim_error(call, code, call.text("Namespace")));
    };
    let Some(query) = call.text("Query") else {
        return Reply::error(missing(call, "Query"));
    };
    let source = call.text("SourceIdentifier").map_or_else(
        || format!("event-{}", machine.watchers.len()),
        str::to_owned,
    );
    if machine.watchers.iter().any(|one| one.source == source) {
        return Reply::error(call.error(
            "System.ArgumentException",
            format!("Cannot subscribe to the specified event. A subscriber with the source identifier '{source}' already exists."),
            "SUBSCRIBER_EXISTS",
            Category::InvalidArgument,
        ));
    }
    let watcher = machine
        .host()
        .world(|world| Watcher::new(world, space, query, &source));
    match watcher {
        Ok(watcher) => {
            machine.watchers.push(watcher);
            Reply::nothing()
        }
        Err(code) => Reply::error(machine.cim_error(call, code, None)),
    }
}

/// `Wait-Event`: until there is an event, the time is over, or the process is ended.
pub(super) fn wait(machine: &mut WinMachine, call: &Call) -> Reply {
    let source = call.text("SourceIdentifier");
    let limit = match call.get("Timeout") {
        Some(Value::Double(seconds)) => Some(*seconds),
        Some(other) => other
            .as_integer()
            .and_then(|n| i32::try_from(n).ok())
            .map(f64::from),
        None => None,
    }
    .filter(|seconds| *seconds >= 0.0);
    let begun = machine.host().world(|world| world.t());
    loop {
        look(machine);
        let found = machine
            .queue
            .iter()
            .find(|one| source.is_none_or(|source| one.source.eq_ignore_ascii_case(source)));
        if let Some(found) = found {
            return Reply::value(found.value.clone());
        }
        let now = machine.host().world(|world| world.t());
        let left = limit.map(|limit| limit - (now - begun));
        if left.is_some_and(|left| left <= 0.0) {
            return Reply::nothing();
        }
        let next = machine
            .watchers
            .iter()
            .map(|watcher| watcher.next - now)
            .chain(left)
            .fold(LONGEST, f64::min);
        let pause = Duration::try_from_secs_f64(next.max(0.005)).unwrap_or_default();
        if !machine.wait(&call.life, pause) {
            return Reply::nothing();
        }
    }
}

/// `Get-Event`.
pub(super) fn get(machine: &mut WinMachine, call: &Call) -> Reply {
    look(machine);
    let found = machine.queue.iter().filter(|one| fits(call, one));
    Reply::values(found.map(|one| one.value.clone()).collect())
}

/// `Remove-Event`.
pub(super) fn remove(machine: &mut WinMachine, call: &Call) -> Reply {
    let named = ["SourceIdentifier", "EventIdentifier"];
    let input = call.input.clone().unwrap_or_default();
    let numbers: Vec<i128> = input
        .iter()
        .filter_map(|one| one.as_object()?.get("EventIdentifier")?.as_integer())
        .collect();
    if !named.iter().any(|name| call.has(name)) {
        machine
            .queue
            .retain(|one| !numbers.contains(&i128::from(one.number)));
        return Reply::nothing();
    }
    let before = machine.queue.len();
    machine.queue.retain(|one| !fits(call, one));
    if machine.queue.len() == before {
        return Reply::error(none(call, "event"));
    }
    Reply::nothing()
}

/// `Unregister-Event`.
pub(super) fn unregister(machine: &mut WinMachine, call: &Call) -> Reply {
    let source = call.text("SourceIdentifier").unwrap_or_default();
    let before = machine.watchers.len();
    machine
        .watchers
        .retain(|one| !one.source.eq_ignore_ascii_case(source));
    if machine.watchers.len() == before {
        return Reply::error(none(call, "event subscription"));
    }
    Reply::nothing()
}

fn none(call: &Call, what: &str) -> ErrorRecord {
    let source = call.text("SourceIdentifier").unwrap_or_default();
    call.error(
        "System.ArgumentException",
        format!("An {what} with source identifier '{source}' does not exist."),
        "INVALID_SOURCE_IDENTIFIER",
        Category::InvalidArgument,
    )
}

fn fits(call: &Call, one: &Queued) -> bool {
    call.text("SourceIdentifier")
        .is_none_or(|source| one.source.eq_ignore_ascii_case(source))
        && call
            .integer("EventIdentifier")
            .is_none_or(|number| number == i128::from(one.number))
}

/// Lets every watcher look, and queues what it saw.
fn look(machine: &mut WinMachine) {
    let mut watchers = std::mem::take(&mut machine.watchers);
    let seen: Vec<(String, Happened)> = machine.host().world(|world| {
        watchers
            .iter_mut()
            .flat_map(|watcher| {
                let source = watcher.source.clone();
                watcher
                    .look(world)
                    .into_iter()
                    .map(move |happened| (source.clone(), happened))
            })
            .collect()
    });
    machine.watchers = watchers;
    for (source, happened) in seen {
        machine.events += 1;
        let number = machine.events;
        let value = event(machine, number, &source, happened);
        machine.queue.push(Queued {
            number,
            source,
            value,
        });
    }
}

/// What `Wait-Event` answers (.NET: `PSEventArgs`).
fn event(machine: &WinMachine, number: i32, source: &str, happened: Happened) -> Value {
    let style = machine.style();
    let at = machine.host().world(|world| world.wall());
    let class = happened.kind.class();
    let space = happened.target.class.space.path();
    let new = Object::cim(space, class)
        .with("TargetInstance", convert::instance(happened.target, style))
        .with(
            "PreviousInstance",
            happened
                .previous
                .map_or(Value::Null, |one| convert::instance(one, style)),
        )
        .with("TIME_CREATED", Value::Null);
    let arguments = Object::new(
        "Microsoft.Management.Infrastructure.CimCmdlets.CimIndicationEventInstanceEventArgs",
    )
    .with("NewEvent", new)
    .with("MachineId", Value::Null)
    .with("Bookmark", Value::str(""));
    Value::from(
        Object::new("System.Management.Automation.PSEventArgs")
            .with("ComputerName", Value::Null)
            .with("EventIdentifier", number)
            .with("Sender", Value::Null)
            .with("SourceEventArgs", arguments)
            .with("SourceArgs", Value::array([]))
            .with("SourceIdentifier", source)
            .with(
                "TimeGenerated",
                Value::DateTime(DateTime::local(at, style.utc_offset)),
            )
            .with("MessageData", Value::Null),
    )
}
