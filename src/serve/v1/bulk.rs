//! Acting on many VMs at once: those that a filter chooses, if they are as many as expected.
//!
//! Nothing is run before all that was asked for has been found and agreed to; what then fails for one
//! VM does not hold back the others.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use jiff::Timestamp;

use super::answer::{self, Answer, Refusal};
use super::asking::Asking;
use super::idempotency;
use super::query;
use super::rows::VmRow;
use super::vms::{self, ActQuery};
use super::wire::{BulkRequest, BulkResult, ErrorInfo, Operation, Plan, Refused, Verb};
use crate::accounts::Permission;
use crate::domain::action::{ActionKind, Ask};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostName;
use crate::domain::policy::Decision;
use crate::domain::selector::Filter;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::fleet::request::Proposal;
use crate::serve::act::{self, Order, Until};
use crate::serve::error::Problem;

/// A VM that was chosen.
#[derive(Debug, Clone)]
struct Chosen {
    vm: VmRef,
    host: HostName,
    name: RemoteText,
}

impl Chosen {
    fn refused(&self, failure: &Failure) -> Refused {
        Refused {
            host: self.host.to_string(),
            name: self.name.clone(),
            id: self.vm.vm.to_string(),
            error: ErrorInfo::from(failure),
        }
    }
}

