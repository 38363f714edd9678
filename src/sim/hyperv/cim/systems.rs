//! VMs in WMI: systems, summaries, settings and checkpoints (Microsoft: `Msvm_ComputerSystem`,
//! `Msvm_SummaryInformation`, `Msvm_VirtualSystemSettingData`, `Msvm_MostCurrentSnapshotInBranch`).

use super::{Cell, Cells, Class, Space, WinWorld, reference};
use crate::sim::hyperv::plan::{Checkpoint, CheckpointKind};
use crate::sim::hyperv::state::{Standing, WinState};
use crate::sim::hyperv::vm::WinVm;

pub(super) const CLASSES: &[&Class] = &[
    &COMPUTER_SYSTEM,
    &SUMMARY,
    &SETTING_DATA,
    &MOST_CURRENT,
    &SNAPSHOT_OF,
    &SETTINGS_DEFINE_STATE,
];

/// `Msvm_ComputerSystem`: the VMs, and a row of the host itself.
pub(in crate::sim) static COMPUTER_SYSTEM: Class = Class {
    name: "Msvm_ComputerSystem",
    space: Space::Virtualization,
    columns: "InstanceID Caption Description ElementName InstallDate OperationalStatus \
              StatusDescriptions Status HealthState CommunicationStatus DetailedStatus \
              OperatingStatus PrimaryStatus EnabledState OtherEnabledState RequestedState \
              EnabledDefault TimeOfLastStateChange AvailableRequestedStates TransitioningToState \
              CreationClassName Name PrimaryOwnerName PrimaryOwnerContact Roles NameFormat \
              OtherIdentifyingInfo IdentifyingDescriptions Dedicated OtherDedicatedDescriptions \
              ResetCapability PowerManagementCapabilities OnTimeInMilliseconds ProcessID \
              TimeOfLastConfigurationChange NumberOfNumaNodes ReplicationState ReplicationHealth \
              ReplicationMode FailedOverReplicationType LastReplicationType \
              LastApplicationConsistentReplicationTime LastReplicationTime \
              LastSuccessfulBackupTime AssignedNumaNodeList EnhancedSessionModeState \
              HwThreadsPerCoreRealized",
    keys: &["CreationClassName", "Name"],
    derives: &[
        "CIM_ComputerSystem",
        "CIM_System",
        "CIM_EnabledLogicalElement",
        "CIM_ManagedElement",
    ],
    methods: &["RequestStateChange"],
    rows: |world| {
        std::iter::once(host_row(world))
            .chain(world.vms.iter().map(|vm| system_row(world, vm)))
            .collect()
    },
};

fn host_row(world: &WinWorld) -> Cells {
    let language = world.plan.language;
    Cells::new(world.hostname.clone())
        .text(
            "Caption",
            language.of("Hosting Computer System", "Hostcomputersystem"),
        )
        .text(
            "Description",
            language.of(
                "Microsoft Hosting Computer System",
                "Microsoft-Hostcomputersystem",
            ),
        )
        .text("ElementName", world.hostname.clone())
        .with("OperationalStatus", Cell::numbers([2]))
        .with("StatusDescriptions", Cell::texts([normal(world)]))
        .text("Status", "OK")
        .u16("HealthState", 5)
        .u16("EnabledState", 2)
        .u16("RequestedState", 12)
        .u16("EnabledDefault", 2)
        .text("CreationClassName", "Msvm_ComputerSystem")
        .text("Name", world.hostname.clone())
        .with("OnTimeInMilliseconds", Cell::U64(0))
        .u16("EnhancedSessionModeState", 0)
}

/// "Operating normally" in the host's language.
fn normal(world: &WinWorld) -> &'static str {
    world
        .plan
        .language
        .of("Operating normally", "Normaler Betrieb")
}

