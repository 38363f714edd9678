//! The world of one host: its VMs, what is about to happen to them, and who is told.
//!
//! Pure of I/O: time is given from outside, chance comes from the seed, so the same calls at the same
//! moments give the same world. What is due is applied in order before anything else is answered.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::load::{fraction, mix};
use super::scenario::{SimState, VmPlan};
use super::store::Stores;
use super::vm::{Power, Reason, SimVm};

/// Events kept for a subscriber that is slow to read; more are lost to it, as with a real one.
const EVENT_BACKLOG: usize = 32;

/// Something libvirt announces.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) vm: String,
    pub(super) uuid: String,
    pub(super) what: EventKind,
}

/// Which announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventKind {
    /// `lifecycle`, with its two words.
    Lifecycle(&'static str),
    /// `reboot`.
    Reboot,
}

/// What will happen by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The VM has finished shutting down.
    PoweredOff,
    /// The VM has finished rebooting.
    Rebooted,
    /// The VM does something nobody asked for.
    OwnWill,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    at: Instant,
    vm: usize,
    change: Change,
}

/// Why an action is refused, in libvirt's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) &'static str);

const NOT_RUNNING: Refusal = Refusal("Requested operation is not valid: domain is not running");
const ALREADY_RUNNING: Refusal =
    Refusal("Requested operation is not valid: domain is already running");
pub(super) const ALREADY_ACTIVE: Refusal = Refusal("Domain is already active");

/// How to start a VM.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StartOptions {
    pub(super) paused: bool,
    pub(super) discard_saved: bool,
}

/// A host's VMs.
#[derive(Debug)]
pub(super) struct World {
    vms: Vec<SimVm>,
    pub(super) stores: Stores,
    due: Vec<Due>,
    next_id: u32,
    seed: u64,
    rolls: u64,
    /// Processor time of processes that have ended, in nanoseconds.
    spent_before: u64,
    epoch: Instant,
    wall_epoch: Timestamp,
    now: Instant,
    events: broadcast::Sender<Event>,
}

impl World {
    /// Makes the world of a host as its plan describes it.
    pub(super) fn new(plans: Vec<VmPlan>, seed: u64, now: Instant, wall: Timestamp) -> Self {
        let mut next_id = 1;
        let disks = plans.iter().map(|plan| plan.disk_bytes).sum();
        let vms = plans
            .into_iter()
            .map(|plan| {
                let vm = SimVm::new(plan, next_id);
                next_id += u32::from(vm.is_active());
                vm
            })
            .collect();
        let mut world = Self {
            vms,
            stores: Stores::of_host(seed, disks),
            due: Vec::new(),
            next_id,
            seed,
            rolls: 0,
            spent_before: 0,
            epoch: now,
            wall_epoch: wall,
            now,
            events: broadcast::Sender::new(EVENT_BACKLOG),
        };
        for vm in 0..world.vms.len() {
            world.plan_own_will(vm);
        }
        world
    }

    /// Moves time on and applies what has become due, in order.
    pub(super) fn advance(&mut self, to: Instant) {
        while let Some(index) = self.earliest() {
            let Some(due) = self.due.get(index).copied().filter(|due| due.at <= to) else {
                break;
            };
            self.due.swap_remove(index);
            self.now = self.now.max(due.at);
            self.apply(due);
        }
        self.now = self.now.max(to);
    }

