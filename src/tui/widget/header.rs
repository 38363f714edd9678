//! The fleet at a glance: profile and lock, hosts and which of them are in trouble, VMs, load, what is
//! under way. What does not fit is left out from the end.

use std::sync::Arc;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{self, Piece};
use crate::domain::health::HostHealth;
use crate::domain::inventory::{AuditState, FleetSnapshot, HostSnapshot, LockState};
use crate::domain::units::{Age, Bytes};
use crate::domain::vm::PowerState;
use crate::tui::glyph;
use crate::tui::theme::{Role, Theme};

/// A group of words that stays together.
type Segment = Vec<(String, Role)>;

/// Below this many columns only the barest is shown.
const NARROW: u16 = 64;

/// Names of hosts in trouble that are shown; of more, only how many.
const NAMED: usize = 3;

/// The fewest columns of an error that say anything.
const ERROR_ROOM: u16 = 16;

/// Columns between two groups.
const WIDE_GAP: u16 = 5;

/// Which hosts in trouble are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Names {
    /// None: only how many.
    None,
    /// Those that are down or need somebody.
    Lost,
    /// Slow ones too.
    All,
}

/// What the dashboard knows beside the state of the fleet.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// How many errors there were since the error log was last opened.
    pub unseen: usize,
    /// The last one.
    pub last: Option<&'a str>,
    /// How many VMs of the orders about several are over, and of how many.
    pub bulk: Option<(usize, usize)>,
}

