//! What the fleet knows, and how it changes: pure transitions, called by the engine alone.
//!
//! A host is one `Arc`; a transition copies that one host and leaves the others shared with every
//! snapshot that was ever given out. No transition looks at more than the host it is about. What is
//! worth telling is collected as facts while the state changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::diff::{changes, connection_changed};
use super::error_log::ErrorLog;
use super::metrics::Metrics;
use super::request::ErrorRecord;
use super::store_operations::StoreOperations;
use crate::domain::error_kind::Failure;
use crate::domain::event::Fact;
use crate::domain::health::HostHealth;
use crate::domain::host::{HostId, HostName, HostSpec, HypervisorKind};
use crate::domain::inventory::{
    AuditState, FleetSnapshot, HostInventory, HostSnapshot, Lift, LockState,
};
use crate::domain::operation::{Operation, OperationId, Outcome};
use crate::domain::policy::Rule;
use crate::session::News;

/// Operations that snapshots keep, the oldest finished ones going first.
pub const OPERATIONS_KEPT: usize = 200;

/// How long a finished one is kept in any case: whoever waits for one of many looks at newest snapshots
/// only, and must still find it.
pub const KEPT_FOR: Duration = Duration::from_secs(180);

/// The most that are kept for that: beyond it memory counts for more.
pub const OPERATIONS_MOST: usize = 20_000;

/// Everything the fleet knows.
#[derive(Debug)]
pub struct FleetState {
    profile: Arc<str>,
    generation: u64,
    /// Whether the profile's secrets can be used.
    pub lock: LockState,
    /// Whether everything that changes a VM is refused.
    pub read_only: bool,
    /// Hosts whose own read-only is lifted for a while.
    pub lifts: Arc<[Lift]>,
    /// Whether actions can be recorded.
    pub audit: AuditState,
    policy: Arc<[Rule]>,
    tick: Duration,
    hosts: Vec<Arc<HostSnapshot>>,
    places: HashMap<HostId, usize>,
    operations: Vec<Arc<Operation>>,
    /// Those about pools and networks.
    pub store_operations: StoreOperations,
    /// What failed lately.
    pub errors: ErrorLog,
    /// The figures of the last quarter of an hour.
    pub metrics: Metrics,
    /// Whether a host was last announced as answering.
    announced: HashMap<HostId, bool>,
    /// Operations with an unknown outcome whose VM has not been read since.
    unsettled: HashMap<HostId, Vec<OperationId>>,
    facts: Vec<Fact>,
}

/// What a new list of definitions means for the sessions.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HostsChange {
    /// New hosts.
    pub added: Vec<HostId>,
    /// Hosts that are gone.
    pub removed: Vec<HostId>,
    /// Hosts that have to be connected anew, or no longer.
    pub redefined: Vec<HostId>,
}

impl FleetState {
    /// Tells whether a host has said nothing yet: what is known of it is remembered, or nothing.
    pub fn is_unread(&self, host: HostId) -> bool {
        self.host(host)
            .is_none_or(|host| host.inventory.is_none() || host.from_cache)
    }

    /// Makes an empty fleet.
    pub fn new(profile: Arc<str>, policy: Arc<[Rule]>, read_only: bool, tick: Duration) -> Self {
        Self {
            profile,
            generation: 0,
            lock: LockState::Empty,
            read_only,
            lifts: Arc::from([]),
            audit: AuditState::Writable,
            policy,
            tick,
            hosts: Vec::new(),
            places: HashMap::new(),
            operations: Vec::new(),
            store_operations: StoreOperations::default(),
            errors: ErrorLog::default(),
            metrics: Metrics::default(),
            announced: HashMap::new(),
            unsettled: HashMap::new(),
            facts: Vec::new(),
        }
    }

    /// Returns a host.
    pub fn host(&self, id: HostId) -> Option<&Arc<HostSnapshot>> {
        self.places.get(&id).and_then(|at| self.hosts.get(*at))
    }

