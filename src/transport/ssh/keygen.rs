//! New login keys. Made here because only this folder knows the library; kept by the vault.

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};

use super::key::{self, KeyError, KeyFacts};
use crate::domain::secret::SecretText;

/// Makes an ed25519 key with a comment; returns it in OpenSSH form, and what may be shown of it.
pub fn ed25519(comment: &str) -> Result<(SecretText, KeyFacts), KeyError> {
    let unreadable = |error: russh::keys::ssh_key::Error| KeyError::Unreadable(error.to_string());
    let mut made = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(unreadable)?;
    made.set_comment(comment);
    let pem = made.to_openssh(LineEnding::LF).map_err(unreadable)?;
    let pem = SecretText::new(pem.as_str().to_owned());
    let facts = key::describe(&pem, None)?;
    Ok((pem, facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_reads_back_and_no_two_are_the_same() {
        let (pem, facts) = ed25519("lab").unwrap();
        assert!(
            pem.expose()
                .starts_with("-----BEGIN OPENSSH PRIVATE KEY-----")
        );
        assert_eq!(facts.algorithm, "ssh-ed25519");
        assert!(facts.public_line.ends_with(" lab"));
        assert_ne!(ed25519("lab").unwrap().1.fingerprint, facts.fingerprint);
    }
}
