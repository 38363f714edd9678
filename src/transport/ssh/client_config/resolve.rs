//! Goes through the entries for one host and expands what they say. Touches no disk.

use std::path::{Path, PathBuf};

use super::read::Entry;
use super::{ClientConfig, ResolvedHost};
use crate::domain::host::Jump;
use crate::domain::text::RemoteText;
use crate::transport::ssh::pattern::Name;

/// Bytes of a name or a path once its tokens are replaced. Tokens stand for values with tokens of their
/// own, so without a bound a small file could ask for all the memory there is.
const MAX_EXPANDED: usize = 4096;

/// Characters of a note, before what acts on terminals is shown as what it is. A longer one loses its middle, where
/// what was written stands; why it is left out stands at the end.
const MAX_NOTE: usize = 400;

/// Private keys for one host; OpenSSH takes as many.
const MAX_KEYS: usize = 100;

impl ClientConfig {
    /// Returns what OpenSSH would do about a host.
    pub fn resolve(&self, alias: &str) -> ResolvedHost {
        let (mut values, name) = (Values::default(), Name::new(alias.as_bytes()));
        for entries in &self.files {
            let mut active = true;
            values.apply(entries, &name, &mut active, false);
        }
        self.expand(alias, values)
    }

    fn expand(&self, alias: &str, values: Values) -> ResolvedHost {
        let mut notes = values.notes;
        let hostname = match &values.hostname {
            None => alias.to_owned(),
            Some(text) => {
                let tokens = [('h', alias), ('n', alias)];
                expand_tokens(text, &tokens).unwrap_or_else(|what| {
                    notes.push(format!("HostName `{text}`: {what}"));
                    alias.to_owned()
                })
            }
        };
        // As OpenSSH has it: names are compared and filed in lower case.
        let hostname = hostname.to_ascii_lowercase();
        let host_key_alias = values.host_key_alias.map(|name| name.to_ascii_lowercase());
        let port = values.port.as_ref().and_then(|text| {
            let port = text.parse::<u16>().ok().filter(|port| *port > 0);
            if port.is_none() {
                notes.push(format!("Port `{text}` is no port"));
            }
            port
        });
        let user = values.user.clone();
        let home = self.home.to_string_lossy().into_owned();
        let port_text = port.unwrap_or(22).to_string();
        let tokens = [
            ('h', hostname.as_str()),
            ('n', alias),
            ('p', port_text.as_str()),
            ('r', user.as_deref().unwrap_or(&self.local_user)),
            ('u', self.local_user.as_str()),
            ('d', home.as_str()),
            ('k', host_key_alias.as_deref().unwrap_or(alias)),
        ];
        let mut path = |keyword: &str, text: &String| -> Option<PathBuf> {
            if text == "none" {
                return None;
            }
            match expand_path(text, &tokens, &self.home) {
                Ok(path) => Some(path),
                Err(what) => {
                    notes.push(format!("{keyword} `{text}`: {what}"));
                    None
                }
            }
        };
        let mut paths = |keyword: &str, texts: &Option<Vec<String>>, default: [&str; 2]| {
            let default = || default.map(str::to_owned).to_vec();
            let texts = texts.clone().unwrap_or_else(default);
            texts
                .iter()
                .filter_map(|text| path(keyword, text))
                .collect::<Vec<PathBuf>>()
        };
        let user_known_hosts = paths(
            "UserKnownHostsFile",
            &values.user_known_hosts,
            ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"],
        );
        let global_known_hosts = paths(
            "GlobalKnownHostsFile",
            &values.global_known_hosts,
            ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
        );
        let identity_files = values
            .identity_files
            .iter()
            .filter_map(|text| path("IdentityFile", text))
            .collect();
        let proxy_jump = parse_jumps(values.proxy_jump.as_deref(), &mut notes);
        ResolvedHost {
            alias: alias.to_owned(),
            hostname,
            port,
            user,
            identity_files,
            identities_only: values.identities_only.as_deref().is_some_and(is_yes),
            proxy_jump,
            user_known_hosts,
            global_known_hosts,
            host_key_alias,
            notes: notes
                .iter()
                .map(|note| RemoteText::new(&brief(note)).to_string())
                .collect(),
        }
    }
}

fn is_yes(text: &str) -> bool {
    text.eq_ignore_ascii_case("yes") || text.eq_ignore_ascii_case("true")
}

fn brief(note: &str) -> String {
    let count = note.chars().count();
    if count <= MAX_NOTE {
        return note.to_owned();
    }
    let half = MAX_NOTE / 2;
    let head: String = note.chars().take(half).collect();
    let tail: String = note.chars().skip(count - half + 1).collect();
    format!("{head}…{tail}")
}

