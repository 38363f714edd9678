//! Fuzz targets of files about keys and hosts: `known_hosts`, the client's configuration, private keys.
//! See `crate::testing::fuzz`.

use std::path::Path;

use super::client_config::ClientConfig;
use super::key;
use super::known_hosts::{KnownHostsFile, known_algorithms, verdict};
use crate::domain::host_key::{HostKey, HostKeyVerdict, PinnedKey};
use crate::domain::secret::SecretText;
use crate::testing::fuzz::invariant::{harmless, parts, said};

/// A host key to ask about: the public half of a key that was made for this.
fn host_key() -> HostKey {
    HostKey {
        algorithm: "ssh-ed25519".to_owned(),
        base64: "AAAAC3NzaC1lZDI1NTE5AAAAIEcZx1tBpBLsbM6OT4v2Bvx0YyDE9iWvk7Y/GNZNQ0bJ".to_owned(),
        fingerprint: "SHA256:NjDSDXoAFPTBmaYOnQWGDa9Yt7n7MVIkYQX9I/6SYjY".to_owned(),
    }
}

fn described(key: &HostKey) {
    harmless(&key.to_string());
    harmless(&key.base64);
    assert!(key.fingerprint.starts_with("SHA256:"));
}

/// A `known_hosts` file, asked about several names.
pub(crate) fn known_hosts(data: &[u8]) {
    let files = [KnownHostsFile {
        source: "known_hosts".to_owned(),
        content: data.to_vec(),
    }];
    let key = host_key();
    for label in ["kvm1", "[kvm1]:2222", "192.0.2.7", "a.example.org"] {
        let found = verdict(&files, &[], label, &key);
        let pins = [PinnedKey {
            label: label.to_owned(),
            key: key.clone(),
            revoked: false,
        }];
        let pinned = verdict(&files, &pins, label, &key);
        match &found {
            HostKeyVerdict::Revoked { at } => {
                described(&at.key);
                // No pin makes a revoked key good.
                assert_eq!(pinned, found);
            }
            HostKeyVerdict::Changed { known } => {
                assert!(!known.is_empty());
                for at in known {
                    described(&at.key);
                }
            }
            HostKeyVerdict::Known | HostKeyVerdict::Unknown => {
                assert_eq!(pinned, HostKeyVerdict::Known);
            }
        }
        for algorithm in known_algorithms(&files, &[], label) {
            harmless(&algorithm);
        }
    }
}

/// A configuration of the SSH client without includes, asked about its own aliases and one more.
pub(crate) fn client_config(data: &[u8]) {
    let text = String::from_utf8_lossy(data).to_lowercase();
    // What it includes are files of this machine, which are none of a fuzzer's business.
    let text = text.replace("include", "inc1ude");
    let config = match ClientConfig::of_text(&text, Path::new("/home/ann")) {
        Ok(config) => config,
        Err(error) => return said(&error.to_string()),
    };
    let aliases = config.aliases();
    assert!(aliases.len() <= data.len());
    let asked = aliases.iter().map(String::as_str).take(4);
    for alias in asked.chain(["kvm1"]) {
        let found = config.resolve(alias);
        assert_eq!(found.alias, alias);
        assert!(found.port != Some(0));
        assert!(found.hostname.len() <= MOST_EXPANDED);
        let paths = found.identity_files.iter().chain(&found.user_known_hosts);
        for path in paths.chain(&found.global_known_hosts) {
            assert!(path.as_os_str().len() <= MOST_EXPANDED);
        }
        for note in &found.notes {
            // Each of 400 characters may be shown as its number.
            assert!(note.len() <= 400 * r"\u{10ffff}".len());
        }
    }
}

/// Bytes of a name or a path after its tokens were replaced.
const MOST_EXPANDED: usize = 8 * 1024;

/// A private key, opened with and without a passphrase: what it may cost is looked at first.
pub(crate) fn private_key(data: &[u8]) {
    let parts = parts(data);
    let of = |index: usize| String::from_utf8_lossy(parts.get(index).copied().unwrap_or_default());
    let pem = SecretText::new(of(0).into_owned());
    for passphrase in [None, Some(SecretText::new("secret".to_owned()))] {
        match key::describe(&pem, passphrase.as_ref()) {
            Ok(facts) => {
                for text in [&facts.algorithm, &facts.public_line, &facts.fingerprint] {
                    harmless(text);
                }
                assert!(facts.protected <= passphrase.is_some());
            }
            Err(error) => said(&error.to_string()),
        }
    }
}
