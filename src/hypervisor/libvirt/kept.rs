//! One `virsh` that stays: commands go in on one channel, framed replies come back.
//!
//! ```text
//! we write      COMMAND                    virsh prints   virsh # COMMAND            (its echo)
//!               echo MARK                                 ...the answer...
//!               echo --err MARK                           virsh # echo MARK          (its echo)
//!                                                         MARKvirsh # ...            (the end)
//!                                          and on stderr  error: ...                 (a failure)
//!                                                         error: MARK                (the end)
//! ```
//!
//! An answer is complete once its mark stands on both streams. Marks carry a random number of this
//! process, so that no name and no description of a VM can forge one; a mark in the echo of our own
//! command is not taken. The echo and even the prompt may be missing (a `virsh` without readline).
//! There is no exit code here: an `error:` line is the failure. This module must not know what is asked.

use std::collections::VecDeque;

use super::command::Line;
use super::room::Room;
use super::verdict::said;
use crate::domain::text::RemoteText;
use crate::transport::{Chunk, ExitStatus, RemoteProcess, TransportError};

/// Questions written before their answers are read. The rest waits, so that neither side can fill the
/// other's buffers while nobody reads.
const IN_FLIGHT: usize = 32;

/// Number of the mark that greets.
const GREETING: u64 = 1;

/// Bytes of complaints kept; more than that is no answer.
const MAX_STDERR: usize = 1024 * 1024;

/// Bytes of output that wait to be taken, whatever is waited for: two answers of the largest kind.
const MAX_WAITING: usize = 32 * 1024 * 1024;

/// Prompts of a connection that may write and of one that may not.
const PROMPTS: [&[u8]; 2] = [b"virsh # ", b"virsh > "];

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// What it printed.
    pub(crate) stdout: Room,
    /// Why it failed, in libvirt's own words.
    pub(crate) failure: Option<RemoteText>,
}

/// Why a kept process is of no more use.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The link failed.
    Link(TransportError),
    /// It ended.
    Ended {
        /// How.
        status: ExitStatus,
        /// Its last words.
        stderr: Vec<u8>,
    },
    /// It does not answer as `virsh` does.
    Garbled(&'static str),
    /// It answered more than anybody can want.
    Flood,
}

/// A running `virsh`.
#[derive(Debug)]
pub(crate) struct Kept {
    process: Box<dyn RemoteProcess>,
    nonce: u64,
    asked: u64,
    /// Questions that were written and whose answers nobody has taken yet, oldest first.
    ahead: VecDeque<Line>,
    /// Whether those answers are from before something that they would have to tell of.
    ahead_is_old: bool,
    /// Whether it repeats what it reads, as it does with readline.
    echoes: bool,
    stdout: Room,
    stderr: Vec<u8>,
    status: Option<ExitStatus>,
}

impl Kept {
    /// Takes a process that was just started; [`Self::begin`] and [`Self::greet`] come next.
    pub(crate) fn new(process: Box<dyn RemoteProcess>) -> Self {
        Self::with_nonce(process, rand::random())
    }

    /// The same with a known number in its marks.
    pub(super) fn with_nonce(process: Box<dyn RemoteProcess>, nonce: u64) -> Self {
        Self {
            process,
            nonce,
            asked: 0,
            ahead: VecDeque::new(),
            ahead_is_old: false,
            echoes: false,
            stdout: Room::default(),
            stderr: Vec::new(),
            status: None,
        }
    }

    /// Writes the marks it has to answer to, and right behind them the first of the questions that
    /// [`Self::ask`] is to be called with next: they need no round trip of their own.
    pub(crate) async fn begin(&mut self, lines: &[Line]) -> Result<(), Broken> {
        self.asked += 1;
        let mut text = marks(&self.mark(self.asked));
        text.push_str(&self.number(lines.iter().take(IN_FLIGHT)));
        self.write(&text).await
    }

    /// Waits until it answers to marks at all, and drops what was printed before that (a login
    /// message).
    pub(crate) async fn greet(&mut self) -> Result<(), Broken> {
        let mark = self.mark(GREETING);
        loop {
            if let Some(end) = find_mark(&self.stdout, &mark) {
                let before = self.stdout.get(..end.before).unwrap_or_default();
                self.echoes = before.ends_with(format!("echo {mark}\n").as_bytes());
                self.stdout.remove_front(end.after);
                break;
            }
            if self.stdout.len() > MAX_STDERR {
                return Err(Broken::Garbled("it prints without an end"));
            }
            self.read().await?;
        }
        loop {
            if let Some((_, after)) = find_error_mark(&self.stderr, &mark) {
                self.stderr.drain(..after);
                return Ok(());
            }
            // Older than `echo --err`: it says so at once, and the mark would never come.
            let complete = self.stderr.ends_with(b"\n");
            if complete && find(&self.stderr, b"--err").is_some() {
                return Err(Broken::Garbled("it knows no `echo --err`"));
            }
            self.read().await?;
        }
    }

