//! What is done to pools and networks: planned from a fresh read, decided by the same policy as everything
//! else, recorded before and after, and seen in what the host tells afterwards.
//!
//! Storage and networks are no part of the fleet's state, because nobody reads them on a tick. So a plan is
//! made of a read of its own, and what is to be run is compared with another one just before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission;
use super::engine::{Engine, Reins};
use super::operation::{FIRST_PAUSE, LAST_PAUSE, OperationNews, said_no};
use super::plan::kind_of;
use super::record;
use super::request::{Reply, StoreRequest};
use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::domain::action::Ask;
use crate::domain::audit::AuditEntry;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::operation::{Actor, Outcome, Phase};
use crate::domain::policy::{Decision, Verdict};
use crate::domain::store::{HostStores, Store, StoreRef, StoreState};
use crate::domain::store_action::{
    GOAL_WITHIN, StorePlan, StoreProposal, StoreResult, StoreSubmission, StoreVerb, consequences,
    found, running,
};
use crate::domain::store_operation::StoreOperation;
use crate::hypervisor::{Drivers, ProgressSink};
use crate::session::{HostCommand, PerformError, SessionHandle};
use crate::task::send_or_gone;

/// How long a hypervisor may take to accept.
const ACCEPTANCE: Duration = Duration::from_secs(130);

/// Decides whether a verb may be run on a host, as far as no read is needed for that.
fn admitted<'a>(
    state: &'a FleetSnapshot,
    target: &StoreRef,
    verb: StoreVerb,
    actor: &Actor,
) -> Result<(&'a Arc<HostSnapshot>, Verdict), Failure> {
    let host = state.host(target.host).ok_or_else(|| {
        let why = "the host is not in the profile any more";
        Failure::new(ErrorKind::NotFound, why)
    })?;
    let verdict = admission::ask_policy((state, host), (verb.into(), None), actor, 1);
    admission::not_denied(host, &verdict)?;
    admission::answers(host)?;
    admission::can_be_recorded(state)?;
    Ok((host, verdict))
}

/// Makes the plan of a verb from what was just read.
fn make(
    drivers: &dyn Drivers,
    host: &HostSnapshot,
    stores: &HostStores,
    (target, verb): (&StoreRef, StoreVerb),
) -> Result<StorePlan, Failure> {
    let word = target.kind.word();
    let name = &host.spec.name;
    if verb.spec().kind != target.kind {
        let message = format!("`{verb}` is nothing that is done to a {word}");
        return Err(Failure::new(ErrorKind::Usage, message));
    }
    if let Err(said) = stores.of_kind(target.kind) {
        let message = format!("{name} does not tell its {word}s: {said}");
        return Err(Failure::new(ErrorKind::Remote, message));
    }
    let store = found(stores, target).ok_or_else(|| {
        Failure::new(
            ErrorKind::NotFound,
            format!("there is no such {word} on {name} any more"),
        )
        .with_hint("read the host again to see those that it has")
    })?;
    let spec = verb.spec();
    if !verb.fits(store.state()) {
        let state = store
            .state()
            .map_or("in an unknown state", StoreState::word);
        return Err(Failure::new(
            ErrorKind::Refused,
            format!(
                "the {word} {} is {state} already: nothing to {}",
                store.name(),
                spec.word
            ),
        ));
    }
    let commands = drivers
        .store_commands(kind_of(host)?, &host.spec, &target.id, verb)
        .map_err(|error| Failure::of(&error))?;
    Ok(StorePlan {
        target: target.clone(),
        name: store.name().clone(),
        host_name: name.clone(),
        verb,
        commands,
        state: store.state(),
        running: running(&store),
        consequences: consequences(verb, &store),
    })
}

/// Refuses a plan that does not say what would be run now, or to whom it would be done.
fn unchanged(shown: &StorePlan, now: &StorePlan) -> Result<(), Failure> {
    let word = shown.target.kind.word();
    let changed = |what: String| {
        Err(Failure::new(ErrorKind::Conflict, what)
            .with_hint("look at the new plan, then decide again"))
    };
    if shown.state != now.state {
        let state = |state: Option<StoreState>| state.map_or("unknown", StoreState::word);
        return changed(format!(
            "the {word} {} is {} now; it was {} when the plan was shown",
            now.name,
            state(now.state),
            state(shown.state)
        ));
    }
    if shown.running != now.running {
        return changed(format!("other VMs use the {word} {} by now", now.name));
    }
    if shown.commands != now.commands {
        return changed("what would be run is not what was shown".to_owned());
    }
    Ok(())
}

