//! Serial consoles: admitted by the engine, recorded, opened on the host's second connection, carried
//! until somebody leaves.
//!
//! Every queue on the way is bounded, and none is drained ahead of its reader: a VM that floods its
//! console waits for whoever looks at it, and holds up nothing else.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission;
use super::engine::Engine;
use super::plan::kind_of;
use super::record;
use super::request::Reply;
use super::side_link::{SideLink, SideLinks};
use crate::audit::AuditLog;
use crate::domain::audit::{AuditEntry, AuditPhase};
use crate::domain::console::{ConsoleEnd, ConsoleEndKind, ConsoleInput, ConsoleNews, TerminalSize};
use crate::domain::error_kind::{Classify, ErrorKind, Failure};
use crate::domain::host::HostSpec;
use crate::domain::operation::{Actor, OperationId};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, VmRef};
use crate::hypervisor::Reach;
use crate::session::{CommandLog, SessionContext};
use crate::task::send_or_gone;
use crate::transport::{Chunk, ExitStatus, RemoteTerminal, TransportError};

/// Word of the audit log for a console.
pub const CONSOLE: &str = "console";

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
    /// End the session of whoever has it.
    pub take_over: bool,
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
    /// Whether anything that is typed reaches the VM: not in read-only mode.
    pub may_type: bool,
}

/// Everything the task of one console needs.
struct Task {
    wish: ConsoleWish,
    vm_name: RemoteText,
    state: PowerState,
    may_type: bool,
    spec: Arc<HostSpec>,
    command: RemoteCommand,
    reach: &'static dyn Reach,
    id: OperationId,
    context: Arc<SessionContext>,
    links: SideLinks,
    log: CommandLog,
    audit: AuditLog,
    stop: CancellationToken,
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
        let command = reach
            .console(&host.spec, &wish.vm.vm, wish.take_over)
            .map_err(|error| Failure::of(&error))?;
        Ok(Task {
            vm_name: vm.name.clone(),
            state: vm.state.clone(),
            may_type: !(view.read_only || view.is_read_only(&host.spec, now)),
            spec: Arc::clone(&host.spec),
            command,
            reach,
            id: self.ids.next(now),
            context: Arc::clone(&self.context),
            links: self.side_links.clone(),
            log: self.roster.log(wish.vm.host),
            audit: self.keeper.audit.clone(),
            stop: self.groups.reaches.token().clone(),
            wish,
        })
    }
}

impl Task {
    async fn run(self, reply: Reply<Console>) {
        let began = Instant::now();
        let intent = self.intent();
        if let Err(error) = self.audit.append(intent.clone()).await {
            return send_or_gone(reply, Err(error.refusal("opening the console")));
        }
        let (status, details) = match self.open().await {
            Err(cause) => {
                let details = cause.message.clone();
                send_or_gone(reply, Err(cause));
                ("failed", details)
            }
            Ok((link, terminal)) => {
                let said = self.carry(terminal, reply).await;
                // Held until here: the connection lives as long as what flows over it.
                drop(link);
                said
            }
        };
        let outcome = AuditEntry {
            timestamp: self.context.clock.now().to_string(),
            phase: AuditPhase::Outcome,
            status: status.to_owned(),
            details,
            elapsed_ms: u64::try_from(began.elapsed().as_millis()).ok(),
            ..intent
        };
        if let Err(error) = self.audit.append(outcome).await {
            tracing::error!(%error, "could not record the end of a console");
        }
    }

    fn intent(&self) -> AuditEntry {
        AuditEntry {
            phase: AuditPhase::Intent,
            host: Some(self.spec.name.to_string()),
            vm: Some(self.vm_name.clone()),
            vm_id: Some(self.wish.vm.vm.to_string()),
            actor: Some(self.wish.actor.clone()),
            client_ip: self.wish.actor.client_ip.clone(),
            plan: vec![self.command.shown_line()],
            state_before: Some(self.state.to_string()),
            operation: Some(self.id.to_string()),
            ..record::note(CONSOLE, "pending", String::new(), self.context.clock.now())
        }
    }

    async fn open(&self) -> Result<(Arc<SideLink>, RemoteTerminal), Failure> {
        let opening = async {
            let link = self
                .links
                .lease(&self.context, &self.spec, self.log.clone())
                .await?;
            let terminal = link
                .transport()
                .open_terminal(&self.command, self.wish.size)
                .await
                .map_err(|error| Failure::of(&error))?;
            Ok((link, terminal))
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                Err(Failure::new(ErrorKind::Busy, "the program is ending"))
            }
            opened = opening => opened,
        }
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
            may_type: self.may_type,
        };
        if reply.send(Ok(console)).is_err() {
            return ("ok", "nobody waited for it any more".to_owned());
        }
        let carrying = async {
            tokio::select! {
                end = self.hand_on(&mut output, &news) => end,
                never = take_typed(typed, input, self.may_type) => match never {},
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
            ConsoleEndKind::VmOff | ConsoleEndKind::Cut => "ok",
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
                    return Some(self.reach.console_ended(&self.spec, &status, &tail.0));
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
    may_type: bool,
) -> std::convert::Infallible {
    while let Some(piece) = typed.recv().await {
        let passes = may_type || matches!(piece, ConsoleInput::Size(_));
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
                never = take_typed(typed, input, may_type) => match never {},
                () = watching => {}
            }
            assert_eq!(seen.len(), wanted);
        }
    }
}
