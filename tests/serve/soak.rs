//! The real program for hours: a large fleet that is read each second, two readers of its events, an action each
//! second, and nothing that grows, is lost, is done twice or is left on the hosts.
//!
//! `tests/campaign soak` runs it for an hour, once it is warm, with 200 hosts of 50 VMs, in an optimised build.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use vmdeck::clock::Clock;
use vmdeck::sim::{Scenario, SimState};
use vmdeck::task::Tasks;

use crate::program::{Home, Server};
use crate::serving::http;
use crate::support::campaign::{figure, lasting, memory_of, own_memory_of, rounds, shipped};
use crate::support::simulated::SimFleet;
use crate::support::{wait_for, write};

/// How long anything here may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Time between two reads of a host, two actions and two looks at the server.
const BEAT: Duration = Duration::from_secs(1);

/// What became of an action on a VM whose host was last read more than two beats ago, as happens where the machine has
/// much else to do: it was refused before anything was sent.
const STALE: &str = "refused as stale";

/// VMs of each host that are acted on, one after the other. With 200 hosts each has had its turn before memory is looked
/// at: what is remembered of a VM that something was done to grows with their number, and is no leak.
const IN_TURN: usize = 5;

/// Caches, logs and the allocator's own pages fill up for so long before anything is held against what is promised.
const WARM_UP: Duration = Duration::from_secs(40 * 60);

/// Readers of the stream of events.
const READERS: usize = 2;

/// How large a run is.
struct Size {
    hosts: usize,
    vms: usize,
    /// Actions each beat.
    actions: usize,
    /// How long it is measured, once it is warm.
    lasting: Duration,
}

impl Size {
    /// How long it runs before it is measured: less in a short run.
    fn warm_up(&self) -> Duration {
        WARM_UP.min(self.lasting * 2 / 3)
    }
}

/// What one look at the server told.
struct Look {
    at: Duration,
    memory: u64,
    /// As much of it as is the program's own, without the pages of files.
    own: u64,
    descriptors: usize,
    /// Milliseconds that the last read of each host took.
    reads: Vec<u64>,
    /// The age of the oldest inventory.
    oldest: Duration,
}

/// What was sent about one VM and verb, and what was told.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    sent: usize,
    confirmed: usize,
}

struct Soak {
    home: Home,
    sim: SimFleet,
    server: Server,
    admin: String,
    size: Size,
    clock: Clock,
    book: BTreeMap<(String, &'static str), Account>,
    outcomes: BTreeMap<String, usize>,
    looks: Vec<Look>,
}

impl Soak {
    async fn start(size: Size) -> Self {
        let home = Home::new();
        let config = "[poll]\nlibvirt_tick = \"1s\"\nunfocused_factor = 1\n";
        write(home.0.path().join("config.toml"), config);
        let scenario = Scenario::grid(size.hosts, size.vms).expect("a fleet");
        let sim = SimFleet::of(scenario).await;
        let root = home.0.path().join("profiles");
        drop(sim.profile(&root, "default", home.0.path()).await);
        let mut server = home.serve(&[]);
        let admin = server.key();
        Self {
            home,
            sim,
            server,
            admin,
            size,
            clock: Clock::system(),
            book: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            looks: Vec::new(),
        }
    }

    async fn hosts(&self) -> Vec<Value> {
        let path = "/v1/hosts?limit=1000";
        let asked = http(self.server.address, "GET", path, Some(&self.admin), "");
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        let mut page = answer
            .expect("in time")
            .expect("an answer")
            .expect(200)
            .json();
        match page["items"].take() {
            Value::Array(rows) => rows,
            other => panic!("no list: {other}"),
        }
    }

    /// Waits until every host is up and has been read.
    async fn all_up(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = self.hosts().await;
            let is_up = |row: &&Value| row["state"] == "up" && row["observed_at"].is_string();
            let up = rows.iter().filter(is_up).count();
            if up == self.size.hosts {
                return;
            }
            assert!(Instant::now() < deadline, "{up} of {} up", self.size.hosts);
            tokio::time::sleep(BEAT).await;
        }
    }

    async fn look(&mut self, at: Duration) {
        let pid = self.server.pid();
        let rows = self.hosts().await;
        let now = self.clock.now();
        let age = |row: &Value| {
            let read: Timestamp = row["observed_at"].as_str()?.parse().ok()?;
            Some(Duration::try_from(now.duration_since(read)).unwrap_or_default())
        };
        let oldest = rows.iter().map(|row| age(row).expect("it was read")).max();
        let reads = rows.iter().filter_map(|row| row["latency_ms"].as_u64());
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("/proc");
        self.looks.push(Look {
            at,
            memory: memory_of(pid),
            own: own_memory_of(pid),
            descriptors: open.count(),
            reads: reads.collect(),
            oldest: oldest.expect("a host"),
        });
    }

