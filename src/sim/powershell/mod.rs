//! PowerShell, as far as a host's scripts go: an evaluator of the language and the Windows process
//! host around it. A script's meaning is executed; its text never decides an answer.
//!
//! ```text
//! command line -> cmd / outer shell -> powershell.exe's arguments -> parser -> interpreter -> Machine
//! ```
//!
//! The interpreter is synchronous and runs on a blocking thread. What a script reaches beyond the
//! language is a [`machine::Machine`]'s: its commands, objects, clock and processes.

mod arguments;
mod ast;
#[cfg(test)]
mod bench;
pub(in crate::sim) mod call;
mod chars;
mod clixml;
mod cmd;
mod cmdlets;
mod codepage;
mod compare;
mod console;
mod convert;
mod dates;
mod dotnet;
pub(in crate::sim) mod error;
mod format;
mod interp;
pub(in crate::sim) mod life;
pub(in crate::sim) mod machine;
mod native;
pub(in crate::sim) mod object;
mod operators;
mod parse;
mod pattern;
pub(in crate::sim) mod process;
#[cfg(test)]
mod process_tests;
mod programs;
mod render;
pub(in crate::sim) mod spec;
mod text;
pub(in crate::sim) mod time;
mod types;
pub(in crate::sim) mod value;
