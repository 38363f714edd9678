//! Notes in the audit log of a caller's profile about what is no action on a VM. Each is written before the
//! change it tells of; a change that then fails leaves a second one. This decides nothing about who may.

use super::caller::Caller;
use super::state::ServeState;
use crate::domain::error_kind::Failure;

/// A change as a note tells of it.
#[derive(Debug, Clone)]
pub(super) struct Change<'a> {
    /// Its word.
    pub(super) action: &'static str,
    /// What it is about; may be empty.
    pub(super) about: &'a str,
}

impl Change<'_> {
    /// Writes that it is going to be made; what cannot be recorded is not to be done.
    pub(super) async fn begins(&self, state: &ServeState, caller: &Caller) -> Result<(), Failure> {
        self.write(state, caller, ("ok", self.about.to_owned()))
            .await
    }

    /// Writes that it was not made after all. Where this cannot be written the log of the server says so:
    /// the caller is told of the first failure either way.
    pub(super) async fn failed(&self, state: &ServeState, caller: &Caller, failure: &Failure) {
        let action = self.action;
        let details = match self.about {
            "" => failure.message.clone(),
            about => format!("{about}: {}", failure.message),
        };
        if let Err(unwritten) = self.write(state, caller, ("failed", details)).await {
            tracing::warn!(%unwritten, action, %failure, "the end of a change could not be put into the audit log");
        }
    }

    async fn write(
        &self,
        state: &ServeState,
        caller: &Caller,
        (status, details): (&str, String),
    ) -> Result<(), Failure> {
        let entry = caller.note(self.action, status, details, state.clock.now());
        state.tenants.fleets().note(&caller.profile, entry).await
    }
}
