//! One read of a host, and what is remembered between reads: rhythm, restarts, the list as it was.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::backoff::phase;
use super::limits::{READ_FULL_FACTOR, READ_GRACE, REST, RESTARTS, SLOW_READ};
use super::link::too_late;
use super::message::SessionOptions;
use crate::clock::Clock;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{HostId, HypervisorKind};
use crate::domain::inventory::{HostInventory, Scope};
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::{Hypervisor, HypervisorError};
use crate::transport::TransportError;

/// A read that has ended.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) scope: Scope,
    pub(super) began: Instant,
    /// The same on the wall: what was read is no younger.
    pub(super) at: Timestamp,
    pub(super) took: Duration,
    pub(super) result: Result<HostInventory, HypervisorError>,
}

/// Reads a host once. `within` is the deadline of the states and figures.
pub(super) async fn read(
    driver: Arc<dyn Hypervisor>,
    scope: Scope,
    within: Duration,
    clock: Clock,
) -> Reading {
    let (started, now) = (Instant::now(), clock.now());
    // What the driver has asked for beforehand is older than this read.
    let began = driver.asked_ahead().unwrap_or(started);
    let ahead = SignedDuration::try_from(started.saturating_duration_since(began));
    let at = now.saturating_sub(ahead.unwrap_or_default()).unwrap_or(now);
    let deadline = match scope {
        Scope::Fast => within,
        Scope::Full => within.saturating_mul(READ_FULL_FACTOR),
    };
    let patience = deadline.saturating_add(READ_GRACE);
    let result = match tokio::time::timeout(patience, driver.inventory(scope)).await {
        Ok(result) => result,
        Err(_) => Err(HypervisorError::Transport(TransportError::Timeout {
            what: "reading the host",
            after: deadline,
        })),
    };
    Reading {
        scope,
        began,
        at,
        took: started.elapsed(),
        result,
    }
}

/// Returns why a read counts as late. Slow facts may take their time.
pub(super) fn lateness(scope: Scope, took: Duration) -> Option<Failure> {
    let bound = match scope {
        Scope::Fast => SLOW_READ,
        Scope::Full => SLOW_READ * 5,
    };
    (took > bound).then(|| too_late("reading the host", bound))
}

/// When to read next.
#[derive(Debug)]
pub(super) struct Rhythm {
    base: Duration,
    /// The base of each kind of host, by what answered.
    libvirt: Duration,
    hyperv: Duration,
    factor: u32,
    full_every: Duration,
    phase: f64,
    focused: bool,
    /// How long the last fast read took.
    took: Duration,
    /// Whether the host's phase still has to be applied.
    fresh: bool,
    last_full: Option<Instant>,
}

impl Rhythm {
    pub(super) fn new(host: HostId, options: &SessionOptions) -> Self {
        Self {
            base: options.tick,
            libvirt: options.tick,
            hyperv: options.hyperv_tick,
            factor: options.unfocused_factor.max(1),
            full_every: options.full_every,
            phase: phase(host.0),
            focused: true,
            took: Duration::ZERO,
            fresh: true,
            last_full: None,
        }
    }

    /// Takes the time that is right for what answered.
    pub(super) fn suit(&mut self, kind: HypervisorKind) {
        self.base = match kind {
            HypervisorKind::Libvirt => self.libvirt,
            HypervisorKind::HyperV => self.hyperv,
        };
    }

    /// Returns the time between two reads as things stand. A host that answers slowly is asked less
    /// often: at most half of the time is spent reading it.
    pub(super) fn tick(&self) -> Duration {
        let factor = if self.focused { 1 } else { self.factor };
        self.base.saturating_mul(factor).max(self.took * 2)
    }

    /// Returns how long to wait for the next tick; once per link, only a part of it.
    pub(super) fn next_tick(&mut self) -> Duration {
        if std::mem::take(&mut self.fresh) {
            self.tick().mul_f64(self.phase)
        } else {
            self.tick()
        }
    }

    /// Returns how long to rest when another read was asked for during the last.
    pub(super) fn rest(&self) -> Duration {
        REST.max(self.took)
    }

    /// Returns true when the slow facts are due.
    pub(super) fn full_is_due(&self) -> bool {
        self.last_full
            .is_none_or(|at| at.elapsed() >= self.full_every)
    }

    pub(super) fn started(&mut self, scope: Scope) {
        if scope == Scope::Full {
            self.last_full = Some(Instant::now());
        }
    }

    pub(super) fn ended(&mut self, scope: Scope, took: Duration) {
        if scope == Scope::Fast {
            self.took = took;
        }
    }

    /// Starts over with a new link.
    pub(super) fn reset(&mut self) {
        self.fresh = true;
        self.took = Duration::ZERO;
        self.last_full = None;
    }

    /// Returns true when that changes anything.
    pub(super) fn focus(&mut self, on: bool) -> bool {
        std::mem::replace(&mut self.focused, on) != on
    }
}

