//! Answers requests: what can be answered from the state at once, the rest by a task that answers
//! later. Nothing here waits.

use std::sync::Arc;

use super::admission;
use super::doctor;
use super::engine::{Engine, Reins};
use super::import::Importable;
use super::operation::Runner;
use super::plan;
use super::record;
use super::recorder;
use super::request::{HostSelection, KeyDecision, Proposal, ReachRequest, Reply, Request};
use super::roster::no_such_host;
use crate::domain::action::Action;
use crate::domain::audit::AuditRecord;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::health::HostHealth;
use crate::domain::host::{HostId, HostSpec};
use crate::domain::host_key::{HostKeyQuestion, HostKeyVerdict};
use crate::domain::operation::{Actor, Operation, OperationId, Phase, Submission};
use crate::domain::policy::Verdict;
use crate::domain::recording::Recording;
use crate::domain::vm::{VmId, VmRef};
use crate::session::{HostCommand, SessionHandle};
use crate::task::send_or_gone;

impl Engine {
    /// Reaches into a VM.
    fn reach(&mut self, wanted: ReachRequest) {
        match wanted {
            ReachRequest::Console { wish, reply } => self.open_console(*wish, reply),
            ReachRequest::Screen { vm, reply } => self.look_at_screen(&vm, reply),
            ReachRequest::Graphics { vm, actor, reply } => {
                self.open_graphics((&vm, actor), reply);
            }
            ReachRequest::PlanGuest { wish, reply } => self.plan_guest(*wish, reply),
            ReachRequest::RunGuest { submission, reply } => self.run_guest(&submission, reply),
            ReachRequest::Key { key, reply } => self.decide_guest_key(*key, reply),
            ReachRequest::Keys {
                vm,
                keys,
                actor,
                reply,
            } => self.send_keys(&vm, &keys, (actor, reply)),
        }
    }

    /// Answers one request, now or later.
    pub(super) fn answer(&mut self, request: Request) {
        // Somebody is there: the vault's idle time starts again.
        self.keeper.vault.touch();
        match request {
            Request::Plan {
                vm,
                action,
                actor,
                count,
                reply,
            } => send_or_gone(reply, self.propose(&vm, &action, &actor, count)),
            Request::Submit { submission, reply } => self.submit(*submission, reply),
            Request::Cancel { operation, reply } => {
                send_or_gone(reply, self.cancel(&operation));
            }
            Request::Withdraw { operations, reply } => {
                send_or_gone(reply, Ok(self.withdraw(&operations)));
            }
            Request::Connect { hosts, reply } => {
                send_or_gone(reply, self.connect(&hosts, false));
            }
            Request::Disconnect { host, reply } => send_or_gone(reply, self.disconnect(host)),
            Request::Refresh { hosts, reply } => send_or_gone(reply, self.connect(&hosts, true)),
            Request::ReadAgain { hosts, reply } => {
                send_or_gone(reply, self.read_once_more(&hosts));
            }
            Request::Focus { hosts, reply } => {
                self.focus(hosts);
                send_or_gone(reply, Ok(()));
            }
            Request::Detail { vm, reply } => {
                self.ask_session(vm, reply, |vm, reply| HostCommand::Detail { vm, reply });
            }
            Request::Metrics { vm, reply } => {
                send_or_gone(reply, Ok(self.state.metrics.of(&vm).cloned()));
            }
            Request::Snapshots { vm, reply } => {
                self.ask_session(vm, reply, |vm, reply| HostCommand::Snapshots { vm, reply });
            }
            Request::Settings { vm, reply } => {
                self.ask_session(vm, reply, |vm, reply| HostCommand::Settings { vm, reply });
            }
            Request::Definition { vm, reply } => {
                self.ask_session(vm, reply, |vm, reply| HostCommand::Definition { vm, reply });
            }
            Request::Store(request) => self.answer_store(request),
            Request::Reach(wanted) => self.reach(wanted),
            Request::CommandLog { host, reply } => self.commands_sent(host, reply),
            Request::Own(request) => self.answer_own(request),
            Request::Errors { reply } => send_or_gone(reply, Ok(self.state.errors.records())),
            Request::Log(request) => self.answer_log(request),
            Request::Doctor { host, reply } => self.examine(host, reply),
            Request::Record { host, reply } => self.record(host, reply),
            Request::AuditTail { limit, vm, reply } => self.audit_tail(limit, vm, reply),
            Request::UpsertHost { spec, actor, reply } => {
                let keeping = self.keeper.clone().by(actor).upsert(*spec, reply);
                self.groups.jobs.spawn("upsert host", keeping);
            }
            Request::RemoveHost { host, actor, reply } => self.remove_host(host, actor, reply),
            Request::AnswerHostKey {
                host,
                question,
                decision,
                actor,
                reply,
            } => self.decide_key(host, *question, decision, (actor, reply)),
            Request::Unlock {
                passphrase,
                actor,
                reply,
            } => {
                let unlocking = self.keeper.clone().by(actor).unlock(passphrase, reply);
                self.groups.jobs.spawn("unlock", unlocking);
            }
            Request::Lock { reply } => {
                self.keeper.vault.lock();
                self.look_at_vault();
                self.publish();
                send_or_gone(reply, Ok(()));
            }
            Request::Credentials { reply } => {
                self.job("credentials", self.keeper.clone().credentials(reply));
            }
            Request::Credential(request) => {
                self.job("credential", self.keeper.clone().credential(request));
            }
            Request::Importable { reply } => self.importable(reply),
            Request::Lift(request) => self.lift(request),
            Request::Rotation(request) => self.rotation(request),
            Request::Preferences { reply } => {
                self.job("preferences", self.keeper.clone().preferences(reply));
            }
            Request::Remember { name, value, reply } => {
                let keeping = self.keeper.clone().remember(name, value, reply);
                self.job("remember", keeping);
            }
            Request::SetReadOnly { on, reply } => send_or_gone(reply, self.set_read_only(on)),
            Request::Shutdown { grace, reply } => self.stop(grace, Some(reply)),
        }
    }

