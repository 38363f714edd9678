//! One line for every request: method, path template, status, time, key id, address. Never a path as it
//! was sent, never a body, never a key: nothing that a client chose freely is in it. Requests that were
//! refused before anybody was known for them get a line each only up to a number (`refusals`). A request
//! that ended in a panic has its line at the level of errors, without the words of the panic.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::client_address::ClientAddress;
use super::error::Panicked;
use super::state::ServeState;

/// Where the auth layers write down whose request it was.
#[derive(Debug, Clone, Default)]
struct Whose(Arc<OnceLock<String>>);

/// Writes down with which key a request came, for its line in the log.
pub fn known(request: &Request, key_id: &str) {
    if let Some(whose) = request.extensions().get::<Whose>() {
        // The first to say so is right; there is one auth layer on each route.
        drop(whose.0.set(key_id.to_owned()));
    }
}

/// Returns a method in a word of ours.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Middleware: lets the request through, then writes its line and counts it.
pub(super) async fn record(
    State(state): State<ServeState>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = word(request.method());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let address = ClientAddress::of(&request);
    let whose = Whose::default();
    request.extensions_mut().insert(whose.clone());
    let response = next.run(request).await;
    let took = began.elapsed();
    let path = path.as_ref().map_or("unmatched", MatchedPath::as_str);
    let status = response.status().as_u16();
    state.meter.count(method, path, status, took);
    let key = whose.0.get().map(String::as_str);
    let panicked = response.extensions().get::<Panicked>().is_some();
    let refused = key.is_none() && status >= 400 && !panicked;
    if refused && !super::refusals::gets_line(&state, address, status) {
        return response;
    }
    let ms = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one request")]
    let ms = ms as f64 / 1000.0;
    if panicked {
        tracing::error!(
            target: "vmdeck::request",
            method,
            path,
            status,
            ms,
            key,
            address = %address,
            "a request ended in a panic"
        );
    } else {
        tracing::info!(
            target: "vmdeck::request",
            method,
            path,
            status,
            ms,
            key,
            address = %address,
            "request"
        );
    }
    response
}
