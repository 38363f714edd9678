//! Opening a fleet, and ending it in order.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::Surroundings;
use super::demo::{self, ThrowAway};
use super::signals::{self, Signals};
use crate::audit::{AuditLog, AuditOptions};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{HostSpec, LoginMethod};
use crate::domain::inventory::Scope;
use crate::fleet::FleetHandle;
use crate::fleet::engine::{self, BulkLimit, FleetOptions, FleetSetup};
use crate::fleet::target::LoginOptions;
use crate::hypervisor::drivers::InstalledDrivers;
use crate::manage::passphrase::PassphraseSource;
use crate::manage::{could_not, unlock};
use crate::profile::{Profile, ProfileError};
use crate::report::Complaint;
use crate::session::SessionOptions;
use crate::session::limits::HANDSHAKES;
use crate::task::Tasks;
use crate::transport::ssh::{SshConnector, SshOptions};
use crate::vault::Vault;

/// How long running operations may still take when the program ends.
const GRACE: Duration = Duration::from_secs(5);

/// How long tasks may take to notice that they are to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A fleet with what keeps it alive.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) handle: FleetHandle,
    /// What signals have asked for.
    pub(super) signals: Signals,
    /// The front end's tasks: they end before the fleet does.
    pub(super) front: Tasks,
    tasks: Tasks,
    /// The demo's files; they go when everything has ended.
    demo: Option<ThrowAway>,
}

/// Opens the profile in use, or the demo, and starts its fleet. `needed` says for which hosts a person
/// may be asked for the passphrase.
pub(super) async fn open(
    around: &Surroundings,
    err: &mut dyn Write,
    quiet: bool,
    needed: impl Fn(&HostSpec) -> bool,
) -> Result<Fleet, Complaint> {
    if around.globals.demo {
        let tasks = Tasks::new();
        let started = demo::start(&around.clock, &tasks).await;
        let (profile, folder) = started.map_err(Complaint::from)?;
        return assemble(around, profile, tasks, Some(folder)).await;
    }
    let (name, named) = around.profile()?;
    let profile = match Profile::open(&around.profiles(), &name).await {
        Err(ProfileError::NotFound { .. }) if !named => {
            let made = Profile::create(&around.profiles(), &name).await;
            let made = made.map_err(could_not("create the profile"))?;
            if !quiet {
                drop(writeln!(
                    err,
                    "created the profile `{name}` in {}",
                    made.dir().display()
                ));
            }
            made
        }
        opened => opened.map_err(|error| Complaint::of(&error))?,
    };
    let hosts = profile.hosts().await.map_err(could_not("read the hosts"))?;
    let asked: Vec<HostSpec> = hosts.into_iter().filter(|spec| needed(spec)).collect();
    start(around, profile, &asked).await
}

/// Starts the fleet of an open profile. A person is asked for the passphrase only when one of the hosts
/// that are needed logs in with a sealed credential.
pub(super) async fn start(
    around: &Surroundings,
    profile: Profile,
    needed: &[HostSpec],
) -> Result<Fleet, Complaint> {
    let vault = Vault::new(around.loaded.config.vault.idle());
    let sealed = needed
        .iter()
        .any(|spec| spec.enabled && matches!(spec.login, LoginMethod::Credential(_)));
    match around.passphrase() {
        Some(PassphraseSource::Prompt) if !sealed => {}
        Some(source) => {
            unlock::unlock(&profile, &vault, &source).await?;
        }
        None => {}
    }
    let tasks = Tasks::new();
    assemble_with(around, profile, vault, tasks, None).await
}

async fn assemble(
    around: &Surroundings,
    profile: Profile,
    tasks: Tasks,
    demo: Option<ThrowAway>,
) -> Result<Fleet, Complaint> {
    let vault = Vault::new(None);
    assemble_with(around, profile, vault, tasks, demo).await
}

