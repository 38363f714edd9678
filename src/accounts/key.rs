//! API keys: issued once, kept as a digest, checked on every request.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, Transaction, params};
use thiserror::Error;

use super::error::AccountsError;
use super::legacy;
use super::pepper::Digests;
use super::scopes::Scopes;
use super::store::Accounts;
use super::token::{self, Pepper, TokenKind};
use super::user::{self, ImportedKey, User, moment};
use crate::domain::secret::SecretText;

/// How exactly the last use is known: one write a minute and key at the most.
const LAST_USE_STEP: SignedDuration = SignedDuration::from_secs(60);

/// How long before a key ends its holders are reminded: two weeks.
const REMINDED: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Identity: what stands in logs and in the audit.
    pub id: String,
    /// Whose it is.
    pub user_id: i64,
    /// Its first eight characters.
    pub prefix: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// Returns when a key ends: taken back or run out, whichever comes first.
pub(super) fn end_of(
    revoked_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
) -> Option<Timestamp> {
    revoked_at.into_iter().chain(expires_at).min()
}

impl KeyInfo {
    /// Says whether it opens anything at a moment.
    pub fn is_live(&self, now: Timestamp) -> bool {
        end_of(self.revoked_at, self.expires_at).is_none_or(|end| end > now)
    }

    /// Returns when it ends, by itself or because it was replaced, where its holders are to be reminded of it.
    pub fn ends_soon(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = end_of(self.revoked_at, self.expires_at)?;
        (ends > now && ends.duration_since(now) <= REMINDED).then_some(ends)
    }
}

/// A key about to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

impl Default for NewKey {
    fn default() -> Self {
        Self {
            scopes: Scopes::full(),
            expires_at: None,
        }
    }
}

/// A key just issued: the only moment at which the key itself is known.
#[derive(Clone)]
pub struct IssuedKey {
    /// The key. Shown once, never kept.
    pub token: SecretText,
    /// What is kept.
    pub info: KeyInfo,
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuedKey({})", self.info.id)
    }
}

/// Who came with a key.
#[derive(Debug, Clone)]
pub struct Access {
    /// The user.
    pub user: Arc<User>,
    /// The key they came with.
    pub key: Arc<KeyInfo>,
}

/// Why a key opens nothing. At the doors all but the last look alike.
#[derive(Debug, Error)]
pub enum AuthRefusal {
    /// It is no key at all.
    #[error("that is no API key")]
    Malformed,
    /// Nobody has it.
    #[error("that API key is not known")]
    Unknown,
    /// It was taken back.
    #[error("API key {0} was taken back")]
    Revoked(String),
    /// Its time is over.
    #[error("API key {0} has expired")]
    Expired(String),
    /// It cannot be looked up.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

/// A key with its digest, not yet written.
pub(super) struct Made {
    pub(super) token: SecretText,
    digest: [u8; 32],
    /// Name of the key of the digests.
    pepper: String,
    info: KeyInfo,
}

pub(super) fn make(pepper: &Pepper, kind: TokenKind, new: NewKey, now: Timestamp) -> Made {
    let token = token::generate(kind);
    Made {
        digest: pepper.digest(token.expose()),
        pepper: pepper.name(),
        info: KeyInfo {
            id: format!("key-{:012x}", rand::random::<u64>() >> 16),
            user_id: 0,
            prefix: token::shown_prefix(token.expose()),
            scopes: new.scopes,
            created_at: moment(now.as_millisecond()),
            expires_at: new.expires_at.map(|at| moment(at.as_millisecond())),
            last_used: None,
            revoked_at: None,
        },
        token,
    }
}

/// Writes a key of a user.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    user_id: i64,
    made: &Made,
) -> Result<KeyInfo, AccountsError> {
    let info = KeyInfo {
        user_id,
        ..made.info.clone()
    };
    transaction
        .execute(
            "INSERT INTO api_key (id, user_id, prefix, digest, pepper, scopes, created_at, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                info.id,
                user_id,
                info.prefix,
                made.digest,
                made.pepper,
                write_scopes(&info.scopes),
                info.created_at.as_millisecond(),
                info.expires_at.map(Timestamp::as_millisecond),
            ],
        )
        .map_err(|error| AccountsError::of("issuing a key", error))?;
    Ok(info)
}

