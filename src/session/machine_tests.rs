//! The table of (state, event) -> (state, effects), and what must hold for every sequence.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks at the few variants it is about"
)]

use proptest::prelude::*;

use super::machine::*;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host_key::{HostKey, HostKeyQuestion, HostKeyVerdict};
use crate::domain::inventory::Scope;

fn down() -> Failure {
    Failure::new(ErrorKind::Unreachable, "no connection")
}

fn refused() -> Failure {
    Failure::new(ErrorKind::Auth, "login refused")
}

fn late() -> Failure {
    Failure::new(ErrorKind::Timeout, "reading took 4s")
}

fn reads(activity: Activity) -> Reads {
    Reads {
        activity,
        full: false,
        failed: 0,
        attempt: 0,
    }
}

fn online(activity: Activity) -> State {
    State::Online {
        reads: reads(activity),
    }
}

fn waiting(attempt: u32) -> State {
    State::Waiting {
        attempt,
        cause: down(),
    }
}

fn stopped() -> State {
    State::NeedsOperator {
        cause: refused(),
        question: None,
    }
}

const BUSY: Activity = Activity::InFlight { again: false };
const TICK: SessionEffect = SessionEffect::ArmRead(Pause::Tick);
const FAST: SessionEffect = SessionEffect::Read(Scope::Fast);

fn check(cases: Vec<(State, SessionEvent, State, Vec<SessionEffect>)>) {
    for (from, event, to, effects) in cases {
        let label = format!("{from:?} on {event:?}");
        assert_eq!(step(from, event), (to, effects), "{label}");
    }
}

fn dial(attempt: u32) -> Vec<SessionEffect> {
    vec![SessionEffect::Publish, SessionEffect::Connect { attempt }]
}

fn wait_again(attempt: u32) -> Vec<SessionEffect> {
    vec![
        SessionEffect::Close,
        SessionEffect::ArmRetry { attempt },
        SessionEffect::Publish,
    ]
}

fn close() -> Vec<SessionEffect> {
    vec![SessionEffect::Close, SessionEffect::Publish]
}

#[test]
fn coming_up() {
    use SessionEvent as E;
    check(vec![
        (
            State::Disabled,
            E::PersonActed,
            State::Connecting { attempt: 1 },
            dial(1),
        ),
        (State::Disabled, E::RetryDue, State::Disabled, vec![]),
        (
            State::Connecting { attempt: 3 },
            E::Connected,
            State::Probing { attempt: 3 },
            vec![SessionEffect::Probe],
        ),
        (
            State::Connecting { attempt: 3 },
            E::ConnectFailed(down().into()),
            waiting(3),
            wait_again(3),
        ),
        (
            State::Connecting { attempt: 1 },
            E::ConnectFailed(refused().into()),
            stopped(),
            close(),
        ),
        (
            State::Probing { attempt: 2 },
            E::Probed { first: Scope::Fast },
            State::Online {
                reads: Reads {
                    activity: Activity::InFlight { again: true },
                    full: true,
                    failed: 0,
                    attempt: 2,
                },
            },
            vec![SessionEffect::Publish, FAST, SessionEffect::OpenHints],
        ),
        (
            State::Probing { attempt: 1 },
            E::ProbeFailed(Failure::new(ErrorKind::Permission, "no access").into()),
            State::NeedsOperator {
                cause: Failure::new(ErrorKind::Permission, "no access"),
                question: None,
            },
            close(),
        ),
        (
            State::Probing { attempt: 4 },
            E::LinkLost(down()),
            waiting(4),
            wait_again(4),
        ),
        (
            waiting(4),
            E::RetryDue,
            State::Connecting { attempt: 5 },
            dial(5),
        ),
        (
            waiting(4),
            E::PersonActed,
            State::Connecting { attempt: 5 },
            dial(5),
        ),
        (
            stopped(),
            E::PersonActed,
            State::Connecting { attempt: 1 },
            dial(1),
        ),
        (stopped(), E::RetryDue, stopped(), vec![]),
        (stopped(), E::Connected, stopped(), vec![]),
        (stopped(), E::LinkLost(down()), stopped(), vec![]),
        (stopped(), E::Stopped, State::Disabled, close()),
        (online(BUSY), E::Stopped, State::Disabled, close()),
    ]);
}

fn asking(question: &HostKeyQuestion) -> State {
    State::NeedsOperator {
        cause: unknown_key(),
        question: Some(Box::new(question.clone())),
    }
}

fn unknown_key() -> Failure {
    Failure::new(ErrorKind::HostKey, "the key is unknown").with_hint("compare it")
}

