//! The bot contract: `x-api-key`, signed bodies, an allow list, VMs by name.
//!
//! ```text
//! allow list -> key -> signature -> replay rules -> call -> fleet
//! ```
//!
//! The allow list holds for every path of the server, before anything else; see [`allow_list`].

mod calls;
mod gate;
mod history;
pub mod replay;
pub mod signature;
pub mod timestamp;
mod words;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

pub use self::gate::Signatures;
use self::words::Verb;
use super::answer::Answer;
use crate::serve::client_address::{AddressList, ClientAddress};
use crate::serve::state::ServeState;

/// Returns its routes.
pub fn router() -> Router<ServeState> {
    let power = |verb: Verb| {
        post(move |State(state): State<ServeState>, request: Request| {
            calls::act(state, request, verb)
        })
    };
    Router::new()
        .route("/", get(calls::root))
        .route("/health", get(calls::health))
        .route("/vm/list", get(calls::list))
        .route("/vm/history", get(history::of_all))
        .route("/vm/{vm_name}/state", get(calls::state))
        .route("/vm/{vm_name}/details", get(calls::details))
        .route("/vm/{vm_name}/history", get(history::of_one))
        .route("/vm/{vm_name}/start", power(Verb::Start))
        .route("/vm/{vm_name}/shutdown", power(Verb::Shutdown))
        .route("/vm/{vm_name}/restart", power(Verb::Restart))
}

/// Middleware of the whole server: who is not on the list of the bot contract is turned away, whatever
/// they ask for and before anything is looked at. An empty list lets everybody in.
pub async fn allow_list(State(state): State<ServeState>, request: Request, next: Next) -> Response {
    let address = ClientAddress::of(&request);
    let allowed = state.bot.as_ref().is_none_or(|bot| {
        bot.allow.is_empty() || AddressList::new(bot.allow.clone()).contains(address)
    });
    if allowed {
        return next.run(request).await;
    }
    if state.refusals.may_say(address) {
        tracing::info!(%address, "an address that is not on the allow list was turned away");
    }
    let status = axum::http::StatusCode::FORBIDDEN;
    Answer::detail(status, "this address is not on the allow list").into_response()
}
