//! The hosts: how the relation with each stands, and what to do about it.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::error_kind::ErrorKind;
use crate::domain::health::HostHealth;
use crate::domain::host::HostId;
use crate::domain::host_key::HostKeyQuestion;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::units::{Age, Bytes};
use crate::domain::vm::PowerState;
use crate::fleet::request::HostSelection;
use crate::tui::app::{App, Screen};
use crate::tui::column::{kind_mark, load_role};
use crate::tui::cursor::{Cursor, Motion};
use crate::tui::effect::Effect;
use crate::tui::glyph;
use crate::tui::overlay::Overlay;
use crate::tui::overlay::doctor;
use crate::tui::overlay::host_form::HostForm;
use crate::tui::overlay::host_key::HostKey;
use crate::tui::overlay::question::Question;
use crate::tui::screen::vms;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::list::{self, Field, List};

/// State of the view.
#[derive(Debug, Default)]
pub struct Hosts {
    /// The host under the cursor.
    pub cursor: Cursor<HostId>,
}

impl Hosts {
    /// Takes the fleet's newest state.
    pub fn take(&mut self, state: &FleetSnapshot) {
        let hosts = &state.hosts;
        self.cursor
            .follow(hosts.len(), |at| hosts.get(at).map(|host| host.spec.id));
    }

    /// Moves the cursor.
    pub fn go(&mut self, state: &FleetSnapshot, motion: Motion, page: usize) {
        let index = motion.apply(self.cursor.index(), state.hosts.len(), page);
        self.go_to(state, index);
    }

    /// Puts the cursor on a row.
    pub fn go_to(&mut self, state: &FleetSnapshot, index: usize) {
        let id = state.hosts.get(index).map(|host| host.spec.id);
        self.cursor.go(index, id);
    }
}

/// Returns the host under the cursor.
pub fn selected(app: &App) -> Option<&Arc<HostSnapshot>> {
    app.snapshot.host(*app.hosts.cursor.id()?)
}

/// Says whether a host is under the cursor.
pub fn has_selected(app: &App) -> Result<(), String> {
    selected(app)
        .map(drop)
        .ok_or_else(|| "no host is selected".to_owned())
}

/// Says whether the host under the cursor asks about its key, or can be made to ask again.
pub fn has_question(app: &App) -> Result<(), String> {
    let asks = |host: &Arc<HostSnapshot>| question_of(host).is_some() || is_over(&host.health);
    if selected(app).is_some_and(asks) {
        Ok(())
    } else {
        Err("the host's key is not in question".to_owned())
    }
}

/// Tells whether a host stopped at a key that nobody decided about in time.
pub fn is_over(health: &HostHealth) -> bool {
    matches!(
        health,
        HostHealth::NeedsOperator { cause, question: None } if cause.kind == ErrorKind::HostKey
    )
}

/// Shows the VMs of the host under the cursor.
pub fn open(app: &mut App) -> Vec<Effect> {
    if selected(app).and_then(|host| question_of(host)).is_some() {
        return key(app);
    }
    if let Some(id) = selected(app).map(|host| host.spec.id) {
        app.show(Screen::Vms);
        vms::set_host(app, Some(id));
    }
    Vec::new()
}

/// Connects or reads now.
pub fn refresh(app: &mut App) -> Vec<Effect> {
    let Some(host) = selected(app) else {
        return Vec::new();
    };
    let (id, name) = (host.spec.id, host.spec.name.clone());
    app.say(Role::Dim, format!("trying {name} now"));
    vec![Effect::Refresh(HostSelection::Only(vec![id]))]
}

/// Opens an empty form.
pub fn add(app: &mut App) -> Vec<Effect> {
    if let Some(form) = HostForm::add() {
        app.overlays.push(Overlay::HostForm(Box::new(form)));
    }
    Vec::new()
}

/// Opens the form of the host under the cursor.
pub fn edit(app: &mut App) -> Vec<Effect> {
    if let Some(form) = selected(app).map(|host| HostForm::edit(&host.spec)) {
        app.overlays.push(Overlay::HostForm(Box::new(form)));
    }
    Vec::new()
}

