//! An emulated Windows Hyper-V host behind a real OpenSSH server.
//!
//! ```text
//! emulated_windows serve SCENARIO.toml SOCKET   plays the first Hyper-V host of a scenario
//! emulated_windows shell SOCKET                 the ForceCommand of sshd: relays one command line
//! ```
//!
//! `docs/hyperv.md` says how to put it behind an sshd by hand; `tests/support/windows.rs` does it for
//! tests. The scenario's keys are in `docs/simulator.md`.

use std::path::Path;
use std::process::ExitCode;

use vmdeck::sim::hyperv::socket;
use vmdeck::sim::{self, Scenario};
use vmdeck::task::Tasks;

const USAGE: &str =
    "usage: emulated_windows serve SCENARIO.toml SOCKET\n       emulated_windows shell SOCKET";

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["serve", scenario, path] => serve(Path::new(scenario), Path::new(path)).await,
        ["shell", path] => shell(Path::new(path)).await,
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(said) => {
            complain(&said);
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::print_stderr, reason = "a program of its own, not the library")]
fn complain(said: &str) {
    eprintln!("emulated_windows: {said}");
}

/// Serves until it is interrupted.
async fn serve(scenario: &Path, path: &Path) -> Result<u8, String> {
    let text = std::fs::read_to_string(scenario).map_err(|error| error.to_string())?;
    let scenario = Scenario::from_toml(&text).map_err(|error| error.to_string())?;
    let tasks = Tasks::new();
    let demo = sim::start(scenario, &tasks)
        .await
        .map_err(|error| error.to_string())?;
    let host = demo
        .control
        .hosts()
        .iter()
        .find(|host| host.windows().is_some())
        .ok_or("the scenario has no host of kind hyperv")?;
    if path.exists() {
        std::fs::remove_file(path).map_err(|error| error.to_string())?;
    }
    let listener = tokio::net::UnixListener::bind(path).map_err(|error| error.to_string())?;
    tokio::select! {
        served = socket::serve(host, listener, &tasks) => served.map_err(|error| error.to_string())?,
        stopped = tokio::signal::ctrl_c() => stopped.map_err(|error| error.to_string())?,
    }
    tasks.cancel();
    std::fs::remove_file(path).map_err(|error| error.to_string())?;
    Ok(0)
}

/// Relays what sshd was asked to run. Unix keeps eight bits of the exit status of Windows' thirty-two.
async fn shell(path: &Path) -> Result<u8, String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how sshd tells a forced command what was asked for"
    )]
    let command = std::env::var("SSH_ORIGINAL_COMMAND")
        .map_err(|_unset| "interactive sessions are not emulated: give a command".to_owned())?;
    let status = socket::relay(path, &command)
        .await
        .map_err(|error| error.to_string())?;
    let [.., low] = status.to_be_bytes();
    Ok(low)
}