fn parse_jumps(text: Option<&str>, notes: &mut Vec<String>) -> Vec<Jump> {
    let Some(text) = text.filter(|text| !text.eq_ignore_ascii_case("none")) else {
        return Vec::new();
    };
    let mut jumps = Vec::new();
    for part in text.split(',') {
        let part = part.strip_prefix("ssh://").unwrap_or(part);
        match part.trim_end_matches('/').parse::<Jump>() {
            Ok(jump) => jumps.push(jump),
            Err(error) => {
                // Half a chain would lead somewhere else.
                notes.push(format!("ProxyJump `{text}` is left out: {error}"));
                return Vec::new();
            }
        }
    }
    jumps
}

/// Replaces `%x` tokens; the error says why that cannot be done.
fn expand_tokens(text: &str, tokens: &[(char, &str)]) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if expanded.len() > MAX_EXPANDED {
            return Err("it gets too long".to_owned());
        }
        if c != '%' {
            expanded.push(c);
            continue;
        }
        let unknown = |token: &str| Err(format!("the token %{token} is not supported"));
        match chars.next() {
            Some('%') => expanded.push('%'),
            Some(token) => match tokens.iter().find(|(name, _)| *name == token) {
                Some((_, value)) => expanded.push_str(value),
                None => return unknown(&token.to_string()),
            },
            None => return unknown(""),
        }
    }
    Ok(expanded)
}

/// Expands tokens and a leading `~/` in a path; relative paths are the working directory's, as OpenSSH
/// has it.
fn expand_path(text: &str, tokens: &[(char, &str)], home: &Path) -> Result<PathBuf, String> {
    if text.contains("${") {
        return Err("a variable of the environment is not supported".to_owned());
    }
    let (tilde, rest) = match text.strip_prefix("~/") {
        Some(rest) => (true, rest),
        None if text == "~" => (true, ""),
        None if text.starts_with('~') => {
            return Err("another account's home is not supported".to_owned());
        }
        None => (false, text),
    };
    let expanded = expand_tokens(rest, tokens)?;
    Ok(if tilde {
        home.join(expanded)
    } else {
        PathBuf::from(expanded)
    })
}

/// Values as written; the first one stays.
#[derive(Debug, Default)]
struct Values {
    hostname: Option<String>,
    port: Option<String>,
    user: Option<String>,
    identity_files: Vec<String>,
    identities_only: Option<String>,
    proxy_jump: Option<String>,
    user_known_hosts: Option<Vec<String>>,
    global_known_hosts: Option<Vec<String>>,
    host_key_alias: Option<String>,
    notes: Vec<String>,
}

impl Values {
    /// Goes through a file; `never` is set inside an include of a block that does not apply.
    fn apply(&mut self, entries: &[Entry], name: &Name, active: &mut bool, never: bool) {
        for entry in entries {
            match entry {
                Entry::Host(patterns) => *active = !never && matches_host(patterns, name),
                Entry::MatchAll => *active = !never,
                Entry::MatchOther(line) => {
                    *active = false;
                    if !never {
                        self.notes.push(format!(
                            "`Match {line}` is left out: only `Match all` is supported"
                        ));
                    }
                }
                Entry::Set { keyword, args } => {
                    if *active {
                        self.set(keyword, args);
                    }
                }
                Entry::Include(included) => {
                    let mut inside = *active;
                    self.apply(included, name, &mut inside, never || !*active);
                }
            }
        }
    }

    fn set(&mut self, keyword: &str, args: &[String]) {
        let Some(first) = args.first() else { return };
        let slot = match keyword {
            "hostname" => &mut self.hostname,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "identitiesonly" => &mut self.identities_only,
            "hostkeyalias" => &mut self.host_key_alias,
            "proxyjump" => &mut self.proxy_jump,
            "proxycommand" => {
                // Whichever of the two stands first is in force.
                if self.proxy_jump.is_none() {
                    if !first.eq_ignore_ascii_case("none") {
                        self.notes.push(
                            "ProxyCommand is left out: use ProxyJump, which needs no local command"
                                .to_owned(),
                        );
                    }
                    self.proxy_jump = Some("none".to_owned());
                }
                return;
            }
            "identityfile" => {
                if self.identity_files.len() < MAX_KEYS && !self.identity_files.contains(first) {
                    self.identity_files.push(first.clone());
                }
                return;
            }
            "userknownhostsfile" => {
                self.user_known_hosts.get_or_insert_with(|| args.to_vec());
                return;
            }
            "globalknownhostsfile" => {
                self.global_known_hosts.get_or_insert_with(|| args.to_vec());
                return;
            }
            _ => return,
        };
        slot.get_or_insert_with(|| first.clone());
    }
}

fn matches_host(patterns: &[String], name: &Name) -> bool {
    let mut matched = false;
    for pattern in patterns {
        if let Some(pattern) = pattern.strip_prefix('!') {
            if name.matches(pattern.bytes()) {
                return false;
            }
        } else if name.matches(pattern.bytes()) {
            matched = true;
        }
    }
    matched
}
