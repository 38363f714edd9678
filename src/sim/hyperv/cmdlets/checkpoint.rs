//! Cmdlets that make, apply and delete checkpoints.

use super::super::checkpoints::situation_of;
use super::super::convert::{Known, known};
use super::super::machine::WinMachine;
use super::super::messages::Situation;
use super::super::state::WinState;
use super::super::world::Request;
use super::act::{passthru, provoked, request_and_wait, state_of, wait};
use super::{Stop, missing, objects};
use crate::sim::powershell::call::Call;
use crate::sim::powershell::machine::Reply;

/// `Checkpoint-VM`.
pub(super) fn create(machine: &mut WinMachine, call: &Call) -> Reply {
    machine.each(call, "Name", &mut |machine, id| {
        if machine.is_denied() {
            return Err(machine.fail(call, Situation::Denied, id).into());
        }
        provoked(machine, call, id)?;
        let name = call.text("SnapshotName").map(str::to_owned);
        let made = machine
            .host()
            .world(|world| world.create_checkpoint(id, name));
        match made {
            Err(number) => Err(machine.fail(call, situation_of(number), id).into()),
            Ok((new, job)) => {
                wait(machine, call, &job)?;
                let thing = machine.host().world(|world| {
                    let vm = world.vm(id)?;
                    vm.checkpoint(&new)
                        .map(|point| objects::checkpoint(world, vm, point))
                });
                let shown = thing.filter(|_| call.switch("Passthru"));
                Ok(machine.objects(shown.into_iter().collect()))
            }
        }
    })
}

/// `Restore-VMSnapshot`: asks for confirmation unless it is told not to.
pub(super) fn restore(machine: &mut WinMachine, call: &Call) -> Reply {
    let chosen = match chosen(machine, call) {
        Ok(chosen) => chosen,
        Err(stop) => return stop.reply(),
    };
    if !call.refused("Confirm") {
        return Reply::error(machine.fail(call, Situation::PromptNeeded, ""));
    }
    each(machine, call, chosen, &mut |machine, (vm, id)| {
        // The cmdlet turns a running VM off first; WMI's method would refuse.
        if !matches!(state_of(machine, vm), Some(WinState::Off | WinState::Saved)) {
            request_and_wait(machine, call, vm, (Request::Disabled, &[WinState::Off]))?;
        }
        let job = machine.host().world(|world| world.apply_checkpoint(vm, id));
        match job {
            Ok(job) => wait(machine, call, &job),
            Err(number) => Err(machine.fail(call, situation_of(number), vm).into()),
        }
    })
}

/// `Remove-VMSnapshot`.
pub(super) fn remove(machine: &mut WinMachine, call: &Call) -> Reply {
    let chosen = match chosen(machine, call) {
        Ok(chosen) => chosen,
        Err(stop) => return stop.reply(),
    };
    let with_children = call.switch("IncludeAllChildSnapshots");
    each(machine, call, chosen, &mut |machine, (vm, id)| {
        let job = machine
            .host()
            .world(|world| world.delete_checkpoint(vm, id, with_children));
        match job {
            Ok(job) => wait(machine, call, &job),
            Err(number) => Err(machine.fail(call, situation_of(number), vm).into()),
        }
    })
}

type Chosen = (String, String);

/// Finds the checkpoints that a call names.
fn chosen(machine: &WinMachine, call: &Call) -> Result<Vec<Chosen>, Stop> {
    if let Some(situation) = machine.barred(call) {
        return Err(machine.fail(call, situation, "").into());
    }
    let by_name = call.has("VM") || call.has("VMName");
    if !by_name {
        let given = call.given_or_input("VMSnapshot");
        if given.is_empty() {
            return Err(missing(call, "VMSnapshot").into());
        }
        return given
            .iter()
            .map(|value| match known(value) {
                Some(Known::Checkpoint { vm, id }) => Ok((vm, id)),
                _ => Err(machine.fail(call, Situation::ObjectNotFound, "").into()),
            })
            .collect();
    }
    let names = call.texts("Name");
    let mut found = Vec::new();
    for vm in machine.chosen(call, "VMName")? {
        let of_vm: Vec<Chosen> = machine.host().world(|world| {
            world
                .vm(&vm)
                .map(|found| {
                    found
                        .plan
                        .checkpoints
                        .iter()
                        .filter(|point| {
                            names.is_empty()
                                || names
                                    .iter()
                                    .any(|name| name.to_lowercase() == point.name.to_lowercase())
                        })
                        .map(|point| (vm.clone(), point.id.clone()))
                        .collect()
                })
                .unwrap_or_default()
        });
        if of_vm.is_empty() && !names.is_empty() {
            return Err(machine.fail(call, Situation::ObjectNotFound, &vm).into());
        }
        found.extend(of_vm);
    }
    Ok(found)
}

type PerCheckpoint<'a> = &'a mut dyn FnMut(&mut WinMachine, (&str, &str)) -> Result<(), Stop>;

fn each(
    machine: &mut WinMachine,
    call: &Call,
    chosen: Vec<Chosen>,
    act: PerCheckpoint<'_>,
) -> Reply {
    let mut reply = Reply::nothing();
    for (vm, id) in chosen {
        let result = if machine.is_denied() {
            Err(machine.fail(call, Situation::Denied, &vm).into())
        } else {
            provoked(machine, call, &vm).and_then(|()| act(machine, (&vm, &id)))
        };
        match result {
            Ok(()) => reply.output.extend(passthru(machine, call, &vm)),
            Err(Stop::Killed) => break,
            Err(stop) => stop.add_to(&mut reply),
        }
    }
    reply
}
