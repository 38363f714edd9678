//! The configuration's values, as plain data. What each means is said once, in [`super::keys`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::policy::Rule;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// How often hosts are read.
    pub poll: PollConfig,
    /// How hosts are reached.
    pub ssh: SshConfig,
    /// How long secrets stay open.
    pub vault: VaultConfig,
    /// How the audit log is kept.
    pub audit: AuditConfig,
    /// How the dashboard looks and listens.
    pub tui: TuiConfig,
    /// How scripted commands behave.
    pub once: OnceConfig,
    /// What the program writes about itself.
    pub log: LogConfig,
    /// Who may do what; tried in order.
    pub policy: Vec<Rule>,
}

/// `[poll]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollConfig {
    /// Between two reads of a libvirt host.
    pub libvirt_tick: Duration,
    /// Between two reads of a Hyper-V host.
    pub hyperv_tick: Duration,
    /// Between two reads of slow facts.
    pub slow_facts: Duration,
    /// Factor on the ticks of hosts that nobody looks at.
    pub unfocused_factor: u32,
    /// How long a read may take.
    pub deadline: Duration,
}

impl Default for PollConfig {
    fn default() -> Self {
        Self {
            libvirt_tick: Duration::from_secs(3),
            hyperv_tick: Duration::from_secs(5),
            slow_facts: Duration::from_secs(60),
            unfocused_factor: 3,
            deadline: Duration::from_secs(10),
        }
    }
}

/// `[ssh]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshConfig {
    /// How long dialling may take.
    pub connect_timeout: Duration,
    /// How long logging in may take.
    pub auth_timeout: Duration,
    /// Between two questions whether the peer is still there.
    pub keepalive: Duration,
    /// Files of known host keys, `~` resolved.
    pub known_hosts: Vec<PathBuf>,
    /// Files of the SSH client's configuration, `~` resolved.
    pub client_config: Vec<PathBuf>,
    /// Whether the SSH agent may be asked.
    pub agent: bool,
    /// Handshakes at the same time.
    pub max_handshakes: u32,
}

impl Default for SshConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            auth_timeout: Duration::from_secs(20),
            keepalive: Duration::from_secs(15),
            known_hosts: vec![
                "~/.ssh/known_hosts".into(),
                "/etc/ssh/ssh_known_hosts".into(),
            ],
            client_config: vec!["~/.ssh/config".into(), "/etc/ssh/ssh_config".into()],
            agent: true,
            max_handshakes: 16,
        }
    }
}

/// `[vault]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultConfig {
    /// Secrets are locked after this time without use; zero = never. See [`Self::idle`].
    pub idle_lock: Duration,
}

impl VaultConfig {
    /// Returns the idle time, or `None` when secrets stay open.
    pub fn idle(&self) -> Option<Duration> {
        (!self.idle_lock.is_zero()).then_some(self.idle_lock)
    }
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self {
            idle_lock: Duration::from_secs(15 * 60),
        }
    }
}

/// `[audit]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// Size (bytes) at which a new segment is begun.
    pub rotate_bytes: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            rotate_bytes: 16 * 1024 * 1024,
        }
    }
}

/// `[tui]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuiConfig {
    /// Name of the theme.
    pub theme: String,
    /// Whether to use colour.
    pub color: ColorChoice,
    /// Only ASCII characters.
    pub ascii: bool,
    /// Listen to the mouse.
    pub mouse: bool,
    /// Short header.
    pub compact: bool,
    /// Command id to its keys, in place of the built-in ones; an empty list takes the keys away.
    pub keys: BTreeMap<String, Vec<String>>,
}

impl Default for TuiConfig {
    fn default() -> Self {
        Self {
            theme: "dark".to_owned(),
            color: ColorChoice::Auto,
            ascii: false,
            mouse: false,
            compact: false,
            keys: BTreeMap::new(),
        }
    }
}

/// `[once]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceConfig {
    /// How long a scripted command may take.
    pub timeout: Duration,
    /// Form of what it prints.
    pub output: OutputChoice,
}

impl Default for OnceConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            output: OutputChoice::Table,
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogConfig {
    /// How much is written.
    pub level: LogLevel,
    /// Where to; `None` = `vmdeck.log` in the state directory, or standard error where no screen is open.
    pub file: Option<PathBuf>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// Returns the word.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Reads a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

words!(
    /// Whether to use colour.
    ColorChoice {
        /// Where the terminal can and nobody forbids it.
        #[default]
        Auto = "auto",
        /// In any case.
        Always = "always",
        /// Never.
        Never = "never",
    }
);

words!(
    /// Form of what a scripted command prints.
    OutputChoice {
        /// For people.
        #[default]
        Table = "table",
        /// One document.
        Json = "json",
        /// One document a line.
        Ndjson = "ndjson",
        /// For spreadsheets.
        Csv = "csv",
        /// For wikis.
        Markdown = "markdown",
    }
);

words!(
    /// How much the program writes about itself.
    LogLevel {
        /// What failed.
        Error = "error",
        /// And what may become a failure.
        Warn = "warn",
        /// And what it did.
        #[default]
        Info = "info",
        /// And how.
        Debug = "debug",
        /// And every step of it.
        Trace = "trace",
    }
);
