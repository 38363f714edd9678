//! What hosts said, and the immutable state of the whole fleet made of it.
//!
//! `HostInventory` is only ever what a host said; what we want or expect is in `operation`. A failed
//! read keeps the old inventory: failure is never shown as emptiness.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::capability::Capabilities;
use super::health::HostHealth;
use super::host::{HostId, HostSpec};
use super::operation::Operation;
use super::store_operation::StoreOperation;
use super::text::RemoteText;
use super::units::{Bytes, Percent};
use super::vm::{Vm, VmRef};

/// How much of a host to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// States and figures of every VM: one remote command.
    Fast,
    /// The same and the slow facts: addresses, snapshots, autostart.
    Full,
}

/// Load of the host itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostLoad {
    /// Processors in use.
    pub cpu: Option<Percent>,
    /// Memory in use.
    pub memory_used: Option<Bytes>,
    /// Memory there is.
    pub memory_total: Option<Bytes>,
}

/// Everything one host said in one read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostInventory {
    /// Its VMs, ordered by name, then id.
    pub vms: Vec<Arc<Vm>>,
    /// Its own load.
    pub load: HostLoad,
    /// VMs that could not be read, and why, in the host's words; the others are unaffected.
    pub gaps: Vec<RemoteText>,
}

impl HostInventory {
    /// Returns the VM with this id.
    pub fn vm(&self, id: &super::vm::VmId) -> Option<&Arc<Vm>> {
        self.vms.iter().find(|vm| vm.id == *id)
    }
}

/// One host as of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct HostSnapshot {
    /// As a person defined it.
    pub spec: Arc<HostSpec>,
    /// How the relation stands.
    pub health: HostHealth,
    /// Since when.
    pub since: Timestamp,
    /// What it can do; `None` until it has been probed.
    pub capabilities: Option<Arc<Capabilities>>,
    /// What it last said; `None` = never seen, not even in an earlier run.
    pub inventory: Option<Arc<HostInventory>>,
    /// When it was asked: the answer may have been under way for a while, and is no younger.
    pub observed_at: Option<Timestamp>,
    /// Whether that was in an earlier run of the program.
    pub from_cache: bool,
    /// How long the last read took.
    pub latency: Option<Duration>,
    /// How long between two reads, as things stand.
    pub tick: Duration,
}

/// How far apart two looks at the same clock may be when they are compared the wrong way round.
const A_LOOK: SignedDuration = SignedDuration::from_secs(2);

/// What is younger than this is never too old to act upon, however short the tick: whoever looks more often is not to
/// be refused for one answer that took its time.
const YOUNG: Duration = Duration::from_secs(3);

impl HostSnapshot {
    /// Returns how old the inventory is, or `None` when there is none, or when nobody can tell because the
    /// clock was set back since.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        let age = now.duration_since(self.observed_at?);
        // A little is the difference between two looks at the clock.
        let age = if age.abs() <= A_LOOK { age.abs() } else { age };
        Duration::try_from(age).ok()
    }

    /// Returns true when what we know is too old to act upon without reading it again: from a cache,
    /// from a host that does not answer, or older than two ticks and than three seconds.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.from_cache
            || !self.health.is_up()
            || self
                .age(now)
                .is_none_or(|age| age > self.tick.saturating_mul(2).max(YOUNG))
    }

    /// Returns its VMs; none when it was never seen.
    pub fn vms(&self) -> &[Arc<Vm>] {
        self.inventory
            .as_ref()
            .map_or(&[], |inventory| &inventory.vms)
    }
}

/// Whether the profile's secrets can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockState {
    /// The profile has no passphrase and no sealed credential yet.
    Empty,
    /// Sealed; a passphrase opens it.
    Locked,
    /// Open.
    Unlocked,
}

/// Whether actions can be recorded; when they cannot, they are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditState {
    /// Records are durable.
    Writable,
    /// They are not, and why.
    Blocked(super::error_kind::Failure),
}

/// The read-only of a host, lifted for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lift {
    /// Of which host.
    pub host: HostId,
    /// Until when.
    pub until: Timestamp,
}

/// The whole fleet at one moment. Immutable; readers hold it as long as they like.
#[derive(Debug, Clone)]
pub struct FleetSnapshot {
    /// Grows by one with every publication.
    pub generation: u64,
    /// When it was published.
    pub at: Timestamp,
    /// Name of the profile.
    pub profile: Arc<str>,
    /// Whether its secrets can be used.
    pub lock: LockState,
    /// Whether everything that changes a VM is refused.
    pub read_only: bool,
    /// Hosts whose own read-only is lifted for a while.
    pub lifts: Arc<[Lift]>,
    /// Whether actions can be recorded.
    pub audit: AuditState,
    /// The policy rules in force, so that a front end can tell beforehand what would be refused.
    pub policy: Arc<[super::policy::Rule]>,
    /// Failures that the error log has taken since the start.
    pub errors: u64,
    /// Hosts, ordered by name.
    pub hosts: Vec<Arc<HostSnapshot>>,
    /// Running operations and the last finished ones, oldest first.
    pub operations: Vec<Arc<Operation>>,
    /// The same of pools and networks.
    pub store_operations: Vec<Arc<StoreOperation>>,
}

impl FleetSnapshot {
    /// Returns the host with this id.
    pub fn host(&self, id: HostId) -> Option<&Arc<HostSnapshot>> {
        self.hosts.iter().find(|host| host.spec.id == id)
    }

    /// Tells whether a host's own flag refuses everything that changes a VM there.
    pub fn is_read_only(&self, host: &HostSpec, now: Timestamp) -> bool {
        let lifted = |lift: &Lift| lift.host == host.id && lift.until > now;
        host.read_only && !self.lifts.iter().any(lifted)
    }

    /// Tells whether what is typed into VMs of a host may reach them; not where the host is gone.
    pub fn may_type_on(&self, host: HostId, now: Timestamp) -> bool {
        !self.read_only
            && self
                .host(host)
                .is_some_and(|host| !self.is_read_only(&host.spec, now))
    }

    /// Returns a VM with the host it is on.
    pub fn vm(&self, vm: &VmRef) -> Option<(&Arc<HostSnapshot>, &Arc<Vm>)> {
        let host = self.host(vm.host)?;
        let found = host.inventory.as_ref()?.vm(&vm.vm)?;
        Some((host, found))
    }

    /// Returns the operation that is under way on a VM.
    pub fn running_operation(&self, vm: &VmRef) -> Option<&Arc<Operation>> {
        self.operations
            .iter()
            .rev()
            .find(|op| op.plan.vm == *vm && !op.is_finished())
    }
}
