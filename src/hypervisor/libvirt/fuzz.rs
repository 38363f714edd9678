//! Fuzz targets of what `virsh` and the process table print. See `crate::testing::fuzz`.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::command::{Line, Virsh};
use super::inventory::{Memory, Moment};
use super::kept::Kept;
use super::{
    address, definition, display, events, guest, node, parse, snapshot, store_parse, uptime,
    verdict,
};
use crate::domain::guest_command::GuestOutput;
use crate::domain::host::{Endpoint, HostName, HostSpec};
use crate::domain::vm::{AddressSource, RemoteDocument, VmDetail, VmFacts, VmId};
use crate::hypervisor::PollHint;
use crate::testing::fuzz::invariant::{
    all_shown, detail, harmless, parts, pieces, shown, told, vms,
};
use crate::transport::{Chunk, ExitStatus, RemoteProcess, TransportError};

fn moment(seconds: u64, began: Instant) -> Moment {
    let wall = Timestamp::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
    Moment {
        at: began + Duration::from_secs(seconds),
        wall,
    }
}

/// Tables with a line for each thing: names, ids, labels, addresses, sizes.
pub(crate) fn tables(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n').count();
    let names = parse::names(data);
    assert!(names.pairs.len() + names.strays.len() <= lines);
    all_shown(&names.strays);
    assert!(parse::ids(data).len() <= lines);
    assert!(parse::labelled(data).len() <= lines);
    parse::versions(data);
    let found = address::addresses(data, AddressSource::Lease);
    assert!(found.len() <= lines);
    let merged = address::merge(found.clone());
    assert!(merged.len() <= found.len());
    assert_eq!(address::merge(merged.clone()), merged);
    assert!(address::disk_sizes(data).len() <= lines);
    node::info(data);
    drop(display::read(data));
    let volumes = store_parse::volumes(data);
    assert!(volumes.len() <= lines);
    for volume in &volumes {
        shown(&volume.name);
    }
    assert!(store_parse::disks(data).disks.len() <= lines);
    assert!(store_parse::cards(data).0.len() <= lines);
    assert!(usize::try_from(store_parse::rows(data)).is_ok_and(|rows| rows <= lines));
}

/// What a guest agent answers about programs.
pub(crate) fn agent_answers(data: &[u8]) {
    for read in guest::read_both(data) {
        match read {
            Ok(Some(run)) => {
                for output in [run.stdout, run.stderr] {
                    assert!(output.bytes.len() <= data.len().min(GuestOutput::MOST));
                    all_shown(&output.lines());
                }
            }
            Ok(None) => {}
            Err(error) => harmless(&error.to_string()),
        }
    }
}

/// `list --uuid --name`, then readings of `domstats --raw`, joined one after the other.
pub(crate) fn domstats(data: &[u8]) {
    let parts = parts(data);
    let Some((list, readings)) = parts.split_first() else {
        return;
    };
    let names = parse::names(list);
    let listed = names.pairs.len();
    let mut memory = Memory::default();
    memory.learn_names(names);
    let began = Instant::now();
    for (reading, seconds) in readings.iter().zip((0..).step_by(2)) {
        let now = moment(seconds, began);
        match parse::domstats(reading) {
            Ok(records) => {
                let (joined, gaps) = memory.join(&records, now);
                assert!(joined.len() <= listed.min(records.len()));
                vms(&joined);
                all_shown(&gaps);
                if memory.knows_exactly(&records) && gaps.is_empty() {
                    assert_eq!(joined.len(), listed);
                }
            }
            Err(problem) => {
                harmless(problem.what);
                shown(&problem.line);
            }
        }
        memory.learn_load(reading, reading, now);
        let load = memory.load();
        if let Some((used, total)) = load.memory_used.zip(load.memory_total) {
            assert!(used <= total);
        }
        memory.learn_starts(&uptime::starts(reading, now.wall));
    }
}

/// `dumpxml`, and the document that is shown of it.
pub(crate) fn domain_xml(data: &[u8]) {
    match definition::read(data) {
        Ok(read) => detail(&VmDetail {
            facts: VmFacts {
                title: read.title,
                description: read.description,
                os: read.os,
                ..VmFacts::default()
            },
            disks: read.disks,
            nics: read.nics,
            ..VmDetail::default()
        }),
        Err(problem) => {
            harmless(problem.what);
            shown(&problem.line);
        }
    }
    if let Ok(found) = snapshot::definition(data) {
        detail(&VmDetail {
            snapshots: vec![found],
            ..VmDetail::default()
        });
    }
    stores(data);
    all_shown(&RemoteDocument::new(&String::from_utf8_lossy(data)).0);
}