/// What a VM's status says, most important first.
pub(in crate::sim) fn status_texts(world: &WinWorld, vm: &WinVm) -> Vec<String> {
    let language = world.plan.language;
    let first = if vm.standing.critical {
        language.of(
            "The virtual machine's storage or configuration is not accessible",
            "Auf Speicher oder Konfiguration des virtuellen Computers kann nicht zugegriffen werden",
        )
    } else {
        normal(world)
    };
    let second = match vm.busy {
        Some(32768) => Some(language.of("Creating checkpoint", "Prüfpunkt wird erstellt")),
        Some(32769) => Some(language.of("Applying checkpoint", "Prüfpunkt wird angewendet")),
        Some(32770) => Some(language.of("Merging disks", "Datenträger werden zusammengeführt")),
        Some(_) => Some(language.of("In service", "In Betrieb")),
        None if vm.asked.is_some() => {
            Some(language.of("Shutting down...", "Wird heruntergefahren..."))
        }
        None => None,
    };
    std::iter::once(first)
        .chain(second)
        .map(str::to_owned)
        .collect()
}

fn system_row(world: &WinWorld, vm: &WinVm) -> Cells {
    let (t, language) = (world.t(), world.plan.language);
    let replicated = vm.plan.replicated;
    let enhanced = match vm.state() {
        WinState::Running if vm.is_ready(t) => 2,
        _ => 3,
    };
    Cells::new(vm.id())
        .text(
            "Caption",
            language.of("Virtual Machine", "Virtueller Computer"),
        )
        .text(
            "Description",
            language.of("Microsoft Virtual Machine", "Microsoft Virtueller Computer"),
        )
        .text("ElementName", vm.name())
        .with("OperationalStatus", Cell::numbers(vm.operational_status()))
        .with("StatusDescriptions", Cell::texts(status_texts(world, vm)))
        .text("Status", if vm.standing.critical { "Error" } else { "OK" })
        .u16("HealthState", vm.standing.health())
        .u16(
            "EnabledState",
            vm.standing.enabled_state(world.plan.numbers),
        )
        .with("OtherEnabledState", other_state(vm.standing))
        .u16("RequestedState", 12)
        .u16("EnabledDefault", 3)
        .text("CreationClassName", "Msvm_ComputerSystem")
        .text("Name", vm.id())
        .with("TimeOfLastStateChange", Cell::Time(world.wall_at(vm.began)))
        .with("OnTimeInMilliseconds", Cell::U64(vm.uptime_ms(t)))
        .with("ProcessID", vm.pid.map_or(Cell::Null, Cell::U32))
        .u16("NumberOfNumaNodes", 1)
        .u16("ReplicationState", if replicated { 3 } else { 0 })
        .u16("ReplicationHealth", u16::from(replicated))
        .u16("ReplicationMode", u16::from(replicated))
        .u16("EnhancedSessionModeState", enhanced)
}

/// `OtherEnabledState`: a word for states that `EnabledState` has no standard number for.
fn other_state(standing: Standing) -> Cell {
    match standing.state {
        WinState::Saving => Cell::text("Saving"),
        WinState::Pausing => Cell::text("Pausing"),
        WinState::Resuming => Cell::text("Resuming"),
        WinState::FastSaved => Cell::text("FastSaved"),
        WinState::FastSaving => Cell::text("FastSaving"),
        WinState::Hibernated => Cell::text("Hibernated"),
        _ => Cell::Null,
    }
}

/// `Msvm_SummaryInformation`: one row a VM, none of the host.
pub(in crate::sim) static SUMMARY: Class = Class {
    name: "Msvm_SummaryInformation",
    space: Space::Virtualization,
    columns: "InstanceID AllocatedGPU ApplicationHealth AsynchronousTasks AvailableMemoryBuffer \
              CreationTime ElementName EnabledState EnhancedSessionModeState GuestOperatingSystem \
              HealthState Heartbeat HostComputerSystemName IntegrationServicesVersionState \
              MemoryAvailable MemorySpansPhysicalNumaNodes MemoryUsage Name Notes \
              NumberOfProcessors OperationalStatus OtherEnabledState ProcessorLoad \
              ProcessorLoadHistory ReplicationHealth ReplicationHealthEx ReplicationMode \
              ReplicationProviderId ReplicationState ReplicationStateEx Shielded Snapshots \
              StatusDescriptions SwapFilesInUse TestReplicaSystem ThumbnailImage \
              ThumbnailImageHeight ThumbnailImageWidth UpTime Version VirtualSwitchNames \
              VirtualSystemSubType",
    keys: &["InstanceID"],
    derives: &["CIM_SettingData", "CIM_ManagedElement"],
    methods: &[],
    rows: |world| world.vms.iter().map(|vm| summary_row(world, vm)).collect(),
};

