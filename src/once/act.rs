//! `--once VERB`: plan for every VM, agree, run, wait. Nothing is run before all that was asked for has
//! been found and agreed to; what then fails for one VM does not hold back the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::console::Console;
use super::result::{self, ActResult};
use super::row::VmRow;
use super::{Act, Ended, Script, Verb, Wait, snapshots, targets};
use crate::clock::Clock;
use crate::domain::action::Ask;
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::operation::{Consent, Operation, OperationId, Plan, Submission};
use crate::domain::policy::Decision;
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::fleet::request::Proposal;
use crate::report::Complaint;

/// How long an interrupted operation may take to be recorded as unknown.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A VM with what is to be run on it.
struct Planned {
    row: VmRow,
    plan: Plan,
    asks: Ask,
}

/// A plan that is under way.
struct Running {
    planned: Planned,
    operation: OperationId,
}

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    act: &Act,
    clock: &Clock,
    console: &mut Console<'_>,
) -> Ended {
    let chosen = targets::resolve(handle, script, &act.targets, || clock.now()).await?;
    if !chosen.named {
        chosen.reached.report(console);
    }
    let missing = !chosen.named && !chosen.reached.failed.is_empty();
    let (planned, mut results) = plan_all(handle, script, &act.verb, chosen.vms).await;
    if act.dry_run {
        results.extend(
            planned
                .iter()
                .map(|planned| ActResult::planned(&planned.row, &planned.plan, planned.asks)),
        );
    } else {
        agree(&planned, act, chosen.named)?;
        let count = planned.len();
        for round in rounds(planned) {
            let (running, refused) = submit_all(handle, script, act, (round, count)).await;
            results.extend(refused);
            for running in running {
                results.push(settle(handle, script, act, running).await);
            }
        }
    }
    console.data(&result::written(script.format, &results));
    if !script.format.is_json() {
        for complaint in results.iter().filter_map(ActResult::complaint) {
            console.complain(&complaint);
        }
    }
    let code = result::exit_code(&results);
    Ok(if missing && code == ExitCode::Done {
        ExitCode::Partial
    } else {
        code
    })
}

async fn plan_all(
    handle: &FleetHandle,
    script: &Script,
    verb: &Verb,
    vms: Vec<VmRow>,
) -> (Vec<Planned>, Vec<ActResult>) {
    let mut wanted = Vec::with_capacity(vms.len());
    for row in vms {
        for (kind, action) in snapshots::actions(handle, &row, verb).await {
            wanted.push((row.clone(), kind, action));
        }
    }
    let count = wanted.len();
    let (mut planned, mut refused) = (Vec::new(), Vec::new());
    for (row, kind, action) in wanted {
        let vm = row.reference();
        let actor = script.actor.clone();
        let proposal = match action {
            Ok(action) => handle.plan(vm, action, actor, count).await,
            Err(failure) => Err(failure),
        };
        match proposal {
            Ok(Proposal { plan, verdict }) => match verdict.decision {
                Decision::Ask(asks) => planned.push(Planned { row, plan, asks }),
                Decision::Deny(reason) => {
                    let failure = Failure::new(ErrorKind::Refused, reason);
                    refused.push(ActResult::refused(&row, kind, Some(&plan), failure));
                }
            },
            Err(failure) => refused.push(ActResult::refused(&row, kind, None, failure)),
        }
    }
    (planned, refused)
}

/// One operation runs on a VM at a time: what is to be done to one VM is done one after the other, and what
/// to several VMs at once.
fn rounds(planned: Vec<Planned>) -> Vec<Vec<Planned>> {
    let mut turns: HashMap<VmRef, usize> = HashMap::new();
    let mut rounds: Vec<Vec<Planned>> = Vec::new();
    for one in planned {
        let turn = turns.entry(one.plan.vm.clone()).or_default();
        while rounds.len() <= *turn {
            rounds.push(Vec::new());
        }
        if let Some(round) = rounds.get_mut(*turn) {
            round.push(one);
        }
        *turn += 1;
    }
    rounds
}

