//! The command table: everything a key, the palette or a menu can do, one row each. Help, footer,
//! palette, remapping, the conflict check and the docs are made from it.
//!
//! To add a command: a row here and a function in its screen. Commands that act on VMs are not written
//! here at all: they come from the verb catalogue.

use std::sync::LazyLock;

use super::acting;
use super::app::{App, Screen};
use super::effect::Effect;
use super::screen::{hosts, operations, profile, vms};
use super::update::deeds;
use crate::domain::action::ActionKind;

/// Where a key is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// The VM table.
    Vms,
    /// The hosts.
    Hosts,
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
    /// Lines to read.
    Document,
    /// A list to choose from.
    Menu,
    /// A question.
    Dialog,
    /// A line being typed.
    Prompt,
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
        Self::Operations,
        Self::Profile,
        Self::Global,
        Self::List,
        Self::Details,
        Self::Document,
        Self::Menu,
        Self::Dialog,
        Self::Prompt,
        Self::Form,
        Self::Base,
    ];

    /// Returns its heading in the help.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Vms => "VM table",
            Self::Hosts => "Hosts",
            Self::Operations => "Operations and audit",
            Self::Profile => "Profile and credentials",
            Self::Global => "Anywhere",
            Self::List => "Moving",
            Self::Details => "Details of a VM",
            Self::Document => "Reading",
            Self::Menu => "Menus",
            Self::Dialog => "Questions",
            Self::Prompt => "Typing",
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
    let mut table: Vec<Command> = ActionKind::TABLE
        .iter()
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
    (&[Context::Hosts], HOSTS),
    (&[Context::Operations], OPERATIONS),
    (&[Context::Profile], PROFILE),
    (&[Context::Details], DETAILS),
    (&[Context::Document], DOCUMENT),
    (&[Context::Menu], MENU),
    (&[Context::Dialog], DIALOG),
    (&[Context::Form], FORM),
    (&[Context::Prompt], PROMPT),
    (&[Context::List], LIST),
    (&[Context::Global], GLOBAL),
    (&[Context::Base], BASE),
];

const VMS: &[RowOf] = &[
    (
        "vms.details",
        "details",
        "enter",
        Some("details"),
        vms::has_selected,
        vms::details,
    ),
    (
        "vms.filter",
        "filter",
        "/",
        Some("filter"),
        ALWAYS,
        vms::filter,
    ),
    (
        "vms.power",
        "power menu: every action",
        "P",
        None,
        vms::has_selected,
        deeds::power_menu,
    ),
    (
        "vms.menu",
        "menu: what can be done now",
        "m",
        Some("menu"),
        vms::has_selected,
        deeds::action_menu,
    ),
    (
        "vms.describe",
        "describe",
        "d",
        None,
        vms::has_selected,
        vms::describe,
    ),
    (
        "vms.definition",
        "definition",
        "y",
        None,
        vms::has_selected,
        vms::definition,
    ),
    (
        "vms.activity",
        "activity of this VM",
        "L",
        None,
        vms::has_selected,
        vms::activity,
    ),
    ("vms.quick", "quick filters", "f", None, ALWAYS, vms::quick),
    (
        "vms.mark",
        "mark or unmark",
        "space",
        None,
        vms::has_selected,
        vms::mark,
    ),
    (
        "vms.mark-range",
        "mark from the last mark to here",
        "V",
        None,
        vms::has_selected,
        vms::mark_range,
    ),
    (
        "vms.mark-all",
        "mark all that are shown",
        "*",
        None,
        vms::has_selected,
        vms::mark_all,
    ),
    (
        "vms.unmark",
        "take all marks away",
        "u",
        None,
        vms::has_marks,
        vms::unmark,
    ),
    (
        "vms.sort-previous",
        "sort by the column to the left",
        "<",
        None,
        ALWAYS,
        vms::sort_previous,
    ),
    (
        "vms.sort-next",
        "sort by the column to the right",
        ">",
        None,
        ALWAYS,
        vms::sort_next,
    ),
    (
        "vms.sort-flip",
        "turn the order around",
        "=",
        None,
        ALWAYS,
        vms::sort_flip,
    ),
    (
        "vms.sort-pick",
        "pick the column to sort by",
        "o",
        None,
        ALWAYS,
        vms::sort_pick,
    ),
    (
        "vms.wide",
        "more columns, or fewer",
        "w",
        None,
        ALWAYS,
        vms::wide,
    ),
    (
        "vms.left",
        "scroll columns to the left",
        "h left",
        None,
        ALWAYS,
        vms::left,
    ),
    (
        "vms.right",
        "scroll columns to the right",
        "l right",
        None,
        ALWAYS,
        vms::right,
    ),
    (
        "vms.all-hosts",
        "VMs of all hosts",
        "0",
        None,
        ALWAYS,
        vms::all_hosts,
    ),
    (
        "vms.refresh",
        "read this host now",
        "r",
        None,
        vms::has_selected,
        vms::refresh,
    ),
    (
        "vms.copy-name",
        "copy the name",
        "c",
        None,
        vms::has_selected,
        vms::copy_name,
    ),
    (
        "vms.copy-cell",
        "copy a cell",
        "Y",
        None,
        vms::has_selected,
        vms::copy_cell,
    ),
];

