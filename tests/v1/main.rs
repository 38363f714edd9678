//! The native contract `/v1`, asked in process and over a listener, with fleets on the simulator.

#![cfg(test)]

#[path = "../support/serving.rs"]
mod serving;
#[path = "../support/mod.rs"]
mod support;

mod acting;
mod events;
mod hanging;
mod keeping;
mod lists;
mod matrix;
mod rig;
mod schema;
mod snapshots;
mod tenants;
mod timing;
mod warpgate;
