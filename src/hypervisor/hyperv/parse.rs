//! What the lists say: rows of Hyper-V, joined by GUID, in our words and units. Pure.
//!
//! WMI gives memory in MB and time in ms, the cmdlets bytes; `null` stays unknown. One row that cannot
//! be read is a gap and costs no other. Sources: Microsoft's pages on `Msvm_SummaryInformation`,
//! `Msvm_ComputerSystem`, `Msvm_VirtualSystemSettingData` and `Msvm_GuestNetworkAdapterConfiguration`.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::checkpoint::{self, Points};
use super::failure::Record;
use super::flows::Flows;
use super::frames::{Frame, unparsable};
use super::state;
use crate::domain::inventory::{HostInventory, HostLoad, Scope};
use crate::domain::snapshot::VmSnapshot;
use crate::domain::text::RemoteText;
use crate::domain::units::{Bytes, Percent};
use crate::domain::vm::{AddressSource, PowerState, Vm, VmAddress, VmFacts, VmId, VmStats};
use crate::hypervisor::HypervisorError;

/// Percent of a VM's own processors beyond which a figure must mean something else; a tenth is left to
/// rounding and to reading at slightly different moments.
const TOO_MUCH: f64 = 110.0;

/// A final frame's content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// What the task's body returned.
    pub(crate) data: Value,
    /// Parts that failed, and why.
    pub(crate) gaps: Vec<(RemoteText, Record)>,
}

/// Reads a final frame.
pub(crate) fn answer(frame: &Frame) -> Result<Answer, HypervisorError> {
    let mut whole: Value = frame.read()?;
    if whole.get("v") != Some(&Value::from(1)) {
        return Err(unparsable("an answer of another version", &frame.payload));
    }
    let mut data = many(whole.get_mut("data").map(Value::take));
    let (Some(data), true) = (data.pop(), data.is_empty()) else {
        return Err(unparsable("not one answer", &frame.payload));
    };
    let gaps = read_gaps(whole.get_mut("gaps").map(Value::take));
    Ok(Answer { data, gaps })
}

/// Reads which parts failed, and why.
pub(crate) fn read_gaps(said: Option<Value>) -> Vec<(RemoteText, Record)> {
    many(said)
        .into_iter()
        .filter_map(|gap| Gap::deserialize(gap).ok())
        .map(|gap| (gap.part, gap.failure))
        .collect()
}

#[derive(Deserialize)]
struct Gap {
    part: RemoteText,
    failure: Record,
}

/// Reads a list that PowerShell may have written as nothing, as its only item, or wrapped.
pub(crate) fn many(value: Option<Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(Value::Object(mut object)) if object.contains_key("Count") => {
            many(object.remove("value"))
        }
        Some(one) => vec![one],
    }
}

pub(super) fn rows(data: &mut Value, name: &str) -> Vec<Value> {
    many(data.get_mut(name).map(Value::take))
}

/// What is kept between two reads of one host.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Logical processors of the host, once they are known.
    pub(crate) processors: Option<u32>,
    /// Whether the host was seen to report the share of a VM's own processors.
    pub(crate) tells_own_share: bool,
    slow: HashMap<VmId, Slow>,
    flows: Flows,
}

/// What the last full read said about a VM.
#[derive(Debug, Clone, Default)]
struct Slow {
    facts: Arc<VmFacts>,
    startup: Option<Bytes>,
}

/// An inventory, and whether the host showed so much as itself.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) inventory: HostInventory,
    /// Whether nothing at all came back, not even the host's own row.
    pub(crate) is_blank: bool,
}

