//! Does what the machine decides: owns link, driver, timers and reads of one host.
//!
//! One task per host. What takes time stands in a slot as a future of its own, so that the loop stays
//! open for requests, and giving a link up is dropping its slots. A panic in a driver is caught here
//! and costs this host its link, nothing else.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::Instrument;

use super::backoff::Backoff;
use super::command_log::{CommandLog, RecordingTransport};
use super::connect::{dial, link_loss, trouble};
use super::limits::{COMMAND_QUEUE, HINTS_REOPEN, KEY_QUESTION, PROBE};
use super::link::{Link, PerformError, not_connected};
use super::machine::{Pause, SessionEffect, SessionEvent, State, Trouble, step};
use super::message::{
    HostCommand, News, Observation, SessionContext, SessionHandle, SessionUpdate,
};
use super::reading::{
    Reading, Restarts, Rhythm, announced_vm, broken, lateness, list_changed, read,
};
use crate::domain::capability::Capabilities;
use crate::domain::error_kind::Failure;
use crate::domain::health::HostHealth;
use crate::domain::host::HostSpec;
use crate::domain::inventory::{HostInventory, Scope};
use crate::hypervisor::{Hints, Hypervisor, HypervisorError, PollHint};
use crate::task::{Tasks, send_or_gone};
use crate::transport::{Connected, Stage, Transport, TransportError};

/// Starts a session; it does nothing until it is woken. `log` goes on from the host's session before.
pub fn spawn(
    context: Arc<SessionContext>,
    spec: Arc<HostSpec>,
    epoch: u64,
    log: CommandLog,
    tasks: Tasks,
) -> SessionHandle {
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (observed, observations) = watch::channel(None);
    let seed = context.options.seed.unwrap_or_else(rand::random);
    let span = tracing::info_span!("host", name = %spec.name);
    let actor = Actor {
        backoff: Backoff::new(seed ^ spec.id.0.cast_unsigned()),
        rhythm: Rhythm::new(spec.id, &context.options),
        context,
        spec,
        epoch,
        inbox,
        observed,
        log,
        tasks: tasks.clone(),
        state: State::Disabled,
        link: None,
        slots: Slots::default(),
        timers: Timers::default(),
        restarts: Restarts::default(),
        last: None,
        shown_tick: None,
        queued: false,
        panics: 0,
    };
    tasks.spawn("session", supervise(actor).instrument(span));
    SessionHandle {
        epoch,
        commands,
        observations,
        tasks,
    }
}

/// Runs a session until it is no longer wanted, over every panic on the way.
async fn supervise(mut actor: Actor) {
    while let Err(panic) = AssertUnwindSafe(actor.run()).catch_unwind().await {
        let cause = broken(&*panic);
        drop(panic);
        actor.recover(cause).await;
    }
}

/// What is under way, each at most once.
#[derive(Default)]
struct Slots {
    dialling: Slot<Result<Connected, Trouble>>,
    stages: Option<watch::Receiver<Stage>>,
    opening: Slot<Result<Opened, HypervisorError>>,
    reading: Slot<Reading>,
    hints: Slot<HintStep>,
    closed: Slot<TransportError>,
}

type Slot<T> = Option<BoxFuture<'static, T>>;

struct Opened {
    driver: Arc<dyn Hypervisor>,
    capabilities: Arc<Capabilities>,
}

/// Announcements are waited for with their owner inside the future: it is never dropped half-way.
enum HintStep {
    Opened(Result<Option<Box<dyn Hints>>, HypervisorError>),
    Came(Box<dyn Hints>, Result<PollHint, HypervisorError>),
}

#[derive(Default)]
struct Timers {
    read: Option<Instant>,
    retry: Option<Instant>,
    hints: Option<Instant>,
    question: Option<Instant>,
}

enum Happening {
    Cancelled,
    Command(Option<HostCommand>),
    Closed(TransportError),
    Stage(Stage),
    Dialled(Result<Connected, Trouble>),
    Opened(Result<Opened, HypervisorError>),
    Read(Reading),
    ReadDue,
    RetryDue,
    HintsDue,
    QuestionDue,
    Hint(HintStep),
}

