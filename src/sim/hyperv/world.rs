//! The world of one Hyper-V host: its VMs, the jobs of the management service, what is about to happen,
//! and the processes that run. Pure of I/O: time is given from outside, chance comes from the seed.
//!
//! Requests are those of WMI (Microsoft: `Msvm_ComputerSystem.RequestStateChange`); cmdlets are built on
//! them in `super::cmdlets`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::faults::WindowsFaults;
use super::files::Files;
use super::job::{Job, Outcome};
use super::messages::{About, Failure, Situation, failure};
use super::plan::{Service, WindowsPlan, guid};
use super::profile::Pace;
pub(in crate::sim) use super::request::{Request, code};
use super::state::{Standing, WinState};
use super::vm::WinVm;
use crate::sim::load::{fraction, mix};
use crate::sim::powershell::life::Processes;

/// What will happen by itself.
#[derive(Debug, Clone)]
enum Change {
    /// A transition ends in this state.
    Arrive(WinState),
    /// The guest has shut down.
    GuestOff,
    /// The guest has rebooted.
    GuestRebooted,
    /// The service is no longer busy with it; a checkpoint may have come, gone or been applied.
    Finished(Box<super::checkpoints::Deed>),
    /// The VM does something nobody asked for.
    OwnWill,
    /// The management service restarts, whatever it is at.
    ServiceRestarts,
}

#[derive(Debug, Clone)]
struct Due {
    at: f64,
    vm: String,
    turn: u64,
    change: Change,
}

/// A Hyper-V host's VMs and all that happens to them.
#[derive(Debug)]
pub(in crate::sim) struct WinWorld {
    pub(in crate::sim) plan: WindowsPlan,
    pub(in crate::sim) hostname: String,
    pub(in crate::sim) cpus: u32,
    pub(in crate::sim) memory_kib: u64,
    pub(in crate::sim) faults: WindowsFaults,
    pub(in crate::sim) files: Files,
    pub(in crate::sim) processes: Processes,
    pub(in crate::sim) vms: Vec<WinVm>,
    pub(in crate::sim) jobs: Vec<Job>,
    /// When the management service is back, in seconds since the fleet's start.
    pub(in crate::sim) service_back: f64,
    /// Counts the restarts of the management service.
    pub(in crate::sim) service_turn: u64,
    last_worker: u32,
    due: Vec<Due>,
    seed: u64,
    rolls: u64,
    epoch: Instant,
    wall_epoch: Timestamp,
    now: f64,
}

impl WinWorld {
    /// Makes the world of a host as its plan describes it.
    pub(in crate::sim) fn new(
        mut plan: WindowsPlan,
        machine: Machine,
        now: Instant,
        wall: Timestamp,
    ) -> Self {
        let vms: Vec<WinVm> = std::mem::take(&mut plan.vms)
            .into_iter()
            .map(WinVm::new)
            .collect();
        let mut world = Self {
            faults: plan.faults.clone(),
            files: Files::default(),
            processes: Processes::default(),
            last_worker: 100_000,
            plan,
            hostname: machine.hostname,
            cpus: machine.cpus,
            memory_kib: machine.memory_kib,
            vms,
            jobs: Vec::new(),
            service_back: f64::NEG_INFINITY,
            service_turn: 0,
            due: Vec::new(),
            seed: machine.seed,
            rolls: 0,
            epoch: now,
            wall_epoch: wall,
            now: 0.0,
        };
        for place in 0..world.vms.len() {
            world.settle(place);
        }
        world
    }

    /// A number for a worker process.
    const fn next_worker(&mut self) -> u32 {
        self.last_worker += 4;
        self.last_worker
    }

    /// Gives a VM that has just come its worker, and its own will.
    fn settle(&mut self, place: usize) {
        let pid = self.next_worker();
        if let Some(vm) = self.vms.get_mut(place) {
            vm.pid = vm.state().has_worker().then_some(pid);
            let id = vm.id().to_owned();
            self.plan_own_will(&id);
        }
    }

