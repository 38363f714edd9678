//! Reaching into a VM: its console, its screen, its keyboard. What is run is a pure function of the host and
//! the VM, so that what is shown and recorded is what is run; the link it runs on is the fleet's business.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::HypervisorError;
use super::picture::RawPicture;
use crate::domain::console::{ConsoleEnd, KeyStrokes};
use crate::domain::error_kind::ErrorKind;
use crate::domain::graphics::Display;
use crate::domain::guest_account::GuestAccount;
use crate::domain::guest_command::{GuestCommand, GuestRun};
use crate::domain::host::HostSpec;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::secret::SecretText;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::transport::{CommandOutput, ExecLimits, ExitStatus, Transport};

/// How long a picture, or keys, may take.
pub(super) const WITHIN: Duration = Duration::from_secs(20);

/// Bytes of a picture as it is sent: the largest that is shown, unpacked, with room for its head.
const MAX_PICTURE: usize = 52 * 1024 * 1024;

/// How a kind of hypervisor lets somebody into its VMs.
#[async_trait]
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

    /// Takes a picture of the VM's screen, as the host sends it.
    async fn screenshot(
        &self,
        link: &dyn Transport,
        spec: &HostSpec,
        vm: &VmId,
    ) -> Result<RawPicture, HypervisorError>;

    /// Returns the command that presses keys of the VM's keyboard, as it is shown and recorded: without
    /// what is typed. [`Self::press`] runs it.
    fn keys(
        &self,
        spec: &HostSpec,
        vm: &VmId,
        keys: &KeyStrokes,
    ) -> Result<RemoteCommand, HypervisorError>;

    /// Finds the VM's graphical display.
    async fn display(
        &self,
        link: &dyn Transport,
        spec: &HostSpec,
        vm: &VmId,
    ) -> Result<Display, HypervisorError>;

    /// Returns the command that starts a program in the VM, as it is shown and recorded. `account` is the one
    /// of the VM that it is run for; its password is no part of the command.
    fn guest_command(
        &self,
        spec: &HostSpec,
        vm: &VmId,
        words: &GuestCommand,
        account: Option<&GuestAccount>,
    ) -> Result<RemoteCommand, HypervisorError>;

    /// Starts a program in the VM by that command, and waits for its end, at most so long.
    async fn run_in_guest(
        &self,
        link: &dyn Transport,
        spec: &HostSpec,
        vm: &VmId,
        start: GuestStart<'_>,
    ) -> Result<GuestRun, GuestTrouble>;

    /// Presses keys by that command.
    async fn press(
        &self,
        link: &dyn Transport,
        spec: &HostSpec,
        keys: &RemoteCommand,
    ) -> Result<(), HypervisorError>;
}

/// A program that is to be started.
#[derive(Debug, Clone, Copy)]
pub struct GuestStart<'a> {
    /// The command that was shown.
    pub command: &'a RemoteCommand,
    /// How long its end is waited for.
    pub within: Duration,
    /// The password of the account that it is run for.
    pub password: Option<&'a SecretText>,
}

/// Why nothing is known of a program's end.
#[derive(Debug, Clone)]
pub enum GuestTrouble {
    /// It was not started.
    NotStarted(HypervisorError),
    /// It was started, or may have been.
    Unknown(HypervisorError),
}

/// Returns how much of a picture is read.
pub(super) fn picture_limits() -> ExecLimits {
    ExecLimits {
        stdout: MAX_PICTURE,
        ..ExecLimits::within(WITHIN)
    }
}

/// Refuses what was cut off because there was more of it than is read.
pub(super) fn is_whole(output: &CommandOutput) -> Result<(), HypervisorError> {
    if output.truncated {
        let most = MAX_PICTURE / (1024 * 1024);
        let what = format!("the host sent more than {most} MiB for a picture");
        return Err(refused(ErrorKind::Protocol, &what, None));
    }
    Ok(())
}

/// Makes a refusal in our own words.
pub(super) fn refused(kind: ErrorKind, what: &str, fix: Option<&str>) -> HypervisorError {
    HypervisorError::Refused {
        kind,
        what: what.to_owned(),
        said: RemoteText::new(""),
        fix: fix.map(str::to_owned),
    }
}

/// Refuses text of more characters than a person types into one line.
pub(super) fn is_typable(text: &str) -> Result<(), HypervisorError> {
    let most = KeyStrokes::MOST;
    if text.chars().count() > most {
        let what = format!("more than {most} keys are not typed at once");
        return Err(refused(ErrorKind::Usage, &what, None));
    }
    Ok(())
}
