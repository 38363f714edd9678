//! Making and keeping credentials: a new key, a key file, a password, the agent. Sealing needs no unlocked
//! profile, only its public half. What is secret goes from whoever typed or read it into the seal, and is
//! wiped behind it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::keeper::Keeper;
use super::record;
use crate::domain::credential::{
    CredentialId, CredentialKind, CredentialName, CredentialSecret, CredentialSummary,
    NewCredential,
};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::operation::Actor;
use crate::domain::secret::SecretText;
use crate::profile::{Profile, ProfileError};
use crate::transport::ssh::key::{self, KeyError, KeyFacts};
use crate::transport::ssh::keygen;
use crate::vault::{SealContext, Vault};

/// Bytes of a key or certificate that are read.
const MAX_BYTES: u64 = 64 * 1024;

/// Where a credential that is to be added comes from.
#[derive(Debug, Clone)]
pub enum NewSecret {
    /// A new ed25519 key.
    Generate,
    /// A private key file of this machine, sealed as it is now.
    KeyFile {
        /// Where it is; `~/` is the home directory.
        path: PathBuf,
        /// Its own passphrase.
        passphrase: Option<SecretText>,
    },
    /// A password.
    Password(SecretText),
    /// Whatever the SSH agent holds.
    Agent,
}

/// What can be asked about credentials.
#[derive(Debug)]
pub enum CredentialRequest {
    /// Add one.
    Add {
        /// Its name.
        name: CredentialName,
        /// Where it comes from.
        secret: NewSecret,
        /// Who wants it, for the record.
        actor: Option<Actor>,
        /// What may be shown of it.
        reply: oneshot::Sender<Result<CredentialSummary, Failure>>,
    },
    /// Remove one that no host uses.
    Remove {
        /// Its name.
        name: CredentialName,
        /// Who wants it, for the record.
        actor: Option<Actor>,
        /// Done.
        reply: oneshot::Sender<Result<(), Failure>>,
    },
}

/// A credential about to be kept.
#[derive(Debug)]
pub struct Made {
    /// Sort.
    pub kind: CredentialKind,
    /// What is sealed; `None` where nothing is secret.
    pub secret: Option<CredentialSecret>,
    /// What may be shown of a key.
    pub facts: Option<KeyFacts>,
}

impl Made {
    /// Makes a new ed25519 key.
    pub fn generated(name: &CredentialName) -> Result<Self, Failure> {
        let made = keygen::ed25519(&format!("vmdeck {name}"));
        let (pem, facts) = made.map_err(|error| unusable("the new key", &error))?;
        Ok(Self::key(pem, None, None, facts))
    }

    /// Takes a private key that was looked at.
    pub const fn key(
        pem: SecretText,
        passphrase: Option<SecretText>,
        certificate: Option<String>,
        facts: KeyFacts,
    ) -> Self {
        Self {
            kind: CredentialKind::PrivateKey,
            secret: Some(CredentialSecret::PrivateKey {
                pem,
                passphrase,
                certificate,
            }),
            facts: Some(facts),
        }
    }

    /// Takes a password.
    pub const fn password(password: SecretText) -> Self {
        Self {
            kind: CredentialKind::Password,
            secret: Some(CredentialSecret::Password(password)),
            facts: None,
        }
    }

    const fn agent() -> Self {
        Self {
            kind: CredentialKind::Agent,
            secret: None,
            facts: None,
        }
    }

    /// Names it for the record: what it is, never what is in it.
    pub fn words(&self, name: &CredentialName) -> String {
        let print = self.facts.as_ref().map(|facts| facts.fingerprint.as_str());
        words(name, self.kind, print)
    }

