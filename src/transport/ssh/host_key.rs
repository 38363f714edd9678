//! Our side of the library's callbacks: the judge of host keys, and a closed door for everything else.
//!
//! The key is judged inside the key exchange, so that not one byte of a login is sent to a host that
//! was not recognised. Channels that the server opens are refused, all kinds of them. The reason why a
//! connection ended is kept for [`super::link::Link`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use russh::ChannelOpenFailure;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId};
use tokio::sync::watch;

use super::known_hosts::{self, KnownHostsFile};
use crate::domain::host_key::{HostKey, HostKeyQuestion, HostKeyVerdict, KnownAt, PinnedKey};
use crate::domain::text::RemoteText;
use crate::transport::TransportError;

/// Bits below which an RSA host key proves nothing.
const MIN_RSA_BITS: u32 = 2048;

/// Why a connection ended, once it has; the first reason stays.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    reason: Arc<watch::Sender<Option<Arc<str>>>>,
    /// Whether the server ended it in so many words, which is not the same as a lost connection.
    dismissed: Arc<AtomicBool>,
}

impl Ending {
    pub(super) fn new() -> Self {
        Self {
            reason: Arc::new(watch::Sender::new(None)),
            dismissed: Arc::default(),
        }
    }

    /// Tells whether the server ended it deliberately; known once there is a reason.
    pub(super) fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::SeqCst)
    }

    /// Records a reason, unless there is one already.
    pub(super) fn set(&self, reason: &str) {
        self.reason.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(Arc::from(reason));
            }
            first
        });
    }

    pub(super) fn reason(&self) -> Option<Arc<str>> {
        self.reason.borrow().clone()
    }

    /// Waits for the end and returns its reason.
    pub(super) async fn wait(&self) -> Arc<str> {
        let mut receiver = self.reason.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_else(|| Arc::from("unknown")),
            Err(_closed) => Arc::from("unknown"),
        }
    }
}

/// What is needed to judge the key of one host.
#[derive(Debug)]
pub(super) struct Judge {
    /// Name its keys are filed under.
    pub(super) label: String,
    /// Address that was really dialled.
    pub(super) dialled: String,
    pub(super) files: Arc<[KnownHostsFile]>,
    pub(super) pinned: Arc<[PinnedKey]>,
    pub(super) accept_new: bool,
    /// The unknown key that was accepted on this connection.
    pub(super) accepted: Arc<Mutex<Option<HostKey>>>,
}

impl Judge {
    /// Lets the key pass, or says why not.
    fn judge(&self, key: &PublicKey) -> Result<(), TransportError> {
        let refuse = |reason: &str| TransportError::Handshake {
            endpoint: self.dialled.clone(),
            reason: reason.to_owned(),
        };
        if let Some(rsa) = key.key_data().rsa()
            && rsa.key_size() < MIN_RSA_BITS
        {
            return Err(refuse(
                "its RSA host key has fewer than 2048 bits, which proves nothing",
            ));
        }
        let key = known_hosts::describe(key).ok_or_else(|| refuse("its host key is malformed"))?;
        let verdict = known_hosts::verdict(&self.files, &self.pinned, &self.label, &key);
        let verdict = match verdict {
            HostKeyVerdict::Known => return Ok(()),
            HostKeyVerdict::Unknown if self.accept_new => match self.accept(&key) {
                None => return Ok(()),
                Some(changed) => changed,
            },
            HostKeyVerdict::Unknown
            | HostKeyVerdict::Changed { .. }
            | HostKeyVerdict::Revoked { .. } => verdict,
        };
        Err(TransportError::HostKey(Box::new(HostKeyQuestion {
            label: self.label.clone(),
            dialled: self.dialled.clone(),
            key,
            verdict,
        })))
    }

