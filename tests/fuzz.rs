//! Every fuzz target on stable Rust: its corpus, then mutations of it, always the same ones for a seed.
//!
//! A target gets [`SECONDS`] or [`EXECS`] inputs, whichever is over first; `VMDECK_FUZZ_SECONDS`,
//! `VMDECK_FUZZ_EXECS` and `VMDECK_FUZZ_SEED` say otherwise. No input may panic, take longer than
//! [`SLOW`], or bring the process over [`MEMORY`]. What fails is made small and printed with its seed.
//! `tests/campaign fuzz` does the same for longer, in an optimised build, each target in a process of its
//! own; `fuzz/run` with coverage and sanitizers, for as long as wanted (`fuzz/README.md`).

#![cfg(test)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use vmdeck::testing::fuzz::{TARGETS, Target, find};
use vmdeck::testing::mutate::Mutator;

/// Time of one target.
const SECONDS: u64 = 3;

/// Inputs of one target.
const EXECS: u64 = 200_000;

/// Bytes of an input.
const LONGEST: usize = 16 * 1024;

/// Longest time for one input, in a build that is not optimised.
const SLOW: Duration = Duration::from_secs(1);

/// Time after which an input is taken to run for ever.
const ENDLESS: Duration = Duration::from_secs(60);

/// Memory of the process at its highest, in KiB.
const MEMORY: u64 = 256 * 1024;

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { attack(stringify!($name)); })*

        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    virsh_tables virsh_domstats virsh_domain_xml virsh_events virsh_complaints virsh_kept guest_agent process_table picture
    powershell_frames powershell_results hyperv_answers hyperv_records hyperv_watch clixml
    known_hosts ssh_config private_key public_key sealed sealed_payload audit_log
    config theme key_binding filter pattern host_words remote_text console recording quoting command_line
    old_portal bot_signature bot_timestamp forwarded_for address_list request_path portal_body portal_key
    v1_body v1_list v1_cursor v1_terms idempotency_key
}

#[test]
fn every_target_is_attacked() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, TESTED);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the size of a campaign is said from outside"
)]
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a whole number"))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(
        files.len() >= 2,
        "{} has too little in it",
        folder.display()
    );
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

fn attack(name: &str) {
    let target = find(name).expect("a target of this name");
    let corpus = corpus(name);
    let seed = setting("VMDECK_FUZZ_SEED", 1);
    let until = Instant::now() + Duration::from_secs(setting("VMDECK_FUZZ_SECONDS", SECONDS));
    let most = setting("VMDECK_FUZZ_EXECS", EXECS);
    let watchdog = Watchdog::new(name);
    let mut slowest = Slowest::default();
    for input in &corpus {
        slowest.note(run(target, input, &watchdog, "of the corpus"), input);
    }
    let mut mutator = Mutator::new(seed, LONGEST, target.words);
    let mut execs = 0;
    while execs < most && Instant::now() < until {
        let input = mutator.next(&corpus);
        let which = format!("number {execs} of seed {seed}");
        slowest.note(run(target, &input, &watchdog, &which), &input);
        execs += 1;
    }
    let memory = highest_memory();
    println!(
        "fuzz: {name}: {execs} inputs, slowest {:.2} ms, {} MiB at most",
        slowest.undisturbed(target).as_secs_f64() * 1e3,
        memory / 1024
    );
    assert!(memory < MEMORY, "{name} took {memory} KiB of memory");
}

/// The input that took longest.
#[derive(Default)]
struct Slowest {
    time: Duration,
    input: Vec<u8>,
}

impl Slowest {
    fn note(&mut self, time: Duration, input: &[u8]) {
        if time > self.time {
            self.time = time;
            self.input = input.to_vec();
        }
    }

    /// What it takes when nobody interrupts it: the quickest of some times.
    fn undisturbed(&self, target: &Target) -> Duration {
        let again = || {
            let began = Instant::now();
            (target.run)(&self.input);
            began.elapsed()
        };
        std::iter::repeat_with(again)
            .take(5)
            .min()
            .unwrap_or_default()
    }
}

/// Runs one input; returns how long it took, other people's work included.
fn run(target: &Target, input: &[u8], watchdog: &Watchdog, which: &str) -> Duration {
    let took = |input: &[u8]| {
        watchdog.begins(input);
        let began = Instant::now();
        let end = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        watchdog.ends();
        end.map(|()| began.elapsed())
    };
    match took(input) {
        Ok(time) if time <= SLOW => time,
        // The machine may have had other things to do: what counts is the processor's time.
        Ok(time) => {
            let before = processor_time();
            drop(took(input));
            let spent = processor_time().saturating_sub(before);
            assert!(
                spent <= SLOW,
                "{} takes {spent:?} for the input {which}: {}",
                target.name,
                kept(target, input)
            );
            time
        }
        Err(_) => {
            let small = smaller(target, input);
            panic!(
                "{} breaks on the input {which}, in short {:?}: {}",
                target.name,
                String::from_utf8_lossy(&small),
                kept(target, &small)
            );
        }
    }
}

/// Writes an input down and says where.
fn kept(target: &Target, input: &[u8]) -> String {
    let name = format!("fuzz-{}-{:016x}", target.name, fnv(input));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(&path, input).unwrap();
    path.display().to_string()
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Takes out what is not needed for it to break.
fn smaller(target: &Target, input: &[u8]) -> Vec<u8> {
    std::panic::set_hook(Box::new(|_| {}));
    let breaks = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err();
    let mut small = input.to_vec();
    let mut size = small.len().div_ceil(2).max(1);
    let mut tries = 0;
    while tries < 4000 {
        let mut at = 0;
        let before = small.len();
        while at < small.len() && tries < 4000 {
            tries += 1;
            let mut candidate = small.clone();
            drop(candidate.drain(at..(at + size).min(small.len())));
            if breaks(&candidate) {
                small = candidate;
            } else {
                at += size;
            }
        }
        if size == 1 && small.len() == before {
            break;
        }
        size = (size / 2).max(1);
    }
    drop(std::panic::take_hook());
    small
}

/// The input that is running, and since when.
type Running = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Ends the process, with the input, when one runs for ever.
struct Watchdog {
    now: Running,
    _end: SyncSender<()>,
}

impl Watchdog {
    fn new(name: &str) -> Self {
        let now = Running::default();
        let (end, ended) = sync_channel(0);
        let (seen, name) = (Arc::clone(&now), name.to_owned());
        std::thread::spawn(move || {
            while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let running = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((began, input)) = &*running
                    && began.elapsed() > ENDLESS
                {
                    eprintln!(
                        "{name} does not end on {:?}",
                        String::from_utf8_lossy(input)
                    );
                    std::process::abort();
                }
            }
        });
        Self { now, _end: end }
    }

    fn begins(&self, input: &[u8]) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = Some((Instant::now(), input.to_vec()));
    }

    fn ends(&self) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Time that this thread has been running on a processor.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// The most memory this process has ever had, in KiB.
fn highest_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
