//! Mutated answers of hosts through whole drivers: no panic, every failure is of a kind and told in harmless
//! words, and the VMs whose own lines are whole are read as ever.
//!
//! `VMDECK_MUTATIONS` says how many answers are mutated by each suite (3,000 by itself), `VMDECK_FUZZ_SEED`
//! which ones. The whole campaign is 50,000 of them: `VMDECK_MUTATIONS=17000 cargo nextest run --test mutated`.

#![cfg(test)]

mod hyperv;
mod libvirt;

use vmdeck::domain::error_kind::Classify;
use vmdeck::domain::inventory::HostInventory;
use vmdeck::domain::text::{RemoteText, is_hostile};
use vmdeck::domain::vm::VmDetail;
use vmdeck::hypervisor::HypervisorError;
use vmdeck::testing::mutate::Mutator;

/// Bytes of one mutated answer.
const LONGEST: usize = 64 * 1024;

#[expect(
    clippy::disallowed_methods,
    reason = "the size of a campaign is said from outside"
)]
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a whole number"))
}

/// How many answers a suite mutates.
fn wanted() -> u64 {
    setting("VMDECK_MUTATIONS", 3_000)
}

fn mutator(words: &[&str]) -> Mutator {
    Mutator::new(setting("VMDECK_FUZZ_SEED", 1), LONGEST, words)
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

fn judged_inventory(read: &Result<HostInventory, HypervisorError>) {
    match read {
        Ok(inventory) => {
            let mut ids: Vec<&str> = inventory.vms.iter().map(|vm| vm.id.as_str()).collect();
            ids.sort_unstable();
            assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "a VM twice");
            shown(inventory.vms.iter().map(|vm| &vm.name));
            shown(&inventory.gaps);
        }
        Err(error) => judged(error),
    }
}

fn judged_detail(read: &Result<VmDetail, HypervisorError>) {
    match read {
        Ok(detail) => {
            shown(&detail.gaps);
            shown(&detail.definition.0);
            shown(detail.properties.iter().map(|property| &property.value));
            shown(detail.snapshots.iter().map(|snapshot| &snapshot.name));
            shown(detail.disks.iter().map(|disk| &disk.target));
            shown(detail.nics.iter().map(|nic| &nic.mac));
        }
        Err(error) => judged(error),
    }
}
