//! How acting on one VM ended, and how that is written.

use serde::Serialize;

use super::cell::Cell;
use super::field::Field;
use super::row::VmRow;
use super::run::RunBody;
use super::{Format, output};
use crate::domain::action::{ActionKind, Ask};
use crate::domain::edit::Setting;
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::guest_command::{GuestPlan, GuestResult, GuestRun, GuestVerb};
use crate::domain::host::HostName;
use crate::domain::operation::{Operation, Outcome, Plan};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::store::StoreState;
use crate::domain::store_action::{StorePlan, StoreResult, StoreVerb};
use crate::domain::text::RemoteText;
use crate::domain::vm::PowerState;
use crate::report::{Complaint, ErrorBody};

/// The words for what was done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    id: &'static str,
    verb: &'static str,
    past: &'static str,
}

impl From<ActionKind> for Words {
    fn from(kind: ActionKind) -> Self {
        let spec = kind.spec();
        Self {
            id: spec.id,
            verb: spec.verb,
            past: spec.past,
        }
    }
}

impl From<GuestVerb> for Words {
    fn from(verb: GuestVerb) -> Self {
        Self {
            id: verb.id(),
            verb: "run a program in it",
            past: "ran a program",
        }
    }
}

impl From<StoreVerb> for Words {
    fn from(verb: StoreVerb) -> Self {
        let spec = verb.spec();
        Self {
            id: spec.id,
            verb: spec.word,
            past: spec.past,
        }
    }
}

/// How it ended.
#[derive(Debug, Clone)]
pub(super) struct ActResult {
    operation: Option<String>,
    pub(super) host: String,
    name: RemoteText,
    id: String,
    words: Words,
    /// The snapshot it is about.
    snapshot: Option<RemoteText>,
    /// What it changes.
    edit: Option<Edited>,
    outcome: &'static str,
    state_before: String,
    state_after: Option<String>,
    elapsed_ms: Option<u64>,
    commands: Vec<String>,
    /// What has to be agreed to; only where nothing was run.
    asks: Option<Ask>,
    pub(super) failure: Option<Failure>,
    pub(super) exit: ExitCode,
    /// What a program in the VM did.
    run: Option<GuestRun>,
}

/// The documented JSON form.
#[derive(Serialize)]
struct Document<'a> {
    operation: Option<&'a str>,
    host: &'a str,
    name: &'a RemoteText,
    id: &'a str,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<&'a RemoteText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a [Change]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    outcome: &'a str,
    state_before: &'a str,
    state_after: Option<&'a str>,
    elapsed_ms: Option<u64>,
    commands: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    asks: Option<Ask>,
    error: Option<ErrorBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunBody>,
}

fn commands(plan: &Plan) -> Vec<String> {
    plan.commands
        .iter()
        .map(RemoteCommand::shown_line)
        .collect()
}

/// What a change of settings is about.
#[derive(Debug, Clone)]
struct Edited {
    changes: Vec<Change>,
    summary: String,
    /// How a definition that was written differs from the one that was there.
    diff: Option<String>,
    /// What has to be known beside it: when it comes into effect, what the host has not.
    note: Option<String>,
}

/// One setting that is changed.
#[derive(Debug, Clone, Serialize)]
struct Change {
    setting: Setting,
    from: String,
    to: String,
}

fn edit(plan: &Plan) -> Option<Edited> {
    let note = (!plan.consequences.is_empty()).then(|| plan.consequences.join("; "));
    if let Some(request) = &plan.action.define {
        return Some(Edited {
            changes: Vec::new(),
            summary: request.summary(),
            diff: Some(request.diff().text()),
            note,
        });
    }
    let request = plan.action.edit.as_ref()?;
    let rows = request.rows().into_iter();
    Some(Edited {
        changes: rows
            .map(|(setting, from, to)| Change { setting, from, to })
            .collect(),
        summary: request.summary(),
        diff: None,
        note,
    })
}

/// Returns the name of the snapshot that a plan is about.
fn snapshot(plan: &Plan) -> Option<RemoteText> {
    let request = plan.action.snapshot.as_ref()?;
    Some(match request.chosen() {
        Some(chosen) => chosen.name.clone(),
        None => RemoteText::new(request.name()),
    })
}

