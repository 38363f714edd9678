//! What the integration tests share: real servers, keys, and waiting for facts.
//!
//! Include it with `#[path = "../support/mod.rs"] mod support;`. Nothing here skips: what a test needs
//! and does not find fails it with the name of the package to install.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of its own"
)]

pub mod account;
pub mod agent;
pub mod campaign;
pub mod cast;
pub mod deck;
pub mod fault_proxy;
pub mod keys;
pub mod lab;
pub mod pty;
pub mod served;
pub mod simulated;
pub mod sshd;
pub mod windows;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Prepares a local program, with its streams closed or captured and in the C locale.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' one place that starts local programs"
)]
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("LC_ALL", "C");
    command
}

/// Runs a program to its end and returns its standard output; fails with everything it said.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("could not run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes a file of the test's own.
#[expect(clippy::disallowed_methods, reason = "test files hold nothing private")]
pub fn write(path: impl AsRef<std::path::Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    std::fs::write(path, content)
        .unwrap_or_else(|error| panic!("could not write {}: {error}", path.display()));
}

/// Waits until something is true, at most `bound`; returns whether it came true.
pub fn wait_for(bound: Duration, mut fact: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + bound;
    loop {
        if fact() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        pause();
    }
}

/// A short pause between two looks at a fact that nothing announces.
#[expect(clippy::disallowed_methods, reason = "the step of a bounded wait")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// Tells whether the tests run as root (and may log in as other accounts).
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The name of the account the tests run as.
pub fn own_account() -> String {
    run(command("id").arg("-un")).trim().to_owned()
}
