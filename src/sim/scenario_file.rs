//! The scenario file as it is written: every key optional but names, unknown keys refused. Only turns
//! itself into a [`Scenario`]; nothing else knows these types.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use super::error::SimError;
use super::faults::{Access, Faults, Outage, VirshHealth};
use super::hyperv::entry::{WinVmEntry, WindowsEntry};
use super::hyperv::plan::WindowsPlan;
use super::load::mix_text;
use super::scenario::{AddressSource, HostPlan, Scenario, SimState, VmPlan, uuid, wrong};
use crate::domain::vm::VmId;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioFile {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    address_per_host: bool,
    #[serde(default, rename = "host")]
    hosts: Vec<toml::Table>,
}

/// Which hypervisor a host plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Libvirt,
    HyperV,
}

/// Keys that only Hyper-V hosts have.
const WINDOWS_KEYS: &[&str] = &[
    "windows",
    "powershell",
    "language",
    "shell",
    "timing",
    "numbers",
    "clustered",
    "faults",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HostEntry {
    name: String,
    kind: Kind,
    tier: Option<String>,
    tags: Vec<String>,
    read_only: bool,
    uri: String,
    hostname: Option<String>,
    cpus: u32,
    memory_gib: u64,
    libvirt: String,
    qemu: String,
    latency_ms: u64,
    stats_latency_ms: u64,
    hanging: Vec<String>,
    refusing: Vec<String>,
    no_events: bool,
    max_sessions: usize,
    access: Access,
    virsh: VirshHealth,
    refuses_login: bool,
    outage: Option<OutageEntry>,
    #[serde(rename = "vm")]
    vms: Vec<toml::Table>,
    #[serde(skip)]
    windows: toml::Table,
}

impl Default for HostEntry {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: Kind::Libvirt,
            tier: None,
            tags: Vec::new(),
            read_only: false,
            uri: "qemu:///system".to_owned(),
            hostname: None,
            cpus: 16,
            memory_gib: 64,
            libvirt: "9.0.0".to_owned(),
            qemu: "7.2.22".to_owned(),
            latency_ms: 0,
            stats_latency_ms: 0,
            hanging: Vec::new(),
            refusing: Vec::new(),
            no_events: false,
            max_sessions: 10,
            access: Access::Group,
            virsh: VirshHealth::Sound,
            refuses_login: false,
            outage: None,
            vms: Vec::new(),
            windows: toml::Table::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutageEntry {
    #[serde(rename = "after_s")]
    after: u64,
    #[serde(rename = "lasting_s")]
    lasting: u64,
    #[serde(rename = "every_s")]
    every: Option<u64>,
    #[serde(default)]
    silent: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct VmEntry {
    name: String,
    /// Makes this many, numbered where the name has `{}`.
    count: u32,
    uuid: Option<String>,
    state: SimState,
    vcpus: u32,
    memory_mib: u64,
    disk_gib: u64,
    cpu: f64,
    memory: f64,
    disk_kbps: f64,
    net_kbps: f64,
    uptime_h: f64,
    addresses: Vec<String>,
    agent: Option<bool>,
    obeys_shutdown: bool,
    autostart: bool,
    title: Option<String>,
    description: Option<String>,
    snapshots: Vec<SnapshotEntry>,
    restless_s: Option<u64>,
}

impl Default for VmEntry {
    fn default() -> Self {
        Self {
            name: String::new(),
            count: 1,
            uuid: None,
            state: SimState::Running,
            vcpus: 2,
            memory_mib: 2048,
            disk_gib: 20,
            cpu: 0.1,
            memory: 0.5,
            disk_kbps: 100.0,
            net_kbps: 50.0,
            uptime_h: 100.0,
            addresses: Vec::new(),
            agent: None,
            obeys_shutdown: true,
            autostart: false,
            title: None,
            description: None,
            snapshots: Vec::new(),
            restless_s: None,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotEntry {
    name: String,
    age_h: f64,
}

impl ScenarioFile {
    pub(super) fn into_scenario(self) -> Result<Scenario, SimError> {
        let seed = self.seed;
        Ok(Scenario {
            seed,
            address_per_host: self.address_per_host,
            hosts: self
                .hosts
                .into_iter()
                .map(|host| HostEntry::read(host)?.into_plan(seed))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Reads a table as what it should be.
fn read<T: serde::de::DeserializeOwned>(table: toml::Table) -> Result<T, SimError> {
    table
        .try_into()
        .map_err(|error| SimError::Syntax(Box::new(error)))
}

impl HostEntry {
    /// Reads a host: what only Hyper-V hosts have is kept apart, and nobody else may have it.
    fn read(mut table: toml::Table) -> Result<Self, SimError> {
        let mut windows = toml::Table::new();
        for key in WINDOWS_KEYS {
            if let Some(value) = table.remove(*key) {
                windows.insert((*key).to_owned(), value);
            }
        }
        let mut entry: Self = read(table)?;
        if entry.kind == Kind::Libvirt
            && let Some(key) = windows.keys().next()
        {
            return Err(wrong(
                &entry.name,
                format!("`{key}` is for hosts of kind `hyperv`"),
            ));
        }
        entry.windows = windows;
        Ok(entry)
    }

    /// Makes what only a Hyper-V host has.
    fn windows_plan(&mut self, seed: u64) -> Result<Option<WindowsPlan>, SimError> {
        if self.kind == Kind::Libvirt {
            return Ok(None);
        }
        let host: WindowsEntry = read(std::mem::take(&mut self.windows))?;
        let entries = std::mem::take(&mut self.vms)
            .into_iter()
            .map(read::<WinVmEntry>)
            .collect::<Result<Vec<_>, _>>()?;
        let vms = entries
            .iter()
            .flat_map(WinVmEntry::numbered)
            .enumerate()
            .map(|(number, vm)| vm.into_plan(&self.name, seed, number))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Some(host.into_plan(vms)))
    }

    fn into_plan(mut self, seed: u64) -> Result<HostPlan, SimError> {
        let seed = mix_text(seed, &self.name);
        let windows = self.windows_plan(seed)?;
        let bad = |error: crate::domain::host::HostSpecError| wrong(&self.name, error.to_string());
        let vms = std::mem::take(&mut self.vms)
            .into_iter()
            .map(read::<VmEntry>)
            .collect::<Result<Vec<_>, _>>()?
            .iter()
            .flat_map(VmEntry::numbered)
            .map(|vm| vm.into_plan(&self.name, seed))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(HostPlan {
            name: self.name.parse().map_err(bad)?,
            tier: self
                .tier
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(bad)?,
            tags: self
                .tags
                .iter()
                .map(|tag| tag.parse())
                .collect::<Result<_, _>>()
                .map_err(bad)?,
            read_only: self.read_only,
            uri: self.uri.parse().map_err(bad)?,
            hostname: self.hostname.clone().unwrap_or_else(|| self.name.clone()),
            cpus: self.cpus.max(1),
            memory_kib: self.memory_gib << 20,
            faults: Faults {
                latency: Duration::from_millis(self.latency_ms),
                stats_latency: Duration::from_millis(self.stats_latency_ms),
                hanging: self.hanging.clone(),
                refusing: self.refusing.clone(),
                undeletable: Vec::new(),
                no_events: self.no_events,
                max_sessions: self.max_sessions,
                access: self.access,
                virsh: self.virsh,
                refuses_login: self.refuses_login,
            },
            outage: self.outage.as_ref().map(|outage| Outage {
                after: Duration::from_secs(outage.after),
                lasting: Duration::from_secs(outage.lasting),
                every: outage.every.map(Duration::from_secs),
                silent: outage.silent,
            }),
            vms,
            windows,
            libvirt: self.libvirt,
            qemu: self.qemu,
        })
    }
}

impl VmEntry {
    fn numbered(&self) -> Vec<Self> {
        if self.count <= 1 {
            return vec![self.clone()];
        }
        (1..=self.count)
            .map(|number| Self {
                name: self.name.replace("{}", &number.to_string()),
                addresses: self
                    .addresses
                    .iter()
                    .map(|address| address.replace("{}", &number.to_string()))
                    .collect(),
                ..self.clone()
            })
            .collect()
    }

    fn into_plan(self, host: &str, seed: u64) -> Result<VmPlan, SimError> {
        let at = format!("{host}/{}", self.name);
        let seed = mix_text(seed, &self.name);
        let addresses = self
            .addresses
            .iter()
            .map(|text| address(text).ok_or_else(|| wrong(&at, format!("`{text}` is no address"))))
            .collect::<Result<Vec<_>, _>>()?;
        let by_agent = addresses
            .iter()
            .any(|(source, _, _)| *source == AddressSource::Agent);
        let hours = |hours: f64| {
            Duration::try_from_secs_f64(hours * 3600.0)
                .map_err(|error| wrong(&at, error.to_string()))
        };
        let uuid = match &self.uuid {
            None => uuid(seed),
            Some(text) => VmId::parse(text)
                .ok_or_else(|| wrong(&at, format!("`{text}` is no UUID")))?
                .to_string(),
        };
        Ok(VmPlan {
            uuid,
            seed,
            state: self.state,
            vcpus: self.vcpus.max(1),
            memory_kib: self.memory_mib << 10,
            disk_bytes: self.disk_gib << 30,
            cpu: self.cpu,
            memory: self.memory,
            disk_rate: self.disk_kbps * 1000.0,
            net_rate: self.net_kbps * 1000.0,
            uptime: hours(self.uptime_h)?,
            addresses,
            agent: self.agent.unwrap_or(by_agent),
            obeys_shutdown: self.obeys_shutdown,
            autostart: self.autostart,
            snapshots: self
                .snapshots
                .iter()
                .map(|snapshot| Ok((snapshot.name.clone(), hours(snapshot.age_h)?)))
                .collect::<Result<_, SimError>>()?,
            restless: self.restless_s.map(Duration::from_secs),
            name: self.name,
            title: self.title,
            description: self.description,
        })
    }
}

/// Reads `agent 10.0.3.17/24`.
fn address(text: &str) -> Option<(AddressSource, IpAddr, u8)> {
    let (source, rest) = text.split_once(' ')?;
    let source = match source {
        "agent" => AddressSource::Agent,
        "lease" => AddressSource::Lease,
        "arp" => AddressSource::Arp,
        _ => return None,
    };
    let (ip, prefix) = rest.split_once('/')?;
    Some((source, ip.parse().ok()?, prefix.parse().ok()?))
}
