//! The panel over the view: the tab in front, how far it is scrolled, and the search in it. Live where the table
//! is live, read afresh where it is not.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::{Search, audit_lines, devices, metrics, overview};
use crate::domain::audit::AuditRecord;
use crate::domain::error_kind::Failure;
use crate::domain::metrics::VmMetrics;
use crate::domain::vm::{VmDetail, VmRef};
use crate::tui::app::App;
use crate::tui::cursor::Motion;
use crate::tui::effect::Effect;
use crate::tui::layout;
use crate::tui::overlay::document::{self, Line};
use crate::tui::overlay::{Overlay, frame, type_into};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint::{self, Piece};

/// The tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// State, figures, disks, network cards.
    Overview,
    /// The figures of the last quarter of an hour.
    Metrics,
    /// Disks with everything about them.
    Disks,
    /// Network cards with everything about them.
    Nics,
    /// What was done to it.
    Activity,
    /// The hypervisor's own definition.
    Definition,
}

impl Tab {
    /// Every tab.
    pub const ALL: [Self; 6] = [
        Self::Overview,
        Self::Metrics,
        Self::Disks,
        Self::Nics,
        Self::Activity,
        Self::Definition,
    ];

    const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Metrics => "Metrics",
            Self::Disks => "Disks",
            Self::Nics => "NICs",
            Self::Activity => "Activity",
            Self::Definition => "Definition",
        }
    }
}

/// Columns that a key scrolls sideways.
const SIDESTEP: usize = 16;

/// How far a text can be scrolled sideways: what a host says on one line is capped anyway.
const SIDEWAYS: usize = 4096;

/// One VM.
#[derive(Debug)]
pub struct Details {
    /// Which.
    pub vm: VmRef,
    /// The tab in front.
    pub tab: Tab,
    /// Everything about it; `None` while it is being read.
    pub detail: Option<Result<Arc<VmDetail>, Failure>>,
    /// Its audit records; `None` while they are being read.
    pub activity: Option<Result<Vec<AuditRecord>, Failure>>,
    /// Its figures; `None` while they are being fetched.
    pub metrics: Option<Result<Option<VmMetrics>, Failure>>,
    /// The read of its host after which they were fetched.
    metrics_of: Option<Timestamp>,
    /// First line that is seen.
    pub scroll: usize,
    /// Columns that are scrolled out at the left.
    sideways: usize,
    /// What is looked for in it.
    pub search: Search,
}

impl Details {
    /// Opens the details of a VM.
    pub fn new(vm: VmRef, tab: Tab) -> Self {
        Self {
            vm,
            tab,
            detail: None,
            activity: None,
            metrics: None,
            metrics_of: None,
            scroll: 0,
            sideways: 0,
            search: Search::default(),
        }
    }

    /// Goes to the next or the previous tab.
    pub fn turn(&mut self, step: usize) {
        let at = Tab::ALL
            .iter()
            .position(|tab| *tab == self.tab)
            .unwrap_or(0);
        if let Some(tab) = Tab::ALL.get((at + step) % Tab::ALL.len()) {
            self.tab = *tab;
            self.scroll = 0;
            self.sideways = 0;
            self.search = Search::default();
        }
    }

    /// Scrolls.
    pub fn go(&mut self, len: usize, motion: Motion, page: usize) {
        self.scroll = document::scroll(self.scroll, len, motion, page);
    }

    /// Scrolls sideways.
    pub fn step_aside(&mut self, right: bool) {
        self.sideways = if right {
            (self.sideways + SIDESTEP).min(SIDEWAYS)
        } else {
            self.sideways.saturating_sub(SIDESTEP)
        };
    }

    /// Takes a key that is text.
    pub fn type_key(&mut self, key: &KeyEvent) {
        if self.search.editing {
            type_into(&mut self.search.input, key);
        }
    }

    /// Leaves what was typed and goes back to where the reader was.
    pub fn cancel_search(&mut self) {
        self.scroll = self.search.cancel();
    }

