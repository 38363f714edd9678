//! `Set-VM`: changes settings, as far as the VM's state allows it.

use super::super::machine::WinMachine;
use super::super::messages::Situation;
use super::super::plan::Settings;
use super::super::state::WinState;
use super::super::vm::MIB;
use super::act::{passthru, provoked, state_of, wait};
use crate::sim::powershell::call::Call;
use crate::sim::powershell::machine::Reply;

/// What a VM must be off for.
const OFF_ONLY: &[&str] = &[
    "ProcessorCount",
    "DynamicMemory",
    "StaticMemory",
    "MemoryStartupBytes",
];

/// `Set-VM`.
pub(super) fn set(machine: &mut WinMachine, call: &Call) -> Reply {
    machine.each(call, "Name", &mut |machine, id| {
        if machine.is_denied() {
            return Err(machine.fail(call, Situation::Denied, id).into());
        }
        provoked(machine, call, id)?;
        let state = state_of(machine, id);
        if state != Some(WinState::Off) {
            if OFF_ONLY.iter().any(|name| call.has(name)) {
                let wrong = Situation::WrongStateForSettings;
                return Err(machine.fail(call, wrong, id).into());
            }
            if call.has("AutomaticStopAction") {
                return Err(machine.fail(call, Situation::GeneralFailure, id).into());
            }
        }
        let change = |settings: &mut Settings| apply(call, settings);
        let job = machine
            .host()
            .world(|world| world.modify_settings(id, &change));
        match job {
            Ok(job) => wait(machine, call, &job)?,
            Err(_) => return Err(machine.fail(call, Situation::ObjectNotFound, id).into()),
        }
        Ok(passthru(machine, call, id))
    })
}

fn apply(call: &Call, settings: &mut Settings) {
    let whole = |name: &str| call.integer(name).and_then(|n| u64::try_from(n).ok());
    let choice = |name: &str, names: &[(&str, u16)]| {
        let word = call.text(name)?;
        names
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word))
            .map(|(_, number)| *number)
    };
    if let Some(count) = whole("ProcessorCount").and_then(|n| u32::try_from(n).ok()) {
        settings.vcpus = count.max(1);
    }
    if let Some(bytes) = whole("MemoryStartupBytes") {
        settings.memory_mib = bytes / MIB;
    }
    let (least, most) = settings.dynamic.unwrap_or((512, 1_048_576));
    let least = whole("MemoryMinimumBytes").map_or(least, |bytes| bytes / MIB);
    let most = whole("MemoryMaximumBytes").map_or(most, |bytes| bytes / MIB);
    if call.switch("StaticMemory") {
        settings.dynamic = None;
    } else if call.switch("DynamicMemory") || settings.dynamic.is_some() {
        settings.dynamic = Some((least, most));
    }
    let starts = [("Nothing", 2), ("StartIfRunning", 3), ("Start", 4)];
    if let Some(action) = choice("AutomaticStartAction", &starts) {
        settings.start_action = action;
    }
    let stops = [("TurnOff", 2), ("Save", 3), ("ShutDown", 4)];
    if let Some(action) = choice("AutomaticStopAction", &stops) {
        settings.stop_action = action;
    }
    let kinds = [
        ("Disabled", 2),
        ("Production", 3),
        ("ProductionOnly", 4),
        ("Standard", 5),
    ];
    if let Some(kind) = choice("CheckpointType", &kinds) {
        settings.checkpoint_type = kind;
    }
    if let Some(delay) = whole("AutomaticStartDelay").and_then(|n| u32::try_from(n).ok()) {
        settings.start_delay_s = delay;
    }
    if call.has("AutomaticCheckpointsEnabled") {
        settings.automatic_checkpoints = call.switch("AutomaticCheckpointsEnabled");
    }
    if let Some(notes) = call.text("Notes") {
        notes.clone_into(&mut settings.notes);
    }
    if let Some(name) = call.text("NewVMName") {
        name.clone_into(&mut settings.name);
    }
}
