//! A process that stays: its channel, its output in bounded memory, and its end.
//!
//! A task drains the channel at all times, whether the owner reads or not, because one channel that is
//! not drained stops every other one of the connection. Output that nobody collects is kept up to
//! [`MAX_UNREAD`]; beyond that the process is ended and the owner told so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::exec::{CLOSE_GRACE, close, drain_to_end, exit_status, feed};
use super::host_key::explain;
use super::link::{Link, Slot};
use crate::domain::text::RemoteText;
use crate::task::send_or_gone;
use crate::transport::{Chunk, RemoteProcess, TransportError};

/// Bytes of output kept for an owner who does not read: room for the largest inventory.
const MAX_UNREAD: usize = 16 * 1024 * 1024;

/// Pieces are joined up to this size, so that a flood of single lines stays cheap.
const JOINED: usize = 64 * 1024;

/// How long an owner waits for its process to go away.
const END_BOUND: Duration = Duration::from_secs(8);

/// Output that the owner has not collected yet.
#[derive(Debug, Default)]
struct Inbox {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Chunk>,
    bytes: usize,
    /// How it ended: everything came, or an error cut it off.
    end: Option<Result<(), TransportError>>,
}

impl Inbox {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.news.notify_one();
        result
    }

    /// Adds a piece; false when the owner has not read for too long.
    fn push(&self, chunk: Chunk) -> bool {
        self.with(|state| {
            let size = match &chunk {
                Chunk::Stdout(bytes) | Chunk::Stderr(bytes) => bytes.len(),
                Chunk::Exit(_) | Chunk::Closed => 0,
            };
            state.bytes += size;
            match (state.queue.back_mut(), chunk) {
                (Some(Chunk::Stdout(last)), Chunk::Stdout(more)) if last.len() < JOINED => {
                    last.extend_from_slice(&more);
                }
                (Some(Chunk::Stderr(last)), Chunk::Stderr(more)) if last.len() < JOINED => {
                    last.extend_from_slice(&more);
                }
                (_, chunk) => state.queue.push_back(chunk),
            }
            state.bytes <= MAX_UNREAD
        })
    }

    fn finish(&self, end: Result<(), TransportError>) {
        self.with(|state| {
            state.end.get_or_insert(end);
        });
    }

    fn pop(&self) -> Option<Result<Chunk, TransportError>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chunk) = state.queue.pop_front() {
            if let Chunk::Stdout(bytes) | Chunk::Stderr(bytes) = &chunk {
                state.bytes = state.bytes.saturating_sub(bytes.len());
            }
            return Some(Ok(chunk));
        }
        state.end.clone().map(|end| end.map(|()| Chunk::Closed))
    }
}

/// The owner's end of a process.
#[derive(Debug)]
pub(super) struct SshProcess {
    inbox: Arc<Inbox>,
    write: Arc<ChannelWriteHalf<Msg>>,
    /// Cancelled by the owner: end the process.
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
    /// Cancelled by the task: the channel is closed.
    ended: CancellationToken,
}

#[async_trait]
impl RemoteProcess for SshProcess {
    async fn read(&mut self) -> Result<Chunk, TransportError> {
        loop {
            if let Some(next) = self.inbox.pop() {
                return next;
            }
            self.inbox.news.notified().await;
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        let written = tokio::select! {
            biased;
            // A write waits for room in the channel; when the channel has ended there will be none.
            () = self.ended.cancelled() => None,
            written = self.write.data_bytes(bytes.to_vec()) => Some(written),
        };
        match written {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(TransportError::Lost {
                reason: explain(&error),
            }),
            None => Err(TransportError::Protocol {
                reason: "the remote process has ended".to_owned(),
                said: RemoteText::new(""),
            }),
        }
    }

    async fn close(&mut self) {
        self.stop.cancel();
        drop(timeout(END_BOUND, self.ended.cancelled()).await);
    }
}

/// What is to be started.
pub(super) struct Line {
    /// As the server's shell reads it.
    pub(super) text: String,
    /// Its whole standard input, which is closed after it; `None` leaves it open for writes.
    pub(super) stdin: Option<Vec<u8>>,
}

/// Starts a process and stays with it until its channel is closed.
pub(super) async fn run(
    link: Arc<Link>,
    command: Line,
    slot: Slot,
    reply: oneshot::Sender<Result<SshProcess, TransportError>>,
) {
    match link.open_session().await {
        Err(error) => send_or_gone(reply, Err(error)),
        Ok(channel) => {
            attend(&link, channel, command, reply).await;
            link.session_closed();
        }
    }
    drop(slot);
}

async fn attend(
    link: &Link,
    channel: Channel<Msg>,
    command: Line,
    mut reply: oneshot::Sender<Result<SshProcess, TransportError>>,
) {
    let (mut read, write) = channel.split();
    let started = tokio::select! {
        () = reply.closed() => None,
        started = start(&mut read, &write, command.text) => Some(started),
    };
    match started {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            send_or_gone(reply, Err(error));
            close(read, &write).await;
            return;
        }
        None => {
            end(link, read, &write, &CancellationToken::new()).await;
            return;
        }
    }
    if let Some(stdin) = command.stdin {
        feed(&write, stdin).await;
    }
    let inbox = Arc::new(Inbox::default());
    let write = Arc::new(write);
    let stop = CancellationToken::new();
    let ended = CancellationToken::new();
    let process = SshProcess {
        inbox: Arc::clone(&inbox),
        write: Arc::clone(&write),
        _stop_on_drop: stop.clone().drop_guard(),
        stop: stop.clone(),
        ended: ended.clone(),
    };
    send_or_gone(reply, Ok(process));
    let left = pump(link, &mut read, &inbox, &stop).await;
    // Whatever happens next takes time; a writer must not wait for it.
    ended_for_writers(left, &ended);
    match left {
        Left::Closed => {}
        Left::Alive => end(link, read, &write, &ended).await,
    }
    ended.cancel();
}