fn summary_row(world: &WinWorld, vm: &WinVm) -> Cells {
    let t = world.t();
    let settings = vm.settings();
    let active = vm.state().has_worker();
    let dynamic = settings.dynamic.is_some() && active;
    let switches = vm.plan.nics.iter().filter_map(|nic| nic.switch.clone());
    let history = (0..100_u8).map(|step| {
        if active {
            vm.host_load(t - f64::from(step), world.cpus)
        } else {
            0
        }
    });
    let mut row = Cells::new(vm.id())
        .text("InstanceID", format!("Microsoft:{}", vm.id()))
        .text("Name", vm.id())
        .text("ElementName", vm.name())
        .with("CreationTime", created(world, vm))
        .u16(
            "EnabledState",
            vm.standing.enabled_state(world.plan.numbers),
        )
        .with("OtherEnabledState", other_state(vm.standing))
        .u16("HealthState", vm.standing.health())
        .with("OperationalStatus", Cell::numbers(vm.operational_status()))
        .with("StatusDescriptions", Cell::texts(status_texts(world, vm)))
        .with("UpTime", Cell::U64(vm.uptime_ms(t)))
        .u16(
            "NumberOfProcessors",
            u16::try_from(settings.vcpus).unwrap_or(u16::MAX),
        )
        .text("Notes", settings.notes.clone())
        .text("Version", version(world, vm))
        .text("HostComputerSystemName", world.hostname.clone())
        .text("VirtualSystemSubType", sub_type(vm))
        .with("VirtualSwitchNames", Cell::texts(switches))
        .with("Shielded", Cell::Bool(vm.plan.shielded))
        .u16("ReplicationState", if vm.plan.replicated { 3 } else { 0 })
        .u16("ReplicationHealth", u16::from(vm.plan.replicated))
        .u16("ReplicationMode", u16::from(vm.plan.replicated))
        .u16("IntegrationServicesVersionState", u16::from(vm.is_ready(t)))
        .with("SwapFilesInUse", Cell::Bool(false))
        .with("MemorySpansPhysicalNumaNodes", Cell::Bool(false))
        .with("Heartbeat", vm.heartbeat(t).map_or(Cell::Null, Cell::U16));
    if active {
        row = row
            .u16("ProcessorLoad", vm.host_load(t, world.cpus))
            .with("ProcessorLoadHistory", Cell::numbers(history))
            .with("MemoryUsage", Cell::U64(vm.memory_mib(t)));
    }
    if dynamic {
        let free = 100 - i32::try_from(vm.pressure(t).min(100)).unwrap_or_default();
        row = row
            .with("MemoryAvailable", Cell::I32(free))
            .with("AvailableMemoryBuffer", Cell::I32(20));
    }
    if vm.is_ready(t) {
        row = row.text("GuestOperatingSystem", vm.plan.guest_os.clone());
    }
    row
}

/// When a VM was made: thirty days before its guest was last started.
pub(in crate::sim) fn created(world: &WinWorld, vm: &WinVm) -> Cell {
    Cell::Time(world.wall_at(-vm.plan.uptime.as_secs_f64() - 2_592_000.0))
}

pub(in crate::sim) fn version(world: &WinWorld, vm: &WinVm) -> String {
    vm.plan
        .version
        .clone()
        .unwrap_or_else(|| world.plan.windows.vm_version().to_owned())
}

fn sub_type(vm: &WinVm) -> String {
    format!("Microsoft:Hyper-V:SubType:{}", vm.plan.generation)
}

