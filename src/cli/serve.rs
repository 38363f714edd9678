//! `vmdeck --serve` and `vmdeck user ...`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::script;

/// Options of `--serve`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServeArgs {
    /// Serve the fleet over HTTP until told to end.
    #[arg(long, conflicts_with = "once")]
    pub serve: bool,

    /// Where to listen [default: the configured address, else 127.0.0.1:8000].
    #[arg(long, value_name = "ADDRESS:PORT", requires = "serve")]
    pub listen: Option<SocketAddr>,

    /// Certificate chain in PEM: serve over TLS.
    #[arg(long, value_name = "FILE", requires = "serve")]
    pub tls_certificate: Option<PathBuf>,

    /// Private key of the certificate in PEM.
    #[arg(long, value_name = "FILE", requires = "serve")]
    pub tls_key: Option<PathBuf>,

    /// Listen beyond this machine without TLS; only where a proxy does the encrypting.
    #[arg(long, requires = "serve")]
    pub insecure_plaintext: bool,

    /// Put the key that the first start makes into this new file (mode 0600) instead of printing it.
    #[arg(long, value_name = "FILE", requires = "serve", conflicts_with = "demo")]
    pub first_key_file: Option<PathBuf>,
}

/// What to do with users of the server.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Add a user and print their API key, once.
    Add(UserAdd),
    /// List the users and their keys.
    List {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a user with their keys. Their profile stays.
    Rm {
        /// Name, email address or id.
        user: String,
        /// Really.
        #[arg(long)]
        yes: bool,
    },
    /// Make a new key for a user and take the others back.
    Rotate {
        /// Name, email address or id.
        user: String,
        /// Let the old keys work this long, while clients change over, like `1h`.
        #[arg(long, value_name = "TIME", value_parser = script::time)]
        keep_old: Option<Duration>,
    },
    /// Replace the key under which the digests of all API keys are kept; the API keys go on.
    #[command(after_help = "\
The new one is in use at once, in a server that runs too. Each API key passes over the next time
somebody comes with it. --finish ends the former one, and with it the API keys that have not passed
over; without --yes it says which ones and asks.")]
    Rekey {
        /// End the former one.
        #[arg(long)]
        finish: bool,
        /// Really.
        #[arg(long)]
        yes: bool,
    },
    /// Take one key back.
    Revoke {
        /// Its id, as `user list` shows it.
        key: String,
    },
}

/// `user add`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck user add ann                                  a profile of her own
  vmdeck user add ci --in default --host 'kvm*' --verb start --verb shutdown --expires 90d
  vmdeck user add wallboard --in default --look-only

Without --host, --tag and --verb a key may do everything in its profile.")]
pub struct UserAdd {
    /// A name of your choice.
    pub name: String,

    /// Email address; no two users have the same.
    #[arg(long)]
    pub email: Option<String>,

    /// Work in this profile [default: one of their own]. It has to be granted: `vmdeck profile grant`.
    #[arg(long = "in", value_name = "PROFILE")]
    pub profile: Option<String>,

    /// May make users over the API.
    #[arg(long)]
    pub admin: bool,

    /// Only hosts of this name; may hold `*`, may be repeated.
    #[arg(long, value_name = "PATTERN")]
    pub host: Vec<String>,

    /// Only hosts with this tag; may hold `*`, may be repeated.
    #[arg(long, value_name = "PATTERN")]
    pub tag: Vec<String>,

    /// Only this verb, like `start` or `force-*`; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    pub verb: Vec<String>,

    /// The key may only look.
    #[arg(long)]
    pub look_only: bool,

    /// The key ends by itself after this time, like `90d`.
    #[arg(long, value_name = "TIME", value_parser = long_time)]
    pub expires: Option<Duration>,
}

/// Reads a length of time in hours or days.
fn long_time(text: &str) -> Result<Duration, String> {
    crate::config::keys::parse_duration(text)
        .filter(|time| *time >= Duration::from_secs(60))
        .ok_or_else(|| format!("`{text}` is no length of time (like `12h` or `90d`)"))
}
