//! The server's own identity, and the profiles that were granted to it.
//!
//! The identity is an age key of the server's, wrapped with the server's passphrase. A granted profile's
//! identity is sealed to it: the server opens the profile without its owner's passphrase, the owner's
//! passphrase stays the owner's, and taking the profile back is to forget the sealed copy.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::error::AccountsError;
use super::store::Accounts;
use super::user::moment;
use crate::domain::credential::WrappedIdentity;

/// A profile that the server may open.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its name.
    pub profile: String,
    /// Its random identity: another profile under the same name is not meant.
    pub profile_id: String,
    /// Its age identity, sealed to the server's; `None` for a profile that has no secrets yet, or
    /// whose secrets were not granted.
    pub sealed: Option<Vec<u8>>,
    /// Whether the server made it for a user: nothing of this machine's SSH is used for it.
    pub made: bool,
    /// When it was granted.
    pub granted_at: Timestamp,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant")
            .field("profile", &self.profile)
            .field("sealed_bytes", &self.sealed.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Grant> {
    Ok(Grant {
        profile: row.get(0)?,
        profile_id: row.get(1)?,
        sealed: row.get(2)?,
        made: row.get(3)?,
        granted_at: moment(row.get(4)?),
    })
}

const COLUMNS: &str = "profile, profile_id, sealed, made, granted_at";

impl Accounts {
    /// Returns the server's identity; `None` before its passphrase was set.
    pub async fn identity(&self) -> Result<Option<WrappedIdentity>, AccountsError> {
        self.run("reading the server's identity", |connection| {
            connection
                .query_row("SELECT recipient, wrapped FROM identity", [], |row| {
                    Ok(WrappedIdentity {
                        recipient: row.get(0)?,
                        wrapped: row.get(1)?,
                    })
                })
                .optional()
        })
        .await
    }

    /// Keeps the server's identity, or how it is wrapped now. Another identity than the one that is
    /// there is refused.
    pub async fn set_identity(&self, identity: WrappedIdentity) -> Result<(), AccountsError> {
        self.write("keeping the server's identity", move |transaction| {
            let changed = transaction
                .execute(
                    "INSERT INTO identity (one, recipient, wrapped) VALUES (1, ?1, ?2) \
                     ON CONFLICT (one) DO UPDATE SET wrapped = excluded.wrapped \
                     WHERE recipient = excluded.recipient",
                    params![identity.recipient, identity.wrapped],
                )
                .map_err(|error| AccountsError::of("keeping the server's identity", error))?;
            if changed == 0 {
                return Err(AccountsError::IdentityExists);
            }
            Ok(())
        })
        .await
    }

    /// Notes that the server may open a profile. A later grant of the same profile replaces the
    /// sealed identity; one without it leaves what is there. `made` holds from the first grant on.
    pub async fn grant(
        &self,
        profile: &str,
        profile_id: &str,
        sealed: Option<Vec<u8>>,
        made: bool,
    ) -> Result<(), AccountsError> {
        let now = self.shared.clock.now().as_millisecond();
        let (profile, profile_id) = (profile.to_owned(), profile_id.to_owned());
        self.write("granting a profile", move |transaction| {
            transaction
                .execute(
                    "INSERT INTO profile_grant (profile, profile_id, sealed, granted_at, made) \
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (profile) DO UPDATE SET \
                     made = CASE WHEN profile_id = excluded.profile_id \
                     THEN made ELSE excluded.made END, \
                     sealed = CASE WHEN profile_id = excluded.profile_id \
                     THEN coalesce(excluded.sealed, sealed) ELSE excluded.sealed END, \
                     profile_id = excluded.profile_id, granted_at = excluded.granted_at",
                    params![profile, profile_id, sealed, now, made],
                )
                .map_err(|error| AccountsError::of("granting a profile", error))?;
            Ok(())
        })
        .await
    }

    /// Takes a profile back: the server forgets how to open it.
    pub async fn take_back(&self, profile: &str) -> Result<(), AccountsError> {
        let profile = profile.to_owned();
        self.write("taking a profile back", move |transaction| {
            let gone = transaction
                .execute("DELETE FROM profile_grant WHERE profile = ?1", [&profile])
                .map_err(|error| AccountsError::of("taking a profile back", error))?;
            if gone == 0 {
                return Err(AccountsError::NotGranted { profile });
            }
            Ok(())
        })
        .await
    }

    /// Returns the grant of a profile.
    pub async fn granted(&self, profile: &str) -> Result<Option<Grant>, AccountsError> {
        let profile = profile.to_owned();
        self.run("reading a grant", move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM profile_grant WHERE profile = ?1");
            connection.query_row(&sql, [profile], read).optional()
        })
        .await
    }

    /// Returns every grant, ordered by profile.
    pub async fn grants(&self) -> Result<Vec<Grant>, AccountsError> {
        self.run("reading grants", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM profile_grant ORDER BY profile");
            let mut query = connection.prepare_cached(&sql)?;
            let rows = query.query_map([], read)?;
            rows.collect()
        })
        .await
    }
}
