//! The life of a session, as a pure function: `step(state, event) -> (state, effects)`.
//!
//! ```text
//!                 person                     connected             probed
//!   Disabled ----------------> Connecting(n) ---------> Probing(n) -------> Online <----> Degraded
//!      ^                        |    ^    |               |                 |  late or failed   |
//!      | stopped (from          |    |    |               |                 |  read / good read |
//!      |  anywhere)      failed |    |    | failed,       | failed          |                   |
//!                               v    |    | not for       v                 v                   v
//!                    Waiting(n) -----+    | retrying   (the same two)   link lost, or 3 failed reads
//!                        ^   retry due    v                                  |
//!                        |          NeedsOperator                            |
//!                        |               | person                            |
//!                        |               +-----> Connecting(1)               |
//!                        +---------------------------------------------------+
//! ```
//!
//! - `Waiting` tries again by itself; `NeedsOperator` (unknown or changed host key, refused login,
//!   locked profile, missing permission) never does: retrying locks accounts and hides attacks. Only
//!   [`SessionEvent::PersonActed`] or [`SessionEvent::Stopped`] leave it.
//! - A question about a host key that nobody answers in its time is over: the host stays in
//!   `NeedsOperator` with that reason and without the question, until a person acts.
//! - At most one read is in flight. A wish for another while one runs is remembered once and served
//!   after a short rest; a read that overruns postpones the next.
//! - An event that does not fit the state (the echo of something abandoned) changes nothing.

use crate::domain::error_kind::Failure;
use crate::domain::host_key::HostKeyQuestion;
use crate::domain::inventory::Scope;

use super::limits::{FAILED_READS, KEY_QUESTION};
use crate::domain::units::Age;

/// Where a session stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Nobody wants it.
    Disabled,
    /// Dialling and logging in.
    Connecting {
        /// Attempts since it last answered, from 1.
        attempt: u32,
    },
    /// Logged in; finding out what is there.
    Probing {
        /// As above.
        attempt: u32,
    },
    /// Answering.
    Online {
        /// Its reads.
        reads: Reads,
    },
    /// Answering late, or not every time.
    Degraded {
        /// Why.
        cause: Failure,
        /// Its reads.
        reads: Reads,
    },
    /// Not answering; trying again by itself.
    Waiting {
        /// Attempts so far.
        attempt: u32,
        /// Why.
        cause: Failure,
    },
    /// Stopped until a person acts.
    NeedsOperator {
        /// Why.
        cause: Failure,
        /// The key to decide on, when that is why and there is still time for it.
        question: Option<Box<HostKeyQuestion>>,
    },
}

/// The reads of a session that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reads {
    /// What is going on.
    pub activity: Activity,
    /// Whether the next one reads everything.
    pub full: bool,
    /// Failed ones in a row.
    pub failed: u32,
    /// Attempts it took to come up; 0 after the first good read.
    pub attempt: u32,
}

/// What the reads of a session are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Waiting for the tick.
    Idle,
    /// Waiting for the end of a short rest, because another read was asked for.
    Resting,
    /// One is running.
    InFlight {
        /// Whether another was asked for meanwhile.
        again: bool,
    },
}

/// A failure, with the key question it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What failed.
    pub cause: Failure,
    /// The key to decide on.
    pub question: Option<Box<HostKeyQuestion>>,
}

impl From<Failure> for Trouble {
    fn from(cause: Failure) -> Self {
        Self {
            cause,
            question: None,
        }
    }
}

/// Something that happened to a session.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// A person wants it now: connect, refresh, an answered question, an unlocked profile.
    PersonActed,
    /// It is no longer wanted.
    Stopped,
    /// The wait before the next attempt is over.
    RetryDue,
    /// Nobody has answered the question about the host's key in its time.
    QuestionDue,
    /// Dialled and logged in.
    Connected,
    /// Not dialled or not logged in.
    ConnectFailed(Trouble),
    /// The hypervisor answered.
    Probed {
        /// How much the first read is to read.
        first: Scope,
    },
    /// The hypervisor did not answer as it should.
    ProbeFailed(Trouble),
    /// The link has died.
    LinkLost(Failure),
    /// The time of the next read has come.
    ReadDue {
        /// Whether everything is to be read.
        full: bool,
    },
    /// A read is wanted now: an announcement, a verification, a changed list.
    ReadWanted {
        /// Whether everything is to be read.
        full: bool,
    },
    /// A read has ended well.
    ReadDone {
        /// Why it counts as late, where it does.
        late: Option<Failure>,
    },
    /// A read has failed on a link that seems to live.
    ReadFailed(Failure),
}

