//! A VM's graphical display on this machine: a listener on the loopback alone, and each connection to it
//! carried over the host's second connection to where the display listens there.
//!
//! It is there as long as somebody holds it, takes no more connections than one viewer makes, and is
//! recorded with its end. Whoever is at a display can type, so it is refused where nothing may be changed.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::admission;
use super::engine::Engine;
use super::plan::kind_of;
use super::record;
use super::request::Reply;
use super::screen::{ending, has_screen};
use super::side_link::{SideLink, SideLinks};
use crate::audit::AuditLog;
use crate::domain::audit::AuditEntry;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::graphics::Display;
use crate::domain::host::HostSpec;
use crate::domain::operation::Actor;
use crate::domain::vm::{VmId, VmRef};
use crate::hypervisor::Reach;
use crate::session::{CommandLog, SessionContext};
use crate::task::{Tasks, send_or_gone};

/// Word of the audit log for a display.
pub const GRAPHICS: &str = "graphics";

/// Pause after a connection that could not be taken: the machine is short of something.
const SHORT: Duration = Duration::from_millis(200);

/// A display on this machine. Dropping it closes it.
#[derive(Debug)]
pub struct Graphics {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// What is behind it.
    pub display: Display,
    /// Who has connected so far.
    pub viewers: watch::Receiver<Viewers>,
    _stop: DropGuard,
}

impl Graphics {
    /// Returns the address for a viewer.
    pub fn address(&self) -> String {
        format!("{}://127.0.0.1:{}", self.display.kind.scheme(), self.port)
    }
}

/// Who has connected to a display, and how it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Viewers {
    /// Connections now.
    pub now: usize,
    /// Connections so far.
    pub ever: usize,
    /// Why the last one was not carried.
    pub trouble: Option<Failure>,
    /// Why there can be no more.
    pub over: Option<Failure>,
}

/// Everything the task of one display needs.
struct Task {
    vm: VmId,
    intent: AuditEntry,
    spec: Arc<HostSpec>,
    reach: &'static dyn Reach,
    context: Arc<SessionContext>,
    links: SideLinks,
    log: CommandLog,
    audit: AuditLog,
    tasks: Tasks,
}

impl Engine {
    /// Brings a VM's display to this machine, as a task of its own.
    pub(super) fn open_graphics(&mut self, (vm, actor): (&VmRef, Actor), reply: Reply<Graphics>) {
        match self.prepare_graphics(vm, actor) {
            Ok(task) => drop(self.groups.reaches.spawn("graphics", task.run(reply))),
            Err(cause) => send_or_gone(reply, Err(cause)),
        }
    }

    fn prepare_graphics(&mut self, vm: &VmRef, actor: Actor) -> Result<Task, Failure> {
        if self.stopping.is_some() {
            return Err(ending());
        }
        let now = self.clock().now();
        let view = self.state.view(now);
        let (host, found) = admission::within_reach(&view, vm)?;
        has_screen(found)?;
        let verdict = admission::may_type(&view, host, &actor)?;
        let id = self.ids.next(now);
        let intent = AuditEntry {
            rule: Some(verdict.rule),
            ..record::reach_intent(GRAPHICS, (&host.spec, found), actor, &id, now)
        };
        Ok(Task {
            vm: vm.vm.clone(),
            intent,
            spec: Arc::clone(&host.spec),
            reach: self.context.drivers.reach(kind_of(host)?),
            context: Arc::clone(&self.context),
            links: self.side_links.clone(),
            log: self.roster.log(vm.host),
            audit: self.keeper.audit.clone(),
            tasks: self.groups.reaches.clone(),
        })
    }
}

impl Task {
    async fn run(self, reply: Reply<Graphics>) {
        let began = Instant::now();
        if let Err(error) = self.audit.append(self.intent.clone()).await {
            return send_or_gone(reply, Err(error.refusal("opening the display")));
        }
        let stop = self.tasks.token().child_token();
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => Err(ending()),
            opened = self.open() => opened,
        };
        let (status, details) = match opened {
            Err(cause) => {
                let details = cause.message.clone();
                send_or_gone(reply, Err(cause));
                ("failed", details)
            }
            Ok((link, listener, display)) => {
                let (told, viewers) = watch::channel(Viewers::default());
                let shown = display.shown();
                let door = Door {
                    link,
                    display: display.clone(),
                    viewers: told,
                    stop: stop.clone(),
                };
                let graphics = Graphics {
                    port: listener.local_addr().map_or(0, |at| at.port()),
                    display,
                    viewers,
                    _stop: stop.drop_guard(),
                };
                send_or_gone(reply, Ok(graphics));
                let ever = door.serve(listener, &self.tasks).await;
                ("ok", format!("{shown}, {ever} connections"))
            }
        };
        let (said, now) = ((status, details), self.context.clock.now());
        let outcome = record::reach_outcome(self.intent, said, began.elapsed(), now);
        if let Err(error) = self.audit.append(outcome).await {
            tracing::error!(%error, "could not record the end of a display");
        }
    }

    async fn open(&self) -> Result<(Arc<SideLink>, TcpListener, Display), Failure> {
        let link = self
            .links
            .lease(&self.context, &self.spec, self.log.clone())
            .await?;
        let asking = self.reach.display(link.transport(), &self.spec, &self.vm);
        let display = asking.await.map_err(|error| Failure::of(&error))?;
        // Any free port, of this machine and nobody else.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|error| {
            let message = format!("no port to listen on: {error}");
            Failure::new(ErrorKind::Store, message)
        })?;
        Ok((link, listener, display))
    }
}

/// The listener's side of a display.
#[derive(Clone)]
struct Door {
    link: Arc<SideLink>,
    display: Display,
    viewers: watch::Sender<Viewers>,
    stop: CancellationToken,
}

impl Door {
    /// Lets viewers in until nobody holds the display any more or its connection is gone; returns how many
    /// have come.
    async fn serve(self, listener: TcpListener, tasks: &Tasks) -> usize {
        let places = Arc::new(Semaphore::new(self.display.kind.connections()));
        let link = Arc::clone(&self.link);
        loop {
            let taken = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                error = link.transport().closed() => {
                    self.viewers.send_modify(|told| told.over = Some(Failure::of(&error)));
                    break;
                }
                taken = listener.accept() => taken,
            };
            match taken {
                Ok((stream, _)) => {
                    // One connection more than a viewer makes is somebody else's.
                    if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                        let carrying = self.clone().carry(stream, place);
                        tasks.spawn("viewer", carrying);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a viewer's connection was not taken");
                    tokio::time::sleep(SHORT).await;
                }
            }
        }
        self.viewers.borrow().ever
    }

    async fn carry(self, stream: TcpStream, place: OwnedSemaphorePermit) {
        self.viewers.send_modify(|told| {
            told.now += 1;
            told.ever += 1;
        });
        let forwarding = self.link.transport().forward(&self.display.place, stream);
        let trouble = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            carried = forwarding => carried.err().map(|error| Failure::of(&error)),
        };
        self.viewers.send_modify(|told| {
            told.now -= 1;
            told.trouble = trouble;
        });
        drop(place);
    }
}
