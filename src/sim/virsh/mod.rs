//! `virsh` of libvirt 9.0.0 as it behaves without a terminal: one command a process, or kept running
//! with commands on standard input. Output is compared with recordings of the real one
//! (`tests/fixtures/sim`).

mod about;
mod act;
mod agent;
mod console;
mod define;
mod definition;
mod edit;
mod events;
mod line;
mod list;
mod options;
mod process;
mod said;
mod screen;
mod snapshots;
mod stats;
mod stores;
mod table;

pub(super) use self::agent::Agents;
pub(super) use self::console::{Seats, Shell};
pub(super) use self::process::run;
pub(super) use self::screen::{Display, Keyboards};
