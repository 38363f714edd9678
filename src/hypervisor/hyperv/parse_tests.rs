//! Tests of `parse`: joining, units, what is unknown, and names that mean harm.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::parse::*;
use crate::domain::inventory::Scope;
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::domain::vm::{PowerState, Vm};

const A: &str = "6C09BB55-D683-4DA0-8931-C9BF705F6480";
const B: &str = "7C09BB55-D683-4DA0-8931-C9BF705F6480";

fn memory(processors: u32) -> Memory {
    let mut memory = Memory::default();
    memory.processors = Some(processors);
    memory
}

fn system(id: &str, name: &str, state: i64) -> Value {
    json!({"id": id, "name": name, "state": state, "health": 5})
}

fn figures(id: &str, load: &Value, processors: u32) -> Value {
    json!({"id": id, "load": load, "memoryMb": 2048, "uptimeMs": 61_000, "processors": processors,
        "heartbeat": 2, "system": "", "notes": ""})
}

fn read(data: Value, scope: Scope, memory: &mut Memory) -> Listed {
    let answer = Answer {
        data,
        gaps: Vec::new(),
    };
    through_cim(answer, scope, memory)
}

fn only(listed: &Listed) -> &Vm {
    assert_eq!(listed.inventory.vms.len(), 1, "{:?}", listed.inventory.gaps);
    &listed.inventory.vms[0]
}

#[test]
fn rows_are_joined_by_guid_in_any_case_and_the_host_is_no_vm() {
    let data = json!({
        "systems": [
            json!({"id": "HV1", "name": "HV1", "state": 2, "health": 5}),
            system(&B.to_lowercase(), "b", 3),
            system(A, "a", 2),
        ],
        "figures": [figures(&A.to_lowercase(), &json!(10), 4), figures(B, &Value::Null, 2)],
        "totalKib": 67_108_864, "freeKib": 16_777_216, "hostLoad": 37
    });
    let listed = read(data, Scope::Fast, &mut memory(16));
    let names: Vec<&str> = listed
        .inventory
        .vms
        .iter()
        .map(|vm| vm.name.raw())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert!(!listed.is_blank);
    let running = &listed.inventory.vms[0];
    assert_eq!(running.stats.memory_used, Some(Bytes::from_mib(2048)));
    assert_eq!(running.stats.memory_assigned, Some(Bytes::from_mib(2048)));
    assert!(!running.stats.memory_from_guest);
    assert_eq!(running.stats.uptime, Some(Duration::from_secs(61)));
    // 10 % of 16 logical processors are 40 % of the VM's four.
    assert!((running.stats.cpu.unwrap().value() - 40.0).abs() < 0.001);
    let off = &listed.inventory.vms[1];
    assert_eq!(off.state, PowerState::Stopped);
    assert_eq!(
        (off.stats.cpu, off.stats.memory_used, off.stats.uptime),
        (None, None, None)
    );
    assert_eq!(off.stats.vcpus, Some(2));
    let load = &listed.inventory.load;
    assert_eq!(load.memory_total, Some(Bytes(64 << 30)));
    assert_eq!(load.memory_used, Some(Bytes(48 << 30)));
    assert!((load.cpu.unwrap().value() - 37.0).abs() < 0.001);
}

#[test]
fn what_is_null_is_unknown_and_what_is_zero_is_zero() {
    let data =
        |load: Value| json!({"systems": [system(A, "a", 2)], "figures": [figures(A, &load, 2)]});
    let mut known = memory(8);
    let none = read(data(Value::Null), Scope::Fast, &mut known);
    assert_eq!(only(&none).stats.cpu, None);
    let zero = read(data(json!(0)), Scope::Fast, &mut known);
    assert!(only(&zero).stats.cpu.unwrap().value() < 0.001);
    let unknown_host = read(data(json!(5)), Scope::Fast, &mut Memory::default());
    assert_eq!(
        only(&unknown_host).stats.cpu,
        None,
        "nobody said how many processors there are"
    );
    let without = read(
        json!({"systems": [system(A, "a", 2)]}),
        Scope::Fast,
        &mut known,
    );
    assert_eq!(only(&without).stats.vcpus, None);
    assert_eq!(without.inventory.load.memory_total, None);
}

