//! A console that prints as fast as it is let: the keys, the memory and the other hosts do not notice.

use std::path::Path;
use std::time::{Duration, Instant};

use vmdeck::sim::Scenario;

use crate::VMDECK;
use crate::recording::home_of;
use crate::support::campaign::{self, lasting, memory_of, shipped};
use crate::support::pty::Pty;
use crate::support::simulated::SimFleet;

/// `^]`, which leaves a console.
const LEAVE: &str = "\x1d";

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What a flood came to.
struct Flood {
    /// MiB that the program's memory grew by, at most.
    grown: u64,
    /// How long leaving the console took.
    left: Duration,
}

async fn flood(lasting: Duration) -> Flood {
    let fleet = SimFleet::of(Scenario::grid(20, 10).unwrap()).await;
    let home = home_of(&fleet).await;
    let path = home.path().to_str().unwrap();
    let environment = [("VMDECK_HOME", path), ("HOME", path)];
    let mut pty = Pty::start(Path::new(VMDECK), &[], &environment, (120, 40));
    pty.wait_text("20 up");
    pty.keys("/host:grid-0007 name:vm-0001\r");
    pty.wait_text("1 of 200");
    pty.keys("a");
    pty.wait_text("live");
    pty.keys("\r");
    pty.wait_text("root@vm-0001");
    let (memory, wire) = (memory_of(pty.pid()), campaign::loopback_bytes());
    pty.keys("yes\r");
    pty.wait_for("a page of it", |screen| {
        screen.lines().filter(|line| line.contains('y')).count() > 20
    });
    let began = Instant::now();
    let mut most = memory;
    while began.elapsed() < lasting {
        tokio::time::sleep(LOOK).await;
        most = most.max(memory_of(pty.pid()));
    }
    let seconds = began.elapsed().as_secs();
    let rate = ((campaign::loopback_bytes() - wire) / seconds.max(1)) >> 20;
    let asked = Instant::now();
    pty.keys(LEAVE);
    pty.wait_text("NAME");
    let left = asked.elapsed();
    let screen = pty.screen();
    let header = screen.lines().next().unwrap_or_default();
    assert!(
        header.contains("20 up") && !header.contains("slow"),
        "{screen}"
    );
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    fleet.end().await;
    let grown = most.saturating_sub(memory) >> 20;
    campaign::figure("console", "came over the wire, MiB a second", rate);
    campaign::figure("console", "memory grew by at most, MiB", grown);
    campaign::figure("console", "left after", format!("{left:.1?}"));
    Flood { grown, left }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_floods_stops_neither_keys_nor_hosts() {
    let came_to = flood(Duration::from_secs(3)).await;
    assert!(came_to.grown < 64, "memory grew by {} MiB", came_to.grown);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: `tests/campaign console`"]
async fn a_minute_of_a_console_that_floods() {
    let came_to = flood(lasting(Duration::from_secs(60))).await;
    assert!(came_to.grown < 64, "memory grew by {} MiB", came_to.grown);
    assert!(!shipped() || came_to.left < Duration::from_secs(1));
}
