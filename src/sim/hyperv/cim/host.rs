//! The host itself in WMI's `root\cimv2`: system, machine, processors and performance counters
//! (Microsoft: `Win32_OperatingSystem` and its neighbours; counter classes keep their English names in
//! every language).

use super::{Cell, Cells, Class, Space, WinWorld};
use crate::sim::hyperv::vm::WinVm;
use crate::sim::load::{Curve, counter, mix};

pub(super) const CLASSES: &[&Class] = &[
    &OPERATING_SYSTEM,
    &COMPUTER_SYSTEM,
    &PROCESSOR,
    &SERVICE,
    &PROCESS,
    &DYNAMIC_MEMORY,
    &LOGICAL_PROCESSOR,
    &VIRTUAL_PROCESSOR,
];

/// Seconds the host had run when the fleet started.
const UP_BEFORE: f64 = 864_000.0;

static OPERATING_SYSTEM: Class = Class {
    name: "Win32_OperatingSystem",
    space: Space::System,
    columns: "Status Name FreePhysicalMemory FreeSpaceInPagingFiles FreeVirtualMemory Caption \
              Description InstallDate CreationClassName CSCreationClassName CSName CurrentTimeZone \
              LastBootUpTime LocalDateTime NumberOfProcesses NumberOfUsers OSType \
              TotalVirtualMemorySize TotalVisibleMemorySize Version BootDevice BuildNumber \
              BuildType CodeSet CountryCode Locale Manufacturer MUILanguages OperatingSystemSKU \
              OSArchitecture OSLanguage OSProductSuite ProductType RegisteredUser SerialNumber \
              SystemDirectory SystemDrive WindowsDirectory",
    keys: &["Name"],
    derives: &["CIM_OperatingSystem"],
    methods: &[],
    rows: |world| {
        let windows = world.plan.windows;
        let language = world.plan.language;
        vec![
            Cells::new("os")
                .text("Status", "OK")
                .text(
                    "Name",
                    format!(
                        "{}|C:\\Windows|\\Device\\Harddisk0\\Partition3",
                        windows.caption()
                    ),
                )
                .text("Caption", windows.caption())
                .text("CSName", world.hostname.clone())
                .text("Version", format!("10.0.{}", windows.build()))
                .text("BuildNumber", windows.build().to_string())
                .with("TotalVisibleMemorySize", Cell::U64(world.memory_kib))
                .with("FreePhysicalMemory", Cell::U64(free_kib(world)))
                .with("LastBootUpTime", Cell::Time(world.wall_at(-UP_BEFORE)))
                .with("LocalDateTime", Cell::Time(world.wall()))
                .with("CurrentTimeZone", Cell::I32(0))
                .with("OSLanguage", Cell::U32(language.lcid()))
                .text("Locale", format!("{:04x}", language.lcid()))
                .with("MUILanguages", Cell::texts([language.culture()]))
                .text("CodeSet", "1252")
                .text("OSArchitecture", language.of("64-bit", "64-Bit"))
                .with(
                    "ProductType",
                    Cell::U32(if windows.is_server() { 3 } else { 1 }),
                )
                .with(
                    "OperatingSystemSKU",
                    Cell::U32(if windows.is_server() { 7 } else { 48 }),
                )
                .text("WindowsDirectory", "C:\\Windows")
                .text("SystemDirectory", "C:\\Windows\\system32"),
        ]
    },
};

/// Kibibytes that neither VMs nor the host itself use.
fn free_kib(world: &WinWorld) -> u64 {
    let t = world.t();
    let taken: u64 = world.vms.iter().map(|vm| vm.memory_mib(t)).sum();
    let own = world.memory_kib / 20 + (2 << 20);
    world
        .memory_kib
        .saturating_sub(own)
        .saturating_sub(taken << 10)
}

