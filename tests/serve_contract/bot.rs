//! The bot contract, call by call.

use std::time::Duration;

use serde_json::{Value, json};
use vmdeck::sim::SimState;

use crate::rig::{API_KEY, Plan, Rig, bot_request, request};
use axum::body::Body;

/// Waits until the simulator has a VM in a state.
async fn wait_state(rig: &Rig, path: &str, wanted: &str) {
    for _ in 0..600 {
        let state = rig.bot("GET", path).await.expect(200).json()["state"].clone();
        if state == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} never became {wanted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_key() {
    let rig = Rig::start().await;
    let root = rig
        .send(request("GET", "/").body(Body::empty()).unwrap())
        .await
        .expect(200);
    let root = root.json();
    assert_eq!(root["status"], "running");
    assert!(root["service"].is_string() && root["version"].is_string());
    assert!(root["endpoints"].as_object().unwrap().len() >= 8);
    let health = rig
        .send(request("GET", "/health").body(Body::empty()).unwrap())
        .await
        .expect(200);
    assert_eq!(health.json(), json!({"status": "ok"}));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_vm_call_needs_the_key() {
    let rig = Rig::start().await;
    let calls = [
        ("GET", "/vm/list"),
        ("GET", "/vm/web-1/state"),
        ("GET", "/vm/web-1/details"),
        ("GET", "/vm/history"),
        ("GET", "/vm/web-1/history"),
        ("POST", "/vm/web-1/start"),
        ("POST", "/vm/web-1/shutdown"),
        ("POST", "/vm/web-1/restart"),
    ];
    let user = rig.user("Ann").await;
    for (method, path) in calls {
        let long = "k".repeat(2000);
        for key in [
            None,
            Some(""),
            Some("wrong"),
            Some("bot-key-canary-471"),
            Some(user.as_str()),
            Some(long.as_str()),
        ] {
            let mut made = request(method, path);
            if let Some(key) = key {
                made = made.header("x-api-key", key);
            }
            let told = rig
                .send(made.body(Body::empty()).unwrap())
                .await
                .expect(401);
            assert!(told.json()["detail"].is_string(), "{method} {path}");
        }
        let twice = request(method, path)
            .header("x-api-key", API_KEY)
            .header("x-api-key", API_KEY);
        rig.send(twice.body(Body::empty()).unwrap())
            .await
            .expect(401);
        let bearer = request(method, path).header("authorization", format!("Bearer {API_KEY}"));
        rig.send(bearer.body(Body::empty()).unwrap())
            .await
            .expect(401);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_states_are_those_of_the_hosts_in_hyper_vs_words() {
    let rig = Rig::start().await;
    let list = rig.bot("GET", "/vm/list").await.expect(200).json();
    let mut names: Vec<&str> = list["vms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "Windows 10",
            "deaf",
            "it's; $(reboot) \"q\" `x` %TEMP%",
            "only-2",
            "twin",
            "twin",
            "web-1",
            "привет"
        ]
    );
    for (path, name, state) in [
        ("/vm/web-1/state", "web-1", "Running"),
        ("/vm/Windows%2010/state", "Windows 10", "Off"),
        (
            "/vm/%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82/state",
            "привет",
            "Paused",
        ),
        ("/vm/twin/state?host=kvm2", "twin", "Saved"),
        ("/vm/kvm2%2Ftwin/state", "twin", "Saved"),
        ("/vm/kvm1%2Ftwin/state", "twin", "Off"),
        (
            "/vm/it%27s%3B%20%24%28reboot%29%20%22q%22%20%60x%60%20%25TEMP%25/state",
            "it's; $(reboot) \"q\" `x` %TEMP%",
            "Off",
        ),
    ] {
        let told = rig.bot("GET", path).await.expect(200);
        assert_eq!(
            told.json(),
            json!({"vm_name": name, "state": state}),
            "{path}"
        );
        assert_eq!(told.headers["content-type"], "application/json");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn details_have_the_old_members_and_units() {
    let rig = Rig::start().await;
    let details = rig.bot("GET", "/vm/web-1/details").await.expect(200).json();
    let members: Vec<&str> = details
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    for member in [
        "vm_name",
        "state",
        "cpu",
        "cpu_usage",
        "memory",
        "memory_demand",
        "uptime",
        "generation",
        "ip_address",
    ] {
        assert!(members.contains(&member), "{member} of {members:?}");
    }
    assert_eq!(details["vm_name"], "web-1");
    assert_eq!(details["state"], "Running");
    assert_eq!(details["cpu"], "4 cores");
    assert_eq!(details["memory"], "2.0 GB");
    let off = rig
        .bot("GET", "/vm/Windows%2010/details")
        .await
        .expect(200)
        .json();
    assert_eq!(off["state"], "Off");
    assert_eq!(off["cpu_usage"], "0%");
    assert_eq!(off["ip_address"], "Not available");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_verbs_act_and_the_history_tells() {
    let rig = Rig::start().await;
    let started = rig
        .send(bot_request("POST", "/vm/Windows%2010/start", "{}"))
        .await
        .expect(200)
        .json();
    assert_eq!(started["vm"], "Windows 10");
    assert_eq!(started["action"], "start");
    assert_eq!(started["status"], "success");
    assert!(started["output"].is_string());
    wait_state(&rig, "/vm/Windows%2010/state", "Running").await;

    let again = rig
        .bot("POST", "/vm/Windows%2010/start")
        .await
        .expect(200)
        .json();
    assert_eq!(
        again["status"], "success",
        "starting what runs is no failure: {again}"
    );

    let restarted = rig
        .bot("POST", "/vm/web-1/restart")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&restarted["action"], &restarted["status"]),
        (&json!("restart"), &json!("success"))
    );
    let stopped = rig
        .bot("POST", "/vm/Windows%2010/shutdown")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&stopped["action"], &stopped["status"]),
        (&json!("shutdown"), &json!("success"))
    );
    wait_state(&rig, "/vm/Windows%2010/state", "Off").await;

    let history = rig
        .bot("GET", "/vm/history?limit=10")
        .await
        .expect(200)
        .json();
    let entries = history["history"].as_array().unwrap();
    let actions: Vec<&str> = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["shutdown", "restart", "start"],
        "newest first, one for each that was sent"
    );
    for entry in entries {
        assert_eq!(entry["success"], true);
        assert_eq!(entry["user"], "bot");
        assert!(entry["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(entry["vm_name"].is_string());
    }
    let one = rig.bot("GET", "/vm/web-1/history").await.expect(200).json();
    assert_eq!(one["history"].as_array().unwrap().len(), 1);
    assert_eq!(one["history"][0]["vm_name"], "web-1");
    let last = rig
        .bot("GET", "/vm/history?limit=1")
        .await
        .expect(200)
        .json();
    assert_eq!(last["history"].as_array().unwrap().len(), 1);
    for limit in ["0", "-1", "x", "", "1e3", "99999999999999999999"] {
        rig.bot("GET", &format!("/vm/history?limit={limit}"))
            .await
            .expect(422);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_fit_nothing_or_too_much() {
    let rig = Rig::start().await;
    for (method, path) in [
        ("GET", "/vm/nobody/state"),
        ("GET", "/vm/nobody/details"),
        ("GET", "/vm/nobody/history"),
        ("POST", "/vm/nobody/start"),
        ("POST", "/vm/nobody/shutdown"),
        ("POST", "/vm/nobody/restart"),
    ] {
        let told = rig.bot(method, path).await.expect(404);
        let detail = told.detail();
        assert!(
            detail.starts_with("VM 'nobody' not found. Available VMs: "),
            "{detail}"
        );
        assert!(detail.contains("Windows 10, deaf"), "{detail}");
    }
    for (method, path) in [
        ("GET", "/vm/twin/state"),
        ("POST", "/vm/twin/start"),
        ("POST", "/vm/twin/restart"),
    ] {
        let told = rig.bot(method, path).await.expect(409);
        assert!(
            told.detail().contains("kvm1/twin, kvm2/twin"),
            "{}",
            told.text
        );
    }
    rig.bot("GET", "/vm/twin/state?host=kvm3").await.expect(404);
    rig.bot("GET", "/vm/twin/state?host=kvm1&host=kvm2")
        .await
        .expect(400);
    // Nothing was started by a name that fits two.
    assert_eq!(
        rig.bot("GET", "/vm/twin/state?host=kvm1").await.json()["state"],
        "Off"
    );
    assert_eq!(
        rig.bot("GET", "/vm/history").await.json(),
        json!({"history": []})
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_paths_are_refused_and_echoed_harmlessly() {
    let rig = Rig::start().await;
    for path in [
        "/vm/a%00b/state",
        "/vm/%2e%2e/state",
        "/vm/%c0%af/state",
        "/vm/%ff/state",
        "/vm/%zz/state",
    ] {
        rig.bot("GET", path).await.expect(400);
    }
    let long = format!("/vm/{}/state", "n".repeat(8 * 1024));
    let told = rig.bot("GET", &long).await.expect(404);
    assert!(told.text.len() < 2000);
    let escape = rig
        .bot("GET", "/vm/%1b%5D0%3Bowned%07%E2%80%AE/state")
        .await
        .expect(404);
    assert!(
        !escape
            .text
            .chars()
            .any(|c| c.is_control() || c == '\u{202e}'),
        "{:?}",
        escape.text
    );
    assert!(
        escape.detail().contains('\u{202e}'),
        "the text itself is told in full"
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_paths() {
    let rig = Rig::start().await;
    for (method, path, status) in [
        ("DELETE", "/vm/list", 405),
        ("GET", "/vm/web-1/start", 405),
        ("POST", "/vm/web-1/state", 405),
        ("BREW", "/vm/list", 405),
        ("GET", "/vm", 404),
        ("GET", "/vm/web-1", 404),
        ("GET", "/vm/web-1/start/now", 404),
        ("GET", "/nothing", 404),
    ] {
        let told = rig.bot(method, path).await.expect(status);
        let expected = if status == 404 {
            "Not Found"
        } else {
            "Method Not Allowed"
        };
        assert_eq!(told.json(), json!({"detail": expected}), "{method} {path}");
    }
    let head = rig.bot("HEAD", "/vm/list").await.expect(200);
    assert_eq!(head.text, "");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_state_or_the_hypervisor_forbids_is_a_failure_with_a_reason() {
    let rig = Rig::start().await;
    let told = rig.bot("POST", "/vm/Windows%2010/restart").await;
    assert!(matches!(told.status.as_u16(), 403 | 500), "{}", told.text);
    assert!(
        told.detail().contains("Windows 10 is stopped"),
        "{}",
        told.text
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_allow_list_holds_for_every_path_before_the_key() {
    let rig = Rig::of(Plan::with(|plan| {
        plan.allow = vec!["192.0.2.0/24", "2001:db8::/32"];
        plan.config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    }))
    .await;
    let paths = [
        "/",
        "/health",
        "/vm/list",
        "/users/me",
        "/agents",
        "/v1/hosts",
        "/metrics",
        "/v1/events",
        "/nothing",
    ];
    for path in paths {
        let told = rig
            .send_from("203.0.113.9".parse().unwrap(), bot_request("GET", path, ""))
            .await
            .expect(403);
        assert!(told.json()["detail"].is_string(), "{path}");
    }
    for (peer, forwarded, status) in [
        ("192.0.2.77", None, 200),
        ("::ffff:192.0.2.77", None, 200),
        ("2001:db8::7", None, 200),
        ("192.0.3.1", None, 403),
        // A client writes its own header: it is not believed.
        ("203.0.113.9", Some("192.0.2.77"), 403),
        ("192.0.2.77", Some("203.0.113.9"), 200),
        // A proxy that is trusted speaks for the last address it saw.
        ("10.0.0.1", Some("192.0.2.77"), 200),
        ("10.0.0.1", Some("192.0.2.77, 203.0.113.9"), 403),
        ("10.0.0.1", Some("203.0.113.9, 192.0.2.77"), 200),
        ("10.0.0.1", None, 403),
    ] {
        let mut request = bot_request("GET", "/vm/list", "");
        if let Some(forwarded) = forwarded {
            request
                .headers_mut()
                .insert("x-forwarded-for", forwarded.parse().unwrap());
        }
        let told = rig.send_from(peer.parse().unwrap(), request).await;
        assert_eq!(
            told.status.as_u16(),
            status,
            "{peer} {forwarded:?}: {}",
            told.text
        );
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_hangs_delays_nobody_elses_calls() {
    let rig = Rig::of(Plan::with(|plan| {
        plan.config.limit.request_time = Duration::from_secs(4);
    }))
    .await;
    rig.bot("GET", "/vm/list").await.expect(200);
    rig.sim.control("kvm2").set_silent(true);
    let hanging = rig.bot("POST", "/vm/only-2/start");
    let (slow, quick) = tokio::join!(hanging, async {
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(rig.bot("GET", "/vm/web-1/state").await.status.as_u16());
        }
        answers
    });
    assert_eq!(quick, [200; 20]);
    assert_eq!(slow.status.as_u16(), 504, "{}", slow.text);
    let detail: Value = slow.json();
    assert!(detail["detail"].is_string());
    rig.sim.control("kvm2").set_silent(false);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_did_a_moment_ago_is_seen_before_nothing_is_done() {
    let rig = Rig::start().await;
    rig.bot("GET", "/vm/list").await.expect(200);
    let host = rig.sim.control("kvm1");
    for _ in 0..5 {
        host.set_state("web-1", SimState::Stopped).unwrap();
        let told = rig.bot("POST", "/vm/web-1/start").await.expect(200);
        assert!(!told.text.contains("nothing was sent"), "{}", told.text);
        assert_eq!(host.vm("web-1").unwrap().state, SimState::Running);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_not_held_up_by_one_that_is_merely_watched() {
    let rig = Rig::of(Plan::with(|plan| {
        plan.config.limit.request_time = Duration::from_secs(3);
    }))
    .await;
    for verb in ["shutdown", "restart", "shutdown"] {
        let told = rig
            .bot("POST", &format!("/vm/deaf/{verb}"))
            .await
            .expect(200);
        assert!(told.text.contains("has taken it"), "{}", told.text);
    }
    rig.end().await;
}
