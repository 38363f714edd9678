//! Files of a Windows host, as far as its SSH server's files of keys go: contents, and rights as SDDL. They can
//! be kept in a folder of this machine as well, where a real server reads them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::machine::WinMachine;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::{Category, ErrorRecord, Exception};
use crate::sim::powershell::machine::Reply;
use crate::sim::powershell::object::Object;
use crate::sim::powershell::value::Value;

/// Rights of a file that was made in the server's folder: everybody who is logged in may read it.
const INHERITED: &str = "O:BAG:SYD:(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;AU)";

/// A file.
#[derive(Debug, Clone)]
pub(in crate::sim) struct File {
    path: String,
    pub(in crate::sim) bytes: Vec<u8>,
    pub(in crate::sim) rights: String,
}

/// The files of a host, by their paths in small letters.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Files {
    all: BTreeMap<String, File>,
    folder: Option<PathBuf>,
}

impl Files {
    /// Keeps every file in a folder of this machine as well, by its name.
    pub(in crate::sim) fn keep_in(&mut self, folder: PathBuf) {
        self.folder = Some(folder);
    }

    pub(in crate::sim) fn get(&self, path: &str) -> Option<&File> {
        self.all.get(&path.to_lowercase())
    }

    /// Every file with its size.
    pub(in crate::sim) fn sizes(&self) -> Vec<(String, i64)> {
        let size = |file: &File| i64::try_from(file.bytes.len()).unwrap_or(i64::MAX);
        let all = self.all.values();
        all.map(|file| (file.path.clone(), size(file))).collect()
    }

    /// Writes a file; one that is new gets these rights, or those that its folder gives.
    pub(in crate::sim) fn put(&mut self, path: &str, bytes: Vec<u8>, rights: Option<&str>) {
        let found = self.all.remove(&path.to_lowercase());
        let kept = found.map_or_else(|| INHERITED.to_owned(), |file| file.rights);
        let file = File {
            path: path.to_owned(),
            bytes,
            rights: rights.map_or(kept, str::to_owned),
        };
        self.mirror(&file);
        self.all.insert(path.to_lowercase(), file);
    }

    fn remove(&mut self, path: &str) -> Option<File> {
        let file = self.all.remove(&path.to_lowercase())?;
        if let Some(place) = self.place(&file.path) {
            drop(std::fs::remove_file(place));
        }
        Some(file)
    }

    fn place(&self, path: &str) -> Option<PathBuf> {
        let name = path.rsplit('\\').next()?;
        Some(self.folder.as_ref()?.join(name))
    }

    fn mirror(&self, file: &File) {
        if let Some(place) = self.place(&file.path)
            && let Err(error) = crate::private_file::write_atomic(&place, &file.bytes)
        {
            tracing::error!(%error, path = %place.display(), "a simulated file is not on the disk");
        }
    }
}

fn missing(method: &str, count: usize, path: &str) -> ErrorRecord {
    let what = format!("Could not find file '{path}'.");
    ErrorRecord::in_method(
        method,
        count,
        Exception::new("System.IO.FileNotFoundException", what),
    )
}

/// Calls a static method of `System.IO.File` or `System.IO.Directory`.
pub(super) fn call(
    machine: &WinMachine,
    name: &str,
    arguments: &[Value],
) -> Option<Result<Value, ErrorRecord>> {
    let lower = name.to_ascii_lowercase();
    let path = |place: usize| arguments.get(place).and_then(Value::as_str);
    let first = path(0)?;
    machine.host().world(|world| {
        let files = &mut world.files;
        Some(Ok(match (lower.as_str(), arguments) {
            ("exists", [_]) => Value::Bool(files.get(first).is_some()),
            ("createdirectory", [_]) => Value::from(Object::new("System.IO.DirectoryInfo")),
            ("delete", [_]) => {
                files.remove(first);
                Value::Void
            }
            ("readallbytes", [_]) => match files.get(first) {
                Some(file) => Value::Bytes(file.bytes.clone().into()),
                None => return Some(Err(missing(name, 1, first))),
            },
            ("writeallbytes", [_, Value::Bytes(bytes)]) => {
                files.put(first, bytes.to_vec(), None);
                Value::Void
            }
            ("move", [_, _]) => {
                let Some(file) = files.remove(first) else {
                    return Some(Err(missing(name, 2, first)));
                };
                files.put(path(1)?, file.bytes, Some(&file.rights));
                Value::Void
            }
            // What is replaced hands its rights on.
            ("replace", [_, _, _]) => {
                let to = path(1)?;
                if files.get(to).is_none() {
                    return Some(Err(missing(name, 3, to)));
                }
                let Some(file) = files.remove(first) else {
                    return Some(Err(missing(name, 3, first)));
                };
                files.put(to, file.bytes, None);
                Value::Void
            }
            _ => return None,
        }))
    })
}

/// `Get-Acl`.
pub(super) fn rights(machine: &WinMachine, call: &Call) -> Reply {
    let path = call.text("LiteralPath").unwrap_or_default();
    let found = machine
        .host()
        .world(|world| world.files.get(path).map(|file| file.rights.clone()));
    if let Some(rights) = found {
        let class = "System.Security.AccessControl.FileSecurity";
        return Reply::value(Object::new(class).with("Sddl", rights));
    }
    let text = format!("Cannot find path '{path}' because it does not exist.");
    let class = "System.Management.Automation.ItemNotFoundException";
    let id = "GetAcl_PathNotFound_Exception";
    Reply::error(call.error(class, text, id, Category::ObjectNotFound))
}

/// `Set-Acl`.
pub(super) fn set_rights(machine: &WinMachine, call: &Call) -> Reply {
    let path = call.text("LiteralPath").unwrap_or_default();
    let rights = call.get("AclObject").and_then(Value::as_object);
    let rights = rights.and_then(|rights| rights.get("Sddl"));
    if let Some(rights) = rights.as_ref().and_then(Value::as_str) {
        machine.host().world(|world| {
            if let Some(file) = world.files.get(path).cloned() {
                world.files.put(path, file.bytes, Some(rights));
            }
        });
    }
    Reply::nothing()
}
