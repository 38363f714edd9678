//! Every operation of the document against every kind of key: what is refused, and how.

use axum::http::Method;
use serde_json::{Value, json};
use vmdeck::accounts::Scopes;

use crate::rig::{Rig, TWO_HOSTS};

/// What a kind of key may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nobody,
    Wrong,
    Looking,
    OneVerb,
    OneHost,
    OtherTenant,
}

const KINDS: [Kind; 6] = [
    Kind::Nobody,
    Kind::Wrong,
    Kind::Looking,
    Kind::OneVerb,
    Kind::OneHost,
    Kind::OtherTenant,
];

/// The status that is expected where the key stands in the way; `None` = it does not.
fn refused(kind: Kind, method: &str, path: &str) -> Option<u16> {
    let acts = path.contains("/actions/") && method == "post" || path.ends_with("/cancel");
    let keeps = path.starts_with("/v1/credentials")
        || (path.starts_with("/v1/hosts") && method != "get" && !path.ends_with("/refresh"));
    let audit = path == "/v1/audit";
    match kind {
        Kind::Nobody | Kind::Wrong => Some(401),
        // Of an operation that is not there nobody is told more.
        _ if path.ends_with("/cancel") => Some(404),
        Kind::Looking | Kind::OneVerb => (acts || keeps || audit).then_some(403),
        Kind::OneHost if keeps || audit => Some(403),
        Kind::OneHost => (path.contains("{host}") || path.contains("{name}")).then_some(404),
        Kind::OtherTenant => None,
    }
}

fn body(path: &str, method: &str) -> Option<Value> {
    match (path, method) {
        ("/v1/vms/actions/{verb}", "post") => Some(json!({"filter": "db", "expect_count": 1})),
        ("/v1/hosts", "post") => {
            Some(json!({"name": "x", "address": "192.0.2.1", "credential": "k"}))
        }
        ("/v1/hosts/{name}", "patch") => Some(json!({"read_only": true})),
        ("/v1/hosts/{name}/host-key", "post") => Some(json!({"fingerprint": "SHA256:x"})),
        ("/v1/credentials/{name}", "put") => Some(json!({"private_key": "x".repeat(50)})),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_holds_every_key_to_its_scope() {
    let scenario = vmdeck::sim::Scenario::from_toml(TWO_HOSTS).unwrap();
    let rig = Rig::with(scenario, |config| {
        config.limit.failures_per_address = 100_000;
    })
    .await;
    rig.ready().await;
    let one_verb = Scopes {
        verbs: vec!["pause".into()],
        ..Scopes::default()
    };
    let one_host = Scopes {
        hosts: vec!["kvm2".into()],
        ..Scopes::full()
    };
    let mut keys = Vec::new();
    for kind in KINDS {
        let key = match kind {
            Kind::Nobody => String::new(),
            Kind::Wrong => format!("{}x", rig.key),
            Kind::Looking => rig.user("l", "main", false, Scopes::looking()).await,
            Kind::OneVerb => rig.user("v", "main", false, one_verb.clone()).await,
            Kind::OneHost => rig.user("h", "main", false, one_host.clone()).await,
            Kind::OtherTenant => rig.user("o", "other", false, Scopes::full()).await,
        };
        keys.push((kind, key));
    }
    let document = rig.get("/v1/openapi.json").await.json();
    let (mut wrong, mut cells) = (Vec::new(), 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("security").is_some() {
                continue;
            }
            let real = path
                .replace("{host}", "kvm1")
                .replace("{name}", "kvm1")
                .replace("{verb}", "start")
                .replace(
                    "/{id}",
                    if path.contains("operations") {
                        "/none"
                    } else {
                        "/db"
                    },
                );
            for (kind, key) in &keys {
                let Some(expected) = refused(*kind, method, path) else {
                    continue;
                };
                let request: Method = method.to_uppercase().parse().unwrap();
                let body = body(path, method);
                let answer = rig.ask_as(key, request, &real, &[], body.as_ref()).await;
                cells += 1;
                if answer.status.as_u16() != expected {
                    wrong.push(format!(
                        "{kind:?} {method} {path}: {} {}",
                        answer.status, answer.text
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cells > 80, "{cells}");
    // Nothing of all that has changed anything.
    let state = rig.fleet().await.snapshot();
    assert!(state.operations.is_empty());
    assert_eq!(state.hosts.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_knows_nothing_of_another() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let other = rig.user("ben", "other", false, Scopes::full()).await;
    let done = rig
        .post("/v1/vms/kvm1/db/actions/start?wait=20", None)
        .await
        .json();
    let place = format!("/v1/operations/{}", done["operation"].as_str().unwrap());
    let ask = async |path: &str| rig.ask_as(&other, Method::GET, path, &[], None).await;
    let theirs = ask(&place).await.problem(404, "not_found");
    let nobodys = ask("/v1/operations/0").await.problem(404, "not_found");
    assert_eq!(theirs, nobodys);
    assert_eq!(ask("/v1/operations").await.json()["total"], 0);
    assert_eq!(
        ask("/v1/audit?filter=action%3Astart").await.json()["total"],
        0
    );
    let metrics = ask("/metrics").await.text;
    assert!(metrics.contains("profile=\"other\"") && !metrics.contains("profile=\"main\""));
}
