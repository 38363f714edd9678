//! Programs in VMs from the dashboard: planned, agreed to, run, and what they printed as lines to read.

use super::acting;
use super::app::App;
use super::console::keys as console;
use super::effect::Effect;
use super::overlay::Overlay;
use super::overlay::document::{Document, Line, Topic};
use super::theme::Role;
use super::update::fill;
use crate::domain::error_kind::Failure;
use crate::domain::guest_account::GuestAccount;
use crate::domain::guest_command::{
    GuestCommand, GuestOutput, GuestPlan, GuestProposal, GuestResult, GuestSubmission, RUN_WITHIN,
};
use crate::domain::operation::{Consent, Outcome};
use crate::domain::text::RemoteText;
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::fleet::guest::GuestWish;
use crate::fleet::shell::GuestKey;

/// What is asked of the fleet.
#[derive(Debug)]
pub enum GuestAsk {
    /// A plan; the ticket comes back with it.
    Plan(u64, Box<GuestWish>),
    /// A decision about the key of its SSH server.
    Key(Box<GuestKey>),
    /// A run of one.
    Run(u64, Box<GuestSubmission>),
}

/// What came of it.
#[derive(Debug)]
pub enum GuestNews {
    /// The plan, or why there is none.
    Planned(u64, Box<Result<GuestProposal, Failure>>),
    /// The key was decided on, so that a shell is opened again, or left.
    KeyDecided(VmRef, bool, Result<(), Failure>),
    /// It was run, or not admitted.
    Ran(u64, Box<(GuestPlan, Result<GuestResult, Failure>)>),
}

impl GuestAsk {
    /// Asks the fleet.
    pub(super) async fn carry_out(self, handle: &FleetHandle) -> GuestNews {
        match self {
            Self::Plan(ticket, wish) => {
                GuestNews::Planned(ticket, Box::new(handle.plan_guest(*wish).await))
            }
            Self::Key(key) => {
                let (vm, trusts) = (key.vm.clone(), key.decision.trusts());
                GuestNews::KeyDecided(vm, trusts, handle.decide_guest_key(*key).await)
            }
            Self::Run(ticket, submission) => {
                let plan = submission.plan.clone();
                let ran = handle.run_guest(*submission).await;
                GuestNews::Ran(ticket, Box::new((plan, ran)))
            }
        }
    }
}

/// The words of a command, each with its label.
pub(super) fn words(command: &GuestCommand) -> Vec<(&'static str, String, Role)> {
    let shown = |word: &str| match RemoteText::new(word).shown() {
        "" => "\"\"".to_owned(),
        text => text.to_owned(),
    };
    let mut facts = vec![("runs", shown(command.program()), Role::Strong)];
    let args = command.args().iter();
    facts.extend(args.map(|word| ("argument", shown(word), Role::Text)));
    facts
}

/// Asks for the plan of a program.
pub(super) fn plan(
    app: &mut App,
    vm: VmRef,
    (words, account): (GuestCommand, Option<GuestAccount>),
) -> Vec<Effect> {
    app.tickets += 1;
    let ticket = app.tickets;
    app.overlays.push(Overlay::Waiting(ticket));
    let wish = GuestWish {
        vm,
        words,
        account,
        actor: app.settings.actor.clone(),
        count: 1,
    };
    vec![Effect::Guest(Box::new(GuestAsk::Plan(
        ticket,
        Box::new(wish),
    )))]
}

/// Hands a plan in, and opens the page that its output will be on.
pub(super) fn submit(app: &mut App, plan: GuestPlan, consent: Consent) -> Vec<Effect> {
    app.tickets += 1;
    let ticket = app.tickets;
    let title = format!(
        "{} in {} on {}",
        plan.words.shown(),
        plan.vm_name,
        plan.host_name
    );
    let mut page = Document::awaited(Topic::Guest(ticket), title);
    let seconds = RUN_WITHIN.as_secs();
    let text = format!("running; its end is waited for {seconds} s at the most");
    page.fill(vec![vec![(text, Role::Changing)]]);
    app.overlays.push(Overlay::Document(page));
    let submission = GuestSubmission {
        plan,
        actor: app.settings.actor.clone(),
        consent,
        count: 1,
        within: RUN_WITHIN,
    };
    let asked = GuestAsk::Run(ticket, Box::new(submission));
    vec![Effect::Guest(Box::new(asked))]
}

/// Takes what came of it.
pub(super) fn heard(app: &mut App, news: GuestNews) -> Vec<Effect> {
    match news {
        GuestNews::Planned(ticket, proposal) => {
            // Who has moved on in the meantime must not find a dialog under the next key.
            if matches!(app.overlays.last(), Some(Overlay::Waiting(wanted)) if *wanted == ticket) {
                app.overlays.pop();
                return acting::proposed(app, *proposal);
            }
        }
        GuestNews::KeyDecided(_, _, Err(cause)) => app.fail(&cause),
        GuestNews::KeyDecided(vm, true, Ok(())) => {
            // The shell that waited for it lies below.
            if matches!(app.overlays.last(), Some(Overlay::Console(console)) if console.vm == vm) {
                return console::again(app);
            }
        }
        GuestNews::KeyDecided(..) => {}
        GuestNews::Ran(ticket, ran) => {
            let (plan, result) = *ran;
            let (text, role) = sentence(&result);
            if !fill(app, &Topic::Guest(ticket), page(&result, (&text, role))) {
                let what = format!("{} in {}: {text}", plan.words.shown(), plan.vm_name);
                app.say(role, what);
            }
        }
    }
    Vec::new()
}

/// How it ended, in one sentence.
fn sentence(result: &Result<GuestResult, Failure>) -> (String, Role) {
    let outcome = match result {
        Ok(result) => &result.outcome,
        Err(cause) => return (cause.message.clone(), Role::Danger),
    };
    match outcome {
        Outcome::Confirmed => ("it ended well (exit code 0)".to_owned(), Role::Success),
        Outcome::Unknown { cause } => (cause.message.clone(), Role::Warning),
        Outcome::Accepted { note } => (note.clone(), Role::Warning),
        Outcome::Refused { cause } | Outcome::Failed { cause } => {
            (cause.message.clone(), Role::Danger)
        }
    }
}

fn page(result: &Result<GuestResult, Failure>, (text, role): (&str, Role)) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![vec![(text.to_owned(), role)]];
    let cause = match result {
        Err(cause) => Some(cause),
        Ok(result) => match &result.outcome {
            Outcome::Refused { cause } | Outcome::Failed { cause } | Outcome::Unknown { cause } => {
                Some(cause)
            }
            Outcome::Confirmed | Outcome::Accepted { .. } => None,
        },
    };
    let hint = cause.and_then(|cause| cause.hint.as_ref());
    lines.extend(hint.map(|hint| vec![(hint.to_string(), Role::Text)]));
    let Some(run) = result.as_ref().ok().and_then(|result| result.run.as_ref()) else {
        return lines;
    };
    add(&mut lines, "printed", &run.stdout, Role::Text);
    add(&mut lines, "printed as errors", &run.stderr, Role::Warning);
    lines
}

fn add(lines: &mut Vec<Line>, what: &str, output: &GuestOutput, role: Role) {
    if output.bytes.is_empty() {
        return;
    }
    lines.push(Vec::new());
    let more = if output.truncated {
        ", more than is kept: the end is missing"
    } else {
        ""
    };
    lines.push(vec![(format!("{what}{more}"), Role::Dim)]);
    let printed = output.lines().into_iter();
    lines.extend(printed.map(|line| vec![(line.shown().to_owned(), role)]));
}
