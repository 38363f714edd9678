//! The figures of the server in `docs/performance.md`: lists of 10,000 VMs, actions, readers of events, and
//! honest requests while a host hangs and while wrong keys come in. It prints; it never fails on a figure.
//!
//! `cargo bench --bench serve` (about two minutes). Words after `--` choose rows. Server and clients are in
//! this process and share its processors; the floor is a bare router on the same machine in the same run.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a measuring program: what it cannot measure is to stop it"
)]

#[path = "../tests/support/serving.rs"]
mod serving;
#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use serving::{Serving, TWO_HOSTS};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use vmdeck::accounts::Accounts;
use vmdeck::clock::Clock;
use vmdeck::config::ServeConfig;
use vmdeck::domain::audit::AuditEntry;
use vmdeck::domain::credential::{CredentialName, CredentialSecret, CredentialSummary};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::event::{Fact, FleetEvent};
use vmdeck::domain::host::HostId;
use vmdeck::domain::secret::SecretText;
use vmdeck::fleet::FleetHandle;
use vmdeck::fleet::request::Request;
use vmdeck::serve::{self, BotAccess, Fleets, Listener, Running, ServeState};
use vmdeck::task::Tasks;
use vmdeck::testing::fleet;

/// Clients at the same time, each on a connection that it keeps.
const CLIENTS: usize = 4;

/// Readers of events.
const READERS: usize = 500;

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|word| word == name);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("| what | a second | p50 | p99 | bytes | memory |");
    println!("|---|---|---|---|---|---|");
    runtime.block_on(async {
        if wanted("lists") {
            lists().await;
        }
        if wanted("actions") {
            actions().await;
        }
        if wanted("events") {
            events().await;
        }
        if wanted("hanging") {
            hanging().await;
        }
        if wanted("flood") {
            flood().await;
        }
    });
}

/// Times of requests, and what they brought.
#[derive(Default)]
struct Times {
    each: Vec<Duration>,
    whole: Duration,
    bytes: usize,
}

impl Times {
    fn percentile(&mut self, at: usize) -> Duration {
        self.each.sort_unstable();
        let index = self.each.len() * at / 100;
        self.each[index.min(self.each.len() - 1)]
    }

    fn print(&mut self, what: &str) {
        let rate = self.each.len() as f64 / self.whole.as_secs_f64();
        let (p50, p99) = (ms(self.percentile(50)), ms(self.percentile(99)));
        let (bytes, memory) = (self.bytes, memory() >> 20);
        println!("| {what} | {rate:.0} | {p50} | {p99} | {bytes} | {memory} MiB |");
    }
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// Memory of this process that is really there, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// A connection that is kept.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends one request and reads the answer; returns its status and the bytes of its body.
    async fn ask(&mut self, head: &str) -> (u16, usize) {
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes()).await.expect("it listens");
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            self.0.read_line(&mut line).await.expect("an answer");
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                status = rest.split(' ').next().unwrap().parse().unwrap();
            } else if let Some((name, value)) = text.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.expect("a body");
        (status, length)
    }
}

fn head(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: 0\r\n\r\n")
}

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

/// Asks the same for a while on a few connections.
async fn load(address: SocketAddr, head: String, time: Duration) -> Times {
    let mut warm = Client::connect(address).await;
    assert!(matches!(warm.ask(&head).await.0, 200 | 304), "{head}");
    let (began, mut clients) = (Instant::now(), JoinSet::new());
    for _ in 0..CLIENTS {
        let head = head.clone();
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            let mut times = Times::default();
            while began.elapsed() < time {
                let asked = Instant::now();
                let (status, bytes) = client.ask(&head).await;
                assert!(matches!(status, 200 | 304), "{status}");
                times.each.push(asked.elapsed());
                times.bytes = bytes;
            }
            times
        });
    }
    let mut all = Times::default();
    while let Some(times) = clients.join_next().await {
        let times = times.expect("a client");
        all.each.extend(times.each);
        all.bytes = times.bytes;
    }
    all.whole = began.elapsed();
    all
}

/// A fleet that is what it is: only its events are this program's.
#[derive(Debug)]
struct Canned(FleetHandle);

fn never<T>() -> Result<T, Failure> {
    Err(Failure::new(ErrorKind::Refused, "not here"))
}

