//! Dialling: TCP, stops on the way, algorithms, deadlines.
//!
//! Every hop has its key judged under its own name inside its own handshake, before a byte of its login
//! and before a byte of the next hop. One deadline covers reaching a hop and its handshake, another its
//! login; both begin when its turn at that hop has come. What is given up half-way is cut, not left behind.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use russh::client::Config;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, SshId};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::cut::{Cut, Stream};
use super::host_key::{Client, Ending, Judge, LinkError, explain};
use super::known_hosts::{self, KnownHostsFile};
use super::link::{Hop as LiveHop, Link};
use super::transport::SshTransport;
use crate::domain::host::Endpoint;
use crate::domain::host_key::PinnedKey;
use crate::resolve::Resolver;
use crate::transport::gates::{Gates, take};
use crate::transport::{Connected, Connector, Hop, Stage, Target, TransportError};

/// What servers see of us: no version of a library.
const CLIENT_ID: &str = concat!("SSH-2.0-vmdeck_", env!("CARGO_PKG_VERSION"));

/// Keepalives without an answer after which a link is dead; death is seen at interval x (this + 1).
const KEEPALIVE_MISSES: usize = 3;

/// How long one address of a name has before the next one is tried beside it.
const ADDRESS_STAGGER: Duration = Duration::from_millis(250);

/// Bounds and places that a connector works with.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// For reaching one hop and its handshake together.
    pub connect_timeout: Duration,
    /// For the login at one hop.
    pub auth_timeout: Duration,
    /// Silence after which a keepalive message is sent; the fourth unanswered one ends the link.
    pub keepalive: Duration,
    /// Socket of the SSH agent, where there is one.
    pub agent_socket: Option<PathBuf>,
    /// Logins under way at once; more callers wait.
    pub max_handshakes: usize,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            auth_timeout: Duration::from_secs(20),
            keepalive: Duration::from_secs(15),
            agent_socket: None,
            max_handshakes: 16,
        }
    }
}

/// Says which addresses may be dialled: asked about what a name was resolved to, right before that very
/// address is dialled.
#[derive(Clone)]
pub struct DialRule(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl DialRule {
    /// Takes the rule.
    pub fn new(may: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(may))
    }

    fn allows(&self, addresses: &[SocketAddr]) -> bool {
        addresses.iter().all(|address| (self.0)(address.ip()))
    }
}

impl std::fmt::Debug for DialRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DialRule")
    }
}

/// Makes links over SSH.
#[derive(Debug)]
pub struct SshConnector {
    options: SshOptions,
    rule: Option<DialRule>,
    resolver: Resolver,
    logins: Arc<Semaphore>,
    /// So that a storm of hosts behind one server does not lock itself out there.
    gates: Gates,
}

impl SshConnector {
    /// Makes a connector.
    pub fn new(options: SshOptions) -> Self {
        Self {
            logins: Arc::new(Semaphore::new(options.max_handshakes.max(1))),
            gates: Gates::default(),
            rule: None,
            resolver: Resolver::default(),
            options,
        }
    }

    /// Dials only what a rule allows; one address of a name that is refused refuses the name.
    #[must_use]
    pub fn guarded(mut self, rule: DialRule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Asks somebody else than the system for the addresses of names.
    #[must_use]
    pub fn resolving(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Waits for its turn at the last of these hops; the wait is outside of every deadline of a hop. The
    /// places are for one login and go back when that is over: nobody waits for one while holding another
    /// hop's.
    async fn turn(
        &self,
        hops: &[Hop],
        stages: &watch::Sender<Stage>,
    ) -> [Option<OwnedSemaphorePermit>; 2] {
        let stage = Stage {
            hop: hops.len().saturating_sub(1),
            waiting: false,
        };
        let waits = || {
            stages.send_replace(Stage {
                waiting: true,
                ..stage
            });
        };
        // Also where a host is reached directly: it may be the jump host of others.
        let gate = take(self.gates.at(hops), waits).await;
        let login = take(Arc::clone(&self.logins), waits).await;
        stages.send_replace(stage);
        [gate, login]
    }
}

#[async_trait]
impl Connector for SshConnector {
    async fn connect(&self, target: &Target) -> Result<Connected, TransportError> {
        self.connect_in_stages(target, &watch::Sender::default())
            .await
    }

    async fn connect_in_stages(
        &self,
        target: &Target,
        stages: &watch::Sender<Stage>,
    ) -> Result<Connected, TransportError> {
        let files: Arc<[KnownHostsFile]> = known_hosts::read(&target.known_hosts).await?.into();
        let mut chain = Chain {
            options: &self.options,
            rule: self.rule.as_ref(),
            resolver: &self.resolver,
            files,
            pinned: target.pinned.clone().into(),
            accept_new: target.accept_new,
            live: Vec::new(),
            accepted: Vec::new(),
        };
        let mut logged_in_with = String::new();
        for (before, hop) in target.hops.iter().enumerate() {
            let way = target.hops.get(..=before).unwrap_or_default();
            let _turn = self.turn(way, stages).await;
            logged_in_with = Box::pin(chain.extend(hop)).await?;
        }
        let Some(host) = chain.live.pop() else {
            return Err(TransportError::Dial {
                endpoint: target.name.to_string(),
                reason: "no address is given".to_owned(),
            });
        };
        let link = Link::new(host, chain.live);
        Ok(Connected {
            transport: Arc::new(SshTransport::new(link)),
            accepted: chain.accepted,
            logged_in_with,
        })
    }
}

/// The hops reached so far.
struct Chain<'a> {
    options: &'a SshOptions,
    rule: Option<&'a DialRule>,
    resolver: &'a Resolver,
    files: Arc<[KnownHostsFile]>,
    pinned: Arc<[PinnedKey]>,
    accept_new: bool,
    live: Vec<LiveHop>,
    accepted: Vec<PinnedKey>,
}

impl Chain<'_> {
    /// Reaches one hop more and logs in there.
    async fn extend(&mut self, hop: &Hop) -> Result<String, TransportError> {
        let deadline = Instant::now() + self.options.connect_timeout;
        let (stream, dialled) = self.reach(hop, deadline).await?;
        let mut live = self.shake_hands(hop, stream, dialled, deadline).await?;
        let login = super::auth::log_in(&mut live, hop, self.options.agent_socket.as_deref());
        let with = tokio::time::timeout(self.options.auth_timeout, Box::pin(login))
            .await
            .map_err(|_elapsed| TransportError::Timeout {
                what: "the login",
                after: self.options.auth_timeout,
            })??;
        self.live.push(live);
        Ok(with)
    }

