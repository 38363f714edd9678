//! Signals that mean "end": the first asks, in order; the second does not wait for anything.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::task::Tasks;
use crate::tui::terminal::is_lent;

/// Place of the interrupt among the signals that are listened to.
const INTERRUPT: usize = 0;

/// What signals have asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// Cancelled by the first.
    pub(super) end: CancellationToken,
    /// Cancelled by the second.
    pub(super) now: CancellationToken,
}

/// Listens until the tasks end.
pub(super) fn listen(tasks: &Tasks) -> Signals {
    let signals = Signals::default();
    let heard = signals.clone();
    let token = tasks.token().clone();
    drop(tasks.spawn("signals", async move {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let mut listeners: Vec<Signal> = kinds
            .into_iter()
            .filter_map(|kind| signal(kind).ok())
            .collect();
        for token_of in [&heard.end, &heard.now] {
            tokio::select! {
                () = any(&mut listeners) => token_of.cancel(),
                () = token.cancelled() => return,
            }
        }
    }));
    signals
}

async fn any(listeners: &mut [Signal]) {
    loop {
        let waiting = listeners
            .iter_mut()
            .map(|listener| Box::pin(listener.recv()));
        let waiting: Vec<_> = waiting.collect();
        if waiting.is_empty() {
            std::future::pending::<()>().await;
        }
        let (_, which, _) = futures_util::future::select_all(waiting).await;
        // An interrupt at the keyboard is for the program that has the terminal, not for us.
        if which != INTERRUPT || !is_lent() {
            return;
        }
    }
}
