//! Everything that can be done, by name: commands, views, hosts. Fuzzy.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::frame;
use crate::domain::host::HostId;
use crate::tui::app::{App, Screen};
use crate::tui::command::{Command, Context, commands};
use crate::tui::cursor::{Motion, scroll_to};
use crate::tui::effect::Effect;
use crate::tui::lift;
use crate::tui::own;
use crate::tui::screen::vms;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint::{self, Piece};

/// What an entry does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Command(&'static Command),
    Own(usize),
    Host(HostId),
    /// Lifts the read-only of what its label names.
    Lift,
}

#[derive(Debug, Clone)]
struct Entry {
    label: String,
    remark: String,
    deed: Deed,
}

/// The palette.
#[derive(Debug)]
pub struct Palette {
    /// What is looked for.
    pub input: Input,
    entries: Vec<Entry>,
    found: Vec<usize>,
    index: usize,
}

impl Palette {
    /// Gathers what can be done here and now.
    pub fn new(app: &App) -> Self {
        let here = app.contexts();
        let mut entries: Vec<Entry> = commands()
            .iter()
            .filter(|command| {
                command.contexts.iter().any(|context| {
                    here.contains(context) && !matches!(context, Context::List | Context::Base)
                })
            })
            .filter(|command| command.id != "app.palette" && command.enabled(app).is_ok())
            .map(|command| Entry {
                label: command.title.clone(),
                remark: app.settings.keymap.keys_of(command),
                deed: Deed::Command(command),
            })
            .collect();
        entries.extend(app.own.here(here).map(|(at, key, title)| Entry {
            label: title.to_owned(),
            remark: key,
            deed: Deed::Own(at),
        }));
        entries.extend(app.snapshot.hosts.iter().map(|host| Entry {
            label: format!("host {}", host.spec.name),
            remark: format!("{} VMs, {}", host.vms().len(), host.health.word()),
            deed: Deed::Host(host.spec.id),
        }));
        entries.extend(lift::offers(app).into_iter().map(|(label, remark)| Entry {
            label,
            remark,
            deed: Deed::Lift,
        }));
        let mut palette = Self {
            input: Input::default(),
            entries,
            found: Vec::new(),
            index: 0,
        };
        palette.search();
        palette
    }

    /// Looks again after the text was edited.
    pub fn search(&mut self) {
        self.index = 0;
        let wanted = self.input.value().trim();
        if wanted.is_empty() {
            self.found = (0..self.entries.len()).collect();
            return;
        }
        let pattern = Pattern::parse(wanted, CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut scored: Vec<(u32, usize)> = Vec::new();
        let mut buffer = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let text = Utf32Str::new(&entry.label, &mut buffer);
            if let Some(score) = pattern.score(text, &mut matcher) {
                scored.push((score, at));
            }
        }
        scored.sort_by_key(|(score, at)| (std::cmp::Reverse(*score), *at));
        self.found = scored.into_iter().map(|(_, at)| at).collect();
    }

    /// Moves the cursor.
    pub fn go(&mut self, motion: Motion, page: usize) {
        self.index = motion.apply(self.index, self.found.len(), page);
    }

    fn chosen(&self) -> Option<&Entry> {
        let at = self.found.get(self.index)?;
        self.entries.get(*at)
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let height = area.height.min(18);
        let area = Rect {
            height: height.max(4).min(area.height),
            ..area
        };
        let room = frame::draw(buf, area, theme, "Do", (64, height));
        let at = draw_input(buf, paint::line_of(room, 0), theme, ": ", &self.input);
        let list = Rect {
            y: room.y.saturating_add(1),
            height: room.height.saturating_sub(1),
            ..room
        };
        if self.found.is_empty() {
            let text = if lift::is_about(self.input.value()) {
                "enter: rw TIER or HOST, for 30 or 90s; ro ends it"
            } else {
                "nothing is called that"
            };
            paint::put(buf, list, text, theme.style(Role::Dim));
        }
        let page = usize::from(list.height);
        let top = scroll_to(0, self.index, page, self.found.len());
        let shown = self.found.iter().enumerate().skip(top).take(page);
        for (n, (row, at)) in (0u16..).zip(shown) {
            let line = paint::line_of(list, n);
            let Some(entry) = self.entries.get(*at) else {
                continue;
            };
            if row == self.index {
                buf.set_style(line, theme.style(Role::Selection));
                paint::put(buf, line, "▌", theme.style(Role::Cursor));
            }
            let label = Rect {
                x: line.x + 1,
                width: line.width.saturating_sub(1),
                ..line
            };
            paint::put_line(
                buf,
                label,
                &[Piece::new(entry.label.as_str(), theme.style(Role::Text))],
            );
            paint::put_right(
                buf,
                line,
                &format!(" {}", entry.remark),
                theme.style(Role::Dim),
            );
        }
        at
    }
}

/// Does what is under the cursor.
pub fn accept(app: &mut App) -> Vec<Effect> {
    let Some(super::Overlay::Palette(palette)) = app.overlays.last() else {
        return Vec::new();
    };
    let typed = palette.input.value().to_owned();
    let chosen = palette.chosen().cloned();
    let typed = match &chosen {
        // Half of a name, and the rest was chosen from the list.
        Some(Entry {
            label,
            deed: Deed::Lift,
            ..
        }) if !lift::names_something(app, &typed) => label.clone(),
        _ => typed,
    };
    if let Some(effects) = lift::typed(app, &typed) {
        app.overlays
            .retain(|overlay| !matches!(overlay, super::Overlay::Palette(_)));
        return effects;
    }
    let Some(Entry { label, deed, .. }) = chosen else {
        return Vec::new();
    };
    app.overlays.pop();
    match deed {
        Deed::Lift => lift::typed(app, &label).unwrap_or_default(),
        Deed::Command(command) => command.run(app),
        Deed::Own(at) => own::begin(app, at),
        Deed::Host(host) => {
            app.show(Screen::Vms);
            vms::set_host(app, Some(host));
            Vec::new()
        }
    }
}
