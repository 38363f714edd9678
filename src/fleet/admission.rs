//! May this action be run now? One pure decision for every door: it refuses submissions, and tells a
//! front end beforehand what would be refused.
//!
//! The order of the questions is the order of what helps a person most: what is it about, may it ever
//! be done here, do we know enough, does something stand in the way, does the state fit. Each refusal
//! is one sentence that says why, with what to do next.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::action::{Action, ActionKind, Ask};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::guest_command::GuestVerb;
use crate::domain::health::HostHealth;
use crate::domain::host::{Tag, Tier};
use crate::domain::inventory::{AuditState, FleetSnapshot, HostSnapshot};
use crate::domain::operation::{Actor, Consent, Operation, Submission};
use crate::domain::policy::{self, Decision, OwnVerb, PolicyQuery, Verb, Verdict};
use crate::domain::text::RemoteText;
use crate::domain::units::Age;
use crate::domain::vm::{Vm, VmRef};

/// Decides whether an action may be run on a VM, and what must be agreed to. `count` is how many VMs
/// are acted on together.
#[expect(
    clippy::too_many_arguments,
    reason = "the question has six parts, and front ends ask it with all of them"
)]
pub fn decide(
    state: &FleetSnapshot,
    vm: &VmRef,
    action: &Action,
    actor: &Actor,
    count: usize,
    now: Timestamp,
) -> Result<Verdict, Failure> {
    let host = state.host(vm.host).ok_or_else(|| {
        Failure::new(
            ErrorKind::NotFound,
            "the host is not in the profile any more",
        )
    })?;
    let found = host
        .inventory
        .as_ref()
        .and_then(|inventory| inventory.vm(&vm.vm));
    let Some(found) = found else {
        return Err(no_such_vm(host, vm));
    };
    let verdict = ask_policy(
        (state, host),
        (action.kind.into(), age_of(found, action, now)),
        actor,
        count,
    );
    not_denied(host, &verdict)?;
    answers(host)?;
    is_fresh(host, found, now)?;
    can_be_recorded(state)?;
    is_able(host, action.kind)?;
    is_free(state, vm, action.kind, now)?;
    fits(found, action.kind)?;
    Ok(verdict)
}

/// Decides whether somebody may press keys of a VM's keyboard: what is typed can restart it, so the
/// policy is asked as for a reboot.
pub(super) fn may_type(
    state: &FleetSnapshot,
    host: &HostSnapshot,
    actor: &Actor,
) -> Result<Verdict, Failure> {
    let verdict = ask_policy((state, host), (ActionKind::Reboot.into(), None), actor, 1);
    not_denied(host, &verdict)?;
    if verdict.decision == Decision::Ask(Ask::TypeName) {
        let message = format!(
            "the rule `{}` wants the VM's name typed before a reboot, and keys can reboot it",
            verdict.rule
        );
        return Err(Failure::new(ErrorKind::Refused, message)
            .with_hint("reboot it by the action, or use its console"));
    }
    can_be_recorded(state)?;
    Ok(verdict)
}

/// What the rules want before something that they do not deny.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    /// What must be agreed to.
    pub ask: Ask,
    /// Name of the rule that decided, for the audit log.
    pub rule: String,
}

/// Decides whether somebody may be at a VM's console or log in to it, by what the rules say. Read-only mode
/// and a host's own show them all the same, and let nothing through that is typed.
pub fn may_reach(
    state: &FleetSnapshot,
    host: &HostSnapshot,
    verb: GuestVerb,
    actor: &Actor,
) -> Result<Leave, Failure> {
    let verdict = policy::decide(
        &state.policy,
        &PolicyQuery {
            read_only: false,
            host_read_only: false,
            ..query((state, Some(host)), &tags(host), verb.into(), actor)
        },
    );
    leave(host.spec.name.as_str(), verdict)
}

