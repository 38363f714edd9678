//! Hosts: the list, one of them, and what is defined about them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;

use super::answer::{self, Answer, Refusal};
use super::asking::{Asking, Managing, Seeing};
use super::dial;
use super::query::{self, Column, Key, ListQuery, Table};
use super::rows::HostRow;
use super::wire::{Finding, Host, HostChange, HostInput, HostKeyAnswer, Page, open_question};
use crate::accounts::Permission;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{HostSpec, LoginMethod};
use crate::domain::host_key::HostKeyVerdict;
use crate::domain::inventory::HostSnapshot;
use crate::fleet::FleetHandle;
use crate::fleet::request::{HostSelection, KeyDecision};
use crate::serve::error::Problem;

fn table<'a>() -> Table<HostRow<'a>> {
    let column = |id, key| Column { id, key };
    Table {
        name: "hosts",
        columns: vec![
            column("name", |row: &HostRow<'a>| {
                Key::text(row.host.spec.name.as_str())
            }),
            column("state", |row| Key::text(row.host.health.word())),
            column("since", |row| Key::time(row.host.since)),
            column("address", |row| {
                Key::text(&row.host.spec.endpoint.to_string())
            }),
            column("hypervisor", |row| {
                Key::of(row.kind(), |kind| Key::text(kind.word()))
            }),
            column("vms", |row| {
                let count = row.host.inventory.as_ref().map(|known| known.vms.len());
                Key::of(count, Key::whole)
            }),
            column("cpu_percent", |row| {
                let cpu = row.host.inventory.as_ref().and_then(|known| known.load.cpu);
                Key::of(cpu, |cpu| Key::Figure(cpu.value()))
            }),
            column("memory_used_bytes", |row| {
                let used = row.host.inventory.as_ref();
                let used = used.and_then(|known| known.load.memory_used);
                Key::of(used, |bytes| Key::whole(bytes.0))
            }),
            column("latency_ms", |row| {
                Key::of(row.host.latency, |time| Key::whole(time.as_millis()))
            }),
            column("tier", |row| {
                Key::of(row.host.spec.tier.as_ref(), |tier| Key::text(tier.as_str()))
            }),
            column("observed_at", |row| {
                Key::of(row.host.observed_at, Key::time)
            }),
        ],
        identity: |row| row.host.spec.id.to_string(),
        is: |row, text| text.parse() == Ok(row.host.spec.id.0),
    }
}

/// Lists hosts: with a filter, those that could have such a VM.
#[utoipa::path(
    get, path = "/v1/hosts", tag = "hosts", params(ListQuery),
    responses(
        (status = 200, description = "A part of the list", content(
            (Page<Host> = "application/json"), (String = "application/x-ndjson"))),
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
    let shape = asking.shape::<Host>(&query)?;
    let state = asking.fleet().await?.snapshot();
    let now = asking.now();
    let tag = asking.version(&state, now, shape.lines);
    if answer::has_it(&asking.headers, &tag) {
        return Ok(answer::not_modified(&tag));
    }
    let rows = asking
        .caller
        .hosts(&state)
        .filter(|host| filter.may_match_on(host))
        .map(|host| HostRow { host, now });
    let part = query::part(&table(), &query, rows)?;
    let response = answer::list(part, &shape, |row| Host::from(row));
    Ok(answer::tagged(response, &tag))
}

/// Shows one host.
#[utoipa::path(
    get, path = "/v1/hosts/{name}", tag = "hosts",
    params(("name" = String, Path, description = "Name of the host")),
    responses((status = 200, description = "The host", body = Host))
)]
pub(super) async fn one(Seeing { asking, host, .. }: Seeing) -> Answer {
    Ok(shown(&asking, StatusCode::OK, &host))
}

fn shown(asking: &Asking, status: StatusCode, host: &HostSnapshot) -> axum::response::Response {
    let row = HostRow {
        host,
        now: asking.now(),
    };
    answer::json(status, &Host::from(&row))
}

/// Adds a host. It is logged in to with a sealed credential, and dialled at once.
#[utoipa::path(
    post, path = "/v1/hosts", tag = "hosts", request_body = HostInput,
    responses(
        (status = 201, description = "The host", body = Host,
        headers(("Location" = String, description = "Where it is shown"))),
        (status = 422, description = "The server does not connect to this address", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(asking: Asking, body: Result<Bytes, BytesRejection>) -> Answer {
    asking.caller.may(Permission::Manage)?;
    let input: HostInput = answer::read(&asking.headers, &body?)?;
    let spec = input.into_spec()?;
    if !matches!(spec.login, LoginMethod::Credential(_)) {
        let failure = Failure::new(ErrorKind::Usage, "`credential` is missing")
            .with_hint("`PUT /v1/credentials/{name}` seals one");
        return Err(failure.into());
    }
    let fleet = asking.fleet().await?;
    if is_taken(&fleet, &spec) {
        let message = "there is a host of this name already";
        return Err(Failure::new(ErrorKind::Conflict, message).into());
    }
    let there = fleet.snapshot().hosts.len();
    asking.state.limits.one_more_host(there)?;
    dial::allowed(&asking, &spec).await?;
    let host = save(&fleet, spec).await?;
    let mut response = shown(&asking, StatusCode::CREATED, &host);
    let location = format!("/v1/hosts/{}", encoded(host.spec.name.as_str()));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn is_taken(fleet: &FleetHandle, spec: &HostSpec) -> bool {
    let state = fleet.snapshot();
    let mut others = state.hosts.iter().filter(|host| host.spec.id != spec.id);
    others.any(|host| host.spec.name == spec.name)
}

/// Writes text as a segment of a path.
fn encoded(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push('%');
            for half in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
                path.push(digit.to_ascii_uppercase());
            }
        }
    }
    path
}

