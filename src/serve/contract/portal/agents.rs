//! Agents of the portal contract: a host of the user's profile with a sealed key of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;

use super::body::Body;
use super::gate::{self, Tenant};
use super::key_gate;
use crate::accounts::{Agent, Permission};
use crate::domain::credential::{CredentialName, CredentialSecret};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{Endpoint, HostId, HostName, HostSpec, LoginMethod, UserName};
use crate::domain::secret::SecretText;
use crate::fleet::FleetHandle;
use crate::serve::client_address::{AddressList, Peer};
use crate::serve::contract::answer::Answer;
use crate::serve::dial_guard;
use crate::serve::note::Change;
use crate::serve::state::ServeState;

/// How long a definition may take to show in the fleet.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// How long an agent that is to be removed may go on with what is under way; then it stays, with 409.
const ENDED_WITHIN: Duration = Duration::from_secs(20);

#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    name: &'a str,
    hostname: &'a str,
    port: u16,
    username: &'a str,
    allow_unknown_hosts: bool,
    known_hosts_path: Option<&'a str>,
    created_at: String,
}

fn shown<'a>(agent: &'a Agent, spec: &'a HostSpec) -> Shown<'a> {
    Shown {
        id: agent.id,
        name: spec.name.as_str(),
        hostname: &spec.endpoint.address,
        port: spec.endpoint.port_or_default(),
        username: spec.user.as_ref().map_or("", UserName::as_str),
        allow_unknown_hosts: spec.accept_new_host_key,
        known_hosts_path: agent.known_hosts_path.as_deref(),
        created_at: agent.created_at.to_string(),
    }
}

macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident => $inner:ident;)*) => {
        $($(#[$doc])*
        pub(super) async fn $name(State(state): State<ServeState>, request: Request) -> Answer {
            match Tenant::enter(state, request).await {
                Ok(tenant) => $inner(&tenant).await.unwrap_or_else(|refused| refused),
                Err(refused) => refused,
            }
        })*
    };
}

handlers! {
    /// `GET /agents`
    list => read_all;
    /// `POST /agents`
    add => make;
    /// `GET /agents/{id}`
    show => read_one;
    /// `GET /agents/{id}/credentials`
    credentials => export;
    /// `PATCH /agents/{id}`
    change => patch;
    /// `DELETE /agents/{id}`
    remove => forget;
}

async fn read_all(tenant: &Tenant) -> Result<Answer, Answer> {
    let accounts = &tenant.state.accounts;
    let fleet = tenant.fleet().await?.snapshot();
    let known = accounts.agents(tenant.user).await;
    let mut agents = known.map_err(|error| gate::failed(&error))?;
    // Hosts that came in by another door get their number here.
    for host in tenant.caller.hosts(&fleet) {
        if !agents.iter().any(|agent| agent.host == host.spec.id) {
            let numbered = accounts
                .add_agent(tenant.user, host.spec.id, None, None)
                .await;
            agents.push(numbered.map_err(|error| gate::failed(&error))?);
        }
    }
    agents.sort_by_key(|agent| agent.id);
    let all: Vec<Shown<'_>> = agents
        .iter()
        .filter_map(|agent| {
            let host = fleet.host(agent.host)?;
            tenant
                .caller
                .sees(&host.spec)
                .then(|| shown(agent, &host.spec))
        })
        .collect();
    Ok(Answer::ok(&all))
}

async fn read_one(tenant: &Tenant) -> Result<Answer, Answer> {
    let agent = tenant.agent().await?;
    let spec = spec_of(&tenant.fleet().await?, &agent)?;
    Ok(Answer::ok(&shown(&agent, &spec)))
}

/// The definition behind a number; a host that was removed by another door takes its number along.
fn spec_of(fleet: &FleetHandle, agent: &Agent) -> Result<Arc<HostSpec>, Answer> {
    let state = fleet.snapshot();
    let host = state.host(agent.host).ok_or_else(gate::no_agent)?;
    Ok(Arc::clone(&host.spec))
}

