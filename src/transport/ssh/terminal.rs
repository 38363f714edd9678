//! A command in a pseudo-terminal: its channel, in both directions at once, and its end.
//!
//! Unlike [`super::process`] nothing is drained ahead of the reader: the channel's window closes, the
//! connection's socket fills, and the remote program waits. That holds up the whole connection, which is
//! why whoever opens a terminal gives it a connection of its own.

use std::sync::Arc;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::exec::{close, exit_status};
use super::host_key::explain;
use super::link::{Link, Slot};
use crate::domain::console::{ConsoleInput, TerminalSize};
use crate::task::send_or_gone;
use crate::transport::{Chunk, RemoteTerminal, TransportError};

/// What the remote program is told that it writes to: the terminal that we emulate understands this.
const TERM: &str = "xterm-256color";

/// What is to be started.
pub(super) struct Wanted {
    /// As the server's shell reads it; `None` is that shell itself.
    pub(super) line: Option<String>,
    pub(super) size: TerminalSize,
    pub(super) slot: Slot,
}

type Reply = oneshot::Sender<Result<RemoteTerminal, TransportError>>;

/// Starts a terminal and stays with it until its channel is closed.
pub(super) async fn run(link: Arc<Link>, wanted: Wanted, reply: Reply) {
    match link.open_session().await {
        Err(error) => send_or_gone(reply, Err(error)),
        Ok(channel) => {
            attend(&link, channel, (wanted.line, wanted.size), reply).await;
            link.session_closed();
        }
    }
    drop(wanted.slot);
}

async fn attend(
    link: &Link,
    channel: Channel<Msg>,
    (command, size): (Option<String>, TerminalSize),
    mut reply: Reply,
) {
    let (mut read, write) = channel.split();
    let started = tokio::select! {
        () = reply.closed() => None,
        started = start(&mut read, &write, (command, size)) => Some(started),
    };
    match started {
        Some(Ok(())) => {
            let (to_owner, output) = mpsc::channel(RemoteTerminal::OUTPUT_QUEUE);
            let (input, from_owner) = mpsc::channel(RemoteTerminal::INPUT_QUEUE);
            send_or_gone(reply, Ok(RemoteTerminal { output, input }));
            serve(link, (&mut read, &write), &to_owner, from_owner).await;
        }
        Some(Err(error)) => send_or_gone(reply, Err(error)),
        None => {}
    }
    // The server hangs the terminal up, which ends what runs in it.
    close(read, &write).await;
}

/// Asks for the terminal and the command, and waits until the server has agreed to both.
async fn start(
    read: &mut ChannelReadHalf,
    write: &ChannelWriteHalf<Msg>,
    (command, size): (Option<String>, TerminalSize),
) -> Result<(), TransportError> {
    let lost = |error: russh::Error| TransportError::Lost {
        reason: explain(&error),
    };
    let (columns, lines) = (u32::from(size.columns()), u32::from(size.lines()));
    write
        .request_pty(true, TERM, columns, lines, 0, 0, &[])
        .await
        .map_err(lost)?;
    agreed(read, "it does not give this account a terminal").await?;
    let started = match command {
        Some(command) => write.exec(true, command).await,
        None => write.request_shell(true).await,
    };
    started.map_err(lost)?;
    agreed(read, "it does not let this account run commands").await
}

async fn agreed(read: &mut ChannelReadHalf, refusal: &str) -> Result<(), TransportError> {
    loop {
        match read.wait().await {
            Some(ChannelMsg::Success) => return Ok(()),
            Some(ChannelMsg::Failure) => {
                return Err(TransportError::Channel {
                    reason: refusal.to_owned(),
                });
            }
            // The window grows before the answer comes; nothing else does.
            Some(ChannelMsg::WindowAdjusted { .. }) => {}
            Some(_) | None => {
                return Err(TransportError::Lost {
                    reason: "the channel closed before the command started".to_owned(),
                });
            }
        }
    }
}

/// Carries both directions side by side: neither may wait for the other, because a program that waits for
/// room to print does not read.
async fn serve(
    link: &Link,
    (read, write): (&mut ChannelReadHalf, &ChannelWriteHalf<Msg>),
    output: &mpsc::Sender<Result<Chunk, TransportError>>,
    input: mpsc::Receiver<ConsoleInput>,
) {
    let ended = tokio::select! {
        biased;
        () = output.closed() => return,
        error = link.wait_closed() => Some(Err(error)),
        end = print(link, read, output) => end,
        never = take_input(write, input) => match never {},
    };
    if let Some(end) = ended {
        // The owner may have left just now.
        drop(output.send(end).await);
    }
}

/// Hands on what is printed; returns how it ended, or nothing when the owner has left.
async fn print(
    link: &Link,
    read: &mut ChannelReadHalf,
    output: &mpsc::Sender<Result<Chunk, TransportError>>,
) -> Option<Result<Chunk, TransportError>> {
    loop {
        let Some(message) = read.wait().await else {
            return Some(Err(link.cut_off().await));
        };
        let chunk = match message {
            ChannelMsg::Data { data } => Chunk::Stdout(data.to_vec()),
            ChannelMsg::ExtendedData { data, ext: 1 } => Chunk::Stderr(data.to_vec()),
            ChannelMsg::Close => return Some(Ok(Chunk::Closed)),
            other => match exit_status(&other) {
                Some(status) => Chunk::Exit(status),
                None => continue,
            },
        };
        if output.send(Ok(chunk)).await.is_err() {
            return None;
        }
    }
}

/// Writes what is typed. Errors mean that the channel is closing, which the reader sees.
async fn take_input(
    write: &ChannelWriteHalf<Msg>,
    mut input: mpsc::Receiver<ConsoleInput>,
) -> std::convert::Infallible {
    while let Some(piece) = input.recv().await {
        let written = match piece {
            ConsoleInput::Bytes(bytes) => write.data_bytes(bytes).await,
            ConsoleInput::Size(size) => {
                let (columns, lines) = (u32::from(size.columns()), u32::from(size.lines()));
                write.window_change(columns, lines, 0, 0).await
            }
        };
        if written.is_err() {
            break;
        }
    }
    std::future::pending().await
}
