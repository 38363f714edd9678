//! A server whose fleets are on the simulator, asked in process or over a socket.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;
use vmdeck::accounts::{Accounts, NewKey, Scopes};
use vmdeck::audit::AuditLog;
use vmdeck::clock::Clock;
use vmdeck::config::ServeConfig;
use vmdeck::domain::audit::AuditEntry;
use vmdeck::domain::credential::{
    CredentialKind, CredentialName, CredentialSecret, CredentialSummary, NewCredential,
};
use vmdeck::domain::error_kind::{Classify, ErrorKind, Failure};
use vmdeck::domain::host::LoginMethod;
use vmdeck::domain::secret::SecretText;
use vmdeck::fleet::target::LoginOptions;
use vmdeck::fleet::{FleetHandle, FleetOptions, FleetSetup};
use vmdeck::hypervisor::drivers::InstalledDrivers;
use vmdeck::profile::Profile;
use vmdeck::serve::client_address::Peer;
use vmdeck::serve::contract::bot::{Signatures, signature};
use vmdeck::serve::{BotAccess, Fleets, ServeState};
use vmdeck::session::SessionOptions;
use vmdeck::task::Tasks;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::vault::{SealContext, Vault};

use crate::support::simulated::SimFleet;

pub(crate) const API_KEY: &str = "bot-key-canary-4711";
pub(crate) const HMAC_SECRET: &str = "hmac-canary-0815";

/// Two hosts; `twin` is on both, `silent` names nobody.
pub(crate) const SCENARIO: &str = r#"
seed = 5
[[host]]
name = "kvm1"
[[host.vm]]
name = "web-1"
vcpus = 4
memory_mib = 2048
addresses = ["agent 10.0.3.21/24"]
autostart = true
[[host.vm]]
name = "Windows 10"
state = "stopped"
[[host.vm]]
name = "привет"
state = "paused"
[[host.vm]]
name = "deaf"
obeys_shutdown = false
[[host.vm]]
name = "it's; $(reboot) \"q\" `x` %TEMP%"
state = "stopped"
[[host.vm]]
name = "twin"
state = "stopped"
[[host]]
name = "kvm2"
[[host.vm]]
name = "twin"
state = "saved"
[[host.vm]]
name = "only-2"
state = "stopped"
"#;

/// Fleets of profiles in one directory, each opened with the same passphrase.
#[derive(Debug)]
pub(crate) struct TestFleets {
    root: PathBuf,
    clock: Clock,
    connect_within: Duration,
    tasks: Tasks,
    vaults: Mutex<HashMap<String, Vault>>,
    logs: Mutex<HashMap<String, AuditLog>>,
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failure<E: Classify>(error: E) -> Failure {
    Failure::of(&error)
}

impl TestFleets {
    fn passphrase() -> SecretText {
        SecretText::from("correct horse".to_owned())
    }

    async fn profile(&self, name: &str) -> Result<Profile, Failure> {
        let name = name.parse().expect("a profile's name");
        Profile::open(&self.root, &name).await.map_err(failure)
    }

    fn vault(&self, profile: &str) -> Vault {
        self.vaults
            .lock()
            .unwrap()
            .entry(profile.to_owned())
            .or_insert_with(|| Vault::for_tests(None))
            .clone()
    }

