//! What size costs: the real program in a terminal on fleets of 1 to 1,000 simulated hosts with 50 VMs each, every
//! host read every 3 s. Processor, memory, descriptors, bytes on the wire, and from a key to the first sign of
//! its effect on the screen. It prints figures; it never fails on one.
//!
//! `cargo bench --profile campaign --bench size` (ten minutes on two cores); numbers after `--` choose the sizes,
//! `--data FILE` writes the figures there as well: table and plot of `docs/performance.md` are made from
//! `docs/size.csv` (`tests/docs/size.rs`).
//! The fleet is a process of its own, so that what it costs is not taken for the program's. The bytes are those of
//! the loopback, headers included: nothing else should use it meanwhile.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a measuring program: what it cannot measure is to stop it"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::campaign::loopback_bytes;
use support::deck::Deck;
use support::pty::Pty;
use vmdeck::domain::host::LoginMethod;
use vmdeck::profile::Profile;
use vmdeck::sim::Scenario;
use vmdeck::task::Tasks;

const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");

/// VMs of each host.
const VMS: usize = 50;

/// How long the figures of a fleet are taken, once all of it is there.
const WATCHED: Duration = Duration::from_secs(60);

/// How often each key is pressed.
const ROUNDS: usize = 20;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, hosts, home] = &words[..]
        && first == "--play"
    {
        return play(hosts.parse().expect("a number"), Path::new(home));
    }
    let mut sizes: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1, 10, 100, 200, 1000];
    }
    println!(
        "| hosts | VMs | all there after | processor | the same of the fleet | memory | descriptors | wire, a host and tick \
         | to the terminal | key to screen p50 | p99 | slowest |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    let mut data = String::from(
        "# What the dashboard costs on fleets of simulated hosts with 50 VMs each: written by `cargo bench --profile \
         campaign --bench size -- --data docs/size.csv`.\n",
    );
    writeln!(data, "# commit {}", commit()).unwrap();
    data.push_str(
        "hosts,there_s,processor_percent,memory_mib,descriptors,wire_bytes_per_host_and_tick,terminal_bytes_per_s,\
         key_p50_ms,key_p99_ms\n",
    );
    for hosts in sizes {
        data.push_str(&measure(hosts));
    }
    if let Some(at) = words.iter().position(|word| word == "--data") {
        std::fs::write(words.get(at + 1).expect("a file after --data"), data).expect("the data");
    }
}

