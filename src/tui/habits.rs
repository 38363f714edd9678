//! What the dashboard finds again when it is opened: order, columns, theme, header, filters under a name.
//! Kept in the profile by name, in words of this file. Nothing here draws or decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::app::App;
use super::column::{ColumnId, Columns};
use super::effect::Effect;
use super::notify;
use super::rows::Sort;
use super::screen::snapshot_order::{By, Order};
use super::screen::vms;
use crate::domain::preference::Preferences;
use crate::domain::vm::VmRef;

const THEME: &str = "theme";
const COMPACT: &str = "compact";
const SORT: &str = "vms.sort";
const SNAPSHOT_ORDER: &str = "snapshots.sort";
const COLUMNS: &str = "vms.columns";
const WIDE: &str = "vms.wide";
const WATCHED: &str = "vms.watched";
const FIRST: &str = "vms.first-filter";
/// Before a VM, or a host, whose VMs were logged in to.
const LOGIN: &str = "shell.login:";
/// Before the name of a filter.
const FILTER: &str = "vms.filter:";

/// Everything that is found again. Compared before and after each event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Habits {
    theme: Option<String>,
    compact: bool,
    sort: Sort,
    snapshot_order: Order,
    columns: Columns,
    kept: BTreeMap<String, String>,
    first: Option<String>,
    logins: BTreeMap<String, String>,
    watched: Arc<BTreeSet<VmRef>>,
}

impl Habits {
    /// Returns them as they are now.
    pub(super) fn of(app: &App) -> Self {
        Self {
            theme: app.theme.clone(),
            compact: app.compact,
            sort: app.vms.sort,
            snapshot_order: app.snapshots.order,
            columns: app.vms.columns.clone(),
            kept: app.vms.kept.clone(),
            first: app.vms.first.clone(),
            logins: app.logins.clone(),
            watched: Arc::clone(&app.vms.watched),
        }
    }

    /// Returns what has to be kept anew, or forgotten, since `before`.
    pub(super) fn since(&self, before: &Self) -> Vec<Effect> {
        let mut changes = Vec::new();
        if self == before {
            return changes;
        }
        let (now, then) = (self.words(), before.words());
        for (name, value) in &now {
            if then.get(name) != Some(value) {
                changes.push(Effect::Remember(name.clone(), Some(value.clone())));
            }
        }
        for name in then.keys().filter(|name| !now.contains_key(*name)) {
            changes.push(Effect::Remember(name.clone(), None));
        }
        changes
    }

    fn words(&self) -> Preferences {
        let mut words = Preferences::new();
        let mut keep = |name: &str, value: String| drop(words.insert(name.to_owned(), value));
        if let Some(theme) = &self.theme {
            keep(THEME, theme.clone());
        }
        keep(COMPACT, self.compact.to_string());
        let sort = (self.sort.column.word(), self.sort.descending);
        keep(SORT, sort_words(sort));
        let order = (
            self.snapshot_order.by.title(),
            self.snapshot_order.descending,
        );
        keep(SNAPSHOT_ORDER, sort_words(order));
        keep(COLUMNS, self.columns.words());
        keep(WIDE, self.columns.wide.to_string());
        for (name, filter) in &self.kept {
            keep(&format!("{FILTER}{name}"), filter.clone());
        }
        for (whose, login) in &self.logins {
            keep(&format!("{LOGIN}{whose}"), login.clone());
        }
        if let Some(first) = &self.first {
            keep(FIRST, first.clone());
        }
        if !self.watched.is_empty() {
            keep(WATCHED, notify::watched_words(&self.watched));
        }
        words
    }
}

/// Puts everything as it was left. What another version wrote and this one cannot read stays as it is.
pub fn restore(app: &mut App, kept: &Preferences) {
    if let Some(theme) = kept.get(THEME) {
        app.theme = Some(theme.clone());
    }
    if let Some(compact) = kept.get(COMPACT).and_then(|word| word.parse().ok()) {
        app.compact = compact;
    }
    if let Some(sort) = kept.get(SORT).and_then(|words| read_sort(words)) {
        app.vms.sort = sort;
    }
    if let Some(order) = kept.get(SNAPSHOT_ORDER).and_then(|words| read_order(words)) {
        app.snapshots.order = order;
    }
    if let Some(words) = kept.get(COLUMNS) {
        app.vms.columns.choose(words);
    }
    if let Some(wide) = kept.get(WIDE).and_then(|word| word.parse().ok()) {
        app.vms.columns.wide = wide;
    }
    app.vms.kept = kept
        .iter()
        .filter_map(|(name, filter)| Some((name.strip_prefix(FILTER)?.to_owned(), filter.clone())))
        .collect();
    app.logins = kept
        .iter()
        .filter_map(|(name, login)| Some((name.strip_prefix(LOGIN)?.to_owned(), login.clone())))
        .collect();
    app.vms.first = kept.get(FIRST).cloned();
    if let Some(words) = kept.get(WATCHED) {
        app.vms.watched = Arc::new(notify::read_watched(words));
    }
    let first = app.vms.first.as_ref();
    if let Some(filter) = first.and_then(|name| app.vms.kept.get(name)).cloned()
        && !app.vms.filter.is_active()
    {
        app.vms.filter.set(&filter);
    }
    vms::resort(app);
}

