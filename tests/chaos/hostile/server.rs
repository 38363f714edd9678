//! Servers that speak SSH properly up to the login, let everybody in, and misbehave from then on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session};
use russh::{Channel, ChannelId, ChannelOpenFailure, Limits, MethodSet, Sig};
use tokio::net::TcpListener;
use vmdeck::task::Tasks;

/// One way to misbehave after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    NeverAnswersTheLogin,
    HangsUpAtTheLogin,
    HostileBanner,
    OpensChannels,
    RefusesChannels,
    NeverOpensChannels,
    RefusesCommands,
    NeverAnswersCommands,
    ExitBeforeData,
    NoExit,
    ExitSignal,
    EndWithoutClose,
    FloodsOutput,
    FloodsComplaints,
    InvalidText,
    ClosesInTheMiddle,
    OddChannels,
    ManyExits,
    RekeyStorm,
    NoWindow,
    TinyPackets,
    HangsUpInTheMiddle,
}

impl Trick {
    pub(super) const ALL: [Self; 22] = [
        Self::NeverAnswersTheLogin,
        Self::HangsUpAtTheLogin,
        Self::HostileBanner,
        Self::OpensChannels,
        Self::RefusesChannels,
        Self::NeverOpensChannels,
        Self::RefusesCommands,
        Self::NeverAnswersCommands,
        Self::ExitBeforeData,
        Self::NoExit,
        Self::ExitSignal,
        Self::EndWithoutClose,
        Self::FloodsOutput,
        Self::FloodsComplaints,
        Self::InvalidText,
        Self::ClosesInTheMiddle,
        Self::OddChannels,
        Self::ManyExits,
        Self::RekeyStorm,
        Self::NoWindow,
        Self::TinyPackets,
        Self::HangsUpInTheMiddle,
    ];
}

/// A server that waits for one client after the other; ends when dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Channels that a client has let it open.
    pub(super) opened: Arc<AtomicUsize>,
    tasks: Tasks,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Server {
    pub(super) async fn start(trick: Trick, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
        let mut config = Config {
            keys: vec![key],
            methods: MethodSet::server_supported(),
            auth_rejection_time: Duration::ZERO,
            ..Config::default()
        };
        match trick {
            Trick::RekeyStorm => config.limits = Limits::new(256, 256, Duration::from_millis(20)),
            Trick::NoWindow => config.window_size = 0,
            Trick::TinyPackets => config.maximum_packet_size = 1,
            _ => {}
        }
        let config = Arc::new(config);
        let tasks = Tasks::new();
        let opened = Arc::<AtomicUsize>::default();
        let (of_server, count) = (tasks.clone(), Arc::clone(&opened));
        let serving = async move {
            while let Ok((socket, _)) = listener.accept().await {
                let visit = Visit {
                    trick,
                    dice: StdRng::seed_from_u64(seed),
                    tasks: of_server.clone(),
                    opened: Arc::clone(&count),
                };
                let running = russh::server::run_stream(Arc::clone(&config), socket, visit);
                let token = of_server.token().clone();
                drop(of_server.spawn("visit", async move {
                    if let Ok(running) = running.await {
                        drop(token.run_until_cancelled(running).await);
                    }
                }));
            }
        };
        let token = tasks.token().clone();
        drop(tasks.spawn("hostile server", async move {
            token.run_until_cancelled(serving).await;
        }));
        Self {
            address,
            opened,
            tasks,
        }
    }
}

struct Visit {
    trick: Trick,
    dice: StdRng,
    tasks: Tasks,
    opened: Arc<AtomicUsize>,
}

impl Visit {
    /// Goes on being rude while the session does something else; ends with it, or with the server.
    fn meanwhile(&self, rude: impl Future<Output = ()> + Send + 'static) {
        let token = self.tasks.token().clone();
        drop(self.tasks.spawn("rude", async move {
            token.run_until_cancelled(rude).await;
        }));
    }
}

