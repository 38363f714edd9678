//! The serial console of libvirt: `virsh console`, and what its endings mean.
//!
//! Seen with libvirt 9.0: it ends with code 0 when the VM goes off, with an error when somebody takes the
//! console over; a reset or a reboot from inside leaves it open. Without `--force` it leaves whoever has
//! the console alone and says so. It needs a terminal; its escape character, `^]`, is never sent to it.

use std::time::Duration;

use super::command::{Line, Virsh};
use super::verdict::judge;
use crate::domain::console::{ConsoleEnd, ConsoleEndKind};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostSpec;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::VmId;
use crate::hypervisor::{HypervisorError, Reach};
use crate::transport::ExitStatus;

/// How libvirt lets somebody into its VMs.
#[derive(Debug, Clone, Copy)]
pub struct LibvirtReach;

impl Reach for LibvirtReach {
    fn console(
        &self,
        spec: &HostSpec,
        vm: &VmId,
        take_over: bool,
    ) -> Result<RemoteCommand, HypervisorError> {
        let line = Line::about("console", vm);
        let line = if take_over {
            line.with("--force")
        } else {
            line
        };
        Ok(Virsh::of(spec).staying(&line))
    }

    fn console_ended(&self, spec: &HostSpec, status: &ExitStatus, said: &[u8]) -> ConsoleEnd {
        if status.is_success() {
            return vm_off();
        }
        let text = String::from_utf8_lossy(said);
        // It follows what the VM wrote last, often on the same line.
        let complaint = text.rsplit_once("error: ").map_or("", |(_, after)| after);
        let has = |words: &str| complaint.contains(words);
        if has("Active console session exists") {
            return end(
                ConsoleEndKind::InUse,
                Failure::new(ErrorKind::Busy, "somebody else has this console open")
                    .with_hint("take it over, which ends their session, or wait until they leave"),
            );
        }
        if has("domain is not running") {
            return vm_off();
        }
        if has("cannot find character device") || has("is not using a PTY") {
            return end(
                ConsoleEndKind::Impossible,
                Failure::new(ErrorKind::NotFound, "the VM has no serial console").with_hint(
                    "give it one (`<serial type='pty'/>` in its definition, `console=ttyS0` for its kernel), or look at its screen",
                ),
            );
        }
        if has("stream had I/O failure") {
            return end(
                ConsoleEndKind::Cut,
                Failure::new(
                    ErrorKind::Conflict,
                    "the console was cut: somebody else took it over, or libvirt dropped it",
                ),
            );
        }
        // The terminal of a VM that is being started is not there yet; that of one that is being destroyed
        // has nobody at its end, or somebody else already.
        if has("PTY device is not yet assigned") || has("Unable to open stream for") {
            return end(
                ConsoleEndKind::Cut,
                Failure::new(
                    ErrorKind::Conflict,
                    "libvirt could not open the VM's terminal: it may be going on or off",
                ),
            );
        }
        let error = judge(&Virsh::of(spec), status, said, Duration::ZERO);
        let why = if matches!(error, HypervisorError::Transport(_)) {
            ConsoleEndKind::Cut
        } else {
            ConsoleEndKind::Impossible
        };
        end(why, Failure::of(&error))
    }
}

fn vm_off() -> ConsoleEnd {
    end(
        ConsoleEndKind::VmOff,
        Failure::new(ErrorKind::Conflict, "the VM is off")
            .with_hint("the console comes back when it runs"),
    )
}

const fn end(why: ConsoleEndKind, cause: Failure) -> ConsoleEnd {
    ConsoleEnd { why, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::host::Endpoint;

    fn spec() -> HostSpec {
        HostSpec::new("kvm1".parse().unwrap(), Endpoint::new("kvm1", 22))
    }

    fn vm() -> VmId {
        VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap()
    }

    #[test]
    fn a_console_takes_nothing_from_anybody_unless_it_is_told_to() {
        let shown = |take_over| {
            let command = LibvirtReach.console(&spec(), &vm(), take_over).unwrap();
            assert_eq!(command.life, None, "it stays as long as somebody looks");
            command.shown_line()
        };
        assert_eq!(
            shown(false),
            "virsh -q console 6c09bb55-d683-4da0-8931-c9bf705f6480"
        );
        assert_eq!(
            shown(true),
            "virsh -q console 6c09bb55-d683-4da0-8931-c9bf705f6480 --force"
        );
    }

    #[test]
    fn each_ending_is_told_apart() {
        let polkit = "Authorization not available. Check if polkit service is running or see debug message for more information.\r\n";
        let cases = [
            (0, "reboot: Power down\r\n", ConsoleEndKind::VmOff),
            (
                1,
                "error: operation failed: Active console session exists for this domain\r\n",
                ConsoleEndKind::InUse,
            ),
            (
                1,
                "error: The domain is not running\r\n",
                ConsoleEndKind::VmOff,
            ),
            (
                1,
                "error: internal error: cannot find character device <null>\r\n",
                ConsoleEndKind::Impossible,
            ),
            (
                1,
                "/ # \r\nerror: stream had I/O failure\r\n",
                ConsoleEndKind::Cut,
            ),
            (
                1,
                "/ # error: stream had I/O failure\r\n",
                ConsoleEndKind::Cut,
            ),
            (
                1,
                "error: operation failed: PTY device is not yet assigned\r\n",
                ConsoleEndKind::Cut,
            ),
            (
                1,
                "error: Unable to open stream for '/dev/pts/2': Permission denied\r\n",
                ConsoleEndKind::Cut,
            ),
            (
                1,
                "error: failed to connect to the hypervisor\r\nerror: Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied\r\n",
                ConsoleEndKind::Impossible,
            ),
        ];
        for (code, said, why) in cases {
            let said = format!("{polkit}{said}");
            let end = LibvirtReach.console_ended(&spec(), &ExitStatus::Code(code), said.as_bytes());
            assert_eq!(end.why, why, "{said}");
        }
        let cut = LibvirtReach.console_ended(&spec(), &ExitStatus::Missing, b"");
        assert_eq!(cut.why, ConsoleEndKind::Cut);
    }

    #[test]
    fn an_account_without_permission_is_told_what_to_do() {
        let said = b"error: failed to connect to the hypervisor\r\nerror: authentication unavailable: no polkit agent available\r\n";
        let end = LibvirtReach.console_ended(&spec(), &ExitStatus::Code(1), said);
        assert_eq!(end.cause.kind, ErrorKind::Permission);
        let hint = end.cause.hint.unwrap().to_string();
        assert!(hint.contains("usermod -aG libvirt"), "{hint}");
    }

    #[test]
    fn what_a_vm_prints_is_not_taken_for_an_ending() {
        let said = b"dmesg: Active console session exists\r\nerror: stream had I/O failure\r\n";
        let end = LibvirtReach.console_ended(&spec(), &ExitStatus::Code(1), said);
        assert_eq!(end.why, ConsoleEndKind::Cut);
    }
}
