//! Drivers: what a hypervisor is asked, and what its answers mean.
//!
//! A driver is a pure command builder, a pure parser and a little glue. `inventory` is one or two
//! remote commands whatever the number of VMs; unknown fields are ignored, a broken VM becomes a gap
//! and never loses the others; VMs are addressed by id; `perform` returns when the hypervisor has
//! accepted and never polls; localised text is never matched.

#![warn(missing_docs)]
#![deny(clippy::wildcard_enum_match_arm)]

pub mod account;
pub mod drivers;
pub mod hyperv;
pub mod libvirt;
pub mod picture;
mod probe;
mod progress;
mod question;
mod reach;

pub use self::drivers::InstalledDrivers;
pub use self::progress::{ProgressNews, ProgressSink};
pub use self::question::{AnswerForm, Check, Question, usual_checks};
pub use self::reach::{GuestStart, GuestTrouble, Reach};

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use tokio::time::Instant;

use crate::domain::action::Action;
use crate::domain::capability::Capabilities;
use crate::domain::edit::VmSettings;
use crate::domain::error_kind::{Classify, ErrorKind, Hint};
use crate::domain::host::{HostSpec, HypervisorKind};
use crate::domain::inventory::{HostInventory, Scope};
use crate::domain::redact::Private;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::snapshot::VmSnapshot;
use crate::domain::store::{HostStores, StoreId};
use crate::domain::store_action::StoreVerb;
use crate::domain::text::RemoteText;
use crate::domain::vm::{VmDetail, VmId};
use crate::transport::{Transport, TransportError};

/// A driver bound to one live link.
#[async_trait]
pub trait Hypervisor: Send + Sync + Debug {
    /// Returns which hypervisor it drives.
    fn kind(&self) -> HypervisorKind;

    /// Finds out versions, permission and what can be asked.
    async fn probe(&self) -> Result<Capabilities, HypervisorError>;

    /// Reads every VM. Keeps what it needs to turn counters into rates.
    async fn inventory(&self, scope: Scope) -> Result<HostInventory, HypervisorError>;

    /// Reads everything about one VM.
    async fn detail(&self, vm: &VmId) -> Result<VmDetail, HypervisorError>;

    /// Reads the snapshots of one VM, parents before children. What the host would not tell is an error,
    /// never an empty tree.
    async fn snapshots(&self, vm: &VmId) -> Result<Vec<VmSnapshot>, HypervisorError>;

    /// Reads what one VM is set up with: its definition, also where the VM runs with other values until it was
    /// off. Read afresh, never from what is known.
    async fn settings(&self, vm: &VmId) -> Result<VmSettings, HypervisorError>;

    /// Reads storage and networks with who uses them. Asked for when somebody looks, never on a tick. What a
    /// host does not tell is said in the answer; an error means that nothing could be read.
    async fn stores(&self) -> Result<HostStores, HypervisorError>;

    /// Runs the commands of a plan on channels of their own; returns when the hypervisor has
    /// accepted the last one. What the hypervisor says on the way about how far it is, is told
    /// through `progress`; one that says nothing tells nothing.
    async fn perform(
        &self,
        commands: &[RemoteCommand],
        progress: &ProgressSink,
    ) -> Result<(), HypervisorError>;

    /// Says how the host is read as things stand, where that is not for as long as the link lives what
    /// the probe found ([`Capabilities::channel`]).
    fn channel(&self) -> Option<String> {
        None
    }

    /// Returns, once, when the answer to the next read was asked for, where that was before the read: what
    /// it says is as old as that.
    fn asked_ahead(&self) -> Option<Instant> {
        None
    }

    /// Opens the announcements of changes, where the hypervisor has them.
    async fn hints(&self) -> Result<Option<Box<dyn Hints>>, HypervisorError>;

    /// Looks at everything it needs on the host, step by step, each with what mends it. Changes nothing.
    async fn checks(&self) -> Vec<Check> {
        usual_checks(self.probe().await)
    }

    /// Returns whether it survives what a login writes to standard output by itself.
    fn survives_banners(&self) -> bool {
        false
    }

    /// Returns its questions as data: what it asks of this host, and of each of these VMs. None of them
    /// changes anything.
    fn questions(&self, vms: &[VmId]) -> Vec<Question>;

    /// Returns what in the answers is the business of the host's owner, as far as only the driver knows
    /// it.
    fn private(&self) -> Private {
        Private::default()
    }

    /// Ends kept processes.
    async fn close(&self);
}

/// Announcements of changes: a reason to read now, never the truth.
#[async_trait]
pub trait Hints: Send + Debug {
    /// Waits for the next one; an error ends the announcements.
    async fn next(&mut self) -> Result<PollHint, HypervisorError>;
}

