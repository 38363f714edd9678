//! A real `sshd` on a free loopback port, with keys, configuration and log of its own.
//!
//! It is started by `Sshd::builder()...start()`, can be stopped and started again on the same port,
//! and ends with everything it started when dropped. Nothing under /etc is read or changed. As root it
//! lets one log in as any account; otherwise only as oneself.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::keys::{KeyKind, KeyPair};
use super::{command, is_root, own_account, run, wait_for, write};

const PROGRAM: &str = "/usr/sbin/sshd";

/// Variable that marks what a server's sessions have started.
const MARK: &str = "VMDECK_TEST_SSHD";

/// How long what it left behind may take to end.
const END_BOUND: Duration = Duration::from_secs(3);

/// How long the server may take to listen.
const START_BOUND: Duration = Duration::from_secs(20);

/// What a server is to be like.
#[derive(Debug)]
pub struct SshdBuilder {
    host_keys: Vec<KeyKind>,
    host_key_files: Vec<String>,
    authorized: Vec<String>,
    own_key: bool,
    user: Option<String>,
    environment: Vec<(String, String)>,
    lines: Vec<String>,
    max_sessions: u32,
    log_level: &'static str,
}

impl SshdBuilder {
    /// Kinds of host key to make, instead of one ed25519 key.
    #[must_use]
    pub fn host_keys(mut self, kinds: &[KeyKind]) -> Self {
        self.host_keys = kinds.to_vec();
        self
    }

    /// Uses this host key (its private half in OpenSSH form) instead of making one.
    #[must_use]
    pub fn host_key_pem(mut self, pem: impl Into<String>) -> Self {
        self.host_keys.clear();
        self.host_key_files.push(pem.into());
        self
    }

    /// Lets the holder of this public key (a line of `authorized_keys`) log in as well.
    #[must_use]
    pub fn authorize(mut self, line: impl Into<String>) -> Self {
        self.authorized.push(line.into());
        self
    }

    /// Does not authorise the server's own client key.
    #[must_use]
    pub fn without_own_key(mut self) -> Self {
        self.own_key = false;
        self
    }

    /// The account that [`Sshd::user`] names (as root any; otherwise only oneself works).
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets an environment variable in every session.
    #[must_use]
    pub fn set_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Adds a line to the configuration. The first value wins in sshd, and these come first.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Sessions allowed on one connection (sshd's own default is 10).
    #[must_use]
    pub fn max_sessions(mut self, sessions: u32) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Log level, by default VERBOSE; DEBUG1 shows every authentication attempt.
    #[must_use]
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = level;
        self
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> Sshd {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: install the package openssh-server to run this test"
        );
        if is_root() {
            fs::create_dir_all("/run/sshd").expect("/run/sshd");
        }
        let dir = tempfile::Builder::new()
            .prefix("sshd")
            .tempdir()
            .expect("temporary directory");
        // Other accounts read authorized_keys with their own rights.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        let client_key = KeyPair::generate(&dir.path().join("client"), KeyKind::Ed25519, "");
        let mut host_keys: Vec<KeyPair> = self
            .host_keys
            .iter()
            .map(|kind| {
                KeyPair::generate(&dir.path().join(format!("host_{}", kind.word())), *kind, "")
            })
            .collect();
        for (index, pem) in self.host_key_files.iter().enumerate() {
            host_keys.push(adopt(&dir.path().join(format!("host_given_{index}")), pem));
        }
        let mut authorized = self.authorized.clone();
        if self.own_key {
            authorized.push(client_key.public_line());
        }
        write(
            dir.path().join("authorized_keys"),
            authorized.join("\n") + "\n",
        );
        let mut sshd = Sshd {
            user: self.user.clone().unwrap_or_else(own_account),
            client_key,
            host_keys,
            port: 0,
            child: None,
            builder: self,
            dir,
        };
        for _ in 0..5 {
            sshd.port = free_port();
            if sshd.try_start() {
                return sshd;
            }
        }
        panic!("sshd did not start: {}", sshd.log());
    }
}

/// Writes a given private key with its public half beside it.
fn adopt(path: &Path, pem: &str) -> KeyPair {
    write(path, pem);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("mode");
    let key = KeyPair {
        path: path.to_owned(),
    };
    let public = run(command("ssh-keygen").arg("-yf").arg(path));
    write(key.public_path(), public);
    key
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback port");
    listener.local_addr().expect("address").port()
}

/// A running server.
#[derive(Debug)]
pub struct Sshd {
    /// Key that may log in, unless the builder said otherwise.
    pub client_key: KeyPair,
    /// Its host keys.
    pub host_keys: Vec<KeyPair>,
    builder: SshdBuilder,
    user: String,
    port: u16,
    child: Option<Child>,
    dir: TempDir,
}

impl Sshd {
    /// Describes a server: one ed25519 host key, its own client key authorised.
    pub fn builder() -> SshdBuilder {
        SshdBuilder {
            host_keys: vec![KeyKind::Ed25519],
            host_key_files: Vec::new(),
            authorized: Vec::new(),
            own_key: true,
            user: None,
            // A depth of 5 keeps root's bash from reading .bashrc for every command.
            environment: vec![("SHLVL".into(), "5".into())],
            lines: Vec::new(),
            max_sessions: 10,
            log_level: "VERBOSE",
        }
    }

