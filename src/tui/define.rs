//! Editing the definition of a VM: from the key to the editor, from its text to a plan, and from there to what the
//! host said. Whatever ends it, the text is either taken, as it was, or kept where the person is told.

use super::acting;
use super::app::App;
use super::editor::{DefineAsk, Draft, EditEnd, Edited, Undone};
use super::effect::Effect;
use super::overlay::Overlay;
use super::overlay::question::Question;
use super::theme::Role;
use crate::domain::action::Action;
use crate::domain::definition::{DefineRequest, DefinitionText};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::operation::Submission;
use crate::domain::vm::VmRef;

/// Has the definition of the VM that keys are about read; the editor opens with it.
pub fn open(app: &mut App) -> Vec<Effect> {
    acting::subject(app).map_or_else(Vec::new, |vm| open_of(app, vm))
}

/// The same of one VM.
pub fn open_of(app: &mut App, vm: VmRef) -> Vec<Effect> {
    let ticket = wait(app);
    vec![Effect::Definition(DefineAsk::Read(ticket, vm))]
}

/// Has keys wait for an answer.
fn wait(app: &mut App) -> u64 {
    app.tickets += 1;
    app.overlays.push(Overlay::Waiting(app.tickets));
    app.tickets
}

/// Opens the editor, unless its person has moved on.
pub fn read(
    app: &mut App,
    ticket: u64,
    vm: VmRef,
    read: Result<DefinitionText, Failure>,
) -> Vec<Effect> {
    if !is_waited_for(app, ticket) {
        return Vec::new();
    }
    app.overlays.pop();
    match (read, app.snapshot.vm(&vm)) {
        (Err(failure), _) => app.fail(&failure),
        (Ok(_), None) => app.say(Role::Warning, "the VM is not there any more"),
        (Ok(was), Some((_, found))) => {
            let draft = Draft::new(vm, found.name.clone(), was);
            return vec![Effect::Edit(Box::new(draft))];
        }
    }
    Vec::new()
}

/// Opens the editor once more on the text that is kept. Where its host may have another definition by now, that is read
/// first: the difference is then one to what is there.
pub fn edit_again(app: &mut App, draft: Draft) -> Vec<Effect> {
    if !draft.is_behind {
        return vec![Effect::Edit(Box::new(draft))];
    }
    let ticket = wait(app);
    vec![Effect::Definition(DefineAsk::ReadAgain(
        ticket,
        Box::new(draft),
    ))]
}

/// Opens the editor on a text that goes on from what its host has now.
pub fn read_again(
    app: &mut App,
    ticket: u64,
    mut draft: Draft,
    read: Result<DefinitionText, Failure>,
) -> Vec<Effect> {
    if !is_waited_for(app, ticket) {
        app.say(Role::Warning, draft.place());
        return Vec::new();
    }
    app.overlays.pop();
    match read {
        Ok(now) => {
            draft.go_on_from(now);
            vec![Effect::Edit(Box::new(draft))]
        }
        Err(cause) => {
            ask_again(app, &cause, draft);
            Vec::new()
        }
    }
}

fn is_waited_for(app: &App, ticket: u64) -> bool {
    matches!(app.overlays.last(), Some(Overlay::Waiting(wanted)) if *wanted == ticket)
}

/// Takes what was written, and asks for the plan.
pub fn edited(app: &mut App, edited: Edited) -> Vec<Effect> {
    let Edited { draft, end } = edited;
    let name = draft.name.shown().to_owned();
    let text = match end {
        EditEnd::Written(text) => text,
        EditEnd::Unchanged => {
            app.say(Role::Text, format!("the definition of {name} is as it was"));
            return Vec::new();
        }
        EditEnd::Stopped(cause) if draft.file.is_none() => {
            app.fail(&cause);
            return Vec::new();
        }
        EditEnd::Stopped(cause) => {
            ask_again(app, &cause, draft);
            return Vec::new();
        }
        EditEnd::Unfit(why) => {
            let cause = Failure::new(ErrorKind::Usage, format!("that is no definition: {why}"));
            ask_again(app, &cause, draft);
            return Vec::new();
        }
    };
    let Some((_, found)) = app.snapshot.vm(&draft.vm) else {
        let message = format!("{}: {name} is not there any more", draft.place());
        app.say(Role::Danger, message);
        return Vec::new();
    };
    let request = DefineRequest::new(draft.was.clone(), text, found.state.clone());
    let Some(request) = request else {
        return Vec::new();
    };
    let request = Action::from(match &draft.made_of {
        Some(base) => request.made_of(base),
        None => request,
    });
    let vm = draft.vm.clone();
    app.draft = Some(draft);
    let effects = acting::begin_with(app, &request, vec![(vm, request.clone())]);
    if effects.is_empty() {
        // Why not has just been said; where the text is must be too.
        let why = app.toast.as_ref().map(|toast| toast.text.clone());
        if let Some(draft) = app.draft.take() {
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            app.say(Role::Danger, format!("{}{why}", draft.place()));
        }
    }
    effects
}

/// Says why there is no plan, and offers the editor again.
pub fn refused(app: &mut App, cause: &Failure) {
    match app.draft.take() {
        Some(draft) => ask_again(app, cause, draft),
        None => app.fail(cause),
    }
}

fn ask_again(app: &mut App, cause: &Failure, draft: Draft) {
    let place = draft.place();
    ask_about(app, cause, (place, draft));
}

fn ask_about(app: &mut App, cause: &Failure, (place, draft): (String, Draft)) {
    let hint = cause.hint.as_ref();
    let hint = hint.map_or_else(String::new, |hint| format!(" ({hint})"));
    let text = format!("{}{hint}. {place}", cause.message);
    let question = Question::edit_again(text, draft);
    app.overlays.push(Overlay::Question(question));
}

/// Says where the text is of which the plan was not agreed to. Who has just seen what others have changed meanwhile is
/// offered the editor, to put that into the text.
pub fn left(app: &mut App) {
    let Some(draft) = app.draft.take() else {
        return;
    };
    let place = draft.place();
    if draft.made_of.is_some() {
        app.overlays
            .push(Overlay::Question(Question::edit_again(place, draft)));
    } else {
        app.say(Role::Warning, place);
    }
}

/// Hands the plan in; keys wait for how it ends.
pub fn hand_in(app: &mut App, submission: Box<Submission>, draft: Draft) -> Effect {
    let ticket = wait(app);
    app.defining = Some(ticket);
    Effect::Definition(DefineAsk::HandIn(ticket, submission, Box::new(draft)))
}

/// Takes how it ended. What the host took is told where every operation is; what it did not take can be edited
/// again. Who has moved on is only told where the text is: why is found with the operation.
pub fn defined(app: &mut App, ticket: u64, mut draft: Draft, result: Result<(), Undone>) {
    let here = is_waited_for(app, ticket);
    if here {
        app.overlays.pop();
    }
    app.defining = app.defining.filter(|other| *other != ticket);
    let Err(Undone { cause, surely }) = result else {
        return;
    };
    draft.is_behind = cause.kind == ErrorKind::Conflict;
    let place = if surely {
        draft.place()
    } else {
        let kept = draft.kept().unwrap_or_default();
        kept.replacen("your", "Your", 1)
    };
    if here {
        ask_about(app, &cause, (place, draft));
    } else {
        app.say(Role::Danger, place);
    }
}
