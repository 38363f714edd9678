//! What a simulated Hyper-V host and its VMs are like when the fleet starts. Data only; scenarios
//! make it (`super::entry`), the world lives on from it.

use std::time::Duration;

use super::faults::WindowsFaults;
use super::guest::PASSWORD;
use super::profile::{Language, Pace, PowerShells, Shell, Windows};
use super::state::{Numbers, Standing, WinState};
use crate::sim::load::{mix, mix_text};

/// One Hyper-V host.
#[derive(Debug, Clone)]
pub(in crate::sim) struct WindowsPlan {
    pub(in crate::sim) windows: Windows,
    pub(in crate::sim) powershells: PowerShells,
    pub(in crate::sim) language: Language,
    pub(in crate::sim) shell: Shell,
    pub(in crate::sim) pace: Pace,
    pub(in crate::sim) numbers: Numbers,
    /// Member of a failover cluster.
    pub(in crate::sim) clustered: bool,
    pub(in crate::sim) faults: WindowsFaults,
    pub(in crate::sim) vms: Vec<WinVmPlan>,
}

/// Where a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Controller {
    Ide,
    Scsi,
}

/// A virtual hard disk.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Disk {
    pub(in crate::sim) controller: Controller,
    pub(in crate::sim) number: i32,
    pub(in crate::sim) location: i32,
    pub(in crate::sim) path: String,
    pub(in crate::sim) fixed: bool,
    /// Bytes the guest sees.
    pub(in crate::sim) size: u64,
    /// Bytes the file takes.
    pub(in crate::sim) file_size: u64,
    /// Files it differs from, nearest first, before any checkpoint.
    pub(in crate::sim) parents: Vec<String>,
    /// A physical disk handed through, by number.
    pub(in crate::sim) physical: Option<u32>,
    /// The file cannot be read.
    pub(in crate::sim) missing: bool,
}

/// A network card.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Nic {
    pub(in crate::sim) id: String,
    pub(in crate::sim) name: String,
    /// Twelve hexadecimal digits, upper case.
    pub(in crate::sim) mac: String,
    pub(in crate::sim) static_mac: bool,
    pub(in crate::sim) switch: Option<String>,
    pub(in crate::sim) legacy: bool,
    /// What the guest would tell.
    pub(in crate::sim) addresses: Vec<String>,
}

/// Which kind of checkpoint (`Microsoft.HyperV.PowerShell.SnapshotType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum CheckpointKind {
    Standard,
    Recovery,
    Replica,
}

/// A checkpoint.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Checkpoint {
    pub(in crate::sim) id: String,
    pub(in crate::sim) name: String,
    /// Seconds since the fleet's start; negative for those that were there.
    pub(in crate::sim) created: f64,
    pub(in crate::sim) parent: Option<String>,
    pub(in crate::sim) kind: CheckpointKind,
    pub(in crate::sim) automatic: bool,
    /// Whether it holds the memory of a running VM.
    pub(in crate::sim) with_memory: bool,
}

/// What a person sets and `Set-VM` changes.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) struct Settings {
    pub(in crate::sim) name: String,
    pub(in crate::sim) notes: String,
    pub(in crate::sim) vcpus: u32,
    /// Mebibytes.
    pub(in crate::sim) memory_mib: u64,
    /// Smallest and largest mebibytes of a VM with dynamic memory.
    pub(in crate::sim) dynamic: Option<(u64, u64)>,
    /// 2 nothing, 3 if it was running, 4 always.
    pub(in crate::sim) start_action: u16,
    pub(in crate::sim) start_delay_s: u32,
    /// 2 turn off, 3 save, 4 shut down.
    pub(in crate::sim) stop_action: u16,
    pub(in crate::sim) automatic_checkpoints: bool,
    /// 2 disabled, 3 production, 4 production only, 5 standard.
    pub(in crate::sim) checkpoint_type: u16,
}

/// One VM.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own of a VM"
)]
pub(in crate::sim) struct WinVmPlan {
    /// Upper case, as WMI has it.
    pub(in crate::sim) id: String,
    pub(in crate::sim) seed: u64,
    pub(in crate::sim) standing: Standing,
    pub(in crate::sim) settings: Settings,
    pub(in crate::sim) generation: u8,
    /// The configuration version; `None` is the host's newest.
    pub(in crate::sim) version: Option<String>,
    pub(in crate::sim) disks: Vec<Disk>,
    pub(in crate::sim) nics: Vec<Nic>,
    pub(in crate::sim) checkpoints: Vec<Checkpoint>,
    /// The checkpoint it stands on.
    pub(in crate::sim) current: Option<String>,
    /// Integration services that the host offers it.
    pub(in crate::sim) offered: Vec<Service>,
    /// Whether the guest runs them.
    pub(in crate::sim) guest_services: bool,
    pub(in crate::sim) obeys_shutdown: bool,
    /// A locked session stands in the way of a shutdown that is not forced.
    pub(in crate::sim) locked: bool,
    pub(in crate::sim) guest_os: String,
    /// Of its account `Administrator`.
    pub(in crate::sim) password: String,
    pub(in crate::sim) clustered: bool,
    pub(in crate::sim) replicated: bool,
    pub(in crate::sim) shielded: bool,
    /// Mean of its processors' load and of its memory pressure, 0..1.
    pub(in crate::sim) cpu: f64,
    pub(in crate::sim) memory: f64,
    /// Mean bytes per second.
    pub(in crate::sim) disk_rate: f64,
    pub(in crate::sim) net_rate: f64,
    pub(in crate::sim) uptime: Duration,
    /// Mean time between changes it makes by itself.
    pub(in crate::sim) restless: Option<Duration>,
}

