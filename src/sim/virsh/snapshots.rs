//! Commands of `virsh` about snapshots: the tree and its parts, and what changes it.

use jiff::Timestamp;

use super::act::pause;
use super::definition::{dumpxml, escaped};
use super::options::Command;
use super::said::{Said, put_line};
use super::table;
use crate::sim::host::SimHost;
use crate::sim::snapshot::{SimSnapshot, Wanted};
use crate::sim::vm::SimVm;
use crate::sim::world::World;

/// `snapshot-list`: by name, as the real one does.
pub(super) fn snapshot_list(world: &World, vm: &SimVm, command: &Command, quiet: bool) -> Said {
    if command.has("tree") {
        let mut out = String::new();
        let roots = vm.snapshots.all.iter().filter(|one| one.parent.is_none());
        for root in roots {
            branch(&mut out, vm, root, 0);
        }
        return Said::out(out);
    }
    let mut wanted: Vec<&SimSnapshot> = vm.snapshots.all.iter().collect();
    wanted.sort_by(|one, other| one.name.cmp(&other.name));
    wanted.retain(|one| {
        let is_leaf = children(vm, one).next().is_none();
        (!command.has("roots") || one.parent.is_none())
            && (!command.has("leaves") || is_leaf)
            && (!command.has("no-leaves") || !is_leaf)
    });
    if command.has("name") {
        let mut out = String::new();
        for one in wanted {
            put_line!(&mut out, "{}", one.name);
        }
        return Said::out(out);
    }
    let rows: Vec<Vec<String>> = wanted
        .into_iter()
        .map(|one| {
            let mut row = vec![
                one.name.clone(),
                local_time(world.wall_since_start(one.at)),
                one.state.to_owned(),
            ];
            if command.has("parent") {
                row.push(one.parent.clone().unwrap_or_default());
            }
            row
        })
        .collect();
    let head: &[&str] = if command.has("parent") {
        &["Name", "Creation Time", "State", "Parent"]
    } else {
        &["Name", "Creation Time", "State"]
    };
    Said::out(table::render(head, &rows, quiet))
}

fn children<'a>(vm: &'a SimVm, of: &'a SimSnapshot) -> impl Iterator<Item = &'a SimSnapshot> {
    let is_child = |one: &&SimSnapshot| one.parent.as_deref() == Some(&*of.name);
    vm.snapshots.all.iter().filter(is_child)
}

fn branch(out: &mut String, vm: &SimVm, one: &SimSnapshot, depth: usize) {
    if depth == 0 {
        put_line!(out, "{}", one.name);
    } else {
        let indent = "  ".repeat(depth * 2 - 1);
        put_line!(out, "{indent}|");
        put_line!(out, "{indent}+- {}", one.name);
    }
    let mut below = children(vm, one).peekable();
    if below.peek().is_none() {
        put_line!(out, "{}", "  ".repeat(depth * 2));
    }
    for child in below {
        branch(out, vm, child, depth + 1);
    }
}

/// `snapshot-current`: its definition, or with `--name` its name without a line end.
pub(super) fn snapshot_current(world: &World, vm: &SimVm, command: &Command) -> Said {
    let current = vm.snapshots.current.as_deref();
    let Some(found) = current.and_then(|name| vm.snapshots.find(name)) else {
        let domain = command.domain();
        return Said::error(format!("domain '{domain}' has no current snapshot"));
    };
    if command.has("name") {
        return Said::out(found.name.clone());
    }
    Said::out(definition(world, vm, found, command))
}

/// `snapshot-dumpxml`.
pub(super) fn snapshot_dumpxml(world: &World, vm: &SimVm, command: &Command) -> Said {
    let name = command.value("snapshotname").unwrap_or_default();
    match vm.snapshots.find(name) {
        Some(found) => Said::out(definition(world, vm, found, command)),
        None => Said::error(format!(
            "Domain snapshot not found: no domain snapshot with matching name '{name}'"
        )),
    }
}

fn definition(world: &World, vm: &SimVm, one: &SimSnapshot, command: &Command) -> String {
    let mut out = String::from("<domainsnapshot>\n");
    put_line!(&mut out, "  <name>{}</name>", escaped(&one.name));
    if let Some(text) = &one.description {
        put_line!(&mut out, "  <description>{}</description>", escaped(text));
    }
    put_line!(&mut out, "  <state>{}</state>", one.state);
    if let Some(parent) = &one.parent {
        put_line!(&mut out, "  <parent>");
        put_line!(&mut out, "    <name>{}</name>", escaped(parent));
        put_line!(&mut out, "  </parent>");
    }
    let taken = world.wall_since_start(one.at).as_second();
    put_line!(&mut out, "  <creationTime>{taken}</creationTime>");
    let (memory, disk) = match one.state {
        "disk-snapshot" => ("no", "external"),
        "shutoff" => ("no", "internal"),
        _ => ("internal", "internal"),
    };
    put_line!(&mut out, "  <memory snapshot='{memory}'/>");
    put_line!(&mut out, "  <disks>");
    put_line!(&mut out, "    <disk name='vda' snapshot='{disk}'/>");
    put_line!(&mut out, "  </disks>");
    for line in dumpxml(vm, command).out.lines() {
        put_line!(&mut out, "  {line}");
    }
    out.push_str("</domainsnapshot>\n");
    out
}

/// Runs a command that changes the snapshots of the domain `index`; `None` when it is no such command.
pub(super) async fn act(
    host: &SimHost,
    index: usize,
    command: &Command,
    quiet: bool,
) -> Option<Said> {
    let name = command.value("snapshotname").unwrap_or_default();
    let (done, what) = match command.spec.name {
        "snapshot-create-as" => {
            let wanted = wanted(host, command);
            let told = format!("Domain snapshot {} created", wanted.name);
            // Memory is written at some hundred MiB a second.
            pause(host, command, 0.2, 0.8).await;
            let made = host.world(|world| world.take_snapshot(index, wanted));
            (made, (told, None))
        }
        "snapshot-revert" => {
            pause(host, command, 0.2, 0.6).await;
            let done = host.world(|world| world.revert(index, name));
            let failed = format!("Failed to revert snapshot {name}");
            (done, (String::new(), Some(failed)))
        }
        "snapshot-delete" => {
            let with_children = command.has("children");
            pause(host, command, 0.1, 0.4).await;
            let cannot = host.faults().undeletable;
            let done =
                host.world(|world| world.delete_snapshot(index, name, with_children, &cannot));
            let failed = format!("Failed to delete snapshot {name}");
            (
                done,
                (format!("Domain snapshot {name} deleted"), Some(failed)),
            )
        }
        _ => return None,
    };
    let (told, failed) = what;
    Some(match (done, failed) {
        (Ok(()), _) if quiet => Said::nothing(),
        (Ok(()), _) => Said::line(told),
        // One that is not there is told before anything is tried.
        (Err(why), Some(failed)) if !why.starts_with("Domain snapshot not found") => {
            Said::errors(failed, why)
        }
        (Err(why), _) => Said::error(why),
    })
}

/// Without a name, libvirt takes the seconds since 1970.
fn wanted(host: &SimHost, command: &Command) -> Wanted {
    let named = command.value("name").map(str::to_owned);
    Wanted {
        name: named.unwrap_or_else(|| host.world(|world| world.wall().as_second().to_string())),
        description: command.value("description").map(str::to_owned),
        disk_only: command.has("disk-only"),
        quiesce: command.has("quiesce"),
    }
}

/// `2026-11-22 05:05:22 +0000`: the simulated hosts live in UTC.
fn local_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S +0000").to_string()
}
