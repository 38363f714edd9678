//! A server in this process: the real router, accounts and fleets, on hosts of the simulator.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by two test binaries, each of which uses a part"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;
use vmdeck::accounts::{Accounts, NewKey, NewUser, Scopes, User};
use vmdeck::app::{FleetParts, ServedFleets};
use vmdeck::audit::AuditOptions;
use vmdeck::clock::Clock;
use vmdeck::config::ServeConfig;
use vmdeck::domain::secret::SecretText;
use vmdeck::fleet::FleetHandle;
use vmdeck::fleet::engine::FleetOptions;
use vmdeck::serve::{self, Listener, Running, ServeState};
use vmdeck::session::SessionOptions;
use vmdeck::sim::Scenario;
use vmdeck::task::Tasks;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::vault::Vault;

use crate::support::simulated::SimFleet;

/// Two hosts, of which one refuses nothing.
pub const TWO_HOSTS: &str = r#"
seed = 7
[[host]]
name = "kvm1"
tags = ["blue"]
[[host.vm]]
name = "web-{}"
count = 3
[[host.vm]]
name = "spare"
state = "stopped"
[[host]]
name = "kvm2"
tags = ["red"]
[[host.vm]]
name = "db"
[[host.vm]]
name = "spare"
state = "stopped"
"#;

/// The profile that the hosts of the scenario are in.
pub const PROFILE: &str = "lab";

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.text()))
    }

    /// Fails with the whole answer unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
}

/// The server with everything behind it.
pub struct Serving {
    pub state: ServeState,
    pub router: Router,
    pub sim: SimFleet,
    pub tasks: Tasks,
    pub home: TempDir,
    /// A key of an administrator in [`PROFILE`].
    pub admin: String,
    pub fleets: Arc<ServedFleets>,
}

impl Serving {
    /// Starts with the defaults.
    pub async fn start(scenario: &str) -> Self {
        Self::with(scenario, |_| {}, |state| state).await
    }

    /// Starts with a changed configuration and a changed state.
    pub async fn with(
        scenario: &str,
        change: impl FnOnce(&mut ServeConfig),
        finish: impl FnOnce(ServeState) -> ServeState,
    ) -> Self {
        let scenario = Scenario::from_toml(scenario).expect("a scenario");
        Self::of(scenario, change, finish).await
    }

