//! The native contract, `/v1`: every VM, host and operation of the caller's profile as plain
//! resources, a stream of events, metrics, and a description of all of it.
//!
//! Handlers translate: `asking` finds the caller's fleet in it, `query` says which rows,
//! `wire` what they look like outside, `answer` how they are sent. Who may do what, and what that
//! does to a VM, is decided where every door decides it.

mod answer;
mod asking;
mod audit;
mod bulk;
mod credentials;
mod dial;
mod document;
#[expect(
    unused_qualifications,
    reason = "written by the macro that describes routes"
)]
mod events;
mod first;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod health;
mod hosts;
mod hub;
mod idempotency;
mod metrics;
#[expect(
    unused_qualifications,
    reason = "written by the macro that describes routes"
)]
mod operations;
mod query;
mod rows;
mod shared;
#[expect(
    unused_qualifications,
    reason = "written by the macro that describes routes"
)]
mod snapshots;
mod stream;
#[expect(
    unused_qualifications,
    reason = "written by the macro that describes routes"
)]
mod vms;
mod wire;

use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router, middleware};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::document::Document;
use self::shared::Shared;
use super::auth;
use super::state::ServeState;

#[derive(OpenApi)]
#[openapi(components(schemas(super::error::Problem, wire::Verb)))]
struct Described;

/// Returns its routes.
pub fn router(state: &ServeState) -> Router<ServeState> {
    let document = Document::default();
    let shared = Arc::new(Shared::new(state));
    let keyed = OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(vms::list))
        .routes(routes!(vms::one))
        .routes(routes!(vms::act))
        .routes(routes!(snapshots::list, snapshots::create))
        .routes(routes!(snapshots::revert))
        .routes(routes!(snapshots::delete))
        .routes(routes!(snapshots::metrics))
        .routes(routes!(bulk::act, vms::one_of_actions))
        .routes(routes!(hosts::list, hosts::add))
        .routes(routes!(hosts::one, hosts::change, hosts::remove))
        .routes(routes!(hosts::refresh))
        .routes(routes!(hosts::check))
        .routes(routes!(hosts::trust))
        .routes(routes!(credentials::list))
        .routes(routes!(credentials::put, credentials::delete))
        .routes(routes!(operations::list))
        .routes(routes!(operations::one))
        .routes(routes!(operations::cancel))
        .routes(routes!(audit::list))
        .routes(routes!(events::follow))
        .routes(routes!(metrics::show))
        .route_layer(middleware::from_fn_with_state(
            state.clone(),
            auth::require_key,
        ));
    let open = OpenApiRouter::new()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(document::show))
        .route("/v1/{part}", get(document::page));
    let (router, api) = keyed.merge(open).split_for_parts();
    document.set(&api);
    router.layer(Extension(document)).layer(Extension(shared))
}
