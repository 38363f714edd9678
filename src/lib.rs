//! vmdeck: one terminal dashboard for every virtual machine you run, on libvirt and on Hyper-V,
//! over plain SSH.
//!
//! The layers, outermost first; arrows point down only (`tests/architecture.rs`):
//!
//! ```text
//! main -> app -> { tui, once, serve, manage, sim } -> fleet -> session -> hypervisor -> transport -> domain
//!                      serve -> accounts       fleet -> { profile, vault, audit } -> domain
//! ```
//!
//! Read `domain` first (the words), then `hypervisor` and `transport` (the two seams), then `session`
//! and `fleet` (the core), then a front end.

pub mod accounts;
pub mod app;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod domain;
pub mod fleet;
pub mod hooks;
pub mod hypervisor;
pub mod json;
pub mod logging;
pub mod manage;
pub mod once;
pub mod png;
pub mod private_file;
pub mod profile;
pub mod program;
pub mod report;
pub mod resolve;
pub mod serve;
pub mod session;
pub mod sim;
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;
pub mod tui;
pub mod vault;
