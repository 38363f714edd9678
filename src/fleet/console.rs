//! Serial consoles, and shells in VMs: admitted by the engine, recorded, opened, a console on the host's second connection, carried
//! until somebody leaves.
//!
//! Every queue on the way is bounded, and none is drained ahead of its reader: a VM that floods its
//! console waits for whoever looks at it, and holds up nothing else.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission;
use super::engine::Engine;
use super::plan::kind_of;
use super::record;
use super::request::Reply;
use super::shell::{self, NoShell};
use super::side_link::{SideLink, SideLinks};
use crate::audit::AuditLog;
use crate::domain::audit::AuditEntry;
use crate::domain::console::{
    ConsoleEnd, ConsoleEndKind, ConsoleInput, ConsoleKind, ConsoleNews, TerminalSize,
};
use crate::domain::error_kind::{Classify, ErrorKind, Failure};
use crate::domain::guest_command::GuestVerb;
use crate::domain::host::HostSpec;
use crate::domain::host_key::HostKeyQuestion;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::Actor;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::VmRef;
use crate::hypervisor::Reach;
use crate::session::{CommandLog, SessionContext};
use crate::task::send_or_gone;
use crate::transport::{Chunk, ExitStatus, RemoteTerminal, Transport, TransportError};

/// Pieces of output that wait for a front end, each at most one packet of the connection.
const OUTPUT_QUEUE: usize = 4;

/// Pieces of input that wait for the host: more than a person types while a line stalls.
const INPUT_QUEUE: usize = 64;

/// Bytes of the end of what was printed that are kept: room for what a tool says when it fails.
const TAIL: usize = 4096;

/// What is wanted of a console.
#[derive(Debug, Clone)]
pub struct ConsoleWish {
    /// Of which VM.
    pub vm: VmRef,
    /// How large the terminal is.
    pub size: TerminalSize,
    /// What of it.
    pub kind: ConsoleKind,
    /// Who wants it.
    pub actor: Actor,
}

/// An open console. Dropping it closes it.
#[derive(Debug)]
pub struct Console {
    /// What comes out; the last piece says how it ended.
    pub news: mpsc::Receiver<ConsoleNews>,
    /// What goes in.
    pub input: mpsc::Sender<ConsoleInput>,
    /// Whether anything that is typed reaches the VM: not in read-only mode. It ends when that begins.
    pub may_type: bool,
}

/// Everything the task of one console needs.
struct Task {
    wish: ConsoleWish,
    intent: AuditEntry,
    /// The fleet as it is while the console is open: read-only mode may begin then.
    state: watch::Receiver<Arc<FleetSnapshot>>,
    spec: Arc<HostSpec>,
    command: RemoteCommand,
    reach: &'static dyn Reach,
    context: Arc<SessionContext>,
    links: SideLinks,
    log: CommandLog,
    audit: AuditLog,
    stop: CancellationToken,
}

