//! A profile as the server works with it: opened with the server's own vault, its credentials sealed and
//! opened on behalf of somebody who is not there to type a passphrase.

use std::path::Path;

use tokio::sync::Semaphore;

use crate::accounts::{Accounts, AccountsError};
use crate::clock::Clock;
use crate::domain::credential::{
    CredentialKind, CredentialName, CredentialSecret, CredentialSummary, NewCredential,
    WrappedIdentity,
};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::profile::{Profile, ProfileError, ProfileName};
use crate::transport::ssh::key::{self, KeyFacts};
use crate::vault::{SealContext, Vault};

/// Keys that are looked at at the same time: each may cost a second of a processor.
static LOOKS: Semaphore = Semaphore::const_new(2);

/// An open profile of a user.
#[derive(Debug, Clone)]
pub struct ServedProfile {
    /// The profile.
    pub profile: Profile,
    /// Its vault; locked when its secrets were not granted.
    pub vault: Vault,
    /// Whether the server made it for a user: nothing of this machine's SSH is used for it.
    pub made: bool,
    accounts: Accounts,
    clock: Clock,
}

fn failure(error: &(impl crate::domain::error_kind::Classify + ?Sized)) -> Failure {
    Failure::of(error)
}

fn name_of(profile: &str) -> Result<ProfileName, Failure> {
    profile
        .parse()
        .map_err(|error| Failure::new(ErrorKind::Usage, format!("`{profile}`: {error}")))
}

impl ServedProfile {
    /// Opens a profile that was granted. `server` is the server's own vault; while it is locked, what
    /// needs no secret works.
    pub async fn open(
        root: &Path,
        accounts: &Accounts,
        server: &Vault,
        profile: &str,
        clock: &Clock,
    ) -> Result<Self, Failure> {
        let not_granted = || {
            failure(&AccountsError::NotGranted {
                profile: profile.to_owned(),
            })
        };
        let grant = accounts.granted(profile).await;
        let grant = grant
            .map_err(|error| failure(&error))?
            .ok_or_else(not_granted)?;
        let opened = Profile::open(root, &name_of(profile)?)
            .await
            .map_err(|error| failure(&error))?;
        // A profile that was removed and made anew under the same name was never granted.
        if opened.id() != grant.profile_id {
            return Err(not_granted());
        }
        let vault = match grant.sealed {
            Some(blob) if server.is_unlocked() => server
                .open_entrusted(opened.id(), &blob)
                .map_err(|error| failure(&error))?,
            _ => Vault::new(None),
        };
        Ok(Self {
            profile: opened,
            vault,
            made: grant.made,
            accounts: accounts.clone(),
            clock: clock.clone(),
        })
    }

