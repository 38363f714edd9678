//! The open identity, its idle lock, and what is derived from it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use age::secrecy::ExposeSecret;
use age::x25519;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::time::Instant;

use super::error::VaultError;
use super::seal::{self, SealContext};
use crate::domain::audit::AuditKey;
use crate::domain::credential::{CredentialSecret, WrappedIdentity};
use crate::domain::inventory::LockState;
use crate::domain::secret::SecretText;

/// How long a wrong passphrase is answered with silence.
const WRONG_PASSPHRASE_DELAY: Duration = Duration::from_secs(1);

/// Separates the audit key from any other use of the identity.
const AUDIT_SALT: &[u8] = b"vmdeck audit";
const AUDIT_INFO: &[u8] = b"chain mac 1";

/// The vault of one profile. Cloning is cheap; clones lock and unlock together.
#[derive(Clone)]
pub struct Vault {
    idle: Option<Duration>,
    cost: u8,
    open: Arc<Mutex<Option<Open>>>,
}

struct Open {
    /// Wiped by the age library when dropped.
    identity: x25519::Identity,
    audit_key: AuditKey,
    last_used: Instant,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_unlocked() {
            "Vault(unlocked)"
        } else {
            "Vault(locked)"
        })
    }
}

impl Vault {
    /// Makes a locked vault; `idle` is how long it stays open unused, `None` = until it is locked.
    pub fn new(idle: Option<Duration>) -> Self {
        Self {
            idle,
            cost: seal::WRITE_COST,
            open: Arc::default(),
        }
    }

    /// Makes a vault whose passphrase function costs next to nothing.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_tests(idle: Option<Duration>) -> Self {
        Self {
            cost: 2,
            ..Self::new(idle)
        }
    }

    /// Says whether secrets can be used, given what the profile has stored.
    pub fn state(&self, identity: Option<&WrappedIdentity>) -> LockState {
        if self.is_unlocked() {
            LockState::Unlocked
        } else if identity.is_some() {
            LockState::Locked
        } else {
            LockState::Empty
        }
    }

    /// Returns true while the identity is at hand. An idle vault locks itself when it is asked.
    pub fn is_unlocked(&self) -> bool {
        self.lock_if_idle().is_some()
    }

    /// Makes the profile's identity and wraps it with the passphrase; the vault is open afterwards.
    pub async fn create_identity(
        &self,
        passphrase: &SecretText,
    ) -> Result<WrappedIdentity, VaultError> {
        check_passphrase(passphrase)?;
        let (passphrase, cost) = (passphrase.clone(), self.cost);
        let (identity, wrapped) = blocking(move || {
            let identity = x25519::Identity::generate();
            let wrapped = seal::wrap(&identity, &passphrase, cost)?;
            Ok((identity, wrapped))
        })
        .await?;
        self.keep(identity);
        Ok(wrapped)
    }

    /// Opens the identity with the passphrase. A wrong one is answered late.
    pub async fn unlock(
        &self,
        identity: &WrappedIdentity,
        passphrase: &SecretText,
    ) -> Result<(), VaultError> {
        let opened = open_identity(identity, passphrase).await?;
        self.keep(opened);
        Ok(())
    }

    /// Wraps the same identity with another passphrase. Sealed credentials stay as they are.
    pub async fn rewrap(
        &self,
        identity: &WrappedIdentity,
        old: &SecretText,
        new: &SecretText,
    ) -> Result<WrappedIdentity, VaultError> {
        check_passphrase(new)?;
        let opened = open_identity(identity, old).await?;
        let (new, cost) = (new.clone(), self.cost);
        blocking(move || seal::wrap(&opened, &new, cost)).await
    }

    /// Seals the open identity to another vault's recipient, bound to the profile it belongs to. That
    /// vault can open the profile from then on, without its passphrase.
    pub fn entrust(&self, recipient: &str, profile: &str) -> Result<Vec<u8>, VaultError> {
        seal::entrust(&self.identity()?, recipient, profile)
    }

    /// Opens a profile's vault that was entrusted to this one. It stays open until it is locked.
    pub fn open_entrusted(&self, profile: &str, blob: &[u8]) -> Result<Self, VaultError> {
        let identity = seal::disclose(&self.identity()?, profile, blob)?;
        let opened = Self {
            idle: None,
            cost: self.cost,
            open: Arc::default(),
        };
        opened.keep(identity);
        Ok(opened)
    }

    /// Takes over what another vault has open.
    pub fn take_over(&self, other: &Self) {
        if let Ok(identity) = other.identity() {
            self.keep(identity);
        }
    }

    /// Makes an identity for a profile that no passphrase opens, only the vault of `recipient`.
    /// Returns the open vault, and the identity as it is to be kept by both.
    pub fn create_entrusted(
        recipient: &str,
        profile: &str,
    ) -> Result<(Self, WrappedIdentity), VaultError> {
        let identity = x25519::Identity::generate();
        let wrapped = WrappedIdentity {
            recipient: identity.to_public().to_string(),
            wrapped: seal::entrust(&identity, recipient, profile)?,
        };
        let vault = Self::new(None);
        vault.keep(identity);
        Ok((vault, wrapped))
    }

    /// Forgets the identity.
    pub fn lock(&self) {
        drop(self.guard().take());
    }

    /// Counts as use: the idle time starts again.
    pub fn touch(&self) {
        if let Some(open) = self.lock_if_idle().as_mut() {
            open.last_used = Instant::now();
        }
    }

    /// Returns when the vault will lock itself if nobody uses it; `None` = locked, or never.
    pub fn locks_at(&self) -> Option<Instant> {
        let idle = self.idle?;
        self.guard().as_ref().map(|open| open.last_used + idle)
    }

    /// Ends once the vault has locked itself because nobody used it. Locks at that very moment, so
    /// that the identity does not stay in memory until somebody asks; never ends without an idle time.
    pub async fn idle_out(&self) {
        loop {
            match self.locks_at() {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending::<()>().await,
            }
            if !self.is_unlocked() {
                return;
            }
        }
    }

    /// Seals a secret to a profile's public half. Needs no unlock.
    pub fn seal(
        recipient: &str,
        context: &SealContext,
        secret: &CredentialSecret,
    ) -> Result<Vec<u8>, VaultError> {
        seal::seal(recipient, context, secret)
    }

    /// Opens a sealed secret; counts as use.
    pub fn open(&self, context: &SealContext, blob: &[u8]) -> Result<CredentialSecret, VaultError> {
        self.touch();
        self.open_unattended(context, blob)
    }

    /// Opens a sealed secret for something that nobody has just asked for. Does not count as use: a
    /// host that is down and tried again and again must not keep the vault open for ever.
    pub fn open_unattended(
        &self,
        context: &SealContext,
        blob: &[u8],
    ) -> Result<CredentialSecret, VaultError> {
        seal::open(&self.identity()?, context, blob)
    }

    /// Returns the key of the audit log's MAC while the vault is open. Does not count as use.
    pub fn audit_key(&self) -> Option<AuditKey> {
        self.lock_if_idle()
            .as_ref()
            .map(|open| open.audit_key.clone())
    }

    fn identity(&self) -> Result<x25519::Identity, VaultError> {
        let guard = self.lock_if_idle();
        let open = guard.as_ref().ok_or(VaultError::Locked)?;
        Ok(open.identity.clone())
    }

    fn keep(&self, identity: x25519::Identity) {
        let audit_key = derive_audit_key(&identity);
        *self.guard() = Some(Open {
            identity,
            audit_key,
            last_used: Instant::now(),
        });
    }

    fn guard(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is open, after locking what has been idle for too long.
    fn lock_if_idle(&self) -> IdleChecked<'_> {
        let mut guard = self.guard();
        let expired = guard
            .as_ref()
            .zip(self.idle)
            .is_some_and(|(open, idle)| open.last_used.elapsed() >= idle);
        if expired {
            drop(guard.take());
        }
        IdleChecked(guard)
    }
}

