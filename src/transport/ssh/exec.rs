//! One command on one channel, to its end: the task behind [`super::SshTransport`]'s `exec`.
//!
//! ```text
//! opening -> running -> done            the caller has its answer, the channel is closed
//!               |  \-> over a cap       answer marked truncated, channel closed at once
//!               \----> given up         deadline passed or caller gone: drained and thrown away until the
//!                                       process ends or its life is over, counted as leaked meanwhile
//! ```
//!
//! The caller never holds the channel, so that no way of leaving can forget to close it.

use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::link::{Link, Slot};
use crate::domain::text::RemoteText;
use crate::task::send_or_gone;
use crate::transport::quote::KILL_GRACE;
use crate::transport::{CommandOutput, ExecLimits, ExitStatus, TransportError};

/// How long a server may take to confirm a close, or a process without a life of its own to end.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(3);

type Reply = oneshot::Sender<Result<CommandOutput, TransportError>>;

/// Everything the task needs.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) line: String,
    pub(super) stdin: Vec<u8>,
    pub(super) life: Option<Duration>,
    pub(super) limits: ExecLimits,
    pub(super) deadline: Instant,
    pub(super) slot: Slot,
    pub(super) reply: Reply,
}

/// Runs a job; returns when its channel is closed.
pub(super) async fn run(link: Arc<Link>, job: Job) {
    let Job {
        line,
        stdin,
        life,
        limits,
        deadline,
        slot,
        mut reply,
    } = job;
    let timed_out = || TransportError::Timeout {
        what: "opening a session",
        after: limits.deadline,
    };
    let opening = link.open_session();
    tokio::pin!(opening);
    let opened = tokio::select! {
        opened = &mut opening => opened,
        () = tokio::time::sleep_until(deadline) => {
            send_or_gone(reply, Err(timed_out()));
            abandon_opening(&link, opening, slot).await;
            return;
        }
        () = reply.closed() => {
            abandon_opening(&link, opening, slot).await;
            return;
        }
    };
    match opened {
        Err(error) => send_or_gone(reply, Err(error)),
        Ok(channel) => {
            let pump = Pump {
                slot,
                link: Arc::clone(&link),
                collected: Collected::new(limits),
                started: Instant::now(),
                life,
                deadline,
            };
            pump.run(channel, line, stdin, reply).await;
            link.session_closed();
        }
    }
}

/// Waits for a channel that nobody wants any more, and closes it.
async fn abandon_opening<F>(link: &Link, mut opening: std::pin::Pin<&mut F>, slot: Slot)
where
    F: Future<Output = Result<Channel<Msg>, TransportError>>,
{
    let opened = match timeout(CLOSE_GRACE, &mut opening).await {
        Ok(opened) => opened,
        Err(_elapsed) => {
            drop(slot);
            link.leak();
            let opened = opening.await;
            link.unleak();
            opened
        }
    };
    if let Ok(channel) = opened {
        let (read, write) = channel.split();
        close(read, &write).await;
        link.session_closed();
    }
}

/// Closes a channel and waits a moment for the server's confirmation.
pub(super) async fn close(mut read: ChannelReadHalf, write: &ChannelWriteHalf<Msg>) {
    let closing = async {
        if write.close().await.is_ok() {
            while let Some(message) = read.wait().await {
                if matches!(message, ChannelMsg::Close) {
                    break;
                }
            }
        }
    };
    // A server that does not confirm is the link's problem, found by keepalive.
    drop(timeout(CLOSE_GRACE, closing).await);
}

/// What the command has said so far, within its bounds.
#[derive(Debug)]
struct Collected {
    limits: ExecLimits,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: ExitStatus,
    truncated: bool,
}

/// What a message means for the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    More,
    Refused,
    OverCap,
    Closed,
}

impl Collected {
    const fn new(limits: ExecLimits) -> Self {
        Self {
            limits,
            stdout: Vec::new(),
            stderr: Vec::new(),
            status: ExitStatus::Missing,
            truncated: false,
        }
    }

    /// Takes one message. Data after the exit status counts as well as data before it.
    fn take(&mut self, message: ChannelMsg) -> Step {
        match message {
            ChannelMsg::Data { data } => {
                if keep(&mut self.stdout, &data, self.limits.stdout) {
                    Step::More
                } else {
                    self.truncated = true;
                    Step::OverCap
                }
            }
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                if !keep(&mut self.stderr, &data, self.limits.stderr) {
                    self.truncated = true;
                }
                Step::More
            }
            other => {
                if let Some(status) = exit_status(&other) {
                    self.status = status;
                }
                match other {
                    ChannelMsg::Failure => Step::Refused,
                    ChannelMsg::Close => Step::Closed,
                    _ => Step::More,
                }
            }
        }
    }
}

/// Appends what fits; false when something did not.
fn keep(buffer: &mut Vec<u8>, data: &[u8], cap: usize) -> bool {
    let room = cap.saturating_sub(buffer.len()).min(data.len());
    buffer.extend_from_slice(data.split_at(room).0);
    room == data.len()
}

