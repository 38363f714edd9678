//! Facts worth a toast, a line of a stream or of an activity view. Small, and allowed to be lost by a
//! slow reader: what *is* stands in the snapshot.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error_kind::Failure;
use super::host::{HostId, HostName};
use super::operation::Operation;
use super::text::RemoteText;
use super::vm::{PowerState, VmRef};

/// Something happened.
#[derive(Debug, Clone)]
pub struct FleetEvent {
    /// When, for people; a clock may be set back.
    pub at: Timestamp,
    /// The first snapshot that knows of it.
    pub generation: u64,
    /// What.
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A host answers (again).
    HostCameOnline {
        /// Which.
        host: HostId,
        /// Its name.
        name: HostName,
    },
    /// A host stopped answering, or needs a person.
    HostWentOffline {
        /// Which.
        host: HostId,
        /// Its name.
        name: HostName,
        /// Why.
        cause: Failure,
    },
    /// A VM is in another state than at the last read.
    VmChangedState {
        /// Which.
        vm: VmRef,
        /// Its name.
        name: RemoteText,
        /// Its host's name.
        host_name: HostName,
        /// Before.
        from: PowerState,
        /// Now.
        to: PowerState,
    },
    /// A VM is there that was not.
    VmAppeared {
        /// Which.
        vm: VmRef,
        /// Its name.
        name: RemoteText,
        /// Its host's name.
        host_name: HostName,
        /// Its state.
        state: PowerState,
    },
    /// A VM is gone that was there.
    VmVanished {
        /// Which.
        vm: VmRef,
        /// Its name.
        name: RemoteText,
        /// Its host's name.
        host_name: HostName,
    },
    /// An operation moved on.
    OperationMoved(Arc<Operation>),
    /// Something failed that belongs to no operation.
    ErrorOccurred {
        /// The host it is about, if any.
        host: Option<HostName>,
        /// What.
        cause: Failure,
    },
}

/// One command that was sent to a host, for the command log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// When it was sent.
    pub at: Timestamp,
    /// To which host.
    pub host: HostName,
    /// What, secrets redacted.
    pub command: Box<str>,
    /// How it ended, in a few words: `ok`, `exit 1`, `timed out`.
    pub status: Cow<'static, str>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// How many bytes came back, where that was counted: of the last time.
    pub bytes: Option<u64>,
    /// Whether it was part of an action, not of reading.
    pub changes: bool,
    /// How often it was sent and ended like this. A question that repeats is one record, which tells
    /// of the last time; the commands of actions never repeat.
    pub times: u32,
}
