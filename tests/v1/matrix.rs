//! Every route against every kind of key: `matrix.txt` says what has to come of it, the `OpenAPI` document
//! which routes there are. No answer to somebody who may not see a thing holds a word of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use vmdeck::accounts::{IssuedKey, NewKey, NewUser, Scopes};
use vmdeck::domain::host::HostName;
use vmdeck::domain::secret::SecretText;
use vmdeck::serve::BotAccess;
use vmdeck::sim::{Scenario, SimState};

use crate::rig::{Answered, PROFILE, read, request, send};
use crate::serving::Serving;

const TABLE: &str = include_str!("matrix.txt");

/// How long a fact may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

const BOT_KEY: &str = "the-key-of-the-bot";

/// The target has words that stand nowhere else.
pub(crate) const TENANT: &str = r#"
seed = 3
[[host]]
name = "kvm1"
tags = ["blue"]
[[host.vm]]
name = "canary-db"
[[host.vm]]
name = "canary-web"
[[host]]
name = "kvm2"
tags = ["red"]
[[host.vm]]
name = "shop"
"#;

/// Words that only who sees kvm1 may be told.
const CANARIES: [&str; 2] = ["canary", "kvm1"];

/// Kinds of keys whose holders do not see kvm1.
const BLIND: [&str; 10] = [
    "none", "broken", "wrong", "revoked", "expired", "bot", "host", "tag", "other", "third",
];

/// One server with tenants, and a key of each kind.
pub(crate) struct Tenants {
    pub(crate) serving: Serving,
    pub(crate) keys: BTreeMap<&'static str, String>,
    /// Number of ann's agent on kvm1, and of the one that may be removed.
    pub(crate) agent: i64,
    spare_agent: i64,
    pub(crate) operation: String,
    users: BTreeMap<&'static str, i64>,
}

impl Tenants {
    pub(crate) async fn start() -> Self {
        Self::allowing(&[]).await
    }

    /// Starts with a list of the addresses that may ask; an empty one lets everybody.
    pub(crate) async fn allowing(allow: &[&str]) -> Self {
        let scenario = Scenario::from_toml(TENANT).expect("a scenario");
        let bot = BotAccess {
            profile: PROFILE.to_owned(),
            api_key: SecretText::from(BOT_KEY.to_owned()),
            hmac_secret: None,
            allow: allow.iter().map(|net| net.parse().unwrap()).collect(),
        };
        let change = |config: &mut vmdeck::config::ServeConfig| {
            config.limit.failures_per_address = 1_000_000;
            config.limit.dials_per_user = 1_000_000;
            config.dial_allow = vec!["127.0.0.0/8".parse().unwrap()];
        };
        let serving = Serving::of(scenario, change, |state| state.with_bot(Some(bot))).await;
        let fleet = serving.fleet().await;
        let mut tenants = Self {
            serving,
            keys: BTreeMap::new(),
            agent: 0,
            spare_agent: 0,
            operation: String::new(),
            users: BTreeMap::new(),
        };
        for (name, profile, admin) in [
            ("ann", PROFILE, false),
            ("root", PROFILE, true),
            ("ben", "bens", false),
            ("cat", "cats", true),
        ] {
            tenants.add_user(name, profile, admin).await;
        }
        tenants.issue_keys().await;
        let accounts = &tenants.serving.state.accounts;
        let kvm1: HostName = "kvm1".parse().unwrap();
        let state = fleet.snapshot();
        let host = state.hosts.iter().find(|host| host.spec.name == kvm1);
        let host = host.unwrap().spec.id;
        let agent = accounts.add_agent(tenants.users["ann"], host, None, None);
        tenants.agent = agent.await.unwrap().id;
        if allow.is_empty() {
            tenants.put_credential("ops-key").await;
            let act = "/v1/vms/kvm1/canary-db/actions/autostart-on?wait=20";
            let done = tenants.ask("full", Method::POST, act, None).await;
            assert_eq!(done.status, StatusCode::OK, "{}", done.text);
            tenants.operation = done.json()["operation"].as_str().unwrap().to_owned();
        }
        tenants
    }

