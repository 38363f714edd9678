//! State of the VM table: cursor and marks by identity, order, filters.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::health::HostHealth;
use crate::domain::host::HostId;
use crate::domain::inventory::{FleetSnapshot, HostInventory, HostSnapshot};
use crate::domain::selector;
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, Vm, VmRef};
use crate::tui::column::Columns;
use crate::tui::cursor::{Cursor, Motion};
use crate::tui::filter::FilterLine;
use crate::tui::rows::{History, Rows, Sort};

/// A filter of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quick {
    /// Running VMs.
    Running,
    /// VMs that do not run.
    Resting,
    /// Crashed, in an unknown state, or on a host that is not well.
    Troubled,
    /// VMs with an operation under way.
    Busy,
    /// Marked VMs.
    Marked,
}

impl Quick {
    /// Every quick filter with its letter and its name.
    pub const ALL: [(Self, char, &'static str); 5] = [
        (Self::Running, 'r', "running"),
        (Self::Resting, 's', "not running"),
        (Self::Troubled, 'p', "problems"),
        (Self::Busy, 'b', "operation under way"),
        (Self::Marked, 'm', "marked"),
    ];

    /// Returns its name.
    pub fn title(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(quick, _, _)| *quick == self)
            .map_or("", |(_, _, title)| title)
    }
}

/// The state of the VM table.
#[derive(Debug, Default)]
pub struct Vms {
    /// Which rows there are.
    pub rows: Rows,
    /// Loads for the spark lines.
    pub history: History,
    /// The VM under the cursor.
    pub cursor: Cursor<VmRef>,
    /// Marked VMs.
    pub marks: BTreeSet<VmRef>,
    /// Names of VMs that were marked and are gone, until marks are taken away or used.
    pub gone: Vec<RemoteText>,
    /// VMs of which a person wants to be told when they change.
    pub watched: Arc<BTreeSet<VmRef>>,
    /// Where the last mark was set: one end of a range.
    pub anchor: Option<VmRef>,
    /// The order.
    pub sort: Sort,
    /// The filter.
    pub filter: FilterLine,
    /// The filter of one key.
    pub quick: Option<Quick>,
    /// Only this host.
    pub host: Option<HostId>,
    /// Which columns are shown.
    pub columns: Columns,
    /// Filters under a name.
    pub kept: BTreeMap<String, String>,
    /// The name of the filter that is in force when the dashboard is opened.
    pub first: Option<String>,
    /// Columns scrolled away.
    pub scroll: usize,
}

impl Vms {
    /// Takes the fleet's newest state and the one taken before it; returns the VMs whose marks went with them.
    pub fn take(
        &mut self,
        before: &FleetSnapshot,
        state: &FleetSnapshot,
        now: Timestamp,
    ) -> Vec<VmRef> {
        self.history.take(state);
        if self.host.is_some_and(|host| state.host(host).is_none()) {
            self.host = None;
        }
        let gone = self.marks_without_vm(before, state);
        self.resort(state, now);
        gone
    }

    /// Takes away the marks whose VMs are not there any more, and returns them. A mark outlives a host that does not
    /// answer. Ten thousand may be marked: only those of hosts that have said something new are looked at one by one.
    fn marks_without_vm(&mut self, before: &FleetSnapshot, state: &FleetSnapshot) -> Vec<VmRef> {
        if self.marks.is_empty() {
            return Vec::new();
        }
        let inventories = |state: &FleetSnapshot| -> HashMap<HostId, Option<*const HostInventory>> {
            let hosts = state.hosts.iter();
            hosts
                .map(|host| (host.spec.id, host.inventory.as_ref().map(Arc::as_ptr)))
                .collect()
        };
        let (then, now) = (inventories(before), inventories(state));
        let is_new = |host: &HostId, now: &Option<_>| now.is_some() && then.get(host) != Some(now);
        let mut gone = Vec::new();
        self.marks.retain(|vm| {
            let stays = now
                .get(&vm.host)
                .is_some_and(|now| !is_new(&vm.host, now) || state.vm(vm).is_some());
            if !stays {
                gone.push(vm.clone());
            }
            stays
        });
        gone
    }

    /// Orders the rows again.
    pub fn resort(&mut self, state: &FleetSnapshot, now: Timestamp) {
        self.rows.sort(state, self.sort, now);
        self.refilter(state, now);
    }

    /// Filters the rows again.
    pub fn refilter(&mut self, state: &FleetSnapshot, now: Timestamp) {
        let Self {
            rows,
            marks,
            filter,
            quick,
            host: only,
            ..
        } = self;
        let busy: Vec<VmRef> = match quick {
            Some(Quick::Busy) => busy(state),
            _ => Vec::new(),
        };
        rows.filter(state, |host, vm| {
            if only.is_some_and(|only| only != host.spec.id) {
                return false;
            }
            let id = || VmRef {
                host: host.spec.id,
                vm: vm.id.clone(),
            };
            let marked = !marks.is_empty() && marks.contains(&id());
            let fits = match quick {
                None => true,
                Some(Quick::Running) => vm.state == PowerState::Running,
                Some(Quick::Resting) => vm.state != PowerState::Running,
                Some(Quick::Troubled) => is_troubled(host, vm),
                Some(Quick::Busy) => busy.contains(&id()),
                Some(Quick::Marked) => marked,
            };
            fits && filter.keeps(&selector::Row {
                host,
                vm,
                now,
                marked,
                protected: false,
            })
        });
        self.follow(state);
    }

    /// Finds the VM under the cursor again.
    fn follow(&mut self, state: &FleetSnapshot) {
        let rows = self.rows.visible();
        self.cursor
            .follow(rows.len(), |at| rows.get(at).and_then(|row| row.id(state)));
    }

    /// Moves the cursor.
    pub fn go(&mut self, state: &FleetSnapshot, motion: Motion, page: usize) {
        let rows = self.rows.visible();
        let index = motion.apply(self.cursor.index(), rows.len(), page);
        self.go_to(state, index);
    }

    /// Puts the cursor on a row.
    pub fn go_to(&mut self, state: &FleetSnapshot, index: usize) {
        let id = self.rows.visible().get(index).and_then(|row| row.id(state));
        if id.is_some() {
            self.cursor.go(index, id);
        }
    }

    /// Returns the VMs from one to another, in the order of the table.
    pub fn range(&self, state: &FleetSnapshot, from: &VmRef, to: &VmRef) -> Vec<VmRef> {
        let ids: Vec<VmRef> = self
            .rows
            .visible()
            .iter()
            .filter_map(|row| row.id(state))
            .collect();
        let find = |id: &VmRef| ids.iter().position(|other| other == id);
        match (find(from), find(to)) {
            (Some(a), Some(b)) => ids
                .get(a.min(b)..=a.max(b))
                .map(<[VmRef]>::to_vec)
                .unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Returns whether rows are hidden.
    pub const fn is_filtered(&self) -> bool {
        self.filter.is_active() || self.quick.is_some() || self.host.is_some()
    }
}

fn busy(state: &FleetSnapshot) -> Vec<VmRef> {
    state
        .operations
        .iter()
        .filter(|operation| !operation.is_finished())
        .map(|operation| operation.plan.vm.clone())
        .collect()
}

fn is_troubled(host: &HostSnapshot, vm: &Vm) -> bool {
    matches!(vm.state, PowerState::Crashed | PowerState::Unknown(_))
        || !matches!(host.health, HostHealth::Online)
}
