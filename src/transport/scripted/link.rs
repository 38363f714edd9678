//! A link to a scripted host, and the processes kept on it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::answer::{Answer, Body};
use super::script::{Responder, Script, end};
use crate::domain::remote_command::RemoteCommand;
use crate::transport::{
    Chunk, CommandOutput, ExecLimits, ExitStatus, RemoteProcess, Transport, TransportError,
};

/// Pieces a scripted process may have on their way.
const PROCESS_QUEUE: usize = 4096;

/// A link to a scripted host.
#[derive(Debug)]
pub struct ScriptedTransport {
    script: Script,
    link: watch::Sender<Option<TransportError>>,
}

impl ScriptedTransport {
    pub(super) const fn new(script: Script, link: watch::Sender<Option<TransportError>>) -> Self {
        Self { script, link }
    }
}

/// Counts a command while it is answered, however that ends.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn start(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn wait_end(link: &watch::Sender<Option<TransportError>>) -> TransportError {
    let mut receiver = link.subscribe();
    let ended = receiver.wait_for(Option::is_some).await;
    ended
        .ok()
        .and_then(|error| error.clone())
        .unwrap_or_else(|| TransportError::Lost {
            reason: "gone".to_owned(),
        })
}

#[async_trait]
impl Transport for ScriptedTransport {
    async fn exec(
        &self,
        command: &RemoteCommand,
        limits: ExecLimits,
    ) -> Result<CommandOutput, TransportError> {
        let answer = self.script.answer(command);
        let _running = Running::start(self.script.running_counter());
        let started = Instant::now();
        let answering = async {
            tokio::time::sleep(answer.delay).await;
            match answer.body {
                Body::Output {
                    stdout,
                    stderr,
                    status,
                } => Ok((stdout, stderr, status)),
                Body::Fail(error) => Err(error),
                Body::Hang | Body::InTurn(_) | Body::Made(_) => std::future::pending().await,
            }
        };
        let (mut stdout, mut stderr, mut status) = tokio::select! {
            biased;
            error = wait_end(&self.link) => return Err(error),
            answered = answering => answered?,
            () = tokio::time::sleep(limits.deadline) => {
                return Err(TransportError::Timeout { what: "the command", after: limits.deadline });
            }
        };
        let over = stdout.len() > limits.stdout;
        let truncated = over || stderr.len() > limits.stderr;
        stdout.truncate(limits.stdout);
        stderr.truncate(limits.stderr);
        if over {
            status = ExitStatus::Missing;
        }
        Ok(CommandOutput {
            status,
            stdout,
            stderr,
            truncated,
            elapsed: started.elapsed(),
        })
    }

    async fn spawn(
        &self,
        command: &RemoteCommand,
    ) -> Result<Box<dyn RemoteProcess>, TransportError> {
        if let Some(error) = self.link.borrow().clone() {
            return Err(error);
        }
        let line = command.shown_line();
        let (sender, receiver) = mpsc::channel(PROCESS_QUEUE);
        let mut state = self.script.state();
        state.commands.push(line.clone());
        let responder = state
            .processes
            .iter_mut()
            .find(|(part, _)| line.contains(part.as_str()))
            .map(|(_, make)| make(command));
        // A process without standard input is a command like any other, only read piece by piece.
        let answer = (responder.is_none() && command.stdin.is_some())
            .then(|| state.find(&line))
            .flatten();
        if responder.is_none() && answer.is_none() {
            // As a shell does: it starts, complains and ends.
            for chunk in [
                Chunk::Stderr(format!("{}: not found\n", command.program).into_bytes()),
                Chunk::Exit(ExitStatus::Code(127)),
                Chunk::Closed,
            ] {
                drop(sender.try_send(chunk));
            }
        }
        state.live.push((line, sender.clone()));
        drop(state);
        Ok(Box::new(ScriptedProcess {
            responder,
            answer: answer.map(|answer| answer.resolve(command)),
            sender,
            receiver,
            link: self.link.clone(),
            closed: false,
        }))
    }

    async fn closed(&self) -> TransportError {
        wait_end(&self.link).await
    }

    async fn close(&self) {
        end(&self.link, "it was closed by us");
    }
}

/// A scripted process.
struct ScriptedProcess {
    responder: Option<Responder>,
    /// What it says by itself, taken at the first read.
    answer: Option<Answer>,
    sender: mpsc::Sender<Chunk>,
    receiver: mpsc::Receiver<Chunk>,
    link: watch::Sender<Option<TransportError>>,
    closed: bool,
}

impl fmt::Debug for ScriptedProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedProcess")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl ScriptedProcess {
    fn play(&self, body: Body) -> Result<(), TransportError> {
        match body {
            Body::Output {
                stdout,
                stderr,
                status,
            } => {
                for chunk in [
                    Chunk::Stdout(stdout),
                    Chunk::Stderr(stderr),
                    Chunk::Exit(status),
                    Chunk::Closed,
                ] {
                    drop(self.sender.try_send(chunk));
                }
                Ok(())
            }
            Body::Fail(error) => Err(error),
            Body::Hang | Body::InTurn(_) | Body::Made(_) => Ok(()),
        }
    }
}

#[async_trait]
impl RemoteProcess for ScriptedProcess {
    async fn read(&mut self) -> Result<Chunk, TransportError> {
        if self.closed {
            return Ok(Chunk::Closed);
        }
        if let Some(answer) = self.answer.take() {
            tokio::select! {
                biased;
                error = wait_end(&self.link) => return Err(error),
                () = tokio::time::sleep(answer.delay) => {}
            }
            self.play(answer.body)?;
        }
        let chunk = tokio::select! {
            biased;
            chunk = self.receiver.recv() => chunk.unwrap_or(Chunk::Closed),
            error = wait_end(&self.link) => return Err(error),
        };
        self.closed = chunk == Chunk::Closed;
        Ok(chunk)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        if let Some(error) = self.link.borrow().clone() {
            return Err(error);
        }
        let ended = || TransportError::Protocol {
            reason: "the remote process has ended".to_owned(),
            said: "".into(),
        };
        if self.closed {
            return Err(ended());
        }
        let responder = self.responder.as_mut().ok_or_else(ended)?;
        for chunk in responder(bytes) {
            if self.sender.try_send(chunk).is_err() {
                return Err(TransportError::Protocol {
                    reason: "the remote process was ended because nobody read its output"
                        .to_owned(),
                    said: "".into(),
                });
            }
        }
        Ok(())
    }

    async fn close(&mut self) {
        self.closed = true;
        self.receiver.close();
    }
}