    /// Returns all hosts, ordered by name.
    pub fn hosts(&self) -> &[Arc<HostSnapshot>] {
        &self.hosts
    }

    /// Returns an operation.
    pub fn operation(&self, id: &OperationId) -> Option<&Arc<Operation>> {
        self.operations.iter().rev().find(|kept| kept.id == *id)
    }

    /// Takes the definitions as they are now. What is known of a host stays, unless it may be another
    /// machine now: then it stays as something from an earlier time.
    pub fn set_hosts(&mut self, mut specs: Vec<HostSpec>, now: Timestamp) -> HostsChange {
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        let mut change = HostsChange::default();
        let mut before: HashMap<HostId, Arc<HostSnapshot>> = std::mem::take(&mut self.hosts)
            .into_iter()
            .map(|host| (host.spec.id, host))
            .collect();
        for spec in specs {
            let id = spec.id;
            let host = match before.remove(&id) {
                None => {
                    change.added.push(id);
                    Arc::new(unseen(spec, self.tick, now))
                }
                Some(host) if *host.spec == spec => host,
                Some(mut host) => {
                    let changed = Arc::make_mut(&mut host);
                    if connection_changed(&changed.spec, &spec) {
                        change.redefined.push(id);
                        self.metrics.forget(id);
                        changed.from_cache = changed.inventory.is_some();
                        changed.capabilities = None;
                    }
                    changed.spec = Arc::new(spec);
                    host
                }
            };
            self.hosts.push(host);
        }
        change.removed = before.into_keys().collect();
        change.removed.sort();
        for id in &change.removed {
            self.announced.remove(id);
            self.unsettled.remove(id);
            self.metrics.forget(*id);
        }
        self.places = (0..)
            .zip(&self.hosts)
            .map(|(at, host)| (host.spec.id, at))
            .collect();
        change
    }

    /// Takes what an earlier run knew of a host; what was read in this one stands.
    pub fn remember(&mut self, id: HostId, inventory: HostInventory, at: Timestamp) {
        if let Some(host) = self.host_mut(id)
            && host.inventory.is_none()
        {
            host.inventory = Some(Arc::new(inventory));
            host.observed_at = Some(at);
            host.from_cache = true;
        }
    }

    /// Takes news of a host. Returns false when the host is not known any more.
    pub fn apply(&mut self, id: HostId, news: News, now: Timestamp) -> bool {
        match news {
            News::Health(health) => return self.set_health(id, health, now),
            News::Inventory {
                inventory,
                at,
                latency,
            } => return self.set_inventory(id, &inventory, at, latency),
            News::Tick(tick) => {
                if let Some(host) = self.host_mut(id) {
                    host.tick = tick;
                    return true;
                }
            }
            News::Probed(capabilities) => {
                if let Some(host) = self.host_mut(id) {
                    host.capabilities = Some(capabilities);
                    return true;
                }
            }
            // For the profile; the state of the fleet does not hold keys.
            News::KeysAccepted(_) => return self.places.contains_key(&id),
        }
        false
    }

    /// Says how the relation with a host stands.
    pub fn set_health(&mut self, id: HostId, health: HostHealth, now: Timestamp) -> bool {
        let Some(host) = self.host_mut(id) else {
            return false;
        };
        if host.health == health {
            return true;
        }
        if std::mem::discriminant(&host.health) != std::mem::discriminant(&health) {
            host.since = now;
        }
        let name = host.spec.name.clone();
        host.health.clone_from(&health);
        match health {
            HostHealth::Online => self.answers(id, name),
            HostHealth::Degraded { cause } => {
                self.answers(id, name.clone());
                self.note_error(Some(name), cause, now);
            }
            HostHealth::Offline { cause, .. } | HostHealth::NeedsOperator { cause, .. } => {
                self.is_gone(id, name, cause, now);
            }
            HostHealth::Disabled => {
                self.announced.remove(&id);
            }
            HostHealth::Connecting { .. } => {}
        }
        true
    }