    /// Chooses the next VM and what to do with it, and notes it.
    fn choose(&mut self, number: usize) -> Chosen {
        let hosts = &self.sim.demo.hosts;
        let host = hosts[number % hosts.len()].spec.name.to_string();
        let vms = self.sim.control(&host).vms();
        let vm = &vms[(number / hosts.len()) % vms.len().min(IN_TURN)];
        let (verb, command) = if vm.state == SimState::Stopped {
            ("start", "start")
        } else {
            ("force-off", "destroy")
        };
        let key = (vm.uuid.clone(), command);
        self.book.entry(key.clone()).or_default().sent += 1;
        let path = format!("/v1/vms/{host}/{}/actions/{verb}?wait=20", vm.name);
        Chosen { key, path }
    }

    fn note(&mut self, (key, outcome): ((String, &'static str), String)) {
        let account = self.book.entry(key).or_default();
        match outcome.as_str() {
            "confirmed" => account.confirmed += 1,
            STALE => account.sent -= 1,
            _ => {}
        }
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    /// Acts and looks, each beat, until the time is over and every action has its end.
    async fn run(&mut self) {
        let tasks = Tasks::new();
        let events = Arc::new(AtomicU64::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let reading = follow(
                    self.server.address,
                    self.admin.clone(),
                    Arc::clone(&events),
                    Arc::clone(&over),
                );
                tasks.spawn("reader", reading)
            })
            .collect();
        let mut acting = tokio::task::JoinSet::new();
        let began = Instant::now();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for number in 0.. {
            beat.tick().await;
            if began.elapsed() >= self.size.warm_up() + self.size.lasting {
                break;
            }
            for more in 0..self.size.actions {
                let chosen = self.choose(number * self.size.actions + more);
                acting.spawn(act(self.server.address, self.admin.clone(), chosen));
            }
            while let Some(ended) = acting.try_join_next() {
                self.note(ended.expect("an end"));
            }
            self.look(began.elapsed()).await;
        }
        while let Some(ended) = acting.join_next().await {
            self.note(ended.expect("an end"));
        }
        over.store(true, Ordering::Relaxed);
        assert!(
            readers.iter().all(|reader| !reader.is_finished()),
            "a reader lost its stream"
        );
        let told = events.load(Ordering::Relaxed);
        figure("soak", "events told to both readers", told);
        assert!(told > 0, "nothing was told");
    }

    /// Compares what was told with what arrived at the hosts.
    fn compare(&self) {
        let mut arrived = BTreeMap::new();
        for host in self.sim.demo.control.hosts() {
            let ours = |(_, command): &(String, &str)| ["start", "destroy"].contains(command);
            arrived.extend(host.commands().into_iter().filter(|(key, _)| ours(key)));
        }
        for (key, count) in &arrived {
            let sent = self.book.get(key).map_or(0, |account| account.sent);
            assert!(
                *count <= sent,
                "{key:?} arrived {count} times, {sent} were sent"
            );
        }
        for (key, account) in &self.book {
            let count = arrived.get(key).copied().unwrap_or_default();
            assert!(
                count >= account.confirmed,
                "{key:?} arrived {count} times: {account:?}"
            );
        }
        let sent: usize = self.book.values().map(|account| account.sent).sum();
        let count: usize = arrived.values().sum();
        let outcomes = format!("{:?}", self.outcomes);
        figure(
            "soak",
            "actions",
            format!("{sent} sent, {count} arrived, {outcomes}"),
        );
    }

    /// Ends the server; its log verifies, and no host has anything of it left.
    async fn end(mut self) {
        let running = |sim: &SimFleet| -> usize {
            let hosts = sim.demo.control.hosts().iter();
            hosts.map(vmdeck::sim::HostControl::running).sum()
        };
        let kept = running(&self.sim);
        let (code, _, said) = self.server.end_now();
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("panic"), "{said}");
        let none = wait_for(PATIENCE, || running(&self.sim) == 0);
        let left = running(&self.sim);
        figure(
            "soak",
            "command lines on the hosts",
            format!("{kept}, {left} after the end"),
        );
        assert!(none, "{left} command lines are left on the hosts");
        let verified = self.home.run(&["audit", "verify"]).expect(0);
        figure("soak", "audit verify", verified.stdout.trim());
        self.sim.end().await;
    }

    /// Prints what the looks told; returns which promises it breaks.
    fn report(&self) -> Vec<String> {
        let warm_up = self.size.warm_up();
        let looks: Vec<&Look> = self
            .looks
            .iter()
            .filter(|look| look.at >= warm_up)
            .collect();
        let (first, last) = (looks[0], looks[looks.len() - 1]);
        let mib = |bytes: u64| bytes >> 20;
        let grows = |what: &str, of: fn(&Look) -> u64| {
            let slope = slope(&looks, of);
            let (warm, end) = (mib(of(first)), mib(of(last)));
            let told = format!(
                "{warm} MiB when warm, {end} MiB at the end, slope {slope:+.2} MiB an hour"
            );
            figure("soak", what, told);
            slope
        };
        let tenths = (0..=10).map(|tenth| {
            let look = &self.looks[(self.looks.len() - 1) * tenth / 10];
            format!("{:.1}", mebibytes(look.memory))
        });
        let tenths: Vec<String> = tenths.collect();
        let measured = format!("{:?} after {warm_up:?}", self.size.lasting);
        figure("soak", "measured", measured);
        figure("soak", "memory from tenth to tenth, MiB", tenths.join(" "));
        let slope = grows("memory", |look| look.memory);
        grows("memory without files", |look| look.own);
        let most = looks.iter().map(|look| look.descriptors).max();
        let most = most.expect("a look");
        figure(
            "soak",
            "descriptors",
            format!(
                "{} when warm, {} at the end, at most {most}",
                first.descriptors, last.descriptors
            ),
        );
        let mut reads: Vec<u64> = looks.iter().flat_map(|look| look.reads.clone()).collect();
        reads.sort_unstable();
        let p99 = reads[(reads.len() - 1) * 99 / 100];
        let oldest = looks.iter().map(|look| look.oldest).max().expect("a look");
        figure(
            "soak",
            "reads",
            format!("p99 {p99} ms, the oldest data {oldest:.1?}"),
        );
        let is_long = self.size.lasting >= Duration::from_secs(30 * 60);
        let promises = [
            (most <= first.descriptors + 8, "descriptors grow".to_owned()),
            (
                !is_long || slope < 1.0,
                format!("memory grows by {slope:.2} MiB an hour"),
            ),
            (!shipped() || p99 < 1000, format!("reads take {p99} ms")),
        ];
        let broken = promises.into_iter().filter(|(kept, _)| !kept);
        broken.map(|(_, what)| what).collect()
    }
}

struct Chosen {
    key: (String, &'static str),
    path: String,
}

/// Sends an action and waits for its end; returns the word of its outcome.
async fn act(
    address: SocketAddr,
    admin: String,
    chosen: Chosen,
) -> ((String, &'static str), String) {
    let asked = http(address, "POST", &chosen.path, Some(&admin), "");
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    let answer = answer.expect("in time").expect("an answer");
    let outcome = match answer.status.as_u16() {
        200 | 202 => answer.json()["outcome"].as_str().map(str::to_owned),
        409 if answer.text().contains("read it again first") => Some(STALE.to_owned()),
        status => panic!("{status} {}", answer.text()),
    };
    (
        chosen.key,
        outcome.unwrap_or_else(|| "under way".to_owned()),
    )
}

/// Reads the stream of events and counts them; ends when the stream does, or when all is over.
async fn follow(address: SocketAddr, admin: String, events: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "GET /v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {admin}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut bytes = vec![0; 64 * 1024];
    while !over.load(Ordering::Relaxed) {
        let Ok(count @ 1..) = stream.read(&mut bytes).await else {
            return;
        };
        let found = bytes[..count].windows(4).filter(|four| four == b"id: ");
        events.fetch_add(found.count() as u64, Ordering::Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// The slope of the line through what a size in bytes was (least squares), in MiB an hour.
#[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
fn slope(looks: &[&Look], size: fn(&Look) -> u64) -> f64 {
    let points = || {
        looks
            .iter()
            .map(|look| (look.at.as_secs_f64() / 3600.0, mebibytes(size(look))))
    };
    let count = looks.len() as f64;
    let (sum_x, sum_y) = points().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let over: f64 = points().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let under: f64 = points().map(|(x, _)| (x - mean_x).powi(2)).sum();
    over / under
}

async fn soak(size: Size) {
    let mut soak = Soak::start(size).await;
    soak.all_up().await;
    soak.run().await;
    soak.compare();
    let broken = soak.report();
    soak.end().await;
    assert!(broken.is_empty(), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_on_loses_nothing_and_leaves_nothing() {
    soak(Size {
        hosts: 4,
        vms: 10,
        actions: 1,
        lasting: Duration::from_secs(8),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour: tests/campaign soak"]
async fn an_hour_of_two_hundred_hosts() {
    soak(Size {
        hosts: 200,
        vms: 50,
        actions: 1,
        lasting: lasting(Duration::from_secs(3600)),
    })
    .await;
}

/// With this many actions every log of a host's last 300 commands is full when memory is looked at, for which the fleet
/// above takes sixteen hours.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "half an hour: tests/campaign wear"]
async fn half_an_hour_of_twenty_actions_a_second() {
    soak(Size {
        hosts: 40,
        vms: 50,
        actions: rounds(20),
        lasting: lasting(Duration::from_secs(1860)),
    })
    .await;
}
