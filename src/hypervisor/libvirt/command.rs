//! What is sent to libvirt: `virsh` command lines, built from constants and UUIDs only, so that no
//! name a person or a guest chose is ever read as an option or a separator. Pure.

use std::time::Duration;

use crate::domain::action::{Action, ActionKind};
use crate::domain::host::{HostSpec, LibvirtUri};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::VmId;

/// How long one question may take on the host when it has a process of its own.
pub(crate) const QUESTION_LIFE: Duration = Duration::from_secs(15);

/// How long an action that only has to be accepted may take: libvirt waits up to 30 s for the lock of
/// a busy VM.
const ACTION_LIFE: Duration = Duration::from_secs(60);

/// How long writing or reading back a VM's memory may take.
const MEMORY_LIFE: Duration = Duration::from_secs(1800);

/// How long one `virsh event` listens. It reads no input, so it would outlive a connection that went away
/// until the next event; this bounds how long.
pub(crate) const EVENTS_LIFE: Duration = Duration::from_secs(120);

/// How `virsh` is called on one host.
#[derive(Debug, Clone)]
pub(crate) struct Virsh {
    uri: Option<LibvirtUri>,
    sudo: bool,
}

impl Virsh {
    /// Takes what a person defined for the host.
    pub(crate) fn of(spec: &HostSpec) -> Self {
        Self {
            uri: spec.uri.clone(),
            sudo: spec.sudo,
        }
    }

    /// Tells whether it goes through `sudo`.
    pub(crate) const fn sudo(&self) -> bool {
        self.sudo
    }

    /// Returns the connection that was asked for.
    pub(crate) const fn uri(&self) -> Option<&LibvirtUri> {
        self.uri.as_ref()
    }

    /// The kept process: commands on standard input, until it is closed.
    pub(crate) fn kept(&self) -> RemoteCommand {
        // Messages are judged in English only; names come as raw bytes under every locale.
        let command = if self.sudo {
            RemoteCommand::posix("sudo").args(["-n", "virsh"])
        } else {
            RemoteCommand::posix("virsh")
        }
        .env("LC_ALL", "C")
        .arg("-q");
        match &self.uri {
            Some(uri) => command.args(["-c", uri.as_str()]),
            None => command,
        }
    }

    /// One process for one question or action.
    pub(crate) fn once(&self, line: &Line, lifetime: Duration) -> RemoteCommand {
        self.kept().args(line.words()).life(lifetime)
    }

    /// One process for something that lasts as long as somebody looks.
    pub(crate) fn staying(&self, line: &Line) -> RemoteCommand {
        self.kept().args(line.words())
    }

    /// The announcements, for a while.
    pub(crate) fn events(&self) -> RemoteCommand {
        self.kept()
            .args(["event", "--all", "--loop", "--timestamp", "--timeout"])
            .arg(EVENTS_LIFE.as_secs().to_string())
    }

    /// The commands of an action.
    pub(crate) fn action(&self, vm: &VmId, action: &Action) -> Vec<RemoteCommand> {
        let (line, lifetime) = match action.kind {
            ActionKind::Start => (Line::about("start", vm), MEMORY_LIFE),
            ActionKind::Shutdown => (Line::about("shutdown", vm), ACTION_LIFE),
            ActionKind::ForceOff => (Line::about("destroy", vm), ACTION_LIFE),
            ActionKind::Reboot => (Line::about("reboot", vm), ACTION_LIFE),
            ActionKind::Reset => (Line::about("reset", vm), ACTION_LIFE),
            ActionKind::Pause => (Line::about("suspend", vm), ACTION_LIFE),
            ActionKind::Resume => (Line::about("resume", vm), ACTION_LIFE),
            ActionKind::Save => (Line::about("managedsave", vm), MEMORY_LIFE),
            ActionKind::AutostartOn => (Line::about("autostart", vm), ACTION_LIFE),
            ActionKind::AutostartOff => {
                (Line::about("autostart", vm).with("--disable"), ACTION_LIFE)
            }
        };
        vec![self.once(&line, lifetime)]
    }
}

/// One `virsh` command. Made of constants and UUIDs, so it holds no quote, `;` or line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line(String);

impl Line {
    /// A command about the host.
    pub(crate) fn new(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// A command about one VM.
    pub(crate) fn about(command: &'static str, vm: &VmId) -> Self {
        Self(format!("{command} {vm}"))
    }

    /// Adds options.
    pub(crate) fn with(mut self, words: &'static str) -> Self {
        self.0.push(' ');
        self.0.push_str(words);
        self
    }

    /// Returns it as `virsh` reads it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its words.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split_whitespace()
    }
}

/// The one question of every tick. Groups that no column shows are left out; `--nowait` keeps a VM
/// that is being migrated or saved from holding up all the others.
pub(crate) fn tick() -> Line {
    Line::new("domstats --raw --nowait --state --cpu-total --balloon --vcpu --interface --block")
}

/// The same for a `virsh` that does not know `--nowait` (before 4.5).
pub(crate) fn tick_that_waits() -> Line {
    Line::new("domstats --raw --state --cpu-total --balloon --vcpu --interface --block")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::host::Endpoint;

    fn spec() -> HostSpec {
        HostSpec::new("kvm1".parse().unwrap(), Endpoint::new("kvm1", 22))
    }

    fn shown(spec: &HostSpec, kind: ActionKind) -> String {
        let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let commands = Virsh::of(spec).action(&vm, &kind.into());
        let lines: Vec<String> = commands.iter().map(RemoteCommand::shown_line).collect();
        lines.join(" && ")
    }

    #[test]
    fn every_verb_is_the_command_of_the_catalogue() {
        let mut spec = spec();
        spec.uri = Some("qemu:///system".parse().unwrap());
        let words = [
            (ActionKind::Start, "start"),
            (ActionKind::Shutdown, "shutdown"),
            (ActionKind::ForceOff, "destroy"),
            (ActionKind::Reboot, "reboot"),
            (ActionKind::Reset, "reset"),
            (ActionKind::Pause, "suspend"),
            (ActionKind::Resume, "resume"),
            (ActionKind::Save, "managedsave"),
            (ActionKind::AutostartOn, "autostart"),
        ];
        for (kind, word) in words {
            assert_eq!(
                shown(&spec, kind),
                format!("virsh -q -c qemu:///system {word} 6c09bb55-d683-4da0-8931-c9bf705f6480")
            );
        }
        assert_eq!(
            shown(&spec, ActionKind::AutostartOff),
            "virsh -q -c qemu:///system autostart 6c09bb55-d683-4da0-8931-c9bf705f6480 --disable"
        );
    }

    #[test]
    fn sudo_never_asks_and_the_default_connection_is_left_to_libvirt() {
        let mut spec = spec();
        spec.sudo = true;
        assert_eq!(
            shown(&spec, ActionKind::Start),
            "sudo -n virsh -q start 6c09bb55-d683-4da0-8931-c9bf705f6480"
        );
    }

    #[test]
    fn every_command_of_an_action_has_a_bounded_life_and_speaks_english() {
        let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        for kind in ActionKind::ALL {
            for command in Virsh::of(&spec()).action(&vm, &kind.into()) {
                assert!(command.life.is_some(), "{kind}");
                assert_eq!(command.env, [("LC_ALL".to_owned(), "C".to_owned())]);
            }
        }
    }
}
