//! The columns of the VM table: one row each. Widths depend on the terminal and on which columns are
//! on, never on what hosts say, so nothing moves when a value changes.
//!
//! To add a column: a variant of [`ColumnId`], a row of [`COLUMNS`], a function for its text and one for
//! what it sorts by.

mod cells;
mod choice;
mod layout;
mod sort;

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

pub use self::cells::{kind_mark, load_role, share};
pub use self::choice::Columns;
pub use self::layout::{Layout, MARGIN, Slot, layout};
pub(super) use self::sort::{SortKey, bytes_key, number, text_key};

use self::cells::{
    address_key, address_text, age_text, bit, cpu_text, host_key, host_text, kind_key, kind_text,
    memory_text, name_key, name_text, note, pair, plain, snapshots_text, state_key, state_text,
    tags,
};
use self::sort::sum_key;
use super::theme::Role;
use crate::domain::inventory::HostSnapshot;
use crate::domain::operation::Operation;
use crate::domain::text::fit_middle;
use crate::domain::units::{Age, Percent};
use crate::domain::vm::Vm;

/// Identity of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnId {
    /// Power state.
    State,
    /// Name.
    Name,
    /// Host.
    Host,
    /// Hypervisor.
    Kind,
    /// Processor load.
    Cpu,
    /// Memory.
    Memory,
    /// First address.
    Address,
    /// Time since start.
    Uptime,
    /// Number of VM snapshots.
    Snapshots,
    /// Age of the row.
    Age,
    /// Virtual processors.
    Vcpus,
    /// Disk traffic.
    Disk,
    /// Network traffic.
    Net,
    /// Disk space.
    Storage,
    /// Started with the host.
    Autostart,
    /// Operating system.
    Os,
    /// Labels of the host.
    Tags,
    /// What a person wrote about it.
    Note,
    /// First digits of the id.
    Id,
}

/// Where a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the left, always there.
    Left,
    /// Between, scrolled sideways.
    Middle,
    /// At the right, always there.
    Right,
}

/// One row of the table of columns.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Identity.
    pub id: ColumnId,
    /// Title, and its name in the sort picker.
    pub title: &'static str,
    /// Width below [`ROOMY`] terminal columns.
    pub narrow: u16,
    /// Width from there on.
    pub roomy: u16,
    /// Whether text ends at the right edge.
    pub right: bool,
    /// Where it stands.
    pub place: Place,
    /// Only in the wide set.
    pub wide: bool,
    /// What it shows.
    pub text: fn(&Cell<'_>) -> Vec<Bit>,
    /// What it sorts by.
    pub key: for<'a> fn(&Cell<'a>) -> SortKey<'a>,
}

/// From this many terminal columns on there is room for comfort.
pub const ROOMY: u16 = 110;

/// What a column is shown and sorted from.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// The host the VM is on.
    pub host: &'a HostSnapshot,
    /// The VM.
    pub vm: &'a Vm,
    /// The time of the frame.
    pub now: Timestamp,
    /// The operation under way on it.
    pub operation: Option<&'a Operation>,
    /// Its last loads in percent, oldest first.
    pub history: &'a [u8],
    /// Age from which on a VM snapshot is old.
    pub old_snapshot: Duration,
    /// Width of the column, for texts that are cut in a way of their own.
    pub width: u16,
}

/// A piece of a cell.
#[derive(Debug, Clone)]
pub struct Bit {
    /// The text.
    pub text: Cow<'static, str>,
    /// What it means.
    pub role: Role,
}

const fn column(id: ColumnId, title: &'static str, narrow: u16, roomy: u16) -> Column {
    Column {
        id,
        title,
        narrow,
        roomy,
        right: false,
        place: Place::Middle,
        wide: false,
        text: state_text,
        key: state_key,
    }
}