/// Returns what an outcome means for the caller; `waited` tells whether the goal was to be looked for.
fn ended(outcome: Option<&Outcome>, waited: bool) -> (ExitCode, Option<Failure>) {
    match outcome {
        Some(Outcome::Confirmed) => (ExitCode::Done, None),
        Some(Outcome::Accepted { .. }) if !waited => (ExitCode::Done, None),
        Some(Outcome::Accepted { note }) => {
            let failure = Failure::new(ErrorKind::Timeout, note.clone());
            (ExitCode::Unknown, Some(failure))
        }
        Some(Outcome::Refused { cause } | Outcome::Failed { cause }) => {
            (cause.kind.spec().exit, Some(cause.clone()))
        }
        Some(Outcome::Unknown { cause }) => (ExitCode::Unknown, Some(cause.clone())),
        None => (ExitCode::Unknown, None),
    }
}

fn store_word(state: Option<StoreState>) -> &'static str {
    state.map_or("unknown", StoreState::word)
}

impl ActResult {
    /// About something that nothing was done to yet.
    fn untouched(
        words: impl Into<Words>,
        (host, name, id): (&HostName, &RemoteText, String),
    ) -> Self {
        Self {
            operation: None,
            host: host.to_string(),
            name: name.clone(),
            id,
            words: words.into(),
            snapshot: None,
            edit: None,
            outcome: "refused",
            state_before: String::new(),
            state_after: None,
            elapsed_ms: None,
            commands: Vec::new(),
            asks: None,
            failure: None,
            exit: ExitCode::Done,
            run: None,
        }
    }

    fn blank(row: &VmRow, kind: ActionKind) -> Self {
        let about = (&row.host.spec.name, &row.vm.name, row.vm.id.to_string());
        Self {
            state_before: row.vm.state.word().to_owned(),
            ..Self::untouched(kind, about)
        }
    }

    /// Not tried.
    pub(super) fn refused(
        row: &VmRow,
        kind: ActionKind,
        plan: Option<&Plan>,
        failure: Failure,
    ) -> Self {
        Self {
            exit: failure.kind.spec().exit,
            commands: plan.map(commands).unwrap_or_default(),
            snapshot: plan.and_then(snapshot),
            edit: plan.and_then(edit),
            failure: Some(failure),
            ..Self::blank(row, kind)
        }
    }

    /// Only shown.
    pub(super) fn planned(row: &VmRow, plan: &Plan, asks: Ask) -> Self {
        Self {
            outcome: "planned",
            state_before: plan.state.word().to_owned(),
            commands: commands(plan),
            snapshot: snapshot(plan),
            edit: edit(plan),
            asks: Some(asks),
            ..Self::blank(row, plan.action.kind)
        }
    }

    /// Sent, and the answer is lost to us.
    pub(super) fn lost(row: &VmRow, plan: &Plan, operation: String, failure: Failure) -> Self {
        Self {
            operation: Some(operation),
            outcome: "unknown",
            exit: ExitCode::Unknown,
            commands: commands(plan),
            snapshot: snapshot(plan),
            edit: edit(plan),
            failure: Some(failure),
            ..Self::blank(row, plan.action.kind)
        }
    }

    /// Over; `waited` tells whether the goal was to be looked for.
    pub(super) fn of(row: &VmRow, operation: &Operation, waited: bool) -> Self {
        let plan = &operation.plan;
        let (exit, failure) = ended(operation.outcome.as_ref(), waited);
        let finished = operation.finished_at.unwrap_or(operation.started_at);
        let elapsed = operation.elapsed(finished).as_millis();
        Self {
            operation: Some(operation.id.to_string()),
            outcome: operation.outcome.as_ref().map_or("unknown", Outcome::word),
            state_before: plan.state.word().to_owned(),
            state_after: operation
                .state_after
                .as_ref()
                .map(PowerState::word)
                .map(str::to_owned),
            elapsed_ms: u64::try_from(elapsed).ok(),
            commands: commands(plan),
            snapshot: snapshot(plan),
            edit: edit(plan),
            failure,
            exit,
            ..Self::blank(row, plan.action.kind)
        }
    }

