//! What can go wrong in making or driving a simulated fleet.

use thiserror::Error;

use crate::domain::error_kind::{Classify, ErrorKind, Hint};

/// A simulated fleet could not be made or driven.
#[derive(Debug, Error)]
pub enum SimError {
    /// The scenario's TOML does not read.
    #[error("the scenario does not read")]
    Syntax(#[source] Box<toml::de::Error>),
    /// The scenario says something that cannot be.
    #[error("the scenario is wrong at {at}: {what}")]
    Scenario {
        /// The host or VM it is about.
        at: String,
        /// What is wrong.
        what: String,
    },
    /// A port on the loopback could not be opened.
    #[error("could not listen on {address} for host {host}")]
    Listen {
        /// The simulated host.
        host: String,
        /// The address asked for.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A key could not be made.
    #[error("could not make an SSH key")]
    Key(#[source] russh::keys::ssh_key::Error),
    /// There is no such host or VM.
    #[error("the simulated fleet has no {what} `{name}`")]
    NotFound {
        /// `host` or `VM`.
        what: &'static str,
        /// The name asked for.
        name: String,
    },
}

impl Classify for SimError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax(_) | Self::Scenario { .. } => ErrorKind::Config,
            Self::Listen { .. } => ErrorKind::Unreachable,
            Self::Key(_) => ErrorKind::Internal,
            Self::NotFound { .. } => ErrorKind::NotFound,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Syntax(_) | Self::Scenario { .. } => Some(Hint::new(
                "compare the scenario with docs/simulator.md, which lists every key",
            )),
            Self::Listen { .. } => Some(Hint::new(
                "check that the loopback interface is up and that ports are free",
            )),
            Self::Key(_) | Self::NotFound { .. } => None,
        }
    }
}
