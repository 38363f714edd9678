//! From a name to a VM. A name that fits more than one VM chooses none.

use std::sync::Arc;

use super::caller::Caller;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::vm::{Vm, VmId, VmRef};

/// A VM with the host it is on.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The host.
    pub host: Arc<HostSnapshot>,
    /// The VM.
    pub vm: Arc<Vm>,
}

impl Seen {
    /// Returns the VM's identity.
    pub fn id(&self) -> VmRef {
        VmRef {
            host: self.host.spec.id,
            vm: self.vm.id.clone(),
        }
    }

    /// Returns `host/name`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.host.spec.name, self.vm.name.raw())
    }
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub enum Found {
    /// One VM.
    One(Seen),
    /// More than one.
    Several(Vec<Seen>),
    /// None that the caller sees.
    None {
        /// The names that there are, sorted; each once.
        available: Vec<String>,
    },
}

/// Finds a VM by name or id among those that the caller sees; `host` narrows it to one host.
/// `host/name` does the same where no VM has that whole name.
pub fn by_name(fleet: &FleetSnapshot, caller: &Caller, name: &str, host: Option<&str>) -> Found {
    let all = matching(fleet, caller, name, host);
    let all = match (name.split_once('/'), host) {
        (Some((host, rest)), None) if all.is_empty() => matching(fleet, caller, rest, Some(host)),
        _ => all,
    };
    match <[Seen; 1]>::try_from(all) {
        Ok([one]) => Found::One(one),
        Err(none) if none.is_empty() => Found::None {
            available: available(fleet, caller, host),
        },
        Err(several) => Found::Several(several),
    }
}

/// Finds a VM by host name and id.
pub fn by_id(
    fleet: &FleetSnapshot,
    caller: &Caller,
    host: &str,
    id: &str,
) -> Result<Seen, Failure> {
    let id = VmId::parse(id);
    let found = caller
        .hosts(fleet)
        .filter(|known| known.spec.name.as_str() == host)
        .find_map(|known| {
            let vm = known.inventory.as_ref()?.vm(id.as_ref()?)?;
            Some(Seen {
                host: Arc::clone(known),
                vm: Arc::clone(vm),
            })
        });
    found.ok_or_else(|| Failure::new(ErrorKind::NotFound, "there is no such VM"))
}

fn matching(fleet: &FleetSnapshot, caller: &Caller, name: &str, host: Option<&str>) -> Vec<Seen> {
    let id = VmId::parse(name);
    let fits = |vm: &Vm| vm.name.raw() == name || id.as_ref() == Some(&vm.id);
    caller
        .hosts(fleet)
        .filter(|known| host.is_none_or(|host| known.spec.name.as_str() == host))
        .flat_map(|known| {
            let vms = known.vms().iter().filter(|vm| fits(vm));
            vms.map(|vm| Seen {
                host: Arc::clone(known),
                vm: Arc::clone(vm),
            })
        })
        .collect()
}

fn available(fleet: &FleetSnapshot, caller: &Caller, host: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> = caller
        .hosts(fleet)
        .filter(|known| host.is_none_or(|host| known.spec.name.as_str() == host))
        .flat_map(|known| known.vms().iter().map(|vm| vm.name.raw().to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}