impl Handler for Visit {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        let hostile = "\x1b]0;owned\x07\u{202e}\r\n".repeat(500);
        Ok((self.trick == Trick::HostileBanner).then_some(hostile))
    }

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, russh::Error> {
        match self.trick {
            Trick::NeverAnswersTheLogin => {
                // Until the server ends: the library keeps a session whose callback never returns.
                self.tasks.token().cancelled().await;
                Err(russh::Error::HUP)
            }
            Trick::HangsUpAtTheLogin => Err(russh::Error::HUP),
            _ => Ok(Auth::Accept),
        }
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), russh::Error> {
        if self.trick == Trick::OpensChannels {
            let count = Arc::clone(&self.opened);
            self.meanwhile(open_channels(session.handle(), count));
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.trick {
            Trick::RefusesChannels => reply.reject(ChannelOpenFailure::ResourceShortage).await,
            Trick::NeverOpensChannels => self.meanwhile(async move {
                std::future::pending::<()>().await;
                drop(reply);
            }),
            _ => reply.accept().await,
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.trick {
            Trick::RefusesCommands => return session.channel_failure(channel),
            Trick::NeverAnswersCommands => return Ok(()),
            Trick::HangsUpInTheMiddle => {
                session.channel_success(channel)?;
                return Err(russh::Error::HUP);
            }
            _ => session.channel_success(channel)?,
        }
        self.answer(channel, session)
    }
}

impl Visit {
    fn answer(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        let (mut end, mut close) = (true, true);
        match self.trick {
            Trick::ExitBeforeData => {
                session.exit_status_request(channel, self.dice.random())?;
                session.data(channel, b"late".to_vec())?;
            }
            Trick::NoExit => {
                session.data(channel, b"something".to_vec())?;
            }
            Trick::ExitSignal => {
                let name = Sig::Custom("\x1b[31mKILL\u{202e}".repeat(40));
                session.exit_signal_request(channel, name, true, "\x07", "xx")?;
            }
            Trick::EndWithoutClose => {
                session.exit_status_request(channel, 0)?;
                close = false;
            }
            Trick::FloodsOutput | Trick::FloodsComplaints => {
                let complaints = self.trick == Trick::FloodsComplaints;
                self.meanwhile(flood(session.handle(), channel, complaints));
                (end, close) = (false, false);
            }
            Trick::InvalidText => {
                let bytes: Vec<u8> = (0..50_000).map(|_| self.dice.random()).collect();
                session.data(channel, bytes)?;
                session.exit_status_request(channel, 0)?;
            }
            Trick::ClosesInTheMiddle => {
                session.data(channel, br#"{"vms": [{"name": "x"#.to_vec())?;
                end = false;
            }
            Trick::OddChannels => {
                for _ in 0..20 {
                    let kind = self.dice.random_range(2..u32::MAX);
                    session.extended_data(channel, kind, b"odd".to_vec())?;
                }
            }
            Trick::ManyExits => {
                for status in 0..200 {
                    session.exit_status_request(channel, status)?;
                    session.eof(channel)?;
                }
            }
            _ => {
                session.data(channel, vec![b'x'; 2_000])?;
                session.exit_status_request(channel, 0)?;
            }
        }
        if end {
            session.eof(channel)?;
        }
        if close {
            session.close(channel)?;
        }
        Ok(())
    }
}

/// Ten thousand channels of every kind, none of which anybody asked for.
async fn open_channels(handle: Handle, count: Arc<AtomicUsize>) {
    for number in 0..10_000 {
        let opened = match number % 4 {
            0 => handle.channel_open_agent().await,
            1 => handle.channel_open_forwarded_tcpip("x", 1, "y", 2).await,
            2 => handle.channel_open_x11("x", 1).await,
            _ => handle.channel_open_session().await,
        };
        match opened {
            Ok(_) => drop(count.fetch_add(1, Ordering::SeqCst)),
            Err(russh::Error::ChannelOpenFailure(_)) => {}
            Err(_) => return,
        }
    }
}

/// A hundred megabytes.
async fn flood(handle: Handle, channel: ChannelId, complaints: bool) {
    let piece = vec![b'!'; 32 * 1024];
    for _ in 0..3_200 {
        let sent = if complaints {
            handle.extended_data(channel, 1, piece.clone()).await
        } else {
            handle.data(channel, piece.clone()).await
        };
        if sent.is_err() {
            return;
        }
    }
}
