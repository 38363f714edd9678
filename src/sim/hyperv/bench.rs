//! What the tests of this model share: hosts from a scenario whose time passes only when somebody waits.

use std::sync::Arc;
use std::time::Duration;

use super::control::WindowsControl;
use super::host::WinHost;
use super::world::Machine;
use crate::sim::powershell::life::Life;
use crate::sim::scenario::Scenario;

/// The only host of a scenario.
pub(super) fn host(toml: &str) -> Arc<WinHost> {
    let mut plan = Scenario::from_toml(toml).unwrap().hosts.remove(0);
    let machine = Machine {
        hostname: plan.hostname.clone(),
        cpus: plan.cpus,
        memory_kib: plan.memory_kib,
        seed: 7,
    };
    WinHost::jumping(plan.windows.take().unwrap(), machine)
}

/// A host with these keys and VMs.
pub(super) fn host_with(keys: &str, vms: &str) -> Arc<WinHost> {
    host(&format!(
        "[[host]]\nname = \"hv1\"\nkind = \"hyperv\"\n{keys}\n{vms}"
    ))
}

/// Lets time pass.
pub(super) fn pass(host: &WinHost, time: Duration) {
    assert!(host.sleep(&Life::default(), time));
}

/// What drives a host.
pub(super) fn control(host: &Arc<WinHost>) -> WindowsControl {
    WindowsControl {
        host: Arc::clone(host),
    }
}
