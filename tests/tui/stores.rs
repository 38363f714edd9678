//! Storage and networks on the screen: what is read, what is marked, and what the keys there do.

use std::sync::Arc;
use std::time::Duration;

use vmdeck::domain::action::Ask;
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::host::{HostId, HypervisorKind};
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::domain::operation::{OperationId, Outcome, Phase};
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::store::{
    HostStores, Network, Pool, StoreId, StoreKind, StoreRef, StoreState, StoreUser, Volume,
    VolumeUse,
};
use vmdeck::domain::store_action::{
    StorePlan, StoreProposal, StoreResult, StoreVerb, consequences, found, running,
};
use vmdeck::domain::store_operation::StoreOperation;
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::units::Bytes;
use vmdeck::domain::vm::VmId;
use vmdeck::fleet::request::StoreRequest;
use vmdeck::testing::fleet;
use vmdeck::tui::effect::Local;

use crate::harness::Screen;

const GIB: u64 = 1 << 30;

fn text(text: &str) -> RemoteText {
    RemoteText::new(text)
}

fn id(n: u8) -> StoreId {
    StoreId::parse(&format!("6c09bb55-d683-4da0-8931-c9bf705f64{n:02}")).unwrap()
}

fn user(name: &str) -> StoreUser {
    StoreUser {
        vm: text(name),
        id: VmId::parse(id(90).as_str()).unwrap(),
        running: Some(true),
    }
}

/// What a libvirt host tells.
fn libvirt() -> HostStores {
    let volume = |name: &str, gib: u64, usage| Volume {
        path: Some(text(&format!("/var/lib/libvirt/images/{name}"))),
        format: Some(text("qcow2")),
        capacity: Some(Bytes(gib * GIB)),
        allocation: Some(Bytes(gib * GIB / 3)),
        usage,
        ..Volume::named(text(name))
    };
    let images = Pool {
        id: Some(id(1)),
        kind: Some(text("dir")),
        state: Some(StoreState::Active),
        autostart: Some(true),
        persistent: Some(true),
        capacity: Some(Bytes(500 * GIB)),
        allocation: Some(Bytes(440 * GIB)),
        available: Some(Bytes(60 * GIB)),
        path: Some(text("/var/lib/libvirt/images")),
        volumes: Some(vec![
            volume("base.qcow2", 10, VolumeUse::Base(vec![text("web-1.qcow2")])),
            volume("old\u{1b}[2Jexport.qcow2", 80, VolumeUse::Unattached),
            volume("web-1.qcow2", 40, VolumeUse::Disk(vec![user("web-1")])),
        ]),
        ..Pool::named(text("images"))
    };
    let archive = Pool {
        id: Some(id(2)),
        kind: Some(text("netfs")),
        state: Some(StoreState::Inactive),
        autostart: Some(false),
        ..Pool::named(text("archive"))
    };
    let lan = Network {
        id: Some(id(3)),
        mode: Some(text("nat")),
        bridge: Some(text("virbr0")),
        state: Some(StoreState::Active),
        autostart: Some(true),
        ranges: vec![text("10.0.3.1/24"), text("10.0.3.2 - 10.0.3.254")],
        leases: Some(2),
        users: Some(vec![user("db-main"), user("web-1")]),
        ..Network::named(text("lan"))
    };
    HostStores {
        pools: Ok(vec![archive, images]),
        networks: Ok(vec![lan]),
        gaps: Vec::new(),
    }
}

/// What a Hyper-V host tells.
fn hyperv() -> HostStores {
    let folder = Pool {
        kind: Some(text("folder")),
        volumes: Some(Vec::new()),
        only_used: true,
        ..Pool::named(text("C:\\Hyper-V\\Virtual Hard Disks"))
    };
    let switch = Network {
        id: Some(id(4)),
        mode: Some(text("external")),
        adapter: Some(text("Intel(R) I350")),
        users: Some(Vec::new()),
        ..Network::named(text("LAN"))
    };
    HostStores {
        pools: Ok(vec![folder]),
        networks: Ok(vec![switch]),
        gaps: Vec::new(),
    }
}