    /// Returns when something will happen by itself.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.iter().map(|due| due.at).min()
    }

    /// Returns seconds since the fleet's start.
    pub(super) fn t(&self) -> f64 {
        self.now.duration_since(self.epoch).as_secs_f64()
    }

    /// Returns the time on the wall.
    pub(super) fn wall(&self) -> Timestamp {
        self.wall_at(self.now.duration_since(self.epoch))
    }

    /// Returns the time on the wall so many seconds after the fleet's start, or before it.
    pub(super) fn wall_since_start(&self, seconds: f64) -> Timestamp {
        SignedDuration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|since| self.wall_epoch.checked_add(since).ok())
            .unwrap_or(self.wall_epoch)
    }

    /// Returns the processor time that VMs have used on this host, in nanoseconds; never goes down.
    pub(super) fn cpu_spent(&self) -> u64 {
        let t = self.t();
        let running: u64 = self.vms.iter().map(|vm| vm.cpu_time(t)).sum();
        self.spent_before + running
    }

    /// Returns every VM that libvirt knows.
    pub(super) fn vms(&self) -> impl Iterator<Item = &SimVm> {
        self.vms.iter().filter(|vm| vm.defined)
    }

    pub(super) fn vm_mut(&mut self, index: usize) -> Option<&mut SimVm> {
        self.vms.get_mut(index)
    }

    pub(super) fn vm(&self, index: usize) -> Option<&SimVm> {
        self.vms.get(index)
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Finds a VM the way `virsh` does: by running number, then UUID, then name.
    pub(super) fn find(&self, text: &str) -> Option<usize> {
        let by =
            |check: &dyn Fn(&SimVm) -> bool| self.vms.iter().position(|vm| vm.defined && check(vm));
        text.parse::<u32>()
            .ok()
            .and_then(|id| by(&|vm| vm.id == Some(id)))
            .or_else(|| by(&|vm| vm.plan.uuid.eq_ignore_ascii_case(text)))
            .or_else(|| by(&|vm| vm.plan.name == text))
    }

    /// Starts a VM.
    pub(super) fn start(&mut self, index: usize, options: StartOptions) -> Result<(), Refusal> {
        let (id, t) = (self.next_id, self.t());
        let vm = self.vms.get_mut(index).ok_or(NOT_RUNNING)?;
        if vm.is_active() {
            return Err(ALREADY_ACTIVE);
        }
        let image = vm.saved.filter(|_| !options.discard_saved);
        if image.is_some() {
            vm.take_saved_definition();
        }
        vm.begin(id, t);
        self.next_id += 1;
        let (events, paused): (&[_], bool) = match image {
            Some(true) => (&["Started Restored", "Suspended Restored"], true),
            Some(false) if options.paused => (&["Started Restored", "Suspended Restored"], true),
            Some(false) => (&["Started Restored", "Resumed Snapshot"], false),
            None if options.paused => (&["Started Booted", "Suspended Paused"], true),
            None => (&["Resumed Unpaused", "Started Booted"], false),
        };
        match (image, paused) {
            (Some(_), true) => vm.pause(Reason::PAUSED_FOR_MIGRATION, t),
            (Some(_), false) => vm.run(Reason::RESTORED, t),
            (None, true) => vm.pause(Reason::BY_USER, t),
            (None, false) => vm.run(Reason::BOOTED, t),
        }
        self.tell(index, events);
        Ok(())
    }

    /// Presses the power button: an obedient VM is off some seconds later, another never.
    pub(super) fn shutdown(&mut self, index: usize) -> Result<(), Refusal> {
        self.require(index, |vm| vm.power == Power::Running)?;
        let obeys = self.vm(index).is_some_and(|vm| vm.plan.obeys_shutdown);
        if obeys && !self.is_due(index, Change::PoweredOff) {
            let wait = self.roll_between(2.0, 6.0);
            self.later(index, Change::PoweredOff, wait);
        }
        Ok(())
    }

    /// Asks the VM to reboot: an obedient one has some seconds later, another never does.
    pub(super) fn reboot(&mut self, index: usize) -> Result<(), Refusal> {
        self.require(index, SimVm::is_active)?;
        let obeys = self
            .vm(index)
            .is_some_and(|vm| vm.plan.obeys_shutdown && vm.power == Power::Running);
        if obeys && !self.is_due(index, Change::Rebooted) {
            let wait = self.roll_between(2.0, 5.0);
            self.later(index, Change::Rebooted, wait);
        }
        Ok(())
    }

    /// Presses the reset button.
    pub(super) fn reset(&mut self, index: usize) -> Result<(), Refusal> {
        self.require(index, SimVm::is_active)?;
        self.forget(index);
        self.announce(index, EventKind::Reboot);
        Ok(())
    }

    /// Cuts the power.
    pub(super) fn destroy(&mut self, index: usize) -> Result<(), Refusal> {
        self.require(index, SimVm::is_active)?;
        self.end(
            index,
            Reason::DESTROYED,
            &["Shutdown Finished after host request", "Stopped Destroyed"],
        );
        Ok(())
    }

    /// Pauses a VM; one that is paused already stays so without complaint.
    pub(super) fn suspend(&mut self, index: usize) -> Result<(), Refusal> {
        self.require(index, |vm| {
            matches!(vm.power, Power::Running | Power::Paused)
        })?;
        let t = self.t();
        if let Some(vm) = self.vms.get_mut(index)
            && vm.power == Power::Running
        {
            vm.pause(Reason::BY_USER, t);
            self.tell(index, &["Suspended Paused"]);
        }
        Ok(())
    }

    /// Lets a paused VM go on.
    pub(super) fn resume(&mut self, index: usize) -> Result<(), Refusal> {
        self.require(index, SimVm::is_active)?;
        let t = self.t();
        let vm = self.vms.get_mut(index).ok_or(NOT_RUNNING)?;
        match vm.power {
            Power::Running => return Err(ALREADY_RUNNING),
            Power::Crashed | Power::Shutoff => return Err(NOT_RUNNING),
            Power::Paused => vm.run(Reason::UNPAUSED, t),
        }
        self.tell(index, &["Resumed Unpaused"]);
        Ok(())
    }

    /// Checks that a VM could be saved.
    pub(super) fn may_save(&self, index: usize) -> Result<(), Refusal> {
        self.require(index, |vm| {
            matches!(vm.power, Power::Running | Power::Paused)
        })
    }

    /// Saves a VM's memory and ends it.
    pub(super) fn save(&mut self, index: usize) -> Result<(), Refusal> {
        self.may_save(index)?;
        let was_paused = self.vm(index).is_some_and(|vm| vm.power == Power::Paused);
        if !was_paused {
            self.tell(index, &["Suspended Paused"]);
        }
        if let Some(vm) = self.vms.get_mut(index) {
            vm.keep_running_definition();
        }
        self.end(index, Reason::SAVED, &["Stopped Saved"]);
        if let Some(vm) = self.vms.get_mut(index) {
            vm.saved = Some(was_paused);
        }
        Ok(())
    }

    /// Throws a saved image away; there need not be one.
    pub(super) fn discard_saved(&mut self, index: usize) {
        if let Some(vm) = self.vms.get_mut(index) {
            vm.saved = None;
        }
    }

    /// Sets whether a VM starts with its host.
    pub(super) fn set_autostart(&mut self, index: usize, on: bool) {
        if let Some(vm) = self.vms.get_mut(index) {
            vm.autostart = on;
        }
    }

    /// Adds a VM, as another `virsh define` would.
    pub(super) fn define(&mut self, plan: VmPlan) {
        let vm = SimVm::new(plan, self.next_id);
        self.next_id += u32::from(vm.is_active());
        self.vms.push(vm);
        let index = self.vms.len() - 1;
        self.tell(index, &["Defined Added"]);
        self.plan_own_will(index);
    }

    /// Ends a VM and takes it away, as another `virsh` would.
    pub(super) fn remove(&mut self, index: usize) {
        if self.vm(index).is_some_and(SimVm::is_active) {
            self.destroy(index).unwrap_or_default();
        }
        self.due.retain(|due| due.vm != index);
        if let Some(vm) = self.vms.get_mut(index) {
            vm.defined = false;
        }
        self.tell(index, &["Undefined Removed"]);
    }

    /// Brings a VM into a state at once, as somebody else's `virsh` would.
    pub(super) fn force(&mut self, index: usize, to: SimState) -> Result<(), Refusal> {
        let active = self.vm(index).is_some_and(SimVm::is_active);
        let begin = |world: &mut Self| {
            if active {
                Ok(())
            } else {
                world.start(index, StartOptions::default())
            }
        };
        match to {
            SimState::Running if active => self.resume(index).or_else(|refusal| {
                if refusal == ALREADY_RUNNING {
                    Ok(())
                } else {
                    Err(refusal)
                }
            }),
            SimState::Running => begin(self),
            SimState::Paused => begin(self).and_then(|()| self.suspend(index)),
            SimState::Stopped if active => self.destroy(index),
            SimState::Stopped => {
                self.discard_saved(index);
                Ok(())
            }
            SimState::Saved => begin(self).and_then(|()| self.save(index)),
            SimState::Crashed => {
                begin(self)?;
                let t = self.t();
                self.forget(index);
                if let Some(vm) = self.vms.get_mut(index) {
                    vm.crash(t);
                }
                self.tell(index, &["Crashed Panicked"]);
                Ok(())
            }
        }
    }

    fn apply(&mut self, due: Due) {
        let power = self.vm(due.vm).map(|vm| vm.power);
        match (due.change, power) {
            (Change::PoweredOff, Some(Power::Running)) => self.power_off_by_itself(due.vm),
            // A paused VM hears the button only once it runs again; nobody waits for that here.
            (Change::Rebooted, Some(Power::Running)) => self.announce(due.vm, EventKind::Reboot),
            (Change::PoweredOff | Change::Rebooted, _) | (Change::OwnWill, None) => {}
            (Change::OwnWill, Some(power)) => {
                match power {
                    Power::Running => self.power_off_by_itself(due.vm),
                    Power::Shutoff => drop(self.start(due.vm, StartOptions::default())),
                    // Somebody paused it, or it died: that is for a person.
                    Power::Paused | Power::Crashed => {}
                }
                self.plan_own_will(due.vm);
            }
        }
    }

    fn power_off_by_itself(&mut self, index: usize) {
        self.end(
            index,
            Reason::SHUT_DOWN,
            &["Shutdown Finished after guest request", "Stopped Shutdown"],
        );
    }

    fn end(&mut self, index: usize, reason: Reason, events: &[&'static str]) {
        self.forget(index);
        let t = self.t();
        if let Some(vm) = self.vms.get_mut(index) {
            self.spent_before += vm.cpu_time(t);
            vm.end(reason);
        }
        self.tell(index, events);
    }

    fn plan_own_will(&mut self, index: usize) {
        let Some(mean) = self.vm(index).and_then(|vm| vm.plan.restless) else {
            return;
        };
        let share = self.roll_between(0.5, 1.5);
        self.later(index, Change::OwnWill, mean.mul_f64(share).as_secs_f64());
    }

    /// Drops what a VM was about to do on somebody's request.
    fn forget(&mut self, index: usize) {
        self.due
            .retain(|due| due.vm != index || due.change == Change::OwnWill);
    }

    fn require(&self, index: usize, check: impl Fn(&SimVm) -> bool) -> Result<(), Refusal> {
        self.vm(index)
            .is_some_and(check)
            .then_some(())
            .ok_or(NOT_RUNNING)
    }

    fn is_due(&self, index: usize, change: Change) -> bool {
        self.due
            .iter()
            .any(|due| due.vm == index && due.change == change)
    }

    fn later(&mut self, vm: usize, change: Change, seconds: f64) {
        let at = self.now + Duration::from_secs_f64(seconds);
        self.due.push(Due { at, vm, change });
    }

    fn earliest(&self) -> Option<usize> {
        self.due
            .iter()
            .enumerate()
            .min_by_key(|(_, due)| due.at)
            .map(|(index, _)| index)
    }

    fn roll_between(&mut self, low: f64, high: f64) -> f64 {
        self.rolls += 1;
        low + (high - low) * fraction(mix(self.seed, 77), self.rolls)
    }

    fn tell(&self, index: usize, events: &[&'static str]) {
        for event in events {
            self.announce(index, EventKind::Lifecycle(event));
        }
    }

    fn announce(&self, index: usize, what: EventKind) {
        if self.events.receiver_count() == 0 {
            return;
        }
        if let Some(vm) = self.vm(index) {
            let event = Event {
                at: self.wall(),
                vm: vm.plan.name.clone(),
                uuid: vm.plan.uuid.clone(),
                what,
            };
            // Fails only when the last listener has just gone.
            drop(self.events.send(event));
        }
    }

    fn wall_at(&self, since_start: Duration) -> Timestamp {
        SignedDuration::try_from(since_start)
            .ok()
            .and_then(|since| self.wall_epoch.checked_add(since).ok())
            .unwrap_or(self.wall_epoch)
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