    fn late(&self, what: &'static str) -> TransportError {
        TransportError::Timeout {
            what,
            after: self.options.connect_timeout,
        }
    }

    /// Opens the stream to a hop: a socket, or a channel of the stop before. Returns with it what was
    /// really dialled.
    async fn reach(
        &self,
        hop: &Hop,
        deadline: Instant,
    ) -> Result<(Box<dyn Stream>, String), TransportError> {
        let port = hop.endpoint.port_or_default();
        let Some(stop) = self.live.last() else {
            let dialling = dial(self.resolver, &hop.endpoint.address, port, self.rule);
            let socket = timeout_at(deadline, dialling)
                .await
                .map_err(|_elapsed| self.late("connecting"))??;
            let dialled = socket
                .peer_addr()
                .map_or_else(|_unknown| hop.endpoint.to_string(), |at| at.to_string());
            return Ok((Box::new(socket), dialled));
        };
        let address = hop.endpoint.address.clone();
        let opening =
            stop.handle
                .channel_open_direct_tcpip(address, u32::from(port), "127.0.0.1", 0);
        let channel = timeout_at(deadline, opening)
            .await
            .map_err(|_elapsed| self.late("connecting through the jump host"))?
            .map_err(|error| TransportError::Dial {
                endpoint: hop.endpoint.to_string(),
                reason: format!("the jump host cannot open it: {}", explain(&error)),
            })?;
        let dialled = format!("{} through the jump host", hop.endpoint);
        Ok((Box::new(channel.into_stream()), dialled))
    }

    /// Speaks SSH up to the point where the host has proved its key.
    async fn shake_hands(
        &mut self,
        hop: &Hop,
        stream: Box<dyn Stream>,
        dialled: String,
        deadline: Instant,
    ) -> Result<LiveHop, TransportError> {
        let label = hop.key_label();
        let known = known_hosts::known_algorithms(&self.files, &self.pinned, &label);
        let ending = Ending::new();
        let accepted = Arc::new(Mutex::new(None));
        let client = Client {
            judge: Judge {
                label: label.clone(),
                dialled,
                files: Arc::clone(&self.files),
                pinned: Arc::clone(&self.pinned),
                accept_new: self.accept_new,
                accepted: Arc::clone(&accepted),
            },
            ending: ending.clone(),
        };
        let cut = CancellationToken::new();
        // Cuts the stream when this future is dropped or fails: the library's task would stay otherwise.
        let guard = cut.clone().drop_guard();
        let stream = Cut::new(stream, cut.clone());
        let config = Arc::new(self.config(&known));
        let shaking = russh::client::connect_stream(config, stream, client);
        let handle = timeout_at(deadline, Box::pin(shaking))
            .await
            .map_err(|_elapsed| self.late("the SSH handshake"))?
            .map_err(|error| match error {
                LinkError::Refused(refused) => refused,
                LinkError::Ssh(error) => TransportError::Handshake {
                    endpoint: hop.endpoint.to_string(),
                    reason: explain(&error),
                },
            })?;
        let first_seen = accepted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.accepted.extend(first_seen.map(|key| PinnedKey {
            label,
            key,
            revoked: false,
        }));
        drop(guard.disarm());
        Ok(LiveHop {
            handle,
            cut,
            ending,
        })
    }

