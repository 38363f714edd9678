//! One run of a plan, whatever it is about: a row of the view of operations, its facts, its JSON.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::operation::{Actor, Operation, OperationId, Outcome, Phase, Progress};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::selector::LineRow;
use crate::domain::store_operation::StoreOperation;
use crate::domain::text::RemoteText;
use crate::domain::units::Age;
use crate::tui::glyph;
use crate::tui::overlay::document::{Line, fact, time_of};
use crate::tui::theme::Role;
use crate::tui::widget::list;

/// One run of a plan.
#[derive(Debug, Clone)]
pub enum Run {
    /// On a VM.
    Vm(Arc<Operation>),
    /// On a pool or a network.
    Store(Arc<StoreOperation>),
}

impl Run {
    /// Returns its identity.
    pub fn id(&self) -> &OperationId {
        match self {
            Self::Vm(it) => &it.id,
            Self::Store(it) => &it.id,
        }
    }

    /// Returns where it stands.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Vm(it) => it.phase,
            Self::Store(it) => it.phase,
        }
    }

    /// Returns how it ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Vm(it) => it.outcome.as_ref(),
            Self::Store(it) => it.outcome.as_ref(),
        }
    }

    /// Returns what is done, in the words of a sentence.
    pub fn verb(&self) -> String {
        match self {
            Self::Vm(it) => it.plan.action.kind.spec().verb.to_owned(),
            Self::Store(it) => it.plan.verb.spec().word.to_owned(),
        }
    }

    /// Returns the name of what it is done to.
    pub fn name(&self) -> String {
        match self {
            Self::Vm(it) => it.plan.vm_name.shown().to_owned(),
            Self::Store(it) => {
                let kind = it.plan.target.kind.word();
                format!("{kind} {}", it.plan.name.shown())
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Vm(it) => it.plan.action.kind.id(),
            Self::Store(it) => it.plan.verb.spec().id,
        }
    }

    fn host(&self) -> &str {
        match self {
            Self::Vm(it) => it.plan.host_name.as_str(),
            Self::Store(it) => it.plan.host_name.as_str(),
        }
    }

    fn actor(&self) -> &Actor {
        match self {
            Self::Vm(it) => &it.actor,
            Self::Store(it) => &it.actor,
        }
    }

    fn commands(&self) -> Vec<String> {
        let commands = match self {
            Self::Vm(it) => &it.plan.commands,
            Self::Store(it) => &it.plan.commands,
        };
        commands.iter().map(RemoteCommand::shown_line).collect()
    }

    fn withdrawn(&self) -> bool {
        match self {
            Self::Vm(it) => it.withdrawn,
            Self::Store(it) => it.withdrawn,
        }
    }

    fn started_at(&self) -> Timestamp {
        match self {
            Self::Vm(it) => it.started_at,
            Self::Store(it) => it.started_at,
        }
    }

    fn finished_at(&self) -> Option<Timestamp> {
        match self {
            Self::Vm(it) => it.finished_at,
            Self::Store(it) => it.finished_at,
        }
    }

    fn state_after(&self) -> Option<String> {
        match self {
            Self::Vm(it) => it.state_after.as_ref().map(ToString::to_string),
            Self::Store(it) => it.state_after.map(|state| state.word().to_owned()),
        }
    }

    fn progress(&self) -> Option<&Progress> {
        match self {
            Self::Vm(it) if !it.is_finished() => it.progress.as_ref(),
            Self::Vm(_) | Self::Store(_) => None,
        }
    }

    fn took(&self, now: Timestamp) -> String {
        let took = match self {
            Self::Vm(it) => it.elapsed(now),
            Self::Store(it) => it.elapsed(now),
        };
        Age(took).to_string()
    }

    /// Lets a filter look at it.
    pub fn with_line<T>(&self, look: impl FnOnce(&LineRow<'_>) -> T) -> T {
        let (name, verb) = (self.name(), self.verb());
        let (_, standing, _) = self.standing();
        let actor = self.actor();
        let reason = self.outcome().and_then(Outcome::reason);
        let vm = match self {
            Self::Vm(it) => it.plan.vm_name.shown(),
            Self::Store(it) => it.plan.name.shown(),
        };
        look(&LineRow {
            host: self.host(),
            vm,
            kind: self.kind(),
            status: &standing,
            by: [&actor.user, actor.door.word()],
            texts: &[&name, &verb, reason.unwrap_or_default()],
        })
    }

    /// Returns it as a value.
    pub fn json(&self) -> Value {
        let (name, id, action) = match self {
            Self::Vm(it) => (
                it.plan.vm_name.raw(),
                it.plan.vm.vm.to_string(),
                json!(it.plan.action.kind),
            ),
            Self::Store(it) => (
                it.plan.name.raw(),
                it.plan.target.id.to_string(),
                json!(it.plan.verb),
            ),
        };
        json!({
            "operation": self.id(),
            "host": self.host(),
            "name": name,
            "id": id,
            "action": action,
            "phase": self.phase(),
            "progress": match self {
                Self::Vm(it) => it.progress.as_ref(),
                Self::Store(_) => None,
            },
            "outcome": self.outcome().map(Outcome::word),
            "reason": self.outcome().and_then(Outcome::reason),
            "user": self.actor().user,
            "started_at": self.started_at(),
            "finished_at": self.finished_at(),
            "commands": self.commands(),
        })
    }

    /// Returns all that is known of it, a line for every fact.
    pub fn facts(&self, now: Timestamp) -> Vec<Line> {
        let (sign, standing, role) = self.standing();
        let actor = self.actor();
        let mut lines = vec![
            fact("stands", format!("{sign} {standing}"), role),
            fact("action", self.verb(), Role::Strong),
            fact("of", self.name(), Role::Text),
            fact("host", self.host(), Role::Text),
            fact(
                "by",
                format!("{}@{}", RemoteText::new(&actor.user), actor.door.word()),
                Role::Text,
            ),
            fact("began", self.started_at().to_string(), Role::Text),
            fact("took", self.took(now), Role::Text),
        ];
        if let Some(reason) = self.outcome().and_then(Outcome::reason) {
            lines.push(fact("because", RemoteText::new(reason).shown(), role));
        }
        if let Some(state) = self.state_after() {
            lines.push(fact("now", state, Role::Text));
        }
        let commands = self.commands().into_iter();
        lines.extend(commands.map(|command| fact("command", command, Role::Text)));
        lines.push(fact("operation", self.id().to_string(), Role::Dim));
        lines
    }

    /// Returns the sign, the word and the role of where it stands.
    fn standing(&self) -> (&'static str, Cow<'static, str>, Role) {
        let (sign, word, role) = match (self.outcome(), self.phase()) {
            (None, Phase::Queued) => (glyph::CHANGING, "queued", Role::Changing),
            (None, Phase::Sending) => (glyph::CHANGING, "sending", Role::Changing),
            (None, _) => (glyph::CHANGING, "verifying", Role::Changing),
            (Some(Outcome::Confirmed), _) => (glyph::DONE, "confirmed", Role::Success),
            (Some(Outcome::Accepted { .. }), _) => ("○", "accepted", Role::Warning),
            (Some(_), _) if self.withdrawn() => (glyph::UNKNOWN, "not started", Role::Warning),
            (Some(Outcome::Refused { .. }), _) => (glyph::ERROR, "refused", Role::Warning),
            (Some(Outcome::Failed { .. }), _) => (glyph::ERROR, "failed", Role::Danger),
            (Some(Outcome::Unknown { .. }), _) => ("?", "unknown", Role::Warning),
        };
        (sign, Cow::Borrowed(word), role)
    }

    /// Returns its row.
    pub fn row(&self, now: Timestamp) -> list::Row {
        let (sign, mut word, role) = self.standing();
        let progress = self.progress();
        let doing = progress.and_then(|it| it.doing.as_ref());
        if let Some(percent) = progress.and_then(|it| it.percent) {
            word = format!("{word} {percent}%").into();
        }
        let reason = self.outcome().and_then(Outcome::reason);
        let after = || Some(format!("now {}", self.state_after()?));
        let ended = match reason {
            Some(reason) => reason.to_owned(),
            None if self.outcome().is_some() => after().unwrap_or_default(),
            // In the hypervisor's own word; the action stands beside it.
            None => doing.map_or_else(String::new, |word| word.shown().to_owned()),
        };
        list::Row {
            dimmed: false,
            cells: vec![
                (format!("{sign} {word}"), role),
                (time_of(self.started_at()), Role::Dim),
                (self.verb(), Role::Text),
                (
                    crate::domain::text::fit_middle(&self.name(), 22),
                    Role::Strong,
                ),
                (self.host().to_owned(), Role::Text),
                (self.actor().user.clone(), Role::Dim),
                (self.took(now), Role::Text),
                (ended, if reason.is_some() { role } else { Role::Dim }),
            ],
        }
    }
}