    async fn add_user(&mut self, name: &'static str, profile: &str, admin: bool) {
        let state = &self.serving.state;
        state.tenants.fleets().create(profile).await.unwrap();
        let new = NewUser {
            name: name.to_owned(),
            email: None,
            profile: Some(profile.to_owned()),
            admin,
        };
        let (user, _) = state
            .accounts
            .add_user(new, NewKey::default())
            .await
            .unwrap();
        self.users.insert(name, user.id);
    }

    async fn issue(&self, user: &str, scopes: Scopes, live: bool) -> IssuedKey {
        let now = self.serving.state.clock.now();
        let past = now - jiff::SignedDuration::from_secs(1);
        let new = NewKey {
            scopes,
            expires_at: (!live).then_some(past),
        };
        let accounts = &self.serving.state.accounts;
        accounts.issue_key(self.users[user], new).await.unwrap()
    }

    /// Makes a key of every kind.
    async fn issue_keys(&mut self) {
        let verb = Scopes {
            verbs: vec!["autostart-on".to_owned()],
            ..Scopes::default()
        };
        let host = Scopes {
            hosts: vec!["kvm2".to_owned()],
            ..Scopes::full()
        };
        let tag = Scopes {
            tags: vec!["red".to_owned()],
            ..Scopes::full()
        };
        for (kind, user, scopes, live) in [
            ("revoked", "ann", Scopes::full(), true),
            ("expired", "ann", Scopes::full(), false),
            ("look", "ann", Scopes::looking(), true),
            ("verb", "ann", verb, true),
            ("host", "ann", host, true),
            ("tag", "ann", tag, true),
            ("plain", "ann", Scopes::default(), true),
            ("full", "ann", Scopes::full(), true),
            ("admin", "root", Scopes::full(), true),
            ("other", "ben", Scopes::full(), true),
            ("third", "cat", Scopes::full(), true),
        ] {
            let issued = self.issue(user, scopes, live).await;
            if kind == "revoked" {
                let accounts = &self.serving.state.accounts;
                accounts.revoke_key(&issued.info.id).await.unwrap();
            }
            self.keys.insert(kind, issued.token.expose().clone());
        }
        let full = self.keys["full"].clone();
        let mut broken = full.clone();
        let last = broken.pop();
        broken.push(if last == Some('x') { 'y' } else { 'x' });
        self.keys.insert("broken", broken);
        // Nobody's: as good as any, until it is looked up.
        let accounts = &self.serving.state.accounts;
        let new = NewUser {
            name: "nobody".to_owned(),
            email: None,
            profile: None,
            admin: false,
        };
        let (nobody, key) = accounts.add_user(new, NewKey::default()).await.unwrap();
        accounts.remove_user(nobody.id).await.unwrap();
        self.keys.insert("wrong", key.token.expose().clone());
    }

