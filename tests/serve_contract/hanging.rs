//! A host that hangs before it has said a word, and a crowd that asks for it through the older contracts.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use vmdeck::domain::error_kind::ErrorKind;
use vmdeck::domain::inventory::HostSnapshot;
use vmdeck::task::Tasks;

use crate::rig::{Plan, Rig, bot_request, portal_request};

/// How many ask.
const CROWD: usize = 200;

/// How many of them may wait.
const MAY_WAIT: u32 = 20;

/// How long a fact may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

async fn rig() -> Arc<Rig> {
    let plan = Plan::with(|plan| {
        plan.connect_within = Duration::from_secs(60);
        plan.config.limit.in_flight = 2 * u32::try_from(CROWD).unwrap();
        plan.config.limit.in_flight_per_key = 1000;
        plan.config.limit.in_flight_per_host = MAY_WAIT;
    });
    Arc::new(Rig::of(plan).await)
}

/// Sends a crowd. Most are told at once that the host has not answered, so many wait, and those who ask for
/// something else are answered meanwhile.
async fn crowd(
    rig: &Arc<Rig>,
    profile: &str,
    host: &HostSnapshot,
    ask: impl Fn() -> Request<Body>,
    other: impl Fn() -> Request<Body>,
) {
    let tasks = Tasks::new();
    let told = Arc::new(AtomicUsize::new(0));
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let (rig, told, asked) = (Arc::clone(rig), Arc::clone(&told), ask());
            tasks.spawn("asker", async move {
                let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
                let answer = rig.send_from(address, asked).await;
                told.fetch_add(1, Ordering::SeqCst);
                answer.status.as_u16()
            })
        })
        .collect();
    let waiting = usize::try_from(MAY_WAIT).unwrap();
    let at_once = async {
        while told.load(Ordering::SeqCst) < CROWD - waiting {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, at_once)
        .await
        .expect("who finds no place is told at once");
    let place = rig.state.limits.wait_for_host(profile, Some(&host.spec));
    assert_eq!(place.unwrap_err().kind, ErrorKind::Busy);
    for _ in 0..20 {
        rig.send(other()).await.expect(200);
    }
    assert_eq!(told.load(Ordering::SeqCst), CROWD - waiting);
    // It speaks at last: those that have waited are answered.
    rig.sim.control("kvm2").set_silent(false);
    let mut without = 0;
    for asker in crowd {
        let status = asker.await.expect("an answer");
        assert!([200, 504].contains(&status), "{status}");
        without += usize::from(status == 504);
    }
    assert!(without >= CROWD - waiting, "{without}");
    drop(
        rig.state
            .limits
            .wait_for_host(profile, Some(&host.spec))
            .unwrap(),
    );
}

/// The snapshot of a host in a profile.
async fn host(rig: &Rig, profile: &str, name: &str) -> Arc<HostSnapshot> {
    let fleet = rig.state.tenants.fleet(profile).await.unwrap();
    let there =
        fleet.wait_until(|state| state.hosts.iter().any(|one| one.spec.name.as_str() == name));
    let state = tokio::time::timeout(PATIENCE, there)
        .await
        .unwrap()
        .unwrap();
    let found = state
        .hosts
        .iter()
        .find(|one| one.spec.name.as_str() == name);
    Arc::clone(found.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_bots_takes_so_many_places_and_no_more() {
    let rig = rig().await;
    rig.sim.control("kvm2").set_silent(true);
    let kvm2 = host(&rig, "bot", "kvm2").await;
    let well = "/vm/web-1/state?host=kvm1";
    rig.bot("GET", well).await.expect(200);
    crowd(
        &rig,
        "bot",
        &kvm2,
        || bot_request("GET", "/vm/only-2/state?host=kvm2", ""),
        || bot_request("GET", well, ""),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_the_portal_takes_so_many_places_and_no_more() {
    let rig = rig().await;
    let key = rig.user("Ann").await;
    rig.sim.control("kvm2").set_silent(true);
    let well = rig.agent(&key, "kvm1").await;
    let hangs = rig.agent(&key, "kvm2").await;
    let profile = rig.state.accounts.find_user("Ann").await.unwrap().profile;
    let kvm2 = host(&rig, &profile, "kvm2").await;
    let list = |agent: i64| portal_request(&key, "GET", &format!("/agents/{agent}/vms"), None);
    rig.send(list(well)).await.expect(200);
    crowd(&rig, &profile, &kvm2, || list(hangs), || list(well)).await;
}
