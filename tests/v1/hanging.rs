//! A host that hangs, and a crowd that asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Method;
use vmdeck::sim::Scenario;
use vmdeck::task::Tasks;

use crate::rig::{PROFILE, Rig, TWO_HOSTS, read, request, send};

/// How many ask.
const CROWD: usize = 500;

/// How many of them may wait.
const MAY_WAIT: u32 = 40;

/// How long a request may take: longer than everything about the other host does.
const REQUEST_TIME: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
struct Answers {
    in_time: AtomicUsize,
    turned_away: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_asks_for_a_host_that_hangs_takes_nothing_from_the_others() {
    let scenario = Scenario::from_toml(TWO_HOSTS).unwrap();
    let rig = Rig::with(scenario, |config| {
        config.limit.in_flight = 80;
        config.limit.in_flight_per_key = 1000;
        config.limit.in_flight_per_host = MAY_WAIT;
        config.limit.request_time = REQUEST_TIME;
    })
    .await;
    rig.ready().await;
    rig.control("kvm2").set_silent(true);
    let tasks = Tasks::new();
    let ask = |method, path: &'static str| {
        let (router, key) = (rig.router.clone(), rig.key.clone());
        async move { read(send(&router, request(&key, method, path, &[], None)).await).await }
    };

    let acting = tasks.spawn(
        "action",
        ask(Method::POST, "/v1/vms/kvm2/web-1/actions/start?wait=25"),
    );
    let fleet = rig.fleet().await;
    let begun = fleet.wait_until(|state| !state.operations.is_empty());
    begun.await.expect("the action is under way");
    let answers = Arc::new(Answers::default());
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let asked = ask(Method::GET, "/v1/vms/kvm2/shop?detail=true");
            let answers = Arc::clone(&answers);
            tasks.spawn("asker", async move {
                let answer = asked.await;
                match answer.status.as_u16() {
                    503 => {
                        let problem = answer.problem(503, "busy");
                        assert!(problem["retry_after"].as_u64() >= Some(1), "{problem}");
                        answers.turned_away.fetch_add(1, Ordering::Relaxed)
                    }
                    504 => {
                        answer.problem(504, "timeout");
                        answers.in_time.fetch_add(1, Ordering::Relaxed)
                    }
                    _ => panic!("{}", answer.text),
                }
            })
        })
        .collect();
    let turned_away = async {
        // One place is taken by the action.
        let so_many = CROWD - (usize::try_from(MAY_WAIT).unwrap() - 1);
        while answers.turned_away.load(Ordering::Relaxed) < so_many {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), turned_away)
        .await
        .expect("who finds no place is told at once");

    // The rest waits, and takes nothing from those who ask for something else.
    let started = ask(Method::POST, "/v1/vms/kvm1/db/actions/start?wait=25").await;
    assert_eq!(started.json()["outcome"], "confirmed", "{}", started.text);
    for _ in 0..20 {
        let (list, hosts, detail, known) = tokio::join!(
            ask(Method::GET, "/v1/vms?sort=name"),
            ask(Method::GET, "/v1/hosts"),
            ask(Method::GET, "/v1/vms/kvm1/web-1?detail=true"),
            // What is known of the host that hangs is told as well.
            ask(Method::GET, "/v1/vms/kvm2/shop"),
        );
        for answer in [&list, &hosts, &detail, &known] {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        assert_eq!(list.json()["total"], 6);
    }

    for asker in crowd {
        asker.await.expect("an answer");
    }
    let waited = answers.in_time.load(Ordering::Relaxed);
    assert_eq!(waited, usize::try_from(MAY_WAIT).unwrap() - 1);
    acting.await.unwrap().problem(504, "timeout");
    // They have given their places back; that of the action is given back when it has been waited for.
    let state = fleet.snapshot();
    let kvm2 = state
        .hosts
        .iter()
        .find(|host| host.spec.name.as_str() == "kvm2");
    let kvm2 = &kvm2.unwrap().spec;
    let places: Vec<_> = (1..MAY_WAIT)
        .map(|_| rig.state.limits.wait_for_host(PROFILE, Some(kvm2)).unwrap())
        .collect();
    drop(places);
    rig.control("kvm2").set_silent(false);
    tasks.cancel();
}
