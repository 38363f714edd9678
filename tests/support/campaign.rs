//! What every campaign has: a size that `tests/campaign` may change, and figures that it prints.

use std::str::FromStr;
use std::time::Duration;

/// Reads what `tests/campaign` was told, such as `--seed 7`.
fn told<T: FromStr>(name: &str) -> Option<T> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how tests/campaign tells a test its size"
    )]
    let value = std::env::var(format!("VMDECK_CAMPAIGN_{name}")).ok()?;
    let parsed = value.parse().ok();
    assert!(
        parsed.is_some(),
        "--{} cannot be {value}",
        name.to_lowercase()
    );
    parsed
}

/// The seed: what was told, or always the same.
pub fn seed(usual: u64) -> u64 {
    told("SEED").unwrap_or(usual)
}

/// How often something is done in a full campaign.
pub fn rounds(usual: usize) -> usize {
    told("ROUNDS").unwrap_or(usual)
}

/// How long a full campaign lasts.
pub fn lasting(usual: Duration) -> Duration {
    let hours: Option<f64> = told("HOURS");
    hours.map_or(usual, |hours| Duration::from_secs_f64(hours * 3600.0))
}

/// Waits for its turn: campaigns of one process count the same descriptors and tasks.
pub async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// Prints one figure of a campaign; `docs/reliability.md` keeps the last ones.
pub fn figure(campaign: &str, what: &str, value: impl std::fmt::Display) {
    println!("{campaign}: {what}: {value}");
}

/// Descriptors that this process has open.
pub fn descriptors() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").expect("/proc");
    // One of them is the directory itself.
    open.count() - 1
}

/// Tasks of this runtime that have not ended.
pub fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

/// Memory of this process that is in use, in bytes.
pub fn memory() -> usize {
    usize::try_from(memory_of(std::process::id())).expect("a size")
}

/// Memory of a process that is in use, in bytes.
pub fn memory_of(pid: u32) -> u64 {
    status_of(pid, "VmRSS:")
}

/// The same without pages of files, its own program among them: those the system takes and gives back as it likes.
pub fn own_memory_of(pid: u32) -> u64 {
    status_of(pid, "RssAnon:")
}

/// A size that the system tells of a process (`proc(5)`, `/proc/pid/status`), in bytes.
fn status_of(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    let told = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let kilobytes: u64 = told.and_then(|text| text.parse().ok()).expect(name);
    kilobytes * 1024
}

/// Bytes the loopback has carried (`proc(5)`, `/proc/net/dev`).
pub fn loopback_bytes() -> u64 {
    let devices = std::fs::read_to_string("/proc/net/dev").expect("/proc");
    let line = devices
        .lines()
        .find_map(|line| line.trim().strip_prefix("lo:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("the loopback")
}

/// Whether this is the build that the goals about time are for.
pub const fn shipped() -> bool {
    !cfg!(debug_assertions)
}
