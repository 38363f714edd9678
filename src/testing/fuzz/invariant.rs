//! What must hold for everything that outside bytes become.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::error_kind::Classify;
use crate::domain::inventory::HostInventory;
use crate::domain::text::{MAX_TEXT_BYTES, RemoteText, is_hostile};
use crate::domain::vm::{PowerState, Vm, VmDetail, VmFacts};

/// Between two parts of an input, for parsers that read several texts.
const PART: &[u8] = b"\n%%\n";

/// Bytes that one message to a person may have: a remote text, and the words around it.
const LONGEST_MESSAGE: usize = 4 * MAX_TEXT_BYTES;

/// Asserts that no terminal acts on a text.
pub(crate) fn harmless(text: &str) {
    let found = text.chars().find(|c| is_hostile(*c));
    assert_eq!(found, None, "a terminal would act on {text:?}");
}

/// Asserts that a remote text is bounded and its shown form harmless.
pub(crate) fn shown(text: &RemoteText) {
    harmless(text.shown());
    assert!(
        text.raw().len() <= MAX_TEXT_BYTES + 3,
        "{} bytes of text were kept",
        text.raw().len()
    );
}

/// Asserts the same of several.
pub(crate) fn all_shown<'a>(texts: impl IntoIterator<Item = &'a RemoteText>) {
    texts.into_iter().for_each(shown);
}

/// Asserts that a failure can be told to a person: in harmless words, not too many, and of a kind.
pub(crate) fn told<E: Classify + std::fmt::Display>(error: &E) {
    said(&error.to_string());
    if let Some(hint) = error.hint() {
        said(&hint.to_string());
    }
}

/// Asserts the same of a message.
pub(crate) fn said(message: &str) {
    assert!(!message.is_empty(), "a failure without words");
    assert!(
        message.len() <= LONGEST_MESSAGE,
        "a message of {} bytes",
        message.len()
    );
    harmless(message);
}

/// Splits an input into parts at lines that are `%%`; there is always one.
pub(crate) fn parts(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(PART.len()).position(|part| part == PART) {
        let (part, after) = rest.split_at(at);
        parts.push(part);
        rest = after.get(PART.len()..).unwrap_or_default();
    }
    parts.push(rest);
    parts
}

/// Cuts an input into pieces whose lengths depend on it, for readers of streams.
pub(crate) fn pieces(data: &[u8]) -> Vec<&[u8]> {
    let mut seed = data.iter().fold(data.len(), |sum, byte| {
        sum.rotate_left(5) ^ usize::from(*byte)
    });
    let mut pieces = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let length = 1 + (seed >> 33) % 64;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Asserts that everything of an inventory can be shown and every VM stands in it once, in order.
pub(crate) fn inventory(inventory: &HostInventory) {
    vms(&inventory.vms);
    all_shown(&inventory.gaps);
}

/// Asserts that everything of VMs can be shown, each stands there once, and they are in order.
pub(crate) fn vms(vms: &[Arc<Vm>]) {
    let mut ids = HashSet::new();
    for vm in vms {
        assert!(ids.insert(&vm.id), "{} stands there twice", vm.id);
        shown(&vm.name);
        harmless(vm.state.word());
        if let PowerState::Unknown(word) = &vm.state {
            shown(word);
        }
        if let Some(share) = vm.stats.cpu {
            assert!((0.0..=100.0).contains(&share.value()), "{share:?}");
        }
        facts(&vm.facts);
    }
    let ordered =
        vms.is_sorted_by(|one, other| (one.name.raw(), &one.id) <= (other.name.raw(), &other.id));
    assert!(ordered, "the VMs are not in order");
}

/// Asserts that slow facts can be shown.
pub(crate) fn facts(facts: &VmFacts) {
    all_shown(
        facts
            .title
            .iter()
            .chain(&facts.description)
            .chain(&facts.os),
    );
}

/// Asserts that everything about one VM can be shown, and that its tree of snapshots is one.
pub(crate) fn detail(detail: &VmDetail) {
    facts(&detail.facts);
    for disk in &detail.disks {
        all_shown([&disk.target, &disk.device]);
        all_shown(disk.source.iter().chain(&disk.format).chain(&disk.bus));
        for image in &disk.chain {
            shown(&image.path);
            all_shown(image.format.iter().chain(&image.kind));
        }
    }
    for nic in &detail.nics {
        all_shown([&nic.mac, &nic.kind]);
        all_shown(nic.device.iter().chain(&nic.network).chain(&nic.model));
    }
    for snapshot in &detail.snapshots {
        all_shown([&snapshot.id, &snapshot.name]);
        all_shown(&snapshot.parent);
        assert!(detail.depth_of(snapshot) <= detail.snapshots.len());
    }
    for property in &detail.properties {
        harmless(&property.name);
        shown(&property.value);
    }
    all_shown(&detail.definition.0);
    all_shown(&detail.gaps);
}
