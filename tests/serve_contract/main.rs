//! The two older contracts, as their page describes them, against fleets on the simulator: real profiles,
//! real SSH, the whole router.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod bot;
mod clients;
mod golden;
mod ground;
mod hanging;
mod hostile;
mod importing;
mod portal;
mod replays;
mod rig;
mod shape;
mod signatures;
mod table;
mod weaknesses;
