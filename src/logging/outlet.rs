//! Where lines of the log leave the program without holding it up: whoever reads standard error may stop doing so (a
//! stopped terminal, a pipe to a program that hangs), and a line that waits for them would stand in the way of all.
//!
//! It leaves lines out then, and says how many once it is read again. It never waits for longer than [`PATIENCE`].

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long a line waits for a reader that has kept up so far.
const PATIENCE: Duration = Duration::from_millis(100);

/// Bytes that go at once into a pipe that takes any (`pipe(7)`, `PIPE_BUF`).
const PIECE: usize = 4096;

/// A writer of whole lines.
#[derive(Debug)]
pub(super) struct Outlet<W> {
    to: W,
    /// Whether lines are JSON.
    json: bool,
    /// Lines that were left out since the last one that was not.
    left_out: u64,
    /// Whether the last line that was begun has no end.
    is_torn: bool,
}

impl<W: Write + AsFd> Outlet<W> {
    pub(super) const fn new(to: W, json: bool) -> Self {
        Self {
            to,
            json,
            left_out: 0,
            is_torn: false,
        }
    }

    /// Says what was left out, in the form of the other lines.
    fn notice(&self) -> String {
        let end = if self.is_torn { "\n" } else { "" };
        let count = self.left_out;
        let text = format!("{count} lines of the log were left out: nobody was reading it");
        if self.json {
            format!("{end}{{\"level\":\"WARN\",\"message\":\"{text}\"}}\n")
        } else {
            format!("{end} WARN {text}\n")
        }
    }

    /// Writes as much as is taken; says whether that was all.
    fn put(&mut self, line: &[u8], patience: Duration) -> io::Result<bool> {
        for piece in line.chunks(PIECE) {
            if !is_taken(&self.to, patience) {
                return Ok(false);
            }
            self.is_torn = true;
            self.to.write_all(piece)?;
        }
        self.is_torn = false;
        Ok(true)
    }
}

impl<W: Write + AsFd> Write for Outlet<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_behind = self.left_out > 0;
        let patience = if is_behind { Duration::ZERO } else { PATIENCE };
        if is_behind {
            let notice = self.notice();
            if !self.put(notice.as_bytes(), patience)? {
                self.left_out += 1;
                return Ok(line.len());
            }
            self.left_out = 0;
        }
        if !self.put(line, patience)? {
            self.left_out += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Whether a piece would be taken, within a time. What cannot be asked is written to.
fn is_taken(to: &impl AsFd, within: Duration) -> bool {
    let mut asked = [PollFd::new(to, PollFlags::OUT)];
    let within = Timespec::try_from(within).ok();
    let asked = poll(&mut asked, within.as_ref());
    !matches!(asked, Ok(0) | Err(Errno::INTR))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_log_that_nobody_reads_holds_nothing_up_and_says_what_is_missing() {
        for json in [false, true] {
            let (mut reader, writer) = io::pipe().unwrap();
            let mut log = Outlet::new(writer, json);
            let padding = "x".repeat(3 * PIECE);
            // A pipe holds a fraction of it.
            for number in 0..2_000 {
                let end = if number % 50 == 7 { &padding } else { "" };
                let line = format!("line {number} {end}\n");
                log.write_all(line.as_bytes()).unwrap();
            }
            assert!(log.left_out > 0);
            let reading = std::thread::spawn(move || {
                let mut text = String::new();
                reader.read_to_string(&mut text).map(|_| text)
            });
            // Once it is read again, the next line tells of them.
            while log.left_out > 0 {
                log.write_all(b"the last one\n").unwrap();
            }
            drop(log);
            let text = reading.join().unwrap().unwrap();
            let whole = |line: &&str| line.starts_with("line ");
            let told = text.lines().find(|line| line.contains("were left out"));
            let told = told.unwrap_or_else(|| panic!("{text}"));
            assert_eq!(told.starts_with('{'), json, "{told}");
            assert!(text.lines().filter(whole).count() < 2_000);
            assert_eq!(text.lines().last(), Some("the last one"));
        }
    }
}
