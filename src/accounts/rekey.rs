//! Replacing the key of the digests: what passes over, and what ends.

use std::sync::{Arc, PoisonError};

use rusqlite::{Transaction, params};

use super::error::AccountsError;
use super::key::{self, KeyInfo};
use super::pepper::Peppers;
use super::store::Accounts;

/// Keys whose digest was not made with a key of the digests of this name (`?1`); rows from before it had a
/// name have none.
const BEHIND: &str = "k.digest IS NOT NULL AND coalesce(k.pepper, '') <> ?1";

impl Accounts {
    /// Puts a new key in the place of that of the digests. Every API key goes on: its digest is made anew the
    /// next time somebody comes with it, until [`Accounts::retire_pepper`].
    pub async fn replace_pepper(&self) -> Result<(), AccountsError> {
        let dir = self.dir().to_owned();
        // The transaction keeps a second one out, and tells other processes that something has changed.
        let now = self
            .write("replacing the key of the digests", move |transaction| {
                let before = Peppers::read(&dir)?;
                name_all(transaction, before.current.name())?;
                let now = Peppers::replace(&dir)?;
                tell(transaction, now.current.name())?;
                Ok(now)
            })
            .await?;
        self.use_peppers(now);
        Ok(())
    }

    /// Says whether the former key of the digests is still there.
    pub fn is_rekeying(&self) -> bool {
        self.peppers().is_changing()
    }

    /// Returns the live keys that nobody has come with since the key of the digests was replaced.
    pub async fn keys_behind(&self) -> Result<Vec<KeyInfo>, AccountsError> {
        let now = self.shared.clock.now();
        let name = self.peppers().current.name();
        let found = self.run(
            "looking for keys that have not passed over",
            move |connection| key::matching(connection, BEHIND, &name),
        );
        let mut keys = found.await?;
        keys.retain(|key| key.is_live(now));
        Ok(keys)
    }

    /// Removes the former key of the digests and takes back every key that has not passed over.
    pub async fn retire_pepper(&self) -> Result<(), AccountsError> {
        let dir = self.dir().to_owned();
        let now = self.shared.clock.now().as_millisecond();
        self.write("ending the former key of the digests", move |transaction| {
            let peppers = Peppers::read(&dir)?;
            if !peppers.is_changing() {
                return Err(AccountsError::PepperNotReplaced);
            }
            let sql = format!(
                "UPDATE api_key AS k SET revoked_at = ?2 \
                 WHERE {BEHIND} AND (k.revoked_at IS NULL OR k.revoked_at > ?2)"
            );
            let ended = transaction.execute(&sql, params![peppers.current.name(), now]);
            ended.map_err(|error| AccountsError::of("taking keys back", error))?;
            tell(transaction, peppers.current.name())?;
            Peppers::retire(&dir)
        })
        .await?;
        self.refresh()
    }

    /// Reads the keys of the digests again, as another process may have replaced them. Where that fails, those
    /// before are in use.
    pub fn follow(&self) {
        if let Err(error) = self.refresh() {
            tracing::error!(%error, "could not read the key of the digests again");
        }
    }

    fn refresh(&self) -> Result<(), AccountsError> {
        self.use_peppers(Peppers::read(self.dir())?);
        Ok(())
    }

    pub(super) fn peppers(&self) -> Arc<Peppers> {
        let peppers = &self.shared.peppers;
        Arc::clone(&peppers.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn use_peppers(&self, now: Peppers) {
        let peppers = &self.shared.peppers;
        *peppers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
    }

    /// Keeps the digest of a key under the current key of the digests. One that somebody exchanged or took
    /// away meanwhile stays as it is.
    pub(super) async fn pass_over(
        &self,
        id: String,
        former: [u8; 32],
        current: [u8; 32],
    ) -> Result<(), AccountsError> {
        let name = self.peppers().current.name();
        self.run("passing a key over", move |connection| {
            connection.execute(
                "UPDATE api_key SET digest = ?1, pepper = ?2 WHERE id = ?3 AND digest = ?4",
                params![current, name, id, former],
            )
        })
        .await?;
        Ok(())
    }
}

/// Writes down with what the digests were made that do not say so yet.
fn name_all(transaction: &Transaction<'_>, name: String) -> Result<(), AccountsError> {
    let named = transaction.execute(
        "UPDATE api_key SET pepper = ?1 WHERE pepper IS NULL AND digest IS NOT NULL",
        [name],
    );
    named.map_err(|error| AccountsError::of("naming the key of the digests", error))?;
    Ok(())
}

/// Leaves a mark in the database, which is how other processes notice.
fn tell(transaction: &Transaction<'_>, name: String) -> Result<(), AccountsError> {
    let marked = transaction.execute(
        "INSERT INTO meta (key, value) VALUES ('pepper', ?1) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [name],
    );
    marked.map_err(|error| AccountsError::of("marking the key of the digests", error))?;
    Ok(())
}
