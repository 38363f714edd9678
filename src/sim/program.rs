//! Programs of a simulated host: runs the command lines that come in, `virsh` and a handful of small
//! ones. Anything else answers like a shell that has no such program.

use std::sync::Arc;
use std::time::Duration;

use super::faults::{Access, VirshHealth};
use super::host::SimHost;
use super::shell::{self, Simple, Syntax, When, assignment};
use super::stdio::Stdio;
use super::virsh;

/// Exit codes of the shell and of `timeout`.
const NOT_FOUND: u32 = 127;
const SYNTAX: u32 = 2;
const TIME_IS_UP: u32 = 124;

/// The one pipeline it knows: how old the processes of VMs are, as our own driver asks for it.
const AGES: &str = r"ps -A -ww -o etimes= -o args= | sed -n 's/^ *\([0-9][0-9]*\) .* -uuid \([0-9a-fA-F-]\{36\}\) .*$/\1 \2/p'";

/// Shells inside shells that are followed.
const MAX_DEPTH: u8 = 8;

/// What a program inherits.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) host: Arc<SimHost>,
    pub(super) env: Vec<(String, String)>,
    pub(super) user: String,
    /// Whether it runs as root (through `sudo`).
    pub(super) root: bool,
    /// Whether its standard streams are a terminal.
    pub(super) terminal: bool,
    depth: u8,
}

impl Surroundings {
    /// What the login shell of `user` starts with.
    pub(super) fn login(host: Arc<SimHost>, user: &str, env: Vec<(String, String)>) -> Self {
        let mut all = vec![
            ("HOME".to_owned(), format!("/home/{user}")),
            ("USER".to_owned(), user.to_owned()),
            ("SHELL".to_owned(), "/bin/sh".to_owned()),
        ];
        all.extend(env);
        Self {
            host,
            env: all,
            user: user.to_owned(),
            root: false,
            terminal: false,
            depth: 0,
        }
    }

    /// Returns a variable's value.
    pub(super) fn var(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }
}

/// Runs a command line to its end and returns its exit code.
pub(super) async fn run_line(mut around: Surroundings, line: &str, stdio: &mut Stdio) -> u32 {
    let latency = around.host.latency();
    if around.depth == 0 && !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let variable = |name: &str| match name {
        // Only known once the command before has run; one line of a client never asks for it twice.
        "?" => "0".to_owned(),
        _ => around.var(name).unwrap_or_default().to_owned(),
    };
    let commands = match shell::parse(line, &variable) {
        Ok(commands) => commands,
        Err(Syntax(said)) => {
            stdio.err(format!("sh: 1: {said}\n")).await;
            return SYNTAX;
        }
    };
    let mut status = 0;
    for command in commands {
        let runs = match command.when {
            When::Always => true,
            When::AfterSuccess => status == 0,
            When::AfterFailure => status != 0,
        };
        if !runs {
            continue;
        }
        if let [word, code @ ..] = command.words.as_slice()
            && word == "exit"
        {
            return code.first().and_then(|c| c.parse().ok()).unwrap_or(status);
        }
        if command.words.is_empty() {
            for (name, value) in &command.assignments {
                around.set(name, value);
            }
            status = 0;
            continue;
        }
        status = run_simple(around.clone(), command, stdio).await;
    }
    status
}

async fn run_simple(mut around: Surroundings, command: Simple, stdio: &mut Stdio) -> u32 {
    for (name, value) in &command.assignments {
        around.set(name, value);
    }
    let kept = (stdio.out_to, stdio.err_to);
    stdio.out_to = command.out_to;
    stdio.err_to = command.err_to;
    let prefixed = match strip_prefixes(around, command.words) {
        Ok(prefixed) => prefixed,
        Err((status, said)) => {
            stdio.err(said).await;
            (stdio.out_to, stdio.err_to) = kept;
            return status;
        }
    };
    let run = Box::pin(run_program(prefixed.around, &prefixed.words, stdio));
    let status = match prefixed.limit {
        None => run.await,
        Some(limit) => tokio::time::timeout(limit, run).await.unwrap_or(TIME_IS_UP),
    };
    (stdio.out_to, stdio.err_to) = kept;
    status
}

struct Prefixed {
    around: Surroundings,
    words: Vec<String>,
    limit: Option<Duration>,
}

/// Takes `exec`, `env`, `timeout`, `sudo` and the like off the front of a command.
fn strip_prefixes(mut around: Surroundings, words: Vec<String>) -> Result<Prefixed, (u32, String)> {
    let mut limit = None;
    let mut words = words.into_iter().peekable();
    loop {
        match words.peek().map(String::as_str) {
            Some("exec" | "nohup") => {
                words.next();
            }
            Some("env") => {
                words.next();
                while let Some((name, value)) = words.peek().and_then(|word| assignment(word)) {
                    around.set(name, value);
                    words.next();
                }
            }
            Some("timeout") => {
                words.next();
                limit = Some(time_limit(&mut words)?);
            }
            Some("sudo") => {
                words.next();
                while words.next_if(|word| word.starts_with('-')).is_some() {}
                if around.host.access() != Access::Sudo {
                    return Err((1, "sudo: a password is required\n".to_owned()));
                }
                around.root = true;
            }
            _ => break,
        }
    }
    Ok(Prefixed {
        around,
        words: words.collect(),
        limit,
    })
}