    /// Asks several questions, in order, and returns their answers. At most `cap` bytes of one answer.
    /// What is asked next, as far as that is known, is written right behind them: those answers are on
    /// their way while the first ones are being read, and wait for the call that asks for them.
    pub(crate) async fn ask(
        &mut self,
        lines: &[Line],
        next: &[Line],
        cap: usize,
    ) -> Result<Vec<Reply>, Broken> {
        let is_old = std::mem::take(&mut self.ahead_is_old);
        let expected = !is_old
            && self
                .ahead
                .iter()
                .zip(lines)
                .all(|(one, other)| one == other);
        if !expected {
            // Something else was expected to be asked, or the host was changed since; those answers
            // come first and are nobody's.
            while !self.ahead.is_empty() {
                self.take_next(cap).await?;
            }
        }
        let written = self.ahead.len();
        let mut rest = lines.iter().chain(next).skip(written);
        let room = IN_FLIGHT.saturating_sub(written);
        let text = self.number(rest.by_ref().take(room));
        self.write(&text).await?;
        let mut replies = Vec::with_capacity(lines.len());
        for _ in lines {
            if self.ahead.is_empty() {
                let text = self.number(rest.by_ref().take(IN_FLIGHT));
                self.write(&text).await?;
            }
            replies.push(self.take_next(cap).await?);
        }
        self.stdout.rest();
        Ok(replies)
    }

    /// Says that the host was changed: what is under way must not be taken for how things are now.
    pub(crate) fn outdate(&mut self) {
        self.ahead_is_old = true;
    }

    /// Ends it.
    pub(crate) async fn close(&mut self) {
        self.process.close().await;
    }

    /// Words questions, each with its marks; they are under way from here on.
    fn number<'a>(&mut self, batch: impl Iterator<Item = &'a Line>) -> String {
        let mut text = String::new();
        for line in batch {
            self.asked += 1;
            text.push_str(line.as_str());
            text.push('\n');
            text.push_str(&marks(&self.mark(self.asked)));
            self.ahead.push_back(line.clone());
        }
        text
    }

    /// Takes the answer to the oldest question that is under way.
    async fn take_next(&mut self, cap: usize) -> Result<Reply, Broken> {
        let under_way = u64::try_from(self.ahead.len()).unwrap_or(u64::MAX);
        let mark = self.mark(self.asked.saturating_sub(under_way) + 1);
        let reply = self.take_reply(&mark, cap).await?;
        self.ahead.pop_front();
        Ok(reply)
    }

    async fn take_reply(&mut self, mark: &str, cap: usize) -> Result<Reply, Broken> {
        let mut searched = 0;
        let end = loop {
            let unseen = self.stdout.get(searched..).unwrap_or_default();
            if let Some(end) = find_mark(unseen, mark) {
                break End {
                    before: searched + end.before,
                    after: searched + end.after,
                };
            }
            // A mark may have been cut in two, and `echo ` before it decides what it is.
            searched = self.stdout.len().saturating_sub(mark.len() + 8);
            if self.stdout.len() > cap {
                return Err(Broken::Flood);
            }
            self.read().await?;
        };
        let (errors_end, errors_after) = loop {
            if let Some(found) = find_error_mark(&self.stderr, mark) {
                break found;
            }
            if self.stderr.len() > MAX_STDERR {
                return Err(Broken::Flood);
            }
            self.read().await?;
        };
        let body = self.stdout.get(..end.before).unwrap_or_default();
        let stdout = Room::of(answer(body, mark, self.echoes));
        let errors = self.stderr.get(..errors_end).unwrap_or_default();
        let failed = errors
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(b"error: "));
        let failure = failed.then(|| said(errors));
        self.stdout.remove_front(end.after);
        self.stderr.drain(..errors_after);
        Ok(Reply { stdout, failure })
    }

    async fn write(&mut self, text: &str) -> Result<(), Broken> {
        if text.is_empty() {
            return Ok(());
        }
        match self.process.write(text.as_bytes()).await {
            Ok(()) => Ok(()),
            // A process that has ended takes no more input; what it said meanwhile tells why.
            Err(error) => match self.drain().await {
                Some(ended) => Err(ended),
                None => Err(Broken::Link(error)),
            },
        }
    }

    /// Reads what is left of a process that has ended; `None` when it did not end by itself.
    async fn drain(&mut self) -> Option<Broken> {
        loop {
            match self.read().await {
                Ok(()) => {}
                Err(ended @ Broken::Ended { .. }) => return Some(ended),
                Err(_) => return None,
            }
        }
    }

    async fn read(&mut self) -> Result<(), Broken> {
        match self.process.read().await.map_err(Broken::Link)? {
            Chunk::Stdout(bytes) => self.stdout.extend(&bytes),
            Chunk::Stderr(bytes) => self.stderr.extend_from_slice(&bytes),
            Chunk::Exit(status) => self.status = Some(status),
            Chunk::Closed => {
                return Err(Broken::Ended {
                    status: self.status.take().unwrap_or(ExitStatus::Missing),
                    stderr: std::mem::take(&mut self.stderr),
                });
            }
        }
        // Either stream may be flooded while the other one is waited for.
        if self.stdout.len() > MAX_WAITING || self.stderr.len() > 2 * MAX_STDERR {
            return Err(Broken::Flood);
        }
        Ok(())
    }

    fn mark(&self, number: u64) -> String {
        format!("@@{:016x}.{number}@@", self.nonce)
    }
}

