//! TLS from files: rustls with ring, versions 1.2 and 1.3.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

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

/// Reads both files.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::File { path, source }
    };
    let content = |path: &PathBuf, what| TlsError::Content {
        path: path.clone(),
        what,
    };
    let chain = std::fs::read(&files.certificate).map_err(|source| {
        failed(&files.certificate)(PrivateFileError::Io {
            doing: "read",
            path: files.certificate.clone(),
            source,
        })
    })?;
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
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
