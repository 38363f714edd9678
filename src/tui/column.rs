//! The columns of the VM table: one row each. Widths depend on the terminal and on which columns are
//! on, never on what hosts say, so nothing moves when a value changes.
//!
//! To add a column: a variant of [`ColumnId`], a row of [`COLUMNS`], a function for its text and one for
//! what it sorts by.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::glyph;
use super::theme::Role;
use crate::domain::inventory::HostSnapshot;
use crate::domain::operation::Operation;
use crate::domain::text::fit_middle;
use crate::domain::units::{Age, Bytes, Percent};
use crate::domain::vm::{PowerState, Vm};

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
    pub key: fn(&Cell<'_>) -> SortKey,
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

/// What rows are ordered by. Unknown comes last in either direction.
#[derive(Debug, Clone, PartialEq)]
pub enum SortKey {
    /// A figure.
    Number(f64),
    /// A text, lower-case; digits in it count as numbers.
    Text(Box<str>),
    /// Nobody knows.
    Unknown,
}

impl SortKey {
    /// Compares two keys in a direction.
    pub fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let turn = |order: Ordering| if descending { order.reverse() } else { order };
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => turn(a.total_cmp(b)),
            (Self::Text(a), Self::Text(b)) => turn(natural(a, b)),
            (Self::Unknown, Self::Unknown) => Ordering::Equal,
            (Self::Unknown, _) | (Self::Text(_), Self::Number(_)) => Ordering::Greater,
            (_, Self::Unknown) | (Self::Number(_), Self::Text(_)) => Ordering::Less,
        }
    }
}

/// Compares texts so that `web-2` comes before `web-10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (left, rest_a) = digits(a);
                let (right, rest_b) = digits(b);
                let order = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
            (Some(x), Some(y)) => {
                if x != y {
                    return x.cmp(y);
                }
                a = a.get(1..).unwrap_or_default();
                b = b.get(1..).unwrap_or_default();
            }
        }
    }
}

/// Splits off leading digits, without their zeros.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    let zeros = number.iter().take_while(|byte| **byte == b'0').count();
    (number.get(zeros..).unwrap_or_default(), rest)
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
        ..column(ColumnId::State, "ST", 13, 16)
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
        ..column(ColumnId::Host, "HOST", 8, 11)
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
        key: |cell| text_key(tags(cell).as_deref()),
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

fn bit(text: impl Into<Cow<'static, str>>, role: Role) -> Bit {
    Bit {
        text: text.into(),
        role,
    }
}

fn unknown() -> Vec<Bit> {
    vec![bit(glyph::UNKNOWN, Role::Dim)]
}

fn plain(text: Option<String>) -> Vec<Bit> {
    match text {
        Some(text) if !text.is_empty() => vec![bit(text, Role::Text)],
        _ => unknown(),
    }
}

fn number(value: Option<f64>) -> SortKey {
    value.map_or(SortKey::Unknown, SortKey::Number)
}

fn bytes_key(value: Option<Bytes>) -> SortKey {
    number(value.map(Bytes::as_f64))
}

fn sum_key(a: Option<Bytes>, b: Option<Bytes>) -> SortKey {
    match (a, b) {
        (None, None) => SortKey::Unknown,
        (a, b) => SortKey::Number(a.unwrap_or_default().as_f64() + b.unwrap_or_default().as_f64()),
    }
}

fn text_key(text: Option<&str>) -> SortKey {
    text.map_or(SortKey::Unknown, |text| {
        SortKey::Text(text.to_lowercase().into())
    })
}

fn state_text(cell: &Cell<'_>) -> Vec<Bit> {
    if let Some(operation) = cell.operation {
        let doing = operation.plan.action.kind.spec().doing;
        let since = Age(operation.elapsed(cell.now)).to_string();
        let room = usize::from(cell.width).saturating_sub(3 + since.len());
        return vec![bit(
            format!("{} {} {since}", glyph::CHANGING, fit_middle(doing, room)),
            Role::Changing,
        )];
    }
    let state = &cell.vm.state;
    let word = match state {
        PowerState::Unknown(own) if !own.is_empty() => own.fit(usize::from(cell.width) - 2),
        known => known.word().to_owned(),
    };
    let word_role = match state {
        PowerState::Running => Role::Text,
        other => Role::of_state(other),
    };
    vec![
        bit(glyph::state(state), Role::of_state(state)),
        bit(format!(" {word}"), word_role),
    ]
}

