//! The REST server.

pub mod client_address;
pub mod contract;
pub mod dial_guard;
