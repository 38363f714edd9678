//! Scenarios: which hosts and VMs a simulated fleet has and what will happen to them, read from TOML
//! (`docs/simulator.md` documents every key) or made as a grid for benchmarks. Data only.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use super::error::SimError;
use super::faults::{Faults, Outage};
use super::hyperv::plan::WindowsPlan;
use super::load::{mix, mix_text};
use super::scenario_file::ScenarioFile;
use crate::domain::host::{HostName, LibvirtUri, Tag, Tier};

/// A whole simulated fleet, checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Everything random follows from it.
    pub(super) seed: u64,
    /// Whether every host gets a loopback address of its own instead of only a port of its own.
    pub(super) address_per_host: bool,
    pub(super) hosts: Vec<HostPlan>,
}

/// One host.
#[derive(Debug, Clone)]
pub(super) struct HostPlan {
    pub(super) name: HostName,
    pub(super) tier: Option<Tier>,
    pub(super) tags: Vec<Tag>,
    pub(super) read_only: bool,
    pub(super) uri: LibvirtUri,
    pub(super) hostname: String,
    pub(super) cpus: u32,
    pub(super) memory_kib: u64,
    pub(super) libvirt: String,
    pub(super) qemu: String,
    pub(super) faults: Faults,
    pub(super) outage: Option<Outage>,
    pub(super) vms: Vec<VmPlan>,
    /// A Hyper-V host: what it is beyond this, its VMs included.
    pub(super) windows: Option<WindowsPlan>,
}

/// What a VM is doing when the fleet starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SimState {
    /// Running.
    #[default]
    Running,
    /// Paused by a person.
    Paused,
    /// Off.
    Stopped,
    /// Off, with a saved image of its memory.
    Saved,
    /// Died.
    Crashed,
}

/// Who knows an address of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressSource {
    Agent,
    Lease,
    Arp,
}

/// One VM.
#[derive(Debug, Clone)]
pub(super) struct VmPlan {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) seed: u64,
    pub(super) state: SimState,
    pub(super) vcpus: u32,
    pub(super) memory_kib: u64,
    pub(super) disk_bytes: u64,
    /// Means of the load curves, 0..1.
    pub(super) cpu: f64,
    pub(super) memory: f64,
    /// Mean traffic of its disk and its network, bytes per second.
    pub(super) disk_rate: f64,
    pub(super) net_rate: f64,
    pub(super) uptime: Duration,
    pub(super) addresses: Vec<(AddressSource, IpAddr, u8)>,
    /// Whether it has an answering guest agent.
    pub(super) agent: bool,
    pub(super) obeys_shutdown: bool,
    pub(super) autostart: bool,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    /// Name and age at the fleet's start, oldest first.
    pub(super) snapshots: Vec<(String, Duration)>,
    /// Mean time between changes it makes by itself.
    pub(super) restless: Option<Duration>,
}

impl Scenario {
    /// The fleet of `--demo`.
    pub fn demo() -> Result<Self, SimError> {
        Self::from_toml(include_str!("scenarios/demo.toml"))
    }

    /// Reads a scenario.
    pub fn from_toml(text: &str) -> Result<Self, SimError> {
        let file: ScenarioFile =
            toml::from_str(text).map_err(|error| SimError::Syntax(Box::new(error)))?;
        let scenario = file.into_scenario()?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Makes `hosts` equal hosts with `vms_each` VMs, three quarters of them running, none of them
    /// changing by itself: a load to measure against.
    pub fn grid(hosts: usize, vms_each: usize) -> Result<Self, SimError> {
        const SEED: u64 = 1;
        let hosts = (1..=hosts)
            .map(|host| grid_host(SEED, host, vms_each))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            seed: SEED,
            address_per_host: false,
            hosts,
        })
    }

    /// Gives every host a loopback address of its own (127.77.x.y; Linux answers on all of 127/8).
    #[must_use]
    pub const fn with_address_per_host(mut self) -> Self {
        self.address_per_host = true;
        self
    }

    fn check(&self) -> Result<(), SimError> {
        let mut names = HashSet::new();
        for host in &self.hosts {
            if !names.insert(host.name.as_str()) {
                return Err(wrong(host.name.as_str(), "another host has this name"));
            }
            let mut vms = HashSet::new();
            for vm in &host.vms {
                let at = format!("{}/{}", host.name, vm.name);
                if !vms.insert(vm.name.as_str()) {
                    return Err(wrong(&at, "another VM of this host has this name"));
                }
                check_name(&vm.name, &at)?;
            }
        }
        Ok(())
    }
}