fn state_key(cell: &Cell<'_>) -> SortKey {
    let order = match cell.vm.state {
        PowerState::Crashed => 0.0,
        PowerState::Unknown(_) => 1.0,
        PowerState::Starting | PowerState::Stopping => 2.0,
        PowerState::Running => 3.0,
        PowerState::Paused => 4.0,
        PowerState::Saved => 5.0,
        PowerState::Stopped => 6.0,
    };
    SortKey::Number(if cell.operation.is_some() { 2.0 } else { order })
}

fn name_text(cell: &Cell<'_>) -> Vec<Bit> {
    let role = match cell.vm.state {
        PowerState::Running => Role::Strong,
        _ => Role::Text,
    };
    vec![bit(cell.vm.name.fit(usize::from(cell.width)), role)]
}

fn name_key(cell: &Cell<'_>) -> SortKey {
    text_key(Some(cell.vm.name.shown()))
}

fn host_text(cell: &Cell<'_>) -> Vec<Bit> {
    let tier = cell.host.spec.tier.as_ref();
    let role = Role::of_tier(tier.map(crate::domain::host::Tier::as_str));
    let room = usize::from(cell.width);
    let name = cell.host.spec.name.as_str();
    if tier.is_some_and(crate::domain::host::Tier::is_prod) {
        let name = fit_middle(name, room.saturating_sub(2));
        vec![bit(format!("{name} {}", glyph::PROD), role)]
    } else {
        vec![bit(fit_middle(name, room), role)]
    }
}

fn host_key(cell: &Cell<'_>) -> SortKey {
    text_key(Some(cell.host.spec.name.as_str()))
}

/// Returns the short mark of the hypervisor, where it is known or fixed.
pub fn kind_mark(host: &HostSnapshot) -> Option<&'static str> {
    host.capabilities
        .as_ref()
        .map(|found| found.kind)
        .or_else(|| host.spec.kind.fixed())
        .map(crate::domain::host::HypervisorKind::short)
}

fn kind_text(cell: &Cell<'_>) -> Vec<Bit> {
    kind_mark(cell.host).map_or_else(unknown, |mark| vec![bit(mark, Role::Dim)])
}

fn kind_key(cell: &Cell<'_>) -> SortKey {
    text_key(kind_mark(cell.host))
}

/// Returns the role of a share in percent.
pub fn load_role(percent: f64) -> Role {
    if percent >= 85.0 {
        Role::High
    } else if percent >= 50.0 {
        Role::Middle
    } else {
        Role::Low
    }
}

fn cpu_text(cell: &Cell<'_>) -> Vec<Bit> {
    let Some(cpu) = cell.vm.stats.cpu else {
        return unknown();
    };
    let role = load_role(cpu.value());
    let sparks: String = cell
        .history
        .iter()
        .map(|load| glyph::spark(f64::from(*load)))
        .collect();
    let figure = format!("{:>4}", format!("{cpu}"));
    let figure_role = match role {
        Role::High => Role::High,
        _ => Role::Text,
    };
    vec![bit(sparks, role), bit(figure, figure_role)]
}

fn memory_text(cell: &Cell<'_>) -> Vec<Bit> {
    let stats = &cell.vm.stats;
    share(
        stats.memory_used,
        stats.memory_assigned,
        !stats.memory_from_guest,
    )
}

