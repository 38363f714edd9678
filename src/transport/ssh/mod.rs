//! SSH: one connection per host, channels for everything. The only place that knows russh.
//!
//! What the library leaves open is closed here (`docs/transport.md` tells why): every channel has a
//! task of its own that always drains it into bounded memory and closes it explicitly; session
//! channels are counted, also those that outlived their caller; whatever the server opens is refused;
//! every wait has a deadline; a connection whose task dies ends that link and nothing else.
//!
//! ```text
//! connect   dial, jump, deadlines, algorithms      known_hosts    what is known about keys (pure)
//! host_key  the answer to "is this the host?"      client_config  ~/.ssh/config (pure)
//! auth      ordered attempts, what was tried       key            private keys, bounded before opened
//! agent     its keys, its signatures               key_file       keys on this machine
//! link      the live connection and its slots      exec, process  one channel each, to its end
//! pattern   `*` and `?`, one step a symbol         small_file     files of this machine, bounded
//! ```

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enums hold dozens of variants that mean nothing here"
)]

pub mod client_config;
pub mod connect;
pub mod key;
pub mod keygen;
pub mod known_hosts;

mod agent;
mod auth;
mod cut;
mod exec;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod host_key;
mod key_file;
mod link;
mod pattern;
mod process;
mod signer;
mod small_file;
mod terminal;
mod transport;

pub use self::connect::{DialRule, SshConnector, SshOptions};
pub use self::transport::SshTransport;
