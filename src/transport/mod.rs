//! Transport: how a command reaches a host. Layers above see these traits, never an SSH library.
//!
//! The contract of [`Transport::exec`], tested on the scripted double and on a real sshd alike:
//! output is complete even when the exit status arrives first; a non-zero status is `Ok` (drivers
//! judge it); exceeding a cap sets `truncated` instead of growing; two calls run side by side on one
//! link; a call that is dropped or times out never leaves a channel open; standard input is closed
//! only after it was written.

#![warn(missing_docs)]
#![deny(clippy::wildcard_enum_match_arm)]

pub mod error;
pub mod gates;
pub mod output;
pub mod quote;
#[cfg(any(test, feature = "testing"))]
pub mod scripted;
pub mod ssh;
mod terminal;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio::sync::watch;

pub use self::error::TransportError;
pub use self::output::{Chunk, CommandOutput, ExecLimits, ExitStatus};
pub use self::terminal::RemoteTerminal;
use crate::domain::console::TerminalSize;
use crate::domain::credential::Credential;
use crate::domain::graphics::DisplayPlace;
use crate::domain::host::{Endpoint, HostName, UserName};
use crate::domain::host_key::PinnedKey;
use crate::domain::remote_command::RemoteCommand;

/// One live link to one host.
#[async_trait]
pub trait Transport: Send + Sync + Debug {
    /// Runs a command to its end and returns everything it said.
    async fn exec(
        &self,
        command: &RemoteCommand,
        limits: ExecLimits,
    ) -> Result<CommandOutput, TransportError>;

    /// Starts a command that stays. Standard input that the command brings is written, and closed
    /// after it; without any it stays open for writes.
    async fn spawn(
        &self,
        command: &RemoteCommand,
    ) -> Result<Box<dyn RemoteProcess>, TransportError>;

    /// Starts a command in a pseudo-terminal. What it prints waits on the host until it is taken, so a
    /// flood holds up everything else on this link: a terminal wants a link of its own.
    async fn open_terminal(
        &self,
        _command: &RemoteCommand,
        _size: TerminalSize,
    ) -> Result<RemoteTerminal, TransportError> {
        Err(TransportError::Channel {
            reason: "this link has no terminals".to_owned(),
        })
    }

    /// Starts the account's own shell in a pseudo-terminal; the same is true of it.
    async fn open_shell(&self, _size: TerminalSize) -> Result<RemoteTerminal, TransportError> {
        Err(TransportError::Channel {
            reason: "this link has no terminals".to_owned(),
        })
    }

    /// Carries a connection of this machine to a port or a socket of the host, until one side ends it.
    async fn forward(&self, _to: &DisplayPlace, _local: TcpStream) -> Result<(), TransportError> {
        Err(TransportError::Channel {
            reason: "this link forwards nothing".to_owned(),
        })
    }

    /// Notes a question that was put to a process of [`Self::spawn`], how that went in a few words,
    /// and how long it took. For those who keep a log: a link itself has no use for it.
    fn note_asked(&self, _question: &str, _status: &str, _took: Duration) {}

    /// Resolves when the link has died, with the reason.
    async fn closed(&self) -> TransportError;

    /// Ends the link; outstanding calls fail.
    async fn close(&self);
}

/// A process that stays on a channel of its own.
#[async_trait]
pub trait RemoteProcess: Send + Debug {
    /// Waits for the next piece of output; after [`Chunk::Closed`] there is nothing more.
    async fn read(&mut self) -> Result<Chunk, TransportError>;

    /// Writes to its standard input.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError>;

    /// Ends the channel, explicitly.
    async fn close(&mut self);
}

/// Makes links.
#[async_trait]
pub trait Connector: Send + Sync + Debug {
    /// Dials, checks the host key of every hop, logs in.
    async fn connect(&self, target: &Target) -> Result<Connected, TransportError>;

    /// Does the same and tells where it stands, for those who keep a deadline: it is no fault of a host
    /// when others are let first.
    async fn connect_in_stages(
        &self,
        target: &Target,
        _stages: &watch::Sender<Stage>,
    ) -> Result<Connected, TransportError> {
        self.connect(target).await
    }
}

/// Where a connection that is being made stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stage {
    /// The hop it is at, from 0.
    pub hop: usize,
    /// Whether it waits for its turn there: nothing has been sent to that hop yet.
    pub waiting: bool,
}

/// A new link, and what was learnt on the way.
#[derive(Debug)]
pub struct Connected {
    /// The link.
    pub transport: Arc<dyn Transport>,
    /// Keys that were unknown and accepted because the target said so; to be pinned.
    pub accepted: Vec<PinnedKey>,
    /// How the login succeeded (`key web.pem`, `agent (ed25519 ann@laptop)`).
    pub logged_in_with: String,
}

/// Everything needed to dial a host; resolved, so that the transport reads no profile.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name for messages.
    pub name: HostName,
    /// Stops on the way and the host itself, in dialling order; never empty.
    pub hops: Vec<Hop>,
    /// Keys pinned in the profile, for any hop.
    pub pinned: Vec<PinnedKey>,
    /// `known_hosts` files to read as well, in order.
    pub known_hosts: Vec<PathBuf>,
    /// Accept and report unknown keys instead of stopping.
    pub accept_new: bool,
}

/// One stop: where, as whom, with what.
#[derive(Debug, Clone)]
pub struct Hop {
    /// Where it listens, resolved through the SSH client configuration.
    pub endpoint: Endpoint,
    /// Name its key is filed under when that is not the address (`HostKeyAlias`).
    pub key_alias: Option<String>,
    /// The account.
    pub user: UserName,
    /// What to try, in order.
    pub credentials: Vec<Credential>,
}

impl Hop {
    /// Returns the name the host's key is filed under: `host`, or `[host]:port`, lower-case.
    pub fn key_label(&self) -> String {
        if let Some(alias) = &self.key_alias {
            return alias.to_ascii_lowercase();
        }
        let address = self.endpoint.address.to_ascii_lowercase();
        match self.endpoint.port_or_default() {
            Endpoint::DEFAULT_PORT => address,
            port => format!("[{address}]:{port}"),
        }
    }
}
