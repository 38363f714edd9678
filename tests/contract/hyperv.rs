//! The Hyper-V driver on emulated hosts of every kind: the same suite as on libvirt hosts, for every
//! version of Windows, both editions of `PowerShell`, both outer shells, in English and in German.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::host::{HostSpec, HypervisorKind};
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::units::Bytes;
use vmdeck::domain::vm::{PowerState, Vm, VmId};
use vmdeck::hypervisor::Hypervisor;
use vmdeck::sim::hyperv::WindowsControl;
use vmdeck::transport::Transport;

use crate::define;
use crate::driver_suite::{self as suite, Bench};
use crate::edit;
use crate::snapshots;
use crate::support::simulated::SimFleet;

/// What kind of Windows a host is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) windows: &'static str,
    pub(crate) powershell: &'static str,
    pub(crate) language: &'static str,
    pub(crate) shell: &'static str,
}

const WINDOWS: [&str; 5] = ["2016", "2019", "2022", "2025", "11"];
const POWERSHELLS: [&str; 2] = ["5.1", "7"];
pub(crate) const LANGUAGES: [&str; 2] = ["en", "de"];
const SHELLS: [&str; 2] = ["cmd", "powershell"];

/// Every kind of one version.
fn kinds_of(windows: &'static str) -> Vec<Profile> {
    let mut kinds = Vec::new();
    for powershell in POWERSHELLS {
        for language in LANGUAGES {
            for shell in SHELLS {
                kinds.push(Profile {
                    windows,
                    powershell,
                    language,
                    shell,
                });
            }
        }
    }
    kinds
}

pub(crate) const VMS: &str = r#"
[[host.vm]]
name = "deaf"
state = "off"
start_action = "nothing"
obeys_shutdown = false
[[host.vm]]
name = "obedient"
state = "off"
"#;

impl Profile {
    pub(crate) fn scenario(self, vms: &str) -> String {
        let Self {
            windows,
            powershell,
            language,
            shell,
        } = self;
        format!(
            "[[host]]\nname = \"win\"\nkind = \"hyperv\"\nwindows = \"{windows}\"\n\
             powershell = \"{powershell}\"\nlanguage = \"{language}\"\nshell = \"{shell}\"\n{vms}"
        )
    }
}

/// An emulated host behind the simulator's own SSH server.
pub(crate) struct EmulatedHost {
    fleet: SimFleet,
    profile: Profile,
}

impl EmulatedHost {
    async fn start(profile: Profile) -> Self {
        Self::with(profile, VMS).await
    }

    pub(crate) async fn with(profile: Profile, vms: &str) -> Self {
        println!("{profile:?}");
        Self {
            fleet: SimFleet::start(&profile.scenario(vms)).await,
            profile,
        }
    }

    pub(crate) fn control(&self) -> WindowsControl {
        let control = self.fleet.control("win").windows();
        control.expect("a Hyper-V host")
    }

    /// Breaks every connection to it.
    pub(crate) async fn cut(&self) {
        let control = self.fleet.control("win");
        control.take_down().await;
        control.bring_up().await;
    }

    pub(crate) fn vm(&self, name: &str) -> VmId {
        let vm = self.control().vm(name).expect("the VM");
        VmId::parse(&vm.id).expect("a GUID")
    }
}

#[async_trait]
impl Bench for EmulatedHost {
    async fn connect(&self) -> Arc<dyn Transport> {
        self.fleet.connect("win").await
    }

    fn spec(&self) -> HostSpec {
        self.fleet.host("win").spec.clone()
    }

    fn deaf(&self) -> VmId {
        self.vm("deaf")
    }

    fn obedient(&self) -> VmId {
        self.vm("obedient")
    }

