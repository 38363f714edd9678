//! Sealing: age around a payload that says what it belongs to.
//!
//! age has no associated data, so profile, credential and version are inside the payload and are
//! compared after opening: a blob that was moved to another row is refused. Everything read is bounded
//! before it is parsed. Nothing here panics on damaged bytes.
//!
//! Payload, all numbers big-endian: magic, then for each field its length (u32) and bytes: profile,
//! credential id (i64), version (u32), kind (one byte), then the secret's own fields.

use std::io::{Read, Write};

use age::secrecy::{ExposeSecret, SecretString};
use age::{Decryptor, Encryptor, scrypt, x25519};
use zeroize::Zeroizing;

use super::error::VaultError;
use crate::domain::credential::{CredentialId, CredentialSecret, WrappedIdentity};
use crate::domain::secret::SecretText;
use crate::domain::text::RemoteText;

/// Ceiling of a sealed blob.
pub const MAX_BLOB: usize = 1024 * 1024;

/// Ceiling of an age header: it is parsed before anything is authenticated, and nothing in age bounds
/// the number of its stanzas.
pub const MAX_HEADER: usize = 16 * 1024;

/// scrypt cost (logarithm) of wrapping an identity: about a second and 256 MiB.
pub const WRITE_COST: u8 = 18;

/// Highest scrypt cost that is opened: a gigabyte of memory.
pub const READ_COST: u8 = 20;

const MAGIC: &[u8] = b"vmdeck credential 1\n";
const GRANT_MAGIC: &[u8] = b"vmdeck grant 1\n";
const CREDENTIAL: &str = "the sealed credential";
const IDENTITY: &str = "the wrapped identity";
const GRANT: &str = "the granted identity";

/// What a sealed credential belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealContext {
    /// The profile's random identity.
    pub profile: String,
    /// The credential's row.
    pub credential: CredentialId,
    /// Version of the payload's meaning.
    pub version: u32,
}

impl SealContext {
    /// Version written today.
    pub const VERSION: u32 = 1;

    /// Binds to a credential of a profile, in today's version.
    pub fn new(profile: impl Into<String>, credential: CredentialId) -> Self {
        Self {
            profile: profile.into(),
            credential,
            version: Self::VERSION,
        }
    }

    fn describe(&self) -> String {
        format!(
            "credential {} of profile {} (version {})",
            self.credential.0, self.profile, self.version
        )
    }
}

/// Seals a secret to a recipient.
pub(super) fn seal(
    recipient: &str,
    context: &SealContext,
    secret: &CredentialSecret,
) -> Result<Vec<u8>, VaultError> {
    let recipient: x25519::Recipient = match recipient.parse() {
        Ok(recipient) => recipient,
        Err(reason) => {
            tracing::warn!(reason, "the profile's recipient does not parse");
            return Err(VaultError::Recipient);
        }
    };
    let payload = encode(context, secret)?;
    if payload.len() > MAX_BLOB - MAX_HEADER {
        return Err(VaultError::TooLarge {
            what: "the credential",
            limit: MAX_BLOB - MAX_HEADER,
        });
    }
    encrypt(&recipient, &payload, CREDENTIAL)
}

/// Opens a sealed secret and checks that it belongs where it was found.
pub(super) fn open(
    identity: &x25519::Identity,
    context: &SealContext,
    blob: &[u8],
) -> Result<CredentialSecret, VaultError> {
    check_size(blob, CREDENTIAL)?;
    let payload = decrypt(identity, blob, CREDENTIAL)?;
    decode(context, &payload)
}

/// Makes a new identity, wrapped with a passphrase.
pub(super) fn wrap(
    identity: &x25519::Identity,
    passphrase: &SecretText,
    cost: u8,
) -> Result<WrappedIdentity, VaultError> {
    check_memory(cost)?;
    let mut recipient = scrypt::Recipient::new(to_age(passphrase));
    recipient.set_work_factor(cost);
    let text = identity.to_string();
    let wrapped = encrypt(&recipient, text.expose_secret().as_bytes(), IDENTITY)?;
    Ok(WrappedIdentity {
        recipient: identity.to_public().to_string(),
        wrapped,
    })
}

