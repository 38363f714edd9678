//! The audit log, the newest lines first.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

use super::answer::{self, Answer};
use super::asking::Asking;
use super::query::{self, Column, Key, ListQuery, Table, Terms};
use super::wire::{AuditLine, Page};
use crate::accounts::Permission;
use crate::domain::audit::{AuditPhase, AuditRecord};

/// Lines that are looked at.
const LOOKED_AT: usize = 2000;

/// Members that a filter can name.
const MEMBERS: &[&str] = &[
    "action",
    "host",
    "vm",
    "vm_id",
    "phase",
    "status",
    "door",
    "user",
    "key",
    "client_ip",
    "operation",
];

fn member(record: &AuditRecord, name: &str) -> String {
    let entry = &record.entry;
    let actor = entry.actor.as_ref();
    let text = match name {
        "action" => Some(entry.action.as_str()),
        "host" => entry.host.as_deref(),
        "vm" => entry.vm.as_ref().map(crate::domain::text::RemoteText::raw),
        "vm_id" => entry.vm_id.as_deref(),
        "phase" => Some(match entry.phase {
            AuditPhase::Intent => "intent",
            AuditPhase::Outcome => "outcome",
            AuditPhase::Note => "note",
        }),
        "status" => Some(entry.status.as_str()),
        "door" => actor.map(|actor| actor.door.word()),
        "user" => actor.map(|actor| actor.user.as_str()),
        "key" => actor.and_then(|actor| actor.key.as_deref()),
        "client_ip" => entry.client_ip.as_deref(),
        _ => entry.operation.as_deref(),
    };
    text.unwrap_or_default().to_owned()
}

fn table() -> Table<AuditRecord> {
    let column = |id, key| Column { id, key };
    Table {
        name: "audit",
        columns: vec![
            column("seq", |record: &AuditRecord| Key::whole(record.seq)),
            column("action", |record| Key::text(&record.entry.action)),
            column("host", |record| {
                Key::of(record.entry.host.as_deref(), Key::text)
            }),
            column("status", |record| Key::text(&record.entry.status)),
            column("elapsed_ms", |record| {
                Key::of(record.entry.elapsed_ms, Key::whole)
            }),
        ],
        identity: |record| record.seq.to_string(),
        is: |record, text| text.parse() == Ok(record.seq),
    }
}

/// Lists the last 2,000 lines of the audit log, the newest first.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", params(ListQuery),
    responses(
        (status = 200, description = "A part of the list", content(
            (Page<AuditLine> = "application/json"), (String = "application/x-ndjson"))),
        (status = 304, description = "Nothing has been written since `If-None-Match`"),
    )
)]
pub(super) async fn list(
    asking: Asking,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    asking.caller.may(Permission::Audit)?;
    let terms = Terms::parse(query.filter.as_deref(), MEMBERS)?;
    let shape = asking.shape::<AuditLine>(&query)?;
    query.rows()?;
    let fleet = asking.fleet().await?;
    let records = fleet.audit_tail(LOOKED_AT, None).await?;
    let last = records.last().map_or(0, |record| record.seq);
    let tag = answer::tag(&[
        b"audit",
        asking.caller.profile.as_bytes(),
        asking.caller.key_id.as_bytes(),
        &last.to_le_bytes(),
        &[u8::from(shape.lines)],
    ]);
    if answer::has_it(&asking.headers, &tag) {
        return Ok(answer::not_modified(&tag));
    }
    let rows = records
        .into_iter()
        .rev()
        .filter(|record| terms.fit(MEMBERS, |name| member(record, name)));
    let part = query::part(&table(), &query, rows)?;
    Ok(answer::tagged(
        answer::list(part, &shape, |record| AuditLine::from(record)),
        &tag,
    ))
}
