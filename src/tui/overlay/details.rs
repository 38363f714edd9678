//! One VM: overview, activity, definition. Live where the table is live, read afresh where it is not.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::document::{self, Line, draw_lines, fact};
use super::frame;
use crate::domain::audit::{AuditPhase, AuditRecord};
use crate::domain::error_kind::Failure;
use crate::domain::snapshot;
use crate::domain::units::Age;
use crate::domain::vm::{VmDetail, VmRef};
use crate::tui::app::App;
use crate::tui::column::{Cell, ColumnId};
use crate::tui::cursor::Motion;
use crate::tui::glyph;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint::{self, Piece};

/// The tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// State, figures, disks, network cards.
    Overview,
    /// What was done to it.
    Activity,
    /// The hypervisor's own definition.
    Definition,
}

impl Tab {
    /// Every tab.
    pub const ALL: [Self; 3] = [Self::Overview, Self::Activity, Self::Definition];

    const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Activity => "Activity",
            Self::Definition => "Definition",
        }
    }
}

/// One VM.
#[derive(Debug)]
pub struct Details {
    /// Which.
    pub vm: VmRef,
    /// The tab in front.
    pub tab: Tab,
    /// Everything about it; `None` while it is being read.
    pub detail: Option<Result<Arc<VmDetail>, Failure>>,
    /// Its audit records; `None` while they are being read.
    pub activity: Option<Result<Vec<AuditRecord>, Failure>>,
    /// First line that is seen.
    pub scroll: usize,
}

impl Details {
    /// Opens the details of a VM.
    pub const fn new(vm: VmRef, tab: Tab) -> Self {
        Self {
            vm,
            tab,
            detail: None,
            activity: None,
            scroll: 0,
        }
    }

    /// Goes to the next or the previous tab.
    pub fn turn(&mut self, step: usize) {
        let at = Tab::ALL
            .iter()
            .position(|tab| *tab == self.tab)
            .unwrap_or(0);
        if let Some(tab) = Tab::ALL.get((at + step) % Tab::ALL.len()) {
            self.tab = *tab;
            self.scroll = 0;
        }
    }

    /// Scrolls.
    pub fn go(&mut self, app_lines: usize, motion: Motion, page: usize) {
        self.scroll = document::scroll(self.scroll, app_lines, motion, page);
    }

    /// Returns the lines of the tab in front; `None` while they are being read.
    pub fn lines(&self, app: &App) -> Option<Vec<Line>> {
        match self.tab {
            Tab::Overview => Some(overview(app, &self.vm, self.detail.as_ref())),
            Tab::Activity => self.activity.as_ref().map(|activity| match activity {
                Ok(records) => records.iter().rev().flat_map(audit_lines).collect(),
                Err(cause) => document::failure(cause),
            }),
            Tab::Definition => self.detail.as_ref().map(|detail| match detail {
                Ok(detail) => {
                    let lines = detail.definition.0.iter();
                    lines
                        .map(|line| vec![(line.shown().to_owned(), Role::Text)])
                        .collect()
                }
                Err(cause) => document::failure(cause),
            }),
        }
    }

    /// Draws it over the whole view.
    pub fn draw(&self, app: &App, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let title = app.snapshot.vm(&self.vm).map_or_else(
            || "this VM is gone".to_owned(),
            |(host, vm)| format!("{} on {}", vm.name.shown(), host.spec.name),
        );
        frame::fill(buf, area, theme, &title, "tab next  esc back");
        let room = crate::tui::layout::inner(area, 2, 1);
        let mut tabs = Vec::new();
        for tab in Tab::ALL {
            let role = if tab == self.tab {
                Role::Sorted
            } else {
                Role::Dim
            };
            let text = if tab == self.tab {
                format!("▌{}", tab.title())
            } else {
                format!(" {}", tab.title())
            };
            tabs.push(Piece::new(text, theme.style(role)));
            tabs.push(Piece::new("   ", theme.style(Role::Dim)));
        }
        paint::put_line(buf, paint::line_of(room, 0), &tabs);
        let below = Rect {
            y: room.y.saturating_add(2),
            height: room.height.saturating_sub(2),
            ..room
        };
        draw_lines(buf, below, theme, self.lines(app).as_deref(), self.scroll);
    }
}

