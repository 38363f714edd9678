//! The transitions, one by one.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::state::{FleetState, HostsChange, KEPT_FOR, OPERATIONS_KEPT};
use super::test_fleet::{inventory, now, operation, spec, vm};
use crate::domain::action::ActionKind;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::event::Fact;
use crate::domain::health::HostHealth;
use crate::domain::host::HostId;
use crate::domain::inventory::HostInventory;
use crate::domain::operation::{Operation, OperationId, Outcome};
use crate::domain::vm::PowerState;
use crate::session::News;

const ONE: HostId = HostId(1);

fn state() -> FleetState {
    let mut state = FleetState::new(
        Arc::from("lab"),
        Arc::new([]),
        false,
        Duration::from_secs(3),
    );
    state.set_hosts(vec![spec(1, "kvm1"), spec(2, "kvm2")], now());
    state
}

fn read(vms: Vec<Arc<crate::domain::vm::Vm>>) -> News {
    News::Inventory {
        inventory: inventory(vms),
        at: now(),
        latency: Duration::from_millis(20),
    }
}

fn down(text: &str) -> HostHealth {
    HostHealth::Offline {
        cause: Failure::new(ErrorKind::Unreachable, text),
        next_try: now(),
        attempt: 1,
    }
}

fn words(state: &mut FleetState) -> Vec<String> {
    let word = |fact| match fact {
        Fact::HostCameOnline { name, .. } => format!("{name} up"),
        Fact::HostWentOffline { name, cause, .. } => format!("{name} down: {cause}"),
        Fact::VmChangedState { name, from, to, .. } => format!("{name} {from} -> {to}"),
        Fact::VmAppeared { name, state, .. } => format!("{name} appeared {state}"),
        Fact::VmVanished { name, .. } => format!("{name} vanished"),
        Fact::OperationMoved(operation) => format!("operation {}", operation.id),
        Fact::ErrorOccurred { cause, .. } => format!("error {cause}"),
    };
    state.take_facts().into_iter().map(word).collect()
}

#[test]
fn a_read_tells_what_changed_since_the_last() {
    let mut state = state();
    let running = PowerState::Running;
    assert!(state.apply(
        ONE,
        read(vec![
            vm(1, "a", running.clone()),
            vm(2, "b", running.clone())
        ]),
        now()
    ));
    assert!(words(&mut state).is_empty(), "the first read is no news");
    state.apply(
        ONE,
        read(vec![
            vm(1, "a", PowerState::Stopped),
            vm(2, "b", running.clone()),
        ]),
        now(),
    );
    assert_eq!(words(&mut state), ["a running -> stopped"]);
    state.apply(
        ONE,
        read(vec![vm(3, "c", running.clone()), vm(1, "a", running)]),
        now(),
    );
    assert_eq!(
        words(&mut state),
        ["c appeared running", "a stopped -> running", "b vanished"]
    );
}

#[test]
fn a_row_is_stale_after_two_ticks_and_never_within_three_seconds() {
    let mut state = state();
    state.apply(ONE, News::Health(HostHealth::Online), now());
    state.apply(ONE, read(vec![vm(1, "a", PowerState::Running)]), now());
    let mut host = state.host(ONE).unwrap().as_ref().clone();
    for (tick, last_fresh) in [(200, 3000), (1500, 3000), (2000, 4000), (30_000, 60_000)] {
        host.tick = Duration::from_millis(tick);
        let after = |millis| now() + Duration::from_millis(millis);
        assert!(!host.is_stale(after(last_fresh)), "tick of {tick} ms");
        assert!(host.is_stale(after(last_fresh + 1)), "tick of {tick} ms");
    }
}

#[test]
fn the_cache_is_no_news_and_never_beats_a_read() {
    let mut state = state();
    state.remember(
        ONE,
        HostInventory::clone(&inventory(vec![vm(1, "a", PowerState::Stopped)])),
        now(),
    );
    let snapshot = state.snapshot(now());
    assert!(snapshot.hosts[0].from_cache);
    assert!(snapshot.hosts[0].is_stale(now()));
    state.apply(ONE, read(vec![vm(1, "a", PowerState::Running)]), now());
    assert!(words(&mut state).is_empty());
    state.remember(ONE, HostInventory::default(), now());
    let snapshot = state.snapshot(now());
    assert!(!snapshot.hosts[0].from_cache);
    assert_eq!(snapshot.hosts[0].vms().len(), 1);
}

#[test]
fn a_lost_host_keeps_its_rows_and_is_told_once() {
    let mut state = state();
    state.apply(ONE, News::Health(HostHealth::Online), now());
    state.apply(ONE, read(vec![vm(1, "a", PowerState::Running)]), now());
    state.apply(ONE, News::Health(down("timed out")), now());
    state.apply(
        ONE,
        News::Health(HostHealth::Connecting {
            attempt: 1,
            queued: false,
        }),
        now(),
    );
    state.apply(ONE, News::Health(down("timed out")), now());
    assert_eq!(words(&mut state), ["kvm1 up", "kvm1 down: timed out"]);
    assert_eq!(state.host(ONE).unwrap().vms().len(), 1);
    assert_eq!(state.errors.records().len(), 1);
    state.apply(ONE, News::Health(down("refused")), now());
    assert_eq!(words(&mut state), ["error refused"]);
    state.apply(ONE, News::Health(HostHealth::Online), now());
    assert_eq!(words(&mut state), ["kvm1 up"]);
}

