//! Policy: who may do what, and how far it must be agreed to. One pure decision for every door.
//!
//! Rules come from the configuration and are tried in order; the first that matches decides. Where
//! none matches, the verb catalogue's own columns do. `read_only`, for everything or for one host,
//! beats every rule.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{ActionKind, Ask};
use super::guest_command::GuestVerb;
use super::operation::Door;
use super::store_action::StoreVerb;

/// What a rule does with an action it matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Run it without asking.
    Allow,
    /// Ask for a yes.
    Confirm,
    /// Ask for the VM's name.
    TypeName,
    /// Refuse.
    Deny,
}

/// What is run on the operator's own machine, about a VM or a host or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnVerb {
    /// A command of the operator's own.
    OwnCommand,
}

impl OwnVerb {
    /// Returns the stable id: policy and audit word.
    pub const fn id(self) -> &'static str {
        match self {
            Self::OwnCommand => "own-command",
        }
    }
}

/// A verb of any catalogue: what is done to a VM, inside one, to a pool or a network, or beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Verb {
    /// Of VMs.
    Vm(ActionKind),
    /// Of pools and networks.
    Store(StoreVerb),
    /// Of what is inside a VM.
    Guest(GuestVerb),
    /// Of what is run beside the hosts.
    Own(OwnVerb),
}

impl Verb {
    /// Returns the ids of all verbs.
    pub fn ids() -> impl Iterator<Item = &'static str> {
        let vms = ActionKind::TABLE.iter().map(|spec| spec.id);
        vms.chain(StoreVerb::TABLE.iter().map(|spec| spec.id))
            .chain(GuestVerb::ALL.iter().map(|verb| verb.id()))
            .chain([OwnVerb::OwnCommand.id()])
    }

    /// Returns what its catalogue asks for: of one, on tier `prod`, and of several at once.
    const fn asks(self) -> (Ask, Ask, Ask) {
        match self {
            Self::Vm(kind) => {
                let spec = kind.spec();
                (spec.asks, spec.asks_on_prod, spec.asks_in_bulk)
            }
            Self::Store(verb) => {
                let spec = verb.spec();
                (spec.asks, spec.asks_on_prod, Ask::Confirm)
            }
            Self::Guest(verb) => verb.asks(),
            // Each command says of itself what it asks for.
            Self::Own(OwnVerb::OwnCommand) => (Ask::Nothing, Ask::Nothing, Ask::Nothing),
        }
    }
}

impl From<ActionKind> for Verb {
    fn from(kind: ActionKind) -> Self {
        Self::Vm(kind)
    }
}

impl From<StoreVerb> for Verb {
    fn from(verb: StoreVerb) -> Self {
        Self::Store(verb)
    }
}

impl From<GuestVerb> for Verb {
    fn from(verb: GuestVerb) -> Self {
        Self::Guest(verb)
    }
}

impl From<OwnVerb> for Verb {
    fn from(verb: OwnVerb) -> Self {
        Self::Own(verb)
    }
}

impl FromStr for Verb {
    type Err = String;

    /// Reads the stable id.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == OwnVerb::OwnCommand.id() {
            return Ok(Self::Own(OwnVerb::OwnCommand));
        }
        let store = StoreVerb::TABLE.iter().find(|spec| spec.id == text);
        let guest = GuestVerb::ALL.into_iter().find(|verb| verb.id() == text);
        match (store, guest) {
            (Some(spec), _) => Ok(Self::Store(spec.verb)),
            (None, Some(verb)) => Ok(Self::Guest(verb)),
            (None, None) => text.parse().map(Self::Vm),
        }
    }
}

/// One policy rule. Empty lists match everything; patterns may hold `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rule {
    /// Shown when it decides, and written to the audit log.
    pub name: String,
    /// Tiers it is about.
    pub tiers: Vec<String>,
    /// Hosts it is about.
    pub hosts: Vec<String>,
    /// Tags it is about; one of them is enough.
    pub tags: Vec<String>,
    /// Actions it is about.
    pub verbs: Vec<Verb>,
    /// Doors it is about.
    pub doors: Vec<Door>,
    /// Users it is about.
    pub users: Vec<String>,
    /// Only when at least this many VMs are acted on together.
    pub min_count: usize,
    /// Only about snapshots that are at least so old.
    #[serde(default)]
    pub min_snapshot_age: Option<Duration>,
    /// Only about snapshots that are younger.
    #[serde(default)]
    pub max_snapshot_age: Option<Duration>,
    /// What it does; `None` never decides.
    pub effect: Option<Effect>,
    /// Why, shown to the person.
    pub reason: String,
}

