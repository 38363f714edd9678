//! A server whose profiles are fleets on the simulator, and a client that asks it in process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use vmdeck::accounts::{Accounts, NewKey, NewUser, Scopes};
use vmdeck::audit::{AuditLog, AuditOptions};
use vmdeck::clock::Clock;
use vmdeck::config::ServeConfig;
use vmdeck::domain::audit::AuditEntry;
use vmdeck::domain::credential::{
    CredentialKind, CredentialName, CredentialSecret, CredentialSummary, NewCredential,
};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::host::LoginMethod;
use vmdeck::fleet::FleetHandle;
use vmdeck::fleet::engine::{self, FleetOptions, FleetSetup};
use vmdeck::hypervisor::drivers::InstalledDrivers;
use vmdeck::profile::{Profile, ProfileName};
use vmdeck::serve::client_address::Peer;
use vmdeck::serve::{Fleets, ServeState};
use vmdeck::sim::{Demo, Scenario};
use vmdeck::task::Tasks;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::vault::Vault;

/// Two hosts, one of them for production.
pub(crate) const TWO_HOSTS: &str = r#"
[[host]]
name = "kvm1"
tags = ["blue"]
[[host.vm]]
name = "web-{}"
count = 3
[[host.vm]]
name = "db"
state = "stopped"

[[host]]
name = "kvm2"
tier = "prod"
tags = ["red"]
[[host.vm]]
name = "shop"
[[host.vm]]
name = "web-1"
state = "stopped"
"#;

/// What keeps one fleet alive.
struct Kept {
    handle: FleetHandle,
    profile: Profile,
    audit: AuditLog,
}

/// Fleets on the simulator: one profile each, all of the same hosts.
pub(crate) struct SimFleets {
    folder: PathBuf,
    demo: Demo,
    key_file: PathBuf,
    clock: Clock,
    tasks: Tasks,
    kept: Mutex<HashMap<String, Arc<Kept>>>,
}

impl std::fmt::Debug for SimFleets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimFleets")
    }
}

impl SimFleets {
    fn kept(&self, profile: &str) -> Result<Arc<Kept>, Failure> {
        let kept = self.kept.lock().unwrap().get(profile).map(Arc::clone);
        kept.ok_or_else(|| Failure::new(ErrorKind::Internal, "no such fleet"))
    }
}

#[async_trait]
impl Fleets for SimFleets {
    async fn open(&self, name: &str) -> Result<FleetHandle, Failure> {
        let profile_name: ProfileName = name.parse().unwrap();
        let profile = Profile::create(&self.folder, &profile_name).await.unwrap();
        for host in &self.demo.hosts {
            let mut spec = host.spec.clone();
            spec.login = LoginMethod::KeyFile(self.key_file.clone());
            profile.upsert_host(spec).await.unwrap();
            profile.pin_key(host.host_key.clone(), true).await.unwrap();
        }
        let audit_dir = profile.audit_dir();
        let options = AuditOptions::default();
        let opened = AuditLog::open_with(&audit_dir, self.clock.clone(), options).await;
        let (audit, _) = opened.unwrap();
        let handle = engine::start(FleetSetup {
            profile: profile.clone(),
            vault: Vault::new(None),
            audit: audit.clone(),
            connector: Arc::new(SshConnector::new(SshOptions::default())),
            drivers: Arc::new(InstalledDrivers::new(self.clock.clone())),
            policy: Arc::from([]),
            read_only: false,
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
            options: FleetOptions::default(),
        })
        .await?;
        let kept = Kept {
            handle: handle.clone(),
            profile,
            audit,
        };
        self.kept
            .lock()
            .unwrap()
            .insert(name.to_owned(), Arc::new(kept));
        Ok(handle)
    }

    async fn close(&self, profile: &str, grace: Duration) -> usize {
        let kept = self.kept.lock().unwrap().remove(profile);
        match kept {
            Some(kept) => kept.handle.shutdown(grace).await.unwrap_or_default(),
            None => 0,
        }
    }

    async fn create(&self, _profile: &str) -> Result<(), Failure> {
        Ok(())
    }

    /// Keeps the demo's key file under the name: what is sealed is not this suite's question.
    async fn set_credential(
        &self,
        profile: &str,
        name: &CredentialName,
        _secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        let kept = self.kept(profile)?;
        let known = kept.profile.credentials().await.unwrap();
        if let Some(known) = known.into_iter().find(|known| known.name == *name) {
            return Ok(known);
        }
        let new = NewCredential {
            name: name.clone(),
            kind: CredentialKind::KeyFile,
            path: Some(self.key_file.clone()),
            public_key: None,
            fingerprint: None,
            created_at: self.clock.now().to_string(),
        };
        kept.profile.reserve_credential(new).await.unwrap();
        let known = kept.profile.credentials().await.unwrap();
        Ok(known.into_iter().find(|known| known.name == *name).unwrap())
    }

    async fn remove_credential(&self, profile: &str, name: &CredentialName) -> Result<(), Failure> {
        let kept = self.kept(profile)?;
        kept.profile.remove_credential(name).await.unwrap();
        Ok(())
    }

    async fn export_credential(
        &self,
        _profile: &str,
        _name: &CredentialName,
    ) -> Result<CredentialSecret, Failure> {
        Err(Failure::new(ErrorKind::Refused, "never"))
    }

    async fn note(&self, profile: &str, entry: AuditEntry) -> Result<(), Failure> {
        let kept = self.kept(profile)?;
        kept.audit.append(entry).await.unwrap();
        Ok(())
    }
}

