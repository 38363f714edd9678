//! Rows of the lists, borrowed from one snapshot: nothing is copied before it is known to be wanted.

use jiff::Timestamp;

use crate::domain::host::HypervisorKind;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::selector;
use crate::domain::vm::{Vm, VmRef};

/// A VM with the host it is on.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct VmRow<'a> {
    pub(in crate::serve) host: &'a HostSnapshot,
    pub(in crate::serve) vm: &'a Vm,
    pub(in crate::serve) now: Timestamp,
}

/// A host.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct HostRow<'a> {
    pub(in crate::serve) host: &'a HostSnapshot,
    pub(in crate::serve) now: Timestamp,
}

fn kind_of(host: &HostSnapshot) -> Option<HypervisorKind> {
    let probed = host.capabilities.as_ref().map(|found| found.kind);
    probed.or(host.spec.kind.fixed())
}

impl<'a> VmRow<'a> {
    /// Returns every VM of every enabled host that is seen, in the order of hosts, then of names.
    pub(in crate::serve) fn all(
        fleet: &'a FleetSnapshot,
        now: Timestamp,
        sees: impl Fn(&HostSnapshot) -> bool + 'a,
    ) -> impl Iterator<Item = Self> + 'a {
        fleet
            .hosts
            .iter()
            .filter(move |host| host.spec.enabled && sees(host))
            .flat_map(move |host| host.vms().iter().map(move |vm| Self { host, vm, now }))
    }

    /// Returns one VM.
    pub(in crate::serve) fn of(
        fleet: &'a FleetSnapshot,
        vm: &VmRef,
        now: Timestamp,
    ) -> Option<Self> {
        let (host, vm) = fleet.vm(vm)?;
        Some(Self { host, vm, now })
    }

    /// Returns it as a filter sees it.
    pub(in crate::serve) const fn for_filter(&self) -> selector::Row<'a> {
        selector::Row {
            host: self.host,
            vm: self.vm,
            now: self.now,
            marked: false,
            protected: false,
        }
    }

    /// Returns what runs it, where that is known.
    pub(in crate::serve) fn kind(&self) -> Option<HypervisorKind> {
        kind_of(self.host)
    }

    /// Returns its identity.
    pub(in crate::serve) fn vm_ref(&self) -> VmRef {
        VmRef {
            host: self.host.spec.id,
            vm: self.vm.id.clone(),
        }
    }
}

impl HostRow<'_> {
    /// Returns what runs its VMs, where that is known.
    pub(in crate::serve) fn kind(&self) -> Option<HypervisorKind> {
        kind_of(self.host)
    }
}