struct Actor {
    context: Arc<SessionContext>,
    spec: Arc<HostSpec>,
    epoch: u64,
    inbox: mpsc::Receiver<HostCommand>,
    observed: watch::Sender<Option<Observation>>,
    log: CommandLog,
    tasks: Tasks,
    state: State,
    link: Option<Link>,
    slots: Slots,
    timers: Timers,
    backoff: Backoff,
    rhythm: Rhythm,
    restarts: Restarts,
    last: Option<Arc<HostInventory>>,
    shown_tick: Option<Duration>,
    /// Whether it was told that the host waits for its turn to be dialled.
    queued: bool,
    panics: u32,
}

/// Waits for a slot; an empty one never comes.
async fn done<T>(slot: &mut Slot<T>) -> T {
    match slot {
        Some(future) => {
            let value = future.await;
            *slot = None;
            value
        }
        None => std::future::pending().await,
    }
}

/// Waits for the next stage of a connection that is being made.
async fn moved(stages: &mut Option<watch::Receiver<Stage>>) -> Stage {
    if let Some(seen) = stages
        && seen.changed().await.is_ok()
    {
        return *seen.borrow_and_update();
    }
    // Its end is not a stage, and is told with its result.
    *stages = None;
    std::future::pending().await
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

impl Actor {
    async fn run(&mut self) {
        loop {
            let happening = self.next().await;
            if matches!(happening, Happening::Cancelled | Happening::Command(None)) {
                break;
            }
            self.react(happening).await;
        }
        self.close();
    }

    /// Waits for whatever comes first. Requests before announcements: a flood of these must not keep
    /// a person waiting.
    async fn next(&mut self) -> Happening {
        let Slots {
            dialling,
            stages,
            opening,
            reading,
            hints,
            closed,
        } = &mut self.slots;
        let Timers {
            read,
            retry,
            hints: hints_at,
            question,
        } = self.timers;
        tokio::select! {
            biased;
            () = self.tasks.token().cancelled() => Happening::Cancelled,
            command = self.inbox.recv() => Happening::Command(command),
            error = done(closed) => Happening::Closed(error),
            result = done(dialling) => Happening::Dialled(result),
            stage = moved(stages) => Happening::Stage(stage),
            result = done(opening) => Happening::Opened(result),
            reading = done(reading) => Happening::Read(reading),
            () = at(read) => Happening::ReadDue,
            () = at(retry) => Happening::RetryDue,
            () = at(hints_at) => Happening::HintsDue,
            () = at(question) => Happening::QuestionDue,
            step = done(hints) => Happening::Hint(step),
        }
    }

    async fn react(&mut self, happening: Happening) {
        match happening {
            Happening::Cancelled | Happening::Command(None) => {}
            Happening::Command(Some(command)) => self.obey(command).await,
            Happening::Closed(error) => {
                self.feed(SessionEvent::LinkLost(Failure::of(&error))).await;
            }
            Happening::Stage(stage) => {
                if stage.waiting != std::mem::replace(&mut self.queued, stage.waiting) {
                    self.execute(SessionEffect::Publish).await;
                }
            }
            Happening::Dialled(result) => self.dialled(result).await,
            Happening::Opened(result) => self.opened(result).await,
            Happening::Read(reading) => self.has_read(reading).await,
            Happening::ReadDue => {
                self.timers.read = None;
                let full = self.rhythm.full_is_due();
                self.feed(SessionEvent::ReadDue { full }).await;
            }
            Happening::RetryDue => {
                self.timers.retry = None;
                self.feed(SessionEvent::RetryDue).await;
            }
            Happening::HintsDue => {
                self.timers.hints = None;
                self.open_hints();
            }
            Happening::QuestionDue => {
                self.timers.question = None;
                self.feed(SessionEvent::QuestionDue).await;
            }
            Happening::Hint(step) => self.hinted(step).await,
        }
    }

    async fn obey(&mut self, command: HostCommand) {
        match command {
            HostCommand::Wake => self.feed(SessionEvent::PersonActed).await,
            HostCommand::Read { full } => self.feed(SessionEvent::ReadWanted { full }).await,
            HostCommand::Focus(on) => {
                if self.rhythm.focus(on) {
                    self.tell_tick().await;
                    if on {
                        self.feed(SessionEvent::ReadWanted { full: false }).await;
                    }
                }
            }
            HostCommand::Perform {
                commands,
                within,
                progress,
                reply,
            } => {
                if let Some(link) = &self.link {
                    link.perform(commands, within, progress, reply);
                } else {
                    send_or_gone(reply, Err(PerformError::NotSent(not_connected())));
                }
            }
            HostCommand::Detail { vm, reply } => match &self.link {
                Some(link) => link.detail(vm, reply),
                None => send_or_gone(reply, Err(not_connected())),
            },
            HostCommand::Snapshots { vm, reply } => match &self.link {
                Some(link) => link.snapshots(vm, reply),
                None => send_or_gone(reply, Err(not_connected())),
            },
            HostCommand::Settings { vm, reply } => match &self.link {
                Some(link) => link.settings(vm, reply),
                None => send_or_gone(reply, Err(not_connected())),
            },
            HostCommand::Definition { vm, reply } => match &self.link {
                Some(link) => link.definition(vm, reply),
                None => send_or_gone(reply, Err(not_connected())),
            },
            HostCommand::Stores { reply } => match &self.link {
                Some(link) => link.stores(reply),
                None => send_or_gone(reply, Err(not_connected())),
            },
        }
    }

    async fn dialled(&mut self, result: Result<Connected, Trouble>) {
        let connected = match result {
            Ok(connected) => connected,
            Err(trouble) => return self.feed(SessionEvent::ConnectFailed(trouble)).await,
        };
        tracing::info!(with = connected.logged_in_with, "logged in");
        let link = Arc::clone(&connected.transport);
        self.slots.closed = Some(async move { link.closed().await }.boxed());
        let recording: Arc<dyn Transport> = Arc::new(RecordingTransport::new(
            connected.transport,
            self.spec.name.clone(),
            self.context.clock.clone(),
            self.log.clone(),
        ));
        self.link = Some(Link::new(recording, &self.tasks));
        if !connected.accepted.is_empty() {
            self.tell(News::KeysAccepted(connected.accepted)).await;
        }
        self.feed(SessionEvent::Connected).await;
    }

    async fn opened(&mut self, result: Result<Opened, HypervisorError>) {
        match (result, &mut self.link) {
            (Ok(opened), Some(link)) => {
                self.rhythm.suit(opened.driver.kind());
                link.driver = Some(opened.driver);
                link.capabilities = Some(Arc::clone(&opened.capabilities));
                self.tell(News::Probed(opened.capabilities)).await;
                let first = self.context.options.first;
                self.feed(SessionEvent::Probed { first }).await;
            }
            (Err(HypervisorError::Transport(error)), _) => {
                self.feed(SessionEvent::ProbeFailed(trouble(error))).await;
            }
            (Err(error), _) => {
                let trouble = Failure::of(&error).into();
                self.feed(SessionEvent::ProbeFailed(trouble)).await;
            }
            (Ok(_), None) => {}
        }
    }

    async fn has_read(&mut self, reading: Reading) {
        let Reading {
            scope,
            began,
            at,
            took,
            result,
        } = reading;
        self.rhythm.ended(scope, took);
        let inventory = match result {
            Ok(inventory) => Arc::new(inventory),
            Err(error) => {
                let event = match link_loss(&error) {
                    Some(cause) => SessionEvent::LinkLost(cause),
                    None => SessionEvent::ReadFailed(Failure::of(&error)),
                };
                return self.feed(event).await;
            }
        };
        let before = self.last.replace(Arc::clone(&inventory));
        let changed = before.is_some_and(|before| list_changed(&before, &inventory));
        // The fleet first: whoever verifies an operation must find the fleet's state as new as what
        // it was confirmed by.
        self.tell(News::Inventory {
            inventory: Arc::clone(&inventory),
            at,
            latency: took,
        })
        .await;
        self.observed.send_replace(Some(Observation {
            began,
            inventory,
            restarts: self.restarts.seen(),
        }));
        self.tell_tick().await;
        if let Some(capabilities) = self.link.as_mut().and_then(Link::rerouted) {
            self.tell(News::Probed(capabilities)).await;
        }
        if changed && scope == Scope::Fast {
            // Still counted as in flight: it is served after a short rest.
            self.feed(SessionEvent::ReadWanted { full: true }).await;
        }
        let late = lateness(scope, took);
        self.feed(SessionEvent::ReadDone { late }).await;
        self.panics = 0;
    }

    async fn hinted(&mut self, step: HintStep) {
        match step {
            HintStep::Opened(Ok(Some(hints))) => self.slots.hints = Some(next_hint(hints)),
            HintStep::Opened(Ok(None)) => {}
            HintStep::Opened(Err(error)) | HintStep::Came(_, Err(error)) => {
                tracing::debug!(%error, "the announcements ended");
                self.timers.hints = Some(Instant::now() + HINTS_REOPEN);
            }
            HintStep::Came(hints, Ok(hint)) => {
                self.slots.hints = Some(next_hint(hints));
                let full = match hint {
                    PollHint::Changed => false,
                    PollHint::ListChanged => true,
                    PollHint::Restarted { vm } => {
                        let known = self.last.as_deref();
                        if let Some(id) = known.and_then(|list| announced_vm(list, &vm)) {
                            self.restarts.note(id);
                        }
                        false
                    }
                };
                self.feed(SessionEvent::ReadWanted { full }).await;
            }
        }
    }

    async fn feed(&mut self, event: SessionEvent) {
        let state = std::mem::replace(&mut self.state, State::Disabled);
        let (state, effects) = step(state, event);
        self.state = state;
        for effect in effects {
            self.execute(effect).await;
        }
    }

    async fn execute(&mut self, effect: SessionEffect) {
        match effect {
            SessionEffect::Connect { attempt } => self.dial(attempt),
            SessionEffect::Probe => self.probe(),
            SessionEffect::OpenHints => self.open_hints(),
            SessionEffect::Read(scope) => self.read(scope),
            SessionEffect::ArmRead(pause) => {
                let wait = match pause {
                    Pause::Tick => self.rhythm.next_tick(),
                    Pause::Rest => self.rhythm.rest(),
                };
                self.timers.read = Some(Instant::now() + wait);
            }
            SessionEffect::ArmRetry { attempt } => {
                let wait = self.backoff.wait(attempt.max(self.panics));
                self.timers.retry = Some(Instant::now() + wait);
            }
            SessionEffect::ArmQuestion => {
                self.timers.question = Some(Instant::now() + KEY_QUESTION);
            }
            SessionEffect::Close => self.close(),
            SessionEffect::Publish => {
                let health = self.health();
                self.tell(News::Health(health)).await;
            }
        }
    }

    fn dial(&mut self, attempt: u32) {
        self.timers.retry = None;
        self.timers.question = None;
        let stages = watch::Sender::default();
        self.slots.stages = Some(stages.subscribe());
        self.slots.dialling = Some(
            dial(
                Arc::clone(&self.context.targets),
                Arc::clone(&self.context.connector),
                Arc::clone(&self.context.handshakes),
                (Arc::clone(&self.spec), attempt),
                stages,
            )
            .boxed(),
        );
    }

    fn probe(&mut self) {
        let Some(link) = &self.link else { return };
        let transport = Arc::clone(&link.transport);
        let drivers = Arc::clone(&self.context.drivers);
        let spec = Arc::clone(&self.spec);
        let probing = async move {
            let driver: Arc<dyn Hypervisor> = Arc::from(drivers.open(transport, &spec).await?);
            let capabilities = Arc::new(driver.probe().await?);
            Ok(Opened {
                driver,
                capabilities,
            })
        };
        self.slots.opening = Some(
            async move {
                match tokio::time::timeout(PROBE, probing).await {
                    Ok(result) => result,
                    Err(_) => Err(HypervisorError::Transport(TransportError::Timeout {
                        what: "finding out what runs on the host",
                        after: PROBE,
                    })),
                }
            }
            .boxed(),
        );
    }

    fn read(&mut self, scope: Scope) {
        let Some(driver) = self.link.as_ref().and_then(|link| link.driver.clone()) else {
            return;
        };
        self.timers.read = None;
        self.rhythm.started(scope);
        let within = self.context.options.read_within;
        let clock = self.context.clock.clone();
        self.slots.reading = Some(read(driver, scope, within, clock).boxed());
    }

    fn open_hints(&mut self) {
        if !self.context.options.announcements {
            return;
        }
        let Some(driver) = self.link.as_ref().and_then(|link| link.driver.clone()) else {
            return;
        };
        self.slots.hints = Some(async move { HintStep::Opened(driver.hints().await) }.boxed());
    }

    /// Gives up the link and everything that runs over it.
    fn close(&mut self) {
        self.queued = false;
        self.slots = Slots::default();
        self.timers = Timers::default();
        self.rhythm.reset();
        if let Some(link) = self.link.take() {
            link.close();
        }
    }

    /// Goes on after a panic: the link is given up, and tried again later.
    async fn recover(&mut self, cause: Failure) {
        tracing::error!(%cause, "a session panicked");
        self.panics = self.panics.saturating_add(1);
        // Nothing of the broken link is polled again, whatever the machine says.
        self.close();
        self.feed(SessionEvent::LinkLost(cause)).await;
    }

    fn health(&self) -> HostHealth {
        match &self.state {
            State::Disabled => HostHealth::Disabled,
            State::Connecting { attempt } => HostHealth::Connecting {
                attempt: *attempt,
                queued: self.queued,
            },
            State::Probing { attempt } => HostHealth::Connecting {
                attempt: *attempt,
                queued: false,
            },
            State::Online { .. } => HostHealth::Online,
            State::Degraded { cause, .. } => HostHealth::Degraded {
                cause: cause.clone(),
            },
            State::Waiting { attempt, cause } => {
                let wait = self.timers.retry.map_or(Duration::ZERO, |retry| {
                    retry.saturating_duration_since(Instant::now())
                });
                let now = self.context.clock.now();
                let wait = SignedDuration::try_from(wait).unwrap_or_default();
                HostHealth::Offline {
                    cause: cause.clone(),
                    next_try: now.saturating_add(wait).unwrap_or(now),
                    attempt: *attempt,
                }
            }
            State::NeedsOperator { cause, question } => HostHealth::NeedsOperator {
                cause: cause.clone(),
                question: question.clone(),
            },
        }
    }

    async fn tell_tick(&mut self) {
        let tick = self.rhythm.tick();
        if self.shown_tick.replace(tick) != Some(tick) {
            self.tell(News::Tick(tick)).await;
        }
    }

    /// Tells the fleet; waits for room, which slows this host's reads down and nothing else.
    async fn tell(&mut self, news: News) {
        let update = SessionUpdate {
            host: self.spec.id,
            epoch: self.epoch,
            news,
        };
        tokio::select! {
            biased;
            sent = self.context.updates.send(update) => {
                if sent.is_err() {
                    tracing::debug!("the fleet has ended");
                }
            }
            () = self.tasks.token().cancelled() => {}
        }
    }
}

fn next_hint(mut hints: Box<dyn Hints>) -> BoxFuture<'static, HintStep> {
    async move {
        let came = hints.next().await;
        HintStep::Came(hints, came)
    }
    .boxed()
}