const HOSTS: &[RowOf] = &[
    (
        "hosts.open",
        "VMs of this host",
        "enter",
        Some("its VMs"),
        hosts::has_selected,
        hosts::open,
    ),
    (
        "hosts.refresh",
        "connect or read now",
        "r",
        Some("reconnect"),
        hosts::has_selected,
        hosts::refresh,
    ),
    (
        "hosts.add",
        "add a host",
        "A",
        Some("add"),
        ALWAYS,
        hosts::add,
    ),
    (
        "hosts.edit",
        "change the host",
        "E",
        Some("edit"),
        hosts::has_selected,
        hosts::edit,
    ),
    (
        "hosts.remove",
        "forget the host",
        "D",
        Some("remove"),
        hosts::has_selected,
        hosts::remove,
    ),
    (
        "hosts.doctor",
        "check the host step by step",
        "i",
        Some("doctor"),
        hosts::has_selected,
        hosts::doctor,
    ),
    (
        "hosts.key",
        "decide about its host key",
        "K",
        Some("host key"),
        hosts::has_question,
        hosts::key,
    ),
];

const OPERATIONS: &[RowOf] = &[
    (
        "operations.cancel",
        "stop waiting for the operation",
        "x",
        Some("cancel"),
        operations::can_cancel,
        operations::cancel,
    ),
    (
        "operations.copy",
        "copy as JSON",
        "c",
        Some("copy JSON"),
        operations::has_something,
        operations::copy,
    ),
    (
        "operations.turn",
        "the other pane",
        "tab",
        Some("other pane"),
        ALWAYS,
        operations::turn,
    ),
];

const PROFILE: &[RowOf] = &[
    (
        "profile.unlock",
        "unlock the profile",
        "enter",
        Some("unlock"),
        profile::can_unlock,
        profile::unlock,
    ),
    (
        "profile.lock",
        "lock the profile",
        "x",
        Some("lock"),
        profile::can_lock,
        profile::lock,
    ),
    (
        "profile.copy",
        "copy the public key",
        "c",
        Some("copy public key"),
        ALWAYS,
        profile::copy,
    ),
];

const DETAILS: &[RowOf] = &[
    (
        "details.next",
        "next tab",
        "tab l right",
        Some("next tab"),
        ALWAYS,
        deeds::next_tab,
    ),
    (
        "details.previous",
        "previous tab",
        "shift-tab h left",
        None,
        ALWAYS,
        deeds::previous_tab,
    ),
    (
        "details.power",
        "power menu",
        "P",
        None,
        ALWAYS,
        deeds::power_menu,
    ),
    (
        "details.refresh",
        "read again",
        "r",
        Some("read again"),
        ALWAYS,
        deeds::reread,
    ),
    (
        "details.close",
        "back",
        "esc q enter",
        Some("back"),
        ALWAYS,
        deeds::close,
    ),
];

const DOCUMENT: &[RowOf] = &[
    (
        "document.copy",
        "copy all of it",
        "c",
        Some("copy"),
        ALWAYS,
        deeds::copy_document,
    ),
    (
        "document.close",
        "back",
        "esc q enter",
        Some("back"),
        ALWAYS,
        deeds::close,
    ),
];

const MENU: &[RowOf] = &[
    (
        "menu.accept",
        "choose",
        "enter",
        Some("choose"),
        ALWAYS,
        deeds::choose,
    ),
    (
        "menu.close",
        "back",
        "esc q",
        Some("back"),
        ALWAYS,
        deeds::close,
    ),
];

const DIALOG: &[RowOf] = &[
    (
        "dialog.accept",
        "yes",
        "y",
        Some("yes"),
        ALWAYS,
        deeds::accept_dialog,
    ),
    (
        "dialog.cancel",
        "no",
        "enter esc n q",
        Some("no"),
        ALWAYS,
        deeds::close,
    ),
];

const FORM: &[RowOf] = &[
    (
        "form.next",
        "next field",
        "tab down",
        Some("next"),
        ALWAYS,
        deeds::next_field,
    ),
    (
        "form.previous",
        "previous field",
        "shift-tab up",
        None,
        ALWAYS,
        deeds::previous_field,
    ),
];

