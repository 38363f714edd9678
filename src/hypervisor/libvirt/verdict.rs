//! What a failing `virsh` means. Messages are matched only under `LC_ALL=C`, which every command
//! sets, and only where no exit code tells the same.

use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;
use crate::transport::{ExitStatus, TransportError};

use super::command::Virsh;
use super::parse::Misshapen;

/// Exit code of a shell that did not find the program.
const NOT_FOUND: u32 = 127;
/// Exit code of a shell that may not run the program.
const NOT_EXECUTABLE: u32 = 126;
/// Exit code of `timeout` when time was up.
const TIME_IS_UP: u32 = 124;
/// The same when the command had to be killed.
const TIME_IS_LONG_UP: u32 = 137;

/// Joins what `virsh` put on standard error into one line: its parts explain each other
/// (`failed to connect to the hypervisor: Permission denied`).
pub(crate) fn said(stderr: &[u8]) -> RemoteText {
    let text = String::from_utf8_lossy(stderr);
    let errors: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("error: "))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if errors.is_empty() {
        RemoteText::new(&text).first_line()
    } else {
        RemoteText::new(&errors.join(": "))
    }
}

/// Tells what a command that ended with `status` means; `life` is how long it was allowed to run.
pub(crate) fn judge(
    virsh: &Virsh,
    status: &ExitStatus,
    stderr: &[u8],
    life: std::time::Duration,
) -> HypervisorError {
    match status {
        ExitStatus::Code(NOT_FOUND) if virsh.sudo() => {
            return HypervisorError::ToolMissing {
                program: "sudo".to_owned(),
                fix:
                    "install sudo on the host, or do without it: `vmdeck host edit NAME --no-sudo`"
                        .to_owned(),
            };
        }
        ExitStatus::Code(NOT_FOUND) => return tool_missing(),
        ExitStatus::Code(NOT_EXECUTABLE) => {
            return HypervisorError::Permission {
                what: "virsh".to_owned(),
                said: said(stderr),
                fix: "let the account run virsh, or use sudo: `vmdeck host edit NAME --sudo`"
                    .to_owned(),
            };
        }
        ExitStatus::Code(TIME_IS_UP | TIME_IS_LONG_UP) => {
            return HypervisorError::Transport(TransportError::Timeout {
                what: "virsh",
                after: life,
            });
        }
        // It was begun and nobody knows how it ended: neither done nor refused.
        ExitStatus::Signal(_) | ExitStatus::Missing => {
            return HypervisorError::Transport(TransportError::Lost {
                reason: format!("virsh ended without a result ({status})"),
            });
        }
        ExitStatus::Code(_) => {}
    }
    let code = match status {
        ExitStatus::Code(code) => Some(*code),
        ExitStatus::Signal(_) | ExitStatus::Missing => None,
    };
    judge_words(virsh, code, said(stderr), stderr)
}

/// Tells what a failure means where only words are at hand (the kept `virsh` has no exit codes).
pub(crate) fn judge_said(virsh: &Virsh, said: RemoteText) -> HypervisorError {
    let words = said.raw().to_owned();
    judge_words(virsh, None, said, words.as_bytes())
}

/// Tells of an answer that is not what `virsh` is documented to print.
pub(super) fn unparsable(problem: &Misshapen) -> HypervisorError {
    HypervisorError::Unparsable {
        program: "virsh".to_owned(),
        what: problem.what.to_owned(),
        said: problem.line.clone(),
    }
}

/// Tells whether a driver of libvirt has said that it keeps no figures.
pub(super) fn has_no_figures(said: &RemoteText) -> bool {
    let said = said.raw();
    said.contains("not supported by the connection driver") || said.contains("unknown command")
}

fn judge_words(
    virsh: &Virsh,
    code: Option<u32>,
    said: RemoteText,
    stderr: &[u8],
) -> HypervisorError {
    let text = String::from_utf8_lossy(stderr);
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if virsh.sudo() && has(&["virsh: command not found"]) {
        return tool_missing();
    }
    if virsh.sudo() && has(&["sudo: "]) && !has(&["error: "]) {
        return sudo_refused(said);
    }
    if has(&[
        "authentication unavailable",
        "authentication failed",
        "access denied",
        "authentication cancelled",
        "Permission denied",
    ]) && has(&[
        "failed to connect to the hypervisor",
        "Failed to connect socket",
        "authenti",
        "access denied",
    ]) {
        return no_permission(virsh, said);
    }
    if has(&[
        "Failed to connect socket",
        "Connection refused",
        "Cannot recv data",
    ]) {
        return HypervisorError::NotRunning {
            what: "libvirt".to_owned(),
            said,
            fix: "start libvirt on the host (`systemctl start libvirtd`, or virtqemud.socket), or choose another connection with `vmdeck host edit NAME --uri qemu:///session`".to_owned(),
        };
    }
    HypervisorError::Remote {
        program: "virsh".to_owned(),
        status: code,
        said,
    }
}