    fn of_plan(plan: &StorePlan) -> Self {
        let about = (&plan.host_name, &plan.name, plan.target.id.to_string());
        let commands = plan.commands.iter();
        Self {
            state_before: store_word(plan.state).to_owned(),
            commands: commands.map(RemoteCommand::shown_line).collect(),
            ..Self::untouched(plan.verb, about)
        }
    }

    fn of_guest_plan(plan: &GuestPlan) -> Self {
        let about = (&plan.host_name, &plan.vm_name, plan.vm.vm.to_string());
        Self {
            state_before: plan.state.word().to_owned(),
            commands: vec![plan.command.shown_line()],
            ..Self::untouched(GuestVerb::Exec, about)
        }
    }

    /// Only shown, about a program in a VM.
    pub(super) fn guest_planned(plan: &GuestPlan, asks: Ask) -> Self {
        Self {
            outcome: "planned",
            asks: Some(asks),
            ..Self::of_guest_plan(plan)
        }
    }

    /// Not tried, about a program in a VM.
    pub(super) fn guest_refused(plan: &GuestPlan, failure: Failure) -> Self {
        Self {
            exit: failure.kind.spec().exit,
            failure: Some(failure),
            ..Self::of_guest_plan(plan)
        }
    }

    /// Sent, and nobody waited for its end.
    pub(super) fn guest_lost(plan: &GuestPlan, failure: Failure) -> Self {
        Self {
            outcome: "unknown",
            exit: ExitCode::Unknown,
            ..Self::guest_refused(plan, failure)
        }
    }

    /// Over, about a program in a VM.
    pub(super) fn of_guest(plan: &GuestPlan, result: GuestResult) -> Self {
        let (exit, failure) = ended(Some(&result.outcome), true);
        Self {
            operation: Some(result.id.to_string()),
            outcome: result.outcome.word(),
            elapsed_ms: u64::try_from(result.elapsed.as_millis()).ok(),
            failure,
            exit,
            run: result.run,
            ..Self::of_guest_plan(plan)
        }
    }

    /// Returns what a program in the VM did.
    pub(super) const fn run(&self) -> Option<&GuestRun> {
        self.run.as_ref()
    }

