//! Host keys that the profile vouches for. Which key is right is decided elsewhere; here they are kept.

use rusqlite::params;

use super::directory::Profile;
use super::error::ProfileError;
use crate::domain::host_key::{HostKey, PinnedKey};

impl Profile {
    /// Returns every pinned key, of all labels and types.
    pub async fn pinned_keys(&self) -> Result<Vec<PinnedKey>, ProfileError> {
        self.store
            .run(|connection| {
                let failed = |error| ProfileError::of("reading pinned host keys", error);
                let mut query = connection
                    .prepare_cached(
                        "SELECT label, algorithm, base64, fingerprint, revoked FROM pinned_key \
                         ORDER BY label, algorithm, base64",
                    )
                    .map_err(failed)?;
                let keys = query
                    .query_map([], |row| {
                        Ok(PinnedKey {
                            label: row.get(0)?,
                            key: HostKey {
                                algorithm: row.get(1)?,
                                base64: row.get(2)?,
                                fingerprint: row.get(3)?,
                            },
                            revoked: row.get(4)?,
                        })
                    })
                    .map_err(failed)?
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(failed)?;
                Ok(keys)
            })
            .await
    }

    /// Pins a key. With `replace`, keys that were pinned under its label are dropped first; without, a
    /// label that has another trusted key is refused. Revocations are never dropped.
    pub async fn pin_key(&self, key: PinnedKey, replace: bool) -> Result<(), ProfileError> {
        self.store
            .write("pinning a host key", move |transaction| {
                let failed = |error| ProfileError::of("pinning a host key", error);
                let label = key.label.to_lowercase();
                if replace {
                    transaction
                        .execute(
                            "DELETE FROM pinned_key WHERE label = ?1 AND revoked = 0",
                            [&label],
                        )
                        .map_err(failed)?;
                } else if !key.revoked {
                    let others: i64 = transaction
                        .query_row(
                            "SELECT count(*) FROM pinned_key WHERE label = ?1 AND revoked = 0 \
                             AND NOT (algorithm = ?2 AND base64 = ?3)",
                            params![label, key.key.algorithm, key.key.base64],
                            |row| row.get(0),
                        )
                        .map_err(failed)?;
                    if others > 0 {
                        return Err(ProfileError::KeyPinned { label });
                    }
                }
                transaction
                    .execute(
                        "INSERT INTO pinned_key (label, algorithm, base64, fingerprint, revoked) \
                         VALUES (?1, ?2, ?3, ?4, ?5) \
                         ON CONFLICT (label, algorithm, base64) DO UPDATE SET \
                         fingerprint = excluded.fingerprint, revoked = excluded.revoked",
                        params![
                            label,
                            key.key.algorithm,
                            key.key.base64,
                            key.key.fingerprint,
                            key.revoked
                        ],
                    )
                    .map_err(failed)?;
                Ok(())
            })
            .await
    }

    /// Forgets the keys of a label and returns how many there were.
    pub async fn unpin(&self, label: String) -> Result<usize, ProfileError> {
        self.store
            .write("forgetting a host key", move |transaction| {
                transaction
                    .execute(
                        "DELETE FROM pinned_key WHERE label = ?1",
                        [label.to_lowercase()],
                    )
                    .map_err(|error| ProfileError::of("forgetting a host key", error))
            })
            .await
    }
}