    async fn audit(&self, profile: &str) -> Result<AuditLog, Failure> {
        if let Some(log) = self.logs.lock().unwrap().get(profile) {
            return Ok(log.clone());
        }
        let dir = self.profile(profile).await?.audit_dir();
        let (log, _) = AuditLog::open(&dir, self.clock.clone())
            .await
            .map_err(failure)?;
        self.logs
            .lock()
            .unwrap()
            .insert(profile.to_owned(), log.clone());
        Ok(log)
    }
}

#[async_trait]
impl Fleets for TestFleets {
    async fn open(&self, name: &str) -> Result<FleetHandle, Failure> {
        let profile = self.profile(name).await?;
        let vault = self.vault(name);
        if let Some(identity) = profile.identity().await.map_err(failure)? {
            vault
                .unlock(&identity, &Self::passphrase())
                .await
                .map_err(failure)?;
        }
        let options = SshOptions {
            connect_timeout: self.connect_within,
            ..SshOptions::default()
        };
        vmdeck::fleet::start(FleetSetup {
            audit: self.audit(name).await?,
            profile,
            vault,
            connector: Arc::new(SshConnector::new(options)),
            drivers: Arc::new(InstalledDrivers::new(self.clock.clone())),
            policy: Arc::new([]),
            read_only: false,
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
            options: FleetOptions {
                session: SessionOptions {
                    tick: Duration::from_millis(500),
                    ..SessionOptions::default()
                },
                login: LoginOptions::default(),
                ssh_config: None,
                remarks: Vec::new(),
            },
        })
        .await
    }

    async fn close(&self, _profile: &str, _grace: Duration) -> usize {
        0
    }

    async fn create(&self, name: &str) -> Result<(), Failure> {
        let parsed = name.parse().expect("a profile's name");
        let profile = Profile::create(&self.root, &parsed)
            .await
            .map_err(failure)?;
        let vault = self.vault(name);
        let identity = vault
            .create_identity(&Self::passphrase())
            .await
            .map_err(failure)?;
        profile.set_identity(identity).await.map_err(failure)
    }

    async fn set_credential(
        &self,
        profile: &str,
        name: &CredentialName,
        secret: CredentialSecret,
    ) -> Result<CredentialSummary, Failure> {
        let profile = self.profile(profile).await?;
        let known = profile.credentials().await.map_err(failure)?;
        let id = match known.iter().find(|one| one.name == *name) {
            Some(one) => one.id,
            None => profile
                .reserve_credential(NewCredential {
                    name: name.clone(),
                    kind: CredentialKind::PrivateKey,
                    path: None,
                    public_key: None,
                    fingerprint: None,
                    created_at: self.clock.now().to_string(),
                })
                .await
                .map_err(failure)?,
        };
        let identity = profile
            .identity()
            .await
            .map_err(failure)?
            .expect("an identity");
        let context = SealContext::new(profile.id(), id);
        let blob = Vault::seal(&identity.recipient, &context, &secret).map_err(failure)?;
        profile.store_sealed(id, blob).await.map_err(failure)?;
        let known = profile.credentials().await.map_err(failure)?;
        Ok(known.into_iter().find(|one| one.id == id).expect("it"))
    }

    async fn remove_credential(&self, profile: &str, name: &CredentialName) -> Result<(), Failure> {
        self.profile(profile)
            .await?
            .remove_credential(name)
            .await
            .map_err(failure)
    }

    async fn export_credential(
        &self,
        profile: &str,
        name: &CredentialName,
    ) -> Result<CredentialSecret, Failure> {
        let vault = self.vault(profile);
        let profile = self.profile(profile).await?;
        let identity = profile
            .identity()
            .await
            .map_err(failure)?
            .expect("an identity");
        vault
            .unlock(&identity, &Self::passphrase())
            .await
            .map_err(failure)?;
        let sealed = profile.sealed_credential(name).await.map_err(failure)?;
        let context = SealContext::new(profile.id(), sealed.id);
        let blob = sealed
            .blob
            .ok_or_else(|| Failure::new(ErrorKind::NotFound, "not sealed"))?;
        vault.open(&context, &blob).map_err(failure)
    }

