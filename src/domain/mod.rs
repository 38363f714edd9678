//! Pure data and rules: the words of the field, as types.
//!
//! Nothing here does I/O, knows tokio, a database or a terminal. Every layer above speaks in these
//! types, and the three front ends show nothing else.

#![warn(missing_docs)]
#![deny(clippy::wildcard_enum_match_arm)]

pub mod action;
pub mod audit;
pub mod capability;
pub mod console;
pub mod credential;
pub mod definition;
pub mod edit;
pub mod error_kind;
pub mod event;
pub mod graphics;
pub mod guest_account;
pub mod guest_command;
pub mod guest_login;
pub mod health;
pub mod host;
pub mod host_key;
pub mod host_words;
pub mod inventory;
pub mod metrics;
pub mod operation;
pub mod passphrase;
pub mod picture;
pub mod policy;
pub mod preference;
pub mod recording;
pub mod redact;
pub mod remote_command;
pub mod secret;
pub mod selector;
pub mod snapshot;
pub mod store;
pub mod store_action;
pub mod store_operation;
pub mod text;
pub mod units;
pub mod vm;
