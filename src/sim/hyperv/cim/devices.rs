//! Devices of VMs in WMI: memory, processors, network cards, switches, disks, integration services
//! (Microsoft: `Msvm_MemorySettingData` and its neighbours).

use super::{Cell, Cells, Class, Space, WinWorld};
use crate::sim::hyperv::plan::{Nic, Service, guid};
use crate::sim::hyperv::vm::WinVm;
use crate::sim::load::{mix, mix_text};

pub(super) const CLASSES: &[&Class] = &[
    &MEMORY,
    &PROCESSOR,
    &SYNTHETIC_PORT,
    &EMULATED_PORT,
    &PORT_ALLOCATION,
    &SWITCH,
    &GUEST_NETWORK,
    &STORAGE,
    &SHUTDOWN,
    &HEARTBEAT,
    &KEYBOARD,
];

const RESOURCE_COLUMNS: &str = "InstanceID Caption Description ElementName ResourceType OtherResourceType \
              ResourceSubType PoolID ConsumerVisibility HostResource AllocationUnits \
              VirtualQuantity Limit Reservation Weight AutomaticAllocation AutomaticDeallocation \
              Parent Connection Address MappingBehavior AddressOnParent VirtualQuantityUnits \
              DynamicMemoryEnabled TargetMemoryBuffer SwapFilesInUse IsVirtualized \
              HugePagesEnabled SgxEnabled SgxSize MaxMemoryBlocksPerNumaNode LimitCPUID \
              LimitProcessorFeatures HwThreadsPerCore MaxProcessorsPerNumaNode \
              MaxNumaNodesPerSocket ExposeVirtualizationExtensions VirtualSystemIdentifiers \
              StaticMacAddress ClusterMonitored AllowPacketDirect DeviceNamingEnabled EnabledState \
              LastKnownSwitchName RequiredFeatures TestReplicaPoolID TestReplicaSwitchName \
              DesiredVLANEndpointMode IOPSLimit IOPSReservation PersistentReservationsSupported";

/// The definition that WMI keeps beside the memory and the processors of VMs; its identity does not
/// begin like that of a VM's.
fn definition(kind: &'static str, units: &'static str) -> Cells {
    Cells::new(format!("Definition/{kind}"))
        .text(
            "InstanceID",
            format!("Microsoft:Definition\\{}\\Default", guid(mix_text(4, kind))),
        )
        .text("ElementName", kind)
        .text("AllocationUnits", units)
        .with("VirtualQuantity", Cell::U64(1024))
}

/// `Msvm_MemorySettingData`: mebibytes, of VMs, of their checkpoints, and a definition.
static MEMORY: Class = Class {
    name: "Msvm_MemorySettingData",
    space: Space::Virtualization,
    columns: RESOURCE_COLUMNS,
    keys: &["InstanceID"],
    derives: &["CIM_ResourceAllocationSettingData", "CIM_SettingData"],
    methods: &[],
    rows: |world| {
        let mut rows = vec![definition("Memory", "byte * 2^20")];
        for vm in &world.vms {
            rows.push(memory_row(world, vm, vm.id()));
            for checkpoint in &vm.plan.checkpoints {
                rows.push(memory_row(world, vm, &checkpoint.id));
            }
        }
        rows
    },
};

fn memory_row(world: &WinWorld, vm: &WinVm, id: &str) -> Cells {
    let settings = vm.settings();
    let (least, most) = settings
        .dynamic
        .unwrap_or((settings.memory_mib, settings.memory_mib));
    Cells::new(format!("{id}/memory"))
        .text(
            "InstanceID",
            format!("Microsoft:{id}\\4764334d-e001-4176-82ee-5594ec9b530e"),
        )
        .text(
            "ElementName",
            world.plan.language.of("Memory", "Arbeitsspeicher"),
        )
        .u16("ResourceType", 4)
        .text("ResourceSubType", "Microsoft:Hyper-V:Memory")
        .text("AllocationUnits", "byte * 2^20")
        .text("VirtualQuantityUnits", "byte * 2^20")
        .with("VirtualQuantity", Cell::U64(settings.memory_mib))
        .with("Reservation", Cell::U64(least))
        .with("Limit", Cell::U64(most))
        .with("Weight", Cell::U32(5000))
        .with(
            "DynamicMemoryEnabled",
            Cell::Bool(settings.dynamic.is_some()),
        )
        .with("TargetMemoryBuffer", Cell::U32(20))
        .with("SwapFilesInUse", Cell::Bool(false))
}

