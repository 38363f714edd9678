//! Tests of `detail`: what the parts of an answer become.

use serde_json::{Value, json};

use super::detail::read;
use super::failure::Record;
use super::parse::Answer;
use crate::domain::snapshot;
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::domain::vm::VmDetail;

fn whole() -> Value {
    json!({
        "machine": {
            "id": "6c09bb55-d683-4da0-8931-c9bf705f6480", "name": "web", "state": 2, "stateName": "Running",
            "notes": "of the team", "generation": 2, "version": "10.0",
            "created": "2025-03-01T10:00:00.0000000Z", "path": "C:\\VMs\\web", "clustered": true,
            "replication": "Disabled", "processors": 4, "dynamicMemory": true,
            "memoryStartup": 1_073_741_824_u64, "memoryMinimum": 536_870_912_u64,
            "memoryMaximum": 4_294_967_296_u64, "memoryAssigned": 2_147_483_648_u64,
            "memoryDemand": 1_610_612_736_u64, "startAction": 3, "startDelay": 30, "stopAction": 3,
            "checkpointType": "Production", "parentCheckpoint": "CCCCCCCC-0000-0000-0000-000000000000",
            "heartbeat": "OkApplicationsHealthy"
        },
        "disks": [
            {"controller": "SCSI", "number": 0, "location": 1, "path": "C:\\VMs\\web_1.avhdx", "chain": [
                {"path": "C:\\VMs\\web_1.avhdx", "format": "VHDX", "kind": "Differencing", "size": 100, "fileSize": 10},
                {"path": "C:\\VMs\\web.vhdx", "format": "VHDX", "kind": "Dynamic", "size": 100, "fileSize": 60}
            ]},
            {"controller": "SCSI", "number": 0, "location": 2, "path": "", "hostDisk": 3, "chain": []},
            {"controller": "IDE", "number": 1, "location": 0, "path": "D:\\gone.vhd", "chain": [{"path": "D:\\gone.vhd"}]}
        ],
        "nics": [
            {"name": "Network Adapter", "mac": "00155D012A01", "dynamicMac": true, "switch": "LAN",
                "connected": true, "legacy": false, "addresses": ["10.0.0.5", "fe80::5"]},
            {"name": "Old", "mac": "", "switch": "", "connected": false, "legacy": true, "addresses": []}
        ],
        "checkpoints": [
            {"id": "cccccccc-0000-0000-0000-000000000000", "name": "child", "parent": "aaaaaaaa-0000-0000-0000-000000000000", "created": "2025-03-03T10:00:00.0000000Z"},
            {"id": "bbbbbbbb-0000-0000-0000-000000000000", "name": "brother", "parent": "AAAAAAAA-0000-0000-0000-000000000000", "created": "2025-03-04T10:00:00.0000000Z"},
            {"id": "aaaaaaaa-0000-0000-0000-000000000000", "name": "root", "parent": "", "created": "2025-03-02T10:00:00.0000000Z"},
            {"id": "dddddddd-0000-0000-0000-000000000000", "name": "grandchild", "parent": "cccccccc-0000-0000-0000-000000000000", "created": "2025-03-05T10:00:00.0000000Z"}
        ],
        "services": [
            {"id": "Microsoft:X\\9f8233ac-be49-4c79-8ee3-e7e1985b2077", "name": "Herunterfahren", "enabled": true, "status": 2},
            {"id": "Microsoft:X\\84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47", "name": "Takt", "enabled": true, "status": 12},
            {"id": "Microsoft:X\\5CED1297-4598-4915-A5FC-AD21BB4D02A4", "name": "Sicherung", "enabled": false},
            {"id": "Microsoft:X\\00000000-0000-0000-0000-000000000000", "name": "Etwas", "enabled": true, "status": 99}
        ]
    })
}

fn detail(data: Value) -> VmDetail {
    read(Answer {
        data,
        gaps: Vec::new(),
    })
}

fn property<'a>(detail: &'a VmDetail, name: &str) -> Vec<&'a str> {
    let found = detail.properties.iter().filter(|one| one.name == name);
    found.map(|one| one.value.raw()).collect()
}

#[test]
fn disks_come_with_the_images_they_are_based_on() {
    let detail = detail(whole());
    let first = &detail.disks[0];
    assert_eq!(first.target.raw(), "SCSI 0:1");
    assert_eq!(first.format.as_ref().unwrap().raw(), "VHDX");
    assert_eq!(
        (first.allocation, first.capacity),
        (Some(Bytes(10)), Some(Bytes(100)))
    );
    let chain: Vec<&str> = first.chain.iter().map(|image| image.path.raw()).collect();
    assert_eq!(chain, ["C:\\VMs\\web_1.avhdx", "C:\\VMs\\web.vhdx"]);
    assert_eq!(
        detail.disks[1].source.as_ref().unwrap().raw(),
        "disk 3 of the host"
    );
    let gone = &detail.disks[2];
    assert_eq!(gone.capacity, None);
    assert!(gone.chain.is_empty(), "one image is no chain");
}

