//! The calls of the bot contract.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::json;

use super::gate::{self, Passed};
use super::words::{self, NOT_AVAILABLE, Verb};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HypervisorKind;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::{Operation, Outcome};
use crate::domain::vm::PowerState;
use crate::fleet::FleetHandle;
use crate::serve::act::{self, Order, Until};
use crate::serve::caller::Caller;
use crate::serve::contract::answer::{Answer, echoed};
use crate::serve::contract::{path, reach};
use crate::serve::find::{self, Found, Seen};
use crate::serve::state::ServeState;

/// How long one member of an answer may be waited for; the others are known already.
const GENERATION_WITHIN: Duration = Duration::from_secs(5);

/// `GET /`: what this is, without a key.
pub(super) async fn root(State(state): State<ServeState>) -> Answer {
    let mut endpoints = json!({
        "health": "GET /health",
        "v1": "/v1",
        "users": "/users",
        "agents": "/agents",
    });
    if state.bot.is_some()
        && let Some(endpoints) = endpoints.as_object_mut()
    {
        for (name, call) in [
            ("list", "GET /vm/list"),
            ("state", "GET /vm/{vm_name}/state"),
            ("details", "GET /vm/{vm_name}/details"),
            ("start", "POST /vm/{vm_name}/start"),
            ("shutdown", "POST /vm/{vm_name}/shutdown"),
            ("restart", "POST /vm/{vm_name}/restart"),
            ("history", "GET /vm/history"),
            ("vm_history", "GET /vm/{vm_name}/history"),
        ] {
            endpoints.insert(name.to_owned(), json!(call));
        }
    }
    Answer::ok(&json!({
        "service": "vmdeck",
        "version": crate::serve::API_VERSION,
        "status": "running",
        "endpoints": endpoints,
    }))
}

/// `GET /health`: the same for both contracts.
pub(super) async fn health() -> Answer {
    Answer::ok(&json!({"status": "ok"}))
}

/// `GET /vm/list`
pub(super) async fn list(State(state): State<ServeState>, request: Request) -> Answer {
    answer(names(&state, request).await)
}

/// `GET /vm/{vm_name}/state`
pub(super) async fn state(State(state): State<ServeState>, request: Request) -> Answer {
    answer(read_state(&state, request).await)
}

/// `GET /vm/{vm_name}/details`
pub(super) async fn details(State(state): State<ServeState>, request: Request) -> Answer {
    answer(read_details(&state, request).await)
}

/// `POST /vm/{vm_name}/start`, `/shutdown`, `/restart`
pub(super) async fn act(state: ServeState, request: Request, verb: Verb) -> Answer {
    let passed = match gate::pass(&state, request).await {
        Ok(passed) => passed,
        Err(refused) => return refused,
    };
    let Passed {
        caller,
        parts,
        once,
        place,
    } = passed;
    let inner = state.clone();
    let work = async move { answer(power(&inner, &caller, &parts, verb).await) };
    let answer = gate::once(&state, once, work).await;
    drop(place);
    answer
}

/// An answer either way.
pub(super) fn answer(made: Result<Answer, Answer>) -> Answer {
    made.unwrap_or_else(|refused| refused)
}

/// Tells of a failure; what the hypervisor or the account on it refused is the contract's 500.
pub(super) fn failed(failure: &Failure) -> Answer {
    let mut failure = failure.clone();
    if matches!(failure.kind, ErrorKind::Permission | ErrorKind::Protocol) {
        failure.kind = ErrorKind::Remote;
    }
    Answer::failure(&failure)
}

async fn names(state: &ServeState, request: Request) -> Result<Answer, Answer> {
    let passed = gate::pass(state, request).await?;
    let fleet = fleet(state, &passed.caller).await?;
    let caller = &passed.caller;
    let seen = reach::heard_of(state, caller, &fleet, |host| caller.sees(&host.spec)).await;
    let hosts: Vec<_> = passed
        .caller
        .hosts(&seen)
        .filter(|host| host.spec.enabled)
        .collect();
    // No host that ever said anything: an empty list would be a lie.
    if !hosts.is_empty() && hosts.iter().all(|host| host.inventory.is_none()) {
        let why = hosts.iter().find_map(|host| reach::silence(host));
        return Err(failed(&why.unwrap_or_else(|| {
            Failure::new(ErrorKind::Timeout, "no host has answered yet")
        })));
    }
    let names: Vec<&str> = hosts
        .iter()
        .flat_map(|host| host.vms())
        .map(|vm| vm.name.raw())
        .collect();
    Ok(Answer::ok(&json!({ "vms": names })))
}

#[derive(Serialize)]
struct StateOf<'a> {
    vm_name: &'a str,
    state: &'static str,
}

async fn read_state(state: &ServeState, request: Request) -> Result<Answer, Answer> {
    let passed = gate::pass(state, request).await?;
    let (_, seen) = vm(state, &passed.caller, &passed.parts).await?;
    Ok(Answer::ok(&StateOf {
        vm_name: seen.vm.name.raw(),
        state: words::state(&seen.vm.state),
    }))
}

