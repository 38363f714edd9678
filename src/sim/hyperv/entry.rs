//! A Hyper-V host and its VMs as a scenario writes them: every key optional but names, unknown keys
//! refused (`docs/simulator.md` documents them). Only turns itself into plans.

use serde::Deserialize;

use super::faults::WindowsFaults;
use super::plan::{
    Checkpoint, CheckpointKind, Controller, Disk, Nic, Service, WinVmPlan, WindowsPlan, disk_path,
    guid,
};
use super::profile::{Language, PowerShells, Shell, Timing, Windows};
use super::state::{Numbers, Standing};
use crate::sim::error::SimError;
use crate::sim::load::{mix, mix_text};
use crate::sim::scenario::wrong;
use std::time::Duration;

/// The keys of a Hyper-V host beside those of any host.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::sim) struct WindowsEntry {
    windows: Windows,
    powershell: PowerShells,
    language: Language,
    shell: Shell,
    timing: Timing,
    numbers: Numbers,
    clustered: bool,
    faults: WindowsFaults,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of its own in the scenario"
)]
pub(in crate::sim) struct WinVmEntry {
    name: String,
    count: u32,
    id: Option<String>,
    state: String,
    generation: u8,
    version: Option<String>,
    vcpus: u32,
    memory_mib: u64,
    dynamic_memory: Option<[u64; 2]>,
    cpu: f64,
    memory: f64,
    disk_kbps: f64,
    net_kbps: f64,
    disk_gib: u64,
    disks: Vec<DiskEntry>,
    nics: Vec<NicEntry>,
    addresses: Vec<String>,
    switch: Option<String>,
    services: Option<Vec<Service>>,
    guest_services: bool,
    obeys_shutdown: bool,
    locked: bool,
    guest_os: String,
    guest_password: Option<String>,
    clustered: bool,
    replicated: bool,
    shielded: bool,
    notes: String,
    start_action: StartAction,
    stop_action: StopAction,
    checkpoints: Vec<CheckpointEntry>,
    current: Option<String>,
    uptime_h: f64,
    restless_s: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StartAction {
    Nothing,
    #[default]
    StartIfRunning,
    Start,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StopAction {
    TurnOff,
    #[default]
    Save,
    ShutDown,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DiskEntry {
    path: Option<String>,
    size_gib: Option<u64>,
    ide: bool,
    fixed: bool,
    parents: Vec<String>,
    physical: Option<u32>,
    missing: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NicEntry {
    name: Option<String>,
    switch: Option<String>,
    mac: Option<String>,
    legacy: bool,
    addresses: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CheckpointEntry {
    name: String,
    parent: Option<String>,
    age_h: f64,
    automatic: bool,
    with_memory: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Standard,
    Recovery,
    Replica,
}

impl Default for WinVmEntry {
    fn default() -> Self {
        Self {
            name: String::new(),
            count: 1,
            id: None,
            state: "running".to_owned(),
            generation: 2,
            version: None,
            vcpus: 2,
            memory_mib: 2048,
            dynamic_memory: None,
            cpu: 0.1,
            memory: 0.5,
            disk_kbps: 100.0,
            net_kbps: 50.0,
            disk_gib: 40,
            disks: Vec::new(),
            nics: Vec::new(),
            addresses: Vec::new(),
            switch: Some("LAN".to_owned()),
            services: None,
            guest_services: true,
            obeys_shutdown: true,
            locked: false,
            guest_os: "Windows Server 2022 Standard".to_owned(),
            guest_password: None,
            clustered: false,
            replicated: false,
            shielded: false,
            notes: String::new(),
            start_action: StartAction::default(),
            stop_action: StopAction::default(),
            checkpoints: Vec::new(),
            current: None,
            uptime_h: 100.0,
            restless_s: None,
        }
    }
}

impl WindowsEntry {
    pub(in crate::sim) fn into_plan(self, vms: Vec<WinVmPlan>) -> WindowsPlan {
        WindowsPlan {
            windows: self.windows,
            powershells: self.powershell,
            language: self.language,
            shell: self.shell,
            pace: self.timing.pace(),
            numbers: self.numbers,
            clustered: self.clustered,
            faults: self.faults,
            vms,
        }
    }
}

impl WinVmEntry {
    /// Returns as many as it says, numbered where the name has `{}`.
    pub(in crate::sim) fn numbered(&self) -> Vec<Self> {
        if self.count <= 1 {
            return vec![self.clone()];
        }
        (1..=self.count)
            .map(|number| {
                let number = number.to_string();
                Self {
                    name: self.name.replace("{}", &number),
                    addresses: self
                        .addresses
                        .iter()
                        .map(|address| address.replace("{}", &number))
                        .collect(),
                    ..self.clone()
                }
            })
            .collect()
    }

    /// Makes the plan of the VM with this number on its host: names may repeat.
    pub(in crate::sim) fn into_plan(
        self,
        host: &str,
        host_seed: u64,
        number: usize,
    ) -> Result<WinVmPlan, SimError> {
        let at = format!("{host}/{}", self.name);
        if self.name.is_empty() {
            return Err(wrong(&at, "a VM needs a name"));
        }
        let unique = u64::try_from(number).unwrap_or_default();
        let seed = mix(mix_text(host_seed, &self.name), unique);
        let mut plan = WinVmPlan::plain(&self.name, host_seed);
        plan.seed = seed;
        plan.id = match &self.id {
            None => guid(seed),
            Some(text) => crate::domain::vm::VmId::parse(text)
                .ok_or_else(|| wrong(&at, format!("`{text}` is no GUID")))?
                .to_string()
                .to_uppercase(),
        };
        plan.standing = Standing::parse(&self.state)
            .ok_or_else(|| wrong(&at, format!("`{}` is no state", self.state)))?;
        if !matches!(self.generation, 1 | 2) {
            return Err(wrong(&at, "a generation is 1 or 2"));
        }
        plan.generation = self.generation;
        plan.disks = self.disks(&at)?;
        plan.nics = self.nics(seed);
        (plan.checkpoints, plan.current) = self.checkpoints(seed, &at)?;
        plan.uptime = hours(self.uptime_h, &at)?;
        plan.settings.vcpus = self.vcpus.max(1);
        plan.settings.memory_mib = self.memory_mib;
        plan.settings.dynamic = self.dynamic_memory.map(|[least, most]| (least, most));
        plan.settings.notes = self.notes;
        plan.settings.start_action = match self.start_action {
            StartAction::Nothing => 2,
            StartAction::StartIfRunning => 3,
            StartAction::Start => 4,
        };
        plan.settings.stop_action = match self.stop_action {
            StopAction::TurnOff => 2,
            StopAction::Save => 3,
            StopAction::ShutDown => 4,
        };
        if let Some(services) = self.services {
            plan.offered = services;
        }
        plan.version = self.version;
        plan.guest_services = self.guest_services;
        plan.obeys_shutdown = self.obeys_shutdown;
        plan.locked = self.locked;
        plan.guest_os = self.guest_os;
        if let Some(password) = self.guest_password {
            plan.password = password;
        }
        plan.clustered = self.clustered;
        plan.replicated = self.replicated;
        plan.shielded = self.shielded;
        plan.cpu = self.cpu;
        plan.memory = self.memory;
        plan.disk_rate = self.disk_kbps * 1000.0;
        plan.net_rate = self.net_kbps * 1000.0;
        plan.restless = self.restless_s.map(Duration::from_secs);
        Ok(plan)
    }

    fn disks(&self, at: &str) -> Result<Vec<Disk>, SimError> {
        let entries = if self.disks.is_empty() {
            vec![DiskEntry::default()]
        } else {
            self.disks.clone()
        };
        entries
            .into_iter()
            .enumerate()
            .map(|(place, entry)| {
                let location =
                    i32::try_from(place).map_err(|error| wrong(at, error.to_string()))?;
                let size = entry.size_gib.unwrap_or(self.disk_gib) << 30;
                let ide = entry.ide || (self.generation == 1 && place < 2);
                Ok(Disk {
                    controller: if ide {
                        Controller::Ide
                    } else {
                        Controller::Scsi
                    },
                    number: 0,
                    location,
                    path: entry
                        .path
                        .unwrap_or_else(|| disk_path(&self.name, place + 1)),
                    fixed: entry.fixed,
                    size,
                    file_size: if entry.fixed { size } else { size / 3 },
                    parents: entry.parents,
                    physical: entry.physical,
                    missing: entry.missing,
                })
            })
            .collect()
    }

    fn nics(&self, seed: u64) -> Vec<Nic> {
        if self.nics.is_empty() {
            let mut nic = Nic::new(seed, 1, self.switch.as_deref());
            nic.addresses.clone_from(&self.addresses);
            return vec![nic];
        }
        self.nics
            .iter()
            .zip(1..)
            .map(|(entry, number)| {
                let mut nic = Nic::new(seed, number, entry.switch.as_deref());
                if let Some(name) = &entry.name {
                    nic.name.clone_from(name);
                }
                if let Some(mac) = &entry.mac {
                    nic.mac = mac.replace([':', '-'], "").to_uppercase();
                    nic.static_mac = true;
                }
                nic.legacy = entry.legacy;
                nic.addresses.clone_from(&entry.addresses);
                nic
            })
            .collect()
    }

    fn checkpoints(
        &self,
        seed: u64,
        at: &str,
    ) -> Result<(Vec<Checkpoint>, Option<String>), SimError> {
        let mut made: Vec<Checkpoint> = Vec::new();
        for (entry, number) in self.checkpoints.iter().zip(0_u64..) {
            let parent = match &entry.parent {
                None => None,
                Some(name) => Some(named(&made, name, at)?),
            };
            made.push(Checkpoint {
                id: guid(mix(seed, 200 + number)),
                name: entry.name.clone(),
                created: -hours(entry.age_h, at)?.as_secs_f64(),
                parent,
                kind: match entry.kind {
                    Kind::Standard => CheckpointKind::Standard,
                    Kind::Recovery => CheckpointKind::Recovery,
                    Kind::Replica => CheckpointKind::Replica,
                },
                automatic: entry.automatic,
                with_memory: entry.with_memory,
            });
        }
        let current = match &self.current {
            Some(name) => Some(named(&made, name, at)?),
            None => made.last().map(|last| last.id.clone()),
        };
        Ok((made, current))
    }
}

/// Finds a checkpoint among those before it: trees have no loops.
fn named(made: &[Checkpoint], name: &str, at: &str) -> Result<String, SimError> {
    made.iter()
        .find(|one| one.name == name)
        .map(|one| one.id.clone())
        .ok_or_else(|| wrong(at, format!("no checkpoint `{name}` stands before")))
}

fn hours(hours: f64, at: &str) -> Result<Duration, SimError> {
    Duration::try_from_secs_f64(hours * 3600.0).map_err(|error| wrong(at, error.to_string()))
}
