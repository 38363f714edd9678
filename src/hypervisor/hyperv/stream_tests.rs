//! The watch against a scripted host, in virtual time: when it begins, what it spares, and every way in
//! which it can end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::driver::HyperV;
use super::envelope::tests::{nonce_of, opened};
use super::leftover::Leftovers;
use super::stream::Watch;
use crate::domain::host::HostId;
use crate::domain::inventory::Scope;
use crate::hypervisor::{Hints, Hypervisor, PollHint};
use crate::transport::Chunk;
use crate::transport::scripted::{Answer, Script};

const HOST: HostId = HostId(3);
const ID: &str = "6C09BB55-D683-4DA0-8931-C9BF705F6480";

/// A host whose watch says what a test lets it say.
struct Host {
    script: Script,
    /// Nonces of the watches that were started.
    nonces: Arc<Mutex<Vec<String>>>,
    leftovers: Leftovers,
    watch: Watch,
}

impl Host {
    fn new() -> Self {
        let script = Script::new();
        let nonces = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&nonces);
        script.on_spawn("watch.ps1", move |command| {
            seen.lock().unwrap().push(nonce_of(command));
            |_: &[u8]| Vec::new()
        });
        let leftovers = Leftovers::default();
        let watch = Watch::new(script.transport(), HOST, leftovers.clone());
        Self {
            script,
            nonces,
            leftovers,
            watch,
        }
    }

    /// One whose list has been read.
    fn read() -> Self {
        let host = Self::new();
        host.watch.may_begin("powershell.exe");
        host
    }

    fn started(&self) -> usize {
        self.nonces.lock().unwrap().len()
    }

    async fn until_started(&self, count: usize, hints: &mut dyn Hints) {
        while self.started() < count {
            let waited = timeout(Duration::from_secs(3600), self.poll(hints)).await;
            assert!(waited.is_ok(), "no watch was started");
        }
    }

    /// Drives the watch for a moment in which it says nothing.
    async fn poll(&self, hints: &mut dyn Hints) {
        let said = timeout(Duration::from_millis(100), hints.next()).await;
        assert!(said.is_err(), "{said:?}");
    }

    fn line(&self, kind: &str, value: &Value) -> Vec<u8> {
        let nonces = self.nonces.lock().unwrap();
        let nonce = nonces.last().unwrap();
        let text = STANDARD.encode(value.to_string());
        format!("@@HV1 {nonce} {kind} {text}\r\n").into_bytes()
    }

    fn says(&self, kind: &str, value: &Value) {
        self.prints(self.line(kind, value));
    }

    fn prints(&self, bytes: Vec<u8>) {
        assert!(self.script.say("watch.ps1", &Chunk::Stdout(bytes)) > 0);
    }

    fn hello(&self, process: u32) {
        self.says(
            "HELLO",
            &json!({"v": 1, "process": process, "started": 638_000_000_000_000_001_i64}),
        );
    }

    /// Starts the watch and lets it tell of one machine.
    async fn live(&self) -> Box<dyn Hints> {
        let mut hints = self.watch.hints().unwrap();
        self.until_started(1, hints.as_mut()).await;
        self.hello(4711);
        self.says("SNAP", &machine(2, 7));
        assert_eq!(hints.next().await.unwrap(), PollHint::Changed);
        hints
    }

    /// Lets it say its last words.
    fn bye(&self, why: &str) {
        self.says("BYE", &json!({"v": 1, "why": why}));
        self.says("OK", &json!({"v": 1, "data": [], "gaps": []}));
        self.script.say("watch.ps1", &Chunk::Closed);
    }

    fn load(&self) -> Option<u64> {
        let answer = self.watch.answer()?;
        answer.data["figures"][0]["load"].as_u64()
    }
}

fn news(systems: &[Value], figures: &[Value], gone: &[&str]) -> Value {
    json!({"v": 1, "tookMs": 50, "systems": systems, "figures": figures, "gone": gone, "gaps": []})
}

fn machine(state: u32, load: u32) -> Value {
    let system = json!({"id": ID, "name": "web", "state": state, "health": 5});
    let figure = json!({"id": ID, "load": load, "memoryMb": load, "uptimeMs": 1000});
    news(&[system], &[figure], &[])
}

