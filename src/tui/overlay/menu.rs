//! A list to choose from, by letter or by cursor: power menu, quick filters, sort, copy.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::frame;
use crate::domain::action::ActionKind;
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::column::ColumnId;
use crate::tui::cursor::scroll_to;
use crate::tui::effect::Effect;
use crate::tui::layout;
use crate::tui::own;
use crate::tui::screen::profile;
use crate::tui::screen::snapshot_order::{self, By};
use crate::tui::screen::vms::{self, Quick};
use crate::tui::theme::{Role, Theme};
use crate::tui::update::deeds;
use crate::tui::widget::paint::{self, Piece};

/// What choosing an item does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Runs an action on the VMs that are meant.
    Act(ActionKind),
    /// Runs a command of the command table.
    Command(&'static str),
    /// Runs a command of the operator's own.
    Own(usize),
    /// Sorts by a column.
    Sort(ColumnId),
    /// Orders the snapshots of the fleet.
    SortSnapshots(By),
    /// Applies a filter of one key.
    Quick(Quick),
    /// Applies a filter that was kept under a name.
    Kept(String),
    /// Forgets that filter.
    Forget(String),
    /// Begins with that filter from the next time on, or with none.
    First(String),
    /// Takes a theme.
    Theme(String),
    /// Goes on with another profile.
    Profile(String),
    /// Copies a text.
    Copy(String),
}

/// One item.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its letter, if it has one.
    pub letter: Option<char>,
    /// What it says.
    pub label: String,
    /// Why it cannot be chosen now.
    pub refusal: Option<String>,
    /// What it does.
    pub choice: Choice,
}

impl Item {
    /// An item with a letter.
    pub fn new(letter: char, label: impl Into<String>, choice: Choice) -> Self {
        Self {
            letter: Some(letter),
            ..Self::unlettered(label, choice)
        }
    }

    /// An item without one.
    pub fn unlettered(label: impl Into<String>, choice: Choice) -> Self {
        Self {
            letter: None,
            label: label.into(),
            refusal: None,
            choice,
        }
    }
}

/// A list to choose from.
#[derive(Debug, Clone)]
pub struct Menu {
    /// What is chosen.
    pub title: String,
    /// The items.
    pub items: Vec<Item>,
    /// The one under the cursor.
    pub index: usize,
    /// Whether it acts on production.
    pub in_production: bool,
}

impl Menu {
    /// Makes a menu.
    pub fn new(title: impl Into<String>, items: Vec<Item>) -> Self {
        Self {
            title: title.into(),
            items,
            index: 0,
            in_production: false,
        }
    }

    /// The power menu of the VMs that are meant: every action, also those that cannot be run now.
    pub fn power(app: &App) -> Self {
        // The title says which VM: a refusal need not say it again.
        let own = match acting::targets(app).as_slice() {
            [vm] => app
                .snapshot
                .vm(vm)
                .map(|(_, vm)| format!("{} ", vm.name.shown())),
            _ => None,
        };
        let brief = |reason: String| match own.as_ref().and_then(|own| reason.strip_prefix(own)) {
            Some(rest) => rest.to_owned(),
            None => reason,
        };
        let items: Vec<Item> = ActionKind::plain()
            .map(|spec| Item {
                refusal: acting::allowed(app, spec.kind).err().map(brief),
                ..Item::new(spec.mnemonic, spec.verb, Choice::Act(spec.kind))
            })
            .collect();
        let mut menu = Self::new(about(app), items);
        menu.in_production = acting::in_production(app, acting::target_refs(app)) > 0;
        menu.index = menu
            .items
            .iter()
            .position(|item| item.refusal.is_none())
            .unwrap_or(0);
        menu
    }

    /// The action menu: what can be run now, and what can be looked at.
    pub fn actions(app: &App) -> Self {
        let mut menu = Self::power(app);
        menu.items.retain(|item| item.refusal.is_none());
        for (letter, label, id) in [
            ('i', "details", "vms.details"),
            ('e', "describe", "vms.describe"),
            ('n', "definition", "vms.definition"),
            ('x', "edit the definition", "vms.define"),
            ('l', "activity", "vms.activity"),
            ('t', "snapshots", "vms.snapshots"),
            ('k', "quick snapshot", "vms.quick-snapshot"),
            ('c', "copy name", "vms.copy-name"),
        ] {
            menu.items
                .push(Item::new(letter, label, Choice::Command(id)));
        }
        let watched = Choice::Command("vms.notify");
        menu.items.push(Item::unlettered(
            "tell me when it changes, or no longer",
            watched,
        ));
        let own = app.own.here(app.contexts());
        let own = own.filter(|(at, ..)| app.own.is_about_vms(*at));
        menu.items.extend(
            own.map(|(at, key, title)| {
                let mut letters = key.chars();
                let letter = letters.next().filter(|_| letters.next().is_none());
                let item = Item::unlettered(title, Choice::Own(at));
                Item {
                    letter: letter.filter(|letter| menu.by_letter(*letter).is_none()),
                    ..item
                }
            })
            .collect::<Vec<_>>(),
        );
        menu.index = 0;
        menu
    }

