//! The keys about being told what happens. Commands and hooks have blocks of their own (`own`).

use super::keys::{KeySpec, Kind, Slot, key};
use super::values::NotifyWay;

/// What `tui.notify` may list.
pub const TOPICS: &[&str] = &["operations", "hosts", "crashes"];

pub(super) const OWN_KEYS: &[KeySpec] = &[
    key(
        "tui.notify",
        Kind::Words(TOPICS),
        "What you are told beside the screen without asking: your own operations that ended while you looked elsewhere or that took longer than ten seconds, hosts lost and back, VMs that crashed. `n` on a VM tells every change of it in any case.",
        |c| Slot::Names(&mut c.tui.notify),
    ),
    key(
        "tui.notify_by",
        Kind::Word(NotifyWay::WORDS),
        "How: the terminal's bell, a message through the terminal (OSC 9, or OSC 777 with a title), `tui.notify_command`, or not at all.",
        |c| Slot::Notify(&mut c.tui.notify_by),
    ),
    key(
        "tui.notify_command",
        Kind::Program,
        "Program for `command` and its arguments, one list, never read by a shell; `{text}` is what is told.",
        |c| Slot::Names(&mut c.tui.notify_command),
    ),
];
