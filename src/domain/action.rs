//! The verb catalogue: one table from which keys, menus, `--once`, audit words and docs are derived.
//!
//! To add an action: a variant of [`ActionKind`], a row of [`ActionKind::TABLE`], an arm in each driver.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::definition::DefineRequest;
use super::edit::EditRequest;
use super::snapshot::SnapshotRequest;
use super::vm::PowerState;

/// What can be done to a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Power on, or restore a saved image.
    Start,
    /// Ask the guest to power off.
    Shutdown,
    /// Cut the power.
    ForceOff,
    /// Ask the guest to restart.
    Reboot,
    /// Press the reset button.
    Reset,
    /// Stop the virtual processors, keep the memory.
    Pause,
    /// Let them run again.
    Resume,
    /// Write the memory to disk and power off.
    Save,
    /// Start together with the host.
    AutostartOn,
    /// Do not start together with the host.
    AutostartOff,
    /// Make a VM snapshot.
    SnapshotCreate,
    /// Bring the VM back to a snapshot.
    SnapshotRevert,
    /// Delete a snapshot.
    SnapshotDelete,
    /// Change what the VM is set up with.
    Edit,
}

/// How far an action has to be agreed to before it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Just do it.
    Nothing,
    /// A `y`, or `--yes`.
    Confirm,
    /// The VM's name typed (on the command line: `--yes` and the VM named in full).
    TypeName,
}

/// What a VM must be like for an operation to count as confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Goal {
    /// Seen in this state.
    State(GoalState),
    /// Seen running again after having restarted.
    Restarted,
    /// The flag reads as wanted.
    Autostart(bool),
    /// Its snapshots read as was asked.
    Snapshots,
    /// What it is set up with reads as was asked.
    Settings,
}

/// The states that actions aim at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GoalState {
    /// Running.
    Running,
    /// Off.
    Stopped,
    /// Paused.
    Paused,
    /// Saved to disk.
    Saved,
}

impl GoalState {
    /// Returns true when `state` is the one aimed at.
    pub fn is_met_by(self, state: &PowerState) -> bool {
        matches!(
            (self, state),
            (Self::Running, PowerState::Running)
                | (Self::Stopped, PowerState::Stopped)
                | (Self::Paused, PowerState::Paused)
                | (Self::Saved, PowerState::Saved)
        )
    }
}

impl ActionSpec {
    /// Returns the verb where nothing follows it: `take a snapshot`, not `take a snapshot of`.
    pub fn verb_alone(&self) -> &'static str {
        self.verb.strip_suffix(" of").unwrap_or(self.verb)
    }

    /// Returns what is done to so many: `start 3 VMs`, `delete 3 snapshots`.
    pub fn of_several(&self, count: usize) -> String {
        self.several(self.verb, count)
    }

    /// Returns what is going on meanwhile: `starting 3 VMs`, `deleting 3 snapshots`.
    pub fn doing_several(&self, count: usize) -> String {
        self.several(self.doing, count)
    }

    /// Several snapshots may be those of one VM, so that they are what is counted where they go.
    fn several(&self, verb: &str, count: usize) -> String {
        if self.kind == ActionKind::SnapshotDelete {
            verb.replace("a snapshot of", &format!("{count} snapshots"))
        } else {
            format!("{verb} {count} VMs")
        }
    }
}

