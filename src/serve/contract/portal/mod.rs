//! The portal contract: users, their agents (hosts), and the VMs on those.
//!
//! A user is a tenant: everything goes through `gate::Tenant`, which knows one user's agents and no
//! others. What is not theirs is answered like what is not there, after the same query.

mod agents;
mod body;
mod dominfo;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod gate;
pub(in crate::serve) mod key_gate;
mod users;
mod vms;

use axum::Router;
use axum::routing::{get, post};

use crate::serve::state::ServeState;

/// Returns its routes.
pub fn router() -> Router<ServeState> {
    Router::new()
        .route("/users", post(users::add))
        .route("/users/me", get(users::me))
        .route("/users/me/api-key/rotate", post(users::rotate))
        .route("/agents", get(agents::list).post(agents::add))
        .route(
            "/agents/{id}",
            get(agents::show)
                .patch(agents::change)
                .delete(agents::remove),
        )
        .route("/agents/{id}/credentials", get(agents::credentials))
        .route("/agents/{id}/vms", get(vms::list))
        .route("/agents/{id}/vms/{vm}", get(vms::show))
        .route("/agents/{id}/vms/{vm}/start", post(vms::start))
        .route("/agents/{id}/vms/{vm}/shutdown", post(vms::shutdown))
        .route("/agents/{id}/vms/{vm}/force-stop", post(vms::force_stop))
        .route("/agents/{id}/vms/{vm}/reboot", post(vms::reboot))
}
