//! What passes through disks and network cards in a second: the hypervisor counts bytes up for ever, and two
//! reads tell the rate. Pure; time is the host's own, as it stands beside the counters.
//!
//! Rows of counters are named for people: a card by its VM and itself, with both GUIDs at the end, a disk by
//! the path of its file with its separators replaced. Names of VMs are not unique, so only GUIDs and files
//! are gone by. A row that fits no VM, or more than one, is nobody's, and its rate is unknown.
//! Sources: Microsoft, "Performance counters for Hyper-V" (sets "Hyper-V Virtual Storage Device" and "Hyper-V
//! Virtual Network Adapter"), raw classes `Win32_PerfRawData`; the names as public exporters of these sets
//! show them.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use super::parse::{guid_in, many};
use crate::domain::units::Bytes;
use crate::domain::vm::{VmId, VmStats};

/// The host's time counts in tenths of microseconds.
const TICKS_A_SECOND: u128 = 10_000_000;

/// Two reads closer together than this, in ticks, tell noise.
const MIN_SPAN: u64 = 4_000_000;

/// What comes from two places may come in another order: a row that is older by less than this, in ticks, is
/// no news. One that is older still means that the host's clock was set.
const LATE: u64 = 600_000_000;

/// Rows that are kept of one host; a host that counts more devices is not to be believed.
const MAX_ROWS: usize = 100_000;

/// A row of counters, as the script sends it.
#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    /// Read from a disk, or received.
    taken: u64,
    /// Written to a disk, or sent.
    given: u64,
    /// When, on the host.
    at: u64,
}

/// Files that a VM's disks write to.
#[derive(Debug, Deserialize)]
struct Files {
    id: String,
    #[serde(default)]
    files: Value,
}

/// Bytes a second, each way.
type Rate = (u64, u64);

/// Counters of one device at two moments.
#[derive(Debug, Clone, Copy)]
struct Flow {
    at: u64,
    taken: u64,
    given: u64,
    rate: Option<Rate>,
}

impl Flow {
    const fn first(row: &Row) -> Self {
        Self {
            at: row.at,
            taken: row.taken,
            given: row.given,
            rate: None,
        }
    }

    /// Takes in the next read. Counters that went down began anew, and so does this.
    fn next(self, row: &Row) -> Self {
        if self.at.saturating_sub(row.at) > 0 && self.at - row.at < LATE {
            return self;
        }
        let moved = row
            .taken
            .checked_sub(self.taken)
            .zip(row.given.checked_sub(self.given));
        match (moved, row.at.checked_sub(self.at)) {
            (Some(_), Some(span)) if span < MIN_SPAN => self,
            (Some((taken, given)), Some(span)) => Self {
                rate: Some((a_second(taken, span), a_second(given, span))),
                ..Self::first(row)
            },
            _ => Self::first(row),
        }
    }
}

fn a_second(moved: u64, span: u64) -> u64 {
    let rate = u128::from(moved) * TICKS_A_SECOND / u128::from(span.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// The rates of one VM, each `None` while it is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) disk_read: Option<Bytes>,
    pub(crate) disk_write: Option<Bytes>,
    pub(crate) net_rx: Option<Bytes>,
    pub(crate) net_tx: Option<Bytes>,
}

impl Traffic {
    /// Adds them to what else was measured of the VM.
    pub(crate) const fn tell(self, stats: &mut VmStats) {
        stats.disk_read = self.disk_read;
        stats.disk_write = self.disk_write;
        stats.net_rx = self.net_rx;
        stats.net_tx = self.net_tx;
    }
}

/// What is kept between two reads of one host.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    /// Owners of files, by what is left of a path in a counter's name; `None` where that fits several.
    files: HashMap<String, Option<VmId>>,
    disks: HashMap<String, Flow>,
    cards: HashMap<String, Flow>,
    told: HashMap<VmId, Traffic>,
}

impl Flows {
    /// Learns which files are whose.
    pub(crate) fn learn(&mut self, rows: Vec<Value>) {
        self.files.clear();
        for row in rows {
            let Ok(row) = Files::deserialize(row) else {
                continue;
            };
            let Some(id) = guid_in(&row.id) else { continue };
            for file in many(Some(row.files)) {
                let Some(key) = file.as_str().map(letters) else {
                    continue;
                };
                self.files
                    .entry(key)
                    .and_modify(|owner| *owner = owner.take().filter(|other| *other == id))
                    .or_insert_with(|| Some(id.clone()));
            }
        }
    }

