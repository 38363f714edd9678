//! One VM of a Hyper-V host: what it is doing and what its gauges read. Changes only through
//! [`super::world`]; every figure is a function of time.

use std::fmt::Write as _;

use super::plan::{Checkpoint, Controller, Disk, Service, Settings, WinVmPlan};
use super::state::{Standing, WinState};
use crate::sim::load::{Curve, counter, figure, mix, mix_text};

/// Bytes of a mebibyte.
pub(in crate::sim) const MIB: u64 = 1 << 20;

/// Which curves its disks and its cards follow.
pub(in crate::sim) const DISKS: u64 = 2;
pub(in crate::sim) const CARDS: u64 = 3;

/// How traffic divides: what comes, what goes.
const fn shares(bytes: f64) -> (u64, u64) {
    (counter(bytes * 0.6), counter(bytes * 0.4))
}

/// A VM.
#[derive(Debug, Clone)]
pub(in crate::sim) struct WinVm {
    pub(in crate::sim) plan: WinVmPlan,
    pub(in crate::sim) standing: Standing,
    /// Counts its changes; what was planned before a change is void.
    pub(in crate::sim) turn: u64,
    /// When its worker began, in seconds since the fleet's start.
    pub(in crate::sim) began: f64,
    /// When its guest's services answer.
    pub(in crate::sim) ready: f64,
    /// When the guest was asked to end or to begin anew, while it is still at it.
    pub(in crate::sim) asked: Option<f64>,
    /// Its worker process, while it has one.
    pub(in crate::sim) pid: Option<u32>,
    /// What cmdlets may still show, and until when.
    pub(in crate::sim) stale: Option<(f64, Box<Settings>)>,
    /// What the management service is doing with it besides (`OperationalStatus`).
    pub(in crate::sim) busy: Option<u16>,
    /// How it was when it was saved: running or paused.
    pub(in crate::sim) saved_running: bool,
    /// Keys that were typed into it.
    pub(in crate::sim) typed: u32,
    /// Load-seconds of its disks and of its cards up to the moment after them.
    carried: (f64, f64),
    carried_until: f64,
}

impl WinVm {
    /// Makes a VM in the state its plan wants.
    pub(in crate::sim) fn new(plan: WinVmPlan) -> Self {
        let began = -plan.uptime.as_secs_f64();
        Self {
            standing: plan.standing,
            turn: 0,
            began,
            ready: began,
            asked: None,
            pid: None,
            stale: None,
            busy: None,
            saved_running: true,
            typed: 0,
            carried: (0.0, 0.0),
            carried_until: began,
            plan,
        }
    }

    pub(in crate::sim) const fn state(&self) -> WinState {
        self.standing.state
    }

    pub(in crate::sim) fn id(&self) -> &str {
        &self.plan.id
    }

    pub(in crate::sim) fn name(&self) -> &str {
        &self.plan.settings.name
    }

    pub(in crate::sim) const fn settings(&self) -> &Settings {
        &self.plan.settings
    }

    /// Its settings as cmdlets show them at a moment.
    pub(in crate::sim) fn shown_settings(&self, t: f64) -> &Settings {
        match &self.stale {
            Some((until, old)) if t < *until => old,
            _ => self.settings(),
        }
    }

    /// Whether its guest runs and answers.
    pub(in crate::sim) fn is_ready(&self, t: f64) -> bool {
        self.plan.guest_services && self.state() == WinState::Running && t >= self.ready
    }

    /// Whether the guest answers through a service.
    pub(in crate::sim) fn has_service(&self, service: Service, t: f64) -> bool {
        self.is_ready(t) && self.plan.offered.contains(&service)
    }

    /// Milliseconds since its worker began; 0 without one.
    pub(in crate::sim) fn uptime_ms(&self, t: f64) -> u64 {
        if self.state().has_worker() {
            counter((t - self.began).max(0.0) * 1000.0)
        } else {
            0
        }
    }

    /// How busy its processors are, 0..1.
    pub(in crate::sim) fn cpu_level(&self, t: f64) -> f64 {
        if self.state() == WinState::Running {
            self.curve(1, self.plan.cpu).level(t)
        } else {
            0.0
        }
    }

    /// Guest run time in percent of the host's processors.
    pub(in crate::sim) fn host_load(&self, t: f64, host_cpus: u32) -> u16 {
        let busy = self.cpu_level(t) * f64::from(self.settings().vcpus);
        let percent = (busy / f64::from(host_cpus.max(1)) * 100.0).round();
        u16::try_from(counter(percent)).unwrap_or(100).min(100)
    }

    /// Memory pressure in percent of what it has, where its memory is dynamic.
    pub(in crate::sim) fn pressure(&self, t: f64) -> u64 {
        counter((40.0 + 60.0 * self.curve(4, self.plan.memory).level(t)).round())
    }

    /// Mebibytes that it holds on the host; 0 without a worker.
    pub(in crate::sim) fn memory_mib(&self, t: f64) -> u64 {
        if !self.state().has_worker() {
            return 0;
        }
        match self.settings().dynamic {
            None => self.settings().memory_mib,
            Some((least, most)) => {
                let room = figure(most.saturating_sub(least));
                let level = self.curve(5, self.plan.memory).level(t);
                // The balancer works in steps of two mebibytes.
                least + counter(room * level) / 2 * 2
            }
        }
    }