    /// Accepts the first unknown key; a second, other one on the same connection is a change.
    fn accept(&self, key: &HostKey) -> Option<HostKeyVerdict> {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        match accepted.as_ref() {
            Some(first) if first != key => Some(HostKeyVerdict::Changed {
                known: vec![KnownAt {
                    source: "this connection".to_owned(),
                    line: None,
                    key: first.clone(),
                }],
            }),
            Some(_same) => None,
            None => {
                *accepted = Some(key.clone());
                None
            }
        }
    }
}

/// What the library may fail with inside our callbacks.
#[derive(Debug)]
pub(super) enum LinkError {
    /// Its own failure.
    Ssh(russh::Error),
    /// Our refusal.
    Refused(TransportError),
}

impl From<russh::Error> for LinkError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

/// The handler of one connection. When the library drops it the connection is over, however that came.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) judge: Judge,
    pub(super) ending: Ending,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ending
            .set("its task ended without a word, which is a bug");
    }
}

/// Says in a fragment why a connection ended.
fn why(reason: &DisconnectReason<LinkError>) -> String {
    match reason {
        DisconnectReason::ReceivedDisconnect(info) => format!(
            "the server closed it ({})",
            RemoteText::new(&info.message).first_line()
        ),
        DisconnectReason::Error(LinkError::Refused(refused)) => refused.to_string(),
        DisconnectReason::Error(LinkError::Ssh(error)) => explain(error),
    }
}

/// Puts the library's errors into words a person can act on.
pub(super) fn explain(error: &russh::Error) -> String {
    match error {
        russh::Error::Disconnect | russh::Error::HUP => "the other side closed it".to_owned(),
        russh::Error::KeepaliveTimeout => {
            "the server has stopped answering keepalive messages".to_owned()
        }
        russh::Error::NoCommonAlgo { kind, theirs, .. } => format!(
            "no common {kind:?} algorithm; the server only offers {}",
            RemoteText::new(&theirs.join(", "))
        ),
        russh::Error::Version => "what answers there is no SSH 2 server".to_owned(),
        russh::Error::NoAuthMethod => "the server offers no way to log in".to_owned(),
        russh::Error::IO(error) => error.to_string(),
        // Texts of the library may quote what the server sent.
        other => RemoteText::new(&other.to_string()).shown().to_owned(),
    }
}

async fn refuse(reply: ChannelOpenHandle) -> Result<(), LinkError> {
    tracing::warn!("refused a channel that the server wanted to open");
    reply
        .reject(ChannelOpenFailure::AdministrativelyProhibited)
        .await;
    Ok(())
}

