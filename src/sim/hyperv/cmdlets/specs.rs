//! Declarations of the commands a Windows host has beyond the language (Microsoft: module pages of
//! Hyper-V, `CimCmdlets`, `Microsoft.PowerShell.Management`). Data only.

use crate::sim::powershell::spec::{Param, Spec};

const HYPER_V: &str = "Hyper-V";
const CIM: &str = "CimCmdlets";
const MANAGEMENT: &str = "Microsoft.PowerShell.Management";
const UTILITY: &str = "Microsoft.PowerShell.Utility";
const SECURITY: &str = "Microsoft.PowerShell.Security";
const CORE: &str = "Microsoft.PowerShell.Core";

const NAME: Param = Param::typed("Name", "string[]").at(0);
const VM: Param = Param::any("VM");
const VM_NAME: Param = Param::typed("VMName", "string[]").at(0);
const PASSTHRU: Param = Param::switch("Passthru");
const AS_JOB: Param = Param::switch("AsJob");
const FORCE: Param = Param::switch("Force");
const COMPUTER: Param = Param::typed("ComputerName", "string[]");
const NAMESPACE: Param = Param::typed("Namespace", "string");
const START: &[&str] = &["Nothing", "StartIfRunning", "Start"];
const STOP: &[&str] = &["TurnOff", "Save", "ShutDown"];
const BOOT_DEVICES: &[&str] = &[
    "Floppy",
    "CD",
    "IDE",
    "LegacyNetworkAdapter",
    "NetworkAdapter",
    "VHD",
];
const CHECKPOINTS: &[&str] = &["Disabled", "Production", "ProductionOnly", "Standard"];

macro_rules! hyper_v {
    ($name:literal, $class:literal, $params:expr) => {
        Spec::new(
            $name,
            HYPER_V,
            concat!("Microsoft.HyperV.PowerShell.Commands.", $class),
            $params,
        )
    };
}

macro_rules! cim {
    ($name:literal, $class:literal, $params:expr) => {
        Spec::new(
            $name,
            CIM,
            concat!(
                "Microsoft.Management.Infrastructure.CimCmdlets.",
                $class,
                "Command"
            ),
            $params,
        )
    };
}

