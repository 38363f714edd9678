//! What one host can do, as found out by probing it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::action::ActionKind;
use super::host::HypervisorKind;
use super::text::RemoteText;
use super::units::Bytes;

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
    /// Whether changes are announced, so that a row moves without waiting for a tick.
    pub events: bool,
    /// Logical processors of the host.
    pub host_cpus: Option<u32>,
    /// Memory of the host.
    pub host_memory: Option<Bytes>,
    /// Remarks for the host's details ("no domstats: states only").
    pub remarks: Vec<RemoteText>,
}