/// `Msvm_ProcessorSettingData`: reservations and limits in thousandths of a percent.
static PROCESSOR: Class = Class {
    name: "Msvm_ProcessorSettingData",
    space: Space::Virtualization,
    columns: RESOURCE_COLUMNS,
    keys: &["InstanceID"],
    derives: &["CIM_ResourceAllocationSettingData", "CIM_SettingData"],
    methods: &[],
    rows: |world| {
        let mut rows = vec![definition("Processor", "percent / 1000")];
        for vm in &world.vms {
            rows.push(
                Cells::new(format!("{}/processor", vm.id()))
                    .text(
                        "InstanceID",
                        format!(
                            "Microsoft:{}\\b637f346-6a0e-4dec-af52-bd70cb80a21d\\0",
                            vm.id()
                        ),
                    )
                    .text(
                        "ElementName",
                        world.plan.language.of("Processor", "Prozessor"),
                    )
                    .u16("ResourceType", 3)
                    .text("ResourceSubType", "Microsoft:Hyper-V:Processor")
                    .text("AllocationUnits", "percent / 1000")
                    .text("VirtualQuantityUnits", "count")
                    .with("VirtualQuantity", Cell::U64(u64::from(vm.settings().vcpus)))
                    .with("Reservation", Cell::U64(0))
                    .with("Limit", Cell::U64(100_000))
                    .with("Weight", Cell::U32(100)),
            );
        }
        rows
    },
};

fn nic_id(vm: &WinVm, nic: &Nic) -> String {
    format!("Microsoft:{}\\{}", vm.id(), nic.id)
}

fn ports(world: &WinWorld, legacy: bool) -> Vec<Cells> {
    let cards = |vm: &'_ WinVm| {
        let rows: Vec<Cells> = vm
            .plan
            .nics
            .iter()
            .filter(|nic| nic.legacy == legacy)
            .map(|nic| {
                let mac = if !nic.static_mac && vm.plan.uptime.is_zero() {
                    "000000000000".to_owned()
                } else {
                    nic.mac.clone()
                };
                Cells::new(nic_id(vm, nic))
                    .text("InstanceID", nic_id(vm, nic))
                    .text("ElementName", nic.name.clone())
                    .u16("ResourceType", 10)
                    .text(
                        "ResourceSubType",
                        if legacy {
                            "Microsoft:Hyper-V:Emulated Ethernet Port"
                        } else {
                            "Microsoft:Hyper-V:Synthetic Ethernet Port"
                        },
                    )
                    .text("Address", mac)
                    .with("StaticMacAddress", Cell::Bool(nic.static_mac))
                    .with(
                        "VirtualSystemIdentifiers",
                        Cell::texts([format!("{{{}}}", nic.id)]),
                    )
            })
            .collect();
        rows
    };
    world.vms.iter().flat_map(cards).collect()
}

static SYNTHETIC_PORT: Class = Class {
    name: "Msvm_SyntheticEthernetPortSettingData",
    space: Space::Virtualization,
    columns: RESOURCE_COLUMNS,
    keys: &["InstanceID"],
    derives: &["CIM_ResourceAllocationSettingData", "CIM_SettingData"],
    methods: &[],
    rows: |world| ports(world, false),
};

static EMULATED_PORT: Class = Class {
    name: "Msvm_EmulatedEthernetPortSettingData",
    space: Space::Virtualization,
    columns: RESOURCE_COLUMNS,
    keys: &["InstanceID"],
    derives: &["CIM_ResourceAllocationSettingData", "CIM_SettingData"],
    methods: &[],
    rows: |world| ports(world, true),
};

