//! What a reader of events is told first: everything as it is. For a large fleet that is megabytes, so
//! it is made once for all who ask alike within a moment, and all of it that readers have not taken yet
//! is held below a ceiling.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::rows::{HostRow, VmRow};
use super::wire::{Host, Vm};
use crate::accounts::Scopes;
use crate::clock::Clock;
use crate::domain::selector::Filter;
use crate::fleet::FleetHandle;

/// How long one is good for the next reader, who is also told what has happened since.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How many that differ are kept for the next reader.
const KEPT: usize = 4;

/// All that readers have not taken yet, in KiB.
const CEILING_KIB: u32 = 256 * 1024;

/// What somebody may see, and wants to.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) fleet: &'a FleetHandle,
    pub(super) filter: &'a Filter,
    pub(super) scopes: &'a Scopes,
    pub(super) clock: &'a Clock,
}

/// Everything as it was at a moment.
#[derive(Debug)]
pub(super) struct First {
    /// Number of the last event that is in it.
    pub(super) last: u64,
    /// The moment.
    pub(super) at: Timestamp,
    /// The event `init` as it is sent, all but its id.
    pub(super) text: Bytes,
}

/// A text with its share of the ceiling, given back when the last reader has taken it.
struct Counted {
    text: String,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// One that the next reader can have.
struct Kept {
    filter: Filter,
    hosts: Vec<String>,
    tags: Vec<String>,
    made: Instant,
    first: Arc<First>,
}

impl Kept {
    fn is_for(&self, view: &View<'_>) -> bool {
        self.filter == *view.filter
            && self.hosts == view.scopes.hosts
            && self.tags == view.scopes.tags
    }
}

/// Those that are kept, of one fleet.
#[derive(Clone)]
pub(super) struct Firsts {
    share: Arc<Semaphore>,
    kept: Arc<Mutex<Vec<Kept>>>,
}

impl fmt::Debug for Firsts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Firsts")
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}

impl Default for Firsts {
    fn default() -> Self {
        let kib = usize::try_from(CEILING_KIB).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            share: Arc::new(Semaphore::new(kib)),
            kept: Arc::default(),
        }
    }
}

#[derive(Serialize)]
struct Everything {
    at: Timestamp,
    generation: u64,
    hosts: Vec<Host>,
    vms: Vec<Vm>,
}

impl Firsts {
    /// Begins without any for another fleet, below the same ceiling.
    pub(super) fn another(&self) -> Self {
        Self {
            share: Arc::clone(&self.share),
            kept: Arc::default(),
        }
    }

    /// Returns a recent one that fits and is not older than an event.
    pub(super) fn find(&self, view: &View<'_>, at_least: u64, now: Instant) -> Option<Arc<First>> {
        let mut kept = self.lock();
        kept.retain(|one| now.saturating_duration_since(one.made) < GOOD_FOR);
        kept.iter()
            .find(|one| one.is_for(view) && one.first.last >= at_least)
            .map(|one| Arc::clone(&one.first))
    }

    /// Makes one; `last` is the number of an event that the fleet's state now comes after. `None` when
    /// there is no room.
    pub(super) fn make(&self, view: &View<'_>, last: u64, now: Instant) -> Option<Arc<First>> {
        let (at, text) = write(view);
        let first = Arc::new(First {
            last,
            at,
            text: self.counted(text)?,
        });
        let mut kept = self.lock();
        kept.retain(|one| !one.is_for(view));
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(Kept {
            filter: view.filter.clone(),
            hosts: view.scopes.hosts.clone(),
            tags: view.scopes.tags.clone(),
            made: now,
            first: Arc::clone(&first),
        });
        Some(first)
    }

