//! Failures of this driver in our words: each with its kind, the host's own words, and what to do next.
//! Which one it is, is decided in `failure`. Pure.

use crate::domain::error_kind::ErrorKind;
use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;

/// How the failures of this driver name what was run.
pub(crate) const PROGRAM: &str = "Hyper-V";

/// Where the doctor is pointed to.
pub(super) const DOCTOR: &str = "`vmdeck host doctor NAME` checks every step";

/// What the group is called, for people whose host speaks another language too.
pub(crate) const GROUP_FIX: &str = "add the account to the group Hyper-V Administrators on the host (`Add-LocalGroupMember -SID S-1-5-32-578 -Member USER`); it counts from the next login, so run `vmdeck host doctor NAME` afterwards";

/// How the service is started.
pub(crate) const VMMS_FIX: &str = "start it on the host: `Start-Service vmms`";

/// How a lost namespace is registered again.
const NAMESPACE_FIX: &str = "register it again on the host, in a command prompt as administrator: `mofcomp %SystemRoot%\\System32\\WindowsVirtualization.V2.mof`; VMs can be read meanwhile, and not changed";

/// Says that no PowerShell could be started.
pub(crate) fn no_powershell(said: &RemoteText) -> HypervisorError {
    HypervisorError::ToolMissing {
        program: if said.is_empty() {
            "PowerShell".to_owned()
        } else {
            format!("PowerShell (the host said: {said})")
        },
        fix: "this is no Windows host, or a policy keeps the account from starting PowerShell; log in with ssh and try `powershell.exe -NoProfile -Command 1`".to_owned(),
    }
}

/// Says that Hyper-V is not there.
pub(crate) fn not_installed() -> HypervisorError {
    HypervisorError::ToolMissing {
        program: PROGRAM.to_owned(),
        fix: "this is a Windows host without Hyper-V; install it there (`Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart` on Windows Server, `Enable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V -All` on Windows 10 and 11), or remove the host: `vmdeck host rm NAME`".to_owned(),
    }
}

/// Says that the account may not.
pub(crate) fn denied(said: RemoteText) -> HypervisorError {
    HypervisorError::Permission {
        what: PROGRAM.to_owned(),
        said,
        fix: GROUP_FIX.to_owned(),
    }
}

/// Says that the service does not answer.
pub(crate) fn not_running(said: RemoteText) -> HypervisorError {
    HypervisorError::NotRunning {
        what: "the Virtual Machine Management service (vmms)".to_owned(),
        said,
        fix: VMMS_FIX.to_owned(),
    }
}

/// Says that Hyper-V is there and the namespace that everything is asked through is not.
pub(crate) fn no_namespace(said: RemoteText) -> HypervisorError {
    HypervisorError::NotRunning {
        what: "Hyper-V is installed, but its CIM namespace root\\virtualization\\v2".to_owned(),
        said,
        fix: NAMESPACE_FIX.to_owned(),
    }
}

/// Says that a constrained PowerShell cannot do it.
pub(crate) fn constrained(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::Refused,
        "Hyper-V cannot be changed here: the host's PowerShell is constrained, so VMs can only be read",
        said,
        Some(
            "a policy of the host (AppLocker, App Control) keeps the account's PowerShell out of FullLanguage; `vmdeck host doctor NAME` shows it",
        ),
    )
}

/// Says that a cmdlet or its module is not there; `loads` where it was found and does not load.
pub(crate) fn no_cmdlet(is_there: bool) -> HypervisorError {
    HypervisorError::ToolMissing {
        program: if is_there {
            "a PowerShell module Hyper-V that can be loaded".to_owned()
        } else {
            "the PowerShell module Hyper-V".to_owned()
        },
        fix: "install it on the host: `Install-WindowsFeature Hyper-V-PowerShell` (Windows Server), or `Enable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V-Management-PowerShell` (Windows 10 and 11)".to_owned(),
    }
}

/// Says that what was looked for is gone.
pub(super) fn gone(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::NotFound,
        "the VM was not found on the host",
        said,
        Some("it may have been removed, or its service is not running (`Get-Service vmms`)"),
    )
}

/// Says that memory is short.
pub(super) fn short_of_memory(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::Remote,
        "the host has not enough memory for it",
        said,
        Some("stop another VM there, or give this one less memory"),
    )
}

/// Says that a file or folder is not where it should be.
pub(super) fn no_such_path(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::Remote,
        "a file or folder that it needs is not there on the host",
        said,
        Some(
            "look at the paths of its disks (in its details) and whether their storage is connected",
        ),
    )
}

/// Says that a name stands for several VMs.
pub(super) fn shared_name(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::Ambiguous,
        "several VMs on the host share a name, and it wanted one",
        said,
        Some("give them different names on the host"),
    )
}

/// Says that the host would have asked a person.
pub(super) fn would_ask(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::Refused,
        "the host wanted to ask somebody, and nobody is there to answer",
        said,
        Some("the guest does not answer to its host; if it has to stop, force it off"),
    )
}

/// Says that it is not allowed for this VM as it is set up.
pub(super) fn not_allowed(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::Refused,
        "the host does not allow that for this VM",
        said,
        Some(
            "its state, its settings, its security or a cluster stands against it; look at the VM on the host",
        ),
    )
}

/// Says that we asked for something that cannot be asked for.
pub(super) fn our_mistake(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::Internal,
        "the host refused an argument",
        said,
        Some("that is a mistake of vmdeck: please report it with what the host said"),
    )
}

pub(super) fn wrong_state(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::Refused,
        "the VM's state does not allow it",
        said,
        Some("look at the VM again"),
    )
}

pub(super) fn guest_silent(said: RemoteText) -> HypervisorError {
    refused(
        ErrorKind::Refused,
        "the guest does not answer to its host",
        said,
        Some(
            "the guest is still booting, or lacks its integration services; if it has to stop, force it off",
        ),
    )
}

pub(super) fn remote(said: RemoteText) -> HypervisorError {
    HypervisorError::Remote {
        program: PROGRAM.to_owned(),
        status: None,
        said,
    }
}

pub(super) fn refused(
    kind: ErrorKind,
    what: &str,
    said: RemoteText,
    fix: Option<&str>,
) -> HypervisorError {
    HypervisorError::Refused {
        kind,
        what: what.to_owned(),
        said,
        fix: fix.map(str::to_owned),
    }
}