/// What a body says about an agent; `None` = not sent.
#[derive(Debug, Default)]
struct Wanted {
    name: Option<HostName>,
    hostname: Option<String>,
    port: Option<u16>,
    username: Option<UserName>,
    private_key: Option<SecretText>,
    passphrase: Option<SecretText>,
    allow_unknown_hosts: Option<bool>,
    known_hosts_path: Option<String>,
}

/// Reads a body; `all` = what a new agent needs has to be there.
async fn read(tenant: &Tenant, all: bool) -> Result<Wanted, Answer> {
    let mut body = tenant.json()?;
    let text = |body: &mut Body, name: &str, most: usize| {
        if all {
            body.required(name, 1, most)
        } else {
            body.text(name, 1, most)
        }
    };
    let name = text(&mut body, "name", 100).map(|name| name.trim().to_owned());
    let hostname = text(&mut body, "hostname", 255).map(|name| name.trim().to_owned());
    let port = body.port("port");
    let username = text(&mut body, "username", 64);
    let private_key = if all {
        body.required("private_key", 40, key_gate::MAX_BYTES)
            .map(SecretText::new)
    } else {
        body.secret("private_key", 40, key_gate::MAX_BYTES)
    };
    let passphrase = body.secret("private_key_passphrase", 0, 255);
    let allow_unknown_hosts = body.switch("allow_unknown_hosts");
    let known_hosts_path = body.text("known_hosts_path", 0, 1024);
    body.checked()?;
    let name = name.and_then(|name| {
        let read = name.parse::<HostName>();
        read.map_err(|why| body.refuse("name", &why.to_string()))
            .ok()
    });
    let username = username.and_then(|name| {
        let read = name.parse::<UserName>();
        read.map_err(|why| body.refuse("username", &why.to_string()))
            .ok()
    });
    if let Some(hostname) = &hostname {
        let plain = hostname
            .parse::<Endpoint>()
            .is_ok_and(|read| read.address == *hostname && read.port.is_none());
        if plain {
            let endpoint = Endpoint::new(hostname, port.unwrap_or(Endpoint::DEFAULT_PORT));
            if let Err(refused) = dial_guard::judge(&tenant.state, &endpoint).await {
                body.refuse("hostname", &refused.to_string());
            }
        } else {
            body.refuse(
                "hostname",
                "a hostname is a name or an address, without a port",
            );
        }
    }
    if let Some(objection) = private_key
        .as_ref()
        .and_then(|key| key_gate::objection(key.expose()))
    {
        body.refuse("private_key", objection);
    }
    body.checked()?;
    Ok(Wanted {
        name,
        hostname,
        port,
        username,
        private_key,
        passphrase,
        allow_unknown_hosts,
        known_hosts_path,
    })
}

async fn make(tenant: &Tenant) -> Result<Answer, Answer> {
    tenant.may(Permission::Manage)?;
    let wanted = read(tenant, true).await?;
    let fleet = tenant.fleet().await?;
    dial_budget(tenant)?;
    let (Some(name), Some(hostname), Some(username), Some(key)) = (
        wanted.name,
        wanted.hostname,
        wanted.username,
        wanted.private_key,
    ) else {
        return Err(Answer::detail(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the body is incomplete",
        ));
    };
    refuse_twice(&fleet, &name, None)?;
    let more = tenant
        .state
        .limits
        .one_more_host(fleet.snapshot().hosts.len());
    more.map_err(|failure| Answer::failure(&failure))?;
    let endpoint = Endpoint::new(hostname, wanted.port.unwrap_or(Endpoint::DEFAULT_PORT));
    let credential = seal(tenant, key, wanted.passphrase).await?;
    let spec = HostSpec {
        user: Some(username),
        login: LoginMethod::Credential(credential.clone()),
        accept_new_host_key: wanted.allow_unknown_hosts.unwrap_or(false),
        ..HostSpec::new(name, endpoint)
    };
    let host = match fleet.upsert_host(spec).await {
        Ok(host) => host,
        Err(failure) => {
            unseal(tenant, &credential).await;
            return Err(Answer::failure(&failure));
        }
    };
    let path = wanted.known_hosts_path.filter(|path| !path.is_empty());
    let numbered = tenant
        .state
        .accounts
        .add_agent(tenant.user, host, path, None)
        .await;
    let agent = numbered.map_err(|error| gate::failed(&error))?;
    let spec = shown_spec(&fleet, host, |_| true)
        .await
        .ok_or_else(gate::no_agent)?;
    Ok(Answer::json(StatusCode::CREATED, &shown(&agent, &spec)))
}

