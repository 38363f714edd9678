//! One simulated VM: what it is doing and what its counters read. Changes only through [`super::world`].

use super::load::{Curve, counter, fraction, mix};
use super::scenario::{SimState, VmPlan};
use super::snapshot::Snapshots;

/// libvirt's power states, as far as the simulator has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    Running,
    Paused,
    Shutoff,
    Crashed,
}

impl Power {
    /// The number in `state.state`.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Running => 1,
            Self::Paused => 3,
            Self::Shutoff => 5,
            Self::Crashed => 6,
        }
    }

    /// The word of `domstate` and `list`.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Shutoff => "shut off",
            Self::Crashed => "crashed",
        }
    }
}

/// Why a VM is in its state: libvirt's number in `state.reason`, and its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) code: u8,
    pub(super) word: &'static str,
}

impl Reason {
    const fn new(code: u8, word: &'static str) -> Self {
        Self { code, word }
    }

    pub(super) const UNKNOWN: Self = Self::new(0, "unknown");
    pub(super) const BOOTED: Self = Self::new(1, "booted");
    pub(super) const RESTORED: Self = Self::new(3, "restored");
    pub(super) const UNPAUSED: Self = Self::new(5, "unpaused");
    pub(super) const BY_USER: Self = Self::new(1, "user");
    pub(super) const PAUSED_FOR_MIGRATION: Self = Self::new(2, "migrating");
    pub(super) const SHUT_DOWN: Self = Self::new(1, "shutdown");
    pub(super) const DESTROYED: Self = Self::new(2, "destroyed");
    pub(super) const SAVED: Self = Self::new(5, "saved");
    pub(super) const PANICKED: Self = Self::new(1, "panicked");
}

/// Work done since the VM was started, in load-seconds of its curves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    pub(super) cpu: f64,
    pub(super) disk: f64,
    pub(super) net: f64,
}

/// Counts work while the VM runs; computed when read.
#[derive(Debug, Clone, Copy, Default)]
struct Meter {
    banked: Work,
    since: Option<f64>,
}

/// What is kept about a VM while it runs with other values: what it is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Defined {
    pub(super) vcpus: u32,
    pub(super) vcpus_max: u32,
    pub(super) memory_kib: u64,
    pub(super) memory_max_kib: u64,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
}

impl Defined {
    fn of(plan: &VmPlan) -> Self {
        Self {
            vcpus: plan.vcpus,
            vcpus_max: plan.vcpus,
            memory_kib: plan.memory_kib,
            memory_max_kib: plan.memory_kib,
            title: plan.title.clone(),
            description: plan.description.clone(),
        }
    }
}

/// A VM.
#[derive(Debug)]
pub(super) struct SimVm {
    /// What it runs with, or would.
    pub(super) plan: VmPlan,
    pub(super) kept: Defined,
    pub(super) power: Power,
    pub(super) reason: Reason,
    /// libvirt's running number, present while a process of the VM exists.
    pub(super) id: Option<u32>,
    pub(super) autostart: bool,
    /// Whether a saved image of its memory exists, and whether the VM was paused in it.
    pub(super) saved: Option<bool>,
    /// What it ran with when that image was made: it goes on with that, whatever was defined since.
    saved_with: Option<Defined>,
    /// Whether libvirt knows it; one that does not any more is kept so that numbers stay.
    pub(super) defined: bool,
    pub(super) snapshots: Snapshots,
    meter: Meter,
    /// When its process began, in seconds since the fleet's start.
    began: f64,
}

impl SimVm {
    /// Makes a VM in the state its plan wants, with `id` should it need one.
    pub(super) fn new(plan: VmPlan, id: u32) -> Self {
        let (power, reason) = match plan.state {
            SimState::Running => (Power::Running, Reason::BOOTED),
            SimState::Paused => (Power::Paused, Reason::BY_USER),
            SimState::Stopped => (Power::Shutoff, Reason::UNKNOWN),
            SimState::Saved => (Power::Shutoff, Reason::SAVED),
            SimState::Crashed => (Power::Crashed, Reason::PANICKED),
        };
        let mut vm = Self {
            power,
            reason,
            id: (power != Power::Shutoff).then_some(id),
            autostart: plan.autostart,
            saved: (plan.state == SimState::Saved).then_some(false),
            saved_with: None,
            defined: true,
            snapshots: Snapshots::of_plan(
                plan.snapshots
                    .iter()
                    .map(|(name, age)| (name.clone(), age.as_secs_f64())),
            ),
            meter: Meter::default(),
            began: -plan.uptime.as_secs_f64(),
            kept: Defined::of(&plan),
            plan,
        };
        if vm.is_active() {
            vm.meter.since = Some(-vm.plan.uptime.as_secs_f64());
            if power != Power::Running {
                vm.stop_counting(0.0);
            }
        }
        vm
    }

