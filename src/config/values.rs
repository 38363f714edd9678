//! The configuration's values, as plain data. What each means is said once, in [`super::keys`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::own::{Hook, OwnCommand};
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
    /// How much is done at once.
    pub actions: ActionsConfig,
    /// How the dashboard looks and listens.
    pub tui: TuiConfig,
    /// How scripted commands behave.
    pub once: OnceConfig,
    /// How the REST server listens and what it allows.
    pub serve: ServeConfig,
    /// What the program writes about itself.
    pub log: LogConfig,
    /// Who may do what; tried in order.
    pub policy: Vec<Rule>,
    /// Commands of the operator's own.
    pub commands: Vec<OwnCommand>,
    /// What is run when something happens.
    pub hooks: Vec<Hook>,
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

/// `[actions]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionsConfig {
    /// Operations of one order about several VMs that go on at once on a host.
    pub bulk_per_host: u32,
    /// How long `:rw` lifts the read-only of hosts unless it says so.
    pub lift_for: Duration,
    /// Age from which on a VM snapshot is old.
    pub old_snapshot: Duration,
}

impl Default for ActionsConfig {
    fn default() -> Self {
        Self {
            bulk_per_host: 8,
            lift_for: Duration::from_secs(15 * 60),
            old_snapshot: Duration::from_secs(30 * 86_400),
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
    /// How pictures are shown.
    pub pictures: PictureChoice,
    /// Program for the graphics of VMs, with its arguments; empty = whichever is there.
    pub viewer: Vec<String>,
    /// Program for definitions, with its arguments; empty = whichever the environment names.
    pub editor: Vec<String>,
    /// Most bytes of a recording.
    pub record_limit: u64,
    /// What is told beside the screen without asking.
    pub notify: Vec<String>,
    /// How.
    pub notify_by: NotifyWay,
    /// With which program, where it is one.
    pub notify_command: Vec<String>,
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
            pictures: PictureChoice::Auto,
            viewer: Vec::new(),
            editor: Vec::new(),
            record_limit: 64 * 1024 * 1024,
            notify: super::own_keys::TOPICS
                .iter()
                .map(|word| (*word).to_owned())
                .collect(),
            notify_by: NotifyWay::default(),
            notify_command: ["notify-send", "vmdeck", "{text}"]
                .map(str::to_owned)
                .to_vec(),
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

/// `[serve]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Certificate chain in PEM; together with the key it switches TLS on.
    pub tls_certificate: Option<PathBuf>,
    /// Private key of the certificate in PEM.
    pub tls_key: Option<PathBuf>,
    /// Response of OCSP about the certificate in DER.
    pub tls_ocsp: Option<PathBuf>,
    /// Names under which the server is asked, besides its address and `localhost`.
    pub names: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long running requests and operations may take when the server ends.
    pub grace: Duration,
    /// How long an answer is kept for a request that comes again under its `Idempotency-Key`.
    pub idempotency: Duration,
    /// Ceilings.
    pub limit: ServeLimits,
    /// The bot contract.
    pub bot: BotConfig,
    /// What the portal contract did and ours does not by itself.
    pub compat: CompatConfig,
    /// Addresses that hosts added over the API may have although they are refused by themselves.
    pub dial_allow: Vec<IpNet>,
    /// Whether only requests with the second signature are accepted.
    pub require_v2: bool,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            tls_certificate: None,
            tls_key: None,
            tls_ocsp: None,
            names: Vec::new(),
            trusted_proxies: Vec::new(),
            grace: Duration::from_secs(5),
            idempotency: Duration::from_secs(24 * 3600),
            limit: ServeLimits::default(),
            bot: BotConfig::default(),
            compat: CompatConfig::default(),
            dial_allow: Vec::new(),
            require_v2: false,
        }
    }
}

