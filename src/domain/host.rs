//! Hosts: the machines we log in to, as a person defines them. Definitions only, no secret, no state.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::credential::CredentialName;

/// Identity of a host inside its profile (the database's row id); never reused, never shown as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub i64);

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why a part of a host's definition is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostSpecError {
    /// The name breaks a rule.
    #[error(
        "a name has 1 to 100 characters, no `/`, no control characters and no blank at its ends"
    )]
    Name,
    /// The address breaks a rule.
    #[error("an address is HOST or HOST:PORT or [IPV6]:PORT, with a port from 1 to 65535")]
    Address,
    /// The user name breaks a rule.
    #[error("a user name has 1 to 64 characters and no blank, quote or control character")]
    User,
    /// A tier or tag breaks a rule.
    #[error("tiers and tags are 1 to 32 letters, digits, `-`, `_` or `.`")]
    Word,
    /// The libvirt URI breaks a rule.
    #[error("a libvirt URI looks like `qemu:///system`, without blanks or quotes")]
    Uri,
}

/// A host's name: unique in its profile, chosen by a person. Cloning is cheap: every VM and record has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(Arc<str>);

impl HostName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for HostName {
    type Err = HostSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        let sound = (1..=100).contains(&length)
            && text.trim() == text
            && !text.chars().any(|c| c == '/' || super::text::is_hostile(c));
        if sound {
            Ok(Self(text.into()))
        } else {
            Err(HostSpecError::Name)
        }
    }
}

impl TryFrom<String> for HostName {
    type Error = HostSpecError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0.as_ref().into()
    }
}

/// Where a host listens for SSH.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// Name or address, without brackets. May be an alias of the SSH client configuration.
    pub address: String,
    /// TCP port; `None` leaves it to the SSH client configuration, then 22.
    pub port: Option<u16>,
}

impl Endpoint {
    /// The port SSH listens on when nobody says otherwise.
    pub const DEFAULT_PORT: u16 = 22;

    /// Makes an endpoint with an explicit port.
    pub fn new(address: impl Into<String>, port: u16) -> Self {
        Self {
            address: address.into(),
            port: Some(port),
        }
    }

    /// Returns the port, or the default.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(Self::DEFAULT_PORT)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracket = self.address.contains(':');
        match (self.port, bracket) {
            (None, _) => write!(f, "{}", self.address),
            (Some(port), true) => write!(f, "[{}]:{port}", self.address),
            (Some(port), false) => write!(f, "{}:{port}", self.address),
        }
    }
}

impl FromStr for Endpoint {
    type Err = HostSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, port) = split_port(text).ok_or(HostSpecError::Address)?;
        let sound = !address.is_empty()
            && address.len() <= 255
            && !address.starts_with('-')
            && address
                .chars()
                .all(|c| c.is_alphanumeric() || ".-_:%".contains(c))
            && (!address.contains(':') || is_ipv6(address));
        let port = match port {
            None => None,
            Some(port) => match port.parse::<u16>() {
                Ok(0) | Err(_) => return Err(HostSpecError::Address),
                Ok(port) => Some(port),
            },
        };
        if sound {
            Ok(Self {
                address: address.to_owned(),
                port,
            })
        } else {
            Err(HostSpecError::Address)
        }
    }
}

/// Splits `host:port`, `[v6]:port`, `v6` and `host`.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        return match after {
            "" => Some((address, None)),
            _ => after.strip_prefix(':').map(|port| (address, Some(port))),
        };
    }
    if text.matches(':').count() == 1 {
        return text
            .split_once(':')
            .map(|(address, port)| (address, Some(port)));
    }
    // More colons than one: an IPv6 address, or a slip of the fingers.
    Some((text, None))
}

/// Tells an IPv6 address, perhaps with its zone.
fn is_ipv6(address: &str) -> bool {
    let bare = address.split_once('%').map_or(address, |(bare, _)| bare);
    bare.parse::<std::net::Ipv6Addr>().is_ok()
}

/// One stop on the way to a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Jump {
    /// Account on the jump host; `None` means the host's own user name.
    pub user: Option<UserName>,
    /// Where it listens.
    pub endpoint: Endpoint,
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "{user}@{}", self.endpoint),
            None => write!(f, "{}", self.endpoint),
        }
    }
}

impl FromStr for Jump {
    type Err = HostSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('@') {
            Some((user, endpoint)) => Ok(Self {
                user: Some(user.parse()?),
                endpoint: endpoint.parse()?,
            }),
            None => Ok(Self {
                user: None,
                endpoint: text.parse()?,
            }),
        }
    }
}

impl TryFrom<String> for Jump {
    type Error = HostSpecError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Jump> for String {
    fn from(jump: Jump) -> Self {
        jump.to_string()
    }
}

macro_rules! checked_word {
    ($(#[$doc:meta])* $name:ident, $error:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = HostSpecError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(HostSpecError::$error) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = HostSpecError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }
    };
}

checked_word!(
    /// The account we log in with.
    UserName,
    User,
    |text| (1..=64).contains(&text.chars().count())
        && !text.chars().any(|c| c.is_whitespace() || "'\"`".contains(c) || super::text::is_hostile(c))
);

checked_word!(
    /// How much a host matters: `prod`, `stage`, `dev`, or a person's own word.
    Tier,
    Word,
    is_word
);

checked_word!(
    /// A label a person gives a host; its VMs carry it too.
    Tag,
    Word,
    is_word
);

checked_word!(
    /// A libvirt connection URI.
    LibvirtUri,
    Uri,
    |text| text.len() <= 256
        && text.contains(":/")
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+:/._-?=&%@~".contains(c))
);

fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.chars().count())
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

impl Tier {
    /// The tier whose VMs are guarded hardest by the built-in policy.
    pub fn is_prod(&self) -> bool {
        self.0 == "prod"
    }
}

/// The software that runs VMs on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HypervisorKind {
    /// libvirt, driven by `virsh`.
    Libvirt,
    /// Hyper-V, driven by PowerShell.
    HyperV,
}

