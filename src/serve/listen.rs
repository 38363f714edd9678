//! The listener: an accept loop of its own, so that every connection has a ceiling on its number, on the
//! time of its handshake and of each head, and an end.
//!
//! Plain text is for loopback only, unless a person says that something else in front encrypts.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::client_address::Peer;
use super::leftover::{self, Leftover};
use super::patience::Patient;
use super::state::ServeState;
use super::tls::{Certificates, TlsError, TlsFiles};
use crate::config::ServeLimits;
use crate::domain::error_kind::{Classify, ErrorKind, Hint};
use crate::task::Tasks;

/// How long a client may take nothing of what was written for it.
const READS_WITHIN: Duration = Duration::from_secs(30);

/// Connections that may wait to be taken. Who comes when the queue is full may believe to be connected while
/// the system has forgotten them (SYN cookies), and waits for ever when it says nothing itself. The system cuts
/// the number to its own (`net.core.somaxconn`, usually 4096).
const QUEUE: u32 = 4096;

/// How long to leave the system alone after it could not hand a connection over.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// Between two looks at the files of the certificate.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the server does not listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Everybody on the way could read the keys.
    #[error(
        "{address} can be reached from other machines, and without TLS API keys would cross the network in the clear"
    )]
    Plaintext {
        /// Where.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("could not listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket that was handed over cannot be used.
    #[error("could not use the socket that was handed over: {0}")]
    Handed(io::Error),
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Classify for ListenError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Plaintext { .. } => ErrorKind::Refused,
            Self::Bind { .. } | Self::Handed(_) => ErrorKind::Config,
            Self::Tls(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(match self {
            Self::Plaintext { .. } => {
                "give `serve.tls_certificate` and `serve.tls_key`, listen on 127.0.0.1, or add \
                 `--insecure-plaintext` when a proxy on this machine or network does the encrypting"
            }
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "another program listens there; choose another port with `--listen`"
            }
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a capability; let systemd open the socket, or use another port"
            }
            Self::Bind { .. } => "choose an address of this machine with `--listen`",
            Self::Handed(_) => "start it from its systemd socket unit",
            Self::Tls(error) => return error.hint(),
        }))
    }
}

/// Sockets that listen, and how what comes in is decrypted.
pub struct Listener {
    sockets: Vec<TcpListener>,
    tls: Option<Tls>,
}

/// How what comes in is decrypted, and where that is from.
struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl Tls {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates::read(files)?);
        Ok(Self {
            acceptor: certificates.acceptor()?,
            certificates,
        })
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("addresses", &self.addresses())
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl Listener {
    /// Listens on an address. Without TLS only loopback is allowed, unless `plaintext` says otherwise.
    pub fn bind(
        address: SocketAddr,
        files: Option<&TlsFiles>,
        plaintext: bool,
    ) -> Result<Self, ListenError> {
        let tls = files.map(Tls::read).transpose()?;
        check(address, tls.is_some() || plaintext)?;
        let socket = open(address).map_err(|source| ListenError::Bind { address, source })?;
        Ok(Self {
            sockets: vec![socket],
            tls,
        })
    }

    /// Takes sockets over that somebody else opened.
    pub fn adopt(
        sockets: Vec<std::net::TcpListener>,
        files: Option<&TlsFiles>,
        plaintext: bool,
    ) -> Result<Self, ListenError> {
        let tls = files.map(Tls::read).transpose()?;
        let mut adopted = Vec::new();
        for socket in sockets {
            let address = socket.local_addr().map_err(ListenError::Handed)?;
            check(address, tls.is_some() || plaintext)?;
            socket.set_nonblocking(true).map_err(ListenError::Handed)?;
            adopted.push(TcpListener::from_std(socket).map_err(ListenError::Handed)?);
        }
        Ok(Self {
            sockets: adopted,
            tls,
        })
    }

    /// Returns where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// Says whether it speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A port that an earlier run has only just left can be taken.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

fn check(address: SocketAddr, safe: bool) -> Result<(), ListenError> {
    if safe || address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(ListenError::Plaintext { address })
    }
}

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    tasks: Tasks,
    cut: CancellationToken,
    addresses: Vec<SocketAddr>,
}

impl Running {
    /// Returns where it answers.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, lets running requests end for at most `grace`, then cuts what is left.
    /// Returns whether nothing had to be cut.
    pub async fn stop(self, grace: Duration) -> bool {
        self.tasks.cancel();
        let in_time = self.tasks.wait(grace).await;
        self.cut.cancel();
        in_time
    }
}