/// Every command.
pub(in crate::sim) static SPECS: &[Spec] = &[
    Spec::new(
        "Get-Acl",
        SECURITY,
        "Microsoft.PowerShell.Commands.GetAclCommand",
        &[Param::typed("LiteralPath", "string")],
    ),
    Spec::new(
        "Set-Acl",
        SECURITY,
        "Microsoft.PowerShell.Commands.SetAclCommand",
        &[
            Param::typed("LiteralPath", "string"),
            Param::any("AclObject"),
        ],
    ),
    hyper_v!(
        "Get-VM",
        "GetVM",
        &[
            NAME.also(&["VMName"]),
            Param::typed("Id", "guid"),
            Param::any("ClusterObject"),
            COMPUTER
        ]
    ),
    hyper_v!(
        "Start-VM",
        "StartVM",
        &[NAME.also(&["VMName"]), VM, AS_JOB, PASSTHRU, COMPUTER]
    )
    .confirms(),
    hyper_v!(
        "Stop-VM",
        "StopVM",
        &[
            NAME.also(&["VMName"]),
            VM,
            Param::switch("Save"),
            Param::switch("TurnOff"),
            FORCE,
            AS_JOB,
            PASSTHRU,
            COMPUTER
        ]
    )
    .confirms(),
    hyper_v!(
        "Suspend-VM",
        "SuspendVM",
        &[NAME.also(&["VMName"]), VM, AS_JOB, PASSTHRU, COMPUTER]
    )
    .confirms(),
    hyper_v!(
        "Resume-VM",
        "ResumeVM",
        &[NAME.also(&["VMName"]), VM, AS_JOB, PASSTHRU, COMPUTER]
    )
    .confirms(),
    hyper_v!(
        "Save-VM",
        "SaveVM",
        &[NAME.also(&["VMName"]), VM, AS_JOB, PASSTHRU, COMPUTER]
    )
    .confirms(),
    hyper_v!(
        "Restart-VM",
        "RestartVM",
        &[
            NAME.also(&["VMName"]),
            VM,
            FORCE,
            Param::one_of("Type", &["Reset", "Reboot"]),
            AS_JOB,
            PASSTHRU,
            COMPUTER
        ]
    )
    .confirms(),
    hyper_v!(
        "Checkpoint-VM",
        "CheckpointVM",
        &[
            NAME.also(&["VMName"]),
            VM,
            Param::typed("SnapshotName", "string")
                .at(1)
                .also(&["CheckpointName"]),
            AS_JOB,
            PASSTHRU,
            COMPUTER
        ]
    )
    .confirms(),
    hyper_v!(
        "Get-VMSnapshot",
        "GetVMSnapshot",
        &[
            VM_NAME,
            VM,
            Param::typed("Name", "string").at(1),
            Param::typed("Id", "guid"),
            Param::any("ParentOf"),
            Param::any("ChildOf"),
            Param::one_of(
                "SnapshotType",
                &["Standard", "Recovery", "Planned", "Missing", "Replica"]
            ),
            COMPUTER
        ]
    ),
    hyper_v!(
        "Restore-VMSnapshot",
        "RestoreVMSnapshot",
        &[
            Param::typed("Name", "string").at(0),
            Param::typed("VMName", "string").at(1),
            VM,
            Param::any("VMSnapshot").also(&["VMCheckpoint"]),
            AS_JOB,
            PASSTHRU,
            COMPUTER
        ]
    )
    .confirms(),
    hyper_v!(
        "Remove-VMSnapshot",
        "RemoveVMSnapshot",
        &[
            VM_NAME,
            Param::typed("Name", "string[]").at(1),
            VM,
            Param::any("VMSnapshot").also(&["VMCheckpoint"]),
            Param::switch("IncludeAllChildSnapshots").also(&["IncludeAllChildCheckpoints"]),
            AS_JOB,
            PASSTHRU,
            COMPUTER
        ]
    )
    .confirms(),
    hyper_v!(
        "New-VM",
        "NewVM",
        &[
            Param::typed("Name", "string").at(0).also(&["VMName"]),
            Param::typed("MemoryStartupBytes", "long").at(1),
            Param::typed("Generation", "int").at(2),
            Param::one_of("BootDevice", BOOT_DEVICES),
            Param::switch("NoVHD"),
            Param::typed("SwitchName", "string"),
            Param::typed("NewVHDPath", "string"),
            Param::typed("NewVHDSizeBytes", "uint64"),
            Param::typed("VHDPath", "string"),
            Param::typed("Path", "string"),
            Param::typed("Version", "version"),
            FORCE,
            AS_JOB,
            COMPUTER
        ]
    )
    .confirms(),
    hyper_v!(
        "Set-VM",
        "SetVM",
        &[
            NAME.also(&["VMName"]),
            VM,
            Param::typed("ProcessorCount", "long"),
            Param::switch("DynamicMemory"),
            Param::switch("StaticMemory"),
            Param::typed("MemoryMinimumBytes", "long"),
            Param::typed("MemoryMaximumBytes", "long"),
            Param::typed("MemoryStartupBytes", "long"),
            Param::one_of("AutomaticStartAction", START),
            Param::one_of("AutomaticStopAction", STOP),
            Param::typed("AutomaticStartDelay", "int"),
            Param::typed("AutomaticCheckpointsEnabled", "bool"),
            Param::one_of("CheckpointType", CHECKPOINTS),
            Param::typed("Notes", "string"),
            Param::typed("NewVMName", "string"),
            PASSTHRU,
            COMPUTER
        ]
    )
    .confirms(),
    hyper_v!(
        "Get-VMHardDiskDrive",
        "GetVMHardDiskDrive",
        &[
            VM_NAME,
            VM,
            Param::any("VMSnapshot"),
            Param::one_of("ControllerType", &["IDE", "SCSI", "PMEM"]),
            Param::typed("ControllerNumber", "int"),
            Param::typed("ControllerLocation", "int"),
            COMPUTER
        ]
    ),
    hyper_v!(
        "Get-VHD",
        "GetVHD",
        &[
            Param::typed("Path", "string[]").at(0),
            Param::typed("DiskNumber", "uint32"),
            Param::typed("VMId", "guid[]"),
            COMPUTER
        ]
    ),
    hyper_v!(
        "Get-VMNetworkAdapter",
        "GetVMNetworkAdapter",
        &[
            VM_NAME,
            VM,
            Param::typed("Name", "string").at(1),
            Param::switch("ManagementOS"),
            Param::switch("All"),
            Param::typed("SwitchName", "string"),
            Param::any("VMSnapshot"),
            Param::typed("IsLegacy", "bool"),
            COMPUTER
        ]
    ),
    hyper_v!(
        "Get-VMIntegrationService",
        "GetVMIntegrationService",
        &[
            VM_NAME,
            VM,
            Param::typed("Name", "string[]").at(1),
            COMPUTER
        ]
    ),
    hyper_v!("Get-VMHost", "GetVMHost", &[COMPUTER]),
    hyper_v!(
        "Get-VMSwitch",
        "GetVMSwitch",
        &[
            Param::typed("Name", "string").at(0),
            Param::typed("Id", "guid[]"),
            COMPUTER
        ]
    ),
    cim!(
        "Get-CimInstance",
        "GetCimInstance",
        &[
            Param::typed("ClassName", "string").at(0),
            NAMESPACE,
            Param::typed("Filter", "string"),
            Param::typed("Query", "string"),
            Param::typed("QueryDialect", "string"),
            Param::typed("Property", "string[]"),
            Param::switch("KeyOnly"),
            Param::switch("Shallow"),
            Param::any("InputObject"),
            Param::typed("OperationTimeoutSec", "uint32"),
            COMPUTER
        ]
    ),
    cim!(
        "Invoke-CimMethod",
        "InvokeCimMethod",
        &[
            Param::any("InputObject").at(0),
            Param::typed("MethodName", "string").at(1).mandatory(),
            Param::any("Arguments").at(2),
            NAMESPACE,
            Param::typed("ClassName", "string"),
            Param::typed("Query", "string"),
            Param::typed("OperationTimeoutSec", "uint32"),
            COMPUTER
        ]
    )
    .confirms(),
    cim!(
        "Get-CimAssociatedInstance",
        "GetCimAssociatedInstance",
        &[
            Param::any("InputObject").at(0).mandatory(),
            Param::typed("Association", "string").at(1),
            Param::typed("ResultClassName", "string"),
            NAMESPACE,
            Param::typed("OperationTimeoutSec", "uint32"),
            Param::switch("KeyOnly"),
            COMPUTER
        ]
    ),
    cim!(
        "Register-CimIndicationEvent",
        "RegisterCimIndicationEvent",
        &[
            NAMESPACE,
            Param::typed("ClassName", "string").at(0),
            Param::typed("Query", "string"),
            Param::typed("SourceIdentifier", "string").at(1),
            Param::any("Action").at(101),
            Param::any("MessageData"),
            Param::switch("SupportEvent"),
            Param::switch("Forward"),
            Param::typed("MaxTriggerCount", "int"),
            Param::typed("OperationTimeoutSec", "uint32"),
            COMPUTER
        ]
    ),
    Spec::new(
        "Wait-Event",
        UTILITY,
        "Microsoft.PowerShell.Commands.WaitEventCommand",
        &[
            Param::typed("SourceIdentifier", "string").at(0),
            Param::typed("Timeout", "double").also(&["TimeoutSec"]),
        ],
    ),
    Spec::new(
        "Get-Event",
        UTILITY,
        "Microsoft.PowerShell.Commands.GetEventCommand",
        &[
            Param::typed("SourceIdentifier", "string").at(0),
            Param::typed("EventIdentifier", "int"),
        ],
    ),
    Spec::new(
        "Remove-Event",
        UTILITY,
        "Microsoft.PowerShell.Commands.RemoveEventCommand",
        &[
            Param::typed("SourceIdentifier", "string").at(0),
            Param::typed("EventIdentifier", "int"),
        ],
    )
    .confirms(),
    Spec::new(
        "Unregister-Event",
        UTILITY,
        "Microsoft.PowerShell.Commands.UnregisterEventCommand",
        &[
            Param::typed("SourceIdentifier", "string").at(0),
            Param::typed("SubscriptionId", "int"),
            FORCE,
        ],
    )
    .confirms(),
    Spec::new(
        "Get-Service",
        MANAGEMENT,
        "Microsoft.PowerShell.Commands.GetServiceCommand",
        &[
            Param::typed("Name", "string[]")
                .at(0)
                .also(&["ServiceName"]),
            Param::typed("DisplayName", "string[]"),
        ],
    ),
    Spec::new(
        "Get-ChildItem",
        MANAGEMENT,
        "Microsoft.PowerShell.Commands.GetChildItemCommand",
        &[Param::typed("LiteralPath", "string"), Param::switch("File")],
    ),
    Spec::new(
        "Get-Module",
        CORE,
        "Microsoft.PowerShell.Commands.GetModuleCommand",
        &[
            Param::typed("Name", "string[]").at(0),
            Param::switch("ListAvailable"),
            Param::switch("All"),
        ],
    ),
    Spec::new(
        "Import-Module",
        CORE,
        "Microsoft.PowerShell.Commands.ImportModuleCommand",
        &[
            Param::typed("Name", "string[]").at(0).mandatory(),
            FORCE,
            PASSTHRU,
            Param::switch("DisableNameChecking"),
        ],
    ),
];

/// Finds a declaration.
pub(in crate::sim) fn find(name: &str) -> Option<&'static Spec> {
    SPECS
        .iter()
        .find(|spec| spec.name.eq_ignore_ascii_case(name))
}

/// Whether a command is of the Hyper-V module.
pub(in crate::sim) fn is_hyper_v(spec: &Spec) -> bool {
    spec.module == HYPER_V
}
