//! What a failure means: by ids of errors, HRESULTs, return codes of methods and exit codes. Messages are
//! in the host's language, so they are passed on and never judged. Pure.
//!
//! Sources: Microsoft, `Msvm_ComputerSystem.RequestStateChange` and `Msvm_ShutdownComponent.InitiateShutdown`
//! (return codes), "WMI error constants" (0x8004xxxx), "HRESULT values"; ids of errors as recorded in public
//! issue trackers of tools that drive Hyper-V.

use serde::Deserialize;

use super::clixml;
use super::wording::{
    DOCTOR, PROGRAM, gone, guest_silent, no_such_path, not_allowed, our_mistake, refused, remote,
    shared_name, short_of_memory, would_ask, wrong_state,
};
pub(crate) use super::wording::{
    constrained, denied, no_cmdlet, no_namespace, no_powershell, not_installed, not_running,
};
use crate::domain::error_kind::ErrorKind;
use crate::domain::text::RemoteText;
use crate::domain::vm::PowerState;
use crate::hypervisor::HypervisorError;
use crate::transport::{CommandOutput, ExitStatus, TransportError};

/// The namespace of the module's command classes, as ids of errors end in them.
const COMMANDS: &str = "Microsoft.HyperV.PowerShell.Commands.";

/// Cmdlets that ask for confirmation, and so fail where nobody can be asked (Microsoft's pages of them;
/// `InvalidOperation` of any other cmdlet is no question).
const ASKING: [&str; 5] = [
    "StopVM",
    "RestartVM",
    "RemoveVM",
    "RestoreVMSnapshot",
    "RemoveVMSnapshot",
];

/// An error record of PowerShell, as the scripts send it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// Messages of the exception and of those within it.
    messages: Vec<RemoteText>,
    /// HRESULTs of the same.
    codes: Vec<i64>,
    /// `FullyQualifiedErrorId`.
    fqid: String,
    /// Category.
    category: String,
    /// Type of the exception, short.
    reason: String,
    /// Why our own script stopped, where it was that.
    why: Option<Why>,
}

/// Why one of our scripts stopped by itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Why {
    code: String,
    #[serde(default)]
    facts: Facts,
}

/// Facts that come with it; which ones depends on the reason.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Facts {
    state: Option<i64>,
    value: Option<i64>,
    code: Option<i64>,
    method: Option<String>,
    text: Option<RemoteText>,
    summary: Option<RemoteText>,
}

/// What an error record says, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The account may not.
    Denied,
    /// Denied or broken: the host does not tell which (`Unspecified` of Get-VM).
    PerhapsDenied,
    /// The CIM namespace is not there.
    NoNamespace,
    /// A cmdlet or its module is not there.
    NoCmdlet,
    /// The service or its WMI provider does not answer.
    NotRunning,
    /// No such VM, or the service is not running: the host says the same of both.
    NotFound,
    /// Its state forbids it.
    WrongState,
    /// The guest's services do not answer.
    GuestSilent,
    /// Memory is short.
    OutOfMemory,
    /// The object is gone; nothing is said about the service.
    Gone,
    /// A file or folder is not there.
    NoSuchPath,
    /// Several VMs have the same name.
    SharedName,
    /// Somebody would have to be asked.
    WouldAsk,
    /// It is not allowed for this VM as it is set up.
    NotAllowed,
    /// We said something wrong.
    OurMistake,
    /// PowerShell is constrained.
    Constrained,
    /// Anything else.
    Other,
}

impl Record {
    /// Tells what the record says.
    pub(crate) fn cause(&self) -> Cause {
        let mut parts = self.fqid.splitn(2, ',');
        let id = parts.next().unwrap_or_default();
        let command = parts.next().unwrap_or_default();
        if id.contains("ConstrainedLanguage") {
            return Cause::Constrained;
        }
        let of = |name: &str| command.strip_prefix(COMMANDS) == Some(name);
        let of_get_vm = of("GetVM");
        match id {
            // The same id as for a VM that is gone; the number tells.
            _ if self.has(Cause::NoSuchPath) => return Cause::NoSuchPath,
            "AccessDenied" => return Cause::Denied,
            "Unspecified"
                if of_get_vm && self.reason == "VirtualizationOperationFailedException" =>
            {
                return Cause::NotFound;
            }
            "Unspecified" if of_get_vm => return Cause::PerhapsDenied,
            "ObjectNotFound" => return Cause::NotFound,
            "InvalidParameter" if of_get_vm => return Cause::NotFound,
            "InvalidState" => return Cause::WrongState,
            "OutOfMemory" => return Cause::OutOfMemory,
            "InvalidOperation" if ASKING.into_iter().any(of) => return Cause::WouldAsk,
            "InvalidOperation" if of("NewVM") => return Cause::SharedName,
            "InvalidOperation" if command.starts_with(COMMANDS) => return Cause::NotAllowed,
            "ParameterArgumentValidationError" => return Cause::OurMistake,
            "CommandNotFoundException"
            | "CouldNotAutoloadMatchingModule"
            | "CouldNotAutoLoadModule" => return Cause::NoCmdlet,
            _ => {}
        }
        match self.category.as_str() {
            "PermissionDenied" => return Cause::Denied,
            "ObjectNotFound" if command.starts_with(COMMANDS) => return Cause::NotFound,
            _ => {}
        }
        let mut causes = self.hresults().into_iter().map(of_hresult);
        causes
            .find(|cause| *cause != Cause::Other)
            .unwrap_or(Cause::Other)
    }

