//! `FleetHandle`: the whole API that front ends know.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::console::{Console, ConsoleWish};
use super::credential::{CredentialRequest, NewSecret};
use super::graphics::Graphics;
use super::guest::GuestWish;
use super::import::Importable;
use super::lift::LiftRequest;
use super::request::{
    ErrorRecord, Finding, HostSelection, KeyDecision, LogRequest, Proposal, ReachRequest, Reply,
    Request, StoreRequest,
};
use super::rotation::{Finished, RotationPlan, RotationRequest};
use super::shell::GuestKey;
use crate::domain::action::Action;
use crate::domain::audit::{AuditPage, AuditPlace, AuditRecord};
use crate::domain::console::KeyStrokes;
use crate::domain::credential::{CredentialName, CredentialSummary};
use crate::domain::definition::DefinitionText;
use crate::domain::edit::VmSettings;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::event::{CommandRecord, FleetEvent};
use crate::domain::guest_command::{GuestProposal, GuestResult, GuestSubmission};
use crate::domain::host::{HostId, HostName, HostSpec};
use crate::domain::host_key::HostKeyQuestion;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::metrics::VmMetrics;
use crate::domain::operation::{Actor, Operation, OperationId, Submission};
use crate::domain::picture::Picture;
use crate::domain::preference::Preferences;
use crate::domain::recording::Recording;
use crate::domain::secret::SecretText;
use crate::domain::snapshot::VmSnapshot;
use crate::domain::store::{HostStores, StoreRef};
use crate::domain::store_action::{StoreProposal, StoreResult, StoreSubmission, StoreVerb};
use crate::domain::vm::{VmDetail, VmRef};

/// Requests that may wait at the engine; a front end that fills it is told `Busy`.
pub const REQUEST_QUEUE: usize = 64;

/// Events kept for a slow reader before it has to catch up from the snapshot.
pub const EVENT_QUEUE: usize = 256;

/// How long a front end waits for a place in the request queue.
const QUEUE_PATIENCE: Duration = Duration::from_secs(2);

/// A front end's door to the fleet. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct FleetHandle {
    requests: mpsc::Sender<Request>,
    snapshots: watch::Receiver<Arc<FleetSnapshot>>,
    events: broadcast::Sender<FleetEvent>,
    /// Who asks through this door, for the records of changes.
    actor: Option<Actor>,
}

impl FleetHandle {
    /// Joins the ends that an engine (or a test) listens on.
    pub const fn new(
        requests: mpsc::Sender<Request>,
        snapshots: watch::Receiver<Arc<FleetSnapshot>>,
        events: broadcast::Sender<FleetEvent>,
    ) -> Self {
        Self {
            requests,
            snapshots,
            events,
            actor: None,
        }
    }

    /// Says who asks through this door from now on: changes of the profile are recorded under that name.
    #[must_use]
    pub fn acting_as(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Returns the newest state.
    pub fn snapshot(&self) -> Arc<FleetSnapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Follows the state; newest wins.
    pub fn watch(&self) -> watch::Receiver<Arc<FleetSnapshot>> {
        self.snapshots.clone()
    }

    /// Follows what happens; a slow reader loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<FleetEvent> {
        self.events.subscribe()
    }

    /// Waits until the state satisfies a condition; `None` when the fleet has ended.
    pub async fn wait_until(
        &self,
        condition: impl FnMut(&Arc<FleetSnapshot>) -> bool,
    ) -> Option<Arc<FleetSnapshot>> {
        let mut watch = self.watch();
        watch
            .wait_for(condition)
            .await
            .ok()
            .map(|state| Arc::clone(&state))
    }

    /// Makes a plan and says what must be agreed to.
    pub async fn plan(
        &self,
        vm: VmRef,
        action: Action,
        actor: Actor,
        count: usize,
    ) -> Result<Proposal, Failure> {
        self.ask(|reply| Request::Plan {
            vm,
            action,
            actor,
            count,
            reply,
        })
        .await
    }

    /// Runs a plan; returns as soon as it is admitted and its intent is on its way to the log.
    pub async fn submit(&self, submission: Submission) -> Result<OperationId, Failure> {
        let submission = Box::new(submission);
        self.ask(|reply| Request::Submit { submission, reply })
            .await
    }

    /// Waits for an operation to end.
    pub async fn outcome(&self, id: &OperationId) -> Result<Arc<Operation>, Failure> {
        let find =
            |state: &Arc<FleetSnapshot>| state.operations.iter().find(|op| op.id == *id).cloned();
        // It was shown before its id was given out: one that is not there any more is over.
        let over = |state: &Arc<FleetSnapshot>| find(state).is_none_or(|it| it.is_finished());
        let state = self.wait_until(over).await.ok_or_else(ended)?;
        find(&state).ok_or_else(|| {
            Failure::new(
                ErrorKind::NotFound,
                format!("operation {id} ended too long ago"),
            )
            .with_hint("how it ended is in the audit log")
        })
    }

