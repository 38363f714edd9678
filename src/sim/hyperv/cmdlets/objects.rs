//! Objects of the Hyper-V cmdlets, with the properties and types of the module
//! (Microsoft.HyperV.PowerShell: `VirtualMachine`, `VMSnapshot`, `HardDiskDrive`, ...).

use super::super::cell::{Cell, Key, Thing};
use super::super::cim;
use super::super::plan::{Checkpoint, CheckpointKind, Controller, Disk, Service, Settings};
use super::super::state::{Standing, WinState};
use super::super::vm::{MIB, WinVm};
use super::super::world::WinWorld;

/// The full name of a type of the module.
macro_rules! type_name {
    ($name:literal) => {
        concat!("Microsoft.HyperV.PowerShell.", $name)
    };
}

pub(super) use type_name;

pub(super) fn types(own: &[&str]) -> Vec<String> {
    own.iter()
        .map(|name| (*name).to_owned())
        .chain([type_name!("VirtualizationObject").to_owned()])
        .collect()
}

fn flag(of: &'static str, number: i64, names: &[(i64, &'static str)]) -> Cell {
    let name = names
        .iter()
        .find(|(known, _)| *known == number)
        .map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned());
    Cell::named(of, number, name)
}

fn state(standing: Standing, world: &WinWorld) -> Cell {
    let (number, name) = standing.vm_state(world.plan.numbers);
    Cell::named(type_name!("VMState"), i64::from(number), name)
}

fn operational(number: u16) -> Cell {
    flag(
        type_name!("VMOperationalStatus"),
        i64::from(number),
        &[
            (2, "Ok"),
            (3, "Degraded"),
            (5, "PredictiveFailure"),
            (11, "InService"),
            (15, "Dormant"),
            (32768, "CreatingSnapshot"),
            (32769, "ApplyingSnapshot"),
            (32770, "DeletingSnapshot"),
            (32772, "MergingDisks"),
            (32782, "ApplicationCriticalState"),
            (32795, "CriticalIoError"),
        ],
    )
}

fn bytes(mib: u64) -> Cell {
    Cell::I64(i64::try_from(mib * MIB).unwrap_or(i64::MAX))
}

fn heartbeat(vm: &WinVm, t: f64) -> Cell {
    let (number, name) = match (vm.state(), vm.heartbeat(t)) {
        (WinState::Paused, _) => (8, "Paused"),
        (WinState::Running, Some(2)) => (6, "OkApplicationsHealthy"),
        (WinState::Running, Some(_)) => (2, "NoContact"),
        (WinState::Running, None) => (1, "Disabled"),
        _ => return Cell::Null,
    };
    Cell::named(type_name!("VMHeartbeatStatus"), number, name)
}

