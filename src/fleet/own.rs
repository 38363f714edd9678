//! What programs of the operator's own leave behind: lines of the error log, and records of the audit log.
//! Runs none itself.

use super::engine::Engine;
use super::handle::FleetHandle;
use super::request::{OwnRequest, Reply, Request};
use crate::domain::audit::AuditEntry;
use crate::domain::error_kind::Failure;
use crate::task::send_or_gone;

impl Engine {
    pub(super) fn answer_own(&mut self, request: OwnRequest) {
        match request {
            OwnRequest::Complain { cause, reply } => {
                let now = self.clock().now();
                self.state.note_error(None, cause, now);
                self.publish();
                send_or_gone(reply, Ok(()));
            }
            OwnRequest::Record { entry, reply } => {
                let recording = record(self.keeper.audit.clone(), *entry, reply);
                self.job("own command", recording);
            }
        }
    }
}

async fn record(audit: crate::audit::AuditLog, entry: AuditEntry, reply: Reply<()>) {
    let kept = audit.append(entry).await;
    let kept = kept.map(drop).map_err(|error| Failure::of(&error));
    send_or_gone(reply, kept);
}

impl FleetHandle {
    /// Puts the failure of something beside the fleet into the error log. One that repeats the last is one
    /// line.
    pub async fn complain(&self, cause: Failure) -> Result<(), Failure> {
        self.ask(|reply| Request::Own(OwnRequest::Complain { cause, reply }))
            .await
    }

    /// Writes what was run beside the fleet to the audit log; returns when it is on disk.
    pub async fn record_own(&self, entry: AuditEntry) -> Result<(), Failure> {
        let entry = Box::new(entry);
        self.ask(|reply| Request::Own(OwnRequest::Record { entry, reply }))
            .await
    }
}
