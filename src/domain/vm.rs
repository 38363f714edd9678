//! VMs: identity, power state and what a host said about them. Unknown is a value, never a zero.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::host::HostId;
use super::snapshot::VmSnapshot;
use super::text::RemoteText;
use super::units::{Bytes, Percent};

/// A driver's own identity of a VM: libvirt UUID, Hyper-V VMId. Lower-case, 36 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VmId(Arc<str>);

impl VmId {
    /// Takes a UUID; refuses anything else, so that an id can stand on a command line.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let sound = bytes.len() == 36
            && bytes.iter().enumerate().all(|(index, byte)| match index {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        sound.then(|| Self(Arc::from(text.to_ascii_lowercase())))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first eight digits, enough for a person to tell two apart.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Identity of a VM everywhere: selection, marks, operations, REST paths, audit. Names are labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VmRef {
    /// The host it is on.
    pub host: HostId,
    /// Its id there.
    pub vm: VmId,
}

/// What a VM is doing, in words common to both hypervisors.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerState {
    /// Running (libvirt: running, blocked).
    Running,
    /// Paused in memory (libvirt: paused, pmsuspended).
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
    /// The host said something we have no word for; its own word is kept.
    Unknown(RemoteText),
}

impl PowerState {
    /// Returns the word used in JSON, filters and columns.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Saved => "saved",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Crashed => "crashed",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Every word, for completion and filter help.
    pub const WORDS: [&'static str; 8] = [
        "running", "paused", "stopped", "saved", "starting", "stopping", "crashed", "unknown",
    ];
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How an address became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressSource {
    /// The agent inside the VM said so.
    Agent,
    /// The host's DHCP server gave it out.
    Lease,
    /// The host's neighbour table has it.
    Arp,
}

impl AddressSource {
    /// Returns the one-letter mark of the IP column.
    pub const fn mark(self) -> char {
        match self {
            Self::Agent => 'a',
            Self::Lease => 'l',
            Self::Arp => 'r',
        }
    }
}

/// One address of a VM.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VmAddress {
    /// The address.
    pub ip: IpAddr,
    /// How it became known.
    pub source: AddressSource,
}

/// Figures read on every tick; rates are already differences over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VmStats {
    /// Share of the VM's own vCPUs in use.
    pub cpu: Option<Percent>,
    /// Virtual processors.
    pub vcpus: Option<u32>,
    /// Memory in use: the guest's own figure where known, else what the host gave it.
    pub memory_used: Option<Bytes>,
    /// Memory assigned.
    pub memory_assigned: Option<Bytes>,
    /// Whether `memory_used` is the guest's own figure.
    pub memory_from_guest: bool,
    /// Bytes read from disks a second.
    pub disk_read: Option<Bytes>,
    /// Bytes written to disks a second.
    pub disk_write: Option<Bytes>,
    /// Bytes received a second.
    pub net_rx: Option<Bytes>,
    /// Bytes sent a second.
    pub net_tx: Option<Bytes>,
    /// Bytes allocated on the host by all its disks.
    pub disk_allocated: Option<Bytes>,
    /// Capacity of all its disks.
    pub disk_capacity: Option<Bytes>,
    /// Time since it was started.
    pub uptime: Option<Duration>,
    /// The host's number of this run of it (libvirt: domain id), where the host has one.
    #[serde(default)]
    pub number: Option<u32>,
}

/// Facts that change rarely and are read on a slower rhythm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmFacts {
    /// Addresses from every source, best first; `None` = not read yet.
    pub addresses: Option<Vec<VmAddress>>,
    /// Number of VM snapshots.
    pub snapshots: Option<u32>,
    /// The VM snapshots themselves, parents before children; `None` = not read yet.
    #[serde(default)]
    pub snapshot_tree: Option<Arc<[VmSnapshot]>>,
    /// Started with the host.
    pub autostart: Option<bool>,
    /// Survives being stopped.
    pub persistent: Option<bool>,
    /// Title a person gave it in the hypervisor.
    pub title: Option<RemoteText>,
    /// Description a person gave it in the hypervisor.
    pub description: Option<RemoteText>,
    /// Operating system, where the hypervisor knows it.
    pub os: Option<RemoteText>,
}

/// A VM as its host described it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vm {
    /// Its id on the host.
    pub id: VmId,
    /// Its name: a label, not unique on Hyper-V.
    pub name: RemoteText,
    /// What it is doing.
    pub state: PowerState,
    /// Figures of the last tick.
    pub stats: VmStats,
    /// Slow facts; shared between inventories.
    pub facts: Arc<VmFacts>,
}

impl Vm {
    /// Makes a VM of which only identity, name and state are known.
    pub fn new(id: VmId, name: RemoteText, state: PowerState) -> Self {
        Self {
            id,
            name,
            state,
            stats: VmStats::default(),
            facts: Arc::default(),
        }
    }
}

