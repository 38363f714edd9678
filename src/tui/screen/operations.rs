//! Operations on VMs, pools and networks, and the audit log: what is under way, what has been done, by whom, how
//! it ended. One filter is about both.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::audit::AuditRecord;
use crate::domain::error_kind::Failure;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::{Operation, OperationId, Phase};
use crate::domain::selector::LineFilter;
use crate::domain::store_operation::StoreOperation;
use crate::tui::app::{App, Screen};
use crate::tui::cursor::{Cursor, Motion};
use crate::tui::effect::Effect;
use crate::tui::filter::FilterLine;
use crate::tui::overlay::details::audit_lines;
use crate::tui::overlay::document::{self, Document, Topic, draw_lines};
use crate::tui::overlay::{Overlay, log};
use crate::tui::screen::run::Run;
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
    /// Which of both are shown.
    pub filter: FilterLine<LineFilter>,
}

impl Operations {
    /// Returns the operations that are shown, newest first.
    fn shown(&self, state: &FleetSnapshot) -> Vec<Run> {
        let vm = |it: &Arc<Operation>| Run::Vm(Arc::clone(it));
        let store = |it: &Arc<StoreOperation>| Run::Store(Arc::clone(it));
        let mut of_vms = state.operations.iter().rev().peekable();
        let mut of_stores = state.store_operations.iter().rev().peekable();
        let mut runs = Vec::with_capacity(of_vms.len() + of_stores.len());
        loop {
            // Both lists are in order, and their ids sort by time.
            let next = match (of_vms.peek(), of_stores.peek()) {
                (Some(one), Some(other)) if one.id >= other.id => of_vms.next().map(vm),
                (Some(_), None) => of_vms.next().map(vm),
                (_, Some(_)) => of_stores.next().map(store),
                (None, None) => break,
            };
            runs.extend(next);
        }
        if let Some(filter) = self.filter.applied() {
            runs.retain(|run| run.with_line(|line| filter.matches(line)));
        }
        runs
    }

    /// Returns the records that are shown, newest first.
    fn records<'a>(&self, records: &'a [AuditRecord]) -> impl Iterator<Item = &'a AuditRecord> {
        let filter = self.filter.applied();
        let fits = move |record: &&AuditRecord| {
            filter.is_none_or(|filter| log::with_line(record, |line| filter.matches(line)))
        };
        records.iter().rev().filter(fits)
    }

    /// Takes the fleet's newest state.
    pub fn take(&mut self, state: &FleetSnapshot) {
        let shown = self.shown(state);
        self.cursor
            .follow(shown.len(), |at| shown.get(at).map(|run| run.id().clone()));
    }

    /// Moves the cursor of the pane with the keys.
    pub fn go(&mut self, state: &FleetSnapshot, motion: Motion, page: usize) {
        if self.in_audit {
            let len = match &self.audit {
                Some(Ok(records)) => self.records(records).map(|r| audit_lines(r).len()).sum(),
                _ => 0,
            };
            self.scroll = document::scroll(self.scroll, len, motion, page / 2);
        } else {
            let len = self.shown(state).len();
            let index = motion.apply(self.cursor.index(), len, page);
            self.go_to(state, index);
        }
    }

    /// Puts the cursor on an operation and gives its pane the keys.
    pub fn go_to(&mut self, state: &FleetSnapshot, index: usize) {
        let id = self.shown(state).get(index).map(|run| run.id().clone());
        self.in_audit = false;
        self.cursor.go(index, id);
    }
}

fn selected(app: &App) -> Option<Run> {
    let id = app.operations.cursor.id()?;
    let mut shown = app.operations.shown(&app.snapshot).into_iter();
    shown.find(|run| run.id() == id)
}

/// Returns how many operations are shown.
pub fn rows(app: &App) -> usize {
    app.operations.shown(&app.snapshot).len()
}

/// Begins to type a filter.
pub fn filter(app: &mut App) -> Vec<Effect> {
    app.operations.filter.open();
    Vec::new()
}

/// Finds again what fits the filter.
pub fn refilter(app: &mut App) {
    let state = Arc::clone(&app.snapshot);
    app.operations.scroll = 0;
    app.operations.take(&state);
}

/// Takes the filter away; tells whether there was one.
pub fn clear(app: &mut App) -> bool {
    let had = !app.operations.filter.text().is_empty();
    app.operations.filter.set("");
    refilter(app);
    had
}

/// Says whether an operation is selected.
pub fn has_selected(app: &App) -> Result<(), String> {
    selected(app)
        .map(drop)
        .ok_or_else(|| "no operation is selected".to_owned())
}

/// Shows everything about the operation under the cursor.
pub fn describe(app: &mut App) -> Vec<Effect> {
    if let Some(run) = selected(app) {
        let page = Document {
            topic: Topic::Describe,
            title: format!("{} {}", run.verb(), run.name()),
            lines: Some(run.facts(app.now)),
            scroll: 0,
        };
        app.overlays.push(Overlay::Document(page));
    }
    Vec::new()
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
        Some(run) if run.outcome().is_some() => Err("it is over".to_owned()),
        Some(_) => Ok(()),
    }
}

/// Calls the operation under the cursor back where nothing was sent yet; otherwise stops waiting for it.
pub fn cancel(app: &mut App) -> Vec<Effect> {
    let effect = selected(app).map(|run| match run.phase() {
        Phase::Queued => Effect::Withdraw {
            bulk: None,
            operations: vec![run.id().clone()],
        },
        Phase::Sending | Phase::Verifying | Phase::Done => Effect::Cancel(run.id().clone()),
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
        let newest = app.operations.records(records).next();
        return newest.and_then(|newest| crate::json::to_line(newest).ok());
    }
    crate::json::to_line(&selected(app)?.json()).ok()
}

const FIELDS: &[Field] = &[
    Field::left("ST", 15),
    Field::left("STARTED", 8),
    Field::left("ACTION", 18),
    Field::left("OF", 22),
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
    let shown = app.operations.shown(&app.snapshot);
    let rows = shown.len();
    let index = app.operations.cursor.index();
    let line = |at: usize| {
        let run = shown.get(at);
        run.map(|run| run.row(app.now)).unwrap_or_default()
    };
    let list_of = List {
        fields: FIELDS,
        rows,
        index,
        top,
    };
    list_of.draw(buf, upper, theme, line);
    if rows == 0 {
        let text = if app.operations.filter.is_active() {
            "Nothing fits; esc shows all again."
        } else {
            "Nothing has been done yet."
        };
        list::empty(buf, upper, theme, text);
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
        Ok(records) => {
            let shown = app.operations.records(records);
            shown.flat_map(audit_lines).collect::<Vec<_>>()
        }
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
