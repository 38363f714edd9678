//! The portal contract, call by call.

use std::time::Duration;

use axum::body::Body;
use serde_json::{Value, json};
use vmdeck::accounts::Scopes;

use crate::rig::{Plan, Rig, portal_request, request};

/// A server with a user, and the user's key.
async fn with_user() -> (Rig, String) {
    let rig = Rig::start().await;
    let key = rig.user("Ann").await;
    (rig, key)
}

/// The same with a host beside those of the bot.
async fn with_agent() -> (Rig, String, i64) {
    let (rig, key) = with_user().await;
    let id = rig.agent(&key, "kvm1").await;
    (rig, key, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_could_not_be_exchanged_is_no_success_in_the_audit_log() {
    let (rig, key) = with_user().await;
    let database = rig.root.path().join("server/server.db");
    let connection = rusqlite::Connection::open(database).unwrap();
    connection
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON api_key \
             BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
        )
        .unwrap();
    let rotate = || rig.portal(&key, "POST", "/users/me/api-key/rotate", None);
    rotate().await.expect(503);
    connection.execute_batch("DROP TRIGGER full").unwrap();
    rotate().await.expect(200);
    let user = rig.state.accounts.find_user("Ann").await.unwrap();
    let fleet = rig.state.tenants.fleet(&user.profile).await.unwrap();
    let records = fleet.audit_tail(100, None).await.unwrap();
    let mut told: Vec<String> = records
        .iter()
        .filter(|record| record.entry.action == "api-key-rotated")
        .map(|record| record.entry.status.clone())
        .collect();
    told.sort();
    assert_eq!(told, ["failed", "ok", "ok"]);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_asked_for_in_the_old_words() {
    let rig = Rig::start().await;
    let calls = [
        ("GET", "/users/me"),
        ("POST", "/users/me/api-key/rotate"),
        ("GET", "/agents"),
        ("POST", "/agents"),
        ("GET", "/agents/1"),
        ("GET", "/agents/x"),
        ("GET", "/agents/1/credentials"),
        ("PATCH", "/agents/1"),
        ("DELETE", "/agents/1"),
        ("GET", "/agents/1/vms"),
        ("GET", "/agents/1/vms/web"),
        ("POST", "/agents/1/vms/web/start"),
        ("POST", "/agents/1/vms/web/shutdown"),
        ("POST", "/agents/1/vms/web/force-stop"),
        ("POST", "/agents/1/vms/web/reboot"),
    ];
    for (method, path) in calls {
        for value in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Basic YTpi"),
            Some("token"),
        ] {
            let mut made = request(method, path);
            if let Some(value) = value {
                made = made.header("authorization", value);
            }
            let told = rig
                .send(made.body(Body::empty()).unwrap())
                .await
                .expect(401);
            assert_eq!(
                told.json(),
                json!({"detail": "Missing API key"}),
                "{method} {path} {value:?}"
            );
        }
        let unknown = "u".repeat(43);
        for key in [
            "wrong",
            unknown.as_str(),
            "vmd_u_0000000000000000000000000000000000000000000000000",
        ] {
            let told = rig.portal(key, method, path, None).await.expect(403);
            assert_eq!(
                told.json(),
                json!({"detail": "Invalid API key"}),
                "{method} {path} {key}"
            );
        }
        let twice = request(method, path)
            .header("authorization", "Bearer a")
            .header("authorization", "Bearer b");
        rig.send(twice.body(Body::empty()).unwrap())
            .await
            .expect(401);
        let in_the_address = request(method, &format!("{path}?api_key={}", rig.admin));
        rig.send(in_the_address.body(Body::empty()).unwrap())
            .await
            .expect(401);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_seen_and_get_new_keys() {
    let rig = Rig::start().await;
    let body = json!({"name": "  Ann  ", "email": "ann@example.org"});
    let made = rig
        .portal(&rig.admin, "POST", "/users", Some(body))
        .await
        .expect(201)
        .json();
    let key = made["api_key"].as_str().unwrap().to_owned();
    assert_eq!(made["name"], "Ann");
    assert_eq!(made["email"], "ann@example.org");
    assert!(made["id"].is_i64());
    assert_eq!(made["api_key_prefix"].as_str(), key.get(..8));
    made["created_at"]
        .as_str()
        .unwrap()
        .parse::<jiff::Timestamp>()
        .unwrap();

    let me = rig
        .portal(&key, "GET", "/users/me", None)
        .await
        .expect(200)
        .json();
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("api_key");
    assert_eq!(me, expected);

    let taken = json!({"name": "Bob", "email": "ANN@example.org"});
    rig.portal(&rig.admin, "POST", "/users", Some(taken))
        .await
        .expect(400);

    let rotated = rig
        .portal(&key, "POST", "/users/me/api-key/rotate", None)
        .await
        .expect(200)
        .json();
    let fresh = rotated["api_key"].as_str().unwrap();
    assert_eq!(rotated["api_key_prefix"].as_str(), fresh.get(..8));
    assert_eq!(rotated.as_object().unwrap().len(), 2);
    rig.portal(&key, "GET", "/users/me", None).await.expect(403);
    rig.portal(fresh, "GET", "/users/me", None)
        .await
        .expect(200);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table of the page")]
async fn bodies_are_checked_and_refused_in_the_old_shape() {
    let (rig, key, id) = with_agent().await;
    let good = rig.agent_body("kvm2");
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let long = |length: usize| json!("x".repeat(length));
    let cases = [
        (without("name"), "name", "missing"),
        (without("hostname"), "hostname", "missing"),
        (without("username"), "username", "missing"),
        (without("private_key"), "private_key", "missing"),
        (with("name", json!("")), "name", "string_too_short"),
        (with("name", long(101)), "name", "string_too_long"),
        (with("name", json!(5)), "name", "string_type"),
        (with("hostname", long(256)), "hostname", "string_too_long"),
        (
            with("hostname", json!("a b; rm -rf /")),
            "hostname",
            "value_error",
        ),
        (
            with("hostname", json!("-oProxyCommand=x")),
            "hostname",
            "value_error",
        ),
        (
            with("hostname", json!("kvm1:2222")),
            "hostname",
            "value_error",
        ),
        (with("port", json!(0)), "port", "greater_than_equal"),
        (with("port", json!(65536)), "port", "less_than_equal"),
        (with("port", json!("ssh")), "port", "int_parsing"),
        (with("port", json!([22])), "port", "int_type"),
        (with("username", long(65)), "username", "string_too_long"),
        (with("username", json!("a b")), "username", "value_error"),
        (
            with("private_key", long(39)),
            "private_key",
            "string_too_short",
        ),
        (
            with("private_key_passphrase", long(256)),
            "private_key_passphrase",
            "string_too_long",
        ),
        (
            with("allow_unknown_hosts", json!("maybe")),
            "allow_unknown_hosts",
            "bool_type",
        ),
        (
            with("known_hosts_path", long(1025)),
            "known_hosts_path",
            "string_too_long",
        ),
    ];
    for (body, member, kind) in cases {
        let told = rig
            .portal(&key, "POST", "/agents", Some(body.clone()))
            .await
            .expect(422)
            .json();
        let all = told["detail"].as_array().unwrap();
        assert_eq!(all.len(), 1, "{told}");
        assert_eq!(all[0]["loc"], json!(["body", member]));
        assert_eq!(all[0]["type"], kind);
        assert!(all[0]["msg"].is_string() && all[0].get("input").is_some());
        if kind != "missing" {
            let mut change = json!({});
            change[member] = body[member].clone();
            rig.portal(&key, "PATCH", &format!("/agents/{id}"), Some(change))
                .await
                .expect(422);
        }
    }
    for (path, admin) in [("/users", true), ("/agents", false)] {
        let key = if admin { &rig.admin } else { &key };
        for (kind, text, status) in [
            ("application/json", "", 422),
            ("application/json", "{", 422),
            ("application/json", "[]", 422),
            ("application/json", r#"{"name": "a", "name": "b"}"#, 422),
            ("text/plain", r#"{"name": "a"}"#, 415),
            ("application/x-www-form-urlencoded", "name=a", 415),
        ] {
            let made = request("POST", path)
                .header("authorization", format!("Bearer {key}"))
                .header("content-type", kind)
                .body(Body::from(text))
                .unwrap();
            let told = rig.send(made).await.expect(status);
            assert!(told.json().get("detail").is_some(), "{path} {kind} {text}");
        }
        let big = json!({"name": "x".repeat(10 * 1024 * 1024)});
        rig.portal(key, "POST", path, Some(big)).await.expect(413);
    }
    for name in [json!(""), json!("   "), json!("x".repeat(101)), Value::Null] {
        rig.portal(&rig.admin, "POST", "/users", Some(json!({"name": name})))
            .await
            .expect(422);
    }
    rig.portal(
        &rig.admin,
        "POST",
        "/users",
        Some(json!({"name": "A", "email": "e".repeat(256)})),
    )
    .await
    .expect(422);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_kept_as_they_were_given() {
    let (rig, key, id) = with_agent().await;
    let spec = rig.sim.host("kvm1").spec.clone();
    let shown = rig
        .portal(&key, "GET", &format!("/agents/{id}"), None)
        .await
        .expect(200)
        .json();
    let created = shown["created_at"].as_str().unwrap();
    created.parse::<jiff::Timestamp>().unwrap();
    let expected = json!({
        "id": id,
        "name": "kvm1",
        "hostname": spec.endpoint.address,
        "port": spec.endpoint.port_or_default(),
        "username": spec.user.as_ref().unwrap().as_str(),
        "allow_unknown_hosts": true,
        "known_hosts_path": null,
        "created_at": created,
    });
    assert_eq!(shown, expected);
    let list = rig
        .portal(&key, "GET", "/agents", None)
        .await
        .expect(200)
        .json();
    assert_eq!(list, json!([expected]));

    // A port that is not sent is 22, and unknown hosts are not allowed.
    let mut plain = rig.agent_body("kvm2");
    for member in ["port", "allow_unknown_hosts"] {
        plain.as_object_mut().unwrap().remove(member);
    }
    plain["hostname"] = json!("no-such-host.invalid");
    plain["known_hosts_path"] = json!("/etc/passwd");
    plain["owner_id"] = json!(1);
    let made = rig
        .portal(&key, "POST", "/agents", Some(plain))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&made["port"], &made["allow_unknown_hosts"]),
        (&json!(22), &json!(false))
    );
    assert_eq!(made["known_hosts_path"], "/etc/passwd");
    assert!(made.get("private_key").is_none() && made.get("owner_id").is_none());

    let path = format!("/agents/{}", made["id"]);
    let changed = rig
        .portal(&key, "PATCH", &path, Some(json!({"port": 2222})))
        .await
        .expect(200)
        .json();
    let mut expected = made.clone();
    expected["port"] = json!(2222);
    assert_eq!(changed, expected, "only what was sent changes");
    let cleared = json!({"known_hosts_path": "", "private_key_passphrase": "", "name": "renamed"});
    let cleared = rig
        .portal(&key, "PATCH", &path, Some(cleared))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&cleared["known_hosts_path"], &cleared["name"]),
        (&Value::Null, &json!("renamed"))
    );
    assert_eq!(
        rig.portal(&key, "PATCH", &path, Some(json!({})))
            .await
            .expect(200)
            .json(),
        cleared
    );

    let gone = rig.portal(&key, "DELETE", &path, None).await.expect(204);
    assert_eq!(gone.text, "");
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("PATCH", path.clone()),
        ("GET", format!("{path}/vms")),
    ] {
        let body = (method == "PATCH").then(|| json!({}));
        let told = rig.portal(&key, method, &path, body).await.expect(404);
        assert_eq!(told.json(), json!({"detail": "Agent not found"}));
    }
    for text in ["x", "1.5", "0x1", "%20"] {
        let told = rig
            .portal(&key, "GET", &format!("/agents/{text}"), None)
            .await
            .expect(422)
            .json();
        assert_eq!(told["detail"][0]["type"], "int_parsing");
        assert_eq!(told["detail"][0]["loc"][0], "path");
    }
    rig.portal(&key, "GET", "/agents/99999999999999999999999999", None)
        .await
        .expect(404);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table of the page")]
async fn vms_are_listed_shown_and_acted_on() {
    let (rig, key, id) = with_agent().await;
    let at = |rest: &str| format!("/agents/{id}/vms{rest}");
    let list = rig
        .portal(&key, "GET", &at(""), None)
        .await
        .expect(200)
        .json();
    let all = list.as_array().unwrap();
    assert_eq!(all.len(), 6);
    for (name, state) in [
        ("web-1", "running"),
        ("Windows 10", "shut off"),
        ("привет", "paused"),
    ] {
        let vm = all.iter().find(|vm| vm["name"] == name).unwrap();
        assert_eq!(vm["state"], state);
        assert!(vm.as_object().unwrap().contains_key("id"));
        if state == "shut off" {
            assert_eq!(vm["id"], Value::Null);
        }
    }
    let shown = rig
        .portal(&key, "GET", &at("/web-1"), None)
        .await
        .expect(200)
        .json();
    let dominfo = &shown["dominfo"];
    for (label, value) in [
        ("Name", "web-1"),
        ("State", "running"),
        ("CPU(s)", "4"),
        ("Max memory", "2097152 KiB"),
        ("Autostart", "enable"),
    ] {
        assert_eq!(dominfo[label], value, "{label}");
    }
    assert_eq!(dominfo["UUID"].as_str().unwrap().len(), 36);
    assert_eq!(shown["raw"]["exit_status"], 0);
    assert_eq!(shown["raw"]["command"][0], "virsh");
    assert!(
        shown["raw"]["stdout"]
            .as_str()
            .unwrap()
            .contains("Name:           web-1")
    );
    assert_eq!(shown["raw"]["stderr"], "");

    let is = |name: &'static str, state: &'static str| {
        let (rig, key, path) = (&rig, &key, at(""));
        async move {
            for _ in 0..600 {
                let list = rig.portal(key, "GET", &path, None).await.expect(200).json();
                let vm = list
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|vm| vm["name"] == name)
                    .unwrap();
                if vm["state"] == state {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("{name} never became {state}");
        }
    };
    for (verb, vm, path, state) in [
        ("start", "Windows 10", "/Windows%2010/start", "running"),
        ("reboot", "web-1", "/web-1/reboot", "running"),
        (
            "shutdown",
            "Windows 10",
            "/Windows%2010/shutdown",
            "shut off",
        ),
        ("force-stop", "deaf", "/deaf/force-stop", "shut off"),
    ] {
        let told = rig
            .portal(&key, "POST", &at(path), None)
            .await
            .expect(200)
            .json();
        assert_eq!(told["exit_status"], 0, "{verb}: {told}");
        let command: Vec<&str> = told["command"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect();
        assert_eq!(command[0], "virsh");
        assert!(
            command.contains(&if verb == "force-stop" {
                "destroy"
            } else {
                verb
            }),
            "{command:?}"
        );
        assert!(told["stdout"].is_string() && told["stderr"].is_string());
        is(vm, state).await;
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_virsh_would_refuse_is_a_500_with_the_command() {
    let (rig, key, id) = with_agent().await;
    for (path, word, vm) in [
        ("web-1/start", "start", "web-1"),
        ("Windows%2010/shutdown", "shutdown", "Windows 10"),
        ("Windows%2010/reboot", "reboot", "Windows 10"),
        ("nobody/start", "start", "nobody"),
        ("nobody/force-stop", "force-stop", "nobody"),
    ] {
        let told = rig
            .portal(&key, "POST", &format!("/agents/{id}/vms/{path}"), None)
            .await
            .expect(500)
            .json();
        assert_eq!(
            told["detail"],
            format!("Failed to {word} virtual machine '{vm}'")
        );
        let command = &told["command"];
        assert_eq!(command["exit_status"], 1);
        assert_eq!(command["command"][0], "virsh");
        assert_eq!(command["stdout"], "");
        assert!(!command["stderr"].as_str().unwrap().is_empty());
    }
    let told = rig
        .portal(&key, "GET", &format!("/agents/{id}/vms/nobody"), None)
        .await
        .expect(500)
        .json();
    assert!(told["command"]["exit_status"] == 1 && told["detail"].is_string());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ssh_refuses_is_a_502_and_silence_a_504() {
    let rig = Rig::of(Plan::with(|plan| {
        plan.config.limit.request_time = Duration::from_secs(20);
    }))
    .await;
    let key = rig.user("Ann").await;
    let id = rig
        .agent_with(&key, "kvm1", |body| {
        body["private_key"] = json!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\nthis is no key at all, only long enough\n-----END OPENSSH PRIVATE KEY-----\n"
        );
        body["name"] = json!("wrong-key");
        })
        .await;
    let told = rig
        .portal(&key, "GET", &format!("/agents/{id}/vms"), None)
        .await
        .expect(502);
    assert!(told.json()["detail"].is_string());

    // Nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let id = rig
        .agent_with(&key, "kvm1", |body| {
            body["port"] = json!(free);
            body["name"] = json!("closed");
        })
        .await;
    for path in [
        format!("/agents/{id}/vms"),
        format!("/agents/{id}/vms/web-1"),
    ] {
        rig.portal(&key, "GET", &path, None).await.expect(502);
    }
    rig.portal(&key, "POST", &format!("/agents/{id}/vms/web-1/start"), None)
        .await
        .expect(502);

    // Something listens and never says a word; its greeting would not be told either.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let id = rig
        .agent_with(&key, "kvm1", |body| {
            body["port"] = json!(silent.local_addr().unwrap().port());
            body["name"] = json!("hanging");
        })
        .await;
    rig.portal(&key, "GET", &format!("/agents/{id}/vms"), None)
        .await
        .expect(504);

    // The host key of a host that is not to be trusted unseen.
    let id = rig
        .agent_with(&key, "kvm2", |body| {
            body["allow_unknown_hosts"] = json!(false);
        })
        .await;
    let told = rig
        .portal(&key, "GET", &format!("/agents/{id}/vms"), None)
        .await
        .expect(502);
    assert!(told.detail().contains("host key"), "{}", told.text);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_things_are_answered_like_things_that_are_not() {
    let (rig, ann, id) = with_agent().await;
    let bob = rig.user("Bob").await;
    assert_eq!(
        rig.portal(&bob, "GET", "/agents", None)
            .await
            .expect(200)
            .json(),
        json!([])
    );
    let absent = id + 1000;
    let calls: [(&str, &str, Option<Value>); 10] = [
        ("GET", "", None),
        ("GET", "/credentials", None),
        ("PATCH", "", Some(json!({"port": 1}))),
        ("DELETE", "", None),
        ("GET", "/vms", None),
        ("GET", "/vms/web-1", None),
        ("POST", "/vms/web-1/start", None),
        ("POST", "/vms/web-1/shutdown", None),
        ("POST", "/vms/web-1/force-stop", None),
        ("POST", "/vms/web-1/reboot", None),
    ];
    for (method, rest, body) in calls {
        let foreign = rig
            .portal(&bob, method, &format!("/agents/{id}{rest}"), body.clone())
            .await
            .expect(404);
        let nothing = rig
            .portal(&bob, method, &format!("/agents/{absent}{rest}"), body)
            .await
            .expect(404);
        assert_eq!(foreign.text, nothing.text);
        assert_eq!(foreign.headers.len(), nothing.headers.len());
    }
    // Nothing of it has touched the agent, and the same name is free for another tenant.
    rig.portal(&ann, "GET", &format!("/agents/{id}"), None)
        .await
        .expect(200);
    let own = rig.agent(&bob, "kvm1").await;
    assert_ne!(own, id);
    // The administrator is a tenant like any other.
    rig.portal(&rig.admin, "GET", &format!("/agents/{id}/vms"), None)
        .await
        .expect(404);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_keys_do_less_and_see_less() {
    let (rig, ann, id) = with_agent().await;
    let looking = rig.narrowed("Ann", Scopes::looking()).await;
    rig.portal(&looking, "GET", &format!("/agents/{id}/vms"), None)
        .await
        .expect(200);
    for (method, path, body) in [
        ("POST", format!("/agents/{id}/vms/web-1/reboot"), None),
        ("POST", "/agents".to_owned(), Some(rig.agent_body("kvm2"))),
        ("PATCH", format!("/agents/{id}"), Some(json!({"port": 2}))),
        ("DELETE", format!("/agents/{id}"), None),
        ("POST", "/users/me/api-key/rotate".to_owned(), None),
    ] {
        rig.portal(&looking, method, &path, body).await.expect(403);
    }
    let elsewhere = rig
        .narrowed(
            "Ann",
            Scopes {
                hosts: vec!["other*".into()],
                ..Scopes::default()
            },
        )
        .await;
    assert_eq!(
        rig.portal(&elsewhere, "GET", "/agents", None)
            .await
            .expect(200)
            .json(),
        json!([])
    );
    rig.portal(&elsewhere, "GET", &format!("/agents/{id}"), None)
        .await
        .expect(404);
    rig.portal(&elsewhere, "GET", &format!("/agents/{id}/vms"), None)
        .await
        .expect(404);
    rig.portal(&ann, "GET", &format!("/agents/{id}"), None)
        .await
        .expect(200);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_paths() {
    let (rig, key) = with_user().await;
    for (method, path, status, detail) in [
        ("GET", "/nothing", 404, "Not Found"),
        ("GET", "/agents/1/vms/a/b/c", 404, "Not Found"),
        ("PUT", "/agents", 405, "Method Not Allowed"),
        ("DELETE", "/users/me", 405, "Method Not Allowed"),
        ("GET", "/agents/1/vms/a/start", 405, "Method Not Allowed"),
        ("OPTIONS", "/agents", 405, "Method Not Allowed"),
        ("BREW", "/users", 405, "Method Not Allowed"),
    ] {
        let told = rig
            .send(portal_request(&key, method, path, None))
            .await
            .expect(status);
        assert_eq!(told.json(), json!({ "detail": detail }), "{method} {path}");
        assert!(told.headers.get("access-control-allow-origin").is_none());
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_not_held_up_by_one_that_is_merely_watched() {
    let (rig, key, id) = with_agent().await;
    // The guest hears none of the first three: each is taken, and watched for its effect.
    for verb in ["reboot", "shutdown", "reboot", "force-stop"] {
        let path = format!("/agents/{id}/vms/deaf/{verb}");
        let told = rig
            .portal(&key, "POST", &path, None)
            .await
            .expect(200)
            .json();
        assert_eq!(told["exit_status"], 0, "{verb}: {told}");
    }
    // What the hypervisor does by itself is done when it is answered.
    let state = async |name: &str| {
        let path = format!("/agents/{id}/vms");
        let list = rig
            .portal(&key, "GET", &path, None)
            .await
            .expect(200)
            .json();
        let found = list
            .as_array()
            .unwrap()
            .iter()
            .find(|vm| vm["name"] == name);
        found.unwrap()["state"].clone()
    };
    assert_eq!(state("deaf").await, "shut off");
    for (verb, after) in [
        ("start", "running"),
        ("force-stop", "shut off"),
        ("start", "running"),
    ] {
        let path = format!("/agents/{id}/vms/Windows%2010/{verb}");
        rig.portal(&key, "POST", &path, None).await.expect(200);
        assert_eq!(state("Windows 10").await, after);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_agents_is_recorded_once_with_who_did_it() {
    let (rig, key, id) = with_agent().await;
    let path = format!("/agents/{id}");
    let change = json!({"known_hosts_path": "/etc/x", "allow_unknown_hosts": false});
    rig.portal(&key, "PATCH", &path, Some(change))
        .await
        .expect(200);
    rig.portal(&key, "DELETE", &path, None).await.expect(204);
    let audit = rig.portal(&key, "GET", "/v1/audit", None).await;
    let audit = audit.expect(200).json();
    let mut seen = Vec::new();
    for line in audit["items"].as_array().unwrap() {
        let action = line["action"].as_str().unwrap();
        // The key of a host is accepted by the fleet, when it dials and if it comes to that: nobody's deed.
        if action.starts_with("host-key-") {
            continue;
        }
        if ["host-", "credential-", "agent-"]
            .iter()
            .any(|begin| action.starts_with(begin))
        {
            assert_eq!(line["user"], "Ann", "{line}");
            assert_eq!(line["door"], "serve", "{line}");
            assert!(
                line["key"].is_string() && line["client_ip"] == "127.0.0.1",
                "{line}"
            );
            seen.push(action.to_owned());
        }
    }
    seen.sort();
    let expected = [
        "credential-removed",
        "credential-set",
        "host-added",
        "host-changed",
        "host-removed",
    ];
    assert_eq!(seen, expected);
    rig.end().await;
}