/// Decides whether a command of the operator's own may be run about a host or a VM on it, or about nothing.
/// What is `dangerous` is not run where nothing may be changed; the others are, there too.
pub fn may_run_own(
    state: &FleetSnapshot,
    host: Option<&HostSnapshot>,
    dangerous: bool,
    actor: &Actor,
    count: usize,
) -> Result<Leave, Failure> {
    let tags = host.map(tags).unwrap_or_default();
    let asked = query((state, host), &tags, OwnVerb::OwnCommand.into(), actor);
    let verdict = policy::decide(
        &state.policy,
        &PolicyQuery {
            count,
            read_only: dangerous && asked.read_only,
            host_read_only: dangerous && asked.host_read_only,
            ..asked
        },
    );
    leave(asked.host, verdict)
}

/// Refuses what policy denies, with what would have to change.
pub(super) fn not_denied(host: &HostSnapshot, verdict: &Verdict) -> Result<(), Failure> {
    leave(host.spec.name.as_str(), verdict.clone()).map(drop)
}

fn leave(host: &str, verdict: Verdict) -> Result<Leave, Failure> {
    let rule = verdict.rule;
    let reason = match verdict.decision {
        Decision::Ask(ask) => return Ok(Leave { ask, rule }),
        Decision::Deny(reason) => reason,
    };
    let hint = match rule.as_str() {
        "read-only" => "leave read-only mode first".to_owned(),
        "host-read-only" => format!("allow changes with `vmdeck host edit {host}`"),
        rule => format!("the rule `{rule}` is in the configuration file"),
    };
    Err(Failure::new(ErrorKind::Refused, reason).with_hint(hint))
}

/// Decides whether somebody may reach into a VM now: look at its console or its screen.
pub fn within_reach<'a>(
    state: &'a FleetSnapshot,
    vm: &VmRef,
) -> Result<(&'a HostSnapshot, &'a Arc<Vm>), Failure> {
    let host = state.host(vm.host).ok_or_else(|| {
        Failure::new(
            ErrorKind::NotFound,
            "the host is not in the profile any more",
        )
    })?;
    let found = host
        .inventory
        .as_ref()
        .and_then(|inventory| inventory.vm(&vm.vm));
    let Some(found) = found else {
        return Err(no_such_vm(host, vm));
    };
    answers(host)?;
    Ok((host, found))
}

/// Decides whether a plan that was shown may be run now, given how far it was agreed to.
pub fn admit(
    state: &FleetSnapshot,
    submission: &Submission,
    now: Timestamp,
) -> Result<Verdict, Failure> {
    let plan = &submission.plan;
    let verdict = decide(
        state,
        &plan.vm,
        &plan.action,
        &submission.actor,
        submission.count,
        now,
    );
    // A VM that has changed state usually no longer fits the action either: the change is the news.
    unchanged(state, submission)?;
    let verdict = verdict?;
    if let Decision::Ask(ask) = verdict.decision {
        agreed(ask, submission)?;
    }
    Ok(verdict)
}

/// Refuses a plan whose VM is not in the state it was shown in.
pub fn unchanged(state: &FleetSnapshot, submission: &Submission) -> Result<(), Failure> {
    let plan = &submission.plan;
    match state.vm(&plan.vm) {
        Some((_, vm)) if vm.state != plan.state => Err(Failure::new(
            ErrorKind::Conflict,
            format!(
                "{} is {} now; it was {} when the plan was shown",
                vm.name, vm.state, plan.state
            ),
        )
        .with_hint("look at the new plan, then decide again")),
        Some(_) => Ok(()),
        None => Err(state.host(plan.vm.host).map_or_else(
            || {
                Failure::new(
                    ErrorKind::NotFound,
                    "the host is not in the profile any more",
                )
            },
            |host| no_such_vm(host, &plan.vm),
        )),
    }
}

fn no_such_vm(host: &HostSnapshot, vm: &VmRef) -> Failure {
    let name = &host.spec.name;
    if host.inventory.is_none() {
        return Failure::new(ErrorKind::NotFound, format!("{name} has not been read yet"))
            .with_hint("wait until it is up, or refresh it");
    }
    Failure::new(
        ErrorKind::NotFound,
        format!("there is no VM {} on {name} any more", vm.vm.short()),
    )
    .with_hint("it was removed or moved to another host; refresh the list")
}

