//! Cmdlets about the system: services and modules.

use super::super::faults::ModuleHealth;
use super::super::machine::WinMachine;
use super::super::services::{self, WinService};
use super::wildcard;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::machine::Reply;
use crate::sim::powershell::object::Object;
use crate::sim::powershell::value::{Value, Version};

/// `Get-Service`.
pub(super) fn services(machine: &mut WinMachine, call: &Call) -> Reply {
    let all = machine.host().world(|world| services::all(world));
    let names = call.texts("Name");
    if names.is_empty() {
        return Reply::values(all.iter().map(service).collect());
    }
    let mut reply = Reply::nothing();
    for name in names {
        let pattern: Vec<char> = name.to_lowercase().chars().collect();
        let found: Vec<Value> = all
            .iter()
            .filter(|one| {
                wildcard(
                    &one.name.to_lowercase().chars().collect::<Vec<_>>(),
                    &pattern,
                )
            })
            .map(service)
            .collect();
        if found.is_empty() && !super::is_pattern(&name) {
            let text = machine.language().of(
                "Cannot find any service with service name '{}'.",
                "Es kann kein Dienst mit dem Dienstnamen \"{}\" gefunden werden.",
            );
            let record = call.error(
                "Microsoft.PowerShell.Commands.ServiceCommandException",
                text.replace("{}", &name),
                "NoServiceFoundForGivenName",
                Category::ObjectNotFound,
            );
            reply = reply.and_error(record.with_target(name));
        }
        reply.output.extend(found);
    }
    reply
}

fn service(service: &WinService) -> Value {
    let (number, word) = if service.running {
        (4, "Running")
    } else {
        (1, "Stopped")
    };
    let status = Value::enumeration(
        "System.ServiceProcess.ServiceControllerStatus",
        word,
        number,
    );
    Value::from(
        Object::new("System.ServiceProcess.ServiceController")
            .with("Name", service.name)
            .with("ServiceName", service.name)
            .with("DisplayName", service.display)
            .with("Status", status)
            .with(
                "StartType",
                Value::enumeration("System.ServiceProcess.ServiceStartMode", "Automatic", 2),
            )
            .reads(service.name),
    )
}

/// Modules that are installed besides those of the language.
fn installed(machine: &WinMachine) -> Vec<(&'static str, Version)> {
    machine.host().world(|world| {
        let mut modules = Vec::new();
        if world.faults.module != ModuleHealth::Missing {
            modules.push(("Hyper-V", Version([2, 0, 0, 0])));
            if world.plan.windows.is_server() {
                modules.push(("Hyper-V", Version([1, 1, -1, -1])));
            }
        }
        if world.plan.clustered {
            modules.push(("FailoverClusters", Version([2, 0, 0, 0])));
        }
        if world.faults.vmware_module {
            modules.push(("VMware.VimAutomation.Core", Version([13, 3, 0, 0])));
        }
        modules
    })
}

fn module(name: &str, version: Version) -> Value {
    Value::from(
        Object::new("System.Management.Automation.PSModuleInfo")
            .with("Name", name)
            .with("Version", Value::Version(version))
            .with(
                "ModuleType",
                Value::enumeration("System.Management.Automation.ModuleType", "Binary", 1),
            )
            .with(
                "ModuleBase",
                format!(
                    "C:\\Windows\\system32\\WindowsPowerShell\\v1.0\\Modules\\{name}\\{version}"
                ),
            )
            .reads(name),
    )
}

/// `Get-Module`: without `-ListAvailable` only what is loaded; finding nothing is no error.
pub(super) fn modules(machine: &mut WinMachine, call: &Call) -> Reply {
    let patterns: Vec<Vec<char>> = call
        .texts("Name")
        .iter()
        .map(|name| name.to_lowercase().chars().collect())
        .collect();
    let listed = call.switch("ListAvailable");
    let found = installed(machine)
        .into_iter()
        .filter(|(name, _)| listed || (*name == "Hyper-V" && machine.module_loaded()))
        .filter(|(name, _)| {
            let own: Vec<char> = name.to_lowercase().chars().collect();
            patterns.is_empty() || patterns.iter().any(|pattern| wildcard(&own, pattern))
        })
        .map(|(name, version)| module(name, version))
        .collect();
    Reply::values(found)
}

/// `Import-Module`.
pub(super) fn import(machine: &mut WinMachine, call: &Call) -> Reply {
    let mut reply = Reply::nothing();
    for name in call.texts("Name") {
        let found = installed(machine)
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name));
        match found {
            Some(("Hyper-V", _)) if machine.module_is(ModuleHealth::Unloadable) => {
                reply = reply.and_error(unloadable(call, machine, &name));
            }
            Some((known, version)) => {
                if known == "Hyper-V" && !machine.load_module(&call.life) {
                    return reply;
                }
                if call.switch("Passthru") {
                    reply.output.push(module(known, version));
                }
            }
            None => reply = reply.and_error(not_found(call, machine, &name)),
        }
    }
    reply
}

fn unloadable(call: &Call, machine: &WinMachine, name: &str) -> ErrorRecord {
    let text = machine.language().of(
        "Could not load file or assembly 'Microsoft.HyperV.PowerShell, Version=10.0.0.0' or one of its dependencies. The system cannot find the file specified.",
        "Die Datei oder Assembly \"Microsoft.HyperV.PowerShell, Version=10.0.0.0\" oder eine Abhängigkeit davon wurde nicht gefunden. Das System kann die angegebene Datei nicht finden.",
    );
    call.error(
        "System.IO.FileNotFoundException",
        text,
        "FormatXmlUpdateException",
        Category::InvalidOperation,
    )
    .with_target(name)
}

fn not_found(call: &Call, machine: &WinMachine, name: &str) -> ErrorRecord {
    let text = machine.language().of(
        "The specified module '{}' was not loaded because no valid module file was found in any module directory.",
        "Das angegebene Modul \"{}\" wurde nicht geladen, da in keinem Modulverzeichnis eine gültige Moduldatei gefunden wurde.",
    );
    call.error(
        "System.IO.FileNotFoundException",
        text.replace("{}", name),
        "Modules_ModuleNotFound",
        Category::ResourceUnavailable,
    )
    .with_target(name)
}
