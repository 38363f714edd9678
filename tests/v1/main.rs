//! The native contract `/v1`, asked in process and over a listener, with fleets on the simulator.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod acting;
mod events;
mod hanging;
mod keeping;
mod lists;
mod powers;
mod rig;
mod schema;
