//! The commands of the lists of what happened: errors, commands, activity.

use super::{ALWAYS, RowOf};
use crate::tui::overlay::log;

pub(super) const LOGS: &[RowOf] = &[
    (
        "log.whole",
        "all of the row, or the list again",
        "enter",
        Some("whole row"),
        log::has_row,
        log::whole,
    ),
    (
        "log.filter",
        "show only rows that fit: words, !not, /regex/, host: vm: kind: status: by:",
        "/",
        Some("filter"),
        ALWAYS,
        log::filter,
    ),
    (
        "log.copy",
        "copy the row",
        "c",
        Some("copy"),
        log::has_row,
        log::copy,
    ),
    (
        "log.copy-all",
        "copy all rows that are shown",
        "Y",
        None,
        log::has_row,
        log::copy_all,
    ),
    (
        "log.export",
        "write all rows that are shown into a file",
        "X",
        Some("export"),
        log::has_row,
        log::export,
    ),
    (
        "log.refresh",
        "read again now",
        "r",
        None,
        ALWAYS,
        log::refresh,
    ),
    (
        "log.back",
        "back to the list, then to all rows, then away",
        "esc",
        Some("back"),
        ALWAYS,
        log::back,
    ),
    ("log.close", "away", "q", None, ALWAYS, log::close),
];

/// Where all of what was done is asked for.
pub(super) const ACTIVITY: &[RowOf] = &[(
    "operations.activity",
    "the audit log as a list: filter, copy, export",
    "L",
    Some("audit log"),
    ALWAYS,
    log::all_activity,
)];
