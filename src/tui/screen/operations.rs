//! Operations and the audit log: what is under way, what has been done, by whom, how it ended.

use std::borrow::Cow;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::audit::AuditRecord;
use crate::domain::error_kind::Failure;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::{Operation, OperationId, Outcome, Phase};
use crate::domain::units::Age;
use crate::tui::app::{App, Screen};
use crate::tui::cursor::{Cursor, Motion};
use crate::tui::effect::Effect;
use crate::tui::glyph;
use crate::tui::overlay::details::audit_lines;
use crate::tui::overlay::document::{self, draw_lines, time_of};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::list::{self, Field, List};
use crate::tui::widget::paint;

/// State of the view.
#[derive(Debug, Default)]
pub struct Operations {
    /// The operation under the cursor; newest first.
    pub cursor: Cursor<OperationId>,
    /// Whether the audit log has the keys.
    pub in_audit: bool,
    /// The end of the audit log; `None` while it is being read.
    pub audit: Option<Result<Vec<AuditRecord>, Failure>>,
    /// First line of it that is seen.
    pub scroll: usize,
}

fn nth(state: &FleetSnapshot, at: usize) -> Option<&Arc<Operation>> {
    let last = state.operations.len().checked_sub(1)?;
    state.operations.get(last.checked_sub(at)?)
}

impl Operations {
    /// Takes the fleet's newest state.
    pub fn take(&mut self, state: &FleetSnapshot) {
        self.cursor.follow(state.operations.len(), |at| {
            nth(state, at).map(|operation| operation.id.clone())
        });
    }

    /// Moves the cursor of the pane with the keys.
    pub fn go(&mut self, state: &FleetSnapshot, motion: Motion, page: usize) {
        if self.in_audit {
            let len = match &self.audit {
                Some(Ok(records)) => records.iter().map(|r| audit_lines(r).len()).sum(),
                _ => 0,
            };
            self.scroll = document::scroll(self.scroll, len, motion, page / 2);
        } else {
            let index = motion.apply(self.cursor.index(), state.operations.len(), page);
            self.go_to(state, index);
        }
    }

    /// Puts the cursor on an operation and gives its pane the keys.
    pub fn go_to(&mut self, state: &FleetSnapshot, index: usize) {
        let id = nth(state, index).map(|operation| operation.id.clone());
        self.in_audit = false;
        self.cursor.go(index, id);
    }
}

fn selected(app: &App) -> Option<&Arc<Operation>> {
    let id = app.operations.cursor.id()?;
    app.snapshot.operations.iter().find(|op| op.id == *id)
}

/// Returns the operation under the cursor.
pub fn under_cursor(app: &App) -> Option<&OperationId> {
    if app.screen == Screen::Operations {
        app.operations.cursor.id()
    } else {
        None
    }
}

/// Says whether the operation under the cursor can be cancelled.
pub fn can_cancel(app: &App) -> Result<(), String> {
    match selected(app) {
        None => Err("no operation is selected".to_owned()),
        Some(operation) if operation.is_finished() => Err("it is over".to_owned()),
        Some(_) => Ok(()),
    }
}

/// Calls the operation under the cursor back where nothing was sent yet; otherwise stops waiting for it.
pub fn cancel(app: &mut App) -> Vec<Effect> {
    let effect = selected(app).map(|operation| match operation.phase {
        Phase::Queued => Effect::Withdraw {
            bulk: None,
            operations: vec![operation.id.clone()],
        },
        Phase::Sending | Phase::Verifying | Phase::Done => Effect::Cancel(operation.id.clone()),
    });
    effect.into_iter().collect()
}

/// Gives the other pane the keys.
pub fn turn(app: &mut App) -> Vec<Effect> {
    app.operations.in_audit = !app.operations.in_audit;
    Vec::new()
}

/// Says whether there is something to copy.
pub fn has_something(app: &App) -> Result<(), String> {
    if as_json(app).is_some() {
        Ok(())
    } else {
        Err("nothing is selected".to_owned())
    }
}

/// Copies what is under the cursor as JSON.
pub fn copy(app: &mut App) -> Vec<Effect> {
    let Some(text) = as_json(app) else {
        return Vec::new();
    };
    app.say(Role::Dim, "copied as JSON");
    vec![Effect::Copy(text)]
}

fn as_json(app: &App) -> Option<String> {
    if app.operations.in_audit {
        let Some(Ok(records)) = &app.operations.audit else {
            return None;
        };
        return records
            .last()
            .and_then(|last| crate::json::to_line(last).ok());
    }
    let operation = selected(app)?;
    let plan = &operation.plan;
    let value = serde_json::json!({
        "operation": operation.id,
        "host": plan.host_name,
        "name": plan.vm_name,
        "id": plan.vm.vm,
        "action": plan.action.kind,
        "phase": operation.phase,
        "progress": operation.progress,
        "outcome": operation.outcome.as_ref().map(Outcome::word),
        "reason": operation.outcome.as_ref().and_then(Outcome::reason),
        "user": operation.actor.user,
        "started_at": operation.started_at,
        "finished_at": operation.finished_at,
        "commands": plan.commands.iter().map(crate::domain::remote_command::RemoteCommand::shown_line).collect::<Vec<_>>(),
    });
    crate::json::to_line(&value).ok()
}