    /// Stops waiting for an operation; what was sent stays sent.
    pub async fn cancel(&self, operation: OperationId) -> Result<(), Failure> {
        self.ask(|reply| Request::Cancel { operation, reply }).await
    }

    /// Calls back operations of which nothing was sent yet; returns how many still waited for their turn.
    /// One that is being sent goes on.
    pub async fn withdraw(&self, operations: Vec<OperationId>) -> Result<usize, Failure> {
        self.ask(|reply| Request::Withdraw { operations, reply })
            .await
    }

    /// Starts the sessions of hosts that have none.
    pub async fn connect(&self, hosts: HostSelection) -> Result<(), Failure> {
        self.ask(|reply| Request::Connect { hosts, reply }).await
    }

    /// Ends the session of a host.
    pub async fn disconnect(&self, host: HostId) -> Result<(), Failure> {
        self.ask(|reply| Request::Disconnect { host, reply }).await
    }

    /// Reads now; a host that is waiting or stopped tries to connect now.
    pub async fn refresh(&self, hosts: HostSelection) -> Result<(), Failure> {
        self.ask(|reply| Request::Refresh { hosts, reply }).await
    }

    /// Reads states and figures once more; hosts that are not connected stay as they are.
    pub async fn read_again(&self, hosts: HostSelection) -> Result<(), Failure> {
        self.ask(|reply| Request::ReadAgain { hosts, reply }).await
    }

    /// Says which hosts are looked at: the others are read less often, all of them again with
    /// [`HostSelection::All`], which is also how a fleet starts.
    pub async fn focus(&self, hosts: HostSelection) -> Result<(), Failure> {
        self.ask(|reply| Request::Focus { hosts, reply }).await
    }

    /// Reads everything about one VM.
    pub async fn detail(&self, vm: VmRef) -> Result<Arc<VmDetail>, Failure> {
        self.ask(|reply| Request::Detail { vm, reply }).await
    }

    /// Returns the figures of one VM over the last quarter of an hour; `None` when it had none lately.
    pub async fn metrics(&self, vm: VmRef) -> Result<Option<VmMetrics>, Failure> {
        self.ask(|reply| Request::Metrics { vm, reply }).await
    }

    /// Reads the snapshots of one VM, parents before children.
    pub async fn snapshots(&self, vm: VmRef) -> Result<Arc<[VmSnapshot]>, Failure> {
        self.ask(|reply| Request::Snapshots { vm, reply }).await
    }

    /// Reads what one VM is set up with, now: what an edit is made from.
    pub async fn settings(&self, vm: VmRef) -> Result<VmSettings, Failure> {
        self.ask(|reply| Request::Settings { vm, reply }).await
    }

    /// Reads the definition of one VM as its host keeps it, passwords hidden: what is edited by hand.
    pub async fn definition(&self, vm: VmRef) -> Result<DefinitionText, Failure> {
        self.ask(|reply| Request::Definition { vm, reply }).await
    }

    /// Reads storage and networks of one host, with who uses them.
    pub async fn stores(&self, host: HostId) -> Result<Arc<HostStores>, Failure> {
        self.ask(|reply| Request::Store(StoreRequest::Read { host, reply }))
            .await
    }

    /// Makes a plan for a pool or a network, from a read of its own.
    pub async fn plan_store(
        &self,
        target: StoreRef,
        verb: StoreVerb,
        actor: Actor,
    ) -> Result<StoreProposal, Failure> {
        self.ask(|reply| {
            Request::Store(StoreRequest::Plan {
                target,
                verb,
                actor,
                reply,
            })
        })
        .await
    }

    /// Runs such a plan and waits until it is over.
    pub async fn run_store(&self, submission: StoreSubmission) -> Result<StoreResult, Failure> {
        let submission = Box::new(submission);
        self.ask(|reply| Request::Store(StoreRequest::Run { submission, reply }))
            .await
    }

    /// Takes a picture of a VM's screen.
    pub async fn screen(&self, vm: VmRef) -> Result<Arc<Picture>, Failure> {
        self.ask(|reply| Request::Reach(ReachRequest::Screen { vm, reply }))
            .await
    }

    /// Brings a VM's graphical display to this machine, for as long as the answer is held.
    pub async fn graphics(&self, vm: VmRef, actor: Actor) -> Result<Graphics, Failure> {
        self.ask(|reply| Request::Reach(ReachRequest::Graphics { vm, actor, reply }))
            .await
    }