/// Acts on every VM that a filter chooses; refused as a whole when they are not as many as expected,
/// when a host that could have more of them has never been read, or when one has to be named in full.
#[utoipa::path(
    post, path = "/v1/vms/actions/{verb}", tag = "vms",
    params(
        ("verb" = Verb, Path, description = "What to do"),
        ActQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "A word of your own; the same word gets the same answer for a day"),
    ),
    request_body = BulkRequest,
    responses(
        (status = 200, description = "All of them are over, or with `dry_run` what would be run", body = BulkResult),
        (status = 202, description = "Some are under way", body = BulkResult),
        (status = 422, description = "The `Idempotency-Key` belongs to another request", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn act(
    asking: Asking,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<ActQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let Path(verb) = path?;
    let Query(query) = query?;
    let kind = vms::verb_of(&verb)?;
    let wait = vms::wait_of(query.wait())?;
    asking.caller.may(Permission::Act(kind))?;
    let body = body?;
    let request: BulkRequest = answer::read(&asking.headers, &body)?;
    let filter = query::filter(Some(&request.filter))?;
    if filter.is_empty() {
        let failure = Failure::new(
            ErrorKind::Usage,
            "the filter is empty: it would choose every VM",
        )
        .with_hint("`state:running|stopped` says it in words");
        return Err(failure.into());
    }
    let asked = asking.clone();
    let work = async move |expected: u32| -> Answer {
        let fleet = asked.fleet().await?;
        let chosen = choose(&asked, &fleet, &filter, expected).await?;
        let proposals = propose(&asked, &fleet, &chosen, kind).await;
        if query.is_dry() {
            return Ok(planned(kind, &chosen, &proposals));
        }
        agreed(&chosen, &proposals)?;
        let _place = (!wait.is_zero())
            .then(|| asked.wait_for(None))
            .transpose()?;
        Ok(run(&asked, &fleet, chosen, (kind, wait)).await)
    };
    if query.is_dry() {
        return work(request.expect_count).await;
    }
    idempotency::once(&asking, &body, move |_| async move {
        work(request.expect_count).await
    })
    .await
}

/// Finds the VMs, if they are as many as expected.
async fn choose(
    asking: &Asking,
    fleet: &FleetHandle,
    filter: &Filter,
    expected: u32,
) -> Result<Vec<Chosen>, Refusal> {
    let could = |host: &crate::domain::inventory::HostSnapshot| {
        host.spec.enabled && asking.caller.sees(&host.spec) && filter.may_match_on(host)
    };
    let state = asking.settled(fleet, could).await;
    let unread: Vec<String> = state
        .hosts
        .iter()
        .filter(|host| could(host) && host.inventory.is_none())
        .map(|host| host.spec.name.to_string())
        .collect();
    if !unread.is_empty() {
        let message = format!("never read, and could have such VMs: {}", unread.join(", "));
        return Err(Failure::new(ErrorKind::Unreachable, message)
            .with_hint("leave these hosts out with `!host:NAME`")
            .into());
    }
    let now: Timestamp = asking.now();
    let chosen: Vec<Chosen> = VmRow::all(&state, now, |host| asking.caller.sees(&host.spec))
        .filter(|row| filter.matches(&row.for_filter()))
        .map(|row| Chosen {
            vm: row.vm_ref(),
            host: row.host.spec.name.clone(),
            name: row.vm.name.clone(),
        })
        .collect();
    if u32::try_from(chosen.len()) == Ok(expected) && expected > 0 {
        return Ok(chosen);
    }
    let message = format!(
        "the filter chooses {} VMs, not {expected}: nothing was done",
        chosen.len()
    );
    Err(Failure::new(ErrorKind::Conflict, message)
        .with_hint("`GET /v1/vms?filter=` lists them")
        .into())
}

fn order(chosen: &Chosen, kind: ActionKind, count: usize) -> Order {
    Order {
        vm: chosen.vm.clone(),
        action: kind.into(),
        count,
        named: false,
        until: Until::Done,
        wait: Duration::ZERO,
    }
}

async fn propose(
    asking: &Asking,
    fleet: &FleetHandle,
    chosen: &[Chosen],
    kind: ActionKind,
) -> Vec<Result<Proposal, Failure>> {
    let mut all = Vec::with_capacity(chosen.len());
    for one in chosen {
        let order = order(one, kind, chosen.len());
        all.push(act::plan(fleet, &asking.caller, &order).await);
    }
    all
}

/// Refuses the whole when one of them has to be named.
fn agreed(chosen: &[Chosen], proposals: &[Result<Proposal, Failure>]) -> Result<(), Failure> {
    let named: Vec<String> = chosen
        .iter()
        .zip(proposals)
        .filter(|(_, proposal)| {
            proposal
                .as_ref()
                .is_ok_and(|proposal| proposal.verdict.decision == Decision::Ask(Ask::TypeName))
        })
        .map(|(one, _)| format!("{}/{}", one.host, one.name))
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let message = format!(
        "these have to be named each in a request of its own: {}; nothing was done",
        named.join(", ")
    );
    Err(Failure::new(ErrorKind::Refused, message)
        .with_hint("`POST /v1/vms/{host}/{id}/actions/{verb}` names one"))
}

fn result(kind: ActionKind, count: usize) -> BulkResult {
    BulkResult {
        action: kind.id().to_owned(),
        count: u64::try_from(count).unwrap_or(u64::MAX),
        plans: Vec::new(),
        operations: Vec::new(),
        refused: Vec::new(),
    }
}

fn planned(
    kind: ActionKind,
    chosen: &[Chosen],
    proposals: &[Result<Proposal, Failure>],
) -> axum::response::Response {
    let mut all = result(kind, chosen.len());
    for (one, proposal) in chosen.iter().zip(proposals) {
        match proposal {
            Ok(proposal) => all.plans.push(Plan::from(proposal)),
            Err(failure) => all.refused.push(one.refused(failure)),
        }
    }
    answer::json(StatusCode::OK, &all)
}

async fn run(
    asking: &Asking,
    fleet: &FleetHandle,
    chosen: Vec<Chosen>,
    (kind, wait): (ActionKind, Duration),
) -> axum::response::Response {
    let count = chosen.len();
    let mut all = result(kind, count);
    let mut started = VecDeque::new();
    for one in chosen {
        let order = order(&one, kind, count);
        match act::submit(&asking.state, fleet, &asking.caller, &order).await {
            Ok(operation) => started.push_back((one, operation)),
            Err(failure) => all.refused.push(one.refused(&failure)),
        }
    }
    let until = tokio::time::Instant::now() + wait;
    let mut finished = true;
    for (one, id) in started {
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        match act::wait(&asking.state, fleet, &id, Until::Done, left).await {
            Ok(operation) => {
                finished &= operation.is_finished();
                all.operations.push(Operation::of(&operation, asking.now()));
            }
            // It was started, and is told as what it is: not known.
            Err(failure) => all.refused.push(one.refused(&Failure {
                message: format!("operation {id} was started: {}", failure.message),
                ..failure
            })),
        }
    }
    let status = if finished {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    answer::json(status, &all)
}
