//! An emulated Windows Hyper-V host behind a real sshd: the transport is the real one, and what runs a
//! command is the emulator in this process, driven by its control.
//!
//! The login shell is the example `emulated_windows`; cargo builds examples together with tests (for
//! `cargo test` and `cargo nextest run` without a choice of targets), beside the test programs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixListener;
use vmdeck::sim::hyperv::{WindowsControl, socket};
use vmdeck::sim::{Demo, HostControl, Scenario};
use vmdeck::task::Tasks;

use super::sshd::{Sshd, SshdBuilder};

/// An emulated host, ended with this value.
pub struct EmulatedWindows {
    /// The server that clients talk to.
    pub sshd: Sshd,
    demo: Demo,
    host: String,
    tasks: Tasks,
    _dir: TempDir,
}

impl EmulatedWindows {
    /// Starts the first Hyper-V host of a scenario in TOML.
    pub async fn start(toml: &str) -> Self {
        Self::start_with(toml, Sshd::builder()).await
    }

    /// Starts it behind a server with settings of one's own.
    pub async fn start_with(toml: &str, builder: SshdBuilder) -> Self {
        let scenario = Scenario::from_toml(toml).expect("a scenario");
        let tasks = Tasks::new();
        let demo = vmdeck::sim::start(scenario, &tasks).await.expect("a fleet");
        let host = demo
            .control
            .hosts()
            .iter()
            .find(|host| host.windows().is_some())
            .expect("a host of kind hyperv")
            .clone();
        let dir = tempfile::Builder::new()
            .prefix("windows")
            .tempdir()
            .expect("temporary directory");
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let name = host.name().to_owned();
        let serving = tasks.clone();
        tasks.spawn("emulated windows", async move {
            socket::serve(&host, listener, &serving)
                .await
                .expect("the emulator serves");
        });
        let force = format!(
            "ForceCommand exec {} shell {}",
            shell().display(),
            path.display()
        );
        let sshd = tokio::task::spawn_blocking(move || builder.line(force).start())
            .await
            .expect("a server");
        Self {
            sshd,
            demo,
            host: name,
            tasks,
            _dir: dir,
        }
    }

    /// What drives the host as any host.
    pub fn host(&self) -> &HostControl {
        self.demo.control.host(&self.host).expect("the host")
    }

    /// What drives it as a Windows host.
    pub fn control(&self) -> WindowsControl {
        self.host().windows().expect("a Windows host")
    }

    /// Ends it and waits for it.
    pub async fn end(mut self) {
        self.tasks.cancel();
        self.sshd.stop();
        assert!(
            self.tasks.wait(Duration::from_secs(20)).await,
            "the emulator ends when it is told to"
        );
    }
}

impl Drop for EmulatedWindows {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

/// The program that plays the login shell: `target/<profile>/examples`, two folders up from the test
/// program in `target/<profile>/deps`.
fn shell() -> PathBuf {
    let test = std::env::current_exe().expect("this program's path");
    let path = test
        .parent()
        .and_then(Path::parent)
        .expect("a target directory")
        .join("examples")
        .join("emulated_windows");
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build --example emulated_windows --all-features`",
        path.display()
    );
    path
}
