//! `--once watch`: what happens, one JSON object a line, until interrupted.
//!
//! The first line holds the VMs as they are; the others what changes. A reader that is too slow is told
//! that it missed something and gets the whole again.

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use super::console::Console;
use super::field::{Field, Record};
use super::row::{FIELDS, VmRow};
use super::{Ended, Format, Script, list, reach};
use crate::clock::Clock;
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::event::{Fact, FleetEvent};
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::{Operation, Outcome, Phase, Progress};
use crate::domain::selector::Filter;
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, VmRef};
use crate::fleet::FleetHandle;
use crate::report::ErrorBody;

/// One line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    /// Everything, at the beginning and after something was missed.
    Init {
        at: Timestamp,
        vms: Vec<Record<'a, VmRow>>,
    },
    HostUp {
        at: Timestamp,
        host: &'a str,
    },
    HostDown {
        at: Timestamp,
        host: &'a str,
        error: ErrorBody<'a>,
    },
    VmState {
        at: Timestamp,
        host: &'a str,
        name: &'a RemoteText,
        id: &'a str,
        from: &'a str,
        to: &'a str,
    },
    VmAppeared {
        at: Timestamp,
        host: &'a str,
        name: &'a RemoteText,
        id: &'a str,
        state: &'a str,
    },
    VmVanished {
        at: Timestamp,
        host: &'a str,
        name: &'a RemoteText,
        id: &'a str,
    },
    Operation {
        at: Timestamp,
        operation: String,
        host: &'a str,
        name: &'a RemoteText,
        id: &'a str,
        action: &'a str,
        phase: Phase,
        /// What the hypervisor says while it is at it; left out where it says nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<&'a Progress>,
        outcome: Option<&'a str>,
        reason: Option<&'a str>,
    },
    Error {
        at: Timestamp,
        host: Option<&'a str>,
        error: ErrorBody<'a>,
    },
    /// So many events were not seen; an `init` follows.
    Missed {
        at: Timestamp,
        count: u64,
    },
}

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    filter: &Filter,
    clock: &Clock,
    console: &mut Console<'_>,
) -> Ended {
    if matches!(script.format, Format::Csv | Format::Markdown) {
        let failure = Failure::new(ErrorKind::Usage, "events are written as JSON lines only");
        return Err(failure.with_hint("leave out -o, or write -o ndjson").into());
    }
    let mut events = handle.events();
    let fleet = handle.snapshot();
    if fleet.hosts.is_empty() {
        console.note(list::FIRST_STEPS);
    }
    let hosts = reach::hosts_that(&fleet, |host| filter.may_match_on(host));
    let reached = reach::reach(handle, hosts, script, false).await?;
    reached.report(console);
    let mut told = reached.fleet.generation;
    init(&reached.fleet, filter, clock.now(), console);
    while !console.is_closed() {
        let event = tokio::select! {
            event = events.recv() => event,
            () = script.stop.cancelled() => return Ok(ExitCode::Done),
        };
        match event {
            // What happened before the first line is already in it.
            Ok(event) if event.generation <= told => {}
            Ok(event) => tell(&event, &handle.snapshot(), filter, console),
            Err(RecvError::Lagged(count)) => {
                let (fleet, at) = (handle.snapshot(), clock.now());
                told = fleet.generation;
                write(&Line::Missed { at, count }, console);
                init(&fleet, filter, at, console);
            }
            Err(RecvError::Closed) => break,
        }
    }
    Ok(ExitCode::Done)
}

fn write(line: &Line<'_>, console: &mut Console<'_>) {
    let mut text = crate::json::to_line(line).unwrap_or_default();
    text.push('\n');
    console.data(&text);
}

fn init(fleet: &FleetSnapshot, filter: &Filter, now: Timestamp, console: &mut Console<'_>) {
    let fields: Vec<&Field<VmRow>> = FIELDS.iter().collect();
    let rows: Vec<VmRow> = VmRow::all(fleet, now)
        .filter(|row| filter.matches(&row.for_filter()))
        .collect();
    let vms = rows
        .iter()
        .map(|row| Record {
            row,
            fields: &fields,
        })
        .collect();
    write(&Line::Init { at: now, vms }, console);
}

