//! Starting a command line on a simulated Windows host: on a thread of its own, its output through a
//! bounded queue. Whoever started it may leave; it runs on, and what it writes then is lost without an
//! error, as behind Windows OpenSSH.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::host::WinHost;
use super::machine::WinMachine;
use crate::sim::powershell::life::Running;
use crate::sim::powershell::process;
use crate::sim::stdio::{Piece, Stdio};
use crate::task::{Tasks, send_or_gone};

/// A command line that runs.
#[derive(Debug)]
pub(in crate::sim) struct Launched {
    pub(in crate::sim) input: mpsc::Sender<Vec<u8>>,
    pub(in crate::sim) output: Output,
    /// The client's presence: without it, what still runs has been left behind.
    pub(in crate::sim) client: Client,
}

/// A client that waits for a command line.
#[derive(Debug)]
pub(in crate::sim) struct Client {
    host: Arc<WinHost>,
    launch: u64,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.host.leave_behind(self.launch);
    }
}

/// A client's connection as the host has it: a process of sshd, there until this value is dropped.
#[derive(Debug)]
pub(in crate::sim) struct Connection {
    host: Arc<WinHost>,
    server: Running,
}

impl Connection {
    /// Accepts a connection.
    pub(in crate::sim) fn new(host: &Arc<WinHost>) -> Self {
        let now = host.world(|world| world.wall());
        Self {
            server: host.processes().start("sshd", now),
            host: Arc::clone(host),
        }
    }
}

/// Starts a command line. It belongs to the host, not to the connection it came through.
pub(in crate::sim) fn launch(connection: &Connection, line: String, tasks: &Tasks) -> Launched {
    let host = &connection.host;
    let (mut stdio, ends) = Stdio::new();
    let (ended, status) = oneshot::channel();
    let launch = host.next_launch();
    let under = connection.server.process.id;
    let processes = host.processes().of_launch(launch, under);
    let mut machine = WinMachine::new(Arc::clone(host), processes);
    let cut = host.world(|world| world.faults.cut_after);
    let run = move || process::run(&line, &mut machine, &mut stdio);
    tasks.spawn("sim process", async move {
        let code = tokio::task::spawn_blocking(run).await.unwrap_or(1);
        send_or_gone(ended, code);
    });
    Launched {
        input: ends.input,
        output: Output {
            pieces: ends.output,
            status: Some(status),
            left: cut,
        },
        client: Client {
            host: Arc::clone(host),
            launch,
        },
    }
}

/// What a command line writes, and how it ends.
#[derive(Debug)]
pub(in crate::sim) struct Output {
    pieces: mpsc::Receiver<Piece>,
    status: Option<oneshot::Receiver<u32>>,
    /// Bytes of standard output until the channel is cut; `None` is never.
    left: Option<u64>,
}

impl Output {
    /// Returns the next piece; `None` at the end, or where the channel is cut.
    pub(in crate::sim) async fn next(&mut self) -> Option<Piece> {
        if self.left == Some(0) {
            self.status = None;
            return None;
        }
        let piece = self.pieces.recv().await?;
        let (Piece::Out(mut bytes), Some(left)) = (piece.clone(), &mut self.left) else {
            return Some(piece);
        };
        let room = usize::try_from(*left).unwrap_or(usize::MAX);
        bytes.truncate(room);
        *left -= u64::try_from(bytes.len()).unwrap_or_default();
        Some(Piece::Out(bytes))
    }

    /// Returns the exit status, after the last piece; `None` where there is none to tell.
    pub(in crate::sim) async fn status(self) -> Option<u32> {
        self.status?.await.ok()
    }
}
