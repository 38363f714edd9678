//! From a request to a [`Caller`]: the one place where API keys are read.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::caller::Caller;
use super::client_address::ClientAddress;
use super::error::Problem;
use super::state::ServeState;
use crate::accounts::{AccountsError, AuthRefusal};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::secret::SecretText;

/// Header of answers of `/v1` to a key that ends soon: when (RFC 3339, UTC).
const KEY_ENDS: HeaderName = HeaderName::from_static("vmdeck-key-ends");

/// Why a request has no caller. Each contract has its own body for it.
#[derive(Debug)]
pub enum Refusal {
    /// No key, or not in the form `Authorization: Bearer KEY`, or more than one.
    Missing,
    /// A key that opens nothing: wrong, revoked and expired look alike.
    Invalid,
    /// Too many wrong keys from that address; try again after so many seconds.
    TooMany(u64),
    /// The accounts cannot be read.
    Unavailable(AccountsError),
}

/// Returns the bearer token of a request; `None` unless there is exactly one.
pub fn bearer(headers: &HeaderMap) -> Option<SecretText> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (all.next()?, all.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
        .then(|| SecretText::new(token.to_owned()))
}

/// Says who comes with a request. Counts wrong keys of an address and turns it away for a while.
pub async fn identify(
    state: &ServeState,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Caller, Refusal> {
    let token = bearer(headers).ok_or(Refusal::Missing)?;
    let locked = state.limits.locked_out(address);
    // Keys of an address that is locked out are looked up all the same: others behind it may have right
    // ones. What is slow about a key of the older portal is done for it now and then only.
    let slowly = || locked.is_none() || state.limits.admit_slow_check(address);
    let found = state.accounts.authenticate_if(&token, slowly).await;
    match (found, locked) {
        (Ok(access), _) => Ok(Caller::of(access, address)),
        (Err(AuthRefusal::Accounts(error)), _) => Err(Refusal::Unavailable(error)),
        (Err(_refused), Some(seconds)) => Err(Refusal::TooMany(seconds)),
        (Err(refused), None) => {
            state.limits.failed(address);
            if state.refusals.may_say(address) {
                tracing::info!(%address, why = %refused, "an API key was refused");
            }
            Err(Refusal::Invalid)
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::new(
                StatusCode::UNAUTHORIZED,
                ErrorKind::Auth,
                "this needs an API key",
            )
            .hint("send `Authorization: Bearer KEY`; `vmdeck user add NAME` makes a key"),
            Refusal::Invalid => Self::new(
                StatusCode::UNAUTHORIZED,
                ErrorKind::Auth,
                "this API key opens nothing",
            )
            .hint("it may be mistyped, expired or taken back; `vmdeck user rotate NAME` makes a new one"),
            Refusal::TooMany(seconds) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                ErrorKind::Busy,
                "too many wrong keys came from this address",
            )
            .retry_after(seconds),
            Refusal::Unavailable(error) => Self::of(&Failure::of(&error)),
        }
    }
}

/// Middleware of `/v1`: a request without a caller gets no further. Also holds the key to its rate
/// and to its requests at the same time.
pub async fn require_key(
    State(state): State<ServeState>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = ClientAddress::of(&request);
    let caller = match identify(&state, request.headers(), address).await {
        Ok(caller) => caller,
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    let place = match state.limits.admit_key(&caller.key_id) {
        Ok(place) => place,
        Err(seconds) => {
            return Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                ErrorKind::Busy,
                "this key asks too often",
            )
            .retry_after(seconds)
            .into_response();
        }
    };
    super::log::known(&request, &caller.key_id);
    let ends = ends_soon(&caller, state.clock.now());
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    drop(place);
    if let Some(ends) = ends {
        response.headers_mut().insert(KEY_ENDS, ends);
    }
    response
}

/// Tells when the caller's key ends, where that is soon: so that whoever runs a client hears of it before the client
/// is turned away.
fn ends_soon(caller: &Caller, now: Timestamp) -> Option<HeaderValue> {
    let ends = caller.key.as_ref()?.ends_soon(now)?;
    HeaderValue::from_str(&ends.to_string()).ok()
}