#[test]
fn a_host_that_reports_a_vms_own_share_is_noticed_and_remembered() {
    let data = |load: u64, processors: u32| json!({"systems": [system(A, "a", 2)], "figures": [figures(A, &json!(load), processors)]});
    let share = |memory: &mut Memory, load, processors| {
        let listed = read(data(load, processors), Scope::Fast, memory);
        only(&listed).stats.cpu.unwrap().value()
    };
    let mut host = memory(16);
    // One busy processor of 16 reads 6 or 7: rounding alone is no proof.
    assert!((share(&mut host, 7, 1) - 100.0).abs() < 0.001, "clamped");
    assert!(!host.tells_own_share);
    // 90 % of 16 cannot be used by a VM that has one.
    assert!((share(&mut host, 90, 1) - 90.0).abs() < 0.001);
    assert!(host.tells_own_share);
    assert!(
        (share(&mut host, 7, 1) - 7.0).abs() < 0.001,
        "it is remembered"
    );
    // A large host: one busy processor of 256 reads 0 or 1.
    let mut large = memory(256);
    assert!((share(&mut large, 1, 1) - 100.0).abs() < 0.001);
    assert!(!large.tells_own_share);
}

#[test]
fn slow_facts_stay_between_full_reads_and_go_with_their_vm() {
    let full = json!({
        "systems": [system(A, "a", 3), system(B, "b", 2)],
        "figures": [
            json!({"id": A, "processors": 2, "notes": "line one\nline two", "system": "Windows Server"}),
            figures(B, &json!(1), 2),
        ],
        "settings": [
            {"id": A, "kind": "Microsoft:Hyper-V:SubType:2", "start": 4},
            {"id": B, "kind": "Microsoft:Hyper-V:SubType:1", "start": 2},
        ],
        "memory": [{"id": format!("Microsoft:{A}\\4764334d-e001-4176-82ee-5594ec9b530e"), "startupMb": 512, "dynamic": true}],
        "checkpoints": [A, A, "nonsense"],
        "addresses": [
            {"id": format!("Microsoft:GuestNetwork\\{B}\\X"), "addresses": ["fe80::1%5", "fd00::7", "10.1.2.3", "10.1.2.3", "", "x"]},
            {"id": "Microsoft:GuestNetwork\\gone\\X", "addresses": ["10.9.9.9"]},
        ]
    });
    let mut host = memory(4);
    let listed = read(full, Scope::Full, &mut host);
    let a = &listed.inventory.vms[0];
    assert_eq!(a.facts.snapshots, Some(2));
    assert_eq!(a.facts.autostart, Some(true));
    assert_eq!(
        a.facts.description.as_ref().unwrap().raw(),
        "line one\nline two"
    );
    assert_eq!(a.facts.os.as_ref().unwrap().raw(), "Windows Server");
    assert_eq!(a.stats.memory_assigned, Some(Bytes::from_mib(512)));
    assert_eq!(a.facts.addresses, Some(Vec::new()));
    let b = &listed.inventory.vms[1];
    assert_eq!(
        (b.facts.snapshots, b.facts.autostart),
        (Some(0), Some(false))
    );
    assert_eq!(b.facts.description, None);
    let ips: Vec<IpAddr> = b.facts.addresses.iter().flatten().map(|at| at.ip).collect();
    assert_eq!(
        ips,
        [
            "10.1.2.3".parse::<IpAddr>().unwrap(),
            "fd00::7".parse().unwrap()
        ]
    );

    let fast = json!({"systems": [system(A, "a", 3)], "figures": []});
    assert_eq!(
        only(&read(fast, Scope::Fast, &mut host)).facts.snapshots,
        Some(2)
    );
    let gone = json!({"systems": [], "figures": [], "settings": [], "checkpoints": []});
    assert!(read(gone, Scope::Full, &mut host).is_blank);
    let back = json!({"systems": [system(A, "a", 3)]});
    assert_eq!(
        only(&read(back, Scope::Fast, &mut host)).facts.snapshots,
        None
    );
}

#[test]
fn parts_that_failed_leave_facts_unknown() {
    let data = json!({
        "systems": [system(A, "a", 3)],
        "settings": [{"id": A, "start": 3}]
    });
    let mut host = memory(4);
    let listed = read(data, Scope::Full, &mut host);
    let vm = only(&listed);
    assert_eq!(vm.facts.autostart, Some(true));
    assert_eq!(
        (vm.facts.snapshots, vm.facts.addresses.clone()),
        (None, None)
    );
}