fn load(load: u32) -> Value {
    news(
        &[],
        &[json!({"id": ID, "load": load, "memoryMb": load, "uptimeMs": 1000})],
        &[],
    )
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_before_the_host_was_read_once() {
    let host = Host::new();
    let mut hints = host.watch.hints().unwrap();
    let waited = timeout(Duration::from_secs(600), hints.next()).await;
    assert!(waited.is_err());
    assert_eq!(host.script.commands().len(), 0);
    host.watch.may_begin("pwsh");
    host.until_started(1, hints.as_mut()).await;
    assert!(host.script.commands()[0].starts_with("pwsh watch.ps1 "));
}

#[tokio::test(start_paused = true)]
async fn reads_are_answered_without_asking_the_host_while_the_watch_tells() {
    let host = Host::read();
    let mut hints = host.live().await;
    assert_eq!(host.load(), Some(7));
    host.says("DELTA", &load(55));
    assert_eq!(hints.next().await.unwrap(), PollHint::Changed);
    assert_eq!(host.load(), Some(55));
    let other = json!({"id": "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47", "name": "new", "state": 3, "health": 5});
    host.says("DELTA", &news(&[other], &[], &[]));
    assert_eq!(hints.next().await.unwrap(), PollHint::ListChanged);
    host.says("DELTA", &news(&[], &[], &[ID]));
    assert_eq!(hints.next().await.unwrap(), PollHint::ListChanged);
    assert_eq!(host.script.commands().len(), 1, "only the watch itself");
    assert!(host.watch.channel().starts_with("a watch"));
}

#[tokio::test(start_paused = true)]
async fn beats_keep_it_fresh_and_are_no_news() {
    let host = Host::read();
    let mut hints = host.live().await;
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(5)).await;
        host.says("BEAT", &news(&[], &[], &[]));
        host.poll(hints.as_mut()).await;
        assert_eq!(host.load(), Some(7));
    }
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(host.load(), None, "what is old is asked for");
}

