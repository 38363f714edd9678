//! Which VMs are in the table and in what order: computed when the fleet, the sort or the filter changes,
//! never while drawing. A keystroke in the filter only filters; it does not sort again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::column::{Cell, ColumnId, SortKey};
use crate::domain::host::HostId;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::operation::Operation;
use crate::domain::vm::{Vm, VmId, VmRef};

/// How the table is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By which column.
    pub column: ColumnId,
    /// Largest first.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self {
            column: ColumnId::Name,
            descending: false,
        }
    }
}

/// One row: positions in the snapshot it was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    host: usize,
    vm: usize,
}

impl Row {
    /// Returns the host and the VM.
    pub fn find(self, state: &FleetSnapshot) -> Option<(&Arc<HostSnapshot>, &Arc<Vm>)> {
        let host = state.hosts.get(self.host)?;
        Some((host, host.vms().get(self.vm)?))
    }

    /// Returns the VM's identity.
    pub fn id(self, state: &FleetSnapshot) -> Option<VmRef> {
        let (host, vm) = self.find(state)?;
        Some(VmRef {
            host: host.spec.id,
            vm: vm.id.clone(),
        })
    }
}

/// The rows of one snapshot.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    sorted: Vec<Row>,
    /// How many VMs each host has.
    counts: Vec<usize>,
    visible: Vec<Row>,
    busy: HashMap<VmRef, Arc<Operation>>,
}

impl Rows {
    /// Takes a new snapshot or a new order; to be followed by [`Self::filter`]. Little changes from one snapshot to the
    /// next: rows that are in order already are only looked at.
    pub fn sort(&mut self, state: &FleetSnapshot, sort: Sort, now: Timestamp) {
        self.busy = state
            .operations
            .iter()
            .filter(|operation| !operation.is_finished())
            .map(|operation| (operation.plan.vm.clone(), Arc::clone(operation)))
            .collect();
        let key = sort.column.column().map(|column| column.key);
        let counts: Vec<usize> = state.hosts.iter().map(|host| host.vms().len()).collect();
        let before = if counts == self.counts {
            std::mem::take(&mut self.sorted)
        } else {
            rows_of(&counts)
        };
        let mut keyed: Vec<(SortKey<'_>, Row)> = before
            .into_iter()
            .map(|row| {
                let key = key.zip(row.find(state)).map(|(key, (host, vm))| {
                    key(&Cell {
                        host,
                        vm,
                        now,
                        operation: under_way(&self.busy, host.spec.id, &vm.id).map(Arc::as_ref),
                        history: &[],
                        old_snapshot: Duration::MAX,
                        width: 0,
                    })
                });
                (key.unwrap_or(SortKey::Unknown), row)
            })
            .collect();
        // Rows that compare equal are in the order of hosts, then of names.
        keyed.sort_by(|a, b| a.0.compare(&b.0, sort.descending).then(a.1.cmp(&b.1)));
        self.sorted = keyed.into_iter().map(|(_, row)| row).collect();
        self.counts = counts;
    }

    /// Keeps the rows that a test lets through.
    pub fn filter(&mut self, state: &FleetSnapshot, keep: impl Fn(&HostSnapshot, &Vm) -> bool) {
        self.visible.clear();
        self.visible.extend(
            self.sorted
                .iter()
                .filter(|row| row.find(state).is_some_and(|(host, vm)| keep(host, vm))),
        );
    }

    /// Returns the rows in the table.
    pub fn visible(&self) -> &[Row] {
        &self.visible
    }

    /// Returns how many VMs there are, in the table or not.
    pub const fn total(&self) -> usize {
        self.sorted.len()
    }

    /// Returns the operation under way on a VM.
    pub fn operation(&self, host: HostId, vm: &VmId) -> Option<&Arc<Operation>> {
        under_way(&self.busy, host, vm)
    }
}

/// The rows of hosts with so many VMs each.
fn rows_of(counts: &[usize]) -> Vec<Row> {
    let of_host = |(host, count): (usize, &usize)| (0..*count).map(move |vm| Row { host, vm });
    counts.iter().enumerate().flat_map(of_host).collect()
}

fn under_way<'a>(
    busy: &'a HashMap<VmRef, Arc<Operation>>,
    host: HostId,
    vm: &VmId,
) -> Option<&'a Arc<Operation>> {
    if busy.is_empty() {
        return None;
    }
    busy.get(&VmRef {
        host,
        vm: vm.clone(),
    })
}

/// The last loads of every VM, for the spark lines. Grows only with what hosts really said.
#[derive(Debug, Clone, Default)]
pub struct History {
    loads: HashMap<HostId, HostLoads>,
}