/// What a terminal flows over: held as long as it flows.
#[derive(Debug)]
enum Held {
    /// The host's second connection.
    Shared(#[expect(dead_code, reason = "held, not looked at")] Arc<SideLink>),
    /// One of its own, to the VM.
    Own(#[expect(dead_code, reason = "held, not looked at")] Arc<dyn Transport>),
}

impl Engine {
    /// Opens a console, as a task of its own.
    pub(super) fn open_console(&mut self, wish: ConsoleWish, reply: Reply<Console>) {
        match self.prepare_console(wish) {
            Ok(task) => drop(self.groups.reaches.spawn("console", task.run(reply))),
            Err(cause) => send_or_gone(reply, Err(cause)),
        }
    }

    fn prepare_console(&mut self, wish: ConsoleWish) -> Result<Task, Failure> {
        if self.stopping.is_some() {
            return Err(Failure::new(ErrorKind::Busy, "the program is ending"));
        }
        let now = self.clock().now();
        let view = self.state.view(now);
        let (host, vm) = admission::within_reach(&view, &wish.vm)?;
        admission::can_be_recorded(&view)?;
        let kind = kind_of(host)?;
        let reach = self.context.drivers.reach(kind);
        let verb = verb_of(&wish.kind);
        let leave = admission::may_reach(&view, host, verb, &wish.actor)?;
        let command = match &wish.kind {
            ConsoleKind::Serial { take_over } => {
                let command = reach.console(&host.spec, &wish.vm.vm, *take_over);
                command.map_err(|error| Failure::of(&error))?
            }
            ConsoleKind::Shell(login) => {
                shell::is_on(vm)?;
                shell::shown(&host.spec, login)
            }
        };
        let (about, id) = ((&*host.spec, &**vm), self.ids.next(now));
        let intent = AuditEntry {
            plan: vec![command.shown_line()],
            rule: Some(leave.rule),
            ..record::reach_intent(verb.id(), about, wish.actor.clone(), &id, now)
        };
        Ok(Task {
            intent,
            state: self.snapshots.subscribe(),
            spec: Arc::clone(&host.spec),
            command,
            reach,
            context: Arc::clone(&self.context),
            links: self.side_links.clone(),
            log: self.roster.log(wish.vm.host),
            audit: self.keeper.audit.clone(),
            stop: self.groups.reaches.token().clone(),
            wish,
        })
    }
}

/// Returns the word of policy and audit log for it.
const fn verb_of(kind: &ConsoleKind) -> GuestVerb {
    match kind {
        ConsoleKind::Serial { .. } => GuestVerb::Console,
        ConsoleKind::Shell(_) => GuestVerb::Shell,
    }
}

impl Task {
    async fn run(self, reply: Reply<Console>) {
        let began = Instant::now();
        if let Err(error) = self.audit.append(self.intent.clone()).await {
            return send_or_gone(reply, Err(error.refusal("opening the console")));
        }
        let (status, details) = match self.open().await {
            Err(NoShell { cause, question }) => {
                let details = cause.message.clone();
                match question {
                    Some(question) => self.put(question, cause, reply).await,
                    None => send_or_gone(reply, Err(cause)),
                }
                ("failed", details)
            }
            Ok((link, terminal)) => {
                let said = self.carry(terminal, reply).await;
                // Held until here: the connection lives as long as what flows over it.
                drop(link);
                said
            }
        };
        let (said, now) = ((status, details), self.context.clock.now());
        let outcome = record::reach_outcome(self.intent, said, began.elapsed(), now);
        if let Err(error) = self.audit.append(outcome).await {
            tracing::error!(%error, "could not record the end of a console");
        }
    }

    /// Puts the question about a key to whoever waits for the shell.
    async fn put(&self, question: Box<HostKeyQuestion>, cause: Failure, reply: Reply<Console>) {
        let (news, to_front) = mpsc::channel(OUTPUT_QUEUE);
        let console = Console {
            news: to_front,
            input: mpsc::channel(INPUT_QUEUE).0,
            may_type: self.may_type(),
        };
        if reply.send(Ok(console)).is_err() {
            return;
        }
        let why = ConsoleEndKind::Impossible;
        let end = ConsoleNews::Ended(ConsoleEnd { why, cause });
        for piece in [ConsoleNews::AskKey(question), end] {
            // Who has left meanwhile need not decide.
            drop(news.send(piece).await);
        }
    }

    async fn open(&self) -> Result<(Held, RemoteTerminal), NoShell> {
        let opening = async {
            if let ConsoleKind::Shell(login) = &self.wish.kind {
                let vm = (&*self.spec, &self.wish.vm.vm);
                let (link, terminal) =
                    shell::open(&self.context, vm, login, self.wish.size).await?;
                return Ok((Held::Own(link), terminal));
            }
            let link = self
                .links
                .lease(&self.context, &self.spec, self.log.clone())
                .await?;
            let terminal = link
                .transport()
                .open_terminal(&self.command, self.wish.size)
                .await
                .map_err(|error| Failure::of(&error))?;
            Ok((Held::Shared(link), terminal))
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                Err(Failure::new(ErrorKind::Busy, "the program is ending").into())
            }
            opened = opening => opened,
        }
    }

    /// Tells whether what is typed may reach the VM now.
    fn may_type(&self) -> bool {
        let state = self.state.borrow();
        state.may_type_on(self.wish.vm.host, self.context.clock.now())
    }

    /// Carries both directions until one side leaves; returns what the audit log says about it.
    async fn carry(
        &self,
        terminal: RemoteTerminal,
        reply: Reply<Console>,
    ) -> (&'static str, String) {
        let RemoteTerminal { mut output, input } = terminal;
        let (news, to_front) = mpsc::channel(OUTPUT_QUEUE);
        let (from_front, typed) = mpsc::channel(INPUT_QUEUE);
        let console = Console {
            news: to_front,
            input: from_front,
            may_type: self.may_type(),
        };
        if reply.send(Ok(console)).is_err() {
            return ("ok", "nobody waited for it any more".to_owned());
        }
        let carrying = async {
            tokio::select! {
                end = self.hand_on(&mut output, &news) => end,
                never = take_typed(typed, input, || self.may_type()) => match never {},
            }
        };
        let end = tokio::select! {
            biased;
            () = self.stop.cancelled() => return ("ok", "the program ended".to_owned()),
            () = news.closed() => None,
            end = carrying => end,
        };
        let Some(end) = end else {
            return ("ok", "left".to_owned());
        };
        let status = match end.why {
            ConsoleEndKind::VmOff | ConsoleEndKind::Cut | ConsoleEndKind::Left => "ok",
            ConsoleEndKind::InUse | ConsoleEndKind::Impossible => "failed",
            ConsoleEndKind::LinkLost => "unknown",
        };
        let details = end.cause.message.clone();
        // Who has left meanwhile need not know.
        drop(news.send(ConsoleNews::Ended(end)).await);
        (status, details)
    }

    /// Hands output on as fast as it is taken; returns how it ended, or nothing when nobody looks any
    /// more.
    async fn hand_on(
        &self,
        output: &mut mpsc::Receiver<Result<Chunk, TransportError>>,
        news: &mpsc::Sender<ConsoleNews>,
    ) -> Option<ConsoleEnd> {
        let mut tail = Tail::default();
        let mut status = ExitStatus::Missing;
        loop {
            match output.recv().await {
                Some(Ok(Chunk::Stdout(bytes) | Chunk::Stderr(bytes))) => {
                    tail.push(&bytes);
                    if news.send(ConsoleNews::Output(bytes)).await.is_err() {
                        return None;
                    }
                }
                Some(Ok(Chunk::Exit(said))) => status = said,
                Some(Ok(Chunk::Closed)) => {
                    return Some(match &self.wish.kind {
                        ConsoleKind::Serial { .. } => {
                            self.reach.console_ended(&self.spec, &status, &tail.0)
                        }
                        ConsoleKind::Shell(_) => shell::ended(&status),
                    });
                }
                Some(Err(error)) => {
                    return Some(ConsoleEnd {
                        why: if error.kind() == ErrorKind::Unreachable {
                            ConsoleEndKind::LinkLost
                        } else {
                            ConsoleEndKind::Impossible
                        },
                        cause: Failure::of(&error),
                    });
                }
                None => {
                    return Some(ConsoleEnd {
                        why: ConsoleEndKind::LinkLost,
                        cause: Failure::new(ErrorKind::Unreachable, "the connection is gone"),
                    });
                }
            }
        }
    }
}

/// Carries what is typed; in read-only mode only the size of the terminal gets through.
async fn take_typed(
    mut typed: mpsc::Receiver<ConsoleInput>,
    input: mpsc::Sender<ConsoleInput>,
    may_type: impl Fn() -> bool,
) -> std::convert::Infallible {
    while let Some(piece) = typed.recv().await {
        let passes = may_type() || matches!(piece, ConsoleInput::Size(_));
        if passes && input.send(piece).await.is_err() {
            break;
        }
    }
    std::future::pending().await
}

/// The end of what was printed.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.len().saturating_sub(TAIL);
        self.0.extend_from_slice(bytes.split_at(kept).1);
        let surplus = self.0.len().saturating_sub(TAIL);
        self.0.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_flood_is_kept() {
        let mut tail = Tail::default();
        for n in 0..100u8 {
            tail.push(&vec![n; 1000]);
        }
        assert_eq!(tail.0.len(), TAIL);
        assert_eq!(tail.0.last(), Some(&99));
        tail.push(&vec![7; 100_000]);
        assert_eq!(tail.0, vec![7; TAIL]);
        tail.push(b"error: x");
        assert!(tail.0.ends_with(b"error: x"));
        assert_eq!(tail.0.len(), TAIL);
    }