/// One row of the verb catalogue.
#[derive(Debug, Clone, Copy)]
pub struct ActionSpec {
    /// Which action.
    pub kind: ActionKind,
    /// Stable id: `--once` verb, REST path, audit word.
    pub id: &'static str,
    /// What a person reads in menus: `shut down`.
    pub verb: &'static str,
    /// What has happened once it is done: `shut down`, `forced off`.
    pub past: &'static str,
    /// What is going on meanwhile: `stopping`.
    pub doing: &'static str,
    /// One sentence for help, README and man page.
    pub summary: &'static str,
    /// Key in the VM table, where it has one of its own.
    pub key: Option<char>,
    /// Letter in the power menu.
    pub mnemonic: char,
    /// States it can be run from, by [`PowerState::word`]; empty = any.
    pub from: &'static [&'static str],
    /// What must be agreed to for one VM.
    pub asks: Ask,
    /// What must be agreed to on a host of tier `prod`.
    pub asks_on_prod: Ask,
    /// What must be agreed to for several VMs at once.
    pub asks_in_bulk: Ask,
    /// What it does to those who use the VM; shown in the confirm dialog.
    pub consequence: Option<&'static str>,
    /// When it counts as confirmed.
    pub goal: Goal,
    /// How long to look for the goal before it ends as accepted.
    pub deadline: Duration,
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl ActionKind {
    /// Every action.
    pub const ALL: [Self; 14] = [
        Self::Start,
        Self::Shutdown,
        Self::Reboot,
        Self::ForceOff,
        Self::Reset,
        Self::Pause,
        Self::Resume,
        Self::Save,
        Self::AutostartOn,
        Self::AutostartOff,
        Self::SnapshotCreate,
        Self::SnapshotRevert,
        Self::SnapshotDelete,
        Self::Edit,
    ];

    /// The catalogue, in the order of [`Self::ALL`].
    pub const TABLE: [ActionSpec; 14] = [
        ActionSpec {
            kind: Self::Start,
            id: "start",
            verb: "start",
            past: "started",
            doing: "starting",
            summary: "Power on a stopped VM, or restore a saved one.",
            key: Some('s'),
            mnemonic: 's',
            from: &["stopped", "saved", "crashed"],
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            asks_in_bulk: Ask::Confirm,
            consequence: None,
            goal: Goal::State(GoalState::Running),
            deadline: seconds(60),
        },
        ActionSpec {
            kind: Self::Shutdown,
            id: "shutdown",
            verb: "shut down",
            past: "shut down",
            doing: "stopping",
            summary: "Ask the guest to power off; it may refuse.",
            key: Some('S'),
            mnemonic: 'd',
            from: &["running"],
            asks: Ask::Confirm,
            asks_on_prod: Ask::Confirm,
            asks_in_bulk: Ask::Confirm,
            consequence: Some("its services end"),
            goal: Goal::State(GoalState::Stopped),
            deadline: seconds(120),
        },
        ActionSpec {
            kind: Self::Reboot,
            id: "reboot",
            verb: "reboot",
            past: "rebooted",
            doing: "rebooting",
            summary: "Ask the guest to restart; it may refuse.",
            key: Some('R'),
            mnemonic: 'b',
            from: &["running"],
            asks: Ask::Confirm,
            asks_on_prod: Ask::Confirm,
            asks_in_bulk: Ask::Confirm,
            consequence: Some("its services are interrupted"),
            goal: Goal::Restarted,
            deadline: seconds(120),
        },
        ActionSpec {
            kind: Self::ForceOff,
            id: "force-off",
            verb: "force off",
            past: "forced off",
            doing: "forcing off",
            summary: "Cut the power; unsaved data in the guest is lost.",
            key: Some('F'),
            mnemonic: 'f',
            from: &[
                "running", "paused", "stopping", "starting", "crashed", "unknown",
            ],
            asks: Ask::Confirm,
            asks_on_prod: Ask::TypeName,
            asks_in_bulk: Ask::Confirm,
            consequence: Some("power is cut: unsaved data in the guest is lost"),
            goal: Goal::State(GoalState::Stopped),
            deadline: seconds(30),
        },
        ActionSpec {
            kind: Self::Reset,
            id: "reset",
            verb: "reset",
            past: "reset",
            doing: "resetting",
            summary: "Restart without asking the guest; unsaved data is lost.",
            key: None,
            mnemonic: 'r',
            from: &["running", "paused"],
            asks: Ask::Confirm,
            asks_on_prod: Ask::TypeName,
            asks_in_bulk: Ask::Confirm,
            consequence: Some("the reset button is pressed: unsaved data in the guest is lost"),
            goal: Goal::Restarted,
            deadline: seconds(30),
        },
        ActionSpec {
            kind: Self::Pause,
            id: "pause",
            verb: "pause",
            past: "paused",
            doing: "pausing",
            summary: "Stop the virtual processors and keep the memory.",
            key: Some('p'),
            mnemonic: 'p',
            from: &["running"],
            asks: Ask::Nothing,
            asks_on_prod: Ask::Confirm,
            asks_in_bulk: Ask::Confirm,
            consequence: Some("its services stand still until it is resumed"),
            goal: Goal::State(GoalState::Paused),
            deadline: seconds(30),
        },
        ActionSpec {
            kind: Self::Resume,
            id: "resume",
            verb: "resume",
            past: "resumed",
            doing: "resuming",
            summary: "Let a paused VM run again.",
            key: None,
            mnemonic: 'u',
            from: &["paused"],
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            asks_in_bulk: Ask::Confirm,
            consequence: None,
            goal: Goal::State(GoalState::Running),
            deadline: seconds(30),
        },
        ActionSpec {
            kind: Self::Save,
            id: "save",
            verb: "save",
            past: "saved",
            doing: "saving",
            summary: "Write the memory to the host's disk and power off; start restores it.",
            key: None,
            mnemonic: 'v',
            from: &["running", "paused"],
            asks: Ask::Confirm,
            asks_on_prod: Ask::Confirm,
            asks_in_bulk: Ask::Confirm,
            consequence: Some("its services stand still until it is started again"),
            goal: Goal::State(GoalState::Saved),
            deadline: seconds(300),
        },
        ActionSpec {
            kind: Self::AutostartOn,
            id: "autostart-on",
            verb: "autostart on",
            past: "set to start with its host",
            doing: "setting autostart",
            summary: "Start this VM together with its host.",
            key: None,
            mnemonic: 'a',
            from: &[],
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            asks_in_bulk: Ask::Confirm,
            consequence: None,
            goal: Goal::Autostart(true),
            deadline: seconds(30),
        },
        ActionSpec {
            kind: Self::AutostartOff,
            id: "autostart-off",
            verb: "autostart off",
            past: "set not to start with its host",
            doing: "clearing autostart",
            summary: "Do not start this VM together with its host.",
            key: None,
            mnemonic: 'o',
            from: &[],
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            asks_in_bulk: Ask::Confirm,
            consequence: None,
            goal: Goal::Autostart(false),
            deadline: seconds(30),
        },
        ActionSpec {
            kind: Self::SnapshotCreate,
            id: "snapshot-create",
            verb: "take a snapshot of",
            past: "has a new snapshot",
            doing: "taking a snapshot of",
            summary: "Keep what is on its disks, and in its memory, as it is now.",
            key: None,
            mnemonic: 'n',
            from: &[],
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            asks_in_bulk: Ask::Confirm,
            consequence: None,
            goal: Goal::Snapshots,
            deadline: seconds(300),
        },
        ActionSpec {
            kind: Self::SnapshotRevert,
            id: "snapshot-revert",
            verb: "revert",
            past: "reverted",
            doing: "reverting",
            summary: "Bring it back to a snapshot; what came after is lost.",
            key: None,
            mnemonic: 't',
            from: &[],
            asks: Ask::TypeName,
            asks_on_prod: Ask::TypeName,
            asks_in_bulk: Ask::TypeName,
            consequence: None,
            goal: Goal::Snapshots,
            deadline: seconds(300),
        },
        ActionSpec {
            kind: Self::SnapshotDelete,
            id: "snapshot-delete",
            verb: "delete a snapshot of",
            past: "has lost a snapshot",
            doing: "deleting a snapshot of",
            summary: "Delete a snapshot; the VM itself stays as it is.",
            key: None,
            mnemonic: 'x',
            from: &[],
            asks: Ask::Confirm,
            asks_on_prod: Ask::Confirm,
            asks_in_bulk: Ask::Confirm,
            consequence: None,
            goal: Goal::Snapshots,
            deadline: seconds(300),
        },
        ActionSpec {
            kind: Self::Edit,
            id: "edit",
            verb: "change",
            past: "has been changed",
            doing: "changing",
            summary: "Change its vCPUs, memory, autostart, title or description.",
            key: None,
            mnemonic: 'e',
            from: &[],
            asks: Ask::Confirm,
            asks_on_prod: Ask::Confirm,
            asks_in_bulk: Ask::Confirm,
            consequence: None,
            goal: Goal::Settings,
            deadline: seconds(60),
        },
    ];

    /// Returns this action's row.
    pub const fn spec(self) -> &'static ActionSpec {
        match self {
            Self::Start => &Self::TABLE[0],
            Self::Shutdown => &Self::TABLE[1],
            Self::Reboot => &Self::TABLE[2],
            Self::ForceOff => &Self::TABLE[3],
            Self::Reset => &Self::TABLE[4],
            Self::Pause => &Self::TABLE[5],
            Self::Resume => &Self::TABLE[6],
            Self::Save => &Self::TABLE[7],
            Self::AutostartOn => &Self::TABLE[8],
            Self::AutostartOff => &Self::TABLE[9],
            Self::SnapshotCreate => &Self::TABLE[10],
            Self::SnapshotRevert => &Self::TABLE[11],
            Self::SnapshotDelete => &Self::TABLE[12],
            Self::Edit => &Self::TABLE[13],
        }
    }

    /// Returns the rows of actions that are said in one word: nothing else has to be named for them. These
    /// have a key, a place in the menus and a command of their own.
    pub fn plain() -> impl Iterator<Item = &'static ActionSpec> {
        Self::TABLE
            .iter()
            .filter(|spec| !spec.kind.takes_arguments())
    }

    /// Returns true when the action is about one of the VM's snapshots.
    pub const fn is_about_a_snapshot(self) -> bool {
        matches!(
            self,
            Self::SnapshotCreate | Self::SnapshotRevert | Self::SnapshotDelete
        )
    }

    /// Returns true when the action says nothing without what is asked beside it.
    pub const fn takes_arguments(self) -> bool {
        self.is_about_a_snapshot() || matches!(self, Self::Edit)
    }

    /// Returns the stable id.
    pub const fn id(self) -> &'static str {
        self.spec().id
    }

    /// Returns true when the action can be run on a VM in this state.
    pub fn fits(self, state: &PowerState) -> bool {
        let from = self.spec().from;
        from.is_empty() || from.contains(&state.word())
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl FromStr for ActionKind {
    type Err = String;

    /// Reads the stable id, or the verb as it is shown.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::TABLE
            .iter()
            .find(|spec| spec.id == text || spec.verb == text)
            .map(|spec| spec.kind)
            .ok_or_else(|| format!("`{text}` is no action"))
    }
}

