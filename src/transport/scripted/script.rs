//! The script of one host, and what connects to it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::answer::Answer;
use super::link::ScriptedTransport;
use crate::domain::host_key::PinnedKey;
use crate::domain::remote_command::RemoteCommand;
use crate::transport::{Chunk, Connected, Connector, Target, TransportError};

/// What a scripted process does with a write.
pub(super) type Responder = Box<dyn FnMut(&[u8]) -> Vec<Chunk> + Send>;
type ProcessMaker = Box<dyn FnMut(&RemoteCommand) -> Responder + Send>;

/// Everything the script says and has seen.
#[derive(Default)]
pub(super) struct State {
    answers: Vec<(String, Answer)>,
    pub(super) processes: Vec<(String, ProcessMaker)>,
    pub(super) live: Vec<(String, mpsc::Sender<Chunk>)>,
    pub(super) commands: Vec<String>,
    refusal: Option<TransportError>,
    connect_delay: Duration,
    accepted: Vec<PinnedKey>,
    links: Vec<watch::Sender<Option<TransportError>>>,
}

impl State {
    /// Returns the answer to a command, by its shown line.
    pub(super) fn find(&self, line: &str) -> Option<Answer> {
        self.answers
            .iter()
            .find(|(part, _)| line.contains(part))
            .map(|(_, answer)| answer.clone())
    }
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

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
        Arc::new(ScriptedTransport::new(self.clone(), link))
    }

    /// Counts the commands being answered.
    pub(super) fn running_counter(&self) -> &AtomicUsize {
        &self.0.running
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }

    pub(super) fn answer(&self, command: &RemoteCommand) -> Answer {
        let line = command.shown_line();
        let found = {
            let mut state = self.state();
            state.commands.push(line.clone());
            state.find(&line)
        };
        match found {
            Some(answer) => answer.resolve(command),
            None => Answer::exit(127).stderr(format!("{}: not found\n", command.program)),
        }
    }
}

/// Ends a link; the first reason stays.
pub(super) fn end(link: &watch::Sender<Option<TransportError>>, reason: &str) {
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
