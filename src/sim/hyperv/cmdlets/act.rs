//! Cmdlets that change what a VM does. They wait until it is done, as the real ones do: killing their
//! process in between leaves the job to itself.

use std::time::Duration;

use super::super::checkpoints::situation_of;
use super::super::machine::WinMachine;
use super::super::messages::Situation;
use super::super::plan::Service;
use super::super::state::WinState;
use super::super::world::{Request, code};
use super::Stop;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::machine::Reply;
use crate::sim::powershell::value::Value;

/// How often a waiting cmdlet looks.
const LOOK: Duration = Duration::from_millis(20);

/// `Start-VM`, `Suspend-VM`, `Resume-VM`, `Save-VM`.
pub(super) fn plain(machine: &mut WinMachine, call: &Call) -> Reply {
    let (request, there): (_, &[WinState]) = match call.spec.name {
        "Start-VM" | "Resume-VM" => (Request::Enabled, &[WinState::Running]),
        "Suspend-VM" => (Request::Quiesce, &[WinState::Paused]),
        _ => (Request::Offline, &[WinState::Saved]),
    };
    machine.each(call, "Name", &mut |machine, id| {
        let state = state_of(machine, id);
        // Resume-VM is for paused VMs only.
        if call.spec.name == "Resume-VM"
            && !matches!(state, Some(WinState::Paused | WinState::Running))
        {
            return Err(machine.fail(call, Situation::WrongState, id).into());
        }
        request_and_wait(machine, call, id, (request, there))?;
        Ok(passthru(machine, call, id))
    })
}

/// `Stop-VM`.
pub(super) fn stop(machine: &mut WinMachine, call: &Call) -> Reply {
    machine.each(call, "Name", &mut |machine, id| {
        if call.switch("TurnOff") {
            request_and_wait(machine, call, id, (Request::Disabled, &[WinState::Off]))?;
        } else if call.switch("Save") {
            request_and_wait(machine, call, id, (Request::Offline, &[WinState::Saved]))?;
        } else {
            shut_down(machine, call, id)?;
        }
        Ok(passthru(machine, call, id))
    })
}

/// `Restart-VM`: a hard restart, which has to be confirmed or forced.
pub(super) fn restart(machine: &mut WinMachine, call: &Call) -> Reply {
    machine.each(call, "Name", &mut |machine, id| {
        if !call.switch("Force") {
            return Err(machine.fail(call, Situation::PromptNeeded, id).into());
        }
        let reboots = call
            .text("Type")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("Reboot"));
        let request = if reboots {
            Request::Reboot
        } else {
            Request::Reset
        };
        request_and_wait(machine, call, id, (request, &[]))?;
        Ok(passthru(machine, call, id))
    })
}

/// Asks the guest to stop and waits until it has.
fn shut_down(machine: &mut WinMachine, call: &Call, id: &str) -> Result<(), Stop> {
    let force = call.switch("Force");
    let (state, service, locked, pace, t) = machine.host().world(|world| {
        let vm = world.vm(id);
        (
            vm.map(super::super::vm::WinVm::state),
            vm.is_some_and(|vm| vm.has_service(Service::Shutdown, world.t())),
            vm.is_some_and(|vm| vm.plan.locked),
            world.pace(),
            world.t(),
        )
    });
    match state {
        Some(WinState::Running) => {}
        Some(WinState::Off | WinState::Saved) => return Err(already(machine)),
        // A paused guest cannot be asked.
        _ if !force => return Err(machine.fail(call, Situation::WrongState, id).into()),
        _ => {}
    }
    provoked(machine, call, id)?;
    if !service || locked {
        if !force {
            return Err(machine.fail(call, Situation::PromptNeeded, id).into());
        }
        return request_and_wait(machine, call, id, (Request::Disabled, &[WinState::Off]));
    }
    let asked = machine
        .host()
        .world(|world| world.ask_guest(id, false, force));
    if let Err(number) = asked
        && number != code::IN_PROGRESS
    {
        return Err(machine.fail(call, situation_of(number), id).into());
    }
    let patience = if force {
        pace.force_after
    } else {
        pace.give_up_after
    };
    let end = t + patience.as_secs_f64();
    loop {
        match state_of(machine, id) {
            None => return Err(machine.fail(call, Situation::ObjectNotFound, id).into()),
            Some(WinState::Off) => return Ok(()),
            Some(_) => {}
        }
        if machine.host().world(|world| world.t() >= end) {
            break;
        }
        if !machine.wait(&call.life, LOOK) {
            return Err(Stop::Killed);
        }
    }
    if force {
        request_and_wait(machine, call, id, (Request::Disabled, &[WinState::Off]))
    } else {
        Err(machine.fail(call, Situation::FailedToStop, id).into())
    }
}

