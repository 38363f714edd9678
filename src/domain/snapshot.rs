//! VM snapshots (Hyper-V: checkpoints): the tree that a host tells, what is asked of it, and the pure
//! rules about depth, age and what deleting one takes along. Nothing here talks to a host.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::{RemoteText, is_hostile};
use super::units::Bytes;
use super::vm::PowerState;

/// One VM snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmSnapshot {
    /// Its id on the host: libvirt's is the name, unique in one VM; Hyper-V's a GUID.
    pub id: RemoteText,
    /// Its name: a label.
    pub name: RemoteText,
    /// Id of the snapshot it is based on.
    pub parent: Option<RemoteText>,
    /// When it was taken.
    pub taken: Option<Timestamp>,
    /// What the VM goes on from now.
    pub is_current: bool,
    /// What the VM was doing when it was taken.
    #[serde(default)]
    pub state: Option<PowerState>,
    /// Whether the VM's memory is in it; a revert to one without powers the VM off.
    #[serde(default)]
    pub has_memory: Option<bool>,
    /// Whether it is kept in files of its own, beside the VM's disks.
    #[serde(default)]
    pub is_external: Option<bool>,
    /// What a person wrote about it.
    #[serde(default)]
    pub description: Option<RemoteText>,
    /// Room it takes on the host.
    #[serde(default)]
    pub size: Option<Bytes>,
}

impl VmSnapshot {
    /// Makes one of which only id and name are known.
    pub fn new(id: RemoteText, name: RemoteText) -> Self {
        Self {
            id,
            name,
            parent: None,
            taken: None,
            is_current: false,
            state: None,
            has_memory: None,
            is_external: None,
            description: None,
            size: None,
        }
    }

    /// Returns how long ago it was taken; a clock that is behind makes it nothing, not unknown.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        let taken = self.taken?;
        Some(Duration::try_from(now - taken).unwrap_or_default())
    }

    /// Says in a few words what is in it.
    pub fn contents(&self) -> Option<&'static str> {
        match (self.has_memory, &self.state) {
            (Some(true), _) => Some("disks and memory"),
            (Some(false), Some(PowerState::Stopped)) => Some("VM was off"),
            (Some(false), _) => Some("disks only"),
            (None, _) => None,
        }
    }

    fn has_id(&self, id: &RemoteText) -> bool {
        is_same_id(&self.id, id)
    }
}

/// Ids of libvirt are names and count as they are; GUIDs are written in either case.
fn is_same_id(one: &RemoteText, other: &RemoteText) -> bool {
    one.raw() == other.raw() || (is_guid(one) && one.raw().eq_ignore_ascii_case(other.raw()))
}

fn is_guid(id: &RemoteText) -> bool {
    super::vm::VmId::parse(id.raw()).is_some()
}

/// What ids have in common that are the same, as [`is_same_id`] has it.
fn key(id: &RemoteText) -> String {
    if is_guid(id) {
        id.raw().to_ascii_lowercase()
    } else {
        id.raw().to_owned()
    }
}

/// Finds a snapshot by its id, else by its name where only one has it.
pub fn find<'a>(tree: &'a [VmSnapshot], wanted: &str) -> Result<&'a VmSnapshot, NotFound> {
    let id = RemoteText::new(wanted);
    if let Some(found) = tree.iter().find(|one| one.has_id(&id)) {
        return Ok(found);
    }
    let mut named = tree
        .iter()
        .filter(|one| one.name.raw() == wanted || one.name.shown() == wanted);
    match (named.next(), named.next()) {
        (Some(found), None) => Ok(found),
        (Some(_), Some(_)) => Err(NotFound::Ambiguous),
        (None, _) => Err(NotFound::Missing),
    }
}

/// Why a snapshot was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    /// None has this id or name.
    Missing,
    /// Several have this name.
    Ambiguous,
}

