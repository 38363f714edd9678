//! What every driver must do on every host, whatever it is made of. Run on real libvirt hosts of the
//! laboratory (`libvirt.rs`), on simulated ones, and on emulated Hyper-V hosts of every kind: each check
//! takes a [`Bench`] and fails by a panic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use vmdeck::clock::Clock;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::host::{HostSpec, HypervisorKind};
use vmdeck::domain::inventory::{HostInventory, Scope};
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::vm::{PowerState, Vm, VmId};
use vmdeck::hypervisor::{
    Drivers, Hints, Hypervisor, HypervisorError, InstalledDrivers, PollHint, ProgressSink,
};
use vmdeck::transport::Transport;

/// How long anything may take to become true.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A host to run the checks on, with two VMs that are off and that nobody else uses.
#[async_trait]
pub(crate) trait Bench: Send + Sync {
    /// Opens another link to it.
    async fn connect(&self) -> Arc<dyn Transport>;

    /// How it is defined.
    fn spec(&self) -> HostSpec;

    /// A VM that ignores its power button.
    fn deaf(&self) -> VmId;

    /// A VM that powers off when its button is pressed.
    fn obedient(&self) -> VmId;

    /// Waits until the obedient VM, just started, listens to its button.
    async fn wait_ready(&self);

    /// Which hypervisor it is.
    fn kind(&self) -> HypervisorKind;

    /// How its driver says that it reads it.
    fn channel(&self) -> &'static str;

    /// How its version begins.
    fn version(&self) -> &'static str;

    /// Actions that nobody can ask of it.
    fn lacks(&self) -> &'static [ActionKind] {
        &[]
    }

    /// Starts a VM or cuts its power, behind the driver's back.
    async fn power(&self, vm: &VmId, on: bool);
}

/// A driver on a link of its own, probed as every driver is before it is used.
pub(crate) async fn open(bench: &dyn Bench) -> Box<dyn Hypervisor> {
    let driver = bind(bench).await;
    driver.probe().await.expect("a probe");
    driver
}

/// A driver on a link of its own that has asked nothing yet.
pub(crate) async fn bind(bench: &dyn Bench) -> Box<dyn Hypervisor> {
    drivers()
        .open(bench.connect().await, &bench.spec())
        .await
        .expect("a driver")
}

/// The drivers as the program has them.
pub(crate) fn drivers() -> InstalledDrivers {
    InstalledDrivers::new(Clock::system())
}

/// Runs a verb as the program would.
pub(crate) async fn perform(
    bench: &dyn Bench,
    driver: &dyn Hypervisor,
    vm: &VmId,
    kind: ActionKind,
) -> Result<(), HypervisorError> {
    let commands = drivers()
        .commands(bench.kind(), &bench.spec(), vm, &kind.into())
        .expect("commands");
    driver.perform(&commands, &ProgressSink::unheard()).await
}

