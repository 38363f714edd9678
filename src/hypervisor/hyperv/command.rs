//! What is sent for an action: a script of a few lines and its arguments. They hold ids, a time and, of a new
//! checkpoint, the name that a person chose; arguments are data and never a part of a script. Pure.

use std::time::Duration;

use super::edit;
use super::script::Task;
use serde_json::json;

use crate::domain::action::{Action, ActionKind};
use crate::domain::error_kind::ErrorKind;
use crate::domain::host::HypervisorKind;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::snapshot::{Chosen, DeleteScope, NewSnapshot, SnapshotRequest};
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::{HypervisorError, no_definitions};

/// What PowerShell may be called on a host, in the order in which it is tried. The second is for hosts
/// whose path has lost it; only cmd.exe understands it, and only there that is seen to happen.
pub(crate) const PROGRAMS: [&str; 3] = [
    "powershell.exe",
    r"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe",
    "pwsh",
];

/// How long a script follows the job of a save, which writes all of a VM's memory. A job that takes longer
/// goes on; what comes of it is read from the host.
const SAVE_LIMIT: Duration = Duration::from_secs(120);

/// How long it follows the job of a start, which may read that memory back.
const START_LIMIT: Duration = Duration::from_secs(80);

/// How long it follows any other job.
const USUAL_LIMIT: Duration = Duration::from_secs(50);

/// How long a checkpoint's cmdlet may take, which waits for its job: memory may have to be written.
const CHECKPOINT_LIFE: Duration = Duration::from_secs(240);

/// What is added for starting a process, loading what it needs, and looking at what came of it.
const AROUND: Duration = Duration::from_secs(30);

/// Builds the commands of an action. Pure.
pub fn commands(vm: &VmId, action: &Action) -> Result<Vec<RemoteCommand>, HypervisorError> {
    if let Some(request) = &action.snapshot {
        return Ok(vec![checkpoint(vm, request)?]);
    }
    if action.define.is_some() {
        return Err(no_definitions(HypervisorKind::HyperV));
    }
    if let Some(request) = &action.edit {
        return edit::commands(vm, request, (USUAL_LIMIT, AROUND));
    }
    let task = task_of(action.kind).ok_or_else(|| cannot("do that without being told more"))?;
    let limit = match action.kind {
        ActionKind::Start => START_LIMIT,
        ActionKind::Save => SAVE_LIMIT,
        ActionKind::Shutdown
        | ActionKind::ForceOff
        | ActionKind::Reboot
        | ActionKind::Reset
        | ActionKind::Pause
        | ActionKind::Resume
        | ActionKind::AutostartOn
        | ActionKind::AutostartOff
        | ActionKind::SnapshotCreate
        | ActionKind::SnapshotRevert
        | ActionKind::SnapshotDelete
        | ActionKind::Edit => USUAL_LIMIT,
    };
    let arguments = format!("{{\"id\":\"{vm}\",\"limit\":{}}}", limit.as_secs());
    let command = RemoteCommand::powershell(task.body(), arguments);
    Ok(vec![command.life(limit + AROUND)])
}

/// Builds the command of a request about checkpoints.
fn checkpoint(vm: &VmId, request: &SnapshotRequest) -> Result<RemoteCommand, HypervisorError> {
    let (task, arguments) = match request {
        SnapshotRequest::Create(new) => {
            is_possible(new)?;
            let arguments = json!({ "id": vm, "name": new.name });
            (Task::CheckpointCreate, arguments)
        }
        SnapshotRequest::Revert(chosen) => {
            let arguments = json!({ "id": vm, "point": point(chosen)? });
            (Task::CheckpointRestore, arguments)
        }
        SnapshotRequest::Delete(chosen, scope) => {
            let below = *scope == DeleteScope::WithChildren;
            let arguments = json!({ "id": vm, "point": point(chosen)?, "below": below });
            (Task::CheckpointRemove, arguments)
        }
    };
    let command = RemoteCommand::powershell(task.body(), arguments.to_string());
    Ok(command.life(CHECKPOINT_LIFE + AROUND))
}

/// What goes into a checkpoint is a setting of the VM on Hyper-V, and there is no cmdlet for its notes.
fn is_possible(new: &NewSnapshot) -> Result<(), HypervisorError> {
    if new.disk_only || new.quiesce {
        return Err(cannot(
            "choose what goes into a single checkpoint: the VM's checkpoint type decides (Set-VM -CheckpointType)",
        ));
    }
    if new.description.is_some() {
        return Err(cannot(
            "keep a description with a checkpoint: put it into its name",
        ));
    }
    Ok(())
}