/// State, figures, addresses, disks and network cards.
pub fn overview(
    app: &App,
    vm: &VmRef,
    detail: Option<&Result<Arc<VmDetail>, Failure>>,
) -> Vec<Line> {
    let Some((host, found)) = app.snapshot.vm(vm) else {
        return vec![vec![(
            "The host no longer has this VM.".to_owned(),
            Role::Warning,
        )]];
    };
    let operation = app.vms.rows.operation(vm.host, &vm.vm).map(Arc::as_ref);
    let cell = Cell {
        host,
        vm: found,
        now: app.now,
        operation: None,
        history: app.vms.history.of(vm.host, &vm.vm),
        width: 60,
    };
    let mut lines = Vec::new();
    for (label, id) in [
        ("state", ColumnId::State),
        ("processor", ColumnId::Cpu),
        ("vcpus", ColumnId::Vcpus),
        ("memory", ColumnId::Memory),
        ("disk r/w", ColumnId::Disk),
        ("network rx/tx", ColumnId::Net),
        ("disk space", ColumnId::Storage),
        ("uptime", ColumnId::Uptime),
        ("snapshots", ColumnId::Snapshots),
        ("autostart", ColumnId::Autostart),
        ("system", ColumnId::Os),
        ("note", ColumnId::Note),
    ] {
        let mut line = vec![(format!("{label:<14}"), Role::Dim)];
        if let Some(column) = id.column() {
            let bits = (column.text)(&cell);
            line.extend(
                bits.into_iter()
                    .map(|bit| (bit.text.into_owned(), bit.role)),
            );
        }
        lines.push(line);
    }
    if let Some(operation) = operation {
        let spec = operation.plan.action.kind.spec();
        let text = format!(
            "{} {} for {}, asked by {}",
            glyph::CHANGING,
            spec.doing,
            Age(operation.elapsed(app.now)),
            operation.actor.user
        );
        lines.insert(1, fact("under way", text, Role::Changing));
    }
    if let Some(age) = host.age(app.now).filter(|_| host.is_stale(app.now)) {
        let text = format!("read {} ago, host is {}", Age(age), host.health.word());
        lines.insert(1, fact("old", text, Role::Warning));
    }
    lines.push(fact("id", found.id.to_string(), Role::Text));
    addresses(&mut lines, &found.facts);
    match detail {
        None => {}
        Some(Err(cause)) => lines.push(fact("not read", cause.message.clone(), Role::Danger)),
        Some(Ok(detail)) => devices(&mut lines, detail),
    }
    lines
}

fn addresses(lines: &mut Vec<Line>, facts: &crate::domain::vm::VmFacts) {
    let known = facts.addresses.as_deref().unwrap_or_default();
    if known.is_empty() {
        lines.push(fact("addresses", glyph::UNKNOWN, Role::Dim));
    }
    for (n, address) in known.iter().enumerate() {
        let label = if n == 0 { "addresses" } else { "" };
        let source = match address.source {
            crate::domain::vm::AddressSource::Agent => "agent in the VM",
            crate::domain::vm::AddressSource::Lease => "DHCP lease",
            crate::domain::vm::AddressSource::Arp => "neighbour table",
        };
        let mut line = fact(label, format!("{:<16} ", address.ip), Role::Text);
        line.push((source.to_owned(), Role::Dim));
        lines.push(line);
    }
}

