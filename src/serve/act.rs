//! Doing something to a VM: plan, agree, submit, wait. The same for every contract.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::denials;
use super::limit::HostPlace;
use super::state::ServeState;
use crate::domain::action::{Action, Ask};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::operation::{Consent, Door, Operation, OperationId, Phase, Plan, Submission};
use crate::domain::policy::Decision;
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::fleet::request::Proposal;

/// How long an order that is watched no longer may take to be recorded as such.
const GIVES_WAY_WITHIN: Duration = Duration::from_secs(3);

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
    pub action: Action,
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
            order.action.clone(),
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
    let id = submit(state, fleet, caller, order).await?;
    wait(state, fleet, &id, order.until, order.wait).await
}

/// The same for clients that know no order that is in the way of another: those of the older servers. An
/// order of this door that the hypervisor has taken already, and whose effect is merely being watched for,
/// is watched no longer.
pub async fn act_next(
    state: &ServeState,
    fleet: &FleetHandle,
    caller: &Caller,
    order: &Order,
) -> Result<Arc<Operation>, Failure> {
    match act(state, fleet, caller, order).await {
        Err(failure) if failure.kind == ErrorKind::Busy && give_way(fleet, &order.vm).await => {
            act(state, fleet, caller, order).await
        }
        done => done,
    }
}

/// Ends the watch over an earlier order about a VM; returns whether there was one.
async fn give_way(fleet: &FleetHandle, vm: &VmRef) -> bool {
    let state = fleet.snapshot();
    let Some(earlier) = state.running_operation(vm) else {
        return false;
    };
    if earlier.phase != Phase::Verifying || earlier.actor.door != Door::Serve {
        return false;
    }
    // One that has just ended by itself is what was wanted.
    drop(fleet.cancel(earlier.id.clone()).await);
    let ended = fleet.wait_until(|state| {
        let found = state.operations.iter().find(|one| one.id == earlier.id);
        found.is_none_or(|one| one.is_finished())
    });
    let ended = tokio::time::timeout(GIVES_WAY_WITHIN, ended).await;
    ended.is_ok_and(|state| state.is_some())
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

/// Carries an order out without waiting. A refusal is recorded.
pub async fn submit(
    state: &ServeState,
    fleet: &FleetHandle,
    caller: &Caller,
    order: &Order,
) -> Result<OperationId, Failure> {
    let (plan, consent) = match agreed(fleet, caller, order).await {
        Ok(agreed) => agreed,
        Err(failure) => {
            denials::record(state, &fleet.snapshot(), caller, order, &failure).await;
            return Err(failure);
        }
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

/// Says whether the caller may do such a thing at all, before anything is asked of the host; a refusal is
/// recorded.
pub async fn may(
    state: &ServeState,
    fleet: &FleetHandle,
    caller: &Caller,
    order: &Order,
) -> Result<(), Failure> {
    let allowed = allowed(fleet, caller, order);
    if let Err(failure) = &allowed {
        denials::record(state, &fleet.snapshot(), caller, order, failure).await;
    }
    allowed
}

/// Makes the plan of an order and agrees to it, as far as the request does.
async fn agreed(
    fleet: &FleetHandle,
    caller: &Caller,
    order: &Order,
) -> Result<(Plan, Consent), Failure> {
    let Proposal { plan, verdict } = plan(fleet, caller, order).await?;
    let consent = match verdict.decision {
        Decision::Deny(reason) => return Err(Failure::new(ErrorKind::Refused, reason)),
        Decision::Ask(asks) => agree(asks, order, &plan)?,
    };
    Ok((plan, consent))
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
                order.action.kind.spec().verb_alone(),
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
    caller.may_act(order.action.kind, &host.spec)
}
