//! An order about several VMs while it runs and when it is over: how far it is, how each VM stands, and
//! what can be done about it. It can be left at any time; what was ordered goes on.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Overlay;
use super::document::{self, Line, draw_lines};
use super::frame;
use crate::domain::operation::Phase;
use crate::domain::text::{RemoteText, fit_middle};
use crate::domain::units::Age;
use crate::tui::acting;
use crate::tui::app::{App, Screen};
use crate::tui::bulk::{Bulk, Member, Standing};
use crate::tui::cursor::Motion;
use crate::tui::effect::Effect;
use crate::tui::glyph;
use crate::tui::notify;
use crate::tui::screen::{operations, vms};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint;

/// Columns that names take at the least, with what is meant beside the VM.
const NARROWEST: u16 = 24;

/// Columns that names take at the most: behind them stands why.
const WIDEST: u16 = 48;

/// Columns beside the lines: the frame and its margin.
const BESIDE: u16 = 4;

/// Columns from which on a reason stands behind its line; where there are fewer it stands below.
const LEGIBLE: u16 = 24;

/// Columns that it is moved in by there.
const BELOW: u16 = 4;

/// The panel.
#[derive(Debug, Clone, Copy)]
pub struct ProgressPanel {
    /// Which order.
    pub ticket: u64,
    /// First line that is seen.
    pub scroll: usize,
}

impl ProgressPanel {
    /// Shows an order from its first VM on.
    pub const fn new(ticket: u64) -> Self {
        Self { ticket, scroll: 0 }
    }

    /// Scrolls through this many lines.
    pub fn go(&mut self, lines: usize, motion: Motion, page: usize) {
        self.scroll = document::scroll(self.scroll, lines, motion, page);
    }

    /// Draws it.
    pub fn draw(&self, app: &App, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let Some(bulk) = find(app, self.ticket) else {
            return;
        };
        frame::fill(
            buf,
            area,
            theme,
            &title(bulk),
            "it goes on when this is closed",
        );
        let room = crate::tui::layout::inner(area, 2, 1);
        let (over, all) = bulk.progress();
        let role = if bulk.is_over() {
            bulk.role()
        } else {
            Role::Changing
        };
        let heading = format!("{over} of {all} over: {}", bulk.summary());
        paint::put_fitted(buf, paint::line_of(room, 0), &heading, theme.style(role));
        let below = Rect {
            y: room.y.saturating_add(2),
            height: room.height.saturating_sub(2),
            ..room
        };
        let lines = lines(bulk, area.width);
        draw_lines(buf, below, theme, Some(&lines), self.scroll);
    }
}

fn title(bulk: &Bulk) -> String {
    let count = bulk.members.len() + bulk.skipped.len();
    bulk.action.kind.spec().of_several(count)
}

fn find(app: &App, ticket: u64) -> Option<&Bulk> {
    app.bulks.iter().find(|bulk| bulk.ticket == ticket)
}

/// Returns the order that keys are about: the one on the screen, that of the operation under the cursor,
/// or the last one.
pub fn current(app: &App) -> Option<&Bulk> {
    if let Some(Overlay::Progress(panel)) = app.overlays.last() {
        return find(app, panel.ticket);
    }
    let under_cursor = operations::under_cursor(app);
    under_cursor
        .and_then(|id| app.bulks.iter().find(|bulk| bulk.holds(id)))
        .or_else(|| app.bulks.last())
}

/// Returns the lines of an order in a terminal of this width: its VMs, then those that were left out.
pub fn lines(bulk: &Bulk, width: u16) -> Vec<Line> {
    let width = width.saturating_sub(BESIDE);
    let members = bulk.members.iter();
    let left_out = bulk.skipped.iter();
    let names = members.map(|member| named(&member.name, &member.action.about()));
    let names: Vec<String> = names
        .chain(left_out.map(|skipped| named(&skipped.name, &skipped.about)))
        .collect();
    let widest = names.iter().map(|name| paint::width(name)).max();
    let columns = widest.unwrap_or_default().clamp(NARROWEST, WIDEST);
    let mut names = names
        .iter()
        .map(|name| paint::padded(&fit_middle(name, columns.into()), columns + 2));
    let mut lines = Vec::new();
    for (member, name) in bulk.members.iter().zip(&mut names) {
        let (line, role) = line(member, name);
        reasoned(&mut lines, line, (member.standing.reason(), role), width);
    }
    if !bulk.skipped.is_empty() {
        lines.push(Vec::new());
        lines.push(vec![(
            format!("Left out of the plan: {}", bulk.skipped.len()),
            Role::Warning,
        )]);
        for (skipped, name) in bulk.skipped.iter().zip(names) {
            let why = (Some(skipped.cause.message.as_str()), Role::Dim);
            reasoned(&mut lines, vec![(name, Role::Dim)], why, width);
        }
    }
    lines
}

