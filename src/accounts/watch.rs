//! What becomes of keys while somebody looks on: which were issued and which were taken back since the last
//! look, whichever process did it. For long answers, whose readers are told of it.
//!
//! It says that a key has changed; who changed it and from where is in the audit log.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::error::AccountsError;
use super::key::end_of;
use super::store::Accounts;
use super::user::moment;

/// What has become of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFate {
    /// It was issued.
    Issued,
    /// It was taken back: by itself, exchanged for another, or with its user.
    TakenBack {
        /// When it ends, where that is still to come.
        ends: Option<Timestamp>,
    },
}

/// A change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// Id of the key.
    pub key_id: String,
    /// Whose it is.
    pub user_id: i64,
    /// Their name.
    pub user: String,
    /// When it happened; where that is kept nowhere, when it was seen.
    pub at: Timestamp,
    /// What.
    pub fate: KeyFate,
}

/// What a look has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Whether the key of the one who looks still opens something.
    pub live: bool,
    /// What has happened since the look before.
    pub changes: Vec<KeyChange>,
}

/// As much of a key as can change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    user_id: i64,
    user: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl Seen {
    fn ends(&self) -> Option<Timestamp> {
        end_of(self.revoked_at, self.expires_at)
    }

    fn is_live(&self, at: Timestamp) -> bool {
        self.ends().is_none_or(|end| end > at)
    }
}

/// Keys by their ids.
type Keys = BTreeMap<String, Seen>;

/// How many keys there are, with sums of when they were issued and taken back: equal where nothing changed.
type Stamp = (i64, i64, i64);

/// Somebody's view of keys: their own, and everybody's where they are an administrator.
#[derive(Debug)]
pub struct KeyWatch {
    accounts: Accounts,
    key_id: String,
    /// Whose keys are looked at; `None` = everybody's.
    whose: Option<i64>,
    stamp: Stamp,
    keys: Keys,
    /// When they were read last: a key that had ended then is no news any more.
    read_at: Timestamp,
}

impl KeyWatch {
    /// Begins with the keys as they are now: those of one user, or everybody's. `key_id` is the key of the one
    /// who looks.
    pub async fn begin(
        accounts: &Accounts,
        key_id: &str,
        whose: Option<i64>,
    ) -> Result<Self, AccountsError> {
        let mut watch = Self {
            accounts: accounts.clone(),
            key_id: key_id.to_owned(),
            whose,
            stamp: (-1, 0, 0),
            keys: Keys::new(),
            read_at: accounts.shared.clock.now(),
        };
        if let Some((stamp, keys)) = watch.read().await? {
            (watch.stamp, watch.keys) = (stamp, keys);
        }
        Ok(watch)
    }

    /// Looks again. A database that cannot be read for a moment is no reason to cut anybody off: nothing is
    /// known to have changed then.
    pub async fn look(&mut self) -> Looked {
        let now = self.accounts.shared.clock.now();
        let mut changes = Vec::new();
        if let Ok(Some((stamp, keys))) = self.read().await {
            changes = differences(&self.keys, &keys, self.read_at, now);
            (self.stamp, self.keys) = (stamp, keys);
        }
        self.read_at = now;
        let own = self.keys.get(&self.key_id);
        Looked {
            live: own.is_some_and(|key| key.is_live(now)),
            changes,
        }
    }

    /// Reads the keys; `None` where nothing has changed.
    async fn read(&self) -> Result<Option<(Stamp, Keys)>, AccountsError> {
        let (whose, known) = (self.whose, self.stamp);
        self.accounts
            .run("looking for changed keys", move |connection| {
                let stamp = stamp(connection, whose)?;
                if stamp == known {
                    return Ok(None);
                }
                Ok(Some((stamp, keys(connection, whose)?)))
            })
            .await
    }
}

/// Which keys are meant; both forms take one parameter, and the first uses the index.
const fn condition(whose: Option<i64>) -> &'static str {
    match whose {
        Some(_) => "k.user_id = ?1",
        None => "?1 IS NULL",
    }
}

fn stamp(connection: &Connection, whose: Option<i64>) -> rusqlite::Result<Stamp> {
    let sql = format!(
        "SELECT count(*), coalesce(sum(k.created_at), 0), coalesce(sum(k.revoked_at), 0) \
         FROM api_key k WHERE {}",
        condition(whose)
    );
    let mut query = connection.prepare_cached(&sql)?;
    query.query_row(params![whose], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
}

fn keys(connection: &Connection, whose: Option<i64>) -> rusqlite::Result<Keys> {
    let sql = format!(
        "SELECT k.id, k.user_id, u.name, k.created_at, k.expires_at, k.revoked_at \
         FROM api_key k JOIN user u ON u.id = k.user_id WHERE {}",
        condition(whose)
    );
    let mut query = connection.prepare_cached(&sql)?;
    let rows = query.query_map(params![whose], |row| {
        let seen = Seen {
            user_id: row.get(1)?,
            user: row.get(2)?,
            created_at: moment(row.get(3)?),
            expires_at: row.get::<_, Option<i64>>(4)?.map(moment),
            revoked_at: row.get::<_, Option<i64>>(5)?.map(moment),
        };
        Ok((row.get(0)?, seen))
    })?;
    rows.collect()
}

/// Compares two looks: first what was taken back, then what was issued. A key that opened nothing at the look before
/// is not taken back by anything that happens to it.
fn differences(before: &Keys, after: &Keys, looked: Timestamp, now: Timestamp) -> Vec<KeyChange> {
    let change = |id: &String, key: &Seen, at, fate| KeyChange {
        key_id: id.clone(),
        user_id: key.user_id,
        user: key.user.clone(),
        at,
        fate,
    };
    let taken_back = |id: &String, key: &Seen, ended: Option<Timestamp>| {
        let at = ended.filter(|at| *at <= now).unwrap_or(now);
        let ends = ended.and_then(|_| key.ends().filter(|at| *at > now));
        change(id, key, at, KeyFate::TakenBack { ends })
    };
    let mut changes: Vec<KeyChange> = Vec::new();
    for (id, key) in before.iter().filter(|(_, key)| key.is_live(looked)) {
        match after.get(id) {
            None => changes.push(taken_back(id, key, None)),
            Some(is) if is.revoked_at != key.revoked_at => {
                changes.push(taken_back(id, is, is.revoked_at));
            }
            Some(_) => {}
        }
    }
    for (id, key) in after.iter().filter(|(id, _)| !before.contains_key(*id)) {
        changes.push(change(id, key, key.created_at, KeyFate::Issued));
        if key.revoked_at.is_some() {
            changes.push(taken_back(id, key, key.revoked_at));
        }
    }
    changes
}