/// Returns an error when anything is not agreed to that has to be: then nothing is run.
fn agree(planned: &[Planned], act: &Act, named: bool) -> Result<(), Complaint> {
    let most = planned.iter().map(|planned| planned.asks).max();
    let Some(first) = planned.first() else {
        return Ok(());
    };
    let verb = first.plan.action.kind.spec().verb;
    let refuse = |message: String, hint: &str| {
        let failure = Failure::new(ErrorKind::Refused, message).with_hint(hint);
        Err(failure.into())
    };
    match most {
        Some(Ask::Confirm | Ask::TypeName) if !act.yes => {
            let consequence = first.plan.consequences.first();
            let what = match (planned, consequence) {
                ([one], Some(consequence)) => {
                    format!(
                        "to {verb} {} has to be agreed to: {consequence}",
                        one.row.vm.name
                    )
                }
                ([one], None) => format!("to {verb} {} has to be agreed to", one.row.vm.name),
                (many, _) => {
                    let several = first.plan.action.kind.spec().of_several(many.len());
                    format!("to {several} has to be agreed to")
                }
            };
            refuse(what, "add --yes, or look at the plan with --dry-run")
        }
        Some(Ask::TypeName) if !named => {
            let guarded: Vec<String> = planned
                .iter()
                .filter(|planned| planned.asks == Ask::TypeName)
                .map(|planned| format!("{}/{}", planned.row.host.spec.name, planned.row.vm.name))
                .collect();
            let message = format!(
                "to {verb} these, each has to be named in full: {}",
                guarded.join(", ")
            );
            refuse(message, "name the VMs instead of choosing them by a filter")
        }
        _ => Ok(()),
    }
}

async fn submit_all(
    handle: &FleetHandle,
    script: &Script,
    act: &Act,
    (planned, count): (Vec<Planned>, usize),
) -> (Vec<Running>, Vec<ActResult>) {
    let (mut running, mut refused) = (Vec::new(), Vec::new());
    for planned in planned {
        let submission = Submission {
            plan: planned.plan.clone(),
            actor: script.actor.clone(),
            consent: match planned.asks {
                Ask::Nothing => Consent::Nothing,
                Ask::Confirm => Consent::Confirmed,
                Ask::TypeName => Consent::TypedName(planned.plan.vm_name.raw().to_owned()),
            },
            count,
            deadline: match act.wait {
                Wait::Usual => None,
                Wait::AtMost(time) => Some(time),
                Wait::No => Some(Duration::ZERO),
            },
        };
        match handle.submit(submission).await {
            Ok(operation) => running.push(Running { planned, operation }),
            Err(failure) => {
                let Planned { row, plan, .. } = &planned;
                let kind = plan.action.kind;
                refused.push(ActResult::refused(row, kind, Some(plan), failure));
            }
        }
    }
    (running, refused)
}

/// Waits for one operation; when the program is to end, gives it up and says so.
async fn settle(handle: &FleetHandle, script: &Script, act: &Act, running: Running) -> ActResult {
    let Running { planned, operation } = running;
    let waited = act.wait != Wait::No;
    let ended: Result<Arc<Operation>, Failure> = tokio::select! {
        ended = handle.outcome(&operation) => ended,
        () = script.stop.cancelled() => give_up(handle, &operation).await,
    };
    match ended {
        Ok(operation) => ActResult::of(&planned.row, &operation, waited),
        Err(failure) => {
            ActResult::lost(&planned.row, &planned.plan, operation.to_string(), failure)
        }
    }
}

async fn give_up(handle: &FleetHandle, operation: &OperationId) -> Result<Arc<Operation>, Failure> {
    let interrupted = || Failure::new(ErrorKind::Timeout, "interrupted while it was under way");
    // It may have ended meanwhile; then there is nothing to cancel, and its outcome stands.
    drop(handle.cancel(operation.clone()).await);
    tokio::time::timeout(LAST_WORDS, handle.outcome(operation))
        .await
        .unwrap_or_else(|_| Err(interrupted()))
}