/// Opens a wrapped identity with the passphrase.
pub(super) fn unwrap(
    wrapped: &WrappedIdentity,
    passphrase: &SecretText,
) -> Result<x25519::Identity, VaultError> {
    let header = check_size(&wrapped.wrapped, IDENTITY)?;
    let cost = scrypt_cost(header).ok_or_else(|| VaultError::Damaged {
        what: IDENTITY,
        why: "it is not wrapped with a passphrase".to_owned(),
    })?;
    check_cost(cost)?;
    check_memory(cost)?;
    let mut key = scrypt::Identity::new(to_age(passphrase));
    key.set_max_work_factor(READ_COST);
    let bytes = decrypt(&key, &wrapped.wrapped, IDENTITY)?;
    let damaged = |why: &str| VaultError::Damaged {
        what: IDENTITY,
        why: why.to_owned(),
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| damaged(&error.to_string()))?;
    let identity: x25519::Identity = text.parse().map_err(damaged)?;
    if identity.to_public().to_string() == wrapped.recipient {
        Ok(identity)
    } else {
        Err(damaged("it does not fit the profile's recipient"))
    }
}

/// Seals a profile's identity to somebody else's recipient, bound to that profile.
pub(super) fn entrust(
    identity: &x25519::Identity,
    recipient: &str,
    profile: &str,
) -> Result<Vec<u8>, VaultError> {
    let recipient: x25519::Recipient = match recipient.parse() {
        Ok(recipient) => recipient,
        Err(reason) => {
            tracing::warn!(reason, "the recipient of a grant does not parse");
            return Err(VaultError::Recipient);
        }
    };
    let text = identity.to_string();
    let fields = [profile.as_bytes(), text.expose_secret().as_bytes()];
    let payload = join(GRANT_MAGIC, &fields)?;
    encrypt(&recipient, &payload, GRANT)
}

/// Opens what [`entrust`] made and checks that it belongs to that profile.
pub(super) fn disclose(
    holder: &x25519::Identity,
    profile: &str,
    blob: &[u8],
) -> Result<x25519::Identity, VaultError> {
    let damaged = |why: &str| VaultError::Damaged {
        what: GRANT,
        why: why.to_owned(),
    };
    check_size(blob, GRANT)?;
    let payload = decrypt(holder, blob, GRANT)?;
    let body = payload.strip_prefix(GRANT_MAGIC);
    let mut fields = Fields(body.ok_or_else(|| damaged("it does not begin like a grant"))?);
    let (found, identity) = (fields.text()?, fields.text()?);
    if found != profile {
        return Err(VaultError::Swapped {
            found: format!("profile {}", RemoteText::new(found)),
            expected: format!("profile {profile}"),
        });
    }
    identity.parse().map_err(damaged)
}

fn to_age(passphrase: &SecretText) -> SecretString {
    SecretString::from(passphrase.expose().clone())
}

fn encrypt(
    recipient: &dyn age::Recipient,
    payload: &[u8],
    what: &'static str,
) -> Result<Vec<u8>, VaultError> {
    let failed = |why: String| VaultError::Damaged { what, why };
    let encryptor = Encryptor::with_recipients(std::iter::once(recipient))
        .map_err(|error| failed(refusal(&error)))?;
    let mut blob = Vec::with_capacity(payload.len() + 512);
    encryptor
        .wrap_output(&mut blob)
        .and_then(|mut writer| {
            writer.write_all(payload)?;
            writer.finish()
        })
        .map_err(|error| failed(error.to_string()))?;
    Ok(blob)
}

/// Says why nothing can be sealed to a recipient. The library's own words would be assembled by code whose order
/// changes from build to build (kellpossible/cargo-i18n, issue 150), and no build would be like another.
fn refusal(error: &age::EncryptError) -> String {
    match error {
        age::EncryptError::Io(error) => error.to_string(),
        _ => "nothing can be sealed to this recipient".to_owned(),
    }
}

