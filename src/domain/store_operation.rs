//! One run of a plan for a pool or a network: where it stands, and how it ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::operation::{Actor, OperationId, Outcome, Phase};
use super::store::StoreState;
use super::store_action::StorePlan;

/// One run of a plan for a pool or a network.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreOperation {
    /// Identity.
    pub id: OperationId,
    /// What is run.
    pub plan: Arc<StorePlan>,
    /// For whom.
    pub actor: Actor,
    /// Where it stands.
    pub phase: Phase,
    /// How it ended; present exactly when `phase` is `Done`.
    pub outcome: Option<Outcome>,
    /// When it was admitted.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The state read back at the end.
    pub state_after: Option<StoreState>,
    /// Whether it was called back before anything was sent.
    pub withdrawn: bool,
}

impl StoreOperation {
    /// Returns true once it has an outcome.
    pub const fn is_finished(&self) -> bool {
        self.outcome.is_some()
    }

    /// Returns how long it took, or has taken until `now`.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.finished_at.unwrap_or(now) - self.started_at).unwrap_or_default()
    }
}
