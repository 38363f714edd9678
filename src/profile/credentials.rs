//! Credentials as they are stored: opaque blobs with a name. What is inside only the vault can see.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, params};

use super::directory::Profile;
use super::error::ProfileError;
use crate::domain::credential::{
    CredentialId, CredentialKind, CredentialName, CredentialSummary, NewCredential,
    SealedCredential, WrappedIdentity,
};

/// Ceiling of one sealed credential in bytes.
const MAX_SEALED: usize = 1024 * 1024;

impl Profile {
    /// Returns what may be shown of the credentials, ordered by name.
    pub async fn credentials(&self) -> Result<Vec<CredentialSummary>, ProfileError> {
        self.store
            .run(|connection| {
                let failed = |error| ProfileError::of("reading credentials", error);
                let mut query = connection
                    .prepare_cached(
                        "SELECT id, name, kind, public_key, fingerprint, created_at \
                         FROM credential ORDER BY name",
                    )
                    .map_err(failed)?;
                let rows = query
                    .query_map([], |row| {
                        Ok((
                            CredentialId(row.get(0)?),
                            row.get::<_, String>(1)?,
                            row.get::<_, String>(2)?,
                            row.get(3)?,
                            row.get(4)?,
                            row.get(5)?,
                        ))
                    })
                    .map_err(failed)?;
                let mut summaries = Vec::new();
                for row in rows {
                    let (id, name, kind, public_key, fingerprint, created_at) =
                        row.map_err(failed)?;
                    summaries.push(CredentialSummary {
                        id,
                        name: parse_name(&name)?,
                        kind: parse_kind(&kind)?,
                        public_key,
                        fingerprint,
                        used_by: users_of(connection, id)?,
                        created_at,
                    });
                }
                Ok(summaries)
            })
            .await
    }

