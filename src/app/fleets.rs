//! Where the server's fleets come from: profiles that were granted to it, each opened on its own with a
//! task group, a vault and an audit log of its own.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::accounts::Accounts;
use crate::audit::{AuditLog, AuditOptions};
use crate::clock::Clock;
use crate::config::Hook;
use crate::domain::audit::AuditEntry;
use crate::domain::credential::{CredentialName, CredentialSecret, CredentialSummary};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::policy::Rule;
use crate::fleet::FleetHandle;
use crate::fleet::engine::{self, FleetOptions, FleetSetup};
use crate::fleet::target::LoginOptions;
use crate::hooks;
use crate::hypervisor::InstalledDrivers;
use crate::manage::served::ServedProfile;
use crate::serve::Fleets;
use crate::task::Tasks;
use crate::transport::Connector;
use crate::vault::Vault;

/// How long the tasks of a fleet may take to notice that they are to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What every fleet of the server is made with.
#[derive(Clone)]
pub struct FleetParts {
    /// The directory that holds the profiles.
    pub root: PathBuf,
    /// What is granted.
    pub accounts: Accounts,
    /// The server's own vault.
    pub vault: Vault,
    /// What dials for profiles of people on this machine.
    pub connector: Arc<dyn Connector>,
    /// What dials for profiles that the server made: without this machine's SSH agent.
    pub strangers: Arc<dyn Connector>,
    /// How long one read of a host's states and figures may take.
    pub read_within: Duration,
    /// What may be done.
    pub policy: Arc<[Rule]>,
    /// Refuse everything that changes a VM.
    pub read_only: bool,
    /// Wall time.
    pub clock: Clock,
    /// Rhythm and logins.
    pub options: FleetOptions,
    /// How the audit logs are kept.
    pub audit: AuditOptions,
    /// What is run when something happens.
    pub hooks: Arc<[Hook]>,
}

impl fmt::Debug for FleetParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetParts")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// One fleet with what keeps it alive.
#[derive(Debug, Clone)]
struct Served {
    profile: ServedProfile,
    audit: AuditLog,
    handle: FleetHandle,
    tasks: Tasks,
}

/// The fleets of granted profiles.
#[derive(Debug)]
pub struct ServedFleets {
    parts: FleetParts,
    open: Mutex<HashMap<String, Served>>,
}

fn failure(error: &(impl crate::domain::error_kind::Classify + ?Sized)) -> Failure {
    Failure::of(error)
}

impl ServedFleets {
    /// Begins with none.
    pub fn new(parts: FleetParts) -> Self {
        Self {
            parts,
            open: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Served>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn served(&self, profile: &str) -> Option<Served> {
        self.lock().get(profile).cloned()
    }

    /// Returns a profile: that of its running fleet, or one opened for this once.
    async fn profile(&self, profile: &str) -> Result<ServedProfile, Failure> {
        if let Some(served) = self.served(profile) {
            return Ok(served.profile);
        }
        let parts = &self.parts;
        ServedProfile::open(
            &parts.root,
            &parts.accounts,
            &parts.vault,
            profile,
            &parts.clock,
        )
        .await
    }

    async fn audit(&self, profile: &ServedProfile) -> Result<AuditLog, Failure> {
        let dir = profile.profile.audit_dir();
        let clock = self.parts.clock.clone();
        let opened = AuditLog::open_with(&dir, clock, self.parts.audit).await;
        let (audit, _recovered) = opened.map_err(|error| failure(&error))?;
        Ok(audit)
    }
}

#[async_trait]
impl Fleets for ServedFleets {
    async fn open(&self, profile: &str) -> Result<FleetHandle, Failure> {
        if let Some(served) = self.served(profile) {
            return Ok(served.handle);
        }
        let parts = &self.parts;
        let opened = self.profile(profile).await?;
        let audit = self.audit(&opened).await?;
        let tasks = Tasks::new();
        let mut options = parts.options.clone();
        let mut connector = Arc::clone(&parts.connector);
        if opened.made {
            // Its hosts were named by somebody from elsewhere: they get nothing of this machine's.
            options.login = LoginOptions::default();
            options.ssh_config = None;
            connector = Arc::clone(&parts.strangers);
        }
        let handle = engine::start(FleetSetup {
            profile: opened.profile.clone(),
            vault: opened.vault.clone(),
            audit: audit.clone(),
            connector,
            // To each its own: drivers know hosts by numbers that mean something in one profile only.
            drivers: Arc::new(InstalledDrivers {
                read_within: parts.read_within,
                ..InstalledDrivers::new(parts.clock.clone())
            }),
            policy: Arc::clone(&parts.policy),
            read_only: parts.read_only,
            clock: parts.clock.clone(),
            tasks: tasks.clone(),
            options,
        })
        .await?;
        hooks::start(&parts.hooks, &handle, &tasks);
        let served = Served {
            profile: opened,
            audit,
            handle: handle.clone(),
            tasks,
        };
        self.lock().insert(profile.to_owned(), served);
        tracing::info!(profile, "a fleet was started");
        Ok(handle)
    }

    async fn close(&self, profile: &str, grace: Duration) -> usize {
        let served = self.lock().remove(profile);
        let Some(served) = served else { return 0 };
        let left = served.handle.shutdown(grace).await.unwrap_or_default();
        served.tasks.cancel();
        if !served.tasks.wait(LAST_WORDS).await {
            tracing::warn!(profile, "some tasks of the fleet did not end in time");
        }
        served.profile.vault.lock();
        left
    }

    async fn create(&self, profile: &str) -> Result<(), Failure> {
        ServedProfile::create(&self.parts.root, &self.parts.accounts, profile).await
    }

    async fn set_credential(
        &self,
        profile: &str,
        name: &CredentialName,
        secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        let served = self.profile(profile).await?;
        let kept = served.set_credential(name, secret).await?;
        served.unlock(&self.parts.vault).await?;
        Ok(kept)
    }

    async fn keep_credential(
        &self,
        profile: &str,
        name: &CredentialName,
        secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        let served = self.profile(profile).await?;
        let kept = served.keep_credential(name, secret).await?;
        served.unlock(&self.parts.vault).await?;
        Ok(kept)
    }

    async fn remove_credential(&self, profile: &str, name: &CredentialName) -> Result<(), Failure> {
        self.profile(profile).await?.remove_credential(name).await
    }

    async fn export_credential(
        &self,
        profile: &str,
        name: &CredentialName,
    ) -> Result<CredentialSecret, Failure> {
        self.profile(profile).await?.export_credential(name).await
    }

    async fn note(&self, profile: &str, entry: AuditEntry) -> Result<(), Failure> {
        let audit = if let Some(served) = self.served(profile) {
            served.audit
        } else {
            self.audit(&self.profile(profile).await?).await?
        };
        let appended = audit.append(entry).await;
        appended.map(drop).map_err(|error| Failure {
            kind: ErrorKind::Store,
            ..failure(&error)
        })
    }

    async fn has_unfinished(&self, profile: &str) -> Result<bool, Failure> {
        if self.served(profile).is_some() {
            return Ok(false);
        }
        let audit = self.audit(&self.profile(profile).await?).await?;
        let unfinished = audit.unfinished().await;
        unfinished
            .map(|left| !left.is_empty())
            .map_err(|error| failure(&error))
    }
}
