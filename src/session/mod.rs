//! The session: one live relation with one host.
//!
//! [`machine`] decides (pure), `actor` does what was decided, the rest are its parts. A session never
//! reads a profile: what it needs to dial comes from a [`TargetSource`]. It tells the fleet what
//! happens through one bounded queue and never ends because a host misbehaves; it ends when its
//! token is cancelled, closing driver and link in so many words.

#![warn(missing_docs)]
#![deny(clippy::wildcard_enum_match_arm)]

mod actor;
pub mod backoff;
pub mod command_log;
pub mod connect;
pub mod limits;
pub mod link;
pub mod machine;
#[cfg(test)]
mod machine_tests;
pub mod message;
mod reading;

pub use self::actor::spawn;
pub use self::command_log::CommandLog;
pub use self::connect::{Handshakes, TargetSource};
pub use self::link::PerformError;
pub use self::message::{
    HostCommand, News, Observation, SessionContext, SessionHandle, SessionOptions, SessionUpdate,
};