/// Writes a key of which only the slow hash is known.
pub(super) fn insert_imported(
    transaction: &Transaction<'_>,
    user_id: i64,
    key: &ImportedKey,
    created_at: Timestamp,
) -> Result<(), AccountsError> {
    transaction
        .execute(
            "INSERT INTO api_key \
             (id, user_id, prefix, legacy_hash, legacy_salt, scopes, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                format!("key-{:012x}", rand::random::<u64>() >> 16),
                user_id,
                key.prefix,
                key.hash,
                key.salt,
                write_scopes(&Scopes::full()),
                created_at.as_millisecond(),
            ],
        )
        .map_err(|error| AccountsError::of("taking a key over", error))?;
    Ok(())
}

fn write_scopes(scopes: &Scopes) -> String {
    // Lists of texts and flags: there is nothing in it that could fail.
    serde_json::to_string(scopes).unwrap_or_default()
}

const COLUMNS: &str = "k.id, k.user_id, k.prefix, k.scopes, k.created_at, k.expires_at, \
                       k.last_used, k.revoked_at";

fn read(row: &Row<'_>) -> rusqlite::Result<KeyInfo> {
    let scopes: String = row.get(3)?;
    let scopes = serde_json::from_str(&scopes).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, Box::new(error))
    })?;
    let optional = |at: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(at)?.map(moment))
    };
    Ok(KeyInfo {
        id: row.get(0)?,
        user_id: row.get(1)?,
        prefix: row.get(2)?,
        scopes,
        created_at: moment(row.get(4)?),
        expires_at: optional(5)?,
        last_used: optional(6)?,
        revoked_at: optional(7)?,
    })
}

/// Returns the keys of which a condition with one parameter holds, newest first.
pub(super) fn matching(
    connection: &Connection,
    condition: &str,
    parameter: &dyn ToSql,
) -> rusqlite::Result<Vec<KeyInfo>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM api_key k WHERE {condition} ORDER BY k.created_at DESC, k.id"
    );
    let mut query = connection.prepare_cached(&sql)?;
    let rows = query.query_map([parameter], read)?;
    rows.collect()
}

impl Accounts {
    /// Says who comes with a key. The only question asked on every request.
    pub async fn authenticate(&self, token: &SecretText) -> Result<Access, AuthRefusal> {
        self.authenticate_if(token, || true).await
    }

    /// The same; `slowly` is asked whether the slow check of a key that was taken over and not used yet
    /// may be made. It is asked at most once, and only when there is such a key with these first
    /// characters; without it the key opens nothing.
    pub async fn authenticate_if(
        &self,
        token: &SecretText,
        slowly: impl FnOnce() -> bool + Send,
    ) -> Result<Access, AuthRefusal> {
        if !token::is_well_formed(token.expose()) {
            if legacy::is_well_formed(token.expose()) {
                return legacy::authenticate(self, token, slowly).await;
            }
            return Err(AuthRefusal::Malformed);
        }
        let digests = self.peppers().digests(token.expose());
        self.by_digests(digests).await
    }

    /// Looks a key up under the current key of the digests, then under the former one, which it leaves so.
    pub(super) async fn by_digests(&self, digests: Digests) -> Result<Access, AuthRefusal> {
        let found = self.by_digest(digests.current).await;
        let (Err(AuthRefusal::Unknown), Some(former)) = (&found, digests.former) else {
            return found;
        };
        let access = self.by_digest(former).await?;
        let passed = self.pass_over(access.key.id.clone(), former, digests.current);
        if let Err(error) = passed.await {
            // It is the right key all the same; the next time will do.
            tracing::warn!(key = access.key.id, %error, "could not pass a key over to the new key of the digests");
        }
        Ok(access)
    }

