//! What can be done to pools and networks: the verb catalogue beside the one of VMs, and the plan of one.
//! Keys, `--once`, policy words and audit words follow from the table.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::action::Ask;
use super::host::HostName;
use super::operation::{Actor, Consent, OperationId, Outcome};
use super::remote_command::RemoteCommand;
use super::store::{HostStores, Store, StoreKind, StoreRef, StoreState, StoreUser};
use super::text::RemoteText;

/// What can be done to a pool or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreVerb {
    /// Look again at what is in the pool.
    PoolRefresh,
    /// Start the pool.
    PoolStart,
    /// Stop the pool; what is in it stays.
    PoolStop,
    /// Start the pool together with the host.
    PoolAutostartOn,
    /// Do not.
    PoolAutostartOff,
    /// Start the network.
    NetworkStart,
    /// Stop the network.
    NetworkStop,
    /// Start the network together with the host.
    NetworkAutostartOn,
    /// Do not.
    NetworkAutostartOff,
}

/// What must be read back for an operation to count as confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreGoal {
    /// It is started, or stopped. One that is gone is stopped.
    Started(bool),
    /// The flag reads as wanted.
    Autostart(bool),
    /// It can be read.
    Read,
}

/// One row of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct StoreSpec {
    /// Which.
    pub verb: StoreVerb,
    /// Stable id: policy and audit word.
    pub id: &'static str,
    /// What it is done to.
    pub kind: StoreKind,
    /// What a person reads, before the name of the pool: `stop`.
    pub word: &'static str,
    /// What has happened once it is done: `stopped`.
    pub past: &'static str,
    /// One sentence for help and documentation.
    pub summary: &'static str,
    /// Whether it has to be started for this, or stopped; `None` = either.
    pub from_started: Option<bool>,
    /// What must be agreed to.
    pub asks: Ask,
    /// The same on a host of tier `prod`.
    pub asks_on_prod: Ask,
    /// When it counts as confirmed.
    pub goal: StoreGoal,
}

/// How long the goal is looked for.
pub const GOAL_WITHIN: Duration = Duration::from_secs(30);

impl StoreVerb {
    /// The catalogue, in the order of the variants.
    pub const TABLE: [StoreSpec; 9] = [
        StoreSpec {
            verb: Self::PoolRefresh,
            id: "pool-refresh",
            kind: StoreKind::Pool,
            word: "refresh",
            past: "refreshed",
            summary: "Let the host look again at what is in the pool.",
            from_started: Some(true),
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            goal: StoreGoal::Read,
        },
        StoreSpec {
            verb: Self::PoolStart,
            id: "pool-start",
            kind: StoreKind::Pool,
            word: "start",
            past: "started",
            summary: "Start a pool that is stopped.",
            from_started: Some(false),
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            goal: StoreGoal::Started(true),
        },
        StoreSpec {
            verb: Self::PoolStop,
            id: "pool-stop",
            kind: StoreKind::Pool,
            word: "stop",
            past: "stopped",
            summary: "Stop a pool; what is in it stays.",
            from_started: Some(true),
            asks: Ask::Confirm,
            asks_on_prod: Ask::TypeName,
            goal: StoreGoal::Started(false),
        },
        StoreSpec {
            verb: Self::PoolAutostartOn,
            id: "pool-autostart-on",
            kind: StoreKind::Pool,
            word: "autostart on",
            past: "set to start with its host",
            summary: "Start the pool together with its host.",
            from_started: None,
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            goal: StoreGoal::Autostart(true),
        },
        StoreSpec {
            verb: Self::PoolAutostartOff,
            id: "pool-autostart-off",
            kind: StoreKind::Pool,
            word: "autostart off",
            past: "set not to start with its host",
            summary: "Do not start the pool together with its host.",
            from_started: None,
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            goal: StoreGoal::Autostart(false),
        },
        StoreSpec {
            verb: Self::NetworkStart,
            id: "network-start",
            kind: StoreKind::Network,
            word: "start",
            past: "started",
            summary: "Start a network that is stopped.",
            from_started: Some(false),
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            goal: StoreGoal::Started(true),
        },
        StoreSpec {
            verb: Self::NetworkStop,
            id: "network-stop",
            kind: StoreKind::Network,
            word: "stop",
            past: "stopped",
            summary: "Stop a network; VMs on it lose it.",
            from_started: Some(true),
            asks: Ask::Confirm,
            asks_on_prod: Ask::TypeName,
            goal: StoreGoal::Started(false),
        },
        StoreSpec {
            verb: Self::NetworkAutostartOn,
            id: "network-autostart-on",
            kind: StoreKind::Network,
            word: "autostart on",
            past: "set to start with its host",
            summary: "Start the network together with its host.",
            from_started: None,
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            goal: StoreGoal::Autostart(true),
        },
        StoreSpec {
            verb: Self::NetworkAutostartOff,
            id: "network-autostart-off",
            kind: StoreKind::Network,
            word: "autostart off",
            past: "set not to start with its host",
            summary: "Do not start the network together with its host.",
            from_started: None,
            asks: Ask::Nothing,
            asks_on_prod: Ask::Nothing,
            goal: StoreGoal::Autostart(false),
        },
    ];