/// A server with its client.
pub(crate) struct Rig {
    pub(crate) state: ServeState,
    pub(crate) router: Router,
    pub(crate) fleets: Arc<SimFleets>,
    /// A key of an administrator who may do everything in the profile `main`.
    pub(crate) key: String,
    folder: tempfile::TempDir,
    tasks: Tasks,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// A member of every row.
    pub(crate) fn column(&self, member: &str) -> Vec<Value> {
        let page = self.json();
        let items = page["items"].as_array().expect("a list");
        items.iter().map(|row| row[member].clone()).collect()
    }

    /// Asserts a problem of a kind with a status, and returns it.
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["kind"], kind, "{}", self.text);
        assert_eq!(problem["status"], status);
        problem
    }
}

async fn accounts(folder: &Path, clock: &Clock) -> Accounts {
    let folder = folder.join("server");
    Accounts::open(&folder, clock.clone())
        .await
        .expect("the accounts")
}

impl Rig {
    pub(crate) async fn start(scenario: &str) -> Self {
        Self::with(Scenario::from_toml(scenario).expect("a scenario"), |_| {}).await
    }

    pub(crate) async fn with(scenario: Scenario, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let tasks = Tasks::new();
        let demo = vmdeck::sim::start(scenario, &tasks).await.expect("a fleet");
        let key_file = folder.path().join("key");
        vmdeck::private_file::write_atomic(&key_file, demo.login_key_pem.expose().as_bytes())
            .unwrap();
        let profiles = folder.path().join("profiles");
        vmdeck::private_file::create_dir(&profiles).unwrap();
        let fleets = Arc::new(SimFleets {
            folder: profiles,
            demo,
            key_file,
            clock: clock.clone(),
            tasks: tasks.clone(),
            kept: Mutex::default(),
        });
        let accounts = accounts(folder.path(), &clock).await;
        let mut config = ServeConfig::default();
        // Tests ask faster than clients do.
        config.limit.rate_per_key = 100_000;
        config.limit.rate_per_address = 100_000;
        change(&mut config);
        let state = ServeState::new(
            accounts,
            Arc::clone(&fleets) as Arc<dyn Fleets>,
            Arc::new(config),
            clock,
            &tasks,
        );
        let router = vmdeck::serve::router(state.clone());
        let mut rig = Self {
            state,
            router,
            fleets,
            key: String::new(),
            folder,
            tasks,
        };
        rig.key = rig.user("ann", "main", true, Scopes::full()).await;
        rig
    }

    /// Adds a user with a key.
    pub(crate) async fn user(
        &self,
        name: &str,
        profile: &str,
        admin: bool,
        scopes: Scopes,
    ) -> String {
        let new = NewUser {
            name: name.to_owned(),
            email: None,
            profile: Some(profile.to_owned()),
            admin,
        };
        let first = NewKey {
            scopes,
            expires_at: None,
        };
        let (_, issued) = self.state.accounts.add_user(new, first).await.unwrap();
        issued.token.expose().clone()
    }

    /// The folder of the accounts.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        send(&self.router, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Answered {
        self.ask(Method::POST, path, &[], body).await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answered {
        let key = self.key.clone();
        self.ask_as(&key, method, path, headers, body).await
    }

    #[expect(clippy::too_many_arguments, reason = "a request has these parts")]
    pub(crate) async fn ask_as(
        &self,
        key: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answered {
        let request = request(key, method, path, headers, body);
        read(self.send(request).await).await
    }

    /// The profile's fleet, started.
    pub(crate) async fn fleet(&self) -> FleetHandle {
        self.state.tenants.fleet("main").await.unwrap()
    }

    /// Waits until every host has been read.
    pub(crate) async fn ready(&self) {
        let fleet = self.fleet().await;
        let read = fleet.wait_until(|state| {
            state
                .hosts
                .iter()
                .all(|host| host.inventory.is_some() && !host.from_cache)
        });
        tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .expect("the hosts answer");
    }

    pub(crate) fn control(&self, host: &str) -> &vmdeck::sim::HostControl {
        self.fleets.demo.control.host(host).unwrap()
    }

    /// Listens on a port of its own.
    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router.clone();
        drop(self.tasks.spawn("listener", async move {
            loop {
                let Ok((stream, peer)) = listener.accept().await else {
                    return;
                };
                let router = router.clone();
                let service = hyper::service::service_fn(
                    move |mut request: Request<hyper::body::Incoming>| {
                        request.extensions_mut().insert(Peer(peer));
                        router.clone().oneshot(request.map(Body::new))
                    },
                );
                let io = hyper_util::rt::TokioIo::new(stream);
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service);
                #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
                drop(tokio::spawn(connection));
            }
        }));
        address
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

pub(crate) fn request(
    key: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost");
    if !key.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match body {
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    }
    .unwrap()
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Response {
    let answer = router.clone().oneshot(request);
    tokio::time::timeout(Duration::from_secs(40), answer)
        .await
        .expect("an answer in time")
        .unwrap()
}

pub(crate) async fn read(response: Response) -> Answered {
    let (parts, body) = response.into_parts();
    let bytes: Bytes = body.collect().await.unwrap().to_bytes();
    Answered {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

/// A state over the same accounts and fleets, as after a restart.
pub(crate) async fn restarted(rig: &Rig) -> Router {
    let clock = Clock::system();
    let accounts = accounts(rig.folder(), &clock).await;
    let state = ServeState::new(
        accounts,
        Arc::clone(&rig.fleets) as Arc<dyn Fleets>,
        Arc::clone(&rig.state.config),
        clock,
        &rig.tasks,
    );
    vmdeck::serve::router(state)
}
