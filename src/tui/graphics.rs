//! A VM's graphics from the dashboard: the display is brought to this machine, a viewer is started, and both
//! end together. Where there is no viewer, the address stays until somebody is done with it.

use std::collections::HashMap;
use std::process::ExitStatus;

use tokio::process::Child;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::event::Answer;
use super::rdp_file::RdpFile;
use super::viewer::{self, Shown};
use crate::domain::error_kind::Failure;
use crate::domain::graphics::DisplayKind;
use crate::domain::operation::Actor;
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::fleet::graphics::Graphics;
use crate::task::Tasks;

/// What becomes of a display.
#[derive(Debug, Clone, PartialEq)]
pub enum GraphicsNews {
    /// A viewer was started.
    Viewer {
        /// Which.
        program: String,
        /// What it shows.
        address: String,
        /// Where the display can be reached without SSH, if it can.
        exposed: Option<String>,
    },
    /// There is none: somebody has to connect to it.
    ByHand {
        /// Why.
        why: String,
        /// To what.
        address: String,
        /// Where the display can be reached without SSH, if it can.
        exposed: Option<String>,
    },
    /// Somebody has come or gone, or could not be let in.
    Connected(usize, Option<Failure>),
    /// It is closed; for a reason where nobody wanted that.
    Closed(Option<Failure>),
}

/// The displays that are open. Dropping one closes it.
#[derive(Debug, Default)]
pub(super) struct Displays(HashMap<u64, DropGuard>);

impl Displays {
    /// Opens a display as a task that stays with it.
    pub(super) fn open(
        &mut self,
        ticket: u64,
        wanted: Wanted,
        (tasks, answers): (&Tasks, mpsc::Sender<Answer>),
    ) {
        let stop = CancellationToken::new();
        self.0.insert(ticket, stop.clone().drop_guard());
        drop(tasks.spawn("tui-graphics", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = carry(wanted, Teller(ticket, answers)) => {}
            }
        }));
    }

    /// Closes one.
    pub(super) fn close(&mut self, ticket: u64) {
        self.0.remove(&ticket);
    }
}

/// What is to be opened.
pub(super) struct Wanted {
    pub(super) handle: FleetHandle,
    pub(super) vm: VmRef,
    pub(super) actor: Actor,
    /// The configured viewer; empty = whichever is there.
    pub(super) viewer: Vec<String>,
}

/// Tells the screen what becomes of one display.
struct Teller(u64, mpsc::Sender<Answer>);

impl Teller {
    async fn tell(&self, news: GraphicsNews) {
        // The screen has been left: nobody wants to know any more.
        drop(self.1.send(Answer::Graphics(self.0, news)).await);
    }
}

async fn carry(wanted: Wanted, teller: Teller) {
    let Wanted {
        handle,
        vm,
        actor,
        viewer,
    } = wanted;
    let mut graphics = match handle.graphics(vm.clone(), actor).await {
        Ok(graphics) => graphics,
        Err(cause) => return teller.tell(GraphicsNews::Closed(Some(cause))).await,
    };
    let mut shown = Shown {
        kind: graphics.display.kind,
        port: graphics.port,
        id: vm.vm.to_string(),
        file: None,
    };
    // Kept until the end: the file is there as long as the port.
    let file = match connection_file(&shown) {
        Ok(file) => file,
        Err(cause) => return teller.tell(GraphicsNews::Closed(Some(cause))).await,
    };
    shown.file = file.as_ref().map(|file| file.path().display().to_string());
    let address = graphics.address();
    let exposed = graphics.display.exposed.clone();
    let by_hand = |why: String| GraphicsNews::ByHand {
        why: match shown.kind {
            DisplayKind::Rdp => format!(
                "{why}; the VM's preconnection id is {}, its connection file {}",
                shown.vm_id(),
                shown.file.as_deref().unwrap_or_default()
            ),
            DisplayKind::Vnc | DisplayKind::Spice => why,
        },
        address: address.clone(),
        exposed: exposed.clone(),
    };
    let mut running = match viewer::start(&viewer::programs(&viewer, &shown)) {
        Ok((child, program)) => {
            let news = GraphicsNews::Viewer {
                program: program.clone(),
                address: address.clone(),
                exposed: exposed.clone(),
            };
            teller.tell(news).await;
            Some((child, program))
        }
        Err(why) => {
            teller.tell(by_hand(why)).await;
            None
        }
    };
    loop {
        tokio::select! {
            (program, status) = ended(&mut running) => {
                running = None;
                let viewers = graphics.viewers.borrow().clone();
                if viewers.ever > 0 {
                    // Some programs start another one and leave it to show the picture.
                    until_empty(&mut graphics).await;
                    return teller.tell(GraphicsNews::Closed(None)).await;
                }
                let why = viewers.trouble.map_or_else(
                    || format!("{program} ended without connecting ({status})"),
                    |cause| cause.to_string(),
                );
                teller.tell(by_hand(why)).await;
            }
            changed = graphics.viewers.changed() => {
                let viewers = graphics.viewers.borrow_and_update().clone();
                if viewers.over.is_some() || changed.is_err() {
                    return teller.tell(GraphicsNews::Closed(viewers.over)).await;
                }
                teller.tell(GraphicsNews::Connected(viewers.now, viewers.trouble)).await;
            }
        }
    }
}

/// Writes the connection file of a Hyper-V display; the others need none.
fn connection_file(shown: &Shown) -> Result<Option<RdpFile>, Failure> {
    match shown.kind {
        DisplayKind::Rdp => RdpFile::write(shown.port, &shown.vm_id())
            .map(Some)
            .map_err(|error| Failure::of(&error)),
        DisplayKind::Vnc | DisplayKind::Spice => Ok(None),
    }
}

/// Waits until the viewer ends; for ever where there is none.
async fn ended(running: &mut Option<(Child, String)>) -> (String, String) {
    let Some((child, program)) = running else {
        return std::future::pending().await;
    };
    let status = child.wait().await;
    let status = status.map_or_else(
        |error| error.to_string(),
        |status: ExitStatus| status.to_string(),
    );
    (program.clone(), status)
}

async fn until_empty(graphics: &mut Graphics) {
    let gone = graphics
        .viewers
        .wait_for(|viewers| viewers.now == 0 || viewers.over.is_some());
    // The other side has gone: there is nobody any more.
    drop(gone.await);
}
