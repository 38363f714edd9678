//! Private keys: bounded before they are opened, opened on the blocking pool, described in public terms.
//!
//! A key file names the cost of its own passphrase check, and whoever wrote the file chose it. So the
//! size and that cost are looked at first; forms whose cost cannot be seen cheaply are refused with the
//! command that converts them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Algorithm, Certificate, PrivateKey};
use thiserror::Error;

use super::known_hosts;
use crate::domain::secret::SecretText;
use crate::domain::text::RemoteText;

/// Bytes of a key file that are read.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// bcrypt rounds that are accepted; `ssh-keygen` writes 16 or 24 unless told otherwise.
pub const MAX_BCRYPT_ROUNDS: u32 = 1024;

/// Bits of an RSA key beyond which one signature takes seconds.
const MAX_RSA_BITS: u32 = 8192;

/// The most of a reader's words about a key that are shown, in columns.
const WORDS: usize = 120;

/// Bits of an RSA key below which servers refuse it.
const MIN_RSA_BITS: u32 = 1024;

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Too large to be one.
    #[error("it is larger than 64 KiB, which no key is")]
    TooLarge,
    /// Not a private key at all.
    #[error("it is no private key in OpenSSH or PEM form")]
    NotAKey,
    /// Its passphrase check is made to be expensive.
    #[error("its passphrase takes {rounds} bcrypt rounds; at most 1024 are accepted")]
    TooManyRounds {
        /// What the file asks for.
        rounds: u32,
    },
    /// A form that is not opened here.
    #[error("{form} are not supported: convert it with `{convert}`")]
    Form {
        /// Which form, in the plural.
        form: &'static str,
        /// The command that converts it.
        convert: &'static str,
    },
    /// It has a passphrase and none was given.
    #[error("it is protected by a passphrase, and none is known for it")]
    NeedsPassphrase,
    /// The passphrase is wrong.
    #[error("its passphrase is wrong")]
    WrongPassphrase,
    /// The private half is inside a device.
    #[error("it is the handle of a security key: load it into the SSH agent and log in with that")]
    SecurityKey,
    /// Too weak or too strong to be used.
    #[error("its {bits} bits are outside of what is accepted (1024 to 8192)")]
    Size {
        /// Bits of the modulus.
        bits: u32,
    },
    /// Damaged, or of a kind nobody uses.
    #[error("it cannot be read ({0})")]
    Unreadable(String),
    /// The certificate is none, or another key's.
    #[error("its certificate {0}")]
    Certificate(&'static str),
}

/// What may be shown of a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`.
    pub algorithm: String,
    /// The public half as a line of `authorized_keys`.
    pub public_line: String,
    /// `SHA256:...`
    pub fingerprint: String,
    /// Whether the file has a passphrase of its own.
    pub protected: bool,
}

/// Opens a private key just to describe it, for storing it: takes as long as its passphrase check does,
/// so call it from a blocking context.
pub fn describe(pem: &SecretText, passphrase: Option<&SecretText>) -> Result<KeyFacts, KeyError> {
    let form = check_form(pem.expose())?;
    let key = open_form(&form, passphrase)?;
    let protected = form.protected;
    let unreadable = || KeyError::Unreadable("its public half cannot be encoded".to_owned());
    let host_key = known_hosts::describe(key.public_key()).ok_or_else(unreadable)?;
    let comment = RemoteText::from_bytes(key.comment().as_bytes());
    let line = format!("{} {} {comment}", host_key.algorithm, host_key.base64);
    Ok(KeyFacts {
        public_line: line.trim_end().to_owned(),
        algorithm: host_key.algorithm,
        fingerprint: host_key.fingerprint,
        protected,
    })
}

/// A private key ready to sign with, and its certificate.
#[derive(Debug, Clone)]
pub(super) struct LoginKey {
    pub(super) key: Arc<PrivateKey>,
    pub(super) certificate: Option<Certificate>,
}