/// An action with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Action {
    /// Which one.
    pub kind: ActionKind,
    /// What is asked about snapshots; there exactly where the kind is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRequest>,
    /// What is to be changed; there exactly where the kind is [`ActionKind::Edit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Box<EditRequest>>,
    /// A definition in the place of the one that it has, where the kind is [`ActionKind::Edit`]. It stays in this
    /// process: it may hold a password that was typed.
    #[serde(skip)]
    pub define: Option<Box<DefineRequest>>,
}

impl Action {
    /// Makes an action without arguments.
    pub const fn new(kind: ActionKind) -> Self {
        Self {
            kind,
            snapshot: None,
            edit: None,
            define: None,
        }
    }

    /// Returns what it is about beside the VM, as it is shown: ` (snapshot clean)`, or nothing.
    pub fn about(&self) -> String {
        if let Some(request) = &self.define {
            return format!(" ({})", request.summary());
        }
        match (&self.snapshot, &self.edit) {
            (Some(request), _) => format!(" (snapshot {})", request.name()),
            (None, Some(request)) => format!(" ({})", request.summary()),
            (None, None) => String::new(),
        }
    }

    /// Returns what has to be known beside the outcome once it was done.
    pub fn remark(&self) -> Option<&'static str> {
        match &self.define {
            Some(request) => request.later(),
            None => self.edit.as_ref()?.later(),
        }
    }
}

