//! A fleet on a world of scripted machines: real profile, vault and audit log in a temporary
//! directory, the real engine and real sessions, under paused time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use vmdeck::audit::AuditLog;
use vmdeck::clock::Clock;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::Failure;
use vmdeck::domain::health::HostHealth;
use vmdeck::domain::host::{Endpoint, HostId, HostSpec};
use vmdeck::domain::host_key::PinnedKey;
use vmdeck::domain::inventory::{FleetSnapshot, HostSnapshot};
use vmdeck::domain::operation::{Actor, Consent, Door, Operation, OperationId, Plan, Submission};
use vmdeck::domain::vm::{PowerState, VmRef};
use vmdeck::fleet::engine::BulkLimit;
use vmdeck::fleet::request::{HostSelection, Proposal};
use vmdeck::fleet::target::LoginOptions;
use vmdeck::fleet::{FleetHandle, FleetOptions, FleetSetup, start};
use vmdeck::hypervisor::Drivers;
use vmdeck::profile::{Profile, ProfileName};
use vmdeck::session::SessionOptions;
use vmdeck::task::Tasks;
use vmdeck::transport::Connector;
use vmdeck::vault::Vault;

use crate::world::{World, WorldDrivers, key, vm_id};

/// How long a test waits for a fact, in real time: whatever virtual time does meanwhile.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Lab {
    pub(crate) world: World,
    pub(crate) clock: Clock,
    pub(crate) profile: Profile,
    pub(crate) vault: Vault,
    pub(crate) audit: AuditLog,
    pub(crate) handle: FleetHandle,
    pub(crate) tasks: Tasks,
    root: tempfile::TempDir,
}

/// What a lab is made of before it starts.
pub(crate) struct Plans {
    pub(crate) world: World,
    pub(crate) profile: Profile,
    pub(crate) vault: Vault,
    pub(crate) read_only: bool,
    pub(crate) session: SessionOptions,
    pub(crate) remarks: Vec<Failure>,
    pub(crate) bulk: BulkLimit,
    clock: Clock,
    root: tempfile::TempDir,
}

impl Plans {
    /// Prepares a profile with hosts `h1`, `h2`, ... whose keys are pinned.
    pub(crate) async fn hosts(count: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir: PathBuf = root.path().join("profiles");
        let name: ProfileName = "lab".parse().unwrap();
        let profile = Profile::create(&dir, &name).await.unwrap();
        let world = World::default();
        for n in 1..=count {
            let name = format!("h{n}");
            profile.upsert_host(spec(&name)).await.unwrap();
            profile.pin_key(pin(&name), false).await.unwrap();
            world.with(&name, |machine| machine.audit_dir = profile.audit_dir());
        }
        Self {
            world,
            profile,
            vault: Vault::for_tests(None),
            read_only: false,
            session: seeded(),
            remarks: Vec::new(),
            bulk: BulkLimit::default(),
            clock: Clock::manual("2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap()),
            root,
        }
    }

    /// Starts the fleet; nothing is connected yet.
    pub(crate) async fn start(self) -> Lab {
        let (connector, drivers) = (self.world.clone(), WorldDrivers(self.world.clone()));
        self.start_with(Arc::new(connector), Arc::new(drivers))
            .await
    }

    /// The same with other hosts and drivers than those of the world.
    pub(crate) async fn start_with(
        self,
        connector: Arc<dyn Connector>,
        drivers: Arc<dyn Drivers>,
    ) -> Lab {
        let audit_dir = self.profile.audit_dir();
        let (audit, _) = AuditLog::open(&audit_dir, self.clock.clone())
            .await
            .unwrap();
        let tasks = Tasks::new();
        let setup = FleetSetup {
            profile: self.profile.clone(),
            vault: self.vault.clone(),
            audit: audit.clone(),
            connector,
            drivers,
            policy: Arc::new([]),
            read_only: self.read_only,
            clock: self.clock.clone(),
            tasks: tasks.clone(),
            options: FleetOptions {
                session: self.session,
                login: LoginOptions {
                    user: Some("ann".parse().unwrap()),
                    agent: true,
                    ..LoginOptions::default()
                },
                ssh_config: None,
                bulk: self.bulk,
                remarks: self.remarks,
            },
        };
        let handle = start(setup).await.unwrap();
        Lab {
            world: self.world,
            clock: self.clock,
            profile: self.profile,
            vault: self.vault,
            audit,
            handle,
            tasks,
            root: self.root,
        }
    }

    /// Starts the fleet and waits until all hosts were read, slow facts included.
    pub(crate) async fn up(self) -> Lab {
        let lab = self.start().await;
        lab.handle.connect(HostSelection::All).await.unwrap();
        lab.until(|state| {
            state.hosts.iter().all(|host| {
                host.health == HostHealth::Online && !host.from_cache && host.inventory.is_some()
            })
        })
        .await;
        lab
    }
}

fn seeded() -> SessionOptions {
    SessionOptions {
        seed: Some(7),
        ..SessionOptions::default()
    }
}

pub(crate) fn spec(name: &str) -> HostSpec {
    HostSpec::new(name.parse().unwrap(), Endpoint::new(name, 22))
}

pub(crate) fn pin(name: &str) -> PinnedKey {
    PinnedKey {
        label: name.to_owned(),
        key: key(name),
        revoked: false,
    }
}

pub(crate) fn actor() -> Actor {
    Actor {
        door: Door::Tui,
        user: "ann".into(),
        key: None,
        client_ip: None,
    }
}

/// A plan of which only the record matters.
pub(crate) fn any_plan() -> Plan {
    Plan {
        vm: VmRef {
            host: HostId(1),
            vm: vm_id(1),
        },
        vm_name: "web-1".into(),
        host_name: "h1".parse().unwrap(),
        action: ActionKind::Shutdown.into(),
        commands: Vec::new(),
        state: PowerState::Running,
        consequences: Vec::new(),
    }
}

impl Lab {
    /// Waits until the published state satisfies a condition.
    pub(crate) async fn until(
        &self,
        condition: impl Fn(&FleetSnapshot) -> bool,
    ) -> Arc<FleetSnapshot> {
        let began = std::time::Instant::now();
        let mut states = self.handle.watch();
        loop {
            let state = Arc::clone(&states.borrow_and_update());
            if condition(&state) {
                return state;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "waited in vain; the state is {state:#?}"
            );
            // Bounded by real time: whatever fires in virtual time, the wait goes on.
            drop(tokio::time::timeout(Duration::from_secs(1), states.changed()).await);
        }
    }