fn ended_for_writers(left: Left, ended: &CancellationToken) {
    if left == Left::Closed {
        ended.cancel();
    }
}

/// Asks for the command and waits until the server has agreed.
async fn start(
    read: &mut ChannelReadHalf,
    write: &ChannelWriteHalf<Msg>,
    command: String,
) -> Result<(), TransportError> {
    let lost = |reason: String| TransportError::Lost { reason };
    write
        .exec(true, command)
        .await
        .map_err(|error| lost(explain(&error)))?;
    loop {
        match read.wait().await {
            Some(ChannelMsg::Success) => return Ok(()),
            Some(ChannelMsg::Failure) => {
                return Err(TransportError::Channel {
                    reason: "it does not let this account run commands".to_owned(),
                });
            }
            // The window grows before the answer comes; nothing else does.
            Some(ChannelMsg::WindowAdjusted { .. }) => {}
            Some(_) | None => {
                return Err(lost(
                    "the channel closed before the command started".to_owned(),
                ));
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The channel is closed or the link gone.
    Closed,
    /// Somebody has to end the process.
    Alive,
}

async fn pump(
    link: &Link,
    read: &mut ChannelReadHalf,
    inbox: &Inbox,
    stop: &CancellationToken,
) -> Left {
    loop {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => {
                inbox.finish(Ok(()));
                return Left::Alive;
            }
            message = read.wait() => message,
            error = link.wait_closed() => {
                inbox.finish(Err(error));
                return Left::Closed;
            }
        };
        let fits = match message {
            Some(ChannelMsg::Data { data }) => inbox.push(Chunk::Stdout(data.to_vec())),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                inbox.push(Chunk::Stderr(data.to_vec()))
            }
            Some(ChannelMsg::Close) => {
                inbox.finish(Ok(()));
                return Left::Closed;
            }
            Some(other) => exit_status(&other).is_none_or(|status| inbox.push(Chunk::Exit(status))),
            None => {
                inbox.finish(Err(link.cut_off().await));
                return Left::Closed;
            }
        };
        if !fits {
            inbox.finish(Err(TransportError::Protocol {
                reason: "the remote process was ended because nobody read its output".to_owned(),
                said: RemoteText::new(""),
            }));
            return Left::Alive;
        }
    }
}

/// Ends a process: end of input, then a signal (sshd obeys it for accounts other than root), then the
/// close of its channel. A process that survives even that holds its session, and is counted.
async fn end(
    link: &Link,
    mut read: ChannelReadHalf,
    write: &ChannelWriteHalf<Msg>,
    ended: &CancellationToken,
) {
    let asking = async {
        drop(write.eof().await);
        if let Ok(ended) = timeout(CLOSE_GRACE / 3, drain_to_end(&mut read)).await {
            return ended;
        }
        drop(write.signal(Sig::TERM).await);
        timeout(CLOSE_GRACE / 3, drain_to_end(&mut read))
            .await
            .unwrap_or(false)
    };
    let gone = tokio::select! {
        gone = asking => gone,
        _ = link.wait_closed() => return,
    };
    if gone {
        // The owner waits for the process, not for its channel.
        ended.cancel();
        // Which the server closes by itself now. Of one that was closed from here first the library
        // tells nothing more, so that its end could only be waited for in vain.
        if timeout(CLOSE_GRACE / 3, until_closed(&mut read))
            .await
            .is_ok()
        {
            return;
        }
    }
    close(read, write).await;
    if !gone {
        link.leak();
    }
}

async fn until_closed(read: &mut ChannelReadHalf) {
    while let Some(message) = read.wait().await {
        if matches!(message, ChannelMsg::Close) {
            return;
        }
    }
}
