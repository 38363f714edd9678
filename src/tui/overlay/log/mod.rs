//! What happened, as lists: the error log, the commands that were sent to hosts, and what was done to VMs as the
//! audit log has it. One list for the three: a filter, a row with its whole text, the end followed as long as
//! nobody moves away from it, copies and files of what is shown.

mod draw;
mod export;
mod keys;
mod record;
mod state;

pub use self::export::{Export, ExportJob, accept as accept_export};
pub use self::keys::{
    activity_of, all_activity, back, close, copy, copy_all, export, filter, has_row, look_again,
    open_commands, open_errors, refresh, took, took_page, whole,
};
pub use self::record::{Record, Topic, with_line};
pub use self::state::LogList;
