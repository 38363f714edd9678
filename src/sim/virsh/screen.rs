//! `virsh screenshot` and `virsh send-key`: the screen of a simulated VM, as PNG, and its keyboard.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::options::Command;
use super::said::Said;
use crate::sim::host::SimHost;
use crate::sim::load::mix_text;
use crate::sim::picture;
use crate::sim::vm::SimVm;

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
