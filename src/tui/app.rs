//! The state of the screen. Plain data: no clock, no handle, no terminal. Only `update` changes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratatui::layout::Rect;

use super::bulk::Bulk;
use super::command::Context;
use super::editor::Draft;
use super::keymap::Keymap;
use super::layout;
use super::notify::Notices;
use super::overlay::Overlay;
use super::overlay::details::Tab;
use super::own::OwnCommands;
use super::screen::hosts::Hosts;
use super::screen::operations::Operations;
use super::screen::profile::ProfileView;
use super::screen::snapshots::Snapshots;
use super::screen::stores::Stores;
use super::screen::vms::Vms;
use super::theme::Role;
use crate::domain::error_kind::Failure;
use crate::domain::host::{HostId, HostName};
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::Actor;
use crate::domain::vm::VmRef;

/// What does not change while the screen is up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who sits at the terminal.
    pub actor: Actor,
    /// Which key does what.
    pub keymap: Arc<Keymap>,
    /// Whether only ASCII can be shown.
    pub ascii: bool,
    /// The names of the themes there are.
    pub themes: Arc<[String]>,
    /// Name of the theme that holds unless another one was chosen on the screen.
    pub theme: Arc<str>,
    /// How long `:rw` lifts the read-only of hosts unless it says so.
    pub lift_for: Duration,
    /// Age from which on a VM snapshot is old.
    pub old_snapshot: Duration,
    /// The names of the profiles there are, this one included.
    pub profiles: Arc<[String]>,
    /// Whether what is on the screen is recorded.
    pub recorded: bool,
}

/// The views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Screen {
    /// The VM table.
    Vms,
    /// The hosts.
    Hosts,
    /// VM snapshots.
    Snapshots,
    /// Storage and networks.
    Stores,
    /// Operations and the audit log.
    Operations,
    /// Profile and credentials.
    Profile,
}

impl Screen {
    /// Every view.
    pub const ALL: [Self; 6] = [
        Self::Vms,
        Self::Hosts,
        Self::Snapshots,
        Self::Stores,
        Self::Operations,
        Self::Profile,
    ];

    /// Returns its name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Vms => "VMs",
            Self::Hosts => "Hosts",
            Self::Snapshots => "VM snapshots",
            Self::Stores => "Storage and networks",
            Self::Operations => "Operations and audit",
            Self::Profile => "Profile and credentials",
        }
    }

    /// Returns the id of the command that shows it.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Vms => "view.vms",
            Self::Hosts => "view.hosts",
            Self::Snapshots => "view.snapshots",
            Self::Stores => "view.stores",
            Self::Operations => "view.operations",
            Self::Profile => "view.profile",
        }
    }
}

/// A line of news that goes away by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    /// The news.
    pub text: String,
    /// What it means.
    pub role: Role,
    /// The host of which it tells that something did not work there.
    pub host: Option<HostName>,
    /// When it goes away.
    pub until: Timestamp,
}

/// Whether it is news that somebody has to read.
const fn is_bad(role: Role) -> bool {
    matches!(role, Role::Danger | Role::Warning)
}

/// How long news stay.
const TOAST: SignedDuration = SignedDuration::from_secs(5);

/// How long bad news stay.
const BAD_NEWS: SignedDuration = SignedDuration::from_secs(12);

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    /// What does not change.
    pub settings: Settings,
    /// The time of the last event.
    pub now: Timestamp,
    /// Columns and lines of the terminal.
    pub size: (u16, u16),
    /// The fleet as last published.
    pub snapshot: Arc<FleetSnapshot>,
    /// The view in front.
    pub screen: Screen,
    /// The view before it.
    pub previous: Screen,
    /// The VM table.
    pub vms: Vms,
    /// The hosts.
    pub hosts: Hosts,
    /// VM snapshots.
    pub snapshots: Snapshots,
    /// Storage and networks.
    pub stores: Stores,
    /// Operations and audit.
    pub operations: Operations,
    /// Profile and credentials.
    pub profile: ProfileView,
    /// What lies over the view; the last one has the keys.
    pub overlays: Vec<Overlay>,
    /// News.
    pub toast: Option<Toast>,
    /// Errors that the error log had when it was last opened.
    pub seen_errors: u64,
    /// Only one line of header.
    pub compact: bool,
    /// The theme that was chosen here; `None` = the configuration's.
    pub theme: Option<String>,
    /// Hosts and the fingerprints of the keys that were already asked about.
    pub asked_keys: Vec<(HostId, String)>,
    /// How somebody has logged in to VMs, by VM and by host; see `overlay::shell_form`.
    pub logins: BTreeMap<String, String>,
    /// Numbers the plans that are asked for, and the orders about several VMs.
    pub tickets: u64,
    /// Displays that are open on this machine, with the names of their VMs.
    pub displays: BTreeMap<u64, String>,
    /// Orders about several VMs, the last one last.
    pub bulks: Vec<Bulk>,
    /// Commands of the operator's own.
    pub own: Arc<OwnCommands>,
    /// What is to be told to a person who looks elsewhere.
    pub notices: Notices,
    /// The plan that was asked for anew: it is shown in any case.
    pub anew: Option<u64>,
    /// The definition whose plan is asked for or shown.
    pub draft: Option<Draft>,
    /// The definition that is being handed in.
    pub defining: Option<u64>,
    /// Whether a key was pressed: before that the cursor is nobody's choice and stays on top.
    pub touched: bool,
    /// The last error, in one line.
    pub last_error: Option<String>,
    /// Whether the terminal has said that another window has the focus. Many never say.
    pub unfocused: bool,
}