/// Returns the age of the snapshot that an action is about, where it is there and known.
fn age_of(vm: &Vm, action: &Action, now: Timestamp) -> Option<Duration> {
    let chosen = action.snapshot.as_ref()?.chosen()?;
    let tree = vm.facts.snapshot_tree.as_deref()?;
    chosen.among(tree)?.age(now)
}

pub(super) fn ask_policy(
    (state, host): (&FleetSnapshot, &HostSnapshot),
    (verb, snapshot_age): (Verb, Option<Duration>),
    actor: &Actor,
    count: usize,
) -> Verdict {
    let tags = tags(host);
    let query = PolicyQuery {
        count,
        snapshot_age,
        ..query((state, Some(host)), &tags, verb, actor)
    };
    policy::decide(&state.policy, &query)
}

fn tags(host: &HostSnapshot) -> Vec<&str> {
    host.spec.tags.iter().map(Tag::as_str).collect()
}

/// Puts a question about one VM or host together, or about none.
fn query<'a>(
    (state, host): (&FleetSnapshot, Option<&'a HostSnapshot>),
    tags: &'a [&'a str],
    verb: Verb,
    actor: &'a Actor,
) -> PolicyQuery<'a> {
    let tier = host.and_then(|host| host.spec.tier.as_ref());
    PolicyQuery {
        verb,
        tier: tier.map(Tier::as_str),
        host: host.map_or("", |host| host.spec.name.as_str()),
        tags,
        door: actor.door,
        user: &actor.user,
        count: 1,
        snapshot_age: None,
        read_only: state.read_only,
        host_read_only: host.is_some_and(|host| state.is_read_only(&host.spec, state.at)),
    }
}

pub(super) fn answers(host: &HostSnapshot) -> Result<(), Failure> {
    let name = &host.spec.name;
    let (what, cause, hint) = match &host.health {
        HostHealth::Online | HostHealth::Degraded { .. } => return Ok(()),
        HostHealth::Disabled => ("is switched off", None, "connect to it first"),
        HostHealth::Connecting { queued: true, .. } => (
            "waits for its turn to be connected",
            None,
            "wait until it is up",
        ),
        HostHealth::Connecting { .. } => ("is still connecting", None, "wait until it is up"),
        HostHealth::Offline { cause, .. } => (
            "does not answer",
            Some(cause),
            "it is tried again by itself; refresh it to try now",
        ),
        HostHealth::NeedsOperator { cause, .. } => (
            "waits for you",
            Some(cause),
            "open its details to see what it needs",
        ),
    };
    let message = match cause {
        Some(cause) => format!("{name} {what}: {cause}"),
        None => format!("{name} {what}"),
    };
    let kind = cause.map_or(ErrorKind::Unreachable, |cause| cause.kind);
    Err(Failure::new(kind, message).with_hint(hint))
}

fn is_fresh(host: &HostSnapshot, vm: &Vm, now: Timestamp) -> Result<(), Failure> {
    if !host.is_stale(now) {
        return Ok(());
    }
    let age = match host.age(now) {
        _ if host.from_cache => "is from an earlier run".to_owned(),
        Some(age) => format!("is {} old", Age(age)),
        None => "is of an unknown age".to_owned(),
    };
    let message = format!("what is known about {} {age}: read it again first", vm.name);
    Err(Failure::new(ErrorKind::Conflict, message)
        .with_hint(format!("refresh {}, then try again", host.spec.name)))
}

/// Refuses what changes a VM while nothing can be recorded.
pub(super) fn can_be_recorded(state: &FleetSnapshot) -> Result<(), Failure> {
    match &state.audit {
        AuditState::Writable => Ok(()),
        AuditState::Blocked(cause) => Err(cause.clone().refusing_unrecorded("the action")),
    }
}

