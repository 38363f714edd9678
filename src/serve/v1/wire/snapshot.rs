//! VM snapshots on the wire, and what is said about a new one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::snapshot::{NewSnapshot, SnapshotName, VmSnapshot, depths};
use crate::domain::text::RemoteText;

/// One snapshot of a VM.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Snapshot {
    /// Its id on the host: on libvirt its name.
    #[schema(value_type = String)]
    id: RemoteText,
    /// Its name.
    #[schema(value_type = String)]
    name: RemoteText,
    /// Id of the snapshot it is based on; null for a root.
    #[schema(value_type = Option<String>)]
    parent: Option<RemoteText>,
    /// How many snapshots it is based on.
    depth: u64,
    /// When it was made.
    taken_at: Option<String>,
    /// Whether the VM goes on from it.
    current: bool,
    /// The state the VM was in.
    state: Option<String>,
    /// Whether it holds the memory of the VM.
    has_memory: Option<bool>,
    /// Whether its data is in files of its own.
    external: Option<bool>,
    /// What a person remembers about it.
    #[schema(value_type = Option<String>)]
    description: Option<RemoteText>,
    /// What it takes on the host.
    size_bytes: Option<u64>,
}

/// The snapshots of one VM, parents before children.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct Snapshots {
    /// The snapshots.
    items: Vec<Snapshot>,
    /// How many there are.
    total: u64,
}

impl From<&[VmSnapshot]> for Snapshots {
    fn from(tree: &[VmSnapshot]) -> Self {
        let items: Vec<Snapshot> = tree
            .iter()
            .zip(depths(tree))
            .map(|(one, depth)| Snapshot {
                id: one.id.clone(),
                name: one.name.clone(),
                parent: one.parent.clone(),
                depth: u64::try_from(depth).unwrap_or(u64::MAX),
                taken_at: one.taken.map(|at| at.to_string()),
                current: one.is_current,
                state: one.state.as_ref().map(|state| state.word().to_owned()),
                has_memory: one.has_memory,
                external: one.is_external,
                description: one.description.clone(),
                size_bytes: one.size.map(|bytes| bytes.0),
            })
            .collect();
        Self {
            total: u64::try_from(items.len()).unwrap_or(u64::MAX),
            items,
        }
    }
}

/// What a new snapshot is to be like. Everything may be left out.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::serve) struct SnapshotInput {
    /// Its name; `vmdeck-` and the time where it is left out.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// What to remember about it (libvirt).
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Leave the memory of a running VM out (libvirt).
    disk_only: bool,
    /// Ask the guest's agent to bring its file systems to rest first (libvirt, with `disk_only`).
    quiesce: bool,
}

impl SnapshotInput {
    /// Checks it word by word.
    pub(in crate::serve) fn into_new(self, now: jiff::Timestamp) -> Result<NewSnapshot, Failure> {
        let usage = |why: String| Failure::new(ErrorKind::Usage, why);
        let name = match self.name {
            Some(name) => name.parse().map_err(usage)?,
            None => SnapshotName::of_moment(now),
        };
        if self.quiesce && !self.disk_only {
            return Err(usage("`quiesce` needs `disk_only`".to_owned()));
        }
        let described =
            NewSnapshot::named(name).described(self.description.as_deref().unwrap_or_default());
        Ok(NewSnapshot {
            disk_only: self.disk_only,
            quiesce: self.quiesce,
            ..described.map_err(usage)?
        })
    }
}