/// Shows `used/total` in the unit of the total; `~` marks a figure that is only the host's.
pub fn share(used: Option<Bytes>, total: Option<Bytes>, rough: bool) -> Vec<Bit> {
    let Some(scale) = total.or(used) else {
        return unknown();
    };
    let (divisor, unit) = unit_of(scale);
    let show = |bytes: Option<Bytes>| match bytes {
        None => glyph::UNKNOWN.to_owned(),
        Some(bytes) => {
            let value = bytes.as_f64() / divisor;
            if value >= 99.95 {
                format!("{value:.0}")
            } else {
                format!("{value:.1}")
            }
        }
    };
    let mark = if rough && used.is_some() { "~" } else { "" };
    let full = used
        .zip(total)
        .and_then(|(used, total)| used.percent_of(total))
        .is_some_and(|percent| percent.value() >= 90.0);
    let role = match (used, full) {
        (None, _) => Role::Dim,
        (Some(_), true) => Role::High,
        (Some(_), false) => Role::Text,
    };
    vec![
        bit(format!("{mark}{}", show(used)), role),
        bit(format!("/{:>4} {unit}", show(total)), Role::Dim),
    ]
}

fn unit_of(bytes: Bytes) -> (f64, &'static str) {
    let mut divisor = 1.0;
    let mut unit = "B";
    for next in ["K", "M", "G", "T", "P"] {
        if bytes.as_f64() / divisor < 1000.0 {
            break;
        }
        divisor *= 1024.0;
        unit = next;
    }
    (divisor, unit)
}

/// Shows two rates beside each other.
fn pair(a: Option<Bytes>, b: Option<Bytes>) -> Vec<Bit> {
    if a.is_none() && b.is_none() {
        return unknown();
    }
    let show = |bytes: Option<Bytes>| {
        bytes.map_or_else(
            || glyph::UNKNOWN.to_owned(),
            |bytes| bytes.to_string().replace(' ', ""),
        )
    };
    vec![bit(format!("{}/{:>5}", show(a), show(b)), Role::Text)]
}

fn address_text(cell: &Cell<'_>) -> Vec<Bit> {
    let first = cell.vm.facts.addresses.as_ref().and_then(|all| all.first());
    first.map_or_else(unknown, |address| {
        let room = usize::from(cell.width).saturating_sub(2);
        vec![
            bit(format!("{} ", address.source.mark()), Role::Dim),
            bit(fit_middle(&address.ip.to_string(), room), Role::Text),
        ]
    })
}

fn address_key(cell: &Cell<'_>) -> SortKey {
    let first = cell.vm.facts.addresses.as_ref().and_then(|all| all.first());
    text_key(first.map(|address| address.ip.to_string()).as_deref())
}

fn snapshots_text(cell: &Cell<'_>) -> Vec<Bit> {
    match cell.vm.facts.snapshots {
        None => unknown(),
        Some(0) => vec![bit("0", Role::Dim)],
        Some(n) if n >= 10 => vec![bit(n.to_string(), Role::Warning)],
        Some(n) => vec![bit(n.to_string(), Role::Text)],
    }
}

fn age_text(cell: &Cell<'_>) -> Vec<Bit> {
    if !cell.host.is_stale(cell.now) {
        return Vec::new();
    }
    match cell.host.age(cell.now) {
        Some(age) => vec![bit(Age(age).to_string(), age_role(age))],
        None => unknown(),
    }
}

fn age_role(age: Duration) -> Role {
    if age >= Duration::from_secs(60) {
        Role::Warning
    } else {
        Role::Dim
    }
}

fn tags(cell: &Cell<'_>) -> Option<String> {
    let tags = &cell.host.spec.tags;
    let words: Vec<&str> = tags.iter().map(crate::domain::host::Tag::as_str).collect();
    (!words.is_empty()).then(|| fit_middle(&words.join(","), usize::from(cell.width.max(8))))
}

fn note<'a>(cell: &Cell<'a>) -> Option<&'a str> {
    let facts = &cell.vm.facts;
    facts
        .title
        .as_ref()
        .or(facts.description.as_ref())
        .map(crate::domain::text::RemoteText::shown)
}

/// A column with its place in a line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The column.
    pub column: &'static Column,
    /// First terminal column, counted from the left edge of the table.
    pub x: u16,
    /// Width.
    pub width: u16,
}

/// Which columns stand where on a line of this width.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// The columns that are seen.
    pub slots: Vec<Slot>,
    /// Whether columns are hidden to the left.
    pub more_left: bool,
    /// Whether columns are hidden to the right.
    pub more_right: bool,
}

