//! Whether the server lives, and whether it is of use: for those who watch over it. No key needed, and
//! nothing told that needs one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use crate::domain::error_kind::ErrorKind;
use crate::serve::error::Problem;
use crate::serve::state::ServeState;

/// That the server is well.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Says that the server lives.
#[utoipa::path(
    get, path = "/healthz", tag = "server", security(()),
    responses((status = 200, description = "It lives", body = Health))
)]
pub(super) async fn live() -> Response {
    answer::json(StatusCode::OK, &Health { status: "ok" })
}

/// Says whether the server takes requests: not while it ends, nor while its accounts cannot be read.
#[utoipa::path(
    get, path = "/readyz", tag = "server", security(()),
    responses(
        (status = 200, description = "It takes requests", body = Health),
        (status = 503, description = "It does not", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ready(State(state): State<ServeState>) -> Response {
    let why = if state.stop.is_cancelled() {
        "the server is ending"
    } else if state.accounts.data_version().await.is_err() {
        "the accounts cannot be read"
    } else {
        return answer::json(StatusCode::OK, &Health { status: "ok" });
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Busy, why)
        .retry_after(5)
        .into_response()
}
