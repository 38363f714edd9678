//! The command that changes what a VM is set up with.

use super::RowOf;
use crate::tui::overlay::edit_form;

pub(super) const EDIT: &[RowOf] = &[(
    "vms.edit",
    "change vCPUs, memory, autostart, title, description",
    "E",
    None,
    edit_form::can_open,
    edit_form::open,
)];