    /// Makes the plan of a program in a VM and says what must be agreed to.
    pub async fn plan_guest(&self, wish: GuestWish) -> Result<GuestProposal, Failure> {
        let wish = Box::new(wish);
        self.ask(|reply| Request::Reach(ReachRequest::PlanGuest { wish, reply }))
            .await
    }

    /// Runs such a plan; returns when it is over.
    pub async fn run_guest(&self, submission: GuestSubmission) -> Result<GuestResult, Failure> {
        let submission = Box::new(submission);
        self.ask(|reply| Request::Reach(ReachRequest::RunGuest { submission, reply }))
            .await
    }

    /// Decides about the key of a VM's SSH server.
    pub async fn decide_guest_key(&self, key: GuestKey) -> Result<(), Failure> {
        let key = Box::new(key);
        self.ask(|reply| Request::Reach(ReachRequest::Key { key, reply }))
            .await
    }

    /// Presses keys of a VM's keyboard.
    pub async fn send_keys(
        &self,
        vm: VmRef,
        keys: KeyStrokes,
        actor: Actor,
    ) -> Result<(), Failure> {
        self.ask(|reply| {
            Request::Reach(ReachRequest::Keys {
                vm,
                keys,
                actor,
                reply,
            })
        })
        .await
    }

    /// Opens the serial console of a VM; what comes out of it waits until it is taken.
    pub async fn open_console(&self, wish: ConsoleWish) -> Result<Console, Failure> {
        let wish = Box::new(wish);
        self.ask(|reply| Request::Reach(ReachRequest::Console { wish, reply }))
            .await
    }

    /// Returns the commands sent lately, oldest first.
    pub async fn command_log(&self, host: Option<HostId>) -> Result<Vec<CommandRecord>, Failure> {
        self.ask(|reply| Request::CommandLog { host, reply }).await
    }

    /// Returns the errors seen lately, oldest first.
    pub async fn errors(&self) -> Result<Vec<ErrorRecord>, Failure> {
        self.ask(|reply| Request::Errors { reply }).await
    }

    /// Puts a failure of a front end into the error log.
    pub async fn note_error(&self, cause: Failure) -> Result<(), Failure> {
        self.ask(|reply| Request::Log(LogRequest::Note { cause, reply }))
            .await
    }

    /// Checks a host step by step.
    pub async fn doctor(&self, host: HostId) -> Result<Vec<Finding>, Failure> {
        self.ask(|reply| Request::Doctor { host, reply }).await
    }

    /// Records what a host answers to questions that change nothing, with stand-ins for what is private.
    pub async fn record(&self, host: HostId) -> Result<Recording, Failure> {
        self.ask(|reply| Request::Record { host, reply }).await
    }

    /// Returns some records of the audit log before a place, or before its end, oldest first.
    pub async fn audit_page(
        &self,
        vm: Option<VmRef>,
        before: Option<AuditPlace>,
        limit: usize,
    ) -> Result<AuditPage, Failure> {
        self.ask(|reply| {
            Request::Log(LogRequest::AuditPage {
                vm,
                before,
                limit,
                reply,
            })
        })
        .await
    }

    /// Returns the last records of the audit log, oldest first.
    pub async fn audit_tail(
        &self,
        limit: usize,
        vm: Option<VmRef>,
    ) -> Result<Vec<AuditRecord>, Failure> {
        self.ask(|reply| Request::AuditTail { limit, vm, reply })
            .await
    }

    /// Adds a host (id 0) or changes one.
    pub async fn upsert_host(&self, spec: HostSpec) -> Result<HostId, Failure> {
        let (spec, actor) = (Box::new(spec), self.actor.clone());
        self.ask(|reply| Request::UpsertHost { spec, actor, reply })
            .await
    }

    /// Forgets a host.
    pub async fn remove_host(&self, host: HostId) -> Result<(), Failure> {
        let actor = self.actor.clone();
        self.ask(|reply| Request::RemoveHost { host, actor, reply })
            .await
    }

    /// Decides about a host key that was shown.
    pub async fn answer_host_key(
        &self,
        host: HostId,
        question: HostKeyQuestion,
        decision: KeyDecision,
    ) -> Result<(), Failure> {
        let (question, actor) = (Box::new(question), self.actor.clone());
        self.ask(|reply| Request::AnswerHostKey {
            host,
            question,
            decision,
            actor,
            reply,
        })
        .await
    }

    /// Opens the profile's secrets.
    pub async fn unlock(&self, passphrase: SecretText) -> Result<(), Failure> {
        let actor = self.actor.clone();
        self.ask(|reply| Request::Unlock {
            passphrase,
            actor,
            reply,
        })
        .await
    }

    /// Forgets the opened secrets.
    pub async fn lock(&self) -> Result<(), Failure> {
        self.ask(|reply| Request::Lock { reply }).await
    }

