//! Fuzz targets of sealed bytes: what is looked at before a key is derived, and what was sealed. See
//! `crate::testing::fuzz`.

use std::sync::LazyLock;

use age::x25519;

use super::seal::{self, SealContext};
use crate::domain::credential::{CredentialId, CredentialSecret, WrappedIdentity};
use crate::domain::secret::SecretText;
use crate::testing::fuzz::invariant::told;

static IDENTITY: LazyLock<x25519::Identity> = LazyLock::new(x25519::Identity::generate);

/// Costs of scrypt that take no time worth speaking of; higher ones are opened by nobody here.
const CHEAP: u8 = 4;

/// A wrapped identity and a sealed credential: refused before anything costly is computed for them.
pub(crate) fn sealed(data: &[u8]) {
    if let Some(cost) = seal::cost_of(data) {
        // Dearer ones are right to take their time, up to a bound that is checked first.
        if cost > CHEAP && cost <= seal::READ_COST {
            return;
        }
    }
    let wrapped = WrappedIdentity {
        recipient: IDENTITY.to_public().to_string(),
        wrapped: data.to_vec(),
    };
    let context = SealContext::new("profile", CredentialId(7));
    // Nobody has sealed anything to this identity, so nothing can be opened.
    let refusals = [
        seal::unwrap(&wrapped, &SecretText::new("passphrase".to_owned())).err(),
        seal::open(&IDENTITY, &context, data).err(),
        seal::disclose(&IDENTITY, "profile", data).err(),
    ];
    for refusal in refusals {
        assert!(
            refusal.is_some(),
            "something was opened that nobody has sealed"
        );
        refusal.iter().for_each(told);
    }
}

/// The inside of a sealed credential: what is read is what was written.
pub(crate) fn payload(data: &[u8]) {
    let context = SealContext::new("profile", CredentialId(7));
    let secret = match seal::decode(&context, data) {
        Ok(secret) => secret,
        Err(error) => return told(&error),
    };
    let (CredentialSecret::Password(text) | CredentialSecret::PrivateKey { pem: text, .. }) =
        &secret;
    assert!(text.expose().len() <= data.len());
    match seal::encode(&context, &secret) {
        Ok(again) => assert!(
            seal::decode(&context, &again).is_ok_and(|read| same(&read, &secret)),
            "it does not read back as it was"
        ),
        Err(error) => told(&error),
    }
}

fn same(one: &CredentialSecret, other: &CredentialSecret) -> bool {
    match (one, other) {
        (CredentialSecret::Password(one), CredentialSecret::Password(other)) => {
            one.expose() == other.expose()
        }
        (
            CredentialSecret::PrivateKey {
                pem,
                passphrase,
                certificate,
            },
            CredentialSecret::PrivateKey {
                pem: other_pem,
                passphrase: other_passphrase,
                certificate: other_certificate,
            },
        ) => {
            let text = |text: &Option<SecretText>| text.as_ref().map(|text| text.expose().clone());
            pem.expose() == other_pem.expose()
                && text(passphrase) == text(other_passphrase)
                && certificate == other_certificate
        }
        _ => false,
    }
}
