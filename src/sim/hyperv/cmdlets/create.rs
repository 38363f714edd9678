//! `New-VM`: adds a VM to the host. What it makes is what the module makes without being told more: a
//! network card, and a disk where one is named.

use std::time::Duration;

use super::super::machine::WinMachine;
use super::super::messages::Situation;
use super::super::plan::{Disk, Nic, WinVmPlan};
use super::super::vm::MIB;
use super::Stop;
use super::act::provoked;
use crate::sim::load::mix_text;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::Category;
use crate::sim::powershell::machine::{Machine as _, PathKind, Reply};

/// The name of a VM that was given none.
const NAMELESS: &str = "New Virtual Machine";

/// Mebibytes of a VM that was given none.
const USUAL_MEMORY_MIB: u64 = 512;

/// Bytes of a new disk that was given no size.
const USUAL_DISK: u64 = 127 << 30;

/// Bytes that a new disk's file takes before anything was written to it.
const EMPTY_FILE: u64 = 4 << 20;

/// `New-VM`.
pub(super) fn create(machine: &mut WinMachine, call: &Call) -> Reply {
    match made(machine, call) {
        Ok(id) => machine
            .vm_value(&id)
            .map_or_else(Reply::nothing, Reply::value),
        Err(stop) => stop.reply(),
    }
}

/// Adds the VM; answers its GUID.
fn made(machine: &WinMachine, call: &Call) -> Result<String, Stop> {
    let name = call.text("Name").unwrap_or(NAMELESS).to_owned();
    let fail = |situation| -> Stop { machine.fail(call, situation, &name).into() };
    if name.is_empty() {
        return Err(fail(Situation::BadParameter));
    }
    if let Some(situation) = machine.barred(call) {
        return Err(fail(situation));
    }
    if machine.is_denied() {
        return Err(fail(Situation::Denied));
    }
    provoked(machine, call, &name)?;
    let generation = match call.integer("Generation") {
        None | Some(1) => 1,
        Some(2) => 2,
        Some(_) => return Err(fail(Situation::BadParameter)),
    };
    // The module looks for what it has made by its name and wants to find one.
    let alike = machine.host().world(|world| {
        let names = world.vms.iter().map(|vm| vm.name().to_lowercase());
        names.filter(|other| *other == name.to_lowercase()).count()
    });
    if alike > 1 {
        return Err(fail(Situation::MoreThanOne));
    }
    if call.text("Path").is_some_and(|path| !on_a_drive(path)) {
        return Err(fail(Situation::BadPath));
    }
    let disks = match disk(machine, call)? {
        Some(Ok(disk)) => vec![disk],
        Some(Err(situation)) => return Err(fail(situation)),
        None => Vec::new(),
    };
    let memory = call.integer("MemoryStartupBytes");
    let memory = memory.and_then(|bytes| u64::try_from(bytes).ok());
    Ok(machine.host().world(|world| {
        let mut plan = WinVmPlan::plain(&name, world.seed());
        plan.id = world.fresh_guid();
        plan.seed = mix_text(plan.seed, &plan.id);
        plan.nics = vec![Nic::new(plan.seed, 1, call.text("SwitchName"))];
        plan.generation = generation;
        plan.settings.memory_mib = memory.map_or(USUAL_MEMORY_MIB, |bytes| bytes / MIB);
        plan.settings.vcpus = 1;
        plan.guest_os = String::new();
        plan.guest_services = false;
        plan.uptime = Duration::ZERO;
        plan.disks = disks;
        let id = plan.id.clone();
        world.define(plan);
        id
    }))
}

/// The disk that a call names, if it names one.
fn disk(machine: &WinMachine, call: &Call) -> Result<Option<Result<Disk, Situation>>, Stop> {
    let (new, old) = (call.text("NewVHDPath"), call.text("VHDPath"));
    let named = [call.switch("NoVHD"), new.is_some(), old.is_some()];
    if named.into_iter().filter(|given| *given).count() > 1 {
        let text = "Parameter set cannot be resolved using the specified named parameters.";
        let record = call.error(
            "System.Management.Automation.ParameterBindingException",
            text,
            "AmbiguousParameterSet",
            Category::InvalidArgument,
        );
        return Err(record.terminating().into());
    }
    let size = call.integer("NewVHDSizeBytes");
    let size = size.and_then(|bytes| u64::try_from(bytes).ok());
    Ok(match (new, old) {
        (Some(path), _) if on_a_drive(path) => {
            let size = size.unwrap_or(USUAL_DISK);
            let disk = Disk::plain(path);
            Some(Ok(Disk {
                size,
                file_size: EMPTY_FILE,
                ..disk
            }))
        }
        (None, Some(path)) if machine.path(path) == Some(PathKind::File) => {
            Some(Ok(Disk::plain(path)))
        }
        (None, None) => None,
        _ => Some(Err(Situation::BadPath)),
    })
}

/// Whether a path begins at the one drive that the host has; folders on it are made.
fn on_a_drive(path: &str) -> bool {
    let mut start = path.chars();
    matches!(
        (start.next(), start.next(), start.next()),
        (Some('C' | 'c'), Some(':'), Some('\\' | '/') | None)
    )
}