/// Columns at the left edge that belong to the cursor and the mark.
pub const MARGIN: u16 = 3;

/// The widest a name is shown.
const NAME_MAX: u16 = 40;

/// Lays columns out; `scroll` of the middle ones are hidden at the left.
pub fn layout(total: u16, wide: bool, scroll: usize) -> Layout {
    let gap = if total >= ROOMY { 2 } else { 1 };
    let size = |column: &Column| {
        if total >= ROOMY {
            column.roomy
        } else {
            column.narrow
        }
    };
    let of = |place: Place| {
        COLUMNS
            .iter()
            .filter(move |column| column.place == place && (wide || !column.wide))
    };
    let mut left: Vec<(&'static Column, u16)> = of(Place::Left).map(|c| (c, size(c))).collect();
    let right: Vec<(&'static Column, u16)> = of(Place::Right).map(|c| (c, size(c))).collect();
    let middle: Vec<(&'static Column, u16)> = of(Place::Middle).map(|c| (c, size(c))).collect();
    let taken =
        |columns: &[(&Column, u16)]| -> u16 { columns.iter().map(|(_, width)| width + gap).sum() };
    let mut room = total.saturating_sub(MARGIN + taken(&left) + taken(&right));
    let scroll = scroll.min(middle.len().saturating_sub(1));
    let mut shown = Vec::new();
    for (column, width) in middle.iter().skip(scroll) {
        let Some(rest) = room.checked_sub(width + gap) else {
            break;
        };
        room = rest;
        shown.push((*column, *width));
    }
    let more_right = scroll + shown.len() < middle.len();
    if let Some((_, name)) = left.iter_mut().find(|(c, _)| c.id == ColumnId::Name) {
        *name = (*name + room).min(NAME_MAX);
    }
    let mut x = MARGIN;
    let mut slots = Vec::new();
    for (column, width) in left.into_iter().chain(shown) {
        slots.push(Slot { column, x, width });
        x += width + gap;
    }
    let mut end = total.saturating_sub(1);
    for (column, width) in right.into_iter().rev() {
        let start = end.saturating_sub(width);
        if start + 1 >= x {
            slots.push(Slot {
                column,
                x: start,
                width,
            });
            end = start.saturating_sub(gap);
        }
    }
    slots.retain(|slot| slot.x + slot.width <= total);
    Layout {
        slots,
        more_left: scroll > 0,
        more_right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet;

    #[test]
    fn columns_never_overlap_and_never_leave_the_line() {
        for total in 0..260 {
            for wide in [false, true] {
                for scroll in 0..20 {
                    let mut slots = layout(total, wide, scroll).slots;
                    slots.sort_by_key(|slot| slot.x);
                    for pair in slots.windows(2) {
                        assert!(pair[0].x + pair[0].width < pair[1].x, "{total} {scroll}");
                    }
                    if let Some(last) = slots.last() {
                        assert!(last.x + last.width <= total, "{total} {scroll}");
                    }
                }
            }
        }
    }

    #[test]
    fn eighty_columns_show_state_name_host_load_memory_and_age() {
        let titles: Vec<&str> = layout(80, false, 0)
            .slots
            .iter()
            .map(|slot| slot.column.title)
            .collect();
        assert_eq!(titles, ["ST", "NAME", "HOST", "HV", "CPU%", "MEM", "AGE"]);
        assert!(layout(80, false, 0).more_right);
        assert!(!layout(120, false, 0).more_right);
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names =
            ["web-10", "web-2", "web-02b", "Web-1", "web"].map(|name| text_key(Some(name)));
        names.sort_by(|a, b| a.compare(b, false));
        let order = names.map(|key| match key {
            SortKey::Text(text) => text.into_string(),
            other => panic!("{other:?}"),
        });
        assert_eq!(order, ["web", "web-1", "web-2", "web-02b", "web-10"]);
    }

    #[test]
    fn unknown_comes_last_in_both_directions() {
        for descending in [false, true] {
            let known = SortKey::Number(1.0);
            assert_eq!(known.compare(&SortKey::Unknown, descending), Ordering::Less);
        }
    }

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