fn sort_words((by, descending): (&str, bool)) -> String {
    format!("{by} {}", if descending { "down" } else { "up" })
}

fn read_direction(words: &str) -> Option<(&str, bool)> {
    let (by, direction) = words.split_once(' ')?;
    match direction {
        "down" => Some((by, true)),
        "up" => Some((by, false)),
        _ => None,
    }
}

fn read_sort(words: &str) -> Option<Sort> {
    let (column, descending) = read_direction(words)?;
    let column = ColumnId::of_word(column)?;
    Some(Sort { column, descending })
}

fn read_order(words: &str) -> Option<Order> {
    let (title, descending) = read_direction(words)?;
    let by = By::ALL.into_iter().find(|by| by.title() == title)?;
    Some(Order { by, descending })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet;
    use crate::tui::app::Settings;
    use crate::tui::keymap::Keymap;

    fn app() -> App {
        let settings = Settings {
            actor: fleet::actor(),
            keymap: Arc::new(Keymap::default()),
            ascii: false,
            themes: Arc::new([]),
            theme: Arc::from("dark"),
            lift_for: std::time::Duration::from_secs(900),
            old_snapshot: std::time::Duration::from_secs(30 * 86_400),
            profiles: Arc::new([]),
            recorded: false,
        };
        let snapshot = Arc::new(fleet::small());
        App::new(settings, snapshot, fleet::now(), (120, 30))
    }

    fn kept(effects: Vec<Effect>) -> Preferences {
        effects
            .into_iter()
            .map(|effect| match effect {
                Effect::Remember(name, Some(value)) => (name, value),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn everything_is_found_again() {
        let mut left = app();
        let before = Habits::of(&left);
        left.theme = Some("nord".to_owned());
        left.compact = true;
        left.vms.sort = Sort {
            column: ColumnId::Cpu,
            descending: true,
        };
        left.snapshots.order = Order {
            by: By::Depth,
            descending: true,
        };
        left.vms.columns.toggle(ColumnId::Os);
        left.vms.columns.wide = true;
        left.vms
            .kept
            .insert("noisy: ones".to_owned(), "cpu>80".to_owned());
        left.vms.first = Some("noisy: ones".to_owned());
        left.logins
            .insert("host kvm1".to_owned(), "root 22 10.0.3.17 ".to_owned());
        let seen = left.vms.cursor.id().unwrap().clone();
        left.vms.watched = Arc::new(BTreeSet::from([seen]));
        let preferences = kept(Habits::of(&left).since(&before));
        let mut found = app();
        restore(&mut found, &preferences);
        assert_eq!(Habits::of(&found), Habits::of(&left));
        assert_eq!(
            found.vms.filter.text(),
            "cpu>80",
            "the first filter is in force"
        );
    }

    #[test]
    fn only_what_changed_is_written_and_what_is_gone_is_forgotten() {
        let mut app = app();
        app.vms.kept.insert("db".to_owned(), "tag:db".to_owned());
        let before = Habits::of(&app);
        assert!(Habits::of(&app).since(&before).is_empty());
        app.vms.kept.clear();
        app.vms.sort.descending = true;
        let changes = format!("{:?}", Habits::of(&app).since(&before));
        assert_eq!(
            changes,
            r#"[Remember("vms.sort", Some("name down")), Remember("vms.filter:db", None)]"#
        );
    }

    #[test]
    fn words_nobody_understands_change_nothing() {
        let mut app = app();
        let before = Habits::of(&app);
        let strange = [
            (SORT, "nonsense down"),
            (SORT, "cpu sideways"),
            (COMPACT, "perhaps"),
            (WIDE, ""),
            (FIRST, "never kept"),
            (WATCHED, "1/x 2"),
            ("vms.of-a-later-version", "x"),
        ];
        for (name, value) in strange {
            restore(
                &mut app,
                &Preferences::from([(name.to_owned(), value.to_owned())]),
            );
            app.vms.first = None;
            assert_eq!(Habits::of(&app), before, "{name} {value}");
        }
    }
}
