//! Reaching into a VM: which command opens its console, and what it means how that ended. Pure, so that
//! what is shown and recorded is what is run; the running is the fleet's business.

use std::fmt::Debug;

use super::HypervisorError;
use crate::domain::console::ConsoleEnd;
use crate::domain::host::HostSpec;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::VmId;
use crate::transport::ExitStatus;

/// How a kind of hypervisor lets somebody into its VMs.
pub trait Reach: Send + Sync + Debug {
    /// Returns the command that, in a pseudo-terminal, is the VM's serial console. `take_over` ends the
    /// session of whoever has it.
    fn console(
        &self,
        spec: &HostSpec,
        vm: &VmId,
        take_over: bool,
    ) -> Result<RemoteCommand, HypervisorError>;

    /// Says what the end of that command means; `said` is the end of what it printed, in which the VM's
    /// own words may stand as well.
    fn console_ended(&self, spec: &HostSpec, status: &ExitStatus, said: &[u8]) -> ConsoleEnd;
}