static COMPUTER_SYSTEM: Class = Class {
    name: "Win32_ComputerSystem",
    space: Space::System,
    columns: "Status Name Caption Description CreationClassName DNSHostName Domain DomainRole \
              HypervisorPresent Manufacturer Model NumberOfLogicalProcessors NumberOfProcessors \
              PartOfDomain PrimaryOwnerName Roles SystemType TotalPhysicalMemory UserName \
              Workgroup",
    keys: &["Name"],
    derives: &["CIM_UnitaryComputerSystem", "CIM_ComputerSystem"],
    methods: &[],
    rows: |world| {
        vec![
            Cells::new(world.hostname.clone())
                .text("Status", "OK")
                .text("Name", world.hostname.to_uppercase())
                .text("DNSHostName", world.hostname.clone())
                .text("Domain", "WORKGROUP")
                .with("PartOfDomain", Cell::Bool(false))
                .with("HypervisorPresent", Cell::Bool(true))
                .text("Manufacturer", "Contoso")
                .text("Model", "Server")
                .with("NumberOfProcessors", Cell::U32(1))
                .with("NumberOfLogicalProcessors", Cell::U32(world.cpus))
                .with("TotalPhysicalMemory", Cell::U64(world.memory_kib << 10))
                .text("SystemType", "x64-based PC"),
        ]
    },
};

static PROCESSOR: Class = Class {
    name: "Win32_Processor",
    space: Space::System,
    columns: "DeviceID Name Caption Description Manufacturer MaxClockSpeed CurrentClockSpeed \
              NumberOfCores NumberOfLogicalProcessors LoadPercentage Status Architecture \
              SocketDesignation",
    keys: &["DeviceID"],
    derives: &["CIM_Processor"],
    methods: &[],
    rows: |world| {
        // The system's own gauge sees the root partition alone.
        let own = Curve::new(mix(world.seed(), 9), 0.04).level(world.t()) * 100.0;
        vec![
            Cells::new("CPU0")
                .text("DeviceID", "CPU0")
                .text("Name", "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz")
                .text("Manufacturer", "GenuineIntel")
                .with("MaxClockSpeed", Cell::U32(2000))
                .with("NumberOfCores", Cell::U32(world.cpus.div_ceil(2)))
                .with("NumberOfLogicalProcessors", Cell::U32(world.cpus))
                .u16(
                    "LoadPercentage",
                    u16::try_from(counter(own)).unwrap_or_default(),
                )
                .text("Status", "OK"),
        ]
    },
};

static SERVICE: Class = Class {
    name: "Win32_Service",
    space: Space::System,
    columns: "Name DisplayName Caption State Status StartMode Started ProcessId PathName StartName",
    keys: &["Name"],
    derives: &["CIM_Service"],
    methods: &[],
    rows: |world| {
        crate::sim::hyperv::services::all(world)
            .into_iter()
            .map(|service| {
                Cells::new(service.name)
                    .text("Name", service.name)
                    .text("DisplayName", service.display)
                    .text(
                        "State",
                        if service.running {
                            "Running"
                        } else {
                            "Stopped"
                        },
                    )
                    .with("Started", Cell::Bool(service.running))
                    .text("StartMode", "Auto")
                    .text("Status", "OK")
            })
            .collect()
    },
};

static PROCESS: Class = Class {
    name: "Win32_Process",
    space: Space::System,
    columns: "Handle Name ProcessId ParentProcessId CreationDate CommandLine SessionId",
    keys: &["Handle"],
    derives: &["CIM_Process"],
    methods: &[],
    rows: |world| {
        world
            .processes
            .list()
            .into_iter()
            .map(|process| {
                Cells::new(process.id.to_string())
                    .text("Handle", process.id.to_string())
                    .text("Name", format!("{}.exe", process.name))
                    .with("ProcessId", Cell::U32(process.id))
                    .with("ParentProcessId", Cell::U32(process.parent))
                    .with("SessionId", Cell::U32(0))
                    .text("CommandLine", process.command_line)
                    .with("CreationDate", Cell::Time(process.started))
            })
            .collect()
    },
};

/// VMs that have a worker, and so counters.
pub(super) fn working(world: &WinWorld) -> impl Iterator<Item = &WinVm> {
    world.vms.iter().filter(|vm| vm.state().has_worker())
}