fn decrypt(
    identity: &dyn age::Identity,
    blob: &[u8],
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    // Some of what is said about damage has advice on a second line.
    let damaged = |why: String| VaultError::Damaged {
        what,
        why: RemoteText::new(&why).first_line().to_string(),
    };
    let by_key = |error: age::DecryptError| match error {
        age::DecryptError::NoMatchingKeys if what != IDENTITY => VaultError::OtherIdentity,
        // With a passphrase, a wrong one and a changed stanza look the same.
        age::DecryptError::DecryptionFailed
        | age::DecryptError::KeyDecryptionFailed
        | age::DecryptError::NoMatchingKeys
            if what == IDENTITY =>
        {
            VaultError::WrongPassphrase
        }
        age::DecryptError::ExcessiveWork { required, .. } => VaultError::TooCostly {
            found: required,
            limit: READ_COST,
        },
        other => damaged(other.to_string()),
    };
    let decryptor = Decryptor::new_buffered(blob).map_err(|error| damaged(error.to_string()))?;
    let mut reader = decryptor
        .decrypt(std::iter::once(identity))
        .map_err(by_key)?;
    // One buffer that never moves, so that no copy of the plain text is left behind.
    let mut payload = Zeroizing::new(Vec::with_capacity(blob.len()));
    reader
        .read_to_end(&mut payload)
        .map_err(|error| damaged(error.to_string()))?;
    Ok(payload)
}

/// Checks the size of a blob and of its header, and returns the header.
fn check_size<'a>(blob: &'a [u8], what: &'static str) -> Result<&'a [u8], VaultError> {
    if blob.len() > MAX_BLOB {
        return Err(VaultError::TooLarge {
            what,
            limit: MAX_BLOB,
        });
    }
    let end = blob
        .windows(4)
        .take(MAX_HEADER)
        .position(|window| window == b"\n---");
    match end {
        Some(end) => Ok(blob.get(..end).unwrap_or_default()),
        None if blob.len() > MAX_HEADER => Err(VaultError::TooLarge {
            what: "the header of a sealed blob",
            limit: MAX_HEADER,
        }),
        None => Err(VaultError::Damaged {
            what,
            why: "it has no header".to_owned(),
        }),
    }
}

/// Reads the cost from a header whose only stanza is scrypt.
fn scrypt_cost(header: &[u8]) -> Option<u8> {
    let mut stanzas = std::str::from_utf8(header)
        .ok()?
        .lines()
        .filter_map(|line| line.strip_prefix("-> "));
    let words: Vec<&str> = stanzas.next()?.split(' ').collect();
    match (words.as_slice(), stanzas.next()) {
        (["scrypt", _, cost], None) => cost.parse().ok(),
        _ => None,
    }
}

/// Reads what opening a blob with a passphrase would cost.
#[cfg(feature = "testing")]
pub(super) fn cost_of(blob: &[u8]) -> Option<u8> {
    scrypt_cost(check_size(blob, IDENTITY).ok()?)
}

/// Refuses what would take too long, before it is begun.
const fn check_cost(cost: u8) -> Result<(), VaultError> {
    if cost > READ_COST {
        return Err(VaultError::TooCostly {
            found: cost,
            limit: READ_COST,
        });
    }
    Ok(())
}

/// Refuses what would get the process killed: scrypt takes 1 KiB times two to the power of its cost.
fn check_memory(cost: u8) -> Result<(), VaultError> {
    let needed_mib = (1u64 << cost.min(40)) / 1024;
    let Some(available_mib) = available_memory_mib() else {
        return Ok(());
    };
    if available_mib < needed_mib {
        return Err(VaultError::Memory {
            needed_mib,
            available_mib,
        });
    }
    Ok(())
}

/// Returns what Linux thinks can be had without swapping; `None` elsewhere.
fn available_memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

const KIND_KEY: u8 = 1;
const KIND_PASSWORD: u8 = 2;

pub(super) fn encode(
    context: &SealContext,
    secret: &CredentialSecret,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let id = context.credential.0.to_be_bytes();
    let version = context.version.to_be_bytes();
    let mut fields: Vec<&[u8]> = vec![context.profile.as_bytes(), &id, &version];
    match secret {
        CredentialSecret::PrivateKey {
            pem,
            passphrase,
            certificate,
        } => {
            fields.push(&[KIND_KEY]);
            fields.push(pem.expose().as_bytes());
            push_optional(
                &mut fields,
                passphrase.as_ref().map(|text| text.expose().as_str()),
            );
            push_optional(&mut fields, certificate.as_deref());
        }
        CredentialSecret::Password(password) => {
            fields.push(&[KIND_PASSWORD]);
            fields.push(password.expose().as_bytes());
        }
    }
    join(MAGIC, &fields)
}