/// Something to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEffect {
    /// Dial and log in.
    Connect {
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Find out what is there.
    Probe,
    /// Open the announcements.
    OpenHints,
    /// Read.
    Read(Scope),
    /// Read later.
    ArmRead(Pause),
    /// Try to connect later.
    ArmRetry {
        /// Failed attempts so far.
        attempt: u32,
    },
    /// Give a person a while to answer the question about the host's key.
    ArmQuestion,
    /// Abandon whatever runs, end driver and link.
    Close,
    /// Tell the fleet how it stands.
    Publish,
}

/// How long until the next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The host's rhythm.
    Tick,
    /// A short rest.
    Rest,
}

/// What follows from an event.
pub type Step = (State, Vec<SessionEffect>);

/// Decides.
pub fn step(state: State, event: SessionEvent) -> Step {
    match event {
        SessionEvent::PersonActed => wake(state),
        SessionEvent::Stopped => stop(state),
        SessionEvent::RetryDue => retry(state),
        SessionEvent::QuestionDue => unanswered(state),
        SessionEvent::Connected => connected(state),
        SessionEvent::ConnectFailed(trouble) => {
            let State::Connecting { attempt } = state else {
                return unmoved(state);
            };
            give_up(attempt, trouble)
        }
        SessionEvent::Probed { first } => probed(state, first),
        SessionEvent::ProbeFailed(trouble) => {
            let State::Probing { attempt } = state else {
                return unmoved(state);
            };
            give_up(attempt, trouble)
        }
        SessionEvent::LinkLost(cause) => lost(state, cause),
        SessionEvent::ReadDue { full } => {
            with_reads(state, |health, reads| due(health, reads, full))
        }
        SessionEvent::ReadWanted { full } => {
            with_reads(state, |health, reads| wanted(health, reads, full))
        }
        SessionEvent::ReadDone { late } => {
            with_reads(state, |health, reads| done(health, reads, late))
        }
        SessionEvent::ReadFailed(cause) => {
            with_reads(state, |health, reads| failed(health, reads, cause))
        }
    }
}

/// Whether a session that is up answers well, and why not.
type Health = Option<Failure>;

const fn unmoved(state: State) -> Step {
    (state, Vec::new())
}

fn up(health: Health, reads: Reads) -> State {
    match health {
        None => State::Online { reads },
        Some(cause) => State::Degraded { cause, reads },
    }
}

fn with_reads(state: State, act: impl FnOnce(Health, Reads) -> Step) -> Step {
    match state {
        State::Online { reads } => act(None, reads),
        State::Degraded { cause, reads } => act(Some(cause), reads),
        other @ (State::Disabled
        | State::Connecting { .. }
        | State::Probing { .. }
        | State::Waiting { .. }
        | State::NeedsOperator { .. }) => unmoved(other),
    }
}

fn connect(attempt: u32) -> Step {
    let effects = vec![SessionEffect::Publish, SessionEffect::Connect { attempt }];
    (State::Connecting { attempt }, effects)
}

fn wake(state: State) -> Step {
    match state {
        State::Disabled | State::NeedsOperator { .. } => connect(1),
        State::Waiting { attempt, .. } => connect(attempt.saturating_add(1)),
        State::Online { reads } => wanted(None, reads, true),
        State::Degraded { cause, reads } => wanted(Some(cause), reads, true),
        busy @ (State::Connecting { .. } | State::Probing { .. }) => unmoved(busy),
    }
}

fn stop(state: State) -> Step {
    match state {
        State::Disabled => unmoved(state),
        State::Connecting { .. }
        | State::Probing { .. }
        | State::Online { .. }
        | State::Degraded { .. }
        | State::Waiting { .. }
        | State::NeedsOperator { .. } => (
            State::Disabled,
            vec![SessionEffect::Close, SessionEffect::Publish],
        ),
    }
}

fn retry(state: State) -> Step {
    let State::Waiting { attempt, .. } = state else {
        return unmoved(state);
    };
    connect(attempt.saturating_add(1))
}

fn connected(state: State) -> Step {
    let State::Connecting { attempt } = state else {
        return unmoved(state);
    };
    (State::Probing { attempt }, vec![SessionEffect::Probe])
}

