//! The commands that belong to no single view: moving, dialogs, prompts, views, leaving.

use super::{ALWAYS, RowOf};
use crate::tui::app::Screen;
use crate::tui::cursor::Motion;
use crate::tui::effect::Effect;
use crate::tui::overlay::{chooser, log};
use crate::tui::screen::{profile, snapshots};
use crate::tui::update::deeds;

pub(super) const DETAILS: &[RowOf] = &[
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
        "details.search",
        "search in the tab",
        "/",
        Some("search"),
        ALWAYS,
        deeds::search,
    ),
    (
        "details.search-next",
        "next line that has it",
        "n",
        None,
        ALWAYS,
        deeds::next_hit,
    ),
    (
        "details.search-previous",
        "line before that has it",
        "N",
        None,
        ALWAYS,
        deeds::previous_hit,
    ),
    (
        "details.copy",
        "copy the tab",
        "c",
        Some("copy"),
        ALWAYS,
        deeds::copy_document,
    ),
    (
        "details.left",
        "scroll to the left",
        "<",
        None,
        ALWAYS,
        deeds::step_left,
    ),
    (
        "details.right",
        "scroll to the right",
        ">",
        None,
        ALWAYS,
        deeds::step_right,
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

pub(super) const DOCUMENT: &[RowOf] = &[
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

pub(super) const MENU: &[RowOf] = &[
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

pub(super) const CHOOSER: &[RowOf] = &[
    (
        "columns.toggle",
        "show or hide the column",
        "space enter",
        Some("show or hide"),
        ALWAYS,
        chooser::toggle,
    ),
    (
        "columns.earlier",
        "move the column towards the names",
        "K",
        Some("move"),
        ALWAYS,
        chooser::earlier,
    ),
    (
        "columns.later",
        "move the column away from the names",
        "J",
        None,
        ALWAYS,
        chooser::later,
    ),
    (
        "columns.reset",
        "the columns of a new profile",
        "u",
        None,
        ALWAYS,
        chooser::reset,
    ),
];

pub(super) const DIALOG: &[RowOf] = &[
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

pub(super) const FORM: &[RowOf] = &[
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

pub(super) const PROMPT: &[RowOf] = &[
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
        |app| deeds::go(app, Motion::Down),
    ),
    (
        "prompt.previous",
        "previous line",
        "up ctrl-p",
        None,
        ALWAYS,
        |app| deeds::go(app, Motion::Up),
    ),
    (
        "prompt.page-down",
        "a page down",
        "pgdn",
        None,
        ALWAYS,
        |app| deeds::go(app, Motion::PageDown),
    ),
    ("prompt.page-up", "a page up", "pgup", None, ALWAYS, |app| {
        deeds::go(app, Motion::PageUp)
    }),
];

pub(super) const LIST: &[RowOf] = &[
    ("list.down", "down", "j down", None, ALWAYS, |app| {
        deeds::go(app, Motion::Down)
    }),
    ("list.up", "up", "k up", None, ALWAYS, |app| {
        deeds::go(app, Motion::Up)
    }),
    ("list.top", "to the first", "g home", None, ALWAYS, |app| {
        deeds::go(app, Motion::Top)
    }),
    ("list.bottom", "to the last", "G end", None, ALWAYS, |app| {
        deeds::go(app, Motion::Bottom)
    }),
    (
        "list.page-down",
        "a page down",
        "pgdn",
        None,
        ALWAYS,
        |app| deeds::go(app, Motion::PageDown),
    ),
    ("list.page-up", "a page up", "pgup", None, ALWAYS, |app| {
        deeds::go(app, Motion::PageUp)
    }),
    (
        "list.half-down",
        "half a page down",
        "ctrl-d",
        None,
        ALWAYS,
        |app| deeds::go(app, Motion::HalfDown),
    ),
    (
        "list.half-up",
        "half a page up",
        "ctrl-u",
        None,
        ALWAYS,
        |app| deeds::go(app, Motion::HalfUp),
    ),
];

pub(super) const GLOBAL: &[RowOf] = &[
    (
        "app.palette",
        "do something by its name",
        ":",
        Some("palette"),
        ALWAYS,
        deeds::palette,
    ),
    ("view.vms", "view: VMs", "1", Some("VMs"), ALWAYS, |app| {
        deeds::show(app, Screen::Vms)
    }),
    (
        "view.hosts",
        "view: hosts",
        "2",
        Some("hosts"),
        ALWAYS,
        |app| deeds::show(app, Screen::Hosts),
    ),
    (
        "view.snapshots",
        "view: VM snapshots of all hosts",
        "3",
        Some("snapshots"),
        ALWAYS,
        snapshots::of_all,
    ),
    (
        "view.stores",
        "view: storage and networks",
        "4",
        Some("storage"),
        ALWAYS,
        |app| deeds::show(app, Screen::Stores),
    ),
    (
        "view.operations",
        "view: operations and audit",
        "5",
        Some("operations"),
        ALWAYS,
        |app| deeds::show(app, Screen::Operations),
    ),
    (
        "view.profile",
        "view: profile and credentials",
        "6",
        Some("profile"),
        ALWAYS,
        |app| deeds::show(app, Screen::Profile),
    ),
    // The last one in the footer: it is shown however narrow the terminal is.
    ("app.help", "keys", "?", Some("help"), ALWAYS, deeds::help),
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
    (
        "app.errors",
        "error log",
        "!",
        None,
        ALWAYS,
        log::open_errors,
    ),
    (
        "app.commands",
        "command log: what was sent to the hosts",
        "@",
        None,
        ALWAYS,
        log::open_commands,
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
        "app.theme",
        "choose a theme",
        "ctrl-t",
        None,
        ALWAYS,
        deeds::themes,
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
        "app.profile",
        "switch profile",
        "",
        None,
        profile::can_switch,
        profile::switch,
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

pub(super) const BASE: &[RowOf] = &[
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
