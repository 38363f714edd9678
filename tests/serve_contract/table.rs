//! The tables of both contracts: request -> status, headers, shape of the body, and what became of the VM,
//! on a host of each kind. The server is the real program, asked over real HTTP; effects are read behind
//! its back (`virsh domstate` on libvirt, the emulator's own model on the others).

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use vmdeck::domain::secret::SecretText;
use vmdeck::serve::contract::bot::signature;

use crate::ground::{DEAF, Ground, HOSTILE, Kind, OBEDIENT, PAUSED, RESTING, stranger_key};
use crate::rig::{API_KEY, HMAC_SECRET};
use crate::shape::check;
use crate::support::served::Reply;

/// A name as it stands in a path.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a client has its own clock")]
fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a time after 1970").as_secs()
}

/// A call of the bot contract, signed now as the old clients do.
fn bot(ground: &Ground, method: &str, path: &str) -> Reply {
    let body = if method == "POST" { "{}" } else { "" };
    let stamp = unix_seconds().to_string();
    let secret = SecretText::from(HMAC_SECRET.to_owned());
    let signature = signature::hex(&signature::sign_old(&secret, body.as_bytes(), &stamp));
    let headers = [
        ("x-api-key", API_KEY),
        ("x-timestamp", &stamp),
        ("x-signature", &signature),
        ("content-type", "application/json"),
    ];
    let headers = if body.is_empty() {
        &headers[..3]
    } else {
        &headers[..]
    };
    ground.served.send(method, path, headers, body)
}

