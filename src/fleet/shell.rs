//! A shell in a VM: SSH to the VM's own address, through its host as the stop before it, on connections of its
//! own. The VM's key is pinned under the VM's own name.

use std::sync::Arc;

use super::engine::Engine;
use super::request::{KeyDecision, Reply};
use crate::domain::console::{ConsoleEnd, ConsoleEndKind, TerminalSize};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::guest_login::{GuestLogin, key_label};
use crate::domain::host::HostSpec;
use crate::domain::host_key::{HostKeyQuestion, HostKeyVerdict};
use crate::domain::operation::Actor;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::{PowerState, Vm, VmId, VmRef};
use crate::session::SessionContext;
use crate::task::send_or_gone;
use crate::transport::{ExitStatus, RemoteTerminal, Transport, TransportError};

/// Why there is no shell.
pub(super) struct NoShell {
    pub(super) cause: Failure,
    /// The key that a person has to decide on first.
    pub(super) question: Option<Box<HostKeyQuestion>>,
}

impl From<Failure> for NoShell {
    fn from(cause: Failure) -> Self {
        let question = None;
        Self { cause, question }
    }
}

/// A decision about the key of a VM's SSH server.
#[derive(Debug)]
pub struct GuestKey {
    /// Whose key.
    pub vm: VmRef,
    /// Exactly what was shown.
    pub question: HostKeyQuestion,
    /// What a person decided.
    pub decision: KeyDecision,
    /// Who.
    pub actor: Actor,
}

/// Refuses what cannot be: nobody can log in to a VM that is off.
pub(super) fn is_on(vm: &Vm) -> Result<(), Failure> {
    match vm.state {
        PowerState::Stopped | PowerState::Saved | PowerState::Crashed => {
            let message = format!("{} is {}: nobody can log in to it", vm.name, vm.state);
            Err(Failure::new(ErrorKind::Refused, message).with_hint("start it first"))
        }
        PowerState::Running
        | PowerState::Paused
        | PowerState::Starting
        | PowerState::Stopping
        | PowerState::Unknown(_) => Ok(()),
    }
}

/// Words for the record: what the SSH client would be called with.
pub(super) fn shown(spec: &HostSpec, login: &GuestLogin) -> RemoteCommand {
    let at = &login.at;
    RemoteCommand::posix("ssh")
        .args(["-J", spec.name.as_str()])
        .args(["-p", &at.port_or_default().to_string()])
        .arg(format!("{}@{}", login.user, at.address))
}

/// Logs in and starts the account's shell.
pub(super) async fn open(
    context: &SessionContext,
    (spec, vm): (&HostSpec, &VmId),
    login: &GuestLogin,
    size: TerminalSize,
) -> Result<(Arc<dyn Transport>, RemoteTerminal), NoShell> {
    let target = context.targets.guest(spec, vm, login).await?;
    let connected = context.connect(&target).await.map_err(refusal(login))?;
    let terminal = connected.transport.open_shell(size).await;
    let terminal = terminal.map_err(|error| Failure::of(&error))?;
    Ok((connected.transport, terminal))
}

fn refusal(login: &GuestLogin) -> impl FnOnce(TransportError) -> NoShell {
    move |error| {
        let mut cause = Failure::of(&error);
        let hint = if cause.kind == ErrorKind::Auth {
            Some("another account or credential can be given: `e` once it is closed")
        } else if [ErrorKind::Unreachable, ErrorKind::Timeout].contains(&cause.kind) {
            Some(
                "from its host: is that the VM's address, does sshd run in it, does its firewall let the host in?",
            )
        } else {
            None
        };
        if let Some(hint) = hint {
            cause.message = format!("{} at {}: {}", login.user, login.at, cause.message);
            cause = cause.with_hint(hint);
        }
        let question = if let TransportError::HostKey(question) = error {
            Some(question)
        } else {
            None
        };
        NoShell { cause, question }
    }
}

/// Says what the end of a shell means.
pub(super) fn ended(status: &ExitStatus) -> ConsoleEnd {
    ConsoleEnd {
        why: ConsoleEndKind::Left,
        cause: Failure::new(ErrorKind::Conflict, format!("the shell ended ({status})")),
    }
}

impl Engine {
    /// Decides about the key of a VM's SSH server.
    pub(super) fn decide_guest_key(&self, key: GuestKey, reply: Reply<()>) {
        match self.guest_key(&key) {
            Ok(spec) => {
                let keeper = self.keeper.clone().by(Some(key.actor));
                let deciding = keeper.decide_key(spec, key.question, key.decision, reply);
                self.groups.jobs.spawn("decide key", deciding);
            }
            Err(cause) => send_or_gone(reply, Err(cause)),
        }
    }

    fn guest_key(&self, key: &GuestKey) -> Result<Arc<HostSpec>, Failure> {
        let refuse = |why: &str| Err(Failure::new(ErrorKind::Refused, why));
        let Some(host) = self.state.host(key.vm.host) else {
            return refuse("the host is not in the profile any more");
        };
        if key.question.label != key_label(&key.vm.vm) {
            return refuse("that is not the key of this VM");
        }
        match (&key.question.verdict, key.decision) {
            (_, KeyDecision::Leave)
            | (HostKeyVerdict::Unknown, KeyDecision::Accept)
            | (HostKeyVerdict::Changed { .. }, KeyDecision::Replace) => Ok(Arc::clone(&host.spec)),
            (HostKeyVerdict::Changed { .. }, KeyDecision::Accept) => {
                refuse("another key of this VM is known: it has to be replaced in so many words")
            }
            (HostKeyVerdict::Revoked { .. }, _) => refuse("this key is marked as revoked"),
            (HostKeyVerdict::Unknown | HostKeyVerdict::Known, _) => {
                refuse("there is no key to replace")
            }
        }
    }
}
