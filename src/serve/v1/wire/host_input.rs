//! The definition of a host as a client writes it: every part is checked by the domain's own rules.
//!
//! A host that is managed over the network is logged in to with a sealed credential only: the
//! server's own agent and key files are not a client's to use.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{Endpoint, HostId, HostName, HostSpec, LoginMethod};

/// Jumps that a definition may have.
const MAX_JUMPS: usize = 8;

/// Tags that a definition may have.
const MAX_TAGS: usize = 32;

/// A host to be added.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct HostInput {
    /// Its name: 1 to 100 characters, without `/`.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Where it listens: `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
    #[schema(min_length = 1, max_length = 263)]
    address: String,
    /// Account to log in with.
    #[schema(min_length = 1, max_length = 64)]
    user: Option<String>,
    /// Name of a sealed credential (`PUT /v1/credentials/{name}`).
    #[schema(min_length = 1, max_length = 64)]
    credential: Option<String>,
    /// `auto`, `libvirt` or `hyperv`.
    #[schema(max_length = 16)]
    kind: Option<String>,
    /// libvirt connection URI.
    #[schema(max_length = 256)]
    uri: Option<String>,
    /// Run the hypervisor's tool through `sudo -n`.
    sudo: Option<bool>,
    /// Stops on the way, nearest first: `[USER@]HOST[:PORT]`.
    #[schema(max_items = 8)]
    jumps: Option<Vec<String>>,
    /// How much it matters: `prod`, `stage`, `dev` or a word of your own.
    #[schema(max_length = 32)]
    tier: Option<String>,
    /// Labels.
    #[schema(max_items = 32)]
    tags: Option<Vec<String>>,
    /// Refuse everything that changes a VM here.
    read_only: Option<bool>,
    /// Pin whatever key the host shows first, without asking.
    accept_new: Option<bool>,
    /// Connect at all.
    enabled: Option<bool>,
}

/// What is to be changed about a host: members that are absent stay, null clears.
#[expect(clippy::option_option, reason = "absent and null are two things here")]
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::serve) struct HostChange {
    /// Its name: 1 to 100 characters, without `/`.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Where it listens: `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
    #[schema(min_length = 1, max_length = 263)]
    address: Option<String>,
    /// Account to log in with.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 64)]
    user: Option<Option<String>>,
    /// Name of a sealed credential.
    #[schema(max_length = 64)]
    credential: Option<String>,
    /// `auto`, `libvirt` or `hyperv`.
    #[schema(max_length = 16)]
    kind: Option<String>,
    /// libvirt connection URI.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    uri: Option<Option<String>>,
    /// Run the hypervisor's tool through `sudo -n`.
    sudo: Option<bool>,
    /// Stops on the way, nearest first.
    #[schema(max_items = 8)]
    jumps: Option<Vec<String>>,
    /// How much it matters.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 32)]
    tier: Option<Option<String>>,
    /// Labels.
    #[schema(max_items = 32)]
    tags: Option<Vec<String>>,
    /// Refuse everything that changes a VM here.
    read_only: Option<bool>,
    /// Pin whatever key the host shows first, without asking.
    accept_new: Option<bool>,
    /// Connect at all.
    enabled: Option<bool>,
}

/// Tells a member that is null from one that is absent.
#[expect(clippy::option_option, reason = "absent and null are two things here")]
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(input).map(Some)
}

/// Reads one member by the domain's rule, naming it when it breaks one.
fn read<T: FromStr>(member: &str, text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error| Failure::new(ErrorKind::Usage, format!("`{member}`: {error}")))
}

fn read_all<T: FromStr>(member: &str, texts: &[String], most: usize) -> Result<Vec<T>, Failure>
where
    T::Err: std::fmt::Display,
{
    if texts.len() > most {
        let message = format!("`{member}`: at most {most} of them");
        return Err(Failure::new(ErrorKind::Usage, message));
    }
    texts.iter().map(|text| read(member, text)).collect()
}

fn read_or_clear<T: FromStr>(member: &str, text: Option<&str>) -> Result<Option<T>, Failure>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| read(member, text)).transpose()
}