/// Returns how many snapshots one is based on, as far as they are known.
pub fn depth_of(tree: &[VmSnapshot], snapshot: &VmSnapshot) -> usize {
    let mut depth = 0;
    let mut at = snapshot;
    // A ring, which no host should have, ends after as many steps as there are snapshots.
    while depth < tree.len()
        && let Some(parent) = at.parent.as_ref()
        && let Some(found) = tree.iter().find(|other| other.has_id(parent))
    {
        depth += 1;
        at = found;
    }
    depth
}

/// Returns the depth of every snapshot of a tree, in its order: one pass, for trees of hundreds.
pub fn depths(tree: &[VmSnapshot]) -> Vec<usize> {
    let mut known: HashMap<&str, usize> = HashMap::with_capacity(tree.len());
    let mut depths = Vec::with_capacity(tree.len());
    for snapshot in tree {
        // Parents come before their children, so what is based on something finds its depth there.
        let depth = snapshot
            .parent
            .as_ref()
            .and_then(|parent| known.get(parent.raw()))
            .map_or_else(|| depth_of(tree, snapshot), |depth| depth.saturating_add(1))
            // A ring, which no host should have, is no deeper than there are snapshots.
            .min(tree.len());
        known.insert(snapshot.id.raw(), depth);
        depths.push(depth);
    }
    depths
}

/// Returns when the oldest was taken, as far as it is known.
pub fn oldest(tree: &[VmSnapshot]) -> Option<Timestamp> {
    tree.iter().filter_map(|one| one.taken).min()
}

/// Returns the snapshots that are directly based on this one.
pub fn children<'a>(
    tree: &'a [VmSnapshot],
    snapshot: &'a VmSnapshot,
) -> impl Iterator<Item = &'a VmSnapshot> {
    tree.iter().filter(|other| {
        other
            .parent
            .as_ref()
            .is_some_and(|parent| snapshot.has_id(parent))
    })
}

/// Returns everything that is based on this one, itself not among them.
pub fn descendants<'a>(tree: &'a [VmSnapshot], snapshot: &'a VmSnapshot) -> Vec<&'a VmSnapshot> {
    let mut found = Vec::new();
    let mut seen: HashSet<&str> = HashSet::from([snapshot.id.raw()]);
    let mut open = vec![snapshot];
    while let Some(next) = open.pop() {
        for child in children(tree, next) {
            if seen.insert(child.id.raw()) {
                found.push(child);
                open.push(child);
            }
        }
    }
    found
}

/// Orders snapshots: each after the one it is based on, brothers by time. One whose parent is not there
/// counts as a first one; a ring, which no host should have, is appended as it came. One that is told twice is there
/// once: whoever chooses it by its id means that one.
pub fn ordered(mut rest: Vec<VmSnapshot>) -> Vec<VmSnapshot> {
    let mut told = HashSet::new();
    rest.retain(|one| told.insert(key(&one.id)));
    rest.sort_by(|one, other| (one.taken, one.id.raw()).cmp(&(other.taken, other.id.raw())));
    let mut below: HashMap<Option<String>, Vec<usize>> = HashMap::new();
    for (at, one) in rest.iter().enumerate() {
        let parent = one.parent.as_ref().map(key).filter(|id| told.contains(id));
        below.entry(parent).or_default().push(at);
    }
    let mut order = Vec::with_capacity(rest.len());
    let mut open: Vec<usize> = below.remove(&None).unwrap_or_default();
    open.reverse();
    // Depth first: a parent is followed by its children before its brothers come.
    while let Some(at) = open.pop() {
        order.push(at);
        let id = rest.get(at).map(|one| key(&one.id));
        let mut next = below.remove(&id).unwrap_or_default();
        next.reverse();
        open.extend(next);
    }
    let placed: HashSet<usize> = order.iter().copied().collect();
    order.extend((0..rest.len()).filter(|at| !placed.contains(at)));
    let mut slots: Vec<Option<VmSnapshot>> = rest.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|at| slots.get_mut(at).and_then(Option::take))
        .collect()
}

