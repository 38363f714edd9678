//! Programs run inside a VM: planned, decided by the same policy as everything else, recorded before they are
//! sent, and waited for over the host's second connection.
//!
//! The record has the words of the command and how it ended, and never what the program printed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission;
use super::engine::Engine;
use super::plan::kind_of;
use super::record;
use super::request::Reply;
use super::screen::ending;
use super::side_link::SideLinks;
use crate::audit::AuditLog;
use crate::domain::action::Ask;
use crate::domain::audit::AuditEntry;
use crate::domain::capability::GuestPrograms;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::guest_account::{GuestAccount, GuestPassword};
use crate::domain::guest_command::{
    GuestCommand, GuestEnd, GuestPlan, GuestProposal, GuestResult, GuestRun, GuestSubmission,
    GuestVerb,
};
use crate::domain::host::HostSpec;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::operation::{Actor, OperationId, Outcome};
use crate::domain::policy::{Decision, Verdict};
use crate::domain::secret::SecretText;
use crate::domain::vm::{PowerState, Vm, VmRef};
use crate::hypervisor::{GuestStart, GuestTrouble, HypervisorError, Reach};
use crate::session::{CommandLog, SessionContext};
use crate::task::send_or_gone;

/// What is asked of a VM's inside.
#[derive(Debug)]
pub struct GuestWish {
    /// Which VM.
    pub vm: VmRef,
    /// What is to be run.
    pub words: GuestCommand,
    /// The account of the VM that it is run for, where its host asks for one.
    pub account: Option<GuestAccount>,
    /// Who wants it.
    pub actor: Actor,
    /// In how many VMs it is run together.
    pub count: usize,
}

/// Everything one run needs.
struct Run {
    id: OperationId,
    intent: AuditEntry,
    plan: GuestPlan,
    within: Duration,
    spec: Arc<HostSpec>,
    reach: &'static dyn Reach,
    context: Arc<SessionContext>,
    links: SideLinks,
    log: CommandLog,
    audit: AuditLog,
    stop: CancellationToken,
}

impl Engine {
    /// Makes the plan of a program in a VM.
    pub(super) fn plan_guest(&self, wish: GuestWish, reply: Reply<GuestProposal>) {
        send_or_gone(reply, self.propose_guest(wish));
    }

    /// Runs such a plan, as a task of its own; the reply comes when it is over.
    pub(super) fn run_guest(&mut self, submission: &GuestSubmission, reply: Reply<GuestResult>) {
        match self.prepare_run(submission) {
            Ok(run) => {
                let running = async move { send_or_gone(reply, run.run().await) };
                self.groups.reaches.spawn("guest program", running);
            }
            Err(cause) => {
                let refused = self.refused(submission, &cause);
                if let Some(entry) = refused {
                    let recording = self.keeper.clone().record_refusal(entry);
                    self.groups.jobs.spawn("record refusal", recording);
                }
                send_or_gone(reply, Err(cause));
            }
        }
    }

    fn propose_guest(&self, wish: GuestWish) -> Result<GuestProposal, Failure> {
        let view = self.state.view(self.clock().now());
        let (host, vm, verdict) = admitted(&view, &wish.vm, &wish.actor, wish.count)?;
        runs_programs(host)?;
        let reach = self.context.drivers.reach(kind_of(host)?);
        let command = reach
            .guest_command(&host.spec, &vm.id, &wish.words, wish.account.as_ref())
            .map_err(|error| Failure::of(&error))?;
        Ok(GuestProposal {
            plan: GuestPlan {
                vm_name: vm.name.clone(),
                host_name: host.spec.name.clone(),
                state: vm.state.clone(),
                vm: wish.vm,
                words: wish.words,
                account: wish.account,
                command,
            },
            // A denial was a refusal already.
            asks: match verdict.decision {
                Decision::Ask(ask) => ask,
                Decision::Deny(_) => Ask::TypeName,
            },
            rule: verdict.rule,
        })
    }

    fn prepare_run(&mut self, submission: &GuestSubmission) -> Result<Run, Failure> {
        if self.stopping.is_some() {
            return Err(ending());
        }
        let plan = &submission.plan;
        let now = self.clock().now();
        let view = self.state.view(now);
        let (host, vm, verdict) = admitted(&view, &plan.vm, &submission.actor, submission.count)?;
        if let Decision::Ask(ask) = verdict.decision {
            let what = (&plan.vm_name, GuestVerb::Exec.id(), "VM");
            admission::agreed_to(ask, &submission.consent, what)?;
        }
        let reach = self.context.drivers.reach(kind_of(host)?);
        let account = plan.account.as_ref();
        let command = reach.guest_command(&host.spec, &vm.id, &plan.words, account);
        if command.map_err(|error| Failure::of(&error))? != plan.command {
            let what = "what would be run is not what was shown";
            return Err(Failure::new(ErrorKind::Conflict, what)
                .with_hint("look at the new plan, then decide again"));
        }
        let id = self.ids.next(now);
        let actor = submission.actor.clone();
        let intent = AuditEntry {
            plan: vec![plan.command.shown_line()],
            rule: Some(verdict.rule),
            ..record::reach_intent(GuestVerb::Exec.id(), (&host.spec, vm), actor, &id, now)
        };
        Ok(Run {
            id,
            intent,
            plan: plan.clone(),
            within: submission.within,
            spec: Arc::clone(&host.spec),
            reach,
            context: Arc::clone(&self.context),
            links: self.side_links.clone(),
            log: self.roster.log(plan.vm.host),
            audit: self.keeper.audit.clone(),
            stop: self.groups.reaches.token().clone(),
        })
    }

