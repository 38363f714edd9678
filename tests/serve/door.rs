//! What every request goes through before a handler sees it, and the tenants behind it.

use std::convert::Infallible;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{Method, Request, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use vmdeck::accounts::{ImportedKey, NewKey, NewUser, Permission, Scopes};
use vmdeck::config::ServeConfig;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::audit::AuditEntry;
use vmdeck::domain::credential::{CredentialName, CredentialSecret, CredentialSummary};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::operation::Outcome;
use vmdeck::fleet::FleetHandle;
use vmdeck::serve::{self, Caller, Fleets, ServeState, auth};
use vmdeck::task::Tasks;

use crate::accounts::{OLDER_HASH, OLDER_KEY};
use crate::serving::{Answer, PROFILE, Serving, TWO_HOSTS, answer, request};

/// Lets the handler of `/v1/slow` go on, and counts those that have come so far.
#[derive(Clone)]
struct Gate(Arc<Semaphore>, Arc<Semaphore>);

async fn slow(Extension(gate): Extension<Gate>) -> &'static str {
    gate.1.add_permits(1);
    drop(gate.0.acquire().await);
    "done"
}

async fn whoami(Extension(caller): Extension<Caller>) -> Json<Value> {
    Json(json!({"key": caller.key_id, "profile": caller.profile, "admin": caller.admin}))
}

async fn panics() -> &'static str {
    panic!("the secret is hunter2")
}

/// Routes of our own behind everything that is real.
fn router(state: &ServeState, gate: &Gate) -> Router {
    let keyed = Router::new()
        .route("/v1/whoami", get(whoami))
        .route("/v1/slow", get(slow))
        .route("/v1/panics/{name}", get(panics))
        .route_layer(from_fn_with_state(state.clone(), auth::require_key));
    let open = Router::new()
        .route(
            "/v1/length",
            post(async |body: Bytes| body.len().to_string()),
        )
        .route("/v1/open-slow", get(slow))
        .route("/v1/panics", get(panics))
        .route("/vm/{name}", get(async |Path(name): Path<String>| name));
    serve::assemble(
        keyed.merge(open).layer(Extension(gate.clone())),
        state.clone(),
    )
}

struct Door {
    serving: Serving,
    gate: Gate,
}