fn dial_budget(tenant: &Tenant) -> Result<(), Answer> {
    tenant
        .state
        .limits
        .admit_dial(tenant.user)
        .map_err(|seconds| {
            let text = "too many new addresses in a short time";
            Answer::detail(StatusCode::TOO_MANY_REQUESTS, text).retry_after(seconds)
        })
}

fn refuse_twice(fleet: &FleetHandle, name: &HostName, but: Option<HostId>) -> Result<(), Answer> {
    let state = fleet.snapshot();
    let twice = state
        .hosts
        .iter()
        .any(|host| host.spec.name == *name && Some(host.spec.id) != but);
    if twice {
        let text = format!("there is an agent called '{name}' already");
        return Err(Answer::detail(StatusCode::CONFLICT, &text));
    }
    Ok(())
}

/// Waits until the fleet shows a definition.
async fn shown_spec(
    fleet: &FleetHandle,
    host: HostId,
    is: impl Fn(&HostSpec) -> bool,
) -> Option<Arc<HostSpec>> {
    let there = fleet.wait_until(|state| state.host(host).is_some_and(|host| is(&host.spec)));
    let state = tokio::time::timeout(SHOWN_WITHIN, there)
        .await
        .ok()
        .flatten();
    let state = state.unwrap_or_else(|| fleet.snapshot());
    state.host(host).map(|host| Arc::clone(&host.spec))
}

/// Seals a key under a name of its own.
async fn seal(
    tenant: &Tenant,
    pem: SecretText,
    passphrase: Option<SecretText>,
) -> Result<CredentialName, Answer> {
    let name: CredentialName = format!("agent-{:016x}", rand::random::<u64>())
        .parse()
        .map_err(|error: crate::domain::credential::CredentialNameError| {
            Answer::failure(&Failure::new(ErrorKind::Internal, error.to_string()))
        })?;
    let there = tenant.fleet().await?.credentials().await;
    let there = there.map_err(|failure| Answer::failure(&failure))?.len();
    let more = tenant.state.limits.one_more_credential(there);
    more.map_err(|failure| Answer::failure(&failure))?;
    put(tenant, &name, pem, passphrase).await?;
    Ok(name)
}

async fn put(
    tenant: &Tenant,
    name: &CredentialName,
    pem: SecretText,
    passphrase: Option<SecretText>,
) -> Result<(), Answer> {
    let secret = CredentialSecret::PrivateKey {
        pem,
        passphrase: passphrase.filter(|text| !text.expose().is_empty()),
        certificate: None,
    };
    let change = Change {
        action: "credential-set",
        about: &format!("credential {name}"),
    };
    tenant.note(&change).await?;
    let fleets = tenant.state.tenants.fleets();
    let sealed = fleets
        .keep_credential(&tenant.caller.profile, name, secret)
        .await;
    if let Err(failure) = &sealed {
        tenant.note_failed(&change, failure).await;
    }
    match sealed {
        Ok(_) => Ok(()),
        Err(failure) if failure.kind == ErrorKind::Usage => {
            let mut body = tenant.json()?;
            body.refuse("private_key", &failure.message);
            Err(body
                .checked()
                .err()
                .unwrap_or_else(|| Answer::failure(&failure)))
        }
        Err(failure) => Err(Answer::failure(&failure)),
    }
}

