//! A VM's screen, one picture at a time, and keys typed into it. Pictures come over the host's second
//! connection, which is kept a moment for the next one; keys change a VM, and are recorded.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission;
use super::engine::Engine;
use super::plan::kind_of;
use super::record;
use super::request::Reply;
use super::side_link::{SideLink, SideLinks};
use crate::audit::AuditLog;
use crate::domain::audit::AuditEntry;
use crate::domain::console::KeyStrokes;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostSpec;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::operation::Actor;
use crate::domain::picture::Picture;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::{PowerState, Vm, VmId, VmRef};
use crate::hypervisor::{HypervisorError, Reach};
use crate::session::{CommandLog, SessionContext};
use crate::task::{Tasks, send_or_gone};
use crate::transport::TransportError;

/// Word of the audit log for keys.
pub const SEND_KEYS: &str = "send-keys";

/// How long the second connection is kept after a picture: longer than the pause before the next.
const LINGER: Duration = Duration::from_secs(6);

/// What reaching for a screen takes.
struct Reaching {
    spec: Arc<HostSpec>,
    vm: VmId,
    reach: &'static dyn Reach,
    context: Arc<SessionContext>,
    links: SideLinks,
    log: CommandLog,
    stop: CancellationToken,
    tasks: Tasks,
}

impl Engine {
    /// Takes a picture of a VM's screen, as a task of its own.
    pub(super) fn look_at_screen(&mut self, vm: &VmRef, reply: Reply<Arc<Picture>>) {
        match self.prepare_picture(vm) {
            Ok(task) => {
                let looking = async move { send_or_gone(reply, task.look().await) };
                self.groups.reaches.spawn("screen", looking);
            }
            Err(cause) => send_or_gone(reply, Err(cause)),
        }
    }

    /// Types into a VM, as a task of its own.
    pub(super) fn send_keys(
        &mut self,
        vm: &VmRef,
        keys: &KeyStrokes,
        (actor, reply): (Actor, Reply<()>),
    ) {
        match self.prepare_keys(vm, keys, actor) {
            Ok((task, recorded)) => {
                let audit = self.keeper.audit.clone();
                let typing =
                    async move { send_or_gone(reply, task.type_keys(recorded, audit).await) };
                self.groups.reaches.spawn("send keys", typing);
            }
            Err(cause) => send_or_gone(reply, Err(cause)),
        }
    }

    fn prepare_picture(&mut self, vm: &VmRef) -> Result<Reaching, Failure> {
        let view = self.state.view(self.clock().now());
        let (host, _) = self.with_a_screen(&view, vm)?;
        self.reaching(host, vm)
    }

    fn prepare_keys(
        &mut self,
        vm: &VmRef,
        keys: &KeyStrokes,
        actor: Actor,
    ) -> Result<(Reaching, (RemoteCommand, AuditEntry)), Failure> {
        let now = self.clock().now();
        let view = self.state.view(now);
        let (host, found) = self.with_a_screen(&view, vm)?;
        let verdict = admission::may_type(&view, host, &actor)?;
        let task = self.reaching(host, vm)?;
        let command = task.reach.keys(&host.spec, &vm.vm, keys);
        let command = command.map_err(|error| Failure::of(&error))?;
        let id = self.ids.next(now);
        let intent = AuditEntry {
            plan: vec![shown(&command)],
            rule: Some(verdict.rule),
            details: keys.recorded().to_owned(),
            ..record::reach_intent(SEND_KEYS, (&host.spec, found), actor, &id, now)
        };
        Ok((task, (command, intent)))
    }

    fn with_a_screen<'a>(
        &self,
        view: &'a FleetSnapshot,
        vm: &VmRef,
    ) -> Result<(&'a HostSnapshot, &'a Vm), Failure> {
        if self.stopping.is_some() {
            return Err(ending());
        }
        let (host, found) = admission::within_reach(view, vm)?;
        has_screen(found)?;
        Ok((host, found))
    }

    fn reaching(&mut self, host: &HostSnapshot, vm: &VmRef) -> Result<Reaching, Failure> {
        Ok(Reaching {
            spec: Arc::clone(&host.spec),
            vm: vm.vm.clone(),
            reach: self.context.drivers.reach(kind_of(host)?),
            context: Arc::clone(&self.context),
            links: self.side_links.clone(),
            log: self.roster.log(host.spec.id),
            stop: self.groups.reaches.token().clone(),
            tasks: self.groups.reaches.clone(),
        })
    }
}