/// Opens a private key on the blocking pool.
pub(super) async fn open_for_login(
    pem: SecretText,
    passphrase: Option<SecretText>,
    certificate: Option<String>,
) -> Result<LoginKey, KeyError> {
    let work = move || {
        let key = open(&pem, passphrase.as_ref())?;
        let certificate = match certificate {
            Some(text) => Some(read_certificate(&text, &key)?),
            None => None,
        };
        Ok(LoginKey {
            key: Arc::new(key),
            certificate,
        })
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_panicked| KeyError::Unreadable("its decoder failed".to_owned()))?
}

fn read_certificate(text: &str, key: &PrivateKey) -> Result<Certificate, KeyError> {
    if text.len() > MAX_KEY_BYTES {
        return Err(KeyError::Certificate("is larger than 64 KiB"));
    }
    let certificate = Certificate::from_openssh(text.trim())
        .map_err(|_malformed| KeyError::Certificate("cannot be read"))?;
    if certificate.public_key() == key.public_key().key_data() {
        Ok(certificate)
    } else {
        Err(KeyError::Certificate("belongs to another key"))
    }
}

/// Opens a private key after its form was checked.
fn open(pem: &SecretText, passphrase: Option<&SecretText>) -> Result<PrivateKey, KeyError> {
    open_form(&check_form(pem.expose())?, passphrase)
}

fn open_form(form: &Form, passphrase: Option<&SecretText>) -> Result<PrivateKey, KeyError> {
    let protected = form.protected;
    if protected && passphrase.is_none() {
        return Err(KeyError::NeedsPassphrase);
    }
    let passphrase = passphrase
        .filter(|_| protected)
        .map(|text| text.expose().as_str());
    let key = russh::keys::decode_secret_key(form.block.expose(), passphrase).map_err(|error| {
        if protected {
            // A wrong passphrase shows as damaged content; a damaged file was rejected before.
            KeyError::WrongPassphrase
        } else {
            unreadable(&error)
        }
    })?;
    check_kind(&key)?;
    Ok(key)
}

/// Says why in the words of the reader, which may hold words of the key itself.
fn unreadable(why: &impl std::fmt::Display) -> KeyError {
    KeyError::Unreadable(RemoteText::new(&why.to_string()).fit(WORDS))
}

fn check_kind(key: &PrivateKey) -> Result<(), KeyError> {
    match key.algorithm() {
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => Err(KeyError::SecurityKey),
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(()),
        Algorithm::Rsa { .. } => {
            let bits = match key.key_data() {
                KeypairData::Rsa(pair) => pair.key_size(),
                _ => 0,
            };
            if (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
                Ok(())
            } else {
                Err(KeyError::Size { bits })
            }
        }
        other => Err(unreadable(&format!("{other} keys are not supported"))),
    }
}

/// A private key whose cost was looked at.
struct Form {
    /// Its first block and nothing else, in plain lines: what is opened is what was looked at.
    block: SecretText,
    /// Whether it has a passphrase.
    protected: bool,
}

/// Looks at the outside of a key: at its first block, which is all that goes on from here. The reader
/// of keys would take the last block it knows, and a passphrase for whatever stands in it.
fn check_form(pem: &str) -> Result<Form, KeyError> {
    if pem.len() > MAX_KEY_BYTES {
        return Err(KeyError::TooLarge);
    }
    if pem.trim_start().starts_with("PuTTY-User-Key-File-") {
        return Err(KeyError::Form {
            form: "PuTTY key files",
            convert: "puttygen KEY.ppk -O private-openssh -o KEY",
        });
    }
    let mut lines = pem.lines().map(str::trim);
    let label = lines
        .find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
        .ok_or(KeyError::NotAKey)?;
    let body: Vec<&str> = lines
        .take_while(|line| !line.starts_with("-----END "))
        .collect();
    if body.iter().any(|line| line.starts_with("-----")) {
        return Err(KeyError::NotAKey);
    }
    let protected = match label {
        "OPENSSH PRIVATE KEY" => check_openssh(&body)?,
        "RSA PRIVATE KEY" | "EC PRIVATE KEY" => check_pem(label, &body)?,
        "PRIVATE KEY" => false,
        "ENCRYPTED PRIVATE KEY" => {
            return Err(KeyError::Form {
                form: "PKCS#8 keys with a passphrase",
                convert: "ssh-keygen -p -f KEY",
            });
        }
        _ => return Err(KeyError::NotAKey),
    };
    let block = format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        body.join("\n")
    );
    Ok(Form {
        block: SecretText::from(block),
        protected,
    })
}

