//! Programs in a VM of Hyper-V: PowerShell Direct (Microsoft: "Manage Windows virtual machines with PowerShell
//! Direct"), which asks for an account of the VM. The password is on standard input of the one script, and in
//! no command line, frame or error.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::answer::Trouble;
use super::exchange::{Question, Unanswered, exchange};
use super::failure::{self, About, Record};
use super::frames::unparsable;
use super::parse::Answer;
use super::script::Task;
use crate::domain::error_kind::ErrorKind;
use crate::domain::guest_account::GuestAccount;
use crate::domain::guest_command::{GuestCommand, GuestEnd, GuestOutput, GuestRun};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::reach::refused;
use crate::hypervisor::{GuestStart, GuestTrouble, HypervisorError};
use crate::transport::{ExecLimits, Transport};

/// What a session in a VM may take before the program is started, and after its end.
const AROUND: Duration = Duration::from_secs(60);

/// Bytes of the answer: both outputs, in base64 twice.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// What the script tells. Exactly one of the first three is there.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    /// It was not started, in the words of Windows.
    refused: Option<RemoteText>,
    /// It still runs, as this process.
    process: Option<i64>,
    /// Its exit code.
    code: Option<i64>,
    out: String,
    out_cut: bool,
    err: String,
    err_cut: bool,
}

/// The command that runs a program.
pub(super) fn start(
    vm: &VmId,
    words: &GuestCommand,
    account: Option<&GuestAccount>,
) -> Result<RemoteCommand, HypervisorError> {
    let account = account.ok_or_else(no_account)?;
    let arguments = json!({
        "id": vm,
        "user": account.user.as_str(),
        "program": words.program(),
        "words": line_of(words.args()),
    });
    Ok(RemoteCommand::powershell(
        Task::RunInGuest.name(),
        arguments.to_string(),
    ))
}

fn no_account() -> HypervisorError {
    refused(
        ErrorKind::Usage,
        "Hyper-V runs programs in a VM only for an account of that VM, and none was named",
        Some("name one: `--guest-user USER --guest-credential NAME`, or in the form of `x`"),
    )
}

/// Writes arguments so that a program of Windows reads them as they are (Microsoft: `CommandLineToArgvW`).
fn line_of(args: &[String]) -> String {
    let mut line = String::new();
    for arg in args {
        if !line.is_empty() {
            line.push(' ');
        }
        let plain = |c: char| !c.is_whitespace() && c != '"';
        if !arg.is_empty() && arg.chars().all(plain) {
            line.push_str(arg);
            continue;
        }
        line.push('"');
        let mut slashes = 0;
        for c in arg.chars() {
            match c {
                '\\' => slashes += 1,
                '"' => {
                    // Those before a quote count double, and one makes it a quote.
                    line.extend(std::iter::repeat_n('\\', slashes + 1));
                    slashes = 0;
                }
                _ => slashes = 0,
            }
            line.push(c);
        }
        line.extend(std::iter::repeat_n('\\', slashes));
        line.push('"');
    }
    line
}

/// Runs a program and waits for its end.
pub(super) async fn run(
    link: &dyn Transport,
    start: GuestStart<'_>,
) -> Result<GuestRun, GuestTrouble> {
    let password = start
        .password
        .ok_or_else(|| GuestTrouble::NotStarted(no_account()))?;
    let encoded = Zeroizing::new(STANDARD.encode(password.expose()));
    let secret = Zeroizing::new(format!("{} {}\n", *encoded, start.within.as_millis()));
    let arguments = start.command.args.last();
    let arguments = arguments.map_or("{}", |arg| arg.value.as_str());
    let limits = ExecLimits {
        stdout: MAX_ANSWER,
        ..ExecLimits::within(start.within.saturating_add(AROUND))
    };
    let question = Question {
        shown: start.command,
        task: Task::RunInGuest,
        arguments,
        stdin: secret.as_bytes(),
        limits,
    };
    match exchange(link, &question, |_output| Ok(())).await {
        Ok(answer) => ended(answer),
        Err(unanswered) => Err(untold(unanswered)),
    }
}

fn untold(unanswered: Unanswered) -> GuestTrouble {
    match unanswered {
        Unanswered::NotSent(error) => GuestTrouble::NotStarted(error),
        // It may have been started all the same.
        Unanswered::Lost(error) | Unanswered::Told(Trouble::Error(error)) => {
            GuestTrouble::Unknown(error)
        }
        Unanswered::Told(Trouble::Record(record)) => meant(&record),
        Unanswered::Told(Trouble::Constrained) => {
            GuestTrouble::NotStarted(failure::constrained(RemoteText::new("")))
        }
        Unanswered::Told(Trouble::NotFound(said)) => {
            GuestTrouble::NotStarted(failure::no_powershell(&said))
        }
    }
}

