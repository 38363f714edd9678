//! The commands that keep hosts and credentials: what lies over their views.

use super::{ALWAYS, RowOf};
use crate::tui::overlay::{doctor, import, rotation};
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

pub(super) const ROTATION: &[RowOf] = &[
    (
        "rotation.accept",
        "yes",
        "y",
        Some("yes"),
        rotation::wants_yes,
        rotation::accept,
    ),
    (
        "rotation.copy",
        "copy what is planned, or what was done",
        "c",
        Some("copy"),
        ALWAYS,
        rotation::copy,
    ),
    (
        "rotation.leave",
        "no, or back",
        "esc q n enter",
        Some("leave it"),
        ALWAYS,
        rotation::leave,
    ),
];

pub(super) const IMPORT: &[RowOf] = &[
    (
        "import.toggle",
        "choose the host, or no longer",
        "space",
        Some("choose"),
        ALWAYS,
        import::toggle,
    ),
    (
        "import.all",
        "choose all that are not there yet, or none",
        "*",
        Some("all"),
        ALWAYS,
        import::toggle_all,
    ),
    (
        "import.accept",
        "add the chosen hosts",
        "A",
        Some("add them"),
        import::has_chosen,
        import::accept,
    ),
    (
        "import.close",
        "back",
        "esc q enter",
        Some("back"),
        ALWAYS,
        deeds::close,
    ),
];
