//! Tests of `failure`: every refusal that is known from public reports ends in the right kind, with the
//! host's own words, in whatever language they are.

use std::time::Duration;

use serde_json::json;

use super::failure::*;
use crate::domain::error_kind::{Classify, ErrorKind};
use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;
use crate::transport::{CommandOutput, ExitStatus};

const CMDLET: &str = "Microsoft.HyperV.PowerShell.Commands";
const CIM: &str = "Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand";

fn record(fqid: &str, category: &str, message: &str) -> Record {
    serde_json::from_value(json!({
        "v": 1, "messages": [message], "codes": [-2_146_233_088_i64], "fqid": fqid,
        "category": category, "reason": "VirtualizationException", "target": "", "why": null
    }))
    .unwrap()
}

fn ours(code: &str, facts: &serde_json::Value) -> HypervisorError {
    let record: Record = serde_json::from_value(json!({
        "v": 1, "messages": [format!("vmdeck:{code}")], "codes": [], "fqid": format!("vmdeck:{code}"),
        "category": "OperationStopped", "reason": "RuntimeException", "target": "",
        "why": {"code": code, "facts": facts}
    }))
    .unwrap();
    judge(&record, About::Vm, Some(true))
}

/// One row: where it happened, what the record holds, what it means.
struct Row {
    about: About,
    fqid: String,
    category: &'static str,
    english: &'static str,
    german: &'static str,
    kind: ErrorKind,
    hint: &'static str,
}

fn row(about: About, fqid: &str, category: &'static str, kind: ErrorKind) -> Row {
    let fqid = if fqid.ends_with(',') {
        format!("{fqid}{CIM}")
    } else if let Some((id, command)) = fqid.split_once('@') {
        format!("{id},{CMDLET}.{command}")
    } else {
        fqid.to_owned()
    };
    Row {
        about,
        fqid,
        category,
        english: "The operation failed.",
        german: "Fehler bei dem Vorgang.",
        kind,
        hint: "",
    }
}

impl Row {
    fn says(mut self, english: &'static str, german: &'static str) -> Self {
        self.english = english;
        self.german = german;
        self
    }

    fn hints(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }
}

fn table() -> Vec<Row> {
    use About::{Host, Vm};
    use ErrorKind::{Internal, NotFound, Permission, Protocol, Refused, Remote};
    vec![
        row(Vm, "InvalidParameter@GetVM", "InvalidArgument", NotFound),
        row(Vm, "ObjectNotFound@SetVM", "ObjectNotFound", NotFound).hints("vmms"),
        row(Vm, "Whatever@GetVM", "ObjectNotFound", NotFound),
        row(Host, "ObjectNotFound@GetVM", "ObjectNotFound", Remote)
            .says(
                "Hyper-V encountered an error trying to access an object on computer 'HV1' because the object was not found.",
                "Hyper-V hat beim Zugriff auf ein Objekt auf Computer \"HV1\" einen Fehler festgestellt.",
            )
            .hints("Start-Service vmms"),
        row(Vm, "InvalidState@SetVM", "InvalidOperation", Refused),
        row(Vm, "OperationFailed@StopVM", "NotSpecified", Remote).says("Failed to stop.", "Fehler beim Beenden."),
        row(Host, "Unspecified@GetVM", "NotSpecified", Permission)
            .says(
                "You do not have the required permission to complete this task.",
                "Sie besitzen nicht die erforderlichen Berechtigungen.",
            )
            .hints("S-1-5-32-578"),
        row(Vm, "AccessDenied@StartVM", "PermissionDenied", Permission).hints("S-1-5-32-578"),
        row(Host, "HRESULT 0x80041003,", "PermissionDenied", Permission).hints("S-1-5-32-578"),
        row(Host, "HRESULT 0x80070005,", "NotSpecified", Permission),
        row(Vm, "OutOfMemory@StartVM", "FromStdErr", Remote)
            .says("Not enough memory. (0x8007000E).", "Nicht genug Arbeitsspeicher. (0x8007000E).")
            .hints("memory"),
        row(Vm, "Unspecified@StartVM", "NotSpecified", Remote)
            .says("Insufficient resources. (0x800705AA)", "Nicht genug Systemressourcen. (0x800705AA)")
            .hints("memory"),
        row(Vm, "InvalidOperation@StopVM", "InvalidOperation", Refused).hints("force it off"),
        row(Vm, "OperationFailed@StopVM", "NotSpecified", Refused)
            .says("The device is not ready for use. (0x800710DF)", "Das Ger\u{e4}t ist nicht bereit. (0x800710DF)")
            .hints("integration services"),
        row(Vm, "ParameterArgumentValidationError@GetVM", "InvalidData", Internal),
        row(Vm, "CommandNotFoundException", "ObjectNotFound", Protocol).hints("Hyper-V-PowerShell"),
        row(Vm, "CouldNotAutoloadMatchingModule", "ObjectNotFound", Protocol).hints("Hyper-V-PowerShell"),
        row(Vm, "CouldNotAutoLoadModule", "ObjectNotFound", Protocol).hints("Hyper-V-PowerShell"),
        row(Vm, "MethodInvocationNotSupportedInConstrainedLanguage", "InvalidOperation", Refused),
        row(Host, "HRESULT 0x8004100e,", "MetadataError", Protocol).hints("Install-WindowsFeature Hyper-V"),
        row(Host, "HRESULT 0x80041013,", "NotSpecified", Remote).hints("Start-Service vmms"),
        row(Vm, "HRESULT 0x80041001,", "NotSpecified", Remote),
    ]
}