#[derive(Deserialize)]
struct System {
    id: RemoteText,
    name: RemoteText,
    state: i64,
    health: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Figures {
    id: String,
    load: Option<u64>,
    memory_mb: Option<u64>,
    uptime_ms: Option<u64>,
    processors: Option<u32>,
    system: Option<RemoteText>,
    notes: Option<RemoteText>,
}

#[derive(Deserialize)]
struct Setting {
    id: String,
    start: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemorySetting {
    id: String,
    startup_mb: Option<u64>,
}

#[derive(Deserialize)]
struct Addresses {
    id: String,
    #[serde(default)]
    addresses: Value,
}

/// A row of the cmdlets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Machine {
    id: String,
    name: RemoteText,
    state: i64,
    #[serde(default)]
    state_name: String,
    load: Option<u64>,
    memory: Option<u64>,
    startup: Option<u64>,
    uptime_ms: Option<u64>,
    processors: Option<u32>,
    notes: Option<RemoteText>,
    start: Option<i64>,
    checkpoints: Option<u32>,
    #[serde(default)]
    addresses: Value,
}

/// Reads the list through CIM.
pub(crate) fn through_cim(answer: Answer, scope: Scope, memory: &mut Memory) -> Listed {
    let mut data = answer.data;
    let mut gaps = told(&answer.gaps);
    let systems = rows(&mut data, "systems");
    let is_blank = systems.is_empty();
    let figures: HashMap<VmId, Figures> = keyed(rows(&mut data, "figures"), |row: &Figures| {
        VmId::parse(&row.id)
    });
    for row in figures.values() {
        memory.notice(row.load, row.processors);
    }
    if scope == Scope::Full {
        memory.learn(&mut data, &figures);
    }
    let (disks, cards) = (rows(&mut data, "disks"), rows(&mut data, "cards"));
    memory.flows.take(disks, cards);
    let mut vms: Vec<Arc<Vm>> = Vec::with_capacity(systems.len());
    let mut seen: HashSet<VmId> = HashSet::with_capacity(systems.len());
    for row in systems {
        let system = match System::deserialize(&row) {
            Ok(system) => system,
            Err(error) => {
                gaps.push(gap_of(&row, &error));
                continue;
            }
        };
        // The host's own row has its name where a VM has its GUID.
        let Some(id) = VmId::parse(system.id.raw()) else {
            continue;
        };
        if !seen.insert(id.clone()) {
            gaps.push(named(&system.name, "its id stands for more than one VM"));
            continue;
        }
        let state = state::from_wmi(system.state, system.health);
        let mut measured = figures.get(&id).map_or_else(VmStats::default, |figures| {
            memory.stats(
                &state,
                &Measured {
                    load: figures.load,
                    memory: figures.memory_mb.map(Bytes::from_mib),
                    uptime_ms: figures.uptime_ms,
                    processors: figures.processors,
                    startup: memory.slow.get(&id).and_then(|slow| slow.startup),
                },
            )
        });
        memory.flows.of(&id).tell(&mut measured);
        vms.push(Arc::new(Vm {
            name: system.name,
            state,
            stats: measured,
            facts: memory.facts(&id),
            id,
        }));
    }
    if scope == Scope::Full {
        memory.slow.retain(|id, _| seen.contains(id));
    }
    Listed {
        inventory: inventory(vms, gaps, &data),
        is_blank,
    }
}

/// Reads the list through the cmdlets.
pub(crate) fn through_cmdlets(answer: Answer, scope: Scope, memory: &mut Memory) -> Listed {
    let mut data = answer.data;
    let mut gaps = told(&answer.gaps);
    let mut vms = Vec::new();
    let mut machines = Vec::new();
    for row in rows(&mut data, "machines") {
        match Machine::deserialize(&row) {
            Ok(machine) => {
                memory.notice(machine.load, machine.processors);
                machines.push(machine);
            }
            Err(error) => gaps.push(gap_of(&row, &error)),
        }
    }
    let mut seen: HashSet<VmId> = HashSet::with_capacity(machines.len());
    for machine in machines {
        let Some(id) = VmId::parse(&machine.id) else {
            gaps.push(named(&machine.name, "its id is no GUID"));
            continue;
        };
        if !seen.insert(id.clone()) {
            gaps.push(named(&machine.name, "its id stands for more than one VM"));
            continue;
        }
        let state = state::from_cmdlet(&machine.state_name, machine.state);
        let figures = memory.stats(
            &state,
            &Measured {
                load: machine.load,
                memory: machine.memory.map(Bytes),
                uptime_ms: machine.uptime_ms,
                processors: machine.processors,
                startup: machine.startup.map(Bytes),
            },
        );
        if scope == Scope::Full {
            let facts = VmFacts {
                addresses: (!machine.addresses.is_null())
                    .then(|| sorted(many(Some(machine.addresses)))),
                snapshots: machine.checkpoints,
                autostart: machine.start.and_then(starts_with_host),
                persistent: Some(true),
                description: machine.notes.filter(|notes| !notes.raw().trim().is_empty()),
                ..VmFacts::default()
            };
            memory.keep(&id, facts, machine.startup.map(Bytes));
        }
        vms.push(Arc::new(Vm {
            name: machine.name,
            state,
            stats: figures,
            facts: memory.facts(&id),
            id,
        }));
    }
    if scope == Scope::Full {
        memory.slow.retain(|id, _| seen.contains(id));
    }
    Listed {
        inventory: inventory(vms, gaps, &data),
        is_blank: false,
    }
}

fn inventory(mut vms: Vec<Arc<Vm>>, gaps: Vec<RemoteText>, data: &Value) -> HostInventory {
    vms.sort_by(|one, other| (one.name.raw(), &one.id).cmp(&(other.name.raw(), &other.id)));
    let kib = |name: &str| {
        data.get(name)
            .and_then(Value::as_u64)
            .filter(|kib| *kib > 0)
    };
    let total = kib("totalKib").map(Bytes::from_kib);
    let free = kib("freeKib").map(Bytes::from_kib);
    let load = data.get("hostLoad").and_then(Value::as_f64);
    HostInventory {
        vms,
        load: HostLoad {
            cpu: load.map(|share| Percent::new(share.min(100.0))),
            memory_used: total
                .zip(free)
                .map(|(total, free)| Bytes(total.0.saturating_sub(free.0))),
            memory_total: total,
        },
        gaps,
    }
}

/// What was measured of a VM, in our units.
struct Measured {
    load: Option<u64>,
    memory: Option<Bytes>,
    uptime_ms: Option<u64>,
    processors: Option<u32>,
    startup: Option<Bytes>,
}

impl Memory {
    /// Returns the slow facts of a VM.
    pub(crate) fn facts(&self, id: &VmId) -> Arc<VmFacts> {
        self.slow
            .get(id)
            .map_or_else(Arc::default, |slow| Arc::clone(&slow.facts))
    }