    fn answers(&mut self, host: HostId, name: HostName) {
        if self.announced.insert(host, true) != Some(true) {
            self.facts.push(Fact::HostCameOnline { host, name });
        }
    }

    fn is_gone(&mut self, host: HostId, name: HostName, cause: Failure, now: Timestamp) {
        let record = ErrorRecord::new(now, Some(name.clone()), cause.clone());
        let is_news = self.errors.push(record);
        if self.announced.insert(host, false) != Some(false) {
            self.facts.push(Fact::HostWentOffline { host, name, cause });
        } else if is_news {
            let host = Some(name);
            self.facts.push(Fact::ErrorOccurred { host, cause });
        }
    }

    /// Remembers a failure that belongs to no operation.
    pub fn note_error(&mut self, host: Option<HostName>, cause: Failure, at: Timestamp) {
        let record = ErrorRecord::new(at, host.clone(), cause.clone());
        if self.errors.push(record) {
            self.facts.push(Fact::ErrorOccurred { host, cause });
        }
    }

    fn set_inventory(
        &mut self,
        id: HostId,
        inventory: &Arc<HostInventory>,
        at: Timestamp,
        latency: Duration,
    ) -> bool {
        let mut facts = std::mem::take(&mut self.facts);
        let Some(host) = self.host_mut(id) else {
            self.facts = facts;
            return false;
        };
        if let Some(before) = &host.inventory
            && !host.from_cache
        {
            changes(&host.spec, before, inventory, &mut facts);
        }
        host.inventory = Some(Arc::clone(inventory));
        host.observed_at = Some(at);
        host.from_cache = false;
        host.latency = Some(latency);
        self.facts = facts;
        self.metrics.take(id, inventory, at);
        self.settle(id, inventory);
        true
    }

    /// Writes what is true now beside operations whose outcome nobody knows.
    fn settle(&mut self, id: HostId, inventory: &HostInventory) {
        for waiting in self.unsettled.remove(&id).unwrap_or_default() {
            let Some(operation) = self.operations.iter_mut().find(|kept| kept.id == waiting) else {
                continue;
            };
            let settled = Arc::make_mut(operation);
            settled.state_after = inventory.vm(&settled.plan.vm.vm).map(|vm| vm.state.clone());
            self.facts.push(Fact::OperationMoved(Arc::clone(operation)));
        }
    }

    /// Takes an operation as it stands now.
    pub fn put_operation(&mut self, operation: Operation) {
        let now = operation.finished_at.unwrap_or(operation.started_at);
        if self
            .operation(&operation.id)
            .is_none_or(|kept| !kept.is_finished())
        {
            self.note_failed(&operation);
        }
        let operation = Arc::new(operation);
        if matches!(operation.outcome, Some(Outcome::Unknown { .. }))
            && operation.state_after.is_none()
        {
            let host = operation.plan.vm.host;
            let waiting = self.unsettled.entry(host).or_default();
            waiting.push(operation.id.clone());
        }
        self.facts
            .push(Fact::OperationMoved(Arc::clone(&operation)));
        let kept = self
            .operations
            .iter_mut()
            .rev()
            .find(|kept| kept.id == operation.id);
        match kept {
            Some(kept) => *kept = operation,
            None => self.operations.push(operation),
        }
        self.forget_old(now);
    }

    /// Forgets the oldest of those that are over, once there are many.
    fn forget_old(&mut self, now: Timestamp) {
        let mut surplus = self.operations.len().saturating_sub(OPERATIONS_KEPT);
        let mut too_many = self.operations.len().saturating_sub(OPERATIONS_MOST);
        if surplus == 0 {
            return;
        }
        self.operations.retain(|kept| {
            let Some(at) = kept.finished_at.filter(|_| surplus > 0) else {
                return true;
            };
            let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
            if age <= KEPT_FOR && too_many == 0 {
                return true;
            }
            surplus -= 1;
            too_many = too_many.saturating_sub(1);
            false
        });
    }

