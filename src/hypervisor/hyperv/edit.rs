//! What a VM is set up with: how the answer about it is read, and which scripts change it. Sources: Microsoft's
//! pages on `Set-VM`, `Msvm_MemorySettingData` and `Msvm_ProcessorSettingData`. Pure.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::command::cannot;
use super::frames::unparsable;
use super::parse::{self, Answer};
use super::script::Task;
use crate::domain::edit::{EditRequest, VmSettings};
use crate::domain::error_kind::ErrorKind;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::units::{Bytes, written_size};
use crate::domain::vm::{PowerState, VmId};
use crate::hypervisor::HypervisorError;

/// Least memory of a VM. Microsoft: `Set-VMMemory`, the smallest startup memory is 32 MB.
const MIN_MEMORY: Bytes = Bytes::from_mib(32);

/// Memory is given in steps of this.
const MEMORY_STEP: Bytes = Bytes::from_mib(2);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    notes: Option<String>,
    start_action: Option<i64>,
    memory_startup: Option<u64>,
    memory_minimum: Option<u64>,
    memory_maximum: Option<u64>,
    processors: Option<u32>,
}

/// Reads the answer of the script about settings.
pub(super) fn read(answer: Answer) -> Result<VmSettings, HypervisorError> {
    let row = Row::deserialize(answer.data)
        .map_err(|error| unparsable(&format!("the settings: {error}"), b""))?;
    Ok(VmSettings {
        vcpus: row.processors,
        vcpus_max: None,
        memory: row.memory_startup.map(Bytes),
        memory_max: row.memory_maximum.map(Bytes),
        memory_min: row.memory_minimum.map(Bytes),
        autostart: row.start_action.and_then(parse::starts_with_host),
        title: None,
        description: row.notes.map(|notes| RemoteText::new(notes.trim())),
    })
}

/// Builds the commands of a change: one for each setting.
pub(super) fn commands(
    vm: &VmId,
    request: &EditRequest,
    (limit, around): (Duration, Duration),
) -> Result<Vec<RemoteCommand>, HypervisorError> {
    is_possible(request)?;
    let changes = &request.changes;
    let limit_seconds = limit.as_secs();
    let mut all = Vec::new();
    let mut change = |task: Task, more: Option<(&str, Value)>| {
        let mut arguments = json!({ "id": vm, "limit": limit_seconds });
        if let (Some((name, value)), Some(fields)) = (more, arguments.as_object_mut()) {
            fields.insert(name.to_owned(), value);
        }
        let command = RemoteCommand::powershell(task.body(), arguments.to_string());
        all.push(command.life(limit + around));
    };
    if let Some(count) = changes.vcpus {
        change(Task::SetProcessors, Some(("count", json!(count))));
    }
    if let Some(size) = changes.memory {
        change(Task::SetMemory, Some(("bytes", json!(size))));
    }
    match changes.autostart {
        Some(true) => change(Task::AutostartOn, None),
        Some(false) => change(Task::AutostartOff, None),
        None => {}
    }
    if let Some(text) = &changes.description {
        change(Task::SetNotes, Some(("notes", json!(text))));
    }
    Ok(all)
}

/// Refuses what Hyper-V is known to refuse, so that it is said before anything is tried.
fn is_possible(request: &EditRequest) -> Result<(), HypervisorError> {
    let EditRequest {
        was,
        changes,
        state,
    } = request;
    if changes.title.is_some() {
        return Err(cannot(
            "keep a title of a VM: put it into the description, which is its notes there",
        ));
    }
    let is_hardware = changes.vcpus.is_some() || changes.memory.is_some();
    if is_hardware && *state != PowerState::Stopped {
        let what = format!(
            "Hyper-V changes processors and memory only while a VM is off, and it is {state}"
        );
        return refused(what, "shut it down first, or leave them as they are");
    }
    let Some(size) = changes.memory else {
        return Ok(());
    };
    if size < MIN_MEMORY || !size.0.is_multiple_of(MEMORY_STEP.0) {
        let what = format!(
            "memory of a Hyper-V VM is at least {}, in steps of {}",
            written_size(MIN_MEMORY),
            written_size(MEMORY_STEP)
        );
        return refused(what, "choose another size");
    }
    let least = was.memory_min.is_some_and(|least| size < least);
    let most = was.memory_max.is_some_and(|most| size > most);
    if least || most {
        let shown = |size: Option<Bytes>| size.map_or_else(|| "?".to_owned(), written_size);
        let what = format!(
            "its memory is dynamic, from {} to {}: what it starts with has to lie between",
            shown(was.memory_min),
            shown(was.memory_max)
        );
        return refused(what, "change the limits on the host first (Set-VMMemory)");
    }
    Ok(())
}

