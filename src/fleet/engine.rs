//! The engine: the one task that writes the state of the fleet.
//!
//! It takes news of sessions, news of operations, notes of background work and requests of front
//! ends, applies each to [`FleetState`] and publishes an immutable snapshot: at once when things are
//! quiet, every [`PUBLISH_EVERY`] when they are not. It never waits for a session, a disk or a
//! person: it sends without waiting, spawns, and goes on. (Requests are in `answer`, sessions in
//! `roster`, the slow half of requests in `keeper`.)

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::chores::Chores;
use super::handle::{EVENT_QUEUE, FleetHandle, REQUEST_QUEUE};
use super::keeper::{Keeper, Note};
use super::operation::{OperationIds, OperationNews};
use super::request::{Reply, Request};
use super::roster::Roster;
use super::side_link::SideLinks;
use super::state::FleetState;
use super::target::{AliasSource, BrokenConfig, LoginOptions, NoAliases, Targets};
use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::domain::credential::WrappedIdentity;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::event::FleetEvent;
use crate::domain::inventory::{AuditState, FleetSnapshot};
use crate::domain::operation::OperationId;
use crate::domain::policy::Rule;
use crate::domain::store::StoreRef;
use crate::hypervisor::Drivers;
use crate::profile::Profile;
use crate::session::limits::UPDATE_QUEUE;
use crate::session::{Handshakes, News, SessionContext, SessionOptions, SessionUpdate};
use crate::task::{Tasks, send_or_gone};
use crate::transport::Connector;
use crate::transport::ssh::client_config::{ClientConfig, ClientPaths};
use crate::vault::Vault;

/// Time between two snapshots while things keep changing.
pub const PUBLISH_EVERY: Duration = Duration::from_millis(50);

/// The same when a host has spoken for the first time: that is what people and scripts wait for.
const FIRST_WORDS: Duration = Duration::from_millis(10);

/// Notes and news of operations that may wait at the engine.
const NOTE_QUEUE: usize = 256;

/// How long cancelled operations get to record that they are unknown.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long sessions and background work get to end.
const ENDING: Duration = Duration::from_secs(5);

/// News taken from a queue in one go.
const BATCH: usize = 64;

/// Everything a fleet is made of.
#[derive(Debug)]
pub struct FleetSetup {
    /// Where hosts, keys and credentials are kept.
    pub profile: Profile,
    /// What opens its secrets.
    pub vault: Vault,
    /// Where actions are recorded.
    pub audit: AuditLog,
    /// What dials.
    pub connector: Arc<dyn Connector>,
    /// What drives hypervisors.
    pub drivers: Arc<dyn Drivers>,
    /// What may be done.
    pub policy: Arc<[Rule]>,
    /// Refuse everything that changes a VM; cannot be lifted while the program runs.
    pub read_only: bool,
    /// Wall time.
    pub clock: Clock,
    /// The program's tasks: the engine ends when they are cancelled.
    pub tasks: Tasks,
    /// Rhythm and logins.
    pub options: FleetOptions,
}

/// How the fleet behaves.
#[derive(Debug, Clone, Default)]
pub struct FleetOptions {
    /// Rhythm of the sessions.
    pub session: SessionOptions,
    /// How logins go where a host's definition does not say.
    pub login: LoginOptions,
    /// Where the SSH client configuration is; `None` reads none.
    pub ssh_config: Option<ClientPaths>,
    /// How many operations of one order about several VMs go on at once on a host.
    pub bulk: BulkLimit,
    /// What was wrong before the fleet began, though not wrong enough to stop: for the error log.
    pub remarks: Vec<Failure>,
}

/// How many operations of orders about several VMs go on at once on one host, until they are over: fifty
/// VMs that boot together hurt the host that carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkLimit(pub NonZeroUsize);

impl Default for BulkLimit {
    fn default() -> Self {
        const EIGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);
        Self(EIGHT)
    }
}

/// What ends an operation before its time.
#[derive(Debug, Clone, Default)]
pub(super) struct Reins {
    /// Ends the waiting; what was sent stays sent.
    pub(super) cancel: CancellationToken,
    /// Calls it back, as long as nothing was sent.
    pub(super) withdraw: CancellationToken,
}