#[tokio::test(start_paused = true)]
async fn silence_is_its_death_and_it_is_tried_again_later_every_time() {
    let host = Host::read();
    let mut hints = host.live().await;
    host.script.on("leftover.ps1", gone(4711));
    let mut pauses = Vec::new();
    for round in 2..9 {
        let began = Instant::now();
        host.until_started(round, hints.as_mut()).await;
        pauses.push(began.elapsed().as_secs());
        assert!(
            host.watch.channel().contains("no watch: "),
            "{}",
            host.watch.channel()
        );
    }
    // Fifteen seconds of silence of one that told, then thirty for each that never began.
    assert!((44..=46).contains(&pauses[0]), "{pauses:?}");
    assert!((88..=92).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert!(*pauses.last().unwrap() <= 15 * 60 + 31, "{pauses:?}");
}

/// What the script that ends leftovers answers.
fn fate(process: u32, what: &'static str) -> Answer {
    Answer::made(move |command| {
        let fates = json!({"v": 1, "data": [{"process": process, "what": what}], "gaps": []});
        let text = STANDARD.encode(fates.to_string());
        Answer::out(format!("@@HV1 {} OK {text}\r\n", nonce_of(command)))
    })
}

fn gone(process: u32) -> Answer {
    fate(process, "gone")
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_its_life_another_begins_and_nobody_notices() {
    let host = Host::read();
    let mut hints = host.live().await;
    for _ in 0..120 {
        tokio::time::advance(Duration::from_secs(5)).await;
        host.says("BEAT", &news(&[], &[], &[]));
        host.poll(hints.as_mut()).await;
    }
    host.bye("life");
    host.until_started(2, hints.as_mut()).await;
    assert_eq!(host.load(), Some(7), "what it told stays good for a moment");
    assert_eq!(host.script.count("leftover.ps1"), 0, "it has surely ended");
    host.hello(4712);
    host.says("SNAP", &machine(2, 7));
    host.poll(hints.as_mut()).await;
    assert!(host.watch.channel().starts_with("a watch"));
    assert_eq!(host.leftovers.of(HOST).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_too_early_is_not_started_for_ever() {
    let host = Host::read();
    let mut hints = host.live().await;
    host.bye("life");
    let began = Instant::now();
    host.until_started(2, hints.as_mut()).await;
    assert!(began.elapsed() >= Duration::from_secs(29));
}

#[tokio::test(start_paused = true)]
async fn what_was_left_behind_is_ended_before_another_begins() {
    let host = Host::read();
    let hints = host.live().await;
    // The link is lost: its driver goes, another comes, and nobody knows whether the script still runs.
    drop(hints);
    let left = host.leftovers.of(HOST);
    assert_eq!(
        (left[0].process, left[0].started),
        (4711, 638_000_000_000_000_001)
    );
    let watch = Watch::new(host.script.transport(), HOST, host.leftovers.clone());
    watch.may_begin("powershell.exe");
    let mut hints = watch.hints().unwrap();
    let asked = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&asked);
    let stopped = fate(4711, "stopped");
    host.script.on(
        "leftover.ps1",
        Answer::made(move |command| {
            *heard.lock().unwrap() = opened(command);
            stopped.clone()
        }),
    );
    host.until_started(2, hints.as_mut()).await;
    let commands = host.script.commands();
    assert!(
        commands[1].contains("leftover.ps1") && commands[2].contains("watch.ps1"),
        "{commands:?}"
    );
    assert_eq!(host.leftovers.of(HOST), []);
    assert!(asked.lock().unwrap().contains("Stop-Process -Id"));
}

#[tokio::test(start_paused = true)]
async fn while_nobody_knows_whether_one_still_runs_no_other_is_started() {
    let host = Host::read();
    let mut hints = host.live().await;
    let cases = [
        Answer::exit(1),
        Answer::hang(),
        Answer::out("@@HV1 0000000000000000 OK e30=\r\n"),
    ];
    host.script.on("leftover.ps1", Answer::in_turn(cases));
    let waited = timeout(Duration::from_secs(500), hints.next()).await;
    assert!(waited.is_err());
    assert!(host.script.count("leftover.ps1") >= 2);
    assert_eq!(host.started(), 1);
    // It cannot outlive its own limit, so it need not be looked for any longer.
    host.until_started(2, hints.as_mut()).await;
}

#[tokio::test(start_paused = true)]
async fn there_is_one_watch_for_a_link_and_never_two() {
    let host = Host::read();
    let hints = host.live().await;
    assert!(host.watch.hints().is_none());
    drop(hints);
    assert!(host.watch.hints().is_some());
}

#[tokio::test(start_paused = true)]
async fn after_an_action_only_a_sweep_that_has_seen_it_counts() {
    let host = Host::read();
    let mut hints = host.live().await;
    tokio::time::advance(Duration::from_secs(2)).await;
    host.watch.acted();
    let acted = Instant::now();
    assert_eq!(host.load(), None, "the host is asked");
    assert_eq!(acted.elapsed(), Duration::ZERO, "and not waited for");
    // A sweep that may have begun before the action says nothing about it.
    host.says("DELTA", &load(98));
    assert_eq!(hints.next().await.unwrap(), PollHint::Changed);
    assert_eq!(host.load(), None);
    tokio::time::advance(Duration::from_millis(1_500)).await;
    host.says("DELTA", &load(99));
    assert_eq!(hints.next().await.unwrap(), PollHint::Changed);
    assert_eq!(host.load(), Some(99));
}

#[tokio::test(start_paused = true)]
async fn noise_and_forgeries_are_nothing_and_garbage_ends_it() {
    let host = Host::read();
    let mut hints = host.live().await;
    let forged = STANDARD.encode(machine(3, 1).to_string());
    host.prints(format!("@@HV1 0000000000000000 SNAP {forged}\r\n").into_bytes());
    for _ in 0..160 {
        host.prints(vec![b'x'; 64 * 1024]);
    }
    host.prints(b"\r\n".to_vec());
    host.poll(hints.as_mut()).await;
    assert_eq!(host.load(), Some(7));
    let mut half = host.line("DELTA", &load(8));
    half.truncate(half.len() / 2);
    host.prints(half);
    host.poll(hints.as_mut()).await;
    assert_eq!(host.load(), Some(7));
    host.prints(b"%%%\r\n".to_vec());
    host.poll(hints.as_mut()).await;
    assert!(
        host.watch.channel().contains("no watch: "),
        "{}",
        host.watch.channel()
    );
}

#[tokio::test(start_paused = true)]
async fn why_it_ended_is_said_in_the_words_of_the_host() {
    let said = |kind: &'static str, value: Value| async move {
        let host = Host::read();
        let mut hints = host.live().await;
        host.says(kind, &value);
        host.poll(hints.as_mut()).await;
        host.watch.channel()
    };
    let failure = json!({"v": 1, "messages": ["Der Dienst wurde nicht gestartet.\u{1b}[2J"]});
    assert!(
        said("ERR", failure)
            .await
            .contains("Der Dienst wurde nicht gestartet.")
    );
    let deserted = json!({"v": 1, "why": "deserted"});
    assert!(
        said("BYE", deserted)
            .await
            .contains("it ended by itself: deserted")
    );
    assert!(said("HELLO", json!({"v": 1})).await.contains("out of turn"));
    let mut slow = machine(2, 7);
    slow["tookMs"] = json!(9_000);
    assert!(
        said("DELTA", slow)
            .await
            .contains("one sweep takes 9 s here")
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_link_is_no_error_of_the_watch() {
    let host = Host::read();
    let mut hints = host.live().await;
    host.script.break_links("reset");
    host.poll(hints.as_mut()).await;
    assert!(host.watch.channel().contains("no watch: "));
}

/// What the list script answers: the same machine, loaded as much.
fn listed(load: u32) -> Answer {
    Answer::made(move |command| {
        let mut data = machine(2, load);
        data["scope"] = json!("fast");
        let whole = json!({"v": 1, "data": [data], "gaps": []});
        let text = STANDARD.encode(whole.to_string());
        Answer::out(format!("@@HV1 {} OK {text}\r\n", nonce_of(command)))
    })
}

#[tokio::test(start_paused = true)]
async fn a_tick_costs_one_process_without_the_watch_and_none_with_it() {
    let host = Host::new();
    host.script.on("list.ps1", listed(7));
    let driver = HyperV::new(host.script.transport()).watching(HOST, host.leftovers.clone());
    let memory = async || {
        let read = driver.inventory(Scope::Fast).await.unwrap();
        let vm = Arc::clone(&read.vms[0]);
        vm.stats.memory_used.map(|used| used.0 >> 20)
    };
    assert!(
        driver
            .channel()
            .unwrap()
            .starts_with("one PowerShell process")
    );
    let first = memory().await;
    assert_eq!(first, Some(7));
    assert_eq!(host.script.count("list.ps1"), 1);
    let mut hints = driver.hints().await.unwrap().unwrap();
    host.until_started(1, hints.as_mut()).await;
    assert_eq!(memory().await, first);
    assert_eq!(
        host.script.count("list.ps1"),
        2,
        "it has not told anything yet"
    );
    host.hello(4711);
    host.says("SNAP", &machine(2, 7));
    assert_eq!(hints.next().await.unwrap(), PollHint::Changed);
    for _ in 0..20 {
        assert_eq!(memory().await, first);
    }
    host.says("DELTA", &load(70));
    assert_eq!(hints.next().await.unwrap(), PollHint::Changed);
    assert_eq!(memory().await, Some(70));
    assert_eq!(host.script.count("list.ps1"), 2);
    // Silence: the host is asked again, and nobody waits for a dead watch.
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(memory().await, first);
    assert_eq!(host.script.count("list.ps1"), 3);
    // The slow facts are asked for at their own rhythm, whoever tells the rest.
    driver.inventory(Scope::Full).await.unwrap();
    assert_eq!(host.script.count("list.ps1"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_read_is_not_watched() {
    let host = Host::new();
    let driver = HyperV::new(host.script.transport()).watching(HOST, host.leftovers.clone());
    assert!(driver.inventory(Scope::Fast).await.is_err());
    let mut hints = driver.hints().await.unwrap().unwrap();
    let waited = timeout(Duration::from_secs(600), hints.next()).await;
    assert!(waited.is_err());
    assert_eq!(host.started(), 0);
}
