//! Contract suites: what every implementation of a seam must do, run on each of them.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod libvirt;
mod libvirt_fixtures;
mod libvirt_suite;
mod simulator;
mod sshd;
mod transport;