    /// Seals and keeps it under a name that is free; takes back the name where that fails.
    pub async fn keep(
        self,
        profile: &Profile,
        recipient: &str,
        (name, now): (CredentialName, Timestamp),
    ) -> Result<CredentialId, Failure> {
        let new = NewCredential {
            name,
            kind: self.kind,
            path: None,
            public_key: self.facts.as_ref().map(|facts| facts.public_line.clone()),
            fingerprint: self.facts.map(|facts| facts.fingerprint),
            created_at: now.to_string(),
        };
        let id = profile.reserve_credential(new).await;
        let id = id.map_err(could_not("add the credential"))?;
        if let Some(secret) = &self.secret {
            let context = SealContext::new(profile.id(), id);
            let sealed = Vault::seal(recipient, &context, secret);
            let sealed = sealed.map_err(could_not("seal the credential"))?;
            let kept = profile.store_sealed(id, sealed).await;
            kept.map_err(could_not("keep the credential"))?;
        }
        Ok(id)
    }
}

/// Names a credential for the record: what it is, never what is in it.
pub fn words(name: &CredentialName, kind: CredentialKind, fingerprint: Option<&str>) -> String {
    let print = fingerprint.map_or_else(String::new, |print| format!(", {print}"));
    format!("{name}, {}{print}", kind.word())
}

/// Says that a key cannot be used.
pub fn unusable(what: &str, error: &KeyError) -> Failure {
    let hint = if *error == KeyError::NeedsPassphrase {
        "give its own passphrase as well"
    } else {
        "nothing was added"
    };
    refuse(format!("could not use {what}: {error}"), hint)
}

fn refuse(message: String, hint: &str) -> Failure {
    Failure::new(ErrorKind::Usage, message).with_hint(hint)
}

fn could_not<E: crate::domain::error_kind::Classify>(what: &str) -> impl FnOnce(E) -> Failure + '_ {
    move |error| {
        let mut failure = Failure::of(&error);
        failure.message = format!("could not {what}: {}", failure.message);
        failure
    }
}

/// Reads a key or a certificate; blocks.
pub fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let name = path.display().to_string();
    let file = File::open(path)
        .map_err(|error| refuse(format!("could not open {name}: {error}"), "check the path"))?;
    read_all(file, &name)
}

