//! Hyper-V, driven by PowerShell over the link: nothing is installed on the host.
//!
//! Read in this order: `scripts` (what runs on the host), `script` and `envelope` (how it gets there),
//! `frames` and `clixml` (what comes back), `failure`, `wording` and `state` (what it means), `facts`, `parse`,
//! `flows` and `detail` (what it says about the host and its VMs), `verdict` (what that makes of the host), `command`
//! (verbs; all pure), `answer` (how one run ends), `exchange` (a question outside the driver) and `driver`, which ties them together; `stream` and `run`
//! (a script that stays, an extra), `mirror` (what it has told) and `leftover`. `docs/hyperv.md` tells the
//! same to people.

mod answer;
mod checkpoint;
mod clixml;
mod command;
mod detail;
#[cfg(test)]
mod detail_tests;
mod driver;
#[cfg(test)]
mod driver_tests;
mod edit;
mod envelope;
mod exchange;
mod facts;
mod failure;
#[cfg(test)]
mod failure_tests;
mod flows;
mod frames;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod guest;
pub(in crate::hypervisor) mod keys;
mod leftover;
mod look;
mod mirror;
mod parse;
#[cfg(test)]
mod parse_tests;
mod reach;
mod run;
mod script;
mod state;
mod stores;
mod stream;
#[cfg(test)]
mod stream_tests;
mod verdict;
mod wording;

pub use self::command::commands;
pub use self::driver::HyperV;
pub use self::facts::{HostFacts, Namespace};
pub use self::leftover::Leftovers;
pub use self::reach::HyperVReach;
