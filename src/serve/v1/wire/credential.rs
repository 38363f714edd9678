//! Credentials on the wire. Write-only: what goes in sealed never comes out again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::credential::{CredentialKind, CredentialSummary};
use crate::domain::secret::SecretText;

/// What may be shown of a credential.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct Credential {
    /// Its name, unique in the profile.
    name: String,
    /// What sort of thing it is.
    kind: Sort,
    /// Public half, where there is one.
    public_key: Option<String>,
    /// SHA-256 fingerprint of the public half.
    fingerprint: Option<String>,
    /// Hosts that use it.
    used_by: Vec<String>,
    /// When it was added (RFC 3339).
    created_at: String,
}

/// What sort of thing a credential is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// A private key, sealed.
    PrivateKey,
    /// A password, sealed.
    Password,
    /// The SSH agent.
    Agent,
    /// A key file on the server.
    KeyFile,
}

impl From<&CredentialSummary> for Credential {
    fn from(summary: &CredentialSummary) -> Self {
        Self {
            name: summary.name.to_string(),
            kind: match summary.kind {
                CredentialKind::PrivateKey => Sort::PrivateKey,
                CredentialKind::Password => Sort::Password,
                CredentialKind::Agent => Sort::Agent,
                CredentialKind::KeyFile => Sort::KeyFile,
            },
            public_key: summary.public_key.clone(),
            fingerprint: summary.fingerprint.clone(),
            used_by: summary.used_by.clone(),
            created_at: summary.created_at.clone(),
        }
    }
}

/// A credential to be sealed. Its text can be written here and read nowhere.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct CredentialInput {
    /// A private key, in OpenSSH or PEM form.
    #[schema(min_length = 40, max_length = 32768)]
    private_key: String,
    /// Its own passphrase.
    #[schema(max_length = 255)]
    passphrase: Option<String>,
}

impl std::fmt::Debug for CredentialInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialInput(<secret>)")
    }
}

impl CredentialInput {
    /// Takes the secrets out.
    pub(in crate::serve) fn into_secrets(self) -> (SecretText, Option<SecretText>) {
        (
            SecretText::from(self.private_key),
            self.passphrase.map(SecretText::from),
        )
    }
}