impl HypervisorKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Libvirt, Self::HyperV];

    /// Returns the word used in JSON and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Libvirt => "libvirt",
            Self::HyperV => "hyperv",
        }
    }

    /// Returns the short mark of the HV column.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Libvirt => "kvm",
            Self::HyperV => "hv",
        }
    }
}

impl fmt::Display for HypervisorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Which hypervisor to expect on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindChoice {
    /// Look and see.
    #[default]
    Auto,
    /// libvirt.
    Libvirt,
    /// Hyper-V.
    HyperV,
}

impl KindChoice {
    /// Returns the word used on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Libvirt => "libvirt",
            Self::HyperV => "hyperv",
        }
    }

    /// Returns the kind when a person has fixed it.
    pub const fn fixed(self) -> Option<HypervisorKind> {
        match self {
            Self::Auto => None,
            Self::Libvirt => Some(HypervisorKind::Libvirt),
            Self::HyperV => Some(HypervisorKind::HyperV),
        }
    }
}

impl FromStr for KindChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Auto, Self::Libvirt, Self::HyperV]
            .into_iter()
            .find(|kind| kind.word() == text)
            .ok_or_else(|| {
                let shown = super::text::RemoteText::new(text).fit(40);
                format!("`{shown}` is no kind of hypervisor (auto, libvirt, hyperv)")
            })
    }
}

/// How to log in to a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginMethod {
    /// What the SSH client would do: the agent, then the identity files of its configuration.
    #[default]
    Default,
    /// Only the SSH agent.
    Agent,
    /// A credential sealed in the profile.
    Credential(CredentialName),
    /// A private key file on this machine.
    KeyFile(PathBuf),
}

/// A host as a person defined it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each a column of its own"
)]
pub struct HostSpec {
    /// Identity in the profile.
    pub id: HostId,
    /// Unique name.
    pub name: HostName,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Account; `None` leaves it to the SSH client configuration, then the local user's name.
    pub user: Option<UserName>,
    /// Expected hypervisor.
    pub kind: KindChoice,
    /// libvirt connection URI; `None` means libvirt's own default for the account.
    pub uri: Option<LibvirtUri>,
    /// Run the hypervisor's tool through `sudo -n`.
    pub sudo: bool,
    /// How to log in.
    pub login: LoginMethod,
    /// Stops on the way, nearest first.
    pub jumps: Vec<Jump>,
    /// How much it matters.
    pub tier: Option<Tier>,
    /// Labels.
    pub tags: Vec<Tag>,
    /// Refuse everything that changes a VM here.
    pub read_only: bool,
    /// Pin whatever key the host shows first, without asking.
    pub accept_new_host_key: bool,
    /// Connect at all.
    pub enabled: bool,
}

impl HostSpec {
    /// Makes a definition with the defaults of `host add`.
    pub fn new(name: HostName, endpoint: Endpoint) -> Self {
        Self {
            id: HostId(0),
            name,
            endpoint,
            user: None,
            kind: KindChoice::Auto,
            uri: None,
            sudo: false,
            login: LoginMethod::Default,
            jumps: Vec::new(),
            tier: None,
            tags: Vec::new(),
            read_only: false,
            accept_new_host_key: false,
            enabled: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_read_back_as_written() {
        for text in [
            "kvm1",
            "kvm1:2222",
            "10.0.0.1:22",
            "[fe80::1]:22",
            "host_1.lan",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!(
            "::1".parse::<Endpoint>().unwrap(),
            Endpoint {
                address: "::1".into(),
                port: None
            }
        );
    }

    #[test]
    fn endpoints_that_could_mean_something_else_are_refused() {
        for text in [
            "",
            "-oProxyCommand=x",
            "a b",
            "a:0",
            "a:99999",
            "a:b",
            "a:b:22",
            "kvm1:22:22",
            "[::1",
            "[:]",
            "[kvm1:22]:22",
            "[fe80::18446744073709551615]",
            "a;b",
            "$(x)",
        ] {
            assert_eq!(
                text.parse::<Endpoint>(),
                Err(HostSpecError::Address),
                "{text:?}"
            );
        }
    }

    #[test]
    fn names_may_have_spaces_inside_and_no_slash() {
        assert!("rack 3 left".parse::<HostName>().is_ok());
        for text in ["", " a", "a/b", "a\u{1b}", "a\u{202e}b"] {
            assert_eq!(
                text.parse::<HostName>(),
                Err(HostSpecError::Name),
                "{text:?}"
            );
        }
    }

    #[test]
    fn jumps_carry_an_optional_user() {
        let jump: Jump = "ops@gate:2222".parse().unwrap();
        assert_eq!(jump.to_string(), "ops@gate:2222");
        assert_eq!("gate".parse::<Jump>().unwrap().user, None);
    }

    #[test]
    fn uris_have_no_room_for_a_shell() {
        assert!("qemu:///system".parse::<LibvirtUri>().is_ok());
        assert!("qemu:///system; rm".parse::<LibvirtUri>().is_err());
        assert!("system".parse::<LibvirtUri>().is_err());
    }
}
