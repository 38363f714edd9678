//! The services of a Windows host, as far as hosts are asked about them.

use super::world::WinWorld;

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) struct WinService {
    pub(in crate::sim) name: &'static str,
    /// In the host's language.
    pub(in crate::sim) display: &'static str,
    pub(in crate::sim) running: bool,
}

/// Returns every service that is installed.
pub(in crate::sim) fn all(world: &WinWorld) -> Vec<WinService> {
    let language = world.plan.language;
    let service = |name, english, german, running| WinService {
        name,
        display: language.of(english, german),
        running,
    };
    let mut services = vec![
        service("sshd", "OpenSSH SSH Server", "OpenSSH SSH-Server", true),
        service(
            "Winmgmt",
            "Windows Management Instrumentation",
            "Windows-Verwaltungsinstrumentation",
            true,
        ),
    ];
    if !world.faults.no_namespace {
        services.push(service(
            "vmms",
            "Hyper-V Virtual Machine Management",
            "Hyper-V-Verwaltung für virtuelle Computer",
            world.service_runs(),
        ));
        services.push(service(
            "vmcompute",
            "Hyper-V Host Compute Service",
            "Hyper-V-Hostserverdienst",
            true,
        ));
    }
    if world.plan.clustered {
        services.push(service("ClusSvc", "Cluster Service", "Clusterdienst", true));
    }
    services
}
