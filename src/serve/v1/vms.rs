//! VMs: the list, one of them, and acting on them.

use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer};
use super::asking::{Asking, busy};
use super::idempotency;
use super::query::{self, Column, Key, ListQuery, Table};
use super::rows::VmRow;
use super::wire::{Operation, Page, Plan, Verb, Vm, VmDetail};
use crate::domain::action::{Action, ActionKind};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::serve::act::{self, Order, Until};
use crate::serve::error::Problem;
use crate::serve::find::Seen;

/// Longest time to wait for an operation, in seconds.
pub(super) const MAX_WAIT: u32 = 25;

fn table<'a>() -> Table<VmRow<'a>> {
    let column = |id, key| Column { id, key };
    Table {
        name: "vms",
        columns: vec![
            column("name", |row: &VmRow<'a>| Key::text(row.vm.name.raw())),
            column("id", |row| Key::text(row.vm.id.as_str())),
            column("host", |row| Key::text(row.host.spec.name.as_str())),
            column("hypervisor", |row| {
                Key::of(row.kind(), |kind| Key::text(kind.word()))
            }),
            column("state", |row| Key::text(row.vm.state.word())),
            column("cpu_percent", |row| {
                Key::of(row.vm.stats.cpu, |cpu| Key::Figure(cpu.value()))
            }),
            column("vcpus", |row| Key::of(row.vm.stats.vcpus, Key::whole)),
            column("memory_used_bytes", |row| {
                Key::of(row.vm.stats.memory_used, |bytes| Key::whole(bytes.0))
            }),
            column("memory_assigned_bytes", |row| {
                Key::of(row.vm.stats.memory_assigned, |bytes| Key::whole(bytes.0))
            }),
            column("uptime_seconds", |row| {
                Key::of(row.vm.stats.uptime, |time| Key::whole(time.as_secs()))
            }),
            column("snapshots", |row| {
                Key::of(row.vm.facts.snapshots, Key::whole)
            }),
            column("autostart", |row| {
                Key::of(row.vm.facts.autostart, |on| Key::whole(i64::from(on)))
            }),
            column("observed_at", |row| {
                Key::of(row.host.observed_at, Key::time)
            }),
        ],
        identity: |row| format!("{}/{}", row.host.spec.id, row.vm.id),
        is: |row, text| {
            text.split_once('/').is_some_and(|(host, id)| {
                id == row.vm.id.as_str() && host.parse() == Ok(row.host.spec.id.0)
            })
        },
    }
}

/// Lists VMs.
#[utoipa::path(
    get, path = "/v1/vms", tag = "vms", params(ListQuery),
    responses(
        (status = 200, description = "A part of the list", content(
            (Page<Vm> = "application/json"), (String = "application/x-ndjson"))),
        (status = 304, description = "Nothing has changed since `If-None-Match`"),
    )
)]
pub(super) async fn list(
    asking: Asking,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let filter = query::filter(query.filter.as_deref())?;
    query.rows()?;
    let mut shape = asking.shape::<Vm>(&query)?;
    let fleet = asking.fleet().await?;
    let state = asking
        .settled(&fleet, |host| {
            asking.caller.sees(&host.spec) && filter.may_match_on(host)
        })
        .await;
    let now = asking.now();
    // What asks for an age changes by itself.
    let ages = query
        .filter
        .as_ref()
        .is_some_and(|text| text.contains("age"));
    let tag = (!ages).then(|| asking.version(&state, now, shape.lines));
    if let Some(tag) = tag
        .as_ref()
        .filter(|tag| answer::has_it(&asking.headers, tag))
    {
        return Ok(answer::not_modified(tag));
    }
    shape.unread = asking
        .caller
        .hosts(&state)
        .filter(|host| host.spec.enabled && host.inventory.is_none() && filter.may_match_on(host))
        .map(|host| host.spec.name.to_string())
        .collect();
    let rows = VmRow::all(&state, now, |host| asking.caller.sees(&host.spec))
        .filter(|row| filter.matches(&row.for_filter()));
    let part = query::part(&table(), &query, rows)?;
    let response = answer::list(part, &shape, |row| Vm::from(row));
    Ok(match tag {
        Some(tag) => answer::tagged(response, &tag),
        None => response,
    })
}

/// What is asked about one VM.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OneQuery {
    /// Also ask its host for disks, network cards and definition.
    detail: Option<bool>,
}

