//! The read-only of hosts, lifted for a while.

use std::time::Duration;

use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::ErrorKind;

use crate::lab::{Lab, Plans, actor};

async fn guarded(plans: Plans) -> Lab {
    let mut lab = plans.up().await;
    lab.handle = lab.handle.clone().acting_as(actor());
    let mut spec = (*lab.host("h1").spec).clone();
    spec.read_only = true;
    lab.handle.upsert_host(spec).await.unwrap();
    lab
}

#[tokio::test(start_paused = true)]
async fn what_is_lifted_is_recorded_holds_for_its_time_and_ends_by_itself() {
    let lab = guarded(Plans::hosts(2).await).await;
    let refusal = lab.plan("h1", 1, ActionKind::Pause).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Refused);
    let hosts = vec![lab.id("h1")];
    lab.handle
        .lift_read_only(hosts, Duration::from_secs(120))
        .await
        .unwrap();
    assert!(
        lab.records()
            .await
            .contains(&"note read-only-lifted ok".to_owned())
    );
    lab.plan("h1", 1, ActionKind::Pause).await.unwrap();
    lab.clock.advance(jiff::SignedDuration::from_secs(121));
    lab.until(|state| state.lifts.is_empty()).await;
    let refusal = lab.plan("h1", 1, ActionKind::Pause).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_lift_is_ended_by_hand_and_only_a_flag_can_be_lifted() {
    let lab = guarded(Plans::hosts(2).await).await;
    let both = vec![lab.id("h1"), lab.id("h2")];
    let refusal = lab
        .handle
        .lift_read_only(both, Duration::from_secs(60))
        .await;
    assert!(refusal.unwrap_err().message.contains("h2 is not read-only"));
    let one = vec![lab.id("h1")];
    lab.handle
        .lift_read_only(one.clone(), Duration::from_secs(60))
        .await
        .unwrap();
    lab.handle
        .lift_read_only(one.clone(), Duration::ZERO)
        .await
        .unwrap();
    assert!(lab.plan("h1", 1, ActionKind::Pause).await.is_err());
    lab.handle.set_read_only(true).await.unwrap();
    let refusal = lab
        .handle
        .lift_read_only(one, Duration::from_secs(60))
        .await;
    assert!(
        refusal
            .unwrap_err()
            .message
            .contains("the program is read-only")
    );
}
