//! Lines to read: a description, the error log, the command log.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::frame;
use crate::domain::error_kind::Failure;
use crate::domain::event::CommandRecord;
use crate::domain::host::HostName;
use crate::domain::units::Age;
use crate::domain::vm::VmRef;
use crate::fleet::request::ErrorRecord;
use crate::tui::app::App;
use crate::tui::column::kind_mark;
use crate::tui::cursor::Motion;
use crate::tui::glyph;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint::{self, Piece};

/// A line: texts and what they mean.
pub type Line = Vec<(String, Role)>;

/// What a document is, so that an answer that comes late finds its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// A description.
    Describe,
    /// What may be shown of a credential.
    Credential,
    /// The error log.
    Errors,
    /// The command log.
    Commands,
    /// A program in a VM, by its ticket.
    Guest(u64),
}

/// Lines to read.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it is.
    pub topic: Topic,
    /// Its title.
    pub title: String,
    /// Its lines; `None` while they are being fetched.
    pub lines: Option<Vec<Line>>,
    /// First line that is seen.
    pub scroll: usize,
}

impl Document {
    /// A document whose lines are on their way.
    pub fn awaited(topic: Topic, title: impl Into<String>) -> Self {
        Self {
            topic,
            title: title.into(),
            lines: None,
            scroll: 0,
        }
    }

    /// Takes the lines; logs are read from their end.
    pub fn fill(&mut self, lines: Vec<Line>) {
        self.scroll = match self.topic {
            Topic::Errors | Topic::Commands => usize::MAX,
            Topic::Describe | Topic::Credential | Topic::Guest(_) => 0,
        };
        self.lines = Some(lines);
    }

    /// Scrolls.
    pub fn go(&mut self, motion: Motion, page: usize) {
        let len = self.lines.as_ref().map_or(0, Vec::len);
        self.scroll = scroll(self.scroll, len, motion, page);
    }

    /// Returns the document as plain text, for copying.
    pub fn text(&self) -> String {
        plain(self.lines.as_deref().unwrap_or_default())
    }

    /// Draws it.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let remark = self.lines.as_ref().map_or_else(String::new, |lines| {
            format!("{} lines  esc close  c copy", lines.len())
        });
        frame::fill(buf, area, theme, &self.title, &remark);
        let room = crate::tui::layout::inner(area, 2, 1);
        draw_lines(buf, room, theme, self.lines.as_deref(), self.scroll);
    }
}

/// Returns lines as plain text, for copying.
pub fn plain(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        text.extend(line.iter().map(|(text, _)| text.as_str()));
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

/// Moves the first line that is seen.
pub fn scroll(top: usize, len: usize, motion: Motion, page: usize) -> usize {
    let last = len.saturating_sub(page.max(1));
    motion.apply(top.min(last), last + 1, page)
}

/// Draws lines from one on; says that they are on their way, or that there are none.
pub fn draw_lines(
    buf: &mut Buffer,
    room: Rect,
    theme: &Theme,
    lines: Option<&[Line]>,
    scroll: usize,
) {
    let Some(lines) = lines else {
        paint::put(buf, room, "reading…", theme.style(Role::Dim));
        return;
    };
    if lines.is_empty() {
        paint::put(buf, room, "nothing yet", theme.style(Role::Dim));
        return;
    }
    let top = scroll.min(lines.len().saturating_sub(usize::from(room.height)));
    for (n, line) in (0..room.height).zip(lines.iter().skip(top)) {
        let pieces: Vec<Piece<'_>> = line
            .iter()
            .map(|(text, role)| Piece::new(text.as_str(), theme.style(*role)))
            .collect();
        paint::put_line(buf, paint::line_of(room, n), &pieces);
    }
}

/// A fact with its label.
pub fn fact(label: &str, text: impl Into<String>, role: Role) -> Line {
    vec![(format!("{label:<14}"), Role::Dim), (text.into(), role)]
}

/// Describes a VM: every fact the table has, and which nobody knows.
pub fn describe(app: &App, vm: &VmRef) -> Document {
    let mut lines = Vec::new();
    let mut title = "gone".to_owned();
    if let Some((host, found)) = app.snapshot.vm(vm) {
        title = format!("{} on {}", found.name.shown(), host.spec.name);
        lines = super::details::overview(app, vm, None);
        lines.push(Vec::new());
        lines.push(fact("host", host.spec.name.to_string(), Role::Text));
        lines.push(fact("address", host.spec.endpoint.to_string(), Role::Text));
        lines.push(fact(
            "hypervisor",
            kind_mark(host).unwrap_or(glyph::UNKNOWN),
            Role::Text,
        ));
        lines.push(fact("host is", host.health.word(), Role::Text));
        if let Some(cause) = host.health.cause() {
            lines.push(fact("because", cause.message.clone(), Role::Warning));
        }
    }
    Document {
        topic: Topic::Describe,
        title,
        lines: Some(lines),
        scroll: 0,
    }
}

/// The error log.
pub fn errors(records: &[ErrorRecord]) -> Vec<Line> {
    let mut lines = Vec::new();
    for record in records {
        let host = record.host.as_ref().map_or("", HostName::as_str);
        lines.push(vec![
            (format!("{}  ", time_of(record.at)), Role::Dim),
            (format!("{host:<12} "), Role::Text),
            (record.cause.message.clone(), Role::Danger),
        ]);
        if let Some(hint) = &record.cause.hint {
            lines.push(vec![(format!("{:23}{hint}", ""), Role::Dim)]);
        }
    }
    lines
}

/// The command log.
pub fn commands(records: &[CommandRecord]) -> Vec<Line> {
    let line = |record: &CommandRecord| {
        let (status, command) = match (record.status.as_str(), record.changes) {
            ("ok" | "kept running", false) => (Role::Dim, Role::Text),
            ("ok", true) => (Role::Success, Role::Strong),
            _ => (Role::Danger, Role::Text),
        };
        let ended = match record.times {
            0 | 1 => record.status.clone(),
            times => format!("{} x{times}", record.status),
        };
        vec![
            (format!("{}  ", time_of(record.at)), Role::Dim),
            (format!("{:<10} ", record.host), Role::Text),
            (format!("{:>6} ms  ", record.elapsed_ms), Role::Dim),
            (format!("{ended:<10} "), status),
            (record.command.clone(), command),
        ]
    };
    records.iter().map(line).collect()
}

/// A failure as lines.
pub fn failure(cause: &Failure) -> Vec<Line> {
    let mut lines = vec![vec![(cause.message.clone(), Role::Danger)]];
    if let Some(hint) = &cause.hint {
        lines.push(vec![(hint.to_string(), Role::Text)]);
    }
    lines
}

/// The time of day, in UTC as in the audit log.
pub fn time_of(at: jiff::Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// How long ago.
pub fn ago(app: &App, at: jiff::Timestamp) -> String {
    let age = std::time::Duration::try_from(app.now - at).unwrap_or_default();
    Age(age).to_string()
}
