//! `vmdeck audit`: read and verify the record. Reading needs no unlock; with the passphrase at hand the
//! records are also checked against their MACs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::desk::{Desk, Told, could_not, refuse};
use super::passphrase::PassphraseSource;
use super::unlock;
use crate::audit::{self, AuditLog};
use crate::cli::{AuditAcceptCut, AuditTail};
use crate::domain::audit::{AuditEntry, AuditRecord};
use crate::domain::error_kind::{ErrorKind, ExitCode};
use crate::profile::Profile;
use crate::report::Complaint;
use crate::vault::Vault;

/// Between two looks while following.
const LOOK: Duration = Duration::from_millis(500);

/// Records that one look may bring.
const MOST: usize = 10_000;

async fn open(desk: &Desk<'_>, profile: &Profile) -> Result<AuditLog, Complaint> {
    let opened = AuditLog::open(&profile.audit_dir(), desk.clock.clone()).await;
    opened
        .map(|(log, _)| log)
        .map_err(could_not("open the audit log"))
}

/// Prints the last records.
pub async fn tail(desk: &mut Desk<'_>, args: &AuditTail, stop: &CancellationToken) -> Told {
    let profile = desk.open().await?;
    let log = open(desk, &profile).await?;
    let mut seen = 0;
    let mut count = args.count;
    loop {
        let records = log
            .tail(count)
            .await
            .map_err(could_not("read the audit log"))?;
        for record in records.iter().filter(|record| record.seq > seen) {
            print(desk, record, args.json);
        }
        seen = records.last().map_or(seen, |record| record.seq);
        if records.is_empty() && !args.follow {
            desk.note("no records yet");
        }
        if !args.follow {
            return Ok(ExitCode::Done);
        }
        count = MOST;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return Ok(ExitCode::Done),
        }
    }
}

fn print(desk: &mut Desk<'_>, record: &AuditRecord, json: bool) {
    if json {
        desk.say(&crate::json::to_line(record).unwrap_or_default());
        return;
    }
    let entry = &record.entry;
    let vm = entry.subject().map(ToString::to_string).unwrap_or_default();
    let place = match (entry.host.as_deref(), vm.as_str()) {
        (Some(host), "") => host.to_owned(),
        (Some(host), vm) => format!("{host}/{vm}"),
        (None, vm) => vm.to_owned(),
    };
    let who = entry.actor.as_ref().map_or_else(String::new, |actor| {
        format!("{}@{}", actor.user, actor.door.word())
    });
    let phase = match entry.phase {
        crate::domain::audit::AuditPhase::Intent => "intent",
        crate::domain::audit::AuditPhase::Outcome => "outcome",
        crate::domain::audit::AuditPhase::Note => "note",
    };
    let line = format!(
        "{:>6} {:.3} {phase:<7} {:<14} {place:<28} {who:<16} {:<8} {}",
        record.seq, entry.timestamp, entry.action, entry.status, entry.details
    );
    // Details may quote a host; what is printed is the visible form.
    let shown = crate::domain::text::RemoteText::new(line.trim_end());
    desk.say(shown.shown());
}

/// Checks the log; says which line is wrong.
pub async fn verify(desk: &mut Desk<'_>) -> Told {
    let profile = desk.open().await?;
    let vault = Vault::new(None);
    // The log can be checked without the passphrase; a person is not asked just for this.
    if let Some(source) = &desk.passphrase
        && *source != PassphraseSource::Prompt
    {
        unlock::unlock(&profile, &vault, source).await?;
    }
    let head = profile
        .audit_head()
        .await
        .map_err(could_not("read the profile"))?;
    let (dir, key) = (profile.audit_dir(), vault.audit_key());
    let work = move || audit::verify(&dir, key.as_ref(), head.as_ref());
    let checked = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_interrupted| {
            refuse(
                ErrorKind::Internal,
                "the check was interrupted",
                "run it again",
            )
        })?;
    let found = checked.map_err(could_not("check the audit log"))?;
    for finding in &found.findings {
        desk.say(&finding.to_string());
    }
    let authentic = if found.key_at_hand {
        format!(", {} of them by their MAC", found.authentic)
    } else {
        String::new()
    };
    if found.is_sound() {
        desk.say(&format!("in order: {} records{authentic}", found.records));
        return Ok(ExitCode::Done);
    }
    Err(refuse(
        ErrorKind::Store,
        format!(
            "the audit log is not in order: {} findings",
            found.findings.len()
        ),
        "keep a copy of the profile's audit directory before anything else is done with it",
    ))
}

/// Prints every record as it is kept.
pub async fn export(desk: &mut Desk<'_>) -> Told {
    let profile = desk.open().await?;
    let log = open(desk, &profile).await?;
    let all = log
        .tail(usize::MAX)
        .await
        .map_err(could_not("read the audit log"))?;
    for record in &all {
        desk.say(&crate::json::to_line(record).unwrap_or_default());
    }
    Ok(ExitCode::Done)
}

/// Accepts that the end of the log was lost: the loss is written down, and the profile remembers the
/// present end from then on. Nothing else that is wrong with a log can be accepted.
pub async fn accept_cut(desk: &mut Desk<'_>, args: &AuditAcceptCut) -> Told {
    let profile = desk.open().await?;
    let log = open(desk, &profile).await?;
    let remembered = profile
        .audit_head()
        .await
        .map_err(could_not("read the profile"))?;
    let look = could_not("read the audit log");
    let gone = match remembered {
        Some(head) if !log.holds(head.clone()).await.map_err(look)? => head,
        Some(_) | None => {
            desk.say("nothing is missing at the end of the audit log");
            return Ok(ExitCode::Done);
        }
    };
    let last = log.tail(1).await;
    let last = last.map_err(could_not("read the audit log"))?;
    let last = last.last().map_or(0, |record| record.seq);
    desk.say(&format!(
        "record {} is gone, though the profile remembers it; the log now ends with record {last}",
        gone.seq
    ));
    if !args.yes && !desk.agrees("Accept that records were lost, and go on from here?") {
        return Err(refuse(
            ErrorKind::Refused,
            "the loss was not accepted",
            "keep a copy of the profile's audit directory, then add --yes (and --reason TEXT)",
        ));
    }
    let reason = args.reason.as_deref().unwrap_or("no reason was given");
    let entry = AuditEntry {
        actor: Some(desk.actor.clone()),
        ..AuditEntry::note(
            "cut-accepted",
            "ok",
            format!(
                "record {} ({}) is gone, the log ended with record {last}: {reason}",
                gone.seq, gone.hash
            ),
            desk.clock.now(),
        )
    };
    let written = log.append(entry).await;
    written.map_err(|error| Complaint::from(error.refusal("the acceptance")))?;
    let replaced = match log.head() {
        Some(head) => profile.replace_audit_head(gone, head).await,
        None => Ok(false),
    };
    if !replaced.map_err(could_not("write the profile"))? {
        return Err(refuse(
            ErrorKind::Conflict,
            "the profile remembers another end by now",
            "run it again",
        ));
    }
    desk.say("accepted and written down; `vmdeck audit verify` looks at the rest");
    Ok(ExitCode::Done)
}