/// Starts a fleet: the first snapshot, from the profile and its cached inventories, is published
/// before anything is dialled. Nothing is connected until a front end asks for it.
pub async fn start(setup: FleetSetup) -> Result<FleetHandle, Failure> {
    let (requests, request_inbox) = mpsc::channel(REQUEST_QUEUE);
    let (updates, update_inbox) = mpsc::channel(UPDATE_QUEUE);
    let (operation_news, operation_inbox) = mpsc::channel(NOTE_QUEUE);
    let (notes, note_inbox) = mpsc::channel(NOTE_QUEUE);
    let (events, _) = broadcast::channel(EVENT_QUEUE);
    let root = setup.tasks.clone();
    let inboxes = Inboxes {
        requests: request_inbox,
        updates: update_inbox,
        operation_news: operation_inbox,
        notes: note_inbox,
    };
    let ends = Ends {
        updates,
        operation_news,
        notes,
        events: events.clone(),
    };
    let engine = Engine::open(setup, ends).await?;
    let snapshots = engine.snapshots.subscribe();
    let token = root.token().clone();
    root.spawn("fleet", engine.run(inboxes, token));
    Ok(FleetHandle::new(requests, snapshots, events))
}

/// The sending ends of the engine's queues.
struct Ends {
    updates: mpsc::Sender<SessionUpdate>,
    operation_news: mpsc::Sender<OperationNews>,
    notes: mpsc::Sender<Note>,
    events: broadcast::Sender<FleetEvent>,
}

/// The receiving ends.
struct Inboxes {
    requests: mpsc::Receiver<Request>,
    updates: mpsc::Receiver<SessionUpdate>,
    operation_news: mpsc::Receiver<OperationNews>,
    notes: mpsc::Receiver<Note>,
}

/// The fleet on its way to its end.
pub(super) struct Stopping {
    deadline: Instant,
    /// Operations that were cut short.
    cut: Option<usize>,
    replies: Vec<Reply<usize>>,
}

/// Tasks by what they are for: they are ended one group after the other.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) sessions: Tasks,
    pub(super) operations: Tasks,
    pub(super) jobs: Tasks,
    /// Those who reach into VMs: they last as long as a person looks.
    pub(super) reaches: Tasks,
}

impl Drop for Groups {
    /// Nobody is left behind, not even by a panic.
    fn drop(&mut self) {
        self.sessions.cancel();
        self.operations.cancel();
        self.jobs.cancel();
        self.reaches.cancel();
    }
}

pub(super) struct Engine {
    pub(super) state: FleetState,
    pub(super) keeper: Keeper,
    pub(super) context: Arc<SessionContext>,
    pub(super) roster: Roster,
    pub(super) groups: Groups,
    pub(super) reins: HashMap<OperationId, Reins>,
    /// Pools and networks that something is being done to.
    pub(super) busy_stores: HashMap<OperationId, StoreRef>,
    pub(super) ids: OperationIds,
    pub(super) identity: Option<WrappedIdentity>,
    pub(super) operation_news: mpsc::Sender<OperationNews>,
    pub(super) snapshots: watch::Sender<Arc<FleetSnapshot>>,
    pub(super) chores: Chores,
    pub(super) side_links: SideLinks,
    /// Whether the program was started read-only.
    pub(super) fixed_read_only: bool,
    pub(super) stopping: Option<Stopping>,
    events: broadcast::Sender<FleetEvent>,
    audit_states: watch::Receiver<AuditState>,
    dirty: bool,
    /// Whether what is to be published holds the first words of a host.
    waited_for: bool,
    published: Instant,
}

async fn aliases(paths: Option<ClientPaths>) -> Arc<dyn AliasSource> {
    let Some(paths) = paths else {
        return Arc::new(NoAliases);
    };
    let read = tokio::task::spawn_blocking(move || ClientConfig::read(&paths)).await;
    let broken = |message: String| -> Arc<dyn AliasSource> {
        let cause = Failure::new(ErrorKind::Config, message)
            .with_hint("mend the SSH client configuration, or start without it");
        Arc::new(BrokenConfig(cause))
    };
    match read {
        Ok(Ok(config)) => Arc::new(config),
        Ok(Err(error)) => broken(error.to_string()),
        Err(error) => broken(format!("reading the SSH configuration broke: {error}")),
    }
}