/// Every answer with a body is JSON, that nobody keeps where a contract gave it; one without says nothing of
/// a type.
#[track_caller]
fn check_headers(reply: &Reply) {
    if reply.body.is_empty() {
        assert_eq!(reply.header("content-type"), None);
    } else {
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    let is_of_the_server = ["Not Found", "Method Not Allowed"]
        .iter()
        .any(|text| reply.body == format!("{{\"detail\":\"{text}\"}}"));
    if !is_of_the_server {
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    assert!(reply.header("access-control-allow-origin").is_none());
}

#[expect(clippy::too_many_lines, reason = "one table of the page")]
fn the_bot_contract_on(kind: Kind) {
    let ground = Ground::of(kind);
    ground.wait_out_the_first_second();
    let detail = json!({"detail": "<words>"});
    let named = |name: &str, rest: &str| format!("/vm/{}/{rest}", encoded(name));

    // What needs no key, and what is refused without one.
    for (path, status, shape) in [
        (
            "/",
            200,
            json!({"service": "<words>", "version": "<words>", "status": "running", "endpoints": {"<more>": 1}}),
        ),
        ("/health", 200, json!({"status": "ok"})),
        ("/vm/list", 401, detail.clone()),
    ] {
        let reply = ground.served.send("GET", path, &[], "").expect(status);
        check_headers(&reply);
        check(&reply.json(), &shape);
    }
    let unsigned = ground
        .served
        .send("GET", "/vm/list", &[("x-api-key", API_KEY)], "")
        .expect(401);
    check(&unsigned.json(), &detail);

    // Reading.
    let generation = match kind {
        Kind::HyperV => json!(2),
        Kind::Libvirt | Kind::Simulated => json!("Not available"),
    };
    let details = |name: &str, state: &str| {
        json!({
            "vm_name": name, "state": state, "cpu": "<cores>", "cpu_usage": "<percent>",
            "memory": "<gigabytes>", "memory_demand": "<gigabytes>", "uptime": "<span>",
            "generation": generation, "ip_address": "<address>",
        })
    };
    let mut rows = vec![
        (
            "/vm/list".to_owned(),
            200,
            json!({"vms": ["<each>", "<words>"]}),
        ),
        (named("nobody", "state"), 404, detail.clone()),
        (named("nobody", "details"), 404, detail.clone()),
        (named("nobody", "history"), 404, detail.clone()),
        (
            "/vm/history?limit=10".to_owned(),
            200,
            json!({"history": []}),
        ),
        (
            "/vm/history?limit=x".to_owned(),
            422,
            json!({"detail": [{"type": "<words>", "loc": ["query", "limit"], "msg": "<words>", "input": "x"}]}),
        ),
        ("/vm/a%00b/state".to_owned(), 400, detail.clone()),
        ("/vm".to_owned(), 404, json!({"detail": "Not Found"})),
        (
            named(OBEDIENT, "start"),
            405,
            json!({"detail": "Method Not Allowed"}),
        ),
    ];
    for (name, state) in [
        (OBEDIENT, "Running"),
        (RESTING, "Off"),
        (PAUSED, "Paused"),
        (DEAF, "Running"),
        (HOSTILE, "Off"),
    ] {
        rows.push((
            named(name, "state"),
            200,
            json!({"vm_name": name, "state": state}),
        ));
        rows.push((named(name, "details"), 200, details(name, state)));
    }
    for (path, status, shape) in rows {
        let reply = bot(&ground, "GET", &path).expect(status);
        check_headers(&reply);
        check(&reply.json(), &shape);
    }
    let mut all: Vec<String> =
        serde_json::from_value(bot(&ground, "GET", "/vm/list").json()["vms"].clone()).unwrap();
    all.sort();
    let mut wanted = [OBEDIENT, RESTING, PAUSED, DEAF, HOSTILE];
    wanted.sort_unstable();
    assert_eq!(all, wanted);
    let missing = bot(&ground, "GET", "/vm/nobody/state").json();
    let text = missing["detail"].as_str().unwrap();
    assert!(
        text.starts_with("VM 'nobody' not found. Available VMs: "),
        "{text}"
    );
    assert!(wanted.iter().all(|name| text.contains(name)), "{text}");

    // Acting, each effect read on the host.
    let done = |name: &str, action: &str| json!({"vm": name, "action": action, "output": "<words>", "status": "success"});
    for (name, action, state) in [
        (RESTING, "start", "running"),
        // What is as wanted is no failure.
        (RESTING, "start", "running"),
        (HOSTILE, "start", "running"),
        (OBEDIENT, "restart", "running"),
    ] {
        let reply = bot(&ground, "POST", &named(name, action)).expect(200);
        check_headers(&reply);
        check(&reply.json(), &done(name, action));
        ground.until(name, state);
    }
    ground.booted(2);
    let reply = bot(&ground, "POST", &named(OBEDIENT, "shutdown")).expect(200);
    check(&reply.json(), &done(OBEDIENT, "shutdown"));
    ground.until(OBEDIENT, "shut off");
    check(
        &bot(&ground, "GET", &named(OBEDIENT, "state"))
            .expect(200)
            .json(),
        &json!({"vm_name": OBEDIENT, "state": "Off"}),
    );

    // The history has one entry for each that was sent, newest first.
    let entry = |name: &str, action: &str| json!({"timestamp": "<time>", "user": "bot", "action": action, "vm_name": name, "success": true});
    let history = bot(&ground, "GET", "/vm/history?limit=10")
        .expect(200)
        .json();
    check(
        &history,
        &json!({"history": [
            entry(OBEDIENT, "shutdown"), entry(OBEDIENT, "restart"), entry(HOSTILE, "start"), entry(RESTING, "start"),
        ]}),
    );
    let one = bot(&ground, "GET", &named(RESTING, "history?limit=1"))
        .expect(200)
        .json();
    check(&one, &json!({"history": [entry(RESTING, "start")]}));

    // What the hypervisor refuses is a failure in its words.
    if ground.break_starts() {
        if kind == Kind::Libvirt {
            ground.virsh("destroy", RESTING);
        } else {
            bot(&ground, "POST", &named(RESTING, "shutdown")).expect(200);
        }
        ground.until(RESTING, "shut off");
        // The server has to have heard of it, else there would be nothing to start.
        assert!(crate::support::wait_for(
            std::time::Duration::from_secs(30),
            || { bot(&ground, "GET", &named(RESTING, "state")).json()["state"] == "Off" }
        ));
        let reply = bot(&ground, "POST", &named(RESTING, "start")).expect(500);
        check(&reply.json(), &detail);
        assert_eq!(ground.state(RESTING), "shut off");
    }
    let said = ground.end();
    assert!(!said.contains(API_KEY) && !said.contains(HMAC_SECRET));
}

/// A call of the portal contract.
fn portal(ground: &Ground, key: &str, method: &str, path: &str, body: Option<&Value>) -> Reply {
    let bearer = format!("Bearer {key}");
    let body = body.map(Value::to_string).unwrap_or_default();
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let headers = if body.is_empty() {
        &headers[..1]
    } else {
        &headers[..]
    };
    let reply = ground.served.send(method, path, headers, &body);
    check_headers(&reply);
    reply
}

#[expect(clippy::too_many_lines, reason = "one table of the page")]
fn the_portal_contract_on(kind: Kind) {
    let ground = Ground::of(kind);
    let user = json!({"id": "<integer>", "name": "Ann", "email": "ann@example.org", "api_key_prefix": "<words>", "created_at": "<time>"});
    let with_key = |mut user: Value| {
        user["api_key"] = json!("<words>");
        user
    };
    let ann = json!({"name": " Ann ", "email": "ann@example.org"});
    let made = portal(&ground, &ground.admin, "POST", "/users", Some(&ann))
        .expect(201)
        .json();
    check(&made, &with_key(user.clone()));
    let key = made["api_key"].as_str().unwrap().to_owned();
    let ask =
        |method: &str, path: &str, body: Option<&Value>| portal(&ground, &key, method, path, body);
    check(&ask("GET", "/users/me", None).expect(200).json(), &user);
    check(
        &portal(&ground, &ground.admin, "POST", "/users", Some(&ann))
            .expect(400)
            .json(),
        &json!({"detail": "<words>"}),
    );
    let missing = ground.served.send("GET", "/agents", &[], "").expect(401);
    check(&missing.json(), &json!({"detail": "Missing API key"}));
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    let wrong = portal(&ground, "wrong", "GET", "/agents", None).expect(403);
    check(&wrong.json(), &json!({"detail": "Invalid API key"}));

    // Agents.
    let body = ground.agent();
    let shown = json!({
        "id": "<integer>", "name": "kvm1", "hostname": "127.0.0.1", "port": body["port"], "username": body["username"],
        "allow_unknown_hosts": true, "known_hosts_path": null, "created_at": "<time>",
    });
    check(&ask("GET", "/agents", None).expect(200).json(), &json!([]));
    let agent = ask("POST", "/agents", Some(&body)).expect(201).json();
    check(&agent, &shown);
    let here = format!("/agents/{}", agent["id"]);
    assert_eq!(
        ask("GET", "/agents", None).expect(200).json(),
        json!([agent])
    );
    assert_eq!(ask("GET", &here, None).expect(200).json(), agent);
    let change = json!({"known_hosts_path": "kh"});
    assert_eq!(
        ask("PATCH", &here, Some(&change)).expect(200).json()["known_hosts_path"],
        "kh"
    );
    let wrong = json!({"detail": ["<each>", {"type": "<words>", "loc": ["body", "<words>"], "msg": "<words>", "input": {"<more>": 1}}]});
    check(
        &ask("POST", "/agents", Some(&json!({"port": 22})))
            .expect(422)
            .json(),
        &wrong,
    );
    check(
        &ask("GET", &format!("{here}/credentials"), None)
            .expect(403)
            .json(),
        &json!({"detail": "<words>"}),
    );
    for (method, path, status, text) in [
        ("GET", "/agents/999999", 404, "Agent not found"),
        ("DELETE", "/agents/999999", 404, "Agent not found"),
        ("GET", "/nothing", 404, "Not Found"),
        ("PUT", "/agents", 405, "Method Not Allowed"),
    ] {
        assert_eq!(
            ask(method, path, None).expect(status).json(),
            json!({"detail": text})
        );
    }

    // An agent that does not let us in is a failure of the way there.
    let mut stranger = body.clone();
    stranger["name"] = json!("stranger");
    stranger["private_key"] = json!(stranger_key());
    let other = ask("POST", "/agents", Some(&stranger)).expect(201).json();
    let refused = ask("GET", &format!("/agents/{}/vms", other["id"]), None).expect(502);
    check(&refused.json(), &json!({"detail": "<words>"}));
    let gone = ask("DELETE", &format!("/agents/{}", other["id"]), None).expect(204);
    assert_eq!(gone.body, "");

    // VMs, in virsh's words; libvirt's number while it runs.
    let number = match kind {
        Kind::HyperV => json!(null),
        Kind::Libvirt | Kind::Simulated => json!("<number as text>"),
    };
    let vms = format!("{here}/vms");
    let list = ask("GET", &vms, None).expect(200).json();
    let found = |list: &Value, name: &str| -> Value {
        let all = list.as_array().unwrap();
        all.iter()
            .find(|vm| vm["name"] == name)
            .unwrap_or_else(|| panic!("{name} is not in {list}"))
            .clone()
    };
    assert_eq!(list.as_array().unwrap().len(), 5);
    for (name, state, runs) in [
        (OBEDIENT, "running", true),
        (RESTING, "shut off", false),
        (PAUSED, "paused", true),
        (DEAF, "running", true),
        (HOSTILE, "shut off", false),
    ] {
        let vm = found(&list, name);
        let id = if runs { number.clone() } else { Value::Null };
        check(&vm, &json!({"name": name, "state": state, "id": id}));
        if let Some(number) = ground.virsh("domid", name) {
            let number = number.trim();
            assert_eq!(
                vm["id"],
                if number == "-" {
                    Value::Null
                } else {
                    json!(number)
                }
            );
        }
    }

    // One VM, as `virsh dominfo` tells of it.
    let program = if kind == Kind::HyperV {
        "powershell.exe"
    } else {
        "virsh"
    };
    for name in [OBEDIENT, HOSTILE] {
        let path = format!("{vms}/{}", encoded(name));
        let told = ask("GET", &path, None).expect(200).json();
        check(
            &told,
            &json!({
                "dominfo": {
                    "Id": "<words>", "Name": name, "UUID": "<uuid>", "State": found(&list, name)["state"], "CPU(s)": "<number as text>",
                    "Max memory": "<words>", "Used memory": "<words>", "Persistent": "yes", "Autostart": "<words>", "<more>": 1,
                },
                "raw": {"command": ["<each>", "<words>"], "exit_status": 0, "stdout": "<words>", "stderr": ""},
            }),
        );
        assert_eq!(told["raw"]["command"][0], program);
        if let Some(real) = ground.virsh("dominfo", name) {
            let moves = |line: &&str| line.starts_with("CPU time") || line.trim().is_empty();
            let lines = |text: &str| -> Vec<String> {
                text.lines()
                    .filter(|line| !moves(line))
                    .map(|line| line.trim_end().to_owned())
                    .collect()
            };
            assert_eq!(lines(told["raw"]["stdout"].as_str().unwrap()), lines(&real));
            for line in lines(&real) {
                let (label, value) = line.split_once(':').unwrap();
                assert_eq!(told["dominfo"][label], value.trim(), "{label}");
            }
        }
    }

    // Acting, each effect read on the host.
    let result = json!({"command": ["<each>", "<words>"], "exit_status": 0, "stdout": "<text>", "stderr": "<text>"});
    for (name, verb, word, state) in [
        (RESTING, "start", "start", "running"),
        (RESTING, "force-stop", "destroy", "shut off"),
        (DEAF, "force-stop", "destroy", "shut off"),
        (HOSTILE, "start", "start", "running"),
        (OBEDIENT, "reboot", "reboot", "running"),
    ] {
        let told = ask("POST", &format!("{vms}/{}/{verb}", encoded(name)), None)
            .expect(200)
            .json();
        check(&told, &result);
        let command: Vec<&str> = told["command"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect();
        assert_eq!(command[0], program);
        assert!(
            kind == Kind::HyperV || command.contains(&word),
            "{command:?}"
        );
        ground.until(name, state);
    }
    ground.booted(2);
    check(
        &ask("POST", &format!("{vms}/{OBEDIENT}/shutdown"), None)
            .expect(200)
            .json(),
        &result,
    );
    ground.until(OBEDIENT, "shut off");

    // What the hypervisor would refuse.
    for (name, verb) in [
        (HOSTILE, "start"),
        (DEAF, "shutdown"),
        (DEAF, "reboot"),
        (DEAF, "force-stop"),
        ("nobody", "start"),
    ] {
        let told = ask("POST", &format!("{vms}/{}/{verb}", encoded(name)), None)
            .expect(500)
            .json();
        let failed = json!({"command": ["<each>", "<words>"], "exit_status": 1, "stdout": "", "stderr": "<words>"});
        check(
            &told,
            &json!({"detail": format!("Failed to {verb} virtual machine '{name}'"), "command": failed}),
        );
        assert_eq!(told["command"]["command"][0], program, "{told}");
    }
    check(
        &ask("GET", &format!("{vms}/nobody"), None)
            .expect(500)
            .json(),
        &json!({"detail": "Failed to inspect virtual machine 'nobody'", "command": {"<more>": 1}}),
    );
    if ground.break_starts() {
        let told = ask("POST", &format!("{vms}/{}/start", encoded(RESTING)), None)
            .expect(500)
            .json();
        assert_eq!(
            told["detail"],
            format!("Failed to start virtual machine '{RESTING}'")
        );
        assert_eq!(told["command"]["command"][0], program);
        assert_eq!(told["command"]["exit_status"], 1);
        let words = told["command"]["stderr"].as_str().unwrap();
        assert!(
            !words.is_empty() && (kind != Kind::Libvirt || words.contains("/nonexistent/disk.img")),
            "{words}"
        );
        assert_eq!(ground.state(RESTING), "shut off");
    }

    // The end of a key.
    let rotated = ask("POST", "/users/me/api-key/rotate", None)
        .expect(200)
        .json();
    check(
        &rotated,
        &json!({"api_key": "<words>", "api_key_prefix": "<words>"}),
    );
    ask("GET", "/users/me", None).expect(403);
    portal(
        &ground,
        rotated["api_key"].as_str().unwrap(),
        "GET",
        "/users/me",
        None,
    )
    .expect(200);
    let said = ground.end();
    assert!(!said.contains(&key) && !said.contains("PRIVATE KEY"));
}

#[test]
fn the_bot_contract_on_a_simulated_host() {
    the_bot_contract_on(Kind::Simulated);
}

#[test]
fn the_bot_contract_on_a_libvirt_host() {
    the_bot_contract_on(Kind::Libvirt);
}

#[test]
fn the_bot_contract_on_a_hyperv_host() {
    the_bot_contract_on(Kind::HyperV);
}

#[test]
fn the_portal_contract_on_a_simulated_host() {
    the_portal_contract_on(Kind::Simulated);
}

#[test]
fn the_portal_contract_on_a_libvirt_host() {
    the_portal_contract_on(Kind::Libvirt);
}

#[test]
fn the_portal_contract_on_a_hyperv_host() {
    the_portal_contract_on(Kind::HyperV);
}
