//! The REST server: in this process on simulated hosts, over a real listener, and as the real program.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod door;
mod killed;
mod listener;
mod load;
mod program;
mod serving;

const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");
