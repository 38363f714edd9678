//! `dominfo` of the portal contract: facts of a VM under the labels of `virsh dominfo`, in its words,
//! for every hypervisor. Pure.

use serde_json::{Map, Value};

use crate::domain::host::HypervisorKind;
use crate::domain::units::Bytes;
use crate::domain::vm::{PowerState, Vm, VmDetail};

/// Returns virsh's word for a state (libvirt: `virsh list`, "state").
pub(super) const fn state(state: &PowerState) -> &'static str {
    match state {
        PowerState::Running | PowerState::Starting => "running",
        PowerState::Paused => "paused",
        PowerState::Stopped | PowerState::Saved => "shut off",
        PowerState::Stopping => "in shutdown",
        PowerState::Crashed => "crashed",
        PowerState::Unknown(_) => "no state",
    }
}

/// Returns the facts with their labels and as `virsh` prints them: its own words where it was asked,
/// else the same facts from elsewhere.
pub(super) fn told(
    vm: &Vm,
    detail: &VmDetail,
    kind: Option<HypervisorKind>,
) -> (Vec<(String, String)>, String) {
    let lines = &detail.information.0;
    let all: Vec<(String, String)> = lines
        .iter()
        .filter_map(|line| {
            let (label, value) = line.raw().split_once(':')?;
            Some((label.trim().to_owned(), value.trim().to_owned()))
        })
        .collect();
    if all.is_empty() {
        let all: Vec<(String, String)> = labelled(vm, detail, kind)
            .into_iter()
            .map(|(label, value)| (label.to_owned(), value))
            .collect();
        let text = printed(&all);
        return (all, text);
    }
    let text = lines.iter().flat_map(|line| [line.raw(), "\n"]).collect();
    (all, text)
}

/// Returns the facts that are known, in the order of `virsh dominfo`.
fn labelled(
    vm: &Vm,
    detail: &VmDetail,
    kind: Option<HypervisorKind>,
) -> Vec<(&'static str, String)> {
    let facts = &detail.facts;
    let memory = vm.stats.memory_assigned;
    let kib = |size: Bytes| format!("{} KiB", size.0 / 1024);
    let yes = |on: bool, yes: &str, no: &str| (if on { yes } else { no }).to_owned();
    let system = match kind {
        Some(HypervisorKind::HyperV) => Some("hyperv"),
        Some(HypervisorKind::Libvirt) | None => None,
    };
    let os = facts.os.as_ref().map(|os| os.raw().to_owned());
    let number = vm.stats.number;
    let all = [
        (
            "Id",
            Some(number.map_or_else(|| "-".to_owned(), |number| number.to_string())),
        ),
        ("Name", Some(vm.name.raw().to_owned())),
        ("UUID", Some(vm.id.to_string())),
        ("OS Type", os.or_else(|| system.map(str::to_owned))),
        ("State", Some(state(&vm.state).to_owned())),
        ("CPU(s)", vm.stats.vcpus.map(|count| count.to_string())),
        ("Max memory", detail.memory_limit.or(memory).map(kib)),
        (
            "Used memory",
            vm.stats
                .memory_used
                .or(memory)
                .or(detail.memory_limit)
                .map(kib),
        ),
        (
            "Persistent",
            facts.persistent.map(|on| yes(on, "yes", "no")),
        ),
        (
            "Autostart",
            facts.autostart.map(|on| yes(on, "enable", "disable")),
        ),
        (
            "Managed save",
            Some(yes(vm.state == PowerState::Saved, "yes", "no")),
        ),
    ];
    all.into_iter()
        .filter_map(|(label, value)| Some((label, value?)))
        .collect()
}

/// Returns the facts as an object.
pub(super) fn object(all: &[(String, String)]) -> Value {
    let members = all
        .iter()
        .map(|(label, value)| (label.clone(), Value::from(value.as_str())));
    Value::Object(members.collect::<Map<String, Value>>())
}

/// Returns the facts as `virsh` prints them: labels in a column of sixteen.
fn printed(all: &[(String, String)]) -> String {
    let lines = all.iter().map(|(label, value)| {
        // A value is on one line, whatever it holds.
        let value = value.replace(['\n', '\r'], " ");
        format!("{:<15} {value}\n", format!("{label}:"))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vm::{RemoteDocument, VmFacts, VmId};

    #[test]
    fn facts_are_told_under_the_labels_of_virsh() {
        let id = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let mut vm = Vm::new(id, "web\n1".into(), PowerState::Saved);
        vm.stats.vcpus = Some(2);
        vm.stats.memory_assigned = Some(Bytes::from_mib(512));
        let detail = VmDetail {
            facts: VmFacts {
                autostart: Some(true),
                persistent: Some(true),
                ..VmFacts::default()
            },
            memory_limit: Some(Bytes::from_mib(1024)),
            ..VmDetail::default()
        };
        let (all, printed) = told(&vm, &detail, Some(HypervisorKind::HyperV));
        assert_eq!(
            printed,
            "Id:             -\n\
             Name:           web 1\n\
             UUID:           6c09bb55-d683-4da0-8931-c9bf705f6480\n\
             OS Type:        hyperv\n\
             State:          shut off\n\
             CPU(s):         2\n\
             Max memory:     1048576 KiB\n\
             Used memory:    524288 KiB\n\
             Persistent:     yes\n\
             Autostart:      enable\n\
             Managed save:   yes\n"
        );
        assert_eq!(object(&all)["Name"], "web\n1");
    }

    #[test]
    fn what_virsh_said_is_told_as_it_was_said() {
        let id = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let vm = Vm::new(id, "web-1".into(), PowerState::Running);
        let said =
            "Id:             7\nName:           web-1\nCPU time:       12.3s\nSecurity DOI:   0";
        let detail = VmDetail {
            information: RemoteDocument::new(said),
            ..VmDetail::default()
        };
        let (all, printed) = told(&vm, &detail, Some(HypervisorKind::Libvirt));
        assert_eq!(printed, format!("{said}\n"));
        assert_eq!(object(&all)["CPU time"], "12.3s");
        assert_eq!(object(&all)["Id"], "7");
    }
}
