//! VM snapshots: of the whole fleet, oldest first, or of one VM as a tree. The same rows, the same keys.

use std::collections::BTreeSet;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::action::Action;
use crate::domain::inventory::FleetSnapshot;
use crate::domain::snapshot::{
    Chosen, DeleteScope, NewSnapshot, SnapshotName, SnapshotRequest, VmSnapshot, depths,
};
use crate::domain::units::Age;
use crate::domain::vm::VmRef;
use crate::tui::acting;
use crate::tui::app::{App, Screen};
use crate::tui::column::SortKey;
use crate::tui::cursor::{Cursor, Motion};
use crate::tui::effect::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::overlay::snapshot_form::SnapshotForm;
use crate::tui::screen::snapshot_order::{By, Order};
use crate::tui::screen::vms;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::list::{self, Field, List};

/// Depth from which on a chain of snapshots is shown as deep: every one makes reading a disk slower.
const DEEP: usize = 5;

/// Identity of a row: a snapshot, or a VM whose snapshots are not known yet.
pub type SnapshotRef = (VmRef, Option<String>);

/// One row.
#[derive(Debug, Clone)]
struct Row {
    vm: VmRef,
    /// The snapshot; `None` where only their number is known.
    snapshot: Option<VmSnapshot>,
    depth: usize,
}

impl Row {
    fn id(&self) -> SnapshotRef {
        let id = self.snapshot.as_ref().map(|one| one.id.raw().to_owned());
        (self.vm.clone(), id)
    }

    /// When it was taken, as rows are ordered by it: what is not known last.
    fn taken(&self) -> (bool, Option<Timestamp>) {
        let taken = self.snapshot.as_ref().and_then(|one| one.taken);
        (taken.is_none(), taken)
    }
}

/// State of the view.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// The row under the cursor.
    pub cursor: Cursor<SnapshotRef>,
    /// Only those of this VM.
    pub of: Option<VmRef>,
    /// Those that were marked.
    pub marks: BTreeSet<SnapshotRef>,
    /// How those of the whole fleet are ordered.
    pub order: Order,
    /// Where a range begins.
    anchor: Option<SnapshotRef>,
    rows: Vec<Row>,
}

impl Snapshots {
    /// Takes the fleet's newest state.
    pub fn take(&mut self, state: &FleetSnapshot) {
        self.rows = rows(state, self.of.as_ref(), self.order);
        let rows = &self.rows;
        self.cursor
            .follow(rows.len(), |at| rows.get(at).map(Row::id));
        let known: BTreeSet<SnapshotRef> = rows.iter().map(Row::id).collect();
        self.marks.retain(|mark| known.contains(mark));
    }

    /// Moves the cursor.
    pub fn go(&mut self, motion: Motion, page: usize) {
        self.go_to(motion.apply(self.cursor.index(), self.rows.len(), page));
    }

    /// Returns how many rows there are.
    pub const fn count(&self) -> usize {
        self.rows.len()
    }

    /// Puts the cursor on a row.
    pub fn go_to(&mut self, index: usize) {
        self.cursor.go(index, self.rows.get(index).map(Row::id));
    }

    fn selected(&self) -> Option<&Row> {
        self.rows.get(self.cursor.index())
    }
}

