//! How good a new passphrase is: whether it is known from leaks, and how long it would hold.
//!
//! Nothing is looked up anywhere: the list of leaked ones is part of the program, so that no passphrase, nor
//! a piece or a digest of one, leaves the machine.

pub mod leaked;
pub mod strength;

pub use self::strength::Strength;
