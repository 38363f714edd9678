//! The audit log: who wanted what, on disk before anything is sent, and how it ended.
//!
//! JSON lines in `audit-NNNNNN.jsonl`, mode 0600, appended only. Every line carries the SHA-256 of the
//! line before it and, where the profile is unlocked, a MAC; two processes may append to one log. What
//! cannot be made durable is not acknowledged, and what is not acknowledged is not done: the caller
//! refuses the action. Reading and checking need no open log.
//!
//! Layers, bottom up: `medium` (files, replaceable in tests), `line` (one record as bytes), `chain`
//! (append under a lock, repair, rotate), [`log`] (the writer thread and its handle), `read` and
//! [`verify()`].

mod chain;
pub mod error;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
pub mod line;
mod live;
pub mod log;
mod medium;
mod page;
mod read;
#[cfg(test)]
mod tests;
pub mod verify;

pub use self::error::AuditError;
pub use self::log::{AuditLog, AuditOptions, Recovered};
pub use self::page::PageWish;
pub use self::verify::{Finding, Problem, Verification, verify};
