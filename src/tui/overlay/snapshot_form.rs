//! A snapshot that is to be taken: its name, and what the VM's hypervisor lets one choose beside it.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::fields::{Field, Fields};
use crate::domain::host::HypervisorKind;
use crate::domain::snapshot::{NewSnapshot, SnapshotName};
use crate::domain::text::RemoteText;
use crate::domain::vm::VmRef;
use crate::tui::theme::Theme;

/// The form. Its fields are the name and, where the hypervisor has them, the rest.
#[derive(Debug)]
pub struct SnapshotForm {
    /// The VM.
    pub vm: VmRef,
    name: RemoteText,
    /// What is typed.
    pub fields: Fields,
}

impl SnapshotForm {
    /// A form with a name made of the time.
    pub fn new(vm: VmRef, name: RemoteText, kind: Option<HypervisorKind>, now: Timestamp) -> Self {
        let of_moment = SnapshotName::of_moment(now).to_string();
        let mut fields = vec![Field::text("Name", of_moment, "")];
        // On Hyper-V what goes into a checkpoint is a setting of the VM, and it keeps no description.
        if kind != Some(HypervisorKind::HyperV) {
            let quiesce = "its agent brings file systems to rest; with disk-only";
            fields.extend([
                Field::text("Description", "", ""),
                Field::flag("Disk-only", false, "leave the memory of a running VM out"),
                Field::flag("Quiesce", false, quiesce),
            ]);
        }
        Self {
            vm,
            name,
            fields: Fields::new(fields),
        }
    }

    /// Returns what is to be taken, once everything is sound; else goes to what is not.
    pub fn accept(&mut self) -> Option<NewSnapshot> {
        match self.build() {
            Ok(new) => Some(new),
            Err((at, why)) => {
                self.fields.refuse(Some(at), why);
                None
            }
        }
    }

    fn build(&self) -> Result<NewSnapshot, (usize, String)> {
        let name = self.fields.text(0).parse().map_err(|why| (0, why))?;
        let new = NewSnapshot {
            disk_only: self.fields.flag(2),
            quiesce: self.fields.flag(3),
            ..NewSnapshot::named(name)
        };
        if new.quiesce && !new.disk_only {
            return Err((2, "quiesce goes with disk-only".to_owned()));
        }
        new.described(self.fields.text(1)).map_err(|why| (1, why))
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let title = format!("Take a snapshot of {}", self.name.fit(40));
        self.fields.draw(buf, area, theme, &title)
    }
}
