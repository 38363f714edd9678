//! Options of the dashboard: `vmdeck` without a command.

use std::path::PathBuf;

use clap::Args;

/// Options of the dashboard.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Dashboard")]
pub struct DashboardArgs {
    /// Record what is on the screen into a new file, as an asciicast (version 2).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["once", "serve"])]
    pub record: Option<PathBuf>,
}
