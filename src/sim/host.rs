//! One simulated host: the one owner of its world and its faults. Locks are short and never held over
//! an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::faults::{Access, Faults, Outage, VirshHealth};
use super::hyperv::host::WinHost;
use super::hyperv::world::Machine;
use super::load::mix_text;
use super::scenario::HostPlan;
use super::tally::{Strangers, Tally};
use super::virsh::{Agents, Keyboards, Seats};
use super::world::World;

/// A host and everything that plays it.
#[derive(Debug)]
pub(super) struct SimHost {
    pub(super) plan: HostPlan,
    world: Mutex<World>,
    /// What a Hyper-V host has instead of libvirt's world, which stays empty.
    pub(super) windows: Option<Arc<WinHost>>,
    faults: Mutex<Faults>,
    /// Who has the consoles of its VMs.
    pub(super) seats: Seats,
    /// What was typed into its VMs.
    pub(super) keyboards: Keyboards,
    pub(super) agents: Agents,
    /// Something has been planned; whoever sleeps until the next event has to look again.
    planned: Notify,
    /// Whether the host is to be reachable.
    pub(super) wanted_up: watch::Sender<bool>,
    /// Whether its connections carry nothing, without being closed.
    pub(super) silent: watch::Sender<bool>,
    /// Whether its port is open.
    pub(super) is_up: watch::Sender<bool>,
    /// What it has been asked for.
    pub(super) tally: Arc<Tally>,
    /// Clients of the whole fleet that have not logged in.
    pub(super) strangers: Arc<Strangers>,
}

impl SimHost {
    /// Makes a host whose world begins now.
    pub(super) fn new(
        mut plan: HostPlan,
        seed: u64,
        wall: Timestamp,
        strangers: Arc<Strangers>,
    ) -> Arc<Self> {
        let vms = std::mem::take(&mut plan.vms);
        let seed = mix_text(seed, plan.name.as_str());
        let windows = plan.windows.take().map(|windows| {
            let machine = Machine {
                hostname: plan.hostname.clone(),
                cpus: plan.cpus,
                memory_kib: plan.memory_kib,
                seed,
            };
            WinHost::new(windows, machine, wall)
        });
        Arc::new(Self {
            windows,
            world: Mutex::new(World::new(vms, seed, Instant::now(), wall)),
            faults: Mutex::new(plan.faults.clone()),
            seats: Seats::default(),
            keyboards: Keyboards::default(),
            agents: Agents::default(),
            planned: Notify::new(),
            wanted_up: watch::Sender::new(true),
            silent: watch::Sender::new(false),
            is_up: watch::Sender::new(false),
            tally: Arc::default(),
            strangers,
            plan,
        })
    }

    /// What its SSH server says first.
    pub(super) const fn banner(&self) -> &'static str {
        if self.windows.is_some() {
            "SSH-2.0-OpenSSH_for_Windows_9.5"
        } else {
            "SSH-2.0-OpenSSH_9.2p1"
        }
    }

    /// Looks at or changes the world as it is now.
    pub(super) fn world<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = lock(&self.world);
        world.advance(Instant::now());
        let planned = world.next_due();
        let result = act(&mut world);
        if world.next_due() != planned {
            self.planned.notify_one();
        }
        result
    }

    /// Returns what is wrong with the host now.
    pub(super) fn faults(&self) -> Faults {
        lock(&self.faults).clone()
    }

    /// Changes what is wrong with the host.
    pub(super) fn set_faults(&self, faults: Faults) {
        *lock(&self.faults) = faults;
    }

    pub(super) fn latency(&self) -> Duration {
        lock(&self.faults).latency
    }

    pub(super) fn stats_latency(&self) -> Duration {
        lock(&self.faults).stats_latency
    }

    pub(super) fn virsh_health(&self) -> VirshHealth {
        lock(&self.faults).virsh
    }

    pub(super) fn access(&self) -> Access {
        lock(&self.faults).access
    }

    /// Returns true when every change of this domain is refused.
    pub(super) fn refuses(&self, index: usize) -> bool {
        let refusing = lock(&self.faults).refusing.clone();
        self.world(|world| {
            let vm = world.vm(index);
            vm.is_some_and(|vm| refusing.contains(&vm.plan.name))
        })
    }

    pub(super) fn hangs(&self, command: &str) -> bool {
        lock(&self.faults).hangs(command)
    }

    /// Lets time pass: sleeps until something is due, so that events come when things happen and not
    /// when somebody asks.
    pub(super) async fn live(self: Arc<Self>, token: CancellationToken) {
        while !token.is_cancelled() {
            let due = self.world(|world| world.next_due());
            let wait = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = token.cancelled() => {}
                () = self.planned.notified() => {}
                () = wait => {}
            }
        }
    }

    fn set_away(&self, outage: Outage, away: bool) {
        if outage.silent {
            self.silent.send_replace(away);
        } else {
            self.wanted_up.send_replace(!away);
        }
    }

    /// Takes the host away and brings it back as its plan says.
    pub(super) async fn follow_outage(self: Arc<Self>, token: CancellationToken) {
        let Some(outage) = self.plan.outage else {
            return;
        };
        let mut wait = outage.after;
        loop {
            if !slept(&token, wait).await {
                return;
            }
            self.set_away(outage, true);
            if !slept(&token, outage.lasting).await {
                return;
            }
            self.set_away(outage, false);
            match outage.every {
                Some(every) => wait = every.saturating_sub(outage.lasting),
                None => return,
            }
        }
    }
}

/// Sleeps; returns false when told to end instead.
async fn slept(token: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = token.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
