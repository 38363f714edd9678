//! Reading a host key as a person writes it: `ssh-ed25519 AAAA... comment`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use crate::domain::host_key::HostKey;

/// Reads a line of `known_hosts` or of a `.pub` file; a leading host name is skipped.
pub fn read(line: &str) -> Option<HostKey> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).find_map(|pair| match pair {
        [algorithm, base64] => key(algorithm, base64),
        _ => None,
    })
}

fn key(algorithm: &str, base64: &str) -> Option<HostKey> {
    let blob = STANDARD.decode(base64).ok()?;
    // The data names its own algorithm: a length in four bytes, then the name.
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if rest.get(..length)? != algorithm.as_bytes() {
        return None;
    }
    let digest = Sha256::digest(&blob);
    Some(HostKey {
        algorithm: algorithm.to_owned(),
        base64: base64.to_owned(),
        fingerprint: format!("SHA256:{}", STANDARD_NO_PAD.encode(digest)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn keys_are_read_with_or_without_what_stands_around() {
        let bare = read(LINE).unwrap();
        assert_eq!(bare.algorithm, "ssh-ed25519");
        assert!(bare.fingerprint.starts_with("SHA256:"));
        assert_eq!(bare.fingerprint.len(), 50);
        assert_eq!(read(&format!("kvm1,10.0.0.1 {LINE} root@kvm1")), Some(bare));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for wrong in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 !!!!",
            "ssh-rsa AAAA",
            "SHA256:abc",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read(&LINE.replace("ssh-ed25519 ", "ssh-rsa ")), None);
    }
}
