//! Programs in a VM of libvirt: `guest-exec` of the QEMU guest agent (QEMU Guest Agent Protocol Reference),
//! handed to it by `virsh qemu-agent-command`.
//!
//! The agent starts the program, returns a number, and keeps what it prints until it is asked for after the
//! end. So the start is one command and the end is asked for until it is there. All the agent says is the
//! guest's word.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::command::{QUESTION_LIFE, Virsh};
use super::verdict::{judge, said};
use crate::domain::error_kind::ErrorKind;
use crate::domain::guest_command::{GuestCommand, GuestEnd, GuestOutput, GuestRun};
use crate::domain::host::HostSpec;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::reach::{WITHIN, refused};
use crate::hypervisor::{GuestTrouble, HypervisorError};
use crate::transport::{CommandOutput, ExecLimits, Transport};

/// How long the agent may take to answer; libvirt itself waits 5 s for it to be there.
const ANSWER_SECONDS: &str = "10";

/// Pauses between two questions about the end.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
struct Reply<T> {
    #[serde(rename = "return")]
    value: T,
}

/// What `guest-exec` answers.
#[derive(Debug, Deserialize)]
struct Started {
    pid: i64,
}

/// What `guest-exec-status` answers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Status {
    exited: bool,
    exitcode: Option<i64>,
    signal: Option<i64>,
    out_data: Option<String>,
    out_truncated: bool,
    err_data: Option<String>,
    err_truncated: bool,
}

/// The command that starts a program.
pub(super) fn start(spec: &HostSpec, vm: &VmId, words: &GuestCommand) -> RemoteCommand {
    let arguments = json!({
        "path": words.program(),
        "arg": words.args(),
        "capture-output": true,
    });
    ask(spec, vm, "guest-exec", &arguments)
}

fn ask(spec: &HostSpec, vm: &VmId, execute: &str, arguments: &Value) -> RemoteCommand {
    let question = json!({ "execute": execute, "arguments": arguments });
    Virsh::of(spec)
        .kept()
        .args(["qemu-agent-command", vm.as_str()])
        .args(["--timeout", ANSWER_SECONDS])
        .arg(question.to_string())
        .life(QUESTION_LIFE)
}

