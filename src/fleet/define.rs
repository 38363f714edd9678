//! What becomes of a definition that was written by hand: it is read right before it is sent, and must be as it was
//! read (`edit`); afterwards it is read again, and what a host keeps in other words than were written is said.

use std::sync::{Mutex, PoisonError};

use super::edit::READ_WITHIN;
use super::operation::Runner;
use super::snapshots::Look;
use super::verify::Watcher;
use crate::domain::definition::{DefineRequest, DefinitionText};
use crate::domain::error_kind::Failure;
use crate::domain::operation::Outcome;
use crate::domain::vm::VmId;
use crate::session::{HostCommand, SessionHandle};

impl Runner {
    /// Reads the definition, and says in which way it is not what was written.
    pub(super) async fn verify_definition(
        &mut self,
        request: &DefineRequest,
        watcher: Watcher,
        after: &mut Option<Watcher>,
    ) -> Outcome {
        let (session, vm) = (self.session.clone(), self.operation.plan.vm.vm.clone());
        let seen = Mutex::new(None);
        let look = Look {
            what: "definition",
            full: true,
            read: || read(session.clone(), vm.clone()),
            // It is there as soon as the host has taken it: whatever is read is what it keeps.
            met: |now: &DefinitionText| {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(now.clone());
                true
            },
        };
        let outcome = self.verify_by(look, watcher, after).await;
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (outcome, seen) {
            (Outcome::Confirmed, Some(now)) => match request.kept_otherwise(&now) {
                None => Outcome::Confirmed,
                Some(note) => Outcome::Accepted { note },
            },
            (outcome, _) => outcome,
        }
    }

    /// Reads the definition after something has failed, and says where it is another one all the same.
    pub(super) async fn look_at_definition(
        &self,
        request: &DefineRequest,
        ended: Outcome,
    ) -> Outcome {
        let Outcome::Unknown { cause } = &ended else {
            // A host that refuses keeps what it has.
            return ended;
        };
        let reading = read(self.session.clone(), self.operation.plan.vm.vm.clone());
        let Ok(Ok(now)) = tokio::time::timeout(READ_WITHIN, reading).await else {
            return ended;
        };
        drop(self.session.send(HostCommand::Read { full: true }));
        let what = match request.kept_otherwise(&now) {
            None => "its definition reads as wanted",
            Some(_) if request.was.is_as(&now) => "its definition reads as it did before",
            Some(_) => return ended,
        };
        let message = format!("{what}: {}", cause.message);
        Outcome::Unknown {
            cause: Failure {
                message,
                ..cause.clone()
            },
        }
    }
}

pub(super) async fn read(session: SessionHandle, vm: VmId) -> Result<DefinitionText, Failure> {
    session
        .ask(|reply| HostCommand::Definition { vm, reply })
        .await
}
