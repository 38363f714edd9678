//! Definitions that were written by hand: compared right before they are sent, read back, recorded without a word of
//! what is in them.

use vmdeck::domain::action::Action;
use vmdeck::domain::definition::{DefineRequest, DefinitionText};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::operation::Outcome;
use vmdeck::domain::vm::PowerState;
use vmdeck::fleet::request::Proposal;

use crate::lab::{Lab, Plans, actor};
use crate::world::{Obeys, vm_id};

const WAS: &str = "<domain>\n<vcpu>1</vcpu>\n</domain>\n";

/// A host whose second VM, which is off, is defined so.
async fn one() -> Lab {
    let lab = Plans::hosts(1).await.up().await;
    lab.world.with("h1", |machine| {
        machine.definitions.insert(vm_id(2), WAS.to_owned());
    });
    lab
}

async fn planned(lab: &Lab, from: &str, to: &str) -> Result<Proposal, Failure> {
    let vm = lab.vm("h1", 2);
    let was = lab.handle.definition(vm.clone()).await?;
    let wanted = DefinitionText::new(&was.as_str().replace(from, to));
    let request = DefineRequest::new(was, wanted, PowerState::Stopped).unwrap();
    lab.handle.plan(vm, Action::from(request), actor(), 1).await
}

fn sent(lab: &Lab) -> usize {
    lab.world
        .with("h1", |machine| machine.times("do define").len())
}

#[tokio::test(start_paused = true)]
async fn a_definition_is_planned_sent_read_back_and_recorded_without_its_words() {
    let lab = one().await;
    let typed = "<vcpu>4</vcpu>\n<graphics passwd='s3cret'/>";
    let proposal = planned(&lab, "<vcpu>1</vcpu>", typed).await.unwrap();
    let ended = lab.run(proposal).await;
    assert_eq!(ended.outcome, Some(Outcome::Confirmed));
    assert_eq!(sent(&lab), 1);
    let records = lab.handle.audit_tail(10, None).await.unwrap();
    let intent = records.iter().find(|one| one.entry.status == "pending");
    let details = &intent.expect("an intent").entry.details;
    assert!(
        details.starts_with("definition, +2 -1 lines; difference of")
            && details.contains("sha256 "),
        "{details}"
    );
    let all = format!("{records:?}");
    assert!(!all.contains("s3cret") && !all.contains("<vcpu>"), "{all}");
    assert!(!format!("{:?}", ended.plan.action).contains("s3cret"));
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_somebody_else_has_changed_is_a_conflict_and_nothing_is_sent() {
    let lab = one().await;
    let proposal = planned(&lab, ">1<", ">4<").await.unwrap();
    lab.world.with("h1", |machine| {
        let other = WAS.replace(">1<", ">2<");
        machine.definitions.insert(vm_id(2), other);
    });
    let ended = lab.run(proposal).await;
    let Some(Outcome::Refused { cause }) = ended.outcome else {
        panic!("{ended:?}");
    };
    assert_eq!(cause.kind, ErrorKind::Conflict);
    assert!(
        cause.message.contains("changed since it was read"),
        "{}",
        cause.message
    );
    assert_eq!(sent(&lab), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_host_takes_and_does_not_keep_is_not_called_done() {
    let lab = one().await;
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Ignores);
    let proposal = planned(&lab, ">1<", ">4<").await.unwrap();
    let ended = lab.run(proposal).await;
    let Some(Outcome::Accepted { note }) = ended.outcome else {
        panic!("{ended:?}");
    };
    assert!(note.contains("as it did before"), "{note}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_host_is_told_in_its_own_words() {
    let lab = one().await;
    lab.world.with("h1", |machine| {
        machine.refuses_words = vec!["define"];
    });
    let proposal = planned(&lab, ">1<", ">4<").await.unwrap();
    let ended = lab.run(proposal).await;
    let Some(Outcome::Failed { cause }) = ended.outcome else {
        panic!("{ended:?}");
    };
    assert!(cause.message.contains("will not"), "{}", cause.message);
}
