//! A scripted host for tests: answers by command, delays, failures, silence, kept processes.
//!
//! It keeps the contract of [`super::Transport`] (the contract suite runs on it as well as on a real
//! sshd), knows no network, and waits on tokio's clock only, so that tests with a paused clock are exact.
//!
//! ```
//! # use vmdeck::transport::scripted::{Answer, Script};
//! let script = Script::new();
//! script.on("virsh list", Answer::out("a\nb\n"));
//! script.on("virsh start", Answer::exit(1).stderr("error: no\n"));
//! let connector = script.connector();
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{
    Chunk, CommandOutput, Connected, Connector, ExecLimits, ExitStatus, RemoteProcess, Target,
    Transport, TransportError,
};
use crate::domain::host_key::PinnedKey;
use crate::domain::remote_command::RemoteCommand;

/// Pieces a scripted process may have on their way.
const PROCESS_QUEUE: usize = 4096;

type Dynamic = Arc<dyn Fn(&RemoteCommand) -> Answer + Send + Sync>;

/// What a command is answered with.
#[derive(Clone)]
pub struct Answer {
    delay: Duration,
    body: Body,
}

#[derive(Clone)]
enum Body {
    Output {
        stdout: Vec<u8>,
        stderr: Vec<u8>,
        status: ExitStatus,
    },
    Fail(TransportError),
    Hang,
    InTurn(Arc<Mutex<VecDeque<Answer>>>),
    Made(Dynamic),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("delay", &self.delay)
            .finish_non_exhaustive()
    }
}

impl Answer {
    const fn new(body: Body) -> Self {
        Self {
            delay: Duration::ZERO,
            body,
        }
    }

    /// Prints this and exits with 0.
    pub fn out(stdout: impl Into<Vec<u8>>) -> Self {
        Self::new(Body::Output {
            stdout: stdout.into(),
            stderr: Vec::new(),
            status: ExitStatus::Code(0),
        })
    }

    /// Prints nothing and exits with this code.
    pub const fn exit(code: u32) -> Self {
        Self::new(Body::Output {
            stdout: Vec::new(),
            stderr: Vec::new(),
            status: ExitStatus::Code(code),
        })
    }

    /// Fails in the transport.
    pub const fn fail(error: TransportError) -> Self {
        Self::new(Body::Fail(error))
    }

    /// Never answers; the caller's deadline ends it.
    pub const fn hang() -> Self {
        Self::new(Body::Hang)
    }

    /// Gives one answer after the other; the last one stays.
    pub fn in_turn(answers: impl IntoIterator<Item = Self>) -> Self {
        Self::new(Body::InTurn(Arc::new(Mutex::new(
            answers.into_iter().collect(),
        ))))
    }

    /// Makes the answer from the command.
    pub fn made(make: impl Fn(&RemoteCommand) -> Self + Send + Sync + 'static) -> Self {
        Self::new(Body::Made(Arc::new(make)))
    }

    /// Adds text on standard error.
    #[must_use]
    pub fn stderr(mut self, text: impl Into<Vec<u8>>) -> Self {
        if let Body::Output { stderr, .. } = &mut self.body {
            *stderr = text.into();
        }
        self
    }

    /// Changes how the command ends.
    #[must_use]
    pub fn status(mut self, ending: ExitStatus) -> Self {
        if let Body::Output { status, .. } = &mut self.body {
            *status = ending;
        }
        self
    }

    /// Lets it take this long.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Chooses what is said now, following turns and makers.
    fn resolve(self, command: &RemoteCommand) -> Self {
        let chosen = match &self.body {
            Body::InTurn(answers) => {
                let mut answers = locked(answers);
                if answers.len() > 1 {
                    answers.pop_front()
                } else {
                    answers.front().cloned()
                }
            }
            Body::Made(make) => Some(make(command)),
            Body::Output { .. } | Body::Fail(_) | Body::Hang => return self,
        };
        match chosen {
            Some(mut answer) => {
                answer.delay += self.delay;
                answer.resolve(command)
            }
            None => Self::hang(),
        }
    }
}

/// What a scripted process does with a write.
type Responder = Box<dyn FnMut(&[u8]) -> Vec<Chunk> + Send>;
type ProcessMaker = Box<dyn FnMut(&RemoteCommand) -> Responder + Send>;