    /// Returns the lines of the tab in front; `None` while they are being read.
    pub fn lines(&self, app: &App) -> Option<Vec<Line>> {
        match self.tab {
            Tab::Overview => Some(overview(app, &self.vm, self.detail.as_ref())),
            Tab::Metrics => self.metrics.as_ref().map(|read| match read {
                Ok(read) => {
                    let room = room(app);
                    let size = (usize::from(room.width), usize::from(room.height));
                    metrics::lines(app, &self.vm, read.as_ref(), size)
                }
                Err(cause) => document::failure(cause),
            }),
            Tab::Disks => self.of_detail(devices::disks),
            Tab::Nics => self.of_detail(devices::nics),
            Tab::Activity => self.activity.as_ref().map(|activity| match activity {
                Ok(records) => records.iter().rev().flat_map(audit_lines).collect(),
                Err(cause) => document::failure(cause),
            }),
            Tab::Definition => self.of_detail(|detail| {
                let lines = detail.definition.0.iter();
                lines
                    .map(|line| vec![(line.shown().to_owned(), Role::Text)])
                    .collect()
            }),
        }
    }

    fn of_detail(&self, show: impl FnOnce(&VmDetail) -> Vec<Line>) -> Option<Vec<Line>> {
        self.detail.as_ref().map(|detail| match detail {
            Ok(detail) => show(detail),
            Err(cause) => document::failure(cause),
        })
    }

    /// Looks through the lines for what is typed, and goes there.
    fn look(&mut self, lines: &[Line], page: usize) {
        self.search.look(lines);
        self.show_hit(lines, page);
    }

    fn show_hit(&mut self, lines: &[Line], page: usize) {
        let Some(line) = self.search.line() else {
            return;
        };
        let last = lines.len().saturating_sub(page);
        let top = self.scroll.min(last);
        if line < top || line >= top + page {
            self.scroll = line.saturating_sub(page / 2).min(last);
        }
    }

    /// Draws it over the whole view; returns where the text cursor is.
    pub fn draw(&self, app: &App, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let title = app.snapshot.vm(&self.vm).map_or_else(
            || "this VM is gone".to_owned(),
            |(host, vm)| format!("{} on {}", vm.name.shown(), host.spec.name),
        );
        let remark = match self.search.standing() {
            Some(standing) => format!("/{} {standing}", self.search.input.value()),
            None => "tab next  esc back".to_owned(),
        };
        frame::fill(buf, area, theme, &title, &remark);
        self.draw_tabs(buf, layout::inner(area, 2, 1), theme);
        let room = inside(area);
        match self.lines(app) {
            Some(lines) if !lines.is_empty() => self.draw_lines(buf, room, theme, &lines),
            lines => document::draw_lines(buf, room, theme, lines.as_deref(), 0),
        }
        if !self.search.editing {
            return None;
        }
        let foot = paint::line_of(layout::inner(area, 2, 0), area.height.saturating_sub(1));
        let line = Rect {
            width: foot.width.min(40),
            ..foot
        };
        paint::clear(buf, line, theme.style(Role::Overlay));
        draw_input(buf, line, theme, "/", &self.search.input)
    }

    /// The titles; where they do not fit, those before the one in front go first.
    fn draw_tabs(&self, buf: &mut Buffer, room: Rect, theme: &Theme) {
        let at = Tab::ALL.iter().position(|tab| *tab == self.tab);
        let before = Tab::ALL.get(..at.unwrap_or(0)).unwrap_or_default();
        let width = |tab: &Tab| paint::width(tab.title()).saturating_add(4);
        let mut needed = before.iter().map(width).sum::<u16>() + width(&self.tab);
        let mut skipped = 0;
        for tab in before {
            if needed > room.width {
                needed -= width(tab);
                skipped += 1;
            }
        }
        let mut tabs = Vec::new();
        for tab in Tab::ALL.iter().skip(skipped) {
            let (sign, role) = if *tab == self.tab {
                ("▌", Role::Sorted)
            } else {
                (" ", Role::Dim)
            };
            tabs.push(Piece::new(
                format!("{sign}{}", tab.title()),
                theme.style(role),
            ));
            tabs.push(Piece::new("   ", theme.style(Role::Dim)));
        }
        paint::put_line(buf, paint::line_of(room, 0), &tabs);
    }

