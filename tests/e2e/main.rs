//! The whole program against real hosts: real sshd, real libvirt, real guests. What the product
//! promises a person and a script, tried from outside.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod bulk;
mod console;
mod dashboard;
mod define;
mod details;
mod edit;
mod expiry;
mod graphics;
mod habits;
mod hosts;
mod logs;
mod many;
mod mixed;
mod own;
mod profiles;
mod rotate;
mod run;
mod screen;
mod script;
mod shell;
mod slow;
mod snapshots;
mod stores;
mod trust;
mod windows;
mod windows_keys;
mod windows_views;

/// The program under test.
const VMDECK: &str = env!("CARGO_BIN_EXE_vmdeck");
