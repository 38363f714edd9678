//! The REST server: in this process on simulated hosts, over a real listener, and as the real program.

#![cfg(test)]

#[path = "../support/serving.rs"]
mod serving;
#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod canaries;
mod dialling;
mod door;
mod killed;
mod limits;
mod listener;
mod load;
mod program;
mod renewal;
mod soak;

const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");
