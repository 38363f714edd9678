//! What is kept of one VM: its snapshots, read from the host, made, reverted to and deleted like any other
//! action; and the figures of its last quarter of an hour.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{self, Answer};
use super::asking::Asking;
use super::vms::{ActQuery, Acted, carry_out, wait_of};
use super::wire::{Operation, SnapshotInput, Snapshots, VmSeries};
use crate::domain::action::ActionKind;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::snapshot::{self, Chosen, DeleteScope, NotFound, SnapshotRequest};
use crate::domain::text::RemoteText;
use crate::fleet::FleetHandle;
use crate::serve::error::Problem;
use crate::serve::find::Seen;

/// Lists the snapshots of a VM, as its host has them now.
#[utoipa::path(
    get, path = "/v1/vms/{host}/{id}/snapshots", tag = "vms",
    params(
        ("host" = String, Path, description = "Name of the host"),
        ("id" = String, Path, description = "Id of the VM, or its name where that is unique on the host"),
    ),
    responses((status = 200, description = "Its snapshots", body = Snapshots))
)]
pub(super) async fn list(
    asking: Asking,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Answer {
    let Path((host, id)) = path?;
    let fleet = asking.fleet().await?;
    let (_, seen) = asking.vm(&fleet, &host, &id).await?;
    let _place = asking.wait_for(Some(&seen.host.spec))?;
    let tree = fleet.snapshots(seen.id()).await?;
    Ok(answer::json(StatusCode::OK, &Snapshots::from(&*tree)))
}

/// Makes a snapshot of a VM. The body may be left out.
#[utoipa::path(
    post, path = "/v1/vms/{host}/{id}/snapshots", tag = "vms",
    request_body(content = Option<SnapshotInput>, content_type = "application/json"),
    params(
        ("host" = String, Path, description = "Name of the host"),
        ("id" = String, Path, description = "Id of the VM, or its name where that is unique on the host"),
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
pub(super) async fn create(
    asking: Asking,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<ActQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let Path(vm) = path?;
    let Query(query) = query?;
    let body = body?;
    let input = if body.is_empty() {
        SnapshotInput::default()
    } else {
        answer::read(&asking.headers, &body)?
    };
    let new = input.into_new(asking.now())?;
    let how = (
        ActionKind::SnapshotCreate,
        query.is_dry(),
        wait_of(query.wait())?,
    );
    carry_out(asking, vm, how, &body, |fleet, seen| async move {
        // So that a name that is taken is told before anything is sent; what cannot be read is left to the host.
        drop(fleet.snapshots_now(seen.id()).await);
        Ok(SnapshotRequest::Create(new).into())
    })
    .await
}

/// Brings a VM back to a snapshot. What came after is lost; the request is the confirmation, and names the VM.
#[utoipa::path(
    post, path = "/v1/vms/{host}/{id}/snapshots/{snapshot}/revert", tag = "vms",
    params(
        ("host" = String, Path, description = "Name of the host"),
        ("id" = String, Path, description = "Id of the VM, or its name where that is unique on the host"),
        ("snapshot" = String, Path, description = "Id of the snapshot, or its name where that is unique in the VM"),
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
pub(super) async fn revert(
    asking: Asking,
    path: Result<Path<(String, String, String)>, PathRejection>,
    query: Result<Query<ActQuery>, QueryRejection>,
) -> Answer {
    let Path((host, id, wanted)) = path?;
    let Query(query) = query?;
    let how = (
        ActionKind::SnapshotRevert,
        query.is_dry(),
        wait_of(query.wait())?,
    );
    carry_out(asking, (host, id), how, b"", |fleet, seen| async move {
        let chosen = chosen(&fleet, &seen, &wanted).await?;
        Ok(SnapshotRequest::Revert(chosen).into())
    })
    .await
}

/// How a snapshot is to be deleted.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// Seconds to wait for its end before answering.
    #[param(minimum = 0, maximum = 25)]
    wait: Option<u32>,
    /// Only show what would be run.
    dry_run: Option<bool>,
    /// Also delete everything that is based on it.
    children: Option<bool>,
}

/// Deletes a snapshot of a VM; the VM itself stays as it is.
#[utoipa::path(
    delete, path = "/v1/vms/{host}/{id}/snapshots/{snapshot}", tag = "vms",
    params(
        ("host" = String, Path, description = "Name of the host"),
        ("id" = String, Path, description = "Id of the VM, or its name where that is unique on the host"),
        ("snapshot" = String, Path, description = "Id of the snapshot, or its name where that is unique in the VM"),
        DeleteQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "A word of your own; the same word gets the same answer for a day"),
    ),
    responses(
        (status = 200, description = "It is over, or with `dry_run` what would be run", body = Acted),
        (status = 202, description = "It is under way", body = Operation,
            headers(("Location" = String, description = "Where to follow it"))),
        (status = 422, description = "The `Idempotency-Key` belongs to another request", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    asking: Asking,
    path: Result<Path<(String, String, String)>, PathRejection>,
    query: Result<Query<DeleteQuery>, QueryRejection>,
) -> Answer {
    let Path((host, id, wanted)) = path?;
    let Query(query) = query?;
    let wait: Duration = wait_of(query.wait)?;
    let scope = if query.children.unwrap_or_default() {
        DeleteScope::WithChildren
    } else {
        DeleteScope::This
    };
    let how = (
        ActionKind::SnapshotDelete,
        query.dry_run.unwrap_or_default(),
        wait,
    );
    carry_out(
        asking,
        (host, id),
        how,
        b"",
        move |fleet, seen| async move {
            let chosen = chosen(&fleet, &seen, &wanted).await?;
            Ok(SnapshotRequest::Delete(chosen, scope).into())
        },
    )
    .await
}

/// Finds the snapshot that is meant, in what the host has now.
async fn chosen(fleet: &FleetHandle, seen: &Seen, wanted: &str) -> Result<Chosen, Failure> {
    let tree = fleet.snapshots_now(seen.id()).await?;
    let shown = RemoteText::new(wanted);
    let vm = format!("{}/{}", seen.host.spec.name, seen.vm.name);
    snapshot::find(&tree, wanted)
        .map(Chosen::from)
        .map_err(|why| match why {
            NotFound::Missing => {
                let message = format!("{vm} has no snapshot `{shown}`");
                Failure::new(ErrorKind::NotFound, message)
                    .with_hint("`GET /v1/vms/{host}/{id}/snapshots` lists those that it has")
            }
            NotFound::Ambiguous => {
                let message = format!("{vm} has several snapshots of the name `{shown}`");
                Failure::new(ErrorKind::Ambiguous, message)
                    .with_hint("write the id instead: `GET /v1/vms/{host}/{id}/snapshots` has it")
            }
        })
}

/// Shows the figures of a VM over the last quarter of an hour, as the dashboard draws them. What is kept begins
/// when the server first looks at the VM.
#[utoipa::path(
    get, path = "/v1/vms/{host}/{id}/metrics", tag = "vms",
    params(
        ("host" = String, Path, description = "Name of the host"),
        ("id" = String, Path, description = "Id of the VM, or its name where that is unique on the host"),
    ),
    responses((status = 200, description = "Its figures", body = VmSeries))
)]
pub(super) async fn metrics(
    asking: Asking,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Answer {
    let Path((host, id)) = path?;
    let fleet = asking.fleet().await?;
    let (_, seen) = asking.vm(&fleet, &host, &id).await?;
    let kept = fleet.metrics(seen.id()).await?;
    let body = VmSeries::of(kept.as_ref(), asking.now());
    Ok(answer::json(StatusCode::OK, &body))
}
