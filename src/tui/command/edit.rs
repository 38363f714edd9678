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
