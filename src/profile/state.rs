//! Small facts about the profile itself: the mirror of the audit log's end, and whether somebody else
//! has written.

use rusqlite::{OptionalExtension, params};

use super::directory::Profile;
use super::error::ProfileError;
use crate::domain::audit::AuditHead;

impl Profile {
    /// Returns a number that changes when another connection has written to the database.
    pub async fn data_version(&self) -> Result<i64, ProfileError> {
        self.store
            .run(|connection| {
                connection
                    .query_row("PRAGMA data_version", [], |row| row.get(0))
                    .map_err(|error| ProfileError::of("looking for changes", error))
            })
            .await
    }

    /// Returns where the audit log ended when that was last written down.
    pub async fn audit_head(&self) -> Result<Option<AuditHead>, ProfileError> {
        self.store
            .run(|connection| {
                connection
                    .query_row("SELECT seq, hash FROM audit_head", [], |row| {
                        Ok(AuditHead {
                            seq: row.get::<_, i64>(0)?.unsigned_abs(),
                            hash: row.get(1)?,
                        })
                    })
                    .optional()
                    .map_err(|error| ProfileError::of("reading the audit head", error))
            })
            .await
    }

    /// Writes down where the audit log ends. Only ever forward: of two processes the later record stays.
    pub async fn set_audit_head(&self, head: AuditHead) -> Result<(), ProfileError> {
        self.store
            .run(move |connection| {
                connection
                    .execute(
                        "INSERT INTO audit_head (one, seq, hash) VALUES (1, ?1, ?2) \
                         ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, hash = excluded.hash \
                         WHERE excluded.seq > seq",
                        params![i64::try_from(head.seq).unwrap_or(i64::MAX), head.hash],
                    )
                    .map_err(|error| ProfileError::of("writing the audit head", error))?;
                Ok(())
            })
            .await
    }

    /// Lets go of a remembered end that a person has accepted as lost, and remembers the present one.
    /// Returns false when another end is remembered by now.
    pub async fn replace_audit_head(
        &self,
        lost: AuditHead,
        head: AuditHead,
    ) -> Result<bool, ProfileError> {
        let number = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        self.store
            .run(move |connection| {
                let changed = connection
                    .execute(
                        "UPDATE audit_head SET seq = ?1, hash = ?2 WHERE seq = ?3 AND hash = ?4",
                        params![number(head.seq), head.hash, number(lost.seq), lost.hash],
                    )
                    .map_err(|error| ProfileError::of("writing the audit head", error))?;
                Ok(changed == 1)
            })
            .await
    }
}
