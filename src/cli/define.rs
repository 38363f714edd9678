//! `--once define`: the definition of one VM, printed or taken from a file.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::script::{DoArgs, with};

/// Name of the command.
pub(super) const DEFINE: &str = "define";

/// A definition to print, or to write.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Without a file the definition is printed as the host keeps it, with `*** kept ***` in place of passwords; where
that still stands in the file, the password stays as it is. libvirt only; what runs goes on as it is.

Examples:
  vmdeck --once define web-1 >web-1.xml
  vmdeck --once define web-1 --file web-1.xml --dry-run
  vmdeck --once define web-1 --file web-1.xml --yes")]
pub struct DefineArgs {
    /// The VM: a name, `host/name`, or an id.
    #[arg(value_name = "TARGET")]
    pub target: String,

    /// The definition that it is to have; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Its conditions.
    #[command(flatten)]
    pub doing: DoArgs,
}

/// Returns the command.
pub(super) fn command() -> Command {
    with::<DefineArgs>(
        Command::new(DEFINE).about("Print the definition of a VM, or write it from a file."),
    )
}

/// Reads it.
pub(super) fn read(matches: &ArgMatches) -> Result<DefineArgs, clap::Error> {
    DefineArgs::from_arg_matches(matches)
}