/// Longest name of a new snapshot, in characters; hosts take at least as many.
pub const MAX_NAME: usize = 100;

/// Longest description of a new snapshot, in characters.
pub const MAX_DESCRIPTION: usize = 1000;

/// The name of a snapshot that is to be made: one line, and nothing that libvirt, a file system or a
/// command line takes for something else. libvirt keeps a snapshot in a file of its name, and so takes
/// neither a `/` nor a `.` in front.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotName(String);

impl SnapshotName {
    /// Makes the name of a quick snapshot: what it is and when, sortable.
    pub fn of_moment(now: Timestamp) -> Self {
        Self(format!("vmdeck-{}", now.strftime("%Y%m%d-%H%M%S")))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<SnapshotName> for String {
    fn from(name: SnapshotName) -> Self {
        name.0
    }
}

impl TryFrom<String> for SnapshotName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for SnapshotName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let wrong = if text.is_empty() {
            Some("a snapshot needs a name")
        } else if text.chars().count() > MAX_NAME {
            Some("a snapshot's name has at most 100 characters")
        } else if text.starts_with(['.', '-']) {
            Some("a snapshot's name begins with neither `.` nor `-`")
        } else if text.contains(['/', '\\']) {
            Some("a snapshot's name holds neither `/` nor `\\`")
        } else if text.chars().any(is_unfit) {
            Some("a snapshot's name is one line without control characters")
        } else {
            None
        };
        match wrong {
            Some(why) => Err(why.to_owned()),
            None => Ok(Self(text.to_owned())),
        }
    }
}

fn is_unfit(c: char) -> bool {
    c.is_control() || is_hostile(c)
}

/// What a new snapshot is to be like.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NewSnapshot {
    /// Its name.
    pub name: SnapshotName,
    /// What to remember about it.
    pub description: Option<String>,
    /// Leave the memory of a running VM out.
    pub disk_only: bool,
    /// Ask the guest to bring its file systems to rest first.
    pub quiesce: bool,
}

impl NewSnapshot {
    /// Makes one with a name only.
    pub const fn named(name: SnapshotName) -> Self {
        Self {
            name,
            description: None,
            disk_only: false,
            quiesce: false,
        }
    }

    /// Takes a description; an empty one is none.
    pub fn described(mut self, text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().count() > MAX_DESCRIPTION {
            return Err("a description has at most 1000 characters".to_owned());
        }
        if text.chars().any(is_unfit) {
            return Err("a description is one line without control characters".to_owned());
        }
        self.description = (!text.is_empty()).then(|| text.to_owned());
        Ok(self)
    }
}

/// What goes with a snapshot that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeleteScope {
    /// Only this one; what is based on it is based on its parent then.
    #[default]
    This,
    /// This one and everything based on it.
    WithChildren,
}

/// A snapshot as it was chosen: by id, with the name that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chosen {
    /// Its id on the host.
    pub id: RemoteText,
    /// Its name when it was chosen: a label.
    pub name: RemoteText,
}

impl From<&VmSnapshot> for Chosen {
    fn from(snapshot: &VmSnapshot) -> Self {
        Self {
            id: snapshot.id.clone(),
            name: snapshot.name.clone(),
        }
    }
}

impl Chosen {
    /// Returns the snapshot of a tree that was chosen.
    pub fn among<'a>(&self, tree: &'a [VmSnapshot]) -> Option<&'a VmSnapshot> {
        tree.iter().find(|one| one.has_id(&self.id))
    }
}

/// What is asked about a VM's snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotRequest {
    /// Make one.
    Create(NewSnapshot),
    /// Bring the VM back to one.
    Revert(Chosen),
    /// Delete one.
    Delete(Chosen, DeleteScope),
}

