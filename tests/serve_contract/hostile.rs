//! What no honest client sends to the two contracts, beyond what is in the tables of `bot` and `portal`: keys
//! that have ended, paths, names and bodies that are made to be misread, and what of it is written down.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};
use vmdeck::accounts::{NewKey, Scopes};
use vmdeck::clock::Clock;
use vmdeck::sim::SimState;

use crate::ground::{Ground, Kind, RESTING};
use crate::rig::{API_KEY, Plan, Rig, Told, bot_request, portal_request, request};
use crate::signatures::{now, second, signing};
use crate::support::wait_for;

/// Fails when a text holds what a terminal acts on.
#[track_caller]
fn check_harmless(text: &str) {
    let acts =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.chars().any(acts), "{text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_have_ended_are_answered_like_keys_that_never_were() {
    let clock = Clock::manual("2026-01-01T12:00:00Z".parse().unwrap());
    let rig = Rig::of(Plan::with(|plan| plan.clock = clock.clone())).await;
    let ann = rig.user("Ann").await;
    let user = rig.state.accounts.find_user("Ann").await.unwrap().id;
    let issue = async |expires_at| {
        let scopes = Scopes::full();
        let new = NewKey { scopes, expires_at };
        rig.state.accounts.issue_key(user, new).await.unwrap()
    };
    let expiring = issue(Some(clock.now() + SignedDuration::from_secs(60))).await;
    let revoked = issue(None).await;
    let ask = async |key: &str| rig.portal(key, "GET", "/agents", None).await;
    for key in [&expiring, &revoked] {
        ask(key.token.expose()).await.expect(200);
    }
    clock.advance(SignedDuration::from_secs(61));
    rig.state
        .accounts
        .revoke_key(&revoked.info.id)
        .await
        .unwrap();
    let never = ask("vmd_k_nobodys").await.expect(403);
    for key in [&expiring, &revoked] {
        let told = ask(key.token.expose()).await.expect(403);
        assert_eq!(told.text, never.text);
        assert_eq!(told.headers, never.headers);
    }
    ask(&ann).await.expect(200);
    rig.state.accounts.remove_user(user).await.unwrap();
    assert_eq!(ask(&ann).await.expect(403).text, never.text);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_of_the_second_signature_have_one_form() {
    let (rig, clock) = signing(|_| {}).await;
    let millis = clock.now().as_millisecond();
    let long = "1".repeat(10 * 1024);
    for stamp in [
        "",
        "NaN",
        "-1767268810000",
        "253402300799000",
        "1767268810",
        "1767268810.000",
        "1.767e12",
        "0x19b7a",
        " 1767268810000",
        "9999-12-31T23:59:59Z",
        long.as_str(),
    ] {
        let mut wrong = second(
            "POST",
            "/vm/web-1/start",
            "{}",
            millis,
            "nonce-of-a-wrong-time",
        );
        wrong
            .headers_mut()
            .insert("x-timestamp", stamp.parse().unwrap());
        let told = rig.send(wrong).await.expect(401);
        assert!(!told.detail().is_empty());
    }
    // The year 9999, rightly signed, is merely early.
    let far = second(
        "POST",
        "/vm/web-1/start",
        "{}",
        9_999_999_999_999,
        "nonce-of-a-far-time-1",
    );
    let told = rig.send(far).await.expect(401);
    assert!(told.detail().contains("future"), "{}", told.text);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_of_the_portal_mean_one_thing_or_nothing() {
    let rig = Rig::start().await;
    let key = rig.user("Ann").await;
    let id = rig.agent(&key, "kvm1").await;
    let long = "n".repeat(8 * 1024);
    for (path, status) in [
        // Not read as something else, and not as nothing.
        ("a%00b".to_owned(), 400),
        ("%c0%af".to_owned(), 400),
        ("%ff".to_owned(), 400),
        ("%2e%2e".to_owned(), 400),
        ("..".to_owned(), 400),
        ("%zz".to_owned(), 400),
        // A name with a slash is a name, on this host, that nobody has.
        ("kvm1%2Fweb-1".to_owned(), 500),
        ("..%2F..%2Fweb-1".to_owned(), 500),
        ("web-1%0Astart".to_owned(), 500),
        (long.clone(), 500),
    ] {
        for (method, rest) in [("GET", ""), ("POST", "/start"), ("POST", "/force-stop")] {
            let told = rig
                .portal(
                    &key,
                    method,
                    &format!("/agents/{id}/vms/{path}{rest}"),
                    None,
                )
                .await;
            assert_eq!(
                told.status.as_u16(),
                status,
                "{method} {path:.40}{rest}: {}",
                told.text
            );
            check_harmless(&told.text);
            assert!(told.text.len() < 2_000);
        }
    }
    for agent in [
        "%31%00",
        "%c0%af",
        "1%2F..%2F2",
        "..",
        "%2e%2e",
        "1;",
        "1%20",
        "%EF%BC%91",
        long.as_str(),
    ] {
        let told = rig
            .portal(&key, "GET", &format!("/agents/{agent}/vms"), None)
            .await;
        assert!(
            matches!(told.status.as_u16(), 404 | 422),
            "{agent:.20}: {} {}",
            told.status,
            told.text
        );
        check_harmless(&told.text);
        assert!(told.text.len() < 2_000);
    }
    // What is encoded without need is the same.
    let spelled = format!("/agents/%3{id}/vms/%77eb-1");
    if (0..10).contains(&id) {
        rig.portal(&key, "GET", &spelled, None).await.expect(200);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_nobody_has_and_bodies_nobody_reads() {
    let rig = Rig::start().await;
    let key = rig.user("Ann").await;
    for (method, path, status) in [
        ("OPTIONS", "/vm/list", 405),
        ("TRACE", "/vm/list", 405),
        ("PROPFIND", "/vm/web-1/start", 405),
        ("HEAD", "/vm/web-1/start", 405),
        ("HEAD", "/agents/1/vms/a/start", 405),
        ("TRACE", "/agents", 405),
        ("CONNECT", "/users", 405),
    ] {
        let mut asked = portal_request(&key, method, path, None);
        asked
            .headers_mut()
            .insert("x-api-key", API_KEY.parse().unwrap());
        let told = rig.send(asked).await.expect(status);
        assert!(told.headers.get("access-control-allow-origin").is_none());
    }
    let head = rig.portal(&key, "HEAD", "/agents", None).await.expect(200);
    assert_eq!(head.text, "");
    // A bot's body may be anything but large: nothing is read from it.
    let large = "x".repeat(10 * 1024 * 1024);
    for (body, status) in [
        (large.as_str(), 413),
        ("{\"a\": 1, \"a\": 2}", 200),
        ("[[[[[[[[", 200),
        ("\u{0}\u{1b}", 200),
    ] {
        let told = rig
            .send(bot_request("POST", "/vm/web-1/start", body))
            .await
            .expect(status);
        check_harmless(&told.text);
    }
    let deep = format!("{{\"name\": {}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for (body, status) in [
        (deep.as_str(), 422),
        ("{\"name\": {\"a\": 1}, \"email\": [1]}", 422),
        ("{\"name\": \"a\\u0000b\"}", 422),
        ("{\"name\": \"\\ud800\"}", 422),
        ("{\"name\": 1e999}", 422),
        ("{\"name\": \"a\"}{\"name\": \"b\"}", 422),
    ] {
        let asked = request("POST", "/users")
            .header("authorization", format!("Bearer {}", rig.admin))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let told = rig.send(asked).await.expect(status);
        assert!(told.text.len() < 2_000);
        check_harmless(&told.text);
    }
    rig.end().await;
}

/// Names as a Hyper-V host may have them, and what they look like in a path.
const NAMES: [(&str, &str); 5] = [
    (
        "two\nlines \u{1b}]0;owned\u{7} \u{9b}31m",
        "two%0Alines%20%1B%5D0%3Bowned%07%20%C2%9B31m",
    ),
    ("bidi \u{202e}gnp.exe", "bidi%20%E2%80%AEgnp.exe"),
    (
        "‘; Remove-Item C:\\ -Recurse; ’",
        "%E2%80%98%3B%20Remove-Item%20C%3A%5C%20-Recurse%3B%20%E2%80%99",
    ),
    (
        "-WhatIf $(reboot) `id` %TEMP% & | \" '",
        "-WhatIf%20%24%28reboot%29%20%60id%60%20%25TEMP%25%20%26%20%7C%20%22%20%27",
    ),
    ("a/b\\c", "a%2Fb%5Cc"),
];

#[tokio::test(flavor = "multi_thread")]
async fn names_of_every_kind_are_started_and_told_harmlessly() {
    let mut scenario = "seed = 5\n[[host]]\nname = \"kvm1\"\nkind = \"hyperv\"\n".to_owned();
    for (name, _) in NAMES {
        // JSON writes a text as TOML reads it.
        scenario.extend([
            "[[host.vm]]\nstate = \"off\"\nname = ",
            &json!(name).to_string(),
            "\n",
        ]);
    }
    let scenario: &'static str = scenario.leak();
    let rig = Rig::of(Plan::with(|plan| plan.scenario = scenario)).await;
    let key = rig.user("Ann").await;
    let id = rig.agent(&key, "kvm1").await;
    let list = rig.bot("GET", "/vm/list").await.expect(200);
    check_harmless(&list.text);
    let check = |told: &Told, name: &str, member: &str| {
        check_harmless(&told.text);
        let shown = told.json();
        let told = shown
            .pointer(member)
            .unwrap_or_else(|| panic!("{member} in {shown}"));
        assert_eq!(told, name, "the name itself is told in full");
    };
    for (name, path) in NAMES {
        let told = rig
            .bot("GET", &format!("/vm/{path}/state"))
            .await
            .expect(200);
        check(&told, name, "/vm_name");
        let told = rig
            .bot("POST", &format!("/vm/{path}/start"))
            .await
            .expect(200);
        check(&told, name, "/vm");
        let at = format!("/agents/{id}/vms/{path}");
        let told = rig.portal(&key, "GET", &at, None).await.expect(200);
        check(&told, name, "/dominfo/Name");
        let told = rig
            .portal(&key, "POST", &format!("{at}/force-stop"), None)
            .await
            .expect(200);
        check_harmless(&told.text);
        assert!(
            !told.text.contains("Remove-Item")
                || told.json()["command"][1]
                    .as_str()
                    .is_some_and(|script| !script.contains("Remove-Item"))
        );
        let state = rig.sim.control("kvm1").vm(name).unwrap().state;
        assert_eq!(state, SimState::Stopped, "{name:?}");
    }
    let history = rig.bot("GET", "/vm/history?limit=100").await.expect(200);
    check_harmless(&history.text);
    rig.end().await;
}

/// The notes about refused bots, and how many requests they are about.
async fn refused(rig: &Rig) -> (Vec<String>, u64) {
    let fleet = rig.state.tenants.fleet("bot").await.unwrap();
    let records = fleet.audit_tail(1_000, None).await.unwrap();
    let notes: Vec<String> = records
        .into_iter()
        .filter(|record| record.entry.action == "bots-refused")
        .map(|record| record.entry.details)
        .collect();
    let count = |note: &String| note.split(' ').next()?.parse::<u64>().ok();
    let all = notes.iter().filter_map(count).sum();
    (notes, all)
}

async fn until_refused(rig: &Rig, wanted: u64) -> Vec<String> {
    for _ in 0..600 {
        let (notes, all) = refused(rig).await;
        if all >= wanted {
            assert_eq!(all, wanted, "{notes:?}");
            return notes;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {wanted}: {:?}", refused(rig).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_bots_are_in_the_audit_log_as_a_few_lines() {
    let (rig, clock) = signing(|_| {}).await;
    let wrong = || {
        request("GET", "/vm/list")
            .header("x-api-key", "canary\"}")
            .body(Body::empty())
            .unwrap()
    };
    rig.send(wrong()).await.expect(401);
    // The first one of a quiet time is written at once.
    let notes = until_refused(&rig, 1).await;
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].contains("1 from 127.0.0.1 (the API key is missing or wrong)"),
        "{notes:?}"
    );
    // A flood is counted, and written when its time is over, or the server ends.
    for n in 0..1_000_u32 {
        let from = IpAddr::from((0xcb00_7100 + n % 200).to_be_bytes());
        rig.send_from(from, wrong()).await.expect(401);
    }
    let moved = crate::rig::signed("GET", "/vm/list", "", &now(&clock));
    rig.send(moved).await.expect(200);
    let moved = crate::rig::signed("GET", "/vm/list", "", &now(&clock));
    rig.send_from("192.0.2.9".parse().unwrap(), moved)
        .await
        .expect(401);
    rig.state.stop.cancel();
    let notes = until_refused(&rig, 1_002).await;
    assert!(notes.len() <= 3, "{notes:?}");
    assert!(
        notes
            .iter()
            .all(|note| note.len() < 1_000 && !note.contains("canary")),
        "{notes:?}"
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_off_the_list_is_in_the_audit_log_too() {
    let rig = Rig::of(Plan::with(|plan| plan.allow = vec!["192.0.2.0/24"])).await;
    let told = rig
        .send_from(
            "203.0.113.9".parse().unwrap(),
            bot_request("GET", "/vm/list", ""),
        )
        .await;
    assert_eq!(told.status, StatusCode::FORBIDDEN);
    let notes = until_refused(&rig, 1).await;
    assert!(
        notes[0].contains("203.0.113.9 (the address is not on the allow list)"),
        "{notes:?}"
    );
    rig.end().await;
}

/// Every line of the audit logs below a directory.
fn audit_lines(dir: &std::path::Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lines.extend(audit_lines(&path));
        } else if path.extension().is_some_and(|kind| kind == "jsonl") {
            lines.extend(
                std::fs::read_to_string(&path)
                    .unwrap()
                    .lines()
                    .map(str::to_owned),
            );
        }
    }
    lines
}

/// What clients write into every place that might be written down: a second line of a log, an end of a
/// JSON text, a sequence for terminals.
#[test]
fn nothing_that_clients_send_forges_a_line_of_log_or_audit() {
    let ground = Ground::of(Kind::Simulated);
    ground.wait_out_the_first_second();
    let forged =
        "canary%22%7D%0A%7B%22level%22%3A%22ERROR%22%2C%22message%22%3A%22canary%22%7D%1B%5B2J";
    let bearer = format!("Bearer {}", ground.admin);
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-api-key", "canary\"}{\"x\":\""),
        ("user-agent", "canary\"}\t{\"level\":\"ERROR\"}"),
        ("x-forwarded-for", "203.0.113.77, canary\"}, 198.51.100.1"),
        ("forwarded", "for=203.0.113.77"),
        ("x-request-id", "canary"),
        ("x-timestamp", "canary"),
        ("x-signature", "canary"),
        ("x-key-id", "canary"),
        ("x-nonce", "canary"),
    ];
    for target in [
        format!("/vm/{forged}/state"),
        format!("/vm/history?limit={forged}"),
        format!("/agents/{forged}/vms"),
        format!("/{forged}"),
        format!("/v1/vms/{forged}/x"),
    ] {
        ground.served.send("GET", &target, &headers, "");
        ground
            .served
            .send("POST", &target, &headers, "{\"canary\": 1}");
    }
    // An action with a forged address: the peer's own is recorded.
    let made = json!({"name": "canary\u{2028}\"}", "email": "e@example.org"}).to_string();
    let json_type = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    ground.served.send("POST", "/users", &json_type, &made);
    let user = ground
        .served
        .send("POST", "/users", &json_type, "{\"name\": \"Ann\"}")
        .expect(201)
        .json();
    let ann = format!("Bearer {}", user["api_key"].as_str().unwrap());
    let as_ann = [
        ("authorization", ann.as_str()),
        ("content-type", "application/json"),
        ("x-forwarded-for", "203.0.113.77"),
    ];
    let agent = ground
        .served
        .send("POST", "/agents", &as_ann, &ground.agent().to_string())
        .expect(201)
        .json();
    let start = format!(
        "/agents/{}/vms/{}/start",
        agent["id"],
        RESTING.replace(' ', "%20")
    );
    ground.served.send("POST", &start, &as_ann, "").expect(200);
    let home = ground.home();
    assert!(wait_for(Duration::from_secs(20), || {
        audit_lines(&home)
            .iter()
            .any(|line| line.contains("\"outcome\""))
    }));
    let lines = audit_lines(&home);
    assert!(lines.len() >= 4);
    for line in &lines {
        let read: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(read["seq"].is_u64(), "{line}");
        assert!(
            !line.contains("canary") && !line.contains("203.0.113.77"),
            "{line}"
        );
        check_harmless(line);
    }
    let outcome = lines
        .iter()
        .find(|line| line.contains("\"outcome\""))
        .unwrap();
    let outcome: Value = serde_json::from_str(outcome).unwrap();
    assert_eq!(outcome["client_ip"], "127.0.0.1");
    let said = ground.end();
    let requests: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("vmdeck::request"))
        .collect();
    assert!(requests.len() >= 12, "{said}");
    for line in requests {
        let read: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(read["address"], "127.0.0.1");
    }
    assert!(
        !said.contains("canary") && !said.contains("203.0.113.77"),
        "{said}"
    );
    check_harmless(&said.replace('\n', " "));
}