    /// Adds a credential without its secret, so that the id can be bound into the seal.
    pub async fn reserve_credential(
        &self,
        new: NewCredential,
    ) -> Result<CredentialId, ProfileError> {
        self.store
            .write("adding a credential", move |transaction| {
                let failed = |error| ProfileError::of("adding a credential", error);
                // What an interrupted attempt left without a secret may be taken over by nobody else.
                transaction
                    .execute(
                        "DELETE FROM credential WHERE name = ?1 AND sealed IS NULL \
                         AND kind IN ('private_key', 'password') \
                         AND id NOT IN (SELECT credential_id FROM host WHERE credential_id IS NOT NULL)",
                        [new.name.as_str()],
                    )
                    .map_err(failed)?;
                if find(transaction, &new.name)?.is_some() {
                    return Err(ProfileError::DuplicateCredential { name: new.name });
                }
                transaction
                    .execute(
                        "INSERT INTO credential (name, kind, path, public_key, fingerprint, created_at) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                        params![
                            new.name.as_str(),
                            kind_word(new.kind),
                            new.path.as_ref().map(|path| path.to_string_lossy()),
                            new.public_key,
                            new.fingerprint,
                            new.created_at,
                        ],
                    )
                    .map_err(failed)?;
                Ok(CredentialId(transaction.last_insert_rowid()))
            })
            .await
    }

    /// Stores the sealed secret of a credential.
    pub async fn store_sealed(&self, id: CredentialId, blob: Vec<u8>) -> Result<(), ProfileError> {
        if blob.len() > MAX_SEALED {
            return Err(ProfileError::TooLarge {
                what: "the sealed credential",
                size: blob.len(),
                limit: MAX_SEALED,
            });
        }
        self.store
            .write("storing a credential", move |transaction| {
                let stored = transaction
                    .execute(
                        "UPDATE credential SET sealed = ?1 WHERE id = ?2",
                        params![blob, id.0],
                    )
                    .map_err(|error| ProfileError::of("storing a credential", error))?;
                if stored == 0 {
                    return Err(ProfileError::UnknownCredential {
                        name: format!("number {}", id.0),
                    });
                }
                Ok(())
            })
            .await
    }

    /// Puts another secret in the place of a credential's: what is shown of it and the sealed blob
    /// change together.
    pub async fn replace_credential(
        &self,
        id: CredentialId,
        new: NewCredential,
        blob: Vec<u8>,
    ) -> Result<(), ProfileError> {
        self.store
            .write("replacing a credential", move |transaction| {
                let changed = transaction
                    .execute(
                        "UPDATE credential SET kind = ?1, public_key = ?2, fingerprint = ?3, \
                         created_at = ?4, sealed = ?5, path = NULL WHERE id = ?6",
                        params![
                            kind_word(new.kind),
                            new.public_key,
                            new.fingerprint,
                            new.created_at,
                            blob,
                            id.0,
                        ],
                    )
                    .map_err(|error| ProfileError::of("replacing a credential", error))?;
                if changed == 0 {
                    return Err(unknown(&new.name));
                }
                Ok(())
            })
            .await
    }

    /// Returns a credential as it is stored.
    pub async fn sealed_credential(
        &self,
        name: &CredentialName,
    ) -> Result<SealedCredential, ProfileError> {
        let name = name.clone();
        self.store
            .run(move |connection| {
                let row = connection
                    .query_row(
                        "SELECT id, kind, sealed, path FROM credential WHERE name = ?1",
                        [name.as_str()],
                        |row| {
                            Ok((
                                row.get(0)?,
                                row.get::<_, String>(1)?,
                                row.get(2)?,
                                row.get::<_, Option<String>>(3)?,
                            ))
                        },
                    )
                    .optional()
                    .map_err(|error| ProfileError::of("reading a credential", error))?;
                let Some((id, kind, blob, path)) = row else {
                    return Err(unknown(&name));
                };
                Ok(SealedCredential {
                    id: CredentialId(id),
                    kind: parse_kind(&kind)?,
                    blob,
                    path: path.map(PathBuf::from),
                    name,
                })
            })
            .await
    }

    /// Removes a credential; refused while a host uses it.
    pub async fn remove_credential(&self, name: &CredentialName) -> Result<(), ProfileError> {
        let name = name.clone();
        self.store
            .write("removing a credential", move |transaction| {
                let id = id_of(transaction, &name)?;
                let hosts = users_of(transaction, id)?;
                if !hosts.is_empty() {
                    return Err(ProfileError::CredentialInUse { name, hosts });
                }
                transaction
                    .execute("DELETE FROM credential WHERE id = ?1", [id.0])
                    .map_err(|error| ProfileError::of("removing a credential", error))?;
                Ok(())
            })
            .await
    }

    /// Gives a credential the name of another one, which gets the name `keep_as` or is removed. Refused while a
    /// host uses that one.
    pub async fn succeed_credential(
        &self,
        old: &CredentialName,
        new: &CredentialName,
        keep_as: Option<&CredentialName>,
    ) -> Result<(), ProfileError> {
        let (old, new, keep_as) = (old.clone(), new.clone(), keep_as.cloned());
        self.store
            .write("replacing a credential", move |transaction| {
                let failed = |error| ProfileError::of("replacing a credential", error);
                let (old_id, new_id) = (id_of(transaction, &old)?, id_of(transaction, &new)?);
                let hosts = users_of(transaction, old_id)?;
                if !hosts.is_empty() {
                    return Err(ProfileError::CredentialInUse { name: old, hosts });
                }
                if let Some(kept) = keep_as {
                    if find(transaction, &kept)?.is_some() {
                        return Err(ProfileError::DuplicateCredential { name: kept });
                    }
                    rename(transaction, old_id, &kept).map_err(failed)?;
                } else {
                    transaction
                        .execute("DELETE FROM credential WHERE id = ?1", [old_id.0])
                        .map_err(failed)?;
                }
                rename(transaction, new_id, &old).map_err(failed)
            })
            .await
    }

    /// Returns the wrapped identity; `None` before a passphrase was set.
    pub async fn identity(&self) -> Result<Option<WrappedIdentity>, ProfileError> {
        self.store
            .run(|connection| {
                connection
                    .query_row("SELECT recipient, wrapped FROM identity", [], |row| {
                        Ok(WrappedIdentity {
                            recipient: row.get(0)?,
                            wrapped: row.get(1)?,
                        })
                    })
                    .optional()
                    .map_err(|error| ProfileError::of("reading the identity", error))
            })
            .await
    }

    /// Stores the wrapped identity, or replaces how it is wrapped.
    ///
    /// Another identity than the one that is there is refused: nothing sealed to the old one could
    /// ever be opened again.
    pub async fn set_identity(&self, identity: WrappedIdentity) -> Result<(), ProfileError> {
        self.store
            .write("storing the identity", move |transaction| {
                let stored = transaction
                    .execute(
                        "INSERT INTO identity (one, recipient, wrapped) VALUES (1, ?1, ?2) \
                         ON CONFLICT (one) DO UPDATE SET wrapped = excluded.wrapped \
                         WHERE recipient = excluded.recipient",
                        params![identity.recipient, identity.wrapped],
                    )
                    .map_err(|error| ProfileError::of("storing the identity", error))?;
                if stored == 0 {
                    return Err(ProfileError::IdentityExists);
                }
                Ok(())
            })
            .await
    }
}

