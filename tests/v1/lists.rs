//! Lists: which rows, in which order, which members, how they are sent; and who sees what.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use vmdeck::accounts::Scopes;
use vmdeck::sim::Scenario;

use crate::rig::{PROFILE, Rig, TWO_HOSTS};

fn texts(values: &[Value]) -> Vec<&str> {
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn vms_are_listed_as_once_lists_them() {
    let rig = Rig::start(TWO_HOSTS).await;
    // The first request starts the fleet, and waits for its first words.
    let all = rig.get("/v1/vms").await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.text);
    assert_eq!(all.header("content-type"), "application/json");
    assert_eq!(all.json()["total"], 6);
    assert_eq!(all.json()["unread"], json!([]));
    assert_eq!(
        texts(&all.column("name")),
        ["db", "web-1", "web-2", "web-3", "shop", "web-1"]
    );
    let row = &all.json()["items"][1];
    for (member, value) in [
        ("host", json!("kvm1")),
        ("hypervisor", json!("libvirt")),
        ("state", json!("running")),
        ("tags", json!(["blue"])),
        ("stale", json!(false)),
    ] {
        assert_eq!(row[member], value, "{member}");
    }
    assert!(row["vcpus"].is_u64() && row["id"].as_str().unwrap().len() == 36);
    assert!(all.json()["items"][0]["uptime_seconds"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_sorted_cut_and_walked() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let running = rig
        .get("/v1/vms?filter=state%3Arunning%20host%3Akvm1&sort=-name")
        .await;
    assert_eq!(texts(&running.column("name")), ["web-3", "web-2", "web-1"]);
    let few = rig.get("/v1/vms?fields=id,name&limit=1").await;
    let row = few.json()["items"][0].clone();
    assert_eq!(row.as_object().unwrap().len(), 2);

    let mut walked = Vec::new();
    let mut path = "/v1/vms?sort=name&limit=2".to_owned();
    loop {
        let part = rig.get(&path).await;
        walked.extend(part.column("name"));
        let Some(cursor) = part.json()["next_cursor"].as_str().map(str::to_owned) else {
            assert_eq!(part.header("link"), "");
            break;
        };
        assert!(part.header("link").contains(&cursor));
        path = format!("/v1/vms?sort=name&limit=2&cursor={cursor}");
    }
    assert_eq!(
        texts(&walked),
        ["db", "shop", "web-1", "web-1", "web-2", "web-3"]
    );

    let hosts = rig
        .get("/v1/hosts?sort=-name&fields=name,state,vms,running")
        .await;
    assert_eq!(
        hosts.json()["items"],
        json!([
            {"name": "kvm2", "state": "up", "vms": 2, "running": 1},
            {"name": "kvm1", "state": "up", "vms": 4, "running": 3},
        ])
    );
    let red = rig.get("/v1/hosts?filter=tag%3Ared&fields=name").await;
    assert_eq!(red.json()["items"], json!([{"name": "kvm2"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused_and_said() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    for (path, part) in [
        ("/v1/vms?filter=cpu%3E%3E3", "`filter`, at byte"),
        ("/v1/vms?sort=size", "`sort`"),
        ("/v1/vms?fields=name,secret", "`fields`"),
        ("/v1/vms?limit=0", "`limit`"),
        ("/v1/vms?limit=1001", "`limit`"),
        ("/v1/vms?limit=-1", "the query"),
        ("/v1/vms?limit=1&limit=2", "duplicate field"),
        ("/v1/vms?size=1", "unknown field"),
        ("/v1/vms?cursor=AAAA", "`cursor`"),
        ("/v1/operations?filter=nobody%3Ax", "`filter`"),
        ("/v1/audit?filter=!", "`filter`"),
        ("/v1/operations/x?wait=26", "`wait`"),
        ("/v1/vms/kvm1/%FF", "the path"),
    ] {
        let problem = rig.get(path).await.problem(400, "usage");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(part), "{path}: {detail}");
    }
    for path in [
        "/v1/vms/kvm1/nobody",
        "/v1/vms/kvm9/web-1",
        "/v1/vms/kvm1/6c09bb55-d683-4da0-8931-c9bf705f6480",
        "/v1/hosts/kvm9",
        "/v1/operations/x",
        "/v1/hosts/..",
    ] {
        rig.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_and_versions() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let accept = [("accept", "application/x-ndjson")];
    let lines = rig
        .ask(Method::GET, "/v1/vms?fields=name&limit=4", &accept, None)
        .await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    assert_eq!(lines.text.lines().next().unwrap(), r#"{"name":"db"}"#);
    assert_eq!(lines.text.lines().count(), 4);
    assert!(lines.header("link").ends_with("rel=\"next\""));
    assert_eq!(lines.header("vary"), "accept");

    // The fleet is published again and again; two requests after another see one version soon.
    for path in ["/v1/vms", "/v1/hosts", "/v1/audit", "/v1/operations"] {
        let mut seen = false;
        for _ in 0..200 {
            let first = rig.get(path).await;
            let tag = first.header("etag").to_owned();
            assert!(tag.starts_with("W/\""), "{path}: {tag}");
            let known = [("if-none-match", tag.as_str())];
            let again = rig.ask(Method::GET, path, &known, None).await;
            if again.status == StatusCode::NOT_MODIFIED {
                assert!(again.text.is_empty());
                seen = true;
                break;
            }
        }
        assert!(seen, "{path} has a version");
    }
    assert_eq!(rig.get("/v1/vms?filter=age%3C1h").await.header("etag"), "");

    // What has changed is told, and a version is one key's own.
    let eve = rig.user("eve", PROFILE, false, Scopes::looking()).await;
    for path in ["/v1/vms", "/v1/vms/kvm1/web-1", "/v1/operations"] {
        let before = rig.get(path).await;
        let known = [("if-none-match", before.header("etag"))];
        let others = rig.ask_as(&eve, Method::GET, path, &known, None).await;
        assert_eq!(others.status, StatusCode::OK, "{path}");
        let state = rig.get("/v1/vms/kvm1/web-1").await.json()["state"].clone();
        let verb = if state == "running" {
            "force-off"
        } else {
            "start"
        };
        let act = format!("/v1/vms/kvm1/web-1/actions/{verb}?wait=20");
        assert_eq!(rig.post(&act, None).await.json()["outcome"], "confirmed");
        let after = rig.ask(Method::GET, path, &known, None).await;
        assert_eq!(after.status, StatusCode::OK, "{path}");
        assert_ne!(after.text, before.text, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_vm_with_what_its_host_says() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let one = rig.get("/v1/vms/kvm1/web-2?detail=true").await;
    assert_eq!(one.status, StatusCode::OK, "{}", one.text);
    let vm = one.json();
    assert_eq!(vm["name"], "web-2");
    assert!(!vm["detail"]["disks"].as_array().unwrap().is_empty());
    assert!(
        vm["detail"]["definition"][0]
            .as_str()
            .unwrap()
            .contains("<domain")
    );
    let id = vm["id"].as_str().unwrap();
    let same = rig.get(&format!("/v1/vms/kvm1/{id}")).await.json();
    assert_eq!(same["name"], "web-2");
    assert!(same["detail"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_its_hosts_only_and_does_what_it_may() {
    let rig = Rig::start(TWO_HOSTS).await;
    rig.ready().await;
    let scopes = Scopes {
        hosts: vec!["kvm1".into()],
        verbs: vec!["start".into()],
        ..Scopes::default()
    };
    let some = rig.user("ben", PROFILE, false, scopes).await;
    let looking = rig.user("eve", PROFILE, false, Scopes::looking()).await;
    let ask = async |key: &str, method: Method, path: &str| {
        rig.ask_as(key, method, path, &[], None).await
    };
    let vms = ask(&some, Method::GET, "/v1/vms").await;
    assert_eq!(vms.json()["total"], 4);
    let hosts = ask(&some, Method::GET, "/v1/hosts?fields=name").await;
    assert_eq!(hosts.json()["items"], json!([{"name": "kvm1"}]));
    // What is not seen is answered like what is not there.
    let unseen = ask(&some, Method::GET, "/v1/vms/kvm2/shop").await;
    let absent = ask(&some, Method::GET, "/v1/vms/kvm3/shop").await;
    assert_eq!(
        unseen.problem(404, "not_found"),
        absent.problem(404, "not_found")
    );
    ask(&some, Method::POST, "/v1/vms/kvm2/web-1/actions/start")
        .await
        .problem(404, "not_found");
    ask(&some, Method::POST, "/v1/vms/kvm1/web-1/actions/force-off")
        .await
        .problem(403, "refused");
    ask(&looking, Method::POST, "/v1/vms/kvm1/db/actions/start")
        .await
        .problem(403, "refused");
    for path in ["/v1/audit", "/v1/credentials"] {
        ask(&some, Method::GET, path).await.problem(403, "refused");
    }
    ask(&some, Method::DELETE, "/v1/hosts/kvm1")
        .await
        .problem(403, "refused");
    let metrics = ask(&some, Method::GET, "/metrics").await.text;
    assert!(metrics.contains("kvm1") && !metrics.contains("kvm2"));
    assert!(!metrics.contains("http_requests"));

    for path in [
        "/v1/vms",
        "/v1/hosts",
        "/v1/operations",
        "/v1/audit",
        "/v1/events",
        "/metrics",
    ] {
        for key in [
            "",
            "x",
            "vmd_u_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            let refused = ask(key, Method::GET, path).await;
            assert_eq!(refused.status.as_u16() / 100, 4, "{path} {key}");
            assert!(
                [401, 429].contains(&refused.status.as_u16()),
                "{path} {key}"
            );
            assert!(!refused.text.contains("kvm"), "{}", refused.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_vms_are_walked_through_in_parts() {
    let scenario = Scenario::grid(4, 250).expect("a grid");
    let rig = Rig::with(scenario, |_| {}).await;
    rig.ready().await;
    let mut seen = std::collections::BTreeSet::new();
    let mut path = "/v1/vms?sort=-cpu_percent&limit=300&fields=host,id".to_owned();
    let mut parts = 0;
    loop {
        let part = rig.get(&path).await.json();
        assert_eq!(part["total"], 1000);
        for row in part["items"].as_array().unwrap() {
            seen.insert(row.to_string());
        }
        parts += 1;
        match part["next_cursor"].as_str() {
            Some(cursor) => {
                path =
                    format!("/v1/vms?sort=-cpu_percent&limit=300&fields=host,id&cursor={cursor}");
            }
            None => break,
        }
    }
    assert!(parts >= 4);
    // Loads move while they are walked through: nearly all are seen.
    assert!(seen.len() > 500, "{}", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_open_tells_which_version_it_is() {
    let rig = Rig::start(TWO_HOSTS).await;
    let ours = env!("CARGO_PKG_VERSION");
    for path in [
        "/",
        "/health",
        "/healthz",
        "/readyz",
        "/v1/docs",
        "/v1/docs.js",
        "/v1/docs.css",
        "/v1/openapi.json",
        "/v1/vms",
        "/nothing",
    ] {
        let answer = rig.ask_as("", Method::GET, path, &[], None).await;
        assert!(!answer.text.contains(ours), "{path}: {}", answer.text);
        for (name, value) in &answer.headers {
            assert!(!value.to_str().unwrap().contains(ours), "{path}: {name}");
        }
    }
    let document = rig.ask_as("", Method::GET, "/v1/openapi.json", &[], None);
    assert_eq!(document.await.json()["info"]["version"], "1");
    let root = rig.ask_as("", Method::GET, "/", &[], None);
    assert_eq!(root.await.json()["version"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_pages_need_no_key_and_no_network() {
    let rig = Rig::start(TWO_HOSTS).await;
    for path in ["/healthz", "/readyz"] {
        let health = rig.ask_as("", Method::GET, path, &[], None).await;
        assert_eq!(health.json(), json!({"status": "ok"}), "{path}");
    }
    let page = rig.ask_as("", Method::GET, "/v1/docs", &[], None).await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        page.header("content-security-policy")
            .contains("script-src 'self'")
    );
    // Whatever a browser could fetch is named in one of these ways.
    let of_others = [
        "http://", "https://", "\"//", "'//", "(//", "@import", " url(",
    ];
    let no_other_origin = |text: &str| {
        for way in of_others {
            assert!(!text.contains(way), "{way}");
        }
    };
    no_other_origin(&page.text);
    for part in ["docs.js", "docs.css"] {
        assert!(page.text.contains(part));
        let part = rig
            .ask_as("", Method::GET, &format!("/v1/{part}"), &[], None)
            .await;
        assert_eq!(part.status, StatusCode::OK);
        no_other_origin(&part.text);
    }
    rig.ask_as("", Method::GET, "/v1/docs.exe", &[], None)
        .await
        .problem(404, "not_found");
    let metrics = rig.get("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(metrics.text.ends_with("# EOF\n"));
    assert_eq!(metrics.text.matches("# EOF").count(), 1);
    rig.ready().await;
    let metrics = rig.get("/metrics").await.text;
    assert!(
        metrics.contains("vmdeck_host_up{profile=\"lab\",host=\"kvm1\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("host=\"kvm1\",state=\"running\"} 3"),
        "{metrics}"
    );
    assert!(metrics.contains("vmdeck_http_requests_total"), "{metrics}");
}
