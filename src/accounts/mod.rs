//! The accounts of the server: users, their API keys, the profiles granted to it, and what it has
//! answered to requests that may come again.
//!
//! One SQLite file, `server.db`, in a directory of mode 0700 beside the profiles; every query runs on
//! one thread. An API key is kept as a keyed digest only: neither a copy of the database nor of a
//! backup of it lets anybody in. Nothing here knows HTTP, and nothing outside this folder knows SQL.

pub mod agent;
pub mod error;
pub mod grant;
pub mod idempotency;
pub mod key;
mod legacy;
pub mod old_portal;
mod pepper;
mod rekey;
pub mod scopes;
mod store;
pub mod token;
pub mod user;
pub mod watch;

pub use self::agent::Agent;
pub use self::error::AccountsError;
pub use self::grant::Grant;
pub use self::idempotency::{Begun, StoredAnswer};
pub use self::key::{Access, AuthRefusal, IssuedKey, KeyInfo, NewKey};
pub use self::scopes::{Permission, Scopes};
pub use self::store::Accounts;
pub use self::user::{ImportedKey, NewUser, User};
pub use self::watch::{KeyChange, KeyFate, KeyWatch};
