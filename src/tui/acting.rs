//! From a key to a plan to an operation: which VMs are meant, whether it may be asked at all, and what
//! is handed in once a person has agreed.

use std::collections::HashSet;
use std::sync::Arc;

use super::app::App;
use super::bulk::{self, Bulk};
use super::console::keys as console;
use super::define;
use super::effect::Effect;
use super::event::Proposals;
use super::guest;
use super::overlay::Overlay;
use super::overlay::agree::{Agree, Agreed, Then};
use super::overlay::confirm::{Confirm, Skipped};
use super::overlay::progress::ProgressPanel;
use super::own;
use super::theme::Role;
use crate::domain::action::{Action, ActionKind, Ask};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::guest_command::GuestVerb;
use crate::domain::host::{HostId, Tier};
use crate::domain::inventory::HostSnapshot;
use crate::domain::operation::{Consent, Outcome, Submission};
use crate::domain::policy::Decision;
use crate::domain::store_action::{StorePlan, StoreResult, StoreSubmission};
use crate::domain::vm::{PowerState, VmRef};
use crate::fleet::admission::{self, Leave};

/// Returns the VMs that a key is about: those of the details, the marked ones, or the one under the
/// cursor.
pub fn targets(app: &App) -> Vec<VmRef> {
    target_refs(app).cloned().collect()
}

/// The same without a copy, for what every frame asks: ten thousand may be marked.
pub fn target_refs(app: &App) -> Box<dyn Iterator<Item = &VmRef> + '_> {
    if let Some(Overlay::Details(details)) = app.overlays.last() {
        return Box::new(std::iter::once(&details.vm));
    }
    if app.vms.marks.is_empty() {
        Box::new(app.vms.cursor.id().into_iter())
    } else {
        Box::new(app.vms.marks.iter())
    }
}

/// Returns how many of these VMs are on hosts of tier `prod`.
pub fn in_production<'a>(app: &App, vms: impl IntoIterator<Item = &'a VmRef>) -> usize {
    let of_prod = |host: &&Arc<HostSnapshot>| host.spec.tier.as_ref().is_some_and(Tier::is_prod);
    let hosts = app.snapshot.hosts.iter().filter(of_prod);
    let hosts: HashSet<HostId> = hosts.map(|host| host.spec.id).collect();
    if hosts.is_empty() {
        return 0;
    }
    vms.into_iter()
        .filter(|vm| hosts.contains(&vm.host))
        .count()
}

/// Returns the one VM that a key is about which cannot be about several.
pub fn subject(app: &App) -> Option<VmRef> {
    match app.overlays.last() {
        Some(Overlay::Details(details)) => Some(details.vm.clone()),
        _ => app.vms.cursor.id().cloned(),
    }
}

/// Returns what a key means for the VMs it is about: start resumes what is paused, and so does pause, also beside VMs
/// that are off, unless one is left that could be paused.
pub fn meaning(app: &App, kind: ActionKind) -> ActionKind {
    if !matches!(kind, ActionKind::Start | ActionKind::Pause) {
        return kind;
    }
    let mut resumes = false;
    for vm in target_refs(app) {
        let found = app.snapshot.vm(vm).map(|(_, found)| &found.state);
        match found {
            Some(PowerState::Paused) => resumes = true,
            Some(PowerState::Running) => return kind,
            _ if kind == ActionKind::Start => return kind,
            _ => {}
        }
    }
    if resumes { ActionKind::Resume } else { kind }
}

/// VMs that are looked at one by one for what every frame asks.
const GLANCE: usize = 100;

/// Says whether an action could be run now, as far as can be told at a glance: of very many VMs it is
/// found out when it is asked for.
pub fn allowed(app: &App, kind: ActionKind) -> Result<(), String> {
    if target_refs(app).nth(GLANCE).is_some() {
        return Ok(());
    }
    allowed_on_any(app, kind, target_refs(app))
}

/// Says whether an action could be run now, on one at least of these VMs.
fn allowed_on_any<'a>(
    app: &App,
    kind: ActionKind,
    vms: impl Iterator<Item = &'a VmRef>,
) -> Result<(), String> {
    let action = Action::new(meaning(app, kind));
    let count = target_refs(app).count();
    let mut refusal = None;
    for vm in vms {
        match judge(app, vm, &action, count) {
            Ok(()) => return Ok(()),
            Err(failure) => refusal = refusal.or(Some(failure.message)),
        }
    }
    Err(refusal.unwrap_or_else(|| "no VM is selected".to_owned()))
}

/// Says whether something could be done to one VM now.
pub fn may(app: &App, vm: &VmRef, kind: ActionKind) -> Result<(), String> {
    judge(app, vm, &Action::new(kind), 1).map_err(|failure| failure.message)
}

