//! Acting on VMs: plans, waiting, requests that come again, many at once.

use axum::http::{Method, StatusCode};
use serde_json::json;
use vmdeck::accounts::Scopes;
use vmdeck::sim::SimState;

use crate::rig::{PROFILE, Rig, TWO_HOSTS, read, request, send};

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_shown_run_followed_and_recorded() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let path = "/v1/vms/kvm1/db/actions/start";
    let plan = rig.post(&format!("{path}?dry_run=true"), None).await;
    assert_eq!(plan.status, StatusCode::OK, "{}", plan.text);
    assert!(
        plan.json()["commands"][0]
            .as_str()
            .unwrap()
            .contains("start")
    );
    assert_eq!(plan.json()["asks"], "nothing");
    assert_eq!(
        rig.control("kvm1").vm("db").unwrap().state,
        SimState::Stopped
    );

    let done = rig.post(&format!("{path}?wait=20"), None).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(done.json()["outcome"], "confirmed");
    assert_eq!(done.json()["state_after"], "running");
    assert_eq!(
        rig.control("kvm1").vm("db").unwrap().state,
        SimState::Running
    );

    // Now its state does not fit.
    rig.post(path, None).await.problem(403, "refused");
    rig.post("/v1/vms/kvm1/db/actions/explode", None)
        .await
        .problem(404, "not_found");

    let under_way = rig.post("/v1/vms/kvm1/db/actions/force-off", None).await;
    assert_eq!(under_way.status, StatusCode::ACCEPTED, "{}", under_way.text);
    let place = under_way.header("location").to_owned();
    assert!(place.starts_with("/v1/operations/"));
    let ended = rig.get(&format!("{place}?wait=20")).await.json();
    assert_eq!(ended["outcome"], "confirmed");
    assert_eq!(ended["action"], "force-off");

    let operations = rig.get("/v1/operations?filter=action%3Aforce-off").await;
    assert_eq!(operations.json()["total"], 1);
    let audit = rig.get("/v1/audit?filter=phase%3Aoutcome%20vm%3Adb").await;
    assert_eq!(audit.column("action"), [json!("force-off"), json!("start")]);
    assert_eq!(audit.column("status"), [json!("ok"), json!("ok")]);
    assert_eq!(audit.column("door")[0], "serve");
    assert_eq!(audit.column("user")[0], "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_named_in_full() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let plan = rig
        .post("/v1/vms/kvm2/shop/actions/force-off?dry_run=true", None)
        .await;
    assert_eq!(plan.json()["asks"], "type_name");
    let bulk = json!({"filter": "host:kvm2 shop", "expect_count": 1});
    let refused = rig.post("/v1/vms/actions/force-off", Some(&bulk)).await;
    let problem = refused.problem(403, "refused");
    assert!(problem["detail"].as_str().unwrap().contains("kvm2/shop"));
    assert_eq!(
        rig.control("kvm2").vm("shop").unwrap().state,
        SimState::Running
    );
    let done = rig
        .post("/v1/vms/kvm2/shop/actions/force-off?wait=20", None)
        .await;
    assert_eq!(done.json()["outcome"], "confirmed", "{}", done.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_acts_once_and_survives_a_restart() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let path = "/v1/vms/kvm1/db/actions/start?wait=20";
    let name = [("idempotency-key", "start-db-1")];
    let first = rig.ask(Method::POST, path, &name, None).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = rig.ask(Method::POST, path, &name, None).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.text, first.text);
    assert_eq!(again.status, first.status);

    // Another run of the server answers the same.
    let router = rig.serving.restarted().await;
    let again = request(&rig.key, Method::POST, path, &name, None);
    let again = read(send(&router, again).await).await;
    assert_eq!(again.text, first.text);

    let other = rig
        .ask(
            Method::POST,
            "/v1/vms/kvm1/web-1/actions/start",
            &name,
            None,
        )
        .await;
    other.problem(422, "usage");
    // A refusal has done nothing: the name stays free.
    let free = [("idempotency-key", "start-web")];
    let web = "/v1/vms/kvm1/web-1/actions/start?wait=20";
    rig.ask(Method::POST, web, &free, None)
        .await
        .problem(403, "refused");
    rig.control("kvm1")
        .set_state("web-1", SimState::Stopped)
        .unwrap();
    let fleet = rig.fleet().await;
    fleet
        .wait_until(|state| {
            let vms = state.hosts.iter().flat_map(|host| host.vms());
            vms.filter(|vm| vm.state.word() == "stopped").count() >= 2
        })
        .await;
    let now = rig.ask(Method::POST, web, &free, None).await;
    assert_eq!(now.json()["outcome"], "confirmed", "{}", now.text);
    for bad in ["", "two words", &"x".repeat(256)] {
        let bad = [("idempotency-key", bad)];
        rig.ask(Method::POST, web, &bad, None)
            .await
            .problem(400, "usage");
    }
    let operations = rig.get("/v1/operations?filter=action%3Astart").await;
    assert_eq!(operations.json()["total"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_twice_at_once_acts_once() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let name = [("idempotency-key", "once")];
    let path = "/v1/vms/kvm1/web-2/actions/force-off?wait=20";
    let ask = || rig.ask(Method::POST, path, &name, None);
    let answers = futures_util::future::join_all((0..8).map(|_| ask())).await;
    let done = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::OK);
    assert!(done.count() >= 1);
    for answer in &answers {
        if answer.status != StatusCode::OK {
            answer.problem(409, "busy");
        }
    }
    let operations = rig.get("/v1/operations").await;
    assert_eq!(operations.json()["total"], 1, "{}", operations.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_acted_on_only_when_they_are_as_many_as_expected() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let path = "/v1/vms/actions/force-off";
    let ask = |filter: &str, count: u32| json!({"filter": filter, "expect_count": count});
    let off = rig
        .post(path, Some(&ask("host:kvm1 web state:running", 2)))
        .await;
    let problem = off.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("3 VMs, not 2"));
    rig.post(path, Some(&ask("nobody", 0)))
        .await
        .problem(409, "conflict");
    rig.post(path, Some(&ask(" ", 6)))
        .await
        .problem(400, "usage");
    rig.post(path, Some(&json!({"filter": "web"})))
        .await
        .problem(400, "usage");
    rig.post(
        path,
        Some(&json!({"filter": "web", "expect_count": 1, "force": true})),
    )
    .await
    .problem(400, "usage");
    rig.post(path, None).await.problem(415, "usage");
    let states = |state| {
        let vms = rig.control("kvm1").vms();
        vms.iter().filter(|vm| vm.state == state).count()
    };
    assert_eq!(states(SimState::Running), 3);

    let dry = rig
        .post(
            &format!("{path}?dry_run=true"),
            Some(&ask("host:kvm1 web", 3)),
        )
        .await;
    assert_eq!(
        dry.json()["plans"].as_array().unwrap().len(),
        3,
        "{}",
        dry.text
    );
    assert_eq!(states(SimState::Running), 3);

    let done = rig
        .post(&format!("{path}?wait=20"), Some(&ask("host:kvm1", 4)))
        .await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let result = done.json();
    assert_eq!(result["count"], 4);
    // The one that is off already is refused, and does not hold back the others.
    assert_eq!(result["refused"][0]["name"], "db");
    assert_eq!(result["operations"].as_array().unwrap().len(), 3);
    assert_eq!(states(SimState::Running), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_hangs_costs_nobody_else_anything() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    rig.control("kvm2").set_silent(true);
    let done = rig
        .post("/v1/vms/kvm1/db/actions/start?wait=20", None)
        .await;
    assert_eq!(done.json()["outcome"], "confirmed", "{}", done.text);
    let all = rig.get("/v1/vms?fields=name").await;
    assert_eq!(all.json()["total"], 6);
    rig.control("kvm2").set_silent(false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_belong_here_is_refused() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    for (method, path) in [
        (Method::PUT, "/v1/vms"),
        (Method::DELETE, "/v1/vms/kvm1/db"),
        (Method::GET, "/v1/vms/kvm1/db/actions/start"),
        (Method::TRACE, "/v1/hosts"),
        (Method::POST, "/v1/audit"),
    ] {
        let refused = rig.ask(method.clone(), path, &[], None).await;
        assert_eq!(
            refused.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {path}"
        );
    }
    for path in ["/v1/vms/kvm1%2Fdb", "/v1/nothing/here", "/v1"] {
        let refused = rig.get(path).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_run_has_begun_is_not_begun_again() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    rig.control("kvm1").set_silent(true);
    let name = [("idempotency-key", "interrupted")];
    let path = "/v1/vms/kvm1/db/actions/start?wait=20";
    let begun = rig.ask(Method::POST, path, &name, None);
    let again = async {
        let fleet = rig.fleet().await;
        let started = fleet.wait_until(|state| !state.operations.is_empty()).await;
        let operation = started.unwrap().operations[0].id.to_string();
        // The same run says that it is under way, a later one that it may have acted.
        let busy = rig.ask(Method::POST, path, &name, None).await;
        busy.problem(409, "busy");
        let router = rig.serving.restarted().await;
        let later = request(&rig.key, Method::POST, path, &name, None);
        let later = read(send(&router, later).await).await;
        let problem = later.problem(409, "conflict");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&operation), "{detail}");
    };
    tokio::select! {
        answer = begun => panic!("{}", answer.text),
        () = again => {}
    }
    assert_eq!(rig.fleet().await.snapshot().operations.len(), 1);
    rig.control("kvm1").set_silent(false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_a_line_and_a_flood_of_it_leaves_two() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let eve = rig.user("eve", PROFILE, false, Scopes::looking()).await;
    let lines = async || rig.get("/v1/audit?filter=action%3Arefused").await.json();
    let path = "/v1/vms/kvm1/db/actions/start";
    for _ in 0..100 {
        let refused = rig.ask_as(&eve, Method::POST, path, &[], None).await;
        refused.problem(403, "refused");
    }
    let told = lines().await;
    assert_eq!(told["total"], 1, "{told:#}");
    let line = &told["items"][0];
    assert_eq!((&line["host"], &line["vm"]), (&json!("kvm1"), &json!("db")));
    assert_eq!(
        (&line["user"], &line["status"]),
        (&json!("eve"), &json!("refused"))
    );
    assert_eq!(line["details"], "start: this key may only look");
    assert!(line["key"].as_str().unwrap().starts_with("key-"));
    // What was counted is told when the server ends, if not before.
    vmdeck::serve::denials::tell(&rig.state, true).await;
    let told = lines().await;
    assert_eq!(told["total"], 2, "{told:#}");
    let last = told["items"][0]["details"].as_str().unwrap();
    assert!(last.starts_with("99 more since "), "{last}");
    assert!(
        last.ends_with("the last one: start: this key may only look"),
        "{last}"
    );

    // A state that does not fit is refused as well; what is only looked at, or is not there, is not.
    rig.post("/v1/vms/kvm1/web-1/actions/start", None)
        .await
        .problem(403, "refused");
    rig.post("/v1/vms/kvm1/web-1/actions/start?dry_run=true", None)
        .await;
    rig.post("/v1/vms/kvm1/nothing/actions/start", None)
        .await
        .problem(404, "not_found");
    let told = lines().await;
    assert_eq!(told["total"], 3, "{told:#}");
    assert_eq!(told["items"][0]["user"], "ann");
    // Looking at operations shows none: nothing was planned to run.
    assert_eq!(rig.get("/v1/operations").await.json()["total"], 0);
}