/// What settings show of themselves, of a VM or of a checkpoint.
fn settings(world: &WinWorld, vm: &WinVm, shown: &Settings) -> Vec<(&'static str, Cell)> {
    let (least, most) = shown
        .dynamic
        .unwrap_or((shown.memory_mib, shown.memory_mib));
    let folder = vm.folder();
    let on_off = |on: bool| {
        let number = i64::from(!on);
        flag(type_name!("OnOffState"), number, &[(0, "On"), (1, "Off")])
    };
    vec![
        ("Notes", Cell::text(shown.notes.clone())),
        ("Generation", Cell::I32(i32::from(vm.plan.generation))),
        ("Version", Cell::text(cim::version(world, vm))),
        ("Path", Cell::text(folder.clone())),
        ("ConfigurationLocation", Cell::text(folder.clone())),
        ("SnapshotFileLocation", Cell::text(folder.clone())),
        ("CheckpointFileLocation", Cell::text(folder.clone())),
        ("SmartPagingFilePath", Cell::text(folder)),
        ("SmartPagingFileInUse", Cell::Bool(false)),
        ("SizeOfSystemFiles", Cell::I64(77_312)),
        (
            "AutomaticStartAction",
            flag(
                type_name!("StartAction"),
                i64::from(shown.start_action),
                &[(2, "Nothing"), (3, "StartIfRunning"), (4, "Start")],
            ),
        ),
        (
            "AutomaticStartDelay",
            Cell::I32(i32::try_from(shown.start_delay_s).unwrap_or(i32::MAX)),
        ),
        (
            "AutomaticStopAction",
            flag(
                type_name!("StopAction"),
                i64::from(shown.stop_action),
                &[(2, "TurnOff"), (3, "Save"), (4, "ShutDown")],
            ),
        ),
        (
            "AutomaticCriticalErrorAction",
            Cell::named(type_name!("CriticalErrorAction"), 1, "Pause"),
        ),
        ("AutomaticCriticalErrorActionTimeout", Cell::I32(30)),
        (
            "AutomaticCheckpointsEnabled",
            Cell::Bool(shown.automatic_checkpoints),
        ),
        (
            "CheckpointType",
            flag(
                type_name!("CheckpointType"),
                i64::from(shown.checkpoint_type),
                &[
                    (2, "Disabled"),
                    (3, "Production"),
                    (4, "ProductionOnly"),
                    (5, "Standard"),
                ],
            ),
        ),
        ("LockOnDisconnect", on_off(false)),
        ("BatteryPassthroughEnabled", Cell::Bool(true)),
        ("GuestControlledCacheTypes", Cell::Bool(false)),
        ("LowMemoryMappedIoSpace", Cell::U32(134_217_728)),
        ("HighMemoryMappedIoSpace", Cell::U64(536_870_912)),
        ("ProcessorCount", Cell::I64(i64::from(shown.vcpus))),
        ("DynamicMemoryEnabled", Cell::Bool(shown.dynamic.is_some())),
        ("MemoryStartup", bytes(shown.memory_mib)),
        ("MemoryMinimum", bytes(least)),
        ("MemoryMaximum", bytes(most)),
        ("ResourceMeteringEnabled", Cell::Bool(false)),
    ]
}

/// A VM, as `Get-VM` shows it.
pub(in crate::sim) fn machine(world: &WinWorld, vm: &WinVm) -> Thing {
    let t = world.t();
    let shown = vm.shown_settings(t);
    let parent = vm.plan.current.as_deref().and_then(|id| vm.checkpoint(id));
    let parent_id = parent.map_or(Cell::Null, |p| Cell::Guid(p.id.clone()));
    let parent_name = Cell::maybe_text(parent.map(|p| p.name.as_str()));
    let statuses = vm.operational_status();
    let texts = cim::status_texts(world, vm);
    let status_at = |place: usize| statuses.get(place).map_or(Cell::Null, |s| operational(*s));
    let ready = vm.is_ready(t);
    let language = world.plan.language;
    let memory = vm.memory_mib(t);
    let pressed = shown.dynamic.is_some() && vm.state().has_worker();
    let mut props = vec![
        ("ParentCheckpointId", parent_id.clone()),
        ("ParentCheckpointName", parent_name.clone()),
        ("VMName", Cell::text(shown.name.clone())),
        ("VMId", Cell::Guid(vm.id().to_owned())),
        ("Name", Cell::text(shown.name.clone())),
        ("Id", Cell::Guid(vm.id().to_owned())),
        ("State", state(vm.standing, world)),
        ("Status", Cell::maybe_text(texts.last().map(String::as_str))),
        (
            "OperationalStatus",
            Cell::List(statuses.iter().map(|s| operational(*s)).collect()),
        ),
        ("PrimaryOperationalStatus", status_at(0)),
        ("SecondaryOperationalStatus", status_at(1)),
        ("StatusDescriptions", Cell::texts(texts.clone())),
        (
            "PrimaryStatusDescription",
            Cell::maybe_text(texts.first().map(String::as_str)),
        ),
        (
            "SecondaryStatusDescription",
            Cell::maybe_text(texts.get(1).map(String::as_str)),
        ),
        ("Heartbeat", heartbeat(vm, t)),
        (
            "Uptime",
            Cell::Span(i64::try_from(vm.uptime_ms(t)).unwrap_or(i64::MAX)),
        ),
        (
            "CPUUsage",
            Cell::I32(i32::from(vm.host_load(t, world.cpus))),
        ),
        ("MemoryAssigned", bytes(memory)),
        (
            "MemoryDemand",
            Cell::I64(i64::try_from(vm.demand(t)).unwrap_or(i64::MAX)),
        ),
        (
            "MemoryStatus",
            Cell::text(if pressed { language.of("OK", "OK") } else { "" }),
        ),
        (
            "IntegrationServicesState",
            Cell::text(if ready {
                language.of("Up to date", "Auf dem neuesten Stand")
            } else {
                ""
            }),
        ),
    ];
    props.extend(identity(world, vm, (parent_id, parent_name)));
    props.extend(settings(world, vm, shown));
    props.extend(replication(vm));
    props.push(("HardDrives", things(hard_disks(vm, None))));
    props.push(("NetworkAdapters", things(adapters(world, vm))));
    props.push(("VMIntegrationService", things(services(world, vm))));
    Thing {
        types: types(&[
            type_name!("VirtualMachine"),
            type_name!("VirtualMachineBase"),
            type_name!("ComputeResource"),
        ]),
        props,
        shown: Some(format!(
            "VirtualMachine (Name = '{}') [Id = '{}']",
            shown.name,
            vm.id().to_lowercase()
        )),
        key: Some(Key::Vm(vm.id().to_owned())),
    }
}

