//! Folders with disks of VMs, and virtual switches, out of the script's answer. Pure. Sources: Microsoft's
//! pages on `Get-VMHost`, `Get-VMSwitch`, `Get-VHD` and `VMSwitchType`.
//!
//! Hyper-V has no storage pools: a folder stands for one. Only images that VMs name are told, so none of
//! them is ever called unattached.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::parse::{self, Answer, many};
use crate::domain::store::{
    DiskEnd, HostStores, Network, Pool, StoreId, StoreUser, Told, Volume, Wiring,
};
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::domain::vm::VmId;

/// `VMState` of VMs without a running process: off, saved, saved for a fast start.
const WITHOUT_PROCESS: [i64; 3] = [3, 6, 7];

/// Microsoft: `VMSwitchType`.
const SWITCH_TYPES: [(i64, &str); 3] = [(0, "private"), (1, "internal"), (2, "external")];

#[derive(Deserialize)]
struct Switch {
    id: String,
    name: RemoteText,
    kind: Option<i64>,
    adapter: Option<RemoteText>,
}

#[derive(Deserialize)]
struct Machine {
    id: String,
    name: RemoteText,
    state: Option<i64>,
    #[serde(default)]
    disks: Value,
    #[serde(default)]
    nics: Value,
    #[serde(default)]
    unread: bool,
}

#[derive(Deserialize)]
struct Nic {
    switch: Option<String>,
    vlan: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    path: RemoteText,
    format: Option<RemoteText>,
    size: Option<u64>,
    file_size: Option<u64>,
    parent: Option<RemoteText>,
}

/// Reads the answer of the script.
pub(crate) fn read(answer: Answer) -> HostStores {
    let Answer { mut data, gaps } = answer;
    let mut gaps = parse::told(&gaps);
    let said = gaps.clone();
    let folder = data
        .get("folder")
        .and_then(Value::as_str)
        .map(RemoteText::new);
    let mut part = |name: &str| data.get_mut(name).map(|part| many(Some(part.take())));
    let switches: Option<Vec<Switch>> = part("switches").map(|rows| each(rows, &mut gaps));
    let machines: Option<Vec<Machine>> = part("vms").map(|rows| each(rows, &mut gaps));
    let images: Vec<Image> = each(part("images").unwrap_or_default(), &mut gaps);
    let (wiring, vlans) = wired(machines.as_deref());
    let mut networks = not_empty(switches, &said).map(|all| networks(all, &vlans));
    let mut pools = not_empty(machines, &said).map(|_| folders(folder, images));
    let mut none = (Vec::new(), Vec::new());
    wiring.attribute(
        pools.as_mut().unwrap_or(&mut none.0),
        networks.as_mut().unwrap_or(&mut none.1),
    );
    HostStores {
        pools,
        networks,
        gaps,
    }
}

/// A part that is missing was not told, for the reason that stands among the gaps.
fn not_empty<T>(part: Option<T>, said: &[RemoteText]) -> Told<T> {
    part.ok_or_else(|| {
        let first = said.first().cloned();
        first.unwrap_or_else(|| RemoteText::new("the host did not say why"))
    })
}

fn each<T: for<'de> Deserialize<'de>>(rows: Vec<Value>, gaps: &mut Vec<RemoteText>) -> Vec<T> {
    let mut done = Vec::with_capacity(rows.len());
    for row in rows {
        match T::deserialize(row) {
            Ok(row) => done.push(row),
            Err(error) => gaps.push(RemoteText::new(&error.to_string())),
        }
    }
    done
}

/// VLANs by the name of the switch that cards with them are on.
type Vlans = BTreeMap<String, Vec<u32>>;

/// Paths of Windows differ by case only on paper.
fn folded(path: &str) -> String {
    path.to_lowercase()
}

fn wired(machines: Option<&[Machine]>) -> (Wiring, Vlans) {
    let mut wiring = Wiring {
        ignores_case: true,
        ..Wiring::default()
    };
    let mut vlans = Vlans::new();
    let Some(machines) = machines else {
        return (wiring, vlans);
    };
    wiring.is_whole = machines.iter().all(|machine| !machine.unread);
    for machine in machines {
        let Some(id) = VmId::parse(&machine.id) else {
            wiring.is_whole = false;
            continue;
        };
        let user = StoreUser {
            vm: machine.name.clone(),
            id,
            running: machine.state.map(|state| !WITHOUT_PROCESS.contains(&state)),
        };
        let paths = many(Some(machine.disks.clone()));
        wiring.disks.extend(paths.iter().filter_map(|path| {
            let end = DiskEnd::Path(path.as_str()?.to_owned());
            Some((user.clone(), end))
        }));
        for nic in many(Some(machine.nics.clone())) {
            let Ok(Nic {
                switch: Some(switch),
                vlan,
            }) = Nic::deserialize(nic)
            else {
                continue;
            };
            if let Some(vlan) = vlan.filter(|vlan| *vlan > 0) {
                vlans.entry(switch.clone()).or_default().push(vlan);
            }
            if !switch.is_empty() {
                wiring.cards.push((user.clone(), switch));
            }
        }
    }
    (wiring, vlans)
}