fn judge(app: &App, vm: &VmRef, action: &Action, count: usize) -> Result<(), Failure> {
    let actor = &app.settings.actor;
    admission::decide(&app.snapshot, vm, action, actor, count, app.now).map(drop)
}

/// Says what must be agreed to before somebody is at a VM's console or logs in to it.
pub fn reach(app: &App, vm: &VmRef, verb: GuestVerb) -> Result<Leave, Failure> {
    let host = app.snapshot.host(vm.host);
    let gone = || {
        Failure::new(
            ErrorKind::NotFound,
            "the host is not in the profile any more",
        )
    };
    admission::may_reach(
        &app.snapshot,
        host.ok_or_else(gone)?,
        verb,
        &app.settings.actor,
    )
}

/// Asks for the plans of an action.
pub fn begin(app: &mut App, kind: ActionKind) -> Vec<Effect> {
    let action = Action::new(meaning(app, kind));
    let vms = targets(app);
    if let Err(reason) = allowed_on_any(app, kind, vms.iter()) {
        app.say(
            Role::Warning,
            format!("cannot {}: {reason}", action.kind.spec().verb_alone()),
        );
        return Vec::new();
    }
    let wanted = in_order(app, vms).map(|vm| (vm, action.clone())).collect();
    ask(app, action, wanted)
}

/// Orders VMs as a person reads them: by host, then by name.
pub(super) fn in_order(app: &App, mut vms: Vec<VmRef>) -> impl Iterator<Item = VmRef> {
    vms.sort_by_cached_key(|vm| {
        let (host, found) = app.snapshot.vm(vm)?;
        Some((host.spec.name.clone(), found.name.raw().to_owned()))
    });
    vms.into_iter()
}

/// Asks for the plans of actions with arguments, which may differ; `action` is what they have in common.
pub fn begin_with(app: &mut App, action: &Action, wanted: Vec<(VmRef, Action)>) -> Vec<Effect> {
    let count = wanted.len();
    let refusals: Vec<Failure> = wanted
        .iter()
        .filter_map(|(vm, action)| judge(app, vm, action, count).err())
        .collect();
    if let Some(first) = refusals.first()
        && refusals.len() == count
    {
        let text = format!(
            "cannot {}: {}",
            action.kind.spec().verb_alone(),
            first.message
        );
        app.say(Role::Warning, text);
        return Vec::new();
    }
    if wanted.is_empty() {
        return Vec::new();
    }
    ask(app, action.clone(), wanted)
}

/// Asks for the plans of what was ordered before, for these VMs; they are shown even where nothing has to
/// be agreed to.
pub fn begin_anew(app: &mut App, action: &Action, wanted: Vec<(VmRef, Action)>) -> Vec<Effect> {
    let effects = begin_with(app, action, wanted);
    app.anew = (!effects.is_empty()).then_some(app.tickets);
    effects
}

fn ask(app: &mut App, action: Action, wanted: Vec<(VmRef, Action)>) -> Vec<Effect> {
    app.tickets += 1;
    let ticket = app.tickets;
    app.overlays.push(Overlay::Waiting(ticket));
    vec![Effect::Plan {
        ticket,
        wanted,
        action,
    }]
}

/// Takes the plans: asks the person, or goes ahead where nothing has to be agreed to.
pub fn planned(
    app: &mut App,
    (ticket, action): (u64, &Action),
    proposals: Proposals,
) -> Vec<Effect> {
    let marked = proposals
        .iter()
        .any(|((vm, _), _)| app.vms.marks.contains(vm));
    let mut dialog = Confirm::new(app, action, proposals);
    if marked {
        dialog.skipped.extend(gone(app));
    }
    let anew = app.anew.take() == Some(ticket);
    match dialog.ask() {
        _ if dialog.plans.is_empty() => {
            if let Some(skipped) = dialog.skipped.first() {
                let failure = skipped.cause.clone();
                match action.define {
                    Some(_) => define::refused(app, &failure),
                    None => app.fail(&failure),
                }
            }
            Vec::new()
        }
        // Capital keys ask: what is sent is shown even where policy wants nothing agreed to.
        Ask::Nothing if dialog.skipped.is_empty() && !action.kind.takes_arguments() && !anew => {
            submit(app, &dialog, &Consent::Nothing)
        }
        _ => {
            app.overlays.push(Overlay::Confirm(Box::new(dialog)));
            Vec::new()
        }
    }
}