    /// A request with a key of some kind.
    pub(crate) fn request(
        &self,
        kind: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Request<Body> {
        let key = self.keys.get(kind).map_or("", String::as_str);
        let mut request = request(key, method, path, &[], body);
        if kind == "bot" {
            let key = BOT_KEY.parse().unwrap();
            request.headers_mut().insert("x-api-key", key);
        }
        request
    }

    /// Sends a request with a key of some kind and reads the answer; of a stream only its head.
    pub(crate) async fn ask(
        &self,
        kind: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answered {
        let request = self.request(kind, method, path, body);
        let mut response = send(&self.serving.router, request).await;
        if path == "/v1/events" && response.status() == StatusCode::OK {
            *response.body_mut() = Body::empty();
        }
        read(response).await
    }

    async fn put_credential(&self, name: &str) {
        let path = format!("/v1/credentials/{name}");
        let pem = self.serving.sim.demo.login_key_pem.expose();
        let body = json!({ "private_key": pem });
        let put = self.ask("full", Method::PUT, &path, Some(&body)).await;
        assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    }

    fn agent_body(&self, name: &str) -> Value {
        json!({
            "name": name, "hostname": "127.0.0.1", "port": 9, "username": "ops",
            "private_key": self.serving.sim.demo.login_key_pem.expose(),
        })
    }

    /// Brings a VM of kvm1 into a state, and waits until the server has seen that. What is still under
    /// way ends first: its goal would not be seen any more.
    async fn vm(&self, state: SimState) {
        let control = self.serving.sim.control("kvm1");
        let fleet = self.serving.state.tenants.fleet(PROFILE).await.unwrap();
        let ended = fleet.wait_until(|fleet| {
            fleet
                .operations
                .iter()
                .all(|operation| operation.is_finished())
        });
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        assert!(
            ended.is_ok(),
            "under way: {:#?}",
            fleet.snapshot().operations
        );
        control.set_state("canary-db", state).unwrap();
        let word = if state == SimState::Running {
            "running"
        } else {
            "stopped"
        };
        let seen = fleet.wait_until(|fleet| {
            let mut vms = fleet.hosts.iter().flat_map(|host| host.vms());
            vms.any(|vm| vm.name.raw() == "canary-db" && vm.state.word() == word)
        });
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        assert!(seen.is_ok(), "not {word}: {:#?}", fleet.snapshot());
    }

    /// Makes sure that there is what a row needs, and not what it makes.
    async fn prepare(&mut self, row: &Row) {
        let path = row.path.as_str();
        match (row.method.as_str(), path) {
            ("POST", "/v1/hosts") => {
                self.ask("full", Method::DELETE, "/v1/hosts/fresh", None)
                    .await;
            }
            ("PATCH" | "DELETE", "/v1/hosts/{name}") => {
                let body =
                    json!({"name": "spare", "address": "127.0.0.1:9", "credential": "ops-key"});
                self.ask("full", Method::POST, "/v1/hosts", Some(&body))
                    .await;
            }
            ("DELETE", "/v1/credentials/{name}") => self.put_credential("spare").await,
            ("POST", "/agents") => {
                for kind in ["full", "other", "third"] {
                    self.ask(kind, Method::DELETE, "/v1/hosts/fresh-agent", None)
                        .await;
                }
            }
            ("PATCH" | "DELETE", "/agents/{id}") => {
                let body = self.agent_body("spare-agent");
                let made = self.ask("full", Method::POST, "/agents", Some(&body)).await;
                if made.status == StatusCode::CREATED {
                    self.spare_agent = made.json()["id"].as_i64().unwrap();
                }
            }
            ("POST", _) if path.ends_with("/start") => self.vm(SimState::Stopped).await,
            ("POST", "/users/me/api-key/rotate") => self.issue_keys().await,
            ("POST", _) if path.contains("{vm") => self.vm(SimState::Running).await,
            _ => {}
        }
    }

    /// What is asked for a row.
    fn target(&self, row: &Row) -> (String, Option<Value>) {
        let verb = match row.variant.as_str() {
            "dry-run" | "" => "reset",
            verb => verb,
        };
        let spare = ["PATCH", "DELETE"].contains(&row.method.as_str());
        let agent = if spare { self.spare_agent } else { self.agent };
        let name = match row.method.as_str() {
            "PUT" => "fresh",
            _ if spare => "spare",
            _ => "kvm1",
        };
        let id = match row.path.as_str() {
            path if path.starts_with("/agents") => agent.to_string(),
            path if path.contains("operations") => self.operation.clone(),
            _ => "canary-db".to_owned(),
        };
        let mut path = row.path.replace("{host}", "kvm1").replace("{verb}", verb);
        path = path.replace("{name}", name).replace("{id}", &id);
        path = path
            .replace("{vm}", "canary-db")
            .replace("{vm_name}", "canary-db")
            .replace("{snapshot}", "none");
        match row.variant.as_str() {
            "detail" => path.push_str("?detail=true"),
            "dry-run" => path.push_str("?dry_run=true"),
            "" => {}
            _ => path.push_str("?wait=20"),
        }
        let body = match (row.method.as_str(), row.path.as_str()) {
            ("POST", "/v1/vms/actions/{verb}") => json!({"filter": "canary-db", "expect_count": 1}),
            ("POST", "/v1/hosts") => {
                json!({"name": "fresh", "address": "127.0.0.1:9", "credential": "ops-key"})
            }
            ("PATCH", "/v1/hosts/{name}") => json!({"read_only": true}),
            ("POST", "/v1/hosts/{name}/host-key") => json!({"fingerprint": "SHA256:x"}),
            ("PUT", "/v1/credentials/{name}") => {
                json!({"private_key": self.serving.sim.demo.login_key_pem.expose()})
            }
            ("POST", "/users") => json!({"name": "dan"}),
            ("POST", "/agents") => self.agent_body("fresh-agent"),
            ("PATCH", "/agents/{id}") => json!({"allow_unknown_hosts": true}),
            _ => return (path, None),
        };
        (path, Some(body))
    }
}

/// A row of the table.
#[derive(Debug)]
struct Row {
    method: String,
    path: String,
    variant: String,
    expected: Vec<u16>,
}

/// Reads the table: the kinds of keys, and the rows.
fn table() -> (Vec<&'static str>, Vec<Row>) {
    let mut kinds = Vec::new();
    let mut rows = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace().peekable();
        let Some(first) = words.next() else { continue };
        if first == "columns" {
            kinds = words.collect();
            continue;
        }
        let path = words.next().expect("a path").to_owned();
        let variant = words.next_if(|word| word.starts_with('['));
        let variant = variant.unwrap_or_default().trim_matches(['[', ']']);
        rows.push(Row {
            method: first.to_owned(),
            path,
            variant: variant.to_owned(),
            expected: words.map(|word| word.parse().expect("a status")).collect(),
        });
    }
    (kinds, rows)
}

/// Every route of the server, with something in the places of its names.
pub(crate) fn routes() -> Vec<(Method, String)> {
    let (_, rows) = table();
    rows.iter()
        .map(|row| {
            (
                row.method.parse().unwrap(),
                row.path.replace(['{', '}'], ""),
            )
        })
        .collect()
}

#[test]
fn every_kind_of_key_has_a_word_in_every_row() {
    let (kinds, rows) = table();
    assert!(kinds.len() * rows.len() >= 400);
    for row in &rows {
        assert_eq!(row.expected.len(), kinds.len(), "{row:?}");
    }
    for kind in BLIND {
        assert!(kinds.contains(&kind), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_holds_every_key_to_what_it_may() {
    let mut tenants = Tenants::start().await;
    let (kinds, rows) = table();
    let document = tenants
        .ask("none", Method::GET, "/v1/openapi.json", None)
        .await;
    let document = document.json();
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let listed: BTreeSet<String> = rows
        .iter()
        .map(|row| format!("{} {}", row.method, row.path))
        .collect();
    let missing: Vec<&String> = described.difference(&listed).collect();
    assert!(missing.is_empty(), "no row in matrix.txt: {missing:?}");

    let mut surprises = Vec::new();
    let mut cells = 0;
    for row in &rows {
        for (kind, expected) in kinds.iter().zip(&row.expected) {
            tenants.prepare(row).await;
            let (path, body) = tenants.target(row);
            let method: Method = row.method.parse().unwrap();
            let answer = tenants.ask(kind, method, &path, body.as_ref()).await;
            cells += 1;
            let what = format!("{kind}: {} {} [{}]", row.method, row.path, row.variant);
            if answer.status.as_u16() != *expected {
                surprises.push(format!(
                    "{what}: {} for {expected}: {}",
                    answer.status, answer.text
                ));
            }
            // An administrator's metrics are about the whole server.
            let public = row.expected.iter().all(|status| *status == 200)
                || (row.path == "/metrics" && *kind == "third")
                || *expected == 200 && *kind == "bot";
            let told = CANARIES.iter().find(|word| answer.text.contains(**word));
            if let (true, false, Some(word)) = (BLIND.contains(kind), public, told) {
                surprises.push(format!("{what}: tells {word}: {}", answer.text));
            }
        }
    }
    assert!(
        surprises.is_empty(),
        "{} of {cells}: {surprises:#?}",
        surprises.len()
    );
    assert!(cells >= 400, "{cells}");
    tenants.serving.end().await;
}
