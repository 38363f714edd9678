//! The whole program against real hosts: real sshd, real libvirt, real guests. What the product
//! promises a person and a script, tried from outside.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod branches;
mod bulk;
mod connections;
mod console;
mod copied;
mod credentials;
mod dashboard;
mod define;
mod details;
mod doctor;
mod edit;
mod expiry;
mod eyes;
mod graphics;
mod habits;
mod hooks;
mod host_keys;
mod hosts;
mod load;
mod logs;
mod many;
mod marks;
mod mixed;
mod mouse;
mod network;
mod own;
mod own_commands;
mod pictures;
mod profiles;
mod quiesce;
mod rotate;
mod run;
mod screen;
mod script;
mod sequences;
mod shell;
mod slow;
mod snapshots;
mod stores;
mod tiers;
mod trust;
mod windows;
mod windows_checkpoints;
mod windows_hardware;
mod windows_hosts;
mod windows_keys;
mod windows_many;
mod windows_reach;
mod windows_stores;
mod windows_views;

/// The program under test.
const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");