    async fn note(&self, profile: &str, entry: AuditEntry) -> Result<(), Failure> {
        self.audit(profile)
            .await?
            .append(entry)
            .await
            .map(drop)
            .map_err(failure)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Told {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error} in {:?} ({})", self.text, self.status))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// `detail` of an error.
    #[track_caller]
    pub(crate) fn detail(&self) -> String {
        self.json()["detail"].as_str().expect("a text").to_owned()
    }
}

/// How a server is to be.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) config: ServeConfig,
    pub(crate) hmac: bool,
    pub(crate) allow: Vec<&'static str>,
    pub(crate) clock: Clock,
    pub(crate) scenario: &'static str,
    /// How long connecting to a host may take.
    pub(crate) connect_within: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        let mut config = ServeConfig::default();
        // These tests are about other rules than the ceilings.
        config.limit.failures_per_address = 1_000_000;
        config.limit.rate_per_address = 1_000_000;
        config.limit.rate_per_key = 1_000_000;
        config.limit.dials_per_user = 1_000_000;
        config.dial_allow = vec!["127.0.0.0/8".parse().unwrap()];
        Self {
            config,
            hmac: false,
            allow: Vec::new(),
            clock: Clock::system(),
            scenario: SCENARIO,
            connect_within: Duration::from_secs(3),
        }
    }
}

impl Plan {
    pub(crate) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut plan = Self::default();
        change(&mut plan);
        plan
    }
}

/// A server with its fleets.
pub(crate) struct Rig {
    pub(crate) state: ServeState,
    pub(crate) router: Router,
    pub(crate) sim: SimFleet,
    pub(crate) admin: String,
    pub(crate) root: tempfile::TempDir,
    tasks: Tasks,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::of(Plan::default()).await
    }

    pub(crate) async fn of(plan: Plan) -> Self {
        let root = tempfile::tempdir().unwrap();
        let profiles = root.path().join("profiles");
        let tasks = Tasks::new();
        let sim = SimFleet::start(plan.scenario).await;
        bot_profile(&profiles, &sim).await;
        let dir = root.path().join("server");
        let accounts = Accounts::open(&dir, plan.clock.clone())
            .await
            .expect("accounts");
        let (_, admin) = accounts
            .bootstrap("admin")
            .await
            .unwrap()
            .expect("the first");
        let fleets = Arc::new(TestFleets {
            root: profiles,
            clock: plan.clock.clone(),
            connect_within: plan.connect_within,
            tasks: tasks.clone(),
            vaults: Mutex::default(),
            logs: Mutex::default(),
        });
        let bot = BotAccess {
            profile: "bot".to_owned(),
            api_key: SecretText::from(API_KEY.to_owned()),
            hmac_secret: plan.hmac.then(|| SecretText::from(HMAC_SECRET.to_owned())),
            allow: plan.allow.iter().map(|net| net.parse().unwrap()).collect(),
        };
        let state = ServeState::new(accounts, fleets, Arc::new(plan.config), plan.clock, &tasks)
            .with_bot(Some(bot));
        Self {
            router: vmdeck::serve::router(state.clone()),
            state,
            sim,
            admin: admin.token.expose().clone(),
            root,
            tasks,
        }
    }

    /// Sends a request from loopback.
    pub(crate) async fn send(&self, request: Request<Body>) -> Told {
        self.send_from(IpAddr::V4(Ipv4Addr::LOCALHOST), request)
            .await
    }

    /// Sends a request from an address.
    pub(crate) async fn send_from(&self, peer: IpAddr, mut request: Request<Body>) -> Told {
        request
            .extensions_mut()
            .insert(Peer(SocketAddr::new(peer, 40_000)));
        if !request.headers().contains_key(header::HOST) {
            request
                .headers_mut()
                .insert(header::HOST, "127.0.0.1:8000".parse().unwrap());
        }
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("a body");
        Told {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).expect("UTF-8"),
        }
    }

    /// A call of the bot contract with its key, unsigned.
    pub(crate) async fn bot(&self, method: &str, target: &str) -> Told {
        self.send(bot_request(method, target, "")).await
    }

    /// A call of the portal contract.
    pub(crate) async fn portal(
        &self,
        key: &str,
        method: &str,
        target: &str,
        body: Option<Value>,
    ) -> Told {
        self.send(portal_request(key, method, target, body)).await
    }

    /// Makes a portal user; returns their key.
    pub(crate) async fn user(&self, name: &str) -> String {
        let made = self
            .portal(
                &self.admin,
                "POST",
                "/users",
                Some(serde_json::json!({ "name": name })),
            )
            .await
            .expect(201);
        made.json()["api_key"].as_str().unwrap().to_owned()
    }

    /// Makes one more key of a user, with less power.
    pub(crate) async fn narrowed(&self, user: &str, scopes: Scopes) -> String {
        let user = self.state.accounts.find_user(user).await.unwrap();
        let new = NewKey {
            scopes,
            expires_at: None,
        };
        let issued = self.state.accounts.issue_key(user.id, new).await.unwrap();
        issued.token.expose().clone()
    }

    /// The body of `POST /agents` for a host of the simulator.
    pub(crate) fn agent_body(&self, host: &str) -> Value {
        let spec = &self.sim.host(host).spec;
        serde_json::json!({
            "name": host,
            "hostname": spec.endpoint.address,
            "port": spec.endpoint.port_or_default(),
            "username": spec.user.as_ref().unwrap().as_str(),
            "private_key": self.sim.demo.login_key_pem.expose(),
            "allow_unknown_hosts": true,
        })
    }

    /// Adds a host of the simulator as an agent; returns its id.
    pub(crate) async fn agent(&self, key: &str, host: &str) -> i64 {
        self.agent_with(key, host, |_| {}).await
    }

    /// The same with a changed body.
    pub(crate) async fn agent_with(
        &self,
        key: &str,
        host: &str,
        change: impl FnOnce(&mut Value),
    ) -> i64 {
        let mut body = self.agent_body(host);
        change(&mut body);
        let made = self.portal(key, "POST", "/agents", Some(body)).await;
        made.expect(201).json()["id"].as_i64().unwrap()
    }

    /// Begins anew with nothing remembered of signatures, as a restarted server does.
    pub(crate) fn forget_signatures(&mut self) {
        self.state.began = self.state.clock.now();
        let fresh = Signatures::new(&self.state.config.bot, self.state.began);
        self.state.signatures = Arc::new(fresh);
        self.router = vmdeck::serve::router(self.state.clone());
    }

    pub(crate) async fn end(self) {
        self.tasks.cancel();
        self.tasks.wait(Duration::from_secs(5)).await;
        self.sim.end().await;
    }
}

