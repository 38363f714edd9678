//! What the keys of the VM table do.

use super::state::Quick;
use crate::domain::host::HostId;
use crate::domain::vm::VmRef;
use crate::fleet::request::HostSelection;
use crate::tui::app::App;
use crate::tui::column::{self, COLUMNS, ColumnId};
use crate::tui::effect::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::overlay::chooser::Chooser;
use crate::tui::overlay::details::{Details, Tab};
use crate::tui::overlay::document;
use crate::tui::overlay::log;
use crate::tui::overlay::menu::{Choice, Item, Menu};
use crate::tui::overlay::naming::Naming;
use crate::tui::rows::Sort;
use crate::tui::theme::Role;

/// Returns the VM under the cursor.
pub fn selected(app: &App) -> Result<VmRef, String> {
    app.vms
        .cursor
        .id()
        .cloned()
        .ok_or_else(|| "no VM is selected".to_owned())
}

/// Says whether a VM is under the cursor.
pub fn has_selected(app: &App) -> Result<(), String> {
    selected(app).map(drop)
}

/// Says whether a key here is about any VM: the one that is open, a marked one, or the one under the cursor.
pub fn has_target(app: &App) -> Result<(), String> {
    if crate::tui::acting::target_refs(app).next().is_none() {
        return Err("no VM is selected".to_owned());
    }
    Ok(())
}

/// Says whether VMs are marked.
pub fn has_marks(app: &App) -> Result<(), String> {
    if app.vms.marks.is_empty() && app.vms.gone.is_empty() {
        Err("nothing is marked".to_owned())
    } else {
        Ok(())
    }
}

/// Scrolls one column to the left.
pub fn left(app: &mut App) -> Vec<Effect> {
    app.vms.scroll = app.vms.scroll.saturating_sub(1);
    Vec::new()
}

/// Scrolls one column to the right, as far as there are any.
pub fn right(app: &mut App) -> Vec<Effect> {
    let layout = column::layout(app.size.0, &app.vms.columns, app.vms.scroll);
    if layout.more_right {
        app.vms.scroll += 1;
    }
    Vec::new()
}

/// Switches the wide set of columns.
pub fn wide(app: &mut App) -> Vec<Effect> {
    app.vms.columns.wide = !app.vms.columns.wide;
    app.vms.scroll = 0;
    Vec::new()
}

/// Opens the details of the VM under the cursor.
pub fn details(app: &mut App) -> Vec<Effect> {
    open_details(app, Tab::Overview)
}

/// Opens its definition.
pub fn definition(app: &mut App) -> Vec<Effect> {
    open_details(app, Tab::Definition)
}

/// Opens its activity.
pub fn activity(app: &mut App) -> Vec<Effect> {
    match selected(app) {
        Ok(vm) => log::activity_of(app, vm),
        Err(_) => Vec::new(),
    }
}

fn open_details(app: &mut App, tab: Tab) -> Vec<Effect> {
    match selected(app) {
        Ok(vm) => open_tab(app, vm, tab),
        Err(_) => Vec::new(),
    }
}

/// Opens the details of a VM.
pub fn open_details_of(app: &mut App, vm: VmRef) -> Vec<Effect> {
    open_tab(app, vm, Tab::Overview)
}

fn open_tab(app: &mut App, vm: VmRef, tab: Tab) -> Vec<Effect> {
    app.overlays
        .push(Overlay::Details(Box::new(Details::new(vm.clone(), tab))));
    vec![Effect::Detail(vm.clone()), Effect::Audit(Some(vm))]
}

/// Describes the VM under the cursor: every fact with where it is from.
pub fn describe(app: &mut App) -> Vec<Effect> {
    if let Ok(vm) = selected(app) {
        let page = document::describe(app, &vm);
        app.overlays.push(Overlay::Document(page));
    }
    Vec::new()
}

/// Opens the filter prompt.
pub fn filter(app: &mut App) -> Vec<Effect> {
    app.vms.filter.open();
    Vec::new()
}

/// Offers the filters of one key.
pub fn quick(app: &mut App) -> Vec<Effect> {
    let items = Quick::ALL
        .iter()
        .map(|(quick, letter, title)| Item::new(*letter, *title, Choice::Quick(*quick)))
        .collect();
    let kept = app.vms.kept.keys().zip('1'..='9').map(|(name, letter)| {
        let choice = Choice::Kept(name.clone());
        Item::new(letter, name.clone(), choice)
    });
    let more = app.vms.kept.keys().skip(9);
    let more = more.map(|name| Item::unlettered(name.clone(), Choice::Kept(name.clone())));
    let mut menu = Menu::new("Show only", items);
    menu.items.extend(kept.chain(more));
    app.overlays.push(Overlay::Menu(menu));
    Vec::new()
}

/// Says whether a filter is in force that could be kept.
pub fn can_keep(app: &App) -> Result<(), String> {
    if app.vms.filter.is_active() && app.vms.filter.mistake.is_none() {
        Ok(())
    } else {
        Err("there is no filter to keep: / types one".to_owned())
    }
}

