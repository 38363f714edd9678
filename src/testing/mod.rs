//! Test doubles that the library's own tests, benchmarks and pictures share (feature `testing`).
//!
//! Never part of a shipped binary. Names, addresses and hosts are invented.

pub mod fleet;
pub mod fuzz;
pub mod mutate;
pub mod names;