async fn unseal(tenant: &Tenant, name: &CredentialName) {
    let change = Change {
        action: "credential-removed",
        about: &format!("credential {name}"),
    };
    if tenant.note(&change).await.is_err() {
        tracing::warn!(credential = %name, "a credential that nobody uses was left behind: its end could not be recorded");
        return;
    }
    let fleets = tenant.state.tenants.fleets();
    if let Err(failure) = fleets.remove_credential(&tenant.caller.profile, name).await {
        tenant.note_failed(&change, &failure).await;
        tracing::warn!(%failure, credential = %name, "a credential that nobody uses was left behind");
    }
}

/// The credential that an agent logs in with, opened.
async fn open(
    tenant: &Tenant,
    spec: &HostSpec,
) -> Result<(SecretText, Option<SecretText>), Answer> {
    let none = || {
        let text = "this agent logs in with a key that the server does not hold";
        Answer::detail(StatusCode::CONFLICT, text)
    };
    let LoginMethod::Credential(name) = &spec.login else {
        return Err(none());
    };
    let fleets = tenant.state.tenants.fleets();
    let opened = fleets.export_credential(&tenant.caller.profile, name).await;
    match opened.map_err(|failure| Answer::failure(&failure))? {
        CredentialSecret::PrivateKey {
            pem, passphrase, ..
        } => Ok((pem, passphrase)),
        CredentialSecret::Password(_) => Err(none()),
    }
}

async fn patch(tenant: &Tenant) -> Result<Answer, Answer> {
    tenant.may(Permission::Manage)?;
    let agent = tenant.agent().await?;
    let wanted = read(tenant, false).await?;
    let fleet = tenant.fleet().await?;
    let before = spec_of(&fleet, &agent)?;
    let mut spec = HostSpec::clone(&before);
    if let Some(name) = wanted.name {
        refuse_twice(&fleet, &name, Some(agent.host))?;
        spec.name = name;
    }
    if let Some(hostname) = wanted.hostname {
        spec.endpoint.address = hostname;
    }
    if let Some(port) = wanted.port {
        spec.endpoint.port = Some(port);
    }
    spec.user = wanted.username.or(spec.user);
    if let Some(on) = wanted.allow_unknown_hosts {
        spec.accept_new_host_key = on;
    }
    if spec.endpoint != before.endpoint {
        dial_budget(tenant)?;
    }
    let rekeyed = wanted.private_key.is_some() || wanted.passphrase.is_some();
    if rekeyed {
        rekey(tenant, &mut spec, (wanted.private_key, wanted.passphrase)).await?;
    }
    let redefined = spec != *before;
    if redefined {
        let changed = fleet.upsert_host(spec.clone()).await;
        changed.map_err(|failure| Answer::failure(&failure))?;
    } else if rekeyed {
        again(&fleet, agent.host).await?;
    }
    let mut agent = agent;
    if let Some(path) = wanted.known_hosts_path {
        let path = Some(path).filter(|path| !path.is_empty());
        let accounts = &tenant.state.accounts;
        let kept = accounts
            .set_known_hosts_path(tenant.user, agent.id, path.clone())
            .await;
        kept.map_err(|error| gate::failed(&error))?;
        agent.known_hosts_path = path;
    }
    let spec = shown_spec(&fleet, agent.host, |shown| *shown == spec).await;
    let spec = spec.ok_or_else(gate::no_agent)?;
    Ok(Answer::ok(&shown(&agent, &spec)))
}

/// Exchanges the key, the passphrase, or both; what is not named stays.
async fn rekey(
    tenant: &Tenant,
    spec: &mut HostSpec,
    (key, passphrase): (Option<SecretText>, Option<SecretText>),
) -> Result<(), Answer> {
    let (key, passphrase) = match (key, passphrase) {
        (Some(key), Some(passphrase)) => (key, Some(passphrase)),
        (Some(key), None) => {
            let kept = match &spec.login {
                LoginMethod::Credential(_) => open(tenant, spec).await?.1,
                _ => None,
            };
            (key, kept)
        }
        (None, passphrase) => (open(tenant, spec).await?.0, passphrase),
    };
    if let LoginMethod::Credential(name) = &spec.login {
        return put(tenant, name, key, passphrase).await;
    }
    spec.login = LoginMethod::Credential(seal(tenant, key, passphrase).await?);
    Ok(())
}

