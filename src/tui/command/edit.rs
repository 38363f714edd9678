//! The commands that change what a VM is set up with.

use super::RowOf;
use crate::tui::define;
use crate::tui::overlay::edit_form;

pub(super) const EDIT: &[RowOf] = &[
    (
        "vms.edit",
        "change vCPUs, memory, autostart, title, description",
        "E",
        None,
        edit_form::can_open,
        edit_form::open,
    ),
    (
        "vms.define",
        "edit the definition, in your editor",
        "O",
        None,
        edit_form::can_open,
        define::open,
    ),
];

/// What can be done in the form, where every letter is typed.
pub(super) const EDIT_FORM: &[RowOf] = &[(
    edit_form::TO_DEFINITION,
    "edit the definition instead, in your editor",
    "ctrl-o",
    None,
    edit_form::can_turn,
    edit_form::turn,
)];