/// Writes length-prefixed fields behind a mark, into one buffer that never moves.
fn join(magic: &[u8], fields: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let size: usize = fields.iter().map(|field| field.len() + 4).sum();
    let mut payload = Zeroizing::new(Vec::with_capacity(magic.len() + size));
    payload.extend_from_slice(magic);
    for field in fields {
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        if length == u32::MAX {
            return Err(VaultError::TooLarge {
                what: "the credential",
                limit: MAX_BLOB,
            });
        }
        payload.extend_from_slice(&length.to_be_bytes());
        payload.extend_from_slice(field);
    }
    Ok(payload)
}

/// Absent and empty are not the same: a flag field goes before.
fn push_optional<'a>(fields: &mut Vec<&'a [u8]>, text: Option<&'a str>) {
    fields.push(if text.is_some() { &[1] } else { &[0] });
    fields.push(text.unwrap_or("").as_bytes());
}

pub(super) fn decode(
    expected: &SealContext,
    payload: &[u8],
) -> Result<CredentialSecret, VaultError> {
    let mut fields = Fields(
        payload
            .strip_prefix(MAGIC)
            .ok_or_else(|| damaged("it does not begin like a credential"))?,
    );
    let found = SealContext {
        profile: fields.text()?.to_owned(),
        credential: CredentialId(i64::from_be_bytes(fields.array()?)),
        version: u32::from_be_bytes(fields.array()?),
    };
    if found != *expected {
        return Err(VaultError::Swapped {
            found: RemoteText::new(&found.describe()).to_string(),
            expected: expected.describe(),
        });
    }
    let [kind] = fields.array()?;
    let secret = match kind {
        KIND_KEY => CredentialSecret::PrivateKey {
            pem: SecretText::from(fields.text()?.to_owned()),
            passphrase: fields
                .optional()?
                .map(|text| SecretText::from(text.to_owned())),
            certificate: fields.optional()?.map(ToOwned::to_owned),
        },
        KIND_PASSWORD => CredentialSecret::Password(SecretText::from(fields.text()?.to_owned())),
        _ => return Err(damaged("it is of an unknown kind")),
    };
    if fields.0.is_empty() {
        Ok(secret)
    } else {
        Err(damaged("something follows its end"))
    }
}

fn damaged(why: &str) -> VaultError {
    VaultError::Damaged {
        what: CREDENTIAL,
        why: why.to_owned(),
    }
}