const FIELDS: &[Field] = &[
    Field::left("ST", 15),
    Field::left("STARTED", 8),
    Field::left("ACTION", 13),
    Field::left("VM", 22),
    Field::left("HOST", 12),
    Field::left("BY", 12),
    Field::right("TOOK", 6),
    Field::rest("HOW IT ENDED"),
];

/// Returns where the operations stand; below them is the audit log.
pub fn upper(area: Rect) -> Rect {
    Rect {
        height: (area.height / 2).max(2).min(area.height),
        ..area
    }
}

/// Draws the view: operations above, the audit log below.
pub fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: &Theme, top: &mut usize) {
    let upper = upper(area);
    let rows = app.snapshot.operations.len();
    let index = app.operations.cursor.index();
    let line = |at: usize| {
        nth(&app.snapshot, at)
            .map(|operation| row(app, operation))
            .unwrap_or_default()
    };
    let list_of = List {
        fields: FIELDS,
        rows,
        index,
        top,
    };
    list_of.draw(buf, upper, theme, line);
    if rows == 0 {
        list::empty(buf, upper, theme, "Nothing has been done yet.");
    }
    let lower = Rect {
        y: upper.bottom(),
        height: area.height - upper.height,
        ..area
    };
    let role = if app.operations.in_audit {
        Role::Sorted
    } else {
        Role::Title
    };
    let heading = paint::line_of(lower, 0);
    buf.set_style(heading.intersection(buf.area), theme.style(Role::TitleLine));
    paint::put(
        buf,
        heading,
        "   AUDIT LOG, newest first",
        theme.style(role),
    );
    paint::put_right(buf, heading, "tab ", theme.style(Role::Dim));
    let lines = app.operations.audit.as_ref().map(|audit| match audit {
        Ok(records) => records
            .iter()
            .rev()
            .flat_map(audit_lines)
            .collect::<Vec<_>>(),
        Err(cause) => document::failure(cause),
    });
    let body = Rect {
        x: lower.x + 3,
        y: lower.y + 1,
        width: lower.width.saturating_sub(3),
        height: lower.height.saturating_sub(1),
    };
    draw_lines(buf, body, theme, lines.as_deref(), app.operations.scroll);
}

/// Returns the sign, the word and the role of where an operation stands.
fn standing(operation: &Operation) -> (&'static str, Cow<'static, str>, Role) {
    let (sign, word, role) = match (&operation.outcome, operation.phase) {
        (None, Phase::Queued) => (glyph::CHANGING, "queued", Role::Changing),
        (None, Phase::Sending) => (glyph::CHANGING, "sending", Role::Changing),
        (None, _) => (glyph::CHANGING, "verifying", Role::Changing),
        (Some(Outcome::Confirmed), _) => (glyph::DONE, "confirmed", Role::Success),
        (Some(Outcome::Accepted { .. }), _) => ("○", "accepted", Role::Warning),
        (Some(_), _) if operation.withdrawn => (glyph::UNKNOWN, "not started", Role::Warning),
        (Some(Outcome::Refused { .. }), _) => (glyph::ERROR, "refused", Role::Warning),
        (Some(Outcome::Failed { .. }), _) => (glyph::ERROR, "failed", Role::Danger),
        (Some(Outcome::Unknown { .. }), _) => ("?", "unknown", Role::Warning),
    };
    (sign, Cow::Borrowed(word), role)
}

fn row(app: &App, operation: &Operation) -> list::Row {
    let (sign, mut word, role) = standing(operation);
    let progress = match &operation.progress {
        Some(progress) if !operation.is_finished() => Some(progress),
        _ => None,
    };
    let doing = progress.and_then(|it| it.doing.as_ref());
    if let Some(percent) = progress.and_then(|it| it.percent) {
        word = format!("{word} {percent}%").into();
    }
    let plan = &operation.plan;
    let took = Age(operation.elapsed(app.now)).to_string();
    let reason = operation.outcome.as_ref().and_then(Outcome::reason);
    let now = || Some(format!("now {}", operation.state_after.as_ref()?));
    let ended = match reason {
        Some(reason) => reason.to_owned(),
        None if operation.is_finished() => now().unwrap_or_default(),
        // In the hypervisor's own word; the action stands beside it.
        None => doing.map_or_else(String::new, |word| word.shown().to_owned()),
    };
    list::Row {
        dimmed: false,
        cells: vec![
            (format!("{sign} {word}"), role),
            (time_of(operation.started_at), Role::Dim),
            (plan.action.kind.spec().verb.to_owned(), Role::Text),
            (plan.vm_name.fit(22), Role::Strong),
            (plan.host_name.to_string(), Role::Text),
            (operation.actor.user.clone(), Role::Dim),
            (took, Role::Text),
            (ended, if reason.is_some() { role } else { Role::Dim }),
        ],
    }
}
