//! What is done to pools and networks: planned from a read of its own, refused when that has changed,
//! recorded before and after, and seen.

use std::sync::Arc;

use vmdeck::domain::action::{ActionKind, Ask};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::domain::operation::{Consent, Outcome, Phase};
use vmdeck::domain::store::{Network, StoreId, StoreKind, StoreRef, StoreState, StoreUser};
use vmdeck::domain::store_action::{StoreProposal, StoreResult, StoreSubmission, StoreVerb};
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::vm::PowerState;

use vmdeck::fleet::request::HostSelection;

use crate::lab::{Lab, Plans, actor};
use crate::world::{Obeys, vm, vm_id};

fn user(n: u32, name: &str, running: bool) -> StoreUser {
    StoreUser {
        vm: RemoteText::new(name),
        id: vm_id(n),
        running: Some(running),
    }
}

/// A host with one network that a running VM is on.
async fn one() -> Lab {
    let lab = Plans::hosts(1).await.up().await;
    lab.world.with("h1", |machine| {
        machine.stores.networks = Ok(vec![Network {
            id: StoreId::parse(vm_id(77).as_str()),
            state: Some(StoreState::Active),
            users: Some(vec![user(1, "web-1", true), user(2, "db-1", false)]),
            ..Network::named(RemoteText::new("lan"))
        }]);
    });
    lab
}

fn network(lab: &Lab) -> StoreRef {
    StoreRef {
        host: lab.vm("h1", 1).host,
        kind: StoreKind::Network,
        id: StoreId::parse(vm_id(77).as_str()).unwrap(),
    }
}

async fn planned(lab: &Lab, verb: StoreVerb) -> Result<StoreProposal, Failure> {
    lab.handle.plan_store(network(lab), verb, actor()).await
}

async fn run(lab: &Lab, proposal: StoreProposal, consent: Consent) -> Result<StoreResult, Failure> {
    let submission = StoreSubmission {
        plan: proposal.plan,
        actor: actor(),
        consent,
        deadline: None,
    };
    let result = lab.handle.run_store(submission).await;
    if let Ok(result) = &result {
        // Whoever is told of the end finds it in what everybody sees.
        let seen = lab.handle.snapshot();
        let operation = seen.store_operations.iter().find(|one| one.id == result.id);
        assert!(operation.unwrap().is_finished());
    }
    result
}

