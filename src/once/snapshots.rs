//! `--once snapshot list`, and which snapshots the other commands of `snapshot` mean.

use std::sync::Arc;

use super::cell::Cell;
use super::console::Console;
use super::field::{self, Field};
use super::row::VmRow;
use super::{Ended, Script, SnapshotListing, Verb, define, edit, output, targets};
use crate::clock::Clock;
use crate::domain::action::{Action, ActionKind};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::snapshot::{
    self, Chosen, DeleteScope, NotFound, SnapshotRequest, VmSnapshot, depths,
};
use crate::domain::text::RemoteText;
use crate::domain::units::Age;
use crate::domain::vm::PowerState;
use crate::fleet::FleetHandle;
use crate::report::Complaint;

/// One snapshot with the VM it is of.
pub(super) struct SnapshotRow {
    vm: VmRow,
    snapshot: VmSnapshot,
    depth: usize,
}

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    listing: &SnapshotListing,
    clock: &Clock,
    console: &mut Console<'_>,
) -> Ended {
    let columns = field::chosen(&FIELDS, &listing.columns)?;
    let chosen = targets::resolve(handle, script, &listing.targets, || clock.now()).await?;
    let mut rows = Vec::new();
    let mut unread = 0_usize;
    for vm in chosen.vms {
        match tree(handle, &vm).await {
            Ok(tree) => rows.extend(of_vm(&vm, &tree)),
            Err(failure) => {
                unread += 1;
                let name = format!("{}/{}", vm.host.spec.name, vm.vm.name);
                console.complain(&Complaint::from(failure).on(&name));
            }
        }
    }
    if !chosen.named {
        chosen.reached.report(console);
    }
    if let Some(by) = &listing.sort {
        field::sort(&mut rows, &FIELDS, by)?;
    }
    console.data(&output::rows(script.format, &FIELDS, &columns, &rows));
    let silent = !chosen.named && !chosen.reached.failed.is_empty();
    Ok(match (unread, silent, rows.is_empty()) {
        (0, false, _) => ExitCode::Done,
        (_, false, true) => ExitCode::Failed,
        _ => ExitCode::Partial,
    })
}

/// Returns a VM's snapshots: those of the read that just was, else they are asked for.
async fn tree(handle: &FleetHandle, row: &VmRow) -> Result<Arc<[VmSnapshot]>, Failure> {
    match &row.vm.facts.snapshot_tree {
        Some(tree) => Ok(Arc::clone(tree)),
        None => handle.snapshots(row.reference()).await,
    }
}

fn of_vm<'a>(vm: &'a VmRow, tree: &'a [VmSnapshot]) -> impl Iterator<Item = SnapshotRow> + 'a {
    tree.iter()
        .zip(depths(tree))
        .map(|(snapshot, depth)| SnapshotRow {
            vm: VmRow {
                host: Arc::clone(&vm.host),
                vm: Arc::clone(&vm.vm),
                now: vm.now,
            },
            snapshot: snapshot.clone(),
            depth,
        })
}

/// Returns what a verb means for one VM: one action, or as many as there are snapshots to delete. The
/// second of a pair is why there is none.
pub(super) async fn actions(
    handle: &FleetHandle,
    row: &VmRow,
    verb: &Verb,
) -> Vec<(ActionKind, Result<Action, Failure>)> {
    match verb {
        Verb::Plain(kind) => vec![(*kind, Ok(Action::new(*kind)))],
        Verb::Set(changes) => {
            let action = edit::action(handle, row, changes).await;
            vec![(ActionKind::Edit, action)]
        }
        Verb::Define(file) => {
            let action = define::action(handle, row, file.as_ref()).await;
            vec![(ActionKind::Edit, action)]
        }
        Verb::Create(new) => {
            // So that a name that is taken is told before anything is sent; what cannot be read is left to
            // the host.
            drop(handle.snapshots_now(row.reference()).await);
            let action = Action::from(SnapshotRequest::Create(new.clone()));
            vec![(action.kind, Ok(action))]
        }
        Verb::Revert(name) => {
            let read = handle.snapshots_now(row.reference()).await;
            let found = read.and_then(|tree| named(row, &tree, name));
            let action = found.map(|found| SnapshotRequest::Revert(found).into());
            vec![(ActionKind::SnapshotRevert, action)]
        }
        Verb::Delete(names, scope) => {
            let read = handle.snapshots_now(row.reference()).await;
            let delete = |name: &String| {
                let tree = read.as_ref().map_err(Clone::clone)?;
                let found = named(row, tree, name)?;
                Ok(SnapshotRequest::Delete(found, *scope).into())
            };
            names
                .iter()
                .map(|name| (ActionKind::SnapshotDelete, delete(name)))
                .collect()
        }
        Verb::Expire(age) => match handle.snapshots_now(row.reference()).await {
            Err(failure) => vec![(ActionKind::SnapshotDelete, Err(failure))],
            Ok(tree) => tree
                .iter()
                .filter(|one| one.age(row.now).is_some_and(|of_one| of_one > *age))
                .map(|one| {
                    let request = SnapshotRequest::Delete(Chosen::from(one), DeleteScope::This);
                    (ActionKind::SnapshotDelete, Ok(request.into()))
                })
                .collect(),
        },
    }
}

