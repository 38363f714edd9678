//! The watch: one long script that tells of the whole host, so that a tick costs no process there.
//!
//! It is an extra. Everything works without it: the watch starts after the first list was read, nothing
//! waits for it, and when it cannot start, falls silent, or ends, the host is read by one process a
//! question until it is tried again, later every time. There is never more than one for a host: what
//! may have been left behind is ended first.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::leftover::Leftovers;
use super::mirror::{Mirror, Moved};
use super::parse::Answer;
use super::run::{End, Run};
use crate::domain::host::HostId;
use crate::hypervisor::{Hints, HypervisorError, PollHint};
use crate::transport::Transport;

/// Time between two sweeps of the script.
pub(super) const PERIOD: Duration = Duration::from_secs(2);

/// The script says at least so often that it lives.
pub(super) const BEAT: Duration = Duration::from_secs(5);

/// What the script may take for a beat: it arrives late when a sweep takes long.
const SLACK: Duration = Duration::from_secs(3);

/// One that lived so long was not a failure.
const GOOD_LIFE: Duration = Duration::from_secs(120);

/// Pause after the first failure; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// How the watch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not running, for no particular reason.
    Off,
    /// It tells of the host.
    Live,
    /// Not running, and why.
    Failed(String),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) mirror: Mirror,
    pub(super) standing: Standing,
    /// When the host was last changed by us: what was read before is not to be trusted.
    acted: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// The name of PowerShell there, once the host was read the other way: a watch before that would
    /// only delay the first picture.
    program: watch::Sender<Option<&'static str>>,
    /// Whether somebody drives the watch.
    taken: AtomicBool,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver's end of the watch.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) shared: Arc<Shared>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) host: HostId,
    pub(super) leftovers: Leftovers,
}

impl Watch {
    pub(super) fn new(transport: Arc<dyn Transport>, host: HostId, leftovers: Leftovers) -> Self {
        let state = State {
            mirror: Mirror::default(),
            standing: Standing::Off,
            acted: None,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                program: watch::Sender::new(None),
                taken: AtomicBool::new(false),
            }),
            transport,
            host,
            leftovers,
        }
    }

    /// Notes that the host was read the other way, by this program: now a watch may begin.
    pub(super) fn may_begin(&self, program: &'static str) {
        self.shared.program.send_if_modified(|known| {
            let is_news = *known != Some(program);
            *known = Some(program);
            is_news
        });
    }

    /// Notes that something was just done on the host.
    pub(super) fn acted(&self) {
        self.shared.state().acted = Some(Instant::now());
    }

    /// Returns what the list script would answer now; `None` when the host has to be asked. After an
    /// action it has to be, until a sweep has seen it: whoever waits for the effect would wait longer
    /// for the next sweep than a process takes.
    pub(super) fn answer(&self) -> Option<Answer> {
        let now = Instant::now();
        let state = self.shared.state();
        let is_fresh = state.mirror.is_fresh(now, BEAT + SLACK, state.acted);
        is_fresh.then(|| state.mirror.answer(now))
    }

    /// Waits until the host was read the other way; returns what PowerShell is called there.
    async fn program(&self) -> &'static str {
        let mut known = self.shared.program.subscribe();
        loop {
            if let Some(program) = *known.borrow_and_update() {
                return program;
            }
            if known.changed().await.is_err() {
                // Its sender lives as long as this does.
                return std::future::pending().await;
            }
        }
    }

    /// Says how the host is read as things stand.
    pub(super) fn channel(&self) -> String {
        match &self.shared.state().standing {
            Standing::Live => "a watch, one PowerShell process for the list".to_owned(),
            Standing::Off => "one PowerShell process per question".to_owned(),
            Standing::Failed(why) => {
                format!("one PowerShell process per question (no watch: {why})")
            }
        }
    }

    /// Returns the one who drives the watch; `None` while there is another. It starts nothing yet.
    pub(super) fn hints(&self) -> Option<Box<dyn Hints>> {
        if self.shared.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(Box::new(Loop {
            watch: self.clone(),
            at: At::Resting(Instant::now()),
            failures: 0,
        }))
    }
}

/// Drives the watch: whoever waits for its announcements keeps it going.
struct Loop {
    watch: Watch,
    at: At,
    /// Failures since it last went well.
    failures: u32,
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.watch.shared.state().standing = Standing::Off;
        self.watch.shared.taken.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop")
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

/// Where it stands. Whoever waits for the next announcement may give up at any moment, and go on later
/// where it was: what must not be done twice is kept as a future of its own.
enum At {
    Resting(Instant),
    Starting(BoxFuture<'static, Result<Run, String>>),
    Running(Box<Run>),
}

#[async_trait]
impl Hints for Loop {
    async fn next(&mut self) -> Result<PollHint, HypervisorError> {
        loop {
            match &mut self.at {
                At::Resting(until) => {
                    tokio::time::sleep_until(*until).await;
                    let program = self.watch.program().await;
                    let watch = self.watch.clone();
                    let starting = async move { watch.start(program).await };
                    self.at = At::Starting(starting.boxed());
                }
                At::Starting(starting) => match starting.await {
                    Ok(run) => self.at = At::Running(Box::new(run)),
                    Err(why) => self.rest(End::Failed(why), Duration::ZERO),
                },
                At::Running(run) => match self.watch.listen(run).await {
                    Ok(Moved::Nothing) => {}
                    Ok(Moved::Rows) => return Ok(PollHint::Changed),
                    Ok(Moved::List) => return Ok(PollHint::ListChanged),
                    Err(end) => {
                        let lived = run.began.elapsed();
                        self.rest(end, lived);
                    }
                },
            }
        }
    }
}

impl Loop {
    /// Says what comes after an end: at once when its time was up, else after a pause that grows.
    fn rest(&mut self, end: End, lived: Duration) {
        if lived >= GOOD_LIFE {
            self.failures = 0;
        }
        let pause = match end {
            // What it told stays good for a moment, so nobody notices.
            End::Life if lived >= GOOD_LIFE => Duration::ZERO,
            End::Life => self.note("it ended too early".to_owned()),
            End::Failed(why) => self.note(why),
        };
        self.at = At::Resting(Instant::now() + pause);
    }

    fn note(&mut self, why: String) -> Duration {
        tracing::info!(why, failures = self.failures, "the watch ended");
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        self.watch.shared.state().standing = Standing::Failed(why);
        pause.min(LONGEST_PAUSE)
    }
}