fn is_able(host: &HostSnapshot, action: ActionKind) -> Result<(), Failure> {
    match &host.capabilities {
        Some(able) if !able.actions.contains(&action) => Err(Failure::new(
            ErrorKind::Refused,
            format!(
                "{} ({}) cannot {} a VM",
                host.spec.name,
                able.version,
                action.spec().verb
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// One operation per VM at a time; cutting the power may overtake a shutdown that does not get
/// anywhere.
fn is_free(
    state: &FleetSnapshot,
    vm: &VmRef,
    action: ActionKind,
    now: Timestamp,
) -> Result<(), Failure> {
    let overtaken = |operation: &Operation| {
        action == ActionKind::ForceOff && operation.plan.action.kind == ActionKind::Shutdown
    };
    let in_the_way = state.operations.iter().rev().find(|operation| {
        operation.plan.vm == *vm && !operation.is_finished() && !overtaken(operation)
    });
    let Some(operation) = in_the_way else {
        return Ok(());
    };
    let spec = operation.plan.action.kind.spec();
    Err(Failure::new(
        ErrorKind::Busy,
        format!(
            "{} is busy {} for {} (asked by {})",
            operation.plan.vm_name,
            spec.doing,
            Age(operation.elapsed(now)),
            operation.actor.user
        ),
    )
    .with_hint("wait for it to end, or cancel it under operations"))
}

fn fits(vm: &Vm, action: ActionKind) -> Result<(), Failure> {
    if action.fits(&vm.state) {
        return Ok(());
    }
    let spec = action.spec();
    let possible: Vec<&str> = ActionKind::ALL
        .into_iter()
        .filter(|other| !other.spec().from.is_empty() && other.fits(&vm.state))
        .map(|other| other.spec().verb)
        .collect();
    let failure = Failure::new(
        ErrorKind::Refused,
        format!(
            "{} is {}; `{}` needs it to be {}",
            vm.name,
            vm.state,
            spec.verb,
            spec.from.join(" or ")
        ),
    );
    Err(if possible.is_empty() {
        failure.with_hint("wait until its state has settled")
    } else {
        failure.with_hint(format!("possible now: {}", possible.join(", ")))
    })
}

fn agreed(ask: Ask, submission: &Submission) -> Result<(), Failure> {
    let verb = submission.plan.action.kind.spec().verb;
    let what = (&submission.plan.vm_name, verb, "VM");
    agreed_to(ask, &submission.consent, what)
}

/// Refuses what was not agreed to as far as is asked: something of a name, what is done to it, and what kind
/// of thing it is.
pub(super) fn agreed_to(
    ask: Ask,
    consent: &Consent,
    (name, verb, kind): (&RemoteText, &str, &str),
) -> Result<(), Failure> {
    match (ask, consent) {
        (Ask::Nothing, _) | (Ask::Confirm, Consent::Confirmed) => Ok(()),
        (Ask::Confirm | Ask::TypeName, Consent::TypedName(typed))
            if typed == name.raw() || typed == name.shown() =>
        {
            Ok(())
        }
        (Ask::Confirm | Ask::TypeName, Consent::TypedName(_)) => Err(Failure::new(
            ErrorKind::Refused,
            format!("the name that was typed is not {name}"),
        )
        .with_hint(format!("type the {kind}'s name exactly as it is shown"))),
        (Ask::Confirm, Consent::Nothing) => Err(Failure::new(
            ErrorKind::Refused,
            format!("`{verb}` on {name} has to be confirmed"),
        )
        .with_hint("confirm it; in a script, add `--yes`")),
        (Ask::TypeName, Consent::Nothing | Consent::Confirmed) => Err(Failure::new(
            ErrorKind::Refused,
            format!("`{verb}` on {name} has to be confirmed with its name"),
        )
        .with_hint(format!(
            "type the {kind}'s name; in a script, name the {kind} in full and add `--yes`"
        ))),
    }
}
