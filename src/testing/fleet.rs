//! Invented fleets at a fixed moment: one with everything a screen can meet, one of any size.
//!
//! The same values serve the screen's tests, its benchmarks and the pictures in the docs.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "every literal here is sound; a test double that is not has to fail loudly"
)]

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::action::{Action, ActionKind};
use crate::domain::capability::{Capabilities, GuestPrograms};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::health::HostHealth;
use crate::domain::host::{Endpoint, HostId, HostName, HostSpec, HypervisorKind};
use crate::domain::inventory::{
    AuditState, FleetSnapshot, HostInventory, HostLoad, HostSnapshot, LockState,
};
use crate::domain::operation::{Actor, Door, Operation, OperationId, Outcome, Phase, Plan};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::snapshot::VmSnapshot;
use crate::domain::text::RemoteText;
use crate::domain::units::{Bytes, Percent};
use crate::domain::vm::{AddressSource, PowerState, Vm, VmAddress, VmFacts, VmId, VmRef, VmStats};

const GIB: u64 = 1024 * 1024 * 1024;

/// The moment at which the invented fleets stand still.
pub fn now() -> Timestamp {
    "2026-03-14T09:26:53Z".parse().expect("a timestamp")
}

/// The person at the terminal.
pub fn actor() -> Actor {
    Actor {
        door: Door::Tui,
        user: "ann".to_owned(),
        key: None,
        client_ip: None,
    }
}

/// The id of the `n`th VM of a host.
pub fn vm_id(host: i64, n: usize) -> VmId {
    let text = format!("{:08x}-d683-4da0-8931-{:012x}", 0x6c09_0000 + n, host);
    VmId::parse(&text).expect("a uuid")
}

/// A seconds-ago moment.
fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

/// A host as `host add` makes it, with a tier and tags.
pub fn host_spec(id: i64, name: &str, tier: Option<&str>, tags: &[&str]) -> HostSpec {
    let name: HostName = name.parse().expect("a host name");
    let endpoint: Endpoint = format!("10.0.0.{id}").parse().expect("an address");
    let mut spec = HostSpec::new(name, endpoint);
    spec.id = HostId(id);
    spec.user = Some("ops".parse().expect("a user"));
    spec.tier = tier.map(|tier| tier.parse().expect("a tier"));
    spec.tags = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
    spec
}

/// What a probe of a host found.
pub fn capabilities(kind: HypervisorKind) -> Capabilities {
    Capabilities {
        kind,
        version: RemoteText::new(match kind {
            HypervisorKind::Libvirt => "libvirt 9.0.0, QEMU 7.2.22",
            HypervisorKind::HyperV => "Hyper-V 10.0.20348",
        }),
        connection: (kind == HypervisorKind::Libvirt).then(|| RemoteText::new("qemu:///system")),
        actions: ActionKind::ALL.into_iter().collect(),
        channel: "kept virsh".to_owned(),
        programs: match kind {
            HypervisorKind::Libvirt => GuestPrograms::Agent,
            HypervisorKind::HyperV => GuestPrograms::Account,
        },
        events: true,
        host_cpus: Some(16),
        host_memory: Some(Bytes(64 * GIB)),
        remarks: Vec::new(),
    }
}

/// A host that answers and has said this.
pub fn host(spec: HostSpec, kind: HypervisorKind, vms: Vec<Vm>) -> HostSnapshot {
    let load = HostLoad {
        cpu: Some(Percent::new(38.0)),
        memory_used: Some(Bytes(45 * GIB)),
        memory_total: Some(Bytes(64 * GIB)),
    };
    HostSnapshot {
        spec: Arc::new(spec),
        health: HostHealth::Online,
        since: ago(86_400),
        capabilities: Some(Arc::new(capabilities(kind))),
        inventory: Some(Arc::new(HostInventory {
            vms: vms.into_iter().map(Arc::new).collect(),
            load,
            gaps: Vec::new(),
        })),
        observed_at: Some(ago(1)),
        from_cache: false,
        latency: Some(Duration::from_millis(23)),
        tick: Duration::from_secs(3),
    }
}

