//! Methods of WMI objects (Microsoft: `Msvm_ComputerSystem`, `Msvm_ShutdownComponent`,
//! `Msvm_VirtualSystemSnapshotService`, `Msvm_VirtualSystemManagementService`).

use super::cell::Cell;
use super::cim::{self, Space, hresult};
use super::convert::{Known, known};
use super::screen;
use super::world::{Request, WinWorld, code};
use crate::sim::powershell::object::Hash;
use crate::sim::powershell::value::Value;

/// The return value of a method that has started a job.
const JOB_STARTED: u32 = 4096;

/// What a method returns.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) struct Returned {
    pub(in crate::sim) code: u32,
    /// Parameters that go out, every one the method has.
    pub(in crate::sim) out: Vec<(&'static str, Out)>,
}

/// A parameter that goes out.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) enum Out {
    Cell(Cell),
    /// Rows of `Msvm_SummaryInformation`.
    Summaries,
}

impl Returned {
    fn of(result: Result<Option<String>, u16>) -> Self {
        let (code, job) = match result {
            Ok(None) => (0, None),
            Ok(Some(job)) => (JOB_STARTED, Some(job)),
            Err(code) => (u32::from(code), None),
        };
        let job = job.map_or(Cell::Null, |id| cim::job_reference(&id));
        Self {
            code,
            out: vec![("Job", Out::Cell(job))],
        }
    }
}

/// What a method is called with, and the parameters it was given.
pub(super) struct Given<'a> {
    arguments: &'a Hash,
}

impl Given<'_> {
    /// Refuses names that the method does not have.
    pub(super) fn check(&self, names: &[&str]) -> Result<(), u32> {
        let known = self.arguments.pairs().iter().all(|(key, _)| {
            key.as_str()
                .is_some_and(|key| names.iter().any(|name| name.eq_ignore_ascii_case(key)))
        });
        known
            .then_some(())
            .ok_or(hresult::INVALID_METHOD_PARAMETERS)
    }

    /// Returns a whole number; text that is one will do, as WMI's conversion has it.
    pub(super) fn number(&self, name: &str) -> Result<Option<i128>, u32> {
        match self.arguments.get_str(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_integer()
                .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
                .map(Some)
                .ok_or(hresult::INVALID_METHOD_PARAMETERS),
        }
    }

    fn truth(&self, name: &str) -> Result<bool, u32> {
        match self.arguments.get_str(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(truth)) => Ok(truth),
            Some(_) => Err(hresult::INVALID_METHOD_PARAMETERS),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, u32> {
        match self.arguments.get_str(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Str(text)) => Ok(Some(text.to_string())),
            Some(_) => Err(hresult::INVALID_METHOD_PARAMETERS),
        }
    }

    /// Returns the identity of an object of a class.
    pub(super) fn object(&self, name: &str, class: &str) -> Result<String, u32> {
        let value = self
            .arguments
            .get_str(name)
            .ok_or(hresult::INVALID_METHOD_PARAMETERS)?;
        match known(&value) {
            Some(Known::Instance { class: is, id }) if is.eq_ignore_ascii_case(class) => Ok(id),
            _ => Err(hresult::INVALID_METHOD_PARAMETERS),
        }
    }
}

/// Calls a method of an object.
pub(in crate::sim) fn invoke(
    world: &mut WinWorld,
    (class, id): (&str, &str),
    method: &str,
    arguments: &Hash,
) -> Result<Returned, u32> {
    let space = super::convert::space_of(class);
    if cim::open(world, space)?.is_none() {
        return Err(hresult::ACCESS_DENIED);
    }
    let class = cim::class(space, class).ok_or(hresult::INVALID_CLASS)?;
    let name = class
        .methods
        .iter()
        .find(|name| name.eq_ignore_ascii_case(method))
        .copied()
        .ok_or(hresult::INVALID_METHOD)?;
    if cim::find(world, class, id).is_none() {
        return Err(hresult::NOT_FOUND);
    }
    // What has no number among a method's answers is WMI's own error.
    if let Some(code) = world.faults.provoked_in_wmi(name) {
        return Err(code);
    }
    let given = Given { arguments };
    match (class.name, name) {
        ("Msvm_ComputerSystem", "RequestStateChange") => {
            given.check(&["RequestedState", "TimeoutPeriod"])?;
            let number = given
                .number("RequestedState")?
                .ok_or(hresult::INVALID_METHOD_PARAMETERS)?;
            if world.vm(id).is_none() {
                // The host's own row is in the class too, and nobody turns the host off this way.
                return Ok(Returned::of(Err(32770)));
            }
            let result = match Request::from_number(number) {
                Some(request) => world.request(id, request).map(Some),
                None => Err(code::INVALID_PARAMETER),
            };
            Ok(Returned::of(result))
        }
        ("Msvm_ShutdownComponent", _) => {
            given.check(&["Force", "Reason"])?;
            if given.text("Reason")?.is_none_or(|reason| reason.is_empty()) {
                return Ok(Returned::of(Err(code::INVALID_PARAMETER)));
            }
            let force = given.truth("Force")?;
            let result = world.ask_guest(id, name == "InitiateReboot", force);
            Ok(Returned {
                out: Vec::new(),
                ..Returned::of(result.map(|()| None))
            })
        }
        ("Msvm_ConcreteJob", _) => Ok(Returned::of(Err(32770))),
        ("Msvm_VirtualSystemManagementService", "GetVirtualSystemThumbnailImage") => {
            screen::thumbnail(world, &given)
        }
        ("Msvm_Keyboard", _) => screen::keyboard(world, id, (name, &given)),
        ("Msvm_VirtualSystemManagementService", _) => {
            given.check(&["SettingData", "RequestedInformation"])?;
            Ok(Returned {
                code: 0,
                out: vec![("SummaryInformation", Out::Summaries)],
            })
        }
        _ => checkpoint(world, name, &given),
    }
}

