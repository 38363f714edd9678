//! Recording a host: its driver's questions, one after the other over a connection of its own, and their
//! answers with stand-ins for everything private. Changes nothing on the host, and knows no hypervisor.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostSpec;
use crate::domain::inventory::Scope;
use crate::domain::recording::{Answered, Recording, Stream, Transcript};
use crate::domain::redact::{Private, Redactor};
use crate::domain::vm::VmId;
use crate::hypervisor::{AnswerForm, Hypervisor, Question};
use crate::session::SessionContext;
use crate::session::limits::{CLOSE, PROBE};
use crate::transport::{CommandOutput, ExecLimits, ExitStatus, Target, Transport, TransportError};

/// VMs whose details are asked for: enough to have one of every kind, few enough to end soon.
const MOST_VMS: usize = 40;

/// How long the list of VMs may take.
const LIST: Duration = Duration::from_secs(60);

/// Bytes of one answer.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Records one host.
pub async fn record(context: &SessionContext, spec: &HostSpec) -> Result<Recording, Failure> {
    let target = context.targets.target(spec).await?;
    let connected = context
        .connect(&target)
        .await
        .map_err(|error| Failure::of(&error))?;
    let transport = connected.transport;
    let recorded = ask_all(context, spec, &target, &transport).await;
    if tokio::time::timeout(CLOSE, transport.close())
        .await
        .is_err()
    {
        tracing::warn!("the recorded link did not close in time");
    }
    recorded
}

async fn ask_all(
    context: &SessionContext,
    spec: &HostSpec,
    target: &Target,
    transport: &Arc<dyn Transport>,
) -> Result<Recording, Failure> {
    let opening = async {
        let opened = context.drivers.open(Arc::clone(transport), spec).await;
        let driver = opened.map_err(|error| Failure::of(&error))?;
        let able = driver.probe().await.map_err(|error| Failure::of(&error))?;
        Ok::<_, Failure>((driver, able))
    };
    let patience = PROBE * 2;
    let (driver, able) = tokio::time::timeout(patience, opening)
        .await
        .map_err(|_elapsed| too_late("finding out what runs on the host", patience))??;
    let listed = tokio::time::timeout(LIST, driver.inventory(Scope::Full))
        .await
        .map_err(|_elapsed| too_late("reading the host", LIST))?
        .map_err(|error| Failure::of(&error))?;
    let mut private = private(driver.as_ref(), spec, target);
    private
        .vms
        .extend(listed.vms.iter().map(|vm| vm.name.raw().to_owned()));
    let vms: Vec<VmId> = listed
        .vms
        .iter()
        .map(|vm| vm.id.clone())
        .take(MOST_VMS)
        .collect();
    let mut redactor = Redactor::new(private);
    let mut transcripts = Vec::new();
    for question in driver.questions(&vms) {
        transcripts.push(ask(transport.as_ref(), &question, &mut redactor).await?);
    }
    if tokio::time::timeout(CLOSE, driver.close()).await.is_err() {
        tracing::warn!("the recorded driver did not close in time");
    }
    let version = redactor.text(able.version.shown());
    let counts = redactor.counts().iter();
    Ok(Recording {
        kind: driver.kind(),
        version,
        transcripts,
        replaced: counts.map(|(sort, count)| (sort.word(), *count)).collect(),
        left_out: listed.vms.len() - vms.len(),
    })
}

/// What is private: what the driver knows, and what we know of the way to the host.
fn private(driver: &dyn Hypervisor, spec: &HostSpec, target: &Target) -> Private {
    let mut private = driver.private();
    let name = spec.name.to_string();
    private.hosts.extend([name, spec.endpoint.address.clone()]);
    for hop in &target.hops {
        private.hosts.push(hop.endpoint.address.clone());
        private.users.push(hop.user.to_string());
    }
    private
}

/// Asks one question. Silence is an answer like others; only a link that is gone ends the recording.
async fn ask(
    transport: &dyn Transport,
    question: &Question,
    redactor: &mut Redactor,
) -> Result<Transcript, Failure> {
    let limits = ExecLimits {
        stdout: MAX_ANSWER,
        ..ExecLimits::within(question.within)
    };
    let answer = match transport.exec(&question.command, limits).await {
        Ok(output) => Ok(answered(&output, question.form, redactor)),
        Err(error @ TransportError::Lost { .. }) => return Err(Failure::of(&error)),
        Err(error) => Err(redactor.text(&error.to_string())),
    };
    Ok(Transcript {
        question: redactor.text(&question.name),
        answer,
    })
}

fn answered(output: &CommandOutput, form: AnswerForm, redactor: &mut Redactor) -> Answered {
    Answered {
        stdout: stream(&output.stdout, form, redactor),
        stderr: stream(&output.stderr, AnswerForm::Text, redactor),
        status: match &output.status {
            ExitStatus::Code(code) => code.to_string(),
            ExitStatus::Signal(_) | ExitStatus::Missing => output.status.to_string(),
        },
    }
}

