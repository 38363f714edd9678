//! A request to `/v1` with who asks: what every handler begins with.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use jiff::Timestamp;

use super::answer::{self, Refusal, Shape};
use super::query::ListQuery;
use super::shared::Shared;
use crate::accounts::Permission;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::health::HostHealth;
use crate::domain::host::HostSpec;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::fleet::FleetHandle;
use crate::serve::caller::Caller;
use crate::serve::error::Problem;
use crate::serve::find::{self, Found, Seen};
use crate::serve::limit::HostPlace;
use crate::serve::state::ServeState;

/// How long a list waits for a host that has only just been dialled.
const FIRST_READ: Duration = Duration::from_secs(3);

/// How long a request about one host waits for it, when it has only just been dialled.
const ONE_HOST: Duration = Duration::from_secs(10);

/// A request with who asks.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) state: ServeState,
    pub(super) caller: Caller,
    pub(super) shared: Arc<Shared>,
    pub(super) headers: HeaderMap,
    pub(super) method: Method,
    pub(super) uri: Uri,
}

impl FromRequestParts<ServeState> for Asking {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ServeState,
    ) -> Result<Self, Self::Rejection> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let shared = parts.extensions.get::<Arc<Shared>>().map(Arc::clone);
        let (Some(caller), Some(shared)) = (caller, shared) else {
            // A route outside the layer that authenticates: nobody gets in there.
            return Err(Failure::new(ErrorKind::Internal, "nobody was identified").into());
        };
        Ok(Self {
            state: state.clone(),
            caller,
            shared,
            headers: parts.headers.clone(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
        })
    }
}

/// A request about one host that the caller sees. With `MANAGES` it is first asked whether they may
/// change hosts: who may not is told that, and nothing of the host.
pub(super) struct OnHost<const MANAGES: bool> {
    pub(super) asking: Asking,
    pub(super) fleet: FleetHandle,
    pub(super) host: Arc<HostSnapshot>,
}

/// Looking at a host.
pub(super) type Seeing = OnHost<false>;

/// Changing a host.
pub(super) type Managing = OnHost<true>;

impl<const MANAGES: bool> FromRequestParts<ServeState> for OnHost<MANAGES> {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ServeState,
    ) -> Result<Self, Self::Rejection> {
        let asking = Asking::from_request_parts(parts, state).await?;
        let Path(name) = Path::<String>::from_request_parts(parts, state).await?;
        if MANAGES {
            asking.caller.may(Permission::Manage)?;
        }
        let fleet = asking.fleet().await?;
        let host = asking.host(&fleet.snapshot(), &name)?;
        Ok(Self {
            asking,
            fleet,
            host,
        })
    }
}

/// Returns true while a host that was only just dialled may still say what it has.
fn is_starting(host: &HostSnapshot, now: Timestamp, patience: Duration) -> bool {
    let dialled = Duration::try_from(now - host.since).unwrap_or_default();
    let on_its_way = match &host.health {
        HostHealth::Connecting { attempt, .. } => *attempt <= 1,
        HostHealth::Online | HostHealth::Degraded { .. } => {
            host.inventory.is_none() || host.from_cache
        }
        // Every session begins so; it is on its way a moment later.
        HostHealth::Disabled => host.spec.enabled,
        HostHealth::Offline { .. } | HostHealth::NeedsOperator { .. } => false,
    };
    on_its_way && dialled < patience
}

/// Says why nothing is known of a host.
fn not_read(host: &HostSnapshot) -> Failure {
    host.health.cause().cloned().unwrap_or_else(|| {
        let message = format!("{} has not been read yet", host.spec.name);
        Failure::new(ErrorKind::Timeout, message).with_hint("try again in a moment")
    })
}

/// Says that there are too many already that wait.
pub(super) fn busy(failure: Failure) -> Refusal {
    let problem = Problem {
        hint: failure.hint.map(|hint| hint.0),
        ..Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            failure.kind,
            failure.message,
        )
    };
    problem.retry_after(1).into()
}

impl Asking {
    /// Takes a place among the requests that wait for a host, or for several.
    pub(super) fn wait_for(&self, host: Option<&HostSpec>) -> Result<HostPlace, Refusal> {
        let limits = &self.state.limits;
        limits
            .wait_for_host(&self.caller.profile, host)
            .map_err(busy)
    }

    /// Returns the time.
    pub(super) fn now(&self) -> Timestamp {
        self.state.clock.now()
    }

    /// Returns the caller's fleet.
    pub(super) async fn fleet(&self) -> Result<FleetHandle, Refusal> {
        Ok(self.caller.fleet(&self.state.tenants).await?)
    }

