//! The vault: the only place where a profile's secrets are open, and only for as long as they must be.
//!
//! Each profile has one age identity (X25519), stored wrapped with the passphrase (scrypt). Credentials
//! are sealed to its public half, so adding one needs no unlock; opening one needs the identity, which
//! is held here, wiped on lock and when idle. The vault stores nothing and knows no database.
//!
//! ```text
//! Empty --create_identity--> Unlocked <--unlock-- Locked
//!                            Unlocked --lock, idle--> Locked
//! ```

pub mod error;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
pub mod keyring;
pub mod seal;

pub use self::error::VaultError;
pub use self::keyring::Vault;
pub use self::seal::SealContext;