    /// Starts with a scenario that is no text.
    pub async fn of(
        scenario: Scenario,
        change: impl FnOnce(&mut ServeConfig),
        finish: impl FnOnce(ServeState) -> ServeState,
    ) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let sim = SimFleet::of(scenario).await;
        let clock = Clock::system();
        let root = home.path().join("profiles");
        let profile = sim.profile(&root, PROFILE, home.path()).await;
        let accounts = Accounts::open(&home.path().join("server"), clock.clone())
            .await
            .expect("accounts");
        accounts
            .grant(PROFILE, profile.id(), None, false)
            .await
            .expect("a grant");
        let (_, first) = accounts
            .bootstrap(PROFILE)
            .await
            .expect("accounts")
            .expect("no administrator yet");
        let mut config = ServeConfig::default();
        // A whole test file comes from one address.
        config.limit.rate_per_address = 100_000;
        config.limit.rate_per_key = 100_000;
        change(&mut config);
        let tasks = Tasks::new();
        let fleets = Arc::new(fleets(root, accounts.clone(), &clock).await);
        let provider = Arc::<ServedFleets>::clone(&fleets);
        let state = ServeState::new(accounts, provider, Arc::new(config), clock, &tasks);
        let state = finish(state);
        Self {
            router: serve::router(state.clone()),
            state,
            sim,
            tasks,
            home,
            admin: first.token.expose().clone(),
            fleets,
        }
    }

    /// The router of another run of the server, over the same accounts and fleets.
    pub async fn restarted(&self) -> Router {
        let accounts = Accounts::open(&self.home.path().join("server"), self.state.clock.clone())
            .await
            .expect("accounts");
        let provider = Arc::<ServedFleets>::clone(&self.fleets);
        let config = Arc::clone(&self.state.config);
        let clock = self.state.clock.clone();
        serve::router(ServeState::new(
            accounts,
            provider,
            config,
            clock,
            &self.tasks,
        ))
    }

    /// Adds a user in a profile with a key of these scopes, and returns both.
    pub async fn user(&self, name: &str, profile: &str, scopes: Scopes) -> (User, String) {
        let new = NewUser {
            name: name.to_owned(),
            email: None,
            profile: Some(profile.to_owned()),
            admin: false,
        };
        let first = NewKey {
            scopes,
            expires_at: None,
        };
        let added = self.state.accounts.add_user(new, first).await;
        let (user, key) = added.expect("a user");
        (user, key.token.expose().clone())
    }

    /// The fleet of [`PROFILE`], once every host has said what it has.
    pub async fn fleet(&self) -> FleetHandle {
        let fleet = self.state.tenants.fleet(PROFILE).await.expect("a fleet");
        let all = fleet.wait_until(|state| {
            state
                .hosts
                .iter()
                .all(|host| host.inventory.is_some() && !host.from_cache)
        });
        tokio::time::timeout(Duration::from_secs(30), all)
            .await
            .expect("the hosts answer")
            .expect("the fleet lives");
        fleet
    }

    /// Sends a request to the router, without a listener.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        answer(
            self.router
                .clone()
                .oneshot(request)
                .await
                .expect("infallible"),
        )
        .await
    }

    /// Sends a request with a key and without a body.
    pub async fn get(&self, path: &str, key: &str) -> Answer {
        self.send(request(Method::GET, path, Some(key), None)).await
    }

    /// Sends a request with a key and a body.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(request(Method::POST, path, Some(key), Some(body)))
            .await
    }

    /// Listens on a free port of the loopback.
    pub fn listen(&self) -> Running {
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(address, None, false).expect("a port");
        serve::serve(listener, self.router.clone(), &self.state)
    }

    /// Ends everything.
    pub async fn end(self) {
        self.state.stop.cancel();
        self.state.tenants.close_all(Duration::from_secs(5)).await;
        self.tasks.cancel();
        self.tasks.wait(Duration::from_secs(5)).await;
        self.sim.end().await;
    }
}

/// Makes a request.
pub fn request(
    method: Method,
    path: &str,
    key: Option<&str>,
    body: Option<&Value>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let body = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    request.body(body).expect("a request")
}

/// Reads an answer to its end.
pub async fn answer(response: axum::response::Response) -> Answer {
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.expect("a body").to_bytes().to_vec(),
    }
}

/// The program's own fleets, with a server whose passphrase was set.
async fn fleets(root: PathBuf, accounts: Accounts, clock: &Clock) -> ServedFleets {
    let vault = Vault::for_tests(None);
    let passphrase = SecretText::new("the server's passphrase".to_owned());
    let identity = vault
        .create_identity(&passphrase)
        .await
        .expect("an identity");
    accounts.set_identity(identity).await.expect("kept");
    let connector = Arc::new(SshConnector::new(SshOptions::default()));
    let config = vmdeck::config::Config::default();
    ServedFleets::new(FleetParts {
        root,
        accounts,
        vault,
        connector: Arc::<SshConnector>::clone(&connector),
        strangers: connector,
        read_within: config.poll.deadline,
        policy: Arc::new([]),
        read_only: false,
        clock: clock.clone(),
        options: FleetOptions {
            session: SessionOptions {
                tick: Duration::from_millis(500),
                ..SessionOptions::default()
            },
            ..FleetOptions::default()
        },
        audit: AuditOptions::default(),
        hooks: Arc::new([]),
    })
}

/// Sends one request over a connection of its own and reads the answer to its end.
pub async fn http(
    address: std::net::SocketAddr,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: &str,
) -> std::io::Result<Answer> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let key = key.map_or(String::new(), |key| {
        format!("Authorization: Bearer {key}\r\n")
    });
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{key}Content-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    parse(&bytes).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

/// Reads an answer that ends with its connection.
pub fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = axum::http::HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(
            axum::http::HeaderName::from_bytes(name.as_bytes()).ok()?,
            value.trim().parse().ok()?,
        );
    }
    Some(Answer {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
    })
}