/// Words a command; that it reads something is said, and never what.
fn shown(command: &RemoteCommand) -> String {
    let input = if command.stdin.is_some() {
        " <<< '<redacted>'"
    } else {
        ""
    };
    format!("{}{input}", command.shown_line())
}

pub(super) fn ending() -> Failure {
    Failure::new(ErrorKind::Busy, "the program is ending")
}

pub(super) fn has_screen(vm: &Vm) -> Result<(), Failure> {
    match vm.state {
        PowerState::Stopped | PowerState::Saved | PowerState::Crashed => Err(Failure::new(
            ErrorKind::Refused,
            format!("{} is {}: it has no screen", vm.name, vm.state),
        )
        .with_hint("start it first")),
        PowerState::Running
        | PowerState::Paused
        | PowerState::Starting
        | PowerState::Stopping
        | PowerState::Unknown(_) => Ok(()),
    }
}

impl Reaching {
    async fn look(self) -> Result<Arc<Picture>, Failure> {
        let link = self.lease().await?;
        let looking = self
            .reach
            .screenshot(link.transport(), &self.spec, &self.vm);
        let raw = self.unless_ending(looking).await;
        self.keep(link);
        let raw = raw.map_err(|error| Failure::of(&error))?;
        // Unpacking a large one takes longer than a task may hold its thread.
        match tokio::task::spawn_blocking(move || raw.unpack()).await {
            Ok(Ok(picture)) => Ok(Arc::new(picture)),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Err(_broken) => Err(Failure::new(
                ErrorKind::Internal,
                "unpacking the picture broke",
            )),
        }
    }

    async fn type_keys(
        self,
        (keys, intent): (RemoteCommand, AuditEntry),
        audit: AuditLog,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        audit
            .append(intent.clone())
            .await
            .map_err(|error| error.refusal("typing into the VM"))?;
        let (status, typed) = match self.press(&keys).await {
            Ok(Ok(())) => ("ok", Ok(())),
            // It may have been typed all the same.
            Ok(Err(error @ HypervisorError::Transport(_))) => ("unknown", Err(Failure::of(&error))),
            Ok(Err(error)) => ("failed", Err(Failure::of(&error))),
            Err(cause) => ("failed", Err(cause)),
        };
        let details = match &typed {
            Ok(()) => intent.details.clone(),
            Err(cause) => format!("{}: {}", intent.details, cause.message),
        };
        let (said, now) = ((status, details), self.context.clock.now());
        let outcome = record::reach_outcome(intent, said, began.elapsed(), now);
        if let Err(error) = audit.append(outcome).await {
            tracing::error!(%error, "could not record how typing ended");
        }
        typed
    }

    /// Presses keys; the outer error is that nothing was sent.
    async fn press(&self, keys: &RemoteCommand) -> Result<Result<(), HypervisorError>, Failure> {
        let link = self.lease().await?;
        let pressing = self.reach.press(link.transport(), &self.spec, keys);
        let pressed = self.unless_ending(pressing).await;
        self.keep(link);
        Ok(pressed)
    }

    async fn lease(&self) -> Result<Arc<SideLink>, Failure> {
        let leasing = self
            .links
            .lease(&self.context, &self.spec, self.log.clone());
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(ending()),
            link = leasing => link,
        }
    }

    async fn unless_ending<T>(
        &self,
        what: impl Future<Output = Result<T, HypervisorError>>,
    ) -> Result<T, HypervisorError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(HypervisorError::Transport(TransportError::Lost {
                reason: "the program is ending".to_owned(),
            })),
            done = what => done,
        }
    }

    /// Keeps the connection for whoever looks again soon.
    fn keep(&self, link: Arc<SideLink>) {
        let stop = self.stop.clone();
        self.tasks.spawn("keep second connection", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LINGER) => {}
            }
            drop(link);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_not_in_the_record() {
        let keys = KeyStrokes::Text("hunter2\n".to_owned());
        assert_eq!(keys.recorded(), "text");
        assert!(!format!("{keys:?}").contains('8'), "not even its length");
        let command = RemoteCommand::posix("virsh").stdin(*b"send-key 1 KEY_H\n");
        assert_eq!(shown(&command), "virsh <<< '<redacted>'");
    }
}
