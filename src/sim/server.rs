//! The SSH server of one simulated host: login with the fleet's key, command lines on session
//! channels, nothing else. Bytes are turned into programs in [`super::program`].

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{
    Channel, ChannelId, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf,
    MethodKind, MethodSet, SshId,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::guest::Guest;
use super::host::SimHost;
use super::hyperv::launch::{self, Launched, launch};
use super::link::Link;
use super::program::{Surroundings, run_line};
use super::stdio::{Piece, Stdio};
use super::tally::{Running, Stranger};
use super::virsh::Display;
use super::vnc;
use crate::task::Tasks;

/// The account of every simulated host.
pub(super) const USER: &str = "demo";

/// Time between attempts to get a port back.
const LISTEN_AGAIN: Duration = Duration::from_millis(100);

/// The number of standard error among the streams of a channel (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// Environment a client may set, as sshd's default.
fn is_accepted_variable(name: &str) -> bool {
    name == "LANG" || name.starts_with("LC_") || name == "LIBVIRT_DEFAULT_URI"
}

/// Makes the configuration of a server with one host key, which introduces itself with a line.
pub(super) fn config(key: PrivateKey, introduction: &'static str) -> Arc<Config> {
    Arc::new(Config {
        server_id: SshId::Standard(introduction.into()),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        auth_rejection_time: Duration::from_millis(200),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    })
}

/// Everything one host's server needs.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) host: Arc<SimHost>,
    pub(super) address: SocketAddr,
    pub(super) config: watch::Receiver<Arc<Config>>,
    pub(super) login: PublicKey,
    pub(super) tasks: Tasks,
}

impl Server {
    /// Serves until the tasks are cancelled, closing and opening the port as the host goes down and
    /// comes back.
    pub(super) async fn run(self, listener: TcpListener) {
        let mut wanted = self.host.wanted_up.subscribe();
        let token = self.tasks.token().clone();
        let mut listener = Some(listener);
        while !token.is_cancelled() {
            if let Some(listener) = listener.take() {
                self.host.is_up.send_replace(true);
                self.serve(listener, &mut wanted).await;
                self.host.is_up.send_replace(false);
            }
            let up = tokio::select! {
                () = token.cancelled() => return,
                up = wanted.wait_for(|up| *up) => up.is_ok(),
            };
            if !up {
                return;
            }
            match TcpListener::bind(self.address).await {
                Ok(again) => listener = Some(again),
                Err(error) => {
                    tracing::debug!(host = %self.host.plan.name, %error, "a simulated host could not listen");
                    tokio::time::sleep(LISTEN_AGAIN).await;
                }
            }
        }
    }

    /// Accepts connections until the host is to go down; then cuts them all.
    async fn serve(&self, listener: TcpListener, wanted: &mut watch::Receiver<bool>) {
        let links = self.tasks.child();
        loop {
            let accepted = tokio::select! {
                () = links.token().cancelled() => break,
                down = wanted.wait_for(|up| !*up) => {
                    drop(down);
                    break;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    links.spawn("sim connection", self.connection(stream, &links));
                }
                Err(error) => {
                    tracing::debug!(host = %self.host.plan.name, %error, "a simulated host could not accept");
                    tokio::time::sleep(LISTEN_AGAIN).await;
                }
            }
        }
        links.cancel();
    }

    fn connection(
        &self,
        stream: TcpStream,
        links: &Tasks,
    ) -> impl Future<Output = ()> + Send + 'static {
        // A channel's program ends with its connection, whoever ends that.
        let tasks = links.child();
        let config = Arc::clone(&self.config.borrow());
        let link = Link::new(stream, links.token(), &self.host.silent.subscribe());
        let handler = Connection {
            host: Arc::clone(&self.host),
            login: self.login.clone(),
            tasks: tasks.clone(),
            of_host: self.tasks.clone(),
            windows: self.host.windows.as_ref().map(launch::Connection::new),
            channels: HashMap::new(),
            strangers: Some((
                self.host.strangers.comes(),
                self.host.tally.strangers().comes(),
            )),
            sessions: Arc::new(AtomicUsize::new(0)),
        };
        async move {
            let ended = match russh::server::run_stream(config, link, handler).await {
                Ok(session) => session.await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a simulated connection ended");
            }
            tasks.cancel();
        }
    }
}

