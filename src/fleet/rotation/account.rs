//! Changing which keys an account of a host takes, over a link that is logged in: each change is written down
//! before it is sent, and how it ended after.

use std::sync::Arc;
use std::time::Duration;

use super::super::keeper::Keeper;
use super::super::record;
use crate::domain::audit::{AuditEntry, AuditPhase};
use crate::domain::credential::CredentialSummary;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{HostSpec, HypervisorKind};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::hypervisor::Hypervisor;
use crate::hypervisor::account::{KeyChange, PublicKey, change_keys, key_command};
use crate::session::SessionContext;
use crate::session::limits::{CLOSE, PROBE};
use crate::transport::{ExecLimits, Transport};

/// How long such a change may take, the start of a PowerShell included.
const WITHIN: Duration = Duration::from_secs(60);

/// A login that is open, and what is on the other side.
pub(super) struct Account<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) spec: &'a HostSpec,
    transport: Arc<dyn Transport>,
    kind: HypervisorKind,
    driver: Option<Box<dyn Hypervisor>>,
}

/// Returns the public half of a credential.
pub(super) fn public(found: &CredentialSummary) -> Result<PublicKey, Failure> {
    let line = found
        .public_key
        .as_deref()
        .and_then(|line| line.parse().ok());
    line.ok_or_else(|| {
        let message = format!("credential {} has no public key", found.name);
        Failure::new(ErrorKind::Usage, message)
            .with_hint("only a key has one: `vmdeck credential add NAME --generate ed25519`")
    })
}

/// Says what a change would run, without asking anybody.
pub(super) fn command_of(
    kind: HypervisorKind,
    change: KeyChange<'_>,
) -> Result<RemoteCommand, Failure> {
    key_command(kind, change).map_err(|error| Failure::of(&error))
}

impl<'a> Account<'a> {
    /// Logs in as a definition says.
    pub(super) async fn open(
        keeper: &'a Keeper,
        context: &SessionContext,
        spec: &'a HostSpec,
    ) -> Result<Self, Failure> {
        let transport = log_in(context, spec).await?;
        let mut opened = Self {
            keeper,
            spec,
            transport,
            kind: HypervisorKind::Libvirt,
            driver: None,
        };
        if spec.kind.fixed() != Some(HypervisorKind::Libvirt) {
            let opening = context.drivers.open(Arc::clone(&opened.transport), spec);
            let driver = match tokio::time::timeout(WITHIN, opening).await {
                Ok(Ok(driver)) => driver,
                Ok(Err(error)) => {
                    opened.close().await;
                    return Err(Failure::of(&error));
                }
                Err(_elapsed) => {
                    opened.close().await;
                    return Err(late());
                }
            };
            opened.kind = driver.kind();
            opened.driver = Some(driver);
        }
        Ok(opened)
    }

    /// Makes a change and records it; returns what the host says it did.
    pub(super) async fn change(
        &self,
        (action, details): (&str, String),
        change: KeyChange<'_>,
    ) -> Result<String, Failure> {
        let command = command_of(self.kind, change)?;
        let clock = &self.keeper.clock;
        let began = clock.now();
        let name = self.spec.name.as_str();
        let id = format!("key-{:016x}", rand::random::<u64>());
        let intent = AuditEntry {
            phase: AuditPhase::Intent,
            status: "pending".to_owned(),
            plan: vec![command.shown_line()],
            operation: Some(id),
            ..record::about_host(name, action, details, began)
        };
        let written = self.keeper.record(intent.clone()).await;
        written.map_err(|error| error.refusal("the change"))?;
        let done = self.run(&command).await;
        let now = clock.now();
        let (status, details) = match &done {
            Ok(said) => ("ok", format!("{}: {said}", intent.details)),
            // Whether it was done before the link was lost, nobody knows.
            Err(cause) if cause.kind == ErrorKind::Timeout => ("unknown", cause.message.clone()),
            Err(cause) if cause.kind == ErrorKind::Unreachable => {
                ("unknown", cause.message.clone())
            }
            Err(cause) => ("failed", cause.message.clone()),
        };
        let outcome = AuditEntry {
            timestamp: now.to_string(),
            phase: AuditPhase::Outcome,
            status: status.to_owned(),
            details,
            elapsed_ms: u64::try_from(now.duration_since(began).as_millis()).ok(),
            ..intent
        };
        if let Err(error) = self.keeper.record(outcome).await {
            tracing::error!(%error, "the outcome of a change of keys could not be recorded");
        }
        done
    }

    async fn run(&self, command: &RemoteCommand) -> Result<String, Failure> {
        let changing = change_keys(self.kind, self.transport.as_ref(), command, WITHIN);
        match tokio::time::timeout(WITHIN, changing).await {
            Ok(done) => done.map_err(|error| Failure::of(&error)),
            Err(_elapsed) => Err(late()),
        }
    }

    /// Logs out.
    pub(super) async fn close(self) {
        if let Some(driver) = &self.driver
            && tokio::time::timeout(CLOSE, driver.close()).await.is_err()
        {
            tracing::warn!("a driver did not close in time");
        }
        close(self.transport.as_ref()).await;
    }
}

fn late() -> Failure {
    let message = format!("the host did not answer within {} s", WITHIN.as_secs());
    Failure::new(ErrorKind::Timeout, message)
}

async fn log_in(context: &SessionContext, spec: &HostSpec) -> Result<Arc<dyn Transport>, Failure> {
    let target = context.targets.target(spec).await?;
    let connected = context.connect(&target).await;
    Ok(connected.map_err(|error| Failure::of(&error))?.transport)
}

async fn close(transport: &dyn Transport) {
    if tokio::time::timeout(CLOSE, transport.close())
        .await
        .is_err()
    {
        tracing::warn!("a link did not close in time");
    }
}

/// Logs in over a connection of its own and sees that a command runs.
pub(super) async fn try_login(context: &SessionContext, spec: &HostSpec) -> Result<(), Failure> {
    let transport = log_in(context, spec).await?;
    // A plain word means the same to every shell this may meet.
    let command = RemoteCommand::posix("echo").arg("vmdeck-was-here");
    let output = transport.exec(&command, ExecLimits::within(PROBE)).await;
    close(transport.as_ref()).await;
    let output = output.map_err(|error| Failure::of(&error))?;
    if String::from_utf8_lossy(&output.stdout).contains("vmdeck-was-here") {
        return Ok(());
    }
    let said = RemoteText::from_bytes(&output.stderr).first_line();
    let message = format!("the login works, but no command runs in it: {said}");
    Err(Failure::new(ErrorKind::Remote, message))
}