    async fn wait_ready(&self) {
        let is_ready = || self.control().vm("obedient").expect("the VM").ready;
        let start = Instant::now();
        while !is_ready() {
            assert!(start.elapsed() < suite::BOUND, "its guest never answers");
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

    fn lacks(&self) -> &'static [ActionKind] {
        // There PowerShell 7 has copies of the cmdlets' objects only, and no cmdlet takes a copy.
        match (self.profile.windows, self.profile.powershell) {
            ("2016", "7") => &[
                ActionKind::AutostartOn,
                ActionKind::AutostartOff,
                ActionKind::SnapshotCreate,
                ActionKind::SnapshotRevert,
                ActionKind::SnapshotDelete,
                ActionKind::Edit,
            ],
            _ => &[],
        }
    }

    async fn power(&self, vm: &VmId, on: bool) {
        let state = if on { "running" } else { "off" };
        let set = self.control().set_state(vm.as_str(), state);
        set.expect("a state");
    }
}

/// Runs a check on every kind of one version, on all of them at the same time.
async fn on_every_kind<F>(windows: &'static str, check: impl Fn(EmulatedHost) -> F)
where
    F: Future<Output = ()>,
{
    let check = &check;
    let kinds = kinds_of(windows).into_iter();
    let checks =
        kinds.map(|profile| async move { check(EmulatedHost::start(profile).await).await });
    join_all(checks).await;
}

async fn reads(bench: EmulatedHost) {
    suite::probes(&bench).await;
    suite::lists(&bench).await;
    suite::details(&bench).await;
    suite::tells_refusals(&bench).await;
    suite::answers_several_at_once(&bench).await;
}

/// The suite on every kind of one version.
macro_rules! suite_on {
    ($module:ident, $windows:literal) => {
        mod $module {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn probe_list_and_details() {
                on_every_kind($windows, reads).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn every_verb() {
                on_every_kind($windows, async |bench| {
                    suite::obeys_every_verb(&bench).await;
                })
                .await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn guests_asked_to_stop() {
                on_every_kind($windows, async |bench| {
                    suite::asks_guests_to_stop(&bench).await;
                })
                .await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn announcements() {
                on_every_kind($windows, async |bench| {
                    suite::announces_changes(&bench).await;
                })
                .await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn checkpoints() {
                on_every_kind($windows, async |bench| {
                    if !bench.lacks().contains(&ActionKind::SnapshotCreate) {
                        snapshots::come_and_go(&bench).await;
                        snapshots::bear_any_name(&bench).await;
                    }
                })
                .await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn settings() {
                on_every_kind($windows, async |bench| {
                    edit::takes_changes(&bench).await;
                    define::takes_definitions(&bench).await;
                })
                .await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn restarts() {
                on_every_kind($windows, async |bench| {
                    suite::shows_restarts(&bench).await;
                })
                .await;
            }
        }
    };
}

suite_on!(emulated_2016, "2016");
suite_on!(emulated_2019, "2019");
suite_on!(emulated_2022, "2022");
suite_on!(emulated_2025, "2025");
suite_on!(emulated_11, "11");

#[test]
fn the_suite_runs_on_every_kind_of_emulated_host() {
    let every: Vec<Profile> = WINDOWS.into_iter().flat_map(kinds_of).collect();
    assert_eq!(every.len(), WINDOWS.len() * 2 * 2 * 2);
}

const BUSY: &str = r#"
[[host.vm]]
name = "twin"
state = "running"
disk_kbps = 4000
net_kbps = 800
disks = [{ path = 'C:\VMs\one\disk 1.vhdx' }, { path = 'D:\data-1.vhdx' }]
[[host.vm]]
name = "twin"
state = "running"
disk_kbps = 8
net_kbps = 4
disks = [{ path = 'C:\VMs\two\disk 1.vhdx' }]
[[host.vm]]
name = "still"
state = "off"
"#;

/// Reads until every VM that runs has rates.
async fn measured(driver: &dyn Hypervisor) -> Vec<Arc<Vm>> {
    let start = Instant::now();
    loop {
        let read = driver.inventory(Scope::Fast).await.expect("an inventory");
        let known = |vm: &&Arc<Vm>| vm.stats.disk_read.is_some() && vm.stats.net_tx.is_some();
        if read.vms.iter().filter(known).count() == 2 {
            return read.vms;
        }
        assert!(start.elapsed() < suite::BOUND, "no rates: {:?}", read.vms);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_through_disks_and_cards_is_told_of_the_right_vm() {
    let checks = kinds_of("2022").into_iter().map(|profile| async move {
        let host = EmulatedHost::with(profile, BUSY).await;
        let driver = suite::open(&host).await;
        // Once to learn whose files they are.
        driver.inventory(Scope::Full).await.expect("an inventory");
        let vms = measured(driver.as_ref()).await;
        let mut rates = Vec::new();
        for vm in &vms {
            let stats = &vm.stats;
            if vm.state == PowerState::Stopped {
                assert_eq!((stats.disk_read, stats.net_rx), (None, None));
                continue;
            }
            let sum = |one: Option<Bytes>, other: Option<Bytes>| {
                one.expect("a rate").0 + other.expect("a rate").0
            };
            rates.push((
                sum(stats.disk_read, stats.disk_write),
                sum(stats.net_rx, stats.net_tx),
            ));
        }
        rates.sort_unstable();
        let [quiet, busy] = rates.as_slice() else {
            panic!("{rates:?}");
        };
        // Loads move around their mean, by less than it.
        assert!((400_000..8_000_000).contains(&busy.0), "{rates:?}");
        assert!((80_000..1_600_000).contains(&busy.1), "{rates:?}");
        assert!(quiet.0 < 16_000 && quiet.1 < 8_000, "{rates:?}");
    });
    join_all(checks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_passes_too() {
    let profile = Profile {
        windows: "2019",
        powershell: "5.1",
        language: "de",
        shell: "cmd",
    };
    let host = EmulatedHost::with(profile, BUSY).await;
    let driver = suite::open(&host).await;
    driver.inventory(Scope::Full).await.expect("an inventory");
    let mut hints = driver.hints().await.expect("hints").expect("announcements");
    hints.next().await.expect("a hint");
    let listening = async { while hints.next().await.is_ok() {} };
    tokio::select! {
        () = listening => panic!("the watch has ended"),
        vms = measured(driver.as_ref()) => assert_eq!(vms.len(), 3),
    }
    assert!(driver.channel().is_some_and(|by| by.starts_with("a watch")));
}

/// How long a verb is looked for after the host has done it, with the times of a real host. Prints and
/// asserts no time.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_verb_has_done_is_read_at_once() {
    let keys = "timing = \"realistic\"\n[[host.vm]]\nname = \"one\"\nstate = \"running\"\n";
    let profile = Profile {
        windows: "2022",
        powershell: "5.1",
        language: "en",
        shell: "cmd",
    };
    let host = EmulatedHost::with(profile, keys).await;
    let driver = suite::open(&host).await;
    driver.inventory(Scope::Fast).await.expect("an inventory");
    let mut hints = driver.hints().await.expect("hints").expect("announcements");
    hints.next().await.expect("a hint");
    assert!(driver.channel().is_some_and(|by| by.starts_with("a watch")));
    let vm = host.vm("one");
    let listening = async { while hints.next().await.is_ok() {} };
    tokio::select! {
        () = listening => panic!("the watch has ended"),
        () = acts_and_looks(&host, driver.as_ref(), &vm) => {}
    }
}

async fn acts_and_looks(host: &EmulatedHost, driver: &dyn Hypervisor, vm: &VmId) {
    for (kind, state) in [
        (ActionKind::Pause, PowerState::Paused),
        (ActionKind::Resume, PowerState::Running),
        (ActionKind::Pause, PowerState::Paused),
        (ActionKind::Resume, PowerState::Running),
    ] {
        let start = Instant::now();
        let done = suite::perform(host, driver, vm, kind).await;
        done.unwrap_or_else(|error| panic!("{kind}: {error}"));
        let (performed, done) = (start.elapsed(), Instant::now());
        let read = driver.inventory(Scope::Fast).await.expect("an inventory");
        assert_eq!(read.vm(vm).expect("the VM").state, state, "{kind}");
        let seen = done.elapsed();
        println!("{kind}: {performed:.1?} to do it, {seen:.1?} more to see it");
    }
}
