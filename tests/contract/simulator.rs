//! The libvirt driver on simulated hosts: the same suite as on the real laboratory, so that what is
//! built and tested on the simulator holds on real hosts.

use std::sync::Arc;

use async_trait::async_trait;
use vmdeck::domain::host::{HostSpec, HypervisorKind};
use vmdeck::domain::vm::VmId;
use vmdeck::transport::Transport;

use crate::define;
use crate::driver_suite::{self as suite, Bench};
use crate::edit;
use crate::snapshots;
use crate::support::simulated::SimFleet;
use crate::virsh;

const SCENARIO: &str = r#"
[[host]]
name = "sim"
[[host.vm]]
name = "deaf"
state = "stopped"
obeys_shutdown = false
[[host.vm]]
name = "obedient"
state = "stopped"
"#;

struct SimulatedHost(SimFleet);

impl SimulatedHost {
    async fn start() -> Self {
        Self(SimFleet::start(SCENARIO).await)
    }

    fn vm(&self, name: &str) -> VmId {
        let vm = self.0.control("sim").vm(name).expect("the VM");
        VmId::parse(&vm.uuid).expect("a UUID")
    }
}

#[async_trait]
impl Bench for SimulatedHost {
    async fn connect(&self) -> Arc<dyn Transport> {
        self.0.connect("sim").await
    }

    fn spec(&self) -> HostSpec {
        self.0.host("sim").spec.clone()
    }

    fn deaf(&self) -> VmId {
        self.vm("deaf")
    }

    fn obedient(&self) -> VmId {
        self.vm("obedient")
    }

    async fn wait_ready(&self) {}

    fn kind(&self) -> HypervisorKind {
        HypervisorKind::Libvirt
    }

    fn channel(&self) -> &'static str {
        "kept virsh"
    }

    fn version(&self) -> &'static str {
        "libvirt "
    }

    async fn power(&self, vm: &VmId, on: bool) {
        virsh::power(self.connect().await, &self.spec(), vm, on).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simulator_probe_list_and_details() {
    let bench = SimulatedHost::start().await;
    suite::probes(&bench).await;
    suite::lists(&bench).await;
    suite::details(&bench).await;
    suite::tells_refusals(&bench).await;
    suite::answers_several_at_once(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulator_every_verb() {
    suite::obeys_every_verb(&SimulatedHost::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulator_guests_asked_to_stop() {
    suite::asks_guests_to_stop(&SimulatedHost::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulator_snapshots() {
    let bench = SimulatedHost::start().await;
    snapshots::come_and_go(&bench).await;
    snapshots::bear_any_name(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulator_settings() {
    edit::takes_changes(&SimulatedHost::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulator_definitions() {
    define::takes_definitions(&SimulatedHost::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulator_announcements() {
    suite::announces_changes(&SimulatedHost::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulator_restarts() {
    suite::announces_restarts(&SimulatedHost::start().await).await;
}
