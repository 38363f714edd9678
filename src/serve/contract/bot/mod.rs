//! The bot contract: `x-api-key`, signed bodies, an allow list, VMs by name.

pub mod replay;
pub mod signature;
pub mod timestamp;
