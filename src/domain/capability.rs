//! What one host can do, as found out by probing it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::action::ActionKind;
use super::host::HypervisorKind;
use super::text::RemoteText;
use super::units::Bytes;

/// For whom a host runs programs in its VMs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestPrograms {
    /// For whoever runs its agent: no account is asked for.
    #[default]
    Agent,
    /// For an account of the VM, with its password.
    Account,
    /// For nobody, as things stand on the host.
    Nobody,
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Which hypervisor answered.
    pub kind: HypervisorKind,
    /// Its version, as it says itself (`libvirt 9.0.0, QEMU 7.2.22`).
    pub version: RemoteText,
    /// The connection in use (libvirt: the URI).
    pub connection: Option<RemoteText>,
    /// Actions that can be asked of it.
    pub actions: BTreeSet<ActionKind>,
    /// How it is being read as things stand: `kept virsh`, `one process per command`.
    pub channel: String,
    /// For whom programs are run in its VMs.
    #[serde(default)]
    pub programs: GuestPrograms,
    /// Whether changes are announced, so that a row moves without waiting for a tick.
    pub events: bool,
    /// Logical processors of the host.
    pub host_cpus: Option<u32>,
    /// Memory of the host.
    pub host_memory: Option<Bytes>,
    /// Remarks for the host's details ("no domstats: states only").
    pub remarks: Vec<RemoteText>,
}