async fn bot_profile(profiles: &std::path::Path, sim: &SimFleet) {
    let profile = Profile::create(profiles, &"bot".parse().unwrap())
        .await
        .unwrap();
    let key = profiles.parent().unwrap().join("login-key");
    vmdeck::private_file::write_atomic(&key, sim.demo.login_key_pem.expose().as_bytes()).unwrap();
    for host in &sim.demo.hosts {
        let mut spec = host.spec.clone();
        spec.login = LoginMethod::KeyFile(key.clone());
        profile.upsert_host(spec).await.unwrap();
        profile.pin_key(host.host_key.clone(), true).await.unwrap();
    }
}

pub(crate) fn request(method: &str, target: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(target)
}

pub(crate) fn bot_request(method: &str, target: &str, body: &str) -> Request<Body> {
    request(method, target)
        .header("x-api-key", API_KEY)
        .body(Body::from(body.to_owned()))
        .unwrap()
}

pub(crate) fn portal_request(
    key: &str,
    method: &str,
    target: &str,
    body: Option<Value>,
) -> Request<Body> {
    let made = request(method, target).header("authorization", format!("Bearer {key}"));
    match body {
        None => made.body(Body::empty()).unwrap(),
        Some(body) => made
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap(),
    }
}

/// Signs as the old clients do.
pub(crate) fn signed(method: &str, target: &str, body: &str, timestamp: &str) -> Request<Body> {
    let secret = SecretText::from(HMAC_SECRET.to_owned());
    let signature = signature::sign_old(&secret, body.as_bytes(), timestamp);
    let mut made = bot_request(method, target, body);
    let headers = made.headers_mut();
    headers.insert("x-timestamp", timestamp.parse().unwrap());
    headers.insert("x-signature", signature::hex(&signature).parse().unwrap());
    made
}