impl App {
    /// Makes the state of a screen that has just been opened.
    pub fn new(
        settings: Settings,
        snapshot: Arc<FleetSnapshot>,
        now: Timestamp,
        size: (u16, u16),
    ) -> Self {
        let mut app = Self {
            settings,
            now,
            size,
            snapshot,
            screen: Screen::Vms,
            previous: Screen::Hosts,
            vms: Vms::default(),
            hosts: Hosts::default(),
            snapshots: Snapshots::default(),
            stores: Stores::default(),
            operations: Operations::default(),
            profile: ProfileView::default(),
            overlays: Vec::new(),
            toast: None,
            seen_errors: 0,
            compact: false,
            theme: None,
            asked_keys: Vec::new(),
            logins: BTreeMap::new(),
            tickets: 0,
            displays: BTreeMap::new(),
            bulks: Vec::new(),
            own: Arc::default(),
            notices: Notices::default(),
            anew: None,
            draft: None,
            defining: None,
            touched: false,
            last_error: None,
            unfocused: false,
        };
        // Nothing is marked yet.
        drop(app.take_snapshot(Arc::clone(&app.snapshot)));
        app
    }

    /// Takes the fleet's newest state; returns the VMs that were marked and are not there any more.
    pub fn take_snapshot(&mut self, snapshot: Arc<FleetSnapshot>) -> Vec<VmRef> {
        let before = std::mem::replace(&mut self.snapshot, snapshot);
        let gone = self.vms.take(&before, &self.snapshot, self.now);
        if !self.touched {
            self.vms.go_to(&self.snapshot, 0);
        }
        self.hosts.take(&self.snapshot);
        if self.screen == Screen::Snapshots {
            self.snapshots.take(&self.snapshot);
        }
        if self.screen == Screen::Stores {
            self.stores.take(&self.snapshot);
        }
        self.operations.take(&self.snapshot);
        for overlay in &mut self.overlays {
            if let Overlay::Console(console) = overlay {
                console.may_type = self.snapshot.may_type_on(console.vm.host, self.now);
            }
        }
        gone
    }

    /// Goes to another view.
    pub fn show(&mut self, screen: Screen) {
        if self.screen != screen {
            self.previous = std::mem::replace(&mut self.screen, screen);
        }
    }

    /// Shows a line of news.
    pub fn say(&mut self, role: Role, text: impl Into<String>) {
        let stay = if is_bad(role) { BAD_NEWS } else { TOAST };
        self.toast = Some(Toast {
            text: text.into(),
            role,
            host: None,
            until: self.now.saturating_add(stay).unwrap_or(self.now),
        });
    }

    /// Tells that a host answers. Nobody has asked for it: bad news about anything else stay until they were read.
    pub fn greet_host(&mut self, host: &HostName) {
        let toast = self.toast.as_ref();
        let stays =
            toast.is_some_and(|toast| is_bad(toast.role) && toast.host.as_ref() != Some(host));
        if !stays {
            self.say(Role::Success, format!("{host} answers"));
        }
    }

    /// Shows why something did not work, and what to do next.
    pub fn fail(&mut self, failure: &Failure) {
        let text = match &failure.hint {
            Some(hint) => format!("{} ({hint})", failure.message),
            None => failure.message.clone(),
        };
        self.say(Role::Danger, text);
    }

    /// Returns how many errors the error log has that nobody has looked at.
    pub fn unseen_errors(&self) -> usize {
        let unseen = self.snapshot.errors.saturating_sub(self.seen_errors);
        usize::try_from(unseen).unwrap_or(usize::MAX)
    }

    /// Shows why something did not work on a host.
    pub fn fail_on(&mut self, host: &HostName, failure: &Failure) {
        let message = format!("{host}: {}", failure.message);
        self.last_error = Some(message.clone());
        let hint = failure.hint.clone();
        self.fail(&Failure {
            message,
            hint: hint.map(|hint| hint.naming(host.as_str())),
            ..failure.clone()
        });
        if let Some(toast) = &mut self.toast {
            toast.host = Some(host.clone());
        }
    }

