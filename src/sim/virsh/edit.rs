//! Commands of `virsh` that change what is kept about a domain: `setvcpus`, `setmem`, `setmaxmem`, `desc`. With
//! `--config` alone a domain that runs goes on as it is.

use super::options::Command;
use super::said::Said;
use crate::sim::host::SimHost;
use crate::sim::vm::{Defined, SimVm};

/// Runs a command that changes a definition; `None` when it is no such command.
pub(super) fn edit(host: &SimHost, index: usize, command: &Command) -> Option<Said> {
    let said = match command.spec.name {
        "setvcpus" => set_vcpus(host, index, command),
        "setmem" => set_memory(host, index, command, false),
        "setmaxmem" => set_memory(host, index, command, true),
        "desc" => set_words(host, index, command)?,
        _ => return None,
    };
    Some(said)
}

fn set_vcpus(host: &SimHost, index: usize, command: &Command) -> Said {
    let count: u32 = match command.value("count").map(str::parse) {
        Some(Ok(0)) => return Said::error("Can't set 0 processors for a VM"),
        Some(Ok(count)) => count,
        _ => return not_a_number(command, "count"),
    };
    let maximum = command.has("maximum");
    change(host, index, command, move |kept| {
        if maximum {
            kept.vcpus_max = count;
            kept.vcpus = kept.vcpus.min(count);
        } else if count > kept.vcpus_max {
            let most = kept.vcpus_max;
            return Err(format!(
                "invalid argument: requested vcpus is greater than max allowable vcpus for the persistent domain: {count} > {most}"
            ));
        } else {
            kept.vcpus = count;
        }
        Ok(())
    })
}

fn set_memory(host: &SimHost, index: usize, command: &Command, maximum: bool) -> Said {
    // Sizes without a unit are KiB.
    let Some(kib) = command
        .value("size")
        .and_then(|size| size.parse::<u64>().ok())
    else {
        return not_a_number(command, "size");
    };
    change(host, index, command, move |kept| {
        if maximum {
            kept.memory_max_kib = kib;
            kept.memory_kib = kept.memory_kib.min(kib);
        } else if kib > kept.memory_max_kib {
            return Err("invalid argument: cannot set memory higher than max memory".to_owned());
        } else {
            kept.memory_kib = kib;
        }
        Ok(())
    })
}

/// `desc` with new words; without them it only prints.
fn set_words(host: &SimHost, index: usize, command: &Command) -> Option<Said> {
    let words = command.value("new-desc")?.trim_end().to_owned();
    let is_title = command.has("title");
    if is_title && words.contains('\n') {
        return Some(Said::errors(
            "Failed to set new domain title".to_owned(),
            "metadata title can't contain newlines".to_owned(),
        ));
    }
    let words = (!words.is_empty()).then_some(words);
    let live = command.has("live");
    let set = |vm: &mut SimVm| {
        if live && !vm.is_active() {
            return Err("Requested operation is not valid: domain is not running".to_owned());
        }
        if live {
            let shown = if is_title {
                &mut vm.plan.title
            } else {
                &mut vm.plan.description
            };
            shown.clone_from(&words);
        }
        vm.define(|kept| {
            if is_title {
                kept.title = words;
            } else {
                kept.description = words;
            }
        });
        Ok(())
    };
    Some(host.world(|world| match world.vm_mut(index).map(set) {
        Some(Ok(())) => Said::nothing(),
        Some(Err(why)) => Said::error(why),
        None => gone(),
    }))
}

fn change(
    host: &SimHost,
    index: usize,
    command: &Command,
    change: impl FnOnce(&mut Defined) -> Result<(), String>,
) -> Said {
    if !command.has("config") {
        return Said::error("unsupported configuration: only --config is simulated");
    }
    host.world(|world| {
        let Some(vm) = world.vm_mut(index) else {
            return gone();
        };
        let mut result = Ok(());
        vm.define(|kept| result = change(kept));
        match result {
            Ok(()) => Said::nothing(),
            Err(why) => Said::error(why),
        }
    })
}

fn gone() -> Said {
    Said::error("Domain not found")
}

fn not_a_number(command: &Command, option: &str) -> Said {
    let value = command.value(option).unwrap_or_default();
    Said::error(format!(
        "Numeric value '{value}' for <{option}> option is malformed or out of range"
    ))
}
