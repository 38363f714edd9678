//! How the snapshots of the whole fleet are ordered, and the keys for it. Those of one VM are a tree, which has an order
//! of its own.

use super::snapshots;
use crate::domain::snapshot::VmSnapshot;
use crate::domain::text::RemoteText;
use crate::domain::vm::Vm;
use crate::tui::app::App;
use crate::tui::column::{SortKey, bytes_key, number, text_key};
use crate::tui::effect::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::overlay::menu::{Choice, Item, Menu};

/// What snapshots can be ordered by: the columns of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Their names.
    Name,
    /// The VM they are of.
    Vm,
    /// The host of that.
    Host,
    /// How long ago they were taken.
    Age,
    /// How many others they are based on.
    Depth,
    /// The room they take.
    Size,
    /// What is in them.
    Holds,
    /// What a person wrote.
    Description,
}

impl By {
    /// All, in the order of the columns.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::Vm,
        Self::Host,
        Self::Age,
        Self::Depth,
        Self::Size,
        Self::Holds,
        Self::Description,
    ];

    /// Returns the title of the column.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Name => "SNAPSHOT",
            Self::Vm => "VM",
            Self::Host => "HOST",
            Self::Age => "AGE",
            Self::Depth => "DEPTH",
            Self::Size => "SIZE",
            Self::Holds => "HOLDS",
            Self::Description => "DESCRIPTION",
        }
    }

    /// Whether the largest is what one looks for.
    const fn largest_first(self) -> bool {
        matches!(self, Self::Age | Self::Depth | Self::Size)
    }

    /// Returns what a snapshot is compared by.
    pub(super) fn key<'a>(
        self,
        (host, vm): (&'a str, &'a Vm),
        snapshot: &'a VmSnapshot,
        depth: usize,
    ) -> SortKey<'a> {
        match self {
            Self::Name => text_key(Some(snapshot.name.shown())),
            Self::Vm => text_key(Some(vm.name.shown())),
            Self::Host => text_key(Some(host)),
            // The older, the larger.
            Self::Age => number(snapshot.taken.map(|taken| -seconds(taken))),
            Self::Depth => number(u32::try_from(depth).ok().map(f64::from)),
            Self::Size => bytes_key(snapshot.size),
            Self::Holds => text_key(snapshot.contents()),
            Self::Description => {
                let text = snapshot.description.as_ref().map(RemoteText::shown);
                text_key(text.filter(|text| !text.is_empty()))
            }
        }
    }
}

fn seconds(taken: jiff::Timestamp) -> f64 {
    taken
        .duration_since(jiff::Timestamp::UNIX_EPOCH)
        .as_secs_f64()
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: By,
    /// Largest first; for ages: oldest first.
    pub descending: bool,
}

impl Order {
    /// In the direction that is usual for it.
    const fn usual(by: By) -> Self {
        Self {
            by,
            descending: by.largest_first(),
        }
    }
}

impl Default for Order {
    fn default() -> Self {
        Self::usual(By::Age)
    }
}

/// Says whether there is anything to order.
pub fn can_sort(app: &App) -> Result<(), String> {
    match app.snapshots.of {
        None => Ok(()),
        Some(_) => Err("the snapshots of one VM are shown as its tree".to_owned()),
    }
}

/// Orders by the column to the left.
pub fn previous(app: &mut App) -> Vec<Effect> {
    step(app, By::ALL.len() - 1)
}

/// Orders by the column to the right.
pub fn next(app: &mut App) -> Vec<Effect> {
    step(app, 1)
}

fn step(app: &mut App, by: usize) -> Vec<Effect> {
    let now = app.snapshots.order.by;
    let at = By::ALL.iter().position(|one| *one == now).unwrap_or(0);
    if let Some(by) = By::ALL.get((at + by) % By::ALL.len()) {
        order_by(app, *by);
    }
    Vec::new()
}

/// Turns the order around.
pub fn flip(app: &mut App) -> Vec<Effect> {
    app.snapshots.order.descending = !app.snapshots.order.descending;
    snapshots::reorder(app);
    Vec::new()
}

/// Orders by a column, in the direction that is usual for it.
pub fn order_by(app: &mut App, by: By) {
    app.snapshots.order = Order::usual(by);
    snapshots::reorder(app);
}

/// Offers the columns to order by.
pub fn pick(app: &mut App) -> Vec<Effect> {
    let items = By::ALL.into_iter();
    let items = items.map(|by| Item::unlettered(by.title(), Choice::SortSnapshots(by)));
    let mut menu = Menu::new("Sort by", items.collect());
    let now = app.snapshots.order.by;
    menu.index = By::ALL.iter().position(|by| *by == now).unwrap_or(0);
    app.overlays.push(Overlay::Menu(menu));
    Vec::new()
}
