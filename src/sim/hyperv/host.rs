//! One simulated Windows host: the owner of its world, its clock and its process table. Locks are short
//! and never held while something waits.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::plan::WindowsPlan;
use super::world::{Machine, WinWorld};
use crate::sim::powershell::life::{Life, Processes};

/// How its time passes.
#[derive(Debug)]
enum Time {
    /// As everywhere.
    Real,
    /// Only when somebody waits: for tests.
    #[cfg(test)]
    Jumping(Mutex<Instant>),
}

/// A Windows host.
#[derive(Debug)]
pub(in crate::sim) struct WinHost {
    world: Mutex<WinWorld>,
    time: Time,
    processes: Processes,
    /// Numbers the command lines of clients.
    launches: AtomicU64,
    /// Those whose client has left.
    left: Mutex<BTreeSet<u64>>,
}

impl WinHost {
    /// Makes a host whose world begins now.
    pub(in crate::sim) fn new(plan: WindowsPlan, machine: Machine, wall: Timestamp) -> Arc<Self> {
        Self::with_time(plan, machine, wall, Time::Real)
    }

    /// Makes a host whose time stands still until something on it waits.
    #[cfg(test)]
    pub(in crate::sim) fn jumping(plan: WindowsPlan, machine: Machine) -> Arc<Self> {
        let wall = "2026-03-01T12:00:00Z".parse().unwrap();
        Self::with_time(
            plan,
            machine,
            wall,
            Time::Jumping(Mutex::new(Instant::now())),
        )
    }

    fn with_time(plan: WindowsPlan, machine: Machine, wall: Timestamp, time: Time) -> Arc<Self> {
        let now = time.now();
        let world = WinWorld::new(plan, machine, now, wall);
        Arc::new(Self {
            processes: world.processes.clone(),
            world: Mutex::new(world),
            time,
            launches: AtomicU64::new(0),
            left: Mutex::default(),
        })
    }

    /// Looks at or changes the world as it is now.
    pub(in crate::sim) fn world<R>(&self, act: impl FnOnce(&mut WinWorld) -> R) -> R {
        let now = self.time.now();
        let mut world = lock(&self.world);
        world.advance(now);
        act(&mut world)
    }

    /// Lets time pass for a process; false when it is ended meanwhile.
    pub(in crate::sim) fn sleep(&self, life: &Life, time: Duration) -> bool {
        match &self.time {
            Time::Real => life.wait(time),
            #[cfg(test)]
            Time::Jumping(at) => {
                *lock(at) += time;
                !life.ended()
            }
        }
    }

    pub(in crate::sim) const fn processes(&self) -> &Processes {
        &self.processes
    }

    /// Returns a number for a client's command line.
    pub(in crate::sim) fn next_launch(&self) -> u64 {
        self.launches.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Remembers that the client of a command line has left.
    pub(in crate::sim) fn leave_behind(&self, launch: u64) {
        lock(&self.left).insert(launch);
    }

    /// Whether the client of a command line has left.
    pub(in crate::sim) fn is_left_behind(&self, launch: u64) -> bool {
        lock(&self.left).contains(&launch)
    }
}

impl Time {
    fn now(&self) -> Instant {
        match self {
            Self::Real => Instant::now(),
            #[cfg(test)]
            Self::Jumping(at) => *lock(at),
        }
    }
}

/// Ends every process of a host when the fleet ends.
pub(in crate::sim) async fn end_with(host: Arc<WinHost>, token: CancellationToken) {
    token.cancelled().await;
    host.processes.stop_all();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
