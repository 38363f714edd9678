//! An operation on the wire: the object that a verb of `--once -o json` prints, with where it stands.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::ErrorInfo;
use super::vm::State;
use crate::domain::operation::{self, Outcome as How, Phase as Stand};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Its intent is being written.
    Queued,
    /// The commands are being sent.
    Sending,
    /// The hypervisor has taken it; the goal is being looked for.
    Verifying,
    /// It is over.
    Done,
}

impl From<Stand> for Phase {
    fn from(phase: Stand) -> Self {
        match phase {
            Stand::Queued => Self::Queued,
            Stand::Sending => Self::Sending,
            Stand::Verifying => Self::Verifying,
            Stand::Done => Self::Done,
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The goal was read back from the host.
    Confirmed,
    /// The hypervisor took it; the goal was not seen in time.
    Accepted,
    /// Not tried.
    Refused,
    /// The hypervisor said no.
    Failed,
    /// It may or may not have happened.
    Unknown,
}

impl From<&How> for Outcome {
    fn from(outcome: &How) -> Self {
        match outcome {
            How::Confirmed => Self::Confirmed,
            How::Accepted { .. } => Self::Accepted,
            How::Refused { .. } => Self::Refused,
            How::Failed { .. } => Self::Failed,
            How::Unknown { .. } => Self::Unknown,
        }
    }
}

/// One run of an action on a VM.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the word of `--once`: its id")]
pub(in crate::serve) struct Operation {
    /// Its id; later ones sort later.
    pub(in crate::serve) operation: String,
    /// Name of the host.
    host: String,
    /// Name of the VM when it was planned.
    #[schema(value_type = String)]
    name: RemoteText,
    /// Id of the VM.
    id: String,
    /// What is done.
    action: String,
    /// Where it stands.
    phase: Phase,
    /// How it ended; null while it is under way.
    outcome: Option<Outcome>,
    /// What was seen in its place, where it is only accepted.
    note: Option<String>,
    /// Why it is not confirmed.
    error: Option<ErrorInfo>,
    /// The state it was planned in.
    state_before: State,
    /// The state read back at the end.
    state_after: Option<State>,
    /// When it was admitted.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// How long it took, or has taken so far.
    elapsed_ms: u64,
    /// The commands, secrets redacted.
    commands: Vec<String>,
    /// Through which door it came: `tui`, `once` or `serve`.
    door: String,
    /// Who asked.
    user: String,
}

/// Renders commands as they are shown to people.
pub(super) fn shown(commands: &[RemoteCommand]) -> Vec<String> {
    commands.iter().map(RemoteCommand::shown_line).collect()
}

impl Operation {
    /// Writes an operation as of a moment.
    pub(in crate::serve) fn of(operation: &operation::Operation, now: Timestamp) -> Self {
        let plan = &operation.plan;
        let (note, error) = match &operation.outcome {
            None | Some(How::Confirmed) => (None, None),
            Some(How::Accepted { note }) => (Some(note.clone()), None),
            Some(How::Refused { cause } | How::Failed { cause } | How::Unknown { cause }) => {
                (None, Some(ErrorInfo::from(cause)))
            }
        };
        let elapsed = operation.elapsed(now).as_millis();
        Self {
            operation: operation.id.to_string(),
            host: plan.host_name.to_string(),
            name: plan.vm_name.clone(),
            id: plan.vm.vm.to_string(),
            action: plan.action.kind.id().to_owned(),
            phase: operation.phase.into(),
            outcome: operation.outcome.as_ref().map(Outcome::from),
            note,
            error,
            state_before: State::from(&plan.state),
            state_after: operation.state_after.as_ref().map(State::from),
            started_at: operation.started_at,
            finished_at: operation.finished_at,
            elapsed_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
            commands: shown(&plan.commands),
            door: operation.actor.door.word().to_owned(),
            user: operation.actor.user.clone(),
        }
    }
}