impl From<SnapshotRequest> for Action {
    fn from(request: SnapshotRequest) -> Self {
        Self {
            kind: match &request {
                SnapshotRequest::Create(_) => ActionKind::SnapshotCreate,
                SnapshotRequest::Revert(_) => ActionKind::SnapshotRevert,
                SnapshotRequest::Delete(..) => ActionKind::SnapshotDelete,
            },
            snapshot: Some(request),
            edit: None,
            define: None,
        }
    }
}

impl From<EditRequest> for Action {
    fn from(request: EditRequest) -> Self {
        Self {
            edit: Some(Box::new(request)),
            ..Self::new(ActionKind::Edit)
        }
    }
}

impl From<DefineRequest> for Action {
    fn from(request: DefineRequest) -> Self {
        Self {
            define: Some(Box::new(request)),
            ..Self::new(ActionKind::Edit)
        }
    }
}

impl From<ActionKind> for Action {
    fn from(kind: ActionKind) -> Self {
        Self::new(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_is_what_is_counted() {
        for (kind, told, meanwhile) in [
            (ActionKind::Start, "start 3 VMs", "starting 3 VMs"),
            (
                ActionKind::SnapshotCreate,
                "take a snapshot of 3 VMs",
                "taking a snapshot of 3 VMs",
            ),
            (
                ActionKind::SnapshotDelete,
                "delete 3 snapshots",
                "deleting 3 snapshots",
            ),
        ] {
            let spec = kind.spec();
            assert_eq!(spec.of_several(3), told);
            assert_eq!(spec.doing_several(3), meanwhile);
        }
    }

    #[test]
    fn the_table_and_the_list_agree() {
        for (index, kind) in ActionKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.spec().kind, kind);
            assert_eq!(ActionKind::TABLE[index].kind, kind);
            assert_eq!(kind.id().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.id());
        }
    }

