//! An emulated Windows host behind a Unix socket: how a login shell of a real sshd reaches it. One
//! connection is one command line; its process outlives the connection, as behind Windows OpenSSH.
//!
//! Both directions carry frames of one byte (what), four bytes (length, big-endian) and that many bytes.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::host::WinHost;
use super::launch::{Connection, Launched, launch};
use crate::sim::control::HostControl;
use crate::sim::stdio::Piece;
use crate::task::Tasks;

/// How often it looks whether the sshd of a connection is still there.
const LOOK: Duration = Duration::from_millis(100);

const COMMAND: u8 = 1;
const INPUT: u8 = 2;
const INPUT_END: u8 = 3;
const OUT: u8 = 4;
const ERR: u8 = 5;
const STATUS: u8 = 6;

/// Longest frame; a command line of Windows is at most 32767 characters.
const LONGEST: u32 = 1 << 20;

/// Bytes of output that go into one message.
const PART: usize = 1 << 18;

/// Serves a Hyper-V host of a simulated fleet on a socket until the tasks are cancelled.
pub async fn serve(control: &HostControl, listener: UnixListener, tasks: &Tasks) -> io::Result<()> {
    let host = control
        .host
        .windows
        .as_ref()
        .map(Arc::clone)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no Hyper-V host"))?;
    let tasks = tasks.child();
    let connections = Connections::new(host);
    loop {
        let stream = tokio::select! {
            () = tasks.token().cancelled() => return Ok(()),
            accepted = listener.accept() => accepted?.0,
        };
        let session = session(connections.clone(), stream, tasks.clone());
        tasks.spawn("sim socket", async move {
            if let Err(error) = session.await {
                tracing::debug!(%error, "a session of an emulated Windows host ended");
            }
        });
    }
}

/// Connections of the real sshd, each a process of the emulated one for as long as it lasts.
#[derive(Debug, Clone)]
struct Connections {
    host: Arc<WinHost>,
    known: Arc<Mutex<HashMap<u32, Weak<Connection>>>>,
}

impl Connections {
    fn new(host: Arc<WinHost>) -> Self {
        Self {
            host,
            known: Arc::default(),
        }
    }

    /// Returns the connection that a real process serves.
    fn of(&self, server: u32, tasks: &Tasks) -> Arc<Connection> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = known.get(&server).and_then(Weak::upgrade) {
            return connection;
        }
        let connection = Arc::new(Connection::new(&self.host));
        known.insert(server, Arc::downgrade(&connection));
        let kept = Arc::clone(&connection);
        let token = tasks.token().clone();
        tasks.spawn("sim sshd", async move {
            while is_alive(server) && !token.is_cancelled() {
                tokio::time::sleep(LOOK).await;
            }
            drop(kept);
        });
        connection
    }
}

/// Whether a process of this system runs.
fn is_alive(pid: u32) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| test_kill_process(pid).is_ok())
}

async fn session(connections: Connections, stream: UnixStream, tasks: Tasks) -> io::Result<()> {
    let (mut from, mut to) = stream.into_split();
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "no command line");
    let (COMMAND, told) = read(&mut from).await? else {
        return Err(bad());
    };
    let (server, line) = told.split_first_chunk::<4>().ok_or_else(bad)?;
    let connection = connections.of(u32::from_be_bytes(*server), &tasks);
    let line = String::from_utf8_lossy(line).into_owned();
    let Launched {
        input,
        mut output,
        client,
    } = launch(&connection, line, &tasks);
    let feed = feed(&mut from, input);
    let send = async {
        while let Some(piece) = output.next().await {
            let (what, bytes) = match piece {
                Piece::Out(bytes) => (OUT, bytes),
                Piece::Err(bytes) => (ERR, bytes),
            };
            // A line can be longer than a message may be.
            for part in bytes.chunks(PART) {
                write(&mut to, what, part).await?;
            }
        }
        match output.status().await {
            Some(status) => write(&mut to, STATUS, &status.to_be_bytes()).await,
            None => Ok(()),
        }
    };
    let result = tokio::select! {
        result = send => result,
        // The client has left.
        () = feed => Ok(()),
        () = tasks.token().cancelled() => Ok(()),
    };
    drop(client);
    result
}

/// Hands input on; returns when the client is gone.
async fn feed(from: &mut (impl AsyncRead + Unpin), input: mpsc::Sender<Vec<u8>>) {
    let mut input = Some(input);
    while let Ok((what, bytes)) = read(from).await {
        match what {
            INPUT => {
                if let Some(input) = &input {
                    // A process that has ended reads no more.
                    drop(input.send(bytes).await);
                }
            }
            _ => input = None,
        }
    }
}

/// Plays the login shell: sends a command line to the host behind a socket, relays the standard streams
/// of this process, and returns the exit status.
pub async fn relay(socket: &Path, command: &str) -> io::Result<u32> {
    let (mut from, mut to) = UnixStream::connect(socket).await?.into_split();
    // Who started this process is the sshd of the connection.
    let server = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    let mut told = server.to_be_bytes().to_vec();
    told.extend_from_slice(command.as_bytes());
    write(&mut to, COMMAND, &told).await?;
    let receive = async {
        // The only thing this process does is to write here.
        let (mut out, mut err) = (io::stdout(), io::stderr());
        loop {
            match read(&mut from).await? {
                (OUT, bytes) => {
                    out.write_all(&bytes)?;
                    out.flush()?;
                }
                (ERR, bytes) => {
                    err.write_all(&bytes)?;
                    err.flush()?;
                }
                (_, status) => {
                    let status = <[u8; 4]>::try_from(status).map_err(|_long| {
                        io::Error::new(io::ErrorKind::InvalidData, "no exit status")
                    })?;
                    return Ok(u32::from_be_bytes(status));
                }
            }
        }
    };
    let mut input = own_input();
    let send = async {
        while let Some(bytes) = input.recv().await {
            if write(&mut to, INPUT, &bytes).await.is_err() {
                break;
            }
        }
        // Fails when the command has ended, and then there is nothing to end.
        drop(write(&mut to, INPUT_END, &[]).await);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        status = receive => status,
        () = send => Ok(1),
        () = reader_gone() => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Reads this process's standard input on a thread, which ends with the process.
fn own_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut input = io::stdin();
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read) = input.read(&mut buffer) {
            let bytes = buffer.get(..read).unwrap_or_default().to_vec();
            if bytes.is_empty() || sender.blocking_send(bytes).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Returns when nobody reads this process's standard output any more: sshd has closed the channel, which
/// a process that writes nothing would not notice.
async fn reader_gone() {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, and standard output is open as long as this process"
    )]
    let Ok(out) = AsyncFd::with_interest(io::stdout(), Interest::WRITABLE) else {
        // A file is always read.
        return std::future::pending().await;
    };
    while let Ok(mut ready) = out.writable().await {
        if ready.ready().is_write_closed() {
            return;
        }
        ready.clear_ready();
    }
}

async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let what = from.read_u8().await?;
    let length = from.read_u32().await?;
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long"));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    from.read_exact(&mut bytes).await?;
    Ok((what, bytes))
}

async fn write(to: &mut (impl AsyncWrite + Unpin), what: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|length| *length <= LONGEST)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "too long"))?;
    to.write_u8(what).await?;
    to.write_u32(length).await?;
    to.write_all(bytes).await?;
    to.flush().await
}