impl HostInput {
    /// Makes a definition of it.
    pub(in crate::serve) fn into_spec(self) -> Result<HostSpec, Failure> {
        let name: HostName = read("name", &self.name)?;
        let endpoint: Endpoint = read("address", &self.address)?;
        let mut spec = HostSpec::new(name, endpoint);
        spec.id = HostId(0);
        let rest = HostChange {
            name: None,
            address: None,
            user: self.user.map(Some),
            credential: self.credential,
            kind: self.kind,
            uri: self.uri.map(Some),
            sudo: self.sudo,
            jumps: self.jumps,
            tier: self.tier.map(Some),
            tags: self.tags,
            read_only: self.read_only,
            accept_new: self.accept_new,
            enabled: self.enabled,
        };
        rest.apply(&mut spec)?;
        Ok(spec)
    }
}

impl HostChange {
    /// Changes a definition; it is left half changed when a part is refused.
    pub(in crate::serve) fn apply(self, spec: &mut HostSpec) -> Result<(), Failure> {
        if let Some(name) = &self.name {
            spec.name = read("name", name)?;
        }
        if let Some(address) = &self.address {
            spec.endpoint = read("address", address)?;
        }
        if let Some(user) = &self.user {
            spec.user = read_or_clear("user", user.as_deref())?;
        }
        if let Some(name) = &self.credential {
            spec.login = LoginMethod::Credential(read("credential", name)?);
        }
        if let Some(kind) = &self.kind {
            spec.kind = read("kind", kind)?;
        }
        if let Some(uri) = &self.uri {
            spec.uri = read_or_clear("uri", uri.as_deref())?;
        }
        if let Some(jumps) = &self.jumps {
            spec.jumps = read_all("jumps", jumps, MAX_JUMPS)?;
        }
        if let Some(tier) = &self.tier {
            spec.tier = read_or_clear("tier", tier.as_deref())?;
        }
        if let Some(tags) = &self.tags {
            spec.tags = read_all("tags", tags, MAX_TAGS)?;
        }
        spec.sudo = self.sudo.unwrap_or(spec.sudo);
        spec.read_only = self.read_only.unwrap_or(spec.read_only);
        spec.accept_new_host_key = self.accept_new.unwrap_or(spec.accept_new_host_key);
        spec.enabled = self.enabled.unwrap_or(spec.enabled);
        Ok(())
    }

    /// Returns true when it changes where the host is dialled.
    pub(in crate::serve) const fn moves(&self) -> bool {
        self.address.is_some() || self.jumps.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Result<HostChange, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn absent_members_stay_and_null_clears() {
        let input: HostInput = serde_json::from_str(
            r#"{"name":"kvm1","address":"kvm1.lan:2222","user":"ops","tier":"prod","tags":["a"]}"#,
        )
        .unwrap();
        let mut spec = input.into_spec().unwrap();
        change(r#"{"tier":null,"read_only":true}"#)
            .unwrap()
            .apply(&mut spec)
            .unwrap();
        assert_eq!(spec.tier, None);
        assert!(spec.read_only);
        assert_eq!(spec.user.unwrap().as_str(), "ops");
        assert_eq!(spec.tags.len(), 1);
        assert_eq!(spec.endpoint.port, Some(2222));
    }

    #[test]
    fn each_part_is_checked_and_named() {
        for (text, member) in [
            (r#"{"name":"a/b"}"#, "`name`"),
            (r#"{"address":"h:0"}"#, "`address`"),
            (r#"{"user":"a b"}"#, "`user`"),
            (r#"{"kind":"vmware"}"#, "`kind`"),
            (r#"{"uri":"no"}"#, "`uri`"),
            (r#"{"tier":"a b"}"#, "`tier`"),
            (r#"{"tags":["ok","a b"]}"#, "`tags`"),
            (r#"{"jumps":["-oProxyCommand=x"]}"#, "`jumps`"),
            (r#"{"credential":"../x"}"#, "`credential`"),
        ] {
            let mut spec = HostSpec::new("x".parse().unwrap(), "y".parse().unwrap());
            let failure = change(text).unwrap().apply(&mut spec).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Usage, "{text}");
            assert!(failure.message.starts_with(member), "{}", failure.message);
        }
    }

    #[test]
    fn members_that_are_not_a_clients_are_refused() {
        for text in [
            r#"{"id":7}"#,
            r#"{"owner_id":1}"#,
            r#"{"login":"agent"}"#,
            r#"{"key_file":"/root/.ssh/id_ed25519"}"#,
            r#"{"name":"a","name":"b"}"#,
        ] {
            assert!(change(text).is_err(), "{text}");
        }
    }
}
