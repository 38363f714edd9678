//! What goes in and out of a session.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::connect::{Handshakes, TargetSource, connect_in_turn};
use super::limits::{HANDSHAKES, READ_FAST};
use super::link::PerformError;
use crate::clock::Clock;
use crate::domain::capability::Capabilities;
use crate::domain::definition::DefinitionText;
use crate::domain::edit::VmSettings;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::health::HostHealth;
use crate::domain::host::HostId;
use crate::domain::host_key::PinnedKey;
use crate::domain::inventory::{HostInventory, Scope};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::snapshot::VmSnapshot;
use crate::domain::store::HostStores;
use crate::domain::vm::{VmDetail, VmId};
use crate::hypervisor::{Drivers, ProgressSink};
use crate::task::Tasks;
use crate::transport::{Connected, Connector, Target, TransportError};

/// What all sessions share.
#[derive(Debug)]
pub struct SessionContext {
    /// Makes links.
    pub connector: Arc<dyn Connector>,
    /// Makes drivers.
    pub drivers: Arc<dyn Drivers>,
    /// Says where to dial.
    pub targets: Arc<dyn TargetSource>,
    /// Bounds how many dial at once.
    pub handshakes: Arc<Handshakes>,
    /// Wall time.
    pub clock: Clock,
    /// Where news go.
    pub updates: mpsc::Sender<SessionUpdate>,
    /// Rhythm.
    pub options: SessionOptions,
}

impl SessionContext {
    /// Makes a connection beside those of the sessions, for somebody who asks for it now.
    pub async fn connect(&self, target: &Target) -> Result<Connected, TransportError> {
        let stages = watch::Sender::default();
        connect_in_turn(&*self.connector, &self.handshakes, (target, 1), &stages).await
    }
}

/// The rhythm of a session.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Time between two reads of a host that is looked at.
    pub tick: Duration,
    /// The same for a Hyper-V host, where a read is a process of its own.
    pub hyperv_tick: Duration,
    /// How much slower a host is read that nobody looks at.
    pub unfocused_factor: u32,
    /// Time between two reads of the slow facts.
    pub full_every: Duration,
    /// How long one read of states and figures may take.
    pub read_within: Duration,
    /// How much the first read of a link reads: `Fast` fills a screen soonest, `Full` is what a
    /// single listing wants.
    pub first: Scope,
    /// Whether announcements of changes are listened to; a single listing has no use for them.
    pub announcements: bool,
    /// Connections being made at once, over all hosts.
    pub handshakes: usize,
    /// Seed of the jitter; `None` takes one at random.
    pub seed: Option<u64>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(3),
            hyperv_tick: Duration::from_secs(5),
            unfocused_factor: 4,
            full_every: Duration::from_secs(60),
            read_within: READ_FAST,
            first: Scope::Fast,
            announcements: true,
            handshakes: HANDSHAKES,
            seed: None,
        }
    }
}

/// A request to a session.
#[derive(Debug)]
pub enum HostCommand {
    /// A person wants it now: connect, or read everything.
    Wake,
    /// Read as soon as possible; the result shows in [`SessionHandle::observations`].
    Read {
        /// Whether the slow facts are wanted too.
        full: bool,
    },
    /// Whether anybody looks at this host.
    Focus(bool),
    /// Run the commands of an action.
    Perform {
        /// What.
        commands: Vec<RemoteCommand>,
        /// How long the hypervisor may take to accept.
        within: Duration,
        /// Where the hypervisor's word on how far it is goes.
        progress: ProgressSink,
        /// How it went.
        reply: oneshot::Sender<Result<(), PerformError>>,
    },
    /// Read everything about one VM.
    Detail {
        /// Which.
        vm: VmId,
        /// The detail.
        reply: oneshot::Sender<Result<Arc<VmDetail>, Failure>>,
    },
    /// Read the snapshots of one VM.
    Snapshots {
        /// Which.
        vm: VmId,
        /// Its snapshots, parents before children.
        reply: oneshot::Sender<Result<Arc<[VmSnapshot]>, Failure>>,
    },
    /// Read what one VM is set up with.
    Settings {
        /// Which.
        vm: VmId,
        /// Its settings.
        reply: oneshot::Sender<Result<VmSettings, Failure>>,
    },
    /// Read the definition of one VM.
    Definition {
        /// Which.
        vm: VmId,
        /// Its definition, passwords hidden.
        reply: oneshot::Sender<Result<DefinitionText, Failure>>,
    },
    /// Read storage and networks.
    Stores {
        /// Both, with who uses them.
        reply: oneshot::Sender<Result<Arc<HostStores>, Failure>>,
    },
}

/// What a session tells the fleet.
#[derive(Debug)]
pub struct SessionUpdate {
    /// Whose.
    pub host: HostId,
    /// Which session of that host: what an abandoned one still says is not for its successor.
    pub epoch: u64,
    /// What.
    pub news: News,
}

/// One piece of news.
#[derive(Debug)]
pub enum News {
    /// It stands differently.
    Health(HostHealth),
    /// It is read in another rhythm.
    Tick(Duration),
    /// It was probed.
    Probed(Arc<Capabilities>),
    /// It was read.
    Inventory {
        /// What it said.
        inventory: Arc<HostInventory>,
        /// When it was asked: what happened on the host since may not be in it.
        at: Timestamp,
        /// How long it took.
        latency: Duration,
    },
    /// Unknown host keys were accepted because the definition says so; to be pinned.
    KeysAccepted(Vec<PinnedKey>),
}

/// The newest read of a host, for those who verify.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When the read began: what was done before it is in it.
    pub began: Instant,
    /// What was read.
    pub inventory: Arc<HostInventory>,
    /// When the hypervisor last announced that a VM restarted.
    pub restarts: Arc<HashMap<VmId, Instant>>,
}

/// The fleet's hold on a session.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    /// Distinguishes it from its predecessors.
    pub epoch: u64,
    /// Requests.
    pub commands: mpsc::Sender<HostCommand>,
    /// Newest read.
    pub observations: watch::Receiver<Option<Observation>>,
    /// Ends it when cancelled.
    pub tasks: Tasks,
}

impl SessionHandle {
    /// Takes a place in the queue without waiting; a full queue is `Busy`.
    pub fn place(&self) -> Result<mpsc::Permit<'_, HostCommand>, Failure> {
        self.commands.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => {
                Failure::new(ErrorKind::Busy, "the host has too many requests waiting")
                    .with_hint("try again in a moment")
            }
            mpsc::error::TrySendError::Closed(()) => {
                Failure::new(ErrorKind::Conflict, "the session of the host has ended")
            }
        })
    }

    /// Hands a command over without waiting.
    pub fn send(&self, command: HostCommand) -> Result<(), Failure> {
        self.place()?.send(command);
        Ok(())
    }

    /// Hands a question over and waits for its answer, however long the session takes for it; a session that ends
    /// before is `Unreachable`.
    pub async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> HostCommand,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(question(reply))?;
        answer.await.unwrap_or_else(|_| {
            let why = "the host's session ended";
            Err(Failure::new(ErrorKind::Unreachable, why))
        })
    }
}
