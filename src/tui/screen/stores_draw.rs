//! Draws storage and networks: two lists, one above the other.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::stores::{Pane, Row, What};
use crate::domain::store::{Network, Pool, StoreState, Volume, VolumeUse};
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::tui::app::App;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::list::{self, Field, List};
use crate::tui::widget::paint;

const STORAGE: &[Field] = &[
    Field::left("STORAGE", 30),
    Field::left("HOST", 10),
    Field::left("KIND", 8),
    Field::left("STATE", 9),
    Field::left("AUTO", 4).from(90),
    Field::right("USED", 6),
    Field::right("SIZE", 6),
    Field::rest("USED BY"),
];

const NETWORKS: &[Field] = &[
    Field::left("NETWORK", 30),
    Field::left("HOST", 10),
    Field::left("MODE", 8),
    Field::left("STATE", 9),
    Field::left("AUTO", 4).from(90),
    Field::right("VMS", 6),
    Field::right("LEASES", 6),
    Field::left("BRIDGE", 12).from(100),
    Field::rest("ADDRESSES"),
];

/// Divides the view: storage above, networks below; the first line of each has its titles.
pub fn panes(area: Rect) -> [Rect; 2] {
    let lower = (area.height / 3).max(4).min(area.height / 2);
    let upper = area.height.saturating_sub(lower);
    let above = Rect {
        height: upper,
        ..area
    };
    let below = Rect {
        y: area.y.saturating_add(upper),
        height: lower,
        ..area
    };
    [above, below]
}

/// Draws the view; `tops` are the first rows of the two lists.
pub fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: &Theme, tops: &mut [usize; 2]) {
    let [above, below] = panes(area);
    let [storage_top, networks_top] = tops;
    let stores = &app.stores;
    draw_pane(
        (app, &stores.storage, !stores.in_networks),
        STORAGE,
        (buf, above, theme),
        storage_top,
    );
    draw_pane(
        (app, &stores.networks, stores.in_networks),
        NETWORKS,
        (buf, below, theme),
        networks_top,
    );
    if stores.storage.rows.is_empty() {
        let text = if app.stores.filter.is_empty() && !app.stores.only_unattached {
            "No host has told of any storage."
        } else {
            "Nothing fits; esc shows all again."
        };
        list::empty(buf, above, theme, text);
    }
    if stores.networks.rows.is_empty() {
        list::empty(buf, below, theme, "No network.");
    }
}

fn draw_pane(
    (app, pane, has_keys): (&App, &Pane, bool),
    fields: &[Field],
    (buf, area, theme): (&mut Buffer, Rect, &Theme),
    top: &mut usize,
) {
    let index = pane.cursor.index();
    let line = |at: usize| {
        let row = pane.rows.get(at);
        row.map(|row| drawn(app, row)).unwrap_or_default()
    };
    let list_of = List {
        fields,
        rows: pane.rows.len(),
        index,
        top,
    };
    list_of.draw(buf, area, theme, line);
    if !has_keys {
        let heading = paint::line_of(area, 0);
        paint::put_right(buf, heading, "tab ", theme.style(Role::Dim));
    }
}

fn drawn(app: &App, row: &Row) -> list::Row {
    let host = app.snapshot.host(row.host);
    let dimmed = host.is_none_or(|host| !host.health.is_up());
    let name = row.name.to_string();
    let cells = match &row.what {
        What::Pool(pool, is_open) => of_pool(pool, *is_open, name),
        What::Volume(_, volume) => of_volume(volume),
        What::Network(network) => of_network(network, name),
        What::Reading => vec![("reading…".to_owned(), Role::Changing), (name, Role::Text)],
        What::Trouble(why) => {
            // The sentence has the room of all the columns behind the host.
            let blank = || (String::new(), Role::Text);
            vec![
                ("not read".to_owned(), Role::Warning),
                (name, Role::Text),
                blank(),
                blank(),
                blank(),
                blank(),
                blank(),
                (why.clone(), Role::Warning),
            ]
        }
    };
    list::Row { dimmed, cells }
}

fn counted(volumes: usize) -> String {
    match volumes {
        1 => "1 volume".to_owned(),
        many => format!("{many} volumes"),
    }
}