#[test]
fn each_kind_of_refusal_is_told_apart_whatever_the_language() {
    for row in table() {
        for words in [row.english, row.german] {
            let error = judge(&record(&row.fqid, row.category, words), row.about, None);
            assert_eq!(error.kind(), row.kind, "{}: {error}", row.fqid);
            let hint = error.hint().map_or_else(String::new, |hint| hint.0);
            assert!(hint.contains(row.hint), "{}: {hint}", row.fqid);
            let is_ours = matches!(
                error,
                HypervisorError::ToolMissing { .. } | HypervisorError::Unsupported { .. }
            );
            assert!(is_ours || error.to_string().contains(words), "{error}");
        }
    }
}

#[test]
fn what_an_account_that_may_is_refused_is_no_question_of_permission() {
    let refusal = record(
        &format!("Unspecified,{CMDLET}.GetVM"),
        "NotSpecified",
        "No.",
    );
    let kind = |may| judge(&refusal, About::Host, may).kind();
    assert_eq!(kind(Some(true)), ErrorKind::Remote);
    assert_eq!(kind(Some(false)), ErrorKind::Permission);
    assert_eq!(kind(None), ErrorKind::Permission);
}

#[test]
fn an_older_host_says_not_found_by_its_exception() {
    let mut old = json!({
        "messages": ["no such"], "fqid": format!("Unspecified,{CMDLET}.GetVM"),
        "category": "NotSpecified", "reason": "VirtualizationOperationFailedException"
    });
    let record: Record = serde_json::from_value(old.take()).unwrap();
    assert_eq!(judge(&record, About::Vm, None).kind(), ErrorKind::NotFound);
}

#[test]
fn every_return_code_of_a_method_has_its_kind() {
    use ErrorKind::{Busy, Internal, Permission, Refused, Remote, Timeout};
    for (code, kind) in [
        (32_768, Remote),
        (32_769, Permission),
        (32_770, Refused),
        (32_771, Remote),
        (32_772, Timeout),
        (32_773, Internal),
        (32_774, Busy),
        (32_775, Refused),
        (32_776, Internal),
        (32_777, Refused),
        (32_778, Remote),
        (32_779, Remote),
        (32_780, Refused),
        (32_781, Refused),
        (32_782, Busy),
        (1, Remote),
    ] {
        let error = ours(
            "refused",
            &json!({"method": "RequestStateChange", "code": code}),
        );
        assert_eq!(error.kind(), kind, "{code}: {error}");
        assert!(
            error.to_string().contains(&format!("returned {code}")),
            "{error}"
        );
    }
}

