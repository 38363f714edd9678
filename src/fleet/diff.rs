//! What has changed between two reads of a host, and between two of its definitions.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::event::Fact;
use crate::domain::host::HostSpec;
use crate::domain::inventory::HostInventory;
use crate::domain::vm::{Vm, VmId, VmRef};

/// Collects what happened to the VMs of one host.
///
/// Nearly always the list is the same and in the same order; only otherwise are the VMs looked up.
pub fn changes(
    spec: &HostSpec,
    before: &HostInventory,
    after: &HostInventory,
    facts: &mut Vec<Fact>,
) {
    let same_list = before.vms.len() == after.vms.len()
        && before
            .vms
            .iter()
            .zip(&after.vms)
            .all(|(old, new)| old.id == new.id);
    if same_list {
        for (old, new) in before.vms.iter().zip(&after.vms) {
            moved(spec, old, new, facts);
        }
        return;
    }
    let mut old: HashMap<&VmId, &Arc<Vm>> = before.vms.iter().map(|vm| (&vm.id, vm)).collect();
    for new in &after.vms {
        match old.remove(&new.id) {
            Some(old) => moved(spec, old, new, facts),
            None => facts.push(Fact::VmAppeared {
                vm: of(spec, new),
                name: new.name.clone(),
                host_name: spec.name.clone(),
                state: new.state.clone(),
            }),
        }
    }
    for gone in before.vms.iter().filter(|vm| old.contains_key(&vm.id)) {
        facts.push(Fact::VmVanished {
            vm: of(spec, gone),
            name: gone.name.clone(),
            host_name: spec.name.clone(),
        });
    }
}

fn moved(spec: &HostSpec, old: &Vm, new: &Vm, facts: &mut Vec<Fact>) {
    if old.state != new.state {
        facts.push(Fact::VmChangedState {
            vm: of(spec, new),
            name: new.name.clone(),
            host_name: spec.name.clone(),
            from: old.state.clone(),
            to: new.state.clone(),
        });
    }
}

fn of(spec: &HostSpec, vm: &Vm) -> VmRef {
    VmRef {
        host: spec.id,
        vm: vm.id.clone(),
    }
}

/// Returns true when a new definition means another connection: anything but how the host is
/// labelled and guarded.
pub fn connection_changed(before: &HostSpec, after: &HostSpec) -> bool {
    let same_labels = HostSpec {
        tier: before.tier.clone(),
        tags: before.tags.clone(),
        read_only: before.read_only,
        ..after.clone()
    };
    same_labels != *before
}
