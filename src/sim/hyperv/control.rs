//! Driving a simulated Hyper-V host from outside: what another administrator, a failing disk or a
//! restarted service would do, behind the back of whoever watches it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::faults::{Provocation, WindowsFaults};
use super::host::WinHost;
use super::job;
use super::plan::WinVmPlan;
use super::profile::Pace;
use super::state::{Standing, WinState};
use super::vm::WinVm;
use crate::sim::error::SimError;
use crate::sim::scenario::SimState;

/// The start action of a VM that stays off when its host starts.
const NO_START: u16 = 2;

/// A Hyper-V host.
#[derive(Debug, Clone)]
pub struct WindowsControl {
    pub(in crate::sim) host: Arc<WinHost>,
}

/// A VM as the simulated host sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct WinVmState {
    /// Its GUID, upper case.
    pub id: String,
    /// Its name, which others may have too.
    pub name: String,
    /// What it is doing.
    pub standing: Standing,
    /// 2 nothing, 3 if it was running, 4 always.
    pub start_action: u16,
    /// Its notes.
    pub notes: String,
    /// How many processors it is set up with.
    pub vcpus: u32,
    /// Mebibytes of memory that it starts with.
    pub memory_mib: u64,
    /// How many keys its keyboard was made to press.
    pub typed: u32,
    /// Names of its checkpoints, in the order in which they were made.
    pub checkpoints: Vec<String>,
    /// The checkpoint it stands on.
    pub current: Option<String>,
    /// Whether its guest answers the host.
    pub ready: bool,
    /// Whether its guest was asked to end, or to restart, and has not done so yet.
    pub asked: bool,
}

/// A job of the management service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WinJob {
    /// Its id.
    pub id: String,
    /// The VM it works on.
    pub vm: String,
    /// Its `JobState`: 3, 4, 7, 10, ...
    pub state: u16,
}

/// A process on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WinProcess {
    /// Its id.
    pub id: u32,
    /// Its name without `.exe`.
    pub name: String,
    /// Whether the client that started it has left.
    pub left_behind: bool,
}

impl WindowsControl {
    /// Returns every VM.
    pub fn vms(&self) -> Vec<WinVmState> {
        self.host.world(|world| {
            let t = world.t();
            world.vms.iter().map(|vm| seen(vm, t)).collect()
        })
    }

    /// Returns the VM with that GUID, or the only one of that name.
    pub fn vm(&self, wanted: &str) -> Result<WinVmState, SimError> {
        let mut found: Vec<WinVmState> = self
            .vms()
            .into_iter()
            .filter(|vm| vm.id.eq_ignore_ascii_case(wanted) || vm.name == wanted)
            .collect();
        match (found.pop(), found.is_empty()) {
            (Some(vm), true) => Ok(vm),
            (Some(_), false) => Err(SimError::Scenario {
                at: wanted.to_owned(),
                what: "several VMs have this name: use the GUID".to_owned(),
            }),
            (None, _) => Err(SimError::NotFound {
                what: "VM",
                name: wanted.to_owned(),
            }),
        }
    }

    /// Brings a VM into a state at once, by a word of the scenario such as `paused` or `off-critical`;
    /// jobs that work on it are terminated.
    pub fn set_state(&self, vm: &str, word: &str) -> Result<(), SimError> {
        let id = self.vm(vm)?.id;
        let to = Standing::parse(word).ok_or_else(|| SimError::Scenario {
            at: vm.to_owned(),
            what: format!("`{word}` is no state"),
        })?;
        self.host.world(|world| world.force(&id, to));
        Ok(())
    }

    /// Adds a VM that is off; others may have its name. Returns its GUID.
    pub fn define(&self, name: &str) -> String {
        self.host.world(|world| {
            let mut plan = WinVmPlan::plain(name, world.seed());
            plan.id = world.fresh_guid();
            let id = plan.id.clone();
            world.define(plan);
            id
        })
    }

    /// Takes a VM away.
    pub fn remove(&self, vm: &str) -> Result<(), SimError> {
        let id = self.vm(vm)?.id;
        self.host.world(|world| world.remove(&id));
        Ok(())
    }

    /// Gives a VM another name, or notes.
    pub fn rename(&self, vm: &str, name: &str) -> Result<(), SimError> {
        let id = self.vm(vm)?.id;
        self.host.world(|world| {
            if let Some(vm) = world.vm_mut(&id) {
                name.clone_into(&mut vm.plan.settings.name);
            }
        });
        Ok(())
    }

    /// Keeps the files of the host in a folder of this machine as well, by their names.
    pub fn keep_files_in(&self, folder: PathBuf) {
        self.host.world(|world| world.files.keep_in(folder));
    }

    /// Writes a file of the host, with these rights as SDDL.
    pub fn put_file(&self, path: &str, bytes: &[u8], rights: &str) {
        let bytes = bytes.to_vec();
        self.host
            .world(|world| world.files.put(path, bytes, Some(rights)));
    }

    /// Returns a file of the host: its bytes, and its rights as SDDL.
    pub fn file(&self, path: &str) -> Option<(Vec<u8>, String)> {
        self.host.world(|world| {
            let file = world.files.get(path)?;
            Some((file.bytes.clone(), file.rights.clone()))
        })
    }

