//! `--once`: one scripted command, printed, done.
//!
//! Data goes to standard output, everything else to standard error, and neither ever holds a control
//! sequence. Only the hosts that are needed are connected; one that does not answer does not hold back
//! the others. This door holds a [`FleetHandle`] and nothing else of the fleet.

mod act;
mod cell;
mod console;
mod edit;
mod field;
mod hosts;
mod list;
mod output;
mod reach;
mod result;
mod row;
mod run;
mod screenshot;
mod show;
mod snapshots;
mod store_act;
mod store_show;
mod stores;
mod targets;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::console::Console;
pub use self::output::Format;
pub use self::targets::Targets;
use crate::clock::Clock;
use crate::domain::action::ActionKind;
use crate::domain::edit::Changes;
use crate::domain::error_kind::ExitCode;
use crate::domain::guest_account::GuestAccount;
use crate::domain::operation::Actor;
use crate::domain::selector::Filter;
use crate::domain::snapshot::{DeleteScope, NewSnapshot};
use crate::domain::store::StoreKind;
use crate::domain::store_action::StoreVerb;
use crate::fleet::FleetHandle;
use crate::report::Complaint;

/// One scripted command with all it needs.
#[derive(Debug, Clone)]
pub struct Script {
    /// What to do.
    pub command: Command,
    /// How to write the result.
    pub format: Format,
    /// Who asks.
    pub actor: Actor,
    /// How long to wait for a host to say what it has.
    pub patience: Duration,
    /// Cancelled when a person or the system wants the program to end.
    pub stop: CancellationToken,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Print VMs.
    List(Listing),
    /// Print hosts.
    Hosts(Listing),
    /// Print everything about one VM.
    Show(String),
    /// Write a picture of a VM's screen.
    Screenshot(Screenshot),
    /// Do something to VMs.
    Act(Act),
    /// Run a program in VMs.
    Run(Run),
    /// Print VM snapshots.
    Snapshots(SnapshotListing),
    /// Print pools, volumes or networks.
    Stores(StoreListing),
    /// Print everything about one pool or network.
    StoreShow(StoreKind, String),
    /// Do something to pools or networks.
    StoreAct(StoreAct),
    /// Print what happens, until stopped.
    Watch(Filter),
}

/// A picture of a VM's screen, and where it goes.
#[derive(Debug, Clone)]
pub struct Screenshot {
    /// The VM.
    pub target: String,
    /// The file; `None` for standard output.
    pub out: Option<PathBuf>,
    /// A file that is there already may be replaced.
    pub replace: bool,
    /// Whether standard output is a terminal, which is no place for a picture.
    pub to_terminal: bool,
}

/// Which rows and columns to print, in which order.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only VMs that match.
    pub filter: Filter,
    /// Column to order by; a `-` before it turns the order round.
    pub sort: Option<String>,
    /// Columns to print; empty = the usual ones of the format.
    pub columns: Vec<String>,
}

/// A verb and its conditions.
#[derive(Debug, Clone)]
pub struct Act {
    /// What to do.
    pub verb: Verb,
    /// To which VMs.
    pub targets: Targets,
    /// Agreed to beforehand.
    pub yes: bool,
    /// Only show what would be run.
    pub dry_run: bool,
    /// How long to look for the goal.
    pub wait: Wait,
}

/// A program to run in VMs, and its conditions.
#[derive(Debug, Clone)]
pub struct Run {
    /// In which VMs.
    pub targets: Targets,
    /// The program and its arguments.
    pub words: Vec<String>,
    /// The account of the VMs that it is run for.
    pub account: Option<GuestAccount>,
    /// Agreed to beforehand.
    pub yes: bool,
    /// Only show what would be sent.
    pub dry_run: bool,
    /// How long its end is waited for.
    pub within: Duration,
    /// Whether standard output, and standard error, are terminals: what the program printed must not act on
    /// those.
    pub to_terminal: [bool; 2],
}

/// What is done to each VM.
#[derive(Debug, Clone)]
pub enum Verb {
    /// An action without arguments.
    Plain(ActionKind),
    /// Take a snapshot.
    Create(NewSnapshot),
    /// Revert to the snapshot of this name or id.
    Revert(String),
    /// Delete the snapshots of these names or ids.
    Delete(Vec<String>, DeleteScope),
    /// Delete the snapshots that are older.
    Expire(Duration),
    /// Change what it is set up with.
    Set(Changes),
}