    /// Lets go of what is kept for nobody any more.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.lock()
            .retain(|one| now.saturating_duration_since(one.made) < GOOD_FOR);
    }

    fn counted(&self, text: String) -> Option<Bytes> {
        let kib = u32::try_from(text.len() / 1024 + 1).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.share);
        // One that is larger than all of it has the whole of it.
        let share = share.try_acquire_many_owned(kib.min(CEILING_KIB)).ok()?;
        Some(Bytes::from_owner(Counted {
            text,
            _share: share,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes everything down.
fn write(view: &View<'_>) -> (Timestamp, String) {
    let (filter, scopes) = (view.filter, view.scopes);
    let fleet = view.fleet.snapshot();
    let now = view.clock.now();
    let everything = Everything {
        at: fleet.at,
        generation: fleet.generation,
        hosts: fleet
            .hosts
            .iter()
            .filter(|host| scopes.sees(&host.spec) && filter.may_match_on(host))
            .map(|host| Host::from(&HostRow { host, now }))
            .collect(),
        vms: VmRow::all(&fleet, now, |host| scopes.sees(&host.spec))
            .filter(|row| filter.matches(&row.for_filter()))
            .map(|row| Vm::from(&row))
            .collect(),
    };
    let data = crate::json::to_line(&everything).unwrap_or_default();
    (fleet.at, format!("event: init\ndata: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use tokio::sync::{broadcast, mpsc, watch};

    use super::*;
    use crate::testing::fleet;

    fn handle() -> FleetHandle {
        let (requests, _) = mpsc::channel(1);
        let (_, snapshots) = watch::channel(Arc::new(fleet::grid(3, 40)));
        FleetHandle::new(requests, snapshots, broadcast::channel(1).0)
    }

    fn only(hosts: &[&str]) -> Scopes {
        Scopes {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            ..Scopes::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_alike_within_a_moment_share_one() {
        let (fleet, clock) = (handle(), Clock::system());
        let (everything, filtered) = (Filter::default(), Filter::parse("web").unwrap());
        let (full, looking, one) = (Scopes::full(), Scopes::looking(), only(&["kvm001"]));
        let view = |filter, scopes| View {
            fleet: &fleet,
            filter,
            scopes,
            clock: &clock,
        };
        let firsts = Firsts::default();
        let now = Instant::now();
        let all = view(&everything, &full);
        assert!(firsts.find(&all, 0, now).is_none());
        let made = firsts.make(&all, 7, now).unwrap();
        // What a key may do makes no difference to what it sees.
        for view in [all, view(&everything, &looking)] {
            let found = firsts.find(&view, 7, now).unwrap();
            assert!(Arc::ptr_eq(&found, &made));
        }
        assert!(firsts.find(&all, 8, now).is_none(), "older than wanted");
        for other in [view(&everything, &one), view(&filtered, &full)] {
            assert!(firsts.find(&other, 0, now).is_none());
            let made = firsts.make(&other, 7, now).unwrap();
            assert_ne!(
                made.text.len(),
                firsts.find(&all, 0, now).unwrap().text.len()
            );
        }
        assert!(firsts.find(&all, 0, now + GOOD_FOR).is_none(), "too old");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_taken_yet_is_bounded_and_given_back() {
        let (fleet, clock) = (handle(), Clock::system());
        let (filter, scopes) = (Filter::default(), Scopes::full());
        let view = View {
            fleet: &fleet,
            filter: &filter,
            scopes: &scopes,
            clock: &clock,
        };
        let firsts = Firsts {
            share: Arc::new(Semaphore::new(100)),
            ..Firsts::default()
        };
        let now = Instant::now();
        let kib = |bytes: &Bytes| bytes.len() / 1024 + 1;
        let first = firsts.make(&view, 1, now).unwrap();
        let readers: Vec<Bytes> = (0..500).map(|_| first.text.clone()).collect();
        assert_eq!(firsts.share.available_permits(), 100 - kib(&first.text));
        let others = firsts.another();
        let mut held = vec![first];
        while let Some(first) = others.make(&view, 1, now) {
            held.push(first);
        }
        assert_eq!(held.len(), 100 / kib(&readers[0]));
        drop((held, readers));
        tokio::time::advance(GOOD_FOR).await;
        firsts.sweep();
        others.sweep();
        assert_eq!(firsts.share.available_permits(), 100);
    }
}
