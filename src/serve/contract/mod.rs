//! The contracts of the two systems this server stands in for, each a thin translation onto the same
//! fleet, policy, operations and audit as everything else. Bodies and status codes are theirs.

pub mod bot;
pub mod portal;
