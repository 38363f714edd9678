//! `--serve`: the REST server. One listener, three contracts, the same fleets, policy and audit as at
//! every other door.
//!
//! ```text
//! listen -> client_address -> log -> limit -> router -> { v1, contract::bot, contract::portal }
//!                                                         auth -> Caller -> find, act -> FleetHandle
//! ```
//!
//! A user works in a profile; [`Tenants`] keeps one fleet per profile, started on first use. A contract
//! translates its requests and answers and nothing else: who may do what is decided in [`Caller`] and in
//! the fleet, and what a failure means on the wire in [`error`]. This door holds no SSH and no secret of
//! a host.

pub mod act;
pub mod auth;
mod body;
pub mod caller;
pub mod client_address;
pub mod contract;
pub mod denials;
pub mod dial_guard;
pub mod error;
pub mod find;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod headers;
mod leftover;
pub mod limit;
pub mod listen;
mod lockout;
pub mod log;
pub mod meter;
mod note;
mod patience;
pub mod places;
pub mod refusals;
mod staple;
pub mod state;
mod tally;
pub mod tenant;
mod tls;
pub mod v1;

use axum::Router;

pub use self::act::{Order, Until, act};
pub use self::caller::Caller;
pub use self::error::Problem;
pub use self::find::Found;
pub use self::listen::{ListenError, Listener, Running, serve};
pub use self::state::{BotAccess, ServeState};
pub use self::tenant::{Fleets, Tenants};
pub use self::tls::{TlsError, TlsFiles};

/// What those without a key are told as the version: that of the API. Which vmdeck answers, with which known
/// faults, is not for everybody to read (OWASP ASVS 4.0.3, 14.3.3).
pub(crate) const API_VERSION: &str = "1";

/// Builds the whole server on its state, testable without a listener.
pub fn router(state: ServeState) -> Router {
    let routes = Router::new()
        .merge(v1::router(&state))
        .merge(contract::bot::router())
        .merge(contract::portal::router());
    assemble(routes, state)
}

/// Puts everything that every request goes through around some routes.
pub fn assemble(routes: Router<ServeState>, state: ServeState) -> Router {
    let routes = routes
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::not_allowed);
    limit::wrap(routes, &state).with_state(state)
}