/// Shows one VM.
#[utoipa::path(
    get, path = "/v1/vms/{host}/{id}", tag = "vms",
    params(
        ("host" = String, Path, description = "Name of the host"),
        ("id" = String, Path, description = "Id of the VM, or its name where that is unique on the host"),
        OneQuery,
    ),
    responses(
        (status = 200, description = "The VM", body = VmDetail),
        (status = 304, description = "Nothing has changed since `If-None-Match`"),
        (status = 409, description = "The name fits more than one VM", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn one(
    asking: Asking,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<OneQuery>, QueryRejection>,
) -> Answer {
    let Path((host, id)) = path?;
    let Query(query) = query?;
    show(asking, &host, &id, query.detail.unwrap_or_default()).await
}

/// Shows one VM of a host that is called `actions`; `verb` is its id or name here.
#[utoipa::path(
    get, path = "/v1/vms/actions/{verb}", tag = "vms",
    params(
        ("verb" = String, Path, description = "Id of the VM, or its name where that is unique on the host"),
        OneQuery,
    ),
    responses(
        (status = 200, description = "The VM", body = VmDetail),
        (status = 304, description = "Nothing has changed since `If-None-Match`"),
    )
)]
pub(super) async fn one_of_actions(
    asking: Asking,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<OneQuery>, QueryRejection>,
) -> Answer {
    let Path(id) = path?;
    let Query(query) = query?;
    show(asking, "actions", &id, query.detail.unwrap_or_default()).await
}

async fn show(asking: Asking, host: &str, id: &str, wanted: bool) -> Answer {
    let fleet = asking.fleet().await?;
    let (state, seen) = asking.vm(&fleet, host, id).await?;
    let now = asking.now();
    let tag = (!wanted).then(|| asking.version(&state, now, false));
    if let Some(tag) = tag
        .as_ref()
        .filter(|tag| answer::has_it(&asking.headers, tag))
    {
        return Ok(answer::not_modified(tag));
    }
    let read = if wanted {
        let _place = asking.wait_for(Some(&seen.host.spec))?;
        Some(fleet.detail(seen.id()).await?)
    } else {
        None
    };
    let row = VmRow {
        host: &seen.host,
        vm: &seen.vm,
        now,
    };
    let running = state.running_operation(&seen.id());
    let running = running.map(|operation| operation.id.to_string());
    let body = VmDetail::of(Vm::from(&row), running, read.as_deref());
    let response = answer::json(StatusCode::OK, &body);
    Ok(match tag {
        Some(tag) => answer::tagged(response, &tag),
        None => response,
    })
}

/// How an action is to be run.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActQuery {
    /// Seconds to wait for its end before answering.
    #[param(minimum = 0, maximum = 25)]
    wait: Option<u32>,
    /// Only show what would be run.
    dry_run: Option<bool>,
}

impl ActQuery {
    /// Returns the seconds to wait.
    pub(super) const fn wait(self) -> Option<u32> {
        self.wait
    }

    /// Returns true when nothing is to be run.
    pub(super) fn is_dry(self) -> bool {
        self.dry_run.unwrap_or_default()
    }
}

/// Reads a time to wait for.
pub(super) fn wait_of(seconds: Option<u32>) -> Result<Duration, Failure> {
    let seconds = seconds.unwrap_or_default();
    if seconds <= MAX_WAIT {
        Ok(Duration::from_secs(seconds.into()))
    } else {
        let message = format!("`wait` is a number of seconds from 0 to {MAX_WAIT}");
        Err(Failure::new(ErrorKind::Usage, message)
            .with_hint("ask again at `GET /v1/operations/{id}?wait=`"))
    }
}

/// Reads the name of an action.
pub(super) fn verb_of(text: &str) -> Result<ActionKind, Failure> {
    let mut plain = ActionKind::plain().map(|spec| spec.kind);
    let found = plain.find(|kind| kind.id() == text);
    found.ok_or_else(|| {
        let verbs: Vec<&str> = ActionKind::plain().map(|spec| spec.id).collect();
        Failure::new(ErrorKind::NotFound, "there is no such action")
            .with_hint(format!("actions are {}", verbs.join(", ")))
    })
}

