//! The listener as clients meet it: slow ones, many, encrypted ones, and the end.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use vmdeck::config::ServeConfig;
use vmdeck::domain::error_kind::Classify;
use vmdeck::private_file;
use vmdeck::serve::{self, ListenError, Listener, Running, TlsFiles};
use vmdeck::task::Tasks;

use crate::serving::{Serving, http, parse};

const NO_HOSTS: &str = "seed = 1\n[[host]]\nname = \"kvm1\"\n";

/// How long anything here may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

struct Up {
    serving: Serving,
    running: Running,
    address: SocketAddr,
    /// Lets `/slow` go on.
    gate: Arc<Semaphore>,
    /// Counts requests that have come to `/slow`.
    arrived: Arc<Semaphore>,
}

impl Up {
    async fn with(change: impl FnOnce(&mut ServeConfig)) -> Self {
        let serving = Serving::with(NO_HOSTS, change, |state| state).await;
        let (gate, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (inner_gate, inner_arrived) = (Arc::clone(&gate), Arc::clone(&arrived));
        let slow = async move |Extension(gate): Extension<Arc<Semaphore>>| {
            inner_arrived.add_permits(1);
            drop(gate.acquire().await);
            "done"
        };
        let routes = Router::new()
            .route("/fast", get(async || "fast"))
            .route("/slow", get(slow))
            .layer(Extension(inner_gate));
        let app = serve::assemble(routes, serving.state.clone());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), None, false).unwrap();
        let running = serve::serve(listener, app, &serving.state);
        let address = running.addresses()[0];
        Self {
            serving,
            running,
            address,
            gate,
            arrived,
        }
    }

    async fn fast(&self) -> String {
        let answer = http(self.address, "GET", "/fast", None, "");
        let answer = tokio::time::timeout(PATIENCE, answer)
            .await
            .expect("in time");
        answer.expect("an answer").expect(200).text()
    }

    async fn end(self) {
        self.running.stop(Duration::from_secs(2)).await;
        self.serving.end().await;
    }
}

/// Starts a client beside the test.
fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    Tasks::new().spawn("client", future)
}

