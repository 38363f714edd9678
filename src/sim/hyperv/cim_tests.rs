//! What WMI answers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::sim::hyperv::bench::{control, host_with, pass};
use crate::sim::hyperv::faults::WindowsFaults;
use crate::sim::hyperv::host::WinHost;

const VMS: &str = r#"
[[host.vm]]
name = "web"
id = "0a000000-0000-4000-8000-000000000001"
dynamic_memory = [512, 4096]
addresses = ["10.0.0.5", "fe80::1"]
checkpoints = [{ name = "a", age_h = 5 }, { name = "b", parent = "a", age_h = 3 }, { name = "c", parent = "a", age_h = 1 }]
current = "b"
[[host.vm]]
name = "web"
id = "0a000000-0000-4000-8000-000000000002"
state = "off"
generation = 1
"#;

fn bench() -> Arc<WinHost> {
    host_with("", VMS)
}

fn ask(host: &WinHost, text: &str) -> Result<Vec<Instance>, u32> {
    let parsed = Query::parse(text).unwrap();
    let space = if parsed.class.starts_with("Msvm_") {
        Space::Virtualization
    } else {
        Space::System
    };
    host.world(|world| query(world, space, &parsed))
}

#[test]
fn rows_name_no_property_that_their_class_lacks() {
    let host = bench();
    host.world(|world| {
        for class in CLASSES.iter().flat_map(|group| group.iter()) {
            let columns: HashSet<&str> = class.columns().collect();
            assert_eq!(columns.len(), class.columns().count(), "{}", class.name);
            for key in class.keys {
                assert!(columns.contains(key), "{}.{key}", class.name);
            }
            for row in (class.rows)(world) {
                for (name, _) in &row.cells {
                    assert!(columns.contains(name), "{}.{name}", class.name);
                }
                let once: HashSet<&str> = row.cells.iter().map(|(name, _)| *name).collect();
                assert_eq!(once.len(), row.cells.len(), "{}", class.name);
            }
        }
    });
}