impl Engine {
    async fn open(setup: FleetSetup, ends: Ends) -> Result<Self, Failure> {
        let profile = setup.profile;
        let failed = |error: crate::profile::ProfileError| Failure::of(&error);
        let keys = profile.pinned_keys().await.map_err(failed)?;
        let identity = profile.identity().await.map_err(failed)?;
        let (pinned, pins) = watch::channel(Arc::new(keys));
        let ssh = &setup.options.ssh_config;
        let home = ssh.as_ref().map(|paths| paths.home.clone());
        let targets = Arc::new(Targets::new(
            profile.clone(),
            setup.vault.clone(),
            aliases(setup.options.ssh_config).await,
            pins,
            setup.options.login,
        ));
        let mut state = FleetState::new(
            Arc::from(profile.name().as_str()),
            setup.policy,
            setup.read_only,
            setup.options.session.tick,
        );
        let now = setup.clock.now();
        state.set_hosts(profile.hosts().await.map_err(failed)?, now);
        for (host, inventory, at) in profile.cached_inventories().await.map_err(failed)? {
            state.remember(host, inventory, at);
        }
        state.lock = setup.vault.state(identity.as_ref());
        state.audit = setup.audit.state();
        let version = profile.data_version().await.map_err(failed)?;
        setup.audit.set_key(setup.vault.audit_key());
        let keeper = Keeper {
            profile,
            vault: setup.vault,
            audit: setup.audit,
            clock: setup.clock.clone(),
            targets: Arc::clone(&targets),
            pinned,
            notes: ends.notes,
            turn: Arc::new(Semaphore::new(1)),
            actor: None,
            home,
        };
        let context = SessionContext {
            connector: setup.connector,
            drivers: setup.drivers,
            targets,
            handshakes: Arc::new(Handshakes::new(setup.options.session.handshakes)),
            clock: setup.clock,
            updates: ends.updates,
            options: setup.options.session,
        };
        for remark in setup.options.remarks {
            state.note_error(None, remark, now);
        }
        let mut chores = Chores::new(version, keeper.audit.head());
        if let Err(cause) = keeper.check_end().await {
            keeper.record_cut(&cause).await;
            chores.keep_mirror();
            state.note_error(None, cause, now);
        }
        let audit_states = keeper.audit.states();
        let first = Arc::new(state.snapshot(now));
        let engine = Self {
            state,
            audit_states,
            context: Arc::new(context),
            roster: Roster::new(setup.options.bulk),
            groups: Groups::default(),
            reins: HashMap::new(),
            busy_stores: HashMap::new(),
            ids: OperationIds::default(),
            identity,
            operation_news: ends.operation_news,
            snapshots: watch::Sender::new(first),
            chores,
            side_links: SideLinks::default(),
            keeper,
            fixed_read_only: setup.read_only,
            stopping: None,
            events: ends.events,
            dirty: false,
            waited_for: false,
            published: Instant::now(),
        };
        let sweep = engine.keeper.clone().close_unfinished();
        engine.groups.jobs.spawn("close unfinished", sweep);
        Ok(engine)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.context.clock
    }

