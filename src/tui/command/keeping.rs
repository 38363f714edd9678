//! The commands that keep hosts and credentials: what lies over their views.

use super::{ALWAYS, RowOf};
use crate::tui::overlay::doctor;
use crate::tui::update::deeds;

pub(super) const DOCTOR: &[RowOf] = &[
    (
        "doctor.again",
        "check the host again",
        "r",
        Some("again"),
        doctor::may_repeat,
        doctor::repeat,
    ),
    (
        "doctor.copy",
        "copy the command that mends it",
        "c",
        Some("copy the command"),
        doctor::has_fix,
        doctor::copy_fix,
    ),
    (
        "doctor.copy-all",
        "copy all findings",
        "Y",
        Some("copy all"),
        ALWAYS,
        doctor::copy_all,
    ),
    (
        "doctor.close",
        "back",
        "esc q enter",
        Some("back"),
        ALWAYS,
        deeds::close,
    ),
];
