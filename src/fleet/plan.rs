//! Makes plans: exactly what would be run, and what that means for those who use the VM. Pure.

use crate::domain::action::{Action, Goal, GoalState};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HypervisorKind;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::operation::Plan;
use crate::domain::vm::{Vm, VmRef};
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
        consequences: consequences(found, action),
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

fn consequences(vm: &Vm, action: &Action) -> Vec<String> {
    let spec = action.kind.spec();
    let mut all: Vec<String> = spec.consequence.map(str::to_owned).into_iter().collect();
    let ends = spec.goal == Goal::State(GoalState::Stopped);
    if ends && vm.facts.persistent == Some(false) {
        all.push("it has no definition of its own: once stopped, it is gone from the host".into());
    }
    all
}
