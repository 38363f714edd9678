//! The signals that end the dashboard in order, and the one that says that the terminal has another size. Decides
//! nothing but what is not meant for us.

use std::io;

use super::terminal::is_lent;

/// The signals that end the program in order, with the terminal given back.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    pub(super) async fn any(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => return,
                // One at the keyboard is for the program that has the terminal.
                _ = self.interrupt.recv() => if !is_lent() {
                    return;
                },
            }
        }
    }
}

/// The changes of the terminal's size. The library that reads keys reports them too, but not while it waits for the end of
/// a sequence that has begun: after alt-[ that is the next key.
#[cfg(unix)]
pub(super) struct Resizes(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Resizes {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::window_change()).map(Self)
    }

    /// Waits for the next change, and returns the columns and rows that there are then.
    pub(super) async fn next(&mut self) -> io::Result<(u16, u16)> {
        self.0.recv().await;
        crossterm::terminal::size()
    }
}

/// There the size comes among the keys.
#[cfg(not(unix))]
pub(super) struct Resizes;

#[cfg(not(unix))]
impl Resizes {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn next(&mut self) -> io::Result<(u16, u16)> {
        std::future::pending().await
    }
}

#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for one of them.
    pub(super) async fn any(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}
