//! The clock is set, forwards and back, and the machine sleeps: nobody is taken for dead, nothing is
//! shown as younger than it is, nothing is missed.

use std::time::Duration;

use jiff::SignedDuration;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::event::Fact;
use vmdeck::domain::health::HostHealth;
use vmdeck::domain::operation::Outcome;
use vmdeck::domain::vm::PowerState;
use vmdeck::fleet::request::HostSelection;

use crate::hosts::unreachable;
use crate::lab::{Lab, Plans};
use crate::world::{Mood, vm_id};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Lets some reads go by.
async fn some_ticks(lab: &Lab) {
    let reads = |lab: &Lab| lab.world.with("h1", |machine| machine.times("f").len());
    let before = reads(lab);
    lab.eventually("three reads", || reads(lab) >= before + 3)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_is_no_reason_to_lose_a_host() {
    let lab = Plans::hosts(3).await.up().await;
    let mut events = lab.handle.events();
    for step in [HOUR, -HOUR, -HOUR, HOUR * 25, -HOUR * 24] {
        lab.clock.advance(step);
        some_ticks(&lab).await;
        let done = lab.done("h1", 2, ActionKind::Start).await;
        assert_eq!(done.outcome, Some(Outcome::Confirmed), "after {step:?}");
        let done = lab.done("h1", 2, ActionKind::ForceOff).await;
        assert_eq!(done.outcome, Some(Outcome::Confirmed), "after {step:?}");
        for host in &lab.handle.snapshot().hosts {
            assert_eq!(host.health, HostHealth::Online, "after {step:?}");
            assert!(!host.is_stale(lab.clock.now()), "after {step:?}");
        }
    }
    while let Ok(event) = events.try_recv() {
        let calm = matches!(
            event.fact,
            Fact::OperationMoved(_) | Fact::VmChangedState { .. }
        );
        assert!(calm, "{event:?}");
    }
    for name in ["h1", "h2", "h3"] {
        let connected = lab
            .world
            .with(name, |machine| machine.times("connect").len());
        assert_eq!(connected, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_lost_host_never_looks_fresh_again() {
    let lab = Plans::hosts(1).await.up().await;
    lab.world.with("h1", |machine| {
        machine.connect = Mood::Fails(unreachable());
        machine.cut();
    });
    lab.until(|state| matches!(state.hosts[0].health, HostHealth::Offline { .. }))
        .await;
    let age = || lab.host("h1").age(lab.clock.now());
    lab.clock.advance(SignedDuration::from_secs(90));
    assert_eq!(age(), Some(Duration::from_secs(90)));
    lab.clock.advance(-HOUR);
    assert_eq!(age(), None, "nobody can tell; it is not 0 s");
    assert!(lab.host("h1").is_stale(lab.clock.now()));
    lab.clock.advance(HOUR);
    assert_eq!(age(), Some(Duration::from_secs(90)));
}

#[tokio::test(start_paused = true)]
async fn what_happens_after_the_clock_was_set_back_is_not_of_before() {
    let lab = Plans::hosts(1).await.up().await;
    let known = lab.handle.snapshot();
    let mut events = lab.handle.events();
    lab.clock.advance(-HOUR);
    lab.world
        .with("h1", |machine| machine.set(&vm_id(2), PowerState::Running));
    let event = events.recv().await.unwrap();
    assert!(matches!(event.fact, Fact::VmChangedState { .. }));
    assert!(event.at < known.at);
    assert!(event.generation > known.generation);
    assert!(lab.handle.snapshot().generation >= event.generation);
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_sleep_is_no_lost_host() {
    let lab = Plans::hosts(20).await.up().await;
    for n in 1..=20 {
        lab.world.with(&format!("h{n}"), |machine| {
            machine.read_takes = Duration::from_millis(400);
        });
    }
    some_ticks(&lab).await;
    let mut events = lab.handle.events();
    // Every timer of the program comes due at once.
    lab.clock.advance(SignedDuration::from_mins(1));
    tokio::time::advance(Duration::from_mins(1)).await;
    some_ticks(&lab).await;
    lab.until(|state| state.hosts.iter().all(|h| h.health == HostHealth::Online))
        .await;
    while let Ok(event) = events.try_recv() {
        assert!(
            !matches!(event.fact, Fact::HostWentOffline { .. }),
            "{event:?}"
        );
    }
    let late = lab.handle.errors().await.unwrap();
    for n in 1..=20 {
        let name = format!("h{n}");
        let of_host = late
            .iter()
            .filter(|error| error.host.as_ref().is_some_and(|h| h.as_str() == name));
        assert!(of_host.count() <= 1, "{late:?}");
    }
    lab.handle.refresh(HostSelection::All).await.unwrap();
}