/// The lock, held by somebody who has looked at the clock.
struct IdleChecked<'a>(MutexGuard<'a, Option<Open>>);

impl IdleChecked<'_> {
    fn is_some(&self) -> bool {
        self.0.is_some()
    }

    fn as_ref(&self) -> Option<&Open> {
        self.0.as_ref()
    }

    fn as_mut(&mut self) -> Option<&mut Open> {
        self.0.as_mut()
    }
}

fn check_passphrase(passphrase: &SecretText) -> Result<(), VaultError> {
    if passphrase.expose().is_empty() {
        Err(VaultError::EmptyPassphrase)
    } else {
        Ok(())
    }
}

async fn open_identity(
    identity: &WrappedIdentity,
    passphrase: &SecretText,
) -> Result<x25519::Identity, VaultError> {
    let (wrapped, passphrase) = (identity.clone(), passphrase.clone());
    let opened = blocking(move || seal::unwrap(&wrapped, &passphrase)).await;
    if matches!(opened, Err(VaultError::WrongPassphrase)) {
        tokio::time::sleep(WRONG_PASSPHRASE_DELAY).await;
    }
    opened
}

/// HKDF-SHA256 (RFC 5869) with one block of output.
fn derive_audit_key(identity: &x25519::Identity) -> AuditKey {
    let secret = identity.to_string();
    let prk = hmac(AUDIT_SALT, &[secret.expose_secret().as_bytes()]);
    AuditKey::new(hmac(&prk, &[AUDIT_INFO, &[1]]))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

async fn blocking<T, F>(job: F) -> Result<T, VaultError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, VaultError> + Send + 'static,
{
    tokio::task::spawn_blocking(job)
        .await
        .unwrap_or(Err(VaultError::Interrupted))
}
