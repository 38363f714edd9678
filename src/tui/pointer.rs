//! Where a click lands: found from what was drawn, decided nowhere else. What it does is what a key does,
//! with the same questions before it.

use ratatui::layout::Rect;

use super::app::{App, Screen};
use super::column::{self, ColumnId};
use super::layout;
use super::overlay::Overlay;
use super::screen::stores::panes as stores_panes;
use super::view::{ViewState, hints};
use super::widget::footer;

/// What is under the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// A row of the list in front.
    Row(usize),
    /// A row of the networks, below the storage: of the storage it is a row.
    Network(usize),
    /// An item of the menu in front.
    Item(usize),
    /// The title of a column of the VM table.
    Title(ColumnId),
    /// A key of the footer: the id of its command.
    Key(&'static str),
}

/// Returns what is at a column and a line of the terminal; `None` where nothing can be clicked. What lies
/// below a dialog cannot.
pub fn hit(app: &App, state: &ViewState, (x, y): (u16, u16)) -> Option<Hit> {
    let area = Rect::new(0, 0, app.size.0, app.size.1);
    let parts = layout::areas(area, app.compact)?;
    if y == parts.footer.y {
        let hints = hints(app);
        let places = footer::places(parts.footer, &hints);
        let under = places.into_iter().find(|(place, _)| contains(*place, x));
        return under.map(|(_, hint)| Hit::Key(hint.id));
    }
    if let Some(Overlay::Menu(menu)) = app.overlays.last() {
        let above = Rect {
            height: parts.header.height + parts.body.height,
            ..area
        };
        return menu.at(above, (x, y)).map(Hit::Item);
    }
    if !app.overlays.is_empty() || x >= parts.body.right() || y < parts.body.y {
        return None;
    }
    if app.screen == Screen::Stores {
        return in_stores(app, state, (parts.body, y));
    }
    let (list, top, rows) = list(app, state, parts.body)?;
    if y >= list.bottom() {
        return None;
    }
    match y.checked_sub(list.y + 1) {
        None if app.screen == Screen::Vms => {
            let titles = column::layout(list.width, &app.vms.columns, app.vms.scroll);
            let under = titles.slots.iter().find(|slot| {
                let place = Rect {
                    x: list.x + slot.x,
                    width: slot.width,
                    ..list
                };
                contains(place, x)
            });
            under.map(|slot| Hit::Title(slot.column.id))
        }
        None => None,
        Some(line) => {
            let row = top + usize::from(line);
            (row < rows).then_some(Hit::Row(row))
        }
    }
}

fn in_stores(app: &App, state: &ViewState, (body, y): (Rect, u16)) -> Option<Hit> {
    let panes = stores_panes(body).into_iter().zip(state.stores_tops);
    let panes = panes.zip(app.stores.counts()).zip([false, true]);
    for (((pane, top), rows), in_networks) in panes {
        // The first line has the titles.
        let line = y.checked_sub(pane.y + 1).filter(|_| y < pane.bottom());
        let row = line.map(|line| top + usize::from(line));
        if let Some(row) = row.filter(|row| *row < rows) {
            return Some(if in_networks {
                Hit::Network(row)
            } else {
                Hit::Row(row)
            });
        }
    }
    None
}

const fn contains(place: Rect, x: u16) -> bool {
    x >= place.x && x < place.x.saturating_add(place.width)
}

/// Returns where the list in front stands (its titles first), its first row that is seen, how many it has.
fn list(app: &App, state: &ViewState, body: Rect) -> Option<(Rect, usize, usize)> {
    Some(match app.screen {
        Screen::Vms => (body, state.vms_top, app.vms.rows.visible().len()),
        Screen::Hosts => (body, state.hosts_top, app.snapshot.hosts.len()),
        Screen::Snapshots => (body, state.snapshots_top, app.snapshots.count()),
        Screen::Operations => {
            let upper = super::screen::operations::upper(body);
            let rows = super::screen::operations::rows(app);
            (upper, state.operations_top, rows)
        }
        Screen::Stores | Screen::Profile => return None,
    })
}
