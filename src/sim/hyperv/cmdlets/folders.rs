//! `Get-ChildItem` on folders of the host: images of VMs, and files that were put there (Microsoft:
//! `Microsoft.PowerShell.Management`).

use std::collections::BTreeMap;

use super::super::cell::Cell;
use super::super::machine::WinMachine;
use super::super::world::WinWorld;
use super::files;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::Category;
use crate::sim::powershell::machine::Reply;
use crate::sim::powershell::object::Object;
use crate::sim::powershell::value::Value;

/// `Get-ChildItem -LiteralPath FOLDER -File`.
pub(super) fn children(machine: &WinMachine, call: &Call) -> Reply {
    let path = call.text("LiteralPath").unwrap_or_default();
    let folder = path.trim_end_matches('\\').to_lowercase();
    let found = machine.host().world(|world| {
        let is_default = folder == files::DISKS.to_lowercase();
        let inside = all(world)
            .into_iter()
            .filter(|(path, _)| is_in(path, &folder));
        let inside: Vec<Value> = inside.map(|(_, (path, size))| file(&path, size)).collect();
        (is_default || !inside.is_empty()).then_some(inside)
    });
    if let Some(found) = found {
        return Reply::values(found);
    }
    let text = format!("Cannot find path '{path}' because it does not exist.");
    let class = "System.Management.Automation.ItemNotFoundException";
    Reply::error(call.error(class, text, "PathNotFound", Category::ObjectNotFound))
}

fn is_in(path: &str, folder: &str) -> bool {
    path.rsplit_once('\\').is_some_and(|(own, _)| own == folder)
}

/// Every file, by its path in small letters, with its size.
fn all(world: &WinWorld) -> BTreeMap<String, (String, i64)> {
    let mut all = BTreeMap::new();
    for (path, size) in world.files.sizes() {
        all.insert(path.to_lowercase(), (path, size));
    }
    for vm in &world.vms {
        // As it goes on now, and as each of its checkpoints has it.
        let points = vm
            .plan
            .checkpoints
            .iter()
            .map(|point| point.parent.as_deref());
        let tips: Vec<Option<&str>> = points.chain([vm.plan.current.as_deref()]).collect();
        let disks = vm.plan.disks.iter().filter(|disk| !disk.missing);
        for path in disks.flat_map(|disk| tips.iter().flat_map(|on| vm.disk_chain(disk, *on))) {
            let size = files::vhd(world, &path)
                .and_then(|thing| thing.get("FileSize").and_then(Cell::number))
                .and_then(|size| i64::try_from(size).ok());
            all.insert(path.to_lowercase(), (path, size.unwrap_or_default()));
        }
    }
    all
}

fn file(path: &str, size: i64) -> Value {
    let name = path.rsplit('\\').next().unwrap_or_default();
    let extension = name
        .rfind('.')
        .and_then(|at| name.get(at..))
        .unwrap_or_default();
    let object = Object::new("System.IO.FileInfo")
        .with("FullName", path)
        .with("Name", name)
        .with("Extension", extension)
        .with("Length", Value::Long(size));
    Value::from(object)
}
