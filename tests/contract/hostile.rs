//! What answers need not be a friendly SSH server, or one at all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::host::Endpoint;
use vmdeck::task::Tasks;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{Connected, Connector, ExitStatus, Hop, Target, TransportError};

use crate::rig::{PATIENCE, connect, exec, shell};
use crate::server::{Manner, Server, password};

fn hasty() -> SshConnector {
    SshConnector::new(SshOptions {
        connect_timeout: Duration::from_millis(500),
        auth_timeout: Duration::from_millis(500),
        ..SshOptions::default()
    })
}

fn stranger(port: u16) -> Target {
    Target {
        name: "stranger".parse().unwrap(),
        hops: vec![Hop {
            endpoint: Endpoint::new("127.0.0.1", port),
            key_alias: None,
            user: "ann".parse().unwrap(),
            credentials: Vec::new(),
        }],
        pinned: Vec::new(),
        known_hosts: Vec::new(),
        accept_new: true,
    }
}

/// Lets a peer that speaks like this answer one connection, and returns what came of it, and whether the
/// connection was closed on our side afterwards.
async fn meets<F, Fut>(speak: F) -> (Result<Connected, TransportError>, bool)
where
    F: FnOnce(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = TcpStream> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tasks = Tasks::new();
    let peer = tasks.spawn("peer", async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = speak(socket).await;
        // Reads until our side has closed.
        let mut rest = Vec::new();
        timeout(PATIENCE, socket.read_to_end(&mut rest))
            .await
            .is_ok()
    });
    let result = timeout(PATIENCE, hasty().connect(&stranger(port)))
        .await
        .unwrap();
    (result, peer.await.unwrap())
}

#[tokio::test]
async fn a_server_that_says_nothing_is_a_timeout() {
    let (result, closed) = meets(|socket| async { socket }).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(closed, "the connection must not be left behind");
}

#[tokio::test]
async fn a_server_that_stops_after_its_name_is_a_timeout() {
    let (result, closed) = meets(|mut socket| async {
        socket.write_all(b"SSH-2.0-slow\r\n").await.unwrap();
        socket
    })
    .await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(closed, "the connection must not be left behind");
}

#[tokio::test]
async fn what_is_no_ssh_server_is_said_to_be_none() {
    for greeting in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x1b]0;owned\x07\xff\xfe\n",
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let (result, _) = meets(move |mut socket| async move {
            socket.write_all(greeting).await.ok();
            socket.shutdown().await.ok();
            socket
        })
        .await;
        let error = result.unwrap_err();
        assert!(matches!(error, TransportError::Handshake { .. }), "{error}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
}

#[tokio::test]
async fn w7_a_greeting_without_end_is_cut_off() {
    let (result, closed) = meets(|mut socket| async {
        let line = [b'x'; 1000];
        // Ends when the other side has had enough.
        while socket.write_all(&line).await.is_ok() && socket.write_all(b"\r\n").await.is_ok() {}
        socket
    })
    .await;
    assert!(result.is_err());
    assert!(closed);
}

#[tokio::test]
async fn a_login_that_is_never_answered_is_a_timeout() {
    let server = Server::start(Manner {
        mute: true,
        ..Manner::default()
    })
    .await;
    let target = server.target(vec![password("correct")]);
    let error = hasty().connect(&target).await.unwrap_err();
    assert!(
        matches!(
            error,
            TransportError::Timeout {
                what: "the login",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn channels_that_a_server_opens_are_refused() {
    let server = Server::start(Manner {
        channels: 400,
        ..Manner::default()
    })
    .await;
    let link = connect(&server.target(vec![password("correct")]))
        .await
        .unwrap();
    for _ in 0..50 {
        let output = exec(&*link.transport, &shell("true")).await.unwrap();
        assert_eq!(output.status, ExitStatus::Code(7));
        assert_eq!(output.stdout, b"late", "data after the status counts");
    }
    assert_eq!(server.opened.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_command_without_a_status_is_no_success() {
    let server = Server::start(Manner {
        silent_end: true,
        ..Manner::default()
    })
    .await;
    let link = connect(&server.target(vec![password("correct")]))
        .await
        .unwrap();
    let output = exec(&*link.transport, &shell("true")).await.unwrap();
    assert_eq!(output.status, ExitStatus::Missing);
}

#[tokio::test]
async fn a_flood_of_questions_is_refused() {
    const MANY: [(&str, bool); 17] = [("?", false); 17];
    let server = Server::start(Manner {
        methods: &[russh::MethodKind::KeyboardInteractive],
        questions: &MANY,
        ..Manner::default()
    })
    .await;
    let error = connect(&server.target(vec![password("correct")]))
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Protocol { .. }), "{error}");
}
