//! The fleet: the core that all front ends share.
//!
//! One task (`engine`) owns all shared state; front ends hold a [`FleetHandle`], read immutable
//! snapshots and send requests. Nobody else writes. The engine never waits for a session, the disk or
//! a person: it sends, spawns and goes on.

#![warn(missing_docs)]
#![deny(clippy::wildcard_enum_match_arm)]

pub mod admission;
#[cfg(test)]
mod admission_tests;
mod answer;
mod chores;
pub mod console;
pub mod credential;
mod define;
pub mod diff;
pub mod doctor;
mod edit;
pub mod engine;
pub mod error_log;
pub mod graphics;
pub mod guest;
pub mod handle;
pub mod import;
mod keeper;
pub mod lift;
mod logs;
pub mod metrics;
pub mod operation;
mod own;
pub mod plan;
pub mod record;
pub mod recorder;
pub mod request;
mod roster;
pub mod rotation;
pub mod screen;
pub mod shell;
mod side_link;
mod snapshots;
pub mod state;
#[cfg(test)]
mod state_tests;
mod store_operations;
mod stores;
pub mod target;
#[cfg(test)]
mod test_fleet;
pub mod verify;

pub use self::engine::{FleetOptions, FleetSetup, start};
pub use self::handle::FleetHandle;
