//! Orders about several VMs by keys: marks, the plan, the progress, and what can be done about the rest.

use std::sync::Arc;

use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::host::HostId;
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::domain::operation::{OperationId, Outcome, Phase};
use vmdeck::domain::vm::VmRef;
use vmdeck::testing::fleet;
use vmdeck::tui::app::Screen as Shown;
use vmdeck::tui::event::Input;

use crate::harness::Screen;

fn of_host(host: i64, n: usize) -> VmRef {
    VmRef {
        host: HostId(host),
        vm: fleet::vm_id(host, n),
    }
}

/// The three of `kvm1` that run or start, ordered to be forced off; two of them have ended.
async fn half_failed() -> Screen {
    let mut screen = Screen::small((120, 30));
    screen
        .keys(r#"/ "host:kvm1 state:running" enter * F"#)
        .await;
    assert!(
        screen.text().contains("Force off 2 VMs?"),
        "{}",
        screen.text()
    );
    screen.keys("y").await;
    let mut state = FleetSnapshot::clone(&screen.app.snapshot);
    let ends = [
        Outcome::Confirmed,
        Outcome::Failed {
            cause: Failure::new(ErrorKind::Remote, "cannot acquire state change lock"),
        },
    ];
    let members: Vec<VmRef> = screen.app.bulks[0]
        .members
        .iter()
        .map(|it| it.vm.clone())
        .collect();
    for (n, end) in ends.into_iter().enumerate() {
        let mut operation = fleet::operation(&state, &members[n], ActionKind::ForceOff, 4);
        operation.id = OperationId(Arc::from(format!("op-{}", n + 1)));
        operation.phase = Phase::Done;
        operation.outcome = Some(end);
        operation.finished_at = Some(fleet::now());
        state.operations.push(Arc::new(operation));
    }
    screen.send(Input::Snapshot(Arc::new(state))).await;
    screen
}

#[tokio::test]
async fn the_progress_tells_each_vm_and_the_end_is_summed_up() {
    let mut screen = half_failed().await;
    let text = screen.text();
    assert!(text.contains("2 of 2 over: 1 done, 1 failed"), "{text}");
    assert!(text.contains("cannot acquire state change lock"), "{text}");
    assert!(text.contains("R repeat the failed"), "{text}");
    screen.keys("esc").await;
    assert!(screen.text().contains("force off 2 VMs: 1 done, 1 failed"));
    screen.keys("5").await;
    screen.later(20).await;
    let text = screen.text();
    assert!(
        text.contains("last order about several VMs: 1 done, 1 failed"),
        "{text}"
    );
    screen.keys("b").await;
    assert!(screen.text().contains("2 of 2 over"));
}

#[tokio::test]
async fn repeating_marks_exactly_the_failed_and_sends_nothing_by_itself() {
    let mut screen = half_failed().await;
    let failed = screen.app.bulks[0].members[1].vm.clone();
    let submitted = |screen: &Screen| {
        let asked = screen.asked();
        asked.iter().filter(|it| it.starts_with("submit")).count()
    };
    assert_eq!(submitted(&screen), 2);
    screen.keys("R").await;
    assert_eq!(screen.app.screen, Shown::Vms);
    assert_eq!(screen.app.vms.marks.iter().collect::<Vec<_>>(), [&failed]);
    assert!(screen.text().contains("Force off"), "{}", screen.text());
    assert_eq!(submitted(&screen), 2, "nothing is repeated by itself");
    screen.keys("enter").await;
    assert_eq!(submitted(&screen), 2, "Enter is the safe choice");
}

#[tokio::test]
async fn a_start_that_is_repeated_is_shown_although_policy_asks_nothing() {
    let mut screen = Screen::small((120, 30));
    screen.keys(r#"/ "state:stopped host:hv1" enter s"#).await;
    assert_eq!(
        screen
            .asked()
            .iter()
            .filter(|it| it.starts_with("submit"))
            .count(),
        1,
        "a start asks nothing"
    );
    let action = ActionKind::Start.into();
    let vm = of_host(5, 2);
    let effects =
        vmdeck::tui::acting::begin_anew(&mut screen.app, &action, vec![(vm, action.clone())]);
    screen.run(effects).await;
    assert!(
        screen.text().contains("Start win-test?"),
        "{}",
        screen.text()
    );
}

#[tokio::test]
async fn what_has_not_begun_is_called_back_by_x() {
    let mut screen = Screen::small((120, 30));
    screen
        .keys(r#"/ "host:kvm1 state:running" enter * F y"#)
        .await;
    assert!(
        screen.text().contains("0 of 2 over: 2 waiting"),
        "{}",
        screen.text()
    );
    screen.keys("x").await;
    assert_eq!(screen.asked().last().unwrap(), "withdraw 2");
    screen.keys("x").await;
    assert!(screen.text().contains("called back already"));
    let mut state = FleetSnapshot::clone(&screen.app.snapshot);
    for n in 0..2 {
        let vm = screen.app.bulks[0].members[n].vm.clone();
        let mut operation = fleet::operation(&state, &vm, ActionKind::ForceOff, 4);
        operation.id = OperationId(Arc::from(format!("op-{}", n + 1)));
        operation.phase = Phase::Done;
        operation.withdrawn = true;
        operation.outcome = Some(Outcome::Refused {
            cause: Failure::new(ErrorKind::Conflict, "cancelled"),
        });
        state.operations.push(Arc::new(operation));
    }
    screen.send(Input::Snapshot(Arc::new(state))).await;
    let text = screen.text();
    assert!(text.contains("2 of 2 over: 2 not started"), "{text}");
    screen.keys("R").await;
    assert!(screen.text().contains("none of it failed"));
    screen.keys("N").await;
    assert!(screen.text().contains("Force off 2 VMs?"));
}

#[tokio::test]
async fn those_that_fit_an_expression_are_marked_among_those_that_are_shown() {
    let mut screen = Screen::small((120, 30));
    screen.keys(r#"/ "host:kvm*" enter + "name:web*"#).await;
    let text = screen.text();
    assert!(text.contains("2 of the 11 shown"), "{text}");
    screen.keys("enter").await;
    assert_eq!(screen.app.vms.marks.len(), 2);
    // A mistake marks nothing and stays to be mended.
    screen.keys(r#"+ "cpu>" enter"#).await;
    assert_eq!(screen.app.vms.marks.len(), 2);
    screen.keys("esc").await;
    screen.keys(r#"+ "marked" enter"#).await;
    assert_eq!(screen.app.vms.marks.len(), 2);
}

#[tokio::test]
async fn a_marked_vm_that_vanishes_is_told_and_left_out_of_the_plan_in_words() {
    let mut screen = Screen::small((120, 30));
    screen.keys(r#"/ "name:web*" enter *"#).await;
    let mut state = FleetSnapshot::clone(&screen.app.snapshot);
    for host in &mut state.hosts {
        let host = Arc::make_mut(host);
        if let Some(inventory) = &host.inventory {
            let mut inventory = (**inventory).clone();
            inventory.vms.retain(|vm| vm.name.shown() != "web-2");
            host.inventory = Some(Arc::new(inventory));
        }
    }
    screen.send(Input::Snapshot(Arc::new(state))).await;
    assert!(screen.text().contains("web-2 was marked and is gone"));
    assert!(screen.text().contains("1 marked, 1 gone"));
    screen.keys("S").await;
    let text = screen.text();
    assert!(text.contains("Left out: 1"), "{text}");
    assert!(text.contains("is not there any more"), "{text}");
    screen.keys("enter u").await;
    assert!(!screen.text().contains("1 gone"));
}

#[tokio::test]
async fn of_very_many_a_key_tells_why_it_is_about_none() {
    let mut screen = Screen::new(fleet::grid(6, 50), (140, 30));
    screen.keys(r#"/ "state:running" enter *"#).await;
    let marked = screen.app.vms.marks.len();
    assert!(marked > 100, "{marked}");
    screen.keys("s").await;
    let text = screen.text();
    assert!(text.contains("cannot start: "), "{text}");
    assert!(screen.app.overlays.is_empty(), "{text}");
}
