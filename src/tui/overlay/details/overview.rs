//! The first tab: state, figures, addresses, and one line for each device and snapshot.

use std::sync::Arc;

use super::devices::{shown, size, source_word};
use crate::domain::error_kind::Failure;
use crate::domain::snapshot;
use crate::domain::units::Age;
use crate::domain::vm::{VmDetail, VmFacts, VmRef};
use crate::tui::app::App;
use crate::tui::column::{Cell, ColumnId};
use crate::tui::glyph;
use crate::tui::overlay::document::{Line, fact};
use crate::tui::theme::Role;

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
        old_snapshot: app.settings.old_snapshot,
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
    if app.vms.watched.contains(vm) {
        let text = format!(
            "{} when it changes (n in the table: no more)",
            glyph::WATCHED
        );
        lines.push(fact("you are told", text, Role::Accent));
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

fn addresses(lines: &mut Vec<Line>, facts: &VmFacts) {
    let known = facts.addresses.as_deref().unwrap_or_default();
    if known.is_empty() {
        lines.push(fact("addresses", glyph::UNKNOWN, Role::Dim));
    }
    for (n, address) in known.iter().enumerate() {
        let label = if n == 0 { "addresses" } else { "" };
        let source = source_word(address.source);
        let mut line = fact(label, format!("{:<16} ", address.ip), Role::Text);
        line.push((source.to_owned(), Role::Dim));
        lines.push(line);
    }
}

fn devices(lines: &mut Vec<Line>, detail: &VmDetail) {
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
        let known: Vec<String> = nic
            .addresses
            .iter()
            .map(|address| address.ip.to_string())
            .collect();
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
