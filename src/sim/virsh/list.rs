//! `virsh list`: which domains, and in which of its shapes.

use std::cmp::Ordering;

use super::options::Command;
use super::said::{Said, put_line};
use super::table;
use crate::sim::vm::{Power, SimVm};
use crate::sim::world::World;

/// Lists domains.
pub(super) fn list(world: &World, command: &Command, quiet: bool, utf8: bool) -> Said {
    for shape in ["uuid", "name", "id"] {
        if command.has("table") && command.has(shape) {
            return Said::error(format!(
                "Options --table and --{shape} are mutually exclusive"
            ));
        }
    }
    let mut vms: Vec<&SimVm> = world.vms().filter(|vm| is_wanted(vm, command)).collect();
    vms.sort_by(|a, b| by_id_then_name(a, b));
    if command.has("uuid") || command.has("name") || command.has("id") {
        return Said::out(columns(&vms, command));
    }
    let title = command.has("title");
    let rows: Vec<Vec<String>> = vms
        .iter()
        .map(|vm| {
            let id = vm.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
            let state = if command.has("managed-save") && vm.saved.is_some() {
                "saved"
            } else {
                vm.power.word()
            };
            let mut row = vec![id, table::shown(&vm.plan.name, utf8), state.to_owned()];
            if title {
                row.push(table::shown(
                    vm.plan.title.as_deref().unwrap_or_default(),
                    utf8,
                ));
            }
            row
        })
        .collect();
    let head: &[&str] = if title {
        &["Id", "Name", "State", "Title"]
    } else {
        &["Id", "Name", "State"]
    };
    Said::out(table::render(head, &rows, quiet))
}

/// One line each: UUID, id and name, as far as they are asked for.
fn columns(vms: &[&SimVm], command: &Command) -> String {
    let mut out = String::new();
    let alone = command.has("id") && !command.has("uuid") && !command.has("name");
    for vm in vms {
        let mut parts = Vec::new();
        if command.has("uuid") {
            parts.push(vm.plan.uuid.clone());
        }
        if command.has("id") {
            match vm.id {
                Some(id) => parts.push(id.to_string()),
                None if alone => continue,
                None => parts.push("-".to_owned()),
            }
        }
        if command.has("name") {
            parts.push(vm.plan.name.clone());
        }
        put_line!(&mut out, "{}", parts.join(" "));
    }
    out
}

fn is_wanted(vm: &SimVm, command: &Command) -> bool {
    let active = vm.is_active();
    let alive = command.has("all") || active != command.has("inactive");
    // Two flags that exclude each other together mean neither.
    let pair = |yes: &str, no: &str, fact: bool| match (command.has(yes), command.has(no)) {
        (true, false) => fact,
        (false, true) => !fact,
        _ => true,
    };
    let states = [
        ("state-running", vm.power == Power::Running),
        ("state-paused", vm.power == Power::Paused),
        ("state-shutoff", vm.power == Power::Shutoff),
        ("state-other", vm.power == Power::Crashed),
    ];
    let by_state = !states.iter().any(|(flag, _)| command.has(flag))
        || states.iter().any(|(flag, is)| *is && command.has(flag));
    alive
        && by_state
        && pair("autostart", "no-autostart", vm.autostart)
        && pair("persistent", "transient", true)
        && pair(
            "with-snapshot",
            "without-snapshot",
            !vm.snapshots.all.is_empty(),
        )
        && pair("with-checkpoint", "without-checkpoint", false)
        && pair(
            "with-managed-save",
            "without-managed-save",
            vm.saved.is_some(),
        )
}

fn by_id_then_name(a: &SimVm, b: &SimVm) -> Ordering {
    match (a.id, b.id) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.plan.name.to_lowercase().cmp(&b.plan.name.to_lowercase()),
    }
}
