//! What each host last said, for the first picture of the next run. Only a cache: what cannot be read
//! is thrown away, and what is shown from it is marked as old by whoever shows it.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::params;

use super::directory::Profile;
use super::error::ProfileError;
use crate::domain::host::HostId;
use crate::domain::inventory::HostInventory;

/// Ceiling of one host's inventory in bytes: ten thousand VMs take about half of it.
const MAX_INVENTORY: usize = 16 * 1024 * 1024;

impl Profile {
    /// Remembers what a host said, in place of what it said before. A host that is gone is no error.
    pub async fn cache_inventory(
        &self,
        host: HostId,
        inventory: Arc<HostInventory>,
        at: Timestamp,
    ) -> Result<(), ProfileError> {
        self.store
            .run(move |connection| {
                let body =
                    serde_json::to_vec(&*inventory).map_err(|error| ProfileError::Unreadable {
                        what: format!("the inventory of host {host}: {error}"),
                    })?;
                if body.len() > MAX_INVENTORY {
                    return Err(ProfileError::TooLarge {
                        what: "the inventory",
                        size: body.len(),
                        limit: MAX_INVENTORY,
                    });
                }
                connection
                    .execute(
                        "INSERT INTO inventory (host_id, taken_at, body) \
                         SELECT id, ?2, ?3 FROM host WHERE id = ?1 \
                         ON CONFLICT (host_id) DO UPDATE SET \
                         taken_at = excluded.taken_at, body = excluded.body",
                        params![host.0, at.to_string(), body],
                    )
                    .map_err(|error| ProfileError::of("caching an inventory", error))?;
                Ok(())
            })
            .await
    }

    /// Returns what every host last said, and when.
    pub async fn cached_inventories(
        &self,
    ) -> Result<Vec<(HostId, HostInventory, Timestamp)>, ProfileError> {
        self.store
            .run(|connection| {
                let failed = |error| ProfileError::of("reading cached inventories", error);
                let mut query = connection
                    .prepare_cached(
                        "SELECT host_id, taken_at, body FROM inventory ORDER BY host_id",
                    )
                    .map_err(failed)?;
                let mut rows = query.query([]).map_err(failed)?;
                let mut found = Vec::new();
                while let Some(row) = rows.next().map_err(failed)? {
                    let host = HostId(row.get(0).map_err(failed)?);
                    let taken_at: String = row.get(1).map_err(failed)?;
                    let body = row
                        .get_ref(2)
                        .map_err(failed)?
                        .as_blob()
                        .unwrap_or_default();
                    let parsed = serde_json::from_slice(body).ok().zip(taken_at.parse().ok());
                    if let Some((inventory, at)) = parsed {
                        found.push((host, inventory, at));
                    } else {
                        tracing::warn!(%host, "ignored a cached inventory that cannot be read");
                    }
                }
                Ok(found)
            })
            .await
    }
}
