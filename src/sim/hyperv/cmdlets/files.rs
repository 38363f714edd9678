//! Objects of the Hyper-V cmdlets that belong to the host: files of disks, the host itself, switches
//! (`Microsoft.Vhd.PowerShell`, `Microsoft.HyperV.PowerShell`).

use super::super::cell::{Cell, Thing};
use super::super::cim;
use super::super::plan::Disk;
use super::super::vm::WinVm;
use super::super::world::WinWorld;
use super::objects::{type_name, types};

/// Where new disks are put.
pub(super) const DISKS: &str = "C:\\Hyper-V\\Virtual Hard Disks";

/// A virtual hard disk's file, as `Get-VHD` shows it; `None` when there is no such file.
pub(in crate::sim) fn vhd(world: &WinWorld, path: &str) -> Option<Thing> {
    for vm in &world.vms {
        for disk in &vm.plan.disks {
            // Files of checkpoints that the VM does not stand on are there too.
            let tips = std::iter::once(vm.plan.current.as_deref()).chain(
                vm.plan
                    .checkpoints
                    .iter()
                    .map(|point| Some(point.id.as_str())),
            );
            for tip in tips {
                let chain = vm.disk_chain(disk, tip);
                let place = chain
                    .iter()
                    .position(|file| file.eq_ignore_ascii_case(path));
                if let Some(place) = place {
                    return (!disk.missing).then(|| vhd_thing(vm, disk, &chain, place));
                }
            }
        }
    }
    None
}

fn vhd_thing(vm: &WinVm, disk: &Disk, chain: &[String], place: usize) -> Thing {
    let path = chain.get(place).cloned().unwrap_or_default();
    let parent = chain.get(place + 1);
    let old = path.to_ascii_lowercase().ends_with(".vhd");
    let (kind, kind_name) = match (parent, disk.fixed) {
        (Some(_), _) => (4, "Differencing"),
        (None, true) => (2, "Fixed"),
        (None, false) => (3, "Dynamic"),
    };
    let file_size = if parent.is_some() {
        disk.file_size / 8
    } else {
        disk.file_size
    };
    Thing {
        types: vec!["Microsoft.Vhd.PowerShell.VirtualHardDisk".to_owned()],
        props: vec![
            ("ComputerName", Cell::Null),
            ("Path", Cell::text(path)),
            (
                "VhdFormat",
                if old {
                    Cell::named("Microsoft.Vhd.PowerShell.VhdFormat", 2, "VHD")
                } else {
                    Cell::named("Microsoft.Vhd.PowerShell.VhdFormat", 3, "VHDX")
                },
            ),
            (
                "VhdType",
                Cell::named("Microsoft.Vhd.PowerShell.VhdType", kind, kind_name),
            ),
            ("FileSize", Cell::U64(file_size)),
            ("Size", Cell::U64(disk.size)),
            ("MinimumSize", Cell::U64(disk.size / 2)),
            ("BlockSize", Cell::U32(33_554_432)),
            ("LogicalSectorSize", Cell::U32(512)),
            ("PhysicalSectorSize", Cell::U32(4096)),
            // Without a parent the path is empty text, not nothing.
            (
                "ParentPath",
                Cell::text(parent.cloned().unwrap_or_default()),
            ),
            (
                "DiskIdentifier",
                Cell::text(super::super::plan::guid(vm.plan.seed ^ 0xd15c)),
            ),
            ("FragmentationPercentage", Cell::Null),
            ("Alignment", Cell::I32(1)),
            ("Attached", Cell::Bool(vm.state().has_worker())),
            ("DiskNumber", Cell::Null),
        ],
        shown: None,
        key: None,
    }
}

/// The host, as `Get-VMHost` shows it.
pub(in crate::sim) fn host(world: &WinWorld) -> Thing {
    let memory = i64::try_from(world.memory_kib << 10).unwrap_or(i64::MAX);
    let name = world.hostname.to_uppercase();
    Thing {
        types: types(&[type_name!("VMHost")]),
        props: vec![
            ("Name", Cell::text(name.clone())),
            ("ComputerName", Cell::text(name)),
            (
                "FullyQualifiedDomainName",
                Cell::text(world.hostname.clone()),
            ),
            (
                "LogicalProcessorCount",
                Cell::I32(i32::try_from(world.cpus).unwrap_or(i32::MAX)),
            ),
            ("MemoryCapacity", Cell::I64(memory)),
            ("VirtualHardDiskPath", Cell::text(DISKS)),
            ("VirtualMachinePath", Cell::text("C:\\Hyper-V")),
            ("MacAddressMinimum", Cell::text("00155D000000")),
            ("MacAddressMaximum", Cell::text("00155DFFFFFF")),
            ("EnableEnhancedSessionMode", Cell::Bool(true)),
            ("NumaSpanningEnabled", Cell::Bool(true)),
            ("ResourceMeteringSaveInterval", Cell::Span(3_600_000)),
            (
                "SupportedVmVersions",
                Cell::texts(["5.0", "8.0", world.plan.windows.vm_version()]),
            ),
            ("IovSupport", Cell::Bool(false)),
            ("VirtualMachineMigrationEnabled", Cell::Bool(false)),
        ],
        shown: None,
        key: None,
    }
}

/// A switch, as `Get-VMSwitch` shows it.
pub(in crate::sim) fn switch(world: &WinWorld, name: &str) -> Thing {
    let inside = name == "Default Switch";
    Thing {
        types: types(&[type_name!("VMSwitch")]),
        props: vec![
            ("Name", Cell::text(name)),
            ("Id", Cell::Guid(cim::switch_id(world, name))),
            ("Notes", Cell::text("")),
            (
                "SwitchType",
                if inside {
                    Cell::named(type_name!("VMSwitchType"), 1, "Internal")
                } else {
                    Cell::named(type_name!("VMSwitchType"), 2, "External")
                },
            ),
            (
                "NetAdapterInterfaceDescription",
                if inside {
                    Cell::Null
                } else {
                    Cell::text("Intel(R) Ethernet Server Adapter I350-T2")
                },
            ),
            ("AllowManagementOS", Cell::Bool(true)),
            ("EmbeddedTeamingEnabled", Cell::Bool(false)),
            ("IovEnabled", Cell::Bool(false)),
        ],
        shown: None,
        key: None,
    }
}
