//! The libvirt driver on the real laboratory: real sshd, real libvirt, real QEMU guests.

use std::sync::Arc;

use async_trait::async_trait;
use vmdeck::domain::host::HostSpec;
use vmdeck::domain::vm::VmId;
use vmdeck::transport::Transport;

use crate::libvirt_suite::{self as suite, Bench};
use crate::support::lab::LibvirtHost;

/// A real host with the two VMs that the suite asks for.
struct RealHost {
    host: LibvirtHost,
    deaf: VmId,
    obedient: VmId,
}

impl RealHost {
    fn start() -> Self {
        Self::on(LibvirtHost::start())
    }

    fn on(host: LibvirtHost) -> Self {
        Self {
            deaf: host.define_deaf("deaf"),
            obedient: host.define_obedient("obedient"),
            host,
        }
    }
}

#[async_trait]
impl Bench for RealHost {
    async fn connect(&self) -> Arc<dyn Transport> {
        self.host.connect().await
    }

    fn spec(&self) -> HostSpec {
        self.host.spec()
    }

    fn deaf(&self) -> VmId {
        self.deaf.clone()
    }

    fn obedient(&self) -> VmId {
        self.obedient.clone()
    }

    fn wait_ready(&self) {
        self.host.wait_ready(&self.obedient);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_probe_list_and_details() {
    let bench = RealHost::start();
    suite::probes(&bench).await;
    suite::lists(&bench).await;
    suite::details(&bench).await;
    suite::tells_refusals(&bench).await;
    suite::answers_several_at_once(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_every_verb() {
    suite::obeys_every_verb(&RealHost::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_guests_asked_to_stop() {
    suite::asks_guests_to_stop(&RealHost::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_announcements() {
    suite::announces_changes(&RealHost::start()).await;
}