/// The question put to the policy.
#[derive(Debug, Clone, Copy)]
pub struct PolicyQuery<'a> {
    /// What is wanted.
    pub verb: Verb,
    /// Tier of the host.
    pub tier: Option<&'a str>,
    /// Name of the host.
    pub host: &'a str,
    /// Tags of the host.
    pub tags: &'a [&'a str],
    /// Through which door.
    pub door: Door,
    /// Who.
    pub user: &'a str,
    /// How many VMs are acted on together.
    pub count: usize,
    /// Age of the snapshot that is to be reverted to or deleted, where it is known.
    pub snapshot_age: Option<Duration>,
    /// Whether everything is read-only.
    pub read_only: bool,
    /// Whether this host is read-only.
    pub host_read_only: bool,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What must be agreed to, or that it is denied.
    pub decision: Decision,
    /// Name of the rule that decided, for the audit log.
    pub rule: String,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may be run once this has been agreed to.
    Ask(Ask),
    /// It may not be run; the reason is shown.
    Deny(String),
}

/// Name under which the verb catalogue's own columns decide.
pub const BUILT_IN: &str = "built-in";

/// Decides. Pure: same question, same answer, at every door.
pub fn decide(rules: &[Rule], query: &PolicyQuery<'_>) -> Verdict {
    if query.read_only {
        return deny("read-only", "read-only mode is on".to_owned());
    }
    if query.host_read_only {
        return deny(
            "host-read-only",
            format!("host {} is read-only", query.host),
        );
    }
    for rule in rules.iter().filter(|rule| rule.matches(query)) {
        let Some(effect) = &rule.effect else { continue };
        let decision = match effect {
            Effect::Allow => Decision::Ask(Ask::Nothing),
            Effect::Confirm => Decision::Ask(Ask::Confirm),
            Effect::TypeName => Decision::Ask(Ask::TypeName),
            Effect::Deny => Decision::Deny(rule.denial()),
        };
        return Verdict {
            decision,
            rule: rule.name.clone(),
        };
    }
    let (mut ask, on_prod, in_bulk) = query.verb.asks();
    if query.tier == Some("prod") {
        ask = ask.max(on_prod);
    }
    if query.count > 1 {
        ask = ask.max(in_bulk);
    }
    Verdict {
        decision: Decision::Ask(ask),
        rule: BUILT_IN.to_owned(),
    }
}

fn deny(rule: &str, reason: String) -> Verdict {
    Verdict {
        decision: Decision::Deny(reason),
        rule: rule.to_owned(),
    }
}

impl Rule {
    fn matches(&self, query: &PolicyQuery<'_>) -> bool {
        let any = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| glob(pattern, text))
        };
        let tag_fits = self.tags.is_empty()
            || query
                .tags
                .iter()
                .any(|tag| self.tags.iter().any(|pattern| glob(pattern, tag)));
        let tier_fits =
            self.tiers.is_empty() || query.tier.is_some_and(|tier| any(&self.tiers, tier));
        tier_fits
            && tag_fits
            && any(&self.hosts, query.host)
            && any(&self.users, query.user)
            && (self.verbs.is_empty() || self.verbs.contains(&query.verb))
            && (self.doors.is_empty() || self.doors.contains(&query.door))
            && query.count >= self.min_count
            && self.age_fits(query.snapshot_age)
    }

    /// An age that is not known is never taken for one that fits.
    fn age_fits(&self, age: Option<Duration>) -> bool {
        let at_least = self
            .min_snapshot_age
            .is_none_or(|least| age.is_some_and(|age| age >= least));
        let below = self
            .max_snapshot_age
            .is_none_or(|most| age.is_some_and(|age| age < most));
        at_least && below
    }

    fn denial(&self) -> String {
        if self.reason.is_empty() {
            format!("policy rule `{}` forbids it", self.name)
        } else {
            format!("{} (policy rule `{}`)", self.reason, self.name)
        }
    }
}