/// Asks under which name the filter is to be kept.
pub fn keep_filter(app: &mut App) -> Vec<Effect> {
    let dialog = Naming::new(app.vms.filter.text());
    app.overlays.push(Overlay::Naming(Box::new(dialog)));
    Vec::new()
}

/// Says whether filters are kept.
pub fn has_kept(app: &App) -> Result<(), String> {
    if app.vms.kept.is_empty() {
        Err("no filter is kept: / types one, K keeps it".to_owned())
    } else {
        Ok(())
    }
}

/// Offers the kept filters to be forgotten.
pub fn forget_filter(app: &mut App) -> Vec<Effect> {
    offer_kept(app, "Forget the filter", Choice::Forget)
}

/// Offers the kept filters to begin with.
pub fn first_filter(app: &mut App) -> Vec<Effect> {
    offer_kept(app, "Begin with the filter", Choice::First)
}

fn offer_kept(app: &mut App, title: &str, choice: fn(String) -> Choice) -> Vec<Effect> {
    let items = app
        .vms
        .kept
        .iter()
        .map(|(name, filter)| Item::unlettered(format!("{name}: {filter}"), choice(name.clone())))
        .collect();
    app.overlays.push(Overlay::Menu(Menu::new(title, items)));
    Vec::new()
}

/// Puts a kept filter in force.
pub fn set_kept(app: &mut App, name: &str) {
    if let Some(filter) = app.vms.kept.get(name).cloned() {
        app.vms.filter.set(&filter);
        refilter(app);
    }
}

/// Forgets a kept filter.
pub fn forget(app: &mut App, name: &str) {
    app.vms.kept.remove(name);
    if app.vms.first.as_deref() == Some(name) {
        app.vms.first = None;
    }
    app.say(Role::Dim, format!("forgot the filter {name}"));
}

/// Begins with this filter from the next time on; chosen again, with none.
pub fn begin_with(app: &mut App, name: String) {
    if app.vms.first.as_ref() == Some(&name) {
        app.vms.first = None;
        app.say(Role::Dim, "begins without a filter from the next time on");
    } else {
        let news = format!("begins with the filter {name} from the next time on");
        app.say(Role::Dim, news);
        app.vms.first = Some(name);
    }
}

/// Offers the columns to choose from.
pub fn choose_columns(app: &mut App) -> Vec<Effect> {
    app.overlays.push(Overlay::Chooser(Chooser::default()));
    Vec::new()
}

/// Applies a filter of one key; the one that is on is switched off.
pub fn set_quick(app: &mut App, quick: Quick) {
    app.vms.quick = (app.vms.quick != Some(quick)).then_some(quick);
    refilter(app);
}

/// Filters the rows again.
pub fn refilter(app: &mut App) {
    let state = std::sync::Arc::clone(&app.snapshot);
    app.vms.refilter(&state, app.now);
}

/// Shows the VMs of every host.
pub fn all_hosts(app: &mut App) -> Vec<Effect> {
    set_host(app, None);
    Vec::new()
}

/// Shows the VMs of one host, or of all.
pub fn set_host(app: &mut App, host: Option<HostId>) {
    app.vms.host = host;
    refilter(app);
}

/// Marks or unmarks the VM under the cursor and goes on to the next.
pub fn mark(app: &mut App) -> Vec<Effect> {
    if let Ok(vm) = selected(app) {
        if !app.vms.marks.remove(&vm) {
            app.vms.marks.insert(vm.clone());
        }
        app.vms.anchor = Some(vm);
        let state = std::sync::Arc::clone(&app.snapshot);
        let page = app.page();
        app.vms.go(&state, crate::tui::cursor::Motion::Down, page);
        refilter_if_marks_matter(app);
    }
    Vec::new()
}

/// Marks everything from the last mark to the cursor.
pub fn mark_range(app: &mut App) -> Vec<Effect> {
    if let Ok(vm) = selected(app) {
        let from = app.vms.anchor.clone().unwrap_or_else(|| vm.clone());
        let range = app.vms.range(&app.snapshot, &from, &vm);
        if range.is_empty() {
            app.vms.marks.insert(vm.clone());
        }
        app.vms.marks.extend(range);
        app.vms.anchor = Some(vm);
        refilter_if_marks_matter(app);
    }
    Vec::new()
}

/// Marks every VM in the table.
pub fn mark_all(app: &mut App) -> Vec<Effect> {
    let ids: Vec<VmRef> = app
        .vms
        .rows
        .visible()
        .iter()
        .filter_map(|row| row.id(&app.snapshot))
        .collect();
    app.say(Role::Dim, format!("{} marked", ids.len()));
    mark_these(app, ids);
    Vec::new()
}

/// Marks these VMs too.
pub fn mark_these(app: &mut App, vms: Vec<VmRef>) {
    app.vms.marks.extend(vms);
    refilter_if_marks_matter(app);
}

/// Marks these VMs and no others.
pub fn mark_only(app: &mut App, vms: Vec<VmRef>) {
    drop(unmark(app));
    mark_these(app, vms);
}

/// Takes all marks away.
pub fn unmark(app: &mut App) -> Vec<Effect> {
    app.vms.marks.clear();
    app.vms.gone.clear();
    app.vms.anchor = None;
    refilter_if_marks_matter(app);
    Vec::new()
}

