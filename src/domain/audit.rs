//! The audit record, version 1: data only. No field can hold a `Secret`: that type cannot be serialised.
//!
//! The six members `timestamp action vm client_ip status details` keep the names and meanings that
//! scripts written for the older single-host tool read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::operation::Actor;
use super::secret::Secret;
use super::text::RemoteText;

/// Version written into every line.
pub const AUDIT_VERSION: u32 = 1;

/// Which half of an action a line records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditPhase {
    /// Before anything is sent.
    Intent,
    /// How it ended.
    Outcome,
    /// Something about the log or the profile itself (recovery, unlock failures, key decisions).
    Note,
}

/// What a caller wants recorded; the log adds version, sequence, chain and MAC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When (RFC 3339, UTC).
    pub timestamp: String,
    /// Which half.
    pub phase: AuditPhase,
    /// Stable id of the action (`force-off`), or of the note (`recovered`).
    pub action: String,
    /// Name of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Name of the VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<RemoteText>,
    /// Id of the VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_id: Option<String>,
    /// Name of the pool or network, where it is about one: `pool images`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<RemoteText>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// Address of the API client, or null.
    pub client_ip: Option<String>,
    /// The commands, redacted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<String>,
    /// The policy rule that allowed or refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// State when it was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_before: Option<String>,
    /// State read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_after: Option<String>,
    /// `ok`, `failed`, `refused`, `unknown`, `accepted`; `pending` on an intent.
    pub status: String,
    /// Why, in words.
    pub details: String,
    /// From intent to outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// Id of the operation: pairs an outcome with its intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

impl AuditEntry {
    /// Returns the name of what it is about on its host: a VM, a pool, a network.
    pub fn subject(&self) -> Option<&RemoteText> {
        self.vm.as_ref().or(self.store.as_ref())
    }

    /// Makes a record of something about the log or the profile itself.
    pub fn note(action: &str, status: &str, details: String, now: Timestamp) -> Self {
        Self {
            timestamp: now.to_string(),
            phase: AuditPhase::Note,
            action: action.to_owned(),
            host: None,
            vm: None,
            vm_id: None,
            store: None,
            store_id: None,
            actor: None,
            client_ip: None,
            plan: Vec::new(),
            rule: None,
            state_before: None,
            state_after: None,
            status: status.to_owned(),
            details,
            elapsed_ms: None,
            operation: None,
        }
    }
}

/// One line of the log as read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Format version.
    pub v: u32,
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// SHA-256 (hex) of the previous line, without its line feed; 64 zeros on the first.
    pub prev: String,
    /// What was recorded.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// HMAC-SHA256 (hex) over `prev` and the line without this member, where a key was at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// A place in the log, at the beginning of a record: what is before it is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuditPlace {
    /// Number of the segment.
    pub segment: u32,
    /// Byte offset in it.
    pub offset: u64,
}

/// Some records of the log, one after the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditPage {
    /// The records, oldest first. There may be none and still be older ones.
    pub records: Vec<AuditRecord>,
    /// Where the older ones are; `None` = there are none.
    pub before: Option<AuditPlace>,
}

/// The end of the log as it was at one moment: mirrored in the profile, so that a cut end is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AuditHead {
    /// Sequence number of the last line.
    pub seq: u64,
    /// SHA-256 (hex) of the last line, without its line feed.
    pub hash: String,
}

/// The key of the log's MAC: derived from the profile's identity, so there only while it is unlocked.
#[derive(Debug, Clone)]
pub struct AuditKey(Secret<[u8; 32]>);

impl AuditKey {
    /// Takes the key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Lends the key. Only the audit log has a use for it.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}
