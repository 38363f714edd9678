//! Opaque cursors: where the next part of a list begins. They hold nothing that the list itself did
//! not show, so they need not be sealed; whatever is in one is only a place to go on from.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::key::Key;
use crate::domain::error_kind::{ErrorKind, Failure};

/// Bytes that a cursor may have.
const MAX_BYTES: usize = 1024;

/// The place after a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    /// The list it belongs to: a digest of what was asked.
    #[serde(rename = "l")]
    pub(super) list: String,
    /// The last row that was shown.
    #[serde(rename = "r")]
    pub(super) row: String,
    /// What it was ordered by.
    #[serde(rename = "k")]
    pub(super) key: Key,
    /// Its place, for when it is gone and nothing orders the list.
    #[serde(rename = "p")]
    pub(super) place: usize,
}

impl Cursor {
    /// Digests what a list was asked.
    pub(super) fn list_of(parts: &[&str]) -> String {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.len().to_le_bytes());
            digest.update(part.as_bytes());
        }
        let digest = digest.finalize();
        BASE64_URL_SAFE_NO_PAD.encode(digest.get(..9).unwrap_or_default())
    }

    /// Writes it.
    pub(super) fn write(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads one that belongs to this list.
    pub(super) fn read(text: &str, list: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            Failure::new(ErrorKind::Usage, format!("`cursor`: {why}"))
                .with_hint("begin again without a cursor")
        };
        if text.len() > MAX_BYTES {
            return Err(refuse("this is none of ours"));
        }
        let cursor: Self = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| refuse("this is none of ours"))?;
        if cursor.list == list {
            Ok(cursor)
        } else {
            Err(refuse("it belongs to a list that was asked for otherwise"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursor(key: Key) -> Cursor {
        Cursor {
            list: Cursor::list_of(&["vms", "web", "-cpu"]),
            row: "7/6c09bb55-d683-4da0-8931-c9bf705f6480".into(),
            key,
            place: 42,
        }
    }

    #[test]
    fn what_was_written_reads_back_for_its_own_list_only() {
        for key in [
            Key::Unknown,
            Key::whole(-3),
            Key::whole(u64::MAX),
            Key::Figure(0.5),
            Key::text(&"Ünïcode ".repeat(40)),
        ] {
            let written = cursor(key.clone());
            let text = written.write();
            assert!(text.len() <= MAX_BYTES);
            assert_eq!(Cursor::read(&text, &written.list).unwrap(), written);
            let other = Cursor::list_of(&["vms", "web", "cpu"]);
            assert!(Cursor::read(&text, &other).is_err());
        }
        // The parts of a question do not run into each other.
        assert_ne!(Cursor::list_of(&["a", "bc"]), Cursor::list_of(&["ab", "c"]));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(text in ".{0,1200}", bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let list = Cursor::list_of(&[]);
            prop_assert!(Cursor::read(&text, &list).is_err());
            let text = BASE64_URL_SAFE_NO_PAD.encode(bytes);
            prop_assert!(Cursor::read(&text, &list).is_err());
        }
    }
}