#[test]
fn what_our_scripts_find_is_said_in_our_words() {
    for (code, facts, kind, words) in [
        ("gone", json!({"id": "X"}), ErrorKind::NotFound, "not found"),
        (
            "wrong-state",
            json!({"state": 3}),
            ErrorKind::Conflict,
            "stopped by now",
        ),
        (
            "wrong-state",
            json!({"state": 32785}),
            ErrorKind::Conflict,
            "RunningCritical (32785)",
        ),
        (
            "no-shutdown-service",
            json!({"id": "X"}),
            ErrorKind::Refused,
            "no shutdown service",
        ),
        (
            "unchanged",
            json!({"state": 6}),
            ErrorKind::Remote,
            "reported success, and the VM is saved",
        ),
        (
            "unchanged",
            json!({"value": 3}),
            ErrorKind::Remote,
            "the setting is 3 as before",
        ),
        ("else", json!({}), ErrorKind::Remote, "our script stopped"),
    ] {
        let error = ours(code, &facts);
        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_failed_job_speaks_for_itself() {
    let failed = |code: i64, text: &str| {
        ours(
            "job-failed",
            &json!({"method": "RequestStateChange", "state": 10, "code": code, "text": text, "summary": ""}),
        )
    };
    let words = "'web' konnte nicht gestartet werden.";
    let error = failed(32_788, words);
    assert_eq!(error.kind(), ErrorKind::Remote);
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(failed(32_775, words).kind(), ErrorKind::Refused);
    assert!(failed(32_775, words).to_string().contains(words));
    assert_eq!(failed(32_769, words).kind(), ErrorKind::Permission);
    let memory = failed(
        -2_147_024_882,
        "Nicht gen\u{fc}gend Arbeitsspeicher.\r\n (0x8007000E)",
    );
    assert!(memory.hint().unwrap().0.contains("memory"));
    assert!(failed(32_768, "").to_string().contains("code 32768"));
}

#[test]
fn a_chain_of_messages_becomes_one_line_without_repeats() {
    let record: Record = serde_json::from_value(json!({
        "messages": ["'x' failed to start.\r\n\r\nNot enough\r\nmemory.", "Not enough\r\nmemory.", "", "Other."],
        "fqid": "x"
    }))
    .unwrap();
    assert_eq!(
        record.said().raw(),
        "'x' failed to start. Not enough memory. Other."
    );
}

fn output(code: u32, stderr: &str) -> CommandOutput {
    CommandOutput {
        status: ExitStatus::Code(code),
        stdout: Vec::new(),
        stderr: stderr.as_bytes().to_vec(),
        truncated: false,
        elapsed: Duration::ZERO,
    }
}

fn without(output: &CommandOutput) -> NoAnswer {
    without_answer(output, &RemoteText::new("a banner"))
}

#[test]
fn a_shell_that_found_no_powershell_is_told_from_a_powershell_that_failed() {
    for (code, stderr) in [
        (
            1,
            "'powershell.exe' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n",
        ),
        (
            1,
            "Der Befehl \"powershell.exe\" ist entweder falsch geschrieben oder\r\nkonnte nicht gefunden werden.\r\n",
        ),
        (1, "The command line is too long.\r\n"),
        (
            1,
            "powershell.exe : The term 'powershell.exe' is not recognized\r\n    + FullyQualifiedErrorId : CommandNotFoundException\r\n",
        ),
        (127, "sh: 1: powershell.exe: not found\n"),
    ] {
        let NoAnswer::NotFound(said) = without(&output(code, stderr)) else {
            panic!("{stderr}");
        };
        assert!(!said.raw().contains('\n'), "{said}");
        assert!(
            stderr.starts_with(said.raw().split(' ').next().unwrap()),
            "{said}"
        );
    }
    let clixml = "#< CLIXML\r\n<Objs><S S=\"Error\">odd_x000D__x000A_</S></Objs>";
    let NoAnswer::Error(error) = without(&output(1, clixml)) else {
        panic!("it ran");
    };
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("odd"), "{error}");
}

#[test]
fn a_constrained_powershell_is_known_by_its_id_even_when_a_console_wrapped_it() {
    let wrapped = "#< CLIXML\r\n<Objs><S S=\"Error\">    + FullyQualifiedErrorId : MethodInvocationNotSupportedInConst_x000D__x000A_</S><S S=\"Error\">   rainedLanguage_x000D__x000A_</S></Objs>";
    assert!(matches!(
        without(&output(1, wrapped)),
        NoAnswer::Constrained
    ));
}

#[test]
fn a_process_that_vanished_has_not_failed() {
    let mut gone = output(0, "");
    gone.status = ExitStatus::Missing;
    let NoAnswer::Error(error) = without(&gone) else {
        panic!("it may have worked");
    };
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    // Success without an answer is no success either.
    let NoAnswer::Error(error) = without(&output(0, "")) else {
        panic!("no answer came");
    };
    assert!(error.to_string().contains("a banner"), "{error}");
}

#[test]
fn what_says_more_than_is_read_has_run_and_is_not_run_under_another_name() {
    for code in [1, 126, 127] {
        let mut flood = output(code, "noise\r\n");
        flood.truncated = true;
        let NoAnswer::Error(error) = without(&flood) else {
            panic!("{code}: it would be run again");
        };
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}