fn marks(mark: &str) -> String {
    format!("echo {mark}\necho --err {mark}\n")
}

/// Where a mark stands.
#[derive(Debug, Clone, Copy)]
struct End {
    before: usize,
    after: usize,
}

/// Finds the mark that was printed, not the one in the echo of our command.
fn find_mark(text: &[u8], mark: &str) -> Option<End> {
    let mut from = 0;
    loop {
        let before = from + find(text.get(from..)?, mark.as_bytes())?;
        let after = before + mark.len();
        let echoed = text.get(..before)?.ends_with(b"echo ");
        let echoed_for_stderr = text.get(..before)?.ends_with(b"echo --err ");
        if !echoed && !echoed_for_stderr {
            return Some(End { before, after });
        }
        from = after;
    }
}

/// Finds the line with the mark on standard error: where it begins and where it ends.
fn find_error_mark(text: &[u8], mark: &str) -> Option<(usize, usize)> {
    let at = find(text, mark.as_bytes())?;
    let rest = text.get(at..)?;
    let after = at + rest.iter().position(|byte| *byte == b'\n')? + 1;
    let head = text.get(..at)?;
    let begin = head
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |position| position + 1);
    Some((begin, after))
}

/// Takes prompts and echoes off an answer. Echoes are counted and not compared: readline shortens what
/// is longer than the 80 columns it believes in.
fn answer<'a>(body: &'a [u8], mark: &str, echoes: bool) -> &'a [u8] {
    let mut body = body;
    // What stands between the mark before and the answer: `echo --err`, and the question itself.
    for _ in 0..2 {
        let Some(text) = strip_prompt(body) else {
            break;
        };
        body = text;
        if echoes && let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            body = text.get(end + 1..).unwrap_or_default();
        }
    }
    let echo = if echoes {
        format!("echo {mark}\n")
    } else {
        String::new()
    };
    let tail = body.strip_suffix(echo.as_bytes()).unwrap_or(body);
    PROMPTS
        .iter()
        .find_map(|prompt| tail.strip_suffix(*prompt))
        .unwrap_or(tail)
}

