//! Credentials: something to log in with. The sealed form lives in the profile, the open form only
//! between the vault and the transport's login step.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::secret::SecretText;

/// Identity of a credential inside its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialId(pub i64);

/// A credential name breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a credential name is 1 to 64 letters, digits, `-`, `_`, `.` or `@`")]
pub struct CredentialNameError;

/// A credential's name: unique in its profile.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialName(String);

impl CredentialName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for CredentialName {
    type Err = CredentialNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound = (1..=64).contains(&text.chars().count())
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || "-_.@".contains(c));
        if sound {
            Ok(Self(text.to_owned()))
        } else {
            Err(CredentialNameError)
        }
    }
}

impl TryFrom<String> for CredentialName {
    type Error = CredentialNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CredentialName> for String {
    fn from(name: CredentialName) -> Self {
        name.0
    }
}

/// What sort of thing a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A private key, sealed.
    PrivateKey,
    /// A password, sealed.
    Password,
    /// Use the SSH agent.
    Agent,
    /// A path to a key file on this machine.
    KeyFile,
}

impl CredentialKind {
    /// Returns the word shown in lists.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PrivateKey => "key",
            Self::Password => "password",
            Self::Agent => "agent",
            Self::KeyFile => "key file",
        }
    }
}

/// What may be shown of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSummary {
    /// Identity.
    pub id: CredentialId,
    /// Name.
    pub name: CredentialName,
    /// Sort.
    pub kind: CredentialKind,
    /// Public half in OpenSSH form, where there is one.
    pub public_key: Option<String>,
    /// SHA-256 fingerprint of the public half.
    pub fingerprint: Option<String>,
    /// Names of the hosts that use it.
    pub used_by: Vec<String>,
    /// When it was added (RFC 3339).
    pub created_at: String,
}

/// An open credential: what the transport logs in with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Ask the SSH agent.
    Agent,
    /// A private key in OpenSSH or PEM form.
    PrivateKey {
        /// Where it came from, for "which credentials were tried".
        origin: String,
        /// The key.
        pem: SecretText,
        /// Its own passphrase.
        passphrase: Option<SecretText>,
        /// OpenSSH certificate for it (one line, `...-cert-v01@openssh.com AAAA...`).
        certificate: Option<String>,
    },
    /// A private key file on this machine, read at login.
    KeyFile {
        /// Where it is.
        path: PathBuf,
        /// Its passphrase.
        passphrase: Option<SecretText>,
    },
    /// A password, also used to answer keyboard-interactive prompts.
    Password(SecretText),
}

/// What is sealed: the secret half of a credential.
#[derive(Debug, Clone)]
pub enum CredentialSecret {
    /// A private key.
    PrivateKey {
        /// The key in OpenSSH or PEM form.
        pem: SecretText,
        /// Its own passphrase.
        passphrase: Option<SecretText>,
        /// OpenSSH certificate for it (one line).
        certificate: Option<String>,
    },
    /// A password.
    Password(SecretText),
}

/// A profile's identity, wrapped with the passphrase.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedIdentity {
    /// The public half (`age1...`): what credentials are sealed to.
    pub recipient: String,
    /// The private half, encrypted with the passphrase.
    pub wrapped: Vec<u8>,
}

impl fmt::Debug for WrappedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "WrappedIdentity({}, {} bytes)",
            self.recipient,
            self.wrapped.len()
        )
    }
}

/// A credential about to be added: everything but its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// Name, unique in the profile.
    pub name: CredentialName,
    /// Sort.
    pub kind: CredentialKind,
    /// The key file, for [`CredentialKind::KeyFile`].
    pub path: Option<PathBuf>,
    /// Public half in OpenSSH form, where there is one.
    pub public_key: Option<String>,
    /// SHA-256 fingerprint of the public half.
    pub fingerprint: Option<String>,
    /// When it is added (RFC 3339).
    pub created_at: String,
}

/// A credential as it is stored: only the vault can open the blob.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCredential {
    /// Identity: part of what the blob is bound to.
    pub id: CredentialId,
    /// Name.
    pub name: CredentialName,
    /// Sort.
    pub kind: CredentialKind,
    /// The sealed secret; `None` for an agent or a key file, or when adding it was interrupted.
    pub blob: Option<Vec<u8>>,
    /// The key file, for [`CredentialKind::KeyFile`].
    pub path: Option<PathBuf>,
}

impl fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedCredential")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("sealed_bytes", &self.blob.as_ref().map(Vec::len))
            .field("path", &self.path)
            .finish()
    }
}

/// A question only the person can answer: a second factor, a password the profile does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// What the server asks, already made visible.
    pub text: super::text::RemoteText,
    /// Whether the answer may be shown while typing.
    pub echo: bool,
}