    /// Takes in the counters of a read.
    pub(crate) fn take(&mut self, disks: Vec<Value>, cards: Vec<Value>) {
        self.disks = next(&self.disks, disks);
        self.cards = next(&self.cards, cards);
        self.told.clear();
        for (name, flow) in &self.disks {
            if let Some(Some(vm)) = self.files.get(&letters(name)) {
                let told = self.told.entry(vm.clone()).or_default();
                add(&mut told.disk_read, &mut told.disk_write, flow.rate);
            }
        }
        for (name, flow) in &self.cards {
            if let Some(vm) = owner_of_card(name) {
                let told = self.told.entry(vm).or_default();
                add(&mut told.net_rx, &mut told.net_tx, flow.rate);
            }
        }
    }

    /// Returns what is known of a VM.
    pub(crate) fn of(&self, vm: &VmId) -> Traffic {
        self.told.get(vm).copied().unwrap_or_default()
    }
}

/// Compares a read with the one before.
fn next(before: &HashMap<String, Flow>, rows: Vec<Value>) -> HashMap<String, Flow> {
    let mut now = HashMap::with_capacity(rows.len().min(MAX_ROWS));
    let mut twice = HashSet::new();
    for row in rows.into_iter().take(MAX_ROWS) {
        let Ok(row) = Row::deserialize(row) else {
            continue;
        };
        let flow = match before.get(&row.name) {
            Some(flow) => flow.next(&row),
            None => Flow::first(&row),
        };
        if now.insert(row.name.clone(), flow).is_some() {
            twice.insert(row.name);
        }
    }
    // Two devices of one name cannot be told apart.
    now.retain(|name, _| !twice.contains(name));
    now
}

fn add(taken: &mut Option<Bytes>, given: &mut Option<Bytes>, rate: Option<Rate>) {
    if let Some((one, other)) = rate {
        let sum = |so_far: Option<Bytes>, more: u64| {
            Some(Bytes(
                so_far.map_or(0, |bytes| bytes.0).saturating_add(more),
            ))
        };
        *taken = sum(*taken, one);
        *given = sum(*given, other);
    }
}