fn probed(state: State, first: Scope) -> Step {
    let State::Probing { attempt } = state else {
        return unmoved(state);
    };
    // The first table should be there at once; the slow facts follow right behind it.
    let more = first == Scope::Fast;
    let reads = Reads {
        activity: Activity::InFlight { again: more },
        full: more,
        failed: 0,
        attempt,
    };
    let effects = vec![
        SessionEffect::Publish,
        SessionEffect::Read(first),
        SessionEffect::OpenHints,
    ];
    (State::Online { reads }, effects)
}

/// Ends the link after a failure: waits where trying again is sound, stops where it is not.
fn give_up(attempt: u32, trouble: Trouble) -> Step {
    if trouble.cause.kind.spec().session_retries {
        let state = State::Waiting {
            attempt,
            cause: trouble.cause,
        };
        let effects = vec![
            SessionEffect::Close,
            SessionEffect::ArmRetry { attempt },
            SessionEffect::Publish,
        ];
        (state, effects)
    } else {
        let mut effects = vec![SessionEffect::Close];
        if trouble.question.is_some() {
            effects.push(SessionEffect::ArmQuestion);
        }
        effects.push(SessionEffect::Publish);
        let state = State::NeedsOperator {
            cause: trouble.cause,
            question: trouble.question,
        };
        (state, effects)
    }
}

/// Takes silence for a no.
fn unanswered(state: State) -> Step {
    let State::NeedsOperator {
        cause,
        question: Some(_),
    } = state
    else {
        return unmoved(state);
    };
    let again = "refresh the host to be asked again";
    let hint = match cause.hint {
        Some(hint) => format!("{again}; {hint}"),
        None => again.to_owned(),
    };
    let message = format!(
        "{}; nobody answered within {}, which counts as no",
        cause.message,
        Age(KEY_QUESTION)
    );
    let state = State::NeedsOperator {
        cause: Failure::new(cause.kind, message).with_hint(hint),
        question: None,
    };
    (state, vec![SessionEffect::Publish])
}

fn lost(state: State, cause: Failure) -> Step {
    match state {
        State::Connecting { attempt } | State::Probing { attempt } => {
            give_up(attempt, cause.into())
        }
        State::Online { reads } | State::Degraded { reads, .. } => {
            give_up(reads.attempt, cause.into())
        }
        idle @ (State::Disabled | State::Waiting { .. } | State::NeedsOperator { .. }) => {
            unmoved(idle)
        }
    }
}

fn start(health: Health, mut reads: Reads) -> Step {
    let scope = if reads.full { Scope::Full } else { Scope::Fast };
    reads.full = false;
    reads.activity = Activity::InFlight { again: false };
    (up(health, reads), vec![SessionEffect::Read(scope)])
}

fn due(health: Health, mut reads: Reads, full: bool) -> Step {
    match reads.activity {
        Activity::Idle | Activity::Resting => {
            reads.full |= full;
            start(health, reads)
        }
        Activity::InFlight { .. } => unmoved(up(health, reads)),
    }
}

fn wanted(health: Health, mut reads: Reads, full: bool) -> Step {
    reads.full |= full;
    match reads.activity {
        Activity::Idle => start(health, reads),
        Activity::Resting => unmoved(up(health, reads)),
        Activity::InFlight { .. } => {
            reads.activity = Activity::InFlight { again: true };
            unmoved(up(health, reads))
        }
    }
}

/// Chooses what comes after a read that has ended.
const fn rest(reads: &mut Reads) -> SessionEffect {
    if matches!(reads.activity, Activity::InFlight { again: true }) {
        reads.activity = Activity::Resting;
        SessionEffect::ArmRead(Pause::Rest)
    } else {
        reads.activity = Activity::Idle;
        SessionEffect::ArmRead(Pause::Tick)
    }
}

fn done(health: Health, mut reads: Reads, late: Option<Failure>) -> Step {
    if !matches!(reads.activity, Activity::InFlight { .. }) {
        return unmoved(up(health, reads));
    }
    let mut effects = vec![rest(&mut reads)];
    reads.failed = 0;
    reads.attempt = 0;
    if health != late {
        effects.push(SessionEffect::Publish);
    }
    (up(late, reads), effects)
}

fn failed(health: Health, mut reads: Reads, cause: Failure) -> Step {
    if !matches!(reads.activity, Activity::InFlight { .. }) {
        return unmoved(up(health, reads));
    }
    reads.failed += 1;
    if reads.failed >= FAILED_READS {
        return give_up(reads.attempt, cause.into());
    }
    let effects = vec![rest(&mut reads), SessionEffect::Publish];
    (up(Some(cause), reads), effects)
}