    /// Starts a server with the defaults.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Account to log in as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Directory with keys, configuration and log; removed with the server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Name its key is filed under in `known_hosts`.
    pub fn label(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// Lines for a `known_hosts` file, one for each host key.
    pub fn known_hosts(&self) -> String {
        let mut text = String::new();
        for key in &self.host_keys {
            let (algorithm, base64) = key.public_parts();
            text.push_str(&self.label());
            text.push(' ');
            text.push_str(&algorithm);
            text.push(' ');
            text.push_str(&base64);
            text.push('\n');
        }
        text
    }

    /// A `known_hosts` file with its keys.
    pub fn known_hosts_file(&self) -> PathBuf {
        let path = self.dir().join("known_hosts");
        write(&path, self.known_hosts());
        path
    }

    /// Everything it has logged; for messages of failing tests.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Number of lines of the log that hold this text.
    pub fn logged(&self, text: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(text))
            .count()
    }

    /// Process id of the listening server.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running sshd").id()
    }

    /// Process ids of its sessions and of what runs in them, outermost first.
    pub fn session_pids(&self) -> Vec<u32> {
        let mut pids = descendants(self.pid());
        pids.remove(0);
        pids
    }

    /// Kills every session with all that runs in it; the server goes on listening.
    pub fn kill_sessions(&self) {
        kill_all(&self.session_pids());
    }

    /// Stops every session in its tracks: connected, and silent.
    pub fn freeze_sessions(&self) {
        signal_all(&self.session_pids(), Signal::STOP);
    }

    /// Kills the server and its sessions.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill_all(&descendants(child.id()));
            child.wait().expect("sshd's end");
        }
    }

    /// Starts it again on the same port, with the configuration as it is now.
    pub fn restart(&mut self) {
        self.stop();
        // The port may be held for a moment by a session that is still going away.
        let started = wait_for(START_BOUND, || self.try_start());
        assert!(started, "sshd did not start again: {}", self.log());
    }

    /// Replaces the host keys; effective at the next restart.
    pub fn change_host_key(&mut self, kind: KeyKind) {
        let path = self
            .dir()
            .join(format!("host_new_{}", self.host_keys.len() + 1));
        if path.exists() {
            fs::remove_file(&path).expect("old key");
        }
        self.host_keys = vec![KeyPair::generate(&path, kind, "")];
    }

    fn configuration(&self) -> String {
        let dir = self.dir().display();
        let mut lines = self.builder.lines.clone();
        lines.push(format!("Port {}", self.port));
        lines.push("ListenAddress 127.0.0.1".into());
        for key in &self.host_keys {
            lines.push(format!("HostKey {}", key.path.display()));
        }
        lines.push(format!("AuthorizedKeysFile {dir}/authorized_keys"));
        lines.push(format!("PidFile {dir}/pid"));
        lines.push("UsePAM no".into());
        lines.push("StrictModes no".into());
        lines.push("PermitRootLogin yes".into());
        lines.push("PasswordAuthentication no".into());
        lines.push("KbdInteractiveAuthentication no".into());
        lines.push("MaxStartups 200".into());
        lines.push(format!("MaxSessions {}", self.builder.max_sessions));
        lines.push(format!("LogLevel {}", self.builder.log_level));
        let mut pairs: Vec<String> = self
            .builder
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.push(self.mark());
        lines.push(format!("SetEnv {}", pairs.join(" ")));
        lines.join("\n") + "\n"
    }

    /// What everything that its sessions start has in its environment.
    fn mark(&self) -> String {
        format!("{MARK}={}", self.dir().display())
    }

    /// Starts the process; false when it ended before it listened.
    fn try_start(&mut self) -> bool {
        let config = self.dir().join("config");
        write(&config, self.configuration());
        let log = self.dir().join("log");
        let before = self.logged("Server listening on");
        let mut child = command(PROGRAM)
            .arg("-D")
            .arg("-f")
            .arg(&config)
            .arg("-E")
            .arg(&log)
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {PROGRAM}: {error}"));
        let mut ended = false;
        let listening = wait_for(START_BOUND, || {
            ended = child.try_wait().is_ok_and(|status| status.is_some());
            ended || self.logged("Server listening on") > before
        });
        assert!(listening, "sshd does not listen: {}", self.log());
        if ended {
            return false;
        }
        self.child = Some(child);
        true
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
        // What was left behind by sessions that are gone already. A process that is between two
        // programs has no environment to be known by: it is looked at again.
        let mark = self.mark();
        wait_for(END_BOUND, || {
            let marked = marked(&mark);
            kill_all(&marked);
            marked.is_empty() && !processes().any(is_between_programs)
        });
    }
}

/// Processes that have this in their environment.
fn marked(mark: &str) -> Vec<u32> {
    processes()
        .filter(|pid| {
            !is_ended(*pid)
                && fs::read(format!("/proc/{pid}/environ"))
                    .unwrap_or_default()
                    .split(|byte| *byte == 0)
                    .any(|pair| pair == mark.as_bytes())
        })
        .collect()
}

/// Whether nobody has fetched its exit status yet.
fn is_ended(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

/// Whether a process is just changing into another program: the kernel then shows it without
/// arguments and without environment, but with a program, which its own threads do not have.
fn is_between_programs(pid: u32) -> bool {
    let is_empty = |file: &str| fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|b| b.is_empty());
    is_empty("environ") && is_empty("cmdline") && fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// Every process id of the machine.
fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A process and everything below it, parents first.
pub fn descendants(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for pid in processes() {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        // The name in parentheses may hold anything: fields are counted from the last `)`.
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1))
            .and_then(|field| field.parse::<u32>().ok());
        if let Some(parent) = parent {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(
            parents
                .iter()
                .filter(|(_, parent)| *parent == pid)
                .map(|(child, _)| *child),
        );
        next += 1;
    }
    found
}

fn kill_all(pids: &[u32]) {
    signal_all(pids, Signal::KILL);
}

fn signal_all(pids: &[u32], signal: Signal) {
    for pid in pids {
        let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // A process that has just ended by itself is what was wanted.
            kill_process(pid, signal).ok();
        }
    }
}
