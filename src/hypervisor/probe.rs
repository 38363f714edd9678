//! What is on the other side: which hypervisor a host has, when nobody has said so.
//!
//! The questions are worded so that a POSIX shell, `cmd.exe` and PowerShell all survive them; only
//! exit codes and the names of systems are looked at, never words of a message.

use std::time::Duration;

use crate::domain::host::HypervisorKind;
use crate::domain::remote_command::RemoteCommand;
use crate::hypervisor::HypervisorError;
use crate::transport::{CommandOutput, ExecLimits, Transport, TransportError};

const WITHIN: Duration = Duration::from_secs(15);

/// Finds out which hypervisor to expect. Whether it works is the driver's own probe.
pub(crate) async fn kind(transport: &dyn Transport) -> Result<HypervisorKind, HypervisorError> {
    // A shell of Windows, or any other, says what it is through its own command interpreter; POSIX
    // systems have none of that name. Asked first, because each question costs Windows a second.
    let windows = ask(transport, RemoteCommand::posix("cmd").args(["/c", "ver"])).await?;
    if String::from_utf8_lossy(&windows.stdout).contains("Windows") {
        return Ok(HypervisorKind::HyperV);
    }
    // No POSIX system is without it. Tools on Windows that imitate one say `MINGW64_NT-10.0`.
    let system = ask(transport, RemoteCommand::posix("uname").arg("-s")).await?;
    let name = String::from_utf8_lossy(&system.stdout);
    if system.status.is_success() && name.contains("_NT-") {
        return Ok(HypervisorKind::HyperV);
    }
    if system.status.is_success() && !name.trim().is_empty() {
        return Ok(HypervisorKind::Libvirt);
    }
    Err(HypervisorError::ToolMissing {
        program: "a POSIX shell or Windows".to_owned(),
        fix: "if the host's shell is restricted, name the hypervisor: `vmdeck host edit NAME --kind libvirt` or `--kind hyperv`"
            .to_owned(),
    })
}

async fn ask(
    transport: &dyn Transport,
    command: RemoteCommand,
) -> Result<CommandOutput, TransportError> {
    transport.exec(&command, ExecLimits::within(WITHIN)).await
}