/// Matches text against a pattern in which `*` stands for any run of characters.
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else {
        return text.is_empty();
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut tail = None;
    for part in parts {
        if let Some(previous) = tail.replace(part) {
            match rest
                .find(previous)
                .and_then(|at| rest.get(at + str::len(previous)..))
            {
                Some(after) => rest = after,
                None => return false,
            }
        }
    }
    tail.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(action: ActionKind) -> PolicyQuery<'static> {
        PolicyQuery {
            verb: action.into(),
            tier: None,
            host: "kvm1",
            tags: &[],
            door: Door::Tui,
            user: "ann",
            count: 1,
            snapshot_age: None,
            read_only: false,
            host_read_only: false,
        }
    }

    fn ask(rules: &[Rule], query: &PolicyQuery<'_>) -> Ask {
        match decide(rules, query).decision {
            Decision::Ask(ask) => ask,
            Decision::Deny(reason) => panic!("denied: {reason}"),
        }
    }

    #[test]
    fn every_verb_reads_back_as_itself_and_nothing_else_reads() {
        let ids: Vec<&str> = Verb::ids().collect();
        for id in ["force-off", "snapshot-revert", "exec"] {
            assert!(ids.contains(&id), "{id}");
        }
        for (id, expected) in ActionKind::TABLE
            .iter()
            .map(|spec| (spec.id, Verb::Vm(spec.kind)))
            .chain(
                StoreVerb::TABLE
                    .iter()
                    .map(|spec| (spec.id, Verb::Store(spec.verb))),
            )
            .chain(
                GuestVerb::ALL
                    .into_iter()
                    .map(|verb| (verb.id(), Verb::Guest(verb))),
            )
        {
            assert_eq!(id.parse::<Verb>().unwrap(), expected);
            assert!(ids.contains(&id), "{id}");
        }
        for nonsense in ["", "force", "START", "exec "] {
            assert!(nonsense.parse::<Verb>().is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn the_catalogue_decides_where_no_rule_does() {
        let cases = [
            (ActionKind::Start, None, 1, Ask::Nothing),
            (ActionKind::Start, Some("prod"), 1, Ask::Nothing),
            (ActionKind::Start, None, 2, Ask::Confirm),
            (ActionKind::Shutdown, None, 1, Ask::Confirm),
            (ActionKind::ForceOff, None, 1, Ask::Confirm),
            (ActionKind::ForceOff, Some("prod"), 1, Ask::TypeName),
            (ActionKind::Pause, None, 1, Ask::Nothing),
            (ActionKind::Pause, Some("prod"), 1, Ask::Confirm),
        ];
        for (action, tier, count, expected) in cases {
            let query = PolicyQuery {
                tier,
                count,
                ..query(action)
            };
            assert_eq!(ask(&[], &query), expected, "{action} {tier:?} {count}");
        }
    }

    #[test]
    fn read_only_beats_an_allowing_rule() {
        let rules = [Rule {
            name: "all".into(),
            effect: Some(Effect::Allow),
            ..Rule::default()
        }];
        for (read_only, host_read_only) in [(true, false), (false, true), (true, true)] {
            let query = PolicyQuery {
                read_only,
                host_read_only,
                ..query(ActionKind::Start)
            };
            assert!(matches!(decide(&rules, &query).decision, Decision::Deny(_)));
        }
    }

    #[test]
    fn the_first_matching_rule_decides() {
        let rules = [
            Rule {
                name: "db".into(),
                tags: vec!["db*".into()],
                verbs: vec![ActionKind::ForceOff.into()],
                effect: Some(Effect::Deny),
                reason: "databases are shut down, not cut off".into(),
                ..Rule::default()
            },
            Rule {
                name: "rest".into(),
                effect: Some(Effect::Allow),
                ..Rule::default()
            },
        ];
        let db = PolicyQuery {
            tags: &["db-main"],
            ..query(ActionKind::ForceOff)
        };
        let verdict = decide(&rules, &db);
        assert_eq!(verdict.rule, "db");
        assert!(matches!(verdict.decision, Decision::Deny(reason) if reason.contains("cut off")));
        assert_eq!(ask(&rules, &query(ActionKind::ForceOff)), Ask::Nothing);
    }

    #[test]
    fn a_rule_about_tiers_does_not_match_a_host_without_one() {
        let rules = [Rule {
            name: "prod".into(),
            tiers: vec!["*".into()],
            effect: Some(Effect::Deny),
            ..Rule::default()
        }];
        assert_eq!(ask(&rules, &query(ActionKind::Start)), Ask::Nothing);
    }

    #[test]
    fn a_rule_about_age_holds_for_snapshots_of_that_age_only() {
        let day = Duration::from_secs(86_400);
        let rules = [Rule {
            name: "keep a week".into(),
            verbs: vec![ActionKind::SnapshotDelete.into()],
            max_snapshot_age: Some(7 * day),
            effect: Some(Effect::Deny),
            ..Rule::default()
        }];
        let decided = |age| {
            let query = PolicyQuery {
                snapshot_age: age,
                ..query(ActionKind::SnapshotDelete)
            };
            decide(&rules, &query).rule
        };
        assert_eq!(decided(Some(day)), "keep a week");
        assert_eq!(decided(Some(7 * day)), BUILT_IN);
        assert_eq!(decided(None), BUILT_IN);
    }

    #[test]
    fn every_word_of_the_catalogues_is_read_and_names_one_verb() {
        let verbs: Vec<Verb> = Verb::ids().map(|id| id.parse().unwrap()).collect();
        for (at, verb) in verbs.iter().enumerate() {
            assert_eq!(verbs.iter().position(|other| other == verb), Some(at));
        }
        for word in ["own-command", "console", "shell", "exec"] {
            assert!(Verb::ids().any(|id| id == word), "{word}");
        }
    }

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*", "abc", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("abc", "abcd", false),
            ("", "a", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }
}