    fn keep(&mut self, id: &VmId, facts: VmFacts, startup: Option<Bytes>) {
        let slow = self.slow.entry(id.clone()).or_default();
        slow.startup = startup;
        if *slow.facts != facts {
            slow.facts = Arc::new(facts);
        }
    }

    fn stats(&self, state: &PowerState, measured: &Measured) -> VmStats {
        let lives = !matches!(state, PowerState::Stopped | PowerState::Saved);
        let assigned = measured.memory.filter(|bytes| bytes.0 > 0 && lives);
        VmStats {
            cpu: measured
                .load
                .filter(|_| lives)
                .and_then(|load| self.share(load, measured.processors)),
            vcpus: measured.processors.filter(|count| *count > 0),
            memory_used: assigned,
            memory_assigned: assigned.or(measured.startup),
            uptime: measured
                .uptime_ms
                .filter(|ms| *ms > 0 && lives)
                .map(Duration::from_millis),
            ..VmStats::default()
        }
    }

    /// Turns `ProcessorLoad` into the share of a VM's own processors. It is documented as the share of
    /// the host's; of a host that was seen to mean the VM's own, it is taken as it is.
    fn share(&self, load: u64, processors: Option<u32>) -> Option<Percent> {
        let share = if self.tells_own_share {
            f64::from(u32::try_from(load).ok()?)
        } else {
            of_own(load, self.processors?, processors?)?
        };
        Some(Percent::new(share.min(100.0)))
    }

    /// Looks whether a load is more than all of a VM's processors can be, so that it cannot be meant as
    /// the share of the host's. Loads are whole numbers, so one less may have been meant.
    fn notice(&mut self, load: Option<u64>, processors: Option<u32>) {
        let (Some(load), Some(host), Some(own)) = (load, self.processors, processors) else {
            return;
        };
        let at_least = of_own(load.saturating_sub(1), host, own);
        self.tells_own_share |= at_least.is_some_and(|share| share > TOO_MUCH);
    }

    /// Keeps the checkpoints of a VM, which were read for themselves just now.
    pub(crate) fn learn_snapshots(&mut self, id: &VmId, tree: &[VmSnapshot]) {
        let slow = self.slow.entry(id.clone()).or_default();
        let facts = Arc::make_mut(&mut slow.facts);
        facts.snapshots = u32::try_from(tree.len()).ok();
        facts.snapshot_tree = Some(Arc::from(tree));
    }