/// Reads length-prefixed fields; never past the end.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<&'a [u8], VaultError> {
        let short = || damaged("it ends too early");
        let (length, rest) = self.0.split_first_chunk::<4>().ok_or_else(short)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (field, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], VaultError> {
        <[u8; N]>::try_from(self.next()?).map_err(|error| damaged(&error.to_string()))
    }

    fn text(&mut self) -> Result<&'a str, VaultError> {
        std::str::from_utf8(self.next()?).map_err(|error| damaged(&error.to_string()))
    }

    fn optional(&mut self) -> Result<Option<&'a str>, VaultError> {
        let [flag] = self.array()?;
        let text = self.text()?;
        Ok((flag == 1).then_some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_to_seal_says_why() {
        let full = age::EncryptError::Io(std::io::Error::other("the disk is full"));
        assert_eq!(refusal(&full), "the disk is full");
        assert_eq!(
            refusal(&age::EncryptError::MissingRecipients),
            "nothing can be sealed to this recipient"
        );
    }

    /// scrypt with r = 8 takes 1 KiB for each of its N (RFC 7914, section 2: 128 * r * N bytes).
    #[test]
    fn a_cost_that_no_machine_has_the_memory_for_is_refused_with_what_it_needs() {
        assert_eq!(check_memory(1), Ok(()));
        for cost in [40, 255] {
            let Err(VaultError::Memory { needed_mib, .. }) = check_memory(cost) else {
                panic!("{cost} was allowed");
            };
            assert_eq!(needed_mib, 1 << 30);
        }
    }

    #[test]
    fn the_highest_cost_that_is_opened_is_opened() {
        assert_eq!(check_cost(READ_COST), Ok(()));
        let refused = VaultError::TooCostly {
            found: 21,
            limit: 20,
        };
        assert_eq!(check_cost(21), Err(refused));
    }

    #[test]
    fn the_memory_that_can_be_had_is_what_the_system_says() {
        let mib = available_memory_mib().unwrap();
        let text = std::fs::read_to_string("/proc/meminfo").unwrap();
        let line = text.lines().find(|line| line.starts_with("MemAvailable:"));
        let kib: u64 = line
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        // Others take and give back meanwhile.
        assert!((kib / 8..kib * 8).contains(&(mib * 1024)), "{mib} {kib}");
    }

    #[test]
    fn a_blob_and_its_header_have_a_ceiling_each() {
        let of_blob = VaultError::TooLarge {
            what: GRANT,
            limit: 1024 * 1024,
        };
        let of_header = VaultError::TooLarge {
            what: "the header of a sealed blob",
            limit: 16 * 1024,
        };
        let refusal = |length| check_size(&vec![b'x'; length], GRANT).unwrap_err();
        assert_eq!(refusal(1024 * 1024 + 1), of_blob);
        assert_eq!(refusal(1024 * 1024), of_header);
        assert_eq!(refusal(16 * 1024 + 1), of_header);
        assert!(matches!(refusal(16 * 1024), VaultError::Damaged { .. }));
        let header_of = |length| [vec![b'x'; length], b"\n--- mac\nbody".to_vec()].concat();
        for length in [0, 5, 16 * 1024 - 1] {
            assert_eq!(check_size(&header_of(length), GRANT).unwrap().len(), length);
        }
        assert_eq!(
            check_size(&header_of(16 * 1024), GRANT).unwrap_err(),
            of_header
        );
    }

    #[test]
    fn a_cost_is_read_of_a_passphrase_and_of_nothing_else() {
        let cases = [
            ("age\n-> scrypt salt 18\nbody", Some(18)),
            ("age\n-> scrypt salt 256\nbody", None),
            ("age\n-> scrypt salt 18 more\nbody", None),
            ("age\n-> X25519 salt 18\nbody", None),
            ("age\n-> scrypt salt 18\nbody\n-> scrypt salt 2\nbody", None),
            ("age\nbody", None),
        ];
        for (header, cost) in cases {
            assert_eq!(scrypt_cost(header.as_bytes()), cost, "{header}");
        }
        let passphrase = SecretText::from("x".to_owned());
        let wrapped = wrap(&x25519::Identity::generate(), &passphrase, 3).unwrap();
        let header = check_size(&wrapped.wrapped, IDENTITY).unwrap();
        assert_eq!(scrypt_cost(header), Some(3));
    }

    #[test]
    fn a_payload_is_written_into_a_buffer_that_never_moves_and_read_to_its_end() {
        let context = SealContext::new("p", CredentialId(1));
        let secret = CredentialSecret::Password(SecretText::from("x".repeat(1000)));
        let payload = encode(&context, &secret).unwrap();
        assert!(payload.capacity() < payload.len() + 16);
        let why = |payload: &[u8]| match decode(&context, payload).unwrap_err() {
            VaultError::Damaged { what, why } => format!("{what}: {why}"),
            other => panic!("{other}"),
        };
        let longer = [payload.as_slice(), b"x"].concat();
        assert_eq!(
            why(&longer),
            "the sealed credential: something follows its end"
        );
        let cut = payload.strip_suffix(b"x").unwrap();
        assert_eq!(why(cut), "the sealed credential: it ends too early");
        assert_eq!(
            why(b"something else"),
            "the sealed credential: it does not begin like a credential"
        );
        let kind = MAGIC.len() + 4 + 1 + 4 + 8 + 4 + 4 + 4;
        let mut odd = payload.to_vec();
        assert_eq!(odd[kind], KIND_PASSWORD);
        odd[kind] = 3;
        assert_eq!(why(&odd), "the sealed credential: it is of an unknown kind");
    }
}