/// What a VM is, whatever it does.
fn identity(
    world: &WinWorld,
    vm: &WinVm,
    (parent_id, parent_name): (Cell, Cell),
) -> Vec<(&'static str, Cell)> {
    vec![
        ("ComputerName", Cell::text(world.hostname.clone())),
        ("CreationTime", cim::created(world, vm)),
        ("IsClustered", Cell::Bool(vm.plan.clustered)),
        ("IsDeleted", Cell::Bool(false)),
        ("ParentSnapshotId", parent_id),
        ("ParentSnapshotName", parent_name),
        (
            "VirtualMachineType",
            Cell::named(
                type_name!("VirtualMachineType"),
                3,
                "RealizedVirtualMachine",
            ),
        ),
        (
            "VirtualMachineSubType",
            flag(
                type_name!("VirtualMachineSubType"),
                i64::from(vm.plan.generation) - 1,
                &[(0, "Generation1"), (1, "Generation2")],
            ),
        ),
        ("NumaAligned", Cell::Bool(true)),
        ("NumaNodesCount", Cell::I32(1)),
        ("NumaSocketCount", Cell::I32(1)),
    ]
}

fn things(things: Vec<Thing>) -> Cell {
    Cell::List(
        things
            .into_iter()
            .map(|thing| Cell::Thing(Box::new(thing)))
            .collect(),
    )
}

fn replication(vm: &WinVm) -> Vec<(&'static str, Cell)> {
    let on = vm.plan.replicated;
    let of = |kind, number: i64, name: &'static str| {
        if on {
            Cell::named(kind, number, name)
        } else if kind == type_name!("VMReplicationMode") {
            Cell::named(kind, 0, "None")
        } else if kind == type_name!("VMReplicationState") {
            Cell::named(kind, 0, "Disabled")
        } else {
            Cell::named(kind, 0, "NotApplicable")
        }
    };
    vec![
        (
            "ReplicationState",
            of(type_name!("VMReplicationState"), 6, "Replicating"),
        ),
        (
            "ReplicationHealth",
            of(type_name!("VMReplicationHealthState"), 1, "Normal"),
        ),
        (
            "ReplicationMode",
            of(type_name!("VMReplicationMode"), 1, "Primary"),
        ),
    ]
}