fn networks(switches: Vec<Switch>, vlans: &Vlans) -> Vec<Network> {
    let mut networks: Vec<Network> = switches
        .into_iter()
        .map(|switch| {
            let mut tags = vlans.get(switch.name.raw()).cloned().unwrap_or_default();
            tags.sort_unstable();
            tags.dedup();
            let known = SWITCH_TYPES
                .iter()
                .find(|(kind, _)| Some(*kind) == switch.kind);
            Network {
                id: StoreId::parse(&switch.id),
                mode: known.map(|(_, word)| RemoteText::new(word)),
                adapter: switch.adapter.filter(|text| !text.is_empty()),
                vlans: tags,
                ..Network::named(switch.name)
            }
        })
        .collect();
    networks.sort_by(|one, other| one.name.raw().cmp(other.name.raw()));
    networks
}

fn folders(default: Option<RemoteText>, images: Vec<Image>) -> Vec<Pool> {
    let mut by_folder: BTreeMap<String, (RemoteText, Vec<Volume>)> = BTreeMap::new();
    let clean = |path: &str| path.trim_end_matches('\\').to_owned();
    if let Some(folder) = default.filter(|folder| !folder.is_empty()) {
        let folder = clean(folder.raw());
        by_folder.insert(folded(&folder), (RemoteText::new(&folder), Vec::new()));
    }
    for image in images {
        let raw = image.path.raw().to_owned();
        let (folder, name) = raw.rsplit_once('\\').unwrap_or(("", &raw));
        let volume = Volume {
            path: Some(image.path.clone()),
            format: image.format.filter(|text| !text.is_empty()),
            capacity: image.size.map(Bytes),
            allocation: image.file_size.map(Bytes),
            backing: image.parent.filter(|text| !text.is_empty()),
            ..Volume::named(RemoteText::new(name))
        };
        let (_, volumes) = by_folder
            .entry(folded(folder))
            .or_insert_with(|| (RemoteText::new(folder), Vec::new()));
        volumes.push(volume);
    }
    by_folder
        .into_values()
        .map(|(folder, mut volumes)| {
            volumes.sort_by(|one, other| one.name.raw().cmp(other.name.raw()));
            Pool {
                kind: Some(RemoteText::new("folder")),
                path: Some(folder.clone()),
                volumes: Some(volumes),
                only_used: true,
                ..Pool::named(folder)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::store::VolumeUse;

    fn answered(data: Value) -> HostStores {
        read(Answer {
            data,
            gaps: Vec::new(),
        })
    }

    const ID: &str = "6C09BB55-D683-4DA0-8931-C9BF705F6480";

    #[test]
    fn switches_and_folders_are_told_with_who_uses_them() {
        let told = answered(json!({
            "folder": "D:\\VHD\\",
            "switches": [
                {"id": ID, "name": "LAN", "kind": 2, "adapter": "Intel(R) I350"},
                {"id": ID, "name": "Inner", "kind": 1, "adapter": ""},
            ],
            "vms": [
                {"id": ID, "name": "web", "state": 2, "disks": "D:\\vhd\\web.avhdx",
                 "nics": {"switch": "LAN", "vlan": 20}},
            ],
            "images": [
                {"path": "D:\\VHD\\web.avhdx", "format": "VHDX", "size": 10, "fileSize": 4, "parent": "D:\\VHD\\web.vhdx"},
                {"path": "D:\\VHD\\web.vhdx", "format": "VHDX"},
                {"path": "C:\\x\\odd.vhd"},
            ],
        }));
        let networks = told.networks.unwrap();
        assert_eq!(networks[1].name.raw(), "LAN");
        assert_eq!(networks[1].mode, Some(RemoteText::new("external")));
        assert_eq!(networks[1].vlans, [20]);
        assert_eq!(networks[1].users.as_ref().unwrap()[0].running, Some(true));
        assert_eq!(networks[0].users, Some(Vec::new()));
        assert_eq!((networks[0].state, networks[0].autostart), (None, None));
        let pools = told.pools.unwrap();
        let names: Vec<&str> = pools.iter().map(|pool| pool.name.raw()).collect();
        assert_eq!(names, ["C:\\x", "D:\\VHD"]);
        let words: Vec<&str> = pools[1]
            .volumes
            .as_ref()
            .unwrap()
            .iter()
            .map(|one| one.usage.word())
            .collect();
        assert_eq!(words, ["disk", "base"]);
        assert_eq!(
            pools[0].volumes.as_ref().unwrap()[0].usage,
            VolumeUse::Unknown
        );
    }

    #[test]
    fn what_was_not_told_is_no_empty_list() {
        let told = answered(json!({"folder": "C:\\x"}));
        assert!(told.networks.is_err());
        assert!(told.pools.is_err());
    }
}