    fn audit_tail(&self, limit: usize, vm: Option<VmRef>, reply: Reply<Vec<AuditRecord>>) {
        let host = vm
            .as_ref()
            .and_then(|vm| self.state.host(vm.host))
            .map(|host| host.spec.name.to_string());
        let reading = self.keeper.clone().audit_tail(limit, vm, host, reply);
        self.job("audit tail", reading);
    }

    /// Starts the slow half of a request; it answers by itself.
    pub(super) fn job(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.groups.jobs.spawn(name, work);
    }

    fn propose(
        &self,
        vm: &VmRef,
        action: &Action,
        actor: &Actor,
        count: usize,
    ) -> Result<Proposal, Failure> {
        let now = self.clock().now();
        let view = self.state.view(now);
        let verdict = admission::decide(&view, vm, action, actor, count, now);
        let verdict = verdict.inspect_err(|refusal| self.read_again(vm, refusal))?;
        let plan = plan::make(&view, self.context.drivers.as_ref(), vm, action)?;
        Ok(Proposal { plan, verdict })
    }

    /// A refusal for old knowledge is the reason to renew it: the next try finds it fresh.
    fn read_again(&self, vm: &VmRef, refusal: &Failure) {
        if refusal.kind == ErrorKind::Conflict
            && let Some(session) = self.roster.session(vm.host)
            && let Err(cause) = session.send(HostCommand::Read { full: false })
        {
            tracing::debug!(%cause, "could not ask for a read");
        }
    }

    fn submit(&mut self, submission: Submission, reply: Reply<OperationId>) {
        match self.admit(&submission) {
            Ok((verdict, session)) => {
                let id = self.start_operation(submission, verdict, session);
                send_or_gone(reply, Ok(id));
            }
            Err(cause) => {
                self.read_again(&submission.plan.vm, &cause);
                let now = self.clock().now();
                let entry = record::refusal(&submission.plan, &submission.actor, &cause, now);
                let recording = self.keeper.clone().record_refusal(entry);
                self.groups.jobs.spawn("record refusal", recording);
                send_or_gone(reply, Err(cause));
            }
        }
    }

    fn admit(&self, submission: &Submission) -> Result<(Verdict, SessionHandle), Failure> {
        if self.stopping.is_some() {
            return Err(Failure::new(ErrorKind::Busy, "the program is ending"));
        }
        let now = self.clock().now();
        let view = self.state.view(now);
        let verdict = admission::admit(&view, submission, now)?;
        let shown = &submission.plan;
        let drivers = self.context.drivers.as_ref();
        let current = plan::make(&view, drivers, &shown.vm, &shown.action)?;
        if !plan::is_same(shown, &current) {
            return Err(Failure::new(
                ErrorKind::Conflict,
                "what would be run is not what was shown",
            )
            .with_hint("look at the new plan, then decide again"));
        }
        let session = self.roster.session(shown.vm.host).cloned();
        let session = session.ok_or_else(|| {
            Failure::new(
                ErrorKind::Unreachable,
                format!("{} is not connected", shown.host_name),
            )
        })?;
        Ok((verdict, session))
    }

