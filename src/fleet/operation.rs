//! One operation, from its intent to its outcome, as a task of its own.
//!
//! ```text
//! Queued: a place among those of the same order, one among the host's actions -> still the same VM? -> intent durable
//!    -> Sending: the commands, once -> Verifying: forced reads until goal or deadline -> Done
//! ```
//!
//! Nothing is sent before the intent is on disk, and nothing is ever sent twice. What ends before
//! sending is `Refused`; what ends between sending and acceptance is `Unknown` unless the hypervisor
//! said no; what was accepted is `Confirmed` when the goal was read back and `Accepted` when not.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission;
use super::record;
use super::request::Reply;
use super::verify::{Judgement, Watcher};
use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::domain::audit::AuditEntry;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::{Operation, OperationId, Outcome, Phase, Plan, Submission};
use crate::domain::snapshot::VmSnapshot;
use crate::domain::store_action::StoreResult;
use crate::domain::store_operation::StoreOperation;
use crate::domain::text::RemoteText;
use crate::hypervisor::{HypervisorError, ProgressNews, ProgressSink};
use crate::session::{HostCommand, Observation, PerformError, SessionHandle};
use crate::transport::TransportError;

/// Actions that one host carries out at once: what one SSH connection has channels for.
pub const ACTIONS_AT_ONCE: usize = 4;

/// How long a hypervisor may take to accept, beside the action's own deadline: saving a VM is
/// accepted only when it is done.
const ACCEPTANCE: Duration = Duration::from_secs(60);

/// First pause between two forced reads; doubled up to [`LAST_PAUSE`].
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Least time between two reports of how far the hypervisor is: a person reads no faster, and a
/// driver may tell many times a second.
pub const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Longest pause between two forced reads.
pub(super) const LAST_PAUSE: Duration = Duration::from_secs(2);

/// News of a running operation.
#[derive(Debug)]
pub enum OperationNews {
    /// It stands like this now.
    Moved(Box<Operation>),
    /// Its outcome could not be recorded.
    NotRecorded(Failure),
    /// Something that is done to a pool or a network stands like this now.
    StoreMoved(Box<StoreOperation>),
    /// The same, and it is over: whoever asked is told so once everybody can see it.
    StoreOver(Box<StoreOperation>, Box<StoreResult>, Reply<StoreResult>),
}

/// Makes ids that sort by time and are unique across processes.
#[derive(Debug, Default)]
pub struct OperationIds {
    millis: i64,
    count: u16,
}

impl OperationIds {
    /// Makes the next id: milliseconds, a count within them, 48 random bits; all in hexadecimal.
    pub fn next(&mut self, now: Timestamp) -> OperationId {
        let millis = now.as_millisecond();
        if millis > self.millis {
            (self.millis, self.count) = (millis, 0);
        } else {
            // Also when the clock was set back: the order of the ids is the order of the operations.
            if let Some(count) = self.count.checked_add(1) {
                self.count = count;
            } else {
                (self.millis, self.count) = (self.millis + 1, 0);
            }
        }
        let random = rand::random::<u64>() >> 16;
        let id = format!("{:012x}-{:04x}-{random:012x}", self.millis, self.count);
        OperationId(Arc::from(id))
    }
}

/// The places of one host.
#[derive(Debug, Clone)]
pub struct Places {
    /// Among the actions that are being sent; given back when the hypervisor has accepted.
    pub sending: Arc<Semaphore>,
    /// Among the operations of orders about several VMs; given back when they are over. One that is about
    /// a single VM needs none: a person who steps in does not queue behind a bulk.
    pub bulk: Arc<Semaphore>,
}

/// Everything one operation needs; it shares nothing with others but its host's permits.
#[derive(Debug)]
pub struct Runner {
    /// As it stands.
    pub operation: Operation,
    /// What was handed in.
    pub submission: Submission,
    /// The rule that let it in.
    pub rule: String,
    /// The host's session.
    pub session: SessionHandle,
    /// The host's places for actions.
    pub places: Places,
    /// The state of the fleet.
    pub state: watch::Receiver<Arc<FleetSnapshot>>,
    /// Where it is recorded.
    pub audit: AuditLog,
    /// Wall time.
    pub clock: Clock,
    /// Where its news go.
    pub news: mpsc::Sender<OperationNews>,
    /// Ends the waiting; what was sent stays sent.
    pub cancel: CancellationToken,
    /// Calls it back, as long as nothing was sent.
    pub withdraw: CancellationToken,
}