    /// Returns its id, without the command that it is of.
    pub(crate) fn id(&self) -> &str {
        self.fqid.split(',').next().unwrap_or_default()
    }

    /// Tells whether it is of this category, and its exception of this type where one is named.
    pub(crate) fn is(&self, category: &str, reason: &str) -> bool {
        self.category == category && (reason.is_empty() || self.reason == reason)
    }

    /// Tells whether a session with another system was refused or lost.
    pub(crate) fn is_broken_session(&self) -> bool {
        self.fqid.contains("PSSessionStateBroken")
    }

    /// Tells whether our own script stopped, or the VM was still being looked for.
    pub(crate) fn is_before_programs(&self) -> bool {
        self.fqid.starts_with("vmdeck:") || self.fqid.contains("CimCmdlets.")
    }

    /// Tells whether one of its HRESULTs means this.
    fn has(&self, cause: Cause) -> bool {
        self.hresults()
            .into_iter()
            .any(|code| of_hresult(code) == cause)
    }

    /// Returns every HRESULT that the record carries: as numbers, in its id, and in parentheses of its
    /// messages, where they are the same in every language.
    fn hresults(&self) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::new();
        found.extend(hex_numbers(&self.fqid, "0x"));
        for message in &self.messages {
            found.extend(hex_numbers(message.raw(), "(0x"));
        }
        for code in &self.codes {
            // The number is signed on the wire; its bits are what counts.
            found.extend(i32::try_from(*code).map(i32::cast_unsigned));
            found.extend(u32::try_from(*code));
        }
        found
    }

    /// Returns the host's own words: the messages of the chain, each once.
    pub(crate) fn said(&self) -> RemoteText {
        let mut parts: Vec<&str> = Vec::new();
        for message in &self.messages {
            let text = message.raw().trim();
            if !text.is_empty() && !parts.iter().any(|part| part.contains(text)) {
                parts.push(text);
            }
        }
        let joined = parts.join(" ");
        let lines: Vec<&str> = joined.split_whitespace().collect();
        RemoteText::new(&lines.join(" "))
    }

    /// Makes a record of an id and a message.
    #[cfg(test)]
    pub(crate) fn of_fqid(fqid: &str, message: &str) -> Self {
        Self {
            fqid: fqid.to_owned(),
            messages: vec![RemoteText::new(message)],
            ..Self::default()
        }
    }
}

/// What a task is about, for failures that mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The whole host.
    Host,
    /// One VM.
    Vm,
}

/// Tells what a failed task means. `may_manage` is what is known of the account's groups.
pub(crate) fn judge(record: &Record, about: About, may_manage: Option<bool>) -> HypervisorError {
    if let Some(why) = &record.why
        && record.fqid.starts_with("vmdeck:")
    {
        // To an account without rights WMI shows nothing, without a word.
        if why.code == "gone" && may_manage == Some(false) {
            return denied(RemoteText::new(
                "the account is in neither Administrators nor Hyper-V Administrators, and the VM is not shown to it",
            ));
        }
        return of_ours(why);
    }
    let said = record.said();
    match record.cause() {
        Cause::PerhapsDenied if may_manage == Some(true) => remote(said),
        Cause::Denied | Cause::PerhapsDenied => denied(said),
        Cause::NoNamespace => not_installed(),
        Cause::NoCmdlet => no_cmdlet(record.fqid.starts_with("CouldNotAuto")),
        Cause::NotFound | Cause::Gone if about == About::Vm => gone(said),
        Cause::NotRunning | Cause::NotFound => not_running(said),
        Cause::WrongState => wrong_state(said),
        Cause::GuestSilent => guest_silent(said),
        Cause::OutOfMemory => short_of_memory(said),
        Cause::NoSuchPath => no_such_path(said),
        Cause::SharedName => shared_name(said),
        Cause::WouldAsk => would_ask(said),
        Cause::NotAllowed => not_allowed(said),
        Cause::OurMistake => our_mistake(said),
        Cause::Constrained => constrained(said),
        Cause::Gone | Cause::Other => remote(said),
    }
}

