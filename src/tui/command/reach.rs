//! The commands that reach into a VM. In a console every other key is the VM's.

use super::{ALWAYS, RowOf};
use crate::tui::console::keys;
use crate::tui::overlay::{graphics, guest_form, screen, shell_form};
use crate::tui::update::deeds;

pub(super) const REACH: &[RowOf] = &[
    (
        "vms.console",
        "serial console of the VM",
        "a",
        Some("console"),
        keys::can_open_console,
        keys::open,
    ),
    (
        "vms.screen",
        "screen of the VM",
        "i",
        Some("screen"),
        keys::can_open,
        screen::open,
    ),
    (
        "vms.graphics",
        "graphics of the VM, in a viewer",
        "v",
        Some("graphics"),
        keys::can_open,
        graphics::open,
    ),
    (
        "vms.shell",
        "shell in the VM, over SSH through its host",
        "e",
        None,
        keys::can_open_shell,
        shell_form::open,
    ),
    (
        "vms.run",
        "run a program in the VM",
        "x",
        None,
        guest_form::can_open,
        guest_form::open,
    ),
];

pub(super) const GRAPHICS: &[RowOf] = &[
    (
        "graphics.copy",
        "copy the address",
        "c",
        Some("copy"),
        ALWAYS,
        graphics::copy,
    ),
    (
        "graphics.close",
        "close the display",
        "esc q",
        Some("close it"),
        ALWAYS,
        graphics::close,
    ),
];

pub(super) const SCREEN: &[RowOf] = &[
    (
        "screen.type",
        "type text into the VM, then Enter",
        "T",
        Some("type"),
        ALWAYS,
        screen::begin_typing,
    ),
    (
        "screen.ctrl-alt-del",
        "press ctrl-alt-del in the VM",
        "D",
        Some("ctrl-alt-del"),
        ALWAYS,
        screen::ctrl_alt_del,
    ),
    (
        "screen.refresh",
        "take a picture now",
        "r",
        None,
        ALWAYS,
        screen::refresh,
    ),
    (
        "screen.close",
        "back",
        "esc q enter",
        Some("back"),
        ALWAYS,
        deeds::close,
    ),
];

pub(super) const CONSOLE: &[RowOf] = &[
    // `ctrl-5` and `ctrl-]` are one key to a terminal; the digit is there on every keyboard.
    (
        "console.leave",
        "leave the console; the VM stays as it is",
        "ctrl-5",
        Some("leave"),
        ALWAYS,
        keys::leave,
    ),
    (
        "console.back",
        "scroll back",
        "shift-pgup ctrl-pgup",
        Some("scroll back"),
        ALWAYS,
        keys::back,
    ),
    (
        "console.forth",
        "scroll forth",
        "shift-pgdn ctrl-pgdn",
        None,
        ALWAYS,
        keys::forth,
    ),
];

pub(super) const CONSOLE_AWAY: &[RowOf] = &[
    (
        "console.take-over",
        "take it over from whoever has it",
        "f",
        Some("take over"),
        keys::is_taken,
        keys::take_over,
    ),
    (
        "shell.login",
        "log in to the VM as somebody else",
        "e",
        Some("log in anew"),
        keys::is_shell,
        keys::log_in_anew,
    ),
    (
        "console.again",
        "open it again now",
        "enter",
        Some("open again"),
        ALWAYS,
        keys::again,
    ),
    (
        "console.close",
        "back",
        "esc q",
        Some("back"),
        ALWAYS,
        keys::leave,
    ),
];
