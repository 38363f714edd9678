//! A fleet whose VMs have all those names, without hosts: an engine that answers from one snapshot.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, watch};
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::host::HypervisorKind;
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::domain::operation::OperationId;
use vmdeck::domain::policy::{self, PolicyQuery};
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::vm::{PowerState, RemoteDocument, Vm, VmDetail, VmProperty};
use vmdeck::fleet::FleetHandle;
use vmdeck::fleet::request::{Proposal, Request};
use vmdeck::task::Tasks;
use vmdeck::testing::{fleet, names};

/// Every name on one host; each also is a title, a description, a system, and a state nobody knows.
pub(crate) fn snapshot() -> FleetSnapshot {
    let names = names::hostile();
    let vms = names.iter().enumerate().map(|(n, name)| {
        let text = RemoteText::new(name);
        let state = match n % 3 {
            0 => PowerState::Stopped,
            1 => PowerState::Running,
            _ => PowerState::Unknown(text.clone()),
        };
        let mut vm = Vm::new(fleet::vm_id(1, n), text.clone(), state);
        let facts = Arc::make_mut(&mut vm.facts);
        facts.title = Some(text.clone());
        facts.description = Some(text.clone());
        facts.os = Some(text);
        vm
    });
    let spec = fleet::host_spec(1, "kvm1", None, &[]);
    let mut host = fleet::host(spec, HypervisorKind::Libvirt, vms.collect());
    let gaps = names.iter().map(|name| RemoteText::new(name)).collect();
    if let Some(inventory) = host.inventory.as_mut() {
        Arc::make_mut(inventory).gaps = gaps;
    }
    fleet::state(vec![host])
}

/// Starts it.
pub(crate) fn start(tasks: &Tasks) -> FleetHandle {
    let snapshot = Arc::new(snapshot());
    let (requests, inbox) = mpsc::channel(64);
    let (publish, snapshots) = watch::channel(Arc::clone(&snapshot));
    let (events, _) = broadcast::channel(16);
    drop(tasks.spawn("engine", serve(inbox, snapshot, publish)));
    FleetHandle::new(requests, snapshots, events)
}

async fn serve(
    mut inbox: mpsc::Receiver<Request>,
    state: Arc<FleetSnapshot>,
    _publish: watch::Sender<Arc<FleetSnapshot>>,
) {
    while let Some(request) = inbox.recv().await {
        match request {
            Request::Plan {
                vm,
                action,
                count,
                reply,
                ..
            } => {
                let plan = fleet::plan(&state, &vm, action.kind).unwrap();
                drop(reply.send(Ok(propose(&state, plan, action.kind, count))));
            }
            Request::Submit { submission, reply } => {
                let name = submission.plan.vm_name.shown();
                let why = format!("{name} was changed");
                drop(reply.send(Err::<OperationId, _>(Failure::new(
                    ErrorKind::Conflict,
                    why,
                ))));
            }
            Request::Detail { vm, reply } => {
                let (_, found) = state.vm(&vm).unwrap();
                drop(reply.send(Ok(Arc::new(detail(&found.name)))));
            }
            Request::AuditTail { reply, .. } => drop(reply.send(Ok(Vec::new()))),
            Request::Connect { reply, .. }
            | Request::ReadAgain { reply, .. }
            | Request::Refresh { reply, .. }
            | Request::Focus { reply, .. } => drop(reply.send(Ok(()))),
            other => drop(other),
        }
    }
}

/// A detail with the name wherever a host could put one.
fn detail(name: &RemoteText) -> VmDetail {
    VmDetail {
        properties: vec![VmProperty {
            name: "heartbeat".to_owned(),
            value: name.clone(),
        }],
        definition: RemoteDocument::new(name.raw()),
        gaps: vec![name.clone()],
        ..VmDetail::default()
    }
}

fn propose(
    state: &FleetSnapshot,
    plan: vmdeck::domain::operation::Plan,
    action: ActionKind,
    count: usize,
) -> Proposal {
    let verdict = policy::decide(
        &state.policy,
        &PolicyQuery {
            verb: action.into(),
            tier: None,
            host: "kvm1",
            tags: &[],
            door: vmdeck::domain::operation::Door::Once,
            user: "ann",
            count,
            read_only: false,
            host_read_only: false,
            snapshot_age: None,
        },
    );
    Proposal { plan, verdict }
}
