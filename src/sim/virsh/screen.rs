//! `virsh screenshot` and `virsh send-key`: the screen of a simulated VM, as PNG, and its keyboard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::options::Command;
use super::said::Said;
use crate::domain::picture::Picture;
use crate::sim::host::SimHost;
use crate::sim::load::mix_text;
use crate::sim::picture;
use crate::sim::vm::SimVm;
use crate::sim::vnc;

/// Keys typed into the VMs of a host, by place in its world.
#[derive(Debug, Default)]
pub(in crate::sim) struct Keyboards(Mutex<HashMap<usize, u32>>);

impl Keyboards {
    fn press(&self, index: usize) {
        let mut typed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *typed.entry(index).or_default() += 1;
    }

    fn typed(&self, index: usize) -> u32 {
        let typed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        typed.get(&index).copied().unwrap_or_default()
    }
}

/// Draws the screen of a VM that has one.
pub(super) fn picture(host: &SimHost, command: &Command) -> Option<Vec<u8>> {
    let (index, seed) = host.world(|world| {
        let index = world.find(command.domain())?;
        let vm = world.vm(index)?;
        vm.is_active()
            .then(|| (index, mix_text(vm.plan.seed, &vm.plan.name)))
    })?;
    crate::png::encode(&picture::screen(seed, host.keyboards.typed(index))).ok()
}

/// The display of a simulated VM.
pub(in crate::sim) struct Display {
    host: Arc<SimHost>,
    index: usize,
    seed: u64,
    /// Its VM's name.
    pub(in crate::sim) name: String,
}

impl Display {
    /// Finds the VM whose display has a port, as `domdisplay` tells it.
    pub(in crate::sim) fn on_port(host: &Arc<SimHost>, port: u32) -> Option<Self> {
        let id = port.checked_sub(vnc::BASE)?.checked_add(1)?;
        let (index, seed, name) = host.world(|world| {
            let index = world.find(&id.to_string())?;
            let vm = world.vm(index).filter(|vm| vm.id == Some(id))?;
            let name = vm.plan.name.clone();
            Some((index, mix_text(vm.plan.seed, &name), name))
        })?;
        Some(Self {
            host: Arc::clone(host),
            index,
            seed,
            name,
        })
    }
}

impl vnc::Seen for Display {
    fn picture(&self) -> Picture {
        picture::screen(self.seed, self.host.keyboards.typed(self.index))
    }

    fn press(&self) {
        self.host.keyboards.press(self.index);
    }
}

/// Presses keys together.
pub(super) fn send_key(keyboards: &Keyboards, vm: &SimVm, index: usize, command: &Command) -> Said {
    if !vm.is_active() {
        return Said::error("Requested operation is not valid: domain is not running");
    }
    if let Some(odd) = command.words.iter().find(|word| !is_key(word)) {
        return Said::error(format!("invalid keycode: '{odd}'"));
    }
    keyboards.press(index);
    Said::nothing()
}

/// Names of Linux, or numbers.
fn is_key(word: &str) -> bool {
    word.starts_with("KEY_") || word.parse::<u16>().is_ok()
}
