//! What can go wrong with secrets, and what to do about each. No variant holds one.

use thiserror::Error;

use crate::domain::error_kind::{Classify, ErrorKind, Hint};

/// Why a secret could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VaultError {
    /// The identity is not at hand.
    #[error("the profile is locked")]
    Locked,
    /// The passphrase does not open the identity.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The blob was sealed for another profile or another credential.
    #[error("the sealed credential belongs to {found}, not to {expected}: it has been swapped")]
    Swapped {
        /// What it says it belongs to.
        found: String,
        /// Where it was found.
        expected: String,
    },
    /// The blob was sealed to another identity.
    #[error("the sealed credential was made for another profile's identity")]
    OtherIdentity,
    /// The blob is no sealed credential, or has been changed.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// What.
        what: &'static str,
        /// How that shows.
        why: String,
    },
    /// The blob is larger than anything the vault makes.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The ceiling in bytes.
        limit: usize,
    },
    /// Opening the identity would cost more than is reasonable.
    #[error("opening the identity asks for scrypt cost {found}, more than {limit}")]
    TooCostly {
        /// The cost it asks for (logarithm).
        found: u8,
        /// The ceiling.
        limit: u8,
    },
    /// There is not enough memory for the passphrase function.
    #[error("opening the identity takes {needed_mib} MiB of memory, {available_mib} MiB are free")]
    Memory {
        /// What it takes.
        needed_mib: u64,
        /// What there is.
        available_mib: u64,
    },
    /// The public half is not readable.
    #[error("the profile's recipient is not readable")]
    Recipient,
    /// Work on the blocking pool ended without an answer.
    #[error("the vault was interrupted")]
    Interrupted,
}

impl Classify for VaultError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked | Self::WrongPassphrase => ErrorKind::Locked,
            Self::EmptyPassphrase => ErrorKind::Usage,
            Self::Swapped { .. }
            | Self::OtherIdentity
            | Self::Damaged { .. }
            | Self::TooLarge { .. }
            | Self::TooCostly { .. }
            | Self::Recipient => ErrorKind::Store,
            Self::Memory { .. } => ErrorKind::Busy,
            Self::Interrupted => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Locked => {
                "unlock it: type the passphrase when asked, or give it with `--passphrase-fd N` or VMDECK_PASSPHRASE_FILE"
            }
            Self::WrongPassphrase => "try again; there is no way in without the passphrase",
            Self::EmptyPassphrase => "choose a passphrase of at least one character",
            Self::Swapped { .. } | Self::OtherIdentity => {
                "somebody has changed the database: add the credential again, and find out who"
            }
            Self::Damaged { .. } | Self::TooLarge { .. } => {
                "restore the profile from a backup, or add the credential again"
            }
            Self::TooCostly { .. } | Self::Recipient => "restore the profile from a backup",
            Self::Memory { .. } => "close something, then try again",
            Self::Interrupted => return None,
        };
        Some(Hint::new(text))
    }
}