    /// Makes the record of a submission that was not admitted; there is none about a VM that is gone.
    fn refused(&mut self, submission: &GuestSubmission, cause: &Failure) -> Option<AuditEntry> {
        let now = self.clock().now();
        let view = self.state.view(now);
        let (host, vm) = view.vm(&submission.plan.vm)?;
        let (id, actor) = (self.ids.next(now), submission.actor.clone());
        let intent = AuditEntry {
            plan: vec![submission.plan.command.shown_line()],
            operation: None,
            ..record::reach_intent(GuestVerb::Exec.id(), (&host.spec, vm), actor, &id, now)
        };
        let said = ("refused", cause.message.clone());
        Some(AuditEntry {
            elapsed_ms: None,
            ..record::reach_outcome(intent, said, Duration::ZERO, now)
        })
    }
}

/// Decides whether a program may be run in a VM, and what must be agreed to.
fn admitted<'a>(
    state: &'a FleetSnapshot,
    vm: &VmRef,
    actor: &Actor,
    count: usize,
) -> Result<(&'a HostSnapshot, &'a Arc<Vm>, Verdict), Failure> {
    let (host, found) = admission::within_reach(state, vm)?;
    let verb = GuestVerb::Exec.into();
    let verdict = admission::ask_policy((state, host), (verb, None), actor, count);
    admission::not_denied(host, &verdict)?;
    admission::can_be_recorded(state)?;
    match found.state {
        PowerState::Running | PowerState::Unknown(_) => Ok((host, found, verdict)),
        PowerState::Paused => Err(not_running(found).with_hint("resume it first")),
        PowerState::Stopped
        | PowerState::Saved
        | PowerState::Crashed
        | PowerState::Starting
        | PowerState::Stopping => Err(not_running(found).with_hint("start it first")),
    }
}

/// Refuses where the host's own PowerShell stands in the way.
fn runs_programs(host: &HostSnapshot) -> Result<(), Failure> {
    let programs = host.capabilities.as_ref().map(|found| found.programs);
    if programs == Some(GuestPrograms::Nobody) {
        let what = "the PowerShell of the host cannot run programs in VMs";
        let fix = "`vmdeck host doctor NAME` says what is wrong with it";
        return Err(Failure::new(ErrorKind::Refused, what).with_hint(fix));
    }
    Ok(())
}

fn not_running(vm: &Vm) -> Failure {
    let message = format!("{} is {}: nothing runs in it", vm.name, vm.state);
    Failure::new(ErrorKind::Refused, message)
}

impl Run {
    async fn run(self) -> Result<GuestResult, Failure> {
        let began = Instant::now();
        let recorded = self.audit.append(self.intent.clone()).await;
        recorded.map_err(|error| error.refusal("running a program in the VM"))?;
        let (outcome, run) = match self.send().await {
            Ok(run) => (outcome_of(&run), Some(run)),
            Err(outcome) => (outcome, None),
        };
        let details = match (&run, outcome.reason()) {
            (Some(run), None) => in_words(run.end),
            (_, reason) => reason.unwrap_or_default().to_owned(),
        };
        let (elapsed, at) = (began.elapsed(), self.context.clock.now());
        let said = (record::status(&outcome), details);
        let entry = record::reach_outcome(self.intent, said, elapsed, at);
        if let Err(error) = self.audit.append(entry).await {
            tracing::error!(%error, id = %self.id, "could not record how a program ended");
        }
        Ok(GuestResult {
            id: self.id,
            outcome,
            run,
            elapsed,
            at,
        })
    }

    /// Opens the password of the account, for this run only.
    async fn password(&self) -> Result<Option<SecretText>, Failure> {
        match self.plan.account.as_ref().map(|account| &account.password) {
            None => Ok(None),
            Some(GuestPassword::Given(password)) => Ok(Some(password.clone())),
            Some(GuestPassword::Credential(name)) => {
                self.context.targets.password(name).await.map(Some)
            }
        }
    }

    async fn send(&self) -> Result<GuestRun, Outcome> {
        let refused = |cause| Outcome::Refused { cause };
        let password = self.password().await.map_err(refused)?;
        let leasing = self
            .links
            .lease(&self.context, &self.spec, self.log.clone());
        let link = tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(ending()),
            link = leasing => link,
        };
        let link = link.map_err(refused)?;
        let start = GuestStart {
            command: &self.plan.command,
            within: self.within,
            password: password.as_ref(),
        };
        let running =
            self.reach
                .run_in_guest(link.transport(), &self.spec, &self.plan.vm.vm, start);
        let failed = |error: &HypervisorError| Failure::of(error);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Outcome::Unknown { cause: ending() }),
            ran = running => ran.map_err(|trouble| match trouble {
                GuestTrouble::NotStarted(error) => Outcome::Failed { cause: failed(&error) },
                GuestTrouble::Unknown(error) => Outcome::Unknown { cause: failed(&error) },
            }),
        }
    }
}

fn outcome_of(run: &GuestRun) -> Outcome {
    if run.end == GuestEnd::Code(0) {
        return Outcome::Confirmed;
    }
    Outcome::Failed {
        cause: Failure::new(ErrorKind::Remote, in_words(run.end)),
    }
}

/// Words of the record and of messages.
fn in_words(end: GuestEnd) -> String {
    match end {
        GuestEnd::Code(code) => format!("it ended with exit code {code}"),
        GuestEnd::Signal(signal) => format!("it was ended by signal {signal}"),
    }
}