/// Reads `[-k N] N` of `timeout`.
fn time_limit(
    words: &mut std::iter::Peekable<std::vec::IntoIter<String>>,
) -> Result<Duration, (u32, String)> {
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        if matches!(option.as_str(), "-k" | "-s") {
            words.next();
        }
    }
    let text = words.next().unwrap_or_default();
    text.trim_end_matches('s')
        .parse::<f64>()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| (125, format!("timeout: invalid time interval '{text}'\n")))
}

async fn run_program(mut around: Surroundings, words: &[String], stdio: &mut Stdio) -> u32 {
    let Some((program, args)) = words.split_first() else {
        return print_env(&around, stdio).await;
    };
    let name = program
        .strip_prefix("/usr/bin/")
        .or_else(|| program.strip_prefix("/bin/"))
        .unwrap_or(program);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match (name, args.as_slice()) {
        ("virsh", _) if around.host.virsh_health() != VirshHealth::Missing => {
            virsh::run(&around, &args, stdio).await
        }
        ("true" | ":", _) => 0,
        ("false", _) => 1,
        ("echo", words) => say(stdio, &words.join(" ")).await,
        ("command", ["-v", wanted]) => match found(&around, wanted) {
            Some(path) => say(stdio, &path).await,
            None => NOT_FOUND,
        },
        ("sh" | "bash" | "dash", ["-c", line]) if *line == AGES => ages(&around, stdio).await,
        ("sh" | "bash" | "dash", ["-c", line, ..]) if around.depth < MAX_DEPTH => {
            around.depth += 1;
            Box::pin(run_line(around, line, stdio)).await
        }
        ("uname", options) => uname(&around, options, stdio).await,
        ("hostname", []) => say(stdio, &around.host.plan.hostname).await,
        ("whoami", []) | ("id", ["-un"]) => say(stdio, account(&around)).await,
        ("id", ["-u"]) => say(stdio, if around.root { "0" } else { "1000" }).await,
        ("id", []) => say(stdio, &identity(&around)).await,
        ("id", ["-Gn" | "-nG"]) => say(stdio, groups(&around)).await,
        ("locale", ["-a"]) => say(stdio, "C\nC.utf8\nPOSIX\nen_US.utf8").await,
        ("nproc", []) => say(stdio, &around.host.plan.cpus.to_string()).await,
        ("cat", []) => {
            while let Some(bytes) = stdio.read().await {
                stdio.out(bytes).await;
            }
            0
        }
        ("sleep", [time]) => sleep(stdio, time).await,
        _ => {
            stdio.err(format!("sh: 1: {program}: not found\n")).await;
            NOT_FOUND
        }
    }
}

async fn say(stdio: &Stdio, line: &str) -> u32 {
    stdio.out(format!("{line}\n")).await;
    0
}

async fn ages(around: &Surroundings, stdio: &Stdio) -> u32 {
    let lines: String = around.host.world(|world| {
        let t = world.t();
        world
            .vms()
            .filter_map(|vm| Some(format!("{:.0} {}\n", vm.age(t)?.floor(), vm.plan.uuid)))
            .collect()
    });
    stdio.out(lines).await;
    0
}

async fn sleep(stdio: &Stdio, time: &str) -> u32 {
    let Ok(Ok(wait)) = time.parse().map(Duration::try_from_secs_f64) else {
        let said = format!("sleep: invalid time interval '{time}'\n");
        stdio.err(said).await;
        return 1;
    };
    tokio::time::sleep(wait).await;
    0
}

async fn print_env(around: &Surroundings, stdio: &Stdio) -> u32 {
    for (name, value) in &around.env {
        stdio.out(format!("{name}={value}\n")).await;
    }
    0
}

async fn uname(around: &Surroundings, options: &[&str], stdio: &Stdio) -> u32 {
    let hostname = &around.host.plan.hostname;
    let line = match options {
        [] | ["-s"] => "Linux".to_owned(),
        ["-n"] => hostname.clone(),
        ["-m"] => "x86_64".to_owned(),
        ["-r"] => "6.1.0-18-amd64".to_owned(),
        ["-o"] => "GNU/Linux".to_owned(),
        ["-sr"] => "Linux 6.1.0-18-amd64".to_owned(),
        ["-sm"] => "Linux x86_64".to_owned(),
        _ => format!(
            "Linux {hostname} 6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01) x86_64 GNU/Linux"
        ),
    };
    say(stdio, &line).await
}

fn found(around: &Surroundings, program: &str) -> Option<String> {
    match program {
        "virsh" if around.host.virsh_health() == VirshHealth::Missing => None,
        "virsh" | "timeout" | "env" | "sudo" | "uname" | "locale" | "id" | "nproc" | "cat"
        | "sleep" | "hostname" | "sh" => Some(format!("/usr/bin/{program}")),
        "true" | "false" | "echo" | "command" | "exec" | "exit" | ":" => Some(program.to_owned()),
        _ => None,
    }
}

fn account(around: &Surroundings) -> &str {
    if around.root { "root" } else { &around.user }
}

fn groups(around: &Surroundings) -> &'static str {
    match (around.root, around.host.access()) {
        (true, _) => "root",
        (false, Access::Group) => "users libvirt",
        (false, Access::Sudo | Access::Denied) => "users",
    }
}

fn identity(around: &Surroundings) -> String {
    let id = if around.root { 0 } else { 1000 };
    let name = account(around);
    format!("uid={id}({name}) gid={id}({name}) groups={id}({name})")
}
