//! Putting a new key in the place of an old one, host by host.
//!
//! The new key is sealed as `NAME.new` before anything is sent, and a host is moved to it in this order: log in as
//! now, let the new key in, log in with it over a connection of its own, and only then change the definition.
//! The old key is taken away by a step that somebody asks for by itself. Each step can be repeated, and
//! wherever it stops there is a login that works: what stands where is said.
//!
//! `NAME` and `NAME.new` become one again once no host uses the old one (`Keeper::finish`).

mod account;
mod host;
mod names;

use tokio::sync::oneshot;

pub use self::names::{old_of, successor_of};
use crate::domain::credential::CredentialName;
use crate::domain::error_kind::Failure;
use crate::domain::host::{HostId, HostName, HypervisorKind};
use crate::domain::operation::Actor;

/// A host that is to be moved to another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedHost {
    /// Which.
    pub id: HostId,
    /// Its name.
    pub name: HostName,
    /// What runs on it; `None` = found out when it is logged in to, and POSIX is shown.
    pub kind: Option<HypervisorKind>,
    /// The command that lets the new key in. The key stands for itself where it is not made yet.
    pub add: String,
    /// The command that takes the old key away; `None` where there is none to be taken away.
    pub remove: Option<String>,
    /// Whether it logs in with the new key already, because an earlier run got that far.
    pub moved: bool,
}

/// What a rotation is going to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationPlan {
    /// The credential that gets a new key.
    pub credential: CredentialName,
    /// Under which name the new key is kept until the old one is not used any more.
    pub successor: CredentialName,
    /// Whether that key is there already, because an earlier run made it.
    pub resumed: bool,
    /// Fingerprint of the key that goes; `None` for a password.
    pub fingerprint: Option<String>,
    /// The hosts, by name.
    pub hosts: Vec<PlannedHost>,
}

/// How the names stand after the hosts were moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// These still log in with the old key; both are kept.
    StillUsed(Vec<String>),
    /// The new key has the name; the old one is kept under this one.
    OldKept(CredentialName),
    /// The new key has the name, and the old one is forgotten.
    OldForgotten,
}

/// What can be asked about rotations.
#[derive(Debug)]
pub enum RotationRequest {
    /// Say what a rotation would do. Sends nothing.
    Plan {
        /// Of which credential.
        credential: CredentialName,
        /// Only for these hosts; empty = all that use it.
        hosts: Vec<HostName>,
        /// The plan.
        reply: oneshot::Sender<Result<RotationPlan, Failure>>,
    },
    /// Move one host to the new key.
    Move {
        /// Which host.
        host: HostId,
        /// From which credential; `None` = however the host is logged in to now.
        credential: Option<CredentialName>,
        /// To this one; `None` = to the successor, which is made where it is not there.
        to: Option<CredentialName>,
        /// Who wants it, for the record.
        actor: Option<Actor>,
        /// What was done, a line each.
        reply: oneshot::Sender<Result<Vec<String>, Failure>>,
    },
    /// Take the old key away from one host.
    Retire {
        /// Which host.
        host: HostId,
        /// The credential whose key is to go.
        credential: CredentialName,
        /// Who wants it, for the record.
        actor: Option<Actor>,
        /// What was done.
        reply: oneshot::Sender<Result<String, Failure>>,
    },
    /// Give the new key the old one's name.
    Finish {
        /// Which credential was rotated.
        credential: CredentialName,
        /// Whether to keep the old key under a name of its own.
        keep_old: bool,
        /// Who wants it, for the record.
        actor: Option<Actor>,
        /// How the names stand.
        reply: oneshot::Sender<Result<Finished, Failure>>,
    },
}