/// Returns true when the VM is one of those asked for. One that is gone can no longer be asked
/// anything: it is told of when its host could hold such a VM.
fn concerns(vm: &VmRef, fleet: &FleetSnapshot, filter: &Filter) -> bool {
    if filter.is_empty() {
        return true;
    }
    match (fleet.vm(vm), fleet.host(vm.host)) {
        (Some((host, found)), _) => {
            let row = VmRow {
                host: std::sync::Arc::clone(host),
                vm: std::sync::Arc::clone(found),
                now: fleet.at,
            };
            filter.matches(&row.for_filter())
        }
        (None, Some(host)) => filter.may_match_on(host),
        (None, None) => false,
    }
}

fn tell(event: &FleetEvent, fleet: &FleetSnapshot, filter: &Filter, console: &mut Console<'_>) {
    let at = event.at;
    let line = match &event.fact {
        Fact::HostCameOnline { name, .. } => Line::HostUp {
            at,
            host: name.as_str(),
        },
        Fact::HostWentOffline { name, cause, .. } => Line::HostDown {
            at,
            host: name.as_str(),
            error: ErrorBody::of(cause),
        },
        Fact::VmChangedState {
            vm,
            name,
            host_name,
            from,
            to,
        } if changed(vm, from, fleet, filter) => Line::VmState {
            at,
            host: host_name.as_str(),
            name,
            id: vm.vm.as_str(),
            from: from.word(),
            to: to.word(),
        },
        Fact::VmAppeared {
            vm,
            name,
            host_name,
            state,
        } if concerns(vm, fleet, filter) => Line::VmAppeared {
            at,
            host: host_name.as_str(),
            name,
            id: vm.vm.as_str(),
            state: state.word(),
        },
        Fact::VmVanished {
            vm,
            name,
            host_name,
        } if concerns(vm, fleet, filter) => Line::VmVanished {
            at,
            host: host_name.as_str(),
            name,
            id: vm.vm.as_str(),
        },
        Fact::OperationMoved(operation) if concerns(&operation.plan.vm, fleet, filter) => {
            moved(at, operation)
        }
        Fact::ErrorOccurred { host, cause } => Line::Error {
            at,
            host: host.as_ref().map(crate::domain::host::HostName::as_str),
            error: ErrorBody::of(cause),
        },
        Fact::VmChangedState { .. }
        | Fact::VmAppeared { .. }
        | Fact::VmVanished { .. }
        | Fact::OperationMoved(_) => return,
    };
    write(&line, console);
}

/// A change concerns those who asked for the state before as well: `state:running` is told of a stop.
fn changed(vm: &VmRef, from: &PowerState, fleet: &FleetSnapshot, filter: &Filter) -> bool {
    if concerns(vm, fleet, filter) {
        return true;
    }
    let Some((host, found)) = fleet.vm(vm) else {
        return false;
    };
    let mut before = (**found).clone();
    before.state = from.clone();
    let row = VmRow {
        host: std::sync::Arc::clone(host),
        vm: std::sync::Arc::new(before),
        now: fleet.at,
    };
    filter.matches(&row.for_filter())
}

fn moved(at: Timestamp, operation: &Operation) -> Line<'_> {
    Line::Operation {
        at,
        operation: operation.id.to_string(),
        host: operation.plan.host_name.as_str(),
        name: &operation.plan.vm_name,
        id: operation.plan.vm.vm.as_str(),
        action: operation.plan.action.kind.id(),
        phase: operation.phase,
        progress: operation.progress.as_ref(),
        outcome: operation.outcome.as_ref().map(Outcome::word),
        reason: operation.outcome.as_ref().and_then(Outcome::reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_by_their_event() {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let line = crate::json::to_line(&Line::HostUp { at, host: "kvm1" }).unwrap();
        assert_eq!(
            line,
            r#"{"event":"host_up","at":"2026-01-01T00:00:00Z","host":"kvm1"}"#
        );
    }
}
