//! `~/.ssh/config`: what the person has already told their SSH client about a host.
//!
//! Read once with everything it includes, then asked without touching the disk. The rules are OpenSSH's
//! (`readconf.c`) for the keywords used here, and are tested against `ssh -G`: the first value wins,
//! except that `IdentityFile` adds up; `Host` takes patterns with `*`, `?` and `!`; an `Include` inside a
//! block belongs to it. What is not understood is not guessed: `Match` other than `all`, `ProxyCommand`
//! and unknown tokens are left out and reported as notes. The environment is not read here: the home
//! directory and the account's name are given.

mod config;
mod read;
mod resolve;

pub use self::config::{ClientConfig, ClientConfigError, ClientPaths, ResolvedHost};
