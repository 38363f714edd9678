//! The VM table: what the program is for.

mod keys;
mod state;
mod view;

pub use self::keys::*;
pub use self::state::{Quick, Vms};
pub use self::view::{draw, status};