#[derive(Serialize)]
struct Details<'a> {
    vm_name: &'a str,
    state: &'static str,
    cpu: String,
    cpu_usage: String,
    memory: String,
    memory_demand: String,
    uptime: String,
    generation: serde_json::Value,
    ip_address: String,
}

async fn read_details(state: &ServeState, request: Request) -> Result<Answer, Answer> {
    let passed = gate::pass(state, request).await?;
    let (fleet, seen) = vm(state, &passed.caller, &passed.parts).await?;
    let generation = generation(state, &passed.caller, &fleet, &seen).await;
    let vm = &seen.vm;
    let off = matches!(vm.state, PowerState::Stopped | PowerState::Saved);
    let usage = vm.stats.cpu.map(|cpu| format!("{cpu}%"));
    let address = vm.facts.addresses.as_ref().and_then(|all| all.first());
    Ok(Answer::ok(&Details {
        vm_name: vm.name.raw(),
        state: words::state(&vm.state),
        cpu: words::cores(vm.stats.vcpus),
        cpu_usage: usage.unwrap_or_else(|| if off { "0%" } else { NOT_AVAILABLE }.to_owned()),
        memory: words::gigabytes(vm.stats.memory_assigned),
        memory_demand: words::gigabytes(vm.stats.memory_used),
        uptime: if off {
            words::time_span(Some(Duration::ZERO))
        } else {
            words::time_span(vm.stats.uptime)
        },
        generation,
        ip_address: address.map_or_else(|| NOT_AVAILABLE.to_owned(), |found| found.ip.to_string()),
    }))
}

/// The generation of a VM of Hyper-V, as the number it is there; it is read from the host. Other
/// hypervisors have none.
async fn generation(
    state: &ServeState,
    caller: &Caller,
    fleet: &FleetHandle,
    seen: &Seen,
) -> serde_json::Value {
    let kind = seen.host.capabilities.as_ref().map(|able| able.kind);
    if kind != Some(HypervisorKind::HyperV) {
        return json!(NOT_AVAILABLE);
    }
    let Some(_place) = reach::place(state, caller, Some(&seen.host)) else {
        return json!(NOT_AVAILABLE);
    };
    let read = tokio::time::timeout(GENERATION_WITHIN, fleet.detail(seen.id())).await;
    let detail = read.ok().and_then(Result::ok);
    let number = detail.and_then(|detail| {
        let found = detail
            .properties
            .iter()
            .find(|one| one.name == "generation");
        found?.value.raw().parse::<u32>().ok()
    });
    number.map_or_else(|| json!(NOT_AVAILABLE), |number| json!(number))
}

#[derive(Serialize)]
struct Done<'a> {
    vm: &'a str,
    action: &'static str,
    output: String,
    status: &'static str,
}

async fn power(
    state: &ServeState,
    caller: &Caller,
    parts: &Parts,
    verb: Verb,
) -> Result<Answer, Answer> {
    let (fleet, mut seen) = vm(state, caller, parts).await?;
    let kind = verb.kind();
    let is_needless = |state: &PowerState| verb.is_done(state) || !kind.fits(state);
    if is_needless(&seen.vm.state) {
        seen = reach::looked_at_again(state, caller, &fleet, seen, is_needless).await;
    }
    let name = seen.vm.name.raw();
    let success = |output: String| {
        Answer::ok(&Done {
            vm: name,
            action: verb.word(),
            output,
            status: "success",
        })
    };
    if verb.is_done(&seen.vm.state) {
        caller
            .may_act(kind, &seen.host.spec)
            .map_err(|failure| failed(&failure))?;
        let now = words::state(&seen.vm.state);
        return Ok(success(format!(
            "{} is already {now}; nothing was sent",
            seen.vm.name
        )));
    }
    let order = Order {
        vm: seen.id(),
        action: kind.into(),
        count: 1,
        named: true,
        until: Until::Done,
        wait: patience(state),
    };
    let operation = act::act_next(state, &fleet, caller, &order).await;
    let operation = operation.map_err(|failure| failed(&failure))?;
    outcome(&operation)
        .map(success)
        .map_err(|failure| failed(&failure))
}

/// How long an action is waited for: what is not over by then is told as taken.
fn patience(state: &ServeState) -> Duration {
    let whole = state.config.limit.request_time;
    whole.saturating_sub(whole / 6)
}