/// Reads until a VM is as wanted.
pub(crate) async fn until(
    driver: &dyn Hypervisor,
    scope: Scope,
    vm: &VmId,
    what: &str,
    wanted: impl Fn(&Vm) -> bool,
) -> Arc<Vm> {
    let start = Instant::now();
    loop {
        let inventory = driver.inventory(scope).await.expect("an inventory");
        let found = inventory.vm(vm);
        if let Some(found) = found.filter(|found| wanted(found)) {
            return Arc::clone(found);
        }
        assert!(start.elapsed() < BOUND, "never {what}: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads until the host's own processor share is known: a difference, so not in the first read.
async fn until_loaded(driver: &dyn Hypervisor) -> HostInventory {
    let start = Instant::now();
    loop {
        let inventory = driver.inventory(Scope::Fast).await.expect("an inventory");
        if inventory.load.cpu.is_some() {
            return inventory;
        }
        assert!(start.elapsed() < BOUND, "the host's load was never known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_state(driver: &dyn Hypervisor, vm: &VmId, state: &PowerState) -> Arc<Vm> {
    until(driver, Scope::Fast, vm, state.word(), |vm| {
        vm.state == *state
    })
    .await
}

async fn must(bench: &dyn Bench, driver: &dyn Hypervisor, vm: &VmId, kind: ActionKind) {
    perform(bench, driver, vm, kind)
        .await
        .unwrap_or_else(|error| panic!("{kind}: {error}"));
}

/// A probe names the hypervisor with its version, its connection and what can be done.
pub(crate) async fn probes(bench: &dyn Bench) {
    let driver = open(bench).await;
    let found = driver.probe().await.expect("a probe");
    assert_eq!(found.kind, bench.kind());
    assert!(
        found.version.raw().starts_with(bench.version()),
        "{}",
        found.version
    );
    assert!(found.connection.is_some());
    assert_eq!(found.channel, bench.channel());
    let missing: Vec<ActionKind> = ActionKind::ALL
        .into_iter()
        .filter(|kind| !found.actions.contains(kind))
        .collect();
    assert_eq!(missing, bench.lacks());
    assert!(found.host_cpus.is_some_and(|count| count > 0));
    assert!(found.host_memory.is_some_and(|memory| memory.0 > 0));
    driver.close().await;
}

/// An inventory holds every VM once, in order, with what is known and nothing that is not.
pub(crate) async fn lists(bench: &dyn Bench) -> HostInventory {
    let driver = open(bench).await;
    let first = driver.inventory(Scope::Full).await.expect("an inventory");
    assert!(first.gaps.is_empty(), "{:?}", first.gaps);
    let mut names: Vec<&str> = first.vms.iter().map(|vm| vm.name.raw()).collect();
    names.sort_unstable();
    let given: Vec<&str> = first.vms.iter().map(|vm| vm.name.raw()).collect();
    assert_eq!(given, names);
    let off = first.vm(&bench.deaf()).expect("the VM");
    assert_eq!(off.state, PowerState::Stopped);
    assert_eq!(off.stats.cpu, None);
    assert_eq!(off.stats.memory_used, None);
    assert_eq!(off.stats.uptime, None);
    assert!(off.stats.memory_assigned.is_some());
    assert!(off.stats.vcpus.is_some());
    assert_eq!(off.facts.autostart, Some(false));
    assert_eq!(off.facts.persistent, Some(true));
    assert_eq!(off.facts.snapshots, Some(0));
    assert_eq!(off.facts.addresses, Some(Vec::new()));
    assert!(first.load.memory_total.is_some());
    let second = until_loaded(driver.as_ref()).await;
    let facts = |inventory: &HostInventory| Arc::clone(&inventory.vm(&bench.deaf()).unwrap().facts);
    assert_eq!(facts(&first), facts(&second));
    driver.close().await;
    first
}

/// Every verb does what its row of the catalogue says.
pub(crate) async fn obeys_every_verb(bench: &dyn Bench) {
    let driver = open(bench).await;
    let driver = driver.as_ref();
    let vm = bench.deaf();
    driver.inventory(Scope::Fast).await.expect("an inventory");

    must(bench, driver, &vm, ActionKind::Start).await;
    let running = until_state(driver, &vm, &PowerState::Running).await;
    assert!(running.stats.uptime.is_some(), "its start was seen");
    assert!(running.stats.memory_used.is_some());
    let busy = until(driver, Scope::Fast, &vm, "measured", |vm| {
        vm.stats.cpu.is_some()
    })
    .await;
    assert!(busy.stats.cpu.unwrap().value() <= 100.0);

    must(bench, driver, &vm, ActionKind::Pause).await;
    until_state(driver, &vm, &PowerState::Paused).await;
    must(bench, driver, &vm, ActionKind::Resume).await;
    until_state(driver, &vm, &PowerState::Running).await;
    must(bench, driver, &vm, ActionKind::Reset).await;
    until_state(driver, &vm, &PowerState::Running).await;

    must(bench, driver, &vm, ActionKind::Save).await;
    let saved = until_state(driver, &vm, &PowerState::Saved).await;
    assert_eq!(saved.stats.uptime, None);
    must(bench, driver, &vm, ActionKind::Start).await;
    until_state(driver, &vm, &PowerState::Running).await;
    must(bench, driver, &vm, ActionKind::ForceOff).await;
    until_state(driver, &vm, &PowerState::Stopped).await;

    if bench.lacks().contains(&ActionKind::AutostartOn) {
        driver.close().await;
        return;
    }
    must(bench, driver, &vm, ActionKind::AutostartOn).await;
    until(driver, Scope::Full, &vm, "autostarted", |vm| {
        vm.facts.autostart == Some(true)
    })
    .await;
    must(bench, driver, &vm, ActionKind::AutostartOff).await;
    until(driver, Scope::Full, &vm, "not autostarted", |vm| {
        vm.facts.autostart == Some(false)
    })
    .await;
    driver.close().await;
}

/// A VM that is not there: said so, or in the host's own words.
fn is_about_nobody(error: &HypervisorError) -> bool {
    matches!(error.kind(), ErrorKind::Remote | ErrorKind::NotFound)
}

/// A refusal is told in the host's own words, and is no failure of the link.
pub(crate) async fn tells_refusals(bench: &dyn Bench) {
    let driver = open(bench).await;
    let error = perform(bench, driver.as_ref(), &bench.deaf(), ActionKind::Pause)
        .await
        .expect_err("a stopped VM cannot be paused");
    assert!(
        matches!(error.kind(), ErrorKind::Remote | ErrorKind::Conflict),
        "{error}"
    );
    let nobody = VmId::parse("00000000-0000-4000-8000-000000000001").unwrap();
    let error = perform(bench, driver.as_ref(), &nobody, ActionKind::Start)
        .await
        .expect_err("there is no such VM");
    assert!(is_about_nobody(&error), "{error}");
    let error = driver.detail(&nobody).await.expect_err("no such VM");
    assert!(is_about_nobody(&error), "{error}");
    driver.close().await;
}

/// A VM that obeys ends when asked to; one that does not goes on running, and nothing is said to
/// have failed.
pub(crate) async fn asks_guests_to_stop(bench: &dyn Bench) {
    let driver = open(bench).await;
    let driver = driver.as_ref();
    let (obedient, deaf) = (bench.obedient(), bench.deaf());
    must(bench, driver, &obedient, ActionKind::Start).await;
    must(bench, driver, &deaf, ActionKind::Start).await;
    bench.wait_ready().await;
    until_state(driver, &obedient, &PowerState::Running).await;
    until_state(driver, &deaf, &PowerState::Running).await;
    must(bench, driver, &deaf, ActionKind::Shutdown).await;
    must(bench, driver, &obedient, ActionKind::Shutdown).await;
    until_state(driver, &obedient, &PowerState::Stopped).await;
    until_state(driver, &deaf, &PowerState::Running).await;
    must(bench, driver, &deaf, ActionKind::ForceOff).await;
    until_state(driver, &deaf, &PowerState::Stopped).await;
    driver.close().await;
}

/// What happens behind the driver's back is announced and then read.
pub(crate) async fn announces_changes(bench: &dyn Bench) {
    let driver = open(bench).await;
    let vm = bench.deaf();
    driver.inventory(Scope::Fast).await.expect("an inventory");
    let mut hints = driver.hints().await.expect("hints").expect("announcements");
    // Until its process listens, a change would be missed: it is made again until one is heard.
    let start = Instant::now();
    let heard = loop {
        bench.power(&vm, true).await;
        bench.power(&vm, false).await;
        let next = tokio::time::timeout(Duration::from_secs(1), hints.next()).await;
        if let Ok(hint) = next {
            break hint.expect("a hint");
        }
        let channel = driver.channel();
        assert!(
            start.elapsed() < BOUND,
            "nothing was heard through {channel:?}"
        );
    };
    assert_eq!(heard, PollHint::Changed);
    bench.power(&vm, true).await;
    heeds(driver.as_ref(), hints.as_mut(), &vm, &PowerState::Running).await;
    bench.power(&vm, false).await;
    heeds(driver.as_ref(), hints.as_mut(), &vm, &PowerState::Stopped).await;
    driver.close().await;
}

/// Reads when something is announced, and only then, until a VM is in a state.
async fn heeds(driver: &dyn Hypervisor, hints: &mut dyn Hints, vm: &VmId, state: &PowerState) {
    let heeding = async {
        loop {
            hints.next().await.expect("a hint");
            let inventory = driver.inventory(Scope::Fast).await.expect("an inventory");
            if inventory.vm(vm).is_some_and(|vm| vm.state == *state) {
                break;
            }
        }
    };
    tokio::time::timeout(BOUND, heeding)
        .await
        .unwrap_or_else(|_| panic!("{} was never announced", state.word()));
}

/// Details hold the definition and what is in it.
pub(crate) async fn details(bench: &dyn Bench) {
    let driver = open(bench).await;
    let detail = driver.detail(&bench.deaf()).await.expect("details");
    // Unknown only where a part could not be read, and then it is said.
    let unknown = detail.facts.autostart.is_none() && !detail.gaps.is_empty();
    assert!(unknown || detail.facts.autostart == Some(false));
    assert_eq!(detail.facts.persistent, Some(true));
    let text: Vec<&str> = detail.definition.0.iter().map(RemoteText::raw).collect();
    let id = bench.deaf().as_str().to_lowercase();
    let is_named = text.iter().any(|line| line.to_lowercase().contains(&id));
    assert!(is_named || !detail.gaps.is_empty(), "{text:?}");
    assert!(!text.join("").contains("passwd"));
    driver.close().await;
}

/// Two drivers on two links do not disturb each other, and one driver answers several at once.
pub(crate) async fn answers_several_at_once(bench: &dyn Bench) {
    let (one, other) = (open(bench).await, open(bench).await);
    let deaf = bench.deaf();
    let (a, b, c, d) = tokio::join!(
        one.inventory(Scope::Full),
        one.inventory(Scope::Fast),
        other.inventory(Scope::Fast),
        one.detail(&deaf)
    );
    for inventory in [a, b, c] {
        assert!(inventory.expect("an inventory").vm(&bench.deaf()).is_some());
    }
    d.expect("details");
    one.close().await;
    // A closed driver starts what it needs anew.
    one.inventory(Scope::Fast).await.expect("an inventory");
    one.close().await;
    other.close().await;
}

/// Waits until a restart of a VM is announced.
async fn until_restarted(hints: &mut dyn Hints, name: &str) {
    let announced = async {
        loop {
            match hints.next().await.expect("a hint") {
                PollHint::Restarted { vm } if vm.raw() == name => break,
                PollHint::Restarted { .. } | PollHint::Changed | PollHint::ListChanged => {}
            }
        }
    };
    tokio::time::timeout(BOUND, announced)
        .await
        .expect("the announcement of a restart");
}

/// Restarts, asked for or forced, leave the VM running and are announced.
pub(crate) async fn announces_restarts(bench: &dyn Bench) {
    let driver = open(bench).await;
    let driver = driver.as_ref();
    let (obedient, deaf) = (bench.obedient(), bench.deaf());
    let inventory = driver.inventory(Scope::Fast).await.expect("an inventory");
    let name = |id: &VmId| inventory.vm(id).expect("the VM").name.raw().to_owned();
    let mut hints = driver.hints().await.expect("hints").expect("announcements");
    start_both(bench, driver).await;
    must(bench, driver, &deaf, ActionKind::Reset).await;
    until_restarted(hints.as_mut(), &name(&deaf)).await;
    must(bench, driver, &obedient, ActionKind::Reboot).await;
    until_restarted(hints.as_mut(), &name(&obedient)).await;
    cut_both(bench, driver).await;
    driver.close().await;
}

/// Restarts, asked for or forced, leave the VM running and set its uptime back.
pub(crate) async fn shows_restarts(bench: &dyn Bench) {
    let driver = open(bench).await;
    let driver = driver.as_ref();
    start_both(bench, driver).await;
    let cases = [
        (bench.deaf(), ActionKind::Reset),
        (bench.obedient(), ActionKind::Reboot),
    ];
    for (vm, kind) in cases {
        // An uptime means little without the moment of the read; when the VM was started does.
        let (_, begun) = began_between(driver, &vm, Duration::from_millis(1_500)).await;
        must(bench, driver, &vm, kind).await;
        let start = Instant::now();
        loop {
            let (earliest, _) = began_between(driver, &vm, Duration::ZERO).await;
            if earliest > begun {
                break;
            }
            assert!(
                start.elapsed() < BOUND,
                "{kind}: its uptime never went back"
            );
        }
    }
    cut_both(bench, driver).await;
    driver.close().await;
}

/// When a VM that has been up for `least` was started: not before the first and not after the second
/// moment, however long the read took.
async fn began_between(driver: &dyn Hypervisor, vm: &VmId, least: Duration) -> (Instant, Instant) {
    let start = Instant::now();
    loop {
        let before = Instant::now();
        let inventory = driver.inventory(Scope::Fast).await.expect("an inventory");
        let found = inventory.vm(vm).expect("the VM");
        if let Some(uptime) = found.stats.uptime
            && uptime >= least
            && found.state == PowerState::Running
        {
            let ago = |moment: Instant| moment.checked_sub(uptime).expect("a moment");
            return (ago(before), ago(Instant::now()));
        }
        assert!(start.elapsed() < BOUND, "never up for {least:?}: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn start_both(bench: &dyn Bench, driver: &dyn Hypervisor) {
    must(bench, driver, &bench.obedient(), ActionKind::Start).await;
    must(bench, driver, &bench.deaf(), ActionKind::Start).await;
    bench.wait_ready().await;
}

async fn cut_both(bench: &dyn Bench, driver: &dyn Hypervisor) {
    for vm in [bench.obedient(), bench.deaf()] {
        until_state(driver, &vm, &PowerState::Running).await;
        must(bench, driver, &vm, ActionKind::ForceOff).await;
        until_state(driver, &vm, &PowerState::Stopped).await;
    }
}