#[test]
fn names_are_labels_whatever_they_hold() {
    let names = [
        "*",
        "[a-z]",
        "?",
        "'",
        "\u{2018}\u{2019}\u{201a}\u{201b}",
        "\"",
        "$(Remove-Item C:\\)",
        "`n",
        "trailing  ",
        "\u{1f980}",
        "\u{202e}gpj.exe",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}",
        "\u{1b}[2J",
        "",
        "same",
        "same",
    ];
    let systems: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(n, name)| system(&format!("{n:08x}-0000-0000-0000-000000000000"), name, 2))
        .collect();
    let listed = read(json!({"systems": systems}), Scope::Fast, &mut memory(4));
    assert_eq!(listed.inventory.vms.len(), names.len());
    assert!(listed.inventory.gaps.is_empty());
    let found: Vec<&str> = listed
        .inventory
        .vms
        .iter()
        .map(|vm| vm.name.raw())
        .collect();
    for name in names {
        assert!(found.contains(&name), "{name:?}");
    }
    for vm in &listed.inventory.vms {
        assert!(!vm.name.shown().contains(['\u{1b}', '\u{202e}']));
    }
    assert_eq!(found.iter().filter(|name| **name == "same").count(), 2);
}

#[test]
fn rows_that_make_no_sense_are_gaps_and_cost_no_other() {
    let data = json!({
        "systems": [
            system(A, "good", 2),
            {"id": B, "name": "no state"},
            {"id": 5, "name": "odd id", "state": 2},
            system(A, "twin", 3),
            "text",
        ],
        "figures": ["text", {"id": A, "load": "much"}]
    });
    let listed = read(data, Scope::Fast, &mut memory(4));
    assert_eq!(only(&listed).name.raw(), "good");
    let gaps: Vec<&str> = listed.inventory.gaps.iter().map(RemoteText::raw).collect();
    assert_eq!(gaps.len(), 4, "{gaps:?}");
    assert!(
        gaps.iter().any(|gap| gap.starts_with("no state: ")),
        "{gaps:?}"
    );
    assert!(gaps.iter().any(|gap| gap.starts_with("twin: ")), "{gaps:?}");
}

#[test]
fn lists_that_powershell_wrote_in_its_own_ways_are_lists() {
    let row = system(A, "a", 2);
    for systems in [
        json!([row.clone()]),
        row.clone(),
        json!({"value": [row], "Count": 1}),
    ] {
        let listed = read(json!({"systems": systems}), Scope::Fast, &mut memory(4));
        assert_eq!(only(&listed).name.raw(), "a");
    }
    assert!(read(json!({"systems": null}), Scope::Fast, &mut memory(4)).is_blank);
}

#[test]
fn five_hundred_vms_are_read_in_order() {
    let id = |n: u32| format!("{n:08x}-0000-4000-8000-000000000000");
    let systems: Vec<Value> = (0..500)
        .rev()
        .map(|n| system(&id(n), &format!("vm{n:03}"), 2))
        .collect();
    let rows: Vec<Value> = (0..500)
        .map(|n| figures(&id(n), &json!(n % 7), 2))
        .collect();
    let listed = read(
        json!({"systems": systems, "figures": rows}),
        Scope::Fast,
        &mut memory(32),
    );
    assert_eq!(listed.inventory.vms.len(), 500);
    assert!(
        listed
            .inventory
            .vms
            .is_sorted_by_key(|vm| vm.name.raw().to_owned())
    );
    assert!(listed.inventory.vms.iter().all(|vm| vm.stats.cpu.is_some()));
}

#[test]
fn through_the_cmdlets_too_an_id_stands_for_one_vm_and_what_is_gone_is_forgotten() {
    let machine = |id: &str, name: &str| json!({"id": id, "name": name, "state": 3, "notes": "n"});
    let list = |machines: Value, memory: &mut Memory| {
        let answer = Answer {
            data: json!({ "machines": machines }),
            gaps: Vec::new(),
        };
        through_cmdlets(answer, Scope::Full, memory).inventory
    };
    let mut memory = memory(4);
    let twins = json!([
        machine(A, "a"),
        machine(&A.to_lowercase(), "twin"),
        machine(B, "b")
    ]);
    let read = list(twins, &mut memory);
    let names: Vec<&str> = read.vms.iter().map(|vm| vm.name.raw()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        read.gaps[0].raw(),
        "twin: its id stands for more than one VM"
    );
    let gone = read.vms[1].id.clone();
    assert!(memory.facts(&gone).description.is_some());
    list(json!([machine(A, "a")]), &mut memory);
    assert!(memory.facts(&gone).description.is_none());
}
