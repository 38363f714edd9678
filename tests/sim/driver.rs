//! The whole demo fleet and a grid, read by our own driver.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vmdeck::clock::Clock;
use vmdeck::domain::host::HostSpec;
use vmdeck::domain::inventory::{HostInventory, Scope};
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::vm::{PowerState, Vm};
use vmdeck::hypervisor::{Drivers, InstalledDrivers, PollHint};
use vmdeck::session::command_log::{CommandLog, RecordingTransport};
use vmdeck::sim::{Scenario, SimState};
use vmdeck::transport::ExecLimits;

use crate::support::simulated::SimFleet;

const BOUND: Duration = Duration::from_secs(30);

async fn read(fleet: &SimFleet, spec: &HostSpec, scope: Scope) -> HostInventory {
    let drivers = InstalledDrivers::new(Clock::system());
    let link = fleet.connect(spec.name.as_str()).await;
    let driver = drivers.open(link, spec).await.expect("a driver");
    driver.probe().await.expect("a probe");
    let end = Instant::now() + BOUND;
    loop {
        let inventory = driver.inventory(scope).await.expect("an inventory");
        // Rates are differences of two readings some time apart.
        let measured = |vm: &Arc<Vm>| vm.state != PowerState::Running || vm.stats.cpu.is_some();
        if inventory.vms.iter().all(measured) {
            driver.close().await;
            return inventory;
        }
        assert!(Instant::now() < end, "a running VM never has a load");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The demo fleet without its slow host; that it is slow is tested elsewhere.
async fn quick_demo() -> SimFleet {
    let fleet = SimFleet::of(Scenario::demo().expect("the demo")).await;
    for control in fleet.demo.control.hosts() {
        let mut faults = control.faults();
        faults.latency = Duration::ZERO;
        faults.stats_latency = Duration::ZERO;
        control.set_faults(faults);
    }
    fleet
}

const fn is(state: SimState, power: &PowerState) -> bool {
    matches!(
        (state, power),
        (SimState::Running, PowerState::Running)
            | (SimState::Paused, PowerState::Paused)
            | (SimState::Stopped, PowerState::Stopped)
            | (SimState::Saved, PowerState::Saved)
            | (
                SimState::Crashed,
                PowerState::Crashed | PowerState::Unknown(_)
            )
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_fleet_reads_as_the_scenario_says() {
    let fleet = quick_demo().await;
    let readings = fleet
        .demo
        .hosts
        .iter()
        .map(|host| read(&fleet, &host.spec, Scope::Full));
    let inventories = futures_util::future::join_all(readings).await;
    let mut vms = 0;
    for (host, inventory) in fleet.demo.hosts.iter().zip(inventories) {
        let name = host.spec.name.as_str();
        assert!(inventory.gaps.is_empty(), "{name}: {:?}", inventory.gaps);
        for truth in fleet.control(name).vms() {
            let seen = inventory
                .vms
                .iter()
                .find(|vm| vm.id.as_str() == truth.uuid)
                .unwrap_or_else(|| panic!("{name}/{} is missing", truth.name));
            assert_eq!(seen.name.raw(), truth.name);
            assert!(
                is(truth.state, &seen.state),
                "{name}/{}: {:?}",
                truth.name,
                seen.state
            );
            assert_eq!(seen.facts.autostart, Some(truth.autostart));
            let has_process = matches!(truth.state, SimState::Running | SimState::Paused);
            assert!(
                !has_process || seen.stats.uptime.is_some(),
                "{name}/{}: no uptime",
                truth.name
            );
            if truth.state == SimState::Running {
                let cpu = seen.stats.cpu.expect("a load").value();
                assert!((0.0..=101.0).contains(&cpu), "{name}/{}: {cpu}", truth.name);
                assert!(seen.stats.uptime.is_some(), "{name}/{}", truth.name);
            }
            vms += 1;
        }
        assert!(inventory.load.cpu.is_some(), "{name}");
        assert!(inventory.load.memory_used.is_some(), "{name}");
    }
    assert!(vms >= 55, "{vms} VMs");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_has_as_many_hosts_and_vms_as_asked_for() {
    let grid = Scenario::grid(60, 50)
        .expect("a grid")
        .with_address_per_host();
    let fleet = SimFleet::of(grid).await;
    assert_eq!(fleet.demo.hosts.len(), 60);
    let last = &fleet.demo.hosts[59];
    assert_eq!(last.spec.endpoint.address, "127.77.0.60");
    let inventory = read(&fleet, &last.spec, Scope::Fast).await;
    assert_eq!(inventory.vms.len(), 50);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vms_that_come_and_go_are_announced_and_read() {
    let fleet = SimFleet::start("[[host]]\nname = \"a\"\n").await;
    let control = fleet.control("a");
    let drivers = InstalledDrivers::new(Clock::system());
    let spec = &fleet.host("a").spec;
    let driver = drivers
        .open(fleet.connect("a").await, spec)
        .await
        .expect("a driver");
    let count = async || {
        driver
            .inventory(Scope::Fast)
            .await
            .expect("an inventory")
            .vms
            .len()
    };
    assert_eq!(count().await, 0);
    let mut hints = driver.hints().await.expect("hints").expect("announcements");
    // Until its process listens, changes are missed: they are made again until one is heard.
    let mut heard = None;
    for number in 0..100 {
        control.define(&format!("new-{number}")).expect("defined");
        let next = tokio::time::timeout(Duration::from_millis(200), hints.next()).await;
        if let Ok(hint) = next {
            heard = Some(hint.expect("a hint"));
            break;
        }
    }
    assert_eq!(heard, Some(PollHint::ListChanged));
    let known = control.vms().len();
    assert_eq!(count().await, known);
    control.remove("new-0").expect("removed");
    hints.next().await.expect("a hint");
    assert_eq!(count().await, known - 1);
    driver.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_definition_of_the_demo_is_well_formed() {
    let fleet = quick_demo().await;
    for host in &fleet.demo.hosts {
        let name = host.spec.name.as_str();
        if fleet.control(name).windows().is_some() {
            continue;
        }
        let link = fleet.connect(name).await;
        for vm in fleet.control(name).vms() {
            let words = ["virsh", "-q", "-c", "qemu:///system", "dumpxml", &vm.uuid];
            let command = if host.spec.sudo {
                RemoteCommand::posix("sudo").arg("-n").args(words)
            } else {
                RemoteCommand::posix("virsh").args(words.into_iter().skip(1))
            };
            let output = link
                .exec(&command, ExecLimits::within(BOUND))
                .await
                .expect("an answer");
            let text = String::from_utf8(output.stdout).expect("UTF-8");
            let document = roxmltree::Document::parse(&text).expect("XML");
            let named = document
                .descendants()
                .find(|node| node.has_tag_name("name"));
            assert_eq!(named.and_then(|node| node.text()), Some(vm.name.as_str()));
        }
        link.close().await;
    }
}

#[tokio::test]
async fn the_command_log_tells_what_was_asked_over_the_kept_process() {
    let fleet = quick_demo().await;
    let host = fleet.demo.hosts.first().expect("a host");
    let spec = &host.spec;
    let log = CommandLog::default();
    let link = RecordingTransport::new(
        fleet.connect(spec.name.as_str()).await,
        spec.name.clone(),
        Clock::system(),
        log.clone(),
    );
    let drivers = InstalledDrivers::new(Clock::system());
    let driver = drivers.open(Arc::new(link), spec).await.expect("a driver");
    // The first read asks for the names too; those after it ask the same.
    for _ in 0..4 {
        driver.inventory(Scope::Fast).await.expect("an inventory");
    }
    let told = log.records();
    let reads: Vec<_> = told
        .iter()
        .filter(|record| record.command.starts_with("virsh: domstats "))
        .collect();
    assert!(reads.iter().all(|record| record.status == "ok"), "{told:?}");
    let times: u32 = reads.iter().map(|record| record.times).sum();
    assert_eq!(times, 4, "{told:?}");
    assert!(reads.len() < 4, "what repeats is one record: {told:?}");
    driver.close().await;
}