#[test]
fn since_is_when_the_kind_of_health_changed() {
    let mut state = state();
    let later = now() + Duration::from_secs(9);
    state.apply(ONE, News::Health(down("a")), now());
    state.apply(ONE, News::Health(down("b")), later);
    assert_eq!(state.host(ONE).unwrap().since, now());
    state.apply(ONE, News::Health(HostHealth::Online), later);
    assert_eq!(state.host(ONE).unwrap().since, later);
}

#[test]
fn one_host_changes_and_the_others_stay_shared() {
    let mut state = state();
    let before = state.snapshot(now());
    state.apply(ONE, read(vec![]), now());
    let after = state.snapshot(now());
    assert!(!Arc::ptr_eq(&before.hosts[0], &after.hosts[0]));
    assert!(Arc::ptr_eq(&before.hosts[1], &after.hosts[1]));
    assert_eq!(after.generation, before.generation + 1);
    assert!(
        before.hosts[0].inventory.is_none(),
        "a snapshot never changes"
    );
}

#[test]
fn new_definitions_apply_to_the_hosts_they_change() {
    let mut state = state();
    state.apply(ONE, read(vec![vm(1, "a", PowerState::Running)]), now());
    let mut labelled = spec(1, "kvm1");
    labelled.tags = vec!["db".parse().unwrap()];
    let change = state.set_hosts(vec![labelled.clone(), spec(3, "a-first")], now());
    assert_eq!(
        change,
        HostsChange {
            added: vec![HostId(3)],
            removed: vec![HostId(2)],
            redefined: vec![],
        }
    );
    let names: Vec<_> = state
        .hosts()
        .iter()
        .map(|host| host.spec.name.to_string())
        .collect();
    assert_eq!(names, ["a-first", "kvm1"]);
    assert_eq!(state.host(ONE).unwrap().spec.tags.len(), 1);
    assert!(!state.host(ONE).unwrap().from_cache);
    assert!(!state.apply(HostId(2), News::Tick(Duration::from_secs(1)), now()));

    labelled.endpoint.port = Some(2222);
    let change = state.set_hosts(vec![labelled, spec(3, "a-first")], now());
    assert_eq!(change.redefined, [ONE]);
    assert!(
        state.host(ONE).unwrap().from_cache,
        "it may be another machine now"
    );
}

#[test]
fn an_unknown_outcome_is_settled_by_the_next_read() {
    let mut state = state();
    let cause = Failure::new(ErrorKind::Unreachable, "link lost");
    let unknown = operation(1, ActionKind::Shutdown, Some(Outcome::Unknown { cause }));
    state.put_operation((*unknown).clone());
    assert_eq!(state.operation(&unknown.id).unwrap().state_after, None);
    state.apply(ONE, read(vec![vm(1, "web-1", PowerState::Stopped)]), now());
    let settled = state.operation(&unknown.id).unwrap();
    assert_eq!(settled.state_after, Some(PowerState::Stopped));
    assert!(
        matches!(settled.outcome, Some(Outcome::Unknown { .. })),
        "it stays unknown"
    );
}

fn ended(n: usize, at: Timestamp) -> Operation {
    let mut done = (*operation(2, ActionKind::Start, Some(Outcome::Confirmed))).clone();
    done.id = OperationId(Arc::from(n.to_string()));
    done.finished_at = Some(at);
    done
}

#[test]
fn old_finished_operations_are_forgotten_and_running_ones_never() {
    let mut state = state();
    let running = operation(1, ActionKind::Shutdown, None);
    state.put_operation((*running).clone());
    for n in 0..=OPERATIONS_KEPT {
        state.put_operation(ended(n, now()));
    }
    state.put_operation(ended(1000, now() + KEPT_FOR * 2));
    assert_eq!(state.snapshot(now()).operations.len(), OPERATIONS_KEPT);
    assert!(state.operation(&running.id).is_some());
    assert_eq!(state.running().count(), 1);
}

/// Whoever waits for five hundred looks at newest snapshots: none may be gone before it was seen over.
#[test]
fn what_has_just_ended_is_kept_however_many_end_with_it() {
    let mut state = state();
    for n in 0..500 {
        state.put_operation(ended(n, now()));
    }
    assert_eq!(state.snapshot(now()).operations.len(), 500);
    assert!(state.operation(&OperationId(Arc::from("0"))).is_some());
}

#[test]
fn what_is_counted_is_what_the_error_log_holds() {
    let mut state = state();
    state.set_health(ONE, down("no route"), now());
    state.note_error(
        None,
        Failure::new(ErrorKind::Store, "the disk is full"),
        now(),
    );
    let cause = Failure::new(ErrorKind::Remote, "no such domain");
    let failed = Some(Outcome::Failed { cause });
    let running = operation(1, ActionKind::Start, None);
    state.put_operation((*running).clone());
    assert_eq!(state.view(now()).errors, 2, "under way is no failure");
    let ended = Operation {
        outcome: failed,
        ..(*running).clone()
    };
    state.put_operation(ended.clone());
    // What is written beside an operation later is no second failure.
    state.put_operation(ended);
    state.put_operation((*operation(2, ActionKind::Start, Some(Outcome::Confirmed))).clone());
    let records = state.errors.records();
    assert_eq!(state.view(now()).errors, records.len() as u64);
    let said: Vec<&str> = records
        .iter()
        .map(|record| record.cause.message.as_str())
        .collect();
    assert_eq!(
        said,
        [
            "no route",
            "the disk is full",
            "could not start web-1: no such domain"
        ]
    );
    assert_eq!(records[2].host.as_ref().unwrap().as_str(), "kvm1");
}
