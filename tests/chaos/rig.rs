//! A real fleet on a simulated one, every host behind a fault proxy of its own: real profile and audit log
//! in a temporary directory, real SSH, real time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vmdeck::audit::AuditLog;
use vmdeck::clock::Clock;
use vmdeck::domain::health::HostHealth;
use vmdeck::domain::host::{Endpoint, HostId, Jump, LoginMethod};
use vmdeck::domain::inventory::{FleetSnapshot, HostSnapshot};
use vmdeck::domain::operation::{Actor, Door};
use vmdeck::fleet::engine::BulkLimit;
use vmdeck::fleet::request::HostSelection;
use vmdeck::fleet::target::LoginOptions;
use vmdeck::fleet::{FleetHandle, FleetOptions, FleetSetup, start};
use vmdeck::hypervisor::drivers::InstalledDrivers;
use vmdeck::private_file;
use vmdeck::profile::Profile;
use vmdeck::session::SessionOptions;
use vmdeck::sim::{HostControl, Scenario};
use vmdeck::task::Tasks;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::vault::Vault;

use crate::support::fault_proxy::FaultProxy;
use crate::support::simulated::SimFleet;

/// How a fleet is read and dialled.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    pub(crate) seed: u64,
    pub(crate) ssh: SshOptions,
    pub(crate) tick: Duration,
    pub(crate) read_within: Duration,
    /// Whether the first host is the jump host of all others.
    pub(crate) through_first: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            seed: 1,
            ssh: SshOptions::default(),
            tick: Duration::from_secs(3),
            read_within: SessionOptions::default().read_within,
            through_first: false,
        }
    }
}

/// One host: the simulated one, the proxy before it, what the fleet calls it.
pub(crate) struct Host {
    pub(crate) id: HostId,
    pub(crate) control: HostControl,
    pub(crate) proxy: FaultProxy,
}

/// All of it; ends when dropped.
pub(crate) struct Rig {
    pub(crate) hosts: Vec<Host>,
    pub(crate) sim: SimFleet,
    pub(crate) handle: FleetHandle,
    pub(crate) audit: AuditLog,
    tasks: Tasks,
    _root: tempfile::TempDir,
}

impl Rig {
    /// Starts the fleet; nothing is connected yet.
    pub(crate) async fn start(scenario: Scenario, manner: &Manner) -> Self {
        let sim = SimFleet::of(scenario).await;
        let root = tempfile::tempdir().unwrap();
        let profile = Profile::create(&root.path().join("profiles"), &"lab".parse().unwrap())
            .await
            .unwrap();
        let key_file = root.path().join("key");
        private_file::write_atomic(&key_file, sim.demo.login_key_pem.expose().as_bytes()).unwrap();
        let mut hosts: Vec<Host> = Vec::new();
        for (number, host) in (0..).zip(&sim.demo.hosts) {
            let server = format!(
                "{}:{}",
                host.spec.endpoint.address,
                host.spec.endpoint.port_or_default()
            );
            let proxy =
                FaultProxy::start(server.parse().unwrap(), manner.seed ^ number << 16).await;
            let mut spec = host.spec.clone();
            spec.endpoint = Endpoint::new("127.0.0.1", proxy.address().port());
            spec.login = LoginMethod::KeyFile(key_file.clone());
            if let Some(first) = hosts.first().filter(|_| manner.through_first) {
                spec.jumps = vec![Jump {
                    user: None,
                    endpoint: Endpoint::new("127.0.0.1", first.proxy.address().port()),
                }];
            }
            let mut pinned = host.host_key.clone();
            pinned.label = format!("[127.0.0.1]:{}", proxy.address().port());
            profile.pin_key(pinned, false).await.unwrap();
            let control = sim.control(spec.name.as_str()).clone();
            hosts.push(Host {
                id: profile.upsert_host(spec).await.unwrap(),
                control,
                proxy,
            });
        }
        let (audit, _) = AuditLog::open(&profile.audit_dir(), Clock::system())
            .await
            .unwrap();
        let tasks = Tasks::new();
        let handle = start(FleetSetup {
            profile,
            vault: Vault::for_tests(None),
            audit: audit.clone(),
            connector: Arc::new(SshConnector::new(manner.ssh.clone())),
            drivers: Arc::new(InstalledDrivers {
                read_within: manner.read_within,
                ..InstalledDrivers::new(Clock::system())
            }),
            policy: Arc::new([]),
            read_only: false,
            clock: Clock::system(),
            tasks: tasks.clone(),
            options: FleetOptions {
                session: SessionOptions {
                    tick: manner.tick,
                    read_within: manner.read_within,
                    seed: Some(manner.seed),
                    ..SessionOptions::default()
                },
                login: LoginOptions::default(),
                ssh_config: None,
                bulk: BulkLimit::default(),
                remarks: Vec::new(),
            },
        })
        .await
        .unwrap();
        Self {
            hosts,
            sim,
            handle,
            audit,
            tasks,
            _root: root,
        }
    }

    /// Connects every host and waits until all were read.
    pub(crate) async fn connect(&self) {
        self.handle.connect(HostSelection::All).await.unwrap();
        let up = self.all_read_within(Duration::from_secs(120), Instant::now());
        assert!(up.await.is_some(), "not all hosts came up: {}", self.word());
    }

    /// Waits until every host is up and was read after `since`; returns how long after `since` that was.
    pub(crate) async fn all_read_within(
        &self,
        bound: Duration,
        since: Instant,
    ) -> Option<Duration> {
        // Wall time of `since`, for what is compared with the time of a read.
        let wall = Clock::system().now() - since.elapsed();
        let fresh = |host: &HostSnapshot| {
            host.health == HostHealth::Online
                && !host.from_cache
                && host.observed_at.is_some_and(|seen| seen >= wall)
        };
        let all = |state: &Arc<FleetSnapshot>| state.hosts.iter().all(|host| fresh(host));
        let end = since + bound;
        let waited = tokio::time::timeout_at(end, self.handle.wait_until(all)).await;
        waited.ok().flatten().map(|_| since.elapsed())
    }

    /// The fleet in one line, for the message of a test that fails.
    pub(crate) fn word(&self) -> String {
        let state = self.handle.snapshot();
        let mut words: Vec<String> = state
            .hosts
            .iter()
            .filter(|host| host.health != HostHealth::Online)
            .map(|host| format!("{}: {:?}", host.spec.name, host.health))
            .collect();
        words.push(format!("{} hosts in all", state.hosts.len()));
        words.join("; ")
    }

    /// Ends the fleet, then the simulated one; nothing may be left.
    pub(crate) async fn end(self) {
        self.handle.shutdown(Duration::ZERO).await.unwrap();
        self.tasks.cancel();
        assert!(self.tasks.wait(Duration::from_secs(20)).await);
        drop(self.hosts);
        self.sim.end().await;
    }
}

/// Somebody who acts.
pub(crate) fn actor() -> Actor {
    Actor {
        door: Door::Tui,
        user: "ann".into(),
        key: None,
        client_ip: None,
    }
}
