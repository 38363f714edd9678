//! The findings about one host, one row for each thing that was looked at, with everything about the one under
//! the cursor below. What is found out is the fleet's business; here it is only shown.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::document::time_of;
use super::{Overlay, frame};
use crate::domain::error_kind::{Failure, Hint};
use crate::domain::host::{HostId, HostName};
use crate::domain::units::Age;
use crate::fleet::request::Finding;
use crate::tui::app::App;
use crate::tui::cursor::{Motion, scroll_to};
use crate::tui::effect::Effect;
use crate::tui::glyph;
use crate::tui::layout;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint::{self, Piece};

/// Lines for everything about one finding.
const ABOUT: u16 = 8;

/// Columns for the name of a step.
const STEP: u16 = 14;

/// The findings about a host.
#[derive(Debug)]
pub struct Findings {
    /// Which host.
    host: HostId,
    /// Its name.
    pub name: HostName,
    /// What was found, or why nothing was; `None` until the first check is over.
    found: Option<Result<Vec<Finding>, Failure>>,
    /// When the check that is under way began.
    checking_since: Option<Timestamp>,
    /// When the last one was over.
    checked_at: Option<Timestamp>,
    /// The finding under the cursor.
    index: usize,
}

/// How a finding is to be taken.
fn verdict(finding: &Finding) -> (&'static str, &'static str, Role) {
    match (finding.ok, &finding.fix) {
        (Some(true), None) => (glyph::DONE, "ok", Role::Success),
        (Some(true), Some(_)) => (glyph::CHANGING, "hint", Role::Warning),
        (Some(false), _) => (glyph::ERROR, "problem", Role::Danger),
        (None, _) => (glyph::UNKNOWN, "unknown", Role::Dim),
    }
}

/// Returns the command in a sentence that speaks of one in backticks, or all of it where there is none.
fn command_in(fix: &str) -> &str {
    let mut parts = fix.split('`');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(command), Some(_)) if !command.is_empty() => command,
        _ => fix,
    }
}

impl Findings {
    /// Says what mends a finding, with the host's name in commands of ours.
    fn fix(&self, finding: &Finding) -> Option<String> {
        let fix = finding.fix.clone().filter(|fix| !fix.is_empty())?;
        Some(Hint(fix).naming(self.name.as_str()).0)
    }

    fn list(&self) -> &[Finding] {
        match &self.found {
            Some(Ok(list)) => list,
            _ => &[],
        }
    }

    fn selected(&self) -> Option<&Finding> {
        self.list().get(self.index)
    }

    /// Takes what a check has found; the cursor goes to the first problem, and on to the next one once that is mended,
    /// unless a person has put it elsewhere.
    pub fn take(&mut self, found: Result<Vec<Finding>, Failure>, now: Timestamp) {
        let is_problem = |one: &Finding| one.ok == Some(false);
        let first = self.found.is_none();
        let was_problem = self.selected().is_some_and(is_problem);
        self.found = Some(found);
        self.checking_since = None;
        self.checked_at = Some(now);
        let worst = self.list().iter().position(is_problem);
        let last = self.list().len().saturating_sub(1);
        let is_mended = was_problem && !self.selected().is_some_and(is_problem);
        self.index = match worst {
            Some(worst) if first || is_mended => worst,
            _ => self.index.min(last),
        };
    }

    /// Moves the cursor.
    pub fn go(&mut self, motion: Motion, page: usize) {
        self.index = motion.apply(self.index, self.list().len(), page);
    }

    /// Returns whether a check is under way: its time is shown by the second.
    pub const fn is_checking(&self) -> bool {
        self.checking_since.is_some()
    }

    fn summary(&self, now: Timestamp) -> (String, Role) {
        if let Some(began) = self.checking_since {
            let took = std::time::Duration::try_from(now - began).unwrap_or_default();
            return (format!("checking, {} so far", Age(took)), Role::Changing);
        }
        let count = |word: &str| {
            let fits = self.list().iter().filter(|one| verdict(one).1 == word);
            fits.count()
        };
        // A time of day stays true without being drawn again.
        let when = self.checked_at.map_or_else(String::new, |at| {
            format!(" · looked at {} UTC", time_of(at))
        });
        let (text, role) = match (count("problem"), count("hint")) {
            _ if self.list().is_empty() => ("nothing was found out".to_owned(), Role::Danger),
            (0, 0) => (
                "everything that was looked at is in order".to_owned(),
                Role::Success,
            ),
            (0, hints) => (format!("in order, {hints} could be better"), Role::Warning),
            (1, _) => ("1 problem".to_owned(), Role::Danger),
            (problems, _) => (format!("{problems} problems"), Role::Danger),
        };
        (text + &when, role)
    }

    /// Draws it.
    pub fn draw(&self, now: Timestamp, buf: &mut Buffer, area: Rect, theme: &Theme) {
        frame::fill(buf, area, theme, &format!("Doctor: {}", self.name), "");
        let room = layout::inner(area, 2, 1);
        let (text, role) = self.summary(now);
        paint::put_fitted(buf, paint::line_of(room, 0), &text, theme.style(role));
        let about = ABOUT.min(room.height / 2);
        let rows = Rect {
            y: room.y.saturating_add(2),
            height: room.height.saturating_sub(about + 3),
            ..room
        };
        let below = Rect {
            y: rows.bottom().saturating_add(1),
            height: room
                .bottom()
                .saturating_sub(rows.bottom().saturating_add(1)),
            ..room
        };
        self.draw_rows(buf, rows, theme);
        self.draw_about(buf, below, theme);
    }

