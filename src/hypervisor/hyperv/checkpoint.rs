//! Checkpoints, out of the rows that scripts tell: of one VM, and of all VMs of a host. Pure. Sources:
//! Microsoft's pages on `Msvm_VirtualSystemSettingData` and `Msvm_MostCurrentSnapshotInBranch`.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::parse::{self, rows};
use crate::domain::snapshot::{VmSnapshot, ordered};
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, VmId};

/// `VMState` of a VM that is off, which a checkpoint without memory has too.
const VM_IS_OFF: i64 = 3;

/// An id that stands for none.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// A checkpoint as a script tells it: the one about a VM, and the one about all of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Point {
    id: RemoteText,
    name: RemoteText,
    parent: Option<RemoteText>,
    created: Option<String>,
    notes: Option<RemoteText>,
    /// `VMState` of the VM in it; saved or running where its memory is in it.
    state: Option<i64>,
}

/// Makes checkpoints of what a script told, parents before children. `current` names the one that the VM
/// goes on from, by an id or a path that holds it.
pub(crate) fn tree(points: Vec<Point>, current: Option<&str>) -> Vec<VmSnapshot> {
    // CIM names a checkpoint by its instance id, and a parent by a path of that.
    let guid = |text: &str| parse::guid_in(text).filter(|id| id.as_str() != NO_ID);
    let bare = |text: &RemoteText| {
        guid(text.raw()).map_or_else(|| text.clone(), |id| RemoteText::new(id.as_str()))
    };
    let current = current.and_then(guid);
    let points = points.into_iter().map(|point| VmSnapshot {
        is_current: current.is_some() && guid(point.id.raw()) == current,
        taken: point.created.and_then(|text| text.parse().ok()),
        parent: point
            .parent
            .filter(|parent| !parent.is_empty() && !parent.raw().contains(NO_ID))
            .map(|parent| bare(&parent)),
        description: point.notes.filter(|notes| !notes.raw().trim().is_empty()),
        has_memory: point.state.map(|state| state != VM_IS_OFF),
        // Of one without memory it is not told whether the VM was off, or its guest at rest.
        state: point
            .state
            .filter(|state| *state != VM_IS_OFF)
            .map(|_| PowerState::Running),
        ..VmSnapshot::new(bare(&point.id), point.name)
    });
    ordered(points.collect())
}

/// The checkpoints of one VM, as the rows tell them.
#[derive(Debug, Default)]
pub(crate) struct Points {
    rows: Vec<Value>,
    current: Option<String>,
}

impl Points {
    /// Returns how many there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    /// Makes a tree of them; none where a row says no more than which VM it belongs to. What is in a
    /// checkpoint never changes and these rows do not tell it: it is taken from how they were known `before`.
    pub(crate) fn tree(self, before: &[VmSnapshot]) -> Option<Arc<[VmSnapshot]>> {
        let rows = self.rows.into_iter();
        let points: Result<Vec<Point>, _> = rows.map(Point::deserialize).collect();
        let mut tree = tree(points.ok()?, self.current.as_deref());
        for point in &mut tree {
            if let Some(known) = before.iter().find(|known| known.id == point.id) {
                point.has_memory = point.has_memory.or(known.has_memory);
                point.state = point.state.take().or_else(|| known.state.clone());
                point.description = point
                    .description
                    .take()
                    .or_else(|| known.description.clone());
            }
        }
        Some(Arc::from(tree))
    }
}

/// Gathers the rows about checkpoints by VM.
pub(crate) fn gathered(data: &mut Value) -> HashMap<VmId, Points> {
    let mut points: HashMap<VmId, Points> = HashMap::new();
    for row in rows(data, "checkpoints") {
        let vm = row.as_str().or_else(|| row.get("vm")?.as_str());
        if let Some(vm) = vm.and_then(VmId::parse) {
            points.entry(vm).or_default().rows.push(row);
        }
    }
    for row in rows(data, "current") {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        if let Some(of_vm) = text("vm")
            .and_then(VmId::parse)
            .and_then(|vm| points.get_mut(&vm))
        {
            of_vm.current = text("id").map(str::to_owned);
        }
    }
    points
}
