//! A `virsh` process: its own options, the connection, and the two ways of running (one command, or
//! commands on standard input).

use super::options::Command;
use super::said::Said;
use super::{
    about, act, agent, console, define, definition, events, line, list, screen, snapshots, stats,
    stores,
};
use crate::sim::faults::{Access, VirshHealth};
use crate::sim::host::SimHost;
use crate::sim::program::Surroundings;
use crate::sim::stdio::Stdio;
use crate::sim::world::World;

/// Bytes of an unfinished line on standard input before the process gives up.
const MAX_LINE: usize = 64 * 1024;

/// What the process was called with.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
struct Call<'a> {
    host: &'a SimHost,
    quiet: bool,
    readonly: bool,
    utf8: bool,
    /// Whether it has a terminal to put a console on.
    terminal: bool,
    uri: String,
    /// Whether that is the connection with the host's VMs in it, or an empty one.
    has_vms: bool,
}

/// Runs `virsh` with its arguments and returns its exit code.
pub(crate) async fn run(around: &Surroundings, args: &[&str], stdio: &mut Stdio) -> u32 {
    let (call, command) = match Call::parse(around, args) {
        Ok(parsed) => parsed,
        Err(Ended { out, err, status }) => {
            stdio.out(out).await;
            stdio.err(err).await;
            return status;
        }
    };
    match around.var("LC_ALL").or_else(|| around.var("LANG")) {
        None | Some("C" | "POSIX" | "C.UTF-8" | "C.utf8" | "en_US.UTF-8" | "en_US.utf8" | "") => {}
        Some(_) => stdio.err("setlocale: No such file or directory\n").await,
    }
    if let Err(why) = call.connect(around) {
        let said = Said::errors("failed to connect to the hypervisor", why);
        stdio.err(said.stderr()).await;
        return 1;
    }
    match command.as_slice() {
        [] => kept(&call, stdio).await,
        // A single argument is read like a line of input: it may hold several commands.
        [line] => match line::split(line) {
            Ok(commands) => run_all(&call, &commands, stdio).await,
            Err(why) => {
                stdio.err(Said::error(why).stderr()).await;
                1
            }
        },
        words => run_all(&call, &[words.to_vec()], stdio).await,
    }
}

/// A process that ends before it does anything.
struct Ended {
    out: String,
    err: String,
    status: u32,
}

impl<'a> Call<'a> {
    fn parse(around: &'a Surroundings, args: &[&str]) -> Result<(Self, Vec<String>), Ended> {
        let host = &*around.host;
        let mut uri = None;
        let (mut quiet, mut readonly) = (false, false);
        let mut args = args.iter().copied().peekable();
        while let Some(option) = args.next_if(|arg| arg.starts_with('-') && *arg != "-") {
            match option {
                "-q" | "--quiet" => quiet = true,
                "-r" | "--readonly" => readonly = true,
                "-c" | "--connect" => {
                    let value = args
                        .next()
                        .ok_or_else(|| failed("option '-c'/'--connect' requires an argument"))?;
                    uri = Some(value);
                }
                "-v" | "--version" => {
                    return Err(Ended {
                        out: format!("{}\n", host.plan.libvirt),
                        err: String::new(),
                        status: 0,
                    });
                }
                "--" => break,
                _ => {
                    let value = option.strip_prefix("--connect=").ok_or_else(|| {
                        failed(&format!("unsupported option '{option}'. See --help."))
                    })?;
                    uri = Some(value);
                }
            }
        }
        let own = host.plan.uri.as_str();
        let uri = uri
            .or_else(|| around.var("LIBVIRT_DEFAULT_URI"))
            .unwrap_or(own)
            .to_owned();
        let call = Self {
            host,
            quiet,
            readonly,
            terminal: around.terminal,
            utf8: around
                .var("LC_ALL")
                .or_else(|| around.var("LANG"))
                .is_some_and(|locale| locale.to_ascii_lowercase().contains("utf")),
            has_vms: uri == own || own.is_empty(),
            uri,
        };
        Ok((call, args.map(str::to_owned).collect()))
    }

    /// Checks that the account may connect, as libvirt would.
    fn connect(&self, around: &Surroundings) -> Result<(), String> {
        let driver = self.uri.split([':', '+']).next().unwrap_or_default();
        if driver != "qemu" {
            return Err(format!("no connection driver available for {}", self.uri));
        }
        let allowed =
            around.root || self.uri.ends_with("/session") || self.host.access() == Access::Group;
        if allowed {
            Ok(())
        } else {
            Err("authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'".to_owned())
        }
    }
}

