//! Reaching into a VM of libvirt: `virsh console`, and what its endings mean; `virsh screenshot`, which
//! writes its picture into its own output; `virsh send-key`.
//!
//! Seen with libvirt 9.0: it ends with code 0 when the VM goes off, with an error when somebody takes the
//! console over; a reset or a reboot from inside leaves it open. Without `--force` it leaves whoever has
//! the console alone and says so. It needs a terminal; its escape character, `^]`, is never sent to it.

use std::time::Duration;

use async_trait::async_trait;

use super::command::{Line, QUESTION_LIFE, Virsh};
use super::display::{self, NoDisplay};
use super::guest;
use super::keys::chord;
use super::verdict::{judge, judge_said};
use crate::domain::console::{ConsoleEnd, ConsoleEndKind, KeyStrokes};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::graphics::Display;
use crate::domain::guest_account::GuestAccount;
use crate::domain::guest_command::{GuestCommand, GuestRun};
use crate::domain::host::HostSpec;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::picture::RawPicture;
use crate::hypervisor::reach::{WITHIN, is_typable, is_whole, picture_limits, refused};
use crate::hypervisor::{GuestStart, GuestTrouble, HypervisorError, Reach};
use crate::transport::{CommandOutput, ExecLimits, ExitStatus, Transport};

/// How libvirt lets somebody into its VMs.
#[derive(Debug, Clone, Copy)]
pub struct LibvirtReach;

#[async_trait]
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

    async fn screenshot(
        &self,
        link: &dyn Transport,
        spec: &HostSpec,
        vm: &VmId,
    ) -> Result<RawPicture, HypervisorError> {
        let command = screenshot(spec, vm);
        let output = link.exec(&command, picture_limits()).await?;
        is_whole(&output)?;
        picture(spec, output)
    }

    fn keys(
        &self,
        spec: &HostSpec,
        vm: &VmId,
        keys: &KeyStrokes,
    ) -> Result<RemoteCommand, HypervisorError> {
        let virsh = Virsh::of(spec);
        let text = match keys {
            KeyStrokes::CtrlAltDel => {
                let line = Line::about("send-key", vm).with("KEY_LEFTCTRL KEY_LEFTALT KEY_DELETE");
                return Ok(virsh.once(&line, QUESTION_LIFE));
            }
            KeyStrokes::Text(text) => text,
        };
        is_typable(text)?;
        let mut lines = String::new();
        for c in text.chars() {
            let keys = chord(c).ok_or_else(|| {
                let shown = RemoteText::new(&c.to_string());
                let what = format!("a keyboard of the American layout has no `{shown}`");
                refused(ErrorKind::Usage, &what, None)
            })?;
            lines.extend(["send-key ", vm.as_str(), " ", &keys, "\n"]);
        }
        // One process for all of them, and nothing of it among its arguments, which everybody on the host
        // can read: what is typed may be a password.
        Ok(virsh.kept().stdin(lines).life(QUESTION_LIFE))
    }

    async fn display(
        &self,
        link: &dyn Transport,
        spec: &HostSpec,
        vm: &VmId,
    ) -> Result<Display, HypervisorError> {
        let command = Virsh::of(spec).once(&Line::about("domdisplay", vm), QUESTION_LIFE);
        let output = link.exec(&command, ExecLimits::within(WITHIN)).await?;
        displayed(spec, &output)
    }

    fn guest_command(
        &self,
        spec: &HostSpec,
        vm: &VmId,
        words: &GuestCommand,
        account: Option<&GuestAccount>,
    ) -> Result<RemoteCommand, HypervisorError> {
        if account.is_some() {
            let what = "the guest agent runs programs as root, and for no account of the VM";
            let fix = "leave the account out";
            return Err(refused(ErrorKind::Usage, what, Some(fix)));
        }
        Ok(guest::start(spec, vm, words))
    }

    async fn run_in_guest(
        &self,
        link: &dyn Transport,
        spec: &HostSpec,
        vm: &VmId,
        start: GuestStart<'_>,
    ) -> Result<GuestRun, GuestTrouble> {
        guest::run(link, (spec, vm), (start.command, start.within)).await
    }

    async fn press(
        &self,
        link: &dyn Transport,
        spec: &HostSpec,
        keys: &RemoteCommand,
    ) -> Result<(), HypervisorError> {
        let output = link.exec(keys, ExecLimits::within(WITHIN)).await?;
        pressed(spec, &output)
    }
}

fn screenshot(spec: &HostSpec, vm: &VmId) -> RemoteCommand {
    // Its own output under a name that can be opened: no file is left on the host.
    let line = Line::about("screenshot", vm).with("--file /proc/self/fd/1");
    Virsh::of(spec).once(&line, QUESTION_LIFE)
}

fn picture(spec: &HostSpec, output: CommandOutput) -> Result<RawPicture, HypervisorError> {
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("no screens to take screenshot from") {
        return Err(refused(
            ErrorKind::NotFound,
            "the VM has no screen",
            Some("give it one (`<video>` in its definition), or use its console"),
        ));
    }
    if said.contains("domain is not running") {
        return Err(refused(
            ErrorKind::Conflict,
            "the VM is off: it has no screen",
            Some("start it first"),
        ));
    }
    sound(spec, &output)?;
    Ok(RawPicture::File(output.stdout))
}

