//! What a watch has told, put together: the whole host as of its last sweep. Pure; time comes from the
//! caller.
//!
//! The script sends a row when it changes. Uptimes change all the time, so it leaves one out that is
//! where it was to be expected, and here it grows by the same rule: while the machine runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::parse::{Answer, many, read_gaps};

/// `EnabledState` of a machine that runs (Microsoft: `Msvm_ComputerSystem`).
const RUNNING: i64 = 2;

/// Machines that are kept of one host; a host that tells of more is not to be believed.
const MAX_ROWS: usize = 20_000;

/// Text that is kept of one host, in bytes, for the same reason.
const MAX_TEXT: usize = 64 * 1024 * 1024;

/// What one frame says that tells of machines: `SNAP`, `DELTA` or `BEAT`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct News {
    took_ms: u64,
    #[serde(deserialize_with = "some")]
    systems: Vec<Row>,
    #[serde(deserialize_with = "some")]
    figures: Vec<Row>,
    #[serde(deserialize_with = "some")]
    gone: Vec<String>,
    #[serde(default)]
    gaps: Value,
    #[serde(flatten)]
    host: Map<String, Value>,
}

/// Reads a list in whatever shape PowerShell has written it.
fn some<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: serde::de::DeserializeOwned,
    D: serde::Deserializer<'de>,
{
    let value = Value::deserialize(from)?;
    let items = many(Some(value)).into_iter();
    items
        .map(|item| serde_json::from_value(item).map_err(serde::de::Error::custom))
        .collect()
}

impl News {
    /// Returns how long the sweep took.
    pub(super) const fn took(&self) -> Duration {
        Duration::from_millis(self.took_ms)
    }
}

#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    #[serde(flatten)]
    says: Map<String, Value>,
}

/// What a frame has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moved {
    /// Nothing about a machine.
    Nothing,
    /// States or figures.
    Rows,
    /// Machines came, went, or have another name.
    List,
}

#[derive(Debug, Clone, PartialEq)]
struct Figure {
    says: Map<String, Value>,
    /// When its frame came.
    at: Instant,
}

/// Everything that was told on one link.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    systems: BTreeMap<String, Map<String, Value>>,
    figures: BTreeMap<String, Figure>,
    host: Map<String, Value>,
    gaps: Value,
    /// When the sweep of the last frame began, at the latest.
    as_of: Option<Instant>,
    /// When the last frame came.
    heard: Option<Instant>,
}

/// What may pass between the end of a sweep and the arrival of its frame: the host writes it, two
/// programs pass it on. Taken for the age of a sweep, so that it never counts as newer than it is.
const ON_THE_WAY: Duration = Duration::from_secs(1);

