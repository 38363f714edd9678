//! What happens in one fleet, written down once for all who follow it: numbered, kept for a while so
//! that a reader can go on where its connection broke, and handed out through a ring of its own. A
//! reader that falls behind by more than the ring holds is cut off; nothing is kept for it alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

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
    /// Its name.
    pub(super) name: &'static str,
    /// Its content: one line of JSON.
    pub(super) data: String,
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
}

/// Where a reader begins.
#[derive(Debug)]
pub(super) struct Joined {
    /// What it has missed; `None` when that is not known any more, or it is new.
    pub(super) missed: Option<Vec<Arc<Told>>>,
    /// Number of the last event before it joined.
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

impl Hub {
    /// Starts with nothing told. `epoch` is unlike that of every other hub; a reader may be `behind` by
    /// so many events.
    pub(super) fn new(epoch: String, behind: usize) -> Self {
        let (readers, _) = broadcast::channel(behind);
        Self {
            epoch,
            ring: Mutex::default(),
            readers: Mutex::new(Some(readers)),
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
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.next += 1;
        let told = Arc::new(Told {
            number: ring.next,
            at,
            about,
            name,
            data,
        });
        ring.bytes += told.data.len();
        ring.told.push_back(Arc::clone(&told));
        while ring.told.len() > HISTORY || ring.bytes > HISTORY_BYTES {
            let Some(oldest) = ring.told.pop_front() else {
                break;
            };
            ring.bytes -= oldest.data.len();
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
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        // One that comes too late gets a channel that has ended.
        let events = match &*self.sender() {
            Some(readers) => readers.subscribe(),
            None => broadcast::channel(1).1,
        };
        let after: Option<u64> = after
            .and_then(|id| id.rsplit_once('-'))
            .filter(|(epoch, _)| *epoch == self.epoch)
            .and_then(|(_, number)| number.parse().ok());
        let kept_from = ring.told.front().map_or(ring.next + 1, |told| told.number);
        let missed = after
            .filter(|after| (kept_from..=ring.next + 1).contains(&(after.saturating_add(1))))
            .map(|after| {
                let later = ring.told.iter().filter(|told| told.number > after);
                later.map(Arc::clone).collect()
            });
        Joined {
            missed,
            last: ring.next,
            events,
        }
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

    fn event(n: usize) -> FleetEvent {
        let message = format!("number {n}\u{9b}31m");
        FleetEvent {
            generation: 1,
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
        let hub = Hub::new("e1".into(), 64);
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
        let hub = Hub::new("e1".into(), 64);
        for n in 0..HISTORY + 10 {
            hub.tell(&event(n));
        }
        assert!(hub.join(Some("e1-9")).missed.is_none());
        let kept = hub.join(Some("e1-10")).missed.unwrap();
        assert_eq!(kept.len(), HISTORY);
        assert!(!kept[0].data.chars().any(char::is_control));
    }

    #[test]
    fn a_reader_that_sleeps_is_behind_and_told_so() {
        let hub = Hub::new("e1".into(), 64);
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