fn check_name(name: &str, at: &str) -> Result<(), SimError> {
    if name.is_empty() || name.contains(['/', '\n', '\0']) {
        return Err(wrong(at, "libvirt refuses such a name"));
    }
    Ok(())
}

pub(super) fn wrong(at: &str, what: impl Into<String>) -> SimError {
    SimError::Scenario {
        at: at.to_owned(),
        what: what.into(),
    }
}

/// Makes a version 4 UUID from a seed.
pub(super) fn uuid(seed: u64) -> String {
    let high = mix(seed, 11);
    let low = mix(seed, 12);
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

fn grid_host(seed: u64, number: usize, vms_each: usize) -> Result<HostPlan, SimError> {
    let name = format!("grid-{number:04}");
    let seed = mix_text(seed, &name);
    let bad = |error: crate::domain::host::HostSpecError| wrong(&name, error.to_string());
    Ok(HostPlan {
        name: name.parse().map_err(bad)?,
        tier: None,
        tags: Vec::new(),
        read_only: false,
        uri: "qemu:///system".parse().map_err(bad)?,
        hostname: name.clone(),
        cpus: 64,
        memory_kib: 512 << 20,
        libvirt: "9.0.0".to_owned(),
        qemu: "7.2.22".to_owned(),
        faults: Faults {
            max_sessions: 10,
            ..Faults::default()
        },
        outage: None,
        vms: (1..=vms_each).map(|vm| grid_vm(seed, vm)).collect(),
        windows: None,
    })
}

fn grid_vm(seed: u64, number: usize) -> VmPlan {
    let name = format!("vm-{number:04}");
    let state = if number.is_multiple_of(4) {
        SimState::Stopped
    } else {
        SimState::Running
    };
    VmPlan::new(name, seed, state)
}

impl VmPlan {
    /// An ordinary VM.
    fn new(name: String, seed: u64, state: SimState) -> Self {
        let seed = mix_text(seed, &name);
        Self {
            uuid: uuid(seed),
            seed,
            state,
            vcpus: 2,
            memory_kib: 2 << 20,
            disk_bytes: 20 << 30,
            cpu: 0.2,
            memory: 0.5,
            disk_rate: 200e3,
            net_rate: 100e3,
            uptime: Duration::from_secs(86_400),
            addresses: Vec::new(),
            agent: false,
            obeys_shutdown: true,
            autostart: false,
            title: None,
            description: None,
            snapshots: Vec::new(),
            restless: None,
            name,
        }
    }

    /// A VM that somebody has just defined on a host.
    pub(super) fn plain(name: &str, host: &str) -> Result<Self, SimError> {
        check_name(name, &format!("{host}/{name}"))?;
        let seed = mix_text(0, host);
        Ok(Self::new(name.to_owned(), seed, SimState::Stopped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vm::VmId;
    use crate::sim::hyperv::WinState;

    #[test]
    fn the_demo_is_a_fleet_worth_showing() {
        let demo = Scenario::demo().unwrap();
        let vms: Vec<&VmPlan> = demo.hosts.iter().flat_map(|host| &host.vms).collect();
        assert!(demo.hosts.len() >= 6, "{} hosts", demo.hosts.len());
        assert!((55..=75).contains(&vms.len()), "{} VMs", vms.len());
        let windows: Vec<&WindowsPlan> = demo
            .hosts
            .iter()
            .filter_map(|host| host.windows.as_ref())
            .collect();
        assert!(windows.len() >= 3, "{} Hyper-V hosts", windows.len());
        let on_windows: Vec<_> = windows.iter().flat_map(|host| &host.vms).collect();
        for state in [
            WinState::Saved,
            WinState::Paused,
            WinState::Off,
            WinState::Running,
        ] {
            assert!(
                on_windows.iter().any(|vm| vm.standing.state == state),
                "{state:?}"
            );
        }
        assert!(on_windows.iter().any(|vm| vm.standing.critical));
        assert!(on_windows.iter().any(|vm| {
            let parents = || vm.checkpoints.iter().filter_map(|one| one.parent.as_ref());
            parents().any(|id| parents().filter(|other| *other == id).count() > 1)
        }));
        assert!(windows.iter().any(|host| {
            let names: HashSet<&str> = host.vms.iter().map(|vm| &*vm.settings.name).collect();
            names.len() < host.vms.len()
        }));
        assert!(demo.hosts.iter().any(|host| host.outage.is_some()));
        assert!(
            demo.hosts
                .iter()
                .any(|host| host.faults.stats_latency > Duration::from_secs(2))
        );
        for state in [
            SimState::Running,
            SimState::Paused,
            SimState::Stopped,
            SimState::Saved,
            SimState::Crashed,
        ] {
            assert!(vms.iter().any(|vm| vm.state == state), "{state:?}");
        }
        for tier in ["prod", "stage", "dev"] {
            assert!(
                demo.hosts
                    .iter()
                    .any(|host| host.tier.as_ref().is_some_and(|t| t.as_str() == tier)),
                "{tier}"
            );
        }
        assert!(vms.iter().any(|vm| !vm.obeys_shutdown));
        assert!(vms.iter().any(|vm| vm.restless.is_some()));
        assert!(vms.iter().any(|vm| !vm.snapshots.is_empty()));
        assert!(vms.iter().any(|vm| vm.autostart));
        assert!(vms.iter().any(|vm| !vm.name.is_ascii()));
    }

    #[test]
    fn ids_are_uuids_and_differ() {
        let grid = Scenario::grid(20, 50).unwrap();
        let ids: HashSet<&str> = grid
            .hosts
            .iter()
            .flat_map(|host| host.vms.iter().map(|vm| vm.uuid.as_str()))
            .collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| VmId::parse(id).is_some()));
    }

    #[test]
    fn a_mistake_is_named() {
        let text = "[[host]]\nname = \"a\"\n[[host.vm]]\nname = \"x\"\n[[host.vm]]\nname = \"x\"\n";
        let error = Scenario::from_toml(text).unwrap_err().to_string();
        assert!(error.contains("a/x"), "{error}");
        assert!(Scenario::from_toml("[[host]]\nname = \"a\"\ncolour = 1\n").is_err());
        assert!(Scenario::from_toml("[[host]]\nname = \"a/b\"\n").is_err());
    }

    #[test]
    fn hosts_of_one_kind_have_no_keys_of_the_other() {
        let host = |keys: &str| Scenario::from_toml(&format!("[[host]]\nname = \"a\"\n{keys}"));
        assert!(host("windows = \"2019\"\n").is_err());
        assert!(host("kind = \"hyperv\"\nwindows = \"2019\"\n").is_ok());
        assert!(host("kind = \"hyperv\"\nwindows = \"3.11\"\n").is_err());
        assert!(host("kind = \"hyperv\"\n[[host.vm]]\nname = \"x\"\nagent = true\n").is_err());
        assert!(
            host("kind = \"hyperv\"\n[[host.vm]]\nname = \"x\"\nstate = \"asleep\"\n").is_err()
        );
        let twice = "kind = \"hyperv\"\n[[host.vm]]\nname = \"x\"\n[[host.vm]]\nname = \"x\"\n";
        let twins = host(twice).unwrap().hosts.remove(0).windows.unwrap().vms;
        assert_ne!(twins[0].id, twins[1].id, "one name, two VMs");
        let faults = "kind = \"hyperv\"\n[host.faults]\naccount = \"neither\"\nprovoke = [{ on = \"Start-VM\", error = \"out-of-memory\" }]\n";
        let plan = host(faults).unwrap().hosts.remove(0).windows.unwrap();
        assert_eq!(plan.faults.provoke.len(), 1);
    }
}
