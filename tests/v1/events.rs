//! The stream of events: what is told, going on after a break, and ends.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::{Method, StatusCode};
use futures_util::StreamExt;
use serde_json::Value;
use vmdeck::accounts::{Accounts, NewKey, Scopes};
use vmdeck::sim::SimState;

use crate::rig::{PROFILE, Rig, TWO_HOSTS, request};

/// How long an event may take.
const SOON: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

struct Follower {
    body: BodyDataStream,
    text: String,
}

impl Follower {
    async fn join(rig: &Rig, key: &str, path: &str, last: Option<&str>) -> Self {
        let headers: Vec<(&str, &str)> = last.map(|id| ("last-event-id", id)).into_iter().collect();
        let response = rig
            .send(request(key, Method::GET, path, &headers, None))
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = parse(event);
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = tokio::time::timeout(SOON, self.body.next());
            let chunk = chunk.await.expect("an event in time")?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event of a name.
    async fn until(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }
}

fn parse(text: &str) -> Event {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::to_owned)
    };
    Event {
        id: field("id: "),
        name: field("event: ").unwrap(),
        data: serde_json::from_str(&field("data: ").unwrap()).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_told_and_a_broken_reader_goes_on() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let mut reader = Follower::join(&rig, &rig.key, "/v1/events", None).await;
    let init = reader.next().await.unwrap();
    assert_eq!(init.name, "init");
    assert_eq!(init.data["vms"].as_array().unwrap().len(), 6);
    assert_eq!(init.data["hosts"].as_array().unwrap().len(), 2);
    let begin = init.id.unwrap();

    rig.control("kvm1")
        .set_state("db", SimState::Running)
        .unwrap();
    let changed = reader.until("vm_state").await;
    assert_eq!(changed.data["name"], "db");
    assert_eq!(changed.data["from"], "stopped");
    assert_eq!(changed.data["to"], "running");
    let seen = changed.id.unwrap();
    drop(reader);

    rig.control("kvm1")
        .set_state("db", SimState::Stopped)
        .unwrap();
    let mut again = Follower::join(&rig, &rig.key, "/v1/events", Some(&seen)).await;
    let back = again.next().await.unwrap();
    assert_eq!(
        (back.name.as_str(), &back.data["to"]),
        ("vm_state", &"stopped".into())
    );

    // From the very beginning everything is told again, without `init`.
    let mut whole = Follower::join(&rig, &rig.key, "/v1/events", Some(&begin)).await;
    let first = whole.next().await.unwrap();
    assert_ne!(first.name, "init");
    // One from elsewhere begins anew.
    let mut other = Follower::join(&rig, &rig.key, "/v1/events", Some("x-1")).await;
    assert_eq!(other.next().await.unwrap().name, "init");
}