/// Keyed by name: two VMs of one name cannot be told apart.
static DYNAMIC_MEMORY: Class = Class {
    name: "Win32_PerfFormattedData_BalancerStats_HyperVDynamicMemoryVM",
    space: Space::System,
    columns: "Name Caption Description AddedMemory AveragePressure CurrentPressure \
              GuestVisiblePhysicalMemory MaximumPressure MemoryAddOperations \
              MemoryRemoveOperations MinimumPressure PhysicalMemory RemovedMemory",
    keys: &["Name"],
    derives: &["Win32_PerfFormattedData"],
    methods: &[],
    rows: |world| {
        let t = world.t();
        working(world)
            .filter(|vm| vm.settings().dynamic.is_some())
            .map(|vm| {
                Cells::new(vm.name())
                    .text("Name", vm.name())
                    .with(
                        "CurrentPressure",
                        Cell::U32(u32::try_from(vm.pressure(t)).unwrap_or_default()),
                    )
                    .with(
                        "AveragePressure",
                        Cell::U32(u32::try_from(vm.pressure(t)).unwrap_or_default()),
                    )
                    .with(
                        "PhysicalMemory",
                        Cell::U32(u32::try_from(vm.memory_mib(t)).unwrap_or_default()),
                    )
                    .with(
                        "GuestVisiblePhysicalMemory",
                        Cell::U32(u32::try_from(vm.memory_mib(t)).unwrap_or_default()),
                    )
            })
            .collect()
    },
};

/// Percent of all logical processors that guests use.
fn guest_percent(world: &WinWorld) -> f64 {
    let t = world.t();
    let busy: f64 = world
        .vms
        .iter()
        .map(|vm| vm.cpu_level(t) * f64::from(vm.settings().vcpus))
        .sum();
    (busy / f64::from(world.cpus.max(1)) * 100.0).min(97.0)
}

fn whole(value: f64) -> Cell {
    Cell::U64(counter(value.round()))
}

/// The hypervisor's own view of the processors: guests and the root partition.
static LOGICAL_PROCESSOR: Class = Class {
    name: "Win32_PerfFormattedData_HvStats_HyperVHypervisorLogicalProcessor",
    space: Space::System,
    columns: "Name Caption Description PercentGuestRunTime PercentHypervisorRunTime \
              PercentIdleTime PercentTotalRunTime",
    keys: &["Name"],
    derives: &["Win32_PerfFormattedData"],
    methods: &[],
    rows: |world| {
        let guests = guest_percent(world);
        let total = (guests + 2.0).min(100.0);
        let row = |name: String| {
            Cells::new(name.clone())
                .text("Name", name)
                .with("PercentGuestRunTime", whole(guests))
                .with("PercentHypervisorRunTime", whole(1.0))
                .with("PercentTotalRunTime", whole(total))
                .with("PercentIdleTime", whole(100.0 - total))
        };
        (0..world.cpus)
            .map(|n| row(format!("Hv LP {n}")))
            .chain([row("_Total".to_owned())])
            .collect()
    },
};

static VIRTUAL_PROCESSOR: Class = Class {
    name: "Win32_PerfFormattedData_HvStats_HyperVHypervisorVirtualProcessor",
    space: Space::System,
    columns: "Name Caption Description PercentGuestRunTime PercentHypervisorRunTime \
              PercentRemoteRunTime PercentTotalRunTime",
    keys: &["Name"],
    derives: &["Win32_PerfFormattedData"],
    methods: &[],
    rows: |world| {
        let t = world.t();
        working(world)
            .flat_map(|vm| {
                (0..vm.settings().vcpus).map(move |n| {
                    let name = format!("{}:Hv VP {n}", vm.name());
                    Cells::new(format!("{}:{n}", vm.id()))
                        .text("Name", name)
                        .with("PercentGuestRunTime", whole(vm.cpu_level(t) * 100.0))
                        .with("PercentTotalRunTime", whole(vm.cpu_level(t) * 100.0 + 1.0))
                })
            })
            .collect()
    },
};
