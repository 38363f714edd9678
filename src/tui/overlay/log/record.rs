//! One thing that happened, from any of the three logs: as a row, as a text, as JSON, and as a filter sees it.
//! What comes from a host or from a file is shown in its visible form only.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::json;

use crate::domain::audit::{AuditEntry, AuditRecord};
use crate::domain::event::CommandRecord;
use crate::domain::host::HostName;
use crate::domain::operation::Door;
use crate::domain::selector::LineRow;
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::domain::vm::VmRef;
use crate::fleet::request::ErrorRecord;
use crate::tui::overlay::details::audit_role;
use crate::tui::overlay::document::{Line, fact, time_of};
use crate::tui::theme::Role;
use crate::tui::widget::list::Field;

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// What failed.
    Errors,
    /// What was sent to hosts.
    Commands,
    /// What was done, to one VM or at all.
    Activity(Option<VmRef>),
}

impl Topic {
    /// Returns its columns.
    pub(super) const fn fields(&self) -> &'static [Field] {
        match self {
            Self::Errors => ERRORS,
            Self::Commands => COMMANDS,
            Self::Activity(_) => ACTIVITY,
        }
    }

    /// Returns the word in the names of its files.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Commands => "commands",
            Self::Activity(_) => "activity",
        }
    }
}

const ERRORS: &[Field] = &[
    Field::left("TIME", 8),
    Field::left("HOST", 12),
    Field::left("KIND", 11).from(70),
    Field::right("TIMES", 5).from(60),
    Field::rest("WHAT FAILED"),
];

const COMMANDS: &[Field] = &[
    Field::left("TIME", 8),
    Field::left("HOST", 12),
    Field::right("TOOK ms", 7).from(60),
    Field::right("BYTES", 6).from(70),
    Field::left("ENDED", 14),
    Field::rest("COMMAND"),
];

const ACTIVITY: &[Field] = &[
    Field::left("TIME (UTC)", 19),
    Field::left("ENDED", 9),
    Field::left("ACTION", 16),
    Field::left("OF", 24).from(80),
    Field::left("BY", 16).from(100),
    Field::right("TOOK ms", 7).from(120),
    Field::rest("DETAILS"),
];

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Record {
    /// A failure.
    Error(ErrorRecord),
    /// A command.
    Command(CommandRecord),
    /// A record of the audit log.
    Audit(Box<AuditRecord>),
}

fn clean(text: &str) -> String {
    RemoteText::new(text).shown().to_owned()
}

/// A host and what is on it.
fn place(entry: &AuditEntry) -> String {
    let subject = entry.subject().map(RemoteText::shown).unwrap_or_default();
    match (entry.host.as_deref().unwrap_or_default(), subject) {
        ("", subject) => subject.to_owned(),
        (host, "") => clean(host),
        (host, subject) => format!("{}/{subject}", clean(host)),
    }
}

fn who(entry: &AuditEntry) -> String {
    let actor = entry.actor.as_ref();
    actor.map_or_else(String::new, |actor| {
        format!("{}@{}", clean(&actor.user), actor.door.word())
    })
}

fn time_and_date(entry: &AuditEntry) -> String {
    let time = clean(&entry.timestamp).replace('T', " ");
    time.chars().take(19).collect()
}

fn ended(record: &CommandRecord) -> String {
    match record.times {
        0 | 1 => clean(&record.status),
        times => format!("{} x{times}", clean(&record.status)),
    }
}