/// One client's connection.
#[derive(Debug)]
struct Connection {
    host: Arc<SimHost>,
    login: PublicKey,
    tasks: Tasks,
    /// What outlives the connection.
    of_host: Tasks,
    /// The connection as a Windows host has it.
    windows: Option<launch::Connection>,
    /// Channels that have no program yet.
    channels: HashMap<ChannelId, Opened>,
    /// Counted for the fleet and for the host until the client has logged in.
    strangers: Option<(Stranger, Stranger)>,
    sessions: Arc<AtomicUsize>,
}

struct Opened {
    channel: Channel<Msg>,
    slot: Slot,
    env: Vec<(String, String)>,
    terminal: bool,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("channel", &self.channel.id())
            .finish_non_exhaustive()
    }
}

/// A session's place among those a connection may have.
#[derive(Debug)]
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(sessions: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        sessions
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < max).then_some(taken + 1)
            })
            .ok()
            .map(|_| Self(Arc::clone(sessions)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connection {
    fn judge(&self, user: &str, key: &PublicKey) -> Auth {
        let known = user == USER && key.key_data() == self.login.key_data();
        if known && !self.host.faults().refuses_login {
            Auth::Accept
        } else {
            Auth::reject()
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let judged = self.judge(user, key.public_key);
        if matches!(judged, Auth::Accept) {
            self.strangers = None;
        }
        Ok(judged)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        match Slot::take(&self.sessions, self.host.faults().max_sessions) {
            None => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            Some(slot) => {
                let opened = Opened {
                    slot,
                    env: Vec::new(),
                    terminal: false,
                    channel,
                };
                self.channels.insert(opened.channel.id(), opened);
                reply.accept().await;
            }
        }
        Ok(())
    }

    /// Another simulated host may lie behind this one, and displays and SSH servers of its own VMs; nothing else
    /// does.
    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if host == "127.0.0.1"
            && let Some(display) = Display::on_port(&self.host, port)
        {
            let showing = async move {
                reply.accept().await;
                // Ends when the viewer leaves.
                drop(vnc::serve(channel.into_stream(), &display.name, &display).await);
            };
            let token = self.tasks.token().clone();
            self.tasks.spawn("sim display", until(token, showing));
            return Ok(());
        }
        if let Some(guest) = Guest::at(&self.host, (host, port), &self.login) {
            let serving = async move {
                reply.accept().await;
                guest.serve(channel.into_stream()).await;
            };
            let token = self.tasks.token().clone();
            self.tasks.spawn("sim guest", until(token, serving));
            return Ok(());
        }
        let there = (host.parse::<Ipv4Addr>().ok())
            .filter(Ipv4Addr::is_loopback)
            .zip(u16::try_from(port).ok());
        let Some(there) = there else {
            reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
            return Ok(());
        };
        let forwarding = async move {
            match TcpStream::connect(there).await {
                Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
                Ok(mut onward) => {
                    reply.accept().await;
                    // Fails when either end has gone, which both then see.
                    drop(copy_bidirectional(&mut channel.into_stream(), &mut onward).await);
                }
            }
        };
        let token = self.tasks.token().clone();
        self.tasks.spawn("sim forward", until(token, forwarding));
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.remove(&channel);
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channels.get_mut(&channel) {
            Some(opened) if is_accepted_variable(name) && opened.env.len() < 32 => {
                opened.env.push((name.to_owned(), value.to_owned()));
                session.channel_success(channel)
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channels.get_mut(&channel) {
            Some(opened) if self.windows.is_none() => {
                opened.terminal = true;
                session.channel_success(channel)
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(opened) = self.channels.remove(&channel) else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        let token = self.tasks.token().clone();
        if let Some(connection) = &self.windows {
            let line = String::from_utf8_lossy(line).into_owned();
            let launched = launch(connection, line, &self.of_host);
            let latency = self.host.latency();
            let run = run_windows(launched, latency, opened.channel, opened.slot);
            self.tasks.spawn("sim windows", until(token, run));
            return Ok(());
        }
        let mut around = Surroundings::login(Arc::clone(&self.host), USER, opened.env);
        around.terminal = opened.terminal;
        let line = String::from_utf8_lossy(line).into_owned();
        let running = Running::begin(&self.host.tally);
        let run = async move {
            run_channel(around, line, opened.channel, opened.slot).await;
            drop(running);
        };
        self.tasks.spawn("sim program", until(token, run));
        Ok(())
    }
}

async fn until(token: CancellationToken, run: impl Future<Output = ()> + Send) {
    tokio::select! {
        () = token.cancelled() => {}
        () = run => {}
    }
}

/// Runs a command line on a channel and closes it.
async fn run_channel(around: Surroundings, line: String, channel: Channel<Msg>, slot: Slot) {
    let (mut from_client, to_client) = channel.split();
    let (mut stdio, ends) = Stdio::new();
    let program = async move { run_line(around, &line, &mut stdio).await };
    let work = async {
        let (status, ()) = tokio::join!(program, send_output(ends.output, &to_client));
        status
    };
    let status = tokio::select! {
        status = Box::pin(work) => Some(status),
        () = feed_input(&mut from_client, ends.input) => None,
    };
    // Each of these fails only when the connection has just gone.
    if let Some(status) = status {
        drop(to_client.exit_status(status).await);
        drop(to_client.eof().await);
    }
    drop(slot);
    drop(to_client.close().await);
}

/// Carries the streams of a Windows host's command line. Its process goes on when the client leaves.
async fn run_windows(launched: Launched, latency: Duration, channel: Channel<Msg>, slot: Slot) {
    let Launched {
        input,
        mut output,
        client,
    } = launched;
    let (mut from_client, to_client) = channel.split();
    let work = async {
        tokio::time::sleep(latency).await;
        while let Some(piece) = output.next().await {
            if !send_piece(piece, &to_client).await {
                return None;
            }
        }
        output.status().await
    };
    let status = tokio::select! {
        status = work => status,
        () = feed_input(&mut from_client, input) => None,
    };
    // Each of these fails only when the connection has just gone.
    if let Some(status) = status {
        drop(to_client.exit_status(status).await);
        drop(to_client.eof().await);
    }
    drop(client);
    drop(slot);
    drop(to_client.close().await);
}

async fn send_output(mut output: mpsc::Receiver<Piece>, to_client: &ChannelWriteHalf<Msg>) {
    while let Some(piece) = output.recv().await {
        if !send_piece(piece, to_client).await {
            return;
        }
    }
}

/// Sends a piece of output; false when the connection has gone.
async fn send_piece(piece: Piece, to_client: &ChannelWriteHalf<Msg>) -> bool {
    let sent = match piece {
        Piece::Out(bytes) => to_client.data_bytes(bytes).await,
        Piece::Err(bytes) => to_client.extended_data_bytes(STDERR, bytes).await,
    };
    sent.is_ok()
}

/// Hands input to the program; returns when the client has closed the channel, or floods it.
async fn feed_input(from_client: &mut ChannelReadHalf, input: mpsc::Sender<Vec<u8>>) {
    let mut input = Some(input);
    while let Some(message) = from_client.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if let Some(Err(mpsc::error::TrySendError::Full(_))) =
                    input.as_ref().map(|input| input.try_send(data.to_vec()))
                {
                    return;
                }
            }
            ChannelMsg::Eof => input = None,
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}