fn told(state: &FleetSnapshot, host: HostId) -> Result<HostStores, Failure> {
    let host = state.host(host).unwrap();
    let kind = host.capabilities.as_ref().map(|able| able.kind);
    match kind {
        Some(HypervisorKind::HyperV) => Ok(hyperv()),
        _ if host.spec.name.as_str() == "kvm2" => Err(Failure::new(
            ErrorKind::Remote,
            "virsh said: no storage driver",
        )),
        _ => Ok(libvirt()),
    }
}

/// Answers as the fleet would, from the stores of this file.
pub(crate) fn answer(state: &FleetSnapshot, request: StoreRequest, note: &dyn Fn(String)) {
    match request {
        StoreRequest::Read { host, reply } => {
            note(format!("stores of {}", state.host(host).unwrap().spec.name));
            reply.send(told(state, host).map(Arc::new)).unwrap();
        }
        StoreRequest::Plan {
            target,
            verb,
            reply,
            ..
        } => {
            let stores = told(state, target.host).unwrap();
            let store = found(&stores, &target).unwrap();
            let command = RemoteCommand::posix("virsh").args([verb.spec().id, target.id.as_str()]);
            let plan = StorePlan {
                name: store.name().clone(),
                host_name: state.host(target.host).unwrap().spec.name.clone(),
                verb,
                commands: vec![command],
                state: store.state(),
                running: running(&store),
                consequences: consequences(verb, &store),
                target,
            };
            let proposal = StoreProposal {
                plan,
                asks: match verb {
                    StoreVerb::NetworkStop => Ask::TypeName,
                    other => other.spec().asks,
                },
                rule: "built-in".to_owned(),
            };
            reply.send(Ok(proposal)).unwrap();
        }
        StoreRequest::Run { submission, reply } => {
            let plan = &submission.plan;
            note(format!(
                "run {} {} ({:?})",
                plan.verb, plan.name, submission.consent
            ));
            let result = StoreResult {
                id: OperationId(Arc::from("op")),
                outcome: Outcome::Confirmed,
                state_after: None,
                elapsed: Duration::from_millis(40),
                at: fleet::now(),
            };
            reply.send(Ok(result)).unwrap();
        }
    }
}

fn reads(screen: &Screen, host: &str) -> usize {
    let wanted = format!("stores of {host}");
    screen.asked().iter().filter(|one| **one == wanted).count()
}

#[tokio::test]
async fn hosts_that_are_up_are_read_once_and_what_is_unattached_stands_out() {
    let mut screen = Screen::small((120, 30));
    screen.keys("4").await;
    insta::assert_snapshot!(screen.text());
    assert_eq!((reads(&screen, "hv1"), reads(&screen, "kvm1")), (1, 1));
    screen.keys("1 4 1 4").await;
    assert_eq!(
        reads(&screen, "kvm1"),
        1,
        "what was just read is not read again"
    );
    assert_eq!(reads(&screen, "kvm2"), 3, "what failed is tried again");
    screen.keys("r").await;
    assert_eq!((reads(&screen, "hv1"), reads(&screen, "kvm1")), (2, 1));
    assert!(!screen.text().contains('\u{1b}'));
}

#[tokio::test]
async fn a_pool_opens_and_words_narrow_what_is_shown() {
    let mut screen = Screen::small((120, 30));
    screen.keys("4 j j enter").await;
    let shown = screen.text();
    assert!(
        shown.contains("- images") && shown.contains("base of web-1.qcow2"),
        "{shown}"
    );
    screen.keys("enter").await;
    assert!(!screen.text().contains("base.qcow2"));
    screen.keys("o").await;
    let shown = screen.text();
    assert!(
        shown.contains("export.qcow2") && !shown.contains("base.qcow2"),
        "{shown}"
    );
    screen.keys("esc / \"nat lan\" enter").await;
    let shown = screen.text();
    assert!(
        shown.contains("with `nat lan`") && !shown.contains("archive"),
        "{shown}"
    );
    assert!(shown.contains("virbr0"), "{shown}");
    screen.keys("esc").await;
    assert!(screen.text().contains("+ images"));
}