#[test]
fn the_host_has_a_row_among_systems_and_none_among_summaries() {
    let host = bench();
    let systems = ask(&host, "SELECT Name, EnabledState FROM Msvm_ComputerSystem").unwrap();
    let names: Vec<&str> = systems
        .iter()
        .map(|row| row.get("Name").unwrap().as_text().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "hv1",
            "0A000000-0000-4000-8000-000000000001",
            "0A000000-0000-4000-8000-000000000002"
        ]
    );
    assert_eq!(systems[0].props.len(), 2, "only what was asked for");
    assert!(!systems[1].whole, "without its keys it cannot be called");
    let all = ask(&host, "SELECT * FROM Msvm_ComputerSystem").unwrap();
    assert!(all[1].whole);
    assert_eq!(
        ask(&host, "SELECT * FROM Msvm_SummaryInformation")
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_vm_that_is_off_has_no_load_and_no_memory() {
    let host = bench();
    let rows = ask(
        &host,
        "SELECT Name, ProcessorLoad, MemoryUsage, UpTime FROM Msvm_SummaryInformation",
    )
    .unwrap();
    assert!(matches!(rows[0].get("ProcessorLoad"), Some(Cell::U16(_))));
    assert!(matches!(
        rows[0].get("MemoryUsage"),
        Some(Cell::U64(512..=4096))
    ));
    assert_eq!(rows[1].get("ProcessorLoad"), Some(&Cell::Null));
    assert_eq!(rows[1].get("MemoryUsage"), Some(&Cell::Null));
    assert_eq!(rows[1].get("UpTime"), Some(&Cell::U64(0)));
}

#[test]
fn wrong_questions_have_their_codes() {
    let host = bench();
    assert_eq!(
        ask(&host, "SELECT Nme FROM Msvm_ComputerSystem").unwrap_err(),
        hresult::INVALID_QUERY
    );
    assert_eq!(
        ask(&host, "SELECT * FROM Msvm_Nothing").unwrap_err(),
        hresult::INVALID_CLASS
    );
    assert_eq!(
        ask(
            &host,
            "SELECT * FROM Win32_OperatingSystem WHERE Nothing = 1"
        )
        .unwrap_err(),
        hresult::INVALID_QUERY
    );
    // Seen on real hosts: a list of columns with a path in it has no rows and no error.
    let rows = ask(&host, "SELECT __PATH, Name FROM Msvm_ComputerSystem").unwrap();
    assert!(rows.is_empty());
    assert_eq!(
        Space::parse(Some("root/Virtualization/v2")),
        Some(Space::Virtualization)
    );
    assert_eq!(Space::parse(Some("root\\virtualization")), None);
    assert_eq!(Space::parse(None), Some(Space::System));
}

#[test]
fn checkpoints_are_settings_and_one_of_them_is_current() {
    let host = bench();
    let rows = ask(
        &host,
        "SELECT ElementName, Parent, InstanceID FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemType LIKE 'Microsoft:Hyper-V:Snapshot%'",
    )
    .unwrap();
    assert_eq!(rows.len(), 3);
    let parent = rows[2].get("Parent").unwrap().as_text().unwrap();
    let first = rows[0].get("InstanceID").unwrap().as_text().unwrap();
    assert!(
        parent.ends_with(&format!("InstanceID=\"{first}\"")),
        "{parent} does not end in {first}"
    );
    let current = ask(&host, "SELECT * FROM Msvm_MostCurrentSnapshotInBranch").unwrap();
    let Some(Cell::Thing(dependent)) = current[0].get("Dependent") else {
        panic!("a reference")
    };
    assert_eq!(dependent.get("InstanceID"), rows[1].get("InstanceID"));
    let realised = ask(
        &host,
        "SELECT VirtualSystemSubType FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemType='Microsoft:Hyper-V:System:Realized'",
    )
    .unwrap();
    assert_eq!(
        realised[1].get("VirtualSystemSubType"),
        Some(&Cell::text("Microsoft:Hyper-V:SubType:1"))
    );
}

#[test]
fn the_shutdown_component_is_there_while_its_guest_answers() {
    let host = bench();
    let count = || {
        ask(&host, "SELECT SystemName FROM Msvm_ShutdownComponent")
            .unwrap()
            .len()
    };
    assert_eq!(count(), 1);
    control(&host)
        .set_guest(
            &format!("0a000000-0000-4000-8000-00000000000{}", 1),
            false,
            true,
        )
        .unwrap();
    assert_eq!(count(), 0);
    let rows = ask(
        &host,
        "SELECT IPAddresses FROM Msvm_GuestNetworkAdapterConfiguration",
    )
    .unwrap();
    assert_eq!(rows[0].get("IPAddresses"), Some(&Cell::List(Vec::new())));
}

#[test]
fn memory_rows_come_with_a_definition_and_with_those_of_checkpoints() {
    let host = bench();
    let rows = ask(
        &host,
        "SELECT InstanceID, VirtualQuantity FROM Msvm_MemorySettingData WHERE InstanceID LIKE 'Microsoft:%'",
    )
    .unwrap();
    assert_eq!(rows.len(), 1 + 2 + 3);
    assert!(
        rows[0]
            .get("InstanceID")
            .unwrap()
            .as_text()
            .unwrap()
            .starts_with("Microsoft:Definition\\")
    );
}

#[test]
fn who_may_not_look_sees_nothing_or_an_error() {
    let host = bench();
    let control = control(&host);
    let with = |faults: WindowsFaults| {
        control.set_faults(faults);
        ask(&host, "SELECT * FROM Msvm_ComputerSystem").map(|rows| rows.len())
    };
    let stranger = WindowsFaults {
        account: Account::Neither,
        ..WindowsFaults::default()
    };
    assert_eq!(with(stranger.clone()), Ok(0));
    assert_eq!(
        with(WindowsFaults {
            wmi_denial: WmiDenial::Error,
            ..stranger
        }),
        Err(hresult::ACCESS_DENIED)
    );
    assert_eq!(
        with(WindowsFaults {
            no_namespace: true,
            ..WindowsFaults::default()
        }),
        Err(hresult::INVALID_NAMESPACE)
    );
    assert_eq!(with(WindowsFaults::default()), Ok(3));
    control.restart_service();
    assert!(with(WindowsFaults::default()).is_err());
    pass(&host, Duration::from_secs(2));
    assert_eq!(with(WindowsFaults::default()), Ok(3));
    // The rest of WMI does not care.
    control.set_faults(WindowsFaults {
        account: Account::Neither,
        ..WindowsFaults::default()
    });
    assert_eq!(
        ask(&host, "SELECT * FROM Win32_OperatingSystem")
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn german_hosts_have_german_texts_and_the_same_numbers() {
    let english = bench();
    let german = host_with("language = \"de\"", VMS);
    let row = |host: &WinHost| {
        ask(host, "SELECT * FROM Msvm_ComputerSystem")
            .unwrap()
            .remove(1)
    };
    let (english, german) = (row(&english), row(&german));
    assert_eq!(
        german.get("Caption"),
        Some(&Cell::text("Virtueller Computer"))
    );
    assert_eq!(
        german.get("StatusDescriptions"),
        Some(&Cell::texts(["Normaler Betrieb"]))
    );
    for name in ["Name", "EnabledState", "HealthState", "OperationalStatus"] {
        assert_eq!(english.get(name), german.get(name), "{name}");
    }
}
