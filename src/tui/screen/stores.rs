//! Storage and networks of the fleet: pools with their volumes above, networks below. Read when somebody
//! looks, host by host; every line says how things were at that read, and what was not told says so.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::domain::error_kind::Failure;
use crate::domain::host::{HostId, HostName};
use crate::domain::inventory::FleetSnapshot;
use crate::domain::store::{HostStores, Network, Pool, Store, StoreKind, StoreRef, Volume};
use crate::domain::store_action::StoreVerb;
use crate::domain::text::RemoteText;
use crate::domain::units::Age;
use crate::tui::app::{App, Screen};
use crate::tui::cursor::{Cursor, Motion};
use crate::tui::effect::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::overlay::narrow::Narrow;
use crate::tui::screen::vms;
use crate::tui::theme::Role;

pub use super::stores_draw::{draw, panes};

/// From this age on a host is read again when the view is opened.
const OLD: SignedDuration = SignedDuration::from_secs(60);

/// Identity of a row: host, name of the pool or network, name of the volume.
pub type RowId = (HostId, String, Option<String>);

/// What is known of one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    told: Option<Arc<HostStores>>,
    /// Why the last read failed.
    failure: Option<Failure>,
    at: Option<Timestamp>,
    reading: bool,
    /// Whether it is to be read again.
    wanted: bool,
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) host: HostId,
    pub(super) name: HostName,
    pub(super) what: What,
}

/// What a row shows.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A pool, and whether its volumes stand below it.
    Pool(Arc<Pool>, bool),
    /// A volume of the pool of this name.
    Volume(RemoteText, Volume),
    /// A network.
    Network(Arc<Network>),
    /// Why there is nothing of this host.
    Trouble(String),
    /// It is being read for the first time.
    Reading,
}

impl Row {
    fn id(&self) -> RowId {
        let text = |text: &RemoteText| text.raw().to_owned();
        match &self.what {
            What::Pool(pool, _) => (self.host, text(&pool.name), None),
            What::Volume(pool, volume) => (self.host, text(pool), Some(text(&volume.name))),
            What::Network(network) => (self.host, text(&network.name), None),
            What::Trouble(_) | What::Reading => (self.host, String::new(), None),
        }
    }

    fn store(&self) -> Option<Store<'_>> {
        match &self.what {
            What::Pool(pool, _) => Some(Store::Pool(pool)),
            What::Network(network) => Some(Store::Network(network)),
            What::Volume(..) | What::Trouble(_) | What::Reading => None,
        }
    }

    /// The text that the filter looks through.
    fn text(&self) -> String {
        let of = |text: Option<&RemoteText>| text.map_or("", RemoteText::shown).to_owned();
        let parts = match &self.what {
            What::Pool(pool, _) => vec![
                pool.name.shown().to_owned(),
                of(pool.kind.as_ref()),
                pool.state.map_or("", |state| state.word()).to_owned(),
                of(pool.path.as_ref()),
            ],
            What::Volume(pool, volume) => vec![
                pool.shown().to_owned(),
                volume.name.shown().to_owned(),
                of(volume.format.as_ref()),
                volume.usage.shown().unwrap_or_default(),
            ],
            What::Network(network) => vec![
                network.name.shown().to_owned(),
                of(network.mode.as_ref()),
                of(network.bridge.as_ref()),
                of(network.adapter.as_ref()),
                network.state.map_or("", |state| state.word()).to_owned(),
            ],
            What::Trouble(why) => vec![why.clone()],
            What::Reading => Vec::new(),
        };
        format!("{} {}", self.name, parts.join(" ")).to_lowercase()
    }
}

/// A list of rows with its cursor.
#[derive(Debug, Default)]
pub(super) struct Pane {
    pub(super) rows: Vec<Row>,
    pub(super) cursor: Cursor<RowId>,
}

impl Pane {
    fn set(&mut self, rows: Vec<Row>) {
        self.rows = rows;
        let rows = &self.rows;
        self.cursor
            .follow(rows.len(), |at| rows.get(at).map(Row::id));
    }

    fn selected(&self) -> Option<&Row> {
        self.rows.get(self.cursor.index())
    }
}

/// State of the view.
#[derive(Debug, Default)]
pub struct Stores {
    known: HashMap<HostId, Known>,
    /// Pools whose volumes are shown.
    open: BTreeSet<(HostId, String)>,
    pub(super) storage: Pane,
    pub(super) networks: Pane,
    /// Whether the networks have the keys.
    pub in_networks: bool,
    /// Words that a row must hold.
    pub filter: String,
    /// Whether only volumes are shown that nothing uses.
    pub only_unattached: bool,
}