    /// Sets whether a VM's guest answers the host and obeys a request to shut down.
    pub fn set_guest(&self, vm: &str, services: bool, obeys: bool) -> Result<(), SimError> {
        let id = self.vm(vm)?.id;
        self.host.world(|world| {
            if let Some(vm) = world.vm_mut(&id) {
                vm.plan.guest_services = services;
                vm.plan.obeys_shutdown = obeys;
            }
        });
        Ok(())
    }

    /// Makes a checkpoint at once, as another administrator would.
    pub fn checkpoint(&self, vm: &str, name: &str) -> Result<(), SimError> {
        let id = self.vm(vm)?.id;
        self.host.world(|world| {
            let made = world.create_checkpoint(&id, Some(name.to_owned()));
            made.map(drop).map_err(|code| SimError::Scenario {
                at: vm.to_owned(),
                what: format!("no checkpoint can be made ({code})"),
            })
        })
    }

    /// Returns what is wrong with the host.
    pub fn faults(&self) -> WindowsFaults {
        self.host.world(|world| world.faults.clone())
    }

    /// Changes what is wrong with the host, from the next command on.
    pub fn set_faults(&self, faults: WindowsFaults) {
        self.host.world(|world| world.faults = faults);
    }

    /// Lets the next matching command fail.
    pub fn provoke(&self, provocation: Provocation) {
        self.host
            .world(|world| world.faults.provoke.push(provocation));
    }

    /// Changes how long things take.
    pub fn set_pace(&self, change: impl FnOnce(&mut Pace)) {
        self.host.world(|world| change(&mut world.plan.pace));
    }

    /// Restarts the management service: it is away for a while, and watchers die without a word.
    pub fn restart_service(&self) {
        self.host.world(super::world::WinWorld::restart_service);
    }

    /// Restarts the management service after a while, in the middle of whatever it is at then.
    pub fn restart_service_in(&self, time: Duration) {
        self.host
            .world(|world| world.restart_service_at(world.t() + time.as_secs_f64()));
    }

    /// Whether the management service answers.
    pub fn service_runs(&self) -> bool {
        self.host.world(|world| world.service_runs())
    }

    /// Returns the jobs that the service still remembers.
    pub fn jobs(&self) -> Vec<WinJob> {
        self.host.world(|world| {
            let t = world.t();
            let jobs = world.jobs.iter().map(|job| WinJob {
                id: job.id.clone(),
                vm: job.vm.clone(),
                state: job.state(t),
            });
            jobs.collect()
        })
    }

    /// Returns how many jobs have not ended.
    pub fn running_jobs(&self) -> usize {
        self.jobs()
            .iter()
            .filter(|one| matches!(one.state, job::STARTING | job::RUNNING))
            .count()
    }

    /// Returns the processes that clients have started and that still run.
    pub fn processes(&self) -> Vec<WinProcess> {
        self.host
            .processes()
            .list()
            .into_iter()
            .filter(|process| process.launch != 0)
            .map(|process| WinProcess {
                left_behind: self.host.is_left_behind(process.launch),
                id: process.id,
                name: process.name,
            })
            .collect()
    }

    /// Ends a process; false when there is none of that id.
    pub fn end_process(&self, id: u32) -> bool {
        self.host.processes().stop(id)
    }

    /// How long the host has lived.
    pub fn age(&self) -> Duration {
        let t = self.host.world(|world| world.t());
        Duration::try_from_secs_f64(t).unwrap_or_default()
    }

    /// Returns every VM in the words of any simulated host.
    pub(in crate::sim) fn simple(&self) -> Vec<crate::sim::control::SimVmState> {
        self.vms()
            .into_iter()
            .map(|vm| crate::sim::control::SimVmState {
                name: vm.name,
                uuid: vm.id.to_lowercase(),
                state: simple(vm.standing),
                autostart: vm.start_action != NO_START,
            })
            .collect()
    }
}

/// The nearest of the states that every hypervisor has.
const fn simple(standing: Standing) -> SimState {
    if standing.critical {
        return SimState::Crashed;
    }
    match standing.state {
        WinState::Running
        | WinState::Stopping
        | WinState::Saving
        | WinState::Pausing
        | WinState::Reset
        | WinState::FastSaving => SimState::Running,
        WinState::Paused | WinState::Resuming => SimState::Paused,
        WinState::Saved | WinState::FastSaved | WinState::Hibernated => SimState::Saved,
        WinState::Off | WinState::Starting | WinState::Unnamed(_) => SimState::Stopped,
    }
}

/// The word of the scenario for a state that every hypervisor has.
pub(in crate::sim) const fn word(state: SimState) -> &'static str {
    match state {
        SimState::Running => "running",
        SimState::Paused => "paused",
        SimState::Stopped => "off",
        SimState::Saved => "saved",
        SimState::Crashed => "off-critical",
    }
}

fn seen(vm: &WinVm, t: f64) -> WinVmState {
    let name_of = |id: &str| vm.checkpoint(id).map(|one| one.name.clone());
    WinVmState {
        id: vm.id().to_owned(),
        name: vm.name().to_owned(),
        standing: vm.standing,
        start_action: vm.settings().start_action,
        notes: vm.settings().notes.clone(),
        vcpus: vm.settings().vcpus,
        memory_mib: vm.settings().memory_mib,
        typed: vm.typed,
        checkpoints: vm
            .plan
            .checkpoints
            .iter()
            .map(|one| one.name.clone())
            .collect(),
        current: vm.plan.current.as_deref().and_then(name_of),
        ready: vm.is_ready(t),
        asked: vm.asked.is_some(),
    }
}