/// Lets a filter look at a record of the audit log.
pub fn with_line<T>(record: &AuditRecord, look: impl FnOnce(&LineRow<'_>) -> T) -> T {
    let entry = &record.entry;
    let actor = entry.actor.as_ref();
    let mut texts = vec![entry.details.as_str()];
    texts.extend(entry.plan.iter().map(String::as_str));
    look(&LineRow {
        host: entry.host.as_deref().unwrap_or_default(),
        vm: entry.subject().map_or("", RemoteText::shown),
        kind: &entry.action,
        status: &entry.status,
        by: [
            actor.map_or("", |actor| &actor.user),
            actor.map_or("", |actor| Door::word(actor.door)),
        ],
        texts: &texts,
    })
}

impl Record {
    /// Returns what tells it from all others of its list, also after the list was read again.
    pub(super) fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::Error(record) => {
                (record.at, &record.host, &record.cause.message).hash(&mut hasher);
            }
            // One that repeats moves to the end and stays the same.
            Self::Command(record) => {
                let at = record.changes.then_some(record.at);
                (at, &record.host, &record.command, &record.status).hash(&mut hasher);
            }
            Self::Audit(record) => record.seq.hash(&mut hasher),
        }
        hasher.finish()
    }

    /// Lets a filter look at it.
    pub(super) fn with_line<T>(&self, look: impl FnOnce(&LineRow<'_>) -> T) -> T {
        match self {
            Self::Error(record) => look(&LineRow {
                host: record.host.as_ref().map_or("", HostName::as_str),
                kind: record.cause.kind.word(),
                texts: &[
                    &record.cause.message,
                    record.cause.hint.as_ref().map_or("", |hint| &hint.0),
                ],
                ..LineRow::default()
            }),
            Self::Command(record) => look(&LineRow {
                host: record.host.as_str(),
                kind: if record.changes { "change" } else { "read" },
                status: &record.status,
                texts: &[&record.command],
                ..LineRow::default()
            }),
            Self::Audit(record) => with_line(record, look),
        }
    }

    /// Returns its cells, in the order of its list's columns.
    pub(super) fn cells(&self) -> Vec<(String, Role)> {
        match self {
            Self::Error(record) => {
                let host = record.host.as_ref().map_or("", HostName::as_str);
                let times = match record.times {
                    0 | 1 => String::new(),
                    times => times.to_string(),
                };
                vec![
                    (time_of(record.last), Role::Dim),
                    (host.to_owned(), Role::Text),
                    (record.cause.kind.word().to_owned(), Role::Warning),
                    (times, Role::Warning),
                    (clean(&record.cause.message), Role::Danger),
                ]
            }
            Self::Command(record) => {
                let (status, command) = match (&*record.status, record.changes) {
                    ("ok" | "kept running" | "done", false) => (Role::Dim, Role::Text),
                    ("ok" | "done", true) => (Role::Success, Role::Strong),
                    _ => (Role::Danger, Role::Text),
                };
                let bytes = record.bytes.map(|bytes| Bytes(bytes).to_string());
                vec![
                    (time_of(record.at), Role::Dim),
                    (record.host.to_string(), Role::Text),
                    (record.elapsed_ms.to_string(), Role::Dim),
                    (bytes.unwrap_or_else(|| "–".to_owned()), Role::Dim),
                    (ended(record), status),
                    (clean(&record.command), command),
                ]
            }
            Self::Audit(record) => {
                let entry = &record.entry;
                let took = entry.elapsed_ms.map(|ms| ms.to_string());
                vec![
                    (time_and_date(entry), Role::Dim),
                    (clean(&entry.status), audit_role(entry)),
                    (clean(&entry.action), Role::Strong),
                    (place(entry), Role::Text),
                    (who(entry), Role::Dim),
                    (took.unwrap_or_default(), Role::Dim),
                    (clean(&entry.details), Role::Dim),
                ]
            }
        }
    }

    /// Returns all that is known of it, a line for every fact.
    pub(super) fn whole(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut say = |label: &str, text: &str, role| {
            if !text.is_empty() {
                lines.push(fact(label, clean(text), role));
            }
        };
        match self {
            Self::Error(record) => {
                let host = record.host.as_ref().map_or("", HostName::as_str);
                say("failed", &record.cause.message, Role::Danger);
                let hint = record.cause.hint.as_ref();
                say("to do", hint.map_or("", |hint| &hint.0), Role::Warning);
                say("host", host, Role::Text);
                say("kind", record.cause.kind.word(), Role::Text);
                say("at", &record.at.to_string(), Role::Text);
                if record.times > 1 {
                    let times = format!("{} times, last at {}", record.times, record.last);
                    say("repeated", &times, Role::Text);
                }
            }
            Self::Command(record) => {
                say("command", &record.command, Role::Strong);
                let took = format!("{} after {} ms", ended(record), record.elapsed_ms);
                say("ended", &took, Role::Text);
                let bytes = record.bytes.map(|bytes| bytes.to_string());
                say("bytes", &bytes.unwrap_or_default(), Role::Text);
                say("host", record.host.as_str(), Role::Text);
                say("at", &record.at.to_string(), Role::Text);
                let why = if record.changes {
                    "an action"
                } else {
                    "reading"
                };
                say("part of", why, Role::Text);
            }
            Self::Audit(record) => whole_audit(record, &mut say),
        }
        lines
    }

    /// Returns it on one line of text.
    pub(super) fn text(&self) -> String {
        let cells = match self {
            Self::Error(record) => {
                let hint = record.cause.hint.as_ref();
                let hint = hint.map_or_else(String::new, |hint| format!(" ({})", clean(&hint.0)));
                let mut texts = texts_of(self.cells());
                if let Some(time) = texts.first_mut() {
                    *time = record.last.to_string();
                }
                if let Some(last) = texts.last_mut() {
                    last.push_str(&hint);
                }
                texts
            }
            Self::Command(record) => {
                let mut texts = texts_of(self.cells());
                if let Some(time) = texts.first_mut() {
                    *time = record.at.to_string();
                }
                texts
            }
            Self::Audit(_) => texts_of(self.cells()),
        };
        cells.join("\t").trim_end().to_owned()
    }

    /// Returns it as one line of JSON.
    pub(super) fn json(&self) -> String {
        let line = match self {
            Self::Error(record) => crate::json::to_line(&json!({
                "at": record.at,
                "last": record.last,
                "times": record.times,
                "host": record.host,
                "kind": record.cause.kind.word(),
                "message": record.cause.message,
                "hint": record.cause.hint.as_ref().map(|hint| &hint.0),
            })),
            Self::Command(record) => crate::json::to_line(record),
            Self::Audit(record) => crate::json::to_line(record),
        };
        // Plain data can always be written as JSON.
        line.unwrap_or_default()
    }
}

