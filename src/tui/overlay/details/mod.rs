//! One VM: overview, metrics, disks, network cards, activity, definition. One file for each tab's lines, one
//! for the panel that shows them and one for the search in them.

mod activity;
mod devices;
mod metrics;
mod overview;
mod panel;
mod search;

pub use self::activity::{audit_lines, audit_role};
pub use self::overview::overview;
pub use self::panel::{Details, Tab, look, next_metrics, search_on};
pub use self::search::Search;