    async fn by_digest(&self, digest: [u8; 32]) -> Result<Access, AuthRefusal> {
        let now = self.shared.clock.now();
        let found = self
            .run("looking a key up", move |connection| {
                let sql = format!(
                    "SELECT {COLUMNS}, k.digest, u.id, u.name, u.email, u.profile, u.admin, \
                     u.created_at FROM api_key k JOIN user u ON u.id = k.user_id \
                     WHERE k.digest = ?1"
                );
                let mut query = connection.prepare_cached(&sql)?;
                let found = query
                    .query_row([digest], |row| {
                        Ok((read(row)?, row.get::<_, [u8; 32]>(8)?, user::read(row, 9)?))
                    })
                    .optional()?;
                let is_old = |at: Timestamp| now.duration_since(at) >= LAST_USE_STEP;
                if let Some((key, _, _)) = &found
                    && key.is_live(now)
                    && key.last_used.is_none_or(is_old)
                {
                    connection.execute(
                        "UPDATE api_key SET last_used = ?1 WHERE id = ?2",
                        params![now.as_millisecond(), key.id],
                    )?;
                }
                Ok(found)
            })
            .await?;
        let same = found.filter(|(_, kept, _)| token::same(kept, &digest));
        let Some((key, _, user)) = same else {
            return Err(AuthRefusal::Unknown);
        };
        if key.revoked_at.is_some_and(|at| at <= now) {
            return Err(AuthRefusal::Revoked(key.id));
        }
        if !key.is_live(now) {
            return Err(AuthRefusal::Expired(key.id));
        }
        Ok(Access {
            user: Arc::new(user),
            key: Arc::new(key),
        })
    }

    /// Returns the keys of a user, newest first.
    pub async fn keys(&self, user_id: i64) -> Result<Vec<KeyInfo>, AccountsError> {
        self.run("reading keys", move |connection| {
            matching(connection, "k.user_id = ?1", &user_id)
        })
        .await
    }

    /// Issues one more key to a user.
    pub async fn issue_key(&self, user_id: i64, new: NewKey) -> Result<IssuedKey, AccountsError> {
        let now = self.shared.clock.now();
        let kind = self.kind_of(user_id).await?;
        let made = make(&self.peppers().current, kind, new, now);
        self.write("issuing a key", move |transaction| {
            let info = insert(transaction, user_id, &made)?;
            let token = made.token;
            Ok(IssuedKey { token, info })
        })
        .await
    }

    /// Issues a key with the scopes of the newest live one and takes the others back: at once, or
    /// after `grace` while clients change over.
    pub async fn rotate(
        &self,
        user_id: i64,
        grace: Option<SignedDuration>,
    ) -> Result<IssuedKey, AccountsError> {
        let now = self.shared.clock.now();
        let ends = now
            .checked_add(grace.unwrap_or_default())
            .unwrap_or(now)
            .as_millisecond();
        let kind = self.kind_of(user_id).await?;
        let newest = self.keys(user_id).await?;
        let newest = newest.into_iter().find(|key| key.is_live(now));
        let new = newest.map_or_else(NewKey::default, |key| NewKey {
            scopes: key.scopes,
            expires_at: key.expires_at,
        });
        let made = make(&self.peppers().current, kind, new, now);
        self.write("rotating a key", move |transaction| {
            transaction
                .execute(
                    "UPDATE api_key SET revoked_at = ?1 \
                     WHERE user_id = ?2 AND (revoked_at IS NULL OR revoked_at > ?1)",
                    params![ends, user_id],
                )
                .map_err(|error| AccountsError::of("taking keys back", error))?;
            let info = insert(transaction, user_id, &made)?;
            let token = made.token;
            Ok(IssuedKey { token, info })
        })
        .await
    }

    /// Takes one key back.
    pub async fn revoke_key(&self, id: &str) -> Result<(), AccountsError> {
        let now = self.shared.clock.now().as_millisecond();
        let id = id.to_owned();
        self.write("taking a key back", move |transaction| {
            let changed = transaction
                .execute(
                    "UPDATE api_key SET revoked_at = ?1 \
                     WHERE id = ?2 AND (revoked_at IS NULL OR revoked_at > ?1)",
                    params![now, id],
                )
                .map_err(|error| AccountsError::of("taking a key back", error))?;
            if changed == 0 {
                return Err(AccountsError::UnknownKey { id });
            }
            Ok(())
        })
        .await
    }

    async fn kind_of(&self, user_id: i64) -> Result<TokenKind, AccountsError> {
        let user = self.user(user_id).await?;
        let user = user.ok_or_else(|| AccountsError::UnknownUser {
            name: user_id.to_string(),
        })?;
        Ok(if user.admin {
            TokenKind::Admin
        } else {
            TokenKind::User
        })
    }
}
