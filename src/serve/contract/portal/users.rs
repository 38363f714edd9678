//! Users of the portal contract: making one, looking at oneself, exchanging the key.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;

use super::gate::{self, Tenant};
use crate::accounts::{AccountsError, NewKey, NewUser, Permission, User};
use crate::domain::error_kind::Failure;
use crate::domain::secret::SecretText;
use crate::serve::auth;
use crate::serve::client_address::ClientAddress;
use crate::serve::contract::answer::Answer;
use crate::serve::note::Change;
use crate::serve::state::ServeState;

/// Bytes of a body that makes a user.
const MAX_BODY: usize = 16 * 1024;

#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    name: &'a str,
    email: Option<&'a str>,
    api_key_prefix: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
}

fn shown<'a>(user: &'a User, prefix: &'a str, token: Option<&'a SecretText>) -> Shown<'a> {
    Shown {
        id: user.id,
        name: &user.name,
        email: user.email.as_deref(),
        api_key_prefix: prefix,
        created_at: user.created_at.to_string(),
        api_key: token.map(|token| token.expose().as_str()),
    }
}

/// `POST /users`
pub(super) async fn add(State(state): State<ServeState>, request: Request) -> Answer {
    make(state, request).await.unwrap_or_else(|refused| refused)
}

async fn make(state: ServeState, request: Request) -> Result<Answer, Answer> {
    let address = ClientAddress::of(&request);
    let open = state.config.compat.open_registration;
    let _place = if open {
        state
            .limits
            .admit_registration(address)
            .map_err(|seconds| {
                let text = "too many users were made from this address";
                Answer::detail(StatusCode::TOO_MANY_REQUESTS, text).retry_after(seconds)
            })?;
        None
    } else {
        let identified = auth::identify(&state, request.headers(), address).await;
        let caller = identified.map_err(|refusal| gate::turned_away(&refusal))?;
        crate::serve::log::known(&request, &caller.key_id);
        let place = gate::place_of(&state, &caller)?;
        if !caller.admin {
            let text = "users are made with the administrator's key, or by `vmdeck user add NAME`";
            return Err(Answer::detail(StatusCode::FORBIDDEN, text));
        }
        Some(place)
    };
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|_too_much| {
            Answer::detail(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
        })?;
    let mut body = gate::json(&parts, &bytes)?;
    let name = match body.trimmed("name", 1, 100) {
        Some(name) => Some(name),
        None => body.checked().and(Ok(body.required("name", 1, 100)))?,
    };
    let email = body
        .trimmed("email", 0, 255)
        .filter(|email| !email.is_empty());
    body.checked()?;
    let hostile = |text: &str| text.chars().any(crate::domain::text::is_hostile);
    let name = name.unwrap_or_default();
    if hostile(&name) {
        body.refuse("name", "a name holds no control characters");
    }
    if email.as_deref().is_some_and(hostile) {
        body.refuse("email", "an email address holds no control characters");
    }
    body.checked()?;
    let new = NewUser {
        name,
        email,
        profile: None,
        admin: false,
    };
    let added = state.accounts.add_user(new, NewKey::default()).await;
    let (user, issued) = added.map_err(|error| match error {
        AccountsError::EmailTaken => {
            Answer::detail(StatusCode::BAD_REQUEST, "Email already registered")
        }
        other => gate::failed(&other),
    })?;
    if let Err(failure) = state.tenants.fleets().create(&user.profile).await {
        // A user without a profile could do nothing and would keep the address taken.
        if let Err(error) = state.accounts.remove_user(user.id).await {
            tracing::warn!(%error, user = user.id, "a user without a profile was left behind");
        }
        return Err(Answer::failure(&failure));
    }
    tracing::info!(user = user.id, %address, open, "a user was made");
    let document = shown(&user, &issued.info.prefix, Some(&issued.token));
    Ok(Answer::json(StatusCode::CREATED, &document))
}

/// `GET /users/me`
pub(super) async fn me(State(state): State<ServeState>, request: Request) -> Answer {
    let tenant = match Tenant::enter(state, request).await {
        Ok(tenant) => tenant,
        Err(refused) => return refused,
    };
    match (&tenant.caller.user, &tenant.caller.key) {
        (Some(user), Some(key)) => Answer::ok(&shown(user, &key.prefix, None)),
        _ => Answer::not_found(),
    }
}

#[derive(Serialize)]
struct Rotated<'a> {
    api_key: &'a str,
    api_key_prefix: &'a str,
}

/// `POST /users/me/api-key/rotate`
pub(super) async fn rotate(State(state): State<ServeState>, request: Request) -> Answer {
    exchange(state, request)
        .await
        .unwrap_or_else(|refused| refused)
}

async fn exchange(state: ServeState, request: Request) -> Result<Answer, Answer> {
    let tenant = Tenant::enter(state, request).await?;
    // A key for less must not be able to take the others away.
    tenant.may(Permission::Manage)?;
    let change = Change {
        action: "api-key-rotated",
        about: "",
    };
    tenant.note(&change).await?;
    let issued = match tenant.state.accounts.rotate(tenant.user, None).await {
        Ok(issued) => issued,
        Err(error) => {
            let failure = Failure::of(&error);
            tenant.note_failed(&change, &failure).await;
            return Err(Answer::failure(&failure));
        }
    };
    Ok(Answer::ok(&Rotated {
        api_key: issued.token.expose(),
        api_key_prefix: &issued.info.prefix,
    }))
}