/// What is measured, as far as git knows.
fn commit() -> String {
    let said = support::command("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output();
    said.ok()
        .filter(|output| output.status.success())
        .map_or_else(
            || "unknown".to_owned(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
}

/// The fleet and a profile of it in `home`, until standard input ends.
fn play(hosts: usize, home: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let tasks = Tasks::new();
        let scenario = Scenario::grid(hosts, VMS).expect("a fleet");
        let fleet = vmdeck::sim::start(scenario, &tasks).await.expect("a fleet");
        let key_file = home.join("key");
        vmdeck::private_file::write_atomic(&key_file, fleet.login_key_pem.expose().as_bytes())
            .expect("a key file");
        let profiles = home.join("profiles");
        vmdeck::private_file::create_dir(&profiles).expect("a directory");
        let profile = Profile::create(&profiles, &"default".parse().expect("a name"))
            .await
            .expect("a profile");
        for host in fleet.hosts {
            let mut spec = host.spec;
            spec.login = LoginMethod::KeyFile(key_file.clone());
            profile.upsert_host(spec).await.expect("a host");
            profile.pin_key(host.host_key, true).await.expect("a key");
        }
        println!("ready");
        let asked_to_end = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
        drop(asked_to_end.await);
        tasks.cancel();
    });
}

/// A fleet in a process of its own; it ends with this value.
struct Fleet(Child);

impl Fleet {
    fn start(hosts: usize, home: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--play", &hosts.to_string()])
            .arg(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a fleet");
        let said = BufReader::new(child.stdout.take().expect("its output"))
            .lines()
            .next();
        assert!(
            matches!(said, Some(Ok(line)) if line == "ready"),
            "the fleet of {hosts}"
        );
        Self(child)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// What a process and the loopback have used so far.
struct Used {
    at: Instant,
    ours: u64,
    fleet: u64,
    wire: u64,
    terminal: u64,
}

impl Used {
    fn now(pty: &Pty, fleet: &Fleet) -> Self {
        Self {
            at: Instant::now(),
            ours: cpu_ticks(pty.pid()),
            fleet: cpu_ticks(fleet.0.id()),
            wire: loopback_bytes(),
            terminal: pty.bytes_written(),
        }
    }
}

/// Measures one size, prints its row and returns it as a line of data.
fn measure(hosts: usize) -> String {
    let deck = Deck::new(VMDECK);
    // Every host at its full rate, also those of which nothing is on the screen.
    std::fs::write(
        deck.home().join("config.toml"),
        "[poll]\nunfocused_factor = 1\n",
    )
    .expect("a file");
    let fleet = Fleet::start(hosts, deck.home());
    let environment = deck.environment();
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let began = Instant::now();
    let mut pty = Pty::start(Path::new(VMDECK), &[], &environment, (140, 40));
    while !pty.screen().contains(&format!("{hosts} up")) {
        assert!(
            began.elapsed() < Duration::from_secs(300),
            "not all there:\n{}",
            pty.screen()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let there = began.elapsed();
    // The slow facts of the beginning are over, the rates are known.
    std::thread::sleep(Duration::from_secs(20));
    let before = Used::now(&pty, &fleet);
    std::thread::sleep(WATCHED);
    let after = Used::now(&pty, &fleet);
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    let percent = |from: u64, to: u64| number(to - from) / seconds;
    let ticks = number(hosts as u64) * seconds / 3.0;
    let (resident, most) = memory(pty.pid());
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", pty.pid()))
        .expect("proc")
        .count();
    let mut taken = keys(&mut pty);
    taken.sort_by(f64::total_cmp);
    println!(
        "| {hosts} | {} | {:.1} s | {:.1} % | {:.1} % | {resident:.0} MiB (most {most:.0}) | {descriptors} | {:.0} bytes \
         | {:.0} bytes/s | {:.1} ms | {:.1} ms | {:.1} ms |",
        hosts * VMS,
        there.as_secs_f64(),
        percent(before.ours, after.ours),
        percent(before.fleet, after.fleet),
        number(after.wire - before.wire) / ticks,
        number(after.terminal - before.terminal) / seconds,
        taken[taken.len() / 2],
        taken[taken.len() * 99 / 100],
        taken[taken.len() - 1],
    );
    format!(
        "{hosts},{:.1},{:.1},{resident:.0},{descriptors},{:.0},{:.0},{:.1},{:.1}\n",
        there.as_secs_f64(),
        percent(before.ours, after.ours),
        number(after.wire - before.wire) / ticks,
        number(after.terminal - before.terminal) / seconds,
        taken[taken.len() / 2],
        taken[taken.len() * 99 / 100],
    )
}

/// A key, what is on the screen only when it has taken effect, and the key that takes it back.
const KEYS: &[(&str, &str, &str)] = &[
    ("G", "vm-0050", "g"),
    ("w", "VCPU", "w"),
    (">", "HOST▴", "<"),
    ("=", "NAME▾", "="),
    ("*", "◆", "u"),
    ("o", "Sort by", "\x1b"),
    (",", "Columns", "\x1b"),
    ("/", "never mind", "\x1b"),
    (":", "never mind", "\x1b"),
    ("?", "type to search", "\x1b"),
    ("m", "choose", "\x1b"),
    ("P", "choose", "\x1b"),
    ("f", "choose", "\x1b"),
    ("F", "Force off", "\x1b"),
    ("\r", "Overview", "\x1b"),
    ("y", "Overview", "\x1b"),
    ("2", "reconnect", "1"),
    ("3", "mark old", "1"),
    ("5", "other pane", "1"),
    ("6", "FINGERPRINT", "1"),
];

/// Milliseconds from each key to the screen that shows its effect. The keys that take it back count too, but for
/// Esc: a terminal has to wait whether it is the beginning of something longer.
fn keys(pty: &mut Pty) -> Vec<f64> {
    let mut taken = Vec::new();
    for (key, there, back) in KEYS {
        let mut of_key = Vec::new();
        for _ in 0..ROUNDS {
            assert!(!pty.screen().contains(there), "{there:?} before {key:?}");
            of_key.push(press(pty, key, |screen| screen.contains(there)));
            let left = press(pty, back, |screen| !screen.contains(there));
            if *back != "\x1b" {
                of_key.push(left);
            }
        }
        of_key.sort_by(f64::total_cmp);
        eprintln!(
            "{key:?}: median {:.1} ms, slowest {:.1} ms",
            of_key[of_key.len() / 2],
            of_key[of_key.len() - 1]
        );
        taken.extend(of_key);
    }
    taken
}

fn press(pty: &mut Pty, key: &str, done: impl Fn(&str) -> bool) -> f64 {
    let start = Instant::now();
    pty.keys(key);
    pty.wait_for(key, done);
    start.elapsed().as_secs_f64() * 1e3
}

/// User and system time of a process so far, in hundredths of a second (`proc(5)`, fields 14 and 15).
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let after_name = stat.rsplit_once(") ").expect("a name").1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Memory in use now and at most, in MiB (`proc(5)`).
fn memory(pid: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let kib = |name: &str| {
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("the line");
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    (
        number(kib("VmRSS:")) / 1024.0,
        number(kib("VmHWM:")) / 1024.0,
    )
}

#[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
const fn number(count: u64) -> f64 {
    count as f64
}