/// Returns the id of a credential that a host wants to use.
pub(super) fn id_of(
    connection: &Connection,
    name: &CredentialName,
) -> Result<CredentialId, ProfileError> {
    find(connection, name)?.ok_or_else(|| unknown(name))
}

fn find(
    connection: &Connection,
    name: &CredentialName,
) -> Result<Option<CredentialId>, ProfileError> {
    connection
        .query_row(
            "SELECT id FROM credential WHERE name = ?1",
            [name.as_str()],
            |row| row.get(0).map(CredentialId),
        )
        .optional()
        .map_err(|error| ProfileError::of("looking for a credential", error))
}

fn rename(
    connection: &Connection,
    id: CredentialId,
    name: &CredentialName,
) -> Result<(), rusqlite::Error> {
    connection
        .execute(
            "UPDATE credential SET name = ?1 WHERE id = ?2",
            params![name.as_str(), id.0],
        )
        .map(drop)
}

fn users_of(connection: &Connection, id: CredentialId) -> Result<Vec<String>, ProfileError> {
    let failed = |error| ProfileError::of("reading who uses a credential", error);
    let mut query = connection
        .prepare_cached("SELECT name FROM host WHERE credential_id = ?1 ORDER BY name")
        .map_err(failed)?;
    let names = query
        .query_map([id.0], |row| row.get(0))
        .map_err(failed)?
        .collect::<Result<Vec<String>, _>>()
        .map_err(failed)?;
    Ok(names)
}

fn unknown(name: &CredentialName) -> ProfileError {
    ProfileError::UnknownCredential {
        name: name.to_string(),
    }
}

const KINDS: [(CredentialKind, &str); 4] = [
    (CredentialKind::PrivateKey, "private_key"),
    (CredentialKind::Password, "password"),
    (CredentialKind::Agent, "agent"),
    (CredentialKind::KeyFile, "key_file"),
];

const fn kind_word(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::PrivateKey => "private_key",
        CredentialKind::Password => "password",
        CredentialKind::Agent => "agent",
        CredentialKind::KeyFile => "key_file",
    }
}

fn parse_kind(word: &str) -> Result<CredentialKind, ProfileError> {
    KINDS
        .into_iter()
        .find(|(_, name)| *name == word)
        .map(|(kind, _)| kind)
        .ok_or_else(|| ProfileError::Unreadable {
            what: format!("`{word}` is no kind of credential"),
        })
}

fn parse_name(text: &str) -> Result<CredentialName, ProfileError> {
    text.parse().map_err(|error| ProfileError::Unreadable {
        what: format!("credential name: {error}"),
    })
}