async fn read(session: &SessionHandle) -> Result<Arc<HostStores>, Failure> {
    session.ask(|reply| HostCommand::Stores { reply }).await
}

impl Engine {
    /// Answers one request, now or later.
    pub(super) fn answer_store(&mut self, request: StoreRequest) {
        match request {
            StoreRequest::Read { host, reply } => {
                self.ask_host(host, reply, |reply| HostCommand::Stores { reply });
            }
            StoreRequest::Plan {
                target,
                verb,
                actor,
                reply,
            } => self.propose_store((target, verb), &actor, reply),
            StoreRequest::Run { submission, reply } => self.run_store(*submission, reply),
        }
    }

    /// Makes a plan for a pool or a network, from a read of its own.
    fn propose_store(
        &self,
        (target, verb): (StoreRef, StoreVerb),
        actor: &Actor,
        reply: Reply<StoreProposal>,
    ) {
        let now = self.clock().now();
        let view = self.state.view(now);
        let admitted = admitted(&view, &target, verb, actor)
            .map(|(host, verdict)| (Arc::clone(host), verdict))
            .and_then(|known| Ok((known, self.session_of(&target)?)));
        let ((host, verdict), session) = match admitted {
            Ok(all) => all,
            Err(cause) => return send_or_gone(reply, Err(cause)),
        };
        let drivers = Arc::clone(&self.context.drivers);
        self.groups.jobs.spawn("plan store", async move {
            let made = read(&session)
                .await
                .and_then(|stores| make(drivers.as_ref(), &host, &stores, (&target, verb)))
                .map(|plan| StoreProposal {
                    plan,
                    // A denial was a refusal already.
                    asks: match verdict.decision {
                        Decision::Ask(ask) => ask,
                        Decision::Deny(_) => Ask::TypeName,
                    },
                    rule: verdict.rule,
                });
            send_or_gone(reply, made);
        });
    }

    /// Runs such a plan; the reply comes when it is over.
    fn run_store(&mut self, submission: StoreSubmission, reply: Reply<StoreResult>) {
        match self.admit_store(&submission) {
            Ok((host, verdict, session)) => {
                let now = self.clock().now();
                let id = self.ids.next(now);
                let Reins { cancel, withdraw } = self.reins.entry(id.clone()).or_default().clone();
                let operation = StoreOperation {
                    id: id.clone(),
                    plan: Arc::new(submission.plan.clone()),
                    actor: submission.actor.clone(),
                    phase: Phase::Queued,
                    outcome: None,
                    started_at: now,
                    finished_at: None,
                    state_after: None,
                    withdrawn: false,
                };
                self.state.store_operations.put(operation.clone());
                self.busy_stores.insert(id, submission.plan.target.clone());
                let run = Run {
                    operation,
                    host,
                    rule: verdict.rule,
                    places: self.roster.places(submission.plan.target.host).sending,
                    submission,
                    session,
                    drivers: Arc::clone(&self.context.drivers),
                    audit: self.keeper.audit.clone(),
                    clock: self.clock().clone(),
                    news: self.operation_news.clone(),
                    cancel,
                    withdraw,
                };
                // Whoever asked sees it before it is over.
                self.publish();
                self.groups
                    .operations
                    .spawn("store operation", run.run(reply));
            }
            Err(cause) => {
                let now = self.clock().now();
                let (plan, actor) = (&submission.plan, &submission.actor);
                let entry = record::store_refusal(plan, actor, &cause, now);
                let recording = self.keeper.clone().record_refusal(entry);
                self.groups.jobs.spawn("record refusal", recording);
                send_or_gone(reply, Err(cause));
            }
        }
    }