impl SnapshotRequest {
    /// Returns the name of the snapshot it is about, as it is shown.
    pub fn name(&self) -> &str {
        match self {
            Self::Create(new) => new.name.as_str(),
            Self::Revert(chosen) | Self::Delete(chosen, _) => chosen.name.shown(),
        }
    }

    /// Returns the snapshot it is about, where that is already there.
    pub const fn chosen(&self) -> Option<&Chosen> {
        match self {
            Self::Create(_) => None,
            Self::Revert(chosen) | Self::Delete(chosen, _) => Some(chosen),
        }
    }

    /// Tells whether a tree read after it shows that it has been done.
    pub fn is_met_by(&self, tree: &[VmSnapshot]) -> bool {
        match self {
            Self::Create(new) => tree.iter().any(|one| one.name.raw() == new.name.as_str()),
            Self::Revert(chosen) => chosen.among(tree).is_some_and(|one| one.is_current),
            Self::Delete(chosen, _) => chosen.among(tree).is_none(),
        }
    }

    /// Says what of it a tree shows as done, where it was not done as a whole. `before` is the tree as it
    /// was when it was begun.
    pub fn part_done(&self, before: &[VmSnapshot], after: &[VmSnapshot]) -> Option<String> {
        let Self::Delete(chosen, DeleteScope::WithChildren) = self else {
            return None;
        };
        let root = chosen.among(before)?;
        let all: Vec<&VmSnapshot> = descendants(before, root);
        let wanted = all.len() + 1;
        let left = after
            .iter()
            .filter(|one| one.has_id(&root.id) || all.iter().any(|gone| gone.has_id(&one.id)))
            .count();
        (left > 0 && left < wanted).then(|| {
            let (gone, are) = (wanted - left, if left == 1 { "is" } else { "are" });
            format!("{gone} of {wanted} snapshots deleted, {left} {are} still there")
        })
    }
}

/// Says what a request means for the VM and those who use it; `tree` is what is known of its snapshots.
pub fn consequences(
    request: &SnapshotRequest,
    state: &PowerState,
    tree: Option<&[VmSnapshot]>,
) -> Vec<String> {
    let runs = matches!(state, PowerState::Running | PowerState::Paused);
    match request {
        SnapshotRequest::Create(new) if runs && !new.disk_only => {
            vec!["it may stand still while its memory is written".to_owned()]
        }
        SnapshotRequest::Create(new) if runs && !new.quiesce => vec![
            "its disks are as after a power cut: what the guest has not written yet is not in it"
                .to_owned(),
        ],
        SnapshotRequest::Create(_) => Vec::new(),
        SnapshotRequest::Revert(chosen) => {
            let found = tree.and_then(|tree| chosen.among(tree));
            of_revert(found, runs)
        }
        SnapshotRequest::Delete(chosen, scope) => {
            let tree = tree.unwrap_or_default();
            of_delete(chosen.among(tree), *scope, tree)
        }
    }
}

fn of_revert(found: Option<&VmSnapshot>, runs: bool) -> Vec<String> {
    let mut all = vec![
        "everything on its disks since then is lost, unless another snapshot holds it".to_owned(),
    ];
    if runs {
        all.push("it is running: what is in its memory now is lost".to_owned());
    }
    match found.map(|one| (one.has_memory, &one.state)) {
        Some((Some(true), _)) => {
            all.push("it goes on from the memory of that moment; its clock is then behind".into());
        }
        Some((Some(false), _)) => all.push("it is off afterwards".to_owned()),
        Some((None, _)) | None => {}
    }
    if found.and_then(|one| one.is_external) == Some(true) {
        all.push(
            "the snapshot is in files of its own: older libvirt refuses to go back to it".into(),
        );
    }
    all
}