/// Returns everything the server says until it closes the connection.
async fn until_closed(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes));
    // A reset is an end as well.
    drop(read.await.expect("the server closes it"));
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_half_open_and_dribbling_clients_are_let_go_and_keep_nobody_waiting() {
    let up = Up::with(|config| {
        config.limit.header_time = Duration::from_millis(500);
        config.limit.body_time = Duration::from_millis(500);
        config.limit.connections_per_address = 1000;
    })
    .await;
    let mut held = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(up.address).await.unwrap();
        // Silent, half a request line, half a head, half a body.
        let said: &[u8] = match number % 4 {
            0 => b"",
            1 => b"GET /fa",
            2 => b"GET /fast HTTP/1.1\r\nHost: x\r\nX-A",
            _ => b"POST /fast HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
        };
        stream.write_all(said).await.unwrap();
        held.push(stream);
    }
    let dribbling = TcpStream::connect(up.address).await.unwrap();
    let (reader, mut writer) = dribbling.into_split();
    let dribble = spawn(async move {
        for byte in b"GET /fast HTTP/1.1\r\nX-Long: "
            .iter()
            .chain([b'a'; 10_000].iter())
        {
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    for _ in 0..20 {
        assert_eq!(up.fast().await, "fast");
    }
    for stream in held {
        until_closed(stream).await;
    }
    let mut reader = reader;
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut bytes));
    drop(read.await.expect("the dribbling one is let go"));
    dribble.abort();
    assert_eq!(up.fast().await, "fast");
    up.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_are_held_and_more_are_closed_unread() {
    let up = Up::with(|config| {
        config.limit.connections = 1010;
        config.limit.connections_per_address = 1010;
        config.limit.header_time = Duration::from_secs(60);
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.push(TcpStream::connect(up.address).await.unwrap());
    }
    assert_eq!(up.fast().await, "fast");
    let mut closed = 0;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(up.address).await.unwrap();
        let asked = stream
            .write_all(b"GET /fast HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            .await;
        drop(asked);
        if parse(&until_closed(stream).await).is_none() {
            closed += 1;
        } else {
            held.push(TcpStream::connect(up.address).await.unwrap());
        }
    }
    assert!(closed >= 30, "only {closed} of 50 were turned away");
    let meter = &up.serving.state.meter;
    assert!(meter.turned_away.get() >= 30);
    drop(held);
    // They are given back as soon as their ends were seen.
    let freed = async {
        while meter.connections.get() > 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("places are given back");
    assert_eq!(up.fast().await, "fast");
    up.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_its_own_ceiling() {
    let up = Up::with(|config| {
        config.limit.connections_per_address = 3;
        config.limit.header_time = Duration::from_secs(60);
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(up.address).await.unwrap());
    }
    let fourth = TcpStream::connect(up.address).await.unwrap();
    assert!(until_closed(fourth).await.is_empty());
    drop(held);
    let meter = &up.serving.state.meter;
    let freed = async {
        while meter.connections.get() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("places are given back");
    assert_eq!(up.fast().await, "fast");
    up.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_size_and_a_number_of_fields() {
    let up = Up::with(|config| {
        config.limit.header_bytes = 8 * 1024;
        config.limit.headers = 10;
    })
    .await;
    let ask = async |head: String| {
        let mut stream = TcpStream::connect(up.address).await.unwrap();
        drop(stream.write_all(head.as_bytes()).await);
        parse(&until_closed(stream).await).map(|answer| answer.status.as_u16())
    };
    let start = "GET /fast HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";
    let fields = |count: usize| "X-Field: y\r\n".repeat(count);
    let few = fields(5);
    assert_eq!(ask(format!("{start}{few}\r\n")).await, Some(200));
    let many = fields(20);
    assert_eq!(ask(format!("{start}{many}\r\n")).await, Some(431));
    let long = "y".repeat(64 * 1024);
    let long = ask(format!("{start}X-Long: {long}\r\n\r\n")).await;
    assert!(matches!(long, Some(431) | None), "{long:?}");
    let target = "y".repeat(100_000);
    let target = ask(format!("GET /{target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).await;
    assert!(matches!(target, Some(414 | 431) | None), "{target:?}");
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let refused = ask(garbage.to_owned()).await;
        assert!(
            matches!(refused, Some(400 | 505) | None),
            "{garbage:?}: {refused:?}"
        );
    }
    let smuggled = "POST /fast HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\
                    Content-Length: 6\r\n\r\nhello";
    assert!(matches!(ask(smuggled.to_owned()).await, Some(400) | None));
    assert_eq!(up.fast().await, "fast");
    up.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_requests_are_finished_and_nothing_new_is_taken() {
    let up = Up::with(|_| {}).await;
    let address = up.address;
    let slow = spawn(async move { http(address, "GET", "/slow", None, "").await });
    drop(up.arrived.acquire().await.unwrap());
    // A connection that is kept and has nothing to say.
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(b"GET /fast HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    kept.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let gate = Arc::clone(&up.gate);
    let stopping = up.running.stop(PATIENCE);
    let checks = async {
        until_closed(kept).await;
        assert!(TcpStream::connect(address).await.is_err());
        gate.add_permits(1);
        let done = slow.await.expect("no panic").expect("an answer");
        assert_eq!(done.expect(200).text(), "done");
    };
    let (in_time, ()) = tokio::join!(stopping, checks);
    assert!(in_time, "nothing had to be cut");
    up.serving.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_within_the_grace_is_cut() {
    let up = Up::with(|_| {}).await;
    let mut stream = TcpStream::connect(up.address).await.unwrap();
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .await
        .unwrap();
    drop(up.arrived.acquire().await.unwrap());
    let in_time = up.running.stop(Duration::from_millis(300)).await;
    assert!(!in_time);
    assert!(until_closed(stream).await.is_empty());
    up.serving.end().await;
}

#[tokio::test]
async fn beyond_loopback_it_is_tls_or_an_explicit_word() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let address: SocketAddr = address.parse().unwrap();
        let refused = Listener::bind(address, None, false).unwrap_err();
        assert!(
            matches!(refused, ListenError::Plaintext { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains("in the clear"), "{refused}");
        let hint = refused.hint().unwrap().0;
        for fix in ["serve.tls_certificate", "127.0.0.1", "--insecure-plaintext"] {
            assert!(hint.contains(fix), "{hint}");
        }
    }
    let anywhere = "0.0.0.0:0".parse().unwrap();
    let told = Listener::bind(anywhere, None, true).unwrap();
    assert!(!told.has_tls());
    let taken = told.addresses()[0];
    let twice = Listener::bind(taken, None, true).unwrap_err();
    assert!(matches!(twice, ListenError::Bind { .. }), "{twice}");
    assert!(twice.hint().unwrap().0.contains("--listen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_from_files() {
    let serving = Serving::start(NO_HOSTS).await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: serving.home.path().join("cert.pem"),
        key: serving.home.path().join("key.pem"),
        ocsp: None,
    };
    private_file::write_atomic(&files.certificate, made.cert.pem().as_bytes()).unwrap();
    private_file::write_atomic(&files.key, made.signing_key.serialize_pem().as_bytes()).unwrap();
    let anywhere = "0.0.0.0:0".parse().unwrap();
    let listener = Listener::bind(anywhere, Some(&files), false).unwrap();
    assert!(listener.has_tls());
    let routes = Router::new().route("/fast", get(async || "fast"));
    let app = serve::assemble(routes, serving.state.clone());
    let running = serve::serve(listener, app, &serving.state);
    let port = running.addresses()[0].port();

    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(made.cert.der().to_vec()))
        .unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    stream
        .write_all(b"GET /fast HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    assert_eq!(parse(&bytes).unwrap().expect(200).text(), "fast");
    // Who does not speak it gets nothing.
    let plain = http(([127, 0, 0, 1], port).into(), "GET", "/fast", None, "").await;
    assert!(plain.is_err());
    running.stop(Duration::from_secs(2)).await;

    let swapped = TlsFiles {
        certificate: files.key.clone(),
        key: files.certificate.clone(),
        ocsp: None,
    };
    let refused = Listener::bind(anywhere, Some(&swapped), false).unwrap_err();
    assert!(
        refused.to_string().contains("holds no certificate"),
        "{refused}"
    );
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&files.key, open).unwrap();
    let refused = Listener::bind(anywhere, Some(&files), false).unwrap_err();
    assert!(refused.hint().unwrap().0.contains("chmod 600"), "{refused}");
    serving.end().await;
}

/// A head that declares a body, with more fields.
fn post(length: usize, more: &str) -> String {
    format!("POST /fast HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{more}\r\n")
}

/// Reads one answer with its body, and leaves the connection open.
async fn one_answer(stream: &mut TcpStream) -> String {
    let reading = async {
        let mut bytes = Vec::new();
        loop {
            let byte = stream.read_u8().await.expect("an answer to its end");
            bytes.push(byte);
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_lowercase();
                let length = head.split("content-length: ").nth(1).expect("a length");
                let length = length.lines().next().unwrap().trim();
                if body.len() == length.parse::<usize>().unwrap() {
                    return text.into_owned();
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_all_before_reading_sees_that_it_was_too_much() {
    let up = Up::with(|_| {}).await;
    let large = vec![b'x'; 3 << 20];
    let declared = [post(large.len(), "").as_bytes(), &large].concat();
    let head = "POST /fast HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [
        format!("{:x}\r\n", large.len()).as_bytes(),
        &large,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let chunked = [head.as_bytes(), &chunk].concat();
    for (how, request) in [("declared", declared), ("chunked", chunked)] {
        let mut stream = TcpStream::connect(up.address).await.unwrap();
        let written = stream.write_all(&request);
        let written = tokio::time::timeout(PATIENCE, written).await;
        written.expect("in time").expect(how);
        let answer = one_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{how}: {answer}");
        // All of it was read: the connection is good for another request.
        let next = "GET /fast HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        stream.write_all(next.as_bytes()).await.unwrap();
        let answer = one_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{how}: {answer}");
    }
    up.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_stops_writing_is_cut_off() {
    let up = Up::with(|config| config.limit.body_time = Duration::from_secs(1)).await;
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).starts_with("HTTP/1.1 413 ");

    // As fast as it can: by the number of bytes, or by the time.
    let mut stream = TcpStream::connect(up.address).await.unwrap();
    stream
        .write_all(post(1 << 40, "").as_bytes())
        .await
        .unwrap();
    let piece = vec![b'x'; 1 << 20];
    let writing = async { while stream.write_all(&piece).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, writing)
        .await
        .expect("it is cut off");

    // Slowly: by the time.
    let mut stream = TcpStream::connect(up.address).await.unwrap();
    stream
        .write_all(post(1 << 40, "").as_bytes())
        .await
        .unwrap();
    stream.write_all(b"x").await.unwrap();
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok() && told(&bytes), "{bytes:?}");

    // One that asks first is told, and nothing more is read of it.
    let mut stream = TcpStream::connect(up.address).await.unwrap();
    let asking = post(1 << 40, "Expect: 100-continue\r\n");
    stream.write_all(asking.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok() && told(&bytes), "{bytes:?}");
    up.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_comes_at_once_finds_places_in_the_queue() {
    let serving = Serving::start(NO_HOSTS).await;
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(anywhere, None, false).unwrap();
    let address = listener.addresses()[0];
    // Nobody takes them yet.
    let coming = (0..400).map(|_| TcpStream::connect(address));
    let coming = futures_util::future::join_all(coming);
    let came = tokio::time::timeout(PATIENCE, coming).await;
    let came = came.expect("each has a place");
    assert!(came.iter().all(Result::is_ok));
    drop((came, listener));
    serving.end().await;
}
