//! Links for the suites: to a real sshd and to a script.

use std::sync::Arc;
use std::time::Duration;

use vmdeck::domain::credential::Credential;
use vmdeck::domain::host::Endpoint;
use vmdeck::domain::host_key::{HostKey, PinnedKey};
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::transport::scripted::{Answer, Script};
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{
    CommandOutput, Connected, Connector, ExecLimits, Hop, Target, Transport, TransportError,
};

use crate::support::keys::KeyPair;
use crate::support::sshd::Sshd;

/// Long enough for a busy machine, short enough for a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn shell(script: &str) -> RemoteCommand {
    RemoteCommand::posix("sh").args(["-c", script])
}

pub fn key_file(key: &KeyPair) -> Credential {
    Credential::KeyFile {
        path: key.path.clone(),
        passphrase: None,
    }
}

/// One stop at a server, logging in with these.
pub fn hop(sshd: &Sshd, credentials: Vec<Credential>) -> Hop {
    Hop {
        endpoint: Endpoint::new("127.0.0.1", sshd.port()),
        key_alias: None,
        user: sshd.user().parse().unwrap(),
        credentials,
    }
}

/// A server as a target: its keys known, its own client key to log in with.
pub fn target(sshd: &Sshd) -> Target {
    target_of(vec![hop(sshd, vec![key_file(&sshd.client_key)])], &[sshd])
}

/// Servers as hops, the keys of `known` in files.
pub fn target_of(hops: Vec<Hop>, known: &[&Sshd]) -> Target {
    Target {
        name: "kvm1".parse().unwrap(),
        hops,
        pinned: Vec::new(),
        known_hosts: known.iter().map(|sshd| sshd.known_hosts_file()).collect(),
        accept_new: false,
    }
}

pub fn host_key(key: &KeyPair) -> HostKey {
    let (algorithm, base64) = key.public_parts();
    HostKey {
        algorithm,
        base64,
        fingerprint: key.fingerprint(),
    }
}

pub fn pin(sshd: &Sshd, key: &KeyPair) -> PinnedKey {
    PinnedKey {
        label: sshd.label(),
        key: host_key(key),
        revoked: false,
    }
}

pub async fn connect(target: &Target) -> Result<Connected, TransportError> {
    SshConnector::new(SshOptions::default())
        .connect(target)
        .await
}

pub async fn connected(sshd: &Sshd) -> Arc<dyn Transport> {
    match connect(&target(sshd)).await {
        Ok(connected) => connected.transport,
        Err(error) => panic!("{error}: {}", sshd.log()),
    }
}

pub async fn exec(
    transport: &dyn Transport,
    command: &RemoteCommand,
) -> Result<CommandOutput, TransportError> {
    transport.exec(command, ExecLimits::within(PATIENCE)).await
}

pub async fn stdout(transport: &dyn Transport, command: &RemoteCommand) -> String {
    let output = exec(transport, command).await.unwrap();
    assert!(output.status.is_success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A link under contract, with what keeps it alive.
pub struct Rig {
    pub transport: Arc<dyn Transport>,
    _sshd: Option<Sshd>,
}

impl Rig {
    pub async fn sshd() -> Self {
        let sshd = Sshd::start();
        Self {
            transport: connected(&sshd).await,
            _sshd: Some(sshd),
        }
    }

    /// The scripted host, knowing the commands that the contract uses.
    pub async fn scripted() -> Self {
        let script = Script::new();
        script
            .on("exit 3", Answer::exit(3))
            .on("echo out", Answer::out("out\n").stderr("err\n"))
            .on(
                "cat",
                Answer::made(|command| Answer::out(command.stdin.clone().unwrap_or_default())),
            )
            .on(
                "head -c 1000 /dev/zero >&2",
                Answer::exit(0).stderr(vec![0; 1000]),
            )
            .on("sleep 30", Answer::hang())
            .on("head -c 100000 /dev/zero", Answer::out(vec![0; 100_000]))
            .on("sleep 1", Answer::out("").after(Duration::from_secs(1)))
            .on("true", Answer::out(""))
            .on_spawn("cat", |_command| {
                |bytes: &[u8]| vec![vmdeck::transport::Chunk::Stdout(bytes.to_vec())]
            });
        let connected = script.connector().connect(&scripted_target()).await;
        Self {
            transport: connected.unwrap().transport,
            _sshd: None,
        }
    }
}

fn scripted_target() -> Target {
    Target {
        name: "scripted".parse().unwrap(),
        hops: Vec::new(),
        pinned: Vec::new(),
        known_hosts: Vec::new(),
        accept_new: false,
    }
}
