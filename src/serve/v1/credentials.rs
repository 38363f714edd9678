//! Credentials: they go in and never come out again.

use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::answer::{self, Answer};
use super::asking::Asking;
use super::wire::{Credential, CredentialInput};
use crate::accounts::Permission;
use crate::domain::credential::{CredentialName, CredentialSecret};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::serve::contract::portal::key_gate;
use crate::serve::note::Change;

fn name_of(text: &str) -> Result<CredentialName, Failure> {
    text.parse()
        .map_err(|error: crate::domain::credential::CredentialNameError| {
            Failure::new(ErrorKind::Usage, format!("`name`: {error}"))
        })
}

/// Lists what may be shown of the credentials.
#[utoipa::path(
    get, path = "/v1/credentials", tag = "credentials",
    responses((status = 200, description = "All of them", body = Vec<Credential>))
)]
pub(super) async fn list(asking: Asking) -> Answer {
    asking.caller.may(Permission::Manage)?;
    let all = asking.fleet().await?.credentials().await?;
    let all: Vec<Credential> = all.iter().map(Credential::from).collect();
    Ok(answer::json(StatusCode::OK, &all))
}

/// Seals a private key or a password under a name, in place of the one that is there.
#[utoipa::path(
    put, path = "/v1/credentials/{name}", tag = "credentials",
    params(("name" = String, Path, description = "Name of the credential")),
    request_body = CredentialInput,
    responses((status = 200, description = "What may be shown of it", body = Credential))
)]
pub(super) async fn put(
    asking: Asking,
    path: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let Path(name) = path?;
    asking.caller.may(Permission::Manage)?;
    let name = name_of(&name)?;
    let input: CredentialInput = answer::read_secret(&asking.headers, &body?)?;
    let secret = input.into_secret()?;
    if let CredentialSecret::PrivateKey { pem, .. } = &secret
        && let Some(objection) = key_gate::objection(pem.expose())
    {
        let message = format!("`private_key`: {objection}");
        return Err(Failure::new(ErrorKind::Usage, message).into());
    }
    let known = asking.fleet().await?.credentials().await?;
    if !known.iter().any(|known| known.name == name) {
        asking.state.limits.one_more_credential(known.len())?;
    }
    let fleets = asking.state.tenants.fleets();
    let profile = &asking.caller.profile;
    let change = Change {
        action: "credential-set",
        about: &format!("credential {name}"),
    };
    change.begins(&asking.state, &asking.caller).await?;
    let set = fleets.set_credential(profile, &name, secret).await;
    if let Err(failure) = &set {
        change.failed(&asking.state, &asking.caller, failure).await;
    }
    let summary = set?;
    Ok(answer::json(StatusCode::OK, &Credential::from(&summary)))
}

/// Removes a credential that no host uses.
#[utoipa::path(
    delete, path = "/v1/credentials/{name}", tag = "credentials",
    params(("name" = String, Path, description = "Name of the credential")),
    responses((status = 204, description = "It is gone"))
)]
pub(super) async fn delete(asking: Asking, path: Result<Path<String>, PathRejection>) -> Answer {
    let Path(name) = path?;
    asking.caller.may(Permission::Manage)?;
    let name = name_of(&name)?;
    let known = asking.fleet().await?.credentials().await?;
    let Some(known) = known.iter().find(|known| known.name == name) else {
        return Err(Failure::new(ErrorKind::NotFound, "there is no such credential").into());
    };
    if !known.used_by.is_empty() {
        let message = format!("it is used by {}", known.used_by.join(", "));
        return Err(Failure::new(ErrorKind::Conflict, message)
            .with_hint("give these hosts another credential first")
            .into());
    }
    let change = Change {
        action: "credential-removed",
        about: &format!("credential {name}"),
    };
    change.begins(&asking.state, &asking.caller).await?;
    let fleets = asking.state.tenants.fleets();
    let removed = fleets
        .remove_credential(&asking.caller.profile, &name)
        .await;
    if let Err(failure) = &removed {
        change.failed(&asking.state, &asking.caller, failure).await;
    }
    removed?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