/// One disk of a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmDisk {
    /// Device name in the VM (`vda`).
    pub target: RemoteText,
    /// File or device on the host.
    pub source: Option<RemoteText>,
    /// `disk`, `cdrom`, `floppy`.
    pub device: RemoteText,
    /// Image format.
    pub format: Option<RemoteText>,
    /// Controller (`virtio`, `sata`).
    pub bus: Option<RemoteText>,
    /// Size the VM sees.
    pub capacity: Option<Bytes>,
    /// Size on the host.
    pub allocation: Option<Bytes>,
    /// The image and those it is based on, the image itself first; empty where that is not known. One that
    /// is based on nothing is there alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<VmDiskImage>,
}

/// One image of a disk's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmDiskImage {
    /// File on the host.
    pub path: RemoteText,
    /// Image format (`VHDX`).
    pub format: Option<RemoteText>,
    /// How it stores (`Fixed`, `Dynamic`, `Differencing`).
    pub kind: Option<RemoteText>,
    /// Size the VM sees.
    pub capacity: Option<Bytes>,
    /// Size on the host.
    pub allocation: Option<Bytes>,
}

/// One network card of a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmNic {
    /// MAC address.
    pub mac: RemoteText,
    /// Device on the host (`vnet3`), while running.
    pub device: Option<RemoteText>,
    /// `network`, `bridge`, `user`.
    pub kind: RemoteText,
    /// Network, bridge or switch it is plugged into.
    pub network: Option<RemoteText>,
    /// Model (`virtio`, `e1000`).
    pub model: Option<RemoteText>,
    /// Addresses of this card, best source first; empty where none is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<VmAddress>,
}

/// One setting of a VM that has no field of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmProperty {
    /// What it is called here.
    pub name: String,
    /// Its value, in the host's words or ours.
    pub value: RemoteText,
}

/// Everything about one VM, read when a person opens it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmDetail {
    /// Slow facts, read afresh.
    pub facts: VmFacts,
    /// Disks.
    pub disks: Vec<VmDisk>,
    /// Network cards.
    pub nics: Vec<VmNic>,
    /// Its snapshots, parents before children.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<VmSnapshot>,
    /// Settings that have no field of their own, in the order in which they are to be shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<VmProperty>,
    /// Memory it may have at most, as it is set up; `None` = unknown.
    #[serde(default, skip_serializing)]
    pub memory_limit: Option<Bytes>,
    /// What the hypervisor's own tool prints about it (libvirt: `virsh dominfo`); empty where there is
    /// no such thing, or it could not be read.
    #[serde(default, skip_serializing)]
    pub information: RemoteDocument,
    /// The hypervisor's own definition (libvirt: domain XML, without secrets; Hyper-V: what the host
    /// answered, as JSON).
    pub definition: RemoteDocument,
    /// What could not be read, and why, in the hypervisor's words.
    pub gaps: Vec<RemoteText>,
}

/// A multi-line text from a host; each line is made visible on its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RemoteDocument(pub Vec<RemoteText>);

impl RemoteDocument {
    /// Most lines that are kept. A definition has some hundreds; every one costs memory of its own.
    pub const MAX_LINES: usize = 20_000;

    /// Splits text into lines; tabs become two blanks so that indentation survives. Lines beyond
    /// [`Self::MAX_LINES`] are left out, which the last one says.
    pub fn new(text: &str) -> Self {
        let mut lines = text.lines();
        let mut kept: Vec<RemoteText> = lines
            .by_ref()
            .take(Self::MAX_LINES)
            .map(|line| RemoteText::new(&line.replace('\t', "  ")))
            .collect();
        let left_out = lines.count();
        if left_out > 0 {
            kept.push(RemoteText::new(&format!("… and {left_out} lines more")));
        }
        Self(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_nothing_but_lines_is_cut() {
        let document = RemoteDocument::new(&"\n".repeat(RemoteDocument::MAX_LINES + 5));
        assert_eq!(document.0.len(), RemoteDocument::MAX_LINES + 1);
        assert_eq!(document.0.last().unwrap().raw(), "… and 5 lines more");
        assert_eq!(RemoteDocument::new("a\n\tb").0.len(), 2);
    }

    #[test]
    fn ids_are_uuids_and_nothing_else() {
        let id = VmId::parse("6C09BB55-D683-4DA0-8931-C9BF705F6480").unwrap();
        assert_eq!(id.as_str(), "6c09bb55-d683-4da0-8931-c9bf705f6480");
        assert_eq!(id.short(), "6c09bb55");
        for bad in [
            "",
            "1",
            "6c09bb55-d683-4da0-8931-c9bf705f648g",
            "6c09bb55d683-4da0-8931-c9bf705f64800",
            "a; destroy",
        ] {
            assert!(VmId::parse(bad).is_none(), "{bad:?}");
        }
    }
}