/// Reads everything there is, up to a bound; blocks.
pub fn read_all(from: impl Read, name: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Room for all of it, so that growing never leaves a copy behind.
    let room = usize::try_from(MAX_BYTES + 1).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let read = from.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    let wrong = |why: &str| refuse(format!("could not read {name}: {why}"), "nothing was added");
    read.map_err(|error| wrong(&error.to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(wrong("it is larger than 64 KiB"));
    }
    Ok(bytes)
}

/// Takes what was read for the text of a private key.
pub fn as_pem(bytes: &Zeroizing<Vec<u8>>, what: &str) -> Result<SecretText, Failure> {
    String::from_utf8(bytes.to_vec())
        .map(SecretText::new)
        .map_err(|_not_utf8| unusable(what, &KeyError::NotAKey))
}

/// Reads the certificate that belongs to a key: the one that is named, or the one beside the key file; blocks.
pub fn certificate(named: Option<&Path>, beside: Option<&Path>) -> Result<Option<String>, Failure> {
    let beside = beside.map(|key| {
        let mut name = key.to_owned().into_os_string();
        name.push("-cert.pub");
        PathBuf::from(name)
    });
    let path = match (named, beside) {
        (Some(path), _) => path.to_owned(),
        (None, Some(beside)) if beside.is_file() => beside,
        (None, _) => return Ok(None),
    };
    let bytes = read_file(&path)?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.contains("-cert-v01@openssh.com ") {
        Ok(Some(text))
    } else {
        let message = format!("{} is no OpenSSH certificate", path.display());
        Err(refuse(message, "nothing was added"))
    }
}

/// Makes what is to be kept; blocks, for a key's own passphrase takes its time.
fn make(name: &CredentialName, secret: NewSecret, home: Option<&Path>) -> Result<Made, Failure> {
    match secret {
        NewSecret::Generate => Made::generated(name),
        NewSecret::Password(password) => Ok(Made::password(password)),
        NewSecret::Agent => Ok(Made::agent()),
        NewSecret::KeyFile { path, passphrase } => {
            let path = match (path.strip_prefix("~"), home) {
                (Ok(rest), Some(home)) => home.join(rest),
                _ => path,
            };
            let what = path.display().to_string();
            let pem = as_pem(&read_file(&path)?, &what)?;
            let facts = key::describe(&pem, passphrase.as_ref());
            let facts = facts.map_err(|error| unusable(&what, &error))?;
            let own = passphrase.filter(|_| facts.protected);
            let certificate = certificate(None, Some(&path))?;
            Ok(Made::key(pem, own, certificate, facts))
        }
    }
}

/// Refuses what the profile would refuse, before anything is written down.
fn removable(all: &[CredentialSummary], name: &CredentialName) -> Result<String, Failure> {
    let Some(found) = all.iter().find(|credential| credential.name == *name) else {
        let name = name.to_string();
        return Err(Failure::of(&ProfileError::UnknownCredential { name }));
    };
    if !found.used_by.is_empty() {
        let (name, hosts) = (name.clone(), found.used_by.clone());
        return Err(Failure::of(&ProfileError::CredentialInUse { name, hosts }));
    }
    Ok(words(name, found.kind, found.fingerprint.as_deref()))
}

impl Keeper {
    /// Carries out what is asked about credentials.
    pub(super) async fn credential(self, request: CredentialRequest) {
        match request {
            CredentialRequest::Add {
                name,
                secret,
                actor,
                reply,
            } => {
                let keeper = self.by(actor);
                let added = keeper.add_credential(name, secret).await;
                crate::task::send_or_gone(reply, added);
            }
            CredentialRequest::Remove { name, actor, reply } => {
                let keeper = self.by(actor);
                let removed = keeper.remove_credential(&name).await;
                crate::task::send_or_gone(reply, removed);
            }
        }
    }

    async fn add_credential(
        &self,
        name: CredentialName,
        secret: NewSecret,
    ) -> Result<CredentialSummary, Failure> {
        let (named, home) = (name.clone(), self.home.clone());
        let making = tokio::task::spawn_blocking(move || make(&named, secret, home.as_deref()));
        let made = making.await.map_err(|_panicked| {
            Failure::new(
                ErrorKind::Usage,
                "the key cannot be used: its decoder failed",
            )
        })??;
        let _turn = self.turn.acquire().await;
        self.keep_credential(&name, made).await
    }

    /// Records and keeps a credential under a name that is free.
    pub(super) async fn keep_credential(
        &self,
        name: &CredentialName,
        made: Made,
    ) -> Result<CredentialSummary, Failure> {
        let failed = |error: ProfileError| Failure::of(&error);
        let identity = self.profile.identity().await.map_err(failed)?;
        let Some(identity) = identity else {
            let message = "the profile has no passphrase yet, so it cannot keep secrets";
            return Err(
                Failure::new(ErrorKind::Locked, message).with_hint("set it first: `:` unlock")
            );
        };
        let all = self.profile.credentials().await.map_err(failed)?;
        if all.iter().any(|credential| credential.name == *name) {
            let name = name.clone();
            return Err(failed(ProfileError::DuplicateCredential { name }));
        }
        let now = self.clock.now();
        let entry = record::note("credential-added", "ok", made.words(name), now);
        let recorded = self.record(entry).await;
        recorded.map_err(|error| error.refusal("the change"))?;
        let kept = made.keep(&self.profile, &identity.recipient, (name.clone(), now));
        kept.await?;
        let all = self.profile.credentials().await.map_err(failed)?;
        let found = all.into_iter().find(|credential| credential.name == *name);
        found.ok_or_else(|| {
            Failure::new(ErrorKind::Conflict, "the credential was removed meanwhile")
        })
    }

    async fn remove_credential(&self, name: &CredentialName) -> Result<(), Failure> {
        let _turn = self.turn.acquire().await;
        let failed = |error: ProfileError| Failure::of(&error);
        let all = self.profile.credentials().await.map_err(failed)?;
        let details = removable(&all, name)?;
        let now = self.clock.now();
        let entry = record::note("credential-removed", "ok", details, now);
        let recorded = self.record(entry).await;
        recorded.map_err(|error| error.refusal("the change"))?;
        self.profile.remove_credential(name).await.map_err(failed)
    }
}
