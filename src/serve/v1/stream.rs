//! One reader's stream of server-sent events: `init` with everything as it is, then what changes, and
//! a `ping` when nothing does.
//!
//! A reader that comes back with the id of the last event it has seen goes on there, without `init`,
//! while that is still kept. One that does not keep up gets `cut` and is let go; it may come back. The
//! stream ends at once when the server stops, and within a second when its key does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::first::View;
use super::hub::{About, Hub, Told, frame};
use super::rows::VmRow;
use crate::accounts::{KeyChange, KeyFate, KeyWatch, Scopes};
use crate::clock::Clock;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::selector::Filter;
use crate::domain::vm::{PowerState, VmRef};
use crate::fleet::FleetHandle;

/// Silence before a `ping`, so that both ends notice a dead connection.
const PING_AFTER: Duration = Duration::from_secs(15);

/// How often a reader's key is looked at.
const KEY_EVERY: Duration = Duration::from_millis(900);

/// What a reader follows, and what it may see of it.
pub(super) struct Reader {
    pub(super) hub: Arc<Hub>,
    pub(super) fleet: FleetHandle,
    pub(super) filter: Filter,
    pub(super) scopes: Scopes,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    /// The key it came with, and the others that it is told of.
    pub(super) keys: KeyWatch,
    /// Its place among the readers; given back when the stream ends.
    pub(super) place: OwnedSemaphorePermit,
}

struct Stream {
    reader: Reader,
    events: broadcast::Receiver<Arc<Told>>,
    frames: VecDeque<Bytes>,
    /// What happened up to here is in what was told.
    told_at: Timestamp,
    last: u64,
    silent_since: Instant,
    key_seen: Instant,
    ended: bool,
}

/// What is told of a key.
#[derive(Serialize)]
struct KeyData<'a> {
    at: Timestamp,
    change: &'static str,
    key: &'a str,
    user: &'a str,
    user_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<Timestamp>,
}

/// Tells what has become of a key: an event without a number, for it is not one of the fleet's.
fn key_frame(changed: &KeyChange) -> Bytes {
    let (change, ends) = match changed.fate {
        KeyFate::Issued => ("issued", None),
        KeyFate::TakenBack { ends } => ("taken_back", ends),
    };
    let data = KeyData {
        at: changed.at,
        change,
        key: &changed.key_id,
        user: &changed.user,
        user_id: changed.user_id,
        ends,
    };
    frame(
        None,
        "key",
        &crate::json::to_line(&data).unwrap_or_default(),
    )
}

