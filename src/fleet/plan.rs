//! Makes plans: exactly what would be run, and what that means for those who use the VM. Pure.

use crate::domain::action::{Action, Goal, GoalState};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HypervisorKind;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::operation::Plan;
use crate::domain::snapshot::{self, SnapshotRequest};
use crate::domain::vm::{PowerState, Vm, VmRef};
use crate::hypervisor::Drivers;

/// Makes the plan of an action on a VM as it is now.
pub fn make(
    state: &FleetSnapshot,
    drivers: &dyn Drivers,
    vm: &VmRef,
    action: &Action,
) -> Result<Plan, Failure> {
    let (host, found) = state
        .vm(vm)
        .ok_or_else(|| Failure::new(ErrorKind::NotFound, "the VM is not there any more"))?;
    if let Some(request) = &action.snapshot {
        is_possible(found, request)?;
    } else if let Some(state) = state_of(action) {
        is_about(found, state)?;
    } else if action.kind.takes_arguments() {
        return Err(nothing_named(action));
    }
    let commands = drivers
        .commands(kind_of(host)?, &host.spec, &vm.vm, action)
        .map_err(|error| Failure::of(&error))?;
    Ok(Plan {
        vm: vm.clone(),
        vm_name: found.name.clone(),
        host_name: host.spec.name.clone(),
        action: action.clone(),
        commands,
        state: found.state.clone(),
        consequences: consequences(host, found, action),
    })
}

/// Returns true when a plan that was shown says what would be run now.
pub fn is_same(shown: &Plan, now: &Plan) -> bool {
    shown.commands == now.commands && shown.action == now.action && shown.vm == now.vm
}

/// Says what runs on a host.
pub(super) fn kind_of(host: &HostSnapshot) -> Result<HypervisorKind, Failure> {
    host.capabilities
        .as_ref()
        .map(|able| able.kind)
        .or_else(|| host.spec.kind.fixed())
        .ok_or_else(|| {
            Failure::new(
                ErrorKind::Conflict,
                format!("it is not known yet what runs on {}", host.spec.name),
            )
            .with_hint("wait until it is up, or refresh it")
        })
}

fn nothing_named(action: &Action) -> Failure {
    Failure::new(
        ErrorKind::Usage,
        if action.kind.is_about_a_snapshot() {
            format!("`{}` needs a snapshot to be named", action.kind)
        } else {
            format!("`{}` needs to be told what to change", action.kind)
        },
    )
}

/// Returns what the VM did when what is to be changed was read.
fn state_of(action: &Action) -> Option<&PowerState> {
    let edit = action.edit.as_ref().map(|request| &request.state);
    edit.or(action.define.as_ref().map(|request| &request.state))
}

/// Refuses a change of a VM that does something else by now, or has no definition that could be changed.
fn is_about(vm: &Vm, state: &PowerState) -> Result<(), Failure> {
    let name = &vm.name;
    if vm.state != *state {
        return Err(Failure::new(
            ErrorKind::Conflict,
            format!(
                "{name} is {} now; it was {} when its settings were read",
                vm.state, state
            ),
        )
        .with_hint("look at its settings again, then decide"));
    }
    if vm.facts.persistent == Some(false) {
        return Err(Failure::new(
            ErrorKind::Refused,
            format!("{name} has no definition of its own that could be changed"),
        )
        .with_hint("define it on the host first: `virsh dumpxml`, then `virsh define`"));
    }
    Ok(())
}

/// Refuses what the tree that is known shows to be impossible; where it is not known, the host decides.
fn is_possible(vm: &Vm, request: &SnapshotRequest) -> Result<(), Failure> {
    let Some(tree) = vm.facts.snapshot_tree.as_deref() else {
        return Ok(());
    };
    let name = &vm.name;
    match request {
        SnapshotRequest::Create(new) if snapshot::find(tree, new.name.as_str()).is_ok() => {
            Err(Failure::new(
                ErrorKind::Conflict,
                format!("{name} has a snapshot {} already", new.name),
            )
            .with_hint("choose another name"))
        }
        SnapshotRequest::Create(_) => Ok(()),
        SnapshotRequest::Revert(chosen) | SnapshotRequest::Delete(chosen, _) => {
            if chosen.among(tree).is_some() {
                return Ok(());
            }
            Err(Failure::new(
                ErrorKind::NotFound,
                format!("{name} has no snapshot {} any more", chosen.name),
            )
            .with_hint("read the host again to see those that it has"))
        }
    }
}

fn consequences(host: &HostSnapshot, vm: &Vm, action: &Action) -> Vec<String> {
    let spec = action.kind.spec();
    let mut all: Vec<String> = spec.consequence.map(str::to_owned).into_iter().collect();
    if let Some(request) = &action.snapshot {
        let tree = vm.facts.snapshot_tree.as_deref();
        all.extend(snapshot::consequences(request, &vm.state, tree));
    }
    if let Some(request) = &action.edit {
        let able = host.capabilities.as_ref();
        let cpus = able.and_then(|able| able.host_cpus);
        let memory = able.and_then(|able| able.host_memory);
        all.extend(request.consequences(cpus, memory));
    }
    if let Some(request) = &action.define {
        all.extend(request.consequences());
    }
    let ends = spec.goal == Goal::State(GoalState::Stopped);
    if ends && vm.facts.persistent == Some(false) {
        all.push("it has no definition of its own: once stopped, it is gone from the host".into());
    }
    all
}
