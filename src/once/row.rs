//! The columns of a VM, in the order of the documented JSON object.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::cell::Cell;
use super::field::Field;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::selector;
use crate::domain::units::{Age, Bytes};
use crate::domain::vm::{Vm, VmRef};

/// A VM with the host it is on.
#[derive(Debug, Clone)]
pub(super) struct VmRow {
    pub(super) host: Arc<HostSnapshot>,
    pub(super) vm: Arc<Vm>,
    pub(super) now: Timestamp,
}

impl VmRow {
    /// Returns every VM of every enabled host.
    pub(super) fn all(fleet: &FleetSnapshot, now: Timestamp) -> impl Iterator<Item = Self> + '_ {
        fleet
            .hosts
            .iter()
            .filter(|host| host.spec.enabled)
            .flat_map(move |host| {
                host.vms().iter().map(move |vm| Self {
                    host: Arc::clone(host),
                    vm: Arc::clone(vm),
                    now,
                })
            })
    }

    /// Returns which VM it is.
    pub(super) fn reference(&self) -> VmRef {
        VmRef {
            host: self.host.spec.id,
            vm: self.vm.id.clone(),
        }
    }

    /// Returns it as a filter sees it.
    pub(super) fn for_filter(&self) -> selector::Row<'_> {
        selector::Row {
            host: &self.host,
            vm: &self.vm,
            now: self.now,
            marked: false,
            protected: false,
        }
    }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn bytes(value: Option<Bytes>) -> Cell {
    Cell::of(value, |bytes| Cell::Count(bytes.0))
}

fn memory(row: &VmRow) -> Option<String> {
    let stats = &row.vm.stats;
    match (stats.memory_used, stats.memory_assigned) {
        (None, None) => None,
        (Some(used), Some(assigned)) => Some(format!("{used}/{assigned}")),
        (None, Some(assigned)) => Some(format!("–/{assigned}")),
        (Some(used), None) => Some(used.to_string()),
    }
}

fn addresses(row: &VmRow) -> Option<Vec<String>> {
    let known = row.vm.facts.addresses.as_ref()?;
    Some(known.iter().map(|address| address.ip.to_string()).collect())
}

/// Shown only where it matters: a row that is up to date has no age.
fn age(row: &VmRow) -> Option<String> {
    match row.host.age(row.now) {
        Some(age) if row.host.is_stale(row.now) => Some(Age(age).to_string()),
        Some(_) => Some(String::new()),
        None => None,
    }
}

/// Every column; the order is that of the documented object.
pub(super) static FIELDS: [Field<VmRow>; 16] = [
    Field::new("name", "NAME", "name", |row| {
        Cell::Remote(row.vm.name.clone())
    }),
    Field {
        usual: false,
        ..Field::new("id", "ID", "libvirt UUID or Hyper-V VMId", |row| {
            Cell::text(&row.vm.id)
        })
    },
    Field::new("host", "HOST", "name of its host", |row| {
        Cell::text(&row.host.spec.name)
    }),
    Field {
        aliases: &["hv"],
        shown: Some(|row| kind(row).map(|kind| kind.short().to_owned())),
        ..Field::new("hypervisor", "HV", "`libvirt` or `hyperv`", |row| {
            Cell::of(kind(row).as_ref(), Cell::text)
        })
    },
    Field {
        aliases: &["st"],
        ..Field::new("state", "STATE", "what it is doing", |row| {
            Cell::text(row.vm.state.word())
        })
    },
    Field {
        aliases: &["cpu"],
        shown: Some(|row| row.vm.stats.cpu.map(|cpu| cpu.to_string())),
        ..Field::new(
            "cpu_percent",
            "CPU%",
            "share of its own processors in use",
            |row| Cell::of(row.vm.stats.cpu, |cpu| Cell::Figure(tenth(cpu.value()))),
        )
    },
    Field {
        aliases: &["vcpu"],
        usual: false,
        ..Field::new("vcpus", "VCPU", "virtual processors", |row| {
            Cell::of(row.vm.stats.vcpus, |count| Cell::Count(count.into()))
        })
    },
    Field {
        aliases: &["mem", "memory"],
        shown: Some(memory),
        ..Field::new("memory_used_bytes", "MEM", "memory in use", |row| {
            bytes(row.vm.stats.memory_used)
        })
    },
    Field {
        aliases: &["memmax"],
        usual: false,
        shown: Some(|row| row.vm.stats.memory_assigned.map(|bytes| bytes.to_string())),
        ..Field::new(
            "memory_assigned_bytes",
            "MEM MAX",
            "memory assigned",
            |row| bytes(row.vm.stats.memory_assigned),
        )
    },
    Field {
        aliases: &["ip", "address"],
        shown: Some(|row| addresses(row)?.into_iter().next()),
        ..Field::new(
            "addresses",
            "IP",
            "addresses, the best known first",
            |row| Cell::of(addresses(row), Cell::List),
        )
    },
    Field {
        aliases: &["up", "uptime"],
        shown: Some(|row| row.vm.stats.uptime.map(|time| Age(time).to_string())),
        ..Field::new(
            "uptime_seconds",
            "UPTIME",
            "time since it was started",
            |row| {
                Cell::of(
                    row.vm.stats.uptime.as_ref().map(Duration::as_secs),
                    Cell::Count,
                )
            },
        )
    },
    Field {
        aliases: &["snap"],
        ..Field::new("snapshots", "SNAP", "number of VM snapshots", |row| {
            Cell::of(row.vm.facts.snapshots, |count| Cell::Count(count.into()))
        })
    },
    Field {
        aliases: &["auto"],
        usual: false,
        shown: Some(|row| {
            let word = |on| if on { "yes" } else { "no" };
            row.vm.facts.autostart.map(|on| word(on).to_owned())
        }),
        ..Field::new(
            "autostart",
            "AUTO",
            "started together with its host",
            |row| Cell::of(row.vm.facts.autostart, Cell::Flag),
        )
    },
    Field {
        aliases: &["tag"],
        usual: false,
        ..Field::new("tags", "TAGS", "labels of its host", |row| {
            Cell::List(row.host.spec.tags.iter().map(ToString::to_string).collect())
        })
    },
    Field {
        aliases: &["age", "seen"],
        shown: Some(age),
        ..Field::new("observed_at", "AGE", "when its host said so", |row| {
            Cell::of(row.host.observed_at, Cell::Time)
        })
    },
    Field {
        usual: false,
        ..Field::new(
            "stale",
            "STALE",
            "too old to act upon without reading again",
            |row| Cell::Flag(row.host.is_stale(row.now)),
        )
    },
];

fn kind(row: &VmRow) -> Option<crate::domain::host::HypervisorKind> {
    let probed = row.host.capabilities.as_ref().map(|found| found.kind);
    probed.or(row.host.spec.kind.fixed())
}
