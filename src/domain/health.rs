//! How the relation with a host stands. A lost host is a state, never an error of the program.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error_kind::Failure;
use super::host_key::HostKeyQuestion;

/// The state of the relation with a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum HostHealth {
    /// A person switched it off, or nobody asked for it yet.
    Disabled,
    /// On the way: dialling, logging in, probing.
    Connecting {
        /// Attempts since it was last online, from 1.
        attempt: u32,
        /// Whether others are let first: this host has not been spoken to yet.
        queued: bool,
    },
    /// Answering.
    Online,
    /// Answering, but late or with failed polls.
    Degraded {
        /// Why.
        cause: Failure,
    },
    /// Not answering; trying again by itself.
    Offline {
        /// Why.
        cause: Failure,
        /// When the next attempt is due.
        next_try: Timestamp,
        /// Attempts so far.
        attempt: u32,
    },
    /// Stopped until a person acts: retrying would lock accounts or hide an attack.
    NeedsOperator {
        /// Why.
        cause: Failure,
        /// The key to decide on, when that is why.
        question: Option<Box<HostKeyQuestion>>,
    },
}

impl HostHealth {
    /// Returns the one word for columns and JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Disabled => "off",
            Self::Connecting { .. } => "connecting",
            Self::Online => "up",
            Self::Degraded { .. } => "slow",
            Self::Offline { .. } => "down",
            Self::NeedsOperator { .. } => "needs you",
        }
    }

    /// Returns true while the host answers.
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Online | Self::Degraded { .. })
    }

    /// Returns why it is not well, where it is not.
    pub const fn cause(&self) -> Option<&Failure> {
        match self {
            Self::Degraded { cause }
            | Self::Offline { cause, .. }
            | Self::NeedsOperator { cause, .. } => Some(cause),
            Self::Disabled | Self::Connecting { .. } | Self::Online => None,
        }
    }
}