    fn start_operation(
        &mut self,
        submission: Submission,
        verdict: Verdict,
        session: SessionHandle,
    ) -> OperationId {
        let now = self.clock().now();
        let id = self.ids.next(now);
        let operation = Operation {
            id: id.clone(),
            plan: Arc::new(submission.plan.clone()),
            actor: submission.actor.clone(),
            phase: Phase::Queued,
            progress: None,
            outcome: None,
            started_at: now,
            finished_at: None,
            state_after: None,
            withdrawn: false,
        };
        self.state.put_operation(operation.clone());
        let Reins { cancel, withdraw } = self.reins.entry(id.clone()).or_default().clone();
        let runner = Runner {
            operation,
            rule: verdict.rule,
            session,
            places: self.roster.places(submission.plan.vm.host),
            submission,
            state: self.snapshots.subscribe(),
            audit: self.keeper.audit.clone(),
            clock: self.clock().clone(),
            news: self.operation_news.clone(),
            cancel,
            withdraw,
        };
        // The operation looks at snapshots: it must not find one from before its own admission.
        self.publish();
        self.groups.operations.spawn("operation", runner.run());
        id
    }

    fn cancel(&self, id: &OperationId) -> Result<(), Failure> {
        if let Some(reins) = self.reins.get(id) {
            reins.cancel.cancel();
            return Ok(());
        }
        let is_known = self.state.operation(id).is_some() || self.state.store_operations.knows(id);
        Err(if is_known {
            Failure::new(ErrorKind::Conflict, "the operation has ended already")
        } else {
            Failure::new(ErrorKind::NotFound, format!("there is no operation {id}"))
        })
    }

    /// Calls back those that have not begun; one that begins meanwhile goes on. Returns how many still
    /// waited for their turn.
    fn withdraw(&self, ids: &[OperationId]) -> usize {
        let waiting = ids.iter().filter(|id| {
            let queued = self.state.operation(id);
            queued.is_some_and(|operation| operation.phase == Phase::Queued)
                || self.state.store_operations.is_queued(id)
        });
        let called = waiting.filter_map(|id| self.reins.get(id));
        called.inspect(|reins| reins.withdraw.cancel()).count()
    }

    /// Passes a question about one VM on to its host's session.
    fn ask_session<T>(
        &self,
        vm: VmRef,
        reply: Reply<T>,
        command: impl FnOnce(VmId, Reply<T>) -> HostCommand,
    ) {
        self.ask_host(vm.host, reply, |reply| command(vm.vm, reply));
    }

    /// Passes a question on to a host's session.
    pub(super) fn ask_host<T>(
        &self,
        host: HostId,
        reply: Reply<T>,
        command: impl FnOnce(Reply<T>) -> HostCommand,
    ) {
        let place = self
            .roster
            .session(host)
            .ok_or_else(|| {
                Failure::new(ErrorKind::Unreachable, "the host is not connected")
                    .with_hint("connect to it first")
            })
            .and_then(SessionHandle::place);
        match place {
            Ok(place) => place.send(command(reply)),
            Err(cause) => send_or_gone(reply, Err(cause)),
        }
    }

    fn examine(&self, host: HostId, reply: Reply<Vec<super::request::Finding>>) {
        let Some(known) = self.state.host(host) else {
            return send_or_gone(reply, Err(no_such_host()));
        };
        let spec = Arc::clone(&known.spec);
        let context = Arc::clone(&self.context);
        self.groups.jobs.spawn("doctor", async move {
            send_or_gone(reply, Ok(doctor::examine(&context, &spec).await));
        });
    }

    fn record(&self, host: HostId, reply: Reply<Recording>) {
        let Some(known) = self.state.host(host) else {
            return send_or_gone(reply, Err(no_such_host()));
        };
        let spec = Arc::clone(&known.spec);
        let context = Arc::clone(&self.context);
        self.groups.jobs.spawn("recorder", async move {
            send_or_gone(reply, recorder::record(&context, &spec).await);
        });
    }

