//! The tabs of disks and network cards: everything the host says about each, a path on a line of its own.

use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::domain::vm::{AddressSource, VmDetail, VmDisk, VmDiskImage, VmNic};
use crate::tui::glyph;
use crate::tui::overlay::document::{Line, fact};
use crate::tui::theme::Role;

pub(super) fn shown(text: Option<&RemoteText>) -> String {
    text.map_or_else(|| glyph::UNKNOWN.to_owned(), |text| text.shown().to_owned())
}

pub(super) fn size(bytes: Option<Bytes>) -> String {
    bytes.map_or_else(|| glyph::UNKNOWN.to_owned(), |bytes| bytes.to_string())
}

/// Returns where an address is known from, in words.
pub(super) const fn source_word(source: AddressSource) -> &'static str {
    match source {
        AddressSource::Agent => "agent in the VM",
        AddressSource::Lease => "DHCP lease",
        AddressSource::Arp => "neighbour table",
    }
}

/// The disks.
pub(super) fn disks(detail: &VmDetail) -> Vec<Line> {
    let mut lines = Vec::new();
    for disk in &detail.disks {
        one_disk(&mut lines, disk);
    }
    ended(lines, "no disks", detail)
}

fn one_disk(lines: &mut Vec<Line>, disk: &VmDisk) {
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    lines.push(vec![
        (disk.target.shown().to_owned(), Role::Strong),
        (format!("  {}", disk.device.shown()), Role::Text),
    ]);
    lines.push(fact("  controller", shown(disk.bus.as_ref()), Role::Text));
    lines.push(fact("  format", shown(disk.format.as_ref()), Role::Text));
    lines.push(sizes("  capacity", disk.capacity, disk.allocation));
    lines.push(fact("  source", shown(disk.source.as_ref()), Role::Text));
    // The first image is the disk itself.
    let Some((_, parents)) = disk.chain.split_first() else {
        if is_image(disk) {
            let why = format!("{} not told", glyph::UNKNOWN);
            lines.push(fact("  based on", why, Role::Dim));
        }
        return;
    };
    if parents.is_empty() {
        lines.push(fact("  based on", "nothing: it stands alone", Role::Dim));
    }
    for parent in parents {
        image(lines, parent);
    }
}

/// Whether there is a file that could be based on another one.
fn is_image(disk: &VmDisk) -> bool {
    disk.source.is_some() && disk.device.raw() == "disk"
}

fn image(lines: &mut Vec<Line>, image: &VmDiskImage) {
    lines.push(fact("  based on", image.path.shown(), Role::Text));
    let mut about: Vec<String> = [&image.format, &image.kind]
        .into_iter()
        .flatten()
        .map(|text| text.shown().to_owned())
        .collect();
    if image.capacity.is_some() || image.allocation.is_some() {
        about.push(format!(
            "{} of {}",
            size(image.allocation),
            size(image.capacity)
        ));
    }
    if !about.is_empty() {
        lines.push(fact("", about.join("  "), Role::Dim));
    }
}

fn sizes(label: &str, capacity: Option<Bytes>, allocation: Option<Bytes>) -> Line {
    let mut line = fact(label, size(capacity), Role::Text);
    line.push((
        format!("  {} of it allocated on the host", size(allocation)),
        Role::Dim,
    ));
    line
}

/// The network cards.
pub(super) fn nics(detail: &VmDetail) -> Vec<Line> {
    let mut lines = Vec::new();
    for nic in &detail.nics {
        one_nic(&mut lines, nic);
    }
    ended(lines, "no network cards", detail)
}

fn one_nic(lines: &mut Vec<Line>, nic: &VmNic) {
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    let mac = if nic.mac.is_empty() {
        glyph::UNKNOWN
    } else {
        nic.mac.shown()
    };
    lines.push(vec![(mac.to_owned(), Role::Strong)]);
    lines.push(fact("  model", shown(nic.model.as_ref()), Role::Text));
    let mut network = fact("  network", shown(nic.network.as_ref()), Role::Text);
    network.push((format!("  {}", nic.kind.shown()), Role::Dim));
    lines.push(network);
    if let Some(device) = &nic.device {
        lines.push(fact("  on the host", device.shown(), Role::Text));
    }
    if nic.addresses.is_empty() {
        lines.push(fact("  addresses", glyph::UNKNOWN, Role::Dim));
    }
    for (n, address) in nic.addresses.iter().enumerate() {
        let label = if n == 0 { "  addresses" } else { "" };
        let mut line = fact(label, format!("{:<16} ", address.ip), Role::Text);
        line.push((source_word(address.source).to_owned(), Role::Dim));
        lines.push(line);
    }
}

/// Says so when there is nothing, and what could not be read: failure is never shown as emptiness.
fn ended(mut lines: Vec<Line>, nothing: &str, detail: &VmDetail) -> Vec<Line> {
    if lines.is_empty() && detail.gaps.is_empty() {
        lines.push(vec![(nothing.to_owned(), Role::Dim)]);
    }
    if !detail.gaps.is_empty() {
        lines.push(Vec::new());
    }
    for gap in &detail.gaps {
        lines.push(fact("not read", gap.shown(), Role::Warning));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[Line]) -> String {
        let line = |line: &Line| -> String { line.iter().map(|(text, _)| text.as_str()).collect() };
        let lines: Vec<String> = lines.iter().map(line).collect();
        lines.join("\n")
    }

    #[test]
    fn nothing_and_not_read_are_two_things() {
        let mut detail = VmDetail::default();
        assert_eq!(text(&disks(&detail)), "no disks");
        detail.gaps.push("definition: error: no domain".into());
        let said = text(&nics(&detail));
        assert!(
            said.contains("not read") && !said.contains("no network"),
            "{said}"
        );
    }

    #[test]
    fn a_disk_whose_chain_nobody_told_does_not_stand_alone() {
        let mut disk = VmDisk {
            target: "vda".into(),
            source: Some("/a".into()),
            device: "disk".into(),
            format: None,
            bus: None,
            capacity: None,
            allocation: None,
            chain: Vec::new(),
        };
        let said = |disk: &VmDisk| {
            let detail = VmDetail {
                disks: vec![disk.clone()],
                ..VmDetail::default()
            };
            text(&disks(&detail))
        };
        assert!(said(&disk).contains("not told"), "{}", said(&disk));
        disk.chain.push(VmDiskImage {
            path: "/a".into(),
            format: None,
            kind: None,
            capacity: None,
            allocation: None,
        });
        assert!(said(&disk).contains("stands alone"), "{}", said(&disk));
    }
}
