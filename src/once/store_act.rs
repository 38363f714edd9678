//! `--once storage VERB` and `--once network VERB`: plan for each, agree, run, wait. Nothing is run before all
//! that was named has been found and agreed to.

use std::time::Duration;

use super::console::Console;
use super::result::{self, ActResult};
use super::store_show;
use super::{Ended, Script, StoreAct, Wait};
use crate::domain::action::Ask;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::operation::Consent;
use crate::domain::store::StoreRef;
use crate::domain::store_action::{StoreProposal, StoreSubmission};
use crate::fleet::FleetHandle;
use crate::report::Complaint;

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    act: &StoreAct,
    console: &mut Console<'_>,
) -> Ended {
    let spec = act.verb.spec();
    let mut proposals = Vec::with_capacity(act.targets.len());
    for target in &act.targets {
        let ((host, _), key) =
            store_show::find(handle, script, (spec.kind, target), console).await?;
        let id = key.id.ok_or_else(|| {
            let message = format!("{} is a folder: nothing can be done to it", key.name);
            Failure::new(ErrorKind::Refused, message)
        })?;
        let target = StoreRef {
            host: host.spec.id,
            kind: spec.kind,
            id,
        };
        let planned = handle
            .plan_store(target, act.verb, script.actor.clone())
            .await;
        let place = format!("{}/{}", host.spec.name, key.name);
        proposals.push(planned.map_err(|failure| Complaint::from(failure).on(&place))?);
    }
    let mut results = Vec::with_capacity(proposals.len());
    if act.dry_run {
        for StoreProposal { plan, asks, .. } in &proposals {
            for consequence in &plan.consequences {
                console.note(&format!("{}: {consequence}", plan.name));
            }
            results.push(ActResult::store_planned(plan, *asks));
        }
    } else {
        agree(&proposals, act)?;
        for proposal in proposals {
            results.push(carry_out(handle, script, act, proposal).await);
        }
    }
    console.data(&result::written(script.format, &results));
    if !script.format.is_json() {
        for complaint in results.iter().filter_map(ActResult::complaint) {
            console.complain(&complaint);
        }
    }
    Ok(result::exit_code(&results))
}

/// Returns an error when anything is not agreed to that has to be: then nothing is run.
fn agree(proposals: &[StoreProposal], act: &StoreAct) -> Result<(), Complaint> {
    let asking = |one: &&StoreProposal| one.asks != Ask::Nothing || proposals.len() > 1;
    let Some(first) = proposals.iter().find(asking).filter(|_| !act.yes) else {
        return Ok(());
    };
    let plan = &first.plan;
    let (word, kind) = (plan.verb.spec().word, plan.target.kind.word());
    let why = match plan.consequences.first() {
        Some(consequence) => format!(": {consequence}"),
        None => String::new(),
    };
    let message = format!(
        "to {word} the {kind} {} has to be agreed to{why}",
        plan.name
    );
    let hint = "add --yes, or look at the plan with --dry-run";
    Err(Failure::new(ErrorKind::Refused, message)
        .with_hint(hint)
        .into())
}

async fn carry_out(
    handle: &FleetHandle,
    script: &Script,
    act: &StoreAct,
    proposal: StoreProposal,
) -> ActResult {
    let plan = proposal.plan.clone();
    let submission = StoreSubmission {
        plan: proposal.plan,
        actor: script.actor.clone(),
        consent: match proposal.asks {
            Ask::Nothing => Consent::Nothing,
            Ask::Confirm => Consent::Confirmed,
            // Each was named by itself.
            Ask::TypeName => Consent::TypedName(plan.name.raw().to_owned()),
        },
        deadline: match act.wait {
            Wait::Usual => None,
            Wait::AtMost(time) => Some(time),
            Wait::No => Some(Duration::ZERO),
        },
    };
    let running = handle.run_store(submission);
    let ended = tokio::select! {
        ended = running => ended,
        // What was sent stays sent; it is recorded as unknown when the program ends.
        () = script.stop.cancelled() => {
            Err(Failure::new(ErrorKind::Timeout, "interrupted while it was under way"))
        }
    };
    match ended {
        Ok(result) => ActResult::of_store(&plan, &result, act.wait != Wait::No),
        Err(failure) => ActResult::store_refused(&plan, failure),
    }
}
