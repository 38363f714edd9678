//! What the lists of what happened want done, and doing it: reading logs, writing files. With `effect` and
//! `graphics` the only one that talks to the fleet.

use super::event::Answer;
use super::overlay::log::ExportJob;
use crate::domain::audit::AuditPlace;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;

/// Something that a list wants done.
#[derive(Debug)]
pub enum LogEffect {
    /// Read the error log.
    Errors,
    /// Read the command log.
    Commands,
    /// Read some of the audit log: before a place, or before its end, so many records.
    Page(Option<VmRef>, Option<AuditPlace>, usize),
    /// Write a list into a file.
    Export(Box<ExportJob>),
}

/// Does it.
pub(super) async fn ask(handle: &FleetHandle, wanted: LogEffect) -> Answer {
    match wanted {
        LogEffect::Errors => Answer::Errors(handle.errors().await),
        LogEffect::Commands => Answer::Commands(handle.command_log(None).await),
        LogEffect::Page(vm, before, limit) => {
            let page = handle.audit_page(vm.clone(), before, limit).await;
            Answer::AuditPage(vm, before, page)
        }
        LogEffect::Export(job) => {
            let written = tokio::task::spawn_blocking(move || job.write()).await;
            let interrupted = |_| Failure::new(ErrorKind::Internal, "the writing was interrupted");
            Answer::Exported(written.map_err(interrupted).flatten())
        }
    }
}