impl Reader {
    /// Begins after the event with this id, or with everything.
    pub(super) fn into_stream(
        self,
        after: Option<&str>,
    ) -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + use<>
    {
        let joined = self.hub.join(after);
        let mut stream = Stream {
            events: joined.events,
            frames: VecDeque::new(),
            told_at: Timestamp::MIN,
            last: joined.last,
            silent_since: Instant::now(),
            key_seen: Instant::now(),
            ended: false,
            reader: self,
        };
        match joined.missed {
            Some(missed) => {
                let fleet = stream.reader.fleet.snapshot();
                for told in missed {
                    stream.take(&told, &fleet);
                }
            }
            None => stream.init(0),
        }
        futures_util::stream::unfold(stream, |mut stream| async move {
            let frame = stream.next().await?;
            Some((Ok(frame), stream))
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.hub.tidy();
    }
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                self.silent_since = Instant::now();
                return Some(frame);
            }
            if self.ended {
                return None;
            }
            let ping_at = self.silent_since + PING_AFTER;
            let key_at = self.key_seen + KEY_EVERY;
            tokio::select! {
                biased;
                () = self.reader.stop.cancelled() => return None,
                () = tokio::time::sleep_until(key_at) => {
                    let looked = self.reader.keys.look().await;
                    self.frames.extend(looked.changes.iter().map(key_frame));
                    // Whoever's key was taken back is told so before the end.
                    self.ended = !looked.live;
                    self.key_seen = Instant::now();
                }
                event = self.events.recv() => self.receive(event),
                () = tokio::time::sleep_until(ping_at) => self.ping(),
            }
        }
    }

    fn ping(&mut self) {
        self.reader.hub.tidy();
        let now = self.reader.clock.now();
        let data = format!("{{\"at\":\"{now}\"}}");
        self.frames.push_back(frame(None, "ping", &data));
    }

    fn receive(&mut self, event: Result<Arc<Told>, RecvError>) {
        match event {
            Ok(told) => {
                let fleet = self.reader.fleet.snapshot();
                self.take(&told, &fleet);
            }
            Err(RecvError::Lagged(count)) => {
                self.cut(&format!("{{\"missed\":{count}}}"));
            }
            Err(RecvError::Closed) => self.ended = true,
        }
    }

    /// Tells everything, not older than an event, and what has happened since.
    fn init(&mut self, at_least: u64) {
        let reader = &self.reader;
        let view = View {
            fleet: &reader.fleet,
            filter: &reader.filter,
            scopes: &reader.scopes,
            clock: &reader.clock,
        };
        let Some((first, since)) = reader.hub.first(&view, at_least) else {
            return self.cut("{\"reason\":\"too many readers are being told everything\"}");
        };
        let id = format!("id: {}\n", reader.hub.id(first.last));
        self.told_at = first.at;
        self.last = first.last;
        self.frames.push_back(Bytes::from(id));
        self.frames.push_back(first.text.clone());
        let fleet = self.reader.fleet.snapshot();
        for told in since {
            self.take(&told, &fleet);
        }
    }

    fn cut(&mut self, data: &str) {
        self.frames.push_back(frame(None, "cut", data));
        self.ended = true;
    }

    fn take(&mut self, told: &Told, fleet: &FleetSnapshot) {
        // In what was told already.
        if told.number <= self.last {
            return;
        }
        self.last = told.number;
        if told.about == Some(About::Everything) {
            self.frames.push_back(told.frame.clone());
            self.init(told.number);
        } else if told.at > self.told_at && self.concerns(told, fleet) {
            self.frames.push_back(told.frame.clone());
        }
    }

    /// Says whether an event is about something that this reader asked for and may see.
    fn concerns(&self, told: &Told, fleet: &FleetSnapshot) -> bool {
        let Reader { filter, scopes, .. } = &self.reader;
        if filter.is_empty() && !scopes.is_narrowed() {
            return true;
        }
        let name = match &told.about {
            None | Some(About::Everything) => return !scopes.is_narrowed(),
            Some(About::Host(name) | About::Vm(_, name, _)) => name,
        };
        let host = fleet.hosts.iter().find(|host| host.spec.name == *name);
        let Some(host) = host else {
            // The host is gone: what it was cannot be asked any more.
            return !scopes.is_narrowed() && filter.is_empty();
        };
        scopes.sees(&host.spec)
            && match &told.about {
                Some(About::Vm(vm, _, before)) => self.chosen(vm, before.as_ref(), fleet),
                Some(About::Host(_) | About::Everything) | None => filter.may_match_on(host),
            }
    }

    /// Says whether a VM is one of those asked for, as it is or as it was before it changed. One that
    /// is gone is told of when its host could hold such a VM.
    fn chosen(&self, vm: &VmRef, before: Option<&PowerState>, fleet: &FleetSnapshot) -> bool {
        let filter = &self.reader.filter;
        if filter.is_empty() {
            return true;
        }
        let Some(row) = VmRow::of(fleet, vm, fleet.at) else {
            return fleet
                .host(vm.host)
                .is_some_and(|host| filter.may_match_on(host));
        };
        filter.matches(&row.for_filter())
            || before.is_some_and(|before| {
                let mut was = row.vm.clone();
                was.state = before.clone();
                let row = VmRow { vm: &was, ..row };
                filter.matches(&row.for_filter())
            })
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("hub", &self.hub)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
