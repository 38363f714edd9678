//! Programs of the operator's own, on this machine: an argument list from the configuration, filled with
//! values and started as it stands. No shell is involved, so no value can become a command; a value that
//! could become an option, or is not known, refuses the whole. Does not decide when a program is run.

mod error;
mod run;
mod template;
mod values;

pub use self::error::ProgramError;
pub use self::run::{Ran, run, run_in_terminal};
pub use self::template::{check, fill, shown};
pub use self::values::{HOST, VM, Values};
