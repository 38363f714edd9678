//! What every driver must do about VM snapshots, on every host, whatever it is made of.

use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::snapshot::{
    Chosen, DeleteScope, NewSnapshot, SnapshotRequest, VmSnapshot, depths, find,
};
use vmdeck::domain::vm::{PowerState, VmId};
use vmdeck::hypervisor::{Drivers, Hypervisor, HypervisorError, ProgressSink};

use crate::driver_suite::{Bench, drivers, must, open, until, until_state};

/// Runs a request as the program would.
pub(crate) async fn ask(
    bench: &dyn Bench,
    driver: &dyn Hypervisor,
    request: SnapshotRequest,
) -> Result<(), HypervisorError> {
    let vm = bench.disked();
    let commands = drivers().commands(bench.kind(), &bench.spec(), &vm, &request.into())?;
    driver.perform(&commands, &ProgressSink::unheard()).await
}

fn create(name: &str) -> SnapshotRequest {
    SnapshotRequest::Create(NewSnapshot::named(name.parse().unwrap()))
}

async fn tree(driver: &dyn Hypervisor, vm: &VmId) -> Vec<VmSnapshot> {
    driver.snapshots(vm).await.expect("the snapshots")
}

fn names(tree: &[VmSnapshot]) -> Vec<&str> {
    tree.iter().map(|one| one.name.raw()).collect()
}

fn chosen(tree: &[VmSnapshot], name: &str) -> Chosen {
    find(tree, name).expect("the snapshot").into()
}

/// A snapshot is made, found with all that is known of it, gone back to, and deleted; the tree and the
/// list agree all the while.
pub(crate) async fn come_and_go(bench: &dyn Bench) {
    let driver = open(bench).await;
    let driver = driver.as_ref();
    let vm = bench.disked();
    driver.inventory(Scope::Full).await.expect("an inventory");
    assert_eq!(tree(driver, &vm).await, []);

    ask(bench, driver, create("off")).await.expect("a snapshot");
    let one = tree(driver, &vm).await;
    assert_eq!(names(&one), ["off"]);
    assert!(one[0].is_current && one[0].parent.is_none());
    assert!(one[0].taken.is_some());
    assert_eq!(one[0].has_memory, Some(false));

    must(bench, driver, &vm, ActionKind::Start).await;
    until_state(driver, &vm, &PowerState::Running).await;
    ask(bench, driver, create("running"))
        .await
        .expect("a snapshot");
    let two = tree(driver, &vm).await;
    assert_eq!(names(&two), ["off", "running"]);
    assert_eq!(depths(&two), [0, 1]);
    assert_eq!(two[1].has_memory, Some(true));
    assert_eq!(two[1].parent.as_ref(), Some(&two[0].id));
    assert!(two[1].is_current && !two[0].is_current);
    let told = until(driver, Scope::Full, &vm, "counted", |vm| {
        vm.facts.snapshots == Some(2)
    })
    .await;
    let listed = told.facts.snapshot_tree.as_deref().expect("the tree");
    assert_eq!((names(listed), depths(listed)), (names(&two), depths(&two)));
    assert_eq!(listed[0].taken, two[0].taken);

    let back = SnapshotRequest::Revert(chosen(&two, "off"));
    ask(bench, driver, back.clone()).await.expect("a revert");
    let after = tree(driver, &vm).await;
    assert!(back.is_met_by(&after), "{after:?}");
    until_state(driver, &vm, &PowerState::Stopped).await;

    let gone = SnapshotRequest::Delete(chosen(&two, "off"), DeleteScope::This);
    ask(bench, driver, gone.clone()).await.expect("a deletion");
    let left = tree(driver, &vm).await;
    assert!(gone.is_met_by(&left));
    assert_eq!((names(&left), depths(&left)), (vec!["running"], vec![0]));

    let refused = ask(bench, driver, gone)
        .await
        .expect_err("nothing to delete");
    assert!(
        matches!(refused.kind(), ErrorKind::NotFound | ErrorKind::Remote),
        "{refused}"
    );

    ask(bench, driver, create("child"))
        .await
        .expect("a snapshot");
    let two = tree(driver, &vm).await;
    let root = two.first().expect("a first one").name.raw().to_owned();
    let all = SnapshotRequest::Delete(chosen(&two, &root), DeleteScope::WithChildren);
    ask(bench, driver, all).await.expect("a deletion");
    for one in tree(driver, &vm).await {
        let rest = SnapshotRequest::Delete((&one).into(), DeleteScope::This);
        ask(bench, driver, rest).await.expect("a deletion");
    }
    assert_eq!(tree(driver, &vm).await, []);
    until(driver, Scope::Full, &vm, "without snapshots", |vm| {
        vm.facts.snapshots == Some(0) && vm.facts.snapshot_tree.as_deref() == Some(&[])
    })
    .await;
    driver.close().await;
}

/// Names that mean something to a shell, to `virsh` and to PowerShell are names and nothing else.
pub(crate) async fn bear_any_name(bench: &dyn Bench) {
    let driver = open(bench).await;
    let driver = driver.as_ref();
    let vm = bench.disked();
    let odd = [
        "two words; 'x'",
        "$(id) `x`",
        "na\u{ef}ve \u{2603}",
        "a \"b\" & c | d > e",
        "100% #1 {0} @{x}",
    ];
    for name in odd {
        ask(bench, driver, create(name)).await.expect(name);
    }
    let all = tree(driver, &vm).await;
    assert_eq!(names(&all), odd);
    for name in odd {
        let gone = SnapshotRequest::Delete(chosen(&all, name), DeleteScope::This);
        ask(bench, driver, gone).await.expect(name);
    }
    assert_eq!(tree(driver, &vm).await, []);
    driver.close().await;
}
