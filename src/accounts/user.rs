//! Users: who may use the server, each in a profile of their own or in one they were given.

use rusqlite::{OptionalExtension, Row, params};

use jiff::Timestamp;

use super::error::AccountsError;
use super::key::{self, IssuedKey, NewKey};
use super::store::Accounts;
use super::token::TokenKind;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Identity; never reused.
    pub id: i64,
    /// A name of somebody's choice; not unique.
    pub name: String,
    /// Unique where there is one.
    pub email: Option<String>,
    /// The profile they work in.
    pub profile: String,
    /// Whether they may make and remove users.
    pub admin: bool,
    /// When they were added.
    pub created_at: Timestamp,
}

/// A user about to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// 1 to 100 characters.
    pub name: String,
    /// At most 255 characters.
    pub email: Option<String>,
    /// The profile they work in; `None` = one of their own, [`Accounts::profile_of`].
    pub profile: Option<String>,
    /// Whether they may make and remove users.
    pub admin: bool,
}

/// A key of an older program, of which only a slow hash is known.
#[derive(Clone)]
pub struct ImportedKey {
    /// Its first eight characters.
    pub prefix: String,
    /// PBKDF2-HMAC-SHA256, 600,000 rounds, 32 bytes.
    pub hash: Vec<u8>,
    /// 16 bytes.
    pub salt: Vec<u8>,
}

impl std::fmt::Debug for ImportedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImportedKey({}...)", self.prefix)
    }
}

const COLUMNS: &str = "id, name, email, profile, admin, created_at";

pub(super) fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(at)?,
        name: row.get(at + 1)?,
        email: row.get(at + 2)?,
        profile: row.get(at + 3)?,
        admin: row.get(at + 4)?,
        created_at: moment(row.get(at + 5)?),
    })
}

/// Turns a stored moment into one of ours; what is out of range becomes 1970.
pub(super) fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

impl Accounts {
    /// Adds a user with a first key.
    pub async fn add_user(
        &self,
        new: NewUser,
        first: NewKey,
    ) -> Result<(User, IssuedKey), AccountsError> {
        let new = checked(new)?;
        let now = self.shared.clock.now();
        let kind = if new.admin {
            TokenKind::Admin
        } else {
            TokenKind::User
        };
        let made = key::make(&self.peppers().current, kind, first, now);
        let (user, info) = self
            .write("adding a user", move |transaction| {
                let user = insert(transaction, new, None, now)?;
                let info = key::insert(transaction, user.id, &made)?;
                Ok((user, (info, made.token)))
            })
            .await?;
        let (info, token) = info;
        Ok((user, IssuedKey { token, info }))
    }

    /// Takes a user over from an older program under the same id, with a key that goes on working.
    pub async fn import_user(
        &self,
        id: i64,
        new: NewUser,
        key: ImportedKey,
        created_at: Timestamp,
    ) -> Result<User, AccountsError> {
        let new = checked(new)?;
        self.write("taking a user over", move |transaction| {
            let user = insert(transaction, new, Some(id), created_at)?;
            key::insert_imported(transaction, user.id, &key, created_at)?;
            Ok(user)
        })
        .await
    }

    /// Adds an administrator if there is none; `None` when there is one already.
    pub async fn bootstrap(
        &self,
        profile: &str,
    ) -> Result<Option<(User, IssuedKey)>, AccountsError> {
        let now = self.shared.clock.now();
        let new = NewUser {
            name: "admin".to_owned(),
            email: None,
            profile: Some(profile.to_owned()),
            admin: true,
        };
        let made = key::make(
            &self.peppers().current,
            TokenKind::Admin,
            NewKey::default(),
            now,
        );
        self.write("adding the first administrator", move |transaction| {
            let there: bool = transaction
                .query_row(
                    "SELECT EXISTS (SELECT 1 FROM user WHERE admin = 1)",
                    [],
                    |row| row.get(0),
                )
                .map_err(|error| AccountsError::of("looking for an administrator", error))?;
            if there {
                return Ok(None);
            }
            let user = insert(transaction, new, None, now)?;
            let info = key::insert(transaction, user.id, &made)?;
            let token = made.token;
            Ok(Some((user, IssuedKey { token, info })))
        })
        .await
    }