fn of_delete(found: Option<&VmSnapshot>, scope: DeleteScope, tree: &[VmSnapshot]) -> Vec<String> {
    let mut all = vec!["there is no way back to that moment any more".to_owned()];
    let Some(found) = found else {
        return all;
    };
    let below = descendants(tree, found);
    match scope {
        DeleteScope::WithChildren if !below.is_empty() => {
            let names: Vec<&str> = below.iter().take(5).map(|one| one.name.shown()).collect();
            let more = below.len().saturating_sub(names.len());
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let names = names.join(", ");
            all.push(format!("what is based on it goes with it: {names}{more}"));
        }
        DeleteScope::This if !below.is_empty() => {
            let count = children(tree, found).count();
            let what = if count == 1 {
                "one snapshot is based on it and stays"
            } else {
                "the snapshots based on it stay"
            };
            all.push(format!("{what}: the disks are merged, which may take long"));
        }
        DeleteScope::This | DeleteScope::WithChildren => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn one(id: &str, parent: Option<&str>, taken: i64) -> VmSnapshot {
        VmSnapshot {
            parent: parent.map(RemoteText::new),
            taken: Some(at(taken)),
            ..VmSnapshot::new(RemoteText::new(id), RemoteText::new(id))
        }
    }

    fn tree() -> Vec<VmSnapshot> {
        ordered(vec![
            one("c", Some("b"), 30),
            one("a", None, 10),
            one("b", Some("a"), 20),
            one("d", Some("a"), 40),
        ])
    }

    fn ids(tree: &[VmSnapshot]) -> Vec<&str> {
        tree.iter().map(|one| one.id.raw()).collect()
    }

    #[test]
    fn parents_come_before_children_and_brothers_by_time() {
        assert_eq!(ids(&tree()), ["a", "b", "c", "d"]);
        assert_eq!(depths(&tree()), [0, 1, 2, 1]);
        let ring = ordered(vec![one("x", Some("y"), 1), one("y", Some("x"), 2)]);
        assert_eq!(ring.len(), 2);
        assert!(depths(&ring).iter().all(|depth| *depth <= 3));
    }

    #[test]
    fn names_in_other_case_are_two_snapshots_and_guids_are_one() {
        let tree = ordered(vec![
            one("a", None, 1),
            one("A", None, 5),
            one("c", Some("A"), 3),
        ]);
        assert_eq!(ids(&tree), ["a", "A", "c"]);
        let guid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        let upper = guid.to_ascii_uppercase();
        let tree = ordered(vec![
            one(guid, None, 1),
            one(&upper, None, 2),
            one("d", Some(&upper), 3),
        ]);
        assert_eq!(ids(&tree), [guid, "d"]);
    }

    #[test]
    fn what_is_below_is_found_and_a_ring_ends() {
        let tree = tree();
        let below = |id: &str| {
            let found = find(&tree, id).unwrap();
            descendants(&tree, found).len()
        };
        assert_eq!((below("a"), below("b"), below("d")), (3, 1, 0));
        let ring = vec![one("x", Some("y"), 1), one("y", Some("x"), 2)];
        assert_eq!(descendants(&ring, &ring[0]).len(), 1);
    }

    #[test]
    fn a_snapshot_is_found_by_id_then_by_a_name_that_is_its_alone() {
        let guid = "6C09BB55-D683-4DA0-8931-C9BF705F6480";
        let named =
            |id: &str, name: &str| VmSnapshot::new(RemoteText::new(id), RemoteText::new(name));
        let tree = vec![
            named(guid, "clean"),
            named("6c09bb55-d683-4da0-8931-c9bf705f6481", "twin"),
            named("6c09bb55-d683-4da0-8931-c9bf705f6482", "twin"),
        ];
        assert_eq!(
            find(&tree, &guid.to_lowercase()).unwrap().name.raw(),
            "clean"
        );
        assert_eq!(find(&tree, "clean").unwrap().id.raw(), guid);
        assert_eq!(find(&tree, "twin").unwrap_err(), NotFound::Ambiguous);
        assert_eq!(find(&tree, "none").unwrap_err(), NotFound::Missing);
        // Names of libvirt are ids and differ by case.
        let tree = vec![named("A", "A"), named("a", "a")];
        assert_eq!(find(&tree, "a").unwrap().id.raw(), "a");
    }

    #[test]
    fn names_that_a_host_or_a_command_line_takes_for_something_else_are_refused() {
        for bad in [
            "",
            "  ",
            ".x",
            "-x",
            "--name",
            "a/b",
            "a\\b",
            "a\nb",
            "a\u{1b}[2J",
            "\u{202e}x",
        ] {
            assert!(bad.parse::<SnapshotName>().is_err(), "{bad:?}");
        }
        for good in [
            "clean",
            "before upgrade",
            "naïve ☃",
            "it's; $(x)",
            "2026-11-22 11:00",
        ] {
            assert_eq!(good.parse::<SnapshotName>().unwrap().as_str(), good);
        }
        assert!("x".repeat(101).parse::<SnapshotName>().is_err());
        assert_eq!(
            SnapshotName::of_moment(at(0)).as_str(),
            "vmdeck-20231114-221320"
        );
    }

    #[test]
    fn the_goal_is_seen_in_the_tree() {
        let mut tree = tree();
        let b = Chosen::from(find(&tree, "b").unwrap());
        let create = SnapshotRequest::Create(NewSnapshot::named("b".parse().unwrap()));
        assert!(create.is_met_by(&tree));
        let revert = SnapshotRequest::Revert(b.clone());
        assert!(!revert.is_met_by(&tree));
        tree[1].is_current = true;
        assert!(revert.is_met_by(&tree));
        let delete = SnapshotRequest::Delete(b, DeleteScope::WithChildren);
        assert!(!delete.is_met_by(&tree));
        let before = tree.clone();
        tree.retain(|one| one.id.raw() != "c");
        assert_eq!(
            delete.part_done(&before, &tree).unwrap(),
            "1 of 2 snapshots deleted, 1 is still there"
        );
        tree.retain(|one| one.id.raw() != "b");
        assert!(delete.is_met_by(&tree));
        assert_eq!(delete.part_done(&before, &tree), None);
    }

    #[test]
    fn a_person_is_told_what_is_lost() {
        let tree = tree();
        let a = Chosen::from(find(&tree, "a").unwrap());
        let told = |request: &SnapshotRequest, state| {
            consequences(request, &state, Some(&tree)).join("; ")
        };
        let revert = SnapshotRequest::Revert(a.clone());
        assert!(told(&revert, PowerState::Running).contains("in its memory now is lost"));
        assert!(!told(&revert, PowerState::Stopped).contains("memory"));
        let with = SnapshotRequest::Delete(a.clone(), DeleteScope::WithChildren);
        assert!(told(&with, PowerState::Stopped).contains("goes with it: b, d, c"));
        let alone = SnapshotRequest::Delete(a, DeleteScope::This);
        assert!(told(&alone, PowerState::Stopped).contains("merged"));
    }

    proptest! {
        #[test]
        fn any_tree_is_ordered_whole_and_its_depths_end(
            edges in proptest::collection::vec((0u8..20, proptest::option::of(0u8..20), 0i64..50), 0..40)
        ) {
            let tree: Vec<VmSnapshot> = edges
                .iter()
                .map(|(id, parent, taken)| {
                    let parent = parent.map(|parent| parent.to_string());
                    one(&id.to_string(), parent.as_deref(), *taken)
                })
                .collect();
            let ids = |tree: &[VmSnapshot]| -> HashSet<RemoteText> {
                tree.iter().map(|one| one.id.clone()).collect()
            };
            let told = ids(&tree);
            let count = told.len();
            let tree = ordered(tree);
            prop_assert_eq!(tree.len(), count);
            prop_assert_eq!(ids(&tree), told);
            for (snapshot, depth) in tree.iter().zip(depths(&tree)) {
                prop_assert!(depth <= count + 1);
                prop_assert!(descendants(&tree, snapshot).len() <= count);
            }
        }
    }
}
