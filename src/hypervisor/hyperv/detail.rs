//! Everything about one VM, out of the parts of the script's answer. Pure. Each part that failed on the
//! host is a gap in the host's own words; the others are shown.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::checkpoint::{Point, tree};
use super::parse::{self, Answer, many, sorted};
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::domain::vm::{
    RemoteDocument, VmDetail, VmDisk, VmDiskImage, VmFacts, VmNic, VmProperty,
};

/// Integration services by the GUID of their component; their names are in the host's language.
/// Microsoft: "Hyper-V Integration Services"; the GUIDs as public tools use them.
const SERVICES: [(&str, &str); 6] = [
    ("6C09BB55-D683-4DA0-8931-C9BF705F6480", "guest services"),
    ("84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47", "heartbeat"),
    ("2A34B1C2-FD73-4043-8A5B-DD2159BC743F", "data exchange"),
    ("9F8233AC-BE49-4C79-8EE3-E7E1985B2077", "shutdown"),
    ("2497F4DE-E9FA-4204-80E4-4B75C46419C0", "time"),
    ("5CED1297-4598-4915-A5FC-AD21BB4D02A4", "backup (VSS)"),
];

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Machine {
    notes: Option<RemoteText>,
    generation: Option<u32>,
    version: Option<RemoteText>,
    created: Option<RemoteText>,
    path: Option<RemoteText>,
    clustered: Option<bool>,
    replication: Option<RemoteText>,
    dynamic_memory: Option<bool>,
    memory_startup: Option<u64>,
    memory_minimum: Option<u64>,
    memory_maximum: Option<u64>,
    memory_demand: Option<u64>,
    start_action: Option<i64>,
    start_delay: Option<i64>,
    stop_action: Option<i64>,
    checkpoint_type: Option<RemoteText>,
    parent_checkpoint: Option<String>,
    heartbeat: Option<RemoteText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Disk {
    controller: RemoteText,
    #[serde(default)]
    number: i64,
    #[serde(default)]
    location: i64,
    #[serde(default)]
    path: Option<RemoteText>,
    #[serde(rename = "hostDisk")]
    pass_through: Option<i64>,
    #[serde(default)]
    chain: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    path: RemoteText,
    format: Option<RemoteText>,
    kind: Option<RemoteText>,
    size: Option<u64>,
    file_size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Nic {
    name: RemoteText,
    #[serde(default)]
    mac: String,
    switch: Option<RemoteText>,
    connected: Option<bool>,
    #[serde(default)]
    legacy: bool,
    #[serde(default)]
    addresses: Value,
}

#[derive(Deserialize)]
struct Service {
    id: String,
    name: RemoteText,
    enabled: bool,
    status: Option<i64>,
}

/// Reads the answer of the detail script.
pub(crate) fn read(answer: Answer) -> VmDetail {
    let Answer { mut data, gaps } = answer;
    let mut gaps = parse::told(&gaps);
    let definition = serde_json::to_string_pretty(&data).unwrap_or_default();
    let has_nics = data.get("nics").is_some();
    let has_points = data.get("checkpoints").is_some();
    let machine = data
        .get("machine")
        .and_then(|machine| Machine::deserialize(machine).ok())
        .unwrap_or_default();
    let mut part = |name: &str| many(data.get_mut(name).map(Value::take));
    let disks = each(part("disks"), "a disk", &mut gaps, disk);
    let nics: Vec<Nic> = each(part("nics"), "a network card", &mut gaps, |nic| nic);
    let points: Vec<Point> = each(part("checkpoints"), "a checkpoint", &mut gaps, |point| {
        point
    });
    let services: Vec<Service> = each(part("services"), "a service", &mut gaps, |one| one);
    let addresses = nics
        .iter()
        .flat_map(|nic| many(Some(nic.addresses.clone())))
        .collect();
    let mut facts = VmFacts {
        addresses: has_nics.then(|| sorted(addresses)),
        snapshots: has_points.then(|| u32::try_from(points.len()).unwrap_or(u32::MAX)),
        autostart: machine.start_action.and_then(parse::starts_with_host),
        persistent: Some(true),
        description: machine
            .notes
            .clone()
            .filter(|notes| !notes.raw().trim().is_empty()),
        ..VmFacts::default()
    };
    let properties = properties(&machine, &services);
    let snapshots = tree(points, machine.parent_checkpoint.as_deref());
    facts.snapshot_tree = has_points.then(|| Arc::from(snapshots.as_slice()));
    VmDetail {
        facts,
        disks,
        nics: nics.into_iter().map(nic).collect(),
        snapshots,
        properties,
        memory_limit: memory_limit(&machine),
        definition: RemoteDocument::new(&definition),
        gaps,
        ..VmDetail::default()
    }
}

/// Reads rows; one that cannot be read is a gap.
fn each<T: for<'de> Deserialize<'de>, U>(
    rows: Vec<Value>,
    what: &str,
    gaps: &mut Vec<RemoteText>,
    make: impl Fn(T) -> U,
) -> Vec<U> {
    let mut done = Vec::with_capacity(rows.len());
    for row in rows {
        match T::deserialize(row) {
            Ok(row) => done.push(make(row)),
            Err(error) => gaps.push(RemoteText::new(&format!("{what}: {error}"))),
        }
    }
    done
}

fn disk(disk: Disk) -> VmDisk {
    let chain: Vec<VmDiskImage> = many(Some(disk.chain))
        .into_iter()
        .filter_map(|link| Link::deserialize(link).ok())
        .map(|link| VmDiskImage {
            path: link.path,
            format: link.format,
            kind: link.kind,
            capacity: link.size.map(Bytes),
            allocation: link.file_size.map(Bytes),
        })
        .collect();
    let first = chain.first();
    // An image that could not be read does not say what it is based on.
    let is_told = chain.len() > 1 || first.is_some_and(|image| image.kind.is_some());
    let source = match disk.pass_through {
        Some(number) => Some(RemoteText::new(&format!("disk {number} of the host"))),
        None => disk.path.filter(|path| !path.is_empty()),
    };
    VmDisk {
        target: RemoteText::new(&format!(
            "{} {}:{}",
            disk.controller.raw(),
            disk.number,
            disk.location
        )),
        source,
        device: RemoteText::new("disk"),
        format: first.and_then(|image| image.format.clone()),
        bus: Some(disk.controller),
        capacity: first.and_then(|image| image.capacity),
        allocation: first.and_then(|image| image.allocation),
        chain: if is_told { chain } else { Vec::new() },
    }
}

fn nic(nic: Nic) -> VmNic {
    let switch = nic.switch.filter(|name| !name.is_empty());
    VmNic {
        mac: RemoteText::new(&colons(&nic.mac)),
        device: None,
        kind: RemoteText::new(match nic.connected {
            Some(false) => "not connected",
            Some(true) | None => "switch",
        }),
        network: switch,
        model: Some(if nic.legacy {
            RemoteText::new(&format!("{} (legacy)", nic.name.raw()))
        } else {
            nic.name
        }),
        addresses: parse::sourced(parse::addresses(many(Some(nic.addresses)))),
    }
}

/// `00155D012A01` becomes `00:15:5d:01:2a:01`, as everywhere else; anything else stays.
fn colons(mac: &str) -> String {
    if mac.len() != 12 || !mac.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return mac.to_owned();
    }
    let mut text = String::with_capacity(17);
    for (at, digit) in mac.chars().enumerate() {
        if at > 0 && at % 2 == 0 {
            text.push(':');
        }
        text.push(digit.to_ascii_lowercase());
    }
    text
}

fn properties(machine: &Machine, services: &[Service]) -> Vec<VmProperty> {
    let mut list = Vec::new();
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            list.push(VmProperty {
                name: name.to_owned(),
                value: RemoteText::new(&value),
            });
        }
    };
    let text = |text: &Option<RemoteText>| text.as_ref().map(|text| text.raw().to_owned());
    say("generation", machine.generation.map(|n| n.to_string()));
    say("version", text(&machine.version));
    say("memory", memory(machine));
    say("start", start(machine));
    say(
        "stop",
        machine.stop_action.map(|action| match action {
            2 => "turned off with its host".to_owned(),
            3 => "saved with its host".to_owned(),
            4 => "shut down with its host".to_owned(),
            other => format!("action {other}"),
        }),
    );
    say("checkpoints", text(&machine.checkpoint_type));
    say("heartbeat", text(&machine.heartbeat));
    for service in services {
        say("service", Some(service_line(service)));
    }
    say(
        "cluster",
        machine
            .clustered
            .filter(|clustered| *clustered)
            .map(|_| "a role of a failover cluster: use the cluster's tools to move it".to_owned()),
    );
    say(
        "replication",
        text(&machine.replication).filter(|state| state != "Disabled"),
    );
    say("created", text(&machine.created));
    say("path", text(&machine.path));
    list
}

