//! Reaching into a Hyper-V VM. A serial port there ends in a named pipe of the host, which nothing carries
//! over SSH without a program of ours on the host; that is said instead.

use crate::domain::console::{ConsoleEnd, ConsoleEndKind};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{HostSpec, HypervisorKind};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::VmId;
use crate::hypervisor::{HypervisorError, Reach};
use crate::transport::ExitStatus;

/// How Hyper-V lets somebody into its VMs.
#[derive(Debug, Clone, Copy)]
pub struct HyperVReach;

impl Reach for HyperVReach {
    fn console(
        &self,
        _spec: &HostSpec,
        _vm: &VmId,
        _take_over: bool,
    ) -> Result<RemoteCommand, HypervisorError> {
        Err(HypervisorError::Unsupported {
            kind: HypervisorKind::HyperV,
            what: "show a serial console over SSH: its serial ports are pipes of the host"
                .to_owned(),
        })
    }

    fn console_ended(&self, _spec: &HostSpec, status: &ExitStatus, _said: &[u8]) -> ConsoleEnd {
        ConsoleEnd {
            why: ConsoleEndKind::Impossible,
            cause: Failure::new(ErrorKind::Protocol, format!("it ended ({status})")),
        }
    }
}
