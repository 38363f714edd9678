//! Commands of the operator's own (`[[command]]`): which key is whose, on what one would be run and with which
//! arguments, and whether it may be. Runs nothing itself.

use std::collections::HashMap;

use crossterm::event::KeyEvent;

use super::acting;
use super::app::App;
use super::command::Context;
use super::effect::Effect;
use super::key::KeyPress;
use super::keymap::Keymap;
use super::overlay::Overlay;
use super::overlay::agree::{Agree, Begun, Then};
use super::overlay::document::{Document, Line, Topic};
use super::overlay::frame;
use super::overlay::question::Question;
use super::screen::hosts;
use super::theme::Role;
use crate::config::{OwnCommand, OwnOutput, OwnScope};
use crate::domain::action::Ask;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::inventory::HostSnapshot;
use crate::domain::policy;
use crate::domain::text::RemoteText;
use crate::domain::vm::{Vm, VmRef};
use crate::fleet::admission;
use crate::program::{self, Values};

/// Commands that a question spells out; the others are counted.
const SPELT: usize = 4;

/// Where it is run.
const HERE: &str = "On this machine, without a shell.";

/// The operator's commands with their keys.
#[derive(Debug, Default)]
pub struct OwnCommands {
    commands: Vec<OwnCommand>,
    keys: HashMap<KeyPress, usize>,
}

/// Where keys of this scope are looked up, after everything else there.
const fn contexts(scope: OwnScope) -> &'static [Context] {
    match scope {
        OwnScope::Vm => &[Context::Vms, Context::Details],
        OwnScope::Host => &[Context::Hosts],
        OwnScope::Any => &[Context::Global],
    }
}

/// Where keys of this scope would meet others.
const fn neighbours(scope: OwnScope) -> &'static [Context] {
    match scope {
        OwnScope::Vm => &[
            Context::Vms,
            Context::Details,
            Context::List,
            Context::Global,
            Context::Base,
        ],
        OwnScope::Host => &[
            Context::Hosts,
            Context::List,
            Context::Global,
            Context::Base,
        ],
        OwnScope::Any => &[
            Context::Vms,
            Context::Hosts,
            Context::Snapshots,
            Context::Stores,
            Context::Operations,
            Context::Profile,
            Context::List,
            Context::Global,
            Context::Base,
        ],
    }
}

impl OwnCommands {
    /// Gives the commands their keys. One whose key cannot be had is left out, and said why.
    pub fn new(commands: &[OwnCommand], keymap: &Keymap) -> (Self, Vec<Failure>) {
        let mut own = Self::default();
        let mut mistakes = Vec::new();
        for command in commands {
            if let Err(why) = own.add(command, keymap) {
                let message = format!(
                    "{}: {why}; `{}` is not in force",
                    command.place, command.description
                );
                let hint = "change its key in the configuration, or the other's in `tui.keys`";
                mistakes.push(Failure::new(ErrorKind::Config, message).with_hint(hint));
            }
        }
        (own, mistakes)
    }

    fn add(&mut self, command: &OwnCommand, keymap: &Keymap) -> Result<(), String> {
        if let Some(text) = &command.key {
            let key: KeyPress = text.parse().map_err(|error| format!("{error}"))?;
            if let Some(other) = keymap.bound(neighbours(command.scope), key) {
                return Err(format!("`{text}` is bound to `{}`", other.id));
            }
            let twin = self.keys.get(&key).and_then(|at| self.commands.get(*at));
            if let Some(other) = twin {
                return Err(format!("`{text}` is bound to `{}`", other.description));
            }
            self.keys.insert(key, self.commands.len());
        }
        self.commands.push(command.clone());
        Ok(())
    }

    /// Finds the command of a key.
    pub fn find(&self, here: &[Context], event: &KeyEvent) -> Option<usize> {
        let at = *self.keys.get(&KeyPress::from_event(event)?)?;
        self.is_here(at, here).then_some(at)
    }

    fn is_here(&self, at: usize, here: &[Context]) -> bool {
        let scope = self.commands.get(at).map(|command| command.scope);
        scope.is_some_and(|scope| contexts(scope).iter().any(|context| here.contains(context)))
    }

