//! `SshTransport`: the seam of the layers above, on one connection. Waits for slots, starts tasks, hands back
//! answers; the channels belong to the tasks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::exec::Job;
use super::link::Link;
use super::{exec, forward, process, terminal};
use crate::domain::console::TerminalSize;
use crate::domain::graphics::DisplayPlace;
use crate::domain::remote_command::RemoteCommand;
use crate::transport::quote;
use crate::transport::{
    CommandOutput, ExecLimits, RemoteProcess, RemoteTerminal, Transport, TransportError,
};

/// How long a process that stays may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// A live connection.
#[derive(Debug)]
pub struct SshTransport {
    link: Arc<Link>,
}

impl SshTransport {
    pub(super) const fn new(link: Arc<Link>) -> Self {
        Self { link }
    }
}

impl SshTransport {
    async fn terminal(
        &self,
        line: Option<String>,
        size: TerminalSize,
    ) -> Result<RemoteTerminal, TransportError> {
        let deadline = Instant::now() + START_TIMEOUT;
        let slot = self.link.slot(deadline, START_TIMEOUT).await?;
        let wanted = terminal::Wanted { line, size, slot };
        let (reply, answer) = oneshot::channel();
        drop(self.link.tasks().spawn(
            "ssh terminal",
            terminal::run(Arc::clone(&self.link), wanted, reply),
        ));
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_gone)) => Err(self.link.lost()),
            Err(_elapsed) => Err(TransportError::Timeout {
                what: "opening a terminal on the host",
                after: START_TIMEOUT,
            }),
        }
    }
}

#[async_trait]
impl Transport for SshTransport {
    async fn exec(
        &self,
        command: &RemoteCommand,
        limits: ExecLimits,
    ) -> Result<CommandOutput, TransportError> {
        let line = quote::render(command)?;
        let deadline = Instant::now() + limits.deadline;
        let slot = self.link.slot(deadline, limits.deadline).await?;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            line,
            stdin: command.stdin.clone().unwrap_or_default(),
            life: command.life,
            limits,
            deadline,
            slot,
            reply,
        };
        // The task owns the channel: it is closed also when this future is dropped.
        drop(
            self.link
                .tasks()
                .spawn("ssh exec", exec::run(Arc::clone(&self.link), job)),
        );
        match answer.await {
            Ok(result) => result,
            Err(_gone) => Err(self.link.lost()),
        }
    }

    async fn spawn(
        &self,
        command: &RemoteCommand,
    ) -> Result<Box<dyn RemoteProcess>, TransportError> {
        let line = process::Line {
            text: quote::render(command)?,
            stdin: command.stdin.clone(),
        };
        let deadline = Instant::now() + START_TIMEOUT;
        let slot = self.link.slot(deadline, START_TIMEOUT).await?;
        let (reply, answer) = oneshot::channel();
        drop(self.link.tasks().spawn(
            "ssh process",
            process::run(Arc::clone(&self.link), line, slot, reply),
        ));
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(result)) => result.map(|process| Box::new(process) as Box<dyn RemoteProcess>),
            Ok(Err(_gone)) => Err(self.link.lost()),
            Err(_elapsed) => Err(TransportError::Timeout {
                what: "starting a remote process",
                after: START_TIMEOUT,
            }),
        }
    }

    async fn open_terminal(
        &self,
        command: &RemoteCommand,
        size: TerminalSize,
    ) -> Result<RemoteTerminal, TransportError> {
        let line = quote::render(command)?;
        self.terminal(Some(line), size).await
    }

    async fn open_shell(&self, size: TerminalSize) -> Result<RemoteTerminal, TransportError> {
        self.terminal(None, size).await
    }

    async fn forward(&self, to: &DisplayPlace, local: TcpStream) -> Result<(), TransportError> {
        let (reply, answer) = oneshot::channel();
        let wanted = (to.clone(), local);
        // The task owns the channel: it is closed also when this future is dropped.
        drop(self.link.tasks().spawn(
            "ssh forward",
            forward::run(Arc::clone(&self.link), wanted, reply),
        ));
        match answer.await {
            Ok(result) => result,
            Err(_gone) => Err(self.link.lost()),
        }
    }

    async fn closed(&self) -> TransportError {
        self.link.wait_closed().await
    }

    async fn close(&self) {
        self.link.end("it was closed by us");
        self.link.wait_gone().await;
    }
}

impl Drop for SshTransport {
    fn drop(&mut self) {
        self.link.end("nobody uses it any more");
    }
}
