//! What is refused before anything was planned to run leaves a line in the audit log of the profile: who,
//! what, why.
//!
//! A client that asks again and again does not make the log grow: the first refusal of a key is written at
//! once, and what follows within a minute is counted and told in one line when that is over. Only requests
//! with a right key come here, so there are no more counts than keys.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::act::Order;
use super::caller::Caller;
use super::state::ServeState;
use crate::domain::audit::AuditEntry;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::inventory::FleetSnapshot;

/// How long denials of one key are counted before they are told.
const COUNTED_FOR: Duration = Duration::from_secs(60);

/// Profile and key.
type Whose = (String, String);

/// Refusals after the first of a key.
#[derive(Debug)]
struct Counted {
    since: Timestamp,
    until: Timestamp,
    more: u64,
    last: Option<AuditEntry>,
}

impl Counted {
    fn told(self) -> Option<AuditEntry> {
        let mut entry = self.last?;
        let last = std::mem::take(&mut entry.details);
        let (more, since) = (self.more, self.since);
        entry.details = format!("{more} more since {since:.0}, the last one: {last}");
        Some(entry)
    }
}

/// The counts. One for the server.
#[derive(Debug, Default)]
pub struct Denials(Mutex<HashMap<Whose, Counted>>);

impl Denials {
    /// Returns what is to be written now: the first of a key, and nothing that follows soon.
    fn count(&self, whose: Whose, entry: AuditEntry, now: Timestamp) -> Option<AuditEntry> {
        let mut all = self.lock();
        if let Some(counted) = all.get_mut(&whose) {
            counted.more += 1;
            counted.last = Some(entry);
            return None;
        }
        let counted = Counted {
            since: now,
            until: now.checked_add(COUNTED_FOR).unwrap_or(now),
            more: 0,
            last: None,
        };
        all.insert(whose, counted);
        Some(entry)
    }

    /// Takes out what has been counted for long enough, or at all; returns it with its profiles.
    fn due(&self, now: Option<Timestamp>) -> Vec<(String, AuditEntry)> {
        let over = |counted: &Counted| now.is_none_or(|now| counted.until <= now);
        let taken: Vec<(Whose, Counted)> =
            self.lock().extract_if(|_, counted| over(counted)).collect();
        taken
            .into_iter()
            .filter_map(|((profile, _), counted)| Some((profile, counted.told()?)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records that an order was refused. What is not there, or busy, was not refused.
pub(super) async fn record(
    state: &ServeState,
    fleet: &FleetSnapshot,
    caller: &Caller,
    order: &Order,
    failure: &Failure,
) {
    if failure.kind != ErrorKind::Refused {
        return;
    }
    let now = state.clock.now();
    let host = fleet.host(order.vm.host);
    let vm = host.and_then(|host| host.inventory.as_ref()?.vm(&order.vm.vm));
    let why = &failure.message;
    let details = format!("{}: {why}", order.action.kind.spec().verb_alone());
    let mut entry = caller.note("refused", "refused", details, now);
    entry.host = host.map(|host| host.spec.name.to_string());
    entry.vm = vm.map(|vm| vm.name.clone());
    entry.vm_id = Some(order.vm.vm.to_string());
    let whose = (caller.profile.clone(), caller.key_id.clone());
    if let Some(entry) = state.denials.count(whose, entry, now) {
        write(state, &caller.profile, entry).await;
    }
}

/// Writes what has been counted for long enough; at the `end` of the server, everything.
pub async fn tell(state: &ServeState, end: bool) {
    let now = (!end).then(|| state.clock.now());
    for (profile, entry) in state.denials.due(now) {
        write(state, &profile, entry).await;
    }
}

/// The refusal stands whether or not it can be recorded: nothing was done.
async fn write(state: &ServeState, profile: &str, entry: AuditEntry) {
    if let Err(failure) = state.tenants.fleets().note(profile, entry).await {
        tracing::warn!(profile, %failure, "a refusal could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(details: &str, now: Timestamp) -> AuditEntry {
        AuditEntry::note("refused", "refused", details.to_owned(), now)
    }

    #[test]
    fn the_first_is_written_and_a_flood_is_one_line_a_minute() {
        let denials = Denials::default();
        let whose = || ("lab".to_owned(), "key-1".to_owned());
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut lines = 0;
        for second in 0..600 {
            for _ in 0..100 {
                lines += usize::from(
                    denials
                        .count(whose(), entry("no", at(second)), at(second))
                        .is_some(),
                );
            }
            lines += denials.due(Some(at(second))).len();
        }
        assert!((10..=21).contains(&lines), "{lines}");
        let other = ("lab".to_owned(), "key-2".to_owned());
        assert!(
            denials
                .count(other, entry("no", at(600)), at(600))
                .is_some()
        );
        assert_eq!(denials.due(Some(at(600))).len(), 0);
        let last = denials.due(None);
        assert_eq!(last.len(), 1, "one that stands alone was told already");
        assert!(
            last[0].1.details.contains("more since 1970-01-01T00:09:"),
            "{last:?}"
        );
        assert!(last[0].1.details.ends_with("the last one: no"));
        assert_eq!(denials.due(None).len(), 0);
    }
}
