//! From what a person wrote to VMs. A name that fits more than one VM chooses none.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Script;
use super::reach::{self, Reached};
use super::row::VmRow;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostId;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::selector::Filter;
use crate::domain::vm::VmId;
use crate::fleet::FleetHandle;
use crate::report::Complaint;

/// Which VMs are meant.
#[derive(Debug, Clone)]
pub enum Targets {
    /// Each named: `name`, `host/name`, or id.
    Named(Vec<String>),
    /// All that match.
    Filter(Filter),
}

/// The VMs that were meant.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) vms: Vec<VmRow>,
    /// Whether each was named by itself, as the worst verbs want it.
    pub(super) named: bool,
    pub(super) reached: Reached,
}

/// Connects the hosts that are needed and finds the VMs; `now` is asked for after they answered.
pub(super) async fn resolve(
    handle: &FleetHandle,
    script: &Script,
    targets: &Targets,
    now: impl Fn() -> Timestamp,
) -> Result<Chosen, Complaint> {
    let fleet = handle.snapshot();
    let (hosts, twice) = match targets {
        Targets::Named(names) => (hosts_for_names(&fleet, names), false),
        Targets::Filter(filter) => (
            reach::hosts_that(&fleet, |host| filter.may_match_on(host)),
            filter.needs_rates(),
        ),
    };
    let reached = reach::reach(handle, hosts, script, twice).await?;
    let now = now();
    let (vms, named) = match targets {
        Targets::Named(names) => (find_all(&reached, names, now)?, true),
        Targets::Filter(filter) => (matching(&reached, filter, now)?, false),
    };
    Ok(Chosen {
        vms,
        named,
        reached,
    })
}

/// Splits `host/name` where the part before `/` is a host; otherwise the name has no host.
fn split<'a>(fleet: &FleetSnapshot, target: &'a str) -> (Option<HostId>, &'a str) {
    target
        .split_once('/')
        .and_then(|(host, name)| {
            let known = fleet
                .hosts
                .iter()
                .find(|known| known.spec.name.as_str() == host)?;
            Some((Some(known.spec.id), name))
        })
        .unwrap_or((None, target))
}

fn hosts_for_names(fleet: &FleetSnapshot, names: &[String]) -> Vec<HostId> {
    let needed: Vec<Option<HostId>> = names.iter().map(|name| split(fleet, name).0).collect();
    let anywhere = needed.iter().any(Option::is_none);
    reach::hosts_that(fleet, |host| {
        anywhere || needed.contains(&Some(host.spec.id))
    })
}

fn find_all(reached: &Reached, names: &[String], now: Timestamp) -> Result<Vec<VmRow>, Complaint> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for name in names {
        let row = find(reached, name, now)?;
        let vm = row.reference();
        if seen.insert(vm) {
            found.push(row);
        }
    }
    Ok(found)
}

fn find(reached: &Reached, target: &str, now: Timestamp) -> Result<VmRow, Complaint> {
    let fleet = &reached.fleet;
    let (host, name) = split(fleet, target);
    let id = VmId::parse(name);
    let fits = |row: &VmRow| {
        host.is_none_or(|host| host == row.host.spec.id)
            && (id.as_ref() == Some(&row.vm.id)
                || row.vm.name.raw() == name
                || row.vm.name.shown() == name)
    };
    // Rows of hosts that did not answer count as well: they make a name ambiguous, and they say why
    // a VM cannot be acted on.
    let mut rows: Vec<VmRow> = VmRow::all(fleet, now).filter(fits).collect();
    match (rows.pop(), rows.is_empty()) {
        (Some(row), true) => match reached.why(row.host.spec.id) {
            Some(failure) => Err(Complaint::from(failure.clone()).on(&row.host.spec.name)),
            None => Ok(row),
        },
        (Some(last), false) => {
            rows.push(last);
            Err(ambiguous(target, &rows))
        }
        (None, _) => Err(not_found(reached, host, target, now)),
    }
}

fn ambiguous(target: &str, rows: &[VmRow]) -> Complaint {
    let names: BTreeSet<String> = rows
        .iter()
        .map(|row| format!("{}/{}", row.host.spec.name, row.vm.name))
        .collect();
    // Hyper-V allows two VMs of one name on a host: then only the id tells them apart.
    let by_name = names.len() == rows.len();
    let candidates = rows
        .iter()
        .map(|row| {
            if by_name {
                format!("{}/{}", row.host.spec.name, row.vm.name)
            } else {
                format!("{}/{}", row.host.spec.name, row.vm.id)
            }
        })
        .collect();
    let message = format!("`{target}` fits {} VMs; nothing was changed", rows.len());
    Complaint::from(
        Failure::new(ErrorKind::Ambiguous, message).with_hint("write one of these instead"),
    )
    .between(candidates)
}

fn not_found(reached: &Reached, host: Option<HostId>, target: &str, now: Timestamp) -> Complaint {
    let asked = |id: HostId| host.is_none_or(|host| host == id);
    let silent: Vec<String> = reached
        .failed
        .iter()
        .filter(|(failed, _)| asked(failed.spec.id))
        .map(|(failed, _)| failed.spec.name.to_string())
        .collect();
    if let [only] = silent.as_slice()
        && let Some((_, failure)) = reached
            .failed
            .iter()
            .find(|(failed, _)| asked(failed.spec.id))
        && host.is_some()
    {
        return Complaint::from(failure.clone()).on(only);
    }
    if !silent.is_empty() {
        let message = format!(
            "no VM `{target}` on the hosts that answered; {} did not",
            silent.join(", ")
        );
        return Failure::new(ErrorKind::Unreachable, message)
            .with_hint("`vmdeck --once hosts` says why")
            .into();
    }
    let name = split(&reached.fleet, target).1.to_lowercase();
    let nearest = VmRow::all(&reached.fleet, now)
        .map(|row| {
            let near = strsim::jaro_winkler(&row.vm.name.shown().to_lowercase(), &name);
            (near, row)
        })
        .filter(|(near, _)| *near > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let hint = match nearest {
        Some((_, row)) => format!("did you mean {}/{}?", row.host.spec.name, row.vm.name),
        None => "`vmdeck --once list` prints every VM".to_owned(),
    };
    Failure::new(ErrorKind::NotFound, format!("no VM `{target}`"))
        .with_hint(hint)
        .into()
}

fn matching(reached: &Reached, filter: &Filter, now: Timestamp) -> Result<Vec<VmRow>, Complaint> {
    let rows: Vec<VmRow> = VmRow::all(&reached.fleet, now)
        .filter(|row| {
            reached.answered.contains(&row.host.spec.id) && filter.matches(&row.for_filter())
        })
        .collect();
    if !rows.is_empty() {
        return Ok(rows);
    }
    let kind = if reached.failed.is_empty() {
        ErrorKind::NotFound
    } else {
        ErrorKind::Unreachable
    };
    let message = match reached.failed.len() {
        0 => format!("no VM matches `{filter}`"),
        1 => format!("no VM matches `{filter}`; one host did not answer"),
        many => format!("no VM matches `{filter}`; {many} hosts did not answer"),
    };
    Err(Failure::new(kind, message)
        .with_hint("try the filter with `vmdeck --once list --filter`")
        .into())
}
