//! Why a command did not reach a host. Context is data; the text is a fragment after "could not ...".

use std::time::Duration;

use thiserror::Error;

use crate::domain::error_kind::{Classify, ErrorKind, Hint};
use crate::domain::host_key::{HostKeyQuestion, HostKeyVerdict};
use crate::domain::text::RemoteText;
use crate::transport::quote::QuoteError;

/// A failure of the link or of a login.
#[derive(Debug, Clone, Error)]
pub enum TransportError {
    /// The name does not resolve.
    #[error("no address for {address}: {reason}")]
    Resolve {
        /// What was looked up.
        address: String,
        /// Why.
        reason: String,
    },
    /// TCP did not connect.
    #[error("no connection to {endpoint}: {reason}")]
    Dial {
        /// Where.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// It took too long.
    #[error("{what} took longer than {}", crate::domain::units::Age(*.after))]
    Timeout {
        /// What.
        what: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// What answers there does not speak SSH as we can.
    #[error("the SSH handshake with {endpoint} failed: {reason}")]
    Handshake {
        /// Where.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The host key is not trusted.
    #[error("{}", describe(.0))]
    HostKey(Box<HostKeyQuestion>),
    /// A file of known host keys cannot be read, so that no key can be judged.
    #[error("the known hosts in {path} cannot be read: {reason}")]
    KnownHosts {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The command cannot be put into words for the host.
    #[error(transparent)]
    Command(#[from] QuoteError),
    /// No credential was accepted.
    #[error("{endpoint} refused the login of {user} (tried {}; the server offers {})", list(.tried), list(.offered))]
    Auth {
        /// Where.
        endpoint: String,
        /// The account.
        user: String,
        /// What was tried, with the result of each.
        tried: Vec<String>,
        /// Methods the server would take.
        offered: Vec<String>,
    },
    /// A credential cannot be used at all.
    #[error("credential {origin} cannot be used: {reason}")]
    Credential {
        /// Where it came from.
        origin: String,
        /// Why.
        reason: String,
    },
    /// The link died.
    #[error("the connection was lost: {reason}")]
    Lost {
        /// Why.
        reason: String,
    },
    /// The server would not open another channel.
    #[error("the server refused another session on this connection: {reason}")]
    Channel {
        /// Why.
        reason: String,
    },
    /// The other side broke the rules of a kept process.
    #[error("{reason}")]
    Protocol {
        /// How.
        reason: String,
        /// What it said, where that helps.
        said: RemoteText,
    },
}

fn list(words: &[String]) -> String {
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}

fn describe(question: &HostKeyQuestion) -> String {
    let HostKeyQuestion {
        label,
        key,
        verdict,
        ..
    } = question;
    match verdict {
        HostKeyVerdict::Known => format!("the host key of {label} is known"),
        HostKeyVerdict::Unknown => format!("the host key of {label} is unknown: {key}"),
        HostKeyVerdict::Changed { known } => {
            let known: Vec<String> = known.iter().map(|at| at.key.to_string()).collect();
            format!(
                "THE HOST KEY OF {label} HAS CHANGED: it shows {key}, known is {}",
                known.join(", ")
            )
        }
        HostKeyVerdict::Revoked { at } => {
            format!(
                "the host key of {label} is marked as revoked in {}: {key}",
                at.source
            )
        }
    }
}

impl Classify for TransportError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Resolve { .. }
            | Self::Dial { .. }
            | Self::Handshake { .. }
            | Self::Lost { .. }
            | Self::Channel { .. } => ErrorKind::Unreachable,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::HostKey(_) | Self::KnownHosts { .. } => ErrorKind::HostKey,
            Self::Command(_) => ErrorKind::Refused,
            Self::Auth { .. } | Self::Credential { .. } => ErrorKind::Auth,
            Self::Protocol { .. } => ErrorKind::Protocol,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::HostKey(question) => Some(Hint::new(match question.verdict {
                HostKeyVerdict::Unknown | HostKeyVerdict::Known => {
                    "compare the fingerprint with the host's own (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), then run `vmdeck host trust NAME`"
                }
                HostKeyVerdict::Changed { .. } => {
                    "somebody may be in between; if the host was set up anew, check its fingerprint there and run `vmdeck host trust NAME --replace`"
                }
                HostKeyVerdict::Revoked { .. } => "do not log in; ask who revoked this key",
            })),
            Self::KnownHosts { .. } => Some(Hint::new(
                "make the file readable, or move it away; a host key is never judged by half of what is known",
            )),
            Self::Auth { .. } => Some(Hint::new(
                "add the public key to the account's authorized_keys, or choose another credential with `vmdeck host edit NAME`",
            )),
            Self::Credential { .. } => Some(Hint::new(
                "check the key with `vmdeck credential list`, or add it again",
            )),
            Self::Resolve { .. } | Self::Dial { .. } => Some(Hint::new(
                "check the address and port with `vmdeck host show NAME`",
            )),
            Self::Timeout { .. }
            | Self::Handshake { .. }
            | Self::Lost { .. }
            | Self::Channel { .. }
            | Self::Protocol { .. } => {
                Some(Hint::new("`vmdeck host doctor NAME` shows where it stops"))
            }
            Self::Command(_) => None,
        }
    }
}