    /// Returns the fleet as it is, once the hosts that were only just dialled have said what they
    /// have. One that hangs is waited for in its first moments only, then no more; and where as many wait
    /// as may, what is known is told at once.
    pub(super) async fn settled(
        &self,
        fleet: &FleetHandle,
        concerned: impl Fn(&HostSnapshot) -> bool,
    ) -> Arc<FleetSnapshot> {
        let state = fleet.snapshot();
        let now = self.now();
        let mut starting = state
            .hosts
            .iter()
            .filter(|host| concerned(host) && is_starting(host, now, FIRST_READ));
        let one = match (starting.next(), starting.next()) {
            (None, _) => return state,
            (Some(one), None) => Some(&*one.spec),
            (Some(_), Some(_)) => None,
        };
        let limits = &self.state.limits;
        let Ok(_place) = limits.wait_for_host(&self.caller.profile, one) else {
            return state;
        };
        self.settle(fleet, FIRST_READ, &concerned).await
    }

    /// The same for one host, which may take longer.
    async fn settle_one(
        &self,
        fleet: &FleetHandle,
        host: &str,
    ) -> Result<Arc<FleetSnapshot>, Refusal> {
        let state = fleet.snapshot();
        let is = |known: &HostSnapshot| known.spec.name.as_str() == host;
        let now = self.now();
        let on_its_way = state
            .hosts
            .iter()
            .find(|known| is(known) && is_starting(known, now, ONE_HOST))
            .filter(|known| self.caller.sees(&known.spec));
        let Some(known) = on_its_way else {
            return Ok(state);
        };
        let _place = self.wait_for(Some(&known.spec))?;
        Ok(self.settle(fleet, ONE_HOST, is).await)
    }

    async fn settle(
        &self,
        fleet: &FleetHandle,
        patience: Duration,
        concerned: impl Fn(&HostSnapshot) -> bool,
    ) -> Arc<FleetSnapshot> {
        let settled = fleet.wait_until(|state| {
            let now = self.now();
            !state
                .hosts
                .iter()
                .any(|host| concerned(host) && is_starting(host, now, patience))
        });
        tokio::select! {
            biased;
            state = settled => state.unwrap_or_else(|| fleet.snapshot()),
            () = tokio::time::sleep(patience) => fleet.snapshot(),
            () = self.state.stop.cancelled() => fleet.snapshot(),
        }
    }

    /// Finds a VM by its host's name and its id, or its name where that is unique there.
    pub(super) async fn vm(
        &self,
        fleet: &FleetHandle,
        host: &str,
        vm: &str,
    ) -> Result<(Arc<FleetSnapshot>, Seen), Refusal> {
        let state = self.settle_one(fleet, host).await?;
        let known = self.host(&state, host)?;
        if known.inventory.is_none() {
            return Err(not_read(&known).into());
        }
        if let Ok(seen) = find::by_id(&state, &self.caller, host, vm) {
            return Ok((state, seen));
        }
        match find::by_name(&state, &self.caller, vm, Some(host)) {
            Found::One(seen) => Ok((state, seen)),
            Found::Several(several) => {
                let message = format!("{} VMs of {host} have this name", several.len());
                let failure = Failure::new(ErrorKind::Ambiguous, message)
                    .with_hint("use the id in its place");
                let candidates = several.iter().map(|seen| seen.vm.id.to_string()).collect();
                let problem = Problem::from(failure).on(host);
                Err(problem.between(candidates).into())
            }
            Found::None { .. } => {
                let failure = Failure::new(ErrorKind::NotFound, "there is no such VM")
                    .with_hint("`GET /v1/vms?filter=host:NAME` lists those of a host");
                Err(failure.into())
            }
        }
    }

    /// Finds a host that the caller sees.
    pub(super) fn host(
        &self,
        state: &FleetSnapshot,
        name: &str,
    ) -> Result<Arc<HostSnapshot>, Failure> {
        self.caller
            .hosts(state)
            .find(|host| host.spec.name.as_str() == name)
            .map(Arc::clone)
            .ok_or_else(|| Failure::new(ErrorKind::NotFound, "there is no such host"))
    }

    /// Returns how a list of these is to be written.
    pub(super) fn shape<T: utoipa::PartialSchema>(
        &self,
        query: &ListQuery,
    ) -> Result<Shape, Refusal> {
        let members = query.members(answer::members_of::<T>)?;
        Ok(Shape {
            lines: answer::wants_lines(&self.headers),
            members,
            path: without_cursor(&self.uri),
            unread: Vec::new(),
        })
    }

    /// Returns the version of what the caller gets of a fleet. It changes with every publication, and
    /// when a host's word gets too old to act upon.
    pub(super) fn version(&self, state: &FleetSnapshot, now: Timestamp, lines: bool) -> String {
        let flags: Vec<u8> = state
            .hosts
            .iter()
            .map(|host| u8::from(host.is_stale(now)))
            .collect();
        answer::tag(&[
            self.shared.run.as_bytes(),
            self.caller.profile.as_bytes(),
            self.caller.key_id.as_bytes(),
            &state.generation.to_le_bytes(),
            &flags,
            &[u8::from(lines)],
        ])
    }
}

/// Returns the path with its query, the cursor left out.
fn without_cursor(uri: &Uri) -> String {
    let kept: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="))
        .collect();
    if kept.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), kept.join("&"))
    }
}
