//! What happens in one fleet, written down once for all who follow it: numbered, kept for a while so
//! that a reader can go on where its connection broke, and handed out through a ring of its own. A
//! reader that falls behind by more than the ring holds is cut off; nothing is kept for it alone. What a
//! reader is told first is shared as well (`first`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::first::{First, Firsts, View};
use super::wire::{ErrorInfo, Operation, State};
use crate::domain::event::{Fact, FleetEvent};
use crate::domain::host::HostName;
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, VmRef};

/// Events kept for readers that come back.
const HISTORY: usize = 2048;

/// Bytes of events kept.
const HISTORY_BYTES: usize = 4 << 20;

/// Whom an event is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum About {
    /// A host.
    Host(HostName),
    /// A VM, with its state before where that has changed.
    Vm(VmRef, HostName, Option<PowerState>),
    /// Something was missed here: everything has to be told again.
    Everything,
}

/// An event as it is told.
#[derive(Debug)]
pub(super) struct Told {
    /// Its number.
    pub(super) number: u64,
    /// When it happened.
    pub(super) at: Timestamp,
    /// Whom it is about; `None` = the whole fleet.
    pub(super) about: Option<About>,
    /// The event as it is sent to everybody.
    pub(super) frame: Bytes,
}

#[derive(Debug, Default)]
struct Ring {
    next: u64,
    bytes: usize,
    told: VecDeque<Arc<Told>>,
}

/// What happens in one fleet.
#[derive(Debug)]
pub(super) struct Hub {
    /// Tells the numbers of this hub from those of an earlier run.
    epoch: String,
    ring: Mutex<Ring>,
    /// `None` once there is nothing more to tell.
    readers: Mutex<Option<broadcast::Sender<Arc<Told>>>>,
    firsts: Firsts,
}

/// Where a reader begins.
#[derive(Debug)]
pub(super) struct Joined {
    /// What it has missed; `None` when that is not known any more, or it is new.
    pub(super) missed: Option<Missed>,
    /// Number of the last event before what it is told.
    pub(super) last: u64,
    /// What happens from now on.
    pub(super) events: broadcast::Receiver<Arc<Told>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Host {
        at: Timestamp,
        host: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<ErrorInfo>,
    },
    Vm {
        at: Timestamp,
        host: &'a str,
        name: &'a RemoteText,
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<State>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<State>,
    },
    Operation {
        at: Timestamp,
        #[serde(flatten)]
        operation: Box<Operation>,
    },
    Error {
        at: Timestamp,
        host: Option<&'a str>,
        error: ErrorInfo,
    },
    Missed {
        at: Timestamp,
        count: u64,
    },
}

/// Events in their order.
pub(super) type Missed = Vec<Arc<Told>>;

impl Ring {
    /// Returns what was told after an event; `None` when that is not all kept any more, or there was no
    /// such event.
    fn since(&self, after: u64) -> Option<Missed> {
        let kept_from = self.told.front().map_or(self.next + 1, |told| told.number);
        (kept_from..=self.next + 1)
            .contains(&after.saturating_add(1))
            .then(|| {
                let later = self.told.iter().rev();
                let mut later: Missed = later
                    .take_while(|told| told.number > after)
                    .map(Arc::clone)
                    .collect();
                later.reverse();
                later
            })
    }
}

/// Writes one event.
pub(super) fn frame(id: Option<&str>, event: &str, data: &str) -> Bytes {
    let mut text = String::with_capacity(data.len() + 64);
    if let Some(id) = id {
        text.push_str("id: ");
        text.push_str(id);
        text.push('\n');
    }
    text.push_str("event: ");
    text.push_str(event);
    text.push_str("\ndata: ");
    text.push_str(data);
    text.push_str("\n\n");
    Bytes::from(text)
}

impl Hub {
    /// Starts with nothing told. `epoch` is unlike that of every other hub; a reader may be `behind` by
    /// so many events.
    pub(super) fn new(epoch: String, behind: usize, firsts: Firsts) -> Self {
        let (readers, _) = broadcast::channel(behind);
        Self {
            epoch,
            ring: Mutex::default(),
            readers: Mutex::new(Some(readers)),
            firsts,
        }
    }

    /// Lets its readers go: there is nothing more to tell.
    pub(super) fn close(&self) {
        self.sender().take();
    }

