//! Plans and operations: exactly what will be run, and how one run of it went.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::error_kind::Failure;
use super::host::HostName;
use super::remote_command::RemoteCommand;
use super::text::RemoteText;
use super::vm::{PowerState, VmRef};

/// Identity of an operation: sortable by time, unique across processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub Arc<str>);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Through which door somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The terminal dashboard.
    Tui,
    /// One scripted command.
    Once,
    /// The REST server.
    Serve,
}

impl Door {
    /// Returns the word of the audit log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tui => "tui",
            Self::Once => "once",
            Self::Serve => "serve",
        }
    }
}

/// Who wants something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// Through which door.
    pub door: Door,
    /// Name of the local account, or of the API user.
    pub user: String,
    /// Id of the API key, never the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Address of the API client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
}

/// Exactly what will be run, and on what condition. Pure data: the same value is shown in the
/// dialog, printed by a dry run, executed and audited.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// The VM.
    pub vm: VmRef,
    /// Its name when the plan was made: a label.
    pub vm_name: RemoteText,
    /// Its host's name.
    pub host_name: HostName,
    /// What is wanted.
    pub action: Action,
    /// The commands, in order.
    pub commands: Vec<RemoteCommand>,
    /// The state the VM was in; a plan is refused when that has changed.
    pub state: PowerState,
    /// What it means for those who use the VM.
    pub consequences: Vec<String>,
}

/// How far a person or script has agreed to a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    /// Not asked.
    Nothing,
    /// Said yes.
    Confirmed,
    /// Typed this name.
    TypedName(String),
}

/// A plan handed in to be run.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Exactly what was shown.
    pub plan: Plan,
    /// Who wants it.
    pub actor: Actor,
    /// How far it was agreed to.
    pub consent: Consent,
    /// How many VMs are acted on together.
    pub count: usize,
    /// Look for the goal at most this long; `None` = the action's own deadline.
    pub deadline: Option<Duration>,
}

/// Where a running operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The intent is being written.
    Queued,
    /// The commands are being sent.
    Sending,
    /// The hypervisor has taken it; the goal is being looked for.
    Verifying,
    /// It is over.
    Done,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// The goal was read back from the host.
    Confirmed,
    /// The hypervisor took it; the goal was not seen in time.
    Accepted {
        /// Why it is not more than that.
        note: String,
    },
    /// Not tried: policy, state, read-only, or no way to record it.
    Refused {
        /// Why.
        cause: Failure,
    },
    /// The hypervisor said no, in its own words.
    Failed {
        /// Why.
        cause: Failure,
    },
    /// It may or may not have happened: the link died, or we were stopped, after sending.
    Unknown {
        /// Why.
        cause: Failure,
    },
}

impl Outcome {
    /// Returns the word of JSON and the audit log.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Returns the reason in words, where there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Confirmed => None,
            Self::Accepted { note } => Some(note),
            Self::Refused { cause } | Self::Failed { cause } | Self::Unknown { cause } => {
                Some(&cause.message)
            }
        }
    }
}

/// How far a hypervisor says that it is, while it is at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How much of it is done, 0 to 100; `None` where it does not say.
    pub percent: Option<u8>,
    /// What it is doing, in its own word.
    pub doing: Option<RemoteText>,
}

impl Progress {
    /// Takes what a hypervisor said. More than everything is everything; an empty word is none.
    pub fn new(percent: Option<u64>, doing: Option<RemoteText>) -> Self {
        let whole = |percent: u64| u8::try_from(percent.min(100)).unwrap_or(100);
        Self {
            percent: percent.map(whole),
            doing: doing.filter(|word| !word.is_empty()),
        }
    }
}

/// One run of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Identity.
    pub id: OperationId,
    /// What is run.
    pub plan: Arc<Plan>,
    /// For whom.
    pub actor: Actor,
    /// Where it stands.
    pub phase: Phase,
    /// How far the hypervisor last said that it was; gone once it has taken it.
    pub progress: Option<Progress>,
    /// How it ended; present exactly when `phase` is `Done`.
    pub outcome: Option<Outcome>,
    /// When it was admitted.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The state read back at the end.
    pub state_after: Option<PowerState>,
    /// Whether it was called back before anything was sent.
    pub withdrawn: bool,
}

impl Operation {
    /// Returns true once it has an outcome.
    pub const fn is_finished(&self) -> bool {
        self.outcome.is_some()
    }

    /// Returns how long it took, or has taken until `now`.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.finished_at.unwrap_or(now) - self.started_at).unwrap_or_default()
    }
}
