//! Everything about one VM, read from its host when asked for.

use serde::Serialize;
use utoipa::ToSchema;

use super::vm::Vm;
use crate::domain::text::RemoteText;
use crate::domain::vm::{VmDetail as Read, VmDisk, VmNic};

/// One disk.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Disk {
    /// Device name in the VM.
    #[schema(value_type = String)]
    target: RemoteText,
    /// File or device on the host.
    #[schema(value_type = Option<String>)]
    source: Option<RemoteText>,
    /// `disk`, `cdrom` or `floppy`.
    #[schema(value_type = String)]
    device: RemoteText,
    /// Image format.
    #[schema(value_type = Option<String>)]
    format: Option<RemoteText>,
    /// Controller.
    #[schema(value_type = Option<String>)]
    bus: Option<RemoteText>,
    /// Size the VM sees.
    capacity_bytes: Option<u64>,
    /// Size on the host.
    allocation_bytes: Option<u64>,
}

impl From<&VmDisk> for Disk {
    fn from(disk: &VmDisk) -> Self {
        Self {
            target: disk.target.clone(),
            source: disk.source.clone(),
            device: disk.device.clone(),
            format: disk.format.clone(),
            bus: disk.bus.clone(),
            capacity_bytes: disk.capacity.map(|bytes| bytes.0),
            allocation_bytes: disk.allocation.map(|bytes| bytes.0),
        }
    }
}

/// One network card.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Nic {
    /// MAC address.
    #[schema(value_type = String)]
    mac: RemoteText,
    /// Device on the host, while running.
    #[schema(value_type = Option<String>)]
    device: Option<RemoteText>,
    /// `network`, `bridge`, `user`.
    #[schema(value_type = String)]
    kind: RemoteText,
    /// Network, bridge or switch it is plugged into.
    #[schema(value_type = Option<String>)]
    network: Option<RemoteText>,
    /// Model.
    #[schema(value_type = Option<String>)]
    model: Option<RemoteText>,
}

impl From<&VmNic> for Nic {
    fn from(nic: &VmNic) -> Self {
        Self {
            mac: nic.mac.clone(),
            device: nic.device.clone(),
            kind: nic.kind.clone(),
            network: nic.network.clone(),
            model: nic.model.clone(),
        }
    }
}

/// What is read afresh from the host.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Afresh {
    /// Title a person gave it in the hypervisor.
    #[schema(value_type = Option<String>)]
    title: Option<RemoteText>,
    /// Description a person gave it in the hypervisor.
    #[schema(value_type = Option<String>)]
    description: Option<RemoteText>,
    /// Operating system, where the hypervisor knows it.
    #[schema(value_type = Option<String>)]
    os: Option<RemoteText>,
    /// Whether it survives being stopped.
    persistent: Option<bool>,
    /// Disks.
    disks: Vec<Disk>,
    /// Network cards.
    nics: Vec<Nic>,
    /// The hypervisor's own definition, by lines.
    #[schema(value_type = Vec<String>)]
    definition: Vec<RemoteText>,
    /// What could not be read, and why, in the hypervisor's words.
    #[schema(value_type = Vec<String>)]
    gaps: Vec<RemoteText>,
}

/// A VM, with what its host says about it when asked (`?detail=true`).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct VmDetail {
    /// The VM as in a list.
    #[serde(flatten)]
    vm: Vm,
    /// Id of the operation under way on it.
    operation: Option<String>,
    /// What its host says; null without `?detail=true`.
    detail: Option<Afresh>,
}

impl VmDetail {
    /// Joins what is known with what was read.
    pub(in crate::serve) fn of(vm: Vm, operation: Option<String>, read: Option<&Read>) -> Self {
        let detail = read.map(|read| Afresh {
            title: read.facts.title.clone(),
            description: read.facts.description.clone(),
            os: read.facts.os.clone(),
            persistent: read.facts.persistent,
            disks: read.disks.iter().map(Disk::from).collect(),
            nics: read.nics.iter().map(Nic::from).collect(),
            definition: read.definition.0.clone(),
            gaps: read.gaps.clone(),
        });
        Self {
            vm,
            operation,
            detail,
        }
    }
}
