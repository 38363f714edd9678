//! The commands about several VMs at once: marks by expression, and what can be done about an order.

use super::{ALWAYS, RowOf};
use crate::tui::overlay::{marking, progress};
use crate::tui::screen::vms;
use crate::tui::update::deeds;

pub(super) const MARKING: &[RowOf] = &[(
    "vms.mark-fitting",
    "mark those that fit a filter expression",
    "+",
    None,
    vms::has_selected,
    marking::open,
)];

/// What can be done about an order wherever operations are looked at.
pub(super) const BULK: &[RowOf] = &[
    (
        "bulk.stop",
        "call back all of it that has not begun",
        "X",
        Some("call back the rest"),
        progress::can_stop,
        progress::stop,
    ),
    (
        "bulk.repeat",
        "repeat for the failed: mark exactly them and plan anew",
        "R",
        Some("repeat the failed"),
        progress::has_failed,
        progress::repeat,
    ),
    (
        "bulk.go-on",
        "plan those that were not started",
        "N",
        Some("plan the rest"),
        progress::has_not_started,
        progress::go_on,
    ),
];

pub(super) const BULK_PANEL: &[RowOf] = &[
    (
        "bulk.cancel",
        "call back all of it that has not begun",
        "x",
        None,
        progress::can_stop,
        progress::stop,
    ),
    (
        "bulk.copy",
        "copy how each of them stands",
        "c",
        Some("copy"),
        ALWAYS,
        progress::copy,
    ),
    (
        "bulk.close",
        "back; the order goes on",
        "esc q enter",
        Some("back"),
        ALWAYS,
        deeds::close,
    ),
];
