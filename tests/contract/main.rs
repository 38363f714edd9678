//! Contract suites: what every implementation of a seam must do, run on each of them.

#![cfg(test)]
#![allow(unreachable_pub, reason = "the modules of one test program")]

#[path = "../support/mod.rs"]
mod support;

mod host_keys;
mod hostile;
mod login;
mod rig;
mod server;
mod sessions;
mod sshd;
mod transport;
