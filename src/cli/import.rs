//! `vmdeck import ...`: taking over from older programs.

use std::path::PathBuf;

use clap::Subcommand;

/// What to take over.
#[derive(Debug, Clone, Subcommand)]
pub enum ImportCommand {
    /// Take over users, their API keys and their agents from the database of the older portal.
    ///
    /// The file is only read. Ids are kept, the old API keys go on working, private keys are sealed.
    /// Running it again takes over what is new.
    Portal {
        /// The database [default: `MANAGEMENT_DB_PATH`, else data/management.sqlite3].
        file: Option<PathBuf>,
        /// Only say what would be taken over.
        #[arg(long)]
        dry_run: bool,
    },
}
