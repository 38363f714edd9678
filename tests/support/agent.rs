//! A real `ssh-agent` with keys, on a socket of its own.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use tempfile::TempDir;

use super::keys::KeyPair;
use super::{command, run, wait_for};

/// A running agent; ended when dropped.
#[derive(Debug)]
pub struct Agent {
    pub socket: PathBuf,
    child: Child,
    _dir: TempDir,
}

impl Agent {
    /// Starts an agent and loads keys (without passphrase) into it, in order.
    pub fn start(keys: &[&KeyPair]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("agent")
            .tempdir()
            .expect("temporary directory");
        let socket = dir.path().join("socket");
        let child = command("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .spawn()
            .expect("ssh-agent (install the package openssh-client)");
        let agent = Self {
            socket,
            child,
            _dir: dir,
        };
        // The agent binds its socket before it listens: the file alone answers nobody yet.
        assert!(wait_for(Duration::from_secs(10), || {
            UnixStream::connect(&agent.socket).is_ok()
        }));
        for key in keys {
            agent.add(&key.path);
        }
        agent
    }

    fn add(&self, path: &Path) {
        run(command("ssh-add")
            .arg("-q")
            .arg(path)
            .env("SSH_AUTH_SOCK", &self.socket));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
