//! Driving a simulated fleet from outside: what another administrator, a broken cable or a failing
//! machine would do, behind the back of whoever watches it.

use std::collections::BTreeMap;
use std::sync::Arc;

use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKeyBase64};
use russh::server::Config;
use tokio::sync::watch;

use super::error::SimError;
use super::faults::Faults;
use super::host::SimHost;
use super::hyperv::{WindowsControl, control};
use super::scenario::{SimState, VmPlan};
use super::server;
use super::tally::Strangers;
use super::world::Refusal;
use crate::domain::host_key::{HostKey, PinnedKey};

/// The whole fleet.
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) hosts: Arc<[HostControl]>,
    pub(super) strangers: Arc<Strangers>,
}

impl Control {
    /// Returns the host of that name.
    pub fn host(&self, name: &str) -> Result<&HostControl, SimError> {
        self.hosts
            .iter()
            .find(|control| control.host.plan.name.as_str() == name)
            .ok_or_else(|| SimError::NotFound {
                what: "host",
                name: name.to_owned(),
            })
    }

    /// Returns every host, in the order of the scenario.
    pub fn hosts(&self) -> &[HostControl] {
        &self.hosts
    }

    /// Returns how many clients were connected and not logged in at once, at most, over the whole fleet.
    pub fn most_strangers(&self) -> usize {
        self.strangers.most()
    }

    /// Counts anew for [`Self::most_strangers`].
    pub fn forget_most_strangers(&self) {
        self.strangers.forget_most();
    }
}

/// One host.
#[derive(Debug, Clone)]
pub struct HostControl {
    pub(super) host: Arc<SimHost>,
    pub(super) config: watch::Sender<Arc<Config>>,
    pub(super) label: String,
}

/// A VM as the simulated hypervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimVmState {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// What it is doing.
    pub state: SimState,
    /// Whether it starts with its host.
    pub autostart: bool,
}

impl HostControl {
    /// Returns the host's name.
    pub fn name(&self) -> &str {
        self.host.plan.name.as_str()
    }

    /// Returns what drives a Hyper-V host beyond what drives any; `None` for the others.
    pub fn windows(&self) -> Option<WindowsControl> {
        self.host.windows.as_ref().map(|host| WindowsControl {
            host: Arc::clone(host),
        })
    }

    /// Returns every VM.
    pub fn vms(&self) -> Vec<SimVmState> {
        if let Some(windows) = self.windows() {
            return windows.simple();
        }
        self.host.world(|world| {
            world
                .vms()
                .map(|vm| SimVmState {
                    name: vm.plan.name.clone(),
                    uuid: vm.plan.uuid.clone(),
                    state: vm.state(),
                    autostart: vm.autostart,
                })
                .collect()
        })
    }

    /// Returns the VM with that name or UUID.
    pub fn vm(&self, name: &str) -> Result<SimVmState, SimError> {
        self.vms()
            .into_iter()
            .find(|vm| vm.name == name || vm.uuid == name)
            .ok_or_else(|| no_vm(name))
    }

    /// Brings a VM into a state as another `virsh` would, at once, with the events that belong to it.
    pub fn set_state(&self, vm: &str, to: SimState) -> Result<(), SimError> {
        if let Some(windows) = self.windows() {
            return windows.set_state(vm, control::word(to));
        }
        self.host.world(|world| {
            let index = world.find(vm).ok_or_else(|| no_vm(vm))?;
            world
                .force(index, to)
                .map_err(|Refusal(what)| SimError::Scenario {
                    at: vm.to_owned(),
                    what: what.to_owned(),
                })
        })
    }

    /// Adds a VM that is off, as another `virsh define` would.
    pub fn define(&self, name: &str) -> Result<(), SimError> {
        if let Some(windows) = self.windows() {
            windows.define(name);
            return Ok(());
        }
        let plan = VmPlan::plain(name, self.name())?;
        self.host.world(|world| {
            if world.find(name).is_some() {
                return Err(SimError::Scenario {
                    at: name.to_owned(),
                    what: "another VM of this host has this name".to_owned(),
                });
            }
            world.define(plan);
            Ok(())
        })
    }

    /// Ends a VM and takes it away, as another `virsh destroy` and `undefine` would.
    pub fn remove(&self, vm: &str) -> Result<(), SimError> {
        if let Some(windows) = self.windows() {
            return windows.remove(vm);
        }
        self.host.world(|world| {
            let index = world.find(vm).ok_or_else(|| no_vm(vm))?;
            world.remove(index);
            Ok(())
        })
    }

    /// Cuts every connection and closes the port; returns once it is closed.
    pub async fn take_down(&self) {
        self.host.wanted_up.send_replace(false);
        self.reached(false).await;
    }

    /// Opens the port again; returns once it is open.
    pub async fn bring_up(&self) {
        self.host.wanted_up.send_replace(true);
        self.reached(true).await;
    }

    /// Returns how often each command about a VM has arrived, by the VM's UUID and the name of the `virsh`
    /// command, whatever became of it. Of libvirt hosts only.
    pub fn commands(&self) -> BTreeMap<(String, &'static str), usize> {
        self.host.tally.commands()
    }

    /// Returns how many command lines run now. Of libvirt hosts only.
    pub fn running(&self) -> usize {
        self.host.tally.running()
    }

    /// Returns how many clients were connected to this host and not logged in at once, at most.
    pub fn most_strangers(&self) -> usize {
        self.host.tally.strangers().most()
    }

    /// Lets connections stay open and carry nothing, as when a cable is pulled, or carry on.
    pub fn set_silent(&self, silent: bool) {
        self.host.silent.send_replace(silent);
    }

    /// Returns true while the port is open.
    pub fn is_up(&self) -> bool {
        *self.host.is_up.borrow()
    }

    /// Returns what is wrong with the host.
    pub fn faults(&self) -> Faults {
        self.host.faults()
    }

    /// Changes what is wrong with the host, from the next command on.
    pub fn set_faults(&self, faults: Faults) {
        self.host.set_faults(faults);
    }

    /// Gives the host another key, shown from the next connection on.
    pub fn change_host_key(&self) -> Result<PinnedKey, SimError> {
        let key = new_key()?;
        let pinned = pinned(&self.label, &key);
        self.config
            .send_replace(server::config(key, self.host.banner()));
        Ok(pinned)
    }

    /// Waits for the port to be open or closed; a fleet that has ended stays as it is.
    async fn reached(&self, up: bool) {
        drop(self.host.is_up.subscribe().wait_for(|is| *is == up).await);
    }
}

fn no_vm(name: &str) -> SimError {
    SimError::NotFound {
        what: "VM",
        name: name.to_owned(),
    }
}

pub(super) fn new_key() -> Result<PrivateKey, SimError> {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(SimError::Key)
}

pub(super) fn pinned(label: &str, key: &PrivateKey) -> PinnedKey {
    let public = key.public_key();
    PinnedKey {
        label: label.to_owned(),
        key: HostKey {
            algorithm: public.algorithm().as_str().to_owned(),
            base64: public.public_key_base64(),
            fingerprint: public.fingerprint(HashAlg::Sha256).to_string(),
        },
        revoked: false,
    }
}
