//! Hosts and credentials are managed: what is checked, what is kept, and what never comes out again.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use vmdeck::domain::credential::CredentialSecret;

use crate::rig::{PROFILE, Rig, TWO_HOSTS};
use crate::support::keys::{KeyKind, KeyPair};

/// Text in the place of a key, in requests that are refused.
const PEM: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nPLANTED-SECRET-MATERIAL\n-----END OPENSSH PRIVATE KEY-----\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_added_changed_and_forgotten() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let host =
        json!({"name": "new host", "address": "192.0.2.7", "user": "ops", "credential": "ops-key"});
    let missing = rig.post("/v1/hosts", Some(&host)).await;
    assert!(
        missing.problem(400, "usage")["detail"]
            .as_str()
            .unwrap()
            .contains("`credential`")
    );
    let path = rig.folder().join("ops-key");
    let pair = KeyPair::generate(&path, KeyKind::Ed25519, "PLANTED-PASSPHRASE");
    let key = json!({"private_key": pair.pem(), "passphrase": "PLANTED-PASSPHRASE"});
    let put = rig
        .ask(Method::PUT, "/v1/credentials/ops-key", &[], Some(&key))
        .await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    assert!(!put.text.contains("PLANTED"));
    let line = pair.pem().lines().nth(1).unwrap().to_owned();
    assert!(!put.text.contains(&line));
    assert_eq!(put.json()["fingerprint"], pair.fingerprint());

    let added = rig.post("/v1/hosts", Some(&host)).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let place = added.header("location").to_owned();
    assert_eq!(place, "/v1/hosts/new%20host");
    let shown = rig.get(&place).await.json();
    assert_eq!(shown["address"], "192.0.2.7");
    assert_eq!(shown["credential"], "ops-key");
    rig.post("/v1/hosts", Some(&host))
        .await
        .problem(409, "conflict");

    let change = json!({"read_only": true, "tier": "prod", "tags": ["a", "b"]});
    let changed = rig.ask(Method::PATCH, &place, &[], Some(&change)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    let shown = rig.get(&place).await.json();
    assert_eq!(
        (&shown["read_only"], &shown["tier"]),
        (&json!(true), &json!("prod"))
    );
    assert_eq!(shown["user"], "ops");

    let used = rig
        .ask(Method::DELETE, "/v1/credentials/ops-key", &[], None)
        .await;
    used.problem(409, "conflict");
    let gone = rig.ask(Method::DELETE, &place, &[], None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    rig.get(&place).await.problem(404, "not_found");
    let gone = rig
        .ask(Method::DELETE, "/v1/credentials/ops-key", &[], None)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    rig.ask(Method::DELETE, "/v1/credentials/ops-key", &[], None)
        .await
        .problem(404, "not_found");

    let audit = rig.get("/v1/audit?filter=phase%3Anote").await;
    assert!(!audit.text.contains("PLANTED") && !audit.text.contains(&line));
    for action in [
        "host-added",
        "host-changed",
        "host-removed",
        "credential-set",
        "credential-removed",
    ] {
        let lines = audit.json()["items"].as_array().unwrap().clone();
        let about: Vec<Value> = lines
            .into_iter()
            .filter(|line| line["action"] == action)
            .collect();
        // One line for each change, with who made it.
        assert_eq!(about.len(), 1, "{action}: {}", audit.text);
        let who = (&about[0]["door"], &about[0]["user"]);
        assert_eq!(who, (&json!("serve"), &json!("ann")), "{action}");
        let from = (&about[0]["key"], &about[0]["client_ip"]);
        assert!(from.0.is_string() && from.1.is_string(), "{}", about[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_has_so_many_hosts_and_credentials_and_no_more() {
    let scenario = vmdeck::sim::Scenario::from_toml(TWO_HOSTS).unwrap();
    let rig = Rig::with(scenario, |config| {
        config.limit.hosts_per_profile = 3;
        config.limit.credentials_per_profile = 1;
    })
    .await;
    rig.ready().await;
    let key = json!({"private_key": rig.serving.sim.demo.login_key_pem.expose()});
    let put = async |name: &str| {
        let path = format!("/v1/credentials/{name}");
        rig.ask(Method::PUT, &path, &[], Some(&key)).await
    };
    assert_eq!(put("k").await.status, StatusCode::OK);
    let refused = put("l").await.problem(409, "conflict");
    let told = "this profile has as many credentials as it may (1); nothing was added";
    assert_eq!(refused["detail"], told);
    // In place of the one that is there.
    assert_eq!(put("k").await.status, StatusCode::OK);

    let add = async |name: &str| {
        let host = json!({"name": name, "address": "192.0.2.7", "credential": "k"});
        rig.post("/v1/hosts", Some(&host)).await
    };
    assert_eq!(add("third").await.status, StatusCode::CREATED);
    let refused = add("fourth").await.problem(409, "conflict");
    let told = "this profile has as many hosts as it may (3); nothing was added";
    assert_eq!(refused["detail"], told);
    let hint = refused["hint"].as_str().unwrap();
    assert!(hint.contains("serve.limit.hosts_per_profile"), "{hint}");
    let gone = rig.ask(Method::DELETE, "/v1/hosts/third", &[], None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(add("fourth").await.status, StatusCode::CREATED);
    assert_eq!(rig.get("/v1/hosts").await.column("name").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_checked_and_secrets_are_not_repeated() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    for body in [
        json!({"name": "a/b", "address": "x", "credential": "k"}),
        json!({"name": "a", "address": "-oProxyCommand=id", "credential": "k"}),
        json!({"name": "a", "address": "x"}),
        json!({"name": "a", "address": "x", "credential": "k", "id": 1}),
        json!({"name": "a", "address": "x", "credential": "k", "login": "agent"}),
        json!({"name": "a", "address": "x", "credential": "k", "sudo": PEM}),
        json!([]),
        json!("PLANTED"),
    ] {
        let refused = rig.post("/v1/hosts", Some(&body)).await;
        refused.problem(400, "usage");
        assert!(!refused.text.contains("PLANTED"), "{}", refused.text);
    }
    for body in [
        json!({"private_key": [PEM]}),
        json!({"privat_key": PEM}),
        json!({"private_key": PEM, "passphrase": {"PLANTED": 1}}),
    ] {
        let refused = rig
            .ask(Method::PUT, "/v1/credentials/k", &[], Some(&body))
            .await;
        refused.problem(400, "usage");
        assert!(!refused.text.contains("PLANTED"), "{}", refused.text);
    }
    rig.ask(
        Method::PUT,
        "/v1/credentials/a%2F..%2Fb",
        &[],
        Some(&json!({"private_key": PEM})),
    )
    .await
    .problem(400, "usage");
    let duplicate = rig
        .ask_as(&rig.key, Method::PATCH, "/v1/hosts/kvm1", &[], None)
        .await;
    duplicate.problem(415, "usage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_sealed_and_never_told() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let put = async |body: &Value| {
        rig.ask(Method::PUT, "/v1/credentials/pw", &[], Some(body))
            .await
    };
    let kept = put(&json!({"password": "PLANTED \" \u{e9} password"})).await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.text);
    assert_eq!(kept.json()["kind"], "password");
    let listed = rig.get("/v1/credentials").await;
    assert!(!kept.text.contains("PLANTED") && !listed.text.contains("PLANTED"));
    let fleets = rig.state.tenants.fleets();
    let opened = fleets
        .export_credential(PROFILE, &"pw".parse().unwrap())
        .await;
    let CredentialSecret::Password(password) = opened.unwrap() else {
        panic!("another kind");
    };
    assert_eq!(password.expose(), "PLANTED \" \u{e9} password");
    let host = json!({"name": "a", "address": "192.0.2.7", "user": "ops", "credential": "pw"});
    let added = rig.post("/v1/hosts", Some(&host)).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    for wrong in [
        json!({}),
        json!({"password": ""}),
        json!({"password": "PLANTED\u{0}"}),
        json!({"password": "PLANTED".repeat(200)}),
        json!({"password": ["PLANTED"]}),
        json!({"password": "PLANTED", "passphrase": "x"}),
        json!({"password": "PLANTED", "private_key": PEM}),
    ] {
        let refused = put(&wrong).await;
        refused.problem(400, "usage");
        assert!(!refused.text.contains("PLANTED"), "{}", refused.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_read_and_checked_when_asked() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let refreshed = rig.post("/v1/hosts/kvm1/refresh", None).await;
    assert_eq!(refreshed.status, StatusCode::ACCEPTED);
    let checked = rig.post("/v1/hosts/kvm1/check", None).await;
    assert_eq!(checked.status, StatusCode::OK, "{}", checked.text);
    let findings = checked.json();
    assert!(
        findings
            .as_array()
            .unwrap()
            .iter()
            .all(|finding| finding["ok"] != json!(false)),
        "{findings}"
    );
    let key = json!({"fingerprint": "SHA256:x"});
    rig.post("/v1/hosts/kvm1/host-key", Some(&key))
        .await
        .problem(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_make_the_server_dial_itself() {
    let scenario = vmdeck::sim::Scenario::from_toml(TWO_HOSTS).unwrap();
    let rig = Rig::with(scenario, |config| config.limit.dials_per_user = 16).await;
    rig.ready().await;
    let pem = rig.serving.sim.demo.login_key_pem.expose();
    let key = json!({"private_key": pem});
    let put = rig
        .ask(Method::PUT, "/v1/credentials/k", &[], Some(&key))
        .await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    let mut answers = std::collections::BTreeSet::new();
    for address in [
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]:22",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "localhost",
        "2130706433",
    ] {
        for host in [
            json!({"name": "inside", "address": address, "credential": "k"}),
            json!({"name": "inside", "address": "192.0.2.1", "jumps": [address], "credential": "k"}),
        ] {
            let refused = rig.post("/v1/hosts", Some(&host)).await;
            refused.problem(422, "refused");
            answers.insert(refused.text);
        }
    }
    // Nothing in the answer tells what is there, and it may not be tried for ever.
    assert_eq!(answers.len(), 1, "{answers:?}");
    let host = json!({"name": "outside", "address": "192.0.2.1", "credential": "k"});
    rig.post("/v1/hosts", Some(&host))
        .await
        .problem(429, "busy");
    rig.get("/v1/hosts/inside").await.problem(404, "not_found");

    let open = vmdeck::sim::Scenario::from_toml(TWO_HOSTS).unwrap();
    let open = Rig::with(open, |config| {
        config.dial_allow = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let moved = json!({"address": "127.0.0.1:1"});
    let moved = open
        .ask(Method::PATCH, "/v1/hosts/kvm1", &[], Some(&moved))
        .await;
    assert_eq!(moved.status, StatusCode::OK, "{}", moved.text);
}
