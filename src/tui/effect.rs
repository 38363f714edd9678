//! What `update` wants done, and the runner that does it. Only this file, `desk`, `editor`, `graphics`, `guest` and `logs`
//! talk to the fleet; every request is a task of its own, so that a slow one holds nothing up.

use std::collections::HashMap;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::desk::Desk;
use super::editor::{self, DefineAsk, Draft, Lending};
use super::event::Answer;
use super::graphics::{Displays, Wanted};
use super::guest::GuestAsk;
use super::keeping::Keep;
use super::logs::LogEffect;
use super::notify::NotifyOptions;
use super::overlay::host_key;
use super::own::OwnRun;
use super::own_programs::OwnPrograms;
use super::remembering::Remembering;
use crate::clock::Clock;
use crate::domain::action::Action;
use crate::domain::console::{ConsoleInput, ConsoleKind, ConsoleNews, KeyStrokes, TerminalSize};
use crate::domain::host::{HostId, HostName, HostSpec};
use crate::domain::host_key::HostKeyQuestion;
use crate::domain::operation::{Actor, OperationId, Submission};
use crate::domain::secret::SecretText;
use crate::domain::store::StoreRef;
use crate::domain::store_action::{StoreSubmission, StoreVerb};
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::fleet::console::ConsoleWish;
use crate::fleet::request::HostSelection;
use crate::task::Tasks;

/// Something to be done outside of the state.
#[derive(Debug)]
pub enum Effect {
    /// Ask for plans.
    Plan {
        /// Comes back with the answer.
        ticket: u64,
        /// What is wanted of which VM.
        wanted: Vec<(VmRef, Action)>,
        /// What the dialog is about: the action they have in common.
        action: Action,
    },
    /// Hand a plan in.
    Submit(Box<Submission>),
    /// Hand in the plans of an order about several VMs.
    SubmitMany(u64, Vec<Submission>),
    /// Call back what has not begun.
    Withdraw {
        /// Of this order: what is not handed in yet stays so.
        bulk: Option<u64>,
        /// Operations of which nothing was sent yet.
        operations: Vec<OperationId>,
    },
    /// Stop waiting for an operation.
    Cancel(OperationId),
    /// Read hosts now.
    Refresh(HostSelection),
    /// Say which hosts are looked at.
    Focus(HostSelection),
    /// Read everything about a VM.
    Detail(VmRef),
    /// Fetch the figures of a VM over the last quarter of an hour.
    Metrics(VmRef),
    /// Read the snapshots of a VM.
    Snapshots(VmRef),
    /// Read what a VM is set up with.
    Settings(u64, VmRef),
    /// Something about the definition of a VM.
    Definition(DefineAsk),
    /// Open the editor with a definition.
    Edit(Box<Draft>),
    /// Read storage and networks of a host.
    Stores(HostId),
    /// Ask for a plan for a pool or a network.
    PlanStore {
        /// Comes back with the answer.
        ticket: u64,
        /// Which.
        target: StoreRef,
        /// What is wanted.
        verb: StoreVerb,
    },
    /// Run such a plan.
    RunStore(Box<StoreSubmission>),
    /// Read the audit log's end.
    Audit(Option<VmRef>),
    /// Something that a list of what happened wants done.
    Log(LogEffect),
    /// Take a picture of a VM's screen.
    Screen(u64, VmRef),
    /// Press keys of a VM's keyboard.
    SendKeys(VmRef, KeyStrokes),
    /// Have a program run in a VM, or planned.
    Guest(Box<GuestAsk>),
    /// Bring a VM's display to this machine, with a viewer.
    OpenGraphics(u64, VmRef),
    /// Close a display.
    CloseGraphics(u64),
    /// Open the console of a VM, in place of the one that is open.
    OpenConsole {
        /// Comes back with everything about it.
        ticket: u64,
        /// Of which VM.
        vm: VmRef,
        /// How large the terminal is.
        size: TerminalSize,
        /// What of it.
        kind: ConsoleKind,
    },
    /// Hand something to the console that was opened with this ticket.
    Console(u64, ConsoleInput),
    /// Close the console.
    CloseConsole,
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
    /// Keep hosts and credentials.
    Keep(Keep),
    /// Switch read-only mode.
    SetReadOnly(bool),
    /// Keep something that is to be found again, or forget it.
    Remember(String, Option<String>),
    /// Show a theme; `None` = the configuration's.
    Theme(Option<String>),
    /// Put text on the person's clipboard (OSC 52).
    Copy(String),
    /// Tell a person who looks elsewhere.
    Notify(String),
    /// Run a command of the operator's own.
    RunOwn(Box<OwnRun>),
    /// End those that run.
    StopOwn,
    /// Draw everything again.
    Redraw,
    /// Give the terminal back until the person returns.
    Suspend,
    /// Leave for another profile.
    SwitchProfile(String),
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
    /// Write bytes that draw nothing.
    Tell(String),
    /// Give the terminal to a program until it ends.
    Lend(Lending),
    /// Draw everything again.
    Redraw,
    /// Give the terminal back for a while.
    Suspend,
    /// Leave for another profile.
    Switch(String),
    /// Leave.
    Quit,
}

