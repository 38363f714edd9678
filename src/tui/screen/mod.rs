//! The views: state, update functions and drawing of each in one place.

pub mod hosts;
pub mod operations;
pub mod profile;
pub mod run;
pub mod snapshot_order;
pub mod snapshots;
pub mod stores;
mod stores_draw;
pub mod vms;