const PROMPT: &[RowOf] = &[
    (
        "prompt.accept",
        "done",
        "enter",
        Some("done"),
        ALWAYS,
        deeds::accept_prompt,
    ),
    (
        "prompt.cancel",
        "never mind",
        "esc",
        Some("never mind"),
        ALWAYS,
        deeds::cancel_prompt,
    ),
    (
        "prompt.next",
        "next line",
        "down ctrl-n",
        None,
        ALWAYS,
        |app| deeds::go(app, super::cursor::Motion::Down),
    ),
    (
        "prompt.previous",
        "previous line",
        "up ctrl-p",
        None,
        ALWAYS,
        |app| deeds::go(app, super::cursor::Motion::Up),
    ),
    (
        "prompt.page-down",
        "a page down",
        "pgdn",
        None,
        ALWAYS,
        |app| deeds::go(app, super::cursor::Motion::PageDown),
    ),
    ("prompt.page-up", "a page up", "pgup", None, ALWAYS, |app| {
        deeds::go(app, super::cursor::Motion::PageUp)
    }),
];

const LIST: &[RowOf] = &[
    ("list.down", "down", "j down", None, ALWAYS, |app| {
        deeds::go(app, super::cursor::Motion::Down)
    }),
    ("list.up", "up", "k up", None, ALWAYS, |app| {
        deeds::go(app, super::cursor::Motion::Up)
    }),
    ("list.top", "to the first", "g home", None, ALWAYS, |app| {
        deeds::go(app, super::cursor::Motion::Top)
    }),
    ("list.bottom", "to the last", "G end", None, ALWAYS, |app| {
        deeds::go(app, super::cursor::Motion::Bottom)
    }),
    (
        "list.page-down",
        "a page down",
        "pgdn",
        None,
        ALWAYS,
        |app| deeds::go(app, super::cursor::Motion::PageDown),
    ),
    ("list.page-up", "a page up", "pgup", None, ALWAYS, |app| {
        deeds::go(app, super::cursor::Motion::PageUp)
    }),
    (
        "list.half-down",
        "half a page down",
        "ctrl-d",
        None,
        ALWAYS,
        |app| deeds::go(app, super::cursor::Motion::HalfDown),
    ),
    (
        "list.half-up",
        "half a page up",
        "ctrl-u",
        None,
        ALWAYS,
        |app| deeds::go(app, super::cursor::Motion::HalfUp),
    ),
];

const GLOBAL: &[RowOf] = &[
    (
        "app.palette",
        "do something by its name",
        ":",
        Some("palette"),
        ALWAYS,
        deeds::palette,
    ),
    ("app.help", "keys", "?", Some("help"), ALWAYS, deeds::help),
    ("view.vms", "view: VMs", "1", None, ALWAYS, |app| {
        deeds::show(app, Screen::Vms)
    }),
    ("view.hosts", "view: hosts", "2", None, ALWAYS, |app| {
        deeds::show(app, Screen::Hosts)
    }),
    (
        "view.operations",
        "view: operations and audit",
        "5",
        None,
        ALWAYS,
        |app| deeds::show(app, Screen::Operations),
    ),
    (
        "view.profile",
        "view: profile and credentials",
        "6",
        None,
        ALWAYS,
        |app| deeds::show(app, Screen::Profile),
    ),
    (
        "view.previous",
        "previous view",
        "-",
        None,
        ALWAYS,
        deeds::previous_view,
    ),
    (
        "view.back",
        "clear the filter, then the marks, then go back",
        "esc",
        None,
        ALWAYS,
        deeds::escape,
    ),
    ("app.errors", "error log", "!", None, ALWAYS, deeds::errors),
    (
        "app.commands",
        "command log: what was sent to the hosts",
        "@",
        None,
        ALWAYS,
        deeds::command_log,
    ),
    (
        "app.refresh-all",
        "read all hosts now",
        "ctrl-r",
        None,
        ALWAYS,
        deeds::refresh_all,
    ),
    (
        "app.compact",
        "one line of header, or two",
        "ctrl-e",
        None,
        ALWAYS,
        deeds::compact,
    ),
    (
        "app.unlock",
        "unlock",
        "",
        None,
        profile::can_unlock,
        profile::unlock,
    ),
    (
        "app.lock",
        "lock",
        "",
        None,
        profile::can_lock,
        profile::lock,
    ),
    (
        "app.read-only",
        "read-only on or off",
        "",
        None,
        ALWAYS,
        deeds::read_only,
    ),
    (
        "app.quit",
        "back, or quit",
        "q",
        None,
        ALWAYS,
        deeds::back_or_quit,
    ),
];

const BASE: &[RowOf] = &[
    (
        "app.redraw",
        "draw everything again",
        "ctrl-l",
        None,
        ALWAYS,
        |_| vec![Effect::Redraw],
    ),
    ("app.suspend", "suspend", "ctrl-z", None, ALWAYS, |_| {
        vec![Effect::Suspend]
    }),
    ("app.leave", "quit", "ctrl-c", None, ALWAYS, deeds::quit),
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