/// Says how an operation stands, as the old system's `output`.
fn outcome(operation: &Operation) -> Result<String, Failure> {
    let name = &operation.plan.vm_name;
    let spec = operation.plan.action.kind.spec();
    match &operation.outcome {
        Some(Outcome::Confirmed) => Ok(match &operation.state_after {
            Some(state) => format!("{name} was {}; it is {}", spec.past, words::state(state)),
            None => format!("{name} was {}", spec.past),
        }),
        Some(Outcome::Accepted { note }) => Ok(format!("the hypervisor has taken it: {note}")),
        None if operation.phase == crate::domain::operation::Phase::Verifying => Ok(format!(
            "the hypervisor has taken it; {name} is still {}",
            spec.doing
        )),
        None => Err(Failure::new(
            ErrorKind::Timeout,
            format!("{} has not answered in time", operation.plan.host_name),
        )),
        Some(Outcome::Refused { cause } | Outcome::Failed { cause }) => Err(cause.clone()),
        Some(Outcome::Unknown { cause }) => Err(Failure {
            kind: ErrorKind::Timeout,
            ..cause.clone()
        }),
    }
}

/// Returns the fleet of the contract's profile.
pub(super) async fn fleet(state: &ServeState, caller: &Caller) -> Result<FleetHandle, Answer> {
    let opened = caller.fleet(&state.tenants).await;
    opened.map_err(|failure| failed(&failure))
}

/// The VM that a request names, on a host that answers.
async fn vm(
    state: &ServeState,
    caller: &Caller,
    parts: &Parts,
) -> Result<(FleetHandle, Seen), Answer> {
    let fleet = fleet(state, caller).await?;
    let (name, host) = named(parts)?;
    let seen = choose(state, caller, &fleet, (&name, host.as_deref())).await?;
    match reach::silence(&seen.host) {
        Some(silent) => Err(failed(&silent)),
        None => Ok((fleet, seen)),
    }
}

/// The name and, where given, the host that a request is about.
pub(super) fn named(parts: &Parts) -> Result<(String, Option<String>), Answer> {
    let wrong = |_| Answer::detail(StatusCode::BAD_REQUEST, "the path or query cannot be read");
    let name = path::segment(parts.uri.path(), 1).map_err(wrong)?;
    let hosts = path::query(parts.uri.query(), "host").map_err(wrong)?;
    match <[String; 1]>::try_from(hosts) {
        Ok([host]) => Ok((name, Some(host).filter(|host| !host.is_empty()))),
        Err(none) if none.is_empty() => Ok((name, None)),
        Err(_several) => Err(Answer::detail(
            StatusCode::BAD_REQUEST,
            "`host` is given more than once",
        )),
    }
}

/// Finds the one VM of a name. A host that was never heard of is waited for only when nobody else has
/// the name.
pub(super) async fn choose(
    state: &ServeState,
    caller: &Caller,
    fleet: &FleetHandle,
    (name, host): (&str, Option<&str>),
) -> Result<Seen, Answer> {
    let at_once = find::by_name(&fleet.snapshot(), caller, name, host);
    let found = match at_once {
        Found::None { .. } => {
            let asked = |one: &crate::domain::inventory::HostSnapshot| {
                caller.sees(&one.spec) && host.is_none_or(|host| one.spec.name.as_str() == host)
            };
            let seen = reach::heard_of(state, caller, fleet, asked).await;
            match find::by_name(&seen, caller, name, host) {
                Found::None { available } => {
                    return Err(missing(&seen, caller, name, host, &available));
                }
                found => found,
            }
        }
        found => found,
    };
    match found {
        Found::One(seen) => Ok(seen),
        Found::Several(all) => Err(ambiguous(name, &all)),
        Found::None { available } => Err(not_found(name, &available)),
    }
}

/// A VM that nobody has; when a host that might have it does not answer, that is the answer.
fn missing(
    seen: &Arc<FleetSnapshot>,
    caller: &Caller,
    name: &str,
    host: Option<&str>,
    available: &[String],
) -> Answer {
    let silent = caller
        .hosts(seen)
        .filter(|one| one.spec.enabled && host.is_none_or(|host| one.spec.name.as_str() == host))
        .filter(|one| one.inventory.is_none())
        .find_map(|one| reach::silence(one));
    match silent {
        Some(silent) => failed(&silent),
        None => not_found(name, available),
    }
}

fn not_found(name: &str, available: &[String]) -> Answer {
    let text = format!(
        "VM '{}' not found. Available VMs: {}",
        echoed(name),
        available.join(", ")
    );
    Answer::detail(StatusCode::NOT_FOUND, &text)
}

fn ambiguous(name: &str, all: &[Seen]) -> Answer {
    let mut labels: Vec<String> = all.iter().map(Seen::label).collect();
    labels.sort();
    labels.dedup();
    // Hyper-V allows two VMs of one name on a host: then only the id tells them apart.
    if labels.len() < all.len() {
        labels = all
            .iter()
            .map(|one| format!("{}/{}", one.host.spec.name, one.vm.id))
            .collect();
    }
    let text = format!(
        "VM '{}' is on several hosts; name one with ?host=: {}",
        echoed(name),
        labels.join(", ")
    );
    Answer::json(
        StatusCode::CONFLICT,
        &json!({ "detail": text, "candidates": labels }),
    )
}
