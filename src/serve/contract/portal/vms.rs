//! The VMs of an agent: listing, looking at one, and the four verbs.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::dominfo;
use super::gate::{self, Tenant};
use crate::domain::action::ActionKind;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::health::HostHealth;
use crate::domain::host::{HostId, HypervisorKind};
use crate::domain::inventory::HostSnapshot;
use crate::domain::operation::{Operation, Outcome, Phase, Plan};
use crate::domain::vm::Vm;
use crate::fleet::FleetHandle;
use crate::fleet::request::HostSelection;
use crate::serve::act::{self, Order, Until};
use crate::serve::contract::answer::{Answer, echoed};
use crate::serve::contract::{path, reach};
use crate::serve::find::Seen;
use crate::serve::state::ServeState;

/// How long a host has to have been away before a request makes it try again at once.
const AWAY_FOR: Duration = Duration::from_secs(5);

/// Bytes of a text in a command result.
const MAX_SAID: usize = 64 * 1024;

/// A verb of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Start,
    Shutdown,
    ForceStop,
    Reboot,
}

impl Verb {
    /// Returns the word of paths and answers.
    const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Shutdown => "shutdown",
            Self::ForceStop => "force-stop",
            Self::Reboot => "reboot",
        }
    }

    /// Returns the command of virsh it stands for.
    const fn virsh(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Shutdown => "shutdown",
            Self::ForceStop => "destroy",
            Self::Reboot => "reboot",
        }
    }

    /// Returns the cmdlet of Hyper-V's module that does the same.
    const fn cmdlet(self) -> &'static str {
        match self {
            Self::Start => "Start-VM",
            Self::Shutdown | Self::ForceStop => "Stop-VM",
            Self::Reboot => "Restart-VM",
        }
    }

    /// Says how far to wait. virsh comes back when libvirt has done what it does by itself, so that a list asked
    /// for next shows it; what the guest has to do is not waited for.
    const fn until(self) -> Until {
        match self {
            Self::Start | Self::ForceStop => Until::Done,
            Self::Shutdown | Self::Reboot => Until::Accepted,
        }
    }

    const fn kind(self) -> ActionKind {
        match self {
            Self::Start => ActionKind::Start,
            Self::Shutdown => ActionKind::Shutdown,
            Self::ForceStop => ActionKind::ForceOff,
            Self::Reboot => ActionKind::Reboot,
        }
    }
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Information,
    Action(Verb),
}

impl Asks {
    /// Returns the word of `Failed to ... virtual machine`.
    const fn word(self) -> &'static str {
        match self {
            Self::Information => "inspect",
            Self::Action(verb) => verb.word(),
        }
    }
}

/// Names the command for what was not sent by itself: asked as part of another, or not at all.
fn unsent(kind: Option<HypervisorKind>, asks: Asks, vm: &str) -> Vec<String> {
    let words = match (kind, asks) {
        (Some(HypervisorKind::HyperV), Asks::Information) => ["powershell.exe", "Get-VM", "-Id"],
        (Some(HypervisorKind::HyperV), Asks::Action(verb)) => {
            ["powershell.exe", verb.cmdlet(), "-Id"]
        }
        (_, Asks::Information) => ["virsh", "dominfo", "--domain"],
        (_, Asks::Action(verb)) => ["virsh", verb.virsh(), "--domain"],
    };
    words.into_iter().chain([vm]).map(str::to_owned).collect()
}

/// Returns what a host runs, as far as it has said so.
fn kind_of(host: &HostSnapshot) -> Option<HypervisorKind> {
    host.capabilities.as_ref().map(|able| able.kind)
}

/// `GET /agents/{id}/vms`
pub(super) async fn list(State(state): State<ServeState>, request: Request) -> Answer {
    match Tenant::enter(state, request).await {
        Ok(tenant) => names(&tenant).await.unwrap_or_else(|refused| refused),
        Err(refused) => refused,
    }
}