/// A running VM: load in percent, memory used and assigned in tenths of GiB, days up.
fn running(id: VmId, name: &str, cpu: f64, memory: (u64, u64), days: u64) -> Vm {
    let mut vm = Vm::new(id, RemoteText::new(name), PowerState::Running);
    vm.stats = VmStats {
        cpu: Some(Percent::new(cpu)),
        vcpus: Some(4),
        memory_used: Some(Bytes(memory.0 * GIB / 10)),
        memory_assigned: Some(Bytes(memory.1 * GIB / 10)),
        memory_from_guest: true,
        disk_read: Some(Bytes(4096 * 12)),
        disk_write: Some(Bytes(4096 * 310)),
        net_rx: Some(Bytes(1024 * 84)),
        net_tx: Some(Bytes(1024 * 17)),
        disk_allocated: Some(Bytes(21 * GIB)),
        disk_capacity: Some(Bytes(40 * GIB)),
        uptime: Some(Duration::from_secs(days * 86_400 + 4_000)),
        number: None,
    };
    vm
}

fn resting(id: VmId, name: &str, state: PowerState, memory: u64) -> Vm {
    let mut vm = Vm::new(id, RemoteText::new(name), state);
    vm.stats.vcpus = Some(2);
    vm.stats.memory_assigned = Some(Bytes(memory * GIB));
    vm
}

fn with_facts(mut vm: Vm, address: &str, source: AddressSource, snapshots: u32) -> Vm {
    vm.facts = Arc::new(VmFacts {
        addresses: Some(
            address
                .parse()
                .map(|ip| vec![VmAddress { ip, source }])
                .unwrap_or_default(),
        ),
        snapshots: Some(snapshots),
        snapshot_tree: None,
        autostart: Some(true),
        persistent: Some(true),
        title: None,
        description: Some(RemoteText::new("made by hand")),
        os: Some(RemoteText::new("Debian 12")),
    });
    vm
}

/// Gives a VM snapshots, parents first: name, the one it is based on, days since.
fn with_snapshots(mut vm: Vm, tree: &[(&str, Option<&str>, i64)]) -> Vm {
    let last = tree.len().saturating_sub(1);
    let tree: Vec<VmSnapshot> = tree
        .iter()
        .enumerate()
        .map(|(at, (name, parent, days))| VmSnapshot {
            parent: parent.map(RemoteText::new),
            taken: Some(ago(days * 86_400)),
            is_current: at == last,
            has_memory: Some(at > 0),
            description: (at == 0).then(|| RemoteText::new("ticket 4711")),
            ..VmSnapshot::new(RemoteText::new(name), RemoteText::new(name))
        })
        .collect();
    let facts = Arc::make_mut(&mut vm.facts);
    facts.snapshots = u32::try_from(tree.len()).ok();
    facts.snapshot_tree = Some(Arc::from(tree));
    vm
}

fn kvm1() -> HostSnapshot {
    let mut vms = vec![
        with_snapshots(
            with_facts(
                running(vm_id(1, 1), "build-07", 83.0, (142, 160), 12),
                "10.0.3.17",
                AddressSource::Agent,
                3,
            ),
            &[
                ("clean", None, 90),
                ("toolchain", Some("clean"), 12),
                ("before upgrade", Some("toolchain"), 1),
            ],
        ),
        with_facts(
            running(vm_id(1, 2), "ci-runner-1", 31.0, (51, 80), 3),
            "10.0.3.30",
            AddressSource::Lease,
            0,
        ),
        resting(vm_id(1, 3), "ci-runner-2", PowerState::Starting, 8),
        resting(vm_id(1, 4), "scratch", PowerState::Saved, 4),
    ];
    if let Some(vm) = vms.get_mut(3) {
        vm.facts = Arc::new(VmFacts {
            snapshots: Some(12),
            ..VmFacts::default()
        });
    }
    host(
        host_spec(1, "kvm1", Some("dev"), &["ci"]),
        HypervisorKind::Libvirt,
        vms,
    )
}