    fn admit_store(
        &self,
        submission: &StoreSubmission,
    ) -> Result<(Arc<HostSnapshot>, Verdict, SessionHandle), Failure> {
        if self.stopping.is_some() {
            return Err(Failure::new(ErrorKind::Busy, "the program is ending"));
        }
        let plan = &submission.plan;
        let now = self.clock().now();
        let view = self.state.view(now);
        let (host, verdict) = admitted(&view, &plan.target, plan.verb, &submission.actor)?;
        if let Decision::Ask(ask) = verdict.decision {
            let what = (&plan.name, plan.verb.spec().word, plan.target.kind.word());
            admission::agreed_to(ask, &submission.consent, what)?;
        }
        if self.busy_stores.values().any(|busy| *busy == plan.target) {
            let message = format!("something is being done to {} already", plan.name);
            return Err(Failure::new(ErrorKind::Busy, message).with_hint("wait for it to end"));
        }
        let session = self.session_of(&plan.target)?;
        Ok((Arc::clone(host), verdict, session))
    }

    fn session_of(&self, target: &StoreRef) -> Result<SessionHandle, Failure> {
        let session = self.roster.session(target.host).cloned();
        session.ok_or_else(|| {
            Failure::new(ErrorKind::Unreachable, "the host is not connected")
                .with_hint("connect to it first")
        })
    }
}

/// A place among the actions of a host.
type Place = Option<OwnedSemaphorePermit>;

/// Everything one run needs.
struct Run {
    operation: StoreOperation,
    host: Arc<HostSnapshot>,
    rule: String,
    places: Arc<Semaphore>,
    submission: StoreSubmission,
    session: SessionHandle,
    drivers: Arc<dyn Drivers>,
    audit: AuditLog,
    clock: Clock,
    news: mpsc::Sender<OperationNews>,
    /// Ends the waiting; what was sent stays sent.
    cancel: CancellationToken,
    /// Calls it back, as long as nothing was sent.
    withdraw: CancellationToken,
}

impl Run {
    async fn run(mut self, reply: Reply<StoreResult>) {
        let began = Instant::now();
        let intent = record::store_intent(
            &self.operation.id,
            &self.submission.plan,
            &self.submission.actor,
            &self.rule,
            self.clock.now(),
        );
        let mut after = None;
        let outcome = match self.start(&intent).await {
            Err(refused) => refused,
            Ok(place) => match self.send(place).await {
                Err(ended) => ended,
                Ok(()) => self.verify(&mut after).await,
            },
        };
        let now = self.clock.now();
        let entry = record::store_outcome(&intent, &outcome, after, began.elapsed(), now);
        let unrecordable =
            matches!(&outcome, Outcome::Refused { cause } if cause.kind == ErrorKind::NotRecorded);
        if !unrecordable && let Err(error) = self.audit.append(entry).await {
            tracing::error!(%error, id = %self.operation.id, "could not record an outcome");
            self.tell(OperationNews::NotRecorded(Failure::of(&error)))
                .await;
        }
        self.operation.outcome = Some(outcome.clone());
        self.operation.finished_at = Some(now);
        self.operation.state_after = after;
        self.operation.phase = Phase::Done;
        let result = StoreResult {
            id: self.operation.id.clone(),
            outcome,
            state_after: after,
            elapsed: began.elapsed(),
            at: now,
        };
        let operation = Box::new(self.operation.clone());
        let over = OperationNews::StoreOver(operation, Box::new(result), reply);
        self.tell(over).await;
    }

    /// Waits for a place, looks once more, writes the intent.
    async fn start(&mut self, intent: &AuditEntry) -> Result<Place, Outcome> {
        let refused = |cause| Outcome::Refused { cause };
        let places = Arc::clone(&self.places);
        let shown = &self.submission.plan;
        let look = async {
            // The semaphore is never closed.
            let place = places.acquire_owned().await.ok();
            let stores = read(&self.session).await?;
            let what = (&shown.target, shown.verb);
            let now = make(self.drivers.as_ref(), &self.host, &stores, what)?;
            unchanged(shown, &now)?;
            Ok::<Place, Failure>(place)
        };
        let looked = tokio::select! {
            biased;
            () = self.called_back() => None,
            looked = look => Some(looked.map_err(refused)?),
        };
        let Some(place) = looked else {
            return Err(self.never_sent());
        };
        if let Err(error) = self.audit.append(intent.clone()).await {
            return Err(refused(error.refusal("the action")));
        }
        if self.cancel.is_cancelled() || self.withdraw.is_cancelled() {
            return Err(self.never_sent());
        }
        Ok(place)
    }