    /// Says whether a command is about VMs.
    pub fn is_about_vms(&self, at: usize) -> bool {
        let command = self.commands.get(at);
        command.is_some_and(|command| command.scope == OwnScope::Vm)
    }

    /// Returns those that can be meant here, each with its place, its key and what it is for.
    pub fn here(&self, here: &[Context]) -> impl Iterator<Item = (usize, String, &str)> {
        let all = self.commands.iter().enumerate();
        let fit = move |(at, _): &(usize, &OwnCommand)| here.is_empty() || self.is_here(*at, here);
        all.filter(fit).map(|(at, command)| {
            let key = command.key.clone().unwrap_or_default();
            (at, key, command.description.as_str())
        })
    }
}

/// One run of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnJob {
    /// The VM or host it is about, with its host; empty for none.
    pub about: String,
    /// Name of the host, for the record.
    pub host: Option<String>,
    /// The VM, for the record.
    pub vm: Option<(VmRef, RemoteText)>,
    /// What is run.
    pub argv: Vec<String>,
    /// Which rule of the policy decided, for the record.
    pub rule: String,
}

/// A command on everything that was meant: one run after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRun {
    /// Tells it from the others.
    pub ticket: u64,
    /// As configured.
    pub command: OwnCommand,
    /// The runs.
    pub jobs: Vec<OwnJob>,
}

impl OwnRun {
    /// Says whether it has the terminal while it runs.
    pub fn takes_terminal(&self) -> bool {
        self.command.output == OwnOutput::Terminal
    }
}

/// How one run ended.
#[derive(Debug)]
pub struct OwnNews {
    /// Of which order.
    pub ticket: u64,
    /// What the command is for.
    pub title: String,
    /// The VM or host it was about.
    pub about: String,
    /// How many are still to come.
    pub left: usize,
    /// What it wrote, as far as that is shown.
    pub lines: Vec<RemoteText>,
    /// How it ended.
    pub result: Result<(), Failure>,
}

/// Runs a command of the operator's, or asks first.
pub fn begin(app: &mut App, at: usize) -> Vec<Effect> {
    let Some(command) = app.own.commands.get(at).cloned() else {
        return Vec::new();
    };
    let title = command.description.clone();
    let (jobs, refused, (asks, rule)) = jobs(app, &command);
    let Some(first) = jobs.first() else {
        let why = refused.into_iter().next();
        let why = why.unwrap_or_else(|| "nothing is selected".to_owned());
        app.say(Role::Warning, format!("cannot {title}: {why}"));
        return Vec::new();
    };
    let about = match jobs.len() {
        1 => first.about.clone(),
        many => format!("{many} VMs"),
    };
    app.tickets += 1;
    let run = OwnRun {
        ticket: app.tickets,
        command,
        jobs,
    };
    if asks == Ask::TypeName {
        return want_name(app, run, (rule, about));
    }
    if asks == Ask::Nothing {
        if let Some(why) = refused.first() {
            app.say(Role::Warning, format!("{} left out: {why}", refused.len()));
        }
        return start(app, run);
    }
    let on = if about.is_empty() {
        String::new()
    } else {
        format!(" on {about}")
    };
    let vms = run.jobs.iter().filter_map(|job| Some(&job.vm.as_ref()?.0));
    let badge = if acting::in_production(app, vms) > 0 {
        frame::PRODUCTION
    } else {
        ""
    };
    let title = format!("{title}{on}? {badge}");
    let mut text = spelt(&run, &refused);
    if rule != policy::BUILT_IN {
        text = format!("{text}  The rule `{rule}` asks.");
    }
    let question = Question::own(title, text, run);
    app.overlays.push(Overlay::Question(question));
    Vec::new()
}

/// Spells out what would be run.
fn spelt(run: &OwnRun, refused: &[String]) -> String {
    let mut lines: Vec<String> = run
        .jobs
        .iter()
        .take(SPELT)
        .map(|job| program::shown(&job.argv))
        .collect();
    match run.jobs.len().saturating_sub(SPELT) {
        0 => {}
        more => lines.push(format!("and {more} more like these")),
    }
    if let Some(why) = refused.first() {
        lines.push(format!("Left out: {}. {why}", refused.len()));
    }
    lines.push(HERE.to_owned());
    lines.join("  ")
}

