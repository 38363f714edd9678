//! What the dashboard keeps in the profile: credentials. Each wish is an effect, each end an answer; what they do
//! to the screen is said beside them.

use super::app::{App, Screen};
use super::effect::Effect;
use super::overlay::Overlay;
use super::theme::Role;
use crate::domain::credential::{CredentialName, CredentialSummary};
use crate::domain::error_kind::Failure;
use crate::fleet::FleetHandle;
use crate::fleet::credential::NewSecret;

/// Something to be kept or forgotten.
#[derive(Debug)]
pub enum Keep {
    /// Add a credential.
    AddCredential(CredentialName, NewSecret),
    /// Remove one.
    RemoveCredential(CredentialName),
}

/// How that ended.
#[derive(Debug)]
pub enum Kept {
    /// A credential was added.
    CredentialAdded(Result<CredentialSummary, Failure>),
    /// One was removed.
    CredentialRemoved(CredentialName, Result<(), Failure>),
}

impl Keep {
    /// Adds a credential.
    pub fn add((name, secret): (CredentialName, NewSecret)) -> Self {
        Self::AddCredential(name, secret)
    }

    /// Asks the fleet for it.
    pub async fn ask(self, handle: &FleetHandle) -> Kept {
        match self {
            Self::AddCredential(name, secret) => {
                Kept::CredentialAdded(handle.add_credential(name, secret).await)
            }
            Self::RemoveCredential(name) => {
                let removed = handle.remove_credential(name.clone()).await;
                Kept::CredentialRemoved(name, removed)
            }
        }
    }
}

impl Kept {
    /// Shows it.
    pub fn take(self, app: &mut App) -> Vec<Effect> {
        match self {
            Self::CredentialAdded(result) => added(app, result),
            Self::CredentialRemoved(_, Err(cause)) => app.fail(&cause),
            Self::CredentialRemoved(name, Ok(())) => {
                app.say(Role::Success, format!("removed credential {name}"));
            }
        }
        if app.screen == Screen::Profile {
            return vec![Effect::Credentials];
        }
        Vec::new()
    }
}

fn added(app: &mut App, result: Result<CredentialSummary, Failure>) {
    let form = app
        .overlays
        .iter_mut()
        .rev()
        .find_map(|overlay| match overlay {
            Overlay::CredentialForm(form) => Some(form),
            _ => None,
        });
    match (form, result) {
        (Some(form), Err(cause)) => form.refuse(&cause),
        (None, Err(cause)) => app.fail(&cause),
        (_, Ok(found)) => {
            app.overlays
                .retain(|overlay| !matches!(overlay, Overlay::CredentialForm(_)));
            let what = match (&found.public_key, &found.fingerprint) {
                (Some(_), Some(print)) => {
                    format!("added {}, {print}: c copies its public key", found.name)
                }
                _ => format!("added {} {}", found.kind.word(), found.name),
            };
            app.profile
                .cursor
                .go(app.profile.cursor.index(), Some(found.id));
            app.say(Role::Success, what);
        }
    }
}