/// One announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollHint {
    /// Something about a VM has changed.
    Changed,
    /// VMs were added or removed.
    ListChanged,
    /// The hypervisor announced that a VM restarted (libvirt: event `reboot`, which follows a
    /// guest's own reboot and a reset alike). The one trace of a restart that leaves the VM running
    /// and its counters untouched, so verification remembers it.
    Restarted {
        /// Its id or its name, as it was announced; the session knows both.
        vm: RemoteText,
    },
}

/// Makes drivers: the one thing the layers above know about which hypervisors exist.
#[async_trait]
pub trait Drivers: Send + Sync + Debug {
    /// Finds out what is on the other side, unless the definition fixes it, and binds a driver to it.
    async fn open(
        &self,
        transport: Arc<dyn Transport>,
        spec: &HostSpec,
    ) -> Result<Box<dyn Hypervisor>, HypervisorError>;

    /// Builds the commands of an action. Pure, so that the same value is shown, run and audited.
    fn commands(
        &self,
        kind: HypervisorKind,
        spec: &HostSpec,
        vm: &VmId,
        action: &Action,
    ) -> Result<Vec<RemoteCommand>, HypervisorError>;

    /// Builds the commands of what is done to a pool or a network. Pure, like [`Self::commands`].
    fn store_commands(
        &self,
        kind: HypervisorKind,
        spec: &HostSpec,
        id: &StoreId,
        verb: StoreVerb,
    ) -> Result<Vec<RemoteCommand>, HypervisorError>;

    /// Says how a kind of hypervisor lets somebody into its VMs.
    fn reach(&self, kind: HypervisorKind) -> &'static dyn Reach;
}

/// A failure at the hypervisor, or on the way to it.
#[derive(Debug, Clone, Error)]
pub enum HypervisorError {
    /// The link failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The hypervisor refused, in its own words.
    #[error("{program} said: {said}")]
    Remote {
        /// The program that was run.
        program: String,
        /// Its exit code, where there was one.
        status: Option<u32>,
        /// First line of what it wrote to standard error.
        said: RemoteText,
    },
    /// The account may not.
    #[error("the account has no access to {what}: {said}")]
    Permission {
        /// What it may not use.
        what: String,
        /// What the host said.
        said: RemoteText,
        /// What to do.
        fix: String,
    },
    /// The tool is not there.
    #[error("{program} was not found on the host")]
    ToolMissing {
        /// The program.
        program: String,
        /// What to do.
        fix: String,
    },
    /// The tool is there, what it talks to is not running.
    #[error("{what} does not answer on the host: {said}")]
    NotRunning {
        /// What is not running.
        what: String,
        /// What the host said.
        said: RemoteText,
        /// What to do.
        fix: String,
    },
    /// The answer is not what the tool is documented to print.
    #[error("{program} printed something unexpected ({what}): {}", excerpt(.said))]
    Unparsable {
        /// The program.
        program: String,
        /// What is wrong with it.
        what: String,
        /// The line it is about.
        said: RemoteText,
    },
    /// The hypervisor refused for a reason that has a kind of its own.
    #[error("{what}{}", after_colon(.said))]
    Refused {
        /// What kind of failure it is.
        kind: ErrorKind,
        /// What was refused, as a fragment.
        what: String,
        /// The host's own words; empty where it had none.
        said: RemoteText,
        /// What to do, where something can be done.
        fix: Option<String>,
    },
    /// This driver cannot do that.
    #[error("{kind} cannot {what}")]
    Unsupported {
        /// The hypervisor.
        kind: HypervisorKind,
        /// What was asked.
        what: String,
    },
}

/// Columns of an unexpected line that a message shows.
const EXCERPT: usize = 60;

/// Shows enough of a line to recognise it.
fn excerpt(said: &RemoteText) -> String {
    if said.is_empty() {
        "nothing".to_owned()
    } else {
        said.fit(EXCERPT)
    }
}

fn after_colon(said: &RemoteText) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    }
}

impl Classify for HypervisorError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Transport(error) => error.kind(),
            Self::Remote { .. } | Self::NotRunning { .. } => ErrorKind::Remote,
            Self::Refused { kind, .. } => *kind,
            Self::Permission { .. } => ErrorKind::Permission,
            Self::ToolMissing { .. } | Self::Unparsable { .. } => ErrorKind::Protocol,
            Self::Unsupported { .. } => ErrorKind::Refused,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Transport(error) => error.hint(),
            Self::Permission { fix, .. }
            | Self::ToolMissing { fix, .. }
            | Self::NotRunning { fix, .. } => Some(Hint::new(fix.clone())),
            Self::Unparsable { program, .. } => Some(Hint::new(format!(
                "log in with ssh and see what `{program}` prints there; `vmdeck host doctor NAME` checks every step"
            ))),
            Self::Remote { .. } => Some(Hint::new(
                "that is the host's own answer; `vmdeck host doctor NAME` checks every step",
            )),
            Self::Refused { fix, .. } => fix.clone().map(Hint::new),
            Self::Unsupported { .. } => None,
        }
    }
}