/// A place among the actions of a host.
type Place = Option<OwnedSemaphorePermit>;

impl Runner {
    /// Runs the operation to its end.
    pub async fn run(mut self) {
        let began = Instant::now();
        let plan = Arc::clone(&self.operation.plan);
        let intent = record::intent(
            &self.operation.id,
            &plan,
            &self.operation.actor,
            &self.rule,
            self.clock.now(),
        );
        let mut after = None;
        // Kept until it is over.
        let mut turn = None;
        let outcome = match self.start(&intent, &mut turn).await {
            Err(refused) => refused,
            Ok(place) => {
                let before = self.snapshots_known(&plan);
                match self.send(&plan, place).await {
                    Err(ended) => self.after_failure(&plan, before.as_deref(), ended).await,
                    Ok(watcher) => self.see_it_through(&plan, watcher, &mut after).await,
                }
            }
        };
        self.operation.state_after = after.and_then(|watcher: Watcher| watcher.last);
        let entry = record::outcome(
            &intent,
            &outcome,
            self.operation.state_after.as_ref(),
            began.elapsed(),
            self.clock.now(),
        );
        let unrecordable =
            matches!(&outcome, Outcome::Refused { cause } if cause.kind == ErrorKind::NotRecorded);
        if !unrecordable && let Err(error) = self.audit.append(entry).await {
            tracing::error!(%error, id = %self.operation.id, "could not record an outcome");
            self.tell(OperationNews::NotRecorded(Failure::of(&error)))
                .await;
        }
        self.operation.outcome = Some(outcome);
        self.operation.finished_at = Some(self.clock.now());
        self.moved(Phase::Done).await;
    }

    /// Looks for the goal, where it shows.
    async fn see_it_through(
        &mut self,
        plan: &Plan,
        watcher: Watcher,
        after: &mut Option<Watcher>,
    ) -> Outcome {
        if let Some(request) = &plan.action.snapshot {
            self.verify_snapshots(request, watcher, after).await
        } else if let Some(request) = &plan.action.edit {
            self.verify_edit(request, watcher, after).await
        } else if let Some(request) = &plan.action.define {
            self.verify_definition(request, watcher, after).await
        } else {
            self.verify(plan, watcher, after).await
        }
    }

    /// Says how far it came, where it may have come part of the way.
    async fn after_failure(
        &self,
        plan: &Plan,
        before: Option<&[VmSnapshot]>,
        ended: Outcome,
    ) -> Outcome {
        if let Some(request) = &plan.action.snapshot {
            self.look_at_part(request, before, ended).await
        } else if let Some(request) = &plan.action.edit {
            self.look_at_edit(request, ended).await
        } else if let Some(request) = &plan.action.define {
            self.look_at_definition(request, ended).await
        } else {
            ended
        }
    }

    /// Waits for a place, looks once more, writes the intent.
    async fn start(&mut self, intent: &AuditEntry, turn: &mut Place) -> Result<Place, Outcome> {
        let Places { sending, bulk } = self.places.clone();
        let queued = async {
            // The semaphores are never closed.
            if self.submission.count > 1 {
                *turn = bulk.acquire_owned().await.ok();
            }
            sending.acquire_owned().await.ok()
        };
        let place = tokio::select! {
            biased;
            () = self.called_back() => return Err(self.never_sent()),
            place = queued => place,
        };
        let unchanged = admission::unchanged(&self.state.borrow(), &self.submission);
        unchanged.map_err(|cause| Outcome::Refused { cause })?;
        let plan = Arc::clone(&self.operation.plan);
        tokio::select! {
            biased;
            () = self.called_back() => return Err(self.never_sent()),
            looked = self.still_as_planned(&plan) => {
                looked.map_err(|cause| Outcome::Refused { cause })?;
            }
        }
        if let Err(error) = self.audit.append(intent.clone()).await {
            let cause = error.refusal("the action");
            return Err(Outcome::Refused { cause });
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

    /// Sends the commands, once, and waits until the hypervisor has accepted.
    /// The place among the host's actions is given back then.
    async fn send(&mut self, plan: &Plan, _place: Place) -> Result<Watcher, Outcome> {
        self.moved(Phase::Sending).await;
        let watcher = self.watcher(plan);
        let (reply, mut answer) = oneshot::channel();
        let (progress, mut said) = ProgressSink::new();
        let within = ACCEPTANCE + plan.action.kind.spec().deadline;
        self.session
            .send(HostCommand::Perform {
                commands: plan.commands.clone(),
                within,
                progress,
                reply,
            })
            .map_err(|cause| Outcome::Refused { cause })?;
        let mut quiet_until = Instant::now();
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut answer => break answer,
                () = self.cancel.cancelled() => {
                    return Err(unknown("nobody waited for the hypervisor's answer"));
                }
                () = report(&mut said, quiet_until) => {
                    self.advanced(&mut said).await;
                    quiet_until = Instant::now() + PROGRESS_EVERY;
                }
            }
        };
        match answer {
            Ok(Ok(())) => {
                self.operation.progress = None;
                Ok(watcher)
            }
            Ok(Err(PerformError::NotSent(cause))) => Err(Outcome::Refused { cause }),
            Ok(Err(PerformError::Lost(cause))) => Err(Outcome::Unknown { cause }),
            Ok(Err(PerformError::Driver(error))) => Err(said_no(&error)),
            Err(_) => Err(unknown("the session ended while the command ran")),
        }
    }

