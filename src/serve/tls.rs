//! TLS from files: rustls with ring, versions 1.2 and 1.3. A renewed certificate is taken over without a
//! restart.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

use super::staple;
use crate::domain::error_kind::{Classify, ErrorKind, Hint};
use crate::private_file::{self, PrivateFileError};

/// Ceiling of a file in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain in PEM.
    pub certificate: PathBuf,
    /// Private key in PEM.
    pub key: PathBuf,
    /// Response of OCSP about the certificate in DER, handed over with it while it can be used.
    pub ocsp: Option<PathBuf>,
}

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or the key is open to others.
    #[error("could not read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: PrivateFileError,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what} in PEM", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The two do not fit, or the key is of no kind that is known.
    #[error("the certificate and its key cannot be used: {0}")]
    Unfit(rustls::Error),
}

impl Classify for TlsError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Config
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::File { source, .. } => source
                .hint()
                .unwrap_or_else(|| Hint::new("check `serve.tls_certificate` and `serve.tls_key`")),
            Self::Content { .. } | Self::Unfit(_) => {
                Hint::new("`serve.tls_certificate` takes the whole chain, `serve.tls_key` its key")
            }
        })
    }
}

/// The certificate in use, taken anew from its files when they have changed.
#[derive(Debug)]
pub(super) struct Certificates {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
    /// What the files looked like when they were last read.
    seen: Mutex<Option<Looks>>,
}

/// What tells that a file is another one: inode, size, and when it was written.
type Looks = [(u64, u64, i64, i64); 3];

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

impl Certificates {
    /// Reads both files.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        // Looked at before they are read: a change in between is seen as one.
        let seen = looks(files);
        Ok(Self {
            current: RwLock::new(Arc::new(read(files)?)),
            files: files.clone(),
            seen: Mutex::new(seen),
        })
    }

    /// Returns what decrypts with the certificate in use.
    pub(super) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let resolver = Arc::<Self>::clone(self);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_no_client_auth().with_cert_resolver(resolver))
            .map_err(TlsError::Unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Takes the files anew if they have changed; returns whether they were. Those that cannot be used
    /// leave everything as it is: the other half of a new pair may be on its way.
    pub(super) fn look(&self) -> Result<bool, TlsError> {
        let now = looks(&self.files);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if now.is_none() || *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        let fresh = Arc::new(read(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }
}

/// Looks at the files; `None` while one of the pair is not there.
fn looks(files: &TlsFiles) -> Option<Looks> {
    let of = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    };
    let ocsp = files.ocsp.as_ref().and_then(of).unwrap_or_default();
    Some([of(&files.certificate)?, of(&files.key)?, ocsp])
}

/// Reads both files.
fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::File { path, source }
    };
    let content = |path: &PathBuf, what| TlsError::Content {
        path: path.clone(),
        what,
    };
    let chain = private_file::read_public(&files.certificate, MAX_FILE)
        .map_err(failed(&files.certificate))?;
    let key = private_file::read_secret(&files.key, MAX_FILE).map_err(failed(&files.key))?;
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| content(&files.certificate, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .ok()
        .ok_or_else(|| content(&files.key, "private key"))?;
    let staple = staple(files, &chain);
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
    let mut pair = pair.map_err(TlsError::Unfit)?;
    pair.ocsp = staple;
    Ok(pair)
}

/// Reads what is handed over with the certificate. Without it clients ask the issuer, so it holds nothing up.
fn staple(files: &TlsFiles, chain: &[CertificateDer<'static>]) -> Option<Vec<u8>> {
    let (path, certificate) = files.ocsp.as_ref().zip(chain.first())?;
    match staple::read(path, certificate) {
        Ok(response) => Some(response),
        Err(why) => {
            let path = path.display();
            tracing::warn!(%path, %why, "no OCSP response is handed over");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_new_pair_is_taken_over_and_half_of_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: root.path().join("cert.pem"),
            key: root.path().join("key.pem"),
            ocsp: None,
        };
        let put = |path: &PathBuf, text: &str| {
            private_file::write_atomic(path, text.as_bytes()).unwrap();
        };
        let (certificate, key) = made("old.example");
        put(&files.certificate, &certificate);
        put(&files.key, &key);
        let certificates = Certificates::read(&files).unwrap();
        let current = || {
            let current = certificates.current.read().unwrap();
            current.cert.first().map(|der| der.to_vec()).unwrap()
        };
        let first = current();
        assert!(!certificates.look().unwrap(), "nothing has changed");

        let (certificate, key) = made("new.example");
        put(&files.certificate, &certificate);
        let half = certificates.look();
        assert!(matches!(half, Err(TlsError::Unfit(_))), "{half:?}");
        assert!(!certificates.look().unwrap(), "told once");
        assert_eq!(current(), first);
        put(&files.key, &key);
        assert!(certificates.look().unwrap());
        assert_ne!(current(), first);

        let second = current();
        put(&files.certificate, "no certificate");
        assert!(certificates.look().is_err());
        std::fs::remove_file(&files.key).unwrap();
        assert!(!certificates.look().unwrap(), "one is not there");
        assert_eq!(current(), second);
    }
}