    fn draw_rows(&self, buf: &mut Buffer, rows: Rect, theme: &Theme) {
        let list = self.list();
        let top = scroll_to(0, self.index, usize::from(rows.height), list.len());
        for (n, (at, finding)) in (0..rows.height).zip(list.iter().enumerate().skip(top)) {
            let line = paint::line_of(rows, n);
            if at == self.index {
                buf.set_style(line.intersection(buf.area), theme.style(Role::Selection));
            }
            let (sign, word, role) = verdict(finding);
            let pieces = [
                Piece::new(format!("{sign} {word:<8} "), theme.style(role)),
                Piece::new(paint::padded(finding.step, STEP), theme.style(Role::Strong)),
                Piece::new(finding.seen.shown(), theme.style(Role::Text)),
            ];
            paint::put_line(buf, line, &pieces);
        }
    }

    /// Says all of the finding under the cursor: a row may be too short for it.
    fn draw_about(&self, buf: &mut Buffer, below: Rect, theme: &Theme) {
        let mut lines: Vec<(String, Role)> = Vec::new();
        let mut say = |label: &str, text: &str, role: Role| {
            for part in paint::wrap(&format!("{label}{text}"), below.width) {
                lines.push((part, role));
            }
        };
        match (&self.found, self.selected()) {
            (Some(Err(cause)), _) => {
                say("", &cause.message, Role::Danger);
                if let Some(hint) = &cause.hint {
                    say("do: ", &hint.0, Role::Warning);
                }
            }
            (_, Some(finding)) => {
                let looked = crate::fleet::doctor::meaning(finding.step);
                say(&format!("{}: ", finding.step), looked, Role::Dim);
                let role = verdict(finding).2;
                say("", finding.seen.shown(), role);
                if let Some(fix) = self.fix(finding) {
                    say("do: ", &fix, Role::Warning);
                }
            }
            (_, None) => say("", "asking the host step by step…", Role::Dim),
        }
        for (n, (text, role)) in (0..below.height).zip(&lines) {
            paint::put(buf, paint::line_of(below, n), text, theme.style(*role));
        }
    }
}

/// Opens the findings about a host and begins to look.
pub fn open(app: &mut App, host: HostId, name: HostName) -> Vec<Effect> {
    app.overlays.push(Overlay::Doctor(Box::new(Findings {
        host,
        name: name.clone(),
        found: None,
        checking_since: Some(app.now),
        checked_at: None,
        index: 0,
    })));
    vec![Effect::Doctor(host, name)]
}

/// Takes what was found about a host, where somebody still looks at it.
pub fn heard(app: &mut App, name: &HostName, found: Result<Vec<Finding>, Failure>) {
    let now = app.now;
    for overlay in &mut app.overlays {
        if let Overlay::Doctor(findings) = overlay
            && findings.name == *name
        {
            return findings.take(found, now);
        }
    }
}

fn front(app: &App) -> Option<&Findings> {
    match app.overlays.last() {
        Some(Overlay::Doctor(findings)) => Some(findings),
        _ => None,
    }
}

/// Says whether the host can be checked again.
pub fn may_repeat(app: &App) -> Result<(), String> {
    match front(app) {
        Some(findings) if findings.is_checking() => Err("it is being checked".to_owned()),
        _ => Ok(()),
    }
}

/// Checks the host again; what is known stays in sight meanwhile.
pub fn repeat(app: &mut App) -> Vec<Effect> {
    let now = app.now;
    let Some(Overlay::Doctor(findings)) = app.overlays.last_mut() else {
        return Vec::new();
    };
    findings.checking_since = Some(now);
    vec![Effect::Doctor(findings.host, findings.name.clone())]
}

/// Says whether the finding under the cursor has something that mends it.
pub fn has_fix(app: &App) -> Result<(), String> {
    let fix = front(app).and_then(|findings| findings.fix(findings.selected()?));
    fix.map(drop)
        .ok_or_else(|| "there is nothing to be mended here".to_owned())
}

/// Copies the command that mends the finding under the cursor.
pub fn copy_fix(app: &mut App) -> Vec<Effect> {
    let fix = front(app).and_then(|findings| findings.fix(findings.selected()?));
    let Some(fix) = fix else {
        return Vec::new();
    };
    let command = command_in(&fix).to_owned();
    app.say(Role::Dim, format!("copied: {command}"));
    vec![Effect::Copy(command)]
}

/// Copies every finding as text.
pub fn copy_all(app: &mut App) -> Vec<Effect> {
    let Some(findings) = front(app) else {
        return Vec::new();
    };
    let mut lines = vec![findings.name.to_string()];
    for finding in findings.list() {
        let (_, word, _) = verdict(finding);
        lines.push(format!("{word:<8} {:<13} {}", finding.step, finding.seen));
        if let Some(fix) = findings.fix(finding) {
            lines.push(format!("{:22} do: {fix}", ""));
        }
    }
    let text = lines.join("\n") + "\n";
    app.say(Role::Dim, "copied all findings");
    vec![Effect::Copy(text)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_taken_out_of_the_sentence_around_it() {
        for (fix, command) in [
            (
                "run `vmdeck host trust kvm1` and compare",
                "vmdeck host trust kvm1",
            ),
            ("usermod -aG libvirt ann", "usermod -aG libvirt ann"),
            ("an open ` quote", "an open ` quote"),
            ("`` then", "`` then"),
        ] {
            assert_eq!(command_in(fix), command);
        }
    }
}