    async fn run(mut self, mut inboxes: Inboxes, token: CancellationToken) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut updates = Vec::with_capacity(BATCH);
        let mut listening = true;
        let vault = self.keeper.vault.clone();
        loop {
            let (publish_at, cut_at) = (self.publish_at(), self.cut_at());
            tokio::select! {
                () = token.cancelled(), if self.stopping.is_none() => {
                    self.stop(Duration::ZERO, None);
                }
                _ = inboxes.updates.recv_many(&mut updates, BATCH) => {
                    for update in updates.drain(..) {
                        self.take_update(update);
                    }
                }
                Some(news) = inboxes.operation_news.recv() => {
                    // What an operation was confirmed by is in the state before it is.
                    self.drain_updates(&mut inboxes);
                    self.take_operation_news(news);
                }
                Some(note) = inboxes.notes.recv() => self.take_note(note),
                request = inboxes.requests.recv(), if listening => {
                    self.drain_updates(&mut inboxes);
                    self.drain_operation_news(&mut inboxes);
                    if let Some(request) = request {
                        self.answer(request);
                    } else {
                        listening = false;
                        self.stop(Duration::ZERO, None);
                    }
                }
                Ok(()) = self.audit_states.changed() => self.look_at_audit(),
                // Begun anew in every round: somebody may have unlocked or used the vault meanwhile.
                () = vault.idle_out() => self.look_at_vault(),
                _ = second.tick() => self.do_chores(),
                () = at(publish_at) => {}
                () = at(cut_at) => self.cut(),
            }
            self.publish_if_due();
            if self.is_over() {
                break;
            }
        }
        self.finish(inboxes).await;
    }

    fn drain_updates(&mut self, inboxes: &mut Inboxes) {
        while let Ok(update) = inboxes.updates.try_recv() {
            self.take_update(update);
        }
    }

    fn drain_operation_news(&mut self, inboxes: &mut Inboxes) {
        while let Ok(news) = inboxes.operation_news.try_recv() {
            self.take_operation_news(news);
        }
    }

    fn take_update(&mut self, update: SessionUpdate) {
        let SessionUpdate { host, epoch, news } = update;
        if !self.roster.is_current(host, epoch) {
            return;
        }
        match &news {
            News::KeysAccepted(keys) => {
                if let Some(known) = self.state.host(host) {
                    let keeping = self
                        .keeper
                        .clone()
                        .keep_accepted(Arc::clone(&known.spec), keys.clone());
                    self.groups.jobs.spawn("pin accepted keys", keeping);
                }
            }
            News::Inventory { .. } => self.chores.has_read(host),
            News::Health(_) | News::Tick(_) | News::Probed(_) => {}
        }
        let now = self.clock().now();
        self.waited_for |= matches!(news, News::Inventory { .. }) && self.state.is_unread(host);
        self.dirty |= self.state.apply(host, news, now);
    }

    fn take_operation_news(&mut self, news: OperationNews) {
        match news {
            OperationNews::Moved(operation) => {
                if operation.is_finished() {
                    self.reins.remove(&operation.id);
                }
                self.state.put_operation(*operation);
            }
            OperationNews::StoreMoved(operation) => self.state.store_operations.put(*operation),
            OperationNews::StoreOver(operation, result, reply) => {
                self.reins.remove(&operation.id);
                self.busy_stores.remove(&operation.id);
                self.state.store_operations.put(*operation);
                self.publish();
                return send_or_gone(reply, Ok(*result));
            }
            OperationNews::NotRecorded(cause) => {
                let now = self.clock().now();
                self.state.note_error(None, cause, now);
            }
        }
        self.dirty = true;
    }

    fn take_note(&mut self, note: Note) {
        let now = self.clock().now();
        match note {
            Note::Hosts { specs, then } => {
                self.apply_hosts(specs);
                self.publish();
                then();
            }
            Note::Keys { then } => {
                self.wake_trusted();
                then();
            }
            Note::Unlocked { identity, then } => {
                self.identity = Some(identity);
                self.look_at_vault();
                self.wake_locked();
                self.publish();
                then();
            }
            Note::ProfileVersion(version) => {
                if self.chores.is_news(version) {
                    let reload = self.keeper.clone().reload();
                    self.groups.jobs.spawn("reload", reload);
                }
            }
            Note::Lifted { lifts, then } => {
                self.state.lift(lifts, now);
                self.publish();
                then();
            }
            Note::Cached => self.chores.cached(),
            Note::HeadMirrored(head) => self.chores.mirrored(head),
            Note::EndCut(cause) => {
                self.chores.keep_mirror();
                self.state.note_error(None, cause, now);
                self.dirty = true;
            }
            Note::Trouble(cause) => {
                self.chores.failed();
                self.state.note_error(None, cause, now);
                self.dirty = true;
            }
        }
    }

    fn look_at_audit(&mut self) {
        self.state.audit = self.audit_states.borrow_and_update().clone();
        self.dirty = true;
    }

    /// Notices that the vault was opened, was locked, or has locked itself. The audit log has its key
    /// exactly as long.
    pub(super) fn look_at_vault(&mut self) {
        let lock = self.keeper.vault.state(self.identity.as_ref());
        self.keeper.audit.set_key(self.keeper.vault.audit_key());
        if lock != self.state.lock {
            self.state.lock = lock;
            self.dirty = true;
        }
    }

    pub(super) fn changed(&mut self) {
        self.dirty = true;
    }

    fn publish_at(&self) -> Option<Instant> {
        let pause = if self.waited_for {
            FIRST_WORDS
        } else {
            PUBLISH_EVERY
        };
        self.dirty.then(|| self.published + pause)
    }

    fn publish_if_due(&mut self) {
        if self.publish_at().is_some_and(|due| due <= Instant::now()) {
            self.publish();
        }
    }

    /// Publishes the state, then what has happened: whoever is woken by an event finds a snapshot that
    /// knows of it.
    pub(super) fn publish(&mut self) {
        let at = self.clock().now();
        self.dirty = false;
        self.waited_for = false;
        self.published = Instant::now();
        let snapshot = Arc::new(self.state.snapshot(at));
        let generation = snapshot.generation;
        self.snapshots.send_replace(snapshot);
        for fact in self.state.take_facts() {
            // Nobody need be listening.
            let event = FleetEvent {
                at,
                generation,
                fact,
            };
            drop(self.events.send(event));
        }
    }

    /// Stops admitting; running operations get `grace`.
    pub(super) fn stop(&mut self, grace: Duration, reply: Option<Reply<usize>>) {
        let deadline = Instant::now() + grace;
        let stopping = self.stopping.get_or_insert(Stopping {
            deadline,
            cut: None,
            replies: Vec::new(),
        });
        // A second, more impatient request counts.
        if stopping.cut.is_none() {
            stopping.deadline = stopping.deadline.min(deadline);
        }
        stopping.replies.extend(reply);
    }

    fn cut_at(&self) -> Option<Instant> {
        self.stopping.as_ref().map(|stopping| stopping.deadline)
    }

    /// Ends the waiting of operations whose grace is over; they record themselves as unknown.
    fn cut(&mut self) {
        let running = self.state.running().count() + self.state.store_operations.running();
        if let Some(stopping) = &mut self.stopping {
            if stopping.cut.is_none() {
                for reins in self.reins.values() {
                    reins.cancel.cancel();
                }
                stopping.cut = Some(running);
                stopping.deadline = Instant::now() + LAST_WORDS;
            } else {
                // They do not answer any more; the next start closes their intents.
                self.reins.clear();
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stopping.is_some() && self.reins.is_empty()
    }

    /// Ends sessions and background work, writes what is to be remembered.
    async fn finish(mut self, inboxes: Inboxes) {
        // With nobody to tell, whatever still runs ends soon.
        drop(inboxes);
        self.publish();
        self.groups.reaches.cancel();
        self.groups.sessions.cancel();
        // What is to be remembered is settled: the links end while it is written.
        let unwritten = self.chores.unwritten(&self.state);
        let head = self
            .keeper
            .audit
            .head()
            .filter(|_| self.chores.may_mirror());
        let last = async {
            self.keeper.clone().cache(unwritten).await;
            if let Some(head) = head {
                self.keeper.clone().mirror_head(head).await;
            }
        };
        let (ended, written) = tokio::join!(
            self.groups.sessions.wait(ENDING),
            tokio::time::timeout(ENDING, last)
        );
        if !ended {
            tracing::warn!("some sessions did not end in time");
        }
        if written.is_err() {
            tracing::warn!("the profile could not be written in time");
        }
        if !self.groups.reaches.wait(ENDING).await {
            tracing::warn!("some consoles did not end in time");
        }
        if !self.groups.jobs.wait(ENDING).await {
            tracing::warn!("some background work did not end in time");
        }
        if let Some(stopping) = self.stopping.take() {
            for reply in stopping.replies {
                send_or_gone(reply, Ok(stopping.cut.unwrap_or(0)));
            }
        }
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
