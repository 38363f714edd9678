//! Whether a host can be asked about, and waiting for the first word of one that is being connected.
//! A host that hangs costs only those requests that are about it.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::health::HostHealth;
use crate::domain::host::HostId;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::vm::PowerState;
use crate::fleet::FleetHandle;
use crate::fleet::request::HostSelection;
use crate::serve::caller::Caller;
use crate::serve::find::Seen;
use crate::serve::limit::HostPlace;
use crate::serve::state::ServeState;

/// How long a request waits for hosts that were never heard of.
pub(super) const FIRST_WORD: Duration = Duration::from_secs(10);

/// How long a request waits for a host to be read once more.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Returns true while a host is on its first attempt and nothing is known of it.
fn is_new(host: &HostSnapshot) -> bool {
    host.spec.enabled
        && (host.inventory.is_none() || host.from_cache)
        && matches!(
            host.health,
            HostHealth::Disabled
                | HostHealth::Connecting { attempt: 0 | 1, .. }
                | HostHealth::Online
        )
}

/// Takes a place among the requests that wait for a host, or for several. Who finds none does not wait, and
/// is answered from what is known.
pub(super) fn place(
    state: &ServeState,
    caller: &Caller,
    host: Option<&HostSnapshot>,
) -> Option<HostPlace> {
    let host = host.map(|host| &*host.spec);
    state.limits.wait_for_host(&caller.profile, host).ok()
}

/// Takes a place for waiting for the hosts that are asked about and new; `None` when none is, or there is no
/// place.
fn place_for_new(
    state: &ServeState,
    caller: &Caller,
    known: &FleetSnapshot,
    asked: &impl Fn(&HostSnapshot) -> bool,
) -> Option<HostPlace> {
    let mut new = known
        .hosts
        .iter()
        .filter(|host| asked(host) && is_new(host));
    match (new.next(), new.next()) {
        (None, _) => None,
        (one, None) => place(state, caller, one.map(|host| &**host)),
        (Some(_), Some(_)) => place(state, caller, None),
    }
}

/// Waits until every host that is asked about was heard of once, or cannot be. Hosts that are known to
/// be away are not waited for again, and no more wait for one than have places.
pub(super) async fn heard_of(
    state: &ServeState,
    caller: &Caller,
    fleet: &FleetHandle,
    asked: impl Fn(&HostSnapshot) -> bool,
) -> Arc<FleetSnapshot> {
    let known = fleet.snapshot();
    let Some(_place) = place_for_new(state, caller, &known, &asked) else {
        return known;
    };
    let settled =
        |state: &Arc<FleetSnapshot>| !state.hosts.iter().any(|host| asked(host) && is_new(host));
    let waited = tokio::time::timeout(FIRST_WORD, fleet.wait_until(settled)).await;
    waited.ok().flatten().unwrap_or_else(|| fleet.snapshot())
}

/// Returns why a host cannot be asked now; `None` when it answers. The words say what kind of failure
/// it is and nothing of what answered instead: they go to whoever chose the address.
pub(super) fn silence(host: &HostSnapshot) -> Option<Failure> {
    let name = &host.spec.name;
    let (kind, text) = match &host.health {
        HostHealth::Online | HostHealth::Degraded { .. } => return None,
        HostHealth::Disabled => (ErrorKind::Unreachable, format!("{name} is switched off")),
        HostHealth::Connecting { .. } => {
            (ErrorKind::Timeout, format!("{name} has not answered yet"))
        }
        HostHealth::Offline { cause, .. } | HostHealth::NeedsOperator { cause, .. } => {
            let text = match cause.kind {
                ErrorKind::Timeout => format!("{name} did not answer in time"),
                ErrorKind::Auth => format!("{name} refused the login by SSH"),
                ErrorKind::HostKey => format!("the SSH host key of {name} is not trusted"),
                ErrorKind::Locked => format!("the credential of {name} is locked"),
                ErrorKind::Permission => {
                    format!("the account on {name} may not manage virtual machines")
                }
                ErrorKind::Remote => format!("{name} has no hypervisor that answers"),
                _ => format!("could not connect to {name} by SSH"),
            };
            (cause.kind, text)
        }
    };
    let kind = match kind {
        ErrorKind::Timeout | ErrorKind::Locked => kind,
        // Everything between us and an answering hypervisor is the way there.
        _ => ErrorKind::Unreachable,
    };
    Some(Failure::new(kind, text))
}

/// Returns the host with this id when it answers, waiting for its first word.
pub(super) async fn host(
    state: &ServeState,
    caller: &Caller,
    fleet: &FleetHandle,
    id: HostId,
) -> Result<Arc<HostSnapshot>, Failure> {
    let seen = heard_of(state, caller, fleet, |host| host.spec.id == id).await;
    let host = seen.host(id).cloned().ok_or_else(|| {
        Failure::new(
            ErrorKind::NotFound,
            "the host is not in the profile any more",
        )
    })?;
    if let Some(silent) = silence(&host) {
        return Err(silent);
    }
    if host.inventory.is_none() || host.from_cache {
        let name = &host.spec.name;
        return Err(Failure::new(
            ErrorKind::Timeout,
            format!("{name} has not said yet which virtual machines it has"),
        ));
    }
    Ok(host)
}

/// Looks once more at a VM whose state forbids what is asked, or makes it needless: the older servers asked
/// the hypervisor each time, and somebody else may have changed it since the last read. `is_so` tells
/// whether that holds still. What was known stays where the host does not answer in time, or too many wait
/// for it.
pub(super) async fn looked_at_again(
    state: &ServeState,
    caller: &Caller,
    fleet: &FleetHandle,
    seen: Seen,
    is_so: impl Fn(&PowerState) -> bool,
) -> Seen {
    let Some(_place) = place(state, caller, Some(&seen.host)) else {
        return seen;
    };
    let looking = async {
        let mut seen = seen.clone();
        // The first answer may be to a question from before; the second is not.
        for _ in 0..2 {
            seen = read_after(fleet, seen).await?;
            if !is_so(&seen.vm.state) {
                break;
            }
        }
        Some(seen)
    };
    let looked = tokio::time::timeout(READ_WITHIN, looking).await;
    looked.ok().flatten().unwrap_or(seen)
}

/// Reads a VM's host once; `None` where that cannot be.
async fn read_after(fleet: &FleetHandle, seen: Seen) -> Option<Seen> {
    let id = seen.host.spec.id;
    fleet.read_again(HostSelection::Only(vec![id])).await.ok()?;
    let is_newer = |host: &HostSnapshot| match (&host.inventory, &seen.host.inventory) {
        (Some(now), Some(before)) => !Arc::ptr_eq(now, before),
        (now, _) => now.is_some(),
    };
    let read = fleet.wait_until(|state| state.host(id).is_none_or(|host| is_newer(host)));
    let state = read.await?;
    let host = Arc::clone(state.host(id)?);
    let vm = Arc::clone(host.inventory.as_ref()?.vm(&seen.vm.id)?);
    Some(Seen { host, vm })
}