/// Begins to answer. `app` is [`super::router`] on the same state.
pub fn serve(listener: Listener, app: Router, state: &ServeState) -> Running {
    let tasks = Tasks::new();
    let addresses = listener.addresses();
    let tls = listener.tls.map(|tls| {
        let renewing = renew(tls.certificates, tasks.token().clone());
        drop(tasks.spawn("certificates", renewing));
        tls.acceptor
    });
    let door = Arc::new(Door {
        app,
        tls,
        state: state.clone(),
        places: Arc::new(Semaphore::new(
            usize::try_from(state.config.limit.connections)
                .unwrap_or(Semaphore::MAX_PERMITS)
                .min(Semaphore::MAX_PERMITS),
        )),
        by_address: Mutex::default(),
        cut: CancellationToken::new(),
        tasks: tasks.clone(),
    });
    let cut = door.cut.clone();
    for socket in listener.sockets {
        let door = Arc::clone(&door);
        drop(tasks.spawn("listener", accept(socket, door)));
    }
    Running {
        tasks,
        cut,
        addresses,
    }
}

/// Takes a renewed certificate over; connections that are open keep the one they began with.
async fn renew(certificates: Arc<Certificates>, end: CancellationToken) {
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let looked = Arc::clone(&certificates);
        match tokio::task::spawn_blocking(move || looked.look()).await {
            Ok(Ok(true)) => tracing::info!("the certificate was renewed"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a changed certificate cannot be used; the former one stays");
            }
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}

/// What all connections share.
struct Door {
    app: Router,
    tls: Option<TlsAcceptor>,
    state: ServeState,
    places: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, u32>>,
    /// Cancelled when the grace is over.
    cut: CancellationToken,
    tasks: Tasks,
}

async fn accept(socket: TcpListener, door: Arc<Door>) {
    let end = door.tasks.token().clone();
    loop {
        let taken = tokio::select! {
            biased;
            () = end.cancelled() => return,
            taken = socket.accept() => taken,
        };
        match taken {
            Ok((stream, peer)) => door.admit(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "could not take a connection");
                // Out of descriptors, most likely: it does not help to ask again at once.
                tokio::select! {
                    () = end.cancelled() => return,
                    () = tokio::time::sleep(AFTER_ERROR) => {}
                }
            }
        }
    }
}

/// A place among the connections; given back when dropped.
struct ConnectionPlace {
    door: Arc<Door>,
    counted: Option<IpAddr>,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.door.state.meter.connections.dec();
        let Some(ip) = self.counted else { return };
        let mut all = self
            .door
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.remove(&ip);
            }
        }
    }
}

impl Door {
    /// Begins a connection, or closes it unread when there are too many.
    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Some(place) = self.place(peer.ip().to_canonical()) else {
            self.state.meter.turned_away.inc();
            tracing::debug!(%peer, "too many connections");
            return;
        };
        let door = Arc::clone(self);
        drop(self.tasks.spawn("connection", async move {
            door.connection(stream, peer).await;
            drop(place);
        }));
    }

    fn place(self: &Arc<Self>, ip: IpAddr) -> Option<ConnectionPlace> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let config = &self.state.config;
        let proxy = config.trusted_proxies.iter().any(|net| net.contains(&ip));
        let counted = (!proxy).then_some(ip);
        if let Some(ip) = counted {
            let mut all = self
                .by_address
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let count = all.entry(ip).or_default();
            if *count >= config.limit.connections_per_address {
                return None;
            }
            *count += 1;
        }
        self.state.meter.connections.inc();
        Some(ConnectionPlace {
            door: Arc::clone(self),
            counted,
            _place: place,
        })
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Small answers at once; where it cannot be switched off they are late, nothing worse.
        drop(stream.set_nodelay(true));
        match &self.tls {
            None => self.talk(stream, peer).await,
            // Apart: what this holds is several times as large, and every connection would pay for it.
            Some(tls) => Box::pin(self.decrypt(tls, stream, peer)).await,
        }
    }

    async fn decrypt(&self, tls: &TlsAcceptor, stream: TcpStream, peer: SocketAddr) {
        let time = self.state.config.limit.header_time;
        match tokio::time::timeout(time, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.talk(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
            Err(_late) => tracing::debug!(%peer, "the TLS handshake took too long"),
        }
    }

    async fn talk<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = hyper::service::service_fn(|request| self.answer(request, peer));
        let stream = TokioIo::new(Patient::new(stream, READS_WITHIN));
        let connection = builder(&self.state.config.limit).serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.tasks.token().cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = self.cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended");
        }
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response, Infallible> {
        let until = Instant::now() + self.state.config.limit.body_time;
        let (mut request, leftover) = Leftover::of(request);
        request.extensions_mut().insert(Peer(peer));
        let response = self.app.clone().oneshot(request).await;
        if let Some(rest) = leftover.and_then(|leftover| leftover.take()) {
            let end = self.tasks.token().clone();
            drop(self.tasks.spawn("leftover", async move {
                tokio::select! {
                    () = leftover::discard(rest, until) => {}
                    () = end.cancelled() => {}
                }
            }));
        }
        response
    }
}

fn builder(limit: &ServeLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limit.header_time)
        .max_headers(usize::try_from(limit.headers).unwrap_or(100))
        .max_buf_size(
            usize::try_from(limit.header_bytes)
                .unwrap_or(16 * 1024)
                .max(8 * 1024),
        );
    builder
}