/// Runs what was agreed to.
pub fn start(app: &mut App, run: OwnRun) -> Vec<Effect> {
    let title = run.command.description.clone();
    match run.command.output {
        OwnOutput::Popup => {
            let topic = Topic::Own(run.ticket);
            app.overlays
                .push(Overlay::Document(Document::awaited(topic, title)));
        }
        OwnOutput::None => app.say(Role::Changing, format!("{title}, under way")),
        OwnOutput::Terminal => {}
    }
    vec![Effect::RunOwn(Box::new(run))]
}

/// Wants the name of what it is about typed, because a rule does: of one thing, since several have no one name.
fn want_name(app: &mut App, run: OwnRun, (rule, about): (String, String)) -> Vec<Effect> {
    let title = &run.command.description;
    let [job] = run.jobs.as_slice() else {
        let text = format!(
            "cannot {title}: the rule `{rule}` wants the name typed for some of these {}: do them one by one",
            run.jobs.len()
        );
        app.say(Role::Warning, text);
        return Vec::new();
    };
    let name = match (&job.vm, &job.host) {
        (Some((_, name)), _) => (name.clone(), "VM"),
        (None, Some(host)) => (RemoteText::new(host), "host"),
        (None, None) => (RemoteText::new(title), "command"),
    };
    let mut facts = vec![(name.1, about, Role::Strong)];
    facts.push(("runs", program::shown(&job.argv), Role::Text));
    facts.push(("", HERE.to_owned(), Role::Dim));
    let begun = Begun {
        title: format!("{title}?"),
        about: name,
        word: "run it",
        then: Then::Own(Box::new(run)),
    };
    let dialog = Agree::begun(begun, (Ask::TypeName, rule), facts);
    app.overlays.push(Overlay::Agree(Box::new(dialog)));
    Vec::new()
}

/// Fills the arguments for everything that is meant; returns those that can be run, why others cannot, and the
/// hardest question that any of them asks, with the rule that asks it.
fn jobs(app: &App, command: &OwnCommand) -> (Vec<OwnJob>, Vec<String>, (Ask, String)) {
    let found: Vec<Result<(OwnJob, Ask), String>> = match command.scope {
        OwnScope::Any => vec![job(app, command, &Values::default(), (None, None, 1))],
        OwnScope::Host => hosts::selected(app)
            .map(|host| job(app, command, &Values::of_host(host), (Some(host), None, 1)))
            .into_iter()
            .collect(),
        OwnScope::Vm => {
            let vms = acting::targets(app);
            let count = vms.len();
            acting::in_order(app, vms)
                .filter_map(|vm| {
                    let (host, found) = app.snapshot.vm(&vm)?;
                    let values = Values::of_vm(host, found);
                    let about = (Some(&**host), Some((&vm, &**found)), count);
                    Some(job(app, command, &values, about))
                })
                .collect()
        }
    };
    let own = if command.confirm || command.danger {
        Ask::Confirm
    } else {
        Ask::Nothing
    };
    let mut hardest = (own, policy::BUILT_IN.to_owned());
    let (mut jobs, mut refused) = (Vec::new(), Vec::new());
    for made in found {
        match made {
            Ok((job, ask)) => {
                if ask > hardest.0 {
                    hardest = (ask, job.rule.clone());
                }
                jobs.push(job);
            }
            Err(why) => refused.push(why),
        }
    }
    (jobs, refused, hardest)
}

/// What one run is about, and how many VMs are meant together.
type About<'a> = (Option<&'a HostSnapshot>, Option<(&'a VmRef, &'a Vm)>, usize);

fn job(
    app: &App,
    command: &OwnCommand,
    values: &Values,
    (host, vm, count): About<'_>,
) -> Result<(OwnJob, Ask), String> {
    let name = host.map(|host| host.spec.name.to_string());
    let about = match (vm, &name) {
        (Some((_, vm)), Some(host)) => format!("{} on {host}", vm.name.shown()),
        (_, Some(host)) => host.clone(),
        (_, None) => String::new(),
    };
    let told = |why: String| match about.as_str() {
        "" => why,
        about => format!("{about}: {why}"),
    };
    let (state, actor) = (&app.snapshot, &app.settings.actor);
    let leave = admission::may_run_own(state, host, command.danger, actor, count)
        .map_err(|cause| told(cause.message))?;
    let filled = program::fill(&command.argv, values);
    let argv = filled.map_err(|error| told(error.to_string()))?;
    let job = OwnJob {
        about,
        host: name,
        vm: vm.map(|(id, vm)| (id.clone(), vm.name.clone())),
        argv,
        rule: leave.rule,
    };
    Ok((job, leave.ask))
}

