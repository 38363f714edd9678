//! The screen from the outside: key macros in, frames out; effects go to an engine that the test owns.
#![cfg(test)]

mod bulk;
mod bytes;
mod console;
mod define;
mod details;
mod edit;
mod graphics;
mod guest;
mod habits;
mod harness;
mod hostile;
mod keeping;
mod limits;
mod logs;
mod mouse;
mod overlays;
mod own;
mod pictures;
mod production;
mod screen;
mod shell;
mod snapshots;
mod stores;
mod table;