#[async_trait]
impl Fleets for Canned {
    async fn open(&self, _profile: &str) -> Result<FleetHandle, Failure> {
        Ok(self.0.clone())
    }
    async fn close(&self, _profile: &str, _grace: Duration) -> usize {
        0
    }
    async fn create(&self, _profile: &str) -> Result<(), Failure> {
        never()
    }
    async fn set_credential(
        &self,
        _profile: &str,
        _name: &CredentialName,
        _secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        never()
    }
    async fn remove_credential(&self, _: &str, _: &CredentialName) -> Result<(), Failure> {
        never()
    }
    async fn export_credential(
        &self,
        _profile: &str,
        _name: &CredentialName,
    ) -> Result<CredentialSecret, Failure> {
        never()
    }
    async fn note(&self, _profile: &str, _entry: AuditEntry) -> Result<(), Failure> {
        never()
    }
}

/// A server on 10,000 VMs of 100 hosts.
struct Large {
    running: Running,
    address: SocketAddr,
    key: String,
    /// One host, with 100 VMs, as the portal contract numbers it.
    agent: i64,
    events: broadcast::Sender<FleetEvent>,
    snapshots: watch::Sender<Arc<vmdeck::domain::inventory::FleetSnapshot>>,
    _home: tempfile::TempDir,
    tasks: Tasks,
}

fn generous(config: &mut ServeConfig) {
    config.limit.rate_per_address = 1_000_000;
    config.limit.rate_per_key = 1_000_000;
    config.limit.in_flight_per_key = 10_000;
    config.limit.connections_per_address = 10_000;
    config.limit.connections = 10_000;
    config.limit.event_readers = 1000;
}

impl Large {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Clock::manual(fleet::now());
        let (requests, mut asked) = mpsc::channel(64);
        let (snapshots, watched) = watch::channel(Arc::new(fleet::grid(100, 100)));
        let (events, _) = broadcast::channel(256);
        let tasks = Tasks::new();
        tasks.spawn("fleet", async move {
            while let Some(request) = asked.recv().await {
                if let Request::Connect { reply, .. } = request {
                    drop(reply.send(Ok(())));
                }
            }
        });
        let handle = FleetHandle::new(requests, watched, events.clone());
        let folder = home.path().join("server");
        let accounts = Accounts::open(&folder, clock.clone()).await.unwrap();
        let (user, first) = accounts.bootstrap("large").await.unwrap().unwrap();
        let agent = accounts.add_agent(user.id, HostId(42), None, None).await;
        let mut config = ServeConfig::default();
        generous(&mut config);
        let config = Arc::new(config);
        let fleets = Arc::new(Canned(handle));
        let state =
            ServeState::new(accounts, fleets, config, clock, &tasks).with_bot(Some(BotAccess {
                profile: "large".to_owned(),
                api_key: SecretText::new("bot".to_owned()),
                hmac_secret: None,
                allow: Vec::new(),
            }));
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(anywhere, None, false).unwrap();
        let running = serve::serve(listener, serve::router(state.clone()), &state);
        Self {
            address: running.addresses()[0],
            running,
            key: first.token.expose().clone(),
            agent: agent.unwrap().id,
            events,
            snapshots,
            _home: home,
            tasks,
        }
    }

    async fn end(self) {
        self.tasks.cancel();
        self.running.stop(Duration::from_secs(1)).await;
        drop(self.snapshots);
    }
}

/// Lists of 10,000 VMs on 100 hosts.
async fn lists() {
    const TIME: Duration = Duration::from_secs(4);
    let floor = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = floor.local_addr().unwrap();
    let bare = Router::new().route("/health", get(async || "ok"));
    let floor = tokio::spawn(async move { axum::serve(floor, bare).await });
    let mut times = load(address, head("GET", "/health", ""), TIME).await;
    times.print("bare router, `GET /health`");
    floor.abort();

    let large = Large::start().await;
    let key = bearer(&large.key);
    let mut times = load(large.address, head("GET", "/healthz", ""), TIME).await;
    times.print("`GET /healthz`");
    let agent = format!("/agents/{}/vms", large.agent);
    for (path, headers) in [
        ("/v1/hosts?limit=1", key.clone()),
        ("/v1/vms", key.clone()),
        ("/v1/vms?limit=1000", key.clone()),
        ("/v1/vms?limit=1000&fields=name,host,state", key.clone()),
        (
            "/v1/vms?filter=state:running%20cpu%3E50&sort=-cpu_percent&limit=100",
            key.clone(),
        ),
        ("/v1/vms?filter=host:kvm042", key.clone()),
        (agent.as_str(), key.clone()),
        ("/vm/list", "x-api-key: bot\r\n".to_owned()),
    ] {
        let mut times = load(large.address, head("GET", path, &headers), TIME).await;
        times.print(&format!("`GET {path}`"));
    }
    let mut client = Client::connect(large.address).await;
    let stream = client.0.get_mut();
    let asked = head("GET", "/v1/vms?limit=1000", &key);
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut tag = String::new();
    while !tag.starts_with("etag: ") {
        tag.clear();
        client.0.read_line(&mut tag).await.unwrap();
    }
    let known = format!(
        "{key}If-None-Match: {}\r\n",
        tag.trim_end().trim_start_matches("etag: ")
    );
    let asked = head("GET", "/v1/vms?limit=1000", &known);
    let mut times = load(large.address, asked, TIME).await;
    times.print("the same with its `ETag` (304)");
    large.end().await;
}