/// Audit records fetched for a view.
const AUDIT_LINES: usize = 500;

/// Pieces of input that wait for a console: what a person types while a line stalls.
const TYPED: usize = 256;

/// The console that is open, or on its way. Dropping it closes it.
#[derive(Debug)]
struct OpenConsole {
    ticket: u64,
    typing: mpsc::Sender<ConsoleInput>,
    _stop_on_drop: DropGuard,
}

/// Runs effects as tasks.
#[derive(Debug)]
pub struct Runner {
    handle: FleetHandle,
    tasks: Tasks,
    actor: Actor,
    answers: mpsc::Sender<Answer>,
    consoles: mpsc::Sender<(u64, ConsoleNews)>,
    console: Option<OpenConsole>,
    displays: Displays,
    viewer: Vec<String>,
    editor: Vec<String>,
    own: OwnPrograms,
    pub(super) remembering: Remembering,
    /// Cancelled when the rest of an order about several VMs is called back.
    bulks: HashMap<u64, CancellationToken>,
}

impl Runner {
    /// Makes a runner whose answers go into `answers`, and what comes out of consoles into `consoles`.
    pub fn new(
        handle: FleetHandle,
        tasks: Tasks,
        actor: Actor,
        answers: mpsc::Sender<Answer>,
        consoles: mpsc::Sender<(u64, ConsoleNews)>,
    ) -> Self {
        Self {
            own: OwnPrograms::new(handle.clone(), tasks.clone()),
            handle,
            tasks,
            actor,
            answers,
            consoles,
            console: None,
            displays: Displays::default(),
            viewer: Vec::new(),
            editor: Vec::new(),
            remembering: Remembering::default(),
            bulks: HashMap::new(),
        }
    }

    /// Says which program shows the graphics of VMs, with its arguments; none = whichever is there.
    #[must_use]
    pub fn with_viewer(mut self, viewer: Vec<String>) -> Self {
        self.viewer = viewer;
        self
    }

    /// Says how a person is told who looks elsewhere.
    #[must_use]
    pub fn notifying(mut self, options: NotifyOptions, clock: Clock) -> Self {
        self.own.options = options;
        self.own.clock = clock;
        self
    }

    /// Says which program edits definitions, with its arguments.
    #[must_use]
    pub fn with_editor(mut self, editor: Vec<String>) -> Self {
        self.editor = editor;
        self
    }

    /// Runs a program that has the terminal; returns what came of it.
    pub async fn in_terminal(&self, run: Lending) -> Vec<Answer> {
        match run {
            Lending::Own(run) => {
                let news = self.own.in_terminal(*run, &self.actor).await;
                let answer = |news| Answer::Own(Box::new(news));
                news.into_iter().map(answer).collect()
            }
            Lending::Editor(draft) => {
                let edited = editor::run(&self.editor, *draft).await;
                vec![Answer::Edited(Box::new(edited))]
            }
        }
    }