    /// Waits until it is cancelled or withdrawn.
    async fn called_back(&self) {
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = self.withdraw.cancelled() => {}
        }
    }

    fn never_sent(&mut self) -> Outcome {
        self.operation.withdrawn = true;
        let host = &self.submission.plan.host_name;
        Outcome::Refused {
            cause: Failure::new(
                ErrorKind::Conflict,
                format!("cancelled before anything was sent to {host}"),
            ),
        }
    }

    /// Sends the commands, once, and waits until the hypervisor has accepted.
    async fn send(&mut self, _place: Place) -> Result<(), Outcome> {
        self.moved(Phase::Sending).await;
        let (reply, answer) = oneshot::channel();
        self.session
            .send(HostCommand::Perform {
                commands: self.submission.plan.commands.clone(),
                within: ACCEPTANCE,
                progress: ProgressSink::unheard(),
                reply,
            })
            .map_err(|cause| Outcome::Refused { cause })?;
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = self.cancel.cancelled() => {
                return Err(unknown("nobody waited for the hypervisor's answer"));
            }
        };
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(PerformError::NotSent(cause))) => Err(Outcome::Refused { cause }),
            Ok(Err(PerformError::Lost(cause))) => Err(Outcome::Unknown { cause }),
            Ok(Err(PerformError::Driver(error))) => Err(said_no(&error)),
            Err(_) => Err(unknown("the session ended while the command ran")),
        }
    }

    /// Reads the host until the goal shows or time is up.
    async fn verify(&mut self, after: &mut Option<StoreState>) -> Outcome {
        self.moved(Phase::Verifying).await;
        let patience = self.submission.deadline.unwrap_or(GOAL_WITHIN);
        if patience.is_zero() {
            return Outcome::Accepted {
                note: "its effect was not waited for".to_owned(),
            };
        }
        let plan = &self.submission.plan;
        let goal = plan.verb.spec().goal;
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            let looked = tokio::select! {
                biased;
                () = self.cancel.cancelled() => {
                    return unknown("the hypervisor took it, then nobody waited for its effect");
                }
                looked = tokio::time::timeout_at(deadline, read(&self.session)) => looked,
            };
            if let Ok(looked) = looked {
                if let Ok(stores) = &looked
                    && stores.of_kind(plan.target.kind).is_ok()
                {
                    let store = found(stores, &plan.target);
                    *after = store.as_ref().and_then(Store::state);
                    if goal.is_met_by(store.as_ref()) {
                        return Outcome::Confirmed;
                    }
                }
                last = Some(looked.map(drop));
            }
            if Instant::now() + pause >= deadline {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
        match last {
            Some(Ok(())) => Outcome::Accepted {
                note: format!("its effect was not seen within {} s", patience.as_secs()),
            },
            Some(Err(cause)) => Outcome::Unknown {
                cause: Failure {
                    message: format!("the hypervisor took it, then: {}", cause.message),
                    ..cause
                },
            },
            None => unknown("the hypervisor took it, but the host could not be read in time"),
        }
    }

    async fn moved(&mut self, phase: Phase) {
        self.operation.phase = phase;
        let operation = Box::new(self.operation.clone());
        self.tell(OperationNews::StoreMoved(operation)).await;
    }

    async fn tell(&self, news: OperationNews) {
        let Err(mpsc::error::SendError(news)) = self.news.send(news).await else {
            return;
        };
        tracing::debug!("the fleet has ended");
        if let OperationNews::StoreOver(_, result, reply) = news {
            send_or_gone(reply, Ok(*result));
        }
    }
}

fn unknown(why: &str) -> Outcome {
    Outcome::Unknown {
        cause: Failure::new(ErrorKind::Timeout, why)
            .with_hint("look at the host: the next read tells what is true now"),
    }
}
