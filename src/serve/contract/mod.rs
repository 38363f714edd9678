//! The two older contracts, spoken as their clients know them: thin translations onto the same
//! fleet, policy, operations and audit as everything else. Bodies and status codes are theirs.

pub mod bot;
pub mod portal;

mod answer;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod path;
mod reach;