    /// Returns true while a process of the VM exists.
    pub(super) const fn is_active(&self) -> bool {
        self.id.is_some()
    }

    /// Returns the state in the scenario's words.
    pub(super) fn state(&self) -> SimState {
        match self.power {
            Power::Running => SimState::Running,
            Power::Paused => SimState::Paused,
            Power::Crashed => SimState::Crashed,
            Power::Shutoff if self.saved.is_some() => SimState::Saved,
            Power::Shutoff => SimState::Stopped,
        }
    }

    /// Begins a new process: counters start at zero.
    pub(super) fn begin(&mut self, id: u32, t: f64) {
        self.id = Some(id);
        self.began = t;
        self.saved = None;
        self.saved_with = None;
        self.meter = Meter::default();
    }

    /// Keeps what it runs with, for the image that is made of it.
    pub(super) fn keep_running_definition(&mut self) {
        self.saved_with = Some(Defined::of(&self.plan));
    }

    /// Takes what it ran with when its image was made.
    pub(super) fn take_saved_definition(&mut self) {
        if let Some(ran_with) = self.saved_with.take() {
            self.run_with(ran_with);
        }
    }

    pub(super) fn run(&mut self, reason: Reason, t: f64) {
        self.power = Power::Running;
        self.reason = reason;
        if self.meter.since.is_none() {
            self.meter.since = Some(t);
        }
    }

    pub(super) fn pause(&mut self, reason: Reason, t: f64) {
        self.stop_counting(t);
        self.power = Power::Paused;
        self.reason = reason;
    }

    pub(super) fn crash(&mut self, t: f64) {
        self.stop_counting(t);
        self.power = Power::Crashed;
        self.reason = Reason::PANICKED;
    }

    pub(super) fn end(&mut self, reason: Reason) {
        self.id = None;
        self.power = Power::Shutoff;
        self.reason = reason;
        self.meter = Meter::default();
        self.take_over();
    }

    /// Changes what is kept about it; without a process, it is that at once.
    pub(super) fn define(&mut self, change: impl FnOnce(&mut Defined)) {
        change(&mut self.kept);
        if !self.is_active() {
            self.take_over();
        }
    }

    fn take_over(&mut self) {
        self.run_with(self.kept.clone());
    }

    fn run_with(&mut self, definition: Defined) {
        self.plan.vcpus = definition.vcpus;
        self.plan.memory_kib = definition.memory_kib;
        self.plan.title = definition.title;
        self.plan.description = definition.description;
    }

    /// Returns the age of its process in seconds, where it has one.
    pub(super) fn age(&self, t: f64) -> Option<f64> {
        self.id.map(|_| (t - self.began).max(0.0))
    }

    /// Returns the work done by this process until `t`.
    pub(super) fn work(&self, t: f64) -> Work {
        let Some(since) = self.meter.since else {
            return self.meter.banked;
        };
        let area = |curve: Curve| curve.area(since, t.max(since));
        Work {
            cpu: self.meter.banked.cpu + area(self.cpu_curve()),
            disk: self.meter.banked.disk + area(self.curve(2, 0.4)),
            net: self.meter.banked.net + area(self.curve(3, 0.4)),
        }
    }

    /// Returns processor time in nanoseconds.
    pub(super) fn cpu_time(&self, t: f64) -> u64 {
        counter(self.work(t).cpu * f64::from(self.plan.vcpus) * 1e9)
    }

    /// Returns the share of its memory that the VM has in use.
    pub(super) fn memory_level(&self, t: f64) -> f64 {
        self.curve(4, self.plan.memory).level(t)
    }

    /// Returns the address of its network card.
    pub(super) fn mac(&self) -> String {
        let tail = mix(self.plan.seed, 21);
        format!(
            "52:54:00:{:02x}:{:02x}:{:02x}",
            (tail >> 16) & 0xff,
            (tail >> 8) & 0xff,
            tail & 0xff
        )
    }

    /// Returns the path of its disk.
    pub(super) fn disk_path(&self) -> String {
        format!("/var/lib/libvirt/images/{}.qcow2", self.plan.name)
    }

    /// Returns how much of its disk is written.
    pub(super) fn disk_used(&self) -> u64 {
        let share = 0.15 + 0.7 * fraction(self.plan.seed, 22);
        counter(share * super::load::figure(self.plan.disk_bytes)) / 65_536 * 65_536
    }

    fn cpu_curve(&self) -> Curve {
        self.curve(1, self.plan.cpu)
    }

    fn curve(&self, which: u64, mean: f64) -> Curve {
        Curve::new(mix(self.plan.seed, which), mean)
    }

    fn stop_counting(&mut self, t: f64) {
        self.meter.banked = self.work(t);
        self.meter.since = None;
    }
}
