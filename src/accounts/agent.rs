//! Hosts as the portal contract numbers them: ids that are unique over all users, and the two members
//! that no host of ours has.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::error::AccountsError;
use super::store::Accounts;
use super::user::moment;
use crate::domain::host::HostId;

/// A host of a user as the portal contract knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its number in the contract.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// The host of that user's profile.
    pub host: HostId,
    /// Kept and told again; nothing is read from there.
    pub known_hosts_path: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Agent> {
    Ok(Agent {
        id: row.get(0)?,
        user_id: row.get(1)?,
        host: HostId(row.get(2)?),
        known_hosts_path: row.get(3)?,
        created_at: moment(row.get(4)?),
    })
}

const COLUMNS: &str = "id, user_id, host_id, known_hosts_path, created_at";

impl Accounts {
    /// Returns a user's agents, ordered by id.
    pub async fn agents(&self, user_id: i64) -> Result<Vec<Agent>, AccountsError> {
        self.run("reading agents", move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM agent WHERE user_id = ?1 ORDER BY id");
            let mut query = connection.prepare_cached(&sql)?;
            let rows = query.query_map([user_id], read)?;
            rows.collect()
        })
        .await
    }

    /// Returns one agent of a user. Another user's is not there: one query for both questions.
    pub async fn agent(&self, user_id: i64, id: i64) -> Result<Option<Agent>, AccountsError> {
        self.run("reading an agent", move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM agent WHERE id = ?1 AND user_id = ?2");
            connection
                .prepare_cached(&sql)?
                .query_row([id, user_id], read)
                .optional()
        })
        .await
    }

    /// Numbers a host, under an id of its own or under the one it had in an older program.
    pub async fn add_agent(
        &self,
        user_id: i64,
        host: HostId,
        known_hosts_path: Option<String>,
        imported: Option<(i64, Timestamp)>,
    ) -> Result<Agent, AccountsError> {
        let id = imported.map(|(id, _)| id);
        let created_at = imported.map_or_else(|| self.shared.clock.now(), |(_, at)| at);
        self.write("numbering a host", move |transaction| {
            transaction
                .execute(
                    "INSERT INTO agent (id, user_id, host_id, known_hosts_path, created_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (user_id, host_id) DO NOTHING",
                    params![
                        id,
                        user_id,
                        host.0,
                        known_hosts_path,
                        created_at.as_millisecond()
                    ],
                )
                .and_then(|_| {
                    let sql =
                        format!("SELECT {COLUMNS} FROM agent WHERE user_id = ?1 AND host_id = ?2");
                    transaction.query_row(&sql, [user_id, host.0], read)
                })
                .map_err(|error| AccountsError::of("numbering a host", error))
        })
        .await
    }

    /// Changes the path that an agent tells again.
    pub async fn set_known_hosts_path(
        &self,
        user_id: i64,
        id: i64,
        path: Option<String>,
    ) -> Result<(), AccountsError> {
        self.run("changing an agent", move |connection| {
            connection
                .execute(
                    "UPDATE agent SET known_hosts_path = ?1 WHERE id = ?2 AND user_id = ?3",
                    params![path, id, user_id],
                )
                .map(drop)
        })
        .await
    }

    /// Forgets the number of a host.
    pub async fn remove_agent(&self, user_id: i64, id: i64) -> Result<(), AccountsError> {
        self.run("forgetting an agent", move |connection| {
            connection
                .execute(
                    "DELETE FROM agent WHERE id = ?1 AND user_id = ?2",
                    [id, user_id],
                )
                .map(drop)
        })
        .await
    }
}