fn refilter_if_marks_matter(app: &mut App) {
    if app.vms.quick == Some(Quick::Marked) || app.vms.filter.is_active() {
        refilter(app);
    }
}

/// Reads the host of the VM under the cursor now.
pub fn refresh(app: &mut App) -> Vec<Effect> {
    let Ok(vm) = selected(app) else {
        return Vec::new();
    };
    let name = app
        .snapshot
        .host(vm.host)
        .map(|host| host.spec.name.clone());
    if let Some(name) = name {
        app.say(Role::Dim, format!("reading {name} now"));
    }
    vec![Effect::Refresh(HostSelection::Only(vec![vm.host]))]
}

/// Sorts by the column to the left.
pub fn sort_previous(app: &mut App) -> Vec<Effect> {
    sort_step(app, COLUMNS.len() - 1);
    Vec::new()
}

/// Sorts by the column to the right.
pub fn sort_next(app: &mut App) -> Vec<Effect> {
    sort_step(app, 1);
    Vec::new()
}

fn sort_step(app: &mut App, step: usize) {
    let mut at = COLUMNS
        .iter()
        .position(|column| column.id == app.vms.sort.column)
        .unwrap_or(0);
    for _ in 0..COLUMNS.len() {
        at = (at + step) % COLUMNS.len();
        if let Some(column) = COLUMNS
            .get(at)
            .filter(|column| app.vms.columns.shows(column))
        {
            sort_by(app, column.id);
            return;
        }
    }
}

/// Turns the order around.
pub fn sort_flip(app: &mut App) -> Vec<Effect> {
    app.vms.sort.descending = !app.vms.sort.descending;
    resort(app);
    Vec::new()
}

/// Sorts by a column, in the direction that is usual for it.
pub fn sort_by(app: &mut App, column: ColumnId) {
    app.vms.sort = Sort {
        column,
        descending: column.largest_first(),
    };
    resort(app);
}

/// Orders the rows again.
pub fn resort(app: &mut App) {
    let state = std::sync::Arc::clone(&app.snapshot);
    app.vms.resort(&state, app.now);
}

/// Offers the columns to sort by.
pub fn sort_pick(app: &mut App) -> Vec<Effect> {
    let items = COLUMNS
        .iter()
        .map(|column| Item::unlettered(column.title, Choice::Sort(column.id)))
        .collect();
    let mut menu = Menu::new("Sort by", items);
    menu.index = COLUMNS
        .iter()
        .position(|column| column.id == app.vms.sort.column)
        .unwrap_or(0);
    app.overlays.push(Overlay::Menu(menu));
    Vec::new()
}

/// Copies the name of the VM under the cursor.
pub fn copy_name(app: &mut App) -> Vec<Effect> {
    let Ok(vm) = selected(app) else {
        return Vec::new();
    };
    let Some((_, found)) = app.snapshot.vm(&vm) else {
        return Vec::new();
    };
    let name = found.name.shown().to_owned();
    copied(app, name)
}

/// Puts text on the clipboard and says so.
pub fn copied(app: &mut App, text: String) -> Vec<Effect> {
    app.say(Role::Dim, format!("copied {text}"));
    vec![Effect::Copy(text)]
}

/// Offers the cells of the row under the cursor for copying.
pub fn copy_cell(app: &mut App) -> Vec<Effect> {
    let Ok(vm) = selected(app) else {
        return Vec::new();
    };
    let Some((host, found)) = app.snapshot.vm(&vm) else {
        return Vec::new();
    };
    let cell = |width| column::Cell {
        host,
        vm: found,
        now: app.now,
        operation: None,
        history: &[],
        old_snapshot: app.settings.old_snapshot,
        width,
    };
    let mut items: Vec<Item> = COLUMNS
        .iter()
        .filter_map(|column| {
            let text = match column.id {
                ColumnId::Id => found.id.to_string(),
                ColumnId::Address => {
                    let all = found.facts.addresses.as_ref()?;
                    all.first()?.ip.to_string()
                }
                _ => (column.text)(&cell(200))
                    .iter()
                    .map(|bit| bit.text.as_ref())
                    .collect::<String>()
                    .trim()
                    .to_owned(),
            };
            let known = !text.is_empty() && text != crate::tui::glyph::UNKNOWN;
            known.then(|| {
                Item::unlettered(format!("{:<10}{text}", column.title), Choice::Copy(text))
            })
        })
        .collect();
    items.truncate(20);
    app.overlays.push(Overlay::Menu(Menu::new("Copy", items)));
    Vec::new()
}

/// What `Esc` takes away next: the filter, the filter of one key, the marks, the host.
pub fn clear(app: &mut App) -> bool {
    if app.vms.filter.is_active() || !app.vms.filter.text().is_empty() {
        app.vms.filter.set("");
        refilter(app);
    } else if app.vms.quick.take().is_some() {
        refilter(app);
    } else if has_marks(app).is_ok() {
        drop(unmark(app));
    } else if app.vms.host.is_some() {
        set_host(app, None);
    } else {
        return false;
    }
    true
}
