//! Faults: what is wrong with a simulated host. Data only; the server, the shell and `virsh` look here
//! before they answer, and a test may change it at any time.

use std::time::Duration;

use serde::Deserialize;

/// Whether the account may use the hypervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// It is in the group that may.
    #[default]
    Group,
    /// Only through `sudo -n`.
    Sudo,
    /// Not at all.
    Denied,
}

/// What `virsh` does instead of answering properly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VirshHealth {
    /// Nothing else: it answers.
    #[default]
    Sound,
    /// It is not installed.
    Missing,
    /// It prints noise.
    Garbage,
}

/// Everything that may be wrong with one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// Added before every answer of a program.
    pub latency: Duration,
    /// Added before figures (`domstats`), which libvirt asks of each VM's monitor: a busy host is slow there
    /// and quick everywhere else.
    pub stats_latency: Duration,
    /// Names of `virsh` commands that never answer; `*` is every one.
    pub hanging: Vec<String>,
    /// Names of VMs of which every change is refused.
    pub refusing: Vec<String>,
    /// Names of VM snapshots that cannot be deleted.
    pub undeletable: Vec<String>,
    /// Whether `virsh event` says nothing.
    pub no_events: bool,
    /// Sessions on one connection before the next is refused (sshd's default is 10).
    pub max_sessions: usize,
    /// Whether the account may use the hypervisor.
    pub access: Access,
    /// What `virsh` does.
    pub virsh: VirshHealth,
    /// Whether every login is refused.
    pub refuses_login: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            stats_latency: Duration::ZERO,
            hanging: Vec::new(),
            refusing: Vec::new(),
            undeletable: Vec::new(),
            no_events: false,
            max_sessions: 10,
            access: Access::Group,
            virsh: VirshHealth::Sound,
            refuses_login: false,
        }
    }
}

impl Faults {
    /// Returns true when this `virsh` command never answers.
    pub(super) fn hangs(&self, command: &str) -> bool {
        self.hanging
            .iter()
            .any(|name| name == "*" || name == command)
    }
}

/// When a host goes away by itself, counted from the start of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Time until it goes.
    pub after: Duration,
    /// Time it stays away.
    pub lasting: Duration,
    /// Time from one going to the next; `None` means it happens once.
    pub every: Option<Duration>,
    /// Whether connections stay open and carry nothing, as behind a dead cable, instead of being cut.
    pub silent: bool,
}
