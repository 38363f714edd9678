//! A VM on the wire: the object that `--once list -o json` prints, and the operation under way on it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::host::HypervisorKind;
use crate::domain::text::RemoteText;
use crate::domain::vm::PowerState;
use crate::serve::v1::rows::VmRow;

/// What runs the VMs of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::serve) enum Hypervisor {
    /// libvirt, driven by `virsh`.
    Libvirt,
    /// Hyper-V, driven by PowerShell.
    HyperV,
}

impl From<HypervisorKind> for Hypervisor {
    fn from(kind: HypervisorKind) -> Self {
        match kind {
            HypervisorKind::Libvirt => Self::Libvirt,
            HypervisorKind::HyperV => Self::HyperV,
        }
    }
}

/// What a VM is doing, in words common to both hypervisors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::serve) enum State {
    /// Running.
    Running,
    /// Paused in memory.
    Paused,
    /// Off.
    Stopped,
    /// Off with a saved image of its memory.
    Saved,
    /// On its way up.
    Starting,
    /// On its way down.
    Stopping,
    /// Died.
    Crashed,
    /// The host said something there is no word for.
    Unknown,
}

impl From<&PowerState> for State {
    fn from(state: &PowerState) -> Self {
        match state {
            PowerState::Running => Self::Running,
            PowerState::Paused => Self::Paused,
            PowerState::Stopped => Self::Stopped,
            PowerState::Saved => Self::Saved,
            PowerState::Starting => Self::Starting,
            PowerState::Stopping => Self::Stopping,
            PowerState::Crashed => Self::Crashed,
            PowerState::Unknown(_) => Self::Unknown,
        }
    }
}

/// A VM. What is not known is null, never zero.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct Vm {
    /// Its name: a label, not always unique.
    #[schema(value_type = String)]
    pub(in crate::serve) name: RemoteText,
    /// libvirt UUID or Hyper-V VMId.
    pub(in crate::serve) id: String,
    /// Name of its host.
    pub(in crate::serve) host: String,
    /// What runs it.
    pub(in crate::serve) hypervisor: Option<Hypervisor>,
    /// What it is doing.
    pub(in crate::serve) state: State,
    /// Share of its own processors in use, in percent.
    pub(in crate::serve) cpu_percent: Option<f64>,
    /// Virtual processors.
    pub(in crate::serve) vcpus: Option<u32>,
    /// Memory in use.
    pub(in crate::serve) memory_used_bytes: Option<u64>,
    /// Memory assigned.
    pub(in crate::serve) memory_assigned_bytes: Option<u64>,
    /// Addresses, the best known first.
    pub(in crate::serve) addresses: Option<Vec<String>>,
    /// Time since it was started, in seconds.
    pub(in crate::serve) uptime_seconds: Option<u64>,
    /// Number of VM snapshots.
    pub(in crate::serve) snapshots: Option<u32>,
    /// Whether it is started together with its host.
    pub(in crate::serve) autostart: Option<bool>,
    /// Labels of its host.
    pub(in crate::serve) tags: Vec<String>,
    /// When its host said so.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(in crate::serve) observed_at: Option<Timestamp>,
    /// Whether that is too old to act upon without reading again.
    pub(in crate::serve) stale: bool,
}

/// Rounds to one decimal: more is noise.
pub(super) fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

impl From<&VmRow<'_>> for Vm {
    fn from(row: &VmRow<'_>) -> Self {
        let VmRow { host, vm, now } = row;
        let stats = &vm.stats;
        Self {
            name: vm.name.clone(),
            id: vm.id.to_string(),
            host: host.spec.name.to_string(),
            hypervisor: row.kind().map(Hypervisor::from),
            state: State::from(&vm.state),
            cpu_percent: stats.cpu.map(|cpu| tenth(cpu.value())),
            vcpus: stats.vcpus,
            memory_used_bytes: stats.memory_used.map(|bytes| bytes.0),
            memory_assigned_bytes: stats.memory_assigned.map(|bytes| bytes.0),
            addresses: vm
                .facts
                .addresses
                .as_ref()
                .map(|known| known.iter().map(|address| address.ip.to_string()).collect()),
            uptime_seconds: stats.uptime.map(|time| time.as_secs()),
            snapshots: vm.facts.snapshots,
            autostart: vm.facts.autostart,
            tags: host.spec.tags.iter().map(ToString::to_string).collect(),
            observed_at: host.observed_at,
            stale: host.is_stale(*now),
        }
    }
}