/// Adds a line and all of its reason: behind it, as far as there is room.
fn reasoned(lines: &mut Vec<Line>, mut line: Line, why: (Option<&str>, Role), width: u16) {
    let (Some(reason), role) = why else {
        return lines.push(line);
    };
    let before: u16 = line.iter().map(|(text, _)| paint::width(text)).sum();
    let is_behind = width.saturating_sub(before) >= LEGIBLE;
    let indent = if is_behind { before } else { BELOW };
    let mut parts = paint::wrap(reason, width.saturating_sub(indent)).into_iter();
    if is_behind {
        line.extend(parts.next().map(|part| (part, role)));
    }
    lines.push(line);
    lines.extend(parts.map(|part| vec![(" ".repeat(indent.into()), role), (part, role)]));
}

/// Returns a VM's name with what is meant beside it.
fn named(name: &RemoteText, about: &str) -> String {
    format!("{}{about}", name.fit(NARROWEST.into()))
}

/// Returns the line of a VM, and in which role its reason stands.
fn line(member: &Member, name: String) -> (Line, Role) {
    let (sign, word, role) = standing(&member.standing);
    let took = member
        .took
        .map_or_else(String::new, |took| Age(took).to_string());
    let line = vec![
        (format!("{sign} {word:<13}"), role),
        (name, Role::Strong),
        (
            paint::padded(&fit_middle(member.host.as_str(), 16), 18),
            Role::Text,
        ),
        (format!("{took:<6}"), Role::Dim),
    ];
    (line, role)
}

/// Returns sign, word and role of where a VM stands.
fn standing(standing: &Standing) -> (&'static str, String, Role) {
    let (sign, word, role) = match standing {
        Standing::Waiting | Standing::Queued => (glyph::DOT, "waiting", Role::Dim),
        Standing::UnderWay(Phase::Verifying, _) => (glyph::CHANGING, "verifying", Role::Changing),
        Standing::UnderWay(_, progress) => {
            let percent = progress.as_ref().and_then(|progress| progress.percent);
            if let Some(percent) = percent {
                return (
                    glyph::CHANGING,
                    format!("sending {percent}%"),
                    Role::Changing,
                );
            }
            (glyph::CHANGING, "sending", Role::Changing)
        }
        Standing::Done => (glyph::DONE, "done", Role::Success),
        Standing::Accepted(_) => ("○", "accepted", Role::Warning),
        Standing::Refused(_) => (glyph::ERROR, "refused", Role::Danger),
        Standing::Failed(_) => (glyph::ERROR, "failed", Role::Danger),
        Standing::Unknown(_) => ("?", "unknown", Role::Warning),
        Standing::NotStarted => (glyph::UNKNOWN, "not started", Role::Warning),
    };
    (sign, word.to_owned(), role)
}

/// Says whether there is an order about several VMs to look at.
pub fn has_any(app: &App) -> Result<(), String> {
    current(app)
        .map(drop)
        .ok_or_else(|| "nothing was ordered for several VMs yet".to_owned())
}

/// Shows it.
pub fn open(app: &mut App) -> Vec<Effect> {
    if let Some(ticket) = current(app).map(|bulk| bulk.ticket) {
        app.overlays
            .push(Overlay::Progress(ProgressPanel::new(ticket)));
    }
    Vec::new()
}

/// Says whether anything of it has not begun.
pub fn can_stop(app: &App) -> Result<(), String> {
    match current(app) {
        Some(bulk) if bulk.tally().waiting > 0 && !bulk.stopped => Ok(()),
        Some(bulk) if bulk.stopped => Err("it is called back already".to_owned()),
        Some(_) => Err("all of it has begun".to_owned()),
        None => has_any(app),
    }
}