impl Mirror {
    /// Takes everything anew.
    pub(super) fn snap(&mut self, news: News, now: Instant) -> Result<Moved, &'static str> {
        let is_first = self.heard.is_none();
        let before = std::mem::take(&mut self.systems);
        let figures = std::mem::take(&mut self.figures);
        self.merge(news, now)?;
        let names = |rows: &BTreeMap<String, Map<String, Value>>| -> Vec<(String, Value)> {
            let name = |row: &Map<String, Value>| row.get("name").cloned().unwrap_or_default();
            rows.iter()
                .map(|(id, row)| (id.clone(), name(row)))
                .collect()
        };
        Ok(if is_first {
            // Nobody was told of a list before this one, so none has changed.
            Moved::Rows
        } else if names(&before) != names(&self.systems) {
            Moved::List
        } else if before == self.systems && same(&figures, &self.figures) {
            Moved::Nothing
        } else {
            Moved::Rows
        })
    }

    /// Takes what has changed, or that nothing has.
    pub(super) fn merge(&mut self, news: News, now: Instant) -> Result<Moved, &'static str> {
        let age = news.took().saturating_add(ON_THE_WAY);
        let mut moved = Moved::Nothing;
        for id in &news.gone {
            if self.systems.remove(id).is_some() {
                moved = Moved::List;
            }
            self.figures.remove(id);
        }
        for Row { id, says } in news.systems {
            let name = says.get("name").cloned();
            let before = self.systems.insert(id, says);
            let is_same = before.is_some_and(|row| row.get("name").cloned() == name);
            moved = moved.max(if is_same { Moved::Rows } else { Moved::List });
        }
        for Row { id, says } in news.figures {
            self.figures.insert(id, Figure { says, at: now });
            moved = moved.max(Moved::Rows);
        }
        if self.systems.len() > MAX_ROWS
            || self.figures.len() > MAX_ROWS
            || (moved > Moved::Nothing && self.text() > MAX_TEXT)
        {
            return Err("it tells of more VMs than a host can have");
        }
        self.as_of = now.checked_sub(age);
        self.heard = Some(now);
        self.host = news.host;
        self.gaps = news.gaps;
        Ok(moved)
    }

    /// Returns true when the last frame came less than `within` ago, of a sweep that began after `since`.
    pub(super) fn is_fresh(&self, now: Instant, within: Duration, since: Option<Instant>) -> bool {
        let heard = self
            .heard
            .is_some_and(|heard| now.saturating_duration_since(heard) < within);
        heard && since.is_none_or(|since| self.as_of.is_some_and(|as_of| as_of >= since))
    }

    /// Returns what the list script would have answered.
    pub(super) fn answer(&self, now: Instant) -> Answer {
        let with_id = |id: &String, says: &Map<String, Value>| {
            let mut row = says.clone();
            row.insert("id".to_owned(), Value::from(id.as_str()));
            row
        };
        let systems = self.systems.iter();
        let systems = systems.map(|(id, says)| Value::Object(with_id(id, says)));
        let figures = self.figures.iter().map(|(id, figure)| {
            let mut row = with_id(id, &figure.says);
            let uptime = row.get("uptimeMs").and_then(Value::as_u64);
            if let Some(told) = uptime
                && self.runs(id)
            {
                let since = now.saturating_duration_since(figure.at).as_millis();
                let grown = told.saturating_add(u64::try_from(since).unwrap_or(u64::MAX));
                row.insert("uptimeMs".to_owned(), Value::from(grown));
            }
            Value::Object(row)
        });
        let mut data = self.host.clone();
        data.insert("scope".to_owned(), Value::from("fast"));
        data.insert("systems".to_owned(), systems.collect());
        data.insert("figures".to_owned(), figures.collect());
        Answer {
            data: Value::Object(data),
            gaps: read_gaps(Some(self.gaps.clone())),
        }
    }

    /// Bytes of text in all rows.
    fn text(&self) -> usize {
        let figures = self.figures.values().map(|figure| &figure.says);
        self.systems.values().chain(figures).map(size_of_all).sum()
    }

    fn runs(&self, id: &str) -> bool {
        let state = self.systems.get(id).and_then(|row| row.get("state"));
        state.and_then(Value::as_i64) == Some(RUNNING)
    }
}

/// Bytes that a row takes, names of members and whatever is inside of them included.
fn size_of_all(members: &Map<String, Value>) -> usize {
    let size = |(name, value): (&String, &Value)| name.len() + size_of(value);
    members.iter().map(size).sum()
}

fn size_of(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size_of).sum(),
        Value::Object(members) => size_of_all(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    64 + inside
}