#[tokio::test(start_paused = true)]
async fn stopping_a_network_names_the_running_vms_is_recorded_and_seen() {
    let lab = one().await;
    let proposal = planned(&lab, StoreVerb::NetworkStop).await.unwrap();
    assert_eq!(proposal.asks, Ask::Confirm);
    let told = proposal.plan.consequences.join("; ");
    assert!(told.contains("web-1") && !told.contains("db-1"), "{told}");
    let refused = run(&lab, proposal.clone(), Consent::Nothing)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    let result = run(&lab, proposal, Consent::Confirmed).await.unwrap();
    assert_eq!(result.outcome, Outcome::Confirmed);
    assert_eq!(result.state_after, Some(StoreState::Inactive));
    // It stands among the operations, as one that is over.
    let over =
        |state: &Arc<FleetSnapshot>| state.store_operations.iter().all(|it| it.is_finished());
    let state = lab.handle.wait_until(over).await.unwrap();
    let [seen] = state.store_operations.as_slice() else {
        panic!("{:?}", state.store_operations);
    };
    assert_eq!((&seen.id, seen.phase), (&result.id, Phase::Done));
    assert_eq!(seen.outcome, Some(Outcome::Confirmed));
    assert_eq!(seen.state_after, Some(StoreState::Inactive));
    assert_eq!(seen.actor, actor());
    assert_eq!(
        lab.records().await,
        [
            "outcome network-stop refused",
            "intent network-stop pending",
            "outcome network-stop ok"
        ]
    );
    let records = lab.handle.audit_tail(10, None).await.unwrap();
    let outcome = &records.last().unwrap().entry;
    assert_eq!(outcome.store.as_ref().unwrap().raw(), "network lan");
    assert_eq!(outcome.store_id.as_deref(), Some(vm_id(77).as_str()));
    assert_eq!(outcome.operation.as_deref(), Some(&*result.id.0));
    assert_eq!(outcome.plan, [format!("do network-stop {}", vm_id(77))]);
    assert_eq!(
        (
            outcome.state_before.as_deref(),
            outcome.state_after.as_deref()
        ),
        (Some("active"), Some("inactive"))
    );
    let twice = planned(&lab, StoreVerb::NetworkStop).await.unwrap_err();
    assert!(twice.message.contains("inactive already"), "{twice}");
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_refused_once_another_vm_uses_it() {
    let lab = one().await;
    let proposal = planned(&lab, StoreVerb::NetworkStop).await.unwrap();
    lab.world.with("h1", |machine| {
        let networks = machine.stores.networks.as_mut().unwrap();
        networks[0].users = Some(vec![user(1, "web-1", true), user(2, "db-1", true)]);
    });
    let result = run(&lab, proposal, Consent::Confirmed).await.unwrap();
    let Outcome::Refused { cause } = result.outcome else {
        panic!("{result:?}");
    };
    assert_eq!(cause.kind, ErrorKind::Conflict);
    assert!(cause.message.contains("other VMs use"), "{cause}");
    lab.world.with("h1", |machine| {
        assert!(
            machine
                .log
                .iter()
                .all(|(_, what)| !what.contains("network-stop"))
        );
    });
}

#[tokio::test(start_paused = true)]
async fn read_only_refuses_and_what_the_host_ignores_is_not_called_done() {
    let lab = one().await;
    lab.handle.set_read_only(true).await.unwrap();
    let refused = planned(&lab, StoreVerb::NetworkStop).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    lab.handle.set_read_only(false).await.unwrap();
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Ignores);
    let proposal = planned(&lab, StoreVerb::NetworkStop).await.unwrap();
    let result = run(&lab, proposal, Consent::Confirmed).await.unwrap();
    assert!(
        matches!(result.outcome, Outcome::Accepted { .. }),
        "{result:?}"
    );
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Refuses);
    let proposal = planned(&lab, StoreVerb::NetworkStop).await.unwrap();
    let result = run(&lab, proposal, Consent::Confirmed).await.unwrap();
    let Outcome::Failed { cause } = result.outcome else {
        panic!("{result:?}");
    };
    assert!(cause.message.contains("will not"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_its_turn_is_seen_and_can_be_called_back() {
    let lab = one().await;
    let proposal = planned(&lab, StoreVerb::NetworkStop).await.unwrap();
    lab.world.with("h1", |machine| {
        machine.obeys = Obeys::Hangs;
        machine.vms = (1..=4)
            .map(|n| vm(n, &format!("vm{n}"), PowerState::Stopped))
            .collect();
    });
    lab.handle.refresh(HostSelection::All).await.unwrap();
    lab.until(|state| {
        state
            .vm(&lab.vm("h1", 4))
            .is_some_and(|(_, vm)| vm.state == PowerState::Stopped)
    })
    .await;
    // As many as may be sent at once to a host.
    for n in 1..=4 {
        let plan = lab.plan("h1", n, ActionKind::Start).await.unwrap();
        lab.submit(plan).await.unwrap();
    }
    let begun = || {
        lab.world
            .with("h1", |machine| machine.times("do start").len())
    };
    lab.eventually("all four are sent", || begun() == 4).await;
    let calling_back = async {
        let queued = |state: &Arc<FleetSnapshot>| {
            let first = state.store_operations.first();
            first.is_some_and(|it| it.phase == Phase::Queued)
        };
        let state = lab.handle.wait_until(queued).await.unwrap();
        let id = state.store_operations[0].id.clone();
        lab.handle.withdraw(vec![id.clone()]).await.unwrap();
        id
    };
    let running = run(&lab, proposal, Consent::Confirmed);
    let (result, id) = tokio::join!(running, calling_back);
    let result = result.unwrap();
    assert!(
        matches!(result.outcome, Outcome::Refused { .. }),
        "{result:?}"
    );
    let ended =
        |state: &Arc<FleetSnapshot>| state.store_operations.iter().all(|it| it.is_finished());
    let state = lab.handle.wait_until(ended).await.unwrap();
    let over = &state.store_operations[0];
    assert!(over.id == id && over.withdrawn);
    let sent = lab
        .world
        .with("h1", |machine| machine.times("do network-stop").len());
    assert_eq!(sent, 0);
}