    /// Starts an effect; returns those that only the owner of the terminal can run.
    pub fn run(&mut self, effect: Effect) -> Option<Local> {
        match effect {
            Effect::Copy(text) => return Some(Local::Copy(text)),
            Effect::Theme(name) => return Some(Local::Theme(name)),
            Effect::Notify(text) => return self.own.notify(&text),
            Effect::RunOwn(run) if run.takes_terminal() => {
                return Some(Local::Lend(Lending::Own(run)));
            }
            Effect::Edit(draft) => return Some(Local::Lend(Lending::Editor(draft))),
            Effect::RunOwn(run) => self.own.run(*run, &self.actor, &self.answers),
            Effect::StopOwn => self.own.stop(),
            Effect::Redraw => return Some(Local::Redraw),
            Effect::Suspend => return Some(Local::Suspend),
            Effect::SwitchProfile(name) => return Some(Local::Switch(name)),
            Effect::Quit => return Some(Local::Quit),
            Effect::Plan {
                ticket,
                wanted,
                action,
            } => self.plan(ticket, wanted, action),
            Effect::SubmitMany(bulk, submissions) => self.submit_many(bulk, submissions),
            Effect::Withdraw { bulk, operations } => self.withdraw(bulk, operations),
            Effect::PlanStore {
                ticket,
                target,
                verb,
            } => {
                let (handle, actor) = (self.handle.clone(), self.actor.clone());
                self.start(async move {
                    let proposal = Box::new(handle.plan_store(target, verb, actor).await);
                    Some(Answer::StorePlanned { ticket, proposal })
                });
            }
            Effect::OpenConsole {
                ticket,
                vm,
                size,
                kind,
            } => {
                let wish = ConsoleWish {
                    vm,
                    size,
                    kind,
                    actor: self.actor.clone(),
                };
                self.open_console(ticket, wish);
            }
            Effect::Console(ticket, input) => self.type_into(ticket, input),
            Effect::CloseConsole => self.console = None,
            Effect::SendKeys(vm, keys) => self.send_keys(vm, keys),
            Effect::OpenGraphics(ticket, vm) => {
                let wanted = Wanted {
                    handle: self.handle.clone(),
                    vm,
                    actor: self.actor.clone(),
                    viewer: self.viewer.clone(),
                };
                let around = (&self.tasks, self.answers.clone());
                self.displays.open(ticket, wanted, around);
            }
            Effect::CloseGraphics(ticket) => self.displays.close(ticket),
            Effect::Remember(name, value) => {
                let kept = self.remembering.keep(self.handle.clone(), name, value);
                self.start(async move {
                    Some(Answer::Done {
                        said: None,
                        result: kept.await,
                    })
                });
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

    fn plan(&self, ticket: u64, wanted: Vec<(VmRef, Action)>, action: Action) {
        let handle = self.handle.clone();
        let actor = self.actor.clone();
        self.start(async move {
            let count = wanted.len();
            let mut proposals = Vec::with_capacity(count);
            for (vm, action) in wanted {
                let about = action.about();
                let proposal = handle.plan(vm.clone(), action, actor.clone(), count).await;
                proposals.push(((vm, about), proposal));
            }
            Some(Answer::Planned {
                ticket,
                action,
                proposals,
            })
        });
    }

    /// Opens a console as a task that carries it until it ends, or until another one takes its place.
    fn open_console(&mut self, ticket: u64, wish: ConsoleWish) {
        let (typing, typed) = mpsc::channel(TYPED);
        let stop = CancellationToken::new();
        self.console = Some(OpenConsole {
            ticket,
            typing,
            _stop_on_drop: stop.clone().drop_guard(),
        });
        let (handle, answers) = (self.handle.clone(), self.answers.clone());
        let consoles = self.consoles.clone();
        drop(self.tasks.spawn("tui-console", async move {
            let carrying = carry(ticket, (handle, wish), answers, (consoles, typed));
            tokio::select! {
                () = stop.cancelled() => {}
                () = carrying => {}
            }
        }));
    }

    fn send_keys(&self, vm: VmRef, keys: KeyStrokes) {
        let (handle, actor) = (self.handle.clone(), self.actor.clone());
        self.start(async move {
            let said = Some(format!("sent {}", keys.in_words()));
            let result = handle.send_keys(vm, keys, actor).await;
            Some(Answer::Done { said, result })
        });
    }

    /// Hands input to the open console. Where it takes none any more, what is typed is lost, as on any
    /// line that has stalled.
    fn type_into(&self, ticket: u64, input: ConsoleInput) {
        if let Some(console) = self
            .console
            .as_ref()
            .filter(|console| console.ticket == ticket)
            && console.typing.try_send(input).is_err()
        {
            tracing::debug!("a console does not take what is typed");
        }
    }

    fn submit_many(&mut self, bulk: u64, submissions: Vec<Submission>) {
        let stop = CancellationToken::new();
        self.bulks.insert(bulk, stop.clone());
        let desk = Desk {
            handle: self.handle.clone(),
            answers: self.answers.clone(),
            bulk,
            stop,
        };
        drop(self.tasks.spawn("tui-bulk", desk.hand_in(submissions)));
    }

    fn withdraw(&self, bulk: Option<u64>, operations: Vec<OperationId>) {
        if let Some(stop) = bulk.and_then(|bulk| self.bulks.get(&bulk)) {
            stop.cancel();
        }
        let handle = self.handle.clone();
        self.start(async move {
            let result = handle.withdraw(operations).await;
            Some(Answer::Done {
                said: None,
                result: result.map(drop),
            })
        });
    }
}

/// Opens a console and carries both directions until it ends.
async fn carry(
    ticket: u64,
    (handle, wish): (FleetHandle, ConsoleWish),
    answers: mpsc::Sender<Answer>,
    (consoles, mut typed): (
        mpsc::Sender<(u64, ConsoleNews)>,
        mpsc::Receiver<ConsoleInput>,
    ),
) {
    let opened = handle.open_console(wish).await;
    let (mut news, input, result) = match opened {
        Ok(console) => (
            Some(console.news),
            Some(console.input),
            Ok(console.may_type),
        ),
        Err(cause) => (None, None, Err(cause)),
    };
    // The screen has been left: nobody wants to know any more.
    drop(answers.send(Answer::ConsoleOpened(ticket, result)).await);
    let (Some(news), Some(input)) = (news.as_mut(), input) else {
        return;
    };
    let out = async {
        while let Some(piece) = news.recv().await {
            if consoles.send((ticket, piece)).await.is_err() {
                return;
            }
        }
    };
    let into = async {
        while let Some(piece) = typed.recv().await {
            if input.send(piece).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = out => {}
        () = into => {}
    }
}

async fn settings(handle: &FleetHandle, ticket: u64, vm: VmRef) -> Option<Answer> {
    let read = Box::new(handle.settings(vm.clone()).await);
    Some(Answer::Settings(ticket, vm, read))
}

async fn ask(handle: &FleetHandle, effect: Effect) -> Option<Answer> {
    let done = |said: Option<String>, result| Some(Answer::Done { said, result });
    match effect {
        Effect::Submit(submission) => {
            let plan = &submission.plan;
            let verb = plan.action.kind.spec().verb;
            let what = format!("{verb} {}{}", plan.vm_name.shown(), plan.action.about());
            let result = handle.submit(*submission).await.map(drop);
            Some(Answer::Submitted { what, result })
        }
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
        Effect::Metrics(vm) => {
            let metrics = handle.metrics(vm.clone()).await;
            Some(Answer::Metrics(vm, metrics))
        }
        Effect::Snapshots(vm) => {
            let read = handle.snapshots(vm.clone()).await;
            if read.is_ok() {
                // The rows come with the next read of the host.
                drop(handle.read_again(HostSelection::Only(vec![vm.host])).await);
            }
            Some(Answer::Done {
                said: None,
                result: read.map(drop),
            })
        }
        Effect::Settings(ticket, vm) => settings(handle, ticket, vm).await,
        Effect::Definition(asked) => Some(asked.carry_out(handle).await),
        Effect::Stores(host) => Some(Answer::Stores(host, handle.stores(host).await)),
        Effect::RunStore(submission) => {
            let plan = Box::new(submission.plan.clone());
            let result = handle.run_store(*submission).await;
            Some(Answer::StoreDone { plan, result })
        }
        Effect::Guest(asked) => Some(Answer::Guest(asked.carry_out(handle).await)),
        Effect::Screen(ticket, vm) => Some(Answer::Screen(ticket, handle.screen(vm).await)),
        Effect::Audit(vm) => {
            let records = handle.audit_tail(AUDIT_LINES, vm.clone()).await;
            Some(Answer::Audit(vm, records))
        }
        Effect::Log(wanted) => Some(super::logs::ask(handle, wanted).await),
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
            let decision = host_key::decision(&question, accept);
            done(
                said,
                handle.answer_host_key(host, *question, decision).await,
            )
        }
        Effect::Unlock(passphrase) => Some(Answer::Unlocked(handle.unlock(passphrase).await)),
        Effect::Lock => done(Some("locked".to_owned()), handle.lock().await),
        Effect::Credentials => Some(Answer::Credentials(handle.credentials().await)),
        Effect::Keep(keep) => Some(Answer::Kept(keep.ask(handle).await)),
        Effect::SetReadOnly(on) => {
            let said = if on { "read-only" } else { "changes allowed" };
            done(Some(said.to_owned()), handle.set_read_only(on).await)
        }
        Effect::Plan { .. }
        | Effect::SubmitMany(..)
        | Effect::Withdraw { .. }
        | Effect::PlanStore { .. }
        | Effect::OpenConsole { .. }
        | Effect::Remember(..)
        | Effect::SendKeys(..)
        | Effect::OpenGraphics(..)
        | Effect::CloseGraphics(_)
        | Effect::Console(..)
        | Effect::CloseConsole
        | Effect::Copy(_)
        | Effect::Theme(_)
        | Effect::Notify(_)
        | Effect::RunOwn(_)
        | Effect::Edit(_)
        | Effect::StopOwn
        | Effect::Redraw
        | Effect::Suspend
        | Effect::SwitchProfile(_)
        | Effect::Quit => None,
    }
}