/// Which snapshots and columns to print, in which order.
#[derive(Debug, Clone)]
pub struct SnapshotListing {
    /// Of which VMs.
    pub targets: Targets,
    /// Column to order by; a `-` before it turns the order round.
    pub sort: Option<String>,
    /// Columns to print; empty = the usual ones of the format.
    pub columns: Vec<String>,
}

/// Which pools, volumes or networks to print, with which columns, in which order.
#[derive(Debug, Clone)]
pub struct StoreListing {
    /// What the rows are.
    pub rows: StoreRows,
    /// Of which hosts, each by a pattern; none = all.
    pub hosts: Vec<String>,
    /// Column to order by; a `-` before it turns the order round.
    pub sort: Option<String>,
    /// Columns to print; empty = the usual ones of the format.
    pub columns: Vec<String>,
}

/// What is done to pools or networks, and its conditions.
#[derive(Debug, Clone)]
pub struct StoreAct {
    /// What to do.
    pub verb: StoreVerb,
    /// To which: names, `host/name`, or ids.
    pub targets: Vec<String>,
    /// Agreed to beforehand.
    pub yes: bool,
    /// Only show what would be run.
    pub dry_run: bool,
    /// How long to look for the goal.
    pub wait: Wait,
}

/// What the rows of such a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreRows {
    /// Pools.
    Pools,
    /// Volumes.
    Volumes {
        /// Only those that nothing uses.
        unattached: bool,
    },
    /// Networks.
    Networks,
}

/// How long to look for the goal of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// As long as the verb's own deadline.
    Usual,
    /// At most this long.
    AtMost(Duration),
    /// Not at all: that the hypervisor has taken it is enough.
    No,
}

/// How a command ended when it did not end with a complaint.
type Ended = Result<ExitCode, Complaint>;

/// Runs a scripted command. Everything it has to say has been written when it returns.
pub async fn run(
    handle: &FleetHandle,
    script: Script,
    out: &mut dyn Write,
    err: &mut dyn Write,
    clock: &Clock,
) -> ExitCode {
    let mut console = Console::new(out, err, script.format.is_json());
    let ended = match &script.command {
        Command::List(listing) => list::run(handle, &script, listing, clock, &mut console).await,
        Command::Hosts(listing) => hosts::run(handle, &script, listing, clock, &mut console).await,
        Command::Show(target) => show::run(handle, &script, target, clock, &mut console).await,
        Command::Screenshot(wanted) => {
            screenshot::run(handle, &script, wanted, clock, &mut console).await
        }
        Command::Act(act) => act::run(handle, &script, act, clock, &mut console).await,
        Command::Run(wanted) => run::run(handle, &script, wanted, clock, &mut console).await,
        Command::Snapshots(listing) => {
            snapshots::run(handle, &script, listing, clock, &mut console).await
        }
        Command::Stores(listing) => stores::run(handle, &script, listing, &mut console).await,
        Command::StoreShow(kind, target) => {
            store_show::run(handle, &script, (*kind, target), &mut console).await
        }
        Command::StoreAct(act) => store_act::run(handle, &script, act, &mut console).await,
        Command::Watch(filter) => watch::run(handle, &script, filter, clock, &mut console).await,
    };
    let code = ended.unwrap_or_else(|complaint| {
        console.complain(&complaint);
        complaint.exit_code()
    });
    console.finish(code)
}

/// Returns the columns that the lists know, for the documentation, each as id and what it holds: of `list`,
/// `hosts`, `snapshot list`, `storage list`, the same with `--volumes`, and `network list`.
pub fn columns() -> [Vec<(&'static str, &'static str)>; 6] {
    [
        field::documented(&row::FIELDS),
        field::documented(&hosts::FIELDS),
        field::documented(&snapshots::FIELDS),
        field::documented(&stores::POOL_FIELDS),
        field::documented(&stores::VOLUME_FIELDS),
        field::documented(&stores::NETWORK_FIELDS),
    ]
}
