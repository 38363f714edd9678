//! The drivers this program has. To add one: a folder beside `libvirt`, and an arm in each match here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::hyperv::{self, HyperV, Leftovers};
use super::libvirt::{self, Libvirt};
use super::{Drivers, Hypervisor, HypervisorError, Reach, probe};
use crate::clock::Clock;
use crate::domain::action::Action;
use crate::domain::host::{HostSpec, HypervisorKind};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::store::StoreId;
use crate::domain::store_action::StoreVerb;
use crate::domain::vm::VmId;
use crate::transport::Transport;

/// How long libvirt is waited for before the system is asked what it is. A Windows host whose shell is
/// PowerShell takes about a second to say that it knows no `virsh`, each time.
const SOON: Duration = Duration::from_secs(1);

/// Every driver that is built in.
#[derive(Debug, Clone)]
pub struct InstalledDrivers {
    /// Wall time, for uptimes.
    pub clock: Clock,
    /// How long one read of states and figures may take.
    pub read_within: Duration,
    /// What may still run on Hyper-V hosts of links that are gone. Hosts are known by their numbers in
    /// one profile, so fleets of different profiles must not share it.
    pub leftovers: Leftovers,
}

impl InstalledDrivers {
    /// How long a read may take where nobody has configured another time.
    pub const READ_WITHIN: Duration = Duration::from_secs(10);

    /// Takes the usual deadline.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            read_within: Self::READ_WITHIN,
            leftovers: Leftovers::default(),
        }
    }
}

/// Finds out which hypervisor to drive. Most hosts have libvirt, so it is asked at once; what else there
/// may be is asked only where it does not answer, or not soon.
async fn found_out(
    libvirt: &Libvirt,
    transport: &dyn Transport,
) -> Result<HypervisorKind, HypervisorError> {
    let trying = libvirt.try_out();
    tokio::pin!(trying);
    let tried = match tokio::time::timeout(SOON, &mut trying).await {
        Ok(tried) => tried,
        Err(_elapsed) => tokio::select! {
            biased;
            tried = &mut trying => tried,
            found = probe::kind(transport) => match found {
                Ok(HypervisorKind::HyperV) => return Ok(HypervisorKind::HyperV),
                Ok(HypervisorKind::Libvirt) | Err(_) => trying.await,
            },
        },
    };
    match tried {
        // A link that fails says nothing about the host.
        Ok(()) | Err(HypervisorError::Transport(_)) => Ok(HypervisorKind::Libvirt),
        Err(_) => probe::kind(transport).await,
    }
}

/// Says how a kind of hypervisor lets somebody into its VMs.
pub fn reach(kind: HypervisorKind) -> &'static dyn Reach {
    match kind {
        HypervisorKind::Libvirt => &libvirt::LibvirtReach,
        HypervisorKind::HyperV => &hyperv::HyperVReach,
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
            None => found_out(&libvirt, transport.as_ref()).await?,
        };
        match kind {
            HypervisorKind::Libvirt => Ok(Box::new(libvirt)),
            HypervisorKind::HyperV => Ok(Box::new(
                HyperV::new(transport)
                    .reading_within(self.read_within)
                    .watching(spec.id, self.leftovers.clone()),
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
            HypervisorKind::Libvirt => libvirt::commands(spec, vm, action),
            HypervisorKind::HyperV => hyperv::commands(vm, action),
        }
    }

    fn store_commands(
        &self,
        kind: HypervisorKind,
        spec: &HostSpec,
        id: &StoreId,
        verb: StoreVerb,
    ) -> Result<Vec<RemoteCommand>, HypervisorError> {
        match kind {
            HypervisorKind::Libvirt => Ok(vec![libvirt::store_command(spec, id, verb)]),
            // Its switches can be neither started nor stopped, and its folders are no pools.
            HypervisorKind::HyperV => Err(HypervisorError::Unsupported {
                kind,
                what: format!("{} a {}", verb.spec().word, verb.spec().kind.word()),
            }),
        }
    }

    fn reach(&self, kind: HypervisorKind) -> &'static dyn Reach {
        reach(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_kind::Classify;
    use crate::domain::host::Endpoint;
    use crate::transport::scripted::{Answer, Script};

    fn spec() -> HostSpec {
        HostSpec::new("h".parse().unwrap(), Endpoint::new("h", 22))
    }

    async fn opened(script: &Script) -> Result<Box<dyn Hypervisor>, HypervisorError> {
        let drivers = InstalledDrivers::new(Clock::system());
        drivers.open(script.transport(), &spec()).await
    }

    /// A Windows host whose shell knows neither `virsh` nor `uname`.
    fn windows(unknown: &'static str, pause: Duration) -> Script {
        let script = Script::new();
        let answer = || Answer::exit(1).stderr(unknown).after(pause);
        script.on("virsh", answer()).on("uname", answer());
        script.on(
            "cmd /c ver",
            Answer::out("\r\nMicrosoft Windows [Version 10.0.20348.2322]\r\n").after(pause),
        );
        script
    }

    #[tokio::test(start_paused = true)]
    async fn a_windows_host_is_told_behind_either_shell() {
        for (unknown, pause) in [
            (
                "'env' is not recognized as an internal or external command,\r\n",
                50,
            ),
            (
                "Der Befehl \"env\" ist entweder falsch geschrieben oder\r\n",
                50,
            ),
            (
                "env : The term 'env' is not recognized\r\n    + CategoryInfo\r\n",
                1200,
            ),
        ] {
            let script = windows(unknown, Duration::from_millis(pause));
            let driver = opened(&script).await.unwrap();
            assert_eq!(driver.kind(), HypervisorKind::HyperV, "{unknown}");
            assert!(script.commands().len() < 10, "{:?}", script.commands());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tools_of_another_system_on_a_windows_host_do_not_mislead() {
        let script = windows("?", Duration::ZERO);
        script.on("uname", Answer::out("MINGW64_NT-10.0-20348\n"));
        let driver = opened(&script).await.unwrap();
        assert_eq!(driver.kind(), HypervisorKind::HyperV);
    }

    #[tokio::test(start_paused = true)]
    async fn a_linux_host_without_libvirt_is_told_to_install_it() {
        let script = Script::new();
        script.on("uname", Answer::out("Linux\n"));
        let driver = opened(&script).await.unwrap();
        assert_eq!(driver.kind(), HypervisorKind::Libvirt);
        let error = driver.probe().await.unwrap_err();
        assert_eq!(error.to_string(), "virsh was not found on the host");
        assert!(
            error
                .hint()
                .unwrap()
                .0
                .contains("apt install libvirt-clients")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_system_that_says_nothing_is_asked_to_be_named() {
        let script = Script::new();
        script.on("", Answer::exit(1).stderr("restricted\n"));
        let error = opened(&script).await.unwrap_err();
        assert!(error.hint().unwrap().0.contains("--kind"), "{error}");
    }
}
