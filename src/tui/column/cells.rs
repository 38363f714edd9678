//! What the cells of the VM table say, and what they are sorted by.

use std::borrow::Cow;
use std::time::Duration;

use super::sort::text_key;
use super::{Bit, Cell, SortKey};
use crate::domain::inventory::HostSnapshot;
use crate::domain::text::fit_middle;
use crate::domain::units::{Age, Bytes};
use crate::domain::vm::PowerState;
use crate::tui::glyph;
use crate::tui::theme::Role;

pub(super) fn bit(text: impl Into<Cow<'static, str>>, role: Role) -> Bit {
    Bit {
        text: text.into(),
        role,
    }
}

pub(super) fn unknown() -> Vec<Bit> {
    vec![bit(glyph::UNKNOWN, Role::Dim)]
}

pub(super) fn plain(text: Option<String>) -> Vec<Bit> {
    match text {
        Some(text) if !text.is_empty() => vec![bit(text, Role::Text)],
        _ => unknown(),
    }
}

pub(super) fn state_text(cell: &Cell<'_>) -> Vec<Bit> {
    if let Some(operation) = cell.operation {
        let doing = operation.plan.action.kind.spec().doing;
        // How far it is says more than how long it has taken.
        let percent = operation.progress.as_ref().and_then(|it| it.percent);
        let end = percent.map_or_else(
            || Age(operation.elapsed(cell.now)).to_string(),
            |percent| format!("{percent}%"),
        );
        let room = usize::from(cell.width).saturating_sub(3 + end.len());
        return vec![bit(
            format!("{} {} {end}", glyph::CHANGING, fit_middle(doing, room)),
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

pub(super) fn state_key(cell: &Cell<'_>) -> SortKey<'static> {
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

pub(super) fn name_text(cell: &Cell<'_>) -> Vec<Bit> {
    let role = match cell.vm.state {
        PowerState::Running => Role::Strong,
        _ => Role::Text,
    };
    vec![bit(cell.vm.name.fit(usize::from(cell.width)), role)]
}

pub(super) fn name_key<'a>(cell: &Cell<'a>) -> SortKey<'a> {
    text_key(Some(cell.vm.name.shown()))
}

pub(super) fn host_text(cell: &Cell<'_>) -> Vec<Bit> {
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

pub(super) fn host_key<'a>(cell: &Cell<'a>) -> SortKey<'a> {
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

pub(super) fn kind_text(cell: &Cell<'_>) -> Vec<Bit> {
    kind_mark(cell.host).map_or_else(unknown, |mark| vec![bit(mark, Role::Dim)])
}

pub(super) fn kind_key<'a>(cell: &Cell<'a>) -> SortKey<'a> {
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

pub(super) fn cpu_text(cell: &Cell<'_>) -> Vec<Bit> {
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

pub(super) fn memory_text(cell: &Cell<'_>) -> Vec<Bit> {
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

pub(super) fn unit_of(bytes: Bytes) -> (f64, &'static str) {
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
pub(super) fn pair(a: Option<Bytes>, b: Option<Bytes>) -> Vec<Bit> {
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

pub(super) fn address_text(cell: &Cell<'_>) -> Vec<Bit> {
    let first = cell.vm.facts.addresses.as_ref().and_then(|all| all.first());
    first.map_or_else(unknown, |address| {
        let room = usize::from(cell.width).saturating_sub(2);
        vec![
            bit(format!("{} ", address.source.mark()), Role::Dim),
            bit(fit_middle(&address.ip.to_string(), room), Role::Text),
        ]
    })
}

pub(super) fn address_key<'a>(cell: &Cell<'a>) -> SortKey<'a> {
    let first = cell.vm.facts.addresses.as_ref().and_then(|all| all.first());
    text_key(first.map(|address| address.ip.to_string()))
}

pub(super) fn snapshots_text(cell: &Cell<'_>) -> Vec<Bit> {
    match cell.vm.facts.snapshots {
        None => unknown(),
        Some(0) => vec![bit("0", Role::Dim)],
        Some(n) if n >= 10 || has_old_snapshot(cell) => vec![bit(n.to_string(), Role::Warning)],
        Some(n) => vec![bit(n.to_string(), Role::Text)],
    }
}

/// Tells whether the oldest snapshot is old: nobody goes back to it any more, and every one takes room.
fn has_old_snapshot(cell: &Cell<'_>) -> bool {
    let tree = cell.vm.facts.snapshot_tree.as_deref().unwrap_or_default();
    let ages = tree.iter().filter_map(|one| one.age(cell.now));
    ages.max().is_some_and(|age| age > cell.old_snapshot)
}

pub(super) fn age_text(cell: &Cell<'_>) -> Vec<Bit> {
    if !cell.host.is_stale(cell.now) {
        return Vec::new();
    }
    match cell.host.age(cell.now) {
        Some(age) => vec![bit(Age(age).to_string(), age_role(age))],
        None => unknown(),
    }
}

pub(super) fn age_role(age: Duration) -> Role {
    if age >= Duration::from_secs(60) {
        Role::Warning
    } else {
        Role::Dim
    }
}

pub(super) fn tags(cell: &Cell<'_>) -> Option<String> {
    let tags = &cell.host.spec.tags;
    let words: Vec<&str> = tags.iter().map(crate::domain::host::Tag::as_str).collect();
    (!words.is_empty()).then(|| fit_middle(&words.join(","), usize::from(cell.width.max(8))))
}

pub(super) fn note<'a>(cell: &Cell<'a>) -> Option<&'a str> {
    let facts = &cell.vm.facts;
    facts
        .title
        .as_ref()
        .or(facts.description.as_ref())
        .map(crate::domain::text::RemoteText::shown)
}