    /// Reads the host until the goal shows or time is up.
    async fn verify(
        &mut self,
        plan: &Plan,
        mut watcher: Watcher,
        after: &mut Option<Watcher>,
    ) -> Outcome {
        self.moved(Phase::Verifying).await;
        let accepted = Instant::now();
        let patience = self
            .submission
            .deadline
            .unwrap_or(plan.action.kind.spec().deadline);
        let deadline = accepted + patience;
        let mut reads = self.session.observations.clone();
        let (mut pause, mut ask_at) = (FIRST_PAUSE, accepted);
        let outcome = loop {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => {
                    break unknown("the hypervisor took it, then nobody waited for its effect");
                }
                seen = next_read(&mut reads, accepted) => {
                    let Some(seen) = seen else {
                        break unknown("the hypervisor took it, then the host's session ended");
                    };
                    match watcher.judge(plan, &seen) {
                        Judgement::Met => break Outcome::Confirmed,
                        Judgement::CannotBeSeen(note) => break Outcome::Accepted { note },
                        Judgement::NotYet => {}
                    }
                }
                () = tokio::time::sleep_until(deadline) => break self.late(plan, &watcher, patience),
                () = tokio::time::sleep_until(ask_at) => {
                    let full = watcher.wants_full();
                    // A full queue is no reason to give up: the next tick reads as well.
                    drop(self.session.send(HostCommand::Read { full }));
                    ask_at = Instant::now() + pause;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        };
        *after = Some(watcher);
        outcome
    }

    /// Ends what was accepted and not seen in time.
    fn late(&self, plan: &Plan, watcher: &Watcher, patience: Duration) -> Outcome {
        let state = self.state.borrow();
        let lost = state
            .host(plan.vm.host)
            .filter(|host| !host.health.is_up())
            .and_then(|host| host.health.cause());
        match (lost, &watcher.last) {
            (Some(cause), _) => Outcome::Unknown {
                cause: Failure {
                    message: format!(
                        "the hypervisor took it, then {} was lost: {}",
                        plan.host_name, cause.message
                    ),
                    ..cause.clone()
                },
            },
            (None, _) if patience.is_zero() => Outcome::Accepted {
                note: "its effect was not waited for".to_owned(),
            },
            (None, None) => unknown(&format!(
                "the hypervisor took it, but {} could not be read for {} s",
                plan.host_name,
                patience.as_secs()
            )),
            (None, Some(_)) => Outcome::Accepted {
                note: watcher.note(patience),
            },
        }
    }

    fn watcher(&self, plan: &Plan) -> Watcher {
        let state = self.state.borrow();
        let vm = state.vm(&plan.vm).map(|(_, vm)| vm.as_ref());
        let announces = state
            .host(plan.vm.host)
            .and_then(|host| host.capabilities.as_ref())
            .is_some_and(|able| able.events);
        Watcher::new(plan, vm, announces, Instant::now())
    }

    fn never_sent(&mut self) -> Outcome {
        self.operation.withdrawn = true;
        Outcome::Refused {
            cause: Failure::new(
                ErrorKind::Conflict,
                format!(
                    "cancelled before anything was sent to {}",
                    self.operation.plan.host_name
                ),
            ),
        }
    }

    /// Passes on how far the hypervisor says that it is.
    async fn advanced(&mut self, said: &mut ProgressNews) {
        self.operation
            .progress
            .clone_from(&said.borrow_and_update());
        if let Some(progress) = &self.operation.progress {
            let plan = &self.operation.plan;
            tracing::info!(
                operation = %self.operation.id,
                host = %plan.host_name,
                vm = plan.vm_name.shown(),
                percent = progress.percent,
                doing = progress.doing.as_ref().map(RemoteText::shown),
                "{}",
                plan.action.kind.spec().doing,
            );
        }
        self.moved(self.operation.phase).await;
    }

    pub(super) async fn moved(&mut self, phase: Phase) {
        self.operation.phase = phase;
        let operation = Box::new(self.operation.clone());
        self.tell(OperationNews::Moved(operation)).await;
    }

    async fn tell(&self, news: OperationNews) {
        if self.news.send(news).await.is_err() {
            tracing::debug!("the fleet has ended");
        }
    }
}

/// Waits for the next report, not before `not_before`; one that will never tell again is not waited
/// for.
async fn report(said: &mut ProgressNews, not_before: Instant) {
    if said.changed().await.is_err() {
        return std::future::pending().await;
    }
    tokio::time::sleep_until(not_before).await;
}

/// Waits for the next read that began after `since`; `None` when there will be none.
pub(super) async fn next_read(
    reads: &mut watch::Receiver<Option<Observation>>,
    since: Instant,
) -> Option<Observation> {
    loop {
        reads.changed().await.ok()?;
        let seen = reads.borrow_and_update().clone();
        if let Some(seen) = seen.filter(|seen| seen.began >= since) {
            return Some(seen);
        }
    }
}

pub(super) fn unknown(why: &str) -> Outcome {
    Outcome::Unknown {
        cause: Failure::new(ErrorKind::Timeout, why)
            .with_hint("look at the VM: the next read tells what is true now"),
    }
}

/// Tells a refusal by the hypervisor from not knowing whether it was done.
pub(super) fn said_no(error: &HypervisorError) -> Outcome {
    let cause = Failure::of(error);
    match error {
        // Its time ran out at the host: it may still come to pass.
        HypervisorError::Refused { kind, .. } if *kind == ErrorKind::Timeout => {
            Outcome::Unknown { cause }
        }
        HypervisorError::Remote { .. }
        | HypervisorError::Refused { .. }
        | HypervisorError::Permission { .. }
        | HypervisorError::NotRunning { .. }
        | HypervisorError::ToolMissing { .. }
        | HypervisorError::Unsupported { .. }
        // No channel, no command.
        | HypervisorError::Transport(
            TransportError::Channel { .. }
            | TransportError::Resolve { .. }
            | TransportError::Dial { .. }
            | TransportError::Handshake { .. }
            | TransportError::HostKey(_)
            | TransportError::KnownHosts { .. }
            | TransportError::Command(_)
            | TransportError::Auth { .. }
            | TransportError::Credential { .. },
        ) => Outcome::Failed { cause },
        HypervisorError::Unparsable { .. }
        | HypervisorError::Transport(
            TransportError::Timeout { .. }
            | TransportError::Lost { .. }
            | TransportError::Protocol { .. },
        ) => Outcome::Unknown { cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::test_fleet::now;

    #[test]
    fn ids_sort_by_time_even_within_a_millisecond_and_when_the_clock_goes_back() {
        let mut ids = OperationIds::default();
        let mut made: Vec<OperationId> = (0..300).map(|_| ids.next(now())).collect();
        made.push(ids.next(now() - Duration::from_secs(60)));
        made.push(ids.next(now() + Duration::from_secs(1)));
        assert!(made.is_sorted());
        let unique: std::collections::BTreeSet<_> = made.iter().collect();
        assert_eq!(unique.len(), made.len());
    }

    #[test]
    fn only_what_surely_did_not_happen_has_failed() {
        let lost = TransportError::Lost {
            reason: "reset".into(),
        };
        let full = TransportError::Channel {
            reason: "too many".into(),
        };
        let late = TransportError::Timeout {
            what: "virsh",
            after: Duration::from_secs(60),
        };
        let remote = HypervisorError::Remote {
            program: "virsh".into(),
            status: Some(1),
            said: RemoteText::new("no"),
        };
        let odd = HypervisorError::Unparsable {
            program: "virsh".into(),
            what: "no prompt".into(),
            said: RemoteText::new("?"),
        };
        for (error, word) in [
            (remote, "failed"),
            (full.into(), "failed"),
            (lost.into(), "unknown"),
            (late.into(), "unknown"),
            (odd, "unknown"),
        ] {
            assert_eq!(said_no(&error).word(), word, "{error}");
        }
    }
}
