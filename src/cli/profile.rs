//! `vmdeck profile | credential | audit | config ...`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::domain::credential::CredentialName;
use crate::domain::host::HostName;

/// What to do with profiles.
#[derive(Debug, Clone, Subcommand)]
pub enum ProfileCommand {
    /// Create a profile.
    Create {
        /// Its name.
        name: String,
        /// Set its passphrase now; otherwise with its first credential.
        #[arg(long)]
        passphrase: bool,
    },
    /// List the profiles.
    List,
    /// Change a profile's passphrase, or the server's own.
    Passwd {
        /// Its name [default: the one in use].
        name: Option<String>,
        /// The passphrase that the server starts with, instead of a profile's.
        #[arg(long, conflicts_with = "name")]
        server: bool,
        /// Read the new passphrase from this open file descriptor.
        #[arg(long, value_name = "N")]
        new_passphrase_fd: Option<i32>,
    },
    /// Let the server open a profile: its users work there without the passphrase.
    Grant {
        /// Its name [default: the one in use].
        name: Option<String>,
    },
    /// Take a granted profile back: the server ends its fleet and forgets how to open it.
    TakeBack {
        /// Its name [default: the one in use].
        name: Option<String>,
    },
    /// Remove a profile with its hosts, credentials and audit log.
    Rm {
        /// Its name.
        name: String,
        /// Really.
        #[arg(long)]
        yes: bool,
    },
}

/// What to do with credentials.
#[derive(Debug, Clone, Subcommand)]
pub enum CredentialCommand {
    /// Seal a key or a password into the profile. Needs no passphrase, but the first one sets it.
    Add(CredentialAdd),
    /// List the credentials.
    List,
    /// Remove a credential that no host uses.
    Rm {
        /// Its name.
        name: CredentialName,
    },
    /// Give the hosts that log in with it a new key, one after the other.
    Rotate(CredentialRotate),
    /// Print the public half of a key, for `authorized_keys`.
    Public {
        /// Its name.
        name: CredentialName,
    },
}

/// `credential add`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck credential add ops --generate ed25519
  vmdeck credential add old --key-file ~/.ssh/id_rsa
  pass show kvm | vmdeck credential add kvm-root --password-stdin")]
pub struct CredentialAdd {
    /// A name of your choice.
    pub name: CredentialName,

    /// Where it comes from.
    #[command(flatten)]
    pub source: CredentialSource,

    /// Read the key's own passphrase from this open file descriptor.
    #[arg(long, value_name = "N")]
    pub key_passphrase_fd: Option<i32>,

    /// OpenSSH certificate for the key [default: `PATH-cert.pub` beside it, where there is one].
    #[arg(long, value_name = "PATH")]
    pub certificate: Option<PathBuf>,
}

/// `credential rotate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
For each host: log in as now and let the new key in, log in with it over a connection of its own, and only then
use it; the old key is taken away last. Wherever it stops there is a login that works, and it can be run again.

Examples:
  vmdeck credential rotate ops --dry-run
  vmdeck credential rotate ops --host kvm1 --keep-old
  vmdeck credential rotate ops --remove-old")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct CredentialRotate {
    /// Its name; the new key has it in the end.
    pub name: CredentialName,

    /// Only this host; may be repeated.
    #[arg(long, value_name = "HOST")]
    pub host: Vec<HostName>,

    /// Leave the old key on the hosts, and keep it as `NAME.old`.
    #[arg(long)]
    pub keep_old: bool,

    /// Take a key that was kept as `NAME.old` off the hosts, and forget it.
    #[arg(long, conflicts_with = "keep_old")]
    pub remove_old: bool,

    /// Show what would be run, and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// Where a credential comes from; exactly one.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct CredentialSource {
    /// A private key file.
    #[arg(long, value_name = "PATH")]
    pub key_file: Option<PathBuf>,

    /// A private key on standard input.
    #[arg(long)]
    pub stdin: bool,

    /// Make a new key of this kind.
    #[arg(long, value_name = "KIND", value_parser = ["ed25519"])]
    pub generate: Option<String>,

    /// A password on standard input, up to its first line end.
    #[arg(long)]
    pub password_stdin: bool,
}

/// What to do with the record.
#[derive(Debug, Clone, Subcommand)]
pub enum AuditCommand {
    /// Print the last records.
    Tail(AuditTail),
    /// Check that no record was changed, removed or moved.
    Verify,
    /// Print all records as they are kept, one JSON object a line.
    Export,
    /// Accept that the end of the record was lost, and write down that it was.
    AcceptCut(AuditAcceptCut),
}

/// `audit accept-cut`.
#[derive(Debug, Clone, Args)]
pub struct AuditAcceptCut {
    /// Why it is accepted: kept in the record.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// `audit tail`.
#[derive(Debug, Clone, Args)]
pub struct AuditTail {
    /// How many.
    #[arg(short = 'n', value_name = "N", default_value_t = 20)]
    pub count: usize,

    /// Go on as records are added, until interrupted.
    #[arg(long, short)]
    pub follow: bool,

    /// As they are kept, one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// What to do with the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Print every value in force.
    Show {
        /// And where each comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Read the configuration and say whether it is in order.
    Check,
    /// Print where the configuration file and the profiles are.
    Path,
}
