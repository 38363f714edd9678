//! What is another's is answered like what is not there: the same bytes, but for the name that was asked
//! for. The fleets of tenants have nothing in common.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use vmdeck::task::Tasks;

use crate::matrix::Tenants;
use crate::rig::PROFILE;

/// A question about a thing: of somebody else's, and of nobody's.
struct Question {
    method: Method,
    path: &'static str,
    body: Option<Value>,
}

fn question(method: Method, path: &'static str) -> Question {
    Question {
        method,
        path,
        body: None,
    }
}

fn questions(pem: &str) -> Vec<Question> {
    let with = |method, path, body| Question {
        body: Some(body),
        ..question(method, path)
    };
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    vec![
        question(get.clone(), "/v1/vms/{host}/canary-db"),
        question(get.clone(), "/v1/vms/{host}/canary-db?detail=true"),
        question(post.clone(), "/v1/vms/{host}/canary-db/actions/start"),
        question(
            post.clone(),
            "/v1/vms/{host}/canary-db/actions/start?dry_run=true",
        ),
        question(get.clone(), "/v1/hosts/{host}"),
        question(delete.clone(), "/v1/hosts/{host}"),
        question(post.clone(), "/v1/hosts/{host}/refresh"),
        question(post.clone(), "/v1/hosts/{host}/check"),
        with(
            Method::PATCH,
            "/v1/hosts/{host}",
            json!({"read_only": true}),
        ),
        with(
            post.clone(),
            "/v1/hosts/{host}/host-key",
            json!({"fingerprint": "SHA256:x"}),
        ),
        question(delete.clone(), "/v1/credentials/{credential}"),
        with(
            post.clone(),
            "/v1/hosts",
            json!({"name": "new", "address": "127.0.0.1:9", "credential": "{credential}"}),
        ),
        with(
            post.clone(),
            "/v1/vms/actions/start",
            json!({"filter": "host:{host}", "expect_count": 2}),
        ),
        question(get.clone(), "/v1/vms?filter=host:{host}"),
        question(get.clone(), "/v1/operations/{operation}"),
        question(post.clone(), "/v1/operations/{operation}/cancel"),
        question(get.clone(), "/v1/audit?filter=host:{host}"),
        question(get.clone(), "/agents/{agent}"),
        question(delete, "/agents/{agent}"),
        with(
            Method::PATCH,
            "/agents/{agent}",
            json!({"private_key": pem}),
        ),
        question(get.clone(), "/agents/{agent}/credentials"),
        question(get.clone(), "/agents/{agent}/vms"),
        question(get, "/agents/{agent}/vms/canary-db"),
        question(post.clone(), "/agents/{agent}/vms/canary-db/start"),
        question(post, "/agents/{agent}/vms/canary-db/reboot"),
    ]
}