/// Restarts that the hypervisor announced, the last one per VM.
#[derive(Debug, Default)]
pub(super) struct Restarts(Arc<HashMap<VmId, Instant>>);

impl Restarts {
    pub(super) fn note(&mut self, vm: VmId) {
        let seen = Arc::make_mut(&mut self.0);
        if seen.len() >= RESTARTS && !seen.contains_key(&vm) {
            // More VMs than any host has: the announcements are not to be believed.
            seen.clear();
        }
        seen.insert(vm, Instant::now());
    }

    pub(super) fn seen(&self) -> Arc<HashMap<VmId, Instant>> {
        Arc::clone(&self.0)
    }
}

/// Returns true when VMs came, went or were renamed between two reads.
pub(super) fn list_changed(before: &HostInventory, now: &HostInventory) -> bool {
    let mark = |inventory: &HostInventory| inventory.vms.len();
    mark(before) != mark(now)
        || before
            .vms
            .iter()
            .zip(&now.vms)
            .any(|(old, new)| old.id != new.id || old.name != new.name)
}

/// Returns the VM an announcement is about, named by id or by name; a name that two VMs have means
/// neither.
pub(super) fn announced_vm(known: &HostInventory, announced: &RemoteText) -> Option<VmId> {
    let mut fits = known
        .vms
        .iter()
        .filter(|vm| vm.id.as_str() == announced.raw() || vm.name.raw() == announced.raw());
    match (fits.next(), fits.next()) {
        (Some(vm), None) => Some(vm.id.clone()),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// Returns the failure of a session that broke on a bug.
pub(super) fn broken(panic: &(dyn std::any::Any + Send)) -> Failure {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let said = RemoteText::new(said).first_line();
    Failure::new(
        ErrorKind::Internal,
        format!("the session broke on a bug: {said}"),
    )
    .with_hint("please report it; the host is tried again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vm::{PowerState, Vm};

    fn rhythm() -> Rhythm {
        Rhythm::new(HostId(1), &SessionOptions::default())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_tick_is_shortened_by_the_phase() {
        let mut rhythm = rhythm();
        let first = rhythm.next_tick();
        assert!(first >= Duration::from_millis(900) && first < Duration::from_secs(3));
        assert_eq!(rhythm.next_tick(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_unwatched_hosts_are_asked_less_often() {
        let mut rhythm = rhythm();
        rhythm.ended(Scope::Fast, Duration::from_secs(4));
        assert_eq!(rhythm.tick(), Duration::from_secs(8));
        rhythm.ended(Scope::Fast, Duration::from_millis(20));
        assert!(rhythm.focus(false));
        assert!(!rhythm.focus(false));
        assert_eq!(rhythm.tick(), Duration::from_secs(12));
    }

    #[test]
    fn each_kind_of_host_has_its_own_tick() {
        let mut rhythm = rhythm();
        rhythm.suit(HypervisorKind::HyperV);
        assert_eq!(rhythm.tick(), Duration::from_secs(5));
        rhythm.suit(HypervisorKind::Libvirt);
        assert_eq!(rhythm.tick(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_facts_have_a_rhythm_of_their_own() {
        let mut rhythm = rhythm();
        assert!(rhythm.full_is_due());
        rhythm.started(Scope::Full);
        assert!(!rhythm.full_is_due());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(rhythm.full_is_due());
    }

    #[test]
    fn a_changed_list_is_told_from_changed_figures() {
        let vm = |n: u8, name: &str, state| {
            let id = VmId::parse(&format!("6c09bb55-d683-4da0-8931-c9bf705f64{n:02}")).unwrap();
            Arc::new(Vm::new(id, RemoteText::new(name), state))
        };
        let of = |vms| HostInventory {
            vms,
            ..HostInventory::default()
        };
        let before = of(vec![vm(1, "a", PowerState::Running)]);
        assert!(!list_changed(
            &before,
            &of(vec![vm(1, "a", PowerState::Stopped)])
        ));
        assert!(list_changed(
            &before,
            &of(vec![vm(2, "a", PowerState::Running)])
        ));
        assert!(list_changed(&before, &of(vec![])));
    }

    #[test]
    fn an_announced_vm_is_found_by_id_or_by_a_name_of_its_own() {
        let vm = |n: u8, name: &str| {
            let id = VmId::parse(&format!("6c09bb55-d683-4da0-8931-c9bf705f64{n:02}")).unwrap();
            Arc::new(Vm::new(id, RemoteText::new(name), PowerState::Running))
        };
        let known = HostInventory {
            vms: vec![vm(1, "a"), vm(2, "twin"), vm(3, "twin")],
            ..HostInventory::default()
        };
        let find = |text: &str| announced_vm(&known, &RemoteText::new(text));
        assert_eq!(find("a"), Some(known.vms[0].id.clone()));
        assert_eq!(
            find(known.vms[1].id.as_str()),
            Some(known.vms[1].id.clone())
        );
        assert_eq!(find("twin"), None);
        assert_eq!(find("nobody"), None);
    }
}
