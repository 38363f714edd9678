//! Bad networks and bad hours: real sessions over SSH, through a proxy that spoils connections, to a
//! simulated fleet. Each campaign has a small size that runs with every test run, and a full one for
//! `tests/campaign` (`docs/reliability.md`).

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod flooded;
mod hostile;
mod hung;
mod people;
mod proxy;
mod rig;
mod storm;
mod weather;
