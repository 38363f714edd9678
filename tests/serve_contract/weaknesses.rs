//! What both old systems left open, closed; and each switch that opens it again.

use axum::body::Body;
use serde_json::json;
use vmdeck::domain::secret::SecretText;

use crate::rig::{API_KEY, HMAC_SECRET, Plan, Rig, request, signed};
use crate::signatures::{now, signing};

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_by_an_administrator_only() {
    let rig = Rig::start().await;
    let body = || Some(json!({"name": "Eve"}));
    let nobody = request("POST", "/users").header("content-type", "application/json");
    let told = rig
        .send(nobody.body(Body::from(r#"{"name": "Eve"}"#)).unwrap())
        .await
        .expect(401);
    assert_eq!(told.json(), json!({"detail": "Missing API key"}));
    rig.portal("wrong", "POST", "/users", body())
        .await
        .expect(403);
    let ann = rig.user("Ann").await;
    rig.portal(&ann, "POST", "/users", body()).await.expect(403);
    rig.portal(API_KEY, "POST", "/users", body())
        .await
        .expect(403);
    rig.portal(&rig.admin, "POST", "/users", body())
        .await
        .expect(201);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_do_not_lock_the_right_bot_out() {
    let (rig, clock) = signing(|plan| plan.config.limit.failures_per_address = 3).await;
    let get = |key: &str, stamp: &str| {
        let mut request = signed("GET", "/vm/list", "", stamp);
        request
            .headers_mut()
            .insert("x-api-key", key.parse().unwrap());
        rig.send(request)
    };
    for _ in 0..4 {
        get("wrong", &now(&clock)).await.expect(401);
    }
    let refused = get("wrong", &now(&clock)).await.expect(429);
    assert!(refused.headers.contains_key("retry-after"));
    // A right key with a wrong signature is a guess as well.
    let mut guess = signed("GET", "/vm/list", "", &now(&clock));
    guess
        .headers_mut()
        .insert("x-signature", "0".repeat(64).parse().unwrap());
    rig.send(guess).await.expect(429);
    get(API_KEY, &now(&clock)).await.expect(200);
    get("wrong", &now(&clock)).await.expect(429);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn making_users_counts_against_the_administrators_key() {
    let rig = Rig::of(Plan::with(|plan| plan.config.limit.in_flight_per_key = 1)).await;
    let token = SecretText::from(rig.admin.clone());
    let key = rig.state.accounts.authenticate(&token).await.unwrap().key;
    let make = || rig.portal(&rig.admin, "POST", "/users", Some(json!({"name": "Ann"})));
    let place = rig.state.limits.admit_key(&key.id).unwrap();
    let told = make().await.expect(429);
    assert!(told.headers.contains_key("retry-after"));
    drop(place);
    make().await.expect(201);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_registration_is_a_switch_with_a_rate() {
    let rig = Rig::of(Plan::with(|plan| {
        plan.config.compat.open_registration = true;
        plan.config.limit.registrations_per_address = 3;
    }))
    .await;
    let register = |name: &str| {
        let body = Body::from(json!({ "name": name }).to_string());
        let builder = request("POST", "/users").header("content-type", "application/json");
        rig.send(builder.body(body).unwrap())
    };
    for n in 0..3 {
        let made = register(&format!("user {n}")).await.expect(201).json();
        let key = made["api_key"].as_str().unwrap();
        rig.portal(key, "GET", "/agents", None).await.expect(200);
    }
    let told = register("one more").await.expect(429);
    assert!(told.headers.contains_key("retry-after"));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn private_keys_are_not_given_out() {
    let rig = Rig::start().await;
    let key = rig.user("Ann").await;
    let id = rig.agent(&key, "kvm1").await;
    let told = rig
        .portal(&key, "GET", &format!("/agents/{id}/credentials"), None)
        .await
        .expect(403);
    assert!(told.detail().contains("credential_export"), "{}", told.text);
    assert!(!told.text.contains("PRIVATE"));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credential_export_is_a_switch_and_every_use_is_recorded() {
    let rig = Rig::of(Plan::with(|plan| {
        plan.config.compat.credential_export = true;
    }))
    .await;
    let key = rig.user("Ann").await;
    let mut body = rig.agent_body("kvm1");
    body["private_key_passphrase"] = json!("pass-canary");
    let made = rig
        .portal(&key, "POST", "/agents", Some(body.clone()))
        .await
        .expect(201)
        .json();
    let path = format!("/agents/{}/credentials", made["id"]);
    let told = rig.portal(&key, "GET", &path, None).await.expect(200);
    assert_eq!(told.headers["cache-control"], "no-store");
    let told = told.json();
    assert_eq!(told["private_key"], body["private_key"]);
    assert_eq!(told["private_key_passphrase"], "pass-canary");
    for (member, value) in made.as_object().unwrap() {
        assert_eq!(&told[member], value, "{member}");
    }
    // The passphrase alone can be taken away; the key stays.
    let agent = format!("/agents/{}", made["id"]);
    rig.portal(
        &key,
        "PATCH",
        &agent,
        Some(json!({"private_key_passphrase": ""})),
    )
    .await
    .expect(200);
    let told = rig
        .portal(&key, "GET", &path, None)
        .await
        .expect(200)
        .json();
    assert_eq!(told["private_key"], body["private_key"]);
    assert_eq!(told["private_key_passphrase"], serde_json::Value::Null);

    // From elsewhere over plaintext it is refused.
    let from_afar = crate::rig::portal_request(&key, "GET", &path, None);
    rig.send_from("192.0.2.9".parse().unwrap(), from_afar)
        .await
        .expect(403);
    let looking = rig
        .narrowed("Ann", vmdeck::accounts::Scopes::looking())
        .await;
    rig.portal(&looking, "GET", &path, None).await.expect(403);

    let fleet = rig
        .state
        .tenants
        .fleet(&profile_of(&rig, "Ann").await)
        .await
        .unwrap();
    let records = fleet.audit_tail(100, None).await.unwrap();
    let exports: Vec<_> = records
        .iter()
        .filter(|record| record.entry.action == "credential-exported")
        .collect();
    assert_eq!(exports.len(), 2, "one for each that was answered");
    assert_eq!(exports[0].entry.client_ip.as_deref(), Some("127.0.0.1"));
    rig.end().await;
}

async fn profile_of(rig: &Rig, user: &str) -> String {
    rig.state.accounts.find_user(user).await.unwrap().profile
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_cannot_make_the_server_dial_itself() {
    let rig = Rig::of(Plan::with(|plan| {
        plan.config.dial_allow = Vec::new();
    }))
    .await;
    let key = rig.user("Ann").await;
    let spellings = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.255.255.254",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "ip6-localhost",
        "0",
        "0.0.0.0",
        "0.0.0.1",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "0:0:0:0:0:ffff:7f00:1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "169.254.169.254",
        "169.254.0.1",
        "0xa9fea9fe",
        "2852039166",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
    ];
    for hostname in spellings {
        let mut body = rig.agent_body("kvm1");
        body["hostname"] = json!(hostname);
        body["port"] = json!(22);
        let told = rig.portal(&key, "POST", "/agents", Some(body)).await;
        assert_eq!(told.status.as_u16(), 422, "{hostname}: {}", told.text);
        let told = told.json();
        assert_eq!(told["detail"][0]["loc"], json!(["body", "hostname"]));
    }
    assert_eq!(
        rig.portal(&key, "GET", "/agents", None)
            .await
            .expect(200)
            .json(),
        json!([])
    );
    // Not by changing one either.
    let id = rig
        .agent_with(&key, "kvm1", |body| {
            body["hostname"] = json!("kvm1.example.invalid");
        })
        .await;
    rig.portal(
        &key,
        "PATCH",
        &format!("/agents/{id}"),
        Some(json!({"hostname": "127.0.0.1"})),
    )
    .await
    .expect(422);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_agents_and_credentials_and_no_more() {
    let rig = Rig::of(Plan::with(|plan| {
        plan.config.limit.hosts_per_profile = 2;
        plan.config.limit.credentials_per_profile = 1;
    }))
    .await;
    let key = rig.user("Ann").await;
    rig.agent(&key, "kvm1").await;
    let more = || rig.portal(&key, "POST", "/agents", Some(rig.agent_body("kvm2")));
    let told = more().await.expect(409);
    assert!(
        told.detail().contains("credentials as it may (1)"),
        "{}",
        told.text
    );
    rig.end().await;

    let rig = Rig::of(Plan::with(|plan| plan.config.limit.hosts_per_profile = 1)).await;
    let key = rig.user("Ann").await;
    let id = rig.agent(&key, "kvm1").await;
    let more = || rig.portal(&key, "POST", "/agents", Some(rig.agent_body("kvm2")));
    let told = more().await.expect(409);
    assert!(
        told.detail().contains("hosts as it may (1)"),
        "{}",
        told.text
    );
    rig.portal(&key, "DELETE", &format!("/agents/{id}"), None)
        .await
        .expect(204);
    more().await.expect(201);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_never_tell_a_secret_back() {
    let rig = Rig::start().await;
    let key = rig.user("Ann").await;
    let secret = "canary-private-key-that-is-long-enough-to-count-as-one";
    for body in [
        json!({"private_key": secret, "private_key_passphrase": "canary-passphrase"}),
        json!({"name": "a", "hostname": "h", "username": "u", "private_key": secret, "private_key_passphrase": {"x": "canary"}}),
        json!({"name": "a", "hostname": "h", "username": "u", "privateKey": secret}),
        json!({"name": "a", "hostname": "h", "username": "u", "private_key": ["canary", secret]}),
        json!({"name": secret.repeat(3).replace("canary", "PRIVATE KEY canary")}),
    ] {
        let told = rig
            .portal(&key, "POST", "/agents", Some(body))
            .await
            .expect(422);
        assert!(!told.text.contains("canary"), "{}", told.text);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_left_in_a_file() {
    let rig = Rig::of(Plan::with(|plan| plan.hmac = true)).await;
    let key = rig.user("Ann").await;
    let mut body = rig.agent_body("kvm1");
    body["private_key_passphrase"] = json!("pass-canary-31337");
    let id = rig
        .portal(&key, "POST", "/agents", Some(body.clone()))
        .await
        .expect(201)
        .json()["id"]
        .clone();
    rig.portal(&key, "GET", &format!("/agents/{id}/vms"), None)
        .await;
    let pem = body["private_key"].as_str().unwrap();
    let line = pem.lines().nth(2).unwrap().to_owned();
    let canaries = [
        key.clone(),
        rig.admin.clone(),
        API_KEY.to_owned(),
        HMAC_SECRET.to_owned(),
        "pass-canary-31337".to_owned(),
        line,
    ];
    let mut looked = 0;
    let mut folders = vec![rig.root.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != "login-key" {
                let bytes = std::fs::read(&path).unwrap();
                looked += 1;
                for canary in &canaries {
                    let found = bytes
                        .windows(canary.len())
                        .any(|window| window == canary.as_bytes());
                    assert!(!found, "{} holds {canary:.12}...", path.display());
                }
            }
        }
    }
    assert!(looked >= 4);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_contract_is_off_without_a_key() {
    let mut rig = Rig::start().await;
    rig.state.bot = None;
    rig.router = vmdeck::serve::router(rig.state.clone());
    let told = rig.bot("GET", "/vm/list").await.expect(404);
    assert_eq!(told.json(), json!({"detail": "Not Found"}));
    rig.bot("POST", "/vm/web-1/start").await.expect(404);
    rig.end().await;
}