fn named(row: &VmRow, tree: &[VmSnapshot], wanted: &str) -> Result<Chosen, Failure> {
    let vm = format!("{}/{}", row.host.spec.name, row.vm.name);
    let wanted_shown = RemoteText::new(wanted);
    snapshot::find(tree, wanted)
        .map(Chosen::from)
        .map_err(|why| match why {
            NotFound::Missing => Failure::new(
                ErrorKind::NotFound,
                format!("{vm} has no snapshot `{wanted_shown}`"),
            )
            .with_hint(format!(
                "`vmdeck --once snapshot list {vm}` prints those that it has"
            )),
            NotFound::Ambiguous => Failure::new(
                ErrorKind::Ambiguous,
                format!("{vm} has several snapshots of the name `{wanted_shown}`"),
            )
            .with_hint(format!(
                "write the id instead: `vmdeck --once snapshot list {vm} --columns id,name,taken`"
            )),
        })
}

const fn unusual(
    id: &'static str,
    title: &'static str,
    about: &'static str,
    cell: fn(&SnapshotRow) -> Cell,
) -> Field<SnapshotRow> {
    Field {
        usual: false,
        ..Field::new(id, title, about, cell)
    }
}

/// The columns of `snapshot list`.
pub(super) static FIELDS: [Field<SnapshotRow>; 14] = [
    Field::new("host", "HOST", "name of the host", |row| {
        Cell::text(&row.vm.host.spec.name)
    }),
    Field::new("vm", "VM", "name of the VM", |row| {
        Cell::Remote(row.vm.vm.name.clone())
    }),
    unusual("vm_id", "VM ID", "id of the VM", |row| {
        Cell::text(row.vm.vm.id.as_str())
    }),
    Field {
        shown: Some(|row| Some(format!("{:1$}{2}", "", row.depth * 2, row.snapshot.name))),
        ..Field::new(
            "name",
            "SNAPSHOT",
            "name of the snapshot; people see it indented by its depth",
            |row| Cell::Remote(row.snapshot.name.clone()),
        )
    },
    unusual(
        "id",
        "ID",
        "id of the snapshot on its host (libvirt: its name)",
        |row| Cell::Remote(row.snapshot.id.clone()),
    ),
    unusual(
        "parent",
        "PARENT",
        "id of the snapshot it is based on",
        |row| Cell::of(row.snapshot.parent.clone(), Cell::Remote),
    ),
    unusual(
        "depth",
        "DEPTH",
        "how many snapshots it is based on",
        |row| Cell::Count(u64::try_from(row.depth).unwrap_or(u64::MAX)),
    ),
    Field {
        shown: Some(|row| row.snapshot.age(row.vm.now).map(|age| Age(age).to_string())),
        ..Field::new(
            "taken",
            "AGE",
            "when it was taken; people see its age",
            |row| Cell::of(row.snapshot.taken, Cell::Time),
        )
    },
    Field {
        shown: Some(|row| {
            row.snapshot
                .is_current
                .then(|| "now".to_owned())
                .or(Some(String::new()))
        }),
        ..Field::new("current", "NOW", "whether the VM goes on from it", |row| {
            Cell::Flag(row.snapshot.is_current)
        })
    },
    unusual("state", "STATE", "what the VM was doing", |row| {
        Cell::of(
            row.snapshot.state.as_ref().map(PowerState::word),
            Cell::text,
        )
    }),
    Field {
        shown: Some(|row| row.snapshot.contents().map(str::to_owned)),
        ..Field::new(
            "memory",
            "HOLDS",
            "whether the VM's memory is in it",
            |row| Cell::of(row.snapshot.has_memory, Cell::Flag),
        )
    },
    unusual(
        "external",
        "EXTERNAL",
        "whether it is kept in files of its own",
        |row| Cell::of(row.snapshot.is_external, Cell::Flag),
    ),
    Field::new("description", "DESCRIPTION", "what a person wrote", |row| {
        Cell::of(row.snapshot.description.clone(), Cell::Remote)
    }),
    unusual("size_bytes", "SIZE", "room it takes on the host", |row| {
        Cell::of(row.snapshot.size.map(|size| size.0), Cell::Count)
    }),
];