fn key_question() -> HostKeyQuestion {
    HostKeyQuestion {
        label: "h".into(),
        dialled: "h:22".into(),
        key: HostKey {
            algorithm: "ssh-ed25519".into(),
            base64: "AAAA".into(),
            fingerprint: "SHA256:x".into(),
        },
        verdict: HostKeyVerdict::Unknown,
    }
}

#[test]
fn a_key_question_waits_for_a_person_and_not_for_ever() {
    use SessionEvent as E;
    let question = key_question();
    let over = State::NeedsOperator {
        cause: Failure::new(
            ErrorKind::HostKey,
            "the key is unknown; nobody answered within 2m, which counts as no",
        )
        .with_hint("refresh the host to be asked again; compare it"),
        question: None,
    };
    let failed = E::ConnectFailed(Trouble {
        cause: unknown_key(),
        question: Some(Box::new(question.clone())),
    });
    let armed = vec![
        SessionEffect::Close,
        SessionEffect::ArmQuestion,
        SessionEffect::Publish,
    ];
    check(vec![
        (
            State::Connecting { attempt: 1 },
            failed,
            asking(&question),
            armed,
        ),
        (
            asking(&question),
            E::QuestionDue,
            over.clone(),
            vec![SessionEffect::Publish],
        ),
        (over.clone(), E::QuestionDue, over.clone(), vec![]),
        (
            over,
            E::PersonActed,
            State::Connecting { attempt: 1 },
            dial(1),
        ),
        (stopped(), E::QuestionDue, stopped(), vec![]),
        (online(BUSY), E::QuestionDue, online(BUSY), vec![]),
    ]);
}

#[test]
fn reading() {
    use SessionEvent as E;
    let again = Activity::InFlight { again: true };
    let full = |activity| State::Online {
        reads: Reads {
            full: true,
            ..reads(activity)
        },
    };
    check(vec![
        (
            online(Activity::Idle),
            E::ReadDue { full: false },
            online(BUSY),
            vec![FAST],
        ),
        (
            online(Activity::Idle),
            E::ReadDue { full: true },
            online(BUSY),
            vec![SessionEffect::Read(Scope::Full)],
        ),
        (
            online(Activity::Idle),
            E::ReadWanted { full: false },
            online(BUSY),
            vec![FAST],
        ),
        (
            online(BUSY),
            E::ReadDue { full: false },
            online(BUSY),
            vec![],
        ),
        (
            online(BUSY),
            E::ReadWanted { full: false },
            online(again),
            vec![],
        ),
        (
            online(again),
            E::ReadWanted { full: true },
            full(again),
            vec![],
        ),
        (
            online(again),
            E::ReadDone { late: None },
            online(Activity::Resting),
            vec![SessionEffect::ArmRead(Pause::Rest)],
        ),
        (
            online(Activity::Resting),
            E::ReadWanted { full: false },
            online(Activity::Resting),
            vec![],
        ),
        (
            online(Activity::Resting),
            E::ReadDue { full: false },
            online(BUSY),
            vec![FAST],
        ),
        (
            online(BUSY),
            E::ReadDone { late: None },
            online(Activity::Idle),
            vec![TICK],
        ),
        (
            online(Activity::Idle),
            E::ReadDone { late: Some(late()) },
            online(Activity::Idle),
            vec![],
        ),
        (
            online(Activity::Idle),
            E::PersonActed,
            online(BUSY),
            vec![SessionEffect::Read(Scope::Full)],
        ),
    ]);
}

#[test]
fn degrading_and_recovering() {
    use SessionEvent as E;
    let slow = |cause, activity, failed| State::Degraded {
        cause,
        reads: Reads {
            failed,
            ..reads(activity)
        },
    };
    check(vec![
        (
            online(BUSY),
            E::ReadDone { late: Some(late()) },
            slow(late(), Activity::Idle, 0),
            vec![TICK, SessionEffect::Publish],
        ),
        (
            slow(late(), BUSY, 0),
            E::ReadDone { late: None },
            online(Activity::Idle),
            vec![TICK, SessionEffect::Publish],
        ),
        (
            slow(late(), BUSY, 0),
            E::ReadDone { late: Some(late()) },
            slow(late(), Activity::Idle, 0),
            vec![TICK],
        ),
        (
            online(BUSY),
            E::ReadFailed(down()),
            slow(down(), Activity::Idle, 1),
            vec![TICK, SessionEffect::Publish],
        ),
        (
            slow(down(), BUSY, 2),
            E::ReadFailed(down()),
            waiting(0),
            wait_again(0),
        ),
        (
            slow(down(), BUSY, 2),
            E::ReadFailed(refused()),
            stopped(),
            close(),
        ),
        (
            online(Activity::Idle),
            E::LinkLost(down()),
            waiting(0),
            wait_again(0),
        ),
    ]);
}

