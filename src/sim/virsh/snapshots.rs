//! `virsh snapshot-list`: the saved points in time of a domain, one line of descent each.

use jiff::Timestamp;

use super::options::Command;
use super::said::{Said, put_line};
use super::table;
use crate::sim::vm::SimVm;
use crate::sim::world::World;

/// Lists them.
pub(super) fn snapshot_list(world: &World, vm: &SimVm, command: &Command, quiet: bool) -> Said {
    let snapshots = &vm.plan.snapshots;
    if command.has("tree") {
        let mut out = String::new();
        for (depth, (name, _)) in snapshots.iter().enumerate() {
            if depth == 0 {
                put_line!(&mut out, "{name}");
            } else {
                let indent = "  ".repeat(depth * 2 - 1);
                put_line!(&mut out, "{indent}|");
                put_line!(&mut out, "{indent}+- {name}");
            }
        }
        if !snapshots.is_empty() {
            put_line!(&mut out, "{}", "  ".repeat(snapshots.len() * 2 - 2));
        }
        return Said::out(out);
    }
    let last = snapshots.len().saturating_sub(1);
    let wanted = snapshots.iter().enumerate().filter(|(number, _)| {
        (!command.has("roots") || *number == 0)
            && (!command.has("leaves") || *number == last)
            && (!command.has("no-leaves") || *number != last)
    });
    if command.has("name") {
        let mut out = String::new();
        for (_, (name, _)) in wanted {
            put_line!(&mut out, "{name}");
        }
        return Said::out(out);
    }
    let rows: Vec<Vec<String>> = wanted
        .map(|(number, (name, age))| {
            let mut row = vec![
                name.clone(),
                local_time(world.wall_before_start(*age)),
                "shutoff".to_owned(),
            ];
            if command.has("parent") {
                let parent = number
                    .checked_sub(1)
                    .and_then(|number| snapshots.get(number));
                row.push(parent.map(|(name, _)| name.clone()).unwrap_or_default());
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

/// `2026-11-22 05:05:22 +0000`: the simulated hosts live in UTC.
fn local_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S +0000").to_string()
}
