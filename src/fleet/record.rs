//! What is written to the audit log, in its words.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::domain::audit::{AuditEntry, AuditPhase};
use crate::domain::definition::{DefineRequest, without_lines};
use crate::domain::error_kind::Failure;
use crate::domain::host::HostSpec;
use crate::domain::host_key::HostKeyQuestion;
use crate::domain::operation::{Actor, OperationId, Outcome, Plan};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::store::StoreState;
use crate::domain::store_action::StorePlan;
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, Vm};

/// Makes the record of an intent: on disk before anything is sent.
pub fn intent(
    id: &OperationId,
    plan: &Plan,
    actor: &Actor,
    rule: &str,
    now: Timestamp,
) -> AuditEntry {
    let details = plan.action.define.as_deref().map(written_by_hand);
    AuditEntry {
        details: details.unwrap_or_default(),
        ..begun(id, rule, about(plan, actor, now))
    }
}

/// Says of a definition that was written by hand how much of it is changed, and what tells the change from others:
/// never the text itself.
fn written_by_hand(request: &DefineRequest) -> String {
    let text = request.diff().text();
    let digest = Sha256::digest(text.as_bytes());
    let hex: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    let summary = request.summary();
    format!(
        "{summary}; difference of {} bytes, sha256 {hex}",
        text.len()
    )
}

/// Makes the record of an intent to reach into a VM. What is run for it, and by which rule, is for whoever
/// reaches to add.
pub fn reach_intent(
    word: &str,
    (host, vm): (&HostSpec, &Vm),
    actor: Actor,
    id: &OperationId,
    now: Timestamp,
) -> AuditEntry {
    AuditEntry {
        phase: AuditPhase::Intent,
        host: Some(host.name.to_string()),
        vm: Some(vm.name.clone()),
        vm_id: Some(vm.id.to_string()),
        client_ip: actor.client_ip.clone(),
        actor: Some(actor),
        state_before: Some(vm.state.to_string()),
        operation: Some(id.to_string()),
        ..note(word, "pending", String::new(), now)
    }
}

/// Makes the record of how that ended.
pub fn reach_outcome(
    intent: AuditEntry,
    (status, details): (&str, String),
    elapsed: Duration,
    now: Timestamp,
) -> AuditEntry {
    AuditEntry {
        timestamp: now.to_string(),
        phase: AuditPhase::Outcome,
        status: status.to_owned(),
        details,
        elapsed_ms: u64::try_from(elapsed.as_millis()).ok(),
        ..intent
    }
}

/// Makes the record of an outcome.
pub fn outcome(
    intent: &AuditEntry,
    outcome: &Outcome,
    state_after: Option<&PowerState>,
    elapsed: Duration,
    now: Timestamp,
) -> AuditEntry {
    let details = without_lines(outcome.reason().unwrap_or_default()).to_owned();
    AuditEntry {
        state_after: state_after.map(PowerState::to_string),
        ..reach_outcome(intent.clone(), (status(outcome), details), elapsed, now)
    }
}

/// Makes the record of a submission that was not admitted.
pub fn refusal(plan: &Plan, actor: &Actor, cause: &Failure, now: Timestamp) -> AuditEntry {
    AuditEntry {
        status: "refused".to_owned(),
        details: cause.message.clone(),
        ..about(plan, actor, now)
    }
}

/// Makes a record of something about the profile itself.
pub fn note(action: &str, status: &str, details: String, now: Timestamp) -> AuditEntry {
    AuditEntry::note(action, status, details, now)
}

/// Makes the record of a change of a host's definition.
pub fn about_host(host: &str, action: &str, details: String, now: Timestamp) -> AuditEntry {
    AuditEntry {
        host: Some(host.to_owned()),
        ..note(action, "ok", details, now)
    }
}

/// Makes the record of a decision about a host key.
pub fn key_decision(
    host: &str,
    question: &HostKeyQuestion,
    accepted: bool,
    now: Timestamp,
) -> AuditEntry {
    let (action, status) = if accepted {
        ("host-key-accepted", "ok")
    } else {
        ("host-key-rejected", "refused")
    };
    let details = format!(
        "{} {} (dialled {})",
        question.label, question.key, question.dialled
    );
    AuditEntry {
        host: Some(host.to_owned()),
        ..note(action, status, details, now)
    }
}

/// Makes the record of an intent about a pool or a network.
pub fn store_intent(
    id: &OperationId,
    plan: &StorePlan,
    actor: &Actor,
    rule: &str,
    now: Timestamp,
) -> AuditEntry {
    begun(id, rule, about_store(plan, actor, now))
}

/// Makes the record of its outcome.
pub fn store_outcome(
    intent: &AuditEntry,
    ended: &Outcome,
    state_after: Option<StoreState>,
    elapsed: Duration,
    now: Timestamp,
) -> AuditEntry {
    AuditEntry {
        state_after: state_after.map(|state| state.word().to_owned()),
        ..outcome(intent, ended, None, elapsed, now)
    }
}

/// Makes the record of one that was not admitted.
pub fn store_refusal(
    plan: &StorePlan,
    actor: &Actor,
    cause: &Failure,
    now: Timestamp,
) -> AuditEntry {
    AuditEntry {
        status: "refused".to_owned(),
        details: cause.message.clone(),
        ..about_store(plan, actor, now)
    }
}

/// Makes an intent of what a plan is about.
fn begun(id: &OperationId, rule: &str, about: AuditEntry) -> AuditEntry {
    AuditEntry {
        phase: AuditPhase::Intent,
        rule: Some(rule.to_owned()),
        operation: Some(id.to_string()),
        ..about
    }
}

fn about_store(plan: &StorePlan, actor: &Actor, now: Timestamp) -> AuditEntry {
    let name = format!("{} {}", plan.target.kind.word(), plan.name.raw());
    let commands = plan.commands.iter();
    AuditEntry {
        phase: AuditPhase::Outcome,
        host: Some(plan.host_name.to_string()),
        store: Some(RemoteText::new(&name)),
        store_id: Some(plan.target.id.to_string()),
        actor: Some(actor.clone()),
        client_ip: actor.client_ip.clone(),
        plan: commands.map(RemoteCommand::shown_line).collect(),
        state_before: plan.state.map(|state| state.word().to_owned()),
        ..note(plan.verb.spec().id, "pending", String::new(), now)
    }
}

/// Returns the word of the log for an outcome.
pub const fn status(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Confirmed => "ok",
        Outcome::Accepted { .. } => "accepted",
        Outcome::Refused { .. } => "refused",
        Outcome::Failed { .. } => "failed",
        Outcome::Unknown { .. } => "unknown",
    }
}

fn about(plan: &Plan, actor: &Actor, now: Timestamp) -> AuditEntry {
    AuditEntry {
        timestamp: now.to_string(),
        phase: AuditPhase::Outcome,
        action: plan.action.kind.id().to_owned(),
        host: Some(plan.host_name.to_string()),
        vm: Some(plan.vm_name.clone()),
        vm_id: Some(plan.vm.vm.to_string()),
        store: None,
        store_id: None,
        actor: Some(actor.clone()),
        client_ip: actor.client_ip.clone(),
        plan: plan
            .commands
            .iter()
            .map(RemoteCommand::shown_line)
            .collect(),
        rule: None,
        state_before: Some(plan.state.to_string()),
        state_after: None,
        status: "pending".to_owned(),
        details: String::new(),
        elapsed_ms: None,
        operation: None,
    }
}
