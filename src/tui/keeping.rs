//! What the dashboard keeps in the profile: credentials. Each wish is an effect, each end an answer; what they do
//! to the screen is said beside them.

use std::time::Duration;

use super::app::{App, Screen};
use super::effect::Effect;
use super::overlay::{Overlay, import, rotation};
use super::theme::Role;
use crate::domain::credential::{CredentialName, CredentialSummary};
use crate::domain::error_kind::Failure;
use crate::domain::host::{HostId, HostName, HostSpec};
use crate::domain::units::Span;
use crate::fleet::FleetHandle;
use crate::fleet::credential::NewSecret;
use crate::fleet::import::Importable;
use crate::fleet::request::HostSelection;
use crate::fleet::rotation::{Finished, RotationPlan};

/// Something to be kept or forgotten.
#[derive(Debug)]
pub enum Keep {
    /// Add a credential.
    AddCredential(CredentialName, NewSecret),
    /// Remove one.
    RemoveCredential(CredentialName),
    /// Read the hosts of the SSH client's configuration.
    ReadAliases,
    /// Add hosts, one after the other.
    AddHosts(Vec<HostSpec>),
    /// Lift the read-only of hosts for a while; nothing ends it.
    Lift(Vec<HostId>, Duration),
    /// Say what giving its hosts a new key would do.
    PlanRotation(CredentialName),
    /// Move one host to the new key of a credential.
    MoveHost(CredentialName, HostId),
    /// Take the key of a credential off a host.
    RetireKey(CredentialName, HostId),
    /// Settle the names; keep the old key or not.
    FinishRotation(CredentialName, bool),
}

/// How that ended.
#[derive(Debug)]
pub enum Kept {
    /// A credential was added.
    CredentialAdded(Result<CredentialSummary, Failure>),
    /// One was removed.
    CredentialRemoved(CredentialName, Result<(), Failure>),
    /// The hosts of the SSH client's configuration.
    Aliases(Result<Vec<Importable>, Failure>),
    /// Hosts were added; the first that was not, and why.
    HostsAdded(Vec<HostName>, Option<(HostName, Failure)>),
    /// The read-only of hosts was lifted for so long.
    Lifted(Duration, Result<(), Failure>),
    /// What a rotation would do.
    RotationPlanned(Result<RotationPlan, Failure>),
    /// What became of one host.
    HostMoved(Result<Vec<String>, Failure>),
    /// What became of the old key on one host.
    KeyRetired(Result<String, Failure>),
    /// How the names stand.
    RotationFinished(Result<Finished, Failure>),
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
            Self::ReadAliases => Kept::Aliases(handle.importable().await),
            Self::AddHosts(specs) => add_hosts(handle, specs).await,
            Self::Lift(hosts, lasting) => {
                Kept::Lifted(lasting, handle.lift_read_only(hosts, lasting).await)
            }
            Self::PlanRotation(name) => {
                Kept::RotationPlanned(handle.plan_rotation(name, Vec::new()).await)
            }
            Self::MoveHost(name, host) => {
                Kept::HostMoved(handle.move_host(host, Some(name), None).await)
            }
            Self::RetireKey(name, host) => Kept::KeyRetired(handle.retire_key(host, name).await),
            Self::FinishRotation(name, keep_old) => {
                Kept::RotationFinished(handle.finish_rotation(name, keep_old).await)
            }
        }
    }
}

impl Kept {
    /// Shows it.
    pub fn take(self, app: &mut App) -> Vec<Effect> {
        match self {
            Self::CredentialAdded(result) => added(app, result),
            Self::CredentialRemoved(_, Err(cause)) | Self::Lifted(_, Err(cause)) => {
                app.fail(&cause);
            }
            Self::CredentialRemoved(name, Ok(())) => {
                app.say(Role::Success, format!("removed credential {name}"));
            }
            Self::Aliases(found) => import::read(app, found),
            Self::HostsAdded(names, failed) => import::added(app, &names, failed),
            Self::Lifted(lasting, Ok(())) if lasting.is_zero() => {
                app.say(Role::Success, "read-only again");
            }
            Self::Lifted(lasting, Ok(())) => {
                let text = format!("changes are allowed for {}", Span(lasting));
                app.say(Role::Warning, text);
            }
            Self::RotationPlanned(plan) => rotation::planned(app, plan),
            Self::HostMoved(result) => return rotation::moved(app, result),
            Self::KeyRetired(result) => return rotation::retired(app, result),
            Self::RotationFinished(result) => rotation::finished(app, result),
        }
        if app.screen == Screen::Profile {
            return vec![Effect::Credentials];
        }
        Vec::new()
    }
}

async fn add_hosts(handle: &FleetHandle, specs: Vec<HostSpec>) -> Kept {
    let mut names = Vec::new();
    for spec in specs {
        let name = spec.name.clone();
        match handle.upsert_host(spec).await {
            Ok(id) => {
                // A host that was just chosen is meant to be seen.
                drop(handle.connect(HostSelection::Only(vec![id])).await);
                names.push(name);
            }
            Err(cause) => return Kept::HostsAdded(names, Some((name, cause))),
        }
    }
    Kept::HostsAdded(names, None)
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