fn ended(answer: Answer) -> Result<GuestRun, GuestTrouble> {
    let odd =
        |why: String| GuestTrouble::Unknown(unparsable(&format!("the program's end: {why}"), b""));
    let told = Told::deserialize(answer.data).map_err(|error| odd(error.to_string()))?;
    if let Some(said) = told.refused {
        return Err(GuestTrouble::NotStarted(HypervisorError::Remote {
            program: "Windows in the VM".to_owned(),
            status: None,
            said,
        }));
    }
    if let Some(process) = told.process {
        let what = format!("the program still runs in the VM, as its process {process}");
        let fix = "it was not ended; wait longer for one that takes so long";
        return Err(GuestTrouble::Unknown(refused(
            ErrorKind::Timeout,
            &what,
            Some(fix),
        )));
    }
    let code = told.code.ok_or_else(|| odd("there is none".to_owned()))?;
    let output = |text: &str, cut| {
        let bytes = STANDARD.decode(text);
        let bytes = bytes.map_err(|_odd| odd("output that is no base64".to_owned()))?;
        Ok(GuestOutput::new(bytes, cut))
    };
    Ok(GuestRun {
        end: end_of(code),
        stdout: output(&told.out, told.out_cut)?,
        stderr: output(&told.err, told.err_cut)?,
    })
}

/// Exceptions end a program with their own number (Microsoft: NTSTATUS, severity 3).
fn end_of(code: i64) -> GuestEnd {
    let bits = i32::try_from(code).map(i32::cast_unsigned);
    match bits {
        Ok(bits) if (0xc000_0000..0xd000_0000).contains(&bits) => GuestEnd::Signal(bits.into()),
        Ok(_) | Err(_) => GuestEnd::Code(code),
    }
}

/// What a failure of the script means, and whether the program may have been started by then. Which error it
/// is, is told by ids and classes that no language changes.
fn meant(record: &Record) -> GuestTrouble {
    let said = record.said();
    let of = |kind, what: &str, fix: &str| HypervisorError::Refused {
        kind,
        what: what.to_owned(),
        said: said.clone(),
        fix: Some(fix.to_owned()),
    };
    let not = GuestTrouble::NotStarted;
    match record.id() {
        _ if record.is_broken_session() && record.is("OpenError", "PSDirectException") => not(of(
            ErrorKind::Auth,
            "the VM does not let the account in",
            "it is an account of the VM and its password, not one of the host; a local one is written `USER` or `.\\USER`",
        )),
        _ if record.is_broken_session() && record.is("OpenError", "") => not(of(
            ErrorKind::Unreachable,
            "PowerShell Direct does not reach into the VM",
            "it takes Windows 10, Windows Server 2016 or later in the VM, booted, with the service vmicvmsession running; into others the shell `e` reaches, by SSH",
        )),
        "InvalidVMState" => not(of(
            ErrorKind::Conflict,
            "the VM does not run by now",
            "look at the VM again",
        )),
        "InvalidVMIdNotSingle" => not(of(
            ErrorKind::NotFound,
            "the VM was not found on the host",
            "it may have been removed, or be hidden from the account on the host",
        )),
        "HyperVModuleNotAvailable" => not(failure::no_cmdlet(true)),
        // Before the program's turn has come.
        _ if record.is_before_programs() => not(failure::judge(record, About::Vm, None)),
        _ => GuestTrouble::Unknown(failure::judge(record, About::Vm, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_kind::Classify as _;

    #[test]
    fn arguments_are_quoted_as_windows_reads_them() {
        let line = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            line_of(&args)
        };
        assert_eq!(line(&["/c", "a b", ""]), r#"/c "a b" """#);
        assert_eq!(line(&[r#"say "hi""#]), r#""say \"hi\"""#);
        assert_eq!(line(&[r"C:\a b\"]), r#""C:\a b\\""#);
        assert_eq!(line(&[r#"a\"b"#]), r#""a\\\"b""#);
        assert_eq!(line(&[r"C:\plain\", "$x;`n"]), r"C:\plain\ $x;`n");
    }

    #[test]
    fn an_end_is_a_code_or_an_exception() {
        assert_eq!(end_of(3), GuestEnd::Code(3));
        assert_eq!(end_of(-1), GuestEnd::Code(-1));
        assert_eq!(end_of(-1_073_741_819), GuestEnd::Signal(0xc000_0005));
    }

    #[test]
    fn a_session_that_breaks_leaves_it_open_whether_the_program_ran() {
        let of = |fqid: &str| meant(&Record::of_fqid(fqid, "x"));
        let broken = of("PSSessionStateBroken");
        assert!(matches!(broken, GuestTrouble::Unknown(_)), "{broken:?}");
        let off = of("InvalidVMState,Microsoft.PowerShell.Commands.InvokeCommandCommand");
        let GuestTrouble::NotStarted(error) = off else {
            panic!("{off:?}");
        };
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
}