fn strip_prompt(text: &[u8]) -> Option<&[u8]> {
    PROMPTS.iter().find_map(|prompt| text.strip_prefix(*prompt))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let at = from + rest.iter().position(|byte| byte == first)?;
        if text.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "@@00000000000000ff.7@@";

    fn reply(stdout: &str, echoes: bool) -> Option<String> {
        let end = find_mark(stdout.as_bytes(), MARK)?;
        let body = answer(&stdout.as_bytes()[..end.before], MARK, echoes);
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    const BEFORE: &str =
        "virsh # echo --err @@00000000000000ff.6@@\nvirsh # list --all --uuid --name\n";

    #[test]
    fn an_answer_with_prompts_and_echoes_is_taken_out_of_them() {
        let stdout = format!("{BEFORE}id a\n\nvirsh # echo {MARK}\n{MARK}virsh # ");
        assert_eq!(reply(&stdout, true).unwrap(), "id a\n\n");
    }

    #[test]
    fn an_echo_that_readline_shortened_is_an_echo_all_the_same() {
        let stdout = format!(
            "virsh # echo --err @@00000000000000ff.6@@\nvirsh # domstats --raw\r<te --vcpu\nid a\nvirsh # echo {MARK}\n{MARK}"
        );
        assert_eq!(reply(&stdout, true).unwrap(), "id a\n");
    }

    #[test]
    fn an_answer_without_echoes_is_the_same() {
        let stdout = format!("virsh # virsh # id a\n\nvirsh # {MARK}virsh # ");
        assert_eq!(reply(&stdout, false).unwrap(), "id a\n\n");
        assert_eq!(reply(&format!("id a\n{MARK}"), false).unwrap(), "id a\n");
    }

    #[test]
    fn the_mark_in_the_echo_is_not_the_end() {
        assert_eq!(
            reply(&format!("{BEFORE}id a\nvirsh # echo {MARK}\n"), true),
            None
        );
    }

    #[test]
    fn a_read_only_connection_prompts_differently() {
        let stdout = format!("{BEFORE}id a\nvirsh # echo {MARK}\n{MARK}virsh # ");
        assert_eq!(
            reply(&stdout.replace("virsh #", "virsh >"), true).unwrap(),
            "id a\n"
        );
    }

    #[test]
    fn a_name_that_looks_like_a_prompt_stays_a_name() {
        let stdout = format!("{BEFORE}id virsh # \nvirsh # \nvirsh # echo {MARK}\n{MARK}");
        assert_eq!(reply(&stdout, true).unwrap(), "id virsh # \nvirsh # \n");
    }

    #[test]
    fn complaints_end_where_their_mark_begins() {
        let stderr = format!("error: no such VM\nerror: {MARK}\nerror: next\n");
        let (end, after) = find_error_mark(stderr.as_bytes(), MARK).unwrap();
        assert_eq!(stderr.split_at(end).0, "error: no such VM\n");
        assert_eq!(stderr.split_at(after).1, "error: next\n");
        assert_eq!(
            find_error_mark(format!("error: {MARK}").as_bytes(), MARK),
            None
        );
    }

    #[test]
    fn finding_copes_with_false_starts() {
        assert_eq!(find(b"@@a@@@b", b"@@b"), Some(4));
        assert_eq!(find(b"@@", b"@@b"), None);
        assert_eq!(find(b"", b"@"), None);
    }

    /// A process that writes the same for ever.
    #[derive(Debug)]
    struct Endless(Chunk);

    #[async_trait::async_trait]
    impl RemoteProcess for Endless {
        async fn read(&mut self) -> Result<Chunk, TransportError> {
            Ok(self.0.clone())
        }

        async fn write(&mut self, _bytes: &[u8]) -> Result<(), TransportError> {
            Ok(())
        }

        async fn close(&mut self) {}
    }

    /// A process that has said everything already; the last chunk comes first.
    #[derive(Debug)]
    struct Said(Vec<Chunk>);

    #[async_trait::async_trait]
    impl RemoteProcess for Said {
        async fn read(&mut self) -> Result<Chunk, TransportError> {
            Ok(self.0.pop().unwrap_or(Chunk::Closed))
        }

        async fn write(&mut self, _bytes: &[u8]) -> Result<(), TransportError> {
            Ok(())
        }

        async fn close(&mut self) {}
    }

    #[tokio::test]
    async fn the_room_of_a_large_answer_is_given_back() {
        let large = "name\n".repeat(100_000);
        let mark = "@@0000000000000007.1@@";
        let said = vec![
            Chunk::Stderr(format!("error: {mark}\n").into_bytes()),
            Chunk::Stdout(format!("{large}{mark}").into_bytes()),
        ];
        let mut kept = Kept::with_nonce(Box::new(Said(said)), 7);
        let asked = [Line::new("list")];
        let replies = kept.ask(&asked, &[], usize::MAX).await.unwrap();
        assert_eq!(replies[0].stdout, large.as_bytes());
        assert!(kept.stdout.capacity() <= 4 * 1024);
    }

    #[tokio::test]
    async fn a_flood_on_either_stream_ends_whatever_is_waited_for() {
        let mark = "@@0000000000000007.1@@\n".repeat(40_000).into_bytes();
        for chunk in [Chunk::Stdout(mark.clone()), Chunk::Stderr(mark)] {
            let mut kept = Kept::with_nonce(Box::new(Endless(chunk)), 7);
            kept.begin(&[]).await.unwrap();
            assert!(kept.greet().await.is_err());
            assert!(kept.stdout.len() <= 2 * MAX_WAITING && kept.stderr.len() <= 4 * MAX_STDERR);
        }
    }
}