/// Draws the header.
pub fn draw(
    state: &FleetSnapshot,
    (now, news): (Timestamp, News<'_>),
    buf: &mut Buffer,
    area: Rect,
    theme: &Theme,
) {
    if area.width < NARROW {
        draw_line(buf, paint::line_of(area, 0), theme, &short(state, now));
        return;
    }
    let name = profile(state, now);
    let room = area.width.saturating_sub(width_of(&name) + WIDE_GAP + 2);
    let mut first = vec![name, fitting_hosts(state, now, room)];
    let mut second = vec![vms(state), load(state)];
    second.extend(running(state, news.bulk));
    second.extend(unseen(news.unseen));
    if area.height == 1 {
        first.append(&mut second);
    }
    draw_line(buf, paint::line_of(area, 0), theme, &first);
    if !second.is_empty() {
        let line = paint::line_of(area, 1);
        let end = draw_line(buf, line, theme, &second);
        if let (Some(last), true) = (news.last, news.unseen > 0) {
            draw_error(buf, line, theme, (end, last));
        }
    }
}

/// The last error, in what room the rest of the line leaves.
fn draw_error(buf: &mut Buffer, line: Rect, theme: &Theme, (end, last): (u16, &str)) {
    let x = end.saturating_sub(3);
    let room = Rect {
        x,
        width: line.right().saturating_sub(x + 1),
        ..line
    };
    if room.width >= ERROR_ROOM {
        paint::put_fitted(buf, room, last, theme.style(Role::Dim));
    }
}

/// Draws segments; returns where the next one would begin.
fn draw_line(buf: &mut Buffer, line: Rect, theme: &Theme, segments: &[Segment]) -> u16 {
    let gap = if line.width < NARROW { 2 } else { WIDE_GAP };
    let mut x = line.x.saturating_add(1);
    for segment in segments {
        let pieces: Vec<Piece<'_>> = segment
            .iter()
            .map(|(text, role)| Piece::new(text.as_str(), theme.style(*role)))
            .collect();
        let width: u16 = pieces.iter().map(Piece::width).sum();
        let area = Rect {
            x,
            width: line.right().saturating_sub(x),
            ..line
        };
        if width > area.width && x > line.x + 1 {
            return line.right();
        }
        paint::put_line(buf, area, &pieces);
        x = x.saturating_add(width).saturating_add(gap);
    }
    x
}

/// The barest: name, lock if it matters, how many hosts are how.
fn short(state: &FleetSnapshot, now: Timestamp) -> Vec<Segment> {
    let mut name = profile(state, now).split_off(1);
    if state.lock == LockState::Unlocked {
        name.truncate(1);
    }
    if let Some((text, _)) = name.first_mut() {
        *text = text.trim().to_owned();
    }
    let hosts = hosts(state, now, Names::Lost).into_iter().skip(1);
    let counts = hosts
        .filter_map(|(text, role)| match text.split_once(':') {
            Some((count, _)) => Some((count.to_owned(), role)),
            None if text.contains("up") || text.starts_with("  ") => Some((text, role)),
            None => None,
        })
        .collect();
    vec![name, counts, vms(state)]
}

fn word(text: impl Into<String>, role: Role) -> (String, Role) {
    (text.into(), role)
}

/// Which hosts may be changed although they are read-only, and for how long.
fn lifted(state: &FleetSnapshot, now: Timestamp) -> Option<String> {
    let hold = state.lifts.iter().filter(|lift| lift.until > now);
    let names: Vec<&str> = hold
        .clone()
        .filter_map(|lift| Some(state.host(lift.host)?.spec.name.as_str()))
        .collect();
    let until = hold.map(|lift| lift.until).max()?;
    let left = std::time::Duration::try_from(until.duration_since(now)).unwrap_or_default();
    let which = match names.as_slice() {
        [one] => (*one).to_owned(),
        many => format!("{} hosts", many.len()),
    };
    Some(format!("RW {which} {}", Age(left)))
}

fn profile(state: &FleetSnapshot, now: Timestamp) -> Segment {
    let (lock, role) = match state.lock {
        LockState::Empty => ("no secrets", Role::Dim),
        LockState::Locked => ("locked", Role::Warning),
        LockState::Unlocked => ("unlocked", Role::Dim),
    };
    let mut segment = vec![
        word("vmdeck", Role::Brand),
        word(format!("  {}", state.profile), Role::Strong),
        word(format!(" {} ", glyph::DOT), Role::Dim),
        word(lock, role),
    ];
    if state.read_only {
        segment.push(word(format!(" {} ", glyph::DOT), Role::Dim));
        segment.push(word("READ-ONLY", Role::Warning));
    }
    if let Some(lifted) = lifted(state, now) {
        segment.push(word(format!(" {} ", glyph::DOT), Role::Dim));
        segment.push(word(lifted, Role::Danger));
    }
    if matches!(state.audit, AuditState::Blocked(_)) {
        segment.push(word(format!(" {} ", glyph::DOT), Role::Dim));
        segment.push(word("NO AUDIT", Role::Danger));
    }
    segment
}

fn width_of(segment: &Segment) -> u16 {
    segment.iter().map(|(text, _)| paint::width(text)).sum()
}

/// As many names as there is room for; how many hosts are how is always said.
fn fitting_hosts(state: &FleetSnapshot, now: Timestamp, room: u16) -> Segment {
    [Names::All, Names::Lost]
        .into_iter()
        .map(|names| hosts(state, now, names))
        .find(|segment| width_of(segment) <= room)
        .unwrap_or_else(|| hosts(state, now, Names::None))
}

fn hosts(state: &FleetSnapshot, now: Timestamp, names: Names) -> Segment {
    let count = |test: fn(&HostHealth) -> bool| {
        state.hosts.iter().filter(|host| test(&host.health)).count()
    };
    let mut segment = vec![word("hosts ", Role::Dim)];
    let online = |host: &&Arc<HostSnapshot>| matches!(host.health, HostHealth::Online);
    // What is shown of one that has not been read yet is from an earlier run, or nothing.
    let read = |host: &&Arc<HostSnapshot>| !host.from_cache && host.inventory.is_some();
    let up = state.hosts.iter().filter(online).filter(read).count();
    segment.push(word(format!("{up} up"), Role::Text));
    let awaited = state.hosts.iter().filter(online).count() - up;
    if awaited > 0 {
        segment.push(word(format!("  {awaited} being read"), Role::HostIdle));
    }
    let connecting =
        count(|health| matches!(health, HostHealth::Connecting { attempt: 0 | 1, .. }));
    if connecting > 0 {
        segment.push(word(format!("  {connecting} connecting"), Role::HostIdle));
    }
    let slow = (names == Names::All, "slow", Role::HostSlow);
    named(&mut segment, state, slow, |host| {
        matches!(host.health, HostHealth::Degraded { .. }).then(String::new)
    });
    // One that is being tried again is still down.
    let down = (names >= Names::Lost, "down", Role::HostDown);
    named(&mut segment, state, down, |host| {
        let down = match host.health {
            HostHealth::Offline { .. } => true,
            HostHealth::Connecting { attempt, .. } => attempt > 1,
            _ => false,
        };
        down.then(|| since(host, now))
    });
    let waiting = (names >= Names::Lost, "needs you", Role::HostNeeds);
    named(&mut segment, state, waiting, |host| {
        matches!(host.health, HostHealth::NeedsOperator { .. }).then(String::new)
    });
    segment
}

/// How long nothing was heard of it; each attempt to reach it again is a change of its state.
fn since(host: &HostSnapshot, now: Timestamp) -> String {
    host.age(now)
        .map_or_else(String::new, |age| format!(" ({})", Age(age)))
}

fn named(
    segment: &mut Segment,
    state: &FleetSnapshot,
    (by_name, title, role): (bool, &str, Role),
    remark: impl Fn(&HostSnapshot) -> Option<String>,
) {
    let found: Vec<String> = state
        .hosts
        .iter()
        .filter_map(|host| {
            let remark = remark(host)?;
            Some(format!(
                "{}{remark}",
                crate::domain::text::fit_middle(host.spec.name.as_str(), 16)
            ))
        })
        .collect();
    if found.is_empty() {
        return;
    }
    if !by_name {
        segment.push(word(format!("  {} {title}", found.len()), role));
        return;
    }
    let names = found.iter().take(NAMED).cloned().collect::<Vec<_>>();
    let more = if found.len() > NAMED { " …" } else { "" };
    segment.push(word(format!("  {} {title}: ", found.len()), role));
    segment.push(word(format!("{}{more}", names.join(", ")), role));
}

fn vms(state: &FleetSnapshot) -> Segment {
    let all = state.hosts.iter().flat_map(|host| host.vms().iter());
    let (mut running, mut total) = (0usize, 0usize);
    for vm in all {
        total += 1;
        running += usize::from(vm.state == PowerState::Running);
    }
    vec![
        word("VMs ", Role::Dim),
        word(running.to_string(), Role::Strong),
        word(format!("/{total}"), Role::Text),
    ]
}

/// Load of the hosts that answer: processors weighted by how many there are, memory summed up.
fn load(state: &FleetSnapshot) -> Segment {
    let (mut cpu, mut cpus) = (0.0, 0.0);
    let (mut used, mut total) = (0u64, 0u64);
    for host in state.hosts.iter().filter(|host| host.health.is_up()) {
        let Some(inventory) = &host.inventory else {
            continue;
        };
        let weight = host
            .capabilities
            .as_ref()
            .and_then(|found| found.host_cpus)
            .map_or(1.0, f64::from);
        if let Some(share) = inventory.load.cpu {
            cpu += share.value() * weight;
            cpus += weight;
        }
        if let Some((a, b)) = inventory.load.memory_used.zip(inventory.load.memory_total) {
            used = used.saturating_add(a.0);
            total = total.saturating_add(b.0);
        }
    }
    let cpu = (cpus > 0.0).then(|| cpu / cpus);
    let memory = Bytes(used)
        .percent_of(Bytes(total))
        .map(crate::domain::units::Percent::value);
    let shown = |share: Option<f64>| {
        share.map_or_else(|| glyph::UNKNOWN.to_owned(), |share| format!("{share:.0}%"))
    };
    let role = |share: Option<f64>| match share {
        Some(share) if share >= 85.0 => Role::High,
        _ => Role::Text,
    };
    vec![
        word("cpu ", Role::Dim),
        word(format!("{:>4}", shown(cpu)), role(cpu)),
        word("  mem ", Role::Dim),
        word(format!("{:>4}", shown(memory)), role(memory)),
    ]
}

fn running(state: &FleetSnapshot, bulk: Option<(usize, usize)>) -> Option<Segment> {
    let running = state
        .operations
        .iter()
        .filter(|operation| !operation.is_finished())
        .count();
    let of_many = bulk.map_or_else(String::new, |(over, all)| format!(", {over} of {all} over"));
    (running > 0 || bulk.is_some()).then(|| {
        vec![word(
            format!("{} {running} under way{of_many}", glyph::CHANGING),
            Role::Changing,
        )]
    })
}

fn unseen(errors: usize) -> Option<Segment> {
    let plural = if errors == 1 { "" } else { "s" };
    (errors > 0).then(|| {
        vec![
            word(
                format!("{} {errors} error{plural}", glyph::ERROR),
                Role::Danger,
            ),
            word(" !", Role::Key),
        ]
    })
}
