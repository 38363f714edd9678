//! The cmdlets of a Hyper-V host. Each is a function of the machine and a call; the world is asked under
//! its lock, and whatever waits does so without it.

mod act;
mod checkpoint;
mod cim;
mod create;
mod events;
mod files;
mod folders;
mod objects;
mod read;
mod settings;
mod specs;
mod system;

pub(in crate::sim) use self::events::Queued;
pub(in crate::sim) use self::specs::{find, is_hyper_v};

use super::convert::{self, Known};
use super::faults::Account;
use super::files as files_of_keys;
use super::machine::WinMachine;
use super::messages::{About, Failure, Situation, failure};
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::machine::{Edition, Reply};
use crate::sim::powershell::value::Value;

/// What a cmdlet does with one VM.
type PerVm<'a> = &'a mut dyn FnMut(&mut WinMachine, &str) -> Result<Vec<Value>, Stop>;

/// Why a cmdlet ends early.
pub(in crate::sim) enum Stop {
    /// With an error.
    Error(Box<ErrorRecord>),
    /// Its process is being ended.
    Killed,
    /// There is nothing to do, and a warning says why.
    Warning(String),
}

impl Stop {
    /// Adds it to what a cmdlet answers.
    fn add_to(self, reply: &mut Reply) {
        match self {
            Self::Error(record) => reply.errors.push(*record),
            Self::Warning(text) => reply.warnings.push(text),
            Self::Killed => {}
        }
    }

    /// Makes it all that a cmdlet answers.
    fn reply(self) -> Reply {
        let mut reply = Reply::nothing();
        self.add_to(&mut reply);
        reply
    }
}

impl From<ErrorRecord> for Stop {
    fn from(record: ErrorRecord) -> Self {
        Self::Error(Box::new(record))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        convert::error(failure).into()
    }
}

/// Runs a command of these.
pub(in crate::sim) fn run(machine: &mut WinMachine, call: &Call) -> Reply {
    if let Some(record) = machine.hurdle(call) {
        return Reply::error(record);
    }
    match call.spec.name {
        "Get-VM" => read::vms(machine, call),
        "Get-VMSnapshot" => read::snapshots(machine, call),
        "Get-VMHardDiskDrive" => read::hard_disks(machine, call),
        "Get-VHD" => read::vhds(machine, call),
        "Get-VMNetworkAdapter" => read::adapters(machine, call),
        "Get-VMIntegrationService" => read::services(machine, call),
        "Get-VMHost" => read::host(machine, call),
        "Get-VMSwitch" => read::switches(machine, call),
        "Start-VM" | "Suspend-VM" | "Resume-VM" | "Save-VM" => act::plain(machine, call),
        "Stop-VM" => act::stop(machine, call),
        "Restart-VM" => act::restart(machine, call),
        "New-VM" => create::create(machine, call),
        "Set-VM" => settings::set(machine, call),
        "Checkpoint-VM" => checkpoint::create(machine, call),
        "Restore-VMSnapshot" => checkpoint::restore(machine, call),
        "Remove-VMSnapshot" => checkpoint::remove(machine, call),
        "Get-CimInstance" => cim::get(machine, call),
        "Invoke-CimMethod" => cim::invoke(machine, call),
        "Get-CimAssociatedInstance" => cim::associated(machine, call),
        "Register-CimIndicationEvent" => events::register(machine, call),
        "Wait-Event" => events::wait(machine, call),
        "Get-Event" => events::get(machine, call),
        "Remove-Event" => events::remove(machine, call),
        "Unregister-Event" => events::unregister(machine, call),
        "Get-Service" => system::services(machine, call),
        "Get-Acl" => files_of_keys::rights(machine, call),
        "Set-Acl" => files_of_keys::set_rights(machine, call),
        "Get-ChildItem" => folders::children(machine, call),
        "Get-Module" => system::modules(machine, call),
        _ => system::import(machine, call),
    }
}

impl WinMachine {
    /// Makes the error of a situation on a VM, as the calling cmdlet reports it.
    fn fail(&self, call: &Call, situation: Situation, id: &str) -> ErrorRecord {
        let seven = call.edition == Edition::Core;
        let name = call.spec.name;
        let failure = self.host().world(|world| {
            let vm = world.vm(id);
            let about = About {
                vm: vm.map_or(id, super::vm::WinVm::name),
                id,
                host: &world.hostname,
                memory_mib: vm.map_or(0, |vm| vm.settings().memory_mib),
                seven,
            };
            failure(situation, name, about, world.plan.language)
        });
        convert::error(failure)
    }

    /// Why the Hyper-V cmdlets cannot work for this account now.
    fn barred(&self, call: &Call) -> Option<Situation> {
        let denied = self.host().world(|world| {
            if world.faults.account == Account::Neither {
                Some(Situation::Denied)
            } else if !world.service_runs() || world.faults.no_namespace {
                Some(Situation::ObjectNotFound)
            } else {
                None
            }
        });
        // Who only reads is told at once; who acts is told on the VM.
        denied
            .filter(|what| *what == Situation::ObjectNotFound || call.spec.name.starts_with("Get-"))
    }