    fn config(&self, known: &[String]) -> Config {
        Config {
            client_id: SshId::Standard(Cow::Borrowed(CLIENT_ID)),
            // Nagle's algorithm costs 40 ms on every command.
            nodelay: true,
            keepalive_interval: Some(self.options.keepalive),
            keepalive_max: KEEPALIVE_MISSES,
            preferred: preferred(known),
            ..Config::default()
        }
    }
}

/// Ciphers, most wanted first: on servers without strict key exchange the default's first choice lets
/// somebody in the middle cut messages off the start of a connection (Terrapin); this one does not.
const CIPHERS: &[russh::cipher::Name] = &[
    russh::cipher::AES_256_GCM,
    russh::cipher::CHACHA20_POLY1305,
    russh::cipher::AES_256_CTR,
    russh::cipher::AES_192_CTR,
    russh::cipher::AES_128_CTR,
];

/// The algorithms we take: no SHA-1, no compression, types of known keys first.
fn preferred(known: &[String]) -> Preferred {
    let mut key: Vec<Algorithm> = vec![
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        rsa(HashAlg::Sha512),
        rsa(HashAlg::Sha256),
    ];
    let name = |algorithm: &Algorithm| match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.as_str().to_owned(),
    };
    // Stable: the order above decides among those that are known, and among the others.
    key.sort_by_key(|algorithm| !known.contains(&name(algorithm)));
    Preferred {
        key: Cow::Owned(key),
        cipher: Cow::Borrowed(CIPHERS),
        compression: Cow::Borrowed(&[russh::compression::NONE]),
        ..Preferred::DEFAULT
    }
}

const fn ecdsa(curve: EcdsaCurve) -> Algorithm {
    Algorithm::Ecdsa { curve }
}

const fn rsa(hash: HashAlg) -> Algorithm {
    Algorithm::Rsa { hash: Some(hash) }
}

/// Connects to the first address of a name that answers; addresses that hang are not waited for.
async fn dial(
    resolver: &Resolver,
    address: &str,
    port: u16,
    rule: Option<&DialRule>,
) -> Result<TcpStream, TransportError> {
    let looked = resolver.look_up(address, port).await;
    let addresses: Vec<SocketAddr> = looked.map_err(|error| TransportError::Resolve {
        address: address.to_owned(),
        reason: error.to_string(),
    })?;
    let endpoint = Endpoint::new(address, port).to_string();
    if rule.is_some_and(|rule| !rule.allows(&addresses)) {
        let reason = "connections to this address are not allowed".to_owned();
        return Err(TransportError::Dial { endpoint, reason });
    }
    let mut waiting = addresses.into_iter();
    let mut dialling = FuturesUnordered::new();
    let mut reason = "the name has no address".to_owned();
    loop {
        let more = match waiting.next() {
            Some(next) => {
                dialling.push(TcpStream::connect(next));
                true
            }
            None => false,
        };
        if dialling.is_empty() {
            return Err(TransportError::Dial { endpoint, reason });
        }
        tokio::select! {
            Some(result) = dialling.next() => match result {
                Ok(socket) => {
                    socket.set_nodelay(true).ok();
                    return Ok(socket);
                }
                Err(error) => reason = error.to_string(),
            },
            () = tokio::time::sleep(ADDRESS_STAGGER), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(known: &[&str]) -> Vec<String> {
        let known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
        preferred(&known)
            .key
            .iter()
            .map(|key| key.as_str().to_owned())
            .collect()
    }

    #[test]
    fn neither_sha1_nor_compression_is_offered() {
        assert!(!names(&[]).contains(&"ssh-rsa".to_owned()));
        assert_eq!(
            preferred(&[]).compression.as_ref(),
            [russh::compression::NONE]
        );
    }

    #[test]
    fn types_of_known_keys_come_first() {
        assert_eq!(names(&[])[0], "ssh-ed25519");
        assert_eq!(
            names(&["ssh-rsa"])[..3],
            ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]
        );
        assert_eq!(
            names(&["ecdsa-sha2-nistp384", "ssh-rsa"])[0],
            "ecdsa-sha2-nistp384"
        );
    }

    #[tokio::test]
    async fn what_a_rule_refuses_is_not_dialled() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rule = DialRule::new(|address| !address.to_canonical().is_loopback());
        for name in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
            let dialled = dial(&Resolver::default(), name, port, Some(&rule)).await;
            assert!(
                matches!(dialled, Err(TransportError::Dial { .. })),
                "{name}"
            );
        }
        // The first connection that the listener sees is the one that is allowed.
        let (allowed, system) = (DialRule::new(|_| true), Resolver::default());
        let (dialled, seen) = tokio::join!(
            dial(&system, "127.0.0.1", port, Some(&allowed)),
            listener.accept()
        );
        assert_eq!(dialled.unwrap().local_addr().unwrap(), seen.unwrap().1);
    }

    #[test]
    fn servers_do_not_learn_which_library_we_use() {
        assert!(CLIENT_ID.starts_with("SSH-2.0-vmdeck_"));
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_a_dial_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = dial(&Resolver::default(), "127.0.0.1", port, None)
            .await
            .unwrap_err();
        assert!(matches!(error, TransportError::Dial { .. }), "{error}");
    }
}
