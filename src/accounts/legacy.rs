//! Keys taken over from the older portal: known by a slow hash until their first use, then by ours.

use hmac::{Hmac, KeyInit, Mac};
use rusqlite::params;
use sha2::Sha256;

use super::error::AccountsError;
use super::key::{Access, AuthRefusal};
use super::store::Accounts;
use super::token;
use crate::domain::secret::SecretText;

/// Characters of such a key: 32 bytes in URL-safe base64 without padding.
const LENGTH: usize = 43;

/// Rounds of PBKDF2-HMAC-SHA256 that the older portal took.
const ROUNDS: u32 = 600_000;

pub(super) fn is_well_formed(token: &str) -> bool {
    token.len() == LENGTH
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// One row whose slow hash may fit.
struct Candidate {
    id: String,
    hash: Vec<u8>,
    salt: Vec<u8>,
}

/// Looks for a key that was used before, then for one that was not. Only a key whose first characters
/// are those of an unused one costs the slow check, and few of those run at a time.
pub(super) async fn authenticate(
    accounts: &Accounts,
    token: &SecretText,
    slowly: impl FnOnce() -> bool + Send,
) -> Result<Access, AuthRefusal> {
    let digests = accounts.peppers().digests(token.expose());
    match accounts.by_digests(digests).await {
        Err(AuthRefusal::Unknown) => {}
        decided => return decided,
    }
    let prefix = token::shown_prefix(token.expose());
    let candidates = accounts
        .run("looking for a key that was taken over", move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, legacy_hash, legacy_salt FROM api_key \
                 WHERE prefix = ?1 AND legacy_hash IS NOT NULL AND revoked_at IS NULL",
            )?;
            let rows = query.query_map([prefix], |row| {
                Ok(Candidate {
                    id: row.get(0)?,
                    hash: row.get(1)?,
                    salt: row.get(2)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })
        .await?;
    if candidates.is_empty() || !slowly() {
        return Err(AuthRefusal::Unknown);
    }
    for candidate in candidates {
        // The semaphore is never closed.
        let _place = accounts.shared.slow_checks.acquire().await.ok();
        let text = token.clone();
        let Candidate { id, hash, salt } = candidate;
        let fits = tokio::task::spawn_blocking(move || {
            token::same(&pbkdf2(text.expose().as_bytes(), &salt, ROUNDS), &hash)
        })
        .await
        .unwrap_or(false);
        if fits {
            replace(accounts, id, digests.current).await?;
            return accounts.by_digests(digests).await;
        }
    }
    Err(AuthRefusal::Unknown)
}

async fn replace(accounts: &Accounts, id: String, digest: [u8; 32]) -> Result<(), AccountsError> {
    let pepper = accounts.peppers().current.name();
    accounts
        .write("keeping a key that was taken over", move |transaction| {
            transaction
                .execute(
                    "UPDATE api_key SET digest = ?1, pepper = ?2, legacy_hash = NULL, \
                     legacy_salt = NULL WHERE id = ?3",
                    params![digest, pepper, id],
                )
                .map_err(|error| AccountsError::of("keeping a key", error))?;
            Ok(())
        })
        .await
}

/// PBKDF2-HMAC-SHA256 with one block of output (RFC 8018, section 5.2).
fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let keyed = Hmac::<Sha256>::new_from_slice(password).expect("HMAC takes keys of any length");
    let once = |parts: &[&[u8]]| -> [u8; 32] {
        let mut mac = keyed.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    };
    let mut block = once(&[salt, &1_u32.to_be_bytes()]);
    let mut sum = block;
    for _ in 1..rounds {
        block = once(&[&block]);
        for (to, from) in sum.iter_mut().zip(block) {
            *to ^= from;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 7914, section 11, first 32 bytes.
    #[test]
    fn pbkdf2_is_the_standard_one() {
        let hex = |bytes: [u8; 32]| {
            let [high, low] = [0, 16].map(|at| {
                let half: [u8; 16] = bytes[at..at + 16].try_into().unwrap();
                u128::from_be_bytes(half)
            });
            format!("{high:032x}{low:032x}")
        };
        assert_eq!(
            hex(pbkdf2(b"passwd", b"salt", 1)),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
        assert_eq!(
            hex(pbkdf2(b"Password", b"NaCl", 80_000)),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }

    #[test]
    fn the_form_of_an_older_key() {
        assert!(is_well_formed(&format!("{}aZ0", "aZ0-_".repeat(8))));
        for wrong in [
            "",
            "short",
            &"a".repeat(44),
            &format!("{}+", "a".repeat(42)),
        ] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }
}