    /// Makes a profile for a user, or takes the one that was made before.
    pub async fn create(root: &Path, accounts: &Accounts, profile: &str) -> Result<(), Failure> {
        match Profile::create(root, &name_of(profile)?).await {
            Ok(made) => accounts
                .grant(profile, made.id(), None, true)
                .await
                .map_err(|error| failure(&error)),
            Err(ProfileError::Exists { .. }) => {
                let granted = accounts.granted(profile).await;
                match granted.map_err(|error| failure(&error))? {
                    Some(_) => Ok(()),
                    None => Err(Failure::new(
                        ErrorKind::Conflict,
                        format!(
                            "there is a profile `{profile}` that was not granted to the server"
                        ),
                    )),
                }
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Returns what credentials are sealed to; the first time, makes an identity that the server opens.
    async fn identity(&self) -> Result<WrappedIdentity, Failure> {
        let stored = self.profile.identity().await;
        if let Some(identity) = stored.map_err(|error| failure(&error))? {
            return Ok(identity);
        }
        let server = self.accounts.identity().await;
        let server = server.map_err(|error| failure(&error))?.ok_or_else(|| {
            Failure::new(
                ErrorKind::Locked,
                "the server has no passphrase yet, so it cannot keep secrets",
            )
            .with_hint(
                "start it once with `--passphrase-fd N`, VMDECK_PASSPHRASE_FILE or a systemd \
                 credential `vmdeck-passphrase`: that sets it",
            )
        })?;
        let (_, made) = Vault::create_entrusted(&server.recipient, self.profile.id())
            .map_err(|error| failure(&error))?;
        // First where the server finds it: a profile whose identity nobody can open is lost.
        let sealed = Some(made.wrapped.clone());
        self.accounts
            .grant(
                self.profile.name().as_str(),
                self.profile.id(),
                sealed,
                self.made,
            )
            .await
            .map_err(|error| failure(&error))?;
        self.profile
            .set_identity(made.clone())
            .await
            .map_err(|error| failure(&error))?;
        Ok(made)
    }

    /// Opens the vault of a profile whose identity was made after it was opened.
    pub async fn unlock(&self, server: &Vault) -> Result<(), Failure> {
        if self.vault.is_unlocked() {
            return Ok(());
        }
        let grant = self.accounts.granted(self.profile.name().as_str()).await;
        let sealed = grant
            .map_err(|error| failure(&error))?
            .and_then(|grant| grant.sealed);
        if let Some(blob) = sealed {
            let opened = server
                .open_entrusted(self.profile.id(), &blob)
                .map_err(|error| failure(&error))?;
            self.vault.take_over(&opened);
        }
        Ok(())
    }

    /// Seals a credential, in place of one of that name. A key that cannot be used is refused.
    pub async fn set_credential(
        &self,
        name: &CredentialName,
        secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        let facts = look_at(&secret).await?;
        self.seal(name, secret, facts).await
    }

    /// Seals a credential, in place of one of that name. A key that cannot be used is kept as well: the
    /// login with it will say so.
    pub async fn keep_credential(
        &self,
        name: &CredentialName,
        secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        let facts = look_at(&secret).await.unwrap_or_else(|failure| {
            tracing::info!(credential = %name, %failure, "a key is kept that cannot be used");
            None
        });
        self.seal(name, secret, facts).await
    }

    async fn seal(
        &self,
        name: &CredentialName,
        secret: CredentialSecret,
        facts: Option<KeyFacts>,
    ) -> Result<CredentialSummary, Failure> {
        let identity = self.identity().await?;
        let new = NewCredential {
            name: name.clone(),
            kind: match secret {
                CredentialSecret::PrivateKey { .. } => CredentialKind::PrivateKey,
                CredentialSecret::Password(_) => CredentialKind::Password,
            },
            path: None,
            public_key: facts.as_ref().map(|facts| facts.public_line.clone()),
            fingerprint: facts.map(|facts| facts.fingerprint),
            created_at: self.clock.now().to_string(),
        };
        let seal = |id| {
            let context = SealContext::new(self.profile.id(), id);
            Vault::seal(&identity.recipient, &context, &secret).map_err(|error| failure(&error))
        };
        let there = self.profile.sealed_credential(name).await;
        match there {
            Ok(there) => {
                let blob = seal(there.id)?;
                self.profile
                    .replace_credential(there.id, new, blob)
                    .await
                    .map_err(|error| failure(&error))?;
            }
            Err(ProfileError::UnknownCredential { .. }) => {
                let id = self.profile.reserve_credential(new).await;
                let id = id.map_err(|error| failure(&error))?;
                self.profile
                    .store_sealed(id, seal(id)?)
                    .await
                    .map_err(|error| failure(&error))?;
            }
            Err(error) => return Err(failure(&error)),
        }
        let all = self.profile.credentials().await;
        all.map_err(|error| failure(&error))?
            .into_iter()
            .find(|credential| credential.name == *name)
            .ok_or_else(|| {
                Failure::new(ErrorKind::Conflict, "the credential was removed meanwhile")
            })
    }

    /// Removes a credential that no host uses.
    pub async fn remove_credential(&self, name: &CredentialName) -> Result<(), Failure> {
        let removed = self.profile.remove_credential(name).await;
        removed.map_err(|error| failure(&error))
    }

    /// Opens a credential.
    pub async fn export_credential(
        &self,
        name: &CredentialName,
    ) -> Result<CredentialSecret, Failure> {
        let stored = self.profile.sealed_credential(name).await;
        let stored = stored.map_err(|error| failure(&error))?;
        let blob = stored.blob.ok_or_else(|| {
            Failure::new(
                ErrorKind::NotFound,
                format!("credential `{name}` holds no secret"),
            )
        })?;
        let context = SealContext::new(self.profile.id(), stored.id);
        self.vault
            .open_unattended(&context, &blob)
            .map_err(|error| failure(&error))
    }
}

/// Looks at a secret before it is kept; says nothing of it but what is public.
async fn look_at(secret: &CredentialSecret) -> Result<Option<KeyFacts>, Failure> {
    let CredentialSecret::PrivateKey {
        pem, passphrase, ..
    } = secret
    else {
        return Ok(None);
    };
    // The semaphore is never closed.
    let _place = LOOKS.acquire().await.ok();
    let (pem, passphrase) = (pem.clone(), passphrase.clone());
    let looked =
        tokio::task::spawn_blocking(move || key::describe(&pem, passphrase.as_ref())).await;
    match looked {
        Ok(Ok(facts)) => Ok(Some(facts)),
        Ok(Err(error)) => Err(Failure::new(
            ErrorKind::Usage,
            format!("the private key cannot be used: {error}"),
        )),
        Err(_panicked) => Err(Failure::new(
            ErrorKind::Usage,
            "the private key cannot be used: its decoder failed",
        )),
    }
}

/// Opens the server's vault. The first time a passphrase is given, it becomes the server's.
pub async fn open_server_vault(
    accounts: &Accounts,
    passphrase: Option<crate::domain::secret::SecretText>,
) -> Result<Vault, Failure> {
    let vault = Vault::new(None);
    let stored = accounts.identity().await.map_err(|error| failure(&error))?;
    match (stored, passphrase) {
        (Some(identity), Some(passphrase)) => vault
            .unlock(&identity, &passphrase)
            .await
            .map_err(|error| failure(&error))?,
        (None, Some(passphrase)) => {
            passphrase
                .fits_as_new()
                .map_err(|why| failure(&super::passphrase::PassphraseError::from(why)))?;
            let made = vault.create_identity(&passphrase).await;
            let made = made.map_err(|error| failure(&error))?;
            accounts
                .set_identity(made)
                .await
                .map_err(|error| failure(&error))?;
        }
        (_, None) => {}
    }
    Ok(vault)
}
