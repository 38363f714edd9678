//! Requests that a client may send again: the first one acts, the others get its answer. What is
//! remembered survives the process.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::error::AccountsError;
use super::store::Accounts;
use super::token;

/// The answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<String>,
    /// The body as it was sent.
    pub body: Vec<u8>,
}

/// What is known of a request at its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: act, then call [`Accounts::answered`].
    New,
    /// It has been answered.
    Answered(StoredAnswer),
    /// The same request is under way now.
    UnderWay {
        /// The operation that it started, once there is one.
        operation: Option<String>,
    },
    /// It was under way when an earlier run of the program ended: it may have acted or not.
    Interrupted {
        /// The operation that it had started, if it had come so far.
        operation: Option<String>,
    },
    /// The name was used for another request.
    OtherRequest,
}

/// What a record holds.
struct Kept {
    request: Vec<u8>,
    run: String,
    operation: Option<String>,
    status: Option<u16>,
    location: Option<String>,
    body: Option<Vec<u8>>,
}

impl Accounts {
    /// Begins a request under a name of the client's choice. `request` is a digest of what was asked:
    /// method, target and body.
    pub async fn begin(
        &self,
        key_id: &str,
        name: &str,
        request: [u8; 32],
        keep: Duration,
    ) -> Result<Begun, AccountsError> {
        let now = self.shared.clock.now();
        let until = now.checked_add(keep).unwrap_or(now).as_millisecond();
        let now = now.as_millisecond();
        let (key_id, name) = (key_id.to_owned(), name.to_owned());
        let run = self.shared.run.clone();
        self.write("beginning a request", move |transaction| {
            let failed = |error| AccountsError::of("beginning a request", error);
            transaction
                .execute("DELETE FROM idempotency WHERE expires_at <= ?1", [now])
                .map_err(failed)?;
            let found = transaction
                .query_row(
                    "SELECT request, run, operation, status, location, body FROM idempotency \
                     WHERE key_id = ?1 AND name = ?2",
                    params![key_id, name],
                    |row| {
                        Ok(Kept {
                            request: row.get(0)?,
                            run: row.get(1)?,
                            operation: row.get(2)?,
                            status: row.get(3)?,
                            location: row.get(4)?,
                            body: row.get(5)?,
                        })
                    },
                )
                .optional()
                .map_err(failed)?;
            if let Some(kept) = found {
                return Ok(kept.judge(&request, &run));
            }
            transaction
                .execute(
                    "INSERT INTO idempotency \
                     (key_id, name, request, run, created_at, expires_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![key_id, name, request, run, now, until],
                )
                .map_err(failed)?;
            Ok(Begun::New)
        })
        .await
    }

    /// Notes the operation that a request has started.
    pub async fn started(
        &self,
        key_id: &str,
        name: &str,
        operation: &str,
    ) -> Result<(), AccountsError> {
        let [key_id, name, operation] = [key_id, name, operation].map(str::to_owned);
        self.run("noting an operation", move |connection| {
            connection
                .execute(
                    "UPDATE idempotency SET operation = ?1 WHERE key_id = ?2 AND name = ?3",
                    params![operation, key_id, name],
                )
                .map(drop)
        })
        .await
    }

    /// Keeps the answer of a request.
    pub async fn answered(
        &self,
        key_id: &str,
        name: &str,
        answer: StoredAnswer,
    ) -> Result<(), AccountsError> {
        let [key_id, name] = [key_id, name].map(str::to_owned);
        self.run("keeping an answer", move |connection| {
            connection
                .execute(
                    "UPDATE idempotency SET status = ?1, location = ?2, body = ?3 \
                     WHERE key_id = ?4 AND name = ?5",
                    params![answer.status, answer.location, answer.body, key_id, name],
                )
                .map(drop)
        })
        .await
    }

    /// Forgets a request that has done nothing, so that it may be sent again under the same name.
    pub async fn forget(&self, key_id: &str, name: &str) -> Result<(), AccountsError> {
        let [key_id, name] = [key_id, name].map(str::to_owned);
        self.run("forgetting a request", move |connection| {
            connection
                .execute(
                    "DELETE FROM idempotency WHERE key_id = ?1 AND name = ?2 AND status IS NULL",
                    params![key_id, name],
                )
                .map(drop)
        })
        .await
    }
}

impl Kept {
    fn judge(self, request: &[u8], run: &str) -> Begun {
        if !token::same(&self.request, request) {
            return Begun::OtherRequest;
        }
        let operation = self.operation;
        match (self.status, self.body) {
            (Some(status), Some(body)) => Begun::Answered(StoredAnswer {
                status,
                location: self.location,
                body,
            }),
            _ if self.run == run => Begun::UnderWay { operation },
            _ => Begun::Interrupted { operation },
        }
    }
}
