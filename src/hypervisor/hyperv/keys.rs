//! Who may log in to an account of a Windows host: which file of OpenSSH says so, and how it is changed, is in
//! `keys.ps1` (Microsoft: "Key-based authentication in OpenSSH for Windows").

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::driver::not_ours;
use super::frames::unparsable;
use super::reach::ask;
use super::script::Task;
use crate::domain::remote_command::RemoteCommand;
use crate::hypervisor::HypervisorError;
use crate::transport::{ExecLimits, Transport};

/// What a change answers.
#[derive(Debug, Deserialize)]
struct Done {
    done: String,
}

/// The command that lets the holder of a key in.
pub(in crate::hypervisor) fn add(arguments: &Value) -> RemoteCommand {
    command(Task::KeyAdd, arguments)
}

/// The command that lets them in no longer.
pub(in crate::hypervisor) fn remove(arguments: &Value) -> RemoteCommand {
    command(Task::KeyRemove, arguments)
}

fn command(task: Task, arguments: &Value) -> RemoteCommand {
    RemoteCommand::powershell(task.body(), arguments.to_string())
}

/// Makes the change of such a command; returns what was done in a word.
pub(in crate::hypervisor) async fn change(
    link: &dyn Transport,
    command: &RemoteCommand,
    within: Duration,
) -> Result<String, HypervisorError> {
    let [body, arguments] = command.args.as_slice() else {
        return Err(not_ours());
    };
    let task = Task::of_body(&body.value)
        .filter(|task| matches!(task, Task::KeyAdd | Task::KeyRemove))
        .ok_or_else(not_ours)?;
    let asked = (task, arguments.value.as_str());
    let answer = ask(link, command, asked, ExecLimits::within(within)).await?;
    let done = Done::deserialize(answer.data);
    done.map(|done| done.done)
        .map_err(|error| unparsable(&format!("the change of keys: {error}"), b""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::scripted::Script;

    /// The change that was asked for, on a host that knows no program.
    async fn changed(script: &Script, command: &RemoteCommand) -> HypervisorError {
        let link = script.transport();
        let changed = change(&*link, command, Duration::from_secs(1)).await;
        changed.expect_err("no program answers")
    }

    #[tokio::test]
    async fn what_is_no_change_of_keys_is_not_sent_as_one() {
        let script = Script::new();
        let data = serde_json::json!({ "key": "ssh-ed25519 AAAA" });
        let (add, other) = (add(&data), Task::Screen.body());
        let others = [
            RemoteCommand::powershell("Remove-Item C:\\", data.to_string()),
            RemoteCommand::powershell(other, data.to_string()),
            RemoteCommand {
                args: add.args.iter().take(1).cloned().collect(),
                ..add.clone()
            },
        ];
        for other in others {
            let error = changed(&script, &other).await;
            assert!(error.to_string().contains("not its own"), "{error}");
        }
        assert_eq!(script.commands(), [""; 0]);
        for own in [add, remove(&data)] {
            let error = changed(&script, &own).await;
            assert!(error.to_string().contains("PowerShell"), "{error}");
        }
        assert!(!script.commands().is_empty());
    }
}
