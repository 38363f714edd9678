//! The commands that keep profiles, hosts, credentials, the record and the configuration.
//!
//! Each writes to the [`Desk`] it is given and ends with an exit code or a complaint; none touches the
//! terminal by itself, but for asking a passphrase where a person is there to be asked.

pub mod audit;
pub mod config;
pub mod credential;
pub mod doctor;
pub mod host;
pub mod host_key;
pub mod import;
pub mod import_portal;
pub mod passphrase;
pub mod profile;
pub mod recording;
pub mod rotate;
pub mod served;
pub mod trust;
pub mod unlock;
pub mod user;

mod columns;
mod desk;
mod record;
mod rekey;

pub use self::desk::{Desk, Told, could_not};
