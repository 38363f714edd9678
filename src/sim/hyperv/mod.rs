//! A model of a Windows Hyper-V host, written from public documentation alone: VMs and their state
//! machine, jobs, WMI, the Hyper-V cmdlets, services and errors. The `PowerShell` evaluator executes
//! scripts against it (`machine::WinMachine`); nothing here knows which scripts those are, nor the
//! driver that wrote them.
//!
//! ```text
//! script -> powershell -> machine -> cmdlets ---------+
//!                             |----> cim (rows, WQL) --+--> world (VMs, jobs, time) <- control
//!                             +----> methods ---------+
//! ```

#[cfg(test)]
mod bench;
mod cell;
mod checkpoints;
mod cim;
mod cmdlets;
pub(in crate::sim) mod control;
mod convert;
pub(in crate::sim) mod entry;
mod events;
mod faults;
mod files;
mod guest;
pub(in crate::sim) mod host;
mod job;
pub(in crate::sim) mod launch;
pub(in crate::sim) mod machine;
#[cfg(test)]
mod machine_tests;
mod messages;
mod methods;
pub(in crate::sim) mod plan;
mod profile;
mod request;
mod screen;
mod services;
pub mod socket;
mod state;
mod vm;
pub(in crate::sim) mod world;
mod wql;

pub use self::control::{WinJob, WinProcess, WinVmState, WindowsControl};
pub use self::faults::{Account, ModuleHealth, Provocation, WindowsFaults, WmiDenial};
pub use self::messages::Situation;
pub use self::plan::Service;
pub use self::profile::{Language, Pace, PowerShells, Shell, Timing, Windows};
pub use self::state::{Numbers, Standing, WinState};
