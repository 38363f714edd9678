//! `vmdeck host ...`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::domain::credential::CredentialName;
use crate::domain::host::{Endpoint, HostName, Jump, KindChoice, LibvirtUri, Tag, Tier, UserName};

/// What to do with hosts.
#[derive(Debug, Clone, Subcommand)]
pub enum HostCommand {
    /// Add a host. Needs no passphrase.
    Add(Box<HostAdd>),
    /// Change a host.
    Edit(Box<HostEdit>),
    /// Forget a host, the keys pinned for it and its last inventory.
    Rm {
        /// Its name.
        name: HostName,
    },
    /// List the hosts of the profile.
    List {
        /// Print the definitions as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show how a host is defined.
    Show {
        /// Its name.
        name: HostName,
    },
    /// Look at a host's key and pin it.
    Trust(HostTrust),
    /// Check a host step by step and say what to mend.
    Doctor {
        /// Its name.
        name: HostName,
        /// Print the findings as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a key of the profile into the account, and log in with it from now on.
    DeployKey(HostDeployKey),
    /// Record its answers to questions that change nothing, for tests and bug reports.
    Record(HostRecord),
    /// Take hosts over from the SSH client's configuration.
    Import(HostImport),
}

/// `host deploy-key`.
#[derive(Debug, Clone, Args)]
pub struct HostDeployKey {
    /// Its name.
    pub name: HostName,

    /// The credential whose key it is; `vmdeck credential add NAME --generate ed25519` makes one.
    #[arg(long, value_name = "NAME")]
    pub credential: CredentialName,

    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// How to log in; at most one.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct LoginArgs {
    /// Log in with this credential of the profile.
    #[arg(long, value_name = "NAME")]
    pub credential: Option<CredentialName>,

    /// Log in with this private key file.
    #[arg(long, value_name = "PATH")]
    pub key_file: Option<PathBuf>,

    /// Log in with the SSH agent only.
    #[arg(long)]
    pub agent: bool,
}

/// `host add`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  vmdeck host add kvm1 --address kvm1.lan --user ops
  vmdeck host add kvm2 --address 10.0.3.7:2222 --user root --key-file ~/.ssh/id_ed25519 --tier prod
  vmdeck host add inner --address 10.9.0.4 --jump ops@gate --sudo --tag db --tag blue

Without --credential, --key-file or --agent it logs in as the SSH client would.")]
pub struct HostAdd {
    /// A name of your choice.
    pub name: HostName,

    /// Where it listens for SSH; an alias of the SSH client's configuration will do.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub address: Endpoint,

    /// Account to log in with [default: as the SSH client would].
    #[arg(long)]
    pub user: Option<UserName>,

    /// Hypervisor: auto, libvirt or hyperv.
    #[arg(long, default_value = "auto")]
    pub kind: KindChoice,

    /// libvirt connection URI, like `qemu:///system`.
    #[arg(long)]
    pub uri: Option<LibvirtUri>,

    /// Run the hypervisor's tool with `sudo -n`.
    #[arg(long)]
    pub sudo: bool,

    /// Login.
    #[command(flatten)]
    pub login: LoginArgs,

    /// Host to jump over, nearest first; may be repeated.
    #[arg(long, value_name = "[USER@]HOST[:PORT]")]
    pub jump: Vec<Jump>,

    /// How much it matters: prod, stage, dev, or your own word.
    #[arg(long)]
    pub tier: Option<Tier>,

    /// A label; may be repeated.
    #[arg(long)]
    pub tag: Vec<Tag>,

    /// Pin whatever key it shows first, without asking.
    #[arg(long, conflicts_with = "host_key")]
    pub accept_new_host_key: bool,

    /// Pin this key, as in a line of `known_hosts`: `ssh-ed25519 AAAA...`.
    #[arg(long, value_name = "KEY")]
    pub host_key: Option<String>,
}

/// `host edit`: what is not named stays as it is.
#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a command line"
)]
pub struct HostEdit {
    /// Its name.
    pub name: HostName,

    /// Give it another name.
    #[arg(long, value_name = "NAME")]
    pub rename: Option<HostName>,

    /// Where it listens for SSH.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub address: Option<Endpoint>,

    /// Account to log in with.
    #[arg(long)]
    pub user: Option<UserName>,

    /// Hypervisor: auto, libvirt or hyperv.
    #[arg(long)]
    pub kind: Option<KindChoice>,

    /// libvirt connection URI.
    #[arg(long)]
    pub uri: Option<LibvirtUri>,

    /// Use `sudo -n`: true or false.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub sudo: Option<bool>,

    /// Login.
    #[command(flatten)]
    pub login: LoginArgs,

    /// Log in as the SSH client would.
    #[arg(long, conflicts_with_all = ["credential", "key_file", "agent"])]
    pub default_login: bool,

    /// Hosts to jump over instead of the present ones.
    #[arg(long, value_name = "[USER@]HOST[:PORT]")]
    pub jump: Vec<Jump>,

    /// Jump over no host.
    #[arg(long, conflicts_with = "jump")]
    pub no_jump: bool,

    /// How much it matters.
    #[arg(long)]
    pub tier: Option<Tier>,

    /// Take its tier away.
    #[arg(long, conflicts_with = "tier")]
    pub no_tier: bool,

    /// Labels instead of the present ones.
    #[arg(long)]
    pub tag: Vec<Tag>,

    /// Take its labels away.
    #[arg(long, conflicts_with = "tag")]
    pub no_tag: bool,

    /// Allow changing VMs there again (`--read-only` forbids it).
    #[arg(long)]
    pub writable: bool,

    /// Connect to it, or not: true or false.
    #[arg(long, value_name = "BOOL")]
    pub enabled: Option<bool>,

    /// Pin whatever key it shows first: true or false.
    #[arg(long, value_name = "BOOL")]
    pub accept_new_host_key: Option<bool>,
}

/// `host trust`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Compare the fingerprint with the host's own, on its console:
  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")]
pub struct HostTrust {
    /// Its name.
    pub name: HostName,

    /// Take the new key in place of another one that is known.
    #[arg(long)]
    pub replace: bool,

    /// Accept only a key with this fingerprint, without asking.
    #[arg(long, value_name = "SHA256:...")]
    pub fingerprint: Option<String>,

    /// Accept the key it shows, without asking.
    #[arg(long, conflicts_with = "fingerprint")]
    pub yes: bool,
}

/// `host record`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Names, ids, addresses, paths and texts are replaced by stand-ins, the same one wherever it stands. Secrets are
never asked for. Read the files through before you give them to anybody.")]
pub struct HostRecord {
    /// Its name.
    pub name: HostName,

    /// Directory to write to; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `host import`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Without names and --all it only lists what could be taken over.")]
pub struct HostImport {
    /// Take over these.
    pub names: Vec<String>,

    /// Take over all.
    #[arg(long, conflicts_with = "names")]
    pub all: bool,

    /// Read this file instead of `~/.ssh/config`.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}
