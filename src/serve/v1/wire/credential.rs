//! Credentials on the wire. Write-only: what goes in sealed never comes out again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::credential::{CredentialKind, CredentialSecret, CredentialSummary};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::secret::SecretText;

/// Characters that a private key has.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 40..=32_768;

/// Characters that a password has.
const PASSWORD_LENGTHS: std::ops::RangeInclusive<usize> = 1..=1024;

/// Characters that a passphrase has at the most.
const LONGEST_PASSPHRASE: usize = 255;

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

/// A credential to be sealed: a private key, or a password. Its text can be written here and read
/// nowhere.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct CredentialInput {
    /// A private key, in OpenSSH or PEM form.
    #[schema(min_length = 40, max_length = 32768)]
    private_key: Option<String>,
    /// The private key's own passphrase.
    #[schema(max_length = 255)]
    passphrase: Option<String>,
    /// A password, in the place of a private key.
    #[schema(min_length = 1, max_length = 1024)]
    password: Option<String>,
}

impl std::fmt::Debug for CredentialInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialInput(<secret>)")
    }
}

impl CredentialInput {
    /// Takes the secret out, if it is as long as such secrets are.
    pub(in crate::serve) fn into_secret(self) -> Result<CredentialSecret, Failure> {
        let wrong = |what: &str| Failure::new(ErrorKind::Usage, what);
        // Held as secrets from here on, whatever is said of them.
        let [key, passphrase, password] = [self.private_key, self.passphrase, self.password]
            .map(|text| text.map(SecretText::from));
        let length = |text: &SecretText| text.expose().chars().count();
        match (key, password) {
            (Some(_), Some(_)) => Err(wrong("one of `private_key` and `password` is enough")),
            (None, None) => Err(wrong("`private_key` is missing, or `password`")),
            (None, Some(password)) => {
                if passphrase.is_some() {
                    return Err(wrong("`passphrase` belongs to a `private_key`"));
                }
                let sound = PASSWORD_LENGTHS.contains(&length(&password))
                    && !password.expose().contains('\0');
                if !sound {
                    return Err(wrong(
                        "`password` has 1 to 1,024 characters, none of them NUL",
                    ));
                }
                Ok(CredentialSecret::Password(password))
            }
            (Some(pem), None) => {
                if !KEY_LENGTHS.contains(&length(&pem)) {
                    return Err(wrong("`private_key` has 40 to 32,768 characters"));
                }
                if passphrase.as_ref().map(length) > Some(LONGEST_PASSPHRASE) {
                    return Err(wrong("`passphrase` has at most 255 characters"));
                }
                Ok(CredentialSecret::PrivateKey {
                    pem,
                    passphrase,
                    certificate: None,
                })
            }
        }
    }
}
