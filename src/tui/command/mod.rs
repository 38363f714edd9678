//! The command table: everything a key, the palette or a menu can do, one row each. Help, footer,
//! palette, remapping, the conflict check and the docs are made from it.
//!
//! To add a command: a row in `views` or `common` and a function in its screen. Commands that act on VMs are not written
//! here at all: they come from the verb catalogue.

mod common;
mod edit;
mod keeping;
mod logs;
mod many;
mod own;
mod reach;
mod stores;
mod views;

use std::sync::LazyLock;

use self::common::{BASE, CHOOSER, DETAILS, DIALOG, DOCUMENT, FORM, GLOBAL, LIST, MENU, PROMPT};
use self::edit::{EDIT, EDIT_FORM};
use self::keeping::{DOCTOR, IMPORT, ROTATION};
use self::logs::{ACTIVITY, LOGS};
use self::many::{BULK, BULK_PANEL, MARKING};
use self::own::{OWN, WATCHING, WATCHING_ONE};
use self::reach::{CONSOLE, CONSOLE_AWAY, GRAPHICS, REACH, SCREEN};
use self::stores::STORES;
use self::views::{HOSTS, OPERATIONS, PROFILE, SNAPSHOTS, SNAPSHOTS_OF_A_VM, VMS};
use super::acting;
use super::app::App;
use super::effect::Effect;
use crate::domain::action::ActionKind;

/// Where a key is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// The VM table.
    Vms,
    /// The hosts.
    Hosts,
    /// VM snapshots.
    Snapshots,
    /// Storage and networks.
    Stores,
    /// Operations and audit.
    Operations,
    /// Profile and credentials.
    Profile,
    /// Anywhere but in a dialog.
    Global,
    /// Anything with rows.
    List,
    /// The details of a VM.
    Details,
    /// The findings about a host.
    Doctor,
    /// Hosts of the SSH client's configuration.
    Import,
    /// A new key for the hosts of a credential.
    Rotation,
    /// Lines to read.
    Document,
    /// What happened, as a list.
    Log,
    /// A VM's console.
    Console,
    /// A VM's console while nothing flows.
    ConsoleAway,
    /// A picture of a VM's screen.
    Screen,
    /// The address of a VM's display.
    Graphics,
    /// An order about several VMs.
    Bulk,
    /// A list to choose from.
    Menu,
    /// The columns to choose from.
    Chooser,
    /// A question.
    Dialog,
    /// A line being typed.
    Prompt,
    /// What a VM is set up with, as a form.
    EditForm,
    /// A form.
    Form,
    /// Everywhere.
    Base,
}

impl Context {
    /// Every context, in the order of the help.
    pub const ALL: &'static [Self] = &[
        Self::Vms,
        Self::Hosts,
        Self::Snapshots,
        Self::Stores,
        Self::Operations,
        Self::Profile,
        Self::Global,
        Self::List,
        Self::Details,
        Self::Doctor,
        Self::Import,
        Self::Rotation,
        Self::Document,
        Self::Log,
        Self::Console,
        Self::ConsoleAway,
        Self::Screen,
        Self::Graphics,
        Self::Bulk,
        Self::Menu,
        Self::Chooser,
        Self::Dialog,
        Self::Prompt,
        Self::EditForm,
        Self::Form,
        Self::Base,
    ];

    /// Returns its heading in the help.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Vms => "VM table",
            Self::Hosts => "Hosts",
            Self::Snapshots => "VM snapshots",
            Self::Stores => "Storage and networks",
            Self::Operations => "Operations and audit",
            Self::Profile => "Profile and credentials",
            Self::Global => "Anywhere",
            Self::List => "Moving",
            Self::Details => "Details of a VM",
            Self::Doctor => "Findings about a host",
            Self::Import => "Hosts of the SSH client",
            Self::Rotation => "A new key",
            Self::Document => "Reading",
            Self::Log => "Logs",
            Self::Console => "Console of a VM",
            Self::Screen => "Screen of a VM",
            Self::Graphics => "Display of a VM",
            Self::ConsoleAway => "Console that is closed",
            Self::Bulk => "Order about several VMs",
            Self::Menu => "Menus",
            Self::Chooser => "Columns",
            Self::Dialog => "Questions",
            Self::Prompt => "Typing",
            Self::EditForm => "Form of a VM",
            Self::Form => "Forms",
            Self::Base => "Always",
        }
    }
}

/// What a command does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// Acts on VMs.
    Act(ActionKind),
    /// Anything else.
    Run {
        enabled: fn(&App) -> Result<(), String>,
        run: fn(&mut App) -> Vec<Effect>,
    },
}

/// One row of the table.
#[derive(Debug)]
pub struct Command {
    /// Stable id, used in the configuration.
    pub id: String,
    /// What it does, in words.
    pub title: String,
    /// Where its keys work; it is listed under the first.
    pub contexts: &'static [Context],
    /// Its keys, unless the configuration says otherwise.
    pub keys: Vec<String>,
    /// Its label in the footer.
    pub footer: Option<String>,
    deed: Deed,
}

impl Command {
    /// Says whether it can be run now, or why not.
    pub fn enabled(&self, app: &App) -> Result<(), String> {
        match self.deed {
            Deed::Act(kind) => acting::allowed(app, kind),
            Deed::Run { enabled, .. } => enabled(app),
        }
    }

    /// Runs it; where it cannot be, says why in one line.
    pub fn run(&self, app: &mut App) -> Vec<Effect> {
        match self.deed {
            Deed::Act(kind) => acting::begin(app, kind),
            Deed::Run { enabled, run } => match enabled(app) {
                Ok(()) => run(app),
                Err(reason) => {
                    app.say(super::theme::Role::Warning, reason);
                    Vec::new()
                }
            },
        }
    }
}