    /// Returns its row.
    pub const fn spec(self) -> &'static StoreSpec {
        match self {
            Self::PoolRefresh => &Self::TABLE[0],
            Self::PoolStart => &Self::TABLE[1],
            Self::PoolStop => &Self::TABLE[2],
            Self::PoolAutostartOn => &Self::TABLE[3],
            Self::PoolAutostartOff => &Self::TABLE[4],
            Self::NetworkStart => &Self::TABLE[5],
            Self::NetworkStop => &Self::TABLE[6],
            Self::NetworkAutostartOn => &Self::TABLE[7],
            Self::NetworkAutostartOff => &Self::TABLE[8],
        }
    }

    /// Returns what `word` does to this kind of thing.
    pub fn of(kind: StoreKind, word: &str) -> Option<Self> {
        let row = |spec: &&StoreSpec| spec.kind == kind && spec.word == word;
        Self::TABLE.iter().find(row).map(|spec| spec.verb)
    }

    /// Returns true when a pool or a network in this state can be meant; one in an unknown state can.
    pub fn fits(self, state: Option<StoreState>) -> bool {
        match (self.spec().from_started, state) {
            (Some(wanted), Some(state)) => state.is_started() == wanted,
            (None, _) | (_, None) => true,
        }
    }
}

impl fmt::Display for StoreVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.spec().id)
    }
}

/// Exactly what will be run on a pool or a network, and on what condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlan {
    /// What it is about.
    pub target: StoreRef,
    /// Its name when the plan was made: a label.
    pub name: RemoteText,
    /// Its host's name.
    pub host_name: HostName,
    /// What is wanted.
    pub verb: StoreVerb,
    /// The commands, in order.
    pub commands: Vec<RemoteCommand>,
    /// The state it was in; a plan is refused when that has changed.
    pub state: Option<StoreState>,
    /// VMs that use it and run; a plan is refused when there are others now.
    pub running: Vec<StoreUser>,
    /// What it means for those who use it.
    pub consequences: Vec<String>,
}

/// A plan with what has to be agreed to.
#[derive(Debug, Clone)]
pub struct StoreProposal {
    /// Exactly what would be run.
    pub plan: StorePlan,
    /// What must be agreed to.
    pub asks: Ask,
    /// The policy rule that says so.
    pub rule: String,
}

/// A plan handed in to be run.
#[derive(Debug, Clone)]
pub struct StoreSubmission {
    /// Exactly what was shown.
    pub plan: StorePlan,
    /// Who wants it.
    pub actor: Actor,
    /// How far it was agreed to.
    pub consent: Consent,
    /// Look for the goal at most this long; `None` = the usual time.
    pub deadline: Option<Duration>,
}

/// One run of such a plan, once it is over.
#[derive(Debug, Clone)]
pub struct StoreResult {
    /// Identity, as in the audit log.
    pub id: OperationId,
    /// How it ended.
    pub outcome: Outcome,
    /// The state read back at the end.
    pub state_after: Option<StoreState>,
    /// From the intent to the end.
    pub elapsed: Duration,
    /// When it ended.
    pub at: Timestamp,
}

impl StoreGoal {
    /// Tells whether what was read shows it; `None` = it is not there any more.
    pub fn is_met_by(self, found: Option<&Store<'_>>) -> bool {
        match (self, found) {
            (Self::Started(wanted), Some(store)) => {
                store.state().map(StoreState::is_started) == Some(wanted)
            }
            (Self::Started(wanted), None) => !wanted,
            (Self::Autostart(wanted), Some(store)) => store.autostart() == Some(wanted),
            (Self::Read, Some(_)) => true,
            (Self::Autostart(_) | Self::Read, None) => false,
        }
    }
}