/// Calls back what has not begun; what was sent is left alone.
pub fn stop(app: &mut App) -> Vec<Effect> {
    let Some(ticket) = current(app).map(|bulk| bulk.ticket) else {
        return Vec::new();
    };
    let Some(bulk) = app.bulks.iter_mut().find(|bulk| bulk.ticket == ticket) else {
        return Vec::new();
    };
    bulk.stopped = true;
    let operations = bulk.queued();
    app.say(
        Role::Warning,
        "calling back what has not begun; what was sent stays sent",
    );
    vec![Effect::Withdraw {
        bulk: Some(ticket),
        operations,
    }]
}

fn has(app: &App, test: fn(&Standing) -> bool, none: &str) -> Result<(), String> {
    match current(app) {
        Some(bulk) if bulk.is_over() && !bulk.of_standing(test).is_empty() => Ok(()),
        Some(bulk) if bulk.is_over() => Err(none.to_owned()),
        Some(_) => Err("it is not over yet".to_owned()),
        None => has_any(app),
    }
}

fn is_not_started(standing: &Standing) -> bool {
    *standing == Standing::NotStarted
}

/// Says whether some of it failed.
pub fn has_failed(app: &App) -> Result<(), String> {
    has(app, Standing::has_failed, "none of it failed")
}

/// Says whether some of it was called back.
pub fn has_not_started(app: &App) -> Result<(), String> {
    has(app, is_not_started, "all of it was started")
}

/// Marks the VMs that failed, and only them, and asks for the plan anew. Nothing is sent by it.
pub fn repeat(app: &mut App) -> Vec<Effect> {
    again(app, Standing::has_failed)
}

/// The same for those that were called back.
pub fn go_on(app: &mut App) -> Vec<Effect> {
    again(app, is_not_started)
}

fn again(app: &mut App, test: fn(&Standing) -> bool) -> Vec<Effect> {
    let Some(bulk) = current(app) else {
        return Vec::new();
    };
    let (action, wanted) = (bulk.action.clone(), bulk.of_standing(test));
    if matches!(app.overlays.last(), Some(Overlay::Progress(_))) {
        app.overlays.pop();
    }
    app.show(Screen::Vms);
    vms::mark_only(app, wanted.iter().map(|(vm, _)| vm.clone()).collect());
    acting::begin_anew(app, &action, wanted)
}

/// Copies how each of them ended.
pub fn copy(app: &mut App) -> Vec<Effect> {
    let Some(bulk) = current(app) else {
        return Vec::new();
    };
    let mut text = format!("{}: {}\n", title(bulk), bulk.summary());
    for line in lines(bulk, u16::MAX) {
        let line: String = line.into_iter().map(|(text, _)| text).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    app.say(Role::Dim, "copied");
    vec![Effect::Copy(text)]
}

/// Follows the orders when the fleet has changed, and tells how those ended that are over.
pub fn follow(app: &mut App) {
    let state = std::sync::Arc::clone(&app.snapshot);
    let mut ended = Vec::new();
    for bulk in &mut app.bulks {
        bulk.take(&state);
        if bulk.is_news() {
            let longest = bulk.members.iter().filter_map(|member| member.took).max();
            let text = format!("{}: {}", title(bulk), bulk.summary());
            ended.push((bulk.role(), title(bulk), text, longest.unwrap_or_default()));
        }
    }
    for (role, name, text, took) in ended {
        notify::ended(app, &name, &text, took);
        if role == Role::Danger {
            app.last_error = Some(text.clone());
        }
        let shown = matches!(app.overlays.last(), Some(Overlay::Progress(_)));
        let more = if shown || app.screen == Screen::Operations {
            ""
        } else {
            " (5, then b: each of them)"
        };
        app.say(role, format!("{text}{more}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_reason_is_told_in_any_terminal() {
        let reason = "the image is in use by another process, which has it open for writing";
        for width in [20, 40, 60, 80, 120] {
            let line = vec![
                ("web-1".to_owned(), Role::Strong),
                (" ".repeat(30), Role::Text),
            ];
            let mut lines = Vec::new();
            reasoned(&mut lines, line, (Some(reason), Role::Danger), width);
            let told = lines.iter().flatten();
            let told = told.filter(|(text, role)| *role == Role::Danger && !text.trim().is_empty());
            let told: Vec<&str> = told.map(|(text, _)| text.as_str()).collect();
            assert_eq!(told.join(" "), reason, "{width}");
            for line in &lines[1..] {
                let columns: u16 = line.iter().map(|(text, _)| paint::width(text)).sum();
                assert!(columns <= width, "{width}: {line:?}");
            }
        }
    }
}
