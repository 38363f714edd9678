//! What `update` wants done, and the runner that does it. Only this file talks to the fleet; every
//! request is a task of its own, so that a slow one holds nothing up.

use tokio::sync::mpsc;

use super::event::Answer;
use crate::domain::action::Action;
use crate::domain::host::{HostId, HostName, HostSpec};
use crate::domain::host_key::{HostKeyQuestion, HostKeyVerdict};
use crate::domain::operation::{Actor, OperationId, Submission};
use crate::domain::secret::SecretText;
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::fleet::request::{HostSelection, KeyDecision};
use crate::task::Tasks;

/// Something to be done outside of the state.
#[derive(Debug)]
pub enum Effect {
    /// Ask for plans.
    Plan {
        /// Comes back with the answer.
        ticket: u64,
        /// For these VMs.
        vms: Vec<VmRef>,
        /// What is wanted.
        action: Action,
    },
    /// Hand plans in.
    Submit(Vec<Submission>),
    /// Stop waiting for an operation.
    Cancel(OperationId),
    /// Read hosts now.
    Refresh(HostSelection),
    /// Say which hosts are looked at.
    Focus(HostSelection),
    /// Read everything about a VM.
    Detail(VmRef),
    /// Read the audit log's end.
    Audit(Option<VmRef>),
    /// Read the command log.
    Commands(Option<HostId>),
    /// Read the error log.
    Errors,
    /// Check a host.
    Doctor(HostId, HostName),
    /// Add or change a host.
    SaveHost(Box<HostSpec>),
    /// Forget a host.
    RemoveHost(HostId, HostName),
    /// Decide about a host key.
    AnswerHostKey(HostId, Box<HostKeyQuestion>, bool),
    /// Open the profile's secrets.
    Unlock(SecretText),
    /// Close them.
    Lock,
    /// Read what may be shown of the credentials.
    Credentials,
    /// Switch read-only mode.
    SetReadOnly(bool),
    /// Keep something that is to be found again, or forget it.
    Remember(String, Option<String>),
    /// Show a theme; `None` = the configuration's.
    Theme(Option<String>),
    /// Put text on the person's clipboard (OSC 52).
    Copy(String),
    /// Draw everything again.
    Redraw,
    /// Give the terminal back until the person returns.
    Suspend,
    /// Leave.
    Quit,
}

/// An effect that only the loop itself can run, because it owns the terminal.
#[derive(Debug, PartialEq, Eq)]
pub enum Local {
    /// Put text on the clipboard.
    Copy(String),
    /// Show a theme; `None` = the configuration's.
    Theme(Option<String>),
    /// Draw everything again.
    Redraw,
    /// Give the terminal back for a while.
    Suspend,
    /// Leave.
    Quit,
}

/// Audit records fetched for a view.
const AUDIT_LINES: usize = 500;

/// Runs effects as tasks.
#[derive(Debug)]
pub struct Runner {
    handle: FleetHandle,
    tasks: Tasks,
    actor: Actor,
    answers: mpsc::Sender<Answer>,
}

impl Runner {
    /// Makes a runner whose answers go into `answers`.
    pub const fn new(
        handle: FleetHandle,
        tasks: Tasks,
        actor: Actor,
        answers: mpsc::Sender<Answer>,
    ) -> Self {
        Self {
            handle,
            tasks,
            actor,
            answers,
        }
    }

    /// Starts an effect; returns those that only the owner of the terminal can run.
    pub fn run(&self, effect: Effect) -> Option<Local> {
        match effect {
            Effect::Copy(text) => return Some(Local::Copy(text)),
            Effect::Theme(name) => return Some(Local::Theme(name)),
            Effect::Redraw => return Some(Local::Redraw),
            Effect::Suspend => return Some(Local::Suspend),
            Effect::Quit => return Some(Local::Quit),
            Effect::Plan {
                ticket,
                vms,
                action,
            } => self.plan(ticket, vms, action),
            Effect::Submit(submissions) => {
                for submission in submissions {
                    self.submit(submission);
                }
            }
            other => {
                let handle = self.handle.clone();
                self.start(async move { ask(&handle, other).await });
            }
        }
        None
    }