/// `Msvm_VirtualSystemSettingData`: the settings of VMs as they are, and of their checkpoints.
pub(in crate::sim) static SETTING_DATA: Class = Class {
    name: "Msvm_VirtualSystemSettingData",
    space: Space::Virtualization,
    columns: "InstanceID Caption Description ElementName VirtualSystemIdentifier VirtualSystemType \
              Notes CreationTime ConfigurationID ConfigurationDataRoot ConfigurationFile \
              SnapshotDataRoot SuspendDataRoot SwapFileDataRoot LogDataRoot AutomaticStartupAction \
              AutomaticStartupActionDelay AutomaticStartupActionSequenceNumber \
              AutomaticShutdownAction AutomaticRecoveryAction RecoveryFile BIOSGUID \
              BIOSSerialNumber BaseBoardSerialNumber ChassisSerialNumber Architecture \
              ChassisAssetTag BIOSNumLock BootOrder Parent UserSnapshotType IsSaved \
              AdditionalRecoveryInformation AllowFullSCSICommandSet DebugChannelId \
              DebugPortEnabled DebugPort Version IncrementalBackupEnabled VirtualNumaEnabled \
              AllowReducedFcRedundancy VirtualSystemSubType BootSourceOrder PauseAfterBootFailure \
              NetworkBootPreferredProtocol GuestControlledCacheTypes AutomaticSnapshotsEnabled \
              IsAutomaticSnapshot GuestStateFile GuestStateDataRoot LockOnDisconnect ParentPackage \
              AutomaticCriticalErrorAction AutomaticCriticalErrorActionTimeout ConsoleMode \
              SecureBootEnabled SecureBootTemplateId LowMmioGapSize HighMmioGapSize \
              EnhancedSessionTransportType",
    keys: &["InstanceID"],
    derives: &[
        "CIM_VirtualSystemSettingData",
        "CIM_SettingData",
        "CIM_ManagedElement",
    ],
    methods: &[],
    rows: |world| {
        world
            .vms
            .iter()
            .flat_map(|vm| {
                std::iter::once(realized_row(world, vm)).chain(
                    vm.plan
                        .checkpoints
                        .iter()
                        .map(|c| checkpoint_row(world, vm, c)),
                )
            })
            .collect()
    },
};

fn settings_row(world: &WinWorld, vm: &WinVm, id: &str) -> Cells {
    let settings = vm.settings();
    let delay = i64::from(settings.start_delay_s) * 1000;
    let folder = vm.folder();
    Cells::new(id)
        .text("InstanceID", format!("Microsoft:{id}"))
        .text("VirtualSystemIdentifier", vm.id())
        .text("ConfigurationID", id)
        .text("ConfigurationDataRoot", folder.clone())
        .text("SnapshotDataRoot", folder.clone())
        .text("SuspendDataRoot", folder.clone())
        .text("SwapFileDataRoot", folder)
        .with("Notes", Cell::texts([settings.notes.clone()]))
        .u16("AutomaticStartupAction", settings.start_action)
        .with("AutomaticStartupActionDelay", Cell::Span(delay))
        .u16("AutomaticShutdownAction", settings.stop_action)
        .u16("AutomaticRecoveryAction", 3)
        .u16("AutomaticCriticalErrorAction", 1)
        .u16("UserSnapshotType", settings.checkpoint_type)
        .text("VirtualSystemSubType", sub_type(vm))
        .text("Version", version(world, vm))
        .with("VirtualNumaEnabled", Cell::Bool(true))
        .with("SecureBootEnabled", Cell::Bool(vm.plan.generation == 2))
        .with(
            "AutomaticSnapshotsEnabled",
            Cell::Bool(settings.automatic_checkpoints),
        )
        .with("BIOSNumLock", Cell::Bool(false))
        .with("LowMmioGapSize", Cell::U64(128))
        .with("HighMmioGapSize", Cell::U64(512))
        .with("LockOnDisconnect", Cell::Bool(false))
}

fn realized_row(world: &WinWorld, vm: &WinVm) -> Cells {
    let parent = vm.plan.current.as_deref().map(|id| setting_path(world, id));
    settings_row(world, vm, vm.id())
        .text(
            "Caption",
            world.plan.language.of(
                "Virtual Machine Settings",
                "Einstellungen für virtuellen Computer",
            ),
        )
        .text("ElementName", vm.name())
        .text("VirtualSystemType", "Microsoft:Hyper-V:System:Realized")
        .with("CreationTime", created(world, vm))
        .with("IsSaved", Cell::Bool(vm.state() == WinState::Saved))
        .with("IsAutomaticSnapshot", Cell::Bool(false))
        .with("Parent", Cell::maybe_text(parent.as_deref()))
}