/// Compares figures by what they say, whenever it was said.
fn same(before: &BTreeMap<String, Figure>, now: &BTreeMap<String, Figure>) -> bool {
    before.len() == now.len()
        && before
            .iter()
            .zip(now)
            .all(|(old, new)| old.0 == new.0 && old.1.says == new.1.says)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const A: &str = "6C09BB55-D683-4DA0-8931-C9BF705F6480";
    const B: &str = "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47";

    fn news(value: Value) -> News {
        serde_json::from_value(value).unwrap()
    }

    fn system(id: &str, name: &str, state: i64) -> Value {
        json!({"id": id, "name": name, "state": state, "health": 5})
    }

    fn figure(id: &str, load: Option<u64>, uptime: u64) -> Value {
        json!({"id": id, "load": load, "uptimeMs": uptime, "memoryMb": null})
    }

    fn frame(systems: &[Value], figures: &[Value], gone: &[&str]) -> News {
        news(json!({
            "v": 1, "tookMs": 40, "systems": systems, "figures": figures, "gone": gone, "gaps": [],
            "totalKib": 100, "freeKib": 60, "hostLoad": null,
        }))
    }

    fn two(now: Instant) -> Mirror {
        let mut mirror = Mirror::default();
        let systems = [
            system(A, "web", 2),
            system(B, "db", 3),
            system("HV1", "HV1", 2),
        ];
        let figures = [figure(A, Some(12), 5_000), figure(B, None, 0)];
        let moved = mirror.snap(frame(&systems, &figures, &[]), now).unwrap();
        assert_eq!(moved, Moved::Rows);
        mirror
    }

    fn uptimes(mirror: &Mirror, now: Instant) -> Vec<u64> {
        let data = mirror.answer(now).data;
        let rows = data["figures"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| row["uptimeMs"].as_u64().unwrap())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_the_shape_of_a_list_and_unknown_stays_unknown() {
        let now = Instant::now();
        let Answer { data, gaps } = two(now).answer(now);
        assert_eq!(data["scope"], "fast");
        assert_eq!(data["systems"].as_array().unwrap().len(), 3);
        assert_eq!(data["systems"][0], system(A, "web", 2));
        assert_eq!(data["figures"][1], figure(B, None, 0));
        assert_eq!(
            (&data["totalKib"], &data["hostLoad"]),
            (&json!(100), &Value::Null)
        );
        assert_eq!(gaps, []);
    }

    #[tokio::test(start_paused = true)]
    async fn uptimes_grow_while_a_machine_runs_and_only_then() {
        let now = Instant::now();
        let mut mirror = two(now);
        let later = now + Duration::from_secs(60);
        assert_eq!(uptimes(&mirror, later), [65_000, 0]);
        // Reset: the script sends the row because its uptime is not where it was to be expected.
        let reset = frame(&[], &[figure(A, Some(12), 500)], &[]);
        assert_eq!(mirror.merge(reset, later).unwrap(), Moved::Rows);
        assert_eq!(uptimes(&mirror, later + Duration::from_secs(1)), [1_500, 0]);
        let paused = frame(&[system(A, "web", 9)], &[], &[]);
        mirror.merge(paused, later).unwrap();
        assert_eq!(uptimes(&mirror, later + Duration::from_secs(9)), [500, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_moved_is_told_apart() {
        let now = Instant::now();
        let mut mirror = two(now);
        let mut moved = |news| mirror.merge(news, now).unwrap();
        assert_eq!(moved(frame(&[], &[], &[])), Moved::Nothing);
        assert_eq!(
            moved(frame(&[], &[figure(B, Some(1), 2)], &[])),
            Moved::Rows
        );
        assert_eq!(moved(frame(&[system(B, "db", 2)], &[], &[])), Moved::Rows);
        assert_eq!(moved(frame(&[system(B, "db-2", 2)], &[], &[])), Moved::List);
        assert_eq!(moved(frame(&[], &[], &["NOBODY"])), Moved::Nothing);
        assert_eq!(moved(frame(&[], &[], &[A])), Moved::List);
        let data = mirror.answer(now).data;
        assert_eq!(data["systems"].as_array().unwrap().len(), 2);
        assert_eq!(data["figures"].as_array().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_snapshot_replaces_everything_and_says_what_that_means() {
        let now = Instant::now();
        let mut mirror = two(now);
        let systems = [
            system(A, "web", 2),
            system(B, "db", 3),
            system("HV1", "HV1", 2),
        ];
        let figures = [figure(A, Some(12), 5_000), figure(B, None, 0)];
        let same = frame(&systems, &figures, &[]);
        assert_eq!(mirror.snap(same, now).unwrap(), Moved::Nothing);
        let busier = frame(&systems, &[figure(A, Some(13), 5_000)], &[]);
        assert_eq!(mirror.snap(busier, now).unwrap(), Moved::Rows);
        let fewer = frame(&systems[..1], &[], &[]);
        assert_eq!(mirror.snap(fewer, now).unwrap(), Moved::List);
        assert_eq!(uptimes(&mirror, now), [0_u64; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_counts_as_older_than_its_frame() {
        let now = Instant::now();
        let mirror = two(now);
        let within = Duration::from_secs(8);
        assert!(mirror.is_fresh(now, within, None));
        assert!(!mirror.is_fresh(now + within, within, None));
        let acted = now - Duration::from_millis(1_030);
        assert!(!mirror.is_fresh(now, within, Some(acted)));
        assert!(mirror.is_fresh(now, within, Some(acted - Duration::from_millis(20))));
        assert!(!Mirror::default().is_fresh(now, within, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_tells_of_endless_machines_is_not_believed() {
        let rows: Vec<Value> = (0..=MAX_ROWS)
            .map(|n| system(&n.to_string(), "x", 3))
            .collect();
        let told = Mirror::default().snap(frame(&rows, &[], &[]), Instant::now());
        assert!(told.is_err());
        let mut mirror = Mirror::default();
        let name = "x".repeat(15 << 20);
        let mut told = (0..5).map(|n| {
            let rows = [system(&n.to_string(), &name, 3)];
            mirror.merge(frame(&rows, &[], &[]), Instant::now())
        });
        assert!(told.any(|result| result.is_err()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_hidden_inside_of_a_row_counts_as_well() {
        let text = "x".repeat(15 << 20);
        for inside in [json!({ "deep": [text] }), json!({ text.as_str(): 1 })] {
            let mut mirror = Mirror::default();
            let mut told = (0..5).map(|n| {
                let rows = [json!({"id": n.to_string(), "more": inside})];
                mirror.merge(frame(&rows, &[], &[]), Instant::now())
            });
            assert!(told.any(|result| result.is_err()));
        }
    }

    proptest::proptest! {
        #[test]
        fn changes_lead_to_what_a_new_snapshot_would_say(
            before in proptest::collection::btree_map(0_u8..8, (0_u8..3, 2_i64..4), 0..8),
            after in proptest::collection::btree_map(0_u8..8, (0_u8..3, 2_i64..4), 0..8),
        ) {
            let now = Instant::now();
            let rows = |from: &BTreeMap<u8, (u8, i64)>| -> Vec<Value> {
                let row = |(id, (name, state)): (&u8, &(u8, i64))| system(&format!("ID{id}"), &format!("vm{name}"), *state);
                from.iter().map(row).collect()
            };
            let changed: BTreeMap<u8, (u8, i64)> = after.iter().filter(|(id, row)| before.get(id) != Some(row)).map(|(id, row)| (*id, *row)).collect();
            let gone: Vec<String> = before.keys().filter(|id| !after.contains_key(id)).map(|id| format!("ID{id}")).collect();
            let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
            let mut told = Mirror::default();
            told.snap(frame(&rows(&before), &[], &[]), now).unwrap();
            let moved = told.merge(frame(&rows(&changed), &[], &gone), now).unwrap();
            let mut whole = Mirror::default();
            whole.snap(frame(&rows(&after), &[], &[]), now).unwrap();
            proptest::prop_assert_eq!(told.answer(now).data, whole.answer(now).data);
            proptest::prop_assert_eq!(moved == Moved::Nothing, before == after);
        }
    }
}
