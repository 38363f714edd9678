//! Changes of a profile are written down before they are made, like everything else that somebody may want
//! to look up later: what leaves no record is not done.

use super::desk::{Desk, could_not};
use crate::audit::AuditLog;
use crate::domain::audit::AuditEntry;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostName;
use crate::profile::Profile;
use crate::report::Complaint;

/// What happened to what.
#[derive(Debug, Clone, Default)]
pub(super) struct Change<'a> {
    /// Stable id of the note (`host-added`).
    pub(super) action: &'static str,
    /// The host it is about, if any.
    pub(super) host: Option<&'a HostName>,
    /// What, in words. Never a secret.
    pub(super) details: String,
}

/// Writes a change down, makes it, and writes down when that failed.
pub(super) async fn written_down<T>(
    desk: &Desk<'_>,
    profile: &Profile,
    change: Change<'_>,
    making: impl Future<Output = Result<T, Complaint>>,
) -> Result<T, Complaint> {
    let opened = AuditLog::open(&profile.audit_dir(), desk.clock.clone()).await;
    let (log, _) = opened.map_err(could_not("open the audit log"))?;
    let entry = AuditEntry {
        host: change.host.map(ToString::to_string),
        actor: Some(desk.actor.clone()),
        ..AuditEntry::note(change.action, "ok", change.details, desk.clock.now())
    };
    let written = log.append(entry.clone()).await;
    written.map_err(|error| Complaint::from(error.refusal("the change")))?;
    match making.await {
        Ok(made) => Ok(made),
        Err(complaint) => {
            let failed = AuditEntry {
                timestamp: desk.clock.now().to_string(),
                status: "failed".to_owned(),
                details: format!("{}: {}", entry.details, complaint.failure.message),
                ..entry
            };
            if let Err(error) = log.append(failed).await {
                tracing::error!(%error, "could not record that a change failed");
            }
            Err(complaint)
        }
    }
}

/// Writes down in the audit log of a profile what has been done to those who may use it. What takes a right away
/// is never held up by a log that cannot be written; that is told instead.
pub(super) async fn noted(desk: &mut Desk<'_>, profile: &str, change: Change<'_>) {
    let Err(failure) = note(desk, profile, change).await else {
        return;
    };
    desk.note(&format!(
        "this was done, and is not in the audit log of profile {profile}: {}",
        failure.message
    ));
}

async fn note(desk: &Desk<'_>, profile: &str, change: Change<'_>) -> Result<(), Failure> {
    let name = profile
        .parse()
        .map_err(|error| Failure::new(ErrorKind::Usage, format!("`{profile}`: {error}")))?;
    let profile = Profile::open(&desk.root, &name).await;
    let profile = profile.map_err(|error| Failure::of(&error))?;
    let opened = AuditLog::open(&profile.audit_dir(), desk.clock.clone()).await;
    let (log, _) = opened.map_err(|error| Failure::of(&error))?;
    let entry = AuditEntry {
        actor: Some(desk.actor.clone()),
        ..AuditEntry::note(change.action, "ok", change.details, desk.clock.now())
    };
    let written = log.append(entry).await;
    written.map(drop).map_err(|error| Failure::of(&error))
}