/// Starts a program and waits for its end.
pub(super) async fn run(
    link: &dyn Transport,
    (spec, vm): (&HostSpec, &VmId),
    (start, within): (&RemoteCommand, Duration),
) -> Result<GuestRun, GuestTrouble> {
    let until = Instant::now() + within;
    let Started { pid } = match exchange(link, spec, start).await {
        Ok(started) => started,
        // It may have been started all the same.
        Err(error @ HypervisorError::Transport(_)) => return Err(GuestTrouble::Unknown(error)),
        Err(error) => return Err(GuestTrouble::NotStarted(error)),
    };
    let question = ask(spec, vm, "guest-exec-status", &json!({ "pid": pid }));
    let mut pause = FIRST_PAUSE;
    loop {
        let status: Status = exchange(link, spec, &question)
            .await
            .map_err(GuestTrouble::Unknown)?;
        if status.exited {
            return ended(status).map_err(GuestTrouble::Unknown);
        }
        if Instant::now() >= until {
            let what = format!("the program still runs in the VM, as its process {pid}");
            let fix = "it goes on there; wait longer for one that takes so long";
            return Err(GuestTrouble::Unknown(refused(
                ErrorKind::Timeout,
                &what,
                Some(fix),
            )));
        }
        let next = Instant::now() + pause;
        tokio::time::sleep_until(next.min(until)).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

async fn exchange<T: DeserializeOwned>(
    link: &dyn Transport,
    spec: &HostSpec,
    question: &RemoteCommand,
) -> Result<T, HypervisorError> {
    let output = link.exec(question, ExecLimits::within(WITHIN)).await?;
    read(spec, &output)
}

fn read<T: DeserializeOwned>(
    spec: &HostSpec,
    output: &CommandOutput,
) -> Result<T, HypervisorError> {
    if !output.status.is_success() {
        return Err(no_answer(spec, output));
    }
    if output.truncated {
        let what = "the guest agent's answer is larger than what is read";
        return Err(refused(ErrorKind::Protocol, what, None));
    }
    parse(&output.stdout)
}

fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T, HypervisorError> {
    let reply: Result<Reply<T>, _> = serde_json::from_slice(answer);
    reply.map(|reply| reply.value).map_err(|error| {
        let words = RemoteText::new(&error.to_string());
        unreadable(&format!("the guest agent's answer: {words}"))
    })
}

fn unreadable(what: &str) -> HypervisorError {
    refused(ErrorKind::Protocol, what, None)
}

fn ended(status: Status) -> Result<GuestRun, HypervisorError> {
    let end = match (status.exitcode, status.signal) {
        (Some(code), _) => GuestEnd::Code(code),
        (None, Some(signal)) => GuestEnd::Signal(signal),
        (None, None) => return Err(unreadable("the guest agent does not say how it ended")),
    };
    let output = |data: Option<String>, truncated| -> Result<_, HypervisorError> {
        let bytes = STANDARD
            .decode(data.unwrap_or_default())
            .map_err(|_odd| unreadable("the guest agent's answer: output that is no base64"))?;
        Ok(GuestOutput::new(bytes, truncated))
    };
    Ok(GuestRun {
        end,
        stdout: output(status.out_data, status.out_truncated)?,
        stderr: output(status.err_data, status.err_truncated)?,
    })
}

/// What stands in the way, by the words of libvirt 9.0 and of the agent.
fn no_answer(spec: &HostSpec, output: &CommandOutput) -> HypervisorError {
    let text = String::from_utf8_lossy(&output.stderr);
    let has = |words: &str| text.contains(words);
    if has("QEMU guest agent is not configured") {
        return refused(
            ErrorKind::Refused,
            "the VM has no channel for a guest agent",
            Some(
                "give it one (`<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>` in its definition), and install qemu-guest-agent in it",
            ),
        );
    }
    if has("Guest agent is not responding") || has("QEMU guest agent is not connected") {
        return refused(
            ErrorKind::Unreachable,
            "the guest agent of the VM does not answer",
            Some(
                "install and start qemu-guest-agent in the VM; one that is still booting has none yet",
            ),
        );
    }
    if has("has been disabled") || has("has not been found") {
        return refused(
            ErrorKind::Permission,
            "the guest agent of the VM does not run programs",
            Some(
                "its own settings forbid `guest-exec` and `guest-exec-status`: allow both in the VM (`block-rpcs` or `allow-rpcs` in /etc/qemu/qemu-ga.conf, or /etc/sysconfig/qemu-ga), then restart the agent",
            ),
        );
    }
    if has("domain is not running") {
        return refused(ErrorKind::Conflict, "the VM is off", Some("start it first"));
    }
    // `error: internal error: unable to execute QEMU agent command 'guest-exec': Failed to ...`
    let said = said(&output.stderr);
    if let Some((_, why)) = said
        .raw()
        .split_once("unable to execute QEMU agent command")
    {
        let why = why.split_once(": ").map_or(why, |(_, why)| why);
        return HypervisorError::Refused {
            kind: ErrorKind::Remote,
            what: "the guest agent could not do it".to_owned(),
            said: RemoteText::new(why),
            fix: None,
        };
    }
    judge(
        &Virsh::of(spec),
        &output.status,
        &output.stderr,
        QUESTION_LIFE,
    )
}

/// Reads whatever bytes an agent may send, as both answers.
#[cfg(feature = "testing")]
pub(super) fn read_both(answer: &[u8]) -> [Result<Option<GuestRun>, HypervisorError>; 2] {
    [
        parse::<Started>(answer).map(|_pid| None),
        parse::<Status>(answer).and_then(ended).map(Some),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_kind::Classify;
    use crate::domain::host::Endpoint;
    use crate::transport::ExitStatus;
    use crate::transport::scripted::{Answer, Script};

    const ID: &str = "6c09bb55-d683-4da0-8931-c9bf705f6480";

    fn spec() -> HostSpec {
        HostSpec::new("kvm1".parse().unwrap(), Endpoint::new("kvm1", 22))
    }

    fn vm() -> VmId {
        VmId::parse(ID).unwrap()
    }

    fn words(line: &str) -> RemoteCommand {
        start(&spec(), &vm(), &GuestCommand::split(line).unwrap())
    }

    #[test]
    fn each_word_is_one_argument_in_the_guest_and_what_is_shown_is_what_is_sent() {
        let command = words(r#"/bin/sh -c 'echo "$HOME"; id' "a\"b""#);
        assert_eq!(
            command
                .args
                .iter()
                .map(|arg| arg.value.as_str())
                .collect::<Vec<_>>()[..5],
            ["-q", "qemu-agent-command", ID, "--timeout", "10"]
        );
        let sent: Value = serde_json::from_str(&command.args[5].value).unwrap();
        assert_eq!(sent["execute"], "guest-exec");
        assert_eq!(sent["arguments"]["path"], "/bin/sh");
        assert_eq!(
            sent["arguments"]["arg"],
            json!(["-c", "echo \"$HOME\"; id", "a\"b"])
        );
        assert!(command.shown_line().contains("guest-exec"));
    }

    async fn ran(script: &Script, typed: &str, within: Duration) -> Result<GuestRun, GuestTrouble> {
        let (link, spec, vm) = (script.transport(), spec(), vm());
        run(&*link, (&spec, &vm), (&words(typed), within)).await
    }

    #[tokio::test]
    async fn what_a_program_did_is_what_the_agent_says() {
        let script = Script::new();
        script.on("guest-exec\"", Answer::out(r#"{"return":{"pid":7}}"#));
        script.on(
            "\"pid\":7",
            Answer::out(r#"{"return":{"exited":true,"exitcode":3,"out-data":"aGkK","err-data":"bm8K","err-truncated":true}}"#),
        );
        let ran = ran(&script, "x", Duration::from_secs(60)).await.unwrap();
        assert_eq!(ran.end, GuestEnd::Code(3));
        assert_eq!(ran.stdout, GuestOutput::new(b"hi\n".to_vec(), false));
        assert_eq!(ran.stderr, GuestOutput::new(b"no\n".to_vec(), true));
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_left_running_and_its_number_told() {
        let script = Script::new();
        script.on("guest-exec\"", Answer::out(r#"{"return":{"pid":7}}"#));
        script.on("\"pid\":7", Answer::out(r#"{"return":{"exited":false}}"#));
        let ended = ran(&script, "sleep 1000", Duration::ZERO).await;
        let Err(GuestTrouble::Unknown(error)) = ended else {
            panic!("it has not ended");
        };
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("process 7"), "{error}");
    }

    #[test]
    fn each_thing_that_stands_in_the_way_says_what_to_do() {
        let cases = [
            (
                "error: argument unsupported: QEMU guest agent is not configured\n",
                ErrorKind::Refused,
                "no channel for a guest agent",
                "org.qemu.guest_agent.0",
            ),
            (
                "error: Guest agent is not responding: QEMU guest agent is not connected\n",
                ErrorKind::Unreachable,
                "does not answer",
                "install and start qemu-guest-agent",
            ),
            (
                "error: internal error: unable to execute QEMU agent command 'guest-exec': Command guest-exec has been disabled for this instance\n",
                ErrorKind::Permission,
                "does not run programs",
                "block-rpcs",
            ),
            (
                "error: Requested operation is not valid: domain is not running\n",
                ErrorKind::Conflict,
                "the VM is off",
                "start it",
            ),
        ];
        for (said, kind, what, fix) in cases {
            let error = no_answer(&spec(), &output(said));
            assert_eq!(error.kind(), kind, "{said}");
            assert!(error.to_string().contains(what), "{said}: {error}");
            let hint = error.hint().unwrap().to_string();
            assert!(hint.contains(fix), "{said}: {hint}");
        }
        let missing = "error: internal error: unable to execute QEMU agent command 'guest-exec': Failed to execute child process \u{201c}/x\u{201d} (No such file or directory)\n";
        let error = no_answer(&spec(), &output(missing)).to_string();
        assert!(
            error.contains("(No such file or directory)") && !error.contains("internal error"),
            "{error}"
        );
    }

    fn output(stderr: &str) -> CommandOutput {
        CommandOutput {
            status: ExitStatus::Code(1),
            stdout: Vec::new(),
            stderr: stderr.into(),
            truncated: false,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn an_answer_that_is_none_is_refused() {
        for odd in [
            "",
            "{}",
            "[]",
            r#"{"return":{}}"#,
            r#"{"return":{"exited":true}}"#,
            r#"{"return":{"exited":true,"exitcode":0,"out-data":"***"}}"#,
            r#"{"return":{"exited":"yes"}}"#,
        ] {
            let status = parse::<Status>(odd.as_bytes()).and_then(|status| {
                if status.exited {
                    ended(status).map(drop)
                } else {
                    Err(unreadable("no end"))
                }
            });
            assert!(status.is_err(), "{odd}");
        }
        let killed: Status = parse(br#"{"return":{"exited":true,"signal":9}}"#).unwrap();
        assert_eq!(ended(killed).unwrap().end, GuestEnd::Signal(9));
    }
}
