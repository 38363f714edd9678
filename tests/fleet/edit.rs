//! Changes of what a VM is set up with: compared right before they are made, seen in what is read afterwards, and
//! honest about what was done when one of them failed.

use vmdeck::domain::action::{Action, ActionKind};
use vmdeck::domain::edit::{Changes, EditRequest, VmSettings};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::operation::{Consent, Outcome, Submission};
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::vm::PowerState;
use vmdeck::fleet::request::Proposal;

use crate::lab::{Lab, Plans, actor};
use crate::world::{Obeys, vm_id};

fn was() -> VmSettings {
    VmSettings {
        vcpus: Some(2),
        autostart: Some(false),
        description: Some(RemoteText::new("")),
        ..VmSettings::default()
    }
}

/// A host whose second VM, which is off, is set up so.
async fn one() -> Lab {
    let lab = Plans::hosts(1).await.up().await;
    lab.world.with("h1", |machine| {
        machine.settings.insert(vm_id(2), was());
    });
    lab
}

fn wanted() -> Changes {
    Changes {
        vcpus: Some(4),
        autostart: Some(true),
        description: Some("orders".to_owned()),
        ..Changes::default()
    }
}

async fn planned(lab: &Lab) -> Result<Proposal, Failure> {
    let vm = lab.vm("h1", 2);
    let read = lab.handle.settings(vm.clone()).await?;
    let request = EditRequest::new(read, wanted(), PowerState::Stopped).unwrap();
    lab.handle.plan(vm, Action::from(request), actor(), 1).await
}

fn sent(lab: &Lab) -> usize {
    lab.world
        .with("h1", |machine| machine.times("do set").len())
}

#[tokio::test(start_paused = true)]
async fn a_change_is_planned_agreed_to_made_and_read_back() {
    let lab = one().await;
    let proposal = planned(&lab).await.unwrap();
    assert_eq!(proposal.plan.commands.len(), 3);
    let refused = Submission {
        plan: proposal.plan.clone(),
        actor: actor(),
        consent: Consent::Nothing,
        count: 1,
        deadline: None,
    };
    let refused = lab.handle.submit(refused).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    assert_eq!(sent(&lab), 0);
    let ended = lab.run(proposal).await;
    assert_eq!(ended.outcome, Some(Outcome::Confirmed));
    assert_eq!(ended.state_after, Some(PowerState::Stopped));
    let now = lab.handle.settings(lab.vm("h1", 2)).await.unwrap();
    assert_eq!((now.vcpus, now.autostart), (Some(4), Some(true)));
    let records = lab.records().await;
    let of_edit = records.iter().filter(|record| record.contains("edit"));
    assert_eq!(
        of_edit.count(),
        3,
        "a refusal, an intent, an outcome: {records:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_since_it_was_shown_is_a_conflict_and_changes_nothing() {
    let lab = one().await;
    let proposal = planned(&lab).await.unwrap();
    lab.world.with("h1", |machine| {
        let settings = machine.settings.get_mut(&vm_id(2)).unwrap();
        settings.vcpus = Some(3);
    });
    let ended = lab.run(proposal).await;
    let Some(Outcome::Refused { cause }) = ended.outcome else {
        panic!("{ended:?}");
    };
    assert_eq!(cause.kind, ErrorKind::Conflict);
    assert!(
        cause.message.contains("vCPUs is 3 now; it was 2"),
        "{}",
        cause.message
    );
    assert_eq!(sent(&lab), 0);
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_be_read_again_are_not_changed() {
    let lab = one().await;
    let proposal = planned(&lab).await.unwrap();
    lab.world.with("h1", |machine| machine.settings.clear());
    let ended = lab.run(proposal).await;
    assert!(
        matches!(ended.outcome, Some(Outcome::Refused { .. })),
        "{ended:?}"
    );
    assert_eq!(sent(&lab), 0);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_fails_half_way_names_what_was_changed_and_what_was_not() {
    let lab = one().await;
    lab.world.with("h1", |machine| {
        machine.refuses_words = vec!["set-autostart"];
    });
    let proposal = planned(&lab).await.unwrap();
    let ended = lab.run(proposal).await;
    let Some(Outcome::Failed { cause }) = ended.outcome else {
        panic!("{ended:?}");
    };
    assert!(
        cause
            .message
            .starts_with("changed: vCPUs; not changed: autostart, description: "),
        "{}",
        cause.message
    );
    assert!(cause.message.contains("will not"), "{}", cause.message);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_nothing_came_of_is_not_called_done() {
    let lab = one().await;
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Ignores);
    let proposal = planned(&lab).await.unwrap();
    let ended = lab.run(proposal).await;
    let Some(Outcome::Accepted { note }) = ended.outcome else {
        panic!("{ended:?}");
    };
    assert!(note.contains("settings did not read as wanted"), "{note}");
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_was_started_meanwhile_is_looked_at_again_first() {
    let lab = one().await;
    lab.done("h1", 2, ActionKind::Start).await;
    let why = planned(&lab).await.unwrap_err();
    assert_eq!(why.kind, ErrorKind::Conflict);
    assert!(why.message.contains("is running now"), "{}", why.message);
    let nothing = Action::new(ActionKind::Edit);
    let vm = lab.vm("h1", 2);
    let why = lab.handle.plan(vm, nothing, actor(), 1).await.unwrap_err();
    assert_eq!(why.kind, ErrorKind::Usage);
}