async fn assemble_with(
    around: &Surroundings,
    profile: Profile,
    vault: Vault,
    tasks: Tasks,
    demo: Option<ThrowAway>,
) -> Result<Fleet, Complaint> {
    let config = &around.loaded.config;
    let rotate_bytes = config.audit.rotate_bytes;
    let options = AuditOptions { rotate_bytes };
    let opened = AuditLog::open_with(&profile.audit_dir(), around.clock.clone(), options).await;
    let (audit, _recovered) = opened.map_err(could_not("open the audit log"))?;
    let connector = SshConnector::new(SshOptions {
        connect_timeout: config.ssh.connect_timeout,
        auth_timeout: config.ssh.auth_timeout,
        keepalive: config.ssh.keepalive,
        agent_socket: around.agent_socket().filter(|_| demo.is_none()),
        max_handshakes: handshakes(around),
    });
    let setup = FleetSetup {
        profile,
        vault,
        audit,
        connector: Arc::new(connector),
        drivers: Arc::new(InstalledDrivers {
            read_within: config.poll.deadline,
            ..InstalledDrivers::new(around.clock.clone())
        }),
        policy: config.policy.clone().into(),
        read_only: around.globals.read_only,
        clock: around.clock.clone(),
        tasks: tasks.clone(),
        options: fleet_options(around, demo.is_some()),
    };
    let started: Result<FleetHandle, Failure> = engine::start(setup).await;
    let handle = started.map_err(Complaint::from)?;
    let front = Tasks::new();
    let signals = signals::listen(&front);
    let (end, token) = (signals.end.clone(), front.token().clone());
    drop(front.spawn("end of the front end", async move {
        tokio::select! {
            () = end.cancelled() => token.cancel(),
            () = token.cancelled() => {}
        }
    }));
    Ok(Fleet {
        handle,
        signals,
        front,
        tasks,
        demo,
    })
}

pub(super) fn fleet_options(around: &Surroundings, demo: bool) -> FleetOptions {
    let poll = &around.loaded.config.poll;
    // One listing wants everything at once; a screen wants something soon.
    let first = if around.globals.once {
        Scope::Full
    } else {
        Scope::Fast
    };
    FleetOptions {
        session: SessionOptions {
            tick: poll.libvirt_tick,
            hyperv_tick: poll.hyperv_tick,
            unfocused_factor: poll.unfocused_factor,
            full_every: poll.slow_facts,
            read_within: poll.deadline,
            first,
            announcements: !around.one_look,
            handshakes: handshakes(around),
            seed: None,
        },
        // The demo is the same for everybody: nothing of this machine's SSH goes into it.
        login: if demo {
            LoginOptions::default()
        } else {
            around.logins()
        },
        ssh_config: around.client_paths(None).filter(|_| !demo),
        bulk: bulk_limit(around.loaded.config.actions.bulk_per_host),
        remarks: around
            .loaded
            .warnings
            .iter()
            .map(|warning| remark(warning))
            .chain(around.loaded.mistakes.iter().cloned())
            .collect(),
    }
}

/// Hosts that are dialled at once, by each fleet and by its connector.
pub(super) fn handshakes(around: &Surroundings) -> usize {
    let configured = around.loaded.config.ssh.max_handshakes;
    usize::try_from(configured).unwrap_or(HANDSHAKES)
}

/// The range of the key has no zero.
fn bulk_limit(per_host: u32) -> BulkLimit {
    let wanted = usize::try_from(per_host).ok().and_then(NonZeroUsize::new);
    wanted.map_or_else(BulkLimit::default, BulkLimit)
}

fn remark(warning: &str) -> Failure {
    Failure::new(ErrorKind::Config, warning)
        .with_hint("`vmdeck config show` lists everything that can be set")
}

impl Fleet {
    /// Ends everything: operations first, then sessions, then tasks. `err` is told what was left.
    pub(super) async fn end(self, err: Option<&mut dyn Write>) {
        let left = tokio::select! {
            left = self.handle.shutdown(GRACE) => left.unwrap_or_default(),
            () = self.signals.now.cancelled() => 0,
        };
        if let Some(err) = err
            && left > 0
        {
            drop(writeln!(
                err,
                "{left} operations were still under way; the audit log has them as unknown"
            ));
        }
        self.front.cancel();
        self.tasks.cancel();
        tokio::join!(self.front.wait(LAST_WORDS), self.tasks.wait(LAST_WORDS));
        drop(self.demo);
    }
}
