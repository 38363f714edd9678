//! Every key with its meaning, kind, range and default: the one table the rest is derived from.
//!
//! To add a key: a field in [`super::values`], a row here, then `config.example.toml` and
//! `docs/configuration.md` as the tests print them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use ipnet::IpNet;

use super::own_keys::OWN_KEYS;
use super::serve_keys::SERVE_KEYS;
use super::units::{parse_bytes, render_bytes};
pub use super::units::{parse_duration, render_duration};
use super::values::{ColorChoice, Config, LogLevel, NotifyWay, OutputChoice, PictureChoice};

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct KeySpec {
    /// `section.key`.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it means, one sentence.
    pub meaning: &'static str,
    /// Its place in the configuration.
    slot: fn(&mut Config) -> Slot<'_>,
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A time such as `"3s"` or `"2m"`; the bounds in milliseconds.
    Duration {
        /// Shortest.
        min: u64,
        /// Longest.
        max: u64,
        /// Whether `"0s"` is allowed, and what it means.
        zero: Option<&'static str>,
    },
    /// A whole number.
    Count {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// A number of bytes, or a text such as `"16M"`.
    Bytes {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A short text.
    Text,
    /// A path; the text says what an empty one means.
    Path(&'static str),
    /// A list of paths.
    Paths,
    /// A list of names.
    Names,
    /// A list of these words.
    Words(&'static [&'static str]),
    /// A program and its arguments.
    Program,
    /// An address with a port.
    Listen,
    /// A list of addresses and networks.
    Networks,
}

/// A key's place in a configuration.
#[derive(Debug)]
pub(super) enum Slot<'a> {
    Duration(&'a mut Duration),
    Count(&'a mut u32),
    Bytes(&'a mut u64),
    Flag(&'a mut bool),
    Text(&'a mut String),
    Path(&'a mut Option<PathBuf>),
    Paths(&'a mut Vec<PathBuf>),
    Names(&'a mut Vec<String>),
    Listen(&'a mut SocketAddr),
    Networks(&'a mut Vec<IpNet>),
    Color(&'a mut ColorChoice),
    Picture(&'a mut PictureChoice),
    Output(&'a mut OutputChoice),
    Level(&'a mut LogLevel),
    Notify(&'a mut NotifyWay),
}

pub(super) const fn key(
    path: &'static str,
    kind: Kind,
    meaning: &'static str,
    slot: fn(&mut Config) -> Slot<'_>,
) -> KeySpec {
    KeySpec {
        path,
        kind,
        meaning,
        slot,
    }
}

/// A time between two bounds in seconds.
pub(super) const fn seconds(min: u64, max: u64) -> Kind {
    Kind::Duration {
        min: min * 1000,
        max: max * 1000,
        zero: None,
    }
}

/// Sections with what they are about, in the order of the documentation.
pub const SECTIONS: &[(&str, &str)] = &[
    ("poll", "How often hosts are read."),
    (
        "ssh",
        "How hosts are reached. Hosts themselves are kept in the profile.",
    ),
    ("vault", "How long secrets stay open."),
    ("audit", "How the audit log is kept."),
    ("actions", "How much is done at once."),
    ("tui", "How the dashboard looks and listens."),
    ("once", "How scripted commands behave."),
    ("serve", "How the REST server listens (docs/serve.md)."),
    ("serve.limit", "Ceilings of the REST server."),
    ("serve.bot", "The bot contract."),
    (
        "serve.compat",
        "What the older portal did and this server does not by itself.",
    ),
    ("serve.dial", "Where hosts added over the API may be."),
    ("serve.hmac", "Signatures of requests."),
    (
        "log",
        "What the program writes about itself; never a secret.",
    ),
];

/// Every key, in the order of the documentation.
pub static KEYS: LazyLock<Vec<KeySpec>> = LazyLock::new(|| {
    let (serve, others) = (SERVE_KEYS, GENERAL_KEYS);
    let logged = others.iter().position(|spec| spec.section() == "log");
    let (before, after) = others.split_at(logged.unwrap_or(others.len()));
    [before, OWN_KEYS, serve, after].concat()
});

const GENERAL_KEYS: &[KeySpec] = &[
    key(
        "poll.libvirt_tick",
        Kind::Duration {
            min: 200,
            max: 600_000,
            zero: None,
        },
        "Time between two reads of a libvirt host.",
        |c| Slot::Duration(&mut c.poll.libvirt_tick),
    ),
    key(
        "poll.hyperv_tick",
        Kind::Duration {
            min: 500,
            max: 600_000,
            zero: None,
        },
        "Time between two reads of a Hyper-V host.",
        |c| Slot::Duration(&mut c.poll.hyperv_tick),
    ),
    key(
        "poll.slow_facts",
        seconds(1, 86_400),
        "Time between two reads of what changes rarely: addresses, VM snapshots, autostart.",
        |c| Slot::Duration(&mut c.poll.slow_facts),
    ),
    key(
        "poll.unfocused_factor",
        Kind::Count { min: 1, max: 100 },
        "Factor on the ticks of hosts of which nothing is on the screen; of all hosts while another window has the focus.",
        |c| Slot::Count(&mut c.poll.unfocused_factor),
    ),
    key(
        "poll.deadline",
        seconds(1, 600),
        "How long one read of states and figures may take before it counts as failed.",
        |c| Slot::Duration(&mut c.poll.deadline),
    ),
    key(
        "ssh.connect_timeout",
        seconds(1, 300),
        "How long dialling a host, or one stop on the way, may take.",
        |c| Slot::Duration(&mut c.ssh.connect_timeout),
    ),
    key(
        "ssh.auth_timeout",
        seconds(1, 600),
        "How long logging in may take, second factors included.",
        |c| Slot::Duration(&mut c.ssh.auth_timeout),
    ),
    key(
        "ssh.keepalive",
        seconds(1, 600),
        "Time between two questions whether the host is still there; it is given up after three without an answer.",
        |c| Slot::Duration(&mut c.ssh.keepalive),
    ),
    key(
        "ssh.known_hosts",
        Kind::Paths,
        "Files of known host keys, read beside the keys pinned in the profile; never written.",
        |c| Slot::Paths(&mut c.ssh.known_hosts),
    ),
    key(
        "ssh.client_config",
        Kind::Paths,
        "Files of the SSH client's configuration: HostName, Port, User, IdentityFile and ProxyJump are honoured. Empty = none.",
        |c| Slot::Paths(&mut c.ssh.client_config),
    ),
    key(
        "ssh.agent",
        Kind::Flag,
        "Whether the SSH agent (SSH_AUTH_SOCK) may be asked.",
        |c| Slot::Flag(&mut c.ssh.agent),
    ),
    key(
        "ssh.max_handshakes",
        Kind::Count { min: 1, max: 256 },
        "Hosts that are being dialled at the same time.",
        |c| Slot::Count(&mut c.ssh.max_handshakes),
    ),
    key(
        "vault.idle_lock",
        Kind::Duration {
            min: 1000,
            max: 604_800_000,
            zero: Some("never"),
        },
        "Secrets are locked after this time without use; live connections stay.",
        |c| Slot::Duration(&mut c.vault.idle_lock),
    ),
    key(
        "audit.rotate_bytes",
        Kind::Bytes {
            min: 64 * 1024,
            max: 1024 * 1024 * 1024,
        },
        "Size at which the log goes on in a new file; old files are never deleted.",
        |c| Slot::Bytes(&mut c.audit.rotate_bytes),
    ),
    key(
        "actions.bulk_per_host",
        Kind::Count { min: 1, max: 1000 },
        "VMs of one host that an action on several VMs works on at once; the next one begins when one of them is over.",
        |c| Slot::Count(&mut c.actions.bulk_per_host),
    ),
    key(
        "actions.lift_for",
        seconds(60, 8 * 3600),
        "How long `:rw` in the dashboard lifts the read-only of a tier's hosts, or of one host, unless it says so.",
        |c| Slot::Duration(&mut c.actions.lift_for),
    ),
    key(
        "actions.old_snapshot",
        seconds(3600, 10 * 365 * 86_400),
        "Age from which on a VM snapshot is old: it stands out in the dashboard, and is marked there by the key for old ones.",
        |c| Slot::Duration(&mut c.actions.old_snapshot),
    ),
    key(
        "tui.theme",
        Kind::Text,
        "Name of the theme: a built-in one, or a file `themes/NAME.toml` beside this one.",
        |c| Slot::Text(&mut c.tui.theme),
    ),
    key(
        "tui.color",
        Kind::Word(ColorChoice::WORDS),
        "Whether to use colour; `auto` looks at the terminal and at NO_COLOR.",
        |c| Slot::Color(&mut c.tui.color),
    ),
    key(
        "tui.ascii",
        Kind::Flag,
        "Only ASCII characters, for terminals and fonts without others.",
        |c| Slot::Flag(&mut c.tui.ascii),
    ),
    key(
        "tui.mouse",
        Kind::Flag,
        "Listen to the mouse; marking text then needs Shift in most terminals.",
        |c| Slot::Flag(&mut c.tui.mouse),
    ),
    key(
        "tui.compact",
        Kind::Flag,
        "Start with the short header.",
        |c| Slot::Flag(&mut c.tui.compact),
    ),
    key(
        "tui.pictures",
        Kind::Word(PictureChoice::WORDS),
        "How the screens of VMs are shown: as half blocks, or as pixels by the protocol of kitty or as sixels. `auto` goes by TERM and TERM_PROGRAM and asks the terminal nothing; behind tmux it is half blocks.",
        |c| Slot::Picture(&mut c.tui.pictures),
    ),
    key(
        "tui.viewer",
        Kind::Names,
        "Program for the graphics of VMs and its arguments, one list, never read by a shell; `{url}`, `{host}`, `{port}`, `{id}` and `{file}` (Hyper-V: a connection file) are filled in. Empty: the first that is installed of remote-viewer, vncviewer, spicy, xfreerdp3 and xfreerdp that fits.",
        |c| Slot::Names(&mut c.tui.viewer),
    ),
    key(
        "tui.editor",
        Kind::Names,
        "Program that edits definitions and its arguments, one list, never read by a shell; the file is added behind them. It has to end when the editing has (`[\"code\", \"--wait\"]`). Empty: the words of VISUAL or EDITOR, else `vi`.",
        |c| Slot::Names(&mut c.tui.editor),
    ),
    key(
        "tui.record_limit",
        Kind::Bytes {
            min: 64 * 1024,
            max: 16 * 1024 * 1024 * 1024,
        },
        "Size at which a recording of the dashboard (`--record`) ends.",
        |c| Slot::Bytes(&mut c.tui.record_limit),
    ),
    key(
        "once.timeout",
        seconds(1, 86_400),
        "How long a scripted command waits for hosts and for goals.",
        |c| Slot::Duration(&mut c.once.timeout),
    ),
    key(
        "once.output",
        Kind::Word(OutputChoice::WORDS),
        "Form of what scripted commands print.",
        |c| Slot::Output(&mut c.once.output),
    ),
    key(
        "log.level",
        Kind::Word(LogLevel::WORDS),
        "How much is written.",
        |c| Slot::Level(&mut c.log.level),
    ),
    key(
        "log.file",
        Kind::Path(
            "`vmdeck.log` in the state directory while a screen is open, else standard error",
        ),
        "Where it is written.",
        |c| Slot::Path(&mut c.log.file),
    ),
];

impl KeySpec {
    /// Returns the section.
    pub fn section(&self) -> &'static str {
        self.path
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }

    /// Returns the key without its section.
    pub fn name(&self) -> &'static str {
        self.path
            .rsplit_once('.')
            .map_or(self.path, |(_, name)| name)
    }

    /// Returns the environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("VMDECK_{}", self.path.replace('.', "_").to_uppercase())
    }

    /// Returns the value as it would be written in the file.
    pub fn render(&self, config: &Config) -> String {
        let mut copy = config.clone();
        match (self.slot)(&mut copy) {
            Slot::Duration(value) => quote(&render_duration(*value)),
            Slot::Count(value) => value.to_string(),
            Slot::Bytes(value) => quote(&render_bytes(*value)),
            Slot::Flag(value) => value.to_string(),
            Slot::Text(value) => quote(value),
            Slot::Path(value) => quote(&value.as_deref().map_or(String::new(), path_text)),
            Slot::Paths(value) => list(value.iter().map(|path| path_text(path))),
            Slot::Names(value) => list(value.iter().map(String::clone)),
            Slot::Listen(value) => quote(&value.to_string()),
            Slot::Networks(value) => list(value.iter().map(IpNet::to_string)),
            Slot::Color(value) => quote(value.word()),
            Slot::Picture(value) => quote(value.word()),
            Slot::Output(value) => quote(value.word()),
            Slot::Level(value) => quote(value.word()),
            Slot::Notify(value) => quote(value.word()),
        }
    }

    /// Returns what it takes, in words.
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Duration { min, max, zero } => {
                let [min, max] = [min, max].map(|ms| render_duration(Duration::from_millis(ms)));
                let zero = zero.map_or(String::new(), |word| format!(", or \"0s\" for {word}"));
                format!("time, \"{min}\" to \"{max}\"{zero}")
            }
            Kind::Count { min, max } => format!("number, {min} to {max}"),
            Kind::Bytes { min, max } => format!(
                "bytes, \"{}\" to \"{}\"",
                render_bytes(min),
                render_bytes(max)
            ),
            Kind::Flag => "true or false".to_owned(),
            Kind::Word(words) => {
                let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
                quoted.join(", ")
            }
            Kind::Text => "text".to_owned(),
            Kind::Path(empty) => format!("path; \"\" for {empty}"),
            Kind::Paths => "list of paths; `~` is the home directory".to_owned(),
            Kind::Names => "list of names".to_owned(),
            Kind::Words(words) => {
                format!("list of {}", list(words.iter().map(|w| (*w).to_owned())))
            }
            Kind::Program => "list: a program and its arguments".to_owned(),
            Kind::Listen => "ADDRESS:PORT; port 0 for a free one".to_owned(),
            Kind::Networks => "list of addresses and networks (`10.0.0.0/8`)".to_owned(),
        }
    }

    /// Sets the value; the error says what is expected.
    pub(super) fn set(&self, config: &mut Config, value: &Value) -> Result<(), String> {
        let unfit = || format!("expected {}", self.range());
        match (self.kind, (self.slot)(config), value) {
            (Kind::Duration { min, max, zero }, Slot::Duration(slot), Value::Text(text)) => {
                let time = parse_duration(text).ok_or_else(unfit)?;
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                let allowed = (min..=max).contains(&ms) || (ms == 0 && zero.is_some());
                *slot = allowed.then_some(time).ok_or_else(unfit)?;
            }
            (Kind::Count { min, max }, Slot::Count(slot), Value::Number(number)) => {
                let fits = (min..=max).contains(number);
                let count = u32::try_from(*number).ok().filter(|_| fits);
                *slot = count.ok_or_else(unfit)?;
            }
            (Kind::Bytes { min, max }, Slot::Bytes(slot), value) => {
                let bytes = match value {
                    Value::Number(number) => Some(*number),
                    Value::Text(text) => parse_bytes(text),
                    Value::Flag(_) | Value::List(_) => None,
                };
                let bytes = bytes.filter(|bytes| (min..=max).contains(bytes));
                *slot = bytes.ok_or_else(unfit)?;
            }
            (_, Slot::Flag(slot), Value::Flag(flag)) => *slot = *flag,
            (_, Slot::Text(slot), Value::Text(text)) if is_plain(text) => slot.clone_from(text),
            (_, Slot::Path(slot), Value::Text(text)) => {
                *slot = (!text.is_empty()).then(|| PathBuf::from(text));
            }
            (_, Slot::Paths(slot), Value::List(list)) => {
                *slot = list.iter().map(PathBuf::from).collect();
            }
            (kind, Slot::Names(slot), Value::List(list)) => {
                let plain = match kind {
                    Kind::Words(words) => list.iter().all(|word| words.contains(&word.as_str())),
                    Kind::Program => list.iter().all(|text| is_argument(text)),
                    _ => list.iter().all(|name| is_plain(name)),
                };
                *slot = plain.then(|| list.clone()).ok_or_else(unfit)?;
            }
            (_, Slot::Listen(slot), Value::Text(text)) => {
                *slot = text.parse().ok().ok_or_else(unfit)?;
            }
            (_, Slot::Networks(slot), Value::List(list)) => {
                let all: Option<Vec<IpNet>> = list.iter().map(|text| network(text)).collect();
                *slot = all.ok_or_else(unfit)?;
            }
            (_, Slot::Color(slot), Value::Text(word)) => {
                *slot = ColorChoice::from_word(word).ok_or_else(unfit)?;
            }
            (_, Slot::Picture(slot), Value::Text(word)) => {
                *slot = PictureChoice::from_word(word).ok_or_else(unfit)?;
            }
            (_, Slot::Output(slot), Value::Text(word)) => {
                *slot = OutputChoice::from_word(word).ok_or_else(unfit)?;
            }
            (_, Slot::Notify(slot), Value::Text(word)) => {
                *slot = NotifyWay::from_word(word).ok_or_else(unfit)?;
            }
            (_, Slot::Level(slot), Value::Text(word)) => {
                *slot = LogLevel::from_word(word).ok_or_else(unfit)?;
            }
            _ => return Err(unfit()),
        }
        Ok(())
    }

    /// Reads a value given as plain text: from the environment or an argument.
    pub(super) fn value_of_text(&self, text: &str) -> Value {
        match self.kind {
            Kind::Count { .. } => text
                .parse()
                .map_or_else(|_| Value::Text(text.to_owned()), Value::Number),
            Kind::Flag => match text {
                "true" | "1" | "yes" | "on" => Value::Flag(true),
                "false" | "0" | "no" | "off" => Value::Flag(false),
                _ => Value::Text(text.to_owned()),
            },
            Kind::Paths => Value::List(
                text.split(':')
                    .filter(|path| !path.is_empty())
                    .map(ToOwned::to_owned)
                    .collect(),
            ),
            // Arguments hold commas: here they are divided by line ends.
            Kind::Program => Value::List(text.lines().map(ToOwned::to_owned).collect()),
            Kind::Names | Kind::Words(_) | Kind::Networks => Value::List(
                text.split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(ToOwned::to_owned)
                    .collect(),
            ),
            Kind::Duration { .. }
            | Kind::Bytes { .. }
            | Kind::Word(_)
            | Kind::Text
            | Kind::Listen
            | Kind::Path(_) => Value::Text(text.to_owned()),
        }
    }
}

/// A value before it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<String>),
}

fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.chars().count()) && !text.chars().any(crate::domain::text::is_hostile)
}

/// What an argument of a program may be.
pub(super) fn is_argument(text: &str) -> bool {
    let hostile = |c: char| crate::domain::text::is_hostile(c) && !matches!(c, '\n' | '\t');
    text.chars().count() <= 4096 && !text.chars().any(hostile)
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

fn list(items: impl Iterator<Item = String>) -> String {
    let quoted: Vec<String> = items.map(|item| quote(&item)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Reads a network, or an address as the network of it alone.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse()
        .ok()
        .or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

/// Writes a TOML string.
pub(super) fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_a_section_once() {
        for spec in KEYS.iter() {
            assert!(
                SECTIONS.iter().any(|(name, _)| *name == spec.section()),
                "{}",
                spec.path
            );
            let twins = KEYS
                .iter()
                .filter(|other| other.path == spec.path || other.variable() == spec.variable());
            assert_eq!(twins.count(), 1, "{}", spec.path);
        }
    }

    #[test]
    fn defaults_are_within_their_own_ranges() {
        for spec in KEYS.iter() {
            let shown = spec.render(&Config::default());
            let document: toml::Table = toml::from_str(&format!("x = {shown}")).unwrap();
            let value = match &document["x"] {
                toml::Value::String(text) => Value::Text(text.clone()),
                toml::Value::Boolean(flag) => Value::Flag(*flag),
                toml::Value::Integer(number) => Value::Number(u64::try_from(*number).unwrap()),
                toml::Value::Array(list) => Value::List(
                    list.iter()
                        .map(|item| item.as_str().unwrap().to_owned())
                        .collect(),
                ),
                other => panic!("{other}"),
            };
            let mut config = Config::default();
            spec.set(&mut config, &value).unwrap();
            assert_eq!(config, Config::default(), "{}", spec.path);
        }
    }
}