fn of_pool(pool: &Pool, is_open: bool, host: String) -> Vec<(String, Role)> {
    let sign = match (&pool.volumes, is_open) {
        (None, _) => " ",
        (Some(_), true) => "-",
        (Some(_), false) => "+",
    };
    let (count, role) = match (&pool.volumes, pool.unattached()) {
        (None, _) => ("–".to_owned(), Role::Dim),
        (Some(volumes), Some(unused @ 1..)) => (
            format!("{}, {unused} unattached", counted(volumes.len())),
            Role::Warning,
        ),
        (Some(volumes), _) => (counted(volumes.len()), Role::Dim),
    };
    let path = pool.path.as_ref().filter(|path| **path != pool.name);
    let path = path.map_or_else(String::new, |path| format!("  {}", path.shown()));
    vec![
        (format!("{sign} {}", pool.name.fit(28)), Role::Strong),
        (host, Role::Text),
        (text(pool.kind.as_ref()), Role::Text),
        state(pool.state),
        flag(pool.autostart),
        (bytes(pool.allocation), fullness(pool)),
        (bytes(pool.capacity), Role::Text),
        (format!("{count}{path}"), role),
    ]
}

/// A pool that is nearly full stands out.
fn fullness(pool: &Pool) -> Role {
    let (Some(used), Some(all)) = (pool.allocation, pool.capacity) else {
        return Role::Text;
    };
    match used.percent_of(all) {
        Some(share) if share.value() >= 95.0 => Role::Danger,
        Some(share) if share.value() >= 85.0 => Role::Warning,
        Some(_) | None => Role::Text,
    }
}

fn of_volume(volume: &Volume) -> Vec<(String, Role)> {
    let role = match &volume.usage {
        VolumeUse::Disk(_) => Role::Text,
        VolumeUse::Base(_) | VolumeUse::Unknown => Role::Dim,
        VolumeUse::Unattached => Role::Warning,
    };
    let used_by = volume.usage.shown().unwrap_or_else(|| "–".to_owned());
    vec![
        (format!("    {}", volume.name.fit(26)), Role::Text),
        (String::new(), Role::Text),
        (text(volume.format.as_ref()), Role::Dim),
        (String::new(), Role::Text),
        (String::new(), Role::Text),
        (bytes(volume.allocation), Role::Text),
        (bytes(volume.capacity), Role::Text),
        (used_by, role),
    ]
}

fn of_network(network: &Network, host: String) -> Vec<(String, Role)> {
    let count = |count: Option<String>| count.unwrap_or_else(|| "–".to_owned());
    let users = network.users.as_ref().map(|users| users.len().to_string());
    let mut addresses: Vec<String> = network
        .ranges
        .iter()
        .map(|range| range.shown().to_owned())
        .collect();
    if let Some(adapter) = &network.adapter {
        addresses.insert(0, format!("on {}", adapter.shown()));
    }
    let vlans: Vec<String> = network.vlans.iter().map(ToString::to_string).collect();
    if !vlans.is_empty() {
        addresses.push(format!("VLAN {}", vlans.join(", ")));
    }
    vec![
        (network.name.fit(30), Role::Strong),
        (host, Role::Text),
        (text(network.mode.as_ref()), Role::Text),
        state(network.state),
        flag(network.autostart),
        (count(users), Role::Text),
        (
            count(network.leases.map(|leases| leases.to_string())),
            Role::Text,
        ),
        (text(network.bridge.as_ref()), Role::Dim),
        (addresses.join("  "), Role::Dim),
    ]
}

fn state(state: Option<StoreState>) -> (String, Role) {
    let role = match state {
        Some(StoreState::Active) => Role::Success,
        Some(StoreState::Inactive) | None => Role::Dim,
        Some(StoreState::Building) => Role::Changing,
        Some(StoreState::Degraded | StoreState::Inaccessible) => Role::Danger,
    };
    let word = state.map_or("–", StoreState::word);
    (word.to_owned(), role)
}

fn flag(on: Option<bool>) -> (String, Role) {
    let word = match on {
        Some(true) => "yes",
        Some(false) => "no",
        None => "–",
    };
    (word.to_owned(), Role::Dim)
}

fn bytes(value: Option<Bytes>) -> String {
    value.map_or_else(|| "–".to_owned(), |bytes| bytes.to_string())
}

fn text(value: Option<&RemoteText>) -> String {
    value.map_or_else(|| "–".to_owned(), |text| text.shown().to_owned())
}
