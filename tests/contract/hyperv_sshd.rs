//! The Hyper-V driver on emulated hosts behind a real OpenSSH server: the transport is the one that is
//! used, channels and connections end as they do there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use vmdeck::domain::credential::Credential;
use vmdeck::domain::host::{Endpoint, HostSpec, HypervisorKind, KindChoice};
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::vm::{PowerState, VmId};
use vmdeck::hypervisor::Drivers;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{Connector, Hop, Target, Transport};

use crate::driver_suite::{self as suite, BOUND, Bench};
use crate::edit;
use crate::hyperv::{Profile, VMS};
use crate::support::windows::EmulatedWindows;

struct HostBehindSshd(EmulatedWindows);

impl HostBehindSshd {
    async fn start(profile: Profile) -> Self {
        println!("{profile:?}");
        Self(EmulatedWindows::start(&profile.scenario(VMS)).await)
    }

    fn vm(&self, name: &str) -> VmId {
        let vm = self.0.control().vm(name).expect("the VM");
        VmId::parse(&vm.id).expect("a GUID")
    }

    fn target(&self) -> Target {
        let sshd = &self.0.sshd;
        Target {
            name: "win".parse().expect("a name"),
            hops: vec![Hop {
                endpoint: Endpoint::new("127.0.0.1", sshd.port()),
                key_alias: None,
                user: sshd.user().parse().expect("an account"),
                credentials: vec![Credential::KeyFile {
                    path: sshd.client_key.path.clone(),
                    passphrase: None,
                }],
            }],
            pinned: Vec::new(),
            known_hosts: vec![sshd.known_hosts_file()],
            accept_new: false,
        }
    }

    fn processes(&self) -> Vec<u32> {
        let running = self.0.control().processes().into_iter();
        let shells = running.filter(|it| it.name != "sshd" && it.name != "cmd");
        shells.map(|it| it.id).collect()
    }
}

#[async_trait]
impl Bench for HostBehindSshd {
    async fn connect(&self) -> Arc<dyn Transport> {
        let connected = SshConnector::new(SshOptions::default())
            .connect(&self.target())
            .await;
        connected.expect("a link").transport
    }

    fn spec(&self) -> HostSpec {
        let mut spec = HostSpec::new(
            "win".parse().expect("a name"),
            Endpoint::new("127.0.0.1", self.0.sshd.port()),
        );
        spec.kind = KindChoice::Auto;
        spec
    }

    fn deaf(&self) -> VmId {
        self.vm("deaf")
    }

    fn obedient(&self) -> VmId {
        self.vm("obedient")
    }

    async fn wait_ready(&self) {
        let start = Instant::now();
        while !self.0.control().vm("obedient").expect("the VM").ready {
            assert!(start.elapsed() < BOUND, "its guest never answers");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn kind(&self) -> HypervisorKind {
        HypervisorKind::HyperV
    }

    fn channel(&self) -> &'static str {
        "one PowerShell process per question"
    }

    fn version(&self) -> &'static str {
        "Hyper-V on "
    }

    async fn power(&self, vm: &VmId, on: bool) {
        let state = if on { "running" } else { "off" };
        let set = self.0.control().set_state(vm.as_str(), state);
        set.expect("a state");
    }
}

const ENGLISH: Profile = Profile {
    windows: "2022",
    powershell: "5.1",
    language: "en",
    shell: "cmd",
};

const GERMAN: Profile = Profile {
    windows: "2025",
    powershell: "7",
    language: "de",
    shell: "powershell",
};

#[tokio::test(flavor = "multi_thread")]
async fn behind_sshd_probe_list_and_details() {
    for profile in [ENGLISH, GERMAN] {
        let bench = HostBehindSshd::start(profile).await;
        suite::probes(&bench).await;
        suite::lists(&bench).await;
        suite::details(&bench).await;
        suite::tells_refusals(&bench).await;
        suite::answers_several_at_once(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sshd_every_verb() {
    suite::obeys_every_verb(&HostBehindSshd::start(ENGLISH).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sshd_guests_asked_to_stop() {
    suite::asks_guests_to_stop(&HostBehindSshd::start(GERMAN).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sshd_settings() {
    edit::takes_changes(&HostBehindSshd::start(GERMAN).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sshd_announcements() {
    suite::announces_changes(&HostBehindSshd::start(ENGLISH).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sshd_restarts() {
    suite::shows_restarts(&HostBehindSshd::start(GERMAN).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sshd_a_watch_outlives_its_link_and_the_next_link_ends_it() {
    let host = HostBehindSshd::start(ENGLISH).await;
    let drivers = suite::drivers();
    let mut watching = Vec::new();
    for _ in 0..2 {
        let link = host.connect().await;
        let driver = drivers.open(Arc::clone(&link), &host.spec()).await.unwrap();
        driver.inventory(Scope::Fast).await.unwrap();
        let mut hints = driver.hints().await.unwrap().unwrap();
        let told = tokio::time::timeout(BOUND, hints.next()).await;
        told.expect("in time").expect("a hint");
        watching.push(host.processes());
        drop(hints);
        host.0.sshd.kill_sessions();
        tokio::time::timeout(BOUND, link.closed())
            .await
            .expect("the link is lost");
    }
    assert_eq!(
        (watching[0].len(), watching[1].len()),
        (1, 1),
        "{watching:?}"
    );
    assert_ne!(watching[0], watching[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sshd_a_link_that_dies_in_the_middle_of_a_job_leaves_the_job() {
    use vmdeck::domain::action::ActionKind;
    use vmdeck::hypervisor::{HypervisorError, ProgressSink};
    let host = HostBehindSshd::start(GERMAN).await;
    host.0
        .control()
        .set_pace(|pace| pace.save = Duration::from_secs(2));
    let driver = suite::open(&host).await;
    let vm = host.deaf();
    host.power(&vm, true).await;
    let commands = suite::drivers()
        .commands(host.kind(), &host.spec(), &vm, &ActionKind::Save.into())
        .unwrap();
    let (progress, mut said) = ProgressSink::new();
    let cutting = async {
        let heard = tokio::time::timeout(BOUND, said.changed()).await;
        assert!(matches!(heard, Ok(Ok(()))), "it never said how far it was");
        host.0.sshd.kill_sessions();
    };
    let (saved, ()) = tokio::join!(driver.perform(&commands, &progress), cutting);
    let error = saved.expect_err("nobody knows");
    assert!(matches!(error, HypervisorError::Transport(_)), "{error:?}");
    let driver = suite::open(&host).await;
    suite::until(driver.as_ref(), Scope::Fast, &vm, "saved", |vm| {
        vm.state == PowerState::Saved
    })
    .await;
}