#[test]
fn network_cards_look_as_they_do_everywhere() {
    let detail = detail(whole());
    let first = &detail.nics[0];
    assert_eq!(first.mac.raw(), "00:15:5d:01:2a:01");
    assert_eq!(first.network.as_ref().unwrap().raw(), "LAN");
    assert_eq!(first.addresses.len(), 2);
    let second = &detail.nics[1];
    assert_eq!(second.kind.raw(), "not connected");
    assert_eq!(second.network, None);
    let ips: Vec<String> = detail
        .facts
        .addresses
        .iter()
        .flatten()
        .map(|at| at.ip.to_string())
        .collect();
    assert_eq!(ips, ["10.0.0.5"]);
}

#[test]
fn checkpoints_are_a_tree_with_the_one_the_vm_goes_on_from() {
    let detail = detail(whole());
    let order: Vec<(&str, usize, bool)> = detail
        .snapshots
        .iter()
        .map(|point| {
            (
                point.name.raw(),
                snapshot::depth_of(&detail.snapshots, point),
                point.is_current,
            )
        })
        .collect();
    assert_eq!(
        order,
        [
            ("root", 0, false),
            ("child", 1, true),
            ("grandchild", 2, false),
            ("brother", 1, false),
        ]
    );
    assert_eq!(detail.facts.snapshots, Some(4));
    assert_eq!(
        detail.snapshots[0].taken,
        "2025-03-02T10:00:00Z".parse().ok()
    );
}

#[test]
fn checkpoints_of_a_broken_tree_are_all_shown() {
    let point = |id: u32, parent: u32| {
        json!({"id": format!("{id:08}-0000-0000-0000-000000000000"), "name": id.to_string(),
            "parent": format!("{parent:08}-0000-0000-0000-000000000000"), "created": "?"})
    };
    // Two that name each other, one whose parent is gone, one that names nobody.
    let detail =
        detail(json!({"checkpoints": [point(1, 2), point(2, 1), point(3, 9), point(4, 0)]}));
    assert_eq!(detail.snapshots.len(), 4);
    for snapshot in &detail.snapshots {
        assert!(snapshot::depth_of(&detail.snapshots, snapshot) <= 4);
    }
}

#[test]
fn services_are_named_by_their_component_and_not_in_the_hosts_language() {
    let detail = detail(whole());
    assert_eq!(
        property(&detail, "service"),
        [
            "shutdown: OK",
            "heartbeat: no contact",
            "backup (VSS): off",
            "Etwas: status 99"
        ]
    );
}

#[test]
fn settings_are_told_in_words() {
    let detail = detail(whole());
    assert_eq!(property(&detail, "generation"), ["2"]);
    assert_eq!(
        property(&detail, "memory"),
        ["dynamic, 512 M to 4.0 G, starts with 1.0 G, wants 1.5 G"]
    );
    assert_eq!(
        property(&detail, "start"),
        ["with its host after 30 s, if it ran before"]
    );
    assert_eq!(property(&detail, "stop"), ["saved with its host"]);
    assert!(property(&detail, "cluster")[0].contains("failover cluster"));
    assert!(property(&detail, "replication").is_empty());
    assert_eq!(detail.facts.autostart, Some(true));
    assert_eq!(
        detail.facts.description.as_ref().unwrap().raw(),
        "of the team"
    );
    let lines: Vec<&str> = detail.definition.0.iter().map(RemoteText::raw).collect();
    assert_eq!(lines[0], "{");
    assert!(lines.iter().any(|line| line.trim() == "\"generation\": 2,"));
}

#[test]
fn a_part_that_failed_is_a_gap_and_the_others_are_shown() {
    let mut data = whole();
    data.as_object_mut().unwrap().remove("disks");
    data.as_object_mut().unwrap().remove("checkpoints");
    data["nics"] = json!([{"mac": "00155D012A01"}, {"name": "good"}]);
    let failed = Record::of_fqid("ObjectNotFound,X", "Datei nicht gefunden.");
    let detail = read(Answer {
        data,
        gaps: vec![(RemoteText::new("disks"), failed)],
    });
    let gaps: Vec<&str> = detail.gaps.iter().map(RemoteText::raw).collect();
    assert_eq!(gaps[0], "disks: Datei nicht gefunden.");
    assert!(gaps[1].starts_with("a network card: "), "{gaps:?}");
    assert_eq!(detail.nics.len(), 1);
    assert_eq!(detail.facts.snapshots, None, "not read is not none");
    let empty = read(Answer {
        data: json!("odd"),
        gaps: Vec::new(),
    });
    assert!(empty.disks.is_empty() && empty.properties.is_empty());
}
