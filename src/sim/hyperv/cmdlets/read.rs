//! Cmdlets that read: VMs, checkpoints, disks, network cards, services, the host.

use super::super::cim;
use super::super::convert::{self, Known, guid_of};
use super::super::machine::WinMachine;
use super::super::messages::{OPERATION_FAILED, Situation};
use super::super::plan::CheckpointKind;
use super::super::profile::Windows;
use super::{Stop, files, is_pattern, missing, objects, wildcard};
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::machine::Reply;
use crate::sim::powershell::value::Value;

/// `Get-VM`.
pub(super) fn vms(machine: &mut WinMachine, call: &Call) -> Reply {
    if let Some(situation) = machine.barred(call) {
        return Reply::error(machine.fail(call, situation, ""));
    }
    let id = call
        .get("Id")
        .or_else(|| {
            let [one] = call.input.as_deref()? else {
                return None;
            };
            matches!(one, Value::Guid(_)).then_some(one)
        })
        .and_then(guid_of);
    if let Some(id) = id {
        return match machine.vm_value(&id) {
            Some(vm) => Reply::value(vm),
            None => Reply::error(no_such_id(machine, call, &id)),
        };
    }
    let names = call.texts("Name");
    if call.has("Name") && names.iter().any(String::is_empty) {
        return Reply::error(machine.fail(call, Situation::BadParameter, ""));
    }
    if names.is_empty() {
        let all = machine.host().world(|world| {
            let all = world.vms.iter();
            all.map(|vm| objects::machine(world, vm))
                .collect::<Vec<_>>()
        });
        return Reply::values(machine.objects(all));
    }
    let mut reply = Reply::nothing();
    for name in names {
        let ids = machine.by_name(&name);
        if ids.is_empty() && !is_pattern(&name) {
            let record = machine.fail(call, Situation::NoSuchName, &name);
            reply = reply.and_error(record.with_target(name));
        }
        reply
            .output
            .extend(ids.iter().filter_map(|id| machine.vm_value(id)));
    }
    reply
}

/// The error about a GUID that no VM has; older systems report it in another way.
fn no_such_id(machine: &WinMachine, call: &Call, id: &str) -> ErrorRecord {
    let mut record = machine.fail(call, Situation::NoSuchId, &id.to_lowercase());
    let old = machine
        .host()
        .world(|world| world.plan.windows == Windows::Server2016);
    if old {
        record.category = Category::NotSpecified;
        record.fqid = format!("Unspecified,{}", call.spec.class);
        if let Some(outer) = record.exceptions.first_mut() {
            OPERATION_FAILED.clone_into(&mut outer.type_name);
        }
    }
    record
}

/// `Get-VMSnapshot`.
pub(super) fn snapshots(machine: &mut WinMachine, call: &Call) -> Reply {
    if let Some(id) = call.get("Id").and_then(guid_of) {
        let found = machine.host().world(|world| {
            world.vms.iter().find_map(|vm| {
                vm.checkpoint(&id)
                    .map(|point| objects::checkpoint(world, vm, point))
            })
        });
        return match found {
            Some(thing) => Reply::values(machine.objects(vec![thing])),
            None => Reply::error(machine.fail(call, Situation::ObjectNotFound, &id)),
        };
    }
    let relation = ["ParentOf", "ChildOf"]
        .into_iter()
        .find_map(|name| call.get(name).map(|value| (name, convert::known(value))));
    if let Some((name, known)) = relation {
        return relatives(machine, name == "ParentOf", known.as_ref());
    }
    let name: Option<Vec<char>> = call
        .text("Name")
        .map(|n| n.to_lowercase().chars().collect());
    let kind = call.text("SnapshotType").map(str::to_ascii_lowercase);
    machine.each(call, "VMName", &mut |machine, id| {
        let found = machine.host().world(|world| {
            let Some(vm) = world.vm(id) else {
                return Vec::new();
            };
            vm.plan
                .checkpoints
                .iter()
                .filter(|point| {
                    let of_kind = kind.as_deref().is_none_or(|kind| {
                        matches!(
                            (kind, point.kind),
                            ("standard", CheckpointKind::Standard)
                                | ("recovery", CheckpointKind::Recovery)
                                | ("replica", CheckpointKind::Replica)
                        )
                    });
                    let own: Vec<char> = point.name.to_lowercase().chars().collect();
                    of_kind && name.as_ref().is_none_or(|name| wildcard(&own, name))
                })
                .map(|point| objects::checkpoint(world, vm, point))
                .collect()
        });
        Ok(machine.objects(found))
    })
}

/// The parent or the children of a checkpoint or of a VM as it is.
fn relatives(machine: &WinMachine, parent: bool, of: Option<&Known>) -> Reply {
    let found = machine.host().world(|world| {
        let (vm, point) = match of {
            Some(Known::Vm(vm)) => (vm, None),
            Some(Known::Checkpoint { vm, id }) => (vm, Some(id.as_str())),
            _ => return Vec::new(),
        };
        let Some(vm) = world.vm(vm) else {
            return Vec::new();
        };
        let above = match point {
            None => vm.plan.current.clone(),
            Some(id) => vm.checkpoint(id).and_then(|point| point.parent.clone()),
        };
        vm.plan
            .checkpoints
            .iter()
            .filter(|one| {
                if parent {
                    above.as_deref() == Some(&*one.id)
                } else {
                    one.parent.as_deref() == point && point.is_some()
                }
            })
            .map(|one| objects::checkpoint(world, vm, one))
            .collect()
    });
    Reply::values(machine.objects(found))
}

