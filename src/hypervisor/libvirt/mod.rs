//! libvirt, driven by `virsh` over the link: nothing is installed on the host.
//!
//! Read in this order: `command` (what is sent), `parse`, `state`, `node`, `definition`, `address` (what
//! comes back; all pure), `rates` and `inventory` (what two reads say together), `kept` and `worker` (how
//! questions travel), `facts`, `snapshot` and `detail` (the slow questions), `events`, `verdict` (what a failure means) and
//! `driver`, which ties them together; `look` is what a recording asks. `docs/libvirt.md` tells the same to people.

mod address;
mod command;
mod define;
mod definition;
mod detail;
mod display;
mod driver;
mod edit;
mod events;
mod facts;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod guest;
mod inventory;
mod kept;
mod keys;
mod look;
mod node;
mod parse;
mod rates;
mod reach;
mod room;
mod snapshot;
mod state;
mod store_parse;
mod stores;
mod uptime;
mod verdict;
mod worker;

pub use self::driver::{Libvirt, commands};
pub use self::reach::LibvirtReach;
pub use self::stores::command as store_command;
