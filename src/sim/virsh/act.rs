//! Commands of `virsh` that change a domain. They take the time the real ones take.

use std::time::Duration;

use super::edit;
use super::options::Command;
use super::said::Said;
use crate::sim::host::SimHost;
use crate::sim::load::{fraction, mix_text};
use crate::sim::world::{ALREADY_ACTIVE, Refusal, StartOptions, World};

/// Modes that `shutdown` and `reboot` know.
const MODES: [&str; 5] = ["acpi", "agent", "initctl", "signal", "paravirt"];

/// The commands that need the lock of a domain.
const CHANGES: [&str; 11] = [
    "start",
    "shutdown",
    "reboot",
    "destroy",
    "reset",
    "suspend",
    "resume",
    "managedsave",
    "setvcpus",
    "setmem",
    "setmaxmem",
];

/// Runs a command that changes the domain `index`; `None` when it is no such command.
pub(super) async fn act(
    host: &SimHost,
    index: usize,
    command: &Command,
    quiet: bool,
) -> Option<Said> {
    let name = command.spec.name;
    let shown = command.domain();
    let said = match name {
        _ if CHANGES.contains(&name) && host.refuses(index) => {
            Said::error("Timed out during operation: cannot acquire state change lock")
        }
        "start" => return Some(start(host, index, command, quiet).await),
        "shutdown" | "reboot" => power_button(host, index, command, name),
        "destroy" => {
            pause(host, command, 0.05, 0.2).await;
            attempt(
                host,
                format!("Failed to destroy domain '{shown}'"),
                |world| world.destroy(index),
            )
        }
        "reset" => attempt(host, format!("Failed to reset domain '{shown}'"), |world| {
            world.reset(index)
        }),
        "suspend" => attempt(
            host,
            format!("Failed to suspend domain '{shown}'"),
            |world| world.suspend(index),
        ),
        "resume" => attempt(
            host,
            format!("Failed to resume domain '{shown}'"),
            |world| world.resume(index),
        ),
        "managedsave" => save(host, index, command).await,
        "managedsave-remove" => {
            host.world(|world| world.discard_saved(index));
            Said::nothing()
        }
        "autostart" => {
            let on = !command.has("disable");
            host.world(|world| world.set_autostart(index, on));
            Said::nothing()
        }
        _ => return edit::edit(host, index, command),
    };
    Some(tell(said, quiet, || success(name, shown, command)))
}

async fn start(host: &SimHost, index: usize, command: &Command, quiet: bool) -> Said {
    let vm_is_off = |world: &mut World| {
        world
            .vm(index)
            .is_some_and(|vm| !vm.is_active())
            .then(|| world.vm(index).map(|vm| vm.plan.name.clone()))
            .flatten()
    };
    let Some(name) = host.world(vm_is_off) else {
        return Said::error(ALREADY_ACTIVE.0);
    };
    pause(host, command, 0.12, 0.4).await;
    let options = StartOptions {
        paused: command.has("paused"),
        discard_saved: command.has("force-boot"),
    };
    match host.world(|world| world.start(index, options)) {
        Ok(()) => tell(Said::nothing(), quiet, || {
            format!("Domain '{name}' started")
        }),
        Err(Refusal(why)) => Said::error(why),
    }
}

async fn save(host: &SimHost, index: usize, command: &Command) -> Said {
    let what = || format!("Failed to save domain '{}' state", command.domain());
    if let Err(Refusal(why)) = host.world(|world| world.may_save(index)) {
        return Said::errors(what(), why);
    }
    // Memory is written at some hundred MiB a second.
    pause(host, command, 0.6, 1.8).await;
    attempt(host, what(), |world| world.save(index))
}

fn power_button(host: &SimHost, index: usize, command: &Command, name: &str) -> Said {
    if let Some(mode) = command.value("mode") {
        let unknown = mode.split(',').find(|mode| !MODES.contains(mode));
        if let Some(mode) = unknown {
            return Said::error(format!(
                "Unknown mode {mode} value, expecting 'acpi', 'agent', 'initctl', 'signal', or 'paravirt'"
            ));
        }
    }
    let what = format!("Failed to {name} domain '{}'", command.domain());
    attempt(host, what, |world| match name {
        "reboot" => world.reboot(index),
        _ => world.shutdown(index),
    })
}

fn attempt(
    host: &SimHost,
    what: String,
    change: impl FnOnce(&mut World) -> Result<(), Refusal>,
) -> Said {
    match host.world(change) {
        Ok(()) => Said::nothing(),
        Err(Refusal(why)) => Said::errors(what, why),
    }
}

/// Adds the line of success, unless quiet.
fn tell(mut said: Said, quiet: bool, line: impl FnOnce() -> String) -> Said {
    if !quiet && !said.failed() {
        said.out = format!("{}\n", line());
    }
    said
}

fn success(name: &str, shown: &str, command: &Command) -> String {
    let done = match name {
        "shutdown" => "is being shutdown",
        "reboot" => "is being rebooted",
        "destroy" => "destroyed",
        "reset" => "was reset",
        "suspend" => "suspended",
        "resume" => "resumed",
        "managedsave" => return format!("\nDomain '{shown}' state saved by libvirt"),
        "managedsave-remove" => {
            return format!("Removed managedsave image for domain '{shown}'");
        }
        _ if command.has("disable") => "unmarked as autostarted",
        _ => "marked as autostarted",
    };
    format!("Domain '{shown}' {done}")
}

/// Takes some time, always the same for one host and domain.
pub(super) async fn pause(host: &SimHost, command: &Command, low: f64, high: f64) {
    let seed = mix_text(0, host.plan.name.as_str());
    let share = fraction(mix_text(seed, command.domain()), 41);
    tokio::time::sleep(Duration::from_secs_f64(low + (high - low) * share)).await;
}