    /// Gives a user a new id, so that another one can have the old. Keys and agents follow.
    pub async fn renumber_user(&self, id: i64) -> Result<i64, AccountsError> {
        self.write("renumbering a user", move |transaction| {
            let failed = |error| AccountsError::of("renumbering a user", error);
            transaction
                .execute_batch("PRAGMA defer_foreign_keys = ON")
                .map_err(failed)?;
            let fresh: i64 = transaction
                .query_row(
                    "SELECT 1 + max((SELECT max(id) FROM user), \
                     coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'user'), 0))",
                    [],
                    |row| row.get(0),
                )
                .map_err(failed)?;
            for sql in [
                "UPDATE user SET id = ?1 WHERE id = ?2",
                "UPDATE api_key SET user_id = ?1 WHERE user_id = ?2",
                "UPDATE agent SET user_id = ?1 WHERE user_id = ?2",
                "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'user' AND ?2 = ?2",
            ] {
                transaction.execute(sql, [fresh, id]).map_err(failed)?;
            }
            Ok(fresh)
        })
        .await
    }

    /// Returns the users, ordered by id.
    pub async fn users(&self) -> Result<Vec<User>, AccountsError> {
        self.run("reading users", |connection| {
            let mut query =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM user ORDER BY id"))?;
            let rows = query.query_map([], |row| read(row, 0))?;
            rows.collect()
        })
        .await
    }

    /// Returns a user by id.
    pub async fn user(&self, id: i64) -> Result<Option<User>, AccountsError> {
        self.run("reading a user", move |connection| {
            connection
                .query_row(
                    &format!("SELECT {COLUMNS} FROM user WHERE id = ?1"),
                    [id],
                    |row| read(row, 0),
                )
                .optional()
        })
        .await
    }

    /// Returns the one user of a name, or of an id written as a number.
    pub async fn find_user(&self, name: &str) -> Result<User, AccountsError> {
        let all = self.users().await?;
        let mut named: Vec<User> = all
            .iter()
            .filter(|user| user.name == name || user.email.as_deref() == Some(name))
            .cloned()
            .collect();
        if named.is_empty() {
            let id = name.parse::<i64>().ok();
            named.extend(all.into_iter().filter(|user| Some(user.id) == id));
        }
        match (named.pop(), named.as_slice()) {
            (Some(user), []) => Ok(user),
            (None, _) => Err(AccountsError::UnknownUser {
                name: name.to_owned(),
            }),
            (Some(last), others) => Err(AccountsError::AmbiguousUser {
                name: name.to_owned(),
                ids: others.iter().map(|user| user.id).chain([last.id]).collect(),
            }),
        }
    }

    /// Removes a user with their keys. Their profile stays.
    pub async fn remove_user(&self, id: i64) -> Result<(), AccountsError> {
        self.write("removing a user", move |transaction| {
            let gone = transaction
                .execute("DELETE FROM user WHERE id = ?1", [id])
                .map_err(|error| AccountsError::of("removing a user", error))?;
            if gone == 0 {
                let name = id.to_string();
                return Err(AccountsError::UnknownUser { name });
            }
            Ok(())
        })
        .await
    }

    /// Returns the name of the profile that a user without another one works in.
    pub fn profile_of(id: i64) -> String {
        format!("user-{id}")
    }
}

fn checked(mut new: NewUser) -> Result<NewUser, AccountsError> {
    let hostile = |text: &str| text.chars().any(crate::domain::text::is_hostile);
    new.name = new.name.trim().to_owned();
    if !(1..=100).contains(&new.name.chars().count()) || hostile(&new.name) {
        return Err(AccountsError::Unfit(
            "a user's name has 1 to 100 characters, none of them a control character",
        ));
    }
    let email = new.email.map(|email| email.trim().to_owned());
    new.email = email.filter(|email| !email.is_empty());
    if let Some(email) = &new.email
        && (email.chars().count() > 255 || hostile(email))
    {
        return Err(AccountsError::Unfit(
            "an email address has at most 255 characters, none of them a control character",
        ));
    }
    Ok(new)
}

fn insert(
    transaction: &rusqlite::Transaction<'_>,
    new: NewUser,
    id: Option<i64>,
    now: Timestamp,
) -> Result<User, AccountsError> {
    let failed = |error: rusqlite::Error| match &error {
        rusqlite::Error::SqliteFailure(_, Some(text)) if text.contains("user.email") => {
            AccountsError::EmailTaken
        }
        _ => AccountsError::of("adding a user", error),
    };
    transaction
        .execute(
            "INSERT INTO user (id, name, email, profile, admin, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                id,
                new.name,
                new.email,
                new.profile.as_deref().unwrap_or_default(),
                new.admin,
                now.as_millisecond()
            ],
        )
        .map_err(failed)?;
    let id = transaction.last_insert_rowid();
    let profile = if let Some(profile) = new.profile {
        profile
    } else {
        let own = Accounts::profile_of(id);
        transaction
            .execute(
                "UPDATE user SET profile = ?1 WHERE id = ?2",
                params![own, id],
            )
            .map_err(failed)?;
        own
    };
    Ok(User {
        id,
        name: new.name,
        email: new.email,
        profile,
        admin: new.admin,
        created_at: moment(now.as_millisecond()),
    })
}