#[derive(Default)]
struct State {
    answers: Vec<(String, Answer)>,
    processes: Vec<(String, ProcessMaker)>,
    live: Vec<(String, mpsc::Sender<Chunk>)>,
    commands: Vec<String>,
    refusal: Option<TransportError>,
    connect_delay: Duration,
    accepted: Vec<PinnedKey>,
    links: Vec<watch::Sender<Option<TransportError>>>,
}

struct Inner {
    state: Mutex<State>,
    connections: AtomicUsize,
    running: AtomicUsize,
}

/// The script of one host, shared by everything that is connected to it.
#[derive(Clone)]
pub struct Script(Arc<Inner>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Script {
    /// A host that knows no command (they exit with 127).
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State::default()),
            connections: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
        }))
    }

    /// Answers commands whose shown line holds `part`. What is added later is looked at first.
    pub fn on(&self, part: impl Into<String>, answer: Answer) -> &Self {
        self.state().answers.insert(0, (part.into(), answer));
        self
    }

    /// Lets a kept process answer each write; `make` starts one, given its command.
    pub fn on_spawn<R>(
        &self,
        part: impl Into<String>,
        mut make: impl FnMut(&RemoteCommand) -> R + Send + 'static,
    ) -> &Self
    where
        R: FnMut(&[u8]) -> Vec<Chunk> + Send + 'static,
    {
        let maker: ProcessMaker = Box::new(move |command| Box::new(make(command)));
        self.state().processes.insert(0, (part.into(), maker));
        self
    }

    /// Lets running processes whose command holds `part` say something by themselves; returns how many.
    pub fn say(&self, part: &str, chunk: &Chunk) -> usize {
        self.state()
            .live
            .iter()
            .filter(|(line, sender)| line.contains(part) && sender.try_send(chunk.clone()).is_ok())
            .count()
    }

    /// Refuses (or takes again) new connections.
    pub fn refuse(&self, error: Option<TransportError>) -> &Self {
        self.state().refusal = error;
        self
    }

    /// Makes connecting take this long.
    pub fn connect_after(&self, delay: Duration) -> &Self {
        self.state().connect_delay = delay;
        self
    }

    /// Keys that the next connections report as accepted.
    pub fn accepts(&self, keys: Vec<PinnedKey>) -> &Self {
        self.state().accepted = keys;
        self
    }

    /// Breaks every link there is.
    pub fn break_links(&self, reason: &str) {
        let mut state = self.state();
        for link in state.links.drain(..) {
            end(&link, reason);
        }
        state.live.clear();
    }

    /// Lines of all commands so far, as a person may see them.
    pub fn commands(&self) -> Vec<String> {
        self.state().commands.clone()
    }

    /// Number of commands so far whose line holds `part`.
    pub fn count(&self, part: &str) -> usize {
        self.state()
            .commands
            .iter()
            .filter(|line| line.contains(part))
            .count()
    }

    /// Number of connections made so far.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// Number of commands being answered now.
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    /// A connector to this host.
    pub fn connector(&self) -> ScriptedConnector {
        ScriptedConnector(Hosts::One(self.clone()))
    }

    /// A link to this host, as if connected.
    pub fn transport(&self) -> Arc<ScriptedTransport> {
        let link = watch::Sender::new(None);
        self.state().links.push(link.clone());
        self.0.connections.fetch_add(1, Ordering::SeqCst);
        Arc::new(ScriptedTransport {
            script: self.clone(),
            link,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }

    fn answer(&self, command: &RemoteCommand) -> Answer {
        let line = command.shown_line();
        let found = {
            let mut state = self.state();
            state.commands.push(line.clone());
            state
                .answers
                .iter()
                .find(|(part, _)| line.contains(part))
                .map(|(_, answer)| answer.clone())
        };
        match found {
            Some(answer) => answer.resolve(command),
            None => Answer::exit(127).stderr(format!("{}: not found\n", command.program)),
        }
    }
}

fn end(link: &watch::Sender<Option<TransportError>>, reason: &str) {
    link.send_if_modified(|error| {
        let first = error.is_none();
        if first {
            *error = Some(TransportError::Lost {
                reason: reason.to_owned(),
            });
        }
        first
    });
}

/// Connects to scripted hosts.
#[derive(Debug, Clone)]
pub struct ScriptedConnector(Hosts);

#[derive(Debug, Clone)]
enum Hosts {
    One(Script),
    ByName(Arc<[(String, Script)]>),
}

impl ScriptedConnector {
    /// Connects to several hosts, each by its name.
    pub fn by_name(hosts: impl IntoIterator<Item = (String, Script)>) -> Self {
        Self(Hosts::ByName(hosts.into_iter().collect()))
    }
}

#[async_trait]
impl Connector for ScriptedConnector {
    async fn connect(&self, target: &Target) -> Result<Connected, TransportError> {
        let script = match &self.0 {
            Hosts::One(script) => script,
            Hosts::ByName(hosts) => hosts
                .iter()
                .find(|(name, _)| name == target.name.as_str())
                .map(|(_, script)| script)
                .ok_or_else(|| TransportError::Resolve {
                    address: target.name.to_string(),
                    reason: "no such scripted host".to_owned(),
                })?,
        };
        let (delay, refusal, accepted) = {
            let state = script.state();
            (
                state.connect_delay,
                state.refusal.clone(),
                state.accepted.clone(),
            )
        };
        tokio::time::sleep(delay).await;
        if let Some(error) = refusal {
            return Err(error);
        }
        Ok(Connected {
            transport: script.transport(),
            accepted,
            logged_in_with: "script".to_owned(),
        })
    }
}

/// A link to a scripted host.
#[derive(Debug)]
pub struct ScriptedTransport {
    script: Script,
    link: watch::Sender<Option<TransportError>>,
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
        let _running = Running::start(&self.script.0.running);
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
        if responder.is_none() {
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

#[async_trait]
impl RemoteProcess for ScriptedProcess {
    async fn read(&mut self) -> Result<Chunk, TransportError> {
        if self.closed {
            return Ok(Chunk::Closed);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> RemoteCommand {
        RemoteCommand::posix("virsh").arg("list")
    }

    #[tokio::test(start_paused = true)]
    async fn answers_come_in_turn_and_the_last_one_stays() {
        let script = Script::new();
        script.on(
            "virsh list",
            Answer::in_turn([
                Answer::out("a"),
                Answer::out("b").after(Duration::from_secs(5)),
            ]),
        );
        let link = script.transport();
        let limits = ExecLimits::within(Duration::from_secs(30));
        let started = Instant::now();
        for expected in ["a", "b", "b"] {
            let output = link.exec(&list(), limits).await.unwrap();
            assert_eq!(output.stdout, expected.as_bytes());
        }
        assert_eq!(started.elapsed(), Duration::from_secs(10));
        assert_eq!(script.count("virsh"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_command_ends_at_its_deadline_and_with_the_link() {
        let script = Script::new();
        script.on("virsh list", Answer::hang());
        let link = script.transport();
        let limits = ExecLimits::within(Duration::from_secs(30));
        let command = list();
        assert!(matches!(
            link.exec(&command, limits).await,
            Err(TransportError::Timeout { .. })
        ));
        let (result, ()) = tokio::join!(link.exec(&command, limits), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            script.break_links("pulled the plug");
        });
        assert!(matches!(result, Err(TransportError::Lost { .. })));
        assert_eq!(script.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn processes_answer_writes_and_speak_by_themselves() {
        let script = Script::new();
        script.on_spawn("virsh event", |_command| {
            |bytes: &[u8]| vec![Chunk::Stdout(bytes.to_ascii_uppercase())]
        });
        let link = script.transport();
        let command = RemoteCommand::posix("virsh").arg("event");
        let mut process = link.spawn(&command).await.unwrap();
        process.write(b"a").await.unwrap();
        assert_eq!(process.read().await.unwrap(), Chunk::Stdout(b"A".to_vec()));
        assert_eq!(script.say("event", &Chunk::Stdout(b"x".to_vec())), 1);
        assert_eq!(process.read().await.unwrap(), Chunk::Stdout(b"x".to_vec()));
        script.break_links("gone");
        assert!(process.read().await.is_err());
    }
}