    /// Returns what may be shown of the credentials.
    pub async fn credentials(&self) -> Result<Vec<CredentialSummary>, Failure> {
        self.ask(|reply| Request::Credentials { reply }).await
    }

    /// Seals and keeps a credential. Needs no unlocked profile, but one that has a passphrase.
    pub async fn add_credential(
        &self,
        name: CredentialName,
        secret: NewSecret,
    ) -> Result<CredentialSummary, Failure> {
        let actor = self.actor.clone();
        self.ask(|reply| {
            Request::Credential(CredentialRequest::Add {
                name,
                secret,
                actor,
                reply,
            })
        })
        .await
    }

    /// Removes a credential that no host uses.
    pub async fn remove_credential(&self, name: CredentialName) -> Result<(), Failure> {
        let actor = self.actor.clone();
        self.ask(|reply| Request::Credential(CredentialRequest::Remove { name, actor, reply }))
            .await
    }

    /// Lifts the read-only that hosts have by their own flag, for a while; nothing ends it now.
    pub async fn lift_read_only(
        &self,
        hosts: Vec<HostId>,
        lasting: Duration,
    ) -> Result<(), Failure> {
        let actor = self.actor.clone();
        self.ask(|reply| {
            Request::Lift(LiftRequest {
                hosts,
                lasting,
                actor,
                reply,
            })
        })
        .await
    }

    /// Returns the hosts that the SSH client's configuration names, as it was read at the start.
    pub async fn importable(&self) -> Result<Vec<Importable>, Failure> {
        self.ask(|reply| Request::Importable { reply }).await
    }

    /// Says what giving a credential a new key would do. Sends nothing.
    pub async fn plan_rotation(
        &self,
        credential: CredentialName,
        hosts: Vec<HostName>,
    ) -> Result<RotationPlan, Failure> {
        self.ask(|reply| {
            Request::Rotation(RotationRequest::Plan {
                credential,
                hosts,
                reply,
            })
        })
        .await
    }

    /// Moves one host to another key, and returns what was done: to `to`, or to the successor of `credential`,
    /// which is made where it is not there.
    pub async fn move_host(
        &self,
        host: HostId,
        credential: Option<CredentialName>,
        to: Option<CredentialName>,
    ) -> Result<Vec<String>, Failure> {
        let actor = self.actor.clone();
        self.ask(|reply| {
            Request::Rotation(RotationRequest::Move {
                host,
                credential,
                to,
                actor,
                reply,
            })
        })
        .await
    }

    /// Takes the key of a credential away from a host that logs in with another one.
    pub async fn retire_key(
        &self,
        host: HostId,
        credential: CredentialName,
    ) -> Result<String, Failure> {
        let actor = self.actor.clone();
        self.ask(|reply| {
            Request::Rotation(RotationRequest::Retire {
                host,
                credential,
                actor,
                reply,
            })
        })
        .await
    }

    /// Gives the new key of a credential its name, once no host uses the old one.
    pub async fn finish_rotation(
        &self,
        credential: CredentialName,
        keep_old: bool,
    ) -> Result<Finished, Failure> {
        let actor = self.actor.clone();
        self.ask(|reply| {
            Request::Rotation(RotationRequest::Finish {
                credential,
                keep_old,
                actor,
                reply,
            })
        })
        .await
    }

    /// Returns what a person has set up on the screen, by name.
    pub async fn preferences(&self) -> Result<Preferences, Failure> {
        self.ask(|reply| Request::Preferences { reply }).await
    }

    /// Keeps something a person has set up on the screen, or forgets it.
    pub async fn remember(&self, name: String, value: Option<String>) -> Result<(), Failure> {
        self.ask(|reply| Request::Remember { name, value, reply })
            .await
    }

    /// Switches read-only mode.
    pub async fn set_read_only(&self, on: bool) -> Result<(), Failure> {
        self.ask(|reply| Request::SetReadOnly { on, reply }).await
    }

    /// Ends the fleet in order; returns how many operations were left as unknown.
    pub async fn shutdown(&self, grace: Duration) -> Result<usize, Failure> {
        self.ask(|reply| Request::Shutdown { grace, reply }).await
    }

    pub(super) async fn ask<T>(
        &self,
        make: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        match tokio::time::timeout(QUEUE_PATIENCE, self.requests.send(make(reply))).await {
            Ok(Ok(())) => answer.await.unwrap_or_else(|_| Err(ended())),
            Ok(Err(_)) => Err(ended()),
            Err(_) => Err(
                Failure::new(ErrorKind::Busy, "the fleet is too busy to take a request")
                    .with_hint("try again in a moment"),
            ),
        }
    }
}

fn ended() -> Failure {
    Failure::new(ErrorKind::Internal, "the fleet has ended")
}
