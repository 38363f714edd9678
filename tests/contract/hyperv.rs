//! The Hyper-V driver on emulated hosts of every kind: the same suite as on libvirt hosts, for every
//! version of Windows, both editions of `PowerShell`, both outer shells, in English and in German.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::host::{HostSpec, HypervisorKind};
use vmdeck::domain::vm::VmId;
use vmdeck::sim::hyperv::WindowsControl;
use vmdeck::transport::Transport;

use crate::driver_suite::{self as suite, Bench};
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

/// One kind of every version, so that every value of every property occurs, each with each other one
/// somewhere: what takes its time is run on these.
fn one_of_each() -> Vec<Profile> {
    let kinds = [
        ("5.1", "en", "cmd"),
        ("7", "de", "cmd"),
        ("5.1", "de", "powershell"),
        ("7", "en", "powershell"),
        ("5.1", "de", "cmd"),
    ];
    let kinds = WINDOWS.into_iter().zip(kinds);
    kinds
        .map(|(windows, (powershell, language, shell))| Profile {
            windows,
            powershell,
            language,
            shell,
        })
        .collect()
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
        let start = std::time::Instant::now();
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

async fn reads(windows: &'static str) {
    for profile in kinds_of(windows) {
        let bench = EmulatedHost::start(profile).await;
        suite::probes(&bench).await;
        suite::lists(&bench).await;
        suite::details(&bench).await;
        suite::tells_refusals(&bench).await;
        suite::answers_several_at_once(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_2016_probe_list_and_details() {
    reads("2016").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_2019_probe_list_and_details() {
    reads("2019").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_2022_probe_list_and_details() {
    reads("2022").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_2025_probe_list_and_details() {
    reads("2025").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_11_probe_list_and_details() {
    reads("11").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_every_verb() {
    for profile in one_of_each() {
        suite::obeys_every_verb(&EmulatedHost::start(profile).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_checkpoints() {
    for profile in one_of_each() {
        let bench = EmulatedHost::start(profile).await;
        snapshots::come_and_go(&bench).await;
        snapshots::bear_any_name(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_guests_asked_to_stop() {
    for profile in one_of_each() {
        suite::asks_guests_to_stop(&EmulatedHost::start(profile).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_announcements() {
    for profile in one_of_each() {
        suite::announces_changes(&EmulatedHost::start(profile).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_restarts() {
    for profile in one_of_each() {
        suite::shows_restarts(&EmulatedHost::start(profile).await).await;
    }
}
