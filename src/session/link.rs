//! What is done over a live link beside reading it: actions and details, as tasks of their own on
//! channels of their own, so that a slow shutdown never holds up the list.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::command_log::CHANGES;
use super::limits::{CLOSE, DETAIL, DETAILS_AT_ONCE, STORES};
use crate::domain::capability::Capabilities;
use crate::domain::definition::DefinitionText;
use crate::domain::edit::VmSettings;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::snapshot::VmSnapshot;
use crate::domain::store::HostStores;
use crate::domain::vm::{VmDetail, VmId};
use crate::hypervisor::{Hypervisor, HypervisorError, ProgressSink};
use crate::task::{Tasks, send_or_gone};
use crate::transport::Transport;

/// Why the commands of an action did not end well.
#[derive(Debug, Clone, Error)]
pub enum PerformError {
    /// Nothing was sent.
    #[error("{0}")]
    NotSent(Failure),
    /// The driver says how it failed.
    #[error(transparent)]
    Driver(#[from] HypervisorError),
    /// It was sent, and then nobody could say any more.
    #[error("{0}")]
    Lost(Failure),
}

/// A live link with its driver.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) driver: Option<Arc<dyn Hypervisor>>,
    /// What was found when it was probed, as it was last told.
    pub(super) capabilities: Option<Arc<Capabilities>>,
    /// Cancelled when the link is given up; what still runs over it ends as lost.
    token: CancellationToken,
    details: Arc<Semaphore>,
    tasks: Tasks,
}

impl Link {
    pub(super) fn new(transport: Arc<dyn Transport>, tasks: &Tasks) -> Self {
        Self {
            transport,
            driver: None,
            capabilities: None,
            token: CancellationToken::new(),
            details: Arc::new(Semaphore::new(DETAILS_AT_ONCE)),
            tasks: tasks.clone(),
        }
    }

    /// Returns what the host can do when it is read in another way than was last told.
    pub(super) fn rerouted(&mut self) -> Option<Arc<Capabilities>> {
        let channel = self.driver.as_ref()?.channel()?;
        let told = self.capabilities.as_mut()?;
        if told.channel == channel {
            return None;
        }
        Arc::make_mut(told).channel = channel;
        Some(Arc::clone(told))
    }

    /// Runs an action.
    pub(super) fn perform(
        &self,
        commands: Vec<RemoteCommand>,
        within: Duration,
        progress: ProgressSink,
        reply: oneshot::Sender<Result<(), PerformError>>,
    ) {
        let Some(driver) = self.driver.clone() else {
            return send_or_gone(reply, Err(PerformError::NotSent(not_connected())));
        };
        let token = self.token.clone();
        self.tasks.spawn("perform", async move {
            let acting = CHANGES.scope(true, driver.perform(&commands, &progress));
            let result = tokio::select! {
                biased;
                result = tokio::time::timeout(within, acting) => match result {
                    Ok(result) => result.map_err(PerformError::from),
                    Err(_) => Err(PerformError::Lost(too_late("the hypervisor's answer", within))),
                },
                () = token.cancelled() => Err(PerformError::Lost(Failure::new(
                    ErrorKind::Unreachable,
                    "the connection was lost while the command ran",
                ))),
            };
            send_or_gone(reply, result);
        });
    }

    /// Reads everything about one VM.
    pub(super) fn detail(&self, vm: VmId, reply: oneshot::Sender<Result<Arc<VmDetail>, Failure>>) {
        self.ask(("the details", DETAIL), reply, |driver| async move {
            driver.detail(&vm).await.map(Arc::new)
        });
    }

    /// Reads the snapshots of one VM.
    pub(super) fn snapshots(
        &self,
        vm: VmId,
        reply: oneshot::Sender<Result<Arc<[VmSnapshot]>, Failure>>,
    ) {
        self.ask(("the snapshots", DETAIL), reply, |driver| async move {
            driver.snapshots(&vm).await.map(Arc::from)
        });
    }

    /// Reads what one VM is set up with.
    pub(super) fn settings(&self, vm: VmId, reply: oneshot::Sender<Result<VmSettings, Failure>>) {
        self.ask(("the settings", DETAIL), reply, |driver| async move {
            driver.settings(&vm).await
        });
    }

    /// Reads the definition of one VM.
    pub(super) fn definition(
        &self,
        vm: VmId,
        reply: oneshot::Sender<Result<DefinitionText, Failure>>,
    ) {
        self.ask(("the definition", DETAIL), reply, |driver| async move {
            driver.definition(&vm).await
        });
    }

    /// Reads storage and networks.
    pub(super) fn stores(&self, reply: oneshot::Sender<Result<Arc<HostStores>, Failure>>) {
        let what = ("storage and networks", STORES);
        self.ask(what, reply, |driver| async move {
            driver.stores().await.map(Arc::new)
        });
    }

    /// Asks the driver something; `what` is what takes too long when it takes longer than the time beside it.
    fn ask<T, F>(
        &self,
        (what, within): (&'static str, Duration),
        mut reply: oneshot::Sender<Result<T, Failure>>,
        question: impl FnOnce(Arc<dyn Hypervisor>) -> F + Send + 'static,
    ) where
        T: Send + 'static,
        F: Future<Output = Result<T, HypervisorError>> + Send,
    {
        let Some(driver) = self.driver.clone() else {
            return send_or_gone(reply, Err(not_connected()));
        };
        let (token, details) = (self.token.clone(), Arc::clone(&self.details));
        self.tasks.spawn("detail", async move {
            let reading = async {
                let _place = details.acquire().await;
                question(driver).await
            };
            let result = tokio::select! {
                biased;
                result = tokio::time::timeout(within, reading) => match result {
                    Ok(answer) => answer.map_err(|error| Failure::of(&error)),
                    Err(_) => Err(too_late(&format!("reading {what}"), within)),
                },
                () = token.cancelled() => Err(not_connected()),
                // Nobody waits any more: the next in line need not wait for this one.
                () = reply.closed() => return,
            };
            send_or_gone(reply, result);
        });
    }

    /// Gives the link up: what runs over it ends as lost, driver and transport are closed in order.
    pub(super) fn close(self) {
        let Self {
            transport,
            driver,
            token,
            tasks,
            ..
        } = self;
        token.cancel();
        tasks.spawn("close link", async move {
            if let Some(driver) = driver
                && tokio::time::timeout(CLOSE, driver.close()).await.is_err()
            {
                tracing::warn!("the driver did not close in time");
            }
            if tokio::time::timeout(CLOSE, transport.close())
                .await
                .is_err()
            {
                tracing::warn!("the link did not close in time");
            }
        });
    }
}

/// Returns the refusal of a host that has no link.
pub(super) fn not_connected() -> Failure {
    Failure::new(ErrorKind::Unreachable, "the host is not connected")
        .with_hint("wait until it is up, or refresh it")
}

/// Returns the failure of something that took too long.
pub(super) fn too_late(what: &str, after: Duration) -> Failure {
    let after = crate::domain::units::Age(after);
    Failure::new(
        ErrorKind::Timeout,
        format!("{what} took longer than {after}"),
    )
}
