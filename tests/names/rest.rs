//! The REST server: both older contracts, `/v1`, its metrics, and what they say about names nobody has.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use tower::ServiceExt;
use vmdeck::accounts::{Accounts, NewKey, NewUser, Scopes};
use vmdeck::clock::Clock;
use vmdeck::config::ServeConfig;
use vmdeck::domain::audit::AuditEntry;
use vmdeck::domain::credential::{CredentialName, CredentialSecret, CredentialSummary};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::secret::SecretText;
use vmdeck::domain::text::{RemoteText, is_hostile};
use vmdeck::fleet::FleetHandle;
use vmdeck::serve::client_address::Peer;
use vmdeck::serve::{BotAccess, Fleets, ServeState};
use vmdeck::task::Tasks;
use vmdeck::testing::{fleet, names};

use crate::{engine, harmless};

#[derive(Debug)]
struct OneFleet(FleetHandle);

fn never<T>() -> Result<T, Failure> {
    Err(Failure::new(ErrorKind::Refused, "not here"))
}

#[async_trait]
impl Fleets for OneFleet {
    async fn open(&self, _profile: &str) -> Result<FleetHandle, Failure> {
        Ok(self.0.clone())
    }

    async fn close(&self, _profile: &str, _grace: std::time::Duration) -> usize {
        0
    }

    async fn create(&self, _profile: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn set_credential(
        &self,
        _profile: &str,
        _name: &CredentialName,
        _secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        never()
    }

    async fn remove_credential(
        &self,
        _profile: &str,
        _name: &CredentialName,
    ) -> Result<(), Failure> {
        never()
    }

    async fn export_credential(
        &self,
        _profile: &str,
        _name: &CredentialName,
    ) -> Result<CredentialSecret, Failure> {
        never()
    }

    async fn note(&self, _profile: &str, _entry: AuditEntry) -> Result<(), Failure> {
        Ok(())
    }
}

struct Server {
    router: Router,
    key: String,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

const BOT_KEY: &str = "key-of-the-bot";

impl Server {
    async fn start() -> Self {
        let tasks = Tasks::new();
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(fleet::now());
        let accounts = Accounts::open(&folder.path().join("server"), clock.clone())
            .await
            .unwrap();
        let user = NewUser {
            name: "ann".to_owned(),
            email: None,
            profile: Some("main".to_owned()),
            admin: true,
        };
        let first = NewKey {
            scopes: Scopes::full(),
            expires_at: None,
        };
        let (_, issued) = accounts.add_user(user, first).await.unwrap();
        let mut config = ServeConfig::default();
        config.limit.rate_per_key = 1_000_000;
        config.limit.rate_per_address = 1_000_000;
        config.limit.failures_per_address = 1_000_000;
        let fleets = Arc::new(OneFleet(engine::start(&tasks)));
        let bot = BotAccess {
            profile: "main".to_owned(),
            api_key: SecretText::from(BOT_KEY.to_owned()),
            hmac_secret: None,
            allow: Vec::new(),
        };
        let state =
            ServeState::new(accounts, fleets, Arc::new(config), clock, &tasks).with_bot(Some(bot));
        Self {
            router: vmdeck::serve::router(state),
            key: issued.token.expose().clone(),
            tasks,
            _folder: folder,
        }
    }

    /// Asks, and looks at every byte of the answer, its headers too.
    async fn ask(&self, method: &str, target: &str, body: &str) -> (u16, String) {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, "127.0.0.1:8000")
            .header("x-api-key", BOT_KEY)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json")
            .header("accept", "*/*")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
        request.extensions_mut().insert(Peer(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        for (name, value) in response.headers() {
            let value = value
                .to_str()
                .unwrap_or_else(|_| panic!("{name} of {target}"));
            assert!(!value.chars().any(is_hostile), "{name}: {value:?}");
        }
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        harmless(&text, &format!("{method} {target}: {status}"));
        (status, text)
    }

    fn end(&self) {
        self.tasks.cancel();
    }
}

/// A name as a path holds it.
fn encoded(name: &str) -> String {
    let escaped: Vec<String> = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    escaped.concat()
}

fn sent() -> Vec<String> {
    let mut names: Vec<String> = names::hostile()
        .iter()
        .map(|name| RemoteText::new(name).raw().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn lists_of_all_contracts_hold_every_name_and_nothing_raw() {
    let server = Server::start().await;
    let mut found = Vec::new();
    let mut target = "/v1/vms?limit=500".to_owned();
    loop {
        let (status, text) = server.ask("GET", &target, "").await;
        assert_eq!(status, 200, "{text}");
        let page: serde_json::Value = serde_json::from_str(&text).unwrap();
        for row in page["items"].as_array().unwrap() {
            found.push(row["name"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        target = format!("/v1/vms?limit=500&cursor={next}");
    }
    found.sort();
    assert_eq!(found, sent());
    for target in [
        "/v1/hosts",
        "/v1/hosts/kvm1",
        "/v1/operations",
        "/v1/metrics",
        "/metrics",
        "/vm/list",
    ] {
        server.ask("GET", target, "").await;
    }
    let (status, text) = server.ask("GET", "/agents", "").await;
    assert_eq!(status, 200, "{text}");
    let agents: serde_json::Value = serde_json::from_str(&text).unwrap();
    let id = &agents[0]["id"];
    let (status, text) = server.ask("GET", &format!("/agents/{id}/vms"), "").await;
    assert_eq!(status, 200, "{text}");
    let listed: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut found: Vec<&str> = listed
        .iter()
        .map(|vm| vm["name"].as_str().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, sent());
    server.end();
}

#[tokio::test]
async fn one_vm_its_plan_and_every_refusal_of_it() {
    let server = Server::start().await;
    for (n, name) in names::hostile().iter().enumerate() {
        let id = fleet::vm_id(1, n);
        let (status, text) = server.ask("GET", &format!("/v1/vms/kvm1/{id}"), "").await;
        assert_eq!(status, 200, "{text}");
        let path = format!("/v1/vms/kvm1/{id}/actions/start");
        server
            .ask("POST", &format!("{path}?dry_run=true"), "{}")
            .await;
        server.ask("POST", &path, "{}").await;
        // As a name in the places where a client puts one.
        let name = encoded(&name.chars().take(300).collect::<String>());
        for target in [
            format!("/v1/vms/{name}/{name}"),
            format!("/v1/hosts/{name}"),
            format!("/v1/vms?filter={name}&sort={name}"),
            format!("/v1/operations?filter={name}"),
            format!("/v1/vms?fields={name}&cursor={name}"),
            format!("/vm/{name}/state"),
            format!("/vm/{name}/details"),
            format!("/agents/{name}/vms"),
            format!("/agents/1/vms/{name}"),
        ] {
            server.ask("GET", &target, "").await;
        }
    }
    server.end();
}

#[tokio::test]
async fn bodies_with_such_names_are_refused_in_harmless_words() {
    let server = Server::start().await;
    for name in names::hostile() {
        let text = serde_json::to_string(&name).unwrap();
        for (target, body) in [
            (
                "/v1/hosts",
                format!("{{\"name\":{text},\"address\":{text}}}"),
            ),
            ("/v1/hosts", format!("{{{text}:1}}")),
            (
                "/v1/vms/actions/start",
                format!("{{\"filter\":{text},\"expect_count\":1}}"),
            ),
            ("/users", format!("{{\"name\":{text},\"email\":{text}}}")),
            (
                "/agents",
                format!("{{\"name\":{text},\"hostname\":{text},\"port\":{text}}}"),
            ),
        ] {
            server.ask("POST", target, &body).await;
        }
    }
    server.end();
}