fn checkpoint_row(world: &WinWorld, vm: &WinVm, checkpoint: &Checkpoint) -> Cells {
    let kind = match checkpoint.kind {
        CheckpointKind::Standard => "Microsoft:Hyper-V:Snapshot:Realized",
        CheckpointKind::Recovery => "Microsoft:Hyper-V:Snapshot:Recovery",
        CheckpointKind::Replica => "Microsoft:Hyper-V:Snapshot:Replica:Standard",
    };
    let parent = checkpoint
        .parent
        .as_deref()
        .map(|id| setting_path(world, id));
    settings_row(world, vm, &checkpoint.id)
        .text(
            "Caption",
            world.plan.language.of(
                "Virtual Machine Settings",
                "Einstellungen für virtuellen Computer",
            ),
        )
        .text("ElementName", checkpoint.name.clone())
        .text("VirtualSystemType", kind)
        .with(
            "CreationTime",
            Cell::Time(world.wall_at(checkpoint.created)),
        )
        .with("IsSaved", Cell::Bool(checkpoint.with_memory))
        .with("IsAutomaticSnapshot", Cell::Bool(checkpoint.automatic))
        .with("Parent", Cell::maybe_text(parent.as_deref()))
}

fn setting_path(world: &WinWorld, id: &str) -> String {
    format!(
        "\\\\{}\\{}:Msvm_VirtualSystemSettingData.InstanceID=\"Microsoft:{id}\"",
        world.hostname,
        Space::Virtualization.path()
    )
}

/// A reference to a VM.
pub(super) fn system_reference(id: &str) -> Cell {
    reference(
        &COMPUTER_SYSTEM,
        id,
        vec![
            ("CreationClassName", Cell::text("Msvm_ComputerSystem")),
            ("Name", Cell::text(id)),
        ],
    )
}

/// A reference to settings: of a VM or of a checkpoint.
pub(super) fn setting_reference(id: &str) -> Cell {
    let instance = Cell::text(format!("Microsoft:{id}"));
    reference(&SETTING_DATA, id, vec![("InstanceID", instance)])
}

/// `Msvm_MostCurrentSnapshotInBranch`: on which checkpoint a VM stands.
static MOST_CURRENT: Class = Class {
    name: "Msvm_MostCurrentSnapshotInBranch",
    space: Space::Virtualization,
    columns: "Antecedent Dependent",
    keys: &["Antecedent", "Dependent"],
    derives: &["CIM_Dependency"],
    methods: &[],
    rows: |world| {
        world
            .vms
            .iter()
            .filter_map(|vm| {
                let current = vm.plan.current.as_deref()?;
                Some(
                    Cells::new(format!("{}/{current}", vm.id()))
                        .with("Antecedent", system_reference(vm.id()))
                        .with("Dependent", setting_reference(current)),
                )
            })
            .collect()
    },
};

/// `Msvm_SnapshotOfVirtualSystem`: which checkpoints a VM has.
static SNAPSHOT_OF: Class = Class {
    name: "Msvm_SnapshotOfVirtualSystem",
    space: Space::Virtualization,
    columns: "Antecedent Dependent",
    keys: &["Antecedent", "Dependent"],
    derives: &["CIM_Dependency"],
    methods: &[],
    rows: |world| {
        world
            .vms
            .iter()
            .flat_map(|vm| {
                vm.plan.checkpoints.iter().map(|checkpoint| {
                    Cells::new(format!("{}/{}", vm.id(), checkpoint.id))
                        .with("Antecedent", system_reference(vm.id()))
                        .with("Dependent", setting_reference(&checkpoint.id))
                })
            })
            .collect()
    },
};

/// `Msvm_SettingsDefineState`: which settings are those of a VM.
static SETTINGS_DEFINE_STATE: Class = Class {
    name: "Msvm_SettingsDefineState",
    space: Space::Virtualization,
    columns: "ManagedElement SettingData",
    keys: &["ManagedElement", "SettingData"],
    derives: &["CIM_SettingsDefineState"],
    methods: &[],
    rows: |world| {
        world
            .vms
            .iter()
            .map(|vm| {
                Cells::new(vm.id())
                    .with("ManagedElement", system_reference(vm.id()))
                    .with("SettingData", setting_reference(vm.id()))
            })
            .collect()
    },
};