/// Finds out whether a key in the older form has a passphrase. The one way of it whose cost is not the
/// maker's choice is the one that `ssh-keygen -m PEM` writes.
fn check_pem(label: &str, body: &[&str]) -> Result<bool, KeyError> {
    let has = |head: &str| body.iter().any(|line| line.starts_with(head));
    if !has("Proc-Type:") && !has("DEK-Info:") {
        return Ok(false);
    }
    if label == "RSA PRIVATE KEY" && has("DEK-Info: AES-128-CBC,") {
        return Ok(true);
    }
    Err(KeyError::Form {
        form: "PEM keys with this kind of passphrase",
        convert: "ssh-keygen -p -f KEY",
    })
}

/// Reads the cipher and the cost out of the head of an OpenSSH key.
fn check_openssh(body: &[&str]) -> Result<bool, KeyError> {
    let body: String = body.concat();
    let bytes = STANDARD.decode(body).map_err(|error| unreadable(&error))?;
    let damaged = || KeyError::Unreadable("its head is damaged".to_owned());
    let rest = bytes
        .strip_prefix(b"openssh-key-v1\0")
        .ok_or(KeyError::NotAKey)?;
    let (cipher, rest) = field(rest).ok_or_else(damaged)?;
    let (function, rest) = field(rest).ok_or_else(damaged)?;
    let (options, _) = field(rest).ok_or_else(damaged)?;
    if cipher == b"none" {
        return Ok(false);
    }
    if function != b"bcrypt" {
        return Err(damaged());
    }
    let (_salt, rest) = field(options).ok_or_else(damaged)?;
    let rounds: [u8; 4] = rest.try_into().map_err(|_length| damaged())?;
    let rounds = u32::from_be_bytes(rounds);
    if rounds > MAX_BCRYPT_ROUNDS {
        return Err(KeyError::TooManyRounds { rounds });
    }
    Ok(true)
}