impl Stores {
    /// Makes the rows of what is known.
    pub fn take(&mut self, state: &FleetSnapshot) {
        let ids: BTreeSet<HostId> = state.hosts.iter().map(|host| host.spec.id).collect();
        self.known.retain(|id, _| ids.contains(id));
        let (mut storage, mut networks) = (Vec::new(), Vec::new());
        for host in &state.hosts {
            let (id, name) = (host.spec.id, &host.spec.name);
            let row = |what| Row {
                host: id,
                name: name.clone(),
                what,
            };
            let known = self.known.get(&id).cloned().unwrap_or_default();
            let Some(told) = &known.told else {
                let cause = known.failure.as_ref().or(host.health.cause());
                match cause {
                    Some(cause) => storage.push(row(What::Trouble(cause.message.clone()))),
                    None if host.health.is_up() => storage.push(row(What::Reading)),
                    None => storage.push(row(What::Trouble("it is not connected".to_owned()))),
                }
                continue;
            };
            match &told.pools {
                Ok(pools) => storage.extend(self.pool_rows(pools, row)),
                Err(said) => {
                    storage.push(row(What::Trouble(format!(
                        "its pools are not told: {said}"
                    ))));
                }
            }
            if let Some(cause) = &known.failure {
                let why = format!("the last read failed: {}", cause.message);
                storage.push(row(What::Trouble(why)));
            }
            match &told.networks {
                Ok(all) => networks.extend(
                    all.iter()
                        .map(|network| row(What::Network(Arc::new(network.clone())))),
                ),
                Err(said) => {
                    let why = format!("its networks are not told: {said}");
                    networks.push(row(What::Trouble(why)));
                }
            }
        }
        networks.retain(|row| self.fits(row));
        self.storage.set(storage);
        self.networks.set(networks);
    }

    fn fits(&self, row: &Row) -> bool {
        let text = row.text();
        let mut words = self.filter.split_whitespace();
        words.all(|word| text.contains(&word.to_lowercase()))
    }

    /// A pool and, where it is open or the filter is about volumes, those of its volumes that fit.
    fn pool_rows(&self, pools: &[Pool], row: impl Fn(What) -> Row) -> Vec<Row> {
        let mut rows = Vec::new();
        for pool in pools {
            let head = row(What::Pool(Arc::new(pool.clone()), false));
            let is_open = self.open.contains(&(head.host, pool.name.raw().to_owned()));
            let fits = self.fits(&head);
            let volumes: Vec<Row> = pool
                .volumes
                .iter()
                .flatten()
                .filter(|volume| !self.only_unattached || volume.usage.is_unattached())
                .map(|volume| row(What::Volume(pool.name.clone(), volume.clone())))
                .filter(|volume| self.fits(volume))
                .collect();
            let is_narrowed = self.only_unattached || !self.filter.is_empty();
            let shows = is_open
                || (is_narrowed && !volumes.is_empty() && !fits)
                || (self.only_unattached && !volumes.is_empty());
            if (fits && !self.only_unattached) || !volumes.is_empty() {
                rows.push(row(What::Pool(Arc::new(pool.clone()), shows)));
                if shows {
                    rows.extend(volumes);
                }
            }
        }
        rows
    }

    /// Moves the cursor of the pane with the keys.
    pub fn go(&mut self, motion: Motion, page: usize) {
        let list = self.pane_mut();
        let index = motion.apply(list.cursor.index(), list.rows.len(), (page / 2).max(1));
        list.cursor.go(index, list.rows.get(index).map(Row::id));
    }

    /// Puts the cursor on a row of one of the panes, which has the keys from then on.
    pub fn go_to(&mut self, in_networks: bool, row: usize) {
        self.in_networks = in_networks;
        let list = self.pane_mut();
        list.cursor.go(row, list.rows.get(row).map(Row::id));
    }

    /// Returns how many rows storage and networks have.
    pub fn counts(&self) -> [usize; 2] {
        [self.storage.rows.len(), self.networks.rows.len()]
    }

    fn pane(&self) -> &Pane {
        if self.in_networks {
            &self.networks
        } else {
            &self.storage
        }
    }

    fn pane_mut(&mut self) -> &mut Pane {
        if self.in_networks {
            &mut self.networks
        } else {
            &mut self.storage
        }
    }

