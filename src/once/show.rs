//! `--once show`: everything about one VM.

use serde::Serialize;

use super::console::Console;
use super::field::{Field, Record};
use super::row::{FIELDS, VmRow};
use super::{Ended, Format, Script, Targets, output, targets};
use crate::clock::Clock;
use crate::domain::error_kind::ExitCode;
use crate::domain::snapshot::{VmSnapshot, depths};
use crate::domain::text::RemoteText;
use crate::domain::vm::{VmDetail, VmDisk, VmNic, VmProperty};
use crate::fleet::FleetHandle;
use crate::report::Complaint;

/// The row of `list` and what else is known.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    row: Record<'a, VmRow>,
    title: Option<&'a RemoteText>,
    description: Option<&'a RemoteText>,
    os: Option<&'a RemoteText>,
    persistent: Option<bool>,
    disks: &'a [VmDisk],
    nics: &'a [VmNic],
    /// Snapshots, parents before children.
    snapshot_tree: &'a [VmSnapshot],
    /// Settings that have no field of their own.
    properties: &'a [VmProperty],
    /// The hypervisor's own definition, line by line.
    definition: &'a [RemoteText],
    /// What could not be read, in the hypervisor's words.
    gaps: &'a [RemoteText],
}

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    target: &str,
    clock: &Clock,
    console: &mut Console<'_>,
) -> Ended {
    let wanted = Targets::Named(vec![target.to_owned()]);
    let chosen = targets::resolve(handle, script, &wanted, || clock.now()).await?;
    for row in chosen.vms {
        let vm = row.reference();
        let read = handle.detail(vm).await;
        let detail = read.map_err(|failure| Complaint::from(failure).on(&row.host.spec.name))?;
        console.data(&written(script.format, &with_facts(row, &detail), &detail));
    }
    Ok(ExitCode::Done)
}

/// What was read just now is newer than what the row holds.
fn with_facts(mut row: VmRow, detail: &VmDetail) -> VmRow {
    let mut vm = (*row.vm).clone();
    vm.facts = std::sync::Arc::new(detail.facts.clone());
    row.vm = std::sync::Arc::new(vm);
    row
}

fn written(format: Format, row: &VmRow, detail: &VmDetail) -> String {
    let fields: Vec<&Field<VmRow>> = FIELDS.iter().collect();
    let document = Document {
        row: Record {
            row,
            fields: &fields,
        },
        title: detail.facts.title.as_ref(),
        description: detail.facts.description.as_ref(),
        os: detail.facts.os.as_ref(),
        persistent: detail.facts.persistent,
        disks: &detail.disks,
        nics: &detail.nics,
        snapshot_tree: &detail.snapshots,
        properties: &detail.properties,
        definition: &detail.definition.0,
        gaps: &detail.gaps,
    };
    let text = match format {
        Format::Table => return for_people(&document, &fields),
        Format::Csv | Format::Markdown => {
            return output::rows(format, &FIELDS, &[], std::slice::from_ref(row));
        }
        Format::Json => crate::json::to_pretty(&document),
        Format::Ndjson => crate::json::to_line(&document),
    };
    let mut text = text.unwrap_or_default();
    text.push('\n');
    text
}

fn for_people(document: &Document<'_>, fields: &[&Field<VmRow>]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        text.extend([format!("{name:<22} {value}").trim_end(), "\n"]);
    };
    for field in fields {
        let value = field
            .for_people(document.row.row)
            .filter(|text| !text.is_empty())
            .or_else(|| {
                Some((field.cell)(document.row.row).plain()).filter(|text| !text.is_empty())
            });
        line(field.id, value.as_deref().unwrap_or("–"));
    }
    for (name, value) in [
        ("title", document.title),
        ("description", document.description),
        ("os", document.os),
    ] {
        line(name, value.map_or("–", RemoteText::shown));
    }
    let word = |on: bool| if on { "yes" } else { "no" };
    line("persistent", document.persistent.map_or("–", word));
    for disk in document.disks {
        let size = disk
            .capacity
            .map_or("–".to_owned(), |size| size.to_string());
        let used = disk
            .allocation
            .map_or("–".to_owned(), |size| size.to_string());
        let source = disk.source.as_ref().map_or("–", RemoteText::shown);
        line(
            "disk",
            &format!("{} {} {used}/{size} {source}", disk.target, disk.device),
        );
        for image in disk.chain.iter().skip(1) {
            line("", &format!("on {}", image.path));
        }
    }
    for nic in document.nics {
        let network = nic.network.as_ref().map_or("–", RemoteText::shown);
        let model = nic.model.as_ref().map_or("–", RemoteText::shown);
        line(
            "nic",
            &format!("{} {} {network} {model}", nic.mac, nic.kind),
        );
        for address in &nic.addresses {
            line("", &format!("{} {}", address.source.mark(), address.ip));
        }
    }
    let depths = depths(document.snapshot_tree);
    for (snapshot, depth) in document.snapshot_tree.iter().zip(depths) {
        let depth = depth * 2;
        let mark = if snapshot.is_current {
            " (current)"
        } else {
            ""
        };
        line("snapshot", &format!("{:depth$}{}{mark}", "", snapshot.name));
    }
    for property in document.properties {
        line(&property.name, property.value.shown());
    }
    for gap in document.gaps {
        line("not read", gap.shown());
    }
    text
}
