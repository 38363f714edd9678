//! A certificate that is renewed is taken over while the server runs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use vmdeck::private_file;
use vmdeck::serve::{self, Listener, TlsFiles};

use crate::serving::{Serving, parse};

/// Writes a new pair into the files; returns the certificate.
fn renew(files: &TlsFiles) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    private_file::write_atomic(&files.certificate, made.cert.pem().as_bytes()).unwrap();
    private_file::write_atomic(&files.key, made.signing_key.serialize_pem().as_bytes()).unwrap();
    CertificateDer::from(made.cert.der().to_vec())
}

/// A request over a connection that trusts one certificate only.
async fn ask(address: SocketAddr, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let request = b"GET /fast HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    Ok(parse(&bytes).expect("an answer").expect(200).text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_taken_over_without_a_restart() {
    let serving = Serving::start("seed = 1\n[[host]]\nname = \"kvm1\"\n").await;
    let files = TlsFiles {
        certificate: serving.home.path().join("cert.pem"),
        key: serving.home.path().join("key.pem"),
        ocsp: None,
    };
    let first = renew(&files);
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(anywhere, Some(&files), false).unwrap();
    let routes = Router::new().route("/fast", get(async || "fast"));
    let app = serve::assemble(routes, serving.state.clone());
    let running = serve::serve(listener, app, &serving.state);
    let address = running.addresses()[0];
    assert_eq!(ask(address, &first).await.unwrap(), "fast");

    let second = renew(&files);
    let taken = async {
        while ask(address, &second).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taken)
        .await
        .expect("the new certificate is used");
    assert!(
        ask(address, &first).await.is_err(),
        "the old one is not shown any more"
    );
    running.stop(Duration::from_secs(2)).await;
    serving.end().await;
}

/// Judges certificates as usual, and keeps the response of OCSP that came with the last one.
#[derive(Debug)]
struct Stapled {
    judge: Arc<WebPkiServerVerifier>,
    last: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.last.lock().unwrap() = ocsp.to_vec();
        self.judge
            .verify_server_cert(certificate, others, name, &[], now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

/// Returns the response that comes with the certificate in a new handshake.
async fn stapled(address: SocketAddr, trusted: &CertificateDer<'static>) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let judge = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = Arc::new(Stapled {
        judge: judge.build().unwrap(),
        last: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Stapled>::clone(&verifier))
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    drop(connector.connect(name, stream).await.unwrap());
    let last = verifier.last.lock().unwrap();
    last.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_of_the_issuer_comes_with_the_certificate() {
    let serving = Serving::start("seed = 1\n[[host]]\nname = \"kvm1\"\n").await;
    let path = |name: &str| serving.home.path().join(name);
    let files = TlsFiles {
        certificate: path("cert.pem"),
        key: path("key.pem"),
        ocsp: Some(path("ocsp.der")),
    };
    let mut wanted = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    wanted.serial_number = Some(vec![0x51, 0x52, 0x53].into());
    let key = rcgen::KeyPair::generate().unwrap();
    let made = wanted.self_signed(&key).unwrap();
    private_file::write_atomic(&files.certificate, made.pem().as_bytes()).unwrap();
    private_file::write_atomic(&files.key, key.serialize_pem().as_bytes()).unwrap();
    let trusted = CertificateDer::from(made.der().to_vec());
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Some(&files), false).unwrap();
    let app = serve::assemble(Router::new(), serving.state.clone());
    let running = serve::serve(listener, app, &serving.state);
    let address = running.addresses()[0];
    assert_eq!(stapled(address, &trusted).await, b"", "there is none yet");

    // A response that succeeded, about that serial number; what else is in it is the client's to judge.
    let response = [0x30, 8, 0x0a, 1, 0, 0x02, 3, 0x51, 0x52, 0x53];
    private_file::write_atomic(&path("ocsp.der"), &response).unwrap();
    let taken = async {
        while stapled(address, &trusted).await != response {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taken)
        .await
        .expect("the response comes with the certificate");
    running.stop(Duration::from_secs(2)).await;
    serving.end().await;
}
