//! `virsh console`: the serial line of a simulated VM, with a small shell at its other end; who has it,
//! and what happens when somebody else wants it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::options::Command;
use crate::sim::host::SimHost;
use crate::sim::stdio::Stdio;
use crate::sim::vm::SimVm;

/// The escape character, `^]`.
const ESCAPE: u8 = 0x1d;

/// How often the line is looked at for a VM that went off.
const LOOK: Duration = Duration::from_millis(100);

/// Lines that a flood is made of at once.
const PAGE: usize = 5000;

/// Bytes of a line that the shell takes.
const MAX_LINE: usize = 4096;

/// Who has the consoles of a host: by place in its world, with what takes it away.
#[derive(Debug, Default)]
pub(in crate::sim) struct Seats(Mutex<HashMap<usize, CancellationToken>>);

impl Seats {
    /// Takes a console; `None` when somebody has it and is not to be thrown out.
    fn take(&self, index: usize, force: bool) -> Option<CancellationToken> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = seats.get(&index).filter(|other| !other.is_cancelled()) {
            if !force {
                return None;
            }
            other.cancel();
        }
        let token = CancellationToken::new();
        seats.insert(index, token.clone());
        Some(token)
    }
}

/// Frees a seat when dropped, whatever ends the program.
struct Seat(CancellationToken);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs a console until one side leaves; returns false when it ends as a failure does.
pub(super) async fn console(
    host: &SimHost,
    terminal: bool,
    command: &Command,
    stdio: &mut Stdio,
) -> bool {
    let fail = |said: &str| format!("error: {said}\n");
    if !terminal {
        let said = fail("Cannot run interactive console without a controlling TTY");
        stdio.err(said).await;
        return false;
    }
    let domain = command.domain();
    let Some(index) = host.world(|world| world.find(domain)) else {
        let said = fail(&format!("failed to get domain '{domain}'"));
        stdio.err(said).await;
        return false;
    };
    let name = host.world(|world| {
        let vm = world.vm(index)?;
        vm.is_active().then(|| vm.plan.name.clone())
    });
    let Some(name) = name else {
        stdio.err(fail("The domain is not running")).await;
        return false;
    };
    let Some(taken_away) = host.seats.take(index, command.has("force")) else {
        let said = fail("operation failed: Active console session exists for this domain");
        stdio.err(said).await;
        return false;
    };
    let _seat = Seat(taken_away.clone());
    let mut shell = Shell::new(&name);
    let mut look = tokio::time::interval(LOOK);
    loop {
        let happening = if shell.floods {
            if let Some(typed) = stdio.read_more() {
                Happening::Typed(Some(typed))
            } else {
                tokio::select! {
                    biased;
                    () = taken_away.cancelled() => Happening::TakenAway,
                    _ = look.tick() => Happening::Look,
                    () = stdio.out(Shell::flood()) => continue,
                }
            }
        } else {
            tokio::select! {
                biased;
                () = taken_away.cancelled() => Happening::TakenAway,
                _ = look.tick() => Happening::Look,
                typed = stdio.read() => Happening::Typed(typed),
            }
        };
        match happening {
            Happening::TakenAway => {
                stdio.err(fail("stream had I/O failure")).await;
                return false;
            }
            Happening::Look => {
                if !host.world(|world| world.vm(index).is_some_and(SimVm::is_active)) {
                    return true;
                }
            }
            Happening::Typed(Some(typed)) if !typed.contains(&ESCAPE) => {
                let printed = shell.take(&typed);
                stdio.out(printed).await;
            }
            Happening::Typed(_) => return true,
        }
    }
}

/// What a console wakes up for.
enum Happening {
    TakenAway,
    Look,
    /// Nothing at the end of input.
    Typed(Option<Vec<u8>>),
}

/// A shell that knows a few words.
#[derive(Debug)]
pub(in crate::sim) struct Shell {
    host: String,
    line: Vec<u8>,
    /// `yes` runs: it prints until it is interrupted.
    floods: bool,
    left: bool,
}

impl Shell {
    /// What `yes` prints at once: a page of lines.
    fn flood() -> Vec<u8> {
        "y\r\n".repeat(PAGE).into_bytes()
    }

    pub(in crate::sim) fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            line: Vec::new(),
            floods: false,
            left: false,
        }
    }

    /// Takes what was typed; returns what it prints.
    pub(in crate::sim) fn take(&mut self, typed: &[u8]) -> Vec<u8> {
        let mut printed = Vec::new();
        for byte in typed {
            match byte {
                3 => {
                    self.floods = false;
                    self.line.clear();
                    printed.extend(b"^C\r\n");
                    printed.extend(self.prompt());
                }
                b'\r' | b'\n' => {
                    printed.extend(b"\r\n");
                    let line = String::from_utf8_lossy(&self.line).into_owned();
                    self.line.clear();
                    printed.extend(self.run(line.trim()));
                    if !self.floods {
                        printed.extend(self.prompt());
                    }
                }
                8 | 0x7f => printed.extend(self.rub_out()),
                byte if self.line.len() < MAX_LINE => {
                    self.line.push(*byte);
                    printed.push(*byte);
                }
                _ => {}
            }
        }
        printed
    }

    fn rub_out(&mut self) -> &'static [u8] {
        match self.line.pop() {
            Some(_) => b"\x08 \x08",
            None => b"",
        }
    }

    /// Says whether it was left; on a serial line the next one follows at once.
    pub(in crate::sim) const fn is_left(&self) -> bool {
        self.left
    }

    pub(in crate::sim) fn prompt(&self) -> Vec<u8> {
        format!("root@{}:~# ", self.host).into_bytes()
    }

    fn run(&mut self, line: &str) -> Vec<u8> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => String::new(),
            "echo" => format!("{rest}\r\n"),
            "hostname" => format!("{}\r\n", self.host),
            "exit" | "logout" => {
                self.left = true;
                String::new()
            }
            "yes" => {
                self.floods = true;
                String::new()
            }
            other => format!("sh: {other}: not found\r\n"),
        }
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_echoes_and_answers() {
        let mut shell = Shell::new("web-1");
        let said = String::from_utf8(shell.take(b"ech\x7fho hi\r")).unwrap();
        assert_eq!(said, "ech\x08 \x08ho hi\r\nhi\r\nroot@web-1:~# ");
        shell.take(b"yes\r");
        assert!(shell.floods);
        shell.take(b"\x03");
        assert!(!shell.floods);
    }

    #[test]
    fn a_seat_is_taken_once_unless_by_force() {
        let seats = Seats::default();
        let first = seats.take(0, false).unwrap();
        assert!(seats.take(0, false).is_none());
        assert!(seats.take(1, false).is_some());
        let second = seats.take(0, true).unwrap();
        assert!(first.is_cancelled() && !second.is_cancelled());
        drop(Seat(second));
        assert!(seats.take(0, false).is_some());
    }
}
