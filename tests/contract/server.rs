//! An SSH server that does what it is told to, for what a real sshd never does.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::decode_secret_key;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Response, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::net::TcpListener;
use vmdeck::domain::credential::Credential;
use vmdeck::domain::host::Endpoint;
use vmdeck::domain::secret::SecretText;
use vmdeck::task::Tasks;
use vmdeck::transport::{Hop, Target};

use crate::support::keys::{KeyKind, KeyPair};

/// What it does.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent habits")]
pub struct Manner {
    /// Methods it offers.
    pub methods: &'static [MethodKind],
    /// Password it accepts.
    pub password: Option<&'static str>,
    /// Questions it asks, and whether answers are shown; every answer must be the password.
    pub questions: &'static [(&'static str, bool)],
    /// Asks once more after the right answers.
    pub second_factor: bool,
    /// Lets anybody in.
    pub open: bool,
    /// Never answers a login.
    pub mute: bool,
    /// Ends the connection when it is asked for a password.
    pub hangs_up: bool,
    /// Opens channels of every kind on the client, this many.
    pub channels: usize,
    /// Closes a command's channel without a word about its end.
    pub silent_end: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            methods: &[MethodKind::Password],
            password: Some("correct"),
            questions: &[],
            second_factor: false,
            open: false,
            mute: false,
            hangs_up: false,
            channels: 0,
            silent_end: false,
        }
    }
}

/// A running server; ends when dropped.
pub struct Server {
    pub port: u16,
    pub known_hosts: std::path::PathBuf,
    /// Logins that were asked for, by any method but `none`.
    pub logins: Arc<AtomicUsize>,
    /// Channels that the client let it open.
    pub opened: Arc<AtomicUsize>,
    tasks: Tasks,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Server {
    pub async fn start(manner: Manner) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate(&dir.path().join("host"), KeyKind::Ed25519, "");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let known_hosts = dir.path().join("known_hosts");
        crate::support::write(
            &known_hosts,
            format!("[127.0.0.1]:{port} {}\n", key.public_line()),
        );
        let config = Arc::new(Config {
            keys: vec![decode_secret_key(&key.pem(), None).unwrap()],
            methods: MethodSet::from(manner.methods),
            auth_rejection_time: Duration::ZERO,
            ..Config::default()
        });
        let server = Self {
            port,
            known_hosts,
            logins: Arc::default(),
            opened: Arc::default(),
            tasks: Tasks::new(),
            _dir: dir,
        };
        let (logins, opened) = (Arc::clone(&server.logins), Arc::clone(&server.opened));
        let tasks = server.tasks.clone();
        let serving = async move {
            while let Ok((socket, _)) = listener.accept().await {
                let visit = Visit {
                    manner: manner.clone(),
                    logins: Arc::clone(&logins),
                    opened: Arc::clone(&opened),
                    asked: 0,
                    tasks: tasks.clone(),
                };
                let running = russh::server::run_stream(Arc::clone(&config), socket, visit);
                let token = tasks.token().clone();
                drop(tasks.spawn("visit", async move {
                    if let Ok(running) = running.await {
                        drop(token.run_until_cancelled(running).await);
                    }
                }));
            }
        };
        let token = server.tasks.token().clone();
        drop(server.tasks.spawn("server", async move {
            token.run_until_cancelled(serving).await;
        }));
        server
    }

    pub fn target(&self, credentials: Vec<Credential>) -> Target {
        Target {
            name: "fake".parse().unwrap(),
            hops: vec![Hop {
                endpoint: Endpoint::new("127.0.0.1", self.port),
                key_alias: None,
                user: "ann".parse().unwrap(),
                credentials,
            }],
            pinned: Vec::new(),
            known_hosts: vec![self.known_hosts.clone()],
            accept_new: false,
        }
    }
}

pub fn password(text: &str) -> Credential {
    Credential::Password(SecretText::from(text.to_owned()))
}

struct Visit {
    manner: Manner,
    logins: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
    asked: usize,
    tasks: Tasks,
}

impl Visit {
    fn ask(&self, second: bool) -> Auth {
        let prompts: Vec<(Cow<'static, str>, bool)> = if second {
            vec![(Cow::Borrowed("Verification code: "), false)]
        } else {
            self.manner
                .questions
                .iter()
                .map(|(text, echo)| (Cow::Borrowed(*text), *echo))
                .collect()
        };
        Auth::Partial {
            name: Cow::Borrowed(""),
            instructions: Cow::Borrowed(""),
            prompts: Cow::Owned(prompts),
        }
    }
}

impl Handler for Visit {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, russh::Error> {
        if self.manner.mute {
            std::future::pending::<()>().await;
        }
        Ok(if self.manner.open {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, russh::Error> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        if self.manner.hangs_up {
            return Err(russh::Error::HUP);
        }
        Ok(if self.manner.password == Some(password) {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        let Some(response) = response else {
            return Ok(self.ask(false));
        };
        self.asked += 1;
        let right = self.manner.password.unwrap_or_default().as_bytes();
        let all = response.into_iter().all(|answer| answer.as_ref() == right);
        if !all || self.asked > 1 {
            return Ok(Auth::reject());
        }
        Ok(if self.manner.second_factor {
            self.ask(true)
        } else {
            Auth::Accept
        })
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), russh::Error> {
        let handle = session.handle();
        let (count, opened) = (self.manner.channels, Arc::clone(&self.opened));
        drop(self.tasks.spawn("opener", async move {
            for number in 0..count {
                let result = match number % 4 {
                    0 => handle.channel_open_agent().await,
                    1 => handle.channel_open_forwarded_tcpip("x", 1, "y", 2).await,
                    2 => handle.channel_open_x11("x", 1).await,
                    _ => handle.channel_open_session().await,
                };
                if result.is_ok() {
                    opened.fetch_add(1, Ordering::SeqCst);
                }
            }
        }));
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(channel)?;
        if !self.manner.silent_end {
            // The status first, then data: both must count.
            session.exit_status_request(channel, 7)?;
            session.data(channel, "late".as_bytes().to_vec())?;
        }
        session.eof(channel)?;
        session.close(channel)
    }
}