fn failed(said: &str) -> Ended {
    Ended {
        out: String::new(),
        err: format!("error: {said}\n"),
        status: 1,
    }
}

/// Runs commands on standard input until it ends, `virsh # ` before each, its echo after.
async fn kept(call: &Call<'_>, stdio: &mut Stdio) -> u32 {
    let prompt = if call.readonly {
        "virsh > "
    } else {
        "virsh # "
    };
    let mut output = String::new();
    if !call.quiet {
        output.push_str("Welcome to virsh, the virtualization interactive terminal.\n\nType:  'help' for help with commands\n       'quit' to quit\n\n");
    }
    output.push_str(prompt);
    let mut unread: Vec<u8> = Vec::new();
    loop {
        stdio.out(std::mem::take(&mut output)).await;
        let Some(bytes) = stdio.read().await else {
            stdio.out("\n").await;
            return 0;
        };
        let latency = call.host.latency();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        unread.extend_from_slice(&bytes);
        // A slow line delays what is sent close together once, not piece by piece.
        while let Some(more) = stdio.read_more() {
            unread.extend_from_slice(&more);
        }
        let mut taken = 0;
        while let Some(length) = unread
            .get(taken..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let line = unread.get(taken..taken + length).unwrap_or_default();
            let line = String::from_utf8_lossy(line).into_owned();
            taken += length + 1;
            output.push_str(&line);
            output.push('\n');
            if matches!(line.trim(), "quit" | "exit") {
                output.push('\n');
                stdio.out(output).await;
                return 0;
            }
            run_line(call, &line, &mut output, stdio).await;
            output.push_str(prompt);
        }
        unread.drain(..taken);
        if unread.len() > MAX_LINE {
            return 1;
        }
    }
}

async fn run_line(call: &Call<'_>, line: &str, output: &mut String, stdio: &mut Stdio) {
    let parsed = line::split(line)
        .map_err(str::to_owned)
        .and_then(|commands| {
            commands
                .iter()
                .map(|words| Command::parse(words))
                .collect::<Result<Vec<_>, _>>()
        });
    let commands = match parsed {
        Ok(commands) => commands,
        Err(why) => return stdio.err(Said::error(why).stderr()).await,
    };
    for command in commands {
        if command.spec.name == "event" {
            stdio.out(std::mem::take(output)).await;
            events::event(call.host, &command, stdio).await;
            continue;
        }
        if is_slow(call, &command) {
            stdio.out(std::mem::take(output)).await;
        }
        let said = answer(call, &command).await;
        output.push_str(&said.out);
        if said.failed() {
            stdio.err(said.stderr()).await;
        }
    }
}

/// Runs the commands of one process; its exit code is that of the last one.
async fn run_all(call: &Call<'_>, commands: &[Vec<String>], stdio: &mut Stdio) -> u32 {
    let commands: Result<Vec<Command>, String> =
        commands.iter().map(|words| Command::parse(words)).collect();
    let commands = match commands {
        Ok(commands) => commands,
        Err(why) => {
            stdio.err(Said::error(why).stderr()).await;
            return 1;
        }
    };
    let mut failed = false;
    for command in commands {
        if command.spec.name == "event" {
            failed = !events::event(call.host, &command, stdio).await;
            continue;
        }
        if command.spec.name == "console" {
            failed = !console::console(call.host, call.terminal, &command, stdio).await;
            continue;
        }
        if command.spec.name == "define" && is_well(call, "define") {
            let said = define::define(call.host, &command, stdio).await;
            stdio.err(said.stderr()).await;
            failed = said.failed();
            continue;
        }
        if command.spec.name == "screenshot"
            && is_well(call, "screenshot")
            && let Some(picture) = screen::picture(call.host, &command)
        {
            stdio.out(picture).await;
            continue;
        }
        let said = answer(call, &command).await;
        stdio.out(said.out.clone()).await;
        stdio.err(said.stderr()).await;
        // `echo --err` writes where errors go, and succeeds.
        failed = said.failed() && command.spec.name != "echo";
    }
    u32::from(failed)
}

/// Tells whether a command does what it does on a host in order.
fn is_well(call: &Call<'_>, command: &str) -> bool {
    !call.host.hangs(command) && call.host.virsh_health() != VirshHealth::Garbage
}

/// Tells whether what was said so far must not wait for this command.
fn is_slow(call: &Call<'_>, command: &Command) -> bool {
    command.spec.name == "domstats" && !call.host.stats_latency().is_zero()
}