fn of_ours(why: &Why) -> HypervisorError {
    let facts = &why.facts;
    let state = || match facts.state {
        Some(number) => {
            let state = super::state::from_wmi(number, None);
            if let PowerState::Unknown(name) = &state {
                name.raw().to_owned()
            } else {
                state.word().to_owned()
            }
        }
        None => "another state".to_owned(),
    };
    let none = RemoteText::new("");
    match why.code.as_str() {
        "gone" => refused(
            ErrorKind::NotFound,
            "the VM was not found on the host",
            none,
            Some("it may have been removed; the next read shows what is there"),
        ),
        "no-checkpoint" => refused(
            ErrorKind::NotFound,
            "the VM has no such checkpoint any more",
            none,
            Some("read the host again to see those that it has"),
        ),
        "wrong-state" => refused(
            ErrorKind::Conflict,
            &format!("the VM is {} by now, and nothing was done", state()),
            none,
            Some("look at the VM again"),
        ),
        "no-shutdown-service" => refused(
            ErrorKind::Refused,
            "no shutdown service: the guest does not answer to its host",
            none,
            Some(
                "the guest is still booting, or lacks its integration services; if it has to stop, force it off",
            ),
        ),
        "no-picture" => refused(
            ErrorKind::NotFound,
            "the host has no picture of the VM's screen",
            none,
            Some("look again once the VM runs"),
        ),
        "no-password" => refused(
            ErrorKind::Remote,
            "the password did not reach PowerShell on the host, and nothing was run",
            none,
            Some("Windows PowerShell can lose its standard input behind its SSH server: try again"),
        ),
        "no-keyboard" => refused(ErrorKind::NotFound, "the VM has no keyboard", none, None),
        "untranslatable" => refused(
            ErrorKind::Usage,
            "the VM's keyboard cannot type one of the characters; those before it were typed",
            none,
            None,
        ),
        "unchanged" => HypervisorError::Remote {
            program: PROGRAM.to_owned(),
            status: None,
            said: RemoteText::new(&match (facts.state, facts.value) {
                (Some(_), _) => format!("it reported success, and the VM is {} as before", state()),
                (None, Some(value)) => {
                    format!("it reported success, and the setting is {value} as before")
                }
                (None, None) => "it reported success, and nothing has changed".to_owned(),
            }),
        },
        "job-failed" => job_failed(facts),
        "refused" => of_return_code(
            facts.method.as_deref().unwrap_or("a method"),
            facts.code.unwrap_or_default(),
        ),
        other => of_keys(other)
            .unwrap_or_else(|| remote(RemoteText::new(&format!("our script stopped: {other}")))),
    }
}

/// What stands in the way of a change of who may log in.
fn of_keys(code: &str) -> Option<HypervisorError> {
    let none = RemoteText::new("");
    Some(match code {
        "keys-not-text" => refused(
            ErrorKind::Refused,
            "the file of keys is no text that an SSH server reads",
            none,
            Some(
                "it was written with two bytes a character: save it as ANSI or UTF-8 without a mark",
            ),
        ),
        "keys-changed" => refused(
            ErrorKind::Conflict,
            "the file of keys was changed by somebody else just now",
            none,
            Some("try again"),
        ),
        "key-not-kept" => refused(
            ErrorKind::Refused,
            "the key that is to stay is not in the file of keys",
            none,
            None,
        ),
        "keys-not-written" => refused(
            ErrorKind::Remote,
            "the file of keys does not hold what was written into it",
            none,
            Some("look at it on the host before this link is gone"),
        ),
        _ => return None,
    })
}

fn job_failed(facts: &Facts) -> HypervisorError {
    let text = [&facts.text, &facts.summary]
        .into_iter()
        .flatten()
        .find(|text| !text.raw().trim().is_empty());
    let code = facts.code.unwrap_or_default();
    let said = match text {
        Some(text) => {
            let words: Vec<&str> = text.raw().split_whitespace().collect();
            words.join(" ")
        }
        None => format!("its job failed with code {code}"),
    };
    let record = Record {
        messages: vec![RemoteText::new(&said)],
        codes: vec![code],
        ..Record::default()
    };
    match code {
        // The codes of methods stand in jobs too.
        32_769..=32_782 => with_words(of_return_code("the job", code), &said),
        _ => judge(&record, About::Vm, Some(true)),
    }
}