/// `Msvm_EthernetPortAllocationSettingData`: which switch a card is plugged into.
static PORT_ALLOCATION: Class = Class {
    name: "Msvm_EthernetPortAllocationSettingData",
    space: Space::Virtualization,
    columns: RESOURCE_COLUMNS,
    keys: &["InstanceID"],
    derives: &["CIM_ResourceAllocationSettingData", "CIM_SettingData"],
    methods: &[],
    rows: |world| {
        let mut rows = Vec::new();
        for vm in &world.vms {
            for nic in &vm.plan.nics {
                let id = format!("{}\\C", nic_id(vm, nic));
                let on = nic.switch.as_deref().map(|switch| {
                    format!(
                        "\\\\{}\\{}:Msvm_VirtualEthernetSwitch.CreationClassName=\"Msvm_VirtualEthernetSwitch\",Name=\"{}\"",
                        world.hostname,
                        Space::Virtualization.path(),
                        switch_id(world, switch)
                    )
                });
                rows.push(
                    Cells::new(id.clone())
                        .text("InstanceID", id)
                        .u16("ResourceType", 33)
                        .text("ResourceSubType", "Microsoft:Hyper-V:Ethernet Connection")
                        .text("ElementName", nic.name.clone())
                        .u16("EnabledState", if on.is_some() { 2 } else { 3 })
                        .with(
                            "LastKnownSwitchName",
                            Cell::maybe_text(nic.switch.as_deref()),
                        )
                        .with(
                            "HostResource",
                            on.map_or(Cell::Null, |path| Cell::texts([path])),
                        ),
                );
            }
        }
        rows
    },
};

/// The GUID of a switch; the default switch has the same one everywhere.
pub(in crate::sim) fn switch_id(world: &WinWorld, name: &str) -> String {
    if name == "Default Switch" {
        "C08CB7B8-9B3C-408E-8E30-5E16A3AEB444".to_owned()
    } else {
        guid(mix_text(mix(world.seed(), 500), name))
    }
}

