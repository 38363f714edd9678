//! The figures of `docs/performance.md`: whole commands and whole ticks, each beside its peer in the same
//! run, on real hosts (sshd and libvirt of the laboratory). It prints ratios; it never fails on one.
//!
//! `tests/run --lab-only && cargo bench --bench ratios` (about five minutes on two cores). Words after
//! `--` choose rows: `cargo bench --bench ratios -- tick once`. `guard` alone is a small version that does
//! fail, for the gate (`benches/ratios/guard.rs`).

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

#[path = "ratios/guard.rs"]
mod guard;
#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use support::deck::Deck;
use support::lab::LibvirtHost;
use support::pty::Pty;
use vmdeck::clock::Clock;
use vmdeck::domain::inventory::Scope;
use vmdeck::hypervisor::Drivers;
use vmdeck::hypervisor::drivers::InstalledDrivers;

const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    if let Some(words) = chosen.strip_prefix(&["guard".to_owned()][..]) {
        return guard::run(words);
    }
    let rows: [(&str, fn()); 6] = [
        ("tick", || print(&tick(300, 60))),
        ("once", || print(&once(20))),
        ("fleet", || print(&fleet(20, 5))),
        ("event", event),
        ("first", first_table),
        ("idle", idle),
    ];
    println!("| what | ours | peer | ratio (median of pairs) |");
    println!("|---|---|---|---|");
    for (name, row) in rows {
        if chosen.is_empty() || chosen.iter().any(|word| word == name) {
            row();
        }
    }
    if chosen.is_empty() || chosen.iter().any(|word| word == "binary") {
        let size = std::fs::metadata(VMDECK).expect("the program").len();
        println!("| binary, stripped | {:.1} MiB | – | – |", mib(size));
    }
}

/// What two things took that were run in turn: seconds, medians.
struct Pairs {
    what: String,
    ours: f64,
    peer: f64,
    /// The median of the pairs' ratios.
    ratio: f64,
}

fn print(pairs: &Pairs) {
    println!(
        "| {} | {} | {} | **{:.2}** |",
        pairs.what,
        ms(pairs.ours),
        ms(pairs.peer),
        pairs.ratio
    );
}

/// Runs two things in turn, this many times after a first one that does not count.
fn pairs(what: &str, count: usize, mut ours: impl FnMut(), mut peer: impl FnMut()) -> Pairs {
    ours();
    peer();
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        taken.push((timed(&mut ours), timed(&mut peer)));
    }
    let ratios = taken
        .iter()
        .map(|(a, b)| a.as_secs_f64() / b.as_secs_f64())
        .collect();
    Pairs {
        what: what.to_owned(),
        ours: median(taken.iter().map(|(a, _)| a.as_secs_f64()).collect()),
        peer: median(taken.iter().map(|(_, b)| b.as_secs_f64()).collect()),
        ratio: median(ratios),
    }
}