fn with_words(error: HypervisorError, words: &str) -> HypervisorError {
    let mut error = error;
    if let HypervisorError::Refused { said, .. }
    | HypervisorError::Permission { said, .. }
    | HypervisorError::Remote { said, .. } = &mut error
    {
        *said = RemoteText::new(words);
    }
    error
}

/// Tells what a method's return code means.
fn of_return_code(method: &str, code: i64) -> HypervisorError {
    let said = RemoteText::new(&format!("{method} returned {code}"));
    match code {
        32_769 => denied(said),
        32_770 => not_allowed(said),
        32_772 => refused(
            ErrorKind::Timeout,
            "the host gave up waiting",
            said,
            Some(DOCTOR),
        ),
        32_773 | 32_776 => our_mistake(said),
        32_774 | 32_782 => refused(
            ErrorKind::Busy,
            "the VM is busy with something else",
            said,
            Some("wait until that has ended"),
        ),
        32_775 => wrong_state(said),
        32_777 => refused(
            ErrorKind::Refused,
            "it does not do that as it is",
            said,
            Some("look at the VM again"),
        ),
        32_778 => short_of_memory(said),
        32_779 => no_such_path(said),
        32_780 => guest_silent(said),
        32_781 => refused(
            ErrorKind::Refused,
            "somebody works in the guest and has locked it",
            said,
            Some("ask those who use it; if it has to stop, force it off"),
        ),
        _ => remote(said),
    }
}

/// Tells what it means when no answer came at all: the script did not run, or did not run to its end.
pub(crate) fn without_answer(output: &CommandOutput, noise: &RemoteText) -> NoAnswer {
    let said = clixml::read(&output.stderr);
    let words = if said.errors.is_empty() {
        noise.clone()
    } else {
        RemoteText::new(&said.errors)
    };
    // The console's width cuts words, so all blanks go before an id is looked for.
    let packed: String = said.errors.split_whitespace().collect();
    if packed.contains("ConstrainedLanguage") {
        return NoAnswer::Constrained;
    }
    let first = first_lines(&words);
    match &output.status {
        // A shell that finds no program says little: what says more has run, and is never run again under another name.
        ExitStatus::Code(_) if output.truncated => NoAnswer::Error(HypervisorError::Unparsable {
            program: "powershell.exe".to_owned(),
            what: "more output than is read".to_owned(),
            said: first,
        }),
        // A shell that did not find the program; one of Windows says so with 1, in its own language.
        ExitStatus::Code(126 | 127) => NoAnswer::NotFound(first),
        ExitStatus::Code(code) if *code != 0 && !said.by_powershell => {
            // cmd.exe's "not recognized" and "too long", a policy that blocks the program.
            NoAnswer::NotFound(first)
        }
        ExitStatus::Missing | ExitStatus::Signal(_) => {
            NoAnswer::Error(HypervisorError::Transport(TransportError::Lost {
                reason: format!("PowerShell ended without an answer ({})", output.status),
            }))
        }
        ExitStatus::Code(_) => NoAnswer::Error(HypervisorError::Unparsable {
            program: "powershell.exe".to_owned(),
            what: format!("no answer, {}", output.status),
            said: first,
        }),
    }
}

/// Why no answer came.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// Nothing was run; the words of whatever said so.
    NotFound(RemoteText),
    /// PowerShell is constrained.
    Constrained,
    /// Anything else.
    Error(HypervisorError),
}

fn of_hresult(code: u32) -> Cause {
    match code {
        0x8004_1003 | 0x8007_0005 => Cause::Denied,
        0x8004_100e => Cause::NoNamespace,
        // Provider failed to load or to start; service not started, disabled or unreachable.
        0x8004_1013 | 0x8004_1014 | 0x8007_0426 | 0x8007_0422 | 0x8007_06ba | 0x8007_06be => {
            Cause::NotRunning
        }
        0x8007_000e | 0x8007_05aa => Cause::OutOfMemory,
        0x8007_10df => Cause::GuestSilent,
        0x8007_0002 | 0x8007_0003 => Cause::NoSuchPath,
        0x8004_1002 => Cause::Gone,
        _ => Cause::Other,
    }
}

/// Finds numbers like `0x8007000E` after such a beginning in a text.
fn hex_numbers(text: &str, after: &str) -> Vec<u32> {
    text.match_indices(after)
        .filter_map(|(at, start)| text.get(at + start.len()..at + start.len() + 8))
        .filter_map(|digits| u32::from_str_radix(digits, 16).ok())
        .collect()
}

/// Joins the first lines of a text, enough to recognise it.
fn first_lines(text: &RemoteText) -> RemoteText {
    let lines: Vec<&str> = text
        .raw()
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(3)
        .collect();
    RemoteText::new(&lines.join(" "))
}