/// What is left of a path whatever its separators were replaced by.
fn letters(path: &str) -> String {
    let kept = path.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

/// Finds whose card it is: `<anything>_<GUID of the VM>--<GUID of the card>`. What stands before is named by
/// people.
fn owner_of_card(name: &str) -> Option<VmId> {
    let (before, _card) = name.rsplit_once("--")?;
    let at = before.len().checked_sub(36)?;
    VmId::parse(before.get(at..)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "6C09BB55-D683-4DA0-8931-C9BF705F6480";
    const B: &str = "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47";
    const CARD: &str = "2A34B1C2-FD73-4043-8A5B-DD2159BC743F";

    fn id(guid: &str) -> VmId {
        VmId::parse(guid).unwrap()
    }

    fn row(name: &str, taken: u64, given: u64, seconds: u64) -> Value {
        json!({"name": name, "taken": taken, "given": given, "at": 638_000_000_000_000_000_u64 + seconds * 10_000_000})
    }

    fn card(vm: &str, label: &str) -> String {
        format!("{label}_Network Adapter_{vm}--{CARD}")
    }

    fn knowing() -> Flows {
        let mut flows = Flows::default();
        flows.learn(vec![
            json!({"id": format!("Microsoft:{A}\\x\\0\\0\\D"), "files": [r"C:\VMs\web 1\disk.vhdx"]}),
            json!({"id": format!("Microsoft:{A}\\x\\0\\1\\D"), "files": r"C:\VMs\web 1\data.vhdx"}),
            json!({"id": format!("Microsoft:{B}\\x\\0\\0\\D"), "files": [r"C:\VMs\db.vhdx"]}),
        ]);
        flows
    }

    #[test]
    fn two_reads_tell_what_passes_in_a_second() {
        let mut flows = knowing();
        let disk = "C:-VMs-web 1-disk.vhdx";
        flows.take(
            vec![row(disk, 1_000, 500, 0)],
            vec![row(&card(A, "web"), 10, 20, 0)],
        );
        assert_eq!(
            flows.of(&id(A)),
            Traffic::default(),
            "one read tells nothing"
        );
        flows.take(
            vec![row(disk, 3_000, 500, 2)],
            vec![row(&card(A, "web"), 1_010, 2_020, 2)],
        );
        let told = flows.of(&id(A));
        assert_eq!(
            (told.disk_read, told.disk_write),
            (Some(Bytes(1_000)), Some(Bytes(0)))
        );
        assert_eq!(
            (told.net_rx, told.net_tx),
            (Some(Bytes(500)), Some(Bytes(1_000)))
        );
        assert_eq!(flows.of(&id(B)), Traffic::default());
    }

    #[test]
    fn the_same_read_again_tells_the_same_and_one_too_close_nothing_new() {
        let mut flows = knowing();
        let disks = |bytes, seconds| vec![row("C:-VMs-db.vhdx", bytes, 0, seconds)];
        flows.take(disks(0, 0), vec![]);
        flows.take(disks(500, 1), vec![]);
        let told = flows.of(&id(B));
        flows.take(disks(500, 1), vec![]);
        assert_eq!(flows.of(&id(B)), told);
        flows.take(disks(900, 2), vec![]);
        assert_eq!(flows.of(&id(B)).disk_read, Some(Bytes(400)));
        // What was read before and comes later, and what a clock that was set back says.
        flows.take(disks(500, 1), vec![]);
        assert_eq!(flows.of(&id(B)).disk_read, Some(Bytes(400)));
        flows.take(vec![row("C:-VMs-db.vhdx", 950, 0, 3)], vec![]);
        let back = json!({"name": "C:-VMs-db.vhdx", "taken": 960, "given": 0, "at": 1});
        flows.take(vec![back], vec![]);
        assert_eq!(flows.of(&id(B)), Traffic::default());
    }

    #[test]
    fn counters_that_began_anew_tell_nothing_for_a_read() {
        let mut flows = knowing();
        let disks = |bytes, seconds| vec![row("C:-VMs-db.vhdx", bytes, 0, seconds)];
        flows.take(disks(900, 0), vec![]);
        flows.take(disks(100, 1), vec![]);
        assert_eq!(flows.of(&id(B)), Traffic::default());
        flows.take(disks(300, 2), vec![]);
        assert_eq!(flows.of(&id(B)).disk_read, Some(Bytes(200)));
    }

    #[test]
    fn disks_and_cards_of_one_vm_are_added_up() {
        let mut flows = knowing();
        let read = |n: u64, seconds| {
            vec![
                row("C:-VMs-web 1-disk.vhdx", n, n, seconds),
                row("--?-C:-VMs-web 1-data.vhdx", 2 * n, n, seconds),
            ]
        };
        flows.take(read(0, 0), vec![]);
        flows.take(read(100, 1), vec![]);
        let told = flows.of(&id(A));
        assert_eq!(
            (told.disk_read, told.disk_write),
            (Some(Bytes(300)), Some(Bytes(200)))
        );
    }

    #[test]
    fn a_name_that_a_person_chose_makes_nobody_an_owner() {
        let forged = card(B, &format!("web_{A}--{CARD}"));
        assert_eq!(owner_of_card(&forged), Some(id(B)));
        for nobody in ["", "--", "web", &format!("{A}{CARD}"), "\u{1f680}--x"] {
            assert_eq!(owner_of_card(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn what_fits_several_vms_is_nobodys() {
        let mut flows = Flows::default();
        flows.learn(vec![
            json!({"id": format!("Microsoft:{A}\\0"), "files": [r"C:\a-b.vhdx"]}),
            json!({"id": format!("Microsoft:{B}\\0"), "files": [r"C:\a\b.vhdx"]}),
            json!({"id": "nobody", "files": [r"C:\x.vhdx"]}),
            json!({"files": 5}),
        ]);
        let twice = "C:-x";
        for seconds in [0, 1] {
            flows.take(
                vec![
                    row("C:-a-b.vhdx", seconds, 0, seconds),
                    row(twice, 1, 1, seconds),
                    row(twice, 2, 2, seconds),
                    json!({"name": 3}),
                ],
                vec![],
            );
        }
        assert!(flows.told.is_empty(), "{:?}", flows.told);
        assert!(!flows.disks.contains_key(twice));
    }
}
