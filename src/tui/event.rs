//! Everything that can change the screen's state, in one total order; time comes with it.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use jiff::Timestamp;

use super::bulk::Handed;
use super::keeping::Kept;
use super::pointer::Hit;
use crate::domain::action::Action;
use crate::domain::audit::{AuditPage, AuditPlace, AuditRecord};
use crate::domain::console::ConsoleNews;
use crate::domain::credential::CredentialSummary;
use crate::domain::definition::DefinitionText;
use crate::domain::edit::VmSettings;
use crate::domain::error_kind::Failure;
use crate::domain::event::{CommandRecord, FleetEvent};
use crate::domain::host::{HostId, HostName};
use crate::domain::inventory::FleetSnapshot;
use crate::domain::metrics::VmMetrics;
use crate::domain::picture::Picture;
use crate::domain::store::HostStores;
use crate::domain::store_action::{StorePlan, StoreProposal, StoreResult};
use crate::domain::vm::{VmDetail, VmRef};
use crate::fleet::request::{ErrorRecord, Finding, Proposal};
use crate::tui::editor::{Draft, Edited, Undone};
use crate::tui::graphics::GraphicsNews;
use crate::tui::guest::GuestNews;
use crate::tui::own::OwnNews;

/// Something happened.
#[derive(Debug)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub input: Input,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A key was pressed or released.
    Key(KeyEvent),
    /// Text was pasted; it is never read as keys.
    Paste(String),
    /// The terminal has another size.
    Resize(u16, u16),
    /// The terminal window got or lost the focus.
    Focus(bool),
    /// A row was clicked, or the wheel was turned.
    Pointer(Pointer),
    /// The fleet is in another state.
    Snapshot(Arc<FleetSnapshot>),
    /// Something happened in the fleet.
    Fact(Box<FleetEvent>),
    /// So much happened that some of it was lost; the snapshot has what is.
    FactsLost(u64),
    /// Time has passed and something on the screen shows it.
    Tick,
    /// Something came out of the console that was opened with this ticket.
    Console(u64, ConsoleNews),
    /// An effect has been run.
    Answer(Answer),
}

/// What the mouse did, where it is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointer {
    /// Pressed on something.
    Press(Hit),
    /// Wheel up.
    WheelUp,
    /// Wheel down.
    WheelDown,
}

/// For each VM, with what is meant beside it ([`Action::about`]), plan and verdict or why there is none.
pub type Proposals = Vec<((VmRef, String), Result<Proposal, Failure>)>;

/// How an effect ended.
#[derive(Debug)]
pub enum Answer {
    /// Plans for VMs, each on its own.
    Planned {
        /// Of the question.
        ticket: u64,
        /// What is wanted.
        action: Action,
        /// Plan and verdict, or why there is none.
        proposals: Proposals,
    },
    /// A plan was handed in; what comes of it is seen in the snapshot.
    Submitted {
        /// `shut down web-1`.
        what: String,
        /// Whether it was admitted.
        result: Result<(), Failure>,
    },
    /// What became of handing in one plan (its place) of an order about several VMs.
    Handed(u64, usize, Handed),
    /// Something without a value was done.
    Done {
        /// What to say when it worked, if anything.
        said: Option<String>,
        /// Whether it worked.
        result: Result<(), Failure>,
    },
    /// Everything about a VM.
    Detail(VmRef, Result<Arc<VmDetail>, Failure>),
    /// What a VM is set up with.
    Settings(u64, VmRef, Box<Result<VmSettings, Failure>>),
    /// The definition of a VM.
    Definition(u64, VmRef, Result<DefinitionText, Failure>),
    /// The definition that goes under a text which was made of an older one.
    DefinitionAgain(u64, Box<Draft>, Result<DefinitionText, Failure>),
    /// The editor has ended.
    Edited(Box<Edited>),
    /// What became of a definition that was written by hand.
    Defined(u64, Box<Draft>, Result<(), Undone>),
    /// Storage and networks of a host.
    Stores(HostId, Result<Arc<HostStores>, Failure>),
    /// A plan for a pool or a network.
    StorePlanned {
        /// Of the question.
        ticket: u64,
        /// The plan, or why there is none.
        proposal: Box<Result<StoreProposal, Failure>>,
    },
    /// It was run.
    StoreDone {
        /// What was run.
        plan: Box<StorePlan>,
        /// How it ended, or why it was not admitted.
        result: Result<StoreResult, Failure>,
    },
    /// Something about a program in a VM.
    Guest(GuestNews),
    /// The figures of a VM over the last quarter of an hour.
    Metrics(VmRef, Result<Option<VmMetrics>, Failure>),
    /// Audit records, of one VM or of all.
    Audit(Option<VmRef>, Result<Vec<AuditRecord>, Failure>),
    /// Some of the audit log, of one VM or of all, before a place or before its end.
    AuditPage(
        Option<VmRef>,
        Option<AuditPlace>,
        Result<AuditPage, Failure>,
    ),
    /// A list was written into a file: what to say about it.
    Exported(Result<String, Failure>),
    /// A picture of a VM's screen.
    Screen(u64, Result<Arc<Picture>, Failure>),
    /// Something has become of a display.
    Graphics(u64, GraphicsNews),
    /// A console was opened; whether keys reach the VM.
    ConsoleOpened(u64, Result<bool, Failure>),
    /// The command log.
    Commands(Result<Vec<CommandRecord>, Failure>),
    /// The error log.
    Errors(Result<Vec<ErrorRecord>, Failure>),
    /// A host was checked.
    Findings(HostName, Result<Vec<Finding>, Failure>),
    /// A host was added or changed.
    HostSaved(Result<HostId, Failure>),
    /// The passphrase was tried.
    Unlocked(Result<(), Failure>),
    /// The file of the theme in use was written anew.
    ThemeWritten,
    /// The names of all themes, where they are others than before.
    ThemesFound(Arc<[String]>),
    /// A command of the operator's own has ended.
    Own(Box<OwnNews>),
    /// Hosts or credentials were kept.
    Kept(Kept),
    /// The credentials.
    Credentials(Result<Vec<CredentialSummary>, Failure>),
}