fn texts_of(cells: Vec<(String, Role)>) -> Vec<String> {
    cells.into_iter().map(|(text, _)| text).collect()
}

fn whole_audit(record: &AuditRecord, say: &mut dyn FnMut(&str, &str, Role)) {
    let entry = &record.entry;
    say("action", &entry.action, Role::Strong);
    say("ended", &entry.status, audit_role(entry));
    say("details", &entry.details, Role::Text);
    say("of", &place(entry), Role::Text);
    for command in &entry.plan {
        say("command", command, Role::Text);
    }
    if let Some(actor) = &entry.actor {
        say("by", &actor.user, Role::Text);
        say("door", actor.door.word(), Role::Text);
        say(
            "API key",
            actor.key.as_deref().unwrap_or_default(),
            Role::Text,
        );
    }
    let of_actor = entry.actor.as_ref().and_then(|it| it.client_ip.as_deref());
    let address = entry.client_ip.as_deref().or(of_actor);
    say("from", address.unwrap_or_default(), Role::Text);
    say(
        "rule",
        entry.rule.as_deref().unwrap_or_default(),
        Role::Text,
    );
    let before = entry.state_before.as_deref();
    say("state before", before.unwrap_or_default(), Role::Text);
    let after = entry.state_after.as_deref();
    say("state after", after.unwrap_or_default(), Role::Text);
    if let Some(took) = entry.elapsed_ms {
        say("took", &format!("{took} ms"), Role::Text);
    }
    say("at", &entry.timestamp, Role::Text);
    say(
        "operation",
        entry.operation.as_deref().unwrap_or_default(),
        Role::Dim,
    );
    say("record", &record.seq.to_string(), Role::Dim);
}