impl Door {
    async fn with(change: impl FnOnce(&mut ServeConfig)) -> Self {
        let mut serving = Serving::with(TWO_HOSTS, change, |state| state).await;
        let gate = Gate(Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        serving.router = router(&serving.state, &gate);
        Self { serving, gate }
    }

    async fn whoami(&self, key: &str) -> Answer {
        self.serving.get("/v1/whoami", key).await
    }
}

#[tokio::test]
async fn only_a_live_key_gets_in_and_what_is_wrong_with_another_is_not_told() {
    let door = Door::with(|config| config.limit.failures_per_address = 1000).await;
    let accounts = &door.serving.state.accounts;
    let admin = door.serving.admin.clone();
    let who = door.whoami(&admin).await.expect(200).json();
    assert_eq!(
        (&who["profile"], &who["admin"]),
        (&json!(PROFILE), &json!(true))
    );

    let (user, revoked) = door.serving.user("ann", PROFILE, Scopes::full()).await;
    accounts.rotate(user.id, None).await.unwrap();
    let (gone, removed) = door.serving.user("bob", PROFILE, Scopes::full()).await;
    accounts.remove_user(gone.id).await.unwrap();
    let mut unknown = admin.clone().into_bytes();
    unknown[10] = if unknown[10] == b'a' { b'b' } else { b'a' };
    let unknown = String::from_utf8(unknown).unwrap();
    let mut bodies = Vec::new();
    for key in [revoked.as_str(), &removed, &unknown, "x", &"y".repeat(43)] {
        let refused = door.whoami(key).await.expect(401);
        assert_eq!(refused.headers[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(
            refused.headers[header::CONTENT_TYPE],
            "application/problem+json"
        );
        bodies.push(refused.text());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    door.serving.end().await;
}

#[tokio::test]
async fn a_key_is_one_bearer_header_and_nothing_else() {
    let door = Door::with(|_| {}).await;
    let key = door.serving.admin.clone();
    let with = |values: &[String]| {
        let mut request = request(Method::GET, "/v1/whoami", None, None);
        for value in values {
            let value = value.parse().unwrap();
            request.headers_mut().append(header::AUTHORIZATION, value);
        }
        door.serving.send(request)
    };
    with(&[format!("bearer {key}")]).await.expect(200);
    for wrong in [
        vec![],
        vec![format!("Bearer {key}"), format!("Bearer {key}")],
        vec![format!("Bearer {key}"), "Basic eDp5".to_owned()],
        vec![format!("Basic {key}")],
        vec![key.clone()],
        vec!["Bearer".to_owned()],
        vec!["Bearer ".to_owned()],
    ] {
        let refused = with(&wrong).await.expect(401);
        assert!(!refused.text().contains(&key));
    }
    let in_url = format!("/v1/whoami?api_key={key}&access_token={key}");
    let request = request(Method::GET, &in_url, None, None);
    door.serving.send(request).await.expect(401);
    door.serving.end().await;
}

#[tokio::test]
async fn wrong_keys_are_answered_late_at_last_and_right_ones_still_get_in() {
    let door = Door::with(|config| config.limit.failures_per_address = 3).await;
    for _ in 0..4 {
        door.whoami("wrong").await.expect(401);
    }
    let refused = door.whoami("wrong").await.expect(429);
    let seconds: u64 = refused.headers[header::RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(refused.json()["retry_after"], seconds);
    door.whoami(&door.serving.admin).await.expect(200);
    door.serving.end().await;
}

#[tokio::test]
async fn a_key_of_the_older_portal_gets_in_from_an_address_with_wrong_ones() {
    let door = Door::with(|config| config.limit.failures_per_address = 1).await;
    let accounts = &door.serving.state.accounts;
    let key = ImportedKey {
        prefix: "vmdeck-t".to_owned(),
        hash: OLDER_HASH.to_vec(),
        salt: (0..16).collect(),
    };
    let user = NewUser {
        name: "old".to_owned(),
        email: None,
        profile: Some(PROFILE.to_owned()),
        admin: false,
    };
    let since = "2024-05-06T07:08:09Z".parse().unwrap();
    accounts.import_user(41, user, key, since).await.unwrap();
    for status in [401, 401, 429] {
        door.whoami("wrong").await.expect(status);
    }
    // Not used yet, then known by its fast digest.
    door.whoami(OLDER_KEY).await.expect(200);
    door.whoami(OLDER_KEY).await.expect(200);
    let guess = OLDER_KEY.replace("000", "001");
    door.whoami(&guess).await.expect(429);
    door.serving.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_ends_soon_is_told_so_with_every_answer() {
    let door = Door::with(|_| {}).await;
    let (user, old) = door.serving.user("ann", PROFILE, Scopes::full()).await;
    let told = async |key: &str| {
        let answer = door.whoami(key).await.expect(200);
        let ends = answer.headers.get("vmdeck-key-ends")?;
        Some(ends.to_str().unwrap().parse::<jiff::Timestamp>().unwrap())
    };
    assert_eq!(told(&old).await, None);
    let accounts = &door.serving.state.accounts;
    let day = jiff::SignedDuration::from_hours(24);
    let new = accounts.rotate(user.id, Some(day)).await.unwrap();
    let ends = told(&old).await.unwrap();
    let left = ends.duration_since(door.serving.state.clock.now());
    assert!(
        left <= day && left > day - jiff::SignedDuration::from_mins(10),
        "{left}"
    );
    assert_eq!(told(new.token.expose()).await, None);
    for (days, is_told) in [(13, true), (15, false)] {
        let key = NewKey {
            expires_at: Some(door.serving.state.clock.now() + day * days),
            ..Default::default()
        };
        let key = accounts.issue_key(user.id, key).await.unwrap();
        assert_eq!(told(key.token.expose()).await.is_some(), is_told, "{days}");
    }
    door.serving.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_has_its_rate_and_its_places_and_takes_none_of_anothers() {
    let door = Door::with(|config| {
        config.limit.rate_per_key = 5;
        config.limit.in_flight_per_key = 2;
    })
    .await;
    let (_, other) = door.serving.user("ann", PROFILE, Scopes::full()).await;
    let busy: Vec<_> = (0..2)
        .map(|_| door.serving.get("/v1/slow", &other))
        .collect();
    let busy = futures_util::future::join_all(busy);
    let third = async {
        drop(door.gate.1.acquire_many(2).await.unwrap());
        let refused = door.serving.get("/v1/slow", &other).await.expect(429);
        assert!(refused.headers.contains_key(header::RETRY_AFTER));
        door.gate.0.add_permits(2);
    };
    let (done, ()) = tokio::join!(busy, third);
    for answer in done {
        assert_eq!(answer.expect(200).text(), "done");
    }
    let admin = door.serving.admin.clone();
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(door.whoami(&admin).await.status.as_u16());
    }
    assert_eq!(statuses[..5], [200; 5]);
    assert_eq!(statuses[5], 429);
    door.whoami(&other).await.expect(200);
    door.serving.end().await;
}

#[tokio::test]
async fn requests_at_the_same_time_and_from_one_address_have_a_ceiling() {
    let door = Door::with(|config| config.limit.in_flight = 1).await;
    let get = |path: &str| door.serving.send(request(Method::GET, path, None, None));
    let first = get("/v1/open-slow");
    let second = async {
        let native = get("/v1/open-slow").await.expect(503);
        assert_eq!(native.json()["kind"], "busy");
        let older = get("/vm/x").await.expect(503);
        assert_eq!(
            older.json(),
            json!({"detail": "too many requests are under way"})
        );
        door.gate.0.add_permits(1);
    };
    let (first, ()) = tokio::join!(first, second);
    first.expect(200);
    door.serving.end().await;

    let door = Door::with(|config| config.limit.rate_per_address = 3).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let request = request(Method::GET, "/vm/x", None, None);
        statuses.push(door.serving.send(request).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    door.serving.end().await;
}

#[tokio::test]
async fn a_body_has_a_size_and_a_time() {
    let door = Door::with(|config| {
        config.limit.body_bytes = 2048;
        config.limit.body_time = Duration::from_millis(200);
    })
    .await;
    let post = |body: Body| {
        let request = Request::post("/v1/length").body(body).unwrap();
        door.serving.send(request)
    };
    assert_eq!(
        post(vec![b'x'; 2048].into()).await.expect(200).text(),
        "2048"
    );
    let declared = Request::post("/v1/length")
        .header(header::CONTENT_LENGTH, "10000000")
        .body(Body::empty())
        .unwrap();
    door.serving.send(declared).await.expect(413);
    let pieces = (0..100).map(|_| Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 100])));
    let chunked = Body::from_stream(futures_util::stream::iter(pieces));
    post(chunked).await.expect(413);
    let first = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
    let stuck = Body::from_stream(first.chain(futures_util::stream::pending()));
    let late = post(stuck).await.expect(408);
    assert_eq!(late.json()["kind"], "timeout");
    door.serving.end().await;
}

#[tokio::test]
async fn a_request_has_a_time_and_a_panic_tells_nothing() {
    let door = Door::with(|config| config.limit.request_time = Duration::from_millis(200)).await;
    let key = door.serving.admin.clone();
    let late = door.serving.get("/v1/slow", &key).await.expect(504);
    assert_eq!(late.json()["kind"], "timeout");
    let broken = door.serving.get("/v1/panics", &key).await.expect(500);
    assert_eq!(broken.json()["kind"], "internal");
    assert!(!broken.text().contains("hunter2"));
    door.whoami(&key).await.expect(200);
    door.serving.end().await;
}

#[tokio::test]
async fn every_answer_tells_browsers_what_not_to_do_with_it() {
    let mut serving = Serving::start(TWO_HOSTS).await;
    let admin = serving.admin.clone();
    for tls in [false, true] {
        serving.state.plaintext = !tls;
        serving.router = serve::router(serving.state.clone());
        for (path, status, file) in [
            ("/v1/hosts", 200, Some("api.json")),
            ("/v1/hosts?format=ndjson", 400, Some("problem.json")),
            ("/v1/nothing", 404, Some("problem.json")),
            ("/nothing", 404, Some("api.json")),
            ("/users/me", 200, Some("api.json")),
            ("/v1/docs", 200, None),
        ] {
            let told = serving.get(path, &admin).await.expect(status);
            let header = |name| told.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
            let file = file.map(|name| format!("attachment; filename=\"{name}\""));
            assert_eq!(header("content-disposition"), file.as_deref(), "{path}");
            let year = tls.then_some("max-age=31536000");
            assert_eq!(header("strict-transport-security"), year, "{path}");
        }
        let mut lines = request(Method::GET, "/v1/hosts", Some(&admin), None);
        let accept = "application/x-ndjson".parse().unwrap();
        lines.headers_mut().insert(header::ACCEPT, accept);
        let told = serving.send(lines).await.expect(200);
        let file = &told.headers[header::CONTENT_DISPOSITION];
        assert_eq!(file, "attachment; filename=\"api.ndjson\"");
    }
    serving.end().await;
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_has_its_line_and_is_counted() {
    let door = Door::with(|_| {}).await;
    let page = Page::default();
    let out = page.clone();
    let log = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(move || out.clone())
        .finish();
    let key = door.serving.admin.clone();
    let key_id = door.whoami(&key).await.expect(200).json()["key"].clone();
    {
        let _until_here = tracing::subscriber::set_default(log);
        door.serving
            .get("/v1/panics/canary", &key)
            .await
            .expect(500);
        // Nobody is known for it, and still it is no refusal.
        let open = request(Method::GET, "/v1/panics", None, None);
        door.serving.send(open).await.expect(500);
    }
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert!(
        !text.contains("hunter2") && !text.contains("canary"),
        "{text}"
    );
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["target"] == "vmdeck::request")
        .collect();
    let told = |line: &Value| {
        let members = ["level", "message", "method", "path", "status", "key"];
        members.map(|name| line[name].clone())
    };
    let what = "a request ended in a panic";
    let mut expected = ["ERROR", what, "GET", "/v1/panics/{name}", "", ""].map(|text| json!(text));
    expected[4] = json!(500);
    expected[5] = key_id;
    assert_eq!(told(&lines[0]), expected, "{text}");
    expected[3] = json!("/v1/panics");
    expected[5] = Value::Null;
    assert_eq!(told(&lines[1]), expected, "{text}");
    assert_eq!(lines.len(), 2);
    assert!(lines[0]["address"].is_string());
    let counted = door.serving.state.meter.render();
    let line = r#"http_requests_total{method="GET",path="/v1/panics/{name}",status="500"} 1"#;
    assert!(counted.contains(line), "{counted}");
    door.serving.end().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_as_each_contract_does() {
    let door = Door::with(|_| {}).await;
    let send = |method: Method, path: &str| door.serving.send(request(method, path, None, None));
    let native = send(Method::GET, "/v1/nothing").await.expect(404);
    assert_eq!(native.json()["kind"], "not_found");
    let older = send(Method::GET, "/nothing").await.expect(404);
    assert_eq!(older.json(), json!({"detail": "Not Found"}));
    let wrong = send(Method::DELETE, "/vm/x").await.expect(405);
    assert_eq!(wrong.json(), json!({"detail": "Method Not Allowed"}));
    assert!(wrong.headers.contains_key(header::ALLOW));
    let text = send(
        Method::from_bytes(b"X\xc3\x84").unwrap_or(Method::TRACE),
        "/vm/x",
    )
    .await;
    assert_eq!(text.status.as_u16(), 405);
    door.serving.end().await;
}

#[tokio::test]
async fn a_server_on_loopback_is_not_reached_by_a_name_of_somebody_elses() {
    let mut door = Door::with(|config| config.names = vec!["deck.example".to_owned()]).await;
    let listening = vec!["127.0.0.1:8000".parse().unwrap()];
    door.serving.state = door.serving.state.listening_on(listening, true);
    door.serving.router = router(&door.serving.state, &door.gate);
    for (host, status) in [
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("deck.example", 200),
        ("evil.example:8000", 421),
        ("", 421),
    ] {
        let mut request = request(Method::GET, "/vm/x", None, None);
        request
            .headers_mut()
            .insert(header::HOST, host.parse().unwrap());
        door.serving.send(request).await.expect(status);
    }
    let mut twice = request(Method::GET, "/vm/x", None, None);
    for host in ["localhost", "evil.example"] {
        twice
            .headers_mut()
            .append(header::HOST, host.parse().unwrap());
    }
    door.serving.send(twice).await.expect(421);
    door.serving.end().await;
}

#[tokio::test]
async fn what_a_caller_may_is_asked_of_the_key_and_not_of_the_user() {
    let door = Door::with(|_| {}).await;
    let accounts = &door.serving.state.accounts;
    let new = NewUser {
        name: "root".to_owned(),
        email: None,
        profile: Some(PROFILE.to_owned()),
        admin: true,
    };
    let narrow = NewKey {
        scopes: Scopes {
            tags: vec!["blue".to_owned()],
            ..Scopes::looking()
        },
        expires_at: None,
    };
    let (_, key) = accounts.add_user(new, narrow).await.unwrap();
    let access = accounts.authenticate(&key.token).await.unwrap();
    let caller = Caller::of(access, "192.0.2.1".parse().unwrap());
    assert!(
        !caller.admin,
        "a key that may only look is no administrator's"
    );
    assert!(caller.may(Permission::Manage).is_err());
    let fleet = door.serving.fleet().await;
    let state = fleet.snapshot();
    let seen: Vec<String> = caller
        .hosts(&state)
        .map(|host| host.spec.name.to_string())
        .collect();
    assert_eq!(seen, ["kvm1"]);
    let found = serve::find::by_name(&state, &caller, "spare", None);
    assert!(matches!(found, serve::Found::One(_)), "{found:?}");
    let found = serve::find::by_name(&state, &caller, "db", None);
    let serve::Found::None { available } = found else {
        panic!("{found:?}");
    };
    assert_eq!(available, ["spare", "web-1", "web-2", "web-3"]);
    let actor = caller.actor();
    assert_eq!(actor.client_ip.as_deref(), Some("192.0.2.1"));
    assert_eq!(actor.key.as_deref(), Some(key.info.id.as_str()));
    door.serving.end().await;
}

#[tokio::test]
async fn names_choose_one_vm_or_none() {
    let door = Door::with(|_| {}).await;
    let access = door.serving.state.accounts;
    let caller = {
        let token = vmdeck::domain::secret::SecretText::new(door.serving.admin.clone());
        Caller::of(
            access.authenticate(&token).await.unwrap(),
            "::1".parse().unwrap(),
        )
    };
    let serving = Serving {
        state: ServeState {
            accounts: access,
            ..door.serving.state
        },
        ..door.serving
    };
    let fleet = serving.fleet().await;
    let state = fleet.snapshot();
    let find =
        |name: &str, host: Option<&str>| match serve::find::by_name(&state, &caller, name, host) {
            serve::Found::One(seen) => seen.label(),
            serve::Found::Several(all) => format!("{} VMs", all.len()),
            serve::Found::None { available } => format!("none of {}", available.len()),
        };
    assert_eq!(find("db", None), "kvm2/db");
    assert_eq!(find("spare", None), "2 VMs");
    assert_eq!(find("spare", Some("kvm2")), "kvm2/spare");
    assert_eq!(find("kvm1/spare", None), "kvm1/spare");
    assert_eq!(find("spare", Some("nowhere")), "none of 0");
    assert_eq!(find("nobody", None), "none of 5");
    serving.end().await;
}

/// Fleets that fail, hang, or are counted.
#[derive(Debug)]
struct Odd {
    inner: Arc<dyn Fleets>,
    opened: AtomicUsize,
}

#[async_trait]
impl Fleets for Odd {
    async fn open(&self, profile: &str) -> Result<FleetHandle, Failure> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        match profile {
            "hangs" => std::future::pending().await,
            "fails" => Err(Failure::new(ErrorKind::Store, "on purpose")),
            other => self.inner.open(other).await,
        }
    }

    async fn close(&self, profile: &str, grace: Duration) -> usize {
        self.inner.close(profile, grace).await
    }

    async fn create(&self, profile: &str) -> Result<(), Failure> {
        self.inner.create(profile).await
    }

    async fn set_credential(
        &self,
        profile: &str,
        name: &CredentialName,
        secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        self.inner.set_credential(profile, name, secret).await
    }

    async fn remove_credential(&self, profile: &str, name: &CredentialName) -> Result<(), Failure> {
        self.inner.remove_credential(profile, name).await
    }

    async fn export_credential(
        &self,
        profile: &str,
        name: &CredentialName,
    ) -> Result<CredentialSecret, Failure> {
        self.inner.export_credential(profile, name).await
    }

    async fn note(&self, profile: &str, entry: AuditEntry) -> Result<(), Failure> {
        self.inner.note(profile, entry).await
    }
}

#[tokio::test]
async fn a_fleet_is_started_once_however_many_ask_and_nobody_waits_for_anothers() {
    let serving = Serving::start(TWO_HOSTS).await;
    let odd = Arc::new(Odd {
        inner: Arc::new(Forward(serving.state.clone())),
        opened: AtomicUsize::new(0),
    });
    let tasks = Tasks::new();
    let state = ServeState::new(
        serving.state.accounts.clone(),
        Arc::<Odd>::clone(&odd),
        Arc::clone(&serving.state.config),
        serving.state.clock.clone(),
        &tasks,
    );
    let hanging = {
        let tenants = state.tenants.clone();
        tasks.spawn(
            "hanging",
            async move { tenants.fleet("hangs").await.map(drop) },
        )
    };
    let asking = (0..20).map(|_| state.tenants.fleet(PROFILE));
    for fleet in futures_util::future::join_all(asking).await {
        fleet.unwrap();
    }
    assert!(!hanging.is_finished());
    hanging.abort();
    let opened = odd.opened.load(Ordering::SeqCst);
    assert!(opened <= 2, "{opened} fleets were started for two profiles");
    for _ in 0..2 {
        let failed = state.tenants.fleet("fails").await.unwrap_err();
        assert_eq!(failed.kind, ErrorKind::Store);
    }
    assert_eq!(
        odd.opened.load(Ordering::SeqCst),
        opened + 2,
        "a failure is tried again"
    );
    let running: Vec<String> = state
        .tenants
        .running()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(running, [PROFILE]);
    serving.end().await;
}

/// Hands over the fleets of another state.
#[derive(Debug)]
struct Forward(ServeState);

#[async_trait]
impl Fleets for Forward {
    async fn open(&self, profile: &str) -> Result<FleetHandle, Failure> {
        self.0.tenants.fleets().open(profile).await
    }

    async fn close(&self, profile: &str, grace: Duration) -> usize {
        self.0.tenants.fleets().close(profile, grace).await
    }

    async fn create(&self, profile: &str) -> Result<(), Failure> {
        self.0.tenants.fleets().create(profile).await
    }

    async fn set_credential(
        &self,
        profile: &str,
        name: &CredentialName,
        secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        self.0
            .tenants
            .fleets()
            .set_credential(profile, name, secret)
            .await
    }

    async fn remove_credential(&self, profile: &str, name: &CredentialName) -> Result<(), Failure> {
        self.0
            .tenants
            .fleets()
            .remove_credential(profile, name)
            .await
    }

    async fn export_credential(
        &self,
        profile: &str,
        name: &CredentialName,
    ) -> Result<CredentialSecret, Failure> {
        self.0
            .tenants
            .fleets()
            .export_credential(profile, name)
            .await
    }

    async fn note(&self, profile: &str, entry: AuditEntry) -> Result<(), Failure> {
        self.0.tenants.fleets().note(profile, entry).await
    }
}

#[tokio::test]
async fn an_order_is_carried_out_and_at_the_end_every_intent_has_an_outcome() {
    let serving = Serving::start(TWO_HOSTS).await;
    let fleet = serving.fleet().await;
    let token = vmdeck::domain::secret::SecretText::new(serving.admin.clone());
    let access = serving.state.accounts.authenticate(&token).await.unwrap();
    let caller = Caller::of(access, "192.0.2.1".parse().unwrap());
    let order = |name: &str, kind: ActionKind, until| {
        let found = serve::find::by_name(&fleet.snapshot(), &caller, name, None);
        let serve::Found::One(seen) = found else {
            panic!("{found:?}");
        };
        serve::Order {
            vm: seen.id(),
            action: kind.into(),
            count: 1,
            named: true,
            until,
            wait: Duration::from_secs(20),
        }
    };
    let pause = order("web-1", ActionKind::Pause, serve::Until::Done);
    let paused = serve::act(&serving.state, &fleet, &caller, &pause)
        .await
        .unwrap();
    assert_eq!(paused.outcome, Some(Outcome::Confirmed));
    assert_eq!(paused.actor.client_ip.as_deref(), Some("192.0.2.1"));
    let again = serve::act(&serving.state, &fleet, &caller, &pause)
        .await
        .unwrap_err();
    assert!(
        matches!(again.kind, ErrorKind::Refused | ErrorKind::Conflict),
        "{again}"
    );
    // Looked for, but not to its end.
    let off = order("web-2", ActionKind::Shutdown, serve::Until::Accepted);
    let accepted = serve::act(&serving.state, &fleet, &caller, &off)
        .await
        .unwrap();
    assert_ne!(accepted.id, paused.id);

    let began = std::time::Instant::now();
    serving.state.stop.cancel();
    serving.state.tenants.close_all(Duration::ZERO).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    let audit = serving
        .home
        .path()
        .join("profiles")
        .join(PROFILE)
        .join("audit");
    let mut pending = std::collections::BTreeSet::new();
    let mut ended = 0;
    for entry in std::fs::read_dir(audit).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        for record in text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        {
            let operation = record["operation"].as_str().unwrap_or_default().to_owned();
            match record["phase"].as_str() {
                Some("intent") => assert!(pending.insert(operation)),
                Some("outcome") if pending.remove(&operation) => ended += 1,
                _ => {}
            }
        }
    }
    assert_eq!(pending.len(), 0, "without an outcome: {pending:?}");
    assert_eq!(ended, 2);
    serving.end().await;
}

#[tokio::test]
async fn so_many_profiles_are_served_at_once_and_no_more() {
    let serving = Serving::with(TWO_HOSTS, |config| config.limit.fleets = 1, |state| state).await;
    let tenants = &serving.state.tenants;
    tenants.fleets().create("user-9").await.unwrap();
    tenants.fleet(PROFILE).await.unwrap();
    let refused = tenants.fleet("user-9").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Busy, "{refused}");
    tenants.fleet(PROFILE).await.unwrap();
    tenants.close(PROFILE, Duration::from_secs(2)).await;
    tenants.fleet("user-9").await.unwrap();
    serving.end().await;
}

#[tokio::test]
async fn a_profile_that_is_taken_back_is_not_served_any_more() {
    let serving = Serving::start(TWO_HOSTS).await;
    serving.fleet().await;
    let refused = serving.state.tenants.fleet("nobodys").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused, "{refused}");
    serving.state.accounts.take_back(PROFILE).await.unwrap();
    let grace = Duration::from_secs(2);
    serving.state.tenants.close_ungranted(grace).await;
    assert!(serving.state.tenants.running().is_empty());
    let refused = serving.state.tenants.fleet(PROFILE).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused, "{refused}");
    assert!(refused.hint.unwrap().0.contains("vmdeck profile grant"));
    serving.end().await;
}

