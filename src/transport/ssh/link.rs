//! `Link`: the live connection, its end, and the count of its session channels.
//!
//! sshd allows a number of sessions on one connection (`MaxSessions`, 10 by default) and only takes one
//! back when the process in it has ended. So at most [`SESSION_SLOTS`] are used at once, and those whose
//! process outlived its caller are counted as leaked until they end; at [`MAX_LEAKED`] the link ends
//! itself with that reason, and a new connection starts with all of them free. 6 + 3 stays below 10.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelOpenFailure, Disconnect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::host_key::{Client, Ending, explain};
use crate::domain::graphics::DisplayPlace;
use crate::task::Tasks;
use crate::transport::TransportError;

/// Session channels used at once; more callers wait. One poll, one for events, four actions.
pub(super) const SESSION_SLOTS: usize = 6;

/// Sessions that may linger on the host after their caller has gone before the link is replaced.
pub(super) const MAX_LEAKED: usize = 3;

/// Pauses before an open that was refused is tried again. sshd counts a session until it has gone once
/// around its loop after the close, so six closes and six opens in one packet look like twelve sessions.
const REOPEN_AFTER: [Duration; 3] = [
    Duration::from_millis(10),
    Duration::from_millis(40),
    Duration::from_millis(150),
];

/// How long a farewell may take before the stream is cut.
const FAREWELL: Duration = Duration::from_secs(1);

/// One connection of a chain: its handle, and the knife for its stream.
pub(super) struct Hop {
    pub(super) handle: Handle<Client>,
    pub(super) cut: CancellationToken,
    pub(super) ending: Ending,
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop").finish_non_exhaustive()
    }
}