/// Asks for a state and waits for the job.
pub(super) fn request_and_wait(
    machine: &mut WinMachine,
    call: &Call,
    id: &str,
    (request, there): (Request, &[WinState]),
) -> Result<(), Stop> {
    if machine.is_denied() {
        return Err(machine.fail(call, Situation::Denied, id).into());
    }
    if let Some(state) = state_of(machine, id)
        && there.contains(&state)
    {
        return Err(already(machine));
    }
    provoked(machine, call, id)?;
    let job = machine.host().world(|world| world.request(id, request));
    match job {
        Ok(job) => wait(machine, call, &job),
        Err(number) => Err(machine.fail(call, situation_of(number), id).into()),
    }
}

/// Waits for a job and tells how it ended.
pub(super) fn wait(machine: &mut WinMachine, call: &Call, job: &str) -> Result<(), Stop> {
    loop {
        let (over, failure, vm) = machine.host().world(|world| {
            let t = world.t();
            match world.job(job) {
                None => (world.service_runs(), None, None),
                Some(job) => (
                    job.is_over(t),
                    job.failure(t).cloned(),
                    Some(job.vm.clone()),
                ),
            }
        });
        if vm.is_none() && !over {
            // The service has forgotten the job: it was restarted in between.
            return Err(machine.fail(call, Situation::ObjectNotFound, "").into());
        }
        if let Some(mut failure) = failure {
            // The job knows what went wrong, not which cmdlet tells it.
            let class = call.spec.name.replace('-', "");
            if let Some((id, _)) = failure.fqid.split_once(',') {
                failure.fqid = format!("{id},Microsoft.HyperV.PowerShell.Commands.{class}");
            }
            call.spec.name.clone_into(&mut failure.command);
            return Err(failure.into());
        }
        if over {
            return Ok(());
        }
        if !machine.wait(&call.life, LOOK) {
            return Err(Stop::Killed);
        }
    }
}

/// Fails with the error that is to be provoked on this cmdlet.
pub(super) fn provoked(machine: &WinMachine, call: &Call, id: &str) -> Result<(), Stop> {
    let name = call.spec.name;
    let provoked = machine.host().world(|world| world.faults.provoked(name));
    match provoked {
        Some(provoked) => Err(machine.fail(call, provoked.error, id).into()),
        None => Ok(()),
    }
}

pub(super) fn state_of(machine: &WinMachine, id: &str) -> Option<WinState> {
    machine
        .host()
        .world(|world| world.vm(id).map(super::super::vm::WinVm::state))
}

pub(super) fn passthru(machine: &WinMachine, call: &Call, id: &str) -> Vec<Value> {
    if call.switch("Passthru") {
        machine.vm_value(id).into_iter().collect()
    } else {
        Vec::new()
    }
}

/// The warning about a VM that is where it should be.
fn already(machine: &WinMachine) -> Stop {
    Stop::Warning(
        machine
            .language()
            .of(
                "The virtual machine is already in the specified state.",
                "Der virtuelle Computer befindet sich bereits im angegebenen Zustand.",
            )
            .to_owned(),
    )
}
