//! PowerShell, as far as a host's scripts go: an evaluator of the language and the Windows process
//! host around it. A script's meaning is executed; its text never decides an answer.
//!
//! ```text
//! command line -> cmd / outer shell -> powershell.exe's arguments -> parser -> interpreter -> Machine
//! ```
//!
//! The interpreter is synchronous and runs on a blocking thread. What a script reaches beyond the
//! language is a [`Machine`]'s: its commands, objects, clock and processes.

mod ast;
pub(in crate::sim) mod call;
pub(in crate::sim) mod error;
pub(in crate::sim) mod life;
pub(in crate::sim) mod machine;
mod native;
pub(in crate::sim) mod object;
pub(in crate::sim) mod spec;
pub(in crate::sim) mod time;
pub(in crate::sim) mod value;