    /// Waits until something else is true.
    pub(crate) async fn eventually(&self, what: &str, condition: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !condition() {
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Submits what was planned and agreed to, and returns how it ended.
    pub(crate) async fn run(&self, proposal: Proposal) -> Operation {
        let submission = Submission {
            plan: proposal.plan,
            actor: actor(),
            consent: Consent::Confirmed,
            count: 1,
            deadline: None,
        };
        let id = self.handle.submit(submission).await.unwrap();
        Operation::clone(&*self.handle.outcome(&id).await.unwrap())
    }

    pub(crate) fn id(&self, name: &str) -> HostId {
        self.host(name).spec.id
    }

    pub(crate) fn host(&self, name: &str) -> Arc<HostSnapshot> {
        let state = self.handle.snapshot();
        let mut hosts = state.hosts.iter();
        Arc::clone(hosts.find(|host| host.spec.name.as_str() == name).unwrap())
    }

    pub(crate) fn vm(&self, host: &str, n: u32) -> VmRef {
        VmRef {
            host: self.id(host),
            vm: vm_id(n),
        }
    }

    pub(crate) fn state_of(&self, host: &str, n: u32) -> Option<PowerState> {
        let found = self.host(host).inventory.as_ref()?.vm(&vm_id(n)).cloned();
        found.map(|vm| vm.state.clone())
    }

    pub(crate) async fn plan(
        &self,
        host: &str,
        n: u32,
        action: ActionKind,
    ) -> Result<Plan, Failure> {
        let vm = self.vm(host, n);
        let proposal = self.handle.plan(vm, action.into(), actor(), 1).await?;
        Ok(proposal.plan)
    }

    pub(crate) async fn submit(&self, plan: Plan) -> Result<OperationId, Failure> {
        self.handle.submit(submission(plan)).await
    }

    pub(crate) async fn act(
        &self,
        host: &str,
        n: u32,
        action: ActionKind,
    ) -> Result<OperationId, Failure> {
        let plan = self.plan(host, n, action).await?;
        self.submit(plan).await
    }

    /// Acts and waits for the end.
    pub(crate) async fn done(&self, host: &str, n: u32, action: ActionKind) -> Arc<Operation> {
        let id = self.act(host, n, action).await.unwrap();
        self.handle.outcome(&id).await.unwrap()
    }

    /// Returns the audit log as `phase action status` lines, oldest first.
    pub(crate) async fn records(&self) -> Vec<String> {
        let records = self.audit.tail(1000).await.unwrap();
        records
            .iter()
            .map(|record| {
                let phase = serde_json::to_value(record.entry.phase).unwrap();
                let phase = phase.as_str().unwrap_or_default().to_owned();
                format!("{phase} {} {}", record.entry.action, record.entry.status)
            })
            .collect()
    }

    /// Waits until exactly this is recorded.
    pub(crate) async fn until_recorded(&self, expected: &[&str]) {
        let began = std::time::Instant::now();
        loop {
            let records = self.records().await;
            if records == expected {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "recorded is {records:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends this run; the profile stays for the next.
    pub(crate) async fn restart(self) -> Plans {
        self.handle.shutdown(Duration::ZERO).await.unwrap();
        Plans {
            world: self.world,
            profile: self.profile,
            vault: self.vault,
            read_only: false,
            session: seeded(),
            remarks: Vec::new(),
            bulk: BulkLimit::default(),
            clock: self.clock,
            root: self.root,
        }
    }
}

pub(crate) fn submission(plan: Plan) -> Submission {
    Submission {
        plan,
        actor: actor(),
        consent: Consent::Confirmed,
        count: 1,
        deadline: None,
    }
}