    fn importable(&self, reply: Reply<Vec<Importable>>) {
        send_or_gone(reply, self.keeper.targets.importable());
    }

    fn remove_host(&self, host: HostId, actor: Option<Actor>, reply: Reply<()>) {
        let Some(known) = self.state.host(host) else {
            return send_or_gone(reply, Err(no_such_host()));
        };
        if let Some(running) = self.state.running().find(|op| op.plan.vm.host == host) {
            let message = format!("an operation on {} is still running", running.plan.vm_name);
            let cause = Failure::new(ErrorKind::Busy, message)
                .with_hint("wait for it to end, or cancel it");
            return send_or_gone(reply, Err(cause));
        }
        let keeper = self.keeper.clone().by(actor);
        let removing = keeper.remove(Arc::clone(&known.spec), reply);
        self.groups.jobs.spawn("remove host", removing);
    }

    fn decide_key(
        &self,
        host: HostId,
        question: HostKeyQuestion,
        decision: KeyDecision,
        (actor, reply): (Option<Actor>, Reply<()>),
    ) {
        match self.key_in_question(host, &question, decision) {
            Ok(spec) => {
                let keeper = self.keeper.clone().by(actor);
                let deciding = keeper.decide_key(spec, question, decision, reply);
                self.job("decide key", deciding);
            }
            Err(cause) => send_or_gone(reply, Err(cause)),
        }
    }

    /// A decision holds for the very key that is in question. A changed one wants to be replaced in so
    /// many words; a revoked one is never taken.
    fn key_in_question(
        &self,
        host: HostId,
        question: &HostKeyQuestion,
        decision: KeyDecision,
    ) -> Result<Arc<HostSpec>, Failure> {
        let known = self.state.host(host).ok_or_else(no_such_host)?;
        let asked = match &known.health {
            HostHealth::NeedsOperator {
                question: Some(asked),
                ..
            } => asked,
            HostHealth::NeedsOperator {
                cause,
                question: None,
            } if cause.kind == ErrorKind::HostKey => {
                return Err(Failure::new(
                    ErrorKind::Conflict,
                    format!(
                        "the question about the key of {} is over: nobody answered in time",
                        known.spec.name
                    ),
                )
                .with_hint("refresh the host to be asked again"));
            }
            HostHealth::NeedsOperator { .. }
            | HostHealth::Disabled
            | HostHealth::Connecting { .. }
            | HostHealth::Online
            | HostHealth::Degraded { .. }
            | HostHealth::Offline { .. } => {
                return Err(Failure::new(
                    ErrorKind::Conflict,
                    format!("no key of {} is in question any more", known.spec.name),
                ));
            }
        };
        if asked.label != question.label || asked.key != question.key {
            return Err(Failure::new(
                ErrorKind::Conflict,
                format!("{} shows another key by now: {}", asked.label, asked.key),
            )
            .with_hint("compare the new fingerprint before you decide"));
        }
        let name = &known.spec.name;
        match (&asked.verdict, decision) {
            (HostKeyVerdict::Unknown | HostKeyVerdict::Known, _)
            | (HostKeyVerdict::Changed { .. }, KeyDecision::Replace)
            | (_, KeyDecision::Leave) => Ok(Arc::clone(&known.spec)),
            (HostKeyVerdict::Changed { .. }, KeyDecision::Accept) => Err(Failure::new(
                ErrorKind::HostKey,
                format!(
                    "the key of {} has changed: that is not accepted with a yes",
                    asked.label
                ),
            )
            .with_hint(format!(
                "if the host was set up anew, run `vmdeck host trust {name} --replace`"
            ))),
            (HostKeyVerdict::Revoked { .. }, KeyDecision::Accept | KeyDecision::Replace) => {
                Err(Failure::new(
                    ErrorKind::HostKey,
                    format!("this key of {} is marked as revoked", asked.label),
                )
                .with_hint("do not log in; ask who revoked this key"))
            }
        }
    }

    fn set_read_only(&mut self, on: bool) -> Result<(), Failure> {
        if self.fixed_read_only && !on {
            return Err(
                Failure::new(ErrorKind::Refused, "the program was started read-only")
                    .with_hint("start it without `--read-only`"),
            );
        }
        self.state.read_only = on;
        self.publish();
        Ok(())
    }
}

/// Names the selection of one host, for those who answer about one.
impl From<HostId> for HostSelection {
    fn from(id: HostId) -> Self {
        Self::Only(vec![id])
    }
}
