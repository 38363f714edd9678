//! Orders about several VMs: how many go on at once on a host, what can be called back, and that a person
//! who steps in is not held up.

use std::num::NonZeroUsize;
use std::time::Duration;

use vmdeck::domain::action::ActionKind;
use vmdeck::domain::operation::{OperationId, Outcome, Phase};
use vmdeck::domain::vm::PowerState;
use vmdeck::fleet::engine::BulkLimit;

use crate::lab::{Lab, Plans, actor, submission};
use crate::world::{Obeys, vm, vm_id};

/// A host with this many stopped VMs, two of which may be worked on at once by one order.
async fn host(vms: u32, obeys: Obeys) -> Lab {
    let mut plans = Plans::hosts(1).await;
    plans.bulk = BulkLimit(NonZeroUsize::new(2).unwrap());
    plans.world.with("h1", |machine| {
        machine.obeys = obeys;
        machine.vms = (1..=vms)
            .map(|n| vm(n, &format!("vm{n:02}"), PowerState::Stopped))
            .collect();
    });
    plans.up().await
}

/// Starts all of them with one order.
async fn start_all(lab: &Lab, vms: u32) -> Vec<OperationId> {
    let count = usize::try_from(vms).unwrap();
    let mut ids = Vec::new();
    for n in 1..=vms {
        let vm = lab.vm("h1", n);
        let asked = lab
            .handle
            .plan(vm, ActionKind::Start.into(), actor(), count);
        let mut one = submission(asked.await.unwrap().plan);
        one.count = count;
        ids.push(lab.handle.submit(one).await.unwrap());
    }
    ids
}

fn begun(lab: &Lab) -> usize {
    lab.world
        .with("h1", |machine| machine.times("do start").len())
}

#[tokio::test(start_paused = true)]
async fn no_more_of_one_order_go_on_at_once_than_the_host_is_allowed() {
    let lab = host(6, Obeys::Ignores).await;
    let ids = start_all(&lab, 6).await;
    // Taken and never seen: each keeps its place until its own time is over.
    lab.eventually("the first two", || begun(&lab) == 2).await;
    let state = lab
        .until(|state| {
            let mut all = state.operations.iter();
            all.clone()
                .filter(|it| it.phase == Phase::Verifying)
                .count()
                == 2
                && all.all(|it| matches!(it.phase, Phase::Verifying | Phase::Queued))
        })
        .await;
    assert_eq!(state.operations.len(), 6);
    lab.world.with("h1", |machine| machine.obeys = Obeys::Yes);
    for id in &ids {
        lab.handle.outcome(id).await.unwrap();
    }
    let most = lab.world.with("h1", |machine| {
        let times = machine.times("do start");
        // Of the first pair nothing was seen: the next pair begins after their deadline.
        times[2].duration_since(times[1])
    });
    assert!(most >= Duration::from_secs(10), "{most:?}");
    assert_eq!(begun(&lab), 6);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_steps_in_does_not_wait_behind_a_bulk() {
    let lab = host(6, Obeys::Ignores).await;
    start_all(&lab, 5).await;
    lab.eventually("the first two", || begun(&lab) == 2).await;
    lab.world.with("h1", |machine| machine.obeys = Obeys::Yes);
    let alone = lab.done("h1", 6, ActionKind::Start).await;
    assert_eq!(alone.outcome, Some(Outcome::Confirmed));
    assert_eq!(begun(&lab), 3, "the bulk still waits for its first two");
}

#[tokio::test(start_paused = true)]
async fn what_has_not_begun_is_called_back_and_what_was_sent_goes_on() {
    let lab = host(6, Obeys::Hangs).await;
    let ids = start_all(&lab, 6).await;
    lab.eventually("the first two", || begun(&lab) == 2).await;
    assert_eq!(lab.handle.withdraw(ids.clone()).await.unwrap(), 4);
    for id in &ids[2..] {
        let ended = lab.handle.outcome(id).await.unwrap();
        assert!(ended.withdrawn);
        assert!(matches!(ended.outcome, Some(Outcome::Refused { .. })));
    }
    assert_eq!(begun(&lab), 2);
    let state = lab.handle.snapshot();
    let running = state.operations.iter().filter(|it| !it.is_finished());
    assert_eq!(running.count(), 2, "what was sent is still waited for");
    let again = lab.handle.withdraw(ids).await.unwrap();
    assert_eq!(again, 0, "nothing is left to call back");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_half_of_them_leaves_the_other_half_done() {
    let lab = host(8, Obeys::Yes).await;
    lab.world.with("h1", |machine| {
        machine.refuses = [1, 3, 5, 7].map(vm_id).to_vec();
    });
    let mut words = Vec::new();
    for id in start_all(&lab, 8).await {
        let ended = lab.handle.outcome(&id).await.unwrap();
        words.push(ended.outcome.as_ref().unwrap().word());
    }
    assert_eq!(words, ["failed", "confirmed"].repeat(4));
    let stopped = (1..=8).filter(|n| lab.state_of("h1", *n) == Some(PowerState::Stopped));
    assert_eq!(stopped.collect::<Vec<_>>(), [1, 3, 5, 7]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_forgotten_is_not_waited_for() {
    let lab = host(1, Obeys::Yes).await;
    let never = OperationId(std::sync::Arc::from("of another time"));
    let cause = lab.handle.outcome(&never).await.unwrap_err();
    assert!(cause.message.contains("too long ago"), "{cause:?}");
}