fn devices(lines: &mut Vec<Line>, detail: &VmDetail) {
    let shown = |text: Option<&crate::domain::text::RemoteText>| {
        text.map_or_else(|| glyph::UNKNOWN.to_owned(), |text| text.shown().to_owned())
    };
    let size = |bytes: Option<crate::domain::units::Bytes>| {
        bytes.map_or_else(|| glyph::UNKNOWN.to_owned(), |bytes| bytes.to_string())
    };
    for (n, disk) in detail.disks.iter().enumerate() {
        let label = if n == 0 { "disks" } else { "" };
        lines.push(fact(
            label,
            format!(
                "{:<6} {:<6} {:<6} {:>7} of {:<7} {}",
                disk.target.shown(),
                disk.device.shown(),
                shown(disk.format.as_ref()),
                size(disk.allocation),
                size(disk.capacity),
                shown(disk.source.as_ref()),
            ),
            Role::Text,
        ));
        // The image itself stands in the line above; here is what it is based on.
        for (depth, image) in disk.chain.iter().enumerate().skip(1) {
            lines.push(fact(
                "",
                format!(
                    "{:width$}on {} {} of {}  {}",
                    "",
                    shown(image.kind.as_ref()),
                    size(image.allocation),
                    size(image.capacity),
                    image.path.shown(),
                    width = depth * 2
                ),
                Role::Dim,
            ));
        }
    }
    for (n, nic) in detail.nics.iter().enumerate() {
        let label = if n == 0 { "network" } else { "" };
        let mut line = fact(
            label,
            format!(
                "{}  {} {}  {}",
                nic.mac.shown(),
                nic.kind.shown(),
                shown(nic.network.as_ref()),
                shown(nic.model.as_ref()),
            ),
            Role::Text,
        );
        let known: Vec<String> = nic.addresses.iter().map(ToString::to_string).collect();
        if !known.is_empty() {
            line.push((format!("  {}", known.join(" ")), Role::Dim));
        }
        lines.push(line);
    }
    snapshots(lines, detail);
    for property in &detail.properties {
        lines.push(fact(&property.name, property.value.shown(), Role::Text));
    }
    for gap in &detail.gaps {
        lines.push(fact("not read", gap.shown(), Role::Warning));
    }
}

/// The tree of snapshots, parents before children; the one the VM goes on from is marked.
fn snapshots(lines: &mut Vec<Line>, detail: &VmDetail) {
    let depths = snapshot::depths(&detail.snapshots);
    for (n, (snapshot, depth)) in detail.snapshots.iter().zip(depths).enumerate() {
        let label = if n == 0 { "snapshots" } else { "" };
        let mut line = fact(
            label,
            format!(
                "{:indent$}{}",
                "",
                snapshot.name.shown(),
                indent = depth * 2
            ),
            Role::Text,
        );
        if let Some(taken) = snapshot.taken {
            line.push((format!("  {}", taken.strftime("%Y-%m-%d %H:%M")), Role::Dim));
        }
        if snapshot.is_current {
            line.push(("  current".to_owned(), Role::Success));
        }
        lines.push(line);
    }
}

/// An audit record: what, by whom, how it ended.
pub fn audit_lines(record: &AuditRecord) -> Vec<Line> {
    let entry = &record.entry;
    let role = match (entry.phase, entry.status.as_str()) {
        (AuditPhase::Intent, _) => Role::Dim,
        (_, "ok" | "confirmed") => Role::Success,
        (_, "accepted" | "unknown") => Role::Warning,
        (AuditPhase::Note, _) => Role::Text,
        _ => Role::Danger,
    };
    let actor = entry.actor.as_ref().map_or_else(String::new, |actor| {
        format!("{}@{}", actor.user, actor.door.word())
    });
    let clean = |text: &str| {
        crate::domain::text::RemoteText::new(text)
            .shown()
            .to_owned()
    };
    let time = entry.timestamp.replace('T', " ");
    let time: String = time.chars().take(19).collect();
    let vm = entry.subject().map_or("", |name| name.shown());
    let host = entry.host.as_deref().unwrap_or("");
    let took = entry
        .elapsed_ms
        .map_or_else(String::new, |ms| format!("  {ms} ms"));
    let mut lines = vec![vec![
        (format!("{time}  "), Role::Dim),
        (format!("{:<10} ", clean(&entry.status)), role),
        (format!("{:<13} ", clean(&entry.action)), Role::Strong),
        (
            format!("{:<26} ", clean(&format!("{host}/{vm}"))),
            Role::Text,
        ),
        (clean(&actor), Role::Dim),
        (took, Role::Dim),
    ]];
    if !entry.details.is_empty() {
        lines.push(vec![(
            format!("{:21}{}", "", clean(&entry.details)),
            Role::Dim,
        )]);
    }
    lines
}