/// A checkpoint, as `Get-VMSnapshot` shows it.
pub(in crate::sim) fn checkpoint(world: &WinWorld, vm: &WinVm, point: &Checkpoint) -> Thing {
    let parent = point.parent.as_deref().and_then(|id| vm.checkpoint(id));
    let (number, name) = match point.kind {
        CheckpointKind::Standard => (0, "Standard"),
        CheckpointKind::Recovery => (1, "Recovery"),
        CheckpointKind::Replica => (6, "Replica"),
    };
    let standing = Standing::sound(if point.with_memory {
        WinState::Saved
    } else {
        WinState::Off
    });
    let parent_id = parent.map_or(Cell::Null, |p| Cell::Guid(p.id.clone()));
    let mut props = vec![
        ("Name", Cell::text(point.name.clone())),
        ("Id", Cell::Guid(point.id.clone())),
        ("VMName", Cell::text(vm.name())),
        ("VMId", Cell::Guid(vm.id().to_owned())),
        ("State", state(standing, world)),
        (
            "SnapshotType",
            Cell::named(type_name!("SnapshotType"), number, name),
        ),
        ("IsAutomaticCheckpoint", Cell::Bool(point.automatic)),
        ("CreationTime", Cell::Time(world.wall_at(point.created))),
        ("ParentSnapshotId", parent_id.clone()),
        ("ParentCheckpointId", parent_id),
        (
            "ParentSnapshotName",
            Cell::maybe_text(parent.map(|p| p.name.as_str())),
        ),
        (
            "ParentCheckpointName",
            Cell::maybe_text(parent.map(|p| p.name.as_str())),
        ),
        ("ComputerName", Cell::text(world.hostname.clone())),
        ("IsDeleted", Cell::Bool(false)),
        ("IsClustered", Cell::Bool(false)),
    ];
    props.extend(settings(world, vm, vm.settings()));
    Thing {
        types: types(&[
            type_name!("VMSnapshot"),
            type_name!("VirtualMachineBase"),
            type_name!("ComputeResource"),
        ]),
        props,
        shown: Some(format!(
            "VMSnapshot (Name = '{}', VMName = '{}') [Id = '{}', VMId = '{}']",
            point.name,
            vm.name(),
            point.id.to_lowercase(),
            vm.id().to_lowercase()
        )),
        key: Some(Key::Checkpoint(vm.id().to_owned(), point.id.clone())),
    }
}

/// The disks of a VM, or as they were on a checkpoint.
pub(in crate::sim) fn hard_disks(vm: &WinVm, on: Option<&Checkpoint>) -> Vec<Thing> {
    let standing_on = match on {
        // A checkpoint holds the files below the one that came after it.
        Some(point) => point.parent.as_deref(),
        None => vm.plan.current.as_deref(),
    };
    vm.plan
        .disks
        .iter()
        .map(|disk| hard_disk(vm, disk, standing_on))
        .collect()
}

fn hard_disk(vm: &WinVm, disk: &Disk, on: Option<&str>) -> Thing {
    let (number, name) = disk.controller.named();
    let path = match disk.physical {
        Some(number) => format!("Disk {number}"),
        None => vm
            .disk_chain(disk, on)
            .into_iter()
            .next()
            .unwrap_or_default(),
    };
    let controller = match disk.controller {
        Controller::Ide => "83F8638B-8DCA-4152-9EDA-2CA8B33039B4",
        Controller::Scsi => "6E8C8C2B-2E5A-4E53-9C2A-0C7C1D4A5B11",
    };
    let id = format!(
        "Microsoft:{}\\{controller}\\{}\\{}\\D",
        vm.id(),
        disk.number,
        disk.location
    );
    Thing {
        types: types(&[
            type_name!("HardDiskDrive"),
            type_name!("Drive"),
            type_name!("VMDevice"),
        ]),
        props: vec![
            ("Path", Cell::text(path)),
            (
                "DiskNumber",
                disk.physical.map_or(Cell::Null, |n| {
                    Cell::I32(i32::try_from(n).unwrap_or_default())
                }),
            ),
            (
                "ControllerType",
                Cell::named(type_name!("ControllerType"), number, name),
            ),
            ("ControllerNumber", Cell::I32(disk.number)),
            ("ControllerLocation", Cell::I32(disk.location)),
            ("MinimumIOPS", Cell::U64(0)),
            ("MaximumIOPS", Cell::U64(0)),
            ("Name", Cell::text("Hard Drive")),
            ("Id", Cell::text(id)),
            ("VMId", Cell::Guid(vm.id().to_owned())),
            ("VMName", Cell::text(vm.name())),
            ("IsDeleted", Cell::Bool(false)),
        ],
        shown: None,
        key: None,
    }
}

