//! What is sent for an action: a script of a few lines and its arguments, which hold an id and a time and
//! nothing that a person or a guest chose. Pure.

use std::time::Duration;

use super::script::Task;
use crate::domain::action::{Action, ActionKind};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::VmId;

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

/// What is added for starting a process, loading what it needs, and looking at what came of it.
const AROUND: Duration = Duration::from_secs(30);

/// Builds the commands of an action. Pure.
pub fn commands(vm: &VmId, action: &Action) -> Vec<RemoteCommand> {
    let task = task_of(action.kind);
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
        | ActionKind::AutostartOff => USUAL_LIMIT,
    };
    let arguments = format!("{{\"id\":\"{vm}\",\"limit\":{}}}", limit.as_secs());
    vec![RemoteCommand::powershell(task.body(), arguments).life(limit + AROUND)]
}

const fn task_of(kind: ActionKind) -> Task {
    match kind {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm() -> VmId {
        VmId::parse("6C09BB55-D683-4DA0-8931-C9BF705F6480").unwrap()
    }

    #[test]
    fn every_verb_is_a_few_readable_lines_and_an_id() {
        for kind in ActionKind::ALL {
            let commands = commands(&vm(), &kind.into());
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
        let shown = |kind: ActionKind| commands(&vm(), &kind.into())[0].shown_line();
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
}
