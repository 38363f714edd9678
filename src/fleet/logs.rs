//! What the front ends' lists of what happened are made of: the error log is written to, the audit log is
//! read page by page, from its end.

use super::engine::Engine;
use super::request::{LogRequest, Reply};
use crate::audit::PageWish;
use crate::domain::error_kind::Failure;
use crate::domain::event::CommandRecord;
use crate::domain::host::HostId;
use crate::session::CommandLog;
use crate::task::send_or_gone;

impl Engine {
    /// Answers one request, now or later.
    pub(super) fn answer_log(&mut self, request: LogRequest) {
        match request {
            LogRequest::Note { cause, reply } => {
                let now = self.clock().now();
                self.state.note_error(None, cause, now);
                self.publish();
                send_or_gone(reply, Ok(()));
            }
            LogRequest::AuditPage {
                vm,
                before,
                limit,
                reply,
            } => {
                let known = vm.as_ref().and_then(|vm| self.state.host(vm.host));
                let wish = PageWish {
                    before,
                    host: known.map(|host| host.spec.name.to_string()),
                    vm_id: vm.map(|vm| vm.vm.to_string()),
                    limit,
                };
                let audit = self.keeper.audit.clone();
                self.groups.jobs.spawn("audit page", async move {
                    let page = audit.page(wish).await;
                    send_or_gone(reply, page.map_err(|error| Failure::of(&error)));
                });
            }
        }
    }

    /// Returns what was sent to a host lately, or to all; oldest first. There may be many: they are sorted
    /// by somebody else.
    pub(super) fn commands_sent(&self, host: Option<HostId>, reply: Reply<Vec<CommandRecord>>) {
        let logs = self.roster.logs_of(host);
        self.groups.jobs.spawn("command log", async move {
            let mut records: Vec<CommandRecord> =
                logs.iter().flat_map(CommandLog::records).collect();
            records.sort_by_key(|record| record.at);
            send_or_gone(reply, Ok(records));
        });
    }
}