/// The network cards of a VM.
pub(in crate::sim) fn adapters(world: &WinWorld, vm: &WinVm) -> Vec<Thing> {
    let t = world.t();
    let adapter = |(place, nic): (usize, &super::super::plan::Nic)| {
        let on = nic.switch.as_deref();
        let never_started = !nic.static_mac && vm.plan.uptime.is_zero();
        let mac = if never_started && !vm.state().has_worker() {
            "000000000000".to_owned()
        } else {
            nic.mac.clone()
        };
        let status = if vm.is_ready(t) {
            vec![Cell::named(
                type_name!("VMNetworkAdapterOperationalStatus"),
                2,
                "Ok",
            )]
        } else {
            Vec::new()
        };
        Thing {
            types: types(&[type_name!("VMNetworkAdapter"), type_name!("VMDevice")]),
            props: vec![
                ("Name", Cell::text(nic.name.clone())),
                (
                    "Id",
                    Cell::text(format!("Microsoft:{}\\{}", vm.id(), nic.id)),
                ),
                ("VMId", Cell::Guid(vm.id().to_owned())),
                ("VMName", Cell::text(vm.name())),
                ("MacAddress", Cell::text(mac)),
                ("DynamicMacAddressEnabled", Cell::Bool(!nic.static_mac)),
                (
                    "IPAddresses",
                    Cell::texts(vm.addresses(place, t).iter().cloned()),
                ),
                ("SwitchName", Cell::maybe_text(on)),
                (
                    "SwitchId",
                    on.map_or(Cell::Null, |name| Cell::Guid(cim::switch_id(world, name))),
                ),
                ("Connected", Cell::Bool(on.is_some())),
                ("IsLegacy", Cell::Bool(nic.legacy)),
                ("IsManagementOs", Cell::Bool(false)),
                ("Status", Cell::List(status)),
                (
                    "StatusDescription",
                    Cell::texts(vm.is_ready(t).then_some("OK")),
                ),
                ("ComputerName", Cell::text(world.hostname.clone())),
                ("IsDeleted", Cell::Bool(false)),
            ],
            shown: Some(format!(
                "VMNetworkAdapter (Name = '{}', VMName = '{}') [VMId = '{}']",
                nic.name,
                vm.name(),
                vm.id().to_lowercase()
            )),
            key: None,
        }
    };
    vm.plan.nics.iter().enumerate().map(adapter).collect()
}

/// The integration services of a VM, offered or not.
pub(in crate::sim) fn services(world: &WinWorld, vm: &WinVm) -> Vec<Thing> {
    let t = world.t();
    let language = world.plan.language;
    Service::ALL
        .iter()
        .map(|service| {
            let (english, german) = service.names();
            let enabled = vm.plan.offered.contains(service);
            let status = match (vm.state(), enabled) {
                (WinState::Running, true) if vm.is_ready(t) => Some((2, "Ok", "OK")),
                (WinState::Running, true) => {
                    Some((12, "NoContact", language.of("No Contact", "Kein Kontakt")))
                }
                _ => None,
            };
            let named = |(number, name, _): (i64, &'static str, &str)| {
                Cell::named(
                    type_name!("VMIntegrationComponentOperationalStatus"),
                    number,
                    name,
                )
            };
            Thing {
                types: types(&[type_name!("VMIntegrationComponent"), type_name!("VMDevice")]),
                props: vec![
                    ("Name", Cell::text(language.of(english, german))),
                    (
                        "Id",
                        Cell::text(format!("Microsoft:{}\\{}", vm.id(), service.guid())),
                    ),
                    ("Enabled", Cell::Bool(enabled)),
                    (
                        "OperationalStatus",
                        Cell::List(status.map(named).into_iter().collect()),
                    ),
                    ("PrimaryOperationalStatus", status.map_or(Cell::Null, named)),
                    (
                        "PrimaryStatusDescription",
                        Cell::text(status.map_or("", |(_, _, text)| text)),
                    ),
                    ("SecondaryOperationalStatus", Cell::Null),
                    ("SecondaryStatusDescription", Cell::text("")),
                    ("VMId", Cell::Guid(vm.id().to_owned())),
                    ("VMName", Cell::text(vm.name())),
                ],
                shown: None,
                key: None,
            }
        })
        .collect()
}
