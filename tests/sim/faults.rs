//! Everything that can be wrong with a simulated host, seen through our own transport and driver.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vmdeck::clock::Clock;
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::inventory::{HostInventory, Scope};
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::hypervisor::{Drivers, HypervisorError, InstalledDrivers};
use vmdeck::sim::{Access, Faults, VirshHealth};
use vmdeck::transport::{Chunk, ExecLimits, ExitStatus, Transport};

use crate::support::simulated::SimFleet;

const BOUND: Duration = Duration::from_secs(30);

const SCENARIO: &str = r#"
[[host]]
name = "a"
[[host.vm]]
name = "web"
"#;

async fn fleet_with(change: impl FnOnce(&mut Faults)) -> SimFleet {
    let fleet = SimFleet::start(SCENARIO).await;
    let control = fleet.control("a");
    let mut faults = control.faults();
    change(&mut faults);
    control.set_faults(faults);
    fleet
}

async fn status(link: &Arc<dyn Transport>, command: RemoteCommand) -> ExitStatus {
    link.exec(&command, ExecLimits::within(BOUND))
        .await
        .expect("an answer")
        .status
}

async fn inventory(fleet: &SimFleet, sudo: bool) -> Result<HostInventory, HypervisorError> {
    let mut spec = fleet.host("a").spec.clone();
    spec.sudo = sudo;
    let drivers = InstalledDrivers::new(Clock::system());
    let driver = drivers.open(fleet.connect("a").await, &spec).await?;
    let inventory = driver.inventory(Scope::Fast).await;
    driver.close().await;
    inventory
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_host_keeps_one_waiting() {
    const LATENCY: Duration = Duration::from_millis(300);
    let fleet = fleet_with(|faults| faults.latency = LATENCY).await;
    let link = fleet.connect("a").await;
    let start = Instant::now();
    assert!(
        status(&link, RemoteCommand::posix("true"))
            .await
            .is_success()
    );
    assert!(start.elapsed() >= LATENCY);
    let found = inventory(&fleet, false).await.expect("an inventory");
    assert_eq!(found.vms.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_command_is_ended_by_its_time_limit() {
    let fleet = fleet_with(|faults| faults.hanging = vec!["domstats".to_owned()]).await;
    let link = fleet.connect("a").await;
    let hanging = RemoteCommand::posix("virsh")
        .args(["-q", "domstats"])
        .life(Duration::from_secs(1));
    assert_eq!(status(&link, hanging).await, ExitStatus::Code(124));
    let other = RemoteCommand::posix("virsh").args(["-q", "list"]);
    assert!(status(&link, other).await.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_beyond_the_limit_are_refused_until_one_ends() {
    let fleet = fleet_with(|faults| faults.max_sessions = 2).await;
    let link = fleet.connect("a").await;
    let cat = RemoteCommand::posix("cat");
    let mut one = link.spawn(&cat).await.expect("a session");
    let mut two = link.spawn(&cat).await.expect("another");
    for process in [&mut one, &mut two] {
        process.write(b"x").await.expect("input");
        assert_eq!(
            process.read().await.expect("echo"),
            Chunk::Stdout(b"x".to_vec())
        );
    }
    let limits = ExecLimits::within(Duration::from_secs(5));
    let refused = link.exec(&RemoteCommand::posix("true"), limits).await;
    assert!(refused.is_err(), "{refused:?}");
    two.close().await;
    let end = Instant::now() + BOUND;
    while link
        .exec(&RemoteCommand::posix("true"), limits)
        .await
        .is_err()
    {
        assert!(Instant::now() < end, "a session that ended makes room");
    }
    one.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_permission_is_told_so() {
    let fleet = fleet_with(|faults| faults.access = Access::Denied).await;
    let error = inventory(&fleet, false).await.expect_err("no access");
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");

    let fleet = fleet_with(|faults| faults.access = Access::Sudo).await;
    let error = inventory(&fleet, false).await.expect_err("no access");
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert_eq!(inventory(&fleet, true).await.expect("by sudo").vms.len(), 1);

    let fleet = fleet_with(|_| {}).await;
    let error = inventory(&fleet, true).await.expect_err("no sudo");
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_working_virsh_is_told_so() {
    let fleet = fleet_with(|faults| faults.virsh = VirshHealth::Missing).await;
    let error = inventory(&fleet, false).await.expect_err("no virsh");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");

    let fleet = fleet_with(|faults| faults.virsh = VirshHealth::Garbage).await;
    let error = inventory(&fleet, false).await.expect_err("garbage");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_no_network_failure() {
    let fleet = fleet_with(|faults| faults.refuses_login = true).await;
    let error = fleet.try_connect("a").await.expect_err("no login");
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_outage_happens_and_ends() {
    let fleet =
        SimFleet::start("[[host]]\nname = \"a\"\noutage = { after_s = 1, lasting_s = 1 }\n").await;
    let control = fleet.control("a");
    let reaches = async |up: bool| {
        let end = Instant::now() + BOUND;
        while control.is_up() != up {
            assert!(Instant::now() < end, "the host never was {up}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let link = fleet.connect("a").await;
    reaches(false).await;
    tokio::time::timeout(BOUND, link.closed())
        .await
        .expect("the link ends with its host");
    reaches(true).await;
    fleet.connect("a").await.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_host_neither_answers_nor_hangs_up() {
    let fleet = fleet_with(|_| {}).await;
    let control = fleet.control("a");
    let link = fleet.connect("a").await;
    control.set_silent(true);
    let limits = ExecLimits::within(Duration::from_millis(500));
    let silence = link.exec(&RemoteCommand::posix("true"), limits).await;
    assert_eq!(silence.expect_err("no answer").kind(), ErrorKind::Timeout);
    let closed = tokio::time::timeout(Duration::from_millis(200), link.closed()).await;
    assert!(closed.is_err(), "the link looks alive");
    control.set_silent(false);
    let link = fleet.connect("a").await;
    assert!(
        status(&link, RemoteCommand::posix("true"))
            .await
            .is_success()
    );
    control.set_silent(true);
    control.take_down().await;
    tokio::time::timeout(BOUND, link.closed())
        .await
        .expect("a silent link can still be cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_any_kind_leave_the_server_standing() {
    let fleet = fleet_with(|_| {}).await;
    let address = fleet.host("a").spec.endpoint.to_string();
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = |length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                u8::try_from(noise & 0xff).unwrap_or_default()
            })
            .collect()
    };
    // Before SSH has begun, and after its greeting.
    for greeting in ["", "SSH-2.0-noise\r\n"] {
        for _ in 0..8 {
            let mut raw = tokio::net::TcpStream::connect(&address).await.expect("TCP");
            raw.write_all(greeting.as_bytes()).await.unwrap_or_default();
            raw.write_all(&bytes(2000)).await.unwrap_or_default();
            raw.shutdown().await.unwrap_or_default();
            let mut rest = Vec::new();
            raw.read_to_end(&mut rest).await.unwrap_or_default();
        }
    }
    // On the channel of a kept virsh.
    let link = fleet.connect("a").await;
    let kept = RemoteCommand::posix("virsh").arg("-q");
    for _ in 0..20 {
        let mut process = link.spawn(&kept).await.expect("virsh");
        process.write(&bytes(5000)).await.unwrap_or_default();
        process.write(b"\n").await.unwrap_or_default();
        process.close().await;
    }
    assert!(
        status(&link, RemoteCommand::posix("true"))
            .await
            .is_success()
    );
}