    fn sender(&self) -> MutexGuard<'_, Option<broadcast::Sender<Arc<Told>>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a fleet until it ends.
    pub(super) async fn follow(
        &self,
        mut events: broadcast::Receiver<FleetEvent>,
        clock: crate::clock::Clock,
    ) {
        loop {
            match events.recv().await {
                Ok(event) => self.tell(&event),
                Err(RecvError::Lagged(count)) => self.missed(count, clock.now()),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn missed(&self, count: u64, at: Timestamp) {
        let data = Data::Missed { at, count };
        self.push(at, "missed", Some(About::Everything), &data);
    }

    fn tell(&self, event: &FleetEvent) {
        let at = event.at;
        match &event.fact {
            Fact::HostCameOnline { name, .. } => {
                let data = Data::Host {
                    at,
                    host: name.as_str(),
                    error: None,
                };
                self.push(at, "host_up", Some(About::Host(name.clone())), &data);
            }
            Fact::HostWentOffline { name, cause, .. } => {
                let error = Some(ErrorInfo::from(cause));
                let data = Data::Host {
                    at,
                    host: name.as_str(),
                    error,
                };
                self.push(at, "host_down", Some(About::Host(name.clone())), &data);
            }
            Fact::VmChangedState {
                vm,
                name,
                host_name,
                from,
                to,
            } => {
                let states = (Some(from), Some(to));
                self.vm(at, "vm_state", (vm, name, host_name), states);
            }
            Fact::VmAppeared {
                vm,
                name,
                host_name,
                state,
            } => {
                self.vm(
                    at,
                    "vm_appeared",
                    (vm, name, host_name),
                    (None, Some(state)),
                );
            }
            Fact::VmVanished {
                vm,
                name,
                host_name,
            } => {
                self.vm(at, "vm_vanished", (vm, name, host_name), (None, None));
            }
            Fact::OperationMoved(operation) => {
                let plan = &operation.plan;
                let about = About::Vm(plan.vm.clone(), plan.host_name.clone(), None);
                let operation = Box::new(Operation::of(operation, at));
                let data = Data::Operation { at, operation };
                self.push(at, "operation", Some(about), &data);
            }
            Fact::ErrorOccurred { host, cause } => {
                let about = host.clone().map(About::Host);
                let data = Data::Error {
                    at,
                    host: host.as_ref().map(HostName::as_str),
                    error: ErrorInfo::from(cause),
                };
                self.push(at, "error", about, &data);
            }
        }
    }

    fn vm(
        &self,
        at: Timestamp,
        event: &'static str,
        (vm, name, host): (&VmRef, &RemoteText, &HostName),
        (from, to): (Option<&PowerState>, Option<&PowerState>),
    ) {
        let data = Data::Vm {
            at,
            host: host.as_str(),
            name,
            id: vm.vm.as_str(),
            from: from.map(State::from),
            to: to.map(State::from),
        };
        let about = About::Vm(vm.clone(), host.clone(), from.cloned());
        self.push(at, event, Some(about), &data);
    }

    fn push(&self, at: Timestamp, name: &'static str, about: Option<About>, data: &Data<'_>) {
        let data = crate::json::to_line(data).unwrap_or_default();
        let mut ring = self.ring();
        ring.next += 1;
        let told = Arc::new(Told {
            number: ring.next,
            at,
            about,
            frame: frame(Some(&self.id(ring.next)), name, &data),
        });
        ring.bytes += told.frame.len();
        ring.told.push_back(Arc::clone(&told));
        while ring.told.len() > HISTORY || ring.bytes > HISTORY_BYTES {
            let Some(oldest) = ring.told.pop_front() else {
                break;
            };
            ring.bytes -= oldest.frame.len();
        }
        // Under the lock, so that a reader that joins gets it exactly once; nobody need be there.
        if let Some(readers) = &*self.sender() {
            drop(readers.send(told));
        }
    }

    /// Returns the id of an event, as a client names it when it comes back.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    /// Joins; `after` is the id of the last event a client has seen.
    pub(super) fn join(&self, after: Option<&str>) -> Joined {
        let ring = self.ring();
        // One that comes too late gets a channel that has ended.
        let events = match &*self.sender() {
            Some(readers) => readers.subscribe(),
            None => broadcast::channel(1).1,
        };
        let after: Option<u64> = after
            .and_then(|id| id.rsplit_once('-'))
            .filter(|(epoch, _)| *epoch == self.epoch)
            .and_then(|(_, number)| number.parse().ok());
        let missed = after.and_then(|after| ring.since(after));
        Joined {
            last: after.filter(|_| missed.is_some()).unwrap_or(ring.next),
            missed,
            events,
        }
    }

    /// Returns everything as it is for a view, not older than an event, with what has happened since;
    /// `None` when so many readers are still taking theirs that there is no room for another.
    pub(super) fn first(&self, view: &View<'_>, at_least: u64) -> Option<(Arc<First>, Missed)> {
        let now = tokio::time::Instant::now();
        let known = self.firsts.find(view, at_least, now);
        let recent = known.and_then(|first| {
            let since = self.ring().since(first.last)?;
            let whole = |told: &Arc<Told>| told.about != Some(About::Everything);
            since.iter().all(whole).then_some((first, since))
        });
        if recent.is_some() {
            return recent;
        }
        // First the number, then the state: what happens in between is in both, and told once.
        let last = self.ring().next;
        let first = self.firsts.make(view, last, now)?;
        let since = self.ring().since(last).unwrap_or_default();
        Some((first, since))
    }

    /// Lets go of what is kept for readers that did not come.
    pub(super) fn tidy(&self) {
        self.firsts.sweep();
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many follow it now.
    pub(super) fn readers(&self) -> usize {
        self.sender()
            .as_ref()
            .map_or(0, broadcast::Sender::receiver_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_kind::{ErrorKind, Failure};
    use crate::domain::selector::Filter;

    fn event(n: usize) -> FleetEvent {
        let message = format!("number {n}\u{9b}31m");
        FleetEvent {
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            fact: Fact::ErrorOccurred {
                host: None,
                cause: Failure::new(ErrorKind::Internal, message),
            },
        }
    }

    fn numbers(missed: &[Arc<Told>]) -> Vec<u64> {
        missed.iter().map(|told| told.number).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let hub = Hub::new("e1".into(), 64, Firsts::default());
        assert!(hub.join(None).missed.is_none());
        let before = hub.join(None);
        assert_eq!(before.last, 0);
        for n in 1..=5 {
            hub.tell(&event(n));
        }
        let joined = hub.join(Some(&hub.id(3)));
        assert_eq!(numbers(&joined.missed.unwrap()), [4, 5]);
        assert_eq!(hub.join(Some(&hub.id(5))).missed.unwrap().len(), 0);
        assert_eq!(hub.join(Some(&hub.id(0))).missed.unwrap().len(), 5);
        // From another run, from the future, or nothing of ours: begin anew.
        for id in [
            "e0-3",
            "e1-6",
            "e1-",
            "3",
            "",
            "e1-99999999999999999999",
            "e1-18446744073709551615",
        ] {
            assert!(hub.join(Some(id)).missed.is_none(), "{id}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_harmless() {
        let hub = Hub::new("e1".into(), 64, Firsts::default());
        for n in 0..HISTORY + 10 {
            hub.tell(&event(n));
        }
        assert!(hub.join(Some("e1-9")).missed.is_none());
        let kept = hub.join(Some("e1-10")).missed.unwrap();
        assert_eq!(kept.len(), HISTORY);
        let text = std::str::from_utf8(&kept[0].frame).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_reader_gets_the_same_beginning_and_what_has_happened_since() {
        let (requests, _) = tokio::sync::mpsc::channel(1);
        let state = Arc::new(crate::testing::fleet::small());
        let (_, snapshots) = tokio::sync::watch::channel(state);
        let fleet = crate::fleet::FleetHandle::new(requests, snapshots, broadcast::channel(1).0);
        let (filter, scopes) = (Filter::default(), crate::accounts::Scopes::full());
        let clock = crate::clock::Clock::system();
        let view = View {
            fleet: &fleet,
            filter: &filter,
            scopes: &scopes,
            clock: &clock,
        };
        let hub = Hub::new("e1".into(), 64, Firsts::default());
        hub.tell(&event(1));
        let (one, since) = hub.first(&view, 0).unwrap();
        assert_eq!((one.last, since.len()), (1, 0));
        hub.tell(&event(2));
        let (two, since) = hub.first(&view, 0).unwrap();
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!(numbers(&since), [2]);
        // Where something was missed, what was told before is worth nothing.
        hub.missed(3, clock.now());
        let (three, since) = hub.first(&view, 3).unwrap();
        assert_eq!((three.last, since.len()), (3, 0));
        // Nor when what has happened since is not all known.
        for n in 0..HISTORY + 10 {
            hub.tell(&event(n));
        }
        let (four, since) = hub.first(&view, 3).unwrap();
        assert!(!Arc::ptr_eq(&three, &four));
        assert_eq!(since.len(), 0);
    }

    #[test]
    fn a_reader_that_sleeps_is_behind_and_told_so() {
        let hub = Hub::new("e1".into(), 64, Firsts::default());
        let mut slow = hub.join(None);
        for n in 0..=64 {
            hub.tell(&event(n));
        }
        let first = slow.events.try_recv();
        assert!(matches!(
            first,
            Err(broadcast::error::TryRecvError::Lagged(1))
        ));
    }
}
