//! `--once hosts`: the hosts and how they are. One that fails is a row like the others, with the reason.

use std::sync::Arc;

use jiff::Timestamp;

use super::cell::Cell;
use super::console::Console;
use super::field::Field;
use super::{Ended, Listing, Script, field, list, output, reach};
use crate::clock::Clock;
use crate::domain::error_kind::Failure;
use crate::domain::host::HypervisorKind;
use crate::domain::inventory::HostSnapshot;
use crate::domain::units::{Age, Bytes};
use crate::domain::vm::PowerState;
use crate::fleet::FleetHandle;

/// A host, with the reason when it did not answer.
pub(super) struct HostRow {
    host: Arc<HostSnapshot>,
    failure: Option<Failure>,
    now: Timestamp,
}

fn kind(row: &HostRow) -> Option<HypervisorKind> {
    let probed = row.host.capabilities.as_ref().map(|found| found.kind);
    probed.or(row.host.spec.kind.fixed())
}

fn bytes(value: Option<Bytes>) -> Cell {
    Cell::of(value, |bytes| Cell::Count(bytes.0))
}

fn counted(row: &HostRow, fits: impl Fn(&PowerState) -> bool) -> Cell {
    Cell::of(row.host.inventory.as_ref(), |inventory| {
        let count = inventory.vms.iter().filter(|vm| fits(&vm.state)).count();
        Cell::Count(u64::try_from(count).unwrap_or(u64::MAX))
    })
}

fn memory(row: &HostRow) -> Option<String> {
    let load = &row.host.inventory.as_ref()?.load;
    Some(format!("{}/{}", load.memory_used?, load.memory_total?))
}

fn milliseconds(row: &HostRow) -> Option<u64> {
    let latency = row.host.latency?;
    Some(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX))
}

/// Every column.
pub(super) static FIELDS: [Field<HostRow>; 18] = [
    Field::new("name", "NAME", "name", |row| {
        Cell::text(&row.host.spec.name)
    }),
    Field::new(
        "state",
        "STATE",
        "`up`, `slow`, `down`, `needs you`, `off`",
        |row| Cell::text(row.host.health.word()),
    ),
    Field::new("address", "ADDRESS", "where it listens", |row| {
        Cell::text(&row.host.spec.endpoint)
    }),
    Field {
        usual: false,
        ..Field::new(
            "user",
            "USER",
            "account; unknown = as the SSH client would",
            |row| Cell::of(row.host.spec.user.as_ref(), Cell::text),
        )
    },
    Field {
        aliases: &["hv"],
        shown: Some(|row| kind(row).map(|kind| kind.short().to_owned())),
        ..Field::new("hypervisor", "HV", "`libvirt` or `hyperv`", |row| {
            Cell::of(kind(row).as_ref(), Cell::text)
        })
    },
    Field::new("version", "VERSION", "as it says itself", |row| {
        Cell::of(row.host.capabilities.as_ref(), |found| {
            Cell::Remote(found.version.clone())
        })
    }),
    Field::new("vms", "VMS", "VMs it has", |row| counted(row, |_| true)),
    Field::new("running", "RUN", "VMs that are running", |row| {
        counted(row, |state| *state == PowerState::Running)
    }),
    Field {
        aliases: &["cpu"],
        shown: Some(|row| {
            row.host
                .inventory
                .as_ref()?
                .load
                .cpu
                .map(|cpu| cpu.to_string())
        }),
        ..Field::new("cpu_percent", "CPU%", "processors in use", |row| {
            let load = row.host.inventory.as_ref().map(|inventory| &inventory.load);
            Cell::of(load.and_then(|load| load.cpu), |cpu| {
                Cell::Figure((cpu.value() * 10.0).round() / 10.0)
            })
        })
    },
    Field {
        aliases: &["mem"],
        shown: Some(memory),
        ..Field::new("memory_used_bytes", "MEM", "memory in use", |row| {
            bytes(
                row.host
                    .inventory
                    .as_ref()
                    .and_then(|inventory| inventory.load.memory_used),
            )
        })
    },
    Field {
        usual: false,
        ..Field::new("memory_total_bytes", "MEM MAX", "memory there is", |row| {
            bytes(
                row.host
                    .inventory
                    .as_ref()
                    .and_then(|inventory| inventory.load.memory_total),
            )
        })
    },
    Field {
        aliases: &["latency"],
        ..Field::new("latency_ms", "MS", "how long the last read took", |row| {
            Cell::of(milliseconds(row), Cell::Count)
        })
    },
    Field::new("tier", "TIER", "how much it matters", |row| {
        Cell::of(row.host.spec.tier.as_ref(), Cell::text)
    }),
    Field {
        usual: false,
        ..Field::new("tags", "TAGS", "its labels", |row| {
            Cell::List(row.host.spec.tags.iter().map(ToString::to_string).collect())
        })
    },
    Field {
        usual: false,
        ..Field::new(
            "read_only",
            "RO",
            "refuses everything that changes a VM",
            |row| Cell::Flag(row.host.spec.read_only),
        )
    },
    Field {
        usual: false,
        ..Field::new("enabled", "ON", "whether it is connected at all", |row| {
            Cell::Flag(row.host.spec.enabled)
        })
    },
    Field {
        aliases: &["age", "seen"],
        shown: Some(|row| row.host.age(row.now).map(|age| Age(age).to_string())),
        ..Field::new("observed_at", "READ", "when it was last read", |row| {
            Cell::of(row.host.observed_at, Cell::Time)
        })
    },
    Field::new("error", "CAUSE", "why it is not well", |row| {
        let cause = row.failure.as_ref().or(row.host.health.cause());
        Cell::of(cause, |failure| Cell::text(&failure.message))
    }),
];

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    listing: &Listing,
    clock: &Clock,
    console: &mut Console<'_>,
) -> Ended {
    let chosen = field::chosen(&FIELDS, &listing.columns)?;
    if let Some(by) = &listing.sort {
        field::sort::<HostRow>(&mut [], &FIELDS, by)?;
    }
    let fleet = handle.snapshot();
    if fleet.hosts.is_empty() {
        console.note(list::FIRST_STEPS);
    }
    let hosts = reach::hosts_that(&fleet, |_| true);
    let reached = reach::reach(handle, hosts, script, false).await?;
    let now = clock.now();
    let mut rows: Vec<HostRow> = reached
        .fleet
        .hosts
        .iter()
        .map(|host| HostRow {
            host: Arc::clone(host),
            failure: reached.why(host.spec.id).cloned(),
            now,
        })
        .collect();
    if let Some(by) = &listing.sort {
        field::sort(&mut rows, &FIELDS, by)?;
    }
    console.data(&output::rows(script.format, &FIELDS, &chosen, &rows));
    reached.report(console);
    Ok(reached.exit_code())
}
