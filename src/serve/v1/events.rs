//! The stream of events of a caller's fleet.

use axum::body::Body;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{self, Answer, Refusal};
use super::asking::Asking;
use super::query;
use super::stream::Reader;
use crate::accounts::KeyWatch;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::serve::error::Problem;

/// What is followed.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Only what is about VMs that match, or about hosts that could have such a VM.
    #[param(max_length = 1024)]
    filter: Option<String>,
}

/// Follows what happens, as server-sent events: `init` with hosts and VMs as they are, then `host_up`,
/// `host_down`, `vm_state`, `vm_appeared`, `vm_vanished`, `operation`, `error`, and `ping` when nothing
/// happens; and `key` when a key of the caller's user was issued or taken back, to administrators of every
/// user's. With `Last-Event-ID` it goes on after that event while it is still known, without `init`;
/// `missed` means that something was lost here, and a new `init` follows. A reader that does not keep
/// up gets `cut` and is let go.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(
        EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was seen"),
    ),
    responses((status = 200, description = "The stream; it does not end by itself", body = String, content_type = "text/event-stream"))
)]
pub(super) async fn follow(
    asking: Asking,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let filter = query::filter(query.filter.as_deref())?;
    let fleet = asking.fleet().await?;
    let Some(place) = asking.state.limits.event_reader() else {
        let problem = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Busy,
            "as many follow events as may",
        );
        return Err(Refusal::from(problem.retry_after(5)));
    };
    let caller = &asking.caller;
    let own = caller.user.as_ref().map_or(0, |user| user.id);
    let whose = (!caller.sees_everybody()).then_some(own);
    let keys = KeyWatch::begin(&asking.state.accounts, &caller.key_id, whose).await;
    let keys = keys.map_err(|error| Failure::of(&error))?;
    // The hub begins to write down before the first state is looked at.
    let hub = asking
        .shared
        .hub(&asking.state, &asking.caller.profile, &fleet);
    asking
        .settled(&fleet, |host| {
            asking.caller.sees(&host.spec) && filter.may_match_on(host)
        })
        .await;
    let after = asking
        .headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let reader = Reader {
        hub,
        fleet,
        filter,
        scopes: asking.caller.scopes.clone(),
        clock: asking.state.clock.clone(),
        stop: asking.state.stop.clone(),
        keys,
        place,
    };
    let body = Body::from_stream(reader.into_stream(after.as_deref()));
    let mut response = answer::text(StatusCode::OK, "text/event-stream", body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would otherwise hold events back until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}
