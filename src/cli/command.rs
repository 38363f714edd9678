//! The whole definition: global options, and every command under its name.

use std::path::PathBuf;

use clap::{Args, Command, FromArgMatches, Parser, Subcommand};

use super::dashboard::DashboardArgs;
use super::documents::Shell;
use super::host::HostCommand;
use super::import::ImportCommand;
use super::profile::{AuditCommand, ConfigCommand, CredentialCommand, ProfileCommand};
use super::script;
use super::serve::{ServeArgs, UserCommand};
use crate::domain::error_kind::ExitCode;

const EXAMPLES: &str = "\
Examples:
  vmdeck --demo                                     look around, nothing needed
  vmdeck host add kvm1 --address kvm1.lan --user ops
  vmdeck host trust kvm1                            look at its key and accept it
  vmdeck                                            the dashboard
  vmdeck --once list --filter 'state:running cpu>80' -o json
  vmdeck --once shutdown kvm1/web-1 --yes
  vmdeck --demo --serve                             the REST server, nothing needed";

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a command line"
)]
pub struct Globals {
    /// Run one command, print its result and end.
    #[arg(long, global = true)]
    pub once: bool,

    /// Profile to work in [default: the configured one, else `default`].
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Global options"
    )]
    pub profile: Option<String>,

    /// Configuration file to read instead of the usual one.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,

    /// Refuse everything that changes a VM; with `host add`, mark that host so.
    #[arg(long, global = true, help_heading = "Global options")]
    pub read_only: bool,

    /// Use an embedded fleet on this machine instead of real hosts; nothing is kept.
    #[arg(long, global = true, help_heading = "Global options")]
    pub demo: bool,

    /// Read the profile's passphrase from this open file descriptor.
    #[arg(long, global = true, value_name = "N", help_heading = "Global options")]
    pub passphrase_fd: Option<i32>,

    /// Write a log to this file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub log_file: Option<PathBuf>,

    /// Say more: on standard error, or in the log of the dashboard.
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub verbose: bool,
}

/// One terminal dashboard for every VM you run, on libvirt and Hyper-V, over plain SSH.
///
/// Without a command it opens the dashboard. Nothing is installed on a hypervisor: vmdeck logs in
/// with SSH and runs what is there.
#[derive(Debug, Parser)]
#[command(name = "vmdeck", version, max_term_width = 100)]
pub(super) struct Root {
    #[command(flatten)]
    pub(super) globals: Globals,
    #[command(flatten)]
    pub(super) dashboard: DashboardArgs,
    #[command(flatten)]
    pub(super) serve: ServeArgs,
    #[command(subcommand)]
    pub(super) command: Option<Managing>,
}

/// Commands that keep profiles, hosts and credentials.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Managing {
    /// Create, list, re-key and remove profiles.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Add, change, check and trust hosts.
    #[command(subcommand)]
    Host(HostCommand),
    /// Keep keys and passwords, sealed.
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Read and verify the record of what was done.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Add, list and remove users of the server, and change their API keys.
    #[command(subcommand)]
    User(UserCommand),
    /// Take over from older programs.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page.
    Man {
        /// Of this command, instead of the whole program.
        command: Vec<String>,
    },
}

/// Returns the whole definition; the commands of `--once` are in it, hidden from the first help.
pub fn command() -> Command {
    let scripts = script::commands();
    let listed: Vec<String> = scripts
        .iter()
        .map(|script| {
            let about = script.get_about().map(ToString::to_string);
            format!("  {:<12} {}", script.get_name(), about.unwrap_or_default())
        })
        .collect();
    let codes: Vec<String> = ExitCode::ALL
        .into_iter()
        .map(|(code, meaning)| format!("  {}  {meaning}", code.code()))
        .collect();
    let after = format!(
        "Commands behind --once:\n{}\n\n{EXAMPLES}\n\nExit codes:\n{}",
        listed.join("\n"),
        codes.join("\n")
    );
    let root = <Root as clap::CommandFactory>::command().after_help(after);
    scripts
        .into_iter()
        .fold(root, |root, script| root.subcommand(behind_once(script)))
}

/// Lets a scripted command say how it is really written; it is hidden from the first help.
fn behind_once(script: Command) -> Command {
    // Of a copy: to render it, a definition is completed, and would miss the global options then.
    let usage = script.clone().render_usage().to_string();
    let words = usage.trim_start_matches("Usage: ");
    script
        .override_usage(format!("vmdeck --once {words}"))
        .hide(true)
}

/// Reads the parts that are derived.
pub(super) fn read_root(
    matches: &clap::ArgMatches,
) -> Result<(Globals, DashboardArgs, ServeArgs), clap::Error> {
    Ok((
        Globals::from_arg_matches(matches)?,
        DashboardArgs::from_arg_matches(matches)?,
        ServeArgs::from_arg_matches(matches)?,
    ))
}