/// Splits off one length-prefixed field.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ed25519 key with the passphrase `correct` and 4 rounds.
    const PROTECTED: &str = include_str!("testdata/protected");
    /// A PKCS#8 ed25519 key without a passphrase (RFC 8410, section 10.3).
    const PKCS8: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

    fn secret(text: &str) -> SecretText {
        SecretText::from(text.to_owned())
    }

    #[test]
    fn what_a_key_says_of_itself_reaches_no_terminal_raw() {
        let error = unreadable(&"invalid label: 'ssh-ee\0\u{1b}[31m\u{202e}n'").to_string();
        assert!(
            !error.chars().any(crate::domain::text::is_hostile),
            "{error:?}"
        );
        assert!(error.contains("invalid label"), "{error}");
    }

    #[test]
    fn a_protected_key_needs_its_passphrase() {
        let pem = secret(PROTECTED);
        assert_eq!(describe(&pem, None), Err(KeyError::NeedsPassphrase));
        assert_eq!(
            describe(&pem, Some(&secret("wrong"))),
            Err(KeyError::WrongPassphrase)
        );
        let facts = describe(&pem, Some(&secret("correct"))).unwrap();
        assert!(facts.protected);
        assert_eq!(facts.algorithm, "ssh-ed25519");
        assert!(facts.public_line.starts_with("ssh-ed25519 AAAA"));
        assert!(facts.fingerprint.starts_with("SHA256:"));
    }

    #[test]
    fn a_passphrase_for_an_open_key_is_not_needed_and_does_no_harm() {
        let facts = describe(&secret(PKCS8), Some(&secret("x"))).unwrap();
        assert!(!facts.protected);
    }

    #[test]
    fn the_cost_of_a_passphrase_is_bounded_before_it_is_paid() {
        let pem = with_rounds(2_000_000);
        assert_eq!(
            describe(&secret(&pem), Some(&secret("correct"))),
            Err(KeyError::TooManyRounds { rounds: 2_000_000 })
        );
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none() {
        for (text, error) in [
            ("", KeyError::NotAKey),
            ("ssh-ed25519 AAAA", KeyError::NotAKey),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", KeyError::NotAKey),
        ] {
            assert_eq!(describe(&secret(text), None), Err(error), "{text}");
        }
        assert_eq!(
            describe(&secret(&"x".repeat(MAX_KEY_BYTES + 1)), None),
            Err(KeyError::TooLarge)
        );
        assert!(matches!(
            describe(&secret("PuTTY-User-Key-File-3: ssh-ed25519\n"), None),
            Err(KeyError::Form { .. })
        ));
    }

    /// The protected key with another number of rounds.
    fn with_rounds(rounds: u32) -> String {
        let body: String = PROTECTED
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let mut bytes = STANDARD.decode(body).unwrap();
        // magic 15, cipher 4+10, function 4+6, options 4, salt 4+16, then the rounds.
        let at = 15 + 14 + 10 + 4 + 20;
        assert_eq!(bytes[at..at + 4], [0, 0, 0, 4]);
        bytes[at..at + 4].copy_from_slice(&rounds.to_be_bytes());
        format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            STANDARD.encode(bytes)
        )
    }

    #[test]
    fn what_is_opened_is_what_was_looked_at() {
        // A blank behind the label hides a block from the reader of keys, and not from us.
        let hidden = PROTECTED.replacen("KEY-----\n", "KEY----- \n", 1);
        let dear = with_rounds(2_000_000);
        let passphrase = secret("correct");
        let facts = describe(&secret(&format!("{hidden}{dear}")), Some(&passphrase)).unwrap();
        assert!(facts.protected);
        // Without an end, the second block would stand inside of the first.
        let open = hidden.replace("-----END OPENSSH PRIVATE KEY-----\n", "");
        assert_eq!(
            describe(&secret(&format!("{open}{dear}")), Some(&passphrase)),
            Err(KeyError::NotAKey)
        );
    }

    #[test]
    fn a_passphrase_is_given_to_nothing_whose_cost_nobody_has_seen() {
        let body = PKCS8.lines().nth(1).unwrap();
        for (label, cipher) in [
            ("RSA", "DES-EDE3-CBC,00"),
            ("EC", "AES-128-CBC,00"),
            ("EC", "AES-256-CBC,00"),
        ] {
            let pem = format!(
                "-----BEGIN {label} PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: {cipher}\n\n{body}\n-----END {label} PRIVATE KEY-----\n"
            );
            assert!(
                matches!(
                    describe(&secret(&pem), Some(&secret("x"))),
                    Err(KeyError::Form { .. })
                ),
                "{label} {cipher}"
            );
        }
        // What says that it is open is opened without one, whatever stands above it.
        let claims = PKCS8.replacen("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n", 1);
        let facts = describe(&secret(&claims), Some(&secret("x")));
        assert!(facts.is_ok_and(|facts| !facts.protected));
    }

    proptest::proptest! {
        #[test]
        fn damaged_keys_give_errors(cut in 0_usize..500, byte in proptest::num::u8::ANY) {
            let mut bytes = PROTECTED.as_bytes().to_vec();
            let index = cut % bytes.len();
            bytes[index] = byte;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            // Only the checks of the outside: bcrypt is too slow for many cases.
            drop(check_form(&text));
            bytes.truncate(index);
            drop(check_form(&String::from_utf8_lossy(&bytes)));
        }
    }
}