    /// Moves time on and applies what has become due, in order.
    pub(in crate::sim) fn advance(&mut self, to: Instant) {
        let to = to.saturating_duration_since(self.epoch).as_secs_f64();
        loop {
            let next = self
                .due
                .iter()
                .enumerate()
                .filter(|(_, due)| due.at <= to)
                .min_by(|(_, a), (_, b)| a.at.total_cmp(&b.at))
                .map(|(place, _)| place);
            let Some(place) = next else { break };
            let due = self.due.swap_remove(place);
            self.now = self.now.max(due.at);
            self.apply(due);
        }
        self.now = self.now.max(to);
        let keep = if self.faults.jobs_vanish {
            0.0
        } else {
            self.pace().job_kept.as_secs_f64()
        };
        let now = self.now;
        self.jobs.retain(|job| now < job.ends() + keep);
    }

    /// Seconds since the fleet's start.
    pub(in crate::sim) const fn t(&self) -> f64 {
        self.now
    }

    /// The time on the wall at a time of this world.
    pub(in crate::sim) fn wall_at(&self, t: f64) -> Timestamp {
        let since = SignedDuration::try_from_secs_f64(t).unwrap_or_default();
        self.wall_epoch
            .checked_add(since)
            .unwrap_or(self.wall_epoch)
    }

    /// The time on the wall.
    pub(in crate::sim) fn wall(&self) -> Timestamp {
        self.wall_at(self.now)
    }

    pub(in crate::sim) const fn pace(&self) -> Pace {
        self.plan.pace
    }

    /// Whether the management service answers.
    pub(in crate::sim) fn service_runs(&self) -> bool {
        !self.faults.service_stopped && self.now >= self.service_back
    }

    /// Restarts the management service: it is away for a while, VMs run on.
    pub(in crate::sim) fn restart_service(&mut self) {
        self.service_back = self.now + self.pace().service_restart.as_secs_f64();
        self.service_turn += 1;
        self.jobs.clear();
    }

    /// Lets the management service restart at a time of this world.
    pub(in crate::sim) fn restart_service_at(&mut self, at: f64) {
        self.due.push(Due {
            at,
            vm: String::new(),
            turn: 0,
            change: Change::ServiceRestarts,
        });
    }

    /// Finds a VM by its GUID.
    pub(in crate::sim) fn vm(&self, id: &str) -> Option<&WinVm> {
        self.vms.iter().find(|vm| vm.id().eq_ignore_ascii_case(id))
    }

    pub(in crate::sim) fn vm_mut(&mut self, id: &str) -> Option<&mut WinVm> {
        self.vms
            .iter_mut()
            .find(|vm| vm.id().eq_ignore_ascii_case(id))
    }