#[derive(Debug, Clone, Default)]
struct HostLoads {
    seen: Option<Timestamp>,
    vms: HashMap<VmId, Vec<u8>>,
}

/// Loads kept of one VM.
const KEPT: usize = 4;

impl History {
    /// Takes the figures of hosts that were read since the last snapshot.
    pub fn take(&mut self, state: &FleetSnapshot) {
        self.loads.retain(|id, _| state.host(*id).is_some());
        for host in &state.hosts {
            let loads = self.loads.entry(host.spec.id).or_default();
            if host.observed_at.is_none() || loads.seen == host.observed_at {
                continue;
            }
            loads.seen = host.observed_at;
            let mut vms = HashMap::with_capacity(host.vms().len());
            for vm in host.vms() {
                let Some(cpu) = vm.stats.cpu else { continue };
                let mut last = loads.vms.remove(&vm.id).unwrap_or_default();
                if last.len() >= KEPT {
                    last.remove(0);
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "clamped to the range first"
                )]
                last.push(cpu.value().min(255.0) as u8);
                vms.insert(vm.id.clone(), last);
            }
            loads.vms = vms;
        }
    }

    /// Returns the last loads of a VM, oldest first.
    pub fn of(&self, host: HostId, vm: &VmId) -> &[u8] {
        self.loads
            .get(&host)
            .and_then(|host| host.vms.get(vm))
            .map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet;

    fn names(rows: &Rows, state: &FleetSnapshot) -> Vec<String> {
        rows.visible()
            .iter()
            .filter_map(|row| row.find(state))
            .map(|(_, vm)| vm.name.shown().to_owned())
            .collect()
    }

    fn sorted(state: &FleetSnapshot, column: ColumnId, descending: bool) -> Vec<String> {
        let mut rows = Rows::default();
        rows.sort(state, Sort { column, descending }, fleet::now());
        rows.filter(state, |_, _| true);
        names(&rows, state)
    }

    #[test]
    fn rows_are_ordered_by_a_column_and_unknown_figures_come_last() {
        let state = fleet::small();
        let by_load = sorted(&state, ColumnId::Cpu, true);
        assert_eq!(by_load[..3], ["build-07", "db-main", "ci-runner-1"]);
        assert_eq!(by_load.len(), 13);
        assert!(by_load[8..].contains(&"win-test".to_owned()));
    }

    #[test]
    fn rows_that_are_equal_keep_the_order_of_the_hosts() {
        let state = fleet::small();
        let by_kind = sorted(&state, ColumnId::Kind, false);
        assert_eq!(by_kind[..3], ["db-old", "win-test", "build-07"]);
        assert_eq!(sorted(&state, ColumnId::Kind, false), by_kind);
    }

    #[test]
    fn rows_are_in_order_again_after_figures_and_vms_have_changed() {
        let state = fleet::small();
        let by = |column, descending| Sort { column, descending };
        let mut rows = Rows::default();
        rows.sort(&state, by(ColumnId::Cpu, true), fleet::now());
        let mut next = fleet::earlier(&state, 3);
        for step in 0..3 {
            if step == 1 {
                next.hosts.pop();
            }
            for sort in [by(ColumnId::Cpu, true), by(ColumnId::Kind, false)] {
                rows.sort(&next, sort, fleet::now());
                rows.filter(&next, |_, _| true);
                let anew = sorted(&next, sort.column, sort.descending);
                assert_eq!(names(&rows, &next), anew);
            }
        }
    }

    #[test]
    fn a_filter_keeps_the_order() {
        let state = fleet::small();
        let mut rows = Rows::default();
        rows.sort(&state, Sort::default(), fleet::now());
        rows.filter(&state, |_, vm| vm.name.shown().starts_with("web"));
        assert_eq!(names(&rows, &state), ["web-1", "web-2"]);
        assert_eq!(rows.total(), 13);
    }

    #[test]
    fn history_grows_with_reads_and_not_with_snapshots() {
        let state = fleet::small();
        let mut history = History::default();
        let (host, vm) = (HostId(1), fleet::vm_id(1, 1));
        for _ in 0..3 {
            history.take(&state);
        }
        assert_eq!(history.of(host, &vm), [83]);
        let mut later = state.clone();
        for second in 2..9 {
            let hosts = later.hosts.iter().map(|host| {
                let mut host = HostSnapshot::clone(host);
                host.observed_at = Some(fleet::now() + jiff::SignedDuration::from_secs(second));
                Arc::new(host)
            });
            later.hosts = hosts.collect();
            history.take(&later);
        }
        assert_eq!(history.of(host, &vm), [83; 4]);
    }
}