    /// Takes what a host told, or why it did not.
    pub fn heard(&mut self, host: HostId, told: Result<Arc<HostStores>, Failure>, now: Timestamp) {
        let known = self.known.entry(host).or_default();
        (known.reading, known.wanted) = (false, false);
        match told {
            Ok(told) => {
                known.told = Some(told);
                known.failure = None;
                known.at = Some(now);
            }
            Err(cause) => known.failure = Some(cause),
        }
    }

    /// Wants hosts to be read again whose answer is old, or that gave none.
    pub fn renew(&mut self, now: Timestamp) {
        for known in self.known.values_mut() {
            let is_old = known.at.is_none_or(|at| now.duration_since(at) > OLD);
            known.wanted |= is_old || known.failure.is_some();
        }
    }

    /// Wants a host to be read again.
    pub fn read_again(&mut self, host: HostId) {
        if let Some(known) = self.known.get_mut(&host) {
            known.wanted = true;
        }
    }

    /// Returns when the oldest answer was given.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.known.values().filter_map(|known| known.at).min()
    }

    fn is_reading(&self) -> usize {
        self.known.values().filter(|known| known.reading).count()
    }
}

/// Asks for what the view shows and nobody has read: hosts that are up, each once.
pub fn read_missing(app: &mut App) -> Vec<Effect> {
    if app.screen != Screen::Stores {
        return Vec::new();
    }
    let snapshot = Arc::clone(&app.snapshot);
    let mut effects = Vec::new();
    for host in snapshot.hosts.iter().filter(|host| host.health.is_up()) {
        let id = host.spec.id;
        let is_new = !app.stores.known.contains_key(&id);
        let known = app.stores.known.entry(id).or_default();
        if !known.reading && (is_new || known.wanted) {
            known.reading = true;
            effects.push(Effect::Stores(id));
        }
    }
    if !effects.is_empty() {
        app.stores.take(&app.snapshot);
    }
    effects
}

/// Opens the view; what is old is read again.
pub fn show(app: &mut App) -> Vec<Effect> {
    let now = app.now;
    app.stores.renew(now);
    app.show(Screen::Stores);
    app.stores.take(&app.snapshot);
    Vec::new()
}

/// Gives the other pane the keys.
pub fn turn(app: &mut App) -> Vec<Effect> {
    app.stores.in_networks = !app.stores.in_networks;
    Vec::new()
}

/// Says whether a row is under the cursor.
pub fn has_selected(app: &App) -> Result<(), String> {
    match app.stores.pane().selected() {
        Some(_) => Ok(()),
        None => Err("nothing is selected".to_owned()),
    }
}

/// Says whether a pool is under the cursor, or a volume of one.
pub fn has_pool(app: &App) -> Result<(), String> {
    let row = app.stores.pane().selected().map(|row| &row.what);
    match row {
        Some(What::Pool(pool, _)) if pool.volumes.is_none() => {
            Err("its volumes are not told: it is stopped, or could not be read".to_owned())
        }
        Some(What::Pool(..) | What::Volume(..)) => Ok(()),
        _ => Err("no pool is selected".to_owned()),
    }
}

/// Shows the volumes of the pool under the cursor, or hides them.
pub fn open(app: &mut App) -> Vec<Effect> {
    let Some(row) = app.stores.pane().selected() else {
        return Vec::new();
    };
    let (host, pool, _) = row.id();
    let key = (host, pool.clone());
    if !app.stores.open.remove(&key) {
        app.stores.open.insert(key);
    }
    let pane = &mut app.stores.storage;
    let head = (host, pool, None);
    let at = pane.rows.iter().position(|row| row.id() == head);
    pane.cursor.go(at.unwrap_or(0), Some(head));
    app.stores.take(&app.snapshot);
    Vec::new()
}

/// Reads the host under the cursor now, or all of them where there is none.
pub fn refresh(app: &mut App) -> Vec<Effect> {
    let host = app.stores.pane().selected().map(|row| row.host);
    let name = host
        .and_then(|id| app.snapshot.host(id))
        .map(|host| host.spec.name.to_string());
    for (id, known) in &mut app.stores.known {
        known.wanted |= host.is_none_or(|host| host == *id);
    }
    let what = name.unwrap_or_else(|| "all hosts".to_owned());
    app.say(
        Role::Dim,
        format!("reading storage and networks of {what} now"),
    );
    Vec::new()
}

/// Shows only volumes that nothing uses, or all again.
pub fn unattached(app: &mut App) -> Vec<Effect> {
    app.stores.only_unattached = !app.stores.only_unattached;
    app.stores.in_networks = false;
    app.stores.take(&app.snapshot);
    Vec::new()
}

