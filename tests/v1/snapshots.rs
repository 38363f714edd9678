//! VM snapshots and the figures that are kept, over the API.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use vmdeck::accounts::Scopes;

use crate::rig::{Answered, PROFILE, Rig, TWO_HOSTS, read, request, send};

const PLACE: &str = "/v1/vms/kvm1/db/snapshots";

async fn names(rig: &Rig) -> Vec<Value> {
    let listed = rig.get(PLACE).await;
    assert_eq!(listed.status, StatusCode::OK, "{}", listed.text);
    listed.column("name")
}

fn confirmed(done: &Answered) {
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(done.json()["outcome"], "confirmed", "{}", done.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_planned_made_reverted_to_and_deleted_and_recorded() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let input = json!({"name": "before", "description": "ticket 4711"});
    let plan = rig
        .post(&format!("{PLACE}?dry_run=true"), Some(&input))
        .await;
    assert_eq!(plan.status, StatusCode::OK, "{}", plan.text);
    assert_eq!(plan.json()["action"], "snapshot-create");
    assert!(plan.text.contains("before"), "{}", plan.text);
    assert!(names(&rig).await.is_empty());

    confirmed(&rig.post(&format!("{PLACE}?wait=20"), Some(&input)).await);
    // Without a word of it, the name is one of the time.
    confirmed(&rig.post(&format!("{PLACE}?wait=20"), None).await);
    let listed = rig.get(PLACE).await;
    assert_eq!(listed.json()["total"], 2);
    let (first, second) = (&listed.json()["items"][0], &listed.json()["items"][1]);
    assert_eq!(first["name"], "before");
    assert_eq!(first["description"], "ticket 4711");
    assert_eq!((&first["depth"], &second["depth"]), (&json!(0), &json!(1)));
    assert_eq!(second["parent"], first["id"]);
    assert_eq!(second["current"], true);
    assert!(second["name"].as_str().unwrap().starts_with("vmdeck-"));

    let refused = rig.post(PLACE, Some(&input)).await;
    assert!(
        refused.status.is_client_error() || refused.text.contains("already"),
        "{}",
        refused.text
    );

    let plan = rig
        .post(&format!("{PLACE}/before/revert?dry_run=true"), None)
        .await;
    assert_eq!(plan.json()["asks"], "type_name", "{}", plan.text);
    confirmed(
        &rig.post(&format!("{PLACE}/before/revert?wait=20"), None)
            .await,
    );
    assert_eq!(rig.get(PLACE).await.json()["items"][0]["current"], true);

    let delete = format!("{PLACE}/before?children=true&wait=20");
    confirmed(&rig.ask(Method::DELETE, &delete, &[], None).await);
    assert!(names(&rig).await.is_empty());
    let again = rig.ask(Method::DELETE, &delete, &[], None).await;
    again.problem(404, "not_found");

    let audit = rig
        .get("/v1/audit?filter=phase%3Aoutcome%20vm%3Adb%20status%3Aok")
        .await;
    let actions = [
        "snapshot-delete",
        "snapshot-revert",
        "snapshot-create",
        "snapshot-create",
    ];
    assert_eq!(audit.column("action"), actions.map(|action| json!(action)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_fails_half_way_says_how_far_it_came() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    for name in ["one", "two", "three"] {
        let input = json!({"name": name});
        confirmed(&rig.post(&format!("{PLACE}?wait=20"), Some(&input)).await);
    }
    let control = rig.control("kvm1");
    let mut faults = control.faults();
    faults.undeletable = vec!["two".to_owned()];
    control.set_faults(faults);

    let delete = format!("{PLACE}/one?children=true&wait=20");
    let done = rig.ask(Method::DELETE, &delete, &[], None).await;
    assert_eq!(done.json()["outcome"], "failed", "{}", done.text);
    for said in [
        "1 of 3 snapshots deleted, 2 are still there",
        "snapshot 'two'",
    ] {
        assert!(done.text.contains(said), "{}", done.text);
    }
    assert_eq!(names(&rig).await, [json!("one"), json!("two")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_made_once_for_one_name_of_a_request() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let path = format!("{PLACE}?wait=20");
    let (name, input) = ([("idempotency-key", "snap-1")], json!({"name": "one"}));
    let first = rig.ask(Method::POST, &path, &name, Some(&input)).await;
    confirmed(&first);
    let again = rig.ask(Method::POST, &path, &name, Some(&input)).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.text, first.text);
    assert_eq!(names(&rig).await, [json!("one")]);
    let other = json!({"name": "two"});
    let other = rig.ask(Method::POST, &path, &name, Some(&other)).await;
    other.problem(422, "usage");
    assert_eq!(names(&rig).await, [json!("one")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_so_before_the_host_is_asked_and_what_is_wrong_is_said() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let scopes = Scopes {
        verbs: vec!["snapshot-create".to_owned()],
        ..Scopes::default()
    };
    let key = rig.user("bob", PROFILE, false, scopes).await;
    let ask = async |method: Method, path: &str| {
        let asked = request(&key, method, path, &[], None);
        read(send(&rig.router, asked).await).await
    };
    confirmed(&ask(Method::POST, &format!("{PLACE}?wait=20")).await);
    let revert = format!("{PLACE}/none/revert");
    ask(Method::POST, &revert).await.problem(403, "refused");
    let gone = format!("{PLACE}/none");
    ask(Method::DELETE, &gone).await.problem(403, "refused");
    for input in [
        json!({"name": "a/b"}),
        json!({"quiesce": true}),
        json!({"names": "x"}),
        json!({"description": "two\nlines"}),
    ] {
        let wrong = rig.post(PLACE, Some(&input)).await;
        assert!(wrong.status.is_client_error(), "{input}: {}", wrong.text);
        assert_eq!(wrong.json()["kind"], "usage", "{input}: {}", wrong.text);
    }
    assert_eq!(names(&rig).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_quarter_of_an_hour_is_told_with_its_gaps() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let kept = rig.get("/v1/vms/kvm1/web-1/metrics").await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.text);
    let kept = kept.json();
    assert_eq!(kept["slot_seconds"], 10);
    assert!(kept["read_at"].is_string(), "{kept}");
    let memory = kept["memory_used_bytes"].as_array().unwrap();
    assert_eq!(memory.len(), 90);
    assert!(memory.first().unwrap().is_null(), "nothing was known then");
    assert!(memory.iter().any(Value::is_number), "{kept}");
    let off = rig.get("/v1/vms/kvm1/db/metrics").await.json();
    assert!(
        off["cpu_percent"]
            .as_array()
            .unwrap()
            .iter()
            .all(Value::is_null),
        "{off}"
    );
}