    /// Returns `host/name`.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.host, self.name)
    }

    /// Only shown, about a pool or a network.
    pub(super) fn store_planned(plan: &StorePlan, asks: Ask) -> Self {
        Self {
            outcome: "planned",
            asks: Some(asks),
            ..Self::of_plan(plan)
        }
    }

    /// Not tried, about a pool or a network.
    pub(super) fn store_refused(plan: &StorePlan, failure: Failure) -> Self {
        Self {
            exit: failure.kind.spec().exit,
            failure: Some(failure),
            ..Self::of_plan(plan)
        }
    }

    /// Over, about a pool or a network.
    pub(super) fn of_store(plan: &StorePlan, result: &StoreResult, waited: bool) -> Self {
        let (exit, failure) = ended(Some(&result.outcome), waited);
        Self {
            operation: Some(result.id.to_string()),
            outcome: result.outcome.word(),
            state_after: result.state_after.map(|state| state.word().to_owned()),
            elapsed_ms: u64::try_from(result.elapsed.as_millis()).ok(),
            failure,
            exit,
            ..Self::of_plan(plan)
        }
    }

    /// Returns what a person is told of a failure.
    pub(super) fn complaint(&self) -> Option<Complaint> {
        let failure = self.failure.as_ref()?;
        let verb = self.words.verb;
        let message = match self.outcome {
            "failed" if self.run.is_some() => failure.message.clone(),
            "accepted" => format!("{verb} was accepted, not confirmed: {}", failure.message),
            "unknown" => format!("outcome of {verb} is unknown: {}", failure.message),
            _ => format!("could not {verb}: {}", failure.message),
        };
        let told = Failure {
            message,
            ..failure.clone()
        };
        Some(Complaint::from(told).on(&self.place()))
    }

    /// Returns what a person reads when it went well.
    fn sentence(&self) -> Option<String> {
        let vm = self.place();
        let spec = self.words;
        let about = match (&self.snapshot, &self.edit) {
            (Some(name), _) => format!(": {name}"),
            (None, Some(edited)) => format!(": {}", edited.summary),
            (None, None) => String::new(),
        };
        let note = self.edit.as_ref().and_then(|edited| edited.note.as_ref());
        let note = note.map_or_else(String::new, |note| format!("  {note}\n"));
        match self.outcome {
            "confirmed" => {
                let seconds = self.elapsed_ms.unwrap_or_default() / 100;
                let state = self.state_after.as_deref().unwrap_or("–");
                let (whole, tenth) = (seconds / 10, seconds % 10);
                Some(format!(
                    "{vm}: {}{about} ({state}, {whole}.{tenth} s)\n{note}",
                    spec.past
                ))
            }
            "accepted" => Some(format!("{vm}: {}{about} accepted\n{note}", spec.verb)),
            "planned" => {
                let asks = match self.asks {
                    Some(Ask::Confirm) => "; asks for --yes",
                    Some(Ask::TypeName) => "; asks for --yes and the VM named in full",
                    Some(Ask::Nothing) | None => "",
                };
                let mut text = format!(
                    "{vm} ({}): would {}{about}{asks}\n{note}",
                    self.state_before, spec.verb
                );
                let diff = self.edit.as_ref().and_then(|edited| edited.diff.as_ref());
                for line in diff.map(String::as_str).unwrap_or_default().lines() {
                    text.push_str("  ");
                    text.push_str(line);
                    text.push('\n');
                }
                for command in &self.commands {
                    text.push_str("  ");
                    text.push_str(command);
                    text.push('\n');
                }
                Some(text)
            }
            _ => None,
        }
    }

    fn document(&self) -> Document<'_> {
        Document {
            operation: self.operation.as_deref(),
            host: &self.host,
            name: &self.name,
            id: &self.id,
            action: self.words.id,
            snapshot: self.snapshot.as_ref(),
            changes: self
                .edit
                .as_ref()
                .filter(|edited| edited.diff.is_none())
                .map(|edited| edited.changes.as_slice()),
            diff: self.edit.as_ref().and_then(|edited| edited.diff.as_deref()),
            note: self.edit.as_ref().and_then(|edited| edited.note.as_deref()),
            outcome: self.outcome,
            state_before: &self.state_before,
            state_after: self.state_after.as_deref(),
            elapsed_ms: self.elapsed_ms,
            commands: &self.commands,
            asks: self.asks,
            error: self.failure.as_ref().map(ErrorBody::of),
            run: self.run.as_ref().map(RunBody::of),
        }
    }
}

/// Writes results: one JSON object a VM, each on a line of its own, or the format's own rows.
pub(super) fn written(format: Format, results: &[ActResult]) -> String {
    match format {
        Format::Json | Format::Ndjson => results
            .iter()
            .map(|result| {
                let mut line = crate::json::to_line(&result.document()).unwrap_or_default();
                line.push('\n');
                line
            })
            .collect(),
        Format::Table => results.iter().filter_map(ActResult::sentence).collect(),
        Format::Csv | Format::Markdown => output::rows(format, &FIELDS, &[], results),
    }
}

const fn field(
    id: &'static str,
    title: &'static str,
    cell: fn(&ActResult) -> Cell,
) -> Field<ActResult> {
    Field {
        id,
        aliases: &[],
        title,
        about: "",
        usual: true,
        cell,
        shown: None,
    }
}

