//! Mutated answers of hosts through whole drivers: no panic, every failure is of a kind and told in harmless
//! words, and the VMs whose own lines are whole are read as ever.
//!
//! Answers begin from what was recorded of a real host, and, for everything that is asked, from what a simulated
//! one says. Each suite has a small size, and its full one by `tests/campaign mutated`.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod heard;
mod hyperv;
mod libvirt;

use std::collections::VecDeque;

use async_trait::async_trait;
use vmdeck::domain::error_kind::Classify;
use vmdeck::domain::inventory::{HostInventory, Scope};
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::snapshot::VmSnapshot;
use vmdeck::domain::store::HostStores;
use vmdeck::domain::text::{RemoteText, is_hostile};
use vmdeck::domain::vm::{VmDetail, VmId};
use vmdeck::hypervisor::{Hypervisor, HypervisorError, ProgressSink};
use vmdeck::testing::mutate::Mutator;
use vmdeck::transport::{Chunk, RemoteProcess, TransportError};

use crate::support::campaign::{figure, seed};

/// Bytes of one mutated answer.
const LONGEST: usize = 64 * 1024;

/// Answers that a suite mutates with every run of the tests.
const FEW: usize = 3_000;

/// Answers that it mutates in the campaign: 62,500 of all suites together.
const MANY: usize = 12_500;

fn mutator(words: &[&str]) -> Mutator {
    Mutator::new(seed(1), LONGEST, words)
}

/// What a driver made of what it was told.
#[derive(Debug, Default)]
struct Tally {
    /// Questions whose answers could be read, whatever is missing in them.
    read: usize,
    /// Questions that failed, each in a way that has a kind and words.
    failed: usize,
}

impl Tally {
    /// Judges one answer: `look` at what was read of it.
    fn judge<T>(&mut self, told: &Result<T, HypervisorError>, look: impl FnOnce(&T)) {
        match told {
            Ok(read) => {
                self.read += 1;
                look(read);
            }
            Err(error) => {
                self.failed += 1;
                judged(error);
            }
        }
    }

    /// Asks what is asked on every tick, and what is asked of a VM that somebody looks at.
    async fn ask_often(&mut self, driver: &dyn Hypervisor, vm: &VmId) {
        self.judge(&driver.probe().await, |found| {
            shown([&found.version]);
            shown(&found.remarks);
        });
        for scope in [Scope::Full, Scope::Fast, Scope::Fast] {
            self.judge(&driver.inventory(scope).await, judged_inventory);
        }
        self.judge(&driver.detail(vm).await, judged_detail);
    }

    /// Asks everything else that changes nothing.
    async fn ask_rarely(&mut self, driver: &dyn Hypervisor, vm: &VmId) {
        self.judge(&driver.snapshots(vm).await, |found| judged_snapshots(found));
        self.judge(&driver.settings(vm).await, |settings| {
            shown(settings.title.iter().chain(&settings.description));
        });
        self.judge(&driver.definition(vm).await, |_| ());
        self.judge(&driver.stores().await, judged_stores);
        for check in driver.checks().await {
            harmless(check.seen.shown());
            assert!(check.ok != Some(false) || check.fix.is_some(), "{check:?}");
        }
    }

    /// Runs the commands of actions.
    async fn act(&mut self, driver: &dyn Hypervisor, actions: &[Vec<RemoteCommand>]) {
        for commands in actions {
            let done = driver.perform(commands, &ProgressSink::unheard()).await;
            self.judge(&done, |()| ());
        }
    }

    fn print(&self, suite: &str, spoilt: usize) {
        let Self { read, failed } = self;
        assert!(*read > 0 && *failed > 0, "{suite}: {self:?}");
        let told = format!("{spoilt} answers spoilt: {read} questions read, {failed} failed");
        figure("mutated", suite, told);
    }
}

#[track_caller]
fn harmless(text: &str) {
    assert!(!text.chars().any(is_hostile), "{text:?}");
}

fn shown<'a>(texts: impl IntoIterator<Item = &'a RemoteText>) {
    for text in texts {
        harmless(text.shown());
    }
}

/// A failure is of a kind, in few and harmless words.
fn judged(error: &HypervisorError) {
    let words = error.to_string();
    harmless(&words);
    assert!(
        (1..=32 * 1024).contains(&words.len()),
        "{} bytes",
        words.len()
    );
    assert!(!error.kind().word().is_empty());
    if let Some(hint) = error.hint() {
        harmless(&hint.to_string());
    }
}

/// Asserts that each of them is told once.
#[track_caller]
fn each_once<T: Ord + std::fmt::Debug>(all: impl IntoIterator<Item = T>) {
    let mut all: Vec<T> = all.into_iter().collect();
    all.sort();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
}

fn judged_inventory(inventory: &HostInventory) {
    each_once(inventory.vms.iter().map(|vm| &vm.id));
    shown(inventory.vms.iter().map(|vm| &vm.name));
    shown(&inventory.gaps);
}

fn judged_detail(detail: &VmDetail) {
    shown(&detail.gaps);
    shown(&detail.definition.0);
    shown(detail.properties.iter().map(|property| &property.value));
    shown(detail.snapshots.iter().map(|snapshot| &snapshot.name));
    shown(detail.disks.iter().map(|disk| &disk.target));
    shown(detail.nics.iter().map(|nic| &nic.mac));
}

/// Each is there once, and parents stand before their children, but for those of a ring.
fn judged_snapshots(snapshots: &[VmSnapshot]) {
    let ids: Vec<&str> = snapshots.iter().map(|one| one.id.raw()).collect();
    each_once(ids.iter());
    let parent_of = |at: usize| {
        let parent = snapshots[at].parent.as_ref()?.raw();
        ids.iter().position(|id| *id == parent)
    };
    for (at, snapshot) in snapshots.iter().enumerate() {
        harmless(snapshot.name.shown());
        let Some(parent) = parent_of(at) else {
            continue;
        };
        let upwards = std::iter::successors(Some(at), |at| parent_of(*at));
        let is_of_a_ring = upwards.take(ids.len() + 1).count() > ids.len();
        assert!(parent < at || is_of_a_ring, "{snapshots:?}");
    }
}

fn judged_stores(stores: &HostStores) {
    shown(&stores.gaps);
    if let Ok(pools) = &stores.pools {
        each_once(pools.iter().filter_map(|pool| pool.id.as_ref()));
        shown(pools.iter().flat_map(|pool| &pool.gaps));
        let volumes = pools.iter().flat_map(|pool| pool.volumes.iter().flatten());
        shown(volumes.map(|volume| &volume.name));
    }
    if let Ok(networks) = &stores.networks {
        each_once(networks.iter().filter_map(|network| network.id.as_ref()));
        shown(networks.iter().flat_map(|network| &network.gaps));
        shown(networks.iter().flat_map(|network| &network.ranges));
    }
}

/// A process that says what it has to say and ends.
#[derive(Debug, Default)]
struct Said(VecDeque<Chunk>);

impl Said {
    fn stdout(bytes: Vec<u8>) -> Self {
        let exit = Chunk::Exit(vmdeck::transport::ExitStatus::Code(0));
        Self([Chunk::Stdout(bytes), exit].into())
    }
}

#[async_trait]
impl RemoteProcess for Said {
    async fn read(&mut self) -> Result<Chunk, TransportError> {
        Ok(self.0.pop_front().unwrap_or(Chunk::Closed))
    }

    async fn write(&mut self, _bytes: &[u8]) -> Result<(), TransportError> {
        Ok(())
    }

    async fn close(&mut self) {}
}