fn displayed(spec: &HostSpec, output: &CommandOutput) -> Result<Display, HypervisorError> {
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No graphical display") {
        return Err(refused(
            ErrorKind::NotFound,
            "the VM has no graphical display that can be connected to",
            Some("give it one (`<graphics type='vnc'/>` in its definition), or look at its screen"),
        ));
    }
    if said.contains("not running") {
        return Err(refused(
            ErrorKind::Conflict,
            "the VM is off: it has no display",
            Some("start it first"),
        ));
    }
    sound(spec, output)?;
    display::read(&output.stdout).map_err(|why| {
        let (what, fix) = match why {
            NoDisplay::OnlyTls => (
                "its display takes encrypted connections only, for the host's own name",
                Some("let it listen on 127.0.0.1 without TLS as well: SSH encrypts it"),
            ),
            NoDisplay::OtherKind => ("its display is neither VNC nor SPICE", None),
            NoDisplay::Unreadable => ("virsh gave no address of its display", None),
        };
        refused(ErrorKind::Protocol, what, fix)
    })
}

fn pressed(spec: &HostSpec, output: &CommandOutput) -> Result<(), HypervisorError> {
    sound(spec, output)?;
    // What it reads from its input it carries out to the end, and ends well whatever came of it.
    let said = String::from_utf8_lossy(&output.stderr);
    match said.lines().find_map(|line| line.strip_prefix("error: ")) {
        Some(first) => Err(judge_said(&Virsh::of(spec), RemoteText::new(first))),
        None => Ok(()),
    }
}

fn sound(spec: &HostSpec, output: &CommandOutput) -> Result<(), HypervisorError> {
    if output.status.is_success() {
        return Ok(());
    }
    let virsh = Virsh::of(spec);
    Err(judge(&virsh, &output.status, &output.stderr, QUESTION_LIFE))
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
    use crate::transport::scripted::{Answer, Script};

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

    fn output(code: u32, stdout: &[u8], stderr: &str) -> CommandOutput {
        CommandOutput {
            status: ExitStatus::Code(code),
            stdout: stdout.to_vec(),
            stderr: stderr.into(),
            truncated: false,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn a_picture_comes_out_of_the_command_and_stays_nowhere() {
        assert_eq!(
            screenshot(&spec(), &vm()).shown_line(),
            "virsh -q screenshot 6c09bb55-d683-4da0-8931-c9bf705f6480 --file /proc/self/fd/1"
        );
        let read = |output| picture(&spec(), output);
        let taken = read(output(0, b"P6 1 1 255 abc", "")).unwrap();
        assert!(taken.unpack().is_ok());
        let failed = |why: &str| format!("error: could not take a screenshot of n\nerror: {why}\n");
        let none = failed("Requested operation is not valid: no screens to take screenshot from");
        let why = read(output(1, b"", &none)).unwrap_err();
        assert_eq!(why.to_string(), "the VM has no screen");
        let off = failed("Requested operation is not valid: domain is not running");
        let why = read(output(1, b"", &off)).unwrap_err();
        assert_eq!(why.to_string(), "the VM is off: it has no screen");
    }

    #[tokio::test]
    async fn a_host_that_floods_is_cut_off_and_told_from_a_picture() {
        let script = Script::new();
        script.on("screenshot", Answer::out(vec![b'P'; 53 << 20]));
        let taken = LibvirtReach
            .screenshot(&*script.transport(), &spec(), &vm())
            .await;
        let why = taken.unwrap_err().to_string();
        assert!(why.contains("more than 52 MiB"), "{why}");
    }

    #[test]
    fn what_is_typed_is_never_shown() {
        let keys = KeyStrokes::Text("hunter2\n".to_owned());
        let command = LibvirtReach.keys(&spec(), &vm(), &keys).unwrap();
        assert_eq!(command.shown_line(), "virsh -q", "not among its arguments");
        let sent = String::from_utf8(command.stdin.unwrap()).unwrap();
        assert_eq!(sent.lines().count(), 8);
        assert!(
            sent.ends_with("send-key 6c09bb55-d683-4da0-8931-c9bf705f6480 KEY_ENTER\n"),
            "{sent}"
        );
        let sent = |said: &str| pressed(&spec(), &output(0, b"virsh # ", said));
        assert!(sent("").is_ok());
        let off = "error: Requested operation is not valid: domain is not running\n";
        let why = sent(&off.repeat(8)).unwrap_err().to_string();
        assert_eq!(why.matches("not running").count(), 1, "{why}");
        assert!(!format!("{keys:?}").contains("hunter2"));
        for text in ["é".to_owned(), "x".repeat(KeyStrokes::MOST + 1)] {
            assert!(
                LibvirtReach
                    .keys(&spec(), &vm(), &KeyStrokes::Text(text))
                    .is_err()
            );
        }
    }

    #[test]
    fn what_a_vm_prints_is_not_taken_for_an_ending() {
        let said = b"dmesg: Active console session exists\r\nerror: stream had I/O failure\r\n";
        let end = LibvirtReach.console_ended(&spec(), &ExitStatus::Code(1), said);
        assert_eq!(end.why, ConsoleEndKind::Cut);
    }
}
