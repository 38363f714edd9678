//! What a simulated fleet has been asked for: counts that tests compare with what was wanted of it. Only
//! counts; nothing here changes what a host does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Clients that have connected and not logged in.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Strangers {
    /// Counts one until it is dropped.
    pub(super) fn comes(self: &Arc<Self>) -> Stranger {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Stranger(Arc::clone(self))
    }

    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub(super) fn forget_most(&self) {
        self.most
            .store(self.now.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

/// One client that has not logged in.
#[derive(Debug)]
pub(super) struct Stranger(Arc<Strangers>);

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What one host has been asked for.
#[derive(Debug, Default)]
pub(super) struct Tally {
    commands: Mutex<BTreeMap<(String, &'static str), usize>>,
    running: AtomicUsize,
    strangers: Arc<Strangers>,
}

impl Tally {
    /// Counts a command about a VM as it arrives: whatever becomes of it, it was sent.
    pub(super) fn command(&self, uuid: &str, name: &'static str) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        *commands.entry((uuid.to_owned(), name)).or_default() += 1;
    }

    pub(super) fn commands(&self) -> BTreeMap<(String, &'static str), usize> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.clone()
    }

    pub(super) const fn strangers(&self) -> &Arc<Strangers> {
        &self.strangers
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

/// A command line while it runs.
#[derive(Debug)]
pub(super) struct Running(Arc<Tally>);

impl Running {
    pub(super) fn begin(tally: &Arc<Tally>) -> Self {
        tally.running.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(tally))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
