//! Who may log in to an account of a Windows host: which file of OpenSSH says so, and how it is changed, is in
//! `keys.ps1` (Microsoft: "Key-based authentication in OpenSSH for Windows").

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

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
    let value = |place: usize| command.args.get(place).map_or("", |arg| arg.value.as_str());
    let task = Task::of_body(value(0)).unwrap_or(Task::KeyRemove);
    let asked = (task, value(1));
    let answer = ask(link, command, asked, ExecLimits::within(within)).await?;
    let done = Done::deserialize(answer.data);
    done.map(|done| done.done)
        .map_err(|error| unparsable(&format!("the change of keys: {error}"), b""))
}