#[tokio::test]
async fn stopping_asks_with_the_names_of_those_who_use_it() {
    let mut screen = Screen::small((120, 30));
    screen.keys("4 j j S").await;
    let shown = screen.text();
    assert!(
        shown.contains("Stop pool images?") && shown.contains("web-1"),
        "{shown}"
    );
    screen.keys("enter").await;
    assert!(!screen.asked().iter().any(|one| one.starts_with("run")));
    screen.keys("S y").await;
    let ran = |screen: &Screen| {
        screen
            .asked()
            .into_iter()
            .rfind(|one| one.starts_with("run"))
    };
    assert_eq!(ran(&screen).unwrap(), "run pool-stop images (Confirmed)");
    assert!(
        screen.text().contains("the pool images is stopped"),
        "{}",
        screen.text()
    );
    screen.keys("tab j S").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("\"lan\" enter").await;
    assert_eq!(
        ran(&screen).unwrap(),
        "run network-stop lan (TypedName(\"lan\"))"
    );
}

#[tokio::test]
async fn a_key_that_cannot_do_anything_says_why() {
    let mut screen = Screen::small((120, 30));
    screen.keys("4 j s").await;
    assert!(
        screen
            .asked()
            .iter()
            .any(|one| one == "run pool-start archive (Nothing)")
    );
    screen.keys("j s").await;
    assert!(
        screen.text().contains("the pool is active already"),
        "{}",
        screen.text()
    );
    screen.keys("tab g S").await;
    let shown = screen.text();
    assert!(
        shown.contains("can be neither started nor stopped"),
        "{shown}"
    );
}

/// An operation on a pool, as the fleet shows it.
fn on_pool(n: u8, phase: Phase, outcome: Option<Outcome>) -> Arc<StoreOperation> {
    let verb = StoreVerb::PoolStop;
    let plan = StorePlan {
        target: StoreRef {
            host: HostId(1),
            kind: StoreKind::Pool,
            id: id(n),
        },
        name: text(&format!("images\u{1b}[2J{n}")),
        host_name: "kvm1".parse().unwrap(),
        verb,
        commands: vec![RemoteCommand::posix("virsh").arg("pool-destroy")],
        state: Some(StoreState::Active),
        running: Vec::new(),
        consequences: Vec::new(),
    };
    Arc::new(StoreOperation {
        id: OperationId(Arc::from(format!("zz-{n:04}"))),
        plan: Arc::new(plan),
        actor: fleet::actor(),
        phase,
        outcome,
        started_at: fleet::now(),
        finished_at: None,
        state_after: None,
        withdrawn: false,
    })
}

#[tokio::test]
async fn operations_on_pools_stand_with_those_on_vms_and_can_be_called_back() {
    let mut state = fleet::small();
    let done = on_pool(1, Phase::Done, Some(Outcome::Confirmed));
    state.store_operations = vec![done, on_pool(2, Phase::Queued, None)];
    let mut screen = Screen::new(state, (140, 40));
    screen.keys("5").await;
    let shown = screen.text();
    for part in ["queued", "pool images", "reset", "shut down"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(screen.app.running(), 2);
    // The newest stands first: the one that waits.
    screen.keys("g x").await;
    assert_eq!(screen.asked().last().unwrap(), "withdraw 1");
    screen.keys("c").await;
    let Some(Local::Copy(json)) = screen.local.pop() else {
        panic!("nothing was copied");
    };
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["action"], "pool-stop");
    assert_eq!(json["phase"], "queued");
    screen.keys("d").await;
    assert!(
        screen.text().contains("virsh pool-destroy"),
        "{}",
        screen.text()
    );
    screen
        .keys("esc / \"kind:pool-stop status:confirmed\" enter")
        .await;
    let shown = screen.text();
    assert!(
        !shown.contains("queued") && !shown.contains("reset"),
        "{shown}"
    );
    assert!(
        shown.contains("confirmed") && shown.contains("/kind:pool-stop"),
        "{shown}"
    );
    screen.keys("/ \" (\"").await;
    assert!(screen.text().contains("not closed"));
    screen.keys("esc esc").await;
    assert!(screen.text().contains("queued"));
}