/// Answers one command, with the blank line that follows it when not quiet.
async fn answer(call: &Call<'_>, command: &Command) -> Said {
    let name = command.spec.name;
    if call.host.hangs(name) {
        return std::future::pending().await;
    }
    if is_slow(call, command) {
        tokio::time::sleep(call.host.stats_latency()).await;
    }
    let mut said = if name == "echo" {
        echo(command)
    } else if call.host.virsh_health() == VirshHealth::Garbage {
        Said::out(call.host.world(|world| about::garbage(world)))
    } else {
        about_domain_or_host(call, command).await
    };
    if !call.quiet {
        said.out.push('\n');
    }
    said
}

async fn about_domain_or_host(call: &Call<'_>, command: &Command) -> Said {
    if let Some(said) = about_stores(call, command) {
        return said;
    }
    if command.value("domain").is_none() {
        return call.host.world(|world| about_host(call, world, command));
    }
    let domain = command.domain();
    let index = if call.has_vms {
        call.host.world(|world| world.find(domain))
    } else {
        None
    };
    let Some(index) = index else {
        return Said::error(format!("failed to get domain '{domain}'"));
    };
    let uuid = |world: &mut World| world.vm(index).map(|vm| vm.plan.uuid.clone());
    if let Some(uuid) = call.host.world(uuid) {
        call.host.tally.command(&uuid, command.spec.name);
    }
    if let Some(said) = act::act(call.host, index, command, call.quiet).await {
        return said;
    }
    if let Some(said) = snapshots::act(call.host, index, command, call.quiet).await {
        return said;
    }
    call.host
        .world(|world| about_domain(call, world, index, command))
}

/// Pools, volumes and networks; a connection without VMs has none of them either.
fn about_stores(call: &Call<'_>, command: &Command) -> Option<Said> {
    if !call.has_vms && matches!(command.spec.name, "pool-list" | "net-list") {
        return Some(Said::nothing());
    }
    call.host
        .world(|world| stores::stores(world, command, call.quiet, call.utf8))
}

fn about_host(call: &Call<'_>, world: &World, command: &Command) -> Said {
    match command.spec.name {
        "version" => about::version(call.host, command),
        "uri" => Said::line(&call.uri),
        "hostname" => Said::line(&call.host.plan.hostname),
        "nodeinfo" => about::nodeinfo(call.host),
        "nodecpumap" => about::nodecpumap(call.host),
        "nodememstats" => about::nodememstats(call.host, world),
        "nodecpustats" => about::nodecpustats(call.host, world, command),
        "list" | "domstats" if !call.has_vms => Said::nothing(),
        "list" => list::list(world, command, call.quiet, call.utf8),
        "domstats" => stats::domstats(world, command),
        _ => Said::nothing(),
    }
}

fn about_domain(call: &Call<'_>, world: &World, index: usize, command: &Command) -> Said {
    let Some(vm) = world.vm(index) else {
        return Said::error(format!("failed to get domain '{}'", command.domain()));
    };
    match command.spec.name {
        "dominfo" => about::dominfo(world, vm),
        "domstate" => about::domstate(vm, command),
        "domid" => about::domid(vm),
        "domuuid" => Said::line(&vm.plan.uuid),
        "domname" => Said::line(&vm.plan.name),
        "domifaddr" => about::domifaddr(vm, command, call.quiet),
        "domblklist" => about::domblklist(vm, command, call.quiet, call.utf8),
        "domblkinfo" => about::domblkinfo(vm, command, call.quiet),
        "domiflist" => about::domiflist(vm, call.quiet),
        "domdisplay" => about::domdisplay(vm),
        "dumpxml" => definition::dumpxml(vm, command),
        "snapshot-current" => snapshots::snapshot_current(world, vm, command),
        "snapshot-dumpxml" => snapshots::snapshot_dumpxml(world, vm, command),
        "snapshot-list" => snapshots::snapshot_list(world, vm, command, call.quiet),
        "desc" => about::desc(vm, command, call.quiet),
        "qemu-agent-command" => agent::ask(&call.host.agents, vm, index, command),
        "send-key" => screen::send_key(&call.host.keyboards, vm, index, command),
        "screenshot" => Said::errors(
            format!("could not take a screenshot of {}", vm.plan.name),
            "Requested operation is not valid: domain is not running".to_owned(),
        ),
        _ => Said::nothing(),
    }
}

/// `echo`: no line end after it; with `--err`, an error that is none.
fn echo(command: &Command) -> Said {
    let text = command.words.join(" ");
    if command.has("err") {
        return if text.is_empty() {
            Said::nothing()
        } else {
            Said::error(text)
        };
    }
    Said::out(text)
}