static FIELDS: [Field<ActResult>; 11] = [
    field("operation", "OPERATION", |result| {
        Cell::of(result.operation.as_ref(), Cell::text)
    }),
    field("host", "HOST", |result| Cell::text(&result.host)),
    field("name", "NAME", |result| Cell::Remote(result.name.clone())),
    field("id", "ID", |result| Cell::text(&result.id)),
    field("action", "ACTION", |result| Cell::text(result.words.id)),
    field("outcome", "OUTCOME", |result| Cell::text(result.outcome)),
    field("state_before", "BEFORE", |result| {
        Cell::text(&result.state_before)
    }),
    field("state_after", "AFTER", |result| {
        Cell::of(result.state_after.as_ref(), Cell::text)
    }),
    field("elapsed_ms", "MS", |result| {
        Cell::of(result.elapsed_ms, Cell::Count)
    }),
    field("commands", "COMMANDS", |result| {
        Cell::Text(result.commands.join("; "))
    }),
    field("error", "ERROR", |result| {
        Cell::of(result.failure.as_ref(), |failure| {
            Cell::text(&failure.message)
        })
    }),
];

/// One exit code for all: the one they share, else partly done; when none was done, failed.
pub(super) fn exit_code(results: &[ActResult]) -> ExitCode {
    let mut codes = results.iter().map(|result| result.exit);
    let Some(first) = codes.next() else {
        return ExitCode::Done;
    };
    if codes.all(|code| code == first) {
        return first;
    }
    let touched = |code| matches!(code, ExitCode::Done | ExitCode::Unknown);
    if results.iter().any(|result| touched(result.exit)) {
        ExitCode::Partial
    } else {
        ExitCode::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::HostHealth;
    use crate::domain::host::{Endpoint, HostSpec};
    use crate::domain::inventory::HostSnapshot;
    use crate::domain::vm::{Vm, VmId};

    fn row() -> VmRow {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let spec = HostSpec::new("kvm1".parse().unwrap(), Endpoint::new("kvm1", 22));
        let id = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        VmRow {
            host: std::sync::Arc::new(HostSnapshot {
                spec: std::sync::Arc::new(spec),
                health: HostHealth::Online,
                since: now,
                capabilities: None,
                inventory: None,
                observed_at: Some(now),
                from_cache: false,
                latency: None,
                tick: std::time::Duration::from_secs(3),
            }),
            vm: std::sync::Arc::new(Vm::new(id, "web".into(), PowerState::Running)),
            now,
        }
    }

    fn ended(kind: Option<ErrorKind>) -> ActResult {
        match kind {
            None => ActResult::blank(&row(), ActionKind::Start),
            Some(kind) => {
                let failure = Failure::new(kind, "why");
                ActResult::refused(&row(), ActionKind::Start, None, failure)
            }
        }
    }

    #[test]
    fn one_exit_code_tells_of_all() {
        let cases = [
            (vec![], ExitCode::Done),
            (vec![None, None], ExitCode::Done),
            (vec![Some(ErrorKind::Refused)], ExitCode::Refused),
            (
                vec![Some(ErrorKind::Refused), Some(ErrorKind::Conflict)],
                ExitCode::Refused,
            ),
            (vec![None, Some(ErrorKind::Refused)], ExitCode::Partial),
            (
                vec![Some(ErrorKind::Timeout), Some(ErrorKind::Refused)],
                ExitCode::Partial,
            ),
            (
                vec![Some(ErrorKind::Remote), Some(ErrorKind::Refused)],
                ExitCode::Failed,
            ),
        ];
        for (kinds, expected) in cases {
            let results: Vec<ActResult> = kinds.iter().copied().map(ended).collect();
            assert_eq!(exit_code(&results), expected, "{kinds:?}");
        }
    }

    #[test]
    fn a_lost_answer_is_unknown_and_never_failed() {
        let plan = Plan {
            vm: crate::domain::vm::VmRef {
                host: crate::domain::host::HostId(1),
                vm: row().vm.id.clone(),
            },
            vm_name: "web".into(),
            host_name: "kvm1".parse().unwrap(),
            action: ActionKind::Shutdown.into(),
            commands: Vec::new(),
            state: PowerState::Running,
            consequences: Vec::new(),
        };
        let failure = Failure::new(ErrorKind::Internal, "the fleet has ended");
        let lost = ActResult::lost(&row(), &plan, "op".to_owned(), failure);
        assert_eq!(lost.exit, ExitCode::Unknown);
        let text = written(Format::Ndjson, &[lost]);
        assert!(text.contains(r#""outcome":"unknown""#), "{text}");
    }
}