    /// Takes in the slow rows of a full read.
    fn learn(&mut self, data: &mut Value, figures: &HashMap<VmId, Figures>) {
        let asked = |data: &Value, name: &str| data.get(name).is_some();
        self.flows.learn(rows(data, "files"));
        let (has_points, has_addresses) = (asked(data, "checkpoints"), asked(data, "addresses"));
        let starts: HashMap<VmId, Setting> =
            keyed(rows(data, "settings"), |row: &Setting| VmId::parse(&row.id));
        let memories: HashMap<VmId, MemorySetting> =
            keyed(rows(data, "memory"), |row: &MemorySetting| guid_in(&row.id));
        let mut points = checkpoint::gathered(data);
        let mut addresses: HashMap<VmId, Vec<Value>> = HashMap::new();
        for row in rows(data, "addresses") {
            if let Ok(row) = Addresses::deserialize(row)
                && let Some(id) = guid_in(&row.id)
            {
                addresses
                    .entry(id)
                    .or_default()
                    .extend(many(Some(row.addresses)));
            }
        }
        let ids: HashSet<&VmId> = figures.keys().chain(starts.keys()).collect();
        for id in ids {
            let figure = figures.get(id);
            let text = |text: Option<&RemoteText>| {
                text.filter(|text| !text.raw().trim().is_empty()).cloned()
            };
            let facts = VmFacts {
                addresses: has_addresses.then(|| sorted(addresses.remove(id).unwrap_or_default())),
                snapshots: has_points.then(|| points.get(id).map_or(0, Points::count)),
                snapshot_tree: has_points
                    .then(|| {
                        let points = points.remove(id);
                        let before = self.facts(id);
                        let before = before.snapshot_tree.as_deref().unwrap_or_default();
                        points.map_or_else(|| Some(Arc::default()), |points| points.tree(before))
                    })
                    .flatten(),
                autostart: starts
                    .get(id)
                    .and_then(|row| row.start)
                    .and_then(starts_with_host),
                persistent: Some(true),
                title: None,
                description: text(figure.and_then(|row| row.notes.as_ref())),
                os: text(figure.and_then(|row| row.system.as_ref())),
            };
            let startup = memories
                .get(id)
                .and_then(|row| row.startup_mb)
                .map(Bytes::from_mib);
            self.keep(id, facts, startup);
        }
    }
}

/// `AutomaticStartupAction`: 2 = nothing, 3 = start if it ran before, 4 = always start. Either of the last
/// two starts it with its host; the details tell them apart.
pub(crate) const fn starts_with_host(action: i64) -> Option<bool> {
    match action {
        2 => Some(false),
        3 | 4 => Some(true),
        _ => None,
    }
}

/// Turns a share of the host's processors into one of a VM's own.
fn of_own(load: u64, host: u32, own: u32) -> Option<f64> {
    let load = f64::from(u32::try_from(load).ok()?);
    (own > 0).then(|| load * f64::from(host) / f64::from(own))
}

/// Finds the first GUID in an instance id such as `Microsoft:GuestNetwork\<VM>\<NIC>`, or in a path of one.
pub(crate) fn guid_in(instance: &str) -> Option<VmId> {
    instance
        .split(|c: char| !(c.is_ascii_hexdigit() || c == '-'))
        .find_map(VmId::parse)
}

/// Reads addresses, IPv4 first. Link-local ones are nobody's address.
pub(crate) fn sorted(texts: Vec<Value>) -> Vec<VmAddress> {
    let mut found: Vec<IpAddr> = addresses(texts);
    found.retain(|ip| match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    });
    found.sort_by_key(IpAddr::is_ipv6);
    sourced(found)
}

/// Says where addresses are from: on Hyper-V it is always the services inside the VM.
pub(crate) fn sourced(found: Vec<IpAddr>) -> Vec<VmAddress> {
    found
        .into_iter()
        .map(|ip| VmAddress {
            ip,
            source: AddressSource::Agent,
        })
        .collect()
}

/// Reads addresses in their order, each once; what is none is left out, and so is the unspecified one.
pub(crate) fn addresses(texts: Vec<Value>) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for text in texts {
        let ip = text.as_str().and_then(|text| {
            // A scope (`fe80::1%4`) means something on the guest only.
            text.split('%').next()?.trim().parse::<IpAddr>().ok()
        });
        if let Some(ip) = ip
            && !ip.is_unspecified()
            && !ip.is_loopback()
            && !found.contains(&ip)
        {
            found.push(ip);
        }
    }
    found
}

/// Makes a map of rows; the first of two with the same key stays.
fn keyed<T: for<'de> Deserialize<'de>>(
    rows: Vec<Value>,
    key: impl Fn(&T) -> Option<VmId>,
) -> HashMap<VmId, T> {
    let mut map = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Ok(row) = T::deserialize(row)
            && let Some(id) = key(&row)
        {
            map.entry(id).or_insert(row);
        }
    }
    map
}

/// Says what was not read, in the host's words.
pub(crate) fn told(gaps: &[(RemoteText, Record)]) -> Vec<RemoteText> {
    gaps.iter()
        .map(|(part, record)| named(part, record.said().raw()))
        .collect()
}

fn gap_of(row: &Value, error: &serde_json::Error) -> RemoteText {
    let name = row.get("name").and_then(Value::as_str).unwrap_or("a VM");
    named(&RemoteText::new(name), &format!("its row: {error}"))
}

fn named(name: &RemoteText, why: &str) -> RemoteText {
    RemoteText::new(&format!("{}: {why}", name.raw()))
}