    #[tokio::test]
    async fn read_only_mode_that_begins_later_stops_what_is_typed() {
        let (typing, typed) = mpsc::channel(4);
        let (input, mut taken) = mpsc::channel(4);
        let open = std::sync::atomic::AtomicBool::new(true);
        let may_type = || open.load(std::sync::atomic::Ordering::SeqCst);
        let piece = |text: &str| ConsoleInput::Bytes(text.as_bytes().to_vec());
        let size = ConsoleInput::Size(TerminalSize::new(80, 24));
        let steps = async {
            typing.send(piece("ls")).await.unwrap();
            assert_eq!(taken.recv().await.unwrap(), piece("ls"));
            open.store(false, std::sync::atomic::Ordering::SeqCst);
            typing.send(piece("rm -rf /")).await.unwrap();
            typing.send(size.clone()).await.unwrap();
            assert_eq!(taken.recv().await.unwrap(), size);
        };
        tokio::select! {
            never = take_typed(typed, input, may_type) => match never {},
            () = steps => {}
        }
    }

    #[tokio::test]
    async fn in_read_only_mode_nothing_is_typed() {
        let size = ConsoleInput::Size(TerminalSize::new(80, 24));
        for (may_type, wanted) in [(false, 1), (true, 2)] {
            let (typing, typed) = mpsc::channel(4);
            let (input, mut taken) = mpsc::channel(4);
            typing
                .send(ConsoleInput::Bytes(b"rm -rf /\r".to_vec()))
                .await
                .unwrap();
            typing.send(size.clone()).await.unwrap();
            let mut seen = Vec::new();
            let watching = async {
                while !seen.contains(&size) {
                    seen.push(taken.recv().await.unwrap());
                }
            };
            tokio::select! {
                never = take_typed(typed, input, || may_type) => match never {},
                () = watching => {}
            }
            assert_eq!(seen.len(), wanted);
        }
    }
}