impl Hop {
    async fn farewell(&self) {
        let goodbye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        // A connection that cannot even take a farewell is cut below.
        drop(tokio::time::timeout(FAREWELL, goodbye).await);
        drop(tokio::time::timeout(FAREWELL, self.ending.wait()).await);
        self.cut.cancel();
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

/// A permit to use one session channel.
pub(super) type Slot = OwnedSemaphorePermit;

/// The connection to the host, and those to the stops before it.
#[derive(Debug)]
pub(super) struct Link {
    host: Hop,
    stops: Vec<Hop>,
    /// Set by us or by the connection's own end, whichever comes first.
    ending: Ending,
    gone: CancellationToken,
    slots: Arc<Semaphore>,
    open: AtomicUsize,
    leaked: AtomicUsize,
    tasks: Tasks,
}

impl Link {
    /// Takes over connections that are logged in, and starts the task that ends them.
    pub(super) fn new(host: Hop, stops: Vec<Hop>) -> Arc<Self> {
        let link = Arc::new(Self {
            ending: host.ending.clone(),
            host,
            stops,
            gone: CancellationToken::new(),
            slots: Arc::new(Semaphore::new(SESSION_SLOTS)),
            open: AtomicUsize::new(0),
            leaked: AtomicUsize::new(0),
            tasks: Tasks::new(),
        });
        drop(link.tasks.spawn("ssh keeper", Arc::clone(&link).keep()));
        link
    }

    /// Waits for the end, then closes what is left, the host before the stops on the way to it.
    async fn keep(self: Arc<Self>) {
        let reason = self.ending.wait().await;
        tracing::debug!(%reason, "connection ended");
        self.host.farewell().await;
        for stop in self.stops.iter().rev() {
            stop.farewell().await;
        }
        self.gone.cancel();
    }

    pub(super) const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Ends the link; the first reason stays.
    pub(super) fn end(&self, reason: &str) {
        self.ending.set(reason);
    }

    pub(super) async fn wait_closed(&self) -> TransportError {
        TransportError::Lost {
            reason: self.ending.wait().await.as_ref().to_owned(),
        }
    }

    /// The error of a call whose channel has died: the link's end, which follows at once.
    pub(super) async fn cut_off(&self) -> TransportError {
        tokio::time::timeout(FAREWELL, self.wait_closed())
            .await
            .unwrap_or_else(|_elapsed| self.lost())
    }

    /// Waits until the connections are closed.
    pub(super) async fn wait_gone(&self) {
        self.gone.cancelled().await;
    }

    /// The error of a call that the end of the link has caught.
    pub(super) fn lost(&self) -> TransportError {
        TransportError::Lost {
            reason: self.ending.reason().map_or_else(
                || "the task of the call died".to_owned(),
                |why| why.as_ref().to_owned(),
            ),
        }
    }

    /// Waits for a free session channel.
    pub(super) async fn slot(
        &self,
        deadline: Instant,
        after: Duration,
    ) -> Result<Slot, TransportError> {
        let free = Arc::clone(&self.slots).acquire_owned();
        tokio::select! {
            biased;
            error = self.wait_closed() => Err(error),
            slot = free => slot.map_err(|_closed| self.lost()),
            () = tokio::time::sleep_until(deadline) => Err(TransportError::Timeout {
                what: "waiting for a free session on the connection",
                after,
            }),
        }
    }

    /// Opens a session channel. Must run in a task of its own: giving up half-way would lose the channel.
    pub(super) async fn open_session(&self) -> Result<Channel<Msg>, TransportError> {
        let mut retries = REOPEN_AFTER.into_iter();
        let opened = loop {
            let opened = tokio::select! {
                biased;
                error = self.wait_closed() => return Err(error),
                opened = self.host.handle.channel_open_session() => opened,
            };
            let refused = matches!(opened, Err(russh::Error::ChannelOpenFailure(_)));
            match retries.next() {
                Some(pause) if refused => tokio::time::sleep(pause).await,
                _ => break opened,
            }
        };
        match opened {
            Ok(channel) => {
                self.open.fetch_add(1, Ordering::SeqCst);
                Ok(channel)
            }
            Err(russh::Error::ChannelOpenFailure(reason)) => {
                let error = TransportError::Channel {
                    reason: format!("{reason:?}; its MaxSessions may be reached"),
                };
                let open = self.open.load(Ordering::SeqCst);
                if open == 0 {
                    // Nothing of ours is open, so what is in the way will not go away by waiting.
                    self.end(&error.to_string());
                }
                Err(error)
            }
            Err(error) => Err(TransportError::Lost {
                reason: self
                    .ending
                    .reason()
                    .map_or_else(|| explain(&error), |reason| reason.as_ref().to_owned()),
            }),
        }
    }

    /// Opens a channel to a port or a socket of the host, which is no session and needs no slot. Must run in
    /// a task of its own, like [`Self::open_session`].
    pub(super) async fn open_forward(
        &self,
        to: &DisplayPlace,
    ) -> Result<Channel<Msg>, TransportError> {
        let opening = async {
            match to {
                DisplayPlace::Tcp { address, port } => {
                    let port = u32::from(*port);
                    self.host
                        .handle
                        .channel_open_direct_tcpip(address.as_str(), port, "127.0.0.1", 0)
                        .await
                }
                DisplayPlace::Socket(path) => {
                    self.host
                        .handle
                        .channel_open_direct_streamlocal(path.as_str())
                        .await
                }
            }
        };
        let opened = tokio::select! {
            biased;
            error = self.wait_closed() => return Err(error),
            opened = opening => opened,
        };
        opened.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                TransportError::Channel {
                    reason:
                        "its SSH server forwards nothing for this account (AllowTcpForwarding, \
                             AllowStreamLocalForwarding)"
                            .to_owned(),
                }
            }
            russh::Error::ChannelOpenFailure(_) => TransportError::Channel {
                reason: "nothing listens there on the host".to_owned(),
            },
            error => TransportError::Lost {
                reason: self
                    .ending
                    .reason()
                    .map_or_else(|| explain(&error), |reason| reason.as_ref().to_owned()),
            },
        })
    }

    /// Records that a channel of [`Self::open_session`] is closed.
    pub(super) fn session_closed(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Counts a session whose process has outlived its caller.
    pub(super) fn leak(&self) {
        let leaked = self.leaked.fetch_add(1, Ordering::SeqCst) + 1;
        if leaked >= MAX_LEAKED {
            self.end(&format!(
                "{leaked} commands on the host did not end in their time, and hold its sessions"
            ));
        }
    }

    /// Takes one back whose process has ended after all.
    pub(super) fn unleak(&self) {
        self.leaked.fetch_sub(1, Ordering::SeqCst);
    }
}