    /// Bytes that its guest wants.
    pub(in crate::sim) fn demand(&self, t: f64) -> u64 {
        match self.settings().dynamic {
            None => 0,
            Some(_) => self.memory_mib(t) * MIB * self.pressure(t) / 100,
        }
    }

    /// Bytes per second that a disk or a network card carries now, each way.
    pub(in crate::sim) fn traffic(&self, which: u64, mean: f64, t: f64) -> (u64, u64) {
        if self.state() != WinState::Running {
            return (0, 0);
        }
        shares(mean * self.curve(which, 0.4).level(t) / 0.4)
    }

    /// Notes what its devices have carried, before its state changes. Its counters end with its worker.
    pub(in crate::sim) fn bank(&mut self, t: f64) {
        self.carried = if self.state().has_worker() {
            self.load_seconds(t)
        } else {
            (0.0, 0.0)
        };
        self.carried_until = t;
    }

    /// Load-seconds of its disks and of its cards since its worker began.
    fn load_seconds(&self, t: f64) -> (f64, f64) {
        let (disk, net) = self.carried;
        if self.state() != WinState::Running {
            return (disk, net);
        }
        let more = |which| {
            let curve = self.curve(which, 0.4);
            curve.area(self.carried_until, t.max(self.carried_until)) / 0.4
        };
        (disk + more(DISKS), net + more(CARDS))
    }

    /// Bytes that its disks have read and written since its worker began.
    pub(in crate::sim) fn disk_bytes(&self, t: f64) -> (u64, u64) {
        shares(self.plan.disk_rate * self.load_seconds(t).0)
    }

    /// Bytes that its cards have received and sent since its worker began.
    pub(in crate::sim) fn net_bytes(&self, t: f64) -> (u64, u64) {
        shares(self.plan.net_rate * self.load_seconds(t).1)
    }

    /// `Heartbeat` of WMI: 2 OK, 12 no contact; `None` while there is nothing to beat.
    pub(in crate::sim) fn heartbeat(&self, t: f64) -> Option<u16> {
        let offered = self.plan.offered.contains(&Service::Heartbeat);
        match self.state() {
            WinState::Running if offered && self.is_ready(t) => Some(2),
            WinState::Running if offered => Some(12),
            _ => None,
        }
    }

    /// `OperationalStatus`: first the health, then what else is going on.
    pub(in crate::sim) fn operational_status(&self) -> Vec<u16> {
        // 11 "in service", 3 "degraded", 32782 is the critical application state in the cmdlets'
        // enumeration; a VM whose files are gone shows 32795.
        if self.standing.critical {
            return vec![3, 32795];
        }
        match self.busy {
            Some(what) => vec![11, what],
            None => vec![2],
        }
    }

    /// Addresses that the guest tells.
    pub(in crate::sim) fn addresses(&self, nic: usize, t: f64) -> &[String] {
        match self.plan.nics.get(nic) {
            Some(nic) if nic.switch.is_some() && self.has_service(Service::KeyValue, t) => {
                &nic.addresses
            }
            _ => &[],
        }
    }

    pub(in crate::sim) fn checkpoint(&self, id: &str) -> Option<&Checkpoint> {
        self.plan
            .checkpoints
            .iter()
            .find(|checkpoint| checkpoint.id.eq_ignore_ascii_case(id))
    }

    /// Checkpoints from one up to the root, that one first.
    pub(in crate::sim) fn ancestry<'a>(&'a self, from: Option<&'a str>) -> Vec<&'a Checkpoint> {
        let mut found: Vec<&Checkpoint> = Vec::new();
        let mut next = from;
        while let Some(checkpoint) = next.and_then(|id| self.checkpoint(id)) {
            if found.len() > self.plan.checkpoints.len() {
                break;
            }
            next = checkpoint.parent.as_deref();
            found.push(checkpoint);
        }
        found
    }

    /// The file a disk writes to while it stands on a checkpoint, and the files below it.
    pub(in crate::sim) fn disk_chain(&self, disk: &Disk, on: Option<&str>) -> Vec<String> {
        if disk.physical.is_some() {
            return Vec::new();
        }
        let stem = disk.path.rsplit_once('.').map_or(&*disk.path, |(s, _)| s);
        let mut chain: Vec<String> = self
            .ancestry(on)
            .iter()
            .map(|checkpoint| {
                let id = super::plan::guid(mix_text(mix(self.plan.seed, 31), &checkpoint.id));
                format!("{stem}_{id}.avhdx")
            })
            .collect();
        chain.push(disk.path.clone());
        chain.extend(disk.parents.iter().cloned());
        chain
    }

    /// The folder of its files.
    pub(in crate::sim) fn folder(&self) -> String {
        let mut path = String::from("C:\\Hyper-V\\");
        let safe = self.name().replace(['*', '?', '"', '<', '>', '|'], "_");
        // Writing to a string does not fail.
        write!(path, "{safe}").unwrap_or_default();
        path
    }

    fn curve(&self, which: u64, mean: f64) -> Curve {
        Curve::new(mix(self.plan.seed, which), mean)
    }
}

impl Controller {
    /// Its number and name in `Microsoft.HyperV.PowerShell.ControllerType`.
    pub(in crate::sim) const fn named(self) -> (i64, &'static str) {
        match self {
            Self::Ide => (0, "IDE"),
            Self::Scsi => (1, "SCSI"),
        }
    }
}