fn checkpoint(world: &mut WinWorld, method: &str, given: &Given<'_>) -> Result<Returned, u32> {
    const SETTINGS: &str = "Msvm_VirtualSystemSettingData";
    let owner = |world: &WinWorld, id: &str| {
        world
            .vms
            .iter()
            .find(|vm| vm.checkpoint(id).is_some())
            .map(|vm| vm.id().to_owned())
            .ok_or(hresult::NOT_FOUND)
    };
    Ok(match method {
        "CreateSnapshot" => {
            given.check(&["AffectedSystem", "SnapshotSettings", "SnapshotType"])?;
            let vm = given.object("AffectedSystem", "Msvm_ComputerSystem")?;
            let made = world.create_checkpoint(&vm, None);
            let mut returned = Returned::of(made.map(|(_, job)| Some(job)));
            returned
                .out
                .push(("ResultingSnapshot", Out::Cell(Cell::Null)));
            returned
        }
        "ApplySnapshot" => {
            given.check(&["Snapshot"])?;
            let id = given.object("Snapshot", SETTINGS)?;
            let vm = owner(world, &id)?;
            Returned::of(world.apply_checkpoint(&vm, &id).map(Some))
        }
        "DestroySnapshot" => {
            given.check(&["AffectedSnapshot"])?;
            let id = given.object("AffectedSnapshot", SETTINGS)?;
            let vm = owner(world, &id)?;
            Returned::of(world.delete_checkpoint(&vm, &id, false).map(Some))
        }
        _ => {
            given.check(&["SnapshotSettingData"])?;
            let id = given.object("SnapshotSettingData", SETTINGS)?;
            let vm = owner(world, &id)?;
            Returned::of(world.delete_checkpoint(&vm, &id, true).map(Some))
        }
    })
}

/// Returns objects that an association leads to from an object (Microsoft: `Msvm_SettingsDefineState`,
/// `Msvm_SnapshotOfVirtualSystem`, `Msvm_MostCurrentSnapshotInBranch`, `Msvm_SystemDevice`,
/// `Msvm_VirtualSystemSettingDataComponent`, `Msvm_AffectedJobElement`).
pub(in crate::sim) fn associated(
    world: &WinWorld,
    (class, id): (&str, &str),
    association: Option<&str>,
    result: Option<&str>,
) -> Result<Vec<cim::Instance>, u32> {
    if cim::open(world, Space::Virtualization)?.is_none() {
        return Ok(Vec::new());
    }
    let through = |name: &str| association.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name));
    let wants = |name: &str| result.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name));
    let mut found = Vec::new();
    let mut take = |name: &str, by: &str, fits: &dyn Fn(&cim::Instance) -> bool| {
        if through(by)
            && wants(name)
            && let Some(class) = cim::class(Space::Virtualization, name)
        {
            found.extend(class.instances(world).into_iter().filter(|one| fits(one)));
        }
    };
    match class.to_ascii_lowercase().as_str() {
        "msvm_computersystem" => {
            let vm = world.vm(id).ok_or(hresult::NOT_FOUND)?;
            let settings = "Msvm_VirtualSystemSettingData";
            take(settings, "Msvm_SettingsDefineState", &|one| {
                one.id == vm.id()
            });
            take(settings, "Msvm_SnapshotOfVirtualSystem", &|one| {
                vm.checkpoint(&one.id).is_some()
            });
            take(settings, "Msvm_MostCurrentSnapshotInBranch", &|one| {
                vm.plan.current.as_deref() == Some(&*one.id)
            });
            for component in ["Msvm_ShutdownComponent", "Msvm_HeartbeatComponent"] {
                take(component, "Msvm_SystemDevice", &|one| one.id == vm.id());
            }
            take("Msvm_ConcreteJob", "Msvm_AffectedJobElement", &|one| {
                world.job(&one.id).is_some_and(|job| job.vm == vm.id())
            });
        }
        "msvm_virtualsystemsettingdata" => {
            let by = "Msvm_VirtualSystemSettingDataComponent";
            for name in [
                "Msvm_MemorySettingData",
                "Msvm_ProcessorSettingData",
                "Msvm_SyntheticEthernetPortSettingData",
                "Msvm_EmulatedEthernetPortSettingData",
                "Msvm_EthernetPortAllocationSettingData",
                "Msvm_StorageAllocationSettingData",
            ] {
                let prefix = format!("Microsoft:{id}\\").to_lowercase();
                take(name, by, &|one| {
                    one.get("InstanceID")
                        .and_then(Cell::as_text)
                        .is_some_and(|text| text.to_lowercase().starts_with(&prefix))
                });
            }
            take("Msvm_ComputerSystem", "Msvm_SettingsDefineState", &|one| {
                one.id == id
            });
        }
        _ => {}
    }
    Ok(found)
}
