//! The last quarter of an hour of every VM's figures. Belongs to the state of the fleet and is written by the
//! engine alone, but it is in no snapshot: who wants to see one VM's asks for it.
//!
//! Costs about 1.5 KB for each VM that had a figure in the last quarter of an hour, nothing for the others.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::host::HostId;
use crate::domain::inventory::HostInventory;
use crate::domain::metrics::VmMetrics;
use crate::domain::vm::{VmId, VmRef};

/// VMs beyond twice those of the last read whose figures are kept, so that one that cannot be read for a
/// while finds its own again. A host that invents VMs gains no more by it.
const SPARE: usize = 16;

/// The figures of all VMs.
#[derive(Debug, Default)]
pub struct Metrics {
    hosts: HashMap<HostId, HashMap<VmId, VmMetrics>>,
}

impl Metrics {
    /// Takes what a host said when it was asked at `at`.
    pub fn take(&mut self, host: HostId, inventory: &HostInventory, at: Timestamp) {
        let kept = self.hosts.entry(host).or_default();
        for vm in &inventory.vms {
            if let Some(metrics) = kept.get_mut(&vm.id) {
                metrics.take(&vm.stats, at);
            } else if let Some(begun) = VmMetrics::begin(&vm.stats, at) {
                kept.insert(vm.id.clone(), begun);
            }
        }
        kept.retain(|_, metrics| !metrics.is_over(at));
        if kept.len() > inventory.vms.len() * 2 + SPARE {
            kept.retain(|_, metrics| metrics.last() == at);
        }
    }

    /// Forgets a host, or what was said by what may have been another machine.
    pub fn forget(&mut self, host: HostId) {
        self.hosts.remove(&host);
    }

    /// Returns the figures of one VM; `None` when it had none lately.
    pub fn of(&self, vm: &VmRef) -> Option<&VmMetrics> {
        self.hosts.get(&vm.host)?.get(&vm.vm)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;

    use super::*;
    use crate::domain::metrics::Metric;
    use crate::domain::units::Percent;
    use crate::domain::vm::{PowerState, Vm};
    use crate::testing::fleet;

    const HOST: HostId = HostId(1);

    fn inventory(vms: impl IntoIterator<Item = (VmId, Option<f64>)>) -> HostInventory {
        let vm = |(id, load): (VmId, Option<f64>)| {
            let mut vm = Vm::new(id, "a".into(), PowerState::Running);
            vm.stats.cpu = load.map(Percent::new);
            Arc::new(vm)
        };
        HostInventory {
            vms: vms.into_iter().map(vm).collect(),
            ..HostInventory::default()
        }
    }

    fn after(seconds: i64) -> Timestamp {
        fleet::now() + SignedDuration::from_secs(seconds)
    }

    fn vm(n: usize) -> VmRef {
        VmRef {
            host: HOST,
            vm: fleet::vm_id(1, n),
        }
    }

    #[test]
    fn a_vm_that_is_off_costs_nothing_and_one_that_was_stopped_soon_neither() {
        let mut metrics = Metrics::default();
        metrics.take(
            HOST,
            &inventory([(vm(1).vm, Some(5.0)), (vm(2).vm, None)]),
            after(0),
        );
        assert!(metrics.of(&vm(2)).is_none());
        let kept = metrics.of(&vm(1)).unwrap();
        assert_eq!(kept.series(Metric::Cpu, after(0)).last(), Some(&Some(5.0)));
        let off = inventory([(vm(1).vm, None), (vm(2).vm, None)]);
        metrics.take(HOST, &off, after(800));
        assert_eq!(metrics.of(&vm(1)).unwrap().last(), after(0));
        metrics.take(HOST, &off, after(900));
        assert!(metrics.of(&vm(1)).is_none());
    }

    #[test]
    fn a_vm_that_cannot_be_read_for_a_while_keeps_its_own() {
        let mut metrics = Metrics::default();
        metrics.take(HOST, &inventory([(vm(1).vm, Some(5.0))]), after(0));
        metrics.take(HOST, &inventory([]), after(3));
        metrics.take(HOST, &inventory([(vm(1).vm, Some(6.0))]), after(60));
        let series = metrics.of(&vm(1)).unwrap().series(Metric::Cpu, after(60));
        assert_eq!(series.iter().flatten().count(), 2);
    }

    #[test]
    fn a_host_that_invents_vms_does_not_fill_the_memory() {
        let mut metrics = Metrics::default();
        for round in 0..50 {
            let vms = (0..20).map(|n| (fleet::vm_id(1, round * 20 + n), Some(1.0)));
            metrics.take(HOST, &inventory(vms), after(i64::try_from(round).unwrap()));
            assert!(metrics.hosts[&HOST].len() <= 20 * 2 + SPARE);
        }
        metrics.forget(HOST);
        assert!(metrics.hosts.is_empty());
    }
}
