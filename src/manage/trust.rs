//! `vmdeck host trust`: dial a host, show its key, and pin it once a person has agreed. Jump hosts on the
//! way are asked about one after the other.

use std::time::Duration;

use super::desk::{Desk, Told, refuse};
use crate::cli::HostTrust;
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::health::HostHealth;
use crate::domain::host::HostId;
use crate::domain::host_key::{HostKeyQuestion, HostKeyVerdict};
use crate::fleet::FleetHandle;
use crate::fleet::request::{HostSelection, KeyDecision};
use crate::report::Complaint;

/// How long a host may take to show its key, or to answer afterwards.
const PATIENCE: Duration = Duration::from_secs(45);

/// Keys that one command may ask about: the host and the stops on the way.
const MOST_KEYS: usize = 9;

/// Where dialling has come to.
enum Stage {
    Asks(HostKeyQuestion),
    Answers,
    Fails(Failure),
}

/// Shows and pins the keys of one host.
pub async fn run(desk: &mut Desk<'_>, handle: &FleetHandle, args: &HostTrust) -> Told {
    let fleet = handle.snapshot();
    let Some(host) = fleet.hosts.iter().find(|host| host.spec.name == args.name) else {
        return Err(refuse(
            ErrorKind::NotFound,
            format!("there is no host `{}`", args.name),
            "`vmdeck host list` shows the hosts",
        ));
    };
    let id = host.spec.id;
    let selection = HostSelection::Only(vec![id]);
    handle.connect(selection).await.map_err(Complaint::from)?;
    let mut pinned = Vec::new();
    for _ in 0..MOST_KEYS {
        match stage(handle, id, &pinned).await {
            Stage::Asks(question) => {
                accept(desk, handle, id, args, &question).await?;
                pinned.push(question);
            }
            Stage::Answers => {
                if pinned.is_empty() {
                    desk.say(&format!("the key of {} is known already", args.name));
                }
                desk.say(&format!("{} answers", args.name));
                return Ok(ExitCode::Done);
            }
            Stage::Fails(failure) if pinned.is_empty() && !is_past_the_key(&failure) => {
                return Err(Complaint::from(failure).on(&args.name));
            }
            Stage::Fails(failure) => {
                desk.note(&format!(
                    "its key is known; {} still does not answer:",
                    args.name
                ));
                let text = Complaint::from(failure).on(&args.name).to_text();
                desk.note(text.trim_end());
                return Ok(ExitCode::Done);
            }
        }
    }
    let message = format!("{} asks for more keys than it can have stops", args.name);
    Err(refuse(
        ErrorKind::Protocol,
        message,
        "check its jump hosts with `vmdeck host show`",
    ))
}

/// A login that was refused came after the key was found good.
fn is_past_the_key(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        ErrorKind::Auth | ErrorKind::Permission | ErrorKind::Protocol
    )
}

async fn stage(handle: &FleetHandle, id: HostId, pinned: &[HostKeyQuestion]) -> Stage {
    let mut found = None;
    let wait = handle.wait_until(|fleet| {
        found = fleet.host(id).and_then(|host| match &host.health {
            HostHealth::Online | HostHealth::Degraded { .. } => Some(Stage::Answers),
            HostHealth::NeedsOperator {
                question: Some(question),
                ..
            } if !pinned.contains(question) => Some(Stage::Asks((**question).clone())),
            HostHealth::NeedsOperator {
                cause,
                question: None,
            }
            | HostHealth::Offline { cause, .. } => Some(Stage::Fails(cause.clone())),
            HostHealth::NeedsOperator { .. }
            | HostHealth::Disabled
            | HostHealth::Connecting { .. } => None,
        });
        found.is_some()
    });
    let in_time = tokio::time::timeout(PATIENCE, wait).await.is_ok();
    match found {
        Some(stage) if in_time => stage,
        _ => Stage::Fails(Failure::new(ErrorKind::Timeout, "it does not answer")),
    }
}

async fn accept(
    desk: &mut Desk<'_>,
    handle: &FleetHandle,
    id: HostId,
    args: &HostTrust,
    question: &HostKeyQuestion,
) -> Result<(), Complaint> {
    desk.say(&format!("{} shows {}", question.label, question.key));
    match &question.verdict {
        HostKeyVerdict::Changed { known } => {
            for at in known {
                desk.say(&format!("  but {} knows {}", at.source, at.key));
            }
            if !args.replace {
                return Err(refuse(
                    ErrorKind::HostKey,
                    format!(
                        "the host key of {} has changed; nothing was pinned",
                        question.label
                    ),
                    "if the host was set up anew, compare the fingerprint there and add --replace",
                ));
            }
        }
        HostKeyVerdict::Revoked { at } => {
            return Err(refuse(
                ErrorKind::HostKey,
                format!("this key is marked as revoked in {}", at.source),
                "do not log in; ask who revoked it",
            ));
        }
        HostKeyVerdict::Known | HostKeyVerdict::Unknown => {}
    }
    let agreed = match &args.fingerprint {
        Some(wanted) if *wanted == question.key.fingerprint => true,
        Some(wanted) => {
            return Err(refuse(
                ErrorKind::HostKey,
                format!("this is not {wanted}; nothing was pinned"),
                "check the fingerprint on the host's own console",
            ));
        }
        None => args.yes || desk.agrees("Is this the host's own fingerprint?"),
    };
    if !agreed {
        return Err(refuse(
            ErrorKind::HostKey,
            "the key was not accepted; nothing was pinned",
            "add --fingerprint SHA256:... after comparing it, or answer y in a terminal",
        ));
    }
    let decision = match question.verdict {
        HostKeyVerdict::Changed { .. } => KeyDecision::Replace,
        HostKeyVerdict::Known | HostKeyVerdict::Unknown | HostKeyVerdict::Revoked { .. } => {
            KeyDecision::Accept
        }
    };
    let mut answer = handle.answer_host_key(id, question.clone(), decision).await;
    // Comparing fingerprints may take longer than a question waits: it is asked anew, and what was agreed to
    // holds for the very same key.
    if matches!(&answer, Err(cause) if cause.kind == ErrorKind::Conflict)
        && is_asked_again(handle, id, question).await?
    {
        answer = handle.answer_host_key(id, question.clone(), decision).await;
    }
    answer.map_err(Complaint::from)?;
    desk.say(&format!("pinned for {}", question.label));
    Ok(())
}

/// Tries the host once more; returns whether it asks about the same key again.
async fn is_asked_again(
    handle: &FleetHandle,
    id: HostId,
    question: &HostKeyQuestion,
) -> Result<bool, Complaint> {
    let selection = HostSelection::Only(vec![id]);
    handle.refresh(selection).await.map_err(Complaint::from)?;
    let asked = handle.wait_until(|fleet| {
        fleet.host(id).is_some_and(|host| match &host.health {
            HostHealth::NeedsOperator {
                question: Some(asked),
                ..
            } => asked.label == question.label && asked.key == question.key,
            HostHealth::NeedsOperator { question: None, .. }
            | HostHealth::Disabled
            | HostHealth::Connecting { .. }
            | HostHealth::Online
            | HostHealth::Degraded { .. }
            | HostHealth::Offline { .. } => false,
        })
    });
    Ok(matches!(
        tokio::time::timeout(PATIENCE, asked).await,
        Ok(Some(_))
    ))
}
