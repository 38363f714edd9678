//! Signs with a key in memory, for logins with a certificate: the library's own way leaves no choice of
//! the hash for RSA, and servers refuse the one it takes.

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey};

/// A key that signs.
pub(super) struct KeySigner<'a>(pub(super) &'a PrivateKey);

/// The key could not sign.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    #[error("the connection was lost")]
    Gone,
    #[error("the key does not sign")]
    Key,
}

impl From<russh::SendError> for SignError {
    fn from(_gone: russh::SendError) -> Self {
        Self::Gone
    }
}

impl russh::Signer for KeySigner<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&data),
            pair => pair.try_sign(&data),
        };
        let signature = signature.map_err(|_failed| SignError::Key)?;
        let name = signature.algorithm();
        let name = name.as_str();
        // A string that holds two strings: the name of the algorithm and the signature.
        let body = signature.as_bytes();
        put(&mut data, name.len() + body.len() + 8)?;
        for part in [name.as_bytes(), body] {
            put(&mut data, part.len())?;
            data.extend_from_slice(part);
        }
        Ok(data)
    }
}

fn put(data: &mut Vec<u8>, length: usize) -> Result<(), SignError> {
    let length = u32::try_from(length).map_err(|_too_long| SignError::Key)?;
    data.extend_from_slice(&length.to_be_bytes());
    Ok(())
}