/// Changes a host: members that are absent stay, null clears.
#[utoipa::path(
    patch, path = "/v1/hosts/{name}", tag = "hosts",
    params(("name" = String, Path, description = "Name of the host")),
    request_body = HostChange,
    responses(
        (status = 200, description = "The host", body = Host),
        (status = 422, description = "The server does not connect to this address", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn change(
    Managing {
        asking,
        fleet,
        host,
    }: Managing,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let change: HostChange = answer::read(&asking.headers, &body?)?;
    let mut spec = HostSpec::clone(&host.spec);
    let moves = change.moves();
    change.apply(&mut spec)?;
    if is_taken(&fleet, &spec) {
        let message = "there is a host of this name already";
        return Err(Failure::new(ErrorKind::Conflict, message).into());
    }
    if moves {
        dial::allowed(&asking, &spec).await?;
    }
    let host = save(&fleet, spec).await?;
    Ok(shown(&asking, StatusCode::OK, &host))
}

async fn save(fleet: &FleetHandle, spec: HostSpec) -> Result<Arc<HostSnapshot>, Refusal> {
    if let LoginMethod::Credential(wanted) = &spec.login {
        let known = fleet.credentials().await?;
        if !known.iter().any(|known| known.name == *wanted) {
            let message = format!("`credential`: there is no credential {wanted}");
            return Err(Failure::new(ErrorKind::Usage, message)
                .with_hint("`PUT /v1/credentials/{name}` seals one")
                .into());
        }
    }
    let wanted = spec.clone();
    let id = fleet.upsert_host(spec).await?;
    let saved = fleet.wait_until(|state| {
        state.host(id).is_some_and(|host| {
            let HostSpec {
                id: _, ref name, ..
            } = *host.spec;
            *name == wanted.name && host.spec.endpoint == wanted.endpoint
        })
    });
    let saved = tokio::time::timeout(std::time::Duration::from_secs(5), saved).await;
    let state = saved.ok().flatten().unwrap_or_else(|| fleet.snapshot());
    let host = state.host(id).map(Arc::clone);
    host.ok_or_else(|| Failure::new(ErrorKind::Conflict, "the host was removed meanwhile").into())
}

/// Forgets a host, its keys and what was known of it.
#[utoipa::path(
    delete, path = "/v1/hosts/{name}", tag = "hosts",
    params(("name" = String, Path, description = "Name of the host")),
    responses((status = 204, description = "It is gone"))
)]
pub(super) async fn remove(Managing { fleet, host, .. }: Managing) -> Answer {
    let id = host.spec.id;
    fleet.remove_host(id).await?;
    let gone = fleet.wait_until(|state| state.host(id).is_none());
    drop(tokio::time::timeout(std::time::Duration::from_secs(5), gone).await);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Reads a host now; one that waits for its next attempt is dialled at once.
#[utoipa::path(
    post, path = "/v1/hosts/{name}/refresh", tag = "hosts",
    params(("name" = String, Path, description = "Name of the host")),
    responses((status = 202, description = "It is on its way", body = Host))
)]
pub(super) async fn refresh(
    Seeing {
        asking,
        fleet,
        host,
    }: Seeing,
) -> Answer {
    fleet
        .refresh(HostSelection::Only(vec![host.spec.id]))
        .await?;
    Ok(shown(&asking, StatusCode::ACCEPTED, &host))
}

/// Checks a host step by step over a connection of its own.
#[utoipa::path(
    post, path = "/v1/hosts/{name}/check", tag = "hosts",
    params(("name" = String, Path, description = "Name of the host")),
    responses((status = 200, description = "What was found", body = Vec<Finding>))
)]
pub(super) async fn check(
    Managing {
        asking,
        fleet,
        host,
    }: Managing,
) -> Answer {
    let _place = asking.wait_for(Some(&host.spec))?;
    let findings = fleet.doctor(host.spec.id).await?;
    let findings: Vec<Finding> = findings.iter().map(Finding::from).collect();
    Ok(answer::json(StatusCode::OK, &findings))
}

/// Trusts the key that a new host has shown (`host_key` of the host), by its fingerprint. A key that
/// has changed or was revoked is not trusted over the network.
#[utoipa::path(
    post, path = "/v1/hosts/{name}/host-key", tag = "hosts",
    params(("name" = String, Path, description = "Name of the host")),
    request_body = HostKeyAnswer,
    responses(
        (status = 200, description = "The host", body = Host),
        (status = 409, description = "The fingerprint is not the one that was shown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn trust(
    Managing {
        asking,
        fleet,
        host,
    }: Managing,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let wanted: HostKeyAnswer = answer::read(&asking.headers, &body?)?;
    let Some(question) = open_question(&host.health).cloned() else {
        let message = "no key of this host waits for a decision";
        return Err(Failure::new(ErrorKind::Conflict, message).into());
    };
    if question.verdict != HostKeyVerdict::Unknown {
        let message = "this key has changed or was revoked: it is not trusted over the network";
        let hint = format!("`vmdeck host trust {}` shows both keys", host.spec.name);
        return Err(Failure::new(ErrorKind::Refused, message)
            .with_hint(hint)
            .into());
    }
    if question.key.fingerprint != wanted.fingerprint {
        let message = format!("the host has shown {}", question.key.fingerprint);
        return Err(Failure::new(ErrorKind::Conflict, message)
            .with_hint("compare it with the one the host's console shows")
            .into());
    }
    let id = host.spec.id;
    fleet
        .answer_host_key(id, question, KeyDecision::Accept)
        .await?;
    let host = asking.host(&fleet.snapshot(), host.spec.name.as_str())?;
    Ok(shown(&asking, StatusCode::OK, &host))
}
