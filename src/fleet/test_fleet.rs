//! Small fleets for the unit tests of this folder.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::action::ActionKind;
use crate::domain::capability::{Capabilities, GuestPrograms};
use crate::domain::health::HostHealth;
use crate::domain::host::{Endpoint, HostId, HostSpec, HypervisorKind};
use crate::domain::inventory::{AuditState, FleetSnapshot, HostInventory, HostSnapshot, LockState};
use crate::domain::operation::{
    Actor, Consent, Door, Operation, OperationId, Outcome, Phase, Plan, Submission,
};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, Vm, VmId, VmRef};

pub(super) fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

pub(super) fn vm_id(n: u8) -> VmId {
    VmId::parse(&format!("6c09bb55-d683-4da0-8931-c9bf705f64{n:02}")).unwrap()
}

pub(super) fn vm_ref(n: u8) -> VmRef {
    VmRef {
        host: HostId(1),
        vm: vm_id(n),
    }
}

pub(super) fn vm(n: u8, name: &str, state: PowerState) -> Arc<Vm> {
    Arc::new(Vm::new(vm_id(n), RemoteText::new(name), state))
}

pub(super) fn inventory(vms: Vec<Arc<Vm>>) -> Arc<HostInventory> {
    Arc::new(HostInventory {
        vms,
        ..HostInventory::default()
    })
}

pub(super) fn capabilities(actions: &[ActionKind]) -> Capabilities {
    Capabilities {
        kind: HypervisorKind::Libvirt,
        version: RemoteText::new("libvirt 9.0.0"),
        connection: None,
        actions: actions.iter().copied().collect(),
        channel: "kept virsh".to_owned(),
        programs: GuestPrograms::Agent,
        events: true,
        host_cpus: None,
        host_memory: None,
        remarks: Vec::new(),
    }
}

pub(super) fn spec(id: i64, name: &str) -> HostSpec {
    let mut spec = HostSpec::new(name.parse().unwrap(), Endpoint::new(name, 22));
    spec.id = HostId(id);
    spec
}

pub(super) fn host(vms: Vec<Arc<Vm>>) -> HostSnapshot {
    HostSnapshot {
        spec: Arc::new(spec(1, "kvm1")),
        health: HostHealth::Online,
        since: now(),
        capabilities: Some(Arc::new(capabilities(&ActionKind::ALL))),
        inventory: Some(inventory(vms)),
        observed_at: Some(now()),
        from_cache: false,
        latency: None,
        tick: Duration::from_secs(3),
    }
}

pub(super) fn fleet(hosts: Vec<Arc<HostSnapshot>>) -> FleetSnapshot {
    FleetSnapshot {
        generation: 1,
        at: now(),
        profile: Arc::from("lab"),
        lock: LockState::Unlocked,
        read_only: false,
        lifts: Arc::new([]),
        audit: AuditState::Writable,
        policy: Arc::new([]),
        errors: 0,
        hosts,
        operations: Vec::new(),
        store_operations: Vec::new(),
    }
}

pub(super) fn actor() -> Actor {
    Actor {
        door: Door::Tui,
        user: "ann".to_owned(),
        key: None,
        client_ip: None,
    }
}

pub(super) fn plan(n: u8, action: ActionKind, state: PowerState) -> Plan {
    Plan {
        vm: vm_ref(n),
        vm_name: RemoteText::new(&format!("web-{n}")),
        host_name: "kvm1".parse().unwrap(),
        action: action.into(),
        commands: vec![RemoteCommand::posix("virsh").arg(action.id())],
        state,
        consequences: Vec::new(),
    }
}

pub(super) fn submission(plan: Plan) -> Submission {
    Submission {
        plan,
        actor: actor(),
        consent: Consent::Confirmed,
        count: 1,
        deadline: None,
    }
}

pub(super) fn operation(n: u8, action: ActionKind, outcome: Option<Outcome>) -> Arc<Operation> {
    Arc::new(Operation {
        id: OperationId(Arc::from(format!("op-{n}-{action}"))),
        plan: Arc::new(plan(n, action, PowerState::Running)),
        actor: actor(),
        phase: if outcome.is_some() {
            Phase::Done
        } else {
            Phase::Verifying
        },
        progress: None,
        outcome,
        started_at: now() - Duration::from_secs(2),
        finished_at: None,
        state_after: None,
        withdrawn: false,
    })
}
