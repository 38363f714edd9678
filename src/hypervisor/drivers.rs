//! The drivers this program has. To add one: a folder beside `libvirt`, and an arm in each match here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::hyperv::{self, HyperV};
use super::libvirt::{self, Libvirt};
use super::{Drivers, Hypervisor, HypervisorError, probe};
use crate::clock::Clock;
use crate::domain::action::Action;
use crate::domain::host::{HostSpec, HypervisorKind};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::VmId;
use crate::transport::Transport;

/// Every driver that is built in.
#[derive(Debug, Clone)]
pub struct InstalledDrivers {
    /// Wall time, for uptimes.
    pub clock: Clock,
    /// How long one read of states and figures may take.
    pub read_within: Duration,
}

impl InstalledDrivers {
    /// How long a read may take where nobody has configured another time.
    pub const READ_WITHIN: Duration = Duration::from_secs(10);

    /// Takes the usual deadline.
    pub const fn new(clock: Clock) -> Self {
        Self {
            clock,
            read_within: Self::READ_WITHIN,
        }
    }
}

#[async_trait]
impl Drivers for InstalledDrivers {
    async fn open(
        &self,
        transport: Arc<dyn Transport>,
        spec: &HostSpec,
    ) -> Result<Box<dyn Hypervisor>, HypervisorError> {
        let libvirt = Libvirt::new(Arc::clone(&transport), spec, self.clock.clone())
            .reading_within(self.read_within);
        let kind = match spec.kind.fixed() {
            Some(kind) => kind,
            // Most hosts have it, so it is asked at once; what else there may be is asked only where
            // it does not answer. A link that fails says nothing about the host.
            None => match libvirt.try_out().await {
                Ok(()) | Err(HypervisorError::Transport(_)) => HypervisorKind::Libvirt,
                Err(_) => probe::kind(transport.as_ref()).await?,
            },
        };
        match kind {
            HypervisorKind::Libvirt => Ok(Box::new(libvirt)),
            HypervisorKind::HyperV => Ok(Box::new(
                HyperV::new(transport).reading_within(self.read_within),
            )),
        }
    }

    fn commands(
        &self,
        kind: HypervisorKind,
        spec: &HostSpec,
        vm: &VmId,
        action: &Action,
    ) -> Result<Vec<RemoteCommand>, HypervisorError> {
        match kind {
            HypervisorKind::Libvirt => Ok(libvirt::commands(spec, vm, action)),
            HypervisorKind::HyperV => Ok(hyperv::commands(vm, action)),
        }
    }
}
