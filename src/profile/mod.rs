//! The profile: what is remembered between two runs. Hosts, pinned host keys, sealed credentials, the
//! last known inventory, the wrapped identity, a person's settings of the screen and the mirror of the audit log's end.
//!
//! A profile is a directory of mode 0700 with `profile.db` (SQLite, mode 0600) and `audit/`. Every
//! query runs on one thread per open profile ([`store`]); nothing outside this folder knows SQL.
//! Profiles do not see each other. Two processes may share one.

pub mod credentials;
pub mod directory;
pub mod error;
pub mod hosts;
pub mod inventory_cache;
pub mod known_hosts;
pub mod migration;
pub mod name;
pub mod preferences;
pub mod state;
pub mod store;

pub use self::directory::Profile;
pub use self::error::ProfileError;
pub use self::name::ProfileName;
