//! What a person has set up on the screen, by name. Opaque here: the front end that wrote a value reads it.

use rusqlite::params;

use super::directory::Profile;
use super::error::ProfileError;
use crate::domain::preference::{MAX_PREFERENCES, Preferences};

impl Profile {
    /// Returns every preference, by name.
    pub async fn preferences(&self) -> Result<Preferences, ProfileError> {
        let doing = "reading the preferences";
        self.store
            .run(move |connection| {
                let failed = |error| ProfileError::of(doing, error);
                let mut statement = connection
                    .prepare_cached("SELECT name, value FROM preference LIMIT ?1")
                    .map_err(failed)?;
                let limit = i64::try_from(MAX_PREFERENCES).unwrap_or(i64::MAX);
                let rows = statement
                    .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))
                    .map_err(failed)?;
                rows.collect::<Result<_, _>>().map_err(failed)
            })
            .await
    }

    /// Keeps a preference, or forgets it.
    pub async fn set_preference(
        &self,
        name: String,
        value: Option<String>,
    ) -> Result<(), ProfileError> {
        let doing = "keeping a preference";
        self.store
            .write(doing, move |transaction| {
                let changed = match value {
                    None => transaction.execute("DELETE FROM preference WHERE name = ?1", [name]),
                    Some(value) => transaction.execute(
                        "INSERT INTO preference (name, value) VALUES (?1, ?2) \
                         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                        params![name, value],
                    ),
                };
                changed
                    .map(drop)
                    .map_err(|error| ProfileError::of(doing, error))
            })
            .await
    }
}