#[tokio::test(flavor = "multi_thread")]
async fn w5_readers_get_what_they_asked_for_and_may_see() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let scopes = Scopes {
        tags: vec!["red".into()],
        ..Scopes::default()
    };
    let red = rig.user("ben", PROFILE, false, scopes).await;
    let mut red = Follower::join(&rig, &red, "/v1/events", None).await;
    let init = red.next().await.unwrap().data;
    assert_eq!(init["hosts"].as_array().unwrap().len(), 1);
    assert_eq!(init["vms"].as_array().unwrap().len(), 2);
    let mut db = Follower::join(&rig, &rig.key, "/v1/events?filter=name%3Adb", None).await;
    assert_eq!(
        db.next().await.unwrap().data["vms"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    rig.control("kvm1")
        .set_state("web-1", SimState::Stopped)
        .unwrap();
    rig.control("kvm1")
        .set_state("db", SimState::Running)
        .unwrap();
    assert_eq!(db.until("vm_state").await.data["name"], "db");
    rig.control("kvm2")
        .set_state("web-1", SimState::Running)
        .unwrap();
    let event = red.until("vm_state").await.data;
    assert_eq!(
        (&event["host"], &event["name"]),
        (&"kvm2".into(), &"web-1".into())
    );
    // An operation is told of, too.
    let done = rig
        .post("/v1/vms/kvm1/db/actions/force-off?wait=20", None)
        .await;
    assert_eq!(done.json()["outcome"], "confirmed", "{}", done.text);
    assert_eq!(db.until("operation").await.data["action"], "force-off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_key_and_with_the_server() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let ben = rig.user("ben", PROFILE, false, Scopes::looking()).await;
    let mut followed = Follower::join(&rig, &ben, "/v1/events", None).await;
    followed.until("init").await;
    let user = rig.state.accounts.find_user("ben").await.unwrap();
    let keys = rig.state.accounts.keys(user.id).await.unwrap();
    rig.state.accounts.revoke_key(&keys[0].id).await.unwrap();
    while followed.next().await.is_some() {}

    let mut followed = Follower::join(&rig, &rig.key, "/v1/events", None).await;
    followed.until("init").await;
    rig.state.stop.cancel();
    while followed.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_keys_are_told_to_their_user_and_to_administrators() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let ben = rig.user("ben", PROFILE, false, Scopes::looking()).await;
    let eve = rig.user("eve", PROFILE, false, Scopes::looking()).await;
    let mut followers = Vec::new();
    // An administrator's key that is narrowed to a host tells of its own user only.
    let narrowed = Scopes {
        hosts: vec!["kvm1".to_owned()],
        ..Scopes::default()
    };
    let narrowed = rig.user("ada", PROFILE, true, narrowed).await;
    for key in [&rig.key, &ben, &eve, &narrowed] {
        let mut follower = Follower::join(&rig, key, "/v1/events", None).await;
        follower.until("init").await;
        followers.push(follower);
    }
    // As the command line does it: in a process of its own.
    let clock = rig.state.clock.clone();
    let elsewhere = Accounts::open(rig.state.accounts.dir(), clock).await;
    let elsewhere = elsewhere.unwrap();
    let user = elsewhere.find_user("ben").await.unwrap();
    let old = elsewhere.keys(user.id).await.unwrap().remove(0);
    let new = elsewhere.rotate(user.id, None).await.unwrap();

    for follower in &mut followers[..2] {
        for (change, key) in [("taken_back", &old.id), ("issued", &new.info.id)] {
            let told = follower.until("key").await;
            assert_eq!(told.id, None, "it is not one of the fleet's");
            assert_eq!(told.data["change"], change);
            assert_eq!(told.data["key"], key.as_str());
            assert_eq!(told.data["user"], "ben");
            assert_eq!(told.data["user_id"], user.id);
            assert!(told.data["at"].is_string() && told.data.get("ends").is_none());
            assert!(!told.data.to_string().contains("vmd_"), "{}", told.data);
        }
    }
    // Whoever came with the old key is told first, and let go then.
    while followers[1].next().await.is_some() {}
    let eve = elsewhere.find_user("eve").await.unwrap();
    let own = elsewhere
        .issue_key(eve.id, NewKey::default())
        .await
        .unwrap();
    let told = followers[2].until("key").await;
    assert_eq!(told.data["key"], own.info.id.as_str(), "nobody else's");
    let ada = elsewhere.find_user("ada").await.unwrap();
    let own = elsewhere.issue_key(ada.id, NewKey::default());
    let own = own.await.unwrap();
    let told = followers[3].until("key").await;
    assert_eq!(told.data["key"], own.info.id.as_str(), "nobody else's");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_bounded_and_a_slow_reader_is_let_go() {
    let scenario = vmdeck::sim::Scenario::from_toml(TWO_HOSTS).unwrap();
    let rig = Rig::with(scenario, |config| {
        config.limit.event_readers = 2;
        config.limit.event_buffer = 4;
    })
    .await;
    rig.ready().await;
    let mut slow = Follower::join(&rig, &rig.key, "/v1/events", None).await;
    slow.until("init").await;
    let mut quick = Follower::join(&rig, &rig.key, "/v1/events", None).await;
    quick.until("init").await;
    rig.get("/v1/events").await.problem(503, "busy");

    // The quick one reads everything; the slow one nothing, and is not waited for.
    let mut told = 0;
    while told < 12 {
        for state in [SimState::Running, SimState::Stopped] {
            rig.control("kvm1").set_state("db", state).unwrap();
            quick.until("vm_state").await;
            told += 1;
        }
    }
    slow.until("cut").await;
    assert!(slow.next().await.is_none());
    drop(slow);
    let mut next = Follower::join(&rig, &rig.key, "/v1/events", None).await;
    next.until("init").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_follow_and_one_that_sleeps_holds_nobody_up() {
    let scenario = vmdeck::sim::Scenario::from_toml(TWO_HOSTS).unwrap();
    let rig = Rig::with(scenario, |config| {
        config.limit.event_readers = 501;
        config.limit.event_buffer = 8;
        config.limit.in_flight_per_key = 501;
    })
    .await;
    rig.ready().await;
    let mut asleep = Follower::join(&rig, &rig.key, "/v1/events", None).await;
    asleep.until("init").await;
    let mut readers = Vec::new();
    for _ in 0..500 {
        readers.push(Follower::join(&rig, &rig.key, "/v1/events", None).await);
    }
    rig.get("/v1/events").await.problem(503, "busy");
    for reader in &mut readers {
        assert_eq!(
            reader.until("init").await.data["vms"]
                .as_array()
                .unwrap()
                .len(),
            6
        );
    }
    for round in 0..12 {
        let (state, word) = [
            (SimState::Running, "running"),
            (SimState::Stopped, "stopped"),
        ][round % 2];
        rig.control("kvm1").set_state("db", state).unwrap();
        let told = readers.iter_mut().map(async |reader| {
            let event = reader.until("vm_state").await;
            assert_eq!(event.data["to"], word);
            event.id
        });
        let told = futures_util::future::join_all(told).await;
        assert!(
            told.iter().all(|id| id.is_some() && *id == told[0]),
            "{told:?}"
        );
    }
    asleep.until("cut").await;
    assert!(asleep.next().await.is_none());
}