/// Asks for words that rows must hold.
pub fn filter(app: &mut App) -> Vec<Effect> {
    let dialog = Narrow::new(&app.stores.filter);
    app.overlays.push(Overlay::Narrow(Box::new(dialog)));
    Vec::new()
}

/// Takes the words.
pub fn set_filter(app: &mut App, words: &str) {
    words.trim().clone_into(&mut app.stores.filter);
    app.stores.take(&app.snapshot);
}

/// Takes the filter away; tells whether there was one.
pub fn clear(app: &mut App) -> bool {
    let had = !app.stores.filter.is_empty() || app.stores.only_unattached;
    app.stores.only_unattached = false;
    set_filter(app, "");
    had
}

/// Copies the path of a volume, the name of anything else.
pub fn copy(app: &mut App) -> Vec<Effect> {
    let text = match app.stores.pane().selected().map(|row| &row.what) {
        Some(What::Volume(_, volume)) => volume.path.as_ref().unwrap_or(&volume.name),
        Some(What::Pool(pool, _)) => &pool.name,
        Some(What::Network(network)) => &network.name,
        Some(What::Trouble(_) | What::Reading) | None => return Vec::new(),
    };
    let text = text.shown().to_owned();
    vms::copied(app, text)
}

/// Returns the pool or network under the cursor.
fn target(app: &App) -> Result<(&Row, StoreRef), String> {
    let row = app.stores.pane().selected();
    let row = row.ok_or_else(|| "nothing is selected".to_owned())?;
    let store = row
        .store()
        .ok_or_else(|| "no pool and no network is selected".to_owned())?;
    let kind = match store {
        Store::Pool(_) => StoreKind::Pool,
        Store::Network(_) => StoreKind::Network,
    };
    let id = store.id().cloned().ok_or_else(|| {
        format!(
            "{} is a folder: nothing can be done to it",
            store.name().shown()
        )
    })?;
    let target = StoreRef {
        host: row.host,
        kind,
        id,
    };
    Ok((row, target))
}

/// Returns the verb that `word` means for what is under the cursor; `autostart` turns the flag around.
fn verb(row: &Row, kind: StoreKind, word: &str) -> Option<StoreVerb> {
    let word = match word {
        "autostart" if row.store()?.autostart() == Some(true) => "autostart off",
        "autostart" => "autostart on",
        other => other,
    };
    StoreVerb::of(kind, word)
}

/// Says whether something can be done to what is under the cursor.
pub fn can(app: &App, word: &str) -> Result<(), String> {
    let (row, target) = target(app)?;
    let kind = target.kind.word();
    let verb = verb(row, target.kind, word).ok_or_else(|| format!("a {kind} has no `{word}`"))?;
    let state = row.store().and_then(|store| store.state());
    if state.is_none() && verb.spec().from_started.is_some() {
        return Err(format!("this {kind} can be neither started nor stopped"));
    }
    if verb.fits(state) {
        Ok(())
    } else {
        let is = state.map_or("unknown", |state| state.word());
        Err(format!("the {kind} is {is} already"))
    }
}

/// Asks for the plan of something that is done to what is under the cursor.
pub fn act(app: &mut App, word: &str) -> Vec<Effect> {
    let Ok((row, target)) = target(app) else {
        return Vec::new();
    };
    let Some(verb) = verb(row, target.kind, word) else {
        return Vec::new();
    };
    app.tickets += 1;
    let ticket = app.tickets;
    app.overlays.push(Overlay::Waiting(ticket));
    vec![Effect::PlanStore {
        ticket,
        target,
        verb,
    }]
}

/// Returns what stands above the lists: how old they are, and what is left out.
pub fn title(app: &App) -> String {
    let stores = &app.stores;
    let only = if stores.only_unattached {
        ", only what is unattached"
    } else {
        ""
    };
    let with = match stores.filter.as_str() {
        "" => String::new(),
        words => format!(", with `{}`", RemoteText::new(words)),
    };
    let age = match (stores.is_reading(), stores.oldest()) {
        (0, Some(at)) => {
            let age = std::time::Duration::try_from(app.now.duration_since(at));
            format!(", read {} ago", Age(age.unwrap_or_default()))
        }
        (0, None) => String::new(),
        (hosts, _) => format!(", reading {hosts}"),
    };
    format!("{}{only}{with}{age}", Screen::Stores.title())
}
