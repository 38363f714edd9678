//! Doing something to a VM: plan, agree, submit, wait. The same for every contract.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::limit::HostPlace;
use super::state::ServeState;
use crate::domain::action::{Action, ActionKind, Ask};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::operation::{Consent, Operation, OperationId, Phase, Plan, Submission};
use crate::domain::policy::Decision;
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::fleet::request::Proposal;

/// How far to wait for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until the hypervisor has taken it, or has said no.
    Accepted,
    /// Until its effect was seen, or was not in time.
    Done,
}

/// One thing to be done to one VM.
#[derive(Debug, Clone)]
pub struct Order {
    /// The VM.
    pub vm: VmRef,
    /// What.
    pub kind: ActionKind,
    /// How many VMs are acted on together.
    pub count: usize,
    /// Whether the request names this VM. That is what policy asks for where a person types the name:
    /// a VM that was chosen by a filter is not named.
    pub named: bool,
    /// How far to wait.
    pub until: Until,
    /// How long to wait; what is not over by then goes on by itself.
    pub wait: Duration,
}

/// Makes the plan of an order and says what policy asks for; changes nothing.
pub async fn plan(
    fleet: &FleetHandle,
    caller: &Caller,
    order: &Order,
) -> Result<Proposal, Failure> {
    allowed(fleet, caller, order)?;
    fleet
        .plan(
            order.vm.clone(),
            Action::new(order.kind),
            caller.actor(),
            order.count,
        )
        .await
}

/// Carries an order out and waits for it. The operation that is returned may still be under way; a
/// refusal is an error, a failure is an outcome of the operation.
pub async fn act(
    state: &ServeState,
    fleet: &FleetHandle,
    caller: &Caller,
    order: &Order,
) -> Result<Arc<Operation>, Failure> {
    let place = place(state, fleet, caller, order);
    // The older contracts know a host that does not answer, and no server that is busy with one.
    let _place = place.map_err(|failure| Failure {
        kind: ErrorKind::Timeout,
        ..failure
    })?;
    let id = submit(fleet, caller, order).await?;
    wait(state, fleet, &id, order.until, order.wait).await
}

/// Takes a place among the requests that wait for the host of an order; one that does not wait needs
/// none. Before it is sent: who finds no place has changed nothing.
pub fn place(
    state: &ServeState,
    fleet: &FleetHandle,
    caller: &Caller,
    order: &Order,
) -> Result<Option<HostPlace>, Failure> {
    let snapshot = fleet.snapshot();
    // One that is not there is said by whoever makes the plan.
    let host = snapshot.host(order.vm.host);
    host.filter(|_| !order.wait.is_zero())
        .map(|host| {
            state
                .limits
                .wait_for_host(&caller.profile, Some(&host.spec))
        })
        .transpose()
}

/// Carries an order out without waiting.
pub async fn submit(
    fleet: &FleetHandle,
    caller: &Caller,
    order: &Order,
) -> Result<OperationId, Failure> {
    let Proposal { plan, verdict } = plan(fleet, caller, order).await?;
    let consent = match verdict.decision {
        Decision::Deny(reason) => return Err(Failure::new(ErrorKind::Refused, reason)),
        Decision::Ask(asks) => agree(asks, order, &plan)?,
    };
    fleet
        .submit(Submission {
            plan,
            actor: caller.actor(),
            consent,
            count: order.count,
            deadline: None,
        })
        .await
}

/// Waits for an operation as far as wanted, at most `time`, and not beyond the end of the server.
pub async fn wait(
    state: &ServeState,
    fleet: &FleetHandle,
    id: &OperationId,
    until: Until,
    time: Duration,
) -> Result<Arc<Operation>, Failure> {
    let far_enough = |operation: &Operation| {
        operation.is_finished() || (until == Until::Accepted && operation.phase == Phase::Verifying)
    };
    let reached = fleet.wait_until(|state| {
        let found = state
            .operations
            .iter()
            .find(|operation| operation.id == *id);
        found.is_some_and(|operation| far_enough(operation))
    });
    tokio::select! {
        biased;
        _reached = reached => {}
        () = tokio::time::sleep(time) => {}
        () = state.stop.cancelled() => {}
    }
    // The snapshot that shows it is published right after it was admitted, if not before.
    let shown =
        fleet.wait_until(|state| state.operations.iter().any(|operation| operation.id == *id));
    let state = tokio::time::timeout(Duration::from_secs(1), shown)
        .await
        .ok()
        .flatten()
        .unwrap_or_else(|| fleet.snapshot());
    let found = state
        .operations
        .iter()
        .find(|operation| operation.id == *id);
    found.cloned().ok_or_else(|| {
        Failure::new(ErrorKind::NotFound, format!("there is no operation {id}"))
            .with_hint("older ones are in the audit log")
    })
}

/// A request that names the verb is the confirmation; a typed name is one that stands in the request.
fn agree(asks: Ask, order: &Order, plan: &Plan) -> Result<Consent, Failure> {
    match asks {
        Ask::Nothing => Ok(Consent::Nothing),
        Ask::Confirm => Ok(Consent::Confirmed),
        Ask::TypeName if order.named => Ok(Consent::TypedName(plan.vm_name.raw().to_owned())),
        Ask::TypeName => {
            let message = format!(
                "to {} {}/{} it has to be named in a request of its own",
                order.kind.spec().verb,
                plan.host_name,
                plan.vm_name
            );
            Err(Failure::new(ErrorKind::Refused, message))
        }
    }
}

fn allowed(fleet: &FleetHandle, caller: &Caller, order: &Order) -> Result<(), Failure> {
    let state = fleet.snapshot();
    let host = state
        .host(order.vm.host)
        .ok_or_else(|| Failure::new(ErrorKind::NotFound, "there is no such VM"))?;
    caller.may_act(order.kind, &host.spec)
}