#[tokio::test]
async fn a_credential_of_a_new_users_profile_is_sealed_opened_and_replaced() {
    let serving = Serving::start(TWO_HOSTS).await;
    let fleets = serving.state.tenants.fleets();
    fleets.create("user-9").await.unwrap();
    fleets.create("user-9").await.unwrap();
    let foreign = fleets.create("lab").await;
    assert!(foreign.is_ok(), "a granted one is fine: {foreign:?}");
    let name: CredentialName = "agent-1".parse().unwrap();
    let pem = serving.sim.demo.login_key_pem.clone();
    let secret = CredentialSecret::PrivateKey {
        pem: pem.clone(),
        passphrase: None,
        certificate: None,
    };
    let kept = fleets
        .set_credential("user-9", &name, secret.clone())
        .await
        .unwrap();
    assert!(kept.fingerprint.unwrap().starts_with("SHA256:"));
    // Open now, and after the fleet has been started and ended.
    for _ in 0..2 {
        let opened = fleets.export_credential("user-9", &name).await.unwrap();
        let CredentialSecret::PrivateKey { pem: opened, .. } = opened else {
            panic!("another kind");
        };
        assert_eq!(opened.expose(), pem.expose());
        fleets.open("user-9").await.unwrap();
        fleets.close("user-9", Duration::from_secs(2)).await;
    }
    let garbage = CredentialSecret::PrivateKey {
        pem: vmdeck::domain::secret::SecretText::new("no key at all".repeat(5)),
        passphrase: None,
        certificate: None,
    };
    let refused = fleets
        .set_credential("user-9", &name, garbage)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Usage);
    assert!(!refused.message.contains("no key at all"), "{refused}");
    fleets
        .set_credential("user-9", &name, secret)
        .await
        .unwrap();
    fleets.remove_credential("user-9", &name).await.unwrap();
    serving.end().await;
}

#[tokio::test]
async fn a_body_that_is_cut_is_a_bad_request() {
    let door = Door::with(|_| {}).await;
    let body = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"x"))])
        .chain(futures_util::stream::iter([Err(std::io::Error::other(
            "cut",
        ))]));
    let request = Request::post("/v1/length")
        .body(Body::from_stream(body))
        .unwrap();
    let cut = door.serving.router.clone().oneshot(request).await.unwrap();
    answer(cut).await.expect(400);
    door.serving.end().await;
}
