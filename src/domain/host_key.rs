//! Host keys as data: what a host showed, what we know, and the verdict. The rules are OpenSSH's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A public host key as it was shown to us.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostKey {
    /// Algorithm (`ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`).
    pub algorithm: String,
    /// Key data in base64, as in `known_hosts`.
    pub base64: String,
    /// `SHA256:...`
    pub fingerprint: String,
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.fingerprint)
    }
}

/// Where a key we compare with is written down.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownAt {
    /// The file, or "profile" for a pinned key.
    pub source: String,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// The key written there.
    pub key: HostKey,
}

/// What to think of the key a host has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum HostKeyVerdict {
    /// This very key is pinned or in `known_hosts`.
    Known,
    /// No key of any type is known for this host.
    Unknown,
    /// Another key, of the same or another type, is known for this host.
    Changed {
        /// What we know instead.
        known: Vec<KnownAt>,
    },
    /// This key is marked as revoked.
    Revoked {
        /// Where it says so.
        at: KnownAt,
    },
}

/// A key that a person has to decide on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKeyQuestion {
    /// The name the key is filed under: `host` or `[host]:port`; a jump host has its own.
    pub label: String,
    /// The address that was really dialled.
    pub dialled: String,
    /// What was shown.
    pub key: HostKey,
    /// What we think of it (never `Known`).
    pub verdict: HostKeyVerdict,
}

/// A host key that the profile vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PinnedKey {
    /// `host` or `[host]:port`, lower-case.
    pub label: String,
    /// The key.
    pub key: HostKey,
    /// Whether it is pinned as revoked.
    pub revoked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_by_its_type_and_fingerprint() {
        let key = HostKey {
            algorithm: "ssh-ed25519".to_owned(),
            base64: "AAAA".to_owned(),
            fingerprint: "SHA256:abc".to_owned(),
        };
        assert_eq!(key.to_string(), "ssh-ed25519 SHA256:abc");
    }
}