/// Returns the VMs that use it and run now.
pub fn running(store: &Store<'_>) -> Vec<StoreUser> {
    let mut users = store.users().unwrap_or_default();
    users.retain(|user| user.running != Some(false));
    users
}

/// Says what a verb means for those who use it.
pub fn consequences(verb: StoreVerb, store: &Store<'_>) -> Vec<String> {
    let mut all = Vec::new();
    if verb.spec().goal != StoreGoal::Started(false) {
        return all;
    }
    let running = running(store);
    let names = listed(&running);
    let known = store.users().is_some();
    match verb.spec().kind {
        StoreKind::Network if !running.is_empty() => {
            all.push(format!("these running VMs lose the network: {names}"));
            all.push(
                "their cards may stay cut off when it is started again, until they are restarted"
                    .into(),
            );
        }
        StoreKind::Pool if !running.is_empty() => {
            all.push(format!("running VMs have disks in it: {names}"));
            all.push(
                "what they have open stays open where the pool is a directory; other kinds take it away"
                    .into(),
            );
        }
        StoreKind::Network | StoreKind::Pool if known => {
            all.push("no running VM uses it, as far as its host tells".to_owned());
        }
        StoreKind::Network | StoreKind::Pool => {
            all.push("its host does not tell which VMs use it".to_owned());
        }
    }
    if store.persistent() == Some(false) {
        all.push("it has no definition of its own: once stopped, it is gone from the host".into());
    }
    all
}

/// VMs that are named before the others are counted.
const NAMED: usize = 8;

fn listed(users: &[StoreUser]) -> String {
    let names: Vec<&str> = users
        .iter()
        .take(NAMED)
        .map(|user| user.vm.shown())
        .collect();
    match users.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Finds what a plan is about in what was just read.
pub fn found<'a>(stores: &'a HostStores, target: &StoreRef) -> Option<Store<'a>> {
    stores.find(target.kind, &target.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::store::Network;
    use crate::domain::vm::VmId;

    #[test]
    fn the_table_is_whole_and_its_words_are_one_thing_each() {
        for (index, spec) in StoreVerb::TABLE.iter().enumerate() {
            assert_eq!(spec.verb.spec().id, StoreVerb::TABLE[index].id);
            assert_eq!(serde_json::to_value(spec.verb).unwrap(), spec.id);
            assert_eq!(StoreVerb::of(spec.kind, spec.word), Some(spec.verb));
            assert!(spec.id.starts_with(spec.kind.word()), "{}", spec.id);
            assert!(spec.asks_on_prod >= spec.asks);
        }
    }

    #[test]
    fn stopping_names_the_running_vms_and_says_what_becomes_of_a_transient_one() {
        let user = |name: &str, running| StoreUser {
            vm: RemoteText::new(name),
            id: VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap(),
            running: Some(running),
        };
        let network = Network {
            users: Some(vec![
                user("db", true),
                user("off", false),
                user("web", true),
            ]),
            persistent: Some(false),
            ..Network::named(RemoteText::new("lan"))
        };
        let told = consequences(StoreVerb::NetworkStop, &Store::Network(&network)).join("; ");
        assert!(told.contains("lose the network: db, web"), "{told}");
        assert!(told.contains("gone from the host"), "{told}");
        assert!(consequences(StoreVerb::NetworkStart, &Store::Network(&network)).is_empty());
        let unknown = Network::named(RemoteText::new("lan"));
        let told = consequences(StoreVerb::NetworkStop, &Store::Network(&unknown)).join("; ");
        assert!(told.contains("does not tell"), "{told}");
    }

    #[test]
    fn a_goal_is_seen_in_what_is_read() {
        let mut network = Network::named(RemoteText::new("lan"));
        network.state = Some(StoreState::Inactive);
        network.autostart = Some(true);
        let met =
            |goal: StoreGoal, network: &Network| goal.is_met_by(Some(&Store::Network(network)));
        assert!(met(StoreGoal::Started(false), &network));
        assert!(!met(StoreGoal::Started(true), &network));
        assert!(met(StoreGoal::Autostart(true), &network));
        network.state = None;
        assert!(!met(StoreGoal::Started(false), &network));
        assert!(StoreGoal::Started(false).is_met_by(None));
        assert!(!StoreGoal::Read.is_met_by(None));
    }
}