/// Returns every command.
pub fn commands() -> &'static [Command] {
    static TABLE: LazyLock<Vec<Command>> = LazyLock::new(build);
    &TABLE
}

/// Runs a command by its id.
pub fn run_by_id(app: &mut App, id: &str) -> Vec<Effect> {
    commands()
        .iter()
        .find(|command| command.id == id)
        .map_or_else(Vec::new, |command| command.run(app))
}

type Enabled = fn(&App) -> Result<(), String>;
type Run = fn(&mut App) -> Vec<Effect>;
type RowOf = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    Enabled,
    Run,
);

const ALWAYS: Enabled = |_| Ok(());

fn build() -> Vec<Command> {
    let mut table: Vec<Command> = ActionKind::plain()
        .map(|spec| Command {
            id: format!("act.{}", spec.id),
            title: format!("{}: {}", spec.verb, sentence(spec.summary)),
            contexts: &[Context::Vms, Context::Details],
            keys: spec.key.map(String::from).into_iter().collect(),
            footer: spec.key.map(|_| spec.verb.to_owned()),
            deed: Deed::Act(spec.kind),
        })
        .collect();
    for (contexts, rows) in SECTIONS {
        table.extend(rows.iter().map(|row| {
            let (id, title, keys, footer, enabled, run) = *row;
            Command {
                id: id.to_owned(),
                title: title.to_owned(),
                contexts,
                keys: keys.split_whitespace().map(str::to_owned).collect(),
                footer: footer.map(str::to_owned),
                deed: Deed::Run { enabled, run },
            }
        }));
    }
    table
}

/// A sentence of the catalogue as the second half of a line.
fn sentence(summary: &str) -> String {
    let mut chars = summary.trim_end_matches('.').chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string());
    format!("{}{}", first.unwrap_or_default(), chars.as_str())
}

const SECTIONS: &[(&[Context], &[RowOf])] = &[
    (&[Context::Vms], VMS),
    (&[Context::Vms], MARKING),
    (&[Context::Vms], WATCHING),
    (&[Context::Hosts], HOSTS),
    (&[Context::Vms, Context::Details], SNAPSHOTS_OF_A_VM),
    (&[Context::Snapshots], SNAPSHOTS),
    (&[Context::Stores], STORES),
    (&[Context::Operations], OPERATIONS),
    (&[Context::Operations], ACTIVITY),
    (&[Context::Profile], PROFILE),
    (&[Context::Details], DETAILS),
    (&[Context::Details], WATCHING_ONE),
    (&[Context::Vms, Context::Details], EDIT),
    (&[Context::Vms, Context::Details], REACH),
    (&[Context::Doctor], DOCTOR),
    (&[Context::Import], IMPORT),
    (&[Context::Rotation], ROTATION),
    (&[Context::Document], DOCUMENT),
    (&[Context::Log], LOGS),
    (&[Context::Console], CONSOLE),
    (&[Context::ConsoleAway], CONSOLE_AWAY),
    (&[Context::Screen], SCREEN),
    (&[Context::Graphics], GRAPHICS),
    (&[Context::Bulk, Context::Operations], BULK),
    (&[Context::Bulk], BULK_PANEL),
    (&[Context::Menu], MENU),
    (&[Context::Chooser], CHOOSER),
    (&[Context::Dialog], DIALOG),
    (&[Context::EditForm], EDIT_FORM),
    (&[Context::Form], FORM),
    (&[Context::Prompt], PROMPT),
    (&[Context::List], LIST),
    (&[Context::Global], GLOBAL),
    (&[Context::Global], OWN),
    (&[Context::Base], BASE),
];

/// Returns the table of keys for the docs, in Markdown. A test compares it with what is written there.
pub fn markdown_table() -> String {
    let mut text = String::from("| where | keys | what | id |\n| --- | --- | --- | --- |\n");
    for context in Context::ALL {
        for command in commands() {
            if command.contexts.first() != Some(context) {
                continue;
            }
            let keys: Vec<String> = command.keys.iter().map(|key| format!("`{key}`")).collect();
            let keys = if keys.is_empty() {
                "by name".to_owned()
            } else {
                keys.join(" ").replace('|', "\\|")
            };
            let line = [
                context.title(),
                &keys,
                &command.title,
                &format!("`{}`", command.id),
            ];
            text.push_str("| ");
            text.push_str(&line.join(" | "));
            text.push_str(" |\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        for command in commands() {
            let twins = commands().iter().filter(|other| other.id == command.id);
            assert_eq!(twins.count(), 1, "{}", command.id);
        }
    }

    #[test]
    fn nothing_that_changes_a_vm_is_on_a_key_that_slips() {
        for command in commands() {
            if !matches!(command.deed, Deed::Act(_)) {
                continue;
            }
            for key in &command.keys {
                let letter = key.chars().count() == 1 && key.chars().all(char::is_alphabetic);
                assert!(letter, "{} is on {key}", command.id);
                assert!(
                    !["j", "k", "J", "K"].contains(&key.as_str()),
                    "{}",
                    command.id
                );
            }
        }
    }

    #[test]
    fn no_key_needs_a_bracket_a_backslash_alt_or_a_function_key() {
        for command in commands() {
            for key in &command.keys {
                assert!(
                    !key.contains(['[', ']', '\\']) && !key.starts_with("alt-"),
                    "{key}"
                );
                assert!(!(key.starts_with('f') && key.len() > 1), "{key}");
            }
        }
    }
}