/// Definitions of pools, volumes and networks, and where a VM's lead to.
fn stores(data: &[u8]) {
    if let Ok(mut pool) = store_parse::pool(data) {
        store_parse::take_pool_info(&mut pool, data);
        shown(&pool.name);
    }
    if let Ok(volume) = store_parse::volume(data) {
        shown(&volume.name);
    }
    if let Ok(mut network) = store_parse::network(data) {
        store_parse::take_network_info(&mut network, data);
        shown(&network.name);
        all_shown(&network.ranges);
    }
    if let Err(problem) = definition::wired(data) {
        harmless(problem.what);
        shown(&problem.line);
    }
}

/// Lines of `virsh event`: restarts are told whatever the pieces they come in.
pub(crate) fn announcements(data: &[u8]) {
    let restarts = |hints: Vec<PollHint>| -> Vec<PollHint> {
        hints
            .into_iter()
            .filter(|hint| matches!(hint, PollHint::Restarted { .. }))
            .collect()
    };
    let mut unfinished = Vec::new();
    let whole = restarts(events::take_lines(&mut unfinished, data));
    let left = unfinished.len();
    assert!(left <= events::MAX_KEPT);
    let mut unfinished = Vec::new();
    let mut in_pieces = Vec::new();
    for piece in pieces(data) {
        in_pieces.extend(restarts(events::take_lines(&mut unfinished, piece)));
    }
    assert_eq!(whole, in_pieces);
    assert_eq!(unfinished.len(), left);
    for hint in &whole {
        if let PollHint::Restarted { vm } = hint {
            shown(vm);
        }
    }
}

/// `SECONDS UUID` of the process table.
pub(crate) fn processes(data: &[u8]) {
    let now = Timestamp::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let starts: HashMap<VmId, Timestamp> = uptime::starts(data, now);
    assert!(starts.len() <= data.len() / 38 + 1);
    for started in starts.values() {
        assert!(*started <= now);
    }
}

/// What `virsh` and `sudo` write to standard error.
pub(crate) fn complaints(data: &[u8]) {
    shown(&verdict::said(data));
    let Ok(name) = "kvm1".parse::<HostName>() else {
        return;
    };
    let mut spec = HostSpec::new(name, Endpoint::new("192.0.2.7", 22));
    for sudo in [false, true] {
        spec.sudo = sudo;
        let virsh = Virsh::of(&spec);
        for status in [
            ExitStatus::Code(1),
            ExitStatus::Code(124),
            ExitStatus::Code(126),
            ExitStatus::Code(127),
            ExitStatus::Missing,
        ] {
            told(&verdict::judge(
                &virsh,
                &status,
                data,
                Duration::from_secs(1),
            ));
        }
        told(&verdict::judge_said(&virsh, verdict::said(data)));
    }
}

/// What a kept `virsh` prints: answers between marks, echoes and prompts.
pub(crate) fn kept_answers(data: &[u8]) {
    let parts = parts(data);
    let of = |index: usize| parts.get(index).copied().unwrap_or_default();
    let (mut stdout, mut stderr) = (pieces(of(0)).into_iter(), pieces(of(1)).into_iter());
    let mut says = VecDeque::new();
    loop {
        let before = says.len();
        says.extend(stdout.next().map(|piece| Chunk::Stdout(piece.to_vec())));
        says.extend(stderr.next().map(|piece| Chunk::Stderr(piece.to_vec())));
        if says.len() == before {
            break;
        }
    }
    says.push_back(Chunk::Exit(ExitStatus::Code(0)));
    let mut kept = Kept::with_nonce(Box::new(Says(says)), 0);
    let lines = [Line::new("version"), Line::new("domstats --raw")];
    let session = async {
        kept.begin(&lines).await?;
        kept.greet().await?;
        kept.ask(&lines, &[], data.len()).await
    };
    // It never waits: everything is said already.
    let Some(Ok(replies)) = session.now_or_never() else {
        return;
    };
    assert_eq!(replies.len(), lines.len());
    let kept_bytes: usize = replies.iter().map(|reply| reply.stdout.len()).sum();
    assert!(kept_bytes <= of(0).len());
    all_shown(replies.iter().filter_map(|reply| reply.failure.as_ref()));
}

/// A process that has said everything already.
#[derive(Debug)]
struct Says(VecDeque<Chunk>);

#[async_trait]
impl RemoteProcess for Says {
    async fn read(&mut self) -> Result<Chunk, TransportError> {
        Ok(self.0.pop_front().unwrap_or(Chunk::Closed))
    }

    async fn write(&mut self, _bytes: &[u8]) -> Result<(), TransportError> {
        Ok(())
    }

    async fn close(&mut self) {}
}
