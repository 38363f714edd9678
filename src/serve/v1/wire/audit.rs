//! A line of the audit log on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::audit::{AuditPhase, AuditRecord};
use crate::domain::text::RemoteText;

/// Which half of an action a line records.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Half {
    /// Before anything is sent.
    Intent,
    /// How it ended.
    Outcome,
    /// Something about the log or the profile itself.
    Note,
}

/// A line of the audit log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct AuditLine {
    /// Counts from 1 without gaps.
    seq: u64,
    /// When (RFC 3339, UTC).
    timestamp: String,
    /// Which half.
    phase: Half,
    /// What.
    action: String,
    /// Name of the host.
    host: Option<String>,
    /// Name of the VM.
    #[schema(value_type = Option<String>)]
    vm: Option<RemoteText>,
    /// Id of the VM.
    vm_id: Option<String>,
    /// Through which door: `tui`, `once` or `serve`.
    door: Option<String>,
    /// Who.
    user: Option<String>,
    /// Id of the API key, never the key.
    key: Option<String>,
    /// Address of the API client.
    client_ip: Option<String>,
    /// The commands, secrets redacted.
    plan: Vec<String>,
    /// The policy rule that allowed or refused it.
    rule: Option<String>,
    /// State when it was planned.
    state_before: Option<String>,
    /// State read back.
    state_after: Option<String>,
    /// `pending`, `ok`, `accepted`, `failed`, `refused` or `unknown`.
    status: String,
    /// Why, in words.
    details: String,
    /// From intent to outcome.
    elapsed_ms: Option<u64>,
    /// Id of the operation: pairs an outcome with its intent.
    operation: Option<String>,
    /// SHA-256 of the previous line.
    prev: String,
}

impl From<&AuditRecord> for AuditLine {
    fn from(record: &AuditRecord) -> Self {
        let entry = &record.entry;
        let actor = entry.actor.as_ref();
        Self {
            seq: record.seq,
            timestamp: entry.timestamp.clone(),
            phase: match entry.phase {
                AuditPhase::Intent => Half::Intent,
                AuditPhase::Outcome => Half::Outcome,
                AuditPhase::Note => Half::Note,
            },
            action: entry.action.clone(),
            host: entry.host.clone(),
            vm: entry.vm.clone(),
            vm_id: entry.vm_id.clone(),
            door: actor.map(|actor| actor.door.word().to_owned()),
            user: actor.map(|actor| actor.user.clone()),
            key: actor.and_then(|actor| actor.key.clone()),
            client_ip: entry.client_ip.clone(),
            plan: entry.plan.clone(),
            rule: entry.rule.clone(),
            state_before: entry.state_before.clone(),
            state_after: entry.state_after.clone(),
            status: entry.status.clone(),
            details: entry.details.clone(),
            elapsed_ms: entry.elapsed_ms,
            operation: entry.operation.clone(),
            prev: record.prev.clone(),
        }
    }
}