/// `Get-VMHardDiskDrive`.
pub(super) fn hard_disks(machine: &mut WinMachine, call: &Call) -> Reply {
    if let Some(Known::Checkpoint { vm, id }) = call.get("VMSnapshot").and_then(convert::known) {
        let disks = machine.host().world(|world| {
            world
                .vm(&vm)
                .map(|vm| objects::hard_disks(vm, vm.checkpoint(&id)))
                .unwrap_or_default()
        });
        return Reply::values(machine.objects(disks));
    }
    let kind = call.text("ControllerType").map(str::to_ascii_uppercase);
    let number = call.integer("ControllerNumber");
    let location = call.integer("ControllerLocation");
    machine.each(call, "VMName", &mut |machine, id| {
        let mut disks = machine.host().world(|world| {
            world
                .vm(id)
                .map(|vm| objects::hard_disks(vm, None))
                .unwrap_or_default()
        });
        disks.retain(|disk| {
            let is = |name: &str, wanted: Option<i128>| {
                wanted.is_none() || disk.get(name).and_then(super::super::cell::Cell::number) == wanted
            };
            let of_kind = kind.as_deref().is_none_or(|kind| {
                matches!(disk.get("ControllerType"), Some(super::super::cell::Cell::Named(named)) if named.name == kind)
            });
            of_kind && is("ControllerNumber", number) && is("ControllerLocation", location)
        });
        Ok(machine.objects(disks))
    })
}

/// `Get-VHD`.
pub(super) fn vhds(machine: &mut WinMachine, call: &Call) -> Reply {
    if let Some(situation) = machine.barred(call) {
        return Reply::error(machine.fail(call, situation, ""));
    }
    let mut paths = call.texts("Path");
    if let Some(ids) = call.get("VMId") {
        for id in ids.items().iter().filter_map(guid_of) {
            paths.extend(machine.host().world(|world| {
                world
                    .vm(&id)
                    .map(|vm| {
                        vm.plan
                            .disks
                            .iter()
                            .filter_map(|disk| {
                                vm.disk_chain(disk, vm.plan.current.as_deref())
                                    .into_iter()
                                    .next()
                            })
                            .collect::<Vec<_>>()
                    })
                    .unwrap_or_default()
            }));
        }
    } else if paths.is_empty() {
        return Reply::error(missing(call, "Path"));
    }
    let mut reply = Reply::nothing();
    for path in paths {
        let found = machine.host().world(|world| files::vhd(world, &path));
        if let Some(thing) = found {
            reply.output.extend(machine.objects(vec![thing]));
        } else {
            let record = machine.fail(call, Situation::BadPath, &path);
            reply = reply.and_error(record.with_target(path));
        }
    }
    reply
}

/// `Get-VMNetworkAdapter`.
pub(super) fn adapters(machine: &mut WinMachine, call: &Call) -> Reply {
    if call.switch("All") {
        let all = machine.host().world(|world| {
            let all = world.vms.iter();
            all.flat_map(|vm| objects::adapters(world, vm)).collect()
        });
        return Reply::values(machine.objects(all));
    }
    if call.switch("ManagementOS") {
        return Reply::nothing();
    }
    machine.each(call, "VMName", &mut |machine, id| {
        let found = machine.host().world(|world| {
            world
                .vm(id)
                .map(|vm| objects::adapters(world, vm))
                .unwrap_or_default()
        });
        Ok(machine.objects(found))
    })
}

/// `Get-VMIntegrationService`.
pub(super) fn services(machine: &mut WinMachine, call: &Call) -> Reply {
    let names: Vec<String> = call
        .texts("Name")
        .iter()
        .map(|n| n.to_lowercase())
        .collect();
    machine.each(call, "VMName", &mut |machine, id| {
        let mut found = machine.host().world(|world| {
            world
                .vm(id)
                .map(|vm| objects::services(world, vm))
                .unwrap_or_default()
        });
        found.retain(|service| {
            let own = service
                .get("Name")
                .and_then(super::super::cell::Cell::as_text);
            names.is_empty() || own.is_some_and(|own| names.contains(&own.to_lowercase()))
        });
        if found.is_empty() && !names.is_empty() {
            return Err(Stop::from(machine.fail(
                call,
                Situation::ObjectNotFound,
                id,
            )));
        }
        Ok(machine.objects(found))
    })
}

/// `Get-VMHost`.
pub(super) fn host(machine: &mut WinMachine, call: &Call) -> Reply {
    if let Some(situation) = machine.barred(call) {
        return Reply::error(machine.fail(call, situation, ""));
    }
    let host = machine.host().world(|world| files::host(world));
    Reply::values(machine.objects(vec![host]))
}

/// `Get-VMSwitch`.
pub(super) fn switches(machine: &mut WinMachine, call: &Call) -> Reply {
    if let Some(situation) = machine.barred(call) {
        return Reply::error(machine.fail(call, situation, ""));
    }
    let wanted: Option<Vec<char>> = call
        .text("Name")
        .map(|n| n.to_lowercase().chars().collect());
    let ids: Vec<String> = call
        .get("Id")
        .map(Value::items)
        .unwrap_or_default()
        .iter()
        .filter_map(guid_of)
        .collect();
    let found: Vec<_> = machine.host().world(|world| {
        cim::switches(world)
            .into_iter()
            .filter(|name| {
                let own: Vec<char> = name.to_lowercase().chars().collect();
                wanted.as_ref().is_none_or(|wanted| wildcard(&own, wanted))
                    && (ids.is_empty() || ids.contains(&cim::switch_id(world, name)))
            })
            .map(|name| files::switch(world, &name))
            .collect()
    });
    if let (true, Some(name)) = (found.is_empty(), call.text("Name"))
        && !is_pattern(name)
    {
        return Reply::error(machine.fail(call, Situation::ObjectNotFound, name));
    }
    Reply::values(machine.objects(found))
}
