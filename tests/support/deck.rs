//! The real program with a home of its own, for tests that run it as a script or a person would.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::lab::LibvirtHost;
use super::sshd::Sshd;
use super::{command, write};

/// What one run of the program gave.
#[derive(Debug)]
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Runs a prepared command to its end.
    pub fn of(prepared: &mut std::process::Command) -> Self {
        let output = prepared.output().expect("the program runs");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails with everything it said unless it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\nstdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Returns standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in:\n{}\n{}", self.stdout, self.stderr))
    }
}

/// A home with a profile, and the program that uses it.
#[derive(Debug)]
pub struct Deck {
    program: PathBuf,
    home: TempDir,
}

impl Deck {
    /// Makes an empty home for `program` (`env!("CARGO_BIN_EXE_vmdeck")`).
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let home = TempDir::new().expect("a directory");
        Self {
            program: program.into(),
            home,
        }
    }

    /// Returns the home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns the program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the environment of every run.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let home = self.home.path().display().to_string();
        [("VMDECK_HOME", home.clone()), ("HOME", home)]
    }

    /// Writes the configuration.
    pub fn configure(&self, toml: &str) -> PathBuf {
        let path = self.home.path().join("test-config.toml");
        write(&path, toml);
        path
    }

    /// Prepares a run.
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let mut prepared = command(self.program.to_str().expect("a plain path"));
        // The caller's own settings must not reach it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("VMDECK_") {
                prepared.env_remove(name);
            }
        }
        prepared.args(args).envs(self.environment());
        prepared.env_remove("SSH_AUTH_SOCK");
        prepared
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(&mut self.command(args))
    }

    /// Runs `--once` with these words.
    pub fn once(&self, words: &[&str]) -> Run {
        let mut args = vec!["--once"];
        args.extend(words);
        self.run(&args)
    }

    /// Adds a host of the laboratory under a name, its key pinned.
    #[track_caller]
    pub fn add(&self, name: &str, host: &LibvirtHost, more: &[&str]) {
        let mut args = vec!["--uri", "qemu:///session"];
        args.extend(more);
        self.add_server(name, &host.sshd, &args);
    }

    /// Adds a host of the laboratory under a name, with nothing known about its key.
    #[track_caller]
    pub fn add_unpinned(&self, name: &str, host: &LibvirtHost, more: &[&str]) {
        let mut args = vec!["--uri", "qemu:///session"];
        args.extend(more);
        self.add_behind(name, &host.sshd, &args);
    }

    /// Adds the host behind a server under a name, its key pinned.
    #[track_caller]
    pub fn add_server(&self, name: &str, sshd: &Sshd, more: &[&str]) {
        let known = sshd.known_hosts();
        let key = known
            .lines()
            .next()
            .and_then(|line| line.split_once(' '))
            .map(|(_, key)| key.to_owned())
            .expect("a host key");
        let mut args = vec!["--host-key", &key];
        args.extend(more);
        self.add_behind(name, sshd, &args);
    }

    #[track_caller]
    fn add_behind(&self, name: &str, sshd: &Sshd, more: &[&str]) {
        let address = format!("127.0.0.1:{}", sshd.port());
        let key_file = sshd.client_key.path.display().to_string();
        let mut args = vec![
            "host",
            "add",
            name,
            "--address",
            &address,
            "--user",
            sshd.user(),
            "--key-file",
            &key_file,
        ];
        args.extend(more);
        self.run(&args).expect(0);
    }
}