/// Names of things: of the tenant, and of nobody, each as long as the other.
type Names = [(&'static str, String, String); 4];

fn named(text: &str, names: &Names, theirs: bool) -> String {
    names
        .iter()
        .fold(text.to_owned(), |text, (place, one, none)| {
            text.replace(place, if theirs { one } else { none })
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_things_are_answered_like_things_that_are_not_there() {
    let tenants = Tenants::start().await;
    let pem = tenants.serving.sim.demo.login_key_pem.expose().clone();
    let absent_operation: String = tenants.operation.chars().rev().collect();
    let names: Names = [
        ("{host}", "kvm1".to_owned(), "kvm9".to_owned()),
        ("{credential}", "ops-key".to_owned(), "ops-kez".to_owned()),
        ("{operation}", tenants.operation.clone(), absent_operation),
        (
            "{agent}",
            tenants.agent.to_string(),
            "9".repeat(tenants.agent.to_string().len()),
        ),
    ];
    let mut told = 0;
    for kind in ["other", "third", "host", "tag"] {
        for asked in questions(&pem) {
            let mut answers = Vec::new();
            for theirs in [true, false] {
                let path = named(asked.path, &names, theirs);
                let body = asked.body.as_ref().map(|body| {
                    let text = named(&body.to_string(), &names, theirs);
                    serde_json::from_str(&text).unwrap()
                });
                let answer = tenants
                    .ask(kind, asked.method.clone(), &path, body.as_ref())
                    .await;
                let mut text = answer.text.clone();
                for (place, one, none) in &names[..3] {
                    text = text.replace(if theirs { one } else { none }, place);
                }
                let headers: Vec<String> = answer
                    .headers
                    .iter()
                    .filter(|(name, _)| *name != "date" && *name != "etag")
                    .map(|(name, value)| format!("{name}: {value:?}"))
                    .collect();
                answers.push((answer.status, headers, text));
            }
            assert_eq!(
                answers[0], answers[1],
                "{kind}: {} {}",
                asked.method, asked.path
            );
            told += 1;
        }
    }
    assert!(told >= 100, "{told}");
    tenants.serving.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_learns_nothing_from_how_long_a_host_it_does_not_see_takes() {
    let tenants = Tenants::start().await;
    // A host that takes connections and says nothing: who may see it waits for it.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let host = json!({
        "name": "kvm3", "address": address, "user": "ops", "credential": "ops-key",
    });
    let added = tenants
        .ask("full", Method::POST, "/v1/hosts", Some(&host))
        .await;
    assert_eq!(added.status, 201, "{}", added.text);
    let accepted = tokio::time::timeout(Duration::from_secs(20), mute.accept()).await;
    let (connection, _) = accepted.expect("it is dialled").unwrap();
    let path = "/v1/vms/kvm3/canary-db";
    let seeing = tenants.ask("full", Method::GET, path, None);
    let blind = async {
        for kind in ["host", "tag", "other"] {
            let answer = tenants.ask(kind, Method::GET, path, None).await;
            answer.problem(404, "not_found");
        }
    };
    tokio::select! {
        biased;
        () = blind => {}
        answer = seeing => panic!("who sees it did not wait: {} {}", answer.status, answer.text),
    }
    drop(connection);
    tenants.serving.end().await;
}

/// Passes connections on to a host, and counts them.
async fn counting(to: SocketAddr, tasks: &Tasks) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let inner = tasks.clone();
    let accepting = async move {
        while let Ok((mut near, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let passing = async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            };
            drop(inner.spawn("passing", passing));
        }
    };
    drop(tasks.spawn("counting", accepting));
    (port, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn fleets_of_tenants_are_drivers_and_connections_of_their_own() {
    let tenants = Tenants::start().await;
    let host = tenants.serving.sim.host("kvm1");
    let port = host.spec.endpoint.port_or_default();
    let tasks = Tasks::new();
    let (port, count) = counting(SocketAddr::from(([127, 0, 0, 1], port)), &tasks).await;
    let login = |name: &str| {
        json!({
            "name": name,
            "hostname": "127.0.0.1",
            "port": port,
            "username": host.spec.user.as_ref().unwrap().as_str(),
            "private_key": tenants.serving.sim.demo.login_key_pem.expose(),
            "allow_unknown_hosts": true,
        })
    };
    // Two other tenants with the same host.
    let mut agents = Vec::new();
    for (kind, name) in [("other", "bens-one"), ("third", "cats-one")] {
        let made = tenants
            .ask(kind, Method::POST, "/agents", Some(&login(name)))
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
        let id = made.json()["id"].as_i64().unwrap();
        agents.push((kind, format!("/agents/{id}/vms")));
    }
    let list = async |at: usize| {
        let (kind, path) = &agents[at];
        let vms = tenants.ask(kind, Method::GET, path, None).await;
        assert_eq!(vms.status, 200, "{}", vms.text);
        assert!(vms.text.contains("canary-db"), "{}", vms.text);
    };
    for _ in 0..3 {
        list(0).await;
        list(1).await;
    }
    assert_eq!(
        count.load(Ordering::SeqCst),
        2,
        "one connection for each tenant, and kept"
    );
    // One tenant's fleet ends: the other's goes on over the connection that it has.
    let grace = Duration::from_secs(5);
    tenants.serving.state.tenants.close("bens", grace).await;
    list(1).await;
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let running = tenants.serving.state.tenants.running();
    let running: Vec<&str> = running.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(running, ["cats", PROFILE]);
    tasks.cancel();
    tenants.serving.end().await;
}