    pub(in crate::sim) fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id.eq_ignore_ascii_case(id))
    }

    /// Makes the failure of a situation on a VM, as a cmdlet of that name reports it.
    pub(in crate::sim) fn failure_on(
        &self,
        situation: Situation,
        cmdlet: &str,
        id: &str,
    ) -> Failure {
        let vm = self.vm(id);
        let about = About {
            vm: vm.map_or(id, WinVm::name),
            id,
            host: &self.hostname,
            memory_mib: vm.map_or(0, |vm| vm.settings().memory_mib),
            seven: !self.plan.powershells.has_five(),
        };
        failure(situation, cmdlet, about, self.plan.language)
    }

    /// Asks for another state; answers the job, or WMI's number of the refusal.
    pub(in crate::sim) fn request(&mut self, id: &str, request: Request) -> Result<String, u16> {
        const METHOD: &str = "RequestStateChange";
        let vm = self.vm(id).ok_or(code::NOT_AVAILABLE)?;
        let (state, ready) = (vm.state(), vm.has_service(Service::Shutdown, self.now));
        let critical = vm.standing.critical;
        let provoked = self
            .faults
            .provoked(METHOD)
            .or_else(|| self.faults.provoked(request.cmdlet()));
        if let Some(provoked) = provoked {
            let situation = provoked.error;
            if provoked.at_once || situation.is_at_once() {
                return Err(situation.code());
            }
            return Ok(self.failing_job(id, request, situation));
        }
        let pace = self.pace();
        let (by, to, lasts) = match (request, state) {
            (Request::Enabled, WinState::Paused) => {
                (WinState::Resuming, WinState::Running, pace.pause)
            }
            (Request::Enabled, WinState::Saved | WinState::FastSaved) => {
                (WinState::Starting, WinState::Running, pace.save)
            }
            (Request::Enabled, WinState::Off | WinState::Hibernated) => {
                (WinState::Starting, WinState::Running, pace.start)
            }
            (
                Request::Disabled,
                WinState::Running | WinState::Paused | WinState::Starting | WinState::Resuming,
            ) => (state, WinState::Off, pace.turn_off),
            (Request::ShutDown, WinState::Running) if ready => {
                (WinState::Stopping, WinState::Stopping, pace.turn_off)
            }
            (Request::Offline, WinState::Running | WinState::Paused) => {
                (WinState::Saving, WinState::Saved, pace.save)
            }
            (Request::Quiesce, WinState::Running) => {
                (WinState::Pausing, WinState::Paused, pace.pause)
            }
            (Request::Reboot, WinState::Running) if ready => (state, state, pace.turn_off),
            (Request::ShutDown | Request::Reboot, WinState::Running) => {
                return Err(code::NOT_AVAILABLE);
            }
            (Request::Reset, WinState::Running | WinState::Paused) => {
                (WinState::Reset, WinState::Running, pace.reset)
            }
            _ => return Err(code::INVALID_STATE),
        };
        if critical && request != Request::Disabled {
            return Ok(self.failing_job(id, request, Situation::FailedToChange));
        }
        if self.faults.is_idle(METHOD) || self.faults.is_idle(request.cmdlet()) {
            return Ok(self.begin_job(id, request, lasts, Outcome::Completed));
        }
        let outcome = if self.faults.warns(METHOD) || self.faults.warns(request.cmdlet()) {
            Outcome::CompletedWithWarnings
        } else {
            Outcome::Completed
        };
        let job = self.begin_job(id, request, lasts, outcome);
        match request {
            Request::ShutDown => {
                self.pass(id, WinState::Stopping, lasts, None);
                self.guest_ends(id, Change::GuestOff);
            }
            Request::Reboot => self.guest_ends(id, Change::GuestRebooted),
            _ => {
                if let Some(vm) = self.vm_mut(id)
                    && request == Request::Offline
                {
                    vm.saved_running = state == WinState::Running;
                }
                self.pass(id, by, lasts, Some(to));
            }
        }
        Ok(job)
    }

    /// Asks the guest to end through the shutdown service; it stays Running until it has.
    pub(in crate::sim) fn ask_guest(
        &mut self,
        id: &str,
        reboot: bool,
        force: bool,
    ) -> Result<(), u16> {
        let now = self.now;
        let vm = self.vm(id).ok_or(code::NOT_AVAILABLE)?;
        if vm.state() != WinState::Running {
            return Err(code::INVALID_STATE);
        }
        if !vm.has_service(Service::Shutdown, now) {
            return Err(code::NOT_READY);
        }
        if vm.asked.is_some() {
            return Err(code::IN_PROGRESS);
        }
        if vm.plan.locked && !force {
            return Err(code::LOCKED);
        }
        let method = if reboot {
            "InitiateReboot"
        } else {
            "InitiateShutdown"
        };
        if let Some(provoked) = self.faults.provoked(method) {
            return Err(provoked.error.code());
        }
        if self.faults.is_idle(method) {
            return Ok(());
        }
        let change = if reboot {
            Change::GuestRebooted
        } else {
            Change::GuestOff
        };
        self.guest_ends(id, change);
        Ok(())
    }

    /// Brings a VM into a state at once, as somebody else would, whatever was planned.
    pub(in crate::sim) fn force(&mut self, id: &str, to: Standing) {
        let now = self.now;
        let boot = self.pace().boot.as_secs_f64();
        let pid = self.next_worker();
        for job in &mut self.jobs {
            if job.vm.eq_ignore_ascii_case(id) && !job.is_over(now) {
                job.lasts = (now - job.began).max(0.0);
                job.outcome = Outcome::Terminated;
            }
        }
        let Some(vm) = self.vm_mut(id) else { return };
        let had_worker = vm.state().has_worker();
        vm.bank(now);
        vm.turn += 1;
        vm.asked = None;
        vm.busy = None;
        vm.standing = to;
        match (had_worker, to.state.has_worker()) {
            (false, true) => {
                vm.began = now;
                vm.ready = now + boot;
                vm.pid = Some(pid);
            }
            (true, false) => vm.pid = None,
            _ => {}
        }
    }

    /// Begins a job that will end in failure and change nothing.
    pub(in crate::sim) fn failing_job(
        &mut self,
        id: &str,
        request: Request,
        situation: Situation,
    ) -> String {
        let failure = self.failure_on(situation, request.cmdlet(), id);
        let lasts = self.pace().turn_off;
        self.begin_job(
            id,
            request,
            lasts,
            Outcome::Failed(situation.code(), Box::new(failure)),
        )
    }

    fn begin_job(
        &mut self,
        id: &str,
        request: Request,
        lasts: Duration,
        outcome: Outcome,
    ) -> String {
        // JobType numbers: 3 start, 4 power off, 5 save, 7 reset, 10 pause (Microsoft: Msvm_ConcreteJob).
        let (kind, caption) = match request {
            Request::Enabled => (3, "Starting Virtual Machine"),
            Request::Disabled => (4, "Powering Off Virtual Machine"),
            Request::ShutDown => (4, "Shutting Down Virtual Machine"),
            Request::Offline => (5, "Saving Virtual Machine"),
            Request::Quiesce => (10, "Pausing Virtual Machine"),
            Request::Reboot | Request::Reset => (7, "Resetting Virtual Machine"),
        };
        self.new_job(id, (kind, caption), lasts, outcome)
    }

    /// Records a job that begins now.
    pub(in crate::sim) fn new_job(
        &mut self,
        vm: &str,
        (kind, caption): (u16, &'static str),
        lasts: Duration,
        outcome: Outcome,
    ) -> String {
        self.rolls += 1;
        let id = guid(mix(self.seed ^ 0x0b, self.rolls));
        self.jobs.push(Job {
            id: id.clone(),
            vm: vm.to_owned(),
            kind,
            caption,
            began: self.now,
            lasts: lasts.as_secs_f64(),
            outcome,
        });
        id
    }

    /// Marks a VM busy until a deed of the management service is done.
    pub(in crate::sim) fn busy_until(
        &mut self,
        id: &str,
        status: u16,
        lasts: Duration,
        deed: super::checkpoints::Deed,
    ) {
        let at = self.now + lasts.as_secs_f64();
        let Some(vm) = self.vm_mut(id) else { return };
        vm.busy = Some(status);
        let turn = vm.turn;
        self.due.push(Due {
            at,
            vm: id.to_owned(),
            turn,
            change: Change::Finished(Box::new(deed)),
        });
    }

    /// Puts a VM into a passing state that ends after a while.
    fn pass(&mut self, id: &str, by: WinState, lasts: Duration, to: Option<WinState>) {
        let now = self.now;
        let at = now + lasts.as_secs_f64();
        let Some(vm) = self.vm_mut(id) else { return };
        vm.bank(now);
        vm.turn += 1;
        vm.standing = Standing {
            state: by,
            critical: vm.standing.critical,
        };
        let turn = vm.turn;
        if let Some(to) = to {
            self.due.push(Due {
                at,
                vm: id.to_owned(),
                turn,
                change: Change::Arrive(to),
            });
        }
    }

    fn guest_ends(&mut self, id: &str, change: Change) {
        let share = self.roll_between(0.7, 1.3);
        let at = self.now + self.pace().shutdown.as_secs_f64() * share;
        let now = self.now;
        let Some(vm) = self.vm_mut(id) else { return };
        vm.asked = Some(now);
        if vm.plan.obeys_shutdown {
            let turn = vm.turn;
            self.due.push(Due {
                at,
                vm: id.to_owned(),
                turn,
                change,
            });
        }
    }

    fn apply(&mut self, due: Due) {
        if matches!(due.change, Change::ServiceRestarts) {
            self.restart_service();
            return;
        }
        let Some(vm) = self.vm(&due.vm) else { return };
        let (state, same) = (vm.state(), vm.turn == due.turn);
        match due.change {
            Change::Arrive(to) if same => self.arrive(&due.vm, to),
            Change::GuestOff if same => self.arrive(&due.vm, WinState::Off),
            Change::GuestRebooted if same => {
                let now = self.now;
                let ready = now + self.pace().boot.as_secs_f64();
                let keeps = self.faults.reboot_keeps_uptime;
                if let Some(vm) = self.vm_mut(&due.vm) {
                    vm.asked = None;
                    vm.ready = ready;
                    if !keeps {
                        vm.began = now;
                    }
                }
            }
            Change::Finished(deed) => self.finish(&due.vm, *deed),
            Change::OwnWill => {
                match state {
                    WinState::Running => self.arrive(&due.vm, WinState::Off),
                    WinState::Off => self.pass(
                        &due.vm,
                        WinState::Starting,
                        self.pace().start,
                        Some(WinState::Running),
                    ),
                    _ => {}
                }
                self.plan_own_will(&due.vm);
            }
            Change::Arrive(_)
            | Change::GuestOff
            | Change::GuestRebooted
            | Change::ServiceRestarts => {}
        }
    }

    /// Ends a transition.
    pub(in crate::sim) fn arrive(&mut self, id: &str, to: WinState) {
        let now = self.now;
        let boot = self.pace().boot.as_secs_f64();
        let pid = self.next_worker();
        let Some(vm) = self.vm_mut(id) else { return };
        let from = vm.state();
        vm.bank(now);
        vm.turn += 1;
        vm.asked = None;
        vm.standing.state = to;
        if to.has_worker() {
            let fresh = vm.pid.is_none();
            if fresh {
                vm.began = now;
                vm.pid = Some(pid);
            }
            if fresh || from == WinState::Reset {
                vm.began = now;
                vm.ready = now + boot;
            }
        } else {
            vm.pid = None;
        }
    }

    fn plan_own_will(&mut self, id: &str) {
        let Some(mean) = self.vm(id).and_then(|vm| vm.plan.restless) else {
            return;
        };
        let share = self.roll_between(0.5, 1.5);
        self.due.push(Due {
            at: self.now + mean.as_secs_f64() * share,
            vm: id.to_owned(),
            turn: 0,
            change: Change::OwnWill,
        });
    }

    /// Adds a VM, as somebody else's `New-VM` would.
    pub(in crate::sim) fn define(&mut self, plan: super::plan::WinVmPlan) {
        self.vms.push(WinVm::new(plan));
        self.settle(self.vms.len() - 1);
    }

    /// Takes a VM away, as somebody else would.
    pub(in crate::sim) fn remove(&mut self, id: &str) {
        self.vms.retain(|vm| !vm.id().eq_ignore_ascii_case(id));
        self.due.retain(|due| !due.vm.eq_ignore_ascii_case(id));
    }

    /// A GUID that was not there before.
    pub(in crate::sim) fn fresh_guid(&mut self) -> String {
        self.rolls += 1;
        guid(mix(self.seed ^ 0xc0, self.rolls))
    }

    /// A seed of this host for things that have a name.
    pub(in crate::sim) const fn seed(&self) -> u64 {
        self.seed
    }

    fn roll_between(&mut self, low: f64, high: f64) -> f64 {
        self.rolls += 1;
        low + (high - low) * fraction(mix(self.seed, 77), self.rolls)
    }
}

/// The machine a world runs on.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Machine {
    pub(in crate::sim) hostname: String,
    pub(in crate::sim) cpus: u32,
    pub(in crate::sim) memory_kib: u64,
    pub(in crate::sim) seed: u64,
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