fn timed(run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ms(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// One tick of a host with so many VMs, against the same `domstats` on a kept `virsh` behind plain `ssh`.
fn tick(vms: usize, count: usize) -> Pairs {
    let host = LibvirtHost::start();
    host.define_many("vm", vms);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let driver = runtime.block_on(async {
        let transport = host.connect().await;
        let drivers = InstalledDrivers::new(Clock::system());
        let driver = drivers
            .open(transport, &host.spec())
            .await
            .expect("a driver");
        driver.probe().await.expect("a probe");
        driver.inventory(Scope::Full).await.expect("an inventory");
        driver
    });
    let mut kept = KeptVirsh::start(&host);
    let measured = pairs(
        &format!("one tick, {vms} VMs / the same domstats on a kept virsh"),
        count,
        || {
            let read = runtime
                .block_on(driver.inventory(Scope::Fast))
                .expect("an inventory");
            assert_eq!(read.vms.len(), vms);
        },
        || kept.domstats(vms),
    );
    runtime.block_on(driver.close());
    measured
}

/// A `virsh` behind the plain SSH client, fed and read by hand.
struct KeptVirsh {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl KeptVirsh {
    fn start(host: &LibvirtHost) -> Self {
        let mut child = ssh(host, "LC_ALL=C exec virsh -q -c qemu:///session")
            .stdin(Stdio::piped())
            .spawn()
            .expect("ssh");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self {
            child,
            input,
            output,
        }
    }

    fn domstats(&mut self, vms: usize) {
        self.input
            .write_all(
                b"domstats --raw --nowait --state --cpu-total --balloon --vcpu --interface --block\necho @@end@@\n",
            )
            .expect("written");
        let mut domains = 0;
        let mut line = Vec::new();
        // The mark is seen twice: in the echoed command, and as what it prints.
        let mut marks = 0;
        while marks < 2 {
            line.clear();
            let count = self.output.read_until(b'@', &mut line).expect("read");
            assert!(count > 0, "virsh has ended");
            domains += line.windows(8).filter(|part| part == b"Domain: ").count();
            marks += usize::from(line == b"end@");
        }
        assert_eq!(domains, vms);
    }
}

impl Drop for KeptVirsh {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The plain SSH client, set to log in there.
fn ssh(host: &LibvirtHost, remote: &str) -> Command {
    let mut ssh = support::command("ssh");
    ssh.args([
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "IdentitiesOnly=yes",
    ])
    .arg("-i")
    .arg(&host.sshd.client_key.path)
    .arg("-o")
    .arg(format!(
        "UserKnownHostsFile={}",
        host.sshd.known_hosts_file().display()
    ))
    .args(["-p", &host.sshd.port().to_string()])
    .arg(format!("{}@127.0.0.1", host.sshd.user()))
    .arg(remote);
    ssh
}

fn listed_by_ssh(host: &LibvirtHost) {
    support::run(&mut ssh(host, "virsh -c qemu:///session list --all"));
}

/// `--once list` of one host, cold, against `ssh host virsh list --all`.
fn once(count: usize) -> Pairs {
    let host = LibvirtHost::start();
    host.define_many("vm", 17);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    pairs(
        "`--once list`, one host, cold / `ssh host virsh list --all`",
        count,
        || drop(deck.once(&["list"]).expect(0)),
        || listed_by_ssh(&host),
    )
}

/// `--once list` of some hosts, against the same ones one after another by ssh.
fn fleet(hosts: usize, count: usize) -> Pairs {
    let hosts: Vec<LibvirtHost> = (0..hosts).map(|_| LibvirtHost::start()).collect();
    let deck = Deck::new(VMDECK);
    for (number, host) in hosts.iter().enumerate() {
        host.define_many("vm", 5);
        deck.add(&format!("kvm{number:02}"), host, &[]);
    }
    pairs(
        &format!(
            "`--once list`, {0} hosts / {0} times ssh, one after another",
            hosts.len()
        ),
        count,
        || drop(deck.once(&["list"]).expect(0)),
        || hosts.iter().for_each(listed_by_ssh),
    )
}

/// A VM's state change on the host to the changed row on the screen.
fn event() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let pty = open(&deck);
    pty.wait_text("1 up");
    pty.wait_for("the VM running", |screen| row(screen).contains("running"));
    pty.still();
    let mut taken = Vec::new();
    for _ in 0..20 {
        for (verb, word) in [("suspend", "paused"), ("resume", "running")] {
            host.virsh(&["-q", verb, id.as_str()]);
            let start = Instant::now();
            pty.wait_for(word, |screen| row(screen).contains(word));
            taken.push(start.elapsed().as_secs_f64());
        }
    }
    taken.sort_by(f64::total_cmp);
    let worst = taken[taken.len() * 95 / 100];
    println!(
        "| state change (virsh has returned) to the changed row on the screen | p50 {}, p95 {} | – | – |",
        ms(median(taken)),
        ms(worst)
    );
}

/// Start to the first table on the screen, from the cache: the host does not even answer.
fn first_table() {
    let mut host = LibvirtHost::start();
    host.define_many("cached", 300);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    drop(deck.once(&["list"]).expect(0));
    host.sshd.stop();
    let mut taken = Vec::new();
    for _ in 0..10 {
        let start = Instant::now();
        let pty = open(&deck);
        pty.wait_text("cached-0");
        taken.push(start.elapsed().as_secs_f64());
    }
    println!(
        "| first table on the screen, from the cache (300 VMs) | {} | – | – |",
        ms(median(taken))
    );
}

/// What an open dashboard costs while nothing changes.
fn idle() {
    const WATCHED: Duration = Duration::from_secs(30);
    let host = LibvirtHost::start();
    host.define_many("vm", 17);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let pty = open(&deck);
    pty.wait_text("1 up");
    pty.still();
    let (bytes, ticks) = (pty.bytes_written(), cpu_ticks(pty.pid()));
    std::thread::sleep(WATCHED);
    let bytes = pty.bytes_written() - bytes;
    let ticks = cpu_ticks(pty.pid()) - ticks;
    // The kernel counts processor time in hundredths of a second.
    let percent = f64::from(u32::try_from(ticks).unwrap()) / WATCHED.as_secs_f64();
    println!(
        "| idle for 30 s, one host read every 3 s | {bytes} bytes to the terminal, {percent:.2} % of a core | – | – |"
    );
}

fn open(deck: &Deck) -> Pty {
    let environment = deck.environment();
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    Pty::start(Path::new(VMDECK), &[], &environment, (140, 40))
}

fn row(screen: &str) -> &str {
    screen
        .lines()
        .find(|line| line.contains("web-1"))
        .unwrap_or_default()
}

/// User and system time of a process so far, in hundredths of a second (`proc(5)`, fields 14 and 15).
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let after_name = stat.rsplit_once(") ").expect("a name").1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