/// Every column, in order.
pub const COLUMNS: &[Column] = &[
    Column {
        place: Place::Left,
        ..column(ColumnId::State, "ST", 13, 14)
    },
    Column {
        place: Place::Left,
        text: name_text,
        key: name_key,
        ..column(ColumnId::Name, "NAME", 12, 14)
    },
    Column {
        place: Place::Left,
        text: host_text,
        key: host_key,
        ..column(ColumnId::Host, "HOST", 10, 13)
    },
    Column {
        text: kind_text,
        key: kind_key,
        ..column(ColumnId::Kind, "HV", 3, 3)
    },
    Column {
        right: true,
        text: cpu_text,
        key: |cell| number(cell.vm.stats.cpu.map(Percent::value)),
        ..column(ColumnId::Cpu, "CPU%", 8, 8)
    },
    Column {
        right: true,
        text: memory_text,
        key: |cell| bytes_key(cell.vm.stats.memory_used),
        ..column(ColumnId::Memory, "MEM", 12, 12)
    },
    Column {
        text: address_text,
        key: address_key,
        ..column(ColumnId::Address, "IP", 15, 17)
    },
    Column {
        right: true,
        text: |cell| plain(cell.vm.stats.uptime.map(|up| Age(up).to_string())),
        key: |cell| number(cell.vm.stats.uptime.map(|up| up.as_secs_f64())),
        ..column(ColumnId::Uptime, "UPTIME", 6, 6)
    },
    Column {
        right: true,
        text: snapshots_text,
        key: |cell| number(cell.vm.facts.snapshots.map(f64::from)),
        ..column(ColumnId::Snapshots, "SNAP", 4, 4)
    },
    Column {
        wide: true,
        right: true,
        text: |cell| plain(cell.vm.stats.vcpus.map(|n| n.to_string())),
        key: |cell| number(cell.vm.stats.vcpus.map(f64::from)),
        ..column(ColumnId::Vcpus, "VCPU", 4, 4)
    },
    Column {
        wide: true,
        right: true,
        text: |cell| pair(cell.vm.stats.disk_read, cell.vm.stats.disk_write),
        key: |cell| sum_key(cell.vm.stats.disk_read, cell.vm.stats.disk_write),
        ..column(ColumnId::Disk, "DISK r/w", 11, 11)
    },
    Column {
        wide: true,
        right: true,
        text: |cell| pair(cell.vm.stats.net_rx, cell.vm.stats.net_tx),
        key: |cell| sum_key(cell.vm.stats.net_rx, cell.vm.stats.net_tx),
        ..column(ColumnId::Net, "NET rx/tx", 11, 11)
    },
    Column {
        wide: true,
        right: true,
        text: |cell| {
            share(
                cell.vm.stats.disk_allocated,
                cell.vm.stats.disk_capacity,
                false,
            )
        },
        key: |cell| bytes_key(cell.vm.stats.disk_allocated),
        ..column(ColumnId::Storage, "DISK", 12, 12)
    },
    Column {
        wide: true,
        text: |cell| {
            plain(
                cell.vm
                    .facts
                    .autostart
                    .map(|on| if on { "yes" } else { "no" }.into()),
            )
        },
        key: |cell| number(cell.vm.facts.autostart.map(|on| f64::from(u8::from(on)))),
        ..column(ColumnId::Autostart, "AUTO", 4, 4)
    },
    Column {
        wide: true,
        text: |cell| {
            plain(
                cell.vm
                    .facts
                    .os
                    .as_ref()
                    .map(|os| os.fit(usize::from(cell.width))),
            )
        },
        key: |cell| {
            text_key(
                cell.vm
                    .facts
                    .os
                    .as_ref()
                    .map(crate::domain::text::RemoteText::shown),
            )
        },
        ..column(ColumnId::Os, "OS", 12, 14)
    },
    Column {
        wide: true,
        text: |cell| plain(tags(cell)),
        key: |cell| text_key(tags(cell)),
        ..column(ColumnId::Tags, "TAGS", 10, 12)
    },
    Column {
        wide: true,
        text: |cell| plain(note(cell).map(|note| fit_middle(note, usize::from(cell.width)))),
        key: |cell| text_key(note(cell)),
        ..column(ColumnId::Note, "NOTE", 12, 18)
    },
    Column {
        wide: true,
        text: |cell| vec![bit(cell.vm.id.short().to_owned(), Role::Dim)],
        key: |cell| text_key(Some(cell.vm.id.as_str())),
        ..column(ColumnId::Id, "ID", 8, 8)
    },
    Column {
        right: true,
        place: Place::Right,
        text: age_text,
        key: |cell| number(cell.host.age(cell.now).map(|age| age.as_secs_f64())),
        ..column(ColumnId::Age, "AGE", 4, 4)
    },
];

impl ColumnId {
    /// Returns this column's row.
    pub fn column(self) -> Option<&'static Column> {
        COLUMNS.iter().find(|column| column.id == self)
    }

    /// Returns its name where it is written down.
    pub const fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "name",
            Self::Host => "host",
            Self::Kind => "kind",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Address => "address",
            Self::Uptime => "uptime",
            Self::Snapshots => "snapshots",
            Self::Age => "age",
            Self::Vcpus => "vcpus",
            Self::Disk => "disk-traffic",
            Self::Net => "network-traffic",
            Self::Storage => "disk",
            Self::Autostart => "autostart",
            Self::Os => "os",
            Self::Tags => "tags",
            Self::Note => "note",
            Self::Id => "id",
        }
    }

    /// Finds a column by that name.
    pub fn of_word(word: &str) -> Option<Self> {
        COLUMNS
            .iter()
            .map(|column| column.id)
            .find(|id| id.word() == word)
    }

    /// Returns whether sorting by it starts with the largest.
    pub const fn largest_first(self) -> bool {
        matches!(
            self,
            Self::Cpu
                | Self::Memory
                | Self::Uptime
                | Self::Snapshots
                | Self::Age
                | Self::Vcpus
                | Self::Disk
                | Self::Net
                | Self::Storage
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vm::PowerState;
    use crate::testing::fleet;

    #[test]
    fn a_value_nobody_knows_is_never_shown_as_zero() {
        let fleet = fleet::small();
        let host = &fleet.hosts[0];
        let bare = Vm::new(fleet::vm_id(9, 9), "bare".into(), PowerState::Stopped);
        let cell = Cell {
            host,
            vm: &bare,
            now: fleet::now(),
            operation: None,
            history: &[],
            old_snapshot: Duration::MAX,
            width: 12,
        };
        for column in COLUMNS {
            if matches!(
                column.id,
                ColumnId::State
                    | ColumnId::Name
                    | ColumnId::Host
                    | ColumnId::Kind
                    | ColumnId::Age
                    | ColumnId::Tags
                    | ColumnId::Id
            ) {
                continue;
            }
            let text: String = (column.text)(&cell)
                .iter()
                .map(|bit| bit.text.as_ref())
                .collect();
            assert_eq!(text, "–", "{}", column.title);
            assert_eq!((column.key)(&cell), SortKey::Unknown, "{}", column.title);
        }
    }
}