/// Asks whether to forget the host under the cursor.
pub fn remove(app: &mut App) -> Vec<Effect> {
    if let Some(host) = selected(app) {
        let question = Question::remove_host(host.spec.id, host.spec.name.clone());
        app.overlays.push(Overlay::Question(question));
    }
    Vec::new()
}

/// Checks the host under the cursor step by step.
pub fn examine(app: &mut App) -> Vec<Effect> {
    let Some(host) = selected(app) else {
        return Vec::new();
    };
    let (id, name) = (host.spec.id, host.spec.name.clone());
    doctor::open(app, id, name)
}

/// Opens the question about the key of the host under the cursor; a host whose question is over is tried
/// again, so that it asks anew.
pub fn key(app: &mut App) -> Vec<Effect> {
    let Some(host) = selected(app) else {
        return Vec::new();
    };
    if let Some(dialog) = question_of(host) {
        app.overlays.push(Overlay::HostKey(Box::new(dialog)));
        return Vec::new();
    }
    if is_over(&host.health) {
        return refresh(app);
    }
    Vec::new()
}

/// Returns the question a host asks about its key.
pub fn question_of(host: &HostSnapshot) -> Option<HostKey> {
    match &host.health {
        HostHealth::NeedsOperator {
            question: Some(question),
            ..
        } => Some(HostKey::new(
            host.spec.id,
            &host.spec.name,
            HostKeyQuestion::clone(question),
        )),
        _ => None,
    }
}

/// Returns the role of a host's health.
pub const fn health_role(health: &HostHealth) -> Role {
    match health {
        HostHealth::Online => Role::HostUp,
        HostHealth::Degraded { .. } => Role::HostSlow,
        HostHealth::Offline { .. } => Role::HostDown,
        HostHealth::NeedsOperator { .. } => Role::HostNeeds,
        HostHealth::Disabled | HostHealth::Connecting { .. } => Role::HostIdle,
    }
}

const fn health_sign(health: &HostHealth) -> &'static str {
    match health {
        HostHealth::Online => "●",
        HostHealth::Degraded { .. } => glyph::CHANGING,
        HostHealth::Offline { .. } => glyph::ERROR,
        HostHealth::NeedsOperator { .. } => "?",
        HostHealth::Disabled => "○",
        HostHealth::Connecting { .. } => "…",
    }
}

const FIELDS: &[Field] = &[
    Field::left("ST", 12),
    Field::left("NAME", 13),
    Field::left("TIER", 6).from(100),
    Field::left("HV", 3),
    Field::right("LATENCY", 7),
    Field::right("READ", 4),
    Field::right("CPU%", 4),
    Field::right("MEM", 11).from(100),
    Field::right("GIVEN", 6).from(132),
    Field::right("VMs", 5),
    Field::rest("ADDRESS, VERSION OR TROUBLE"),
];

/// Draws the view.
pub fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: &Theme, top: &mut usize) {
    let index = app.hosts.cursor.index();
    let rows = app.snapshot.hosts.len();
    let line = |at: usize| {
        app.snapshot
            .hosts
            .get(at)
            .map(|host| row(app, host))
            .unwrap_or_default()
    };
    let list_of = List {
        fields: FIELDS,
        rows,
        index,
        top,
    };
    list_of.draw(buf, area, theme, line);
    if rows == 0 {
        list::empty(buf, area, theme, "No hosts yet. A adds the first one.");
    }
}

