//! Operations: what is under way and what has lately ended. Older ones are in the audit.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{self, Answer, Refusal};
use super::asking::Asking;
use super::query::{self, Column, Key, ListQuery, Table, Terms};
use super::vms::wait_of;
use super::wire::{Operation as Wire, Page};
use crate::accounts::Permission;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::{Operation, OperationId, Phase};
use crate::serve::act::{self, Until};
use crate::serve::caller::Caller;

/// Members that a filter can name.
const MEMBERS: &[&str] = &[
    "operation",
    "host",
    "name",
    "id",
    "action",
    "phase",
    "outcome",
    "door",
    "user",
];

type Row = (Arc<Operation>, Timestamp);

fn phase(operation: &Operation) -> &'static str {
    match operation.phase {
        Phase::Queued => "queued",
        Phase::Sending => "sending",
        Phase::Verifying => "verifying",
        Phase::Done => "done",
    }
}

fn member(operation: &Operation, name: &str) -> String {
    let plan = &operation.plan;
    match name {
        "operation" => operation.id.to_string(),
        "host" => plan.host_name.to_string(),
        "name" => plan.vm_name.raw().to_owned(),
        "id" => plan.vm.vm.to_string(),
        "action" => plan.action.kind.id().to_owned(),
        "phase" => phase(operation).to_owned(),
        "outcome" => operation
            .outcome
            .as_ref()
            .map_or("", |outcome| outcome.word())
            .to_owned(),
        "door" => operation.actor.door.word().to_owned(),
        _ => operation.actor.user.clone(),
    }
}

fn table() -> Table<Row> {
    let column = |id, key| Column { id, key };
    Table {
        name: "operations",
        columns: vec![
            column("operation", |row: &Row| Key::text(&row.0.id.0)),
            column("host", |row| Key::text(row.0.plan.host_name.as_str())),
            column("name", |row| Key::text(row.0.plan.vm_name.raw())),
            column("action", |row| Key::text(row.0.plan.action.kind.id())),
            column("phase", |row| Key::text(phase(&row.0))),
            column("outcome", |row| {
                Key::of(row.0.outcome.as_ref(), |outcome| Key::text(outcome.word()))
            }),
            column("started_at", |row| Key::time(row.0.started_at)),
            column("finished_at", |row| Key::of(row.0.finished_at, Key::time)),
            column("elapsed_ms", |row| {
                let elapsed = row.0.elapsed(row.1).as_millis();
                Key::whole(elapsed)
            }),
        ],
        identity: |row| row.0.id.to_string(),
        is: |row, text| *row.0.id.0 == *text,
    }
}

/// Says whether the caller may know of an operation: of one on a host that is gone, only who sees all.
fn sees(caller: &Caller, state: &FleetSnapshot, operation: &Operation) -> bool {
    state
        .host(operation.plan.vm.host)
        .map_or(!caller.scopes.is_narrowed(), |host| caller.sees(&host.spec))
}

/// Lists operations, the newest first.
#[utoipa::path(
    get, path = "/v1/operations", tag = "operations", params(ListQuery),
    responses(
        (status = 200, description = "A part of the list", content(
            (Page<Wire> = "application/json"), (String = "application/x-ndjson"))),
        (status = 304, description = "Nothing has changed since `If-None-Match`"),
    )
)]
pub(super) async fn list(
    asking: Asking,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let terms = Terms::parse(query.filter.as_deref(), MEMBERS)?;
    let shape = asking.shape::<Wire>(&query)?;
    let state = asking.fleet().await?.snapshot();
    let now = asking.now();
    // How long something under way has taken changes by itself.
    let running = state
        .operations
        .iter()
        .any(|operation| !operation.is_finished());
    let tag = (!running).then(|| asking.version(&state, now, shape.lines));
    let rows = state
        .operations
        .iter()
        .rev()
        .filter(|operation| sees(&asking.caller, &state, operation))
        .filter(|operation| terms.fit(MEMBERS, |name| member(operation, name)))
        .map(|operation| (Arc::clone(operation), now));
    let part = query::part(&table(), &query, rows)?;
    if let Some(tag) = tag
        .as_ref()
        .filter(|tag| answer::has_it(&asking.headers, tag))
    {
        return Ok(answer::not_modified(tag));
    }
    let response = answer::list(part, &shape, |(operation, now)| Wire::of(operation, *now));
    Ok(match tag {
        Some(tag) => answer::tagged(response, &tag),
        None => response,
    })
}

fn find(asking: &Asking, state: &FleetSnapshot, id: &str) -> Result<Arc<Operation>, Refusal> {
    let found = state
        .operations
        .iter()
        .find(|operation| *operation.id.0 == *id);
    found
        .filter(|operation| sees(&asking.caller, state, operation))
        .map(Arc::clone)
        .ok_or_else(|| {
            Failure::new(ErrorKind::NotFound, "there is no such operation")
                .with_hint("older ones are in the audit log")
                .into()
        })
}

/// What is asked about one operation.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// Seconds to wait for its end before answering.
    #[param(minimum = 0, maximum = 25)]
    wait: Option<u32>,
}

/// Shows one operation; with `wait`, as soon as it is over.
#[utoipa::path(
    get, path = "/v1/operations/{id}", tag = "operations",
    params(("id" = String, Path, description = "Id of the operation"), WaitQuery),
    responses((status = 200, description = "The operation", body = Wire))
)]
pub(super) async fn one(
    asking: Asking,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<WaitQuery>, QueryRejection>,
) -> Answer {
    let Path(id) = path?;
    let Query(query) = query?;
    let wait = wait_of(query.wait)?;
    let fleet = asking.fleet().await?;
    let mut found = find(&asking, &fleet.snapshot(), &id)?;
    if !found.is_finished() && !wait.is_zero() {
        let snapshot = fleet.snapshot();
        let host = snapshot.host(found.plan.vm.host).map(|host| &*host.spec);
        let _place = asking.wait_for(host)?;
        found = act::wait(&asking.state, &fleet, &found.id, Until::Done, wait).await?;
    }
    Ok(answer::json(
        StatusCode::OK,
        &Wire::of(&found, asking.now()),
    ))
}

/// Stops waiting for the goal of an operation; what was sent to the host stays sent.
#[utoipa::path(
    post, path = "/v1/operations/{id}/cancel", tag = "operations",
    params(("id" = String, Path, description = "Id of the operation")),
    responses((status = 200, description = "The operation", body = Wire))
)]
pub(super) async fn cancel(asking: Asking, path: Result<Path<String>, PathRejection>) -> Answer {
    let Path(id) = path?;
    let fleet = asking.fleet().await?;
    let found = find(&asking, &fleet.snapshot(), &id)?;
    asking.caller.may(Permission::Act(found.plan.action.kind))?;
    let id: OperationId = found.id.clone();
    if !found.is_finished() {
        // It may have ended meanwhile; then its outcome stands.
        drop(fleet.cancel(id.clone()).await);
    }
    let wait = std::time::Duration::from_secs(5);
    let ended = act::wait(&asking.state, &fleet, &id, Until::Done, wait).await?;
    Ok(answer::json(
        StatusCode::OK,
        &Wire::of(&ended, asking.now()),
    ))
}
