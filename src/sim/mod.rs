//! The simulator: an SSH server inside the program that plays libvirt hosts, for `--demo`, for
//! benchmarks at scale and for end-to-end tests that need no hypervisor.
//!
//! ```text
//! scenario (TOML, grid) -> demo::start -> one server per host -> program -> virsh -> world
//!                              |                                                      ^
//!                              +-> Control: what happens behind a watcher's back -----+
//! ```
//!
//! `world` and everything below `virsh` are plain data and functions of time; only `server` knows SSH.
//! It must not be mistaken for a hypervisor: what it does not simulate is listed in
//! `docs/simulator.md`, and it answers such commands the way `virsh` answers unknown ones.

mod control;
mod demo;
mod error;
mod faults;
mod guest;
mod host;
pub mod hyperv;
mod link;
mod load;
mod picture;
mod powershell;
mod program;
#[cfg(test)]
mod recorded_tests;
mod scenario;
mod scenario_file;
mod server;
mod shell;
mod snapshot;
mod stdio;
mod store;
mod tally;
mod virsh;
mod vm;
mod vnc;
mod world;

pub use self::control::{Control, HostControl, SimVmState};
pub use self::demo::{Demo, DemoHost, start};
pub use self::error::SimError;
pub use self::faults::{Access, Faults, Outage, VirshHealth};
pub use self::scenario::{Scenario, SimState};