/// Logs in anew, with what is sealed now.
async fn again(fleet: &FleetHandle, host: HostId) -> Result<(), Answer> {
    use crate::fleet::request::HostSelection;
    let ended = fleet.disconnect(host).await;
    ended.map_err(|failure| Answer::failure(&failure))?;
    let begun = fleet.connect(HostSelection::Only(vec![host])).await;
    begun.map_err(|failure| Answer::failure(&failure))
}

async fn forget(tenant: &Tenant) -> Result<Answer, Answer> {
    tenant.may(Permission::Manage)?;
    let agent = tenant.agent().await?;
    let fleet = tenant.fleet().await?;
    let spec = spec_of(&fleet, &agent)?;
    // The contract knows 204 and 404 only: what is under way on the host ends first.
    let idle = fleet.wait_until(|state| {
        let mut operations = state.operations.iter();
        operations.all(|one| one.plan.vm.host != agent.host || one.is_finished())
    });
    drop(tokio::time::timeout(ENDED_WITHIN, idle).await);
    let removed = fleet.remove_host(agent.host).await;
    removed.map_err(|failure| Answer::failure(&failure))?;
    let forgotten = tenant
        .state
        .accounts
        .remove_agent(tenant.user, agent.id)
        .await;
    forgotten.map_err(|error| gate::failed(&error))?;
    if let LoginMethod::Credential(name) = &spec.login {
        let used = fleet
            .snapshot()
            .hosts
            .iter()
            .any(|host| host.spec.id != agent.host && host.spec.login == spec.login);
        if !used {
            unseal(tenant, name).await;
        }
    }
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

#[derive(Serialize)]
struct Exported<'a> {
    #[serde(flatten)]
    agent: Shown<'a>,
    private_key: &'a str,
    private_key_passphrase: Option<&'a str>,
}

async fn export(tenant: &Tenant) -> Result<Answer, Answer> {
    let agent = tenant.agent().await?;
    if !tenant.state.config.compat.credential_export {
        let text = "private keys are not given out: `serve.compat.credential_export` is off";
        return Err(Answer::detail(StatusCode::FORBIDDEN, text));
    }
    tenant.may(Permission::Export)?;
    if is_readable_on_the_way(tenant) {
        let text = "private keys are given out over TLS or loopback only";
        return Err(Answer::detail(StatusCode::FORBIDDEN, text));
    }
    let spec = spec_of(&tenant.fleet().await?, &agent)?;
    // Recorded before anything is opened: an export nobody can read about does not happen.
    tracing::warn!(user = tenant.user, agent = agent.id, key = %tenant.caller.key_id, "a private key is given out");
    let change = Change {
        action: "credential-exported",
        about: &format!("{} ({})", spec.name, spec.endpoint),
    };
    tenant.note(&change).await?;
    let (key, passphrase) = open(tenant, &spec).await?;
    Ok(Answer::ok(&Exported {
        agent: shown(&agent, &spec),
        private_key: key.expose(),
        private_key_passphrase: passphrase.as_ref().map(|text| text.expose().as_str()),
    }))
}

/// Tells whether others than client, proxy and server could read the answer.
fn is_readable_on_the_way(tenant: &Tenant) -> bool {
    let peer = tenant
        .parts
        .extensions
        .get::<Peer>()
        .map(|peer| peer.0.ip());
    let trusted = AddressList::new(tenant.state.config.trusted_proxies.clone());
    let near = |peer: IpAddr| peer.to_canonical().is_loopback() || trusted.contains(peer);
    tenant.state.plaintext && peer.is_some_and(|peer| !near(peer))
}