impl Handler for Client {
    type Error = LinkError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, LinkError> {
        let judged = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.judge.judge(key),
            PublicKeyOrCertificate::Certificate(_) => Err(TransportError::Handshake {
                endpoint: self.judge.dialled.clone(),
                reason: "it shows a host certificate, which was not asked for".to_owned(),
            }),
        };
        judged.map(|()| true).map_err(LinkError::Refused)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<LinkError>) -> Result<(), LinkError> {
        let dismissed = matches!(
            reason,
            DisconnectReason::ReceivedDisconnect(_)
                | DisconnectReason::Error(LinkError::Ssh(russh::Error::NoAuthMethod))
        );
        self.ending.dismissed.store(dismissed, Ordering::SeqCst);
        self.ending.set(&why(&reason));
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), LinkError> {
        refuse(reply).await
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), LinkError> {
        refuse(reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), LinkError> {
        refuse(reply).await
    }

    async fn should_accept_unknown_server_channel(&mut self, _id: ChannelId, _kind: &str) -> bool {
        false
    }

    async fn server_channel_open_unknown(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), LinkError> {
        refuse(reply).await
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), LinkError> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), LinkError> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), LinkError> {
        refuse(reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), LinkError> {
        refuse(reply).await
    }

    async fn openssh_ext_host_keys_announced(
        &mut self,
        _keys: Vec<PublicKey>,
        _session: &mut Session,
    ) -> Result<(), LinkError> {
        // Keys are learnt from a person's decision only, never from the server's wish.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use russh::client::RemoteDisconnectInfo;

    use super::*;
    use crate::task::Tasks;

    fn client(ending: &Ending) -> Client {
        Client {
            judge: Judge {
                label: "kvm1".to_owned(),
                dialled: "192.0.2.1:22".to_owned(),
                files: Arc::new([]),
                pinned: Arc::new([]),
                accept_new: true,
                accepted: Arc::default(),
            },
            ending: ending.clone(),
        }
    }

    #[tokio::test]
    async fn a_panic_in_the_connection_ends_the_link_and_nothing_else() {
        let ending = Ending::new();
        let client = client(&ending);
        let dying = Tasks::new().spawn("connection", async move {
            let _client = client;
            panic!("a bug of the library");
        });
        assert!(ending.wait().await.contains("bug"));
        assert!(dying.await.is_err());
    }

    #[test]
    fn the_first_reason_stays() {
        let ending = Ending::new();
        ending.set("first");
        ending.set("second");
        assert_eq!(ending.reason().as_deref(), Some("first"));
    }

    #[test]
    fn a_second_key_on_one_connection_is_a_change() {
        let client = client(&Ending::new());
        let key = |base64: &str| HostKey {
            algorithm: "ssh-ed25519".to_owned(),
            base64: base64.to_owned(),
            fingerprint: String::new(),
        };
        assert_eq!(client.judge.accept(&key("a")), None);
        assert_eq!(client.judge.accept(&key("a")), None);
        assert!(matches!(
            client.judge.accept(&key("b")),
            Some(HostKeyVerdict::Changed { .. })
        ));
    }

    #[test]
    fn each_end_of_a_connection_has_its_words() {
        let theirs = vec!["ssh-dss".to_owned(), "x\u{1b}y".to_owned()];
        let none = russh::Error::NoCommonAlgo {
            kind: russh::AlgorithmKind::Key,
            ours: Vec::new(),
            theirs,
        };
        let cases = [
            (russh::Error::Disconnect, "the other side closed it"),
            (russh::Error::HUP, "the other side closed it"),
            (
                russh::Error::KeepaliveTimeout,
                "the server has stopped answering keepalive messages",
            ),
            (
                none,
                "no common Key algorithm; the server only offers ssh-dss, x␛y",
            ),
            (
                russh::Error::Version,
                "what answers there is no SSH 2 server",
            ),
            (
                russh::Error::NoAuthMethod,
                "the server offers no way to log in",
            ),
            (
                russh::Error::IO(std::io::Error::other("the cable is cut")),
                "the cable is cut",
            ),
        ];
        for (error, said) in cases {
            assert_eq!(why(&DisconnectReason::Error(error.into())), said);
        }
        let refused = TransportError::Handshake {
            endpoint: "kvm1:22".to_owned(),
            reason: "it is not known".to_owned(),
        };
        let said = refused.to_string();
        assert!(said.contains("it is not known"));
        assert_eq!(
            why(&DisconnectReason::Error(LinkError::Refused(refused))),
            said
        );
    }

    #[tokio::test]
    async fn only_what_the_server_says_itself_is_a_dismissal() {
        let info = RemoteDisconnectInfo {
            reason_code: russh::Disconnect::TooManyConnections,
            message: "too many\nof you".to_owned(),
            lang_tag: String::new(),
        };
        let no_login = russh::Error::NoAuthMethod;
        let cases = [
            (
                DisconnectReason::ReceivedDisconnect(info),
                true,
                "the server closed it (too many)",
            ),
            (
                DisconnectReason::Error(no_login.into()),
                true,
                "the server offers no way to log in",
            ),
            (
                DisconnectReason::Error(russh::Error::HUP.into()),
                false,
                "the other side closed it",
            ),
        ];
        for (reason, dismissed, said) in cases {
            let ending = Ending::new();
            assert_eq!((ending.is_dismissed(), ending.reason()), (false, None));
            client(&ending).disconnected(reason).await.unwrap();
            assert_eq!(ending.is_dismissed(), dismissed, "{said}");
            assert_eq!(&*ending.wait().await, said);
        }
    }
}
