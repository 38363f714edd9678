//! Everything about one VM but its snapshots, read when a person opens it. Each part that cannot be read is a gap in
//! the host's own words; the others are shown.

use std::time::Duration;

use super::address::{disk_sizes, merge, of_cards, plug};
use super::command::Line;
use super::definition::{self, Definition};
use super::kept::Reply;
use super::parse::labelled;
use super::verdict::judge_said;
use super::worker::{Patience, Worker};
use crate::domain::text::RemoteText;
use crate::domain::vm::{
    AddressSource, RemoteDocument, VmAddress, VmDetail, VmDisk, VmFacts, VmId,
};
use crate::hypervisor::HypervisorError;

/// How long all questions but the one to the agent may take.
const WITHIN: Duration = Duration::from_secs(8);

/// How long the agent inside the VM may take.
const AGENT_WITHIN: Duration = Duration::from_secs(3);

/// What is asked about one VM, but for the agent inside it.
pub(crate) fn questions(vm: &VmId) -> [Line; 5] {
    [
        // Never with --security-info: passwords of consoles stay on the host.
        Line::about("dumpxml", vm),
        Line::about("dominfo", vm),
        Line::about("domblkinfo", vm).with("--all"),
        Line::about("domifaddr", vm).with("--source lease"),
        Line::about("domifaddr", vm).with("--source arp"),
    ]
}

/// Reads everything about one VM.
pub(crate) async fn read(worker: &Worker, vm: &VmId) -> Result<VmDetail, HypervisorError> {
    let lines = questions(vm);
    let replies = worker.ask(&lines, WITHIN, Patience::Expects).await?;
    let Ok([xml, info, sizes, lease, arp]) = <[Reply; 5]>::try_from(replies) else {
        return Err(short_answer());
    };
    // Without definition and information there is no such VM, or no libvirt behind it any more.
    if let (Some(said), true) = (&xml.failure, info.failure.is_some()) {
        return Err(judge_said(worker.virsh(), said.clone()));
    }
    let mut gaps = Vec::new();
    let definition = take_definition(&xml, &mut gaps);
    let mut facts = VmFacts {
        title: definition.title,
        description: definition.description,
        os: definition.os,
        ..VmFacts::default()
    };
    take_info(&mut facts, &info, &mut gaps);
    let mut found = Vec::new();
    // An off VM has no addresses; that its sources say so is no gap.
    if is_running(&info) {
        for (reply, source, what) in [
            (&lease, AddressSource::Lease, "addresses from leases"),
            (
                &arp,
                AddressSource::Arp,
                "addresses from the neighbour table",
            ),
        ] {
            if sound(reply, what, &mut gaps) {
                found.extend(of_cards(&reply.stdout, source));
            }
        }
        if definition.agent_connected {
            found.extend(ask_agent(worker, vm, &mut gaps).await);
        }
    }
    let mut nics = definition.nics;
    plug(&mut nics, &found);
    facts.addresses = Some(merge(found.into_iter().map(|(_, address)| address)));
    let mut disks = definition.disks;
    if sound(&sizes, "sizes of disks", &mut gaps) {
        take_sizes(&mut disks, &sizes);
    }
    Ok(VmDetail {
        facts,
        disks,
        nics,
        information: RemoteDocument::new(String::from_utf8_lossy(&info.stdout).trim()),
        definition: RemoteDocument::new(String::from_utf8_lossy(&xml.stdout).trim_end()),
        gaps,
        ..VmDetail::default()
    })
}

fn take_definition(xml: &Reply, gaps: &mut Vec<RemoteText>) -> Definition {
    if !sound(xml, "definition", gaps) {
        return Definition::default();
    }
    definition::read(&xml.stdout).unwrap_or_else(|problem| {
        gaps.push(RemoteText::new(&format!(
            "definition: {}: {}",
            problem.what,
            problem.line.raw()
        )));
        Definition::default()
    })
}

/// Returns whether a VM starts together with its host, out of the lines of `dominfo`.
pub(super) fn autostart(pairs: &[(String, String)]) -> Option<bool> {
    let found = pairs.iter().find(|(name, _)| name == "Autostart");
    match found.map(|(_, value)| value.as_str()) {
        Some("enable") => Some(true),
        Some("disable") => Some(false),
        Some(_) | None => None,
    }
}

fn take_info(facts: &mut VmFacts, info: &Reply, gaps: &mut Vec<RemoteText>) {
    if !sound(info, "autostart", gaps) {
        return;
    }
    let pairs = labelled(&info.stdout);
    let of = |label: &str| {
        pairs
            .iter()
            .find(|(name, _)| name == label)
            .map(|(_, value)| value.as_str())
    };
    facts.autostart = autostart(&pairs);
    facts.persistent = match of("Persistent") {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        Some(_) | None => None,
    };
}

/// A VM has a number exactly while there is a process behind it.
fn is_running(info: &Reply) -> bool {
    labelled(&info.stdout)
        .iter()
        .any(|(label, value)| label == "Id" && value.parse::<u32>().is_ok())
}

async fn ask_agent(
    worker: &Worker,
    vm: &VmId,
    gaps: &mut Vec<RemoteText>,
) -> Vec<(String, VmAddress)> {
    let line = Line::about("domifaddr", vm).with("--source agent");
    let what = "addresses from the agent";
    match worker.ask(&[line], AGENT_WITHIN, Patience::MayHang).await {
        Ok(replies) => match replies.first() {
            Some(reply) if sound(reply, what, gaps) => {
                of_cards(&reply.stdout, AddressSource::Agent)
            }
            Some(_) | None => Vec::new(),
        },
        Err(error) => {
            gaps.push(RemoteText::new(&format!("{what}: {error}")));
            Vec::new()
        }
    }
}

fn take_sizes(disks: &mut [VmDisk], sizes: &Reply) {
    for (target, capacity, allocation) in disk_sizes(&sizes.stdout) {
        if let Some(disk) = disks.iter_mut().find(|disk| disk.target.raw() == target) {
            disk.capacity = capacity;
            disk.allocation = allocation;
            if let Some(image) = disk.chain.first_mut() {
                (image.capacity, image.allocation) = (capacity, allocation);
            }
        }
    }
}

/// Tells whether a reply can be used; when not, why goes to the gaps.
fn sound(reply: &Reply, what: &str, gaps: &mut Vec<RemoteText>) -> bool {
    match &reply.failure {
        None => true,
        Some(said) => {
            gaps.push(RemoteText::new(&format!("{what}: {}", said.raw())));
            false
        }
    }
}

fn short_answer() -> HypervisorError {
    HypervisorError::Unparsable {
        program: "virsh".to_owned(),
        what: "fewer answers than questions".to_owned(),
        said: RemoteText::new(""),
    }
}
