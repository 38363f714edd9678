//! The form of an API key, and what is kept of it.
//!
//! `vmd_` + a letter for the kind + `_` + 43 characters of base 62 (256 random bits) + 6 characters of
//! their CRC-32. The checksum turns guesses away before anything is looked up, and lets scanners for
//! leaked secrets tell a key from a word. What is kept is HMAC-SHA256 of the whole key under a key of
//! the server's own; that digest is also the index, so looking a key up takes no time that depends on it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::domain::secret::SecretText;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random characters: 43 of base 62 hold 256 bits.
const RANDOM: usize = 43;

/// Characters of the checksum: six of base 62 hold 32 bits.
const CHECK: usize = 6;

/// Characters of a key that may be shown.
pub const PREFIX: usize = 8;

/// What a key is for; part of the key, so that a person sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A user's.
    User,
    /// An administrator's.
    Admin,
}

impl TokenKind {
    const fn letter(self) -> char {
        match self {
            Self::User => 'k',
            Self::Admin => 'a',
        }
    }
}

/// The key of the digests.
pub(super) struct Pepper(Zeroizing<[u8; Self::LENGTH]>);

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Pepper {
    pub(super) const LENGTH: usize = 32;

    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|key| Self(Zeroizing::new(key)))
    }

    /// Lends the key itself, to be kept in its file.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Returns a name for it that tells nothing of it.
    pub(super) fn name(&self) -> String {
        let digest = keyed(self.0.as_slice(), b"name of this key of the digests");
        let first = digest.iter().take(8);
        let name = first.fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        format!("{name:016x}")
    }

    /// Returns what is kept of a key.
    pub(super) fn digest(&self, token: &str) -> [u8; 32] {
        keyed(self.0.as_slice(), token.as_bytes())
    }
}

/// HMAC-SHA256.
pub(super) fn keyed(key: &[u8], message: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Compares two digests in a time that does not depend on where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Makes a key.
pub(super) fn generate(kind: TokenKind) -> SecretText {
    let mut rng = rand::rng();
    // One allocation of the final size: nothing of it is left behind by growing.
    let mut text = String::with_capacity(PREFIX + RANDOM + CHECK);
    text.push_str("vmd_");
    text.push(kind.letter());
    text.push('_');
    for _ in 0..RANDOM {
        text.push(digit(rng.random_range(0..62)));
    }
    let check = checksum(&text);
    text.push_str(&check);
    SecretText::new(text)
}

/// Says whether a text can be one of our keys: form and checksum, nothing is looked up.
pub fn is_well_formed(token: &str) -> bool {
    let kind = token
        .strip_prefix("vmd_k_")
        .or_else(|| token.strip_prefix("vmd_a_"));
    let body = kind.filter(|body| {
        body.len() == RANDOM + CHECK && body.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    body.and_then(|_| token.split_at_checked(token.len() - CHECK))
        .is_some_and(|(signed, check)| checksum(signed) == check)
}

/// Returns the characters that may be shown: the kind, and two that are random.
pub fn shown_prefix(token: &str) -> String {
    token.chars().take(PREFIX).collect()
}

fn checksum(text: &str) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    let mut rest = u64::from(crc.sum());
    let mut digits = ['0'; CHECK];
    for place in digits.iter_mut().rev() {
        *place = digit(rest % 62);
        rest /= 62;
    }
    digits.iter().collect()
}

fn digit(value: u64) -> char {
    let byte = usize::try_from(value).ok().and_then(|at| ALPHABET.get(at));
    byte.map_or('0', |byte| char::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_are_recognisable_and_differ() {
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            let token = generate(TokenKind::User);
            let text = token.expose();
            assert_eq!(text.len(), 55);
            assert!(text.starts_with("vmd_k_"), "{text}");
            assert!(is_well_formed(text), "{text}");
            assert_eq!(shown_prefix(text).len(), 8);
            assert!(seen.insert(text.clone()));
        }
    }

    #[test]
    fn a_changed_character_is_noticed_before_anything_is_looked_up() {
        let token = generate(TokenKind::Admin);
        for at in 0..token.expose().len() {
            let mut bytes = token.expose().clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(!is_well_formed(&changed), "{at}");
        }
        for wrong in ["", "vmd_k_", "vmd_k_é", "Bearer x", &"a".repeat(10_000)] {
            assert!(!is_well_formed(wrong));
        }
    }

    #[test]
    fn digests_depend_on_the_servers_own_key() {
        let [one, other] = [[1; 32], [2; 32]].map(|key| Pepper::new(&key).unwrap());
        assert_eq!(one.digest("a"), one.digest("a"));
        assert_ne!(one.digest("a"), other.digest("a"));
        assert_ne!(one.digest("a"), one.digest("b"));
        assert_eq!(format!("{one:?}"), "<secret>");
        assert!(Pepper::new(&[0; 31]).is_none());
    }
}
