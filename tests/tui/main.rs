//! The screen from the outside: key macros in, frames out; effects go to an engine that the test owns.
#![cfg(test)]

mod console;
mod details;
mod habits;
mod harness;
mod hostile;
mod limits;
mod overlays;
mod pictures;
mod screen;
mod snapshots;
mod stores;
mod table;
