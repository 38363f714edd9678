//! Tenants: one fleet per profile, started on first use, each with its own sessions and errors.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::accounts::Accounts;
use crate::domain::audit::AuditEntry;
use crate::domain::credential::{CredentialName, CredentialSecret, CredentialSummary};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::fleet::FleetHandle;
use crate::fleet::request::HostSelection;

/// Where fleets come from. The program's own opens profiles; a test's starts fleets on doubles.
#[async_trait]
pub trait Fleets: Send + Sync + fmt::Debug {
    /// Starts the fleet of a profile that was granted to the server.
    async fn open(&self, profile: &str) -> Result<FleetHandle, Failure>;

    /// Ends the fleet of a profile in order; returns how many operations were left as unknown.
    async fn close(&self, profile: &str, grace: Duration) -> usize;

    /// Makes a profile for a new user, with secrets that only the server can open. A profile that the
    /// server made for that user before is fine.
    async fn create(&self, profile: &str) -> Result<(), Failure>;

    /// Seals a credential into a profile, in place of one of that name. The key is looked at first;
    /// one that cannot be used is refused as `Usage`.
    async fn set_credential(
        &self,
        profile: &str,
        name: &CredentialName,
        secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure>;

    /// The same for a key that may be anything: one that cannot be used is kept, and the login with it
    /// says so. The portal contract promises no more.
    async fn keep_credential(
        &self,
        profile: &str,
        name: &CredentialName,
        secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        self.set_credential(profile, name, secret).await
    }

    /// Removes a credential that no host uses.
    async fn remove_credential(&self, profile: &str, name: &CredentialName) -> Result<(), Failure>;

    /// Opens a credential. Whether that is allowed has been decided before.
    async fn export_credential(
        &self,
        profile: &str,
        name: &CredentialName,
    ) -> Result<CredentialSecret, Failure>;

    /// Records something that is no action on a VM in the audit log of a profile, durably.
    async fn note(&self, profile: &str, entry: AuditEntry) -> Result<(), Failure>;

    /// Says whether an earlier run of the program has left actions in the audit log of a profile that
    /// have no end.
    async fn has_unfinished(&self, _profile: &str) -> Result<bool, Failure> {
        Ok(false)
    }
}

/// A fleet, or a place where one is being started.
type Place = Arc<OnceCell<FleetHandle>>;

/// The fleets of the profiles. Cloning is cheap; clones share them.
#[derive(Debug, Clone)]
pub struct Tenants {
    accounts: Accounts,
    fleets: Arc<dyn Fleets>,
    open: Arc<Mutex<HashMap<String, Place>>>,
    most: usize,
}

impl Tenants {
    /// Begins with none; at most `most` are started.
    pub fn new(accounts: Accounts, fleets: Arc<dyn Fleets>, most: u32) -> Self {
        Self {
            accounts,
            fleets,
            open: Arc::default(),
            most: usize::try_from(most).unwrap_or(usize::MAX),
        }
    }

    /// Returns where fleets come from.
    pub fn fleets(&self) -> &dyn Fleets {
        self.fleets.as_ref()
    }

    /// Returns the fleet of a profile; starts it, and its sessions, on first use. Other profiles do
    /// not wait for that.
    pub async fn fleet(&self, profile: &str) -> Result<FleetHandle, Failure> {
        let place = self.place(profile)?;
        let started = place
            .get_or_try_init(|| async {
                let handle = self.fleets.open(profile).await?;
                handle.connect(HostSelection::All).await?;
                Ok(handle)
            })
            .await;
        match started {
            Ok(handle) => Ok(handle.clone()),
            Err(failure) => {
                self.give_up(profile, &place);
                Err(failure)
            }
        }
    }

    /// Starts the fleets of profiles in which an earlier run has left actions without an end: a fleet
    /// that starts records them as unknown. The others wait for their first use.
    pub async fn resume(&self) {
        let grants = match self.accounts.grants().await {
            Ok(grants) => grants,
            Err(error) => {
                tracing::warn!(%error, "what an earlier run has left could not be looked for");
                return;
            }
        };
        for grant in grants {
            let profile = grant.profile;
            let resumed = match self.fleets.has_unfinished(&profile).await {
                Ok(false) => Ok(()),
                Ok(true) => self.fleet(&profile).await.map(drop),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = resumed {
                tracing::warn!(%profile, %failure, "what an earlier run has left stays open");
            }
        }
    }

    /// Returns the fleets that run, with their profiles, ordered by profile.
    pub fn running(&self) -> Vec<(String, FleetHandle)> {
        let open = self.lock();
        let mut all: Vec<(String, FleetHandle)> = open
            .iter()
            .filter_map(|(profile, place)| Some((profile.clone(), place.get()?.clone())))
            .collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Ends the fleet of one profile.
    pub async fn close(&self, profile: &str, grace: Duration) -> usize {
        let place = self.lock().remove(profile);
        match place {
            Some(place) if place.initialized() => self.fleets.close(profile, grace).await,
            _ => 0,
        }
    }

    /// Ends every fleet, all at once; returns how many operations were left as unknown.
    pub async fn close_all(&self, grace: Duration) -> usize {
        let profiles: Vec<String> = self.running().into_iter().map(|(name, _)| name).collect();
        let closing = profiles.iter().map(|profile| self.close(profile, grace));
        futures_util::future::join_all(closing)
            .await
            .into_iter()
            .sum()
    }

    /// Ends the fleets of profiles that were taken back meanwhile.
    pub async fn close_ungranted(&self, grace: Duration) {
        for (profile, _) in self.running() {
            if matches!(self.accounts.granted(&profile).await, Ok(None)) {
                tracing::info!(%profile, "the profile was taken back");
                self.close(&profile, grace).await;
            }
        }
    }

    fn place(&self, profile: &str) -> Result<Place, Failure> {
        let mut open = self.lock();
        if let Some(place) = open.get(profile) {
            return Ok(Arc::clone(place));
        }
        if open.len() >= self.most {
            let why = "the server serves as many profiles as it may";
            return Err(Failure::new(ErrorKind::Busy, why)
                .with_hint("raise `serve.limit.fleets`, or run a second server"));
        }
        let place = Place::default();
        open.insert(profile.to_owned(), Arc::clone(&place));
        Ok(place)
    }

    /// Forgets a place where nothing could be started, unless somebody else has meanwhile.
    fn give_up(&self, profile: &str, place: &Place) {
        let mut open = self.lock();
        let still_ours = open
            .get(profile)
            .is_some_and(|there| Arc::ptr_eq(there, place) && !there.initialized());
        if still_ours {
            open.remove(profile);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Place>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
