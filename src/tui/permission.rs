//! Whether an action could be run now, as far as the newest snapshot tells.

use jiff::Timestamp;

use crate::domain::action::Action;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::inventory::FleetSnapshot;
use crate::domain::operation::Actor;
use crate::domain::policy::{self, Decision, PolicyQuery, Verdict};
use crate::domain::vm::VmRef;

/// Decides.
#[expect(
    clippy::too_many_arguments,
    reason = "the question has this many parts"
)]
pub fn decide(
    state: &FleetSnapshot,
    vm: &VmRef,
    action: &Action,
    actor: &Actor,
    count: usize,
    now: Timestamp,
) -> Result<Verdict, Failure> {
    let refuse = |why: String| Err(Failure::new(ErrorKind::Refused, why));
    let Some((host, found)) = state.vm(vm) else {
        return Err(Failure::new(ErrorKind::NotFound, "the VM is gone"));
    };
    let tags: Vec<&str> = host
        .spec
        .tags
        .iter()
        .map(crate::domain::host::Tag::as_str)
        .collect();
    let verdict = policy::decide(
        &state.policy,
        &PolicyQuery {
            action: action.kind,
            tier: host
                .spec
                .tier
                .as_ref()
                .map(crate::domain::host::Tier::as_str),
            host: host.spec.name.as_str(),
            tags: &tags,
            door: actor.door,
            user: &actor.user,
            count,
            read_only: state.read_only,
            host_read_only: host.spec.read_only,
        },
    );
    if let Decision::Deny(reason) = verdict.decision {
        return refuse(reason);
    }
    if host.is_stale(now) {
        return refuse(format!("what is known of {} is too old", host.spec.name));
    }
    if !action.kind.fits(&found.state) {
        return refuse(format!("{} is {}", found.name.shown(), found.state));
    }
    if let Some(running) = state.running_operation(vm) {
        let doing = running.plan.action.kind.spec().doing;
        return refuse(format!("{} is {doing} already", found.name.shown()));
    }
    Ok(verdict)
}