    fn start(&self, work: impl Future<Output = Option<Answer>> + Send + 'static) {
        let answers = self.answers.clone();
        drop(self.tasks.spawn("tui-effect", async move {
            if let Some(answer) = work.await {
                // The screen has been left: nobody wants to know any more.
                drop(answers.send(answer).await);
            }
        }));
    }

    fn plan(&self, ticket: u64, vms: Vec<VmRef>, action: Action) {
        let handle = self.handle.clone();
        let actor = self.actor.clone();
        self.start(async move {
            let count = vms.len();
            let mut proposals = Vec::with_capacity(count);
            for vm in vms {
                let proposal = handle
                    .plan(vm.clone(), action.clone(), actor.clone(), count)
                    .await;
                proposals.push((vm, proposal));
            }
            Some(Answer::Planned {
                ticket,
                action,
                proposals,
            })
        });
    }

    fn submit(&self, submission: Submission) {
        let handle = self.handle.clone();
        let plan = &submission.plan;
        let what = format!("{} {}", plan.action.kind.spec().verb, plan.vm_name.shown());
        self.start(async move {
            let result = handle.submit(submission).await.map(|_| ());
            Some(Answer::Submitted { what, result })
        });
    }
}

async fn ask(handle: &FleetHandle, effect: Effect) -> Option<Answer> {
    let done = |said: Option<String>, result| Some(Answer::Done { said, result });
    match effect {
        Effect::Cancel(id) => done(
            Some("no longer waiting; what was sent stays sent".to_owned()),
            handle.cancel(id).await,
        ),
        Effect::Refresh(hosts) => done(None, handle.refresh(hosts).await),
        Effect::Focus(hosts) => done(None, handle.focus(hosts).await),
        Effect::Detail(vm) => {
            let detail = handle.detail(vm.clone()).await;
            Some(Answer::Detail(vm, detail))
        }
        Effect::Audit(vm) => {
            let records = handle.audit_tail(AUDIT_LINES, vm.clone()).await;
            Some(Answer::Audit(vm, records))
        }
        Effect::Commands(host) => Some(Answer::Commands(handle.command_log(host).await)),
        Effect::Errors => Some(Answer::Errors(handle.errors().await)),
        Effect::Doctor(host, name) => Some(Answer::Findings(name, handle.doctor(host).await)),
        Effect::SaveHost(spec) => {
            let saved = handle.upsert_host(*spec).await;
            if let Ok(id) = saved {
                // A host that was just described is meant to be seen.
                drop(handle.connect(HostSelection::Only(vec![id])).await);
            }
            Some(Answer::HostSaved(saved))
        }
        Effect::RemoveHost(host, name) => done(
            Some(format!("forgot host {name}")),
            handle.remove_host(host).await,
        ),
        Effect::AnswerHostKey(host, question, accept) => {
            let said = accept.then(|| format!("trusting {}", question.key.fingerprint));
            // The dialog has a person type in so many words that a changed key replaces the known one.
            let decision = match (&question.verdict, accept) {
                (_, false) => KeyDecision::Leave,
                (HostKeyVerdict::Changed { .. }, true) => KeyDecision::Replace,
                (_, true) => KeyDecision::Accept,
            };
            done(
                said,
                handle.answer_host_key(host, *question, decision).await,
            )
        }
        Effect::Unlock(passphrase) => Some(Answer::Unlocked(handle.unlock(passphrase).await)),
        Effect::Lock => done(Some("locked".to_owned()), handle.lock().await),
        Effect::Credentials => Some(Answer::Credentials(handle.credentials().await)),
        Effect::Remember(name, value) => done(None, handle.remember(name, value).await),
        Effect::SetReadOnly(on) => {
            let said = if on { "read-only" } else { "changes allowed" };
            done(Some(said.to_owned()), handle.set_read_only(on).await)
        }
        Effect::Plan { .. }
        | Effect::Submit(_)
        | Effect::Copy(_)
        | Effect::Theme(_)
        | Effect::Redraw
        | Effect::Suspend
        | Effect::Quit => None,
    }
}
