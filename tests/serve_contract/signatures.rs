//! Signatures end to end: what the old clients send is taken, what nobody honest sends is not.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use jiff::SignedDuration;
use serde_json::json;
use vmdeck::clock::Clock;
use vmdeck::domain::secret::SecretText;
use vmdeck::serve::contract::bot::signature::{self, Signed};

use crate::rig::{HMAC_SECRET, Plan, Rig, bot_request, signed};

/// A server that asks for signatures, with a clock that stands still.
pub(crate) async fn signing(change: impl FnOnce(&mut Plan)) -> (Rig, Clock) {
    let clock = Clock::manual("2026-01-01T12:00:00Z".parse().unwrap());
    let rig = Rig::of(Plan::with(|plan| {
        plan.hmac = true;
        plan.clock = clock.clone();
        change(plan);
    }))
    .await;
    clock.advance(SignedDuration::from_secs(10));
    (rig, clock)
}

pub(crate) fn now(clock: &Clock) -> String {
    clock.now().as_second().to_string()
}

/// The second signature of a request.
pub(crate) fn second(
    method: &str,
    target: &str,
    body: &str,
    millis: i64,
    nonce: &str,
) -> Request<Body> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let digest = signature::digest(body.as_bytes());
    let timestamp = millis.to_string();
    let made = Signed {
        key_id: "bot",
        method,
        audience: "127.0.0.1:8000",
        path,
        query,
        content_type: "application/json",
        body_digest: &digest,
        timestamp: &timestamp,
        nonce,
    }
    .sign(&SecretText::from(HMAC_SECRET.to_owned()));
    let mut request = bot_request(method, target, body);
    for (name, value) in [
        ("host", "127.0.0.1:8000"),
        ("content-type", "application/json"),
        ("x-signature-version", "2"),
        ("x-key-id", "bot"),
        ("x-timestamp", &timestamp),
        ("x-nonce", nonce),
        ("x-content-sha256", &digest),
        ("x-signature", &signature::hex(&made)),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// How many outcomes the history has.
pub(crate) async fn actions(rig: &Rig, clock: &Clock) -> usize {
    let told = rig
        .send(signed("GET", "/vm/history?limit=100", "", &now(clock)))
        .await
        .expect(200);
    told.json()["history"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_starts_in_one_second_with_one_signature_all_act() {
    let (rig, clock) = signing(|_| {}).await;
    let at = now(&clock);
    rig.send(signed("GET", "/vm/list", "", &at))
        .await
        .expect(200);
    for vm in ["Windows%2010", "only-2", "kvm1%2Ftwin"] {
        let told = rig
            .send(signed("POST", &format!("/vm/{vm}/start"), "{}", &at))
            .await
            .expect(200);
        assert_eq!(told.json()["status"], "success", "{vm}");
    }
    assert_eq!(actions(&rig, &clock).await, 3);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_repeat_gets_the_first_answer_and_acts_once() {
    let (rig, clock) = signing(|_| {}).await;
    let at = now(&clock);
    rig.send(signed("GET", "/vm/list", "", &at))
        .await
        .expect(200);
    let ask = || rig.send(signed("POST", "/vm/web-1/restart", "{}", &at));
    let (first, at_once) = tokio::join!(ask(), ask());
    clock.advance(SignedDuration::from_secs(30));
    let later = ask().await;
    // Another spelling of the same name is no other request.
    let spelled = rig
        .send(signed("POST", "/vm/web%2D1/restart", "{}", &at))
        .await;
    for told in [&at_once, &later, &spelled] {
        assert_eq!((told.status, &told.text), (first.status, &first.text));
    }
    assert_eq!(first.status.as_u16(), 200, "{}", first.text);
    assert_eq!(actions(&rig, &clock).await, 1);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_late_early_malformed_or_moved_is_refused() {
    let (rig, clock) = signing(|_| {}).await;
    let time = clock.now().as_second();
    let long = "1".repeat(10 * 1024);
    for stamp in [
        "",
        "NaN",
        "-1767268810",
        "0",
        "1e9",
        "9999-12-31T23:59:59Z",
        long.as_str(),
        " 1767268810",
        "2026-01-01T12:00:10",
        "2026-01-01T12:00:10+01:00",
    ] {
        let told = rig
            .send(signed("POST", "/vm/web-1/restart", "{}", stamp))
            .await
            .expect(401);
        assert!(told.json()["detail"].is_string());
    }
    let shift = |seconds: i64| (time + seconds).to_string();
    for (stamp, post, get) in [
        (shift(-61), 401, 401),
        (shift(61), 401, 200),
        (shift(301), 401, 401),
        // Before the server began.
        (shift(-11), 401, 401),
        (shift(-9), 200, 200),
        ("2026-01-01T12:00:09Z".to_owned(), 200, 200),
        (format!("{}.25", time - 5), 200, 200),
    ] {
        let told = rig.send(signed("GET", "/vm/web-1/state", "", &stamp)).await;
        assert_eq!(told.status.as_u16(), get, "GET {stamp}: {}", told.text);
        let told = rig
            .send(signed("POST", "/vm/web-1/start", "{}", &stamp))
            .await;
        assert_eq!(told.status.as_u16(), post, "POST {stamp}: {}", told.text);
    }
    // From another address; with another body; without; upper-case; twice; as the other header.
    let good = || signed("POST", "/vm/web-1/start", "{ }", &now(&clock));
    rig.send(good()).await.expect(200);
    let told = rig
        .send_from("192.0.2.1".parse().unwrap(), good())
        .await
        .expect(401);
    assert!(told.detail().contains("another client"), "{}", told.text);
    let mut changed = good();
    *changed.body_mut() = Body::from("{  }");
    rig.send(changed).await.expect(401);
    for header in ["x-signature", "x-timestamp"] {
        let mut missing = good();
        missing.headers_mut().remove(header);
        rig.send(missing).await.expect(401);
        let mut twice = good();
        let value = twice.headers()[header].clone();
        twice.headers_mut().append(header, value);
        rig.send(twice).await.expect(401);
    }
    let mut upper = good();
    let value = upper.headers()["x-signature"]
        .to_str()
        .unwrap()
        .to_uppercase();
    upper
        .headers_mut()
        .insert("x-signature", value.parse().unwrap());
    rig.send(upper).await.expect(401);
    rig.send(signed("GET", "/vm/list", "{}", &now(&clock)))
        .await
        .expect(400);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_has_sixteen_targets() {
    let (rig, clock) = signing(|_| {}).await;
    let at = now(&clock);
    for n in 0..16 {
        rig.send(signed("POST", &format!("/vm/nobody-{n}/start"), "{}", &at))
            .await
            .expect(404);
    }
    let told = rig
        .send(signed("POST", "/vm/nobody-16/start", "{}", &at))
        .await
        .expect(401);
    assert!(told.detail().contains("too many"), "{}", told.text);
    for n in 0..40 {
        rig.send(signed("GET", &format!("/vm/nobody-{n}/state"), "", &at))
            .await
            .expect(404);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_signature_covers_everything_and_is_good_once() {
    let (rig, clock) = signing(|_| {}).await;
    let millis = clock.now().as_millisecond();
    let nonce = "0123456789abcdef0123";
    rig.send(second(
        "GET",
        "/vm/list?b=1&a=2",
        "",
        millis,
        "nonce-for-the-list-1",
    ))
    .await
    .expect(200);
    let told = rig
        .send(second("POST", "/vm/web-1/start", "{}", millis, nonce))
        .await
        .expect(200);
    assert_eq!(told.json()["status"], "success");
    let again = rig
        .send(second("POST", "/vm/web-1/start", "{}", millis, nonce))
        .await
        .expect(401);
    assert!(again.detail().contains("nonce"), "{}", again.text);
    // What is covered cannot be changed.
    let headers = [
        ("host", Some("localhost:8000")),
        ("x-nonce", Some("another-nonce-000000")),
        ("x-key-id", Some("bots")),
        ("content-type", Some("text/plain")),
        ("content-type", None),
    ];
    for (n, (header, value)) in headers.into_iter().enumerate() {
        let nonce = format!("fresh-nonce-header-{n}");
        let mut request = second("POST", "/vm/web-1/start", "{}", millis, &nonce);
        request.headers_mut().remove(header);
        if let Some(value) = value {
            request.headers_mut().insert(header, value.parse().unwrap());
        }
        rig.send(request).await.expect(401);
    }
    let changes: [fn(&mut Request<Body>); 3] = [
        |request| *request.uri_mut() = "/vm/web-2/start".parse().unwrap(),
        |request| *request.uri_mut() = "/vm/web-1/start?host=kvm2".parse().unwrap(),
        |request| *request.body_mut() = Body::from("{ }"),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut request = second(
            "POST",
            "/vm/web-1/start",
            "{}",
            millis,
            &format!("fresh-nonce-number-{n}"),
        );
        change(&mut request);
        rig.send(request).await.expect(401);
    }
    // Presented and wrong, it is not rescued by a right old one.
    let mut both = signed("POST", "/vm/web-1/start", "{}", &now(&clock));
    both.headers_mut()
        .insert("x-signature-version", "2".parse().unwrap());
    rig.send(both).await.expect(401);
    for version in ["1", "3", "", "2,2"] {
        let mut request = second(
            "POST",
            "/vm/web-1/start",
            "{}",
            millis,
            "fresh-nonce-version-1",
        );
        request
            .headers_mut()
            .insert("x-signature-version", version.parse().unwrap());
        rig.send(request).await.expect(401);
    }
    for age in [-61_000, 61_000, -11_000] {
        rig.send(second(
            "GET",
            "/vm/list",
            "",
            millis + age,
            "fresh-nonce-for-age-1",
        ))
        .await
        .expect(401);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_second_signature_where_that_is_required() {
    let (rig, clock) = signing(|plan| plan.config.require_v2 = true).await;
    let told = rig
        .send(signed("GET", "/vm/list", "", &now(&clock)))
        .await
        .expect(401);
    assert!(told.detail().contains("second signature"), "{}", told.text);
    let millis = clock.now().as_millisecond();
    rig.send(second("GET", "/vm/list", "", millis, "0123456789abcdef"))
        .await
        .expect(200);
    rig.send(bot_request("GET", "/vm/list", ""))
        .await
        .expect(401);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_does_not_make_its_repeat_act_twice() {
    let (rig, clock) = signing(|_| {}).await;
    let at = now(&clock);
    rig.send(signed("GET", "/vm/list", "", &at))
        .await
        .expect(200);
    // The first one is given up before its answer.
    let first = rig.send(signed("POST", "/vm/web-1/restart", "{}", &at));
    drop(tokio::time::timeout(Duration::from_millis(20), first).await);
    let repeat = rig
        .send(signed("POST", "/vm/web-1/restart", "{}", &at))
        .await
        .expect(200);
    assert_eq!(repeat.json()["action"], json!("restart"));
    assert_eq!(actions(&rig, &clock).await, 1);
    rig.end().await;
}