/// Returns the id of a checkpoint; anything that is none came from no host.
fn point(chosen: &Chosen) -> Result<VmId, HypervisorError> {
    VmId::parse(chosen.id.raw()).ok_or_else(|| HypervisorError::Refused {
        kind: ErrorKind::NotFound,
        what: format!("{} is no checkpoint", chosen.name),
        said: RemoteText::new(""),
        fix: None,
    })
}

pub(super) fn cannot(what: &str) -> HypervisorError {
    HypervisorError::Unsupported {
        kind: HypervisorKind::HyperV,
        what: what.to_owned(),
    }
}

const fn task_of(kind: ActionKind) -> Option<Task> {
    Some(match kind {
        ActionKind::Start => Task::Start,
        ActionKind::Shutdown => Task::Shutdown,
        ActionKind::ForceOff => Task::ForceOff,
        ActionKind::Reboot => Task::Reboot,
        ActionKind::Reset => Task::Reset,
        ActionKind::Pause => Task::Pause,
        ActionKind::Resume => Task::Resume,
        ActionKind::Save => Task::Save,
        ActionKind::AutostartOn => Task::AutostartOn,
        ActionKind::AutostartOff => Task::AutostartOff,
        ActionKind::SnapshotCreate
        | ActionKind::SnapshotRevert
        | ActionKind::SnapshotDelete
        | ActionKind::Edit => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm() -> VmId {
        VmId::parse("6C09BB55-D683-4DA0-8931-C9BF705F6480").unwrap()
    }

    #[test]
    fn every_verb_is_a_few_readable_lines_and_an_id() {
        for kind in ActionKind::plain().map(|spec| spec.kind) {
            let commands = commands(&vm(), &kind.into()).unwrap();
            let [command] = commands.as_slice() else {
                panic!("{kind}");
            };
            let [body, arguments] = command.args.as_slice() else {
                panic!("{kind}");
            };
            assert!(body.value.lines().count() <= 4, "{kind}");
            let read: serde_json::Value = serde_json::from_str(&arguments.value).unwrap();
            assert_eq!(read["id"], vm().as_str());
            assert!(read["limit"].as_u64().unwrap() > 0);
            assert_eq!(command.encoded, None, "it is encoded when it is performed");
            assert!(command.life.is_some());
        }
    }

    #[test]
    fn what_a_person_sees_is_what_runs() {
        let shown = |kind: ActionKind| commands(&vm(), &kind.into()).unwrap()[0].shown_line();
        assert_eq!(
            shown(ActionKind::Start),
            "powershell.exe { $vm = Find-Machine $ask.id; Assert-State $vm ($off + $saved); \
             Set-State $vm 2 $running } \
             '{\"id\":\"6c09bb55-d683-4da0-8931-c9bf705f6480\",\"limit\":80}'"
        );
        assert!(shown(ActionKind::Shutdown).contains("'InitiateShutdown'"));
        assert!(shown(ActionKind::Reboot).contains("'InitiateReboot'"));
        assert!(shown(ActionKind::AutostartOn).contains("-AutomaticStartAction Start"));
        assert!(shown(ActionKind::AutostartOff).contains("-AutomaticStartAction Nothing"));
    }

    #[test]
    fn checkpoints_go_by_their_id_and_their_names_are_data() {
        let shown = |request: SnapshotRequest| {
            commands(&vm(), &request.into()).map(|commands| commands[0].shown_line())
        };
        let new = NewSnapshot::named("it's; $(x)".parse().unwrap());
        let line = shown(SnapshotRequest::Create(new.clone())).unwrap();
        assert!(line.contains("-SnapshotName ([string]$ask.name)"), "{line}");
        assert!(line.contains("it''s; $(x)"), "{line}");
        let chosen = |id: &str| Chosen {
            id: RemoteText::new(id),
            name: RemoteText::new("clean"),
        };
        let point = chosen("11111111-2222-3333-4444-555555555555");
        let line = shown(SnapshotRequest::Delete(
            point.clone(),
            DeleteScope::WithChildren,
        ))
        .unwrap();
        assert!(
            line.contains("\"below\":true") && line.contains("11111111-2222"),
            "{line}"
        );
        assert!(
            shown(SnapshotRequest::Revert(point))
                .unwrap()
                .contains("Restore-VMSnapshot")
        );
        assert!(shown(SnapshotRequest::Revert(chosen("x'; Remove-Item"))).is_err());
        let disk_only = NewSnapshot {
            disk_only: true,
            ..new.clone()
        };
        let why = shown(SnapshotRequest::Create(disk_only))
            .unwrap_err()
            .to_string();
        assert!(why.contains("CheckpointType"), "{why}");
        assert!(shown(SnapshotRequest::Create(new.described("x").unwrap())).is_err());
    }
}