fn refused(what: String, fix: &str) -> Result<(), HypervisorError> {
    Err(HypervisorError::Refused {
        kind: ErrorKind::Refused,
        what,
        said: RemoteText::new(""),
        fix: Some(fix.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::edit::Changes;

    fn was() -> VmSettings {
        let data = json!({
            "notes": "web server ", "startAction": 2, "processors": 2,
            "memoryStartup": 1_073_741_824_u64, "memoryMinimum": 536_870_912_u64,
            "memoryMaximum": 2_147_483_648_u64,
        });
        let gaps = Vec::new();
        read(Answer { data, gaps }).unwrap()
    }

    fn built(changes: Changes, state: PowerState) -> Result<Vec<String>, String> {
        let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let request = EditRequest::new(was(), changes, state).unwrap();
        let times = (Duration::from_secs(50), Duration::from_secs(30));
        let commands = commands(&vm, &request, times).map_err(|error| error.to_string())?;
        Ok(commands.iter().map(RemoteCommand::shown_line).collect())
    }

    #[test]
    fn the_answer_tells_what_it_is_set_up_with() {
        let settings = was();
        assert_eq!(settings.vcpus, Some(2));
        assert_eq!(settings.memory_max, Some(Bytes::from_mib(2048)));
        assert_eq!(settings.autostart, Some(false));
        assert_eq!(settings.title, None);
        assert_eq!(settings.description, Some(RemoteText::new("web server")));
    }

    #[test]
    fn each_setting_is_a_script_of_its_own_and_words_are_data() {
        let changes = Changes {
            vcpus: Some(4),
            memory: Some(Bytes::from_mib(1536)),
            autostart: Some(true),
            description: Some("it's; $(x)\n'".to_owned()),
            title: None,
        };
        let lines = built(changes, PowerState::Stopped).unwrap();
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert!(lines[0].contains("-ProcessorCount ([long]$ask.count)"));
        assert!(lines[0].contains("\"count\":4"));
        assert!(lines[1].contains("\"bytes\":1610612736"));
        assert!(lines[2].contains("-AutomaticStartAction Start"));
        assert!(lines[3].contains("-Notes ([string]$ask.notes)"));
        assert!(lines[3].contains("it''s; $(x)\\n''"), "{}", lines[3]);
    }

    #[test]
    fn what_hyper_v_refuses_is_said_before_anything_is_tried() {
        let of = |changes, state| built(changes, state).unwrap_err();
        let none = Changes::default;
        let title = Changes {
            title: Some("T".into()),
            ..none()
        };
        assert!(of(title, PowerState::Stopped).contains("cannot keep a title"));
        let more = Changes {
            vcpus: Some(4),
            ..none()
        };
        assert!(
            of(more, PowerState::Running).contains("only while a VM is off, and it is running")
        );
        let sized = |mib| Changes {
            memory: Some(Bytes::from_mib(mib)),
            ..none()
        };
        assert!(of(sized(16), PowerState::Stopped).contains("at least 32M, in steps of 2M"));
        assert!(of(sized(1001), PowerState::Stopped).contains("steps of 2M"));
        assert!(of(sized(4096), PowerState::Stopped).contains("from 512M to 2G"));
        let notes = Changes {
            description: Some("x".into()),
            ..none()
        };
        assert!(built(notes, PowerState::Running).is_ok());
    }
}
