//! What becomes of a change of a VM's settings: they are read right before it, and must be as they were shown; its
//! goal is seen in what is read after it. Where it ended half-way, what is read says how far it came.

use std::time::Duration;

use super::define;
use super::operation::Runner;
use super::snapshots::Look;
use super::verify::Watcher;
use crate::domain::edit::{EditRequest, VmSettings};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::operation::{Outcome, Plan};
use crate::domain::vm::VmId;
use crate::session::{HostCommand, SessionHandle};

/// How long the settings are waited for, before a change and after one that failed.
pub(super) const READ_WITHIN: Duration = Duration::from_secs(30);

impl Runner {
    /// Looks once more before something is changed that was read for it, and refuses where it is not as it was shown
    /// any more. What cannot be read is not changed.
    pub(super) async fn still_as_planned(&self, plan: &Plan) -> Result<(), Failure> {
        let (session, vm) = (self.session.clone(), plan.vm.vm.clone());
        let (difference, hint) = if let Some(request) = &plan.action.edit {
            let now = in_time("settings", read(session, vm)).await?;
            let hint = "look at its settings again, then decide";
            (request.difference(&now), hint)
        } else if let Some(request) = &plan.action.define {
            let now = in_time("definition", define::read(session, vm)).await?;
            let hint = "read it again, and make the change in what is there now";
            (request.difference(&now), hint)
        } else {
            return Ok(());
        };
        let Some(difference) = difference else {
            return Ok(());
        };
        let why = format!("{difference}; nothing was changed");
        Err(Failure::new(ErrorKind::Conflict, why).with_hint(hint))
    }

    /// Reads the settings until they are as wanted or time is up.
    pub(super) async fn verify_edit(
        &mut self,
        request: &EditRequest,
        watcher: Watcher,
        after: &mut Option<Watcher>,
    ) -> Outcome {
        let (session, vm) = (self.session.clone(), self.operation.plan.vm.vm.clone());
        let look = Look {
            what: "settings",
            // Some of them are slow facts.
            full: true,
            read: || read(session.clone(), vm.clone()),
            met: |now: &VmSettings| request.is_met_by(now),
        };
        self.verify_by(look, watcher, after).await
    }

    /// Reads the settings after something has failed, and says which of them are changed all the same.
    pub(super) async fn look_at_edit(&self, request: &EditRequest, ended: Outcome) -> Outcome {
        let (cause, is_unknown) = match &ended {
            Outcome::Failed { cause } => (cause, false),
            Outcome::Unknown { cause } => (cause, true),
            Outcome::Confirmed | Outcome::Accepted { .. } | Outcome::Refused { .. } => {
                return ended;
            }
        };
        let reading = read(self.session.clone(), self.operation.plan.vm.vm.clone());
        let Ok(Ok(now)) = tokio::time::timeout(READ_WITHIN, reading).await else {
            return ended;
        };
        drop(self.session.send(HostCommand::Read { full: true }));
        let Some(part) = request.part_done(&now) else {
            return ended;
        };
        let cause = Failure {
            message: format!("{part}: {}", cause.message),
            ..cause.clone()
        };
        if is_unknown {
            Outcome::Unknown { cause }
        } else {
            Outcome::Failed { cause }
        }
    }
}

async fn read(session: SessionHandle, vm: VmId) -> Result<VmSettings, Failure> {
    session
        .ask(|reply| HostCommand::Settings { vm, reply })
        .await
}

/// Waits for what is read before a change.
async fn in_time<T>(
    what: &str,
    reading: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let read = tokio::time::timeout(READ_WITHIN, reading).await;
    read.unwrap_or_else(|_elapsed| {
        let why = format!("its {what} could not be read in time, so nothing was changed");
        Err(Failure::new(ErrorKind::Timeout, why))
    })
}
