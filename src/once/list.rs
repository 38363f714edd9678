//! `--once list`: the VMs of the hosts that could hold one of those asked for.

use super::console::Console;
use super::row::{FIELDS, VmRow};
use super::{Ended, Listing, Script, field, output, reach};
use crate::clock::Clock;
use crate::fleet::FleetHandle;

/// What to do when there is no host yet.
pub(super) const FIRST_STEPS: &str = "\
This profile has no hosts yet. To add one:
  vmdeck host add kvm1 --address kvm1.lan --user ops
  vmdeck host trust kvm1
  vmdeck --once list
Or look around without any host: vmdeck --demo";

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    listing: &Listing,
    clock: &Clock,
    console: &mut Console<'_>,
) -> Ended {
    let chosen = field::chosen(&FIELDS, &listing.columns)?;
    if let Some(by) = &listing.sort {
        field::sort::<VmRow>(&mut [], &FIELDS, by)?;
    }
    let fleet = handle.snapshot();
    if fleet.hosts.is_empty() {
        console.note(FIRST_STEPS);
    }
    let hosts = reach::hosts_that(&fleet, |host| listing.filter.may_match_on(host));
    let reached = reach::reach(handle, hosts, script, needs_rates(listing)).await?;
    let mut rows: Vec<VmRow> = VmRow::all(&reached.fleet, clock.now())
        .filter(|row| listing.filter.matches(&row.for_filter()))
        .collect();
    if let Some(by) = &listing.sort {
        field::sort(&mut rows, &FIELDS, by)?;
    }
    console.data(&output::rows(script.format, &FIELDS, &chosen, &rows));
    reached.report(console);
    Ok(reached.exit_code())
}

/// Only what was asked for by name is worth a second read: the plain list is to be quick.
fn needs_rates(listing: &Listing) -> bool {
    let asks = |name: &str| matches!(name.trim_start_matches('-'), "cpu" | "cpu_percent");
    listing.filter.needs_rates()
        || listing.sort.as_deref().is_some_and(asks)
        || listing.columns.iter().any(|name| asks(name.trim()))
}