fn kvm2() -> HostSnapshot {
    let vms = vec![
        with_snapshots(
            with_facts(
                running(vm_id(2, 1), "db-main", 56.0, (301, 320), 211),
                "10.0.3.5",
                AddressSource::Agent,
                1,
            ),
            &[("schema 41", None, 40)],
        ),
        with_facts(
            running(vm_id(2, 2), "web-1", 4.0, (31, 80), 44),
            "10.0.3.21",
            AddressSource::Lease,
            0,
        ),
        with_facts(
            running(vm_id(2, 3), "web-2", 6.0, (33, 80), 44),
            "10.0.3.22",
            AddressSource::Lease,
            0,
        ),
    ];
    host(
        host_spec(2, "kvm2", Some("prod"), &["web", "db"]),
        HypervisorKind::Libvirt,
        vms,
    )
}

fn kvm3() -> HostSnapshot {
    let vms = vec![
        with_facts(
            running(vm_id(3, 1), "legacy", 7.0, (10, 20), 3),
            "10.0.9.4",
            AddressSource::Agent,
            0,
        ),
        resting(vm_id(3, 2), "old-wiki", PowerState::Stopped, 2),
    ];
    let mut lost = host(
        host_spec(3, "kvm3", None, &[]),
        HypervisorKind::Libvirt,
        vms,
    );
    lost.health = HostHealth::Offline {
        cause: Failure::new(
            ErrorKind::Unreachable,
            "could not reach kvm3 (10.0.0.3:22): connection timed out after 10 s",
        )
        .with_hint("check the address and the network, then press r"),
        next_try: now() + SignedDuration::from_secs(14),
        attempt: 5,
    };
    lost.since = ago(130);
    lost.observed_at = Some(ago(130));
    lost.latency = None;
    lost
}

fn kvm4() -> HostSnapshot {
    let mut panicked = resting(vm_id(4, 1), "fuzzer", PowerState::Crashed, 4);
    panicked.stats.uptime = None;
    let mut held = running(vm_id(4, 2), "staging-app", 0.0, (22, 40), 9);
    held.state = PowerState::Paused;
    held.stats.memory_from_guest = false;
    let mut late = host(
        host_spec(4, "kvm4", Some("stage"), &["web"]),
        HypervisorKind::Libvirt,
        vec![
            panicked,
            with_facts(held, "10.0.4.8", AddressSource::Arp, 2),
        ],
    );
    late.health = HostHealth::Degraded {
        cause: Failure::new(ErrorKind::Timeout, "the last read took 4.1 s"),
    };
    late.latency = Some(Duration::from_millis(4100));
    late.observed_at = Some(ago(5));
    late
}

fn hv1() -> HostSnapshot {
    let vms = vec![
        resting(vm_id(5, 1), "db-old", PowerState::Running, 4),
        resting(vm_id(5, 2), "win-test", PowerState::Stopped, 8),
    ];
    host(
        host_spec(5, "hv1", None, &["windows"]),
        HypervisorKind::HyperV,
        vms,
    )
}

/// A plan as the libvirt driver would make it.
pub fn plan(state: &FleetSnapshot, vm: &VmRef, action: ActionKind) -> Option<Plan> {
    let (host, found) = state.vm(vm)?;
    let word = match action {
        ActionKind::Shutdown => "shutdown",
        ActionKind::ForceOff => "destroy",
        ActionKind::Pause => "suspend",
        ActionKind::Save => "managedsave",
        ActionKind::AutostartOn | ActionKind::AutostartOff => "autostart",
        other => other.id(),
    };
    Some(Plan {
        vm: vm.clone(),
        vm_name: found.name.clone(),
        host_name: host.spec.name.clone(),
        action: Action::new(action),
        commands: vec![RemoteCommand::posix("virsh").args([word, "--domain", found.id.as_str()])],
        state: found.state.clone(),
        consequences: action
            .spec()
            .consequence
            .map(str::to_owned)
            .into_iter()
            .collect(),
    })
}

/// An operation on a VM, under way for some seconds.
pub fn operation(state: &FleetSnapshot, vm: &VmRef, action: ActionKind, seconds: i64) -> Operation {
    let plan = plan(state, vm, action).expect("a VM of the state");
    Operation {
        id: OperationId(Arc::from(format!("op-{}-{}", vm.host, action.id()))),
        plan: Arc::new(plan),
        actor: actor(),
        phase: Phase::Verifying,
        progress: None,
        outcome: None,
        started_at: ago(seconds),
        finished_at: None,
        state_after: None,
        withdrawn: false,
    }
}