/// Names of the host's switches.
pub(in crate::sim) fn switches(world: &WinWorld) -> Vec<String> {
    let mut names: Vec<String> = world
        .vms
        .iter()
        .flat_map(|vm| vm.plan.nics.iter().filter_map(|nic| nic.switch.clone()))
        .chain(["LAN".to_owned()])
        .chain((!world.plan.windows.is_server()).then(|| "Default Switch".to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}

static SWITCH: Class = Class {
    name: "Msvm_VirtualEthernetSwitch",
    space: Space::Virtualization,
    columns: "InstanceID Caption Description ElementName InstallDate OperationalStatus \
              StatusDescriptions Status HealthState EnabledState RequestedState CreationClassName \
              Name NameFormat MaxVMQOffloads MaxIOVOffloads",
    keys: &["CreationClassName", "Name"],
    derives: &["CIM_ComputerSystem", "CIM_System"],
    methods: &[],
    rows: |world| {
        switches(world)
            .into_iter()
            .map(|name| {
                let id = switch_id(world, &name);
                Cells::new(id.clone())
                    .text("CreationClassName", "Msvm_VirtualEthernetSwitch")
                    .text("ElementName", name)
                    .u16("EnabledState", 5)
                    .u16("HealthState", 5)
                    .text("Name", id)
            })
            .collect()
    },
};

/// `Msvm_GuestNetworkAdapterConfiguration`: the addresses a guest tells through its services.
static GUEST_NETWORK: Class = Class {
    name: "Msvm_GuestNetworkAdapterConfiguration",
    space: Space::Virtualization,
    columns: "InstanceID ProtocolIFType DHCPEnabled IPAddresses Subnets DefaultGateways DNSServers \
              IPAddressOrigins",
    keys: &["InstanceID"],
    derives: &["CIM_SettingData"],
    methods: &[],
    rows: |world| {
        let mut rows = Vec::new();
        for vm in &world.vms {
            for (place, nic) in vm.plan.nics.iter().enumerate() {
                let addresses = vm.addresses(place, world.t());
                let masks = addresses.iter().map(|a| {
                    if a.contains(':') {
                        "/64"
                    } else {
                        "255.255.255.0"
                    }
                });
                let id = format!("Microsoft:GuestNetwork\\{}\\{}", vm.id(), nic.id);
                rows.push(
                    Cells::new(id.clone())
                        .text("InstanceID", id)
                        .u16("ProtocolIFType", 4096)
                        .with("DHCPEnabled", Cell::Bool(true))
                        .with("Subnets", Cell::texts(masks))
                        .with("IPAddresses", Cell::texts(addresses.iter().cloned())),
                );
            }
        }
        rows
    },
};

/// `Msvm_StorageAllocationSettingData`: the files of virtual hard disks.
static STORAGE: Class = Class {
    name: "Msvm_StorageAllocationSettingData",
    space: Space::Virtualization,
    columns: RESOURCE_COLUMNS,
    keys: &["InstanceID"],
    derives: &["CIM_ResourceAllocationSettingData", "CIM_SettingData"],
    methods: &[],
    rows: |world| {
        let mut rows = Vec::new();
        for vm in &world.vms {
            for (place, disk) in vm.plan.disks.iter().enumerate() {
                let chain = vm.disk_chain(disk, vm.plan.current.as_deref());
                let id = format!(
                    "Microsoft:{}\\83F8638B-8DCA-4152-9EDA-2CA8B33039B4\\{place}\\{}\\D",
                    vm.id(),
                    disk.location
                );
                rows.push(
                    Cells::new(id.clone())
                        .text("InstanceID", id)
                        .u16("ResourceType", 31)
                        .text("ResourceSubType", "Microsoft:Hyper-V:Virtual Hard Disk")
                        .text("AddressOnParent", disk.location.to_string())
                        .with("HostResource", Cell::texts(chain.into_iter().take(1))),
                );
            }
        }
        rows
    },
};

const COMPONENT_COLUMNS: &str = "InstanceID Caption Description ElementName InstallDate OperationalStatus \
              StatusDescriptions Status HealthState CommunicationStatus DetailedStatus \
              OperatingStatus PrimaryStatus EnabledState OtherEnabledState RequestedState \
              EnabledDefault TimeOfLastStateChange SystemCreationClassName SystemName \
              CreationClassName DeviceID PowerManagementSupported";

const COMPONENT_KEYS: &[&str] = &[
    "CreationClassName",
    "DeviceID",
    "SystemCreationClassName",
    "SystemName",
];

/// Rows of VMs whose guest answers through a service: there is none of the others.
fn components(world: &WinWorld, service: Service, class: &'static str) -> Vec<Cells> {
    let (english, german) = service.names();
    world
        .vms
        .iter()
        .filter(|vm| vm.has_service(service, world.t()))
        .map(|vm| {
            Cells::new(vm.id())
                .text("ElementName", world.plan.language.of(english, german))
                .text("CreationClassName", class)
                .text(
                    "DeviceID",
                    format!("Microsoft:{}\\{}", vm.id(), service.guid()),
                )
                .text("SystemCreationClassName", "Msvm_ComputerSystem")
                .text("SystemName", vm.id())
                .with("OperationalStatus", Cell::numbers([2]))
                .u16("HealthState", 5)
                .u16("EnabledState", 2)
        })
        .collect()
}

/// `Msvm_Keyboard`: one for each VM.
static KEYBOARD: Class = Class {
    name: "Msvm_Keyboard",
    space: Space::Virtualization,
    columns: COMPONENT_COLUMNS,
    keys: COMPONENT_KEYS,
    derives: &["CIM_Keyboard", "CIM_UserDevice", "CIM_LogicalDevice"],
    methods: &["TypeText", "TypeKey", "TypeCtrlAltDel"],
    rows: |world| {
        let row = |vm: &WinVm| {
            Cells::new(vm.id())
                .text("ElementName", "Keyboard")
                .text("CreationClassName", "Msvm_Keyboard")
                .text("DeviceID", format!("Microsoft:{}\\Keyboard", vm.id()))
                .text("SystemCreationClassName", "Msvm_ComputerSystem")
                .text("SystemName", vm.id())
                .u16("EnabledState", 2)
        };
        world.vms.iter().map(row).collect()
    },
};

/// `Msvm_ShutdownComponent`: there only while a running guest's shutdown service answers.
pub(in crate::sim) static SHUTDOWN: Class = Class {
    name: "Msvm_ShutdownComponent",
    space: Space::Virtualization,
    columns: COMPONENT_COLUMNS,
    keys: COMPONENT_KEYS,
    derives: &["CIM_LogicalDevice", "CIM_EnabledLogicalElement"],
    methods: &["InitiateShutdown", "InitiateReboot"],
    rows: |world| components(world, Service::Shutdown, "Msvm_ShutdownComponent"),
};

static HEARTBEAT: Class = Class {
    name: "Msvm_HeartbeatComponent",
    space: Space::Virtualization,
    columns: COMPONENT_COLUMNS,
    keys: COMPONENT_KEYS,
    derives: &["CIM_LogicalDevice", "CIM_EnabledLogicalElement"],
    methods: &[],
    rows: |world| components(world, Service::Heartbeat, "Msvm_HeartbeatComponent"),
};