/// `[serve.limit]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeLimits {
    /// Connections at the same time.
    pub connections: u32,
    /// Of them from one address.
    pub connections_per_address: u32,
    /// How long a connection may wait for the whole head of its next request.
    pub header_time: Duration,
    /// Bytes of the head of a request.
    pub header_bytes: u64,
    /// Fields of the head of a request.
    pub headers: u32,
    /// Bytes of the body of a request.
    pub body_bytes: u64,
    /// How long the body of a request may take.
    pub body_time: Duration,
    /// How long a request may take, waiting for an operation included.
    pub request_time: Duration,
    /// Requests at the same time.
    pub in_flight: u32,
    /// Of them with one key.
    pub in_flight_per_key: u32,
    /// Of them waiting for one host.
    pub in_flight_per_host: u32,
    /// Requests a second with one key.
    pub rate_per_key: u32,
    /// Requests a second from one address.
    pub rate_per_address: u32,
    /// Wrong keys a minute from one address.
    pub failures_per_address: u32,
    /// Users made an hour from one address, where anybody may.
    pub registrations_per_address: u32,
    /// Hosts dialled for the first time a minute by one user.
    pub dials_per_user: u32,
    /// Hosts that a profile may have before the API adds no more.
    pub hosts_per_profile: u32,
    /// Credentials that a profile may have before the API seals no more.
    pub credentials_per_profile: u32,
    /// Readers of the event stream at the same time.
    pub event_readers: u32,
    /// Events kept for one of them before it is cut off.
    pub event_buffer: u32,
    /// Fleets of users at the same time.
    pub fleets: u32,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 256,
            header_time: Duration::from_secs(10),
            header_bytes: 16 * 1024,
            headers: 64,
            body_bytes: 64 * 1024,
            body_time: Duration::from_secs(10),
            request_time: Duration::from_secs(30),
            in_flight: 512,
            in_flight_per_key: 64,
            in_flight_per_host: 64,
            rate_per_key: 100,
            rate_per_address: 200,
            failures_per_address: 10,
            registrations_per_address: 5,
            dials_per_user: 10,
            hosts_per_profile: 2_000,
            // Each agent of the portal contract has one of its own, and some are being exchanged.
            credentials_per_profile: 4_000,
            event_readers: 64,
            event_buffer: 64,
            fleets: 256,
        }
    }
}

/// `[serve.bot]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotConfig {
    /// The profile whose VMs it is about.
    pub profile: String,
    /// File with its key; without one (and without `API_KEY`) the contract is off.
    pub api_key_file: Option<PathBuf>,
    /// File with the secret of its signatures; without one (and without `HMAC_SECRET`) none is asked for.
    pub hmac_secret_file: Option<PathBuf>,
    /// Who may ask; empty = everybody.
    pub allow: Vec<IpNet>,
    /// How old the timestamp of a signed POST may be.
    pub post_window: Duration,
    /// How old the timestamp of a signed GET may be.
    pub get_window: Duration,
}

impl Default for BotConfig {
    fn default() -> Self {
        Self {
            profile: "default".to_owned(),
            api_key_file: None,
            hmac_secret_file: None,
            allow: Vec::new(),
            post_window: Duration::from_secs(60),
            get_window: Duration::from_secs(300),
        }
    }
}

/// `[serve.compat]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompatConfig {
    /// Whether anybody may make a user.
    pub open_registration: bool,
    /// Whether private keys may be read back.
    pub credential_export: bool,
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
    /// How pictures of VMs' screens are shown.
    PictureChoice {
        /// As the name of the terminal suggests.
        #[default]
        Auto = "auto",
        /// As half blocks.
        Blocks = "blocks",
        /// As pixels, by the protocol of kitty.
        Kitty = "kitty",
        /// As pixels, as sixels.
        Sixel = "sixel",
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

words!(
    /// How a person is told who looks elsewhere.
    NotifyWay {
        /// By the terminal's bell: every terminal has one, and tmux passes it on.
        #[default]
        Bell = "bell",
        /// By a message (OSC 9: iTerm2, `WezTerm`, kitty, Ghostty).
        Osc9 = "osc9",
        /// By a message with a title (OSC 777: urxvt, foot, `WezTerm`, Ghostty).
        Osc777 = "osc777",
        /// By a program.
        Command = "command",
        /// Not at all.
        Off = "off",
    }
);

words!(
    /// What an own command is about.
    OwnScope {
        /// The VMs that are meant.
        #[default]
        Vm = "vm",
        /// The host under the cursor.
        Host = "host",
        /// Nothing in particular.
        Any = "any",
    }
);

words!(
    /// What becomes of what an own command writes.
    OwnOutput {
        /// It is dropped; how it ended is told.
        #[default]
        None = "none",
        /// It is shown.
        Popup = "popup",
        /// The command has the terminal until it ends.
        Terminal = "terminal",
    }
);

words!(
    /// What a hook waits for.
    HookEvent {
        /// An operation is over.
        #[default]
        OperationEnded = "operation-ended",
        /// A host does not answer any more, or needs a person.
        HostLost = "host-lost",
        /// It answers again.
        HostBack = "host-back",
        /// A VM is in another state.
        VmState = "vm-state",
        /// A VM crashed.
        VmCrashed = "vm-crashed",
    }
);