    /// Returns the contexts in which the next key is looked up, first one first.
    pub fn contexts(&self) -> &'static [Context] {
        if let Some(overlay) = self.overlays.last() {
            return overlay.contexts();
        }
        match self.screen {
            Screen::Vms if self.vms.filter.editing => &[Context::Prompt, Context::Base],
            Screen::Vms => &[Context::Vms, Context::List, Context::Global, Context::Base],
            Screen::Hosts => &[
                Context::Hosts,
                Context::List,
                Context::Global,
                Context::Base,
            ],
            Screen::Snapshots => &[
                Context::Snapshots,
                Context::List,
                Context::Global,
                Context::Base,
            ],
            Screen::Stores => &[
                Context::Stores,
                Context::List,
                Context::Global,
                Context::Base,
            ],
            Screen::Operations if self.operations.filter.editing => {
                &[Context::Prompt, Context::Base]
            }
            Screen::Operations => &[
                Context::Operations,
                Context::List,
                Context::Global,
                Context::Base,
            ],
            Screen::Profile => &[
                Context::Profile,
                Context::List,
                Context::Global,
                Context::Base,
            ],
        }
    }

    /// Returns true while keys are text.
    pub fn is_typing(&self) -> bool {
        self.contexts().contains(&Context::Prompt)
    }

    /// Returns how many rows of a list are seen at once.
    pub fn page(&self) -> usize {
        let area = Rect::new(0, 0, self.size.0, self.size.1);
        let body = layout::areas(area, self.compact).map_or(1, |parts| parts.body.height);
        usize::from(body.saturating_sub(1)).max(1)
    }

    /// Returns how many operations are under way.
    pub fn running(&self) -> usize {
        let of_vms = self.snapshot.operations.iter();
        let of_stores = self.snapshot.store_operations.iter();
        of_vms.filter(|operation| !operation.is_finished()).count()
            + of_stores
                .filter(|operation| !operation.is_finished())
                .count()
    }

    /// Returns how many VMs of the orders under way about several of them are over, and of how many.
    pub fn bulk_progress(&self) -> Option<(usize, usize)> {
        let under_way = self.bulks.iter().filter(|bulk| !bulk.is_over());
        under_way
            .map(Bulk::progress)
            .reduce(|a, b| (a.0 + b.0, a.1 + b.1))
    }

    /// Returns when the screen will look different although nothing happens; `None` = never.
    pub fn next_tick(&self) -> Option<Duration> {
        let second = Duration::from_secs(1);
        let toast = self
            .toast
            .as_ref()
            .map(|toast| Duration::try_from(toast.until - self.now).unwrap_or_default());
        let operation = (self.running() > 0).then_some(second);
        let ages = self.snapshot.hosts.iter().filter_map(|host| {
            let age = host.age(self.now)?;
            if host.is_stale(self.now) {
                // Ages are shown in seconds up to two minutes, in minutes after that.
                return Some(if age < Duration::from_secs(120) {
                    second
                } else {
                    Duration::from_secs(60)
                });
            }
            let turns = host.tick.saturating_mul(2).saturating_sub(age);
            Some(turns + Duration::from_millis(50))
        });
        let console = match self.overlays.last() {
            Some(Overlay::Console(console)) => console.progress.wakes_in(self.now),
            Some(Overlay::Screen(screen)) => screen.wakes_in(self.now),
            _ => None,
        };
        // The age of the last figure is shown by the second.
        let metrics = match self.overlays.last() {
            Some(Overlay::Details(details)) if details.tab == Tab::Metrics => Some(second),
            _ => None,
        };
        // It is read again while it is open.
        let log = match self.overlays.last() {
            Some(Overlay::Log(_)) => Some(second),
            _ => None,
        };
        let stores = self
            .stores
            .oldest()
            .filter(|_| self.screen == Screen::Stores);
        let stores = stores.map(|at| {
            if self.now.duration_since(at) < SignedDuration::from_secs(120) {
                second
            } else {
                Duration::from_secs(60)
            }
        });
        // How long a check takes is shown by the second.
        let doctor = match self.overlays.last() {
            Some(Overlay::Doctor(findings)) if findings.is_checking() => Some(second),
            _ => None,
        };
        // How long a lift still holds is counted down.
        let lift = (!self.snapshot.lifts.is_empty()).then_some(second);
        ages.chain(toast)
            .chain(lift)
            .chain(doctor)
            .chain(stores)
            .chain(console)
            .chain(metrics)
            .chain(log)
            .chain(operation)
            .chain(self.notices.wakes_in(self.now))
            .min()
            .map(|wait| wait.max(Duration::from_millis(50)))
    }
}