/// Takes how one run ended.
pub fn heard(app: &mut App, news: OwnNews) {
    let on = match news.about.as_str() {
        "" => String::new(),
        about => format!(" on {about}"),
    };
    let topic = Topic::Own(news.ticket);
    let page = app.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::Document(page) if page.topic == topic => Some(page),
        _ => None,
    });
    if let Some(page) = page {
        let lines = page.lines.get_or_insert_default();
        if !news.about.is_empty() {
            lines.push(vec![(news.about.clone(), Role::OverlayTitle)]);
        }
        lines.extend(news.lines.iter().map(written));
        match &news.result {
            Ok(()) if news.lines.is_empty() => {
                lines.push(vec![("it wrote nothing".to_owned(), Role::Dim)]);
            }
            Ok(()) => {}
            Err(cause) => lines.push(vec![(cause.message.clone(), Role::Danger)]),
        }
        return;
    }
    match news.result {
        Err(cause) => {
            let message = format!("{}{on}: {}", news.title, cause.message);
            app.fail(&Failure { message, ..cause });
        }
        Ok(()) if news.left > 0 => {
            let text = format!("{}{on}: done, {} to come", news.title, news.left);
            app.say(Role::Changing, text);
        }
        Ok(()) => app.say(Role::Success, format!("{}{on}: done", news.title)),
    }
}

/// A line that a program wrote, its tabs as blanks.
fn written(line: &RemoteText) -> Line {
    let plain = line.raw().trim_end_matches('\r').replace('\t', "    ");
    vec![(RemoteText::new(&plain).shown().to_owned(), Role::Text)]
}

/// Says whether commands of the operator's are run that could be stopped.
pub fn stop(app: &mut App) -> Vec<Effect> {
    app.say(Role::Warning, "ending your own commands");
    vec![Effect::StopOwn]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn command(key: &str, scope: OwnScope) -> OwnCommand {
        OwnCommand {
            place: "config.toml:7:1".to_owned(),
            key: Some(key.to_owned()),
            description: format!("do {key}"),
            argv: vec!["true".to_owned()],
            scope,
            confirm: false,
            danger: false,
            output: OwnOutput::None,
            timeout: None,
        }
    }

    #[test]
    fn a_key_that_is_taken_takes_only_its_command_out_of_force() {
        let keymap = Keymap::new(&BTreeMap::new()).unwrap();
        let all = [
            command("S", OwnScope::Vm),
            command("S", OwnScope::Any),
            command("j", OwnScope::Host),
            command("ctrl-y", OwnScope::Vm),
            command("ctrl-y", OwnScope::Host),
            command("hyper-x", OwnScope::Vm),
            command("ctrl-g", OwnScope::Any),
        ];
        let (own, mistakes) = OwnCommands::new(&all, &keymap);
        let kept: Vec<&str> = own.here(&[]).map(|(_, _, title)| title).collect();
        assert_eq!(kept, ["do ctrl-y", "do ctrl-g"]);
        let told: Vec<String> = mistakes.iter().map(|cause| cause.message.clone()).collect();
        assert_eq!(
            told[0],
            "config.toml:7:1: `S` is bound to `act.shutdown`; `do S` is not in force"
        );
        assert_eq!(told.len(), 5);
        assert!(told[3].contains("`do ctrl-y`"), "{}", told[3]);
        let press = |key: &str| key.parse::<KeyPress>().unwrap().to_event();
        let table = [Context::Vms, Context::List, Context::Global, Context::Base];
        assert_eq!(own.find(&table, &press("ctrl-y")), Some(0));
        assert_eq!(own.find(&table, &press("ctrl-g")), Some(1));
        assert_eq!(
            own.find(&[Context::Hosts, Context::Global], &press("ctrl-y")),
            None
        );
        assert_eq!(
            own.find(&[Context::Prompt, Context::Base], &press("ctrl-g")),
            None
        );
    }
}
