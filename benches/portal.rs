//! The portal row of `docs/performance.md`: `GET /agents/{id}/vms` of the real program against a server that
//! does what the older portal did for each request (`portal_peer.py`), on the same real libvirt host in the
//! same run. It prints rates, latencies and ratios; it never fails on one.
//!
//! `tests/run --lab-only && cargo bench --bench portal` (about two minutes on two cores). The peer needs `paramiko`,
//! which is installed into an environment of its own below `target/`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program: what it cannot measure is to stop it"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::deck::Deck;
use support::lab::LibvirtHost;
use support::served::{Served, send};

const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");

/// Library of the peer, from the Python package index.
const PARAMIKO: &str = "paramiko==5.1.0";

/// VMs on the host.
const VMS: usize = 17;

/// How long each server is asked, once for latency and once for rate.
const LASTING: Duration = Duration::from_secs(20);

/// Clients at the same time for the rate.
const CLIENTS: usize = 8;

fn main() {
    let python = environment();
    let host = LibvirtHost::start();
    host.define_many("vm", VMS);
    let deck = Deck::new(VMDECK);
    let (served, key, path) = ours(&deck, &host);
    let peer = Peer::start(&python, &host);
    let ask_ours = || ask(served.address, &path, &key);
    let ask_peer = || ask(peer.address, "/agents/1/vms", &peer.key);
    println!(
        "| `GET /agents/ID/vms`, {VMS} VMs | rate, {CLIENTS} clients | p50, 1 client | p99, 1 client |"
    );
    println!("|---|---|---|---|");
    // In turn, so that both meet the same machine.
    let (mut one, mut other) = (Figures::default(), Figures::default());
    for _ in 0..2 {
        one.add(&ask_ours);
        other.add(&ask_peer);
    }
    one.print("ours");
    other.print("what the older portal did");
    println!(
        "| **ratio** (goals: >= 100; <= 0.05) | **{:.0}** | **{:.5}** | **{:.5}** |",
        one.rate() / other.rate(),
        one.percentile(50) / other.percentile(50),
        one.percentile(99) / other.percentile(99),
    );
    drop(served);
}

/// Makes the peer's environment, once.
fn environment() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("portal-peer");
    let python = home.join("bin/python");
    let holds = home.join("holds");
    if std::fs::read_to_string(&holds).is_ok_and(|text| text == PARAMIKO) {
        return python;
    }
    eprintln!("installing {PARAMIKO} below {}", home.display());
    support::run(support::command("python3").args(["-m", "venv"]).arg(&home));
    support::run(
        support::command(python.to_str().expect("a plain path")).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            PARAMIKO,
        ]),
    );
    support::write(&holds, PARAMIKO);
    python
}

/// Starts the program, and makes a user with the host as an agent.
fn ours(deck: &Deck, host: &LibvirtHost) -> (Served, String, String) {
    let passphrase = deck.home().join("passphrase");
    vmdeck::private_file::write_atomic(&passphrase, b"correct horse").expect("a file");
    let config = deck.configure(
        "[serve.dial]\nallow = [\"127.0.0.0/8\"]\n\
         [serve.limit]\nrate_per_key = 1000000\nrate_per_address = 1000000\nin_flight_per_key = 64\n",
    );
    let config = config.display().to_string();
    let secret = [(
        "VMDECK_PASSPHRASE_FILE",
        passphrase.to_str().expect("a plain path"),
    )];
    let mut served = Served::start(deck, &["--config", &config], &secret);
    let admin = served.first_key();
    let post = |key: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        served
            .send("POST", path, &headers, &body.to_string())
            .expect(201)
            .json()
    };
    let user = post(&admin, "/users", &json!({"name": "Ann"}));
    let key = user["api_key"].as_str().expect("a key").to_owned();
    let agent = json!({
        "name": "kvm1", "hostname": "127.0.0.1", "port": host.sshd.port(), "username": host.sshd.user(),
        "private_key": host.sshd.client_key.pem(), "allow_unknown_hosts": true,
    });
    let agent = post(&key, "/agents", &agent);
    let path = format!("/agents/{}/vms", agent["id"]);
    (served, key, path)
}

/// The other server.
struct Peer {
    child: Child,
    address: SocketAddr,
    key: String,
}

impl Peer {
    fn start(python: &Path, host: &LibvirtHost) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/portal_peer.py");
        let facts = json!({
            "port": host.sshd.port(), "username": host.sshd.user(),
            "private_key": host.sshd.client_key.path, "known_hosts": host.sshd.known_hosts_file(),
        });
        let mut child = support::command(python.to_str().expect("a plain path"))
            .arg(script)
            .env("FACTS", facts.to_string())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("python");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let told: Value = serde_json::from_str(&line).expect("what it listens on");
        Self {
            child,
            address: told["address"]
                .as_str()
                .expect("an address")
                .parse()
                .expect("an address"),
            key: told["key"].as_str().expect("a key").to_owned(),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One request over a connection of its own; the answer has to be right.
fn ask(address: SocketAddr, path: &str, key: &str) -> Duration {
    let bearer = format!("Bearer {key}");
    let began = Instant::now();
    let reply = send(address, "GET", path, &[("authorization", &bearer)], "").expect("an answer");
    let took = began.elapsed();
    let list = reply.expect(200).json();
    assert_eq!(list.as_array().expect("a list").len(), VMS);
    took
}

/// What was measured of one server.
#[derive(Default)]
struct Figures {
    /// Seconds of each request of the only client, sorted.
    alone: Vec<f64>,
    answered: usize,
    seconds: f64,
}

impl Figures {
    fn add(&mut self, ask: &(impl Fn() -> Duration + Sync)) {
        // The first one opens what is kept open.
        ask();
        let began = Instant::now();
        while began.elapsed() < LASTING / 2 {
            self.alone.push(ask().as_secs_f64());
        }
        self.alone.sort_by(f64::total_cmp);
        let answered = Mutex::new(0_usize);
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    while began.elapsed() < LASTING / 2 {
                        ask();
                        *answered.lock().unwrap() += 1;
                    }
                });
            }
        });
        self.seconds += began.elapsed().as_secs_f64();
        self.answered += answered.into_inner().unwrap();
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds
    }

    fn percentile(&self, part: usize) -> f64 {
        self.alone[(self.alone.len() * part / 100).min(self.alone.len() - 1)]
    }

    fn print(&self, name: &str) {
        let ms = |part| format!("{:.2} ms", self.percentile(part) * 1000.0);
        println!(
            "| {name} | {:.1} /s | {} | {} |",
            self.rate(),
            ms(50),
            ms(99)
        );
    }
}