fn row(app: &App, host: &HostSnapshot) -> list::Row {
    let load = host.inventory.as_ref().map(|inventory| &inventory.load);
    let cpu = load.and_then(|load| load.cpu);
    let used = load.and_then(|load| load.memory_used);
    let total = load.and_then(|load| load.memory_total);
    let stale = host.is_stale(app.now);
    let plain = if stale { Role::Stale } else { Role::Text };
    let running = host
        .vms()
        .iter()
        .filter(|vm| vm.state == PowerState::Running);
    let seen = host.inventory.is_some();
    let count = format!("{}/{}", running.count(), host.vms().len());
    let given: u64 = host
        .vms()
        .iter()
        .filter(|vm| vm.state == PowerState::Running)
        .filter_map(|vm| vm.stats.memory_assigned.map(|bytes| bytes.0))
        .sum();
    let known = |text: Option<String>| {
        text.map_or_else(
            || (glyph::UNKNOWN.to_owned(), Role::Dim),
            |text| (text, plain),
        )
    };
    let tier = host
        .spec
        .tier
        .as_ref()
        .map(crate::domain::host::Tier::as_str);
    let word = format!("{} {}", health_sign(&host.health), host.health.word());
    list::Row {
        dimmed: stale && !matches!(host.health, HostHealth::NeedsOperator { .. }),
        cells: vec![
            (word, health_role(&host.health)),
            (host.spec.name.to_string(), Role::Strong),
            tier.map_or_else(
                || (glyph::UNKNOWN.to_owned(), Role::Dim),
                |tier| (tier.to_owned(), Role::of_tier(Some(tier))),
            ),
            known(kind_mark(host).map(str::to_owned)),
            known(host.latency.map(|took| {
                if took.as_millis() < 1000 {
                    format!("{} ms", took.as_millis())
                } else {
                    format!("{:.1} s", took.as_secs_f64())
                }
            })),
            known(host.age(app.now).map(|age| Age(age).to_string())),
            cpu.map_or_else(
                || (glyph::UNKNOWN.to_owned(), Role::Dim),
                |cpu| (cpu.to_string(), load_role(cpu.value())),
            ),
            known(used.zip(total).map(|(used, total)| share(used, total))),
            known(seen.then(|| Bytes(given).to_string())),
            known(seen.then_some(count)),
            last_field(app, host),
        ],
    }
}

/// Shows `used/total` in the unit of the total.
fn share(used: Bytes, total: Bytes) -> String {
    let bits = crate::tui::column::share(Some(used), Some(total), false);
    bits.iter().map(|bit| bit.text.as_ref()).collect()
}

/// Says why the host under the cursor is not well, and what to do next.
pub fn trouble(app: &App, host: &HostSnapshot) -> Option<(String, Role)> {
    let cause = host.health.cause()?;
    let mut text = format!(
        "{} {}: {}",
        host.spec.name,
        host.health.word(),
        cause.message
    );
    if let Some(hint) = &cause.hint {
        text.push_str(" · ");
        text.push_str(&hint.0);
    }
    if let HostHealth::Offline { next_try, .. } = &host.health {
        let wait = std::time::Duration::try_from(*next_try - app.now).unwrap_or_default();
        text.push_str(" · again in ");
        text.push_str(&Age(wait).to_string());
    }
    let role = match host.health {
        HostHealth::NeedsOperator { .. } => Role::HostNeeds,
        _ => Role::Warning,
    };
    Some((text, role))
}

fn last_field(app: &App, host: &HostSnapshot) -> (String, Role) {
    match &host.health {
        HostHealth::Offline {
            cause, next_try, ..
        } => {
            let wait = std::time::Duration::try_from(*next_try - app.now).unwrap_or_default();
            let text = format!("again in {}: {}", Age(wait), cause.message);
            (text, Role::HostDown)
        }
        HostHealth::NeedsOperator { cause, .. } => (cause.message.clone(), Role::HostNeeds),
        HostHealth::Degraded { cause } => (cause.message.clone(), Role::HostSlow),
        HostHealth::Connecting {
            attempt,
            queued: true,
        } => {
            let which = match attempt {
                0 | 1 => String::new(),
                again => format!("attempt {again}: "),
            };
            (format!("{which}waits for its turn"), Role::Dim)
        }
        HostHealth::Connecting { attempt, .. } if *attempt > 1 => {
            (format!("attempt {attempt}"), Role::Dim)
        }
        HostHealth::Online | HostHealth::Disabled | HostHealth::Connecting { .. } => {
            let version = host
                .capabilities
                .as_ref()
                .map_or("", |found| found.version.shown());
            let lock = if host.spec.read_only {
                "read-only  "
            } else {
                ""
            };
            (
                format!("{lock}{}  {version}", host.spec.endpoint),
                Role::Dim,
            )
        }
    }
}
