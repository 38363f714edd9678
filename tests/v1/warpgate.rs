//! Lapses of another bastion, each of which must never be ours: advisories of 2026 on Warpgate. W1 and W7
//! are about SSH and stand in `tests/contract`, W5 is in `events.rs`, W6 in `tests/serve/listener.rs`.

use std::net::SocketAddr;

use axum::http::{Method, header};
use serde_json::{Value, json};
use vmdeck::serve::client_address::Peer;

use crate::matrix::{self, Tenants};
use crate::rig::{read, request, send};

/// CVE-2026-91164: API tokens skipped the user's list of addresses.
#[tokio::test(flavor = "multi_thread")]
async fn w2_the_address_list_binds_every_door() {
    let tenants = Tenants::allowing(&["192.0.2.0/24"]).await;
    let peer = |address: &str| Peer(SocketAddr::new(address.parse().unwrap(), 4000));
    for (method, path) in matrix::routes() {
        for kind in ["none", "full", "admin", "bot"] {
            let mut asked = tenants.request(kind, method.clone(), &path, None);
            asked.extensions_mut().insert(peer("203.0.113.9"));
            let answer = read(send(&tenants.serving.router, asked).await).await;
            assert_eq!(
                answer.status, 403,
                "{kind} {method} {path}: {}",
                answer.text
            );
            let told = answer.json();
            assert_eq!(told["detail"], "this address is not on the allow list");
        }
    }
    let mut asked = tenants.request("full", Method::GET, "/v1/hosts", None);
    asked.extensions_mut().insert(peer("192.0.2.7"));
    let answer = read(send(&tenants.serving.router, asked).await).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    tenants.serving.end().await;
}

/// CVE-2026-91167: a call that changed roles did not ask who may.
#[tokio::test(flavor = "multi_thread")]
async fn w3_nobody_gives_themselves_more_than_they_have() {
    let tenants = Tenants::start().await;
    let user = json!({"name": "mallory"});
    for kind in ["look", "verb", "host", "tag", "plain", "full", "other"] {
        let refused = tenants.ask(kind, Method::POST, "/users", Some(&user)).await;
        assert_eq!(refused.status, 403, "{kind}: {}", refused.text);
    }
    for kind in ["look", "verb", "host", "tag", "plain"] {
        let path = "/users/me/api-key/rotate";
        let refused = tenants.ask(kind, Method::POST, path, None).await;
        assert_eq!(refused.status, 403, "{kind}: a wider key for a narrow one");
    }
    // Members that would give power are nobody's to set.
    let greedy = json!({
        "name": "mallory", "admin": true, "profile": crate::rig::PROFILE, "id": 1,
        "scopes": {"export": true}, "api_key": "vmd_a_chosen",
    });
    let made = tenants
        .ask("admin", Method::POST, "/users", Some(&greedy))
        .await;
    assert!(!made.text.contains("vmd_a_"), "{}", made.text);
    if made.status == 201 {
        let key = made.json()["api_key"].as_str().unwrap().to_owned();
        let ask = async |method, path: &str, body: Option<&Value>| {
            read(
                send(
                    &tenants.serving.router,
                    request(&key, method, path, &[], body),
                )
                .await,
            )
            .await
        };
        assert_eq!(ask(Method::POST, "/users", Some(&user)).await.status, 403);
        assert_eq!(ask(Method::GET, "/v1/hosts", None).await.json()["total"], 0);
    }
    let users = tenants.serving.state.accounts.users().await.unwrap();
    let admins: Vec<&str> = users
        .iter()
        .filter(|user| user.admin)
        .map(|user| user.name.as_str())
        .collect();
    assert_eq!(admins, ["admin", "root", "cat"]);
    tenants.serving.end().await;
}

/// CVE-2026-63329: a header with an identity was believed, or passed on, as the client had written it.
#[tokio::test(flavor = "multi_thread")]
async fn w4_headers_that_name_somebody_mean_nothing() {
    let tenants = Tenants::start().await;
    let act = "/v1/vms/kvm1/canary-db/actions/autostart-off?wait=20";
    let claims = [
        ("x-forwarded-user", "root"),
        ("x-remote-user", "root"),
        ("remote-user", "root"),
        ("x-user", "root"),
        ("x-warpgate-username", "root"),
        ("x-authenticated-user", "root"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-real-ip", "198.51.100.1"),
        ("forwarded", "for=198.51.100.1;by=203.0.113.43"),
        ("x-original-url", "/healthz"),
        ("x-http-method-override", "GET"),
    ];
    for (kind, expected) in [("none", 401), ("look", 403), ("plain", 200)] {
        let mut asked = tenants.request(kind, Method::POST, act, None);
        for (name, value) in claims {
            asked.headers_mut().insert(name, value.parse().unwrap());
        }
        let address = SocketAddr::from(([203, 0, 113, 9], 4000));
        asked.extensions_mut().insert(Peer(address));
        // Not on loopback, so that a name is no matter of rebinding.
        asked
            .headers_mut()
            .insert(header::HOST, "localhost".parse().unwrap());
        let answer = read(send(&tenants.serving.router, asked).await).await;
        assert_eq!(answer.status, expected, "{kind}: {}", answer.text);
    }
    let path = "/v1/audit?filter=action%3Aautostart-off";
    let told = tenants.ask("full", Method::GET, path, None).await.json();
    let lines = told["items"].as_array().unwrap();
    assert!(lines.len() >= 2, "{told:#}");
    for line in lines {
        assert_eq!(
            (&line["user"], &line["client_ip"]),
            (&json!("ann"), &json!("203.0.113.9"))
        );
    }
    assert!(!told.to_string().contains("198.51.100.1") && !told.to_string().contains("root"));
    tenants.serving.end().await;
}