/// Returns the VMs that were marked and are no more: a plan says so, it does not just get shorter.
fn gone(app: &App) -> impl Iterator<Item = Skipped> {
    app.vms.gone.iter().map(|name| Skipped {
        name: name.clone(),
        about: String::new(),
        cause: Failure::new(
            ErrorKind::NotFound,
            "it was marked and is not there any more",
        ),
    })
}

/// Hands the plans of a dialog in.
pub fn submit(app: &mut App, dialog: &Confirm, consent: &Consent) -> Vec<Effect> {
    let count = dialog.plans.len() + dialog.skipped.len();
    let mut submissions: Vec<Submission> = dialog
        .plans
        .iter()
        .map(|proposal| Submission {
            plan: proposal.plan.clone(),
            actor: app.settings.actor.clone(),
            consent: match proposal.verdict.decision {
                Decision::Ask(Ask::Nothing) => Consent::Nothing,
                _ => consent.clone(),
            },
            count,
            deadline: None,
        })
        .collect();
    let spec = dialog.action.kind.spec();
    let what = match submissions.as_slice() {
        [only] => format!(
            "{} {}{}",
            spec.doing,
            only.plan.vm_name.shown(),
            only.plan.action.about()
        ),
        many => spec.doing_several(many.len()),
    };
    app.say(Role::Changing, what);
    if count == 1 {
        let only = submissions.pop().map(Box::new);
        if dialog.action.define.is_some()
            && let (Some(draft), Some(only)) = (app.draft.take(), only.clone())
        {
            return vec![define::hand_in(app, only, draft)];
        }
        return only.map(Effect::Submit).into_iter().collect();
    }
    app.tickets += 1;
    let ticket = app.tickets;
    let plans = dialog.plans.iter().map(|proposal| &proposal.plan);
    let order = Bulk::new(ticket, dialog.action.clone(), plans, dialog.skipped.clone());
    bulk::remember(&mut app.bulks, order);
    app.overlays
        .push(Overlay::Progress(ProgressPanel::new(ticket)));
    vec![Effect::SubmitMany(ticket, submissions)]
}

/// Takes a plan for something else than an action: asks the person, or goes ahead where nothing has to be
/// agreed to.
pub fn proposed(app: &mut App, proposal: Result<impl Into<Agree>, Failure>) -> Vec<Effect> {
    match proposal.map(Into::into) {
        Err(failure) => {
            app.fail(&failure);
            Vec::new()
        }
        Ok(dialog) if dialog.asks() == Ask::Nothing => agreed(app, dialog, Consent::Nothing),
        Ok(dialog) => {
            app.overlays.push(Overlay::Agree(Box::new(dialog)));
            Vec::new()
        }
    }
}

/// Hands the plan of such a dialog in.
pub fn agreed(app: &mut App, dialog: Agree, consent: Consent) -> Vec<Effect> {
    match dialog.plan {
        Agreed::Store(plan) => submit_store(app, plan, consent),
        Agreed::Guest(plan) => guest::submit(app, plan, consent),
        Agreed::Begun(begun) => match begun.then {
            Then::Console(vm) => console::open_now(app, vm, None),
            Then::Shell(vm, login) => console::open_now(app, vm, Some(*login)),
            Then::Own(run) => own::start(app, *run),
        },
    }
}

fn submit_store(app: &mut App, plan: StorePlan, consent: Consent) -> Vec<Effect> {
    let submission = StoreSubmission {
        plan,
        actor: app.settings.actor.clone(),
        consent,
        deadline: None,
    };
    let what = said(&submission.plan);
    app.say(Role::Changing, format!("{what}, under way"));
    vec![Effect::RunStore(Box::new(submission))]
}

/// `stop the pool images`.
fn said(plan: &StorePlan) -> String {
    let kind = plan.target.kind.word();
    format!("{} the {kind} {}", plan.verb.spec().word, plan.name.shown())
}

/// Says how it ended, and has the host read again.
pub fn store_done(
    app: &mut App,
    plan: &StorePlan,
    result: Result<StoreResult, Failure>,
) -> Vec<Effect> {
    let what = said(plan);
    match result.map(|result| result.outcome) {
        Err(cause)
        | Ok(Outcome::Refused { cause } | Outcome::Failed { cause } | Outcome::Unknown { cause }) =>
        {
            let message = format!("{what}: {}", cause.message);
            app.fail_on(&plan.host_name, &Failure { message, ..cause });
        }
        Ok(Outcome::Accepted { note }) => app.say(Role::Warning, format!("{what}: {note}")),
        Ok(Outcome::Confirmed) => {
            let kind = plan.target.kind.word();
            let done = plan.verb.spec().past;
            app.say(
                Role::Success,
                format!("the {kind} {} is {done}", plan.name.shown()),
            );
        }
    }
    app.stores.read_again(plan.target.host);
    Vec::new()
}
