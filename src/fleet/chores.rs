//! What has to be looked after every few seconds: the vault that locks itself, the profile that
//! another process may have written, the inventories to be remembered, the mirrored end of the log.
//! Bounded: a host's inventory is written back at most once a minute, a few hosts at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::engine::Engine;
use super::state::FleetState;
use crate::domain::audit::AuditHead;
use crate::domain::host::HostId;
use crate::domain::inventory::HostInventory;

/// Seconds between two looks at the profile's version.
const LOOK_EVERY: u64 = 2;

/// Seconds between two rounds of writing inventories back.
const CACHE_EVERY: u64 = 5;

/// Seconds between two looks at the end of the audit log.
const MIRROR_EVERY: u64 = 10;

/// Inventories written in one round.
const CACHE_AT_ONCE: usize = 16;

/// Shortest time between two writes of one host's inventory.
const CACHE_AGAIN: Duration = Duration::from_secs(60);

type Inventories = Vec<(HostId, Arc<HostInventory>, Timestamp)>;

/// What is due.
#[derive(Debug)]
pub(super) struct Chores {
    seconds: u64,
    version: i64,
    looking: bool,
    /// Hosts read since their inventory was written.
    unwritten: HashSet<HostId>,
    written: HashMap<HostId, Instant>,
    writing: bool,
    mirrored: Option<AuditHead>,
    mirror: Mirror,
}

/// What is being done about the mirror of the audit log's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mirror {
    /// It is moved when there is something to move it to.
    Free,
    /// It is being moved.
    Moving,
    /// It stays where it is, because its record is gone.
    Kept,
}

impl Chores {
    pub(super) fn new(version: i64, head: Option<AuditHead>) -> Self {
        Self {
            seconds: 0,
            version,
            looking: false,
            unwritten: HashSet::new(),
            written: HashMap::new(),
            writing: false,
            mirrored: head,
            mirror: Mirror::Free,
        }
    }

    pub(super) fn has_read(&mut self, host: HostId) {
        self.unwritten.insert(host);
    }

    pub(super) fn forget(&mut self, host: HostId) {
        self.unwritten.remove(&host);
        self.written.remove(&host);
    }

    /// Takes the profile's version; returns true when another process has written it.
    pub(super) fn is_news(&mut self, version: i64) -> bool {
        self.looking = false;
        std::mem::replace(&mut self.version, version) != version
    }

    pub(super) fn cached(&mut self) {
        self.writing = false;
    }

    pub(super) fn mirrored(&mut self, head: AuditHead) {
        self.mirror_may_move();
        self.mirrored = Some(head);
    }

    /// Leaves the mirror of the audit log's end where it is, for good.
    pub(super) fn keep_mirror(&mut self) {
        self.mirror = Mirror::Kept;
    }

    /// Returns whether the mirror may be moved on.
    pub(super) const fn may_mirror(&self) -> bool {
        !matches!(self.mirror, Mirror::Kept)
    }

    fn mirror_may_move(&mut self) {
        if self.may_mirror() {
            self.mirror = Mirror::Free;
        }
    }

    /// Background work has failed: whatever it was may be tried again.
    pub(super) fn failed(&mut self) {
        self.looking = false;
        self.mirror_may_move();
    }

    /// Returns everything that was read and not written.
    pub(super) fn unwritten(&mut self, state: &FleetState) -> Inventories {
        let hosts: Vec<HostId> = self.unwritten.drain().collect();
        collect(state, hosts)
    }

    /// Returns the next few inventories to write.
    fn round(&mut self, state: &FleetState) -> Inventories {
        let now = Instant::now();
        let due = |host: &HostId| {
            self.written
                .get(host)
                .is_none_or(|at| now.duration_since(*at) >= CACHE_AGAIN)
        };
        let hosts: Vec<HostId> = self
            .unwritten
            .iter()
            .copied()
            .filter(due)
            .take(CACHE_AT_ONCE)
            .collect();
        for host in &hosts {
            self.unwritten.remove(host);
            self.written.insert(*host, now);
        }
        collect(state, hosts)
    }
}

fn collect(state: &FleetState, hosts: Vec<HostId>) -> Inventories {
    hosts
        .into_iter()
        .filter_map(|id| {
            let host = state.host(id)?;
            let inventory = host.inventory.clone().filter(|_| !host.from_cache)?;
            Some((id, inventory, host.observed_at?))
        })
        .collect()
}

impl Engine {
    /// Runs once a second.
    pub(super) fn do_chores(&mut self) {
        self.look_at_vault();
        self.end_lifts();
        self.chores.seconds += 1;
        let second = self.chores.seconds;
        if second.is_multiple_of(LOOK_EVERY) && !self.chores.looking {
            self.chores.looking = true;
            let look = self.keeper.clone().look_for_changes();
            self.groups.jobs.spawn("look for changes", look);
        }
        if second.is_multiple_of(CACHE_EVERY) && !self.chores.writing {
            let round = self.chores.round(&self.state);
            if !round.is_empty() {
                self.chores.writing = true;
                self.groups
                    .jobs
                    .spawn("cache", self.keeper.clone().cache(round));
            }
        }
        if second.is_multiple_of(MIRROR_EVERY)
            && self.chores.mirror == Mirror::Free
            && let Some(head) = self.keeper.audit.head()
            && self.chores.mirrored.as_ref() != Some(&head)
        {
            self.chores.mirror = Mirror::Moving;
            let mirror = self.keeper.clone().mirror_head(head);
            self.groups.jobs.spawn("mirror", mirror);
        }
    }
}
