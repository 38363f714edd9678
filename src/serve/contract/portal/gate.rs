//! Who asks, and which agents are theirs: the only way from a number in a path to a host.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;

use super::body;
use crate::accounts::{Agent, Permission};
use crate::domain::error_kind::{Classify, ErrorKind, Failure};
use crate::fleet::FleetHandle;
use crate::serve::auth::{self, Refusal};
use crate::serve::caller::Caller;
use crate::serve::client_address::ClientAddress;
use crate::serve::contract::answer::Answer;
use crate::serve::contract::path;
use crate::serve::limit::KeyPlace;
use crate::serve::note::Change;
use crate::serve::state::ServeState;

/// Bytes of a body: a private key and everything around it.
const MAX_BODY: usize = 128 * 1024;

/// One user with what is theirs.
pub(super) struct Tenant {
    pub(super) state: ServeState,
    pub(super) caller: Caller,
    pub(super) user: i64,
    pub(super) parts: Parts,
    /// The body as it was sent.
    pub(super) body: Vec<u8>,
    _place: KeyPlace,
}

/// Answers as the portal does about keys.
pub(super) fn turned_away(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Missing => {
            Answer::detail(StatusCode::UNAUTHORIZED, "Missing API key").challenge("Bearer")
        }
        Refusal::Invalid => Answer::detail(StatusCode::FORBIDDEN, "Invalid API key"),
        Refusal::TooMany(seconds) => {
            let text = "too many wrong keys came from this address";
            Answer::detail(StatusCode::TOO_MANY_REQUESTS, text).retry_after(*seconds)
        }
        Refusal::Unavailable(error) => Answer::failure(&Failure::of(error)),
    }
}

/// Tells of an error of a layer.
pub(super) fn failed<E: Classify>(error: &E) -> Answer {
    Answer::failure(&Failure::of(error))
}

/// Tells of something the caller may not do.
pub(super) fn forbidden(failure: &Failure) -> Answer {
    Answer::failure(failure)
}

/// Takes a place among the requests of a key.
pub(super) fn place_of(state: &ServeState, caller: &Caller) -> Result<KeyPlace, Answer> {
    let place = state.limits.admit_key(&caller.key_id);
    place.map_err(|seconds| {
        Answer::detail(StatusCode::TOO_MANY_REQUESTS, "this key asks too often")
            .retry_after(seconds)
    })
}

impl Tenant {
    /// Lets a request in, or says why not.
    pub(super) async fn enter(state: ServeState, request: Request) -> Result<Self, Answer> {
        let address = ClientAddress::of(&request);
        let identified = auth::identify(&state, request.headers(), address).await;
        let caller = identified.map_err(|refusal| turned_away(&refusal))?;
        crate::serve::log::known(&request, &caller.key_id);
        let place = place_of(&state, &caller)?;
        let user = caller.user.as_ref().map_or(0, |user| user.id);
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY)
            .await
            .map_err(|_too_much| {
                Answer::detail(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            })?;
        Ok(Self {
            state,
            caller,
            user,
            parts,
            body: body.to_vec(),
            _place: place,
        })
    }

    /// Refuses what the key may not do.
    pub(super) fn may(&self, what: Permission) -> Result<(), Answer> {
        self.caller.may(what).map_err(|failure| forbidden(&failure))
    }

    /// Returns the members of a body that is JSON.
    pub(super) fn json(&self) -> Result<body::Body, Answer> {
        json(&self.parts, &self.body)
    }

    /// Returns the agent that the path names. Another user's is not there.
    pub(super) async fn agent(&self) -> Result<Agent, Answer> {
        let text = path::segment(self.parts.uri.path(), 1).unwrap_or_default();
        let Some(id) = number(&text)? else {
            return Err(no_agent());
        };
        let found = self.state.accounts.agent(self.user, id).await;
        let agent = found
            .map_err(|error| failed(&error))?
            .ok_or_else(no_agent)?;
        if self.caller.scopes.is_narrowed() {
            let fleet = self.fleet().await?;
            let seen = fleet
                .snapshot()
                .host(agent.host)
                .is_some_and(|host| self.caller.sees(&host.spec));
            if !seen {
                return Err(no_agent());
            }
        }
        Ok(agent)
    }

    /// Returns the user's fleet.
    pub(super) async fn fleet(&self) -> Result<FleetHandle, Answer> {
        let opened = self.caller.fleet(&self.state.tenants).await;
        opened.map_err(|failure| Answer::failure(&failure))
    }

    /// Writes into the user's audit log what is no action on a VM; what cannot be recorded is not done.
    pub(super) async fn note(&self, change: &Change<'_>) -> Result<(), Answer> {
        let noted = change.begins(&self.state, &self.caller).await;
        noted.map_err(|failure| {
            Answer::failure(&Failure {
                kind: ErrorKind::Store,
                ..failure
            })
        })
    }

    /// Writes that what was noted has not been done.
    pub(super) async fn note_failed(&self, change: &Change<'_>, failure: &Failure) {
        change.failed(&self.state, &self.caller, failure).await;
    }
}

/// The answer about an agent that is not there, or not theirs.
pub(super) fn no_agent() -> Answer {
    Answer::detail(StatusCode::NOT_FOUND, "Agent not found")
}

/// Reads the number of an agent; one that no agent can have is `None`.
fn number(text: &str) -> Result<Option<i64>, Answer> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(body::not_a_number("agent_id", text));
    }
    Ok(text.parse().ok())
}

/// Returns the members of a body that is JSON.
pub(super) fn json(parts: &Parts, bytes: &[u8]) -> Result<body::Body, Answer> {
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    // A page of another site can send forms and plain text here, never this.
    if !essence.eq_ignore_ascii_case("application/json") {
        let text = "the body has to be sent as application/json";
        return Err(Answer::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    body::Body::read(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_agents() {
        assert_eq!(number("7").unwrap(), Some(7));
        assert_eq!(number("-7").unwrap(), Some(-7));
        assert_eq!(number("99999999999999999999999").unwrap(), None);
        for text in ["", "x", "1x", "1.0", "0x1", "+", "1 OR 1=1", "१"] {
            assert_eq!(number(text).unwrap_err().status, 422, "{text}");
        }
    }
}