/// Acts on a VM. The request is the confirmation, and names the VM. With `Idempotency-Key` it is run
/// once, however often it is sent.
#[utoipa::path(
    post, path = "/v1/vms/{host}/{id}/actions/{verb}", tag = "vms",
    params(
        ("host" = String, Path, description = "Name of the host"),
        ("id" = String, Path, description = "Id of the VM, or its name where that is unique on the host"),
        ("verb" = Verb, Path, description = "What to do"),
        ActQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "A word of your own; the same word gets the same answer for a day"),
    ),
    responses(
        (status = 200, description = "It is over, or with `dry_run` what would be run", body = Acted),
        (status = 202, description = "It is under way", body = Operation,
            headers(("Location" = String, description = "Where to follow it"))),
        (status = 422, description = "The `Idempotency-Key` belongs to another request", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn act(
    asking: Asking,
    path: Result<Path<(String, String, String)>, PathRejection>,
    query: Result<Query<ActQuery>, QueryRejection>,
) -> Answer {
    let Path((host, id, verb)) = path?;
    let Query(query) = query?;
    let wait = wait_of(query.wait)?;
    let kind = verb_of(&verb)?;
    let action = move |_: FleetHandle, _: Seen| async move { Ok(Action::new(kind)) };
    carry_out(
        asking,
        (host, id),
        (kind, query.is_dry(), wait),
        b"",
        action,
    )
    .await
}

/// Plans an action on a VM, or runs it once for all requests of one `Idempotency-Key`. `make` says which,
/// once it is known that its kind may be run; it may ask the host.
pub(super) async fn carry_out<F>(
    asking: Asking,
    (host, id): (String, String),
    (kind, dry, wait): (ActionKind, bool, Duration),
    body: &[u8],
    make: impl FnOnce(FleetHandle, Seen) -> F + Send + 'static,
) -> Answer
where
    F: Future<Output = Result<Action, Failure>> + Send + 'static,
{
    let asked = asking.clone();
    if dry {
        let fleet = asked.fleet().await?;
        let (_, seen) = asked.vm(&fleet, &host, &id).await?;
        let vm = seen.id();
        let first = order(vm.clone(), kind.into(), Duration::ZERO);
        act::may(&asked.state, &fleet, &asked.caller, &first).await?;
        let action = make(fleet.clone(), seen).await?;
        let order = order(vm, action, Duration::ZERO);
        let proposal = act::plan(&fleet, &asked.caller, &order).await?;
        let planned = Acted::Planned(Plan::from(&proposal));
        return Ok(answer::json(StatusCode::OK, &planned));
    }
    idempotency::once(&asking, body, move |notes| async move {
        let fleet = asked.fleet().await?;
        let (_, seen) = asked.vm(&fleet, &host, &id).await?;
        let vm = seen.id();
        let first = order(vm.clone(), kind.into(), wait);
        let _place = act::place(&asked.state, &fleet, &asked.caller, &first).map_err(busy)?;
        act::may(&asked.state, &fleet, &asked.caller, &first).await?;
        let order = order(vm, make(fleet.clone(), seen).await?, wait);
        let operation = act::submit(&asked.state, &fleet, &asked.caller, &order).await?;
        notes.started(&operation.to_string()).await;
        // It is under way whatever becomes of us: from here on there is an answer.
        let running = act::wait(&asked.state, &fleet, &operation, Until::Done, wait).await;
        Ok(match running {
            Ok(running) => followed(&running, asked.now()),
            Err(_) => located(
                answer::json(
                    StatusCode::ACCEPTED,
                    &serde_json::json!({"operation": operation.to_string()}),
                ),
                &operation.to_string(),
            ),
        })
    })
    .await
}

/// What came of acting on one VM.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Acted {
    /// The operation.
    Run(Box<Operation>),
    /// With `dry_run`, what would be run.
    Planned(Plan),
}

const fn order(vm: VmRef, action: Action, wait: Duration) -> Order {
    Order {
        vm,
        action,
        count: 1,
        named: true,
        until: Until::Done,
        wait,
    }
}

fn located(mut response: Response, operation: &str) -> Response {
    let location = HeaderValue::from_str(&format!("/v1/operations/{operation}"));
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Answers with an operation: 200 when it is over, 202 with its place when not.
pub(super) fn followed(
    operation: &crate::domain::operation::Operation,
    now: jiff::Timestamp,
) -> Response {
    let body = Box::new(Operation::of(operation, now));
    let place = body.operation.clone();
    let body = Acted::Run(body);
    if operation.is_finished() {
        answer::json(StatusCode::OK, &body)
    } else {
        located(answer::json(StatusCode::ACCEPTED, &body), &place)
    }
}