/// From a request to the confirmed end of its action, on simulated hosts that are read twice a second.
async fn actions() {
    let serving = Serving::with(TWO_HOSTS, generous, |state| state).await;
    serving.fleet().await;
    let running = serving.listen();
    let mut client = Client::connect(running.addresses()[0]).await;
    let key = bearer(&serving.admin);
    let mut times = Times::default();
    let began = Instant::now();
    for number in 0..60 {
        let verb = ["start", "force-off"][number % 2];
        let path = format!("/v1/vms/kvm1/spare/actions/{verb}?wait=20");
        let asked = Instant::now();
        let (status, bytes) = client.ask(&head("POST", &path, &key)).await;
        assert_eq!(status, 200);
        times.each.push(asked.elapsed());
        times.bytes = bytes;
    }
    times.whole = began.elapsed();
    times.print("`POST .../actions/start?wait=20`, confirmed");
    running.stop(Duration::from_secs(1)).await;
    serving.end().await;
}

/// One reader of events: reads until a word has come.
async fn until(reader: &mut BufReader<TcpStream>, word: &str, line: &mut String) {
    loop {
        line.clear();
        let read = reader.read_line(line).await.expect("the stream goes on");
        assert!(read > 0, "the stream has ended");
        if line.starts_with(word) {
            return;
        }
    }
}

/// Reads over a line that may be large, keeping nothing of it; returns its length.
async fn pass_line(reader: &mut BufReader<TcpStream>) -> usize {
    let mut passed = 0;
    loop {
        let some = reader.fill_buf().await.expect("the stream goes on");
        assert!(!some.is_empty(), "the stream has ended");
        let end = some.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(some.len(), |at| at + 1);
        reader.consume(taken);
        passed += taken;
        if end.is_some() {
            return passed;
        }
    }
}

/// Events of 10,000 VMs to 500 readers.
async fn events() {
    let large = Large::start().await;
    let before = memory();
    let asked = head("GET", "/v1/events", &bearer(&large.key));
    let began = Instant::now();
    let mut joining = JoinSet::new();
    for _ in 0..READERS {
        let (asked, address) = (asked.clone(), large.address);
        joining.spawn(async move {
            let began = Instant::now();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(asked.as_bytes()).await.unwrap();
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            until(&mut reader, "event: init", &mut line).await;
            let bytes = pass_line(&mut reader).await;
            (reader, began.elapsed(), bytes)
        });
    }
    let mut times = Times::default();
    let mut readers = Vec::new();
    let mut most = 0;
    while let Some(joined) = joining.join_next().await {
        let (reader, took, bytes) = joined.unwrap();
        most = most.max(memory());
        readers.push(reader);
        times.each.push(took);
        times.bytes = bytes;
    }
    times.whole = began.elapsed();
    times.print(&format!(
        "500 readers at once, to the end of `init` (memory +{} MiB at most)",
        most.saturating_sub(before) >> 20
    ));

    let (told, mut came) = mpsc::channel::<()>(READERS);
    for mut reader in readers {
        let told = told.clone();
        tokio::spawn(async move {
            let mut line = String::new();
            loop {
                // The end of the run is the end of the stream.
                line.clear();
                if reader.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                if !line.starts_with("data: ") {
                    continue;
                }
                if told.send(()).await.is_err() {
                    return;
                }
            }
        });
    }
    let mut times = Times::default();
    let began = Instant::now();
    for number in 0..200_u32 {
        let sent = Instant::now();
        let cause = Failure::new(ErrorKind::Remote, format!("event {number}"));
        let fact = Fact::ErrorOccurred { host: None, cause };
        let at = fleet::now() + Duration::from_secs(u64::from(number) + 1);
        drop(large.events.send(FleetEvent {
            at,
            generation: 1,
            fact,
        }));
        for _ in 0..READERS {
            came.recv().await.expect("readers");
        }
        times.each.push(sent.elapsed());
    }
    times.whole = began.elapsed();
    times.print("one event to the last of 500 readers");
    large.end().await;
}