#[test]
fn a_host_that_dies_before_its_first_read_keeps_counting_attempts() {
    let (state, _) = step(
        State::Probing { attempt: 6 },
        SessionEvent::Probed { first: Scope::Full },
    );
    let (state, _) = step(state, SessionEvent::LinkLost(down()));
    assert_eq!(state, waiting(6));
}

fn any_event() -> impl Strategy<Value = SessionEvent> {
    use SessionEvent as E;
    prop_oneof![
        Just(E::PersonActed),
        Just(E::RetryDue),
        Just(E::QuestionDue),
        Just(E::Connected),
        prop_oneof![Just(down()), Just(refused())].prop_map(|cause| E::ConnectFailed(cause.into())),
        prop_oneof![Just(Scope::Fast), Just(Scope::Full)].prop_map(|first| E::Probed { first }),
        prop_oneof![Just(down()), Just(refused())].prop_map(|cause| E::ProbeFailed(cause.into())),
        Just(E::LinkLost(down())),
        any::<bool>().prop_map(|full| E::ReadDue { full }),
        any::<bool>().prop_map(|full| E::ReadWanted { full }),
        prop_oneof![Just(None), Just(Some(late()))].prop_map(|late| E::ReadDone { late }),
        prop_oneof![Just(down()), Just(refused())].prop_map(E::ReadFailed),
        Just(E::Stopped),
    ]
}

proptest! {
    #[test]
    fn only_a_person_leaves_needs_operator(events in prop::collection::vec(any_event(), 0..80)) {
        let mut state = State::Disabled;
        for event in events {
            let stuck = matches!(state, State::NeedsOperator { .. });
            let by_person = matches!(event, SessionEvent::PersonActed | SessionEvent::Stopped);
            let (next, effects) = step(state.clone(), event);
            if stuck && !by_person {
                prop_assert_eq!(&next, &state);
                prop_assert!(effects.is_empty());
            }
            state = next;
        }
    }

    #[test]
    fn never_two_reads_nor_two_links(events in prop::collection::vec(any_event(), 0..80)) {
        let (mut state, mut reading, mut links) = (State::Disabled, 0_i32, 0_i32);
        for event in events {
            let read_ended =
                matches!(event, SessionEvent::ReadDone { .. } | SessionEvent::ReadFailed(_));
            if read_ended && reading > 0 {
                reading -= 1;
            }
            let (next, effects) = step(state, event);
            for effect in effects {
                match effect {
                    SessionEffect::Read(_) => reading += 1,
                    SessionEffect::Connect { .. } => links += 1,
                    SessionEffect::Close => (reading, links) = (0, 0),
                    _ => {}
                }
                prop_assert!(reading <= 1, "two reads in flight");
                prop_assert!(links <= 1, "two links");
            }
            let busy = match &next {
                State::Online { reads } | State::Degraded { reads, .. } => {
                    matches!(reads.activity, Activity::InFlight { .. })
                }
                _ => false,
            };
            prop_assert_eq!(busy, reading == 1);
            state = next;
        }
    }

    #[test]
    fn a_session_that_waits_always_has_something_that_wakes_it(
        events in prop::collection::vec(any_event(), 0..80),
    ) {
        let (mut state, mut read_armed, mut retry_armed) = (State::Disabled, false, false);
        for event in events {
            match event {
                SessionEvent::ReadDue { .. } if !std::mem::take(&mut read_armed) => continue,
                SessionEvent::RetryDue if !std::mem::take(&mut retry_armed) => continue,
                _ => {}
            }
            let (next, effects) = step(state, event);
            for effect in effects {
                match effect {
                    SessionEffect::ArmRead(_) => read_armed = true,
                    SessionEffect::ArmRetry { .. } => retry_armed = true,
                    SessionEffect::Read(_) => read_armed = false,
                    SessionEffect::Connect { .. } => retry_armed = false,
                    SessionEffect::Close => (read_armed, retry_armed) = (false, false),
                    _ => {}
                }
            }
            match &next {
                State::Waiting { .. } => prop_assert!(retry_armed, "{next:?} would sleep for ever"),
                State::Online { reads } | State::Degraded { reads, .. }
                    if !matches!(reads.activity, Activity::InFlight { .. }) =>
                {
                    prop_assert!(read_armed, "{next:?} would sleep for ever");
                }
                _ => {}
            }
            state = next;
        }
    }
}