fn tool_missing() -> HypervisorError {
    HypervisorError::ToolMissing {
        program: "virsh".to_owned(),
        fix: "install it on the host (Debian: `apt install libvirt-clients`, Fedora: `dnf install libvirt-client`)".to_owned(),
    }
}

fn sudo_refused(said: RemoteText) -> HypervisorError {
    HypervisorError::Permission {
        what: "sudo without a password".to_owned(),
        said,
        fix: "allow it on the host (`visudo`: `USER ALL=(root) NOPASSWD: /usr/bin/virsh`), or add the account to the group libvirt and run `vmdeck host edit NAME --no-sudo`".to_owned(),
    }
}

fn no_permission(virsh: &Virsh, said: RemoteText) -> HypervisorError {
    let what = virsh
        .uri()
        .map_or_else(|| "libvirt".to_owned(), ToString::to_string);
    HypervisorError::Permission {
        what,
        said,
        fix: "on the host run `sudo usermod -aG libvirt USER` (it counts from the next login), or use `vmdeck host edit NAME --sudo`, or the account's own VMs with `--uri qemu:///session`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::error_kind::{Classify, ErrorKind};
    use crate::domain::host::{Endpoint, HostSpec};

    fn judged(sudo: bool, code: u32, stderr: &str) -> HypervisorError {
        let mut spec = HostSpec::new("h".parse().unwrap(), Endpoint::new("h", 22));
        spec.sudo = sudo;
        judge(
            &Virsh::of(&spec),
            &ExitStatus::Code(code),
            stderr.as_bytes(),
            Duration::from_secs(1),
        )
    }

    #[test]
    fn each_kind_of_refusal_is_told_apart_and_says_what_to_do() {
        let cases = [
            (
                false,
                127,
                "sh: 1: virsh: not found",
                ErrorKind::Protocol,
                "install",
            ),
            (
                false,
                126,
                "sh: 1: virsh: Permission denied",
                ErrorKind::Permission,
                "--sudo",
            ),
            (
                false,
                1,
                "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied\n",
                ErrorKind::Permission,
                "usermod -aG libvirt",
            ),
            (
                false,
                1,
                "error: failed to connect to the hypervisor\nerror: authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'\n",
                ErrorKind::Permission,
                "usermod -aG libvirt",
            ),
            (
                false,
                1,
                "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory\n",
                ErrorKind::Remote,
                "systemctl start libvirtd",
            ),
            (
                false,
                1,
                "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/run/libvirt/libvirt-sock': Connection refused\n",
                ErrorKind::Remote,
                "systemctl start libvirtd",
            ),
            (
                true,
                1,
                "sudo: a password is required\n",
                ErrorKind::Permission,
                "NOPASSWD",
            ),
        ];
        for (sudo, code, stderr, kind, hint) in cases {
            let error = judged(sudo, code, stderr);
            assert_eq!(error.kind(), kind, "{stderr}");
            let advice = error.hint().unwrap().to_string();
            assert!(advice.contains(hint), "{stderr}: {advice}");
        }
    }

    #[test]
    fn a_missing_sudo_is_not_a_missing_virsh() {
        let missing = |code, stderr| {
            let error = judged(true, code, stderr);
            let HypervisorError::ToolMissing { program, .. } = error else {
                panic!("{error}");
            };
            program
        };
        assert_eq!(
            missing(127, "env: 'sudo': No such file or directory"),
            "sudo"
        );
        assert_eq!(missing(1, "sudo: virsh: command not found\n"), "virsh");
    }

    #[test]
    fn an_ordinary_refusal_is_in_the_hosts_own_words() {
        let error = judged(
            false,
            1,
            "error: Failed to start domain 'x'\nerror: Permission denied for disk\n",
        );
        assert_eq!(error.kind(), ErrorKind::Remote);
        assert_eq!(
            error.to_string(),
            "virsh said: Failed to start domain 'x': Permission denied for disk"
        );
    }

    #[test]
    fn time_that_ran_out_on_the_host_is_a_timeout() {
        assert_eq!(judged(false, 124, "").kind(), ErrorKind::Timeout);
        assert_eq!(judged(false, 137, "Killed").kind(), ErrorKind::Timeout);
    }

    #[test]
    fn a_command_that_ended_without_a_result_has_not_failed() {
        let spec = HostSpec::new("h".parse().unwrap(), Endpoint::new("h", 22));
        for status in [ExitStatus::Missing, ExitStatus::Signal("TERM".into())] {
            let error = judge(&Virsh::of(&spec), &status, b"error: x", Duration::ZERO);
            assert!(matches!(
                error,
                HypervisorError::Transport(TransportError::Lost { .. })
            ));
        }
    }

    #[test]
    fn escape_sequences_in_words_of_the_host_stay_harmless() {
        let error = judged(false, 1, "error: bad \u{1b}[2J name\n");
        assert_eq!(error.to_string(), "virsh said: bad ␛[2J name");
    }
}
