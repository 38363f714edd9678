//! Getting hosts to say what they have: connect, then wait until each has answered, failed, or used up
//! the time. A slow or dead host costs its own time only.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Script;
use super::console::Console;
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::health::HostHealth;
use crate::domain::host::HostId;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::fleet::FleetHandle;
use crate::fleet::request::HostSelection;
use crate::report::Complaint;

/// Between the two reads that a figure over time needs: long enough for a figure that means something.
const BETWEEN_READS: Duration = Duration::from_millis(450);

/// What came of asking hosts.
#[derive(Debug)]
pub(super) struct Reached {
    /// The fleet after the last of them.
    pub(super) fleet: Arc<FleetSnapshot>,
    /// Hosts that said what they have.
    pub(super) answered: Vec<HostId>,
    /// Hosts that did not, and why.
    pub(super) failed: Vec<(Arc<HostSnapshot>, Failure)>,
}

impl Reached {
    /// Tells which hosts did not answer.
    pub(super) fn report(&self, console: &mut Console<'_>) {
        for (host, failure) in &self.failed {
            console.complain(&Complaint::from(failure.clone()).on(&host.spec.name));
        }
    }

    /// Returns how well it went: done, partly, or none answered.
    pub(super) const fn exit_code(&self) -> ExitCode {
        match (self.answered.is_empty(), self.failed.is_empty()) {
            (_, true) => ExitCode::Done,
            (false, false) => ExitCode::Partial,
            (true, false) => ExitCode::Unreachable,
        }
    }

    /// Returns why a host did not answer.
    pub(super) fn why(&self, host: HostId) -> Option<&Failure> {
        self.failed
            .iter()
            .find(|(failed, _)| failed.spec.id == host)
            .map(|(_, failure)| failure)
    }
}

/// Returns the enabled hosts that fit.
pub(super) fn hosts_that(
    fleet: &FleetSnapshot,
    fits: impl Fn(&HostSnapshot) -> bool,
) -> Vec<HostId> {
    fleet
        .hosts
        .iter()
        .filter(|host| host.spec.enabled && fits(host))
        .map(|host| host.spec.id)
        .collect()
}

/// Asks hosts what they have; `twice` where figures over time are needed.
pub(super) async fn reach(
    handle: &FleetHandle,
    hosts: Vec<HostId>,
    script: &Script,
    twice: bool,
) -> Result<Reached, Complaint> {
    let deadline = Instant::now() + script.patience;
    if !hosts.is_empty() {
        let selection = HostSelection::Only(hosts.clone());
        handle.connect(selection).await.map_err(Complaint::from)?;
    }
    let mut fleet = wait(handle, script, deadline, |fleet| {
        hosts.iter().all(|host| is_settled(fleet, *host, None))
    })
    .await;
    if twice {
        fleet = read_again(handle, script, fleet, &hosts, deadline).await?;
    }
    let (mut answered, mut failed) = (Vec::new(), Vec::new());
    for host in hosts.iter().filter_map(|id| fleet.host(*id)) {
        match answer(host) {
            Some(Ok(())) => answered.push(host.spec.id),
            Some(Err(failure)) => failed.push((Arc::clone(host), failure)),
            None if script.stop.is_cancelled() => {
                let failure = Failure::new(ErrorKind::Timeout, "interrupted before it answered");
                failed.push((Arc::clone(host), failure));
            }
            None => failed.push((Arc::clone(host), too_late(host, script.patience))),
        }
    }
    Ok(Reached {
        fleet,
        answered,
        failed,
    })
}

async fn read_again(
    handle: &FleetHandle,
    script: &Script,
    fleet: Arc<FleetSnapshot>,
    hosts: &[HostId],
    deadline: Instant,
) -> Result<Arc<FleetSnapshot>, Complaint> {
    let seen: Vec<(HostId, Option<Timestamp>)> = hosts
        .iter()
        .filter_map(|id| fleet.host(*id))
        .filter(|host| matches!(answer(host), Some(Ok(()))))
        .map(|host| (host.spec.id, host.observed_at))
        .collect();
    if seen.is_empty() {
        return Ok(fleet);
    }
    tokio::select! {
        () = tokio::time::sleep(BETWEEN_READS) => {}
        () = script.stop.cancelled() => {}
    }
    let ids = seen.iter().map(|(id, _)| *id).collect();
    handle
        .read_again(HostSelection::Only(ids))
        .await
        .map_err(Complaint::from)?;
    Ok(wait(handle, script, deadline, |fleet| {
        seen.iter().all(|(id, at)| is_settled(fleet, *id, *at))
    })
    .await)
}

/// Waits until the fleet is as wanted, the time is up, or the program is to end.
async fn wait(
    handle: &FleetHandle,
    script: &Script,
    deadline: Instant,
    wanted: impl Fn(&FleetSnapshot) -> bool,
) -> Arc<FleetSnapshot> {
    tokio::select! {
        Some(fleet) = handle.wait_until(|fleet| wanted(fleet)) => fleet,
        () = tokio::time::sleep_until(deadline) => handle.snapshot(),
        () = script.stop.cancelled() => handle.snapshot(),
    }
}

/// Returns true when nothing more is to be expected of a host; `after` asks for a newer answer.
fn is_settled(fleet: &FleetSnapshot, host: HostId, after: Option<Timestamp>) -> bool {
    fleet.host(host).is_none_or(|host| match answer(host) {
        Some(Ok(())) => after.is_none() || host.observed_at > after,
        Some(Err(_)) => true,
        None => false,
    })
}

/// Returns what a host has come to, or `None` while it may still answer.
fn answer(host: &HostSnapshot) -> Option<Result<(), Failure>> {
    match &host.health {
        HostHealth::Online | HostHealth::Degraded { .. } => {
            (host.inventory.is_some() && !host.from_cache).then_some(Ok(()))
        }
        HostHealth::Offline { cause, .. } | HostHealth::NeedsOperator { cause, .. } => {
            Some(Err(cause.clone()))
        }
        HostHealth::Disabled | HostHealth::Connecting { .. } => None,
    }
}

fn too_late(host: &HostSnapshot, patience: Duration) -> Failure {
    let within = patience.as_secs_f32();
    let message = match host.health {
        HostHealth::Connecting { queued: true, .. } => {
            format!("was not dialled within {within} s: others were let first")
        }
        _ => format!("did not answer within {within} s"),
    };
    let failure = Failure::new(ErrorKind::Timeout, message);
    let hint = format!(
        "`vmdeck host doctor {}` shows where it stops",
        host.spec.name
    );
    failure.with_hint(hint)
}
