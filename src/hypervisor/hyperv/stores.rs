//! Folders with disks of VMs, and virtual switches, out of the script's answer. Pure. Sources: Microsoft's
//! pages on `Get-VMHost`, `Get-VMSwitch`, `Get-VHD` and `VMSwitchType`.
//!
//! Hyper-V has no storage pools: a folder stands for one. What else is in it is told where it could be listed, and
//! where that is ours to judge: not where other hosts keep disks, nor beside disks that are shared.

use std::collections::{BTreeMap, BTreeSet};

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

/// A folder, and the files in it that may be disks.
#[derive(Deserialize)]
struct Listed {
    path: RemoteText,
    #[serde(default)]
    files: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    path: RemoteText,
    file_size: Option<u64>,
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
    let listed: Vec<Listed> = each(part("listed").unwrap_or_default(), &mut gaps);
    let (wiring, vlans) = wired(machines.as_deref());
    let mut networks = not_empty(switches, &said).map(|all| networks(all, &vlans));
    let mut pools = not_empty(machines, &said).map(|_| folders(folder, images, listed));
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

/// Folders by their paths in small letters, with what is in them.
type ByFolder = BTreeMap<String, (RemoteText, Vec<Volume>)>;

fn folders(default: Option<RemoteText>, images: Vec<Image>, listed: Vec<Listed>) -> Vec<Pool> {
    let mut by_folder = ByFolder::new();
    if let Some(folder) = default.filter(|folder| !folder.is_empty()) {
        let folder = clean(folder.raw());
        by_folder.insert(folded(folder), (RemoteText::new(folder), Vec::new()));
    }
    // What an image that could not be read is based on would pass for something that nothing uses.
    let is_read = images.iter().all(|image| image.format.is_some());
    for image in images {
        let volume = Volume {
            format: image.format.filter(|text| !text.is_empty()),
            capacity: image.size.map(Bytes),
            allocation: image.file_size.map(Bytes),
            backing: image.parent.filter(|text| !text.is_empty()),
            ..at(image.path)
        };
        put(&mut by_folder, volume);
    }
    let whole = add_rest(&mut by_folder, listed);
    by_folder
        .into_iter()
        .map(|(key, (folder, mut volumes))| {
            volumes.sort_by(|one, other| one.name.raw().cmp(other.name.raw()));
            Pool {
                kind: Some(RemoteText::new("folder")),
                path: Some(folder.clone()),
                volumes: Some(volumes),
                only_used: !is_read || !whole.contains(&key),
                ..Pool::named(folder)
            }
        })
        .collect()
}

/// Adds the files that no VM names; returns the folders of which everything is known by that. Beside a set of shared
/// disks there are files that only the set names.
fn add_rest(by_folder: &mut ByFolder, listed: Vec<Listed>) -> BTreeSet<String> {
    let mut whole = BTreeSet::new();
    let volumes = by_folder.values().flat_map(|(_, volumes)| volumes);
    let paths = volumes.filter_map(|volume| volume.path.as_ref());
    let mut known: BTreeSet<String> = paths.map(|path| folded(path.raw())).collect();
    for Listed { path, files } in listed {
        let files: Vec<File> = each(many(Some(files)), &mut Vec::new());
        let is_set = |file: &File| end_of(&folded(file.path.raw())) == "vhds";
        if files.iter().any(is_set) {
            continue;
        }
        whole.insert(folded(clean(path.raw())));
        for file in files {
            let key = folded(file.path.raw());
            let format = format_of(&key);
            if !known.insert(key) {
                continue;
            }
            let volume = Volume {
                format: Some(RemoteText::new(format)),
                allocation: file.file_size.map(Bytes),
                ..at(file.path)
            };
            put(by_folder, volume);
        }
    }
    whole
}

/// The format that the end of a name stands for (Microsoft: `VhdFormat`).
fn format_of(path: &str) -> &'static str {
    match end_of(path) {
        "vhdx" | "avhdx" => "VHDX",
        _ => "VHD",
    }
}

fn end_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, end)| end)
}

fn clean(path: &str) -> &str {
    path.trim_end_matches('\\')
}

/// Splits a path at its last separator.
fn parted(path: &str) -> (&str, &str) {
    path.rsplit_once('\\').unwrap_or(("", path))
}

fn at(path: RemoteText) -> Volume {
    let name = RemoteText::new(parted(path.raw()).1);
    Volume {
        path: Some(path),
        ..Volume::named(name)
    }
}

fn put(by_folder: &mut ByFolder, volume: Volume) {
    let path = volume.path.as_ref().map_or("", RemoteText::raw);
    let folder = parted(path).0.to_owned();
    let (_, volumes) = by_folder
        .entry(folded(&folder))
        .or_insert_with(|| (RemoteText::new(&folder), Vec::new()));
    volumes.push(volume);
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
    fn what_nothing_uses_is_told_only_where_all_is_known() {
        let of = |image: Value, files: &[&str]| {
            let files: Vec<Value> = files.iter().map(|path| json!({"path": path})).collect();
            let told = answered(json!({
                "vms": [{"id": ID, "name": "web", "state": 2, "disks": ["D:\\v\\web.vhdx"], "nics": []}],
                "images": [image],
                "listed": [{"path": "D:\\V\\", "files": files}],
            }));
            let pool = told.pools.unwrap().remove(0);
            let words: Vec<String> = pool
                .volumes
                .iter()
                .flatten()
                .map(|one| format!("{} {}", one.name, one.usage.word()))
                .collect();
            (words, pool.unattached())
        };
        let read = json!({"path": "D:\\v\\web.vhdx", "format": "VHDX"});
        let unread = json!({"path": "D:\\v\\web.vhdx"});
        let files = ["D:\\V\\WEB.vhdx", "D:\\V\\old.avhdx"];
        let known = of(read.clone(), &files);
        assert_eq!(
            known,
            (
                vec![
                    "old.avhdx unattached".to_owned(),
                    "web.vhdx disk".to_owned()
                ],
                Some(1)
            )
        );
        assert_eq!(of(unread, &files).1, None, "it may be based on the other");
        let shared = ["D:\\V\\old.avhdx", "D:\\V\\shared.vhds"];
        assert_eq!(of(read, &shared).1, None);
    }

    #[test]
    fn what_was_not_told_is_no_empty_list() {
        let told = answered(json!({"folder": "C:\\x"}));
        assert!(told.networks.is_err());
        assert!(told.pools.is_err());
    }
}
