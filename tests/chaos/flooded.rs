//! A console that floods, read by nobody and then as fast as it comes: what reads of the other hosts and an action on
//! one of them take meanwhile, beside what they took before.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::console::{ConsoleInput, ConsoleKind, ConsoleNews, TerminalSize};
use vmdeck::domain::operation::{Consent, Outcome, Submission};
use vmdeck::domain::vm::{PowerState, VmRef};
use vmdeck::fleet::console::{Console, ConsoleWish};
use vmdeck::sim::Scenario;

use crate::rig::{Manner, Rig, actor};
use crate::support::campaign::{alone, figure, lasting, memory, shipped};

const NAME: &str = "flooded";

/// The host whose VM floods its console, and the one that is acted on.
const FLOODED: usize = 0;
const ACTED_ON: usize = 1;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// How much longer the slowest of a hundred reads may take.
const MOVED: Duration = Duration::from_millis(100);

/// Memory that a console may cost, whatever it writes.
const ROOM: usize = 64 << 20;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_moves_nobody_else() {
    flood(6, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "three times half a minute: tests/campaign flooded"]
async fn half_a_minute_of_floods() {
    flood(20, lasting(Duration::from_secs(30))).await;
}

/// What was seen for a while.
struct Seen {
    reads: Vec<Duration>,
    actions: Vec<Duration>,
    memory: usize,
}

impl Seen {
    /// The longest of a hundred reads.
    fn p99(&self) -> Duration {
        let mut reads = self.reads.clone();
        reads.sort_unstable();
        reads[(reads.len() - 1) * 99 / 100]
    }

    fn tell(&self, when: &str) {
        let slowest = self.actions.iter().max().expect("an action");
        let told = format!(
            "{} reads, p99 {:.1?}; {} actions, the slowest {slowest:.1?}",
            self.reads.len(),
            self.p99(),
            self.actions.len(),
        );
        figure(NAME, when, told);
    }
}

async fn flood(hosts: usize, each: Duration) {
    let _turn = alone().await;
    let manner = Manner {
        tick: Duration::from_secs(1),
        ..Manner::default()
    };
    let rig = Rig::start(Scenario::grid(hosts, 10).unwrap(), &manner).await;
    rig.connect().await;
    let before = watch(&rig, each).await;
    before.tell("before");
    let mut console = open(&rig).await;
    let held = memory();
    // Nobody reads: what has come waits, and holds up nothing but itself.
    let unread = watch(&rig, each).await;
    unread.tell("while nobody reads it");
    let (read, bytes) = tokio::join!(watch(&rig, each), drain(&mut console, each));
    read.tell("while it is read as fast as it comes");
    figure(NAME, "read, MiB", bytes >> 20);
    let grown = unread.memory.max(read.memory).saturating_sub(held);
    figure(NAME, "memory grew by at most, MiB", grown >> 20);
    assert!(bytes > 1 << 20, "{bytes} bytes are no flood");
    assert!(grown < ROOM, "memory grew by {grown} bytes");
    for seen in [&unread, &read] {
        assert!(
            !shipped() || seen.p99() < before.p99() + MOVED,
            "reads took {:?} before and {:?} meanwhile",
            before.p99(),
            seen.p99()
        );
    }
    drop(console);
    rig.end().await;
}

/// Opens the console of a running VM, logs in and has it write for ever.
async fn open(rig: &Rig) -> Console {
    let state = rig.handle.snapshot();
    let host = state.host(rig.hosts[FLOODED].id).unwrap();
    let vms = host.vms().iter();
    let running = vms.clone().find(|vm| vm.state == PowerState::Running);
    let wish = ConsoleWish {
        vm: VmRef {
            host: host.spec.id,
            vm: running.expect("a running VM").id.clone(),
        },
        size: TerminalSize::new(80, 24),
        kind: ConsoleKind::Serial { take_over: false },
        actor: actor(),
    };
    let mut console = rig.handle.open_console(wish).await.unwrap();
    say(&console, "\r").await;
    until(&mut console, "root@").await;
    say(&console, "yes\r").await;
    console
}

async fn say(console: &Console, text: &str) {
    let bytes = ConsoleInput::Bytes(text.as_bytes().to_vec());
    console.input.send(bytes).await.unwrap();
}

async fn until(console: &mut Console, text: &str) {
    let mut all = Vec::new();
    let found = timeout(PATIENCE, async {
        while !String::from_utf8_lossy(&all).contains(text) {
            match console.news.recv().await {
                Some(ConsoleNews::Output(bytes)) => all.extend(bytes),
                other => panic!("{other:?} instead of {text:?}"),
            }
        }
    });
    assert!(found.await.is_ok(), "{text:?} did not come");
}

/// Reads whatever comes for a while; returns how many bytes that were.
async fn drain(console: &mut Console, lasting: Duration) -> usize {
    let end = Instant::now() + lasting;
    let mut count = 0;
    while let Ok(news) = tokio::time::timeout_at(end, console.news.recv()).await {
        match news {
            Some(ConsoleNews::Output(bytes)) => count += bytes.len(),
            other => panic!("{other:?} in the middle of a flood"),
        }
    }
    count
}

/// Looks at the reads of all other hosts for a while, and acts on one of them.
async fn watch(rig: &Rig, lasting: Duration) -> Seen {
    let end = Instant::now() + lasting;
    let mut seen = Seen {
        reads: Vec::new(),
        actions: Vec::new(),
        memory: 0,
    };
    let mut known = BTreeMap::new();
    let mut number = 0;
    while Instant::now() < end || seen.reads.is_empty() {
        let began = Instant::now();
        act(rig, number).await;
        seen.actions.push(began.elapsed());
        number += 1;
        let pause = Instant::now() + Duration::from_secs(1);
        while Instant::now() < pause {
            sleep(LOOK).await;
            seen.memory = seen.memory.max(memory());
            let state = rig.handle.snapshot();
            for host in &state.hosts {
                let news = known.insert(host.spec.id, host.observed_at) != Some(host.observed_at);
                if news && host.spec.id != rig.hosts[FLOODED].id {
                    seen.reads.extend(host.latency);
                }
            }
        }
    }
    seen
}

/// Starts a VM that is off, or forces off one that runs, and waits until that was seen.
async fn act(rig: &Rig, number: usize) {
    let state = rig.handle.snapshot();
    let host = state.host(rig.hosts[ACTED_ON].id).unwrap();
    let vm = &host.vms()[number % host.vms().len()];
    let kind = match vm.state {
        PowerState::Stopped => ActionKind::Start,
        PowerState::Paused => ActionKind::Resume,
        _ => ActionKind::ForceOff,
    };
    let target = VmRef {
        host: host.spec.id,
        vm: vm.id.clone(),
    };
    let planned = rig.handle.plan(target, kind.into(), actor(), 1).await;
    let submission = Submission {
        plan: planned.unwrap().plan,
        actor: actor(),
        consent: Consent::Confirmed,
        count: 1,
        deadline: None,
    };
    let id = rig.handle.submit(submission).await.unwrap();
    let ended = rig.handle.outcome(&id).await.unwrap();
    let outcome = ended.outcome.as_ref().unwrap();
    assert!(matches!(outcome, Outcome::Confirmed), "{outcome:?}");
}