    /// Remembers why an operation failed. The fact that it moved tells the rest.
    fn note_failed(&mut self, operation: &Operation) {
        let (words, cause) = match &operation.outcome {
            Some(Outcome::Failed { cause }) => ("could not", cause),
            Some(Outcome::Unknown { cause }) => ("nobody knows whether it was done:", cause),
            Some(Outcome::Confirmed | Outcome::Accepted { .. } | Outcome::Refused { .. })
            | None => {
                return;
            }
        };
        let plan = &operation.plan;
        let verb = plan.action.kind.spec().verb;
        let at = operation.finished_at.unwrap_or(operation.started_at);
        let cause = Failure {
            message: format!("{words} {verb} {}: {}", plan.vm_name.shown(), cause.message),
            ..cause.clone()
        };
        let record = ErrorRecord::new(at, Some(plan.host_name.clone()), cause);
        self.errors.add(record);
    }

    /// Lifts the read-only of hosts; what held for them before is replaced.
    pub fn lift(&mut self, lifts: Vec<Lift>, now: Timestamp) {
        let mut all: Vec<Lift> = self.lifts.to_vec();
        all.retain(|old| !lifts.iter().any(|new| new.host == old.host));
        all.extend(lifts.into_iter().filter(|lift| lift.until > now));
        self.lifts = all.into();
    }

    /// Ends the lifts that are over; returns the names of their hosts.
    pub fn end_lifts(&mut self, now: Timestamp) -> Vec<String> {
        let (over, stay): (Vec<Lift>, Vec<Lift>) = self
            .lifts
            .iter()
            .cloned()
            .partition(|lift| lift.until <= now);
        if over.is_empty() {
            return Vec::new();
        }
        self.lifts = stay.into();
        let hosts = over.iter().filter_map(|lift| self.host(lift.host));
        hosts.map(|host| host.spec.name.to_string()).collect()
    }

    /// Returns what is known of the kind of each host.
    pub fn kinds(&self) -> Vec<(HostId, Option<HypervisorKind>)> {
        let hosts = self.hosts.iter();
        hosts
            .map(|host| {
                let found = host.capabilities.as_ref().map(|found| found.kind);
                (host.spec.id, found)
            })
            .collect()
    }

    /// Returns the operations that are under way.
    pub fn running(&self) -> impl Iterator<Item = &Arc<Operation>> {
        self.operations.iter().filter(|kept| !kept.is_finished())
    }

    /// Returns what has happened since it was last asked.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    /// Makes the next snapshot. Costs one counted reference per host and operation.
    pub fn snapshot(&mut self, now: Timestamp) -> FleetSnapshot {
        self.generation += 1;
        self.view(now)
    }

    /// Looks at the state without publishing it.
    pub fn view(&self, now: Timestamp) -> FleetSnapshot {
        FleetSnapshot {
            generation: self.generation,
            at: now,
            profile: Arc::clone(&self.profile),
            lock: self.lock,
            read_only: self.read_only,
            lifts: Arc::clone(&self.lifts),
            audit: self.audit.clone(),
            policy: Arc::clone(&self.policy),
            errors: self.errors.taken(),
            hosts: self.hosts.clone(),
            operations: self.operations.clone(),
            store_operations: self.store_operations.all(),
        }
    }

    fn host_mut(&mut self, id: HostId) -> Option<&mut HostSnapshot> {
        let at = *self.places.get(&id)?;
        self.hosts.get_mut(at).map(Arc::make_mut)
    }
}

fn unseen(spec: HostSpec, tick: Duration, now: Timestamp) -> HostSnapshot {
    HostSnapshot {
        spec: Arc::new(spec),
        health: HostHealth::Disabled,
        since: now,
        capabilities: None,
        inventory: None,
        observed_at: None,
        from_cache: false,
        latency: None,
        tick,
    }
}
