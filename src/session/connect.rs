//! Getting a link: where to dial comes from the fleet, how many dial at once is bounded here.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{CONNECT_PER_HOP, HANDSHAKES, RETRY_HANDSHAKES};
use super::machine::Trouble;
use crate::domain::error_kind::Failure;
use crate::domain::host::HostSpec;
use crate::hypervisor::HypervisorError;
use crate::transport::{Connected, Connector, Target, TransportError};

/// Says where to dial and what to log in with. Asked anew for every attempt, so that an unlocked
/// profile or a newly pinned key counts at once.
#[async_trait]
pub trait TargetSource: Send + Sync + Debug {
    /// Resolves a definition; a locked profile is a failure of kind `Locked`.
    async fn target(&self, spec: &HostSpec) -> Result<Target, Failure>;
}

/// Places for connections being made, shared by all sessions.
#[derive(Debug)]
pub struct Handshakes {
    all: Arc<Semaphore>,
    retries: Arc<Semaphore>,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    _retry: Option<OwnedSemaphorePermit>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(HANDSHAKES)),
            retries: Arc::new(Semaphore::new(RETRY_HANDSHAKES)),
        }
    }
}

impl Handshakes {
    /// Waits for a place. Hosts that failed before wait among themselves first.
    pub async fn place(&self, attempt: u32) -> Place {
        let retry = if attempt > 1 {
            Arc::clone(&self.retries).acquire_owned().await.ok()
        } else {
            None
        };
        Place {
            _retry: retry,
            // The semaphore is never closed.
            _place: Arc::clone(&self.all).acquire_owned().await.ok(),
        }
    }
}

/// Dials one host once.
pub(super) async fn dial(
    targets: Arc<dyn TargetSource>,
    connector: Arc<dyn Connector>,
    handshakes: Arc<Handshakes>,
    spec: Arc<HostSpec>,
    attempt: u32,
) -> Result<Connected, Trouble> {
    let target = targets.target(&spec).await?;
    let _place = handshakes.place(attempt).await;
    let hops = u32::try_from(target.hops.len().max(1)).unwrap_or(1);
    let after = CONNECT_PER_HOP.saturating_mul(hops);
    match tokio::time::timeout(after, connector.connect(&target)).await {
        Ok(Ok(connected)) => Ok(connected),
        Ok(Err(error)) => Err(trouble(error)),
        Err(_) => Err(trouble(TransportError::Timeout {
            what: "connecting",
            after,
        })),
    }
}

/// Keeps the key question that a failure may hold.
pub(super) fn trouble(error: TransportError) -> Trouble {
    let cause = Failure::of(&error);
    match error {
        TransportError::HostKey(question) => Trouble {
            cause,
            question: Some(question),
        },
        TransportError::Resolve { .. }
        | TransportError::Dial { .. }
        | TransportError::Timeout { .. }
        | TransportError::Handshake { .. }
        | TransportError::KnownHosts { .. }
        | TransportError::Command(_)
        | TransportError::Auth { .. }
        | TransportError::Credential { .. }
        | TransportError::Lost { .. }
        | TransportError::Channel { .. }
        | TransportError::Protocol { .. } => cause.into(),
    }
}

/// Returns the failure of a link that has died, where that is what an error says.
pub(super) fn link_loss(error: &HypervisorError) -> Option<Failure> {
    matches!(
        error,
        HypervisorError::Transport(TransportError::Lost { .. })
    )
    .then(|| Failure::of(error))
}