    fn draw_lines(&self, buf: &mut Buffer, room: Rect, theme: &Theme, lines: &[Line]) {
        let top = self
            .scroll
            .min(lines.len().saturating_sub(usize::from(room.height)));
        let digits = lines.len().to_string().len();
        let meant = self.search.line();
        for (n, (at, line)) in (0..room.height).zip(lines.iter().enumerate().skip(top)) {
            let mut rest = paint::line_of(room, n);
            if self.tab == Tab::Definition {
                let role = if meant == Some(at) {
                    Role::Sorted
                } else {
                    Role::Dim
                };
                let number = format!("{:>digits$} ", at + 1);
                let end = paint::put(buf, rest, &number, theme.style(role));
                rest.width = rest.right().saturating_sub(end);
                rest.x = end;
            }
            let mut pieces = Vec::new();
            for (text, role) in line {
                self.highlight(&mut pieces, text, theme, *role);
            }
            paint::put_line(buf, rest, &without(pieces, self.sideways));
        }
    }

    fn highlight<'a>(&self, pieces: &mut Vec<Piece<'a>>, text: &'a str, theme: &Theme, role: Role) {
        let (plain, hit) = (theme.style(role), theme.style(Role::Match));
        let mut done = 0;
        for place in self.search.places(text) {
            pieces.push(Piece::new(
                text.get(done..place.start).unwrap_or_default(),
                plain,
            ));
            pieces.push(Piece::new(text.get(place.clone()).unwrap_or_default(), hit));
            done = place.end;
        }
        pieces.push(Piece::new(text.get(done..).unwrap_or_default(), plain));
    }
}

/// Leaves out what is scrolled out at the left.
fn without(pieces: Vec<Piece<'_>>, mut columns: usize) -> Vec<Piece<'_>> {
    use unicode_width::UnicodeWidthChar;
    if columns == 0 {
        return pieces;
    }
    let mut left = Vec::new();
    for piece in pieces {
        let kept: String = piece
            .text
            .chars()
            .skip_while(|c| {
                let skip = columns > 0;
                if skip {
                    columns = columns.saturating_sub(c.width().unwrap_or(0));
                }
                skip
            })
            .collect();
        left.push(Piece::new(kept, piece.style));
    }
    left
}

/// The room of the lines in the panel.
fn inside(area: Rect) -> Rect {
    let room = layout::inner(area, 2, 1);
    Rect {
        y: room.y.saturating_add(2),
        height: room.height.saturating_sub(2),
        ..room
    }
}

fn room(app: &App) -> Rect {
    let area = Rect::new(0, 0, app.size.0, app.size.1);
    layout::areas(area, app.compact).map_or(area, |parts| inside(parts.body))
}

/// Looks for what is typed now in the tab in front.
pub fn look(app: &mut App) {
    with_lines(app, Details::look);
}

/// Goes to the next line that has what is looked for, or to the one before. What is read may have changed
/// since: it is looked through again.
pub fn search_on(app: &mut App, forth: bool) {
    with_lines(app, |details, lines, page| {
        details.search.look(lines);
        details.search.step(forth);
        details.show_hit(lines, page);
    });
}

fn with_lines(app: &mut App, work: impl FnOnce(&mut Details, &[Line], usize)) {
    let page = usize::from(room(app).height);
    let lines = match app.overlays.last() {
        Some(Overlay::Details(details)) => details.lines(app).unwrap_or_default(),
        _ => return,
    };
    if let Some(Overlay::Details(details)) = app.overlays.last_mut() {
        work(details, &lines, page);
    }
}

/// Asks for the figures when they are seen and the host was read since they were last asked for.
pub fn next_metrics(app: &mut App) -> Option<Effect> {
    let Some(Overlay::Details(details)) = app.overlays.last_mut() else {
        return None;
    };
    let host = app.snapshot.host(details.vm.host);
    // A host that was never read is asked about once.
    let read = host.and_then(|host| host.observed_at);
    let read = Some(read.unwrap_or(Timestamp::UNIX_EPOCH));
    if details.tab != Tab::Metrics || read == details.metrics_of {
        return None;
    }
    details.metrics_of = read;
    Some(Effect::Metrics(details.vm.clone()))
}