/// The maximum where memory is dynamic, else what it starts with.
fn memory_limit(machine: &Machine) -> Option<Bytes> {
    let bytes = if machine.dynamic_memory? {
        machine.memory_maximum
    } else {
        machine.memory_startup
    };
    bytes.map(Bytes)
}

fn memory(machine: &Machine) -> Option<String> {
    let size =
        |bytes: Option<u64>| bytes.map_or_else(|| "?".to_owned(), |bytes| Bytes(bytes).to_string());
    if !machine.dynamic_memory? {
        return Some(format!("{} fixed", size(machine.memory_startup)));
    }
    let demand = machine
        .memory_demand
        .filter(|bytes| *bytes > 0)
        .map_or_else(String::new, |bytes| format!(", wants {}", Bytes(bytes)));
    Some(format!(
        "dynamic, {} to {}, starts with {}{demand}",
        size(machine.memory_minimum),
        size(machine.memory_maximum),
        size(machine.memory_startup),
    ))
}

fn start(machine: &Machine) -> Option<String> {
    let delay = machine
        .start_delay
        .filter(|seconds| *seconds > 0)
        .map_or_else(String::new, |seconds| format!(" after {seconds} s"));
    Some(match machine.start_action? {
        2 => "not with its host".to_owned(),
        3 => format!("with its host{delay}, if it ran before"),
        4 => format!("with its host{delay}"),
        other => format!("action {other}"),
    })
}

/// Statuses of integration components. Microsoft: `CIM_ManagedSystemElement.OperationalStatus`, and the
/// vendor's range of Hyper-V.
fn service_line(service: &Service) -> String {
    let component = service.id.rsplit('\\').next().unwrap_or_default();
    let name = SERVICES
        .iter()
        .find(|(guid, _)| guid.eq_ignore_ascii_case(component))
        .map_or_else(
            || service.name.raw().to_owned(),
            |(_, name)| (*name).to_owned(),
        );
    if !service.enabled {
        return format!("{name}: off");
    }
    let status = match service.status {
        None => return format!("{name}: on"),
        Some(2) => "OK".to_owned(),
        Some(3) => "degraded".to_owned(),
        Some(6) => "error".to_owned(),
        Some(7) => "non-recoverable error".to_owned(),
        Some(12) => "no contact".to_owned(),
        Some(13) => "lost communication".to_owned(),
        Some(32775) => "protocol mismatch".to_owned(),
        Some(32782) => "application critical".to_owned(),
        Some(32783) => "communication timed out".to_owned(),
        Some(32784) => "communication failed".to_owned(),
        Some(32896) => "disabled".to_owned(),
        Some(other) => format!("status {other}"),
    };
    format!("{name}: {status}")
}
