//! What the routes of `/v1` share beside the server's state: the hubs of events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::first::Firsts;
use super::hub::Hub;
use crate::fleet::FleetHandle;
use crate::serve::state::ServeState;

/// What the routes share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Unlike in every other run: versions and event ids of another run mean nothing here.
    pub(super) run: String,
    hubs: Mutex<HashMap<String, Arc<Hub>>>,
    behind: usize,
    firsts: Firsts,
}

impl Shared {
    /// Begins without hubs.
    pub(super) fn new(state: &ServeState) -> Self {
        let behind = usize::try_from(state.config.limit.event_buffer);
        Self {
            run: format!("{:016x}", rand::random::<u64>()),
            hubs: Mutex::default(),
            behind: behind.unwrap_or(usize::MAX).clamp(1, 4096),
            firsts: Firsts::default(),
        }
    }

    /// Returns the hub of a profile; starts it on first use. It ends with its fleet, or the server.
    pub(super) fn hub(
        self: &Arc<Self>,
        state: &ServeState,
        profile: &str,
        fleet: &FleetHandle,
    ) -> Arc<Hub> {
        let mut hubs = self.lock();
        if let Some(hub) = hubs.get(profile) {
            return Arc::clone(hub);
        }
        let hub = Arc::new(Hub::new(
            format!("{:08x}", rand::random::<u32>()),
            self.behind,
            self.firsts.another(),
        ));
        hubs.insert(profile.to_owned(), Arc::clone(&hub));
        let (shared, started) = (Arc::clone(self), Arc::clone(&hub));
        let (events, clock, stop) = (fleet.events(), state.clock.clone(), state.stop.clone());
        let profile = profile.to_owned();
        state.tasks.spawn("events", async move {
            tokio::select! {
                () = started.follow(events, clock) => {}
                () = stop.cancelled() => {}
            }
            // The next reader starts another, on the fleet as it is then.
            shared.lock().remove(&profile);
            started.close();
        });
        hub
    }

    /// Returns how many follow events now.
    pub(super) fn readers(&self) -> usize {
        self.lock().values().map(|hub| hub.readers()).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Hub>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