    #[test]
    fn mnemonics_and_keys_are_not_shared() {
        for spec in &ActionKind::TABLE {
            let twins = ActionKind::TABLE
                .iter()
                .filter(|other| other.mnemonic == spec.mnemonic);
            assert_eq!(twins.count(), 1, "{}", spec.id);
            if spec.key.is_some() {
                let twins = ActionKind::TABLE
                    .iter()
                    .filter(|other| other.key == spec.key);
                assert_eq!(twins.count(), 1, "{}", spec.id);
            }
        }
    }

    #[test]
    fn what_disrupts_asks_and_has_a_capital_key() {
        for spec in &ActionKind::TABLE {
            let disrupts = matches!(
                spec.kind,
                ActionKind::Shutdown
                    | ActionKind::Reboot
                    | ActionKind::ForceOff
                    | ActionKind::Reset
            );
            if disrupts {
                assert!(spec.asks >= Ask::Confirm, "{}", spec.id);
                assert!(
                    spec.key.is_none_or(|key| key.is_ascii_uppercase()),
                    "{}",
                    spec.id
                );
            } else {
                assert!(
                    spec.key.is_none_or(|key| key.is_ascii_lowercase()),
                    "{}",
                    spec.id
                );
            }
            assert!(spec.asks_on_prod >= spec.asks, "{}", spec.id);
            assert!(spec.asks_in_bulk >= Ask::Confirm, "{}", spec.id);
        }
    }

    #[test]
    fn states_named_in_the_table_exist() {
        for spec in &ActionKind::TABLE {
            for state in spec.from {
                assert!(PowerState::WORDS.contains(state), "{}: {state}", spec.id);
            }
        }
    }
}
