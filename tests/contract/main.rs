//! Contract suites: what every implementation of a seam must do, run on each of them.

#![cfg(test)]
#![allow(unreachable_pub, reason = "the modules of one test program")]

#[path = "../support/mod.rs"]
mod support;

mod client_config;
mod define;
mod dice;
mod driver_suite;
mod edit;
mod host_keys;
mod hostile;
mod hyperv;
mod hyperv_bad;
mod hyperv_errors;
mod hyperv_sshd;
mod known_hosts;
mod libvirt;
mod libvirt_fixtures;
mod login;
mod rig;
mod server;
mod sessions;
mod simulator;
mod snapshots;
mod sshd;
mod transport;
mod virsh;