/// Makes the rows: of one VM in the order of its tree, of all in the order that is wanted. What is not known comes last
/// then, and of what is alike the oldest first.
fn rows(state: &FleetSnapshot, of: Option<&VmRef>, order: Order) -> Vec<Row> {
    let mut rows: Vec<(SortKey<'_>, Row)> = Vec::new();
    for host in &state.hosts {
        let Some(inventory) = &host.inventory else {
            continue;
        };
        for vm in &inventory.vms {
            let reference = VmRef {
                host: host.spec.id,
                vm: vm.id.clone(),
            };
            if of.is_some_and(|of| *of != reference) {
                continue;
            }
            match vm.facts.snapshot_tree.as_deref() {
                Some(tree) => {
                    let depths = depths(tree);
                    rows.extend(tree.iter().zip(depths).map(|(snapshot, depth)| {
                        let of = (host.spec.name.as_str(), &**vm);
                        let row = Row {
                            vm: reference.clone(),
                            snapshot: Some(snapshot.clone()),
                            depth,
                        };
                        (order.by.key(of, snapshot, depth), row)
                    }));
                }
                None if vm.facts.snapshots.is_some_and(|count| count > 0) => {
                    let row = Row {
                        vm: reference,
                        snapshot: None,
                        depth: 0,
                    };
                    rows.push((SortKey::Unknown, row));
                }
                None => {}
            }
        }
    }
    if of.is_none() {
        rows.sort_by(|(a, one), (b, other)| {
            let order = a.compare(b, order.descending);
            order.then_with(|| one.taken().cmp(&other.taken()))
        });
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Orders the rows again, and says how.
pub fn reorder(app: &mut App) {
    let order = app.snapshots.order;
    app.snapshots.take(&app.snapshot);
    let direction = if order.descending { "down" } else { "up" };
    app.say(
        Role::Dim,
        format!("sorted by {}, {direction}", order.by.title()),
    );
}

/// Shows the snapshots of the VM that is meant, read afresh.
pub fn of_vm(app: &mut App) -> Vec<Effect> {
    let Some(vm) = acting::targets(app).into_iter().next() else {
        return Vec::new();
    };
    app.overlays
        .retain(|overlay| !matches!(overlay, Overlay::Details(_)));
    app.snapshots = Snapshots {
        of: Some(vm.clone()),
        order: app.snapshots.order,
        ..Snapshots::default()
    };
    app.snapshots.take(&app.snapshot);
    app.show(Screen::Snapshots);
    vec![Effect::Snapshots(vm)]
}

/// Shows those of all VMs.
pub fn of_all(app: &mut App) -> Vec<Effect> {
    if app.snapshots.of.take().is_some() {
        app.snapshots.marks.clear();
        app.snapshots.anchor = None;
    }
    app.snapshots.take(&app.snapshot);
    app.show(Screen::Snapshots);
    Vec::new()
}

/// Returns the VM that is looked at, or that the row under the cursor belongs to.
fn vm_of(app: &App) -> Option<VmRef> {
    let of = app.snapshots.of.clone();
    of.or_else(|| app.snapshots.selected().map(|row| row.vm.clone()))
}

/// Says whether there is a VM to take a snapshot of.
pub fn has_vm(app: &App) -> Result<(), String> {
    match vm_of(app) {
        Some(_) => Ok(()),
        None => Err("no VM is selected".to_owned()),
    }
}

/// Says whether a snapshot is under the cursor.
pub fn has_selected(app: &App) -> Result<(), String> {
    match app.snapshots.selected().map(|row| &row.snapshot) {
        Some(Some(_)) => Ok(()),
        Some(None) => Err("its snapshots have not been read yet".to_owned()),
        None => Err("no snapshot is selected".to_owned()),
    }
}

/// Says whether any is marked.
pub fn has_marks(app: &App) -> Result<(), String> {
    if app.snapshots.marks.is_empty() {
        Err("no snapshot is marked".to_owned())
    } else {
        Ok(())
    }
}

/// Takes a snapshot with a name made of the time, of the VMs that are meant in the table.
pub fn quick_in_table(app: &mut App) -> Vec<Effect> {
    let vms = acting::targets(app);
    quick_of(app, vms)
}

/// The same of the VM that is looked at here.
pub fn quick(app: &mut App) -> Vec<Effect> {
    let vms = vm_of(app).into_iter().collect();
    quick_of(app, vms)
}

fn quick_of(app: &mut App, vms: Vec<VmRef>) -> Vec<Effect> {
    let new = NewSnapshot::named(SnapshotName::of_moment(app.now));
    let action = Action::from(SnapshotRequest::Create(new));
    let wanted = vms.into_iter().map(|vm| (vm, action.clone())).collect();
    acting::begin_with(app, &action, wanted)
}

/// Opens the form of a new snapshot.
pub fn create(app: &mut App) -> Vec<Effect> {
    let Some(vm) = vm_of(app) else {
        return Vec::new();
    };
    if let Some((host, found)) = app.snapshot.vm(&vm) {
        let kind = host.capabilities.as_ref().map(|able| able.kind);
        let form = SnapshotForm::new(vm, found.name.clone(), kind, app.now);
        app.overlays.push(Overlay::SnapshotForm(Box::new(form)));
    }
    Vec::new()
}

/// Takes the form, once it is sound, and asks for the plan.
pub fn accept_form(app: &mut App) -> Vec<Effect> {
    let Some(Overlay::SnapshotForm(form)) = app.overlays.last_mut() else {
        return Vec::new();
    };
    let vm = form.vm.clone();
    let Some(new) = form.accept() else {
        return Vec::new();
    };
    app.overlays.pop();
    let action = Action::from(SnapshotRequest::Create(new));
    acting::begin_with(app, &action, vec![(vm, action.clone())])
}

/// Brings the VM back to the snapshot under the cursor.
pub fn revert(app: &mut App) -> Vec<Effect> {
    let Some((vm, chosen)) = chosen(app) else {
        return Vec::new();
    };
    let action = Action::from(SnapshotRequest::Revert(chosen));
    acting::begin_with(app, &action, vec![(vm, action.clone())])
}

/// Deletes those that are marked, or the one under the cursor.
pub fn delete(app: &mut App) -> Vec<Effect> {
    delete_with(app, DeleteScope::This)
}

/// The same with everything that is based on it.
pub fn delete_tree(app: &mut App) -> Vec<Effect> {
    delete_with(app, DeleteScope::WithChildren)
}

fn delete_with(app: &mut App, scope: DeleteScope) -> Vec<Effect> {
    let view = &app.snapshots;
    let chosen: Vec<(VmRef, Chosen)> = if view.marks.is_empty() {
        chosen(app).into_iter().collect()
    } else {
        let marked = |row: &&Row| view.marks.contains(&row.id());
        view.rows.iter().filter(marked).filter_map(named).collect()
    };
    let meant: Vec<(VmRef, Action)> = chosen
        .into_iter()
        .map(|(vm, chosen)| (vm, SnapshotRequest::Delete(chosen, scope).into()))
        .collect();
    let Some((_, action)) = meant.first().cloned() else {
        return Vec::new();
    };
    acting::begin_with(app, &action, meant)
}

fn named(row: &Row) -> Option<(VmRef, Chosen)> {
    let snapshot = row.snapshot.as_ref()?;
    Some((row.vm.clone(), Chosen::from(snapshot)))
}

fn chosen(app: &App) -> Option<(VmRef, Chosen)> {
    app.snapshots.selected().and_then(named)
}

/// Marks or unmarks the snapshot under the cursor and goes on to the next.
pub fn mark(app: &mut App) -> Vec<Effect> {
    let Some(id) = app.snapshots.selected().map(Row::id) else {
        return Vec::new();
    };
    if !app.snapshots.marks.remove(&id) {
        app.snapshots.marks.insert(id.clone());
    }
    app.snapshots.anchor = Some(id);
    let page = app.page();
    app.snapshots.go(Motion::Down, page);
    Vec::new()
}

/// Marks everything from the last mark to the cursor.
pub fn mark_range(app: &mut App) -> Vec<Effect> {
    let view = &mut app.snapshots;
    let here = view.cursor.index();
    let from = view
        .anchor
        .as_ref()
        .and_then(|anchor| view.rows.iter().position(|row| row.id() == *anchor))
        .unwrap_or(here);
    let (low, high) = (from.min(here), from.max(here));
    let range = view.rows.get(low..=high).unwrap_or_default();
    view.marks.extend(range.iter().map(Row::id));
    view.anchor = view.rows.get(here).map(Row::id);
    Vec::new()
}

/// Marks every one that is shown.
pub fn mark_all(app: &mut App) -> Vec<Effect> {
    let all: Vec<SnapshotRef> = app.snapshots.rows.iter().map(Row::id).collect();
    app.say(Role::Dim, format!("{} marked", all.len()));
    app.snapshots.marks.extend(all);
    Vec::new()
}

/// Marks those that are old.
pub fn mark_old(app: &mut App) -> Vec<Effect> {
    let (now, limit) = (app.now, app.settings.old_snapshot);
    let is_old = |row: &&Row| {
        let snapshot = row.snapshot.as_ref();
        snapshot
            .and_then(|one| one.age(now))
            .is_some_and(|age| age > limit)
    };
    let rows = app.snapshots.rows.iter();
    let old: Vec<SnapshotRef> = rows.filter(is_old).map(Row::id).collect();
    app.say(
        Role::Dim,
        format!("{} marked that are older than {}", old.len(), Age(limit)),
    );
    app.snapshots.marks.extend(old);
    Vec::new()
}

/// Takes all marks away.
pub fn unmark(app: &mut App) -> Vec<Effect> {
    app.snapshots.marks.clear();
    app.snapshots.anchor = None;
    Vec::new()
}

/// Reads the snapshots of the VM again.
pub fn refresh(app: &mut App) -> Vec<Effect> {
    let Some(vm) = vm_of(app) else {
        return Vec::new();
    };
    if let Some((_, found)) = app.snapshot.vm(&vm) {
        let name = found.name.shown().to_owned();
        app.say(Role::Dim, format!("reading the snapshots of {name} now"));
    }
    vec![Effect::Snapshots(vm)]
}

/// Opens the details of the VM.
pub fn details(app: &mut App) -> Vec<Effect> {
    let Some(vm) = vm_of(app) else {
        return Vec::new();
    };
    vms::open_details_of(app, vm)
}

/// Copies the snapshot's name.
pub fn copy(app: &mut App) -> Vec<Effect> {
    match chosen(app) {
        Some((_, chosen)) => vms::copied(app, chosen.name.shown().to_owned()),
        None => Vec::new(),
    }
}

/// Returns what stands above the list: of which VM, and how many.
pub fn title(app: &App) -> String {
    let count = app.snapshots.rows.len();
    let marked = match app.snapshots.marks.len() {
        0 => String::new(),
        marked => format!(", {marked} marked"),
    };
    let of = app.snapshots.of.as_ref().and_then(|vm| app.snapshot.vm(vm));
    match of {
        Some((host, vm)) => format!(
            "Snapshots of {} on {}: {count}{marked}",
            vm.name.shown(),
            host.spec.name
        ),
        None => format!("{}: {count}{marked}", Screen::Snapshots.title()),
    }
}

const FIELDS: &[Field] = &[
    Field::left("", 1),
    Field::left(By::Name.title(), 28),
    Field::left(By::Vm.title(), 18),
    Field::left(By::Host.title(), 10),
    Field::right(By::Age.title(), 5),
    Field::right(By::Depth.title(), 5),
    Field::right(By::Size.title(), 6).from(90),
    Field::left(By::Holds.title(), 16).from(100),
    Field::rest(By::Description.title()),
];

/// Draws the view.
pub fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: &Theme, top: &mut usize) {
    let rows = &app.snapshots.rows;
    let line = |at: usize| rows.get(at).map(|row| drawn(app, row)).unwrap_or_default();
    let list_of = List {
        fields: FIELDS,
        rows: rows.len(),
        index: app.snapshots.cursor.index(),
        top,
    };
    list_of.draw(buf, area, theme, line);
    if rows.is_empty() {
        list::empty(buf, area, theme, nothing(app));
    }
}

fn nothing(app: &App) -> &'static str {
    let of = app.snapshots.of.as_ref().and_then(|vm| app.snapshot.vm(vm));
    match of {
        Some((_, vm)) if vm.facts.snapshot_tree.is_none() => "Its snapshots are being read.",
        Some(_) => "This VM has no snapshots.",
        None if app.snapshots.of.is_some() => "This VM is not on its host any more.",
        None => "No VM has a snapshot, as far as they have been read.",
    }
}

fn drawn(app: &App, row: &Row) -> list::Row {
    let mark = if app.snapshots.marks.contains(&row.id()) {
        "*"
    } else {
        ""
    };
    let known = app.snapshot.vm(&row.vm);
    let (vm, host, dimmed) = known.map_or_else(
        || (String::new(), String::new(), true),
        |(host, vm)| {
            let stale = host.is_stale(app.now);
            (vm.name.fit(18), host.spec.name.to_string(), stale)
        },
    );
    let mut cells = vec![(mark.to_owned(), Role::Mark)];
    let Some(snapshot) = &row.snapshot else {
        let count = known.and_then(|(_, vm)| vm.facts.snapshots).unwrap_or(0);
        let text = format!("{count} not read yet");
        cells.extend([(text, Role::Dim), (vm, Role::Text), (host, Role::Text)]);
        return list::Row { dimmed, cells };
    };
    let indent = if app.snapshots.of.is_some() {
        row.depth.min(8) * 2
    } else {
        0
    };
    let name_role = if snapshot.is_current {
        Role::Success
    } else {
        Role::Strong
    };
    let now = if snapshot.is_current { " now" } else { "" };
    let width = 28_usize.saturating_sub(indent + now.len());
    let name = format!("{:indent$}{}{now}", "", snapshot.name.fit(width));
    let depth_role = if row.depth >= DEEP {
        Role::Warning
    } else {
        Role::Text
    };
    let unknown = || "–".to_owned();
    cells.extend([
        (name, name_role),
        (vm, Role::Text),
        (host, Role::Text),
        age(snapshot, app),
        (row.depth.to_string(), depth_role),
        (
            snapshot.size.map_or_else(unknown, |size| size.to_string()),
            Role::Text,
        ),
        (
            snapshot.contents().map_or_else(unknown, str::to_owned),
            Role::Dim,
        ),
        (
            snapshot
                .description
                .as_ref()
                .map_or_else(String::new, |text| text.shown().to_owned()),
            Role::Dim,
        ),
    ]);
    list::Row { dimmed, cells }
}

fn age(snapshot: &VmSnapshot, app: &App) -> (String, Role) {
    match snapshot.age(app.now) {
        Some(age) if age > app.settings.old_snapshot => (Age(age).to_string(), Role::Warning),
        Some(age) => (Age(age).to_string(), Role::Text),
        None => ("–".to_owned(), Role::Dim),
    }
}
