//! SSH: one connection per host, channels for everything. The only place that knows russh.
//!
//! What the library leaves open is closed here (`docs/transport.md` tells why): every channel has a
//! task of its own that always drains it into bounded memory and closes it explicitly; session
//! channels are counted, also those that outlived their caller; whatever the server opens is refused;
//! every wait has a deadline; a connection whose task dies ends that link and nothing else.
//!
//! ```text
//! connect   dial, jump, deadlines, algorithms      known_hosts    what is known about keys (pure)
//! host_key  the answer to "is this the host?"      client_config  ~/.ssh/config (pure)
//! auth      ordered attempts, what was tried       key            private keys, bounded before opened
//! link      the live connection and its slots      exec, process  one channel each, to its end
//! ```

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enums hold dozens of variants that mean nothing here"
)]

pub mod client_config;
pub mod connect;
pub mod key;
pub mod keygen;
pub mod known_hosts;

mod auth;
mod cut;
mod exec;
mod host_key;
mod link;
mod process;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::Instant;

pub use self::connect::{SshConnector, SshOptions};
use self::exec::Job;
use self::link::Link;
use super::quote;
use super::{CommandOutput, ExecLimits, RemoteProcess, Transport, TransportError};
use crate::domain::remote_command::RemoteCommand;

/// How long a process that stays may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// A live connection.
#[derive(Debug)]
pub struct SshTransport {
    link: Arc<Link>,
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
        let line = quote::render(command)?;
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
