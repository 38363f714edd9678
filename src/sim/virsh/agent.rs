//! `virsh qemu-agent-command`: the guest agent of a simulated VM, as far as running programs goes. Its guest
//! knows the few programs of the serial console's shell.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::options::Command;
use super::said::Said;
use crate::sim::vm::SimVm;

/// Ends that nobody has asked for; the agent forgets one when it is told, and so do we, the oldest first.
const MOST: usize = 64;

/// Programs that have ended in the VMs of a host, by place of the VM and number of the process.
#[derive(Debug, Default)]
pub(in crate::sim) struct Agents(Mutex<Ended>);

#[derive(Debug, Default)]
struct Ended {
    last: u64,
    waiting: HashMap<(usize, u64), Value>,
}

/// Answers a question to a VM's agent.
pub(super) fn ask(agents: &Agents, vm: &SimVm, index: usize, command: &Command) -> Said {
    if !vm.is_active() {
        return Said::error("Requested operation is not valid: domain is not running");
    }
    if !vm.plan.agent {
        return Said::error("argument unsupported: QEMU guest agent is not configured");
    }
    let question: Value = match serde_json::from_str(&command.words.join(" ")) {
        Ok(question) => question,
        Err(_) => return Said::error("internal error: cannot parse json"),
    };
    let part = |name: &str| question.get(name).cloned().unwrap_or_default();
    let (execute, arguments) = (part("execute"), part("arguments"));
    let execute = execute.as_str().unwrap_or_default();
    let answer = match execute {
        "guest-ping" => Ok(json!({})),
        "guest-exec" => agents.start(&vm.plan.name, index, &arguments),
        "guest-exec-status" => agents.end(index, &arguments),
        other => Err(format!("The command {other} has not been found")),
    };
    match answer {
        Ok(value) => Said::line(json!({ "return": value })),
        Err(why) => Said::error(format!(
            "internal error: unable to execute QEMU agent command '{execute}': {why}"
        )),
    }
}

impl Agents {
    fn start(&self, name: &str, index: usize, arguments: &Value) -> Result<Value, String> {
        let path = arguments.get("path").and_then(Value::as_str);
        let path = path.unwrap_or_default();
        let args = arguments.get("arg").and_then(Value::as_array);
        let args = args.into_iter().flatten();
        let args: Vec<&str> = args.filter_map(Value::as_str).collect();
        let (code, out, err) = run(name, path, &args).ok_or_else(|| {
            format!("Failed to execute child process “{path}” (No such file or directory)")
        })?;
        let status = json!({
            "exited": true,
            "exitcode": code,
            "out-data": STANDARD.encode(out),
            "err-data": STANDARD.encode(err),
        });
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ended.last += 1;
        let pid = 1000 + ended.last;
        if ended.waiting.len() >= MOST
            && let Some(oldest) = ended.waiting.keys().min_by_key(|(_, pid)| *pid).copied()
        {
            ended.waiting.remove(&oldest);
        }
        ended.waiting.insert((index, pid), status);
        Ok(json!({ "pid": pid }))
    }

    fn end(&self, index: usize, arguments: &Value) -> Result<Value, String> {
        let pid = arguments.get("pid").and_then(Value::as_u64);
        let pid = pid.unwrap_or_default();
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = || format!("Invalid parameter 'pid' (PID {pid} does not exist)");
        ended.waiting.remove(&(index, pid)).ok_or_else(gone)
    }
}

/// Runs a program: its code, what it prints, what it prints as errors. `None` where there is no such program.
fn run(name: &str, path: &str, args: &[&str]) -> Option<(i32, String, String)> {
    let none = String::new;
    let program = path.rsplit('/').next().unwrap_or_default();
    Some(match program {
        "echo" => (0, format!("{}\n", args.join(" ")), none()),
        "hostname" => (0, format!("{name}\n"), none()),
        "id" => (
            0,
            "uid=0(root) gid=0(root) groups=0(root)\n".to_owned(),
            none(),
        ),
        "uname" if args.is_empty() => (0, "Linux\n".to_owned(), none()),
        "uname" => (
            0,
            format!("Linux {name} 6.1.0-56-amd64 #1 SMP x86_64 GNU/Linux\n"),
            none(),
        ),
        "true" => (0, none(), none()),
        "false" => (1, none(), none()),
        "sh" => {
            let words: Vec<&str> = match args {
                ["-c", line] => line.split_whitespace().collect(),
                _ => return Some((2, none(), "sh: no terminal\n".to_owned())),
            };
            match words.split_first() {
                None => (0, none(), none()),
                Some((first, rest)) => run(name, first, rest)
                    .unwrap_or_else(|| (127, none(), format!("sh: {first}: not found\n"))),
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_once() {
        let agents = Agents::default();
        let asked = json!({ "path": "/bin/sh", "arg": ["-c", "nothing here"] });
        let started = agents.start("web-1", 3, &asked).unwrap();
        assert!(agents.end(4, &started).is_err(), "another VM's");
        let end = agents.end(3, &started).unwrap();
        assert_eq!(end["exitcode"], 127);
        assert!(agents.end(3, &started).is_err());
        assert!(
            agents
                .start("web-1", 3, &json!({ "path": "/nope" }))
                .is_err()
        );
    }
}
