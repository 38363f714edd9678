//! What a hypervisor says while it is at it: from its driver to the snapshot and the events, and no
//! oftener than a person can read.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::event::Fact;
use vmdeck::domain::operation::{Operation, OperationId, Outcome, Phase};

use crate::lab::{Lab, Plans};
use crate::world::Obeys;

async fn slow(step: Duration) -> Lab {
    let lab = Plans::hosts(1).await.up().await;
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Slowly(step));
    lab
}

fn percent(operation: &Operation) -> Option<u8> {
    operation.progress.as_ref().and_then(|it| it.percent)
}

/// Acts, and returns what the events told of it until it had ended, with the times.
async fn watched(lab: &Lab, action: ActionKind) -> Vec<(Instant, Arc<Operation>)> {
    let mut events = lab.handle.events();
    let id = lab.act("h1", 1, action).await.unwrap();
    let mut told = Vec::new();
    while told
        .last()
        .is_none_or(|(_, last): &(_, Arc<Operation>)| !last.is_finished())
    {
        let Fact::OperationMoved(operation) = events.recv().await.unwrap().fact else {
            continue;
        };
        if operation.id == id {
            told.push((Instant::now(), operation));
        }
    }
    told
}

async fn until_halfway(lab: &Lab, id: &OperationId) -> Arc<Operation> {
    let state = lab
        .until(|state| {
            let mut operations = state.operations.iter();
            operations.any(|it| it.id == *id && percent(it).is_some_and(|done| done >= 50))
        })
        .await;
    let mut operations = state.operations.iter();
    Arc::clone(operations.find(|it| it.id == *id).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_state_shows_how_far_the_hypervisor_is_and_in_its_own_word() {
    let lab = slow(Duration::from_millis(100)).await;
    let id = lab.act("h1", 1, ActionKind::Save).await.unwrap();
    let halfway = until_halfway(&lab, &id).await;
    assert_eq!(halfway.phase, Phase::Sending);
    let progress = halfway.progress.clone().unwrap();
    assert_eq!(progress.doing.unwrap().shown(), "Speichern");
    let ended = lab.handle.outcome(&id).await.unwrap();
    assert_eq!(ended.outcome, Some(Outcome::Confirmed));
    assert_eq!(ended.progress, None, "it is over, and so is its progress");
}

#[tokio::test(start_paused = true)]
async fn many_reports_are_told_at_a_pace_that_can_be_read_and_in_order() {
    let lab = slow(Duration::from_millis(20)).await;
    let told = watched(&lab, ActionKind::Save).await;
    let reports: Vec<(Instant, u8)> = told
        .iter()
        .filter(|(_, it)| it.phase == Phase::Sending)
        .filter_map(|(at, it)| Some((*at, percent(it)?)))
        .collect();
    // Two seconds of work, four reports a second.
    assert!((7..=9).contains(&reports.len()), "{reports:?}");
    assert!(reports.is_sorted_by_key(|(_, percent)| *percent));
    let verifying = told.iter().find(|(_, it)| it.phase == Phase::Verifying);
    assert_eq!(verifying.unwrap().1.progress, None);
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_leaves_how_far_it_was_beside_the_unknown_outcome() {
    let lab = slow(Duration::from_millis(100)).await;
    let id = lab.act("h1", 1, ActionKind::Save).await.unwrap();
    let halfway = until_halfway(&lab, &id).await;
    lab.world.with("h1", |machine| {
        machine.cut();
        machine.obeys = Obeys::Yes;
    });
    let ended = lab.handle.outcome(&id).await.unwrap();
    assert!(
        matches!(ended.outcome, Some(Outcome::Unknown { .. })),
        "{ended:?}"
    );
    assert!(percent(&ended) >= percent(&halfway));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_read_in_another_way_from_now_on_is_shown_so() {
    let lab = Plans::hosts(1).await.up().await;
    let channel = |lab: &Lab| {
        lab.host("h1")
            .capabilities
            .as_ref()
            .map(|it| it.channel.clone())
    };
    assert_eq!(channel(&lab).as_deref(), Some("scripted"));
    lab.world.with("h1", |machine| machine.channel = "a watch");
    lab.eventually("the new channel", || {
        channel(&lab).as_deref() == Some("a watch")
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hypervisor_that_says_nothing_has_no_progress() {
    let lab = Plans::hosts(1).await.up().await;
    let told = watched(&lab, ActionKind::Save).await;
    assert!(told.iter().all(|(_, it)| it.progress.is_none()));
    let phases: Vec<Phase> = told.iter().map(|(_, it)| it.phase).collect();
    let expected = [Phase::Queued, Phase::Sending, Phase::Verifying, Phase::Done];
    assert_eq!(phases, expected);
}
