//! Tasks: the only place that calls `tokio::spawn`.
//!
//! Every task has a name, ends when its token is cancelled, and is waited for. A panic in one is
//! caught by tokio, logged here, and told to whoever holds the handle.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// A group of tasks that are cancelled and waited for together.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    /// Makes an empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a group that is cancelled with this one and waited for by it, but can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            tracker: self.tracker.clone(),
            token: self.token.child_token(),
        }
    }

    /// Returns the token that tells tasks to end.
    pub const fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Starts a task.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let span = tracing::debug_span!("task", name);
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        tokio::spawn(self.tracker.track_future(future.instrument(span)))
    }

    /// Tells every task of the group to end.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Waits until every task has ended, at most `grace`; returns false when some have not.
    pub async fn wait(&self, grace: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok()
    }
}

/// Waits for the answer of a thread outside the runtime (the database, the audit log); `None` when the
/// thread has ended without one.
///
/// Where test doubles are compiled in for tests (not for benchmarks), it waits on the blocking pool: tokio holds paused time still
/// while that works, so a test's clock does not run ahead of a real disk.
pub async fn answer_of<T: Send + 'static>(answer: tokio::sync::oneshot::Receiver<T>) -> Option<T> {
    #[cfg(any(test, all(feature = "testing", debug_assertions)))]
    {
        let waiting = tokio::task::spawn_blocking(move || answer.blocking_recv());
        waiting.await.ok()?.ok()
    }
    #[cfg(not(any(test, all(feature = "testing", debug_assertions))))]
    answer.await.ok()
}

/// Sends where nobody may be listening any more, and that is fine: the receiver has gone away on
/// purpose. Named, so that a dropped result is never an accident.
pub fn send_or_gone<T>(sender: tokio::sync::oneshot::Sender<T>, value: T) {
    drop(sender.send(value));
}
