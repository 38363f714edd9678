//! Processes behind an exec channel of Windows OpenSSH: the shell that sshd starts, and PowerShell.
//! Runs on a blocking thread; whoever wires it gives a machine and the streams.

use super::arguments::{self, Started, Work};
use super::cmd;
use super::console::HostConsole;
use super::interp::{Console, Flow, Interpreter, Process};
use super::machine::{DefaultShell, Edition, Machine, Windows};
use super::parse;
use crate::sim::stdio::{Piece, Stdio};

/// Stack of the thread a process runs on; scripts may nest calls and blocks deeply.
const STACK: usize = 128 * 1024 * 1024;

/// Exit code of a process that was ended from outside (`TerminateProcess` with -1).
const ENDED: u32 = u32::MAX;

/// Longest line `CreateProcess` takes (Microsoft: `CreateProcessW`, `lpCommandLine`).
const MAX_LINE: usize = 32_767;

/// Runs a channel's command line to its end and returns the exit status: 32 bits, never a signal.
/// That the client has left is not noticed. Must be called on a thread that may block.
pub(in crate::sim) fn run(line: &str, machine: &mut dyn Machine, stdio: &mut Stdio) -> u32 {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("sim process".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || run_here(line, machine, stdio));
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(code)) => code,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => ENDED,
        }
    })
}

fn run_here(line: &str, machine: &mut dyn Machine, stdio: &mut Stdio) -> u32 {
    let windows = machine.windows();
    match windows.default_shell {
        DefaultShell::Cmd => cmd::run(line, machine, stdio),
        DefaultShell::PowerShell(edition) => {
            if line.chars().count() > MAX_LINE {
                stdio.send(Piece::Err(b"exec request failed\r\n".to_vec()));
                return 1;
            }
            let words = ["-c".to_owned(), line.to_owned()];
            run_inner(machine, stdio, edition, &words, false).0
        }
    }
}

/// Runs a PowerShell with its words; returns its exit code and, where that is kept, its output.
pub(super) fn run_inner(
    machine: &mut dyn Machine,
    stdio: &mut Stdio,
    edition: Edition,
    words: &[String],
    captures: bool,
) -> (u32, String) {
    let windows = machine.windows();
    let name = match edition {
        Edition::Desktop => "powershell",
        Edition::Core => "pwsh",
    };
    let running = machine
        .processes()
        .start_with(name, &words.join(" "), machine.now());
    let life = running.process.life.clone();
    let startup = windows
        .installed(edition)
        .map(|installed| installed.startup)
        .unwrap_or_default();
    if !startup.is_zero() && !machine.sleep(&life, startup) {
        return (ENDED, String::new());
    }
    let started = match arguments::read(words, edition) {
        Ok(started) => started,
        Err(wrong) => {
            let said = wrong.said.replace('\n', "\r\n");
            stdio.send(Piece::Err(said.into_bytes()));
            return (wrong.code, String::new());
        }
    };
    let as_document = started.encoded && !started.interactive;
    let mut console = HostConsole::new(stdio, machine, life.clone(), edition, as_document);
    if captures {
        console.kept = Some(String::new());
    }
    if started.profile && windows.default_shell == DefaultShell::PowerShell(edition) {
        greet(&mut console, &windows);
    }
    let process = Process {
        machine,
        console: &mut console,
        edition,
        life,
        id: running.process.id,
    };
    let code = work(&started, process);
    console.close();
    (code, console.kept.take().unwrap_or_default())
}

/// Prints what the user's profile prints.
fn greet(console: &mut HostConsole<'_>, windows: &Windows) {
    for line in windows.banner.lines() {
        console.out(&format!("{line}\r\n"));
    }
}

fn work(started: &Started, process: Process<'_>) -> u32 {
    let edition = process.edition;
    match &started.work {
        Work::Nothing => 0,
        Work::Version => {
            let windows = process.machine.windows();
            if let Some(installed) = windows.installed(edition) {
                let line = format!("PowerShell {}\r\n", installed.version);
                process.console.out(&line);
            }
            0
        }
        Work::Text(text) => {
            let mut interpreter = Interpreter::new(process);
            run_text(&mut interpreter, text).unwrap_or_else(|| last_status(&interpreter))
        }
        Work::Input => {
            let mut interpreter = Interpreter::new(process);
            run_input(&mut interpreter)
        }
        Work::File(path, _) => {
            let Some(bytes) = process.machine.read_file(path) else {
                let said = format!(
                    "The argument '{path}' to the -File parameter does not exist. Provide the path \
                     to an existing '.ps1' file as an argument to the -File parameter.\r\n"
                );
                process.console.error(&said);
                return if edition == Edition::Core {
                    64
                } else {
                    0xfffd_0000
                };
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let mut interpreter = Interpreter::new(process);
            // A file's end is success unless it says otherwise.
            run_text(&mut interpreter, text.trim_start_matches('\u{feff}')).unwrap_or(0)
        }
    }
}

fn last_status(interpreter: &Interpreter<'_>) -> u32 {
    u32::from(!interpreter.succeeded)
}

/// Runs a text; returns an exit code where it ended with one, nothing where it ran to its end.
fn run_text(interpreter: &mut Interpreter<'_>, text: &str) -> Option<u32> {
    let script = match parse::parse(text, interpreter.edition()) {
        Ok(script) => script,
        Err(error) => {
            interpreter.show_uncaught(error.record());
            return Some(1);
        }
    };
    match interpreter.run_script(&script) {
        Err(Flow::Exit(code)) => Some(code.cast_unsigned()),
        Err(Flow::Error(record, _)) => {
            interpreter.show_uncaught(*record);
            Some(1)
        }
        Err(Flow::Ended) => Some(ENDED),
        _ => None,
    }
}

/// Runs standard input as if it were typed: a line that is a whole statement at once, a longer one
/// when an empty line follows. What is unfinished at the end is not run.
fn run_input(interpreter: &mut Interpreter<'_>) -> u32 {
    let mut pending = String::new();
    while let Some(line) = interpreter.process.console.read_line() {
        if pending.is_empty() {
            match parse::parse(&line, interpreter.edition()) {
                Err(error) if error.incomplete => {
                    pending = line;
                    continue;
                }
                _ => {
                    if let Some(code) = typed(interpreter, &line) {
                        return code;
                    }
                    continue;
                }
            }
        }
        if !line.trim().is_empty() {
            pending.push('\n');
            pending.push_str(&line);
            continue;
        }
        let text = std::mem::take(&mut pending);
        if let Some(code) = typed(interpreter, &text) {
            return code;
        }
    }
    if interpreter.process.life.ended() {
        return ENDED;
    }
    last_status(interpreter)
}

/// Runs one typed statement; an error does not end the session.
fn typed(interpreter: &mut Interpreter<'_>, text: &str) -> Option<u32> {
    let script = match parse::parse(text, interpreter.edition()) {
        Ok(script) => script,
        Err(error) => {
            interpreter.show_uncaught(error.record());
            interpreter.succeeded = false;
            return None;
        }
    };
    match interpreter.run_script(&script) {
        Err(Flow::Exit(code)) => Some(code.cast_unsigned()),
        Err(Flow::Ended) => Some(ENDED),
        Err(Flow::Error(record, _)) => {
            interpreter.show_uncaught(*record);
            interpreter.succeeded = false;
            None
        }
        _ => None,
    }
}