/// An integration service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Copies files into the guest.
    GuestInterface,
    /// Tells that the guest lives.
    Heartbeat,
    /// Tells the guest's addresses.
    KeyValue,
    /// Shuts the guest down.
    Shutdown,
    /// Sets the guest's clock.
    TimeSync,
    /// Prepares backups.
    Vss,
}

impl Service {
    pub(in crate::sim) const ALL: [Self; 6] = [
        Self::GuestInterface,
        Self::Heartbeat,
        Self::KeyValue,
        Self::Shutdown,
        Self::TimeSync,
        Self::Vss,
    ];

    /// Its component GUID, the same on every host.
    pub(in crate::sim) const fn guid(self) -> &'static str {
        match self {
            Self::GuestInterface => "6C09BB55-D683-4DA0-8931-C9BF705F6480",
            Self::Heartbeat => "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47",
            Self::KeyValue => "2A34B1C2-FD73-4043-8A5B-DD2159BC743F",
            Self::Shutdown => "9F8233AC-BE49-4C79-8EE3-E7E1985B2077",
            Self::TimeSync => "2497F4DE-E9FA-4204-80E4-4B75C46419C0",
            Self::Vss => "5CED1297-4598-4915-A5FC-AD21BB4D02A4",
        }
    }

    /// Its name in English and in German.
    pub(in crate::sim) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::GuestInterface => ("Guest Service Interface", "Gastdienstschnittstelle"),
            Self::Heartbeat => ("Heartbeat", "Takt"),
            Self::KeyValue => (
                "Key-Value Pair Exchange",
                "Austausch von Schlüsselwertepaaren",
            ),
            Self::Shutdown => ("Shutdown", "Herunterfahren"),
            Self::TimeSync => ("Time Synchronization", "Zeitsynchronisierung"),
            Self::Vss => ("VSS", "VSS"),
        }
    }
}

/// Makes an upper-case GUID (version 4) from a seed.
pub(in crate::sim) fn guid(seed: u64) -> String {
    let high = mix(seed, 11);
    let low = mix(seed, 12);
    format!(
        "{:08X}-{:04X}-4{:03X}-{:04X}-{:012X}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

impl WinVmPlan {
    /// An ordinary VM with a disk and a network card on the default switch.
    pub(in crate::sim) fn plain(name: &str, host_seed: u64) -> Self {
        let seed = mix_text(host_seed, name);
        Self {
            id: guid(seed),
            seed,
            standing: Standing::sound(WinState::Off),
            settings: Settings {
                name: name.to_owned(),
                notes: String::new(),
                vcpus: 2,
                memory_mib: 2048,
                dynamic: None,
                start_action: 3,
                start_delay_s: 0,
                stop_action: 3,
                automatic_checkpoints: false,
                checkpoint_type: 3,
            },
            generation: 2,
            version: None,
            disks: vec![Disk::plain(disk_path(name, 1))],
            nics: vec![Nic::new(seed, 1, Some("LAN"))],
            checkpoints: Vec::new(),
            current: None,
            offered: Service::ALL
                .into_iter()
                .filter(|service| *service != Service::GuestInterface)
                .collect(),
            guest_services: true,
            obeys_shutdown: true,
            locked: false,
            guest_os: "Windows Server 2022 Standard".to_owned(),
            password: PASSWORD.to_owned(),
            clustered: false,
            replicated: false,
            shielded: false,
            cpu: 0.1,
            memory: 0.5,
            disk_rate: 100e3,
            net_rate: 50e3,
            uptime: Duration::from_secs(360_000),
            restless: None,
        }
    }
}

impl Disk {
    /// The first disk of a VM: a file that grows, with something in it.
    pub(in crate::sim) fn plain(path: impl Into<String>) -> Self {
        Self {
            controller: Controller::Scsi,
            number: 0,
            location: 0,
            path: path.into(),
            fixed: false,
            size: 40 << 30,
            file_size: 12 << 30,
            parents: Vec::new(),
            physical: None,
            missing: false,
        }
    }
}

impl Nic {
    /// A network card with an address from the seed (Microsoft's range `00:15:5D`).
    pub(in crate::sim) fn new(seed: u64, number: u64, switch: Option<&str>) -> Self {
        Self {
            id: guid(mix(seed, 300 + number)),
            name: "Network Adapter".to_owned(),
            mac: format!("00155D{:06X}", mix(seed, 400 + number) & 0x00ff_ffff),
            static_mac: false,
            switch: switch.map(str::to_owned),
            legacy: false,
            addresses: Vec::new(),
        }
    }
}

/// Where the disks of a VM are; characters that Windows refuses in names become underscores.
pub(in crate::sim) fn disk_path(vm: &str, number: usize) -> String {
    let safe: String = vm
        .chars()
        .map(|c| match c {
            '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*' => '_',
            c if c.is_control() => '_',
            c => c,
        })
        .collect();
    let safe = safe.trim_end_matches([' ', '.']);
    match number {
        1 => format!("C:\\Hyper-V\\Virtual Hard Disks\\{safe}.vhdx"),
        _ => format!("C:\\Hyper-V\\Virtual Hard Disks\\{safe}-{number}.vhdx"),
    }
}