    /// Returns the theme under the cursor, in a list of themes.
    pub fn theme(&self) -> Option<&str> {
        match &self.items.get(self.index)?.choice {
            Choice::Theme(name) => Some(name),
            _ => None,
        }
    }

    /// Finds an item by its letter.
    pub fn by_letter(&self, letter: char) -> Option<usize> {
        self.items
            .iter()
            .position(|item| item.letter == Some(letter))
    }

    /// Returns how wide and how high it is within `area`.
    fn size(&self, area: Rect) -> (u16, u16) {
        let widest = |item: &Item| {
            let refusal = item
                .refusal
                .as_ref()
                .map_or(0, |text| paint::width(text) + 3);
            paint::width(&item.label) + refusal
        };
        let width = self.items.iter().map(widest).max().unwrap_or(0) + 9;
        let width = width.max(paint::width(&self.title) + 8).max(28);
        let lines = u16::try_from(self.items.len()).unwrap_or(u16::MAX);
        let height = lines.saturating_add(2).min(area.height);
        let badge = if self.in_production {
            paint::width(frame::PRODUCTION)
        } else {
            0
        };
        let width = width.max(paint::width(&self.title) + badge + 8);
        (width, height)
    }

    /// Returns the item on a line of the terminal, where it is drawn within `area`.
    pub fn at(&self, area: Rect, (x, y): (u16, u16)) -> Option<usize> {
        let (width, height) = self.size(area);
        let room = layout::inner(layout::centred(area, width, height), 2, 1);
        let inside = x >= room.x && x < room.right() && y < room.bottom();
        let line = y.checked_sub(room.y).filter(|_| inside)?;
        let page = usize::from(room.height);
        let top = scroll_to(0, self.index, page, self.items.len());
        let item = top + usize::from(line);
        (item < self.items.len()).then_some(item)
    }

    /// Draws it.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let (width, height) = self.size(area);
        let room = frame::draw(buf, area, theme, &self.title, (width, height));
        if self.in_production {
            let around = layout::centred(area, width, height);
            frame::production(buf, around, theme);
        }
        let page = usize::from(room.height);
        let top = scroll_to(0, self.index, page, self.items.len());
        let shown = self.items.iter().enumerate().skip(top).take(page);
        for (n, (at, item)) in (0u16..).zip(shown) {
            let line = paint::line_of(room, n);
            let letter = item.letter.map_or(" ".to_owned(), String::from);
            let label = match item.refusal {
                None => Role::Text,
                Some(_) => Role::Stale,
            };
            if at == self.index {
                buf.set_style(line, theme.style(Role::Selection));
                paint::put(buf, line, "▌", theme.style(Role::Cursor));
            }
            let refusal = item.refusal.as_deref().map(|text| format!("   {text}"));
            let pieces = [
                Piece::new(letter, theme.style(Role::Key)),
                Piece::new(format!("  {}", item.label), theme.style(label)),
                Piece::new(refusal.unwrap_or_default(), theme.style(Role::Stale)),
            ];
            let rest = Rect {
                x: line.x + 1,
                width: line.width.saturating_sub(1),
                ..line
            };
            paint::put_line(buf, rest, &pieces);
        }
    }
}

/// Says which VMs a menu is about.
fn about(app: &App) -> String {
    match acting::targets(app).as_slice() {
        [vm] => app.snapshot.vm(vm).map_or_else(
            || "no VM".to_owned(),
            |(host, found)| format!("{} on {}", found.name.shown(), host.spec.name),
        ),
        many => format!("{} marked VMs", many.len()),
    }
}

/// Does what an item says; one that is refused says why and the menu stays.
pub fn choose(app: &mut App, index: usize) -> Vec<Effect> {
    let Some(super::Overlay::Menu(menu)) = app.overlays.last() else {
        return Vec::new();
    };
    let Some(item) = menu.items.get(index).cloned() else {
        return Vec::new();
    };
    if let Some(refusal) = item.refusal {
        app.say(Role::Warning, refusal);
        return Vec::new();
    }
    app.overlays.pop();
    match item.choice {
        Choice::Act(kind) => return acting::begin(app, kind),
        Choice::Own(at) => return own::begin(app, at),
        Choice::Command(id) => return crate::tui::command::run_by_id(app, id),
        Choice::Sort(column) => vms::sort_by(app, column),
        Choice::SortSnapshots(by) => snapshot_order::order_by(app, by),
        Choice::Quick(quick) => vms::set_quick(app, quick),
        Choice::Kept(name) => vms::set_kept(app, &name),
        Choice::Forget(name) => vms::forget(app, &name),
        Choice::First(name) => vms::begin_with(app, name),
        Choice::Theme(name) => return deeds::take_theme(app, name),
        Choice::Profile(name) => return profile::switch_to(app, name),
        Choice::Copy(text) => return vms::copied(app, text),
    }
    Vec::new()
}