    /// Finds the VMs that a call names: by object, by name, or by neither, which is an error.
    fn chosen(&self, call: &Call, name: &str) -> Result<Vec<String>, Stop> {
        if let Some(value) = call.get("VM") {
            return value.items().iter().map(|one| vm_of(call, one)).collect();
        }
        if let Some(names) = call.get(name) {
            let names: Vec<String> = names
                .items()
                .iter()
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect();
            let mut found = Vec::new();
            for wanted in names {
                let ids = self.by_name(&wanted);
                if ids.is_empty() && !is_pattern(&wanted) {
                    return Err(self.fail(call, Situation::NoSuchName, &wanted).into());
                }
                found.extend(ids);
            }
            return Ok(found);
        }
        match &call.input {
            Some(input) => input.iter().map(|one| vm_of(call, one)).collect(),
            None => Err(missing(call, name).into()),
        }
    }

    /// GUIDs of the VMs that a name or a pattern fits.
    fn by_name(&self, wanted: &str) -> Vec<String> {
        let pattern: Vec<char> = wanted.to_lowercase().chars().collect();
        self.host().world(|world| {
            world
                .vms
                .iter()
                .filter(|vm| {
                    let name: Vec<char> = vm.name().to_lowercase().chars().collect();
                    wildcard(&name, &pattern)
                })
                .map(|vm| vm.id().to_owned())
                .collect()
        })
    }

    /// Does something with every VM that a call names; one that fails does not stop the others.
    fn each(&mut self, call: &Call, name: &str, act: PerVm<'_>) -> Reply {
        if let Some(situation) = self.barred(call) {
            return Reply::error(self.fail(call, situation, ""));
        }
        let ids = match self.chosen(call, name) {
            Ok(ids) => ids,
            Err(stop) => return stop.reply(),
        };
        let mut reply = Reply::nothing();
        for id in ids {
            let gone = self.host().world(|world| world.vm(&id).is_none());
            if gone {
                reply = reply.and_error(self.fail(call, Situation::ObjectNotFound, &id));
                continue;
            }
            match act(self, &id) {
                Ok(values) => reply.output.extend(values),
                Err(Stop::Killed) => break,
                Err(stop) => stop.add_to(&mut reply),
            }
        }
        reply
    }

    /// The VM as an object, for `-Passthru` and for those who read.
    fn vm_value(&self, id: &str) -> Option<Value> {
        let thing = self
            .host()
            .world(|world| world.vm(id).map(|vm| objects::machine(world, vm)));
        thing.map(|thing| convert::object(thing, self.style()))
    }
}

/// Reads a VM given as an object.
fn vm_of(call: &Call, value: &Value) -> Result<String, Stop> {
    if let Some(Known::Vm(id) | Known::Checkpoint { vm: id, .. }) = convert::known(value) {
        return Ok(id);
    }
    let from = value.type_name().unwrap_or_default();
    let record = call.error(
        "System.Management.Automation.ParameterBindingException",
        format!(
            "Cannot bind parameter 'VM'. Cannot convert value of type \"{from}\" to type \"Microsoft.HyperV.PowerShell.VirtualMachine\"."
        ),
        "CannotConvertArgumentNoMessage",
        Category::InvalidArgument,
    );
    Err(record.terminating().into())
}

/// A mandatory parameter was not given and nobody can be asked for it.
fn missing(call: &Call, name: &str) -> ErrorRecord {
    call.error(
        "System.Management.Automation.ParameterBindingException",
        format!(
            "Cannot process command because of one or more missing mandatory parameters: {name}."
        ),
        "MissingMandatoryParameter",
        Category::InvalidArgument,
    )
    .terminating()
}

/// Whether a name is a pattern.
fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Matches `*`, `?` and `[set]`; a backtick takes the next character as it is.
pub(in crate::sim) fn wildcard(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len())
            .any(|skipped| text.get(skipped..).is_some_and(|tail| wildcard(tail, rest))),
        Some(('?', rest)) => text
            .split_first()
            .is_some_and(|(_, tail)| wildcard(tail, rest)),
        Some(('[', rest)) => {
            let Some(end) = rest.iter().position(|c| *c == ']') else {
                return false;
            };
            let (set, after) = rest.split_at(end);
            text.split_first().is_some_and(|(first, tail)| {
                let within = set.contains(first)
                    || set
                        .windows(3)
                        .any(|w| matches!(w, [low, '-', high] if (*low..=*high).contains(first)));
                within && wildcard(tail, after.get(1..).unwrap_or_default())
            })
        }
        Some(('`', rest)) => match (rest.split_first(), text.split_first()) {
            (Some((wanted, rest)), Some((first, tail))) => wanted == first && wildcard(tail, rest),
            _ => false,
        },
        Some((one, rest)) => text
            .split_first()
            .is_some_and(|(first, tail)| one == first && wildcard(tail, rest)),
    }
}