/// Redacts one stream. What is no UTF-8 keeps its bytes, because the encoding is part of what is recorded.
fn stream(bytes: &[u8], form: AnswerForm, redactor: &mut Redactor) -> Stream {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let text: String = bytes.iter().copied().map(char::from).collect();
        let redacted = redactor.text(&text);
        return Stream {
            bytes: redacted
                .chars()
                .filter_map(|c| u8::try_from(c).ok())
                .collect(),
            look: true,
        };
    };
    let mut look = false;
    let mut redacted = String::with_capacity(text.len());
    match form {
        AnswerForm::Text => redacted.push_str(&redactor.text(text)),
        AnswerForm::Frames { mark } => {
            for line in text.split_inclusive('\n') {
                match frame(line, mark, redactor) {
                    Some((line, left)) => {
                        redacted.push_str(&line);
                        look |= left;
                    }
                    None => redacted.push_str(&redactor.text(line)),
                }
            }
        }
    }
    Stream {
        look: look || redactor.leaves_any(&redacted),
        bytes: redacted.into_bytes(),
    }
}

/// Redacts what a frame carries; `None` where the line is no frame. Returns whether something was left.
fn frame(line: &str, mark: &str, redactor: &mut Redactor) -> Option<(String, bool)> {
    let end = line.get(line.trim_end().len()..)?;
    let (head, payload) = line.trim_end().rsplit_once(' ')?;
    if !head.starts_with(mark) {
        return None;
    }
    let json = STANDARD.decode(payload).ok()?;
    let value: Value = serde_json::from_slice(&json).ok()?;
    let redacted = redact(value, "", "", redactor).to_string();
    let left = redactor.leaves_any(&redacted);
    Some((format!("{head} {}{end}", STANDARD.encode(redacted)), left))
}

fn redact(value: Value, around: &str, member: &str, redactor: &mut Redactor) -> Value {
    match value {
        Value::String(text) => {
            let place = if around.is_empty() {
                member.to_owned()
            } else {
                format!("{around}.{member}")
            };
            Value::String(redactor.value(&place, &text))
        }
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| redact(item, around, member, redactor))
                .collect(),
        ),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let redacted = redact(value, member, &name, redactor);
                    (name, redacted)
                })
                .collect(),
        ),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

fn too_late(what: &str, after: Duration) -> Failure {
    let after = crate::domain::units::Age(after);
    Failure::new(
        ErrorKind::Timeout,
        format!("{what} took longer than {after}"),
    )
    .with_hint("`vmdeck host doctor NAME` shows where it stops")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(Private {
            hosts: vec!["HV1".into()],
            vms: vec!["payroll".into()],
            members: vec!["notes"],
            ..Private::default()
        })
    }

    const FRAMES: AnswerForm = AnswerForm::Frames { mark: "@@HV1 " };

    #[test]
    fn what_a_frame_carries_is_redacted_and_the_frame_stays_one() {
        let json = r#"{"data":{"systems":[{"name":"payroll","id":"6C09BB55-D683-4DA0-8931-C9BF705F6480","state":2,"notes":"call Bob"}]}}"#;
        let line = format!("@@HV1 0000000000000000 OK {}\r\n", STANDARD.encode(json));
        let text = format!("Welcome to HV1\r\n{line}");
        let stream = stream(text.as_bytes(), FRAMES, &mut redactor());
        let text = String::from_utf8(stream.bytes).unwrap();
        let (banner, frame) = text.split_once("\r\n").unwrap();
        assert_eq!(banner, "Welcome to host-1");
        let payload = frame.trim_end().rsplit(' ').next().unwrap();
        let value: Value = serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap();
        let system = &value["data"]["systems"][0];
        assert_eq!(system["name"], "vm-1");
        assert_eq!(system["id"], "00000000-0000-4000-8000-000000000001");
        assert_eq!(system["state"], 2);
        assert_eq!(system["notes"], "text 1");
        assert!(frame.starts_with("@@HV1 0000000000000000 OK ") && frame.ends_with("\r\n"));
        assert!(!stream.look);
    }

    #[test]
    fn a_line_that_only_looks_like_a_frame_is_text() {
        for line in ["@@HV1 0 OK not-base64!\n", "@@HV1 payroll bm90IGpzb24=\n"] {
            let stream = stream(line.as_bytes(), FRAMES, &mut redactor());
            assert!(!String::from_utf8(stream.bytes).unwrap().contains("payroll"));
        }
    }

    #[test]
    fn bytes_in_another_encoding_are_kept_and_pointed_out() {
        let stream = stream(b"payroll gel\x94scht\n", AnswerForm::Text, &mut redactor());
        assert_eq!(stream.bytes, b"vm-1 gel\x94scht\n");
        assert!(stream.look);
    }
}