/// Honest requests while 500 others wait for a host that hangs.
async fn hanging() {
    const TIME: Duration = Duration::from_secs(5);
    let serving = Serving::with(TWO_HOSTS, generous, |state| state).await;
    serving.fleet().await;
    let running = serving.listen();
    let address = running.addresses()[0];
    let key = bearer(&serving.admin);
    let list = head("GET", "/v1/vms", &key);
    let detail = head("GET", "/v1/vms/kvm1/web-1?detail=true", &key);
    for quiet in [true, false] {
        let mut crowd = JoinSet::new();
        if !quiet {
            serving.sim.control("kvm2").set_silent(true);
            for _ in 0..500 {
                let asked = head("GET", "/v1/vms/kvm2/db?detail=true", &key);
                crowd.spawn(async move {
                    let mut client = Client::connect(address).await;
                    loop {
                        let (status, _) = client.ask(&asked).await;
                        // Who finds no place comes again in the second it was told.
                        if status == 503 {
                            tokio::time::sleep(Duration::from_secs(1)).await;
                        }
                    }
                });
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let word = if quiet {
            "nobody hangs"
        } else {
            "500 ask for a host that hangs"
        };
        load(address, list.clone(), TIME)
            .await
            .print(&format!("`GET /v1/vms`, {word}"));
        load(address, detail.clone(), TIME)
            .await
            .print(&format!("`?detail=true` of another host, {word}"));
        crowd.abort_all();
    }
    serving.sim.control("kvm2").set_silent(false);
    running.stop(Duration::from_secs(1)).await;
    serving.end().await;
}

/// Honest requests while wrong keys come in, about 5,000 a second.
async fn flood() {
    const TIME: Duration = Duration::from_secs(10);
    let change = |config: &mut ServeConfig| {
        generous(config);
        config.limit.rate_per_address = ServeConfig::default().limit.rate_per_address * 10;
    };
    let serving = Serving::with(TWO_HOSTS, change, |state| state).await;
    serving.fleet().await;
    let running = serving.listen();
    let address = running.addresses()[0];
    // One request after the other, within the rate of its address.
    let honest = async |word: &str| {
        let mut client = Client::connect(address).await;
        let asked = head("GET", "/v1/vms", &bearer(&serving.admin));
        let (mut times, began) = (Times::default(), Instant::now());
        while began.elapsed() < TIME {
            let sent = Instant::now();
            let (status, bytes) = client.ask(&asked).await;
            assert_eq!(status, 200);
            times.each.push(sent.elapsed());
            times.bytes = bytes;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.whole = began.elapsed();
        times.print(&format!("`GET /v1/vms`, {word}"));
    };
    honest("quiet").await;
    let guesses = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut flood = JoinSet::new();
    for last in 2..10 {
        let guesses = Arc::clone(&guesses);
        flood.spawn(async move {
            let socket = TcpSocket::new_v4().unwrap();
            socket
                .bind(format!("127.0.0.{last}:0").parse().unwrap())
                .unwrap();
            let mut client = Client(BufReader::new(socket.connect(address).await.unwrap()));
            let asked = head("GET", "/v1/vms", &bearer("guessed"));
            let mut next = tokio::time::interval(Duration::from_millis(16));
            loop {
                next.tick().await;
                for _ in 0..10 {
                    client.ask(&asked).await;
                    guesses.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            }
        });
    }
    let began = Instant::now();
    honest("wrong keys flood").await;
    let guesses = guesses.load(std::sync::atomic::Ordering::Relaxed) as f64;
    println!(
        "| wrong keys answered | {:.0} | | | | |",
        guesses / began.elapsed().as_secs_f64()
    );
    flood.abort_all();
    running.stop(Duration::from_secs(1)).await;
    serving.end().await;
}
