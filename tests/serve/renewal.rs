//! A certificate that is renewed is taken over while the server runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
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
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
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