/// Reads how a process ended out of a message.
pub(super) fn exit_status(message: &ChannelMsg) -> Option<ExitStatus> {
    match message {
        ChannelMsg::ExitStatus { exit_status } => Some(ExitStatus::Code(*exit_status)),
        ChannelMsg::ExitSignal { signal_name, .. } => {
            Some(ExitStatus::Signal(signal_word(signal_name)))
        }
        _ => None,
    }
}

fn signal_word(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => RemoteText::new(name).shown().to_owned(),
        known => format!("{known:?}"),
    }
}

/// Why the caller is no longer waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    GaveUp,
    Answered,
}

struct Pump {
    slot: Slot,
    link: Arc<Link>,
    collected: Collected,
    started: Instant,
    life: Option<Duration>,
    deadline: Instant,
}

impl Pump {
    async fn run(mut self, channel: Channel<Msg>, line: String, stdin: Vec<u8>, reply: Reply) {
        let (mut read, write) = channel.split();
        if let Err(error) = write.exec(true, line).await {
            let reason = super::host_key::explain(&error);
            send_or_gone(reply, Err(TransportError::Lost { reason }));
            close(read, &write).await;
            return;
        }
        let left = {
            let feeding = feed(&write, stdin);
            tokio::pin!(feeding);
            self.serve(&mut read, feeding, reply).await
        };
        match left {
            None => {}
            Some(Left::Answered) => close(read, &write).await,
            Some(Left::GaveUp) => self.linger(read, &write).await,
        }
    }

    /// Pumps until the channel is closed (`None`) or the caller has left.
    async fn serve(
        &mut self,
        read: &mut ChannelReadHalf,
        mut feeding: std::pin::Pin<&mut impl Future<Output = ()>>,
        mut reply: Reply,
    ) -> Option<Left> {
        let mut fed = false;
        loop {
            let step = tokio::select! {
                biased;
                message = read.wait() => {
                    let Some(message) = message else {
                        send_or_gone(reply, Err(self.link.cut_off().await));
                        return None;
                    };
                    self.collected.take(message)
                }
                error = self.link.wait_closed() => {
                    send_or_gone(reply, Err(error));
                    return None;
                }
                () = reply.closed() => return Some(Left::GaveUp),
                () = tokio::time::sleep_until(self.deadline) => {
                    let error = TransportError::Timeout {
                        what: "the command",
                        after: self.collected.limits.deadline,
                    };
                    send_or_gone(reply, Err(error));
                    return Some(Left::GaveUp);
                }
                () = &mut feeding, if !fed => {
                    fed = true;
                    continue;
                }
            };
            match step {
                Step::More => {}
                Step::Refused => {
                    let error = TransportError::Channel {
                        reason: "it does not let this account run commands".to_owned(),
                    };
                    send_or_gone(reply, Err(error));
                    return Some(Left::Answered);
                }
                Step::OverCap => {
                    send_or_gone(reply, Ok(self.output()));
                    return Some(Left::Answered);
                }
                Step::Closed => {
                    send_or_gone(reply, Ok(self.output()));
                    return None;
                }
            }
        }
    }

    fn output(&mut self) -> CommandOutput {
        CommandOutput {
            status: self.collected.status.clone(),
            stdout: std::mem::take(&mut self.collected.stdout),
            stderr: std::mem::take(&mut self.collected.stderr),
            truncated: self.collected.truncated,
            elapsed: self.started.elapsed(),
        }
    }

    /// Drains a command that nobody waits for, until it ends or must have ended. It keeps its slot for a
    /// moment; after that its session counts as leaked, and for good when it does not end at all.
    async fn linger(self, mut read: ChannelReadHalf, write: &ChannelWriteHalf<Msg>) {
        if self.collected.status != ExitStatus::Missing {
            close(read, write).await;
            return;
        }
        if self.life.is_none() {
            // sshd obeys this for accounts other than root; a free try at having the session back.
            drop(write.signal(Sig::TERM).await);
        }
        let soon = tokio::select! {
            ended = drain_to_end(&mut read) => ended,
            () = tokio::time::sleep(CLOSE_GRACE) => false,
            _ = self.link.wait_closed() => return,
        };
        if soon {
            close(read, write).await;
            return;
        }
        drop(self.slot);
        self.link.leak();
        let ended = match self.life {
            // The host itself ends it: `timeout` was told so.
            Some(life) => tokio::select! {
                ended = drain_to_end(&mut read) => ended,
                () = tokio::time::sleep_until(self.started + life + KILL_GRACE + CLOSE_GRACE) => false,
                _ = self.link.wait_closed() => return,
            },
            None => false,
        };
        close(read, write).await;
        if ended {
            self.link.unleak();
        }
    }
}

/// Writes standard input, then closes it. Errors mean that the channel is closing, which the reader sees.
pub(super) async fn feed(write: &ChannelWriteHalf<Msg>, stdin: Vec<u8>) {
    if !stdin.is_empty() && write.data_bytes(stdin).await.is_err() {
        return;
    }
    drop(write.eof().await);
}

/// Throws output away until the process has ended; false when the channel died without saying so. A
/// server that closes first does so because nothing runs there any more.
pub(super) async fn drain_to_end(read: &mut ChannelReadHalf) -> bool {
    while let Some(message) = read.wait().await {
        if exit_status(&message).is_some() || matches!(message, ChannelMsg::Close) {
            return true;
        }
    }
    false
}
