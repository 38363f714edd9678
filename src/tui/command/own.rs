//! The commands about what is the operator's own: being told.

use super::{ALWAYS, RowOf};
use crate::tui::screen::vms;
use crate::tui::{notify, own};

pub(super) const WATCHING: &[RowOf] = &[(
    "vms.notify",
    "tell me when it changes, or no longer",
    "n",
    None,
    vms::has_target,
    notify::toggle,
)];

// `n` goes on to the next line found there.
pub(super) const WATCHING_ONE: &[RowOf] = &[(
    "details.notify",
    "tell me when it changes, or no longer",
    "w",
    Some("tell me"),
    vms::has_target,
    notify::toggle,
)];

pub(super) const OWN: &[RowOf] = &[(
    "own.stop",
    "end commands of your own that run",
    "",
    None,
    ALWAYS,
    own::stop,
)];
