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
    // No POSIX system is without it, and Windows has no such command.
    let system = ask(transport, RemoteCommand::posix("uname").arg("-s")).await?;
    if system.status.is_success() && !system.stdout.trim_ascii().is_empty() {
        return Ok(HypervisorKind::Libvirt);
    }
    let windows = ask(transport, RemoteCommand::posix("cmd").args(["/c", "ver"])).await?;
    if String::from_utf8_lossy(&windows.stdout).contains("Windows") {
        return Ok(HypervisorKind::HyperV);
    }
    Err(HypervisorError::ToolMissing {
        program: "a POSIX shell or Windows".to_owned(),
        fix: "if the host's shell is restricted, name the hypervisor: `vmdeck host edit NAME --kind libvirt`"
            .to_owned(),
    })
}

async fn ask(
    transport: &dyn Transport,
    command: RemoteCommand,
) -> Result<CommandOutput, TransportError> {
    transport.exec(&command, ExecLimits::within(WITHIN)).await
}