/// A state from its hosts; ordered by name as the engine orders them.
pub fn state(mut hosts: Vec<HostSnapshot>) -> FleetSnapshot {
    hosts.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    FleetSnapshot {
        generation: 1,
        at: now(),
        profile: Arc::from("lab"),
        lock: LockState::Unlocked,
        read_only: false,
        lifts: Arc::from([]),
        audit: AuditState::Writable,
        policy: Arc::from([]),
        errors: 0,
        hosts: hosts.into_iter().map(Arc::new).collect(),
        operations: Vec::new(),
        store_operations: Vec::new(),
    }
}

/// Thirteen VMs on five hosts: every power state, a slow host, a dead one, an operation under way,
/// one that failed and one that was confirmed.
pub fn small() -> FleetSnapshot {
    let mut fleet = state(vec![kvm1(), kvm2(), kvm3(), kvm4(), hv1()]);
    let stopping = VmRef {
        host: HostId(5),
        vm: vm_id(5, 1),
    };
    let reset = VmRef {
        host: HostId(4),
        vm: vm_id(4, 1),
    };
    let started = VmRef {
        host: HostId(2),
        vm: vm_id(2, 3),
    };
    let mut done = operation(&fleet, &started, ActionKind::Reboot, 640);
    done.phase = Phase::Done;
    done.outcome = Some(Outcome::Confirmed);
    done.finished_at = Some(ago(622));
    done.state_after = Some(PowerState::Running);
    let mut failed = operation(&fleet, &reset, ActionKind::Reset, 95);
    failed.phase = Phase::Done;
    failed.outcome = Some(Outcome::Failed {
        cause: Failure::new(
            ErrorKind::Remote,
            "error: Requested operation is not valid: domain is not running",
        ),
    });
    failed.finished_at = Some(ago(94));
    let under_way = operation(&fleet, &stopping, ActionKind::Shutdown, 9);
    fleet.operations = vec![Arc::new(done), Arc::new(failed), Arc::new(under_way)];
    fleet
}

/// The same fleet some ticks earlier, with other loads: what spark lines are made of.
pub fn earlier(state: &FleetSnapshot, ticks: i32) -> FleetSnapshot {
    let mut before = state.clone();
    for host in &mut before.hosts {
        let host = Arc::make_mut(host);
        let by = SignedDuration::from_secs(3 * i64::from(ticks));
        host.observed_at = host.observed_at.map(|at| at - by);
        if let Some(inventory) = &mut host.inventory {
            let vms = &mut Arc::make_mut(inventory).vms;
            for (n, vm) in (0..).zip(vms.iter_mut()) {
                let turn = (n + ticks) % 3;
                let cpu = &mut Arc::make_mut(vm).stats.cpu;
                *cpu = cpu.map(|now| Percent::new(now.value() * (0.5 + 0.25 * f64::from(turn))));
            }
        }
    }
    before
}

/// A fleet of `hosts` hosts with `each` VMs, three of four running.
pub fn grid(hosts: usize, each: usize) -> FleetSnapshot {
    let made = (0..hosts).map(|at| {
        let id = i64::try_from(at + 1).unwrap_or(i64::MAX);
        let tier = ["prod", "stage", "dev"].get(at % 3).copied();
        let vms = (0..each).map(|n| {
            let word = ["web", "db", "ci", "app", "cache"].get(n % 5);
            let name = format!("{}-{n:03}", word.copied().unwrap_or("vm"));
            if n % 4 == 3 {
                resting(vm_id(id, n), &name, PowerState::Stopped, 4)
            } else {
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let load = ((n * 7 + at * 13) % 100) as f64;
                with_facts(
                    running(vm_id(id, n), &name, load, (21, 40), (n % 90) as u64),
                    &format!("10.{}.{}.{}", at % 250, n / 250, n % 250 + 1),
                    AddressSource::Lease,
                    u32::try_from(n % 4).unwrap_or(0),
                )
            }
        });
        let mut spec = host_spec(id % 250, &format!("kvm{id:03}"), tier, &["grid"]);
        spec.id = HostId(id);
        host(spec, HypervisorKind::Libvirt, vms.collect())
    });
    state(made.collect())
}