/// `GET /agents/{id}/vms/{vm}`
pub(super) async fn show(State(state): State<ServeState>, request: Request) -> Answer {
    match Tenant::enter(state, request).await {
        Ok(tenant) => information(&tenant).await.unwrap_or_else(|refused| refused),
        Err(refused) => refused,
    }
}

/// `POST .../start`
pub(super) async fn start(State(state): State<ServeState>, request: Request) -> Answer {
    power(state, request, Verb::Start).await
}

/// `POST .../shutdown`
pub(super) async fn shutdown(State(state): State<ServeState>, request: Request) -> Answer {
    power(state, request, Verb::Shutdown).await
}

/// `POST .../force-stop`
pub(super) async fn force_stop(State(state): State<ServeState>, request: Request) -> Answer {
    power(state, request, Verb::ForceStop).await
}

/// `POST .../reboot`
pub(super) async fn reboot(State(state): State<ServeState>, request: Request) -> Answer {
    power(state, request, Verb::Reboot).await
}

async fn power(state: ServeState, request: Request, verb: Verb) -> Answer {
    match Tenant::enter(state, request).await {
        Ok(tenant) => run(&tenant, verb).await.unwrap_or_else(|refused| refused),
        Err(refused) => refused,
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    state: &'static str,
    id: Option<String>,
}

async fn names(tenant: &Tenant) -> Result<Answer, Answer> {
    let agent = tenant.agent().await?;
    let fleet = tenant.fleet().await?;
    let host = answering(tenant, &fleet, agent.host).await?;
    let all: Vec<Listed<'_>> = host
        .vms()
        .iter()
        .map(|vm| Listed {
            name: vm.name.raw(),
            state: dominfo::state(&vm.state),
            id: vm.stats.number.map(|number| number.to_string()),
        })
        .collect();
    Ok(Answer::ok(&all))
}

/// The host of an agent, when it answers. One that has been away for a while tries again at once: the
/// old portal dialled for every request, and its users mend a host and ask again.
async fn answering(
    tenant: &Tenant,
    fleet: &FleetHandle,
    id: HostId,
) -> Result<Arc<HostSnapshot>, Answer> {
    let now = tenant.state.clock.now();
    let state = fleet.snapshot();
    if let Some(host) = state.host(id)
        && matches!(
            host.health,
            HostHealth::Offline { .. } | HostHealth::NeedsOperator { .. }
        )
        && Duration::try_from(now - host.since).unwrap_or_default() >= AWAY_FOR
        && let Some(_place) = reach::place(&tenant.state, &tenant.caller, Some(host))
        && tenant.state.limits.admit_dial(tenant.user).is_ok()
        && fleet.refresh(HostSelection::Only(vec![id])).await.is_ok()
    {
        let since = host.since;
        let settled = fleet.wait_until(|state| {
            state.host(id).is_none_or(|host| {
                host.health.is_up()
                    || (host.since > since && !matches!(host.health, HostHealth::Connecting { .. }))
            })
        });
        // Whatever has become of it by then is the answer.
        drop(tokio::time::timeout(reach::FIRST_WORD, settled).await);
    }
    match reach::host(&tenant.state, &tenant.caller, fleet, id).await {
        Ok(host) => Ok(host),
        Err(failure) if failure.kind == ErrorKind::NotFound => Err(gate::no_agent()),
        Err(failure) => Err(Answer::failure(&failure)),
    }
}

/// What a command led to, in the old portal's shape.
#[derive(Debug, Serialize)]
struct CommandResult {
    command: Vec<String>,
    exit_status: i32,
    stdout: String,
    stderr: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl CommandResult {
    fn new(command: Vec<String>, exit_status: i32, stdout: String, stderr: String) -> Self {
        let (stdout, cut_out) = capped(stdout);
        let (stderr, cut_err) = capped(stderr);
        Self {
            command,
            exit_status,
            stdout,
            stderr,
            truncated: cut_out || cut_err,
        }
    }
}

fn capped(mut text: String) -> (String, bool) {
    let mut end = MAX_SAID;
    if text.len() <= end {
        return (text, false);
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    (text, true)
}

/// Answers 500 as the old portal did when virsh said no.
fn virsh_failed(doing: &str, name: &str, result: &CommandResult) -> Answer {
    let detail = format!("Failed to {doing} virtual machine '{}'", echoed(name));
    Answer::json(
        StatusCode::INTERNAL_SERVER_ERROR,
        &json!({ "detail": detail, "command": result }),
    )
}

/// The VM that the path names. The old portal left looking to virsh, so one that is not there is a
/// failed command.
async fn found(tenant: &Tenant, asks: Asks) -> Result<(FleetHandle, Seen), Answer> {
    let agent = tenant.agent().await?;
    let name = path::segment(tenant.parts.uri.path(), 3).map_err(|_unreadable| {
        Answer::detail(
            StatusCode::BAD_REQUEST,
            "the path holds a name that cannot be read",
        )
    })?;
    let fleet = tenant.fleet().await?;
    let host = answering(tenant, &fleet, agent.host).await?;
    let named: Vec<&Arc<Vm>> = host
        .vms()
        .iter()
        .filter(|vm| vm.name.raw() == name || vm.id.as_str() == name)
        .collect();
    match named.as_slice() {
        [one] => {
            let vm = Arc::clone(one);
            Ok((fleet, Seen { host, vm }))
        }
        [] => {
            let command = unsent(kind_of(&host), asks, &echoed(&name));
            let said = format!(
                "error: there is no virtual machine '{}' on {}; nothing was sent",
                echoed(&name),
                host.spec.name
            );
            let result = CommandResult::new(command, 1, String::new(), said);
            Err(virsh_failed(asks.word(), &name, &result))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|vm| vm.id.as_str()).collect();
            let text = format!(
                "{} virtual machines are called '{}'; name one by its id: {}",
                ids.len(),
                echoed(&name),
                ids.join(", ")
            );
            Err(Answer::detail(StatusCode::CONFLICT, &text))
        }
    }
}

async fn information(tenant: &Tenant) -> Result<Answer, Answer> {
    let (fleet, seen) = found(tenant, Asks::Information).await?;
    let place = tenant
        .state
        .limits
        .wait_for_host(&tenant.caller.profile, Some(&seen.host.spec));
    // This contract knows a host that does not answer, and no server that is busy with one.
    let _place = place.map_err(|failure| {
        on_the_way(&Failure {
            kind: ErrorKind::Timeout,
            ..failure
        })
    })?;
    let detail = fleet.detail(seen.id()).await;
    let detail = detail.map_err(|failure| on_the_way(&failure))?;
    let kind = kind_of(&seen.host);
    let (all, printed) = dominfo::told(&seen.vm, &detail, kind);
    let command = unsent(kind, Asks::Information, seen.vm.id.as_str());
    let raw = CommandResult::new(command, 0, printed, String::new());
    Ok(Answer::ok(
        &json!({ "dominfo": dominfo::object(&all), "raw": raw }),
    ))
}

/// Tells of a failure between us and the hypervisor: 504 when it was silence, else 502.
fn on_the_way(failure: &Failure) -> Answer {
    let mut failure = failure.clone();
    if !matches!(
        failure.kind,
        ErrorKind::Timeout
            | ErrorKind::NotFound
            | ErrorKind::Locked
            | ErrorKind::Store
            | ErrorKind::Busy
    ) {
        failure.kind = ErrorKind::Unreachable;
    }
    Answer::failure(&failure)
}

async fn run(tenant: &Tenant, verb: Verb) -> Result<Answer, Answer> {
    let (fleet, mut seen) = found(tenant, Asks::Action(verb)).await?;
    let kind = verb.kind();
    if !kind.fits(&seen.vm.state) {
        seen = reach::looked_at_again(&tenant.state, &tenant.caller, &fleet, seen, |state| {
            !kind.fits(state)
        })
        .await;
    }
    let name = seen.vm.name.raw();
    let limit = tenant.state.config.limit.request_time;
    let order = Order {
        vm: seen.id(),
        action: kind.into(),
        count: 1,
        named: true,
        until: verb.until(),
        wait: limit.saturating_sub(limit / 6),
    };
    // What the state does not allow is told as virsh would tell it, and not sent.
    if !kind.fits(&seen.vm.state) {
        tenant
            .caller
            .may_act(kind, &seen.host.spec)
            .map_err(|failure| Answer::failure(&failure))?;
        let id = seen.vm.id.as_str();
        let command = unsent(kind_of(&seen.host), Asks::Action(verb), id);
        let said = format!(
            "error: the virtual machine is {}; nothing was sent",
            dominfo::state(&seen.vm.state)
        );
        let result = CommandResult::new(command, 1, String::new(), said);
        return Err(virsh_failed(verb.word(), name, &result));
    }
    let operation = act::act_next(&tenant.state, &fleet, &tenant.caller, &order).await;
    let operation = operation.map_err(|failure| Answer::failure(&failure))?;
    told(&operation, verb)
}

/// Returns the argument vector of what was run, as a person may see it.
fn command_of(plan: &Plan) -> Vec<String> {
    plan.commands
        .first()
        .map(crate::domain::remote_command::RemoteCommand::shown)
        .unwrap_or_default()
}

fn told(operation: &Operation, verb: Verb) -> Result<Answer, Answer> {
    let plan = &operation.plan;
    let name = plan.vm_name.raw();
    let failed = |cause: &Failure| {
        let result = CommandResult::new(command_of(plan), 1, String::new(), cause.message.clone());
        Err(virsh_failed(verb.word(), name, &result))
    };
    let taken = match &operation.outcome {
        None => operation.phase == Phase::Verifying,
        Some(Outcome::Confirmed | Outcome::Accepted { .. }) => true,
        Some(Outcome::Failed { cause }) if is_of_the_hypervisor(cause) => return failed(cause),
        Some(Outcome::Failed { cause }) => return Err(on_the_way(cause)),
        Some(Outcome::Refused { cause }) => return Err(Answer::failure(cause)),
        Some(Outcome::Unknown { cause }) => {
            let text = format!("{} has not answered in time: {cause}", plan.host_name);
            return Err(Answer::failure(&Failure::new(ErrorKind::Timeout, text)));
        }
    };
    if !taken {
        let text = format!(
            "{} has not answered in time; the request is still under way",
            plan.host_name
        );
        return Err(Answer::failure(&Failure::new(ErrorKind::Timeout, text)));
    }
    let word = match verb {
        Verb::Start => "started",
        Verb::Shutdown => "is being shutdown",
        Verb::ForceStop => "destroyed",
        Verb::Reboot => "is being rebooted",
    };
    let said = format!("{name} {word}\n");
    Ok(Answer::ok(&CommandResult::new(
        command_of(plan),
        0,
        said,
        String::new(),
    )))
}

fn is_of_the_hypervisor(cause: &Failure) -> bool {
    matches!(cause.kind, ErrorKind::Remote | ErrorKind::Permission)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_said_is_capped_at_a_character() {
        let (text, cut) = capped("é".repeat(MAX_SAID));
        assert!(cut && text.len() <= MAX_SAID && text.len() > MAX_SAID - 2);
        let shown = |text: String| {
            let result = CommandResult::new(vec![], 0, text, String::new());
            serde_json::to_value(&result).unwrap()
        };
        assert_eq!(shown("é".repeat(MAX_SAID))["truncated"], true);
        assert!(shown(text).get("truncated").is_none());
    }
}
